//! Rows as a program holds them, and the columns that they seem to have.

use std::borrow::Cow;
use std::collections::HashMap;

use arrow_schema::{
    DECIMAL128_MAX_PRECISION, DECIMAL256_MAX_PRECISION, DataType, Field, FieldRef, Fields, TimeUnit,
};
use skytide_timestream::{times, types};

use super::seen::Seen;
use crate::columns::{MAX_DEPTH, Names, Within, filled, known};

/// A value of a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Value<'a> {
    /// No value.
    Null,
    /// Yes or no.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A whole number beyond `i64`.
    UInt(u64),
    /// A number with a fraction.
    Float(f64),
    /// A decimal number by its digits, as `-1.10`.
    Decimal(Cow<'a, str>),
    /// Text.
    Text(Cow<'a, str>),
    /// Bytes.
    Bytes(Cow<'a, [u8]>),
    /// A moment: UTC nanoseconds.
    Time(i64),
    /// A length of time in nanoseconds.
    Duration(i64),
    /// A time of day: nanoseconds since midnight.
    TimeOfDay(i64),
    /// A list.
    List(Vec<Self>),
    /// Named fields, in any order. Of two of one name the last counts.
    Record(Vec<(Cow<'a, str>, Self)>),
    /// Something of a kind that no column holds.
    Other,
}

impl<'a> Value<'a> {
    /// A field by its name; null where there is none.
    #[must_use]
    pub fn field(&self, name: &str) -> &Self {
        match self {
            Self::Record(fields) => {
                fields.iter().rev().find(|(field, _)| field == name).map_or(&Self::Null, |(_, value)| value)
            }
            _ => &Self::Null,
        }
    }

    /// What a JSON value holds.
    #[must_use]
    pub fn of_json(json: &'a serde_json::Value) -> Self {
        match json {
            serde_json::Value::Null => Self::Null,
            serde_json::Value::Bool(value) => Self::Bool(*value),
            serde_json::Value::Number(number) => number
                .as_i64()
                .map(Self::Int)
                .or_else(|| number.as_u64().map(Self::UInt))
                .or_else(|| number.as_f64().map(Self::Float))
                .unwrap_or(Self::Null),
            serde_json::Value::String(text) => Self::Text(Cow::Borrowed(text)),
            serde_json::Value::Array(items) => Self::List(items.iter().map(Self::of_json).collect()),
            serde_json::Value::Object(fields) => Self::Record(
                fields
                    .iter()
                    .map(|(name, value)| (Cow::Borrowed(name.as_str()), Self::of_json(value)))
                    .collect(),
            ),
        }
    }

    /// The bytes that it takes in columns, about.
    pub(super) fn size(&self) -> usize {
        let within = match self {
            Self::Text(text) | Self::Decimal(text) => text.len(),
            Self::Bytes(bytes) => bytes.len(),
            Self::List(items) => items.iter().map(Self::size).sum(),
            Self::Record(fields) => fields.iter().map(|(_, value)| value.size()).sum(),
            _ => 0,
        };
        within + size_of::<u64>()
    }

    /// The type of this value by itself; none of those that have none, or are made of others.
    pub(super) fn natural_type(&self) -> Option<DataType> {
        Some(match self {
            Self::Null | Self::Other | Self::List(_) | Self::Record(_) => return None,
            Self::Bool(_) => DataType::Boolean,
            Self::Int(value) if *value >= 0 => COUNT,
            Self::Int(_) => DataType::Int64,
            Self::UInt(_) => DataType::UInt64,
            Self::Float(_) => DataType::Float64,
            Self::Decimal(digits) => decimal(digits),
            Self::Text(_) => DataType::Utf8,
            Self::Bytes(_) => DataType::Binary,
            Self::Time(_) => types::timestamp(),
            Self::Duration(_) => types::duration(),
            Self::TimeOfDay(_) => DataType::Time64(TimeUnit::Nanosecond),
        })
    }
}

/// Stands for whole numbers that `i64` and `u64` both hold, while types are found: which of the two it is,
/// others tell. No value is of that type by itself.
const COUNT: DataType = DataType::UInt32;

/// The fields of some rows: each is of the narrowest type that holds all its values; where none does, of the
/// first value's. Whole numbers are `i64`, where some are beyond it `u64`, and where others are below zero
/// decimals. What is null in all of them is text.
#[must_use]
pub fn infer<'a>(rows: impl IntoIterator<Item = &'a Value<'a>>) -> Fields {
    seen(rows).iter().map(|field| known(field)).collect()
}

/// The same, but what is null in all of them is of the type `null`.
pub(crate) fn seen<'a>(rows: impl IntoIterator<Item = &'a Value<'a>>) -> Fields {
    let mut seen = Seen::default();
    rows.into_iter().for_each(|row| seen.see(row));
    match filled(&seen_type(&seen), &DataType::Null) {
        DataType::Struct(fields) => fields,
        _ => Fields::empty(),
    }
}

/// The type of the values that were seen.
pub(super) fn seen_type(seen: &Seen) -> DataType {
    numbered(&seen.data_type())
}

/// The same of rows of JSON, which writes moments as text: where all texts of a field are moments, it is one
/// of moments.
pub(super) fn infer_json(rows: &[Value<'_>]) -> Fields {
    infer(rows).iter().map(moments_of(&rows.iter().collect::<Vec<_>>(), 0)).collect()
}

/// What makes the fields of these records such.
fn moments_of<'a>(records: &[&'a Value<'a>], depth: usize) -> impl Fn(&FieldRef) -> Field {
    // Those that are null or not there say nothing.
    let mut values: HashMap<&'a str, Vec<&'a Value<'a>>> = HashMap::new();
    for record in records {
        let Value::Record(fields) = record else { continue };
        for (name, value) in fields {
            values.entry(name).or_default().push(value);
        }
    }
    move |field| {
        let values = values.get(field.name().as_str()).map_or(&[][..], Vec::as_slice);
        Field::new(field.name(), with_moments(field.data_type(), values, depth), true)
    }
}

/// A type in which texts that are all moments are moments; `values` are all there are of it.
fn with_moments<'a>(data_type: &DataType, values: &[&'a Value<'a>], depth: usize) -> DataType {
    match data_type {
        _ if depth > MAX_DEPTH => data_type.clone(),
        DataType::Utf8 => {
            let mut given = values.iter().filter(|value| !matches!(value, Value::Null)).peekable();
            let is_moment = |value: &Value<'_>| matches!(value, Value::Text(text) if times::parse_timestamp(text).is_some());
            if given.peek().is_some() && given.all(|value| is_moment(value)) {
                types::timestamp()
            } else {
                DataType::Utf8
            }
        }
        DataType::List(item) => {
            let items = values.iter().flat_map(|value| match value {
                Value::List(items) => items.as_slice(),
                _ => &[],
            });
            types::list(with_moments(item.data_type(), &items.collect::<Vec<_>>(), depth + 1))
        }
        DataType::Struct(fields) => {
            DataType::Struct(fields.iter().map(moments_of(values, depth + 1)).collect())
        }
        other => other.clone(),
    }
}

/// The decimals that have as many digits before and after the point as these; of more than there is room for,
/// the first.
fn decimal(digits: &str) -> DataType {
    let (whole, places) = digits.split_once('.').unwrap_or((digits, ""));
    let most = usize::from(DECIMAL256_MAX_PRECISION);
    let whole = whole.trim_start_matches(['-', '0']).len().min(most);
    let places = places.len().min(most - whole);
    let precision = (whole + places).max(1) as u8;
    if precision <= DECIMAL128_MAX_PRECISION {
        return DataType::Decimal128(precision, places as i8);
    }
    DataType::Decimal256(precision, places as i8)
}

/// A type whose whole numbers are of a type of their own: `i64` where nothing says otherwise. Decimals have
/// all the digits before their point that there is room for.
fn numbered(data_type: &DataType) -> DataType {
    match data_type {
        &COUNT => DataType::Int64,
        DataType::Decimal128(_, places) => DataType::Decimal128(DECIMAL128_MAX_PRECISION, *places),
        DataType::Decimal256(_, places) => DataType::Decimal256(DECIMAL256_MAX_PRECISION, *places),
        DataType::List(item) => types::list(numbered(item.data_type())),
        DataType::Struct(fields) => DataType::Struct(
            fields.iter().map(|field| Field::new(field.name(), numbered(field.data_type()), true)).collect(),
        ),
        other => other.clone(),
    }
}

/// What a row has in each of these columns; null where it has nothing. Of two of one name the last counts.
pub(super) fn across<'a>(row: &'a Value<'a>, columns: &Names) -> Vec<&'a Value<'a>> {
    let mut values = vec![&Value::Null; columns.len()];
    if let Value::Record(fields) = row {
        for (at, (name, value)) in fields.iter().enumerate() {
            let place = columns.place(name, at);
            if let Some(cell) = place.and_then(|place| values.get_mut(place)) {
                *cell = value;
            }
        }
    }
    values
}

/// How many values a row has in no column, and its records in no field.
pub(crate) fn unknown(row: &Value<'_>, columns: &Names) -> u64 {
    let Value::Record(fields) = row else { return 0 };
    let inside = |(at, (name, value)): (usize, &(Cow<'_, str>, Value<'_>))| match columns.get(name, at) {
        Some(column) => unknown_inside(value, column),
        None => u64::from(*value != Value::Null),
    };
    fields.iter().enumerate().map(inside).sum()
}

fn unknown_inside(value: &Value<'_>, of: &Within) -> u64 {
    match (value, of) {
        (Value::Record(_), Within::Record(fields)) => unknown(value, fields),
        (Value::List(items), Within::List(item)) if !matches!(**item, Within::Nothing) => {
            items.iter().map(|value| unknown_inside(value, item)).sum()
        }
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_from_rows() {
        let rows = [
            serde_json::json!({"a": 1, "b": null, "c": [1], "d": {"x": 1}}),
            serde_json::json!({"a": 1.5, "c": [null, 2.5], "d": {"y": "t"}, "e": true}),
        ];
        let rows: Vec<_> = rows.iter().map(Value::of_json).collect();
        let fields = infer(&rows);
        let named: Vec<_> = fields
            .iter()
            .map(|field| format!("{} {}", field.name(), types::name(field.data_type())))
            .collect();
        assert_eq!(named, ["a f64", "b utf8", "c list<f64>", "d struct<x: i64, y: utf8>", "e bool"]);
    }

    #[test]
    fn whole_numbers_are_of_a_type_that_holds_each_of_them() {
        let of = |lines: &[&str]| {
            let rows: Vec<serde_json::Value> =
                lines.iter().map(|x| serde_json::from_str(&format!("{{\"x\": {x}}}")).unwrap()).collect();
            let rows: Vec<_> = rows.iter().map(Value::of_json).collect();
            types::name(infer(&rows)[0].data_type())
        };
        let (high, most) = ("9223372036854775808", "18446744073709551615");
        assert_eq!(of(&["1", "-1"]), "i64");
        assert_eq!(of(&["1", high, "null", most]), "u64");
        assert_eq!(of(&[most, "1"]), "u64");
        assert_eq!(of(&["{\"y\": [1]}", &format!("{{\"y\": [2, {most}]}}")]), "struct<y: list<u64>>");
        for mixed in [["1", "-1", most], [most, "-1", "1"], ["-1", most, "-1"], ["1", most, "-1"]] {
            assert_eq!(of(&mixed), "decimal");
        }
        assert_eq!(of(&["-1", most, "0.5"]), "f64");
        assert_eq!(of(&["1", "\"a\""]), "i64");
    }

    #[test]
    fn moments_of_json_are_texts_that_all_are_moments() {
        let rows = [
            serde_json::json!({"a": "2026-07-04T12:00:00", "b": "2026-07-04", "c": {"at": ["2026-01-01T00:00:00Z"]}, "d": null}),
            serde_json::json!({"a": null, "b": "soon", "c": null, "d": null}),
        ];
        let rows: Vec<_> = rows.iter().map(Value::of_json).collect();
        let named: Vec<_> = infer_json(&rows).iter().map(|field| types::name(field.data_type())).collect();
        assert_eq!(named, ["timestamp", "utf8", "struct<at: list<timestamp>>", "utf8"]);
        assert_eq!(*infer(&rows)[0].data_type(), DataType::Utf8);
    }
}

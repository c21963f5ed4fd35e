//! Rows as a program holds them, made into columns: what does not fit its column is null and counted, never an error.

use std::borrow::Cow;
use std::sync::Arc;

use arrow_array::builder::{
    BinaryBuilder, BooleanBuilder, Decimal128Builder, Float64Builder, Int64Builder, StringBuilder,
    UInt64Builder,
};
use arrow_array::types::{Decimal128Type, DecimalType};
use arrow_array::{Array, ArrayRef, ListArray, StructArray, new_null_array};
use arrow_buffer::{NullBufferBuilder, OffsetBuffer};
use arrow_cast::cast;
use arrow_cast::parse::parse_decimal;
use arrow_schema::{
    ArrowError, DECIMAL128_MAX_PRECISION, DECIMAL128_MAX_SCALE, DataType, Field, FieldRef, Fields,
};
use skytide_timestream::{times, types};

use crate::columns::times::nanos_of;

/// Deepest nesting of a type whose rows are taken.
const MAX_DEPTH: usize = 64;

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

    /// The type of this value by itself.
    fn natural_type(&self) -> DataType {
        match self {
            Self::Null | Self::Other => DataType::Null,
            Self::Bool(_) => DataType::Boolean,
            Self::Int(_) => DataType::Int64,
            Self::UInt(_) => DataType::UInt64,
            Self::Float(_) => DataType::Float64,
            Self::Decimal(digits) => decimal(places(digits)),
            Self::Text(_) => DataType::Utf8,
            Self::Bytes(_) => DataType::Binary,
            Self::Time(_) => types::timestamp(),
            Self::Duration(_) => types::duration(),
            Self::List(items) => {
                types::list(items.iter().fold(DataType::Null, |all, item| both(&all, &item.natural_type())))
            }
            Self::Record(fields) => DataType::Struct(
                fields
                    .iter()
                    .map(|(name, value)| Field::new(name.as_ref(), value.natural_type(), true))
                    .collect(),
            ),
        }
    }
}

/// The fields of some rows: each is of the narrowest type that holds all its values; where none does, of the first value's.
/// What is null in all of them is text.
#[must_use]
pub fn infer<'a>(rows: impl IntoIterator<Item = &'a Value<'a>>) -> Fields {
    let all = rows.into_iter().fold(DataType::Null, |all, row| both(&all, &row.natural_type()));
    match settled(&all, 0) {
        DataType::Struct(fields) => fields,
        _ => Fields::empty(),
    }
}

/// The same of rows of JSON, which writes moments as text: where all texts of a field are moments, it is one of moments.
pub(super) fn infer_json(rows: &[Value<'_>]) -> Fields {
    let moments = |field: &FieldRef| {
        let values = rows.iter().map(|row| row.field(field.name()));
        Field::new(field.name(), with_moments(field.data_type(), &values.collect::<Vec<_>>(), 0), true)
    };
    infer(rows).iter().map(moments).collect()
}

/// A type in which texts that are all moments are moments; `values` are all there are of it.
fn with_moments(data_type: &DataType, values: &[&Value<'_>], depth: usize) -> DataType {
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
            let inside = fields.iter().map(|field| {
                let values: Vec<_> = values.iter().map(|value| value.field(field.name())).collect();
                Field::new(field.name(), with_moments(field.data_type(), &values, depth + 1), true)
            });
            DataType::Struct(inside.collect())
        }
        other => other.clone(),
    }
}

/// Decimals with so many digits after the point, and all before it that there is room for.
fn decimal(scale: i8) -> DataType {
    DataType::Decimal128(DECIMAL128_MAX_PRECISION, scale)
}

/// How many digits stand after the point.
fn places(digits: &str) -> i8 {
    let places = digits.split_once('.').map_or(0, |(_, places)| places.len());
    i8::try_from(places).unwrap_or(DECIMAL128_MAX_SCALE).min(DECIMAL128_MAX_SCALE)
}

/// A number as the unscaled one that a column of decimals holds; places that it has no room for are cut off.
fn unscaled(value: &Value<'_>, precision: u8, scale: i8) -> Option<i128> {
    let digits = match value {
        Value::Decimal(digits) | Value::Text(digits) => Cow::Borrowed(digits.as_ref()),
        Value::Int(value) => Cow::Owned(value.to_string()),
        Value::UInt(value) => Cow::Owned(value.to_string()),
        Value::Float(value) => Cow::Owned(value.to_string()),
        _ => return None,
    };
    let number = parse_decimal::<Decimal128Type>(&digits, precision, scale).ok()?;
    Decimal128Type::is_valid_decimal_precision(number, precision).then_some(number)
}

/// The type that holds the values of both; the first one's where there is none.
fn both(a: &DataType, b: &DataType) -> DataType {
    match (a, b) {
        (DataType::Null, other) | (other, DataType::Null) => other.clone(),
        (DataType::List(a), DataType::List(b)) => types::list(both(a.data_type(), b.data_type())),
        (DataType::Struct(a), DataType::Struct(b)) => {
            let mut fields: Vec<FieldRef> = a.iter().cloned().collect();
            for field in b {
                match fields.iter_mut().find(|known| known.name() == field.name()) {
                    Some(known) => {
                        let shared = both(known.data_type(), field.data_type());
                        if shared != *known.data_type() {
                            *known = Arc::new(Field::new(known.name(), shared, true));
                        }
                    }
                    None => fields.push(Arc::clone(field)),
                }
            }
            DataType::Struct(fields.into())
        }
        (DataType::Decimal128(_, a), DataType::Decimal128(_, b)) => decimal(*a.max(b)),
        (DataType::Decimal128(..), number) | (number, DataType::Decimal128(..)) if number.is_floating() => {
            DataType::Float64
        }
        (number, decimal @ DataType::Decimal128(..)) if number.is_integer() => decimal.clone(),
        (a, b) => types::common(a, b).unwrap_or_else(|| a.clone()),
    }
}

/// A type with text where nothing is known.
fn settled(data_type: &DataType, depth: usize) -> DataType {
    match data_type {
        DataType::Null => DataType::Utf8,
        _ if depth > MAX_DEPTH => DataType::Utf8,
        DataType::List(item) => types::list(settled(item.data_type(), depth + 1)),
        DataType::Struct(fields) => DataType::Struct(
            fields
                .iter()
                .map(|field| Field::new(field.name(), settled(field.data_type(), depth + 1), true))
                .collect(),
        ),
        other => other.clone(),
    }
}

/// A column being filled, of one type.
pub(crate) struct Builder {
    data_type: DataType,
    cells: Cells,
}

/// Cells by what carries them; a column of a narrower type is made when it is finished.
enum Cells {
    Bool(BooleanBuilder),
    Int(Int64Builder),
    UInt(UInt64Builder),
    Float(Float64Builder),
    Decimal(Decimal128Builder),
    Text(StringBuilder),
    Bytes(BinaryBuilder),
    List {
        items: Box<Builder>,
        lengths: Vec<usize>,
        valid: NullBufferBuilder,
    },
    Record {
        fields: Fields,
        columns: Vec<Builder>,
        valid: NullBufferBuilder,
        len: usize,
    },
    /// A type of which rows cannot hold values; batches can.
    Nulls(usize),
}

impl Builder {
    /// An empty column.
    pub(crate) fn new(data_type: &DataType) -> Self {
        Self::nested(data_type, 0)
    }

    fn nested(data_type: &DataType, depth: usize) -> Self {
        let cells = match data_type {
            _ if depth > MAX_DEPTH => Cells::Nulls(0),
            DataType::Boolean => Cells::Bool(BooleanBuilder::new()),
            DataType::UInt64 => Cells::UInt(UInt64Builder::new()),
            DataType::Timestamp(..) | DataType::Duration(_) | DataType::Date32 | DataType::Date64 => {
                Cells::Int(Int64Builder::new())
            }
            other if other.is_integer() => Cells::Int(Int64Builder::new()),
            other if other.is_floating() => Cells::Float(Float64Builder::new()),
            DataType::Decimal128(..) => {
                Cells::Decimal(Decimal128Builder::new().with_data_type(data_type.clone()))
            }
            other if types::is_text(other) => Cells::Text(StringBuilder::new()),
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView => {
                Cells::Bytes(BinaryBuilder::new())
            }
            DataType::List(item) => Cells::List {
                items: Box::new(Self::nested(item.data_type(), depth + 1)),
                lengths: Vec::new(),
                valid: NullBufferBuilder::new(0),
            },
            DataType::Struct(fields) => Cells::Record {
                fields: fields.clone(),
                columns: fields.iter().map(|field| Self::nested(field.data_type(), depth + 1)).collect(),
                valid: NullBufferBuilder::new(0),
                len: 0,
            },
            _ => Cells::Nulls(0),
        };
        Self { data_type: data_type.clone(), cells }
    }

    /// Adds a value, or a null where it does not fit; gives how many values did not.
    pub(crate) fn push(&mut self, value: &Value<'_>) -> u64 {
        let some = u64::from(*value != Value::Null);
        match &mut self.cells {
            Cells::Bool(cells) => {
                let fit = if let Value::Bool(value) = value { Some(*value) } else { None };
                cells.append_option(fit);
                lost(some, fit.is_some())
            }
            Cells::Int(cells) => {
                let fit = whole(value, &self.data_type);
                cells.append_option(fit);
                lost(some, fit.is_some())
            }
            Cells::UInt(cells) => {
                let fit = match value {
                    Value::UInt(value) => Some(*value),
                    other => whole(other, &DataType::Int64).and_then(|value| u64::try_from(value).ok()),
                };
                cells.append_option(fit);
                lost(some, fit.is_some())
            }
            Cells::Float(cells) => {
                let fit = match value {
                    Value::Float(value) => Some(*value),
                    Value::Int(value) => Some(*value as f64),
                    Value::UInt(value) => Some(*value as f64),
                    Value::Decimal(digits) => digits.parse().ok(),
                    _ => None,
                };
                cells.append_option(fit);
                lost(some, fit.is_some())
            }
            Cells::Decimal(cells) => {
                let fit = match &self.data_type {
                    DataType::Decimal128(precision, scale) => unscaled(value, *precision, *scale),
                    _ => None,
                };
                cells.append_option(fit);
                lost(some, fit.is_some())
            }
            Cells::Text(cells) => {
                let fit = match value {
                    Value::Text(text) | Value::Decimal(text) => Some(text.as_ref()),
                    _ => None,
                };
                cells.append_option(fit);
                lost(some, fit.is_some())
            }
            Cells::Bytes(cells) => {
                let fit = match value {
                    Value::Bytes(bytes) => Some(bytes.as_ref()),
                    Value::Text(text) => Some(text.as_bytes()),
                    _ => None,
                };
                cells.append_option(fit);
                lost(some, fit.is_some())
            }
            Cells::List { items, lengths, valid } => {
                let given = if let Value::List(given) = value { Some(given) } else { None };
                valid.append(given.is_some());
                lengths.push(given.map_or(0, Vec::len));
                let misfits: u64 = given.into_iter().flatten().map(|item| items.push(item)).sum();
                misfits + lost(some, given.is_some())
            }
            Cells::Record { fields, columns, valid, len } => {
                let is_record = matches!(value, Value::Record(_));
                valid.append(is_record);
                *len += 1;
                let pairs = fields.iter().zip(columns);
                let misfits: u64 = pairs.map(|(field, column)| column.push(value.field(field.name()))).sum();
                misfits + lost(some, is_record)
            }
            Cells::Nulls(len) => {
                *len += 1;
                some
            }
        }
    }

    /// The values so far as an array of the type; the builder is empty then.
    pub(crate) fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        let carrier: ArrayRef = match &mut self.cells {
            Cells::Bool(cells) => Arc::new(cells.finish()),
            Cells::Int(cells) => Arc::new(cells.finish()),
            Cells::UInt(cells) => Arc::new(cells.finish()),
            Cells::Float(cells) => Arc::new(cells.finish()),
            Cells::Decimal(cells) => Arc::new(cells.finish()),
            Cells::Text(cells) => Arc::new(cells.finish()),
            Cells::Bytes(cells) => Arc::new(cells.finish()),
            Cells::List { items, lengths, valid } => {
                let offsets = OffsetBuffer::from_lengths(std::mem::take(lengths));
                let DataType::List(item) = &self.data_type else {
                    return Err(ArrowError::SchemaError("a list column of no list type".to_owned()));
                };
                Arc::new(ListArray::try_new(Arc::clone(item), offsets, items.finish()?, valid.finish())?)
            }
            Cells::Record { fields, columns, valid, len } => {
                let columns = columns.iter_mut().map(Self::finish).collect::<Result<Vec<_>, _>>()?;
                let len = std::mem::take(len);
                Arc::new(StructArray::try_new_with_length(fields.clone(), columns, valid.finish(), len)?)
            }
            Cells::Nulls(len) => new_null_array(&self.data_type, std::mem::take(len)),
        };
        if *carrier.data_type() == self.data_type {
            return Ok(carrier);
        }
        match &self.data_type {
            // Days fit 32 bits: they were held to it.
            DataType::Date32 => cast(&cast(&carrier, &DataType::Int32)?, &self.data_type),
            other => cast(&carrier, other),
        }
    }
}

fn lost(some: u64, fits: bool) -> u64 {
    if fits { 0 } else { some }
}

/// A value as the 64 bits that carry a whole number, a moment or a length of time of this type.
fn whole(value: &Value<'_>, data_type: &DataType) -> Option<i64> {
    let number = match value {
        Value::Int(value) => Some(*value),
        // Cut off, as a cast does; what is beyond 2^53 is not exact any more.
        Value::Float(value) if value.abs() <= 9_007_199_254_740_992.0 => Some(value.trunc() as i64),
        Value::Decimal(_) => {
            unscaled(value, DECIMAL128_MAX_PRECISION, 0).and_then(|number| i64::try_from(number).ok())
        }
        _ => None,
    };
    let range = |min: i64, max: i64| number.filter(|number| (min..=max).contains(number));
    match data_type {
        DataType::Int8 => range(i8::MIN.into(), i8::MAX.into()),
        DataType::Int16 => range(i16::MIN.into(), i16::MAX.into()),
        DataType::Int32 => range(i32::MIN.into(), i32::MAX.into()),
        DataType::UInt8 => range(0, u8::MAX.into()),
        DataType::UInt16 => range(0, u16::MAX.into()),
        DataType::UInt32 => range(0, u32::MAX.into()),
        DataType::Timestamp(unit, _) => match value {
            Value::Time(nanos) => Some(nanos.div_euclid(nanos_of(*unit))),
            Value::Text(text) => Some(times::parse_timestamp(text)?.div_euclid(nanos_of(*unit))),
            _ => number,
        },
        DataType::Duration(unit) => match value {
            Value::Duration(nanos) => Some(nanos / nanos_of(*unit)),
            Value::Text(text) => Some(times::parse_duration(text)? / nanos_of(*unit)),
            _ => number,
        },
        DataType::Date32 => match value {
            Value::Time(nanos) => Some(nanos.div_euclid(NANOS_A_DAY)),
            Value::Text(text) => Some(times::parse_timestamp(text)?.div_euclid(NANOS_A_DAY)),
            _ => range(i32::MIN.into(), i32::MAX.into()),
        },
        DataType::Date64 => match value {
            Value::Time(nanos) => Some(nanos.div_euclid(1_000_000)),
            Value::Text(text) => Some(times::parse_timestamp(text)?.div_euclid(1_000_000)),
            _ => number,
        },
        _ => number,
    }
}

const NANOS_A_DAY: i64 = 86_400_000_000_000;

#[cfg(test)]
mod tests {
    use arrow_array::cast::AsArray;
    use arrow_array::types::{Float32Type, Int8Type, TimestampSecondType};
    use arrow_schema::TimeUnit;

    use super::*;

    fn column(data_type: &DataType, values: &[Value<'_>]) -> (ArrayRef, u64) {
        let mut builder = Builder::new(data_type);
        let misfits = values.iter().map(|value| builder.push(value)).sum();
        (builder.finish().unwrap(), misfits)
    }

    #[test]
    fn what_does_not_fit_is_null_and_counted() {
        let (ints, misfits) = column(
            &DataType::Int8,
            &[
                Value::Int(1),
                Value::Int(300),
                Value::Float(2.0),
                Value::Float(-2.9),
                Value::Float(128.5),
                Value::Float(f64::NAN),
                Value::Null,
                Value::Bool(true),
            ],
        );
        let ints = ints.as_primitive::<Int8Type>();
        let expected = [Some(1), None, Some(2), Some(-2), None, None, None, None];
        assert_eq!(ints.iter().collect::<Vec<_>>(), expected);
        assert_eq!(misfits, 4);

        let (floats, misfits) = column(&DataType::Float32, &[Value::Int(1), Value::Text("x".into())]);
        assert_eq!(floats.as_primitive::<Float32Type>().iter().collect::<Vec<_>>(), [Some(1.0), None]);
        assert_eq!(misfits, 1);

        let seconds = DataType::Timestamp(TimeUnit::Second, None);
        let (times, misfits) = column(
            &seconds,
            &[
                Value::Time(1_999_999_999),
                Value::Int(7),
                Value::Text("1970-01-01T00:00:09Z".into()),
                Value::Text("x".into()),
            ],
        );
        assert_eq!(
            times.as_primitive::<TimestampSecondType>().iter().collect::<Vec<_>>(),
            [Some(1), Some(7), Some(9), None]
        );
        assert_eq!(misfits, 1);
    }

    #[test]
    fn decimals_keep_their_digits() {
        let decimals = |values: &[Value<'_>]| {
            let (column, misfits) = column(&DataType::Decimal128(5, 2), values);
            (column.as_primitive::<Decimal128Type>().iter().collect::<Vec<_>>(), misfits)
        };
        let of = |digits: &'static str| Value::Decimal(digits.into());
        let (found, misfits) = decimals(&[
            of("-1.10"),
            of("1"),
            of("1.999"),
            of("1000"),
            Value::Int(7),
            Value::Float(0.25),
            of("x"),
        ]);
        assert_eq!(found, [Some(-110), Some(100), Some(199), None, Some(700), Some(25), None]);
        assert_eq!(misfits, 2);
        assert_eq!(column(&DataType::Int64, &[of("9007199254740993.9")]).1, 0);

        let types = |values: &[Value<'_>]| {
            let rows: Vec<_> =
                values.iter().map(|value| Value::Record(vec![("a".into(), value.clone())])).collect();
            infer(&rows)[0].data_type().clone()
        };
        assert_eq!(types(&[of("1.10"), of("0.001"), Value::Int(1)]), DataType::Decimal128(38, 3));
        assert_eq!(types(&[Value::Int(1), of("0.001")]), DataType::Decimal128(38, 3));
        assert_eq!(types(&[of("0.001"), Value::Float(1.0)]), DataType::Float64);
    }

    #[test]
    fn records_and_lists_hold_what_fits_of_them() {
        let row = serde_json::json!({"text": "a", "langs": ["en", 5, null], "more": 1});
        let of = DataType::Struct(
            vec![
                Field::new("langs", types::list(DataType::Utf8), true),
                Field::new("text", DataType::Utf8, true),
                Field::new("gone", DataType::Int64, true),
            ]
            .into(),
        );
        let (rows, misfits) = column(&of, &[Value::of_json(&row), Value::Int(1), Value::Null]);
        assert_eq!(misfits, 2);
        let rows = rows.as_struct();
        assert_eq!(rows.null_count(), 2);
        let langs = rows.column(0).as_list::<i32>().value(0);
        assert_eq!(langs.as_string::<i32>().iter().collect::<Vec<_>>(), [Some("en"), None, None]);
        assert_eq!(rows.column(1).as_string::<i32>().value(0), "a");
        assert!(rows.column(2).is_null(0));
    }

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

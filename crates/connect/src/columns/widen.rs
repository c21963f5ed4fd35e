//! The type that holds the values of two: of a file beside other files, of a row beside other rows.

use std::sync::Arc;

use arrow_schema::{
    DECIMAL128_MAX_PRECISION, DECIMAL256_MAX_PRECISION, DataType, Field, FieldRef, Fields, TimeUnit,
};
use skytide_timestream::types;

/// Deepest nesting of a type whose values are taken.
pub(crate) const MAX_DEPTH: usize = 64;

/// The type that holds the values of both, if there is one. Where there are none, as in a column that is
/// empty in all rows, that is of the type `null`, any type holds them. Records have the fields of both. Whole
/// numbers of which `i64` and `u64` hold some each are decimals, so that none becomes another.
pub(crate) fn both(a: &DataType, b: &DataType) -> Option<DataType> {
    match (a, b) {
        (DataType::Null, other) | (other, DataType::Null) => Some(other.clone()),
        (DataType::List(a), DataType::List(b)) => Some(types::list(both(a.data_type(), b.data_type())?)),
        (DataType::Struct(a), DataType::Struct(b)) => Some(DataType::Struct(fields(a, b)?)),
        _ if a == b => Some(a.clone()),
        (DataType::Map(..), DataType::Map(..)) => {
            let ((key, value), (other_key, other_value)) = (types::entry(a)?, types::entry(b)?);
            Some(types::map(both(key, other_key)?, both(value, other_value)?))
        }
        _ => single(a, b),
    }
}

/// The same of types that are made of no others, and are not one.
fn single(a: &DataType, b: &DataType) -> Option<DataType> {
    let is_date = |of: &DataType| matches!(of, DataType::Date32 | DataType::Date64);
    let is_moment = |of: &DataType| matches!(of, DataType::Timestamp(..));
    let is_time_of_day = |of: &DataType| matches!(of, DataType::Time32(_) | DataType::Time64(_));
    if is_time_of_day(a) && is_time_of_day(b) {
        return Some(DataType::Time64(TimeUnit::Nanosecond));
    }
    if is_date(a) && is_date(b) {
        return Some(DataType::Date64);
    }
    if (is_date(a) && is_moment(b)) || (is_moment(a) && is_date(b)) {
        return Some(types::timestamp());
    }
    if a.is_decimal() && b.is_floating() || a.is_floating() && b.is_decimal() {
        return Some(DataType::Float64);
    }
    match types::common(a, b) {
        Some(of) if !of.is_floating() || a.is_floating() || b.is_floating() => Some(of),
        _ => {
            let ((whole, places), (other_whole, other_places)) = (digits(a)?, digits(b)?);
            decimal(whole.max(other_whole), places.max(other_places))
        }
    }
}

/// The fields of both records: those of the first, then what the second has besides.
fn fields(a: &Fields, b: &Fields) -> Option<Fields> {
    let mut all: Vec<FieldRef> = a.iter().cloned().collect();
    for field in b {
        match all.iter_mut().find(|known| known.name() == field.name()) {
            Some(known) => {
                let shared = both(known.data_type(), field.data_type())?;
                if shared != *known.data_type() {
                    *known = Arc::new(Field::new(known.name(), shared, true));
                }
            }
            None => all.push(Arc::clone(field)),
        }
    }
    Some(all.into())
}

/// How many digits numbers may have before their point, and how many after it.
pub(super) fn digits(data_type: &DataType) -> Option<(i16, i16)> {
    match *data_type {
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale) => {
            Some((i16::from(precision) - i16::from(scale), i16::from(scale)))
        }
        // As many as one of 64 bits has.
        ref whole if whole.is_integer() => Some((20, 0)),
        _ => None,
    }
}

/// The type of decimals with so many digits before the point and after it, if there are any so large.
fn decimal(whole: i16, places: i16) -> Option<DataType> {
    let precision = u8::try_from(whole.checked_add(places)?.max(1)).ok()?;
    let places = i8::try_from(places).ok()?;
    if precision <= DECIMAL128_MAX_PRECISION {
        return Some(DataType::Decimal128(precision, places));
    }
    (precision <= DECIMAL256_MAX_PRECISION).then_some(DataType::Decimal256(precision, places))
}

/// A field whose type is text where nothing is known of it.
pub(crate) fn known(field: &Field) -> Field {
    Field::new(field.name(), filled(field.data_type(), &DataType::Utf8), field.is_nullable())
}

/// A type with this one where nothing is known, and with text where it is nested too deep.
pub(crate) fn filled(data_type: &DataType, unknown: &DataType) -> DataType {
    filled_at(data_type, unknown, 0)
}

fn filled_at(data_type: &DataType, unknown: &DataType, depth: usize) -> DataType {
    let inside = |of: &DataType| filled_at(of, unknown, depth + 1);
    match data_type {
        DataType::Null => unknown.clone(),
        _ if depth > MAX_DEPTH => DataType::Utf8,
        DataType::List(item) => types::list(inside(item.data_type())),
        DataType::Struct(fields) => {
            let field = |field: &FieldRef| Field::new(field.name(), inside(field.data_type()), true);
            DataType::Struct(fields.iter().map(field).collect())
        }
        DataType::Map(..) => match types::entry(data_type) {
            Some((key, value)) => types::map(key.clone(), inside(value)),
            None => data_type.clone(),
        },
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_holds_the_values_of_both_or_there_is_none() {
        let record = |of: DataType| DataType::Struct(vec![Field::new("a", of, true)].into());
        let other = DataType::Struct(vec![Field::new("b", DataType::Int64, true)].into());
        let (moment, date) = (types::timestamp(), DataType::Date32);
        let map = |value| types::map(DataType::Utf8, value);
        for (a, b, expected) in [
            (DataType::Null, DataType::Boolean, Some(DataType::Boolean)),
            (types::list(DataType::Null), types::list(DataType::Int8), Some(types::list(DataType::Int8))),
            (record(DataType::Null), record(DataType::Int8), Some(record(DataType::Int8))),
            (record(DataType::Boolean), record(DataType::Int8), None),
            (map(DataType::Int8), map(DataType::Int64), Some(map(DataType::Int64))),
            (map(DataType::Int8), map(DataType::Utf8), None),
            (date.clone(), moment.clone(), Some(moment)),
            (date.clone(), DataType::Date64, Some(DataType::Date64)),
            (date, DataType::Int64, None),
            (
                DataType::Time32(TimeUnit::Second),
                DataType::Time32(TimeUnit::Millisecond),
                Some(DataType::Time64(TimeUnit::Nanosecond)),
            ),
            (DataType::Int32, DataType::Float32, Some(DataType::Float64)),
            (DataType::UInt64, DataType::Float32, Some(DataType::Float64)),
            (DataType::UInt64, DataType::Int8, Some(DataType::Decimal128(20, 0))),
            (DataType::UInt32, DataType::Int64, Some(DataType::Int64)),
            (DataType::Decimal128(10, 2), DataType::Decimal128(9, 4), Some(DataType::Decimal128(12, 4))),
            (DataType::Decimal32(9, 9), DataType::Decimal128(38, 0), Some(DataType::Decimal256(47, 9))),
            (DataType::Decimal256(76, 0), DataType::Decimal64(3, 3), None),
            (DataType::Decimal128(10, 2), DataType::Int64, Some(DataType::Decimal128(22, 2))),
            (DataType::Decimal128(10, 2), DataType::Float32, Some(DataType::Float64)),
            (DataType::Decimal128(10, 2), DataType::Utf8, None),
        ] {
            assert_eq!(both(&a, &b), expected, "{a} {b}");
            assert_eq!(both(&b, &a), expected, "{b} {a}");
        }
        let fields = |of: &[(&str, DataType)]| {
            DataType::Struct(of.iter().map(|(name, of)| Field::new(*name, of.clone(), true)).collect())
        };
        let all = fields(&[("a", DataType::Int8), ("b", DataType::Int64)]);
        assert_eq!(both(&record(DataType::Int8), &other), Some(all));
    }

    #[test]
    fn what_is_not_known_is_filled_and_what_is_too_deep_is_text() {
        let deep = |leaf: DataType| (0..MAX_DEPTH + 2).fold(leaf, |of, _| types::list(of));
        let cut = (0..=MAX_DEPTH).fold(DataType::Utf8, |of, _| types::list(of));
        assert_eq!(filled(&deep(DataType::Null), &DataType::Int64), cut);
        assert_eq!(filled(&deep(DataType::Boolean), &DataType::Int64), cut);
        let of = |unknown| types::map(DataType::Utf8, types::list(unknown));
        assert_eq!(filled(&of(DataType::Null), &DataType::Int64), of(DataType::Int64));
    }
}

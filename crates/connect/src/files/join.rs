//! The columns of several files as those of one stream: by name, each of the type that holds the values of all.

use std::path::Path;
use std::sync::Arc;

use arrow_schema::{DECIMAL128_MAX_PRECISION, DECIMAL256_MAX_PRECISION, DataType, Field, FieldRef, Fields};
use skytide_timestream::types;

use super::FileError;

/// Adds a file's columns to those of the files before.
///
/// # Errors
/// Both have a column, and no type holds the values of both.
pub(super) fn join(fields: &mut Vec<FieldRef>, own: &Fields, path: &Path) -> Result<(), FileError> {
    for field in own {
        let Some(known) = fields.iter_mut().find(|known| known.name() == field.name()) else {
            fields.push(Arc::clone(field));
            continue;
        };
        let (before, here) = (known.data_type(), field.data_type());
        let both = both(before, here).ok_or_else(|| {
            let mut names = types::names(&[here, before]).into_iter();
            FileError::Differs {
                path: path.to_owned(),
                column: field.name().clone(),
                found: names.next().unwrap_or_default(),
                expected: names.next().unwrap_or_default(),
            }
        })?;
        *known = Arc::new(Field::clone(known).with_data_type(both));
    }
    Ok(())
}

/// The type that holds the values of both, if there is one. Where there are none, as in a column that is empty in all rows, that is of the
/// type `null`, any type holds them.
fn both(a: &DataType, b: &DataType) -> Option<DataType> {
    match (a, b) {
        (DataType::Null, other) | (other, DataType::Null) => Some(other.clone()),
        (DataType::List(a), DataType::List(b)) => Some(types::list(both(a.data_type(), b.data_type())?)),
        // Of records whose fields are others, or stand elsewhere, those of one would be taken for those of the other.
        (DataType::Struct(a), DataType::Struct(b)) if names(a).eq(names(b)) => {
            let fields = a.iter().zip(b).map(|(a, b)| {
                let both = both(a.data_type(), b.data_type())?;
                Some(Field::new(a.name(), both, true))
            });
            Some(DataType::Struct(fields.collect::<Option<_>>()?))
        }
        (DataType::Timestamp(..), DataType::Date32 | DataType::Date64)
        | (DataType::Date32 | DataType::Date64, DataType::Timestamp(..)) => Some(types::timestamp()),
        (DataType::Date32, DataType::Date64) | (DataType::Date64, DataType::Date32) => Some(DataType::Date64),
        _ if a == b => Some(a.clone()),
        _ => match (digits(a), digits(b)) {
            (Some((whole, scale)), Some((other_whole, other_scale))) => {
                decimal(whole.max(other_whole), scale.max(other_scale))
            }
            _ => types::common(a, b),
        },
    }
}

fn names(fields: &Fields) -> impl Iterator<Item = &String> {
    fields.iter().map(|field| field.name())
}

/// How many digits a decimal has before its point, and how many after it.
fn digits(data_type: &DataType) -> Option<(i16, i16)> {
    match *data_type {
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale) => {
            Some((i16::from(precision) - i16::from(scale), i16::from(scale)))
        }
        _ => None,
    }
}

/// The type of decimals with so many digits before the point and after it, if there are any so large.
fn decimal(whole: i16, scale: i16) -> Option<DataType> {
    let (precision, scale) =
        (u8::try_from(whole.checked_add(scale)?.max(1)).ok()?, i8::try_from(scale).ok()?);
    if precision <= DECIMAL128_MAX_PRECISION {
        return Some(DataType::Decimal128(precision, scale));
    }
    (precision <= DECIMAL256_MAX_PRECISION).then_some(DataType::Decimal256(precision, scale))
}

/// Columns with text where no file has a value.
pub(super) fn settled(fields: &Fields) -> Fields {
    fields
        .iter()
        .map(|field| Field::clone(field).with_data_type(with(field.data_type(), &DataType::Utf8)))
        .collect()
}

/// Columns as what they may be: of those without values, which are of any type, numbers, which may be times, keys and what orders rows.
pub(super) fn possible(fields: &Fields) -> Fields {
    fields
        .iter()
        .map(|field| Field::clone(field).with_data_type(with(field.data_type(), &DataType::Int64)))
        .collect()
}

/// A type with this one where there are no values.
fn with(data_type: &DataType, unknown: &DataType) -> DataType {
    match data_type {
        DataType::Null => unknown.clone(),
        DataType::List(item) => types::list(with(item.data_type(), unknown)),
        DataType::Struct(fields) => {
            let within =
                |field: &FieldRef| Field::clone(field).with_data_type(with(field.data_type(), unknown));
            DataType::Struct(fields.iter().map(within).collect())
        }
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
        for (a, b, expected) in [
            (DataType::Null, DataType::Boolean, Some(DataType::Boolean)),
            (types::list(DataType::Null), types::list(DataType::Int8), Some(types::list(DataType::Int8))),
            (record(DataType::Null), record(DataType::Int8), Some(record(DataType::Int8))),
            (record(DataType::Int64), other, None),
            (date.clone(), moment.clone(), Some(moment)),
            (date, DataType::Int64, None),
            (DataType::Int32, DataType::Float32, Some(DataType::Float64)),
            (DataType::Decimal128(10, 2), DataType::Decimal128(9, 4), Some(DataType::Decimal128(12, 4))),
            (DataType::Decimal32(9, 9), DataType::Decimal128(38, 0), Some(DataType::Decimal256(47, 9))),
            (DataType::Decimal256(76, 0), DataType::Decimal64(3, 3), None),
            (DataType::Decimal128(10, 2), DataType::Int64, None),
        ] {
            assert_eq!(both(&a, &b), expected, "{a} {b}");
            assert_eq!(both(&b, &a), expected, "{b} {a}");
        }
    }
}

//! Plain values to Arrow arrays and back: the only place where the test kit meets the engine's columns.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, DurationNanosecondType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, TimestampNanosecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{
    Array, ArrayRef, BinaryArray, BooleanArray, ListArray, MapArray, NullArray, PrimitiveArray, StringArray,
    StructArray,
};
use arrow_buffer::{NullBuffer, OffsetBuffer};
use arrow_schema::{ArrowError, DataType, TimeUnit};

use skytide_timestream::types;

use crate::value::{Val, record};

/// An array of values of a type.
///
/// # Errors
/// A type that the tests do not use, or values that are not of the type.
pub fn array(values: &[Val], data_type: &DataType) -> Result<ArrayRef, ArrowError> {
    let not_null = || Some(NullBuffer::from_iter(values.iter().map(|value| !value.is_null())));
    Ok(match data_type {
        DataType::Null => Arc::new(NullArray::new(values.len())),
        DataType::Boolean => Arc::new(BooleanArray::from_iter(values.iter().map(|value| match value {
            Val::Bool(value) => Some(*value),
            _ => None,
        }))),
        DataType::Int8 => ints::<Int8Type>(values),
        DataType::Int16 => ints::<Int16Type>(values),
        DataType::Int32 => ints::<Int32Type>(values),
        DataType::Int64 => ints::<Int64Type>(values),
        DataType::UInt8 => ints::<UInt8Type>(values),
        DataType::UInt16 => ints::<UInt16Type>(values),
        DataType::UInt32 => ints::<UInt32Type>(values),
        DataType::UInt64 => ints::<UInt64Type>(values),
        DataType::Float32 => primitive::<Float32Type>(values, |value| match value {
            Val::Float(value) => Some(*value as f32),
            _ => None,
        }),
        DataType::Float64 => primitive::<Float64Type>(values, |value| match value {
            Val::Float(value) => Some(*value),
            _ => None,
        }),
        DataType::Utf8 => Arc::new(StringArray::from_iter(values.iter().map(|value| match value {
            Val::Text(text) => Some(text),
            _ => None,
        }))),
        DataType::Binary => Arc::new(BinaryArray::from_iter(values.iter().map(|value| match value {
            Val::Bytes(bytes) => Some(bytes),
            _ => None,
        }))),
        DataType::Timestamp(TimeUnit::Nanosecond, zone) => {
            let times = values.iter().map(|value| match value {
                Val::Time(nanos) => Some(*nanos),
                _ => None,
            });
            let times = PrimitiveArray::<TimestampNanosecondType>::from_iter(times);
            Arc::new(times.with_timezone_opt(zone.clone()))
        }
        DataType::Duration(TimeUnit::Nanosecond) => {
            primitive::<DurationNanosecondType>(values, |value| match value {
                Val::Duration(nanos) => Some(*nanos),
                _ => None,
            })
        }
        DataType::List(item) => {
            let mut items = Vec::new();
            let lengths: Vec<usize> = values
                .iter()
                .map(|value| match value {
                    Val::List(list) => {
                        items.extend(list.iter().cloned());
                        list.len()
                    }
                    _ => 0,
                })
                .collect();
            let items = array(&items, item.data_type())?;
            let offsets = OffsetBuffer::from_lengths(lengths);
            Arc::new(ListArray::try_new(Arc::clone(item), offsets, items, not_null())?)
        }
        DataType::Map(entry, sorted) => {
            let (key, value) = types::entry(data_type)
                .ok_or_else(|| ArrowError::SchemaError(format!("{data_type} has no entries")))?;
            let entries = values.iter().map(|value| match value {
                Val::Map(entries) => entries.as_slice(),
                _ => &[],
            });
            let lengths = entries.clone().map(<[_]>::len);
            let (keys, held): (Vec<Val>, Vec<Val>) = entries.flatten().cloned().unzip();
            let DataType::Struct(parts) = entry.data_type() else {
                return Err(ArrowError::SchemaError(format!("{data_type} has no entries")));
            };
            let held =
                StructArray::try_new(parts.clone(), vec![array(&keys, key)?, array(&held, value)?], None)?;
            let offsets = OffsetBuffer::from_lengths(lengths);
            Arc::new(MapArray::try_new(Arc::clone(entry), offsets, held, not_null(), *sorted)?)
        }
        DataType::Struct(fields) => {
            let columns = fields.iter().map(|field| {
                let column: Vec<Val> = values.iter().map(|value| value.field(field.name())).collect();
                array(&column, field.data_type())
            });
            let columns = columns.collect::<Result<_, _>>()?;
            Arc::new(StructArray::try_new_with_length(fields.clone(), columns, not_null(), values.len())?)
        }
        other => return Err(ArrowError::NotYetImplemented(format!("arrays of {other} in the test kit"))),
    })
}

fn primitive<T: ArrowPrimitiveType>(values: &[Val], get: fn(&Val) -> Option<T::Native>) -> ArrayRef {
    Arc::new(PrimitiveArray::<T>::from_iter(values.iter().map(get)))
}

fn ints<T: ArrowPrimitiveType>(values: &[Val]) -> ArrayRef
where
    T::Native: TryFrom<i128>,
{
    primitive::<T>(values, |value| match value {
        Val::Int(value) => T::Native::try_from(*value).ok(),
        _ => None,
    })
}

/// The values of an array.
///
/// # Errors
/// A type that the tests do not use.
pub fn values(array: &dyn Array) -> Result<Vec<Val>, ArrowError> {
    let mut found: Vec<Val> = match array.data_type() {
        DataType::Null => vec![Val::Null; array.len()],
        DataType::Boolean => array.as_boolean().values().iter().map(Val::Bool).collect(),
        DataType::Int8 => plain::<Int8Type>(array, |value| Val::Int(value.into())),
        DataType::Int16 => plain::<Int16Type>(array, |value| Val::Int(value.into())),
        DataType::Int32 => plain::<Int32Type>(array, |value| Val::Int(value.into())),
        DataType::Int64 => plain::<Int64Type>(array, |value| Val::Int(value.into())),
        DataType::UInt8 => plain::<UInt8Type>(array, |value| Val::Int(value.into())),
        DataType::UInt16 => plain::<UInt16Type>(array, |value| Val::Int(value.into())),
        DataType::UInt32 => plain::<UInt32Type>(array, |value| Val::Int(value.into())),
        DataType::UInt64 => plain::<UInt64Type>(array, |value| Val::Int(value.into())),
        DataType::Float32 => plain::<Float32Type>(array, |value| Val::Float(value.into())),
        DataType::Float64 => plain::<Float64Type>(array, Val::Float),
        DataType::Utf8 => {
            let texts = array.as_string::<i32>();
            (0..texts.len()).map(|at| Val::Text(texts.value(at).to_owned())).collect()
        }
        DataType::Binary => {
            let bytes = array.as_binary::<i32>();
            (0..bytes.len()).map(|at| Val::Bytes(bytes.value(at).to_vec())).collect()
        }
        DataType::Timestamp(TimeUnit::Nanosecond, _) => plain::<TimestampNanosecondType>(array, Val::Time),
        DataType::Duration(TimeUnit::Nanosecond) => plain::<DurationNanosecondType>(array, Val::Duration),
        DataType::List(_) => {
            let lists = array.as_list::<i32>();
            (0..lists.len())
                .map(|at| Ok(Val::List(values(&lists.value(at))?)))
                .collect::<Result<_, ArrowError>>()?
        }
        DataType::Map(..) => {
            let maps = array.as_map();
            let (keys, held) = (values(maps.keys())?, values(maps.values())?);
            let ends = maps.value_offsets();
            let row = |at: usize| {
                (ends[at] as usize..ends[at + 1] as usize).map(|at| (keys[at].clone(), held[at].clone()))
            };
            (0..maps.len()).map(|at| Val::Map(row(at).collect())).collect()
        }
        DataType::Struct(fields) => {
            let columns: Vec<Vec<Val>> =
                array.as_struct().columns().iter().map(|column| values(column)).collect::<Result<_, _>>()?;
            let row = |at: usize| record(fields, columns.iter().map(|column| column[at].clone()).collect());
            (0..array.len()).map(row).collect()
        }
        other => return Err(ArrowError::NotYetImplemented(format!("values of {other} in the test kit"))),
    };
    for (at, value) in found.iter_mut().enumerate() {
        if array.is_null(at) {
            *value = Val::Null;
        }
    }
    Ok(found)
}

fn plain<T: ArrowPrimitiveType>(array: &dyn Array, value: fn(T::Native) -> Val) -> Vec<Val> {
    array.as_primitive::<T>().values().iter().map(|&native| value(native)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::{parse, parse_type};

    #[test]
    fn values_survive_the_way_through_arrays() {
        for (data_type, texts) in [
            ("bool", ["true", "null", "false"]),
            ("i8", ["-128", "null", "127"]),
            ("u64", ["18446744073709551615", "null", "0"]),
            ("f32", ["0.1", "null", "-0.0"]),
            ("f64", ["0.1", "NaN", "-0.0"]),
            ("utf8", ["\"\"", "null", "ä"]),
            ("binary", ["0x", "null", "0x00ff"]),
            ("timestamp", ["00:00:01", "null", "1969-12-31T00:00:00Z"]),
            ("duration", ["1h", "null", "-1s"]),
            ("list<list<i64>>", ["[[1], null, []]", "null", "[]"]),
            ("map<utf8,i64>", ["{a: 1, b: null}", "null", "{}"]),
            ("struct<a:i64,b:list<utf8>>", ["{a: 1, b: [x]}", "null", "{a: null, b: null}"]),
        ] {
            let data_type = parse_type(data_type).unwrap();
            let before: Vec<Val> = texts.iter().map(|text| parse(text, &data_type).unwrap()).collect();
            let array = array(&before, &data_type).unwrap();
            assert_eq!(array.data_type(), &data_type);
            let after = values(&array).unwrap();
            assert!(
                before.len() == after.len() && before.iter().zip(&after).all(|(x, y)| x.same(y)),
                "{after:?}"
            );
        }
    }
}

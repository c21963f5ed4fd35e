//! The hash of a value, which decides its shard: fixed for ever, on every machine, since snapshots are kept by it.
//!
//! XXH3 (64 bits, seed 0) of the value's canonical bytes; null is 0. Canonical bytes, little-endian:
//!
//! | type | bytes |
//! |---|---|
//! | bool | one, 0 or 1 |
//! | ints, dates, times, timestamps, durations | 8, widened with its sign: equal numbers of different widths are equal |
//! | floats | 8, as f64; -0.0 as 0.0, every NaN as `0x7ff8000000000000` |
//! | decimals | 32, the number without its point, widened with its sign |
//! | calendar intervals | 24: months, days, nanoseconds |
//! | text, binary, fixed-size binary | its bytes |
//! | struct | its fields in order, each as an *item* |
//! | list, map | the number of items as 8 bytes, then the items |
//!
//! An *item* is 0 for null, else 1 followed by its canonical bytes; those of text and binary follow their length in 8 bytes.
//! Other types, which the language does not have as keys, hash to 0.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ByteArrayType, Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type, IntervalDayTimeType,
    IntervalMonthDayNanoType, IntervalYearMonthType,
};
use arrow_array::{Array, ArrayRef, BooleanArray, GenericByteArray, PrimitiveArray};
use arrow_buffer::{NullBuffer, ScalarBuffer, i256};
use arrow_schema::{ArrowError, DataType, IntervalUnit};
use twox_hash::XxHash3_64;

use super::array::{carried, retyped, with_carrier};

/// Number of virtual shards of a keyed operator.
pub const SHARDS: usize = 256;

/// The virtual shard of a key, by its hash.
#[must_use]
pub const fn shard(hash: u64) -> u8 {
    (hash % SHARDS as u64) as u8
}

/// The hash of each value; see the module.
#[must_use]
pub fn hash(values: &dyn Array) -> ScalarBuffer<u64> {
    let mut hashes: Vec<u64> = match values.data_type() {
        DataType::Boolean => {
            values.as_boolean().values().iter().map(|value| hash_bytes(&[u8::from(value)])).collect()
        }
        DataType::Utf8 => of_bytes(values.as_string::<i32>()),
        DataType::LargeUtf8 => of_bytes(values.as_string::<i64>()),
        DataType::Binary => of_bytes(values.as_binary::<i32>()),
        DataType::LargeBinary => of_bytes(values.as_binary::<i64>()),
        _ => match widen(values) {
            Some(bits) => bits.iter().map(|bits| hash_bits(*bits)).collect(),
            None => {
                let mut bytes = Vec::new();
                let of_row = |row| {
                    bytes.clear();
                    if canonical(values, row, &mut bytes) { hash_bytes(&bytes) } else { 0 }
                };
                (0..values.len()).map(of_row).collect()
            }
        },
    };
    if let Some(nulls) = values.logical_nulls().filter(|nulls| nulls.null_count() > 0) {
        for (hash, valid) in hashes.iter_mut().zip(nulls.iter()) {
            *hash = if valid { *hash } else { 0 };
        }
    }
    hashes.into()
}

#[inline]
pub(super) fn hash_bytes(bytes: &[u8]) -> u64 {
    XxHash3_64::oneshot(bytes)
}

#[inline]
pub(super) fn hash_bits(bits: u64) -> u64 {
    XxHash3_64::oneshot(&bits.to_le_bytes())
}

fn of_bytes<T: ByteArrayType>(values: &GenericByteArray<T>) -> Vec<u64> {
    (0..values.len()).map(|row| hash_bytes(values.value(row).as_ref())).collect()
}

/// A number's 64 canonical bits; equal bits are equal keys.
pub(super) trait Bits {
    fn bits(self) -> u64;
    /// The number whose bits these are.
    fn from_bits(bits: u64) -> Self;
}

macro_rules! bits {
    ($($native:ty as $wide:ty),*) => { $(impl Bits for $native {
        #[inline]
        fn bits(self) -> u64 { <$wide>::from(self) as u64 }
        #[inline]
        fn from_bits(bits: u64) -> Self { bits as Self }
    })* };
}
bits!(i8 as i64, i16 as i64, i32 as i64, i64 as i64, u8 as u64, u16 as u64, u32 as u64, u64 as u64);

impl Bits for f32 {
    fn bits(self) -> u64 {
        f64::from(self).bits()
    }

    fn from_bits(bits: u64) -> Self {
        f64::from_bits(bits) as Self
    }
}

impl Bits for f64 {
    #[inline]
    fn bits(self) -> u64 {
        if self.is_nan() { 0x7ff8_0000_0000_0000 } else { (self + 0.0).to_bits() }
    }

    fn from_bits(bits: u64) -> Self {
        Self::from_bits(bits)
    }
}

/// The canonical bits of numbers, dates and times; none for other types. What stands under nulls means nothing.
pub(super) fn widen(values: &dyn Array) -> Option<ScalarBuffer<u64>> {
    with_carrier!(values.data_type(), T => {
        let values = carried::<T>(values).ok()?;
        Some(values.values().iter().map(|value| value.bits()).collect())
    }, else None)
}

/// Values of a type from their canonical bits; booleans from 0 and 1.
pub(super) fn narrow(
    bits: impl Iterator<Item = u64>,
    nulls: Option<NullBuffer>,
    to: &DataType,
) -> Result<ArrayRef, ArrowError> {
    if to == &DataType::Boolean {
        return Ok(Arc::new(BooleanArray::new(bits.map(|bits| bits != 0).collect(), nulls)));
    }
    with_carrier!(to, T => {
        let values = bits.map(Bits::from_bits).collect();
        retyped(PrimitiveArray::<T>::try_new(values, nulls)?, to)
    }, else Err(ArrowError::InvalidArgumentError(format!("{to} is not a number"))))
}

/// Appends the canonical bytes of a value that is not null; false for types that have none.
fn canonical(values: &dyn Array, row: usize, out: &mut Vec<u8>) -> bool {
    match values.data_type() {
        DataType::Boolean => out.push(u8::from(values.as_boolean().value(row))),
        DataType::Utf8 => out.extend(values.as_string::<i32>().value(row).as_bytes()),
        DataType::LargeUtf8 => out.extend(values.as_string::<i64>().value(row).as_bytes()),
        DataType::Binary => out.extend(values.as_binary::<i32>().value(row)),
        DataType::LargeBinary => out.extend(values.as_binary::<i64>().value(row)),
        DataType::FixedSizeBinary(_) => out.extend(values.as_fixed_size_binary().value(row)),
        DataType::Struct(_) => return values.as_struct().columns().iter().all(|field| item(field, row, out)),
        DataType::List(_) => {
            let list = values.as_list::<i32>();
            return items(
                list.values(),
                list.value_offsets()[row] as usize,
                list.value_offsets()[row + 1] as usize,
                out,
            );
        }
        DataType::LargeList(_) => {
            let list = values.as_list::<i64>();
            return items(
                list.values(),
                list.value_offsets()[row] as usize,
                list.value_offsets()[row + 1] as usize,
                out,
            );
        }
        DataType::FixedSizeList(_, size) => {
            let size = usize::try_from(*size).unwrap_or(0);
            let list = values.as_fixed_size_list();
            return items(list.values(), row * size, (row + 1) * size, out);
        }
        DataType::Map(_, _) => {
            let map = values.as_map();
            return items(
                map.entries(),
                map.value_offsets()[row] as usize,
                map.value_offsets()[row + 1] as usize,
                out,
            );
        }
        DataType::Decimal32(..) => whole(values.as_primitive::<Decimal32Type>().value(row).into(), out),
        DataType::Decimal64(..) => whole(values.as_primitive::<Decimal64Type>().value(row).into(), out),
        DataType::Decimal128(..) => whole(values.as_primitive::<Decimal128Type>().value(row), out),
        DataType::Decimal256(..) => {
            out.extend(values.as_primitive::<Decimal256Type>().value(row).to_le_bytes());
        }
        DataType::Interval(IntervalUnit::YearMonth) => {
            span(values.as_primitive::<IntervalYearMonthType>().value(row), 0, 0, out);
        }
        DataType::Interval(IntervalUnit::DayTime) => {
            let length = values.as_primitive::<IntervalDayTimeType>().value(row);
            span(0, length.days, i64::from(length.milliseconds) * 1_000_000, out);
        }
        DataType::Interval(IntervalUnit::MonthDayNano) => {
            let length = values.as_primitive::<IntervalMonthDayNanoType>().value(row);
            span(length.months, length.days, length.nanoseconds, out);
        }
        _ => match widen(&values.slice(row, 1)) {
            Some(bits) => out.extend(bits[0].to_le_bytes()),
            None => return false,
        },
    }
    true
}

fn whole(unscaled: i128, out: &mut Vec<u8>) {
    out.extend(i256::from_i128(unscaled).to_le_bytes());
}

fn span(months: i32, days: i32, nanos: i64, out: &mut Vec<u8>) {
    [months.into(), days.into(), nanos].iter().for_each(|part: &i64| out.extend(part.to_le_bytes()));
}

/// Bytes that are equal for equal values of a type and for no others, null among them; none for types that have none.
pub(crate) fn identity(values: &dyn Array, row: usize) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    item(values, row, &mut bytes).then_some(bytes)
}

fn items(values: &dyn Array, start: usize, end: usize, out: &mut Vec<u8>) -> bool {
    out.extend(((end - start) as u64).to_le_bytes());
    (start..end).all(|row| item(values, row, out))
}

fn item(values: &dyn Array, row: usize, out: &mut Vec<u8>) -> bool {
    if values.is_null(row) || values.data_type().is_null() {
        out.push(0);
        return true;
    }
    out.push(1);
    let variable = matches!(
        values.data_type(),
        DataType::Utf8
            | DataType::LargeUtf8
            | DataType::Binary
            | DataType::LargeBinary
            | DataType::FixedSizeBinary(_)
    );
    let start = out.len();
    if variable {
        out.extend([0; 8]);
    }
    let known = canonical(values, row, out);
    if variable {
        let length = (out.len() - start - 8) as u64;
        out[start..start + 8].copy_from_slice(&length.to_le_bytes());
    }
    known
}

//! The hash of a value, which decides its shard: fixed for ever, on every machine, since snapshots are kept by it.
//!
//! XXH3 (64 bits, seed 0) of the value's canonical bytes; null is 0. Canonical bytes, little-endian:
//!
//! | type | bytes |
//! |---|---|
//! | bool | one, 0 or 1 |
//! | ints, dates, times, timestamps, durations | 8, widened with its sign: equal numbers of different widths are equal |
//! | floats | 8, as f64; -0.0 as 0.0, every NaN as `0x7ff8000000000000` |
//! | decimals | 34: the digits as a whole number of 32 bytes, without zeros at its end, then in 2 how many of them stand after the point: equal numbers of different widths and scales are equal |
//! | calendar intervals | 24: months, days and nanoseconds, 8 each |
//! | text, binary, fixed-size binary | its bytes |
//! | struct | its fields in order, each as an *item* |
//! | list, map | the number of items as 8 bytes, then the items |
//! | union | the number of its field as one byte, then its value as an *item* |
//!
//! An *item* is 0 for null, else 1 followed by its canonical bytes; those of text and binary follow their
//! length in 8 bytes. A value of a dictionary, of a run or of a view is what it stands for.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{self as t, ArrowDictionaryKeyType, ByteArrayType, RunEndIndexType};
use arrow_array::{
    Array, ArrayRef, BooleanArray, GenericByteArray, GenericListViewArray, OffsetSizeTrait, PrimitiveArray,
};
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
        DataType::Utf8View => out.extend(values.as_string_view().value(row).as_bytes()),
        DataType::Binary => out.extend(values.as_binary::<i32>().value(row)),
        DataType::LargeBinary => out.extend(values.as_binary::<i64>().value(row)),
        DataType::BinaryView => out.extend(values.as_binary_view().value(row)),
        DataType::FixedSizeBinary(_) => out.extend(values.as_fixed_size_binary().value(row)),
        DataType::Float16 => {
            let value = values.as_primitive::<t::Float16Type>().value(row);
            out.extend(f64::from(value).bits().to_le_bytes());
        }
        DataType::Decimal32(_, scale) => {
            small_decimal(values.as_primitive::<t::Decimal32Type>().value(row).into(), *scale, out);
        }
        DataType::Decimal64(_, scale) => {
            small_decimal(values.as_primitive::<t::Decimal64Type>().value(row).into(), *scale, out);
        }
        DataType::Decimal128(_, scale) => {
            small_decimal(values.as_primitive::<t::Decimal128Type>().value(row), *scale, out);
        }
        DataType::Decimal256(_, scale) => {
            decimal(values.as_primitive::<t::Decimal256Type>().value(row), (*scale).into(), out);
        }
        DataType::Interval(unit) => {
            out.extend(interval(values, *unit, row).map(i64::to_le_bytes).as_flattened());
        }
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
        DataType::ListView(_) => return viewed(values.as_list_view::<i32>(), row, out),
        DataType::LargeListView(_) => return viewed(values.as_list_view::<i64>(), row, out),
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
        DataType::Union(..) => {
            let union = values.as_union();
            let field = union.type_id(row);
            out.extend(field.to_le_bytes());
            return item(union.child(field), union.value_offset(row), out);
        }
        DataType::Dictionary(..) | DataType::RunEndEncoded(..) => {
            return stands_for(values, row).is_some_and(|(values, row)| canonical(values, row, out));
        }
        _ => match widen(&values.slice(row, 1)) {
            Some(bits) => out.extend(bits[0].to_le_bytes()),
            None => return false,
        },
    }
    true
}

/// A decimal of these digits, so many of them after the point: none of the zeros at their end counts.
fn decimal(mut digits: i256, mut places: i16, out: &mut Vec<u8>) {
    let ten = i256::from_i128(10);
    while digits != i256::ZERO && digits % ten == i256::ZERO {
        (digits, places) = (digits / ten, places - 1);
    }
    out.extend(digits.to_le_bytes());
    out.extend(if digits == i256::ZERO { 0 } else { places }.to_le_bytes());
}

/// The same of those that fit the division of the machine, which is much faster.
fn small_decimal(mut digits: i128, scale: i8, out: &mut Vec<u8>) {
    let mut places = i16::from(scale);
    while digits != 0 && digits % 10 == 0 {
        (digits, places) = (digits / 10, places - 1);
    }
    decimal(i256::from_i128(digits), places, out);
}

/// Months, days and nanoseconds.
fn interval(values: &dyn Array, unit: IntervalUnit, row: usize) -> [i64; 3] {
    match unit {
        IntervalUnit::YearMonth => {
            [values.as_primitive::<t::IntervalYearMonthType>().value(row).into(), 0, 0]
        }
        IntervalUnit::DayTime => {
            let value = values.as_primitive::<t::IntervalDayTimeType>().value(row);
            [0, value.days.into(), i64::from(value.milliseconds) * 1_000_000]
        }
        IntervalUnit::MonthDayNano => {
            let value = values.as_primitive::<t::IntervalMonthDayNanoType>().value(row);
            [value.months.into(), value.days.into(), value.nanoseconds]
        }
    }
}

fn viewed<O: OffsetSizeTrait>(list: &GenericListViewArray<O>, row: usize, out: &mut Vec<u8>) -> bool {
    let start = list.value_offset(row).as_usize();
    items(list.values(), start, start + list.value_size(row).as_usize(), out)
}

/// The value that a dictionary or a run has for a row; of other types, and where a dictionary has none, nothing.
fn stands_for(values: &dyn Array, row: usize) -> Option<(&dyn Array, usize)> {
    fn of_key<K: ArrowDictionaryKeyType>(values: &dyn Array, row: usize) -> Option<(&dyn Array, usize)> {
        let values = values.as_dictionary::<K>();
        Some((values.values().as_ref(), values.key(row)?))
    }
    fn of_run<R: RunEndIndexType>(values: &dyn Array, row: usize) -> Option<(&dyn Array, usize)> {
        let values = values.as_run::<R>();
        Some((values.values().as_ref(), values.get_physical_index(row)))
    }
    match values.data_type() {
        DataType::Dictionary(key, _) => match **key {
            DataType::Int8 => of_key::<t::Int8Type>(values, row),
            DataType::Int16 => of_key::<t::Int16Type>(values, row),
            DataType::Int32 => of_key::<t::Int32Type>(values, row),
            DataType::Int64 => of_key::<t::Int64Type>(values, row),
            DataType::UInt8 => of_key::<t::UInt8Type>(values, row),
            DataType::UInt16 => of_key::<t::UInt16Type>(values, row),
            DataType::UInt32 => of_key::<t::UInt32Type>(values, row),
            DataType::UInt64 => of_key::<t::UInt64Type>(values, row),
            _ => None,
        },
        DataType::RunEndEncoded(ends, _) => match ends.data_type() {
            DataType::Int16 => of_run::<t::Int16Type>(values, row),
            DataType::Int32 => of_run::<t::Int32Type>(values, row),
            DataType::Int64 => of_run::<t::Int64Type>(values, row),
            _ => None,
        },
        _ => None,
    }
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
    if let Some((values, row)) = stands_for(values, row) {
        return item(values, row, out);
    }
    out.push(1);
    let variable = matches!(
        values.data_type(),
        DataType::Utf8
            | DataType::LargeUtf8
            | DataType::Utf8View
            | DataType::Binary
            | DataType::LargeBinary
            | DataType::BinaryView
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

#[cfg(test)]
mod tests {
    use arrow_array::builder::{FixedSizeListBuilder, Int8Builder, MapBuilder, StringBuilder};
    use arrow_array::{
        Date32Array, Date64Array, Decimal32Array, Decimal64Array, Decimal128Array, Decimal256Array,
        DictionaryArray, DurationSecondArray, FixedSizeBinaryArray, Int8Array, Int32Array, Int64Array,
        IntervalDayTimeArray, IntervalMonthDayNanoArray, IntervalYearMonthArray, LargeStringArray, NullArray,
        RunArray, StringArray, StringViewArray, StructArray, Time32SecondArray, Time64MicrosecondArray,
        UnionArray,
    };
    use arrow_buffer::{IntervalDayTime, IntervalMonthDayNano};
    use arrow_cast::cast;
    use arrow_schema::{Field, Fields};

    use super::*;

    fn hashes(values: &dyn Array) -> Vec<u64> {
        hash(values).to_vec()
    }

    #[test]
    fn hashes_stay_what_they_are() {
        let int = 9_324_454_920_402_081_455;
        assert_eq!(hashes(&Int8Array::from(vec![Some(7), None])), [int, 0]);
        let sevens: [ArrayRef; 7] = [
            Arc::new(Int64Array::from(vec![7])),
            Arc::new(Date32Array::from(vec![7])),
            Arc::new(Date64Array::from(vec![7])),
            Arc::new(Time32SecondArray::from(vec![7])),
            Arc::new(Time64MicrosecondArray::from(vec![7])),
            Arc::new(DurationSecondArray::from(vec![7])),
            Arc::new(Int32Array::from(vec![7])),
        ];
        for seven in sevens {
            assert_eq!(hashes(&seven), [int], "{}", seven.data_type());
        }
        let bytes = FixedSizeBinaryArray::try_from_iter([b"ab"].into_iter()).unwrap();
        let mut list = FixedSizeListBuilder::new(Int8Builder::new(), 2);
        list.values().append_slice(&[7, 8]);
        list.append(true);
        let mut map = MapBuilder::new(None, StringBuilder::new(), Int8Builder::new());
        map.keys().append_value("a");
        map.values().append_value(7);
        map.append(true).unwrap();
        assert_eq!(
            [hashes(&bytes)[0], hashes(&list.finish())[0], hashes(&map.finish())[0]],
            [12_138_170_336_140_424_028, 1_663_729_556_406_296_130, 9_981_249_415_987_129_889]
        );
        let decimals = Decimal128Array::from(vec![Some(150), Some(-3), Some(0), None]);
        assert_eq!(
            hashes(&decimals.with_precision_and_scale(5, 2).unwrap()),
            [13_156_768_823_185_219_987, 12_586_661_740_150_794_689, 16_007_346_102_072_927_439, 0]
        );
        let days = IntervalDayTimeArray::from(vec![IntervalDayTime::new(1, 2)]);
        assert_eq!(hashes(&days), [1_863_989_010_890_736_720]);
    }

    #[test]
    fn equal_decimals_have_one_hash_and_others_another() {
        let digits = [Some(1500), Some(15), Some(-15), Some(0), None];
        let small = digits.map(|digits| digits.map(|digits: i32| digits));
        let expected = hashes(&Decimal32Array::from(small.to_vec()).with_precision_and_scale(9, 3).unwrap());
        let set: std::collections::HashSet<_> = expected.iter().collect();
        assert_eq!(set.len(), 5);
        let wide = |by: i64| digits.map(|digits| digits.map(|digits| i64::from(digits) * by)).to_vec();
        assert_eq!(
            hashes(&Decimal64Array::from(wide(10)).with_precision_and_scale(18, 4).unwrap()),
            expected
        );
        let wider = wide(1000).iter().map(|digits| digits.map(i128::from)).collect::<Vec<_>>();
        assert_eq!(
            hashes(&Decimal128Array::from(wider.clone()).with_precision_and_scale(38, 6).unwrap()),
            expected
        );
        let widest = wider.iter().map(|digits| digits.map(i256::from_i128)).collect::<Vec<_>>();
        assert_eq!(hashes(&Decimal256Array::from(widest).with_precision_and_scale(76, 6).unwrap()), expected);
        let whole = Decimal128Array::from(vec![15, 2]).with_precision_and_scale(38, -2).unwrap();
        let same = Decimal128Array::from(vec![1500, 200]).with_precision_and_scale(38, 0).unwrap();
        assert_eq!(hashes(&whole), hashes(&same));
    }

    #[test]
    fn what_is_encoded_hashes_as_what_it_stands_for() {
        let texts = StringArray::from(vec![Some("a"), Some("a"), None, Some("a longer text than a view")]);
        let encoded: [ArrayRef; 4] = [
            Arc::new(texts.iter().collect::<DictionaryArray<t::Int8Type>>()),
            Arc::new(texts.iter().collect::<RunArray<t::Int32Type>>()),
            Arc::new(texts.iter().collect::<StringViewArray>()),
            Arc::new(texts.iter().collect::<LargeStringArray>()),
        ];
        let inside = |values: ArrayRef| {
            let fields = Fields::from(vec![Field::new("x", values.data_type().clone(), true)]);
            StructArray::new(fields, vec![values], None)
        };
        for values in encoded {
            assert_eq!(hashes(&values), hashes(&texts), "{}", values.data_type());
            assert_eq!(hashes(&values.slice(1, 3)), hashes(&texts.slice(1, 3)), "{}", values.data_type());
            assert_eq!(hashes(&inside(values)), hashes(&inside(Arc::new(texts.clone()))));
        }
        let ints = Int8Builder::new();
        let mut lists = arrow_array::builder::ListBuilder::new(ints);
        lists.append_value([Some(1), None]);
        lists.append_null();
        lists.append_value([Some(3)]);
        let lists = lists.finish();
        let views = cast(&lists, &DataType::ListView(Arc::new(Field::new_list_field(DataType::Int8, true))));
        assert_eq!(hashes(&views.unwrap()), hashes(&lists));
        let halves = cast(&Int8Array::from(vec![1, 2]), &DataType::Float16).unwrap();
        let floats = cast(&Int8Array::from(vec![1, 2]), &DataType::Float64).unwrap();
        assert_eq!(hashes(&halves), hashes(&floats));
    }

    #[test]
    fn intervals_and_unions_have_hashes() {
        let months = IntervalYearMonthArray::from(vec![14, 15]);
        let same = [14, 15].map(|months| IntervalMonthDayNano::new(months, 0, 0));
        assert_eq!(hashes(&months), hashes(&IntervalMonthDayNanoArray::from(same.to_vec())));
        let fields = [
            (0_i8, Arc::new(Field::new("a", DataType::Int8, true))),
            (3, Arc::new(Field::new("b", DataType::Int32, true))),
        ];
        let children: Vec<ArrayRef> =
            vec![Arc::new(Int8Array::from(vec![Some(1), None])), Arc::new(Int32Array::from(vec![1]))];
        let types = ScalarBuffer::from(vec![0_i8, 3, 0]);
        let offsets = ScalarBuffer::from(vec![0, 0, 1]);
        let union =
            UnionArray::try_new(fields.into_iter().collect(), types, Some(offsets), children).unwrap();
        let found = hashes(&union);
        assert!(found[0] != found[1] && found[0] != 0 && found[1] != 0 && found[2] == 0, "{found:?}");
        assert_eq!(hashes(&NullArray::new(2)), [0, 0]);
    }
}

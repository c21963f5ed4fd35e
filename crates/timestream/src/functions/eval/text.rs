//! Text, lists and hashes.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{
    Array, ArrayRef, BooleanArray, Int64Array, PrimitiveArray, StringArray, UInt64Array, new_null_array,
    types::Int64Type,
};
use arrow_buffer::{Buffer, OffsetBuffer};
use arrow_schema::{ArrowError, DataType};
use arrow_select::take::take;

use super::super::{Call, Column, EvalError};
use super::{lists, named, refused};
use crate::engine::array::carried;

/// `len`: characters of text (Unicode scalar values), as i64.
///
/// # Errors
/// The argument is not text.
pub fn len(call: &Call<'_>) -> Result<Column, EvalError> {
    let run = || {
        let values = call.array(0)?;
        let text = texts(&values)?;
        Ok(Arc::new(lengths(text)?) as ArrayRef)
    };
    named("len", run())
}

/// The number of characters of each text, null where it is.
///
/// # Errors
/// None but defects.
pub fn lengths(text: &StringArray) -> Result<Int64Array, ArrowError> {
    let (offsets, bytes) = (text.value_offsets(), text.values().as_slice());
    let lengths: Vec<i64> = if text.is_ascii() {
        offsets.windows(2).map(|ends| i64::from(ends[1] - ends[0])).collect()
    } else {
        // Every character has one byte that does not continue another.
        let starts = |bytes: &[u8]| bytes.iter().map(|byte| i64::from(*byte as i8 >= -0x40)).sum();
        offsets.windows(2).map(|ends| starts(&bytes[ends[0] as usize..ends[1] as usize])).collect()
    };
    Int64Array::try_new(lengths.into(), text.nulls().cloned())
}

/// `lower`: by Unicode's rules, whatever the language.
///
/// # Errors
/// The argument is not text.
pub fn lower(call: &Call<'_>) -> Result<Column, EvalError> {
    named("lower", mapped(call, <[u8]>::make_ascii_lowercase, str::to_lowercase))
}

/// `upper`: by Unicode's rules, whatever the language.
///
/// # Errors
/// The argument is not text.
pub fn upper(call: &Call<'_>) -> Result<Column, EvalError> {
    named("upper", mapped(call, <[u8]>::make_ascii_uppercase, str::to_uppercase))
}

/// ASCII keeps its lengths, so that all values are changed at once.
fn mapped(call: &Call<'_>, ascii: fn(&mut [u8]), any: fn(&str) -> String) -> Result<ArrayRef, ArrowError> {
    let values = call.array(0)?;
    let text = texts(&values)?;
    if !text.is_ascii() {
        return Ok(Arc::new(text.iter().map(|value| value.map(any)).collect::<StringArray>()));
    }
    let (start, end) = (text.value_offsets()[0], text.value_offsets()[text.len()]);
    let mut bytes = text.values()[start as usize..end as usize].to_vec();
    ascii(&mut bytes);
    let offsets = OffsetBuffer::new(text.value_offsets().iter().map(|offset| offset - start).collect());
    Ok(Arc::new(StringArray::try_new(offsets, Buffer::from_vec(bytes), text.nulls().cloned())?))
}

/// `substring(text, start, end)`: characters from `start` up to, not including, `end`; negative places are
/// counted from the end, a null one is no bound (SEMANTICS 2.5). What lies beyond the text is cut off.
///
/// # Errors
/// The arguments are not a text and two whole numbers.
pub fn substring(call: &Call<'_>) -> Result<Column, EvalError> {
    let run = || {
        let (values, start, end) = (call.array(0)?, call.array(1)?, call.array(2)?);
        let text = texts(&values)?;
        let (start, end) = (carried::<Int64Type>(&start)?, carried::<Int64Type>(&end)?);
        let rows = text.iter().zip(start.iter()).zip(end.iter());
        let cut = rows.map(|((text, start), end)| Some(part(text?, start, end)));
        Ok(Arc::new(cut.collect::<StringArray>()) as ArrayRef)
    };
    named("substring", run())
}

fn part(text: &str, start: Option<i64>, end: Option<i64>) -> &str {
    // The byte at which a character starts, or the text ends.
    let byte = |at: i64| {
        if let Ok(at) = usize::try_from(at) {
            return text.char_indices().nth(at).map_or(text.len(), |(byte, _)| byte);
        }
        let from_end = usize::try_from(at.unsigned_abs() - 1).unwrap_or(usize::MAX);
        text.char_indices().nth_back(from_end).map_or(0, |(byte, _)| byte)
    };
    let (start, end) = (start.map_or(0, byte), end.map_or(text.len(), byte));
    text.get(start..end).unwrap_or_default()
}

/// `starts_with`: whether a text begins with another.
///
/// # Errors
/// The arguments are not two texts.
pub fn starts_with(call: &Call<'_>) -> Result<Column, EvalError> {
    named("starts_with", tested(call, |text, start| text.starts_with(start)))
}

/// `ends_with`: whether a text ends with another.
///
/// # Errors
/// The arguments are not two texts.
pub fn ends_with(call: &Call<'_>) -> Result<Column, EvalError> {
    named("ends_with", tested(call, |text, end| text.ends_with(end)))
}

fn texts(values: &ArrayRef) -> Result<&StringArray, ArrowError> {
    values.as_string_opt::<i32>().ok_or_else(|| refused(values.data_type()))
}

/// What a test says of each two texts; null where one is (SEMANTICS 2.2).
pub(super) fn tested(call: &Call<'_>, test: impl Fn(&str, &str) -> bool) -> Result<ArrayRef, ArrowError> {
    let (values, others) = (call.array(0)?, call.array(1)?);
    let rows = texts(&values)?.iter().zip(texts(&others)?);
    let rows = rows.map(|(text, other)| Some(test(text?, other?)));
    Ok(Arc::new(rows.collect::<BooleanArray>()))
}

/// `index(list, at)`, `list[at]`: the item, counted from 0; null where there is none (SEMANTICS 2.2).
///
/// # Errors
/// The arguments are not a list and a whole number, nor a map and a key.
pub fn index(call: &Call<'_>) -> Result<Column, EvalError> {
    let is_map = call.args.first().is_some_and(|of| matches!(of.data_type(), DataType::Map(..)));
    named("index", if is_map { lists::looked_up(call) } else { indexed(call) })
}

fn indexed(call: &Call<'_>) -> Result<ArrayRef, ArrowError> {
    let values = call.array(0)?;
    let at = arrow_cast::cast(&call.array(1)?, &DataType::Int64)?;
    let at = at.as_primitive::<Int64Type>();
    let chosen = |row: usize, start: usize, end: usize| -> Option<u64> {
        if values.is_null(row) || at.is_null(row) {
            return None;
        }
        let at = usize::try_from(at.value(row)).ok().filter(|at| *at < end - start)?;
        u64::try_from(start + at).ok()
    };
    let (items, rows): (ArrayRef, UInt64Array) = match values.data_type() {
        DataType::List(_) => {
            let (list, ends) = (values.as_list::<i32>(), values.as_list::<i32>().value_offsets());
            let rows = (0..list.len()).map(|row| chosen(row, ends[row] as usize, ends[row + 1] as usize));
            (Arc::clone(list.values()), rows.collect())
        }
        DataType::LargeList(_) => {
            let (list, ends) = (values.as_list::<i64>(), values.as_list::<i64>().value_offsets());
            let rows = (0..list.len()).map(|row| chosen(row, ends[row] as usize, ends[row + 1] as usize));
            (Arc::clone(list.values()), rows.collect())
        }
        DataType::FixedSizeList(_, size) => {
            let (list, size) = (values.as_fixed_size_list(), usize::try_from(*size).unwrap_or(0));
            (
                Arc::clone(list.values()),
                (0..list.len()).map(|row| chosen(row, row * size, (row + 1) * size)).collect(),
            )
        }
        other => return Err(refused(other)),
    };
    if items.is_empty() {
        return Ok(new_null_array(call.data_type, call.len));
    }
    take(&items, &rows, None)
}

/// `hash`: the hash that also decides shards, fixed for ever; of null it is 0 (SEMANTICS 2.4).
///
/// # Errors
/// The result's type is not one of 64 bits.
pub fn hash(call: &Call<'_>) -> Result<Column, EvalError> {
    let run = || {
        let hashes = UInt64Array::new(crate::engine::hash(&call.array(0)?), None);
        if call.data_type == &DataType::UInt64 {
            return Ok(Arc::new(hashes) as ArrayRef);
        }
        let signed: PrimitiveArray<Int64Type> = carried(&hashes)?;
        crate::engine::array::retyped(signed, call.data_type)
    };
    named("hash", run())
}

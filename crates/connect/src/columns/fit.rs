//! Columns in the types that the engine takes: one form of text and bytes, everything nullable, what does not
//! fit null and counted.
//!
//! What fits a column is told in one place, by [`Builder`], which takes values as rows have them: whatever
//! holds a value, it fits or it does not. Whole columns are brought to a type by what does the same faster,
//! where there is that: records by the names of their fields, lists by their items, moments by their counts,
//! numbers that are wider by Arrow's kernel.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type, Int64Type, UInt64Type};
use arrow_array::{Array, ArrayRef, BooleanArray, ListArray, MapArray, StructArray, new_null_array};
use arrow_buffer::{BooleanBufferBuilder, NullBuffer, OffsetBuffer};
use arrow_cast::{can_cast_types, cast};
use arrow_schema::{ArrowError, DataType, Field, FieldRef, Fields};
use arrow_select::filter::filter;
use skytide_timestream::types;

use super::{path, times, widen};
use crate::tables::{Builder, Fraction, Value};

/// A field as the engine has it: text, bytes, lists and maps in one form each, all of it nullable but for
/// keys of maps, which stand in any order.
pub(crate) fn plain(field: &Field) -> Field {
    formed(field, false)
}

/// The same; maps may be said to have their keys in order, which Arrow casts to those that are, too.
fn formed(field: &Field, keeps_order: bool) -> Field {
    let formed = |of: &DataType| {
        let field = formed(&Field::new("", of.clone(), true), keeps_order);
        field.data_type().clone()
    };
    let data_type = match field.data_type() {
        DataType::Dictionary(_, values) => formed(values),
        DataType::RunEndEncoded(_, values) => formed(values.data_type()),
        text if types::is_text(text) => DataType::Utf8,
        DataType::BinaryView | DataType::LargeBinary => DataType::Binary,
        DataType::Float16 => DataType::Float32,
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::FixedSizeList(item, _)
        | DataType::ListView(item)
        | DataType::LargeListView(item) => types::list(formed(item.data_type())),
        DataType::Struct(fields) => {
            let field = |field: &FieldRef| Field::new(field.name(), formed(field.data_type()), true);
            DataType::Struct(fields.iter().map(field).collect())
        }
        DataType::Map(_, is_sorted) => match types::entry(field.data_type()) {
            Some((key, value)) => match types::map(formed(key), formed(value)) {
                DataType::Map(entries, _) => DataType::Map(entries, *is_sorted && keeps_order),
                other => other,
            },
            None => field.data_type().clone(),
        },
        other => other.clone(),
    };
    Field::new(field.name(), data_type, true)
}

/// Values that were brought to a column's type.
#[derive(Debug)]
pub(crate) struct Fitted {
    pub(crate) values: ArrayRef,
    /// How many did not fit, and are null.
    pub(crate) misfits: u64,
    /// How many are in fields that the column's records do not have, and are left out.
    pub(crate) unknown: u64,
}

impl Fitted {
    /// What became of values of which none is nested.
    fn new(before: &ArrayRef, values: ArrayRef) -> Self {
        let lost = values.logical_null_count().saturating_sub(before.logical_null_count());
        Self { values, misfits: lost as u64, unknown: 0 }
    }
}

/// Values in a column's type.
pub(crate) fn fitted(values: &ArrayRef, to: &DataType) -> Result<Fitted, ArrowError> {
    if values.data_type() == to {
        return Ok(Fitted { values: Arc::clone(values), misfits: 0, unknown: 0 });
    }
    let form = formed(&Field::new("", values.data_type().clone(), true), true);
    if !can_cast_types(values.data_type(), form.data_type()) {
        return Ok(Fitted::new(values, new_null_array(to, values.len())));
    }
    // Nothing is done where it is that already.
    let values = cast(values, form.data_type())?;
    let made = match (values.data_type(), to) {
        (from, to) if from == to => Arc::clone(&values),
        (DataType::Null, _) => new_null_array(to, values.len()),
        (DataType::List(_), DataType::List(item)) => return list(values.as_list(), item),
        (DataType::Struct(_), DataType::Struct(fields)) => return record(&values, fields),
        (DataType::Map(..), DataType::Map(entries, is_sorted)) => {
            return Ok(match map(values.as_map(), entries, *is_sorted)? {
                Some(fitted) => fitted,
                None => one_by_one(&values, to)?,
            });
        }
        (from, to) if times::is_moment(from) && times::is_moment(to) => times::moments(&values, to)?,
        (from, to) if is_widened(from, to) => cast(&values, to)?,
        (DataType::Float32, to) if to.is_decimal() => return one_by_one(&by_digits(&values), to),
        _ => return one_by_one(&values, to),
    };
    Ok(Fitted::new(&values, made))
}

/// Cells of text as values of a column, those that are written otherwise null and counted: numbers by their
/// digits, all else as of values that are text.
pub(crate) fn read(cells: &ArrayRef, to: &DataType) -> Result<Fitted, ArrowError> {
    if types::is_number(to) || *to == DataType::Boolean {
        return Ok(Fitted::new(cells, cast(cells, to)?));
    }
    fitted(cells, to)
}

/// Whether Arrow's kernel does with numbers, lengths of time and times of day as is done with those of rows.
fn is_widened(from: &DataType, to: &DataType) -> bool {
    match (from, to) {
        (DataType::Duration(_), DataType::Duration(_)) => true,
        (DataType::Time32(_) | DataType::Time64(_), DataType::Time32(_) | DataType::Time64(_)) => true,
        // Places that there is no room for are cut off, which the kernel does not.
        _ if from.is_decimal() && to.is_decimal() => {
            let places = |of| widen::digits(of).map(|(_, places)| places);
            places(from) <= places(to)
        }
        _ if from.is_integer() => types::is_number(to),
        _ => from.is_floating() && to.is_floating(),
    }
}

/// Floats of 32 bits as those of 64 with the same digits: those of 0.7 are 0.7, and not 0.699999988.
fn by_digits(values: &ArrayRef) -> ArrayRef {
    let floats = values.as_primitive::<Float32Type>();
    Arc::new(floats.unary::<_, Float64Type>(|value| value.to_string().parse().unwrap_or(value.into())))
}

/// The values by the rules themselves.
fn one_by_one(values: &ArrayRef, to: &DataType) -> Result<Fitted, ArrowError> {
    let mut column = Builder::new(to);
    let fit = |row| column.push(&Value::of_array(values, row), Fraction::IsCutOff);
    let misfits = (0..values.len()).map(fit).sum();
    Ok(Fitted { values: column.finish()?, misfits, unknown: 0 })
}

/// The items that stand in lists or maps, and where each of these begins among them. What an array has under
/// a null is no item.
fn items(
    items: &ArrayRef,
    offsets: &OffsetBuffer<i32>,
    nulls: Option<&NullBuffer>,
) -> Result<(ArrayRef, OffsetBuffer<i32>), ArrowError> {
    let ends = offsets.first().zip(offsets.last()).map(|(first, last)| (*first as usize, *last as usize));
    let (first, last) = ends.unwrap_or_default();
    let items = items.slice(first, last - first);
    let all = |nulls: &NullBuffer| nulls.iter().zip(offsets.lengths()).collect::<Vec<_>>();
    let hides = |(is_valid, length): &(bool, usize)| !is_valid && *length > 0;
    let Some(rows) = nulls.map(all).filter(|rows| rows.iter().any(hides)) else {
        return Ok((items, OffsetBuffer::from_lengths(offsets.lengths())));
    };
    let mut shown = BooleanBufferBuilder::new(items.len());
    rows.iter().for_each(|(is_valid, length)| shown.append_n(*length, *is_valid));
    let lengths = rows.iter().map(|(is_valid, length)| if *is_valid { *length } else { 0 });
    Ok((filter(&items, &BooleanArray::new(shown.finish(), None))?, OffsetBuffer::from_lengths(lengths)))
}

fn list(lists: &ListArray, item: &FieldRef) -> Result<Fitted, ArrowError> {
    let (items, offsets) = items(lists.values(), lists.offsets(), lists.nulls())?;
    let fit = fitted(&items, item.data_type())?;
    let lists = ListArray::try_new(Arc::clone(item), offsets, fit.values, lists.nulls().cloned())?;
    Ok(Fitted { values: Arc::new(lists), ..fit })
}

/// Maps; none where a key does not fit: its entry is none.
fn map(maps: &MapArray, entries: &FieldRef, is_sorted: bool) -> Result<Option<Fitted>, ArrowError> {
    let DataType::Struct(fields) = entries.data_type() else { return Ok(None) };
    let [key, value] = &**fields else { return Ok(None) };
    let (keys, offsets) = items(maps.keys(), maps.offsets(), maps.nulls())?;
    let keys = fitted(&keys, key.data_type())?;
    if keys.misfits > 0 {
        return Ok(None);
    }
    let (values, _) = items(maps.values(), maps.offsets(), maps.nulls())?;
    let values = fitted(&values, value.data_type())?;
    let (misfits, unknown) = (values.misfits, keys.unknown + values.unknown);
    let items = StructArray::try_new(fields.clone(), vec![keys.values, values.values], None)?;
    let maps = MapArray::try_new(Arc::clone(entries), offsets, items, maps.nulls().cloned(), is_sorted)?;
    Ok(Some(Fitted { values: Arc::new(maps), misfits, unknown }))
}

/// Records, field by field by their names, whatever their order.
fn record(values: &ArrayRef, fields: &Fields) -> Result<Fitted, ArrowError> {
    let records = values.as_struct();
    let (mut misfits, mut unknown) = (0, 0);
    let mut columns = Vec::with_capacity(fields.len());
    for field in fields {
        if records.column_by_name(field.name()).is_none() {
            columns.push(new_null_array(field.data_type(), values.len()));
            continue;
        }
        let fit = fitted(&path::field(values, field.name())?, field.data_type())?;
        misfits += fit.misfits;
        unknown += fit.unknown;
        columns.push(fit.values);
    }
    for other in records.fields().iter().filter(|field| fields.find(field.name()).is_none()) {
        unknown += present(&path::field(values, other.name())?);
    }
    let records =
        StructArray::try_new_with_length(fields.clone(), columns, records.nulls().cloned(), values.len())?;
    Ok(Fitted { values: Arc::new(records), misfits, unknown })
}

/// How many values there are.
pub(crate) fn present(values: &ArrayRef) -> u64 {
    (values.len() - values.logical_null_count()) as u64
}

/// Numbers that order as whole numbers do that are of this type as a column, whatever they are here; null
/// first. Of the greatest two of 64 bits there is one: no number is left for null otherwise.
pub(crate) fn ordinals(values: &ArrayRef, of: &DataType) -> Result<Vec<u64>, ArrowError> {
    let after_null = |value: Option<u64>| value.map_or(0, |value| value.saturating_add(1));
    if *of == DataType::UInt64 {
        let wide = fitted(values, of)?.values;
        return Ok(wide.as_primitive::<UInt64Type>().iter().map(after_null).collect());
    }
    let wide = fitted(values, &DataType::Int64)?.values;
    let raised = |value: i64| value.cast_unsigned() ^ (1 << 63);
    Ok(wide.as_primitive::<Int64Type>().iter().map(|value| after_null(value.map(raised))).collect())
}

#[cfg(test)]
mod tests {
    use arrow_array::{Int64Array, UInt8Array, UInt64Array};

    use super::*;

    #[test]
    fn null_stands_before_all_numbers() {
        let of = |values: ArrayRef, of: &DataType| ordinals(&values, of).unwrap();
        let signed =
            of(Arc::new(Int64Array::from(vec![None, Some(i64::MIN), Some(0), Some(5)])), &DataType::Int64);
        assert!(signed.is_sorted_by(|a, b| a < b), "{signed:?}");
        let wide =
            of(Arc::new(UInt64Array::from(vec![None, Some(0), Some(5), Some(u64::MAX)])), &DataType::UInt64);
        assert!(wide.is_sorted_by(|a, b| a < b), "{wide:?}");
        // Of a file whose numbers are narrower than those of the others.
        let narrow: ArrayRef = Arc::new(UInt8Array::from(vec![None, Some(0), Some(5)]));
        assert_eq!(of(Arc::clone(&narrow), &DataType::UInt64), wide[..3]);
        assert_eq!(of(narrow, &DataType::Int64)[1..], signed[2..]);
    }
}

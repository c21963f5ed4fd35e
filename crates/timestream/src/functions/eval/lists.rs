//! `length`, `flatten`, `union`, `contains`, and `col` of a list: lists of any items, which are moved by their
//! places, never looked into but to tell equal ones apart.

use std::collections::HashSet;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, BooleanArray, Int64Array, ListArray, UInt64Array};
use arrow_buffer::{NullBuffer, OffsetBuffer};
use arrow_schema::{ArrowError, DataType};
use arrow_select::concat::concat;
use arrow_select::nullif::nullif;
use arrow_select::take::take;

use super::super::{Call, Column, EvalError};
use super::cast::converted;
use super::compare::equal;
use super::text::tested;
use super::{len, named, refused};

/// `length`: items of a list, or characters of a text.
///
/// # Errors
/// The argument is neither.
pub fn length(call: &Call<'_>) -> Result<Column, EvalError> {
    if matches!(call.args, [text] if text.data_type() == &DataType::Utf8) {
        return len(call);
    }
    let run = || {
        let lists = call.array(0)?;
        let lists = list(&lists)?;
        let lengths = lists.value_offsets().windows(2).map(|ends| i64::from(ends[1] - ends[0]));
        let lengths: Vec<i64> = lengths.collect();
        Ok(Arc::new(Int64Array::try_new(lengths.into(), lists.nulls().cloned())?) as ArrayRef)
    };
    named("length", run())
}

/// `col` of a list: a field of each of its structs, null where the struct is.
///
/// # Errors
/// The first argument is no list of structs, or these have no field of the name that the second is.
pub fn fields(call: &Call<'_>) -> Result<Column, EvalError> {
    let run = || {
        let lists = call.array(0)?;
        let lists = list(&lists)?;
        let structs = lists.values().as_struct_opt().ok_or_else(|| refused(lists.values().data_type()))?;
        let (Column::Array(name) | Column::Constant(name)) = call.arg(1)?;
        let name = name.as_string_opt::<i32>().filter(|name| !name.is_empty()).map(|name| name.value(0));
        let of = name.and_then(|name| structs.column_by_name(name));
        let of = of.ok_or_else(|| refused(structs.data_type()))?;
        let items = match structs.nulls() {
            None => Arc::clone(of),
            Some(nulls) => nullif(of, &BooleanArray::new(!nulls.inner(), None))?,
        };
        let DataType::List(item) = call.data_type else { return Err(refused(call.data_type)) };
        let offsets = lists.offsets().clone();
        Ok(Arc::new(ListArray::try_new(Arc::clone(item), offsets, items, lists.nulls().cloned())?)
            as ArrayRef)
    };
    named("col", run())
}

/// `contains`: whether a list has an item, or a text another text in it. An item that is null equals nothing.
///
/// # Errors
/// The arguments are neither two texts nor a list and what its items can be compared with.
pub fn contains(call: &Call<'_>) -> Result<Column, EvalError> {
    if matches!(call.args, [text, _] if text.data_type() == &DataType::Utf8) {
        return named("contains", tested(call, |text, part| text.contains(part)));
    }
    let run = || {
        let (lists, wanted) = (call.array(0)?, call.array(1)?);
        let lists = list(&lists)?;
        let is_found = found(lists.value_offsets(), lists.values(), &wanted)?;
        let rows = (0..lists.len()).map(|row| {
            let known = lists.is_valid(row) && wanted.is_valid(row);
            known.then(|| present(lists, row).any(|item| is_found(&item)))
        });
        Ok(Arc::new(rows.collect::<BooleanArray>()) as ArrayRef)
    };
    named("contains", run())
}

/// `flatten`: the items of the lists in a list, one after the other; a null among those lists has none.
///
/// # Errors
/// The argument is no list of lists.
pub fn flatten(call: &Call<'_>) -> Result<Column, EvalError> {
    let run = || {
        let outer = call.array(0)?;
        let outer = list(&outer)?;
        let inner = list(outer.values())?;
        let mut made = Made::default();
        for row in 0..outer.len() {
            for at in present(outer, row) {
                made.items.extend(present(inner, at).map(|item| item as u64));
            }
            made.end_row();
        }
        made.finish(inner.values(), outer.nulls().cloned(), call.data_type)
    };
    named("flatten", run())
}

/// `union`: the distinct items of two lists, in the order in which they first stand; a null list has none
/// (SEMANTICS 2.5).
///
/// # Errors
/// The arguments are not lists of one type.
pub fn union(call: &Call<'_>) -> Result<Column, EvalError> {
    let run = || {
        let (a, b) = (call.array(0)?, call.array(1)?);
        let (a, b) = (list(&a)?, list(&b)?);
        if a.len() != b.len() {
            return Err(ArrowError::InvalidArgumentError("arguments of different lengths".into()));
        }
        let mut made = Made::default();
        let mut seen = HashSet::new();
        let after = a.values().len();
        for row in 0..a.len() {
            seen.clear();
            for (lists, before) in [(a, 0), (b, after)] {
                for item in present(lists, row) {
                    let identity = crate::engine::identity(lists.values(), item);
                    let identity = identity.ok_or_else(|| refused(lists.values().data_type()))?;
                    if seen.insert(identity) {
                        made.items.push((before + item) as u64);
                    }
                }
            }
            made.end_row();
        }
        let items = concat(&[a.values().as_ref(), b.values().as_ref()])?;
        made.finish(&items, None, call.data_type)
    };
    named("union", run())
}

/// `index` of a map: the value of the last entry with this key; null where there is none (SEMANTICS 2.2).
///
/// # Errors
/// The arguments are not a map and a key that its keys can be compared with.
pub(super) fn looked_up(call: &Call<'_>) -> Result<ArrayRef, ArrowError> {
    let (maps, wanted) = (call.array(0)?, call.array(1)?);
    let maps = maps.as_map_opt().ok_or_else(|| refused(maps.data_type()))?;
    let is_found = found(maps.value_offsets(), maps.keys(), &wanted)?;
    let ends = maps.value_offsets();
    let last = |row: usize| {
        let mut entries = if maps.is_null(row) { 0..0 } else { ends[row] as usize..ends[row + 1] as usize };
        entries.rfind(&is_found).map(|entry| entry as u64)
    };
    take(maps.values(), &(0..maps.len()).map(last).collect::<UInt64Array>(), None)
}

/// Whether the item at a place equals what its row, which ends there in `ends`, asks for.
fn found(ends: &[i32], items: &ArrayRef, wanted: &ArrayRef) -> Result<impl Fn(&usize) -> bool, ArrowError> {
    let places = |ends: &[i32]| ends[0] as usize..ends[1] as usize;
    let rows = ends.windows(2).enumerate();
    let rows = rows.flat_map(|(row, ends)| places(ends).map(move |_| row as u64));
    // Each item beside what its row asks for, in the type of that, which holds both.
    let wanted = take(wanted, &UInt64Array::from_iter_values(rows), None)?;
    let (first, end) = (ends[0] as usize, ends[ends.len() - 1] as usize);
    let items = converted(&items.slice(first, end - first), wanted.data_type())?;
    let found = equal(&items, &wanted)?;
    Ok(move |item: &usize| found.is_valid(item - first) && found.value(item - first))
}

fn list(values: &ArrayRef) -> Result<&ListArray, ArrowError> {
    values.as_list_opt::<i32>().ok_or_else(|| refused(values.data_type()))
}

/// Places of a row's items; none where it is null, whatever lies under it.
fn present(lists: &ListArray, row: usize) -> std::ops::Range<usize> {
    let ends = lists.value_offsets();
    if lists.is_null(row) { 0..0 } else { ends[row] as usize..ends[row + 1] as usize }
}

/// Lists under construction, of items that lie elsewhere.
#[derive(Default)]
struct Made {
    items: Vec<u64>,
    lengths: Vec<usize>,
    /// Where the last row ends.
    end: usize,
}

impl Made {
    /// What was pushed since the last call is a row.
    fn end_row(&mut self) {
        self.lengths.push(self.items.len() - self.end);
        self.end = self.items.len();
    }

    fn finish(
        self,
        items: &ArrayRef,
        nulls: Option<NullBuffer>,
        to: &DataType,
    ) -> Result<ArrayRef, ArrowError> {
        let DataType::List(field) = to else { return Err(refused(to)) };
        if i32::try_from(self.items.len()).is_err() {
            return Err(ArrowError::OffsetOverflowError(self.items.len()));
        }
        let items = take(items, &UInt64Array::from(self.items), None)?;
        let offsets = OffsetBuffer::from_lengths(self.lengths);
        Ok(Arc::new(ListArray::try_new(Arc::clone(field), offsets, items, nulls)?))
    }
}

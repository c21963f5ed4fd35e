//! How much rows are, and what is done so that no array is made of too much at once.
//!
//! A value that an aggregation holds is shown at every row, so a few long texts among many rows come to more
//! than an array can have, or memory. So what could be much is computed in parts, and what comes of them
//! stays in parts up to whoever takes the rows, one place in no two of them where rows of several batches
//! meet. Where little is at hand, as nearly always, all of it is one part.

use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_schema::DataType;

use super::error::EngineError;
use super::merge::{Ties, merge_with};
use crate::rows::{Place, Rows};

/// What is made at once has about so many bytes at most, but for a row that has more.
pub(super) const PART: usize = 128 << 20;

/// Bytes of an array's values, of a slice only its own.
pub(super) fn bytes(values: &dyn Array) -> usize {
    let ends = |offsets: &[i32]| (offsets[0] as usize, offsets[offsets.len() - 1] as usize);
    let rows = values.len();
    match values.data_type() {
        DataType::Utf8 => {
            let (first, last) = ends(values.as_string::<i32>().value_offsets());
            last - first + rows * 4
        }
        DataType::Binary => {
            let (first, last) = ends(values.as_binary::<i32>().value_offsets());
            last - first + rows * 4
        }
        DataType::List(_) => {
            let lists = values.as_list::<i32>();
            let (first, last) = ends(lists.value_offsets());
            bytes(lists.values().slice(first, last - first).as_ref()) + rows * 4
        }
        DataType::Map(..) => {
            let maps = values.as_map();
            let (first, last) = ends(maps.value_offsets());
            bytes(&maps.entries().slice(first, last - first)) + rows * 4
        }
        DataType::Struct(_) => values.as_struct().columns().iter().map(|column| bytes(column.as_ref())).sum(),
        other => rows * other.primitive_width().unwrap_or(1),
    }
}

/// Bytes of the longest of an array's values, or more.
pub(super) fn widest(values: &dyn Array) -> usize {
    let longest = |offsets: &[i32]| {
        let lengths = offsets.windows(2).map(|ends| ends[1] - ends[0]);
        lengths.fold(0, i32::max) as usize
    };
    match values.data_type() {
        DataType::Utf8 => longest(values.as_string::<i32>().value_offsets()),
        DataType::Binary => longest(values.as_binary::<i32>().value_offsets()),
        DataType::List(_) => {
            let lists = values.as_list::<i32>();
            longest(lists.value_offsets()) * widest(lists.values().as_ref())
        }
        DataType::Map(..) => {
            let maps = values.as_map();
            longest(maps.value_offsets()) * widest(maps.entries())
        }
        DataType::Struct(_) => {
            values.as_struct().columns().iter().map(|column| widest(column.as_ref())).sum()
        }
        other => other.primitive_width().unwrap_or(1),
    }
}

impl Rows {
    /// Bytes of its keys and columns, of a slice only its own.
    pub(super) fn bytes(&self) -> usize {
        let key = self.key.as_ref().map_or(0, |key| bytes(key.values.as_ref()) + key.hashes.len() * 8);
        self.columns.iter().map(|column| bytes(column.as_ref())).sum::<usize>() + key + self.len() * 16
    }
}

/// Whether two batches are little enough to be one.
pub(super) fn go_together(a: &Rows, b: &Rows) -> bool {
    a.bytes() + b.bytes() <= PART
}

/// Neighbours among batches, which are each in order, merged as far as they are not too much for one.
pub(super) fn merged(batches: Vec<Rows>) -> Result<Vec<Rows>, EngineError> {
    merged_with(batches, Ties::ByKey)
}

pub(super) fn merged_with(batches: Vec<Rows>, ties: Ties) -> Result<Vec<Rows>, EngineError> {
    if batches.len() < 2 {
        return Ok(batches);
    }
    let (mut merged, mut some, mut held) = (Vec::new(), Vec::new(), 0);
    for rows in batches {
        let bytes = rows.bytes();
        if held + bytes > PART && !some.is_empty() {
            merged.push(merge_with(std::mem::take(&mut some), ties)?);
            held = 0;
        }
        held += bytes;
        some.push(rows);
    }
    merged.push(merge_with(some, ties)?);
    Ok(merged)
}

/// The time before which about so many rows and bytes at most stand, of those at the times that have come;
/// none where those are no more. What is of one time stays together, however much it is. If a time has come,
/// all before have.
pub(super) fn time_within(
    batches: &[&Rows],
    has_come: impl Fn(i64) -> bool,
    rows: usize,
    bytes: usize,
) -> Option<i64> {
    let is_much = |(some, size)| some > rows || size > bytes;
    if !is_much(size(batches.iter().copied())) {
        return None;
    }
    let mut some = before(batches.iter().copied(), has_come);
    let mut end = None;
    while is_much(size(&some))
        && let Some(longest) = some.iter().max_by_key(|rows| rows.len())
    {
        let middle = longest.places.time[longest.len() / 2];
        // Where nothing is before the middle, what is of its time comes first.
        let ends = [middle, middle.saturating_add(1)];
        let halves = ends.map(|end| (end, before(&some, |time| time < end)));
        match halves.into_iter().find(|(_, half)| !half.is_empty()) {
            Some((time, half)) if size(&half).0 < size(&some).0 => (end, some) = (Some(time), half),
            _ => break,
        }
    }
    end
}

/// How many rows there are, and their bytes.
fn size<'a>(batches: impl IntoIterator<Item = &'a Rows>) -> (usize, usize) {
    batches.into_iter().fold((0, 0), |(rows, bytes), batch| (rows + batch.len(), bytes + batch.bytes()))
}

/// What stands at the times that have come.
fn before<'a>(batches: impl IntoIterator<Item = &'a Rows>, has_come: impl Fn(i64) -> bool) -> Vec<Rows> {
    let ends =
        batches.into_iter().map(|rows| (rows, rows.places.time.partition_point(|time| has_come(*time))));
    ends.filter(|(_, end)| *end > 0).map(|(rows, end)| rows.slice(0, end)).collect()
}

/// Batches of several inputs, each in order, cut at the same places into parts that follow each other: no
/// place is in two, and none has more bytes than is made at once, but for a place that has.
pub fn cut(inputs: Vec<Vec<Rows>>) -> Vec<Vec<Vec<Rows>>> {
    cut_by(inputs, PART)
}

pub(super) fn cut_by(inputs: Vec<Vec<Rows>>, most: usize) -> Vec<Vec<Vec<Rows>>> {
    let (mut parts, mut left) = (Vec::new(), vec![inputs]);
    while let Some(inputs) = left.pop() {
        let batches = || inputs.iter().flatten().filter(|rows| !rows.is_empty());
        let is_much = batches().map(Rows::bytes).sum::<usize>() > most;
        let largest = if is_much { batches().max_by_key(|rows| rows.bytes()) } else { None };
        let halves = largest.and_then(|rows| {
            let middle = rows.places.at(rows.len() / 2);
            // Where all before the middle is of its place, what stands there is the half before.
            let halves = [false, true].map(|is_after| split(&inputs, &middle, is_after));
            halves.into_iter().find(|halves| halves.iter().all(|half| first(half).is_some()))
        });
        match halves {
            Some([before, after]) => left.extend([after, before]),
            None => parts.push(inputs),
        }
    }
    parts
}

/// What stands before a place, or up to it, and what is left.
fn split(inputs: &[Vec<Rows>], place: &Place, is_after: bool) -> [Vec<Vec<Rows>>; 2] {
    let mut halves = [Vec::new(), Vec::new()];
    for batches in inputs {
        let (mut before, mut after) = (Vec::new(), Vec::new());
        for rows in batches {
            let mut end = rows.places.time.partition_point(|time| *time < place.time);
            while end < rows.len()
                && (rows.places.at(end) < *place || (is_after && rows.places.at(end) == *place))
            {
                end += 1;
            }
            before.extend(Some(rows.slice(0, end)).filter(|rows| !rows.is_empty()));
            after.extend(Some(rows.slice(end, rows.len() - end)).filter(|rows| !rows.is_empty()));
        }
        halves[0].push(before);
        halves[1].push(after);
    }
    halves
}

/// The place that rows begin at.
pub(super) fn first(inputs: &[Vec<Rows>]) -> Option<Place> {
    inputs.iter().flatten().filter(|rows| !rows.is_empty()).map(|rows| rows.places.at(0)).min()
}

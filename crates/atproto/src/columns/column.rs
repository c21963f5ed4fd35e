//! A growing column that can be cut back, and then becomes an Arrow array without a copy.
//!
//! Arrow's own builders cannot be cut back, which is what keeps a refused frame from leaving half of its rows.

use std::cmp::Ordering;
use std::mem::take;
use std::sync::Arc;

use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, Float64Array, Int64Array, ListArray, StringArray, StructArray,
    TimestampNanosecondArray,
};
use arrow_buffer::{BooleanBufferBuilder, Buffer, NullBuffer, NullBufferBuilder, OffsetBuffer, ScalarBuffer};
use arrow_schema::{Field, Fields};

use super::Literal;
use crate::cbor::{self, Cursor, Kind, MAX_DEPTH, MapKeys, Rule};
use crate::cid::Cid;
use crate::json;
use crate::records::Shape;

/// Why a value cannot be read into a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The bytes break a rule.
    Cbor(cbor::Error),
    /// There is no room for it.
    Full,
}

/// The column's offsets have 32 bits, and that is not enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Full;

impl From<Full> for Refusal {
    fn from(_: Full) -> Self {
        Refusal::Full
    }
}

impl From<cbor::Error> for Refusal {
    fn from(error: cbor::Error) -> Self {
        Refusal::Cbor(error)
    }
}

/// A growing column.
#[derive(Debug)]
pub(super) struct Column {
    valid: NullBufferBuilder,
    data: Data,
}

#[derive(Debug)]
enum Data {
    Bool(BooleanBufferBuilder),
    Int(Vec<i64>),
    Float(Vec<f64>),
    Time(Vec<i64>),
    Text(Strings),
    /// Lengths of texts, each of which is read into the column beside them first.
    Length(Vec<i64>, Box<Column>),
    Link(Strings),
    Bytes(Strings),
    /// The text is put together here first.
    Json(Strings, String),
    List(Vec<i32>, Box<Column>),
    /// Fields in the canonical order of map keys; places of the shape's fields among them.
    Struct(Vec<(String, Column)>, Vec<usize>),
}

/// Strings end to end, and where each one ends (after a zero).
#[derive(Debug)]
struct Strings {
    offsets: Vec<i32>,
    bytes: Vec<u8>,
}

impl Strings {
    fn new(rows: usize, bytes: usize) -> Self {
        let mut offsets = Vec::with_capacity(rows + 1);
        offsets.push(0);
        Strings { offsets, bytes: Vec::with_capacity(bytes) }
    }

    #[inline]
    fn push<P: AsRef<[u8]>>(&mut self, parts: &[P]) -> Result<(), Full> {
        let length: usize = parts.iter().map(|part| part.as_ref().len()).sum();
        let end = i32::try_from(self.bytes.len() + length).map_err(|_| Full)?;
        for part in parts {
            self.bytes.extend_from_slice(part.as_ref());
        }
        self.offsets.push(end);
        Ok(())
    }

    #[inline]
    fn push_empty(&mut self) {
        self.offsets.push(self.offsets.last().copied().unwrap_or_default());
    }

    fn last(&self) -> &[u8] {
        match self.offsets[..] {
            [.., start, end] => &self.bytes[start as usize..end as usize],
            _ => &[],
        }
    }

    fn truncate(&mut self, rows: usize) {
        self.offsets.truncate(rows + 1);
        self.bytes.truncate(self.offsets.last().map_or(0, |end| *end as usize));
    }

    /// What it holds; it is empty after, with as much room as it used.
    fn finish(&mut self) -> (OffsetBuffer<i32>, Buffer) {
        let next = Strings::new(self.offsets.len(), self.bytes.len());
        let full = std::mem::replace(self, next);
        (OffsetBuffer::new(full.offsets.into()), Buffer::from_vec(full.bytes))
    }
}

impl Column {
    fn of(data: Data) -> Column {
        Column { valid: NullBufferBuilder::new(0), data }
    }

    /// A column of values of this shape.
    pub(super) fn new(shape: &Shape) -> Column {
        Column::of(match shape {
            Shape::Bool => Data::Bool(BooleanBufferBuilder::new(0)),
            Shape::Int => Data::Int(Vec::new()),
            Shape::Float => Data::Float(Vec::new()),
            Shape::Text => Data::Text(Strings::new(0, 0)),
            Shape::Link => Data::Link(Strings::new(0, 0)),
            Shape::Bytes => Data::Bytes(Strings::new(0, 0)),
            Shape::Json => Data::Json(Strings::new(0, 0), String::new()),
            Shape::List(item) => Data::List(vec![0], Box::new(Column::new(item))),
            Shape::Struct(fields) => {
                let mut sorted: Vec<&(String, Shape)> = fields.iter().collect();
                sorted.sort_unstable_by_key(|(name, _)| (name.len(), name));
                let place = |name: &String| sorted.iter().position(|(field, _)| field == name);
                let places = fields.iter().filter_map(|(name, _)| place(name)).collect();
                let columns = sorted.iter().map(|(name, shape)| (name.clone(), Column::new(shape))).collect();
                Data::Struct(columns, places)
            }
        })
    }

    /// A column of timestamps.
    pub(super) fn times() -> Column {
        Column::of(Data::Time(Vec::new()))
    }

    /// A column of the numbers of characters of what would be in this one, if that is text.
    pub(super) fn lengths(self) -> Option<Column> {
        let is_text = matches!(self.data, Data::Text(_) | Data::Link(_) | Data::Json(..));
        is_text.then(|| Column::of(Data::Length(Vec::new(), Box::new(self))))
    }

    /// Number of rows.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.valid.len()
    }

    /// Cuts the column back to its first `rows` rows.
    pub(super) fn truncate(&mut self, rows: usize) {
        self.valid.truncate(rows);
        match &mut self.data {
            Data::Bool(values) => values.truncate(rows),
            Data::Int(values) | Data::Time(values) | Data::Length(values, _) => values.truncate(rows),
            Data::Float(values) => values.truncate(rows),
            Data::Text(strings) | Data::Link(strings) | Data::Bytes(strings) | Data::Json(strings, _) => {
                strings.truncate(rows);
            }
            Data::List(ends, item) => {
                ends.truncate(rows + 1);
                item.truncate(ends.last().map_or(0, |end| *end as usize));
            }
            Data::Struct(fields, _) => fields.iter_mut().for_each(|(_, column)| column.truncate(rows)),
        }
    }

    /// Appends a null.
    #[inline]
    pub(super) fn push_null(&mut self) {
        self.valid.append_null();
        match &mut self.data {
            Data::Bool(values) => values.append(false),
            Data::Int(values) | Data::Time(values) | Data::Length(values, _) => values.push(0),
            Data::Float(values) => values.push(0.0),
            Data::Text(strings) | Data::Link(strings) | Data::Bytes(strings) | Data::Json(strings, _) => {
                strings.push_empty();
            }
            Data::List(ends, _) => ends.push(ends.last().copied().unwrap_or_default()),
            Data::Struct(fields, _) => fields.iter_mut().for_each(|(_, column)| column.push_null()),
        }
    }

    /// Appends a text, given in parts; to a column of another type, a null.
    #[inline]
    pub(super) fn push_text(&mut self, parts: &[&str]) -> Result<(), Full> {
        match &mut self.data {
            Data::Text(strings) => strings.push(parts)?,
            Data::Length(lengths, _) => lengths.push(parts.iter().copied().map(characters).sum()),
            _ => {
                self.push_null();
                return Ok(());
            }
        }
        self.valid.append_non_null();
        Ok(())
    }

    /// Appends an integer or a time; to a column of another type, a null.
    #[inline]
    pub(super) fn push_int(&mut self, value: i64) {
        match &mut self.data {
            Data::Int(values) | Data::Time(values) => values.push(value),
            _ => return self.push_null(),
        }
        self.valid.append_non_null();
    }

    /// Appends a truth value; to a column of another type, a null.
    pub(super) fn push_bool(&mut self, value: bool) {
        match &mut self.data {
            Data::Bool(values) => values.append(value),
            _ => return self.push_null(),
        }
        self.valid.append_non_null();
    }

    /// Appends the next item, which is inside `depth` lists and maps. All of it is held to all rules. What does not
    /// fit the column's type is null and counted in `misfits`.
    #[inline]
    pub(super) fn push(
        &mut self,
        cursor: &mut Cursor<'_>,
        depth: usize,
        misfits: &mut u64,
    ) -> Result<(), Refusal> {
        let kind = cursor.kind()?;
        match (&mut self.data, kind) {
            (Data::Text(strings), Kind::Text) => strings.push(&[cursor.read_text()?])?,
            (Data::Int(values), Kind::Unsigned | Kind::Negative) => {
                let Ok(value) = i64::try_from(cursor.read_integer()?) else {
                    *misfits += 1;
                    self.push_null();
                    return Ok(());
                };
                values.push(value);
            }
            (Data::Bool(values), Kind::Bool) => values.append(cursor.read_bool()?),
            (Data::Float(values), Kind::Float) => values.push(cursor.read_f64()?),
            (Data::Bytes(strings), Kind::Bytes) => strings.push(&[cursor.read_bytes()?])?,
            (Data::Link(strings), Kind::Link) => {
                let cid = cursor.read_link()?;
                strings.push(&[cid.write_text(&mut [0; Cid::TEXT_LENGTH])])?;
            }
            (_, Kind::Null) => {
                cursor.read_null()?;
                self.push_null();
                return Ok(());
            }
            (Data::Json(strings, text), _) => {
                text.clear();
                json::write_within(cursor, text, depth)?;
                strings.push(&[&*text])?;
            }
            (Data::List(..), Kind::List) | (Data::Struct(..), Kind::Map) => {
                return self.push_nested(cursor, depth, misfits);
            }
            (Data::Length(lengths, texts), _) => {
                texts.truncate(0);
                texts.push(cursor, depth, misfits)?;
                let Some(text) = texts.last_text() else {
                    self.push_null();
                    return Ok(());
                };
                lengths.push(characters(text));
            }
            _ => {
                *misfits += 1;
                self.push_null();
                return Ok(check_within(cursor, depth)?);
            }
        }
        self.valid.append_non_null();
        Ok(())
    }

    fn push_nested(
        &mut self,
        cursor: &mut Cursor<'_>,
        depth: usize,
        misfits: &mut u64,
    ) -> Result<(), Refusal> {
        check_depth(cursor, depth)?;
        match &mut self.data {
            Data::List(ends, item) => {
                for _ in 0..cursor.read_list()? {
                    item.push(cursor, depth + 1, misfits)?;
                }
                ends.push(i32::try_from(item.len()).map_err(|_| Refusal::Full)?);
            }
            Data::Struct(fields, _) => {
                let row = self.valid.len();
                let mut keys = MapKeys::new(cursor.read_map()?);
                let mut next = 0;
                while let Some(key) = keys.next_bytes(cursor)? {
                    match find(fields, &mut next, key) {
                        Some(field) => fields[field].1.push(cursor, depth + 1, misfits)?,
                        None => check_within(cursor, depth + 1)?,
                    }
                }
                for (_, column) in fields {
                    if column.len() == row {
                        column.push_null();
                    }
                }
            }
            _ => {}
        }
        self.valid.append_non_null();
        Ok(())
    }

    /// Whether the last row is this constant. Null is not; a constant of another type is never.
    pub(super) fn last_is(&self, literal: &Literal) -> bool {
        let Some(last) = self.len().checked_sub(1).filter(|last| self.valid.is_valid(*last)) else {
            return false;
        };
        match (&self.data, literal) {
            (Data::Text(strings) | Data::Link(strings), Literal::Text(text)) => {
                strings.last() == text.as_bytes()
            }
            (Data::Int(values) | Data::Length(values, _), Literal::Int(value)) => {
                values.last() == Some(value)
            }
            (Data::Bool(values), Literal::Bool(value)) => values.get_bit(last) == *value,
            _ => false,
        }
    }

    /// The text of the last row.
    pub(super) fn last_text(&self) -> Option<&str> {
        let last = self.len().checked_sub(1)?;
        match &self.data {
            Data::Text(strings) | Data::Link(strings) | Data::Json(strings, _)
                if self.valid.is_valid(last) =>
            {
                std::str::from_utf8(strings.last()).ok()
            }
            _ => None,
        }
    }

    /// What it holds as an array; it is empty after, with as much room as it used.
    pub(super) fn finish(&mut self) -> ArrayRef {
        let valid: Option<NullBuffer> = self.valid.finish();
        // The arrays' constructors check what is pushed above to be true already: lengths, offsets and UTF-8.
        match &mut self.data {
            Data::Bool(values) => Arc::new(BooleanArray::new(values.finish(), valid)),
            Data::Int(values) | Data::Length(values, _) => Arc::new(Int64Array::new(next(values), valid)),
            Data::Float(values) => Arc::new(Float64Array::new(next(values), valid)),
            Data::Time(values) => {
                Arc::new(TimestampNanosecondArray::new(next(values), valid).with_timezone(super::UTC))
            }
            Data::Text(strings) | Data::Link(strings) | Data::Json(strings, _) => {
                let (offsets, bytes) = strings.finish();
                Arc::new(StringArray::new(offsets, bytes, valid))
            }
            Data::Bytes(strings) => {
                let (offsets, bytes) = strings.finish();
                Arc::new(BinaryArray::new(offsets, bytes, valid))
            }
            Data::List(ends, item) => {
                let ends = OffsetBuffer::new(std::mem::replace(ends, vec![0]).into());
                let items = item.finish();
                let field = Arc::new(Field::new_list_field(items.data_type().clone(), true));
                Arc::new(ListArray::new(field, ends, items, valid))
            }
            Data::Struct(columns, places) => {
                let mut sorted: Vec<(Field, ArrayRef)> = Vec::with_capacity(columns.len());
                for (name, column) in columns {
                    let array = column.finish();
                    sorted.push((Field::new(name.as_str(), array.data_type().clone(), true), array));
                }
                let (fields, arrays): (Vec<Field>, Vec<ArrayRef>) =
                    places.iter().map(|place| sorted[*place].clone()).unzip();
                Arc::new(StructArray::new(Fields::from(fields), arrays, valid))
            }
        }
    }
}

/// The number of characters of a text; no text is so long that they do not fit.
fn characters(text: &str) -> i64 {
    text.chars().count() as i64
}

/// The numbers, leaving room for as many.
fn next<T: arrow_buffer::ArrowNativeType>(values: &mut Vec<T>) -> ScalarBuffer<T> {
    let room = Vec::with_capacity(values.len());
    let full = take(values);
    *values = room;
    full.into()
}

/// Finds the field that a key names, where fields and keys both come in canonical order; `next` is where the last
/// search ended.
#[inline]
pub(super) fn find<F>(fields: &[(String, F)], next: &mut usize, key: &[u8]) -> Option<usize> {
    while let Some((field, _)) = fields.get(*next) {
        match field.len().cmp(&key.len()).then_with(|| field.as_bytes().cmp(key)) {
            Ordering::Less => *next += 1,
            Ordering::Equal => {
                *next += 1;
                return Some(*next - 1);
            }
            Ordering::Greater => return None,
        }
    }
    None
}

/// Refuses one more list or map inside `depth` others, if that is too deep.
#[inline]
pub(super) fn check_depth(cursor: &Cursor<'_>, depth: usize) -> cbor::Result<()> {
    if depth < MAX_DEPTH {
        return Ok(());
    }
    Err(cbor::Error { at: cursor.position(), rule: Rule::Depth })
}

/// Moves over the next item, which is inside `depth` lists and maps, holding it to all rules.
#[inline]
pub(super) fn check_within(cursor: &mut Cursor<'_>, depth: usize) -> cbor::Result<()> {
    match cursor.kind()? {
        Kind::List => {
            check_depth(cursor, depth)?;
            for _ in 0..cursor.read_list()? {
                check_within(cursor, depth + 1)?;
            }
            Ok(())
        }
        Kind::Map => {
            check_depth(cursor, depth)?;
            let mut keys = MapKeys::new(cursor.read_map()?);
            while keys.next_bytes(cursor)?.is_some() {
                check_within(cursor, depth + 1)?;
            }
            Ok(())
        }
        _ => cursor.check(),
    }
}

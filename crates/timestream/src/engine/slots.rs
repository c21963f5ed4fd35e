//! A value per key, of any type: what `first last min max` keep, and what a snapshot of the answer is made of.
//!
//! Numbers lie in a vector, text and binary in one arena, other types there too in Arrow's row format, which
//! orders as the values do. No value is boxed.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{
    Array, ArrayRef, ArrowPrimitiveType, BinaryArray, PrimitiveArray, StringArray, new_null_array,
};
use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer};
use arrow_row::{RowConverter, Rows, SortField};
use arrow_schema::{ArrowError, DataType};

use super::array::{carried, fill, retyped, with_carrier};
use super::error::EngineError;

/// Which of a key's values is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keep {
    /// The first that is not null.
    First,
    /// The newest that is not null.
    Last,
    /// The least; a number before any NaN; of equal ones the first.
    Min,
    /// The greatest; a number before any NaN; of equal ones the first.
    Max,
}

/// A value, or null, per key number.
pub(crate) struct Slots {
    data_type: DataType,
    store: Box<dyn Store>,
}

impl Slots {
    /// No slots yet, for values of a type.
    pub(crate) fn new(data_type: &DataType) -> Result<Self, EngineError> {
        let store: Box<dyn Store> = match data_type {
            DataType::Utf8 | DataType::Binary => Box::new(Bytes::default()),
            other => with_carrier!(other, T => Box::new(Fixed::<T>::default()), else {
                let field = vec![SortField::new(other.clone())];
                let converter = RowConverter::new(field).map_err(EngineError::kernel("state"))?;
                Box::new(Bytes { converter: Some(converter), ..Bytes::default() })
            }),
        };
        Ok(Self { data_type: data_type.clone(), store })
    }

    /// Type of the values.
    pub(crate) fn data_type(&self) -> &DataType {
        &self.data_type
    }

    /// Number of slots.
    pub(crate) fn len(&self) -> usize {
        self.store.len()
    }

    /// Makes slots for this many keys.
    pub(crate) fn grow(&mut self, keys: usize) {
        self.store.grow(keys);
    }

    /// Offers each row's value (where `valid`; none: everywhere) to its key's slot; gives what the slot holds
    /// after each row.
    pub(crate) fn fold(
        &mut self,
        keep: Keep,
        keys: &[u32],
        values: &ArrayRef,
        valid: Option<&BooleanBuffer>,
    ) -> Result<ArrayRef, EngineError> {
        self.expect(values)?;
        self.store.fold(keep, keys, values, valid, &self.data_type).map_err(EngineError::kernel("state"))
    }

    /// Puts each value, null too, into its key's slot.
    pub(crate) fn put(&mut self, keys: &[u32], values: &ArrayRef) -> Result<(), EngineError> {
        self.expect(values)?;
        self.store.put(keys, values).map_err(EngineError::kernel("state"))
    }

    /// Empties these keys' slots.
    pub(crate) fn clear(&mut self, keys: &[u32]) -> Result<(), EngineError> {
        self.put(keys, &new_null_array(&self.data_type, keys.len()))
    }

    /// The values in these keys' slots.
    pub(crate) fn take(&self, keys: &[u32]) -> Result<ArrayRef, EngineError> {
        self.store.take(keys, &self.data_type).map_err(EngineError::kernel("state"))
    }

    /// Whether a window that holds the values of both slots, and lets go of `held` first, never shows that
    /// again: the new one is kept in its place, or is the same. Neither is null.
    pub(crate) fn outdoes(&self, keep: Keep, new: u32, held: u32) -> bool {
        match keep {
            Keep::First => false,
            Keep::Last => true,
            Keep::Min | Keep::Max => self.store.outdoes(keep == Keep::Min, new, held),
        }
    }

    /// Bytes of the longest value, where values differ in that; of new ones it is `fresh`.
    pub(crate) fn shows(&self, fresh: usize) -> usize {
        self.store.widest().map_or(0, |widest| widest.max(fresh))
    }

    /// Bytes of a value.
    pub(crate) fn bytes(&self, key: u32) -> usize {
        self.store.bytes(key)
    }

    /// Bytes held.
    pub(crate) fn memory(&self) -> usize {
        self.store.memory()
    }

    fn expect(&self, values: &ArrayRef) -> Result<(), EngineError> {
        if *values.data_type() == self.data_type {
            return Ok(());
        }
        Err(EngineError::mismatch("state", &self.data_type, values.data_type()))
    }
}

/// Slots of one layout.
trait Store: Send {
    fn len(&self) -> usize;
    fn grow(&mut self, keys: usize);
    fn fold(
        &mut self,
        keep: Keep,
        keys: &[u32],
        values: &ArrayRef,
        valid: Option<&BooleanBuffer>,
        data_type: &DataType,
    ) -> Result<ArrayRef, ArrowError>;
    fn put(&mut self, keys: &[u32], values: &ArrayRef) -> Result<(), ArrowError>;
    fn take(&self, keys: &[u32], data_type: &DataType) -> Result<ArrayRef, ArrowError>;
    /// Whether the new value is kept in the place of the held one by `min` (else `max`), or is the same.
    fn outdoes(&self, is_min: bool, new: u32, held: u32) -> bool;
    fn bytes(&self, _key: u32) -> usize {
        size_of::<u64>()
    }
    /// Bytes that no value exceeds; none where all have as many.
    fn widest(&self) -> Option<usize> {
        None
    }
    fn memory(&self) -> usize;
}

/// Numbers, dates and times.
struct Fixed<T: ArrowPrimitiveType> {
    values: Vec<T::Native>,
    held: Vec<bool>,
}

impl<T: ArrowPrimitiveType> Default for Fixed<T> {
    fn default() -> Self {
        Self { values: Vec::new(), held: Vec::new() }
    }
}

impl<T: ArrowPrimitiveType> Fixed<T> {
    fn run(
        &mut self,
        keys: &[u32],
        values: &[T::Native],
        valid: Option<&BooleanBuffer>,
        replaces: impl Fn(T::Native, T::Native) -> bool,
    ) -> (Vec<T::Native>, Option<NullBuffer>) {
        let mut out = Vec::with_capacity(keys.len());
        let Some(valid) = valid else {
            for (key, value) in keys.iter().zip(values) {
                let key = *key as usize;
                if !self.held[key] || replaces(self.values[key], *value) {
                    self.values[key] = *value;
                    self.held[key] = true;
                }
                out.push(self.values[key]);
            }
            return (out, None);
        };
        let held = BooleanBuffer::collect_bool(keys.len(), |row| {
            let key = keys[row] as usize;
            if valid.value(row) && (!self.held[key] || replaces(self.values[key], values[row])) {
                self.values[key] = values[row];
                self.held[key] = true;
            }
            out.push(self.values[key]);
            self.held[key]
        });
        (out, Some(NullBuffer::new(held)))
    }
}

impl<T: ArrowPrimitiveType> Store for Fixed<T> {
    fn len(&self) -> usize {
        self.values.len()
    }

    fn grow(&mut self, keys: usize) {
        fill(&mut self.values, keys, T::Native::default());
        fill(&mut self.held, keys, false);
    }

    fn fold(
        &mut self,
        keep: Keep,
        keys: &[u32],
        values: &ArrayRef,
        valid: Option<&BooleanBuffer>,
        data_type: &DataType,
    ) -> Result<ArrayRef, ArrowError> {
        let values = carried::<T>(values)?;
        let values = values.values();
        // Nothing but NaN is not comparable with itself.
        let is_nan = |value: T::Native| value.partial_cmp(&value).is_none();
        let (out, nulls) = match keep {
            Keep::First => self.run(keys, values, valid, |_, _| false),
            Keep::Last => self.run(keys, values, valid, |_, _| true),
            Keep::Min => self.run(keys, values, valid, |held, new| new < held || is_nan(held)),
            Keep::Max => self.run(keys, values, valid, |held, new| new > held || is_nan(held)),
        };
        retyped(PrimitiveArray::<T>::try_new(out.into(), nulls)?, data_type)
    }

    fn put(&mut self, keys: &[u32], values: &ArrayRef) -> Result<(), ArrowError> {
        let values = carried::<T>(values)?;
        for (key, value) in keys.iter().zip(values.values()) {
            self.values[*key as usize] = *value;
        }
        match values.nulls().filter(|nulls| nulls.null_count() > 0) {
            None => keys.iter().for_each(|key| self.held[*key as usize] = true),
            Some(nulls) => {
                for (key, is_valid) in keys.iter().zip(nulls) {
                    self.held[*key as usize] = is_valid;
                }
            }
        }
        Ok(())
    }

    fn take(&self, keys: &[u32], data_type: &DataType) -> Result<ArrayRef, ArrowError> {
        let values = keys.iter().map(|key| self.values[*key as usize]).collect();
        let nulls = NullBuffer::new(keys.iter().map(|key| self.held[*key as usize]).collect());
        retyped(PrimitiveArray::<T>::try_new(values, Some(nulls))?, data_type)
    }

    fn outdoes(&self, is_min: bool, new: u32, held: u32) -> bool {
        let (new, held) = (self.values[new as usize], self.values[held as usize]);
        // 0.0 equals -0.0 and is not the same. Nothing but NaN is not comparable with itself.
        let is_same = new == held && !T::DATA_TYPE.is_floating();
        is_same || held.partial_cmp(&held).is_none() || if is_min { new < held } else { new > held }
    }

    fn memory(&self) -> usize {
        self.values.capacity() * size_of::<T::Native>() + self.held.capacity()
    }
}

/// Text, binary, and by the row format all else.
#[derive(Default)]
struct Bytes {
    arena: Vec<u8>,
    spans: Vec<Span>,
    /// Bytes of the arena that no span names.
    waste: usize,
    /// The most that a value has had since the arena was tidied.
    widest: usize,
    /// For types other than text and binary.
    converter: Option<RowConverter>,
}

/// A value in the arena.
#[derive(Clone, Copy)]
struct Span {
    start: usize,
    len: u32,
}

impl Span {
    const NULL: Self = Self { start: 0, len: u32::MAX };
}

/// The values of a batch as bytes.
pub(super) enum View<'a> {
    Array(&'a [i32], &'a [u8]),
    Rows(Rows),
}

impl View<'_> {
    #[inline]
    pub(super) fn get(&self, row: usize) -> &[u8] {
        match self {
            Self::Array(offsets, data) => &data[offsets[row] as usize..offsets[row + 1] as usize],
            Self::Rows(rows) => rows.row(row).data(),
        }
    }
}

/// Views text and binary; with a converter any type.
pub(super) fn view<'a>(
    values: &'a ArrayRef,
    converter: Option<&RowConverter>,
) -> Result<View<'a>, ArrowError> {
    if let Some(converter) = converter {
        return Ok(View::Rows(converter.convert_columns(&[Arc::clone(values)])?));
    }
    Ok(match values.as_string_opt::<i32>() {
        Some(values) => View::Array(values.value_offsets(), values.value_data()),
        None => {
            let values = values.as_binary::<i32>();
            View::Array(values.value_offsets(), values.value_data())
        }
    })
}

impl Bytes {
    fn view<'a>(&self, values: &'a ArrayRef) -> Result<View<'a>, ArrowError> {
        view(values, self.converter.as_ref())
    }

    #[inline]
    fn get(&self, key: u32) -> Option<&[u8]> {
        let span = self.spans[key as usize];
        (span.len != u32::MAX).then(|| &self.arena[span.start..span.start + span.len as usize])
    }

    fn set(&mut self, key: u32, value: Option<&[u8]>) -> Result<(), ArrowError> {
        let span = self.spans[key as usize];
        let room = if span.len == u32::MAX { 0 } else { span.len as usize };
        let Some(value) = value else {
            self.waste += room;
            self.spans[key as usize] = Span::NULL;
            return Ok(());
        };
        let len = u32::try_from(value.len()).ok().filter(|len| *len != u32::MAX);
        let len = len.ok_or_else(|| ArrowError::InvalidArgumentError("a value of 4 GiB".into()))?;
        self.widest = self.widest.max(value.len());
        if value.len() <= room {
            self.waste += room - value.len();
            self.arena[span.start..span.start + value.len()].copy_from_slice(value);
            self.spans[key as usize] = Span { start: span.start, len };
            return Ok(());
        }
        self.waste += room;
        let start = self.arena.len();
        self.arena.extend_from_slice(value);
        self.spans[key as usize] = Span { start, len };
        Ok(())
    }

    /// Drops what no span names, once it is more than half.
    fn tidy(&mut self) {
        if self.waste <= 4096 || self.waste * 2 <= self.arena.len() {
            return;
        }
        let mut arena = Vec::with_capacity(self.arena.len() - self.waste);
        self.widest = 0;
        for span in self.spans.iter_mut().filter(|span| span.len != u32::MAX) {
            let start = arena.len();
            arena.extend_from_slice(&self.arena[span.start..span.start + span.len as usize]);
            span.start = start;
            self.widest = self.widest.max(span.len as usize);
        }
        self.arena = arena;
        self.waste = 0;
    }
}

/// Collects byte strings and nulls into an array.
struct Collected {
    bytes: Vec<u8>,
    ends: Vec<i32>,
    valid: Vec<bool>,
}

impl Collected {
    fn with_capacity(rows: usize) -> Self {
        let mut ends = Vec::with_capacity(rows + 1);
        ends.push(0);
        Self { bytes: Vec::new(), ends, valid: Vec::with_capacity(rows) }
    }

    #[inline]
    fn push(&mut self, value: Option<&[u8]>) {
        self.bytes.extend_from_slice(value.unwrap_or_default());
        // What is beyond 32 bits is found at the end, by the bytes.
        self.ends.push(self.bytes.len() as i32);
        self.valid.push(value.is_some());
    }

    fn finish(self, converter: Option<&RowConverter>, data_type: &DataType) -> Result<ArrayRef, ArrowError> {
        let nulls = Some(NullBuffer::from(self.valid)).filter(|nulls| nulls.null_count() > 0);
        bytes_array(self.bytes, self.ends, nulls, converter, data_type)
    }
}

/// Byte strings, of which the first begins at 0 and each ends where the next begins, as values of a type.
pub(super) fn bytes_array(
    bytes: Vec<u8>,
    ends: Vec<i32>,
    nulls: Option<NullBuffer>,
    converter: Option<&RowConverter>,
    data_type: &DataType,
) -> Result<ArrayRef, ArrowError> {
    if i32::try_from(bytes.len()).is_err() {
        return Err(ArrowError::OffsetOverflowError(bytes.len()));
    }
    if let Some(converter) = converter {
        let null = converter.convert_columns(&[new_null_array(data_type, 1)])?;
        let parser = converter.parser();
        let rows = ends.windows(2).enumerate().map(|(row, ends)| {
            let is_valid = nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row));
            if is_valid { parser.parse(&bytes[ends[0] as usize..ends[1] as usize]) } else { null.row(0) }
        });
        let column = converter.convert_rows(rows)?.pop();
        return column.ok_or_else(|| ArrowError::ComputeError("no column came of the rows".into()));
    }
    let (offsets, bytes) = (OffsetBuffer::new(ends.into()), Buffer::from_vec(bytes));
    match data_type {
        DataType::Utf8 => Ok(Arc::new(StringArray::try_new(offsets, bytes, nulls)?)),
        _ => Ok(Arc::new(BinaryArray::try_new(offsets, bytes, nulls)?)),
    }
}

impl Store for Bytes {
    fn len(&self) -> usize {
        self.spans.len()
    }

    fn grow(&mut self, keys: usize) {
        fill(&mut self.spans, keys, Span::NULL);
    }

    fn fold(
        &mut self,
        keep: Keep,
        keys: &[u32],
        values: &ArrayRef,
        valid: Option<&BooleanBuffer>,
        data_type: &DataType,
    ) -> Result<ArrayRef, ArrowError> {
        let view = self.view(values)?;
        let mut out = Collected::with_capacity(keys.len());
        for (row, key) in keys.iter().enumerate() {
            if valid.is_none_or(|valid| valid.value(row)) {
                let new = view.get(row);
                let replaces = self.get(*key).is_none_or(|held| match keep {
                    Keep::First => false,
                    Keep::Last => true,
                    Keep::Min => new < held,
                    Keep::Max => new > held,
                });
                if replaces {
                    self.set(*key, Some(new))?;
                }
            }
            out.push(self.get(*key));
        }
        self.tidy();
        out.finish(self.converter.as_ref(), data_type)
    }

    fn put(&mut self, keys: &[u32], values: &ArrayRef) -> Result<(), ArrowError> {
        let view = self.view(values)?;
        let nulls = values.logical_nulls();
        for (row, key) in keys.iter().enumerate() {
            let valid = nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row));
            self.set(*key, valid.then(|| view.get(row)))?;
        }
        self.tidy();
        Ok(())
    }

    fn take(&self, keys: &[u32], data_type: &DataType) -> Result<ArrayRef, ArrowError> {
        let mut out = Collected::with_capacity(keys.len());
        for key in keys {
            out.push(self.get(*key));
        }
        out.finish(self.converter.as_ref(), data_type)
    }

    fn outdoes(&self, is_min: bool, new: u32, held: u32) -> bool {
        let (new, held) = (self.get(new), self.get(held));
        new == held || (new < held) == is_min
    }

    fn bytes(&self, key: u32) -> usize {
        self.get(key).map_or(0, <[u8]>::len)
    }

    fn widest(&self) -> Option<usize> {
        Some(self.widest)
    }

    fn memory(&self) -> usize {
        let converter = self.converter.as_ref().map_or(0, RowConverter::size);
        self.arena.capacity() + self.spans.capacity() * size_of::<Span>() + converter
    }
}

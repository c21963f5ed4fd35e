//! `collect`: the newest values of each key, shown as a list at every row.
//!
//! A list is copied as it is shown, since Arrow's lists cannot lie over each other. A key's values are kept
//! side by side ([`Runs`]), so that this is one copy a list and not one a value.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, ArrowPrimitiveType, BooleanArray, ListArray, PrimitiveArray};
use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer};
use arrow_row::{RowConverter, SortField};
use arrow_schema::{ArrowError, DataType};

use super::aggregate::{Aggregate, Batch};
use super::array::{carried, ends, fill, retyped, with_carrier};
use super::error::EngineError;
use super::queues::{list, saved_lists};
use super::runs::Runs;
use super::saved::part;
use super::slots::{View, bytes_array, view};
use crate::types;

/// The state of `collect`: the newest values, at most `max`.
pub(super) struct Collect {
    max: usize,
    min: usize,
    item: DataType,
    lists: Box<dyn Lists>,
    /// Whether a number has had a point.
    begun: Vec<bool>,
    /// Bytes of the longest list, or more.
    longest: usize,
    /// Numbers that were forgotten since that was looked for.
    forgotten: usize,
}

impl Collect {
    pub(super) fn new(input: &DataType, max: usize, min: usize) -> Result<Self, EngineError> {
        let lists: Box<dyn Lists> = match input {
            DataType::Utf8 | DataType::Binary => Box::new(Texts::default()),
            other => with_carrier!(other, T => Box::new(Numbers::<T>::default()), else {
                let field = vec![SortField::new(other.clone())];
                let converter = RowConverter::new(field).map_err(EngineError::kernel("state"))?;
                Box::new(Texts { converter: Some(converter), ..Texts::default() })
            }),
        };
        Ok(Self { max, min, item: input.clone(), lists, begun: Vec::new(), longest: 0, forgotten: 0 })
    }
}

impl Aggregate for Collect {
    fn data_type(&self) -> DataType {
        types::list(self.item.clone())
    }

    fn fold(&mut self, batch: &Batch<'_>) -> Result<ArrayRef, EngineError> {
        self.lists.grow(batch.known);
        fill(&mut self.begun, batch.known, false);
        let values = batch.array()?;
        if *values.data_type() != self.item {
            return Err(EngineError::mismatch("collect", &self.item, values.data_type()));
        }
        let valid = batch.valid();
        let rows = Shown {
            keys: batch.keys,
            valid: valid.as_ref(),
            present: batch.present,
            max: self.max,
            min: self.min,
        };
        let len = batch.keys.len();
        let (mut ends, holds) = (Vec::with_capacity(len + 1), Vec::with_capacity(len));
        ends.push(0);
        let mut answer = Answer { ends, holds, longest: self.longest };
        let shown = self.lists.fold(&rows, &values, &mut self.begun, &mut answer, &self.item);
        let shown = shown.map_err(EngineError::kernel("collect"))?;
        let Answer { ends, holds, longest } = answer;
        self.longest = longest;
        let nulls = Some(NullBuffer::new(BooleanBuffer::from(holds))).filter(|nulls| nulls.null_count() > 0);
        list(&self.item, OffsetBuffer::new(ends.into()), shown, nulls)
    }

    fn reset(&mut self, keys: &[u32]) -> Result<(), EngineError> {
        for key in keys {
            self.lists.clear(*key as usize);
            if let Some(begun) = self.begun.get_mut(*key as usize) {
                *begun = false;
            }
        }
        self.lists.tidy();
        self.forgotten += keys.len();
        if self.forgotten > self.begun.len() {
            let longest = (0..self.begun.len()).map(|key| self.lists.bytes(key)).max();
            (self.longest, self.forgotten) = (longest.unwrap_or_default(), 0);
        }
        Ok(())
    }

    fn shows(&self, fresh: usize, rows: usize) -> usize {
        let widest = self.lists.widest(fresh);
        self.longest.saturating_add(rows.saturating_mul(widest)).min(self.max.saturating_mul(widest))
    }

    fn save(&self, keys: &[u32]) -> Result<Vec<ArrayRef>, EngineError> {
        let begun: BooleanArray =
            keys.iter().map(|key| Some(self.begun.get(*key as usize).copied().unwrap_or(false))).collect();
        let lengths = ends(keys.iter().map(|key| self.lists.len(*key as usize)));
        let lengths = lengths.map_err(EngineError::kernel("collect"))?;
        let values = self.lists.values(keys, &self.item).map_err(EngineError::kernel("collect"))?;
        Ok(vec![list(&self.item, lengths, values, None)?, Arc::new(begun)])
    }

    fn load(&mut self, keys: &[u32], known: usize, state: &[ArrayRef]) -> Result<(), EngineError> {
        let lists = saved_lists(state, &self.item)?;
        let begun = part::<BooleanArray>(state, 1, "collect")?;
        self.lists.grow(known);
        fill(&mut self.begun, known, false);
        self.lists.load(keys, lists, self.max).map_err(EngineError::kernel("collect"))?;
        for (row, key) in keys.iter().enumerate() {
            self.begun[*key as usize] = begun.value(row);
            self.longest = self.longest.max(self.lists.bytes(*key as usize));
        }
        Ok(())
    }

    fn trailing(&self, nanos: i64) -> Option<Result<Box<dyn Aggregate>, EngineError>> {
        let wanted = super::passing::Wanted::Collect { max: self.max, min: self.min };
        let made = super::passing::Passing::new(wanted, &self.item, nanos);
        Some(made.map(|passing| Box::new(passing) as Box<dyn Aggregate>))
    }

    fn memory(&self) -> usize {
        self.lists.memory() + self.begun.capacity()
    }
}

/// Rows to fold, and when a list is shown.
struct Shown<'a> {
    keys: &'a [u32],
    valid: Option<&'a BooleanBuffer>,
    present: Option<&'a BooleanBuffer>,
    max: usize,
    min: usize,
}

/// What is shown beside the values.
struct Answer {
    /// Where the lists end.
    ends: Vec<i32>,
    /// Which are not null.
    holds: Vec<bool>,
    /// Bytes of the longest list so far.
    longest: usize,
}

/// Lists of one layout.
trait Lists: Send {
    fn grow(&mut self, keys: usize);
    /// Adds rows' values; gives the lists after each row one after the other.
    fn fold(
        &mut self,
        rows: &Shown<'_>,
        values: &ArrayRef,
        begun: &mut [bool],
        answer: &mut Answer,
        item: &DataType,
    ) -> Result<ArrayRef, ArrowError>;
    fn len(&self, key: usize) -> usize;
    /// Bytes of a list.
    fn bytes(&self, key: usize) -> usize;
    /// Bytes that a value in a list has at most, where those of new ones have so many.
    fn widest(&self, fresh: usize) -> usize;
    /// The lists of these keys, one after the other.
    fn values(&self, keys: &[u32], item: &DataType) -> Result<ArrayRef, ArrowError>;
    /// Takes up what [`Self::values`] gave, of each key at most the newest `max`.
    fn load(&mut self, keys: &[u32], lists: &ListArray, max: usize) -> Result<(), ArrowError>;
    fn clear(&mut self, key: usize);
    fn tidy(&mut self);
    fn memory(&self) -> usize;
}

/// The lists of so many rows are asked for before the first is shown, so that memory is waited for once and
/// not row by row.
const ABREAST: usize = 16;

/// What a layout is made of.
trait Layout: Send {
    /// The values of a batch.
    type Values<'a>;
    /// Where lists are shown.
    type Out: Default;

    fn read<'a>(&self, values: &'a ArrayRef) -> Result<Self::Values<'a>, ArrowError>;
    fn grow(&mut self, keys: usize);
    fn len(&self, key: usize) -> usize;
    /// Has memory bring a key's values.
    fn touch(&self, key: usize);
    fn bytes(&self, key: usize) -> usize;
    fn widest(&self, fresh: usize) -> usize;
    fn push(&mut self, key: usize, values: &Self::Values<'_>, row: usize) -> Result<(), ArrowError>;
    /// Lets go of the first value.
    fn shorten(&mut self, key: usize);
    /// Where the lists of a batch are shown.
    fn begin(&mut self) -> Self::Out {
        Self::Out::default()
    }
    /// Shows a key's list; gives how many bytes that has.
    fn show(&self, key: usize, out: &mut Self::Out) -> usize;
    fn finish(&self, out: Self::Out, item: &DataType) -> Result<ArrayRef, ArrowError>;
    /// Notes what goes out of a batch.
    fn lend(&mut self, _shown: &ArrayRef) {}
    fn clear(&mut self, key: usize);
    fn tidy(&mut self);
    fn memory(&self) -> usize;
}

impl<L: Layout> Lists for L {
    fn grow(&mut self, keys: usize) {
        Layout::grow(self, keys);
    }

    fn fold(
        &mut self,
        rows: &Shown<'_>,
        values: &ArrayRef,
        begun: &mut [bool],
        answer: &mut Answer,
        item: &DataType,
    ) -> Result<ArrayRef, ArrowError> {
        let values = self.read(values)?;
        let mut out = self.begin();
        let mut total = 0;
        for (row, key) in rows.keys.iter().enumerate() {
            if row % ABREAST == 0 {
                rows.keys[row..].iter().take(ABREAST).for_each(|key| self.touch(*key as usize));
            }
            let key = *key as usize;
            begun[key] |= rows.present.is_none_or(|present| present.value(row));
            if rows.valid.is_none_or(|valid| valid.value(row)) {
                self.push(key, &values, row)?;
                if Layout::len(self, key) > rows.max {
                    self.shorten(key);
                }
            }
            let len = Layout::len(self, key);
            let is_shown = begun[key] && len >= rows.min;
            if is_shown {
                answer.longest = answer.longest.max(self.show(key, &mut out));
                total += len;
            }
            answer.ends.push(i32::try_from(total).map_err(|_| ArrowError::OffsetOverflowError(total))?);
            answer.holds.push(is_shown);
        }
        Layout::tidy(self);
        let shown = self.finish(out, item)?;
        self.lend(&shown);
        Ok(shown)
    }

    fn len(&self, key: usize) -> usize {
        Layout::len(self, key)
    }

    fn bytes(&self, key: usize) -> usize {
        Layout::bytes(self, key)
    }

    fn widest(&self, fresh: usize) -> usize {
        Layout::widest(self, fresh)
    }

    fn values(&self, keys: &[u32], item: &DataType) -> Result<ArrayRef, ArrowError> {
        let mut out = L::Out::default();
        for key in keys {
            self.show(*key as usize, &mut out);
        }
        self.finish(out, item)
    }

    fn load(&mut self, keys: &[u32], lists: &ListArray, max: usize) -> Result<(), ArrowError> {
        let values = self.read(lists.values())?;
        for (key, ends) in keys.iter().zip(lists.value_offsets().windows(2)) {
            let (start, end) = (ends[0] as usize, ends[1] as usize);
            let newest = start.max(end.saturating_sub(max))..end;
            newest.into_iter().try_for_each(|row| self.push(*key as usize, &values, row))?;
        }
        Ok(())
    }

    fn clear(&mut self, key: usize) {
        Layout::clear(self, key);
    }

    fn tidy(&mut self) {
        Layout::tidy(self);
    }

    fn memory(&self) -> usize {
        Layout::memory(self)
    }
}

/// Numbers, dates and times.
struct Numbers<T: ArrowPrimitiveType> {
    runs: Runs<T::Native>,
}

impl<T: ArrowPrimitiveType> Default for Numbers<T> {
    fn default() -> Self {
        Self { runs: Runs::default() }
    }
}

impl<T: ArrowPrimitiveType> Layout for Numbers<T> {
    type Values<'a> = PrimitiveArray<T>;
    type Out = Vec<T::Native>;

    fn read(&self, values: &ArrayRef) -> Result<PrimitiveArray<T>, ArrowError> {
        carried::<T>(values)
    }

    fn grow(&mut self, keys: usize) {
        self.runs.grow(keys);
    }

    #[inline]
    fn len(&self, key: usize) -> usize {
        self.runs.get(key).len()
    }

    #[inline]
    fn touch(&self, key: usize) {
        self.runs.touch(key);
    }

    #[inline]
    fn bytes(&self, key: usize) -> usize {
        size_of_val(self.runs.get(key))
    }

    fn widest(&self, _fresh: usize) -> usize {
        size_of::<T::Native>()
    }

    #[inline]
    fn push(&mut self, key: usize, values: &PrimitiveArray<T>, row: usize) -> Result<(), ArrowError> {
        self.runs.push(key, &values.values()[row..=row]);
        Ok(())
    }

    #[inline]
    fn shorten(&mut self, key: usize) {
        self.runs.shorten(key, 1);
    }

    #[inline]
    fn show(&self, key: usize, out: &mut Vec<T::Native>) -> usize {
        let items = self.runs.get(key);
        out.extend_from_slice(items);
        size_of_val(items)
    }

    fn finish(&self, out: Vec<T::Native>, item: &DataType) -> Result<ArrayRef, ArrowError> {
        retyped(PrimitiveArray::<T>::try_new(out.into(), None)?, item)
    }

    fn clear(&mut self, key: usize) {
        self.runs.clear(key);
    }

    fn tidy(&mut self) {
        self.runs.tidy();
    }

    fn memory(&self) -> usize {
        self.runs.memory()
    }
}

/// Text, binary, and by the row format all else.
#[derive(Default)]
struct Texts {
    lengths: Runs<u32>,
    bytes: Runs<u8>,
    /// For types other than text and binary.
    converter: Option<RowConverter>,
    /// The memory of earlier answers, to be used again once nobody else has it: asking the system for it
    /// anew, page by page, takes longer than to copy the values.
    lent: Vec<Buffer>,
    /// How many values the lists of the last batch had.
    shown: usize,
    /// Bytes of the longest value that was there.
    widest: usize,
}

/// Memory of so many answers is used again, if it is so large.
const LENT: usize = 2;
const LARGE: usize = 1 << 20;

/// Values one after the other.
struct Bytes {
    bytes: Vec<u8>,
    ends: Vec<i32>,
}

impl Default for Bytes {
    fn default() -> Self {
        Self { bytes: Vec::new(), ends: vec![0] }
    }
}

impl Layout for Texts {
    type Values<'a> = View<'a>;
    type Out = Bytes;

    fn read<'a>(&self, values: &'a ArrayRef) -> Result<View<'a>, ArrowError> {
        view(values, self.converter.as_ref())
    }

    fn grow(&mut self, keys: usize) {
        self.lengths.grow(keys);
        self.bytes.grow(keys);
    }

    #[inline]
    fn len(&self, key: usize) -> usize {
        self.lengths.get(key).len()
    }

    #[inline]
    fn touch(&self, key: usize) {
        self.lengths.touch(key);
        self.bytes.touch(key);
    }

    #[inline]
    fn bytes(&self, key: usize) -> usize {
        self.bytes.get(key).len() + size_of_val(self.lengths.get(key))
    }

    fn widest(&self, fresh: usize) -> usize {
        self.widest.max(fresh) + size_of::<u32>()
    }

    #[inline]
    fn push(&mut self, key: usize, values: &View<'_>, row: usize) -> Result<(), ArrowError> {
        let value = values.get(row);
        let len = u32::try_from(value.len()).map_err(|_| ArrowError::OffsetOverflowError(value.len()))?;
        self.widest = self.widest.max(value.len());
        self.lengths.push(key, &[len]);
        self.bytes.push(key, value);
        Ok(())
    }

    #[inline]
    fn shorten(&mut self, key: usize) {
        let first = self.lengths.get(key).first().map_or(0, |len| *len as usize);
        self.lengths.shorten(key, 1);
        self.bytes.shorten(key, first);
    }

    fn begin(&mut self) -> Bytes {
        let mut out = Bytes::default();
        // About as many as in the batch before.
        out.ends.reserve(self.shown + self.shown / 8);
        for at in 0..self.lent.len() {
            match self.lent.remove(at).into_vec() {
                Ok(bytes) => {
                    out.bytes = bytes;
                    out.bytes.clear();
                    break;
                }
                Err(lent) => self.lent.insert(at, lent),
            }
        }
        out
    }

    fn lend(&mut self, shown: &ArrayRef) {
        self.shown = shown.len();
        let bytes = match shown.data_type() {
            DataType::Utf8 => shown.as_string::<i32>().values(),
            DataType::Binary => shown.as_binary::<i32>().values(),
            _ => return,
        };
        self.lent.truncate(LENT - 1);
        if bytes.len() >= LARGE {
            self.lent.insert(0, bytes.clone());
        }
    }

    #[inline]
    fn show(&self, key: usize, out: &mut Bytes) -> usize {
        // A sum beyond 32 bits is found at the end, by the bytes.
        let mut end = out.bytes.len() as i32;
        let (bytes, lengths) = (self.bytes.get(key), self.lengths.get(key));
        out.bytes.extend_from_slice(bytes);
        out.ends.extend(lengths.iter().map(|len| {
            end = end.wrapping_add(len.cast_signed());
            end
        }));
        bytes.len() + size_of_val(lengths)
    }

    fn finish(&self, out: Bytes, item: &DataType) -> Result<ArrayRef, ArrowError> {
        bytes_array(out.bytes, out.ends, None, self.converter.as_ref(), item)
    }

    fn clear(&mut self, key: usize) {
        self.lengths.clear(key);
        self.bytes.clear(key);
    }

    fn tidy(&mut self) {
        self.lengths.tidy();
        self.bytes.tidy();
    }

    fn memory(&self) -> usize {
        let converter = self.converter.as_ref().map_or(0, RowConverter::size);
        let lent: usize = self.lent.iter().map(Buffer::capacity).sum();
        self.lengths.memory() + self.bytes.memory() + converter + lent
    }
}

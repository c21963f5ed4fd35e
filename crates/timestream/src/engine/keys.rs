//! Keys to dense numbers: each key of an operator gets the next number when it is first seen, and every aggregation of the
//! region keeps its state in plain vectors by that number.
//!
//! The table holds nothing but the numbers (about 8 bytes a key); the keys lie in one arena and are hashed again when the
//! table grows. So state of a `count` stays under 64 bytes a key of 24 bytes. Of many keys little is in the processor's caches:
//! texts are looked up several at a time, step by step, so that they wait for memory together.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{ArrayRef, BinaryArray, StringArray};
use arrow_buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_ord::ord::make_comparator;
use arrow_ord::sort::sort_to_indices;
use arrow_row::{RowConverter, SortField};
use arrow_schema::{ArrowError, DataType, SortOptions};
use hashbrown::HashTable;

use super::array::{is_carried, make_room};
use super::error::EngineError;
use super::hash::{hash_bits, hash_bytes, narrow, widen};
use crate::rows::Keys;

/// Texts that are looked up side by side.
const ABREAST: usize = 32;
/// No number.
const NONE: u32 = u32::MAX;

/// The keys of an operator and their numbers.
pub(crate) struct KeyIndex {
    data_type: DataType,
    table: HashTable<u32>,
    store: Store,
    null: Option<u32>,
    /// The numbers of the first so many keys, by key; made when it is asked for.
    order: Vec<u32>,
}

/// Keys ascending, null first.
const BY_KEY: SortOptions = SortOptions { descending: false, nulls_first: true };

/// Where no more than one key in so many is asked for, those alone are put in order.
const FEW: usize = 16;

/// The keys by number. The null key has a slot whose content means nothing.
enum Store {
    /// Numbers, dates, times and booleans, by their canonical bits.
    Bits(Vec<u64>),
    /// Text and binary; any other type in the row format, whose bytes are equal where the values are.
    Bytes(Arena, Option<Encoded>),
}

/// What keys in the row format need beside their bytes, from which their hash does not follow.
struct Encoded {
    converter: RowConverter,
    hashes: Vec<u64>,
}

/// Byte strings one after another.
#[derive(Default)]
struct Arena {
    bytes: Vec<u8>,
    ends: Ends,
}

/// Where byte strings end: in 32 bits while they fit.
enum Ends {
    Narrow(Vec<u32>),
    Wide(Vec<u64>),
}

impl Default for Ends {
    fn default() -> Self {
        Self::Narrow(Vec::new())
    }
}

impl Arena {
    fn len(&self) -> usize {
        match &self.ends {
            Ends::Narrow(ends) => ends.len(),
            Ends::Wide(ends) => ends.len(),
        }
    }

    /// Where a string begins and ends.
    #[inline]
    fn span(&self, index: u32) -> (usize, usize) {
        let index = index as usize;
        match &self.ends {
            Ends::Narrow(ends) => {
                (if index == 0 { 0 } else { ends[index - 1] as usize }, ends[index] as usize)
            }
            Ends::Wide(ends) => (if index == 0 { 0 } else { ends[index - 1] as usize }, ends[index] as usize),
        }
    }

    #[inline]
    fn get(&self, index: u32) -> &[u8] {
        let (start, end) = self.span(index);
        &self.bytes[start..end]
    }

    fn push(&mut self, value: &[u8]) {
        make_room(&mut self.bytes, value.len());
        self.bytes.extend_from_slice(value);
        let end = self.bytes.len();
        if let Ends::Narrow(ends) = &mut self.ends {
            if let Ok(end) = u32::try_from(end) {
                make_room(ends, 1);
                ends.push(end);
                return;
            }
            self.ends = Ends::Wide(ends.iter().map(|end| u64::from(*end)).collect());
        }
        if let Ends::Wide(ends) = &mut self.ends {
            make_room(ends, 1);
            ends.push(end as u64);
        }
    }

    fn memory(&self) -> usize {
        let ends = match &self.ends {
            Ends::Narrow(ends) => ends.capacity() * 4,
            Ends::Wide(ends) => ends.capacity() * 8,
        };
        self.bytes.capacity() + ends
    }
}

/// All keys of a worker share the low bits that chose the worker; the table wants bits that differ.
#[inline]
fn spread(hash: u64) -> u64 {
    hash.rotate_left(32)
}

/// The next number, or the end of numbers.
#[inline]
fn next(len: usize) -> Result<u32, EngineError> {
    u32::try_from(len).ok().filter(|index| *index != NONE).ok_or(EngineError::TooManyKeys)
}

/// A number that is the same for equal byte strings, of their ends.
#[inline]
fn outlined(bytes: &[u8]) -> u64 {
    let word = |word: Option<&[u8; 8]>| word.map_or(0, |word| u64::from_ne_bytes(*word));
    word(bytes.first_chunk()) ^ word(bytes.last_chunk()).rotate_left(32)
}

/// Whether two byte strings are equal; of short ones, as keys are, told without a call or a branch a word.
#[inline]
fn same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let (Some(a_end), Some(b_end), 8..=64) = (a.last_chunk::<8>(), b.last_chunk::<8>(), a.len()) else {
        return a == b;
    };
    let (words, others) = (a.as_chunks::<8>().0, b.as_chunks::<8>().0);
    let differ = |a: &[u8; 8], b: &[u8; 8]| u64::from_ne_bytes(*a) ^ u64::from_ne_bytes(*b);
    let all = words.iter().zip(others).fold(differ(a_end, b_end), |all, (a, b)| all | differ(a, b));
    all == 0
}

impl KeyIndex {
    /// No keys yet, of a type.
    pub(crate) fn new(data_type: &DataType) -> Result<Self, EngineError> {
        let store = match data_type {
            DataType::Utf8 | DataType::Binary => Store::Bytes(Arena::default(), None),
            DataType::Boolean => Store::Bits(Vec::new()),
            other if is_carried(other) => Store::Bits(Vec::new()),
            other => {
                let converter = RowConverter::new(vec![SortField::new(other.clone())])
                    .map_err(EngineError::kernel("keys"))?;
                Store::Bytes(Arena::default(), Some(Encoded { converter, hashes: Vec::new() }))
            }
        };
        Ok(Self {
            data_type: data_type.clone(),
            table: HashTable::new(),
            store,
            null: None,
            order: Vec::new(),
        })
    }

    /// Number of keys seen.
    pub(crate) fn len(&self) -> usize {
        match &self.store {
            Store::Bits(bits) => bits.len(),
            Store::Bytes(arena, _) => arena.len(),
        }
    }

    /// Bytes held.
    pub(crate) fn memory(&self) -> usize {
        let store = match &self.store {
            Store::Bits(bits) => bits.capacity() * 8,
            Store::Bytes(arena, None) => arena.memory(),
            Store::Bytes(arena, Some(rows)) => {
                arena.memory() + rows.hashes.capacity() * 8 + rows.converter.size()
            }
        };
        store + self.table.allocation_size() + self.order.capacity() * 4
    }

    /// Appends each key's number to `numbers`; keys not seen before get the next ones.
    pub(crate) fn number(&mut self, keys: &Keys, numbers: &mut Vec<u32>) -> Result<(), EngineError> {
        let values = keys.values.as_ref();
        if *values.data_type() != self.data_type {
            return Err(EngineError::mismatch("keys", &self.data_type, values.data_type()));
        }
        let nulls = values.logical_nulls().filter(|nulls| nulls.null_count() > 0);
        numbers.reserve(values.len());
        let mut seen = Seen {
            table: &mut self.table,
            null: &mut self.null,
            hashes: &keys.hashes,
            nulls: nulls.as_ref(),
        };
        match &mut self.store {
            Store::Bits(store) => {
                let boolean = values.as_boolean_opt();
                let bits = boolean
                    .map(|values| values.values().iter().map(u64::from).collect())
                    .or_else(|| widen(values));
                let bits =
                    bits.ok_or_else(|| EngineError::mismatch("keys", "numbers", values.data_type()))?;
                let rehash =
                    if boolean.is_some() { |bits: u64| hash_bytes(&[bits as u8]) } else { hash_bits };
                for (row, key) in bits.iter().enumerate() {
                    let index = match seen.find(row, |index| store[index as usize] == *key) {
                        Some(index) => index,
                        None => {
                            let index = next(store.len())?;
                            make_room(store, 1);
                            store.push(*key);
                            seen.insert(row, index, |index| rehash(store[index as usize]));
                            index
                        }
                    };
                    numbers.push(index);
                }
                Ok(())
            }
            Store::Bytes(arena, None) => {
                let (offsets, data) = match values.as_string_opt::<i32>() {
                    Some(values) => (values.value_offsets(), values.value_data()),
                    None => {
                        (values.as_binary::<i32>().value_offsets(), values.as_binary::<i32>().value_data())
                    }
                };
                for start in (0..values.len()).step_by(ABREAST) {
                    let ends = &offsets[start..=(start + ABREAST).min(values.len())];
                    let likely = seen.likely(start, arena, data, ends);
                    for (at, (ends, likely)) in ends.windows(2).zip(likely).enumerate() {
                        let row = start + at;
                        if likely != NONE && !seen.is_null(row) {
                            numbers.push(likely);
                            continue;
                        }
                        let key = &data[ends[0] as usize..ends[1] as usize];
                        let index = match seen.find(row, |index| arena.get(index) == key) {
                            Some(index) => index,
                            None => {
                                let index = next(arena.len())?;
                                arena.push(key);
                                seen.insert(row, index, |index| hash_bytes(arena.get(index)));
                                index
                            }
                        };
                        numbers.push(index);
                    }
                }
                Ok(())
            }
            Store::Bytes(arena, Some(Encoded { converter, hashes })) => {
                let rows = converter
                    .convert_columns(&[Arc::clone(&keys.values)])
                    .map_err(EngineError::kernel("keys"))?;
                for (row, key) in rows.iter().enumerate() {
                    let index = match seen.find(row, |index| arena.get(index) == key.data()) {
                        Some(index) => index,
                        None => {
                            let index = next(arena.len())?;
                            arena.push(key.data());
                            hashes.push(keys.hashes[row]);
                            seen.insert(row, index, |index| hashes[index as usize]);
                            index
                        }
                    };
                    numbers.push(index);
                }
                Ok(())
            }
        }
    }

    /// The keys with these numbers.
    pub(crate) fn keys(&self, numbers: &[u32]) -> Result<ArrayRef, EngineError> {
        let nulls = self
            .null
            .filter(|null| numbers.contains(null))
            .map(|null| numbers.iter().map(|number| *number != null).collect());
        self.values(numbers, nulls).map_err(EngineError::kernel("keys"))
    }

    fn values(&self, numbers: &[u32], nulls: Option<NullBuffer>) -> Result<ArrayRef, ArrowError> {
        match &self.store {
            Store::Bits(store) => {
                let bits = numbers.iter().map(|number| store[*number as usize]);
                narrow(bits, nulls, &self.data_type)
            }
            Store::Bytes(arena, None) => {
                let offsets =
                    OffsetBuffer::from_lengths(numbers.iter().map(|number| arena.get(*number).len()));
                let mut bytes = Vec::with_capacity(offsets.last().map_or(0, |end| *end as usize));
                for number in numbers {
                    bytes.extend_from_slice(arena.get(*number));
                }
                let bytes = Buffer::from_vec(bytes);
                match self.data_type {
                    DataType::Utf8 => Ok(Arc::new(StringArray::try_new(offsets, bytes, nulls)?)),
                    _ => Ok(Arc::new(BinaryArray::try_new(offsets, bytes, nulls)?)),
                }
            }
            Store::Bytes(arena, Some(rows)) => {
                let parser = rows.converter.parser();
                let columns = rows
                    .converter
                    .convert_rows(numbers.iter().map(|number| parser.parse(arena.get(*number))))?;
                columns
                    .into_iter()
                    .next()
                    .ok_or_else(|| ArrowError::ComputeError("no column came of the rows".into()))
            }
        }
    }

    /// The same numbers, none of which is there twice, in the order of their keys, null first. The order of all keys is kept, since
    /// ticks ask for it at every boundary.
    pub(crate) fn in_order(&mut self, numbers: Vec<u32>) -> Result<Vec<u32>, EngineError> {
        if numbers.len() < self.len() / FEW {
            return self.sorted(&numbers);
        }
        if self.order.len() < self.len() {
            let new: Vec<u32> = (self.order.len() as u32..self.len() as u32).collect();
            let new = self.sorted(&new)?;
            self.order = self.merged(&new)?;
        }
        let mut is_asked = vec![false; self.len()];
        for number in numbers {
            is_asked[number as usize] = true;
        }
        Ok(self.order.iter().copied().filter(|number| is_asked[*number as usize]).collect())
    }

    /// Numbers in the order of their keys, null first.
    pub(crate) fn sorted(&self, numbers: &[u32]) -> Result<Vec<u32>, EngineError> {
        Ok(self.order(numbers)?.iter().map(|at| numbers[*at as usize]).collect())
    }

    /// The places of numbers, in the order of their keys, null first; of one number in the order they have.
    pub(crate) fn order(&self, numbers: &[u32]) -> Result<Vec<u32>, EngineError> {
        let keys = self.keys(numbers)?;
        let mut order = match &self.store {
            // Arrow's sort takes no structs, maps or lists of those.
            Store::Bytes(_, Some(_)) => {
                let compare = make_comparator(&keys, &keys, BY_KEY).map_err(EngineError::kernel("keys"))?;
                let mut order: Vec<u32> = (0..).take(numbers.len()).collect();
                order.sort_unstable_by(|a, b| compare(*a as usize, *b as usize));
                order
            }
            _ => {
                let order = sort_to_indices(&keys, Some(BY_KEY), None);
                order.map_err(EngineError::kernel("keys"))?.values().to_vec()
            }
        };
        // Neither way is stable.
        let number = |at: &u32| numbers[*at as usize];
        order.chunk_by_mut(|a, b| number(a) == number(b)).for_each(<[u32]>::sort_unstable);
        Ok(order)
    }

    /// The order with new keys in it, which are in order.
    fn merged(&self, new: &[u32]) -> Result<Vec<u32>, EngineError> {
        let old = &self.order;
        let compare = make_comparator(&self.keys(old)?, &self.keys(new)?, BY_KEY);
        let compare = compare.map_err(EngineError::kernel("keys"))?;
        let mut merged = Vec::with_capacity(self.len());
        let mut at = 0;
        for (row, number) in new.iter().enumerate() {
            let before = old[at..].iter().enumerate().take_while(|(next, _)| compare(at + next, row).is_lt());
            let before = before.count();
            merged.extend_from_slice(&old[at..at + before]);
            merged.push(*number);
            at += before;
        }
        merged.extend_from_slice(&old[at..]);
        Ok(merged)
    }

    /// The hash of each key, by number.
    pub(crate) fn hashes(&self) -> Result<ScalarBuffer<u64>, EngineError> {
        if let Store::Bytes(_, Some(rows)) = &self.store {
            return Ok(rows.hashes.clone().into());
        }
        let numbers: Vec<u32> = (0..self.len() as u32).collect();
        Ok(super::hash(&self.keys(&numbers)?))
    }
}

/// What looking up and adding a key needs, whatever its type.
struct Seen<'a> {
    table: &'a mut HashTable<u32>,
    null: &'a mut Option<u32>,
    hashes: &'a [u64],
    nulls: Option<&'a NullBuffer>,
}

impl Seen<'_> {
    #[inline]
    fn is_null(&self, row: usize) -> bool {
        self.nulls.is_some_and(|nulls| nulls.is_null(row))
    }

    /// The numbers of the keys from this row on that lie between these ends; [`NONE`] of those that are not where their hash
    /// says first: they are new, or stand behind another. What stands under a null means nothing.
    #[inline]
    fn likely(&self, start: usize, arena: &Arena, data: &[u8], ends: &[i32]) -> [u32; ABREAST] {
        let mut likely = [NONE; ABREAST];
        for (hash, likely) in self.hashes[start..start + ends.len() - 1].iter().zip(&mut likely) {
            *likely = self.table.find(spread(*hash), |_| true).copied().unwrap_or(NONE);
        }
        let mut spans = [(0, 0); ABREAST];
        for (span, index) in spans.iter_mut().zip(&likely).filter(|(_, index)| **index != NONE) {
            *span = arena.span(*index);
        }
        // Little is done with each here, so that all are asked of memory before the first is waited for.
        let mut outlines = [0; ABREAST];
        for (outline, (start, end)) in outlines.iter_mut().zip(spans) {
            *outline = outlined(&arena.bytes[start..end]);
        }
        for (at, ends) in ends.windows(2).enumerate() {
            let key = &data[ends[0] as usize..ends[1] as usize];
            let known = &arena.bytes[spans[at].0..spans[at].1];
            if outlines[at] != outlined(key) || !same(known, key) {
                likely[at] = NONE;
            }
        }
        likely
    }

    #[inline]
    fn find(&self, row: usize, equal: impl Fn(u32) -> bool) -> Option<u32> {
        if self.is_null(row) {
            return *self.null;
        }
        self.table.find(spread(self.hashes[row]), |index| equal(*index)).copied()
    }

    #[inline]
    fn insert(&mut self, row: usize, index: u32, hash: impl Fn(u32) -> u64) {
        if self.is_null(row) {
            *self.null = Some(index);
        } else {
            self.table.insert_unique(spread(self.hashes[row]), index, |index| spread(hash(*index)));
        }
    }
}

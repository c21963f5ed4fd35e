//! Keys to dense numbers: each key of an operator gets the next number when it is first seen, and every
//! aggregation of the region keeps its state in plain vectors by that number.
//!
//! The table holds nothing but the numbers (about 8 bytes a key); the keys lie in one [`Arena`] and are
//! hashed again when the table grows. So state of a `count` stays under 64 bytes a key, where all keys are of
//! one length and that is 32. Of many keys little is in the processor's caches: texts are looked up several
//! at a time, step by step, so that they wait for memory together.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{ArrayRef, BinaryArray, StringArray};
use arrow_buffer::{Buffer, NullBuffer};
use arrow_ord::ord::make_comparator;
use arrow_ord::sort::sort_to_indices;
use arrow_row::{RowConverter, SortField};
use arrow_schema::{ArrowError, DataType, SortOptions};
use hashbrown::HashTable;

use super::arena::{Arena, NONE};
use super::array::{ends, is_carried, make_room};
use super::error::EngineError;
use super::hash::{hash_bits, hash_bytes, narrow, widen};
use crate::rows::Keys;

/// Texts that are looked up side by side.
const ABREAST: usize = 32;

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
                    let mut likely = seen.likely(start, ends.len() - 1);
                    arena.confirm(&mut likely, data, ends);
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
                                if seen.is_null(row) {
                                    arena.push_blank();
                                } else {
                                    arena.push(key);
                                }
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

    /// A key of text or binary; the null key has none.
    #[inline]
    fn text<'a>(&self, arena: &'a Arena, number: u32) -> &'a [u8] {
        if self.null == Some(number) { &[] } else { arena.get(number) }
    }

    /// Bytes of a key.
    pub(crate) fn bytes(&self, number: u32) -> usize {
        match &self.store {
            Store::Bits(_) => size_of::<u64>(),
            Store::Bytes(arena, _) => self.text(arena, number).len(),
        }
    }

    /// The keys with these numbers.
    ///
    /// # Errors
    /// They have more than 2 GiB of text.
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
                let texts = || numbers.iter().map(|number| self.text(arena, *number));
                let offsets = ends(texts().map(<[u8]>::len))?;
                let mut bytes = Vec::with_capacity(offsets.last().map_or(0, |end| *end as usize));
                texts().for_each(|text| bytes.extend_from_slice(text));
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

    /// The same numbers, none of which is there twice, in the order of their keys, null first. The order of
    /// all keys is kept, since ticks ask for it at every boundary.
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
        if let Store::Bytes(arena, None) = &self.store {
            // All keys together may be more than an array can have. Few differ no sooner than eight bytes
            // behind what all begin with.
            let mut texts = numbers.iter().filter(|number| self.null != Some(**number));
            let first = texts.next().map_or(&[][..], |number| self.text(arena, *number));
            let common = texts.fold(first.len(), |common, number| {
                let both = first[..common].iter().zip(self.text(arena, *number));
                both.take_while(|(a, b)| a == b).count()
            });
            let begin = |key: &[u8]| {
                let mut begin = [0; 8];
                key.iter().skip(common).zip(&mut begin).for_each(|(byte, begin)| *begin = *byte);
                u64::from_be_bytes(begin)
            };
            let place = |(at, number): (u32, &u32)| {
                (self.null != Some(*number), begin(self.text(arena, *number)), at)
            };
            let mut order: Vec<(bool, u64, u32)> = (0..).zip(numbers).map(place).collect();
            order.sort_unstable_by(|a, b| {
                let text = |at: u32| self.text(arena, numbers[at as usize]);
                (a.0, a.1).cmp(&(b.0, b.1)).then_with(|| text(a.2).cmp(text(b.2))).then(a.2.cmp(&b.2))
            });
            return Ok(order.into_iter().map(|(_, _, at)| at).collect());
        }
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
        let compare: Box<dyn Fn(usize, usize) -> Ordering> = match &self.store {
            Store::Bytes(arena, None) => Box::new(|at, row| {
                let key = |number: u32| (self.null != Some(number), self.text(arena, number));
                key(old[at]).cmp(&key(new[row]))
            }),
            _ => {
                let compare = make_comparator(&self.keys(old)?, &self.keys(new)?, BY_KEY);
                compare.map_err(EngineError::kernel("keys"))?
            }
        };
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
    pub(crate) fn hashes(&self) -> Vec<u64> {
        let mut hashes: Vec<u64> = match &self.store {
            Store::Bits(bits) if self.data_type == DataType::Boolean => {
                bits.iter().map(|bits| hash_bytes(&[*bits as u8])).collect()
            }
            Store::Bits(bits) => bits.iter().map(|bits| hash_bits(*bits)).collect(),
            Store::Bytes(_, Some(rows)) => return rows.hashes.clone(),
            Store::Bytes(arena, None) => {
                (0..arena.len() as u32).map(|number| hash_bytes(self.text(arena, number))).collect()
            }
        };
        if let Some(null) = self.null {
            hashes[null as usize] = 0;
        }
        hashes
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

    /// For so many rows from this one on the number that stands first where their hash says; [`NONE`] where
    /// there is none. Whether it is the key's is not asked here: little is done with each, so that all are
    /// asked of memory before the first is waited for.
    #[inline]
    fn likely(&self, start: usize, rows: usize) -> [u32; ABREAST] {
        let mut likely = [NONE; ABREAST];
        for (hash, likely) in self.hashes[start..start + rows].iter().zip(&mut likely) {
            *likely = self.table.find(spread(*hash), |_| true).copied().unwrap_or(NONE);
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

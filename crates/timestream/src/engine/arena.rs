//! Byte strings by number, one after another: the keys of an operator.
//!
//! Most keys are accounts, whose names are all of one length. As long as all strings are, nothing says where
//! each is: it follows from the number, and memory need not be asked for it.

use super::array::make_room;

/// No number: there are never so many.
pub(super) const NONE: u32 = u32::MAX;
/// How long the names of most accounts are.
const USUAL: usize = 32;

/// Byte strings one after another.
#[derive(Default)]
pub(super) struct Arena {
    bytes: Vec<u8>,
    ends: Ends,
}

/// Where byte strings end.
enum Ends {
    /// All are of one length.
    Even {
        len: usize,
        count: usize,
        /// How many of them are blanks, which have any length.
        blanks: usize,
    },
    /// In 32 bits while they fit.
    Narrow(Vec<u32>),
    Wide(Vec<u64>),
}

impl Default for Ends {
    fn default() -> Self {
        Self::Even { len: 0, count: 0, blanks: 0 }
    }
}

impl Arena {
    pub(super) fn len(&self) -> usize {
        match &self.ends {
            Ends::Even { count, .. } => *count,
            Ends::Narrow(ends) => ends.len(),
            Ends::Wide(ends) => ends.len(),
        }
    }

    #[inline]
    pub(super) fn get(&self, number: u32) -> &[u8] {
        let number = number as usize;
        let before = number.checked_sub(1);
        match &self.ends {
            Ends::Even { len, .. } => &self.bytes[number * len..][..*len],
            Ends::Narrow(ends) => {
                &self.bytes[before.map_or(0, |before| ends[before] as usize)..ends[number] as usize]
            }
            Ends::Wide(ends) => {
                &self.bytes[before.map_or(0, |before| ends[before] as usize)..ends[number] as usize]
            }
        }
    }

    /// Puts [`NONE`] in the place of each number whose string is another than the one that is asked for:
    /// those lie between `ends`. Little is done with each, so that all are asked of memory before the first
    /// is waited for.
    pub(super) fn confirm(&self, numbers: &mut [u32], asked: &[u8], ends: &[i32]) {
        match &self.ends {
            Ends::Even { len: USUAL, .. } => {
                let strings = self.bytes.as_chunks::<USUAL>().0;
                confirm(numbers, asked, ends, |number, asked| {
                    strings.get(number as usize).is_some_and(|string| asked == string)
                });
            }
            Ends::Even { count, .. } => {
                let is_it =
                    |number: u32, asked: &[u8]| (number as usize) < *count && same(self.get(number), asked);
                confirm(numbers, asked, ends, is_it);
            }
            Ends::Narrow(_) | Ends::Wide(_) => {
                confirm(numbers, asked, ends, |number, asked| {
                    number != NONE && same(self.get(number), asked)
                });
            }
        }
    }

    pub(super) fn push(&mut self, value: &[u8]) {
        if let Ends::Even { len, count, blanks } = &mut self.ends {
            if count == blanks {
                *len = value.len();
                self.bytes.resize(*blanks * *len, 0);
            }
            if value.len() == *len {
                *count += 1;
            } else {
                self.ends = uneven(*len, *count);
            }
        }
        make_room(&mut self.bytes, value.len());
        self.bytes.extend_from_slice(value);
        self.note_end();
    }

    /// Adds a string that means nothing.
    pub(super) fn push_blank(&mut self) {
        if let Ends::Even { len, count, blanks } = &mut self.ends {
            make_room(&mut self.bytes, *len);
            self.bytes.resize(self.bytes.len() + *len, 0);
            *count += 1;
            *blanks += 1;
        }
        self.note_end();
    }

    /// Notes that a string ends here, where that is noted.
    fn note_end(&mut self) {
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

    /// Bytes held.
    pub(super) fn memory(&self) -> usize {
        let ends = match &self.ends {
            Ends::Even { .. } => 0,
            Ends::Narrow(ends) => ends.capacity() * 4,
            Ends::Wide(ends) => ends.capacity() * 8,
        };
        self.bytes.capacity() + ends
    }
}

/// The ends of strings that were of one length, before one of another.
fn uneven(len: usize, count: usize) -> Ends {
    let ends = || (1..=count).map(|number| number * len);
    match u32::try_from(len * count) {
        Ok(_) => Ends::Narrow(ends().map(|end| end as u32).collect()),
        Err(_) => Ends::Wide(ends().map(|end| end as u64).collect()),
    }
}

#[inline]
fn confirm(numbers: &mut [u32], asked: &[u8], ends: &[i32], is_it: impl Fn(u32, &[u8]) -> bool) {
    for (number, ends) in numbers.iter_mut().zip(ends.windows(2)) {
        if !is_it(*number, &asked[ends[0] as usize..ends[1] as usize]) {
            *number = NONE;
        }
    }
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

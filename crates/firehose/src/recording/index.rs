//! The sparse index of a recording: a mark now and then, from which reading can begin, with the highest
//! sequence number and newest time before it.
//!
//! Highest-so-far rises whatever the frames do, so that the first frame at or above a target can be found by
//! halving even if the numbering began anew within the recording. In a zstd recording the index is a
//! skippable frame at the end of the file: other readers pass over it.

use std::io::{self, Read, Seek, SeekFrom};

use skytide_atproto::frame::Peek;

/// The magic number of a skippable zstd frame, one of the sixteen.
const SKIPPABLE: [u8; 4] = 0x184D_2A5E_u32.to_le_bytes();

/// What the file ends with: that the skippable frame is this index, and its version.
const SEAL: [u8; 8] = *b"SKYTIDE\x01";

/// The bytes of a mark.
const MARK: usize = 40;

/// The bytes after the marks: where the index begins in its file, the payload's length, and the seal.
const FOOTER: usize = 20;

/// The highest sequence number and the newest time of all frames so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Highest {
    /// 0 before there is one.
    pub(super) seq: u64,
    /// The least there is before there is one.
    pub(super) time: i64,
}

impl Highest {
    pub(super) const NONE: Self = Self { seq: 0, time: i64::MIN };

    pub(super) fn see(&mut self, peek: Peek) {
        self.seq = self.seq.max(peek.seq.unwrap_or(Self::NONE.seq));
        self.time = self.time.max(peek.time.unwrap_or(Self::NONE.time));
    }
}

/// A place where reading can begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// The byte of the file.
    pub(super) file: u64,
    /// The byte of the frames, decompressed.
    pub(super) offset: u64,
    /// The number of frames before it.
    pub(super) frames: u64,
    /// Of the frames before it.
    pub(super) highest: Highest,
}

impl Mark {
    pub(super) const START: Self = Self { file: 0, offset: 0, frames: 0, highest: Highest::NONE };
}

/// Marks in the order of the file; the first is its beginning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Index {
    marks: Vec<Mark>,
}

impl Index {
    pub(super) fn new() -> Self {
        Self { marks: vec![Mark::START] }
    }

    /// Adds a mark, if it is at least `spacing` bytes of frames after the last one.
    pub(super) fn add(&mut self, mark: Mark, spacing: u64) {
        if self.marks.last().is_none_or(|last| mark.offset >= last.offset.saturating_add(spacing)) {
            self.marks.push(mark);
        }
    }

    /// The last mark before which nothing has reached the target.
    pub(super) fn before(&self, reached: impl Fn(Highest) -> bool) -> Mark {
        let marks = self.marks.partition_point(|mark| !reached(mark.highest));
        self.marks.get(marks.saturating_sub(1)).copied().unwrap_or(Mark::START)
    }

    /// The last mark but one: after it is enough to tell what of the end is like what is before.
    pub(super) fn near_end(&self) -> Mark {
        self.marks.iter().rev().nth(1).copied().unwrap_or(Mark::START)
    }

    /// The index as a skippable zstd frame that is to begin at byte `start` of its file; nothing where it
    /// does not fit into one.
    pub(super) fn to_bytes(&self, start: u64) -> Vec<u8> {
        let Ok(payload) = u32::try_from(self.marks.len() * MARK + FOOTER) else { return Vec::new() };
        let mut bytes = Vec::with_capacity(8 + self.marks.len() * MARK + FOOTER);
        bytes.extend(SKIPPABLE);
        bytes.extend(payload.to_le_bytes());
        for Mark { file, offset, frames, highest } in &self.marks {
            for number in [*file, *offset, *frames, highest.seq] {
                bytes.extend(number.to_le_bytes());
            }
            bytes.extend(highest.time.to_le_bytes());
        }
        bytes.extend(start.to_le_bytes());
        bytes.extend(payload.to_le_bytes());
        bytes.extend(SEAL);
        bytes
    }

    /// Reads the index at the end of a file, and where it begins; none where there is none that holds together.
    pub(super) fn read(file: &mut (impl Read + Seek)) -> io::Result<Option<(Self, u64)>> {
        let length = file.seek(SeekFrom::End(0))?;
        let mut footer = [0; FOOTER];
        if length < (8 + FOOTER) as u64 {
            return Ok(None);
        }
        file.seek(SeekFrom::End(-(FOOTER as i64)))?;
        file.read_exact(&mut footer)?;
        let Some((place, [a, b, c, d, seal @ ..])) = footer.split_first_chunk() else { return Ok(None) };
        let payload = u32::from_le_bytes([*a, *b, *c, *d]);
        // One that stands elsewhere is of the last of several recordings in one file: its places count from
        // the beginning of that.
        let is_its = |start: &u64| seal == SEAL && *start == u64::from_le_bytes(*place);
        let start = length.checked_sub(u64::from(payload) + 8).filter(is_its);
        let Some(start) = start else { return Ok(None) };
        file.seek(SeekFrom::Start(start))?;
        let mut bytes = Vec::new();
        file.take(u64::from(payload) + 8).read_to_end(&mut bytes)?;
        Ok(Self::from_bytes(&bytes, start).map(|index| (index, start)))
    }

    /// The index from a skippable frame that stands at byte `start` of its file.
    fn from_bytes(bytes: &[u8], start: u64) -> Option<Self> {
        let payload = bytes.strip_prefix(&SKIPPABLE)?;
        let (length, payload) = payload.split_first_chunk()?;
        let marks = payload.get(..payload.len().checked_sub(FOOTER)?)?;
        if u32::from_le_bytes(*length) as usize != payload.len() || marks.len() % MARK != 0 {
            return None;
        }
        let marks: Vec<_> = marks
            .chunks_exact(MARK)
            .map(|mark| {
                let number = |at: usize| {
                    mark.get(at * 8..)
                        .and_then(<[u8]>::first_chunk)
                        .map_or(0, |bytes| u64::from_le_bytes(*bytes))
                };
                let highest = Highest { seq: number(3), time: number(4).cast_signed() };
                Mark { file: number(0), offset: number(1), frames: number(2), highest }
            })
            .collect();
        let rises = marks.windows(2).all(|pair| match pair {
            [a, b] => {
                a.file < b.file
                    && a.offset < b.offset
                    && a.frames <= b.frames
                    && a.highest.seq <= b.highest.seq
                    && a.highest.time <= b.highest.time
            }
            _ => false,
        });
        let holds = rises
            && marks.first() == Some(&Mark::START)
            && marks.last().is_some_and(|mark| mark.file <= start);
        holds.then_some(Self { marks })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn index(seqs: &[u64]) -> Index {
        let mut index = Index::new();
        for (at, &seq) in (1..).zip(seqs) {
            let highest = Highest { seq, time: i64::try_from(seq).unwrap() };
            index.add(Mark { file: at * 10, offset: at * 100, frames: at, highest }, 100);
        }
        index
    }

    #[test]
    fn finds_the_last_mark_before_the_target() {
        let index = index(&[5, 5, 9]);
        let file = |target| index.before(|highest| highest.seq >= target).file;
        assert_eq!([0, 1, 5, 6, 9, 10, u64::MAX].map(file), [0, 0, 0, 20, 20, 30, 30]);
    }

    #[test]
    fn marks_keep_their_spacing() {
        let mut index = Index::new();
        for offset in 1..100 {
            index.add(Mark { file: offset, offset, ..Mark::START }, 10);
        }
        assert_eq!(index.marks.len(), 10);
    }

    #[test]
    fn bytes_give_the_index_back_and_damage_is_seen() {
        let index = index(&[5, 5, 9]);
        let bytes = index.to_bytes(1000);
        assert_eq!(Index::from_bytes(&bytes, 1000), Some(index));
        assert_eq!(Index::from_bytes(&bytes, 29), None, "a mark within the index itself");
        assert_eq!(Index::from_bytes(&bytes[..bytes.len() - 1], 1000), None);
        let mut unordered = bytes;
        unordered[8 + MARK] = 200;
        assert_eq!(Index::from_bytes(&unordered, 1000), None);
    }

    #[test]
    fn an_index_stands_where_it_says() {
        let index = index(&[5, 5, 9]);
        let before = vec![0; 1000];
        let whole = [before.clone(), index.to_bytes(1000)].concat();
        let read = |bytes: Vec<u8>| Index::read(&mut io::Cursor::new(bytes)).unwrap();
        assert_eq!(read(whole.clone()), Some((index, 1000)));
        assert_eq!(read([before, whole].concat()), None);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>, start: u64, at: prop::sample::Index, byte: u8) {
            Index::from_bytes(&bytes, start);
            let mut damaged = index(&[1, 2]).to_bytes(start);
            let at = at.index(damaged.len());
            damaged[at] = byte;
            if let Some(index) = Index::from_bytes(&damaged, start) {
                prop_assert!(index.marks.iter().all(|mark| mark.file <= start));
            }
        }
    }
}

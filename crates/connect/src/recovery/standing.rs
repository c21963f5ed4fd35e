//! A saved run, as one file: the state of its job, where its sources stand, and where its rows end. All of
//! one moment.

use std::hash::Hasher;
use std::io::{self, Write};
use std::path::Path;

use skytide_runtime::{BytesError, Checkpoint, CheckpointError, Reader, Writer};
use twox_hash::XxHash3_64;

use super::{RecoveryError, StateError, state};
use crate::frames::now;
use crate::sink::{Place, Whole};
use crate::source::SourceState;

/// What the file begins with.
const MAGIC: &[u8; 8] = b"skysaved";
/// The format's version; another one is refused.
const VERSION: u64 = 3;

/// A run at a moment: everything up to the cursors of its sources is in the state of its job, and its rows are out.
///
/// # Format
/// `skysaved`, then numbers of 64 bits, little-endian, and parts, each with its length before it and padded
/// with zeros to 8 bytes: the version; the query's text; when it was saved, UTC nanoseconds; rows given out;
/// 0, or 1 where they are in a file, and then its path and their bytes there, or 2 where they are in files
/// that are written whole: its path or their folder's, the bytes of the rows kept, the number in their names,
/// that of the first that is not whole, name and bytes of the last that is (or an empty name and 0), the XXH3
/// of the rows kept (of the bytes of an Arrow IPC stream); the [`Checkpoint`]; the state of the source
/// (below); last the XXH3 (64 bits, seed 0) of all before it.
///
/// The state of several sources in order (`merge.rs`): for each the places of its scans in the plan, and
/// either 0, its own state, up to which time it told all to be here, whether it was at its end and the rows
/// held of each scan, or 1, what it is and how many of its rows have gone out; then up to which time points
/// have gone out, and whether all was at its end. That of frames (`firehose.rs`): what tells the source from
/// others, the number of the last frame, the number and the newest time after which a connection goes on,
/// the clocks, how much was read and counted, the place of a Jetstream. Where points are put in order
/// (`reorder.rs`): that of the frames, the newest time and the number of late points, where the late ones of
/// the side end, whether it was at its end, points admitted, and the rows held. Rows are as between
/// processes: an Arrow IPC stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    query: String,
    saved: i64,
    rows: usize,
    newest: Option<i64>,
    pub(super) place: Option<Place>,
}

/// What a run goes on from: all that is large of what was saved, which is let go once it runs.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct State {
    /// Of its job.
    pub(crate) checkpoint: Checkpoint,
    /// Where its sources stood.
    pub(crate) source: SourceState,
}

/// Why bytes are no saved run.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unreadable {
    NotSaved,
    Version(u64),
    Damaged(String),
}

impl From<BytesError> for Unreadable {
    fn from(error: BytesError) -> Self {
        Self::Damaged(error.to_string())
    }
}

impl From<StateError> for Unreadable {
    fn from(error: StateError) -> Self {
        Self::Damaged(error.to_string())
    }
}

impl From<CheckpointError> for Unreadable {
    fn from(error: CheckpointError) -> Self {
        Self::Damaged(error.to_string())
    }
}

impl Standing {
    pub(crate) fn new(query: &str, rows: usize, place: Option<Place>, state: &State) -> Self {
        Self { query: query.to_owned(), saved: now(), rows, newest: state.checkpoint.newest(), place }
    }

    /// The text of the query.
    #[must_use]
    pub fn query(&self) -> &str {
        &self.query
    }

    /// When it was saved, in UTC nanoseconds.
    #[must_use]
    pub fn saved(&self) -> i64 {
        self.saved
    }

    /// Rows that had been given out.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Time of the newest event that is in its state, in UTC nanoseconds.
    #[must_use]
    pub fn newest(&self) -> Option<i64> {
        self.newest
    }

    /// Writes it with its state, a part after the other: a state may be as large as the memory.
    fn write_to(&self, state: &State, out: &mut impl Write) -> io::Result<()> {
        let mut out = Summed { out, sum: XxHash3_64::new() };
        let mut head = Writer::from(MAGIC.to_vec());
        head.number(VERSION);
        head.part(self.query.as_bytes());
        head.number(self.saved.cast_unsigned());
        head.number(self.rows as u64);
        state::write_place(&mut head, self.place.as_ref());
        out.put(&head.into_bytes())?;
        out.part(&state.checkpoint.to_bytes())?;
        out.part(&state.source.0)?;
        let sum = out.sum.finish();
        out.out.write_all(&sum.to_le_bytes())
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Result<(Self, State), Unreadable> {
        let Some(rest) = bytes.strip_prefix(MAGIC) else { return Err(Unreadable::NotSaved) };
        let version = Reader::new(rest).number()?;
        if version != VERSION {
            return Err(Unreadable::Version(version));
        }
        let (body, sum) = bytes.split_last_chunk::<8>().ok_or(BytesError::Cut)?;
        if XxHash3_64::oneshot(body) != u64::from_le_bytes(*sum) {
            return Err(Unreadable::Damaged("its checksum does not fit".to_owned()));
        }
        let mut reader = Reader::new(body.get(MAGIC.len() + 8..).ok_or(BytesError::Cut)?);
        let mut standing = Self {
            query: state::read_text(&mut reader)?,
            saved: reader.number()?.cast_signed(),
            rows: usize::try_from(state::read_count(&mut reader)?).map_err(|_| BytesError::Number)?,
            newest: None,
            place: state::read_place(&mut reader)?,
        };
        let checkpoint = Checkpoint::from_bytes(reader.part()?)?;
        standing.newest = checkpoint.newest();
        let state = State { checkpoint, source: SourceState(reader.part()?.to_vec()) };
        if !reader.is_at_end() {
            return Err(Unreadable::Damaged("it is longer than its parts".to_owned()));
        }
        Ok((standing, state))
    }

    /// What is saved in a file; none where there is no file.
    pub(super) fn read(path: &Path) -> Result<Option<(Self, State)>, RecoveryError> {
        let path = || path.to_owned();
        let bytes = match std::fs::read(path()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(RecoveryError::Io { path: path(), source }),
            Ok(bytes) => bytes,
        };
        Self::from_bytes(&bytes).map(Some).map_err(|error| match error {
            Unreadable::NotSaved => RecoveryError::NotSaved { path: path() },
            Unreadable::Version(found) => RecoveryError::Version { path: path(), found, known: VERSION },
            Unreadable::Damaged(reason) => RecoveryError::Damaged { path: path(), reason },
        })
    }

    /// Puts it in the place of what the file had, at once: after a crash there is the one or the other.
    pub(super) fn write(&self, state: &State, path: &Path) -> Result<(), RecoveryError> {
        let write = || {
            let mut file = Whole::create(path)?;
            self.write_to(state, &mut file)?;
            file.finish()
        };
        write().map_err(|source| {
            let is_gone = source.kind() == io::ErrorKind::NotFound;
            let source = if is_gone {
                io::Error::other("the folder is gone that the run was saved in")
            } else {
                source
            };
            RecoveryError::Io { path: path.to_owned(), source }
        })
    }
}

/// Writes bytes, and sums them up.
struct Summed<'a, W> {
    out: &'a mut W,
    sum: XxHash3_64,
}

impl<W: Write> Summed<'_, W> {
    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.sum.write(bytes);
        self.out.write_all(bytes)
    }

    /// As [`Writer::part`].
    fn part(&mut self, part: &[u8]) -> io::Result<()> {
        self.put(&(part.len() as u64).to_le_bytes())?;
        self.put(part)?;
        self.put(&[0; 8][..part.len().next_multiple_of(8) - part.len()])
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::path::PathBuf;
    use std::sync::Arc;

    use skytide_runtime::{Job, Options};
    use skytide_timestream::plan::Results;

    use super::*;
    use crate::catalog::FirehoseCatalog;
    use crate::sink::Parts;

    fn standing(place: Option<Place>) -> (Standing, State) {
        let query = skytide_timestream::compile("posts.count()", &FirehoseCatalog::new()).unwrap();
        let plan = Arc::new(skytide_timestream::plan(Arc::new(query), Results::history()));
        let checkpoint = Job::start(plan, Options::default(), None).unwrap().checkpoint().unwrap();
        let state = State { checkpoint, source: SourceState(vec![1, 2, 3]) };
        (Standing::new("posts.count()", 7, place, &state), state)
    }

    fn bytes((standing, state): &(Standing, State)) -> Vec<u8> {
        let mut bytes = Vec::new();
        standing.write_to(state, &mut bytes).unwrap();
        bytes
    }

    fn in_a_file() -> Vec<u8> {
        bytes(&standing(Some(Place { file: PathBuf::from("/a/ö.ndjson"), bytes: 500, parts: None })))
    }

    #[test]
    fn comes_back_from_its_bytes() {
        let there = Place { file: PathBuf::from("a.ndjson"), bytes: 5, parts: None };
        let parts = |last| Some(Parts { run: 9, next: 2, last, sum: 7 });
        let in_files = [parts(None), parts(Some(("part-1".to_owned(), 8)))]
            .map(|parts| standing(Some(Place { parts, ..there.clone() })));
        for standing in [standing(None), standing(Some(there))].into_iter().chain(in_files) {
            assert_eq!(Standing::from_bytes(&bytes(&standing)), Ok(standing));
        }
    }

    #[test]
    fn the_format_stands() {
        let bytes = in_a_file();
        let head = b"skysaved\x03\0\0\0\0\0\0\0\x0d\0\0\0\0\0\0\0posts.count()\0\0\0";
        assert!(bytes.starts_with(head));
        // When it was saved; then rows, and their place.
        let rest = b"\x07\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x0c\0\0\0\0\0\0\0/a/\xc3\xb6.ndjson\0\0\0\0\xf4\x01\0\0\0\0\0\0";
        assert!(bytes[head.len() + 8..].starts_with(rest));
        assert!(bytes[..bytes.len() - 8].ends_with(b"\x03\0\0\0\0\0\0\0\x01\x02\x03\0\0\0\0\0"));
    }

    #[test]
    fn refuses_what_is_cut_changed_or_of_another_version() {
        let bytes = in_a_file();
        for len in 0..bytes.len() {
            assert!(Standing::from_bytes(&bytes[..len]).is_err(), "cut to {len}");
        }
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 0x10;
            assert!(Standing::from_bytes(&changed).is_err(), "byte {at}");
        }
        let mut newer = bytes;
        newer[8] = 4;
        assert_eq!(Standing::from_bytes(&newer), Err(Unreadable::Version(4)));
        assert_eq!(Standing::from_bytes(b"something else"), Err(Unreadable::NotSaved));
    }

    #[test]
    fn refuses_false_lengths_whose_checksum_fits() {
        let bytes = in_a_file();
        let body = &bytes[..bytes.len() - 8];
        let sealed = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut body = body.to_vec();
            change(&mut body);
            let sum = XxHash3_64::oneshot(&body);
            body.extend(sum.to_le_bytes());
            Standing::from_bytes(&body)
        };
        assert!(sealed(&|_| {}).is_ok());
        // Any eight bytes as the largest number there is, and one byte more or less.
        for at in (16..body.len()).step_by(8) {
            let changed = sealed(&|body| body[at..at + 8].fill(0xff));
            // A moment and a number of rows may be any, the texts too.
            let is_free = matches!(at, 24 | 32 | 40 | 72 | 80 | 88) || at >= body.len() - 8;
            assert!(is_free || changed.is_err(), "at {at}");
        }
        assert!(sealed(&|body| body.extend([0; 8])).is_err());
        assert!(sealed(&|body| body.truncate(body.len() - 8)).is_err());
    }
}

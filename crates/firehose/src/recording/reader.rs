//! Reading recordings: frames as slices of large chunks of the file, and the search for a place in it.

use std::{
    collections::VecDeque,
    fmt,
    fs::File,
    io::{self, BufReader, Cursor, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use bytes::Bytes;
use skytide_atproto::frame::{self, Peek};
use zstd::stream::read::Decoder;

use super::{
    MAX_RECORDED, RecordingError, boundary,
    index::{Highest, Index, Mark},
    recorder::COMPRESSED_TOGETHER,
    storage::Storage,
};
use crate::{
    place::{Place, Sight, is_anew},
    subscription::now,
};

/// So many bytes are read together: they still fit into a core's own cache when they are looked at.
const CHUNK: usize = 256 << 10;

/// So many chunks are kept to be read into again.
const SPARE: usize = 16;

/// The beginning of a zstd file. As a length it would be more than frames can be.
const ZSTD: [u8; 4] = 0xFD2F_B528_u32.to_le_bytes();

/// What the last three bytes of the beginning of a zstd file are that begins with a frame to be skipped.
const SKIPPABLE: [u8; 3] = [0x2A, 0x4D, 0x18];

/// While a plain recording is searched, so many bytes lie between the marks that are remembered.
const SPACING: u64 = 1 << 20;

/// The most bytes of frames that a recorder compresses together.
const MOST_TOGETHER: usize = COMPRESSED_TOGETHER + MAX_RECORDED + 4;

/// Where a recording ends, and what it takes to go on there.
pub(super) struct End {
    /// After the last frame that is in the file for good; what the file has after it is the rest, or an index.
    pub(super) mark: Mark,
    /// The place after all frames, as far as those near the end tell it.
    pub(super) place: Place,
    /// Of a compressed recording, its marks.
    pub(super) index: Option<Index>,
    /// Whole frames, with their lengths, of compressed data that breaks off: they are to be written again.
    pub(super) rest: Vec<u8>,
}

/// Where a recording breaks off in the middle of a frame: whoever wrote it was ended before it could finish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CutOff {
    /// The whole frames before.
    pub frames: u64,
    /// Their bytes, with their lengths, decompressed.
    pub whole: u64,
    /// The bytes after them that are there, decompressed; they may be none where compressed data is cut off.
    pub rest: u64,
}

/// A recording that is read: an [`Iterator`] of frames, in the order of the file.
///
/// The frames share the buffers they were read into, which are used again once all of theirs have been
/// dropped: to keep a frame for long, copy it. Those of a plain recording in memory are slices of it.
pub struct Recording {
    path: PathBuf,
    storage: Storage,
    length: u64,
    index: Index,
    /// Where the index begins in the file, if it has one.
    index_at: Option<u64>,
    source: Source,
    /// What was last read, of which the first `filled` bytes are meant.
    chunk: Bytes,
    filled: usize,
    /// Chunks read before, the oldest first: to be read into again, once the frames in them have been dropped.
    spare: VecDeque<Bytes>,
    /// Up to here the chunk has been handed on.
    at: usize,
    /// The byte of the frames at which the chunk begins.
    offset: u64,
    /// The frames before the next one.
    frames: u64,
    cut_off: Option<CutOff>,
    state: State,
}

enum State {
    Reading,
    /// The next look for more gives the error.
    Failed(RecordingError),
    Ended,
}

enum Source {
    Plain(Storage),
    Zstd(Box<Decoder<'static, BufReader<Storage>>>),
}

impl Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = match self {
                Self::Plain(file) => file.read(buffer),
                Self::Zstd(decoder) => decoder.read(buffer),
            };
            match read {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => return read,
            }
        }
    }
}

impl Recording {
    /// Opens a recording, plain or compressed with zstd, which its first bytes tell.
    ///
    /// # Errors
    /// If the file cannot be opened or read.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, RecordingError> {
        let path = path.as_ref();
        let open = || {
            let file = File::open(path)?;
            if file.metadata()?.is_dir() {
                return Err(io::ErrorKind::IsADirectory.into());
            }
            Self::new(path.to_owned(), Storage::File(file))
        };
        open().map_err(|source| RecordingError::Open { path: path.to_owned(), source })
    }

    /// Reads a recording that is in memory, as [`open`](Self::open) does one in a file. Errors call it `memory`.
    ///
    /// # Errors
    /// If it is compressed, and zstd cannot be set up.
    pub fn from_bytes(bytes: impl Into<Bytes>) -> Result<Self, RecordingError> {
        let path = PathBuf::from("memory");
        Self::new(path.clone(), Storage::Memory(Cursor::new(bytes.into())))
            .map_err(|source| RecordingError::Open { path, source })
    }

    fn new(path: PathBuf, mut storage: Storage) -> io::Result<Self> {
        let mut magic = Vec::with_capacity(4);
        storage.by_ref().take(4).read_to_end(&mut magic)?;
        let compressed =
            magic == ZSTD || (magic.ends_with(&SKIPPABLE) && magic.first().is_some_and(|&b| b >> 4 == 5));
        let index = if compressed { Index::read(&mut storage)? } else { None };
        let (index, index_at) = match index {
            Some((index, at)) => (index, Some(at)),
            None => (Index::new(), None),
        };
        let length = storage.seek(SeekFrom::End(0))?;
        let source = source_at(&storage, compressed, 0)?;
        let mut recording = Self {
            path,
            storage,
            length,
            index,
            index_at,
            source,
            chunk: Bytes::new(),
            filled: 0,
            spare: VecDeque::new(),
            at: 0,
            offset: 0,
            frames: 0,
            cut_off: None,
            state: State::Reading,
        };
        recording.go_to(Mark::START)?;
        Ok(recording)
    }

    /// The next frame, none at the end.
    ///
    /// # Errors
    /// If the file cannot be read, or is damaged; the end follows.
    #[inline]
    pub fn next_frame(&mut self) -> Result<Option<Bytes>, RecordingError> {
        loop {
            let need = match self.chunk.get(self.at..self.filled).and_then(<[u8]>::split_first_chunk) {
                Some((head, rest)) => {
                    let length = u32::from_le_bytes(*head);
                    let wanted = length as usize;
                    if wanted <= rest.len() {
                        let start = self.at + 4;
                        self.at = start + wanted;
                        self.frames += 1;
                        return Ok(Some(self.chunk.slice(start..self.at)));
                    }
                    if wanted > MAX_RECORDED {
                        let at = self.offset + self.at as u64;
                        self.fail(RecordingError::TooLong { path: self.path.clone(), at, length });
                    }
                    wanted + 4
                }
                None => 4,
            };
            if !self.refill(need)? {
                return Ok(None);
            }
        }
    }

    /// Adds the next frames to `out`, up to `max`. Gives how many there were, 0 at the end.
    ///
    /// # Errors
    /// As [`next_frame`](Self::next_frame), once the frames before have been given.
    pub fn next_batch(&mut self, out: &mut Vec<Bytes>, max: usize) -> Result<usize, RecordingError> {
        for added in 0..max {
            match self.next_frame() {
                Ok(Some(frame)) => out.push(frame),
                Err(error) if added > 0 => {
                    self.fail(error);
                    return Ok(added);
                }
                Ok(None) => return Ok(added),
                Err(error) => return Err(error),
            }
        }
        Ok(max)
    }

    /// Where the recording breaks off in the middle of a frame; known once its end was reached.
    #[must_use]
    pub fn cut_off(&self) -> Option<CutOff> {
        self.cut_off
    }

    /// The bytes of the file, and how many of them have been read: for a progress bar.
    pub fn progress(&mut self) -> (u64, u64) {
        let read = match &mut self.source {
            Source::Plain(Storage::Memory(_)) => Ok(self.offset + self.at as u64),
            Source::Plain(file) => file.stream_position(),
            Source::Zstd(decoder) => decoder.get_mut().stream_position(),
        };
        (read.unwrap_or_default(), self.length)
    }

    /// Goes to the first frame whose number is at least `seq`, and says whether there is one; otherwise to the end.
    ///
    /// A plain recording is read up to there, and remembers marks for the next time. A compressed one that a
    /// [`Recorder`](super::Recorder) finished is entered at most 4 MiB before; any other is read from its beginning.
    ///
    /// # Errors
    /// If the file cannot be read, or is damaged before the place.
    pub fn seek_seq(&mut self, seq: u64) -> Result<bool, RecordingError> {
        self.seek(|highest| highest.seq >= seq, |peek| peek.seq.is_some_and(|found| found >= seq))
    }

    /// Goes to the first frame that is none of those up to this number and this newest time (UTC
    /// nanoseconds), as a subscription tells it after them: its number is higher, or its time is over a
    /// minute later, since a server's numbering may have begun anew. Says whether there is one; otherwise it
    /// goes to the end.
    ///
    /// # Errors
    /// As [`seek_seq`](Self::seek_seq).
    pub fn seek_after(&mut self, seq: u64, newest: i64) -> Result<bool, RecordingError> {
        let (mut place, now) = (Place::new(Some(seq), Some(newest)), now());
        self.seek(
            |highest| highest.seq > seq || is_anew(highest.time, newest),
            |peek| peek.seq.is_some() && place.see(peek.seq, peek.time, now) != Sight::Repeated,
        )
    }

    /// The number of frames before the one that is read next.
    #[must_use]
    pub fn passed(&self) -> u64 {
        self.frames
    }

    /// Goes to the first frame whose time (UTC nanoseconds) is at least `time`, and says whether there is one;
    /// otherwise to the end. Times fall now and then by up to a second; the first one counts.
    ///
    /// # Errors
    /// If the file cannot be read, or is damaged before the place.
    pub fn seek_time(&mut self, time: i64) -> Result<bool, RecordingError> {
        self.seek(|highest| highest.time >= time, |peek| peek.time.is_some_and(|found| found >= time))
    }

    fn seek(
        &mut self,
        reached: impl Fn(Highest) -> bool,
        mut found: impl FnMut(&Peek) -> bool,
    ) -> Result<bool, RecordingError> {
        let mark = self.index.before(reached);
        self.go_to(mark).map_err(|source| self.unread(source))?;
        let mut highest = mark.highest;
        while let Some(frame) = self.next_frame()? {
            let Ok(peek) = frame::peek(&frame) else { continue };
            if found(&peek) {
                self.at -= frame.len() + 4;
                self.frames -= 1;
                return Ok(true);
            }
            highest.see(peek);
            if matches!(self.source, Source::Plain(_)) {
                let offset = self.offset + self.at as u64;
                self.index.add(Mark { file: offset, offset, frames: self.frames, highest }, SPACING);
            }
        }
        Ok(false)
    }

    /// Reads to the end, for a recorder that goes on there.
    pub(super) fn into_end(mut self) -> Result<End, RecordingError> {
        let mark = self.index.near_end();
        self.go_to(mark).map_err(|source| self.unread(source))?;
        let (mut highest, mut place, now) = (mark.highest, Place::default(), now());
        while let Some(frame) = self.next_frame()? {
            if let Ok(peek) = frame::peek(&frame) {
                place.pass(peek.seq, peek.time, now);
                highest.see(peek);
            }
        }
        // What stands near the end may have no numbers.
        if place.seq().is_none() && mark.highest != Highest::NONE {
            let time = Some(mark.highest.time).filter(|time| *time != Highest::NONE.time);
            place = Place::new(Some(mark.highest.seq), time);
        }
        // At the end the chunk begins with what is not a whole frame.
        let whole = self.offset;
        let mut end = Mark { file: whole, offset: whole, frames: self.frames, highest };
        if matches!(self.source, Source::Plain(_)) {
            return Ok(End { mark: end, place, index: None, rest: Vec::new() });
        }
        let mut rest = Vec::new();
        match self.index_at.filter(|_| self.cut_off.is_none()) {
            Some(at) => end.file = at,
            None => {
                let from = self.storage.from(0).and_then(boundary::whole_until);
                end.file = from.map_err(|source| self.unread(source))?;
                rest = self.broken_off(end.file)?;
            }
        }
        end.offset -= rest.len() as u64;
        end.frames -= lengths(&rest).count() as u64;
        Ok(End { mark: end, place, index: Some(self.index), rest })
    }

    /// The whole frames, with their lengths, of compressed data that is not whole, from a byte of the file on.
    fn broken_off(&self, from: u64) -> Result<Vec<u8>, RecordingError> {
        let mut rest = Vec::new();
        if from < self.length {
            let decoder = self.storage.from(from).and_then(Decoder::new);
            let decoder = decoder.map_err(|source| self.unread(source))?;
            // What was read before the data breaks off is there whatever is said of the end.
            let _ = decoder.take(MOST_TOGETHER as u64 + 1).read_to_end(&mut rest);
        }
        let whole: usize = lengths(&rest).sum();
        let cut = self.cut_off.map_or(0, |cut| cut.rest);
        if rest.len() > MOST_TOGETHER || (rest.len() - whole) as u64 != cut {
            return Err(RecordingError::BrokenOff { path: self.path.clone() });
        }
        rest.truncate(whole);
        Ok(rest)
    }

    fn go_to(&mut self, mark: Mark) -> io::Result<()> {
        let compressed = matches!(self.source, Source::Zstd(_));
        let all = self.storage.memory().filter(|_| !compressed);
        // Of what is in memory nothing is read any more: it is there.
        let next = if all.is_some() { self.length } else { mark.file };
        self.source = source_at(&self.storage, compressed, next)?;
        (self.at, self.offset) = match all {
            Some(_) => (usize::try_from(mark.offset).unwrap_or(usize::MAX), 0),
            None => (0, mark.offset),
        };
        self.chunk = all.unwrap_or_default();
        self.filled = self.chunk.len();
        self.frames = mark.frames;
        self.cut_off = None;
        self.state = State::Reading;
        Ok(())
    }

    /// Reads on, if it can, until at least `need` bytes are there that have not been handed on. False once nothing
    /// came of that: at the end.
    fn refill(&mut self, need: usize) -> Result<bool, RecordingError> {
        if !matches!(self.state, State::Reading) {
            self.at = self.filled;
            return match std::mem::replace(&mut self.state, State::Ended) {
                State::Failed(error) => Err(error),
                _ => Ok(false),
            };
        }
        // As large as is needed, but never by much more than what has really been read: a length may be a lie.
        let (mut buffer, mut kept) = self.take_buffer();
        while kept < need {
            if kept == buffer.len() {
                buffer.resize(need.min(kept * 2), 0);
            }
            match self.source.read(buffer.get_mut(kept..).unwrap_or_default()) {
                Ok(0) => self.end(kept, kept > 0),
                Ok(read) => {
                    kept += read;
                    continue;
                }
                // Compressed data that stops before its end.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => self.end(kept, true),
                Err(source) => {
                    let path = self.path.clone();
                    self.fail(match &self.source {
                        Source::Plain(_) => RecordingError::Read { path, source },
                        Source::Zstd(_) => {
                            RecordingError::Damaged { path, at: self.offset + kept as u64, source }
                        }
                    });
                }
            }
            break;
        }
        (self.chunk, self.filled) = (Bytes::from(buffer), kept);
        Ok(true)
    }

    /// A buffer that begins with what has not been handed on yet, and how much that is. It is one that was
    /// read before, if all frames in it have been dropped.
    fn take_buffer(&mut self) -> (Vec<u8>, usize) {
        let chunk = std::mem::take(&mut self.chunk);
        let rest = chunk.get(self.at..self.filled).unwrap_or_default();
        let kept = rest.len();
        let mut buffer = match self.spare.pop_front() {
            Some(spare) if spare.is_unique() => Vec::from(spare),
            Some(held) => {
                self.spare.push_front(held);
                vec![0; CHUNK]
            }
            None => vec![0; CHUNK],
        };
        buffer.resize(kept.max(CHUNK), 0);
        if let Some(start) = buffer.get_mut(..kept) {
            start.copy_from_slice(rest);
        }
        self.offset += self.at as u64;
        self.at = 0;
        if chunk.len() == CHUNK {
            self.spare.push_back(chunk);
            if self.spare.len() > SPARE {
                self.spare.pop_front();
            }
        }
        (buffer, kept)
    }

    /// There is nothing more to read; what was kept is not a whole frame.
    fn end(&mut self, kept: usize, cut_off: bool) {
        self.state = State::Ended;
        if cut_off {
            self.cut_off = Some(CutOff { frames: self.frames, whole: self.offset, rest: kept as u64 });
        }
    }

    fn unread(&self, source: io::Error) -> RecordingError {
        RecordingError::Read { path: self.path.clone(), source }
    }

    fn fail(&mut self, error: RecordingError) {
        self.state = State::Failed(error);
    }
}

impl Iterator for Recording {
    type Item = Result<Bytes, RecordingError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_frame().transpose()
    }
}

impl fmt::Debug for Recording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recording")
            .field("path", &self.path)
            .field("frames", &self.frames)
            .field("cut_off", &self.cut_off)
            .finish_non_exhaustive()
    }
}

/// The lengths of the whole frames that some bytes begin with, each with the four bytes that tell it.
pub(super) fn lengths(mut bytes: &[u8]) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let length = (u32::from_le_bytes(*bytes.first_chunk()?) as usize).saturating_add(4);
        bytes = bytes.get(length..)?;
        Some(length)
    })
}

/// The frames of a recording from one of its bytes on.
fn source_at(storage: &Storage, compressed: bool, at: u64) -> io::Result<Source> {
    let storage = storage.from(at)?;
    Ok(if compressed { Source::Zstd(Box::new(Decoder::new(storage)?)) } else { Source::Plain(storage) })
}

//! Writing recordings.

use std::{
    fmt,
    fs::{File, TryLockError},
    io::{self, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use skytide_atproto::frame;
use zstd::bulk::Compressor;

use super::{
    MAX_RECORDED, Recording, RecordingError,
    index::{Highest, Index, Mark},
    reader::lengths,
};

/// How a recording is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Compression {
    /// Not at all.
    None,
    /// With zstd, at a level from 1 (fast) to 22 (small).
    Zstd {
        /// The level.
        level: i32,
    },
}

impl Compression {
    /// zstd at its usual level for a path that ends in `.zst` or `.zstd`, none for any other.
    #[must_use]
    pub fn of_path(path: &Path) -> Self {
        match path.extension() {
            Some(extension) if extension == "zst" || extension == "zstd" => Self::Zstd { level: 3 },
            _ => Self::None,
        }
    }
}

/// So many bytes of frames are compressed together, and can be read without those before them.
pub(super) const COMPRESSED_TOGETHER: usize = 4 << 20;

/// So many bytes of frames are written together where nothing is compressed.
const WRITTEN_TOGETHER: usize = 256 << 10;

/// So long frames may wait to be written together with others, where the recorder is told the time.
const WAITS: Duration = Duration::from_secs(1);

/// What a recording ends with that is gone on with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Last {
    /// The frames that are there.
    pub frames: u64,
    /// The number after which one goes on, as of a [`Place`](crate::Place) that has passed them.
    pub seq: Option<u64>,
    /// The newest time of theirs that is believed, in UTC nanoseconds.
    pub time: Option<i64>,
}

/// What was recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recorded {
    /// The frames.
    pub frames: u64,
    /// The bytes of the file.
    pub bytes: u64,
}

/// Opens a file that nobody else may record to meanwhile: two recorders would write over each other's frames.
fn alone(path: &Path) -> Result<File, RecordingError> {
    let failed = |source| RecordingError::Open { path: path.to_owned(), source };
    let mut options = File::options();
    options.write(true).create(true).truncate(false);
    // There a lock would keep readers out, too: others may read and rename.
    #[cfg(windows)]
    std::os::windows::fs::OpenOptionsExt::share_mode(&mut options, 1 | 4);
    let file = options.open(path).map_err(failed)?;
    if cfg!(windows) {
        return Ok(file);
    }
    // A device or a pipe may have many writers.
    if !file.metadata().map_err(failed)?.is_file() {
        return Ok(file);
    }
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(RecordingError::Busy { path: path.to_owned() }),
        // Some file systems know no locks.
        Err(TryLockError::Error(source)) if source.kind() == io::ErrorKind::Unsupported => Ok(file),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

/// Writes a recording.
///
/// What a file holds stays until the first frame is written: a source that never gives one costs nothing that
/// was there.
///
/// After each [`flush`](Self::flush) the file is whole; a crash leaves at least what was flushed, and
/// [`flush_due`](Self::flush_due) sees to it that it is not long ago. While it is there no other one can be
/// made for the file, of this process or another: the system holds it for the recorder, and lets go of it
/// when the process ends, however it does. A recorder that is dropped writes what it holds, but cannot say
/// whether it went well: [`finish`](Self::finish) does.
pub struct Recorder {
    path: PathBuf,
    file: File,
    /// What compresses, and the index of the compressed blocks: an index at the end of a plain file would be read as
    /// frames.
    compressor: Option<(Compressor<'static>, Index)>,
    /// The frames not yet written, with their lengths.
    block: Vec<u8>,
    /// Where the block begins.
    start: Mark,
    /// After the block.
    frames: u64,
    highest: Highest,
    /// The file has something after the beginning of the block, which goes when anything is written.
    has_rest: bool,
    /// When it was first told the time of the frames that are not yet written.
    waiting: Option<Instant>,
    /// Nothing more is to be written: it is finished, or a write failed.
    closed: bool,
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder")
            .field("path", &self.path)
            .field("frames", &self.frames)
            .finish_non_exhaustive()
    }
}

impl Recorder {
    /// Makes the file. What one holds that is there already is gone when the first frame is written, or the
    /// recording is [finished](Self::finish).
    ///
    /// # Errors
    /// If the file cannot be made, another recorder writes it, or there is no such compression level.
    pub fn create(path: impl AsRef<Path>, compression: Compression) -> Result<Self, RecordingError> {
        let path = path.as_ref().to_owned();
        let open = |source| RecordingError::Open { path: path.clone(), source };
        let compressor = match compression {
            Compression::None => None,
            Compression::Zstd { level } => Some((Compressor::new(level).map_err(open)?, Index::new())),
        };
        let file = alone(&path)?;
        let found = file.metadata().map_err(open)?;
        Ok(Self {
            file,
            has_rest: found.is_file() && found.len() > 0,
            path,
            compressor,
            block: Vec::new(),
            start: Mark::START,
            frames: 0,
            highest: Highest::NONE,
            waiting: None,
            closed: false,
        })
    }

    /// Goes on after what the file holds, and tells what that ends with; it is made if it is not there. A
    /// frame that was cut off there by a crash goes when the next one is written. What is compressed already
    /// stays so, else the file is as `compression` says.
    ///
    /// A plain recording is read to its end for it, and a compressed one that was never finished; of others
    /// it is the last few MiB.
    ///
    /// # Errors
    /// As of [`create`](Self::create); or the file is damaged, or no recording.
    pub fn append(path: impl AsRef<Path>, compression: Compression) -> Result<(Self, Last), RecordingError> {
        let mut this = Self::create(path, compression)?;
        if !this.has_rest {
            return Ok((this, Last::default()));
        }
        let end = Recording::open(&this.path)?.into_end()?;
        let level = match compression {
            Compression::Zstd { level } => level,
            Compression::None => zstd::DEFAULT_COMPRESSION_LEVEL,
        };
        this.compressor = match end.index {
            None => None,
            Some(index) => {
                let open = |source| RecordingError::Open { path: this.path.clone(), source };
                Some((Compressor::new(level).map_err(open)?, index))
            }
        };
        let frames = end.mark.frames + lengths(&end.rest).count() as u64;
        this.start = end.mark;
        this.block = end.rest;
        this.frames = frames;
        this.highest = end.mark.highest;
        Ok((this, Last { frames, seq: end.place.seq(), time: end.place.newest() }))
    }

    /// Adds a frame. It may stay in memory until the next [`flush`](Self::flush).
    ///
    /// # Errors
    /// If the frame is larger than a recording may hold, or could not be written.
    pub fn push(&mut self, frame: &[u8]) -> Result<(), RecordingError> {
        let length = match u32::try_from(frame.len()) {
            Ok(length) if frame.len() <= MAX_RECORDED => length,
            _ => return Err(RecordingError::FrameTooLarge { length: frame.len() }),
        };
        self.block.extend_from_slice(&length.to_le_bytes());
        self.block.extend_from_slice(frame);
        self.frames += 1;
        let together = if self.compressor.is_some() {
            // A frame that does not decode is recorded all the same, it just cannot be sought.
            if let Ok(peek) = frame::peek(frame) {
                self.highest.see(peek);
            }
            COMPRESSED_TOGETHER
        } else {
            WRITTEN_TOGETHER
        };
        if self.block.len() >= together { self.write_block() } else { Ok(()) }
    }

    /// Writes all frames to the file, so that a reader finds them. Compressed recordings grow by a little with each
    /// flush, since blocks are compressed by themselves.
    ///
    /// # Errors
    /// If they could not be written.
    pub fn flush(&mut self) -> Result<(), RecordingError> {
        self.write_block()
    }

    /// Writes all frames to the file if some of them have waited for a second or longer, by what it was told
    /// of the time: called again and again, also while no frames come, it bounds what a crash may lose.
    ///
    /// # Errors
    /// If they could not be written.
    pub fn flush_due(&mut self, now: Instant) -> Result<(), RecordingError> {
        if self.block.is_empty() {
            return Ok(());
        }
        let since = *self.waiting.get_or_insert(now);
        if now.saturating_duration_since(since) >= WAITS { self.write_block() } else { Ok(()) }
    }

    /// Writes all frames, and the index of a compressed recording.
    ///
    /// # Errors
    /// If they could not be written.
    pub fn finish(mut self) -> Result<Recorded, RecordingError> {
        self.close()?;
        Ok(Recorded { frames: self.frames, bytes: self.start.file })
    }

    fn close(&mut self) -> Result<(), RecordingError> {
        self.write_block()?;
        self.closed = true;
        self.drop_rest().map_err(|source| self.failed(source))?;
        if let Some((_, index)) = &self.compressor {
            let bytes = index.to_bytes(self.start.file);
            self.file.write_all(&bytes).map_err(|source| self.failed(source))?;
            self.start.file += bytes.len() as u64;
        }
        Ok(())
    }

    fn write_block(&mut self) -> Result<(), RecordingError> {
        if self.closed {
            return Err(self.failed(io::Error::other("an earlier write failed")));
        }
        if self.block.is_empty() {
            return Ok(());
        }
        self.waiting = None;
        if let Err(source) = self.drop_rest() {
            self.closed = true;
            return Err(self.failed(source));
        }
        let written = match &mut self.compressor {
            None => self.file.write_all(&self.block).map(|()| self.block.len()),
            Some((compressor, index)) => {
                index.add(self.start, COMPRESSED_TOGETHER as u64 / 4);
                compressor
                    .compress(&self.block)
                    .and_then(|block| self.file.write_all(&block).map(|()| block.len()))
            }
        };
        let length = self.block.len() as u64;
        self.block.clear();
        // What a failed write has left in the file is unknown: nothing may follow it.
        self.closed = written.is_err();
        let written = written.map_err(|source| self.failed(source))?;
        self.start = Mark {
            file: self.start.file + written as u64,
            offset: self.start.offset + length,
            frames: self.frames,
            highest: self.highest,
        };
        Ok(())
    }

    /// Takes away what the file has after what is kept of it.
    fn drop_rest(&mut self) -> io::Result<()> {
        if self.has_rest {
            self.file.set_len(self.start.file)?;
            self.file.seek(SeekFrom::Start(self.start.file))?;
            self.has_rest = false;
        }
        Ok(())
    }

    fn failed(&self, source: io::Error) -> RecordingError {
        RecordingError::Write { path: self.path.clone(), source }
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        // Without a frame the file is left as it is.
        let is_new = self.frames > 0 && !(self.block.is_empty() && self.has_rest);
        if !self.closed
            && is_new
            && let Err(error) = self.close()
        {
            tracing::error!(%error, "a recording was dropped unfinished");
        }
        // To close it is not enough: a process that is just being started has it open, too, for a moment.
        self.file.unlock().unwrap_or_default();
    }
}

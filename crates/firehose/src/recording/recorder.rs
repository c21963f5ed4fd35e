//! Writing recordings.

use std::{
    fs::File,
    io::{self, Write},
    path::{Path, PathBuf},
};

use skytide_atproto::frame;
use zstd::bulk::Compressor;

use super::{
    MAX_RECORDED, RecordingError,
    index::{Highest, Index, Mark},
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
const COMPRESSED_TOGETHER: usize = 4 << 20;

/// So many bytes of frames are written together where nothing is compressed.
const WRITTEN_TOGETHER: usize = 256 << 10;

/// What was recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recorded {
    /// The frames.
    pub frames: u64,
    /// The bytes of the file.
    pub bytes: u64,
}

/// Writes a recording.
///
/// After each [`flush`](Self::flush) the file is whole; a crash leaves at least what was flushed. A recorder that is
/// dropped writes what it holds, but cannot say whether it went well: [`finish`](Self::finish) does.
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
    /// Nothing more is to be written: it is finished, or a write failed.
    closed: bool,
}

impl Recorder {
    /// Makes the file, or empties it if it is there.
    ///
    /// # Errors
    /// If the file cannot be made, or there is no such compression level.
    pub fn create(path: impl AsRef<Path>, compression: Compression) -> Result<Self, RecordingError> {
        let path = path.as_ref().to_owned();
        let open = |source| RecordingError::Open { path: path.clone(), source };
        let compressor = match compression {
            Compression::None => None,
            Compression::Zstd { level } => Some((Compressor::new(level).map_err(open)?, Index::new())),
        };
        Ok(Self {
            file: File::create(&path).map_err(open)?,
            path,
            compressor,
            block: Vec::new(),
            start: Mark::START,
            frames: 0,
            highest: Highest::NONE,
            closed: false,
        })
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
        if let Some((_, index)) = &self.compressor {
            let bytes = index.to_bytes();
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

    fn failed(&self, source: io::Error) -> RecordingError {
        RecordingError::Write { path: self.path.clone(), source }
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        if !self.closed
            && let Err(error) = self.close()
        {
            tracing::error!(%error, "a recording was dropped unfinished");
        }
    }
}

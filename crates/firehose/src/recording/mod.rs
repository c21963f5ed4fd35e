//! Recordings: frames in a file, one after the other, as they came.
//!
//! A recording is `[u32 little-endian length][frame]…`, as it is or compressed with zstd. [`Recorder`] writes zstd as
//! frames (zstd's own) of about 4 MiB that can be read one by one, with an index at the end that other programs skip;
//! so it can be searched without reading all of it. Any other zstd file is read as well.
//!
//! ```
//! use skytide_firehose::{Compression, Recorder, Recording};
//!
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("frames.bin.zst");
//! let mut recorder = Recorder::create(&path, Compression::of_path(&path))?;
//! recorder.push(b"a frame")?;
//! recorder.finish()?;
//!
//! let frames = Recording::open(&path)?.collect::<Result<Vec<_>, _>>()?;
//! assert_eq!(frames, ["a frame"]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod boundary;
mod index;
mod reader;
mod recorder;
mod storage;

use std::{io, path::PathBuf};

pub use reader::{CutOff, Recording};
pub use recorder::{Compression, Last, Recorded, Recorder};

/// The largest frame in a recording, in bytes: above what any stream allows, so that a greater length can only be
/// damage or malice.
pub const MAX_RECORDED: usize = 16 << 20;

/// Why a recording could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordingError {
    /// The file could not be opened or made.
    #[error("cannot open {}: {source}", .path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another recorder writes the file.
    #[error("{}: another recording is being made there", .path.display())]
    Busy {
        /// The file.
        path: PathBuf,
    },
    /// The file could not be read.
    #[error("cannot read {}: {source}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The compressed data is damaged, or is no zstd at all.
    #[error("{} is damaged after {at} bytes of frames: {source}", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where, in bytes of what was decompressed before.
        at: u64,
        /// What zstd said.
        source: io::Error,
    },
    /// A length is greater than frames can be: the file is damaged, or is no recording.
    #[error("{}: at byte {at} a frame claims {length} bytes, the most there can be is {MAX_RECORDED}: the file is damaged, or is no recording", .path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
        /// Where the length stands, in bytes of frames (decompressed).
        at: u64,
        /// The length.
        length: u32,
    },
    /// The file could not be written.
    #[error("cannot write {}: {source}", .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Nothing can be recorded after what is there: it breaks off within compressed data that no [`Recorder`] wrote.
    #[error("{}: it breaks off within compressed data, after which nothing can be recorded", .path.display())]
    BrokenOff {
        /// The file.
        path: PathBuf,
    },
    /// A frame was given to a recorder that is larger than a recording may hold.
    #[error("a frame of {length} bytes cannot be recorded, the most is {MAX_RECORDED}")]
    FrameTooLarge {
        /// Its length.
        length: usize,
    },
}

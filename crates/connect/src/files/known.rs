//! A file as it was when it was looked at. Its end or its schema is read once and its rows later, piece by
//! piece and by several readers, each by a handle of its own (of many files not all can be open at once):
//! each is of that very file, and of no other one that has taken its name meanwhile.

use std::fs::{File, Metadata};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::FileError;

/// Whether what stands at a path is neither a file nor a folder but a pipe or a device: who opens it may wait
/// for long, and has it once.
#[must_use]
pub fn may_wait(path: &Path) -> bool {
    path.metadata().is_ok_and(|found| !found.is_file() && !found.is_dir())
}

/// Refuses what may not be opened: a pipe.
pub(crate) fn not_waiting(path: &Path) -> Result<(), FileError> {
    if may_wait(path) { Err(FileError::Waits(path.to_owned())) } else { Ok(()) }
}

/// A file that was looked at.
#[derive(Debug)]
pub(super) struct Known {
    path: PathBuf,
    mark: Mark,
    /// Whether more may stand at its end by now.
    pub(super) grows: bool,
}

/// What tells a file from others, and from what it becomes.
#[derive(Debug, PartialEq)]
struct Mark {
    /// Its device and its number there; none where the system has no such thing.
    place: Option<(u64, u64)>,
    len: u64,
    written: Option<SystemTime>,
}

impl Known {
    /// Opens a file that is to be looked at.
    pub(super) fn open(path: &Path) -> Result<(Self, File), FileError> {
        let file = File::open(path).map_err(FileError::io(path))?;
        let mark = Mark::of(&file.metadata().map_err(FileError::io(path))?);
        Ok((Self { path: path.to_owned(), mark, grows: false }, file))
    }

    /// Opens it again, to be read.
    ///
    /// # Errors
    /// It cannot be opened, or is another one by now.
    pub(super) fn again(&self) -> Result<File, FileError> {
        let (now, file) = Self::open(&self.path)?;
        if self.mark.is_of(&now.mark, self.grows) {
            Ok(file)
        } else {
            Err(FileError::Changed(self.path.clone()))
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Mark {
    fn of(file: &Metadata) -> Self {
        Self { place: place(file), len: file.len(), written: file.modified().ok() }
    }

    /// Whether it is of the same file as a later one.
    fn is_of(&self, now: &Self, grows: bool) -> bool {
        if grows { self.place == now.place && self.len <= now.len } else { self == now }
    }
}

#[cfg(unix)]
fn place(file: &Metadata) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    Some((file.dev(), file.ino()))
}

#[cfg(not(unix))]
fn place(_: &Metadata) -> Option<(u64, u64)> {
    None
}

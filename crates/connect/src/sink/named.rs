//! A file that grows under its name, which someone else may take from it while it does: who goes on writing
//! then writes to a file that has no name any more, or behind a hole of zeros.

use std::fs::{File, Metadata};
use std::io::{self, ErrorKind, Seek, Write};
use std::path::PathBuf;

/// A file that is looked at before each write and after it: whether its path still leads to it, and whether
/// it has all that was written.
#[derive(Debug)]
pub(super) struct Named {
    file: File,
    path: PathBuf,
    /// A device or a pipe holds nothing, and is what its name says.
    holds: bool,
}

impl Named {
    /// What was opened at a path, which is to be the same wherever the program stands.
    pub(super) fn new(file: File, path: PathBuf) -> io::Result<Self> {
        let holds = file.metadata()?.is_file();
        Ok(Self { file, path, holds })
    }

    /// Another handle of it, which stands where this one does.
    pub(super) fn try_clone(&self) -> io::Result<Self> {
        Ok(Self { file: self.file.try_clone()?, path: self.path.clone(), holds: self.holds })
    }

    pub(super) fn file(&mut self) -> &mut File {
        &mut self.file
    }

    /// Takes away what it holds, before anything is written.
    pub(super) fn empty(&self) -> io::Result<()> {
        if self.holds { self.file.set_len(0) } else { Ok(()) }
    }

    /// # Errors
    /// It is not at its path, or is shorter than what was written.
    pub(super) fn check(&self) -> io::Result<()> {
        if !self.holds {
            return Ok(());
        }
        let here = self.file.metadata()?;
        let there = match self.path.metadata() {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            found => found.ok(),
        };
        if there.is_none_or(|there| !is_one(&there, &here)) {
            return Err(io::Error::other("it was removed, renamed or replaced while the run wrote to it"));
        }
        let (length, written) = (here.len(), (&self.file).stream_position()?);
        if length < written {
            let reason = format!("it was cut to {length} bytes, of {written}, while the run wrote to it");
            return Err(io::Error::other(reason));
        }
        Ok(())
    }
}

impl Write for Named {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.check()?;
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.check()
    }
}

#[cfg(unix)]
fn is_one(one: &Metadata, other: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

/// The system tells it not.
#[cfg(not(unix))]
fn is_one(_: &Metadata, _: &Metadata) -> bool {
    true
}

//! Where the bytes of a recording are: in a file, or in memory.

use std::fs::File;
use std::io::{self, Cursor, Read, Seek, SeekFrom};

use bytes::Bytes;

/// The bytes of a recording, which can be read from anywhere.
#[derive(Debug)]
pub(super) enum Storage {
    File(File),
    Memory(Cursor<Bytes>),
}

impl Storage {
    /// The same bytes, from one of them on. Of a file only one such reader can be used at a time.
    pub(super) fn from(&self, at: u64) -> io::Result<Self> {
        let mut other = match self {
            Self::File(file) => Self::File(file.try_clone()?),
            Self::Memory(bytes) => Self::Memory(bytes.clone()),
        };
        other.seek(SeekFrom::Start(at))?;
        Ok(other)
    }

    /// All bytes at once, where they are in memory.
    pub(super) fn memory(&self) -> Option<Bytes> {
        match self {
            Self::File(_) => None,
            Self::Memory(bytes) => Some(bytes.get_ref().clone()),
        }
    }
}

impl Read for Storage {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => file.read(buffer),
            Self::Memory(bytes) => bytes.read(buffer),
        }
    }
}

impl Seek for Storage {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        match self {
            Self::File(file) => file.seek(to),
            Self::Memory(bytes) => bytes.seek(to),
        }
    }
}

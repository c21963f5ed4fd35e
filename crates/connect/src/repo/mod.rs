//! Repositories as a source: the CAR files that `com.atproto.sync.getRepo` exports.
//!
//! A repository holds an account's records as they are, not how they came to be: each is a point of its
//! record stream, as if it were created, at the time that its key (a TID) or its `createdAt` tells. A file is
//! read whole and all its blocks are held against their hashes, then its tree is walked for the collections
//! that a plan reads; nothing else is decoded. Of several exports of an account the newest alone is read. All
//! of them are put in order of time, so what a plan reads of them is in memory before the first row goes out.

mod export;
mod newest;
mod source;

use std::path::{Path, PathBuf};

use bytes::Bytes;
pub use export::RepoError;
pub(crate) use source::RepoSource;

use crate::files::{FileError, matching, not_waiting};

/// The ending of exports' names.
const ENDING: &str = "car";
/// How an export begins: its header's length, which no recording begins with, and the map in it.
const BEGINNING: &[u8] = b"\x3a\xa2\x65roots";

/// Whether a path is, by its name, that of an export, of several by a pattern, or of a folder, of which the
/// exports are meant.
#[must_use]
pub fn is_named(path: &Path) -> bool {
    is_export(path) || path.is_dir()
}

/// Whether bytes begin as an export does.
#[must_use]
pub(crate) fn is_begun(bytes: &[u8]) -> bool {
    bytes.starts_with(BEGINNING)
}

/// The exports that a path names.
///
/// # Errors
/// There are none, or a folder cannot be read.
pub fn named(path: &Path) -> Result<Vec<PathBuf>, FileError> {
    not_waiting(path)?;
    if path.is_dir() { matching(&path.join(format!("*.{ENDING}"))) } else { matching(path) }
}

fn is_export(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case(ENDING))
}

/// Where an export is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Export {
    /// A file.
    File(PathBuf),
    /// In memory.
    Memory(Bytes),
}

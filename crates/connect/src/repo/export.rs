//! One export: read, held against its hashes, and its tree walked.

use std::ops::Range;
use std::path::PathBuf;
use std::{fs, io};

use bytes::Bytes;
use skytide_atproto::car::{self, Blocks};
use skytide_atproto::cid::Cid;
use skytide_atproto::message::Path;
use skytide_atproto::mst::{self, Tree};
use skytide_atproto::repo::{Commit, CommitError};

use super::Export;

/// Why a repository cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RepoError {
    /// The file cannot be read.
    #[error("{}: {source}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// It is no CAR, or a block is not what its CID says.
    #[error("{location} is no repository: {source}")]
    Car {
        /// The file.
        location: String,
        /// The rule that is broken, and where.
        #[source]
        source: car::Error,
    },
    /// It has no root, or the root's block is missing.
    #[error("{0} is no repository: its commit is missing")]
    NoCommit(String),
    /// The root is no commit.
    #[error("{location} is no repository: {source}")]
    Commit {
        /// The file.
        location: String,
        /// What is wrong with it.
        #[source]
        source: CommitError,
    },
    /// The tree of its records breaks a rule.
    #[error("{location} is no repository: {source}")]
    Tree {
        /// The file.
        location: String,
        /// The rule, and the node.
        #[source]
        source: mst::Error,
    },
}

/// A repository whose tree was walked.
pub(super) struct Repo {
    pub(super) did: String,
    /// When it was written last, UTC nanoseconds.
    pub(super) written: i64,
    /// The records of the wanted collections, in the order of their paths.
    pub(super) entries: Vec<Entry>,
    /// Nodes of the tree that are not in the export.
    pub(super) missing: u64,
    bytes: Bytes,
}

/// A record: its path, its CID, and its place in the export, where it is there.
pub(super) struct Entry {
    pub(super) path: Box<str>,
    pub(super) cid: Cid,
    place: Option<Range<usize>>,
}

impl Entry {
    /// Its collection and key.
    pub(super) fn path(&self) -> Option<Path<'_>> {
        Path::parse(&self.path)
    }
}

impl Repo {
    /// Reads an export and finds the records of these collections (sorted); the time is not after `now`.
    ///
    /// # Errors
    /// It cannot be read, or is no repository.
    pub(super) fn open(export: &Export, collections: &[String], now: i64) -> Result<Self, RepoError> {
        let (bytes, location) = match export {
            Export::Memory(bytes) => (bytes.clone(), format!("what is in memory, {} bytes,", bytes.len())),
            Export::File(path) => {
                let read = fs::read(path).map_err(|source| RepoError::Read { path: path.clone(), source })?;
                (read.into(), path.display().to_string())
            }
        };
        let blocks = match Blocks::read(&bytes) {
            Ok(blocks) => blocks,
            Err(source) => return Err(RepoError::Car { location, source }),
        };
        let root = blocks.roots().first().and_then(|root| blocks.get(root));
        let Some(root) = root else { return Err(RepoError::NoCommit(location)) };
        let commit = match Commit::parse(root) {
            Ok(commit) => commit,
            Err(source) => return Err(RepoError::Commit { location, source }),
        };
        let tree = match Tree::load(commit.data, |cid| blocks.get(cid)) {
            Ok(tree) => tree,
            Err(source) => return Err(RepoError::Tree { location, source }),
        };
        let (mut entries, mut missing) = (Vec::new(), 0);
        for found in tree.walk() {
            let Ok((path, cid)) = found else {
                missing += 1;
                continue;
            };
            let is_wanted = Path::parse(path).is_some_and(|path| {
                collections.binary_search_by(|of| of.as_str().cmp(path.collection)).is_ok()
            });
            if is_wanted {
                let place = blocks.get(&cid).map(|block| {
                    let start = block.as_ptr() as usize - bytes.as_ptr() as usize;
                    start..start + block.len()
                });
                entries.push(Entry { path: path.into(), cid, place });
            }
        }
        let written = i64::try_from(commit.rev.micros()).ok().and_then(|micros| micros.checked_mul(1000));
        Ok(Self {
            did: commit.did.to_string(),
            written: written.map_or(now, |written| written.min(now)),
            entries,
            missing,
            bytes,
        })
    }

    /// The record of an entry, where it is there.
    pub(super) fn record(&self, entry: &Entry) -> Option<&[u8]> {
        self.bytes.get(entry.place.clone()?)
    }

    /// Bytes of the whole export.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }
}

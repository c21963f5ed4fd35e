//! `#commit`: changes of a repository, with the blocks that prove them.

use std::fmt;

use super::usual;
use super::wire::{Field, message};
use crate::car::Car;
use crate::cbor::{self, Cursor, Encoder, Value};
use crate::cid::Cid;
use crate::frame::FrameError;
use crate::json;

/// Operations a commit has at most (the repository specification's limit).
pub const MAX_OPS: usize = 200;

message! {
    /// `#commit`: changes of a repository.
    pub struct Commit<'a> {
        /// What was done to which records. It may be empty.
        pub ops: Vec<Op<'a>> = "ops",
        /// Revision of the repository after it, a TID.
        pub rev: &'a str = "rev",
        /// Number in the stream.
        pub seq: u64 = "seq",
        /// The commit before, in older recordings.
        pub prev: Option<Cid> = "prev",
        /// DID of the repository's account.
        pub repo: &'a str = "repo",
        /// When the relay sent it, a datetime.
        pub time: &'a str = "time",
        /// Deprecated: blobs that new records refer to.
        pub blobs: Option<Vec<Cid>> = "blobs",
        /// Revision of the commit before; none for a repository's first.
        pub since: Option<&'a str> = "since" [nullable],
        /// A CAR with the commit, the records and the MST nodes that changed.
        pub blocks: &'a [u8] = "blocks",
        /// CID of the commit object.
        pub commit: Cid = "commit",
        /// Deprecated.
        pub rebase: Option<bool> = "rebase",
        /// Deprecated: `blocks` and `ops` were left out because they were too many.
        pub too_big: Option<bool> = "tooBig",
        /// Root of the MST before this commit; none for a repository's first.
        pub prev_data: Option<Cid> = "prevData",
    }
}

impl<'a> Commit<'a> {
    /// Reads the payload of a frame from `start` on where it has the form that servers write today: in one
    /// pass, with all that reading it by its keys would refuse left to that.
    #[inline]
    pub(super) fn usual(frame: &'a [u8], start: usize) -> Option<Commit<'a>> {
        let text = |bytes| std::str::from_utf8(bytes).ok();
        // `None` where there is none, which is no reason to give up.
        let cid = |bytes: Option<&[u8; Cid::LENGTH]>| match bytes {
            Some(bytes) => Cid::from_bytes(bytes).map(Some).ok(),
            None => Some(None),
        };
        let mut ops = Vec::new();
        let found = usual::read(frame, start, |_, op| {
            let path = Path::parse(text(op.path)?)?;
            ops.push(Op { cid: cid(op.cid)?, path, prev: cid(op.prev)?, action: op.action });
            Some(())
        })?;
        let since = match found.since {
            Some(since) => Some(text(since)?),
            None => None,
        };
        Some(Commit {
            ops,
            rev: text(found.rev_text)?,
            seq: found.seq,
            prev: None,
            repo: text(found.repo_text)?,
            time: text(found.time)?,
            blobs: found.blobs.then(Vec::new),
            since,
            blocks: found.blocks,
            commit: cid(found.commit)??,
            rebase: found.rebase,
            too_big: found.too_big,
            prev_data: cid(found.prev_data)?,
        })
    }

    /// The operations, each with its record from `blocks`.
    ///
    /// Of blocks with one CID the first is taken. Hashes are not checked.
    ///
    /// # Errors
    /// If `blocks` is not a CAR. Where a record is wanted, the whole CAR is hopped through.
    pub fn ops(&self) -> Result<Vec<OpWithRecord<'a>>, FrameError> {
        let mut ops: Vec<_> = self.ops.iter().map(OpWithRecord::new).collect();
        // Sorted by CID, so that one pass over the blocks serves all operations, however many there are.
        let mut wanted: Vec<(Cid, usize)> =
            ops.iter().enumerate().filter_map(|(at, op)| Some((op.cid?, at))).collect();
        if wanted.is_empty() {
            return Ok(ops);
        }
        wanted.sort_unstable();
        for block in Car::parse(self.blocks)?.blocks() {
            let (cid, block) = block?;
            let first = wanted.partition_point(|(of, _)| *of < cid);
            for (_, at) in wanted.iter().skip(first).take_while(|(of, _)| *of == cid) {
                ops[*at].record.get_or_insert(block);
            }
        }
        Ok(ops)
    }
}

/// An operation of a commit with the record that it leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpWithRecord<'a> {
    /// What was done.
    pub action: Action,
    /// NSID of the record's collection.
    pub collection: &'a str,
    /// Key of the record in the collection.
    pub rkey: &'a str,
    /// The record's CID after it; none for a delete.
    pub cid: Option<Cid>,
    /// The record's CID before an update or delete.
    pub prev: Option<Cid>,
    /// The record's block; none for a delete, and where the commit does not hold it.
    pub record: Option<&'a [u8]>,
}

impl<'a> OpWithRecord<'a> {
    fn new(op: &Op<'a>) -> Self {
        OpWithRecord {
            action: op.action,
            collection: op.path.collection,
            rkey: op.path.rkey,
            cid: op.cid,
            prev: op.prev,
            record: None,
        }
    }

    /// The record, decoded whole; none where there is none ([`record`](OpWithRecord::record)).
    ///
    /// # Errors
    /// The rule of DAG-CBOR that its block breaks.
    pub fn value(&self) -> cbor::Result<Option<Value>> {
        self.record.map(Value::from_bytes).transpose()
    }

    /// The record as [`json`](crate::json) writes it, as Jetstream has it; none where there is none.
    ///
    /// # Errors
    /// The rule of DAG-CBOR that its block breaks.
    pub fn to_json(&self) -> cbor::Result<Option<String>> {
        let Some(record) = self.record else { return Ok(None) };
        let mut text = String::new();
        json::write_whole(record, &mut text)?;
        Ok(Some(text))
    }
}

message! {
    /// One change of one record.
    pub struct Op<'a> {
        /// The record's CID after it; none for a delete.
        pub cid: Option<Cid> = "cid" [nullable],
        /// Which record.
        pub path: Path<'a> = "path",
        /// The record's CID before an update or delete.
        pub prev: Option<Cid> = "prev",
        /// What was done.
        pub action: Action = "action",
    }
}

/// What an operation does to a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// The record is new.
    Create,
    /// The record has another value.
    Update,
    /// The record is gone.
    Delete,
}

impl Action {
    /// The word on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Action::Create => "create",
            Action::Update => "update",
            Action::Delete => "delete",
        }
    }

    /// Reads the word.
    #[inline]
    pub(crate) fn from_cursor(cursor: &mut Cursor<'_>) -> Result<Action, FrameError> {
        let at = cursor.position();
        match cursor.read_text()? {
            "create" => Ok(Action::Create),
            "update" => Ok(Action::Update),
            "delete" => Ok(Action::Delete),
            _ => Err(FrameError::Action { at }),
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl<'a> Field<'a> for Action {
    #[inline]
    fn read(cursor: &mut Cursor<'a>) -> Result<Self, FrameError> {
        Action::from_cursor(cursor)
    }

    fn write(&self, encoder: &mut Encoder) {
        encoder.text(self.as_str());
    }
}

/// The place of a record in its repository, written `collection/rkey`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Path<'a> {
    /// NSID of the collection.
    pub collection: &'a str,
    /// Key of the record in the collection.
    pub rkey: &'a str,
}

impl<'a> Path<'a> {
    /// Splits a path at its only slash; none if there is not exactly one, or nothing beside it.
    #[inline]
    #[must_use]
    pub fn parse(path: &'a str) -> Option<Path<'a>> {
        let (collection, rkey) = path.split_once('/')?;
        let whole = !collection.is_empty() && !rkey.is_empty() && !rkey.contains('/');
        whole.then_some(Path { collection, rkey })
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.collection, self.rkey)
    }
}

impl<'a> Field<'a> for Path<'a> {
    #[inline]
    fn read(cursor: &mut Cursor<'a>) -> Result<Self, FrameError> {
        let at = cursor.position();
        Path::parse(cursor.read_text()?).ok_or(FrameError::Path { at })
    }

    fn write(&self, encoder: &mut Encoder) {
        encoder.text(&self.to_string());
    }
}

//! The fields of a `#commit` that a stream is read by, found in one pass that hops over the others.
//!
//! Servers write the envelope's keys in canonical order, so the fast way compares each key with the one that comes
//! next; a frame with any other key or order is read by its keys, to the same result.

use crate::cbor::{Cursor, MapKeys};
use crate::frame::FrameError;

/// A `#commit`'s envelope. Values that not every reader needs are left as a place to read them from.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(not(feature = "arrow"), expect(dead_code, reason = "a peek reads `seq` and `time` only"))]
pub(crate) struct Envelope<'a> {
    pub(crate) seq: u64,
    pub(crate) time: &'a str,
    pub(crate) rev: Cursor<'a>,
    pub(crate) repo: Cursor<'a>,
    pub(crate) blocks: &'a [u8],
}

impl<'a> Envelope<'a> {
    /// Reads a `#commit`'s payload. `ops` is called where the operations are, and moves over them; if it is called
    /// twice, the second time counts.
    ///
    /// All keys are read and held to their order, and the required ones have to be there; of values that are not
    /// read, only heads and lengths are checked.
    #[inline]
    pub(crate) fn read(
        cursor: &mut Cursor<'a>,
        mut ops: impl FnMut(&mut Cursor<'a>) -> Result<(), FrameError>,
    ) -> Result<Envelope<'a>, FrameError> {
        let mut ahead = *cursor;
        match Self::canonical(&mut ahead, &mut ops)? {
            Some(envelope) => {
                *cursor = ahead;
                Ok(envelope)
            }
            None => Self::by_keys(cursor, ops),
        }
    }

    /// The fast way; none if the keys are not those of today's servers in their order.
    #[inline]
    fn canonical(
        cursor: &mut Cursor<'a>,
        ops: impl FnOnce(&mut Cursor<'a>) -> Result<(), FrameError>,
    ) -> Result<Option<Envelope<'a>>, FrameError> {
        let entries = cursor.read_map()?;
        let mut found = 7;
        if !cursor.take_prefix(b"\x63ops") {
            return Ok(None);
        }
        ops(cursor)?;
        if !cursor.take_prefix(b"\x63rev") {
            return Ok(None);
        }
        let rev = *cursor;
        cursor.skip()?;
        if !cursor.take_prefix(b"\x63seq") {
            return Ok(None);
        }
        let seq = cursor.read_u64()?;
        if !cursor.take_prefix(b"\x64repo") {
            return Ok(None);
        }
        let repo = *cursor;
        cursor.skip()?;
        if !cursor.take_prefix(b"\x64time") {
            return Ok(None);
        }
        let time = cursor.read_text()?;
        if cursor.take_prefix(b"\x65blobs") {
            found += 1;
            cursor.skip()?;
        }
        if cursor.take_prefix(b"\x65since") {
            found += 1;
            cursor.skip()?;
        }
        if !cursor.take_prefix(b"\x66blocks") {
            return Ok(None);
        }
        let blocks = cursor.read_bytes()?;
        if !cursor.take_prefix(b"\x66commit") {
            return Ok(None);
        }
        cursor.skip()?;
        if cursor.take_prefix(b"\x66rebase") {
            found += 1;
            cursor.skip()?;
        }
        if cursor.take_prefix(b"\x66tooBig") {
            found += 1;
            cursor.skip()?;
        }
        if cursor.take_prefix(b"\x68prevData") {
            found += 1;
            cursor.skip()?;
        }
        Ok((found == entries).then_some(Envelope { seq, time, rev, repo, blocks }))
    }

    /// The general way.
    #[cold]
    fn by_keys(
        cursor: &mut Cursor<'a>,
        read_ops: impl FnOnce(&mut Cursor<'a>) -> Result<(), FrameError>,
    ) -> Result<Envelope<'a>, FrameError> {
        let (mut ops, mut rev, mut seq, mut repo) = (None, None, None, None);
        let (mut time, mut blocks, mut commit) = (None, None, None);
        let mut keys = MapKeys::new(cursor.read_map()?);
        while let Some(key) = keys.next(cursor)? {
            let value = *cursor;
            match key {
                "ops" => ops = Some(value),
                "rev" => rev = Some(value),
                "repo" => repo = Some(value),
                "commit" => commit = Some(value),
                "seq" => {
                    seq = Some(cursor.read_u64()?);
                    continue;
                }
                "time" => {
                    time = Some(cursor.read_text()?);
                    continue;
                }
                "blocks" => {
                    blocks = Some(cursor.read_bytes()?);
                    continue;
                }
                _ => {}
            }
            cursor.skip()?;
        }
        commit.ok_or(FrameError::Missing("commit"))?;
        let envelope = Envelope {
            seq: seq.ok_or(FrameError::Missing("seq"))?,
            time: time.ok_or(FrameError::Missing("time"))?,
            rev: rev.ok_or(FrameError::Missing("rev"))?,
            repo: repo.ok_or(FrameError::Missing("repo"))?,
            blocks: blocks.ok_or(FrameError::Missing("blocks"))?,
        };
        read_ops(&mut ops.ok_or(FrameError::Missing("ops"))?)?;
        Ok(envelope)
    }
}

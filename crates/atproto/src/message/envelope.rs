//! The fields of a `#commit` that a stream is read by, found in one pass that hops over the others, whatever
//! keys there are.
//!
//! The form that servers write today is recognised before ([`usual`](super::usual)); this reads all others,
//! and knows what is wrong with those that are refused.

use crate::cbor::{Cursor, MapKeys};
use crate::frame::FrameError;

/// A `#commit`'s envelope. Values that not every reader needs are left as a place to read them from.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(
    not(any(feature = "arrow", test)),
    expect(dead_code, reason = "a peek reads `seq` and `time` only")
)]
pub(crate) struct Envelope<'a> {
    pub(crate) seq: u64,
    /// Of the text, its bytes.
    pub(crate) time: &'a [u8],
    pub(crate) rev: Cursor<'a>,
    pub(crate) repo: Cursor<'a>,
    pub(crate) blocks: &'a [u8],
}

impl<'a> Envelope<'a> {
    /// Reads a `#commit`'s payload. `read_ops` is called where the operations are.
    ///
    /// All keys are read and held to their order, and the required ones have to be there; of values that are not
    /// read, only heads and lengths are checked.
    #[cold]
    pub(crate) fn read(
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
                    time = Some(cursor.read_text()?.as_bytes());
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

//! An operation of a commit, read only as far as it takes to say whether it is wanted.

use crate::cbor::{Cursor, MapKeys};
use crate::cid::Cid;
use crate::frame::FrameError;
use crate::message::Action;

/// An operation as far as deciding needs it: whether it is wanted.
#[derive(Debug, Clone, Copy)]
pub(super) struct RawOp<'a> {
    /// The text of its path, not checked to be UTF-8.
    pub(super) path: &'a [u8],
    /// Offset of that text in the frame.
    pub(super) path_at: usize,
    cid: Cursor<'a>,
    action: Cursor<'a>,
}

impl<'a> RawOp<'a> {
    /// Moves over an operation, whatever keys it has.
    pub(super) fn read(cursor: &mut Cursor<'a>) -> Result<RawOp<'a>, FrameError> {
        let mut keys = MapKeys::new(cursor.read_map()?);
        let (mut path, mut cid, mut action) = (None, None, None);
        while let Some(key) = keys.next(cursor)? {
            let value = *cursor;
            match key {
                "path" => path = Some(value),
                "cid" => cid = Some(value),
                "action" => action = Some(value),
                _ => {}
            }
            cursor.skip()?;
        }
        Self::new(
            cid.ok_or(FrameError::Missing("cid"))?,
            path.ok_or(FrameError::Missing("path"))?,
            action.ok_or(FrameError::Missing("action"))?,
        )
    }

    #[inline]
    fn new(cid: Cursor<'a>, path: Cursor<'a>, action: Cursor<'a>) -> Result<RawOp<'a>, FrameError> {
        // The length of the text is in the head's first byte, or in the 1, 2, 4 or 8 after it.
        let mut after = path;
        let item = after.raw()?;
        let text = match item.first() {
            Some(0x60..0x78) => item.get(1..),
            Some(first @ 0x78..0x7c) => item.get(1 + (1 << (first - 0x78))..),
            _ => None,
        };
        let text = text.ok_or(FrameError::Path { at: path.position() })?;
        Ok(RawOp { path: text, path_at: after.position() - text.len(), cid, action })
    }

    /// What it does.
    #[inline]
    pub(super) fn action(&self) -> Result<Action, FrameError> {
        Action::from_cursor(&mut { self.action })
    }

    /// The CID of the record after it.
    #[inline]
    pub(super) fn cid(&self) -> Result<Option<Cid>, FrameError> {
        let mut cursor = self.cid;
        if cursor.take_null() { Ok(None) } else { Ok(Some(cursor.read_link()?)) }
    }
}

//! A frame of an event stream: a header and a payload, two items of DAG-CBOR, and nothing after them.
//!
//! [`Frame::parse`] splits a frame, [`peek`] finds only what a client needs to keep its place in the stream. What is
//! in a payload is the matter of [`message`](crate::message).
//!
//! ```
//! use skytide_atproto::frame::{self, Kind};
//! use skytide_atproto::message::{Identity, Message};
//!
//! let identity = Identity { seq: 7, did: "did:plc:abc", time: "2026-07-04T14:38:08.999Z", handle: None };
//! let bytes = Message::Identity(identity).to_frame_bytes();
//! let peek = frame::peek(&bytes)?;
//! assert_eq!((peek.kind, peek.seq), (Kind::Identity, Some(7)));
//! # Ok::<(), frame::FrameError>(())
//! ```

use std::fmt;

use crate::car;
use crate::cbor::{self, Cursor, Encoder, MapKeys, Rule};
use crate::message::envelope::Envelope;
use crate::message::{Message, usual};
use crate::syntax::{Times, parse_time};

/// What a frame carries, by its header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `#commit`: changes of a repository.
    Commit,
    /// `#sync`: the current state of a repository.
    Sync,
    /// `#identity`: a DID document or handle may have changed.
    Identity,
    /// `#account`: an account became active or inactive.
    Account,
    /// `#info`: a remark of the server.
    Info,
    /// `#handle`, no longer sent; older recordings hold it.
    Handle,
    /// `#migrate`, no longer sent.
    Migrate,
    /// `#tombstone`, no longer sent.
    Tombstone,
    /// `#labels`: labels of a labeler.
    Labels,
    /// An error, after which the server closes the connection.
    Error,
    /// A message of another type, or a frame with another `op`: to be ignored and counted.
    Unknown,
}

impl Kind {
    /// The header's `t` of such frames; none for [`Kind::Error`] and [`Kind::Unknown`].
    #[must_use]
    pub fn t(self) -> Option<&'static str> {
        Some(match self {
            Kind::Commit => "#commit",
            Kind::Sync => "#sync",
            Kind::Identity => "#identity",
            Kind::Account => "#account",
            Kind::Info => "#info",
            Kind::Handle => "#handle",
            Kind::Migrate => "#migrate",
            Kind::Tombstone => "#tombstone",
            Kind::Labels => "#labels",
            Kind::Error | Kind::Unknown => return None,
        })
    }

    fn from_t(t: &str) -> Kind {
        match t {
            "#commit" => Kind::Commit,
            "#sync" => Kind::Sync,
            "#identity" => Kind::Identity,
            "#account" => Kind::Account,
            "#info" => Kind::Info,
            "#handle" => Kind::Handle,
            "#migrate" => Kind::Migrate,
            "#tombstone" => Kind::Tombstone,
            "#labels" => Kind::Labels,
            _ => Kind::Unknown,
        }
    }
}

/// As the header names it; `error` and `unknown` for what it does not.
impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.t().unwrap_or(if *self == Self::Error { "error" } else { "unknown" }))
    }
}

/// The first item of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header<'a> {
    /// 1 for a message, -1 for an error; others are to be ignored.
    pub op: i64,
    /// The type of a message, as `#commit`.
    pub t: Option<&'a str>,
}

/// The header of nearly all frames of a repository stream: `{"t": "#commit", "op": 1}`.
pub(crate) const COMMIT_HEADER: &[u8] = b"\xa2\x61t\x67#commit\x62op\x01";

impl<'a> Header<'a> {
    /// The header of a message of this type.
    #[must_use]
    pub fn message(t: &'a str) -> Header<'a> {
        Header { op: 1, t: Some(t) }
    }

    /// The header of an error.
    #[must_use]
    pub fn error() -> Header<'a> {
        Header { op: -1, t: None }
    }

    /// What the frame carries.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match (self.op, self.t) {
            (1, Some(t)) => Kind::from_t(t),
            (-1, _) => Kind::Error,
            _ => Kind::Unknown,
        }
    }

    /// Reads a header. Fields it does not know are checked and ignored; a `t` of null is as if it were not there.
    ///
    /// # Errors
    /// If it is not DAG-CBOR, not a map, or has no `op`.
    #[inline]
    pub fn read(cursor: &mut Cursor<'a>) -> Result<Header<'a>, FrameError> {
        if cursor.take_prefix(COMMIT_HEADER) {
            return Ok(Header::message("#commit"));
        }
        Header::read_any(cursor)
    }

    fn read_any(cursor: &mut Cursor<'a>) -> Result<Header<'a>, FrameError> {
        let (mut op, mut t) = (None, None);
        let mut keys = MapKeys::new(cursor.read_map()?);
        while let Some(key) = keys.next(cursor)? {
            match key {
                "op" => op = Some(cursor.read_i64()?),
                "t" if cursor.kind()? == cbor::Kind::Null => cursor.read_null()?,
                "t" => t = Some(cursor.read_text()?),
                _ => cursor.check()?,
            }
        }
        Ok(Header { op: op.ok_or(FrameError::Missing("op"))?, t })
    }

    /// Writes the header, canonically.
    pub fn encode(&self, encoder: &mut Encoder) {
        encoder.map(1 + usize::from(self.t.is_some()));
        if let Some(t) = self.t {
            encoder.text("t").text(t);
        }
        encoder.text("op").integer(self.op.into());
    }
}

/// What a frame is, by its header; the fast way for commits.
#[inline]
pub(crate) fn read_kind(cursor: &mut Cursor<'_>) -> Result<Kind, FrameError> {
    if cursor.take_prefix(COMMIT_HEADER) {
        return Ok(Kind::Commit);
    }
    Ok(Header::read_any(cursor)?.kind())
}

/// A frame, split into its two items.
#[derive(Debug, Clone, Copy)]
pub struct Frame<'a> {
    /// What it is.
    pub header: Header<'a>,
    /// The second item, hopped over: its heads and lengths are checked, its contents not yet.
    pub payload: &'a [u8],
    /// Where it starts in the frame, for errors.
    pub(crate) payload_at: usize,
}

impl<'a> Frame<'a> {
    /// Splits a frame.
    ///
    /// # Errors
    /// If the header is not one, or the frame is not exactly two items.
    pub fn parse(bytes: &'a [u8]) -> Result<Frame<'a>, FrameError> {
        let mut cursor = Cursor::new(bytes);
        let header = Header::read(&mut cursor)?;
        let payload_at = cursor.position();
        let payload = cursor.raw()?;
        end(&cursor)?;
        Ok(Frame { header, payload, payload_at })
    }

    /// What the frame carries.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.header.kind()
    }
}

/// What a client needs of a frame to keep its place in the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peek {
    /// What the frame carries.
    pub kind: Kind,
    /// The number of the message in the stream, where it has one.
    pub seq: Option<u64>,
    /// The message's `time` as UTC nanoseconds, where it has one that is a datetime.
    pub time: Option<i64>,
}

/// Finds kind, `seq` and `time` of a frame and hops over all else.
///
/// All heads, lengths and the order of the payload's keys are checked, and that the frame is two items; other
/// contents are not.
///
/// # Errors
/// If the header is not one, the frame is not exactly two items, a number is beyond 63 bits, or a commit's
/// payload is not a map with what a commit needs. What other messages need,
/// [`Message::parse`](crate::message::Message::parse) says: not all of them have `seq` and `time`, and none
/// is known of one that is yet to come.
pub fn peek(bytes: &[u8]) -> Result<Peek, FrameError> {
    peek_next(bytes, &mut Times::default())
}

/// As [`peek`], of frames that follow each other: `times` reads the time of each.
///
/// # Errors
/// As [`peek`].
pub fn peek_next(bytes: &[u8], times: &mut Times) -> Result<Peek, FrameError> {
    let mut cursor = Cursor::new(bytes);
    let kind = read_kind(&mut cursor)?;
    if kind == Kind::Commit {
        if let Some(usual) = usual::read(bytes, cursor.position(), |_, _| Some(())) {
            return Ok(Peek { kind, seq: Some(number(usual.seq)?), time: times.parse(usual.time) });
        }
        let envelope = Envelope::read(&mut cursor, |ops| Ok(ops.skip()?))?;
        end(&cursor)?;
        return Ok(Peek { kind, seq: Some(number(envelope.seq)?), time: times.parse(envelope.time) });
    }
    let payload = cursor;
    let (seq, time) = match seq_and_time(&mut cursor) {
        Ok(found) => found,
        // What is in a message that is not known is nobody's rule to break: it is hopped over.
        Err(_) if kind == Kind::Unknown => {
            cursor = payload;
            cursor.skip()?;
            (None, None)
        }
        Err(error) => return Err(error),
    };
    end(&cursor)?;
    Ok(Peek { kind, seq, time })
}

/// The collection of a commit's first operation; none of other frames, where it has none, or where it does not decode
/// that far. One that was made of a Jetstream's event has one.
#[must_use]
pub fn collection(bytes: &[u8]) -> Option<&str> {
    let mut cursor = Cursor::new(bytes);
    if read_kind(&mut cursor).ok()? != Kind::Commit {
        return None;
    }
    let mut path = None;
    // No further than to the first.
    let _rest = usual::read(bytes, cursor.position(), |_, op| {
        path = Some(op.path);
        None
    });
    if let Some(path) = path {
        return std::str::from_utf8(path).ok()?.split('/').next();
    }
    match Message::parse(&Frame::parse(bytes).ok()?).ok()? {
        Message::Commit(commit) => Some(commit.ops.first()?.path.collection),
        _ => None,
    }
}

/// Reads the number and the time (UTC nanoseconds) of a frame of which only the beginning is there, as far as that
/// goes: none of what stands further behind. In canonical order both stand before the blocks of a commit.
pub fn peek_head(head: &[u8]) -> (Option<u64>, Option<i64>) {
    let (mut seq, mut time) = (None, None);
    let mut cursor = Cursor::new(head);
    let mut read = || {
        read_kind(&mut cursor)?;
        let mut keys = MapKeys::new(cursor.read_map()?);
        while let Some(key) = keys.next(&mut cursor)? {
            match key {
                "seq" => seq = Some(number(cursor.read_u64()?)?),
                "time" => time = parse_time(cursor.read_text()?),
                _ => cursor.skip()?,
            }
        }
        Ok::<_, FrameError>(())
    };
    // Where it ends is where the head does.
    let _end = read();
    (seq, time)
}

/// A number that a message may have.
#[inline]
fn number(seq: u64) -> Result<u64, FrameError> {
    if i64::try_from(seq).is_ok() { Ok(seq) } else { Err(FrameError::Seq) }
}

/// The number and time of a payload, where it has them. Moves over it.
fn seq_and_time(cursor: &mut Cursor<'_>) -> Result<(Option<u64>, Option<i64>), FrameError> {
    let (mut seq, mut time) = (None, None);
    if cursor.kind()? != cbor::Kind::Map {
        cursor.skip()?;
        return Ok((seq, time));
    }
    let mut keys = MapKeys::new(cursor.read_map()?);
    while let Some(key) = keys.next(cursor)? {
        match (key, cursor.kind()?) {
            ("seq", cbor::Kind::Unsigned) => seq = Some(number(cursor.read_u64()?)?),
            ("time", cbor::Kind::Text) => time = parse_time(cursor.read_text()?),
            _ => cursor.skip()?,
        }
    }
    Ok((seq, time))
}

/// Refuses a third item.
#[inline]
pub(crate) fn end(cursor: &Cursor<'_>) -> Result<(), FrameError> {
    if cursor.is_at_end() {
        return Ok(());
    }
    Err(cbor::Error { at: cursor.position(), rule: Rule::Trailing }.into())
}

/// Why a frame is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// A header or payload breaks a rule of DAG-CBOR, or a field is of another type than its message says.
    #[error(transparent)]
    Cbor(#[from] cbor::Error),
    /// A field that every such message has is not there.
    #[error("the field `{0}` is missing")]
    Missing(&'static str),
    /// An operation's action is none of those that exist.
    #[error("an action other than create, update and delete (at byte {at})")]
    Action {
        /// Offset in the frame.
        at: usize,
    },
    /// An operation's path is not `collection/rkey`.
    #[error("a path that is not `collection/rkey` (at byte {at})")]
    Path {
        /// Offset in the frame.
        at: usize,
    },
    /// The `blocks` of a commit are not a CAR.
    #[error("blocks: {0}")]
    Car(#[from] car::Error),
    /// The `time` of a message is not a datetime, or none that nanoseconds in 64 bits can hold.
    #[error("`time` is not a datetime")]
    Time,
    /// The `seq` of a message is beyond 63 bits.
    #[error("`seq` is beyond 63 bits")]
    Seq,
    /// The records that are read are longer than any frame may be, since operations name the same ones again.
    #[error("the records of the operations are {0} bytes: more than a frame may have")]
    RecordBytes(usize),
    /// No more fits in the columns: what is in them has to be taken first. Nothing is wrong with the frame.
    #[error("the columns are full")]
    Full,
    /// A commit has more than [`MAX_OPS`](crate::message::MAX_OPS) operations.
    #[error("{0} operations in a commit: more than the limit")]
    TooManyOps(usize),
}

impl FrameError {
    /// The error with its offset counted from a place `start` bytes before.
    pub(crate) fn after(self, start: usize) -> FrameError {
        match self {
            FrameError::Cbor(error) => FrameError::Cbor(cbor::Error { at: error.at + start, ..error }),
            FrameError::Action { at } => FrameError::Action { at: at + start },
            FrameError::Path { at } => FrameError::Path { at: at + start },
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A header without `t`, and a payload whose first key is no text.
    const STRANGE: &[u8] = b"\xa2\x61c\x67#tommit\x62op\x01\xa2\x00\x61u\x61u\x67at\x67#com";

    #[test]
    fn a_message_that_is_not_known_is_hopped_over_whatever_it_holds() {
        assert!(Frame::parse(STRANGE).is_ok());
        assert_eq!(peek(STRANGE), Ok(Peek { kind: Kind::Unknown, seq: None, time: None }));
        let known = [b"\xa2\x61t\x69#identity\x62op\x01".as_slice(), &STRANGE[15..]].concat();
        assert!(peek(&known).is_err());
    }

    #[test]
    fn a_number_that_no_message_may_have_is_none_to_go_by() {
        let numbered = |kind: &[u8], seq: u64| {
            let payload = [b"\xa1\x63seq\x1b".as_slice(), &seq.to_be_bytes()].concat();
            [b"\xa2\x61t", kind, b"\x62op\x01", &payload].concat()
        };
        let largest = numbered(b"\x69#identity", i64::MAX as u64);
        assert_eq!(peek(&largest).unwrap().seq, Some(i64::MAX as u64));
        for seq in [1 << 63, u64::MAX] {
            let beyond = numbered(b"\x69#identity", seq);
            assert_eq!((peek(&beyond), peek_head(&beyond)), (Err(FrameError::Seq), (None, None)));
            assert_eq!(peek(&numbered(b"\x65#what", seq)).unwrap().seq, None);
        }
    }
}

//! What a subscription reports beside its frames: counters, and the events worth a line in a log.

use std::{fmt, time::Duration};

use bytes::Bytes;

use crate::{ConnectionError, StreamError};

/// What a subscription has met so far. Every frame that came is in exactly one of `frames`, `repeated`, `undecodable`
/// and `oversized`, or was an error frame; also where the latter are [handed on](crate::Builder::hand_on_refused).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Connections made.
    pub connections: u64,
    /// Attempts to connect that failed.
    pub failed_attempts: u64,
    /// Connections that ended, for whatever reason.
    pub disconnects: u64,
    /// Frames received and handed on.
    pub frames: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Frames dropped because their sequence number had been seen.
    pub repeated: u64,
    /// Times that the server began its numbering anew.
    pub restarts: u64,
    /// Frames that did not decode: quarantined.
    pub undecodable: u64,
    /// Messages over the size limit: their heads quarantined.
    pub oversized: u64,
    /// Frames handed on whose `op` or `t` is not known; of a Jetstream events of an unknown kind, which are not.
    pub unknown: u64,
    /// Text messages, which the protocol does not have: ignored.
    pub texts: u64,
    /// `#info` messages saying that the cursor is older than what the server still has: something was missed.
    pub outdated_cursors: u64,
    /// Error frames saying that this client reads too slowly.
    pub too_slow: u64,
    /// Connections given up because no message came.
    pub silences: u64,
    /// Connections given up because a ping was not answered.
    pub dead_peers: u64,
    /// Of the frames, those that were dropped unread because the reader had fallen behind and allowed it.
    pub overflowed: u64,
}

/// Why bytes were put into quarantine.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Quarantine {
    /// They do not decode as a frame.
    Undecodable {
        /// Which rule they break, and where.
        reason: String,
    },
    /// The message is over the size limit; only its head was kept.
    Oversized {
        /// The size of the whole message, in bytes.
        size: u64,
    },
}

/// Something that happened to a subscription and is not a frame. Each is counted in [`Counters`] as well.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A connection was made.
    Connected {
        /// The cursor that was asked for; `None` is live.
        cursor: Option<u64>,
    },
    /// An attempt to connect failed, or a connection ended, and the next attempt comes after a wait.
    Disconnected {
        /// Why.
        error: &'a ConnectionError,
        /// How long the wait is.
        retry_in: Duration,
    },
    /// Bytes were received that cannot be handed on.
    Quarantined {
        /// Why.
        why: Quarantine,
        /// The bytes, or their head.
        bytes: &'a Bytes,
        /// The sequence number, where it could still be read.
        seq: Option<u64>,
    },
    /// The server began its numbering anew.
    Restarted {
        /// The last number before.
        last: u64,
        /// The first number after.
        first: u64,
    },
    /// The cursor asked for is older than what the server still has (`#info OutdatedCursor`).
    OutdatedCursor {
        /// The server's explanation.
        message: Option<&'a str>,
    },
    /// The server sent an error frame.
    ErrorFrame(&'a StreamError),
}

impl fmt::Display for Event<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connected { cursor: Some(cursor) } => write!(f, "connected, from {cursor}"),
            Self::Connected { cursor: None } => f.write_str("connected, live"),
            Self::Disconnected { error, retry_in } => write!(f, "{error}; again in {retry_in:.1?}"),
            Self::Quarantined { why, bytes, seq } => {
                let seq = seq.map_or_else(|| "a frame".to_owned(), |seq| format!("frame {seq}"));
                match why {
                    Quarantine::Undecodable { reason } => {
                        write!(f, "{seq} of {} bytes does not decode: {reason}", bytes.len())
                    }
                    Quarantine::Oversized { size } => write!(f, "{seq} of {size} bytes is too large"),
                }
            }
            Self::Restarted { last, first } => write!(f, "the numbering began anew: {first} after {last}"),
            Self::OutdatedCursor { message } => {
                f.write_str("the cursor is older than what the server has")?;
                message.map_or(Ok(()), |message| write!(f, ": {message}"))
            }
            Self::ErrorFrame(error) => error.fmt(f),
        }
    }
}

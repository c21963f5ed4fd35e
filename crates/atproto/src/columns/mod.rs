//! Query-driven decode: from a frame's bytes straight to the Arrow columns that a query reads.
//!
//! [`Wanted`] says which streams, and of each which values; a [`Decoder`] is made for that and hops over all
//! else. Operations are found by the bytes of their paths, records by hopping through the blocks, and a
//! record is read once, whole and strictly, while the wanted leaves fall into their columns. One that breaks
//! a rule is null, and counted: its author takes no other point away. A frame that is refused leaves no row.
//!
//! ```
//! use std::sync::Arc;
//! use skytide_atproto::columns::{Clock, Decoder, PathStep, StreamKind, Wanted, WantedStream};
//! use skytide_atproto::message::{Action, Identity, Message};
//!
//! let handles = WantedStream {
//!     of: StreamKind::Identities,
//!     keyed: true,
//!     columns: vec![vec![PathStep::Field("handle".into())]],
//!     tests: vec![],
//! };
//! let mut decoder = Decoder::new(&Wanted { streams: vec![handles], clock: Clock::FrameTime })?;
//! let message = Identity { did: "did:plc:abc", seq: 7, time: "2026-07-04T14:38:08Z", handle: Some("a.test") };
//! let pushed = decoder.push(&Message::Identity(message).to_frame_bytes(), 0)?;
//! assert_eq!(pushed.rows, 1);
//! assert_eq!(decoder.take()[0].columns[0].len(), 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod column;
mod decoder;
mod op;
mod pick;
mod stream;

pub use decoder::{Counters, Decoder, Position, Pushed, StandingRecord};

use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_schema::{DataType, Field, Fields, TimeUnit};

use crate::message::Action;
use crate::records::Shape;

/// The time zone of all timestamps.
const UTC: &str = "UTC";

/// What a query reads of a firehose.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The streams. One stream may be wanted twice, with other columns.
    pub streams: Vec<WantedStream>,
    /// What the time of a point is.
    pub clock: Clock,
}

/// What a query reads of one stream.
#[derive(Debug, Clone)]
pub struct WantedStream {
    /// Which stream.
    pub of: StreamKind,
    /// Whether the key of its points, the account's DID, is wanted. Of a label it is the account that it is about.
    pub keyed: bool,
    /// Ways from a point to the values wanted of it. An empty one is the whole point.
    pub columns: Vec<Vec<PathStep>>,
    /// Tests of the columns: points that fail one are left out, and counted.
    pub tests: Vec<EqTest>,
}

/// A step into a value.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum PathStep {
    /// Field of a struct.
    Field(String),
    /// Item of a list, from 0.
    Index(usize),
    /// Number of characters of a text, of which nothing is kept. Always the last step.
    Length,
}

/// A test that a column has a constant value. Null fails.
#[derive(Debug, Clone, PartialEq)]
pub struct EqTest {
    /// Place in [`WantedStream::columns`].
    pub column: usize,
    /// The value. One of another type than the column fails always.
    pub literal: Literal,
}

/// A constant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Literal {
    /// Text, also of a link
    Text(String),
    /// An integer
    Int(i64),
    /// A truth value
    Bool(bool),
}

/// What the time of a point is. Where a point has none of its own by the chosen clock, it is that of its frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Clock {
    /// The running maximum of the frames' `time`, of labels that of their `cts`: see
    /// [`EventClock`](crate::clock::EventClock).
    #[default]
    FrameTime,
    /// The time in the revision (a TID), by the author's server. Commits and `#sync` have it. It is not in order.
    Rev,
    /// `createdAt` of the record, by the author, or `cts` of the label: anything at all. Not in order.
    CreatedAt,
    /// The running maximum of the frames' arrival.
    Arrival,
}

/// A stream of a firehose.
#[derive(Debug, Clone, PartialEq)]
pub enum StreamKind {
    /// Records of a collection that were created, updated or deleted.
    Records {
        /// NSID of the collection.
        collection: String,
        /// What was done to them.
        action: Action,
        /// The fields of a record.
        shape: Arc<Shape>,
    },
    /// `#identity` messages.
    Identities,
    /// `#account` messages.
    Accounts,
    /// `#sync` messages.
    Syncs,
    /// Labels of a labeler, each of a `#labels` message a point of its own. They are of another stream of
    /// frames than all else: see [`Decoder`].
    Labels,
}

impl StreamKind {
    /// The columns of a point: those of SEMANTICS 8.2, and `source_time`, the frame's own time.
    ///
    /// Of records: `record uri cid did rkey action rev seq time source_time`; `record` is null for a delete.
    /// Of labels: `src uri cid val neg cts exp ver did seq time source_time`, where `did` is the account that
    /// `uri` is of, `cts` and `exp` are as they were written, `source_time` is what `cts` says, and what a
    /// label does not have is null, `neg` too.
    #[must_use]
    pub fn fields(&self) -> Fields {
        let text = |name: &str| Field::new(name, DataType::Utf8, true);
        let seq = Field::new("seq", DataType::Int64, true);
        let time =
            |name: &str| Field::new(name, DataType::Timestamp(TimeUnit::Nanosecond, Some(UTC.into())), true);
        let mut fields = match self {
            StreamKind::Records { shape, .. } => {
                let record = Field::new("record", shape.data_type(), true);
                let texts = ["uri", "cid", "did", "rkey", "action", "rev"].map(text);
                std::iter::once(record).chain(texts).collect()
            }
            StreamKind::Identities => vec![text("did"), text("handle")],
            StreamKind::Accounts => {
                vec![text("did"), Field::new("active", DataType::Boolean, true), text("status")]
            }
            StreamKind::Syncs => vec![text("did"), text("rev")],
            StreamKind::Labels => vec![
                text("src"),
                text("uri"),
                text("cid"),
                text("val"),
                Field::new("neg", DataType::Boolean, true),
                text("cts"),
                text("exp"),
                Field::new("ver", DataType::Int64, true),
                text("did"),
            ],
        };
        fields.extend([seq, time("time"), time("source_time")]);
        fields.into()
    }
}

/// Points of a stream, in order of release.
#[derive(Debug, Clone)]
pub struct StreamColumns {
    /// Their times, UTC nanoseconds.
    pub time: Vec<i64>,
    /// Their places in the order of release over all streams: frames released before, times 256, plus the
    /// operation's place in its commit or the label's in its message (a message of more labels counts as more
    /// frames). It does not depend on what is wanted.
    pub ordinal: Vec<u64>,
    /// Their keys, if wanted: the account's DID, Utf8. Null for a label that is not about an account or its records.
    pub key: Option<ArrayRef>,
    /// The wanted values.
    pub columns: Vec<ArrayRef>,
}

/// What is wrong with what is wanted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ColumnsError {
    /// A way leads to a field that is not there, or into a value that has no fields or items.
    #[error("no value at {path} in a point of stream {stream}")]
    Path {
        /// Place in [`Wanted::streams`].
        stream: usize,
        /// The way, as it would be written.
        path: String,
    },
    /// A test of a column that is not wanted.
    #[error("a test of column {column}, which stream {stream} does not have")]
    Test {
        /// Place in [`Wanted::streams`].
        stream: usize,
        /// Place in [`WantedStream::columns`].
        column: usize,
    },
}

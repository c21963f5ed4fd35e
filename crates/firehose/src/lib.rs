//! A client of the AT Protocol's event streams: subscriptions that reconnect and keep their place, and recordings.
//!
//! ```no_run
//! use skytide_firehose::Subscription;
//!
//! for operation in Subscription::bluesky().blocking()?.operations() {
//!     let operation = match operation {
//!         // A commit that cannot be read; the next ones follow.
//!         Err(error) if !error.is_end() => {
//!             eprintln!("{error}");
//!             continue;
//!         }
//!         operation => operation?,
//!     };
//!     if operation.collection == "app.bsky.feed.post" {
//!         println!("{} {:?}", operation.uri(), operation.json());
//!     }
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A [`Subscription`] is to the [repositories](Subscription::repos) of a relay or PDS, to the
//! [labels](Subscription::labels) of a labeler, or to a [Jetstream](Subscription::jetstream). It hands out
//! whole [`Frame`]s with what is needed to keep one's place: the sequence number, the frame's own time and
//! when it came. [`Frame::message`] reads the message in one, [`Frame::operations`] what was done to which
//! records. It is one state machine that is polled; the async [`Stream`](futures_core::Stream), the blocking
//! [`Iterator`] and the interfaces that take whole batches are thin ways of polling it, so that they cannot
//! differ. Nothing here needs Arrow.
//!
//! # Nothing is lost in silence
//!
//! [`Handle::cursor`] is the low-water mark of what the caller has *finished*: saved, and given to
//! [`Builder::cursor`] the next time, nothing is missed, and the last frames may come again. What may have
//! been missed nevertheless is an entry in the [`Ledger`]. While nobody asks for frames the socket is not
//! read: the server waits, or says that this client is too slow, and the subscription goes on from its place;
//! for a reader that would rather miss frames than fall behind there is [`Builder::buffered`].
//!
//! # What happens when
//!
//! | cause | rule |
//! |---|---|
//! | the connection is refused, reset, closed (1000 too, unless [`OnClose::End`]) | reconnect from the last frame handed on, after a back-off |
//! | name not found, TLS handshake broken off | reconnect after a back-off |
//! | certificate refused | ends: [`Error::Connection`] |
//! | HTTP 408, 425, 429 (its `Retry-After` is honoured), 5xx | reconnect after a back-off |
//! | HTTP 501, any other status | ends: [`Error::Connection`] |
//! | no connection within the dial timeout, no message for the receive timeout, no answer to a ping | reconnect: [`Timeout`] |
//! | as many reconnects in a row without a frame as [`Builder::reconnects`] allows (no limit unless given) | ends: [`Error::GaveUp`] |
//! | error frame `ConsumerTooSlow` | reconnect after a back-off |
//! | error frame `FutureCursor`, or one that is not known | ends: [`Error::Stream`] |
//! | frame that does not decode | quarantined, counted, skipped (but see [`Builder::hand_on_refused`]); 32 in a row: reconnect; the same ones once more: reconnect behind them, or, where they have no number, go on behind them |
//! | message over the size limit | read and let go on the same connection; its head is quarantined, counted |
//! | message over 1 GiB, or one that breaks the WebSocket's rules | reconnect after a back-off |
//! | text message (but of a Jetstream), unknown `op` or `t` | counted; a frame of an unknown kind is still handed on, as [`Kind::Unknown`] |
//! | `#info` `OutdatedCursor` | handed on, counted, entered in the ledger |
//! | `seq` not above the last | dropped and counted, unless its time shows that the numbering began anew; one over five minutes ahead shows nothing, but 16 of them in a row |
//! | event of a Jetstream that was seen before the reconnect | dropped and counted |

#![warn(missing_debug_implementations)]

mod backoff;
mod chains;
mod endpoint;
mod error;
mod events;
mod ledger;
mod place;
pub mod recording;
mod service;
mod subscription;

pub use backoff::Backoff;
pub use endpoint::{Endpoint, EndpointError};
pub use error::{ConnectionError, Error, MessageError, StreamError, Timeout};
pub use events::{Counters, Event, Quarantine};
pub use ledger::{Cause, Gap, Gaps, Ledger};
pub use place::Place;
pub use recording::{Compression, CutOff, Last, Recorded, Recorder, Recording, RecordingError};
pub use service::{SUBSCRIBE_LABELS, SUBSCRIBE_REPOS, Service};

/// The TLS of [`Builder::tls`], in the version that it takes.
pub use rustls;
pub use skytide_atproto::{
    frame::Kind,
    message::{Action, Message},
};
pub use subscription::{
    Batch, Blocking, Buffered, BufferedStream, Builder, Cursor, CursorError, Finish, Frame, Handle,
    JetstreamPast, JetstreamPlace, OnClose, Operation, Operations, Overflow, Subscription,
};

/// The largest frame that the protocol allows, in bytes: the default limit of subscriptions.
pub const MAX_FRAME: usize = 5_000_000;

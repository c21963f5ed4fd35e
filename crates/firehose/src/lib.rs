//! A client of the AT Protocol's event streams: subscriptions that reconnect and keep their place, and recordings.
//!
//! ```no_run
//! let mut frames = skytide_firehose::Subscription::builder("wss://bsky.network").blocking()?;
//! let stop = frames.handle();
//! while let Some(frame) = frames.next() {
//!     let frame = frame?;
//!     if frame.seq.is_some_and(|seq| seq % 1000 == 0) {
//!         stop.stop();
//!     }
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A [`Subscription`] hands out whole frames with what is needed to keep one's place: the sequence number, the frame's
//! own time and when it came. It does not look further into them: that is `skytide-atproto`'s work. It is one state
//! machine that is polled; the async [`Stream`](futures_core::Stream), the blocking [`Iterator`] and the interfaces that
//! take whole batches are thin ways of polling it, so that they cannot differ. Nothing here needs Arrow.
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
//! | no message for the receive timeout, no answer to a ping | reconnect |
//! | error frame `ConsumerTooSlow` | reconnect after a back-off |
//! | error frame `FutureCursor`, or one that is not known | ends: [`Error::Stream`] |
//! | frame that does not decode | quarantined, counted, skipped; 32 in a row: reconnect |
//! | message over the size limit | its head is quarantined, counted, skipped |
//! | text message, unknown `op` or `t` | counted; a frame of an unknown kind is still handed on, as [`Kind::Unknown`] |
//! | `seq` not above the last | dropped and counted, unless its time shows that the numbering began anew |

mod backoff;
mod endpoint;
mod error;
mod events;
mod place;
pub mod recording;
mod subscription;

pub use backoff::Backoff;
pub use endpoint::{Endpoint, EndpointError, SUBSCRIBE_REPOS};
pub use error::{ConnectionError, Error, StreamError};
pub use events::{Counters, Event, Quarantine};
pub use recording::{Compression, CutOff, Recorded, Recorder, Recording, RecordingError};

pub use skytide_atproto::frame::Kind;
pub use subscription::{Batch, Blocking, Builder, Cursor, Frame, Handle, OnClose, Subscription};

/// The largest frame that the protocol allows, in bytes: the default limit of subscriptions.
pub const MAX_FRAME: usize = 5_000_000;

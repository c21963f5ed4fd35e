//! Events in Jetstream v1's JSON, both ways: a frame's events as lines, and an event as a frame.
//!
//! Jetstream is a server that reads a relay's frames and serves each operation of a commit, each `#identity`
//! and each `#account` as a line of JSON. [`write_events`] writes what it would, and all other messages in
//! the same form. [`frame_of`] goes back: to a frame as the relay's stream has them, so that all that reads
//! frames reads Jetstream too, by the one way there is. What Jetstream leaves out, the proof of a commit,
//! does not come back.
//!
//! ```
//! use skytide_atproto::frame::Frame;
//! use skytide_atproto::jetstream;
//!
//! let line = r#"{"did":"did:plc:abc","time_us":1783175888085434,"kind":"commit","commit":{"rev":"3mptbypluud2a",
//!     "operation":"delete","collection":"app.bsky.feed.like","rkey":"3mptbyplj5d2a"}}"#;
//! let event = jetstream::frame_of(line.as_bytes())?;
//! let mut lines = String::new();
//! jetstream::write_events(&Frame::parse(&event.bytes)?, event.time_us, |_| true, &mut lines)?;
//! assert_eq!(lines.trim_end(), line.replace("\n    ", ""));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod line;
mod others;
mod read;
mod write;

pub use read::{EventFrame, EventId, JetstreamError, frame_of, no_commit, options_update};
pub use write::{Subject, write_events};

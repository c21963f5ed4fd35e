//! The stream of repositories as a Jetstream (version 1) serves it: JSON events, made from the frames as they
//! are sent.
//!
//! Only the times of the events are made with the frames, since they hang on all frames before; the events
//! themselves are written for each client, which wants few of them or all. So a relay without a Jetstream
//! does nothing for it.

mod events;
mod options;
mod stamp;

use std::sync::Arc;

pub(super) use events::{Events, compressor};
pub(super) use options::{Options, OptionsError};
pub(super) use stamp::{Clock, Stamp};

use super::Counted;

/// What a relay's Jetstream is.
pub(super) struct Jetstream {
    pub(super) counters: Arc<Counted>,
    /// What events are compressed with for who asks for it.
    pub(super) dictionary: Option<Vec<u8>>,
}

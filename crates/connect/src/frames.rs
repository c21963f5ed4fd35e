//! Where frames come from: a socket, a recording, or memory.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use skytide_firehose::recording::Recording;
use skytide_firehose::{Batch, Blocking, Ledger};

use crate::source::{Progress, SourceError, Status};

/// Frames, from wherever they come.
pub struct Frames {
    input: Input,
    read: u64,
    bytes: u64,
    /// It ends after so many frames.
    limit: Option<u64>,
    /// How much of a file is read.
    progress: Option<Progress>,
}

enum Input {
    Socket(Box<Blocking>),
    Recording(Box<Recording>),
    Memory { frames: Arc<[Bytes]>, at: usize },
}

impl Frames {
    /// The frames of a subscription.
    #[must_use]
    pub fn socket(subscription: Blocking) -> Self {
        Self::of(Input::Socket(Box::new(subscription)))
    }

    /// The frames of a recording.
    #[must_use]
    pub fn recording(recording: Recording) -> Self {
        Self::of(Input::Recording(Box::new(recording)))
    }

    /// Frames in memory, again and again; for measuring. Without a [limit](Self::until) it never ends.
    #[must_use]
    pub fn repeating(frames: Arc<[Bytes]>) -> Self {
        Self::of(Input::Memory { frames, at: 0 })
    }

    /// Ends after `limit` frames.
    #[must_use]
    pub fn until(mut self, limit: Option<u64>) -> Self {
        self.limit = limit;
        self
    }

    fn of(input: Input) -> Self {
        Self { input, read: 0, bytes: 0, limit: None, progress: None }
    }

    /// Shows what there is, at most `max` frames, each with its time of arrival in UTC nanoseconds, to `visit`. Waits at most
    /// `wait` for the first frame of a socket.
    ///
    /// # Errors
    /// What ended the source. What was read before it has been shown.
    pub fn visit(
        &mut self,
        max: usize,
        wait: Duration,
        mut visit: impl FnMut(&[u8], i64),
    ) -> Result<Batch, SourceError> {
        let left = self.limit.map_or(u64::MAX, |limit| limit - self.read);
        let max = max.min(usize::try_from(left).unwrap_or(usize::MAX));
        if max == 0 {
            return Ok(Batch::Ended);
        }
        let (mut frames, mut bytes) = (0_u64, 0_u64);
        let mut show = |frame: &[u8], arrival: i64| {
            frames += 1;
            bytes += frame.len() as u64;
            visit(frame, arrival);
        };
        let batch = match &mut self.input {
            Input::Socket(subscription) => subscription
                .visit_within(max, wait, |frame| show(&frame.bytes, frame.arrival))
                .map_err(Into::into),
            Input::Recording(recording) => {
                let arrival = now();
                let batch = read(recording, max, |frame| show(frame, arrival));
                let (done, total) = recording.progress();
                self.progress = Some(Progress { done, total });
                batch
            }
            Input::Memory { frames, .. } if frames.is_empty() => Ok(Batch::Ended),
            Input::Memory { frames, at } => {
                let arrival = now();
                for _ in 0..max {
                    show(&frames[*at], arrival);
                    *at = (*at + 1) % frames.len();
                }
                Ok(Batch::Received(max))
            }
        };
        self.read += frames;
        self.bytes += bytes;
        batch
    }

    /// Whether they come over a connection as they happen.
    #[must_use]
    pub fn is_live(&self) -> bool {
        matches!(self.input, Input::Socket(_))
    }

    /// What a subscription may have missed; frames of other kinds miss nothing.
    #[must_use]
    pub fn ledger(&self) -> Option<Ledger> {
        match &self.input {
            Input::Socket(subscription) => Some(subscription.handle().ledger()),
            Input::Recording(_) | Input::Memory { .. } => None,
        }
    }

    /// What has been read, and what was met on the way.
    #[must_use]
    pub fn status(&self) -> Status {
        let mut status =
            Status { read: self.read, bytes: self.bytes, progress: self.progress, ..Status::default() };
        match &self.input {
            Input::Socket(subscription) => {
                let handle = subscription.handle();
                let counters = handle.counters();
                status.cursor = handle.cursor();
                let met = [
                    ("repeated", counters.repeated),
                    ("undecodable", counters.undecodable),
                    ("oversized", counters.oversized),
                    ("text messages", counters.texts),
                    ("reconnects", counters.connections.saturating_sub(1)),
                    ("failed attempts", counters.failed_attempts),
                    ("outdated cursors", counters.outdated_cursors),
                    ("possible gaps", handle.ledger().len()),
                ];
                status.dropped.extend(met.into_iter().filter(|(_, count)| *count > 0));
            }
            Input::Recording(recording) => {
                if recording.cut_off().is_some() {
                    status.dropped.insert("cut off at the end", 1);
                }
            }
            Input::Memory { .. } => {}
        }
        status
    }
}

/// Reads up to `max` frames.
fn read(recording: &mut Recording, max: usize, mut show: impl FnMut(&[u8])) -> Result<Batch, SourceError> {
    for frames in 0..max {
        match recording.next_frame()? {
            Some(frame) => show(&frame),
            None if frames == 0 => return Ok(Batch::Ended),
            None => return Ok(Batch::Received(frames)),
        }
    }
    Ok(Batch::Received(max))
}

fn now() -> i64 {
    i64::try_from(Timestamp::now().as_nanosecond()).unwrap_or(i64::MAX)
}

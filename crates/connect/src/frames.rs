//! Where frames come from: a socket, a recording, or memory.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use skytide_firehose::recording::Recording;
use skytide_firehose::{Batch, Blocking, Frame};

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
    /// Frames as the subscription gives them.
    received: Vec<Frame>,
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
        Self { input, read: 0, bytes: 0, limit: None, progress: None, received: Vec::new() }
    }

    /// Adds what there is, at most `max` frames, to `out`, and gives the time of arrival in UTC nanoseconds. Waits at most
    /// `wait` for the first frame of a socket.
    ///
    /// # Errors
    /// What ended the source. What was read before it has been given out.
    pub fn next_batch(
        &mut self,
        out: &mut Vec<Bytes>,
        max: usize,
        wait: Duration,
    ) -> Result<(Batch, i64), SourceError> {
        let left = self.limit.map_or(u64::MAX, |limit| limit - self.read);
        let max = max.min(usize::try_from(left).unwrap_or(usize::MAX));
        if max == 0 {
            return Ok((Batch::Ended, now()));
        }
        let before = out.len();
        let mut arrival = None;
        let batch = match &mut self.input {
            Input::Socket(subscription) => {
                let batch = subscription.next_batch_within(&mut self.received, max, wait)?;
                arrival = self.received.last().map(|frame| frame.arrival);
                out.extend(self.received.drain(..).map(|frame| frame.bytes));
                batch
            }
            Input::Recording(recording) => {
                let frames = recording.next_batch(out, max)?;
                let (done, total) = recording.progress();
                self.progress = Some(Progress { done, total });
                if frames == 0 { Batch::Ended } else { Batch::Received(frames) }
            }
            Input::Memory { frames, at } => {
                if frames.is_empty() {
                    return Ok((Batch::Ended, now()));
                }
                while out.len() - before < max {
                    let end = frames.len().min(*at + max - (out.len() - before));
                    out.extend_from_slice(&frames[*at..end]);
                    *at = if end == frames.len() { 0 } else { end };
                }
                Batch::Received(out.len() - before)
            }
        };
        self.read += (out.len() - before) as u64;
        self.bytes += out[before..].iter().map(|frame| frame.len() as u64).sum::<u64>();
        Ok((batch, arrival.unwrap_or_else(now)))
    }

    /// Connections made so far; 0 for what is no socket.
    #[must_use]
    pub fn connections(&self) -> u64 {
        match &self.input {
            Input::Socket(subscription) => subscription.handle().counters().connections,
            Input::Recording(_) | Input::Memory { .. } => 0,
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

fn now() -> i64 {
    i64::try_from(Timestamp::now().as_nanosecond()).unwrap_or(i64::MAX)
}

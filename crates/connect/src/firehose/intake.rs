//! Frames on their way into a decoder: how many make an epoch, and that none is lost.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;
use skytide_atproto::columns::{Decoder, Position, Pushed};
use skytide_atproto::frame::{self, FrameError};
use skytide_firehose::{Batch, Cause, JetstreamPlace, Ledger};

use super::mark::Mark;
use crate::frames::{Frames, Last};
use crate::recovery::SaveError;
use crate::source::SourceError;

/// So many frames make an epoch at most: enough that what an epoch costs is nothing beside them, few enough
/// that the rows of one stay in the cache.
const FRAMES_PER_EPOCH: usize = 4096;

/// A connection that has so many frames at once is busy: each wake of this thread costs more than the frames
/// that it finds.
const BUSY: usize = 32;
/// Then so much time is left to it to gather more of them. The wait is part of what a row takes to be written: see
/// docs/performance.md.
const GATHERING: Duration = Duration::from_micros(400);
/// And again, as long as it is as busy each time, but no longer than this for one epoch: then it brings what
/// lay waiting elsewhere, and what an epoch costs counts for more than a few milliseconds do.
const GATHERING_AT_MOST: Duration = Duration::from_millis(6);

/// What takes in frames.
pub(crate) trait Decode {
    /// Reads a frame that arrived at `arrival`.
    ///
    /// # Errors
    /// The frame is refused, or there is no room for it before the points are taken ([`FrameError::Full`]).
    fn push(&mut self, frame: &[u8], arrival: i64) -> Result<Pushed, FrameError>;

    /// Points that are ready to be taken.
    fn rows(&self) -> usize;

    /// Frames come over a connection from here on.
    fn connected(&mut self);
}

impl Decode for Decoder {
    #[inline]
    fn push(&mut self, frame: &[u8], arrival: i64) -> Result<Pushed, FrameError> {
        Self::push(self, frame, arrival)
    }

    fn rows(&self) -> usize {
        Self::rows(self)
    }

    fn connected(&mut self) {
        Self::connected(self);
    }
}

/// Frames on their way into a decoder: none is lost where there was no room for it, or where the source ends
/// or fails behind it.
pub(crate) struct Intake {
    pub(crate) frames: Frames,
    /// Frames for which there was no room, with their times of arrival.
    full: VecDeque<(Bytes, i64)>,
    /// Whether frames come over a connection by now.
    is_connected: bool,
    /// Where frames that do not decode are entered, of a subscription.
    ledger: Option<Ledger>,
    /// What ended the frames, to be said once their points are out.
    failed: Option<SourceError>,
    /// Of the frames decoded.
    last: Last,
    /// Whether a frame of the connection was decoded.
    is_live: bool,
    /// Frames and bytes that were decoded before these.
    before: (u64, u64),
    /// So long is gathered for one epoch at most.
    patience: Duration,
}

/// What has been taken in.
pub(crate) enum Filled {
    /// Frames: their points, if they had any, are ready to be taken.
    Points,
    /// Nothing for now.
    Idle,
    /// Everything there was.
    End,
}

impl Intake {
    pub(crate) fn new(frames: Frames) -> Self {
        Self {
            frames,
            full: VecDeque::new(),
            is_connected: false,
            ledger: None,
            failed: None,
            last: Last::default(),
            is_live: false,
            before: (0, 0),
            patience: GATHERING_AT_MOST,
        }
    }

    /// Goes on from where other frames ended.
    pub(super) fn go_on(&mut self, mark: Mark) {
        self.last = mark.last;
        self.is_live = mark.is_live;
        self.before = (mark.read, mark.bytes);
    }

    /// Where the frames stand whose decoder stands there.
    pub(crate) fn mark(&self, position: Position) -> Mark {
        // What waits for room is not decoded yet: whoever goes on from here reads it anew.
        let (read, bytes) = self.decoded();
        Mark {
            last: self.last,
            position,
            read: self.before.0 + read,
            bytes: self.before.1 + bytes,
            is_live: self.is_live,
        }
    }

    /// Where a Jetstream stands there; none of another connection.
    pub(super) fn jetstream_place(&self) -> Result<Option<JetstreamPlace>, SaveError> {
        let place = self.frames.jetstream_place();
        // Events that wait for room are known to a Jetstream's connection already.
        if self.failed.is_some() || (place.is_some() && !self.is_decoded()) {
            return Err(SaveError::NotNow);
        }
        Ok(place)
    }

    /// Whether frames have numbers, so that others can go on after one.
    pub(crate) fn has_numbers(&self) -> bool {
        self.last.number.is_some()
    }

    /// Whether the decoder has seen every frame that was read.
    pub(crate) fn is_decoded(&self) -> bool {
        self.full.is_empty()
    }

    /// Goes on with the frames of another connection, and gives those before. All that were read are decoded.
    pub(crate) fn replace(&mut self, frames: Frames) -> Frames {
        let (read, bytes) = self.decoded();
        self.before = (self.before.0 + read, self.before.1 + bytes);
        self.ledger = frames.ledger();
        std::mem::replace(&mut self.frames, frames)
    }

    /// How many frames and bytes the decoder has seen.
    pub(crate) fn decoded(&self) -> (u64, u64) {
        let (frames, bytes) = self.frames.read();
        let waiting: u64 = self.full.iter().map(|(frame, _)| frame.len() as u64).sum();
        (frames - self.full.len() as u64, bytes - waiting)
    }

    /// Shows the decoder the frames that there are, at most `max`.
    fn read(&mut self, decoder: &mut impl Decode, max: usize, wait: Duration) -> Result<Batch, SourceError> {
        let (full, ledger, last) = (&mut self.full, &self.ledger, &mut self.last);
        let (is_live, is_connected) = (&mut self.is_live, self.is_connected);
        self.frames.visit(max, wait, |frame, arrival| {
            let waits = !full.is_empty();
            let (seq, time) = match if waits { Err(FrameError::Full) } else { decoder.push(frame, arrival) } {
                Ok(pushed) => (pushed.seq, pushed.source_time),
                Err(FrameError::Full) => return full.push_back((Bytes::copy_from_slice(frame), arrival)),
                // It is counted by the decoder; the rest of the stream goes on.
                Err(error) => note_refused(ledger.as_ref(), frame, arrival, &error),
            };
            last.pass(seq, time, arrival);
            *is_live = is_connected;
        })
    }

    /// Reads on for the same epoch where it has found many frames, as long as there are as many again.
    fn gather(&mut self, decoder: &mut impl Decode, mut found: usize) -> Result<Batch, SourceError> {
        let (mut frames, begun) = (found, Instant::now());
        while found >= BUSY
            && frames < FRAMES_PER_EPOCH
            && self.full.is_empty()
            && begun.elapsed() < self.patience
        {
            std::thread::sleep(GATHERING);
            // What ends the stream is told again when it is next asked, but for an error.
            found = match self.read(decoder, FRAMES_PER_EPOCH - frames, Duration::ZERO)? {
                Batch::Received(found) => found,
                Batch::Idle | Batch::Ended => 0,
            };
            frames += found;
        }
        Ok(Batch::Received(frames))
    }

    /// Shows the decoder the frames that found no room, as far as there is room now.
    pub(crate) fn decode_waiting(&mut self, decoder: &mut impl Decode) {
        while let Some((frame, arrival)) = self.full.pop_front() {
            let (seq, time) = match decoder.push(&frame, arrival) {
                Ok(pushed) => (pushed.seq, pushed.source_time),
                Err(FrameError::Full) if decoder.rows() > 0 => {
                    self.full.push_front((frame, arrival));
                    return;
                }
                Err(error) => note_refused(self.ledger.as_ref(), &frame, arrival, &error),
            };
            self.last.pass(seq, time, arrival);
            self.is_live = self.is_connected;
        }
    }

    /// Has frames wait as if they had been read and there had been no room for them.
    #[cfg(test)]
    pub(crate) fn waiting_for(frames: Frames, full: Vec<Bytes>) -> Self {
        let bytes = full.iter().map(|frame| frame.len() as u64).sum();
        let this = Self::new(frames.having_read(full.len() as u64, bytes));
        Self { full: full.into_iter().map(|frame| (frame, 0)).collect(), ..this }
    }

    /// Shows the decoder what there is, waiting at most `wait` for the first frame.
    pub(crate) fn fill(&mut self, decoder: &mut impl Decode, wait: Duration) -> Result<Filled, SourceError> {
        if !self.is_connected && self.frames.is_live() {
            self.is_connected = true;
            decoder.connected();
            self.ledger = self.frames.ledger();
        }
        // What found no room goes before anything else.
        self.decode_waiting(decoder);
        if !self.is_decoded() {
            return Ok(Filled::Points);
        }
        if let Some(error) = self.failed.take() {
            if decoder.rows() == 0 {
                return Err(error);
            }
            self.failed = Some(error);
            return Ok(Filled::Points);
        }
        let mut batch = self.read(decoder, FRAMES_PER_EPOCH, wait);
        if self.is_connected
            && let Ok(Batch::Received(found)) = batch
        {
            batch = self.gather(decoder, found);
        }
        match batch {
            Ok(Batch::Received(_)) => Ok(Filled::Points),
            // Points of frames that had to wait for room go out before the end is told.
            Ok(Batch::Idle | Batch::Ended) if decoder.rows() > 0 || !self.full.is_empty() => {
                Ok(Filled::Points)
            }
            Ok(Batch::Idle) => Ok(Filled::Idle),
            Ok(Batch::Ended) => Ok(Filled::End),
            // What was decoded before it goes out first.
            Err(error) if decoder.rows() > 0 || !self.full.is_empty() => {
                self.failed = Some(error);
                Ok(Filled::Points)
            }
            Err(error) => Err(error),
        }
    }
}

/// Enters a frame that only the decoder could tell to be damaged, and gives its number and time.
#[cold]
fn note_refused(
    ledger: Option<&Ledger>,
    frame: &[u8],
    arrival: i64,
    error: &FrameError,
) -> (Option<u64>, Option<i64>) {
    let (seq, time) = frame::peek(frame).map_or((None, None), |peek| (peek.seq, peek.time));
    if let Some(ledger) = ledger {
        ledger.enter(arrival, Cause::Quarantined { seq, reason: error.to_string() });
    }
    (seq, time)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use skytide_atproto::columns::Clock;

    use super::*;
    use crate::firehose::decoder;
    use crate::supply::Supply;

    /// Has so many frames each time that it is asked.
    struct Pulses(VecDeque<usize>, Bytes);

    impl Supply for Pulses {
        fn visit(
            &mut self,
            max: usize,
            _: Duration,
            show: &mut dyn FnMut(&[u8]),
        ) -> Result<Batch, SourceError> {
            Ok(match self.0.pop_front() {
                Some(0) => Batch::Idle,
                Some(frames) => {
                    let frames = frames.min(max);
                    (0..frames).for_each(|_| show(&self.1));
                    Batch::Received(frames)
                }
                None => Batch::Ended,
            })
        }
    }

    /// How many frames each of the epochs has that a connection with these pulses gives, if so long may be
    /// gathered for each.
    fn epochs(pulses: impl IntoIterator<Item = usize>, patience: Duration) -> Vec<u64> {
        let frame = skytide_sim::Network::new(skytide_sim::Config::default()).next().unwrap().bytes;
        let mut intake = Intake::new(Frames::held(Box::new(Pulses(pulses.into_iter().collect(), frame))));
        (intake.is_connected, intake.patience) = (true, patience);
        let mut decoder = decoder(Vec::new(), Clock::FrameTime).unwrap();
        let (mut epochs, mut before) = (Vec::new(), 0);
        while !matches!(intake.fill(&mut decoder, Duration::ZERO).unwrap(), Filled::End) {
            let (read, _) = intake.frames.read();
            epochs.push(read - std::mem::replace(&mut before, read));
        }
        epochs
    }

    #[test]
    fn what_was_read_last_may_be_no_place() {
        let event = |time_us: u64| {
            let account = format!(r#"{{"active":true,"did":"did:plc:a","seq":{time_us}}}"#);
            let line =
                format!(r#"{{"did":"did:plc:a","time_us":{time_us},"kind":"account","account":{account}}}"#);
            skytide_atproto::jetstream::frame_of(line.as_bytes()).unwrap().bytes.into()
        };
        // Of ten minutes ago, then four minutes ahead.
        let now = u64::try_from(crate::frames::now() / 1000).unwrap();
        let (before, ahead) = (now - 600_000_000, now + 240_000_000);
        let mut mark = Mark::default();
        for frame in [before, ahead].map(event) {
            let mut intake = Intake::new(Frames::held(Box::new(Pulses([1].into(), frame))));
            intake.go_on(mark);
            let mut decoder = decoder(Vec::new(), Clock::FrameTime).unwrap();
            intake.fill(&mut decoder, Duration::ZERO).unwrap();
            mark = intake.mark(decoder.position());
        }
        assert_eq!((mark.last.number, mark.last.place.seq()), (Some(ahead), Some(before)));
    }

    #[test]
    fn a_busy_connection_gathers_until_it_is_not() {
        let long = Duration::from_secs(600);
        assert_eq!(epochs([BUSY - 1, 5], long), [31, 5], "a quiet one is not kept waiting");
        assert_eq!(epochs([BUSY, 40, 5, 50, 0, 7], long), [77, 50, 7]);
        assert_eq!(epochs([50, 50], long), [100], "its end is told after what it gave");
        assert_eq!(epochs([3000, 3000], long), [4096]);
        // It may be as busy for ever; sleeping takes at least its time.
        assert_eq!(epochs([BUSY; 4], Duration::ZERO), [BUSY as u64; 4]);
        assert!(epochs([BUSY; 4], GATHERING).into_iter().all(|frames| frames <= 2 * BUSY as u64));
    }
}

//! Where frames come from: a socket, a recording, or memory.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use skytide_atproto::frame::{self, Kind, Peek};
use skytide_firehose::recording::Recording;
use skytide_firehose::{Batch, Blocking, Cursor, JetstreamPast, JetstreamPlace, Ledger, Place};

use crate::firehose::Mark;
use crate::network::{Connection, Wish};
use crate::recovery::StateError;
use crate::source::{Progress, SourceError, Status, Unreached};
use crate::supply::Supply;

/// Frames, from wherever they come.
pub struct Frames {
    input: Input,
    read: u64,
    bytes: u64,
    /// It ends after so many frames.
    limit: Option<u64>,
    /// Recordings that were read and are cut off at their end.
    cut_off: u64,
    /// Frames of recordings that were left out: the recording before had gone as far.
    twice: u64,
    /// How much of a file is read.
    progress: Option<Progress>,
    /// What follows a recording.
    then: Option<Box<Following>>,
    /// What recordings have that others go on after.
    past: Option<Box<Past>>,
    /// What was shown in an earlier run.
    earlier: Earlier,
    /// Whether a connection was asked for frames.
    is_asked: bool,
}

shown!(Frames { read, bytes, limit });

/// What a subscription counts.
pub(crate) const MET: [&str; 9] = [
    "repeated",
    "undecodable",
    "oversized",
    "text messages",
    UNKNOWN,
    "reconnects",
    "failed attempts",
    "outdated cursors",
    "possible gaps",
];
/// What counts frames whose `op` or `t` is not known, and events of a Jetstream of which no frame can be made.
pub const UNKNOWN: &str = "of an unknown kind";
/// What counts connections that could not be made so far: whatever was tried has failed, or is waited for.
pub const UNREACHED: &str = "not reached";
/// What counts recordings that are cut off.
pub(crate) const CUT_OFF: &str = "cut off at the end";
/// What counts frames of a recording whose numbers the recording before it had passed.
pub(crate) const TWICE: &str = "recorded before";

/// Recordings and a connection that go on where a recording ends.
struct Following {
    recordings: VecDeque<PathBuf>,
    connection: Connection,
    wish: Wish,
}

/// What recordings have.
#[derive(Default)]
struct Past {
    place: Place,
    events: JetstreamPast,
}

impl Past {
    /// Takes in the next frame, which came at `arrival`; tells whether it is new.
    fn see(&mut self, frame: &[u8], arrival: i64) -> bool {
        let Ok(peek) = frame::peek(frame) else { return true };
        let is_new = self.events.see(frame, peek, arrival);
        if is_new {
            self.place.pass(peek.seq, peek.time, arrival);
        }
        is_new
    }

    /// Has a recording or a connection begin where they end.
    fn leads_to(&self, connection: &mut Connection) {
        connection.cursor = match self.place.cursor() {
            // Where no time is known, none is later: a recording goes on by the number alone.
            Some(Cursor::Seq(seq)) if !connection.is_live() => Cursor::After { seq, time: i64::MAX },
            cursor => cursor.unwrap_or(connection.cursor),
        };
        connection.place = self.events.place();
    }
}

/// How far frames have been taken in.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Last {
    /// The number of the last one that has one: by it the frame is known that is read again.
    pub(crate) number: Option<u64>,
    /// Where a connection goes on.
    pub(crate) place: Place,
}

impl Last {
    /// Takes in the next frame, which came at `arrival`.
    #[inline]
    pub(crate) fn pass(&mut self, seq: Option<u64>, time: Option<i64>, arrival: i64) {
        self.number = seq.or(self.number);
        self.place.pass(seq, time, arrival);
    }
}

/// The frames that an earlier run has shown of what is read again.
#[derive(Default)]
struct Earlier {
    /// So many are still to come,
    left: u64,
    /// of so many bytes; none where there were more already.
    bytes: Option<u64>,
    /// The number of the last of them that had one.
    last: Option<u64>,
    /// Where they are.
    location: String,
    /// It has come to light that those here are others: nothing of what is behind them was asked for.
    are_others: bool,
}

impl Earlier {
    /// Whether the next frame is not to be shown: it is one of them, or behind others.
    fn has(&mut self, frame: &[u8]) -> bool {
        if self.left == 0 {
            return self.are_others;
        }
        self.left -= 1;
        self.bytes = self.bytes.and_then(|bytes| bytes.checked_sub(frame.len() as u64));
        if self.left == 0 {
            // Such frames have a number to whoever reads them.
            let is_numbered = |peek: &Peek| matches!(peek.kind, Kind::Commit | Kind::Labels);
            let number = frame::peek(frame).ok().filter(is_numbered).and_then(|peek| peek.seq);
            self.are_others = self.bytes != Some(0) || (number.is_some() && number != self.last);
        }
        true
    }
}

impl Following {
    /// Whether what was recorded is at its end.
    fn leads_to_a_connection(&self) -> bool {
        self.recordings.is_empty() && self.connection.is_live()
    }
}

enum Input {
    Socket(Box<Blocking>),
    Recording(Box<Recording>),
    Held(Box<dyn Supply>),
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

    /// The frames of a recording from here on, where those before were recorded before.
    pub(crate) fn rest(recording: Recording) -> Self {
        Self { twice: recording.passed(), ..Self::recording(recording) }
    }

    /// Frames in memory, again and again; for measuring. Without a [limit](Self::until) it never ends.
    #[must_use]
    pub fn repeating(frames: Arc<[Bytes]>) -> Self {
        Self::held(Box::new(Repeating { frames, at: 0 }))
    }

    /// Frames that the program holds.
    #[must_use]
    pub fn held(supply: Box<dyn Supply>) -> Self {
        Self::of(Input::Held(supply))
    }

    /// Ends after `limit` frames.
    #[must_use]
    pub fn until(mut self, limit: Option<u64>) -> Self {
        self.limit = limit;
        self
    }

    /// Does not show the frames that an earlier run had read, which are those of `location` up to the mark.
    pub(crate) fn after(mut self, mark: &Mark, location: String) -> Self {
        let bytes = Some(mark.bytes);
        self.earlier =
            Earlier { left: mark.read, bytes, last: mark.last.number, location, are_others: false };
        self
    }

    /// Counts on from frames that were read elsewhere.
    #[cfg(test)]
    pub(crate) fn having_read(mut self, read: u64, bytes: u64) -> Self {
        (self.read, self.bytes) = (read, bytes);
        self
    }

    /// The frames of recordings, one after the other, then those of a connection from there on; what two of
    /// them have is shown once.
    ///
    /// # Errors
    /// The first recording cannot be read.
    pub(crate) fn history(
        recordings: impl IntoIterator<Item = PathBuf>,
        connection: Connection,
        wish: Wish,
    ) -> Result<Self, SourceError> {
        let mut recordings: VecDeque<PathBuf> = recordings.into_iter().collect();
        let Some(first) = recordings.pop_front() else { return connection.frames(&wish) };
        let mut frames = Self::recording(Recording::open(first)?);
        frames.then = Some(Box::new(Following { recordings, connection, wish }));
        frames.past = Some(Box::default());
        Ok(frames)
    }

    fn of(input: Input) -> Self {
        Self {
            input,
            read: 0,
            bytes: 0,
            limit: None,
            cut_off: 0,
            twice: 0,
            progress: None,
            then: None,
            past: None,
            earlier: Earlier::default(),
            is_asked: false,
        }
    }

    /// Goes on to what follows a recording.
    fn follow(&mut self, mut following: Box<Following>) -> Result<(), SourceError> {
        if let Input::Recording(recording) = &self.input {
            self.cut_off += u64::from(recording.cut_off().is_some());
        }
        self.progress = None;
        let next = match following.recordings.pop_front() {
            Some(path) => {
                let mut after = Connection::default();
                self.past.iter().for_each(|past| past.leads_to(&mut after));
                let next = after.recording(Recording::open(path)?)?;
                self.then = Some(following);
                next
            }
            None => {
                let Following { mut connection, wish, .. } = *following;
                self.past.iter().for_each(|past| past.leads_to(&mut connection));
                connection.frames(&wish)?
            }
        };
        // A connection knows by itself what it has.
        self.past = self.past.take().filter(|_| !next.is_live());
        self.input = next.input;
        self.twice += next.twice;
        Ok(())
    }

    /// Shows what there is, at most `max` frames, each with its time of arrival in UTC nanoseconds, to
    /// `visit`. Waits at most `wait` for the first frame of a socket.
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
        let (earlier, twice) = (&mut self.earlier, &mut self.twice);
        let (mut frames, mut bytes) = (0_u64, 0_u64);
        let mut past = self.past.as_deref_mut();
        let mut show = |frame: &[u8], arrival: i64| {
            if past.as_deref_mut().is_some_and(|past| !past.see(frame, arrival)) {
                *twice += 1;
                return;
            }
            if earlier.has(frame) {
                return;
            }
            frames += 1;
            bytes += frame.len() as u64;
            visit(frame, arrival);
        };
        let batch = match &mut self.input {
            Input::Socket(subscription) => {
                self.is_asked = true;
                let received =
                    subscription.visit_within(max, wait, |frame| show(&frame.bytes, frame.arrival));
                received.map_err(Into::into)
            }
            Input::Recording(recording) => {
                let arrival = now();
                let batch = read(recording, max, |frame| show(frame, arrival));
                let (done, total) = recording.progress();
                self.progress = Some(Progress { done, total });
                batch
            }
            Input::Held(supply) => {
                let arrival = now();
                supply.visit(max, wait, &mut |frame| show(frame, arrival))
            }
        };
        self.read += frames;
        self.bytes += bytes;
        if self.earlier.are_others {
            return Err(StateError::Changed { location: self.earlier.location.clone() }.into());
        }
        match (batch, self.then.take()) {
            (Ok(Batch::Ended), following)
                if self.earlier.left > 0
                    && following.as_ref().is_none_or(|then| then.leads_to_a_connection()) =>
            {
                Err(StateError::Shrunk { missing: self.earlier.left }.into())
            }
            // Whoever reads may want to stop before all that is left out is behind.
            (Ok(Batch::Received(_)), following) => {
                self.then = following;
                Ok(match usize::try_from(frames).unwrap_or(usize::MAX) {
                    0 => Batch::Idle,
                    shown => Batch::Received(shown),
                })
            }
            // Whoever reads looks whether it is live now before it asks again.
            (Ok(Batch::Ended), Some(following)) if self.limit.is_none_or(|limit| self.read < limit) => {
                self.follow(following).map(|()| Batch::Idle)
            }
            (batch, following) => {
                self.then = following;
                batch
            }
        }
    }

    /// Whether they come over a connection as they happen.
    #[must_use]
    pub fn is_live(&self) -> bool {
        matches!(self.input, Input::Socket(_))
    }

    /// Where a Jetstream stands, of a connection to one.
    pub(crate) fn jetstream_place(&self) -> Option<JetstreamPlace> {
        match &self.input {
            Input::Socket(subscription) => subscription.jetstream_place(),
            Input::Recording(_) | Input::Held(_) => None,
        }
    }

    /// How many frames and bytes have been read.
    pub(crate) fn read(&self) -> (u64, u64) {
        (self.read, self.bytes)
    }

    /// What a subscription may have missed; frames of other kinds miss nothing.
    #[must_use]
    pub fn ledger(&self) -> Option<Ledger> {
        match &self.input {
            Input::Socket(subscription) => Some(subscription.handle().ledger()),
            Input::Recording(_) | Input::Held(_) => None,
        }
    }

    /// What has been read, and what was met on the way.
    #[must_use]
    pub fn status(&self) -> Status {
        let mut status =
            Status { read: self.read, bytes: self.bytes, progress: self.progress, ..Status::default() };
        let mut cut_off = self.cut_off;
        match &self.input {
            Input::Socket(subscription) => {
                let handle = subscription.handle();
                let counters = handle.counters();
                status.cursor = handle.cursor();
                let counts = [
                    counters.repeated,
                    counters.undecodable,
                    counters.oversized,
                    counters.texts,
                    counters.unknown,
                    counters.connections.saturating_sub(1),
                    counters.failed_attempts,
                    counters.outdated_cursors,
                    handle.ledger().len(),
                ];
                if self.is_asked && counters.connections == 0 {
                    status.dropped.insert(UNREACHED, 1);
                    status.unreached = handle.unreached().map(Unreached);
                }
                status.dropped.extend(MET.into_iter().zip(counts).filter(|(_, count)| *count > 0));
            }
            Input::Recording(recording) => cut_off += u64::from(recording.cut_off().is_some()),
            Input::Held(_) => {}
        }
        if cut_off > 0 {
            status.dropped.insert(CUT_OFF, cut_off);
        }
        if self.twice > 0 {
            status.dropped.insert(TWICE, self.twice);
        }
        status
    }
}

/// The same frames again and again.
struct Repeating {
    frames: Arc<[Bytes]>,
    at: usize,
}

impl Supply for Repeating {
    fn visit(&mut self, max: usize, _: Duration, show: &mut dyn FnMut(&[u8])) -> Result<Batch, SourceError> {
        if self.frames.is_empty() {
            return Ok(Batch::Ended);
        }
        for _ in 0..max {
            show(&self.frames[self.at]);
            self.at = (self.at + 1) % self.frames.len();
        }
        Ok(Batch::Received(max))
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

/// The system's time, UTC nanoseconds.
pub(crate) fn now() -> i64 {
    i64::try_from(Timestamp::now().as_nanosecond()).unwrap_or(i64::MAX)
}

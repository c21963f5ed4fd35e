//! A subscription to an event stream: it dials, reads, judges each frame by its place, and dials again.
//!
//! [`Subscription`] is a state machine that is polled, with all its state in itself: a receive that is cancelled loses
//! nothing. Whatever is ready is taken at once, without a timer, a channel or a lock for each frame.

mod blocking;
mod builder;
mod connection;
mod handle;
mod taker;

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, SystemTime},
};

pub use blocking::Blocking;
pub use builder::{Builder, OnClose};
use bytes::Bytes;
use futures_core::Stream;
pub use handle::Handle;
use skytide_atproto::{
    frame::{self, Kind, Peek},
    message::Message,
};
use tokio::time::Sleep;

use self::{
    builder::Settings,
    connection::{Connection, Received},
    handle::Shared,
    taker::{Shelf, Taker, Taking, Visitor},
};
use crate::{
    ConnectionError, Counters, Endpoint, Error, Event, Quarantine, StreamError,
    error::one_line,
    place::{Place, Sight},
};

/// Where a subscription begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cursor {
    /// With whatever comes next.
    #[default]
    Live,
    /// After the frame of this number.
    Seq(u64),
    /// After the frame of this number and time (UTC nanoseconds). With the time it can be told when the server has
    /// begun its numbering anew since.
    After {
        /// The number.
        seq: u64,
        /// The newest time of the frames up to it.
        time: i64,
    },
    /// With the oldest frame that the server still has.
    Oldest,
}

impl Cursor {
    /// The number to ask for while nothing has been received; `None` is live.
    fn to_ask(self) -> Option<u64> {
        match self {
            Self::Live => None,
            Self::Seq(seq) | Self::After { seq, .. } => Some(seq),
            Self::Oldest => Some(0),
        }
    }

    /// What has been seen before anything is received. Servers differ in whether they send the frame of the cursor
    /// once more: this makes it a repetition.
    fn place(self) -> Place {
        match self {
            Self::Live | Self::Oldest => Place::default(),
            Self::Seq(seq) => Place::after(seq, None),
            Self::After { seq, time } => Place::after(seq, Some(time)),
        }
    }
}

/// A frame as it came, with what is needed to keep one's place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The whole frame. It shares a buffer with its neighbours: to keep a frame for long, copy it.
    pub bytes: Bytes,
    /// What it carries.
    pub kind: Kind,
    /// Its number in the stream of this host and method, where it has one.
    pub seq: Option<u64>,
    /// Its own time in UTC nanoseconds, where it has one.
    pub time: Option<i64>,
    /// When it was received, in UTC nanoseconds; good to the few frames that are received at once.
    pub arrival: i64,
}

/// How a wait for frames ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Batch {
    /// This many frames were added, at least one.
    Received(usize),
    /// None came within the time given.
    Idle,
    /// The subscription has ended, and no more will come.
    Ended,
}

/// After this many frames that do not decode, one directly after the other, the connection is given up.
const UNDECODABLE_IN_A_ROW: u32 = 32;

/// The clock is read, and a stop looked for, once for so many frames received without waiting.
const BETWEEN_CLOCKS: usize = 64;

/// So many bytes of an oversized message are kept for quarantine.
const HEAD: usize = 4096;

/// A live subscription to an event stream: an async [`Stream`] of frames.
///
/// The frames come in the server's order, each number once. An item is an error only if the subscription has ended
/// with it; everything that passes is dealt with inside, see the table at the crate's root. It needs a tokio runtime
/// with I/O and time enabled; [`Builder::blocking`] brings its own.
pub struct Subscription {
    endpoint: Endpoint,
    settings: Settings,
    state: State,
    place: Place,
    /// Failures in a row, for the back-off.
    failures: u32,
    /// Attempts to connect in a row that failed, for its limit.
    attempts: u32,
    /// Frames in a row that did not decode.
    undecodable: u32,
    counters: Counters,
    /// Where frames that are kept are put.
    shelf: Shelf,
    shared: Arc<Shared>,
    /// The one frame of [`Stream::poll_next`]: kept so that it is allocated once.
    single: Vec<Frame>,
}

type Dial = Pin<Box<dyn Future<Output = Result<Connection, ConnectionError>> + Send>>;

enum State {
    /// The next poll dials.
    Idle,
    Dialing(Dial),
    Open(Box<Connection>),
    /// The back-off.
    Waiting(Pin<Box<Sleep>>),
    /// The next poll gives the error.
    Failed(Error),
    Ended,
}

impl Subscription {
    /// Begins to describe a subscription to the repositories' stream of `url`; see
    /// [`Endpoint::parse`](crate::Endpoint::parse) for the forms it may have.
    pub fn builder(url: &str) -> Builder {
        Builder::new(url, crate::SUBSCRIBE_REPOS)
    }

    fn new(endpoint: Endpoint, settings: Settings) -> Self {
        let place = settings.cursor.place();
        Self {
            endpoint,
            state: State::Idle,
            place,
            failures: 0,
            attempts: 0,
            undecodable: 0,
            counters: Counters::default(),
            shelf: Shelf::default(),
            shared: Arc::new(Shared::new(place.last())),
            single: Vec::new(),
            settings,
        }
    }

    /// A handle that stops and observes the subscription from anywhere.
    #[must_use]
    pub fn handle(&self) -> Handle {
        Handle::new(self.shared.clone())
    }

    /// Waits for the first frame and adds everything that is ready with it, at most `max` frames, to `out`. Gives how
    /// many there were, 0 if the subscription has ended. Dropped while it waits, it loses nothing.
    ///
    /// # Errors
    /// What ended the subscription; once.
    pub async fn next_batch(&mut self, out: &mut Vec<Frame>, max: usize) -> Result<usize, Error> {
        std::future::poll_fn(|cx| self.poll_batch(cx, out, max)).await
    }

    /// The poll behind [`next_batch`](Self::next_batch).
    ///
    /// # Errors
    /// What ended the subscription; once.
    pub fn poll_batch(
        &mut self,
        cx: &mut Context<'_>,
        out: &mut Vec<Frame>,
        max: usize,
    ) -> Poll<Result<usize, Error>> {
        let polled = self.poll_frames(cx, out, max);
        self.shared.hand_on(self.place.last());
        polled
    }

    /// Waits for the first frame and shows each that is ready with it, at most `max` frames, to `visit`. Gives how many there
    /// were, 0 if the subscription has ended. The fastest way: nothing is copied out of the socket's buffer. What
    /// `visit` keeps a clone of costs a buffer of its own.
    ///
    /// # Errors
    /// What ended the subscription; once.
    pub async fn visit_batch(&mut self, max: usize, visit: impl FnMut(&Frame)) -> Result<usize, Error> {
        let mut visitor = Visitor(visit);
        std::future::poll_fn(|cx| {
            let polled = self.poll_frames(cx, &mut visitor, max);
            self.shared.hand_on(self.place.last());
            polled
        })
        .await
    }

    /// Receives without noting the frames as handed on.
    fn poll_frames<T: Taker>(
        &mut self,
        cx: &mut Context<'_>,
        taker: &mut T,
        max: usize,
    ) -> Poll<Result<usize, Error>> {
        let mut out = Taking { taker, taken: 0 };
        let polled = self.advance(cx, &mut out, max.max(1));
        self.shared.publish(&self.counters);
        polled.map_ok(|()| out.taken)
    }

    /// Moves on until there are frames, an error, the end, or nothing to do but wait.
    fn advance<T: Taker>(
        &mut self,
        cx: &mut Context<'_>,
        out: &mut Taking<'_, T>,
        max: usize,
    ) -> Poll<Result<(), Error>> {
        loop {
            if self.shared.is_stopped() {
                self.end();
            }
            match &mut self.state {
                State::Idle => self.state = State::Dialing(self.dial()),
                State::Dialing(dial) => match dial.as_mut().poll(cx) {
                    Poll::Ready(Ok(connection)) => self.connected(connection),
                    Poll::Ready(Err(error)) => {
                        self.counters.failed_attempts += 1;
                        self.attempts = self.attempts.saturating_add(1);
                        self.failed(error);
                    }
                    Poll::Pending => return self.pending(cx),
                },
                State::Open(_) => {
                    let wanted = max.saturating_sub(out.taken);
                    match self.receive(cx, out, wanted.min(BETWEEN_CLOCKS)) {
                        Poll::Ready(()) if out.taken < max => {}
                        _ if out.taken > 0 => return Poll::Ready(Ok(())),
                        Poll::Ready(()) => {}
                        Poll::Pending => return self.pending(cx),
                    }
                }
                _ if out.taken > 0 => return Poll::Ready(Ok(())),
                State::Waiting(sleep) => match sleep.as_mut().poll(cx) {
                    Poll::Ready(()) => self.state = State::Idle,
                    Poll::Pending => return self.pending(cx),
                },
                State::Failed(_) => match std::mem::replace(&mut self.state, State::Ended) {
                    State::Failed(error) => return Poll::Ready(Err(error)),
                    _ => return Poll::Ready(Ok(())),
                },
                State::Ended => return Poll::Ready(Ok(())),
            }
        }
    }

    /// Waits, unless a stop came since it was last looked for.
    fn pending(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.shared.wake_on_stop(cx.waker());
        if self.shared.is_stopped() {
            self.end();
            return Poll::Ready(Ok(()));
        }
        Poll::Pending
    }

    fn end(&mut self) {
        if let State::Open(connection) = &mut self.state {
            connection.say_goodbye();
        }
        self.state = State::Ended;
    }

    fn dial(&self) -> Dial {
        let cursor = self.place.last().or(self.settings.cursor.to_ask());
        Box::pin(connection::dial(self.endpoint.clone(), cursor, self.settings.clone()))
    }

    fn connected(&mut self, connection: Connection) {
        self.counters.connections += 1;
        self.attempts = 0;
        self.undecodable = 0;
        tracing::debug!(endpoint = %self.endpoint, cursor = connection.cursor(), "connected");
        self.settings.report(&Event::Connected { cursor: connection.cursor() });
        self.state = State::Open(Box::new(connection));
    }

    /// A connection ended.
    fn disconnected(&mut self, lasted: Duration, error: ConnectionError) {
        self.counters.disconnects += 1;
        match &error {
            ConnectionError::Silent { .. } => self.counters.silences += 1,
            ConnectionError::DeadPeer { .. } => self.counters.dead_peers += 1,
            ConnectionError::TooSlow { .. } => self.counters.too_slow += 1,
            ConnectionError::Oversized { .. } => self.counters.oversized += 1,
            _ => {}
        }
        // A silent server is no sick one: it may just have nothing to say.
        if lasted >= self.settings.backoff.healthy_after || matches!(error, ConnectionError::Silent { .. }) {
            self.failures = 0;
        }
        self.failed(error);
    }

    /// Goes into back-off, or fails for good.
    fn failed(&mut self, error: ConnectionError) {
        if !error.is_transient() {
            self.state = State::Failed(Error::Connection(error));
            return;
        }
        let first = self.settings.first_attempts.filter(|_| self.counters.connections == 0);
        let limits = [first, self.settings.backoff.limit];
        if limits.into_iter().flatten().any(|limit| self.attempts >= limit && self.attempts > 0) {
            self.state = State::Failed(Error::GaveUp { attempts: self.attempts, last: error });
            return;
        }
        self.failures = self.failures.saturating_add(1);
        let delay = self.settings.backoff.delay(self.failures, rand::random());
        let retry_in = error.retry_after().map_or(delay, |asked| asked.max(delay));
        tracing::debug!(endpoint = %self.endpoint, %error, ?retry_in, "disconnected");
        self.settings.report(&Event::Disconnected { error: &error, retry_in });
        self.state = State::Waiting(Box::pin(tokio::time::sleep(retry_in)));
    }

    /// Takes up to `max` frames from the open connection. Ready means that the state is worth another look: the frames
    /// are there, or the connection has ended.
    fn receive<T: Taker>(&mut self, cx: &mut Context<'_>, out: &mut Taking<'_, T>, max: usize) -> Poll<()> {
        let arrival = now();
        for _ in 0..max {
            let State::Open(connection) = &mut self.state else { return Poll::Ready(()) };
            match connection.poll_receive(cx) {
                Poll::Ready(Ok(Received::Message(bytes))) => {
                    if bytes.len() > self.settings.max_frame {
                        self.oversized(&bytes, arrival);
                        continue;
                    }
                    match frame::peek(&bytes) {
                        Ok(peek) => self.accept(bytes, peek, arrival, out),
                        Err(error) => self.quarantine(&bytes, error.to_string()),
                    }
                }
                Poll::Ready(Ok(Received::Text)) => self.counters.texts += 1,
                Poll::Ready(Ok(Received::Control)) => {}
                Poll::Ready(Err(error)) => {
                    let lasted = connection.lasted();
                    let normal = matches!(error, ConnectionError::Closed { code: Some(1000), .. });
                    if normal && self.settings.on_close == OnClose::End {
                        self.counters.disconnects += 1;
                        self.state = State::Ended;
                    } else {
                        self.disconnected(lasted, error);
                    }
                    return Poll::Ready(());
                }
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(())
    }

    /// Judges a frame that decodes.
    fn accept<T: Taker>(&mut self, bytes: Bytes, peek: Peek, arrival: i64, out: &mut Taking<'_, T>) {
        self.undecodable = 0;
        let Peek { kind, seq, time } = peek;
        match kind {
            Kind::Error => return self.error_frame(&bytes),
            Kind::Info => self.info(&bytes),
            Kind::Unknown => self.counters.unknown += 1,
            _ => {}
        }
        match self.place.see(seq, time, arrival) {
            Sight::New => {}
            Sight::Repeated => {
                self.counters.repeated += 1;
                return;
            }
            Sight::Restarted { last } => {
                self.counters.restarts += 1;
                let first = seq.unwrap_or_default();
                tracing::warn!(endpoint = %self.endpoint, last, first, "the numbering began anew");
                self.settings.report(&Event::Restarted { last, first });
            }
        }
        self.counters.frames += 1;
        self.counters.bytes += bytes.len() as u64;
        out.taken += 1;
        out.taker.take(&mut self.shelf, Frame { bytes, kind, seq, time, arrival });
    }

    fn info(&mut self, bytes: &[u8]) {
        let parsed = frame::Frame::parse(bytes).and_then(|frame| Message::parse(&frame));
        if let Ok(Message::Info(info)) = parsed
            && info.name == "OutdatedCursor"
        {
            self.counters.outdated_cursors += 1;
            tracing::warn!(endpoint = %self.endpoint, "the cursor is older than what the server has");
            self.settings.report(&Event::OutdatedCursor { message: info.message });
        }
    }

    fn error_frame(&mut self, bytes: &Bytes) {
        let parsed = frame::Frame::parse(bytes).and_then(|frame| Message::parse(&frame));
        let error = match parsed {
            Ok(Message::Error(error)) => {
                StreamError { code: one_line(error.error), message: error.message.map(one_line) }
            }
            Ok(_) => return,
            Err(error) => return self.quarantine(bytes, error.to_string()),
        };
        tracing::warn!(endpoint = %self.endpoint, %error, "error frame");
        self.settings.report(&Event::ErrorFrame(&error));
        let lasted = match &self.state {
            State::Open(connection) => connection.lasted(),
            _ => Duration::ZERO,
        };
        if error.code == "ConsumerTooSlow" {
            let message = error.message.unwrap_or_default();
            self.disconnected(lasted, ConnectionError::TooSlow { message });
        } else {
            self.counters.disconnects += 1;
            self.state = State::Failed(error.into());
        }
    }

    fn quarantine(&mut self, bytes: &Bytes, reason: String) {
        self.counters.undecodable += 1;
        self.undecodable += 1;
        tracing::warn!(endpoint = %self.endpoint, length = bytes.len(), reason, "quarantined a frame");
        self.settings.report(&Event::Quarantined {
            why: Quarantine::Undecodable { reason },
            bytes,
            seq: None,
        });
        if self.undecodable >= UNDECODABLE_IN_A_ROW
            && let State::Open(connection) = &self.state
        {
            let in_a_row = std::mem::take(&mut self.undecodable);
            let lasted = connection.lasted();
            self.disconnected(lasted, ConnectionError::Undecodable { in_a_row });
        }
    }

    /// Skips a message over the limit, but moves the place past it: a reconnect is not to meet it again.
    fn oversized(&mut self, bytes: &Bytes, arrival: i64) {
        self.counters.oversized += 1;
        let size = bytes.len();
        let peek = frame::peek(bytes).ok();
        let seq = peek.and_then(|peek| peek.seq);
        self.place.see(seq, peek.and_then(|peek| peek.time), arrival);
        let head = Bytes::copy_from_slice(bytes.get(..HEAD).unwrap_or(bytes));
        tracing::warn!(endpoint = %self.endpoint, size, seq, "quarantined the head of an oversized message");
        self.settings.report(&Event::Quarantined { why: Quarantine::Oversized { size }, bytes: &head, seq });
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription")
            .field("endpoint", &self.endpoint)
            .field("last", &self.place.last())
            .field("counters", &self.counters)
            .finish_non_exhaustive()
    }
}

impl Stream for Subscription {
    type Item = Result<Frame, Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        let mut single = std::mem::take(&mut this.single);
        let polled = this.poll_batch(cx, &mut single, 1);
        let frame = single.pop();
        this.single = single;
        polled.map(|received| match received {
            Ok(_) => frame.map(Ok),
            Err(error) => Some(Err(error)),
        })
    }
}

/// The system's time in UTC nanoseconds.
fn now() -> i64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .ok()
        .and_then(|since| i64::try_from(since.as_nanos()).ok())
        .unwrap_or_default()
}

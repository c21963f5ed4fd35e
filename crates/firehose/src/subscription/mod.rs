//! A subscription to an event stream: it dials, reads, judges each frame by its place, and dials again.
//!
//! [`Subscription`] is a state machine that is polled, with all its state in itself: a receive that is
//! cancelled loses nothing. Whatever is ready is taken at once, without a timer, a channel or a lock for each
//! frame.

mod blocking;
mod buffered;
mod builder;
mod connection;
mod frame;
mod handle;
mod jetstream;
mod judge;
mod low_water;
mod operations;
mod past;
mod reach;
mod sieve;
mod taker;
mod tls;

use std::{
    fmt,
    future::Future,
    pin::Pin,
    str::FromStr,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, SystemTime},
};

pub use blocking::Blocking;
pub use buffered::{Buffered, BufferedStream, Overflow};
pub use builder::{Builder, OnClose};
pub use frame::{Frame, Operation};
use futures_core::Stream;
pub use handle::Handle;
pub use jetstream::JetstreamPlace;
pub use low_water::Finish;
pub use operations::Operations;
pub use past::JetstreamPast;
use skytide_atproto::syntax::Times;
use tokio::time::Sleep;

use self::{
    builder::Settings,
    connection::{Asked, Connection, Received},
    handle::Shared,
    jetstream::Jetstream,
    low_water::{LowWater, Mark},
    taker::{Bounded, Kept, Shelf, Taker, Taking, Visitor},
};
use crate::{
    Cause, ConnectionError, Counters, Endpoint, Error, Event, Service, Timeout, chains::Chains, place::Place,
};

/// Where a subscription begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cursor {
    /// With whatever comes next.
    #[default]
    Live,
    /// After the frame of this number. Of a Jetstream, this time in microseconds; it begins some seconds
    /// earlier, since its times may go back.
    Seq(u64),
    /// After the frame of this number and time (UTC nanoseconds). With the time it can be told when the server has
    /// begun its numbering anew since.
    After {
        /// The number.
        seq: u64,
        /// The newest time of the frames up to it. A first frame much later than it is entered in the ledger.
        time: i64,
    },
    /// With the oldest frame that the server still has.
    Oldest,
}

/// As [`FromStr`] reads it: `live`, `oldest`, the number, or the number and the time as `7@1783123200000000000`.
impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Live => f.write_str("live"),
            Self::Oldest => f.write_str("oldest"),
            Self::Seq(seq) => write!(f, "{seq}"),
            Self::After { seq, time } => write!(f, "{seq}@{time}"),
        }
    }
}

/// A text that is no [`Cursor`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no cursor: a sequence number, `oldest` or `live`")]
pub struct CursorError(pub String);

impl FromStr for Cursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        let place = || match text.split_once('@') {
            Some((seq, time)) => Some(Self::After { seq: seq.parse().ok()?, time: time.parse().ok()? }),
            None => text.parse().ok().map(Self::Seq),
        };
        match text {
            "live" => Ok(Self::Live),
            "oldest" => Ok(Self::Oldest),
            _ => place().ok_or_else(|| CursorError(text.to_owned())),
        }
    }
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
            Self::Seq(seq) => Place::new(Some(seq), None),
            Self::After { seq, time } => Place::new(Some(seq), Some(time)),
        }
    }
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

/// The clock is read, and a stop looked for, once for so many messages received without waiting.
const BETWEEN_CLOCKS: usize = 64;

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
    /// Reads the frames' times.
    times: Times,
    /// Of a Jetstream.
    jetstream: Option<Jetstream>,
    /// Where the chains of repositories are checked.
    chains: Option<Chains>,
    /// When the last frame with a time arrived, UTC nanoseconds.
    last_arrival: Option<i64>,
    /// A connection was made anew and no number has come: what was asked for, and why the one before had ended.
    reconnect: Option<(Option<u64>, String)>,
    /// Why the last connection ended.
    ended: String,
    /// Failures in a row, for the back-off.
    failures: u32,
    /// Attempts to connect in a row that failed, for its limit.
    attempts: u32,
    /// Connections made anew in a row of which no frame came, for its limit.
    barren: u32,
    /// Frames in a row that did not decode.
    undecodable: u32,
    /// After which number those came that ended a connection, and the number of the last of them.
    poison: Option<(Option<u64>, Option<u64>)>,
    /// The first number that was handed on and is a place.
    first: Option<u64>,
    counters: Counters,
    /// Where frames that are kept are put.
    shelf: Shelf,
    /// The frames received and not yet handed on.
    fresh: Vec<Mark>,
    shared: Arc<Shared>,
    /// The one frame of [`Stream::poll_next`]: kept so that it is allocated once.
    single: Vec<Frame>,
}

type Dial = Pin<Box<dyn Future<Output = Result<Connection, ConnectionError>> + Send>>;

enum State {
    /// The next poll dials.
    Idle,
    /// The next poll begins the back-off.
    Resting,
    Dialing(Dial),
    Open(Box<Connection>),
    /// The back-off.
    Waiting(Pin<Box<Sleep>>),
    /// The next poll gives the error.
    Failed(Error),
    Ended,
}

impl Subscription {
    /// Begins to describe a subscription to the repositories' stream of a relay or PDS; see
    /// [`Endpoint::parse`] for the forms that an address may have.
    pub fn repos(address: &str) -> Builder {
        Builder::new(address, Service::Repos)
    }

    /// Begins to describe a subscription to a labeler's labels.
    pub fn labels(address: &str) -> Builder {
        Builder::new(address, Service::Labels)
    }

    /// Begins to describe a subscription to a Jetstream (version 1), whose events come as frames of the repositories'
    /// stream, without proofs. Its cursors are times in microseconds.
    pub fn jetstream(address: &str) -> Builder {
        Builder::new(address, Service::Jetstream)
    }

    /// The whole network: Bluesky's relay, `wss://bsky.network`.
    pub fn bluesky() -> Builder {
        Self::repos("wss://bsky.network")
    }

    /// The labels of Bluesky's own labeler, `wss://mod.bsky.app`.
    pub fn bluesky_labels() -> Builder {
        Self::labels("wss://mod.bsky.app")
    }

    fn new(endpoint: Endpoint, settings: Settings, parameters: Vec<(String, String)>) -> Result<Self, Error> {
        let place = settings.cursor.place();
        let jetstream = match settings.service {
            Service::Jetstream => {
                let mut jetstream = Jetstream::new(settings.dictionary.as_deref(), settings.max_frame)?;
                jetstream.remember(&settings.seen);
                Some(jetstream)
            }
            Service::Repos | Service::Labels => None,
        };
        let low = LowWater::new(settings.finish, place);
        Ok(Self {
            endpoint,
            state: if settings.failures == 0 { State::Idle } else { State::Resting },
            place,
            times: Times::default(),
            jetstream,
            chains: settings.checks_chains.then(Chains::default),
            last_arrival: None,
            reconnect: None,
            ended: String::new(),
            failures: settings.failures,
            attempts: 0,
            barren: 0,
            undecodable: 0,
            poison: None,
            first: None,
            counters: Counters::default(),
            shelf: Shelf::default(),
            fresh: Vec::new(),
            shared: Arc::new(Shared::new(low, parameters)),
            single: Vec::new(),
            settings,
        })
    }

    /// A handle that stops and observes the subscription from anywhere.
    #[must_use]
    pub fn handle(&self) -> Handle {
        Handle::new(self.shared.clone())
    }

    /// Of a Jetstream: where it stands after all that was handed on, for a subscription in another process
    /// ([`Builder::jetstream_place`]). One that has begun live and had no event yet stands after the system's
    /// time, once it is connected.
    #[must_use]
    pub fn jetstream_place(&self) -> Option<JetstreamPlace> {
        let is_live = self.settings.cursor == Cursor::Live && self.counters.connections > 0;
        let none_before = || u64::try_from(now() / 1000).ok().filter(|_| is_live);
        let last = self.place.seq().or_else(none_before);
        Some(self.jetstream.as_ref()?.place(last, self.place.newest()))
    }

    /// Takes a [stop](Handle::stop), or the end, back: it goes on from the [low-water mark](Handle::cursor),
    /// so frames that were handed on and not finished come again.
    pub fn start_again(&mut self) {
        self.end();
        self.shared.begin_again();
        self.state = State::Idle;
        let finished = self.shared.published().low.place();
        let before_all = self.first.and_then(|first| first.checked_sub(1));
        self.place = match (finished.seq(), self.settings.cursor, before_all) {
            (Some(_), ..) => finished,
            // What came live and was not finished is to come again.
            (None, Cursor::Live, Some(before)) => Place::new(Some(before), None),
            (None, cursor, _) => cursor.place(),
        };
        if let Some(chains) = &mut self.chains {
            chains.clear();
        }
        if let Some(jetstream) = &mut self.jetstream {
            jetstream.forget();
            jetstream.remember(&self.settings.seen);
        }
        self.last_arrival = None;
        "started again".clone_into(&mut self.ended);
        (self.failures, self.attempts, self.barren, self.undecodable) = (0, 0, 0, 0);
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
        self.shared.asked();
        let polled = self.poll_frames(cx, out, max);
        self.shared.hand_on(self.fresh.drain(..));
        polled
    }

    /// Waits for the first frame and shows each that is ready with it, at most `max` frames, to `visit`.
    /// Gives how many there were, 0 if the subscription has ended. The fastest way: nothing is copied out of
    /// the socket's buffer. What `visit` keeps a clone of costs a buffer of its own.
    ///
    /// # Errors
    /// What ended the subscription; once.
    pub async fn visit_batch(&mut self, max: usize, visit: impl FnMut(&Frame)) -> Result<usize, Error> {
        let mut visitor = Visitor(visit);
        std::future::poll_fn(|cx| {
            self.shared.asked();
            let polled = self.poll_frames(cx, &mut visitor, max);
            self.shared.hand_on(self.fresh.drain(..));
            polled
        })
        .await
    }

    /// Receives what is ready, at most `max` frames and no further one once they have so many `bytes`, for a
    /// buffer: they are not handed on yet.
    async fn receive_ahead(&mut self, out: &mut Vec<Kept>, max: usize, bytes: usize) -> Result<usize, Error> {
        let mut out = Bounded { frames: out, room: bytes };
        std::future::poll_fn(|cx| self.poll_frames(cx, &mut out, max)).await
    }

    /// Counts a frame that a buffer had no room for.
    fn count_overflow(&mut self) {
        self.counters.overflowed += 1;
        self.shared.publish(&self.counters, self.failures);
    }

    /// Receives without noting the frames as handed on.
    fn poll_frames<T: Taker>(
        &mut self,
        cx: &mut Context<'_>,
        taker: &mut T,
        max: usize,
    ) -> Poll<Result<usize, Error>> {
        self.fresh.clear();
        let mut out = Taking { taker, taken: 0 };
        let polled = self.advance(cx, &mut out, max.max(1));
        self.shared.publish(&self.counters, self.failures);
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
                State::Resting => {
                    let rest = self.settings.backoff.delay(self.failures, rand::random());
                    self.state = State::Waiting(Box::pin(tokio::time::sleep(rest)));
                }
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
                    let before = out.taken;
                    match self.receive(cx, out, max) {
                        Poll::Ready(()) if before < out.taken && !out.is_full(max) => {}
                        _ if out.taken > 0 => return Poll::Ready(Ok(())),
                        Poll::Ready(()) if self.is_in_vain(cx) => return self.pending(cx),
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
                    State::Failed(error) => {
                        self.failures = self.failures.saturating_add(1);
                        self.shared.ledger.close();
                        return Poll::Ready(Err(error));
                    }
                    _ => return Poll::Ready(Ok(())),
                },
                State::Ended => {
                    self.shared.ledger.close();
                    return Poll::Ready(Ok(()));
                }
            }
        }
    }

    /// Whether a connection is open of which much came just now, and no frame: servers may send what is none
    /// for ever. Whoever waits is to look at the time, as is done here.
    fn is_in_vain(&mut self, cx: &mut Context<'_>) -> bool {
        let State::Open(connection) = &mut self.state else { return false };
        if let Poll::Ready(error) = connection.poll_in_vain(cx) {
            let lasted = connection.lasted();
            self.disconnected(lasted, error);
        }
        matches!(self.state, State::Open(_))
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
        self.reconnected(None);
        self.shared.ledger.close();
        self.state = State::Ended;
    }

    fn dial(&self) -> Dial {
        let mut cursor = self.place.seq().or(self.settings.cursor.to_ask());
        let mut parameters = self.shared.published().parameters.clone();
        let mut hello = None;
        if self.jetstream.is_some() {
            cursor = cursor.map(Jetstream::rewound);
            (parameters, hello) = jetstream::ask(parameters, self.settings.dictionary.is_some());
        }
        let asked = Asked { cursor, parameters, hello };
        Box::pin(connection::dial(self.endpoint.clone(), asked, self.settings.clone()))
    }

    fn connected(&mut self, connection: Connection) {
        let cursor = connection.asked().cursor;
        self.counters.connections += 1;
        self.attempts = 0;
        self.undecodable = 0;
        tracing::debug!(endpoint = %self.endpoint, cursor, "connected");
        if self.counters.connections > 1 {
            self.reconnect = Some((cursor, std::mem::take(&mut self.ended)));
        }
        self.settings.report(&Event::Connected { cursor });
        self.shared.published().unreached = None;
        self.state = State::Open(Box::new(connection));
    }

    /// A connection ended.
    fn disconnected(&mut self, lasted: Duration, error: ConnectionError) {
        self.counters.disconnects += 1;
        // Nothing came of the reconnect before: then that is what there is to say of it.
        self.reconnected(None);
        self.ended = error.to_string();
        let is_silence = matches!(error, ConnectionError::Timeout(Timeout::Silent { .. }));
        match &error {
            ConnectionError::Timeout(Timeout::Silent { .. }) => self.counters.silences += 1,
            ConnectionError::Timeout(Timeout::Ping { .. }) => self.counters.dead_peers += 1,
            ConnectionError::TooSlow { .. } => self.counters.too_slow += 1,
            _ => {}
        }
        // A silent server is no sick one: it may just have nothing to say.
        if lasted >= self.settings.backoff.healthy_after || is_silence {
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
        if self.counters.connections > 0 {
            if self.settings.reconnects.is_some_and(|limit| self.barren >= limit) {
                self.state = State::Failed(Error::GaveUp { attempts: self.barren, last: error });
                return;
            }
            self.barren = self.barren.saturating_add(1);
        }
        self.failures = self.failures.saturating_add(1);
        let delay = self.settings.backoff.delay(self.failures, rand::random());
        let retry_in = error.retry_after().map_or(delay, |asked| asked.max(delay));
        tracing::debug!(endpoint = %self.endpoint, %error, ?retry_in, "disconnected");
        self.settings.report(&Event::Disconnected { error: &error, retry_in });
        if self.counters.connections == 0 {
            self.shared.published().unreached = Some(Arc::new(error));
        }
        self.state = State::Waiting(Box::pin(tokio::time::sleep(retry_in)));
    }

    /// Takes frames from the open connection, until there are `max`. Ready means that the state is worth
    /// another look: the frames are there, or the connection has ended.
    fn receive<T: Taker>(&mut self, cx: &mut Context<'_>, out: &mut Taking<'_, T>, max: usize) -> Poll<()> {
        let arrival = now();
        for _ in 0..BETWEEN_CLOCKS {
            if out.is_full(max) {
                break;
            }
            let State::Open(connection) = &mut self.state else { return Poll::Ready(()) };
            match connection.poll_receive(cx) {
                Poll::Ready(Ok(Received::Message { bytes, text, cut_from })) => match cut_from {
                    Some(size) => self.oversized(&bytes, size, arrival),
                    None => self.message(bytes, text, arrival, out),
                },
                Poll::Ready(Ok(Received::Control)) => {}
                Poll::Ready(Err(error)) => {
                    let lasted = connection.lasted();
                    let normal = matches!(error, ConnectionError::Closed { code: Some(1000), .. });
                    if normal && self.settings.on_close == OnClose::End {
                        self.counters.disconnects += 1;
                        self.reconnected(None);
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

    /// Enters the last reconnect in the ledger, with the first number that came of it.
    fn reconnected(&mut self, first: Option<u64>) {
        if let Some((asked, why)) = self.reconnect.take() {
            self.shared.ledger.enter(now(), Cause::Reconnected { asked, first, why });
        }
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription")
            .field("endpoint", &self.endpoint)
            .field("last", &self.place.seq())
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

impl Drop for Subscription {
    fn drop(&mut self) {
        self.shared.ledger.close();
    }
}

/// The system's time in UTC nanoseconds.
pub(crate) fn now() -> i64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .ok()
        .and_then(|since| i64::try_from(since.as_nanos()).ok())
        .unwrap_or_default()
}

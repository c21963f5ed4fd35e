//! A relay: serves event streams, such as `com.atproto.sync.subscribeRepos`, over WebSocket to any number of
//! clients, with cursor and window, each stream at its path; and the faults of a bad connection, where it is
//! told to.
//!
//! One thread with a runtime of its own does everything, so that blocking programs and tests can have one,
//! and so that its state needs no locks. Frames are made when a client at the head of the stream asks for
//! more, or by a pace, and are written as whole runs of messages: on one core it keeps up with what loopback
//! TCP carries.
//!
//! ```
//! use skytide_sim::{Config, Ending, Network, Relay};
//!
//! let relay = Relay::new(Network::new(Config::default())).total(1_000).ending(Ending::Close).start("127.0.0.1:0")?;
//! assert!(relay.url().starts_with("ws://127.0.0.1:"));
//! # Ok::<(), skytide_sim::RelayError>(())
//! ```

mod door;
mod fault;
mod faulty;
mod handshake;
mod hub;
mod jetstream;
mod renumbered;
mod session;
mod window;
mod wire;

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::oneshot;

use crate::frames::{FrameSource, Replay};
use crate::network::Network;
use door::Door;
pub use fault::{
    ConnectFault, Fault, FaultKind, FaultName, FaultNameError, FaultRates, FaultScript, FaultSyntaxError,
    Faults, Fired, FiredAt, FrameFault,
};
use fault::{Log, Shared};
use hub::Hub;
use jetstream::Jetstream;
use renumbered::Renumbered;

/// The path of a relay's stream of repositories, where nothing else is said.
pub const SUBSCRIBE_REPOS: &str = "/xrpc/com.atproto.sync.subscribeRepos";

/// The path of a labeler's stream.
pub const SUBSCRIBE_LABELS: &str = "/xrpc/com.atproto.label.subscribeLabels";

/// The path of a Jetstream, version 1.
pub const SUBSCRIBE_JETSTREAM: &str = "/subscribe";

/// When frames are made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pacing {
    /// As fast as they are read: a frame is made when the fastest client asks for it, but never so many that
    /// the slowest would miss one. Without clients nothing is made.
    AsRead,
    /// So many frames a second, whoever reads; a client that falls behind the window is sent `ConsumerTooSlow`.
    Rate(f64),
    /// So many frames at once, then a pause, whoever reads.
    Bursts {
        /// Frames in a burst.
        frames: u64,
        /// Silence between two bursts.
        pause: Duration,
    },
}

/// When a pace begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beginning {
    /// With the start of the relay.
    AtOnce,
    /// With the first client, which then misses nothing even without a cursor.
    FirstClient,
}

/// What happens to clients after the last frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The connection is closed with 1000.
    Close,
    /// The connection stays, silent.
    Stay,
}

/// Whether a replay begins with the frame the cursor names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CursorRule {
    /// With that frame, as the public relay does.
    Inclusive,
    /// After that frame, as the reference PDS does.
    Exclusive,
}

impl CursorRule {
    /// The first number that a cursor leads to.
    fn first(self, cursor: u64) -> u64 {
        match self {
            Self::Inclusive => cursor,
            Self::Exclusive => cursor.saturating_add(1),
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Settings {
    pacing: Pacing,
    beginning: Beginning,
    ending: Ending,
    rule: CursorRule,
    notices: bool,
    window: u64,
    total: Option<u64>,
}

/// A relay to be started.
pub struct Relay {
    streams: Vec<(&'static str, Box<dyn FrameSource>)>,
    settings: Settings,
    has_jetstream: bool,
    dictionary: Option<Vec<u8>>,
    faults: Option<Faults>,
}

impl Relay {
    /// A relay of a simulated network, without end.
    pub fn new(network: Network) -> Self {
        Self::from_source(network)
    }

    /// A relay that serves given frames once, byte for byte.
    pub fn from_frames(frames: Vec<Bytes>, pacing: Pacing) -> Self {
        Self::from_source(Replay::once(frames)).pacing(pacing)
    }

    /// A relay that serves given frames again and again, with rising `seq` and `time`: see [`Replay::repeating`]. The
    /// cheap way to millions of frames.
    pub fn repeating(frames: Vec<Bytes>, pacing: Pacing) -> Self {
        Self::from_source(Replay::repeating(frames)).pacing(pacing)
    }

    /// A relay of any source, at [`SUBSCRIBE_REPOS`].
    pub fn from_source(source: impl FrameSource + 'static) -> Self {
        Self::serving(SUBSCRIBE_REPOS, source)
    }

    /// A relay of any source at any path, such as [`SUBSCRIBE_LABELS`]. Other paths are answered with 404.
    pub fn serving(path: &'static str, source: impl FrameSource + 'static) -> Self {
        let settings = Settings {
            pacing: Pacing::AsRead,
            beginning: Beginning::FirstClient,
            ending: Ending::Stay,
            rule: CursorRule::Inclusive,
            notices: true,
            window: 4096,
            total: None,
        };
        Self {
            streams: vec![(path, Box::new(source))],
            settings,
            has_jetstream: false,
            dictionary: None,
            faults: None,
        }
    }

    /// Serves another stream at its own path. All settings hold for each stream by itself, whenever they are made: so
    /// many frames, such a window, such a pace. A path that is served already keeps its stream.
    #[must_use]
    pub fn also(mut self, path: &'static str, source: impl FrameSource + 'static) -> Self {
        self.streams.push((path, Box::new(source)));
        self
    }

    /// Serves the first stream, of repositories, as a Jetstream does too, at [`SUBSCRIBE_JETSTREAM`]: each
    /// operation of a commit, each `#identity` and each `#account` as a text message of JSON. Default: not,
    /// since then each frame has to be read as it is made. A stream that is served at this path keeps it.
    ///
    /// - `time_us` is the frame's `time`, or, where there has been an event at or after it, a microsecond
    ///   after the last one; the events of a frame follow each other by a microsecond. So it rises strictly,
    ///   and is the same for every client and in every run. An operation has its time whether a client wants
    ///   it or not. A `time` more than a day ahead counts only where the frame before said the same.
    /// - A frame that cannot be read has no events; a record that cannot be is not in its event.
    /// - Parameters are `wantedCollections` and `wantedDids`, as often as need be, `cursor` (microseconds;
    ///   inclusive; one older than the window is the oldest there is, one in the future live), `compress` and
    ///   `requireHello`. What is malformed or too much is answered with 400.
    /// - A text message `options_update` replaces the wants. One that is malformed or wants too much, and
    ///   text that is no JSON with a type, end the connection with 1008.
    /// - A client that falls behind the window is closed with 1008 and `ConsumerTooSlow` as the reason.
    /// - [`Relay::cursor_rule`] and [`Relay::notices`] are not for it; what faults do to it is told at
    ///   [`FaultScript`] and [`FrameFault`]. Numbers that begin anew change no times.
    #[must_use]
    pub fn jetstream(mut self) -> Self {
        self.has_jetstream = true;
        self
    }

    /// A zstd dictionary, with which a [Jetstream](Relay::jetstream) compresses each event by itself, as a
    /// binary message, for a client that says `compress=true`. Without one such a client is refused (400).
    #[must_use]
    pub fn dictionary(mut self, dictionary: impl Into<Vec<u8>>) -> Self {
        self.dictionary = Some(dictionary.into());
        self
    }

    /// When frames are made. Default: [`Pacing::AsRead`].
    #[must_use]
    pub fn pacing(mut self, pacing: Pacing) -> Self {
        self.settings.pacing = pacing;
        self
    }

    /// When the pace begins. Default: [`Beginning::FirstClient`].
    #[must_use]
    pub fn beginning(mut self, beginning: Beginning) -> Self {
        self.settings.beginning = beginning;
        self
    }

    /// Ends the stream after so many frames, if its source does not end before. Default: no limit.
    #[must_use]
    pub fn total(mut self, frames: u64) -> Self {
        self.settings.total = Some(frames);
        self
    }

    /// What happens to clients after the last frame. Default: [`Ending::Stay`].
    #[must_use]
    pub fn ending(mut self, ending: Ending) -> Self {
        self.settings.ending = ending;
        self
    }

    /// How cursors are read. Default: [`CursorRule::Inclusive`].
    #[must_use]
    pub fn cursor_rule(mut self, rule: CursorRule) -> Self {
        self.settings.rule = rule;
        self
    }

    /// Whether clients are told: `#info` `OutdatedCursor` before a replay that has lost frames, the error
    /// `FutureCursor` for a cursor beyond the newest frame. The reference servers do, the public relay does
    /// not: there the one gets the oldest frame, the other the live stream. Default: true.
    #[must_use]
    pub fn notices(mut self, notices: bool) -> Self {
        self.settings.notices = notices;
        self
    }

    /// How many frames are kept for clients that come back or fall behind; at least one is. Default: 4096.
    #[must_use]
    pub fn window(mut self, frames: u64) -> Self {
        self.settings.window = frames.max(1);
        self
    }

    /// What goes wrong. Default: nothing.
    #[must_use]
    pub fn faults(mut self, faults: Faults) -> Self {
        self.faults = Some(faults);
        self
    }

    /// Listens on an address (port 0: any free port) and serves from a thread of its own.
    ///
    /// # Errors
    /// [`RelayError`] where the address cannot be listened on, the dictionary is none, or the system gives no thread.
    pub fn start(self, address: impl ToSocketAddrs) -> Result<RelayHandle, RelayError> {
        if let Some(dictionary) = &self.dictionary {
            jetstream::compressor(dictionary).map_err(RelayError::Dictionary)?;
        }
        let listener = TcpListener::bind(address).map_err(RelayError::Listen)?;
        listener.set_nonblocking(true).map_err(RelayError::Listen)?;
        let address = listener.local_addr().map_err(RelayError::Listen)?;
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(RelayError::Thread)?;
        let (stop, stopped) = oneshot::channel();
        let Self { streams, settings, has_jetstream, dictionary, faults } = self;
        let log = Arc::new(Log::default());
        let door_counters = Arc::new(Counted::default());
        let counters: Vec<_> = streams.iter().map(|(path, _)| (*path, Arc::<Counted>::default())).collect();
        let events = has_jetstream.then(Arc::<Counted>::default);
        let mut all_counters = counters.clone();
        all_counters.extend(events.clone().map(|events| (SUBSCRIBE_JETSTREAM, events)));
        let handle = (Arc::clone(&log), Arc::clone(&door_counters), all_counters);
        let thread = std::thread::Builder::new()
            .name("relay".to_owned())
            .spawn(move || {
                let renumbered = faults.as_ref().map(|faults| faults.script.renumbered()).unwrap_or_default();
                let hubs = streams.into_iter().zip(counters).enumerate();
                let hubs = hubs.map(|(place, ((path, mut source), (_, counters)))| {
                    if place == 0 && !renumbered.is_empty() {
                        source =
                            Box::new(Renumbered::new(source, renumbered.clone(), path, Arc::clone(&log)));
                    }
                    let events = events.clone().filter(|_| place == 0);
                    Hub::new(path, source, settings, counters, events)
                });
                let hubs = hubs.collect();
                let jetstream = events.map(|counters| Jetstream { counters, dictionary });
                let faults = faults.map(|faults| Shared::new(faults, log));
                let door = Rc::new(Door { hubs, jetstream, faults, counters: door_counters });
                tokio::task::LocalSet::new().block_on(&runtime, async {
                    tokio::select! {
                        () = door::run(door, listener) => {}
                        // An error is the handle dropped: the same as told to stop.
                        _ = stopped => {}
                    }
                });
            })
            .map_err(RelayError::Thread)?;
        let (log, door, streams) = handle;
        Ok(RelayHandle { address, log, door, streams, running: Some((stop, thread)) })
    }
}

impl std::fmt::Debug for Relay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let paths: Vec<_> = self.streams.iter().map(|(path, _)| path).collect();
        f.debug_struct("Relay")
            .field("streams", &paths)
            .field("settings", &self.settings)
            .field("has_jetstream", &self.has_jetstream)
            .field("faults", &self.faults)
            .finish_non_exhaustive()
    }
}

/// A relay that runs. Dropping it stops it.
#[derive(Debug)]
pub struct RelayHandle {
    address: SocketAddr,
    log: Arc<Log>,
    /// Counters of what happens before a stream is known, and of each stream by its path.
    door: Arc<Counted>,
    streams: Vec<(&'static str, Arc<Counted>)>,
    running: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
}

impl RelayHandle {
    /// The address it listens on.
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// `ws://host:port`, as clients name a service.
    pub fn url(&self) -> String {
        format!("ws://{}", self.address)
    }

    /// What it has done so far, over all its streams; the newest frame is that of the first.
    pub fn counters(&self) -> RelayCounters {
        let mut all = RelayCounters { newest_seq: 0, ..self.door.read() };
        for (place, (_, stream)) in self.streams.iter().enumerate() {
            let stream = stream.read();
            all.connections += stream.connections;
            all.refused += stream.refused;
            all.too_slow += stream.too_slow;
            all.made += stream.made;
            all.sent += stream.sent;
            all.sent_bytes += stream.sent_bytes;
            if place == 0 {
                all.newest_seq = stream.newest_seq;
            }
        }
        all
    }

    /// What the stream at a path has done so far; `None` if there is none. Connections that were refused
    /// before they were known to want it are not counted.
    pub fn counters_of(&self, path: &str) -> Option<RelayCounters> {
        self.streams.iter().find(|(served, _)| *served == path).map(|(_, counted)| counted.read())
    }

    /// The faults that fired, in order; only the latest 10,000. Each is entered before it can be seen from outside.
    pub fn fired(&self) -> Vec<Fired> {
        self.log.latest()
    }

    /// How many faults of each kind have fired, all of them. Kinds of which none has are left out.
    pub fn fault_counts(&self) -> BTreeMap<FaultKind, u64> {
        self.log.counts()
    }

    /// Ends all connections and frees the address, at once.
    pub fn stop(mut self) {
        self.end();
    }

    /// Waits until the relay ends of itself, which it does only if its listener breaks: for a program that
    /// does nothing but serve.
    pub fn wait(mut self) {
        if let Some((_stop, thread)) = self.running.take() {
            drop(thread.join());
        }
    }

    fn end(&mut self) {
        if let Some((stop, thread)) = self.running.take() {
            drop(stop);
            drop(thread.join());
        }
    }
}

impl Drop for RelayHandle {
    fn drop(&mut self) {
        self.end();
    }
}

/// What a relay has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RelayCounters {
    /// Subscriptions that were accepted.
    pub connections: u64,
    /// Connections that were refused: another path, a bad cursor, no WebSocket, a cursor in the future, a fault.
    pub refused: u64,
    /// Subscriptions that were ended with `ConsumerTooSlow`.
    pub too_slow: u64,
    /// Frames made. A Jetstream makes none: its events are of the frames of another stream.
    pub made: u64,
    /// Frames, and events of a Jetstream, given to sockets, over all subscriptions: what a client has read is
    /// counted.
    pub sent: u64,
    /// Bytes given to sockets for them.
    pub sent_bytes: u64,
    /// Sequence number of the newest frame, of a Jetstream the time of the newest event in microseconds; 0
    /// before the first.
    pub newest_seq: u64,
}

/// [`RelayCounters`] while they are counted.
#[derive(Debug, Default)]
struct Counted {
    connections: AtomicU64,
    refused: AtomicU64,
    too_slow: AtomicU64,
    made: AtomicU64,
    sent: AtomicU64,
    sent_bytes: AtomicU64,
    newest_seq: AtomicU64,
}

impl Counted {
    fn read(&self) -> RelayCounters {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        RelayCounters {
            connections: read(&self.connections),
            refused: read(&self.refused),
            too_slow: read(&self.too_slow),
            made: read(&self.made),
            sent: read(&self.sent),
            sent_bytes: read(&self.sent_bytes),
            newest_seq: read(&self.newest_seq),
        }
    }
}

/// A relay could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RelayError {
    /// The address cannot be listened on.
    #[error("cannot listen on the address: {0}")]
    Listen(#[source] std::io::Error),
    /// The dictionary is none.
    #[error("the dictionary cannot be compressed with: {0}")]
    Dictionary(#[source] std::io::Error),
    /// The system gives no thread or no runtime for it.
    #[error("cannot start the relay's thread: {0}")]
    Thread(#[source] std::io::Error),
}

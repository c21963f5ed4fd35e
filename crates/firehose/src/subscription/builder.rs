//! The description of a subscription.

use std::{fmt, num::NonZeroUsize, sync::Arc, time::Duration};

use rustls::ClientConfig;
use tokio_tungstenite::tungstenite::http::HeaderValue;

use super::{Blocking, Buffered, Cursor, Finish, JetstreamPlace, Overflow, Subscription, handle::checked};
use crate::{Backoff, Endpoint, EndpointError, Error, Event, MAX_FRAME, Service};

/// What to do when the server closes the connection as normal (1000).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnClose {
    /// Connect again: servers close like this when they restart, too.
    #[default]
    Reconnect,
    /// End the subscription: the server is known to have a last frame.
    End,
}

/// The largest jump of the events' time that goes without an entry in the ledger, unless told otherwise.
const TIME_JUMP: Duration = Duration::from_secs(60);

/// So many attempts may fail before there has been a connection, unless told otherwise.
const FIRST_ATTEMPTS: u32 = 5;

/// Bytes of frames that a buffer holds, unless told otherwise.
const BUFFER_BYTES: usize = 64 << 20;

/// What the client calls itself unless told otherwise.
const USER_AGENT: &str = concat!("skytide/", env!("CARGO_PKG_VERSION"));

/// Describes a subscription; see [`Subscription::repos`].
#[derive(Clone)]
#[must_use = "a description does nothing before `stream` or `blocking`"]
pub struct Builder {
    endpoint: Result<Endpoint, EndpointError>,
    settings: Settings,
    parameters: Vec<(String, String)>,
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { endpoint, settings: Settings { service, cursor, .. }, .. } = self;
        let mut shown = f.debug_struct("Builder");
        shown
            .field("endpoint", endpoint)
            .field("service", service)
            .field("cursor", cursor)
            .finish_non_exhaustive()
    }
}

/// All of a description but the address.
#[derive(Clone)]
pub(super) struct Settings {
    pub(super) service: Service,
    pub(super) cursor: Cursor,
    pub(super) finish: Finish,
    pub(super) receive_timeout: Option<Duration>,
    pub(super) ping: Option<Duration>,
    pub(super) dial_timeout: Duration,
    pub(super) max_frame: usize,
    pub(super) buffer_bytes: usize,
    pub(super) backoff: Backoff,
    pub(super) first_attempts: Option<u32>,
    pub(super) reconnects: Option<u32>,
    pub(super) failures: u32,
    pub(super) hands_on_refused: bool,
    pub(super) on_close: OnClose,
    pub(super) user_agent: HeaderValue,
    pub(super) tls: Option<Arc<ClientConfig>>,
    pub(super) time_jump: Option<Duration>,
    pub(super) checks_chains: bool,
    pub(super) dictionary: Option<Arc<[u8]>>,
    pub(super) seen: Arc<JetstreamPlace>,
    observer: Option<Observer>,
}

type Observer = Arc<dyn Fn(&Event<'_>) + Send + Sync>;

impl Settings {
    /// Tells the observer.
    pub(super) fn report(&self, event: &Event<'_>) {
        if let Some(observer) = &self.observer {
            observer(event);
        }
    }
}

impl Builder {
    pub(super) fn new(url: &str, service: Service) -> Self {
        let settings = Settings {
            service,
            cursor: Cursor::Live,
            finish: Finish::ByAsking,
            receive_timeout: Some(service.usual_timeout()),
            ping: Some(Duration::from_secs(10)),
            dial_timeout: Duration::from_secs(15),
            max_frame: MAX_FRAME,
            buffer_bytes: BUFFER_BYTES,
            backoff: Backoff::default(),
            first_attempts: Some(FIRST_ATTEMPTS),
            reconnects: None,
            failures: 0,
            hands_on_refused: false,
            on_close: OnClose::Reconnect,
            user_agent: HeaderValue::from_static(USER_AGENT),
            tls: None,
            time_jump: (service != Service::Labels).then_some(TIME_JUMP),
            checks_chains: false,
            dictionary: None,
            seen: Arc::default(),
            observer: None,
        };
        Self { endpoint: Endpoint::parse(url, service), settings, parameters: Vec::new() }
    }

    /// Where to begin; live unless given.
    pub fn cursor(mut self, cursor: Cursor) -> Self {
        self.settings.cursor = cursor;
        self
    }

    /// How the caller says that it has finished a frame; by asking for more unless given.
    pub fn finish(mut self, finish: Finish) -> Self {
        self.settings.finish = finish;
        self
    }

    /// Further parameters of the address, in order; names may repeat. [`Handle::set_parameters`] changes them for the
    /// next connection.
    ///
    /// [`Handle::set_parameters`]: super::Handle::set_parameters
    pub fn parameters<N: Into<String>, V: Into<String>>(
        mut self,
        parameters: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        match checked(parameters) {
            Ok(parameters) => self.parameters.extend(parameters),
            Err(error) => self.endpoint = Err(error),
        }
        self
    }

    /// The collections that a Jetstream is to send (at most 100; `app.bsky.feed.*` is all that begin so), all unless
    /// given. What is no commit comes anyway. Other services have no such wish.
    pub fn collections<C: Into<String>>(self, collections: impl IntoIterator<Item = C>) -> Self {
        self.parameters(collections.into_iter().map(|collection| ("wantedCollections", collection)))
    }

    /// The accounts that a Jetstream is to send (at most 10,000 DIDs), all unless given.
    pub fn dids<D: Into<String>>(self, dids: impl IntoIterator<Item = D>) -> Self {
        self.parameters(dids.into_iter().map(|did| ("wantedDids", did)))
    }

    /// Begins a Jetstream where another subscription stood; the events that this one had are repetitions.
    pub fn jetstream_place(mut self, place: JetstreamPlace) -> Self {
        self.settings.cursor = place.cursor();
        self.settings.seen = Arc::new(place);
        self
    }

    /// Has a Jetstream compress its events with this zstd dictionary, the one that its project publishes.
    pub fn dictionary(mut self, dictionary: impl Into<Arc<[u8]>>) -> Self {
        self.settings.dictionary = Some(dictionary.into());
        self
    }

    /// By how much the time of the events may move on more than the time that passes, before it is entered in
    /// the ledger: a minute unless given, `None` never. A labeler's stream, in which labels are as rare as
    /// they like, has no limit unless given.
    pub fn time_jump(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.settings.time_jump = limit.into();
        self
    }

    /// Whether the chain of each repository is checked: a commit that does not follow the last one seen of
    /// its account is entered in the ledger. Off unless given: it reads each commit, and holds up to 40 bytes
    /// of each account.
    pub fn check_chains(mut self, check: bool) -> Self {
        self.settings.checks_chains = check;
        self
    }

    /// After so long without a message the connection is made anew: 30 s unless given (of labels 300 s),
    /// `None` never. Answers to pings are not messages; of one that is still coming in, each 16 KiB count as
    /// one.
    pub fn receive_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.settings.receive_timeout = timeout.into();
        self
    }

    /// After so long without a sign of the server it is sent a ping, and after as long again without an answer the
    /// connection is made anew: 10 s unless given, `None` never.
    pub fn ping(mut self, interval: impl Into<Option<Duration>>) -> Self {
        self.settings.ping = interval.into();
        self
    }

    /// How long an attempt to connect may take in all; 15 s unless given.
    pub fn dial_timeout(mut self, timeout: Duration) -> Self {
        self.settings.dial_timeout = timeout;
        self
    }

    /// The largest frame that is handed on, in bytes; [`MAX_FRAME`] unless given. Of larger ones only the
    /// heads are kept, for quarantine; the rest is read and let go, and the connection stays.
    pub fn max_frame_size(mut self, bytes: usize) -> Self {
        self.settings.max_frame = bytes;
        self
    }

    /// How many bytes of frames a [`buffered`](Self::buffered) subscription reads ahead; 64 MiB unless given.
    /// One frame it always does.
    pub fn buffer_bytes(mut self, bytes: usize) -> Self {
        self.settings.buffer_bytes = bytes.max(1);
        self
    }

    /// How long to wait between attempts to connect.
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.settings.backoff = backoff;
        self
    }

    /// How many attempts to connect may fail before there has been any connection: 5 unless given, `None` any
    /// number. An address that is wrong shows soon, while a connection that once was is sought for as long as
    /// the back-off allows.
    pub fn first_attempts(mut self, attempts: impl Into<Option<u32>>) -> Self {
        self.settings.first_attempts = attempts.into();
        self
    }

    /// How many times in a row a connection that was lost may be made anew without a frame coming of it; no
    /// limit unless given. Then the subscription ends with [`Error::GaveUp`], which says how the last attempt
    /// failed; with 0 it ends with the first loss.
    pub fn reconnects(mut self, times: impl Into<Option<u32>>) -> Self {
        self.settings.reconnects = times.into();
        self
    }

    /// Begins with the wait that follows so many failures in a row, 0 (no wait) unless given: for a
    /// subscription that takes the place of one that ended with an error. [`Handle::failures`] says how many
    /// that one had.
    ///
    /// [`Handle::failures`]: super::Handle::failures
    pub fn after_failures(mut self, failures: u32) -> Self {
        self.settings.failures = failures;
        self
    }

    /// Whether frames are handed on, too, that the subscription else keeps to itself: error frames, before their rule
    /// applies, and frames that do not decode behind their header. The latter are quarantined and counted all the
    /// same. Off unless given.
    pub fn hand_on_refused(mut self, hand_on: bool) -> Self {
        self.settings.hands_on_refused = hand_on;
        self
    }

    /// What to do when the server closes the connection as normal (1000); reconnect unless given.
    pub fn on_close(mut self, on_close: OnClose) -> Self {
        self.settings.on_close = on_close;
        self
    }

    /// What the client calls itself to the server. Anything but visible ASCII and spaces is left out of it.
    pub fn user_agent(mut self, user_agent: &str) -> Self {
        let visible: String = user_agent.chars().filter(|c| c.is_ascii_graphic() || *c == ' ').collect();
        if let Ok(user_agent) = HeaderValue::try_from(visible) {
            self.settings.user_agent = user_agent;
        }
        self
    }

    /// A TLS configuration of one's own, for other roots of trust; unless given those of the crate's
    /// features: Mozilla's (`webpki-roots`, on by default), the system's (`native-roots`), or both.
    pub fn tls(mut self, config: Arc<ClientConfig>) -> Self {
        self.settings.tls = Some(config);
        self
    }

    /// A function that is told of what happens beside frames. It runs on the thread that receives: it must be quick.
    pub fn observe(mut self, observer: impl Fn(&Event<'_>) + Send + Sync + 'static) -> Self {
        self.settings.observer = Some(Arc::new(observer));
        self
    }

    /// Makes the async subscription. It connects when it is first polled.
    ///
    /// # Errors
    /// [`Error::Endpoint`] if the address is not one, [`Error::Dictionary`] if the dictionary is none.
    pub fn stream(self) -> Result<Subscription, Error> {
        Subscription::new(self.endpoint?, self.settings, self.parameters)
    }

    /// Makes a subscription that reads ahead on a thread of its own, up to `capacity` frames or
    /// [`buffer_bytes`](Self::buffer_bytes), whichever is less.
    ///
    /// # Errors
    /// As [`blocking`](Self::blocking).
    pub fn buffered(self, capacity: NonZeroUsize, overflow: Overflow) -> Result<Buffered, Error> {
        Buffered::new(self.stream()?, capacity, overflow)
    }

    /// Makes the blocking subscription: the async one on a runtime of its own, within the caller's thread.
    ///
    /// # Errors
    /// As [`stream`](Self::stream), and [`Error::Runtime`] if the runtime cannot be started.
    pub fn blocking(self) -> Result<Blocking, Error> {
        Blocking::new(self.stream()?)
    }
}

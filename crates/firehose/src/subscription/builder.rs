//! The description of a subscription.

use std::{sync::Arc, time::Duration};

use rustls::ClientConfig;
use tokio_tungstenite::tungstenite::http::HeaderValue;

use super::{Blocking, Cursor, Subscription};
use crate::{Backoff, Endpoint, EndpointError, Error, Event, MAX_FRAME};

/// What to do when the server closes the connection as normal (1000).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnClose {
    /// Connect again: servers close like this when they restart, too.
    #[default]
    Reconnect,
    /// End the subscription: the server is known to have a last frame.
    End,
}

/// A message of up to so many times the size limit is received just to be skipped; one larger still breaks the
/// connection.
const SKIPPED_SIZES: usize = 4;

/// But any of up to so many bytes is.
const SKIPPED_AT_LEAST: usize = 16 << 20;

/// What the client calls itself unless told otherwise.
const USER_AGENT: &str = concat!("skytide/", env!("CARGO_PKG_VERSION"));

/// Describes a subscription; see [`Subscription::builder`].
#[derive(Clone)]
#[must_use = "a description does nothing before `stream` or `blocking`"]
pub struct Builder {
    endpoint: Result<Endpoint, EndpointError>,
    settings: Settings,
}

/// All of a description but the address.
#[derive(Clone)]
pub(super) struct Settings {
    pub(super) cursor: Cursor,
    pub(super) receive_timeout: Option<Duration>,
    pub(super) ping: Option<Duration>,
    pub(super) dial_timeout: Duration,
    pub(super) max_frame: usize,
    pub(super) backoff: Backoff,
    pub(super) first_attempts: Option<u32>,
    pub(super) on_close: OnClose,
    pub(super) user_agent: HeaderValue,
    pub(super) tls: Option<Arc<ClientConfig>>,
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

    /// The largest message that is received at all, in bytes.
    pub(super) fn max_message(&self) -> usize {
        self.max_frame.saturating_mul(SKIPPED_SIZES).max(SKIPPED_AT_LEAST)
    }
}

impl Builder {
    pub(super) fn new(url: &str, method: &str) -> Self {
        let settings = Settings {
            cursor: Cursor::Live,
            receive_timeout: Some(Duration::from_secs(30)),
            ping: Some(Duration::from_secs(10)),
            dial_timeout: Duration::from_secs(15),
            max_frame: MAX_FRAME,
            backoff: Backoff::default(),
            first_attempts: None,
            on_close: OnClose::Reconnect,
            user_agent: HeaderValue::from_static(USER_AGENT),
            tls: None,
            observer: None,
        };
        Self { endpoint: Endpoint::parse(url, method), settings }
    }

    /// Where to begin; live unless given.
    pub fn cursor(mut self, cursor: Cursor) -> Self {
        self.settings.cursor = cursor;
        self
    }

    /// After so long without a message the connection is made anew: 30 s unless given, `None` never. Answers to pings
    /// are not messages.
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

    /// The largest frame that is handed on, in bytes; [`MAX_FRAME`] unless given. Larger ones are received, but only
    /// their heads go into quarantine; those over four times as large (at least 16 MiB) break the connection.
    pub fn max_frame_size(mut self, bytes: usize) -> Self {
        self.settings.max_frame = bytes;
        self
    }

    /// How long to wait between attempts to connect.
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.settings.backoff = backoff;
        self
    }

    /// How many attempts to connect may fail before there has been any connection; no limit unless given. An address that
    /// is wrong shows at once, while a connection that once was is sought for as long as the back-off allows.
    pub fn first_attempts(mut self, attempts: impl Into<Option<u32>>) -> Self {
        self.settings.first_attempts = attempts.into();
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

    /// A TLS configuration of one's own, for other roots of trust; Mozilla's unless given.
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
    /// [`Error::Endpoint`] if the address is not one.
    pub fn stream(self) -> Result<Subscription, Error> {
        Ok(Subscription::new(self.endpoint?, self.settings))
    }

    /// Makes the blocking subscription: the async one on a runtime of its own, within the caller's thread.
    ///
    /// # Errors
    /// [`Error::Endpoint`] if the address is not one, [`Error::Runtime`] if the runtime cannot be started.
    pub fn blocking(self) -> Result<Blocking, Error> {
        Blocking::new(self.stream()?)
    }
}

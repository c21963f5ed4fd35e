//! One connection: how it is made, what comes over it, and how it is found to be dead.

use std::{
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures_core::Stream;
use futures_util::{Sink, SinkExt};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::{Instant, Sleep, sleep_until, timeout},
};
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{
        Error as SocketError, Message,
        client::IntoClientRequest,
        error::ProtocolError,
        handshake::client::Response,
        http::header::{LOCATION, RETRY_AFTER, USER_AGENT},
        protocol::WebSocketConfig,
    },
};

use super::{
    builder::Settings,
    reach,
    sieve::{Endless, HEAD, Sieve},
    tls,
};
use crate::{ConnectionError, Endpoint, Timeout, error::one_line};

/// So many bytes of a message that is still coming in count as one: a message may take its time, but a server
/// that gives it byte by byte is silent.
const PART: u64 = 16 << 10;

/// The library's own buffer, for what it is given, in bytes.
const RARE: usize = 16 << 10;

/// So many bytes wait at most to be sent. Of pings that come while a server reads no answers the newest is
/// answered, as RFC 6455 (5.5.3) has it, once there is room.
const UNSENT: usize = 64 << 10;

/// No server's wish to be left alone is honoured for longer.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(3600);

/// A TCP connection, with or without TLS.
pub(super) trait Socket: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Socket for S {}

/// An open connection.
pub(super) struct Connection {
    socket: WebSocketStream<Sieve<Box<dyn Socket>>>,
    asked: Asked,
    opened: Instant,
    watch: Watch,
    /// The library has an answer to give, to a ping, that the socket has not taken yet.
    answers: bool,
}

/// What a server is asked for.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    /// The cursor; live without one.
    pub(super) cursor: Option<u64>,
    /// Further parameters, in order.
    pub(super) parameters: Vec<(String, String)>,
    /// Said once the connection is open.
    pub(super) hello: Option<String>,
}

/// What came over a connection.
pub(super) enum Received {
    /// A message.
    Message {
        /// All of it, or its head.
        bytes: Bytes,
        /// It came as text.
        text: bool,
        /// Its whole size in bytes, where it is over the limit.
        cut_from: Option<u64>,
    },
    /// A ping or its answer: a sign of life.
    Control,
}

/// Connects to `endpoint`, within the time the settings give.
pub(super) async fn dial(
    endpoint: Endpoint,
    asked: Asked,
    settings: Settings,
) -> Result<Connection, ConnectionError> {
    let within = settings.dial_timeout;
    match timeout(within, open(&endpoint, asked, &settings)).await {
        Ok(opened) => opened,
        Err(_) => Err(Timeout::Dial { within }.into()),
    }
}

async fn open(endpoint: &Endpoint, asked: Asked, settings: &Settings) -> Result<Connection, ConnectionError> {
    let (host, port) = (endpoint.host(), endpoint.port());
    let addresses = tokio::net::lookup_host((host, port))
        .await
        .map_err(|source| ConnectionError::Name { host: host.to_owned(), source })?;
    let socket = reach::first(addresses, TcpStream::connect::<SocketAddr>)
        .await
        .and_then(|socket| socket.set_nodelay(true).map(|()| socket))
        .map_err(|source| ConnectionError::Dial { host: host.to_owned(), port, source })?;
    let socket: Box<dyn Socket> =
        if endpoint.is_secure() { tls::connect(socket, host, settings).await? } else { Box::new(socket) };
    let url = endpoint.url(asked.cursor, &asked.parameters);
    let mut request = url.into_client_request().map_err(translate)?;
    request.headers_mut().insert(USER_AGENT, settings.user_agent.clone());
    // What is too large is cut before the library sees it: it only meets a length that no message may have.
    // Most messages it does not see at all.
    let most = settings.max_frame.max(HEAD);
    let config = WebSocketConfig::default()
        .read_buffer_size(RARE)
        .write_buffer_size(0)
        .max_write_buffer_size(UNSENT + asked.hello.as_ref().map_or(0, String::len))
        .max_frame_size(Some(most))
        .max_message_size(Some(most));
    let socket = Sieve::new(socket, settings.max_frame);
    let (mut socket, _) = client_async_with_config(request, socket, Some(config)).await.map_err(translate)?;
    if let Some(hello) = &asked.hello {
        socket.send(Message::text(hello)).await.map_err(translate)?;
    }
    Ok(Connection { socket, asked, opened: Instant::now(), watch: Watch::new(settings), answers: false })
}

impl Connection {
    /// What was asked for.
    pub(super) fn asked(&self) -> &Asked {
        &self.asked
    }

    /// For how long the connection has been open.
    pub(super) fn lasted(&self) -> Duration {
        self.opened.elapsed()
    }

    /// Tells the server that this was the end, if that can be done at once.
    pub(super) fn say_goodbye(&mut self) {
        let mut cx = Context::from_waker(std::task::Waker::noop());
        if self.poll_send(&mut cx, Message::Close(None)).is_err() {
            tracing::debug!("the connection broke before its end was said");
        }
    }

    /// What comes next. The first error is the end of the connection.
    pub(super) fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Result<Received, ConnectionError>> {
        if self.answers {
            match Pin::new(&mut self.socket).poll_flush(cx) {
                Poll::Ready(Ok(())) => self.answers = false,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(translate(error))),
                Poll::Pending => {}
            }
        }
        match self.socket.get_mut().poll_whole(cx) {
            Poll::Ready(Ok(Some(bytes))) => {
                self.watch.heard = true;
                self.watch.heard_message = true;
                return Poll::Ready(Ok(Received::Message { bytes, text: false, cut_from: None }));
            }
            Poll::Ready(Ok(None)) => {}
            Poll::Ready(Err(error)) => return Poll::Ready(Err(ConnectionError::Broken(error))),
            Poll::Pending => return self.poll_watch(cx),
        }
        self.socket.get_mut().begin();
        let Poll::Ready(received) = Pin::new(&mut self.socket).poll_next(cx) else {
            return self.poll_watch(cx);
        };
        self.watch.heard = true;
        Poll::Ready(match received {
            Some(Ok(Message::Binary(bytes))) => {
                self.watch.heard_message = true;
                let mark = self.socket.get_mut().next_mark();
                Ok(Received::Message { bytes, text: mark.text, cut_from: mark.cut_from })
            }
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_) | Message::Text(_))) => {
                self.answers = true;
                Ok(Received::Control)
            }
            Some(Ok(Message::Close(frame))) => {
                // The library has its answer ready; it is sent if that can be done at once.
                let _sent = Pin::new(&mut self.socket).poll_flush(cx);
                let (code, reason) =
                    frame.map(|frame| (u16::from(frame.code), one_line(&frame.reason))).unzip();
                Err(ConnectionError::Closed { code, reason: reason.unwrap_or_default() })
            }
            Some(Err(error)) => Err(translate(error)),
            None => Err(translate(SocketError::ConnectionClosed)),
        })
    }

    /// Of what is there to be received nothing was a frame: looks whether one should have been by now, and
    /// has whoever waits look at the time, too, before more of it is taken.
    pub(super) fn poll_in_vain(&mut self, cx: &mut Context<'_>) -> Poll<ConnectionError> {
        cx.waker().wake_by_ref();
        match self.poll_watch(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(error),
            Poll::Ready(Ok(_)) | Poll::Pending => Poll::Pending,
        }
    }

    /// Nothing is there to be received: looks whether something should have been, and wakes when it should be.
    fn poll_watch(&mut self, cx: &mut Context<'_>) -> Poll<Result<Received, ConnectionError>> {
        let came = self.socket.get_mut().take_came();
        self.watch.heard |= came.any;
        self.watch.part += came.of_messages;
        if self.watch.part >= PART {
            self.watch.heard_message = true;
        }
        let mut now = Instant::now();
        self.watch.note(now);
        loop {
            match self.watch.look(now) {
                Look::Fine { until: None } => return Poll::Pending,
                Look::Fine { until: Some(until) } => {
                    self.watch.overdue = false;
                    if self.watch.poll_until(cx, until).is_pending() {
                        return Poll::Pending;
                    }
                    now = Instant::now();
                }
                Look::Ping => {
                    self.watch.pinged = Some(now);
                    if let Err(error) = self.poll_send(cx, Message::Ping(Bytes::new())) {
                        return Poll::Ready(Err(translate(error)));
                    }
                }
                // Who was busy elsewhere may have kept the runtime from looking at the socket: it gets the chance.
                Look::Over(_) if !std::mem::replace(&mut self.watch.overdue, true) => {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Look::Over(timeout) => return Poll::Ready(Err(timeout.into())),
            }
        }
    }

    /// Sends a message if the socket takes it now. One that does not has not been read by the other side for long.
    fn poll_send(&mut self, cx: &mut Context<'_>, message: Message) -> Result<(), SocketError> {
        let mut socket = Pin::new(&mut self.socket);
        match socket.as_mut().poll_ready(cx) {
            Poll::Ready(ready) => ready?,
            Poll::Pending => return Ok(()),
        }
        match socket.as_mut().start_send(message) {
            // As much as may wait does so already.
            Err(SocketError::WriteBufferFull(_)) => return Ok(()),
            sent => sent?,
        }
        match socket.poll_flush(cx) {
            Poll::Ready(sent) => sent,
            Poll::Pending => Ok(()),
        }
    }
}

/// Watches over the silence of a connection. Its one timer is set when there is nothing to receive, and only
/// moved when it has to ring earlier or has rung: while frames come, it costs two flags.
struct Watch {
    receive_timeout: Option<Duration>,
    ping: Option<Duration>,
    /// Something came since the clock was last read.
    heard: bool,
    /// A message came since the clock was last read.
    heard_message: bool,
    /// Bytes of messages that came since one was last heard.
    part: u64,
    /// The time was over when it was last looked at.
    overdue: bool,
    last_heard: Instant,
    last_message: Instant,
    /// When a ping was sent that nothing has come after.
    pinged: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

enum Look {
    Fine { until: Option<Instant> },
    Ping,
    Over(Timeout),
}

impl Watch {
    fn new(settings: &Settings) -> Self {
        let now = Instant::now();
        Self {
            receive_timeout: settings.receive_timeout,
            ping: settings.ping,
            heard: false,
            heard_message: false,
            part: 0,
            overdue: false,
            last_heard: now,
            last_message: now,
            pinged: None,
            timer: None,
        }
    }

    fn note(&mut self, now: Instant) {
        if std::mem::take(&mut self.heard) {
            self.last_heard = now;
            self.pinged = None;
        }
        if std::mem::take(&mut self.heard_message) {
            self.last_message = now;
            self.part = 0;
        }
    }

    fn look(&self, now: Instant) -> Look {
        let due = |since: Instant, wait: Option<Duration>| wait.and_then(|wait| since.checked_add(wait));
        let silent_at = due(self.last_message, self.receive_timeout);
        let ping_at = due(self.pinged.unwrap_or(self.last_heard), self.ping);
        if silent_at.is_some_and(|at| at <= now) {
            let silent = self.receive_timeout.unwrap_or_default();
            return Look::Over(Timeout::Silent { silent });
        }
        if ping_at.is_some_and(|at| at <= now) {
            if self.pinged.is_none() {
                return Look::Ping;
            }
            let within = self.ping.unwrap_or_default();
            return Look::Over(Timeout::Ping { within });
        }
        Look::Fine { until: silent_at.into_iter().chain(ping_at).min() }
    }

    fn poll_until(&mut self, cx: &mut Context<'_>, until: Instant) -> Poll<()> {
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(until)));
        if timer.is_elapsed() || until < timer.deadline() {
            timer.as_mut().reset(until);
        }
        Future::poll(timer.as_mut(), cx)
    }
}

/// The library's error by what it means for the client.
fn translate(error: SocketError) -> ConnectionError {
    match error {
        SocketError::ConnectionClosed | SocketError::AlreadyClosed => {
            ConnectionError::Closed { code: None, reason: String::new() }
        }
        SocketError::Protocol(ProtocolError::ResetWithoutClosingHandshake) => {
            ConnectionError::Closed { code: None, reason: "without saying so".to_owned() }
        }
        SocketError::Io(source) => match source.get_ref().and_then(|inner| inner.downcast_ref()) {
            Some(&Endless { size, limit }) => ConnectionError::Endless { size, limit },
            None => ConnectionError::Broken(source),
        },
        SocketError::Http(response) => status(&response),
        other => ConnectionError::Protocol { reason: one_line(&other.to_string()) },
    }
}

fn status(response: &Response) -> ConnectionError {
    let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
    let moved_to = header(LOCATION).filter(|_| response.status().is_redirection());
    let body = response.body().as_deref().unwrap_or_default();
    ConnectionError::Status {
        status: response.status().as_u16(),
        moved_to: moved_to.map(one_line),
        retry_after: header(RETRY_AFTER).and_then(|value| parse_retry_after(value, jiff::Timestamp::now())),
        body: one_line(&String::from_utf8_lossy(body)),
    }
}

/// The wait of a `Retry-After`: seconds, or a date.
fn parse_retry_after(value: &str, now: jiff::Timestamp) -> Option<Duration> {
    let wait = match value.trim().parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let date = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(value.trim()).ok()?;
            Duration::try_from(date.duration_since(now)).unwrap_or_default()
        }
    };
    Some(wait.min(LONGEST_RETRY_AFTER))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now: jiff::Timestamp = "2026-07-04T14:38:08Z".parse().unwrap();
        let parse = |value| parse_retry_after(value, now);
        assert_eq!(parse("120"), Some(Duration::from_secs(120)));
        assert_eq!(parse(" 0 "), Some(Duration::ZERO));
        assert_eq!(parse("Sat, 04 Jul 2026 14:38:18 GMT"), Some(Duration::from_secs(10)));
        assert_eq!(parse("Sat, 04 Jul 2026 14:30:00 GMT"), Some(Duration::ZERO));
        assert_eq!(parse("18446744073709551615"), Some(LONGEST_RETRY_AFTER));
        assert_eq!(parse("soon"), None);
        assert_eq!(parse("-1"), None);
    }

    #[test]
    fn watch_pings_then_gives_up() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut watch = Watch {
            receive_timeout: Some(Duration::from_secs(30)),
            ping: Some(Duration::from_secs(10)),
            heard: false,
            heard_message: false,
            part: 0,
            overdue: false,
            last_heard: start,
            last_message: start,
            pinged: None,
            timer: None,
        };
        assert!(matches!(watch.look(at(9)), Look::Fine { until: Some(until) } if until == at(10)));
        assert!(matches!(watch.look(at(10)), Look::Ping));
        watch.pinged = Some(at(10));
        assert!(matches!(watch.look(at(19)), Look::Fine { until: Some(until) } if until == at(20)));
        assert!(matches!(watch.look(at(20)), Look::Over(Timeout::Ping { .. })));
        // An answer is a sign of life, but no message.
        watch.heard = true;
        watch.note(at(19));
        assert!(matches!(watch.look(at(20)), Look::Fine { until: Some(until) } if until == at(29)));
        watch.heard = true;
        watch.note(at(29));
        assert!(matches!(watch.look(at(30)), Look::Over(Timeout::Silent { .. })));
        watch.heard_message = true;
        watch.note(at(29));
        assert!(matches!(watch.look(at(30)), Look::Fine { .. }));
        watch.receive_timeout = None;
        watch.ping = None;
        assert!(matches!(watch.look(at(1000)), Look::Fine { until: None }));
    }
}

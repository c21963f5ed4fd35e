//! What can go wrong with a subscription, by cause, and which causes pass by themselves.

use std::{io, time::Duration};

use bytes::Bytes;
use skytide_atproto::frame::FrameError;

use crate::EndpointError;

/// Why a subscription ended, or never began.
///
/// Its text has those of its causes, as all errors here have: whoever prints it prints it alone. `source`
/// gives a cause to whoever asks for its type.
///
/// What passes by itself is not here: it is a [`ConnectionError`], counted and reported as an
/// [`Event`](crate::Event), and the subscription connects again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The address is not one.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// A connection failed in a way that another attempt would not change.
    #[error("{0}")]
    Connection(#[source] ConnectionError),
    /// As many attempts to connect failed in a row as the back-off allows.
    #[error("gave up after {attempts} attempt{} to connect: {last}", if *attempts == 1 { "" } else { "s" })]
    GaveUp {
        /// How many there were.
        attempts: u32,
        /// Why the last one failed.
        #[source]
        last: ConnectionError,
    },
    /// The server ended the stream with an error frame that connecting again would not change.
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// The dictionary of a Jetstream cannot be used.
    #[error("the dictionary cannot be used: {0}")]
    Dictionary(#[source] io::Error),
    /// A frame was asked for as a message and is none. The subscription goes on.
    #[error(transparent)]
    Message(#[from] MessageError),
    /// A blocking subscription was asked for frames by a thread that drives async code, which must not wait.
    /// It has ended.
    #[error(
        "a blocking read within async code, whose thread must not wait: take the async subscription (`stream`, `buffered`), of a query \
         `AnswerStream`, or read on a thread of its own (`spawn_blocking`)"
    )]
    WithinRuntime,
    /// Something panicked on the thread that reads ahead, as an observer may: the subscription has ended with it.
    #[error("the thread that reads ahead panicked: {message}")]
    Panicked {
        /// What the panic said.
        message: String,
    },
    /// The runtime or the thread of a subscription could not be started.
    #[error("cannot start the runtime of a subscription: {0}")]
    Runtime(#[source] io::Error),
}

impl Error {
    /// Whether the subscription has ended with it; not so after a message that could not be read.
    #[must_use]
    pub fn is_end(&self) -> bool {
        !matches!(self, Self::Message(_))
    }
}

/// A frame that is not the message that its header names.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} cannot be read: {source}", .seq.map_or_else(|| "a frame".to_owned(), |seq| format!("frame {seq}")))]
#[non_exhaustive]
pub struct MessageError {
    /// Its number, where it has one.
    pub seq: Option<u64>,
    /// The whole frame.
    pub bytes: Bytes,
    /// Which rule it breaks, and where.
    pub source: FrameError,
}

/// Something took too long. A connection ends with it, and the next one is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Timeout {
    /// Name, connection, TLS and the WebSocket's opening together.
    #[error("no connection within {within:?}")]
    Dial {
        /// The time that was given.
        within: Duration,
    },
    /// No message came for the receive timeout.
    #[error("no message for {silent:?}")]
    Silent {
        /// The receive timeout.
        silent: Duration,
    },
    /// A ping was not answered: the other side is gone.
    #[error("no answer to a ping within {within:?}")]
    Ping {
        /// The time that was given.
        within: Duration,
    },
}

/// An error frame: the server's reason for ending the stream.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[error("the server ended the stream with {}{}", if .code.is_empty() { "an error that it does not name" } else { .code }, .message.as_deref().map(excerpt).unwrap_or_default())]
pub struct StreamError {
    /// The server's name for it, such as `FutureCursor`; empty where it gives none.
    pub code: String,
    /// The server's explanation.
    pub message: Option<String>,
}

/// Why a connection could not be made, or ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectionError {
    /// The host's name could not be resolved.
    #[error("cannot find the host {host}: {source}")]
    Name {
        /// The host that was looked for.
        host: String,
        /// What the resolver said.
        source: io::Error,
    },
    /// No connection to the host could be made.
    #[error("cannot connect to {host}:{port}: {source}")]
    Dial {
        /// The host.
        host: String,
        /// The port.
        port: u16,
        /// What the system said.
        source: io::Error,
    },
    /// Something took too long.
    #[error(transparent)]
    Timeout(#[from] Timeout),
    /// TLS failed.
    #[error("TLS failed: {source}")]
    Tls {
        /// What rustls said.
        source: io::Error,
        /// Whether it was the certificate, or that none can be for such a host: it would be refused again.
        refused: bool,
    },
    /// The server answered the request with a status instead of a stream.
    #[error("the server answered {status}{}{}", .moved_to.as_ref().map(|to| format!(" (moved to {to})")).unwrap_or_default(), excerpt(.body))]
    Status {
        /// The HTTP status.
        status: u16,
        /// Where a redirect leads, on one line. It is not followed: who gives an address says where frames come from.
        moved_to: Option<String>,
        /// How long the server asks to be left alone.
        retry_after: Option<Duration>,
        /// The beginning of the body, on one line; empty where there was none.
        body: String,
    },
    /// The answer was not the opening of a WebSocket, or what came over it broke its rules.
    #[error("the server broke the WebSocket protocol: {reason}")]
    Protocol {
        /// Which rule.
        reason: String,
    },
    /// The server closed the connection.
    #[error("the server closed the connection{}{}", .code.map(|code| format!(" with {code}")).unwrap_or_default(), excerpt(.reason))]
    Closed {
        /// The close code, where a close frame came.
        code: Option<u16>,
        /// The reason in the close frame.
        reason: String,
    },
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Broken(#[source] io::Error),
    /// The server says that this client reads too slowly (`ConsumerTooSlow`).
    #[error("the server says that this client reads too slowly{}", excerpt(.message))]
    TooSlow {
        /// The server's explanation.
        message: String,
    },
    /// So many frames in a row did not decode that the connection itself is suspect.
    #[error("{in_a_row} frames in a row did not decode")]
    Undecodable {
        /// How many.
        in_a_row: u32,
    },
    /// A message claims a size that is not even skipped.
    #[error("a message of {size} bytes, the most that is skipped is {limit}")]
    Endless {
        /// The size that the message claims, in bytes.
        size: u64,
        /// The limit, in bytes.
        limit: u64,
    },
}

impl ConnectionError {
    /// Whether another attempt may succeed.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Status { status, .. } => matches!(status, 408 | 425 | 429 | 500 | 502..=599),
            Self::Tls { refused, .. } => !refused,
            _ => true,
        }
    }

    /// How long the server asks to be left alone.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

/// A server's text made fit for a line of a log or a terminal: at most 200 characters, without control characters.
pub(crate) fn one_line(text: &str) -> String {
    let mut line = String::new();
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()) {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
        if line.len() > 800 {
            break;
        }
    }
    match line.char_indices().nth(200) {
        Some((at, _)) => line.get(..at).unwrap_or_default().to_owned() + "…",
        None => line,
    }
}

fn excerpt(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(": {text}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_transient_or_fatal() {
        let transient = |status| {
            ConnectionError::Status { status, moved_to: None, retry_after: None, body: String::new() }
                .is_transient()
        };
        for status in [408, 425, 429, 500, 502, 503, 504, 520, 599] {
            assert!(transient(status), "{status}");
        }
        for status in [200, 301, 302, 400, 401, 403, 404, 405, 410, 426, 501] {
            assert!(!transient(status), "{status}");
        }
    }

    #[test]
    fn a_text_has_those_of_its_causes() {
        let io = || io::Error::other("the system's word");
        let dial = || ConnectionError::Dial { host: "host".into(), port: 443, source: io() };
        let broken = MessageError { seq: Some(7), bytes: Bytes::new(), source: FrameError::Missing("seq") };
        let errors: [Error; 6] = [
            Error::GaveUp { attempts: 2, last: dial() },
            Error::Connection(ConnectionError::Tls { source: io(), refused: true }),
            Error::Connection(ConnectionError::Name { host: "host".into(), source: io() }),
            Error::Dictionary(io()),
            Error::Runtime(io()),
            broken.into(),
        ];
        for error in errors {
            let whole = error.to_string();
            let mut cause = std::error::Error::source(&error);
            assert!(cause.is_some(), "{whole}");
            while let Some(one) = cause {
                assert!(whole.contains(&one.to_string()), "{whole}: {one}");
                cause = one.source();
            }
        }
    }

    #[test]
    fn a_servers_text_becomes_one_short_line() {
        assert_eq!(one_line(" <html>\r\n\t<b>No\x1b[31m!</b>\n"), "<html> <b>No [31m!</b>");
        assert_eq!(one_line(&"é".repeat(201)), "é".repeat(200) + "…");
        assert_eq!(one_line(&"é ".repeat(5000)).chars().count(), 201);
    }

    #[test]
    fn texts_have_no_loose_ends() {
        let closed = |code, reason: &str| ConnectionError::Closed { code, reason: reason.into() }.to_string();
        assert_eq!(closed(None, ""), "the server closed the connection");
        assert_eq!(closed(Some(1001), "bye"), "the server closed the connection with 1001: bye");
        let stream = StreamError { code: "FutureCursor".into(), message: None };
        assert_eq!(Error::from(stream).to_string(), "the server ended the stream with FutureCursor");
        let unnamed = StreamError { code: String::new(), message: Some(String::new()) };
        assert_eq!(unnamed.to_string(), "the server ended the stream with an error that it does not name");
    }
}

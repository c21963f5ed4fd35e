//! Clients: one of a library, and one that sees the bytes.

use std::io::ErrorKind;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use skytide_atproto::frame::{self, Kind};
use skytide_atproto::message::{Account, Message};
use skytide_sim::{RelayHandle, SUBSCRIBE_REPOS};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message as WsMessage};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

/// Nothing here takes so long; what does, hangs.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

pub(crate) type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Frames with the numbers given, a second apart.
pub(crate) fn frames(seqs: impl IntoIterator<Item = u64>) -> Vec<Bytes> {
    let frame = |seq: u64| {
        let time = format!("2026-07-04T14:38:{:02}.500Z", seq % 60);
        let account = Account { seq, did: "did:plc:a", time: &time, active: true, status: None };
        Message::Account(account).to_frame_bytes().into()
    };
    seqs.into_iter().map(frame).collect()
}

pub(crate) async fn subscribe(relay: &RelayHandle, query: &str) -> Result<Socket, Error> {
    subscribe_at(relay, &format!("{SUBSCRIBE_REPOS}{query}")).await
}

pub(crate) async fn subscribe_at(relay: &RelayHandle, path: &str) -> Result<Socket, Error> {
    let url = format!("{}{path}", relay.url());
    tokio::time::timeout(LIMIT, tokio_tungstenite::connect_async(url))
        .await
        .expect("connects in time")
        .map(|it| it.0)
}

pub(crate) async fn next(socket: &mut Socket) -> WsMessage {
    let next = tokio::time::timeout(LIMIT, socket.next()).await.expect("a message in time");
    next.expect("a message").expect("no error")
}

/// The sequence numbers of the next frames.
pub(crate) async fn seqs(socket: &mut Socket, count: usize) -> Vec<u64> {
    let mut seqs = Vec::new();
    while seqs.len() < count {
        let WsMessage::Binary(bytes) = next(socket).await else { panic!("not binary") };
        seqs.push(frame::peek(&bytes).expect("a frame").seq.expect("a number"));
    }
    seqs
}

/// Everything up to the close: the frames, the code and the reason.
pub(crate) async fn to_the_end(socket: &mut Socket) -> (Vec<Bytes>, CloseCode, String) {
    let mut frames = Vec::new();
    let close = async {
        loop {
            match next(socket).await {
                WsMessage::Binary(bytes) => frames.push(bytes),
                WsMessage::Close(Some(close)) => return (close.code, close.reason.to_string()),
                other => panic!("unexpected {other:?}"),
            }
        }
    };
    let (code, reason) = tokio::time::timeout(LIMIT, close).await.expect("an end in time");
    (frames, code, reason)
}

pub(crate) fn kinds(frames: &[Bytes]) -> Vec<(Kind, Option<u64>)> {
    frames
        .iter()
        .map(|bytes| frame::peek(bytes).expect("a frame"))
        .map(|peek| (peek.kind, peek.seq))
        .collect()
}

/// A client without a library.
pub(crate) struct Raw(pub(crate) TcpStream);

/// The first byte of a message or fragment, and its payload.
pub(crate) type RawMessage = (u8, Vec<u8>);

impl Raw {
    /// Connects and asks for the stream of repositories.
    pub(crate) async fn ask(relay: &RelayHandle, query: &str) -> Self {
        let mut stream = TcpStream::connect(relay.addr()).await.expect("connects");
        let request = format!(
            "GET {SUBSCRIBE_REPOS}{query} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.expect("asks");
        Self(stream)
    }

    /// The same, and reads the answer that it is served.
    pub(crate) async fn subscribe(relay: &RelayHandle, query: &str) -> Self {
        let mut raw = Self::ask(relay, query).await;
        let answer = raw.answer().await;
        assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
        raw
    }

    /// The head of the answer to the request.
    pub(crate) async fn answer(&mut self) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.extend(self.bytes(1).await);
        }
        String::from_utf8(head).expect("text")
    }

    async fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        let read = tokio::time::timeout(LIMIT, self.0.read_exact(&mut bytes)).await;
        read.expect("bytes in time").expect("bytes");
        bytes
    }

    /// The next messages or fragments.
    pub(crate) async fn messages(&mut self, count: usize) -> Vec<RawMessage> {
        let mut messages = Vec::new();
        while messages.len() < count {
            let start = self.bytes(2).await;
            let length = match start[1] {
                126 => u64::from(u16::from_be_bytes(self.bytes(2).await.try_into().unwrap())),
                127 => u64::from_be_bytes(self.bytes(8).await.try_into().unwrap()),
                short => {
                    assert!(short < 126, "a server does not mask");
                    short.into()
                }
            };
            messages.push((start[0], self.bytes(length as usize).await));
        }
        messages
    }

    /// Everything up to the end, and how it ended: `None` is an orderly end.
    pub(crate) async fn until_the_end(&mut self) -> (Vec<u8>, Option<ErrorKind>) {
        let (mut all, mut piece) = (Vec::new(), [0; 4096]);
        loop {
            match tokio::time::timeout(LIMIT, self.0.read(&mut piece)).await.expect("an end in time") {
                Ok(0) => return (all, None),
                Ok(bytes) => all.extend_from_slice(&piece[..bytes]),
                Err(error) => return (all, Some(error.kind())),
            }
        }
    }

    /// Asserts that nothing comes for a while.
    pub(crate) async fn hears_nothing(&mut self, time: Duration) {
        let mut byte = [0];
        let heard = tokio::time::timeout(time, self.0.read(&mut byte)).await;
        assert!(heard.is_err(), "{heard:?}");
    }
}

//! A server on the loopback that does, connection by connection, what a script says.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use skytide_atproto::message::{ErrorMessage, Identity, Info, Message};
use skytide_firehose::{Backoff, Builder, Event, Subscription};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};
use tokio_tungstenite::{
    WebSocketStream, accept_hdr_async,
    tungstenite::{
        Message as Ws,
        handshake::server::{Request, Response},
        protocol::{
            CloseFrame,
            frame::{
                Frame as WsFrame,
                coding::{Data, OpCode},
            },
        },
    },
};

/// What a server does on one connection.
pub(crate) enum Connection {
    /// Answers the request with these bytes, and closes.
    Answer(String),
    /// Reads the request and does nothing more.
    Mute,
    /// Opens the WebSocket and does these steps, then leaves the connection open.
    Open(Vec<Step>),
}

pub(crate) enum Step {
    Frame(Vec<u8>),
    /// One message in parts.
    Parts(Vec<Vec<u8>>),
    Text(&'static str),
    /// Bytes as they are, past the WebSocket.
    Raw(Vec<u8>),
    Close(u16),
    /// Ends the connection without a word.
    Drop,
    /// Ends the connection with a TCP reset.
    Reset,
    /// Reads until so many pings have come, which are answered.
    Pings(usize),
    /// Leaves the connection open without ever reading it.
    Deaf,
}

pub(crate) struct Server {
    pub(crate) url: String,
    requests: Arc<Mutex<Vec<String>>>,
    /// Gets a word for each connection that was accepted.
    pub(crate) accepted: mpsc::UnboundedReceiver<()>,
}

impl Server {
    /// Begins to serve on the runtime this is called on.
    pub(crate) async fn start(script: Vec<Connection>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (told, accepted) = mpsc::unbounded_channel();
        tokio::spawn(serve(listener, script, requests.clone(), told));
        Self { url: url(address), requests, accepted }
    }

    /// As [`start`](Self::start), on a thread of its own that lives as long as the test.
    pub(crate) fn on_a_thread(script: Vec<Connection>) -> Self {
        let (tell, told) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                tell.send(Self::start(script).await).unwrap();
                std::future::pending::<()>().await;
            });
        });
        told.recv().unwrap()
    }

    /// The `cursor` parameter of each request so far.
    pub(crate) fn cursors(&self) -> Vec<Option<u64>> {
        let cursor = |request: &String| Some(request.split_once("cursor=")?.1.parse().unwrap());
        self.requests.lock().unwrap().iter().map(cursor).collect()
    }

    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    /// A subscription to this server that reconnects at once.
    pub(crate) fn subscribe(&self) -> Builder {
        Subscription::builder(&self.url).backoff(at_once())
    }
}

pub(crate) fn url(address: SocketAddr) -> String {
    format!("ws://{address}")
}

pub(crate) fn at_once() -> Backoff {
    Backoff::default().first(Duration::from_millis(1)).factor(1.0)
}

async fn serve(
    listener: TcpListener,
    script: Vec<Connection>,
    requests: Arc<Mutex<Vec<String>>>,
    told: mpsc::UnboundedSender<()>,
) {
    let mut open = Vec::new();
    for connection in script {
        let (mut socket, _) = listener.accept().await.unwrap();
        told.send(()).ok();
        match connection {
            Connection::Mute => open.push(socket),
            Connection::Answer(answer) => {
                let request = read_request(&mut socket).await;
                requests.lock().unwrap().push(request);
                socket.write_all(answer.as_bytes()).await.unwrap();
                socket.shutdown().await.unwrap();
            }
            Connection::Open(steps) => {
                let requests = requests.clone();
                #[allow(clippy::result_large_err, reason = "the library's signature")]
                let note = move |request: &Request, response: Response| {
                    requests.lock().unwrap().push(request.uri().to_string());
                    Ok(response)
                };
                // Connections stay open while the next ones are served; the client may be gone already.
                let Ok(socket) = accept_hdr_async(socket, note).await else { continue };
                tokio::spawn(act(socket, steps));
            }
        }
    }
    // Nothing listens any more, but what is open stays open.
    drop(listener);
    std::future::pending::<()>().await;
}

async fn read_request(socket: &mut TcpStream) -> String {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        request.push(socket.read_u8().await.unwrap());
    }
    String::from_utf8(request).unwrap().lines().next().unwrap().replace(" HTTP/1.1", "")
}

async fn act(mut socket: WebSocketStream<TcpStream>, steps: Vec<Step>) {
    for step in steps {
        let sent = match step {
            Step::Frame(bytes) => socket.send(Ws::Binary(bytes.into())).await,
            Step::Text(text) => socket.send(Ws::Text(text.into())).await,
            Step::Parts(parts) => {
                let last = parts.len() - 1;
                for (at, part) in parts.into_iter().enumerate() {
                    let data = if at == 0 { Data::Binary } else { Data::Continue };
                    let frame = WsFrame::message(part, OpCode::Data(data), at == last);
                    socket.send(Ws::Frame(frame)).await.unwrap();
                }
                Ok(())
            }
            Step::Raw(bytes) => {
                socket.flush().await.unwrap();
                socket.get_mut().write_all(&bytes).await.unwrap();
                Ok(())
            }
            Step::Close(code) => {
                socket.send(Ws::Close(Some(CloseFrame { code: code.into(), reason: "bye".into() }))).await
            }
            Step::Drop => return,
            Step::Reset => {
                socket.get_mut().set_zero_linger().unwrap();
                return;
            }
            Step::Pings(count) => {
                let mut pings = 0;
                while pings < count {
                    match socket.next().await {
                        Some(Ok(Ws::Ping(_))) => pings += 1,
                        Some(Ok(_)) => {}
                        _ => return,
                    }
                }
                Ok(())
            }
            Step::Deaf => std::future::pending().await,
        };
        if sent.is_err() {
            return;
        }
    }
    while let Some(Ok(_)) = socket.next().await {}
}

/// An answer to the request other than a WebSocket.
pub(crate) fn answer(status: &str, headers: &str, body: &str) -> Connection {
    Connection::Answer(format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n{body}", body.len()))
}

/// A frame of this number, of second `seq` of a day.
pub(crate) fn identity(seq: u64) -> Vec<u8> {
    let (hours, minutes, seconds) = (seq / 3600 % 24, seq / 60 % 60, seq % 60);
    identity_at(seq, &format!("2026-07-04T{hours:02}:{minutes:02}:{seconds:02}.000Z"))
}

pub(crate) fn identity_at(seq: u64, time: &str) -> Vec<u8> {
    Message::Identity(Identity { seq, did: "did:plc:ewvi7nxzyoun6zhxrhs64oiz", time, handle: None })
        .to_frame_bytes()
}

/// A frame of this number and about this size.
pub(crate) fn identity_of(seq: u64, size: usize) -> Vec<u8> {
    let handle = "a".repeat(size);
    let handle = Some(handle.as_str());
    let message =
        Identity { seq, did: "did:plc:ewvi7nxzyoun6zhxrhs64oiz", time: "2026-07-04T00:00:00.000Z", handle };
    Message::Identity(message).to_frame_bytes()
}

pub(crate) fn info(name: &str, message: &str) -> Vec<u8> {
    Message::Info(Info { name, message: Some(message) }).to_frame_bytes()
}

pub(crate) fn error(error: &str, message: &str) -> Vec<u8> {
    Message::Error(ErrorMessage { error, message: Some(message) }).to_frame_bytes()
}

pub(crate) fn frames(seqs: impl IntoIterator<Item = u64>) -> Vec<Step> {
    seqs.into_iter().map(|seq| Step::Frame(identity(seq))).collect()
}

/// These frames, then this.
pub(crate) fn then(seqs: impl IntoIterator<Item = u64>, last: Step) -> Connection {
    let mut steps = frames(seqs);
    steps.push(last);
    Connection::Open(steps)
}

/// Receives the numbers of so many frames.
pub(crate) async fn seqs(subscription: &mut Subscription, count: usize) -> Vec<u64> {
    let mut seqs = Vec::new();
    while seqs.len() < count {
        let frame = subscription.next().await.expect("more frames").expect("no error");
        seqs.push(frame.seq.expect("a number"));
    }
    seqs
}

/// What an observer was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    Connected,
    Disconnected(String, Duration),
    Quarantined(String, Bytes, Option<u64>),
    Other(String),
}

/// An observer that notes what it is told.
pub(crate) fn notes() -> (mpsc::UnboundedReceiver<Told>, impl Fn(&Event<'_>) + Send + Sync + 'static) {
    let (tell, told) = mpsc::unbounded_channel();
    let observer = move |event: &Event<'_>| {
        let note = match event {
            Event::Connected { .. } => Told::Connected,
            Event::Disconnected { error, retry_in } => Told::Disconnected(error.to_string(), *retry_in),
            Event::Quarantined { why, bytes, seq } => {
                Told::Quarantined(format!("{why:?}"), Bytes::clone(bytes), *seq)
            }
            other => Told::Other(format!("{other:?}")),
        };
        tell.send(note).ok();
    };
    (told, observer)
}

//! A server on the loopback that does, connection by connection, what a script says.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use skytide_atproto::message::{ErrorMessage, Identity, Info, Message};
use skytide_firehose::{Backoff, Blocking, Builder, Error, Event, Frame, Handle, Subscription};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{Notify, mpsc},
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
pub(super) enum Connection {
    /// Answers the request with these bytes, and closes.
    Answer(String),
    /// Reads the request and does nothing more.
    Mute,
    /// Opens the WebSocket and does these steps, then leaves the connection open.
    Open(Vec<Step>),
}

pub(super) enum Step {
    Frame(Vec<u8>),
    /// One message in parts.
    Parts(Vec<Vec<u8>>),
    Text(&'static str),
    OwnText(String),
    /// Bytes as they are, past the WebSocket.
    Raw(Vec<u8>),
    Close(u16),
    /// Ends the connection without a word.
    Drop,
    /// Ends the connection with a TCP reset.
    Reset,
    /// Reads until so many pings have come, which are answered.
    Pings(usize),
    /// Does nothing for so long.
    Wait(Duration),
    /// Leaves the connection open without ever reading it.
    Deaf,
    /// Waits for [`Server::open_gate`], then ends the connection without a word.
    Gate,
    /// Waits for a text message and notes it with the requests.
    Hello,
}

pub(super) struct Server {
    pub(super) url: String,
    /// Gets a word for each connection that was accepted.
    pub(super) accepted: mpsc::UnboundedReceiver<()>,
    notes: Arc<Notes>,
}

/// What all connections of a server share.
#[derive(Default)]
struct Notes {
    requests: Mutex<Vec<String>>,
    gate: Notify,
    connected: Notify,
}

impl Server {
    /// Begins to serve on the runtime this is called on.
    pub(super) async fn start(script: Vec<Connection>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let notes = Arc::new(Notes::default());
        let (told, accepted) = mpsc::unbounded_channel();
        tokio::spawn(serve(listener, script, notes.clone(), told));
        Self { url: url(address), accepted, notes }
    }

    /// As [`start`](Self::start), on a thread of its own that lives as long as the test.
    pub(super) fn on_a_thread(script: Vec<Connection>) -> Self {
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
    pub(super) fn cursors(&self) -> Vec<Option<u64>> {
        let cursor = |request: &String| Some(request.split_once("cursor=")?.1.parse().unwrap());
        self.notes.requests.lock().unwrap().iter().map(cursor).collect()
    }

    pub(super) fn requests(&self) -> Vec<String> {
        self.notes.requests.lock().unwrap().clone()
    }

    /// Lets a connection go on that waits at a [`Step::Gate`].
    pub(super) fn open_gate(&self) {
        self.notes.gate.notify_one();
    }

    /// Waits until there was a connection.
    pub(super) async fn wait_for_connection(&self) {
        self.notes.connected.notified().await;
    }

    /// A subscription to this server that reconnects at once.
    pub(super) fn subscribe(&self) -> Builder {
        Subscription::repos(&self.url).backoff(at_once())
    }
}

pub(super) fn url(address: SocketAddr) -> String {
    format!("ws://{address}")
}

pub(super) fn at_once() -> Backoff {
    Backoff::default().first(Duration::from_millis(1)).factor(1.0)
}

async fn serve(
    listener: TcpListener,
    script: Vec<Connection>,
    notes: Arc<Notes>,
    told: mpsc::UnboundedSender<()>,
) {
    let mut open = Vec::new();
    for connection in script {
        let (mut socket, _) = listener.accept().await.unwrap();
        told.send(()).ok();
        notes.connected.notify_one();
        match connection {
            Connection::Mute => open.push(socket),
            Connection::Answer(answer) => {
                let request = read_request(&mut socket).await;
                notes.requests.lock().unwrap().push(request);
                socket.write_all(answer.as_bytes()).await.unwrap();
                socket.shutdown().await.unwrap();
            }
            Connection::Open(steps) => {
                let noted = notes.clone();
                #[allow(clippy::result_large_err, reason = "the library's signature")]
                let note = move |request: &Request, response: Response| {
                    noted.requests.lock().unwrap().push(request.uri().to_string());
                    Ok(response)
                };
                // Connections stay open while the next ones are served; the client may be gone already.
                let Ok(socket) = accept_hdr_async(socket, note).await else { continue };
                tokio::spawn(act(socket, steps, notes.clone()));
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

async fn act(mut socket: WebSocketStream<TcpStream>, steps: Vec<Step>, notes: Arc<Notes>) {
    for step in steps {
        let sent = match step {
            Step::Frame(bytes) => socket.send(Ws::Binary(bytes.into())).await,
            Step::Text(text) => socket.send(Ws::Text(text.into())).await,
            Step::OwnText(text) => socket.send(Ws::Text(text.into())).await,
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
                // The client may have had enough.
                if socket.get_mut().write_all(&bytes).await.is_err() {
                    return;
                }
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
            Step::Wait(wait) => {
                tokio::time::sleep(wait).await;
                Ok(())
            }
            Step::Deaf => std::future::pending().await,
            Step::Gate => {
                notes.gate.notified().await;
                return;
            }
            Step::Hello => {
                let said = socket.next().await.unwrap().unwrap();
                notes.requests.lock().unwrap().push(said.into_text().unwrap().to_string());
                Ok(())
            }
        };
        if sent.is_err() {
            return;
        }
    }
    while let Some(Ok(_)) = socket.next().await {}
}

/// An answer to the request other than a WebSocket.
pub(super) fn answer(status: &str, headers: &str, body: &str) -> Connection {
    Connection::Answer(format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n{body}", body.len()))
}

/// A frame of this number, of second `seq` of a day.
pub(super) fn identity(seq: u64) -> Vec<u8> {
    let (hours, minutes, seconds) = (seq / 3600 % 24, seq / 60 % 60, seq % 60);
    identity_at(seq, &format!("2026-07-04T{hours:02}:{minutes:02}:{seconds:02}.000Z"))
}

pub(super) fn identity_at(seq: u64, time: &str) -> Vec<u8> {
    Message::Identity(Identity { seq, did: "did:plc:ewvi7nxzyoun6zhxrhs64oiz", time, handle: None })
        .to_frame_bytes()
}

/// A frame of this number and about this size.
pub(super) fn identity_of(seq: u64, size: usize) -> Vec<u8> {
    let handle = "a".repeat(size);
    let handle = Some(handle.as_str());
    let message =
        Identity { seq, did: "did:plc:ewvi7nxzyoun6zhxrhs64oiz", time: "2026-07-04T00:00:00.000Z", handle };
    Message::Identity(message).to_frame_bytes()
}

pub(super) fn info(name: &str, message: &str) -> Vec<u8> {
    Message::Info(Info { name, message: Some(message) }).to_frame_bytes()
}

pub(super) fn error(error: &str, message: &str) -> Vec<u8> {
    Message::Error(ErrorMessage { error, message: Some(message) }).to_frame_bytes()
}

pub(super) fn frames(seqs: impl IntoIterator<Item = u64>) -> Vec<Step> {
    seqs.into_iter().map(|seq| Step::Frame(identity(seq))).collect()
}

/// These frames, then this.
pub(super) fn then(seqs: impl IntoIterator<Item = u64>, last: Step) -> Connection {
    let mut steps = frames(seqs);
    steps.push(last);
    Connection::Open(steps)
}

/// How a test receives.
#[derive(Clone, Copy, Debug)]
pub(super) enum Way {
    Async,
    Blocking,
}

/// A subscription, received one of the ways.
pub(super) struct Client {
    handle: Handle,
    inner: Inner,
}

enum Inner {
    Async(Box<Subscription>),
    /// There but while it receives.
    Blocking(Option<Box<Blocking>>),
}

impl Way {
    pub(super) fn open(self, builder: Builder) -> Client {
        match self {
            Self::Async => {
                let subscription = builder.stream().unwrap();
                Client { handle: subscription.handle(), inner: Inner::Async(Box::new(subscription)) }
            }
            Self::Blocking => {
                let subscription = builder.blocking().unwrap();
                Client { handle: subscription.handle(), inner: Inner::Blocking(Some(Box::new(subscription))) }
            }
        }
    }
}

impl Client {
    pub(super) fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// The next item, waited for on a thread of its own where that blocks.
    pub(super) async fn next(&mut self) -> Option<Result<Frame, Error>> {
        match &mut self.inner {
            Inner::Async(subscription) => subscription.next().await,
            Inner::Blocking(subscription) => {
                let mut receiving = subscription.take().expect("not cancelled");
                let receive = move || (receiving.next(), receiving);
                let (item, received) = tokio::task::spawn_blocking(receive).await.unwrap();
                *subscription = Some(received);
                item
            }
        }
    }

    pub(super) fn start_again(&mut self) {
        match &mut self.inner {
            Inner::Async(subscription) => subscription.start_again(),
            Inner::Blocking(subscription) => subscription.as_mut().unwrap().start_again(),
        }
    }
}

/// Makes of each scenario a test of the async and one of the blocking client.
macro_rules! both_ways {
    ($($scenario:ident,)+) => {$(
        mod $scenario {
            use super::*;

            #[tokio::test]
            async fn asynchronous() {
                soon(super::$scenario(Way::Async)).await;
            }

            #[tokio::test]
            async fn blocking() {
                soon(super::$scenario(Way::Blocking)).await;
            }
        }
    )+};
}
pub(super) use both_ways;

/// Nothing here takes long unless it hangs.
pub(super) async fn soon<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(40 * SECOND, work).await.expect("not within 40 s")
}

pub(super) const SECOND: Duration = Duration::from_secs(1);

/// Receives the numbers of so many frames.
pub(super) async fn seqs(client: &mut Client, count: usize) -> Vec<u64> {
    let mut seqs = Vec::new();
    while seqs.len() < count {
        let frame = client.next().await.expect("more frames").expect("no error");
        seqs.push(frame.seq.expect("a number"));
    }
    seqs
}

/// What an observer was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Told {
    Connected,
    Disconnected(String, Duration),
    Quarantined(String, Bytes, Option<u64>),
    Other(String),
}

/// An observer that notes what it is told.
pub(super) fn notes() -> (mpsc::UnboundedReceiver<Told>, impl Fn(&Event<'_>) + Send + Sync + 'static) {
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

//! One client of a relay: the handshake, the cursor, then frames until either side ends it.
//!
//! Messages are written to the socket below the WebSocket library, as runs of bytes that are messages already; the
//! library still reads, answers pings and does the closing. Its own buffer is flushed before each run, so the two never
//! mix within a message.

use std::time::Duration;

use futures_util::{FutureExt as _, SinkExt as _, StreamExt as _};
use skytide_atproto::message::{ErrorMessage, Info, Message};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::server::{Callback, ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::{HeaderValue, StatusCode, header};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message as WsMessage};

use super::CursorRule;
use super::door::Door;
use super::fault::{ConnectFault, Fault, FaultName, Fired, Met, Plan};
use super::faulty::Faulty;
use super::hub::{Hub, Reader, Step, count};
use super::window::Sought;

/// For a handshake, and for a client to answer a close.
const PATIENCE: Duration = Duration::from_secs(5);

type Socket = WebSocketStream<TcpStream>;

/// Serves a client until its connection ends.
pub(super) async fn serve(door: &Door, mut stream: TcpStream) -> Result<(), Error> {
    stream.set_nodelay(true)?;
    let mut plan = door.faults.as_ref().map(|faults| faults.connection());
    let met = plan.as_mut().map(Plan::meets).unwrap_or_default();
    if let (Some(plan), Some(fault)) = (&plan, &met.refusal) {
        let (fault, connection) = (Fault::Connect(fault.clone()), Some(plan.connection));
        plan.shared.log.enter(Fired { fault, connection, stream: None, frame: None, seqs: None });
    }
    match met.refusal {
        Some(ConnectFault::Refuse) => {
            count(&door.counters.refused, 1);
            return Ok(stream.set_zero_linger()?);
        }
        Some(ConnectFault::Mute) => {
            count(&door.counters.refused, 1);
            until_gone(&mut stream).await;
            return Ok(());
        }
        _ => {}
    }
    let (mut wanted, mut cursor) = (0, None);
    let request = Subscribe { door, answer: met.refusal.as_ref(), wanted: &mut wanted, cursor: &mut cursor };
    let handshake = tokio_tungstenite::accept_hdr_async(stream, request);
    let socket = match tokio::time::timeout(PATIENCE, handshake).await {
        Ok(Ok(socket)) => socket,
        // Counted when it was answered.
        Ok(Err(error @ Error::Http(_))) => return Err(error),
        Ok(Err(error)) => {
            count(&door.counters.refused, 1);
            return Err(error);
        }
        Err(_) => {
            count(&door.counters.refused, 1);
            return Ok(());
        }
    };
    let Some(hub) = door.hubs.get(wanted) else { return Ok(()) };
    let faulty = plan.map(|plan| Faulty::new(plan, hub, wanted == 0));
    subscribe(hub, socket, cursor, faulty, &met).await
}

/// From the cursor to the end of the connection.
async fn subscribe(
    hub: &Hub,
    mut socket: Socket,
    cursor: Option<u64>,
    mut faulty: Option<Faulty<'_>>,
    met: &Met,
) -> Result<(), Error> {
    let mut rule = hub.settings.rule;
    if let (Some(faulty), Some(_), Some(other)) = (&faulty, cursor, met.rule) {
        rule = other.unwrap_or(match rule {
            CursorRule::Inclusive => CursorRule::Exclusive,
            CursorRule::Exclusive => CursorRule::Inclusive,
        });
        faulty.enter(Fault::Connect(ConnectFault::Cursor { rule: Some(rule) }), None, None);
    }
    let place = match hub.seek(cursor, rule) {
        Sought::At(mut place) => {
            if let (Some(faulty), Some(cursor)) = (&mut faulty, cursor) {
                let before = met.duplicates.and_then(|frames| hub.before(place, frames));
                match (met.gap, before) {
                    (Some(frames), _) => faulty.lose(frames, cursor),
                    (None, Some((from, seqs))) => {
                        let frames = Some(place - from);
                        faulty.enter(Fault::Connect(ConnectFault::Duplicates { frames }), None, Some(seqs));
                        place = from;
                    }
                    (None, None) => {}
                }
            }
            place
        }
        Sought::Outdated(place) => {
            if hub.settings.notices {
                let message = Some("Requested cursor exceeded limit. Possibly missing events");
                let notice = Message::Info(Info { name: "OutdatedCursor", message });
                socket.send(frame(&notice)).await?;
            }
            place
        }
        Sought::Future if hub.settings.notices => {
            count(&hub.counters.refused, 1);
            return refuse(socket, "FutureCursor", "Cursor in the future.").await;
        }
        Sought::Future => hub.end(),
    };
    count(&hub.counters.connections, 1);
    let reader = Reader::new(hub, place);
    let told = stream_to(&mut socket, hub, &reader, faulty.as_mut()).await?;
    drop(reader);
    match told {
        Told::Gone => Ok(()),
        Told::End => close(socket, CloseCode::Normal, "").await,
        Told::TooSlow => {
            count(&hub.counters.too_slow, 1);
            refuse(socket, "ConsumerTooSlow", "Stream consumer too slow").await
        }
        Told::Cut => {
            let stream = socket.get_mut();
            stream.shutdown().await?;
            // Dropped with something unread it would be reset.
            drop(tokio::time::timeout(PATIENCE, until_gone(stream)).await);
            Ok(())
        }
        Told::Reset => Ok(socket.get_ref().set_zero_linger()?),
        Told::Code(code) => close(socket, CloseCode::from(code), "").await,
        Told::Error(name) => refuse(socket, name.as_str(), "on purpose").await,
        Told::Nothing => {
            until_gone(socket.get_mut()).await;
            Ok(())
        }
    }
}

/// How a stream ended.
pub(super) enum Told {
    /// The client closed.
    Gone,
    /// There are no more frames.
    End,
    /// The client has fallen out of the window.
    TooSlow,
    /// The connection ends without a word.
    Cut,
    /// It is reset.
    Reset,
    /// It is closed with this code.
    Code(u16),
    /// It ends with this error.
    Error(FaultName),
    /// The client is told nothing any more, until it gives up.
    Nothing,
}

async fn stream_to(
    socket: &mut Socket,
    hub: &Hub,
    reader: &Reader<'_>,
    mut faulty: Option<&mut Faulty<'_>>,
) -> Result<Told, Error> {
    loop {
        let changed = hub.changed();
        match reader.step() {
            Step::Send(run) => {
                match &mut faulty {
                    Some(faulty) => {
                        if let Some(told) = faulty.send(socket.get_mut(), &run).await? {
                            return Ok(told);
                        }
                    }
                    None => {
                        // Before, so that nobody who has read a frame finds it uncounted.
                        count(&hub.counters.sent, run.frames);
                        count(&hub.counters.sent_bytes, run.bytes.len() as u64);
                        socket.get_mut().write_all(&run.bytes).await?;
                    }
                }
                // What the client has said meanwhile, without waiting.
                while let Some(said) = socket.next().now_or_never() {
                    if !heard(socket, said).await? {
                        return Ok(Told::Gone);
                    }
                }
                // A socket that always takes more must not keep the thread from other clients.
                tokio::task::yield_now().await;
            }
            Step::Wait => {
                tokio::select! {
                    () = changed => {}
                    said = socket.next() => if !heard(socket, said).await? {
                        return Ok(Told::Gone);
                    }
                }
            }
            Step::TooSlow => return Ok(Told::TooSlow),
            Step::Close => return Ok(Told::End),
        }
    }
}

/// Takes note of what a client said; false if it is gone. Pings and closes are answered by the library, the answer only
/// has to be flushed; all else a subscriber says means nothing here.
async fn heard(socket: &mut Socket, said: Option<Result<WsMessage, Error>>) -> Result<bool, Error> {
    match said {
        None | Some(Err(Error::ConnectionClosed)) => Ok(false),
        Some(Err(error)) => Err(error),
        Some(Ok(_)) => {
            socket.flush().await?;
            Ok(true)
        }
    }
}

/// Ends a subscription as the reference server does: an error frame, then a close that names it.
async fn refuse(mut socket: Socket, name: &str, message: &str) -> Result<(), Error> {
    let error = Message::Error(ErrorMessage { error: name, message: Some(message) });
    socket.send(frame(&error)).await?;
    close(socket, CloseCode::Policy, name).await
}

/// Closes and gives the client a while to read up to there and to answer.
async fn close(mut socket: Socket, code: CloseCode, reason: &str) -> Result<(), Error> {
    socket.close(Some(CloseFrame { code, reason: reason.into() })).await?;
    let answered = async { while let Some(Ok(_)) = socket.next().await {} };
    // A client that never answers is left by dropping the connection.
    drop(tokio::time::timeout(PATIENCE, answered).await);
    Ok(())
}

/// Reads, whatever it is, until the client has closed or the connection broke.
async fn until_gone(stream: &mut TcpStream) {
    let mut said = [0; 1024];
    while stream.read(&mut said).await.is_ok_and(|bytes| bytes > 0) {}
}

/// Reads the request: only the paths that are served, and a cursor that is a number.
struct Subscribe<'a> {
    door: &'a Door,
    /// What it is answered instead.
    answer: Option<&'a ConnectFault>,
    /// Which stream.
    wanted: &'a mut usize,
    cursor: &'a mut Option<u64>,
}

impl Callback for Subscribe<'_> {
    fn on_request(self, request: &Request, response: Response) -> Result<Response, ErrorResponse> {
        let refuse = |status, error, message| {
            count(&self.door.counters.refused, 1);
            xrpc_error(status, error, message)
        };
        if let Some(&ConnectFault::Answer { status, retry_after, html }) = self.answer {
            count(&self.door.counters.refused, 1);
            return Err(answer(status, retry_after, html));
        }
        let Some(wanted) = self.door.wanted(request.uri().path()) else {
            return Err(refuse(StatusCode::NOT_FOUND, "MethodNotImplemented", "Method Not Implemented"));
        };
        *self.wanted = wanted;
        let query = request.uri().query().unwrap_or_default();
        let given = query.split('&').find_map(|pair| pair.strip_prefix("cursor="));
        *self.cursor = match given.map(str::parse) {
            None => None,
            Some(Ok(cursor)) => Some(cursor),
            Some(Err(_)) => {
                return Err(refuse(StatusCode::BAD_REQUEST, "InvalidRequest", "cursor must be an integer"));
            }
        };
        Ok(response)
    }
}

/// An answer as a server in trouble gives it, or the proxy before it.
fn answer(status: u16, retry_after: Option<u64>, html: bool) -> ErrorResponse {
    let status = StatusCode::from_u16(status)
        .ok()
        .filter(|status| !status.is_success() && !status.is_informational())
        .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = xrpc_error(status, "OnPurpose", "refused on purpose");
    let mut kind = "application/json";
    if html {
        kind = "text/html; charset=utf-8";
        *response.body_mut() = Some(format!("<html><body><h1>{status}</h1></body></html>\n"));
    }
    let length = response.body().as_ref().map_or(0, String::len);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response.headers_mut().insert(header::CONTENT_LENGTH, length.into());
    if let Some(seconds) = retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    response
}

fn frame(message: &Message<'_>) -> WsMessage {
    WsMessage::binary(message.to_frame_bytes())
}

fn xrpc_error(status: StatusCode, error: &str, message: &str) -> ErrorResponse {
    let body = format!(r#"{{"error":"{error}","message":"{message}"}}"#);
    let mut response = ErrorResponse::new(Some(body));
    *response.status_mut() = status;
    response
}

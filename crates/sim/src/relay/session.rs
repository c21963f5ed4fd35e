//! One client of a relay: the handshake, the cursor, then frames until either side ends it.
//!
//! Messages are written to the socket below the WebSocket library, as runs of bytes that are messages already; the
//! library still reads, answers pings and does the closing. Its own buffer is flushed before each run, so the two never
//! mix within a message.

use std::time::Duration;

use futures_util::{FutureExt as _, SinkExt as _, StreamExt as _};
use skytide_atproto::message::{ErrorMessage, Info, Message};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::server::{Callback, ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::StatusCode;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message as WsMessage};

use super::SUBSCRIBE_REPOS;
use super::hub::{Hub, Reader, Step, count};
use super::window::Sought;

/// For a handshake, and for a client to answer a close.
const PATIENCE: Duration = Duration::from_secs(5);

type Socket = WebSocketStream<TcpStream>;

/// Serves a client until its connection ends.
pub(super) async fn serve(hub: &Hub, stream: TcpStream) -> Result<(), Error> {
    stream.set_nodelay(true)?;
    let mut cursor = None;
    let request = Subscribe { hub, cursor: &mut cursor };
    let handshake = tokio_tungstenite::accept_hdr_async(stream, request);
    let mut socket = match tokio::time::timeout(PATIENCE, handshake).await {
        Ok(Ok(socket)) => socket,
        // Counted when it was answered.
        Ok(Err(error @ Error::Http(_))) => return Err(error),
        Ok(Err(error)) => {
            count(&hub.counters.refused, 1);
            return Err(error);
        }
        Err(_) => {
            count(&hub.counters.refused, 1);
            return Ok(());
        }
    };
    let place = match hub.seek(cursor) {
        Sought::At(place) => place,
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
    let told = stream_to(&mut socket, hub, &reader).await?;
    drop(reader);
    match told {
        Told::Gone => Ok(()),
        Told::End => close(socket, CloseCode::Normal, "").await,
        Told::TooSlow => {
            count(&hub.counters.too_slow, 1);
            refuse(socket, "ConsumerTooSlow", "Stream consumer too slow").await
        }
    }
}

/// How a stream ended.
enum Told {
    /// The client closed.
    Gone,
    /// There are no more frames.
    End,
    /// The client has fallen out of the window.
    TooSlow,
}

async fn stream_to(socket: &mut Socket, hub: &Hub, reader: &Reader<'_>) -> Result<Told, Error> {
    loop {
        let changed = hub.changed();
        match reader.step() {
            Step::Send(messages, frames) => {
                // Before, so that nobody who has read a frame finds it uncounted.
                count(&hub.counters.sent, frames);
                count(&hub.counters.sent_bytes, messages.len() as u64);
                socket.get_mut().write_all(&messages).await?;
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
async fn refuse(mut socket: Socket, name: &'static str, message: &str) -> Result<(), Error> {
    let error = Message::Error(ErrorMessage { error: name, message: Some(message) });
    socket.send(frame(&error)).await?;
    close(socket, CloseCode::Policy, name).await
}

/// Closes and gives the client a while to read up to there and to answer.
async fn close(mut socket: Socket, code: CloseCode, reason: &'static str) -> Result<(), Error> {
    socket.close(Some(CloseFrame { code, reason: reason.into() })).await?;
    let answered = async { while let Some(Ok(_)) = socket.next().await {} };
    // A client that never answers is left by dropping the connection.
    drop(tokio::time::timeout(PATIENCE, answered).await);
    Ok(())
}

/// Reads the request: only the one path, and a cursor that is a number.
struct Subscribe<'a> {
    hub: &'a Hub,
    cursor: &'a mut Option<u64>,
}

impl Callback for Subscribe<'_> {
    fn on_request(self, request: &Request, response: Response) -> Result<Response, ErrorResponse> {
        let refuse = |status, error, message| {
            count(&self.hub.counters.refused, 1);
            xrpc_error(status, error, message)
        };
        if request.uri().path() != SUBSCRIBE_REPOS {
            return Err(refuse(StatusCode::NOT_FOUND, "MethodNotImplemented", "Method Not Implemented"));
        }
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

fn frame(message: &Message<'_>) -> WsMessage {
    WsMessage::binary(message.to_frame_bytes())
}

fn xrpc_error(status: StatusCode, error: &str, message: &str) -> ErrorResponse {
    let body = format!(r#"{{"error":"{error}","message":"{message}"}}"#);
    let mut response = ErrorResponse::new(Some(body));
    *response.status_mut() = status;
    response
}

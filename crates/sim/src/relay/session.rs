//! One client of a relay: the handshake, the cursor, then frames or their events until either side ends it.
//!
//! Messages are written to the socket below the WebSocket library, as runs of bytes that are messages
//! already; the library still reads, answers pings and does the closing. Its own buffer is flushed before
//! each run, so the two never mix within a message.

use std::time::Duration;

use futures_util::{FutureExt as _, SinkExt as _, StreamExt as _};
use skytide_atproto::message::{ErrorMessage, Info, Message};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message as WsMessage};

use super::door::Door;
use super::fault::{ConnectFault, Fault, FaultName, Fired, Met, Plan};
use super::faulty::{Faulty, Spot};
use super::handshake::{Asked, Subscribe};
use super::hub::{Hub, Reader, Step, count};
use super::jetstream::{Events, OptionsError};
use super::window::Sought;
use super::wire::Form;
use super::{Counted, CursorRule, SUBSCRIBE_JETSTREAM};

/// For a handshake, and for a client to answer a close.
const PATIENCE: Duration = Duration::from_secs(5);

type Socket = WebSocketStream<TcpStream>;

/// What a client is served.
#[derive(Clone, Copy)]
pub(super) struct Served<'a> {
    pub(super) path: &'static str,
    pub(super) counters: &'a Counted,
    pub(super) form: Form,
}

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
    let mut asked = None;
    let request = Subscribe { door, answer: met.refusal.as_ref(), asked: &mut asked };
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
    let (wanted, cursor, events) = match (asked, &door.jetstream) {
        (Some(Asked::Frames(wanted, cursor)), _) => (wanted, cursor, None),
        (Some(Asked::Events(options)), Some(jetstream)) => {
            (0, None, Some((Events::new(options, jetstream)?, &*jetstream.counters)))
        }
        _ => return Ok(()),
    };
    let Some(hub) = door.hubs.get(wanted) else { return Ok(()) };
    let served = match &events {
        None => Served { path: hub.path, counters: &hub.counters, form: Form::Frames },
        Some((events, counters)) => Served { path: SUBSCRIBE_JETSTREAM, counters, form: events.form() },
    };
    let client = Client {
        hub,
        served,
        events: events.map(|(events, _)| events),
        faulty: plan.map(|plan| Faulty::new(plan, served, wanted == 0)),
    };
    client.subscribe(socket, cursor, &met).await
}

/// A client that is served.
struct Client<'a> {
    hub: &'a Hub,
    served: Served<'a>,
    /// Where it is served events: those it wants.
    events: Option<Events>,
    faulty: Option<Faulty<'a>>,
}

impl Client<'_> {
    /// From the cursor to the end of the connection.
    async fn subscribe(mut self, mut socket: Socket, cursor: Option<u64>, met: &Met) -> Result<(), Error> {
        while self.events.as_ref().is_some_and(|events| events.awaits_hello) {
            let said = socket.next().await;
            if let Some(told) = self.heard(&mut socket, said).await? {
                return self.end(socket, told).await;
            }
        }
        let place = match &self.events {
            Some(_) => self.begin_in_time(met),
            None => {
                let rule = self.rule(self.hub.settings.rule, cursor, met);
                match self.hub.seek(cursor, rule) {
                    Sought::At(place) => self.shift(place, cursor, met),
                    Sought::Outdated(place) => {
                        if self.hub.settings.notices {
                            let message = Some("Requested cursor exceeded limit. Possibly missing events");
                            let notice = Message::Info(Info { name: "OutdatedCursor", message });
                            socket.send(frame(&notice)).await?;
                        }
                        place
                    }
                    Sought::Future if self.hub.settings.notices => {
                        count(&self.served.counters.refused, 1);
                        return self.refuse(socket, "FutureCursor", "Cursor in the future.").await;
                    }
                    Sought::Future => self.hub.end(),
                }
            }
        };
        count(&self.served.counters.connections, 1);
        let reader = Reader::new(self.hub, place);
        let told = self.stream_to(&mut socket, &reader).await?;
        drop(reader);
        self.end(socket, told).await
    }

    /// Where the events begin.
    fn begin_in_time(&mut self, met: &Met) -> u64 {
        let cursor = self.events.as_ref().and_then(|events| events.cursor);
        let rule = self.rule(CursorRule::Inclusive, cursor, met);
        let sought = self.hub.seek_time(cursor, rule);
        let place = self.shift(sought, cursor, met);
        let live = self.hub.end();
        if let (Some(events), Some(cursor)) = (&mut self.events, cursor) {
            if place == sought {
                events.from = rule.first(cursor);
            }
            if let Some(seam) = met.seam.filter(|_| place < live) {
                events.expect_seam(seam, live);
            }
        }
        place
    }

    /// The rule that a cursor is read by.
    fn rule(&self, usual: CursorRule, cursor: Option<u64>, met: &Met) -> CursorRule {
        let (Some(faulty), Some(_), Some(other)) = (&self.faulty, cursor, met.rule) else { return usual };
        let rule = other.unwrap_or(match usual {
            CursorRule::Inclusive => CursorRule::Exclusive,
            CursorRule::Exclusive => CursorRule::Inclusive,
        });
        faulty.enter(Fault::Connect(ConnectFault::Cursor { rule: Some(rule) }), None, None);
        rule
    }

    /// The place where a replay begins that its cursor has begin at this one.
    fn shift(&mut self, place: u64, cursor: Option<u64>, met: &Met) -> u64 {
        let (Some(faulty), Some(cursor)) = (&mut self.faulty, cursor) else { return place };
        let before = met.duplicates.and_then(|frames| match self.events {
            Some(_) => self.hub.before_in_time(place, frames),
            None => self.hub.before(place, frames),
        });
        match (met.gap, before) {
            (Some(frames), _) => faulty.lose(frames, cursor),
            (None, Some((from, seqs))) => {
                let frames = Some(place - from);
                faulty.enter(Fault::Connect(ConnectFault::Duplicates { frames }), None, Some(seqs));
                return from;
            }
            (None, None) => {}
        }
        place
    }

    async fn stream_to(&mut self, socket: &mut Socket, reader: &Reader<'_>) -> Result<Told, Error> {
        loop {
            let changed = self.hub.changed();
            match reader.step() {
                Step::Send(run) => {
                    let sent = match &mut self.events {
                        None => self.send(socket, &run.bytes, run.spots()).await?,
                        Some(events) => {
                            let messages = events.of(&run)?;
                            if let (Some(faulty), Some((events, times))) = (&self.faulty, messages.again) {
                                let seam = ConnectFault::Seam { events: Some(events) };
                                faulty.enter(Fault::Connect(seam), None, Some(times));
                            }
                            self.send(socket, &messages.bytes, messages.spots.into_iter()).await?
                        }
                    };
                    if let Some(told) = sent {
                        return Ok(told);
                    }
                    // What the client has said meanwhile, without waiting.
                    while let Some(said) = socket.next().now_or_never() {
                        if let Some(told) = self.heard(socket, said).await? {
                            return Ok(told);
                        }
                    }
                    // A socket that always takes more must not keep the thread from other clients.
                    tokio::task::yield_now().await;
                }
                Step::Wait => {
                    tokio::select! {
                        () = changed => {}
                        said = socket.next() => if let Some(told) = self.heard(socket, said).await? {
                            return Ok(told);
                        }
                    }
                }
                Step::TooSlow => return Ok(Told::TooSlow),
                Step::Close => return Ok(Told::End),
            }
        }
    }

    /// Sends messages, and what goes wrong with them. What it gives ends the connection.
    async fn send(
        &mut self,
        socket: &mut Socket,
        messages: &[u8],
        spots: impl ExactSizeIterator<Item = Spot>,
    ) -> Result<Option<Told>, std::io::Error> {
        if let Some(faulty) = &mut self.faulty {
            return faulty.send(socket.get_mut(), messages, spots).await;
        }
        // Before, so that nobody who has read a message finds it uncounted.
        count(&self.served.counters.sent, spots.len() as u64);
        count(&self.served.counters.sent_bytes, messages.len() as u64);
        socket.get_mut().write_all(messages).await?;
        Ok(None)
    }

    /// Takes note of what a client said; gives how it ended, if it did. Pings and closes are answered by the
    /// library, the answer only has to be flushed; all else a subscriber says means nothing but to a
    /// Jetstream.
    async fn heard(
        &mut self,
        socket: &mut Socket,
        said: Option<Result<WsMessage, Error>>,
    ) -> Result<Option<Told>, Error> {
        match (said, &mut self.events) {
            (None | Some(Err(Error::ConnectionClosed)), _) => return Ok(Some(Told::Gone)),
            (Some(Err(error)), _) => return Err(error),
            (Some(Ok(WsMessage::Text(text))), Some(events)) => {
                if let Err(error) = events.hear(&text) {
                    return Ok(Some(Told::Misheard(error)));
                }
            }
            (Some(Ok(_)), _) => socket.flush().await?,
        }
        Ok(None)
    }

    async fn end(self, mut socket: Socket, told: Told) -> Result<(), Error> {
        match told {
            Told::Gone => Ok(()),
            Told::End => close(socket, CloseCode::Normal, "").await,
            Told::TooSlow => {
                count(&self.served.counters.too_slow, 1);
                self.refuse(socket, "ConsumerTooSlow", "Stream consumer too slow").await
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
            Told::Error(name) => self.refuse(socket, name.as_str(), "on purpose").await,
            Told::Misheard(error) => close(socket, CloseCode::Policy, &error.to_string()).await,
            Told::Nothing => {
                until_gone(socket.get_mut()).await;
                Ok(())
            }
        }
    }

    /// Ends a subscription as the reference server does: an error frame, where there are frames, then a close
    /// that names it.
    async fn refuse(&self, mut socket: Socket, name: &str, message: &str) -> Result<(), Error> {
        if self.served.form == Form::Frames {
            let error = Message::Error(ErrorMessage { error: name, message: Some(message) });
            socket.send(frame(&error)).await?;
        }
        close(socket, CloseCode::Policy, name).await
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
    /// The client has said what is not allowed.
    Misheard(OptionsError),
    /// The client is told nothing any more, until it gives up.
    Nothing,
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

fn frame(message: &Message<'_>) -> WsMessage {
    WsMessage::binary(message.to_frame_bytes())
}

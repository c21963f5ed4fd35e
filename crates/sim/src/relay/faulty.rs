//! A client of a relay with faults: frames go out up to the next fault, then the fault, then the rest.

use std::ops::RangeInclusive;
use std::time::Duration;

use skytide_atproto::cbor::Encoder;
use skytide_atproto::frame::{self, Header, Kind};
use skytide_atproto::message::{Info, Message};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::fault::{ConnectFault, Fault, Fired, FiredAt, FrameFault, Plan};
use super::hub::count;
use super::session::{Served, Told};
use super::wire::{self, BINARY, CONTINUATION, FINAL, Form, PING, TEXT};

/// A slow socket takes its bytes in portions of this time.
const PORTION: Duration = Duration::from_millis(50);

/// What goes out at once of an oversized message: of a frame, and of an event.
const PIECE: [u8; 16 << 10] = [0; 16 << 10];
const SPACES: [u8; 16 << 10] = [b' '; 16 << 10];

pub(super) struct Faulty<'a> {
    plan: Plan<'a>,
    served: Served<'a>,
    /// Whether the script's frames of the stream are those of this one.
    scripted: bool,
    slow: Option<Slow>,
    gap: Option<Gap>,
}

struct Slow {
    bytes_per_second: u64,
    until: Option<Instant>,
}

/// Frames that are being lost.
struct Gap {
    /// The client has everything up to here, so that it is no loss.
    cursor: u64,
    frames: u64,
    left: u64,
    seqs: Option<(u64, u64)>,
}

/// Where a message stands in the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Spot {
    /// The place of the frame.
    pub(super) place: u64,
    /// The time of the event, if it is one.
    pub(super) time_us: Option<u64>,
}

impl Spot {
    /// What a cursor calls the message.
    fn number(self, payload: &[u8]) -> Option<u64> {
        self.time_us.or_else(|| frame::peek(payload).ok()?.seq)
    }
}

/// How it goes on after a fault.
enum After {
    /// With the frame.
    Frame,
    /// With the frame in so many parts.
    Parts(u16),
    /// Not at all.
    End(Told),
}

impl<'a> Faulty<'a> {
    pub(super) fn new(plan: Plan<'a>, served: Served<'a>, scripted: bool) -> Self {
        Self { plan, served, scripted, slow: None, gap: None }
    }

    /// Loses the next frames after the cursor.
    pub(super) fn lose(&mut self, frames: u64, cursor: u64) {
        self.gap = Some(Gap { cursor, frames, left: frames, seqs: None });
    }

    /// Sends messages with their faults. What it gives ends the connection.
    pub(super) async fn send(
        &mut self,
        stream: &mut TcpStream,
        run: &[u8],
        spots: impl Iterator<Item = Spot>,
    ) -> Result<Option<Told>, std::io::Error> {
        // What has been dealt with, and what may go out up to the message at hand, in how many frames.
        let (mut done, mut at, mut frames) = (0, 0, 0);
        let ready = |done: usize, at: usize| run.get(done..at).unwrap_or_default();
        for ((message, header), spot) in wire::messages(run).zip(spots) {
            let next = at + message.len();
            let payload = message.get(header..).unwrap_or_default();
            if self.is_lost(spot, payload) {
                self.send_frames(stream, ready(done, at), frames).await?;
                (done, at, frames) = (next, next, 0);
                continue;
            }
            self.gap_is_over();
            self.plan.next_frame();
            let of_stream = self.scripted.then_some(spot.place + 1);
            if self.plan.is_due(of_stream) {
                // Before the fault is taken, so that it stays where the client is gone.
                self.send_frames(stream, ready(done, at), frames).await?;
                (done, frames) = (at, 0);
            }
            let mut parts = None;
            while let Some(fault) = self.plan.due(of_stream) {
                if !self.has_place_for(&fault) {
                    continue;
                }
                let mut fault = self.plan.settle(fault, message.len(), payload.len());
                if let (FrameFault::Truncated { after: Some(after) }, Form::Events) =
                    (&mut fault, self.served.form)
                {
                    *after = whole_characters(payload, *after);
                }
                self.enter(Fault::Frame(fault.clone()), Some((spot, payload)), None);
                match self.fire(stream, fault, message, payload).await? {
                    After::Frame => {}
                    After::Parts(count) => parts = Some(count),
                    After::End(told) => return Ok(Some(told)),
                }
            }
            if let Some(parts) = parts {
                self.send_frames(stream, &fragments(self.served.form.kind(), payload, parts), 1).await?;
                done = next;
            } else {
                frames += 1;
            }
            at = next;
        }
        self.send_frames(stream, ready(done, at), frames).await?;
        Ok(None)
    }

    /// Enters a fault that fires: before it does, so that nobody who has met it finds it unrecorded.
    pub(super) fn enter(&self, fault: Fault, at: Option<(Spot, &[u8])>, seqs: Option<RangeInclusive<u64>>) {
        let frame = at.map(|(spot, payload)| FiredAt {
            of_stream: spot.place + 1,
            of_connection: Some(self.plan.frames),
            seq: spot.number(payload),
        });
        let (connection, stream) = (Some(self.plan.connection), Some(self.served.path));
        self.plan.shared.log.enter(Fired { fault, connection, stream, frame, seqs });
    }

    /// Whether a fault means something here: not where it is about what events do not have.
    fn has_place_for(&self, fault: &FrameFault) -> bool {
        let of_frames = matches!(
            fault,
            FrameFault::ThreeItems
                | FrameFault::UnknownOp { .. }
                | FrameFault::UnknownType { .. }
                | FrameFault::Info { .. }
        );
        !of_frames || self.served.form == Form::Frames
    }

    /// Whether a frame is one of those that are lost, or one before them that the client has.
    fn is_lost(&mut self, spot: Spot, payload: &[u8]) -> bool {
        let Some(gap) = &mut self.gap else { return false };
        let seq = spot.number(payload);
        if seq.is_some_and(|seq| seq <= gap.cursor) {
            return true;
        }
        if gap.left == 0 {
            return false;
        }
        gap.left -= 1;
        if let Some(seq) = seq {
            gap.seqs = Some((gap.seqs.map_or(seq, |(first, _)| first), seq));
        }
        true
    }

    /// Enters a gap once a frame behind it is sent: before, the client might still get what lies in it.
    fn gap_is_over(&mut self) {
        if let Some(gap) = self.gap.take() {
            let seqs = gap.seqs.map(|(first, last)| first..=last);
            self.enter(Fault::Connect(ConnectFault::Gap { frames: Some(gap.frames) }), None, seqs);
        }
    }

    async fn fire(
        &mut self,
        stream: &mut TcpStream,
        fault: FrameFault,
        message: &[u8],
        payload: &[u8],
    ) -> Result<After, std::io::Error> {
        let beside = match fault {
            FrameFault::Disconnect { after } => {
                self.write(stream, head(message, after)).await?;
                return Ok(After::End(Told::Cut));
            }
            FrameFault::Reset { after } => {
                self.write(stream, head(message, after)).await?;
                return Ok(After::End(Told::Reset));
            }
            FrameFault::Close { code } => return Ok(After::End(Told::Code(code.unwrap_or(1000)))),
            FrameFault::Error { name } => return Ok(After::End(Told::Error(name))),
            FrameFault::Stall { lasting: None } => return Ok(After::End(Told::Nothing)),
            FrameFault::Stall { lasting: Some(lasting) } => {
                tokio::time::sleep(lasting).await;
                return Ok(After::Frame);
            }
            FrameFault::Slow { bytes_per_second, lasting } => {
                self.slow = Some(Slow { bytes_per_second, until: Instant::now().checked_add(lasting) });
                return Ok(After::Frame);
            }
            FrameFault::Fragmented { parts } => return Ok(After::Parts(parts.unwrap_or(1))),
            FrameFault::Oversized { bytes } => {
                self.write_oversized(stream, bytes).await?;
                return Ok(After::Frame);
            }
            FrameFault::Garbage { bytes } => {
                let bytes = self.garbage(bytes.unwrap_or_default());
                wire::message(FINAL | BINARY, &bytes)
            }
            FrameFault::Truncated { after } => {
                wire::message(FINAL | self.served.form.kind(), head(payload, after))
            }
            FrameFault::ThreeItems => {
                let mut encoder = Encoder::new();
                encoder.raw(payload).map(0);
                wire::message(FINAL | BINARY, encoder.as_bytes())
            }
            FrameFault::Text => wire::message(FINAL | TEXT, b"a text message"),
            FrameFault::UnknownOp { op } => encoded(&Message::Unknown(Header { op, t: None })),
            FrameFault::UnknownType { t } => {
                let t = format!("#{t}");
                encoded(&Message::Unknown(Header::message(&t)))
            }
            FrameFault::Info { name } => encoded(&Message::Info(Info { name: name.as_str(), message: None })),
            FrameFault::Ping => wire::message(FINAL | PING, b"there?"),
        };
        self.write(stream, &beside).await?;
        Ok(After::Frame)
    }

    /// Bytes that begin with one that begins no CBOR (a "break" outside of everything, RFC 8949, 3.2.1).
    fn garbage(&mut self, length: u16) -> Vec<u8> {
        let mut bytes: Vec<u8> = (0..length).map(|_| self.plan.chance.below(256) as u8).collect();
        if let Some(first) = bytes.first_mut() {
            *first = 0xff;
        }
        bytes
    }

    /// Of frames a commit's header, then a byte string that fills the rest; of events the start of one, then spaces.
    async fn write_oversized(&mut self, stream: &mut TcpStream, length: u64) -> Result<(), std::io::Error> {
        // The head of a byte string whose length takes four bytes or eight (RFC 8949, 3.1).
        const BYTES_4: u8 = 0x5a;
        const BYTES_8: u8 = 0x5b;
        let mut encoder = Encoder::new();
        Header::message(Kind::Commit.t().unwrap_or_default()).encode(&mut encoder);
        let rest = length.saturating_sub(encoder.as_bytes().len() as u64);
        match u32::try_from(rest.saturating_sub(5)) {
            Ok(rest) => encoder.raw(&[BYTES_4]).raw(&rest.to_be_bytes()),
            Err(_) => encoder.raw(&[BYTES_8]).raw(&rest.saturating_sub(9).to_be_bytes()),
        };
        let (start, piece) = match self.served.form {
            Form::Frames => (encoder.as_bytes(), &PIECE),
            Form::Events | Form::Compressed => (&b"{\"did\":"[..], &SPACES),
        };
        let start = head(start, Some(length));
        self.write(stream, &wire::header(FINAL | self.served.form.kind(), length)).await?;
        self.write(stream, start).await?;
        let mut left = length - start.len() as u64;
        while left > 0 {
            let piece = head(piece, Some(left));
            self.write(stream, piece).await?;
            left -= piece.len() as u64;
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    /// Writes frames of the stream, which count as sent.
    async fn send_frames(
        &mut self,
        stream: &mut TcpStream,
        bytes: &[u8],
        frames: u64,
    ) -> Result<(), std::io::Error> {
        if bytes.is_empty() {
            return Ok(());
        }
        count(&self.served.counters.sent, frames);
        count(&self.served.counters.sent_bytes, bytes.len() as u64);
        self.write(stream, bytes).await
    }

    /// Writes, as slowly as the socket is to be.
    async fn write(&mut self, stream: &mut TcpStream, bytes: &[u8]) -> Result<(), std::io::Error> {
        let mut left = bytes;
        while let Some(slow) = &self.slow {
            if slow.until.is_some_and(|until| Instant::now() >= until) {
                self.slow = None;
                break;
            }
            if left.is_empty() {
                return Ok(());
            }
            let rate = slow.bytes_per_second as f64;
            let portion = (rate * PORTION.as_secs_f64()) as usize;
            let (now, later) = left.split_at(portion.clamp(1, left.len()));
            stream.write_all(now).await?;
            left = later;
            let next = Instant::now() + Duration::from_secs_f64(now.len() as f64 / rate);
            tokio::time::sleep_until(slow.until.map_or(next, |until| next.min(until))).await;
        }
        stream.write_all(left).await
    }
}

/// The first bytes, as many as there are of so many.
fn head(bytes: &[u8], length: Option<u64>) -> &[u8] {
    let length = length.and_then(|length| usize::try_from(length).ok()).unwrap_or(usize::MAX);
    bytes.get(..length).unwrap_or(bytes)
}

/// So many bytes of a text, or as many fewer as it takes not to cut a character.
fn whole_characters(text: &[u8], length: u64) -> u64 {
    let text = str::from_utf8(text).unwrap_or_default();
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    text.floor_char_boundary(length) as u64
}

/// One message of this kind as so many fragments of about the same length.
fn fragments(kind: u8, payload: &[u8], parts: u16) -> Vec<u8> {
    let parts = usize::from(parts.max(1));
    let mut out = Vec::with_capacity(payload.len() + parts * 10);
    for part in 0..parts {
        let bounds = [part, part + 1].map(|part| payload.len() * part / parts);
        let kind = if part == 0 { kind } else { CONTINUATION };
        let last = if part + 1 == parts { FINAL } else { 0 };
        let piece = payload.get(bounds[0]..bounds[1]).unwrap_or_default();
        out.extend_from_slice(&wire::message(last | kind, piece));
    }
    out
}

fn encoded(message: &Message<'_>) -> Vec<u8> {
    wire::message(FINAL | BINARY, &message.to_frame_bytes())
}

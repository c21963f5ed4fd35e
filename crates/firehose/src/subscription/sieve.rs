//! What lies between the socket and the WebSocket library: it gives the messages that are nearly all there
//! is, and lets the library see all else but the bodies of messages that are too large, so that they are
//! received without being kept and the connection goes on.
//!
//! A binary message in one frame, which is here whole and not too large, asks nothing of the library: it is
//! handed on as a slice of the buffer that the socket was read into ([`Sieve::poll_whole`]). Any other frame
//! is the library's, and it is given the bytes of one frame at a time: so between two messages it holds
//! nothing, and the next one may be either's.
//!
//! The library would refuse such a message by its header and end the connection, and the next connection
//! would meet the same message. Here its frames are rewritten on the way: the head stays, the rest is read
//! and let go, and the message is marked with its true size. Text messages are passed on as binary ones with
//! a mark, so that the library does not read them for UTF-8 and cannot fail at a cut. All else, what breaks
//! the protocol too, is left to the library.

use std::{
    collections::VecDeque,
    fmt, io,
    pin::{Pin, pin},
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

/// So many bytes of an oversized message are kept: enough to hold the number of a commit behind its 200 operations.
pub(super) const HEAD: usize = 48 << 10;

/// No message is read to its end that is larger.
const READ_THROUGH: u64 = 1 << 30;

/// The longest header of a frame that is not masked (RFC 6455, 5.2).
const HEADER: usize = 10;

/// The size of the buffer that the socket is read into: it stays in a core's own cache, and what one call of
/// the system costs is little beside what it brings. A frame that does not fit is the library's.
const ROOM: usize = 256 << 10;

/// The socket is read where there is room for so much.
const LEAST: usize = 64 << 10;

/// So often is the library given bytes before whoever waits for a message can look at the time: parts without
/// an end are none.
const READS: usize = 256;

const FINAL: u8 = 0x80;
const OPCODE: u8 = 0x0f;
const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CONTROL: u8 = 8;
const MASKED: u8 = 0x80;

/// A stream whose oversized messages are cut to their heads.
pub(super) struct Sieve<S> {
    inner: S,
    /// The largest message that is passed on whole, in bytes.
    limit: u64,
    state: State,
    /// What the socket gave and was not passed on yet.
    buffer: BytesMut,
    /// Bytes of a message in the buffer that have been told of as having come.
    told: usize,
    /// The message whose frames are being passed on, if it is not complete.
    message: Option<Begun>,
    /// Messages that were passed on to their ends.
    passed: u64,
    /// What is to be known of messages that have not been asked for.
    marks: VecDeque<(u64, Mark)>,
    /// Messages asked for with [`next_mark`](Sieve::next_mark).
    taken: u64,
    /// Bytes that came since this was last asked.
    came: Came,
    /// The frame whose body is being read is a control frame.
    in_control: bool,
    /// What ends the stream, once what came before it is passed on.
    failed: Option<Endless>,
    /// How often the library may still be given bytes.
    reads: usize,
}

/// What is to be known of a message beside its bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Mark {
    /// It was a text message.
    pub(super) text: bool,
    /// It was cut: its whole size in bytes.
    pub(super) cut_from: Option<u64>,
}

/// What came, be it passed on or let go.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Came {
    /// Anything at all.
    pub(super) any: bool,
    /// Bytes of messages.
    pub(super) of_messages: u64,
}

/// A message of which frames are still to come.
#[derive(Clone, Copy, Default)]
struct Begun {
    mark: Mark,
    size: u64,
}

enum State {
    /// The answer to the request.
    Opening(Opening),
    Header,
    /// So many bytes of a frame are passed on, and as many after them let go.
    Body {
        pass: u64,
        drop: u64,
    },
    /// Everything is passed on: the protocol is broken, and the library says how.
    Open,
}

/// A message is larger than is read through.
#[derive(Clone, Copy, Debug)]
pub(super) struct Endless {
    pub(super) size: u64,
    pub(super) limit: u64,
}

impl fmt::Display for Endless {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a message of {} bytes, the most that is skipped is {}", self.size, self.limit)
    }
}

impl std::error::Error for Endless {}

impl<S> Sieve<S> {
    /// Passes on messages of up to `limit` bytes, once the answer to the WebSocket's request is through.
    pub(super) fn new(inner: S, limit: usize) -> Self {
        Self {
            inner,
            limit: limit as u64,
            state: State::Opening(Opening::default()),
            buffer: BytesMut::new(),
            told: 0,
            message: None,
            passed: 0,
            marks: VecDeque::new(),
            taken: 0,
            came: Came::default(),
            in_control: false,
            failed: None,
            reads: READS,
        }
    }

    /// The library is asked for a message.
    pub(super) fn begin(&mut self) {
        self.reads = READS;
    }

    /// What is to be known of the next message. To be asked once for each, in order, when the library gives it.
    pub(super) fn next_mark(&mut self) -> Mark {
        let this = self.taken;
        self.taken += 1;
        match self.marks.front() {
            Some((of, mark)) if *of == this => {
                let mark = *mark;
                self.marks.pop_front();
                mark
            }
            _ => Mark::default(),
        }
    }

    /// What came since this was last asked: of a message that is not complete, nobody gives a sign.
    pub(super) fn take_came(&mut self) -> Came {
        let mut came = std::mem::take(&mut self.came);
        // A message that waits in the buffer until it is whole.
        let waits = self.is_between()
            && Header::read(&self.buffer).is_some_and(|header| header.first & OPCODE < CONTROL);
        let waiting = if waits { self.buffer.len() } else { 0 };
        came.of_messages += waiting.saturating_sub(self.told) as u64;
        self.told = waiting;
        came
    }

    /// Whether the next byte begins a frame that belongs to no message of which the library knows.
    fn is_between(&self) -> bool {
        matches!(self.state, State::Header) && self.message.is_none() && self.failed.is_none()
    }

    /// Takes the message at the front of the buffer, if it is the usual one; none if more has to come, or it
    /// is the library's.
    #[inline]
    fn whole(&mut self) -> Whole {
        self.let_go();
        if !self.is_between() {
            let is_cut = matches!(self.state, State::Body { pass: 0, .. });
            return if is_cut { Whole::Short } else { Whole::Others };
        }
        let Some(header) = Header::read(&self.buffer) else { return Whole::Short };
        let fits = header.payload <= self.limit.min((ROOM - HEADER) as u64);
        if header.first != FINAL | BINARY || !fits {
            return Whole::Others;
        }
        // It fits into the buffer.
        let payload = header.payload as usize;
        if self.buffer.len() < header.length + payload {
            return Whole::Short;
        }
        self.buffer.advance(header.length);
        self.passed += 1;
        self.taken += 1;
        self.told = 0;
        Whole::Message(self.buffer.split_to(payload).freeze())
    }

    /// Lets go of what is buffered of the rest of a message that was cut.
    fn let_go(&mut self) {
        let State::Body { pass: 0, drop } = &mut self.state else { return };
        let dropped = (self.buffer.len() as u64).min(*drop);
        *drop -= dropped;
        if *drop == 0 {
            self.state = State::Header;
        }
        if !self.in_control {
            self.came.of_messages += dropped;
        }
        // It is at most the length of the buffer.
        self.buffer.advance(dropped as usize);
    }

    /// Passes on buffered bytes to the library: no more than the opening or one frame. Nothing, if more has to come.
    fn sift(&mut self, out: &mut ReadBuf<'_>) {
        let start = out.filled().len();
        while !self.buffer.is_empty() && out.remaining() > 0 {
            match &mut self.state {
                State::Opening(opening) => {
                    let room = self.buffer.len().min(out.remaining());
                    let end = opening.end(&self.buffer[..room]);
                    // After a refusal comes its text, with it if it is here.
                    if end.is_some() {
                        self.state = if opening.is_accepted() { State::Header } else { State::Open };
                    }
                    self.pass(end.unwrap_or(room), out);
                }
                State::Header => {
                    let Some(header) = Header::read(&self.buffer) else { return };
                    if header.is_broken() {
                        self.state = State::Open;
                        continue;
                    }
                    let mut raw = [0; HEADER];
                    raw[..header.length].copy_from_slice(&self.buffer[..header.length]);
                    let mut rewritten = [0; HEADER];
                    match self.frame(&header, &raw, &mut rewritten) {
                        Ok(written) => out.put_slice(&rewritten[..written]),
                        Err(endless) => {
                            self.failed = Some(endless);
                            return;
                        }
                    }
                    self.buffer.advance(header.length);
                }
                State::Body { pass, drop } => {
                    let passed = (self.buffer.len() as u64).min(*pass).min(out.remaining() as u64);
                    *pass -= passed;
                    if *pass == 0 && *drop == 0 {
                        self.state = State::Header;
                    }
                    if !self.in_control {
                        self.came.of_messages += passed;
                    }
                    // It is at most the length of the buffer.
                    self.pass(passed as usize, out);
                    self.let_go();
                }
                State::Open => {
                    self.pass(self.buffer.len().min(out.remaining()), out);
                    return;
                }
            }
            // The end of a frame, of which something was passed on.
            if matches!(self.state, State::Header) && out.filled().len() > start {
                return;
            }
        }
    }

    fn pass(&mut self, length: usize, out: &mut ReadBuf<'_>) {
        out.put_slice(&self.buffer[..length]);
        self.buffer.advance(length);
    }

    /// Takes in the header of a frame and says, by the state, what becomes of its body; writes the header to pass on,
    /// never longer than the one that came, and gives its length.
    fn frame(&mut self, header: &Header, raw: &[u8], out: &mut [u8; HEADER]) -> Result<usize, Endless> {
        let Header { first, payload, length } = *header;
        let opcode = first & OPCODE;
        let same = |first: u8, out: &mut [u8; HEADER]| {
            for (to, from) in out.iter_mut().zip(raw.iter().take(length)) {
                *to = *from;
            }
            out[0] = first;
            length
        };
        self.in_control = opcode >= CONTROL;
        if self.in_control {
            self.state = body(payload, 0);
            return Ok(same(first, out));
        }
        let is_final = first & FINAL != 0;
        let begins = self.message.is_none() || opcode != CONTINUATION;
        let mut message = if begins { Begun::default() } else { self.message.unwrap_or_default() };
        message.mark.text |= opcode == TEXT;
        let before = message.size;
        message.size = before.saturating_add(payload);
        if message.size > READ_THROUGH {
            return Err(Endless { size: message.size, limit: READ_THROUGH });
        }
        let was_cut = message.mark.cut_from.is_some();
        if message.size > self.limit {
            message.mark.cut_from = Some(message.size);
        }
        self.message = (!is_final).then_some(message);
        if is_final {
            if message.mark != Mark::default() {
                self.marks.push_back((self.passed, message.mark));
            }
            self.passed += 1;
        }
        let first = if opcode == TEXT { first & !OPCODE | BINARY } else { first };
        if message.mark.cut_from.is_none() {
            self.state = body(payload, 0);
            return Ok(same(first, out));
        }
        // Of a message that is cut, what was passed on before stays, and its head if that was nothing. A frame after
        // the cut is gone, but for the end of the last.
        let head = if was_cut || before > 0 { 0 } else { payload.min(HEAD as u64) };
        self.state = body(head, payload - head);
        if head == 0 && !begins && !is_final {
            return Ok(0);
        }
        out[0] = first;
        // The head is shorter than what a header of two bytes of length can say.
        match u8::try_from(head) {
            Ok(short @ 0..=125) => {
                out[1] = short;
                Ok(2)
            }
            _ => {
                out[1] = 126;
                let [high, low] = (head as u16).to_be_bytes();
                (out[2], out[3]) = (high, low);
                Ok(4)
            }
        }
    }
}

fn body(pass: u64, drop: u64) -> State {
    if pass == 0 && drop == 0 { State::Header } else { State::Body { pass, drop } }
}

/// What is at the front of the buffer.
enum Whole {
    /// A message, whole.
    Message(Bytes),
    /// The beginning of what may be one.
    Short,
    /// What the library deals with.
    Others,
}

/// How far the answer to the request has been read. Lines end as the library lets them: with or without a
/// carriage return.
#[derive(Clone, Copy, Debug, Default)]
struct Opening {
    /// Bytes of the first line, as many as [`ACCEPTED`] has.
    length: usize,
    /// They are not those of an answer that accepts.
    differs: bool,
    /// The last byte, but for a carriage return, was the end of a line.
    at_line: bool,
}

/// The beginning of an answer after which the WebSocket begins. After any other comes a text.
const ACCEPTED: &[u8; 12] = b"HTTP/1.1 101";

impl Opening {
    /// Looks for the empty line that ends it; gives the place after that.
    fn end(&mut self, bytes: &[u8]) -> Option<usize> {
        for (at, byte) in bytes.iter().enumerate() {
            match byte {
                // Empty lines before the first are none of it.
                b'\r' | b'\n' if self.length == 0 => {}
                b'\r' => {}
                b'\n' if self.at_line => return Some(at + 1),
                b'\n' => self.at_line = true,
                byte => {
                    self.at_line = false;
                    if let Some(expected) = ACCEPTED.get(self.length) {
                        self.differs |= expected != byte;
                        self.length += 1;
                    }
                }
            }
        }
        None
    }

    /// Whether the server has accepted.
    fn is_accepted(&self) -> bool {
        self.length == ACCEPTED.len() && !self.differs
    }
}

/// The header of a frame.
struct Header {
    /// The final bit, reserved bits and the opcode.
    first: u8,
    /// Length of the body; of a masked frame, which no server may send, it is out of all bounds.
    payload: u64,
    /// Length of the header.
    length: usize,
}

impl Header {
    /// Reads it; none if bytes are missing. A masked frame or a length over 63 bits comes out as
    /// [broken](Header::is_broken).
    fn read(bytes: &[u8]) -> Option<Self> {
        let [first, second, rest @ ..] = bytes else { return None };
        let (payload, length) = match second & !MASKED {
            126 => (u64::from(u16::from_be_bytes(*rest.first_chunk()?)), 4),
            127 => (u64::from_be_bytes(*rest.first_chunk()?), HEADER),
            short => (u64::from(short), 2),
        };
        let payload = if second & MASKED != 0 { u64::MAX } else { payload };
        Some(Self { first: *first, payload, length })
    }

    /// Whether no server may send it: it is masked, or its length has the highest bit.
    fn is_broken(&self) -> bool {
        self.payload >> 63 != 0
    }
}

impl<S: AsyncRead + Unpin> Sieve<S> {
    /// Gives the next message if it is a usual one, whole in one binary frame; none if what comes next is for
    /// the library to deal with, be it the end.
    ///
    /// # Errors
    /// The socket cannot be read.
    #[inline]
    pub(super) fn poll_whole(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Bytes>>> {
        loop {
            match self.whole() {
                Whole::Message(message) => return Poll::Ready(Ok(Some(message))),
                Whole::Others => return Poll::Ready(Ok(None)),
                // At the end the library is told what there is of a frame.
                Whole::Short if ready!(self.poll_fill(cx))? == 0 => return Poll::Ready(Ok(None)),
                Whole::Short => {}
            }
        }
    }

    /// Reads what the socket has, as much as there is room for; gives how much that was, 0 at the end.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.buffer.capacity() - self.buffer.len() < LEAST {
            // The same buffer again, its rest moved to its front, if no message in it is held any more.
            self.buffer.reserve((ROOM + LEAST).saturating_sub(self.buffer.len()).max(LEAST));
        }
        let read = ready!(pin!(self.inner.read_buf(&mut self.buffer)).poll(cx))?;
        self.came.any |= read > 0;
        Poll::Ready(Ok(read))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Sieve<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        // A header is passed on whole: without room for one, nothing could be told from an end.
        if out.remaining() <= HEADER {
            return Poll::Ready(Err(io::Error::other("too little room to read a frame's header into")));
        }
        if this.reads == 0 {
            this.reads = READS;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        this.reads -= 1;
        let start = out.filled().len();
        loop {
            if let Some(endless) = this.failed {
                return Poll::Ready(Err(io::Error::other(endless)));
            }
            this.sift(out);
            if out.filled().len() > start {
                return Poll::Ready(Ok(()));
            }
            if this.failed.is_none() && ready!(this.poll_fill(cx))? == 0 {
                // The end: a header that was begun goes out as it is.
                this.pass(this.buffer.len().min(out.remaining()), out);
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Sieve<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.inner).poll_shutdown(cx))?;
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests;

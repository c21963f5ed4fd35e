//! What lies between the socket and the WebSocket library: it lets every byte through but the bodies of messages that are
//! too large, so that they are received without being kept and the connection goes on.
//!
//! The library would refuse such a message by its header and end the connection, and the next connection would meet the
//! same message. Here its frames are rewritten on the way: the head stays, the rest is read and let go, and the message
//! is marked with its true size. Text messages are passed on as binary ones with a mark, so that the library does not
//! read them for UTF-8 and cannot fail at a cut. All else, what breaks the protocol too, is left to the library.

use std::{
    collections::VecDeque,
    fmt, io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// So many bytes of an oversized message are kept: enough to hold the number of a commit behind its 200 operations.
pub(super) const HEAD: usize = 48 << 10;

/// No message is read to its end that is larger.
const READ_THROUGH: u64 = 1 << 30;

/// The longest header of a frame that is not masked (RFC 6455, 5.2).
const HEADER: usize = 10;

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
    /// The begun header of a frame, which was not passed on yet.
    held: Vec<u8>,
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
            held: Vec::with_capacity(HEADER),
            message: None,
            passed: 0,
            marks: VecDeque::new(),
            taken: 0,
            came: Came::default(),
            in_control: false,
            failed: None,
        }
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

    /// What came since this was last asked: of a message that is not complete, the library gives no sign.
    pub(super) fn take_came(&mut self) -> Came {
        std::mem::take(&mut self.came)
    }

    /// Sifts bytes in place; gives how many are to be passed on. They are never more than came in.
    fn sift(&mut self, bytes: &mut [u8]) -> usize {
        self.came.any = true;
        let (mut read, mut kept) = (0, 0);
        while let Some(rest) = bytes.get(read..).filter(|rest| !rest.is_empty()) {
            match &mut self.state {
                State::Opening(opening) => {
                    let end = opening.end(rest);
                    let length = end.unwrap_or(rest.len());
                    if end.is_some() {
                        self.state = if opening.is_accepted() { State::Header } else { State::Open };
                    }
                    bytes.copy_within(read..read + length, kept);
                    (read, kept) = (read + length, kept + length);
                }
                State::Header => {
                    let Some(header) = Header::read(rest) else {
                        self.held.extend_from_slice(rest);
                        break;
                    };
                    let length = header.length;
                    if header.is_broken() {
                        self.state = State::Open;
                        continue;
                    }
                    let mut out = [0; HEADER];
                    let written = match self.frame(&header, rest, &mut out) {
                        Ok(written) => written,
                        Err(endless) => {
                            self.failed = Some(endless);
                            break;
                        }
                    };
                    read += length;
                    if let (Some(to), Some(from)) = (bytes.get_mut(kept..kept + written), out.get(..written))
                    {
                        to.copy_from_slice(from);
                        kept += written;
                    }
                }
                State::Body { pass, drop } => {
                    let passed = (rest.len() as u64).min(*pass);
                    let dropped = (rest.len() as u64 - passed).min(*drop);
                    (*pass, *drop) = (*pass - passed, *drop - dropped);
                    if *pass == 0 && *drop == 0 {
                        self.state = State::Header;
                    }
                    if !self.in_control {
                        self.came.of_messages += passed + dropped;
                    }
                    // Both are at most the length of the rest.
                    let (passed, dropped) = (passed as usize, dropped as usize);
                    if kept != read {
                        bytes.copy_within(read..read + passed, kept);
                    }
                    (read, kept) = (read + passed + dropped, kept + passed);
                }
                State::Open => {
                    let length = rest.len();
                    bytes.copy_within(read..read + length, kept);
                    (read, kept) = (read + length, kept + length);
                }
            }
        }
        kept
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

/// How far the answer to the request has been read. Lines end as the library lets them: with or without a carriage return.
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

impl<S: AsyncRead + Unpin> AsyncRead for Sieve<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        // A header is passed on whole: without room for one, nothing could be told from an end.
        if buf.remaining() <= HEADER {
            return Poll::Ready(Err(io::Error::other("too little room to read a frame's header into")));
        }
        loop {
            if let Some(endless) = this.failed {
                return Poll::Ready(Err(io::Error::other(endless)));
            }
            let start = buf.filled().len();
            let held = this.held.len();
            buf.put_slice(&this.held);
            match Pin::new(&mut this.inner).poll_read(cx, buf) {
                Poll::Ready(Ok(())) => {}
                waiting => {
                    buf.set_filled(start);
                    return waiting;
                }
            }
            this.held.clear();
            let bytes = buf.filled_mut().get_mut(start..).unwrap_or_default();
            if bytes.len() == held {
                // The end: a header that was begun goes out as it is.
                return Poll::Ready(Ok(()));
            }
            let kept = this.sift(bytes);
            buf.set_filled(start + kept);
            if kept > 0 {
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
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A frame that is not masked.
    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![first];
        match payload.len() {
            short @ 0..=125 => bytes.push(short as u8),
            medium @ ..=0xffff => {
                bytes.push(126);
                bytes.extend((medium as u16).to_be_bytes());
            }
            long => {
                bytes.push(127);
                bytes.extend((long as u64).to_be_bytes());
            }
        }
        bytes.extend(payload);
        bytes
    }

    const OPENING: &[u8] = b"HTTP/1.1 101 Switching\r\nupgrade: websocket\r\n\r\n";

    /// What comes through of an opening and these frames, read in pieces of these sizes in turn; without the opening.
    fn through(frames: &[u8], sizes: &[usize], limit: usize) -> (Vec<u8>, Sieve<()>) {
        let mut sieve = Sieve::new((), limit);
        let mut out = Vec::new();
        let whole = [OPENING, frames].concat();
        let mut rest = &whole[..];
        for size in sizes.iter().copied().cycle() {
            let (piece, after) = rest.split_at(size.clamp(1, rest.len()));
            rest = after;
            let mut piece = [std::mem::take(&mut sieve.held), piece.to_vec()].concat();
            let kept = sieve.sift(&mut piece);
            out.extend(&piece[..kept]);
            if rest.is_empty() {
                break;
            }
        }
        out.extend(&sieve.held);
        assert!(out.starts_with(OPENING));
        (out.split_off(OPENING.len()), sieve)
    }

    fn marks(sieve: &mut Sieve<()>) -> Vec<Mark> {
        (0..sieve.passed).map(|_| sieve.next_mark()).collect()
    }

    #[test]
    fn what_fits_goes_through_as_it_is() {
        let frames = [frame(0x82, b"one"), frame(0x89, b"ping"), frame(0x82, &[7; 1000])].concat();
        for sizes in [&[1][..], &[2, 3], &[10_000]] {
            let (out, mut sieve) = through(&frames, sizes, 1000);
            assert_eq!(out, frames);
            assert_eq!(marks(&mut sieve), [Mark::default(); 2]);
        }
    }

    #[test]
    fn an_oversized_message_is_cut_to_its_head_and_the_next_one_is_whole() {
        let large: Vec<u8> = (0..100_000_u32).map(|at| at as u8).collect();
        let frames = [frame(0x82, b"a"), frame(0x82, &large), frame(0x82, b"b")].concat();
        let expected = [frame(0x82, b"a"), frame(0x82, &large[..HEAD]), frame(0x82, b"b")].concat();
        for sizes in [&[1][..], &[7, 4096], &[1 << 20]] {
            let (out, mut sieve) = through(&frames, sizes, 99_999);
            assert_eq!(out, expected);
            assert_eq!(sieve.take_came().of_messages, 100_002);
            let cut = Mark { text: false, cut_from: Some(100_000) };
            assert_eq!(marks(&mut sieve), [Mark::default(), cut, Mark::default()]);
        }
    }

    #[test]
    fn fragments_are_counted_together() {
        let frames = [
            frame(0x02, &[1; 600]),
            frame(0x89, b"ping"),
            frame(0x00, &[2; 600]),
            frame(0x00, &[3; 600]),
            frame(0x80, &[4; 600]),
            frame(0x82, b"next"),
        ]
        .concat();
        let expected =
            [frame(0x02, &[1; 600]), frame(0x89, b"ping"), frame(0x80, b""), frame(0x82, b"next")].concat();
        let (out, mut sieve) = through(&frames, &[5], 1000);
        assert_eq!(out, expected);
        assert_eq!(marks(&mut sieve)[0].cut_from, Some(2400));
        assert_eq!(through(&frames, &[5], 2400).0, frames);
    }

    #[test]
    fn text_is_passed_on_as_binary_with_a_mark() {
        let frames =
            [frame(0x81, b"{}"), frame(0x01, b"\xc3"), frame(0x80, b"\xa4"), frame(0x82, b"x")].concat();
        let expected =
            [frame(0x82, b"{}"), frame(0x02, b"\xc3"), frame(0x80, b"\xa4"), frame(0x82, b"x")].concat();
        let (out, mut sieve) = through(&frames, &[3], 1000);
        assert_eq!(out, expected);
        assert_eq!(marks(&mut sieve).iter().map(|mark| mark.text).collect::<Vec<_>>(), [true, true, false]);
    }

    #[test]
    fn any_opening_that_the_library_takes_is_one_and_a_refusal_is_none() {
        let text = frame(0x81, b"{}");
        for (opening, changes) in [
            ("HTTP/1.1 101 Switching\nupgrade: websocket\n\n", true),
            ("\r\n\r\nHTTP/1.1 101\r\nupgrade: websocket\n\r\n", true),
            ("HTTP/1.1 403 Forbidden\r\na: 101\r\n\r\n", false),
        ] {
            for size in [1, 3, 1000] {
                let mut sieve = Sieve::new((), 10);
                let whole = [opening.as_bytes(), &text].concat();
                let mut out: Vec<u8> = Vec::new();
                for piece in whole.chunks(size) {
                    let mut piece = [std::mem::take(&mut sieve.held), piece.to_vec()].concat();
                    let kept = sieve.sift(&mut piece);
                    out.extend(&piece[..kept]);
                }
                let first = if changes { 0x82 } else { 0x81 };
                assert_eq!(out, [opening.as_bytes(), &[first], &text[1..]].concat(), "{opening:?}");
            }
        }
    }

    #[test]
    fn what_breaks_the_protocol_is_left_to_the_library() {
        let masked = [vec![0x82, 0x81, 1, 2, 3, 4, 5], frame(0x82, &[1; 5000])].concat();
        assert_eq!(through(&masked, &[3], 10).0, masked);
        let mut huge = vec![0x82, 127];
        huge.extend(u64::MAX.to_be_bytes());
        assert_eq!(through(&huge, &[3], 10).0, huge);
    }

    #[test]
    fn a_message_without_end_is_an_error() {
        let mut sieve = Sieve::new((), 10);
        sieve.state = State::Header;
        let before = frame(0x82, b"before");
        let mut bytes = [&before[..], &[0x82, 127], &(READ_THROUGH + 1).to_be_bytes()].concat();
        let kept = sieve.sift(&mut bytes);
        assert_eq!(bytes[..kept], before);
        assert_eq!(sieve.failed.unwrap().size, READ_THROUGH + 1);
    }

    proptest! {
        #[test]
        fn pieces_make_no_difference(
            frames in proptest::collection::vec((0u8..16, any::<bool>(), 0usize..5000), 0..12),
            sizes in proptest::collection::vec(1usize..3000, 1..8),
            limit in 0usize..6000,
        ) {
            let bytes: Vec<u8> = frames
                .iter()
                .flat_map(|(opcode, last, size)| frame(opcode | if *last { FINAL } else { 0 }, &vec![7; *size]))
                .collect();
            let (whole, mut sieve) = through(&bytes, &[usize::MAX], limit);
            let (pieces, mut other) = through(&bytes, &sizes, limit);
            prop_assert_eq!(whole, pieces);
            prop_assert_eq!(marks(&mut sieve), marks(&mut other));
        }
    }
}

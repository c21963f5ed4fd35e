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

/// Has all that is buffered passed on, in whatever pieces the sieve gives it.
fn sifted<S>(sieve: &mut Sieve<S>) -> Vec<u8> {
    let mut all = Vec::new();
    loop {
        let mut room = [0; 700];
        let mut out = ReadBuf::new(&mut room);
        let before = sieve.buffer.len();
        sieve.sift(&mut out);
        all.extend(out.filled());
        if out.filled().is_empty() && sieve.buffer.len() == before {
            return all;
        }
    }
}

/// What comes through of an opening and these frames, read in pieces of these sizes in turn; without the opening.
fn through(frames: &[u8], sizes: &[usize], limit: usize) -> (Vec<u8>, Sieve<()>) {
    let mut sieve = Sieve::new((), limit);
    let mut out = Vec::new();
    let whole = [OPENING, frames].concat();
    let mut rest = &whole[..];
    for size in sizes.iter().copied().cycle() {
        let (piece, after) = rest.split_at(size.clamp(1, rest.len()));
        rest = after;
        sieve.buffer.extend_from_slice(piece);
        out.extend(sifted(&mut sieve));
        if rest.is_empty() {
            break;
        }
    }
    out.extend(&sieve.buffer);
    sieve.buffer.clear();
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
    let frames = [frame(0x81, b"{}"), frame(0x01, b"\xc3"), frame(0x80, b"\xa4"), frame(0x82, b"x")].concat();
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
                sieve.buffer.extend_from_slice(piece);
                out.extend(sifted(&mut sieve));
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
    sieve.buffer.extend([&before[..], &[0x82, 127], &(READ_THROUGH + 1).to_be_bytes()].concat());
    assert_eq!(sifted(&mut sieve), before);
    assert_eq!(sieve.failed.unwrap().size, READ_THROUGH + 1);
}

/// What a reader gets of these frames: messages that the sieve gives, and the bytes that it leaves to the
/// library, which reads them by one call a frame as the library does.
async fn received(frames: &[u8], limit: usize, most: usize) -> Vec<(bool, Vec<u8>)> {
    let whole = [OPENING, frames].concat();
    let mut sieve = Sieve::new(Pieces(whole, most), limit);
    let mut all = Vec::new();
    let mut room = vec![0; 1 << 20];
    loop {
        let message = std::future::poll_fn(|cx| sieve.poll_whole(cx)).await.unwrap();
        if let Some(message) = message {
            all.push((true, message.to_vec()));
            continue;
        }
        match sieve.read(&mut room).await.unwrap() {
            0 => return all,
            read => match all.last_mut() {
                Some((false, bytes)) => bytes.extend(&room[..read]),
                _ => all.push((false, room[..read].to_vec())),
            },
        }
    }
}

/// Gives bytes in pieces of at most so many.
struct Pieces(Vec<u8>, usize);

impl AsyncRead for Pieces {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let piece = self.0.len().min(self.1).min(out.remaining());
        out.put_slice(&self.0[..piece]);
        self.0.drain(..piece);
        Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn usual_messages_are_given_and_all_else_is_left_to_the_library() {
    let large = vec![7; ROOM];
    let frames = [
        frame(0x82, b"one"),
        frame(0x82, b""),
        frame(0x89, b"ping"),
        frame(0x82, b"two"),
        frame(0x81, b"text"),
        frame(0x02, b"be"),
        frame(0x80, b"gun"),
        frame(0x82, b"three"),
        frame(0x82, &large),
        frame(0x82, b"four"),
        frame(0x82, &[1; 400_000]),
        frame(0x82, b"five"),
        vec![0x82, 5, 1],
    ]
    .concat();
    let cut = frame(0x82, &[1; HEAD]);
    let expected = [
        (false, OPENING.to_vec()),
        (true, b"one".to_vec()),
        (true, Vec::new()),
        (false, frame(0x89, b"ping")),
        (true, b"two".to_vec()),
        (false, [frame(0x82, b"text"), frame(0x02, b"be"), frame(0x80, b"gun")].concat()),
        (true, b"three".to_vec()),
        (false, frame(0x82, &large)),
        (true, b"four".to_vec()),
        (false, cut),
        (true, b"five".to_vec()),
        (false, vec![0x82, 5, 1]),
    ];
    for most in [1, 3, 1000, 1 << 20] {
        let received = received(&frames, 300_000, most).await;
        let seen = |all: &[(bool, Vec<u8>)]| {
            all.iter().map(|(usual, bytes)| (*usual, bytes.len())).collect::<Vec<_>>()
        };
        assert_eq!(seen(&received), seen(&expected), "in pieces of {most}");
        assert!(received == expected, "in pieces of {most}");
    }
}

#[tokio::test]
async fn a_message_that_comes_in_pieces_is_told_of() {
    let bytes = [OPENING, &frame(0x82, &[1; 1000])].concat();
    let mut sieve = Sieve::new(Pieces(bytes[..OPENING.len() + 504].to_vec(), 1 << 20), 10_000);
    let mut room = [0; 100];
    assert_eq!(sieve.read(&mut room).await.unwrap(), OPENING.len());
    assert!(std::future::poll_fn(|cx| sieve.poll_whole(cx)).await.unwrap().is_none());
    assert_eq!(sieve.take_came().of_messages, 504);
    assert_eq!(sieve.take_came().of_messages, 0);
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

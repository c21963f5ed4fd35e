//! Each fault by script: that it fires in its place, is recorded, and what bytes a client sees.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use bytes::Bytes;
use skytide_atproto::frame::{self, Frame, Kind};
use skytide_atproto::message::Message;
use skytide_sim::{Ending, FaultKind, Faults, Fired, FiredAt, Pacing, Relay, RelayHandle, SUBSCRIBE_REPOS};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::client::{Raw, RawMessage, frames, kinds, seqs, subscribe, to_the_end};

/// A whole binary message.
const WHOLE: u8 = 0x82;

/// Five frames, numbered from 11, and a script.
fn relay(script: &str) -> RelayHandle {
    let faults = Faults::new(1).script(script.parse().unwrap());
    let relay = Relay::from_frames(frames(11..=15), Pacing::AsRead).faults(faults).ending(Ending::Close);
    relay.start("127.0.0.1:0").unwrap()
}

/// The frames of [`relay`] as messages.
fn plain() -> Vec<RawMessage> {
    frames(11..=15).iter().map(|frame| (WHOLE, frame.to_vec())).collect()
}

/// Their bytes on the wire.
fn wire(messages: &[RawMessage]) -> Vec<u8> {
    let one = |(first, payload): &RawMessage| {
        [&[*first, u8::try_from(payload.len()).unwrap()], payload.as_slice()].concat()
    };
    messages.iter().flat_map(one).collect()
}

fn lines(fired: &[Fired]) -> Vec<String> {
    fired.iter().map(ToString::to_string).collect()
}

/// The one extra message that a fault before the third frame sends; every frame comes as it is.
async fn beside(fault: &str) -> RawMessage {
    let relay = relay(&format!("at 3 {fault}"));
    let mut messages = Raw::subscribe(&relay, "").await.messages(6).await;
    let extra = messages.remove(2);
    assert!(messages == plain(), "{fault}");
    let fired = relay.fired();
    assert_eq!(lines(&fired), [format!("connection 1, frame 3 (seq 13): {fault}")]);
    let at = FiredAt { of_stream: 3, of_connection: Some(3), seq: Some(13) };
    assert_eq!(
        (fired[0].frame, fired[0].connection, fired[0].stream),
        (Some(at), Some(1), Some(SUBSCRIBE_REPOS))
    );
    assert_eq!(relay.fault_counts().into_iter().collect::<Vec<_>>(), [(fired[0].kind(), 1)]);
    assert_eq!(relay.counters().sent, 5, "what is no frame of the stream is not counted as one");
    extra
}

#[tokio::test]
async fn garbage_is_no_cbor() {
    let (first, garbage) = beside("garbage 40 bytes").await;
    // A byte that begins no item, so that no draw of the others makes a frame.
    assert_eq!((first, garbage.len(), garbage[0]), (WHOLE, 40, 0xff));
    assert!(Frame::parse(&garbage).is_err() && frame::peek(&garbage).is_err());
}

#[tokio::test]
async fn a_truncated_frame_is_the_start_of_the_next() {
    let third = frames([13]).remove(0);
    for after in [0, 1, 30, third.len() - 1] {
        let (first, truncated) = beside(&format!("truncated after {after} bytes")).await;
        assert_eq!((first, truncated.as_slice()), (WHOLE, &third[..after]));
        assert!(Frame::parse(&truncated).and_then(|frame| Message::parse(&frame).map(drop)).is_err());
    }
    // More than there is of it is all but one byte; the record says what was sent.
    let relay = relay("at 3 truncated after 5000 bytes");
    let messages = Raw::subscribe(&relay, "").await.messages(3).await;
    assert_eq!(messages[2].1, third[..third.len() - 1]);
    let sent = third.len() - 1;
    assert_eq!(
        lines(&relay.fired()),
        [format!("connection 1, frame 3 (seq 13): truncated after {sent} bytes")]
    );
}

#[tokio::test]
async fn three_items_are_a_frame_and_one_more() {
    let (first, three) = beside("three-items").await;
    assert_eq!((first, three), (WHOLE, [&frames([13]).remove(0)[..], &[0xa0]].concat()));
}

#[tokio::test]
async fn an_oversized_message_is_really_sent() {
    for size in [0, 5, 20, 70_000, 6_000_000] {
        let (first, oversized) = beside(&format!("oversized {size} bytes")).await;
        assert_eq!((first, oversized.len()), (WHOLE, size));
        let (head, rest) = oversized.split_at(size.min(20));
        assert!(b"\xa2\x61t\x67#commit\x62op\x01".iter().zip(head).all(|(expected, byte)| expected == byte));
        assert!(rest.iter().all(|byte| *byte == 0));
        if size >= 70_000 {
            // Two whole items, so that its size is all that is wrong with its form.
            assert_eq!(Frame::parse(&oversized).unwrap().kind(), Kind::Commit);
        }
    }
}

#[tokio::test]
async fn text_and_pings_are_no_frames() {
    assert_eq!(beside("text").await, (0x81, b"a text message".to_vec()));
    assert_eq!(beside("ping").await, (0x89, b"there?".to_vec()));
}

#[tokio::test]
async fn frames_of_unknown_kinds_are_well_formed() {
    for op in [42, 0, -2, i64::MAX] {
        let (_, unknown) = beside(&format!("unknown-op {op}")).await;
        let unknown = Frame::parse(&unknown).unwrap();
        assert_eq!((unknown.header.op, unknown.kind()), (op, Kind::Unknown));
    }
    let (_, unknown) = beside("unknown-type future").await;
    let unknown = Frame::parse(&unknown).unwrap();
    assert_eq!((unknown.header.op, unknown.header.t, unknown.kind()), (1, Some("#future"), Kind::Unknown));
}

#[tokio::test]
async fn an_info_has_the_name_that_is_asked_for() {
    let (_, info) = beside("info OutdatedCursor").await;
    let info = Frame::parse(&info).unwrap();
    let Ok(Message::Info(info)) = Message::parse(&info) else { panic!("{info:?}") };
    assert_eq!((info.name, info.message), ("OutdatedCursor", None));
}

#[tokio::test]
async fn fragments_make_up_the_frame() {
    let relay = relay(
        "at 3 fragmented into 3 parts\nat 3 ping\nat 4 fragmented into 1 parts\nat 5 fragmented into 500 parts",
    );
    let mut raw = Raw::subscribe(&relay, "").await;
    let messages = raw.messages(2 + 1 + 3 + 1 + 500).await;
    let firsts: Vec<_> = messages.iter().map(|(first, _)| *first).collect();
    assert_eq!(firsts[..8], [WHOLE, WHOLE, 0x89, 0x02, 0x00, 0x80, WHOLE, 0x02]);
    assert!(firsts[8..506].iter().all(|first| *first == 0x00));
    assert_eq!(firsts[506], 0x80);
    let whole = |range: std::ops::Range<usize>| {
        let parts: Vec<_> = messages[range].iter().map(|(_, part)| part.as_slice()).collect();
        (WHOLE, parts.concat())
    };
    assert_eq!([whole(3..6), whole(6..7), whole(7..507)], plain()[2..]);
    assert_eq!(relay.fault_counts()[&FaultKind::Fragmented], 3);
}

/// Ends a connection after every number of bytes of the third message; gives how it ended.
async fn cut(how: &str) -> Option<ErrorKind> {
    let bytes = wire(&plain());
    let (before, whole) = (wire(&plain()[..2]).len(), wire(&plain()[2..3]).len());
    let script = |after: usize| format!("on {} at 3 {how} after {after} bytes\n", after + 1);
    let relay = relay(&(0..=whole).map(script).collect::<String>());
    let mut ends = Vec::new();
    for after in 0..=whole {
        let (seen, end) = Raw::subscribe(&relay, "?cursor=0").await.until_the_end().await;
        assert!(seen == bytes[..before + after], "{how} after {after} bytes: {} bytes seen", seen.len());
        ends.push(end);
    }
    let fired = lines(&relay.fired());
    let expected =
        |after: usize| format!("connection {}, frame 3 (seq 13): {how} after {after} bytes", after + 1);
    assert_eq!(fired, (0..=whole).map(expected).collect::<Vec<_>>());
    assert_eq!(relay.fault_counts().into_values().sum::<u64>(), whole as u64 + 1);
    // The stream itself has lost nothing.
    assert_eq!(Raw::subscribe(&relay, "?cursor=0").await.messages(5).await, plain());
    ends.dedup();
    assert_eq!(ends.len(), 1, "{ends:?}");
    ends[0]
}

#[tokio::test]
async fn a_connection_ends_or_is_reset_at_any_byte() {
    assert_eq!(cut("disconnect").await, None);
    assert_eq!(cut("reset").await, Some(ErrorKind::ConnectionReset));
}

#[tokio::test]
async fn a_close_has_the_code_that_is_asked_for() {
    let codes = [1000u16, 1001, 1006, 1008, 1011, 1012, 1013, 4000];
    let script: String = (1..).zip(codes).map(|(on, code)| format!("on {on} at 3 close {code}\n")).collect();
    let relay = relay(&script);
    for code in codes {
        let messages = Raw::subscribe(&relay, "?cursor=0").await.messages(3).await;
        assert_eq!(messages[..2], plain()[..2]);
        assert_eq!(messages[2], (0x88, code.to_be_bytes().to_vec()));
    }
    let expected =
        (1..).zip(codes).map(|(on, code)| format!("connection {on}, frame 3 (seq 13): close {code}"));
    assert_eq!(lines(&relay.fired()), expected.collect::<Vec<_>>());
}

#[tokio::test]
async fn an_error_of_any_name_ends_the_stream_as_servers_do() {
    let relay = relay("on 1 at 3 error ConsumerTooSlow\non 2 at 1 error FutureCursor");
    for (name, before) in [("ConsumerTooSlow", 2), ("FutureCursor", 0)] {
        let (seen, code, reason) = to_the_end(&mut subscribe(&relay, "?cursor=0").await.unwrap()).await;
        assert_eq!((code, reason.as_str()), (CloseCode::Policy, name));
        assert_eq!(seen[..before], frames(11..=15)[..before]);
        let error = Frame::parse(&seen[before]).unwrap();
        let Ok(Message::Error(error)) = Message::parse(&error) else { panic!("{error:?}") };
        assert_eq!((error.error, seen.len()), (name, before + 1));
    }
    assert_eq!(relay.fault_counts()[&FaultKind::Error], 2);
    assert_eq!(relay.counters().too_slow, 0, "nobody was too slow");
}

#[tokio::test]
async fn a_slow_socket_is_slow_for_a_while() {
    let relay_of = |rate, lasting| relay(&format!("at 3 slow {rate} bytes/s for {lasting}"));
    let slow = relay_of(400, "10s");
    let begun = Instant::now();
    assert_eq!(Raw::subscribe(&slow, "").await.messages(5).await, plain());
    // Nobody waits for the last portion.
    let least = Duration::from_secs_f64((wire(&plain()[2..]).len() as f64 - 20.0) / 400.0);
    assert!(begun.elapsed() > least, "{:?} for what takes {least:?}", begun.elapsed());
    assert_eq!(lines(&slow.fired()), ["connection 1, frame 3 (seq 13): slow 400 bytes/s for 10s"]);

    // At this rate for ever it would take minutes.
    let soon_over = relay_of(1, "200ms");
    assert_eq!(Raw::subscribe(&soon_over, "").await.messages(5).await, plain());
}

#[tokio::test]
async fn a_stalled_socket_says_nothing() {
    let short = relay("at 3 stall for 300ms");
    let begun = Instant::now();
    let mut raw = Raw::subscribe(&short, "").await;
    assert_eq!(raw.messages(5).await, plain());
    assert!(begun.elapsed() >= Duration::from_millis(300), "{:?}", begun.elapsed());

    let endless = relay("at 3 stall for ever");
    let mut raw = Raw::subscribe(&endless, "").await;
    assert_eq!(raw.messages(2).await, plain()[..2]);
    // A masked ping that would be answered at once.
    raw.0.write_all(&[0x89, 0x80, 1, 2, 3, 4]).await.unwrap();
    raw.hears_nothing(Duration::from_millis(300)).await;
    assert_eq!(lines(&endless.fired()), ["connection 1, frame 3 (seq 13): stall for ever"]);
    // Others are served.
    assert_eq!(Raw::subscribe(&endless, "?cursor=0").await.messages(5).await, plain());
}

#[tokio::test]
async fn a_connect_may_be_answered_otherwise() {
    let relay = relay("connect 1 answer 503\nconnect 2 answer 429 retry-after 7\nconnect 3 answer 502 html");
    for (status, lines_of_it, body) in [
        (
            "503 Service Unavailable",
            vec!["content-type: application/json", "content-length: 52"],
            "{\"error\":",
        ),
        ("429 Too Many Requests", vec!["retry-after: 7"], "{\"error\":"),
        (
            "502 Bad Gateway",
            vec!["content-type: text/html; charset=utf-8"],
            "<html><body><h1>502 Bad Gateway</h1>",
        ),
    ] {
        let (answer, end) = Raw::ask(&relay, "").await.until_the_end().await;
        let answer = String::from_utf8(answer).unwrap();
        let (head, given) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{head}");
        for line in lines_of_it {
            assert!(head.lines().any(|given| given.eq_ignore_ascii_case(line)), "{line} in {head}");
        }
        assert!(given.starts_with(body), "{given}");
        assert!(head.to_lowercase().contains(&format!("content-length: {}", given.len())), "{head}");
        assert_eq!(end, None);
    }
    assert_eq!(Raw::subscribe(&relay, "").await.messages(5).await, plain());
    let expected = [
        "connection 1: answer 503",
        "connection 2: answer 429 retry-after 7",
        "connection 3: answer 502 html",
    ];
    assert_eq!(lines(&relay.fired()), expected);
    assert_eq!((relay.counters().refused, relay.counters().connections), (3, 1));
}

#[tokio::test]
async fn a_library_takes_the_answer_for_what_it_is() {
    let relay = relay("connect every answer 301");
    match subscribe(&relay, "").await {
        Err(Error::Http(response)) => assert_eq!(response.status(), 301),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_connect_may_meet_silence_or_a_reset() {
    let relay = relay("connect 1 mute\nconnect 2 refuse");
    let mut mute = Raw::ask(&relay, "").await;
    mute.hears_nothing(Duration::from_millis(300)).await;
    // The reset may be there before the client knows that it is connected.
    let refused = async { TcpStream::connect(relay.addr()).await?.read(&mut [0]).await };
    assert_eq!(refused.await.unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert_eq!(Raw::subscribe(&relay, "").await.messages(5).await, plain());
    assert_eq!(lines(&relay.fired()), ["connection 1: mute", "connection 2: refuse"]);
    drop(mute);
    assert_eq!(relay.counters().refused, 2);
}

#[tokio::test]
async fn a_replay_may_begin_before_the_cursor_or_behind_it() {
    let relay = relay(
        "connect every duplicates 2   # where there is no cursor it does nothing\n\
         connect 4 duplicates 9       # as many as there are",
    );
    for (query, expected) in
        [("", vec![11, 12, 13, 14, 15]), ("?cursor=14", vec![12, 13, 14, 15]), ("?cursor=11", vec![11, 12])]
    {
        assert_eq!(seqs(&mut subscribe(&relay, query).await.unwrap(), expected.len()).await, expected);
    }
    assert_eq!(seqs(&mut subscribe(&relay, "?cursor=14").await.unwrap(), 5).await, [11, 12, 13, 14, 15]);
    assert_eq!(
        lines(&relay.fired()),
        ["connection 2: duplicates 2, seq 12 to 13", "connection 4: duplicates 3, seq 11 to 13"]
    );
}

#[tokio::test]
async fn duplicates_are_of_the_window() {
    let faults = Faults::new(1).script("connect every duplicates 9".parse().unwrap());
    let relay = Relay::from_frames(frames(11..=15), Pacing::AsRead).faults(faults).window(3);
    let relay = relay.start("127.0.0.1:0").unwrap();
    assert_eq!(seqs(&mut subscribe(&relay, "").await.unwrap(), 5).await, [11, 12, 13, 14, 15]);
    assert_eq!(seqs(&mut subscribe(&relay, "?cursor=15").await.unwrap(), 3).await, [13, 14, 15]);
    assert_eq!(lines(&relay.fired()), ["connection 2: duplicates 2, seq 13 to 14"]);
}

#[tokio::test]
async fn a_gap_loses_what_it_says() {
    let relay = relay("connect every gap 2\nconnect 2 duplicates 1");
    assert_eq!(seqs(&mut subscribe(&relay, "").await.unwrap(), 5).await, [11, 12, 13, 14, 15]);
    assert_eq!(seqs(&mut subscribe(&relay, "?cursor=12").await.unwrap(), 1).await, [15]);
    assert_eq!(lines(&relay.fired()), ["connection 2: gap 2, seq 13 to 14"]);
    // A gap that the stream ends in has lost nothing yet: the client comes back with the same cursor.
    let (none, ..) = to_the_end(&mut subscribe(&relay, "?cursor=14").await.unwrap()).await;
    assert_eq!((none, relay.fired().len()), (Vec::<Bytes>::new(), 1));
}

#[tokio::test]
async fn a_cursor_may_be_read_by_another_rule() {
    let relay =
        relay("connect 1 cursor\nconnect 2 cursor exclusive\nconnect 3 cursor inclusive\nconnect 5 cursor");
    for expected in [vec![11, 12], vec![14, 15], vec![13, 14], vec![13, 14], vec![14, 15]] {
        let query = if expected[0] == 11 { "" } else { "?cursor=13" };
        assert_eq!(seqs(&mut subscribe(&relay, query).await.unwrap(), 2).await, expected);
    }
    let expected = [
        "connection 2: cursor exclusive",
        "connection 3: cursor inclusive",
        "connection 5: cursor exclusive",
    ];
    assert_eq!(lines(&relay.fired()), expected);
}

#[tokio::test]
async fn numbering_may_begin_anew() {
    let relay = relay("at 3 renumber");
    let (seen, ..) = to_the_end(&mut subscribe(&relay, "").await.unwrap()).await;
    let numbered = |seq| (Kind::Account, Some(seq));
    assert_eq!(kinds(&seen), [11, 12, 1, 2, 3].map(numbered));
    // Nothing but the number is another.
    let time = |frame: &Bytes| frame::peek(frame).unwrap().time;
    assert!(seen.iter().map(time).eq(frames(11..=15).iter().map(time)));
    assert_eq!(seqs(&mut subscribe(&relay, "?cursor=2").await.unwrap(), 2).await, [2, 3]);
    assert_eq!(seqs(&mut subscribe(&relay, "?cursor=0").await.unwrap(), 3).await, [1, 2, 3]);
    let (seen, ..) = to_the_end(&mut subscribe(&relay, "?cursor=12").await.unwrap()).await;
    assert_eq!(kinds(&seen), [(Kind::Error, None)], "it is now in the future");
    assert_eq!(lines(&relay.fired()), [format!("{SUBSCRIBE_REPOS}, frame 3 (seq 1): renumber")]);
}

#[tokio::test]
async fn a_line_of_the_stream_fires_once_and_one_of_connections_on_each() {
    let relay = relay("at 2 text\non every at 4 ping\non 2 at 1 ping");
    let firsts = async || {
        let messages = Raw::subscribe(&relay, "?cursor=0").await.messages(7).await;
        messages.into_iter().map(|(first, _)| first).collect::<Vec<_>>()
    };
    assert_eq!(firsts().await, [WHOLE, 0x81, WHOLE, WHOLE, 0x89, WHOLE, WHOLE]);
    assert_eq!(firsts().await, [0x89, WHOLE, WHOLE, WHOLE, 0x89, WHOLE, WHOLE]);
    assert_eq!(
        relay.fault_counts().into_iter().collect::<Vec<_>>(),
        [(FaultKind::Text, 1), (FaultKind::Ping, 3)]
    );
}

#[tokio::test]
async fn a_line_of_the_stream_fires_behind_its_frame_if_nobody_was_sent_that() {
    let relay = relay("at 2 text\nat 2 close 1013\nat 3 ping");
    assert_eq!(Raw::subscribe(&relay, "").await.messages(3).await[2], (0x88, 1013u16.to_be_bytes().to_vec()));
    let messages = Raw::subscribe(&relay, "?cursor=15").await.messages(2).await;
    assert_eq!(messages.iter().map(|(first, _)| *first).collect::<Vec<_>>(), [0x89, WHOLE]);
    let expected = [
        "connection 1, frame 2 (seq 12): text",
        "connection 1, frame 2 (seq 12): close 1013",
        "connection 2, frame 5 (seq 15): ping",
    ];
    assert_eq!(lines(&relay.fired()), expected);
}

//! Cursors, the window, endings, refusals, pace.

use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use skytide_atproto::frame::{self, Kind};
use skytide_atproto::message::{Account, Message};
use skytide_sim::{
    Beginning, Config, CursorRule, Ending, FrameSource as _, Network, Pacing, Relay, Replay, SUBSCRIBE_REPOS,
};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message as WsMessage};

use crate::client::{LIMIT, frames, kinds, next, seqs, subscribe, to_the_end};

#[tokio::test]
async fn frames_arrive_as_they_were_made_and_the_end_is_a_close() {
    let expected: Vec<_> = Network::new(Config { accounts: 20, ..Config::default() }).take(150).collect();
    let network = Network::new(Config { accounts: 20, ..Config::default() });
    let relay = Relay::new(network).total(150).ending(Ending::Close).start("127.0.0.1:0").unwrap();
    let mut socket = subscribe(&relay, "").await.unwrap();
    let (frames, code, reason) = to_the_end(&mut socket).await;
    assert!(frames.iter().eq(expected.iter().map(|frame| &frame.bytes)));
    assert_eq!((code, reason.as_str()), (CloseCode::Normal, ""));
    let counters = relay.counters();
    assert_eq!((counters.connections, counters.made, counters.sent, counters.newest_seq), (1, 150, 150, 150));
}

#[tokio::test]
async fn cursors_are_inclusive_or_exclusive() {
    for (rule, expected) in [(CursorRule::Inclusive, [20, 30, 40]), (CursorRule::Exclusive, [30, 40, 50])] {
        let relay = Relay::from_frames(frames((1..=6).map(|n| n * 10)), Pacing::AsRead);
        let relay = relay.cursor_rule(rule).start("127.0.0.1:0").unwrap();
        assert_eq!(seqs(&mut subscribe(&relay, "").await.unwrap(), 6).await, [10, 20, 30, 40, 50, 60]);
        assert_eq!(seqs(&mut subscribe(&relay, "?cursor=20").await.unwrap(), 3).await, expected);
        assert_eq!(seqs(&mut subscribe(&relay, "?cursor=0").await.unwrap(), 2).await, [10, 20]);
    }
}

#[tokio::test]
async fn what_has_left_the_window_is_told_of_or_not() {
    let relay = |notices| {
        let relay = Relay::from_frames(frames(1..=8), Pacing::AsRead).window(3).notices(notices);
        relay.ending(Ending::Close).start("127.0.0.1:0").unwrap()
    };
    let commits = |seqs: std::ops::RangeInclusive<u64>| seqs.map(|seq| (Kind::Account, Some(seq)));

    let telling = relay(true);
    assert_eq!(to_the_end(&mut subscribe(&telling, "").await.unwrap()).await.0.len(), 8);
    let (frames, ..) = to_the_end(&mut subscribe(&telling, "?cursor=2").await.unwrap()).await;
    assert_eq!(kinds(&frames), [(Kind::Info, None)].into_iter().chain(commits(6..=8)).collect::<Vec<_>>());
    let (frames, ..) = to_the_end(&mut subscribe(&telling, "?cursor=0").await.unwrap()).await;
    assert_eq!(kinds(&frames), commits(6..=8).collect::<Vec<_>>());
    let (frames, code, reason) = to_the_end(&mut subscribe(&telling, "?cursor=9").await.unwrap()).await;
    assert_eq!(kinds(&frames), [(Kind::Error, None)]);
    assert_eq!((code, reason.as_str()), (CloseCode::Policy, "FutureCursor"));
    assert_eq!(telling.counters().refused, 1);

    let silent = relay(false);
    assert_eq!(to_the_end(&mut subscribe(&silent, "").await.unwrap()).await.0.len(), 8);
    let (frames, ..) = to_the_end(&mut subscribe(&silent, "?cursor=2").await.unwrap()).await;
    assert_eq!(kinds(&frames), commits(6..=8).collect::<Vec<_>>());
    let (frames, code, _) = to_the_end(&mut subscribe(&silent, "?cursor=9").await.unwrap()).await;
    assert_eq!((frames.len(), code), (0, CloseCode::Normal));
}

#[tokio::test]
async fn other_requests_are_refused() {
    let relay = Relay::from_frames(frames(1..=3), Pacing::AsRead).start("127.0.0.1:0").unwrap();
    for (path, status) in [
        ("/", 404),
        ("/xrpc/com.atproto.sync.getRepo", 404),
        (&format!("{SUBSCRIBE_REPOS}?cursor=now") as &str, 400),
        (&format!("{SUBSCRIBE_REPOS}?cursor=-1"), 400),
    ] {
        match tokio_tungstenite::connect_async(format!("{}{path}", relay.url())).await {
            Err(Error::Http(response)) => assert_eq!(response.status().as_u16(), status, "{path}"),
            other => panic!("{path}: {other:?}"),
        }
    }
    assert_eq!(relay.counters().refused, 4);
    assert_eq!(relay.counters().connections, 0);
}

#[tokio::test]
async fn several_clients_get_the_same_stream_and_the_slowest_holds_up_the_others() {
    const FRAMES: u64 = 1_000;
    // Far more bytes than the system buffers for a client that does not read.
    let status = "x".repeat(60_000);
    let account = Account {
        seq: 1,
        did: "did:plc:a",
        time: "2026-07-04T14:38:07.500Z",
        active: true,
        status: Some(&status),
    };
    let large = vec![Message::Account(account).to_frame_bytes().into()];
    let relay =
        Relay::repeating(large, Pacing::AsRead).total(FRAMES).window(50).start("127.0.0.1:0").unwrap();
    let mut slow = subscribe(&relay, "").await.unwrap();
    assert_eq!(seqs(&mut slow, 1).await, [1]);

    // The other reads until nothing comes, since the slow one must not miss anything. On a machine so loaded that it
    // gives up early, less is shown, but nothing wrong.
    let mut fast = subscribe(&relay, "").await.unwrap();
    let from = seqs(&mut fast, 1).await[0];
    let mut at = from;
    while let Ok(Some(Ok(WsMessage::Binary(bytes)))) =
        tokio::time::timeout(Duration::from_millis(500), fast.next()).await
    {
        at += 1;
        assert_eq!(frame::peek(&bytes).expect("a frame").seq, Some(at));
    }
    assert!(relay.counters().made < FRAMES, "{:?}", relay.counters());

    let (all, rest) =
        tokio::join!(seqs(&mut slow, FRAMES as usize - 1), seqs(&mut fast, (FRAMES - at) as usize));
    assert!(all.into_iter().eq(2..=FRAMES));
    assert!(rest.into_iter().eq(at + 1..=FRAMES));
    let counters = relay.counters();
    assert_eq!((counters.too_slow, counters.connections, counters.sent), (0, 2, FRAMES + FRAMES - from + 1));
}

#[tokio::test]
async fn whoever_falls_behind_a_pace_is_told_so() {
    // Large frames, so that what the system buffers for a client that does not read is soon full.
    let large = Bytes::from(vec![0; 1 << 20]);
    let pacing = Pacing::Bursts { frames: 10, pause: Duration::from_millis(1) };
    let relay = Relay::repeating(vec![large], pacing).window(20).start("127.0.0.1:0").unwrap();
    let mut socket = subscribe(&relay, "").await.unwrap();
    let begun = Instant::now();
    while relay.counters().made < 200 {
        assert!(begun.elapsed() < LIMIT, "the pace is kept whoever reads: {:?}", relay.counters());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let (frames, code, reason) = to_the_end(&mut socket).await;
    assert_eq!((code, reason.as_str()), (CloseCode::Policy, "ConsumerTooSlow"));
    assert_eq!(kinds(&frames[frames.len() - 1..]), [(Kind::Error, None)]);
    assert_eq!(relay.counters().too_slow, 1);
}

#[tokio::test]
async fn a_rate_is_kept() {
    let relay = Relay::repeating(frames(1..=50), Pacing::Rate(1_000.0)).total(300).ending(Ending::Close);
    let relay = relay.start("127.0.0.1:0").unwrap();
    let begun = Instant::now();
    let (frames, ..) = to_the_end(&mut subscribe(&relay, "").await.unwrap()).await;
    // Never faster; how much slower is the machine's matter.
    assert_eq!(frames.len(), 300);
    assert!(begun.elapsed() >= Duration::from_millis(299), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_pace_begins_when_it_is_told_to() {
    let rate = Pacing::Rate(10_000.0);
    let waiting = Relay::repeating(frames(1..=5), rate).start("127.0.0.1:0").unwrap();
    let going =
        Relay::repeating(frames(1..=5), rate).beginning(Beginning::AtOnce).start("127.0.0.1:0").unwrap();
    let begun = Instant::now();
    while going.counters().made < 50 {
        assert!(begun.elapsed() < LIMIT);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(waiting.counters().made, 0);
    assert_eq!(seqs(&mut subscribe(&waiting, "").await.unwrap(), 1).await, [1]);
    assert!(seqs(&mut subscribe(&going, "").await.unwrap(), 1).await[0] > 50);
}

#[tokio::test]
async fn pings_are_answered_and_closes_too() {
    let relay = Relay::from_frames(frames(1..=2), Pacing::AsRead).start("127.0.0.1:0").unwrap();
    let mut socket = subscribe(&relay, "").await.unwrap();
    assert_eq!(seqs(&mut socket, 2).await, [1, 2]);
    socket.send(WsMessage::Ping(Bytes::from_static(b"there?"))).await.unwrap();
    assert_eq!(next(&mut socket).await, WsMessage::Pong(Bytes::from_static(b"there?")));
    socket.send(WsMessage::text("a subscriber has nothing to say")).await.unwrap();
    socket.close(None).await.unwrap();
    let end = tokio::time::timeout(LIMIT, socket.next()).await.expect("an answer in time");
    assert!(matches!(end, None | Some(Ok(WsMessage::Close(_)))), "{end:?}");
}

#[tokio::test]
async fn stopping_ends_connections_at_once() {
    let relay = Relay::from_frames(frames(1..=2), Pacing::AsRead).start("127.0.0.1:0").unwrap();
    let (address, mut socket) = (relay.addr(), subscribe(&relay, "").await.unwrap());
    assert_eq!(seqs(&mut socket, 2).await, [1, 2]);
    relay.stop();
    let end = tokio::time::timeout(LIMIT, socket.next()).await.expect("an end in time");
    assert!(matches!(end, None | Some(Err(_))), "{end:?}");
    assert!(TcpStream::connect(address).await.is_err());
}

#[test]
fn an_address_in_use_is_an_error() {
    let relay = Relay::from_frames(Vec::new(), Pacing::AsRead).start("127.0.0.1:0").unwrap();
    let error = Relay::from_frames(Vec::new(), Pacing::AsRead).start(relay.addr()).unwrap_err();
    assert!(error.to_string().starts_with("cannot listen on the address: "), "{error}");
}

#[test]
fn repeated_frames_follow_those_before() {
    let given: Vec<_> =
        Network::new(Config { accounts: 20, first_seq: 240, ..Config::default() }).take(40).collect();
    let bytes = || given.iter().map(|frame| frame.bytes.clone());
    let mut replay = Replay::repeating(bytes());
    let mut last_time = i64::MIN;
    for lap in 0..3 {
        let mut times = Vec::new();
        for (place, frame) in given.iter().enumerate() {
            let mut out = Vec::new();
            let seq = replay.next_into(&mut out).expect("no end").expect("a number");
            assert_eq!(seq, 240 + lap * 40 + place as u64);
            let peek = frame::peek(&out).expect("a frame");
            assert_eq!((peek.seq, peek.kind), (Some(seq), frame::peek(&frame.bytes).unwrap().kind));
            times.push(peek.time.expect("a time"));
            if lap == 0 {
                assert_eq!(out, frame.bytes);
            }
        }
        let moved: Vec<_> = times.iter().zip(&given).map(|(time, frame)| time - frame.time).collect();
        assert!(moved.iter().all(|by| *by == moved[0]), "every frame of a lap moves by the same");
        let least = times.iter().copied().min().unwrap();
        assert!(least > last_time, "a lap lies after the one before");
        last_time = times.into_iter().max().unwrap();
    }

    // One absurd time is none that the stream has come to.
    let mut odd = frames(1..=40);
    let account =
        Account { seq: 20, did: "did:plc:a", time: "2200-01-01T00:00:00Z", active: true, status: None };
    odd[19] = Message::Account(account).to_frame_bytes().into();
    let mut replay = Replay::repeating(odd);
    let mut lap = || {
        let next = |_| {
            let mut out = Vec::new();
            replay.next_into(&mut out).expect("no end");
            frame::peek(&out).expect("a frame").time.expect("a time")
        };
        (0..40).map(next).collect::<Vec<_>>()
    };
    let (first, second) = (lap(), lap());
    assert_eq!(second[0] - first[39], 975_000_000, "a mean step");

    // A pause at the beginning or the end is one.
    for hours in [[0, 1, 2, 3, 4], [0, 0, 0, 0, 9], [0, 9, 9, 9, 9]] {
        let quiet = (1..).zip(hours).map(|(seq, hour)| {
            let time = format!("2026-07-04T{hour:02}:00:0{seq}Z");
            let did = "did:plc:a";
            Message::Account(Account { seq, did, time: &time, active: true, status: None })
                .to_frame_bytes()
                .into()
        });
        let mut replay = Replay::repeating(quiet.collect::<Vec<Bytes>>());
        let mut times = std::iter::repeat_with(|| {
            let mut out = Vec::new();
            replay.next_into(&mut out).expect("no end");
            frame::peek(&out).expect("a frame").time.expect("a time")
        });
        let times: Vec<_> = times.by_ref().take(15).collect();
        assert!(times.is_sorted(), "{hours:?}: {times:?}");
    }

    let mut once = Replay::once(bytes());
    let mut out = Vec::new();
    while once.next_into(&mut out).is_some() {}
    assert_eq!(out, bytes().collect::<Vec<_>>().concat());
    assert_eq!(Replay::repeating([]).next_into(&mut out), None);
}

#[test]
fn bytes_that_are_no_frame_are_served_as_they_are() {
    let junk = [Bytes::from_static(b"junk"), Bytes::new(), frames([7]).remove(0)];
    let mut replay = Replay::repeating(junk.clone());
    let mut taken = Vec::new();
    for _ in 0..6 {
        let mut out = Vec::new();
        let seq = replay.next_into(&mut out).expect("no end");
        taken.push((seq, Bytes::from(out)));
    }
    let [junk, empty, seventh] = junk;
    assert_eq!(taken[..3], [(None, junk.clone()), (None, empty.clone()), (Some(7), seventh)]);
    assert_eq!((&taken[3], &taken[4], taken[5].0), (&(None, junk), &(None, empty), Some(8)));
}

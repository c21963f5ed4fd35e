//! The Jetstream of a relay: what it serves, each parameter, messages of the client, and what goes wrong there.

use std::collections::BTreeSet;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use skytide_atproto::frame::{Frame, Kind};
use skytide_atproto::jetstream::{options_update, write_events};
use skytide_atproto::message::{Account, Message};
use skytide_atproto::syntax::parse_time;
use skytide_sim::{
    Config, Ending, FaultKind, Faults, Fired, Network, Odd, Pacing, Relay, RelayHandle, SUBSCRIBE_JETSTREAM,
};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message as WsMessage};

use crate::client::{self, LIMIT, Socket, next, seqs, subscribe, subscribe_at};

/// Frames of every kind, with commits of many operations.
fn frames() -> Vec<Bytes> {
    static FRAMES: LazyLock<Vec<Bytes>> = LazyLock::new(|| {
        let odd: Odd =
            "account=60000,many=10000,sync=20000,info=20000,empty=10000,time=20000".parse().unwrap();
        let network = Network::new(Config { accounts: 40, odd, ..Config::default() });
        network.take(400).map(|frame| frame.bytes).collect()
    });
    FRAMES.clone()
}

/// The events of frames, their times by the rule.
fn events(frames: &[Bytes]) -> Vec<Value> {
    let (mut events, mut next, mut before) = (Vec::new(), 0, 0);
    for frame in frames {
        let frame = Frame::parse(frame).unwrap();
        let time = match Message::parse(&frame).unwrap() {
            Message::Commit(commit) => commit.time.to_owned(),
            Message::Identity(identity) => identity.time.to_owned(),
            Message::Account(account) => account.time.to_owned(),
            _ => continue,
        };
        let mut lines = String::new();
        if write_events(&frame, 0, |_| true, &mut lines).unwrap() == 0 {
            continue;
        }
        let time = parse_time(&time).unwrap() / 1000;
        if time < next + 86_400_000_000 || time < before + 86_400_000_000 || events.is_empty() {
            next = next.max(time);
        }
        before = time;
        for line in lines.lines() {
            let mut event: Value = serde_json::from_str(line).unwrap();
            event["time_us"] = next.into();
            next += 1;
            events.push(event);
        }
    }
    events
}

fn time(event: &Value) -> u64 {
    event["time_us"].as_u64().unwrap()
}

fn collection(event: &Value) -> Option<&str> {
    event["commit"]["collection"].as_str()
}

fn relay(faults: &str) -> Relay {
    Relay::from_frames(frames(), Pacing::AsRead)
        .jetstream()
        .faults(Faults::new(1).script(faults.parse().unwrap()))
        .ending(Ending::Close)
}

fn start(relay: Relay) -> RelayHandle {
    relay.start("127.0.0.1:0").unwrap()
}

/// A relay that has made all its frames.
async fn run_out(faults: &str) -> RelayHandle {
    let relay = start(relay(faults));
    subscribe(&relay, "").await.unwrap().for_each(async |_| ()).await;
    relay
}

async fn ask(relay: &RelayHandle, query: &str) -> Socket {
    subscribe_at(relay, &format!("{SUBSCRIBE_JETSTREAM}{query}")).await.unwrap()
}

fn read(message: &WsMessage) -> Value {
    let WsMessage::Text(text) = message else { panic!("no text: {message:?}") };
    serde_json::from_str(text).unwrap()
}

/// Everything up to the close, and its code and reason.
async fn messages(socket: &mut Socket) -> (Vec<WsMessage>, CloseCode, String) {
    let mut messages = Vec::new();
    loop {
        match next(socket).await {
            WsMessage::Close(Some(close)) => return (messages, close.code, close.reason.to_string()),
            message => messages.push(message),
        }
    }
}

async fn all(socket: &mut Socket) -> Vec<Value> {
    let (messages, code, reason) = messages(socket).await;
    assert_eq!((code, reason.as_str()), (CloseCode::Normal, ""));
    messages.iter().map(read).collect()
}

/// Not `assert_eq`: what differs is too long to be of use.
#[track_caller]
fn assert_same<'a>(got: &[Value], expected: impl IntoIterator<Item = &'a Value>) {
    let expected: Vec<_> = expected.into_iter().collect();
    let differs = got.iter().zip(&expected).position(|(got, expected)| got != *expected);
    if let Some(at) = differs {
        panic!("event {at}: {} instead of {}", got[at], expected[at]);
    }
    assert_eq!(got.len(), expected.len());
}

#[tokio::test]
async fn events_are_those_of_the_frames() {
    let (frames, relay) = (frames(), start(relay("")));
    let expected = events(&frames);
    let kinds: BTreeSet<_> = expected.iter().map(|event| event["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, BTreeSet::from(["account", "commit", "identity"]));
    assert!(expected.is_sorted_by(|one, other| time(one) < time(other)));
    assert!(expected.len() > frames.len() + 400, "{} events of {}", expected.len(), frames.len());
    let odd = frames.iter().filter(|frame| {
        !matches!(Frame::parse(frame).unwrap().kind(), Kind::Commit | Kind::Account | Kind::Identity)
    });
    assert!(odd.count() > 5, "there are frames that have no event");

    // With the frames as they are made, and again from the window.
    assert_same(&all(&mut ask(&relay, "").await).await, &expected);
    assert_same(&all(&mut ask(&relay, "?cursor=0").await).await, &expected);
    let counters = relay.counters_of(SUBSCRIBE_JETSTREAM).unwrap();
    assert_eq!((counters.connections, counters.sent, counters.made), (2, 2 * expected.len() as u64, 0));
    assert_eq!(counters.newest_seq, time(expected.last().unwrap()));
    assert_eq!(relay.counters().made, 400);
    // The stream of frames is there as ever.
    assert_eq!(seqs(&mut subscribe(&relay, "?cursor=1").await.unwrap(), 2).await, [1, 2]);
}

#[tokio::test]
async fn cursors_are_times_and_inclusive() {
    let (relay, expected) = (run_out("").await, events(&frames()));
    let from = async |cursor: i64| all(&mut ask(&relay, &format!("?cursor={cursor}")).await).await;
    // Within a commit of many operations, too.
    let many = expected.windows(3).position(|three| {
        three.iter().all(|event| event["commit"]["rev"].is_string())
            && three[0]["commit"]["rev"] == three[2]["commit"]["rev"]
    });
    for at in [0, 1, 100, many.expect("a commit of many operations") + 1, expected.len() - 1] {
        assert_same(&from(time(&expected[at]) as i64).await, &expected[at..]);
    }
    // Between two events; before all; after all.
    let gap = expected.windows(2).position(|two| time(&two[1]) > time(&two[0]) + 1).unwrap();
    assert_same(&from(time(&expected[gap]) as i64 + 1).await, &expected[gap + 1..]);
    assert_same(&from(-1).await, &expected);
    assert_same(&from(i64::MAX).await, []);
    assert_same(&from(time(expected.last().unwrap()) as i64 + 1).await, []);
    assert_same(&all(&mut ask(&relay, "").await).await, []);
}

#[tokio::test]
async fn a_cursor_older_than_the_window_is_the_oldest_there_is() {
    let frames = frames();
    let relay = start(relay("").window(50));
    all(&mut ask(&relay, "").await).await;
    let (before, expected) = (events(&frames[..350]).len(), events(&frames));
    for cursor in [0, 1, time(&expected[3])] {
        assert_same(&all(&mut ask(&relay, &format!("?cursor={cursor}")).await).await, &expected[before..]);
    }
}

#[tokio::test]
async fn wants_choose() {
    let (relay, expected) = (run_out("").await, events(&frames()));
    let did = expected[7]["did"].as_str().unwrap();
    let post = |event: &&Value| collection(event).is_none_or(|it| it == "app.bsky.feed.post");
    let graph = |event: &&Value| collection(event).is_none_or(|it| it.starts_with("app.bsky.graph."));
    let feed = |event: &&Value| collection(event).is_none_or(|it| it.starts_with("app.bsky.feed."));
    let of_did = |event: &&Value| event["did"] == did;
    let asked = async |query: &str| all(&mut ask(&relay, &format!("?cursor=0&{query}")).await).await;
    let posts: Vec<_> = expected.iter().filter(post).collect();
    assert!(
        posts.len() < expected.len() && posts.iter().filter(|event| collection(event).is_some()).count() > 10
    );
    assert_same(&asked("wantedCollections=app.bsky.feed.post").await, posts);
    assert_same(
        &asked("wantedCollections=app.bsky.feed.post&wantedCollections=app.bsky.graph.*").await,
        expected.iter().filter(|event| post(event) || graph(event)),
    );
    assert_same(&asked("wantedCollections=app%2ebsky.feed.%2A").await, expected.iter().filter(feed));
    assert!(expected.iter().filter(of_did).count() > 1);
    assert_same(
        &asked(&format!("wantedDids={}", did.replace(':', "%3A"))).await,
        expected.iter().filter(of_did),
    );
    assert_same(
        &asked(&format!("wantedDids={did}&wantedDids=did:plc:nobody&wantedCollections=app.bsky.feed.post"))
            .await,
        expected.iter().filter(|event| of_did(event) && post(event)),
    );
}

#[tokio::test]
async fn what_is_malformed_or_too_much_is_answered_with_400() {
    let relay = start(relay(""));
    let many: Vec<_> = (0..101).map(|at| format!("wantedCollections=app.bsky.c{at}")).collect();
    for (query, says) in [
        ("cursor=now", "cursor"),
        ("wantedCollections=post", "wantedCollections"),
        ("wantedCollections=*", "wantedCollections"),
        ("wantedDids=alice.test", "wantedDids"),
        ("wantedDids=%ff", "UTF-8"),
        (&many.join("&"), "at most 100"),
        // No dictionary was given.
        ("compress=true", "dictionary"),
    ] {
        match subscribe_at(&relay, &format!("{SUBSCRIBE_JETSTREAM}?{query}")).await {
            Err(Error::Http(response)) => {
                assert_eq!(response.status(), 400, "{query}");
                let body: Value = serde_json::from_slice(response.body().as_ref().unwrap()).unwrap();
                assert_eq!(body["error"], "InvalidRequest");
                assert!(body["message"].as_str().unwrap().contains(says), "{query}: {body}");
            }
            other => panic!("{query}: {other:?}"),
        }
    }
    assert_eq!(relay.counters().refused, 7);
    let without = start(Relay::from_frames(frames(), Pacing::AsRead));
    match subscribe_at(&without, SUBSCRIBE_JETSTREAM).await {
        Err(Error::Http(response)) => assert_eq!(response.status(), 404),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn events_are_compressed_with_the_dictionary() {
    let expected = events(&frames());
    // Any bytes are a dictionary.
    let dictionary = expected[..20].iter().map(ToString::to_string).collect::<String>().into_bytes();
    let relay = start(relay("at 30 garbage 40 bytes\nat 40 truncated").dictionary(dictionary.clone()));
    let (compressed, ..) = messages(&mut ask(&relay, "?compress=true").await).await;
    let mut decompressor = zstd::bulk::Decompressor::with_dictionary(&dictionary).unwrap();
    let (mut got, mut bad, mut bytes) = (Vec::new(), 0, [0, 0]);
    for message in &compressed {
        let WsMessage::Binary(message) = message else { panic!("{message:?}") };
        match decompressor.decompress(message, 4 << 20) {
            Ok(text) => {
                bytes = [bytes[0] + message.len(), bytes[1] + text.len()];
                got.push(serde_json::from_slice(&text).unwrap());
            }
            Err(_) => bad += 1,
        }
    }
    assert_same(&got, &expected);
    assert_eq!(bad, 2);
    assert!(bytes[0] * 3 < bytes[1] * 2, "{bytes:?}");
    // Who does not ask for it gets text.
    assert_same(&all(&mut ask(&relay, "?cursor=0&compress=false").await).await, &expected);
}

async fn say(socket: &mut Socket, text: &str) {
    socket.send(WsMessage::text(text)).await.unwrap();
}

#[tokio::test]
async fn nothing_is_sent_before_the_hello() {
    let (relay, expected) = (start(relay("")), events(&frames()));
    let mut socket = ask(&relay, "?requireHello=true&wantedCollections=app.bsky.feed.like").await;
    // Neither a ping nor a message of another type is one.
    socket.send(WsMessage::Ping(Bytes::from_static(b"there?"))).await.unwrap();
    assert_eq!(next(&mut socket).await, WsMessage::Pong(Bytes::from_static(b"there?")));
    say(&mut socket, r#"{"type":"greeting","payload":{}}"#).await;
    let early = tokio::time::timeout(Duration::from_millis(100), socket.next()).await;
    assert!(early.is_err(), "{early:?}");
    // It is not held against others either: who waits has no place yet.
    assert_eq!(relay.counters().made, 0);
    say(&mut socket, &options_update(&["app.bsky.feed.post".to_owned()], &[])).await;
    let posts = |event: &&Value| collection(event).is_none_or(|it| it == "app.bsky.feed.post");
    assert_same(&all(&mut socket).await, expected.iter().filter(posts));
}

#[tokio::test]
async fn an_update_replaces_the_wants() {
    let relay = Relay::repeating(frames(), Pacing::Rate(2_000.0)).jetstream();
    let relay = start(relay);
    let mut socket = ask(&relay, "?wantedCollections=app.bsky.feed.like").await;
    let collections = async |socket: &mut Socket| loop {
        if let Some(collection) = collection(&read(&next(socket).await)) {
            return collection.to_owned();
        }
    };
    for _ in 0..20 {
        assert_eq!(collections(&mut socket).await, "app.bsky.feed.like");
    }
    say(&mut socket, &options_update(&["app.bsky.feed.post".to_owned()], &[])).await;
    // Some of the old are on their way.
    let new = async { while collections(&mut socket).await != "app.bsky.feed.post" {} };
    tokio::time::timeout(LIMIT, new).await.expect("a post in time");
    for _ in 0..20 {
        assert_eq!(collections(&mut socket).await, "app.bsky.feed.post");
    }
}

#[tokio::test]
async fn a_malformed_update_ends_the_connection() {
    let relay = start(Relay::from_frames(frames(), Pacing::AsRead).jetstream());
    let many: Vec<_> = (0..10_001).map(|at| format!("did:plc:{at}")).collect();
    for (text, says) in [
        ("hello".to_owned(), "options_update"),
        (json!({"type": "options_update"}).to_string(), "options_update"),
        (json!({"type": "options_update", "payload": {"wantedDids": [1]}}).to_string(), "options_update"),
        (options_update(&["post".to_owned()], &[]), "wantedCollections"),
        (options_update(&[], &many), "at most 10000"),
    ] {
        for query in ["?requireHello=true", ""] {
            let mut socket = ask(&relay, query).await;
            say(&mut socket, &text).await;
            let (_, code, reason) = messages(&mut socket).await;
            assert_eq!(code, CloseCode::Policy);
            assert!(reason.contains(says), "{reason}");
        }
    }
}

/// What a fault at the tenth event sends beside the events, all of which come as they are.
async fn beside(fault: &str) -> WsMessage {
    let expected = events(&frames());
    let relay = start(relay(&format!("on 1 at 10 {fault}")));
    let (mut messages, ..) = messages(&mut ask(&relay, "").await).await;
    let extra = messages.remove(9);
    assert_same(&messages.iter().map(read).collect::<Vec<_>>(), &expected);
    let fired = relay.fired();
    assert_eq!((fired.len(), fired[0].fault.to_string().as_str()), (1, fault));
    let at = fired[0].frame.unwrap();
    assert_eq!((at.of_connection, at.seq), (Some(10), Some(time(&expected[9]))));
    assert_eq!(fired[0].stream, Some(SUBSCRIBE_JETSTREAM));
    extra
}

#[tokio::test]
async fn messages_that_are_no_events_come_beside_them() {
    let WsMessage::Binary(garbage) = beside("garbage 40 bytes").await else { panic!("not binary") };
    assert_eq!(garbage.len(), 40);
    assert_eq!(beside("text").await, WsMessage::text("a text message"));
    assert_eq!(beside("ping").await, WsMessage::Ping(Bytes::from_static(b"there?")));
    let WsMessage::Text(truncated) = beside("truncated after 30 bytes").await else { panic!("no text") };
    assert!(events(&frames())[9].to_string().starts_with(truncated.as_str()), "{truncated}");
    let WsMessage::Text(oversized) = beside("oversized 6000000 bytes").await else { panic!("no text") };
    assert!(oversized.len() == 6_000_000 && oversized.starts_with("{\"did\":  "));
}

#[tokio::test]
async fn a_text_is_not_cut_within_a_character() {
    let expected = events(&frames());
    let (at, text) = (1..).zip(&expected).find(|(_, event)| !event.to_string().is_ascii()).unwrap();
    let text = text.to_string();
    let within = text.char_indices().find(|(_, it)| !it.is_ascii()).unwrap().0 + 1;
    let relay = start(relay(&format!("on 1 at {at} truncated after {within} bytes")));
    let (messages, ..) = messages(&mut ask(&relay, "").await).await;
    assert_eq!(messages[at - 1], WsMessage::text(&text[..within - 1]));
    assert_eq!(relay.fired()[0].fault.to_string(), format!("truncated after {} bytes", within - 1));
}

#[tokio::test]
async fn faults_that_events_do_not_have_pass_without_a_trace() {
    let script =
        "at 5 three-items\nat 6 unknown-op\nat 7 unknown-type\nat 8 info\nat 9 fragmented into 3 parts";
    let relay = start(relay(script));
    assert_same(&all(&mut ask(&relay, "").await).await, &events(&frames()));
    let fired = relay.fired();
    assert_eq!(fired.iter().map(Fired::kind).collect::<Vec<_>>(), [FaultKind::Fragmented]);
    // Only the numbers in events change where those of the frames begin anew.
    let relay = run_out("at 200 renumber").await;
    let got = all(&mut ask(&relay, "?cursor=0").await).await;
    let expected = events(&frames());
    assert!(got.iter().map(time).eq(expected.iter().map(time)));
    assert!(got.iter().map(collection).eq(expected.iter().map(collection)));
}

#[tokio::test]
async fn connections_end_as_they_are_told_to() {
    let script = "on 1 at 10 close 1013\non 2 at 10 error Trouble\non 3 at 10 disconnect after 5 bytes\n\
                  connect 4 answer 503\nconnect 5 mute\non 6 at 10 reset after 0 bytes";
    let relay = start(relay(script).window(10_000));
    let cursor = "?cursor=0";
    let (got, code, _) = messages(&mut ask(&relay, cursor).await).await;
    assert_eq!((got.len(), code), (9, CloseCode::Again));
    let (got, code, reason) = messages(&mut ask(&relay, cursor).await).await;
    assert_eq!((got.len(), code, reason.as_str()), (9, CloseCode::Policy, "Trouble"));
    let got: Vec<_> = ask(&relay, cursor).await.collect().await;
    assert!(got.len() == 10 && got[..9].iter().all(Result::is_ok) && got[9].is_err(), "{}", got.len());
    match subscribe_at(&relay, SUBSCRIBE_JETSTREAM).await {
        Err(Error::Http(response)) => assert_eq!(response.status(), 503),
        other => panic!("{other:?}"),
    }
    let path = format!("{}{SUBSCRIBE_JETSTREAM}", relay.url());
    let mute = tokio::time::timeout(Duration::from_millis(100), tokio_tungstenite::connect_async(path)).await;
    assert!(mute.is_err());
    let got: Vec<_> = ask(&relay, cursor).await.collect().await;
    assert!(got.last().unwrap().is_err());
    // The next is served whole.
    assert_same(&all(&mut ask(&relay, cursor).await).await, &events(&frames()));
    assert_eq!(relay.fired().len(), 6);
}

#[tokio::test]
async fn whoever_falls_behind_is_closed() {
    // Large events, so that what the system buffers for a client that does not read is soon full.
    let status = "x".repeat(1 << 20);
    let time = "2026-07-04T14:38:07.500Z";
    let account = Account { seq: 1, did: "did:plc:a", time, active: true, status: Some(&status) };
    let large = vec![Message::Account(account).to_frame_bytes().into()];
    let pacing = Pacing::Bursts { frames: 10, pause: Duration::from_millis(1) };
    let relay = start(Relay::repeating(large, pacing).window(20).jetstream());
    let mut socket = ask(&relay, "").await;
    let begun = Instant::now();
    while relay.counters().made < 200 {
        assert!(begun.elapsed() < LIMIT, "{:?}", relay.counters());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let (_, code, reason) = messages(&mut socket).await;
    assert_eq!((code, reason.as_str()), (CloseCode::Policy, "ConsumerTooSlow"));
    assert_eq!(relay.counters_of(SUBSCRIBE_JETSTREAM).unwrap().too_slow, 1);
}

#[tokio::test]
async fn duplicates_gaps_and_cursors_count_in_times() {
    let script = "connect 2 duplicates 3\nconnect 3 gap 4\nconnect 4 cursor swapped";
    // A frame a second, each an event.
    let frames = client::frames(1..=50);
    let relay = Relay::from_frames(frames.clone(), Pacing::AsRead).jetstream().ending(Ending::Close);
    let relay = start(relay.faults(Faults::new(1).script(script.parse().unwrap())));
    let expected = events(&frames);
    assert_same(&all(&mut ask(&relay, "").await).await, &expected);
    let query = format!("?cursor={}", time(&expected[20]));
    assert_same(&all(&mut ask(&relay, &query).await).await, &expected[17..]);
    // The event of the cursor is taken for one that the client has.
    assert_same(&all(&mut ask(&relay, &query).await).await, &expected[25..]);
    assert_same(&all(&mut ask(&relay, &query).await).await, &expected[21..]);
    let seqs: Vec<_> = relay.fired().into_iter().map(|fired| fired.seqs).collect();
    let times = |first: usize, last: usize| Some(time(&expected[first])..=time(&expected[last]));
    assert_eq!(seqs, [times(17, 19), times(21, 24), None]);
}

#[tokio::test]
async fn at_the_seam_times_go_back() {
    let frames = frames();
    // The first client reads half of the frames; then there is a live part for the second.
    let relay = Relay::from_frames(frames.clone(), Pacing::AsRead).jetstream().ending(Ending::Close);
    let relay =
        start(relay.window(4096).faults(Faults::new(1).script("connect every seam 5".parse().unwrap())));
    let expected = events(&frames);
    // Live there is no seam.
    assert_same(&all(&mut ask(&relay, "").await).await, &expected);
    assert_eq!(relay.fired(), []);
    let from = expected.len() - 20;
    let got = all(&mut ask(&relay, &format!("?cursor={}", time(&expected[from]))).await).await;
    let last = expected.len() - 5;
    let swapped = [1, 0, 3, 2, 4].map(|at| &expected[last + at]);
    assert_same(&got, expected[from..].iter().chain(swapped));
    let [fired] = &relay.fired()[..] else { panic!("one") };
    assert_eq!(fired.fault.to_string(), "seam 5");
    assert_eq!(fired.seqs, Some(time(&expected[last])..=time(expected.last().unwrap())));
    // No more come again than were sent.
    let got = all(&mut ask(&relay, &format!("?cursor={}", time(expected.last().unwrap()))).await).await;
    assert_same(&got, [expected.last().unwrap(); 2]);
}

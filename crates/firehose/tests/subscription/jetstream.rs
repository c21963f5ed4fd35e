//! Jetstream: events as frames, wishes, compression, and the seam after a reconnect.

use std::time::{Duration, SystemTime};

use skytide_atproto::message::Action;
use skytide_firehose::{Cursor, Kind, Subscription};

use super::support::*;

/// A like of second `at`, by this account.
fn event(at: u64, did: &str) -> String {
    let time_us = 1_783_123_200_000_000 + at * 1_000_000;
    format!(
        r#"{{"did":"{did}","time_us":{time_us},"kind":"commit","commit":{{"rev":"3mptbypluud2a","operation":"create","collection":"app.bsky.feed.like","rkey":"{at}","record":{{"$type":"app.bsky.feed.like","text":"ü"}},"cid":"bafyreihyrpefhacm6kkp4ql6j6udakdit7g3dmkzfriqfykhjw6cad5lrm"}}}}"#
    )
}

fn events(range: impl IntoIterator<Item = u64>) -> Vec<Step> {
    range.into_iter().map(|at| Step::OwnText(event(at, "did:plc:a"))).collect()
}

const START: u64 = 1_783_123_200_000_000;

async fn events_come_as_frames(way: Way) {
    let mut steps = events([1]);
    steps.push(Step::Text("{"));
    steps.push(Step::Text(r#"{"did":"did:plc:a","time_us":1,"kind":"dance","dance":{}}"#));
    steps.extend(events([2]));
    let server = Server::start(vec![Connection::Open(steps)]).await;
    let mut client = way.open(Subscription::jetstream(&server.url).backoff(at_once()));
    let frame = client.next().await.unwrap().unwrap();
    assert_eq!((frame.kind, frame.seq), (Kind::Commit, Some(START + 1_000_000)));
    assert_eq!(frame.time, Some((START as i64 + 1_000_000) * 1000));
    let [operation] = &frame.operations().unwrap()[..] else { panic!("one operation") };
    assert_eq!(
        (operation.did.as_str(), operation.rkey.as_str(), operation.action),
        ("did:plc:a", "1", Action::Create)
    );
    assert_eq!(operation.uri(), "at://did:plc:a/app.bsky.feed.like/1");
    assert_eq!(operation.json().unwrap().unwrap(), r#"{"$type":"app.bsky.feed.like","text":"ü"}"#);
    assert_eq!(seqs(&mut client, 1).await, [START + 2_000_000]);
    let counters = client.handle().counters();
    assert_eq!((counters.undecodable, counters.unknown), (1, 1));
    assert_eq!(server.requests(), ["/subscribe"]);
}

async fn a_reconnect_rewinds_and_what_was_seen_is_dropped(way: Way) {
    let mut first = events(1..=20);
    // At the seam from replay to live the times go back.
    first.extend([Step::OwnText(event(18, "did:plc:b")), Step::Drop]);
    let mut second = events(15..=18);
    second.push(Step::OwnText(event(18, "did:plc:b")));
    second.extend(events(19..=22));
    let server = Server::start(vec![Connection::Open(first), Connection::Open(second)]).await;
    let mut client =
        way.open(Subscription::jetstream(&server.url).cursor(Cursor::Seq(START)).backoff(at_once()));
    let expected: Vec<_> = (1..=20).chain([18, 21, 22]).map(|at| START + at * 1_000_000).collect();
    assert_eq!(seqs(&mut client, expected.len()).await, expected);
    assert_eq!(client.handle().counters().repeated, 7);
    assert_eq!(server.cursors(), [Some(START - 5_000_000), Some(START + 15_000_000)]);
    let gaps = client.handle().ledger().since(0);
    assert_eq!(gaps.len(), 1, "{gaps:?}");
}

async fn a_time_far_ahead_is_no_place(way: Way) {
    const AHEAD: u64 = 6_000_000_000;
    let mut first = events([1, 2, AHEAD]);
    first.push(Step::Drop);
    let script = vec![Connection::Open(first), Connection::Open(events([AHEAD, 3, 4]))];
    let server = Server::start(script).await;
    let mut client =
        way.open(Subscription::jetstream(&server.url).cursor(Cursor::Seq(START)).backoff(at_once()));
    let at = |seconds: u64| START + seconds * 1_000_000;
    assert_eq!(seqs(&mut client, 3).await, [1, 2, AHEAD].map(at));
    assert_eq!(seqs(&mut client, 1).await, [at(3)]);
    // What came long ago and was not read yet is still to come.
    assert_eq!(server.cursors(), [START - 5_000_000, at(2) - 5_000_000].map(Some));
    assert_eq!(client.handle().cursor(), Some(at(2)));
}

async fn a_time_a_little_ahead_is_no_place_of_who_reads_what_was_long_ago(way: Way) {
    let soon = (now() - START) / 1_000_000 + 240;
    let mut first = events([1, 2, soon]);
    first.push(Step::Drop);
    let server = Server::start(vec![Connection::Open(first), Connection::Open(events([3, soon, 4]))]).await;
    let mut client =
        way.open(Subscription::jetstream(&server.url).cursor(Cursor::Seq(START)).backoff(at_once()));
    let at = |seconds: u64| START + seconds * 1_000_000;
    assert_eq!(seqs(&mut client, 5).await, [1, 2, soon, 3, 4].map(at));
    assert_eq!(server.cursors(), [START - 5_000_000, at(2) - 5_000_000].map(Some));
}

/// All times are ahead of it.
async fn a_slow_clock_here_has_a_place_too(way: Way) {
    for ahead in [400, 3600] {
        let begun = now();
        let ahead = (begun - START) / 1_000_000 + ahead;
        let mut first = events(ahead + 1..=ahead + 20);
        first.push(Step::Drop);
        let script = vec![Connection::Open(first), Connection::Open(events(ahead + 15..=ahead + 22))];
        let server = Server::start(script).await;
        let mut client = way.open(Subscription::jetstream(&server.url).backoff(at_once()));
        let expected: Vec<_> = (1..=22).map(|at| START + (ahead + at) * 1_000_000).collect();
        assert_eq!(seqs(&mut client, 22).await, expected);
        // Now, by the clock here: a server that is asked for what is ahead of it leaves out what is before.
        let [None, Some(asked)] = server.cursors()[..] else {
            panic!("it has a place: {:?}", server.cursors())
        };
        assert!((begun..=now()).contains(&(asked + 5_000_000)), "{asked}");
        assert!(client.handle().cursor().is_some_and(|cursor| cursor <= now()));
    }
}

#[test]
fn the_place_of_an_iterator_is_that_of_what_it_gave() {
    let server = Server::on_a_thread(vec![Connection::Open(events(1..=20))]);
    let mut client = Subscription::jetstream(&server.url).blocking().unwrap();
    for at in 1..=20 {
        let seq = START + at * 1_000_000;
        assert_eq!(client.next().unwrap().unwrap().seq, Some(seq));
        assert_eq!(client.jetstream_place().unwrap().rewound(), Some(seq - 5_000_000));
    }
    let server = Server::on_a_thread(vec![Connection::Open(events(1..=20))]);
    let mut operations = Subscription::jetstream(&server.url).blocking().unwrap().operations();
    assert_eq!(operations.next().unwrap().unwrap().seq, START + 1_000_000);
    let place = operations.subscription().jetstream_place().unwrap();
    assert_eq!(place.rewound(), Some(START - 4_000_000));
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    u64::try_from(since.as_micros()).unwrap()
}

#[tokio::test]
async fn before_its_first_event_it_stands_where_it_is_live() {
    let server = Server::start(vec![Connection::Open(vec![Step::Gate])]).await;
    let mut client = Subscription::jetstream(&server.url).stream().unwrap();
    assert_eq!(client.jetstream_place().unwrap().cursor(), Cursor::Live);
    let (begun, mut frames) = (now(), Vec::new());
    while client.handle().counters().connections == 0 {
        let wait = tokio::time::timeout(Duration::from_millis(5), client.next_batch(&mut frames, 1));
        assert!(wait.await.is_err() && now() - begun < 60_000_000);
    }
    let Cursor::Seq(time) = client.jetstream_place().unwrap().cursor() else { panic!("it is live") };
    assert!((begun..=now()).contains(&time), "{time}");
}

async fn wishes_are_parameters_or_said_after_the_opening(way: Way) {
    let script =
        vec![then_events([1]), Connection::Open(vec![Step::Hello, Step::OwnText(event(2, "did:plc:a"))])];
    let server = Server::start(script).await;
    let builder = Subscription::jetstream(&server.url)
        .collections(["app.bsky.feed.post", "app.bsky.graph.*"])
        .dids(["did:plc:a"])
        .backoff(at_once());
    let mut client = way.open(builder);
    assert_eq!(seqs(&mut client, 1).await, [START + 1_000_000]);
    assert_eq!(
        server.requests(),
        [
            "/subscribe?wantedCollections=app.bsky.feed.post&wantedCollections=app.bsky.graph.*&wantedDids=did:plc:a"
        ]
    );
    // The next connection is made with too many to fit an address.
    let dids = (0..1000).map(|at| ("wantedDids", format!("did:plc:{at:024}")));
    client.handle().set_parameters(dids).unwrap();
    server.open_gate();
    assert_eq!(seqs(&mut client, 1).await, [START + 2_000_000]);
    let requests = server.requests();
    assert_eq!(requests[1], format!("/subscribe?requireHello=true&cursor={}", START - 4_000_000));
    assert!(requests[2].starts_with(r#"{"type":"options_update""#), "{}", &requests[2][..60]);
    assert_eq!(requests[2].matches("did:plc:").count(), 1000);
}

fn then_events(range: impl IntoIterator<Item = u64>) -> Connection {
    let mut steps = events(range);
    steps.push(Step::Gate);
    Connection::Open(steps)
}

async fn compressed_events_are_read_with_their_dictionary(way: Way) {
    // A dictionary of raw content, as zstd takes any bytes for one.
    let dictionary = event(7, "did:plc:a").into_bytes();
    let mut compressor = zstd::bulk::Compressor::with_dictionary(3, &dictionary).unwrap();
    let mut compress = |at| Step::Frame(compressor.compress(event(at, "did:plc:a").as_bytes()).unwrap());
    let steps = vec![compress(1), Step::Frame(b"no zstd".to_vec()), compress(2)];
    let server = Server::start(vec![Connection::Open(steps)]).await;
    let mut client = way.open(Subscription::jetstream(&server.url).dictionary(dictionary));
    assert_eq!(seqs(&mut client, 2).await, [START + 1_000_000, START + 2_000_000]);
    assert_eq!(client.handle().counters().undecodable, 1);
    assert_eq!(server.requests(), ["/subscribe?compress=true"]);
}

/// The dictionary that Jetstream publishes, which has an id that its events name.
#[tokio::test]
#[ignore = "needs SKYTIDE_VECTORS"]
async fn the_published_dictionary_is_taken() {
    let vectors =
        std::env::var_os("SKYTIDE_VECTORS").expect("SKYTIDE_VECTORS names the folder of the vectors");
    let path = std::path::Path::new(&vectors).join("jetstream/legacy_subscribe.zdict");
    let dictionary = std::fs::read(path).unwrap();
    assert_eq!(zstd::zstd_safe::get_dict_id_from_dict(&dictionary).map(u32::from), Some(1_612_007_021));
    let mut compressor = zstd::bulk::Compressor::with_dictionary(3, &dictionary).unwrap();
    let compressed = compressor.compress(event(1, "did:plc:a").as_bytes()).unwrap();
    assert_eq!(zstd::zstd_safe::get_dict_id_from_frame(&compressed).map(u32::from), Some(1_612_007_021));
    for (given, read) in [(&dictionary[..], 1), (b"another dictionary", 0)] {
        let steps = vec![Step::Frame(compressed.clone()), Step::OwnText(event(2, "did:plc:a"))];
        let server = Server::start(vec![Connection::Open(steps)]).await;
        let mut client = Way::Async.open(Subscription::jetstream(&server.url).dictionary(given));
        let seqs = soon(seqs(&mut client, 1 + read)).await;
        assert_eq!(seqs.last(), Some(&(START + 2_000_000)));
        assert_eq!(client.handle().counters().undecodable, 1 - read as u64);
    }
}

both_ways! {
    events_come_as_frames,
    a_reconnect_rewinds_and_what_was_seen_is_dropped,
    a_time_far_ahead_is_no_place,
    a_time_a_little_ahead_is_no_place_of_who_reads_what_was_long_ago,
    a_slow_clock_here_has_a_place_too,
    wishes_are_parameters_or_said_after_the_opening,
    compressed_events_are_read_with_their_dictionary,
}

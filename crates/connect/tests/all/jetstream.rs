//! A subscription to a Jetstream that goes wrong all the time: every operation of the frames arrives, once.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use bytes::Bytes;
use skytide_atproto::cid::Cid;
use skytide_atproto::frame::Frame;
use skytide_atproto::jetstream::write_events;
use skytide_atproto::message::Message;
use skytide_firehose::{Backoff, Batch, Builder, Counters, Cursor, OnClose, Operation, Subscription};
use skytide_sim::{
    Config, Ending, FaultKind, Faults, Network, Pacing, Relay, RelayHandle, SUBSCRIBE_JETSTREAM,
};

const FRAMES: u64 = 8_000;

/// Longer than any of it takes.
const LIMIT: Duration = Duration::from_secs(120);

fn network() -> Network {
    // Ten seconds of the clock hold 200 frames: what a rewind brings again is little beside what comes
    // between two faults.
    Network::new(Config { accounts: 100, rate: 20, ..Config::default() })
}

fn frames() -> Vec<Bytes> {
    network().take(FRAMES as usize).map(|frame| frame.bytes).collect()
}

/// What an operation is told from all others by: DID, revision, collection, record key, action.
type Key = (String, String, String, String, &'static str);

/// What it leaves.
type Record = Option<(Cid, Bytes)>;

/// The operations of frames that are wanted, in order.
fn operations(frames: &[Bytes], wanted: impl Fn(&str, &str) -> bool) -> Vec<(Key, Record)> {
    let mut operations = Vec::new();
    for frame in frames {
        let Message::Commit(commit) = Message::parse(&Frame::parse(frame).unwrap()).unwrap() else {
            continue;
        };
        for op in commit.ops().unwrap() {
            if wanted(commit.repo, op.collection) {
                let texts = [commit.repo, commit.rev, op.collection, op.rkey].map(str::to_owned);
                let [did, rev, collection, rkey] = texts;
                let record = op.cid.map(|cid| (cid, Bytes::copy_from_slice(op.record.unwrap())));
                operations.push(((did, rev, collection, rkey, op.action.as_str()), record));
            }
        }
    }
    operations
}

/// The identities and accounts among frames, without what the server's clock says.
fn others(frames: &[Bytes]) -> Vec<String> {
    let messages = frames.iter().map(|frame| Frame::parse(frame).unwrap());
    messages.filter_map(|frame| other(&Message::parse(&frame).unwrap())).collect()
}

fn other(message: &Message<'_>) -> Option<String> {
    match message {
        Message::Identity(it) => Some(format!("{} {:?}", it.did, it.handle)),
        Message::Account(it) => Some(format!("{} {} {:?}", it.did, it.active, it.status)),
        _ => None,
    }
}

fn key_and_record(operation: Operation) -> (Key, Record) {
    let record = operation.cid.map(|cid| (cid, operation.record.unwrap()));
    let Operation { did, rev, collection, rkey, action, .. } = operation;
    ((did, rev, collection, rkey, action.as_str()), record)
}

/// What a subscription gave.
#[derive(Default)]
struct Read {
    operations: Vec<(Key, Record)>,
    others: Vec<String>,
    counters: Counters,
}

/// Reads until there were so many operations and other events.
fn read(builder: Builder, operations: usize, others: usize) -> Read {
    let backoff = Backoff::default().first(Duration::from_millis(1)).cap(Duration::from_millis(5));
    let builder = builder
        .cursor(Cursor::Oldest)
        .backoff(backoff)
        .on_close(OnClose::Reconnect)
        .receive_timeout(Duration::from_secs(2));
    let mut client = builder.blocking().unwrap();
    let (begun, mut frames) = (Instant::now(), Vec::new());
    let mut read = Read::default();
    while read.operations.len() < operations || read.others.len() < others {
        let counters = client.handle().counters();
        assert!(
            begun.elapsed() < LIMIT,
            "{} of {operations} operations, {} of {others} others: {counters:?}",
            read.operations.len(),
            read.others.len()
        );
        let batch = client.next_batch_within(&mut frames, 1000, Duration::from_millis(100)).unwrap();
        assert!(!matches!(batch, Batch::Ended));
        for frame in frames.drain(..) {
            read.others.extend(other(&frame.message().unwrap()));
            read.operations.extend(frame.operations().unwrap().into_iter().map(key_and_record));
        }
    }
    // What comes twice would come soon after.
    for _ in 0..5 {
        client.next_batch_within(&mut frames, 1000, Duration::from_millis(50)).unwrap();
    }
    assert!(frames.is_empty(), "{} frames after the last", frames.len());
    read.counters = client.handle().counters();
    read
}

fn relay(rates: &str, change: impl FnOnce(Relay) -> Relay) -> RelayHandle {
    let relay = Relay::new(network())
        .total(FRAMES)
        .pacing(Pacing::AsRead)
        // What a reset may lose on the way is still there.
        .window(FRAMES)
        .ending(Ending::Stay)
        .jetstream()
        .faults(Faults::new(11).rates(rates.parse().unwrap()));
    change(relay).start("127.0.0.1:0").unwrap()
}

/// Every one of them, none twice, each as it was, and in order: what a connection brings begins no later than
/// where the one before ended.
#[track_caller]
fn assert_all(read: &Read, expected: &[(Key, Record)]) {
    let differs = read.operations.iter().zip(expected).position(|(got, expected)| got != expected);
    if let Some(at) = differs {
        panic!("operation {at}: {:?} instead of {:?}", read.operations[at], expected[at]);
    }
    assert_eq!(read.operations.len(), expected.len());
    let keys: BTreeSet<_> = read.operations.iter().map(|(key, _)| key).collect();
    assert_eq!(keys.len(), expected.len(), "the keys tell the operations apart");
}

#[test]
fn nothing_is_lost_and_nothing_comes_twice() {
    let frames = frames();
    let (expected, others) = (operations(&frames, |_, _| true), others(&frames));
    let rates = "disconnect=1500, reset=1500, close=500, error=300, garbage=300, text=300, truncated=300, \
                 oversized=30, fragmented=1000, ping=500, answer=50000, refuse=50000, seam=500000, duplicates=300000, \
                 cursor=100000";
    let relay = relay(rates, |relay| relay);
    let read = read(Subscription::jetstream(&relay.url()), expected.len(), others.len());
    assert_all(&read, &expected);
    assert!(!others.is_empty());
    assert_eq!(read.others, others);

    let counts = relay.fault_counts();
    for kind in
        [FaultKind::Disconnect, FaultKind::Reset, FaultKind::Seam, FaultKind::Garbage, FaultKind::Text]
    {
        assert!(counts.get(&kind).is_some_and(|count| *count > 1), "{kind}: {counts:?}");
    }
    let Counters { connections, repeated, undecodable, .. } = read.counters;
    assert!(connections > 10 && repeated > 1000 && undecodable > 0, "{:?}", read.counters);
    assert_eq!(relay.counters_of(SUBSCRIBE_JETSTREAM).unwrap().connections, connections);
}

#[test]
fn only_what_is_wanted_comes_and_all_of_it() {
    let frames = frames();
    let of_feed = |collection: &str| collection.starts_with("app.bsky.feed.");
    let wanted = |_: &str, collection: &str| of_feed(collection) || collection == "app.bsky.graph.follow";
    let (expected, others) = (operations(&frames, wanted), others(&frames));
    assert!(expected.len() > 1000 && expected.len() < operations(&frames, |_, _| true).len());
    let few = relay("disconnect=1500, reset=1500, seam=500000", |relay| relay);
    let builder =
        Subscription::jetstream(&few.url()).collections(["app.bsky.feed.*", "app.bsky.graph.follow"]);
    let first = read(builder, expected.len(), others.len());
    assert_all(&first, &expected);
    assert!(first.counters.connections > 3, "{:?}", first.counters);

    // So many accounts that they are said after the opening.
    let mut dids: Vec<_> = expected.iter().map(|(key, _)| key.0.clone()).collect();
    dids.sort_unstable();
    dids.dedup();
    dids.truncate(60);
    let wanted = |did: &str, _: &str| dids.iter().any(|wanted| wanted == did);
    let expected = operations(&frames, wanted);
    let nobody = (0..200).map(|at| format!("did:plc:{at:024}"));
    let many = relay("disconnect=1500, reset=1500, seam=500000", |relay| relay);
    let builder = Subscription::jetstream(&many.url()).dids(dids.iter().cloned().chain(nobody));
    let second = read(builder, expected.len(), 0);
    assert_all(&second, &expected);
    assert!(second.counters.connections > 3, "{:?}", second.counters);
}

#[test]
fn compressed_events_are_the_same() {
    let frames = frames();
    let expected = operations(&frames, |_, _| true);
    let mut dictionary = String::new();
    for frame in &frames[..50] {
        write_events(&Frame::parse(frame).unwrap(), 0, |_| true, &mut dictionary).unwrap();
    }
    let rates =
        "disconnect=1500, reset=1500, garbage=300, text=300, truncated=300, fragmented=1000, seam=500000";
    let relay = relay(rates, |relay| relay.dictionary(dictionary.clone()));
    let builder = Subscription::jetstream(&relay.url()).dictionary(dictionary.into_bytes());
    let read = read(builder, expected.len(), 0);
    assert_all(&read, &expected);
    assert!(read.counters.connections > 5 && read.counters.undecodable > 0, "{:?}", read.counters);
}

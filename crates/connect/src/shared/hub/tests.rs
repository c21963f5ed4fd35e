//! What lies ready for queries, and what it takes.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use bytes::Bytes;
use skytide_firehose::Cursor;
use skytide_sim::{Config, Pacing, Relay};
use skytide_timestream::plan::Results;

use super::*;
use crate::catalog::FirehoseCatalog;
use crate::firehose::FirehoseSource;
use crate::source::{Next, Source};

#[test]
fn no_more_than_the_bound_lies_ready_for_who_does_not_ask() {
    const BOUND: usize = 32 << 10;
    const FRAMES: u64 = 20_000;
    let catalog = FirehoseCatalog::new();
    let query = skytide_timestream::compile("posts.record.text", &catalog).unwrap();
    let plan = skytide_timestream::plan(Arc::new(query), Results::history());
    let frames = skytide_sim::Network::new(Config::default()).take(500);
    let frames: Arc<[_]> = frames.map(|frame| frame.bytes).collect();
    let hub = Arc::new(Hub::new(BOUND));
    let join = || {
        let wanting = Arc::new(Wanting::of(&plan, &catalog).unwrap());
        let open = |_: &Wish| Ok(Frames::repeating(Arc::clone(&frames)).until(Some(FRAMES)));
        let (connection, wish) = (Connection::default(), Wish::default());
        let asked = Asked { connection: &connection, clock: Clock::FrameTime, wish: &wish };
        hub.join(wanting, &asked, open).unwrap().unwrap()
    };
    let (reads, sleeps) = (join(), join());
    let (mut largest, mut most) = (0, 0);
    let lies_ready = |id| hub.lock().queries[&id].bytes;
    loop {
        match hub.next(reads, WAIT) {
            Found::Epoch(epoch, mark, _) => {
                largest = largest.max(Batch::new(epoch.scans, 0, *mark).bytes);
                most = most.max(lies_ready(reads)).max(lies_ready(sleeps));
            }
            Found::Idle => {}
            Found::End => break,
            Found::Failed(_) | Found::Behind(_) => unreachable!("it is the only one that reads"),
        }
    }
    assert!(most < BOUND + largest && lies_ready(sleeps) > 0, "{most} bytes, {largest} in a batch");
    assert_eq!(hub.lock().status.read, FRAMES);
    while let Found::Epoch(..) = hub.next(sleeps, WAIT) {}
    assert!(lies_ready(sleeps) == 0 && matches!(hub.next(sleeps, WAIT), Found::Behind(_)));
}

/// Events of a Jetstream whose times fall back: of posts they are three seconds behind those of likes, and of
/// identities two. One in their midst does not decode.
fn falling_back() -> Vec<Bytes> {
    let event = |at: u64| {
        let deleted = |collection: &str| {
            format!(
                r#""commit","commit":{{"rev":"3mptbypluud2a","operation":"delete","collection":"{collection}","rkey":"{at}"}}"#
            )
        };
        let (behind, of) = match at % 4 {
            0 | 1 => (0, deleted("app.bsky.feed.like")),
            2 => (3_000_000, deleted("app.bsky.feed.post")),
            _ => (
                2_000_000,
                format!(r#""identity","identity":{{"did":"did:plc:a","handle":"a.test","seq":{at}}}"#),
            ),
        };
        let time_us = 1_783_175_880_000_000 + at * 100_000 - behind;
        let event = format!(r#"{{"did":"did:plc:a","time_us":{time_us},"kind":{of}}}"#);
        Bytes::from(skytide_atproto::jetstream::frame_of(event.as_bytes()).unwrap().bytes)
    };
    let mut events: Vec<_> = (0..400).map(event).collect();
    events.insert(201, Bytes::from_static(b"refused"));
    events
}

#[test]
fn over_a_jetstream_each_has_the_times_that_it_has_alone() {
    const QUERIES: [&str; 5] = [
        "posts.deletes().rkey",
        "likes.deletes().rkey",
        "{ posts: posts.deletes().count(), likes: likes.deletes().count() }",
        "identities.handle",
        "posts.deletes().count()",
    ];
    let (catalog, events) = (FirehoseCatalog::new(), falling_back());
    let planned = |query: &str| {
        let query = skytide_timestream::compile(query, &catalog).unwrap();
        let plan = skytide_timestream::plan(Arc::new(query), Results::history());
        let collections = catalog.wanted_collections(&plan).unwrap_or_default();
        (plan, collections)
    };
    let frames = |events: &[Bytes]| Frames::repeating(events.into()).until(Some(events.len() as u64));
    // By scan, times and ordinals; last where time stands.
    type Read = (Vec<Vec<(i64, u64)>>, i64);
    let add = |(scans, watermark): &mut Read, epoch: Epoch| {
        scans.resize(epoch.scans.len(), Vec::new());
        for (all, rows) in scans.iter_mut().zip(&epoch.scans) {
            let places = rows.iter().flat_map(|rows| rows.places.time.iter().zip(rows.places.ordinal.iter()));
            all.extend(places.map(|(time, ordinal)| (*time, *ordinal)));
        }
        *watermark = epoch.watermark;
    };
    let alone = |query: &str| {
        let (plan, collections) = planned(query);
        let is_sent = |event: &&Bytes| {
            let collection = skytide_atproto::frame::collection(event);
            collections.is_empty() || collection.is_none_or(|one| collections.iter().any(|all| all == one))
        };
        let sent: Vec<Bytes> = events.iter().filter(is_sent).cloned().collect();
        let mut source = FirehoseSource::new(&plan, &catalog, frames(&sent), Clock::FrameTime).unwrap();
        let mut read = Read::default();
        while let Next::Epoch(epoch) = source.next(WAIT).unwrap() {
            add(&mut read, epoch);
        }
        (read, source.status().dropped)
    };

    let connection = Connection { location: "ws://nowhere/subscribe".into(), ..Connection::default() };
    let hub = Arc::new(Hub::new(64 << 20));
    let join = |query| {
        let (plan, collections) = planned(query);
        let wish = Wish { collections, ..Wish::default() };
        let asked = Asked { connection: &connection, clock: Clock::FrameTime, wish: &wish };
        let wanting = Arc::new(Wanting::of(&plan, &catalog).unwrap());
        hub.join(wanting, &asked, |_| Ok(frames(&events))).unwrap().unwrap()
    };
    for (query, id) in QUERIES.map(|query| (query, join(query))) {
        let mut read = Read::default();
        while let Found::Epoch(epoch, mark, _) = hub.next(id, LIMIT) {
            assert_eq!(mark.position.clock.newest, Some(epoch.watermark));
            add(&mut read, epoch);
        }
        assert_eq!((read, hub.status(id).dropped), alone(query), "{query}");
    }
}

/// Longer than any of it takes.
const LIMIT: Duration = Duration::from_secs(60);

/// The network, with twenty frames a second by its clock.
fn network() -> skytide_sim::Network {
    skytide_sim::Network::new(Config { accounts: 60, rate: 20, ..Config::default() })
}

/// A Jetstream of so many frames a second, and queries at it.
fn at_a_jetstream<const N: usize>(rate: f64, bound: usize) -> (skytide_sim::RelayHandle, Arc<Hub>, [u64; N]) {
    let relay = Relay::new(network()).pacing(Pacing::Rate(rate)).window(1 << 16).jetstream();
    let relay = relay.start("127.0.0.1:0").unwrap();
    let location = format!("{}/subscribe", relay.url()).into();
    let connection = Connection { location, cursor: Cursor::Oldest, ..Connection::default() };
    let (catalog, hub) = (FirehoseCatalog::new(), Arc::new(Hub::new(bound)));
    let query = skytide_timestream::compile("likes.count()", &catalog).unwrap();
    let plan = skytide_timestream::plan(Arc::new(query), Results::history());
    let wish = Wish::default();
    let asked = Asked { connection: &connection, clock: Clock::FrameTime, wish: &wish };
    let wanting = Arc::new(Wanting::of(&plan, &catalog).unwrap());
    let join = |()| hub.join(Arc::clone(&wanting), &asked, |wish| connection.frames(wish)).unwrap().unwrap();
    (relay, Arc::clone(&hub), [(); N].map(join))
}

#[test]
fn the_place_of_a_jetstream_lies_ready_once_and_is_counted() {
    let (_relay, hub, [id]) = at_a_jetstream(2000.0, 64 << 20);
    let begun = Instant::now();
    // The first to ask has the reading begin.
    while !matches!(hub.next(id, WAIT), Found::Epoch(..)) {
        assert!(begun.elapsed() < LIMIT);
    }
    for _ in 0..2 {
        // As one that is to be saved after each batch, while more is laid ready for it than it takes.
        let enough = hub.lock().queries[&id].batches.len() + 10;
        while hub.lock().queries[&id].batches.len() < enough {
            assert!(begun.elapsed() < LIMIT);
            hub.ask_place(id);
            std::thread::yield_now();
        }
        let state = hub.lock();
        let Line { batches, bytes, .. } = &state.queries[&id];
        let places: Vec<_> = batches.iter().filter(|batch| batch.place.is_some()).collect();
        assert_eq!(places.len(), 1);
        let Batch { epoch, place, bytes: counted, .. } = places[0];
        let rows: usize = epoch.scans.iter().flatten().map(skytide_timestream::rows::Rows::memory).sum();
        assert_eq!(*counted, BATCH + rows + place.as_ref().unwrap().memory());
        assert_eq!(batches.iter().map(|batch| batch.bytes).sum::<usize>(), *bytes);
        drop(state);
        // Once it is taken, the next one is told.
        while matches!(hub.next(id, Duration::ZERO), Found::Epoch(_, _, None)) {}
    }
}

#[test]
fn one_that_does_not_read_stalls_nobody_while_events_of_a_jetstream_wait() {
    let (_relay, hub, [sleeps, reads]) = at_a_jetstream(2000.0, 2);
    // As when an event in the midst of those that were read at once is refused.
    let mut frames: Vec<_> = network().take(400).map(|frame| frame.bytes).collect();
    frames.insert(200, b"refused".as_slice().into());
    let intake = Intake::waiting_for(hub.lock().ready.take().unwrap(), frames);
    let (clock, groups) = (Clock::FrameTime, Groups::new(Clock::FrameTime));
    let reading = Reading { intake, groups, clock, is_jetstream: true, earlier: Status::default() };
    hub.lock().is_reading = true;
    let thread = std::thread::spawn({
        let hub = Arc::clone(&hub);
        move || hub.read(reading)
    });
    let begun = Instant::now();
    while !matches!(hub.lock().queries[&sleeps].stage, Stage::Behind) {
        assert!(begun.elapsed() < LIMIT, "nothing comes");
        hub.next(reads, WAIT);
    }
    // It has what was before the refused one and what was behind it, and is told where it goes on.
    let mut given = 0;
    let place = loop {
        match hub.next(sleeps, Duration::ZERO) {
            Found::Epoch(..) => given += 1,
            Found::Behind(place) => break place,
            _ => unreachable!("it is behind"),
        }
    };
    assert!(given >= 2 && place.is_some(), "{given}");
    hub.leave(sleeps);
    hub.leave(reads);
    thread.join().unwrap();
}

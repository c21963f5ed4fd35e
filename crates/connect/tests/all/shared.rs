//! Several queries over one connection: each has the answer that it has alone, whatever the others do.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_select::concat::concat_batches;
use bytes::Bytes;
use skytide_atproto::car;
use skytide_atproto::cbor::{Map, Value};
use skytide_atproto::cid::Cid;
use skytide_atproto::columns::Clock;
use skytide_atproto::message::{Action, Commit, Message, Op, Path};
use skytide_connect::catalog::FirehoseCatalog;
use skytide_connect::firehose::FirehoseSource;
use skytide_connect::frames::Frames;
use skytide_connect::network::{Connection, Network};
use skytide_connect::run::{Answers, RunOptions};
use skytide_connect::shared::Shared;
use skytide_connect::source::{Next, Source, SourceError, Status};
use skytide_firehose::{Compression, Cursor, Recorder};
use skytide_sim as sim;
use skytide_sim::{Beginning, Faults, Pacing, Relay, RelayHandle};
use skytide_timestream::engine::{Mode, answer_schema};
use skytide_timestream::plan::{Plan, Results};

/// Longer than any of it takes.
const LIMIT: Duration = Duration::from_secs(60);

const QUERIES: [&str; 5] = [
    "posts.with_key(record.langs[0]).count()",
    "{ long: posts.filter(record.text.len() > 50).count(), likes: likes.count(), at: likes.seq.last() }",
    "likes.filter(record.subject.uri == \"nowhere\").count()",
    "posts.filter(did == \"did:plc:nobody\").count()",
    "{ text: posts.record.text, created: posts.record.createdAt, gone: likes.deletes().rkey }",
];

fn network() -> sim::Network {
    sim::Network::new(sim::Config { accounts: 60, ..sim::Config::default() })
}

/// The first frames of the network: signed once for all tests.
fn frames(count: usize) -> Arc<[Bytes]> {
    static FRAMES: OnceLock<Vec<Bytes>> = OnceLock::new();
    FRAMES.get_or_init(|| network().take(8000).map(|frame| frame.bytes).collect())[..count].into()
}

fn plan(query: &str) -> Arc<Plan> {
    let query = skytide_timestream::compile(query, &FirehoseCatalog::new()).unwrap();
    Arc::new(skytide_timestream::plan(Arc::new(query), Results::history()))
}

/// All rows of an answer, and what its source did.
type Answer = (RecordBatch, Status);

fn answered<S: Source>(plan: Arc<Plan>, source: S, options: &RunOptions) -> Answer {
    let schema = answer_schema(&plan).unwrap();
    let mut answers = Answers::start(plan, source, options).unwrap();
    let batches: Vec<RecordBatch> = answers.by_ref().map(Result::unwrap).collect();
    (concat_batches(&schema, &batches).unwrap(), answers.outcome().unwrap().source.clone())
}

/// The rows of a query that has the frames to itself.
fn alone(query: &str, frames: &Arc<[Bytes]>) -> RecordBatch {
    let memory = Frames::repeating(Arc::clone(frames)).until(Some(frames.len() as u64));
    let plan = plan(query);
    let source = FirehoseSource::new(&plan, &FirehoseCatalog::new(), memory, Clock::FrameTime).unwrap();
    answered(plan, source, &RunOptions::once()).0
}

/// A network that queries share, whose relay ends after so many frames.
fn shared(relay: &RelayHandle, frames: usize, shared: Shared) -> Network {
    let connection =
        Connection { location: relay.url().into(), limit: Some(frames as u64), ..Connection::default() };
    Network { connection, shared: Some(shared), ..Network::default() }
}

fn relay(count: usize) -> Relay {
    Relay::from_frames(frames(count).to_vec(), Pacing::AsRead).window(count as u64)
}

fn start(relay: Relay) -> RelayHandle {
    relay.start("127.0.0.1:0").unwrap()
}

fn opened(network: &Network, query: &str) -> (Arc<Plan>, Box<dyn Source + Send>) {
    let plan = plan(query);
    let source = network.open(&plan, Mode::Live, None).unwrap();
    (plan, source)
}

fn spawned((plan, source): (Arc<Plan>, Box<dyn Source + Send>)) -> JoinHandle<Answer> {
    std::thread::spawn(move || answered(plan, source, &RunOptions::live()))
}

/// Queries over one network, each on a thread of its own; all are there before the first begins.
fn together(network: &Network, queries: &[&str]) -> Vec<Answer> {
    let opened: Vec<_> = queries.iter().map(|query| opened(network, query)).collect();
    let threads: Vec<_> = opened.into_iter().map(spawned).collect();
    threads.into_iter().map(|thread| thread.join().unwrap()).collect()
}

fn seqs(rows: &RecordBatch) -> Vec<i64> {
    rows.column_by_name("result").unwrap().as_primitive::<Int64Type>().values().to_vec()
}

#[test]
fn each_has_the_answer_that_it_has_alone_over_one_connection() {
    const FRAMES: usize = 4000;
    let frames = frames(FRAMES);
    // Whichever of those that want one stream comes first.
    let backwards: Vec<&str> = QUERIES.into_iter().rev().collect();
    for queries in [&QUERIES[..2], &QUERIES[..3], &QUERIES[..], &backwards] {
        let relay = start(relay(FRAMES));
        let answers = together(&shared(&relay, FRAMES, Shared::new()), queries);
        for (query, (rows, status)) in queries.iter().zip(answers) {
            assert_eq!(rows, alone(query, &frames), "{query}");
            assert_eq!(status.read, FRAMES as u64, "{query}");
            assert_eq!(status.cursor, Some(FRAMES as u64), "{query}");
            assert_eq!(status.dropped.len(), 0, "{query}: {:?}", status.dropped);
        }
        let counters = relay.counters();
        assert_eq!((counters.connections, counters.sent), (1, FRAMES as u64));
    }
    assert!(alone(QUERIES[0], &frames).num_rows() > 300);
}

#[test]
fn one_that_does_not_read_stalls_nobody_and_misses_nothing() {
    const FRAMES: usize = 8000;
    let frames = frames(FRAMES);
    let relay = start(relay(FRAMES));
    let network = shared(&relay, FRAMES, Shared::with_backlog(64 << 10));
    let slow = opened(&network, QUERIES[4]);
    let fast = together(&network, &QUERIES[..2]);
    // Some of the fast may have been left behind by the other: each has everything all the same.
    for (query, (rows, _)) in QUERIES.iter().zip(&fast) {
        assert_eq!(*rows, alone(query, &frames), "{query}");
    }
    let before = relay.counters().connections;
    let (rows, status) = spawned(slow).join().unwrap();
    assert_eq!(rows, alone(QUERIES[4], &frames));
    assert_eq!(status.read, FRAMES as u64);
    assert_eq!(relay.counters().connections, before + 1, "it goes on by a connection of its own");
}

#[test]
fn one_may_come_later_and_go_and_the_last_one_closes_the_connection() {
    let relay = start(Relay::new(network()).pacing(Pacing::Rate(5000.0)));
    let connection = Connection { location: relay.url().into(), ..Connection::default() };
    let network = Network { connection, shared: Some(Shared::new()), ..Network::default() };
    let (first_plan, first) = opened(&network, "likes.seq");
    let mut first = Answers::start(first_plan, first, &RunOptions::live()).unwrap();
    let mut all = seqs(&first.next().unwrap().unwrap());
    let (late_plan, late) = opened(&network, "likes.seq");
    let late_options = RunOptions { limit: Some(2000), ..RunOptions::live() };
    let (late, status) = std::thread::spawn(move || answered(late_plan, late, &late_options)).join().unwrap();
    let late = seqs(&late);
    assert_eq!(late.len(), 2000);
    while all.last() < late.last() {
        all.extend(seqs(&first.next().unwrap().unwrap()));
    }
    let begins = all.iter().position(|seq| *seq == late[0]).unwrap();
    assert!(begins > 0, "it begins with what comes then");
    assert_eq!(all[begins..begins + late.len()], late);
    assert!(status.read < all[all.len() - 1] as u64, "what was before is not its own: {}", status.read);

    // It has left; the other goes on.
    let more = all.len() + 1000;
    while all.len() < more {
        all.extend(seqs(&first.next().unwrap().unwrap()));
    }
    assert!(all.is_sorted() && all.windows(2).all(|two| two[0] < two[1]));
    assert_eq!(relay.counters().connections, 1);
    drop(first);
    let closed = Instant::now();
    while closed.elapsed() < Duration::from_millis(100) {
        std::thread::yield_now();
    }
    let sent = relay.counters().sent;
    while relay.counters().newest_seq < all[all.len() - 1] as u64 + 3000 {
        assert!(closed.elapsed() < LIMIT);
        std::thread::yield_now();
    }
    assert_eq!(relay.counters().sent, sent, "nothing is sent to nobody");

    // Another one begins anew.
    let options = RunOptions { limit: Some(1), ..RunOptions::live() };
    let (plan, source) = opened(&network, "likes.seq");
    assert!(seqs(&answered(plan, source, &options).0)[0] > all[all.len() - 1]);
    assert_eq!(relay.counters().connections, 2);
}

#[test]
fn a_connection_that_is_lost_is_lost_for_none() {
    const FRAMES: usize = 5000;
    let frames = frames(FRAMES);
    let script = "at 700 disconnect\nat 1500 reset after 33 bytes\nat 3000 close\n".parse().unwrap();
    let relay = start(relay(FRAMES).faults(Faults::new(1).script(script)));
    let answers = together(&shared(&relay, FRAMES, Shared::new()), &QUERIES[..3]);
    for (query, (rows, status)) in QUERIES.iter().zip(answers) {
        assert_eq!(rows, alone(query, &frames), "{query}");
        assert_eq!(status.dropped.get("reconnects"), Some(&3), "{:?}", status.dropped);
    }
    assert_eq!(relay.counters().connections, 4);
}

#[test]
fn a_stop_ends_one_at_once_and_the_others_go_on() {
    // Its frames come at once, then there is silence.
    let relay = start(relay(3000));
    let connection = Connection { location: relay.url().into(), ..Connection::default() };
    let network = Network { connection, shared: Some(Shared::new()), ..Network::default() };
    let running: Vec<_> = (0..3)
        .map(|_| {
            let (plan, source) = opened(&network, "likes.count()");
            let options = RunOptions::live();
            let stop = options.stop.clone();
            (stop, std::thread::spawn(move || answered(plan, source, &options)))
        })
        .collect();
    let begun = Instant::now();
    while relay.counters().sent < 3000 {
        assert!(begun.elapsed() < LIMIT);
        std::thread::yield_now();
    }
    for (stop, thread) in running {
        let stopped = Instant::now();
        stop.stop();
        assert!(!thread.is_finished() || stopped.elapsed() < Duration::from_millis(100));
        thread.join().unwrap();
        assert!(stopped.elapsed() < Duration::from_millis(100), "{:?}", stopped.elapsed());
    }
    assert_eq!(relay.counters().connections, 1);
}

#[test]
fn what_ends_the_connection_is_told_to_each() {
    let relay = start(Relay::new(network()).total(500).window(500));
    let mut network = shared(&relay, 10_000, Shared::new());
    // Beyond the newest there is: an error of the server.
    network.connection.cursor = Cursor::Seq(1_000_000);
    let sources: Vec<_> = (0..2).map(|_| opened(&network, "likes.count()").1).collect();
    for mut source in sources {
        let begun = Instant::now();
        let error = loop {
            assert!(begun.elapsed() < LIMIT);
            match source.next(Duration::from_millis(50)) {
                Ok(Next::End) => panic!("it ends without its error"),
                Ok(_) => {}
                Err(error) => break error,
            }
        };
        assert!(matches!(&error, SourceError::Shared(of) if matches!(**of, SourceError::Subscription(_))));
        assert!(error.to_string().contains("FutureCursor"), "{error}");
        assert!(matches!(source.next(Duration::ZERO), Ok(Next::End)));
    }
    // The next one begins anew.
    network.connection.cursor = Cursor::Oldest;
    let (plan, source) = opened(&network, "likes.count()");
    let options = RunOptions { limit: Some(10), ..RunOptions::live() };
    assert_eq!(answered(plan, source, &options).0.num_rows(), 10);
}

#[test]
fn labels_and_repositories_are_two_connections() {
    let labeler = sim::Labeler::new(sim::LabelerConfig::default());
    let relay = start(relay(300).also(sim::SUBSCRIBE_LABELS, labeler));
    let network = shared(&relay, 300, Shared::new());
    let queries = ["posts.count()", "labels.with_key(val).count()", "likes.count()", "labels.count()"];
    let answers = together(&network, &queries);
    assert!(answers.iter().all(|(rows, status)| rows.num_rows() > 0 && status.read == 300));
    assert_eq!(relay.counters_of(sim::SUBSCRIBE_LABELS).unwrap().connections, 1);
    assert_eq!(relay.counters_of(sim::SUBSCRIBE_REPOS).unwrap().connections, 1);
}

/// A recording of some of the frames.
fn recorded(folder: &std::path::Path, name: &str, frames: &[Bytes]) -> std::path::PathBuf {
    let path = folder.join(name);
    let mut recorder = Recorder::create(&path, Compression::None).unwrap();
    frames.iter().for_each(|frame| recorder.push(frame).unwrap());
    recorder.finish().unwrap();
    path
}

#[test]
fn history_then_live_is_shared_too_and_left_at_any_place() {
    const FRAMES: usize = 5000;
    let frames = frames(FRAMES);
    let folder = tempfile::tempdir().unwrap();
    let history = [("a.frames", 0..1500), ("b.frames", 1000..3000)]
        .map(|(name, range)| recorded(folder.path(), name, &frames[range]));
    // One that does not read is left behind within the history, or at the socket, or not at all.
    for backlog in [4 << 10, 16 << 10, 48 << 10, 64 << 20] {
        let relay = start(relay(FRAMES).pacing(Pacing::Rate(1e6)).beginning(Beginning::AtOnce));
        let begun = Instant::now();
        while relay.counters().newest_seq < FRAMES as u64 {
            assert!(begun.elapsed() < LIMIT);
            std::thread::yield_now();
        }
        let mut network = shared(&relay, FRAMES, Shared::with_backlog(backlog));
        network.connection.history = history.to_vec();
        network.connection.cursor = Cursor::Oldest;
        let slow = opened(&network, QUERIES[4]);
        for (query, (rows, _)) in QUERIES.iter().zip(together(&network, &QUERIES[..2])) {
            assert_eq!(rows, alone(query, &frames), "{query} {backlog}");
        }
        assert_eq!(spawned(slow).join().unwrap().0, alone(QUERIES[4], &frames), "{backlog}");
        let made = relay.counters().connections;
        let expected = if backlog > 1 << 20 { 1..=1 } else { 2..=3 };
        assert!(expected.contains(&made), "{made} connections with {backlog} bytes");
    }
    // Recordings by themselves.
    let all = recorded(folder.path(), "all.frames", &frames);
    let connection =
        Connection { location: all.to_str().unwrap().to_owned().into(), ..Connection::default() };
    let shared = Some(Shared::with_backlog(64 << 10));
    let network = Network { connection, shared, ..Network::default() };
    let slow = opened(&network, QUERIES[4]);
    assert_eq!(together(&network, &QUERIES[..1])[0].0, alone(QUERIES[0], &frames));
    assert_eq!(spawned(slow).join().unwrap().0, alone(QUERIES[4], &frames));
}

/// A commit that creates a post and a like; the post's path may be none.
fn commit(seq: u64, is_damaged: bool) -> Bytes {
    let record = |of: &str| {
        let fields = [("$type", of), ("text", "hi"), ("createdAt", "2026-01-01T00:00:00Z")];
        let fields = fields.into_iter().map(|(key, text)| (key.to_owned(), Value::Text(text.to_owned())));
        Value::Map(fields.collect::<Map>()).to_bytes()
    };
    let [post, like] = ["app.bsky.feed.post", "app.bsky.feed.like"].map(record);
    let cids = [&post, &like].map(|record| Cid::for_dag_cbor(record));
    let blocks = car::write(&[cids[0]], [(cids[0], post.as_slice()), (cids[1], like.as_slice())]);
    let op = |cid, collection, rkey| Op {
        cid: Some(cid),
        path: Path { collection, rkey },
        prev: None,
        action: Action::Create,
    };
    let rkey = "3mptbypluud2a";
    let commit = Commit {
        ops: vec![
            op(cids[0], "app.bsky.feed.post", if is_damaged { "a/b" } else { rkey }),
            op(cids[1], "app.bsky.feed.like", rkey),
        ],
        rev: "3mptbypluud2a",
        seq,
        prev: None,
        repo: "did:plc:wq4aajammjtxdomz3e23667t",
        time: "2026-01-01T00:00:00.000Z",
        blobs: Some(vec![]),
        since: None,
        blocks: &blocks,
        commit: cids[0],
        rebase: Some(false),
        too_big: Some(false),
        prev_data: None,
    };
    Message::Commit(commit).to_frame_bytes().into()
}

#[test]
fn a_frame_that_one_refuses_is_still_the_others() {
    let frames: Arc<[Bytes]> = (1..=60).map(|seq| commit(seq, seq % 3 == 0)).collect();
    let queries = ["posts.record.text.count()", "likes.count()", "likes.record.createdAt.count()"];
    let expected = queries.map(|query| alone(query, &frames));
    assert_eq!(expected.each_ref().map(RecordBatch::num_rows), [40, 60, 60]);
    let relay = start(Relay::from_frames(frames.to_vec(), Pacing::AsRead));
    let answers = together(&shared(&relay, 60, Shared::new()), &queries);
    for ((rows, status), (query, expected)) in answers.iter().zip(queries.iter().zip(expected)) {
        assert_eq!(*rows, expected, "{query}");
        assert_eq!(status.dropped.get("undecodable"), Some(&20));
        assert_eq!(status.dropped.get("possible gaps"), Some(&20));
    }
    assert_eq!(relay.counters().connections, 1);
}

#[test]
fn what_was_read_before_a_damaged_end_is_given_to_each() {
    let frames: Arc<[Bytes]> = (1..=60).map(|seq| commit(seq, seq == 31)).collect();
    let folder = tempfile::tempdir().unwrap();
    let path = recorded(folder.path(), "damaged.frames", &frames);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes.extend([0xff; 8]);
    std::fs::write(&path, bytes).unwrap();
    let location = path.to_str().unwrap().to_owned().into();
    let connection = Connection { location, ..Connection::default() };
    let network = Network { connection, shared: Some(Shared::new()), ..Network::default() };
    // The frame that one of them refuses keeps the others behind it waiting.
    let queries = ["posts.record.text", "likes.seq"].map(|query| opened(&network, query));
    let threads = queries.map(|(plan, source)| {
        std::thread::spawn(move || {
            let answers = Answers::start(plan, source, &RunOptions::live()).unwrap();
            let (given, failed): (Vec<_>, Vec<_>) = answers.partition(Result::is_ok);
            (given.into_iter().map(|batch| batch.unwrap().num_rows()).sum::<usize>(), failed.len())
        })
    });
    assert_eq!(threads.map(|thread| thread.join().unwrap()), [(59, 1), (60, 1)]);
}

/// A network over a Jetstream that queries may share, from its first event on.
fn jetstream(relay: &RelayHandle, shared: Option<Shared>) -> Network {
    let location = format!("{}/subscribe", relay.url()).into();
    let connection = Connection { location, cursor: Cursor::Oldest, ..Connection::default() };
    Network { connection, shared, ..Network::default() }
}

fn first(rows: usize) -> RunOptions {
    RunOptions { limit: Some(rows), duration: Some(LIMIT), ..RunOptions::live() }
}

fn spawned_for((plan, source): (Arc<Plan>, Box<dyn Source + Send>), rows: usize) -> JoinHandle<RecordBatch> {
    std::thread::spawn(move || answered(plan, source, &first(rows)).0)
}

/// Of different collections, and of none.
const OF_A_JETSTREAM: [(&str, usize); 4] = [
    ("posts.with_key(record.langs[0]).count()", 400),
    ("{ likes: likes.count(), at: likes.seq.last() }", 900),
    ("{ text: posts.record.text, follows: follows.count() }", 500),
    ("identities.handle", 20),
];

/// What each of those answers by itself.
fn each_alone(relay: &RelayHandle) -> Vec<RecordBatch> {
    let alone = |(query, rows)| spawned_for(opened(&jetstream(relay, None), query), rows).join().unwrap();
    OF_A_JETSTREAM.map(alone).into()
}

#[test]
fn a_jetstream_is_asked_once_for_what_all_want() {
    let served = || start(relay(8000).jetstream());
    let expected = each_alone(&served());
    for queries in [0..2, 0..3, 0..4] {
        // A relay of its own: one that was left goes on sending for a while.
        let relay = served();
        let network = jetstream(&relay, Some(Shared::new()));
        let of_it = &OF_A_JETSTREAM[queries.clone()];
        let opened: Vec<_> = of_it.iter().map(|(query, _)| opened(&network, query)).collect();
        let threads: Vec<_> =
            opened.into_iter().zip(of_it).map(|(opened, (_, rows))| spawned_for(opened, *rows)).collect();
        let answers: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        for ((answer, expected), (query, rows)) in answers.iter().zip(&expected).zip(of_it) {
            assert_eq!(answer.num_rows(), *rows, "{query}");
            assert_eq!(answer, expected, "{query}");
        }
        let counted = relay.counters();
        assert_eq!(counted.connections, 1, "{queries:?}");
        // Only what somebody wants is sent.
        assert!(queries.end == 4 || counted.sent < 8000, "{} of 8000", counted.sent);
    }
}

#[test]
fn one_that_is_left_behind_by_a_jetstream_misses_nothing_and_has_nothing_twice() {
    // At a pace, so that there are many batches.
    let served = || start(relay(8000).pacing(Pacing::Rate(10_000.0)).jetstream());
    let expected = each_alone(&served());
    for backlog in [1 << 10, 4 << 10, 16 << 10] {
        let relay = served();
        let network = jetstream(&relay, Some(Shared::with_backlog(backlog)));
        let slow = opened(&network, OF_A_JETSTREAM[2].0);
        let fast = spawned_for(opened(&network, OF_A_JETSTREAM[1].0), OF_A_JETSTREAM[1].1).join().unwrap();
        // It may have been left behind itself.
        assert_eq!(fast, expected[1]);
        let before = relay.counters().connections;
        let slow = spawned_for(slow, OF_A_JETSTREAM[2].1).join().unwrap();
        assert_eq!(slow, expected[2], "{backlog}");
        assert_eq!(relay.counters().connections, before + 1, "it goes on by a connection of its own");
    }
}

#[test]
fn one_that_comes_later_has_a_jetstream_asked_for_more() {
    let relay = start(Relay::new(network()).pacing(Pacing::Rate(4000.0)).window(1 << 16).jetstream());
    let mut network = jetstream(&relay, Some(Shared::new()));
    network.connection.cursor = Cursor::Live;
    let texts = |rows: &RecordBatch| {
        let texts = rows.column_by_name("result").unwrap().as_string::<i32>();
        texts.iter().map(|text| text.unwrap().to_owned()).collect::<Vec<_>>()
    };
    let (plan, source) = opened(&network, "likes.uri");
    let mut likes = Answers::start(plan, source, &RunOptions::live()).unwrap();
    let mut all = texts(&likes.next().unwrap().unwrap());
    // It wants no more than what is asked for.
    let same = spawned_for(opened(&network, "likes.rkey"), 10);
    assert_eq!(same.join().unwrap().num_rows(), 10);
    assert_eq!(relay.counters().connections, 1);
    // This one does.
    let posts = spawned_for(opened(&network, "{ post: posts.uri, likes: likes.count() }"), 500);
    let begun = Instant::now();
    while !posts.is_finished() || all.len() < 2500 {
        assert!(begun.elapsed() < LIMIT);
        all.extend(texts(&likes.next().unwrap().unwrap()));
    }
    let posts = posts.join().unwrap();
    let counts = posts.column_by_name("post").unwrap();
    assert!(posts.num_rows() == 500 && counts.null_count() > 0 && counts.null_count() < 500);
    assert_eq!(relay.counters().connections, 2);
    // Who was there before has lost nothing, and has nothing twice.
    let from_the_first = spawned_for(opened(&jetstream(&relay, None), "likes.uri"), all.len() + 500);
    let from_the_first = texts(&from_the_first.join().unwrap());
    let begins = from_the_first.iter().position(|uri| *uri == all[0]).unwrap();
    let both = all.len().min(from_the_first.len() - begins);
    assert!(both > 1500 && from_the_first[begins..begins + both] == all[..both], "{both} of {}", all.len());
    assert_eq!(all.iter().collect::<std::collections::BTreeSet<_>>().len(), all.len());
}

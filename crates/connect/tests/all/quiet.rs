//! A server that has little to say: what it has sent lies hours apart, and comes within a second where it is replayed.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arrow_array::cast::AsArray;
use arrow_array::types::TimestampNanosecondType;
use bytes::Bytes;
use jiff::Timestamp;
use skytide_atproto::car;
use skytide_atproto::cbor::{Map, Value};
use skytide_atproto::cid::Cid;
use skytide_atproto::columns::Clock;
use skytide_atproto::message::{Action, Commit, Message, Op, Path};
use skytide_atproto::syntax::Tid;
use skytide_connect::catalog::FirehoseCatalog;
use skytide_connect::network::{Connection, Network};
use skytide_connect::run::{Answers, RunOptions};
use skytide_connect::shared::Shared;
use skytide_firehose::{Compression, Cursor, Recorder};
use skytide_sim::{Pacing, Relay, RelayHandle};
use skytide_timestream::engine::Mode;
use skytide_timestream::plan::Results;

const POSTS: usize = 40;
const MINUTE: i64 = 60_000_000_000;
/// 2026-01-01T00:00:00Z
const START: i64 = 1_767_225_600_000_000_000;
const AHEAD: &str = "with a time too far ahead";

/// When a post was sent, UTC nanoseconds: three hours after the one before.
fn sent(post: usize) -> i64 {
    START + post as i64 * 180 * MINUTE
}

fn all(posts: impl IntoIterator<Item = usize>) -> Vec<i64> {
    posts.into_iter().map(sent).collect()
}

/// A post whose frame has a time, a revision, and a claim of its author.
fn post(seq: usize, time: i64, rev: i64, created_at: i64) -> Bytes {
    let [time, created_at] =
        [time, created_at].map(|nanos| Timestamp::from_nanosecond(i128::from(nanos)).unwrap().to_string());
    let rev = Tid::from_micros(rev.cast_unsigned() / 1000, 0).unwrap().to_string();
    let record = [("$type", "app.bsky.feed.post"), ("text", "hi"), ("createdAt", created_at.as_str())];
    let record: Map =
        record.into_iter().map(|(key, text)| (key.to_owned(), Value::Text(text.to_owned()))).collect();
    let record = Value::Map(record).to_bytes();
    let cid = Cid::for_dag_cbor(&record);
    let blocks = car::write(&[cid], [(cid, record.as_slice())]);
    let path = Path { collection: "app.bsky.feed.post", rkey: "3mptbypluud2a" };
    let commit = Commit {
        ops: vec![Op { cid: Some(cid), path, prev: None, action: Action::Create }],
        rev: &rev,
        seq: seq as u64,
        prev: None,
        repo: "did:plc:wq4aajammjtxdomz3e23667t",
        time: &time,
        blobs: Some(vec![]),
        since: None,
        blocks: &blocks,
        commit: cid,
        rebase: Some(false),
        too_big: Some(false),
        prev_data: None,
    };
    Message::Commit(commit).to_frame_bytes().into()
}

/// All of them, each clock of which tells when it was sent.
fn posts() -> Vec<Bytes> {
    (0..POSTS).map(|at| post(at + 1, sent(at), sent(at), sent(at))).collect()
}

/// A server that replays frames, and the network that is there.
fn replayed(frames: &[Bytes]) -> (RelayHandle, Network) {
    let relay = Relay::from_frames(frames.to_vec(), Pacing::AsRead).window(frames.len() as u64);
    let relay = relay.start("127.0.0.1:0").unwrap();
    let limit = Some(frames.len() as u64);
    let connection =
        Connection { location: relay.url().into(), cursor: Cursor::Oldest, limit, ..Connection::default() };
    (relay, Network { connection, ..Network::default() })
}

/// The times of the posts of a network, and what was counted of them.
fn times(network: &Network, mode: Mode) -> (Vec<i64>, BTreeMap<&'static str, u64>) {
    let query = skytide_timestream::compile("posts.seq", &FirehoseCatalog::new()).unwrap();
    let plan = Arc::new(skytide_timestream::plan(Arc::new(query), Results::history()));
    let source = network.open(&plan, mode, None).unwrap();
    let options = RunOptions { mode, duration: Some(Duration::from_secs(60)), ..RunOptions::once() };
    let mut answers = Answers::start(plan, source, &options).unwrap();
    let times = answers.by_ref().flat_map(|batch| {
        let batch = batch.unwrap();
        batch.column_by_name("_time").unwrap().as_primitive::<TimestampNanosecondType>().values().to_vec()
    });
    let times = times.collect();
    let mut counted = answers.outcome().unwrap().source.dropped.clone();
    // Each pause is one: no frame tells that nothing was sent.
    counted.remove("possible gaps");
    (times, counted)
}

#[test]
fn what_a_connection_replays_has_its_own_times() {
    let (_relay, network) = replayed(&posts());
    for clock in [Clock::FrameTime, Clock::Rev, Clock::CreatedAt] {
        for shared in [None, Some(Shared::new())] {
            let network = Network { clock, shared, ..network.clone() };
            assert_eq!(times(&network, Mode::Live), (all(0..POSTS), BTreeMap::new()), "{clock:?}");
        }
    }
}

#[test]
fn a_time_beyond_its_arrival_is_not_believed() {
    let mut frames = posts();
    // 2199; its revision and its claim are as they should be.
    frames[20] = post(21, START + 173 * 365 * 1440 * MINUTE, sent(20), sent(20));
    let (_relay, network) = replayed(&frames);
    let counted = BTreeMap::from([(AHEAD, 1)]);
    let newest = all((0..POSTS).map(|at| if at == 20 { 19 } else { at }));
    assert_eq!(times(&network, Mode::Live), (newest, counted.clone()));
}

#[test]
fn a_recording_has_its_own_times_by_other_clocks_alone() {
    let folder = tempfile::tempdir().unwrap();
    let recorded = |name: &str, frames: &[Bytes]| {
        let path = folder.path().join(name);
        let mut recorder = Recorder::create(&path, Compression::None).unwrap();
        frames.iter().for_each(|frame| recorder.push(frame).unwrap());
        recorder.finish().unwrap();
        Network::at(path.to_str().unwrap())
    };
    let network = recorded("a.frames", &posts());
    // Nothing tells that they did not come at once: one in sixteen moves the clock, to the lowest of those.
    let clock = (0..POSTS).map(|at| [0, 1, 17][at / 16]);
    let counted = BTreeMap::from([(AHEAD, 37)]);
    for mode in [Mode::Once, Mode::Live] {
        assert_eq!(times(&network, mode), (all(clock.clone()), counted.clone()), "{mode:?}");
        for clock in [Clock::Rev, Clock::CreatedAt] {
            let network = Network { clock, ..network.clone() };
            assert_eq!(times(&network, mode), (all(0..POSTS), counted.clone()), "{clock:?}, {mode:?}");
        }
    }

    // Five minutes after that of its own frame is as much as is believed.
    let mut frames = posts();
    frames[20] = post(21, sent(20), sent(20) + 6 * MINUTE, sent(20));
    frames[21] = post(22, sent(21), sent(21) + 5 * MINUTE, sent(21));
    let network = Network { clock: Clock::Rev, ..recorded("b.frames", &frames) };
    let mut expected = all((0..POSTS).map(|at| if at == 20 { 1 } else { at }));
    expected[21] += 5 * MINUTE;
    expected.sort_unstable();
    assert_eq!(times(&network, Mode::Once), (expected, BTreeMap::from([(AHEAD, 38)])));
}

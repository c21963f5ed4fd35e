//! The firehose as a source: what a query over simulated frames gives is what counting them by hand gives.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampNanosecondType};
use bytes::Bytes;
use skytide_atproto::car;
use skytide_atproto::cbor::{Map, Value};
use skytide_atproto::cid::Cid;
use skytide_atproto::columns::Clock;
use skytide_atproto::frame::Frame;
use skytide_atproto::message::{Account, Action, Commit, Identity, Label, Labels, Message, Op, Path};
use skytide_connect::catalog::{Feed, FirehoseCatalog};
use skytide_connect::firehose::FirehoseSource;
use skytide_connect::frames::Frames;
use skytide_connect::late::{Judge, Late, Side};
use skytide_connect::reorder::Reorder;
use skytide_connect::run::{End, Outcome, RunError, RunOptions, run};
use skytide_connect::sink::{Sink, SinkError};
use skytide_connect::source::{Source, SourceError, Status};
use skytide_sim::{Config, Network};
use skytide_timestream::engine::Mode;
use skytide_timestream::plan::{Plan, Results};

/// Keeps what it is given.
#[derive(Default)]
struct Kept(Vec<RecordBatch>);

impl Sink for Kept {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), SinkError> {
        self.0.push(batch.clone());
        Ok(())
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        Ok(())
    }
}

fn simulated(frames: usize) -> Arc<[Bytes]> {
    let network = Network::new(Config { accounts: 60, ..Config::default() });
    network.take(frames).map(|frame| frame.bytes).collect()
}

fn planned(query: &str, results: Results) -> (FirehoseCatalog, Arc<Plan>) {
    let catalog = FirehoseCatalog::new();
    let query = skytide_timestream::compile(query, &catalog).unwrap();
    (catalog, Arc::new(skytide_timestream::plan(Arc::new(query), results)))
}

/// The operations of a collection by author, counted by hand.
fn by_author(frames: &[Bytes], collection: &str, action: Action) -> BTreeMap<String, i64> {
    let mut counts = BTreeMap::new();
    for frame in frames {
        let Message::Commit(commit) = Message::parse(&Frame::parse(frame).unwrap()).unwrap() else {
            continue;
        };
        for op in commit.ops().unwrap() {
            if op.collection == collection && op.action == action {
                *counts.entry(commit.repo.to_owned()).or_default() += 1;
            }
        }
    }
    counts
}

fn counts(batches: &[RecordBatch]) -> BTreeMap<String, i64> {
    let rows = batches.iter().flat_map(|batch| {
        let keys = batch.column_by_name("_key").unwrap().as_string::<i32>();
        let counts = batch.column_by_name("result").unwrap().as_primitive::<Int64Type>();
        keys.iter().zip(counts.iter()).map(|(key, count)| (key.unwrap().to_owned(), count.unwrap()))
    });
    rows.collect()
}

#[test]
fn counts_are_those_of_the_frames() {
    let frames = simulated(3000);
    let cases = [
        ("likes.count()", "app.bsky.feed.like", Action::Create),
        ("posts.count()", "app.bsky.feed.post", Action::Create),
        ("follows.deletes().count()", "app.bsky.graph.follow", Action::Delete),
        ("profiles.updates().count()", "app.bsky.actor.profile", Action::Update),
        ("records(\"app.bsky.feed.repost\").count()", "app.bsky.feed.repost", Action::Create),
    ];
    for (query, collection, action) in cases {
        let (catalog, plan) = planned(query, Results::snapshot());
        let memory = Frames::repeating(Arc::clone(&frames)).until(Some(3000));
        let mut source = FirehoseSource::new(&plan, &catalog, memory, Clock::FrameTime).unwrap();
        let mut kept = Kept::default();
        let outcome = run(plan, &mut source, &mut kept, &RunOptions::once(), |_, _| {}).unwrap();
        let expected = by_author(&frames, collection, action);
        assert!(!expected.is_empty(), "{query} has something to count");
        assert_eq!(counts(&kept.0), expected, "{query}");
        assert_eq!((outcome.end, outcome.source.read), (End::Source, 3000));
        assert_eq!(outcome.source.dropped, BTreeMap::new());
    }
}

#[test]
fn frames_that_do_not_decode_are_counted_and_the_rest_goes_on() {
    let good = simulated(500);
    let mut frames = good.to_vec();
    frames.insert(100, Bytes::from_static(b"\xa1\x62op\x01garbage"));
    let cut = good[200].slice(..good[200].len() / 2);
    frames.insert(300, cut);
    let (catalog, plan) = planned("likes.count()", Results::snapshot());
    let memory = Frames::repeating(frames.into()).until(Some(502));
    let mut source = FirehoseSource::new(&plan, &catalog, memory, Clock::FrameTime).unwrap();
    let mut kept = Kept::default();
    let outcome = run(plan, &mut source, &mut kept, &RunOptions::once(), |_, _| {}).unwrap();
    assert_eq!(counts(&kept.0), by_author(&good, "app.bsky.feed.like", Action::Create));
    assert_eq!(outcome.source.dropped, BTreeMap::from([("undecodable", 2)]));
}

fn times(mode: Mode, lateness: Duration, clock: Clock) -> (Vec<i64>, u64) {
    let (catalog, plan) = planned("likes.seq", Results::history());
    let memory = Frames::repeating(simulated(2000)).until(Some(2000));
    let source = FirehoseSource::new(&plan, &catalog, memory, clock).unwrap();
    let mut source = Reorder::new(source, mode, Judge::new(lateness));
    let mut kept = Kept::default();
    let options = RunOptions { mode, ..RunOptions::once() };
    run(plan, &mut source, &mut kept, &options, |_, _| {}).unwrap();
    let times = kept.0.iter().flat_map(|batch| {
        batch.column_by_name("_time").unwrap().as_primitive::<TimestampNanosecondType>().values().to_vec()
    });
    (times.collect(), source.status().dropped.get("late").copied().unwrap_or(0))
}

#[test]
fn other_clocks_are_put_in_order() {
    // A server commits a moment before the relay says so; what authors claim may be years old.
    let hour = Duration::from_secs(3600);
    for (clock, enough) in [(Clock::Rev, hour), (Clock::CreatedAt, hour * 24 * 365 * 50)] {
        let (once, late) = times(Mode::Once, Duration::ZERO, clock);
        assert!(once.is_sorted() && once.len() > 1000 && late == 0, "{clock:?}");
        let (patient, late) = times(Mode::Live, enough, clock);
        assert_eq!((&patient, late), (&once, 0), "{clock:?}: who waits long enough misses nothing");
        let (hasty, late) = times(Mode::Live, Duration::ZERO, clock);
        assert!(hasty.is_sorted());
        assert_eq!(hasty.len() as u64 + late, once.len() as u64, "{clock:?}: what is not there is counted");
    }
}

/// What a live query without patience gives.
struct Hasty {
    /// The numbers of the likes that it answers with.
    given: Vec<i64>,
    /// Those of the ones that went to its side, with whether each was whole.
    side: Vec<(i64, bool)>,
    ended: Result<Outcome, RunError>,
    status: Status,
}

fn hasty(late: Late, frames: &Arc<[Bytes]>) -> Hasty {
    hasty_of("likes.filter(record.subject.cid != \"\").seq", late, frames)
}

fn hasty_of(query: &str, late: Late, frames: &Arc<[Bytes]>) -> Hasty {
    let (catalog, plan) = planned(query, Results::history());
    let kept: Arc<Mutex<Vec<RecordBatch>>> = Arc::default();
    let into = Arc::clone(&kept);
    let side = Side::new(move |batch| {
        into.lock().unwrap().push(batch.clone());
        Ok(())
    });
    let judge = Judge::new(Duration::ZERO).by(late, &plan.scans, Some(&side)).unwrap().at("here");
    let read = Plan { scans: judge.scans(&plan.scans), ..Plan::clone(&plan) };
    let memory = Frames::repeating(Arc::clone(frames)).until(Some(frames.len() as u64));
    let source = FirehoseSource::new(&read, &catalog, memory, Clock::CreatedAt).unwrap();
    let mut source = Reorder::new(source, Mode::Live, judge);
    let mut answer = Kept::default();
    let ended = run(plan, &mut source, &mut answer, &RunOptions::live(), |_, _| {});
    let seqs = |batch: &RecordBatch, column: &str| {
        batch.column_by_name(column).unwrap().as_primitive::<Int64Type>().values().to_vec()
    };
    let given = answer.0.iter().flat_map(|batch| seqs(batch, "result")).collect();
    let kept = kept.lock().unwrap().clone();
    let side = kept.iter().flat_map(|batch| {
        let text = |column: &str| batch.column_by_name(column).unwrap().as_string::<i32>().clone();
        let (keys, dids, uris, streams) = (text("_key"), text("did"), text("uri"), text("_stream"));
        let record = batch.column_by_name("record").unwrap().as_struct();
        let subject =
            record.column_by_name("subject").unwrap().as_struct().column_by_name("uri").unwrap().clone();
        let moment = |column: &str| {
            batch.column_by_name(column).unwrap().as_primitive::<TimestampNanosecondType>().values().clone()
        };
        let (times, watermarks) = (moment("_time"), moment("_watermark"));
        let is_whole = move |row: usize| {
            keys.value(row) == dids.value(row)
                && uris.value(row).starts_with(&format!("at://{}/", dids.value(row)))
                && streams.value(row) == "likes"
                && subject.as_string::<i32>().value(row).starts_with("at://")
                && times[row] < watermarks[row]
        };
        seqs(batch, "seq")
            .into_iter()
            .enumerate()
            .map(move |(row, seq)| (seq, is_whole(row)))
            .collect::<Vec<_>>()
    });
    Hasty { given, side: side.collect(), ended, status: source.status() }
}

#[test]
fn late_points_of_a_network_follow_its_policy() {
    let frames = simulated(2000);
    let Hasty { given, side, ended, status } = hasty(Late::Drop, &frames);
    assert!(ended.is_ok() && side.is_empty());
    let late = status.dropped["late"];
    assert!(late > 100 && given.len() > 20, "{late} late, {} not", given.len());

    let Hasty { given: same, side, ended, status } = hasty(Late::Side, &frames);
    assert!(ended.is_ok());
    assert_eq!(same, given, "what is not late is answered as it was");
    assert!(side.iter().all(|(_, is_whole)| *is_whole), "{side:?}");
    assert_eq!((status.dropped.get("late"), status.dropped["late to the side"]), (None, late));
    let mut all: Vec<i64> = side.iter().map(|(seq, _)| *seq).chain(same).collect();
    all.sort_unstable();
    let (catalog, plan) = planned("likes.seq", Results::history());
    let memory = Frames::repeating(Arc::clone(&frames)).until(Some(2000));
    let mut source = FirehoseSource::new(&plan, &catalog, memory, Clock::FrameTime).unwrap();
    let mut answer = Kept::default();
    run(plan, &mut source, &mut answer, &RunOptions::once(), |_, _| {}).unwrap();
    let likes: Vec<i64> = answer
        .0
        .iter()
        .flat_map(|batch| {
            batch.column_by_name("result").unwrap().as_primitive::<Int64Type>().values().to_vec()
        })
        .collect();
    assert_eq!(all, likes, "none is lost, and none is there twice");

    let Hasty { given: before, side, ended, status } = hasty(Late::Error, &frames);
    let error = ended.unwrap_err();
    assert!(matches!(&error, RunError::Source(SourceError::Late { .. })), "{error}");
    assert!(error.to_string().starts_with("`likes` of here has a late point"), "{error}");
    assert!(!before.is_empty() && side.is_empty());
    assert!(before.len() < given.len() && given.starts_with(&before), "{before:?} of {given:?}");
    assert_eq!((status.dropped.get("late"), status.points), (Some(&1), before.len() as u64));
}

#[test]
fn what_is_late_does_not_depend_on_what_is_asked() {
    let frames = simulated(2000);
    let likes = by_author(&frames, "app.bsky.feed.like", Action::Create);
    let (author, count) = likes.iter().max_by_key(|(_, count)| **count).unwrap();
    // A test that the source makes, and one that it cannot make.
    let [told, untold] = [format!("did == {author:?}"), format!("did == {author:?} or did.len() < 0")]
        .map(|test| hasty_of(&format!("likes.filter({test}).seq"), Late::Drop, &frames).given);
    assert!(!told.is_empty() && (told.len() as i64) < *count, "some of it is late");
    assert_eq!(told, untold);
}

#[test]
fn a_limit_ends_it_and_a_stop_too() {
    let (catalog, plan) = planned("likes.count()", Results::history());
    let endless =
        || FirehoseSource::new(&plan, &catalog, Frames::repeating(simulated(300)), Clock::FrameTime).unwrap();
    let mut kept = Kept::default();
    let limited = RunOptions { limit: Some(7), ..RunOptions::live() };
    let outcome = run(Arc::clone(&plan), &mut endless(), &mut kept, &limited, |_, _| {}).unwrap();
    assert_eq!((outcome.end, outcome.rows), (End::Limit, 7));
    assert_eq!(kept.0.iter().map(RecordBatch::num_rows).sum::<usize>(), 7);

    let options = RunOptions::live();
    let stop = options.stop.clone();
    let outcome = run(Arc::clone(&plan), &mut endless(), &mut kept, &options, |_, rows| {
        if rows > 0 {
            stop.stop();
        }
    })
    .unwrap();
    assert_eq!(outcome.end, End::Stopped);
}

/// A post that claims to be of this time, in a frame of 2026-01-01T00:00:00Z.
fn claiming(seq: u64, created_at: &str) -> Bytes {
    let record = [("$type", "app.bsky.feed.post"), ("text", "hi"), ("createdAt", created_at)];
    let record: Map =
        record.into_iter().map(|(key, text)| (key.to_owned(), Value::Text(text.to_owned()))).collect();
    let record = Value::Map(record).to_bytes();
    let cid = Cid::for_dag_cbor(&record);
    let blocks = car::write(&[cid], [(cid, record.as_slice())]);
    let path = Path { collection: "app.bsky.feed.post", rkey: "3mptbypluud2a" };
    let commit = Commit {
        ops: vec![Op { cid: Some(cid), path, prev: None, action: Action::Create }],
        rev: "3mptbypluud2a",
        seq,
        prev: None,
        repo: "did:plc:wq4aajammjtxdomz3e23667t",
        time: "2026-01-01T00:00:00.000Z",
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

#[test]
fn one_absurd_claim_makes_nobody_late() {
    let claims =
        ["2025-12-31T23:59:58Z", "2199-01-01T00:00:00Z", "2025-12-31T23:59:59Z", "2026-01-01T00:01:00Z"];
    let frames: Arc<[Bytes]> = (1..).zip(claims).map(|(seq, claim)| claiming(seq, claim)).collect();
    for mode in [Mode::Once, Mode::Live] {
        let (catalog, plan) = planned("posts.seq", Results::history());
        let memory = Frames::repeating(Arc::clone(&frames)).until(Some(4));
        let source = FirehoseSource::new(&plan, &catalog, memory, Clock::CreatedAt).unwrap();
        let mut source = Reorder::new(source, mode, Judge::new(Duration::from_secs(60)));
        let mut kept = Kept::default();
        let options = RunOptions { mode, ..RunOptions::once() };
        run(plan, &mut source, &mut kept, &options, |_, _| {}).unwrap();
        let seqs: Vec<i64> = kept
            .0
            .iter()
            .flat_map(|batch| {
                batch.column_by_name("result").unwrap().as_primitive::<Int64Type>().values().to_vec()
            })
            .collect();
        // The second one stands at its frame's time.
        assert_eq!(seqs, [1, 3, 2, 4], "{mode:?}");
        assert_eq!(source.status().dropped, BTreeMap::from([("with a time too far ahead", 1)]));
    }
}

#[test]
fn points_of_a_stream_that_is_read_twice_are_counted_once() {
    let claims = ["2025-12-31T23:59:58Z", "2199-01-01T00:00:00Z", "2025-12-31T23:59:50Z"];
    let frames: Arc<[Bytes]> = (1..).zip(claims).map(|(seq, claim)| claiming(seq, claim)).collect();
    for query in ["posts.seq", "posts.count(window=trailing(\"1s\"))"] {
        let (catalog, plan) = planned(query, Results::history());
        let judge = Judge::new(Duration::ZERO).by(Late::Drop, &plan.scans, None).unwrap();
        let memory = Frames::repeating(Arc::clone(&frames)).until(Some(3));
        let source = FirehoseSource::new(&plan, &catalog, memory, Clock::CreatedAt).unwrap();
        let mut source = Reorder::new(source, Mode::Live, judge);
        let options = RunOptions { mode: Mode::Live, ..RunOptions::once() };
        run(plan, &mut source, &mut Kept::default(), &options, |_, _| {}).unwrap();
        let expected = BTreeMap::from([("with a time too far ahead", 1), ("late", 1)]);
        assert_eq!(source.status().dropped, expected, "{query}");
    }
}

/// The last count of each key (of each account, where the query does not group), and what the source did.
fn counted(query: &str, frames: &Arc<[Bytes]>) -> (BTreeMap<Option<String>, i64>, Status) {
    let (catalog, plan) = planned(query, Results::snapshot());
    let memory = Frames::repeating(Arc::clone(frames)).until(Some(frames.len() as u64));
    let mut source = FirehoseSource::new(&plan, &catalog, memory, Clock::FrameTime).unwrap();
    let mut kept = Kept::default();
    let outcome = run(plan, &mut source, &mut kept, &RunOptions::once(), |_, _| {}).unwrap();
    let rows = kept.0.iter().flat_map(|batch| {
        let keys = batch.column_by_name("_key").unwrap().as_string::<i32>();
        let counts = batch.column_by_name("result").unwrap().as_primitive::<Int64Type>();
        keys.iter().zip(counts.iter()).map(|(key, count)| (key.map(str::to_owned), count.unwrap()))
    });
    (rows.collect(), outcome.source)
}

fn expected<const N: usize>(counts: [(Option<&str>, i64); N]) -> BTreeMap<Option<String>, i64> {
    counts.map(|(key, count)| (key.map(str::to_owned), count)).into()
}

/// Two messages of labels: three of accounts and records, one of neither.
fn labels() -> Arc<[Bytes]> {
    let label = |uri, val, neg, cts| Label {
        cid: None,
        cts,
        exp: None,
        neg,
        sig: None,
        src: "did:plc:labeler",
        uri,
        val,
        ver: Some(1),
    };
    let first = vec![
        label("did:plc:a", "spam", None, "2026-07-04T14:38:08Z"),
        label("at://did:plc:b/app.bsky.feed.post/1", "porn", Some(false), "2026-07-04T14:38:09Z"),
    ];
    let second = vec![
        label("did:plc:a", "spam", Some(true), "2026-07-04T14:38:07Z"),
        label("https://example.com", "spam", None, "2026-07-04T14:38:10Z"),
    ];
    let message = |(seq, labels)| Message::Labels(Labels { seq, labels }).to_frame_bytes().into();
    [(1, first), (2, second)].map(message).into()
}

#[test]
fn labels_are_counted_by_value_and_by_the_account_they_are_about() {
    let frames = labels();
    let (by_value, status) = counted("labels.with_key(val).count()", &frames);
    assert_eq!(by_value, expected([(Some("porn"), 1), (Some("spam"), 3)]));
    assert_eq!((status.read, status.points), (2, 4));
    assert_eq!(status.newest, Some(1_783_175_890_000_000_000));
    assert_eq!(status.dropped, BTreeMap::from([("labels of no account", 1)]));

    let standing = counted("labels.filter(not(neg.else_(false))).count()", &frames).0;
    assert_eq!(standing, expected([(None, 1), (Some("did:plc:a"), 1), (Some("did:plc:b"), 1)]));
    let taken_back = counted("labels.filter(neg).with_key(val).count()", &frames).0;
    assert_eq!(taken_back, expected([(Some("spam"), 1)]));
    let of_repositories = counted("labels.count()", &simulated(50));
    assert_eq!((of_repositories.0.len(), of_repositories.1.points), (0, 0));
}

#[test]
fn identities_and_accounts_are_counted() {
    let time = "2026-07-04T14:38:08Z";
    let identity = |seq, did| Message::Identity(Identity { did, seq, time, handle: None }).to_frame_bytes();
    let account = |seq, did, active| {
        Message::Account(Account { did, seq, time, active, status: None }).to_frame_bytes()
    };
    let (a, b) = ("did:plc:a", "did:plc:b");
    let frames = [identity(1, a), account(2, a, false), identity(3, b), account(4, b, true), identity(5, a)];
    let frames: Arc<[Bytes]> = frames.map(Bytes::from).into();
    assert_eq!(counted("identities.count()", &frames).0, expected([(Some(a), 2), (Some(b), 1)]));
    assert_eq!(counted("accounts.filter(not(active)).count()", &frames).0, expected([(Some(a), 1)]));
    assert_eq!(counted("accounts.count()", &frames).0, expected([(Some(a), 1), (Some(b), 1)]));
}

#[test]
fn a_plan_says_which_feed_and_collections_it_needs() {
    let of = |query: &str| {
        let (catalog, plan) = planned(query, Results::history());
        (catalog.feed(&plan).unwrap(), catalog.wanted_collections(&plan))
    };
    let collections = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
    let both = "{ likes: likes.count(), posts: posts.deletes().count(), again: likes.updates().count() }";
    assert_eq!(of(both), (Feed::Repos, collections(&["app.bsky.feed.like", "app.bsky.feed.post"])));
    let with_accounts = "{ own: records(\"com.example.thing\").count(), accounts: accounts.count() }";
    assert_eq!(of(with_accounts), (Feed::Repos, collections(&["com.example.thing"])));
    assert_eq!(of("identities.count()"), (Feed::Repos, None));
    assert_eq!(of("labels.with_key(val).count()"), (Feed::Labels, None));

    let both = "{ labels: labels.count(), posts: posts.count() }";
    let error = skytide_timestream::compile(both, &FirehoseCatalog::new()).unwrap_err();
    let message = "labels and repositories in one query: a connection carries either, not both";
    assert_eq!((error.message.as_str(), &both[error.span.clone()]), (message, "posts"));
    // A plan over another catalog is held against its streams where it is opened.
    let of = |query: &str| planned(query, Results::history());
    let ((catalog, labels_only), (_, posts)) = (of("labels.count()"), of("posts.count()"));
    let scans = labels_only.scans.iter().chain(&posts.scans).cloned().collect();
    let plan = Arc::new(Plan { scans, ..Plan::clone(&labels_only) });
    let refused = FirehoseSource::new(&plan, &catalog, Frames::repeating(labels()), Clock::FrameTime);
    let Err(SourceError::Unfit(found)) = refused else { panic!("both are taken") };
    assert_eq!(found, message);
    assert!(catalog.feed(&plan).is_err());
}

#[test]
fn what_a_network_has_is_offered() {
    let catalog = FirehoseCatalog::new();
    let offered = |text: &str, wanted: &str| {
        let found = skytide_timestream::completion::complete(text, text.len(), &catalog);
        found.candidates.iter().any(|candidate| candidate.text == wanted)
    };
    for (text, wanted) in [
        ("p", "posts"),
        ("posts.", "deletes()"),
        ("records(\"com.example.thing\").", "updates()"),
        ("posts.deletes().record.", "createdAt"),
        ("rec", "records("),
        ("records(\"app.bsky.graph.bl", "\"app.bsky.graph.block\""),
    ] {
        assert!(offered(text, wanted), "{text}: {wanted}");
    }
    // What is no record has no such methods, and what they give has none.
    for text in ["accounts.", "posts.deletes().", "posts.record."] {
        assert!(!offered(text, "deletes()"), "{text}");
    }
}

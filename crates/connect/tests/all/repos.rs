//! Exported repositories as a source: what a query over them gives is what their records are.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path as FilePath;
use std::sync::Arc;
use std::time::Duration;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampNanosecondType};
use arrow_array::{Array, RecordBatch};
use bytes::Bytes;
use skytide_atproto::car;
use skytide_atproto::cbor::{Map, Value};
use skytide_atproto::cid::Cid;
use skytide_atproto::columns::Clock;
use skytide_atproto::message::{Action, Message};
use skytide_atproto::mst::Tree;
use skytide_atproto::repo::Commit;
use skytide_atproto::syntax::Tid;
use skytide_connect::catalog::FirehoseCatalog;
use skytide_connect::late::Late;
use skytide_connect::network::{Connection, Location, Network};
use skytide_connect::run::{Answers, RunOptions};
use skytide_connect::source::{Source, SourceError, Status};
use skytide_sim::{Config, Network as Simulated};
use skytide_timestream::engine::Mode;
use skytide_timestream::plan::{Plan, Results};

const POST: &str = "app.bsky.feed.post";

/// The records of an account: by path the CID and the block.
type Records = BTreeMap<String, (Cid, Vec<u8>)>;

/// An export of these records, and its blocks.
fn export(did: &str, rev: Tid, records: &Records) -> Vec<u8> {
    let tree = Tree::from_entries(records.iter().map(|(path, (cid, _))| (path.as_str(), *cid))).unwrap();
    let commit = Commit { did: did.parse().unwrap(), data: tree.root(), rev, prev: None, sig: [1; 64] };
    let object = commit.to_bytes();
    let root = Cid::for_dag_cbor(&object);
    let nodes = tree.blocks();
    let records = records.values().map(|(cid, block)| (*cid, block.clone()));
    car::write(&[root], [(root, object)].into_iter().chain(nodes).chain(records))
}

/// What accounts of the simulated network have written and not deleted, with their last revision.
fn repositories(frames: usize) -> BTreeMap<String, (Tid, Records)> {
    let mut all: BTreeMap<String, (Tid, Records)> = BTreeMap::new();
    let network = Simulated::new(Config { accounts: 20, ..Config::default() });
    for frame in network.take(frames) {
        let Ok(Message::Commit(commit)) = Message::from_bytes(&frame.bytes) else { continue };
        let rev: Tid = commit.rev.parse().unwrap();
        let (last, records) = all.entry(commit.repo.to_owned()).or_insert((rev, Records::new()));
        *last = rev;
        for op in commit.ops().unwrap() {
            let path = format!("{}/{}", op.collection, op.rkey);
            match op.action {
                Action::Delete => drop(records.remove(&path)),
                Action::Create | Action::Update => {
                    records.insert(path, (op.cid.unwrap(), op.record.unwrap().to_vec()));
                }
            }
        }
    }
    all
}

fn open(query: &str, location: impl Into<Location>, clock: Clock) -> Result<Answered, SourceError> {
    let catalog = FirehoseCatalog::new();
    let query = skytide_timestream::compile(query, &catalog).unwrap();
    let plan = Arc::new(skytide_timestream::plan(Arc::new(query), Results::history()));
    let connection = Connection { location: location.into(), ..Connection::default() };
    let network = Network {
        connection,
        collections: Vec::new(),
        clock,
        lateness: Duration::ZERO,
        late: Late::Drop,
        catalog,
        shared: None,
    };
    let source = network.open(&plan, Mode::Once, None)?;
    Ok(Answered { plan, source })
}

struct Answered {
    plan: Arc<Plan>,
    source: Box<dyn Source + Send>,
}

impl Answered {
    fn rows(mut self) -> Result<(Vec<RecordBatch>, Status), String> {
        let mut answers = Answers::start(self.plan, self.source.as_mut(), &RunOptions::once()).unwrap();
        let batches = answers.by_ref().collect::<Result<_, _>>().map_err(|error| error.to_string())?;
        Ok((batches, answers.outcome().unwrap().source.clone()))
    }
}

fn rows(query: &str, location: impl Into<Location>, clock: Clock) -> (Vec<RecordBatch>, Status) {
    open(query, location, clock).map_err(|error| error.to_string()).unwrap().rows().unwrap()
}

fn texts(batches: &[RecordBatch], column: &str) -> Vec<Option<String>> {
    let of = |batch: &RecordBatch| {
        let texts = batch.column_by_name(column).unwrap().as_string::<i32>().clone();
        texts.iter().map(|text| text.map(str::to_owned)).collect::<Vec<_>>()
    };
    batches.iter().flat_map(of).collect()
}

fn times(batches: &[RecordBatch]) -> Vec<i64> {
    let of = |batch: &RecordBatch| {
        batch.column_by_name("_time").unwrap().as_primitive::<TimestampNanosecondType>().values().to_vec()
    };
    batches.iter().flat_map(of).collect()
}

fn counted(batches: &[RecordBatch]) -> i64 {
    let of = |batch: &RecordBatch| batch.column_by_name("result").unwrap().as_primitive::<Int64Type>().len();
    batches.iter().map(of).sum::<usize>() as i64
}

#[test]
fn a_folder_of_repositories_is_their_records_in_order_of_time() {
    let folder = tempfile::tempdir().unwrap();
    let all = repositories(6000);
    assert!(all.len() > 10);
    let mut expected = Vec::new();
    for (did, (rev, records)) in &all {
        fs::write(folder.path().join(format!("{}.car", did.replace(':', "-"))), export(did, *rev, records))
            .unwrap();
        for (path, (cid, _)) in records.iter().filter(|(path, _)| path.starts_with("app.bsky.feed.post/")) {
            let rkey = path.rsplit_once('/').unwrap().1;
            let time = rkey.parse::<Tid>().unwrap().micros() as i64 * 1000;
            expected.push((
                time,
                did.clone(),
                format!("at://{did}/{path}"),
                cid.to_string(),
                rkey.to_owned(),
            ));
        }
    }
    expected.sort();
    assert!(expected.len() > 200);
    fs::write(folder.path().join("notes.txt"), "no repository").unwrap();
    let query = "{ uri: posts.uri, cid: posts.cid, rkey: posts.rkey, did: posts.did, action: posts.action, \
                 seq: posts.seq, rev: posts.rev, own: posts.source_time, time: posts.time, text: posts.record.text }";
    for location in
        [folder.path().to_str().unwrap().to_owned(), folder.path().join("*.car").to_str().unwrap().to_owned()]
    {
        let (batches, status) = rows(query, location, Clock::FrameTime);
        let some = |column| texts(&batches, column).into_iter().map(Option::unwrap);
        let keys = some("did").zip(some("uri")).zip(some("cid")).zip(some("rkey"));
        let mut found: Vec<_> = times(&batches)
            .into_iter()
            .zip(keys)
            .map(|(time, (((did, uri), cid), rkey))| (time, did, uri, cid, rkey))
            .collect();
        assert!(found.is_sorted_by_key(|row| row.0));
        found.sort();
        assert!(found == expected, "{} of {}", found.len(), expected.len());
        assert!(
            some("action").all(|action| action == "create")
                && texts(&batches, "text").iter().all(Option::is_some)
        );
        assert!(texts(&batches, "_key").iter().flatten().eq(texts(&batches, "did").iter().flatten()));
        for column in ["seq", "rev", "own"] {
            let nulls: usize =
                batches.iter().map(|batch| batch.column_by_name(column).unwrap().null_count()).sum();
            assert_eq!(nulls, expected.len(), "{column}");
        }
        assert_eq!((status.points, status.dropped), (expected.len() as u64, BTreeMap::new()));
        assert_eq!(status.newest, expected.last().map(|row| row.0));
    }
}

#[test]
fn streams_that_a_repository_does_not_have_are_empty() {
    let (did, (rev, records)) = repositories(2000).pop_first().unwrap();
    let bytes = Location::Memory(export(&did, rev, &records).into());
    for query in [
        "posts.updates().count()",
        "posts.deletes().count()",
        "identities.count()",
        "records(\"com.example.none\").count()",
    ] {
        assert_eq!(counted(&rows(query, bytes.clone(), Clock::FrameTime).0), 0, "{query}");
    }
    let likes = records.keys().filter(|path| path.starts_with("app.bsky.feed.like/")).count() as i64;
    assert_eq!(counted(&rows("likes.count()", bytes.clone(), Clock::FrameTime).0), likes);
    assert!(likes > 0);
    assert!(Connection { location: bytes, ..Connection::default() }.frames(&Default::default()).is_err());
}

/// A post with this `createdAt`.
fn post(created: &str) -> (Cid, Vec<u8>) {
    let text = |text: &str| Value::Text(text.to_owned());
    let map: Map = [("$type", text(POST)), ("text", text("x")), ("createdAt", text(created))]
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect();
    let block = Value::Map(map).to_bytes();
    (Cid::for_dag_cbor(&block), block)
}

#[test]
fn the_time_is_that_of_the_key_else_of_the_record_else_of_the_repository() {
    let tid = |micros: u64| Tid::from_micros(micros, 7).unwrap();
    let second = 1_000_000;
    let rev = tid(1_700_000_000 * second);
    let records: Records = [
        (format!("{POST}/{}", tid(1_600_000_000 * second)), post("2021-01-01T00:00:00Z")),
        (format!("{POST}/self"), post("2022-01-01T00:00:00Z")),
        (format!("{POST}/other"), post("soon")),
        // Too far after the repository was written, by the key; and by the record.
        (format!("{POST}/{}", tid(1_800_000_000 * second)), post("2020-01-01T00:00:00Z")),
        (format!("{POST}/third"), post("2030-01-01T00:00:00Z")),
    ]
    .into();
    let bytes = Location::Memory(export("did:plc:abc", rev, &records).into());
    let seconds = |clock| {
        let (batches, status) = rows("posts.rkey", bytes.clone(), clock);
        let at = times(&batches).into_iter().map(|time| time / 1_000_000_000).collect::<Vec<_>>();
        (at, status.dropped.into_iter().collect::<Vec<_>>())
    };
    let counted = |ahead| vec![("with a time too far ahead", ahead), ("without a time by this clock", 1)];
    let by_key = vec![1_600_000_000, 1_640_995_200, 1_700_000_000, 1_700_000_000, 1_700_000_000];
    assert_eq!(seconds(Clock::FrameTime), (by_key, counted(2)));
    let by_record = vec![1_577_836_800, 1_609_459_200, 1_640_995_200, 1_700_000_000, 1_700_000_000];
    assert_eq!(seconds(Clock::CreatedAt), (by_record, counted(1)));
}

#[test]
fn of_several_exports_of_an_account_the_newest_is_read() {
    let tid = |micros: u64| Tid::from_micros(micros * 1_000_000, 7).unwrap();
    let of = |count: u64| -> Records {
        let key = |at| format!("{POST}/{}", tid(1_600_000_000 + at));
        (0..count).map(|at| (key(at), post("2021-01-01T00:00:00Z"))).collect()
    };
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, bytes: &[u8]| fs::write(folder.path().join(name), bytes).unwrap();
    let (old, new) = (tid(1_700_000_000), tid(1_700_086_400));
    put("monday.car", &export("did:plc:abc", old, &of(3)));
    // A record of before was deleted since.
    let latest = export("did:plc:abc", new, &of(2));
    put("tuesday.car", &latest);
    // The same again, with its commit far from its beginning.
    let car = car::Car::parse(&latest).unwrap();
    let blocks: Vec<_> = car.blocks().map(Result::unwrap).collect();
    let filler = vec![0x40; 40 << 10];
    let filler = [(Cid::for_dag_cbor(&filler), filler.as_slice())];
    let late = filler.into_iter().chain(blocks.into_iter().rev());
    put("wednesday.car", &car::write(&[car.root().unwrap()], late));
    put("other.car", &export("did:plc:other", old, &of(1)));
    for query in ["posts.count()", "posts.rkey"] {
        let (batches, status) = rows(query, folder.path().to_str().unwrap(), Clock::FrameTime);
        assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 3, "{query}");
        assert_eq!(status.dropped, BTreeMap::from([("older exports of an account", 2)]));
    }
    // One that is damaged is named, also where it would be left out.
    put("broken.car", b"text");
    let opened = open("posts.count()", folder.path().to_str().unwrap(), Clock::FrameTime);
    let error = opened.map_err(|error| error.to_string()).and_then(Answered::rows).map(drop).unwrap_err();
    assert!(error.contains("broken.car is no repository"), "{error}");
}

#[test]
fn clocks_that_records_do_not_have_are_refused() {
    let bytes =
        Location::Memory(export("did:plc:abc", Tid::from_micros(1, 7).unwrap(), &Records::new()).into());
    for (clock, name) in [(Clock::Rev, "rev"), (Clock::Arrival, "arrival")] {
        let error = open("posts.count()", bytes.clone(), clock).map(drop).unwrap_err().to_string();
        assert!(error.contains(name) && error.contains("created_at"), "{error}");
    }
}

#[test]
fn repositories_do_not_go_on_where_a_recording_ends() {
    let (did, (rev, records)) = repositories(50).into_iter().next().unwrap();
    let export = Bytes::from(export(&did, rev, &records));
    let catalog = FirehoseCatalog::new();
    let query = skytide_timestream::compile("posts.count()", &catalog).unwrap();
    let plan = skytide_timestream::plan(Arc::new(query), Results::history());
    let connection = Connection {
        location: Location::Memory(export),
        history: vec!["monday.frames.zst".into()],
        ..Connection::default()
    };
    let network = Network { connection, ..Network::default() };
    let error = network.open(&plan, Mode::Once, None).err().unwrap().to_string();
    assert!(error.contains("monday.frames.zst") && error.contains("repositories cannot go on"), "{error}");
}

#[test]
fn what_is_no_repository_is_said_to_be_none_and_damage_is_contained() {
    let (did, (rev, records)) = repositories(700).pop_first().unwrap();
    let whole = export(&did, rev, &records);
    let answer = |bytes: Vec<u8>| {
        let location = Location::Memory(Bytes::from(bytes));
        open("posts.count()", location, Clock::FrameTime).map_err(|error| error.to_string())?.rows()
    };
    let posts = counted(&answer(whole.clone()).unwrap().0);
    let mut changed = whole.clone();
    *changed.last_mut().unwrap() ^= 1;
    let error = answer(changed).unwrap_err();
    assert!(error.contains("hash"), "{error}");
    // Without its last block, a record: a point without it. Without its commit: nothing.
    let blocks: Vec<_> = car::Car::parse(&whole).unwrap().blocks().map(Result::unwrap).collect();
    let root = car::Car::parse(&whole).unwrap().root().unwrap();
    let post = records.iter().find(|(path, _)| path.starts_with("app.bsky.feed.post/")).unwrap().1.0;
    let without = |cid: Cid| car::write(&[root], blocks.iter().copied().filter(|(of, _)| *of != cid));
    let location = Location::Memory(without(post).into());
    let (batches, status) = rows("posts.record.text", location, Clock::FrameTime);
    assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>() as i64, posts);
    assert_eq!(status.dropped, BTreeMap::from([("without their record", 1)]));
    assert!(answer(without(root)).unwrap_err().contains("commit is missing"));
    // A part of the tree.
    let node = Tree::from_entries(records.iter().map(|(path, (cid, _))| (path.as_str(), *cid))).unwrap();
    let node = node.blocks()[1].0;
    let (_, status) = answer(without(node)).unwrap();
    assert_eq!(status.dropped, BTreeMap::from([("missing parts of a repository", 1)]));
    // Cut anywhere and damaged anywhere: an answer or an error.
    let mut place = 1_usize;
    for _ in 0..150 {
        place = place.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let at = (place >> 17) % whole.len();
        assert!(answer(whole[..at].to_vec()).map_or(0, |(batches, _)| counted(&batches)) <= posts);
        let mut changed = whole.clone();
        changed[at] ^= 1 << (place % 8);
        assert!(answer(changed).map_or(0, |(batches, _)| counted(&batches)) <= posts);
    }
    // A file of another kind, and one that is not there.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.car");
    let of_file = |path: &FilePath| {
        let opened = open("posts.count()", path.to_str().unwrap(), Clock::FrameTime);
        opened.map_err(|error| error.to_string()).and_then(Answered::rows).map(drop).unwrap_err()
    };
    assert!(of_file(&path).contains("a.car"), "{}", of_file(&path));
    assert!(of_file(folder.path()).contains("no file"), "{}", of_file(folder.path()));
    fs::write(&path, "text").unwrap();
    assert!(of_file(&path).contains("a.car is no repository"), "{}", of_file(&path));
}

#[test]
#[ignore = "needs SKYTIDE_VECTORS"]
fn a_published_export_is_read_as_others_list_it() {
    let folder = std::env::var_os("SKYTIDE_VECTORS").expect("SKYTIDE_VECTORS names the folder of test data");
    let folder = FilePath::new(&folder).join("repo-car");
    let listed = fs::read_to_string(folder.join("car_expected_records.tsv")).unwrap();
    for collection in [
        POST,
        "app.bsky.feed.like",
        "app.bsky.feed.repost",
        "app.bsky.graph.follow",
        "app.bsky.actor.profile",
    ] {
        let query = format!("let of = records({collection:?}); {{ rkey: of.rkey, cid: of.cid }}");
        let (batches, status) = rows(&query, folder.join("repo.car").to_str().unwrap(), Clock::FrameTime);
        let found = texts(&batches, "rkey").into_iter().zip(texts(&batches, "cid"));
        let mut found: Vec<_> =
            found.map(|(rkey, cid)| format!("{collection}/{}\t{}", rkey.unwrap(), cid.unwrap())).collect();
        found.sort();
        let expected: Vec<_> =
            listed.lines().filter(|line| line.starts_with(&format!("{collection}/"))).collect();
        assert_eq!(found, expected);
        assert!(
            texts(&batches, "_key")
                .iter()
                .all(|key| key.as_deref() == Some("did:plc:53iucmf5ldftgqyf2ac7hmhd"))
        );
        assert!(status.dropped.is_empty(), "{:?}", status.dropped);
    }
}

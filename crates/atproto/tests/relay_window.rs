//! Real frames, as a relay sent them, against what another implementation made of the same.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod vectors;

use std::collections::{BTreeMap, HashSet};

use skytide_atproto::cbor::{Cursor, MapKeys};
use skytide_atproto::cid::Cid;
use skytide_atproto::frame::{self, Frame, Kind};
use skytide_atproto::message::{Action, Message, OpWithRecord};
use skytide_atproto::{jetstream, json, records};

#[test]
#[ignore = "needs SKYTIDE_VECTORS"]
fn every_frame_is_read_and_written_as_it_was() {
    let manifest: serde_json::Value =
        serde_json::from_str(&vectors::text("relay-window/manifest.json")).unwrap();
    let count = |name: &str| manifest[name].as_u64().unwrap();
    let mut kinds = BTreeMap::<&str, u64>::new();
    let mut actions = BTreeMap::<&str, u64>::new();
    let mut seqs = Vec::new();
    for bytes in vectors::frames() {
        let frame = Frame::parse(&bytes).unwrap();
        let message = Message::parse(&frame).unwrap();
        assert_eq!(message.to_frame_bytes(), bytes);
        let peek = frame::peek(&bytes).unwrap();
        assert_eq!((peek.kind, peek.seq), (message.kind(), message.seq()));
        let time = 1_783_175_880_000_000_000; // 2026-07-04T14:38:00Z
        assert!((time..time + 60_000_000_000).contains(&peek.time.unwrap()));
        seqs.extend(peek.seq);
        *kinds.entry(peek.kind.t().unwrap()).or_default() += 1;
        if let Message::Commit(commit) = message {
            for op in commit.ops().unwrap() {
                *actions.entry(op.action.as_str()).or_default() += 1;
                assert_eq!(op.record.is_some(), op.action != Action::Delete);
                if let (Some(cid), Some(record)) = (op.cid, op.record) {
                    assert!(cid.matches(record));
                }
            }
        }
    }
    assert_eq!(seqs, (count("seq_first")..=count("seq_last")).collect::<Vec<_>>());
    assert_eq!(seqs.len() as u64, count("frames"));
    let of = |kind: Kind| kinds[kind.t().unwrap()];
    assert_eq!(of(Kind::Commit), count("commit_frames"));
    assert_eq!((of(Kind::Identity), of(Kind::Account)), (count("identity"), count("account")));
    assert_eq!(
        (actions["create"], actions["update"], actions["delete"]),
        (count("creates"), count("updates"), count("deletes"))
    );
}

#[test]
#[ignore = "needs SKYTIDE_VECTORS"]
fn the_events_are_those_that_jetstream_served() {
    /// What an event is joined by, and the line without its `time_us`.
    fn keyed(line: &str) -> ([String; 5], String) {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        let commit = &event["commit"];
        let key = [&event["did"], &commit["rev"], &commit["collection"], &commit["rkey"], &event["kind"]];
        let time = format!("\"time_us\":{},", event["time_us"]);
        (key.map(ToString::to_string), line.replacen(&time, "", 1))
    }
    let expected = vectors::text("relay-window/expected_v1.jsonl");
    let expected: BTreeMap<_, _> = expected.lines().map(keyed).collect();
    let mut ours = String::new();
    let mut events = 0;
    for bytes in vectors::frames() {
        let written = jetstream::write_events(
            &Frame::parse(&bytes).unwrap(),
            1_783_175_888_000_000,
            |_| true,
            &mut ours,
        );
        events += written.unwrap();
    }
    let ours: BTreeMap<_, _> = ours.lines().map(keyed).collect();
    assert_eq!((events, ours.len(), expected.len()), (152, 152, 152));
    for (key, line) in &ours {
        assert_eq!(line, &expected[key]);
    }
}

#[test]
#[ignore = "needs SKYTIDE_VECTORS"]
fn the_events_that_jetstream_served_are_frames_again_with_the_same_records() {
    /// What an operation is joined by.
    type Key = (String, String, String, String, &'static str);

    fn ops(bytes: &[u8]) -> Vec<(Key, Option<Cid>, Option<Vec<u8>>)> {
        let Message::Commit(commit) = Message::parse(&Frame::parse(bytes).unwrap()).unwrap() else {
            return Vec::new();
        };
        let op = |op: OpWithRecord<'_>| {
            let [did, rev, collection, rkey] =
                [commit.repo, commit.rev, op.collection, op.rkey].map(str::to_owned);
            ((did, rev, collection, rkey, op.action.as_str()), op.cid, op.record.map(<[u8]>::to_vec))
        };
        commit.ops().unwrap().into_iter().map(op).collect()
    }

    let relayed: BTreeMap<_, _> = vectors::frames()
        .iter()
        .flat_map(|bytes| ops(bytes))
        .map(|(key, cid, record)| (key, (cid, record)))
        .collect();
    let (mut lines, mut joined, mut records, mut others) = (0, 0, 0, 0);
    let mut ids = HashSet::new();
    for line in vectors::text("relay-window/expected_v1.jsonl").lines() {
        let event = jetstream::frame_of(line.as_bytes()).unwrap();
        assert!(ids.insert(event.id));
        let mut back = String::new();
        let frame = Frame::parse(&event.bytes).unwrap();
        assert_eq!(jetstream::write_events(&frame, event.time_us, |_| true, &mut back), Ok(1));
        let seq = u64::try_from(event.time_us).unwrap();
        let peek = frame::peek(&event.bytes).unwrap();
        assert_eq!((peek.seq, peek.time), (Some(seq), Some(event.time_us * 1000)));
        lines += 1;
        if event.kind == Kind::Commit {
            assert_eq!(back.trim_end(), line);
        } else {
            // The relay's own number and time are not kept; all else is.
            let mut line: serde_json::Value = serde_json::from_str(line).unwrap();
            let back: serde_json::Value = serde_json::from_str(&back).unwrap();
            let part = line["kind"].as_str().unwrap().to_owned();
            for field in ["seq", "time"] {
                assert_ne!(line[&part][field], back[&part][field]);
                line[&part][field] = back[&part][field].clone();
            }
            assert_eq!(back, line);
            others += 1;
        }
        for (key, cid, record) in ops(&event.bytes) {
            let (relayed_cid, relayed_record) = &relayed[&key];
            assert_eq!((&cid, &record), (relayed_cid, relayed_record));
            if let (Some(cid), Some(record)) = (cid, record) {
                assert_eq!(Cid::for_dag_cbor(&record), cid);
                records += 1;
            }
            joined += 1;
        }
    }
    assert_eq!((lines, others, joined, relayed.len(), records), (152, 2, 150, 150, 146));
}

#[test]
#[ignore = "needs SKYTIDE_VECTORS"]
fn posts_have_the_known_first_languages() {
    let mut languages = BTreeMap::<String, usize>::new();
    for bytes in vectors::frames() {
        let Message::Commit(commit) = Message::parse(&Frame::parse(&bytes).unwrap()).unwrap() else {
            continue;
        };
        for op in commit.ops().unwrap() {
            if op.collection != "app.bsky.feed.post" || op.action != Action::Create {
                continue;
            }
            let mut language = None;
            let mut cursor = Cursor::new(op.record.unwrap());
            let mut keys = MapKeys::new(cursor.read_map().unwrap());
            while let Some(key) = keys.next(&mut cursor).unwrap() {
                if key == "langs" && { cursor }.read_list().unwrap() > 0 {
                    let mut list = cursor;
                    list.read_list().unwrap();
                    language = Some(list.read_text().unwrap().to_owned());
                }
                cursor.check().unwrap();
            }
            *languages.entry(language.unwrap_or_default()).or_default() += 1;
        }
    }
    let expected =
        [("en", 7), ("tr", 3), ("ja", 1), ("ko", 1), ("de", 1), ("en-US", 1), ("ru", 1), ("es", 1), ("", 1)];
    assert_eq!(languages, expected.map(|(language, count)| (language.to_owned(), count)).into());
}

#[test]
#[ignore = "needs SKYTIDE_VECTORS"]
fn a_record_as_json_is_the_same_record() {
    let (mut records, mut found) = (0, 0);
    for bytes in vectors::frames() {
        let Message::Commit(commit) = Message::parse(&Frame::parse(&bytes).unwrap()).unwrap() else {
            continue;
        };
        for op in commit.ops().unwrap() {
            let (Some(text), Some(value)) = (op.to_json().unwrap(), op.value().unwrap()) else { continue };
            assert_eq!(json::parse(&text).unwrap(), value);
            assert_eq!(Some(value.to_bytes().as_slice()), op.record);
            let blobs = records::blobs(&value);
            assert_eq!(blobs.len(), text.matches(r#""$type":"blob""#).count());
            assert!(blobs.iter().all(|blob| text.contains(&blob.cid.to_string())));
            found += blobs.len();
            records += 1;
        }
    }
    assert_eq!(records, 146);
    assert!(found > 0, "some have blobs");
}

//! Events of Jetstream as frames: what comes back of them as lines, and each refusal.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::HashSet;

use proptest::collection::vec;
use proptest::prelude::*;
use skytide_atproto::car::Car;
use skytide_atproto::cbor::{Map, Value};
use skytide_atproto::cid::Cid;
use skytide_atproto::frame::{self, Frame, Kind};
use skytide_atproto::jetstream::{self, EventFrame, JetstreamError, frame_of};
use skytide_atproto::message::{Commit, Message};
use skytide_atproto::{cbor, json};

const DID: &str = "did:plc:wq4aajammjtxdomz3e23667t";
const TIME_US: i64 = 1_783_175_888_085_434;

/// An event of a commit, as the server writes it; `rest` is what follows the record key.
fn commit(operation: &str, rest: &str) -> String {
    format!(
        "{{\"did\":\"{DID}\",\"time_us\":{TIME_US},\"kind\":\"commit\",\"commit\":{{\"rev\":\"3mptbypluud2a\",\
         \"operation\":\"{operation}\",\"collection\":\"app.bsky.feed.post\",\"rkey\":\"3mptbyplj5d2a\"{rest}}}}}"
    )
}

/// The rest of an event that has a record.
fn with_record(record: &Value) -> String {
    let bytes = record.to_bytes();
    let mut text = String::new();
    json::write(&mut cbor::Cursor::new(&bytes), &mut text).unwrap();
    format!(",\"record\":{text},\"cid\":\"{}\"", Cid::for_dag_cbor(&bytes))
}

fn post() -> Value {
    let fields = [("text", "a </b> \u{2028} é"), ("$type", "app.bsky.feed.post")];
    Value::Map(fields.into_iter().map(|(key, text)| (key, Value::Text(text.to_owned()))).collect())
}

fn identity(rest: &str) -> String {
    format!(
        "{{\"did\":\"{DID}\",\"time_us\":{TIME_US},\"kind\":\"identity\",\"identity\":{{\"did\":\"{DID}\"{rest}}}}}"
    )
}

fn account(rest: &str) -> String {
    format!("{{\"did\":\"{DID}\",\"time_us\":{TIME_US},\"kind\":\"account\",\"account\":{{{rest}}}}}")
}

/// One of each.
fn events() -> Vec<String> {
    vec![
        commit("create", &with_record(&post())),
        commit("update", &with_record(&Value::Map(Map::new()))),
        commit("delete", ""),
        identity(",\"handle\":\"a.test\",\"seq\":7,\"time\":\"2026-07-04T14:38:07.877Z\""),
        account(
            "\"active\":false,\"did\":\"x\",\"seq\":8,\"status\":\"deleted\",\"time\":\"2026-07-04T14:38:07Z\"",
        ),
    ]
}

fn event(line: &str) -> Result<EventFrame, JetstreamError> {
    frame_of(line.as_bytes())
}

fn line(event: &EventFrame) -> String {
    let mut json = String::new();
    let frame = Frame::parse(&event.bytes).unwrap();
    assert_eq!(jetstream::write_events(&frame, event.time_us, |_| true, &mut json), Ok(1));
    json.pop();
    json
}

fn parsed(event: &EventFrame) -> Commit<'_> {
    match Message::parse(&Frame::parse(&event.bytes).unwrap()).unwrap() {
        Message::Commit(commit) => commit,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_commit_comes_back_as_it_was() {
    for of in &events()[..3] {
        let event = event(of).unwrap();
        assert_eq!(&line(&event), of);
        let peek = frame::peek(&event.bytes).unwrap();
        assert_eq!((peek.kind, event.kind), (Kind::Commit, Kind::Commit));
        assert_eq!((peek.seq, peek.time), (Some(1_783_175_888_085_434), Some(TIME_US * 1000)));
        // Canonical: it is what the message writes.
        let commit = parsed(&event);
        assert_eq!(Message::Commit(commit.clone()).to_frame_bytes(), event.bytes);
        assert_eq!((commit.since, commit.prev_data, commit.ops.len()), (None, None, 1));
        // There is no commit, and no block that could be taken for one.
        let car = Car::parse(commit.blocks).unwrap();
        assert_eq!((commit.commit, car.root()), (jetstream::no_commit(), Some(jetstream::no_commit())));
        let blocks: Vec<Cid> = car.blocks().map(|block| block.unwrap().0).collect();
        assert_eq!(blocks, commit.ops[0].cid.into_iter().collect::<Vec<_>>());
    }
}

#[test]
fn others_come_back_with_the_servers_own_number_and_time() {
    let [.., identity, account] = &events()[..] else { panic!("there are five") };
    let mine = "\"seq\":1783175888085434";
    let identity_back = identity.replace("\"seq\":7", mine).replace("07.877Z", "08.085434Z");
    assert_eq!(line(&event(identity).unwrap()), identity_back);
    let account_back = account
        .replace("\"seq\":8", mine)
        .replace("07Z", "08.085434Z")
        .replace("\"did\":\"x\"", &format!("\"did\":\"{DID}\""));
    assert_eq!(line(&event(account).unwrap()), account_back);
}

#[test]
fn an_event_is_told_from_others_by_what_it_is_and_not_by_when_it_came() {
    let mut ids = HashSet::new();
    let mut new = |line: &str| ids.insert(event(line).unwrap().id);
    for event in events() {
        assert!(new(&event), "{event}");
        assert!(!new(&event.replace("888085434", "999999999")), "the same at another time");
        assert!(new(&event.replacen(DID, "did:plc:other", 1)), "another account");
    }
    let of = |from: &str, to: &str| commit("delete", "").replace(from, to);
    let others = [("2a\",\"op", "22\",\"op"), ("feed.post", "feed.like"), ("j5d2a", "j5d22")];
    for (from, to) in others {
        assert!(new(&of(from, to)), "{to}");
    }
    // What moves from one part to the next is another event.
    assert!(new(&of("post\",\"rkey\":\"3", "pos\",\"rkey\":\"t3")));
    assert!(new(&events()[3].replace("\"seq\":7", "\"seq\":9")));
    assert!(new(&events()[3].replace("\"seq\":7", "\"seq\":8")), "an account's is another");
}

#[test]
fn a_record_without_a_cid_stands_under_its_own() {
    let bytes = post().to_bytes();
    let whole = with_record(&post());
    let (record, _) = whole.rsplit_once(",\"cid\"").unwrap();
    let event = event(&commit("create", record)).unwrap();
    let commit = parsed(&event);
    let ops = commit.ops().unwrap();
    assert_eq!((ops[0].cid, ops[0].record), (Some(Cid::for_dag_cbor(&bytes)), Some(bytes.as_slice())));
}

#[test]
fn a_record_that_breaks_the_rules_of_the_data_model_is_read_as_it_is_in_a_relays_frames() {
    let text = |text: &str| Value::Text(text.to_owned());
    for (key, value) in [
        ("$type", text("blob")),
        ("$type", text("")),
        ("$link", Value::Integer(1)),
        ("$link", text("QmbWqxBEKC3P8tqsKc98xmWNzrzDtRLMiMPL8wBuTGsMnR")),
        ("$bytes", Value::Null),
        ("$bytes", text("not base64!")),
    ] {
        let inner = Value::Map([(key, value)].into_iter().collect());
        for record in [inner.clone(), Value::List(vec![inner]), Value::Float(1.5)] {
            let of = commit("create", &with_record(&record));
            let event = event(&of).unwrap();
            assert_eq!(line(&event), of);
            assert_eq!(parsed(&event).ops().unwrap()[0].record, Some(record.to_bytes().as_slice()));
        }
    }
    let two = r#"{"$link":"a","$bytes":"b"}"#;
    let event = event(&commit("create", &format!(",\"record\":{two}"))).unwrap();
    assert!(line(&event).contains(r#"{"$bytes":"b","$link":"a"}"#));
}

#[test]
fn an_event_without_its_record_is_a_frame_without_it() {
    let whole = with_record(&post());
    let (_, cid) = whole.rsplit_once(",\"cid\"").unwrap();
    for (cid, named) in [(format!(",\"cid\"{cid}"), true), (String::new(), false)] {
        let of = commit("create", &cid);
        let event = event(&of).unwrap();
        assert_eq!(line(&event), of);
        let commit = parsed(&event);
        let ops = commit.ops().unwrap();
        assert_eq!((ops[0].cid.is_some(), ops[0].record), (named, None));
        assert_eq!(Car::parse(commit.blocks).unwrap().blocks().count(), 0);
    }
}

#[test]
fn what_is_not_known_is_ignored_or_said() {
    let more = events().into_iter().map(|event| {
        let inside = event.replace(":{\"", ":{\"later\":[{}],\"");
        (event, inside.replacen('{', "{\"live\":{\"a\":1},", 1))
    });
    for (plain, more) in more {
        assert_eq!(event(&plain).unwrap().id, event(&more).unwrap().id);
    }
    let kind = event(&commit("delete", "").replace("\"kind\":\"commit\"", "\"kind\":\"labels\""));
    assert!(matches!(kind, Err(JetstreamError::Kind(kind)) if kind == "labels"));
    assert!(matches!(event(&commit("destroy", "")), Err(JetstreamError::Operation(_))));
}

#[test]
fn a_field_that_is_missing_or_of_another_type_is_refused() {
    /// The event without a field, or with another value there; `inside` the part of its kind.
    fn with(event: &str, inside: bool, field: &str, value: Option<serde_json::Value>) -> String {
        let mut event: serde_json::Value = serde_json::from_str(event).unwrap();
        let kind = event["kind"].as_str().unwrap().to_owned();
        let part = if inside { event.get_mut(kind).unwrap() } else { &mut event };
        let part = part.as_object_mut().unwrap();
        part.remove(field).unwrap_or_else(|| panic!("it has {field}"));
        part.extend(value.map(|value| (field.to_owned(), value)));
        event.to_string()
    }
    let [create, _, _, identity, account] = <[String; 5]>::try_from(events()).unwrap();
    let cases = [
        (&create, false, vec!["did", "time_us", "kind", "commit"]),
        (&create, true, vec!["rev", "operation", "collection", "rkey"]),
        (&identity, true, vec!["seq"]),
        (&account, true, vec!["seq", "active"]),
    ];
    let mut refused = 0;
    for (of, inside, fields) in cases {
        for field in fields {
            for missing in [None, Some(serde_json::Value::Null)] {
                let error = event(&with(of, inside, field, missing)).unwrap_err();
                assert!(matches!(error, JetstreamError::Missing(name) if name == field), "{field}: {error}");
            }
            let strange = event(&with(of, inside, field, Some(serde_json::json!([0.5]))));
            match strange {
                Err(JetstreamError::Type { field: name, .. }) => assert_eq!(name, field),
                other => panic!("{field}: {other:?}"),
            }
            refused += 1;
        }
    }
    assert_eq!(refused, 11);
    for (of, field) in [(&create, "cid"), (&identity, "handle"), (&account, "status")] {
        assert!(event(&with(of, true, field, None)).is_ok(), "{field} can be missing");
        let error = event(&with(of, true, field, Some(1.into()))).unwrap_err();
        assert!(matches!(error, JetstreamError::Type { field: name, .. } if name == field), "{error}");
    }
    for collection in ["", "a/b"] {
        let error = event(&with(&create, true, "collection", Some(collection.into()))).unwrap_err();
        assert!(matches!(error, JetstreamError::Path), "{error}");
    }
    assert!(matches!(event(&with(&create, true, "cid", Some("bafy".into()))), Err(JetstreamError::Cid(_))));
    for other in ["", "[]", "1", "null", "{}{}", "{", "\u{0}"] {
        assert!(event(other).is_err(), "{other}");
    }
}

#[test]
fn a_time_is_one_that_nanoseconds_can_hold() {
    let at = |time: &str| event(&commit("delete", "").replace(&TIME_US.to_string(), time));
    for good in ["0", "1", "9223372036854775"] {
        let event = at(good).unwrap();
        assert_eq!(event.time_us.to_string(), good);
        let peek = frame::peek(&event.bytes).unwrap();
        assert_eq!((peek.seq, peek.time), (good.parse().ok(), Some(event.time_us * 1000)));
    }
    for absurd in
        ["-1", "9223372036854776", "9223372036854775807", "18446744073709551615", "-9223372036854775808"]
    {
        assert!(matches!(at(absurd), Err(JetstreamError::Time)), "{absurd}");
    }
    for strange in ["1.5", "1e15", "\"1\"", "99999999999999999999"] {
        assert!(matches!(at(strange), Err(JetstreamError::Type { field: "time_us", .. })), "{strange}");
    }
}

#[test]
fn an_event_that_is_cut_off_is_refused_and_a_deep_one_too() {
    let mut cut = 0;
    for event in events() {
        for end in 0..event.len() {
            assert!(frame_of(&event.as_bytes()[..end]).is_err(), "cut off at {end}");
            cut += 1;
        }
    }
    assert!(cut > 1000);
    let deep =
        |depth: usize| commit("create", &format!(",\"record\":{}{}", "[".repeat(depth), "]".repeat(depth)));
    assert!(event(&deep(64)).is_ok());
    assert!(matches!(event(&deep(65)), Err(JetstreamError::Record(json::JsonError::Depth))));
    assert!(matches!(event(&deep(100_000)), Err(JetstreamError::Syntax(_))));
}

#[test]
fn options_are_json_whatever_is_in_them() {
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    assert_eq!(
        jetstream::options_update(&texts(&["app.bsky.feed.*", "a.b.c"]), &[]),
        "{\"type\":\"options_update\",\"payload\":{\"wantedCollections\":[\"app.bsky.feed.*\",\"a.b.c\"],\
         \"wantedDids\":[]}}"
    );
    let odd = jetstream::options_update(&[], &texts(&["a\"b\\", "\n"]));
    let odd: serde_json::Value = serde_json::from_str(&odd).unwrap();
    assert_eq!(odd["payload"]["wantedDids"], serde_json::json!(["a\"b\\", "\n"]));
}

fn record() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(|value| Value::Integer(value.into())),
        any::<f64>().prop_filter("finite", |value| value.is_finite()).prop_map(Value::Float),
        any::<String>().prop_map(Value::Text),
        vec(any::<u8>(), 0..6).prop_map(Value::Bytes),
        any::<u8>().prop_map(|seed| Value::Link(Cid::for_raw(&[seed]))),
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Value::List),
            vec(("[a-z\"<é]{0,3}|\\$type", inner), 0..5)
                .prop_map(|entries| Value::Map(entries.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_record_comes_back_as_it_was(record in record().prop_filter("a record", |record| *record != Value::Null), update in any::<bool>()) {
        let of = commit(if update { "update" } else { "create" }, &with_record(&record));
        let event = event(&of).unwrap();
        prop_assert_eq!(line(&event), of);
        let commit = parsed(&event);
        let ops = commit.ops().unwrap();
        let bytes = record.to_bytes();
        prop_assert_eq!(ops[0].record, Some(bytes.as_slice()));
        prop_assert!(ops[0].cid.unwrap().matches(&bytes));
    }

    #[test]
    fn a_damaged_event_is_refused_or_a_whole_frame(
        of in 0..5_usize,
        changes in vec((any::<prop::sample::Index>(), any::<u8>(), 0..3), 1..5),
    ) {
        let mut bytes = events()[of].clone().into_bytes();
        for (at, byte, change) in changes {
            let at = at.index(bytes.len());
            match change {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => drop(bytes.remove(at)),
            }
        }
        if let Ok(event) = frame_of(&bytes) {
            let frame = Frame::parse(&event.bytes).unwrap();
            let peek = frame::peek(&event.bytes).unwrap();
            prop_assert_eq!(peek.time, Some(event.time_us * 1000));
            prop_assert_eq!(Message::parse(&frame).unwrap().kind(), event.kind);
        }
    }
}

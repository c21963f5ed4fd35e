//! Frames and messages: written and read back, and each refusal.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use skytide_atproto::cbor::{Cursor, Encoder, Map, Rule, Value};
use skytide_atproto::cid::Cid;
use skytide_atproto::frame::{self, Frame, FrameError, Header, Kind};
use skytide_atproto::jetstream::Subject;
use skytide_atproto::message::{
    Account, Action, Commit, ErrorMessage, Handle, Identity, Info, Label, Labels, MAX_OPS, Message, Migrate,
    Op, Path, Sync, Tombstone,
};
use skytide_atproto::{car, jetstream, json};

const TIME: &str = "2026-07-04T14:38:08.999Z";
const NANOS: i64 = 1_783_175_888_999_000_000;

/// One message of each kind that has a `t` or is an error, with all fields or only those that have to be there.
fn messages(all: bool) -> Vec<Message<'static>> {
    let did = "did:plc:abc";
    let text = |text: &'static str| all.then_some(text);
    let cid = Cid::for_dag_cbor(b"x");
    let label = Label {
        cid: text("bafy"),
        cts: TIME,
        exp: text(TIME),
        neg: all.then_some(false),
        sig: all.then_some(b"sig"),
        src: did,
        uri: "at://did:plc:abc",
        val: "spam",
        ver: all.then_some(1),
    };
    let path = Path { collection: "a.b.c", rkey: "self" };
    vec![
        Message::Commit(Commit {
            ops: vec![
                Op { cid: Some(cid), path, prev: None, action: Action::Create },
                Op { cid: Some(cid), path, prev: all.then_some(cid), action: Action::Update },
                Op { cid: None, path, prev: all.then_some(cid), action: Action::Delete },
            ],
            rev: "3mptbypluud2a",
            seq: 1,
            prev: all.then_some(cid),
            repo: did,
            time: TIME,
            blobs: all.then(|| vec![cid]),
            since: text("3mptbwv4pn32u"),
            blocks: b"car",
            commit: cid,
            rebase: all.then_some(false),
            too_big: all.then_some(true),
            prev_data: all.then_some(cid),
        }),
        Message::Sync(Sync { did, rev: "3mptbypluud2a", seq: 2, time: TIME, blocks: b"car" }),
        Message::Identity(Identity { did, seq: 3, time: TIME, handle: text("a.test") }),
        Message::Account(Account { did, seq: 4, time: TIME, active: all, status: text("deleted") }),
        Message::Handle(Handle { did, seq: 5, time: TIME, handle: "a.test" }),
        Message::Migrate(Migrate { did, seq: 6, time: TIME, migrate_to: text("did:plc:def") }),
        Message::Tombstone(Tombstone { did, seq: 7, time: TIME }),
        Message::Labels(Labels { seq: 8, labels: vec![label; 2] }),
        Message::Info(Info { name: "OutdatedCursor", message: text("older than the window") }),
        Message::Error(ErrorMessage { error: "FutureCursor", message: text("not yet") }),
    ]
}

/// The payload's fields.
fn fields(frame: &[u8]) -> Map {
    match Value::from_bytes(Frame::parse(frame).unwrap().payload).unwrap() {
        Value::Map(map) => map,
        other => panic!("{other:?}"),
    }
}

fn frame_of(header: &Header<'_>, payload: Map) -> Vec<u8> {
    let mut encoder = Encoder::new();
    header.encode(&mut encoder);
    Value::Map(payload).encode(&mut encoder);
    encoder.into_bytes()
}

fn parse(bytes: &[u8]) -> Result<Message<'_>, FrameError> {
    Message::parse(&Frame::parse(bytes)?)
}

#[test]
fn every_message_is_read_as_it_was_written() {
    for all in [false, true] {
        for message in messages(all) {
            let bytes = message.to_frame_bytes();
            assert_eq!(parse(&bytes).unwrap(), message);
            // What is written is canonical.
            let mut cursor = Cursor::new(&bytes);
            cursor.check().unwrap();
            cursor.check().unwrap();
            let peek = frame::peek(&bytes).unwrap();
            assert_eq!((peek.kind, peek.seq), (message.kind(), message.seq()));
            let timed = !matches!(peek.kind, Kind::Labels | Kind::Info | Kind::Error);
            assert_eq!(peek.time, timed.then_some(NANOS));
        }
    }
}

#[test]
fn a_field_that_is_missing_or_of_another_type_is_refused() {
    let mut refused = 0;
    for message in messages(false) {
        let bytes = message.to_frame_bytes();
        let header = Frame::parse(&bytes).unwrap().header;
        for (name, value) in fields(&bytes).iter() {
            let mut without = fields(&bytes);
            without.remove(name);
            let without = frame_of(&header, without);
            match parse(&without) {
                Err(FrameError::Missing(missing)) => assert_eq!(missing, name),
                Ok(_) => assert_eq!(*value, Value::Null, "{name}"),
                Err(error) => panic!("{error}"),
            }
            let mut with = fields(&bytes);
            with.insert(name, Value::Float(0.5));
            let with = frame_of(&header, with);
            let Err(FrameError::Cbor(error)) = parse(&with) else {
                panic!("{name} of another type is taken")
            };
            assert!(matches!(error.rule, Rule::Expected(_)));
            // The offset is that in the frame.
            assert_eq!(with[error.at], 0xfb);
            refused += 1;
        }
    }
    assert_eq!(refused, 8 + 5 + 3 + 4 + 4 + 4 + 3 + 2 + 1 + 1);
}

#[test]
fn unknown_fields_and_frames_are_ignored() {
    for message in messages(true) {
        let bytes = message.to_frame_bytes();
        let header = Frame::parse(&bytes).unwrap().header;
        let mut more = fields(&bytes);
        for name in ["a", "zz", "later", "aVeryLongOneIndeed"] {
            more.insert(name, Value::List(vec![Value::Null]));
        }
        let more = frame_of(&header, more);
        assert_eq!(parse(&more).unwrap(), message);
        assert_eq!(frame::peek(&more).unwrap().seq, message.seq());
    }
    for header in [Header::message("#later"), Header { op: 1, t: None }, Header { op: 7, t: Some("#commit") }]
    {
        let bytes = frame_of(&header, Map::new());
        assert_eq!(parse(&bytes).unwrap(), Message::Unknown(header));
        assert_eq!(Message::Unknown(header).to_frame_bytes(), bytes);
        assert_eq!(frame::peek(&bytes).unwrap().kind, Kind::Unknown);
    }
}

#[test]
fn a_header_may_have_null_for_its_type() {
    let frame = |op: i128, payload: &[(&str, &str)]| {
        let mut header = Encoder::new();
        header.map(2).text("t").null().text("op").integer(op);
        let payload = payload.iter().map(|(key, text)| ((*key).to_owned(), Value::Text((*text).to_owned())));
        Value::Map(payload.collect()).encode(&mut header);
        header.into_bytes()
    };
    let error = frame(-1, &[("error", "FutureCursor")]);
    let expected = Message::Error(ErrorMessage { error: "FutureCursor", message: None });
    assert_eq!((parse(&error).unwrap(), frame::peek(&error).unwrap().kind), (expected, Kind::Error));
    let unknown = frame(1, &[]);
    assert_eq!(parse(&unknown).unwrap(), Message::Unknown(Header { op: 1, t: None }));
    assert_eq!(frame::peek(&unknown).unwrap().kind, Kind::Unknown);
}

#[test]
fn a_peek_refuses_nothing_of_a_message_that_it_does_not_know() {
    for payload in [Value::Null, Value::List(vec![]), Value::Text("seq".to_owned())] {
        let mut bytes = Encoder::new();
        Header::message("#later").encode(&mut bytes);
        payload.encode(&mut bytes);
        assert_eq!(frame::peek(bytes.as_bytes()).unwrap().seq, None);
    }
    let odd = [("seq", Value::Text("1".to_owned())), ("time", Value::Null)];
    let bytes = frame_of(&Header::message("#info"), odd.into_iter().collect());
    let peek = frame::peek(&bytes).unwrap();
    assert_eq!((peek.kind, peek.seq, peek.time), (Kind::Info, None, None));
    let seq = [("seq", Value::Integer(9))];
    assert_eq!(
        frame::peek(&frame_of(&Header::message("#later"), seq.into_iter().collect())).unwrap().seq,
        Some(9)
    );
}

#[test]
fn the_collection_of_a_frame_is_that_of_its_first_operation() {
    let mut commits = 0;
    for message in messages(true) {
        let bytes = message.to_frame_bytes();
        let expected = match &message {
            Message::Commit(commit) => commit.ops.first().map(|op| op.path.collection),
            _ => None,
        };
        commits += usize::from(expected.is_some());
        assert_eq!(frame::collection(&bytes), expected);
    }
    assert!(commits > 0);
    assert_eq!(frame::collection(b"no frame"), None);
}

#[test]
fn a_frame_is_two_items_exactly() {
    for message in messages(true) {
        let bytes = message.to_frame_bytes();
        for end in 0..bytes.len() {
            assert!(Frame::parse(&bytes[..end]).is_err() && frame::peek(&bytes[..end]).is_err());
        }
        let third = [&bytes[..], &[0xf6]].concat();
        let error = FrameError::Cbor(skytide_atproto::cbor::Error { at: bytes.len(), rule: Rule::Trailing });
        assert_eq!(Frame::parse(&third).unwrap_err(), error);
        assert_eq!(frame::peek(&third).unwrap_err(), error);
    }
}

#[test]
fn operations_have_a_known_action_a_whole_path_and_a_limit() {
    let Message::Commit(commit) = messages(false).remove(0) else { panic!("the first is a commit") };
    let with = |path: &str, action: &str| {
        let bytes = Message::Commit(commit.clone()).to_frame_bytes();
        let mut payload = fields(&bytes);
        let op = [
            ("path", Value::Text(path.into())),
            ("action", Value::Text(action.into())),
            ("cid", Value::Null),
        ];
        payload.insert("ops", Value::List(vec![Value::Map(op.into_iter().collect())]));
        let bytes = frame_of(&Header::message("#commit"), payload);
        parse(&bytes).map(|_| ())
    };
    assert_eq!(with("a.b.c/self", "delete"), Ok(()));
    assert!(matches!(with("a.b.c/self", "destroy"), Err(FrameError::Action { .. })));
    for path in ["", "/", "a.b.c", "a.b.c/", "/self", "a.b.c/self/", "a/b/c"] {
        assert!(matches!(with(path, "delete"), Err(FrameError::Path { .. })), "{path}");
    }
    let many = |count: usize| {
        let ops = vec![commit.ops[2].clone(); count];
        let bytes = Message::Commit(Commit { ops, ..commit.clone() }).to_frame_bytes();
        parse(&bytes).map(|_| ())
    };
    assert_eq!((many(MAX_OPS), many(MAX_OPS + 1)), (Ok(()), Err(FrameError::TooManyOps(MAX_OPS + 1))));
}

#[test]
fn operations_are_joined_to_their_records() {
    let Message::Commit(mut commit) = messages(true).remove(0) else { panic!("the first is a commit") };
    let blocks: Vec<(Cid, Vec<u8>)> = (0..5_u8).map(|at| (Cid::for_dag_cbor(&[at]), vec![at])).collect();
    let car = car::write(&[], blocks[..4].iter().cloned());
    commit.blocks = &car;
    commit.ops = [3, 0, 3, 4]
        .map(|at: usize| Op { cid: Some(blocks[at].0), ..commit.ops[0].clone() })
        .into_iter()
        .chain([commit.ops[2].clone()])
        .collect();
    let records: Vec<_> = commit.ops().unwrap().into_iter().map(|op| op.record).collect();
    assert_eq!(records, [Some(&[3][..]), Some(&[0]), Some(&[3]), None, None]);
    commit.blocks = b"no car";
    assert!(matches!(commit.ops(), Err(FrameError::Car(_))));
    // Nothing is looked for, so the blocks are not looked at.
    commit.ops.retain(|op| op.cid.is_none());
    assert_eq!(commit.ops().unwrap().len(), 1);
}

#[test]
fn an_operations_record_is_a_value_or_json_or_refused() {
    let Message::Commit(mut commit) = messages(false).remove(0) else { panic!("the first is a commit") };
    let record = json::parse(r#"{"b":{"$bytes":"AQI"},"aa":[1]}"#).unwrap();
    let good = record.to_bytes();
    let bad = [&good[..], &[0xf6]].concat();
    let car = car::write(&[], [&good, &bad].map(|block| (Cid::for_dag_cbor(block), block)));
    commit.blocks = &car;
    let mut ops: Vec<Op<'_>> =
        [&good, &bad].map(|block| Op { cid: Some(Cid::for_dag_cbor(block)), ..commit.ops[0].clone() }).into();
    ops.push(commit.ops[2].clone());
    commit.ops = ops;
    let ops = commit.ops().unwrap();
    assert_eq!((ops[0].value(), ops[2].value()), (Ok(Some(record)), Ok(None)));
    let text = r#"{"aa":[1],"b":{"$bytes":"AQI"}}"#;
    assert_eq!((ops[0].to_json(), ops[2].to_json()), (Ok(Some(text.to_owned())), Ok(None)));
    let trailing = skytide_atproto::cbor::Error { at: good.len(), rule: Rule::Trailing };
    assert_eq!((ops[1].value(), ops[1].to_json()), (Err(trailing), Err(trailing)));
}

#[test]
fn an_event_is_written_without_a_record_that_is_missing_or_bad() {
    let Message::Commit(mut commit) = messages(true).remove(0) else { panic!("the first is a commit") };
    let good = Value::Map(Map::new()).to_bytes();
    let bad = b"\xa2\x61a\x01\x61b".to_vec();
    let car = car::write(&[], [&good, &bad].map(|block| (Cid::for_dag_cbor(block), block)));
    commit.blocks = &car;
    let mut json = String::from("kept\n");
    let mut events = |blocks: &[&[u8]]| {
        let ops =
            blocks.iter().map(|block| Op { cid: Some(Cid::for_dag_cbor(block)), ..commit.ops[0].clone() });
        let message = Message::Commit(Commit { ops: ops.collect(), ..commit.clone() });
        let written = jetstream::write_events(
            &Frame::parse(&message.to_frame_bytes()).unwrap(),
            7,
            |_| true,
            &mut json,
        );
        (written, json.lines().count())
    };
    assert_eq!(events(&[&good, &bad]), (Ok(2), 3));
    assert_eq!(events(&[&good, b"elsewhere"]), (Ok(2), 5));
    assert_eq!(events(&[&good, &good]), (Ok(2), 7));
    let records: Vec<Option<serde_json::Value>> = json
        .lines()
        .skip(1)
        .map(|line| {
            let event: serde_json::Value = serde_json::from_str(line).unwrap();
            assert!(event["commit"]["cid"].is_string(), "{line}");
            event["commit"].get("record").cloned()
        })
        .collect();
    let good = Some(serde_json::json!({}));
    assert_eq!(records, [&good, &None, &good, &None, &good, &good].map(Clone::clone));
    let account = Account { did: "did:plc:abc", seq: 4, time: TIME, active: false, status: Some("deleted") };
    json.clear();
    let frame = Message::Account(account).to_frame_bytes();
    let unwanted = jetstream::write_events(
        &Frame::parse(&frame).unwrap(),
        7,
        |of| of.did == Some("did:plc:x"),
        &mut json,
    );
    assert_eq!((unwanted, json.len()), (Ok(0), 0));
    jetstream::write_events(&Frame::parse(&frame).unwrap(), 7, |_| true, &mut json).unwrap();
    assert_eq!(
        json,
        "{\"did\":\"did:plc:abc\",\"time_us\":7,\"kind\":\"account\",\"account\":{\"active\":false,\
         \"did\":\"did:plc:abc\",\"seq\":4,\"status\":\"deleted\",\"time\":\"2026-07-04T14:38:08.999Z\"}}\n"
    );
}

#[test]
fn every_kind_of_message_has_its_line() {
    let own = ["commit", "identity", "account"];
    for all in [true, false] {
        let mut lines = String::new();
        let mut kinds = Vec::new();
        for message in messages(all) {
            if own.contains(&message.kind().t().unwrap_or_default().trim_start_matches('#')) {
                continue;
            }
            let bytes = message.to_frame_bytes();
            let frame = Frame::parse(&bytes).unwrap();
            let before = lines.clone();
            assert_eq!(jetstream::write_events(&frame, 7, |_| false, &mut lines), Ok(0));
            assert_eq!(lines, before, "what is not wanted is not written");
            let wanted = |of: &Subject<'_>| {
                assert_eq!((of.kind, of.collection), (message.kind(), None));
                assert_eq!(of.did.is_none(), matches!(of.kind, Kind::Info | Kind::Error));
                true
            };
            let written = jetstream::write_events(&frame, 7, wanted, &mut lines).unwrap();
            assert_eq!(written, lines[before.len()..].lines().count());
            kinds.extend(vec![message.kind(); written]);
        }
        assert_eq!(kinds.len(), 8, "two of them labels");
        let about = |kind: &str, rest: &str| {
            format!(
                "{{\"did\":\"did:plc:abc\",\"time_us\":7,\"kind\":\"{kind}\",\"{kind}\":{{{rest},\"time\":\"{TIME}\"}}}}"
            )
        };
        let label = if all {
            format!(
                "\"cid\":\"bafy\",\"cts\":\"{TIME}\",\"exp\":\"{TIME}\",\"neg\":false,\"seq\":8,\
                 \"sig\":{{\"$bytes\":\"c2ln\"}},\"src\":\"did:plc:abc\",\"uri\":\"at://did:plc:abc\",\
                 \"val\":\"spam\",\"ver\":1"
            )
        } else {
            format!(
                "\"cts\":\"{TIME}\",\"seq\":8,\"src\":\"did:plc:abc\",\"uri\":\"at://did:plc:abc\",\"val\":\"spam\""
            )
        };
        let label = format!(
            "{{\"did\":\"did:plc:abc\",\"time_us\":{},\"kind\":\"label\",\"label\":{{{label}}}}}",
            NANOS / 1000
        );
        let migrated = if all { "\"migrateTo\":\"did:plc:def\"," } else { "" };
        let of_stream = if all {
            [
                r#"{"message":"older than the window","name":"OutdatedCursor"}"#,
                r#"{"error":"FutureCursor","message":"not yet"}"#,
            ]
        } else {
            [r#"{"name":"OutdatedCursor"}"#, r#"{"error":"FutureCursor"}"#]
        };
        let expected = [
            about("sync", "\"did\":\"did:plc:abc\",\"rev\":\"3mptbypluud2a\",\"seq\":2"),
            about("handle", "\"did\":\"did:plc:abc\",\"handle\":\"a.test\",\"seq\":5"),
            about("migrate", &format!("\"did\":\"did:plc:abc\",{migrated}\"seq\":6")),
            about("tombstone", "\"did\":\"did:plc:abc\",\"seq\":7"),
            label.clone(),
            label,
            format!("{{\"kind\":\"info\",\"info\":{}}}", of_stream[0]),
            format!("{{\"kind\":\"error\",\"error\":{}}}", of_stream[1]),
        ];
        assert_eq!(lines.lines().collect::<Vec<_>>(), expected);
    }
}

#[test]
fn a_label_is_about_its_subject_or_else_of_its_labeler() {
    let Message::Labels(mut labels) = messages(false).remove(7) else { panic!("the eighth are labels") };
    let cases = [
        ("did:plc:x", TIME, "did:plc:x", NANOS / 1000),
        ("at://did:plc:x/a.b.c/1", "soon", "did:plc:x", 7),
        ("at://a.test/a.b.c/1", "1969-12-31T23:59:59.9999999Z", "did:plc:abc", -1),
    ];
    let label = labels.labels.remove(0);
    labels.labels = cases.map(|(uri, cts, ..)| Label { uri, cts, ..label.clone() }).into();
    let mut json = String::new();
    let frame = Message::Labels(labels).to_frame_bytes();
    let written = jetstream::write_events(&Frame::parse(&frame).unwrap(), 7, |_| true, &mut json);
    assert_eq!(written, Ok(3));
    for (line, (.., did, time_us)) in json.lines().zip(cases) {
        assert!(
            line.starts_with(&format!("{{\"did\":\"{did}\",\"time_us\":{time_us},\"kind\":\"label\"")),
            "{line}"
        );
    }
    let only = |of: &Subject<'_>| of.did == Some("did:plc:x");
    assert_eq!(jetstream::write_events(&Frame::parse(&frame).unwrap(), 7, only, &mut json), Ok(2));
    let unknown = Message::Unknown(Header::message("#later")).to_frame_bytes();
    assert_eq!(jetstream::write_events(&Frame::parse(&unknown).unwrap(), 7, |_| true, &mut json), Ok(0));
}

#[test]
fn a_label_is_signed_without_its_signature_and_with_all_that_was_received() {
    let Message::Labels(labels) = messages(true).remove(7) else { panic!("the eighth are labels") };
    let unsigned = match Value::from_bytes(&labels.labels[0].unsigned_bytes()).unwrap() {
        Value::Map(map) => map,
        other => panic!("{other:?}"),
    };
    let names: Vec<&str> = unsigned.iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["cid", "cts", "exp", "neg", "src", "uri", "val", "ver"]);
}

#[test]
fn json_escapes_and_orders_as_the_reference_servers() {
    let write = |value: &Value| {
        let mut text = String::new();
        json::write(&mut Cursor::new(&value.to_bytes()), &mut text).unwrap();
        text
    };
    let text = Value::Text("\"\\/<>&\u{2028}\u{2029}\u{202a}é\u{0}\u{8}\t\n\u{c}\r\u{1f}\u{7f}".to_owned());
    assert_eq!(
        write(&text),
        "\"\\\"\\\\/\\u003c\\u003e\\u0026\\u2028\\u2029\u{202a}é\\u0000\\b\\t\\n\\f\\r\\u001f\u{7f}\""
    );
    let blob = r#"{"$type":"blob","ref":{"$link":"bafkreias7oxbr6swsuggccmtnqpoeami4jza5x4w3urltn6gzhqf4k6k2e"},"mimeType":"image/jpeg","size":1,"a":1.0}"#;
    assert_eq!(write(&json::parse(blob).unwrap()), blob);
    assert_eq!(
        write(&json::parse(r#"{"b":1,"aa":-1,"B":18446744073709551615}"#).unwrap()),
        r#"{"B":18446744073709551615,"aa":-1,"b":1}"#
    );
    assert_eq!(write(&json::parse(r#"{"$bytes":"AQI="}"#).unwrap()), r#"{"$bytes":"AQI"}"#);
    let deep = |depth: usize| [vec![0x81; depth], vec![0x80]].concat();
    json::write(&mut Cursor::new(&deep(63)), &mut String::new()).unwrap();
    let error = json::write(&mut Cursor::new(&deep(64)), &mut String::new()).unwrap_err();
    assert_eq!((error.rule, error.at), (Rule::Depth, 64));
    assert!(json::parse(&format!("{}{}", "[".repeat(65), "]".repeat(65))).is_err());
}

fn value() -> impl Strategy<Value = Value> {
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
            vec(("[a-z\"<é]{0,3}", inner), 0..5)
                .prop_map(|entries| Value::Map(entries.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn a_value_as_json_is_the_same_value(value in value()) {
        let mut text = String::new();
        json::write(&mut Cursor::new(&value.to_bytes()), &mut text).unwrap();
        prop_assert_eq!(json::parse(&text).unwrap(), value);
    }

    #[test]
    fn json_refuses_what_the_strict_reader_refuses(bytes in vec(any::<u8>(), 0..40), value in option::of(value()), at in any::<usize>()) {
        let mut bytes = value.map_or(bytes, |value| value.to_bytes());
        if let Some(count) = bytes.len().checked_sub(1) {
            bytes[at % (count + 1)] ^= 1 << (at % 7);
        }
        let mut checked = Cursor::new(&bytes);
        let mut written = Cursor::new(&bytes);
        let mut text = String::new();
        prop_assert_eq!(json::write(&mut written, &mut text).is_ok(), checked.check().is_ok());
    }
}

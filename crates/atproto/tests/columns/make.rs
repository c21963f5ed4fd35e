//! Frames made up for tests.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use skytide_atproto::car;
use skytide_atproto::cbor::{Encoder, Map, Value};
use skytide_atproto::cid::Cid;
use skytide_atproto::message::{Action, Commit, Identity, Message, Op, Path};
use skytide_atproto::records::Shape;
use skytide_atproto::syntax::parse_time;

/// A collection whose records have fields of every shape.
pub(crate) const COLLECTION: &str = "test.every.shape";

const REV: &str = "3mptbypluud2a";
/// The time in that revision.
pub(crate) const REV_TIME: i64 = 1_783_175_887_514_441_000;
const CREATED: &str = "2021-02-03T04:05:06Z";
/// The same as nanoseconds.
pub(crate) const CREATED_TIME: i64 = 1_612_325_106_000_000_000;

/// The shape of its records.
pub(crate) fn shape() -> Shape {
    let inner = || Shape::object([("text", Shape::Text), ("int", Shape::Int)]);
    Shape::object([
        ("text", Shape::Text),
        ("int", Shape::Int),
        ("float", Shape::Float),
        ("bool", Shape::Bool),
        ("bytes", Shape::Bytes),
        ("link", Shape::Link),
        ("json", Shape::Json),
        ("list", Shape::list(Shape::Text)),
        ("structs", Shape::list(inner())),
        ("inner", inner()),
    ])
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn map<const N: usize>(entries: [(&str, Value); N]) -> Value {
    Value::Map(entries.into_iter().collect())
}

/// The time of a frame made for second `at`.
pub(crate) fn frame_time(at: u64) -> i64 {
    parse_time(&time(at)).unwrap()
}

fn time(at: u64) -> String {
    format!("2026-07-04T14:38:{:02}.5Z", at % 60)
}

/// A commit's frame with these operations: collection, key, action, record's block.
fn commit(at: u64, ops: &[(&str, String, Action, Vec<u8>)], held: bool) -> Vec<u8> {
    let head = Cid::for_dag_cbor(b"commit");
    let records = ops.iter().filter(|_| held).map(|(.., block)| (Cid::for_dag_cbor(block), &block[..]));
    let car = car::write(&[head], [(head, &b"commit"[..])].into_iter().chain(records));
    let time = time(at);
    let ops = ops.iter().map(|(collection, rkey, action, block)| Op {
        cid: Some(Cid::for_dag_cbor(block)),
        path: Path { collection, rkey },
        prev: None,
        action: *action,
    });
    Message::Commit(Commit {
        ops: ops.collect(),
        rev: REV,
        seq: 1000 + at,
        prev: None,
        repo: "did:plc:made",
        time: &time,
        blobs: Some(vec![]),
        since: Some("3mptbwv4pn32u"),
        blocks: &car,
        commit: head,
        rebase: Some(false),
        too_big: Some(false),
        prev_data: None,
    })
    .to_frame_bytes()
}

/// A commit of some likes.
pub(crate) fn likes(at: u64, count: usize) -> Vec<u8> {
    let op = |like| {
        let subject = map([("uri", text(&format!("at://did:plc:liked/{like}"))), ("cid", text("bafy"))]);
        let record =
            [("$type", text("app.bsky.feed.like")), ("subject", subject), ("createdAt", text(CREATED))];
        ("app.bsky.feed.like", format!("like{like}"), Action::Create, map(record).to_bytes())
    };
    commit(at, &(0..count).map(op).collect::<Vec<_>>(), true)
}

/// An `#identity`.
pub(crate) fn identity(at: u64) -> Vec<u8> {
    let message =
        Identity { did: "did:plc:made", seq: 1000 + at, time: &time(at), handle: Some("made.test") };
    Message::Identity(message).to_frame_bytes()
}

/// A commit that creates this record.
pub(crate) fn commit_of(record: &Value) -> Vec<u8> {
    commit(1, &[(COLLECTION, "self".to_owned(), Action::Create, record.to_bytes())], true)
}

/// A commit whose record is not among its blocks.
pub(crate) fn without_its_block() -> Vec<u8> {
    commit(1, &[(COLLECTION, "self".to_owned(), Action::Create, map([]).to_bytes())], false)
}

/// A commit whose record has an integer where text should be: in itself, or in the record inside it.
pub(crate) fn number_for_text(is_inside: bool) -> Vec<u8> {
    let record = map([("text", Value::Integer(5))]);
    commit_of(&if is_inside { map([("inner", record)]) } else { record })
}

/// A commit whose record has text where an integer should be.
pub(crate) fn misfit() -> Vec<u8> {
    commit_of(&map([("int", text("one"))]))
}

/// A record with a list this deep, in a field that is not known.
pub(crate) fn nested(depth: usize) -> Value {
    map([("unknown", lists(depth))])
}

/// A record with a list this deep in a field that is not known of one that is wanted: two maps around it.
pub(crate) fn nested_in_inner(depth: usize) -> Value {
    map([("inner", map([("unknown", lists(depth))]))])
}

fn lists(depth: usize) -> Value {
    (1..depth).fold(Value::List(vec![]), |inner, _| Value::List(vec![inner]))
}

/// Records that break a rule, some of them only after values that are wanted: cut, nested too deep, with a
/// float of 32 bits, more after its end, and a link of codec dag-pb, which DAG-CBOR allows and the AT
/// Protocol does not use.
pub(crate) fn bad_records() -> Vec<Vec<u8>> {
    let good = map([
        ("int", text("one")),
        ("list", Value::List(vec![text("item"), text("other")])),
        ("text", text("hi")),
        ("inner", map([("text", text("inside"))])),
    ])
    .to_bytes();
    let mut foreign_link = Encoder::new();
    foreign_link.map(1).text("unknown").raw(b"\xd8\x2a\x58\x25\x00\x01\x70\x12\x20").raw(&[7; 32]);
    let cut = good[..good.len() - 3].to_vec();
    let longer = [&good[..], b"\x00"].concat();
    let float = b"\xa1\x61v\xfa\x3f\x80\x00\x00".to_vec();
    vec![vec![], cut, longer, float, nested(70).to_bytes(), foreign_link.into_bytes()]
}

/// A commit of a like and, under the key `bad`, a record of these bytes.
pub(crate) fn beside_a_like(bad: &[u8]) -> Vec<u8> {
    let subject = map([("uri", text("at://did:plc:liked/1")), ("cid", text("bafy"))]);
    let like = map([("subject", subject), ("createdAt", text(CREATED))]).to_bytes();
    let of = |collection, rkey: &str, block| (collection, rkey.to_owned(), Action::Create, block);
    commit(1, &[of(COLLECTION, "bad", bad.to_vec()), of("app.bsky.feed.like", "good", like)], true)
}

/// A commit that names one record of about so many bytes in all of its operations.
pub(crate) fn one_record_often(ops: usize, bytes: usize) -> Vec<u8> {
    let block = map([("unknown", text(&"x".repeat(bytes)))]).to_bytes();
    let cid = Cid::for_dag_cbor(&block);
    creates(ops, cid, &[(cid, &block)])
}

/// A commit that creates a record at this path, which may be that of none.
pub(crate) fn at_path(path: &str) -> Vec<u8> {
    let mut frame = creates(1, Cid::for_dag_cbor(b""), &[]);
    let entry = |path: &str| {
        let length = path.len() as u8;
        let head: &[u8] = if length < 24 { &[0x60 | length] } else { &[0x78, length] };
        [b"\x64path", head, path.as_bytes()].concat()
    };
    let (usual, made) = (entry(&format!("{COLLECTION}/r0")), entry(path));
    let at = frame.windows(usual.len()).position(|window| window == usual).unwrap();
    frame.splice(at..at + usual.len(), made);
    frame
}

/// A commit with two blocks under the CID of the first; only the first has that hash.
pub(crate) fn two_blocks_of_one_cid() -> Vec<u8> {
    let [first, second] = [1, 2].map(|int| map([("int", Value::Integer(int))]).to_bytes());
    let cid = Cid::for_dag_cbor(&first);
    creates(1, cid, &[(cid, &first), (cid, &second)])
}

/// A commit of so many operations that create the record `cid`.
fn creates(ops: usize, cid: Cid, blocks: &[(Cid, &[u8])]) -> Vec<u8> {
    let car = car::write(&[cid], blocks.iter().copied());
    let rkeys: Vec<String> = (0..ops).map(|op| format!("r{op}")).collect();
    let path = |rkey| Path { collection: COLLECTION, rkey };
    let op = |rkey| Op { cid: Some(cid), path: path(rkey), prev: None, action: Action::Create };
    Message::Commit(Commit {
        ops: rkeys.iter().map(|rkey| op(rkey)).collect(),
        rev: REV,
        seq: 1,
        prev: None,
        repo: "did:plc:made",
        time: &time(1),
        blobs: None,
        since: None,
        blocks: &car,
        commit: cid,
        rebase: None,
        too_big: None,
        prev_data: Some(cid),
    })
    .to_frame_bytes()
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(|value| Value::Integer(value.into())),
        any::<u64>().prop_map(|value| Value::Integer(value.into())),
        (-30_i128..30).prop_map(Value::Integer),
        any::<f64>().prop_filter("finite", |value| value.is_finite()).prop_map(Value::Float),
        "\\PC{0,8}".prop_map(Value::Text),
        vec(any::<u8>(), 0..6).prop_map(Value::Bytes),
        any::<u8>().prop_map(|seed| Value::Link(Cid::for_raw(&[seed]))),
    ];
    leaf.prop_recursive(3, 24, 5, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Value::List),
            vec((key(), inner), 0..5).prop_map(|entries| Value::Map(entries.into_iter().collect())),
        ]
    })
}

/// Names of fields, the known ones often.
fn key() -> impl Strategy<Value = String> {
    let known = ["text", "int", "langs", "subject", "uri", "embed", "external", "createdAt", "$type", "é"];
    prop_oneof![4 => proptest::sample::select(known.to_vec()).prop_map(str::to_owned), 1 => "[a-z]{0,6}"]
}

fn record() -> impl Strategy<Value = Value> {
    let fitting = (
        option::of("\\PC{0,30}"),
        option::of(any::<i64>()),
        option::of(vec("[a-z]{2}", 0..4)),
        option::of(value()),
        option::of((option::of("[a-z]*"), any::<i32>())),
    );
    let fitting = fitting.prop_map(|(words, int, list, json, inner)| {
        let mut map = Map::new();
        let langs = |list: Vec<String>| Value::List(list.into_iter().map(Value::Text).collect());
        words.map(|words| map.insert("text", Value::Text(words)));
        int.map(|int| map.insert("int", Value::Integer(int.into())));
        list.map(|list| {
            map.insert("list", langs(list.clone()));
            map.insert("langs", langs(list))
        });
        json.map(|json| map.insert("json", json));
        inner.map(|(words, int)| {
            let mut inner = Map::new();
            words.map(|words| inner.insert("text", Value::Text(words)));
            inner.insert("int", Value::Integer(int.into()));
            map.insert("inner", Value::Map(inner.clone()));
            map.insert("subject", Value::Map(inner.clone()));
            map.insert("structs", Value::List(vec![Value::Map(inner), Value::Null]))
        });
        Value::Map(map)
    });
    let names =
        ["text", "int", "float", "bool", "bytes", "link", "json", "list", "structs", "inner", "other"];
    let any_field = (proptest::sample::select(names.to_vec()), value());
    let anything = vec(any_field, 0..8).prop_map(|fields| {
        Value::Map(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    });
    prop_oneof![3 => fitting, 3 => anything, 1 => value()]
}

type MadeOp = (&'static str, String, &'static str, Value, bool, bool);

fn op() -> impl Strategy<Value = MadeOp> {
    let collections =
        [COLLECTION, COLLECTION, "app.bsky.feed.post", "app.bsky.feed.like", "app.bsky.feed.postgate"];
    (
        proptest::sample::select(collections.to_vec()),
        "[a-z0-9]{1,13}",
        proptest::sample::select(vec!["create", "create", "create", "update", "delete"]),
        record(),
        proptest::bool::weighted(0.9),
        proptest::bool::weighted(0.2),
    )
}

/// A frame: mostly a commit, with all keys, or some more or fewer of them.
pub(crate) fn frame() -> impl Strategy<Value = Vec<u8>> {
    let extra = (option::of(any::<i16>()), option::of(value()), any::<[bool; 4]>());
    let commit = (vec(op(), 0..4), extra, 0_u64..50).prop_map(|(ops, (unknown, more, optional), at)| {
        made_commit(&ops, unknown, more.as_ref(), optional, at)
    });
    prop_oneof![9 => commit, 1 => (0_u64..50).prop_map(identity)]
}

fn made_commit(
    ops: &[MadeOp],
    unknown: Option<i16>,
    more: Option<&Value>,
    optional: [bool; 4],
    at: u64,
) -> Vec<u8> {
    let head = Cid::for_dag_cbor(b"commit");
    let blocks: Vec<(Cid, Vec<u8>)> = ops
        .iter()
        .filter(|(.., held, _)| *held)
        .map(|(_, _, _, record, ..)| (Cid::for_dag_cbor(&record.to_bytes()), record.to_bytes()))
        .collect();
    let op = |(collection, rkey, action, record, _, prev): &MadeOp| {
        let cid = match *action {
            "delete" => Value::Null,
            _ => Value::Link(Cid::for_dag_cbor(&record.to_bytes())),
        };
        let path = Value::Text(format!("{collection}/{rkey}"));
        let mut op: Map = [("cid", cid), ("path", path), ("action", text(action))].into_iter().collect();
        prev.then(|| op.insert("prev", Value::Link(head)));
        Value::Map(op)
    };
    let mut envelope: Map = [
        ("ops", Value::List(ops.iter().map(op).collect())),
        ("rev", text(REV)),
        ("seq", Value::Integer((1000 + at).into())),
        ("repo", text("did:plc:made")),
        ("time", text(&time(at))),
        ("blocks", Value::Bytes(car::write(&[head], blocks))),
        ("commit", Value::Link(head)),
    ]
    .into_iter()
    .collect();
    let [blobs, since, rebase, too_big] = optional;
    blobs.then(|| envelope.insert("blobs", Value::List(vec![])));
    since.then(|| envelope.insert("since", Value::Null));
    rebase.then(|| envelope.insert("rebase", Value::Bool(false)));
    too_big.then(|| envelope.insert("tooBig", Value::Bool(false)));
    unknown.map(|value| envelope.insert("unknown", Value::Integer(value.into())));
    more.map(|value| envelope.insert("aa", value.clone()));
    let mut encoder = Encoder::new();
    encoder.map(2).text("t").text("#commit").text("op").integer(1);
    Value::Map(envelope).encode(&mut encoder);
    encoder.into_bytes()
}

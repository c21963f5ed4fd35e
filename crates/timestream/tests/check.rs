//! What a text is found to mean: names, types, groupings, continuity, and each distinct expression once.

#![allow(clippy::panic, reason = "a test fails by panicking")]

mod common;

use common::Network;
use skytide_timestream::builder::{field, record, source};
use skytide_timestream::query::{Continuity, Op, Query};
use skytide_timestream::{compile, types};

fn checked(text: &str) -> Query {
    compile(text, &Network).unwrap_or_else(|error| panic!("{}", error.render(text)))
}

/// Names of the streams and fields of a query.
fn names(text: &str) -> Vec<String> {
    let named = checked(text).nodes.into_iter().filter_map(|node| match node.op {
        Op::Stream(stream) => Some(stream.name.clone()),
        Op::Field(name) => Some(name),
        _ => None,
    });
    named.collect()
}

#[test]
fn a_bare_name_is_a_field_else_a_let_else_a_source() {
    for (text, found) in [
        ("let uri = likes; posts.filter(uri == \"x\")", vec!["posts", "uri"]),
        ("let posts = likes; posts.count()", vec!["likes"]),
        ("let posts = posts.uri; posts", vec!["posts", "uri"]),
        ("posts.record.filter(text == \"x\")", vec!["posts", "record", "text"]),
        (
            "posts.filter(record.if_(text == \"x\").text == uri)",
            vec!["posts", "record", "text", "text", "uri"],
        ),
        ("posts.filter(record.text.eq(uri))", vec!["posts", "record", "text", "uri"]),
        ("posts.filter(meters.small > 1).uri", vec!["posts", "meters", "small", "uri"]),
        ("posts.record.`odd name`", vec!["posts", "record", "odd name"]),
        ("posts.col(\"uri\")", vec!["posts", "uri"]),
        ("posts.deletes().uri", vec!["posts.deletes()", "uri"]),
        ("deletes(posts).uri", vec!["posts.deletes()", "uri"]),
        ("records(\"com.example.thing\").count()", vec!["records(\"com.example.thing\")"]),
    ] {
        assert_eq!(names(text), found, "{text}");
    }
}

#[test]
fn the_same_meaning_is_the_same_query() {
    for (one, other) in [
        ("posts.filter(seq > 1).count()", "count(filter(posts, seq > 1))"),
        ("accounts.filter(not(active))", "accounts.filter(active.not())"),
        ("accounts.filter(not active and true)", "accounts.filter(and_(not_(active), true))"),
        ("posts.seq + 1", "posts.seq.add(1)"),
        ("posts.record.langs[0]", "posts.record.langs.index(0)"),
        ("-posts.seq", "posts.seq.neg()"),
        ("posts.seq == -1", "let minus = -1; posts.seq.eq(minus)"),
        ("posts.with_key(did, \"k\")", "posts.with_key(grouping=\"k\", key=did)"),
        ("let unused = likes.count(); posts.count()", "posts.count()"),
        ("posts.count(window=since(predicate=seq > 1))", "posts.count(window=since(seq > 1))"),
        (
            "posts.count(window=sliding(predicate=seq > 1, duration=2))",
            "let n = 2; posts.count(window=sliding(n, seq > 1))",
        ),
        (
            "posts.count(window=sliding.hourly(duration=2))",
            "let a = sliding.hourly(2); let b = a; posts.count(window=b)",
        ),
        ("posts.count(window=trailing(duration=\"1h\"))", "let d = \"60m\"; posts.count(window=trailing(d))"),
    ] {
        let plain = |text: &str| {
            let nodes = checked(text).nodes;
            nodes
                .into_iter()
                .map(|node| format!("{:?} {:?} {}", node.op, node.args, node.data_type))
                .collect::<Vec<_>>()
        };
        assert_eq!(plain(one), plain(other), "{one}\n{other}");
    }
}

#[test]
fn each_distinct_expression_stands_once() {
    for (text, nodes) in [
        ("posts.count() + posts.count()", 3),
        ("let p = posts; { a: p.seq, b: posts.seq, c: p.seq + 1, d: 1 + posts.seq }", 6),
        ("{ a: 0.0, b: -0.0, c: 0, d: posts.seq }", 6),
        (
            "{ a: posts.with_key(did).count(), b: posts.with_key(did).count(), c: posts.with_key(did).uri.count() }",
            7,
        ),
    ] {
        assert_eq!(checked(text).nodes.len(), nodes, "{text}: {:#?}", checked(text).nodes);
    }
}

#[test]
fn groupings_and_continuity_follow_from_what_is_used() {
    use Continuity::{Continuous, Discrete};
    for (text, grouping, continuity) in [
        ("posts", "did", Discrete),
        ("posts.seq + 1", "did", Discrete),
        ("posts.count()", "did", Continuous),
        ("posts.count() + likes.count() * 2", "did", Continuous),
        ("{ a: posts.count(), b: likes.seq }", "did", Discrete),
        ("posts.count().filter(posts.seq > 1)", "did", Discrete),
        ("posts.seq.last()", "did", Continuous),
        ("posts.count().with_key(posts.uri)", "posts.uri", Discrete),
        ("posts.with_key( record . langs [ 0 ] )", "record.langs[0]", Discrete),
        ("posts.with_key(seq%2==0).count()", "seq % 2 == 0", Continuous),
        ("posts.with_key(\"all\")", "\"all\"", Discrete),
        ("posts.with_key(uri, grouping=\"post\").count()", "post", Continuous),
    ] {
        let query = checked(text);
        let root = &query.nodes[query.root];
        let name = root.grouping.as_ref().map(|grouping| grouping.name.to_string());
        assert_eq!((name.as_deref(), root.continuity), (Some(grouping), continuity), "{text}");
    }
}

#[test]
fn types_are_as_the_rules_say() {
    for (text, found) in [
        ("meters.small + 1", "i8"),
        ("meters.small + 128", "i64"),
        ("meters.small + meters.byte", "i16"),
        ("meters.whole + meters.small", "f64"),
        ("meters.whole - 1", "u64"),
        ("meters.whole + -1", "f64"),
        ("meters.level / 2", "f32"),
        ("meters.level / meters.small", "f64"),
        ("meters.small / 2", "i8"),
        ("meters.small / 2.0", "f64"),
        ("-meters.byte", "i16"),
        ("-meters.whole", "i64"),
        ("neg(1) + meters.small", "i8"),
        ("neg(9223372036854775808) + meters.small", "i64"),
        ("meters.byte.sum()", "u64"),
        ("meters.small.sum()", "i64"),
        ("meters.level.sum()", "f64"),
        ("meters.byte.mean()", "f64"),
        ("meters.byte.max()", "u8"),
        ("meters.did.min()", "utf8"),
        ("meters.took.last()", "duration"),
        ("meters.count()", "i64"),
        ("meters.small.else_(null)", "i8"),
        ("meters.small.else_(0.5)", "f64"),
        ("null.if_(meters.small > 1)", "i64"),
        ("null.else_(meters.did)", "utf8"),
        ("meters.hash()", "u64"),
        ("meters.data == meters.data", "bool"),
        ("meters.did.cast(\"timestamp\")", "timestamp"),
        ("meters.small.cast(\"i8\")", "i8"),
        ("posts.record.images[0]", "struct<alt: utf8, size: u32>"),
        ("posts.record.images[0].size", "u32"),
        ("1 + 2 + meters.small", "i64"),
        ("9223372036854775808 + meters.whole", "u64"),
        ("meters.small.coalesce(null, 1, 300)", "i64"),
        ("meters.small.coalesce(meters.byte, meters.level)", "f64"),
        ("meters.small.clamp(0)", "i8"),
        ("meters.level.round()", "f32"),
        ("meters.small.sqrt()", "f64"),
        ("meters.did.greatest(\"x\")", "utf8"),
        ("posts.record.langs.union(null)", "list<utf8>"),
    ] {
        let query = checked(text);
        assert_eq!(types::name(&query.nodes[query.root].data_type), found, "{text}");
    }
}

#[test]
fn records_of_fields_of_records_do_not_seem_wide() {
    let text = format!("posts{}.count()", ".extend({ n: seq }).remove(\"n\")".repeat(40));
    assert!(checked(&text).nodes.len() < 1000);
}

#[test]
fn what_is_built_compiles_as_its_text() {
    let long = source("posts").filter(field("record").field("text").len().gt(280));
    let built = record([("long", long.count()), ("likes", source("likes").count() + 1)]);
    let query = built.compile(&Network).unwrap();
    assert_eq!(query.text, "{long: posts.filter(record.text.len() > 280).count(), likes: likes.count() + 1}");
    assert_eq!(query.nodes.len(), checked(&query.text).nodes.len());

    let error = source("posts").field("txt").compile(&Network).unwrap_err();
    assert_eq!((error.span, error.expected.len()), (6..9, 6));
}

//! What is no query: each error with its place, what was expected and the nearest name, read by a person
//! before it was accepted.

#![allow(clippy::panic, reason = "a test fails by panicking")]

mod common;

use common::Network;
use insta::assert_snapshot;
use skytide_timestream::compile;

/// The errors of some texts, one after the other.
fn rendered(texts: &[&str]) -> String {
    let errors = texts.iter().map(|text| match compile(text, &Network) {
        Ok(_) => panic!("compiles: {text}"),
        Err(error) => error.render(text),
    });
    errors.collect::<Vec<_>>().join("\n")
}

#[test]
fn names() {
    assert_snapshot!(rendered(&[
        "post.count()",
        "posts.filter(recrd.text.len() > 1)",
        "posts.record.lang[0]",
        "posts.cuont()",
        "posts.count",
        "count",
        "posts.record()",
        "posts.deletes",
        "posts.deletes(1)",
        "accounts.deletes()",
        "posts.record.text.uri",
        "(1).x",
        "posts.record.text.cast(\"int\")",
        "posts.col(\"tex\")",
        "posts.col(did)",
        "recods(\"a.b.c\")",
        "records(\"a\")",
        "let a = posts; let a = likes; a",
        "{a: posts.seq, a: posts.uri}",
        "quite.something.entirely.different",
    ]));
}

#[test]
fn types() {
    assert_snapshot!(rendered(&[
        "posts.sum()",
        "posts.record.text.sum()",
        "likes.record.sum()",
        "posts.record.text > 280",
        "posts.seq == \"5\"",
        "posts.filter(record.text)",
        "posts.filter(1)",
        "posts.seq and true",
        "not posts.seq",
        "-posts.uri",
        "posts.record.text[0]",
        "posts.record.langs[\"x\"]",
        "posts.record.langs[1.5]",
        "posts.time > \"tomorrow\"",
        "meters.took < \"a while\"",
        "posts.record.cast(\"i64\")",
        "posts.seq.else_(\"x\")",
        "\"a\" + 1 + posts.seq",
        "posts.record.max()",
        "posts.time + 1",
        "posts.record.text.length() + posts.record.langs.length(1)",
        "accounts.active + 1",
        "posts.time > \"2026-07-04T12:00:00[Europe/Berlin]\"",
        "posts.time > \"9999-12-31\"",
        "posts.time - posts.record.text",
        "posts.record.text.hour()",
        "posts.time > posts.record.text",
        "posts.record.text.shift_by(posts.record.text)",
    ]));
}

#[test]
fn arguments() {
    assert_snapshot!(rendered(&[
        "posts.filter()",
        "posts.count(1)",
        "posts.count(window=1)",
        "posts.with_key(did, grouping=1)",
        "posts.with_key(did, group=\"x\")",
        "posts.with_key(did, \"x\", grouping=\"y\")",
        "count()",
        "{}",
        "count(posts, 1)",
        "greatest(meters.small, meters.level, 3)",
        "posts.update()",
        "posts.filter(count() == 1)",
    ]));
}

#[test]
fn windows() {
    assert_snapshot!(rendered(&[
        "posts.count(window=since(seq = 1))",
        "posts.count(window=sliding(2, condition=seq == 1))",
        "posts.count(window=sliding.hourly(intervals=2))",
        "posts.count(window=trailing(nonsense=\"1h\"))",
        "posts.count(window=since(seq == 1, predicate=seq == 2))",
        "posts.count(window=sliding(duration=2))",
    ]));
}

#[test]
fn points() {
    assert_snapshot!(rendered(&[
        "1 + 2",
        "\"a\"",
        "{a: 1}",
        "(1).count()",
        "null.with_key(1)",
        "true.filter(false)",
        "{ posts: posts.with_key(record.langs[0]).count(), likes: likes.count() }",
        "posts.with_key(seq, \"k\").count() + posts.with_key(uri, \"k\").count()",
    ]));
}

#[test]
fn text() {
    assert_snapshot!(rendered(&[
        "",
        "posts.",
        "posts count()",
        "posts.filter(seq = 1)",
        "posts.filter(!active)",
        "posts.filter(seq > 1 && seq < 5)",
        "posts.filter(1 < seq < 5)",
        "let x posts; x",
        "posts.filter(record.text == \"abc)",
        "posts\n  .filter(seq > 1)\n\t.filtr(seq < 5)\n  .count()",
        "posts.\u{1b}[31mred",
        "posts\u{200b}.count()",
        "\u{feff}posts \u{202e}== \"\u{202e}\"",
        "let.x",
        "posts.filter(and)",
    ]));
}

#[test]
fn places_in_long_lines_are_shown_with_what_is_around_them() {
    let long =
        format!("posts{}.filtr(seq > 1){}", ".filter(seq > 1)".repeat(30), ".filter(seq < 9)".repeat(30));
    let after = format!("posts{}.cuont()", ".filter(seq > 1)".repeat(30));
    let all = format!("{}.sum()", "posts".to_owned() + &".filter(seq > 1)".repeat(30));
    assert_snapshot!(rendered(&[&long, &after, &all]));
}

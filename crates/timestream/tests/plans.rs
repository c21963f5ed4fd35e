//! The plans of the main queries, each read by a person before it was accepted.

#![allow(clippy::panic, reason = "a test fails by panicking")]

mod common;

use std::sync::Arc;

use common::Network;
use insta::assert_snapshot;
use skytide_timestream::plan::{Plan, Results};
use skytide_timestream::{compile, plan};

fn planned(text: &str) -> Plan {
    match compile(text, &Network) {
        Ok(query) => plan(Arc::new(query), Results::history()),
        Err(error) => panic!("{}", error.render(text)),
    }
}

fn explained(text: &str) -> String {
    planned(text).explain()
}

#[test]
fn count_by_language_reads_one_text_column_and_no_keys() {
    assert_snapshot!(explained("posts.with_key(record.langs[0]).count()"));
}

#[test]
fn likes_by_subject() {
    assert_snapshot!(explained("likes.with_key(record.subject.uri).count()"));
}

#[test]
fn a_filter_before_a_new_key_is_a_test_of_the_scan_where_it_is_simple() {
    assert_snapshot!(explained(
        "posts.filter(record.text.len() > 280 and record.langs[0] == \"en\").with_key(record.langs[0]).count()"
    ));
}

#[test]
fn two_streams_of_one_source_share_a_region() {
    assert_snapshot!(explained("{ posts: posts.count(), likes: likes.count() }"));
}

#[test]
fn not_active_is_a_test() {
    assert_snapshot!(explained("accounts.filter(not(active)).count()"));
}

#[test]
fn a_stream_as_it_is_reads_its_columns() {
    assert_snapshot!(explained("accounts"));
}

#[test]
fn what_is_not_quiet_is_silenced_in_a_join() {
    assert_snapshot!(explained(
        "{ long: posts.record.text.is_null(), none: likes.count().else_(0), short: posts.filter(seq < 5).uri }"
    ));
}

#[test]
fn one_grouping_before_and_after_a_new_key() {
    assert_snapshot!(explained(
        "let mine = posts.with_key(uri, grouping=\"did\");\n{ mine: mine.count(), all: posts.count() }"
    ));
}

#[test]
fn two_feeds_of_one_region() {
    assert_snapshot!(explained(
        "let a = posts.with_key(record.langs[0], \"k\");\nlet b = posts.with_key(uri, \"k\");\na.count() + b.filter(record.text == \"x\").count()"
    ));
}

#[test]
fn keys_change_twice() {
    assert_snapshot!(explained(
        "let by_lang = posts.with_key(record.langs[0], \"lang\");\n\
         by_lang.with_key({ n: by_lang.count(), who: did }.n % 10, \"tens\").count()"
    ));
}

#[test]
fn a_whole_value_is_read_where_it_is_kept() {
    assert_snapshot!(explained("posts.filter(seq >= 7).record.last().text"));
}

#[test]
fn constants_are_of_the_type_they_meet() {
    assert_snapshot!(explained(
        "{ a: meters.byte + 1, b: meters.byte + 300, c: meters.small > 2.5, d: -meters.whole, e: meters.level * 2, \
         f: meters.took > \"1h30m\", g: posts.time >= \"2026-01-01\", h: meters.small.sum(), i: meters.byte.mean() }"
    ));
}

#[test]
fn only_conditions_that_every_use_demands_are_tests() {
    for (text, tests) in [
        ("posts.filter(seq > 1).count()", 1),
        ("posts.filter(1 < seq).count()", 1),
        ("posts.filter(seq > 1).filter(did != \"x\").count()", 2),
        ("posts.filter(seq > 1 and did != \"x\" and record.text.len() > 2).count()", 3),
        ("posts.filter(seq > 1 or did != \"x\").count()", 0),
        ("{ a: posts.filter(seq > 1).count(), b: posts.filter(seq > 1 and did == \"x\").count() }", 1),
        ("{ a: posts.filter(seq > 1).count(), b: posts.count() }", 0),
        ("posts.filter(posts.count() > 1).count()", 0),
        ("posts.filter(likes.seq.last() > 1 and seq > 2).count()", 0),
        ("posts.filter(likes.seq.last() > 1).filter(seq > 2).count()", 0),
        ("posts.filter(seq.else_(1) > 2).count()", 0),
        ("posts.filter(seq == null).count()", 0),
        ("posts.filter(seq > 2.5).count()", 0),
        ("posts.filter(seq > 1).with_key(uri).filter(seq > 2).count()", 1),
        ("posts.with_key(uri).filter(seq > 2).count()", 0),
        ("posts.filter(seq > 1).seq.is_null()", 1),
        ("posts.seq.filter(posts.seq > 1)", 1),
        ("{ a: posts.filter(seq > 1).uri, b: likes.uri }", 1),
        ("{ a: posts.filter(seq > 1).uri, b: meters.small }", 0),
        ("posts.seq.is_null().filter(posts.seq > 1)", 1),
        ("posts.filter(seq > 1).time()", 1),
        ("posts.time().filter(posts.seq > 1)", 1),
        ("posts.count().time().filter(posts.seq > 1)", 0),
        ("posts.filter(seq > 1).select(\"uri\", \"did\")", 1),
    ] {
        let plan = planned(text);
        let found: usize = plan.scans.iter().map(|scan| scan.tests.len()).sum();
        assert_eq!(found, tests, "{text}\n{}", plan.explain());
    }
}

#[test]
fn of_a_text_only_the_length_is_read_where_nothing_else_is_asked_of_it() {
    const TEXT: &str = "record.text: utf8";
    const LENGTH: &str = "record.text.len(): i64";
    for (text, read) in [
        ("posts.record.text.len()", &[LENGTH][..]),
        ("posts.record.text.len().sum()", &[LENGTH]),
        ("posts.record.text.length()", &[LENGTH]),
        ("posts.record.langs.length()", &[]),
        ("posts.record.text.is_not_null()", &[TEXT]),
        ("posts.filter(record.text.len() > 3).count()", &[LENGTH]),
        ("posts.record.text.len().else_(0)", &[LENGTH]),
        ("posts.with_key(seq).record.text.len()", &[LENGTH]),
        ("posts.with_key(record.text).record.text.len()", &[LENGTH, TEXT]),
        ("posts.record.text.filter(posts.record.text.len() > 3)", &[LENGTH, TEXT]),
        ("{ a: posts.record.text }.a.len()", &[LENGTH]),
        ("posts.record.text.last().len()", &[TEXT]),
        ("posts.record.text", &[TEXT]),
        ("posts.record.text.lower().len()", &[TEXT]),
        ("posts.record.text.count()", &[TEXT]),
        ("posts.count() + \"three\".len()", &[]),
    ] {
        let explained = planned(text).explain();
        for part in [TEXT, LENGTH] {
            let is_read = explained.contains(part);
            assert_eq!(is_read, read.contains(&part), "{part} of {text}\n{explained}");
        }
    }
}

#[test]
fn tests_of_a_scan_say_what_their_conditions_say() {
    for (text, tests) in [
        ("posts.filter(1 < seq).count()", "  only where seq > 1\n"),
        ("posts.filter(record.text.len() > 3).count()", "  only where record.text.len() > 3\n"),
        ("posts.filter(1 >= seq).count()", "  only where seq <= 1\n"),
        ("posts.filter(did != \"x\").count()", "  only where did != \"x\"\n"),
        ("posts.filter(record.langs[1] == \"en\").count()", "  only where record.langs[1] == \"en\"\n"),
        ("posts.filter(time < \"2026-07-04\").count()", "  only where time < \"2026-07-04T00:00:00Z\"\n"),
        ("accounts.filter(active).count()", "  only where active == true\n"),
        ("accounts.filter(not active).count()", "  only where active == false\n"),
    ] {
        let plan = explained(text);
        assert!(plan.contains(tests), "{text}\n{plan}");
    }
}

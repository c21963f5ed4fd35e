//! Any text is a query or an error with a place in it, in bounded time and space; never a panic.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::sync::Arc;

use common::Network;
use proptest::prelude::*;
use skytide_timestream::plan::Results;
use skytide_timestream::{compile, plan};

/// Compiles, plans, explains and draws, or renders the error.
fn run(text: &str) -> Result<String, String> {
    match compile(text, &Network) {
        Ok(query) => {
            for (at, node) in query.nodes.iter().enumerate() {
                assert!(node.args.iter().all(|arg| *arg < at), "arguments come first");
            }
            let plan = plan(Arc::new(query), Results::snapshot());
            for (at, region) in plan.regions.iter().enumerate() {
                let known = |reg: usize| assert!(reg < region.steps.len(), "register {reg} of region {at}");
                region.feeds.iter().flat_map(|feed| &feed.columns).for_each(|reg| known(*reg));
                region.feeds.iter().filter_map(|feed| feed.present).for_each(known);
            }
            assert!(plan.explain_svg().ends_with("</svg>\n"));
            Ok(plan.explain())
        }
        Err(error) => {
            assert!(error.span.start <= error.span.end && error.span.end <= text.len(), "{error:?}");
            assert!(!error.message.is_empty());
            Err(error.render(text))
        }
    }
}

/// Words that queries are made of.
fn word() -> impl Strategy<Value = String> {
    let words = [
        "posts",
        "likes",
        "accounts",
        "meters",
        "record",
        "text",
        "langs",
        "did",
        "seq",
        "time",
        "small",
        "whole",
        "level",
        "took",
        "data",
        "uri",
        "active",
        "subject",
        ".",
        ".",
        ".",
        "(",
        ")",
        "(",
        ")",
        "[0]",
        "[",
        "]",
        "{",
        "}",
        "a:",
        ",",
        "filter(",
        "with_key(",
        "count()",
        "sum()",
        "last()",
        "len()",
        "is_null()",
        "else_(",
        "if_(",
        "hash()",
        "cast(",
        "\"i64\"",
        "\"k\"",
        "grouping=",
        "==",
        "<",
        ">",
        "+",
        "-",
        "*",
        "/",
        "%",
        "and",
        "or",
        "not",
        "let",
        "x",
        "=",
        ";",
        "null",
        "true",
        "1",
        "2.5",
        "\"1h\"",
        "\"2026-01-01\"",
        "records(\"a.b.c\")",
        "deletes()",
        "\"",
        "`",
        "#",
        "\n",
    ];
    prop_oneof![9 => prop::sample::select(words.to_vec()).prop_map(str::to_owned), 1 => "\\PC{1,3}"]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn words_in_any_order(words in prop::collection::vec(word(), 0..40), gaps in any::<bool>()) {
        let _ = run(&words.join(if gaps { " " } else { "" }));
    }

    #[test]
    fn any_characters(text in "\\PC{0,60}") {
        let _ = run(&text);
    }

    #[test]
    fn slips_in_a_query(at in 0_usize..200, cut in 0_usize..6, put in "\\PC{0,3}") {
        let text = "let p = posts.filter(record.text.len() > 280 and seq % 2 == 0);\n\
                    { n: p.with_key(record.langs[0], grouping=\"k\").count(), m: likes.with_key(uri, \"k\").seq.sum() }";
        let start = at.min(text.len());
        let end = (start + cut).min(text.len());
        let _ = run(&format!("{}{put}{}", &text[..start], &text[end..]));
    }
}

#[test]
fn what_would_grow_without_bound_is_refused() {
    let doubled = |first: &str, next: &str, times: usize| {
        let lets: String = (0..times)
            .map(|at| next.replace('#', &at.to_string()).replace('@', &(at + 1).to_string()))
            .collect();
        format!("let x0 = {first}; {lets}x{times}")
    };
    for (text, message) in [
        (doubled("posts", "let x@ = {a: x#, b: x#};", 60), "too wide: more than 100000 values within one"),
        (doubled("posts.seq", "let x@ = x# + x#;", 1000), "nested too deeply: more than 400 operations"),
        (doubled("posts", "let x@ = x#.with_key(did);", 1000), "nested too deeply: more than 400 operations"),
        (format!("{{{}}}", (0..5000).map(|at| format!("f{at}: {at} + posts.seq,")).collect::<String>()), ""),
    ] {
        let error = compile(&text, &Network).unwrap_err();
        assert!(error.message.starts_with(message), "{}", error.message);
    }
}

#[test]
fn deep_queries_that_are_read_are_planned_on_a_small_stack() {
    let deep = (0..49).fold("posts.seq".to_owned(), |inner, _| format!("1 + ({inner})"));
    let chain = format!("posts{}", ".filter(seq > 1)".repeat(130));
    let keys = format!("posts{}.count()", ".with_key(did)".repeat(190));
    let records = (0..99).fold("posts".to_owned(), |inner, _| format!("{{a: {inner}}}"));
    let calls = (0..99).fold("posts.seq".to_owned(), |inner, _| format!("neg({inner})"));
    let lets = (0..390).map(|at| format!("let x{} = x{at} + x{at};", at + 1)).collect::<String>();
    let lets = format!("let x0 = posts.seq; {lets}x390");
    for text in [deep, chain, keys, records, calls, lets] {
        let thread = std::thread::Builder::new().stack_size(1 << 20);
        let planned = thread.spawn(move || run(&text).unwrap_or_else(|error| panic!("{error}"))).unwrap();
        assert!(!planned.join().unwrap().is_empty());
    }
}

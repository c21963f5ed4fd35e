//! Completion: what is offered where, and that any text has an answer that can be put into it.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::collections::BTreeSet;
use std::error::Error;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow_array::ArrayRef;
use arrow_schema::DataType;
use common::Network;
use insta::assert_snapshot;
use proptest::prelude::*;
use skytide_timestream::compile;
use skytide_timestream::completion::{Candidate, Completion, Kind, complete};
use skytide_timestream::functions;
use skytide_timestream::functions::signature::Signature;
use skytide_timestream::functions::user::{UserFunction, UserFunctions};
use skytide_timestream::syntax::parse;

/// What is offered at the `|` of a text.
fn at(text: &str) -> (String, Completion) {
    let (before, after) = text.split_once('|').unwrap();
    let whole = format!("{before}{after}");
    let completion = complete(&whole, before.len(), &Network);
    (whole, completion)
}

fn texts(text: &str) -> Vec<String> {
    at(text).1.candidates.into_iter().map(|candidate| candidate.text).collect()
}

fn put(text: &str, completion: &Completion, candidate: &Candidate) -> String {
    format!("{}{}{}", &text[..completion.range.start], candidate.text, &text[completion.range.end..])
}

#[test]
fn what_may_stand_where() {
    let mut out = String::new();
    for text in [
        "po|",
        "posts.|",
        "posts.wi|",
        "posts.record.|",
        "posts.record.images.|",
        "posts.record.images[0].al|",
        "posts.record.langs.|",
        "posts.record.text.l|",
        "posts.seq.s|",
        "posts.deletes().record.cr|",
        "posts.record.`od|",
        "posts.record.od|",
        "\"1h\".|",
        "posts.filter(|",
        "posts.filter(record.te|xt.len() > 3)",
        "posts.count(|)",
        "posts.with_key(did, |)",
        "posts.seq.lag(|)",
        "posts.count(window=|)",
        "posts.count(window=sli|)",
        "posts.count(window=since.|)",
        "posts.count(window=sliding.ho|)",
        "posts.count(window=since(rec|))",
        "let busy = since.hourly(); let n = posts.seq; posts.count(window=b|)",
        "let busy = since.hourly(); let number = posts.seq; nu|",
        "{ a|",
        "{ all: posts.count(), r|",
        "posts.seq > 3 an|",
        "posts.seq.cast(|)",
        "posts.seq.cast(\"i|",
        "posts.select(\"did\", '|')",
        "records(|",
        "records('com.example.o|').count()",
        "records(\"com.example.thing\").record.|",
        "posts.filter(recrod.x >).rec|",
        "posts.filter(did == 'no \\x escape').rec|",
        "nothing.co|",
        "posts.co|unt(window=since.hourly())",
    ] {
        let (_, Completion { range, candidates }) = at(text);
        let _ = writeln!(out, "{text}\n    {range:?}");
        for kind in [
            Kind::Argument,
            Kind::Field,
            Kind::Let,
            Kind::Stream,
            Kind::Window,
            Kind::Function,
            Kind::Aggregation,
            Kind::Type,
            Kind::Word,
        ] {
            let of = candidates.iter().filter(|candidate| candidate.kind == kind);
            let of: Vec<_> = of.map(|candidate| candidate.text.as_str()).collect();
            match of.as_slice() {
                [] => {}
                // Every function of the language.
                [first, .., last] if of.len() > 40 => {
                    let _ = writeln!(out, "    {kind}: {first} … {last}");
                }
                of => {
                    let _ = writeln!(out, "    {kind}: {}", of.join(" "));
                }
            }
        }
    }
    assert_snapshot!(out);
}

#[test]
fn nothing_is_offered_where_nothing_is_known() {
    for text in [
        "posts. # com|",
        "posts // |\n.count()",
        "12|",
        "1.5|",
        "12ab|",
        "let |",
        "let x|",
        "let x |",
        "{ a |",
        "posts.filter(did == \"po|",
        "posts.filter(did == 'po|')",
        "records(\"com.example.thing\", |",
        "posts.records(\"|",
        "posts.count(window=trailing(|",
        "posts.count(window=sliding(|",
        "posts.count(window=since.hourly(|",
        "posts.nothinglikeit|",
        "a =|= b",
    ] {
        let (_, completion) = at(text);
        assert_eq!(completion.candidates, [], "{text}");
    }
    // Beyond what is read at all.
    assert!(complete(&" ".repeat(100_000), 5, &Network).candidates.is_empty());
}

#[test]
fn candidates_say_what_they_are() {
    let found = |text: &str, of: &str| {
        at(text).1.candidates.into_iter().find(|candidate| candidate.text == of).unwrap()
    };
    let count = functions::find("count").unwrap();
    let method = found("posts.cou|", "count(");
    assert_eq!((method.signature.as_str(), method.summary.as_str()), (count.signature, count.summary));
    assert_eq!(found("posts.record.|", "langs").signature, "list<utf8>");
    assert_eq!(found("posts.record.images.|", "alt").signature, "list<utf8>");
    assert_eq!(found("posts.|", "deletes()").kind, Kind::Stream);
    // Fields first, in their order, then methods by name.
    let all = texts("posts.|");
    let fields = ["record", "uri", "did", "action", "seq", "time"];
    assert_eq!(all[..fields.len()], fields);
    assert!(all[fields.len()..].is_sorted() && all.len() > 20, "{all:?}");
    // Inner fields come before outer ones and hide them.
    let inner = at("posts.filter(likes.filter(|").1.candidates;
    assert_eq!(inner.iter().filter(|candidate| candidate.text == "record").count(), 1);
    let inner = inner.iter().find(|candidate| candidate.text == "record").unwrap();
    assert!(inner.signature.contains("subject"), "{inner:?}");
    assert!(texts("filter(posts, rec|").contains(&"record".to_owned()));
    assert!(!texts("posts.count(wi|, window=since.hourly())").contains(&"window=".to_owned()));
}

struct Loud;

impl UserFunction for Loud {
    fn signature(&self) -> &str {
        "loud(text: utf8, times: i64?) -> utf8"
    }

    fn evaluate(&self, given: &[ArrayRef], _: &DataType) -> Result<ArrayRef, Box<dyn Error + Send + Sync>> {
        Ok(Arc::clone(&given[0]))
    }
}

#[test]
fn functions_of_the_program_are_offered() {
    let mut own = UserFunctions::default();
    own.define(Loud).unwrap();
    let offers = |text: &str, wanted: &str| {
        let found = complete(text, text.len(), &own.over(&Network)).candidates;
        found.into_iter().any(|candidate| candidate.text == wanted)
    };
    assert!(offers("posts.record.text.", "loud("));
    assert!(!offers("posts.seq.", "loud("));
    assert!(offers("l", "loud("));
    assert!(offers("posts.record.text.loud(", "times="));
    assert!(offers("posts.del", "deletes()"));
}

#[test]
fn every_function_is_offered_somewhere() {
    let places = [
        "posts.|",
        "posts.record.text.|",
        "posts.record.langs.|",
        "posts.seq.|",
        "posts.time.|",
        "accounts.active.|",
        "meters.level.|",
        "meters.took.|",
        "|",
    ];
    let offered: BTreeSet<String> = places
        .iter()
        .flat_map(|place| texts(place))
        .map(|text| text.trim_end_matches(['(', ')']).to_owned())
        .collect();
    let missing: Vec<_> =
        functions::all().map(|function| function.name).filter(|name| !offered.contains(*name)).collect();
    assert_eq!(missing, Vec::<&str>::new());
}

#[test]
fn members_that_need_no_more_can_be_called() {
    let values = [
        "posts",
        "posts.record",
        "posts.record.text",
        "posts.record.langs",
        "posts.record.images",
        "posts.seq",
        "posts.time",
        "accounts.active",
        "meters.small",
        "meters.whole",
        "meters.level",
        "meters.took",
        "meters.data",
        "posts.count()",
        "posts.record.langs.collect()",
        "posts.deletes()",
        "{a: posts.seq}",
    ];
    for value in values {
        let found = texts(&format!("{value}.|"));
        assert!(!found.is_empty());
        for text in found {
            let called = match text.strip_suffix('(') {
                None => format!("{value}.{text}"),
                Some(name) => {
                    let signature = functions::find(name).and_then(functions::signature_of).unwrap();
                    if signature.params.iter().skip(1).any(|param| !param.optional) {
                        continue;
                    }
                    format!("{value}.{name}()")
                }
            };
            compile(&called, &Network).unwrap_or_else(|error| panic!("{}", error.render(&called)));
        }
    }
}

#[test]
fn a_name_with_a_quote_is_offered_past_it() {
    let names = "let `a``b` = posts.seq; let `a-` = posts.seq; let ```c` = posts.seq; ";
    for (typed, offered) in
        [("`a``", vec!["`a``b`"]), ("`a``b", vec!["`a``b`"]), ("```", vec!["```c`"]), ("`a-``", vec![])]
    {
        assert_eq!(texts(&format!("{names}{typed}|")), offered, "{typed}");
    }
}

/// Queries as people write them.
const QUERIES: [&str; 10] = [
    "posts.with_key(record.langs[0]).count(window=since.hourly())",
    "let long = posts.filter(record.text.len() > 280); long.with_key(record.langs[0]).count()",
    "{ posts: posts.count(), likes: likes.count(), all: posts.count() + likes.count() }",
    "likes.with_key(record.subject.uri).count(window=sliding.hourly(2)).lookup(posts.uri)",
    "accounts.filter(not active and status == 'suspended').count() # why",
    "posts.filter(record.`odd name` == \"\\\"x\\\" \\u{1f600}\").record.images[0].alt.last()",
    "let w = tumbling(posts.seq > 3); meters.level.mean(window=w).else_(-1.5)",
    "records(\"com.example.thing\").select(\"uri\", \"did\").extend({n: 1})",
    "meters.filter((small + 1) * 2 >= byte or took > \"1h\").collect(max=5, min=2).data",
    "posts.shift_by(\"1h\").seq.cast(\"f64\") / likes.seq.lag(n=1)",
];

/// That a candidate is by itself what it is said to be.
fn reads(candidate: &Candidate) -> Result<(), TestCaseError> {
    let text = &candidate.text;
    let closed = if text.ends_with('(') { format!("{text})") } else { text.clone() };
    let whole = match candidate.kind {
        Kind::Word => return Ok(()),
        _ if text.ends_with(": ") => format!("{{{text}1}}"),
        Kind::Argument => format!("f(a, {text}1)"),
        _ => format!("f(a).{closed}"),
    };
    let is_quoted = text.starts_with(['"', '\'']);
    let whole = if is_quoted { format!("f({text})") } else { whole };
    prop_assert!(parse(&whole).is_ok(), "{whole}");
    Ok(())
}

/// That an answer can be put into its text; what comes after the cursor is left out, for it may be anything.
fn check(text: &str, at: usize) -> Result<(), TestCaseError> {
    let completion = complete(text, at, &Network);
    let Completion { range, candidates } = &completion;
    prop_assert!(text.is_char_boundary(range.start) && text.is_char_boundary(range.end), "{range:?}");
    prop_assert!(range.start <= at.min(text.len()) && range.start <= range.end);
    for candidate in candidates {
        let put = put(text, &completion, candidate);
        let upto = &put[..range.start + candidate.text.len()];
        reads(candidate)?;
        // Whatever is wrong with it, it is not what was put there: behind what was, it reads as far as before.
        let wrong = |text: &str| parse(text).err().map(|error| error.span);
        let before = wrong(&text[..range.start]).map_or(range.start, |span| span.start);
        let after = wrong(upto).map_or(upto.len(), |span| span.start);
        prop_assert!(after >= before.min(range.start), "{text:?} at {at}: {candidate:?}");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_cut_of_a_query_has_an_answer(query in 0..QUERIES.len(), from in 0..200_usize, to in 0..200_usize, at in 0..200_usize) {
        let text = QUERIES[query];
        let (from, to) = (text.floor_char_boundary(from), text.floor_char_boundary(to));
        let text = if from < to { &text[from..to] } else { &text[..to] };
        check(text, at)?;
    }

    #[test]
    fn any_text_has_an_answer(text in "\\PC{0,60}", at in 0..80_usize) {
        check(&text, at)?;
    }

    #[test]
    fn any_tokens_have_an_answer(
        words in prop::collection::vec(prop::sample::select(&[
            "posts", "record", "let", "x", "=", ";", ".", ".", "(", ")", "(", "{", "}", "a:", ",", "[0]", "]", "filter(", "count(",
            "window=", "since", "since.", "sliding(2,", "not", "and", ">", "-", "\"", "'", "`", "`odd name`", "#", "\n", "1", "1.", "é", "&",
        ][..]), 0..40),
        at in 0..200_usize,
        is_spaced: bool,
    ) {
        check(&words.join(if is_spaced { " " } else { "" }), at)?;
    }
}

#[test]
fn every_place_of_every_query_has_an_answer() {
    for query in QUERIES {
        for at in 0..=query.len() {
            check(query, at).unwrap();
        }
    }
    // Before each dot of a whole query something is known.
    let query = QUERIES[0];
    for (at, _) in query.match_indices('.') {
        assert!(!complete(query, at + 1, &Network).candidates.is_empty(), "{at}");
    }
}

#[test]
fn hostile_texts_are_answered_in_bounded_time() {
    let many = 64 * 1024;
    let start = Instant::now();
    for part in [
        "(",
        "{",
        "[",
        "a.",
        "f(",
        "x(a,",
        "let a=zz;",
        "let a=posts;",
        "posts.filter(",
        ").",
        "a.filter(x).",
        "\"",
        "`",
        "= ",
        "window=since(",
        "{a:",
        "posts+",
        "'\\x' ",
        "1.e",
    ] {
        let text = part.repeat(many / part.len());
        for at in [text.len(), text.len() / 2, 0] {
            let _ = complete(&text, at, &Network);
        }
        let text = format!("{}posts.", &text[..text.len() - 100]);
        let _ = complete(&text, text.len(), &Network);
    }
    // Each name that is not known is held against all that are.
    let name = "n".repeat(58);
    let known: String = (0..450).map(|at| format!("let {name}{at:03}=1;")).collect();
    let wrong: String = (0..250).map(|at| format!("let b{at:03}={name}{};", at % 10)).collect();
    let text = format!("{known}{wrong}posts.");
    assert!(!complete(&text, text.len(), &Network).candidates.is_empty());
    assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
}

#[test]
fn signatures_read_as_they_are_offered() {
    for candidate in at("posts.|").1.candidates {
        if matches!(candidate.kind, Kind::Function | Kind::Aggregation) {
            assert!(Signature::parse(&candidate.signature).is_ok(), "{candidate:?}");
        }
    }
}

//! Functions of the program's own: in every way of running the rows of the reference, and failures that end
//! their query alone.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says what is wrong by failing")]

mod functions;

use std::sync::Arc;

use functions::functions;
use skytide_runtime::JobError;
use skytide_testkit::answer::Answer;
use skytide_testkit::events::{Events, Row, Table};
use skytide_testkit::reference;
use skytide_testkit::text::{parse, parse_field};
use skytide_testkit::ways::{Way, WayError};
use skytide_timestream::builder::{call, lit, source};
use skytide_timestream::functions::user::Failure;
use skytide_timestream::plan::{Plan, Results};

/// Rows of `key, x, t` a second apart.
fn table(name: &str, lines: &[(i64, &str)]) -> Table {
    let fields: arrow_schema::Fields =
        ["id: utf8", "x: i64", "t: utf8"].into_iter().map(|text| parse_field(text).unwrap()).collect();
    let rows = lines.iter().enumerate().map(|(line, (second, cells))| Row {
        line,
        time: second * 1_000_000_000,
        values: cells
            .split(' ')
            .zip(&fields)
            .map(|(cell, of)| parse(cell, of.data_type()).unwrap())
            .collect(),
    });
    Table { name: name.into(), source: "s".into(), key: "id".into(), rows: rows.collect(), fields }
}

fn events(query: &str) -> Events {
    let m = table("m", &[(1, "A 1 a"), (2, "B -4 b"), (3, "A null null"), (5, "A 9 c"), (6, "B 16 a")]);
    let n = table("n", &[(2, "A 3 a"), (4, "B 5 a"), (7, "C -1 d")]);
    Events::new(&[m, n], query)
}

fn planned(query: &str, events: &Events) -> Arc<Plan> {
    let compiled = skytide_timestream::compile(query, &functions().over(events));
    let compiled = compiled.unwrap_or_else(|error| panic!("{}", error.render(query)));
    Arc::new(skytide_timestream::plan(Arc::new(compiled), Results::history()))
}

/// The answer of the reference, to which all ways must come.
fn answered(query: &str) -> Answer {
    let events = events(query);
    let plan = planned(query, &events);
    let wanted = reference::answer(&plan.query, &events, Results::history()).unwrap();
    let mut runs = 0;
    for way in Way::all() {
        if let Some(run) = way.run(&plan, &events).unwrap_or_else(|error| panic!("{query}: {way:?}: {error}"))
        {
            let difference = way.difference(&plan, &events, &run.answer, &wanted);
            assert!(difference.is_none(), "{query}: {way:?}: {difference:?}\n{}", plan.explain());
            runs += 1;
        }
    }
    assert_eq!(runs, Way::all().len());
    wanted
}

fn results(query: &str) -> Vec<String> {
    answered(query)
        .render()
        .into_iter()
        .skip(1)
        .map(|row| row.rsplit(", ").next().unwrap().to_owned())
        .collect()
}

#[test]
fn they_are_called_like_any_other() {
    assert_eq!(results("m.x.weigh(2)"), ["102", "-398", "5", "null", "1602"]);
    assert_eq!(results("weigh(m.x, m.x)"), results("m.x.weigh(y=m.x)"));
    assert_eq!(results("m.x.sum().weigh(1) + m.x.weigh(1)"), ["202", "-798", "106", "null", "2802"]);
    assert_eq!(results("m.t.shout()"), ["a!", "b!", "null", "c!", "a!"]);
    assert_eq!(results("m.with_key(t.shout(), \"loud\").count()"), ["1", "1", "1", "1", "2"]);
    assert_eq!(results("m.x + weigh(1, 2)"), ["103", "98", "null", "111", "118"]);
    assert_eq!(results("m.x.either()"), ["1", "-4", "null", "9", "16"]);
    assert_eq!(results("m.x.either(n.x)").len(), 8);
    assert_eq!(results("m.t.either(\"z\")"), ["a", "b", "z", "c", "a"]);
}

#[test]
fn only_rows_that_are_points_are_shown_to_them() {
    // It refuses what is null, and what is below 0.
    assert_eq!(results("m.filter(x >= 0).x.root()"), ["1.0", "3.0", "4.0"]);
    // Beside a stream whose points are none of theirs, and before the first of what holds.
    let both = answered("{root: m.filter(x >= 0).x.root(), n: n.x}").render();
    assert!(both[2..].concat().contains(", A, null, 3"), "{both:?}");
    let held = answered("{root: m.filter(x >= 0).x.sum().root(), n: n.x}").render();
    let held: Vec<_> = held.iter().skip(1).map(|row| row.split_once(", ").unwrap().1).collect();
    let sums = [
        "A, 1.0, null",
        "A, 1.0, 3",
        "B, null, 5",
        "A, 3.1622776601683795, null",
        "B, 4.0, null",
        "C, null, -1",
    ];
    assert_eq!(held, sums);
}

/// How a query fails in each way in which its events can come.
fn failures(query: &str) -> Vec<Failure> {
    let events = events(query);
    let plan = planned(query, &events);
    assert!(reference::answer(&plan.query, &events, Results::history()).is_err());
    let failure = |way: &Way| match way.run(&plan, &events) {
        Err(WayError::Job(JobError::Function(error))) => error.failure,
        other => panic!("{query}: {way:?}: {other:?}"),
    };
    // Live tells its failures as texts.
    Way::all().iter().filter(|way| **way != Way::Live).map(failure).collect()
}

#[test]
fn failures_end_the_query_by_name_and_nothing_else() {
    for failure in failures("m.x.root()") {
        assert_eq!(failure.to_string(), "failed: there is no root of -4");
    }
    for failure in failures("m.x.unlucky()") {
        assert_eq!(failure.to_string(), "panicked: 9 is unlucky");
    }
    for failure in failures("m.x.short()") {
        assert!(matches!(failure, Failure::Length { expected, found } if found + 1 == expected), "{failure}");
    }
    for failure in failures("m.x.mistyped()") {
        assert_eq!(failure.to_string(), "gave values of the type Int64, not Utf8");
    }
    let events = events("m.x.unlucky()");
    let error = Way::Workers(3).run(&planned("m.x.unlucky()", &events), &events).unwrap_err();
    assert_eq!(error.to_string(), "the function `unlucky` panicked: 9 is unlucky");
    // What runs after them runs.
    they_are_called_like_any_other();
}

#[test]
fn chains_in_rust_call_them() {
    let x = || source("m").field("x");
    for (built, text) in [
        (x().apply("weigh", [lit(2)]), "m.x.weigh(2)"),
        (call("weigh", [lit(2), x()]), "weigh(2, m.x)"),
        (x().apply("either", []).sum(), "m.x.either().sum()"),
    ] {
        assert_eq!(built.to_string(), text);
        assert!(built.compile(&functions().over(&events(text))).is_ok(), "{text}");
    }
}

/// An error in a query with these functions.
fn refused(query: &str) -> String {
    let error = skytide_timestream::compile(query, &functions().over(&events(query))).unwrap_err();
    error.render(query)
}

#[test]
fn they_are_checked_like_any_other() {
    for (query, said) in [
        ("m.x.wiegh(1)", "help: did you mean `weigh`?"),
        ("wiegh(\"a\")", "help: did you mean `weigh`?"),
        ("m.t.weigh(1)", "Incompatible argument types: `weigh` needs i64, found utf8"),
        ("m.x.weigh(1)", ""),
        ("m.x.weigh()", "`weigh` needs an argument: `y`"),
        ("m.x.weigh(1, 2)", "too many arguments: `weigh` takes 1"),
        ("m.x.weigh(z=1)", "`weigh` has no parameter `z`"),
        ("m.t.either(m.x)", "Incompatible argument types: `either` is given utf8 and i64"),
        ("m.weigh", "`weigh` is a function: it is called with brackets"),
        ("weigh(1, 2)", "a constant has no points"),
        ("m.x + m.with_key(t).x.weigh(1)", "different groupings"),
    ] {
        if said.is_empty() {
            assert_eq!(results(query).len(), 5);
        } else {
            let text = refused(query);
            assert!(text.contains(said) && text.contains('^'), "{query}:\n{text}");
        }
    }
    assert!(refused("m.t.weigh(1)").contains("note: weigh(x: i64, y: i64) -> i64"));
    assert!(refused("m.x.weigh(\"b\")").contains("found utf8"));
}

#[test]
fn what_is_used_twice_is_computed_once() {
    let query = "{a: m.x.weigh(1), b: m.x.weigh(1) + 1}";
    let explained = planned(query, &events(query)).explain();
    assert_eq!(explained.matches("weigh(").count(), 1, "{explained}");
    assert!(explained.contains("weigh(r0, r1), the program's own: i64"), "{explained}");
}

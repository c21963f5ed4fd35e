//! Random small queries over random events: the engine in every way against the reference, and the reference
//! against laws.
//!
//! Some of the functions are our own. Events have few keys and few times, so that points meet; times are
//! seconds, parts of minutes or parts of hours apart, so that there are ticks.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says what is wrong by failing")]

mod functions;
mod pieces;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_schema::Fields;
use functions::functions;
use pieces::{Pieces, lookups, query, small};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::RngSeed;
use skytide_testkit::answer::{Answer, AnswerRow};
use skytide_testkit::events::{Events, Row, Table};
use skytide_testkit::reference;
use skytide_testkit::text::{parse, parse_field, parse_time};
use skytide_testkit::value::Val;
use skytide_testkit::ways::Way;
use skytide_timestream::plan::Results;

/// Of the cases of a landing.
const SEED: u64 = 7;

/// So many cases, the same ones each time: a landing does not fail by luck. Or other ones, as many times more
/// as `SKYTIDE_RANDOM` says.
fn cases(cases: u32) -> ProptestConfig {
    let times = std::env::var("SKYTIDE_RANDOM").ok().and_then(|times| times.parse().ok());
    let rng_seed = if times.is_none() { RngSeed::Fixed(SEED) } else { RngSeed::Random };
    ProptestConfig { rng_seed, ..ProptestConfig::with_cases(cases * times.unwrap_or(1)) }
}

/// A row as cells, for a table and a step of the clock.
fn row() -> impl Strategy<Value = (usize, i64, Vec<String>)> {
    let cells = (
        select(vec!["A", "B", "null", "\"\""]),
        select(vec!["null", "0", "1", "-3", "7", "9223372036854775807"]),
        select(vec!["null", "0.1", "0.2", "-1.5", "1e16", "0.0"]),
        select(vec!["null", "A", "B", "ä", "\"\""]),
        select(vec!["null", "true", "false"]),
        select(vec!["null", "[]", "[a]", "[B, a]", "[null, a]"]),
    );
    let cells = cells.prop_map(|(id, x, f, t, ok, tags)| [id, x, f, t, ok, tags].map(str::to_owned).to_vec());
    (0..3_usize, 0..6_i64, cells)
}

/// When the clock starts, and how long its steps are, in nanoseconds.
#[derive(Debug, Clone, Copy)]
struct Pace {
    start: i64,
    step: i64,
}

impl Pace {
    fn time(self, steps: i64) -> i64 {
        self.start + steps * self.step
    }

    /// Results whose times are steps, with times.
    fn results(self, results: Results) -> Results {
        let time = |steps: Option<i64>| steps.map(|steps| self.time(steps));
        match results {
            Results::History { since, until } => Results::History { since: time(since), until: time(until) },
            Results::Snapshot { changed_since, at } => {
                Results::Snapshot { changed_since: time(changed_since), at: time(at) }
            }
        }
    }
}

/// Steps of a second, of a part of a minute, of about an hour; from a midnight on, or shortly before a new
/// year or a leap day.
fn pace() -> impl Strategy<Value = Pace> {
    let start = select(vec!["2026-01-01T00:00:00Z", "2025-12-31T23:59:10Z", "2024-02-28T22:30:00Z"]);
    let seconds = select(vec![1, 20, 20, 30, 40, 1_800, 3_000]);
    (start, seconds).prop_map(|(start, seconds)| Pace {
        start: parse_time(start).unwrap(),
        step: seconds * 1_000_000_000,
    })
}

/// Three tables; `o` is of the source of `m`, and so is `n` where there is only one.
fn tables(mut rows: Vec<(usize, i64, Vec<String>)>, pace: Pace, one_source: bool) -> Vec<Table> {
    let fields: Fields = ["id: utf8", "x: i64", "f: f64", "t: utf8", "ok: bool", "tags: list<utf8>"]
        .into_iter()
        .map(|text| parse_field(text).unwrap())
        .collect();
    rows.sort_by_key(|(_, step, _)| *step);
    let table = |name: &str, source: &str| Table {
        name: name.into(),
        source: source.into(),
        key: "id".into(),
        fields: fields.clone(),
        rows: Vec::new(),
    };
    let mut tables =
        vec![table("m", "s"), table("n", if one_source { "s" } else { "other" }), table("o", "s")];
    for (line, (of, step, cells)) in rows.into_iter().enumerate() {
        let values =
            cells.iter().zip(&fields).map(|(cell, field)| parse(cell, field.data_type()).unwrap()).collect();
        tables[of].rows.push(Row { line, time: pace.time(step), values });
    }
    tables
}

/// Results, whose times are steps of the clock; some are after the newest event.
fn results() -> impl Strategy<Value = Results> {
    let maybe = || proptest::option::of(0..9_i64);
    prop_oneof![
        3 => Just(Results::history()),
        1 => (maybe(), maybe()).prop_map(|(since, until)| Results::History { since, until }),
        1 => Just(Results::snapshot()),
        1 => (maybe(), maybe()).prop_map(|(changed_since, at)| Results::Snapshot { changed_since, at }),
    ]
}

/// The reference's answer.
fn wanted(query: &str, tables: &[Table], results: Results) -> Result<Answer, TestCaseError> {
    let events = Events::new(tables, query);
    let compiled = skytide_timestream::compile(query, &functions().over(&events));
    let compiled = compiled.map_err(|error| TestCaseError::fail(error.render(query)))?;
    reference::answer(&compiled, &events, results).map_err(|error| TestCaseError::fail(error.to_string()))
}

fn assert_one_answer(
    query: &str,
    tables: &[Table],
    results: Results,
    ways: &[Way],
) -> Result<(), TestCaseError> {
    let events = Events::new(tables, query);
    let compiled = skytide_timestream::compile(query, &functions().over(&events));
    let compiled = Arc::new(compiled.map_err(|error| TestCaseError::fail(error.render(query)))?);
    let wanted = reference::answer(&compiled, &events, results).unwrap();
    let plan = Arc::new(skytide_timestream::plan(compiled, results));
    for way in ways {
        match way.run(&plan, &events) {
            Ok(Some(mut run)) => {
                // The engine leaves out what no answer depends on, and with it the warnings.
                run.answer.warnings = wanted.warnings;
                let difference = way.difference(&plan, &events, &run.answer, &wanted);
                prop_assert!(
                    difference.is_none(),
                    "{way:?}: {}\n{}",
                    difference.unwrap_or_default(),
                    plan.explain()
                );
            }
            Ok(None) => {}
            Err(error) => return Err(TestCaseError::fail(format!("{way:?}: {error}\n{}", plan.explain()))),
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 2_000, ..cases(256) })]

    #[test]
    fn the_engine_gives_the_answers_of_the_reference(
        query in query(),
        rows in vec(row(), 0..14),
        pace in pace(),
        one_source in any::<bool>(),
        results in results(),
        sizes in vec(1..5_usize, 1..4),
        workers in 2..4_usize,
    ) {
        let ways = [
            Way::OneBatch,
            Way::BatchesOfOne,
            Way::Batches(sizes),
            Way::Workers(workers),
            Way::Restored(1),
        ];
        assert_one_answer(&query, &tables(rows, pace, one_source), pace.results(results), &ways)?;
    }

    #[test]
    fn small_queries_give_the_answers_of_the_reference(
        query in small(),
        rows in vec(row(), 0..8),
        pace in pace(),
        one_source in any::<bool>(),
        results in results(),
        workers in 2..4_usize,
    ) {
        let ways = [Way::OneBatch, Way::BatchesOfOne, Way::Workers(workers), Way::Restored(1)];
        assert_one_answer(&query, &tables(rows, pace, one_source), pace.results(results), &ways)?;
    }

    #[test]
    fn lookups_in_any_source_give_the_answers_of_the_reference(
        query in lookups(),
        rows in vec(row(), 0..14),
        pace in pace(),
        one_source in any::<bool>(),
        results in results(),
        workers in 2..4_usize,
    ) {
        let ways = [Way::OneBatch, Way::BatchesOfOne, Way::Workers(workers), Way::Restored(1)];
        assert_one_answer(&query, &tables(rows, pace, one_source), pace.results(results), &ways)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 200, ..cases(24) })]

    #[test]
    fn live_gives_the_answers_of_the_reference(
        query in query(),
        rows in vec(row(), 1..14),
        pace in pace(),
        results in results(),
    ) {
        assert_one_answer(&query, &tables(rows, pace, true), pace.results(results), &[Way::Live])?;
    }
}

/// Pairs of queries that mean the same by the rules: of a number `$x`, a condition `$p`, and a window or none, `$w`.
const LAWS: [(&str, &str); 14] = [
    ("$x.sum(window=since(false))", "$x.sum()"),
    ("$x.collect(window=tumbling($p))", "$x.collect(window=since($p)).filter($p)"),
    ("$x.collect(window=tumbling($p))", "$x.collect(window=sliding(1, $p))"),
    ("$x.collect(window=tumbling.minutely())", "$x.collect(window=sliding.minutely(1))"),
    ("$x.lag(0, $w)", "$x.last($w)"),
    ("$x.collect(1, $w)[0]", "$x.last($w)"),
    ("$x.collect(min=1, $w)[0]", "$x.first($w)"),
    ("$x.collect($w).length()", "$x.count($w)"),
    ("$x.shift_by(\"20s\").shift_by(\"40s\")", "$x.shift_by(\"1m\")"),
    ("$x.shift_by(\"20s\")", "$x.shift_to($x.time() + \"20s\")"),
    ("$x.shift_until(true)", "$x.shift_by(\"0s\")"),
    ("{ a: $x.shift_by(\"0s\"), b: $x }", "{ a: $x.filter(true), b: $x }"),
    ("{ a: $x.count(window=trailing(\"20s\")), b: $x }.b", "{ a: $x.shift_by(\"20s\"), b: $x }.b"),
    (
        "$x.last().lookup(m.filter(m.id.is_not_null()).id)",
        "{ value: $x.last(), of: m.id }.filter(m.id.is_not_null()).value",
    ),
];

proptest! {
    #![proptest_config(cases(256))]

    /// The judge is judged without an engine.
    #[test]
    fn what_means_the_same_has_the_same_answer(
        law in select(LAWS.to_vec()),
        x in Pieces::columns(&["m", "n", "o"]).deeper().deeper().int,
        p in Pieces::columns(&["m", "n", "o"]).deeper().truth,
        w in Pieces::columns(&["m", "n", "o"]).window(),
        rows in vec(row(), 0..14),
        pace in pace(),
        results in results(),
    ) {
        let tables = tables(rows, pace, true);
        let said = |text: &str| {
            let text = text.replace("$x", &x).replace("$p", &p).replace("$w", &w).replace(", )", ")");
            wanted(&text, &tables, pace.results(results)).map(|answer| (answer, text))
        };
        let ((one, text), (other, same)) = (said(law.0)?, said(law.1)?);
        let other = Answer { warnings: one.warnings, ..other };
        prop_assert_eq!(one.difference(&other), None, "{} and {}", text, same);
    }

    /// 7.5: a snapshot has each key's last row of the history up to its time; an earlier end takes away what
    /// is after it, and ticks or moved points with it, and nothing else.
    #[test]
    fn histories_and_snapshots_agree(
        query in query(),
        rows in vec(row(), 0..14),
        pace in pace(),
        until in 0..9_i64,
        earlier in 0..9_i64,
    ) {
        let tables = tables(rows, pace, true);
        let (until, earlier) = (pace.time(until.max(earlier)), pace.time(earlier));
        let long = wanted(&query, &tables, Results::History { since: None, until: Some(until) })?;
        let short = wanted(&query, &tables, Results::History { since: None, until: Some(earlier) })?;
        let cut = long.rows.iter().filter(|row| row.time <= earlier).cloned().collect();
        prop_assert_eq!(Answer { rows: cut, warnings: short.warnings, ..long.clone() }.difference(&short), None);
        let order = long.rows.windows(2).all(|rows| rows[0].time <= rows[1].time);
        prop_assert!(order, "{:?}", long.render());
        let snapshot = wanted(&query, &tables, Results::Snapshot { changed_since: None, at: Some(until) })?;
        let last: BTreeMap<Val, AnswerRow> =
            long.rows.iter().map(|row| (row.key.clone(), AnswerRow { time: until + 1, ..row.clone() })).collect();
        let last = Answer { rows: last.into_values().collect(), ..long };
        prop_assert_eq!(last.difference(&snapshot), None);
        // Without a time it is as of the newest event.
        let now = wanted(&query, &tables, Results::snapshot())?;
        if let Some(row) = now.rows.first() {
            let at = Some(row.time - 1);
            let then = wanted(&query, &tables, Results::Snapshot { changed_since: None, at })?;
            prop_assert_eq!(Answer { warnings: now.warnings, ..then }.difference(&now), None);
        }
    }
}

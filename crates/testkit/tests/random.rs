//! Random small queries over random events: the engine in every way against the reference.
//!
//! Queries are made of typed pieces, some of them functions of our own, so that all of them compile; events have few keys and few times, so that points meet.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says what is wrong by failing")]

mod functions;

use std::sync::Arc;

use arrow_schema::Fields;
use functions::functions;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use skytide_testkit::events::{Events, Row, Table};
use skytide_testkit::reference;
use skytide_testkit::text::{parse, parse_field};
use skytide_testkit::ways::Way;
use skytide_timestream::plan::Results;

/// How deep expressions nest.
const DEPTH: u32 = 3;

/// So many cases, or as many times more as `SKYTIDE_RANDOM` says.
fn cases(cases: u32) -> ProptestConfig {
    let times = std::env::var("SKYTIDE_RANDOM").ok().and_then(|times| times.parse().ok()).unwrap_or(1);
    ProptestConfig::with_cases(cases * times)
}

/// Expressions of one grouping, by type, as text.
#[derive(Clone)]
struct Pieces {
    int: BoxedStrategy<String>,
    float: BoxedStrategy<String>,
    text: BoxedStrategy<String>,
    truth: BoxedStrategy<String>,
    list: BoxedStrategy<String>,
}

impl Pieces {
    /// The columns of the tables.
    fn columns() -> Self {
        Self {
            int: select(vec!["m.x", "n.x", "o.x", "m.x", "(m.x * 3000000000000000000)"])
                .prop_map(str::to_owned)
                .boxed(),
            float: select(vec!["m.f", "n.f", "o.f"]).prop_map(str::to_owned).boxed(),
            text: select(vec!["m.t", "n.t", "o.t", "m.tags[0]", "n.tags[1]", "m.id"])
                .prop_map(str::to_owned)
                .boxed(),
            truth: select(vec!["m.ok", "n.ok", "o.ok"]).prop_map(str::to_owned).boxed(),
            list: select(vec!["m.tags", "n.tags", "o.tags"]).prop_map(str::to_owned).boxed(),
        }
    }

    /// Any of them.
    fn any(&self) -> BoxedStrategy<String> {
        let Self { int, float, text, truth, list } = self.clone();
        prop_oneof![2 => int, 2 => float, 2 => text, 2 => truth, 1 => list].boxed()
    }

    /// One operation more.
    fn deeper(&self) -> Self {
        let Self { int, float, text, truth, list } = self.clone();
        let any = self.any();
        let literal = select(vec!["0", "1", "-2", "3", "9223372036854775807"]);
        let sign = select(vec!["+", "-", "*", "/", "%"]);
        let order = select(vec!["<", "<=", ">", ">=", "==", "!="]);
        let fold = select(vec!["min", "max", "first", "last"]);
        let method = move |of: &BoxedStrategy<String>| {
            (of.clone(), fold.clone()).prop_map(|(of, name)| format!("{of}.{name}()")).boxed()
        };
        let bounds = |of: &BoxedStrategy<String>| {
            let bound = prop_oneof![3 => of.clone(), 1 => Just("null".to_owned()), 1 => Just("2".to_owned())];
            prop_oneof![
                (of.clone(), select(vec!["greatest", "least"]), of.clone())
                    .prop_map(|(of, name, other)| format!("{of}.{name}({other})")),
                (of.clone(), bound.clone(), bound)
                    .prop_map(|(of, min, max)| format!("{of}.clamp({min}, {max})")),
                (of.clone(), select(vec!["ceil", "floor", "round"]))
                    .prop_map(|(of, name)| format!("{of}.{name}()")),
            ]
            .boxed()
        };
        let choice = |of: &BoxedStrategy<String>| {
            let (condition, condition_of) = (truth.clone(), truth.clone());
            prop_oneof![
                (of.clone(), condition.clone()).prop_map(|(of, condition)| format!("{of}.if_({condition})")),
                (of.clone(), condition).prop_map(|(of, condition)| format!("{of}.filter({condition})")),
                (of.clone(), of.clone()).prop_map(|(of, other)| format!("{of}.else_({other})")),
                (of.clone(), condition_of.clone())
                    .prop_map(|(of, condition)| format!("{of}.null_if({condition})")),
                vec(of.clone(), 2..5).prop_map(|of| format!("coalesce({})", of.join(", "))),
            ]
            .boxed()
        };
        Self {
            int: prop_oneof![
                int.clone(),
                (int.clone(), sign.clone(), int.clone()).prop_map(|(x, sign, y)| format!("({x} {sign} {y})")),
                (int.clone(), sign.clone(), literal.clone())
                    .prop_map(|(x, sign, y)| format!("({x} {sign} {y})")),
                choice(&int),
                bounds(&int),
                method(&int),
                int.clone().prop_map(|x| format!("{x}.sum()")),
                (int.clone(), int.clone(), select(vec!["weigh", "either"]))
                    .prop_map(|(x, y, name)| format!("{x}.{name}({y})")),
                int.clone().prop_map(|x| format!("{x}.weigh(-1)")),
                int.clone().prop_map(|x| format!("(-{x})")),
                any.clone().prop_map(|of| format!("{of}.count()")),
                truth.clone().prop_map(|of| format!("{of}.count_if()")),
                (text.clone(), select(vec!["len", "length"])).prop_map(|(of, name)| format!("{of}.{name}()")),
                list.clone().prop_map(|of| format!("{of}.length()")),
                (any.clone(), select(vec!["weekday()", "minute()", "seconds_since(\"2026-01-01\")"]))
                    .prop_map(|(of, name)| format!("{of}.time().{name}")),
                (any.clone(), any.clone()).prop_map(|(of, other)| {
                    format!(
                        "({of}.time() - {other}.time().last() + \"1.5s\").hash().clamp(max=9).cast(\"i64\")"
                    )
                }),
            ]
            .boxed(),
            float: prop_oneof![
                float.clone(),
                (float.clone(), sign.clone(), float.clone())
                    .prop_map(|(x, sign, y)| format!("({x} {sign} {y})")),
                (int.clone(), sign, float.clone()).prop_map(|(x, sign, y)| format!("({x} {sign} {y})")),
                choice(&float),
                bounds(&float),
                (float.clone(), select(vec!["exp()", "sqrt()", "powf(0.5)"]))
                    .prop_map(|(x, name)| format!("{x}.{name}")),
                (int.clone(), float.clone()).prop_map(|(x, y)| format!("{x}.powf({y})")),
                method(&float),
                select(vec!["sum", "mean", "variance", "stddev"]).prop_flat_map({
                    let (int, float) = (int.clone(), float.clone());
                    move |name| match name {
                        "mean" | "variance" | "stddev" => prop_oneof![int.clone(), float.clone()]
                            .prop_map(move |x| format!("{x}.{name}()"))
                            .boxed(),
                        _ => float.clone().prop_map(|x| format!("{x}.sum()")).boxed(),
                    }
                }),
            ]
            .boxed(),
            text: prop_oneof![
                text.clone(),
                choice(&text),
                method(&text),
                (text.clone(), select(vec!["upper", "shout", "either"]))
                    .prop_map(|(of, name)| format!("{of}.{name}()")),
                (text.clone(), int.clone(), literal.clone())
                    .prop_map(|(of, start, end)| format!("{of}.substring({start}, {end})")),
                (list.clone(), int.clone()).prop_map(|(of, at)| format!("{of}[{at}]")),
            ]
            .boxed(),
            truth: prop_oneof![
                truth.clone(),
                (int.clone(), order.clone(), int).prop_map(|(x, order, y)| format!("({x} {order} {y})")),
                (float.clone(), order.clone(), literal)
                    .prop_map(|(x, order, y)| format!("({x} {order} {y})")),
                (text.clone(), order, text).prop_map(|(x, order, y)| format!("({x} {order} {y})")),
                (truth.clone(), select(vec!["and", "or"]), truth.clone())
                    .prop_map(|(x, word, y)| format!("({x} {word} {y})")),
                truth.clone().prop_map(|x| format!("(not {x})")),
                any.clone().prop_map(|of| format!("{of}.is_null()")),
                any.prop_map(|of| format!("{of}.is_not_null()")),
                choice(&truth),
            ]
            .boxed(),
            list: prop_oneof![
                list.clone(),
                choice(&list),
                (list.clone(), select(vec!["first", "last"])).prop_map(|(of, name)| format!("{of}.{name}()")),
                (list.clone(), list).prop_map(|(of, other)| format!("{of}.union({other})")),
            ]
            .boxed(),
        }
    }

    fn nested(self) -> Self {
        (0..DEPTH).fold(self, |pieces, _| pieces.deeper())
    }

    /// Under another key, a text.
    fn rekeyed(&self, grouping: &'static str) -> Self {
        let under = |of: &BoxedStrategy<String>| {
            (of.clone(), self.text.clone())
                .prop_map(move |(of, key)| format!("{of}.with_key({key}, grouping=\"{grouping}\")"))
                .boxed()
        };
        Self {
            int: under(&self.int),
            float: under(&self.float),
            text: under(&self.text),
            truth: under(&self.truth),
            list: under(&self.list),
        }
    }

    /// Whole queries.
    fn query(&self) -> BoxedStrategy<String> {
        let record = vec(self.any(), 1..4).prop_map(|fields| {
            let fields: Vec<_> = fields.iter().enumerate().map(|(at, of)| format!("f{at}: {of}")).collect();
            format!("{{ {} }}", fields.join(", "))
        });
        prop_oneof![self.any(), record].boxed()
    }
}

fn query() -> impl Strategy<Value = String> {
    let own = Pieces::columns().nested();
    let shallow = Pieces::columns().deeper();
    let once = shallow.rekeyed("g").deeper().deeper();
    let twice = shallow.rekeyed("g").deeper().rekeyed("h").deeper();
    prop_oneof![3 => own.query(), 2 => once.query(), 1 => twice.query()]
}

/// A row as cells, for a table and a second of the day.
fn row() -> impl Strategy<Value = (usize, i64, Vec<String>)> {
    let cells = (
        select(vec!["A", "B", "null", "\"\""]),
        select(vec!["null", "0", "1", "-3", "7", "9223372036854775807"]),
        select(vec!["null", "0.1", "0.2", "-1.5", "1e16", "0.0"]),
        select(vec!["null", "a", "B", "ä", "\"\""]),
        select(vec!["null", "true", "false"]),
        select(vec!["null", "[]", "[a]", "[B, a]", "[null, a]"]),
    );
    let cells = cells.prop_map(|(id, x, f, t, ok, tags)| [id, x, f, t, ok, tags].map(str::to_owned).to_vec());
    (0..3_usize, 0..6_i64, cells)
}

/// Three tables; `o` is of the source of `m`, and so is `n` where there is only one.
fn tables(mut rows: Vec<(usize, i64, Vec<String>)>, one_source: bool) -> Vec<Table> {
    let fields: Fields = ["id: utf8", "x: i64", "f: f64", "t: utf8", "ok: bool", "tags: list<utf8>"]
        .into_iter()
        .map(|text| parse_field(text).unwrap())
        .collect();
    rows.sort_by_key(|(_, second, _)| *second);
    let table = |name: &str, source: &str| Table {
        name: name.into(),
        source: source.into(),
        key: "id".into(),
        fields: fields.clone(),
        rows: Vec::new(),
    };
    let mut tables =
        vec![table("m", "s"), table("n", if one_source { "s" } else { "other" }), table("o", "s")];
    for (line, (of, second, cells)) in rows.into_iter().enumerate() {
        let values =
            cells.iter().zip(&fields).map(|(cell, field)| parse(cell, field.data_type()).unwrap()).collect();
        let time = 1_767_225_600_000_000_000 + second * 1_000_000_000;
        tables[of].rows.push(Row { line, time, values });
    }
    tables
}

fn results() -> impl Strategy<Value = Results> {
    let time = |second: i64| 1_767_225_600_000_000_000 + second * 1_000_000_000;
    let maybe = move || proptest::option::of((0..6_i64).prop_map(time));
    prop_oneof![
        3 => Just(Results::history()),
        1 => (maybe(), maybe()).prop_map(|(since, until)| Results::History { since, until }),
        1 => Just(Results::snapshot()),
        1 => (maybe(), maybe()).prop_map(|(changed_since, at)| Results::Snapshot { changed_since, at }),
    ]
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
        // Events of two sources pair only until they are given another key: there they would have to be told apart again.
        let one_source = one_source || query.contains("with_key");
        assert_one_answer(&query, &tables(rows, one_source), results, &ways)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 200, ..cases(24) })]

    #[test]
    fn live_gives_the_answers_of_the_reference(query in query(), rows in vec(row(), 1..14), results in results()) {
        assert_one_answer(&query, &tables(rows, true), results, &[Way::Live])?;
    }
}

//! Random queries, made of typed pieces, so that all of them compile.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// How deep expressions nest.
const DEPTH: u32 = 3;

/// Expressions of one type, as text.
type Piece = BoxedStrategy<String>;

/// Expressions of one grouping, by type.
#[derive(Clone)]
pub(super) struct Pieces {
    pub(super) int: Piece,
    float: Piece,
    text: Piece,
    pub(super) truth: Piece,
    list: Piece,
}

fn one_of(texts: &[&'static str]) -> Piece {
    select(texts.to_vec()).prop_map(str::to_owned).boxed()
}

/// A way to write two pieces.
fn two(x: &Piece, y: &Piece, written: impl Fn(String, String) -> String + 'static) -> Piece {
    (x.clone(), y.clone()).prop_map(move |(x, y)| written(x, y)).boxed()
}

impl Pieces {
    /// The columns of some tables.
    pub(super) fn columns(tables: &[&str]) -> Self {
        let of = |columns: &[&str]| {
            let all: Vec<String> = tables
                .iter()
                .flat_map(|table| columns.iter().map(move |column| column.replace('$', table)))
                .collect();
            select(all).boxed()
        };
        Self {
            int: of(&["$.x", "$.x", "$.x", "($.x * 3000000000000000000)"]),
            float: of(&["$.f"]),
            text: of(&["$.t", "$.t", "$.tags[0]", "$.tags[1]", "$.id"]),
            truth: of(&["$.ok"]),
            list: of(&["$.tags"]),
        }
    }

    /// Any of them.
    fn any(&self) -> Piece {
        let Self { int, float, text, truth, list, .. } = self.clone();
        prop_oneof![2 => int, 2 => float, 2 => text, 2 => truth, 1 => list].boxed()
    }

    /// The last argument of an aggregation; often none.
    pub(super) fn window(&self) -> Piece {
        let calendar = || select(vec!["minutely()", "minutely()", "hourly()", "daily()", "yearly()"]);
        let intervals = || 1..4_u32;
        prop_oneof![
            7 => Just(String::new()),
            1 => self.truth.clone().prop_map(|ends| format!("window=since({ends})")),
            1 => calendar().prop_map(|ends| format!("window=since.{ends}")),
            1 => self.truth.clone().prop_map(|ends| format!("window=tumbling({ends})")),
            1 => calendar().prop_map(|ends| format!("window=tumbling.{ends}")),
            1 => (intervals(), self.truth.clone()).prop_map(|(n, ends)| format!("window=sliding({n}, {ends})")),
            1 => (intervals(), calendar())
                .prop_map(|(n, ends)| format!("window=sliding.{}", ends.replace(')', &format!("{n})")))),
            1 => select(vec!["1s", "20s", "30s", "1m", "1h"])
                .prop_map(|length| format!("window=trailing(\"{length}\")")),
        ]
        .boxed()
    }

    /// An aggregation, which is written up to its window: `sum(`, `lag(1`.
    fn folded(&self, of: &Piece, names: &[&'static str]) -> Piece {
        let written = |(of, name, window): (String, &str, String)| {
            let comma = if name.ends_with('(') || window.is_empty() { "" } else { ", " };
            format!("{of}.{name}{comma}{window})")
        };
        (of.clone(), select(names.to_vec()), self.window()).prop_map(written).boxed()
    }

    /// At other times, and of other keys.
    fn moved(&self, of: &Piece) -> Piece {
        let any = self.any();
        let by = prop_oneof![
            select(vec!["0s", "20s", "30s", "30s", "1m", "1h"]).prop_map(|length| format!("\"{length}\"")),
            any.clone().prop_map(|of| format!("({of}.time() - {of}.time().lag(1))")),
        ]
        .boxed();
        let to = prop_oneof![
            select(vec!["2026-01-01T00:01:00Z", "2026-01-01T01:00:00Z", "2024-02-29T00:00:00Z"])
                .prop_map(|time| format!("\"{time}\"")),
            any.clone().prop_map(|of| format!("({of}.time() + \"20s\")")),
            any.prop_map(|of| format!("{of}.time()")),
        ]
        .boxed();
        prop_oneof![
            two(of, &by, |of, by| format!("{of}.shift_by({by})")),
            two(of, &to, |of, to| format!("{of}.shift_to({to})")),
            two(of, &self.truth, |of, until| format!("{of}.shift_until({until})")),
            two(of, &self.text, |of, key| format!("{of}.lookup({key})")),
        ]
        .boxed()
    }

    /// Where a condition is true, and what stands for nulls.
    fn chosen(&self, of: &Piece) -> Piece {
        prop_oneof![
            two(of, &self.truth, |of, condition| format!("{of}.if_({condition})")),
            two(of, &self.truth, |of, condition| format!("{of}.filter({condition})")),
            two(of, of, |of, other| format!("{of}.else_({other})")),
            two(of, &self.truth, |of, condition| format!("{of}.null_if({condition})")),
            vec(of.clone(), 2..5).prop_map(|of| format!("coalesce({})", of.join(", "))),
        ]
        .boxed()
    }

    /// Between bounds.
    fn bounded(of: &Piece) -> Piece {
        let bound = prop_oneof![3 => of.clone(), 1 => one_of(&["null", "2"])];
        prop_oneof![
            (of.clone(), select(vec!["greatest", "least"]), of.clone())
                .prop_map(|(of, name, other)| format!("{of}.{name}({other})")),
            (of.clone(), bound.clone(), bound).prop_map(|(of, min, max)| format!("{of}.clamp({min}, {max})")),
            (of.clone(), select(vec!["ceil", "floor", "round"]))
                .prop_map(|(of, name)| format!("{of}.{name}()")),
        ]
        .boxed()
    }

    /// One operation more.
    pub(super) fn deeper(&self) -> Self {
        const KEEPS: [&str; 3] = ["first(", "last(", "lag(1"];
        const FOLDS: [&str; 5] = ["min(", "max(", "first(", "last(", "lag(1"];
        let Self { int, float, text, truth, list } = self;
        let any = self.any();
        let literal = one_of(&["0", "1", "-2", "3", "9223372036854775807"]);
        let sign = || select(vec!["+", "-", "*", "/", "%"]);
        let order = || select(vec!["<", "<=", ">", ">=", "==", "!="]);
        let with = |x: &Piece, sign, y: &Piece| {
            (x.clone(), sign, y.clone()).prop_map(|(x, sign, y): (_, &str, _)| format!("({x} {sign} {y})"))
        };
        let call = |of: &Piece, names: &[&'static str]| {
            (of.clone(), select(names.to_vec())).prop_map(|(of, name)| format!("{of}.{name}"))
        };
        let collects = ["collect(3", "collect(2, 1", "collect(max=2, min=2", "collect("];
        Self {
            int: prop_oneof![
                int.clone(),
                with(int, sign(), int),
                with(int, sign(), &literal),
                self.chosen(int),
                self.moved(int),
                Self::bounded(int),
                self.folded(int, &FOLDS),
                self.folded(int, &["sum(", "lag(0", "lag(2"]),
                two(int, int, |x, y| format!("{x}.weigh({y})")),
                call(int, &["weigh(-1)", "either(7)"]),
                int.clone().prop_map(|x| format!("(-{x})")),
                self.folded(&any, &["count("]),
                self.folded(truth, &["count_if("]),
                self.folded(&any, &collects).prop_map(|list| format!("{list}.length()")),
                call(text, &["len()", "length()"]),
                list.clone().prop_map(|of| format!("{of}.length()")),
                call(
                    &any,
                    &[
                        "time().weekday()",
                        "time().minute()",
                        "time().seconds_since(\"2026-01-01\")",
                        "seconds_since_previous()",
                        "seconds_since_previous(0)",
                        "seconds_since_previous(2)",
                    ],
                ),
                two(&any, &any, |of, other| format!(
                    "({of}.time() - {other}.time().last() + \"1.5s\").hash().clamp(max=9).cast(\"i64\")"
                )),
            ]
            .boxed(),
            float: prop_oneof![
                float.clone(),
                with(float, sign(), float),
                with(int, sign(), float),
                self.chosen(float),
                self.moved(float),
                Self::bounded(float),
                call(float, &["exp()", "sqrt()", "powf(0.5)"]),
                two(int, float, |x, y| format!("{x}.powf({y})")),
                self.folded(float, &FOLDS),
                self.folded(float, &["sum(", "sum(", "mean(", "variance(", "stddev("]),
                self.folded(int, &["mean(", "variance(", "stddev("]),
            ]
            .boxed(),
            text: prop_oneof![
                text.clone(),
                self.chosen(text),
                self.moved(text),
                self.folded(text, &FOLDS),
                call(text, &["upper()", "shout()", "either()"]),
                (text.clone(), int.clone(), literal.clone())
                    .prop_map(|(of, start, end)| format!("{of}.substring({start}, {end})")),
                two(list, int, |of, at| format!("{of}[{at}]")),
            ]
            .boxed(),
            truth: prop_oneof![
                truth.clone(),
                with(int, order(), int),
                with(float, order(), &literal),
                with(text, order(), text),
                (text.clone(), select(vec!["starts_with", "ends_with", "contains"]), text.clone())
                    .prop_map(|(of, name, part)| format!("{of}.{name}({part}.substring(0, 1))")),
                two(list, text, |of, item| format!("{of}.contains({item})")),
                with(truth, select(vec!["and", "or"]), truth),
                truth.clone().prop_map(|x| format!("(not {x})")),
                call(&any, &["is_null()", "is_not_null()"]),
                self.chosen(truth),
                self.moved(truth),
                self.folded(truth, &KEEPS),
            ]
            .boxed(),
            list: prop_oneof![
                list.clone(),
                self.chosen(list),
                self.moved(list),
                self.folded(list, &KEEPS),
                self.folded(text, &collects),
                two(list, list, |of, other| format!("{of}.union({other})")),
            ]
            .boxed(),
        }
    }

    fn nested(self) -> Self {
        (0..DEPTH).fold(self, |pieces, _| pieces.deeper())
    }

    /// Under another key, a text: given to the points, or looked up from points that were given it.
    fn rekeyed(&self, grouping: &'static str) -> Self {
        let under = |of: &Piece| {
            let given =
                two(of, &self.text, move |of, key| format!("{of}.with_key({key}, grouping=\"{grouping}\")"));
            let from = (of.clone(), self.text.clone(), self.text.clone());
            let looked_up = from.prop_map(move |(of, value, key)| {
                format!("{of}.lookup({value}.with_key({key}, grouping=\"{grouping}\"))")
            });
            prop_oneof![4 => given, 1 => looked_up].boxed()
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
    fn query(&self) -> Piece {
        let record = vec(self.any(), 1..4).prop_map(|fields| {
            let fields: Vec<_> = fields.iter().enumerate().map(|(at, of)| format!("f{at}: {of}")).collect();
            format!("{{ {} }}", fields.join(", "))
        });
        prop_oneof![self.any(), record].boxed()
    }
}

/// Queries over the three tables `m`, `n` and `o`.
pub(super) fn query() -> Piece {
    let columns = || Pieces::columns(&["m", "n", "o"]);
    let own = columns().nested();
    let shallow = columns().deeper();
    let once = shallow.rekeyed("g").deeper().deeper();
    let twice = shallow.rekeyed("g").deeper().rekeyed("h").deeper();
    prop_oneof![3 => own.query(), 2 => once.query(), 1 => twice.query()].boxed()
}

/// Whole queries of few words, in which keys change and points move: what is wrong with them is found sooner,
/// and read.
pub(super) fn small() -> Piece {
    let columns = || Pieces::columns(&["m", "n", "o"]);
    let moved = |of: Pieces| Pieces {
        int: of.moved(&of.int),
        text: prop_oneof![of.text.clone(), of.moved(&of.text)].boxed(),
        ..of
    };
    let ticks = |of: Pieces| Pieces {
        int: prop_oneof![
            of.int.clone(),
            of.text.clone().prop_map(|of| format!("{of}.count(window=tumbling.minutely())")),
            of.text.clone().prop_map(|of| format!("{of}.count(window=since.minutely())")),
        ]
        .boxed(),
        ..of
    };
    let once = |of: Pieces| of.rekeyed("g");
    prop_oneof![
        moved(ticks(columns())).query(),
        moved(moved(columns())).query(),
        moved(once(ticks(columns()))).query(),
        once(moved(ticks(columns()))).query(),
        ticks(once(moved(columns()))).query(),
        once(columns()).rekeyed("h").query(),
        once(moved(columns())).rekeyed("h").query(),
        moved(once(columns())).rekeyed("h").query(),
        moved(once(columns()).rekeyed("h")).query(),
    ]
    .boxed()
}

/// Queries in which points of `m` look up values of `n`, whatever their sources, beside what is of `m`.
pub(super) fn lookups() -> Piece {
    let of = prop_oneof![
        9 => Pieces::columns(&["n"]).deeper().deeper().any(),
        1 => one_of(&["n.count(window=tumbling.minutely()).shift_by(\"20s\")"]),
    ];
    let by = one_of(&[
        "m.t",
        "m.id",
        "m.t.last()",
        "m.filter(m.ok).id",
        "m.t.shift_by(\"20s\")",
        "m.t.last(window=since.minutely()).shift_by(\"20s\")",
    ]);
    let beside = Pieces::columns(&["m"]).deeper().any();
    (of, by, proptest::option::of(beside))
        .prop_map(|(of, by, beside)| match beside {
            Some(beside) => format!("{{ value: {of}.lookup({by}), beside: {beside} }}"),
            None => format!("{of}.lookup({by})"),
        })
        .boxed()
}

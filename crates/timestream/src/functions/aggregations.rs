//! Aggregations: over a key's points so far.

use super::{Example, Family, Function, FunctionKind};
use crate::engine::aggregates;

/// A function of this family: an argument that is null does not make it null, unless it says `strict`.
const fn aggregation(kind: FunctionKind) -> Function {
    Function::of(Family::Aggregations, false, kind)
}

const EVENTS: &str =
    "time, key: utf8, x: i64\n00:00:01, A, 5\n00:00:02, A, 2\n00:00:03, B,\n00:00:04, A,\n00:00:05, A, 7";

/// `count`; the planner counts points by it to know where a stream has begun.
pub(crate) static COUNT: Function = Function {
    name: "count",
    signature: "count<T: any>(values: T) -> i64",
    summary: "How many values that are not null the key has had so far.",
    details: "Never null from the key's first point on. Of a whole stream it counts the points.",
    examples: &[
        Example {
            query: "events.count()",
            events: EVENTS,
            rows: "_time, _key, result\n00:00:01, A, 1\n00:00:02, A, 2\n00:00:03, B, 1\n00:00:04, A, 3\n00:00:05, A, 4",
        },
        Example {
            query: "events.x.count()",
            events: EVENTS,
            rows: "_time, _key, result\n00:00:01, A, 1\n00:00:02, A, 2\n00:00:03, B, 0\n00:00:04, A, 2\n00:00:05, A, 3",
        },
    ],
    ..aggregation(FunctionKind::Aggregate(aggregates::count))
};

/// `last`; the planner keeps the times of points by it.
pub(crate) static LAST: Function = Function {
    name: "last",
    signature: "last<T: any>(values: T) -> T",
    summary: "The key's newest value that was not null.",
    details: "Null before the first value. It holds between points: beside another stream it is the newest value as of \
              that stream's points.",
    examples: &[Example {
        query: "events.x.last()",
        events: EVENTS,
        rows: "_time, _key, result\n00:00:01, A, 5\n00:00:02, A, 2\n00:00:03, B, null\n00:00:04, A, 2\n00:00:05, A, 7",
    }],
    ..aggregation(FunctionKind::Aggregate(aggregates::last))
};

/// `lag`; the planner knows 0 of it to be the newest value.
pub(crate) static LAG: Function = Function {
    name: "lag",
    signature: "lag<T: any>(values: T, n: i64) -> T",
    summary: "The key's n-th value that was not null before its newest.",
    details: "`n` is a constant; 0 is the newest. Null before there are that many.",
    examples: &[Example {
        query: "events.x.lag(1)",
        events: EVENTS,
        rows: "_time, _key, result\n00:00:01, A, null\n00:00:02, A, 5\n00:00:03, B, null\n00:00:04, A, 5\n00:00:05, A, 2",
    }],
    ..aggregation(FunctionKind::Aggregate(aggregates::lag))
};

pub(super) static FUNCTIONS: &[&Function] = &[
    &COUNT,
    &Function {
        name: "count_if",
        signature: "count_if(condition: bool) -> i64",
        summary: "At how many points the condition was true so far.",
        details: "Never null from the key's first point on.",
        examples: &[Example {
            query: "(events.x > 2).count_if()",
            events: EVENTS,
            rows: "_time, _key, result\n00:00:01, A, 1\n00:00:02, A, 1\n00:00:03, B, 0\n00:00:04, A, 1\n00:00:05, A, 2",
        }],
        ..aggregation(FunctionKind::Aggregate(aggregates::count_if))
    },
    &Function {
        name: "sum",
        signature: "sum<N: wide>(values: N) -> N",
        summary: "The sum of the key's values so far.",
        details: "Null before the first value. Signed numbers are summed as i64, unsigned as u64, floats as f64 in the order of \
                  the points. An overflow makes it null, from then on, and is counted.",
        examples: &[Example {
            query: "events.x.sum()",
            events: EVENTS,
            rows: "_time, _key, result\n00:00:01, A, 5\n00:00:02, A, 7\n00:00:03, B, null\n00:00:04, A, 7\n00:00:05, A, 14",
        }],
        ..aggregation(FunctionKind::Aggregate(aggregates::sum))
    },
    &Function {
        name: "min",
        signature: "min<T: ordered>(values: T) -> T",
        summary: "The least of the key's values so far.",
        details: "Null before the first value. Text is compared by its bytes in UTF-8.",
        examples: &[Example {
            query: "events.x.min()",
            events: EVENTS,
            rows: "_time, _key, result\n00:00:01, A, 5\n00:00:02, A, 2\n00:00:03, B, null\n00:00:04, A, 2\n00:00:05, A, 2",
        }],
        ..aggregation(FunctionKind::Aggregate(aggregates::min))
    },
    &Function {
        name: "max",
        signature: "max<T: ordered>(values: T) -> T",
        summary: "The greatest of the key's values so far.",
        details: "Null before the first value. Text is compared by its bytes in UTF-8.",
        examples: &[Example {
            query: "events.x.max()",
            events: EVENTS,
            rows: "_time, _key, result\n00:00:01, A, 5\n00:00:02, A, 5\n00:00:03, B, null\n00:00:04, A, 5\n00:00:05, A, 7",
        }],
        ..aggregation(FunctionKind::Aggregate(aggregates::max))
    },
    &Function {
        name: "mean",
        signature: "mean<N: number>(values: N) -> f64",
        summary: "The mean of the key's values so far.",
        details: "Null before the first value. Values are summed as f64 in the order of the points.",
        examples: &[Example {
            query: "events.x.mean()",
            events: EVENTS,
            rows: "_time, _key, result\n00:00:01, A, 5.0\n00:00:02, A, 3.5\n00:00:03, B, null\n00:00:04, A, 3.5\n\
                   00:00:05, A, 4.666666666666667",
        }],
        ..aggregation(FunctionKind::Aggregate(aggregates::mean))
    },
    &Function {
        name: "variance",
        signature: "variance<N: number>(values: N) -> f64",
        summary: "The population variance of the key's values so far.",
        details: "The mean square of the distances from the mean. Null below two values. By Welford's method as f64, in the \
                  order of the points.",
        examples: &[Example {
            query: "events.x.variance()",
            events: EVENTS,
            rows: "_time, _key, result\n00:00:01, A, null\n00:00:02, A, 2.25\n00:00:03, B, null\n00:00:04, A, 2.25\n\
                   00:00:05, A, 4.222222222222222",
        }],
        ..aggregation(FunctionKind::Aggregate(aggregates::variance))
    },
    &Function {
        name: "stddev",
        signature: "stddev<N: number>(values: N) -> f64",
        summary: "The population standard deviation of the key's values so far.",
        details: "The square root of the variance. Null below two values.",
        examples: &[Example {
            query: "events.x.stddev()",
            events: EVENTS,
            rows: "_time, _key, result\n00:00:01, A, null\n00:00:02, A, 1.5\n00:00:03, B, null\n00:00:04, A, 1.5\n\
                   00:00:05, A, 2.0548046676563256",
        }],
        ..aggregation(FunctionKind::Aggregate(aggregates::stddev))
    },
    &Function {
        name: "first",
        signature: "first<T: any>(values: T) -> T",
        summary: "The key's first value that was not null.",
        details: "Null before the first value. Of a whole stream it is the struct of its columns.",
        examples: &[Example {
            query: "events.x.first()",
            events: EVENTS,
            rows: "_time, _key, result\n00:00:01, A, 5\n00:00:02, A, 5\n00:00:03, B, null\n00:00:04, A, 5\n00:00:05, A, 5",
        }],
        ..aggregation(FunctionKind::Aggregate(aggregates::first))
    },
    &LAST,
    &LAG,
    &Function {
        name: "collect",
        signature: "collect<T: any>(values: T, max: i64?, min: i64?) -> list<T>",
        summary: "The key's values that were not null, as a list.",
        details: "`max` and `min` are constants: of more than `max` the newest are kept; the list is null while it has less than \
                  `min` values. Without values it is empty. A list without `max` grows for ever.",
        examples: &[
            Example {
                query: "events.x.collect(2)",
                events: EVENTS,
                rows: "_time, _key, result\n00:00:01, A, [5]\n00:00:02, A, [5, 2]\n00:00:03, B, []\n00:00:04, A, [5, 2]\n\
                       00:00:05, A, [2, 7]",
            },
            Example {
                query: "events.x.collect(min=2).length()",
                events: EVENTS,
                rows: "_time, _key, result\n00:00:01, A, null\n00:00:02, A, 2\n00:00:03, B, null\n00:00:04, A, 2\n00:00:05, A, 3",
            },
        ],
        ..aggregation(FunctionKind::Aggregate(aggregates::collect))
    },
];

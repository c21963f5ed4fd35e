//! Comparisons.

use super::{Example, Family, Function, FunctionKind, eval};

/// A function of this family: null where an argument is, unless it says otherwise.
const fn comparison(kind: FunctionKind) -> Function {
    Function {
        details: "Null where one is null. Floats compare as IEEE 754 says: NaN is equal to nothing. Text goes by its bytes in UTF-8. \
                  A text literal beside a moment or a length of time is read as one; a length of time beside a count of seconds \
                  (`seconds_since…`) is as many.",
        ..Function::of(Family::Comparisons, true, kind)
    }
}

const EVENTS: &str =
    "time, key: utf8, x: i64, lang: utf8\n00:00:01, A, 1, en\n00:00:02, A, 2, ja\n00:00:03, A,,";

pub(super) static FUNCTIONS: &[&Function] = &[
    &Function {
        name: "eq",
        operator: Some("=="),
        signature: "eq<T: any>(x: T, y: T) -> bool",
        summary: "Whether two values are equal.",
        examples: &[Example {
            query: "events.lang == \"en\"",
            events: EVENTS,
            rows: "_time, _key, result\n00:00:01, A, true\n00:00:02, A, false\n00:00:03, A, null",
        }],
        ..comparison(FunctionKind::Scalar(eval::eq))
    },
    &Function {
        name: "ne",
        operator: Some("!="),
        signature: "ne<T: any>(x: T, y: T) -> bool",
        summary: "Whether two values differ.",
        examples: &[Example {
            query: "events.lang != \"en\"",
            events: EVENTS,
            rows: "_time, _key, result\n00:00:01, A, false\n00:00:02, A, true\n00:00:03, A, null",
        }],
        ..comparison(FunctionKind::Scalar(eval::ne))
    },
    &Function {
        name: "lt",
        operator: Some("<"),
        signature: "lt<T: ordered>(x: T, y: T) -> bool",
        summary: "Whether the first is less than the second.",
        examples: &[Example {
            query: "events.x < 2",
            events: EVENTS,
            rows: "_time, _key, result\n00:00:01, A, true\n00:00:02, A, false\n00:00:03, A, null",
        }],
        ..comparison(FunctionKind::Scalar(eval::lt))
    },
    &Function {
        name: "le",
        operator: Some("<="),
        signature: "le<T: ordered>(x: T, y: T) -> bool",
        summary: "Whether the first is at most the second.",
        examples: &[Example {
            query: "events.x <= 1",
            events: EVENTS,
            rows: "_time, _key, result\n00:00:01, A, true\n00:00:02, A, false\n00:00:03, A, null",
        }],
        ..comparison(FunctionKind::Scalar(eval::le))
    },
    &Function {
        name: "gt",
        operator: Some(">"),
        signature: "gt<T: ordered>(x: T, y: T) -> bool",
        summary: "Whether the first is greater than the second.",
        examples: &[Example {
            query: "events.x > 1.5",
            events: EVENTS,
            rows: "_time, _key, result\n00:00:01, A, false\n00:00:02, A, true\n00:00:03, A, null",
        }],
        ..comparison(FunctionKind::Scalar(eval::gt))
    },
    &Function {
        name: "ge",
        operator: Some(">="),
        signature: "ge<T: ordered>(x: T, y: T) -> bool",
        summary: "Whether the first is at least the second.",
        examples: &[Example {
            query: "events.lang >= \"f\"",
            events: EVENTS,
            rows: "_time, _key, result\n00:00:01, A, false\n00:00:02, A, true\n00:00:03, A, null",
        }],
        ..comparison(FunctionKind::Scalar(eval::ge))
    },
];

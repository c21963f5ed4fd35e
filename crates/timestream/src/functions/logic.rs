//! Conditions and nulls.

use super::{Example, Family, Function, FunctionKind, eval};

/// A function of this family: an argument that is null does not make it null, unless it says `strict`.
const fn logic(kind: FunctionKind) -> Function {
    Function::of(Family::Logic, false, kind)
}

const EVENTS: &str =
    "time, key: utf8, x: i64, ok: bool\n00:00:01, A, 1, true\n00:00:02, A, 2, false\n00:00:03, A,,";

/// `is_not_null`; the planner makes masks by it.
pub(crate) static IS_NOT_NULL: Function = Function {
    name: "is_not_null",
    signature: "is_not_null<T: any>(x: T) -> bool",
    summary: "Whether there is a value.",
    details: "Never null at its own points.",
    examples: &[Example {
        query: "events.x.is_not_null()",
        events: EVENTS,
        rows: "_time, _key, result\n00:00:01, A, true\n00:00:02, A, true\n00:00:03, A, false",
    }],
    ..logic(FunctionKind::Scalar(eval::is_not_null))
};

pub(super) static FUNCTIONS: &[&Function] = &[
    &Function {
        name: "and",
        aliases: &["and_"],
        operator: Some("and"),
        signature: "and(x: bool, y: bool) -> bool",
        summary: "Whether both are true.",
        details: "False where one is false, whatever the other; else null where one is null.",
        examples: &[Example {
            query: "{known: events.ok and events.x > 0, never: events.ok and false}",
            events: EVENTS,
            rows: "_time, _key, known, never\n00:00:01, A, true, false\n00:00:02, A, false, false\n\
                   00:00:03, A, null, false",
        }],
        ..logic(FunctionKind::Scalar(eval::and))
    },
    &Function {
        name: "or",
        aliases: &["or_"],
        operator: Some("or"),
        signature: "or(x: bool, y: bool) -> bool",
        summary: "Whether one is true.",
        details: "True where one is true, whatever the other; else null where one is null.",
        examples: &[Example {
            query: "{known: events.ok or events.x > 5, always: events.ok or true}",
            events: EVENTS,
            rows: "_time, _key, known, always\n00:00:01, A, true, true\n00:00:02, A, false, true\n\
                   00:00:03, A, null, true",
        }],
        ..logic(FunctionKind::Scalar(eval::or))
    },
    &Function {
        name: "not",
        aliases: &["not_"],
        operator: Some("not"),
        signature: "not(x: bool) -> bool",
        summary: "True for false, false for true.",
        details: "Null where it is null.",
        examples: &[Example {
            query: "not events.ok",
            events: EVENTS,
            rows: "_time, _key, result\n00:00:01, A, false\n00:00:02, A, true\n00:00:03, A, null",
        }],
        strict: true,
        ..logic(FunctionKind::Scalar(eval::not))
    },
    &Function {
        name: "is_null",
        signature: "is_null<T: any>(x: T) -> bool",
        summary: "Whether there is no value.",
        details: "Never null at its own points.",
        examples: &[Example {
            query: "events.x.is_null()",
            events: EVENTS,
            rows: "_time, _key, result\n00:00:01, A, false\n00:00:02, A, false\n00:00:03, A, true",
        }],
        ..logic(FunctionKind::Scalar(eval::is_null))
    },
    &IS_NOT_NULL,
    &Function {
        name: "if_",
        signature: "if_<T: any>(value: T, condition: bool) -> T",
        summary: "The value where a condition is true, else null.",
        details: "Null where the condition is false or null.",
        examples: &[Example {
            query: "events.x.if_(events.ok)",
            events: EVENTS,
            rows: "_time, _key, result\n00:00:01, A, 1\n00:00:02, A, null\n00:00:03, A, null",
        }],
        strict: true,
        ..logic(FunctionKind::Scalar(eval::if_))
    },
    &Function {
        name: "else_",
        signature: "else_<T: any>(value: T, default: T) -> T",
        summary: "The value, or another where there is none.",
        details: "Null only where both are null. It has no points but those of its arguments, and of an aggregation none before \
                  its first: `a.count() - b.count().else_(0)` is null until the key has a point of `b`. A default until then is \
                  given to the whole: `(a.count() - b.count()).else_(a.count())`.",
        examples: &[Example {
            query: "events.x.else_(0)",
            events: EVENTS,
            rows: "_time, _key, result\n00:00:01, A, 1\n00:00:02, A, 2\n00:00:03, A, 0",
        }],
        ..logic(FunctionKind::Scalar(eval::else_))
    },
    &Function {
        name: "null_if",
        signature: "null_if<T: any>(value: T, condition: bool) -> T",
        summary: "The value where a condition is false, else null.",
        details: "Null where the condition is true or null.",
        examples: &[Example {
            query: "events.x.null_if(events.ok)",
            events: EVENTS,
            rows: "_time, _key, result\n00:00:01, A, null\n00:00:02, A, 2\n00:00:03, A, null",
        }],
        strict: true,
        ..logic(FunctionKind::Scalar(eval::null_if))
    },
    &Function {
        name: "coalesce",
        signature: "coalesce<T: any>(value: T, others: T...) -> T",
        summary: "The first of several values that is not null.",
        details: "Takes any number of values. Null only where all are null.",
        examples: &[Example {
            query: "events.x.coalesce(null, events.x + 1, -1)",
            events: EVENTS,
            rows: "_time, _key, result\n00:00:01, A, 1\n00:00:02, A, 2\n00:00:03, A, -1",
        }],
        ..logic(FunctionKind::Scalar(eval::coalesce))
    },
];

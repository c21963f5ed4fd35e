//! Text.

use super::{Example, Family, Function, FunctionKind, eval};

/// A function of this family: null where an argument is, unless it says otherwise.
const fn text(kind: FunctionKind) -> Function {
    Function { details: "Null where the text is null.", ..Function::of(Family::Text, true, kind) }
}

const EVENTS: &str = "time, key: utf8, text: utf8\n00:00:01, A, Straße\n00:00:02, A, \"\"\n00:00:03, A,";

/// `len`; the planner pushes it into the source.
pub(crate) static LEN: Function = Function {
    name: "len",
    signature: "len(text: utf8) -> i64",
    summary: "The number of characters of a text.",
    details: "Characters are Unicode's code points, not bytes. Null where the text is null.",
    examples: &[Example {
        query: "events.text.len()",
        events: EVENTS,
        rows: "_time, _key, result\n00:00:01, A, 6\n00:00:02, A, 0\n00:00:03, A, null",
    }],
    ..text(FunctionKind::Scalar(eval::len))
};

pub(super) static FUNCTIONS: &[&Function] = &[
    &LEN,
    &Function {
        name: "lower",
        signature: "lower(text: utf8) -> utf8",
        summary: "The text in lower case.",
        examples: &[Example {
            query: "events.text.lower()",
            events: EVENTS,
            rows: "_time, _key, result\n00:00:01, A, straße\n00:00:02, A, \"\"\n00:00:03, A, null",
        }],
        ..text(FunctionKind::Scalar(eval::lower))
    },
    &Function {
        name: "upper",
        signature: "upper(text: utf8) -> utf8",
        summary: "The text in upper case.",
        examples: &[Example {
            query: "events.text.upper()",
            events: EVENTS,
            rows: "_time, _key, result\n00:00:01, A, STRASSE\n00:00:02, A, \"\"\n00:00:03, A, null",
        }],
        ..text(FunctionKind::Scalar(eval::upper))
    },
    &Function {
        name: "substring",
        signature: "substring(text: utf8, start: i64?, end: i64?) -> utf8",
        summary: "The characters of a text from one place up to another.",
        details: "Places are counted from 0, negative ones from the end: -1 is the last character. The character at `end` is not \
                  part of it. A bound that is left out or null is no bound; what lies beyond the text is cut off; a text that \
                  ends before it starts is empty. Null where the text is null.",
        examples: &[Example {
            query: "{head: events.text.substring(0, 5), tail: events.text.substring(-2), middle: events.text.substring(1, -1)}",
            events: EVENTS,
            rows: "_time, _key, head, tail, middle\n00:00:01, A, Straß, ße, traß\n00:00:02, A, \"\", \"\", \"\"\n\
                   00:00:03, A, null, null, null",
        }],
        strict: false,
        ..text(FunctionKind::Scalar(eval::substring))
    },
    &Function {
        name: "starts_with",
        signature: "starts_with(text: utf8, start: utf8) -> bool",
        summary: "Whether a text begins with another.",
        details: "Capitals count: `text.lower().starts_with(\"re:\")` takes both. Null where one of the two is null.",
        examples: &[Example {
            query: "events.text.starts_with(\"Str\")",
            events: EVENTS,
            rows: "_time, _key, result\n00:00:01, A, true\n00:00:02, A, false\n00:00:03, A, null",
        }],
        ..text(FunctionKind::Scalar(eval::starts_with))
    },
    &Function {
        name: "ends_with",
        signature: "ends_with(text: utf8, end: utf8) -> bool",
        summary: "Whether a text ends with another.",
        details: "Capitals count. Null where one of the two is null.",
        examples: &[Example {
            query: "events.text.ends_with(\"ße\")",
            events: EVENTS,
            rows: "_time, _key, result\n00:00:01, A, true\n00:00:02, A, false\n00:00:03, A, null",
        }],
        ..text(FunctionKind::Scalar(eval::ends_with))
    },
];

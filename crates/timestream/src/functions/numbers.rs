//! Arithmetic.

use super::{Example, Family, Function, FunctionKind, eval};

const NUMBER: Function = Function {
    name: "",
    aliases: &[],
    operator: None,
    signature: "",
    summary: "",
    details: "",
    examples: &[],
    strict: true,
    family: Family::Numbers,
    kind: FunctionKind::Scalar(eval::add),
};

const EVENTS: &str =
    "time, key: utf8, x: i64, y: f64\n00:00:01, A, 7, 2.0\n00:00:02, A, -7, 0.5\n00:00:03, A,, 1.0";

pub(super) static FUNCTIONS: &[&Function] = &[
    &Function {
        name: "add",
        operator: Some("+"),
        signature: "add<N: number>(x: N, y: N) -> N",
        summary: "The sum of two numbers.",
        details: "Null where one is null. A whole number beside a float becomes a float. An overflow of whole numbers is null \
                  and counted.",
        examples: &[Example {
            query: "{whole: events.x + 1, mixed: events.x + events.y}",
            events: EVENTS,
            rows: "_time, _key, whole, mixed\n00:00:01, A, 8, 9.0\n00:00:02, A, -6, -6.5\n00:00:03, A, null, null",
        }],
        kind: FunctionKind::Scalar(eval::add),
        ..NUMBER
    },
    &Function {
        name: "sub",
        operator: Some("-"),
        signature: "sub<N: number>(x: N, y: N) -> N",
        summary: "The difference of two numbers.",
        details: "Null where one is null. An overflow of whole numbers, as below 0 of unsigned ones, is null and counted.",
        examples: &[Example {
            query: "events.x - 1",
            events: EVENTS,
            rows: "_time, _key, result\n00:00:01, A, 6\n00:00:02, A, -8\n00:00:03, A, null",
        }],
        kind: FunctionKind::Scalar(eval::sub),
        ..NUMBER
    },
    &Function {
        name: "mul",
        operator: Some("*"),
        signature: "mul<N: number>(x: N, y: N) -> N",
        summary: "The product of two numbers.",
        details: "Null where one is null. An overflow of whole numbers is null and counted.",
        examples: &[Example {
            query: "events.x * events.y",
            events: EVENTS,
            rows: "_time, _key, result\n00:00:01, A, 14.0\n00:00:02, A, -3.5\n00:00:03, A, null",
        }],
        kind: FunctionKind::Scalar(eval::mul),
        ..NUMBER
    },
    &Function {
        name: "div",
        operator: Some("/"),
        signature: "div<N: number>(x: N, y: N) -> N",
        summary: "The quotient of two numbers.",
        details: "Of whole numbers it is cut towards zero, and null where the divisor is 0; of floats it is as IEEE 754 says. \
                  Null where one is null.",
        examples: &[Example {
            query: "{whole: events.x / 2, float: events.x / 2.0, none: events.x / 0}",
            events: EVENTS,
            rows: "_time, _key, whole, float, none\n00:00:01, A, 3, 3.5, null\n00:00:02, A, -3, -3.5, null\n\
                   00:00:03, A, null, null, null",
        }],
        kind: FunctionKind::Scalar(eval::div),
        ..NUMBER
    },
    &Function {
        name: "rem",
        operator: Some("%"),
        signature: "rem<N: number>(x: N, y: N) -> N",
        summary: "What is left of a division.",
        details: "It has the sign of the dividend. Null where one is null, and of whole numbers where the divisor is 0.",
        examples: &[Example {
            query: "events.x % 4",
            events: EVENTS,
            rows: "_time, _key, result\n00:00:01, A, 3\n00:00:02, A, -3\n00:00:03, A, null",
        }],
        kind: FunctionKind::Scalar(eval::rem),
        ..NUMBER
    },
    &Function {
        name: "neg",
        operator: Some("-"),
        signature: "neg<N: signed>(x: N) -> N",
        summary: "The number with the other sign.",
        details: "An unsigned number becomes the signed type that holds it; a u64 beyond i64 is null and counted.",
        examples: &[Example {
            query: "-events.x",
            events: EVENTS,
            rows: "_time, _key, result\n00:00:01, A, -7\n00:00:02, A, 7\n00:00:03, A, null",
        }],
        kind: FunctionKind::Scalar(eval::neg),
        ..NUMBER
    },
];

//! Arithmetic.

use super::{Example, Family, Function, FunctionKind, eval};

/// A function of this family: null where an argument is, unless it says otherwise.
const fn number(kind: FunctionKind) -> Function {
    Function::of(Family::Numbers, true, kind)
}

const EVENTS: &str =
    "time, key: utf8, x: i64, y: f64\n00:00:01, A, 7, 2.0\n00:00:02, A, -7, 0.5\n00:00:03, A,, 1.0";

pub(super) static FUNCTIONS: &[&Function] = &[
    &Function {
        name: "add",
        operator: Some("+"),
        signature: "add<N: number>(x: N, y: N) -> N",
        also: &[
            "add(x: timestamp, y: duration) -> timestamp",
            "add(x: duration, y: timestamp) -> timestamp",
            "add(x: duration, y: duration) -> duration",
        ],
        summary: "The sum of two numbers, or a moment so much later.",
        details: "Null where one is null. A whole number beside a float becomes a float. An overflow of whole numbers, moments \
                  or lengths of time is null and counted.",
        examples: &[Example {
            query: "{whole: events.x + 1, mixed: events.x + events.y}",
            events: EVENTS,
            rows: "_time, _key, whole, mixed\n00:00:01, A, 8, 9.0\n00:00:02, A, -6, -6.5\n00:00:03, A, null, null",
        }],
        overflows: true,
        ..number(FunctionKind::Scalar(eval::add))
    },
    &Function {
        name: "sub",
        operator: Some("-"),
        signature: "sub<N: number>(x: N, y: N) -> N",
        also: &[
            "sub(x: timestamp, y: duration) -> timestamp",
            "sub(x: timestamp, y: timestamp) -> duration",
            "sub(x: duration, y: duration) -> duration",
        ],
        summary: "The difference of two numbers or moments, or a moment so much earlier.",
        details: "Null where one is null. An overflow of whole numbers, as below 0 of unsigned ones, of moments or lengths of \
                  time is null and counted.",
        examples: &[Example {
            query: "events.x - 1",
            events: EVENTS,
            rows: "_time, _key, result\n00:00:01, A, 6\n00:00:02, A, -8\n00:00:03, A, null",
        }],
        overflows: true,
        ..number(FunctionKind::Scalar(eval::sub))
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
        overflows: true,
        ..number(FunctionKind::Scalar(eval::mul))
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
        overflows: true,
        ..number(FunctionKind::Scalar(eval::div))
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
        ..number(FunctionKind::Scalar(eval::rem))
    },
    &Function {
        name: "neg",
        operator: Some("-"),
        signature: "neg<N: signed>(x: N) -> N",
        summary: "The number with the other sign.",
        details: "An unsigned number becomes the signed type that holds it; of a u64 what i64 does not hold is null and counted.",
        examples: &[Example {
            query: "-events.x",
            events: EVENTS,
            rows: "_time, _key, result\n00:00:01, A, -7\n00:00:02, A, 7\n00:00:03, A, null",
        }],
        overflows: true,
        ..number(FunctionKind::Scalar(eval::neg))
    },
    &Function {
        name: "ceil",
        signature: "ceil<N: number>(x: N) -> N",
        summary: "The least whole number that is not below a number.",
        details: "It keeps its type: a float is rounded up, a whole number is itself.",
        examples: &[Example {
            query: "events.y.ceil()",
            events: EVENTS,
            rows: "_time, _key, result\n00:00:01, A, 2.0\n00:00:02, A, 1.0\n00:00:03, A, 1.0",
        }],
        ..number(FunctionKind::Scalar(eval::ceil))
    },
    &Function {
        name: "floor",
        signature: "floor<N: number>(x: N) -> N",
        summary: "The greatest whole number that is not above a number.",
        details: "It keeps its type: a float is rounded down, a whole number is itself.",
        examples: &[Example {
            query: "events.y.floor()",
            events: EVENTS,
            rows: "_time, _key, result\n00:00:01, A, 2.0\n00:00:02, A, 0.0\n00:00:03, A, 1.0",
        }],
        ..number(FunctionKind::Scalar(eval::floor))
    },
    &Function {
        name: "round",
        signature: "round<N: number>(x: N) -> N",
        summary: "The whole number nearest to a number.",
        details: "Halves go away from zero: 0.5 becomes 1.0, -0.5 becomes -1.0. It keeps its type; a whole number is itself.",
        examples: &[Example {
            query: "{up: events.y.round(), down: (-events.y).round()}",
            events: EVENTS,
            rows: "_time, _key, up, down\n00:00:01, A, 2.0, -2.0\n00:00:02, A, 1.0, -1.0\n00:00:03, A, 1.0, -1.0",
        }],
        ..number(FunctionKind::Scalar(eval::round))
    },
    &Function {
        name: "exp",
        signature: "exp(power: f64) -> f64",
        summary: "Euler's number to a power.",
        details: "Whole numbers become floats. The last digit may depend on the machine's mathematical library.",
        examples: &[Example {
            query: "(events.y * 0).exp()",
            events: EVENTS,
            rows: "_time, _key, result\n00:00:01, A, 1.0\n00:00:02, A, 1.0\n00:00:03, A, 1.0",
        }],
        ..number(FunctionKind::Scalar(eval::exp))
    },
    &Function {
        name: "powf",
        signature: "powf(base: f64, power: f64) -> f64",
        summary: "A number to the power of another.",
        details: "Whole numbers become floats. As IEEE 754 says: anything to the power 0 is 1, a negative number to a power that \
                  is not whole is NaN. The last digit may depend on the machine's mathematical library.",
        examples: &[Example {
            query: "events.x.powf(2)",
            events: EVENTS,
            rows: "_time, _key, result\n00:00:01, A, 49.0\n00:00:02, A, 49.0\n00:00:03, A, null",
        }],
        ..number(FunctionKind::Scalar(eval::powf))
    },
    &Function {
        name: "sqrt",
        signature: "sqrt(x: f64) -> f64",
        summary: "The square root of a number.",
        details: "Whole numbers become floats. Of a number below 0 it is NaN.",
        examples: &[Example {
            query: "(events.x + 2).sqrt()",
            events: EVENTS,
            rows: "_time, _key, result\n00:00:01, A, 3.0\n00:00:02, A, NaN\n00:00:03, A, null",
        }],
        ..number(FunctionKind::Scalar(eval::sqrt))
    },
    &Function {
        name: "clamp",
        signature: "clamp<N: number>(x: N, min: N?, max: N?) -> N",
        summary: "The number, or the bound that it is beyond.",
        details: "A bound that is left out, null or NaN is no bound. Null where the number is null, and where `max` is below `min`.",
        examples: &[Example {
            query: "{both: events.x.clamp(-1, 5), above: events.x.clamp(min=0), below: events.x.clamp(max=0)}",
            events: EVENTS,
            rows: "_time, _key, both, above, below\n00:00:01, A, 5, 7, 0\n00:00:02, A, -1, 0, -7\n\
                   00:00:03, A, null, null, null",
        }],
        strict: false,
        ..number(FunctionKind::Scalar(eval::clamp))
    },
    &Function {
        name: "greatest",
        signature: "greatest<T: ordered>(x: T, y: T) -> T",
        summary: "The greater of two values.",
        details: "Null where one is null. Of a number and NaN it is the number, of equal values the first. Text goes by bytes.",
        examples: &[Example {
            query: "events.x.greatest(events.y)",
            events: EVENTS,
            rows: "_time, _key, result\n00:00:01, A, 7.0\n00:00:02, A, 0.5\n00:00:03, A, null",
        }],
        ..number(FunctionKind::Scalar(eval::greatest))
    },
    &Function {
        name: "least",
        signature: "least<T: ordered>(x: T, y: T) -> T",
        summary: "The lesser of two values.",
        details: "Null where one is null. Of a number and NaN it is the number, of equal values the first. Text goes by bytes.",
        examples: &[Example {
            query: "events.x.least(0)",
            events: EVENTS,
            rows: "_time, _key, result\n00:00:01, A, 0\n00:00:02, A, -7\n00:00:03, A, null",
        }],
        ..number(FunctionKind::Scalar(eval::least))
    },
];

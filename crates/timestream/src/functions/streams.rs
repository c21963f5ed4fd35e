//! Streams, their keys and their fields.

use super::{Example, Family, Form, Function, FunctionKind, eval};

/// A function of this family: an argument that is null does not make it null, unless it says `strict`.
const fn stream(kind: FunctionKind) -> Function {
    Function::of(Family::Streams, false, kind)
}

const RECORDS: &str = "time, key: utf8, x: i64, y: i64\n00:00:01, A, 1, 2\n00:00:02, A, 3,";

pub(super) static FUNCTIONS: &[&Function] = &[
    &Function {
        name: "filter",
        signature: "filter<T: any>(stream: T, condition: bool) -> T",
        summary: "The points at which a condition is true.",
        details: "Points at which it is false or null are left out. Bare names in the condition are fields of the stream. \
                  A value that holds between its points is cut to the points of the condition. A condition on another stream's \
                  value has that stream's points, too, at which there is nothing to filter: `posts.filter(likes.count().lookup(did) > 10)` \
                  asks for it at posts alone.",
        examples: &[Example {
            query: "events.filter(x > 2).count()",
            events: "time, key: utf8, x: i64\n00:00:01, A, 1\n00:00:02, A, 3\n00:00:03, A,\n00:00:04, A, 5",
            rows: "_time, _key, result\n00:00:02, A, 1\n00:00:04, A, 2",
        }],
        ..stream(FunctionKind::Form(Form::Filter))
    },
    &Function {
        name: "with_key",
        signature: "with_key<T: any, K: any>(stream: T, key: K, grouping: utf8?) -> T",
        summary: "The same points under another key.",
        details: "Null is a key of its own. Points keep their order. The grouping, which two streams must share to be used in \
                  one expression, is called as the key is written, unless `grouping` names it.",
        examples: &[Example {
            query: "events.with_key(lang).count()",
            events: "time, key: utf8, lang: utf8\n00:00:01, A, en\n00:00:02, B, en\n00:00:03, A,",
            rows: "_time, _key, result\n00:00:01, en, 1\n00:00:02, en, 2\n00:00:03, null, 1",
        }],
        ..stream(FunctionKind::Form(Form::WithKey))
    },
    &Function {
        name: "lookup",
        signature: "lookup<T: any, K: any>(value: T, key: K) -> T",
        summary: "Another stream's value, of the key that an expression gives.",
        details: "Called on the stream that is looked up; the points and the grouping are those of the key's expression. The value is \
                  as of the point; where the two are of different sources, as of the end of its nanosecond. A value that \
                  does not hold between its points answers at that very time only. Null for a null key and for one that \
                  has had no point.",
        examples: &[Example {
            query: "events.with_key(lang).count().lookup(events.lang)",
            events: "time, key: utf8, lang: utf8\n00:00:01, A, en\n00:00:02, B, de\n00:00:03, B, en\n00:00:04, A,",
            rows: "_time, _key, result\n00:00:01, A, 1\n00:00:02, B, 1\n00:00:03, B, 2\n00:00:04, A, null",
        }],
        ..stream(FunctionKind::Form(Form::Lookup))
    },
    &Function {
        name: "col",
        operator: Some("."),
        signature: "col<T: any>(value: T, name: utf8) -> any",
        summary: "A field of a struct, or a column of a stream.",
        details: "The same as a dot and the name; null where the struct is null. The name is a text in quotes. Of a list of structs \
                  it is the list of that field.",
        examples: &[Example {
            query: "events.col(\"x\")",
            events: "time, key: utf8, x: i64\n00:00:01, A, 1",
            rows: "_time, _key, result\n00:00:01, A, 1",
        }],
        strict: true,
        ..stream(FunctionKind::Form(Form::Col))
    },
    &Function {
        name: "select",
        signature: "select<T: any>(value: T, names: utf8...) -> any",
        summary: "The record of some of a stream's or struct's fields.",
        details: "The names are texts in quotes; the fields stand in their order. `x.select(\"a\", \"b\")` is `{a: x.a, b: x.b}`: a \
                  record of nulls where the struct is null.",
        examples: &[Example {
            query: "events.select(\"y\", \"x\")",
            events: RECORDS,
            rows: "_time, _key, y, x\n00:00:01, A, 2, 1\n00:00:02, A, null, 3",
        }],
        ..stream(FunctionKind::Form(Form::Select))
    },
    &Function {
        name: "remove",
        signature: "remove<T: any>(value: T, names: utf8...) -> any",
        summary: "The record of all but some of a stream's or struct's fields.",
        details: "The names are texts in quotes. One field at least must be left. A record of nulls where the struct is null.",
        examples: &[Example {
            query: "events.remove(\"key\", \"x\")",
            events: RECORDS,
            rows: "_time, _key, y\n00:00:01, A, 2\n00:00:02, A, null",
        }],
        ..stream(FunctionKind::Form(Form::Remove))
    },
    &Function {
        name: "extend",
        signature: "extend<T: any, F: any>(value: T, fields: F) -> any",
        summary: "The record of a stream's or struct's fields, and further ones.",
        details: "Further fields come first, as in Kaskada, and take the place of those of the same name. Bare names in them are fields of \
                  what is extended. A record of nulls, but for the further fields, where the struct is null.",
        examples: &[Example {
            query: "events.extend({x: x * 10, sum: x + y})",
            events: RECORDS,
            rows: "_time, _key, x, sum, key, y\n00:00:01, A, 10, 3, A, 2\n00:00:02, A, 30, null, A, null",
        }],
        ..stream(FunctionKind::Form(Form::Extend))
    },
    &Function {
        name: "cast",
        signature: "cast<T: any>(value: T, type: utf8) -> any",
        summary: "The value in another type.",
        details: "Types are bool, i8 to i64, u8 to u64, f32, f64, utf8, timestamp and duration. The number of a moment or a length of \
                  time is that of its nanoseconds, of a date that of its days since 1970, of a time of day that of its nanoseconds \
                  since midnight; a text holds moments of the years -9999 to 9999. A value that does not fit becomes null and \
                  is counted.",
        examples: &[Example {
            query: "events.x.cast(\"i64\")",
            events: "time, key: utf8, x: utf8\n00:00:01, A, 12\n00:00:02, A, twelve",
            rows: "_time, _key, result\n00:00:01, A, 12\n00:00:02, A, null",
        }],
        strict: true,
        ..stream(FunctionKind::Form(Form::Cast))
    },
    &Function {
        name: "hash",
        signature: "hash<T: any>(value: T) -> u64",
        summary: "A number made of the value, the same for equal values, for ever.",
        details: "The hash of null is 0. It is the hash that decides which worker holds a key.",
        examples: &[Example {
            query: "events.x.hash()",
            events: "time, key: utf8, x: utf8\n00:00:01, A,",
            rows: "_time, _key, result\n00:00:01, A, 0",
        }],
        ..stream(FunctionKind::Scalar(eval::hash))
    },
];

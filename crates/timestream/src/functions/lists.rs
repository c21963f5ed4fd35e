//! Lists.

use super::{Example, Family, Function, FunctionKind, eval};

/// A function of this family: null where an argument is, unless it says otherwise.
const fn list(kind: FunctionKind) -> Function {
    Function::of(Family::Lists, true, kind)
}

/// `index`, which `list[0]` means; the planner pushes it into the source.
pub(crate) static INDEX: Function = Function {
    name: "index",
    operator: Some("[]"),
    signature: "index<T: any>(list: list<T>, index: i64) -> T",
    also: &["index<K: any, T: any>(list: map<K, T>, index: K) -> T"],
    summary: "An item of a list, counted from 0, or the value of a map's key.",
    details: "Written `list[0]`, `map[\"key\"]`. Null where there is no such item: beyond the end, before the start, in no list; and \
              where a map has no such key. Of equal keys in a map the last counts.",
    examples: &[
        Example {
            query: "events.langs[0]",
            events: "time, key: utf8, langs: list<utf8>\n00:00:01, A, [en, de]\n00:00:02, A, []\n00:00:03, A,",
            rows: "_time, _key, result\n00:00:01, A, en\n00:00:02, A, null\n00:00:03, A, null",
        },
        Example {
            query: "events.seen[\"en\"]",
            events: "time, key: utf8, seen: map<utf8, i64>\n00:00:01, A, {de: 1, en: 2}\n00:00:02, A, {de: 3}\n00:00:03, A,",
            rows: "_time, _key, result\n00:00:01, A, 2\n00:00:02, A, null\n00:00:03, A, null",
        },
    ],
    ..list(FunctionKind::Scalar(eval::index))
};

/// `col` of a list of structs: checking means it by a dot and a name, as of a struct. The name is one of the
/// items' fields.
pub(crate) static FIELDS: Function = Function {
    name: "col",
    operator: Some("."),
    signature: "col<T: any>(list: list<T>, name: utf8) -> any",
    summary: "A field of each struct in a list.",
    details: "Null where the struct is null.",
    examples: &[],
    ..list(FunctionKind::Scalar(eval::fields))
};

/// `length`; of a text it is `len`.
pub(crate) static LENGTH: Function = Function {
    name: "length",
    signature: "length<T: any>(value: list<T>) -> i64",
    also: &["length(value: utf8) -> i64"],
    summary: "The number of items of a list, or of characters of a text.",
    details: "Items that are null count. Of a text it is the same as `len`. Null where the list or text is null.",
    examples: &[Example {
        query: "{langs: events.langs.length(), text: events.text.length()}",
        events: "time, key: utf8, langs: list<utf8>, text: utf8\n00:00:01, A, [en, null], Äh\n00:00:02, A, [], \"\"\n\
                 00:00:03, A,,",
        rows: "_time, _key, langs, text\n00:00:01, A, 2, 2\n00:00:02, A, 0, 0\n00:00:03, A, null, null",
    }],
    ..list(FunctionKind::Scalar(eval::length))
};

pub(super) static FUNCTIONS: &[&Function] = &[
    &INDEX,
    &LENGTH,
    &Function {
        name: "contains",
        signature: "contains(value: utf8, part: utf8) -> bool",
        also: &["contains<T: any>(value: list<T>, part: T) -> bool"],
        summary: "Whether a text has another in it, or a list an item.",
        details: "Capitals count: `text.lower().contains(\"rust\")` takes all. The empty text is in every text; an item that is null \
                  equals nothing. Null where one of the two is null.",
        examples: &[Example {
            query: "{text: events.text.contains(\"aß\"), langs: events.langs.contains(\"de\")}",
            events: "time, key: utf8, langs: list<utf8>, text: utf8\n00:00:01, A, [en, de], Straße\n00:00:02, A, [null], \"\"\n\
                     00:00:03, A,,",
            rows: "_time, _key, text, langs\n00:00:01, A, true, true\n00:00:02, A, false, false\n00:00:03, A, null, null",
        }],
        ..list(FunctionKind::Scalar(eval::contains))
    },
    &Function {
        name: "flatten",
        signature: "flatten<T: any>(lists: list<list<T>>) -> list<T>",
        summary: "The items of the lists in a list, one after the other.",
        details: "One level is taken away. A null among the lists has no items; null where the whole is null.",
        examples: &[Example {
            query: "events.rows.flatten()",
            events: "time, key: utf8, rows: list<list<i64>>\n00:00:01, A, [[1, 2], null, [], [2]]\n00:00:02, A,",
            rows: "_time, _key, result\n00:00:01, A, [1, 2, 2]\n00:00:02, A, null",
        }],
        ..list(FunctionKind::Scalar(eval::flatten))
    },
    &Function {
        name: "union",
        signature: "union<T: any>(list: list<T>, other: list<T>) -> list<T>",
        summary: "The distinct items of two lists.",
        details: "In the order in which they first stand, null among them. A null list has no items, so the union is never null.",
        examples: &[Example {
            query: "events.a.union(events.b)",
            events: "time, key: utf8, a: list<i64>, b: list<i64>\n00:00:01, A, [3, 1, 3], [2, 1]\n00:00:02, A, [1],\n00:00:03, A,,",
            rows: "_time, _key, result\n00:00:01, A, [3, 1, 2]\n00:00:02, A, [1]\n00:00:03, A, []",
        }],
        strict: false,
        ..list(FunctionKind::Scalar(eval::union))
    },
];

//! Lists.

use super::{Example, Family, Function, FunctionKind, eval};

/// `index`, which `list[0]` means; the planner pushes it into the source.
pub(crate) static INDEX: Function = Function {
    name: "index",
    aliases: &[],
    operator: Some("[]"),
    signature: "index<T: any>(list: list<T>, index: i64) -> T",
    also: &[],
    summary: "An item of a list, counted from 0.",
    details: "Written `list[0]`. Null where there is no such item: beyond the end, before the start, in no list.",
    examples: &[Example {
        query: "events.langs[0]",
        events: "time, key: utf8, langs: list<utf8>\n00:00:01, A, [en, de]\n00:00:02, A, []\n00:00:03, A,",
        rows: "_time, _key, result\n00:00:01, A, en\n00:00:02, A, null\n00:00:03, A, null",
    }],
    strict: true,
    family: Family::Lists,
    kind: FunctionKind::Scalar(eval::index),
};

pub(super) static FUNCTIONS: &[&Function] = &[&INDEX];

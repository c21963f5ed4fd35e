//! Short ways to write DAG-CBOR values.

use skytide_atproto::cbor::{Map, Value};
use skytide_atproto::cid::Cid;

use crate::rng::Chance;

pub(super) fn text(text: impl Into<String>) -> Value {
    Value::Text(text.into())
}

pub(super) fn int(value: i64) -> Value {
    Value::Integer(value.into())
}

pub(super) fn list(items: impl IntoIterator<Item = Value>) -> Value {
    Value::List(items.into_iter().collect())
}

pub(super) fn map<const N: usize>(fields: [(&str, Value); N]) -> Map {
    fields.into_iter().collect()
}

/// A map with `$type` and fields.
pub(super) fn typed<const N: usize>(name: &str, fields: [(&str, Value); N]) -> Map {
    let mut map = map(fields);
    map.insert("$type", text(name));
    map
}

/// A record: a map with `$type`, `createdAt` and fields.
pub(super) fn record<const N: usize>(
    record_type: super::RecordType,
    created_at: i64,
    fields: [(&str, Value); N],
) -> Map {
    let mut map = typed(record_type.nsid(), fields);
    map.insert("createdAt", text(crate::time::text(created_at)));
    map
}

/// A reference to an uploaded file: its CID is of bytes that nobody has.
pub(super) fn blob(chance: &mut Chance, mime: &str, least: i64, most: i64) -> Value {
    let content = Cid::for_raw(&chance.bytes::<32>());
    Value::Map(typed(
        "blob",
        [("ref", Value::Link(content)), ("mimeType", text(mime)), ("size", int(chance.between(least, most)))],
    ))
}

//! The blobs that a record refers to: files of the account that stand outside of its repository.

use crate::cbor::{Map, Value};
use crate::cid::Cid;

/// A reference to a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Blob<'a> {
    /// Names the blob's bytes.
    pub cid: Cid,
    /// Its media type, as the author's client says.
    pub mime_type: &'a str,
    /// Its bytes, as the author's client says; none in the older form.
    pub size: Option<u64>,
}

/// The blobs in a record, in the order in which they stand in it, wherever they are; one that is there twice
/// is given twice.
///
/// Blobs are maps of `$type` "blob", `ref`, `mimeType` and `size`, or older ones of just `cid`, a text, and
/// `mimeType` (AT Protocol specification, "Data model"). What is not quite one is none.
#[must_use]
pub fn blobs(record: &Value) -> Vec<Blob<'_>> {
    let mut found = Vec::new();
    find(record, &mut found);
    found
}

/// Finds those in a value, whose depth is bounded by its reader.
fn find<'a>(value: &'a Value, found: &mut Vec<Blob<'a>>) {
    match value {
        Value::List(items) => items.iter().for_each(|item| find(item, found)),
        Value::Map(map) => match blob(map) {
            Some(blob) => found.push(blob),
            None => map.iter().for_each(|(_, value)| find(value, found)),
        },
        _ => {}
    }
}

fn blob(map: &Map) -> Option<Blob<'_>> {
    let text = |key| match map.get(key) {
        Some(Value::Text(text)) => Some(text.as_str()),
        _ => None,
    };
    let mime_type = text("mimeType")?;
    match (text("$type"), map.get("ref"), map.get("size")) {
        (Some("blob"), Some(Value::Link(cid)), Some(Value::Integer(size))) => {
            Some(Blob { cid: *cid, mime_type, size: Some(u64::try_from(*size).ok()?) })
        }
        _ if map.len() == 2 => Some(Blob { cid: text("cid")?.parse().ok()?, mime_type, size: None }),
        _ => None,
    }
}

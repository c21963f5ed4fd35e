//! The data model's JSON: links as `{"$link": "bafy…"}`, bytes as `{"$bytes": "base64"}`, as Jetstream writes it.
//!
//! [`write()`] goes from DAG-CBOR to JSON text with nothing in between: strings are copied once, only the
//! entries of a map are held to be sorted. Keys are sorted bytewise, but a blob's are in their own order;
//! `<`, `>`, `&`, U+2028 and U+2029 are escaped, and bytes are unpadded: all as the reference servers do.
//!
//! ```
//! use skytide_atproto::{cbor, json};
//!
//! let value = json::parse(r#"{"text": "hi", "data": {"$bytes": "AQI"}}"#)?;
//! let mut text = String::new();
//! json::write(&mut cbor::Cursor::new(&value.to_bytes()), &mut text).unwrap();
//! assert_eq!(text, r#"{"data":{"$bytes":"AQI"},"text":"hi"}"#);
//! # Ok::<(), json::JsonError>(())
//! ```

use std::fmt::Write as _;

use data_encoding::{BASE64, BASE64_NOPAD};

use crate::cbor::{self, Cursor, Kind, MAX_DEPTH, Map, MapKeys, Rule, Value};
use crate::cid::{Cid, CidError};

/// Appends the next item as JSON. What [`Cursor::check`] refuses is refused; then `json` holds a part of it.
///
/// # Errors
/// The rule that the item breaks.
pub fn write(cursor: &mut Cursor<'_>, json: &mut String) -> cbor::Result<()> {
    write_within(cursor, json, 0)
}

/// Appends an item that is all of `bytes`, as a record is all of its block. On an error `json` holds a part of it.
///
/// # Errors
/// The rule that the bytes break.
pub fn write_whole(bytes: &[u8], json: &mut String) -> cbor::Result<()> {
    let mut cursor = Cursor::new(bytes);
    write(&mut cursor, json)?;
    if cursor.is_at_end() {
        return Ok(());
    }
    Err(cbor::Error { at: cursor.position(), rule: Rule::Trailing })
}

/// Appends the next item, which is inside `depth` lists and maps.
pub(crate) fn write_within(cursor: &mut Cursor<'_>, json: &mut String, depth: usize) -> cbor::Result<()> {
    match cursor.kind()? {
        Kind::Null => {
            cursor.read_null()?;
            json.push_str("null");
        }
        Kind::Bool => json.push_str(if cursor.read_bool()? { "true" } else { "false" }),
        Kind::Unsigned | Kind::Negative => push_display(json, cursor.read_integer()?),
        // A float always shows that it is one: `1.0`, `1e300`.
        Kind::Float => push_display(json, format_args!("{:?}", cursor.read_f64()?)),
        Kind::Text => push_text(json, cursor.read_text()?),
        Kind::Bytes => push_bytes(json, cursor.read_bytes()?),
        Kind::Link => {
            json.push_str("{\"$link\":\"");
            json.push_str(cursor.read_link()?.write_text(&mut [0; Cid::TEXT_LENGTH]));
            json.push_str("\"}");
        }
        Kind::List => {
            let items = deeper(cursor, depth)?.read_list()?;
            json.push('[');
            for index in 0..items {
                if index > 0 {
                    json.push(',');
                }
                write_within(cursor, json, depth + 1)?;
            }
            json.push(']');
        }
        Kind::Map => write_map(deeper(cursor, depth)?, json, depth)?,
    }
    Ok(())
}

fn write_map(cursor: &mut Cursor<'_>, json: &mut String, depth: usize) -> cbor::Result<()> {
    let mut keys = MapKeys::new(cursor.read_map()?);
    let mut entries = Vec::new();
    let mut blob = false;
    while let Some(key) = keys.next(cursor)? {
        entries.push((key, *cursor));
        blob |= key == "$type" && cursor.clone().read_text().is_ok_and(|of| of == "blob");
        cursor.skip()?;
    }
    entries.sort_unstable_by_key(|(key, _)| (if blob { blob_place(key) } else { 0 }, *key));
    json.push('{');
    for (index, (key, mut value)) in entries.into_iter().enumerate() {
        if index > 0 {
            json.push(',');
        }
        push_text(json, key);
        json.push(':');
        write_within(&mut value, json, depth + 1)?;
    }
    json.push('}');
    Ok(())
}

/// Where a field of a blob stands.
fn blob_place(key: &str) -> usize {
    ["$type", "ref", "mimeType", "size"].iter().position(|field| *field == key).unwrap_or(4)
}

fn deeper<'a, 'c>(cursor: &'c mut Cursor<'a>, depth: usize) -> cbor::Result<&'c mut Cursor<'a>> {
    if depth < MAX_DEPTH {
        return Ok(cursor);
    }
    Err(cbor::Error { at: cursor.position(), rule: Rule::Depth })
}

/// Writing to a `String` does not fail.
fn push_display(json: &mut String, value: impl std::fmt::Display) {
    let _ = write!(json, "{value}");
}

/// Appends bytes, as `{"$bytes":"base64"}`.
pub(crate) fn push_bytes(json: &mut String, bytes: &[u8]) {
    json.push_str("{\"$bytes\":\"");
    BASE64_NOPAD.encode_append(bytes, json);
    json.push_str("\"}");
}

/// Appends text in quotes.
pub(crate) fn push_text(json: &mut String, text: &str) {
    json.push('"');
    let mut copied = 0;
    for (at, &byte) in text.as_bytes().iter().enumerate() {
        let escaped: usize = match byte {
            b'"' | b'\\' | b'<' | b'>' | b'&' | 0..0x20 => 1,
            // U+2028 and U+2029 are E2 80 A8 and E2 80 A9.
            0xe2 if matches!(text.as_bytes().get(at + 1..at + 3), Some([0x80, 0xa8 | 0xa9])) => 3,
            _ => continue,
        };
        json.push_str(&text[copied..at]);
        copied = at + escaped;
        match byte {
            b'"' => json.push_str("\\\""),
            b'\\' => json.push_str("\\\\"),
            b'\n' => json.push_str("\\n"),
            b'\r' => json.push_str("\\r"),
            b'\t' => json.push_str("\\t"),
            0x08 => json.push_str("\\b"),
            0x0c => json.push_str("\\f"),
            0xe2 => json.push_str(if text.as_bytes()[at + 2] == 0xa8 { "\\u2028" } else { "\\u2029" }),
            other => push_display(json, format_args!("\\u{other:04x}")),
        }
    }
    json.push_str(&text[copied..]);
    json.push('"');
}

/// Why JSON is not a value of the data model.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JsonError {
    /// The text is not JSON.
    #[error("not JSON: {0}")]
    Syntax(#[from] serde_json::Error),
    /// A `$link` that is not the only field, or not text.
    #[error("a `$link` is one text and stands alone")]
    Link,
    /// A `$link` that is not a CID of ours.
    #[error("a `$link`: {0}")]
    Cid(#[from] CidError),
    /// A `$bytes` that is not the only field, or not text in base64.
    #[error("a `$bytes` is one text in base64 and stands alone")]
    Bytes,
    /// A `$type` that is not text, or empty.
    #[error("a `$type` is text that is not empty")]
    Type,
    /// A blob without `ref`, `mimeType` or `size`, or with another type there.
    #[error("a blob has `ref` (a link), `mimeType` (text) and `size` (an integer that is not negative)")]
    Blob,
    /// Nested deeper than the data model allows.
    #[error("nested deeper than {MAX_DEPTH}")]
    Depth,
    /// A record that is not an object.
    #[error("a record is an object")]
    NotAnObject,
    /// A float in a record: DAG-CBOR has them, the data model of records has not.
    #[error("a record has no floats, and {0} is one")]
    Float(f64),
}

/// Reads JSON as a value of the data model. Numbers written with a fraction or an exponent are floats.
///
/// # Errors
/// If the text is not JSON, or breaks a rule of `$link`, `$bytes`, `$type` or blobs.
pub fn parse(json: &str) -> Result<Value, JsonError> {
    from_json(&serde_json::from_str(json)?)
}

/// Reads a record that is to be written: as [`from_json`], and held to the two rules of the data model that
/// other people's records may break and are still read: it is an object, and has no floats (`1.0` is taken
/// for 1).
///
/// # Errors
/// What is wrong with it.
pub fn record_from_json(json: &serde_json::Value) -> Result<Value, JsonError> {
    match from_json(json)? {
        record @ Value::Map(_) => without_floats(record),
        _ => Err(JsonError::NotAnObject),
    }
}

/// The value with whole numbers in place of floats that are written as such, `1.0`. Its depth is bounded by
/// its reader.
fn without_floats(value: Value) -> Result<Value, JsonError> {
    /// Up to here each whole number has a float of its own.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    Ok(match value {
        Value::Float(float) if float.fract() == 0.0 && float.abs() <= EXACT => Value::Integer(float as i128),
        Value::Float(float) => return Err(JsonError::Float(float)),
        Value::List(items) => Value::List(items.into_iter().map(without_floats).collect::<Result<_, _>>()?),
        Value::Map(fields) => {
            let fields =
                fields.iter().map(|(name, value)| Ok((name.to_owned(), without_floats(value.clone())?)));
            Value::Map(fields.collect::<Result<_, JsonError>>()?)
        }
        other => other,
    })
}

/// The value that JSON stands for.
///
/// # Errors
/// As [`parse`], but for syntax.
pub fn from_json(json: &serde_json::Value) -> Result<Value, JsonError> {
    value_within(json, 0, Rules::All)
}

/// The value that a server wrote as JSON. Records in streams may break the rules of `$type` and blobs, and
/// hold maps that only look like links or bytes: such a map is read as one, as it would be in DAG-CBOR.
///
/// # Errors
/// Nested too deep.
pub(crate) fn from_server_json(json: &serde_json::Value) -> Result<Value, JsonError> {
    value_within(json, 0, Rules::AsWritten)
}

/// What the objects of JSON are held to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rules {
    /// All rules of the data model.
    All,
    /// What it takes to tell links and bytes from maps.
    AsWritten,
}

fn value_within(json: &serde_json::Value, depth: usize, rules: Rules) -> Result<Value, JsonError> {
    if depth >= MAX_DEPTH && (json.is_array() || json.is_object()) {
        return Err(JsonError::Depth);
    }
    Ok(match json {
        serde_json::Value::Null => Value::Null,
        serde_json::Value::Bool(value) => Value::Bool(*value),
        serde_json::Value::Number(number) => match (number.as_i128(), number.as_f64()) {
            (Some(integer), _) => Value::Integer(integer),
            (None, float) => Value::Float(float.unwrap_or_default()),
        },
        serde_json::Value::String(text) => Value::Text(text.clone()),
        serde_json::Value::Array(items) => {
            let items = items.iter().map(|item| value_within(item, depth + 1, rules));
            Value::List(items.collect::<Result<_, _>>()?)
        }
        serde_json::Value::Object(fields) => return object(fields, depth, rules),
    })
}

fn object<'j>(
    fields: &'j serde_json::Map<String, serde_json::Value>,
    depth: usize,
    rules: Rules,
) -> Result<Value, JsonError> {
    let alone = fields.len() == 1;
    let text = |value: &'j serde_json::Value| value.as_str().filter(|_| alone);
    let link =
        |value| -> Result<Value, JsonError> { Ok(Value::Link(text(value).ok_or(JsonError::Link)?.parse()?)) };
    let bytes = |value| {
        let text = text(value).ok_or(JsonError::Bytes)?;
        // Both forms are met; without padding is what is written.
        let encoding = if text.ends_with('=') { &BASE64 } else { &BASE64_NOPAD };
        Ok(Value::Bytes(encoding.decode(text.as_bytes()).map_err(|_| JsonError::Bytes)?))
    };
    let read = [fields.get("$link").map(link), fields.get("$bytes").map(bytes)];
    if let Some(found) = read.into_iter().flatten().find(|of| of.is_ok() || rules == Rules::All) {
        return found;
    }
    let map = fields
        .iter()
        .map(|(key, value)| Ok((key.as_str(), value_within(value, depth + 1, rules)?)))
        .collect::<Result<Map, JsonError>>()?;
    if rules == Rules::AsWritten {
        return Ok(Value::Map(map));
    }
    let of = fields.get("$type").map(|of| of.as_str().filter(|of| !of.is_empty()).ok_or(JsonError::Type));
    if of.transpose()? == Some("blob") {
        let whole = matches!(map.get("ref"), Some(Value::Link(_)))
            && matches!(map.get("mimeType"), Some(Value::Text(_)))
            && matches!(map.get("size"), Some(Value::Integer(0..)));
        if !whole {
            return Err(JsonError::Blob);
        }
    }
    Ok(Value::Map(map))
}

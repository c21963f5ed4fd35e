//! The text form of types and values in language tests: short to write by hand, and read back to the same value.
//!
//! Types: `bool i8 … i64 u8 … u64 f32 f64 utf8 binary timestamp duration list<T> struct<a: T, b: T>`. Cells:
//! `null` or nothing; `true`; numbers; text bare or in JSON's quotes; `0x00ff`; `00:01:10.5` (on 2026-01-01)
//! or RFC 3339; `1h 30m`; `[a, b]`; `{a: 1, b: x}`.

use std::fmt::Write as _;
use std::sync::Arc;

use arrow_schema::{DataType, Field, TimeUnit};
use jiff::{SignedDuration, Timestamp};
use skytide_timestream::types::{self, entry};

use crate::value::{Val, int_range, timestamp};

/// What is wrong with a type or a value, in a sentence.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0}")]
pub struct TextError(pub String);

fn wrong<T>(what: impl Into<String>) -> Result<T, TextError> {
    Err(TextError(what.into()))
}

/// Midnight of 2026-01-01, the day that short times mean, in nanoseconds.
const DAY: i64 = 1_767_225_600_000_000_000;
const NANOS_A_DAY: i64 = 86_400_000_000_000;

/// Reads a type.
///
/// # Errors
/// The text is not one of the types above.
pub fn parse_type(text: &str) -> Result<DataType, TextError> {
    let text = text.trim();
    Ok(match text {
        "bool" => DataType::Boolean,
        "i8" => DataType::Int8,
        "i16" => DataType::Int16,
        "i32" => DataType::Int32,
        "i64" => DataType::Int64,
        "u8" => DataType::UInt8,
        "u16" => DataType::UInt16,
        "u32" => DataType::UInt32,
        "u64" => DataType::UInt64,
        "f32" => DataType::Float32,
        "f64" => DataType::Float64,
        "utf8" => DataType::Utf8,
        "binary" => DataType::Binary,
        "timestamp" => timestamp(),
        "duration" => DataType::Duration(TimeUnit::Nanosecond),
        _ => {
            if let Some(item) = inside(text, "list<", ">") {
                DataType::List(Arc::new(Field::new("item", parse_type(item)?, true)))
            } else if let Some(entry) = inside(text, "map<", ">") {
                match pieces(entry)?[..] {
                    [key, value] => types::map(parse_type(key)?, parse_type(value)?),
                    _ => return wrong(format!("a map has a key and a value, not `{text}`")),
                }
            } else if let Some(fields) = inside(text, "struct<", ">") {
                DataType::Struct(pieces(fields)?.into_iter().map(parse_field).collect::<Result<_, _>>()?)
            } else {
                return wrong(format!("no type `{text}`"));
            }
        }
    })
}

/// Reads `name: type`.
///
/// # Errors
/// There is no colon, or no such type.
pub fn parse_field(text: &str) -> Result<Field, TextError> {
    match text.split_once(':') {
        Some((name, data_type)) => Ok(Field::new(name.trim(), parse_type(data_type)?, true)),
        None => wrong(format!("expected `name: type`, found `{text}`")),
    }
}

fn inside<'a>(text: &'a str, open: &str, close: &str) -> Option<&'a str> {
    text.strip_prefix(open)?.strip_suffix(close)
}

/// Splits at the commas that stand in no quotes and no brackets; nothing gives no pieces.
///
/// # Errors
/// Quotes or brackets that do not close.
pub fn pieces(text: &str) -> Result<Vec<&str>, TextError> {
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    let (mut pieces, mut start, mut depth, mut quoted, mut escaped) = (Vec::new(), 0, 0_usize, false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ if quoted => {}
            '[' | '{' | '<' => depth += 1,
            ']' | '}' | '>' if depth == 0 => return wrong(format!("`{c}` closes nothing in `{text}`")),
            ']' | '}' | '>' => depth -= 1,
            ',' if depth == 0 => {
                pieces.push(text[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    if quoted || depth > 0 {
        return wrong(format!("a quote or bracket is left open in `{text}`"));
    }
    pieces.push(text[start..].trim());
    Ok(pieces)
}

/// Reads a cell of a type.
///
/// # Errors
/// The text is no value of that type.
pub fn parse(text: &str, data_type: &DataType) -> Result<Val, TextError> {
    let text = text.trim();
    if text.is_empty() || text == "null" {
        return Ok(Val::Null);
    }
    let no = || TextError(format!("`{text}` is no {data_type}"));
    Ok(match data_type {
        DataType::Boolean => Val::Bool(text.parse().map_err(|_| no())?),
        DataType::Float32 => Val::Float(f64::from(text.parse::<f32>().map_err(|_| no())?)),
        DataType::Float64 => Val::Float(text.parse().map_err(|_| no())?),
        DataType::Utf8 if text.starts_with('"') => {
            Val::Text(serde_json::from_str::<String>(text).map_err(|_| no())?)
        }
        DataType::Utf8 => Val::Text(text.to_owned()),
        DataType::Binary => Val::Bytes(parse_bytes(text).ok_or_else(no)?),
        DataType::Timestamp(..) => Val::Time(parse_time(text)?),
        DataType::Duration(_) => {
            let duration: SignedDuration = text.parse().map_err(|_| no())?;
            Val::Duration(i64::try_from(duration.as_nanos()).map_err(|_| no())?)
        }
        DataType::List(item) => {
            let items = inside(text, "[", "]").ok_or_else(no)?;
            Val::List(
                pieces(items)?
                    .into_iter()
                    .map(|text| parse(text, item.data_type()))
                    .collect::<Result<_, _>>()?,
            )
        }
        DataType::Map(..) => {
            let (key, value) = entry(data_type).ok_or_else(no)?;
            let read = |piece: &str| {
                let (name, held) = piece.split_once(':').ok_or_else(no)?;
                Ok((parse(name, key)?, parse(held, value)?))
            };
            let given = pieces(inside(text, "{", "}").ok_or_else(no)?)?;
            Val::Map(given.into_iter().map(read).collect::<Result<_, _>>()?)
        }
        DataType::Struct(fields) => {
            let given = pieces(inside(text, "{", "}").ok_or_else(no)?)?;
            let mut values = Vec::new();
            for field in fields {
                let found = given.iter().find_map(|piece| {
                    piece
                        .split_once(':')
                        .filter(|(name, _)| name.trim() == field.name())
                        .map(|(_, value)| value)
                });
                values.push((field.name().clone(), parse(found.unwrap_or("null"), field.data_type())?));
            }
            if given.len() > fields.len() {
                return Err(no());
            }
            Val::Struct(values)
        }
        _ => {
            let value = text.parse::<i128>().map_err(|_| no())?;
            let (least, greatest) = int_range(data_type).ok_or_else(no)?;
            if value < least || value > greatest {
                return Err(no());
            }
            Val::Int(value)
        }
    })
}

fn parse_bytes(text: &str) -> Option<Vec<u8>> {
    let digits = text.strip_prefix("0x")?;
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok()).collect()
}

/// Reads a moment, short (`00:01:10.5`, on 2026-01-01) or in full, as UTC nanoseconds.
///
/// # Errors
/// It is neither, or beyond what 64 bits of nanoseconds hold.
pub fn parse_time(text: &str) -> Result<i64, TextError> {
    let full = if text.contains('T') { text.to_owned() } else { format!("2026-01-01T{text}Z") };
    let moment: Timestamp = full.parse().map_err(|_| TextError(format!("`{text}` is no time")))?;
    i64::try_from(moment.as_nanosecond()).map_err(|_| TextError(format!("`{text}` is too far away")))
}

/// Writes a moment as [`parse_time`] reads it.
#[must_use]
pub fn render_time(nanos: i64) -> String {
    let full =
        Timestamp::from_nanosecond(i128::from(nanos)).map_or_else(|_| nanos.to_string(), |t| t.to_string());
    match full.strip_prefix("2026-01-01T").and_then(|rest| rest.strip_suffix('Z')) {
        Some(short) if (DAY..DAY + NANOS_A_DAY).contains(&nanos) => short.to_owned(),
        _ => full,
    }
}

/// Writes a value as [`parse`] reads it.
#[must_use]
pub fn render(value: &Val) -> String {
    match value {
        Val::Null => "null".to_owned(),
        Val::Bool(value) => value.to_string(),
        Val::Int(value) => value.to_string(),
        Val::Float(value) => format!("{value:?}"),
        Val::Text(text) if is_plain(text) => text.clone(),
        Val::Text(text) => serde_json::Value::String(text.clone()).to_string(),
        Val::Bytes(bytes) => bytes.iter().fold("0x".to_owned(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        }),
        Val::Time(nanos) => render_time(*nanos),
        Val::Duration(nanos) => format!("{:#}", SignedDuration::from_nanos(*nanos)),
        Val::List(items) => format!("[{}]", items.iter().map(render).collect::<Vec<_>>().join(", ")),
        Val::Map(entries) => {
            let entries: Vec<_> =
                entries.iter().map(|(key, value)| format!("{}: {}", render(key), render(value))).collect();
            format!("{{{}}}", entries.join(", "))
        }
        Val::Struct(fields) => {
            let fields: Vec<_> =
                fields.iter().map(|(name, value)| format!("{name}: {}", render(value))).collect();
            format!("{{{}}}", fields.join(", "))
        }
    }
}

/// Whether a text can stand without quotes.
fn is_plain(text: &str) -> bool {
    !text.is_empty()
        && text != "null"
        && text != "----"
        && text.trim() == text
        && !text.starts_with('#')
        && !text.chars().any(|c| c.is_control() || "\",[]{}<>".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(text: &str, data_type: &str) -> String {
        render(&parse(text, &parse_type(data_type).unwrap()).unwrap())
    }

    #[test]
    fn values_read_and_write() {
        for (text, data_type) in [
            ("null", "i64"),
            ("-9223372036854775808", "i64"),
            ("18446744073709551615", "u64"),
            ("0.1", "f64"),
            ("-0.0", "f64"),
            ("NaN", "f64"),
            ("inf", "f64"),
            ("1e300", "f64"),
            ("a b:c", "utf8"),
            ("\"\"", "utf8"),
            ("\"null\"", "utf8"),
            ("\"a, \\\"b\\\"\"", "utf8"),
            ("0x00ff", "binary"),
            ("00:01:10.5", "timestamp"),
            ("00:02:20.000000001", "timestamp"),
            ("2025-12-31T23:59:59.999999999Z", "timestamp"),
            ("1h 30m", "duration"),
            ("[1, null, 3]", "list<i64>"),
            ("[]", "list<utf8>"),
            ("{a: 1, b: [x, \"y, z\"]}", "struct<a: i64, b: list<utf8>>"),
        ] {
            assert_eq!(round(text, data_type), text, "{data_type}");
        }
        assert_eq!(round("", "utf8"), "null");
        assert_eq!(round("{b: 2}", "struct<a: i64, b: i64>"), "{a: null, b: 2}");
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for (text, data_type) in [
            ("256", "u8"),
            ("-1", "u64"),
            ("1.5", "i64"),
            ("yes", "bool"),
            ("0xf", "binary"),
            ("25:00:00", "timestamp"),
            ("[1", "list<i64>"),
            ("1]", "list<i64>"),
            ("{c: 1, d: 2}", "struct<a: i64>"),
        ] {
            assert!(parse(text, &parse_type(data_type).unwrap()).is_err(), "{text} as {data_type}");
        }
        assert!(parse_type("list<i63>").is_err());
        assert!(parse_type("struct<a>").is_err());
    }
}

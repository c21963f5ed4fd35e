//! The names of types in the text, and the one type that holds the values of two.

use std::borrow::Cow;
use std::sync::Arc;

use arrow_schema::{DataType, Field, Fields, TimeUnit};

use crate::error::is_unseen;

/// Longest text that [`name`] gives before it ends in `…`.
const NAME_LENGTH: usize = 60;
/// Bytes after which [`full_name`] ends.
const FULL_LENGTH: usize = 64 << 10;

/// UTC nanoseconds: the type of every moment the language itself makes.
#[must_use]
pub fn timestamp() -> DataType {
    DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into()))
}

/// Nanoseconds: the type of every length of time the language itself makes.
#[must_use]
pub const fn duration() -> DataType {
    DataType::Duration(TimeUnit::Nanosecond)
}

/// The name of a type in the text and in messages: `i64`, `list<utf8>`, `struct<uri: utf8, cid: utf8>`; cut
/// after 60 characters.
#[must_use]
pub fn name(data_type: &DataType) -> String {
    cut(data_type, simple_name)
}

/// The names of several types that are told apart: where two of them share a name, all say their units, zones
/// and digits, too: `timestamp[ms, UTC]`, `decimal128(10, 2)`.
#[must_use]
pub fn names(data_types: &[&DataType]) -> Vec<String> {
    let names: Vec<String> = data_types.iter().map(|data_type| name(data_type)).collect();
    let alike =
        |at: usize| (0..at).any(|other| names[at] == names[other] && data_types[at] != data_types[other]);
    if (0..names.len()).any(alike) {
        return data_types.iter().map(|data_type| cut(data_type, exact_name)).collect();
    }
    names
}

/// The same in full, as far as a person may read it: 64 KiB.
#[must_use]
pub fn full_name(data_type: &DataType) -> String {
    let mut out = String::new();
    write_name(data_type, &mut out, FULL_LENGTH, simple_name);
    out
}

/// The name of a type that is made of no other.
type Simple = fn(&DataType) -> Cow<'static, str>;

fn cut(data_type: &DataType, simple: Simple) -> String {
    let mut out = String::new();
    write_name(data_type, &mut out, 4 * NAME_LENGTH, simple);
    if let Some((at, _)) = out.char_indices().nth(NAME_LENGTH) {
        out.truncate(at);
        out.push('…');
    }
    out
}

fn write_name(data_type: &DataType, out: &mut String, most: usize, simple: Simple) {
    // What is cut anyway is not written: types can nest far wider than any text.
    if out.len() > most {
        out.push('…');
        return;
    }
    match data_type {
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            out.push_str("list<");
            write_name(item.data_type(), out, most, simple);
            out.push('>');
        }
        DataType::Struct(fields) => {
            out.push_str("struct<");
            for (at, field) in fields.iter().enumerate() {
                if out.len() > most {
                    out.push('…');
                    return;
                }
                out.push_str(if at > 0 { ", " } else { "" });
                write_field(field.name(), out);
                out.push_str(": ");
                write_name(field.data_type(), out, most, simple);
            }
            out.push('>');
        }
        other => match entry(other) {
            Some((key, value)) => {
                out.push_str("map<");
                write_name(key, out, most, simple);
                out.push_str(", ");
                write_name(value, out, most, simple);
                out.push('>');
            }
            None => out.push_str(&simple(other)),
        },
    }
}

/// A field's name; who made a file chose it, so what would steer a terminal or end a line is escaped.
fn write_field(name: &str, out: &mut String) {
    for c in name.chars() {
        if is_unseen(c) {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
}

fn simple_name(data_type: &DataType) -> Cow<'static, str> {
    Cow::Borrowed(match data_type {
        DataType::Null => "null",
        DataType::Boolean => "bool",
        DataType::Int8 => "i8",
        DataType::Int16 => "i16",
        DataType::Int32 => "i32",
        DataType::Int64 => "i64",
        DataType::UInt8 => "u8",
        DataType::UInt16 => "u16",
        DataType::UInt32 => "u32",
        DataType::UInt64 => "u64",
        DataType::Float16 => "f16",
        DataType::Float32 => "f32",
        DataType::Float64 => "f64",
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "utf8",
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            "binary"
        }
        DataType::Timestamp(..) => "timestamp",
        DataType::Duration(_) => "duration",
        DataType::Map(..) => "map",
        DataType::Date32 | DataType::Date64 => "date",
        DataType::Time32(_) | DataType::Time64(_) => "time of day",
        DataType::Interval(_) => "calendar interval",
        DataType::Decimal32(..)
        | DataType::Decimal64(..)
        | DataType::Decimal128(..)
        | DataType::Decimal256(..) => "decimal",
        DataType::Dictionary(..) => "dictionary",
        DataType::Union(..) => "union",
        _ => "a type without a name here",
    })
}

/// The same, with what the name leaves out.
fn exact_name(data_type: &DataType) -> Cow<'static, str> {
    let name = simple_name(data_type);
    Cow::Owned(match data_type {
        DataType::Timestamp(unit, Some(zone)) => format!("{name}[{unit}, {zone}]"),
        DataType::Timestamp(unit, None)
        | DataType::Duration(unit)
        | DataType::Time32(unit)
        | DataType::Time64(unit) => format!("{name}[{unit}]"),
        DataType::Date32 => format!("{name}[d]"),
        DataType::Date64 => format!("{name}[ms]"),
        DataType::Decimal32(digits, scale) => format!("{name}32({digits}, {scale})"),
        DataType::Decimal64(digits, scale) => format!("{name}64({digits}, {scale})"),
        DataType::Decimal128(digits, scale) => format!("{name}128({digits}, {scale})"),
        DataType::Decimal256(digits, scale) => format!("{name}256({digits}, {scale})"),
        DataType::FixedSizeBinary(bytes) => format!("{name}({bytes})"),
        _ => return name,
    })
}

/// The names of the types that a value can be cast to.
pub const CASTABLE: [&str; 14] = [
    "bool",
    "i8",
    "i16",
    "i32",
    "i64",
    "u8",
    "u16",
    "u32",
    "u64",
    "f32",
    "f64",
    "utf8",
    "timestamp",
    "duration",
];

/// The type that a name of [`CASTABLE`] means.
#[must_use]
pub fn castable(name: &str) -> Option<DataType> {
    Some(match name {
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
        "timestamp" => timestamp(),
        "duration" => duration(),
        _ => return None,
    })
}

/// A list of such items, all nullable.
#[must_use]
pub fn list(item: DataType) -> DataType {
    DataType::List(Arc::new(Field::new("item", item, true)))
}

/// A map from such keys, which are never null, to such values.
#[must_use]
pub fn map(key: DataType, value: DataType) -> DataType {
    let entry = vec![Field::new("keys", key, false), Field::new("values", value, true)];
    DataType::Map(Arc::new(Field::new("entries", DataType::Struct(entry.into()), false)), false)
}

/// Item type of a list.
#[must_use]
pub fn item(data_type: &DataType) -> Option<&DataType> {
    match data_type {
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            Some(item.data_type())
        }
        _ => None,
    }
}

/// Types of a map's keys and of its values.
#[must_use]
pub fn entry(data_type: &DataType) -> Option<(&DataType, &DataType)> {
    let DataType::Map(entry, _) = data_type else { return None };
    match entry.data_type() {
        DataType::Struct(fields) => match fields.as_ref() {
            [key, value] => Some((key.data_type(), value.data_type())),
            _ => None,
        },
        _ => None,
    }
}

/// What a name after a dot can be: the fields of a struct, or of the structs of a list; none of other types.
#[must_use]
pub fn fields(data_type: &DataType) -> Option<&Fields> {
    match data_type {
        DataType::Struct(fields) => Some(fields),
        DataType::List(item) => match item.data_type() {
            DataType::Struct(fields) => Some(fields),
            _ => None,
        },
        _ => None,
    }
}

/// Whether values are text, in any of Arrow's forms.
#[must_use]
pub fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

/// Whether values are moments or lengths of time, each a count of some unit.
#[must_use]
pub fn is_time(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Timestamp(..) | DataType::Duration(_))
}

/// The signed type that holds the values of a number type: `neg` of an unsigned is signed (SEMANTICS 2.2).
#[must_use]
pub fn signed(data_type: &DataType) -> DataType {
    match data_type {
        DataType::UInt8 => DataType::Int16,
        DataType::UInt16 => DataType::Int32,
        DataType::UInt32 | DataType::UInt64 => DataType::Int64,
        other => other.clone(),
    }
}

/// The type that sums of a number type are kept in: i64, u64 or f64 (SEMANTICS 2.3).
#[must_use]
pub fn wide(data_type: &DataType) -> DataType {
    if data_type.is_signed_integer() {
        DataType::Int64
    } else if data_type.is_unsigned_integer() {
        DataType::UInt64
    } else {
        DataType::Float64
    }
}

/// The narrowest type that holds the values of both (SEMANTICS 2.1): whole numbers widen, with a float they
/// become floats, u64 beside a signed one becomes f64 (as in polars and pandas), moments and lengths of time
/// take the finer unit, moments of two zones are in UTC; none where no type holds both.
#[must_use]
pub fn common(a: &DataType, b: &DataType) -> Option<DataType> {
    if a == b {
        return Some(a.clone());
    }
    match (a, b) {
        _ if a.is_numeric() && b.is_numeric() => common_number(a, b),
        _ if is_text(a) && is_text(b) => Some(DataType::Utf8),
        // A moment is the same in whatever zone.
        (DataType::Timestamp(a, zone), DataType::Timestamp(b, other)) => {
            let zone = if zone == other { zone.clone() } else { Some("UTC".into()) };
            Some(DataType::Timestamp(*a.max(b), zone))
        }
        (DataType::Duration(a), DataType::Duration(b)) => Some(DataType::Duration(*a.max(b))),
        // That the keys of one are known to be in order is no other type.
        (DataType::Map(a, _), DataType::Map(b, _)) if a == b => Some(DataType::Map(Arc::clone(a), false)),
        _ => None,
    }
}

/// Whether a type holds all values of another, which may be it: of a moment whatever its zone.
#[must_use]
pub fn holds(data_type: &DataType, other: &DataType) -> bool {
    match (data_type, other) {
        (DataType::Timestamp(unit, _), DataType::Timestamp(other, _)) => unit >= other,
        _ => common(data_type, other).as_ref() == Some(data_type),
    }
}

fn common_number(a: &DataType, b: &DataType) -> Option<DataType> {
    let bits = |t: &DataType| t.primitive_width().map(|bytes| bytes * 8);
    if !is_number(a) || !is_number(b) {
        return None;
    }
    if a.is_floating() || b.is_floating() {
        // An f32 holds every i8 and i16 but not every i32; mixed kinds take the wide float.
        let narrow = [a, b].iter().all(|t| matches!(t, DataType::Float16 | DataType::Float32));
        return Some(if narrow { DataType::Float32 } else { DataType::Float64 });
    }
    let (signed, unsigned) = match (a.is_signed_integer(), b.is_signed_integer()) {
        (true, false) => (a, b),
        (false, true) => (b, a),
        _ => return Some(if bits(a) >= bits(b) { a.clone() } else { b.clone() }),
    };
    Some(match (bits(signed)?, bits(unsigned)?) {
        (_, 64) => DataType::Float64,
        (signed_bits, unsigned_bits) if signed_bits > unsigned_bits => signed.clone(),
        (_, 8) => DataType::Int16,
        (_, 16) => DataType::Int32,
        _ => DataType::Int64,
    })
}

/// Whether values are numbers of the language: whole ones of 8 to 64 bits, and floats.
#[must_use]
pub fn is_number(data_type: &DataType) -> bool {
    data_type.is_integer() || data_type.is_floating()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_types_are_symmetric_and_hold_both() {
        use DataType::*;
        let Map(entries, _) = map(Utf8, Int64) else { panic!("no map") };
        let sorted = Map(entries, true);
        for (a, b, both) in [
            (Int8, Int32, Some(Int32)),
            (UInt8, Int8, Some(Int16)),
            (UInt16, Int64, Some(Int64)),
            (UInt32, Int32, Some(Int64)),
            (UInt64, Int8, Some(Float64)),
            (UInt64, UInt8, Some(UInt64)),
            (Int8, Float32, Some(Float64)),
            (Float16, Float32, Some(Float32)),
            (Float32, Float64, Some(Float64)),
            (Utf8, LargeUtf8, Some(Utf8)),
            (Timestamp(TimeUnit::Second, None), timestamp(), Some(timestamp())),
            (
                Timestamp(TimeUnit::Second, None),
                Timestamp(TimeUnit::Microsecond, Some("+02:00".into())),
                Some(Timestamp(TimeUnit::Microsecond, Some("UTC".into()))),
            ),
            (
                Timestamp(TimeUnit::Second, None),
                Timestamp(TimeUnit::Millisecond, None),
                Some(Timestamp(TimeUnit::Millisecond, None)),
            ),
            (
                Timestamp(TimeUnit::Second, Some("+02:00".into())),
                Timestamp(TimeUnit::Millisecond, Some("+02:00".into())),
                Some(Timestamp(TimeUnit::Millisecond, Some("+02:00".into()))),
            ),
            (
                Duration(TimeUnit::Second),
                Duration(TimeUnit::Millisecond),
                Some(Duration(TimeUnit::Millisecond)),
            ),
            (sorted.clone(), map(Utf8, Int64), Some(map(Utf8, Int64))),
            (sorted.clone(), map(Utf8, Int8), None),
            (Utf8, Int64, None),
            (Boolean, Int64, None),
            (Decimal128(10, 2), Int64, None),
        ] {
            assert_eq!(common(&a, &b), both, "{a} with {b}");
            assert_eq!(common(&b, &a), both, "{b} with {a}");
        }
    }

    #[test]
    fn a_type_holds_moments_of_every_zone_in_its_unit_or_a_coarser_one() {
        let (naive, zoned) = (DataType::Timestamp(TimeUnit::Millisecond, None), timestamp());
        assert!(holds(&zoned, &naive) && !holds(&naive, &zoned));
        assert!(holds(&naive, &DataType::Timestamp(TimeUnit::Second, Some("+02:00".into()))));
        assert!(holds(&DataType::Int32, &DataType::Int8) && !holds(&DataType::Int8, &DataType::Int32));
        assert!(!holds(&DataType::Int64, &DataType::Utf8));
    }

    #[test]
    fn castable_names_are_names() {
        for text in CASTABLE {
            assert_eq!(castable(text).map(|t| name(&t)).as_deref(), Some(text));
        }
        assert_eq!(castable("i63"), None);
    }

    #[test]
    fn names_of_wide_types_are_cut() {
        let mut wide = DataType::Int64;
        for _ in 0..64 {
            wide = DataType::Struct(
                vec![Field::new("a", wide.clone(), true), Field::new("b", wide, true)].into(),
            );
        }
        assert_eq!(name(&wide).chars().count(), NAME_LENGTH + 1);
        assert_eq!(name(&list(DataType::Utf8)), "list<utf8>");
    }

    #[test]
    fn types_that_share_a_name_are_told_apart() {
        let (a, b) = (DataType::Timestamp(TimeUnit::Second, None), timestamp());
        assert_eq!(names(&[&a, &DataType::Int64]), ["timestamp", "i64"]);
        assert_eq!(names(&[&a, &a.clone()]), ["timestamp", "timestamp"]);
        assert_eq!(names(&[&list(a), &list(b)]), ["list<timestamp[s]>", "list<timestamp[ns, UTC]>"]);
        let decimals = [DataType::Decimal128(10, 2), DataType::Decimal128(10, 3)];
        assert_eq!(names(&[&decimals[0], &decimals[1]]), ["decimal128(10, 2)", "decimal128(10, 3)"]);
    }

    #[test]
    fn names_of_fields_hold_no_controls() {
        let odd = Field::new("é\u{1b}[31m\n\u{9b}", DataType::Int64, true);
        let odd = DataType::Struct(vec![odd].into());
        for shown in [name(&odd), full_name(&odd)] {
            assert_eq!(shown, r"struct<é\u{1b}[31m\n\u{9b}: i64>");
        }
    }
}

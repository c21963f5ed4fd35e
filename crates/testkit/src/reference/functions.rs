//! The functions of values, as the rules tell them (SEMANTICS 2 and 3), one value at a time.

use std::cmp::Ordering;

use arrow_schema::DataType;
use twox_hash::XxHash3_64;

use super::{ReferenceError, Warnings};
use crate::text;
use crate::value::{Val, int_range};

/// Applies the function of a name to arguments of the types that checking chose.
pub(super) fn call(
    name: &str,
    args: &[Val],
    out: &DataType,
    warnings: &mut Warnings,
) -> Result<Val, ReferenceError> {
    Ok(match (name, args) {
        ("add" | "sub" | "mul" | "div" | "rem", [x, y]) => arithmetic(name, x, y, out, warnings),
        ("neg", [x]) => match x {
            Val::Int(x) => fit(-x, out, warnings),
            Val::Float(x) => Val::Float(-x),
            Val::Duration(x) => fit_duration(-i128::from(*x), warnings),
            _ => Val::Null,
        },
        ("lt", [x, y]) => compare(x, y, Ordering::is_lt),
        ("le", [x, y]) => compare(x, y, Ordering::is_le),
        ("gt", [x, y]) => compare(x, y, Ordering::is_gt),
        ("ge", [x, y]) => compare(x, y, Ordering::is_ge),
        ("eq", [x, y]) => compare(x, y, Ordering::is_eq),
        ("ne", [x, y]) => match compare(x, y, Ordering::is_eq) {
            Val::Bool(equal) => Val::Bool(!equal),
            other => other,
        },
        ("and" | "and_", [x, y]) => match (x, y) {
            (Val::Bool(false), _) | (_, Val::Bool(false)) => Val::Bool(false),
            (Val::Bool(true), Val::Bool(true)) => Val::Bool(true),
            _ => Val::Null,
        },
        ("or" | "or_", [x, y]) => match (x, y) {
            (Val::Bool(true), _) | (_, Val::Bool(true)) => Val::Bool(true),
            (Val::Bool(false), Val::Bool(false)) => Val::Bool(false),
            _ => Val::Null,
        },
        ("not" | "not_", [x]) => match x {
            Val::Bool(x) => Val::Bool(!x),
            _ => Val::Null,
        },
        ("is_null", [x]) => Val::Bool(x.is_null()),
        ("is_not_null", [x]) => Val::Bool(!x.is_null()),
        // 2.2: null where its condition is not true.
        ("if_", [value, condition]) if *condition == Val::Bool(true) => value.clone(),
        ("if_", [_, _]) => Val::Null,
        ("else_", [value, other]) => {
            if value.is_null() {
                other.clone()
            } else {
                value.clone()
            }
        }
        // 2.2: null where its condition is not false.
        ("null_if", [value, condition]) if *condition == Val::Bool(false) => value.clone(),
        ("null_if", [_, _]) => Val::Null,
        ("coalesce", values) => values.iter().find(|value| !value.is_null()).cloned().unwrap_or(Val::Null),
        ("ceil" | "floor" | "round", [Val::Float(x)]) => {
            let (below, rest) = (x - x.rem_euclid(1.0), x.rem_euclid(1.0));
            let rounded = match name {
                // Beyond 2^52 every float is whole.
                _ if x.is_nan() || x.abs() >= 4_503_599_627_370_496.0 || rest == 0.0 => *x,
                "ceil" => below + 1.0,
                "floor" => below,
                _ if rest > 0.5 || (rest == 0.5 && *x > 0.0) => below + 1.0,
                _ => below,
            };
            // What is rounded to zero keeps its sign.
            Val::Float(if rounded == 0.0 { 0.0_f64.copysign(*x) } else { rounded })
        }
        ("ceil" | "floor" | "round", [x]) => x.clone(),
        ("exp", [Val::Float(x)]) => Val::Float(x.exp()),
        ("sqrt", [Val::Float(x)]) => Val::Float(x.sqrt()),
        ("powf", [Val::Float(x), Val::Float(y)]) => Val::Float(x.powf(*y)),
        ("exp" | "sqrt", [_]) | ("powf", [_, _]) => Val::Null,
        ("greatest" | "least", [Val::Null, _] | [_, Val::Null]) => Val::Null,
        ("greatest" | "least", [x, y]) => match (x, y) {
            (Val::Float(x), number) if x.is_nan() => number.clone(),
            (number, Val::Float(y)) if y.is_nan() => number.clone(),
            _ if (name == "greatest" && y > x) || (name == "least" && y < x) => y.clone(),
            _ => x.clone(),
        },
        ("clamp", [Val::Null, _, _]) => Val::Null,
        ("clamp", [value, min, max]) => {
            let is_less = |x: &Val, y: &Val| compare(x, y, Ordering::is_lt) == Val::Bool(true);
            if is_less(max, min) {
                Val::Null
            } else if is_less(value, min) {
                min.clone()
            } else if is_less(max, value) {
                max.clone()
            } else {
                value.clone()
            }
        }
        ("seconds_since", [Val::Time(time), Val::Time(since)]) => {
            Val::Int((i128::from(*time) - i128::from(*since)) / 1_000_000_000)
        }
        ("seconds_since", [_, _]) => Val::Null,
        ("year" | "month" | "day" | "hour" | "minute" | "weekday", [value]) => calendar(name, value),
        // 2.5: characters, not bytes.
        ("len", [Val::Text(text)]) => Val::Int(text.chars().count() as i128),
        ("lower", [Val::Text(text)]) => Val::Text(text.to_lowercase()),
        ("upper", [Val::Text(text)]) => Val::Text(text.to_uppercase()),
        ("substring", [Val::Text(text), start, end]) => {
            let characters: Vec<char> = text.chars().collect();
            let count = characters.len() as i128;
            // 2.5: from the end where negative, no bound where null.
            let place = |bound: &Val, none: i128| match bound {
                Val::Int(at) if *at < 0 => (count + at).max(0),
                Val::Int(at) => *at,
                _ => none,
            };
            let (start, end) = (place(start, 0), place(end, count));
            let inside = |at: &usize| (start..end).contains(&(*at as i128));
            Val::Text((0..characters.len()).filter(inside).map(|at| characters[at]).collect())
        }
        ("col", [Val::List(items), Val::Text(name)]) => {
            Val::List(items.iter().map(|item| item.field(name)).collect())
        }
        ("starts_with", [Val::Text(text), Val::Text(start)]) => Val::Bool(text.find(start) == Some(0)),
        ("ends_with", [Val::Text(text), Val::Text(end)]) => {
            Val::Bool(text.rfind(end).is_some_and(|at| at + end.len() == text.len()))
        }
        ("contains", [Val::Text(text), Val::Text(part)]) => Val::Bool(text.find(part).is_some()),
        ("contains", [Val::List(items), part]) if !part.is_null() => {
            Val::Bool(items.iter().any(|item| compare(item, part, Ordering::is_eq) == Val::Bool(true)))
        }
        ("starts_with" | "ends_with" | "contains", [_, _]) => Val::Null,
        ("length", [Val::Text(text)]) => Val::Int(text.chars().count() as i128),
        ("length", [Val::List(items)]) => Val::Int(items.len() as i128),
        ("flatten", [Val::List(lists)]) => {
            let mut all = Vec::new();
            for list in lists {
                if let Val::List(items) = list {
                    all.extend(items.iter().cloned());
                }
            }
            Val::List(all)
        }
        ("col", [Val::Null, _]) | ("substring", [Val::Null, _, _]) | ("length" | "flatten", [Val::Null]) => {
            Val::Null
        }
        // 2.5: a null list is an empty one.
        ("union", lists) => {
            let mut all: Vec<Val> = Vec::new();
            for list in lists {
                let Val::List(items) = list else { continue };
                for item in items {
                    if !all.contains(item) {
                        all.push(item.clone());
                    }
                }
            }
            Val::List(all)
        }
        ("len" | "lower" | "upper", [Val::Null]) => Val::Null,
        ("index", [_, Val::Null]) => Val::Null,
        ("index", [map @ Val::Map(_), key]) => map.under(key),
        ("index", [list, Val::Int(index)]) => list.item(*index),
        ("index", [Val::Null, _]) => Val::Null,
        ("hash", [value]) => Val::Int(i128::from(hash(value))),
        _ => return Err(ReferenceError::Unknown(format!("function `{name}` of {} arguments", args.len()))),
    })
}

/// Null with a null; whole numbers beyond their type are null and counted (2.3), as is nothing else.
fn arithmetic(name: &str, x: &Val, y: &Val, out: &DataType, warnings: &mut Warnings) -> Val {
    match (x, y) {
        (Val::Int(_), Val::Int(0)) if matches!(name, "div" | "rem") => Val::Null,
        (Val::Int(x), Val::Int(y)) => fit(
            match name {
                "add" => x + y,
                "sub" => x - y,
                "mul" => x * y,
                "div" => x / y,
                _ => x % y,
            },
            out,
            warnings,
        ),
        (Val::Time(x) | Val::Duration(x), Val::Time(y) | Val::Duration(y)) => {
            let (x, y) = (i128::from(*x), i128::from(*y));
            match fit_duration(if name == "add" { x + y } else { x - y }, warnings) {
                Val::Duration(nanos) if matches!(out, DataType::Timestamp(..)) => Val::Time(nanos),
                other => other,
            }
        }
        (Val::Float(x), Val::Float(y)) => Val::Float(match (name, out) {
            ("add", DataType::Float32) => f64::from(*x as f32 + *y as f32),
            ("sub", DataType::Float32) => f64::from(*x as f32 - *y as f32),
            ("mul", DataType::Float32) => f64::from(*x as f32 * *y as f32),
            ("div", DataType::Float32) => f64::from(*x as f32 / *y as f32),
            (_, DataType::Float32) => f64::from(*x as f32 % *y as f32),
            ("add", _) => x + y,
            ("sub", _) => x - y,
            ("mul", _) => x * y,
            ("div", _) => x / y,
            _ => x % y,
        }),
        _ => Val::Null,
    }
}

/// A part of a moment in UTC; a week starts with Monday, which is 0.
fn calendar(part: &str, value: &Val) -> Val {
    let Val::Time(nanos) = value else { return Val::Null };
    let Ok(moment) = jiff::Timestamp::from_nanosecond(i128::from(*nanos)) else { return Val::Null };
    let moment = jiff::tz::TimeZone::UTC.to_datetime(moment);
    Val::Int(match part {
        "year" => moment.year().into(),
        "month" => moment.month().into(),
        "day" => moment.day().into(),
        "hour" => moment.hour().into(),
        "minute" => moment.minute().into(),
        _ => moment.weekday().to_monday_zero_offset().into(),
    })
}

/// A whole number in a type, or null and counted.
fn fit(value: i128, out: &DataType, warnings: &mut Warnings) -> Val {
    match int_range(out) {
        Some((least, greatest)) if value < least || value > greatest => {
            warnings.overflows += 1;
            Val::Null
        }
        _ => Val::Int(value),
    }
}

fn fit_duration(nanos: i128, warnings: &mut Warnings) -> Val {
    i64::try_from(nanos).map_or_else(
        |_| {
            warnings.overflows += 1;
            Val::Null
        },
        Val::Duration,
    )
}

/// Null with a null. Numbers as IEEE 754 has it, also in records and lists: `-0.0` is `0.0`, and nothing
/// compares to NaN.
pub(super) fn compare(x: &Val, y: &Val, holds: fn(Ordering) -> bool) -> Val {
    match (x, y) {
        (Val::Null, _) | (_, Val::Null) => Val::Null,
        _ => Val::Bool(order(x, y).is_some_and(holds)),
    }
}

/// How two values stand to each other: of records and lists the first parts that differ decide, null before all else.
fn order(x: &Val, y: &Val) -> Option<Ordering> {
    match (x, y) {
        (Val::Float(x), Val::Float(y)) => x.partial_cmp(y),
        (Val::Struct(x), Val::Struct(y)) => {
            let mut fields = x.iter().zip(y).map(|((_, x), (_, y))| order(x, y));
            fields.find(|order| *order != Some(Ordering::Equal)).unwrap_or(Some(Ordering::Equal))
        }
        (Val::List(x), Val::List(y)) => {
            let mut items = x.iter().zip(y).map(|(x, y)| order(x, y));
            items.find(|order| *order != Some(Ordering::Equal)).unwrap_or(Some(x.len().cmp(&y.len())))
        }
        _ => Some(x.cmp(y)),
    }
}

/// XXH3 (64 bits, seed 0) of the value's canonical bytes; 0 for null (2.4).
fn hash(value: &Val) -> u64 {
    match value {
        Val::Null => 0,
        Val::Text(text) => XxHash3_64::oneshot(text.as_bytes()),
        Val::Bytes(bytes) => XxHash3_64::oneshot(bytes),
        value => XxHash3_64::oneshot(&canonical(value)),
    }
}

/// All numbers as 64 bits, little-endian; of a struct the fields, of a list their number and the items, each
/// of them 0 for null, else 1 and its bytes; text in them follows its length.
fn canonical(value: &Val) -> Vec<u8> {
    let sized = |bytes: &[u8]| [&(bytes.len() as u64).to_le_bytes(), bytes].concat();
    let item = |item: &Val| if item.is_null() { vec![0] } else { [vec![1], canonical(item)].concat() };
    match value {
        Val::Null => Vec::new(),
        Val::Bool(value) => vec![u8::from(*value)],
        Val::Int(value) => (*value as u64).to_le_bytes().to_vec(),
        Val::Float(value) if value.is_nan() => 0x7ff8_0000_0000_0000_u64.to_le_bytes().to_vec(),
        Val::Float(value) => (value + 0.0).to_bits().to_le_bytes().to_vec(),
        Val::Time(nanos) | Val::Duration(nanos) => nanos.to_le_bytes().to_vec(),
        Val::Text(text) => sized(text.as_bytes()),
        Val::Bytes(bytes) => sized(bytes),
        Val::List(items) => {
            let head = (items.len() as u64).to_le_bytes().to_vec();
            std::iter::once(head).chain(items.iter().map(item)).flatten().collect()
        }
        Val::Struct(fields) => fields.iter().flat_map(|(_, value)| item(value)).collect(),
        Val::Map(entries) => {
            let head = (entries.len() as u64).to_le_bytes().to_vec();
            let entry = |(key, value): &(Val, Val)| [vec![1], item(key), item(value)].concat();
            std::iter::once(head).chain(entries.iter().map(entry)).flatten().collect()
        }
    }
}

/// A value in another type; what does not fit is null and counted (2.6).
pub(super) fn cast(
    value: &Val,
    from: &DataType,
    to: &DataType,
    warnings: &mut Warnings,
) -> Result<Val, ReferenceError> {
    if from == to || value.is_null() {
        return Ok(value.clone());
    }
    let float = |value: f64| match to {
        DataType::Float32 => Val::Float(f64::from(value as f32)),
        _ => Val::Float(value),
    };
    let is_float = matches!(to, DataType::Float32 | DataType::Float64);
    let fitted = match value {
        Val::Bool(value) if is_float => Some(float(f64::from(u8::from(*value)))),
        Val::Bool(value) if int_range(to).is_some() => Some(Val::Int(i128::from(*value))),
        Val::Int(value) if is_float => Some(match to {
            DataType::Float32 => Val::Float(f64::from(*value as f32)),
            _ => Val::Float(*value as f64),
        }),
        Val::Int(value) if int_range(to).is_some() => in_range(*value, to),
        Val::Int(value) if *to == DataType::Boolean => Some(Val::Bool(*value != 0)),
        Val::Float(value) if is_float => {
            let fitted = float(*value);
            let is_lost = value.is_finite() && matches!(fitted, Val::Float(fitted) if fitted.is_infinite());
            (!is_lost).then_some(fitted)
        }
        // Towards zero, as division does.
        Val::Float(value) if int_range(to).is_some() => {
            if value.is_finite() {
                in_range(value.trunc() as i128, to)
            } else {
                None
            }
        }
        Val::Text(text) if *to != DataType::Utf8 => {
            text::parse(text, to).ok().filter(|value| !value.is_null())
        }
        Val::Bool(_) | Val::Int(_) if *to == DataType::Utf8 => Some(Val::Text(text::render(value))),
        _ => return Err(ReferenceError::Unknown(format!("cast from {from} to {to}"))),
    };
    Ok(fitted.unwrap_or_else(|| {
        warnings.misfits += 1;
        Val::Null
    }))
}

fn in_range(value: i128, to: &DataType) -> Option<Val> {
    int_range(to).filter(|(least, greatest)| (least..=greatest).contains(&&value)).map(|_| Val::Int(value))
}

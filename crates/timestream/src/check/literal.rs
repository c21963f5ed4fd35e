//! Literals: the type each has by itself, and the one it takes from what it meets (SEMANTICS 2.1).

use arrow_schema::{DataType, TimeUnit};

use crate::scalar::Scalar;
use crate::{times, types};

/// The type of a literal that meets nothing with a type. A null is an i64, as good as any.
pub(super) fn natural_type(literal: &Scalar) -> DataType {
    match literal {
        Scalar::Bool(_) => DataType::Boolean,
        Scalar::Null | Scalar::Int(_) => DataType::Int64,
        Scalar::UInt(_) => DataType::UInt64,
        Scalar::Float(_) => DataType::Float64,
        Scalar::Text(_) => DataType::Utf8,
        Scalar::Duration(_) => types::duration(),
        Scalar::Timestamp(_) => types::timestamp(),
    }
}

/// A literal in words, for messages.
pub(super) fn describe(literal: &Scalar) -> String {
    match literal {
        Scalar::Null => "null".to_owned(),
        other => types::name(&natural_type(other)),
    }
}

/// The number with the other sign; none if it is no number, or none that fits 64 bits.
pub(super) fn negate(literal: &Scalar) -> Option<Scalar> {
    match literal {
        Scalar::Int(value) => value.checked_neg().map(Scalar::Int),
        // The one that only fits 64 bits with its minus.
        Scalar::UInt(value) if *value == i64::MIN.unsigned_abs() => Some(Scalar::Int(i64::MIN)),
        Scalar::Float(value) => Some(Scalar::Float(-value)),
        _ => None,
    }
}

/// A length of time as a number of seconds; none if it is none.
pub(super) fn seconds(literal: &Scalar) -> Option<Scalar> {
    const SECOND: i64 = 1_000_000_000;
    let nanos = match literal {
        Scalar::Duration(nanos) => *nanos,
        Scalar::Text(text) => times::parse_duration(text)?,
        _ => return None,
    };
    Some(match nanos % SECOND {
        0 => Scalar::Int(nanos / SECOND),
        _ => Scalar::Float(nanos as f64 / SECOND as f64),
    })
}

/// How a literal can meet a type.
pub(super) enum Fit {
    /// It takes this type: the very one, or one that also holds the literal.
    As(DataType),
    /// It is a text that should be a moment or a length of time, and is none.
    Unreadable,
    /// It cannot be of such a type.
    Not,
}

/// The type that a literal and values of a type share.
pub(super) fn fit(literal: &Scalar, data_type: &DataType) -> Fit {
    let shared = match (literal, data_type) {
        (Scalar::Null, _) => Some(data_type.clone()),
        (Scalar::Int(value), _) if types::is_number(data_type) => {
            let holds =
                data_type.is_floating() || int_range(data_type).is_some_and(|range| range.contains(value));
            if holds { Some(data_type.clone()) } else { types::common(data_type, &DataType::Int64) }
        }
        (Scalar::UInt(_), DataType::Float16 | DataType::Float32) => Some(data_type.clone()),
        // One that is too large for the type would be infinite there.
        (Scalar::Float(value), DataType::Float32) if value.is_finite() && (*value as f32).is_infinite() => {
            Some(DataType::Float64)
        }
        (Scalar::Float(_), _) if data_type.is_floating() => Some(data_type.clone()),
        (Scalar::Text(text), DataType::Timestamp(..)) => {
            let read = times::parse_timestamp(text).map(Scalar::Timestamp);
            return read.map_or(Fit::Unreadable, |moment| fit(&moment, data_type));
        }
        (Scalar::Text(text), DataType::Duration(_)) => {
            let read = times::parse_duration(text).map(Scalar::Duration);
            return read.map_or(Fit::Unreadable, |length| fit(&length, data_type));
        }
        (Scalar::Timestamp(nanos), DataType::Timestamp(unit, zone)) => {
            Some(DataType::Timestamp(whole_in(*nanos, *unit), zone.clone()))
        }
        (Scalar::Duration(nanos), DataType::Duration(unit)) => {
            Some(DataType::Duration(whole_in(*nanos, *unit)))
        }
        _ => types::common(data_type, &natural_type(literal)),
    };
    shared.map_or(Fit::Not, Fit::As)
}

/// The unit itself, or the coarsest finer one of which so many nanoseconds are a whole number: a finer one
/// holds less far moments.
fn whole_in(nanos: i64, unit: TimeUnit) -> TimeUnit {
    [unit, TimeUnit::Millisecond, TimeUnit::Microsecond]
        .into_iter()
        .find(|finer| *finer >= unit && nanos % times::nanos_of(*finer) == 0)
        .unwrap_or(TimeUnit::Nanosecond)
}

/// The literals that a whole-number type holds; u64's beyond i64 are [`Scalar::UInt`].
fn int_range(data_type: &DataType) -> Option<std::ops::RangeInclusive<i64>> {
    Some(match data_type {
        DataType::Int8 => i64::from(i8::MIN)..=i64::from(i8::MAX),
        DataType::Int16 => i64::from(i16::MIN)..=i64::from(i16::MAX),
        DataType::Int32 => i64::from(i32::MIN)..=i64::from(i32::MAX),
        DataType::Int64 => i64::MIN..=i64::MAX,
        DataType::UInt8 => 0..=i64::from(u8::MAX),
        DataType::UInt16 => 0..=i64::from(u16::MAX),
        DataType::UInt32 => 0..=i64::from(u32::MAX),
        DataType::UInt64 => 0..=i64::MAX,
        _ => return None,
    })
}

/// A literal as a value of a type that [`fit`] gave for it.
pub(super) fn typed(literal: Scalar, data_type: &DataType) -> Scalar {
    match (&literal, data_type) {
        (Scalar::Int(value), _) if data_type.is_floating() => Scalar::Float(*value as f64),
        (Scalar::UInt(value), _) if data_type.is_floating() => Scalar::Float(*value as f64),
        (Scalar::Text(text), DataType::Timestamp(..)) => {
            times::parse_timestamp(text).map_or(Scalar::Null, Scalar::Timestamp)
        }
        (Scalar::Text(text), DataType::Duration(_)) => {
            times::parse_duration(text).map_or(Scalar::Null, Scalar::Duration)
        }
        _ => literal,
    }
}

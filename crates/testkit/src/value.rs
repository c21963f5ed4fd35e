//! Values as the reference sees them: one enum, one value at a time, because what judges the engine's columns
//! must not be made of columns.
//!
//! The text form of a value (the cells of a language test) and the way to and from Arrow arrays stand here
//! too. They need the type, which every caller has: a cell is read in its column's type.

use std::cmp::Ordering;

use arrow_schema::{DataType, Fields, TimeUnit};

/// A value of the language (SEMANTICS 2.1).
#[derive(Debug, Clone)]
pub enum Val {
    /// Arrow's null, of any type.
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number of any width; the type says how wide it may be.
    Int(i128),
    /// A floating-point number; one of 32 bits is held exactly.
    Float(f64),
    /// Text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// UTC nanoseconds.
    Time(i64),
    /// Nanoseconds.
    Duration(i64),
    /// Items in order.
    List(Vec<Val>),
    /// Fields in order, with their names.
    Struct(Vec<(String, Val)>),
    /// Keys with their values, in order.
    Map(Vec<(Val, Val)>),
}

impl Val {
    /// Whether it is null itself (a struct of nulls is not).
    #[must_use]
    pub const fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// A field of a struct; null of null, and where there is no such field.
    #[must_use]
    pub fn field(&self, name: &str) -> Self {
        match self {
            Self::Struct(fields) => {
                fields.iter().find(|(field, _)| field == name).map_or(Self::Null, |(_, value)| value.clone())
            }
            _ => Self::Null,
        }
    }

    /// An item of a list; null of null, and where there is no such item.
    #[must_use]
    pub fn item(&self, index: i128) -> Self {
        match (self, usize::try_from(index)) {
            (Self::List(items), Ok(index)) => items.get(index).cloned().unwrap_or(Self::Null),
            _ => Self::Null,
        }
    }

    /// The value of a map's key, the last one of several; null of null, and where there is no such key.
    #[must_use]
    pub fn under(&self, key: &Self) -> Self {
        match self {
            Self::Map(entries) => entries
                .iter()
                .rev()
                .find(|(known, _)| known == key)
                .map_or(Self::Null, |(_, value)| value.clone()),
            _ => Self::Null,
        }
    }

    /// The number of characters of a text; null of anything else.
    pub fn length(&self) -> Self {
        match self {
            Self::Text(text) => Self::Int(text.chars().count() as i128),
            _ => Self::Null,
        }
    }

    /// Whether two values are the same to the last bit, so that `-0.0` differs from `0.0`; every NaN is the same.
    #[must_use]
    pub fn same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Float(x), Self::Float(y)) => x.to_bits() == y.to_bits() || (x.is_nan() && y.is_nan()),
            (Self::List(x), Self::List(y)) => x.len() == y.len() && x.iter().zip(y).all(|(x, y)| x.same(y)),
            (Self::Struct(x), Self::Struct(y)) => {
                x.len() == y.len() && x.iter().zip(y).all(|((n, x), (m, y))| n == m && x.same(y))
            }
            (Self::Map(x), Self::Map(y)) => {
                x.len() == y.len() && x.iter().zip(y).all(|((k, x), (l, y))| k.same(l) && x.same(y))
            }
            _ => self == other,
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Null => 0,
            Self::Bool(_) => 1,
            Self::Int(_) => 2,
            Self::Float(_) => 3,
            Self::Text(_) => 4,
            Self::Bytes(_) => 5,
            Self::Time(_) => 6,
            Self::Duration(_) => 7,
            Self::List(_) => 8,
            Self::Struct(_) => 9,
            Self::Map(_) => 10,
        }
    }
}

impl Val {
    /// The key that a value is: `-0.0` is `0.0`, also in records and lists.
    #[must_use]
    pub fn as_key(self) -> Self {
        match self {
            Self::Float(value) => Self::Float(value + 0.0),
            Self::List(items) => Self::List(items.into_iter().map(Self::as_key).collect()),
            Self::Struct(fields) => {
                Self::Struct(fields.into_iter().map(|(name, value)| (name, value.as_key())).collect())
            }
            other => other,
        }
    }
}

/// The order of keys: null first, then by value; text by its bytes; `-0.0` is `0.0`, NaN the greatest number.
impl Ord for Val {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Bool(x), Self::Bool(y)) => x.cmp(y),
            (Self::Int(x), Self::Int(y)) => x.cmp(y),
            (Self::Float(x), Self::Float(y)) => {
                x.partial_cmp(y).unwrap_or_else(|| x.is_nan().cmp(&y.is_nan()))
            }
            (Self::Text(x), Self::Text(y)) => x.cmp(y),
            (Self::Bytes(x), Self::Bytes(y)) => x.cmp(y),
            (Self::Time(x), Self::Time(y)) | (Self::Duration(x), Self::Duration(y)) => x.cmp(y),
            (Self::List(x), Self::List(y)) => x.cmp(y),
            (Self::Map(x), Self::Map(y)) => x.cmp(y),
            (Self::Struct(x), Self::Struct(y)) => x.iter().map(|(_, v)| v).cmp(y.iter().map(|(_, v)| v)),
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

impl PartialOrd for Val {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Val {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Val {}

/// The type of a moment: nanoseconds of UTC.
#[must_use]
pub fn timestamp() -> DataType {
    DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into()))
}

/// The least and greatest value of a whole-number type; none for other types.
#[must_use]
pub fn int_range(data_type: &DataType) -> Option<(i128, i128)> {
    let signed = |bits: u32| (-(1_i128 << (bits - 1)), (1_i128 << (bits - 1)) - 1);
    let unsigned = |bits: u32| (0, (1_i128 << bits) - 1);
    Some(match data_type {
        DataType::Int8 => signed(8),
        DataType::Int16 => signed(16),
        DataType::Int32 => signed(32),
        DataType::Int64 => signed(64),
        DataType::UInt8 => unsigned(8),
        DataType::UInt16 => unsigned(16),
        DataType::UInt32 => unsigned(32),
        DataType::UInt64 => unsigned(64),
        _ => return None,
    })
}

/// A struct value of a struct type's fields.
#[must_use]
pub fn record(fields: &Fields, values: Vec<Val>) -> Val {
    Val::Struct(fields.iter().map(|field| field.name().clone()).zip(values).collect())
}

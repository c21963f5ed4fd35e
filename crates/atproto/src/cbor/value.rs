//! An item of DAG-CBOR held whole: for tools, tests and whoever needs a record of unknown shape.

use super::{Cursor, Encoder, Error, Result, Rule};
use crate::cid::Cid;

/// Any item of DAG-CBOR.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// An integer from -2^64 to 2^64 - 1.
    Integer(i128),
    /// A finite float.
    Float(f64),
    /// Text.
    Text(String),
    /// A byte string.
    Bytes(Vec<u8>),
    /// A CID.
    Link(Cid),
    /// A list of items.
    List(Vec<Value>),
    /// A map from text to items.
    Map(Map),
}

impl Value {
    /// Reads exactly one item, with nothing after it.
    ///
    /// # Errors
    /// The rule that the bytes break; [`Rule::Trailing`] if bytes follow the item.
    pub fn from_bytes(bytes: &[u8]) -> Result<Value> {
        let mut cursor = Cursor::new(bytes);
        let value = cursor.read_value()?;
        if !cursor.is_at_end() {
            return Err(Error { at: cursor.position(), rule: Rule::Trailing });
        }
        Ok(value)
    }

    /// The one canonical encoding. Floats that are not finite and integers beyond 64 bits have none: they are
    /// written as `null`, as [`Encoder`] does.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut encoder = Encoder::new();
        self.encode(&mut encoder);
        encoder.into_bytes()
    }

    /// Writes the canonical encoding.
    pub fn encode(&self, encoder: &mut Encoder) {
        match self {
            Value::Null => {
                encoder.null();
            }
            Value::Bool(value) => {
                encoder.bool(*value);
            }
            Value::Integer(value) => {
                encoder.integer(*value);
            }
            Value::Float(value) => {
                encoder.float(*value);
            }
            Value::Text(text) => {
                encoder.text(text);
            }
            Value::Bytes(bytes) => {
                encoder.bytes(bytes);
            }
            Value::Link(cid) => {
                encoder.link(cid);
            }
            Value::List(list) => {
                encoder.list(list.len());
                for value in list {
                    value.encode(encoder);
                }
            }
            Value::Map(map) => {
                encoder.map(map.len());
                for (key, value) in map.iter() {
                    value.encode(encoder.text(key));
                }
            }
        }
    }
}

/// The entries of a map, each key once, in canonical order: shorter keys first, then bytewise.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Map {
    entries: Vec<(String, Value)>,
}

fn order(a: &str, b: &str) -> std::cmp::Ordering {
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

impl Map {
    /// A map without entries.
    pub fn new() -> Map {
        Map::default()
    }

    /// Entries that are known to be in canonical order, each key once.
    pub(super) fn from_canonical(entries: Vec<(String, Value)>) -> Map {
        Map { entries }
    }

    fn find(&self, key: &str) -> std::result::Result<usize, usize> {
        self.entries.binary_search_by(|(entry, _)| order(entry, key))
    }

    /// The number of entries.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The value of `key`.
    pub fn get(&self, key: &str) -> Option<&Value> {
        let index = self.find(key).ok()?;
        self.entries.get(index).map(|(_, value)| value)
    }

    /// Sets the value of `key` and gives the one it had.
    pub fn insert(&mut self, key: impl Into<String>, value: Value) -> Option<Value> {
        let key = key.into();
        match self.find(&key) {
            Ok(index) => Some(std::mem::replace(&mut self.entries[index].1, value)),
            Err(index) => {
                self.entries.insert(index, (key, value));
                None
            }
        }
    }

    /// Takes the entry of `key` out and gives its value.
    pub fn remove(&mut self, key: &str) -> Option<Value> {
        let index = self.find(key).ok()?;
        Some(self.entries.remove(index).1)
    }

    /// The entries in canonical order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Value)> {
        self.entries.iter().map(|(key, value)| (key.as_str(), value))
    }
}

/// Of entries with the same key the last one stays.
impl<K: Into<String>> FromIterator<(K, Value)> for Map {
    fn from_iter<I: IntoIterator<Item = (K, Value)>>(entries: I) -> Map {
        let mut entries: Vec<(String, Value)> =
            entries.into_iter().map(|(key, value)| (key.into(), value)).collect();
        entries.sort_by(|(a, _), (b, _)| order(a, b));
        // The sort is stable: of equal keys the later stands later, and moves into the one that is kept.
        entries.dedup_by(|later, kept| {
            let same = later.0 == kept.0;
            if same {
                std::mem::swap(later, kept);
            }
            same
        });
        Map { entries }
    }
}

impl IntoIterator for Map {
    type Item = (String, Value);
    type IntoIter = std::vec::IntoIter<(String, Value)>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.into_iter()
    }
}

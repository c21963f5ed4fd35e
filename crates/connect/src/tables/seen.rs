//! The type that values seem to have, told by one after another.
//!
//! What a value adds is put in its place: a field costs what it is, however many others were seen, as where
//! rows of JSON have a map as an object whose names are new in each.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_schema::{DataType, Field};
use skytide_timestream::types;

use super::value::Value;
use crate::columns::both;

/// What was seen of some values: the narrowest type that holds all of them; where there is none, values that
/// are unlike the first do not count.
#[derive(Debug, Default)]
pub(super) enum Seen {
    /// No value.
    #[default]
    Nothing,
    /// Values that are made of no others.
    Single(DataType),
    /// Lists of these.
    List(Box<Self>),
    /// Records.
    Record(Record),
}

/// The fields of some records, in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Record {
    fields: Vec<(Arc<str>, Seen)>,
    places: HashMap<Arc<str>, usize>,
}

impl Seen {
    /// Sees one more value.
    pub(super) fn see(&mut self, value: &Value<'_>) {
        if matches!(self, Self::Nothing) {
            *self = match value {
                Value::List(_) => Self::List(Box::default()),
                Value::Record(_) => Self::Record(Record::default()),
                other => other.natural_type().map_or(Self::Nothing, Self::Single),
            };
        }
        match (self, value) {
            (Self::List(item), Value::List(items)) => items.iter().for_each(|value| item.see(value)),
            (Self::Record(record), Value::Record(fields)) => {
                for (at, (name, value)) in fields.iter().enumerate() {
                    record.field(at, name).see(value);
                }
            }
            (Self::Single(of), value) => {
                let wider = value.natural_type().filter(|one| one != of).and_then(|one| both(of, &one));
                if let Some(wider) = wider {
                    *of = wider;
                }
            }
            _ => {}
        }
    }

    /// The type, of which `null` is a part where no value was seen.
    pub(super) fn data_type(&self) -> DataType {
        match self {
            Self::Nothing => DataType::Null,
            Self::Single(of) => of.clone(),
            Self::List(item) => types::list(item.data_type()),
            Self::Record(record) => {
                let field = |(name, of): &(Arc<str>, Self)| Field::new(&**name, of.data_type(), true);
                DataType::Struct(record.fields.iter().map(field).collect())
            }
        }
    }
}

impl Record {
    /// What was seen of a field, which is mostly where it stands in this record.
    fn field(&mut self, at: usize, name: &str) -> &mut Seen {
        let is_there = self.fields.get(at).is_some_and(|(known, _)| **known == *name);
        let at = if is_there { Some(at) } else { self.places.get(name).copied() };
        let at = at.unwrap_or_else(|| {
            let (name, at) = (Arc::<str>::from(name), self.fields.len());
            self.places.insert(Arc::clone(&name), at);
            self.fields.push((name, Seen::Nothing));
            at
        });
        &mut self.fields[at].1
    }
}

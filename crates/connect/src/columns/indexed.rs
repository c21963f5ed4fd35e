//! Types whose records find their fields by name at once, however many those are.
//!
//! Files have columns by the ten thousand, and rows of JSON may bring ever new keys. What is done with each of
//! them must go by how many there are, not by how many for each of the others: nothing here looks through all
//! fields for one.

use std::collections::HashMap;

use arrow_schema::{DataType, Field, Fields};
use skytide_timestream::types;

use super::widen::{Unlike, unnested};

/// A type, with an index of the fields of its records. Everything in it may be null.
#[derive(Debug, Clone)]
pub(crate) enum Indexed {
    Record(Names<Self>),
    List(Box<Self>),
    /// One that is neither.
    Other(DataType),
}

/// What has names, in order.
#[derive(Debug, Clone)]
pub(crate) struct Names<T> {
    all: Vec<(String, T)>,
    /// Of several of one name the first.
    places: HashMap<String, usize>,
}

impl<T> Names<T> {
    fn new() -> Self {
        Self { all: Vec::new(), places: HashMap::new() }
    }

    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    /// What has this name. Rows have their fields in one order mostly: it is first looked for where it likely
    /// is.
    pub(crate) fn get(&self, name: &str, likely: usize) -> Option<&T> {
        self.all.get(self.place(name, likely)?).map(|(_, of)| of)
    }

    /// The place of what has this name, which is looked for likewise.
    pub(crate) fn place(&self, name: &str, likely: usize) -> Option<usize> {
        match self.all.get(likely) {
            Some((known, _)) if known == name => Some(likely),
            _ => self.places.get(name).copied(),
        }
    }

    fn push(&mut self, name: &str, of: T) {
        self.places.entry(name.to_owned()).or_insert(self.all.len());
        self.all.push((name.to_owned(), of));
    }
}

impl Names<Indexed> {
    /// Columns, or the fields of a record.
    pub(crate) fn of(fields: &Fields) -> Self {
        let mut names = Self::new();
        for field in fields {
            names.push(field.name(), Indexed::of(field.data_type()));
        }
        names
    }

    fn add(&mut self, fields: &Fields, unlike: Unlike) -> Option<()> {
        for (at, field) in fields.iter().enumerate() {
            let place = self.place(field.name(), at);
            match place.and_then(|place| self.all.get_mut(place)) {
                Some((_, known)) => known.add(field.data_type(), unlike)?,
                None => self.push(field.name(), Indexed::of(field.data_type())),
            }
        }
        Some(())
    }
}

impl Indexed {
    pub(crate) fn of(data_type: &DataType) -> Self {
        match data_type {
            DataType::Struct(fields) => Self::Record(Names::of(fields)),
            DataType::List(item) => Self::List(Box::new(Self::of(item.data_type()))),
            other => Self::Other(other.clone()),
        }
    }

    /// Makes it the type that holds the values of [both](super::both); none if there is none, and then it is of
    /// no use any more.
    pub(crate) fn add(&mut self, other: &DataType, unlike: Unlike) -> Option<()> {
        match (&mut *self, other) {
            (_, DataType::Null) => {}
            (Self::Other(DataType::Null), other) => *self = Self::of(other),
            (Self::Record(all), DataType::Struct(fields)) => all.add(fields, unlike)?,
            (Self::List(all), DataType::List(item)) => all.add(item.data_type(), unlike)?,
            (Self::Other(all), other) => *all = unnested(all, other, unlike)?,
            (Self::Record(_) | Self::List(_), _) => return (unlike == Unlike::IsFirst).then_some(()),
        }
        Some(())
    }

    pub(crate) fn data_type(&self) -> DataType {
        match self {
            Self::Record(names) => {
                let field = |(name, of): &(String, Self)| Field::new(name, of.data_type(), true);
                DataType::Struct(names.all.iter().map(field).collect())
            }
            Self::List(item) => types::list(item.data_type()),
            Self::Other(data_type) => data_type.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(fields: &[(&str, DataType)]) -> DataType {
        DataType::Struct(fields.iter().map(|(name, of)| Field::new(*name, of.clone(), true)).collect())
    }

    #[test]
    fn fields_stand_in_the_order_in_which_they_came() {
        let (int, float) = (DataType::Int64, DataType::Float64);
        let mut all = Indexed::Other(DataType::Null);
        for (added, expected) in [
            (DataType::Null, DataType::Null),
            (record(&[("b", int.clone())]), record(&[("b", int.clone())])),
            (
                record(&[("a", int.clone()), ("b", float.clone())]),
                record(&[("b", float.clone()), ("a", int.clone())]),
            ),
            (record(&[]), record(&[("b", float.clone()), ("a", int.clone())])),
            (
                record(&[("c", types::list(record(&[("y", int.clone())])))]),
                record(&[
                    ("b", float.clone()),
                    ("a", int.clone()),
                    ("c", types::list(record(&[("y", int.clone())]))),
                ]),
            ),
            (
                record(&[("c", types::list(record(&[("x", int.clone()), ("y", DataType::Utf8)])))]),
                record(&[
                    ("b", float.clone()),
                    ("a", int.clone()),
                    ("c", types::list(record(&[("y", int.clone()), ("x", int.clone())]))),
                ]),
            ),
            // What is no record is left out.
            (
                int.clone(),
                record(&[
                    ("b", float.clone()),
                    ("a", int.clone()),
                    ("c", types::list(record(&[("y", int.clone()), ("x", int.clone())]))),
                ]),
            ),
        ] {
            assert_eq!(all.add(&added, Unlike::IsFirst), Some(()));
            assert_eq!(all.data_type(), expected);
        }
        assert_eq!(all.add(&record(&[("a", DataType::Utf8)]), Unlike::IsNone), None);
    }

    #[test]
    fn names_are_found_wherever_they_are() {
        let of = |name: &str| Field::new(name, DataType::Int64, true);
        let names = Names::of(&vec![of("a"), of("b"), of("a")].into());
        assert_eq!(names.len(), 3);
        for (name, likely, place) in [("a", 0, 0), ("a", 1, 0), ("a", 2, 2), ("b", 7, 1)] {
            assert_eq!(names.place(name, likely), Some(place), "{name} {likely}");
        }
        assert!(names.get("c", 0).is_none());
    }
}

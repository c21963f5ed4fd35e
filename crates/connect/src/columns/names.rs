//! Columns, and the fields of their records, that are found by name at once, however many those are.
//!
//! Files have columns by the ten thousand, and rows of JSON may bring ever new keys. What is done with each of
//! them must go by how many there are, not by how many for each of the others.

use std::collections::HashMap;

use arrow_schema::{DataType, Fields};

/// Columns, or the fields of a record, in order.
#[derive(Debug, Clone)]
pub(crate) struct Names {
    all: Vec<(String, Within)>,
    /// Of several of one name the first.
    places: HashMap<String, usize>,
}

/// What values of a column have within.
#[derive(Debug, Clone)]
pub(crate) enum Within {
    Record(Names),
    List(Box<Self>),
    Nothing,
}

impl Names {
    pub(crate) fn of(fields: &Fields) -> Self {
        let all: Vec<_> =
            fields.iter().map(|field| (field.name().clone(), Within::of(field.data_type()))).collect();
        let places = all.iter().enumerate().rev().map(|(at, (name, _))| (name.clone(), at)).collect();
        Self { all, places }
    }

    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    /// What has this name. Rows have their fields in one order mostly: it is first looked for where it likely
    /// is.
    pub(crate) fn get(&self, name: &str, likely: usize) -> Option<&Within> {
        self.all.get(self.place(name, likely)?).map(|(_, within)| within)
    }

    /// The place of what has this name, which is looked for likewise.
    pub(crate) fn place(&self, name: &str, likely: usize) -> Option<usize> {
        match self.all.get(likely) {
            Some((known, _)) if known == name => Some(likely),
            _ => self.places.get(name).copied(),
        }
    }
}

impl Within {
    fn of(data_type: &DataType) -> Self {
        match data_type {
            DataType::Struct(fields) => Self::Record(Names::of(fields)),
            DataType::List(item) => Self::List(Box::new(Self::of(item.data_type()))),
            _ => Self::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use arrow_schema::Field;

    use super::*;

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

//! Which columns of a source are its points' time, key and place among those of one time.

use std::collections::HashSet;

use arrow_schema::{DataType, Fields};
use skytide_timestream::types;

use super::times;

/// Why columns cannot be what they are to be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ColumnError {
    /// A column is named that there is not.
    #[error("there is no column {column:?} for the {role}; {}", known_columns(.known))]
    NoColumn {
        /// What it is for.
        role: &'static str,
        /// Its name.
        column: String,
        /// The columns there are.
        known: String,
    },
    /// Two columns have one name.
    #[error("two columns are called {0:?}")]
    Twice(String),
    /// A column cannot be what it is to be.
    #[error("the column {column:?} cannot be the {role}: it is {found}, not {expected}")]
    Unfit {
        /// What it is for.
        role: &'static str,
        /// Its name.
        column: String,
        /// Its type.
        found: String,
        /// What can be.
        expected: &'static str,
    },
}

fn known_columns(known: &str) -> String {
    if known.is_empty() {
        return "there are none: it holds nothing".to_owned();
    }
    format!("there are {known}")
}

/// The places of the columns that have a part of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Roles {
    pub(crate) time: usize,
    pub(crate) key: usize,
    pub(crate) subsort: Option<usize>,
}

impl Roles {
    /// Finds them by their names. The types are the engine's ([`super::plain`]).
    pub(crate) fn of(
        fields: &Fields,
        time: &str,
        key: &str,
        subsort: Option<&str>,
    ) -> Result<Self, ColumnError> {
        let mut names = HashSet::with_capacity(fields.len());
        if let Some(twice) = fields.iter().find(|field| !names.insert(field.name())) {
            return Err(ColumnError::Twice(twice.name().clone()));
        }
        let find = |role: &'static str, column: &str, fits: fn(&DataType) -> bool, expected: &'static str| {
            let Some((at, field)) = fields.find(column) else {
                let known: Vec<_> = fields.iter().map(|field| format!("{:?}", field.name())).collect();
                let (column, known) = (column.to_owned(), known.join(", "));
                return Err(ColumnError::NoColumn { role, column, known });
            };
            if fits(field.data_type()) {
                return Ok(at);
            }
            let found = types::name(field.data_type());
            Err(ColumnError::Unfit { role, column: column.to_owned(), found, expected })
        };
        Ok(Self {
            time: find("time", time, times::is_time, "moments, dates, text or numbers")?,
            key: find("key", key, |_| true, "anything")?,
            subsort: subsort
                .map(|column| find("subsort", column, DataType::is_integer, "whole numbers"))
                .transpose()?,
        })
    }
}

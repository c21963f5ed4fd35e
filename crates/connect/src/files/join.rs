//! The columns of several files as those of one stream: by name, each of the type that holds the values of all.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use arrow_schema::{DataType, Field, FieldRef, Fields};
use skytide_timestream::types;

use super::FileError;
use crate::columns::{both, filled, known};

/// Adds a file's columns to those of the files before; `subsort` is to be one of whole numbers.
///
/// # Errors
/// Both have a column, and no type holds the values of both.
pub(super) fn join(
    fields: &mut Vec<FieldRef>,
    own: &Fields,
    subsort: Option<&str>,
    path: &Path,
) -> Result<(), FileError> {
    let names = fields.iter().enumerate().rev().map(|(at, field)| (field.name().clone(), at));
    let places: HashMap<String, usize> = names.collect();
    for field in own {
        let Some(known) = places.get(field.name()).and_then(|at| fields.get_mut(*at)) else {
            fields.push(Arc::clone(field));
            continue;
        };
        let (before, here) = (known.data_type(), field.data_type());
        // Of whole numbers of 64 bits with and without a sign there is no order in 64 bits.
        let orders = |both: &DataType| subsort != Some(field.name()) || !both.is_decimal();
        let both = both(before, here).filter(orders).ok_or_else(|| {
            let mut names = types::names(&[here, before]).into_iter();
            FileError::Differs {
                path: path.to_owned(),
                column: field.name().clone(),
                found: names.next().unwrap_or_default(),
                expected: names.next().unwrap_or_default(),
            }
        })?;
        *known = Arc::new(Field::clone(known).with_data_type(both));
    }
    Ok(())
}

/// Columns with text where no file has a value.
pub(super) fn settled(fields: &Fields) -> Fields {
    fields.iter().map(|field| known(field)).collect()
}

/// Columns as what they may be: of those without values, which are of any type, numbers, which may be times,
/// keys and what orders rows.
pub(super) fn possible(fields: &Fields) -> Fields {
    let possible =
        |field: &FieldRef| Field::clone(field).with_data_type(filled(field.data_type(), &DataType::Int64));
    fields.iter().map(possible).collect()
}

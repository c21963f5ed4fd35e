//! Calls of the program's own functions: for the rows that are points, and no others, since such a function may refuse a row.

use arrow_array::{ArrayRef, BooleanArray, UInt32Array, new_empty_array, new_null_array};
use arrow_buffer::BooleanBuffer;
use arrow_schema::DataType;
use arrow_select::filter::FilterBuilder;
use arrow_select::take::take;

use super::array::one_a_row;
use super::error::EngineError;
use super::mask::{Mask, mask};
use crate::functions::Column;
use crate::functions::user::UserDefined;

/// The function's values at the rows that a mask chooses (none: all), null at the others.
pub(super) fn call(
    function: &UserDefined,
    args: &[Column],
    present: Option<&Column>,
    len: usize,
    data_type: &DataType,
) -> Result<Column, EngineError> {
    let present = present.map_or(Ok(Mask::All), mask)?;
    match present {
        Mask::Nothing => Ok(Column::Array(new_null_array(data_type, len))),
        Mask::All if args.iter().all(|arg| matches!(arg, Column::Constant(_))) => {
            let args = arrays(args, 1)?;
            Ok(Column::Constant(function.call(&args, 1, data_type)?))
        }
        Mask::All => {
            let args = arrays(args, len)?;
            Ok(Column::Array(at_least_one(function, &args, len, data_type)?))
        }
        Mask::Some(present) => at_some(function, args, &present, data_type).map(Column::Array),
    }
}

fn arrays(args: &[Column], len: usize) -> Result<Vec<ArrayRef>, EngineError> {
    args.iter().map(|arg| one_a_row(arg, len)).collect()
}

/// A function is not called for nothing.
fn at_least_one(
    function: &UserDefined,
    args: &[ArrayRef],
    rows: usize,
    data_type: &DataType,
) -> Result<ArrayRef, EngineError> {
    if rows == 0 { Ok(new_empty_array(data_type)) } else { Ok(function.call(args, rows, data_type)?) }
}

fn at_some(
    function: &UserDefined,
    args: &[Column],
    present: &BooleanBuffer,
    data_type: &DataType,
) -> Result<ArrayRef, EngineError> {
    let rows = present.count_set_bits();
    if rows == present.len() {
        return at_least_one(function, &arrays(args, rows)?, rows, data_type);
    }
    let chosen = FilterBuilder::new(&BooleanArray::new(present.clone(), None)).optimize().build();
    let args = args.iter().map(|arg| match arg {
        Column::Array(values) => chosen.filter(values).map_err(EngineError::kernel("user function")),
        constant @ Column::Constant(_) => one_a_row(constant, rows),
    });
    let values = at_least_one(function, &args.collect::<Result<Vec<_>, _>>()?, rows, data_type)?;
    // Each value to its row.
    let mut next = 0_u32;
    let places: UInt32Array = present
        .iter()
        .map(|is_present| {
            let place = next;
            next += u32::from(is_present);
            is_present.then_some(place)
        })
        .collect();
    take(&values, &places, None).map_err(EngineError::kernel("user function"))
}

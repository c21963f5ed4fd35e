//! Calls of the program's own functions: for the rows that are points, and no others, since such a function
//! may refuse a row.

use arrow_array::{Array, ArrayRef, BooleanArray, UInt32Array, new_empty_array, new_null_array};
use arrow_buffer::BooleanBuffer;
use arrow_schema::DataType;
use arrow_select::concat::concat;
use arrow_select::filter::FilterBuilder;
use arrow_select::take::take;

use super::array::one_a_row;
use super::error::EngineError;
use super::halt::Halt;
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
    halt: &Halt,
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
            Ok(Column::Array(in_pieces(function, &args, len, data_type, halt)?))
        }
        Mask::Some(present) => at_some(function, args, &present, data_type, halt).map(Column::Array),
    }
}

fn arrays(args: &[Column], len: usize) -> Result<Vec<ArrayRef>, EngineError> {
    args.iter().map(|arg| one_a_row(arg, len)).collect()
}

/// Calls for rows, if there are any: a slow function is given few at a time, so that it is not waited for
/// where an end is asked for.
fn in_pieces(
    function: &UserDefined,
    args: &[ArrayRef],
    rows: usize,
    data_type: &DataType,
    halt: &Halt,
) -> Result<ArrayRef, EngineError> {
    let mut at = 0;
    let mut pieces = Vec::new();
    while at < rows {
        halt.look()?;
        let start = halt.time();
        let len = function.at_once().min(rows - at);
        let piece: Vec<ArrayRef> = args.iter().map(|arg| arg.slice(at, len)).collect();
        pieces.push(function.call(&piece, len, data_type)?);
        function.took(len, halt.time().saturating_sub(start));
        at += len;
    }
    if pieces.len() == 1 {
        return Ok(pieces.swap_remove(0));
    }
    if pieces.is_empty() {
        return Ok(new_empty_array(data_type));
    }
    let pieces: Vec<&dyn Array> = pieces.iter().map(AsRef::as_ref).collect();
    concat(&pieces).map_err(EngineError::kernel("user function"))
}

fn at_some(
    function: &UserDefined,
    args: &[Column],
    present: &BooleanBuffer,
    data_type: &DataType,
    halt: &Halt,
) -> Result<ArrayRef, EngineError> {
    let rows = present.count_set_bits();
    if rows == present.len() {
        return in_pieces(function, &arrays(args, rows)?, rows, data_type, halt);
    }
    let chosen = FilterBuilder::new(&BooleanArray::new(present.clone(), None)).optimize().build();
    let args = args.iter().map(|arg| match arg {
        Column::Array(values) => chosen.filter(values).map_err(EngineError::kernel("user function")),
        constant @ Column::Constant(_) => one_a_row(constant, rows),
    });
    let values = in_pieces(function, &args.collect::<Result<Vec<_>, _>>()?, rows, data_type, halt)?;
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

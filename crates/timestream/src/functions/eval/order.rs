//! How records, lists and maps stand to each other: field by field, item by item, the first that differ decide.
//!
//! Floats in them compare as they do alone: `-0.0` is `0.0`, and where NaN meets anything there is no order.
//! Nulls in them come first, and are equal.

use std::cmp::Ordering;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type};
use arrow_array::{Array, ArrayRef, OffsetSizeTrait};
use arrow_ord::ord::make_comparator;
use arrow_schema::{ArrowError, DataType, SortOptions};

/// How a row of one array stands to a row of another; none where there is no order.
pub(super) type Order<'a> = Box<dyn Fn(usize, usize) -> Option<Ordering> + 'a>;

/// The order of two arrays' values.
///
/// # Errors
/// They are not of one type, or of one that has no order.
pub(super) fn order<'a>(a: &'a ArrayRef, b: &'a ArrayRef) -> Result<Order<'a>, ArrowError> {
    let of_values = of_values(a, b)?;
    let (nulls_a, nulls_b) = (a.logical_nulls(), b.logical_nulls());
    if nulls_a.is_none() && nulls_b.is_none() {
        return Ok(of_values);
    }
    Ok(Box::new(move |row_a, row_b| {
        let valid_a = nulls_a.as_ref().is_none_or(|nulls| nulls.is_valid(row_a));
        let valid_b = nulls_b.as_ref().is_none_or(|nulls| nulls.is_valid(row_b));
        if valid_a && valid_b { of_values(row_a, row_b) } else { Some(valid_a.cmp(&valid_b)) }
    }))
}

/// The same where neither is null.
fn of_values<'a>(a: &'a ArrayRef, b: &'a ArrayRef) -> Result<Order<'a>, ArrowError> {
    Ok(match (a.data_type(), b.data_type()) {
        (DataType::Float32, DataType::Float32) => {
            let (a, b) = (a.as_primitive::<Float32Type>(), b.as_primitive::<Float32Type>());
            Box::new(|row_a, row_b| a.value(row_a).partial_cmp(&b.value(row_b)))
        }
        (DataType::Float64, DataType::Float64) => {
            let (a, b) = (a.as_primitive::<Float64Type>(), b.as_primitive::<Float64Type>());
            Box::new(|row_a, row_b| a.value(row_a).partial_cmp(&b.value(row_b)))
        }
        (DataType::Struct(_), DataType::Struct(_)) => {
            let (a, b) = (a.as_struct(), b.as_struct());
            let fields = a.columns().iter().zip(b.columns());
            let fields: Vec<Order<'a>> = fields.map(|(a, b)| order(a, b)).collect::<Result<_, _>>()?;
            Box::new(move |row_a, row_b| first(fields.iter().map(|order| order(row_a, row_b))))
        }
        (DataType::List(_), DataType::List(_)) => {
            let (a, b) = (a.as_list::<i32>(), b.as_list::<i32>());
            items(a.value_offsets(), b.value_offsets(), order(a.values(), b.values())?)
        }
        (DataType::LargeList(_), DataType::LargeList(_)) => {
            let (a, b) = (a.as_list::<i64>(), b.as_list::<i64>());
            items(a.value_offsets(), b.value_offsets(), order(a.values(), b.values())?)
        }
        (DataType::Map(..), DataType::Map(..)) => {
            let (a, b) = (a.as_map(), b.as_map());
            let (keys, values) = (order(a.keys(), b.keys())?, order(a.values(), b.values())?);
            let entries = move |row_a, row_b| first([&keys, &values].into_iter().map(|of| of(row_a, row_b)));
            items(a.value_offsets(), b.value_offsets(), Box::new(entries))
        }
        _ => {
            let total = make_comparator(a, b, SortOptions::default())?;
            Box::new(move |row_a, row_b| Some(total(row_a, row_b)))
        }
    })
}

/// The order of rows of items that end at these places, by that of the items.
fn items<'a, O: OffsetSizeTrait>(a: &'a [O], b: &'a [O], items: Order<'a>) -> Order<'a> {
    let ends = |offsets: &[O], row: usize| offsets[row].as_usize()..offsets[row + 1].as_usize();
    Box::new(move |row_a, row_b| {
        let (of_a, of_b) = (ends(a, row_a), ends(b, row_b));
        let by_length = Some(of_a.len().cmp(&of_b.len()));
        first(of_a.zip(of_b).map(|(item_a, item_b)| items(item_a, item_b)).chain([by_length]))
    })
}

/// The first that is not equal.
fn first(mut orders: impl Iterator<Item = Option<Ordering>>) -> Option<Ordering> {
    orders.find(|order| *order != Some(Ordering::Equal)).unwrap_or(Some(Ordering::Equal))
}

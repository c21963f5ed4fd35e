//! Where points stand under another key: apart from what they paired with, ticks known by the key that they
//! were made for, and several that come to one place and key known by their turns (SEMANTICS 1.2, 1.5).
//!
//! A tick is told from the others of its time by its key alone, so what is given another key takes the first
//! one along, as bytes in the order of keys: keys of any type, of any region, are compared by them.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, BinaryArray};
use arrow_schema::DataType;

use super::error::EngineError;
use super::hash::widen;
use super::merge::by_key;
use crate::rows::{Keys, LAST, Lane, OWN_TICK, Place, Places, Rows, TICK};

/// The places of points under another key; `key` has those that they had, of a grouping of this name. What
/// asks there stands after all ticks of its boundary, moved as it is: also after the one that it comes from;
/// and after all points of its place and key, where it is to be the `last`. Others have no turns there until
/// they are [`counted`].
pub(super) fn rekeyed(
    mut places: Places,
    key: Option<&Keys>,
    grouping: &str,
    asks: bool,
    last: bool,
) -> Places {
    let len = places.len();
    places.turn = last.then(|| vec![LAST; len].into());
    let mut places = match &places.apart {
        None => places,
        Some(_) => {
            let apart = (0..places.len()).map(|row| places.at(row).as_of(places.apart(row)));
            let apart: Vec<Place> = apart.collect();
            Places { apart: None, ..places.standing_at(&apart) }
        }
    };
    let has_ticks = match &places.lane {
        Lane::One(lane) => *lane == TICK,
        Lane::Each(lanes) => lanes.contains(&TICK),
        Lane::Moved { lanes, origin_lane, .. } => lanes.contains(&TICK) || origin_lane.contains(&TICK),
    };
    if !has_ticks {
        return places;
    }
    let mut name = Vec::new();
    ordered_bytes(grouping.as_bytes(), &mut name);
    let made_for = (0..places.len()).map(|row| match places.at(row).standing() {
        (TICK, OWN_TICK) => {
            let mut made_for = name.clone();
            if let Some(key) = key {
                ordered(&key.values, row, &mut made_for);
            }
            Some(made_for)
        }
        (TICK, _) => Some(places.made_for(row).to_vec()),
        _ => None,
    });
    places.made_for = Some(Arc::new(made_for.collect::<BinaryArray>()));
    let ordinal = |row: usize| match places.at(row).standing() {
        (TICK, _) if asks => OWN_TICK,
        (TICK, ordinal) => ordinal.saturating_sub(1),
        (_, ordinal) => ordinal,
    };
    places.ordinal = (0..places.len()).map(ordinal).collect();
    places
}

/// Gives rows in order their turns at their place and key: all of them, or those that came there and are at
/// [`LAST`] yet.
pub(super) fn counted(mut rows: Rows, all: bool) -> Result<Rows, EngineError> {
    let places = &rows.places;
    let is_known = |row: usize| !all && places.turn(row) != LAST;
    let by_key = by_key(&rows)?;
    let is_beside =
        |row: usize| row > 0 && places.order(row - 1, places, row).is_eq() && by_key(row - 1, row).is_eq();
    let mut turns: Vec<u32> = Vec::with_capacity(rows.len());
    for row in 0..rows.len() {
        let turn = match turns.last() {
            _ if is_known(row) => places.turn(row),
            Some(before) if is_beside(row) => before.saturating_add(1),
            _ => 0,
        };
        turns.push(turn);
    }
    rows.places.turn = turns.iter().any(|turn| *turn > 0).then(|| turns.into());
    Ok(rows)
}

/// Appends bytes that are ordered as values of one type are, null first; equal keys have equal ones. No
/// value's bytes begin another's.
fn ordered(values: &dyn Array, row: usize, out: &mut Vec<u8>) {
    if values.is_null(row) {
        return out.push(0);
    }
    out.push(1);
    match values.data_type() {
        DataType::Boolean => out.push(u8::from(values.as_boolean().value(row))),
        DataType::Utf8 => ordered_bytes(values.as_string::<i32>().value(row).as_bytes(), out),
        DataType::LargeUtf8 => ordered_bytes(values.as_string::<i64>().value(row).as_bytes(), out),
        DataType::Binary => ordered_bytes(values.as_binary::<i32>().value(row), out),
        DataType::LargeBinary => ordered_bytes(values.as_binary::<i64>().value(row), out),
        DataType::FixedSizeBinary(_) => ordered_bytes(values.as_fixed_size_binary().value(row), out),
        DataType::Struct(_) => {
            values.as_struct().columns().iter().for_each(|field| ordered(field, row, out));
        }
        DataType::List(_) => items(&values.as_list::<i32>().value(row), out),
        DataType::LargeList(_) => items(&values.as_list::<i64>().value(row), out),
        DataType::FixedSizeList(..) => items(&values.as_fixed_size_list().value(row), out),
        DataType::Map(..) => items(&values.as_map().value(row), out),
        data_type => {
            const SIGN: u64 = 1 << 63;
            let bits = widen(&values.slice(row, 1)).map_or(0, |bits| bits[0]);
            let rising = match data_type {
                DataType::UInt8 | DataType::UInt16 | DataType::UInt32 | DataType::UInt64 => bits,
                DataType::Float32 | DataType::Float64 if bits & SIGN != 0 => !bits,
                _ => bits ^ SIGN,
            };
            out.extend(rising.to_be_bytes());
        }
    }
}

fn items(values: &dyn Array, out: &mut Vec<u8>) {
    for row in 0..values.len() {
        out.push(1);
        ordered(values, row, out);
    }
    out.push(0);
}

/// Bytes with an end that is less than anything they go on with.
fn ordered_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    for byte in bytes {
        out.push(*byte);
        if *byte == 0 {
            out.push(u8::MAX);
        }
    }
    out.extend([0, 0]);
}

#[cfg(test)]
mod tests {
    use std::cmp::Ordering;

    use arrow_array::types::Int32Type;
    use arrow_array::{
        ArrayRef, BinaryArray, BooleanArray, Float64Array, Int64Array, ListArray, StringArray, StructArray,
        UInt64Array,
    };
    use arrow_ord::ord::make_comparator;
    use arrow_schema::{Field, SortOptions};

    use super::*;

    #[test]
    fn bytes_are_ordered_as_keys_are() {
        let texts: ArrayRef = Arc::new(StringArray::from(vec![
            None,
            Some(""),
            Some("a"),
            Some("a\0"),
            Some("a\0b"),
            Some("ab"),
            Some("ä"),
        ]));
        let ints: ArrayRef = Arc::new(Int64Array::from(vec![
            None,
            Some(i64::MIN),
            Some(-1),
            Some(0),
            Some(7),
            Some(i64::MAX),
            None,
        ]));
        let fields = vec![
            (Arc::new(Field::new("t", DataType::Utf8, true)), Arc::clone(&texts)),
            (Arc::new(Field::new("x", DataType::Int64, true)), Arc::clone(&ints)),
        ];
        let lists = [
            None,
            Some(vec![]),
            Some(vec![None]),
            Some(vec![Some(1)]),
            Some(vec![Some(1), None]),
            Some(vec![Some(2)]),
        ];
        let all: [ArrayRef; 8] = [
            texts,
            ints,
            Arc::new(StructArray::from(fields)),
            Arc::new(BooleanArray::from(vec![None, Some(false), Some(true)])),
            Arc::new(UInt64Array::from(vec![None, Some(0), Some(1 << 63), Some(u64::MAX)])),
            Arc::new(Float64Array::from(vec![
                f64::NEG_INFINITY,
                -1.5,
                -1e-300,
                0.0,
                1.0,
                f64::INFINITY,
                f64::NAN,
            ])),
            Arc::new(BinaryArray::from_opt_vec(vec![
                None,
                Some(b""),
                Some(b"\0"),
                Some(b"\0\xff"),
                Some(b"\x01"),
            ])),
            Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(lists)),
        ];
        let nulls_first = SortOptions { descending: false, nulls_first: true };
        for values in &all {
            let compare = make_comparator(values, values, nulls_first).unwrap();
            let bytes = |row| {
                let mut bytes = Vec::new();
                ordered(values, row, &mut bytes);
                bytes
            };
            for (a, b) in (0..values.len()).flat_map(|a| (0..values.len()).map(move |b| (a, b))) {
                let (wanted, found) = (compare(a, b), bytes(a).cmp(&bytes(b)));
                assert_eq!(found, wanted, "{a} and {b} of {values:?}");
                assert!(
                    wanted == Ordering::Equal || !bytes(a).starts_with(&bytes(b)),
                    "{a} and {b} of {values:?}"
                );
            }
        }
    }
}

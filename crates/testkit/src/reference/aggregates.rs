//! The aggregations, as the rules tell them: cumulative, over all points of a window so far (SEMANTICS 4).

use std::cmp::Ordering;

use arrow_schema::DataType;
use skytide_timestream::scalar::Scalar;

use super::{ReferenceError, Warnings};
use crate::value::{Val, int_range};

/// An aggregation of one key in one window: takes the value at the next point, gives its own value there. A
/// null changes nothing.
pub(super) type State = Box<dyn FnMut(&Val, &mut Warnings) -> Val>;

/// The aggregation of a name with its constants, with nothing seen, for a result of a type.
pub(super) fn make(name: &str, constants: &[Scalar], out: &DataType) -> Result<State, ReferenceError> {
    let constant = |at: usize| match constants.get(at) {
        Some(Scalar::Int(number)) => usize::try_from(*number).ok(),
        _ => None,
    };
    Ok(match name {
        // 4.2: never null at its own points.
        "count" => counting(|value| !value.is_null()),
        "count_if" => counting(|value| *value == Val::Bool(true)),
        "first" => keeping(|kept, _| kept.clone()),
        "last" => keeping(|_, value| value.clone()),
        "min" => {
            keeping(|kept, value| if is_before(value, kept, Ordering::Less) { value } else { kept }.clone())
        }
        "max" => keeping(|kept, value| {
            if is_before(value, kept, Ordering::Greater) { value } else { kept }.clone()
        }),
        "sum" => summing(out.clone()),
        "mean" => averaging(),
        "variance" => spreading(|variance| variance),
        "stddev" => spreading(f64::sqrt),
        "lag" => lagging(constant(0)),
        "collect" => collecting(constant(0), constant(1).unwrap_or(0)),
        _ => return Err(ReferenceError::Unknown(format!("aggregation `{name}`"))),
    })
}

fn counting(counts: fn(&Val) -> bool) -> State {
    let mut count = 0;
    Box::new(move |value, _| {
        count += i128::from(counts(value));
        Val::Int(count)
    })
}

/// Skips nulls, takes the first value, then chooses between what it has and each new value.
fn keeping(choose: fn(&Val, &Val) -> Val) -> State {
    let mut kept = Val::Null;
    Box::new(move |value, _| {
        kept = match (&kept, value) {
            (_, Val::Null) => kept.clone(),
            (Val::Null, value) => value.clone(),
            (_, value) => choose(&kept, value),
        };
        kept.clone()
    })
}

/// A number comes before NaN, whichever way is asked, so that one NaN does not hide all numbers; of equal
/// values the first stays.
fn is_before(x: &Val, y: &Val, wanted: Ordering) -> bool {
    match (x, y) {
        (Val::Float(x), Val::Float(y)) => !x.is_nan() && (y.is_nan() || x.partial_cmp(y) == Some(wanted)),
        _ => x.cmp(y) == wanted,
    }
}

/// 2.3: a sum beyond its type is null, counted once, and stays null.
fn summing(out: DataType) -> State {
    let mut sum = Val::Null;
    let mut is_over = false;
    Box::new(move |value, warnings| {
        sum = match (&sum, value) {
            _ if is_over => Val::Null,
            (_, Val::Null) => sum.clone(),
            (Val::Null, Val::Float(value)) => Val::Float(*value),
            (Val::Null, value) => value.clone(),
            (Val::Float(sum), Val::Float(value)) => Val::Float(sum + value),
            (Val::Int(sum), Val::Int(value)) => Val::Int(sum + value),
            (sum, _) => sum.clone(),
        };
        if let (Val::Int(total), Some((least, greatest))) = (&sum, int_range(&out))
            && (*total < least || *total > greatest)
        {
            is_over = true;
            warnings.overflows += 1;
            sum = Val::Null;
        }
        sum.clone()
    })
}

/// The sum of the values as floats, in the order of the points (7.7), by their number.
fn averaging() -> State {
    let (mut sum, mut count) = (0.0, 0.0);
    Box::new(move |value, _| {
        let value = match value {
            Val::Int(value) => Some(*value as f64),
            Val::Float(value) => Some(*value),
            _ => None,
        };
        if let Some(value) = value {
            sum += value;
            count += 1.0;
        }
        if count > 0.0 { Val::Float(sum / count) } else { Val::Null }
    })
}

/// The mean square of the distances from the mean, null below two values. Of the ways to keep it, which
/// differ in the last digits, the rules name Welford's: each value moves the mean by its share, and adds the
/// product of its distances from the mean before and after.
fn spreading(shown: fn(f64) -> f64) -> State {
    let mut seen = 0.0;
    let (mut mean, mut squares) = (0.0, 0.0);
    Box::new(move |value, _| {
        let value = match value {
            Val::Int(value) => *value as f64,
            Val::Float(value) => *value,
            _ => return if seen < 2.0 { Val::Null } else { Val::Float(shown(squares / seen)) },
        };
        seen += 1.0;
        let before = mean;
        mean = before + (value - before) / seen;
        squares += (value - before) * (value - mean);
        if seen < 2.0 { Val::Null } else { Val::Float(shown(squares / seen)) }
    })
}

/// 4.3: the n-th value before the newest, neither of them null.
fn lagging(n: Option<usize>) -> State {
    let mut seen = Vec::new();
    Box::new(move |value, _| {
        if !value.is_null() {
            seen.push(value.clone());
        }
        n.and_then(|n| seen.iter().rev().nth(n)).cloned().unwrap_or(Val::Null)
    })
}

/// The newest so many values in their order; null while there are less than `min` of them (4.2).
fn collecting(max: Option<usize>, min: usize) -> State {
    let mut seen = Vec::new();
    Box::new(move |value, _| {
        if !value.is_null() {
            seen.push(value.clone());
        }
        let newest: Vec<Val> =
            seen.iter().skip(max.map_or(0, |max| seen.len().saturating_sub(max))).cloned().collect();
        if newest.len() < min { Val::Null } else { Val::List(newest) }
    })
}

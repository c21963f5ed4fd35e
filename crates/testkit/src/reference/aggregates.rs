//! The aggregations, as the rules tell them: cumulative, per key, over all points so far (SEMANTICS 4).

use std::cmp::Ordering;

use arrow_schema::DataType;

use super::{ReferenceError, Warnings};
use crate::value::{Val, int_range};

/// An aggregation of one key: takes the values of its arguments at the next point, gives its own value there.
pub(super) type State = Box<dyn FnMut(&[Val], &mut Warnings) -> Val>;

/// The aggregation of a name, with nothing seen, for a result of a type.
pub(super) fn make(name: &str, out: &DataType) -> Result<State, ReferenceError> {
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
        _ => return Err(ReferenceError::Unknown(format!("aggregation `{name}`"))),
    })
}

fn counting(counts: fn(&Val) -> bool) -> State {
    let mut count = 0;
    Box::new(move |args, _| {
        count += i128::from(counts(&args[0]));
        Val::Int(count)
    })
}

/// Skips nulls, takes the first value, then chooses between what it has and each new value.
fn keeping(choose: fn(&Val, &Val) -> Val) -> State {
    let mut kept = Val::Null;
    Box::new(move |args, _| {
        kept = match (&kept, &args[0]) {
            (_, Val::Null) => kept.clone(),
            (Val::Null, value) => value.clone(),
            (_, value) => choose(&kept, value),
        };
        kept.clone()
    })
}

/// A number comes before NaN, whichever way is asked, so that one NaN does not hide all numbers; of equal values the first stays.
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
    Box::new(move |args, warnings| {
        sum = match (&sum, &args[0]) {
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
    Box::new(move |args, _| {
        let value = match args[0] {
            Val::Int(value) => Some(value as f64),
            Val::Float(value) => Some(value),
            _ => None,
        };
        if let Some(value) = value {
            sum += value;
            count += 1.0;
        }
        if count > 0.0 { Val::Float(sum / count) } else { Val::Null }
    })
}

/// The mean square of the distances from the mean, null below two values. Of the ways to keep it, which differ in the last
/// digits, the rules name Welford's: each value moves the mean by its share, and adds the product of its distances from the
/// mean before and after.
fn spreading(shown: fn(f64) -> f64) -> State {
    let mut seen = 0.0;
    let (mut mean, mut squares) = (0.0, 0.0);
    Box::new(move |args, _| {
        let value = match args[0] {
            Val::Int(value) => value as f64,
            Val::Float(value) => value,
            _ => return if seen < 2.0 { Val::Null } else { Val::Float(shown(squares / seen)) },
        };
        seen += 1.0;
        let before = mean;
        mean = before + (value - before) / seen;
        squares += (value - before) * (value - mean);
        if seen < 2.0 { Val::Null } else { Val::Float(shown(squares / seen)) }
    })
}

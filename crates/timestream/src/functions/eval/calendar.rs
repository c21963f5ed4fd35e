//! The calendar's parts of moments, in UTC, and the seconds between two of them.

use std::sync::Arc;

use arrow_arith::temporal::{DatePart, date_part};
use arrow_array::types::Int64Type;
use arrow_array::{Array, ArrayRef, Int64Array};
use arrow_buffer::NullBuffer;
use arrow_schema::{ArrowError, DataType};

use super::super::{Call, Column, EvalError};
use super::{counts, named, refused};
use crate::engine::array::{carried, retyped};

/// A function that gives a part of the moments.
macro_rules! parts {
    ($($(#[$doc:meta])* $name:ident $part:ident;)*) => { $(
        $(#[$doc])*
        ///
        /// # Errors
        /// The argument is no timestamp.
        pub fn $name(call: &Call<'_>) -> Result<Column, EvalError> {
            named(stringify!($name), part(call, DatePart::$part))
        }
    )* };
}

parts! {
    /// `year`: 2026.
    year Year;
    /// `month`: 1 to 12.
    month Month;
    /// `day`: of the month, 1 to 31.
    day Day;
    /// `hour`: 0 to 23.
    hour Hour;
    /// `minute`: 0 to 59.
    minute Minute;
    /// `weekday`: 0 is Monday, 6 Sunday.
    weekday DayOfWeekMonday0;
}

fn part(call: &Call<'_>, part: DatePart) -> Result<ArrayRef, ArrowError> {
    let moments = call.array(0)?;
    let DataType::Timestamp(unit, _) = moments.data_type() else { return Err(refused(moments.data_type())) };
    // A moment is its count of some unit in UTC: the kernel needs to know of no zones.
    let plain = DataType::Timestamp(*unit, None);
    let moments = retyped(carried::<Int64Type>(&moments)?, &plain)?;
    arrow_cast::cast(&date_part(&moments, part)?, call.data_type)
}

/// `seconds_since(time, since)`: whole seconds, cut towards zero; negative where `since` is later.
///
/// # Errors
/// The arguments are not timestamps.
pub fn seconds_since(call: &Call<'_>) -> Result<Column, EvalError> {
    let run = || {
        let ((time, of_time), (since, of_since)) = (counts(&call.array(0)?)?, counts(&call.array(1)?)?);
        let pairs = time.values().iter().zip(since.values());
        let seconds = pairs.map(|(time, since)| {
            // The nanoseconds between two moments may be beyond 64 bits. Their seconds are only where no
            // calendar has both: as far then as can be counted.
            let nanos = i128::from(*time) * of_time - i128::from(*since) * of_since;
            (nanos / 1_000_000_000).clamp(i64::MIN.into(), i64::MAX.into()) as i64
        });
        let seconds: Vec<i64> = seconds.collect();
        let nulls = NullBuffer::union(time.nulls(), since.nulls());
        Ok(Arc::new(Int64Array::try_new(seconds.into(), nulls)?) as ArrayRef)
    };
    named("seconds_since", run())
}

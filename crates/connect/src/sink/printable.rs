//! Batches as the text formats take them.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::temporal_conversions::{as_datetime, as_duration, as_time};
use arrow_array::types::{
    ArrowTemporalType, Date32Type, Date64Type, DurationMillisecondType, DurationSecondType,
    TimestampNanosecondType,
};
use arrow_array::{Array, ArrayRef, PrimitiveArray, RecordBatch, StringArray, downcast_temporal_array};
use arrow_json::writer::{EncoderOptions, make_encoder};
use arrow_schema::{ArrowError, DataType, Field, FieldRef, TimeUnit};
use skytide_timestream::types;

use super::rewrite::{Form, rewritten};
use crate::tables::texts;

/// UTC as an offset.
const UTC: &str = "+00:00";

/// The batch as text formats take it, and how many of its values have no text there: dates and moments of
/// years that no calendar of ours has (beyond some 262,000), times that are of no day, and lengths of time
/// beyond what is counted in milliseconds. They are null.
///
/// Moments of named zones, as the engine's `UTC` or a file's `Europe/Berlin`, are in UTC: writing them by the
/// clocks of such a zone would need a table of all zones. Those of a zone that is an offset keep it. Keys of
/// maps are texts, as JSON has no others.
///
/// # Errors
/// Columns that are not of their types.
pub fn printable(batch: &RecordBatch) -> Result<(RecordBatch, u64), ArrowError> {
    rewritten(batch, &Text)
}

/// The form of values that are to be shown.
struct Text;

impl Form for Text {
    fn values(&self, values: &ArrayRef) -> Result<Option<ArrayRef>, ArrowError> {
        Ok(match values.data_type() {
            // All of them are shown.
            DataType::Timestamp(TimeUnit::Nanosecond, zone) => {
                zone.as_ref().filter(|zone| is_named(zone)).map(|_| -> ArrayRef {
                    Arc::new(values.as_primitive::<TimestampNanosecondType>().clone().with_timezone(UTC))
                })
            }
            // A date is a date in either unit.
            DataType::Date64 => {
                let day = |millis: i64| i32::try_from(millis.div_euclid(86_400_000)).ok();
                Some(shown(&values.as_primitive::<Date64Type>().unary_opt::<_, Date32Type>(day)))
            }
            DataType::Duration(TimeUnit::Second) => {
                let known = |value| as_duration::<DurationSecondType>(value).map(|_| value);
                let lengths = values.as_primitive::<DurationSecondType>();
                Some(Arc::new(lengths.unary_opt::<_, DurationSecondType>(known)))
            }
            DataType::Duration(TimeUnit::Millisecond) => {
                let known = |value| as_duration::<DurationMillisecondType>(value).map(|_| value);
                let lengths = values.as_primitive::<DurationMillisecondType>();
                Some(Arc::new(lengths.unary_opt::<_, DurationMillisecondType>(known)))
            }
            _ => downcast_temporal_array!(
                values => Some(shown(values)),
                _ => None
            ),
        })
    }

    fn keys(&self, keys: &ArrayRef) -> Result<Option<ArrayRef>, ArrowError> {
        let of_type = keys.data_type();
        if types::is_text(of_type) {
            return Ok(None);
        }
        if of_type.is_nested() {
            return json_texts(&Arc::new(Field::new("", of_type.clone(), true)), keys).map(Some);
        }
        texts(keys).map(Some).map_err(|error| ArrowError::ExternalError(Box::new(error)))
    }
}

/// Dates, moments and times of day, null where they cannot be shown.
fn shown<T: ArrowTemporalType>(values: &PrimitiveArray<T>) -> ArrayRef
where
    i64: From<T::Native>,
{
    let is_shown: fn(i64) -> bool = match T::DATA_TYPE {
        DataType::Time32(_) | DataType::Time64(_) => |value| as_time::<T>(value).is_some(),
        // By an offset it is another day's, which is to be one, too.
        _ => |value| {
            let date = as_datetime::<T>(value).map(|moment| moment.date());
            date.is_some_and(|date| date.pred_opt().is_some() && date.succ_opt().is_some())
        },
    };
    let of_type = match values.data_type() {
        DataType::Timestamp(unit, Some(zone)) if is_named(zone) => {
            DataType::Timestamp(*unit, Some(UTC.into()))
        }
        other => other.clone(),
    };
    let shown = values.unary_opt::<_, T>(|value| Some(value).filter(|value| is_shown((*value).into())));
    Arc::new(shown.with_data_type(of_type))
}

/// Whether a zone is a name, and no offset.
fn is_named(zone: &str) -> bool {
    !zone.starts_with(['+', '-'])
}

/// Values of a field as texts in JSON, for what has no lists or records of its own. Null where they are null.
///
/// # Errors
/// A type that JSON has no form for.
pub(super) fn json_texts(field: &FieldRef, values: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let options = EncoderOptions::default().with_explicit_nulls(true);
    let mut encoder = make_encoder(field, values, &options)?;
    let texts = (0..values.len()).map(|row| {
        let mut text = Vec::new();
        if encoder.is_null(row) {
            return Ok(None);
        }
        encoder.encode(row, &mut text);
        String::from_utf8(text).map(Some).map_err(|error| ArrowError::ExternalError(Box::new(error)))
    });
    Ok(Arc::new(texts.collect::<Result<StringArray, _>>()?))
}

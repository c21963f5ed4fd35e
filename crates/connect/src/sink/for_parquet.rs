//! Batches as Parquet takes them, so that every reader finds the moments and dates that are in them.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Date64Type, Time32MillisecondType, Time32SecondType, TimestampMillisecondType,
    TimestampSecondType,
};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{ArrowError, DataType, IntervalUnit, Schema, SchemaRef, TimeUnit};
use parquet::arrow::ArrowSchemaConverter;

use super::SinkError;
use super::rewrite::{Form, rewritten};

/// Milliseconds of a day.
const DAY: i64 = 86_400_000;

/// What Parquet has a form for: it counts no seconds, which would be mere numbers to all readers but Arrow's,
/// and dates in days.
struct Parquet;

impl Form for Parquet {
    fn values(&self, values: &ArrayRef) -> Result<Option<ArrayRef>, ArrowError> {
        Ok(match values.data_type() {
            DataType::Timestamp(TimeUnit::Second, zone) => {
                let moments = values.as_primitive::<TimestampSecondType>();
                let millis = moments.unary_opt::<_, TimestampMillisecondType>(|time| time.checked_mul(1000));
                Some(Arc::new(millis.with_timezone_opt(zone.clone())))
            }
            DataType::Time32(TimeUnit::Second) => {
                let times = values.as_primitive::<Time32SecondType>();
                Some(Arc::new(times.unary_opt::<_, Time32MillisecondType>(|time| time.checked_mul(1000))))
            }
            DataType::Date64 => {
                let days = |time: i64| i32::try_from(time.div_euclid(DAY)).ok();
                Some(Arc::new(values.as_primitive::<Date64Type>().unary_opt::<_, Date32Type>(days)))
            }
            _ => None,
        })
    }
}

/// The batch as Parquet takes it, and how many of its values that has not: they are null.
pub(super) fn formed(batch: &RecordBatch) -> Result<(RecordBatch, u64), ArrowError> {
    rewritten(batch, &Parquet)
}

/// The columns of batches as Parquet takes them.
///
/// # Errors
/// A column that it has no form for, by its name.
pub(super) fn formed_schema(schema: &SchemaRef) -> Result<SchemaRef, SinkError> {
    for field in schema.fields() {
        let unfit =
            |reason: String| SinkError::Column { column: field.name().clone(), format: "Parquet", reason };
        if let Some(what) = unknown(field.data_type()) {
            return Err(unfit(format!("it has no form for {what}; Arrow has")));
        }
        let alone = Schema::new(vec![Arc::clone(field)]);
        let converted = ArrowSchemaConverter::new().with_coerce_types(true).convert(&alone);
        converted.map_err(|error| unfit(error.to_string()))?;
    }
    Ok(formed(&RecordBatch::new_empty(Arc::clone(schema)))?.0.schema())
}

/// What a type has that Parquet has no form for.
fn unknown(data_type: &DataType) -> Option<&'static str> {
    match data_type {
        DataType::Union(..) => Some("values of several types (a union)"),
        DataType::Interval(IntervalUnit::MonthDayNano) => Some("intervals of months, days and nanoseconds"),
        DataType::Struct(fields) if fields.is_empty() => Some("records without fields"),
        DataType::FixedSizeBinary(0) => Some("bytes of no length"),
        DataType::Decimal32(_, places)
        | DataType::Decimal64(_, places)
        | DataType::Decimal128(_, places)
        | DataType::Decimal256(_, places)
            if *places < 0 =>
        {
            Some("decimals of whole tens, hundreds and so on (a negative scale)")
        }
        DataType::Struct(fields) => fields.iter().find_map(|field| unknown(field.data_type())),
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::FixedSizeList(item, _)
        | DataType::ListView(item)
        | DataType::LargeListView(item)
        | DataType::Map(item, _)
        | DataType::RunEndEncoded(_, item) => unknown(item.data_type()),
        DataType::Dictionary(_, values) => unknown(values),
        _ => None,
    }
}

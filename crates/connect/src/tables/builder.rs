//! Values made into columns: what does not fit its column is null and counted, never an error.

use std::sync::Arc;

use arrow_array::builder::{
    BinaryBuilder, BooleanBuilder, Decimal128Builder, Decimal256Builder, Float64Builder, Int64Builder,
    IntervalMonthDayNanoBuilder, StringBuilder, UInt64Builder,
};
use arrow_array::types::{Decimal128Type, Decimal256Type};
use arrow_array::{Array, ArrayRef, BooleanArray, ListArray, MapArray, StructArray, new_null_array};
use arrow_buffer::{NullBufferBuilder, OffsetBuffer};
use arrow_cast::cast;
use arrow_schema::{ArrowError, DataType, FieldRef, Fields, IntervalUnit};
use arrow_select::filter::filter;
use skytide_timestream::types;

use super::cell::{self, Fraction};
use super::value::Value;
use crate::columns::MAX_DEPTH;

/// A column being filled, of one type.
pub(crate) struct Builder {
    data_type: DataType,
    cells: Cells,
}

/// Cells by what carries them; a column of a narrower type is made when it is finished.
enum Cells {
    Bool(BooleanBuilder),
    Int(Int64Builder),
    UInt(UInt64Builder),
    Float(Float64Builder),
    Decimal {
        cells: Decimal128Builder,
        precision: u8,
        scale: i8,
    },
    /// Decimals that 128 bits do not hold.
    Wide {
        cells: Decimal256Builder,
        precision: u8,
        scale: i8,
    },
    Interval(IntervalMonthDayNanoBuilder),
    Text(StringBuilder),
    Bytes(BinaryBuilder),
    List {
        items: Box<Builder>,
        lengths: Vec<usize>,
        valid: NullBufferBuilder,
    },
    Map {
        keys: Box<Builder>,
        values: Box<Builder>,
        lengths: Vec<usize>,
        valid: NullBufferBuilder,
    },
    Record {
        fields: Fields,
        columns: Vec<Builder>,
        valid: NullBufferBuilder,
        len: usize,
    },
    /// A type of which rows cannot hold values; batches can.
    Nulls(usize),
}

impl Builder {
    /// An empty column.
    pub(crate) fn new(data_type: &DataType) -> Self {
        Self::nested(data_type, 0)
    }

    fn nested(data_type: &DataType, depth: usize) -> Self {
        // Room is made as it is needed: the library's own would be 8 KB a column, of which there may be many.
        let inside = |field: &FieldRef| Box::new(Self::nested(field.data_type(), depth + 1));
        let cells = match data_type {
            _ if depth > MAX_DEPTH => Cells::Nulls(0),
            DataType::Boolean => Cells::Bool(BooleanBuilder::with_capacity(0)),
            DataType::UInt64 => Cells::UInt(UInt64Builder::with_capacity(0)),
            DataType::Timestamp(..)
            | DataType::Duration(_)
            | DataType::Date32
            | DataType::Date64
            | DataType::Time32(_)
            | DataType::Time64(_) => Cells::Int(Int64Builder::with_capacity(0)),
            other if other.is_integer() => Cells::Int(Int64Builder::with_capacity(0)),
            other if other.is_floating() => Cells::Float(Float64Builder::with_capacity(0)),
            &DataType::Decimal32(precision, scale)
            | &DataType::Decimal64(precision, scale)
            | &DataType::Decimal128(precision, scale) => {
                let of = DataType::Decimal128(precision, scale);
                Cells::Decimal {
                    cells: Decimal128Builder::with_capacity(0).with_data_type(of),
                    precision,
                    scale,
                }
            }
            &DataType::Decimal256(precision, scale) => {
                let cells = Decimal256Builder::with_capacity(0).with_data_type(data_type.clone());
                Cells::Wide { cells, precision, scale }
            }
            DataType::Interval(IntervalUnit::MonthDayNano) => {
                Cells::Interval(IntervalMonthDayNanoBuilder::with_capacity(0))
            }
            other if types::is_text(other) => Cells::Text(StringBuilder::with_capacity(0, 0)),
            DataType::Binary
            | DataType::LargeBinary
            | DataType::BinaryView
            | DataType::FixedSizeBinary(_) => Cells::Bytes(BinaryBuilder::with_capacity(0, 0)),
            DataType::List(item) => {
                Cells::List { items: inside(item), lengths: Vec::new(), valid: NullBufferBuilder::new(0) }
            }
            DataType::Map(entries, _) => match types::fields(entries.data_type()).map(|fields| &**fields) {
                Some([key, value]) => Cells::Map {
                    keys: inside(key),
                    values: inside(value),
                    lengths: Vec::new(),
                    valid: NullBufferBuilder::new(0),
                },
                _ => Cells::Nulls(0),
            },
            DataType::Struct(fields) => Cells::Record {
                fields: fields.clone(),
                columns: fields.iter().map(|field| Self::nested(field.data_type(), depth + 1)).collect(),
                valid: NullBufferBuilder::new(0),
                len: 0,
            },
            _ => Cells::Nulls(0),
        };
        Self { data_type: data_type.clone(), cells }
    }

    /// Adds a value, or a null where it does not fit; gives how many values did not.
    pub(crate) fn push(&mut self, value: &Value<'_>, fraction: Fraction) -> u64 {
        // Of the values within it.
        let mut misfits = 0;
        let fits = match &mut self.cells {
            Cells::Bool(cells) => {
                let fit = if let Value::Bool(value) = value { Some(*value) } else { None };
                cells.append_option(fit);
                fit.is_some()
            }
            Cells::Int(cells) => {
                let fit = cell::whole(value, &self.data_type, fraction);
                cells.append_option(fit);
                fit.is_some()
            }
            Cells::UInt(cells) => {
                let fit = cell::unsigned(value, fraction);
                cells.append_option(fit);
                fit.is_some()
            }
            Cells::Float(cells) => {
                let fit = cell::float(value);
                cells.append_option(fit);
                fit.is_some()
            }
            Cells::Decimal { cells, precision, scale } => {
                let fit = cell::unscaled::<Decimal128Type>(value, *precision, *scale, fraction);
                cells.append_option(fit);
                fit.is_some()
            }
            Cells::Wide { cells, precision, scale } => {
                let fit = cell::unscaled::<Decimal256Type>(value, *precision, *scale, fraction);
                cells.append_option(fit);
                fit.is_some()
            }
            Cells::Interval(cells) => {
                let fit = cell::interval(value);
                cells.append_option(fit);
                fit.is_some()
            }
            Cells::Text(cells) => {
                let fit = cell::text(value);
                cells.append_option(fit);
                fit.is_some()
            }
            Cells::Bytes(cells) => {
                let fit = cell::bytes(value, &self.data_type);
                cells.append_option(fit);
                fit.is_some()
            }
            Cells::List { items, lengths, valid } => {
                let given = if let Value::List(given) = value { Some(given) } else { None };
                valid.append(given.is_some());
                lengths.push(given.map_or(0, Vec::len));
                misfits = given.into_iter().flatten().map(|item| items.push(item, fraction)).sum();
                given.is_some()
            }
            Cells::Map { keys, values, lengths, valid } => {
                let mut length = 0;
                let is_map = cell::entries(value, |entry| match entry {
                    // There are no entries without a key.
                    None | Some((Value::Null, _)) => misfits += 1,
                    Some((key, value)) => {
                        misfits += keys.push(key, fraction) + values.push(value, fraction);
                        length += 1;
                    }
                });
                valid.append(is_map);
                lengths.push(length);
                is_map
            }
            Cells::Record { fields, columns, valid, len } => {
                let is_record = matches!(value, Value::Record(_));
                valid.append(is_record);
                *len += 1;
                let pairs = fields.iter().zip(columns);
                misfits = pairs.map(|(field, column)| column.push(value.field(field.name()), fraction)).sum();
                is_record
            }
            Cells::Nulls(len) => {
                *len += 1;
                false
            }
        };
        misfits + u64::from(!fits && *value != Value::Null)
    }

    /// The values so far as an array of the type; the builder is empty then.
    pub(crate) fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        let carrier: ArrayRef = match &mut self.cells {
            Cells::Bool(cells) => Arc::new(cells.finish()),
            Cells::Int(cells) => Arc::new(cells.finish()),
            Cells::UInt(cells) => Arc::new(cells.finish()),
            Cells::Float(cells) => Arc::new(cells.finish()),
            Cells::Decimal { cells, .. } => Arc::new(cells.finish()),
            Cells::Wide { cells, .. } => Arc::new(cells.finish()),
            Cells::Interval(cells) => Arc::new(cells.finish()),
            Cells::Text(cells) => Arc::new(cells.finish()),
            Cells::Bytes(cells) => Arc::new(cells.finish()),
            Cells::List { items, lengths, valid } => {
                let offsets = OffsetBuffer::from_lengths(std::mem::take(lengths));
                let DataType::List(item) = &self.data_type else {
                    return Err(ArrowError::SchemaError("a list column of no list type".to_owned()));
                };
                Arc::new(ListArray::try_new(Arc::clone(item), offsets, items.finish()?, valid.finish())?)
            }
            Cells::Map { keys, values, lengths, valid } => {
                let DataType::Map(entries, is_sorted) = &self.data_type else {
                    return Err(ArrowError::SchemaError("a map column of no map type".to_owned()));
                };
                let (mut columns, mut lengths) =
                    (vec![keys.finish()?, values.finish()?], std::mem::take(lengths));
                // A key that did not fit is null: its entry is none.
                if let Some(keys) = columns[0].logical_nulls().filter(|nulls| nulls.null_count() > 0) {
                    let kept = BooleanArray::new(keys.inner().clone(), None);
                    columns = columns.iter().map(|column| filter(column, &kept)).collect::<Result<_, _>>()?;
                    let mut at = 0;
                    for length in &mut lengths {
                        let of = keys.slice(at, *length);
                        at += *length;
                        *length -= of.null_count();
                    }
                }
                let DataType::Struct(fields) = entries.data_type() else {
                    return Err(ArrowError::SchemaError("a map column of no entries".to_owned()));
                };
                let items = StructArray::try_new(fields.clone(), columns, None)?;
                let offsets = OffsetBuffer::from_lengths(lengths);
                Arc::new(MapArray::try_new(Arc::clone(entries), offsets, items, valid.finish(), *is_sorted)?)
            }
            Cells::Record { fields, columns, valid, len } => {
                let columns = columns.iter_mut().map(Self::finish).collect::<Result<Vec<_>, _>>()?;
                let len = std::mem::take(len);
                Arc::new(StructArray::try_new_with_length(fields.clone(), columns, valid.finish(), len)?)
            }
            Cells::Nulls(len) => new_null_array(&self.data_type, std::mem::take(len)),
        };
        if *carrier.data_type() == self.data_type {
            return Ok(carrier);
        }
        match &self.data_type {
            // Days, and seconds and milliseconds of one, fit 32 bits: they were held to it.
            DataType::Date32 | DataType::Time32(_) => {
                cast(&cast(&carrier, &DataType::Int32)?, &self.data_type)
            }
            other => cast(&carrier, other),
        }
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::cast::AsArray;
    use arrow_array::types::{
        Float32Type, Int8Type, Int64Type, IntervalMonthDayNano, IntervalMonthDayNanoType,
        TimestampSecondType, UInt64Type,
    };
    use arrow_schema::{Field, TimeUnit};

    use super::super::value::infer;
    use super::*;
    use crate::columns::known;
    use crate::columns::times::NANOS_A_DAY;

    fn column(data_type: &DataType, values: &[Value<'_>]) -> (ArrayRef, u64) {
        column_of(data_type, values, Fraction::IsCutOff)
    }

    fn column_of(data_type: &DataType, values: &[Value<'_>], fraction: Fraction) -> (ArrayRef, u64) {
        let mut builder = Builder::new(data_type);
        let misfits = values.iter().map(|value| builder.push(value, fraction)).sum();
        (builder.finish().unwrap(), misfits)
    }

    #[test]
    fn a_fraction_is_cut_off_or_does_not_fit() {
        let given = [1.5, -2.0, -0.5, -0.0, f64::INFINITY].map(Value::Float);
        for of in [DataType::Int64, DataType::Int8, DataType::Decimal128(38, 0)] {
            let shown = |fraction| {
                let (column, misfits) = column_of(&of, &given, fraction);
                let ints = cast(&column, &DataType::Int64).unwrap();
                (ints.as_primitive::<Int64Type>().iter().collect::<Vec<_>>(), misfits)
            };
            assert_eq!(shown(Fraction::IsCutOff), (vec![Some(1), Some(-2), Some(0), Some(0), None], 1));
            assert_eq!(shown(Fraction::IsNone), (vec![None, Some(-2), None, Some(0), None], 3));
        }
        let (counts, misfits) =
            column_of(&DataType::UInt64, &[Value::Float(1.5), Value::Float(3.0)], Fraction::IsNone);
        assert_eq!((counts.as_primitive::<UInt64Type>().value(1), misfits), (3, 1));
        // Of one with places as many are kept as it has.
        let (cents, misfits) =
            column_of(&DataType::Decimal128(5, 2), &[Value::Float(1.125)], Fraction::IsNone);
        assert_eq!((cents.as_primitive::<Decimal128Type>().value(0), misfits), (112, 0));
    }

    #[test]
    fn what_does_not_fit_is_null_and_counted() {
        let (ints, misfits) = column(
            &DataType::Int8,
            &[
                Value::Int(1),
                Value::Int(300),
                Value::Float(2.0),
                Value::Float(-2.9),
                Value::Float(128.5),
                Value::Float(f64::NAN),
                Value::Null,
                Value::Bool(true),
            ],
        );
        let ints = ints.as_primitive::<Int8Type>();
        let expected = [Some(1), None, Some(2), Some(-2), None, None, None, None];
        assert_eq!(ints.iter().collect::<Vec<_>>(), expected);
        assert_eq!(misfits, 4);

        let (floats, misfits) = column(&DataType::Float32, &[Value::Int(1), Value::Text("x".into())]);
        assert_eq!(floats.as_primitive::<Float32Type>().iter().collect::<Vec<_>>(), [Some(1.0), None]);
        assert_eq!(misfits, 1);

        let seconds = DataType::Timestamp(TimeUnit::Second, None);
        let (times, misfits) = column(
            &seconds,
            &[
                Value::Time(1_999_999_999),
                Value::Int(7),
                Value::Text("1970-01-01T00:00:09Z".into()),
                Value::Text("x".into()),
            ],
        );
        assert_eq!(
            times.as_primitive::<TimestampSecondType>().iter().collect::<Vec<_>>(),
            [Some(1), Some(7), Some(9), None]
        );
        assert_eq!(misfits, 1);
    }

    #[test]
    fn decimals_keep_their_digits() {
        let decimals = |values: &[Value<'_>]| {
            let (column, misfits) = column(&DataType::Decimal128(5, 2), values);
            (column.as_primitive::<Decimal128Type>().iter().collect::<Vec<_>>(), misfits)
        };
        let of = |digits: &'static str| Value::Decimal(digits.into());
        let (found, misfits) = decimals(&[
            of("-1.10"),
            of("1"),
            of("1.999"),
            of("1000"),
            Value::Int(7),
            Value::Float(0.25),
            of("x"),
        ]);
        assert_eq!(found, [Some(-110), Some(100), Some(199), None, Some(700), Some(25), None]);
        assert_eq!(misfits, 2);
        assert_eq!(column(&DataType::Int64, &[of("9007199254740993.9")]).1, 0);

        let types = |values: &[Value<'_>]| {
            let rows: Vec<_> =
                values.iter().map(|value| Value::Record(vec![("a".into(), value.clone())])).collect();
            infer(&rows)[0].data_type().clone()
        };
        assert_eq!(types(&[of("1.10"), of("0.001"), Value::Int(1)]), DataType::Decimal128(38, 3));
        assert_eq!(types(&[Value::Int(1), of("0.001")]), DataType::Decimal128(38, 3));
        assert_eq!(types(&[of("0.001"), Value::Float(1.0)]), DataType::Float64);
        let (long, small) =
            ("1234567890123456789012345678901234567890", "-0.0000000000000000000000000000000000000001");
        assert_eq!(types(&[of(long)]), DataType::Decimal256(76, 0));
        assert_eq!(types(&[of(small), of("1")]), DataType::Decimal256(76, 40));
        assert_eq!(types(&[of("0.12345678901234567890123456789012345678")]), DataType::Decimal128(38, 38));
    }

    #[test]
    fn records_and_lists_hold_what_fits_of_them() {
        let row = serde_json::json!({"text": "a", "langs": ["en", 5, null], "more": 1});
        let of = DataType::Struct(
            vec![
                Field::new("langs", types::list(DataType::Utf8), true),
                Field::new("text", DataType::Utf8, true),
                Field::new("gone", DataType::Int64, true),
            ]
            .into(),
        );
        let (rows, misfits) = column(&of, &[Value::of_json(&row), Value::Int(1), Value::Null]);
        assert_eq!(misfits, 2);
        let rows = rows.as_struct();
        assert_eq!(rows.null_count(), 2);
        let langs = rows.column(0).as_list::<i32>().value(0);
        assert_eq!(langs.as_string::<i32>().iter().collect::<Vec<_>>(), [Some("en"), None, None]);
        assert_eq!(rows.column(1).as_string::<i32>().value(0), "a");
        assert!(rows.column(2).is_null(0));
    }

    #[test]
    fn maps_hold_what_fits_of_them() {
        let fields =
            vec![Field::new("key", DataType::Utf8, false), Field::new("value", DataType::Int64, true)];
        let entries = Field::new("entries", DataType::Struct(fields.into()), false);
        let of = DataType::Map(Arc::new(entries), false);
        let json =
            serde_json::json!([{"a": 1}, [["b", 2], [3, 4], [null, 5], 6], [{"key": "c", "value": "x"}], 7]);
        let Value::List(given) = Value::of_json(&json) else { panic!("a list") };
        let (maps, misfits) = column(&of, &given);
        // A key that is a number, one that is null, what is no entry, a value that is text, what is no map.
        assert_eq!(misfits, 5);
        let maps = maps.as_map();
        assert!(maps.is_null(3));
        let of_row = |row: usize| {
            let entries = maps.value(row);
            let keys = entries.column(0).as_string::<i32>().iter().map(|key| key.unwrap().to_owned());
            let values = entries.column(1).as_primitive::<Int64Type>();
            keys.zip(values).collect::<Vec<_>>()
        };
        assert_eq!(of_row(0), [("a".to_owned(), Some(1))]);
        assert_eq!(of_row(1), [("b".to_owned(), Some(2))]);
        assert_eq!(of_row(2), [("c".to_owned(), None)]);
    }

    #[test]
    fn a_value_of_a_map_that_does_not_fit_is_null_also_where_its_column_has_none() {
        let fields = ["key", "value"].map(|name| Field::new(name, DataType::Int64, false));
        let entries = Field::new("entries", DataType::Struct(fields.to_vec().into()), false);
        let of = known(&Field::new("m", DataType::Map(Arc::new(entries), false), true));
        let map = Value::List(vec![Value::List(vec![Value::Int(1), Value::Text("x".into())])]);
        let (maps, misfits) = column(of.data_type(), &[map]);
        assert_eq!((maps.as_map().value(0).column(1).null_count(), misfits), (1, 1));
    }

    #[test]
    fn each_type_of_a_schema_takes_what_is_written_for_it() {
        let shown = |data_type: DataType, values: &[Value<'_>]| {
            let (column, misfits) = column(&data_type, values);
            let texts = cast(&column, &DataType::Utf8).unwrap();
            let texts = texts.as_string::<i32>().iter().map(|text| text.map(str::to_owned));
            (texts.collect::<Vec<_>>(), misfits)
        };
        let some = |texts: &[&str], nulls: usize| {
            let texts = texts.iter().map(|text| Some((*text).to_owned()));
            (texts.chain(std::iter::repeat_n(None, nulls)).collect::<Vec<_>>(), nulls as u64)
        };
        let half_past = || Value::TimeOfDay(34_200_000_000_000);
        let never = || Value::Int(NANOS_A_DAY);
        assert_eq!(
            shown(DataType::Time32(TimeUnit::Second), &[half_past(), Value::Text("09:30".into()), never()]),
            some(&["09:30:00", "09:30:00"], 1)
        );
        assert_eq!(
            shown(
                DataType::Time64(TimeUnit::Nanosecond),
                &[half_past(), Value::Text("34200".into()), never()]
            ),
            some(&["09:30:00"], 2)
        );
        let digits = |digits: &'static str| Value::Decimal(digits.into());
        for of in [DataType::Decimal32(5, 2), DataType::Decimal64(5, 2), DataType::Decimal256(5, 2)] {
            assert_eq!(shown(of, &[digits("-1.5"), digits("1000")]), some(&["-1.50"], 1));
        }
        let long = "1234567890123456789012345678901234567890.5";
        assert_eq!(shown(DataType::Decimal256(76, 1), &[digits(long)]), some(&[long], 0));
        let bytes = |bytes: &'static [u8]| Value::Bytes(bytes.into());
        let (two, misfits) =
            column(&DataType::FixedSizeBinary(2), &[bytes(b"ab"), bytes(b"abc"), Value::Null]);
        let two: Vec<_> = two.as_fixed_size_binary().iter().collect();
        assert_eq!((two, misfits), (vec![Some(b"ab".as_slice()), None, None], 1));
        let of = DataType::Interval(IntervalUnit::MonthDayNano);
        let parts = |months| Value::List(vec![Value::Int(months), Value::Int(2), Value::Int(3)]);
        let (intervals, misfits) = column(&of, &[parts(1), parts(i64::MAX)]);
        let intervals: Vec<_> = intervals.as_primitive::<IntervalMonthDayNanoType>().iter().collect();
        assert_eq!((intervals, misfits), (vec![Some(IntervalMonthDayNano::new(1, 2, 3)), None], 1));
    }
}

//! What formats make of values and columns that they have no form for.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::sync::Arc;

use arrow_array::builder::{ListBuilder, MapBuilder, StringBuilder, TimestampSecondBuilder};
use arrow_array::cast::AsArray;
use arrow_array::types::{Date32Type, Time32MillisecondType, TimestampMillisecondType};
use arrow_array::{
    Array, ArrayRef, BooleanArray, Date32Array, Date64Array, Decimal128Array, DurationSecondArray,
    FixedSizeBinaryArray, Float64Array, Int32Array, Int64Array, IntervalMonthDayNanoArray, ListArray,
    MapArray, RecordBatch, StringArray, StructArray, Time32SecondArray, TimestampMillisecondArray,
    TimestampNanosecondArray, TimestampSecondArray, UnionArray,
};
use arrow_buffer::{IntervalMonthDayNano, OffsetBuffer, ScalarBuffer};
use arrow_schema::{DataType, Field, Fields, TimeUnit, UnionFields};
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use skytide_connect::sink::{Csv, FileFormat, FileSink, Ndjson, Roll, Sink, text_form};

/// A batch of an answer.
fn answer(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    let rows = columns[0].1.len() as i64;
    let time: ArrayRef = Arc::new(TimestampNanosecondArray::from_iter_values(0..rows).with_timezone("UTC"));
    RecordBatch::try_from_iter([("_time", time)].into_iter().chain(columns)).unwrap()
}

/// JSON lines of the batch without their times, and how many values had no text.
fn json(batch: &RecordBatch) -> (Vec<String>, u64) {
    let mut out = Vec::new();
    let mut sink = Ndjson::new(&mut out);
    sink.write(batch).unwrap();
    let lost = sink.misfits();
    let text = String::from_utf8(out).unwrap();
    (text.lines().map(|line| format!("{{{}", line.split_once("Z\",").unwrap().1)).collect(), lost)
}

/// The same of CSV, without its header.
fn csv(batch: &RecordBatch) -> (Vec<String>, u64) {
    let mut out = Vec::new();
    let mut sink = Csv::new(&mut out, batch.schema());
    sink.write(batch).unwrap();
    let lost = sink.misfits();
    let text = String::from_utf8(out).unwrap();
    (text.lines().skip(1).map(|line| line.split_once("Z,").unwrap().1.to_owned()).collect(), lost)
}

/// Lists of two items.
fn pairs(items: ArrayRef) -> ArrayRef {
    let item = Arc::new(Field::new("item", items.data_type().clone(), true));
    let offsets = OffsetBuffer::from_lengths(vec![2; items.len() / 2]);
    Arc::new(ListArray::new(item, offsets, items, None))
}

/// Maps of one entry.
fn maps(keys: ArrayRef, values: ArrayRef) -> ArrayRef {
    let key = Field::new("key", keys.data_type().clone(), false);
    let fields = Fields::from(vec![key, Field::new("value", values.data_type().clone(), true)]);
    let offsets = OffsetBuffer::from_lengths(vec![1; keys.len()]);
    let entries = StructArray::new(fields, vec![keys, values], None);
    let entry = Arc::new(Field::new("entries", entries.data_type().clone(), false));
    Arc::new(MapArray::new(entry, offsets, entries, None, false))
}

#[test]
fn moments_and_dates_are_that_to_every_reader_of_parquet() {
    let seconds = vec![Some(-1), Some(1 << 62), None, Some(1_700_000_000)];
    let moments: ArrayRef = Arc::new(TimestampSecondArray::from(seconds.clone()));
    let zoned = TimestampSecondArray::from(seconds.clone()).with_timezone("+02:00");
    let times = Time32SecondArray::from(vec![Some(0), Some(86_399), None, Some(i32::MAX)]);
    let days = Date64Array::from(vec![Some(-1), Some(i64::MAX), None, Some(86_400_000)]);
    let mut lists = ListBuilder::new(TimestampSecondBuilder::new());
    for second in seconds {
        lists.append_value([second, Some(7)]);
    }
    let batch = answer(vec![
        ("_key", Arc::clone(&moments)),
        ("zoned", Arc::new(zoned)),
        ("times", Arc::new(times)),
        ("days", Arc::new(days)),
        ("lists", Arc::new(lists.finish())),
    ]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.parquet");
    let mut sink = FileSink::file(&path, FileFormat::Parquet, &batch.schema()).unwrap();
    sink.write(&batch).unwrap();
    // One value a column is beyond what the file holds.
    assert_eq!(sink.misfits(), 5);
    sink.finish().unwrap();

    // By the types of the file alone, as others read it.
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let file = std::fs::File::open(&path).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new_with_options(file, options).unwrap();
    let read = reader.build().unwrap().next().unwrap().unwrap();
    let millis = [Some(-1000), None, None, Some(1_700_000_000_000)];
    let of = |name: &str| Arc::clone(read.column_by_name(name).unwrap());
    for name in ["_key", "zoned"] {
        assert_eq!(of(name).as_primitive::<TimestampMillisecondType>().iter().collect::<Vec<_>>(), millis);
    }
    let times: Vec<_> = of("times").as_primitive::<Time32MillisecondType>().iter().collect();
    assert_eq!(times, [Some(0), Some(86_399_000), None, None]);
    let days: Vec<_> = of("days").as_primitive::<Date32Type>().iter().collect();
    assert_eq!(days, [Some(-1), None, None, Some(1)]);
    let lists = of("lists");
    let items = lists.as_list::<i32>().values().as_primitive::<TimestampMillisecondType>().clone();
    assert_eq!(items.iter().step_by(2).collect::<Vec<_>>(), millis);
    // The whole form of the type is there for whoever reads it.
    let own = ParquetRecordBatchReaderBuilder::try_new(std::fs::File::open(&path).unwrap()).unwrap();
    let zoned = own.schema().field_with_name("zoned").unwrap().data_type().clone();
    assert_eq!(zoned, DataType::Timestamp(TimeUnit::Millisecond, Some("+02:00".into())));
}

#[test]
fn a_date_is_shown_as_one_in_either_unit() {
    let narrow: ArrayRef = Arc::new(Date32Array::from(vec![Some(-1), None]));
    let wide: ArrayRef = Arc::new(Date64Array::from(vec![Some(-86_400_000), None]));
    let batch = answer(vec![("_key", narrow), ("wide", wide)]);
    let shown = [r#"{"_key":"1969-12-31","wide":"1969-12-31"}"#, r#"{"_key":null,"wide":null}"#];
    assert_eq!(json(&batch), (shown.map(str::to_owned).to_vec(), 0));
}

#[test]
fn what_has_no_text_is_null_and_counted() {
    let seconds: ArrayRef = Arc::new(TimestampSecondArray::from(vec![1 << 62, 0]));
    let record = StructArray::from(vec![(
        Arc::new(Field::new("at", seconds.data_type().clone(), true)),
        Arc::clone(&seconds),
    )]);
    let keys: ArrayRef = Arc::new(StringArray::from(vec!["a", "b"]));
    let batch = answer(vec![
        ("_key", Arc::new(Date32Array::from(vec![i32::MAX, 0]))),
        (
            "millis",
            Arc::new(TimestampMillisecondArray::from(vec![i64::MAX, 0]).with_timezone("Europe/Berlin")),
        ),
        ("seconds", Arc::clone(&seconds)),
        ("time", Arc::new(Time32SecondArray::from(vec![86_401, 1]))),
        ("long", Arc::new(DurationSecondArray::from(vec![i64::MAX, 1]))),
        ("record", Arc::new(record)),
        ("map", maps(keys, Arc::clone(&seconds))),
        ("by", maps(seconds, Arc::new(Int64Array::from(vec![1, 2])))),
    ]);
    let (nulls, shown) = (
        r#"{"_key":null,"millis":null,"seconds":null,"time":null,"long":null,"record":{"at":null},"map":{"a":null},"by":{}}"#,
        r#"{"_key":"1970-01-01","millis":"1970-01-01T00:00:00Z","seconds":"1970-01-01T00:00:00","time":"00:00:01","long":"PT1S","record":{"at":"1970-01-01T00:00:00"},"map":{"b":"1970-01-01T00:00:00"},"by":{"1970-01-01T00:00:00":2}}"#,
    );
    assert_eq!(json(&batch), (vec![nulls.to_owned(), shown.to_owned()], 8));
    // Only what is written counts.
    assert_eq!(json(&batch.slice(1, 1)), (vec![shown.to_owned()], 0));
    let (rows, lost) = csv(&batch);
    assert_eq!(rows[0], r#",,,,,"{""at"":null}","{""a"":null}",{}"#);
    assert_eq!(lost, 8);
    let lists = answer(vec![("l", pairs(Arc::new(Date32Array::from(vec![i32::MAX, 0, 1, i32::MIN]))))]);
    let text = vec![r#"{"l":[null,"1970-01-01"]}"#.to_owned(), r#"{"l":["1970-01-02",null]}"#.to_owned()];
    assert_eq!(json(&lists), (text.clone(), 2));
    assert_eq!(json(&lists.slice(1, 1)), (text[1..].to_vec(), 1));
}

#[test]
fn a_moment_that_an_offset_moves_beyond_all_days_is_null() {
    let (first, last) = (-8_334_601_228_800, 8_210_266_876_799);
    let moments = TimestampSecondArray::from(vec![first, last, 0]);
    for (offset, shown) in [("+14:00", "14:00:00+14:00"), ("-10:00", "31T14:00:00-10:00")] {
        let batch = answer(vec![("at", Arc::new(moments.clone().with_timezone(offset)))]);
        let (lines, lost) = json(&batch);
        assert_eq!((&lines[..2], lost), (&[r#"{"at":null}"#.to_owned(), r#"{"at":null}"#.to_owned()][..], 2));
        assert!(lines[2].contains(shown), "{lines:?}");
    }
}

#[test]
fn keys_of_maps_are_written_as_their_text() {
    let record = StructArray::from(vec![(
        Arc::new(Field::new("x", DataType::Int64, true)),
        Arc::new(Int64Array::from(vec![1, 2])) as ArrayRef,
    )]);
    let moments = TimestampNanosecondArray::from(vec![0, 1_500_000_000]).with_timezone("UTC");
    let decimals =
        Decimal128Array::from(vec![1_234_567_890_123_456_789, -1]).with_precision_and_scale(19, 19);
    let bytes = FixedSizeBinaryArray::try_from_iter([[1u8, 0xff], [0, 2]].into_iter()).unwrap();
    let cases: [(ArrayRef, [&str; 2]); 8] = [
        (Arc::new(Int32Array::from(vec![-1, 2])), ["-1", "2"]),
        (Arc::new(BooleanArray::from(vec![true, false])), ["true", "false"]),
        (Arc::new(Float64Array::from(vec![1.5, f64::NAN])), ["1.5", "NaN"]),
        (Arc::new(moments), ["1970-01-01T00:00:00Z", "1970-01-01T00:00:01.500Z"]),
        (Arc::new(decimals.unwrap()), ["0.1234567890123456789", "-0.0000000000000000001"]),
        (Arc::new(bytes), ["01ff", "0002"]),
        (Arc::new(record), [r#"{\"x\":1}"#, r#"{\"x\":2}"#]),
        (
            pairs(Arc::new(StringArray::from(vec!["a", "b", "c", "d"]))),
            [r#"[\"a\",\"b\"]"#, r#"[\"c\",\"d\"]"#],
        ),
    ];
    for (keys, texts) in cases {
        let column = maps(keys, Arc::new(Int64Array::from(vec![Some(7), None])));
        let others: ArrayRef = Arc::new(Int64Array::from(vec![0, 0]));
        let batch = answer(vec![("_key", column), ("m", others)]);
        let expected = [format!(r#"{{"{}":7}}"#, texts[0]), format!(r#"{{"{}":null}}"#, texts[1])];
        let lines: Vec<_> = expected.iter().map(|key| format!(r#"{{"_key":{key},"m":0}}"#)).collect();
        assert_eq!(json(&batch), (lines.clone(), 0));
        assert_eq!(json(&batch.slice(1, 1)).0, lines[1..]);
        let (rows, _) = csv(&batch);
        assert!(rows[0].starts_with(&format!("\"{}\"", expected[0].replace('"', "\"\""))), "{rows:?}");
    }
    // Maps that are null, empty, and of several keys.
    let mut several = MapBuilder::new(None, arrow_array::builder::Int32Builder::new(), StringBuilder::new());
    for (key, value) in [(1, "a"), (2, "b")] {
        several.keys().append_value(key);
        several.values().append_value(value);
    }
    several.append(true).unwrap();
    several.append(false).unwrap();
    several.append(true).unwrap();
    let batch = answer(vec![("m", Arc::new(several.finish()))]);
    assert_eq!(json(&batch).0, [r#"{"m":{"1":"a","2":"b"}}"#, r#"{"m":null}"#, r#"{"m":{}}"#]);
    assert_eq!(csv(&batch).0, [r#""{""1"":""a"",""2"":""b""}""#, "", "{}"]);
}

#[test]
fn a_column_without_a_form_is_refused_by_name_before_anything_is_written() {
    let types: UnionFields = [(0, Arc::new(Field::new("i", DataType::Int64, true)))].into_iter().collect();
    let of: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    let union: ArrayRef =
        Arc::new(UnionArray::try_new(types, ScalarBuffer::from(vec![0i8]), None, vec![of]).unwrap());
    let interval: ArrayRef =
        Arc::new(IntervalMonthDayNanoArray::from(vec![IntervalMonthDayNano::new(1, 2, 3)]));
    let empty: ArrayRef = Arc::new(StructArray::new_empty_fields(1, None));
    let inner = StructArray::from(vec![(
        Arc::new(Field::new("x", empty.data_type().clone(), true)),
        Arc::clone(&empty),
    )]);
    let nothing: ArrayRef = Arc::new(FixedSizeBinaryArray::new_null(0, 1));
    let field = |of: &ArrayRef| Arc::new(Field::new("x", of.data_type().clone(), true));
    let hundreds = Decimal128Array::from(vec![1]).with_precision_and_scale(5, -2).unwrap();
    let folder = tempfile::tempdir().unwrap();
    for (column, what) in [
        (Arc::clone(&union), "values of several types (a union)"),
        (interval, "intervals of months, days and nanoseconds"),
        (empty, "records without fields"),
        (Arc::new(inner), "records without fields"),
        (Arc::clone(&nothing), "bytes of no length"),
        (Arc::new(StructArray::from(vec![(field(&nothing), nothing)])), "bytes of no length"),
        (Arc::new(hundreds), "decimals of whole tens, hundreds and so on (a negative scale)"),
    ] {
        let schema = answer(vec![("odd", column)]).schema();
        let refused = |path: &Path| {
            let file = FileSink::file(path, FileFormat::Parquet, &schema).err().unwrap().to_string();
            let rolled = FileSink::folder(path, FileFormat::Parquet, &schema, Roll::default());
            assert_eq!(rolled.err().unwrap().to_string(), file);
            file
        };
        let expected =
            format!("cannot write the column \"odd\" as Parquet: it has no form for {what}; Arrow has");
        assert_eq!(refused(&folder.path().join("rows")), expected);
        assert!(FileSink::file(&folder.path().join("rows"), FileFormat::Arrow, &schema).is_ok());
    }
    assert_eq!(folder.path().read_dir().unwrap().count(), 0);
    let batch = answer(vec![("odd", union)]);
    for written in [Ndjson::new(Vec::new()).write(&batch), Csv::new(Vec::new(), batch.schema()).write(&batch)]
    {
        let error = written.unwrap_err().to_string();
        assert!(
            error.starts_with("cannot write the column \"odd\" as JSON: it has no form for the type "),
            "{error}"
        );
        assert_eq!(text_form(&batch.schema()).unwrap_err().to_string(), error);
    }
    assert!(text_form(&answer(vec![("plain", Arc::new(Int64Array::from(vec![1])))]).schema()).is_ok());
}

#[test]
fn decimals_keep_their_digits_within_lists_and_records() {
    let digits = Decimal128Array::from(vec![1_234_567_890_123_456_789, 11_000_000_000_000_000_000]);
    let digits: ArrayRef = Arc::new(digits.with_precision_and_scale(38, 19).unwrap());
    let list = pairs(Arc::clone(&digits));
    let record = StructArray::from(vec![(
        Arc::new(Field::new("d", digits.data_type().clone(), true)),
        digits.slice(0, 1),
    )]);
    let batch = answer(vec![("list", list), ("record", Arc::new(record))]);
    let row = r#""[0.1234567890123456789,1.1000000000000000000]","{""d"":0.1234567890123456789}""#;
    assert_eq!(csv(&batch).0, [row]);
}

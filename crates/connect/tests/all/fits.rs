//! What fits a column: the same of rows, of columns and of files, whatever their types are.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow_array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, DurationMillisecondArray,
    FixedSizeBinaryArray, Float32Array, Float64Array, Int8Array, Int64Array, ListArray, MapArray,
    RecordBatch, StringArray, StructArray, Time64MicrosecondArray, TimestampMicrosecondArray,
    TimestampMillisecondArray, TimestampNanosecondArray, TimestampSecondArray, UInt32Array, UInt64Array,
};
use arrow_buffer::OffsetBuffer;
use arrow_cast::cast;
use arrow_ipc::writer::FileWriter;
use arrow_schema::{DataType, Field, TimeUnit};
use parquet::arrow::ArrowWriter;
use skytide_connect::files::{Definition, Files};
use skytide_connect::run::{RunOptions, run};
use skytide_connect::sink::Ndjson;
use skytide_connect::source::Status;
use skytide_connect::sources::{Offer, Sources};
use skytide_connect::tables::{self, Table, Value};
use skytide_timestream::engine::Mode;
use skytide_timestream::plan::Results;

/// The values of a query without their times and keys, as JSON lines, and what its sources tell.
fn answer(query: &str, offer: Offer) -> (Vec<String>, Status) {
    let sources = Sources::new(vec![offer]);
    let checked = skytide_timestream::compile(query, &sources).unwrap_or_else(|error| panic!("{error}"));
    let plan = Arc::new(skytide_timestream::plan(Arc::new(checked), Results::history()));
    let mut source = sources.open(&plan, Mode::Once).unwrap();
    let mut text = Vec::new();
    let ran = run(plan, &mut source, &mut Ndjson::new(&mut text), &RunOptions::once(), |_, _| {}).unwrap();
    let value = |line: &str| {
        let mut row: serde_json::Map<String, serde_json::Value> = serde_json::from_str(line).unwrap();
        row.retain(|name, _| !name.starts_with('_'));
        serde_json::Value::Object(row).to_string()
    };
    (std::str::from_utf8(&text).unwrap().lines().map(value).collect(), ran.source)
}

fn table(x: &DataType) -> Table {
    let fields = [("t", DataType::Int64), ("k", DataType::Utf8), ("x", x.clone())];
    let fields = fields.map(|(name, of)| Field::new(name, of, true)).to_vec();
    Table::new(tables::Definition::new("m", fields, "t", "k")).unwrap()
}

/// A column `x` beside times and keys.
fn batch(x: &ArrayRef) -> RecordBatch {
    let rows = x.len() as i64;
    RecordBatch::try_from_iter_with_nullable([
        ("t", Arc::new(Int64Array::from_iter_values(1..=rows)) as ArrayRef, true),
        ("k", Arc::new(StringArray::from(vec!["A"; x.len()])), true),
        ("x", Arc::clone(x), true),
    ])
    .unwrap()
}

/// What a table gives of a column, and how many values did not fit, and had no place.
fn pushed(x: &ArrayRef, to: &DataType) -> (Vec<String>, u64, u64) {
    let table = table(to);
    table.push_batch(&batch(x)).unwrap();
    taken(&table)
}

/// The same of values.
fn pushed_one_by_one(x: &[Value<'static>], to: &DataType) -> (Vec<String>, u64, u64) {
    let row = |(x, at): (&Value<'static>, i64)| {
        Value::Record(vec![
            ("t".into(), Value::Int(at)),
            ("k".into(), Value::Text("A".into())),
            ("x".into(), x.clone()),
        ])
    };
    let table = table(to);
    table.push_rows(&x.iter().zip(1..).map(row).collect::<Vec<_>>()).unwrap();
    taken(&table)
}

fn taken(table: &Table) -> (Vec<String>, u64, u64) {
    let (rows, _) = answer("m.x", Offer::Table { table: table.clone(), idle: None });
    let counts = table.counts().unwrap();
    (rows, counts.misfits, counts.unknown)
}

fn lists(items: ArrayRef, lengths: &[usize]) -> ArrayRef {
    let item = Arc::new(Field::new("item", items.data_type().clone(), true));
    Arc::new(ListArray::new(item, OffsetBuffer::from_lengths(lengths.iter().copied()), items, None))
}

fn record(columns: &[(&str, ArrayRef)]) -> ArrayRef {
    let field = |name: &str, column: &ArrayRef| Arc::new(Field::new(name, column.data_type().clone(), true));
    let columns = columns.iter().map(|(name, column)| (field(name, column), Arc::clone(column)));
    Arc::new(StructArray::from(columns.collect::<Vec<_>>()))
}

/// Columns, and the same values as a program has them in rows.
fn both_ways() -> Vec<(ArrayRef, Vec<Value<'static>>)> {
    let second = 1_000_000_000;
    let moment = 1_783_168_215 * second;
    let texts = ["5", "1.5", "true", "2026-07-04T12:30:15Z", "2026-07-04", "1h", "09:30", "x", ""];
    let text = |text: &'static str| Value::Text(text.into());
    let maps = {
        let keys: ArrayRef = Arc::new(StringArray::from(vec!["a", "b"]));
        let values: ArrayRef = Arc::new(Int64Array::from(vec![1, 300]));
        let fields =
            vec![Field::new("keys", DataType::Utf8, false), Field::new("values", DataType::Int64, true)];
        let entries = StructArray::new(fields.clone().into(), vec![keys, values], None);
        let field = Arc::new(Field::new("entries", DataType::Struct(fields.into()), false));
        MapArray::new(field, OffsetBuffer::from_lengths([2, 0]), entries, None, false)
    };
    let decimals = Decimal128Array::from(vec![150, 200, -50]).with_precision_and_scale(10, 2).unwrap();
    let pair = |key: &'static str, value| Value::List(vec![text(key), Value::Int(value)]);
    vec![
        (
            Arc::new(Int64Array::from(vec![Some(5), Some(-1), None, Some((1 << 53) + 1)])),
            vec![Value::Int(5), Value::Int(-1), Value::Null, Value::Int((1 << 53) + 1)],
        ),
        (Arc::new(UInt64Array::from(vec![5, u64::MAX])), vec![Value::Int(5), Value::UInt(u64::MAX)]),
        (Arc::new(Int8Array::from(vec![5, -1])), vec![Value::Int(5), Value::Int(-1)]),
        (
            Arc::new(Float64Array::from(vec![1.0, 1.5, -2.75, f64::NAN, 1e18])),
            [1.0, 1.5, -2.75, f64::NAN, 1e18].map(Value::Float).to_vec(),
        ),
        (Arc::new(StringArray::from(texts.to_vec())), texts.map(text).to_vec()),
        (Arc::new(BooleanArray::from(vec![true, false])), vec![Value::Bool(true), Value::Bool(false)]),
        (
            Arc::new(TimestampNanosecondArray::from(vec![moment + 5, -1])),
            vec![Value::Time(moment + 5), Value::Time(-1)],
        ),
        (
            Arc::new(TimestampMillisecondArray::from(vec![moment / 1_000_000 + 5, -1])),
            vec![Value::Time(moment + 5_000_000), Value::Time(-1_000_000)],
        ),
        (
            Arc::new(TimestampMicrosecondArray::from(vec![moment / 1000]).with_timezone("Europe/Berlin")),
            vec![Value::Time(moment)],
        ),
        (
            Arc::new(TimestampSecondArray::from(vec![moment / second]).with_timezone("+05:00")),
            vec![Value::Time(moment)],
        ),
        (
            Arc::new(Date32Array::from(vec![20_638, -1])),
            vec![Value::Time(20_638 * 86_400 * second), Value::Time(-86_400 * second)],
        ),
        (Arc::new(DurationMillisecondArray::from(vec![1500])), vec![Value::Duration(3 * second / 2)]),
        (
            Arc::new(Time64MicrosecondArray::from(vec![3_600_000_001])),
            vec![Value::TimeOfDay(3_600_000_001_000)],
        ),
        (
            Arc::new(BinaryArray::from(vec![b"5".as_slice(), b"ab"])),
            vec![Value::Bytes(b"5".into()), Value::Bytes(b"ab".into())],
        ),
        (
            Arc::new(FixedSizeBinaryArray::try_from_iter([b"ab"].into_iter()).unwrap()),
            vec![Value::Bytes(b"ab".into())],
        ),
        (Arc::new(decimals), ["1.50", "2.00", "-0.50"].map(|digits| Value::Decimal(digits.into())).to_vec()),
        (
            lists(Arc::new(Int64Array::from(vec![1, 300])), &[2, 0]),
            vec![Value::List(vec![Value::Int(1), Value::Int(300)]), Value::List(vec![])],
        ),
        (
            lists(Arc::new(StringArray::from(vec!["1", "2026-07-04"])), &[1, 1]),
            vec![Value::List(vec![text("1")]), Value::List(vec![text("2026-07-04")])],
        ),
        (
            record(&[
                ("b", Arc::new(Int64Array::from(vec![Some(2), None])) as _),
                ("c", Arc::new(StringArray::from(vec!["x", "y"])) as _),
            ]),
            vec![
                Value::Record(vec![("b".into(), Value::Int(2)), ("c".into(), text("x"))]),
                Value::Record(vec![("b".into(), Value::Null), ("c".into(), text("y"))]),
            ],
        ),
        (
            record(&[
                ("a", Arc::new(Int8Array::from(vec![1])) as _),
                ("b", Arc::new(Float64Array::from(vec![2.5])) as _),
            ]),
            vec![Value::Record(vec![("a".into(), Value::Int(1)), ("b".into(), Value::Float(2.5))])],
        ),
        (Arc::new(maps), vec![Value::List(vec![pair("a", 1), pair("b", 300)]), Value::List(vec![])]),
    ]
}

#[test]
fn columns_fit_as_rows_do() {
    let all = both_ways();
    let mut unlike = Vec::new();
    let narrow_map = skytide_timestream::types::map(DataType::Utf8, DataType::Int8);
    let mut types: Vec<DataType> = all.iter().map(|(column, _)| column.data_type().clone()).collect();
    types.extend([DataType::Float32, DataType::Date64, DataType::Decimal128(38, 0), narrow_map]);
    for (column, values) in &all {
        for to in &types {
            let (columns, rows) = (pushed(column, to), pushed_one_by_one(values, to));
            if columns != rows {
                unlike.push(format!("{} as {to}: {columns:?}, of rows {rows:?}", column.data_type()));
            }
        }
    }
    assert!(unlike.is_empty(), "{}:\n{}", unlike.len(), unlike.join("\n"));
}

#[test]
fn fields_of_records_go_by_their_names() {
    let ints = |values: &[i64]| Arc::new(Int64Array::from(values.to_vec())) as ArrayRef;
    let (a, b, c) = (ints(&[1, 2]), ints(&[3, 4]), ints(&[5, 6]));
    let to = record(&[("a", Arc::clone(&a)), ("b", Arc::clone(&b))]);
    let of = |given: &ArrayRef| pushed(given, to.data_type());
    let swapped = record(&[("b", Arc::clone(&b)), ("a", Arc::clone(&a))]);
    assert_eq!(of(&swapped), (vec![r#"{"a":1,"b":3}"#.into(), r#"{"a":2,"b":4}"#.into()], 0, 0));
    let other = record(&[("a", Arc::clone(&a)), ("c", Arc::clone(&c))]);
    assert_eq!(of(&other), (vec![r#"{"a":1,"b":null}"#.into(), r#"{"a":2,"b":null}"#.into()], 0, 2));
    let fewer = record(&[("b", Arc::clone(&b))]);
    assert_eq!(of(&fewer), (vec![r#"{"a":null,"b":3}"#.into(), r#"{"a":null,"b":4}"#.into()], 0, 0));
    let more = record(&[("c", c), ("b", b), ("a", a)]);
    assert_eq!(of(&more).2, 2);
    // Those within lists, too.
    let of_lists = pushed(&lists(swapped, &[2, 0]), lists(to, &[1, 1]).data_type());
    assert_eq!(of_lists.0[0], r#"{"result":[{"a":1,"b":3},{"a":2,"b":4}]}"#);
    assert_eq!((of_lists.1, of_lists.2), (0, 0));
}

#[test]
fn moments_are_no_numbers_and_the_same_in_every_zone() {
    let moments: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![1_783_168_215_000_000]));
    let zoned = DataType::Timestamp(TimeUnit::Microsecond, Some("Europe/Berlin".into()));
    let expected = vec![r#"{"result":"2026-07-04T12:30:15Z"}"#.to_owned()];
    assert_eq!(pushed(&moments, &DataType::Timestamp(TimeUnit::Second, Some("+02:00".into()))).1, 0);
    let as_utc = |to: &DataType| {
        let table = table(to);
        table.push_batch(&batch(&moments)).unwrap();
        answer("m.x.cast(\"timestamp\")", Offer::Table { table, idle: None }).0
    };
    assert_eq!(as_utc(&zoned), expected);
    assert_eq!(as_utc(&DataType::Timestamp(TimeUnit::Nanosecond, None)), expected);
    // As the times of rows: counts are of whatever unit, so that a moment is none.
    let table = table(&DataType::Int64);
    let columns = batch(&moments);
    let by_moments = [("t", columns.column(2)), ("k", columns.column(1))];
    let by_moments = by_moments.map(|(name, column)| (name, Arc::clone(column)));
    table.push_batch(&RecordBatch::try_from_iter(by_moments).unwrap()).unwrap();
    let counts = table.counts().unwrap();
    assert_eq!((counts.rows, counts.untimed, counts.misfits), (1, 1, 1));
}

#[test]
fn no_number_of_digits_is_too_many() {
    for length in [40, 180, 256, 261, 70_000] {
        let digits = format!("1{}", "0".repeat(length - 1));
        let given: [Value<'static>; 3] =
            [Value::Decimal(digits.clone().into()), Value::Text(digits.into()), Value::Float(1e260)];
        for to in [DataType::Decimal128(38, 0), DataType::Int64] {
            let (rows, misfits, _) = pushed_one_by_one(&given, &to);
            assert_eq!((rows, misfits), (vec![r#"{"result":null}"#.to_owned(); 3], 3), "{length} {to}");
        }
    }
}

fn write(path: &Path, batch: &RecordBatch) {
    let file = File::create(path).unwrap();
    if path.extension().is_some_and(|format| format == "parquet") {
        let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
        writer.write(batch).unwrap();
        writer.close().unwrap();
    } else {
        let mut writer = FileWriter::try_new(file, &batch.schema()).unwrap();
        writer.write(batch).unwrap();
        writer.finish().unwrap();
    }
}

/// What files of one column `x` each give as one stream, in every format that has types, and how many values
/// did not fit.
fn read_together(columns: &[ArrayRef]) -> (Vec<String>, u64) {
    let batches: Vec<_> = columns.iter().map(batch).collect();
    let answers = ["arrow", "parquet"].map(|format| {
        let (rows, status) = read_batches("m.x", &batches, format);
        (rows, status.dropped.get("misfitting values").copied().unwrap_or(0))
    });
    let [arrow, parquet] = answers;
    assert_eq!(arrow, parquet);
    arrow
}

fn joined(columns: &[ArrayRef]) -> Vec<String> {
    read_together(columns).0
}

fn read_batches(query: &str, batches: &[RecordBatch], format: &str) -> (Vec<String>, Status) {
    let folder = tempfile::tempdir().unwrap();
    let paths = batches.iter().enumerate().map(|(at, batch)| {
        let path = folder.path().join(format!("{at}.{format}"));
        write(&path, batch);
        path
    });
    let paths: Vec<_> = paths.collect();
    let definition = Definition { name: "m".into(), ..Definition::new(&paths[0], "t", "k") };
    let files = Files::open(Definition { paths, ..definition }).unwrap();
    answer(query, Offer::Files(Arc::new(files)))
}

#[test]
fn moments_of_files_in_other_units_and_zones_are_one_column() {
    let naive = |values: &ArrayRef, unit| cast(values, &DataType::Timestamp(unit, None)).unwrap();
    let counts: ArrayRef = Arc::new(Int64Array::from(vec![1_783_168_215]));
    let seconds = naive(&counts, TimeUnit::Second);
    let (millis, nanos) = (naive(&seconds, TimeUnit::Millisecond), naive(&seconds, TimeUnit::Nanosecond));
    let utc: ArrayRef =
        Arc::new(TimestampMicrosecondArray::from(vec![1_783_168_215_000_000]).with_timezone("UTC"));
    let berlin: ArrayRef =
        Arc::new(TimestampMillisecondArray::from(vec![1_783_168_215_000]).with_timezone("Europe/Berlin"));
    let date: ArrayRef = Arc::new(Date32Array::from(vec![20_638]));
    let moment = r#"{"result":"2026-07-04T12:30:15Z"}"#;
    let midnight = r#"{"result":"2026-07-04T00:00:00Z"}"#;
    let all = [&millis, &nanos, &utc, &berlin];
    let is_naive = |of: &ArrayRef| matches!(of.data_type(), DataType::Timestamp(_, None));
    for one in all {
        for other in all.into_iter().filter(|other| other.data_type() != one.data_type()) {
            // Two without a zone have none together.
            let shown = match is_naive(one) && is_naive(other) {
                true => r#"{"result":"2026-07-04T12:30:15"}"#,
                false => moment,
            };
            assert_eq!(joined(&[Arc::clone(one), Arc::clone(other)]), [shown; 2]);
        }
        assert_eq!(joined(&[Arc::clone(one), Arc::clone(&date)]), [moment, midnight]);
    }
}

#[test]
fn dictionaries_are_what_they_stand_for() {
    let decimals = Decimal128Array::from(vec![150, -200]).with_precision_and_scale(10, 2).unwrap();
    let wide = cast(&decimals, &DataType::Decimal256(50, 2)).unwrap();
    let numbers: ArrayRef = Arc::new(UInt32Array::from(vec![1, 2]));
    for values in [Arc::new(decimals) as ArrayRef, wide, numbers] {
        let keys = arrow_array::Int32Array::from(vec![Some(0), Some(1), None, Some(0)]);
        let plain = arrow_select::take::take(&values, &keys, None).unwrap();
        let coded: ArrayRef =
            Arc::new(arrow_array::DictionaryArray::try_new(keys, Arc::clone(&values)).unwrap());
        let alone = |column: &ArrayRef| joined(std::slice::from_ref(column));
        assert_eq!(alone(&coded), alone(&plain));
        let (coded, plain) = (lists(coded, &[3, 0, 1]), lists(plain, &[3, 0, 1]));
        assert_eq!(alone(&coded), alone(&plain));
        assert_eq!(alone(&record(&[("a", coded)])), alone(&record(&[("a", plain)])));
    }
}

#[test]
fn files_that_are_unlike_lose_no_value() {
    let ints = |values: &[i64]| Arc::new(Int64Array::from(values.to_vec())) as ArrayRef;
    let most: ArrayRef = Arc::new(UInt64Array::from(vec![u64::MAX, u64::MAX - 1]));
    let expected = ["-1", "18446744073709551615", "18446744073709551614"];
    let mut numbers = joined(&[ints(&[-1]), Arc::clone(&most)]);
    numbers.sort();
    let mut expected = expected.map(|number| format!("{{\"result\":{number}}}"));
    expected.sort();
    assert_eq!(numbers, expected);
    // Also as keys and times of rows.
    let keyed = [ints(&[-1]), most].map(|column| {
        let rows = batch(&column);
        let times = cast(rows.column(0), column.data_type()).unwrap();
        let columns = [("t", times), ("k", Arc::clone(rows.column(2))), ("x", ints(&vec![1; column.len()]))];
        RecordBatch::try_from_iter(columns).unwrap()
    });
    let counts = read_batches("m.x.sum()", &keyed, "parquet").0;
    assert_eq!(counts, [r#"{"result":1}"#; 3]);

    let one = record(&[("a", ints(&[1])), ("b", ints(&[2]))]);
    let other = record(&[("b", Arc::new(Float64Array::from(vec![2.5])) as _), ("c", ints(&[3]))]);
    assert_eq!(joined(&[one, other]), [r#"{"a":1,"b":2.0,"c":null}"#, r#"{"a":null,"b":2.5,"c":3}"#]);
}

#[test]
fn what_does_not_fit_within_lists_is_counted() {
    let far: ArrayRef = Arc::new(TimestampMillisecondArray::from(vec![253_402_214_400_000, 0]));
    let near: ArrayRef = Arc::new(TimestampNanosecondArray::from(vec![1]));
    let (rows, misfits) = read_together(&[lists(far, &[2]), lists(near, &[1])]);
    assert_eq!(rows[0], r#"{"result":[null,"1970-01-01T00:00:00"]}"#);
    assert_eq!(misfits, 1);
}

#[test]
fn what_an_array_has_under_a_null_is_no_value() {
    let items: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 300, 400]));
    let to = lists(Arc::new(Int8Array::from(vec![1])), &[1]);
    let given = |is_valid: bool| -> ArrayRef {
        let item = Arc::new(Field::new("item", DataType::Int64, true));
        let offsets = OffsetBuffer::from_lengths([1, 2, 1]);
        Arc::new(ListArray::new(item, offsets, Arc::clone(&items), Some(vec![true, is_valid, true].into())))
    };
    let rows = |middle: &str| ["[1]", middle, "[null]"].map(|row| format!("{{\"result\":{row}}}")).to_vec();
    assert_eq!(pushed(&given(false), to.data_type()), (rows("null"), 1, 0));
    assert_eq!(pushed(&given(true), to.data_type()), (rows("[2,null]"), 2, 0));
    assert_eq!(pushed(&given(false).slice(0, 2), to.data_type()).1, 0);
}

#[test]
fn floats_are_decimals_by_their_own_digits() {
    let narrow: ArrayRef = Arc::new(Float32Array::from(vec![0.7, 2.3, -0.7, 1.1e10, f32::NAN, 1e30]));
    let wide: ArrayRef = Arc::new(Float64Array::from(vec![0.7, 2.3, -0.7, 1.1e10, f64::NAN, 1e30]));
    let to = DataType::Decimal128(14, 2);
    let of = pushed(&narrow, &to);
    assert_eq!(of, pushed(&wide, &to));
    assert_eq!(of.0[..3], ["0.7", "2.3", "-0.7"].map(|number| format!("{{\"result\":{number}}}")));
    assert_eq!(of.1, 2);
    // As whole numbers they are what they are.
    let whole: ArrayRef = Arc::new(Float32Array::from(vec![123_456_792.0]));
    assert_eq!(pushed(&whole, &DataType::Int64).0, [r#"{"result":123456792}"#]);
}

#[test]
fn maps_are_of_one_type_whether_their_keys_are_said_to_be_sorted() {
    let map = |is_sorted: bool| -> ArrayRef {
        let (keys, values): (ArrayRef, ArrayRef) =
            (Arc::new(StringArray::from(vec!["a"])), Arc::new(Int64Array::from(vec![i64::from(is_sorted)])));
        let fields =
            vec![Field::new("key", DataType::Utf8, false), Field::new("value", DataType::Int64, true)];
        let entries = StructArray::new(fields.clone().into(), vec![keys, values], None);
        let field = Arc::new(Field::new("entries", DataType::Struct(fields.into()), false));
        Arc::new(MapArray::new(field, OffsetBuffer::from_lengths([1]), entries, None, is_sorted))
    };
    let both = record(&[("s", map(true)), ("u", map(false))]);
    let (rows, _) = read_batches("m.x.s.else_(m.x.u)", &[batch(&both)], "arrow");
    assert_eq!(rows, [r#"{"result":{"a":1}}"#]);
}

#[test]
fn maps_are_alike_whatever_their_parts_are_called() {
    let map = |names: [&str; 3], values: ArrayRef| -> ArrayRef {
        let keys: ArrayRef = Arc::new(StringArray::from(vec!["a"]));
        let fields = vec![
            Field::new(names[1], DataType::Utf8, false),
            Field::new(names[2], values.data_type().clone(), false),
        ];
        let entries = StructArray::new(fields.clone().into(), vec![keys, values], None);
        let field = Arc::new(Field::new(names[0], DataType::Struct(fields.into()), false));
        Arc::new(MapArray::new(field, OffsetBuffer::from_lengths([1]), entries, None, false))
    };
    let one = map(["entries", "keys", "values"], Arc::new(Int64Array::from(vec![300])));
    let other = map(["key_value", "key", "value"], Arc::new(Int8Array::from(vec![5])));
    assert_eq!(joined(&[one, other]), [r#"{"result":{"a":300}}"#, r#"{"result":{"a":5}}"#]);
}

#[test]
fn long_texts_of_a_dictionary_are_read_few_at_a_time() {
    let texts = StringArray::from_iter_values(["a", "b"].map(|text| text.repeat(400_000)));
    let keys = arrow_array::Int32Array::from_iter_values((0..6000).map(|row| row % 2));
    let x: ArrayRef = Arc::new(arrow_array::DictionaryArray::try_new(keys, Arc::new(texts)).unwrap());
    let (rows, _) = read_batches("m.x.is_null()", &[batch(&x)], "parquet");
    assert_eq!(rows, vec![r#"{"result":false}"#; 6000]);
}

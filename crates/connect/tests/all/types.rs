//! Every function over every type that a column of a file can have: what checking takes is answered, too.
//! Unions, which Arrow files alone can have, are left out: they are carried, and no format of text writes
//! them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow_array::types::Int32Type;
use arrow_array::{
    Array, ArrayRef, BooleanArray, FixedSizeListArray, Int32Array, Int64Array, IntervalDayTimeArray,
    IntervalMonthDayNanoArray, IntervalYearMonthArray, LargeListArray, LargeListViewArray, ListArray,
    ListViewArray, MapArray, NullArray, RecordBatch, RunArray, StringArray, StructArray,
};
use arrow_buffer::{IntervalDayTime, IntervalMonthDayNano, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_cast::cast;
use arrow_ipc::writer::FileWriter;
use arrow_schema::{DataType, Field, Fields, TimeUnit};
use skytide_connect::files::{Definition, Files};
use skytide_connect::run::{RunOptions, run};
use skytide_connect::sink::Ndjson;
use skytide_connect::sources::{Offer, Sources};
use skytide_timestream::engine::Mode;
use skytide_timestream::functions::signature::Type;
use skytide_timestream::functions::{self, Form, FunctionKind};
use skytide_timestream::plan::Results;

const ROWS: usize = 4;

fn valid() -> NullBuffer {
    NullBuffer::from(vec![true, true, false, true])
}

/// A column of each type that is made of no other.
fn plain() -> Vec<ArrayRef> {
    use DataType::*;
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), Some(2), None, Some(1)]));
    let texts: ArrayRef = Arc::new(StringArray::from(vec![Some("1"), Some("2"), None, Some("1")]));
    let (second, nano) = (TimeUnit::Second, TimeUnit::Nanosecond);
    let of_numbers = [
        Boolean,
        Int8,
        Int16,
        Int32,
        Int64,
        UInt8,
        UInt16,
        UInt32,
        UInt64,
        Float16,
        Float32,
        Float64,
        Timestamp(second, None),
        Timestamp(nano, None),
        Timestamp(TimeUnit::Millisecond, Some("UTC".into())),
        Timestamp(TimeUnit::Microsecond, Some("+02:00".into())),
        Duration(second),
        Duration(nano),
        Date64,
        Time64(TimeUnit::Microsecond),
        Time64(nano),
        Decimal32(9, 2),
        Decimal64(18, 2),
        Decimal128(38, 2),
        Decimal256(76, 2),
    ];
    let of_texts = [Utf8, LargeUtf8, Utf8View, Binary, LargeBinary, BinaryView];
    let mut all: Vec<ArrayRef> = of_numbers.iter().map(|to| cast(&numbers, to).unwrap()).collect();
    all.extend(of_texts.iter().map(|to| cast(&texts, to).unwrap()));
    let small = cast(&numbers, &Int32).unwrap();
    all.extend(
        [Date32, Time32(second), Time32(TimeUnit::Millisecond)].iter().map(|to| cast(&small, to).unwrap()),
    );
    all.push(cast(&cast(&texts, &Binary).unwrap(), &FixedSizeBinary(1)).unwrap());
    let spans = [1, 2, 0, 1];
    all.push(Arc::new(IntervalYearMonthArray::new(spans.to_vec().into(), Some(valid()))));
    let days = spans.map(|days| IntervalDayTime::new(days, 0)).to_vec();
    all.push(Arc::new(IntervalDayTimeArray::new(days.into(), Some(valid()))));
    let months = spans.map(|months| IntervalMonthDayNano::new(months, 0, 0)).to_vec();
    all.push(Arc::new(IntervalMonthDayNanoArray::new(months.into(), Some(valid()))));
    all.push(Arc::new(NullArray::new(ROWS)));
    all
}

fn field(name: &str, of: &ArrayRef) -> Arc<Field> {
    Arc::new(Field::new(name, of.data_type().clone(), true))
}

fn record(of: &ArrayRef) -> ArrayRef {
    Arc::new(StructArray::new(vec![field("a", of)].into(), vec![Arc::clone(of)], Some(valid())))
}

fn list(of: &ArrayRef) -> ArrayRef {
    let offsets = OffsetBuffer::new(ScalarBuffer::from(vec![0, 2, 3, 3, 4]));
    Arc::new(ListArray::new(field("item", of), offsets, Arc::clone(of), Some(valid())))
}

/// The other forms of columns of columns.
fn made_of(of: &ArrayRef) -> Vec<ArrayRef> {
    let (of, item) = (Arc::clone(of), field("item", of));
    let ends = || vec![0, 2, 3, 3, 4];
    let wide = OffsetBuffer::new(ScalarBuffer::from(vec![0_i64, 2, 3, 3, 4]));
    let (starts, sizes) = (ScalarBuffer::from(vec![0, 2, 3, 3]), ScalarBuffer::from(vec![2, 1, 0, 1]));
    let (wide_starts, wide_sizes) =
        (ScalarBuffer::from(vec![0_i64, 2, 3, 3]), ScalarBuffer::from(vec![2_i64, 1, 0, 1]));
    let keys: ArrayRef = Arc::new(StringArray::from(vec!["a", "b", "a", "a"]));
    let entry: Fields =
        vec![Field::new("keys", DataType::Utf8, false), Field::clone(&field("values", &of))].into();
    let entries = StructArray::new(entry.clone(), vec![keys, Arc::clone(&of)], None);
    let entry = Arc::new(Field::new("entries", DataType::Struct(entry), false));
    let offsets = OffsetBuffer::new(ScalarBuffer::from(ends()));
    vec![
        Arc::new(LargeListArray::new(Arc::clone(&item), wide, Arc::clone(&of), Some(valid()))),
        Arc::new(FixedSizeListArray::new(Arc::clone(&item), 1, Arc::clone(&of), Some(valid()))),
        Arc::new(ListViewArray::new(Arc::clone(&item), starts, sizes, Arc::clone(&of), Some(valid()))),
        Arc::new(LargeListViewArray::new(item, wide_starts, wide_sizes, of, Some(valid()))),
        Arc::new(MapArray::new(entry, offsets, entries, Some(valid()), false)),
    ]
}

fn columns() -> Vec<ArrayRef> {
    let plain = plain();
    let (numbers, texts) = (&plain[4], &plain[25]);
    let mut all = plain.clone();
    all.extend(plain.iter().flat_map(|column| [list(column), record(column)]));
    all.extend([list(&list(texts)), list(&record(numbers)), record(&list(numbers))]);
    all.extend([numbers, texts, &plain[14], &plain[24], &list(&record(texts))].into_iter().flat_map(made_of));
    let ends = Int32Array::from(vec![2, 4]);
    let odd: [ArrayRef; 3] = [
        cast(texts, &DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))).unwrap(),
        cast(numbers, &DataType::Dictionary(Box::new(DataType::Int8), Box::new(DataType::Int64))).unwrap(),
        Arc::new(RunArray::<Int32Type>::try_new(&ends, &numbers.slice(1, 2)).unwrap()),
    ];
    all.extend(odd.iter().flat_map(|column| [list(column), record(column)]));
    all.extend(odd.iter().flat_map(made_of));
    all.extend(odd);
    all
}

/// Calls of all functions with a column `x` of the type in every place that may take it.
fn queries() -> Vec<String> {
    let mut all = Vec::new();
    for function in functions::all() {
        for signature in functions::signatures_of(function) {
            let argument = |takes: &Type| match takes {
                Type::Exactly(DataType::Boolean) => "m.b",
                Type::Exactly(DataType::Utf8) => "\"a\"",
                Type::Exactly(of) if of.is_integer() => "1",
                Type::Exactly(of) if of.is_floating() => "1.5",
                Type::Exactly(DataType::Duration(_)) => "\"1h\"",
                Type::Exactly(_) => "time()",
                _ => "m.x",
            };
            let given: Vec<&str> = signature.params.iter().map(|param| argument(&param.takes)).collect();
            let needed = signature.params.iter().filter(|param| !param.optional).count();
            for place in 0..given.len() {
                let mut given = given[..needed.max(place + 1)].to_vec();
                given[place] = "m.x";
                all.push(format!("{}.{}({})", given[0], function.name, given[1..].join(", ")));
            }
        }
        if function.is_aggregation() {
            for window in ["since(m.b)", "tumbling(m.b)", "sliding(2, m.b)", "trailing(\"2ns\")"] {
                let given = if function.name == "lag" { "1, " } else { "" };
                all.push(format!("m.x.{}({given}window={window})", function.name));
            }
        }
        if let FunctionKind::Form(Form::Cast) = function.kind {
            all.extend(skytide_timestream::types::CASTABLE.map(|to| format!("m.x.cast(\"{to}\")")));
        }
    }
    for operator in ["==", "!=", "<", ">=", "+", "-", "*", "/", "%"] {
        for other in ["1", "1.5", "\"a\"", "\"1h\"", "\"2026-01-01\"", "true", "time()"] {
            all.push(format!("m.x {operator} {other}"));
        }
    }
    for more in ["x", "x[0]", "x[\"a\"]", "x.a", "x[0].a", "x[\"a\"].a", "x[0][0]", "x[m.n]", "x[m.s]"] {
        all.push(format!("m.{more}"));
    }
    all.extend(
        ["m.with_key(m.x).count()", "m.with_key(m.x, \"g\").n.sum()", "m.n.sum().lookup(m.x)"]
            .map(str::to_owned),
    );
    all.extend(["{x: m.x, time: time()}", "m.filter(m.b).x", "m.x.shift_by(\"1ns\")"].map(str::to_owned));
    all.sort();
    all.dedup();
    all
}

fn write(path: &Path, x: &ArrayRef) {
    let texts = StringArray::from(vec!["a", "b", "a", "b"]);
    let batch = RecordBatch::try_from_iter_with_nullable([
        ("t", Arc::new(Int64Array::from_iter_values(1..=4)) as ArrayRef, true),
        ("k", Arc::new(texts.clone()), true),
        ("b", Arc::new(BooleanArray::from(vec![true, false, true, true])), true),
        ("n", Arc::new(Int64Array::from_iter_values(0..4)), true),
        ("s", Arc::new(texts), true),
        ("x", Arc::clone(x), true),
    ])
    .unwrap();
    let mut writer = FileWriter::try_new(File::create(path).unwrap(), &batch.schema()).unwrap();
    writer.write(&batch).unwrap();
    writer.finish().unwrap();
}

#[test]
fn what_is_checked_is_answered() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.arrow");
    let queries = queries();
    let mut wrong = Vec::new();
    let mut answered = 0;
    for x in columns() {
        write(&path, &x);
        let files = Files::open(Definition { name: "m".into(), ..Definition::new(&path, "t", "k") }).unwrap();
        let sources = Sources::new(vec![Offer::Files(Arc::new(files))]);
        let checks = |query: &str| skytide_timestream::compile(query, &sources).is_ok();
        let taken: Vec<&String> = queries.iter().filter(|query| checks(query)).collect();
        answered += taken.len();
        // Those of one grouping at once; each by itself where that fails.
        let fields: Vec<String> =
            taken.iter().enumerate().map(|(at, query)| format!("f{at}: {query}")).collect();
        let beside = |field: &&String| checks(&format!("{{x: m.x, {field}}}"));
        let together: Vec<&String> = fields.iter().filter(beside).collect();
        let others = fields.iter().zip(&taken).filter(|(field, _)| !together.contains(field));
        let mut asked: Vec<String> = others.map(|(_, query)| (*query).clone()).collect();
        asked.extend(together.chunks(40).map(|some| {
            let some: Vec<&str> = some.iter().map(|field| field.as_str()).collect();
            format!("{{{}}}", some.join(", "))
        }));
        for query in asked {
            if let Err(error) = answer(&query, &sources) {
                wrong.push(format!("{} of {query}: {error}", x.data_type()));
            }
        }
        // Nothing is lost on the way in.
        let rows = answer("m.x.filter(m.x.is_not_null())", &sources).map_or(0, |rows| rows.lines().count());
        if rows != ROWS - x.logical_null_count() {
            wrong.push(format!("{}: {rows} values", x.data_type()));
        }
    }
    assert!(wrong.is_empty(), "{answered} are taken, but {}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(answered > 5000, "{answered}");
}

/// The rows as JSON lines.
fn answer(query: &str, sources: &Sources) -> Result<String, String> {
    let checked = skytide_timestream::compile(query, sources).map_err(|error| error.to_string())?;
    let plan = Arc::new(skytide_timestream::plan(Arc::new(checked), Results::history()));
    let mut source = sources.open(&plan, Mode::Once).unwrap();
    let mut text = Vec::new();
    let ran = run(plan, &mut source, &mut Ndjson::new(&mut text), &RunOptions::once(), |_, _| {});
    ran.map(|_| String::from_utf8(text).unwrap()).map_err(|error| error.to_string())
}

#[test]
fn moments_beyond_nanoseconds_stay_what_they_are_beside_others() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.arrow");
    let of = |numbers: Vec<i64>, to: DataType| cast(&Int64Array::from(numbers), &to).unwrap();
    // The end of 2023, and of 9999, which is the usual "never ends".
    let seconds = vec![1_704_067_199, 253_402_300_799];
    let micros: Vec<i64> = seconds.iter().map(|second| second * 1_000_000).collect();
    let batch = RecordBatch::try_from_iter([
        ("t", of(vec![1, 2], DataType::Int64)),
        ("k", of(vec![1, 2], DataType::Utf8)),
        ("us", of(micros, DataType::Timestamp(TimeUnit::Microsecond, None))),
        ("s", of(seconds.clone(), DataType::Timestamp(TimeUnit::Second, Some("+02:00".into())))),
        ("long", of(seconds, DataType::Duration(TimeUnit::Second))),
        ("at", of(vec![0, 0], DataType::Timestamp(TimeUnit::Nanosecond, None))),
    ])
    .unwrap();
    let mut writer = FileWriter::try_new(File::create(&path).unwrap(), &batch.schema()).unwrap();
    writer.write(&batch).unwrap();
    writer.finish().unwrap();
    let files = Files::open(Definition { name: "m".into(), ..Definition::new(&path, "t", "k") }).unwrap();
    let sources = Sources::new(vec![Offer::Files(Arc::new(files))]);
    let read = |query: &str| {
        let rows = answer(query, &sources).unwrap_or_else(|error| panic!("{query}: {error}"));
        let row = |line: &str| {
            let at = line.find("\"result\":").map(|at| at + "\"result\":".len()).unwrap();
            line[at..].trim_end_matches('}').trim_matches('"').to_owned()
        };
        rows.lines().map(row).collect::<Vec<_>>()
    };
    for (query, rows) in [
        ("m.us > \"2024-01-05\"", ["false", "true"]),
        // A literal of more digits than the column has is none of its moments, and stands between two.
        ("m.us == \"2023-12-31T23:59:59.000000001Z\"", ["false", "false"]),
        ("m.us < \"2023-12-31T23:59:59.000000001Z\"", ["true", "false"]),
        ("m.us >= \"2023-12-31T23:59:59.000000001Z\"", ["false", "true"]),
        ("m.us == m.s", ["true", "true"]),
        ("m.us > m.at", ["true", "true"]),
        ("m.us > m.time()", ["true", "true"]),
        ("m.long > \"1d\"", ["true", "true"]),
        ("m.us.year()", ["2023", "9999"]),
        ("m.s.seconds_since(m.at)", ["1704067199", "253402300799"]),
        ("m.us.else_(\"2025-01-01\").year()", ["2023", "9999"]),
        ("m.s.coalesce(\"2025-01-01T00:00:00.5Z\").year()", ["2023", "9999"]),
        ("m.us.greatest(\"2025-01-01\").year()", ["2025", "9999"]),
        ("m.us.greatest(m.s).year()", ["2023", "9999"]),
        ("m.us.null_if(m.us == \"2024-01-03\").year()", ["2023", "9999"]),
        ("m.us.cast(\"utf8\")", ["2023-12-31T23:59:59Z", "9999-12-31T23:59:59Z"]),
        ("m.us.collect(1).union(m.s.collect(1))[0].year()", ["2023", "9999"]),
        ("m.us.collect(1).union(m.s.collect(1)).length()", ["1", "1"]),
        ("m.us.collect(1).union(m.at.collect(1))[0].year()", ["2023", "null"]),
        ("m.with_key(us, \"g\").count().lookup(m.s)", ["1", "1"]),
    ] {
        assert_eq!(read(query), rows, "{query}");
    }
    // As tests that a file's reader makes before all else.
    for (query, count) in [
        ("m.filter(us > \"2024-01-05\").us.year()", 1),
        ("m.filter(us < \"2023-12-31T23:59:59.000000001Z\").us.year()", 1),
        ("m.filter(us != \"2023-12-31T23:59:59.000000001Z\").us.year()", 2),
        ("m.filter(s <= \"2023-12-31T23:59:59Z\").us.year()", 1),
    ] {
        assert_eq!(read(query).len(), count, "{query}");
    }
}

#[test]
fn types_of_one_name_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.arrow");
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
    let of = |to: DataType| cast(&numbers, &to).unwrap();
    let batch = RecordBatch::try_from_iter([
        ("t", Arc::clone(&numbers)),
        ("k", of(DataType::Utf8)),
        ("seconds", of(DataType::Timestamp(TimeUnit::Second, None))),
        ("nanos", of(DataType::Timestamp(TimeUnit::Nanosecond, None))),
        ("tenths", of(DataType::Decimal128(10, 1))),
        ("cents", of(DataType::Decimal128(10, 2))),
    ])
    .unwrap();
    let mut writer = FileWriter::try_new(File::create(&path).unwrap(), &batch.schema()).unwrap();
    writer.write(&batch).unwrap();
    writer.finish().unwrap();
    let files = Files::open(Definition { name: "m".into(), ..Definition::new(&path, "t", "k") }).unwrap();
    let sources = Sources::new(vec![Offer::Files(Arc::new(files))]);
    let keyed = r#"m.with_key(seconds, "g").count() + m.with_key(nanos, "g").count()"#;
    for (query, says) in [
        ("m.tenths == m.cents", "`==` is given decimal128(10, 1) and decimal128(10, 2)"),
        (keyed, "different groupings: `g` (timestamp[s]) and `g` (timestamp[ns]) cannot"),
        (keyed, "`cast`"),
        ("m.tenths == m.k", "`==` is given decimal and utf8"),
        (
            "m.with_key(seconds, \"g\").count().lookup(m.nanos)",
            "`lookup` needs timestamp[s], a key of `g`, found timestamp[ns]",
        ),
    ] {
        let error = skytide_timestream::compile(query, &sources).unwrap_err().render(query);
        assert!(error.contains(says), "{error}");
    }
}

//! Files as sources: every format, sorted and not, whole and damaged.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampNanosecondType};
use arrow_array::{
    Array, ArrayRef, Date32Array, Float64Array, Int64Array, RecordBatch, StringArray, StructArray,
    TimestampMicrosecondArray, TimestampMillisecondArray, UInt64Array,
};
use arrow_ipc::CompressionType;
use arrow_ipc::writer::{FileWriter, IpcWriteOptions, StreamWriter};
use arrow_schema::{DataType, Field, Fields, TimeUnit};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use skytide_connect::files::{Definition, FileError, Files};
use skytide_connect::run::{Answers, End, RunError, RunOptions, run};
use skytide_connect::sink::{Sink, SinkError};
use skytide_connect::source::{SourceError, Status};
use skytide_connect::sources::{Offer, Sources};
use skytide_timestream::catalog::Catalog as _;
use skytide_timestream::engine::Mode;
use skytide_timestream::plan::Results;

/// Time, key and value.
type Row = (i64, Option<String>, Option<i64>);

#[derive(Default)]
struct Rows(Vec<Row>);

impl Sink for Rows {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), SinkError> {
        let times = batch.column(0).as_primitive::<TimestampNanosecondType>();
        let keys = batch.column(1).as_string::<i32>();
        let values = batch.column(2).as_primitive::<Int64Type>();
        self.0.extend((0..batch.num_rows()).map(|row| {
            let key = keys.is_valid(row).then(|| keys.value(row).to_owned());
            (times.value(row), key, values.is_valid(row).then(|| values.value(row)))
        }));
        Ok(())
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        Ok(())
    }
}

/// Runs a query over a stream `m` of files: they are read here, and by threads ahead of the query, which
/// answers the same.
fn answer(query: &str, definition: Definition) -> Result<(Vec<Row>, Status), RunError> {
    let ahead = answer_by(query, Definition { readers: 3, ..definition.clone() });
    let here = answer_by(query, definition);
    match (&here, &ahead) {
        (Ok((here, of_here)), Ok((ahead, of_ahead))) => {
            assert_eq!(here, ahead);
            // Each reader has a part of the memory.
            let spilled = of_ahead.spilled.max(of_here.spilled);
            assert_eq!(Status { spilled, ..of_here.clone() }, Status { spilled, ..of_ahead.clone() });
        }
        (Err(here), Err(ahead)) => assert_eq!(here.to_string(), ahead.to_string()),
        _ => panic!("{here:?} but ahead {ahead:?}"),
    }
    here
}

fn answer_by(query: &str, definition: Definition) -> Result<(Vec<Row>, Status), RunError> {
    answer_with(query, definition, &RunOptions::once())
}

fn answer_with(
    query: &str,
    definition: Definition,
    options: &RunOptions,
) -> Result<(Vec<Row>, Status), RunError> {
    let files = Files::open(definition).map_err(SourceError::from)?;
    let sources = Sources::new(vec![Offer::Files(Arc::new(files))]);
    let query = skytide_timestream::compile(query, &sources).unwrap_or_else(|error| panic!("{error}"));
    let plan = Arc::new(skytide_timestream::plan(Arc::new(query), Results::history()));
    let mut source = sources.open(&plan, Mode::Once)?;
    let mut rows = Rows::default();
    let outcome = run(plan, &mut source, &mut rows, options, |_, _| {})?;
    assert_eq!(outcome.end, End::Source);
    Ok((rows.0, outcome.source))
}

fn define(path: &Path) -> Definition {
    Definition { name: "m".into(), ..Definition::new(path, "t", "k") }
}

fn fail(query: &str, definition: Definition) -> String {
    answer(query, definition).expect_err("it is refused").to_string()
}

fn ints(values: impl IntoIterator<Item = i64>) -> ArrayRef {
    Arc::new(values.into_iter().collect::<Int64Array>())
}

/// Rows of `t`, `k`, `x`, and what no query asks for.
fn batch(rows: &[(i64, &str, i64)]) -> RecordBatch {
    let texts: ArrayRef =
        Arc::new(StringArray::from_iter_values(rows.iter().map(|row| format!("text of {}", row.2))));
    RecordBatch::try_from_iter([
        ("text", texts),
        ("x", ints(rows.iter().map(|row| row.2))),
        ("k", Arc::new(rows.iter().map(|row| Some(row.1)).collect::<StringArray>()) as _),
        ("t", ints(rows.iter().map(|row| row.0))),
    ])
    .unwrap()
}

fn write_parquet(path: &Path, batches: &[RecordBatch], properties: WriterProperties) {
    let mut writer =
        ArrowWriter::try_new(File::create(path).unwrap(), batches[0].schema(), Some(properties)).unwrap();
    for batch in batches {
        writer.write(batch).unwrap();
    }
    writer.close().unwrap();
}

/// Row groups of so many rows.
fn groups(rows: usize) -> WriterProperties {
    WriterProperties::builder().set_max_row_group_row_count(Some(rows)).build()
}

fn write(path: &Path, batch: &RecordBatch) {
    let file = || File::create(path).unwrap();
    match path.extension().unwrap().to_str().unwrap() {
        "parquet" => write_parquet(path, std::slice::from_ref(batch), groups(100)),
        "csv" => arrow_csv::Writer::new(file()).write(batch).unwrap(),
        "jsonl" => {
            let mut writer = arrow_json::LineDelimitedWriter::new(file());
            writer.write(batch).unwrap();
            writer.finish().unwrap();
        }
        "arrow" => {
            let mut writer = FileWriter::try_new(file(), &batch.schema()).unwrap();
            writer.write(batch).unwrap();
            writer.finish().unwrap();
        }
        "arrows" => {
            let mut writer = StreamWriter::try_new(file(), &batch.schema()).unwrap();
            writer.write(batch).unwrap();
            writer.finish().unwrap();
        }
        other => panic!("{other}"),
    }
}

fn write_compressed(path: &Path, batch: &RecordBatch, compression: Option<CompressionType>) {
    let options = IpcWriteOptions::default().try_with_compression(compression).unwrap();
    let (file, schema) = (File::create(path).unwrap(), batch.schema());
    if path.extension().unwrap() == "arrow" {
        let mut writer = FileWriter::try_new_with_options(file, &schema, options).unwrap();
        writer.write(batch).unwrap();
        writer.finish().unwrap();
    } else {
        let mut writer = StreamWriter::try_new_with_options(file, &schema, options).unwrap();
        writer.write(batch).unwrap();
        writer.finish().unwrap();
    }
}

const FORMATS: [&str; 5] = ["parquet", "csv", "jsonl", "arrow", "arrows"];

/// Rows in order, of which some share a time.
fn rising(rows: i64) -> Vec<(i64, &'static str, i64)> {
    (0..rows).map(|row| (row / 3, ["A", "B", "C", "D"][(row * 7 % 11 % 4) as usize], row)).collect()
}

/// The same rows anyhow, but those of one time as they were.
fn shuffled(rows: i64) -> Vec<(i64, &'static str, i64)> {
    let mut all = rising(rows);
    let mut dice = 12_345_u64;
    all.sort_by_cached_key(|row| {
        let seed = (row.0 as u64).wrapping_mul(6_364_136_223_846_793_005) ^ dice;
        dice = 12_345;
        seed >> 7
    });
    all
}

fn plainly(rows: &[(i64, &str, i64)]) -> Vec<Row> {
    rows.iter().map(|row| (row.0, Some(row.1.to_owned()), Some(row.2))).collect()
}

#[test]
fn every_format_gives_its_rows_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let expected = plainly(&rising(1000));
    for format in FORMATS {
        for rows in [rising(1000), shuffled(1000)] {
            let path = folder.path().join("rows").with_extension(format);
            write(&path, &batch(&rows));
            let (answer, status) = answer("m.x", define(&path)).unwrap();
            assert_eq!(answer, expected, "{format}");
            assert_eq!((status.read, status.points, status.spilled), (1000, 1000, 0));
            assert_eq!(
                status.progress.map(|progress| progress.done > 0 && progress.done == progress.total),
                Some(true)
            );
        }
    }
}

#[test]
fn what_does_not_fit_into_memory_is_sorted_aside() {
    let folder = tempfile::tempdir().unwrap();
    let expected = plainly(&rising(20_000));
    for format in FORMATS {
        let path = folder.path().join("rows").with_extension(format);
        write(&path, &batch(&shuffled(20_000)));
        // A few hundred rows at a time: so many runs that runs of runs are made.
        for memory in [16 << 10, 300 << 10] {
            let (answer, status) = answer("m.x", Definition { memory, ..define(&path) }).unwrap();
            assert_eq!(answer, expected, "{format} {memory}");
            assert!(status.spilled > 100_000, "{format} {memory}: {}", status.spilled);
        }
    }
    // Nothing of it is left.
    assert_eq!(folder.path().read_dir().unwrap().count(), FORMATS.len());
}

#[test]
fn sorted_files_are_streamed_whatever_memory_there_is() {
    let folder = tempfile::tempdir().unwrap();
    for format in FORMATS {
        let path = folder.path().join("rows").with_extension(format);
        write(&path, &batch(&rising(20_000)));
        let (answer, status) = answer("m.x", Definition { memory: 1024, ..define(&path) }).unwrap();
        assert_eq!(answer, plainly(&rising(20_000)), "{format}");
        assert_eq!(status.spilled, 0, "{format}");
    }
}

#[test]
fn row_groups_out_of_order_are_read_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.parquet");
    // Groups of 300 rows, the later ones first; one of them out of order in itself.
    let all = rising(3000);
    let mut parts: Vec<Vec<_>> = all.chunks(300).map(<[_]>::to_vec).collect();
    parts.reverse();
    parts[3].rotate_left(6);
    let batches: Vec<_> = parts.iter().map(|part| batch(part)).collect();
    write_parquet(&path, &batches, groups(300));
    let definition = Definition { memory: 64 << 10, ..define(&path) };
    let (answer_rows, status) = answer("m.x", definition.clone()).unwrap();
    assert_eq!(answer_rows, plainly(&all));
    assert_eq!(status.spilled, 0, "one group alone is sorted, and fits");
    // Without statistics nothing is known before it is read.
    let silent = WriterProperties::builder()
        .set_max_row_group_row_count(Some(300))
        .set_statistics_enabled(EnabledStatistics::None)
        .build();
    write_parquet(&path, &batches, silent);
    let (answer_rows, status) = answer("m.x", definition).unwrap();
    assert_eq!(answer_rows, plainly(&all));
    assert!(status.spilled > 0);
}

#[test]
fn several_files_are_one_stream() {
    let folder = tempfile::tempdir().unwrap();
    let paths: Vec<PathBuf> =
        ["b.parquet", "a.csv", "c.jsonl"].iter().map(|name| folder.path().join(name)).collect();
    let all = rising(900);
    // Each file holds every third row: rows of one time are in all of them, and stand in the order of the files.
    for (path, at) in paths.iter().zip(0..) {
        write(path, &batch(&all.iter().skip(at).step_by(3).copied().collect::<Vec<_>>()));
    }
    let definition = Definition { paths, ..define(Path::new("")) };
    assert_eq!(answer("m.x", definition).unwrap().0, plainly(&all));
}

#[test]
fn the_subsort_column_stands_before_the_order_in_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let mut rows = rising(900);
    rows.reverse();
    for format in FORMATS {
        let path = folder.path().join("rows").with_extension(format);
        write(&path, &batch(&rows));
        for memory in [16 << 10, 1 << 20] {
            let definition = Definition { subsort: Some("x".into()), memory, ..define(&path) };
            assert_eq!(answer("m.x", definition).unwrap().0, plainly(&rising(900)), "{format}");
            // Without it the file's own order counts.
            let (by_file, _) = answer("m.x", Definition { memory, ..define(&path) }).unwrap();
            assert_eq!(by_file[..3], plainly(&[rows[899 - 2], rows[899 - 1], rows[899]]), "{format}");
        }
    }
}

#[test]
fn rows_of_one_place_stand_as_in_the_file() {
    let folder = tempfile::tempdir().unwrap();
    // Five times, one place: what is sorted aside has many rows that only their order in the file tells apart.
    let mut rows: Vec<(i64, &str, i64)> = (0..5000).map(|row| (row * 7919 % 5, "A", row)).collect();
    let places: ArrayRef = Arc::new(Int64Array::from(vec![7; 5000]));
    let all = batch(&rows);
    let names = all.schema().fields().iter().map(|field| field.name().clone()).collect::<Vec<_>>();
    let columns = names.into_iter().zip(all.columns().to_vec()).chain([("s".to_owned(), places)]);
    let all = RecordBatch::try_from_iter(columns).unwrap();
    rows.sort_by_key(|row| row.0);
    for format in FORMATS {
        let path = folder.path().join("rows").with_extension(format);
        write(&path, &all);
        for memory in [20 << 10, 1 << 20] {
            let definition = Definition { subsort: Some("s".into()), memory, ..define(&path) };
            let (answer, status) = answer("m.x", definition).unwrap();
            assert_eq!(answer, plainly(&rows), "{format}");
            assert_eq!(status.spilled > 0, memory == 20 << 10, "{format}");
        }
    }
}

#[test]
fn rows_of_one_place_are_points_apart_whatever_the_workers() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.parquet");
    // Keys that stand in no order, and go to several workers: what is asked of all of them says in which
    // order they came.
    let keys: Vec<String> = (0..40).map(|row| format!("{}", row * 7 % 40)).collect();
    let rows: Vec<(i64, &str, i64)> = (0..40).map(|row| (1, keys[row as usize].as_str(), row)).collect();
    let all = batch(&rows);
    let places: ArrayRef = Arc::new(Int64Array::from(vec![7; 40]));
    let names: Vec<String> = all.schema().fields().iter().map(|field| field.name().clone()).collect();
    let columns = names.into_iter().zip(all.columns().to_vec()).chain([("s".to_owned(), places)]);
    write(&path, &RecordBatch::try_from_iter(columns).unwrap());
    let expected: Vec<(i64, &str, i64)> = rows.iter().map(|row| (1, row.1, 3 * row.2)).collect();
    for workers in [1, 2, 4] {
        let definition = Definition { subsort: Some("s".into()), ..define(&path) };
        let options = RunOptions { workers, ..RunOptions::once() };
        let query = "m.x + m.x.max() + m.with_key(0 * x).x.last().lookup(0 * m.x)";
        let (answer, _) = answer_with(query, definition, &options).unwrap();
        assert_eq!(answer, plainly(&expected), "{workers}");
    }
}

#[test]
fn times_of_every_kind() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.parquet");
    let (second, day) = (1_000_000_000, 86_400_000_000_000);
    let cases: Vec<(ArrayRef, TimeUnit, [i64; 2])> = vec![
        (
            Arc::new(TimestampMicrosecondArray::from(vec![1, 2]).with_timezone("Europe/Berlin")),
            TimeUnit::Second,
            [1000, 2000],
        ),
        (Arc::new(TimestampMillisecondArray::from(vec![1, 2])), TimeUnit::Second, [1_000_000, 2_000_000]),
        (Arc::new(Date32Array::from(vec![1, 2])), TimeUnit::Second, [day, 2 * day]),
        (ints([3, 4]), TimeUnit::Second, [3 * second, 4 * second]),
        (ints([3, 4]), TimeUnit::Microsecond, [3000, 4000]),
        (Arc::new(Float64Array::from(vec![0.5, 1.5])), TimeUnit::Second, [second / 2, 3 * second / 2]),
        (
            Arc::new(StringArray::from(vec!["1970-01-01T00:00:01Z", "1970-01-01T02:00:02+02:00"])),
            TimeUnit::Second,
            [second, 2 * second],
        ),
    ];
    for (times, unit, expected) in cases {
        let kind = times.data_type().clone();
        let batch = RecordBatch::try_from_iter([
            ("t", times),
            ("k", Arc::new(StringArray::from(vec!["A", "A"])) as _),
            ("x", ints([1, 2])),
        ])
        .unwrap();
        write(&path, &batch);
        let (rows, _) = answer("m.x", Definition { unit, ..define(&path) }).unwrap();
        assert_eq!(rows.iter().map(|row| row.0).collect::<Vec<_>>(), expected, "{kind}");
    }
}

#[test]
fn what_is_written_as_csv_is_read_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.csv");
    let texts = ["C:\\new\\table", "a \\, b", "\\", "say \"so\"", "two\nlines"];
    let batch = RecordBatch::try_from_iter([
        ("t", Arc::new(Int64Array::from_iter_values(0..5)) as ArrayRef),
        ("k", Arc::new(StringArray::from_iter_values(texts)) as ArrayRef),
        ("x", Arc::new(Int64Array::from_iter_values(0..5)) as ArrayRef),
    ])
    .unwrap();
    write(&path, &batch);
    let (rows, _) = answer("m.x", define(&path)).unwrap();
    assert_eq!(rows.into_iter().map(|row| row.1.unwrap()).collect::<Vec<_>>(), texts);
}

#[test]
fn rows_without_a_time_and_values_that_do_not_fit_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let csv = folder.path().join("rows.csv");
    // The byte order mark is no part of the first name; a moment is as exact as it is written, wherever in the file.
    std::fs::write(
        &csv,
        "\u{feff}t,k,x\n1970-01-01T00:00:01Z,A,1\n,A,2\nsoon,A,3\n1970-01-01T00:00:02.5Z,\"B, C\",\n1970-01-01T00:00:03+01:00,,4\n",
    )
    .unwrap();
    let (rows, status) = answer("m.x", define(&csv)).unwrap();
    let second = 1_000_000_000;
    assert_eq!(
        rows,
        [
            (second - 3600 * second + 2 * second, None, Some(4)),
            (second, Some("A".into()), Some(1)),
            (5 * second / 2, Some("B, C".into()), None),
        ]
    );
    assert_eq!(status.dropped.get("without a time"), Some(&2));
    assert_eq!((status.read, status.points), (5, 3));

    let json = folder.path().join("rows.jsonl");
    std::fs::write(
        &json,
        "{\"t\": 1, \"k\": \"A\", \"x\": 1}\n\n{\"t\": 2, \"k\": \"A\", \"x\": \"one\"}\n{\"k\": \"A\"}\n",
    )
    .unwrap();
    let (rows, status) = answer("m.x", define(&json)).unwrap();
    assert_eq!(rows, [(1, Some("A".into()), Some(1)), (2, Some("A".into()), None)]);
    assert_eq!(status.dropped.get("misfitting values"), Some(&1));
    assert_eq!(status.dropped.get("without a time"), Some(&1));

    // A number that is beyond all of them, where the types are found and beyond.
    let lines =
        (0..10_010).map(|at| format!("{{\"t\": {at}, \"k\": \"A\", \"x\": {at}e{}}}\n", 40 * (at % 10)));
    std::fs::write(&json, lines.collect::<String>()).unwrap();
    let (rows, status) = answer("m.x.count()", define(&json)).unwrap();
    assert_eq!(rows.last(), Some(&(10_009, Some("A".into()), Some(8008))));
    assert_eq!(status.dropped.get("misfitting values"), Some(&2002));

    // In columns, in order and not, held and kept aside.
    for times in [[Some(1), None, Some(3), Some(4)], [Some(3), None, Some(1), Some(4)]] {
        let batch = RecordBatch::try_from_iter([
            ("t", Arc::new(Int64Array::from(times.to_vec())) as ArrayRef),
            ("k", Arc::new(StringArray::from(vec!["A"; 4]))),
            ("x", ints([1, 2, 3, 4])),
        ])
        .unwrap();
        for format in ["parquet", "arrow"] {
            let path = folder.path().join("rows").with_extension(format);
            write(&path, &batch);
            for memory in [1, 1 << 20] {
                let (rows, status) = answer("m.x", Definition { memory, ..define(&path) }).unwrap();
                assert_eq!(rows.iter().map(|row| row.0).collect::<Vec<_>>(), [1, 3, 4]);
                assert_eq!(status.dropped.get("without a time"), Some(&1));
            }
        }
    }
}

#[test]
fn only_what_is_asked_for_is_decoded() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.parquet");
    let record: ArrayRef = Arc::new(StructArray::from(vec![
        (Arc::new(Field::new("n", DataType::Int64, true)), ints(0..5000)),
        (
            Arc::new(Field::new("text", DataType::Utf8, true)),
            Arc::new(StringArray::from_iter_values((0..5000).map(|row| format!("{row} words")))) as _,
        ),
    ]));
    let rows = batch(&rising(5000));
    let rows = RecordBatch::try_from_iter(
        rows.schema()
            .fields()
            .iter()
            .map(|field| field.name().clone())
            .zip(rows.columns().to_vec())
            .chain([("record".to_owned(), record)]),
    )
    .unwrap();
    let properties = WriterProperties::builder().set_dictionary_enabled(false).build();
    write_parquet(&path, std::slice::from_ref(&rows), properties);
    // The pages of `text`, `record.text` and `x` are made nonsense.
    let metadata = parquet::file::metadata::ParquetMetaDataReader::new()
        .parse_and_finish(&File::open(&path).unwrap())
        .unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    for column in metadata.row_group(0).columns() {
        let name = column.column_path().string();
        if ["text", "record.text", "x"].contains(&name.as_str()) {
            let (start, len) = column.byte_range();
            bytes[start as usize..(start + len) as usize].fill(0xee);
        }
    }
    std::fs::write(&path, bytes).unwrap();
    let (rows, _) = answer("m.record.n", define(&path)).unwrap();
    assert_eq!(rows.len(), 5000);
    assert!(rows.iter().enumerate().all(|(at, row)| row.2 == Some(at as i64)));
    for query in ["m.x", "m.record.text.len()", "m.text.len()"] {
        let error = fail(query, define(&path));
        assert!(error.contains("rows.parquet, row group 0: "), "{error}");
    }
}

#[test]
fn damaged_files_are_refused_by_name_and_place() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let put = |name: &str, bytes: &[u8]| {
        std::fs::write(at(name), bytes).unwrap();
        define(&at(name))
    };
    assert!(fail("m.x", define(&at("none.parquet"))).contains("none.parquet: No such file"));
    assert!(
        fail("m.x", put("what.bin", b"hello")).contains("what.bin: neither the name nor the first bytes")
    );
    // Where types are found, and far behind.
    for line in [3, 20_003] {
        let rows = "1,A,1\n".repeat(line - 2);
        let error = fail("m.x", put("short.csv", format!("t,k,x\n{rows}2,A\n").as_bytes()));
        assert!(error.contains("short.csv: ") && error.contains(&format!("line {line}")), "{error}");
        assert!(error.contains("double quotes"), "{error}");
    }
    let error = fail("m.x", put("bad.jsonl", b"{\"t\": 1, \"k\": \"A\", \"x\": 1}\n{\"t\": 2,\n"));
    assert!(error.contains("bad.jsonl, line 2: "), "{error}");
    assert!(
        fail("m.x", put("list.jsonl", b"[1, 2]\n")).contains("list.jsonl, line 1: a row is a JSON object")
    );
    assert!(fail("m.x", put("deep.jsonl", "[".repeat(100_000).as_bytes())).contains("deep.jsonl, line 1"));
    let rows = batch(&rising(2000));
    for (format, compression) in [
        ("parquet", None),
        ("arrow", None),
        ("arrows", None),
        ("arrow", Some(CompressionType::LZ4_FRAME)),
        ("arrows", Some(CompressionType::ZSTD)),
    ] {
        let path = at("good").with_extension(format);
        match compression {
            None => write(&path, &rows),
            compression => write_compressed(&path, &rows, compression),
        }
        let whole = std::fs::read(&path).unwrap();
        let name = format!("cut.{format}");
        for len in [0, 3, 11, whole.len() / 3, whole.len() - 1] {
            // A stream's end is not marked for certain: without its last bytes it may be whole.
            if format == "arrows" && len == whole.len() - 1 {
                continue;
            }
            let error = fail("m.x", put(&name, &whole[..len]));
            assert!(error.contains(&name), "{error}");
        }
        // Whatever a byte is changed to, it is an answer or an error, never a panic.
        for at in (0..whole.len()).step_by(whole.len() / 97 + 1) {
            let mut bytes = whole.clone();
            bytes[at] ^= 0xff;
            if let Err(error) = answer("m.x", put(&name, &bytes)) {
                assert!(error.to_string().contains(&name), "{error}");
            }
        }
    }
}

#[test]
fn lengths_that_an_arrow_file_does_not_have_take_no_memory() {
    let folder = tempfile::tempdir().unwrap();
    let rows = batch(&rising(2000));
    // What is before a lie is answered; where the end of a file tells where all is, nothing is.
    let lie = |name: &str, compression: Option<CompressionType>, length: &[u8], lie: i64| {
        let path = folder.path().join(name);
        write_compressed(&path, &rows, compression);
        let mut bytes = std::fs::read(&path).unwrap();
        let found: Vec<usize> = (0..bytes.len() - 8).filter(|at| &bytes[*at..*at + 8] == length).collect();
        assert!(!found.is_empty());
        for at in found {
            bytes[at..at + 8].copy_from_slice(&lie.to_le_bytes());
        }
        std::fs::write(&path, bytes).unwrap();
        fail("m.x", define(&path))
    };
    // A buffer of 2,000 numbers of 8 bytes begins with its length.
    let length = 16_000_i64.to_le_bytes();
    for name in ["a.arrow", "a.arrows"] {
        let error = lie(name, Some(CompressionType::ZSTD), &length, 1 << 42);
        assert!(error.contains(name) && error.contains("that are said to be 4398046511104"), "{error}");
    }
    let path = folder.path().join("b.arrows");
    write(&path, &rows);
    let whole = std::fs::read(&path).unwrap();
    // The schema, the batch with its body, and the mark of the end.
    let metadata = |at: usize| u32::from_le_bytes(whole[at + 4..at + 8].try_into().unwrap()) as usize + 8;
    let begin = metadata(0);
    let body = (whole.len() - begin - metadata(begin) - 8) as i64;
    let error = lie("b.arrows", None, &body.to_le_bytes(), 1 << 42);
    assert!(error.contains("b.arrows") && error.contains("has a body of 4398046511104 bytes"), "{error}");
}

#[test]
fn columns_that_are_not_there_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.parquet");
    write(&path, &batch(&rising(10)));
    let open = |change: fn(&mut Definition)| {
        let mut definition = define(&path);
        change(&mut definition);
        Files::open(definition).unwrap_err()
    };
    let error = open(|of| of.time = "ts".into());
    assert!(matches!(error, FileError::Column { .. }));
    assert!(
        error
            .to_string()
            .contains("there is no column \"ts\" for the time; there are \"text\", \"x\", \"k\", \"t\""),
        "{error}"
    );
    assert!(
        open(|of| of.subsort = Some("k".into())).to_string().contains("cannot be the subsort: it is utf8")
    );
    let other = folder.path().join("other.jsonl");
    std::fs::write(&other, "{\"t\": 1, \"k\": \"A\", \"x\": [1]}\n").unwrap();
    let definition = Definition { paths: vec![path.clone(), other], ..define(&path) };
    let error = Files::open(definition).unwrap_err().to_string();
    assert!(error.contains("other.jsonl") && error.contains("list<i64>") && error.contains("i64"), "{error}");
    assert!(matches!(open(|of| of.paths.clear()), FileError::None));
}

#[test]
fn dictionaries_and_other_forms_of_text_are_text() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.arrow");
    let plain = batch(&rising(50));
    for to in [
        DataType::Dictionary(Box::new(DataType::Int8), Box::new(DataType::Utf8)),
        DataType::LargeUtf8,
        DataType::Utf8View,
    ] {
        let keys = arrow_cast::cast(plain.column_by_name("k").unwrap(), &to).unwrap();
        let batch = RecordBatch::try_from_iter([
            ("t", Arc::clone(plain.column_by_name("t").unwrap())),
            ("k", keys),
            ("x", Arc::clone(plain.column_by_name("x").unwrap())),
        ])
        .unwrap();
        for format in ["arrow", "parquet"] {
            let path = path.with_extension(format);
            write(&path, &batch);
            assert_eq!(Files::open(define(&path)).unwrap().fields()[1].data_type(), &DataType::Utf8);
            assert_eq!(answer("m.x", define(&path)).unwrap().0, plainly(&rising(50)), "{to} {format}");
        }
    }
}

/// A record around numbers, which some rows do not have.
fn records(rows: &[(i64, &str, i64)]) -> RecordBatch {
    let field = |name: &str, data_type: &DataType| Arc::new(Field::new(name, data_type.clone(), true));
    let (x, text) = (ints(rows.iter().map(|row| row.2)), batch(rows).column(0).clone());
    let inner = StructArray::from(vec![
        (field("text", &DataType::Utf8), text.clone()),
        (field("x", &DataType::Int64), x.clone()),
    ]);
    let fields =
        [field("text", &DataType::Utf8), field("inner", inner.data_type()), field("x", &DataType::Int64)];
    let has = rows.iter().map(|row| row.2 % 7 != 0).collect::<Vec<_>>();
    let columns = vec![text, Arc::new(inner) as ArrayRef, x];
    let records = StructArray::new(Fields::from(fields.to_vec()), columns, Some(has.into()));
    let plain = batch(rows);
    let column = |name: &str| plain.column_by_name(name).unwrap().clone();
    RecordBatch::try_from_iter([("r", Arc::new(records) as _), ("k", column("k")), ("t", column("t"))])
        .unwrap()
}

#[test]
fn of_records_a_field_is_read_alone() {
    let folder = tempfile::tempdir().unwrap();
    let expected: Vec<Row> = rising(200)
        .iter()
        .map(|row| (row.0, Some(row.1.to_owned()), Some(row.2).filter(|x| x % 7 != 0)))
        .collect();
    for format in ["parquet", "jsonl", "arrow", "arrows"] {
        let path = folder.path().join("rows").with_extension(format);
        for rows in [rising(200), shuffled(200)] {
            write(&path, &records(&rows));
            for query in [
                "m.r.x",
                "m.r.inner.x",
                "m.r.remove(\"inner\").x",
                "m.filter(r.is_not_null() or true).r.inner.x",
            ] {
                assert_eq!(answer(query, define(&path)).unwrap().0, expected, "{format}: {query}");
            }
        }
    }
}

#[test]
fn two_files_beside_each_other_stand_in_order_of_time() {
    let folder = tempfile::tempdir().unwrap();
    let open = |name: &str, rows: &[(i64, &str, i64)]| {
        let path = folder.path().join(name).with_extension("parquet");
        write(&path, &batch(rows));
        Offer::Files(Arc::new(Files::open(Definition::new(&path, "t", "k")).unwrap()))
    };
    let offers =
        vec![open("m", &[(1, "A", 1), (2, "A", 2)]), open("n", &[(0, "A", 10), (2, "A", 20), (5, "B", 30)])];
    let sources = Sources::new(offers);
    let query = skytide_timestream::compile("m.x.sum() + n.x.sum()", &sources).unwrap();
    let plan = Arc::new(skytide_timestream::plan(Arc::new(query), Results::history()));
    let mut source = sources.open(&plan, Mode::Once).unwrap();
    let mut rows = Rows::default();
    run(plan, &mut source, &mut rows, &RunOptions::once(), |_, _| {}).unwrap();
    let values: Vec<_> = rows.0.iter().map(|row| (row.0, row.2)).collect();
    assert_eq!(values, [(0, None), (1, Some(11)), (2, Some(33)), (5, None)]);
    let fields = Fields::from(vec![Field::new("text", DataType::Utf8, true)]);
    assert_eq!(sources.stream("m").unwrap().fields[0], fields[0]);
}

#[test]
fn statistics_that_lie_are_found_out() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.parquet");
    let late = 7_000_000_000_i64;
    let first: Vec<_> = (0..100).map(|row| (if row == 99 { late } else { row }, "A", row)).collect();
    let second: Vec<_> = (100..200).map(|row| (row, "A", row)).collect();
    write_parquet(&path, &[batch(&first), batch(&second)], groups(100));
    // Where they are true, both groups are sorted together.
    assert_eq!(answer("m.x", define(&path)).unwrap().0.last().unwrap().0, late);
    let mut bytes = std::fs::read(&path).unwrap();
    let len = bytes.len();
    let footer = u32::from_le_bytes(bytes[len - 8..len - 4].try_into().unwrap()) as usize;
    let mut patched = 0;
    for at in len - 8 - footer..len - 8 {
        if bytes[at..].starts_with(&late.to_le_bytes()) {
            bytes[at..at + 8].copy_from_slice(&99_i64.to_le_bytes());
            patched += 1;
        }
    }
    assert!(patched > 0);
    std::fs::write(&path, bytes).unwrap();
    let error = fail("m.x", define(&path));
    assert!(error.contains("rows.parquet, row group 1: times are not where they were said to be"), "{error}");
}

#[test]
fn files_that_are_added_are_read_by_later_queries() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (folder.path().join("one.csv"), folder.path().join("two.parquet"));
    write(&one, &batch(&[(1, "A", 1), (3, "A", 3)]));
    write(&two, &batch(&[(2, "A", 2)]));
    let fields = Fields::from(vec![
        Field::new("t", DataType::Int64, false),
        Field::new("k", DataType::LargeUtf8, false),
        Field::new("x", DataType::Int32, false),
    ]);
    let files = Files::open(Definition { paths: Vec::new(), fields: Some(fields), ..define(&one) }).unwrap();
    let files = Arc::new(files);
    let sources = Sources::new(vec![Offer::Files(Arc::clone(&files))]);
    let query = Arc::new(skytide_timestream::compile("m.x.cast(\"i64\").sum()", &sources).unwrap());
    let plan = Arc::new(skytide_timestream::plan(query, Results::history()));
    let sums = || {
        let source = sources.open(&plan, Mode::Once).unwrap();
        let answers = Answers::start(Arc::clone(&plan), source, &RunOptions::once()).unwrap();
        let of = |batch: RecordBatch| batch.column(2).as_primitive::<Int64Type>().values().to_vec();
        answers.map(|batch| of(batch.unwrap())).collect::<Vec<_>>().concat()
    };
    assert!(sums().is_empty());
    files.add(&one).unwrap();
    assert_eq!(sums(), [1, 4]);
    files.add(&two).unwrap();
    assert_eq!(sums(), [1, 3, 6]);
    assert!(matches!(files.add(&folder.path().join("none.csv")), Err(FileError::Io { .. })));
}

#[test]
fn answers_are_computed_as_they_are_taken() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.jsonl");
    // What is read before a line that is none is answered; the error is the last item.
    let lines: String =
        (0..20_000).map(|row| format!("{{\"t\": {row}, \"k\": \"A\", \"x\": {row}}}\n")).collect();
    write(&folder.path().join("good.parquet"), &batch(&rising(50_000)));
    std::fs::write(&path, format!("{lines}nonsense\n")).unwrap();
    let start = |path: &Path, options: &RunOptions| {
        let sources = Sources::new(vec![Offer::Files(Arc::new(Files::open(define(path)).unwrap()))]);
        let query = Arc::new(skytide_timestream::compile("m.x", &sources).unwrap());
        let plan = Arc::new(skytide_timestream::plan(query, Results::history()));
        let source = sources.open(&plan, Mode::Once).unwrap();
        Answers::start(plan, source, options).unwrap()
    };
    let mut answers = start(&path, &RunOptions::once());
    let last = answers.by_ref().last().unwrap();
    assert!(last.unwrap_err().to_string().contains("line 20001"));
    assert!(answers.outcome().is_none() && answers.next().is_none());

    let good = folder.path().join("good.parquet");
    let mut answers = start(&good, &RunOptions { limit: Some(30_000), ..RunOptions::once() });
    assert!(answers.next().unwrap().unwrap().num_rows() < 30_000);
    let rest: usize = answers.by_ref().map(|batch| batch.unwrap().num_rows()).sum();
    let outcome = answers.outcome().unwrap();
    assert_eq!((outcome.end, outcome.rows), (End::Limit, 30_000));
    assert!(rest > 0);
}

#[test]
fn a_subsort_that_no_whole_number_holds_is_told_by_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let write_as = |name: &str, numbers: ArrayRef| {
        let path = folder.path().join(name);
        let columns = [("t", ints([1])), ("k", Arc::new(StringArray::from(vec!["A"])) as _), ("s", numbers)];
        write(&path, &RecordBatch::try_from_iter(columns).unwrap());
        path
    };
    let unsigned = write_as("a.parquet", Arc::new(UInt64Array::from(vec![1])));
    let signed = write_as("b.parquet", ints([1]));
    let narrow = write_as("c.parquet", Arc::new(arrow_array::UInt32Array::from(vec![1])));
    let of = |paths: &[&PathBuf]| {
        let paths = paths.iter().map(|path| (*path).clone()).collect();
        Files::open(Definition { paths, subsort: Some("s".into()), ..define(&unsigned) })
    };
    let said = of(&[&unsigned, &signed]).unwrap_err().to_string();
    assert!(said.ends_with("b.parquet: the column \"s\" is i64; in the files before it is u64"), "{said}");
    assert!(of(&[&unsigned, &narrow]).is_ok() && of(&[&signed, &narrow]).is_ok());
}

#[test]
fn the_first_value_that_is_no_time_is_told() {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [
        ("a.csv", "t,k\n,A\n2026-01-01,A\n01/02/2026,A\n01/03/2026,B\n"),
        ("a.jsonl", "{\"t\": \"01/02/2026\", \"k\": \"A\"}\n{\"t\": \"x\", \"k\": \"A\"}\n"),
    ] {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        for memory in [64, 64 << 20] {
            let (_, status) = answer("m.count()", Definition { memory, ..define(&path) }).unwrap();
            assert_eq!(status.unread.as_deref(), Some("01/02/2026"), "{name}");
        }
    }
}

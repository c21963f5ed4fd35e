//! Files as they stand on a disk: replaced while they are read, pipes, and patterns of files whose columns differ.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampNanosecondType};
use arrow_array::{
    ArrayRef, Date32Array, Decimal128Array, Int64Array, NullArray, RecordBatch, StringArray, StructArray,
    TimestampSecondArray,
};
use arrow_ipc::writer::{FileWriter, StreamWriter};
use arrow_schema::Field;
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use skytide_connect::files::{Definition, FileError, Files};
use skytide_connect::run::{Answers, RunOptions};
use skytide_connect::source::Source as _;
use skytide_connect::sources::{Offer, Sources};
use skytide_timestream::engine::Mode;
use skytide_timestream::plan::Results;
use skytide_timestream::types;

/// Rows of `t`, `k` and this value.
fn batch(rows: i64, value: i64) -> RecordBatch {
    let ints = |of: &dyn Fn(i64) -> i64| -> ArrayRef { Arc::new((0..rows).map(of).collect::<Int64Array>()) };
    let keys: ArrayRef = Arc::new((0..rows).map(|_| Some("A")).collect::<StringArray>());
    RecordBatch::try_from_iter([("t", ints(&|row| row)), ("k", keys), ("x", ints(&|_| value))]).unwrap()
}

/// Writes a file anew, under its name or beside it.
fn write(path: &Path, batch: &RecordBatch) {
    let file = File::create(path).unwrap();
    match path.extension().unwrap().to_str().unwrap() {
        "parquet" => {
            let groups = WriterProperties::builder().set_max_row_group_row_count(Some(1000)).build();
            let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(groups)).unwrap();
            writer.write(batch).unwrap();
            writer.close().unwrap();
        }
        "arrow" => {
            let mut writer = FileWriter::try_new(file, &batch.schema()).unwrap();
            writer.write(batch).unwrap();
            writer.finish().unwrap();
        }
        "arrows" => {
            let mut writer = StreamWriter::try_new(file, &batch.schema()).unwrap();
            writer.write(batch).unwrap();
            // Its end is not written: it may go on.
            writer.flush().unwrap();
        }
        other => panic!("{other}"),
    }
}

fn define(paths: &[PathBuf]) -> Definition {
    let path = paths.first().unwrap();
    Definition { name: "m".into(), paths: paths.to_vec(), ..Definition::new(path, "t", "k") }
}

fn start(query: &str, files: Files) -> Answers<skytide_connect::merge::Merge> {
    let sources = Sources::new(vec![Offer::Files(Arc::new(files))]);
    let query = skytide_timestream::compile(query, &sources).unwrap_or_else(|error| panic!("{error}"));
    let plan = Arc::new(skytide_timestream::plan(Arc::new(query), Results::history()));
    let source = sources.open(&plan, Mode::Once).unwrap();
    Answers::start(plan, source, &RunOptions::once()).unwrap()
}

fn values(batch: &RecordBatch) -> Vec<Option<i64>> {
    batch.column_by_name("result").unwrap().as_primitive::<Int64Type>().iter().collect()
}

#[test]
fn a_file_that_is_replaced_while_it_is_read_gives_no_rows_of_the_other_one() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["m.parquet", "m.arrow", "m.arrows"] {
        for readers in [0, 2] {
            let (path, other) = (folder.path().join(name), folder.path().join(format!("other-{name}")));
            write(&path, &batch(50_000, 1));
            write(&other, &batch(50_000, 2));
            let open = || Files::open(Definition { readers, ..define(std::slice::from_ref(&path)) }).unwrap();
            // Whole: all its rows. Replaced before they are read: none, and an error that names it.
            let (whole, files) = (open(), open());
            let rows: usize = start("m.x", whole).map(|batch| batch.unwrap().num_rows()).sum();
            assert_eq!(rows, 50_000, "{name}");
            // While they are: of readers ahead those that are there already, and no other.
            let mut begun = start("m.x", open());
            let first = begun.next().unwrap().unwrap();
            fs::rename(&other, &path).unwrap();
            let said = start("m.x", files).find_map(Result::err).unwrap().to_string();
            assert!(said.contains(name) && said.contains("it was replaced"), "{said}");
            let mut rows = values(&first);
            for batch in begun {
                match batch {
                    Ok(batch) => rows.extend(values(&batch)),
                    Err(error) => assert!(error.to_string().contains("it was replaced"), "{error}"),
                }
            }
            assert!(rows.iter().all(|value| *value == Some(1)), "{name}");
        }
    }
    // Written anew in its place.
    let path = folder.path().join("m.parquet");
    let files = Files::open(define(std::slice::from_ref(&path))).unwrap();
    write(&path, &batch(10, 3));
    assert!(start("m.x", files).any(|batch| batch.is_err()));
}

#[test]
fn text_that_is_replaced_between_two_readings_has_rows_of_one_file_alone() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["m.csv", "m.jsonl"] {
        let (path, other) = (folder.path().join(name), folder.path().join("other"));
        // Of each file the times have a sign of their own.
        let text = |file: i64| -> String {
            let rows = (0..20_000).map(|row| (row * 10 + file, "A".repeat(40)));
            if name == "m.csv" {
                rows.fold("t,k,x\n".to_owned(), |text, (time, key)| text + &format!("{time},{key},{file}\n"))
            } else {
                let row = |(time, key)| format!("{{\"t\":{time},\"k\":\"{key}\",\"x\":{file}}}\n");
                rows.map(row).collect()
            }
        };
        let (mine, others) = (text(1), text(2));
        for steps in 0..12 {
            fs::write(&path, &mine).unwrap();
            fs::write(&other, &others).unwrap();
            let memory = 2 << 20;
            let files = Files::open(Definition { memory, ..define(std::slice::from_ref(&path)) }).unwrap();
            let sources = Sources::new(vec![Offer::Files(Arc::new(files))]);
            let query = Arc::new(skytide_timestream::compile("m.x", &sources).unwrap());
            let plan = Arc::new(skytide_timestream::plan(query, Results::history()));
            let mut source = sources.open(&plan, Mode::Once).unwrap();
            for _ in 0..steps {
                source.next(Duration::ZERO).unwrap();
            }
            fs::rename(&other, &path).unwrap();
            for batch in Answers::start(plan, source, &RunOptions::once()).unwrap() {
                // Rows that stand before those given out are an error.
                let Ok(batch) = batch else { continue };
                let times = batch.column(0).as_primitive::<TimestampNanosecondType>().values().iter();
                for (time, value) in times.zip(values(&batch)) {
                    assert_eq!(Some(time % 10), value, "{name}, after {steps} steps");
                }
            }
        }
    }
}

#[test]
fn a_stream_that_has_grown_since_it_was_opened_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.arrows");
    let (file, rows) = (File::create(&path).unwrap(), batch(100, 1));
    let mut writer = StreamWriter::try_new(file, &rows.schema()).unwrap();
    writer.write(&rows).unwrap();
    writer.flush().unwrap();
    let files = Files::open(define(std::slice::from_ref(&path))).unwrap();
    writer.write(&rows).unwrap();
    writer.flush().unwrap();
    assert_eq!(start("m.x", files).map(|batch| batch.unwrap().num_rows()).sum::<usize>(), 200);
}

/// A pipe of the system is opened by whoever reads it, who waits for one that writes.
#[cfg(unix)]
#[test]
fn what_is_no_file_is_refused_before_it_is_opened() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["m.parquet", "m.jsonl", "m.csv", "m.arrow", "m"] {
        let pipe = folder.path().join(name);
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let error = Files::open(define(std::slice::from_ref(&pipe))).unwrap_err();
        assert!(matches!(error, FileError::Waits(_)) && error.to_string().contains(name), "{error}");
    }
}

#[test]
fn what_is_nested_too_deep_is_said_to_be_and_not_to_be_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let deep: ArrayRef = (0..70).fold(Arc::new(Int64Array::from(vec![1])), |within: ArrayRef, _| {
        let field = Field::new("a", within.data_type().clone(), true);
        Arc::new(StructArray::new(vec![field].into(), vec![within], None))
    });
    let rows = batch(1, 1);
    let columns = [rows.column(0), rows.column(1), &deep].map(Arc::clone);
    let rows = RecordBatch::try_from_iter(["t", "k", "x"].into_iter().zip(columns)).unwrap();
    for name in ["m.parquet", "m.arrow", "m.arrows"] {
        let path = folder.path().join(name);
        write(&path, &rows);
        let said = Files::open(define(std::slice::from_ref(&path))).unwrap_err().to_string();
        assert!(said.contains(name) && said.contains("nested deeper") && !said.contains("whole"), "{said}");
    }
}

/// The type of a column of files that hold these, one each, and its values as text.
fn joined(folder: &Path, files: &[(&str, &str)]) -> Result<(String, Vec<Option<String>>), String> {
    let paths: Vec<PathBuf> = files.iter().map(|(name, _)| folder.join(name)).collect();
    for (path, (_, text)) in paths.iter().zip(files) {
        if !text.is_empty() || !path.exists() {
            fs::write(path, text).unwrap();
        }
    }
    let files = Files::open(define(&paths)).map_err(|error| error.to_string())?;
    let named = types::name(files.fields().find("x").unwrap().1.data_type());
    let mut found = Vec::new();
    for batch in start("{ result: m.x }", files) {
        let batch = batch.map_err(|error| error.to_string())?;
        let column = batch.column_by_name("result").unwrap();
        if let Some(times) = column.as_primitive_opt::<TimestampNanosecondType>() {
            found.extend(times.iter().map(|time| time.map(|time| (time / 1_000_000_000).to_string())));
            continue;
        }
        let texts = skytide_connect::tables::texts(column).unwrap();
        found.extend(texts.as_string::<i32>().iter().map(|text| text.map(str::to_owned)));
    }
    Ok((named, found))
}

#[test]
fn a_column_without_values_is_of_the_type_that_it_has_in_the_other_files() {
    let folder = tempfile::tempdir().unwrap();
    let some = |text: &str| Some(text.to_owned());
    let joined = |files: &[(&str, &str)]| joined(folder.path(), files).unwrap();
    let numbers = "t,k,x\n1,A,5\n2,A,-6\n";
    let both = (String::from("i64"), vec![some("5"), some("-6")]);
    // No rows: a header, or nothing at all.
    assert_eq!(joined(&[("a.csv", "t,k,x\n"), ("b.csv", numbers)]), both);
    assert_eq!(joined(&[("b.csv", numbers), ("a.csv", "t,k,x\n")]), both);
    assert_eq!(joined(&[("n.jsonl", "\n"), ("b.csv", numbers)]), both);
    // Rows without a value.
    let empty = (String::from("i64"), vec![None, some("5"), some("-6")]);
    assert_eq!(joined(&[("a.csv", "t,k,x\n0,A,\n"), ("b.csv", numbers)]), empty);
    let null = "{\"t\": 0, \"k\": \"A\", \"x\": null}\n";
    assert_eq!(joined(&[("a.jsonl", null), ("b.csv", numbers)]), empty);
    assert_eq!(joined(&[("a.jsonl", null)]), (String::from("utf8"), vec![None]));
    let listed = "{\"t\": 1, \"k\": \"A\", \"x\": [5]}\n";
    let lists = joined(&[("a.jsonl", &null.replace("null", "[]")), ("b.jsonl", listed)]);
    assert_eq!(lists, (String::from("list<i64>"), vec![some("[]"), some("[5]")]));
    let recorded = "{\"t\": 1, \"k\": \"A\", \"x\": {\"y\": 5}}\n";
    let records = joined(&[("a.jsonl", &null.replace("null", "{\"y\": null}")), ("b.jsonl", recorded)]);
    assert_eq!(records.0, "struct<y: i64>");
    let keys: ArrayRef = Arc::new(StringArray::from(vec!["A"]));
    let times: ArrayRef = Arc::new(Int64Array::from(vec![0]));
    let nulls: ArrayRef = Arc::new(NullArray::new(1));
    let rows = RecordBatch::try_from_iter([("t", times), ("k", keys), ("x", nulls)]).unwrap();
    write(&folder.path().join("a.parquet"), &rows);
    assert_eq!(joined(&[("a.parquet", ""), ("b.csv", numbers)]), empty);
    assert_eq!(joined(&[("b.csv", numbers), ("a.parquet", "")]), empty);
}

#[test]
fn decimals_and_dates_of_several_files_are_of_a_type_that_holds_both() {
    let folder = tempfile::tempdir().unwrap();
    let keys = || -> ArrayRef { Arc::new(StringArray::from(vec!["A"])) };
    let write = |name: &str, time: ArrayRef, value: ArrayRef| {
        let rows = RecordBatch::try_from_iter([("t", time), ("k", keys()), ("x", value)]).unwrap();
        write(&folder.path().join(name), &rows);
    };
    let decimal = |value: i128, precision, scale| -> ArrayRef {
        let values = Decimal128Array::from(vec![value]);
        Arc::new(values.with_precision_and_scale(precision, scale).unwrap())
    };
    // A day as a date and a moment of the day after, as times and as values.
    let date = || -> ArrayRef { Arc::new(Date32Array::from(vec![19_000])) };
    let moment = || -> ArrayRef {
        Arc::new(TimestampSecondArray::from(vec![19_001 * 86_400 + 1]).with_timezone("+02:00"))
    };
    write("a.parquet", date(), decimal(150, 10, 2));
    write("b.parquet", moment(), decimal(22_500, 9, 4));
    let (named, values) = joined(folder.path(), &[("a.parquet", ""), ("b.parquet", "")]).unwrap();
    assert_eq!((named.as_str(), values.len()), ("decimal", 2));
    assert_eq!(values, [Some("1.5000".to_owned()), Some("2.2500".to_owned())]);
    write("a.parquet", date(), date());
    write("b.parquet", moment(), moment());
    let (named, values) = joined(folder.path(), &[("a.parquet", ""), ("b.parquet", "")]).unwrap();
    assert_eq!(named, "timestamp");
    assert_eq!(values, [19_000 * 86_400, 19_001 * 86_400 + 1].map(|seconds| Some(seconds.to_string())));
    // Where none holds both, the error says in what they differ.
    write("a.parquet", date(), decimal(1, 38, 0));
    write("b.parquet", moment(), decimal(1, 38, 38));
    joined(folder.path(), &[("a.parquet", ""), ("b.parquet", "")]).unwrap();
    write("b.parquet", moment(), Arc::new(Int64Array::from(vec![1])));
    let (named, _) = joined(folder.path(), &[("a.parquet", ""), ("b.parquet", "")]).unwrap();
    assert_eq!(named, "decimal");
    write("b.parquet", moment(), keys());
    let said = joined(folder.path(), &[("a.parquet", ""), ("b.parquet", "")]).unwrap_err();
    assert!(
        said.contains("b.parquet: the column \"x\" is utf8; in the files before it is decimal"),
        "{said}"
    );
}

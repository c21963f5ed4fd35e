//! Rows as text and Arrow.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use arrow_array::builder::{ListBuilder, StringBuilder};
use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampNanosecondArray};
use skytide_connect::sink::{
    Arrow, Callback, Csv, FileFormat, FileSink, GrowingFile, Ndjson, Place, Roll, Sink, SinkError, TextFile,
};

fn batch() -> RecordBatch {
    let time = TimestampNanosecondArray::from(vec![0, 1_783_175_887_517_000_000]).with_timezone("UTC");
    let key = StringArray::from(vec![Some("a,\"b\""), None]);
    let count = Int64Array::from(vec![Some(1), None]);
    let mut langs = ListBuilder::new(StringBuilder::new());
    langs.append_value([Some("en"), None]);
    langs.append_null();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("_time", Arc::new(time)),
        ("_key", Arc::new(key)),
        ("result", Arc::new(count)),
        ("langs", Arc::new(langs.finish())),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut bytes = Vec::new();
    write(&mut bytes);
    String::from_utf8(bytes).unwrap()
}

#[test]
fn json_lines_write_nulls_out() {
    let text = text(|bytes| {
        let mut sink = Ndjson::new(bytes);
        sink.write(&batch()).unwrap();
        sink.finish().unwrap();
    });
    assert_eq!(
        text,
        "{\"_time\":\"1970-01-01T00:00:00Z\",\"_key\":\"a,\\\"b\\\"\",\"result\":1,\"langs\":[\"en\",null]}\n\
         {\"_time\":\"2026-07-04T14:38:07.517Z\",\"_key\":null,\"result\":null,\"langs\":null}\n"
    );
}

#[test]
fn text_is_cut_back_to_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.csv");
    let schema = batch().schema();
    let mut sink = TextFile::csv(&path, &schema).unwrap();
    sink.write(&batch().slice(0, 1)).unwrap();
    let place = sink.place().unwrap().unwrap();
    let first = std::fs::read_to_string(&path).unwrap();
    assert_eq!((place.bytes, first.lines().count()), (first.len() as u64, 2));
    sink.write(&batch()).unwrap();
    // Another one goes on from there; what is written next is shorter than what was there.
    let mut sink = TextFile::csv(&path, &schema).unwrap();
    sink.go_back(Some(&place)).unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), first);
    sink.write(&batch().slice(1, 1)).unwrap();
    let whole = text(|out| Csv::new(out, schema.clone()).write(&batch()).unwrap());
    assert_eq!(std::fs::read_to_string(&path).unwrap(), whole);
    sink.go_back(None).unwrap();
    sink.finish().unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "_time,_key,result,langs\n");

    let error = sink.go_back(Some(&place)).unwrap_err().to_string();
    assert!(error.contains("rows.csv: it has 24 bytes, and had 73 bytes when the run was saved"), "{error}");
    // A file that was not there is not there afterwards.
    for wanted in ["gone.csv", "other.csv"] {
        let here = folder.path().join("gone.csv");
        let mut sink = TextFile::csv(&here, &schema).unwrap();
        let place = Place { file: folder.path().canonicalize().unwrap().join(wanted), ..place.clone() };
        let error = sink.go_back(Some(&place)).unwrap_err().to_string();
        assert_eq!(
            error.contains("gone.csv: it is not there, and had 73 bytes"),
            wanted == "gone.csv",
            "{error}"
        );
        assert!(!here.exists());
    }
    let error = TextFile::ndjson(folder.path()).map(drop).unwrap_err().to_string();
    assert!(error.ends_with("it is no file, whose rows could be cut back"), "{error}");
    #[cfg(unix)]
    assert!(TextFile::ndjson(std::path::Path::new("/dev/null")).is_err());
}

#[test]
fn a_file_that_grows_is_as_it_was_until_there_are_rows() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows");
    let schema = batch().schema();
    let held = || std::fs::read_to_string(&path).unwrap();
    let grown = |is_csv: bool| {
        let schema = schema.clone();
        let make = move |target| -> Result<Box<dyn Sink + Send>, SinkError> {
            Ok(if is_csv {
                Box::new(Csv::new(target, schema))
            } else {
                Box::new(Arrow::new(target, &schema)?)
            })
        };
        GrowingFile::new(&path, make).unwrap()
    };
    for is_csv in [true, false] {
        std::fs::write(&path, "an earlier answer, which is longer than what a header is").unwrap();
        drop(grown(is_csv));
        assert!(held().starts_with("an earlier"));
        let mut sink = grown(is_csv);
        sink.finish().unwrap();
        let mut whole = Vec::new();
        if is_csv {
            Csv::new(&mut whole, schema.clone()).finish().unwrap();
        } else {
            Arrow::new(&mut whole, &schema).unwrap().finish().unwrap();
        }
        assert!(std::fs::read(&path).unwrap() == whole, "{is_csv}");
    }
    std::fs::write(&path, "an earlier answer").unwrap();
    let mut sink = grown(true);
    sink.write(&batch()).unwrap();
    // A row is there at once.
    assert_eq!(held(), text(|out| Csv::new(out, schema.clone()).write(&batch()).unwrap()));
    let folder = GrowingFile::new(folder.path(), |target| Ok(Ndjson::new(target)));
    assert!(folder.map(drop).unwrap_err().to_string().starts_with("cannot write "));

    // One that is cut back to its beginning, too.
    std::fs::write(&path, "an earlier answer").unwrap();
    let mut sink = TextFile::csv(&path, &schema).unwrap();
    sink.go_back(None).unwrap();
    assert_eq!(sink.place().unwrap().unwrap().bytes, 0);
    drop(sink);
    assert_eq!(held(), "an earlier answer");
    let mut sink = TextFile::csv(&path, &schema).unwrap();
    sink.go_back(None).unwrap();
    sink.write(&batch()).unwrap();
    assert_eq!(held(), text(|out| Csv::new(out, schema.clone()).write(&batch()).unwrap()));
}

#[test]
fn moments_of_named_zones_are_written_in_utc() {
    let moments = TimestampNanosecondArray::from(vec![Some(1_700_000_000_000_000_000), None]);
    let zoned = |zone: &str| Arc::new(moments.clone().with_timezone(zone)) as ArrayRef;
    let columns = [("berlin", zoned("Europe/Berlin")), ("fixed", zoned("+02:00"))];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let written = text(|out| Csv::new(out, batch.schema()).write(&batch).unwrap());
    assert_eq!(written, "berlin,fixed\n2023-11-14T22:13:20Z,2023-11-15T00:13:20+02:00\n,\n",);
}

#[test]
fn csv_has_one_header_and_lists_as_json() {
    let text = text(|bytes| {
        let mut sink = Csv::new(bytes, batch().schema());
        sink.write(&batch().slice(0, 1)).unwrap();
        sink.write(&batch().slice(1, 1)).unwrap();
        sink.finish().unwrap();
    });
    assert_eq!(
        text,
        "_time,_key,result,langs\n\
         1970-01-01T00:00:00Z,\"a,\"\"b\"\"\",1,\"[\"\"en\"\",null]\"\n\
         2026-07-04T14:38:07.517Z,,,\n"
    );
    let empty = self::text(|bytes| Csv::new(bytes, batch().schema()).finish().unwrap());
    assert_eq!(empty, "_time,_key,result,langs\n");
}

#[test]
fn arrow_streams_read_back() {
    let mut bytes = Vec::new();
    let mut sink = Arrow::new(&mut bytes, &batch().schema()).unwrap();
    sink.write(&batch()).unwrap();
    sink.finish().unwrap();
    drop(sink);
    let read: Vec<_> = arrow_ipc::reader::StreamReader::try_new(bytes.as_slice(), None)
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    assert_eq!(read, [batch()]);
}

fn rows(from: i64, to: i64) -> RecordBatch {
    let hour = 3_600_000_000_000;
    let time =
        TimestampNanosecondArray::from_iter_values((from..to).map(|at| at * hour / 4)).with_timezone("UTC");
    let key = StringArray::from_iter_values((from..to).map(|at| format!("key {at}")));
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("_time", Arc::new(time)),
        ("_key", Arc::new(key)),
        ("result", Arc::new(Int64Array::from_iter_values(from..to))),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

/// The rows of a file, and how many files are in its folder.
fn read(path: &std::path::Path) -> Vec<RecordBatch> {
    let file = std::fs::File::open(path).unwrap();
    if path.extension().unwrap() == "arrow" {
        return arrow_ipc::reader::FileReader::try_new(file, None)
            .unwrap()
            .collect::<Result<_, _>>()
            .unwrap();
    }
    let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    reader.build().unwrap().collect::<Result<_, _>>().unwrap()
}

fn names(folder: &std::path::Path) -> Vec<String> {
    let entries = folder.read_dir().unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn files_have_their_names_when_they_are_whole() {
    for format in [FileFormat::Parquet, FileFormat::Arrow] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows").with_extension(format.ending());
        std::fs::write(&path, "what was there").unwrap();
        let mut sink = FileSink::file(&path, format, &rows(0, 0).schema()).unwrap();
        sink.write(&rows(0, 3)).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"what was there");
        drop(sink);
        // Given up: as if it had never been.
        assert_eq!(std::fs::read(&path).unwrap(), b"what was there");
        assert_eq!(names(folder.path()).len(), 1);

        let mut sink = FileSink::file(&path, format, &rows(0, 0).schema()).unwrap();
        sink.write(&rows(0, 3)).unwrap();
        sink.write(&rows(3, 5)).unwrap();
        sink.finish().unwrap();
        let read_back = arrow_select::concat::concat_batches(&rows(0, 0).schema(), &read(&path)).unwrap();
        assert_eq!(read_back, rows(0, 5));
        assert_eq!(names(folder.path()).len(), 1);
        // Others may read it, as any file.
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let other = folder.path().join("other");
            std::fs::write(&other, "").unwrap();
            let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode();
            assert_eq!(mode(&path), mode(&other));
        }
    }
}

#[test]
fn a_file_without_rows_has_its_columns() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.parquet");
    FileSink::file(&path, FileFormat::Parquet, &rows(0, 0).schema()).unwrap().finish().unwrap();
    let file = std::fs::File::open(&path).unwrap();
    let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    assert_eq!(reader.schema().fields(), rows(0, 0).schema().fields());
}

#[test]
fn folders_are_rolled_by_time_and_by_size() {
    let hour = Roll { every: Some(3_600_000_000_000), bytes: None };
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().join("of hours");
    let mut sink = FileSink::folder(&at, FileFormat::Parquet, &rows(0, 0).schema(), hour).unwrap();
    sink.write(&rows(0, 6)).unwrap();
    // The first hour is over, and its file there; the second one's is not.
    assert_eq!(names(&at).iter().filter(|name| !name.starts_with('.')).count(), 1);
    sink.write(&rows(6, 10)).unwrap();
    sink.finish().unwrap();
    let parts = ["part-00000000.parquet", "part-00000001.parquet", "part-00000002.parquet"];
    assert_eq!(names(&at), parts);
    let read: Vec<usize> =
        parts.iter().map(|name| read(&at.join(name)).iter().map(RecordBatch::num_rows).sum()).collect();
    assert_eq!(read, [4, 4, 2]);

    // Another run goes on after what is there.
    let small = Roll { every: None, bytes: Some(1) };
    let mut sink = FileSink::folder(&at, FileFormat::Parquet, &rows(0, 0).schema(), small).unwrap();
    sink.write(&rows(0, 1)).unwrap();
    sink.write(&rows(1, 2)).unwrap();
    sink.finish().unwrap();
    assert_eq!(names(&at)[3..], ["part-00000003.parquet", "part-00000004.parquet"]);
    // Without rows there is nothing.
    FileSink::folder(&at, FileFormat::Arrow, &rows(0, 0).schema(), small).unwrap().finish().unwrap();
    assert_eq!(names(&at).len(), 5);
}

#[test]
fn files_that_are_rolled_by_size_have_it() {
    // Much smaller when they are compressed, and a bit less so.
    for unlike in [0, 0x9e37_79b9_7f4a_7c15_u64] {
        let folder = tempfile::tempdir().unwrap();
        let size = 100_000;
        let roll = Roll { every: None, bytes: Some(size) };
        let mut sink =
            FileSink::folder(folder.path(), FileFormat::Parquet, &rows(0, 0).schema(), roll).unwrap();
        let mut row = 0u64;
        while names(folder.path()).len() < 4 {
            let results = (row..row + 10_000).map(|row| row.wrapping_mul(unlike).cast_signed() >> 20);
            let mut columns = rows(row as i64, row as i64 + 10_000).columns().to_vec();
            columns[2] = Arc::new(Int64Array::from_iter_values(results));
            sink.write(&RecordBatch::try_new(rows(0, 0).schema(), columns).unwrap()).unwrap();
            row += 10_000;
        }
        sink.finish().unwrap();
        for name in &names(folder.path())[..3] {
            let bytes = folder.path().join(name).metadata().unwrap().len();
            assert!((size * 17 / 20..size * 23 / 20).contains(&bytes), "{name}: {bytes}");
        }
    }
}

#[test]
fn two_runs_into_one_folder_leave_each_other_their_files() {
    let folder = tempfile::tempdir().unwrap();
    let open = || {
        let schema = rows(0, 0).schema();
        FileSink::folder(folder.path(), FileFormat::Parquet, &schema, Roll::default()).unwrap()
    };
    let (mut one, mut other) = (open(), open());
    one.write(&rows(0, 1)).unwrap();
    other.write(&rows(1, 3)).unwrap();
    other.finish().unwrap();
    one.finish().unwrap();
    let parts = ["part-00000000.parquet", "part-00000001.parquet"];
    assert_eq!(names(folder.path()), parts);
    let rows = parts.map(|name| read(&folder.path().join(name))[0].num_rows());
    assert_eq!(rows, [2, 1], "the first to finish has the first name");
}

#[cfg(unix)]
#[test]
fn a_link_stays_one_and_a_pipe_is_written_to() {
    let folder = tempfile::tempdir().unwrap();
    let (file, link) = (folder.path().join("rows.parquet"), folder.path().join("link.parquet"));
    std::fs::write(&file, "what was there").unwrap();
    std::os::unix::fs::symlink(&file, &link).unwrap();
    let write = |path: &std::path::Path| {
        let mut sink = FileSink::file(path, FileFormat::Parquet, &rows(0, 0).schema()).unwrap();
        sink.write(&rows(0, 3)).unwrap();
        sink.finish().unwrap();
    };
    write(&link);
    assert!(link.is_symlink());
    assert_eq!(read(&file)[0].num_rows(), 3);

    let pipe = folder.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let reader = std::thread::spawn({
        let pipe = pipe.clone();
        move || std::fs::read(pipe).unwrap()
    });
    write(&pipe);
    assert_eq!(reader.join().unwrap(), std::fs::read(&file).unwrap());
    assert_eq!(names(folder.path()).len(), 3);
}

#[cfg(unix)]
#[test]
fn the_reader_of_a_pipe_may_go_away_whatever_is_written() {
    let folder = tempfile::tempdir().unwrap();
    for (name, format) in [("p.parquet", FileFormat::Parquet), ("p.arrow", FileFormat::Arrow)] {
        let pipe = folder.path().join(name);
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let reader = std::thread::spawn({
            let pipe = pipe.clone();
            move || drop(std::fs::File::open(pipe).unwrap())
        });
        let mut sink = FileSink::file(&pipe, format, &rows(0, 0).schema()).unwrap();
        reader.join().unwrap();
        let written = (0..2000).try_for_each(|_| sink.write(&rows(0, 2000))).and_then(|()| sink.finish());
        let error = written.unwrap_err();
        assert!(error.is_closed_pipe(), "{name}: {error:?}");
    }
}

#[cfg(unix)]
#[test]
fn text_that_someone_takes_away_or_cuts_is_told_by_its_name() {
    use std::{fs, path::Path};

    type Take = fn(&Path);
    let schema = batch().schema();
    let takes: [(&str, Take); 4] = [
        ("removed", |path| fs::remove_file(path).unwrap()),
        ("renamed", |path| fs::rename(path, path.with_extension("1")).unwrap()),
        ("replaced", |path| {
            fs::remove_file(path).unwrap();
            fs::write(path, "another one, which is no shorter than what was there".repeat(9)).unwrap();
        }),
        ("cut to 0 bytes, of 73,", |path| fs::write(path, "").unwrap()),
    ];
    for (taken, take) in takes {
        for is_saved in [false, true] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("rows.csv");
            let open = || -> Box<dyn Sink> {
                let schema = schema.clone();
                if is_saved {
                    return Box::new(TextFile::csv(&path, &schema).unwrap());
                }
                Box::new(GrowingFile::new(&path, |target| Ok(Csv::new(target, schema))).unwrap())
            };
            let mut sink = open();
            sink.write(&batch().slice(0, 1)).unwrap();
            take(&path);
            let left = fs::read(&path).ok();
            let mut said = vec![sink.write(&batch()), sink.finish()];
            if is_saved {
                said.push(sink.place().map(drop));
            }
            for said in said {
                let said = said.unwrap_err().to_string();
                assert!(said.contains("rows.csv: it was ") && said.contains(taken), "{said}");
            }
            drop(sink);
            assert_eq!(fs::read(&path).ok(), left, "{taken}");
        }
    }
}

#[cfg(unix)]
#[test]
fn a_link_to_what_is_not_there_yet_stays_one() {
    use std::os::unix::fs::symlink;

    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (file, link) = (other.path().join("rows.parquet"), folder.path().join("link.parquet"));
    symlink(&file, folder.path().join("next.parquet")).unwrap();
    symlink("next.parquet", &link).unwrap();
    let open = |path: &std::path::Path| FileSink::file(path, FileFormat::Parquet, &rows(0, 0).schema());
    let mut sink = open(&link).unwrap();
    sink.write(&rows(0, 3)).unwrap();
    sink.finish().unwrap();
    assert!(link.is_symlink());
    assert_eq!(read(&file)[0].num_rows(), 3);
    assert_eq!((names(folder.path()).len(), names(other.path()).len()), (2, 1));

    let circle = folder.path().join("circle");
    symlink("circle", &circle).unwrap();
    assert!(open(&circle).is_err() && circle.is_symlink());
}

#[cfg(unix)]
#[test]
fn a_folder_that_may_not_be_read_is_written_to() {
    use std::os::unix::fs::PermissionsExt;

    let folder = tempfile::tempdir().unwrap();
    let may = |mode| std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(mode)).unwrap();
    let path = folder.path().join("rows.parquet");
    may(0o300);
    let mut sink = FileSink::file(&path, FileFormat::Parquet, &rows(0, 0).schema()).unwrap();
    sink.write(&rows(0, 3)).unwrap();
    let finished = sink.finish();
    may(0o700);
    finished.unwrap();
    assert_eq!(names(folder.path()), ["rows.parquet"]);
}

#[test]
fn what_cannot_be_written_is_named() {
    let folder = tempfile::tempdir().unwrap();
    for path in [folder.path().to_owned(), folder.path().join("no/such.parquet"), "/".into()] {
        let error =
            FileSink::file(&path, FileFormat::Parquet, &rows(0, 0).schema()).err().unwrap().to_string();
        assert!(error.starts_with(&format!("cannot write {}", path.display())), "{error}");
    }
}

#[test]
fn a_function_takes_rows_and_may_end_the_run() {
    let mut seen = 0;
    let mut sink = Callback(|batch: &RecordBatch| {
        seen += batch.num_rows();
        if seen > 3 { Err(std::io::Error::other("enough").into()) } else { Ok(()) }
    });
    sink.write(&rows(0, 2)).unwrap();
    assert!(sink.write(&rows(2, 5)).unwrap_err().to_string().contains("enough"));
    sink.finish().unwrap();
    assert_eq!(seen, 5);
}

#[test]
fn what_cannot_be_gone_on_with_is_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let (at, kept) = (folder.path().join("answers"), folder.path().join("rows"));
    let open = |schema| {
        let sink = FileSink::folder(&at, FileFormat::Parquet, &schema, Roll::default()).unwrap();
        sink.kept_in(&kept).unwrap()
    };
    let own = rows(0, 0).schema();
    let mut sink = open(Arc::clone(&own));
    sink.write(&rows(0, 3)).unwrap();
    let place = sink.place().unwrap();
    sink.finish().unwrap();
    let whole = names(&at);
    let kept = folder.path().join("rows-00000000");
    let good = std::fs::read(&kept).unwrap();
    let mut damaged = good.clone();
    damaged[good.len() / 2] ^= 1;
    let others = rows(0, 0).project(&[0, 2]).unwrap().schema();
    for (bytes, schema, reason) in [
        (None, &own, "rows-00000000"),
        (Some(&good[1..]), &own, "when the run was saved"),
        (Some(&damaged[..]), &own, "when the run was saved"),
        (Some(&good[..]), &others, "other columns"),
    ] {
        match bytes {
            Some(bytes) => std::fs::write(&kept, bytes).unwrap(),
            None => std::fs::remove_file(&kept).unwrap(),
        }
        let error = open(Arc::clone(schema)).go_back(place.as_ref()).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
        assert_eq!(names(&at), whole, "{reason}");
        assert_eq!(read(&at.join(&whole[0])), [rows(0, 3)]);
        assert_eq!(std::fs::read(&kept).ok().as_deref(), bytes, "{reason}");
    }
    let mut sink = open(own);
    sink.go_back(place.as_ref()).unwrap();
    sink.write(&rows(3, 4)).unwrap();
    sink.finish().unwrap();
    assert_eq!(names(&at), whole);
    assert_eq!(read(&at.join(&whole[0])), [rows(0, 4)]);
}

#[test]
fn rows_that_come_one_at_a_time_are_kept_together() {
    let folder = tempfile::tempdir().unwrap();
    let kept = |name: &str, batches: &[RecordBatch]| {
        let (at, kept) = (folder.path().join(name), folder.path().join(format!("{name}.rows")));
        let sink = FileSink::folder(&at, FileFormat::Parquet, &rows(0, 0).schema(), Roll::default()).unwrap();
        let mut sink = sink.kept_in(&kept).unwrap();
        batches.iter().for_each(|batch| sink.write(batch).unwrap());
        let place = sink.place().unwrap().unwrap();
        let file = std::fs::read(folder.path().join(format!("{name}.rows-00000000"))).unwrap();
        assert_eq!(file.len() as u64, place.bytes);
        file.len()
    };
    let single: Vec<_> = (0..3000).map(|row| rows(row, row + 1)).collect();
    assert_eq!(kept("single", &single), kept("together", &[rows(0, 3000)]));
    // Many are not all held until they are saved.
    let many: Vec<_> = (0..20_000).map(|row| rows(row % 3000, row % 3000 + 1)).collect();
    let (at, path) = (folder.path().join("many"), folder.path().join("many.rows"));
    let sink = FileSink::folder(&at, FileFormat::Parquet, &rows(0, 0).schema(), Roll::default()).unwrap();
    let mut sink = sink.kept_in(&path).unwrap();
    many.iter().for_each(|batch| sink.write(batch).unwrap());
    let file = folder.path().join("many.rows-00000000").metadata().unwrap().len();
    assert!(file > 100_000, "{file}");
}

#[test]
fn a_folder_goes_on_after_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let (at, kept) = (folder.path().join("of hours"), folder.path().join("rows"));
    let hour = Roll { every: Some(3_600_000_000_000), bytes: None };
    let open = || {
        let sink = FileSink::folder(&at, FileFormat::Parquet, &rows(0, 0).schema(), hour).unwrap();
        sink.kept_in(&kept).unwrap()
    };
    let mut sink = open();
    let nothing = sink.place().unwrap().unwrap();
    sink.go_back(None).unwrap();
    // Six quarters of an hour, then what is not in the place, of which one file is whole.
    sink.write(&rows(0, 6)).unwrap();
    let place = sink.place().unwrap().unwrap();
    assert!(place.bytes > 0 && nothing.bytes == 0);
    sink.write(&rows(6, 10)).unwrap();
    sink.place().unwrap();
    drop(sink);
    assert_eq!(names(&at).len(), 2);
    let mut sink = open();
    sink.go_back(Some(&place)).unwrap();
    assert_eq!(names(&at).iter().filter(|name| !name.starts_with('.')).count(), 1);
    sink.write(&rows(6, 9)).unwrap();
    sink.finish().unwrap();
    let files = names(&at);
    let run = files[0].strip_suffix("-00000000.parquet").unwrap();
    assert_eq!(files, [0, 1, 2].map(|number| format!("{run}-{number:08}.parquet")));
    let all: Vec<_> = files.iter().flat_map(|name| read(&at.join(name))).collect();
    assert_eq!(arrow_select::concat::concat_batches(&rows(0, 0).schema(), &all).unwrap(), rows(0, 9));
    // To the beginning: its own are gone.
    let mut sink = open();
    sink.go_back(Some(&nothing)).unwrap();
    assert_eq!((names(&at).len(), names(folder.path())), (0, vec!["of hours".to_owned()]));

    let text = folder.path().join("rows.ndjson");
    let mut lines = TextFile::ndjson(&text).unwrap();
    let elsewhere = sink.go_back(lines.place().unwrap().as_ref()).unwrap_err().to_string();
    assert!(elsewhere.ends_with("rows.ndjson"), "{elsewhere}");
    let mut of_files =
        FileSink::file(&text, FileFormat::Arrow, &rows(0, 0).schema()).unwrap().kept_in(&kept).unwrap();
    let other_form = lines.go_back(of_files.place().unwrap().as_ref()).unwrap_err().to_string();
    assert!(other_form.ends_with("the rows before are there in another form"), "{other_form}");
}

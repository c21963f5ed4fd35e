//! Parquet by every form of its pages: the same rows, whatever of them is left unread.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding, GzipLevel, ZstdLevel};
use parquet::file::properties::{WriterProperties, WriterPropertiesBuilder, WriterVersion};
use proptest::prelude::*;
use skytide_connect::files::{Definition, Files};
use skytide_connect::run::{RunError, RunOptions, run};
use skytide_connect::sink::{Sink, SinkError};
use skytide_connect::source::{SourceError, Status};
use skytide_connect::sources::{Offer, Sources};
use skytide_timestream::engine::Mode;
use skytide_timestream::plan::Results;

/// A row as it is written; without a time it is no point.
#[derive(Debug, Clone, PartialEq)]
struct Row {
    t: Option<i64>,
    k: Option<String>,
    lang: Option<String>,
    text: Option<String>,
    x: Option<i64>,
}

/// Rows of an answer, each value written out.
#[derive(Default)]
struct Written(Vec<Vec<String>>);

impl Sink for Written {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), SinkError> {
        let options = FormatOptions::new().with_null("null");
        let columns: Vec<_> = batch
            .columns()
            .iter()
            .enumerate()
            .map(|(at, column)| match at {
                0 => arrow_cast::cast(column, &arrow_schema::DataType::Int64).unwrap(),
                _ => Arc::clone(column),
            })
            .collect();
        let shown: Vec<_> =
            columns.iter().map(|column| ArrayFormatter::try_new(column, &options).unwrap()).collect();
        let row = |row| shown.iter().map(|column| column.value(row).to_string()).collect();
        self.0.extend((0..batch.num_rows()).map(row));
        Ok(())
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        Ok(())
    }
}

fn answer(query: &str, path: &Path, results: Results) -> Result<(Vec<Vec<String>>, Status), RunError> {
    let definition = Definition { name: "m".into(), ..Definition::new(path, "t", "k") };
    let files = Files::open(definition).map_err(SourceError::from)?;
    let sources = Sources::new(vec![Offer::Files(Arc::new(files))]);
    let query = skytide_timestream::compile(query, &sources).unwrap_or_else(|error| panic!("{error}"));
    let plan = Arc::new(skytide_timestream::plan(Arc::new(query), results));
    let mut source = sources.open(&plan, Mode::Once)?;
    let mut rows = Written::default();
    let outcome = run(plan, &mut source, &mut rows, &RunOptions::once(), |_, _| {})?;
    Ok((rows.0, outcome.source))
}

fn batch(rows: &[Row]) -> RecordBatch {
    let ints =
        |of: fn(&Row) -> Option<i64>| Arc::new(rows.iter().map(of).collect::<Int64Array>()) as ArrayRef;
    let texts =
        |of: fn(&Row) -> Option<&str>| Arc::new(rows.iter().map(of).collect::<StringArray>()) as ArrayRef;
    RecordBatch::try_from_iter_with_nullable([
        ("t", ints(|row| row.t), true),
        ("k", texts(|row| row.k.as_deref()), true),
        ("lang", texts(|row| row.lang.as_deref()), true),
        ("text", texts(|row| row.text.as_deref()), true),
        ("x", ints(|row| row.x), true),
    ])
    .unwrap()
}

fn write(path: &Path, rows: &[Row], properties: WriterProperties) {
    let batch = batch(rows);
    let mut writer =
        ArrowWriter::try_new(File::create(path).unwrap(), batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

/// The rows that are points, in their order.
fn points(rows: &[Row]) -> Vec<&Row> {
    let mut points: Vec<&Row> = rows.iter().filter(|row| row.t.is_some()).collect();
    points.sort_by_key(|row| row.t);
    points
}

fn shown<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(|| "null".to_owned(), |value| value.to_string())
}

fn whole(row: &Row) -> Vec<String> {
    let Row { t, k, lang, text, x } = row.clone();
    vec![shown(t), shown(k.clone()), shown(t), shown(k), shown(lang), shown(text), shown(x)]
}

fn length(row: &Row) -> Vec<String> {
    let length = row.text.as_ref().map(|text| text.chars().count());
    vec![shown(row.t), shown(row.k.clone()), shown(length)]
}

/// Asks what is read in part, and what is read whole, of a file of these rows.
fn check(path: &Path, rows: &[Row]) {
    let points = points(rows);
    let is = |row: &&&Row| row.lang.as_deref() == Some("b");
    let history = Results::history();
    let asked = |query: &str| answer(query, path, history).unwrap_or_else(|error| panic!("{query}: {error}"));

    let (found, status) = asked(r#"m.filter(m.lang == "b")"#);
    assert_eq!(found, points.iter().filter(is).map(|row| whole(row)).collect::<Vec<_>>());
    assert_eq!(status.read, rows.len() as u64);
    assert_eq!(status.points, found.len() as u64);
    assert_eq!(status.newest, points.last().and_then(|row| row.t));

    assert_eq!(asked("m").0, points.iter().map(|row| whole(row)).collect::<Vec<_>>());
    assert_eq!(asked("m.text.len()").0, points.iter().map(|row| length(row)).collect::<Vec<_>>());

    let few =
        |row: &&&Row| row.lang.as_deref().is_some_and(|lang| lang != "b") && row.x.is_some_and(|x| x > 3);
    assert_eq!(
        asked(r#"m.filter(m.lang != "b" and m.x > 3).text.len()"#).0,
        points.iter().filter(few).map(|row| length(row)).collect::<Vec<_>>()
    );
    // Longer than a view holds: by its length alone, and as the text.
    let is_long = |row: &&&Row| row.text.as_ref().is_some_and(|text| text.chars().count() > 12);
    let long = || points.iter().filter(is_long);
    assert_eq!(
        asked("m.filter(m.text.len() > 12).text.len()").0,
        long().map(|row| length(row)).collect::<Vec<_>>()
    );
    let (found, status) = asked("m.filter(m.text.len() > 12)");
    assert_eq!(found, long().map(|row| whole(row)).collect::<Vec<_>>());
    assert_eq!(status.points, found.len() as u64);
    // One of two uses wants every row; the text is asked for whole, too.
    let (both, _) = asked(r#"{all: m.text.len(), some: m.filter(m.lang == "b").text}"#);
    let expected = points.iter().map(|row| {
        let mut all = length(row);
        all.push(shown(row.text.clone().filter(|_| row.lang.as_deref() == Some("b"))));
        all
    });
    assert_eq!(both, expected.collect::<Vec<_>>());
}

/// Words that are repeated or not, some beyond ASCII, some too long for a view or for a byte of length.
fn words(row: usize) -> String {
    match row % 11 {
        0 => String::new(),
        1 => "ü".to_owned(),
        2 => "twelve bytes".to_owned(),
        3 => format!("{row} is a text of its own, longer than a view"),
        4 => "äöü ".repeat(60),
        5 => "the same long text again and again ".repeat(5),
        _ => format!("text {}", row % 40),
    }
}

fn rows(len: usize) -> Vec<Row> {
    let every = |row: usize, of: usize| !row.is_multiple_of(of);
    let row = |row: usize| Row {
        t: Some(row as i64 / 3),
        k: every(row, 101).then(|| format!("did:plc:{:024}", row * 7 % 400)),
        lang: every(row, 13)
            .then(|| ["a", "b", "c", "a language of a long name"][row * 7 % 11 % 4].to_owned()),
        text: every(row, 17).then(|| words(row)),
        x: every(row, 19).then_some(row as i64 % 10),
    };
    (0..len).map(row).collect()
}

fn properties() -> WriterPropertiesBuilder {
    // Several row groups, each of several pages.
    WriterProperties::builder()
        .set_max_row_group_row_count(Some(700))
        .set_data_page_row_count_limit(100)
        .set_write_batch_size(50)
}

#[test]
fn pages_of_every_form_give_the_same_rows() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.parquet");
    let rows = rows(2000);
    let without = || properties().set_dictionary_enabled(false);
    let forms = [
        without(),
        properties(),
        // A dictionary that is full soon: what follows is plain.
        properties().set_dictionary_page_size_limit(600),
        without().set_encoding(Encoding::DELTA_LENGTH_BYTE_ARRAY),
        without().set_encoding(Encoding::DELTA_BYTE_ARRAY),
    ];
    for version in [WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0] {
        for form in &forms {
            let form = form.clone().set_writer_version(version);
            // Only texts have such encodings.
            let numbers = ["t", "x"]
                .iter()
                .fold(form, |form, column| form.set_column_encoding((*column).into(), Encoding::PLAIN));
            write(&path, &rows, numbers.build());
            check(&path, &rows);
        }
    }
}

#[test]
fn every_compression_gives_the_same_rows() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.parquet");
    let rows = rows(1500);
    for compression in [
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        Compression::GZIP(GzipLevel::default()),
        Compression::LZ4,
        Compression::LZ4_RAW,
        Compression::ZSTD(ZstdLevel::default()),
    ] {
        write(&path, &rows, properties().set_compression(compression).build());
        check(&path, &rows);
    }
}

#[test]
fn rows_that_nobody_wants_move_time_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.parquet");
    let mut rows = rows(2000);
    for row in &mut rows[1000..] {
        row.lang = Some("a".into());
    }
    // In order, and not: the newest stand first.
    for _ in 0..2 {
        write(&path, &rows, properties().build());
        let query = r#"m.filter(m.lang == "b").x.count(window=sliding.minutely(1))"#;
        let (_, status) = answer(query, &path, Results::history()).unwrap();
        assert_eq!(status.newest, Some(666));
        // A snapshot is as of the newest row, whoever wants it.
        let time = |query: &str| {
            let (rows, _) = answer(query, &path, Results::snapshot()).unwrap();
            assert!(rows.iter().all(|row| row[0] == rows[0][0]), "{rows:?}");
            rows[0][0].clone()
        };
        assert_eq!(time(r#"m.filter(m.lang == "b").x.last()"#), time("m.x.last()"));
        rows.rotate_left(1300);
    }
}

#[test]
fn text_that_is_none_is_refused_also_where_it_is_only_measured() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.parquet");
    for dictionary in [false, true] {
        write(&path, &rows(500), properties().set_dictionary_enabled(dictionary).build());
        let mut bytes = std::fs::read(&path).unwrap();
        let text = b"longer than a view";
        let at = bytes.windows(text.len()).position(|window| window == text).unwrap();
        bytes[at] = 0xff;
        std::fs::write(&path, bytes).unwrap();
        for query in ["m.text.len()", "m.text", r#"m.filter(m.lang == "b")"#] {
            let error = answer(query, &path, Results::history()).expect_err("it is refused").to_string();
            assert!(error.contains("m.parquet, row group 0: "), "{error}");
        }
    }
}

fn text() -> impl Strategy<Value = Option<String>> {
    prop_oneof![
        1 => Just(None),
        3 => "[a-c]{1}".prop_map(Some),
        2 => "[a-zäß€𝄞 ]{0,30}".prop_map(Some),
        1 => "[a-z]{120,140}".prop_map(Some),
    ]
}

fn row() -> impl Strategy<Value = Row> {
    let int = |range: std::ops::Range<i64>| prop::option::weighted(0.95, range);
    (int(0..50), text(), text(), text(), int(0..10)).prop_map(|(t, k, lang, text, x)| Row {
        t,
        k,
        lang,
        text,
        x,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_rows_in_any_pages(
        rows in prop::collection::vec(row(), 0..300),
        sorted in any::<bool>(),
        dictionary in any::<bool>(),
        limit in 1_usize..2000,
        page in 1_usize..60,
        group in 1_usize..200,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.parquet");
        let mut rows = rows;
        if sorted {
            rows.sort_by_key(|row| row.t);
        }
        let properties = WriterProperties::builder()
            .set_dictionary_enabled(dictionary)
            .set_dictionary_page_size_limit(limit)
            .set_data_page_row_count_limit(page)
            .set_write_batch_size(page)
            .set_max_row_group_row_count(Some(group));
        write(&path, &rows, properties.build());
        check(&path, &rows);
    }
}

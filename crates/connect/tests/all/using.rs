//! What a program may do wrong with sources, runs and sinks, and how it is told.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Fields, Schema};
use futures_util::StreamExt;
use skytide_atproto::columns::Clock;
use skytide_connect::firehose::FirehoseSource;
use skytide_connect::frames::Frames;
use skytide_connect::merge::Merge;
use skytide_connect::network::{Connection, Network};
use skytide_connect::run::{AnswerStream, Answers, End, RunError, RunOptions, run};
use skytide_connect::sink::{Arrow, FileFormat, FileSink, GrowingFile, Ndjson, Roll, Sink};
use skytide_connect::source::SourceError;
use skytide_connect::sources::{Offer, Sources};
use skytide_connect::tables::{Definition, Table, TableError, Value};
use skytide_firehose::Cursor;
use skytide_sim::{Config, Relay};
use skytide_timestream::engine::Mode;
use skytide_timestream::plan::{Plan, Results};

fn table() -> Table {
    let fields = [("t", DataType::Int64), ("k", DataType::Utf8), ("x", DataType::Int64)];
    let fields: Fields = fields.into_iter().map(|(name, data)| Field::new(name, data, true)).collect();
    Table::new(Definition::new("m", fields, "t", "k")).unwrap()
}

fn row(time: i64) -> Value<'static> {
    let fields = [("t", Value::Int(time)), ("k", Value::Text("a".into())), ("x", Value::Int(time))];
    Value::Record(fields.map(|(name, value)| (name.into(), value)).into())
}

fn opened(query: &str, table: &Table, mode: Mode) -> (Arc<Plan>, Merge) {
    let sources = Sources::new(vec![Offer::Table { table: table.clone(), idle: None }]);
    let query = Arc::new(skytide_timestream::compile(query, &sources).unwrap());
    let plan = Arc::new(skytide_timestream::plan(query, Results::history()));
    let source = sources.open(&plan, mode).unwrap();
    (plan, source)
}

#[tokio::test]
async fn sources_of_the_other_mode_are_refused() {
    for (opened_in, options) in [(Mode::Live, RunOptions::once()), (Mode::Once, RunOptions::live())] {
        let open = || opened("m.x.sum()", &table(), opened_in);
        let (plan, mut source) = open();
        let ran = run(plan, &mut source, &mut Ndjson::new(Vec::new()), &options, |_, _| {});
        assert!(
            matches!(ran, Err(RunError::Source(SourceError::OtherMode { mode })) if mode == options.mode),
            "{ran:?}"
        );
        let (plan, source) = open();
        let refused = Answers::start(plan, source, &options);
        assert!(matches!(refused, Err(RunError::Source(SourceError::OtherMode { .. }))));
        let (plan, source) = open();
        let mut stream = AnswerStream::start(plan, source, options).unwrap();
        let refused = stream.next().await;
        assert!(matches!(refused, Some(Err(RunError::Source(SourceError::OtherMode { .. })))));
        assert!(stream.next().await.is_none());
    }
}

#[tokio::test]
async fn sources_of_another_plan_are_refused() {
    let table = table();
    table.push_rows(&[row(1), row(2), row(3)]).unwrap();
    let options = RunOptions::once();
    let open = |query: &str| opened(query, &table, Mode::Once);
    let is_refused =
        |error: Option<&RunError>| matches!(error, Some(RunError::Source(SourceError::OtherPlan)));
    // Columns of one type, other keys, other points.
    for (query, other) in [("m.x.sum()", "m.t.sum()"), ("m.count()", "m.with_key(k).count()"), ("m.x", "m.k")]
    {
        let (plan, _) = open(query);
        let ran =
            run(Arc::clone(&plan), &mut open(other).1, &mut Ndjson::new(Vec::new()), &options, |_, _| {});
        assert!(is_refused(ran.as_ref().err()), "{query} over {other}: {ran:?}");
        let answers = Answers::start(Arc::clone(&plan), open(other).1, &options);
        assert!(is_refused(answers.as_ref().err()));
        let mut stream = AnswerStream::start(plan, open(other).1, options.clone()).unwrap();
        assert!(is_refused(stream.next().await.unwrap().as_ref().err()));
    }
    // What reads the same may be read.
    let answers = Answers::start(open("m.x.mean()").0, open("m.x.sum()").1, &options).unwrap();
    assert_eq!(answers.map(|batch| batch.unwrap().num_rows()).sum::<usize>(), 3);

    let network = Network::at("nowhere.frames");
    let plan = |query: &str| {
        let query = Arc::new(skytide_timestream::compile(query, &network.catalog).unwrap());
        Arc::new(skytide_timestream::plan(query, Results::history()))
    };
    let frames = Frames::repeating(Arc::from([])).until(Some(0));
    let source = FirehoseSource::new(&plan("posts.uri"), &network.catalog, frames, Clock::FrameTime).unwrap();
    assert!(is_refused(Answers::start(plan("posts.record.text"), source, &options).as_ref().err()));
}

#[test]
fn a_source_is_for_one_run_and_another_takes_no_answer_away() {
    let table = table();
    table.push_rows(&[row(1), row(2), row(3)]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sums.ndjson");
    for limit in [None, Some(2)] {
        let (plan, mut source) = opened("m.x.sum()", &table, Mode::Once);
        let mut run = |limit| {
            let mut sink = GrowingFile::new(&path, |file| Ok(Ndjson::new(file))).unwrap();
            let options = RunOptions { limit, ..RunOptions::once() };
            run(Arc::clone(&plan), &mut source, &mut sink, &options, |_, _| {})
        };
        let rows = run(limit).unwrap().rows;
        assert_eq!(rows, limit.unwrap_or(3));
        let again = run(None);
        assert!(matches!(again, Err(RunError::Source(SourceError::Taken))), "{again:?}");
        assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), rows);
    }
}

#[test]
fn rows_of_another_schema_are_refused_before_a_file_has_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let of = |names: [&'static str; 2]| {
        let column: ArrayRef = Arc::new(Int64Array::from(vec![1]));
        RecordBatch::try_from_iter(names.map(|name| (name, Arc::clone(&column)))).unwrap()
    };
    let wanted = of(["x", "y"]);
    let fewer = wanted.project(&[0]).unwrap();
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["a"]));
    let texts = RecordBatch::try_from_iter([("x", Arc::clone(&wanted.columns()[0])), ("y", texts)]).unwrap();
    for (other, what) in [
        (of(["x", "z"]), "with `y`, i64 in the place of `z`, i64"),
        (of(["y", "x"]), "with `x`, i64 in the place of `y`, i64"),
        (texts, "with `y`, i64 in the place of `y`, utf8"),
        (fewer, "with `y`, i64 in the place of no column"),
    ] {
        for format in [FileFormat::Parquet, FileFormat::Arrow] {
            let path = folder.path().join("rows");
            let mut sink = FileSink::file(&path, format, &wanted.schema()).unwrap();
            sink.write(&wanted).unwrap();
            let error = sink.write(&other).unwrap_err().to_string();
            assert!(error.contains(what), "{error}");
            drop(sink);
            assert_eq!(folder.path().read_dir().unwrap().count(), 0);
        }
        let mut stream = Vec::new();
        let mut sink = Arrow::new(&mut stream, &wanted.schema()).unwrap();
        let error = sink.write(&other).unwrap_err().to_string();
        assert!(error.contains(what), "{error}");
        sink.write(&wanted).unwrap();
    }
}

#[test]
fn files_are_not_rolled_by_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let schema = Arc::new(Schema::new(vec![Field::new("x", DataType::Int64, true)]));
    for (every, bytes) in [(Some(0), None), (Some(-5), None), (None, Some(0)), (Some(1), Some(0))] {
        let sink = FileSink::folder(folder.path(), FileFormat::Parquet, &schema, Roll { every, bytes });
        let error = sink.map(drop).unwrap_err().to_string();
        assert!(error.ends_with("that is more than nothing"), "{error}");
    }
}

#[test]
fn columns_of_other_types_than_the_query_was_compiled_with_are_refused() {
    let compiled = |query: &str| opened(query, &table(), Mode::Once).0;
    let fields = [("t", DataType::Int64), ("k", DataType::Utf8), ("x", DataType::Utf8)];
    let fields: Fields = fields.into_iter().map(|(name, data)| Field::new(name, data, true)).collect();
    let with = |fields: Fields| {
        let table = Table::new(Definition::new("m", fields, "t", "k")).unwrap();
        table.push_rows(&[row(1)]).unwrap();
        Sources::new(vec![Offer::Table { table, idle: None }])
    };
    let open = |query: &str, sources: &Sources| sources.open(&compiled(query), Mode::Once);
    let other = with(fields.clone());
    let error = open("m.x.sum()", &other).map(drop).unwrap_err().to_string();
    assert!(error.contains("another `m`, whose column `x` is i64: here it is utf8"), "{error}");
    let gone = with(fields.iter().take(2).cloned().collect());
    let error = open("m.x.sum()", &gone).map(drop).unwrap_err().to_string();
    assert!(error.contains("whose column `x` is i64: here it is not there"), "{error}");
    // What is not read may be anything.
    for sources in [other, gone] {
        assert!(open("m.count()", &sources).is_ok());
    }
}

#[tokio::test]
async fn a_run_that_waits_is_refused_in_async_code_and_a_stream_is_not() {
    let relay =
        Relay::new(skytide_sim::Network::new(Config::default())).total(200).start("127.0.0.1:0").unwrap();
    let connection =
        Connection { location: relay.url().into(), cursor: Cursor::Oldest, ..Connection::default() };
    let network = Network { connection, ..Network::default() };
    let query = Arc::new(skytide_timestream::compile("likes.count()", &network.catalog).unwrap());
    let plan = Arc::new(skytide_timestream::plan(query, Results::history()));
    let open = || network.open(&plan, Mode::Live, None).unwrap();
    let is_refused = |error: &RunError| {
        matches!(error, RunError::Source(SourceError::Subscription(skytide_firehose::Error::WithinRuntime)))
    };
    let options = RunOptions { limit: Some(20), ..RunOptions::live() };
    let ran = run(Arc::clone(&plan), &mut open(), &mut Ndjson::new(Vec::new()), &options, |_, _| {});
    assert!(is_refused(&ran.unwrap_err()));
    let mut answers = Answers::start(Arc::clone(&plan), open(), &options).unwrap();
    assert!(answers.next().unwrap().is_err_and(|error| is_refused(&error)));
    assert!(answers.next().is_none());
    let stream = AnswerStream::start(Arc::clone(&plan), open(), options).unwrap();
    assert_eq!(stream.map(|batch| batch.unwrap().num_rows()).fold(0, async |all, rows| all + rows).await, 20);
}

#[test]
fn a_table_that_has_ended_ends_its_live_queries_and_takes_nothing_more() {
    let table = table();
    table.push_rows(&[row(1)]).unwrap();
    let (plan, source) = opened("m.x.sum()", &table, Mode::Live);
    let pushing = table.clone();
    let pusher = std::thread::spawn(move || {
        (2..=100).for_each(|time| pushing.push_rows(&[row(time)]).unwrap());
        pushing.end();
        pushing.end();
        pushing.push_rows(&[row(101)])
    });
    let mut answers = Answers::start(plan, source, &RunOptions::live()).unwrap();
    let rows: usize = answers.by_ref().map(|batch| batch.unwrap().num_rows()).sum();
    assert_eq!((rows, answers.outcome().unwrap().end), (100, End::Source));
    assert!(matches!(pusher.join().unwrap(), Err(TableError::Ended { rows: 100 })));
    // Who comes later finds what was kept, and the end.
    let (plan, source) = opened("m.x.sum()", &table, Mode::Live);
    let answers = Answers::start(plan, source, &RunOptions::live()).unwrap();
    assert_eq!(answers.map(|batch| batch.unwrap().num_rows()).sum::<usize>(), 100);
}

//! Tables as sources: once and live, one and several, in order and not.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampNanosecondType};
use arrow_array::{Array, Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Fields};
use skytide_connect::late::{Late, Passed, Side};
use skytide_connect::merge::{Feed, Merge};
use skytide_connect::run::{Answers, End, RunError, RunOptions, Stop, run};
use skytide_connect::sink::{Ndjson, Sink, SinkError};
use skytide_connect::source::{Next, Source, SourceError, Status};
use skytide_connect::sources::{Offer, Sources};
use skytide_connect::tables::{Bell, Definition, Origin, Table, TableError, Value};
use skytide_runtime::Epoch;
use skytide_timestream::engine::Mode;
use skytide_timestream::plan::{Plan, Results};

fn fields() -> Fields {
    Fields::from(vec![
        Field::new("t", DataType::Int64, true),
        Field::new("k", DataType::Utf8, true),
        Field::new("x", DataType::Int64, true),
    ])
}

fn definition(name: &str) -> Definition {
    Definition::new(name, fields(), "t", "k")
}

fn table(name: &str) -> Table {
    Table::new(definition(name)).unwrap()
}

fn row(time: i64, key: &'static str, x: i64) -> Value<'static> {
    Value::Record(vec![
        ("t".into(), Value::Int(time)),
        ("k".into(), Value::Text(key.into())),
        ("x".into(), Value::Int(x)),
    ])
}

fn batch(rows: &[(i64, &str, i64)]) -> RecordBatch {
    RecordBatch::try_from_iter([
        ("x", Arc::new(rows.iter().map(|row| row.2).collect::<Int64Array>()) as _),
        ("k", Arc::new(rows.iter().map(|row| Some(row.1)).collect::<StringArray>()) as _),
        ("t", Arc::new(rows.iter().map(|row| row.0).collect::<Int64Array>()) as _),
    ])
    .unwrap()
}

fn offer(table: &Table) -> Offer {
    Offer::Table { table: table.clone(), idle: None }
}

fn open(query: &str, offers: Vec<Offer>, mode: Mode) -> (Arc<Plan>, Merge) {
    open_over(query, &Sources::new(offers), mode)
}

fn open_over(query: &str, sources: &Sources, mode: Mode) -> (Arc<Plan>, Merge) {
    let query = Arc::new(skytide_timestream::compile(query, sources).unwrap());
    let plan = Arc::new(skytide_timestream::plan(query, Results::history()));
    let source = sources.open(&plan, mode).unwrap();
    (plan, source)
}

/// Time, key and value.
type Row = (i64, String, Option<i64>);

#[derive(Default)]
struct Rows(Vec<Row>);

impl Sink for Rows {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), SinkError> {
        let times = batch.column(0).as_primitive::<TimestampNanosecondType>();
        let keys = batch.column(1).as_string::<i32>();
        let values = batch.column(2).as_primitive::<Int64Type>();
        self.0.extend((0..batch.num_rows()).map(|row| {
            let value = values.is_valid(row).then(|| values.value(row));
            (times.value(row), keys.value(row).to_owned(), value)
        }));
        Ok(())
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        Ok(())
    }
}

fn once(query: &str, tables: &[&Table]) -> Vec<Row> {
    let (plan, mut source) = open(query, tables.iter().map(|table| offer(table)).collect(), Mode::Once);
    let mut rows = Rows::default();
    let outcome = run(plan, &mut source, &mut rows, &RunOptions::once(), |_, _| {}).unwrap();
    assert_eq!(outcome.end, End::Source);
    rows.0
}

fn rows(of: &[(i64, &str, Option<i64>)]) -> Vec<Row> {
    of.iter().map(|(time, key, value)| (*time, (*key).to_owned(), *value)).collect()
}

#[test]
fn once_sorts_what_is_there_and_nothing_is_late() {
    let m = table("m");
    m.push_rows(&[row(3, "A", 1), row(1, "A", 2)]).unwrap();
    m.push_batch(&batch(&[(2, "B", 5), (1, "B", 7)])).unwrap();
    m.push_rows(&[row(2, "A", 3)]).unwrap();
    let expected = rows(&[
        (1, "A", Some(2)),
        (1, "B", Some(7)),
        (2, "B", Some(12)),
        (2, "A", Some(5)),
        (3, "A", Some(6)),
    ]);
    assert_eq!(once("m.x.sum()", &[&m]), expected);
    // Again and again, also where more is pushed in between.
    assert_eq!(once("m.x.sum()", &[&m]), expected);
    m.push_rows(&[row(9, "A", 1)]).unwrap();
    assert_eq!(once("m.x.sum()", &[&m]).len(), 6);
}

#[test]
fn many_small_pushes_answer_as_one() {
    let (small, large) = (table("m"), table("m"));
    let all: Vec<_> = (0..20_000).map(|at| (at, if at % 3 == 0 { "A" } else { "B" }, at)).collect();
    for (time, key, x) in &all {
        small.push_batch(&batch(&[(*time, key, *x)])).unwrap();
    }
    large.push_batch(&batch(&all)).unwrap();
    let answer = once("m.x.sum()", &[&small]);
    assert_eq!(answer.len(), 20_000);
    assert_eq!(answer, once("m.x.sum()", &[&large]));
}

#[test]
fn however_rows_were_pushed_an_epoch_has_only_so_many() {
    let rising: Vec<_> = (0..40_000).map(|at| (at / 3, "A", at)).collect();
    let mut others = rising.clone();
    others.swap(5, 30_000);
    for (all, mode) in [(&rising, Mode::Once), (&others, Mode::Once), (&rising, Mode::Live)] {
        for pushed in [40_000, 10_000, 25_000] {
            let m = table("m");
            let push = || all.chunks(pushed).for_each(|rows| m.push_batch(&batch(rows)).unwrap());
            if mode == Mode::Once {
                push();
            }
            let (_, mut source) = open("m.x", vec![offer(&m)], mode);
            if mode == Mode::Live {
                push();
            }
            let mut times: Vec<i64> = Vec::new();
            while let Next::Epoch(epoch) = source.next(Duration::ZERO).unwrap() {
                let rows = epoch.scans.into_iter().flatten().next();
                let given = rows.map(|rows| rows.places.time.to_vec()).unwrap_or_default();
                assert!(given.len() <= 16_384, "{}", given.len());
                assert!(given.iter().all(|time| *time <= epoch.watermark));
                times.extend(given);
            }
            assert!(times.is_sorted(), "{pushed}");
            assert_eq!(times.len(), 40_000);
        }
    }
    let (together, apart) = (table("m"), table("m"));
    together.push_batch(&batch(&others)).unwrap();
    others.chunks(7_000).for_each(|rows| apart.push_batch(&batch(rows)).unwrap());
    let answer = once("m.x.sum()", &[&together]);
    assert_eq!(answer.len(), 40_000);
    assert_eq!(answer, once("m.x.sum()", &[&apart]));
}

#[test]
fn an_epoch_of_long_texts_has_fewer_rows() {
    for is_rising in [true, false] {
        let m = table("m");
        let long = "k".repeat(100_000);
        let mut all: Vec<_> = (0..2_000).map(|at| (at, &*long, at)).collect();
        if !is_rising {
            all.swap(5, 6);
        }
        m.push_batch(&batch(&all)).unwrap();
        let (_, mut source) = open("m.x", vec![offer(&m)], Mode::Once);
        let mut times = Vec::new();
        while let Next::Epoch(epoch) = source.next(Duration::ZERO).unwrap() {
            let rows = epoch.scans.into_iter().flatten().next();
            let given = rows.map(|rows| rows.places.time.to_vec()).unwrap_or_default();
            assert!(given.len() <= 700, "{}", given.len());
            times.extend(given);
        }
        assert!(times.iter().copied().eq(0..2_000));
    }
}

#[test]
fn several_tables_stand_in_order_of_time_then_as_named() {
    let (m, n) = (table("m"), table("n"));
    m.push_rows(&[row(1, "A", 1), row(2, "A", 2)]).unwrap();
    n.push_rows(&[row(0, "A", 10), row(2, "A", 20), row(5, "B", 30)]).unwrap();
    let expected = rows(&[(0, "A", None), (1, "A", Some(11)), (2, "A", Some(33)), (5, "B", None)]);
    assert_eq!(once("m.x.sum() + n.x.sum()", &[&m, &n]), expected);
}

#[test]
fn streams_of_one_origin_stand_as_they_came_and_never_pair() {
    let origin = Origin::default();
    let m = Table::of(definition("m"), origin.clone()).unwrap();
    let n = Table::of(definition("n"), origin).unwrap();
    n.push_rows(&[row(1, "A", 10)]).unwrap();
    m.push_rows(&[row(1, "A", 1)]).unwrap();
    n.push_rows(&[row(1, "A", 20)]).unwrap();
    let expected = rows(&[(1, "A", None), (1, "A", Some(11)), (1, "A", Some(31))]);
    assert_eq!(once("m.x.sum() + n.x.sum()", &[&m, &n]), expected);
}

#[test]
fn what_does_not_fit_is_null_and_rows_without_a_time_are_dropped() {
    let m = table("m");
    m.push_json("{\"t\": 1, \"k\": \"A\", \"x\": \"no\"}\n\n{\"k\": \"A\", \"x\": 1}\n{\"t\": 2, \"k\": \"A\", \"x\": 4}").unwrap();
    m.push_csv("k,t,x,more\nA,3,,1\nA,4,five,2\nA,5,6,3\n").unwrap();
    let counts = m.counts().unwrap();
    let answer = once("m.x", &[&m]);
    assert_eq!(
        answer,
        rows(&[(1, "A", None), (2, "A", Some(4)), (3, "A", None), (4, "A", None), (5, "A", Some(6))])
    );
    assert_eq!((counts.rows, counts.misfits), (6, 2));
    assert_eq!(m.counts().unwrap().untimed, 1);
    assert!(matches!(m.push_json("{}\n[1]"), Err(TableError::Line { line: 2, .. })));
    assert_eq!(m.counts().unwrap().rows, 6);
}

#[test]
fn definitions_that_cannot_be_are_refused() {
    let wrong = |change: fn(&mut Definition)| {
        let mut definition = definition("m");
        change(&mut definition);
        Table::new(definition).unwrap_err().to_string()
    };
    assert_eq!(
        wrong(|of| of.time = "ts".into()),
        "there is no column \"ts\" for the time; there are \"t\", \"k\", \"x\""
    );
    assert!(wrong(|of| of.key = "id".into()).contains("for the key"));
    assert_eq!(
        wrong(|of| of.subsort = Some("k".into())),
        "the column \"k\" cannot be the subsort: it is utf8, not whole numbers"
    );
}

/// Runs live in a thread; gives the rows when it is stopped.
fn live(
    query: &str,
    offers: Vec<Offer>,
    limit: usize,
) -> (Stop, std::thread::JoinHandle<(Vec<Row>, u64, End)>) {
    let (plan, mut source) = open(query, offers, Mode::Live);
    let options =
        RunOptions { limit: Some(limit), duration: Some(Duration::from_secs(20)), ..RunOptions::live() };
    let stop = options.stop.clone();
    let thread = std::thread::spawn(move || {
        let mut rows = Rows::default();
        let outcome = run(plan, &mut source, &mut rows, &options, |_, _| {}).unwrap();
        (rows.0, source.status().dropped.get("late").copied().unwrap_or(0), outcome.end)
    });
    (stop, thread)
}

#[test]
fn live_answers_history_then_what_is_pushed_and_late_rows_are_counted() {
    let m = table("m");
    m.push_rows(&[row(5, "A", 1), row(4, "A", 1)]).unwrap();
    let (_, running) = live("m.x.sum()", vec![offer(&m)], 4);
    m.push_rows(&[row(5, "A", 1), row(3, "A", 100), row(6, "A", 1)]).unwrap();
    let (answer, late, end) = running.join().unwrap();
    assert_eq!(end, End::Limit);
    assert_eq!(late, 1);
    assert_eq!(answer, rows(&[(4, "A", Some(1)), (5, "A", Some(2)), (5, "A", Some(3)), (6, "A", Some(4))]));
}

#[test]
fn live_rows_of_one_place_stand_as_they_were_pushed() {
    let m = Table::new(Definition { subsort: Some("x".into()), ..definition("m") }).unwrap();
    let (_, mut source) = open("m.x", vec![offer(&m)], Mode::Live);
    let mut given = Vec::new();
    for (time, key, x) in
        [(5, "C", 7), (5, "A", 7), (5, "D", 1), (5, "B", 7), (6, "A", 0), (6, "B", 0), (7, "A", 0)]
    {
        m.push_rows(&[row(time, key, x)]).unwrap();
        while let Next::Epoch(epoch) = source.next(Duration::ZERO).unwrap() {
            for rows in epoch.scans.into_iter().flatten() {
                let keys = rows.key.unwrap().values;
                let keys = keys.as_string::<i32>().iter().flatten().map(str::to_owned);
                given.extend(
                    rows.places.time.iter().copied().zip(rows.places.ordinal.iter().copied()).zip(keys),
                );
            }
        }
    }
    let expected = [(5, 0, "D"), (5, 1, "C"), (5, 2, "A"), (5, 3, "B"), (6, 4, "A"), (6, 5, "B")];
    let expected: Vec<_> = expected.map(|(time, at, key)| ((time, at), key.to_owned())).into();
    assert_eq!(given, expected);
}

#[test]
fn live_waits_for_every_table_but_the_silent() {
    let (m, n) = (table("m"), table("n"));
    let silent = Offer::Table { table: n.clone(), idle: Some(Duration::from_millis(30)) };
    let (_, running) = live("m.x.sum() + n.x.sum()", vec![offer(&m), silent], 2);
    m.push_rows(&[row(1, "A", 1), row(2, "A", 2), row(3, "A", 3)]).unwrap();
    let (answer, ..) = running.join().unwrap();
    // Nothing of the other is there: its sum is null, and so is theirs together.
    assert_eq!(answer, rows(&[(1, "A", None), (2, "A", None)]));
}

/// The times that a look at a source gives, by scan.
fn look(source: &mut Merge) -> Vec<Vec<i64>> {
    match source.next(Duration::ZERO).unwrap() {
        Next::Epoch(epoch) => {
            let times = |rows: Option<skytide_timestream::rows::Rows>| {
                rows.map(|rows| rows.places.time.to_vec()).unwrap_or_default()
            };
            epoch.scans.into_iter().map(times).collect()
        }
        Next::Idle | Next::End => Vec::new(),
    }
}

#[test]
fn lateness_is_told_row_by_row_whatever_came_in_one_push() {
    let m = table("m");
    let (_, mut source) = open("m.x", vec![offer(&m)], Mode::Live);
    m.push_batch(&batch(&[(5, "A", 1), (3, "A", 2), (5, "A", 3), (6, "A", 4)])).unwrap();
    assert_eq!(look(&mut source), [[5, 5, 6]]);
    assert_eq!(source.status().dropped.get("late"), Some(&1));
}

#[test]
fn a_time_waits_while_another_table_may_still_have_it() {
    let (m, n) = (table("m"), table("n"));
    let (_, mut source) = open("m.x + n.x", vec![offer(&m), offer(&n)], Mode::Live);
    m.push_rows(&[row(1, "A", 1), row(1, "A", 2), row(2, "A", 3)]).unwrap();
    assert_eq!(look(&mut source), [[0; 0]; 2]);
    n.push_rows(&[row(1, "A", 10)]).unwrap();
    assert_eq!(look(&mut source), [[0; 0]; 2]);
    n.push_rows(&[row(1, "A", 20), row(2, "A", 30)]).unwrap();
    assert_eq!(look(&mut source), [[1, 1], [1, 1]]);
    assert_eq!(look(&mut source), Vec::<Vec<i64>>::new());
}

#[test]
fn what_a_table_says_after_it_was_no_longer_waited_for_is_late() {
    let (m, n) = (table("m"), table("n"));
    let silent = Offer::Table { table: n.clone(), idle: Some(Duration::ZERO) };
    let (_, mut source) = open("m.x + n.x", vec![offer(&m), silent], Mode::Live);
    m.push_rows(&[row(1, "A", 1), row(2, "A", 2), row(3, "A", 3)]).unwrap();
    assert_eq!(look(&mut source), [vec![1, 2], vec![]]);
    n.push_rows(&[row(2, "A", 20), row(3, "A", 30)]).unwrap();
    m.push_rows(&[row(4, "A", 4)]).unwrap();
    assert_eq!(look(&mut source), [[3], [3]]);
    assert_eq!(source.status().dropped.get("late"), Some(&1));
}

#[test]
fn what_an_ended_table_has_waits_for_no_silent_one() {
    let (m, n) = (table("m"), table("n"));
    let silent = Offer::Table { table: n.clone(), idle: Some(Duration::ZERO) };
    let (_, mut source) = open("m.x + n.x", vec![offer(&m), silent], Mode::Live);
    m.push_rows(&[row(1, "A", 1), row(2, "A", 2), row(3, "A", 3)]).unwrap();
    m.end();
    let mut given = Vec::new();
    for _ in 0..3 {
        given.extend(look(&mut source).into_iter().flatten());
    }
    assert_eq!(given, [1, 2, 3]);
    n.push_rows(&[row(3, "A", 30), row(4, "A", 40)]).unwrap();
    assert_eq!(look(&mut source), [[0; 0]; 2]);
    assert_eq!(source.status().dropped.get("late"), Some(&1));
}

/// A side that keeps what it is given, as JSON lines.
fn side() -> (Side, Arc<Mutex<Vec<u8>>>) {
    let kept = Arc::new(Mutex::new(Vec::new()));
    let into = Arc::clone(&kept);
    let side = Side::new(move |late| Ok(Ndjson::new(&mut *into.lock().unwrap()).write(late)?));
    (side, kept)
}

fn lines(kept: &Mutex<Vec<u8>>) -> Vec<String> {
    String::from_utf8(kept.lock().unwrap().clone()).unwrap().lines().map(str::to_owned).collect()
}

fn late_table(name: &str, late: Late, lateness: u64) -> Table {
    let lateness = Duration::from_nanos(lateness);
    Table::new(Definition { late, lateness, ..definition(name) }).unwrap()
}

#[test]
fn late_rows_that_are_kept_go_to_the_side_whole() {
    let m = late_table("m", Late::Side, 1);
    let (side, kept) = side();
    // The query reads no field but one, and none of the points that are late.
    let (_, mut source) =
        open_over("m.filter(k == \"B\").k.last()", &Sources::new(vec![offer(&m)]).late_to(side), Mode::Live);
    m.push_rows(&[row(5, "A", 1), row(4, "A", 2), row(3, "A", 3), row(9, "B", 4)]).unwrap();
    m.push_rows(&[row(7, "C", 5)]).unwrap();
    // The newest waits for what may be late by one.
    assert_eq!(look(&mut source), [[4, 5]]);
    assert_eq!(
        lines(&kept),
        [
            r#"{"_time":"1970-01-01T00:00:00.000000003Z","_key":"A","_stream":"m","_watermark":"1970-01-01T00:00:00.000000004Z","t":3,"k":"A","x":3}"#,
            r#"{"_time":"1970-01-01T00:00:00.000000007Z","_key":"C","_stream":"m","_watermark":"1970-01-01T00:00:00.000000008Z","t":7,"k":"C","x":5}"#,
        ]
    );
    let status = source.status();
    assert_eq!(status.dropped.iter().collect::<Vec<_>>(), [(&"late to the side", &2)]);
    assert_eq!((status.read, status.points), (5, 3));
}

#[test]
fn each_source_has_its_own_lateness_and_policy() {
    for mode in [Mode::Live, Mode::Once] {
        let (drops, keeps) = (late_table("m", Late::Drop, 2), late_table("n", Late::Side, 0));
        let stops = late_table("o", Late::Error, 100);
        let (side, kept) = side();
        let sources = Sources::new([&drops, &keeps, &stops].map(offer).into()).late_to(side);
        let push = |times: &[i64]| {
            let rows: Vec<_> = times.iter().map(|at| row(*at, "A", *at)).collect();
            [&drops, &keeps, &stops].into_iter().for_each(|table| table.push_rows(&rows).unwrap());
        };
        if mode == Mode::Once {
            push(&[9, 8, 6, 12]);
        }
        let (_, mut source) = open_over("{ m: m.x, n: n.x, o: o.x }", &sources, mode);
        if mode == Mode::Once {
            let mut all = vec![Vec::new(); 3];
            for _ in 0..9 {
                look(&mut source).into_iter().zip(&mut all).for_each(|(times, all)| all.extend(times));
            }
            assert_eq!(
                all,
                [[6, 8, 9, 12], [6, 8, 9, 12], [6, 8, 9, 12]],
                "nothing is late over what is there"
            );
            assert!(lines(&kept).is_empty() && source.status().dropped.is_empty());
            continue;
        }
        push(&[9, 8, 6, 12]);
        // All is here up to what the slowest has told: the third waits for what is late by a hundred.
        assert_eq!(look(&mut source), vec![Vec::<i64>::new(); 3]);
        push(&[200]);
        assert_eq!(look(&mut source), [vec![8, 9, 12], vec![9, 12], vec![6, 8, 9, 12]]);
        let late = lines(&kept);
        assert!(late.len() == 2 && late.iter().all(|line| line.contains("\"_stream\":\"n\"")), "{late:?}");
        assert_eq!(
            source.status().dropped.into_iter().collect::<Vec<_>>(),
            [("late", 1), ("late to the side", 2)]
        );
        // Now one is late of which the first is to end the query.
        stops.push_rows(&[row(99, "A", 0)]).unwrap();
        let error = loop {
            match source.next(Duration::ZERO) {
                Ok(Next::End | Next::Idle) => panic!("it goes on"),
                Ok(Next::Epoch(_)) => {}
                Err(error) => break error,
            }
        };
        assert!(matches!(error, SourceError::Late { time: 99, watermark: 100, .. }), "{error}");
    }
}

#[test]
fn a_side_that_takes_nothing_ends_the_source_and_none_at_all_is_refused() {
    let m = late_table("m", Late::Side, 0);
    let full = Side::new(|_| Err(std::io::Error::from(std::io::ErrorKind::StorageFull).into()));
    let (_, mut source) = open_over("m.x", &Sources::new(vec![offer(&m)]).late_to(full), Mode::Live);
    m.push_rows(&[row(5, "A", 1), row(4, "A", 2), row(6, "A", 3)]).unwrap();
    assert_eq!(look(&mut source), [[5, 6]]);
    look(&mut source);
    assert!(matches!(source.next(Duration::ZERO), Err(SourceError::Side(_))));

    let sources = Sources::new(vec![offer(&m)]);
    let query = Arc::new(skytide_timestream::compile("m.x", &sources).unwrap());
    let plan = skytide_timestream::plan(query, Results::history());
    let refused = sources.open(&plan, Mode::Live).map(|_| ()).unwrap_err();
    assert_eq!(refused.to_string(), "nobody takes late points of `m`, which go to the side");
    assert!(sources.open(&plan, Mode::Once).is_ok(), "nothing is late once");
}

#[test]
fn a_source_can_stop_at_its_first_late_row() {
    let (m, n) = (late_table("m", Late::Error, 0), table("n"));
    let (plan, mut source) = open("m.x.sum() + n.x.sum()", vec![offer(&m), offer(&n)], Mode::Live);
    let second = 1_000_000_000;
    n.push_rows(&[row(0, "A", 10), row(9 * second, "A", 20)]).unwrap();
    m.push_rows(&[row(second, "A", 1), row(3 * second, "A", 2), row(2 * second, "A", 100)]).unwrap();
    m.push_rows(&[row(4 * second, "A", 1000)]).unwrap();
    let mut given = Rows::default();
    let error = run(plan, &mut source, &mut given, &RunOptions::live(), |_, _| {}).unwrap_err();
    let RunError::Source(SourceError::Late { stream, time, watermark }) = &error else { panic!("{error}") };
    assert_eq!((stream.as_str(), *time, *watermark), ("`m`", 2 * second, 3 * second));
    assert_eq!(
        error.to_string(),
        "`m` has a late point: it is of 1970-01-01T00:00:02Z, and came when all before 1970-01-01T00:00:03Z was \
         taken to be here; a longer lateness waits for such points, the policies `drop` and `side` go on without them"
    );
    // What is complete goes out: of the time that its source had reached more could have come, and of all after it.
    let expected = [(0, None), (second, Some(11))].map(|(at, x)| (at, "A", x));
    assert_eq!(given.0, rows(&expected));
    assert_eq!(source.status().dropped.get("late"), Some(&1));
    assert_eq!(source.status().points, 4);
}

#[test]
fn answers_end_with_the_error_of_a_late_row() {
    let m = late_table("m", Late::Error, 0);
    let (plan, source) = open("m.x", vec![offer(&m)], Mode::Live);
    let mut answers = Answers::start(plan, source, &RunOptions::live()).unwrap();
    m.push_rows(&[row(2, "A", 1), row(1, "A", 2)]).unwrap();
    assert_eq!(answers.next().unwrap().unwrap().num_rows(), 1);
    assert!(matches!(answers.next(), Some(Err(RunError::Source(SourceError::Late { .. })))));
    assert!(answers.next().is_none() && answers.outcome().is_none());
}

#[test]
fn what_was_no_longer_waited_for_follows_the_policy_of_its_table() {
    for late in [Late::Side, Late::Error] {
        let (m, n) = (table("m"), late_table("n", late, 100));
        let silent = Offer::Table { table: n.clone(), idle: Some(Duration::ZERO) };
        let (side, kept) = side();
        let sources = Sources::new(vec![offer(&m), silent]).late_to(side);
        let (_, mut source) = open_over("m.x + n.x", &sources, Mode::Live);
        m.push_rows(&[row(1, "A", 1), row(2, "A", 2), row(3, "A", 3)]).unwrap();
        assert_eq!(look(&mut source), [vec![1, 2], vec![]]);
        // Of its own clock it is not late.
        n.push_rows(&[row(3, "A", 30), row(2, "A", 20), row(3, "A", 31)]).unwrap();
        m.push_rows(&[row(4, "A", 4)]).unwrap();
        if late == Late::Side {
            assert_eq!(look(&mut source), [vec![3], vec![3, 3]]);
            let [line] = lines(&kept).try_into().unwrap();
            assert!(line.contains("00002Z\",\"_key\":\"A\",\"_stream\":\"n\",\"_watermark\":\"1970-01-01T00:00:00.000000003Z\""), "{line}");
        } else {
            assert_eq!(look(&mut source), [[3], [3]]);
            assert_eq!(look(&mut source), vec![Vec::<i64>::new(); 2]);
            let error = source.next(Duration::ZERO).unwrap_err();
            assert!(matches!(error, SourceError::Late { time: 2, watermark: 3, .. }), "{error}");
            assert_eq!(lines(&kept), Vec::<String>::new());
        }
    }
}

#[test]
fn over_what_is_there_nothing_is_late_however_long_a_table_is_silent() {
    let (m, n) = (table("m"), table("n"));
    // After as many rows the one is far ahead of the other.
    let all = |step: i64| (0..40_000).map(|at| (at * step, "A", at)).collect::<Vec<_>>();
    for (table, rows) in [(&m, all(100)), (&n, all(1))] {
        rows.chunks(10_000).for_each(|rows| table.push_batch(&batch(rows)).unwrap());
    }
    let idle = |table: &Table| Offer::Table { table: table.clone(), idle: Some(Duration::ZERO) };
    let (plan, mut source) = open("m.x + n.x", vec![idle(&m), idle(&n)], Mode::Once);
    let mut rows = Rows::default();
    run(plan, &mut source, &mut rows, &RunOptions::once(), |_, _| {}).unwrap();
    assert_eq!(source.status().dropped.get("late"), None);
    assert_eq!(rows.0.len(), 80_000 - 400);
}

#[test]
fn stop_ends_a_silent_run_and_gives_what_is_held() {
    let (m, n) = (table("m"), table("n"));
    let (stop, running) = live("m.x.sum() + n.x.sum()", vec![offer(&m), offer(&n)], 10);
    m.push_rows(&[row(1, "A", 1)]).unwrap();
    let begun = Instant::now();
    stop.stop();
    let (_, _, end) = running.join().unwrap();
    assert_eq!(end, End::Stopped);
    assert!(begun.elapsed() < Duration::from_secs(1));
}

#[test]
fn rows_pushed_before_a_stop_are_answered() {
    const PUSHED: i64 = 200_000;
    let m = table("m");
    let (plan, source) = open("m.x", vec![offer(&m)], Mode::Live);
    let options = RunOptions::live();
    let mut answers = Answers::start(plan, source, &options).unwrap();
    let pushed: Vec<_> = (0..PUSHED).map(|time| (time, "A", time)).collect();
    pushed.chunks(10_000).for_each(|rows| m.push_batch(&batch(rows)).unwrap());
    options.stop.stop();
    let first = answers.next().unwrap().unwrap().num_rows();
    assert!(first < PUSHED as usize);
    // What comes after the stop does not.
    m.push_rows(&[row(PUSHED, "A", 0)]).unwrap();
    let rest: usize = answers.by_ref().map(|batch| batch.unwrap().num_rows()).sum();
    assert_eq!(first + rest, PUSHED as usize);
    assert_eq!(answers.outcome().unwrap().end, End::Stopped);
}

/// A source whose points up to a time are all there; of which there are none.
struct StandsAt(i64);

impl Source for StandsAt {
    fn next(&mut self, _: Duration) -> Result<Next, SourceError> {
        Ok(Next::Epoch(Epoch { scans: vec![None], watermark: self.0 }))
    }

    fn status(&self) -> Status {
        Status::default()
    }
}

#[test]
fn rows_pushed_before_a_stop_wait_for_what_is_not_pushed() {
    let m = table("m");
    m.push_rows(&[row(1, "A", 1), row(5, "A", 2), row(9, "A", 4)]).unwrap();
    let (plan, pushed) = open("m.x", vec![offer(&m)], Mode::Live);
    let feeds = [Box::new(pushed) as Box<dyn Source + Send>, Box::new(StandsAt(5))];
    let feeds = (0..).zip(feeds).map(|(scan, source)| Feed::new(source, vec![scan], None, false)).collect();
    let scans = [plan.scans[0].clone(), plan.scans[0].clone()];
    let mut source = Merge::new(feeds, &scans, Mode::Live, false, Bell::default(), Passed::default());
    assert_eq!(look(&mut source), [vec![1], vec![]]);
    m.push_rows(&[row(6, "A", 8)]).unwrap();
    assert!(source.close());
    let mut rest = Vec::new();
    loop {
        match source.next(Duration::ZERO).unwrap() {
            Next::Epoch(epoch) => rest.extend(epoch.scans.into_iter().flatten().map(|rows| rows.len())),
            Next::Idle => {}
            Next::End => break,
        }
    }
    // What is at and after the other's time might have others before it.
    assert_eq!(rest.iter().sum::<usize>(), 0);
}

#[test]
fn rows_that_are_not_kept_go_to_those_that_run() {
    let m = Table::new(Definition { keeps: false, ..definition("m") }).unwrap();
    m.push_rows(&[row(1, "A", 1)]).unwrap();
    assert_eq!(once("m.x", &[&m]), []);
    let (_, running) = live("m.x.sum()", vec![offer(&m)], 2);
    m.push_rows(&[row(2, "A", 2)]).unwrap();
    m.push_rows(&[row(3, "A", 3)]).unwrap();
    let (answer, ..) = running.join().unwrap();
    assert_eq!(answer, rows(&[(2, "A", Some(2)), (3, "A", Some(5))]));
}

#[test]
fn a_grouping_has_the_name_that_it_is_given() {
    let m = Table::new(Definition { grouping: Some("user".into()), ..definition("m") }).unwrap();
    let n = table("n");
    let sources = Sources::new(vec![offer(&m), offer(&n)]);
    let error = skytide_timestream::compile("m.x + n.x", &sources).unwrap_err();
    assert!(error.render("m.x + n.x").contains("user"), "{error}");
    assert!(skytide_timestream::compile("m.x + n.with_key(k, \"user\").x", &sources).is_ok());
}

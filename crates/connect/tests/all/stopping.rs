//! A run that is asked to end while what it computes takes long: it ends in time, and what it gave is whole.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::error::Error;
use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampNanosecondType};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::DataType;
use arrow_select::concat::concat_batches;
use skytide_connect::network::{Connection, Network};
use skytide_connect::recovery::Recovery;
use skytide_connect::run::{AnswerStream, Answers, End, GRACE, RunOptions, Stop};
use skytide_connect::sink::TextFile;
use skytide_connect::sources::{Offer, Sources};
use skytide_firehose::{Compression, Recorder};
use skytide_timestream::engine::{Mode, answer_schema};
use skytide_timestream::functions::user::{UserFunction, UserFunctions};
use skytide_timestream::plan::{Plan, Results};

/// How `crawl` goes, and what it has seen.
struct Pace {
    /// Milliseconds a row.
    millis: AtomicU64,
    seen: AtomicUsize,
    /// The row at which someone says stop.
    stop_at: AtomicUsize,
    stop: Stop,
    /// When that was.
    said: OnceLock<Instant>,
}

/// Gives its argument, in its own time.
struct Crawl(Arc<Pace>);

impl UserFunction for Crawl {
    fn signature(&self) -> &str {
        "crawl(x: i64) -> i64"
    }

    fn evaluate(&self, args: &[ArrayRef], _: &DataType) -> Result<ArrayRef, Box<dyn Error + Send + Sync>> {
        let Crawl(pace) = self;
        let rows = args[0].len();
        if pace.seen.fetch_add(rows, Ordering::SeqCst) + rows > pace.stop_at.load(Ordering::SeqCst) {
            pace.said.get_or_init(Instant::now);
            pace.stop.stop();
        }
        std::thread::sleep(Duration::from_millis(pace.millis.load(Ordering::SeqCst) * rows as u64));
        Ok(Arc::clone(&args[0]))
    }
}

/// A recording: two epochs of some five hundred posts each, and a short one.
fn recording() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("day.frames");
        let mut recorder = Recorder::create(&path, Compression::None).unwrap();
        for frame in skytide_sim::Network::new(skytide_sim::Config::default()).take(9_000) {
            recorder.push(&frame.bytes).unwrap();
        }
        recorder.finish().unwrap();
        std::fs::read(path).unwrap()
    })
}

/// A query over it, and how fast that goes.
struct Case {
    _folder: tempfile::TempDir,
    sources: Sources,
    plan: Arc<Plan>,
    pace: Arc<Pace>,
}

const QUERY: &str = "let n = posts.with_key(record.langs[0]).count(); { n: n, same: n.crawl() }";

impl Case {
    fn new(results: Results, millis: u64, stop_at: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("day.frames");
        std::fs::write(&path, recording()).unwrap();
        let connection = Connection { location: path.to_string_lossy().into(), ..Connection::default() };
        let sources =
            Sources::new(vec![Offer::Network(Arc::new(Network { connection, ..Network::default() }))]);
        let pace = Arc::new(Pace {
            millis: millis.into(),
            seen: AtomicUsize::default(),
            stop_at: stop_at.into(),
            stop: Stop::default(),
            said: OnceLock::new(),
        });
        let mut functions = UserFunctions::default();
        functions.define(Crawl(Arc::clone(&pace))).unwrap();
        let query = skytide_timestream::compile(QUERY, &functions.over(&sources)).unwrap();
        let plan = Arc::new(skytide_timestream::plan(Arc::new(query), results));
        Self { _folder: folder, sources, plan, pace }
    }

    /// From here on nothing is slow, and nobody says stop.
    fn hurry(&self) {
        self.pace.millis.store(0, Ordering::SeqCst);
        self.pace.stop_at.store(usize::MAX, Ordering::SeqCst);
    }

    fn options(&self, workers: usize) -> RunOptions {
        RunOptions { workers, stop: self.pace.stop.clone(), ..RunOptions::once() }
    }

    /// The answer, why the run ended, and whether anything that was read was left out.
    fn answer(&self, options: &RunOptions) -> (RecordBatch, End, bool) {
        let source = self.sources.open(&self.plan, options.mode).unwrap();
        let mut answers = Answers::start(Arc::clone(&self.plan), source, options).unwrap();
        let batches: Vec<RecordBatch> = answers.by_ref().map(Result::unwrap).collect();
        let rows = concat_batches(&answer_schema(&self.plan).unwrap(), &batches).unwrap();
        let outcome = answers.outcome().unwrap();
        (rows, outcome.end, outcome.job.is_cut)
    }

    /// How long ago someone said stop.
    fn since_stop(&self) -> Duration {
        self.pace.said.get().unwrap().elapsed()
    }
}

/// The whole answer.
fn whole() -> RecordBatch {
    let case = Case::new(Results::history(), 0, usize::MAX);
    let (whole, end, is_cut) = case.answer(&case.options(1));
    assert!(end == End::Source && !is_cut);
    whole
}

/// A row in the second epoch, most of which comes after it.
const SECOND: usize = 600;

/// What a stop may take: the second that work is let be, and as much again for a machine that is busy.
const SOON: Duration = Duration::from_secs(2);

#[test]
fn what_is_computed_is_cut_short_and_what_was_before_is_whole() {
    let whole = whole();
    for workers in [1, 2] {
        // Of the second epoch about three seconds are left.
        let case = Case::new(Results::history(), 8, SECOND);
        let (rows, end, is_cut) = case.answer(&case.options(workers));
        assert!(case.since_stop() < SOON, "{:?} with {workers} workers", case.since_stop());
        assert!(end == End::Stopped && is_cut);
        assert!((1..SECOND).contains(&rows.num_rows()), "{} rows", rows.num_rows());
        assert_eq!(rows, whole.slice(0, rows.num_rows()), "with {workers} workers");
        // Another run of the same process, and of the same function.
        case.hurry();
        let (again, end, is_cut) = case.answer(&RunOptions { workers, ..RunOptions::once() });
        assert!(end == End::Source && !is_cut);
        assert_eq!(again, whole);
    }
}

#[test]
fn what_is_quick_is_answered_before_it_stops() {
    let whole = whole();
    // Someone says stop within the last epoch.
    let case = Case::new(Results::history(), 0, whole.num_rows() - 1);
    let (rows, end, is_cut) = case.answer(&case.options(1));
    assert!(end == End::Stopped && !is_cut, "{end:?}");
    assert_eq!(rows, whole);
}

#[test]
fn when_its_time_is_up_a_run_ends_as_soon() {
    let case = Case::new(Results::snapshot(), 8, usize::MAX);
    let options = RunOptions { duration: Some(Duration::from_millis(100)), ..RunOptions::once() };
    let begun = Instant::now();
    let (rows, end, is_cut) = case.answer(&options);
    assert!(begun.elapsed() < SOON + Duration::from_millis(100), "{:?}", begun.elapsed());
    assert!(end == End::Duration && is_cut && rows.num_rows() == 0);
}

#[test]
fn a_snapshot_that_is_cut_short_is_that_of_what_is_complete() {
    let case = Case::new(Results::history(), 8, SECOND);
    let (history, ..) = case.answer(&case.options(1));
    let case = Case::new(Results::snapshot(), 8, SECOND);
    let (rows, end, is_cut) = case.answer(&case.options(1));
    assert!(end == End::Stopped && is_cut);
    let times =
        |batch: &RecordBatch| batch.column(0).as_primitive::<TimestampNanosecondType>().values().to_vec();
    // After the newest event that was answered, which need not be a post.
    assert!(times(&rows).iter().all(|time| Some(time) > times(&history).last()));
    let counts = |batch: &RecordBatch| batch.column(2).as_primitive::<Int64Type>().values().to_vec();
    assert_eq!(counts(&rows).iter().sum::<i64>(), history.num_rows() as i64);
}

/// Waits until something holds, if that is before a stop would have it so.
fn soon(holds: impl Fn() -> bool) -> bool {
    let begun = Instant::now();
    while !holds() && begun.elapsed() < GRACE {
        std::thread::sleep(Duration::from_millis(1));
    }
    holds()
}

#[test]
fn an_answer_that_nobody_takes_any_more_is_not_computed_any_more() {
    for workers in [1, 2] {
        // Of the first epoch about four seconds are left, or two for each worker.
        let case = Case::new(Results::history(), 8, usize::MAX);
        let source = case.sources.open(&case.plan, Mode::Once).unwrap();
        let stream = AnswerStream::start(Arc::clone(&case.plan), source, case.options(workers)).unwrap();
        while case.pace.seen.load(Ordering::SeqCst) < 32 {
            std::thread::sleep(Duration::from_millis(1));
        }
        drop(stream);
        assert!(soon(|| Arc::strong_count(&case.plan) == 1), "it goes on with {workers} workers");
    }
}

#[test]
fn who_lets_go_of_answers_waits_for_no_other_worker() {
    let case = Case::new(Results::history(), 8, usize::MAX);
    let source = case.sources.open(&case.plan, Mode::Once).unwrap();
    let mut answers = Answers::start(Arc::clone(&case.plan), source, &case.options(2)).unwrap();
    // The other one is at the second epoch by then.
    answers.next().unwrap().unwrap();
    let begun = Instant::now();
    drop(answers);
    assert!(begun.elapsed() < GRACE, "{:?}", begun.elapsed());
}

/// Runs to its end, or until someone says stop.
fn saved(case: &Case, folder: &Path, options: &RunOptions) -> (End, bool) {
    let recovery = Recovery::open(&folder.join("saved"), "langs", &case.plan, options.mode).unwrap();
    let source = case.sources.reopen(&case.plan, options.mode, recovery.source());
    let mut sink = TextFile::ndjson(&folder.join("langs.ndjson")).unwrap();
    let recovery = recovery.every(Duration::ZERO);
    let outcome = recovery.run(Arc::clone(&case.plan), &mut source.unwrap(), &mut sink, options, |_, _| {});
    let outcome = outcome.unwrap();
    (outcome.end, outcome.job.is_cut)
}

#[test]
fn a_saved_run_goes_on_from_before_what_was_cut_short() {
    let (once, twice) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let case = Case::new(Results::history(), 0, usize::MAX);
    assert_eq!(saved(&case, once.path(), &case.options(1)), (End::Source, false));
    let case = Case::new(Results::history(), 8, SECOND);
    assert_eq!(saved(&case, twice.path(), &case.options(1)), (End::Stopped, true));
    case.hurry();
    assert_eq!(saved(&case, twice.path(), &RunOptions::once()), (End::Source, false));
    let rows = |folder: &Path| std::fs::read_to_string(folder.join("langs.ndjson")).unwrap();
    assert!(rows(once.path()) == rows(twice.path()));
}

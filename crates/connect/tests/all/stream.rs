//! Answers as an async stream: the same batches, no faster than they are taken, stopped by letting go.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arrow_array::RecordBatch;
use arrow_select::concat::concat_batches;
use bytes::Bytes;
use futures_util::StreamExt;
use skytide_atproto::columns::Clock;
use skytide_connect::catalog::FirehoseCatalog;
use skytide_connect::firehose::FirehoseSource;
use skytide_connect::frames::Frames;
use skytide_connect::run::{AnswerStream, Answers, End, RunError, RunOptions};
use skytide_connect::source::{Next, Source, SourceError, Status};
use skytide_sim::{Config, Network};
use skytide_timestream::engine::answer_schema;
use skytide_timestream::plan::{Plan, Results};

/// What a source is seen to do from outside.
#[derive(Default)]
struct Seen {
    read: AtomicU64,
    is_gone: AtomicBool,
}

struct Watched {
    inner: FirehoseSource,
    seen: Arc<Seen>,
    /// Fails after so many epochs.
    fails_after: Option<u64>,
    /// Panics instead.
    panics: bool,
    /// Is silent, as a connection on which nothing happens.
    is_silent: bool,
}

impl Source for Watched {
    fn next(&mut self, wait: Duration) -> Result<Next, SourceError> {
        let epochs = self.seen.read.fetch_add(1, Ordering::Relaxed);
        if self.fails_after.is_some_and(|after| epochs >= after) {
            assert!(!self.panics, "on purpose");
            return Err(SourceError::Unfit("on purpose".to_owned()));
        }
        if self.is_silent {
            std::thread::sleep(wait);
            return Ok(Next::Idle);
        }
        self.inner.next(wait)
    }

    fn status(&self) -> Status {
        self.inner.status()
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.seen.is_gone.store(true, Ordering::Release);
    }
}

/// A query over frames in memory, without end unless there is a limit.
fn opened(query: &str, limit: Option<u64>) -> (Arc<Plan>, Watched, Arc<Seen>) {
    showing(Results::history(), query, limit)
}

fn showing(results: Results, query: &str, limit: Option<u64>) -> (Arc<Plan>, Watched, Arc<Seen>) {
    let catalog = FirehoseCatalog::new();
    let query = skytide_timestream::compile(query, &catalog).unwrap();
    let plan = Arc::new(skytide_timestream::plan(Arc::new(query), results));
    let network = Network::new(Config { accounts: 40, ..Config::default() });
    let frames: Vec<Bytes> = network.take(400).map(|frame| frame.bytes).collect();
    let frames = Frames::repeating(frames.into()).until(limit);
    let inner = FirehoseSource::new(&plan, &catalog, frames, Clock::FrameTime).unwrap();
    let seen = Arc::<Seen>::default();
    let source =
        Watched { inner, seen: Arc::clone(&seen), fails_after: None, panics: false, is_silent: false };
    (plan, source, seen)
}

async fn rows(stream: &mut AnswerStream, plan: &Plan) -> RecordBatch {
    let mut batches = Vec::new();
    while let Some(batch) = stream.next().await {
        batches.push(batch.unwrap());
    }
    concat_batches(&answer_schema(plan).unwrap(), &batches).unwrap()
}

#[tokio::test]
async fn it_has_the_rows_that_the_iterator_has() {
    let (plan, source, _) = opened("likes.count()", Some(50_000));
    let answers = Answers::start(Arc::clone(&plan), source, &RunOptions::once()).unwrap();
    let expected: Vec<_> = answers.map(Result::unwrap).collect();
    let expected = concat_batches(&answer_schema(&plan).unwrap(), &expected).unwrap();
    let (_, source, seen) = opened("likes.count()", Some(50_000));
    let mut stream = AnswerStream::start(Arc::clone(&plan), source, RunOptions::live()).unwrap();
    assert_eq!(rows(&mut stream, &plan).await, expected);
    let outcome = stream.outcome().unwrap();
    assert_eq!((outcome.end, outcome.rows, outcome.source.read), (End::Source, expected.num_rows(), 50_000));
    assert!(stream.next().await.is_none() && seen.is_gone.load(Ordering::Acquire));
}

#[tokio::test]
async fn what_comes_at_the_end_is_in_it() {
    // The ticks of the end, the last of what several workers are at, and a snapshot, which is nothing else.
    let query = "likes.count(window=since.minutely())";
    for (results, workers) in [(Results::history(), 1), (Results::history(), 2), (Results::snapshot(), 1)] {
        let options = RunOptions { workers, ..RunOptions::once() };
        let (plan, source, _) = showing(results, query, Some(400));
        let answers = Answers::start(Arc::clone(&plan), source, &options).unwrap();
        let expected: Vec<_> = answers.map(Result::unwrap).collect();
        let expected = concat_batches(&answer_schema(&plan).unwrap(), &expected).unwrap();
        let (_, source, _) = showing(results, query, Some(400));
        let mut stream = AnswerStream::start(Arc::clone(&plan), source, options).unwrap();
        let rows = rows(&mut stream, &plan).await;
        assert!(rows == expected && rows.num_rows() > 30, "{results:?} {workers}: {}", rows.num_rows());
    }
}

/// Waits until something holds.
async fn until(limit: Duration, holds: impl Fn() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < limit, "not within {limit:?}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Waits until nothing more is read; gives how often it was asked for. It is not asked for ever.
async fn at_rest(seen: &Seen) -> u64 {
    let (mut before, mut same) = (0, 0);
    while same < 30 {
        tokio::time::sleep(Duration::from_millis(10)).await;
        let read = seen.read.load(Ordering::Relaxed);
        same = if read == before { same + 1 } else { 0 };
        before = read;
        assert!(before < 500, "{before} epochs for nobody");
    }
    before
}

#[tokio::test]
async fn who_does_not_take_is_waited_for_and_who_lets_go_stops_it() {
    let (plan, source, seen) = opened("likes.count()", None);
    let mut stream = AnswerStream::start(plan, source, RunOptions::live()).unwrap();
    stream.next().await.unwrap().unwrap();
    // It reads on until enough lies ready, and then no further.
    let before = at_rest(&seen).await;
    for _ in 0..40 {
        stream.next().await.unwrap().unwrap();
    }
    assert!(at_rest(&seen).await > before);
    drop(stream);
    until(Duration::from_millis(100), || seen.is_gone.load(Ordering::Acquire)).await;
}

#[tokio::test]
async fn while_nothing_happens_it_stops_as_soon_too() {
    let (plan, mut source, seen) = opened("likes.count()", None);
    source.is_silent = true;
    let stream = AnswerStream::start(plan, source, RunOptions::live()).unwrap();
    until(Duration::from_secs(30), || seen.read.load(Ordering::Relaxed) > 3).await;
    drop(stream);
    until(Duration::from_millis(100), || seen.is_gone.load(Ordering::Acquire)).await;
}

#[tokio::test]
async fn a_stop_gives_what_is_complete() {
    let (plan, source, _) = opened("likes.count()", None);
    let options = RunOptions::live();
    let stop = options.stop.clone();
    let mut stream = AnswerStream::start(Arc::clone(&plan), source, options).unwrap();
    let first = stream.next().await.unwrap().unwrap().num_rows();
    stop.stop();
    let rest = rows(&mut stream, &plan).await.num_rows();
    let outcome = stream.outcome().unwrap();
    assert_eq!((outcome.end, outcome.rows), (End::Stopped, first + rest));
}

#[tokio::test]
async fn what_it_fails_with_is_the_last_item() {
    for panics in [false, true] {
        let (plan, mut source, _) = opened("likes.count()", None);
        (source.fails_after, source.panics) = (Some(3), panics);
        let mut stream = AnswerStream::start(plan, source, RunOptions::live()).unwrap();
        let mut batches = 0;
        let error = loop {
            match stream.next().await.unwrap() {
                Ok(_) => batches += 1,
                Err(error) => break error,
            }
        };
        if panics {
            assert!(matches!(&error, RunError::Panicked { message } if message == "on purpose"), "{error}");
        } else {
            assert!(batches > 0 && matches!(error, RunError::Source(SourceError::Unfit(_))), "{error}");
        }
        assert!(stream.next().await.is_none() && stream.outcome().is_none());
    }
}

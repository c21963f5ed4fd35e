//! What is refused, what ends a job, and that nothing hangs.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says so where it cannot go on")]

mod common;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use common::{chain, count_by_text, epochs, event, events, every, meeting, options, with_function};
use skytide_runtime::{Checkpoint, CheckpointError, Deadline, Epoch, Job, JobError, Options};
use skytide_timestream::engine::Mode;
use skytide_timestream::functions::{Call, Column, EvalError, Function};
use skytide_timestream::plan::{Plan, Results};

fn start(plan: &Arc<Plan>, workers: usize) -> Job {
    Job::start(Arc::clone(plan), options(workers), None).unwrap()
}

#[test]
fn refuses_a_wrong_number_of_workers() {
    let plan = count_by_text(Results::history());
    for workers in [0, 257] {
        let started = Job::start(Arc::clone(&plan), options(workers), None);
        assert!(matches!(started, Err(JobError::Workers(refused)) if refused == workers));
    }
}

#[test]
fn refuses_epochs_that_do_not_fit_and_goes_on() {
    let plan = meeting(Results::history());
    let events = events(40);
    let good = epochs(&plan, &events, &[20]);
    let (expected, _) = common::run(&plan, options(1), good.clone());
    for workers in 1..=2 {
        let mut job = start(&plan, workers);
        let mut answer = Vec::new();
        job.push(good[0].clone()).unwrap();

        let few = Epoch { scans: vec![None], watermark: 0 };
        assert!(matches!(job.push(few), Err(JobError::Scans { expected: 3, found: 1 })));
        let mut narrow = good[1].clone();
        narrow.scans[1].as_mut().unwrap().columns.pop();
        assert!(matches!(job.push(narrow), Err(JobError::Shape { scan: 1, .. })));
        let mut without_keys = good[1].clone();
        without_keys.scans[0].as_mut().unwrap().key = None;
        assert!(matches!(job.push(without_keys), Err(JobError::Shape { scan: 0, .. })));
        let mut short = good[1].clone();
        let column = &mut short.scans[0].as_mut().unwrap().columns[0];
        *column = column.slice(1, column.len() - 1);
        assert!(matches!(job.push(short), Err(JobError::Shape { scan: 0, .. })));
        let again = job.push(good[0].clone());
        assert!(
            matches!(again, Err(JobError::Order { newest, .. }) if newest == events[19].time),
            "{again:?}"
        );

        job.push(good[1].clone()).unwrap();
        let (rest, report) = job.finish().unwrap();
        answer.extend(common::lines(&rest));
        assert_eq!(answer, expected);
        assert_eq!(report.epochs, 2);
    }
}

#[test]
fn refuses_a_foreign_checkpoint() {
    let plan = count_by_text(Results::snapshot());
    let mut job = start(&plan, 2);
    for epoch in epochs(&plan, &events(30), &[]) {
        job.push(epoch).unwrap();
    }
    let checkpoint = job.checkpoint().unwrap();
    for other in [count_by_text(Results::history()), chain(), meeting(Results::snapshot())] {
        let refused = Job::start(other, options(1), Some(&checkpoint)).unwrap_err();
        assert!(matches!(refused, JobError::Checkpoint(CheckpointError::OtherPlan { .. })), "{refused}");
    }
    let live = Options { mode: Mode::Live, ..options(1) };
    let refused = Job::start(Arc::clone(&plan), live, Some(&checkpoint)).unwrap_err();
    assert!(matches!(refused, JobError::Checkpoint(CheckpointError::OtherMode { .. })), "{refused}");
    // The query's wording is no part of the plan.
    let mut reworded = Plan::clone(&plan);
    Arc::make_mut(&mut reworded.query).text = "s0 . with_key(text) . count()".to_owned();
    assert!(Job::start(Arc::new(reworded), options(1), Some(&checkpoint)).is_ok());
    // A state that its operator does not know, in an envelope that fits.
    let mut bytes = checkpoint.to_bytes();
    let end = bytes.len() - 8;
    bytes[end - 5] ^= 1;
    assert!(matches!(Checkpoint::from_bytes(&bytes), Err(CheckpointError::Damaged { .. })));
}

/// Whether 13 is among the numbers; if so, a while later, when all other workers wait.
fn has_thirteen(call: &Call<'_>) -> bool {
    let Column::Array(numbers) = &call.args[0] else { return false };
    let has = numbers.as_primitive::<Int64Type>().iter().any(|number| number == Some(13));
    if has {
        std::thread::sleep(Duration::from_millis(30));
    }
    has
}

/// Runs something that must not hang.
fn in_time(work: impl FnOnce() + Send + 'static) {
    let (done, ended) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        work();
        done.send(()).unwrap();
    });
    if ended.recv_timeout(Duration::from_secs(30)) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
        panic!("it hangs");
    }
    thread.join().unwrap();
}

/// Gives its argument, and panics at 13.
static UNLUCKY: Function = common::function("unlucky", |call: &Call<'_>| {
    assert!(!has_thirteen(call), "thirteen");
    Ok(call.args[0].clone())
});

/// Fails at 13.
static REFUSING: Function = common::function("refusing", |call: &Call<'_>| {
    if has_thirteen(call) {
        let source = arrow_schema::ArrowError::ComputeError("thirteen".to_owned());
        return Err(EvalError { function: "refusing", source });
    }
    Ok(call.args[0].clone())
});

/// A text whose key this worker of so many holds.
fn text_of(worker: usize, workers: usize) -> String {
    let held = |text: &String| {
        let keys = arrow_array::StringArray::from(vec![text.as_str()]);
        skytide_timestream::engine::hash(&keys)[0] % 256 % workers as u64 == worker as u64
    };
    (0..).map(|number| format!("t{number}")).find(held).unwrap()
}

#[test]
fn a_failure_in_any_worker_ends_the_job_by_name() {
    for function in [&UNLUCKY, &REFUSING] {
        for workers in 1..=3 {
            for bad in 0..workers {
                in_time(move || fails_by_name(function, workers, bad));
            }
        }
    }
}

/// One of the workers gets the 13.
fn fails_by_name(function: &'static Function, workers: usize, bad: usize) {
    let plan = with_function(function);
    let text = text_of(bad, workers);
    let mut events: Vec<_> = (0..200).map(|at| event(at, 0, "k", Some(&format!("t{at}")), 1)).collect();
    events[100] = event(100, 0, "k", Some(&text), 13);
    let mut job = start(&plan, workers);
    let told = epochs(&plan, &events, &every(10, &events))
        .into_iter()
        .try_for_each(|epoch| job.push(epoch))
        .and_then(|()| job.settle().map(|_| ()))
        .unwrap_err();
    match told {
        JobError::Panicked { worker, message } => {
            assert_eq!((function.name, worker, message.as_str()), ("unlucky", bad, "thirteen"));
        }
        JobError::Engine { region, worker, .. } => {
            assert_eq!((function.name, region, worker), ("refusing", 1, bad));
        }
        other => panic!("{other}"),
    }
    // What comes after says so and does not hang.
    assert!(matches!(job.settle(), Err(JobError::Ended)));
    assert!(matches!(job.ready(), Err(JobError::Ended)));
    assert!(matches!(job.checkpoint(), Err(JobError::Ended)));
    assert!(matches!(job.push(Epoch { scans: vec![None], watermark: 300 }), Err(JobError::Ended)));
    assert!(job.report().epochs < 20);
    assert!(matches!(job.finish(), Err(JobError::Ended)));
}

#[test]
fn refuses_a_plan_that_its_operators_refuse() {
    let mut plan = Plan::clone(&count_by_text(Results::history()));
    plan.regions[1].key_type = None;
    assert!(matches!(Job::start(Arc::new(plan), options(1), None), Err(JobError::Engine { region: 1, .. })));
    let mut plan = Plan::clone(&count_by_text(Results::history()));
    plan.regions[1].inputs.clear();
    assert!(matches!(Job::start(Arc::new(plan), options(1), None), Err(JobError::Plan { region: 1, .. })));
    let mut plan = Plan::clone(&count_by_text(Results::history()));
    plan.regions[0].inputs.push(common::from(1));
    assert!(matches!(Job::start(Arc::new(plan), options(2), None), Err(JobError::Plan { region: 0, .. })));
    let mut plan = Plan::clone(&count_by_text(Results::history()));
    plan.regions.clear();
    assert!(matches!(Job::start(Arc::new(plan), options(1), None), Err(JobError::Answer(_))));
}

/// Batches that [`SLOW`] has seen.
static SEEN: AtomicU64 = AtomicU64::new(0);

/// Gives its argument after a while.
static SLOW: Function = common::function("slow", |call: &Call<'_>| {
    SEEN.fetch_add(1, Ordering::SeqCst);
    std::thread::sleep(Duration::from_millis(5));
    Ok(call.args[0].clone())
});

#[test]
fn waits_for_unfinished_epochs_and_ends_at_once_when_dropped() {
    let plan = with_function(&SLOW);
    let text = text_of(1, 2);
    let events: Vec<_> = (0..2_000).map(|at| event(at, 0, "k", Some(&text), at)).collect();

    // With a bound, a push waits for the slow worker.
    let bounded = Options { workers: 2, epochs_in_flight: 3, ..Options::default() };
    let mut job = Job::start(Arc::clone(&plan), bounded, None).unwrap();
    for (pushed, epoch) in epochs(&plan, &events[..30], &every(1, &events[..30])).into_iter().enumerate() {
        job.push(epoch).unwrap();
        assert!(job.report().epochs + 3 > pushed as u64, "{} of {pushed}", job.report().epochs);
    }
    assert_eq!(job.settle().unwrap().len(), 30);
    drop(job);

    // Without one, ten seconds of work lie before the worker when the job is dropped.
    let unbounded = Options { workers: 2, epochs_in_flight: usize::MAX, ..Options::default() };
    let mut job = Job::start(Arc::clone(&plan), unbounded, None).unwrap();
    let before = SEEN.load(Ordering::SeqCst);
    for epoch in epochs(&plan, &events, &every(1, &events)) {
        job.push(epoch).unwrap();
    }
    while SEEN.load(Ordering::SeqCst) == before {
        // The other worker gets its first epoch once this one has split it.
        job.ready().unwrap();
    }
    let start = Instant::now();
    drop(job);
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    assert!(SEEN.load(Ordering::SeqCst) < before + 2_000);
}

/// Asks a job to end.
static ASKED: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);

/// Gives its argument; at 13 someone asks for an end.
static ASKING: Function = common::function("asking", |call: &Call<'_>| {
    if has_thirteen(call) {
        ASKED.store(true, Ordering::SeqCst);
    }
    Ok(call.args[0].clone())
});

#[test]
fn a_job_that_is_cut_short_gives_what_was_before() {
    let plan = with_function(&ASKING);
    let numbered = |at: i64| event(at, 0, "k", Some(&format!("t{at}")), if at == 100 { 13 } else { 1 });
    let events: Vec<_> = (0..200).map(numbered).collect();
    let epochs = || epochs(&plan, &events, &every(10, &events));
    let (whole, report) = common::run(&plan, options(1), epochs());
    assert!(whole.len() == 200 && !report.is_cut);
    for workers in 1..=3 {
        ASKED.store(false, Ordering::SeqCst);
        let unbounded = Options { epochs_in_flight: usize::MAX, ..options(workers) };
        let mut job = Job::start(Arc::clone(&plan), unbounded, None).unwrap();
        job.heed(Deadline::new(Arc::clone(&ASKED), None, Duration::ZERO));
        for (number, epoch) in epochs().into_iter().enumerate() {
            match job.push(epoch) {
                // Up to here all is answered, and nothing of it is taken.
                Ok(()) if number == 9 => drop(job.checkpoint().unwrap()),
                Ok(()) => {}
                Err(error) => assert!(matches!(error, JobError::Stopped), "{error}"),
            }
        }
        for _ in 0..2 {
            assert!(matches!(job.checkpoint(), Err(JobError::Stopped)));
            assert!(matches!(job.settle(), Err(JobError::Stopped)));
        }
        let (answer, report) = job.finish().unwrap();
        let answer = common::lines(&answer);
        // The epoch in which someone asks may be done.
        assert!(report.is_cut && (100..=110).contains(&answer.len()), "{} rows", answer.len());
        assert_eq!(answer, whole[..answer.len()]);
    }
}

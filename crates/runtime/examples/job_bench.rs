//! What running a plan costs beside computing it: `cargo run --release -p skytide-runtime --example job_bench
//! [WORKERS]`.
//!
//! `with_key(text).count()` over made-up events, by rows an epoch: million rows a CPU-second through a
//! [`Job`], through the operators alone, and the microseconds from an epoch pushed to it answered, on the
//! clock and of all threads' CPU time.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement, run by hand")]

#[path = "../tests/common/mod.rs"]
mod common;

use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use common::{count_by_text, epochs, events, every};
use skytide_runtime::{Epoch, Job, Options};
use skytide_timestream::engine::{Clock, Mode, RegionOperator, ResultOperator, answer_batch};
use skytide_timestream::plan::{Plan, Results};

/// How long each figure is taken for.
const LONG: Duration = Duration::from_secs(1);

fn main() {
    let workers = std::env::args().nth(1).map_or(1, |workers| workers.parse().unwrap());
    let plan = count_by_text(Results::history());
    let mut events = events(200_000);
    events.iter_mut().for_each(|event| event.source = 0);
    println!(
        "rows an epoch | Mrows/CPU-s job, {workers} workers | Mrows/CPU-s operators | us an epoch | CPU-us an epoch"
    );
    for size in [1, 10, 100, 1_000, 10_000] {
        let few = &events[..(size * 1_000).min(events.len())];
        let epochs = epochs(&plan, few, &every(size, few));
        let job = rate(&epochs, &mut through_a_job(&plan, workers));
        let alone = rate(&epochs, &mut through_operators(&plan));
        let (wall, cpu) = latency(&plan, workers, &epochs);
        println!("{size:>13} | {:>26.2} | {:>21.2} | {wall:>11.1} | {cpu:.1}", job / 1e6, alone / 1e6);
    }
}

/// Seconds of CPU that this process's living threads have had, as Linux tells; elsewhere seconds on the clock.
fn cpu_seconds() -> f64 {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    let of = |task: std::fs::DirEntry| {
        let told = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
        told.split(' ').next()?.parse::<f64>().ok()
    };
    std::fs::read_dir("/proc/self/task").map_or_else(
        |_| START.elapsed().as_secs_f64(),
        |tasks| tasks.flatten().filter_map(of).sum::<f64>() / 1e9,
    )
}

/// Rows a CPU-second over the epochs again and again.
fn rate(epochs: &[Epoch], run: &mut dyn FnMut(Epoch)) -> f64 {
    let (start, cpu, mut rows, mut later) = (Instant::now(), cpu_seconds(), 0, 0);
    while start.elapsed() < LONG {
        for epoch in epochs {
            rows += epoch.scans[0].as_ref().map_or(0, skytide_timestream::rows::Rows::len);
            run(moved(epoch, later));
        }
        later += 1 << 40;
    }
    rows as f64 / (cpu_seconds() - cpu)
}

/// The epoch at a later time, so that time goes on.
fn moved(epoch: &Epoch, later: i64) -> Epoch {
    let mut epoch = epoch.clone();
    for rows in epoch.scans.iter_mut().flatten() {
        rows.places.time = rows.places.time.iter().map(|time| time + later).collect();
    }
    epoch
}

fn through_a_job(plan: &Arc<Plan>, workers: usize) -> impl FnMut(Epoch) {
    let options = Options { workers, mode: Mode::Live, epochs_in_flight: 16 };
    let mut job = Job::start(Arc::clone(plan), options, None).unwrap();
    move |epoch| {
        job.push(epoch).unwrap();
        job.ready().unwrap();
    }
}

fn through_operators(plan: &Arc<Plan>) -> impl FnMut(Epoch) {
    let operator = |region| RegionOperator::new(Arc::clone(plan), region).unwrap();
    let (mut first, mut second) = (operator(0), operator(1));
    let mut results = ResultOperator::new(plan, Mode::Live).unwrap();
    let plan = Arc::clone(plan);
    move |mut epoch| {
        let rows = epoch.scans.pop().unwrap().unwrap();
        let feed = first.process(vec![vec![rows]], &Clock::START).unwrap().feeds.pop().unwrap();
        let answer = second.process(vec![feed], &Clock::START).unwrap().answer.remove(0);
        answer_batch(&plan, &results.process(answer).unwrap()).unwrap();
    }
}

/// Microseconds from an epoch pushed to it answered, with nothing else under way: on the clock, and of CPU.
fn latency(plan: &Arc<Plan>, workers: usize, epochs: &[Epoch]) -> (f64, f64) {
    let options = Options { workers, mode: Mode::Live, epochs_in_flight: 16 };
    let mut job = Job::start(Arc::clone(plan), options, None).unwrap();
    let (start, cpu) = (Instant::now(), cpu_seconds());
    for epoch in epochs {
        job.push(epoch.clone()).unwrap();
        assert_eq!(job.settle().unwrap().len(), 1);
    }
    let each = |seconds: f64| seconds * 1e6 / epochs.len() as f64;
    (each(start.elapsed().as_secs_f64()), each(cpu_seconds() - cpu))
}

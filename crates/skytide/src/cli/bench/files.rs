//! Files of rows to the answer: read and answered, and answered from memory.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use skytide_connect::run::RunOptions;
use skytide_connect::source::{Next, Source};
use skytide_runtime::{Epoch, Job, Options};
use skytide_timestream::engine::Mode;
use skytide_timestream::plan::{Plan, Results};
use skytide_timestream::rows::Rows;

use super::clock::{ProcessClock, median};
use super::{Discard, line};
use crate::cli::args::{FilesInput, QueryArgs, SocketArgs};
use crate::cli::failure::Failure;
use crate::cli::query::Compiled;
use crate::cli::values::ResultsArg;

/// Answers a query over files, again and again.
pub(super) fn files(input: &FilesInput) -> Result<(), Failure> {
    let query = QueryArgs { query: input.read.query.clone(), lexicons: Vec::new() };
    let compiled = Compiled::over(&query, &input.read.sources, &SocketArgs::default())?;
    let plan = Arc::new(compiled.plan(match input.results {
        ResultsArg::History => Results::history(),
        ResultsArg::Snapshot => Results::snapshot(),
    }));
    let sources = compiled.in_order(&compiled.offers)?;
    let options = RunOptions { workers: input.workers, ..RunOptions::once() };
    let (mut cpu, mut wall, mut rows, mut events) = (Vec::new(), Vec::new(), 0, 0);
    // The first run warms up.
    for run in 0..=input.read.runs.max(1) {
        let (clock, start) = (ProcessClock::start(), Instant::now());
        let mut source = sources.open(&plan, Mode::Once)?;
        let plan = Arc::clone(&plan);
        let outcome = skytide_connect::run::run(plan, &mut source, &mut Discard, &options, |_, _| {})?;
        (rows, events) = (outcome.rows, outcome.source.read);
        if run > 0 {
            cpu.push(clock.seconds());
            wall.push(start.elapsed().as_secs_f64());
        }
    }
    let rate = |seconds: f64| (events as f64 / seconds).round();
    let mut figures = json!({
        "bench": "files",
        "query": input.read.query,
        "events": events,
        "rows": rows,
        "workers": input.workers,
        "events_per_cpu_s": rate(median(&mut cpu)),
        "events_per_s": rate(median(&mut wall)),
        "peak_rss_mib": peak_mib(),
    });
    if !input.stream_only {
        let mut memory = Vec::new();
        let mut source = sources.open(&plan, Mode::Once)?;
        let (mut epochs, mut read) = (Vec::new(), 0);
        loop {
            match source.next(Duration::ZERO)? {
                Next::Epoch(epoch) => {
                    read += epoch.scans.iter().flatten().map(Rows::len).sum::<usize>();
                    epochs.push(epoch);
                }
                Next::Idle => {}
                Next::End => break,
            }
        }
        for _ in 0..input.read.runs.max(1) {
            let clock = ProcessClock::start();
            answer(&plan, &epochs, input.workers)?;
            memory.push(clock.seconds());
        }
        figures["memory_events_per_cpu_s"] = json!((read as f64 / median(&mut memory)).round());
    }
    line(&figures)
}

/// Answers epochs in memory and lets the rows go.
fn answer(plan: &Arc<Plan>, epochs: &[Epoch], workers: usize) -> Result<(), Failure> {
    let options = Options { workers, ..Options::default() };
    let mut job =
        Job::start(Arc::clone(plan), options, None).map_err(skytide_connect::run::RunError::from)?;
    for epoch in epochs {
        job.push(epoch.clone()).map_err(skytide_connect::run::RunError::from)?;
        drop(job.ready().map_err(skytide_connect::run::RunError::from)?);
    }
    drop(job.finish().map_err(skytide_connect::run::RunError::from)?);
    Ok(())
}

/// The most memory that the process has had, where the system tells.
fn peak_mib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib / 1024)
}

//! `skytide bench`: what this machine does, per CPU-second of the thread that does the work.
//!
//! One JSON object a line on stdout, so that figures of peers measured in turn can be set beside them.

mod clock;
mod files;
mod latency;
mod live;
mod read;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use arrow_array::RecordBatch;
use bytes::Bytes;
use serde_json::json;
use skytide_atproto::columns::Clock;
use skytide_connect::firehose::FirehoseSource;
use skytide_connect::frames::Frames;
use skytide_connect::run::RunOptions;
use skytide_connect::sink::{Sink, SinkError};
use skytide_connect::source::{Next, Source};
use skytide_sim::{Config, Network};
use skytide_timestream::plan::{Plan, Results};
use skytide_timestream::rows::Rows;

use self::clock::{CpuClock, median};
use super::args::{Bench, BenchArgs, BenchInput, QueryArgs};
use super::failure::{DATA, Failure};
use super::query::Compiled;
use super::values::ResultsArg;

/// Events of the simulated network where no recording is given.
const SIMULATED: usize = 20_000;

pub(crate) fn bench(args: &BenchArgs) -> Result<(), Failure> {
    match &args.what {
        Bench::Decode(input) => decode(&Prepared::new(input)?),
        Bench::Query(input) => query(&Prepared::new(input)?),
        Bench::Files(input) => files::files(input),
        Bench::Read(input) => read::read(input),
        Bench::Live(input) => live::live(input),
        Bench::Wire(wire) => {
            let prepared = Prepared::new(&wire.input)?;
            wire::throughput(&prepared)?;
            latency::latency(&prepared, wire.rate, Duration::from_secs(wire.seconds.into()))
        }
    }
}

/// A query and frames to measure it with.
struct Prepared<'a> {
    input: &'a BenchInput,
    compiled: Compiled,
    plan: Arc<Plan>,
    frames: Arc<[Bytes]>,
}

impl<'a> Prepared<'a> {
    fn new(input: &'a BenchInput) -> Result<Self, Failure> {
        let query = QueryArgs { query: input.query.clone(), lexicons: Vec::new() };
        let compiled = Compiled::new(&query)?;
        let plan = Arc::new(compiled.plan(match input.results {
            ResultsArg::History => Results::history(),
            ResultsArg::Snapshot => Results::snapshot(),
        }));
        let frames: Vec<Bytes> = match &input.file {
            Some(path) => super::sim::frames(path)?,
            None => Network::new(Config::default()).take(SIMULATED).map(|frame| frame.bytes).collect(),
        };
        if frames.is_empty() {
            return Err(Failure::new(DATA, "there are no frames to measure with"));
        }
        Ok(Self { input, compiled, plan, frames: frames.into() })
    }

    /// The source that the query would have, over frames in memory.
    fn source(&self, frames: Frames) -> Result<FirehoseSource, Failure> {
        Ok(FirehoseSource::new(&self.plan, &self.compiled.catalog, frames, Clock::FrameTime)?)
    }

    fn memory(&self) -> Frames {
        Frames::repeating(Arc::clone(&self.frames)).until(Some(self.input.frames))
    }

    /// Runs it as often as asked and prints the figures: `run` gives CPU seconds and rows.
    fn measure(
        &self,
        bench: &str,
        mut run: impl FnMut() -> Result<(f64, usize), Failure>,
    ) -> Result<f64, Failure> {
        run()?; // warms up
        let mut rates = Vec::with_capacity(self.input.runs);
        let mut rows = 0;
        for _ in 0..self.input.runs.max(1) {
            let (seconds, out) = run()?;
            rates.push(self.input.frames as f64 / seconds);
            rows = out;
        }
        let rate = median(&mut rates);
        let bytes: usize = self.frames.iter().map(Bytes::len).sum();
        let mean = bytes as f64 / self.frames.len() as f64;
        line(&json!({
            "bench": bench,
            "query": self.input.query,
            "frames": self.input.frames,
            "frame_bytes": mean.round(),
            "rows": rows,
            "frames_per_cpu_s": rate.round(),
            "gb_per_cpu_s": (rate * mean / 1e7).round() / 100.0,
            "runs": rates.iter().map(|rate| rate.round()).collect::<Vec<_>>(),
        }))?;
        Ok(rate)
    }
}

/// Frames to columns.
fn decode(prepared: &Prepared<'_>) -> Result<(), Failure> {
    prepared.measure("decode", || {
        let mut source = prepared.source(prepared.memory())?;
        let clock = CpuClock::start();
        let mut rows = 0;
        loop {
            match source.next(Duration::ZERO)? {
                Next::Epoch(epoch) => {
                    rows += epoch.scans.iter().flatten().map(Rows::len).sum::<usize>();
                }
                Next::Idle => {}
                Next::End => break,
            }
        }
        Ok((clock.seconds(), rows))
    })?;
    Ok(())
}

/// Frames to the answer.
fn query(prepared: &Prepared<'_>) -> Result<(), Failure> {
    prepared.measure("query", || {
        let mut source = prepared.source(prepared.memory())?;
        let clock = CpuClock::start();
        let mut sink = Discard;
        let outcome = skytide_connect::run::run(
            Arc::clone(&prepared.plan),
            &mut source,
            &mut sink,
            &RunOptions::once(),
            |_, _| {},
        )?;
        Ok((clock.seconds(), outcome.rows))
    })?;
    Ok(())
}

/// Takes rows and forgets them.
struct Discard;

impl Sink for Discard {
    fn write(&mut self, _: &RecordBatch) -> Result<(), SinkError> {
        Ok(())
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        Ok(())
    }
}

fn line(figures: &serde_json::Value) -> Result<(), Failure> {
    super::print(&format!("{figures}\n"))
}

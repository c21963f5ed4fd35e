//! How long a row that a program pushes takes to the row of its answer, one at a time, beside a loopback echo
//! at the same pace.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arrow_array::RecordBatch;
use arrow_schema::{DataType, Field, Fields};
use bytes::Bytes;
use serde_json::json;
use skytide_connect::run::{RunError, RunOptions};
use skytide_connect::sink::{Ndjson, Sink, SinkError};
use skytide_connect::sources::{Offer, Sources};
use skytide_connect::tables::{Definition, Table, TableError, Value};
use skytide_timestream::engine::Mode;
use skytide_timestream::plan::Results;

use super::clock::ProcessClock;
use super::latency::{echoes, ms, warmed};
use super::line;
use crate::cli::args::LiveInput;
use crate::cli::failure::{DATA, Failure, SOURCE};

/// What is asked: a row for each event, in their order, so that the nth row belongs to the nth event.
const QUERY: &str = "events.with_key(lang).count()";
const KEYS: u64 = 100_000;
const LANGS: u64 = 50;
/// Bytes of an event as it would be sent.
const EVENT_BYTES: usize = 200;

/// When the events that have no row yet were pushed.
type Pushed = Arc<Mutex<VecDeque<Instant>>>;

/// Pushes events one by one at a pace, and measures until their rows are written.
pub(super) fn live(input: &LiveInput) -> Result<(), Failure> {
    let (rate, length) = (input.rate.max(1), Duration::from_secs(input.seconds.into()));
    let events = u64::from(rate) * u64::from(input.seconds);
    let table = Table::new(definition()).map_err(|error| Failure::new(DATA, error.to_string()))?;
    let offer = Offer::Table { table: table.clone(), idle: None };
    let sources = Sources::new(vec![offer]);
    let query = skytide_timestream::compile(QUERY, &sources)
        .map_err(|error| Failure::new(DATA, error.to_string()))?;
    let plan = Arc::new(skytide_timestream::plan(Arc::new(query), Results::history()));
    let mut source = sources.open(&plan, Mode::Live)?;

    let pushed = Pushed::default();
    let mut sink =
        Arrivals { rows: Ndjson::new(std::io::sink()), pushed: Arc::clone(&pushed), samples: Vec::new() };
    let options = RunOptions { limit: usize::try_from(events).ok(), ..RunOptions::live() };
    let stop = options.stop.clone();
    let (clock, start) = (ProcessClock::start(), Instant::now());
    let outcome = std::thread::scope(|scope| {
        let pusher = scope.spawn(|| {
            let pushed = push(&table, &pushed, rate, events, start);
            if pushed.is_err() {
                stop.stop();
            }
            pushed
        });
        let outcome = skytide_connect::run::run(plan, &mut source, &mut sink, &options, |_, _| {});
        let pushed = pusher.join().map_err(|_| Failure::new(SOURCE, "the pushing thread failed"))?;
        pushed.map_err(|error| Failure::new(DATA, error.to_string()))?;
        outcome.map_err(|error: RunError| Failure::from(error))
    })?;
    let (cpu, seconds) = (clock.seconds(), start.elapsed().as_secs_f64());
    let mut rows = warmed(sink.samples);
    let mut echoes = echoes(&[Bytes::from(vec![0; EVENT_BYTES])], rate, length)
        .map_err(|error| Failure::new(SOURCE, format!("loopback echo: {error}")))?;
    line(&json!({
        "bench": "live",
        "query": QUERY,
        "events_per_s": rate,
        "events": events,
        "rows": outcome.rows,
        "rows_per_s": (outcome.rows as f64 / seconds).round(),
        "cpu_of_wall": (cpu / seconds * 1e3).round() / 1e3,
        "row_ms": { "p50": ms(&mut rows, 0.5), "p99": ms(&mut rows, 0.99), "max": ms(&mut rows, 1.0) },
        "echoes_per_s": (echoes.len() as f64 / 0.9 / length.as_secs_f64()).round(),
        "echo_ms": { "p50": ms(&mut echoes, 0.5), "p99": ms(&mut echoes, 0.99), "max": ms(&mut echoes, 1.0) },
    }))
}

fn definition() -> Definition {
    let fields = Fields::from(vec![
        Field::new("ts", DataType::Int64, true),
        Field::new("key", DataType::Utf8, true),
        Field::new("lang", DataType::Utf8, true),
    ]);
    Definition { hides_time: true, keeps: false, ..Definition::new("events", fields, "ts", "key") }
}

/// Pushes each event when it is due, one a call.
fn push(table: &Table, pushed: &Pushed, rate: u32, events: u64, start: Instant) -> Result<(), TableError> {
    for at in 0..events {
        let due = start + Duration::from_secs_f64(at as f64 / f64::from(rate));
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        let row = Value::Record(vec![
            ("ts".into(), Value::Int(at.cast_signed())),
            ("key".into(), Value::Text(format!("did:plc:{:024x}", at.wrapping_mul(7919) % KEYS).into())),
            ("lang".into(), Value::Text(format!("l{:02}", at % LANGS).into())),
        ]);
        pushed.lock().unwrap_or_else(PoisonError::into_inner).push_back(Instant::now());
        table.push_rows(std::slice::from_ref(&row))?;
    }
    Ok(())
}

/// Writes rows as JSON and notes how long ago their events were pushed.
struct Arrivals {
    rows: Ndjson<std::io::Sink>,
    pushed: Pushed,
    samples: Vec<f64>,
}

impl Sink for Arrivals {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), SinkError> {
        self.rows.write(batch)?;
        let now = Instant::now();
        let mut pushed = self.pushed.lock().unwrap_or_else(PoisonError::into_inner);
        let of_rows = pushed.drain(..batch.num_rows());
        self.samples.extend(of_rows.map(|at| now.duration_since(at).as_secs_f64()));
        Ok(())
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        self.rows.finish()
    }
}

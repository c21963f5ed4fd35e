//! How long a frame takes from the server's hand to its row's being written, beside a loopback echo at the same pace.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, RecordBatch};
use bytes::Bytes;
use serde_json::json;
use skytide_connect::frames::Frames;
use skytide_connect::run::RunOptions;
use skytide_connect::sink::{Ndjson, Sink, SinkError};
use skytide_firehose::{Cursor, Subscription};
use skytide_sim::{FrameSource, Pacing, Relay, Replay};
use skytide_timestream::plan::Results;

use super::clock::quantile;
use super::{Prepared, line};
use crate::cli::args::QueryArgs;
use crate::cli::failure::{DATA, Failure, SOURCE};
use crate::cli::query::Compiled;

/// A row for each post and like, which says by its number what frame it came from.
const QUERY: &str = "{ posts: posts.count(), likes: likes.count(), post: posts.seq, like: likes.seq }";
/// This part of the samples comes first and is not counted.
const WARM_UP: f64 = 0.1;

type Sent = Arc<Mutex<HashMap<u64, Instant>>>;

pub(super) fn latency(prepared: &Prepared<'_>, rate: u32, length: Duration) -> Result<(), Failure> {
    let mut rows = rows(prepared, rate, length)?;
    let mut echoes = echoes(&prepared.frames, rate, length)
        .map_err(|error| Failure::new(SOURCE, format!("loopback echo: {error}")))?;
    line(&json!({
        "bench": "latency",
        "frames_per_s": rate,
        "rows": rows.len(),
        "row_ms": { "p50": ms(&mut rows, 0.5), "p99": ms(&mut rows, 0.99), "max": ms(&mut rows, 1.0) },
        "echo_ms": { "p50": ms(&mut echoes, 0.5), "p99": ms(&mut echoes, 0.99), "max": ms(&mut echoes, 1.0) },
    }))
}

pub(super) fn ms(samples: &mut [f64], part: f64) -> f64 {
    (quantile(samples, part) * 1e6).round() / 1e3
}

pub(super) fn warmed(mut samples: Vec<f64>) -> Vec<f64> {
    let skipped = (samples.len() as f64 * WARM_UP) as usize;
    samples.drain(..skipped);
    samples
}

/// Seconds from the moment a frame is handed to the server's socket to its row's being written.
fn rows(prepared: &Prepared<'_>, rate: u32, length: Duration) -> Result<Vec<f64>, Failure> {
    let query = QueryArgs { query: QUERY.to_owned(), lexicons: Vec::new() };
    let compiled = Compiled::new(&query)?;
    let plan = Arc::new(compiled.plan(Results::history()));
    let sent = Sent::default();
    let frames = Stamped { frames: Replay::repeating(prepared.frames.to_vec()), sent: Arc::clone(&sent) };
    let relay = Relay::from_source(frames)
        .pacing(Pacing::Rate(f64::from(rate)))
        .start("127.0.0.1:0")
        .map_err(|error| Failure::new(SOURCE, error.to_string()))?;
    let subscription = Subscription::repos(&relay.url())
        .cursor(Cursor::Live)
        .blocking()
        .map_err(|error| Failure::new(SOURCE, error.to_string()))?;
    let mut source = skytide_connect::firehose::FirehoseSource::new(
        &plan,
        &compiled.catalog,
        Frames::socket(subscription),
        skytide_atproto::columns::Clock::FrameTime,
    )?;
    let mut sink = Arrivals { rows: Ndjson::new(std::io::sink()), sent, samples: Vec::new() };
    let options = RunOptions { duration: Some(length), ..RunOptions::live() };
    skytide_connect::run::run(plan, &mut source, &mut sink, &options, |_, _| {})?;
    if sink.samples.is_empty() {
        return Err(Failure::new(DATA, "no post or like among the frames: no row to measure"));
    }
    Ok(warmed(sink.samples))
}

/// Frames that note when they are handed over.
struct Stamped {
    frames: Replay,
    sent: Sent,
}

impl FrameSource for Stamped {
    fn next_into(&mut self, out: &mut Vec<u8>) -> Option<Option<u64>> {
        let seq = self.frames.next_into(out)?;
        if let Some(seq) = seq {
            self.sent.lock().unwrap_or_else(PoisonError::into_inner).insert(seq, Instant::now());
        }
        Some(seq)
    }
}

/// Writes rows as JSON and notes how long ago their frame was sent.
struct Arrivals {
    rows: Ndjson<std::io::Sink>,
    sent: Sent,
    samples: Vec<f64>,
}

impl Sink for Arrivals {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), SinkError> {
        self.rows.write(batch)?;
        let now = Instant::now();
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        for name in ["post", "like"] {
            let Some(seqs) =
                batch.column_by_name(name).and_then(|column| column.as_primitive_opt::<Int64Type>())
            else {
                continue;
            };
            let seqs = (0..seqs.len()).filter(|row| seqs.is_valid(*row)).map(|row| seqs.value(row));
            let sent = seqs.filter_map(|seq| sent.remove(&seq.cast_unsigned()));
            self.samples.extend(sent.map(|at| now.duration_since(at).as_secs_f64()));
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        self.rows.finish()
    }
}

/// Seconds that a frame's bytes take to an echo on loopback and back, at the same pace.
pub(super) fn echoes(frames: &[Bytes], rate: u32, length: Duration) -> std::io::Result<Vec<f64>> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut stream = TcpStream::connect(listener.local_addr()?)?;
    let (mut peer, _) = listener.accept()?;
    stream.set_nodelay(true)?;
    peer.set_nodelay(true)?;
    let echo = std::thread::spawn(move || -> std::io::Result<()> {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            match peer.read(&mut buffer)? {
                0 => return Ok(()),
                read => peer.write_all(&buffer[..read])?,
            }
        }
    });
    let mut samples = Vec::new();
    let mut back = Vec::new();
    let start = Instant::now();
    for (at, frame) in (0_u32..).zip(frames.iter().cycle()) {
        let due = start + Duration::from_secs(1) * at / rate;
        if due >= start + length {
            break;
        }
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        let sent = Instant::now();
        stream.write_all(frame)?;
        back.resize(frame.len(), 0);
        stream.read_exact(&mut back)?;
        samples.push(sent.elapsed().as_secs_f64());
    }
    drop(stream);
    let _ = echo.join();
    Ok(warmed(samples))
}

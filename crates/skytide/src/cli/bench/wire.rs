//! Frames over a loopback WebSocket to the answer, beside a raw TCP read of the same bytes.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

use bytes::Bytes;
use serde_json::json;
use skytide_connect::frames::Frames;
use skytide_connect::run::RunOptions;
use skytide_firehose::{Cursor, Subscription};
use skytide_sim::{Pacing, Relay, RelayHandle};

use super::clock::{CpuClock, median};
use super::{Discard, Prepared, line};
use crate::cli::failure::{Failure, SOURCE};

/// Bytes asked for in one read of the raw socket.
const READ: usize = 256 * 1024;

/// Both ways in turn, as often as asked: the ratio is that of neighbours in time.
pub(super) fn throughput(prepared: &Prepared<'_>) -> Result<(), Failure> {
    let (mut queries, mut raws, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    let frames = prepared.input.frames as f64;
    for _ in 0..prepared.input.runs.max(1) {
        let raw = frames / raw(prepared).map_err(|error| Failure::new(SOURCE, error.to_string()))?;
        let query = frames / websocket(prepared)?;
        raws.push(raw);
        queries.push(query);
        ratios.push(query / raw);
    }
    line(&json!({
        "bench": "wire",
        "query": prepared.input.query,
        "frames": prepared.input.frames,
        "websocket_to_answer_frames_per_cpu_s": median(&mut queries).round(),
        "raw_tcp_frames_per_cpu_s": median(&mut raws).round(),
        "of_raw_tcp": (median(&mut ratios) * 1000.0).round() / 1000.0,
    }))
}

/// A relay that serves these frames over and over, and a subscription that reads all of them.
pub(super) fn subscribe(frames: &Arc<[Bytes]>, pacing: Pacing) -> Result<(RelayHandle, Frames), Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::new(SOURCE, error.to_string());
    let relay =
        Relay::repeating(frames.to_vec(), pacing).start("127.0.0.1:0").map_err(|error| failed(&error))?;
    let subscription =
        Subscription::repos(&relay.url()).cursor(Cursor::Live).blocking().map_err(|error| failed(&error))?;
    Ok((relay, Frames::socket(subscription)))
}

/// CPU seconds of the thread that receives, decodes and answers.
fn websocket(prepared: &Prepared<'_>) -> Result<f64, Failure> {
    let (_relay, frames) = subscribe(&prepared.frames, Pacing::AsRead)?;
    let mut source = prepared.source(frames.until(Some(prepared.input.frames)))?;
    let clock = CpuClock::start();
    skytide_connect::run::run(
        Arc::clone(&prepared.plan),
        &mut source,
        &mut Discard,
        &RunOptions::once(),
        |_, _| {},
    )?;
    Ok(clock.seconds())
}

/// CPU seconds of a thread that reads the same bytes and does nothing with them.
fn raw(prepared: &Prepared<'_>) -> std::io::Result<f64> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let frames = Arc::clone(&prepared.frames);
    let count = prepared.input.frames;
    let total: u64 = (0..count).map(|at| frames[at as usize % frames.len()].len() as u64).sum();
    let server = std::thread::spawn(move || serve(&listener, &frames, count));
    let mut stream = TcpStream::connect(address)?;
    let mut buffer = vec![0; READ];
    let mut left = total;
    let clock = CpuClock::start();
    while left > 0 {
        match stream.read(&mut buffer)? {
            0 => break,
            read => left -= read as u64,
        }
    }
    let seconds = clock.seconds();
    drop(stream);
    match server.join() {
        Ok(served) => served.map(|()| seconds),
        Err(_) => Err(std::io::Error::other("the raw server failed")),
    }
}

fn serve(listener: &TcpListener, frames: &[Bytes], count: u64) -> std::io::Result<()> {
    let (mut stream, _) = listener.accept()?;
    let mut run = Vec::with_capacity(2 * READ);
    for frame in frames.iter().cycle().take(count as usize) {
        run.extend_from_slice(frame);
        if run.len() >= READ {
            stream.write_all(&run)?;
            run.clear();
        }
    }
    stream.write_all(&run)
}

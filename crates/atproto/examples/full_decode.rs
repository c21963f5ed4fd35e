//! What decoding everything costs: header, payload and every CAR block into `Ipld` by `serde_ipld_dagcbor`.
//!
//! The yardstick of `docs/performance.md`. Usage: `full_decode FRAMES[.zst]`; prints one JSON line. Blocks
//! are found by this crate's own hop, which costs next to nothing, so the yardstick is on the fast side.

#![allow(clippy::print_stdout, reason = "a program that prints a figure")]

use std::hint::black_box;

use ipld_core::ipld::Ipld;
use rustix::time::{ClockId, clock_gettime};
use skytide_atproto::car::Car;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let path = std::env::args().nth(1).ok_or("usage: full_decode FRAMES[.zst]")?;
    let raw = std::fs::read(&path)?;
    let raw = if path.ends_with(".zst") { zstd::decode_all(raw.as_slice())? } else { raw };
    let mut frames = Vec::new();
    let mut rest = raw.as_slice();
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let length = u32::from_le_bytes(*length) as usize;
        let (frame, after) = after.split_at_checked(length).ok_or("the recording is cut off")?;
        frames.push(frame);
        rest = after;
    }
    let mut blocks = 0;
    let mut rates: Vec<f64> = Vec::new();
    for run in 0..6 {
        let start = cpu_seconds();
        let mut decoded = 0;
        while cpu_seconds() - start < 1.0 {
            for frame in &frames {
                blocks += full(frame)?;
            }
            decoded += frames.len();
        }
        if run > 0 {
            rates.push(decoded as f64 / (cpu_seconds() - start));
        }
    }
    rates.sort_by(f64::total_cmp);
    let rate = rates[rates.len() / 2];
    black_box(blocks);
    println!("{{\"bench\":\"full decode by serde_ipld_dagcbor\",\"frames_per_cpu_s\":{rate:.0}}}");
    Ok(())
}

/// CPU time of this thread.
fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// Decodes a frame whole; gives the number of its blocks.
fn full(frame: &[u8]) -> Result<usize, Failure> {
    let mut items = serde_ipld_dagcbor::de::Deserializer::from_slice(frame);
    let _header: Ipld = serde::Deserialize::deserialize(&mut items)?;
    let payload: Ipld = serde::Deserialize::deserialize(&mut items)?;
    let Ipld::Map(payload) = payload else { return Ok(0) };
    let Some(Ipld::Bytes(car)) = payload.get("blocks") else { return Ok(0) };
    let mut blocks = 0;
    for block in Car::parse(car)?.blocks() {
        let (_, bytes) = block?;
        black_box(serde_ipld_dagcbor::from_slice::<Ipld>(bytes)?);
        blocks += 1;
    }
    black_box(payload);
    Ok(blocks)
}

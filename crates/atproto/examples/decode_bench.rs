//! Frames per CPU-second of the query-driven decode: `decode_bench RECORDING [SECONDS [CASE]]`, a recording being
//! plain or zstd repetitions of `[u32 LE length][frame]`. Frames are looped in memory; results are taken every 8192
//! frames.

use std::error::Error;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use skytide_atproto::columns::{Clock, Decoder, PathStep, StreamKind, Wanted, WantedStream};
use skytide_atproto::frame;
use skytide_atproto::message::Action;
use skytide_atproto::records::RecordType;

/// A name, a collection, whether the key is wanted, and the wanted columns.
type Case = (&'static str, &'static str, bool, &'static [&'static [&'static str]]);

const CASES: &[Case] = &[
    ("posts.count()", "app.bsky.feed.post", false, &[]),
    ("posts [record.langs[0]]", "app.bsky.feed.post", false, &[&["record", "langs", "0"]]),
    ("likes [record.subject.uri]", "app.bsky.feed.like", false, &[&["record", "subject", "uri"]]),
    (
        "posts, keyed, six columns",
        "app.bsky.feed.post",
        true,
        &[
            &["seq"],
            &["did"],
            &["rkey"],
            &["record", "text"],
            &["record", "createdAt"],
            &["record", "langs", "0"],
        ],
    ),
    ("posts [record]", "app.bsky.feed.post", false, &[&["record"]]),
];

fn step(step: &str) -> PathStep {
    step.parse().map_or_else(|_| PathStep::Field(step.to_owned()), PathStep::Index)
}

fn decoder((_, collection, keyed, columns): &Case) -> Result<Decoder, Box<dyn Error>> {
    let known = RecordType::by_nsid(collection).ok_or("no such record type")?;
    let stream = WantedStream {
        of: StreamKind::Records {
            collection: (*collection).to_owned(),
            action: Action::Create,
            shape: Arc::clone(&known.shape),
        },
        keyed: *keyed,
        columns: columns.iter().map(|path| path.iter().map(|name| step(name)).collect()).collect(),
        tests: vec![],
    };
    Ok(Decoder::new(&Wanted { streams: vec![stream], clock: Clock::FrameTime })?)
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().ok_or("usage: decode_bench RECORDING [SECONDS]")?;
    let seconds = Duration::from_secs(arguments.next().map_or(Ok(2), |seconds| seconds.parse())?);
    let only = arguments.next();
    let chosen = |name: &str| only.as_ref().is_none_or(|only| name.contains(only));
    let mut bytes = std::fs::read(path)?;
    if bytes.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        bytes = zstd::decode_all(&bytes[..])?;
    }
    let mut frames = Vec::new();
    let mut rest = &bytes[..];
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let (frame, after) = after.split_at(u32::from_le_bytes(*length) as usize);
        frames.push(frame);
        rest = after;
    }
    if chosen("peek") {
        report("peek", frames.len(), seconds, |_| {
            frames.iter().for_each(|frame| {
                black_box(frame::peek(frame).is_ok());
            });
        })?;
    }
    for case in CASES.iter().filter(|case| chosen(case.0)) {
        let mut decoder = decoder(case)?;
        report(case.0, frames.len(), seconds, |round| {
            for frame in &frames {
                black_box(decoder.push(frame, 0).is_ok());
            }
            if round % (8192 / frames.len().max(1)).max(1) == 0 {
                black_box(decoder.take());
            }
        })?;
    }
    Ok(())
}

/// Runs rounds for a while and prints frames per CPU-second.
fn report(
    name: &str,
    frames: usize,
    time: Duration,
    mut round: impl FnMut(usize),
) -> Result<(), Box<dyn Error>> {
    (0..100).for_each(&mut round);
    let (start, cpu) = (Instant::now(), cpu_time()?);
    let mut rounds = 0;
    while start.elapsed() < time {
        (0..100).for_each(|at| round(rounds + at));
        rounds += 100;
    }
    let cpu = cpu_time()? - cpu;
    let rate = (rounds * frames) as f64 / cpu.as_secs_f64();
    let line =
        format!("{name:30} {:6.2} M frames per CPU-second, {:5.0} ns a frame\n", rate / 1e6, 1e9 / rate);
    std::io::Write::write_all(&mut std::io::stdout(), line.as_bytes())?;
    Ok(())
}

/// CPU time of this thread, from the kernel.
fn cpu_time() -> Result<Duration, Box<dyn Error>> {
    let line = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanos = line.split_whitespace().next().ok_or("no CPU time")?;
    Ok(Duration::from_nanos(nanos.parse()?))
}

//! How fast the network is simulated and served: `cargo run --release -p skytide-sim --example speed`.

#![allow(clippy::print_stdout, reason = "a program that prints what it measured")]

use std::collections::BTreeMap;
use std::error::Error;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use skytide_sim::{Config, Network, Pacing, Relay, RelayHandle, SUBSCRIBE_REPOS};

fn main() -> Result<(), Box<dyn Error>> {
    const FRAMES: usize = 20_000;
    let mut network = Network::new(Config::default());
    let first = Instant::now();
    network.next_frame();
    println!("first frame after {:?}", first.elapsed());

    let begun = cpu_seconds()?;
    let frames: Vec<_> = network.take(FRAMES).map(|frame| frame.bytes).collect();
    let took = cpu_seconds()?.of_all - begun.of_all;
    let bytes: usize = frames.iter().map(bytes::Bytes::len).sum();
    println!("simulated: {:.0} frames per CPU-second, {} B a frame", FRAMES as f64 / took, bytes / FRAMES);
    let mut sizes: BTreeMap<usize, usize> = BTreeMap::new();
    for frame in &frames {
        *sizes.entry(frame.len() / 1000).or_default() += 1;
    }
    println!("frames by kB: {sizes:?}");

    let relay =
        Relay::repeating(frames.into_iter().take(1_000).collect(), Pacing::AsRead).start("127.0.0.1:0")?;
    let (begun, cpu) = (Instant::now(), cpu_seconds()?);
    read_for(&relay, Duration::from_secs(3))?;
    let (counters, took, used) = (relay.counters(), begun.elapsed().as_secs_f64(), cpu_seconds()?);
    let serving = (used.of_all - used.of_this) - (cpu.of_all - cpu.of_this);
    let sent = counters.sent as f64;
    println!(
        "served over loopback: {:.0} frames/s, {:.0} per CPU-second of the relay",
        sent / took,
        sent / serving
    );
    Ok(())
}

/// Seconds of processor that this process has used.
struct CpuSeconds {
    of_all: f64,
    /// Of the calling thread.
    of_this: f64,
}

/// From what Linux tells of each thread.
fn cpu_seconds() -> Result<CpuSeconds, Box<dyn Error>> {
    let read = |thread: &Path| -> Result<f64, Box<dyn Error>> {
        let text = std::fs::read_to_string(thread.join("schedstat"))?;
        let nanos: f64 = text.split(' ').next().unwrap_or_default().parse()?;
        Ok(nanos / 1e9)
    };
    let mut of_all = 0.0;
    for thread in std::fs::read_dir("/proc/self/task")? {
        of_all += read(&thread?.path())?;
    }
    Ok(CpuSeconds { of_all, of_this: read(Path::new("/proc/thread-self"))? })
}

/// Subscribes and reads as fast as a socket gives, without looking at what it reads.
fn read_for(relay: &RelayHandle, time: Duration) -> std::io::Result<()> {
    let mut socket = TcpStream::connect(relay.addr())?;
    write!(
        socket,
        "GET {SUBSCRIBE_REPOS} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )?;
    let (begun, mut buffer) = (Instant::now(), vec![0; 1 << 18]);
    while begun.elapsed() < time && socket.read(&mut buffer)? > 0 {}
    Ok(())
}

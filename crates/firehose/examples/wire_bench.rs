//! How fast frames come in: from a recording, and over the loopback, beside what the socket and the WebSocket alone
//! allow.
//!
//! `cargo run --release --example wire_bench -- RECORDING [MILLION_FRAMES [ONLY]]`. The frames of the
//! recording are sent again and again with rising numbers. Figures are for the receiving thread alone: by its
//! own processor time where Linux tells it, by the wall clock elsewhere. The kernel's share of a loopback is
//! partly the sender's.

#![allow(clippy::print_stdout, reason = "this program prints its figures")]

use std::{
    error::Error,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    time::{Duration, Instant},
};

use futures_util::StreamExt;
use skytide_firehose::{Compression, Recorder, Recording, Subscription};
use tokio_tungstenite::tungstenite::{Message, accept, connect};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().ok_or("which recording?")?;
    let millions: f64 = arguments.next().map_or(Ok(1.0), |text| text.parse())?;
    let frames = Recording::open(path)?.collect::<std::result::Result<Vec<_>, _>>()?;
    let loops = ((millions * 1e6 / frames.len() as f64) as u64).max(1);
    let total = loops * frames.len() as u64;
    let wire = Wire::new(frames.iter().map(|frame| &**frame));
    println!("{total} frames of {} bytes on average", wire.bytes.len() / frames.len());

    recordings(&frames.iter().map(|frame| &**frame), total.min(100_000))?;
    report("socket alone", total, || {
        let (address, sender) = wire.clone().serve(loops)?;
        let mut socket = TcpStream::connect(address)?;
        let mut buffer = vec![0; 128 << 10];
        let mut received = 0;
        while received < (wire.bytes.len() as u64) * loops {
            received += socket.read(&mut buffer)? as u64;
        }
        sender.join().map_err(|_| "the sender failed")?
    })?;
    report("tungstenite alone", total, || {
        let (address, sender) = wire.clone().serve_websocket(loops)?;
        let (mut socket, _) = connect(format!("ws://{address}"))?;
        for _ in 0..total {
            match socket.read()? {
                Message::Binary(_) => {}
                other => return Err(format!("received {other}").into()),
            }
        }
        drop(socket);
        sender.join().map_err(|_| "the sender failed")?.ok();
        Ok(())
    })?;
    report("tokio-tungstenite alone", total, || {
        let (address, sender) = wire.clone().serve_websocket(loops)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        runtime.block_on(async {
            let stream = tokio::net::TcpStream::connect(address).await?;
            let (mut socket, _) = tokio_tungstenite::client_async(format!("ws://{address}"), stream).await?;
            for _ in 0..total {
                socket.next().await.ok_or("ended")??;
            }
            Result::Ok(())
        })?;
        sender.join().map_err(|_| "the sender failed")?.ok();
        Ok(())
    })?;
    report("looked at alone", total, || {
        for _ in 0..loops {
            for frame in &frames {
                skytide_atproto::frame::peek(std::hint::black_box(frame))?;
            }
        }
        Ok(())
    })?;
    for size in [16, 64, 256, 1024] {
        report(&format!("batches of up to {size}"), total, || {
            let (address, sender) = wire.clone().serve_websocket(loops)?;
            let mut subscription = Subscription::repos(&format!("ws://{address}")).blocking()?;
            let (mut batch, mut received) = (Vec::new(), 0);
            while received < total {
                received += subscription.next_batch(&mut batch, size)? as u64;
                batch.clear();
            }
            drop(subscription);
            sender.join().map_err(|_| "the sender failed")?.ok();
            Ok(())
        })?;
    }
    report("iterator", total, || {
        let (address, sender) = wire.clone().serve_websocket(loops)?;
        let subscription = Subscription::repos(&format!("ws://{address}")).blocking()?;
        for frame in subscription.take(usize::try_from(total)?) {
            frame?;
        }
        sender.join().map_err(|_| "the sender failed")?.ok();
        Ok(())
    })
}

fn recordings<'a>(frames: &(impl Iterator<Item = &'a [u8]> + Clone), total: u64) -> Result<()> {
    let folder = tempfile::tempdir()?;
    for compression in [Compression::None, Compression::Zstd { level: 3 }] {
        let path = folder.path().join("recording");
        let mut recorder = Recorder::create(&path, compression)?;
        for frame in frames.clone().cycle().take(usize::try_from(total)?) {
            recorder.push(frame)?;
        }
        recorder.finish()?;
        report(&format!("file alone, {compression:?}"), total, || {
            let mut file = std::fs::File::open(&path)?;
            let mut buffer = vec![0; 256 << 10];
            while file.read(&mut buffer)? > 0 {}
            Ok(())
        })?;
        report(&format!("recording, {compression:?}"), total, || {
            let mut recording = Recording::open(&path)?;
            let mut batch = Vec::new();
            while recording.next_batch(&mut batch, 256)? > 0 {
                batch.clear();
            }
            Ok(())
        })?;
    }
    Ok(())
}

fn report(name: &str, frames: u64, work: impl FnOnce() -> Result<()>) -> Result<()> {
    if std::env::args().nth(3).is_some_and(|only| !name.contains(&only)) {
        return Ok(());
    }
    let begun = (Instant::now(), thread_time());
    work()?;
    let took = match (begun.1, thread_time()) {
        (Some(begun), Some(now)) => now.saturating_sub(begun),
        _ => begun.0.elapsed(),
    };
    let nanos = took.as_nanos() as f64 / frames as f64;
    println!("{name:>40} {:>12.0} frames/s  {nanos:>6.0} ns a frame", 1e9 / nanos);
    Ok(())
}

/// The processor time of this thread.
fn thread_time() -> Option<Duration> {
    let schedule = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    schedule.split(' ').next()?.parse().map(Duration::from_nanos).ok()
}

/// Frames as WebSocket messages, ready to be sent, and where their numbers stand.
#[derive(Clone)]
struct Wire {
    bytes: Vec<u8>,
    numbers: Vec<usize>,
}

impl Wire {
    fn new<'a>(frames: impl Iterator<Item = &'a [u8]>) -> Self {
        let (mut bytes, mut numbers) = (Vec::new(), Vec::new());
        for frame in frames {
            bytes.extend([0x82, 127]);
            bytes.extend((frame.len() as u64).to_be_bytes());
            if let Some(at) = frame.windows(5).position(|window| window == b"\x63seq\x1b") {
                numbers.push(bytes.len() + at + 5);
            }
            bytes.extend(frame);
        }
        Self { bytes, numbers }
    }

    fn serve(self, loops: u64) -> Result<(SocketAddr, std::thread::JoinHandle<Result<()>>)> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let sender = std::thread::spawn(move || {
            let (socket, _) = listener.accept()?;
            self.send(socket, loops)
        });
        Ok((address, sender))
    }

    fn serve_websocket(self, loops: u64) -> Result<(SocketAddr, std::thread::JoinHandle<Result<()>>)> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let sender = std::thread::spawn(move || {
            let (socket, _) = listener.accept()?;
            let socket = accept(socket)?;
            self.send(socket.get_ref().try_clone()?, loops)
        });
        Ok((address, sender))
    }

    fn send(mut self, mut socket: TcpStream, loops: u64) -> Result<()> {
        let mut seq = 1_u64 << 33;
        for _ in 0..loops {
            for &at in &self.numbers {
                seq += 1;
                if let Some(number) = self.bytes.get_mut(at..at + 8) {
                    number.copy_from_slice(&seq.to_be_bytes());
                }
            }
            socket.write_all(&self.bytes)?;
        }
        Ok(())
    }
}

//! A stream to rely on: it connects again, keeps its place in a file, skips what is malformed, and tells what
//! it may have missed.
//!
//! `cargo run --example robust -- wss://bsky.network cursor.txt` prints an event a line until Ctrl-C, or so
//! many events as a third argument says. Started again, it goes on where it was.

use std::error::Error;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use skytide::firehose::{Backoff, Cause, Cursor, Event, Finish, Subscription};

/// How often the place is saved: what came since is printed again after a crash.
const EVERY: Duration = Duration::from_secs(1);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let relay = arguments.next().unwrap_or("wss://bsky.network".into());
    let file = PathBuf::from(arguments.next().unwrap_or("cursor.txt".into()));
    let count = arguments.next().map_or(Ok(u64::MAX), |count| count.parse())?;

    let backoff = Backoff::default().first(Duration::from_millis(100)).cap(Duration::from_secs(30));
    let mut frames = Subscription::repos(&relay)
        .cursor(load(&file)?)
        .backoff(backoff)
        .finish(Finish::Told)
        .observe(report)
        .stream()?;
    let handle = frames.handle();
    let stop = handle.clone();
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            stop.stop();
        }
    });

    let ended = print(&mut frames, count, &file).await;
    // However it ended.
    save(&file, handle.cursor())?;
    for gap in handle.ledger().since(0) {
        writeln!(io::stderr(), "gap {}: {}", gap.number, gap.cause)?;
    }
    ended
}

/// Prints events until there were so many, someone says stop, or an error ends the stream.
async fn print(frames: &mut Subscription, count: u64, file: &Path) -> Result<(), Box<dyn Error>> {
    let handle = frames.handle();
    let mut out = io::stdout();
    let mut saved = Instant::now();
    let mut printed = 0;
    while printed < count
        && let Some(frame) = frames.next().await
    {
        let frame = frame?;
        // A remark of the server has no number.
        let Some(seq) = frame.seq else { continue };
        match frame.message() {
            Ok(message) => {
                writeln!(out, "{seq} {:?} {}", frame.kind, message.did().unwrap_or("-"))?;
                printed += 1;
            }
            // The client saw a frame; that it is no message only who reads it can tell.
            Err(error) => {
                let cause = Cause::Quarantined { seq: Some(seq), reason: error.source.to_string() };
                handle.ledger().enter(frame.arrival, cause);
            }
        }
        // Now it need not come again.
        handle.finish(seq);
        if saved.elapsed() >= EVERY {
            save(file, handle.cursor())?;
            saved = Instant::now();
        }
    }
    Ok(())
}

/// Says what happens beside the events.
fn report(event: &Event<'_>) {
    let text = match event {
        Event::Connected { cursor: Some(cursor) } => format!("connected, asking for {cursor} and on"),
        Event::Connected { cursor: None } => "connected, asking for what comes".into(),
        Event::Disconnected { error, retry_in } => format!("{error}; trying again in {retry_in:?}"),
        Event::Quarantined { why, bytes, .. } => format!("skipped {} bytes: {why:?}", bytes.len()),
        other => format!("{other:?}"),
    };
    // Nobody may be listening.
    let _ = writeln!(io::stderr(), "{text}");
}

/// The place saved last. Without one it begins with what comes.
fn load(file: &Path) -> Result<Cursor, Box<dyn Error>> {
    match fs::read_to_string(file) {
        Ok(text) => match text.trim().parse() {
            Ok(seq) => Ok(Cursor::Seq(seq)),
            Err(error) => Err(format!("{}: {error}", file.display()).into()),
        },
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Cursor::Live),
        Err(error) => Err(format!("{}: {error}", file.display()).into()),
    }
}

/// Saves the place. The file is whole at any time: a new one is written beside it and takes its name.
fn save(file: &Path, cursor: Option<u64>) -> io::Result<()> {
    let Some(seq) = cursor else { return Ok(()) };
    let beside = file.with_added_extension("new");
    let mut new = File::create(&beside)?;
    writeln!(new, "{seq}")?;
    new.sync_all()?;
    fs::rename(beside, file)
}

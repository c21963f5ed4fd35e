//! Writes that may wait for a reader for ever, as those to a full pipe that nobody reads: an end that is
//! asked for, once, does not.

use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::failure::Failure;

/// So long a reader is waited for that takes nothing, once the end has been asked for.
const PATIENCE: Duration = Duration::from_secs(5);
/// So often it is looked at.
const LOOK: Duration = Duration::from_millis(100);
/// So much is written at once, as a full pipe has room for when its reader has taken as much: one that takes
/// a kilobyte a second is seen to read.
const PART: usize = 4 << 10;

/// Writes that are going on.
static WAITING: AtomicUsize = AtomicUsize::new(0);
/// Writes that are done.
static DONE: AtomicU64 = AtomicU64::new(0);

/// Writes to someone who may not be reading.
pub(crate) fn waits<T>(write: impl FnOnce() -> T) -> T {
    WAITING.fetch_add(1, Ordering::Relaxed);
    let written = write();
    DONE.fetch_add(1, Ordering::Relaxed);
    WAITING.fetch_sub(1, Ordering::Relaxed);
    written
}

/// What is written to someone who may not be reading.
pub(crate) struct Waits<W>(pub(crate) W);

impl<W: Write> Write for Waits<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let part = &bytes[..bytes.len().min(PART)];
        waits(|| self.0.write(part))
    }

    fn flush(&mut self) -> io::Result<()> {
        waits(|| self.0.flush())
    }
}

/// Ends the process where a write waits that nobody takes anything of, after the end was asked for; `asked`
/// gives the exit code then.
pub(crate) fn watch(asked: impl Fn() -> Option<u8>) {
    let (mut done, mut since) = (0, Instant::now());
    loop {
        std::thread::sleep(LOOK);
        let done_now = DONE.load(Ordering::Relaxed);
        let code = asked().filter(|_| WAITING.load(Ordering::Relaxed) > 0 && done_now == done);
        let Some(code) = code else {
            (done, since) = (done_now, Instant::now());
            continue;
        };
        if since.elapsed() >= PATIENCE {
            // Stderr may be what nobody reads.
            let seconds = PATIENCE.as_secs();
            let message =
                format!("nobody has read the output for {seconds} s: ended, the rest of it is not written");
            std::thread::spawn(move || Failure::new(code, message).report());
            std::thread::sleep(LOOK);
            std::process::exit(code.into());
        }
    }
}

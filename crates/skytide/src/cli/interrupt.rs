//! Ctrl-C, and what else asks a program to end (SIGTERM; SIGHUP, where its terminal closes): the first asks the work to end with what
//! it has, the second ends the process.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use skytide_connect::run::Stop;

use super::failure::{Failure, INTERRUPTED};

/// Whether the user has asked the program to end.
#[derive(Clone)]
pub(crate) struct Interrupt {
    seen: Arc<AtomicBool>,
    stop: Stop,
}

impl Interrupt {
    /// Listens from now on. A signal stops what listens to [`Interrupt::stop`]; a second one ends the process.
    pub(crate) fn listen() -> Result<Self, Failure> {
        let seen = Arc::new(AtomicBool::new(false));
        let stop = Stop::default();
        let failed = |error: std::io::Error| Failure::new(super::failure::DATA, format!("signals: {error}"));
        let hangup = Some(SIGHUP).filter(|_| heeds_hangup());
        for signal in [SIGINT, SIGTERM].into_iter().chain(hangup) {
            // Order matters: the second signal finds the flag set and ends the process.
            signal_hook::flag::register_conditional_shutdown(signal, INTERRUPTED.into(), Arc::clone(&seen))
                .map_err(failed)?;
            signal_hook::flag::register(signal, Arc::clone(&seen)).map_err(failed)?;
            signal_hook::flag::register(signal, stop.flag()).map_err(failed)?;
        }
        Ok(Self { seen, stop })
    }

    /// What the work looks at.
    pub(crate) fn stop(&self) -> Stop {
        self.stop.clone()
    }

    /// Whether a signal came.
    pub(crate) fn seen(&self) -> bool {
        self.seen.load(Ordering::Acquire)
    }

    /// The end of a command: what was done is out, and the exit code says if it was cut short.
    pub(crate) fn end(&self) -> Result<(), Failure> {
        if self.seen() {
            Err(Failure::new(INTERRUPTED, "interrupted; what was done is written"))
        } else {
            Ok(())
        }
    }
}

/// Whether a terminal that closes is to end the program: not where it was started to stay (`nohup`), nor where that cannot be told.
fn heeds_hangup() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    ignored.is_some_and(|mask| mask >> (SIGHUP - 1) & 1 == 0)
}

//! Ctrl-C, and what else asks a program to end (SIGTERM; SIGHUP, where its terminal closes): the first asks
//! the work to end with what it has, the second ends the process. So does time where what is left cannot be
//! written, since nobody reads it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
use skytide_connect::run::Stop;

use super::failure::{DATA, Failure, INTERRUPTED};
use super::waiting;

/// Whether the user has asked the program to end.
#[derive(Clone)]
pub(crate) struct Interrupt {
    seen: Arc<AtomicBool>,
    stop: Stop,
    /// When the work is to end by itself.
    ends: Arc<OnceLock<Instant>>,
}

impl Interrupt {
    /// Listens from now on. A signal stops what listens to [`Interrupt::stop`]; a second one ends the process.
    pub(crate) fn listen() -> Result<Self, Failure> {
        let seen = Arc::new(AtomicBool::new(false));
        let stop = Stop::default();
        let ends = Arc::new(OnceLock::new());
        let failed = |error: std::io::Error| Failure::new(DATA, format!("signals: {error}"));
        let hangup = Some(SIGHUP).filter(|_| heeds_hangup());
        for signal in [SIGINT, SIGTERM].into_iter().chain(hangup) {
            // Order matters: the second signal finds the flag set and ends the process.
            signal_hook::flag::register_conditional_shutdown(signal, INTERRUPTED.into(), Arc::clone(&seen))
                .map_err(failed)?;
            signal_hook::flag::register(signal, Arc::clone(&seen)).map_err(failed)?;
            signal_hook::flag::register(signal, stop.flag()).map_err(failed)?;
        }
        // A file that grows beyond what the system allows (`ulimit -f`) is an error of who writes it, which
        // is told; unheard, the signal ends the process.
        signal_hook::flag::register(SIGXFSZ, Arc::default()).map_err(failed)?;
        let this = Self { seen, stop, ends };
        let watched = this.clone();
        let watcher = std::thread::Builder::new().name("end".to_owned());
        watcher.spawn(move || waiting::watch(|| watched.asked())).map_err(failed)?;
        Ok(this)
    }

    /// The work ends by itself after so long.
    pub(crate) fn ends_after(&self, duration: Option<Duration>) {
        if let Some(end) = duration.and_then(|duration| Instant::now().checked_add(duration)) {
            self.ends.get_or_init(|| end);
        }
    }

    /// Whether the work is to have ended by now, and with what exit code where it cannot.
    fn asked(&self) -> Option<u8> {
        let is_over = || self.ends.get().is_some_and(|end| *end <= Instant::now());
        if self.seen() { Some(INTERRUPTED) } else { is_over().then_some(DATA) }
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

/// Whether a terminal that closes is to end the program: not where it was started to stay (`nohup`), nor
/// where that cannot be told.
fn heeds_hangup() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    ignored.is_some_and(|mask| mask >> (SIGHUP - 1) & 1 == 0)
}

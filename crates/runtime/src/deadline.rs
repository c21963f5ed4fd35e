//! When a job that was asked to end is cut short.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use skytide_timestream::engine::Watch;

use crate::station::lock;

/// When a job that was asked to end is cut short: what it is at has some time to be done, so that what is
/// quick is answered whole.
///
/// Nobody waits for it: the workers look themselves. A job that is dropped, or whose answer nobody will take, is left
/// at once.
#[derive(Debug)]
pub struct Deadline {
    began: Instant,
    asked: Arc<AtomicBool>,
    at: Option<Instant>,
    grace: Duration,
    /// Since when an end is asked for, as the work at hand saw it.
    since: Mutex<Option<Instant>>,
    /// Nobody will take what the work gives, as who would take it says.
    left: Arc<AtomicBool>,
    /// The job is gone. That is not what `left` says: what it gave before may still be taken.
    is_gone: AtomicBool,
}

impl Deadline {
    /// An end is asked for by `asked`, or at a moment; what is not done `grace` later is left.
    #[must_use]
    pub fn new(asked: Arc<AtomicBool>, at: Option<Instant>, grace: Duration) -> Self {
        let (since, left, is_gone) = (Mutex::default(), Arc::default(), AtomicBool::new(false));
        Self { began: Instant::now(), asked, at, grace, since, left, is_gone }
    }

    /// Nothing is waited for where this says that nobody will take the answer; dropping the job says so, too.
    #[must_use]
    pub fn left_by(self, left: Arc<AtomicBool>) -> Self {
        Self { left, ..self }
    }

    /// The job is dropped.
    pub(crate) fn leave(&self) {
        self.is_gone.store(true, Ordering::Release);
    }

    /// Other work begins, to which the whole time is given.
    pub(crate) fn begin(&self) {
        *lock(&self.since) = None;
    }
}

impl Watch for Deadline {
    fn is_due(&self) -> bool {
        if self.left.load(Ordering::Acquire) || self.is_gone.load(Ordering::Acquire) {
            return true;
        }
        let is_asked = self.asked.load(Ordering::Acquire) || self.at.is_some_and(|at| Instant::now() >= at);
        is_asked && lock(&self.since).get_or_insert_with(Instant::now).elapsed() >= self.grace
    }

    fn time(&self) -> Duration {
        self.began.elapsed()
    }
}

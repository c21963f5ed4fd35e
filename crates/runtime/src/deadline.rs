//! When a job that was asked to end is cut short.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use skytide_timestream::engine::Watch;

use crate::station::lock;

/// When a job that was asked to end is cut short: what it is at has some time to be done, so that what is
/// quick is answered whole.
///
/// Nobody waits for it: the workers look themselves.
#[derive(Debug)]
pub struct Deadline {
    began: Instant,
    asked: Arc<AtomicBool>,
    at: Option<Instant>,
    grace: Duration,
    /// Since when an end is asked for, as the work at hand saw it.
    since: Mutex<Option<Instant>>,
}

impl Deadline {
    /// An end is asked for by `asked`, or at a moment; what is not done `grace` later is left.
    #[must_use]
    pub fn new(asked: Arc<AtomicBool>, at: Option<Instant>, grace: Duration) -> Self {
        Self { began: Instant::now(), asked, at, grace, since: Mutex::default() }
    }

    /// Other work begins, to which the whole time is given.
    pub(crate) fn begin(&self) {
        *lock(&self.since) = None;
    }
}

impl Watch for Deadline {
    fn is_due(&self) -> bool {
        let is_asked = self.asked.load(Ordering::Acquire) || self.at.is_some_and(|at| Instant::now() >= at);
        is_asked && lock(&self.since).get_or_insert_with(Instant::now).elapsed() >= self.grace
    }

    fn time(&self) -> Duration {
        self.began.elapsed()
    }
}

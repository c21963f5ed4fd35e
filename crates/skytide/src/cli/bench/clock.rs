//! CPU time of this thread, and medians.

use rustix::time::{ClockId, clock_gettime};

/// Counts the CPU time that this thread uses, in user code and in the kernel for it.
pub(super) struct CpuClock(f64);

impl CpuClock {
    pub(super) fn start() -> Self {
        Self(now())
    }

    pub(super) fn seconds(&self) -> f64 {
        (now() - self.0).max(1e-9)
    }
}

/// Counts the CPU time that all threads of the process use.
pub(super) struct ProcessClock(f64);

impl ProcessClock {
    pub(super) fn start() -> Self {
        Self(time(ClockId::ProcessCPUTime))
    }

    pub(super) fn seconds(&self) -> f64 {
        (time(ClockId::ProcessCPUTime) - self.0).max(1e-9)
    }
}

fn now() -> f64 {
    time(ClockId::ThreadCPUTime)
}

fn time(clock: ClockId) -> f64 {
    let time = clock_gettime(clock);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// The value in the middle; sorts.
pub(super) fn median(values: &mut [f64]) -> f64 {
    quantile(values, 0.5)
}

/// The value below which this part of them lies; sorts.
pub(super) fn quantile(values: &mut [f64], part: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let last = values.len().saturating_sub(1);
    values.get((last as f64 * part).round() as usize).copied().unwrap_or(f64::NAN)
}

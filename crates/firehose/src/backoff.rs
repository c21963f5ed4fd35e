//! How long to wait before the next attempt to connect.

use std::time::Duration;

/// The wait before a reconnect: it grows with each failure in a row, and is spread so that many clients that
/// lost the same server do not come back in one moment. A frame that moves the cursor ends the row: a server
/// that accepts and drops without one is waited for ever longer.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Backoff {
    /// The wait after the first failure.
    pub first: Duration,
    /// Each further failure multiplies the wait by this (values below 1 count as 1).
    pub factor: f64,
    /// No wait is longer than this, but where a server asks for a longer one.
    pub cap: Duration,
    /// The part of the wait that is drawn by chance, from 0 (none) to 1 (anything between no wait and the full one).
    pub jitter: f64,
    /// A connection that lasted this long proves the server healthy, also without a frame: the next failure
    /// counts as the first again.
    pub healthy_after: Duration,
    /// The attempts to connect in a row that may fail before the subscription ends with [`Error::GaveUp`]; `None`
    /// goes on for ever.
    ///
    /// [`Error::GaveUp`]: crate::Error::GaveUp
    pub limit: Option<u32>,
}

impl Default for Backoff {
    /// 1 s, doubled up to a minute, half of it drawn by chance; healthy after a minute; no limit.
    fn default() -> Self {
        Self {
            first: Duration::from_secs(1),
            factor: 2.0,
            cap: Duration::from_secs(60),
            jitter: 0.5,
            healthy_after: Duration::from_secs(60),
            limit: None,
        }
    }
}

impl Backoff {
    /// Sets the wait after the first failure.
    #[must_use]
    pub fn first(mut self, first: Duration) -> Self {
        self.first = first;
        self
    }

    /// Sets what each further failure multiplies the wait by.
    #[must_use]
    pub fn factor(mut self, factor: f64) -> Self {
        self.factor = factor;
        self
    }

    /// Sets the longest wait.
    #[must_use]
    pub fn cap(mut self, cap: Duration) -> Self {
        self.cap = cap;
        self
    }

    /// Sets the part that is drawn by chance, from 0 to 1.
    #[must_use]
    pub fn jitter(mut self, jitter: f64) -> Self {
        self.jitter = jitter;
        self
    }

    /// Sets how long a connection without a frame lasts before the server counts as healthy.
    #[must_use]
    pub fn healthy_after(mut self, healthy_after: Duration) -> Self {
        self.healthy_after = healthy_after;
        self
    }

    /// Sets how many attempts to connect in a row may fail; `None` goes on for ever.
    #[must_use]
    pub fn limit(mut self, limit: impl Into<Option<u32>>) -> Self {
        self.limit = limit.into();
        self
    }

    /// The wait after `failures` failures in a row (from 1), where `chance` is drawn evenly from 0 to 1.
    #[must_use]
    pub fn delay(&self, failures: u32, chance: f64) -> Duration {
        let exponent = i32::try_from(failures.saturating_sub(1)).unwrap_or(i32::MAX);
        // What is not a number comes out as the cap. No wait at all stays none, however often.
        let factor = self.factor.max(1.0).powi(exponent).min(f64::MAX);
        let cap = self.cap.as_secs_f64();
        let whole = (self.first.as_secs_f64() * factor).min(cap);
        let drawn = self.jitter.clamp(0.0, 1.0) * chance.clamp(0.0, 1.0);
        Duration::try_from_secs_f64(whole * (1.0 - drawn)).unwrap_or(self.cap)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn grows_to_the_cap() {
        let backoff = Backoff::default().first(Duration::from_millis(100)).cap(Duration::from_millis(500));
        let millis = |failures| backoff.delay(failures, 0.0).as_millis();
        assert_eq!([1, 2, 3, 4, 5, u32::MAX].map(millis), [100, 200, 400, 500, 500, 500]);
        assert_eq!(Backoff::default().first(Duration::ZERO).delay(u32::MAX, 0.0), Duration::ZERO);
    }

    #[test]
    fn chance_takes_away_at_most_the_jitter() {
        let backoff = Backoff::default().jitter(0.5);
        assert_eq!(backoff.delay(1, 0.0), Duration::from_secs(1));
        assert_eq!(backoff.delay(1, 1.0), Duration::from_millis(500));
    }

    proptest! {
        #[test]
        fn no_setting_panics_or_passes_the_cap(
            first in 0u64..u64::MAX, cap in 0u64..1 << 53, factor: f64, jitter: f64, chance: f64, failures: u32,
        ) {
            let cap = Duration::from_millis(cap);
            let backoff = Backoff::default().first(Duration::from_millis(first)).cap(cap).factor(factor).jitter(jitter);
            prop_assert!(backoff.delay(failures, chance).as_secs_f64() <= cap.as_secs_f64() * 1.000_001);
        }
    }
}

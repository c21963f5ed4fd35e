//! Which keys have a tick at a boundary (SEMANTICS 5.6).

use arrow_buffer::BooleanBuffer;

use super::array::fill;
use super::error::EngineError;
use crate::held::Held;
use crate::plan::Ticks;

/// The ticks to come of one of a region's tick inputs.
pub(super) struct Schedule {
    ticks: Ticks,
    /// By key: how many ticks are left to it.
    left: Vec<u32>,
    /// The keys to which any are left.
    active: Vec<u32>,
    /// The boundary of the next; none where no key has any left.
    next: Option<i64>,
}

impl Schedule {
    pub(super) fn new(ticks: Ticks) -> Self {
        Self { ticks, left: Vec::new(), active: Vec::new(), next: None }
    }

    pub(super) fn ticks(&self) -> &Ticks {
        &self.ticks
    }

    pub(super) fn next(&self) -> Option<i64> {
        self.next
    }

    /// The keys that have a tick at the next boundary by what was noted up to now, in any order.
    pub(super) fn due(&self) -> &[u32] {
        &self.active
    }

    /// The boundary of the interval that holds a time.
    pub(super) fn boundary(&self, time: i64) -> Option<i64> {
        self.ticks.calendar.at_or_after(time)
    }

    /// Notes points of keys, all in the interval up to a boundary.
    pub(super) fn note(
        &mut self,
        boundary: Option<i64>,
        known: usize,
        keys: &[u32],
        present: Option<&BooleanBuffer>,
    ) {
        fill(&mut self.left, known, 0);
        let all = self.ticks.intervals.saturating_add(1);
        let mut note = |key: u32| {
            let left = &mut self.left[key as usize];
            if *left == 0 {
                self.active.push(key);
            }
            *left = all;
        };
        match present {
            None => keys.iter().for_each(|key| note(*key)),
            Some(present) => present.set_indices().for_each(|row| note(keys[row])),
        }
        // Beyond the last boundary there is none.
        if boundary.is_none() {
            self.active.drain(..).for_each(|key| self.left[key as usize] = 0);
        }
        if self.next.is_none() && !self.active.is_empty() {
            self.next = boundary;
        }
    }

    /// Goes on to the boundary after the next, whose ticks are made: those of the keys that are due.
    pub(super) fn fire(&mut self) {
        self.active.retain(|key| {
            let left = &mut self.left[*key as usize];
            *left -= 1;
            *left > 0
        });
        self.next =
            self.next.filter(|_| !self.active.is_empty()).and_then(|at| self.ticks.calendar.after(at));
        if self.next.is_none() {
            self.active.drain(..).for_each(|key| self.left[key as usize] = 0);
        }
    }

    /// How many ticks are left to these keys.
    pub(super) fn save(&self, keys: &[u32]) -> Vec<u32> {
        keys.iter().map(|key| self.left.get(*key as usize).copied().unwrap_or(0)).collect()
    }

    /// Takes up what [`Self::save`] gave for keys that have none left, and the boundary of the next.
    ///
    /// # Errors
    /// More are left than can be.
    pub(super) fn load(
        &mut self,
        keys: &[u32],
        known: usize,
        left: &[u32],
        next: Option<i64>,
    ) -> Result<(), EngineError> {
        fill(&mut self.left, known, 0);
        for (key, left) in keys.iter().zip(left) {
            if *left > self.ticks.intervals.saturating_add(1) {
                return Err(EngineError::mismatch("ticks", self.ticks.intervals + 1, left));
            }
            self.left[*key as usize] = *left;
            if *left > 0 {
                self.active.push(*key);
            }
        }
        // Shards come from several workers, of which some have no ticks to come.
        if left.iter().any(|left| *left > 0) {
            self.next = self.next.into_iter().chain(next).min();
        }
        Ok(())
    }

    /// The keys to which ticks are left, and what that takes.
    pub(super) fn holds(&self) -> Held {
        let bytes = (self.left.capacity() + self.active.capacity()) * 4;
        Held { keys: self.active.len(), points: 0, bytes }
    }
}

//! What a network was told to do and did: written down, so that whoever reads the stream can be held against it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::act::Act;
use super::odd::ActKind;

/// An act that was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActEntry {
    /// What was done.
    pub act: Act,
    /// Which frame of the stream it is, the first being number 1; of an act of several frames the first of them.
    pub frame: u64,
    /// The frame's sequence number; none for an `#info`.
    pub seq: Option<u64>,
    /// The account that did it; none for an `#info`.
    pub did: Option<String>,
    /// The revision of the commit that was never sent, where there is one.
    pub unsent: Option<String>,
}

/// The acts of a network, in their order. A clone reads the same log, also after the network was moved into a
/// relay and to another thread.
#[derive(Debug, Clone, Default)]
pub struct ActLog(Arc<Mutex<Entries>>);

#[derive(Debug, Default)]
struct Entries {
    newest: VecDeque<ActEntry>,
    counts: [u64; ActKind::ALL.len()],
}

impl ActLog {
    /// How many entries are kept: the newest ones. All are counted.
    pub const LIMIT: usize = 1 << 16;

    /// The entries that are kept, the oldest first.
    pub fn entries(&self) -> Vec<ActEntry> {
        self.lock().newest.iter().cloned().collect()
    }

    /// How many acts of a kind were done, also those that are no longer kept.
    pub fn count(&self, kind: ActKind) -> u64 {
        self.lock().counts[kind as usize]
    }

    /// How many acts of each kind were done.
    pub fn counts(&self) -> [(ActKind, u64); ActKind::ALL.len()] {
        let entries = self.lock();
        ActKind::ALL.map(|kind| (kind, entries.counts[kind as usize]))
    }

    /// How many acts were done.
    pub fn total(&self) -> u64 {
        self.lock().counts.iter().sum()
    }

    pub(super) fn add(&self, entry: ActEntry) {
        let mut entries = self.lock();
        entries.counts[entry.act.kind() as usize] += 1;
        if entries.newest.len() == Self::LIMIT {
            entries.newest.pop_front();
        }
        entries.newest.push_back(entry);
    }

    /// Each change is whole before anything can panic, so a poisoned lock is as good as another.
    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_are_kept_and_all_are_counted() {
        let log = ActLog::default();
        let reader = log.clone();
        let more = 10;
        for frame in 1..=(ActLog::LIMIT + more) as u64 {
            let act = if frame % 2 == 0 { Act::Sync } else { Act::Time(crate::Absurd::Past) };
            log.add(ActEntry { act, frame, seq: None, did: None, unsent: None });
        }
        let entries = reader.entries();
        assert_eq!((entries.len(), entries[0].frame), (ActLog::LIMIT, 1 + more as u64));
        let half = ((ActLog::LIMIT + more) / 2) as u64;
        assert_eq!((reader.count(ActKind::Sync), reader.count(ActKind::Time)), (half, half));
        assert_eq!(reader.counts().iter().map(|(_, count)| count).sum::<u64>(), reader.total());
        assert_eq!(reader.total(), 2 * half);
    }
}

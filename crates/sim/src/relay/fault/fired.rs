//! What has fired: the latest faults one by one, all of them by kind.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::ops::RangeInclusive;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Fault, FaultKind};

/// A fault that fired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fired {
    /// What, with everything that was drawn or cut to size filled in: the bytes that were really sent.
    pub fault: Fault,
    /// The connection, counted from one over all that were made to the address; none for a fault of the whole stream.
    pub connection: Option<u64>,
    /// Path of the stream; none where the connection ended before it asked for one.
    pub stream: Option<&'static str>,
    /// The frame it fired at; none for faults of a connect.
    pub frame: Option<FiredAt>,
    /// The numbers, from the first to the last, of the frames that were lost by a gap or sent again as
    /// duplicates or at a seam.
    pub seqs: Option<RangeInclusive<u64>>,
}

/// The frame a fault fired at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FiredAt {
    /// Which frame of the stream, from one.
    pub of_stream: u64,
    /// Which frame of the connection, from one; none for a fault of the whole stream.
    pub of_connection: Option<u64>,
    /// Its sequence number, if it has one; of an event its time in microseconds.
    pub seq: Option<u64>,
}

impl Fired {
    /// What kind of fault it was.
    #[must_use]
    pub fn kind(&self) -> FaultKind {
        self.fault.kind()
    }
}

/// One line: `connection 3, frame 120 (seq 4711): reset after 33 bytes`.
impl fmt::Display for Fired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.connection {
            Some(connection) => write!(f, "connection {connection}")?,
            None => f.write_str(self.stream.unwrap_or("stream"))?,
        }
        if let Some(frame) = &self.frame {
            write!(f, ", frame {}", frame.of_stream)?;
            if let Some(seq) = frame.seq {
                write!(f, " (seq {seq})")?;
            }
        }
        write!(f, ": {}", self.fault)?;
        if let Some(seqs) = &self.seqs {
            write!(f, ", seq {} to {}", seqs.start(), seqs.end())?;
        }
        Ok(())
    }
}

/// Faults that fired, as they are entered by the relay's thread and read by others.
#[derive(Debug, Default)]
pub(in crate::relay) struct Log(Mutex<Entries>);

#[derive(Debug, Default)]
struct Entries {
    latest: VecDeque<Fired>,
    counts: BTreeMap<FaultKind, u64>,
}

impl Log {
    /// How many are kept one by one.
    pub(in crate::relay) const KEPT: usize = 10_000;

    pub(in crate::relay) fn enter(&self, fired: Fired) {
        tracing::debug!(%fired, "fault");
        let entries = &mut *self.entries();
        *entries.counts.entry(fired.kind()).or_default() += 1;
        if entries.latest.len() == Self::KEPT {
            entries.latest.pop_front();
        }
        entries.latest.push_back(fired);
    }

    pub(in crate::relay) fn latest(&self) -> Vec<Fired> {
        self.entries().latest.iter().cloned().collect()
    }

    pub(in crate::relay) fn counts(&self) -> BTreeMap<FaultKind, u64> {
        self.entries().counts.clone()
    }

    /// Entries are whole after every statement, so a panic elsewhere leaves them good.
    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! What a job has done, in numbers.

use std::sync::Arc;

/// What a job has done since it started.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Epochs answered.
    pub epochs: u64,
    /// Rows of the answer given out.
    pub rows_out: u64,
    /// Time of the newest event, UTC nanoseconds; none before the first.
    pub newest: Option<i64>,
    /// Each region of the plan, over all workers.
    pub regions: Vec<RegionReport>,
    /// Each worker, over all regions.
    pub workers: Vec<WorkerReport>,
    /// Bytes of state held for the results: a row a key for a snapshot.
    pub result_bytes: usize,
}

/// What the operators of a region have done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RegionReport {
    /// Name of the grouping.
    pub grouping: Arc<str>,
    /// Rows taken, over all inputs.
    pub rows_in: u64,
    /// Rows handed to later regions and to the answer.
    pub rows_out: u64,
    /// Keys that state is held for.
    pub keys: usize,
    /// Bytes of that state.
    pub state_bytes: usize,
    /// Whole-number results beyond their type, which became null (SEMANTICS 2.3).
    pub overflows: u64,
    /// Values that did not fit their type, which became null (SEMANTICS 2.6).
    pub misfits: u64,
    /// Points that would have moved back in time, or nowhere, and were dropped (SEMANTICS 6.1).
    pub moved_back: u64,
    /// Points that are held until a condition is true of their key; at the end they are dropped.
    pub held: u64,
}

/// What a worker has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WorkerReport {
    /// Batches of rows taken by the regions' operators; an epoch without rows for a worker is none.
    pub batches: u64,
    /// Rows in them.
    pub rows: u64,
}

impl Report {
    /// Whole-number results beyond their type, over all regions.
    #[must_use]
    pub fn overflows(&self) -> u64 {
        self.regions.iter().map(|region| region.overflows).sum()
    }

    /// Values that did not fit their type, over all regions.
    #[must_use]
    pub fn misfits(&self) -> u64 {
        self.regions.iter().map(|region| region.misfits).sum()
    }

    /// Points that would have moved back in time, or nowhere, over all regions.
    #[must_use]
    pub fn moved_back(&self) -> u64 {
        self.regions.iter().map(|region| region.moved_back).sum()
    }

    /// Points that are held until a condition is true of their key, over all regions.
    #[must_use]
    pub fn held(&self) -> u64 {
        self.regions.iter().map(|region| region.held).sum()
    }

    /// Bytes of state, over all operators.
    #[must_use]
    pub fn state_bytes(&self) -> usize {
        self.result_bytes + self.regions.iter().map(|region| region.state_bytes).sum::<usize>()
    }
}

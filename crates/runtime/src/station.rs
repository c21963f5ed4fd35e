//! The operators of all workers, where both their worker and the caller can reach them.
//!
//! A worker locks its operator for an epoch; the caller does so for a report, a checkpoint or a restore, when
//! the job is settled or has not begun. So state needs no messages between threads to be read.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use skytide_timestream::engine::{Clock, Emitted, EngineError, RegionOperator};
use skytide_timestream::plan::Plan;
use skytide_timestream::rows::Rows;

use crate::report::{RegionReport, WorkerReport};

/// A region's operator at one worker, with what it has done.
pub(crate) struct Station {
    /// The operator.
    pub(crate) operator: RegionOperator,
    /// Rows and batches taken.
    taken: WorkerReport,
    rows_out: u64,
    overflows: u64,
    misfits: u64,
    moved_back: u64,
}

/// A station that its worker and the caller share.
pub(crate) type Shared = Arc<Mutex<Station>>;

impl Station {
    /// A region's operator without state.
    pub(crate) fn new(plan: &Arc<Plan>, region: usize) -> Result<Shared, EngineError> {
        let operator = RegionOperator::new(Arc::clone(plan), region)?;
        let taken = WorkerReport::default();
        Ok(Arc::new(Mutex::new(Self {
            operator,
            taken,
            rows_out: 0,
            overflows: 0,
            misfits: 0,
            moved_back: 0,
        })))
    }

    /// Runs the operator over an epoch; nothing at all where there are no rows, unless time alone makes it give some.
    pub(crate) fn process(
        &mut self,
        inputs: Vec<Vec<Rows>>,
        clock: &Clock,
    ) -> Result<Option<Emitted>, EngineError> {
        let rows: usize = inputs.iter().flatten().map(Rows::len).sum();
        if rows == 0 && !self.operator.heeds_time() {
            return Ok(None);
        }
        self.taken.batches += u64::from(rows > 0);
        self.taken.rows += rows as u64;
        let emitted = self.operator.process(inputs, clock)?;
        let out = emitted.feeds.iter().flatten().chain(&emitted.answer);
        self.rows_out += out.map(|rows| rows.len() as u64).sum::<u64>();
        self.overflows += emitted.overflows;
        self.misfits += emitted.misfits;
        self.moved_back += emitted.moved_back;
        Ok(Some(emitted))
    }

    /// Counts what of its constants did not fit: of a run once, by one of its workers.
    pub(crate) const fn count_constants(&mut self) {
        let (overflows, misfits) = self.operator.unfit_constants();
        self.overflows += overflows;
        self.misfits += misfits;
    }

    /// Adds what it has done to its region's and its worker's.
    pub(crate) fn report(&self, region: &mut RegionReport, worker: &mut WorkerReport) {
        region.rows_in += self.taken.rows;
        region.rows_out += self.rows_out;
        for (part, (_, held)) in region.parts.iter_mut().zip(self.operator.holds()) {
            part.held += held;
        }
        region.overflows += self.overflows;
        region.misfits += self.misfits;
        region.moved_back += self.moved_back;
        region.held += self.operator.held() as u64;
        worker.batches += self.taken.batches;
        worker.rows += self.taken.rows;
    }
}

/// The lock of a mutex, whether or not a thread panicked with it: the panic is reported on its own way.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

//! The operator of a region: joins its inputs into rows, computes every step at every row, hands on what
//! later regions read.
//!
//! One epoch is one call. Registers are Arrow arrays or constants, masks are bitmaps or known to be all or
//! nothing, so that a region with one input and no filter copies nothing. State is held by aggregations,
//! under one numbering of keys, by the schedules of ticks, and by rows that wait. Ticks stand between the
//! rows of an epoch ([`boundary`](super::boundary)).

use std::sync::Arc;

use arrow_array::ArrayRef;

use super::aggregate::Aggregate;
use super::backlog::Backlog;
use super::boundary::Boundary;
use super::choose::{Chosen, Fed, Hashed, feed_rows};
use super::clock::Clock;
use super::compute;
use super::error::EngineError;
use super::halt::Halt;
use super::join::{Join, Joined};
use super::keys::KeyIndex;
use super::merge::merge;
use super::moves::{self, Shift, Until};
use super::parts::{PART, cut, first, merged};
use super::rekey::counted;
use super::ticks::Schedule;
use crate::functions::Warnings;
use crate::plan::{Input, Moves, Plan, Reg, Results, StepOp};
use crate::rows::Rows;

/// Computes a region of a plan.
pub struct RegionOperator {
    pub(super) plan: Arc<Plan>,
    pub(super) region: usize,
    pub(super) join: Join,
    /// The constants among the steps, calls of constants among them.
    pub(super) constants: Vec<Option<ArrayRef>>,
    /// What of them did not fit.
    unfit: Warnings,
    /// The aggregations among the steps.
    pub(super) aggregates: Vec<Option<Box<dyn Aggregate>>>,
    /// The keys' numbers, where there is state by key.
    pub(super) index: Option<KeyIndex>,
    /// The number of each row's key in the batch at hand; kept for its room.
    pub(super) numbers: Vec<u32>,
    /// The ticks to come, by tick input.
    pub(super) schedules: Vec<Schedule>,
    /// By feed: points on their way to another time.
    pub(super) moving: Vec<Moving>,
    /// Whether values are shown that may be long.
    is_wide: bool,
    /// Bytes of the longest value of the rows at hand.
    fresh: usize,
    /// By input: rows of times that have not passed, where the region waits for that.
    pub(super) waiting: Vec<Backlog>,
    /// Whether to leave an epoch.
    pub(super) halt: Halt,
}

/// What a feed does to the places of its rows.
pub(super) enum Moving {
    /// Nothing that needs a state.
    No,
    To(Shift),
    Until(Box<Until>),
}

/// What an epoch gave.
#[derive(Debug)]
pub struct Emitted {
    /// The rows of each of the region's feeds under their new keys, in batches that are each in order: in
    /// one, or none, if they are not too many for that.
    pub feeds: Vec<Vec<Rows>>,
    /// The points of the answer, in order, likewise one batch after the other; of the last region only. Its
    /// columns are the plan's output columns; those of a snapshot may have one more, the numbers of their
    /// keys, for [`ResultOperator`](super::ResultOperator) alone.
    pub answer: Vec<Rows>,
    /// Whole-number results beyond their type, now null (SEMANTICS 2.3).
    pub overflows: u64,
    /// Values that a cast could not convert, now null (SEMANTICS 2.6).
    pub misfits: u64,
    /// Points that would have moved back, or nowhere, and were dropped (SEMANTICS 6.1).
    pub moved_back: u64,
}

/// What the batches of an epoch give, one after the other.
pub(super) struct Outputs {
    feeds: Vec<Vec<Fed>>,
    answer: Vec<Rows>,
}

impl RegionOperator {
    /// The operator of `plan.regions[region]`, with no state.
    ///
    /// # Errors
    /// The plan has no such region, one of its steps is of a column that no input has, or one of its
    /// aggregations does not take its input's type.
    pub fn new(plan: Arc<Plan>, region: usize) -> Result<Self, EngineError> {
        let join = Join::new(&plan, region)?;
        let of = &plan.regions[region];
        let mut constants: Vec<Option<ArrayRef>> = Vec::with_capacity(of.steps.len());
        let unfit = Warnings::default();
        let mut aggregates = Vec::with_capacity(of.steps.len());
        for step in &of.steps {
            if let StepOp::Column { input, column } = step.op
                && !join.has(input, column)
            {
                return Err(EngineError::mismatch("column", "one of an input", format!("{input}, {column}")));
            }
            let mut aggregate = None;
            let constant = compute::constant(step, &constants, &unfit)?;
            if let StepOp::Aggregate { aggregation, value, .. } = &step.op {
                let made = compute::state(of, aggregation, *value)?;
                if made.data_type() != step.data_type {
                    let name = aggregation.function.name;
                    return Err(EngineError::mismatch(name, &step.data_type, made.data_type()));
                }
                aggregate = Some(made);
            }
            constants.push(constant);
            aggregates.push(aggregate);
        }
        let is_wide = aggregates.iter().flatten().any(|aggregate| aggregate.shows(1, 1) > 0);
        let schedules: Vec<_> = of.ticks.iter().map(|ticks| Schedule::new(ticks.clone())).collect();
        let by_key = aggregates.iter().any(Option::is_some) || !schedules.is_empty();
        let index = match (&of.key_type, by_key) {
            (Some(key_type), true) => Some(KeyIndex::new(key_type)?),
            (None, true) => return Err(EngineError::mismatch("aggregate", "keys", "none")),
            (_, false) => None,
        };
        let moving = of.feeds.iter().map(|feed| {
            Ok(match feed.moves {
                Moves::Stay | Moves::After { .. } | Moves::Back { .. } => Moving::No,
                Moves::By(_) | Moves::To(_) => Moving::To(Shift::default()),
                Moves::Until(_) => Moving::Until(Box::new(Until::new(&of.steps[feed.key].data_type)?)),
            })
        });
        let moving = moving.collect::<Result<_, EngineError>>()?;
        let waiting =
            if of.waits { of.inputs.iter().map(|_| Backlog::default()).collect() } else { Vec::new() };
        Ok(Self {
            region,
            join,
            constants,
            unfit,
            aggregates,
            index,
            numbers: Vec::new(),
            schedules,
            moving,
            is_wide,
            fresh: 0,
            waiting,
            halt: Halt::default(),
            plan,
        })
    }

    /// Overflows and misfits among its constants (SEMANTICS 2.3, 2.6). They are part of no epoch, nor of a
    /// worker: a run has them once.
    #[must_use]
    pub const fn unfit_constants(&self) -> (u64, u64) {
        (self.unfit.overflows.get(), self.unfit.casts.get())
    }

    /// Whether time alone makes it give rows, so that it must be told of epochs without any.
    #[must_use]
    pub fn heeds_time(&self) -> bool {
        !self.schedules.is_empty()
            || !self.waiting.is_empty()
            || self.moving.iter().any(|moving| matches!(moving, Moving::To(_)))
    }

    /// Leaves an epoch where `halt` says so, by [`EngineError::Halted`].
    pub fn heed(&mut self, halt: Halt) {
        self.halt = halt;
    }

    /// Computes an epoch: for each input of the region its batches, each in order. Rows of later epochs come
    /// after them, and none is of a time before the watermark of an earlier one. Ticks have no batches.
    ///
    /// # Errors
    /// The batches are not what the plan says, or the work is [halted](Self::heed). The state is then undefined.
    pub fn process(&mut self, inputs: Vec<Vec<Rows>>, clock: &Clock) -> Result<Emitted, EngineError> {
        let inputs = self.count(inputs)?;
        let inputs = if self.waiting.is_empty() { inputs } else { self.wait(inputs, clock)? };
        let warnings = Warnings::default();
        let mut outputs = Outputs {
            feeds: self.plan.regions[self.region].feeds.iter().map(|_| Vec::new()).collect(),
            answer: Vec::new(),
        };
        let mut parts = cut(inputs).into_iter().peekable();
        while let Some(inputs) = parts.next() {
            self.halt.look()?;
            let joined = self.join.rows(inputs)?;
            if self.is_wide {
                self.fresh = joined.widest();
            }
            if self.schedules.is_empty() {
                self.run(&joined, &warnings, &mut outputs)?;
            } else {
                let next = parts.peek().and_then(|inputs| first(inputs));
                self.run_between_ticks(&joined, next, clock, &warnings, &mut outputs)?;
            }
        }
        self.emit(outputs, clock, &warnings)
    }

    /// The rows with their turns, where several may have come to one place under their new key. All of a
    /// place are of one epoch.
    fn count(&self, mut inputs: Vec<Vec<Rows>>) -> Result<Vec<Vec<Rows>>, EngineError> {
        for (from, batches) in self.plan.regions[self.region].inputs.iter().zip(&mut inputs) {
            if let Input::Feed { region, feed } = *from
                && self.plan.regions[region].doubles
                && matches!(self.plan.regions[region].feeds[feed].moves, Moves::Stay)
                && !batches.is_empty()
            {
                *batches = all_counted(std::mem::take(batches), true)?;
            }
        }
        Ok(inputs)
    }

    /// The rows of times that have passed, of those that wait and of new ones.
    fn wait(&mut self, inputs: Vec<Vec<Rows>>, clock: &Clock) -> Result<Vec<Vec<Rows>>, EngineError> {
        for (waiting, batches) in self.waiting.iter_mut().zip(inputs) {
            for rows in batches {
                waiting.push(rows)?;
            }
        }
        Ok(self.waiting.iter_mut().map(|waiting| waiting.take(|time| clock.has_passed(time))).collect())
    }

    /// Numbers the keys of rows, where there is state.
    pub(super) fn number(&mut self, joined: &Joined) -> Result<(), EngineError> {
        if let Some(index) = &mut self.index {
            let keys = joined.key.as_ref().ok_or_else(|| EngineError::mismatch("rows", "keys", "none"))?;
            self.numbers.clear();
            index.number(keys, &mut self.numbers)?;
        }
        Ok(())
    }

    /// How many rows are computed at once of so many that come next: what is shown of state may be more than
    /// the state.
    fn at_once(&self, rows: usize) -> usize {
        let mut rows = rows;
        while self.is_wide && rows > 1 {
            let shows = self.aggregates.iter().flatten().map(|aggregate| aggregate.shows(self.fresh, rows));
            if shows.fold(0, usize::saturating_add).saturating_mul(rows) <= PART {
                break;
            }
            rows = rows.div_ceil(2);
        }
        rows
    }

    /// Computes rows, and takes what goes out; where there are ticks, the points that windows hold are noted.
    pub(super) fn run(
        &mut self,
        joined: &Joined,
        warnings: &Warnings,
        outputs: &mut Outputs,
    ) -> Result<(), EngineError> {
        self.number(joined)?;
        self.run_numbered(joined, None, warnings, outputs)
    }

    /// The same of rows whose keys are numbered, in parts where they show much. `ticks` are given where they
    /// are a boundary's.
    pub(super) fn run_numbered(
        &mut self,
        joined: &Joined,
        ticks: Option<&Boundary>,
        warnings: &Warnings,
        outputs: &mut Outputs,
    ) -> Result<(), EngineError> {
        let len = joined.places.len();
        if self.at_once(len) == len {
            return self.run_part(joined, ticks, warnings, outputs);
        }
        let numbers = std::mem::take(&mut self.numbers);
        let mut at = 0;
        while at < len {
            let rows = self.at_once(len - at);
            self.numbers.clear();
            self.numbers.extend_from_slice(&numbers[at..at + rows]);
            let ticks = ticks.map(|ticks| ticks.slice(at, rows));
            self.run_part(&joined.slice(at, rows), ticks.as_ref(), warnings, outputs)?;
            at += rows;
        }
        Ok(())
    }

    /// Computes rows at once.
    fn run_part(
        &mut self,
        joined: &Joined,
        ticks: Option<&Boundary>,
        warnings: &Warnings,
        outputs: &mut Outputs,
    ) -> Result<(), EngineError> {
        let registers = self.compute(joined, ticks, warnings)?;
        let region = &self.plan.regions[self.region];
        let mut hashed = Hashed::default();
        for (feed, fed) in region.feeds.iter().zip(&mut outputs.feeds) {
            fed.push(feed_rows(joined, &registers, region, feed, &mut hashed)?);
        }
        if self.region + 1 == self.plan.regions.len() {
            let output = &self.plan.output;
            let columns: Vec<Reg> = output.columns.iter().map(|(_, reg)| *reg).collect();
            let chosen = Chosen::new(joined, &registers, output.present)?;
            let mut columns = chosen.columns(&columns)?;
            // What a snapshot keeps is by key, too.
            if self.index.is_some() && matches!(output.results, Results::Snapshot { .. }) {
                columns.push(chosen.numbers(&self.numbers)?);
            }
            outputs.answer.push(Rows { places: chosen.places()?, key: chosen.key()?, columns });
        }
        match joined.places.time.first() {
            Some(time) if !self.schedules.is_empty() => self.note(*time, &registers),
            _ => Ok(()),
        }
    }

    /// What goes out now.
    fn emit(&mut self, outputs: Outputs, clock: &Clock, warnings: &Warnings) -> Result<Emitted, EngineError> {
        let doubles = self.plan.regions[self.region].doubles;
        let mut moved_back = 0;
        let mut feeds = Vec::with_capacity(outputs.feeds.len());
        for (fed, moving) in outputs.feeds.into_iter().zip(&mut self.moving) {
            let mut gone = Vec::with_capacity(fed.len());
            for fed in fed {
                gone.push(match (fed, &mut *moving) {
                    (Fed::There(rows), _) => rows,
                    (Fed::By(rows, by), Moving::To(shift)) => {
                        moved_back += shift.admit(&rows, &by, doubles, i64::checked_add)?;
                        continue;
                    }
                    (Fed::To(rows, to), Moving::To(shift)) => {
                        moved_back += shift.admit(&rows, &to, doubles, |_, to| Some(to))?;
                        continue;
                    }
                    (Fed::Until(rows, is_true), Moving::Until(until)) => {
                        until.process(&rows, &moves::truth(&is_true)?, doubles)?
                    }
                    (Fed::By(..) | Fed::To(..) | Fed::Until(..), _) => {
                        return Err(EngineError::mismatch("feed", "a state for what moves", "none"));
                    }
                });
            }
            if let Moving::To(shift) = moving {
                gone.extend(shift.release(clock));
            }
            let moves = !matches!(moving, Moving::No);
            feeds.push(if doubles && moves { all_counted(gone, false)? } else { merged(gone)? });
        }
        Ok(Emitted {
            feeds,
            answer: merged(outputs.answer)?,
            overflows: warnings.overflows.get(),
            misfits: warnings.casts.get(),
            moved_back,
        })
    }

    /// Number of keys that state is held for.
    #[must_use]
    pub fn keys(&self) -> usize {
        self.index.as_ref().map_or(0, KeyIndex::len)
    }

    /// Number of points that are held until a condition is true of their key.
    #[must_use]
    pub fn held(&self) -> usize {
        let held =
            self.moving.iter().map(|moving| if let Moving::Until(until) = moving { until.len() } else { 0 });
        held.sum()
    }
}

/// Rows with their turns, which are told where all that stand at a place are.
fn all_counted(batches: Vec<Rows>, arrived: bool) -> Result<Vec<Rows>, EngineError> {
    let of = |part: Vec<Vec<Rows>>| counted(merge(part.into_iter().flatten().collect())?, arrived);
    cut(vec![batches]).into_iter().map(of).collect()
}

impl std::fmt::Debug for RegionOperator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (keys, bytes) = (self.keys(), self.state_bytes());
        f.debug_struct("RegionOperator")
            .field("region", &self.region)
            .field("keys", &keys)
            .field("bytes", &bytes)
            .finish()
    }
}

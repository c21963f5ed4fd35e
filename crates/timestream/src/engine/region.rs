//! The operator of a region: joins its inputs into rows, computes every step at every row, hands on what later regions read.
//!
//! One epoch is one call. Registers are Arrow arrays or constants, masks are bitmaps or known to be all or nothing, so that
//! a region with one input and no filter copies nothing. State is held by aggregations, under one numbering of keys, by the
//! schedules of ticks, and by rows that wait. Ticks stand between the rows of an epoch: rows up to a boundary are computed first,
//! then the ticks there, which are known by then.

use std::collections::HashSet;
use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_buffer::BooleanBuffer;

use super::aggregate::Aggregate;
use super::backlog::Backlog;
use super::choose::{Chosen, Fed, Hashed, feed_rows};
use super::clock::Clock;
use super::compute;
use super::error::EngineError;
use super::halt::Halt;
use super::join::{Join, Joined};
use super::keys::KeyIndex;
use super::mask::{Mask, mask};
use super::merge::merge;
use super::moves::{self, Shift, Until};
use super::parts::{PART, cut, first, merged};
use super::rekey::counted;
use super::ticks::Schedule;
use crate::functions::{Column, Warnings};
use crate::plan::{Input, Moves, Plan, Reg, Results, StepOp};
use crate::rows::{Keys, Lane, OWN_TICK, Place, Places, Rows, TICK};

/// Computes a region of a plan.
pub struct RegionOperator {
    pub(super) plan: Arc<Plan>,
    pub(super) region: usize,
    join: Join,
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
    /// The rows of each of the region's feeds under their new keys, in batches that are each in order: in one, or none, if they are not too
    /// many for that.
    pub feeds: Vec<Vec<Rows>>,
    /// The points of the answer, in order, likewise one batch after the other; of the last region only. Its columns are the plan's output columns; those of a snapshot may
    /// have one more, the numbers of their keys, for [`ResultOperator`](super::ResultOperator) alone.
    pub answer: Vec<Rows>,
    /// Whole-number results beyond their type, now null (SEMANTICS 2.3).
    pub overflows: u64,
    /// Values that a cast could not convert, now null (SEMANTICS 2.6).
    pub misfits: u64,
    /// Points that would have moved back, or nowhere, and were dropped (SEMANTICS 6.1).
    pub moved_back: u64,
}

/// The ticks of a boundary that are due by the rows before it, by tick input.
///
/// Whether there are others depends on its rows: a tick is a point that another calendar's windows may hold, which may then have
/// one there too. So the points of ticks are told while the rows are computed, each when what its windows hold is known.
pub(super) struct Boundary {
    due: Vec<Mask>,
    /// Whether it is a boundary of the ticks' own calendar.
    own: Vec<bool>,
}

impl Boundary {
    /// That of some of the rows.
    fn slice(&self, start: usize, len: usize) -> Self {
        let due = self.due.iter().map(|due| match due {
            Mask::All => Mask::All,
            Mask::Nothing => Mask::Nothing,
            Mask::Some(due) => Mask::Some(due.slice(start, len)),
        });
        Self { due: due.collect(), own: self.own.clone() }
    }

    /// At which rows there is a tick of an input whose windows hold what the mask in `present` says.
    pub(super) fn points(
        &self,
        at: usize,
        present: Option<Reg>,
        registers: &[Column],
        len: usize,
    ) -> Result<Mask, EngineError> {
        let missing = || EngineError::mismatch("ticks", "what their windows hold, before them", "none");
        if !self.own.get(at).is_some_and(|own| *own) {
            return Ok(Mask::Nothing);
        }
        let held = match present {
            Some(reg) => mask(registers.get(reg).ok_or_else(missing)?)?,
            None => Mask::All,
        };
        let due = self.due.get(at).ok_or_else(missing)?;
        Ok(match (due, held) {
            (Mask::All, _) | (_, Mask::All) => Mask::All,
            (Mask::Nothing, Mask::Nothing) => Mask::Nothing,
            (due, held) => {
                Mask::Some(BooleanBuffer::collect_bool(len, |row| due.holds(row) || held.holds(row)))
            }
        })
    }
}

/// What the batches of an epoch give, one after the other.
struct Outputs {
    feeds: Vec<Vec<Fed>>,
    answer: Vec<Rows>,
}

impl RegionOperator {
    /// The operator of `plan.regions[region]`, with no state.
    ///
    /// # Errors
    /// The plan has no such region, one of its steps is of a column that no input has, or one of its aggregations does not take its
    /// input's type.
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

    /// Overflows and misfits among its constants (SEMANTICS 2.3, 2.6). They are part of no epoch, nor of a worker: a run has them once.
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

    /// Computes an epoch: for each input of the region its batches, each in order. Rows of later epochs come after them, and
    /// none is of a time before the watermark of an earlier one. Ticks have no batches.
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

    /// The rows with their turns, where several may have come to one place under their new key. All of a place are of one epoch.
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
    fn number(&mut self, joined: &Joined) -> Result<(), EngineError> {
        if let Some(index) = &mut self.index {
            let keys = joined.key.as_ref().ok_or_else(|| EngineError::mismatch("rows", "keys", "none"))?;
            self.numbers.clear();
            index.number(keys, &mut self.numbers)?;
        }
        Ok(())
    }

    /// How many rows are computed at once of so many that come next: what is shown of state may be more than the state.
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
    fn run(
        &mut self,
        joined: &Joined,
        warnings: &Warnings,
        outputs: &mut Outputs,
    ) -> Result<(), EngineError> {
        self.number(joined)?;
        self.run_numbered(joined, None, warnings, outputs)
    }

    /// The same of rows whose keys are numbered, in parts where they show much. `ticks` are given where they are a boundary's.
    fn run_numbered(
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

    /// Computes rows in parts, none of which goes beyond a boundary, with the ticks between them, and those before the rows that are `next`.
    fn run_between_ticks(
        &mut self,
        joined: &Joined,
        next: Option<Place>,
        clock: &Clock,
        warnings: &Warnings,
        outputs: &mut Outputs,
    ) -> Result<(), EngineError> {
        let places = &joined.places;
        let stands = |row: usize| (places.time[row], places.lane.at(row), places.ordinal[row]);
        let after = next.map(|next| (next.time, next.lane, next.ordinal));
        let mut at = 0;
        loop {
            self.halt.look()?;
            let row = if at < places.len() { Some(stands(at)) } else { after };
            while let Some(next) = self.schedules.iter().filter_map(Schedule::next).min() {
                if row.is_some_and(|row| (next, TICK, OWN_TICK) >= row) {
                    break;
                }
                if clock.ticks(next) || (row.is_some() && clock.end.is_none()) {
                    self.tick(next, &joined.slice(at, 0), warnings, outputs)?;
                } else if row.is_some() {
                    // At the end, rows that were moved may be later than the last tick there is.
                    self.pass(next);
                } else {
                    break;
                }
            }
            let Some((time, lane, ordinal)) = row.filter(|_| at < places.len()) else { break };
            let rest = at..places.len();
            // Ticks that were fed stand where those stand that are made here, and some of them are the same.
            if (lane, ordinal) == (TICK, OWN_TICK) {
                let ticks = rest.take_while(|row| stands(*row) == (time, TICK, OWN_TICK)).count();
                self.tick(time, &joined.slice(at, ticks), warnings, outputs)?;
                at += ticks;
                continue;
            }
            // What stands after the ticks of its time is in the next interval, but no point that a window holds is there.
            let end = if lane > TICK {
                at + rest.take_while(|row| places.lane.at(*row) == lane && places.time[*row] == time).count()
            } else {
                let boundary = self.schedules.iter().filter_map(|schedule| schedule.boundary(time)).min();
                let last = boundary.unwrap_or(i64::MAX);
                let before = at + places.time[at..].partition_point(|time| *time < last);
                let is_fed = |row: &usize| places.lane.at(*row) == TICK && places.ordinal[*row] == OWN_TICK;
                let end = (before..places.len())
                    .find(|row| stands(*row) >= (last, TICK, OWN_TICK))
                    .unwrap_or(places.len());
                // Ticks of other calendars may be before.
                (at..before).find(is_fed).unwrap_or(end)
            };
            let part = if at == 0 && end == places.len() { None } else { Some(joined.slice(at, end - at)) };
            let part = part.as_ref().unwrap_or(joined);
            self.run(part, warnings, outputs)?;
            at = end;
        }
        Ok(())
    }

    /// Notes the points that windows hold among rows of an interval, whose keys are numbered.
    fn note(&mut self, time: i64, registers: &[Column]) -> Result<(), EngineError> {
        let known = self.keys();
        for schedule in &mut self.schedules {
            let boundary = schedule.boundary(time);
            let present = schedule.ticks().present.map_or(Ok(Mask::All), |reg| mask(&registers[reg]))?;
            match present {
                Mask::All => schedule.note(boundary, known, &self.numbers, None),
                Mask::Some(present) => schedule.note(boundary, known, &self.numbers, Some(&present)),
                Mask::Nothing => {}
            }
        }
        Ok(())
    }

    /// Computes the ticks of a time, by key: those that are due, and those that were fed.
    fn tick(
        &mut self,
        time: i64,
        fed: &Joined,
        warnings: &Warnings,
        outputs: &mut Outputs,
    ) -> Result<(), EngineError> {
        self.number(fed)?;
        let mut numbers = std::mem::take(&mut self.numbers);
        let len = numbers.len();
        let due = |schedule: &Schedule| match schedule.next() == Some(time) {
            true => schedule.due().to_vec(),
            false => Vec::new(),
        };
        let due: Vec<Vec<u32>> = self.schedules.iter().map(due).collect();
        numbers.extend(due.iter().flatten());
        if len > 0 || due.iter().filter(|keys| !keys.is_empty()).count() > 1 {
            let mut seen: HashSet<u32> = HashSet::with_capacity(numbers.len());
            let mut row = 0;
            numbers.retain(|number| {
                row += 1;
                seen.insert(*number) || row <= len
            });
        }
        let Some(index) = &mut self.index else {
            return Err(EngineError::mismatch("ticks", "keys", "none"));
        };
        let fed_rows: Vec<Option<usize>> = if len == 0 {
            self.numbers = index.in_order(numbers)?;
            vec![None; self.numbers.len()]
        } else {
            // Several that were fed may be of one key.
            let order = index.order(&numbers)?;
            self.numbers = order.iter().map(|row| numbers[*row as usize]).collect();
            order.iter().map(|row| Some(*row as usize).filter(|row| *row < len)).collect()
        };
        let values = index.keys(&self.numbers)?;
        let len = self.numbers.len();
        let due = due.iter().map(|keys| {
            if keys.is_empty() {
                return Mask::Nothing;
            }
            if keys.len() == len {
                return Mask::All;
            }
            let keys: HashSet<u32> = keys.iter().copied().collect();
            Mask::Some(BooleanBuffer::collect_bool(len, |row| keys.contains(&self.numbers[row])))
        });
        let own = self.schedules.iter().map(|schedule| schedule.boundary(time) == Some(time));
        let boundary = Boundary { due: due.collect(), own: own.collect() };
        let key = Keys { hashes: super::hash(&values), values };
        let places = Places::new(vec![time; len].into(), Lane::One(TICK), vec![OWN_TICK; len].into());
        let joined = self.join.ticks(places, key, fed, &fed_rows);
        self.run_numbered(&joined, Some(&boundary), warnings, outputs)?;
        for schedule in self.schedules.iter_mut().filter(|schedule| schedule.next() == Some(time)) {
            schedule.fire();
        }
        Ok(())
    }

    /// Ends the windows of keys at a boundary without a tick: a point beyond it is in the next window, though it is no point itself.
    fn pass(&mut self, time: i64) {
        let of = &self.plan.regions[self.region];
        for (at, schedule) in self.schedules.iter_mut().enumerate() {
            if schedule.next() != Some(time) {
                continue;
            }
            let is_ended = |ends: Reg| match of.steps[ends].op {
                StepOp::Present(input) => matches!(of.inputs[input], Input::Ticks(ticks) if ticks == at),
                _ => false,
            };
            for (step, aggregate) in of.steps.iter().zip(&mut self.aggregates) {
                if let (StepOp::Aggregate { ends: Some(ends), .. }, Some(aggregate)) = (&step.op, aggregate)
                    && is_ended(*ends)
                {
                    aggregate.end(schedule.due());
                }
            }
            schedule.fire();
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

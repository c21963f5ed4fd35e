//! The operator of a region: joins its inputs into rows, computes every step at every row, hands on what later regions read.
//!
//! One epoch is one call. Registers are Arrow arrays or constants, masks are bitmaps or known to be all or nothing, so that
//! a region with one input and no filter copies nothing. State is held by aggregations, under one numbering of keys, by the
//! schedules of ticks, and by rows that wait. Ticks stand between the rows of an epoch: rows up to a boundary are computed first,
//! then the ticks there, which are known by then.

use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_buffer::BooleanBuffer;

use super::aggregate::Aggregate;
use super::backlog::Backlog;
use super::choose::{Chosen, Fed, Hashed, feed_rows};
use super::clock::Clock;
use super::compute;
use super::error::EngineError;
use super::join::{Join, Joined};
use super::keys::KeyIndex;
use super::mask::{Mask, mask};
use super::merge::merge;
use super::moves::{self, Shift, Until};
use super::ticks::Schedule;
use crate::functions::{Column, Warnings, eval};
use crate::plan::{Input, Moves, Plan, Reg, StepOp};
use crate::rows::{AFTER, Keys, Lane, OWN_TICK, Places, Rows, TICK};

/// Computes a region of a plan.
pub struct RegionOperator {
    pub(super) plan: Arc<Plan>,
    pub(super) region: usize,
    join: Join,
    /// The constants among the steps.
    pub(super) literals: Vec<Option<ArrayRef>>,
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
    /// By input: rows of times that have not passed, where the region waits for that.
    pub(super) waiting: Vec<Backlog>,
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
    /// The rows of each of the region's feeds, in order, under their new keys.
    pub feeds: Vec<Rows>,
    /// The points of the answer, in order; of the last region only. Its columns are the plan's output columns.
    pub answer: Option<Rows>,
    /// Whole-number results beyond their type, now null (SEMANTICS 2.3).
    pub overflows: u64,
    /// Values that a cast could not convert, now null (SEMANTICS 2.6).
    pub misfits: u64,
    /// Points that would have moved back, or nowhere, and were dropped (SEMANTICS 6.1).
    pub moved_back: u64,
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
    /// The plan has no such region, or one of its aggregations does not take its input's type.
    pub fn new(plan: Arc<Plan>, region: usize) -> Result<Self, EngineError> {
        let join = Join::new(&plan, region)?;
        let of = &plan.regions[region];
        let mut literals = Vec::with_capacity(of.steps.len());
        let mut aggregates = Vec::with_capacity(of.steps.len());
        for step in &of.steps {
            let (mut literal, mut aggregate) = (None, None);
            match &step.op {
                StepOp::Literal(scalar) => literal = Some(eval::literal(scalar, &step.data_type)?),
                StepOp::Aggregate { aggregation, value, .. } => {
                    let made = compute::state(of, aggregation, *value)?;
                    if made.data_type() != step.data_type {
                        let name = aggregation.function.name;
                        return Err(EngineError::mismatch(name, &step.data_type, made.data_type()));
                    }
                    aggregate = Some(made);
                }
                _ => {}
            }
            literals.push(literal);
            aggregates.push(aggregate);
        }
        let schedules: Vec<_> = of.ticks.iter().map(|ticks| Schedule::new(ticks.clone())).collect();
        let by_key = aggregates.iter().any(Option::is_some) || !schedules.is_empty();
        let index = match (&of.key_type, by_key) {
            (Some(key_type), true) => Some(KeyIndex::new(key_type)?),
            (None, true) => return Err(EngineError::mismatch("aggregate", "keys", "none")),
            (_, false) => None,
        };
        let moving = of.feeds.iter().map(|feed| {
            Ok(match feed.moves {
                Moves::Stay | Moves::After { .. } | Moves::Back(_) => Moving::No,
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
            literals,
            aggregates,
            index,
            numbers: Vec::new(),
            schedules,
            moving,
            waiting,
            plan,
        })
    }

    /// Whether time alone makes it give rows, so that it must be told of epochs without any.
    #[must_use]
    pub fn heeds_time(&self) -> bool {
        !self.schedules.is_empty()
            || !self.waiting.is_empty()
            || self.moving.iter().any(|moving| matches!(moving, Moving::To(_)))
    }

    /// Computes an epoch: for each input of the region its batches, each in order. Rows of later epochs come after them, and
    /// none is of a time before the watermark of an earlier one. Ticks have no batches.
    ///
    /// # Errors
    /// The batches are not what the plan says. The state is then undefined.
    pub fn process(&mut self, inputs: Vec<Vec<Rows>>, clock: &Clock) -> Result<Emitted, EngineError> {
        let inputs = if self.waiting.is_empty() { inputs } else { self.wait(inputs, clock)? };
        let joined = self.join.rows(inputs)?;
        let warnings = Warnings::default();
        let mut outputs = Outputs {
            feeds: self.plan.regions[self.region].feeds.iter().map(|_| Vec::new()).collect(),
            answer: Vec::new(),
        };
        if self.schedules.is_empty() {
            self.number(&joined)?;
            self.run(&joined, false, &warnings, &mut outputs)?;
        } else {
            self.run_between_ticks(&joined, clock, &warnings, &mut outputs)?;
        }
        self.emit(outputs, clock, &warnings)
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

    /// Computes rows whose keys are numbered, and takes what goes out. Ticks have turns under another key, after those that were
    /// ticks of earlier regions.
    fn run(
        &mut self,
        joined: &Joined,
        are_ticks: bool,
        warnings: &Warnings,
        outputs: &mut Outputs,
    ) -> Result<Vec<Column>, EngineError> {
        let registers = self.compute(joined, warnings)?;
        let region = &self.plan.regions[self.region];
        let mut hashed = Hashed::default();
        for (feed, fed) in region.feeds.iter().zip(&mut outputs.feeds) {
            let turns = are_ticks.then_some((self.region as u64) << 32);
            fed.push(feed_rows(joined, &registers, region, feed, turns, &mut hashed)?);
        }
        if self.region + 1 == self.plan.regions.len() {
            let output = &self.plan.output;
            let columns: Vec<Reg> = output.columns.iter().map(|(_, reg)| *reg).collect();
            let chosen = Chosen::new(joined, &registers, output.present)?;
            outputs.answer.push(Rows {
                places: chosen.places()?,
                key: chosen.key()?,
                columns: chosen.columns(&columns)?,
            });
        }
        Ok(registers)
    }

    /// Computes rows in parts, none of which goes beyond a boundary, with the ticks between them.
    fn run_between_ticks(
        &mut self,
        joined: &Joined,
        clock: &Clock,
        warnings: &Warnings,
        outputs: &mut Outputs,
    ) -> Result<(), EngineError> {
        let places = &joined.places;
        let mut at = 0;
        loop {
            let row = (at < places.len()).then(|| (places.time[at], places.lane.at(at)));
            while let Some(next) = self.schedules.iter().filter_map(Schedule::next).min() {
                // At the end, rows that were moved may be later than the last tick there is.
                let is_due = match row {
                    Some(row) => (next, TICK) < row && (clock.end.is_none() || clock.ticks(next)),
                    None => clock.ticks(next),
                };
                if !is_due {
                    break;
                }
                self.tick(next, warnings, outputs)?;
            }
            let Some((time, lane)) = row else { break };
            // What stands after the ticks of its time is in the next interval, but no point that a window holds is there.
            let boundary = self.schedules.iter().filter_map(|schedule| schedule.boundary(time)).min();
            let last = boundary.map_or((i64::MAX, AFTER), |boundary| (boundary, TICK));
            let rest = &places.time[at..];
            let end = at
                + if lane > TICK {
                    (0..rest.len())
                        .take_while(|row| places.lane.at(at + row) == lane && rest[*row] == time)
                        .count()
                } else {
                    let before = rest.partition_point(|time| *time < last.0);
                    before
                        + (before..rest.len())
                            .take_while(|row| (rest[*row], places.lane.at(at + row)) <= last)
                            .count()
                };
            let part = if at == 0 && end == places.len() { None } else { Some(joined.slice(at, end - at)) };
            let part = part.as_ref().unwrap_or(joined);
            self.number(part)?;
            let registers = self.run(part, false, warnings, outputs)?;
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
            at = end;
        }
        Ok(())
    }

    /// Computes the ticks of a boundary, by key.
    fn tick(&mut self, time: i64, warnings: &Warnings, outputs: &mut Outputs) -> Result<(), EngineError> {
        let known = self.keys();
        // By key: which schedules fire.
        let mut fired: Vec<Vec<u32>> = Vec::with_capacity(self.schedules.len());
        for at in 0..self.schedules.len() {
            let schedule = &mut self.schedules[at];
            for of in schedule.ticks().of.clone() {
                let keys = fired.get(of).map(Vec::as_slice).unwrap_or_default();
                schedule.note(schedule.boundary(time), known, keys, None);
            }
            fired.push(if schedule.next() == Some(time) { schedule.fire() } else { Vec::new() });
        }
        let Some(index) = &mut self.index else {
            return Err(EngineError::mismatch("ticks", "keys", "none"));
        };
        let mut numbers: Vec<u32> = fired.concat();
        if fired.iter().filter(|keys| !keys.is_empty()).count() > 1 {
            numbers.sort_unstable();
            numbers.dedup();
        }
        if numbers.is_empty() {
            return Ok(());
        }
        self.numbers = index.in_order(numbers)?;
        let values = index.keys(&self.numbers)?;
        let len = self.numbers.len();
        let masks = fired.iter().map(|keys| {
            if keys.len() == len {
                return Mask::All;
            }
            if keys.is_empty() {
                return Mask::Nothing;
            }
            let keys: std::collections::HashSet<u32> = keys.iter().copied().collect();
            Mask::Some(BooleanBuffer::collect_bool(len, |row| keys.contains(&self.numbers[row])))
        });
        let masks: Vec<Mask> = masks.collect();
        let key = Keys { hashes: super::hash(&values), values };
        let places = Places {
            time: vec![time; len].into(),
            lane: Lane::One(TICK),
            ordinal: vec![OWN_TICK; len].into(),
        };
        let inputs = &self.plan.regions[self.region].inputs;
        let shares = inputs.iter().map(|input| match input {
            Input::Ticks(ticks) => masks.get(*ticks).unwrap_or(&Mask::Nothing),
            Input::Scan(_) | Input::Feed { .. } => &Mask::Nothing,
        });
        let joined = self.join.made(places, key, shares);
        self.run(&joined, true, warnings, outputs)?;
        Ok(())
    }

    /// What goes out now.
    fn emit(&mut self, outputs: Outputs, clock: &Clock, warnings: &Warnings) -> Result<Emitted, EngineError> {
        let mut moved_back = 0;
        let mut feeds = Vec::with_capacity(outputs.feeds.len());
        for (fed, moving) in outputs.feeds.into_iter().zip(&mut self.moving) {
            let mut gone = Vec::with_capacity(fed.len());
            for fed in fed {
                gone.push(match (fed, &mut *moving) {
                    (Fed::There(rows), _) => rows,
                    (Fed::By(rows, by), Moving::To(shift)) => {
                        moved_back += shift.admit(&rows, &by, i64::checked_add)?;
                        continue;
                    }
                    (Fed::To(rows, to), Moving::To(shift)) => {
                        moved_back += shift.admit(&rows, &to, |_, to| Some(to))?;
                        continue;
                    }
                    (Fed::Until(rows, is_true), Moving::Until(until)) => {
                        until.process(&rows, &moves::truth(&is_true)?)?
                    }
                    (Fed::By(..) | Fed::To(..) | Fed::Until(..), _) => {
                        return Err(EngineError::mismatch("feed", "a state for what moves", "none"));
                    }
                });
            }
            if let Moving::To(shift) = moving {
                gone.extend(shift.release(clock));
            }
            feeds.push(merge(gone)?);
        }
        let answer = if outputs.answer.is_empty() { None } else { Some(merge(outputs.answer)?) };
        Ok(Emitted {
            feeds,
            answer,
            overflows: warnings.overflows.get(),
            misfits: warnings.casts.get(),
            moved_back,
        })
    }

    /// Bytes of state held: keys, aggregations, ticks, rows that wait or are on their way.
    #[must_use]
    pub fn state_bytes(&self) -> usize {
        let aggregates: usize = self.aggregates.iter().flatten().map(|aggregate| aggregate.memory()).sum();
        let ticks: usize = self.schedules.iter().map(Schedule::memory).sum();
        let moving = self.moving.iter().map(|moving| match moving {
            Moving::No => 0,
            Moving::To(shift) => shift.memory(),
            Moving::Until(until) => until.memory(),
        });
        let waiting: usize = self.waiting.iter().map(Backlog::memory).sum();
        aggregates + ticks + moving.sum::<usize>() + waiting + self.index.as_ref().map_or(0, KeyIndex::memory)
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

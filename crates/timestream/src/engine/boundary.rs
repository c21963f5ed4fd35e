//! Where ticks stand between a region's rows: rows up to a boundary are computed first, then the ticks there,
//! which are known by then.

use std::collections::HashSet;

use arrow_buffer::BooleanBuffer;

use super::clock::Clock;
use super::error::EngineError;
use super::hash::hash;
use super::join::Joined;
use super::mask::{Mask, mask};
use super::region::{Outputs, RegionOperator};
use super::ticks::Schedule;
use crate::functions::{Column, Warnings};
use crate::plan::{Input, Reg, StepOp};
use crate::rows::{Keys, Lane, OWN_TICK, Place, Places, TICK};

/// The ticks of a boundary that are due by the rows before it, by tick input.
///
/// Whether there are others depends on its rows: a tick is a point that another calendar's windows may hold,
/// which may then have one there too. So the points of ticks are told while the rows are computed, each when
/// what its windows hold is known.
pub(super) struct Boundary {
    due: Vec<Mask>,
    /// Whether it is a boundary of the ticks' own calendar.
    own: Vec<bool>,
}

impl Boundary {
    /// That of some of the rows.
    pub(super) fn slice(&self, start: usize, len: usize) -> Self {
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

impl RegionOperator {
    /// Computes rows in parts, none of which goes beyond a boundary, with the ticks between them, and those
    /// before the rows that are `next`.
    pub(super) fn run_between_ticks(
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
            // What stands after the ticks of its time is in the next interval, but no point that a window
            // holds is there.
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
    pub(super) fn note(&mut self, time: i64, registers: &[Column]) -> Result<(), EngineError> {
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
        let key = Keys { hashes: hash(&values), values };
        let places = Places::new(vec![time; len].into(), Lane::One(TICK), vec![OWN_TICK; len].into());
        let joined = self.join.ticks(places, key, fed, &fed_rows);
        self.run_numbered(&joined, Some(&boundary), warnings, outputs)?;
        for schedule in self.schedules.iter_mut().filter(|schedule| schedule.next() == Some(time)) {
            schedule.fire();
        }
        Ok(())
    }

    /// Ends the windows of keys at a boundary without a tick: a point beyond it is in the next window, though
    /// it is no point itself.
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
}

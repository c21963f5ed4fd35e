//! What the operators of a plan hold from batch to batch, part by part, under the names that a plan is shown by.

use crate::explain;
use crate::plan::{Moves, Plan, Reg, StepOp};

/// A part of a region that holds something from batch to batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Part {
    /// The keys with their numbers, which the aggregations and ticks of the region share.
    Keys,
    /// An aggregation, with its window: its step.
    Step(Reg),
    /// The ticks to come: their place in [`Region::ticks`](crate::plan::Region::ticks).
    Ticks(usize),
    /// Points on their way to another time: the place of the feed that they leave by.
    Feed(usize),
    /// Rows that wait until all of their time are here.
    Waiting,
}

/// How much something holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Held {
    /// Keys that it holds something for.
    pub keys: usize,
    /// Points that are held as they are, to go on later; 0 where values are held alone.
    pub points: usize,
    /// Bytes of memory.
    pub bytes: usize,
}

impl std::ops::AddAssign for Held {
    fn add_assign(&mut self, other: Self) {
        self.keys += other.keys;
        self.points += other.points;
        self.bytes += other.bytes;
    }
}

impl Plan {
    /// The parts of a region that hold something, in the order of the plan; none of a region that there is not.
    #[must_use]
    pub fn parts(&self, region: usize) -> Vec<Part> {
        let Some(region) = self.regions.get(region) else { return Vec::new() };
        let is_held = |(reg, step): (Reg, &crate::plan::Step)| {
            matches!(step.op, StepOp::Aggregate { .. }).then_some(Part::Step(reg))
        };
        let mut parts: Vec<Part> = region.steps.iter().enumerate().filter_map(is_held).collect();
        parts.extend((0..region.ticks.len()).map(Part::Ticks));
        if !parts.is_empty() {
            parts.insert(0, Part::Keys);
        }
        for (at, feed) in region.feeds.iter().enumerate() {
            match feed.moves {
                Moves::By(_) | Moves::To(_) | Moves::Until(_) => parts.push(Part::Feed(at)),
                Moves::Stay | Moves::After { .. } | Moves::Back { .. } => {}
            }
        }
        if region.waits {
            parts.push(Part::Waiting);
        }
        parts
    }

    /// What a part is called in the plan as text: `r4` (an aggregation), `input 2` (ticks), `feed 0.1`,
    /// `keys`, `rows`.
    #[must_use]
    pub fn part_label(&self, region: usize, part: Part) -> String {
        match part {
            Part::Keys => "keys".to_owned(),
            Part::Step(reg) => format!("r{reg}"),
            Part::Ticks(ticks) => {
                let inputs = self.regions.get(region).map_or(&[][..], |region| &region.inputs);
                let input = inputs.iter().position(|input| *input == crate::plan::Input::Ticks(ticks));
                input.map_or_else(|| "ticks".to_owned(), |input| format!("input {input}"))
            }
            Part::Feed(feed) => format!("feed {region}.{feed}"),
            Part::Waiting => "rows".to_owned(),
        }
    }

    /// What a part holds, in the words of the drawn plan: `count of record.text since the last end`.
    #[must_use]
    pub fn part_words(&self, region: usize, part: Part) -> String {
        explain::part_words(self, region, part)
    }
}

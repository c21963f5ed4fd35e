//! Values and states of a plan in words, for the picture: an expression as it would be written, not its registers.
//!
//! Registers are shared, so an expression written out may be exponentially longer than its plan: what is
//! written has an end.

use super::{constants, literal, path, ticks, window};
use crate::held::Part;
use crate::plan::{Input, Moves, Plan, Reg, StepOp};
use crate::query::{Aggregation, Own};
use crate::scalar::Scalar;

/// The most characters of an expression.
const ROOM: usize = 56;
/// How deep steps that add no character may nest.
const DEPTH: usize = 64;

/// The key that a row has.
pub(super) const KEY: &str = "key";

/// The value of a register of a region.
pub(super) fn value(plan: &Plan, region: usize, reg: Reg) -> String {
    let mut words = Words { plan, out: String::new(), room: ROOM };
    words.value(region, reg, DEPTH);
    words.out
}

/// What a region holds from batch to batch, a line each.
pub(super) fn states(plan: &Plan, at: usize) -> Vec<String> {
    let parts = plan.parts(at).into_iter();
    parts.filter(|held| *held != Part::Keys).map(|held| part(plan, at, held)).collect()
}

/// What a part of a region holds.
pub(crate) fn part(plan: &Plan, at: usize, part: Part) -> String {
    let region = plan.regions.get(at);
    match part {
        Part::Keys => "keys by number".to_owned(),
        Part::Step(reg) => value(plan, at, reg),
        Part::Ticks(made) => match region.and_then(|region| region.ticks.get(made)) {
            Some(made) => format!("{} left", ticks(made)),
            None => "?".to_owned(),
        },
        Part::Feed(feed) => match region.and_then(|region| region.feeds.get(feed)).map(|feed| feed.moves) {
            Some(Moves::By(duration)) => format!("points moved by {}", value(plan, at, duration)),
            Some(Moves::To(time)) => format!("points moved to {}", value(plan, at, time)),
            Some(Moves::Until(mask)) => format!("points until {}", value(plan, at, mask)),
            Some(Moves::Stay | Moves::After { .. } | Moves::Back { .. }) | None => "?".to_owned(),
        },
        Part::Waiting => "rows until their time has passed".to_owned(),
    }
}

struct Words<'a> {
    plan: &'a Plan,
    out: String,
    /// Characters left.
    room: usize,
}

impl Words<'_> {
    /// Writes what there is room for, then three dots once.
    fn push(&mut self, text: &str) {
        for character in text.chars() {
            if self.room == 0 {
                return;
            }
            self.room -= 1;
            self.out.push(if self.room == 0 { '…' } else { character });
        }
    }

    fn list(&mut self, region: usize, regs: &[Reg], depth: usize) {
        for (at, reg) in regs.iter().enumerate() {
            if at > 0 {
                self.push(", ");
            }
            self.value(region, *reg, depth);
        }
    }

    fn value(&mut self, at: usize, reg: Reg, depth: usize) {
        let plan = self.plan;
        let step = plan.regions.get(at).and_then(|region| Some((region, region.steps.get(reg)?)));
        let (Some((region, step)), true) = (step, self.room > 0 && depth > 0) else {
            return self.push("…");
        };
        let depth = depth - 1;
        match &step.op {
            StepOp::Column { input, column } => match region.inputs.get(*input) {
                Some(Input::Scan(scan)) => {
                    let column = plan.scans.get(*scan).and_then(|scan| scan.columns.get(*column));
                    self.push(&column.map_or_else(|| "?".to_owned(), path));
                }
                Some(Input::Feed { region, feed }) => {
                    let feed = plan.regions.get(*region).and_then(|region| region.feeds.get(*feed));
                    match feed.and_then(|feed| feed.columns.get(*column)) {
                        Some(reg) => self.value(*region, *reg, depth),
                        None => self.push("?"),
                    }
                }
                Some(Input::Ticks(_)) | None => self.push("?"),
            },
            StepOp::Present(_) => self.push("points"),
            StepOp::Own(Own::Key) => self.push(KEY),
            StepOp::Own(_) | StepOp::Apart { .. } => self.push("place"),
            StepOp::Time => self.push("time"),
            StepOp::Literal(scalar) => self.push(&literal(scalar)),
            StepOp::Call { function, args } => {
                self.push(function.name);
                self.push("(");
                self.list(at, args, depth);
                self.push(")");
            }
            StepOp::User { function, args, .. } => {
                self.push(function.name());
                self.push("(");
                self.list(at, args, depth);
                self.push(")");
            }
            StepOp::Cast(value) | StepOp::IsTrue(value) | StepOp::Only { value, .. } => {
                self.value(at, *value, depth);
            }
            StepOp::Field { value, index } => {
                self.value(at, *value, depth);
                let fields = match region.steps.get(*value).map(|step| &step.data_type) {
                    Some(arrow_schema::DataType::Struct(fields)) => fields.get(*index),
                    _ => None,
                };
                self.push(".");
                self.push(fields.map_or("?", |field| field.name()));
            }
            StepOp::Record(values) => {
                self.push("{");
                self.list(at, values, depth);
                self.push("}");
            }
            StepOp::Both(one, other) => {
                self.value(at, *one, depth);
                self.push(" and ");
                self.value(at, *other, depth);
            }
            StepOp::Either(one, other) => {
                self.value(at, *one, depth);
                self.push(" or ");
                self.value(at, *other, depth);
            }
            StepOp::Aggregate { aggregation, value, .. } => {
                let Aggregation { function, constants: given, window: over } = aggregation;
                self.push(function.name);
                self.push(&constants(given));
                self.push(" of ");
                let op = |reg: &Reg| region.steps.get(*reg).map(|step| &step.op);
                let counted = match op(value) {
                    Some(StepOp::Only { value, .. }) => op(value),
                    other => other,
                };
                // What is never null is counted as points.
                match counted {
                    Some(StepOp::Literal(Scalar::Bool(true))) => self.push("points"),
                    _ => self.value(at, *value, depth),
                }
                self.push(&window(over));
            }
        }
    }
}

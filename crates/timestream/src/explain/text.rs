//! A plan as text: what is read, what each region computes and holds, where keys change, what is shown.
//!
//! One line a step, so that two plans that differ differ in a line. Registers are named `region.step`.

use std::fmt::Write as _;

use arrow_schema::DataType;

use super::{constants, literal, path, read, region_keys, results, scan_keys, test, ticks, window};
use crate::error::printable;
use crate::held::Part;
use crate::plan::{Input, Moves, Plan, Region, Scan, Step, StepOp};
use crate::query::{Aggregation, Own};
use crate::types;

/// A line of a plan as text that something can be said of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line {
    /// The first line of a region.
    Region(usize),
    /// The line of a part of a region that holds something: an aggregation, ticks, a feed. The keys of a
    /// region and its waiting rows have no lines of their own.
    Part(usize, Part),
    /// The first line of the answer.
    Answer,
}

impl Plan {
    /// The plan as lines of text, sources first.
    #[must_use]
    pub fn explain(&self) -> String {
        self.explain_with(|_| None)
    }

    /// The plan as lines of text, with what is to be said of some of them after them, in brackets.
    #[must_use]
    pub fn explain_with(&self, say: impl Fn(Line) -> Option<String>) -> String {
        let say = |line| say(line).map_or_else(String::new, |said| format!("  [{said}]"));
        let mut out = String::new();
        for (at, scan) in self.scans.iter().enumerate() {
            out.push_str(&explain_scan(at, scan));
        }
        for at in 0..self.regions.len() {
            out.push_str(&self.explain_region(at, &say));
        }
        out.push_str(&self.explain_output(&say(Line::Answer)));
        out
    }

    fn explain_region(&self, at: usize, say: &dyn Fn(Line) -> String) -> String {
        let region = &self.regions[at];
        let keys = region_keys(region);
        let held = region.steps.iter().filter(|step| matches!(step.op, StepOp::Aggregate { .. })).count();
        let state = match held {
            0 => "no state".to_owned(),
            1 => "1 state a key".to_owned(),
            many => format!("{many} states a key"),
        };
        let waits = if region.waits { ", rows wait until their time has passed" } else { "" };
        let part = |part| say(Line::Part(at, part));
        let said = say(Line::Region(at));
        let grouping = printable(&region.grouping);
        let mut out = format!("region {at} by `{grouping}`: {keys}, {state}{waits}{said}\n");
        for (number, input) in region.inputs.iter().enumerate() {
            let from = match input {
                Input::Scan(scan) => format!("scan {scan}"),
                Input::Feed { region, feed } => format!("feed {region}.{feed}"),
                Input::Ticks(at) => match region.ticks.get(*at) {
                    None => "?".to_owned(),
                    Some(made) => format!("{}{}", ticks(made), rows(made.present)),
                },
            };
            let said =
                if let Input::Ticks(ticks) = input { part(Part::Ticks(*ticks)) } else { String::new() };
            let _ = writeln!(out, "  input {number}: {from}{said}");
        }
        for (number, step) in region.steps.iter().enumerate() {
            let _ = writeln!(
                out,
                "  r{number} = {}: {}{}",
                self.explain_step(region, step),
                types::name(&step.data_type),
                part(Part::Step(number))
            );
        }
        for (number, feed) in region.feeds.iter().enumerate() {
            let columns: Vec<_> = feed.columns.iter().map(|column| format!("r{column}")).collect();
            let columns = if columns.is_empty() { "nothing".to_owned() } else { columns.join(", ") };
            let moves = match feed.moves {
                Moves::Stay => String::new(),
                Moves::By(duration) => format!(", moved by r{duration}"),
                Moves::To(time) => format!(", moved to r{time}"),
                Moves::Until(mask) => format!(", held until r{mask}"),
                Moves::After { all: true, .. } => ", after all of their time".to_owned(),
                Moves::After { all: false, .. } => ", ticks after all of their time".to_owned(),
                Moves::Back { .. } => ", back to where they stood".to_owned(),
            };
            let _ = writeln!(
                out,
                "  feed {at}.{number}: {columns} by key r{}{}{moves}{}",
                feed.key,
                rows(feed.present),
                part(Part::Feed(number))
            );
        }
        out
    }

    fn explain_step(&self, region: &Region, step: &Step) -> String {
        match &step.op {
            StepOp::Column { input, column } => match region.inputs.get(*input) {
                Some(Input::Scan(scan)) => {
                    let column = self.scans.get(*scan).and_then(|scan| scan.columns.get(*column));
                    column.map_or_else(|| "?".to_owned(), path)
                }
                _ => format!("input {input}, column {column}"),
            },
            StepOp::Present(input) => format!("point of input {input}"),
            StepOp::Own(Own::Key) => "key".to_owned(),
            StepOp::Own(part) => format!("{part:?} of the place"),
            StepOp::Apart { part, of } => {
                let input =
                    |(input, present): &(usize, Option<usize>)| format!("input {input}{}", rows(*present));
                format!("Apart{part:?} of {}", of.iter().map(input).collect::<Vec<_>>().join(", "))
            }
            StepOp::Time => "time".to_owned(),
            StepOp::Literal(scalar) => literal(scalar),
            StepOp::Call { function, args } => {
                let args: Vec<_> = args.iter().map(|arg| format!("r{arg}")).collect();
                format!("{}({})", function.name, args.join(", "))
            }
            StepOp::User { function, args, present } => {
                let args: Vec<_> = args.iter().map(|arg| format!("r{arg}")).collect();
                format!("{}({}){}, the program's own", function.name(), args.join(", "), rows(*present))
            }
            StepOp::Cast(value) => format!("cast r{value}"),
            StepOp::Field { value, index } => match region.steps.get(*value).map(|step| &step.data_type) {
                Some(DataType::Struct(fields)) if *index < fields.len() => {
                    format!("r{value}.{}", printable(fields[*index].name()))
                }
                _ => format!("r{value}.{index}"),
            },
            StepOp::Record(values) => {
                let values: Vec<_> = values.iter().map(|value| format!("r{value}")).collect();
                format!("{{{}}}", values.join(", "))
            }
            StepOp::Only { value, present } => format!("r{value} only at r{present}"),
            StepOp::IsTrue(value) => format!("r{value} is true"),
            StepOp::Both(one, other) => format!("both r{one} and r{other}"),
            StepOp::Either(one, other) => format!("either r{one} or r{other}"),
            StepOp::Aggregate { aggregation, value, present, ends } => {
                let Aggregation { function, constants: given, window: over } = aggregation;
                let (constants, window) = (constants(given), window(over));
                let ends = ends.map_or_else(String::new, |ends| format!(", ends at r{ends}"));
                let at = rows(*present);
                format!("{}{constants} of r{value}{window}{at}{ends}, a state for each key", function.name)
            }
        }
    }

    fn explain_output(&self, said: &str) -> String {
        let mut out = format!("answer: {}{}{said}\n", results(self), rows(self.output.present));
        for (name, reg) in &self.output.columns {
            let _ = writeln!(out, "  {} = r{reg}", printable(name));
        }
        out
    }
}

fn explain_scan(at: usize, scan: &Scan) -> String {
    let name = printable(&scan.stream.name);
    let mut out = format!("scan {at} of {name} (source {}), {}\n", scan.stream.source, scan_keys(scan));
    for column in &scan.columns {
        let _ = writeln!(out, "  {}", read(column));
    }
    for made in &scan.tests {
        let _ = writeln!(out, "  {}", test(scan, made));
    }
    out
}

fn rows(present: Option<usize>) -> String {
    present.map_or_else(String::new, |mask| format!(" at r{mask}"))
}

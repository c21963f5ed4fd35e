//! What a job has done, in numbers.

use std::sync::Arc;

use skytide_timestream::explain::Line;
use skytide_timestream::held::{Held, Part};
use skytide_timestream::plan::Plan;

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
    /// What is held for the results: a row a key for a snapshot that comes at the end.
    pub results: Held,
    /// Whether it was [cut short](crate::Job::heed), so that the last of what it was given is left out.
    pub is_cut: bool,
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
    /// What each part of it holds, in the order of [`Plan::parts`].
    pub parts: Vec<PartReport>,
    /// Whole-number results beyond their type, which became null (SEMANTICS 2.3).
    pub overflows: u64,
    /// Values that did not fit their type, which became null (SEMANTICS 2.6).
    pub misfits: u64,
    /// Points that would have moved back in time, or nowhere, and were dropped (SEMANTICS 6.1).
    pub moved_back: u64,
    /// Points that are held until a condition is true of their key; at the end they are dropped.
    pub held: u64,
}

/// What a part of a region holds: an aggregation with its window, ticks to come, points on their way, rows that wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartReport {
    /// The part.
    pub part: Part,
    /// What it is called in `explain`: `r4`, `feed 0.1`, `input 2`; `keys` and `rows` of the region as such.
    pub label: String,
    /// What it is in words: `count of points over the last 1h`.
    pub words: String,
    /// What it holds.
    pub held: Held,
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

    /// Points whose time has not come, over all regions: those that are moved to a later time, and rows that
    /// wait until all of theirs are here. At the end of a job they are in no answer.
    #[must_use]
    pub fn not_due(&self) -> u64 {
        self.regions.iter().map(RegionReport::not_due).sum()
    }

    /// Bytes of state, over all operators.
    #[must_use]
    pub fn state_bytes(&self) -> usize {
        self.results.bytes + self.regions.iter().map(RegionReport::state_bytes).sum::<usize>()
    }

    /// The plan as text with what each region did, and what its parts and the answer hold.
    #[must_use]
    pub fn explain(&self, plan: &Plan) -> String {
        plan.explain_with(|line| match line {
            Line::Region(at) => self.regions.get(at).map(RegionReport::said),
            Line::Part(region, part) => self.regions.get(region)?.held(part).map(said),
            Line::Answer => {
                let held =
                    if self.results == Held::default() { String::new() } else { said(self.results) + ", " };
                Some(format!(
                    "{held}{} out, {} of state in all",
                    rows(self.rows_out),
                    bytes(self.state_bytes())
                ))
            }
        })
    }
}

impl RegionReport {
    /// A region that has done nothing yet.
    pub(crate) fn new(plan: &Plan, region: usize) -> Self {
        let part = |part| PartReport {
            part,
            label: plan.part_label(region, part),
            words: plan.part_words(region, part),
            held: Held::default(),
        };
        Self {
            grouping: plan.regions[region].grouping.clone(),
            parts: plan.parts(region).into_iter().map(part).collect(),
            ..Self::default()
        }
    }

    /// Keys that state is held for.
    #[must_use]
    pub fn keys(&self) -> usize {
        self.held(Part::Keys).map_or(0, |held| held.keys)
    }

    /// Points whose time has not come. Those that are held until a condition is true have none.
    #[must_use]
    pub fn not_due(&self) -> u64 {
        let waits = |report: &&PartReport| matches!(report.part, Part::Feed(_) | Part::Waiting);
        let points: usize = self.parts.iter().filter(waits).map(|report| report.held.points).sum();
        (points as u64).saturating_sub(self.held)
    }

    /// Bytes of state, over all parts.
    #[must_use]
    pub fn state_bytes(&self) -> usize {
        self.parts.iter().map(|part| part.held.bytes).sum()
    }

    /// What a part holds; none of one that the region does not have.
    #[must_use]
    pub fn held(&self, part: Part) -> Option<Held> {
        self.parts.iter().find(|report| report.part == part).map(|report| report.held)
    }

    /// What it did, and what of it has no line of its own.
    fn said(&self) -> String {
        let mut out = format!("{} in, {} out", rows(self.rows_in), number(self.rows_out));
        if let Some(keys) = self.held(Part::Keys) {
            out.push_str(&format!(", {} of keys", said(keys)));
        }
        if let Some(waiting) = self.held(Part::Waiting) {
            out.push_str(&format!(", waiting: {}", said(waiting)));
        }
        out
    }
}

/// What is held, in words.
fn said(held: Held) -> String {
    let points = match held.points {
        0 => String::new(),
        1 => "1 point, ".to_owned(),
        many => format!("{} points, ", number(many as u64)),
    };
    let keys = if held.keys == 1 { "1 key".to_owned() } else { format!("{} keys", number(held.keys as u64)) };
    format!("{points}{keys}, {}", bytes(held.bytes))
}

fn rows(count: u64) -> String {
    if count == 1 { "1 row".to_owned() } else { format!("{} rows", number(count)) }
}

/// A number with its thousands apart: `1,234,567`.
fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A number of bytes: `512 B`, `1.5 KiB`, `3.0 GiB`.
fn bytes(bytes: usize) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB"];
    let mut size = bytes as f64;
    let mut of = "B";
    for unit in units {
        if size < 1023.95 {
            break;
        }
        (size, of) = (size / 1024.0, unit);
    }
    if of == "B" { format!("{bytes} B") } else { format!("{size:.1} {of}") }
}

#[cfg(test)]
mod tests {
    use super::{bytes, number};

    #[test]
    fn numbers_are_read_by_people() {
        let numbers = [0, 7, 999, 1000, 12_345, 123_456, 1_234_567].map(number);
        assert_eq!(numbers, ["0", "7", "999", "1,000", "12,345", "123,456", "1,234,567"]);
        let sizes = [0, 1023, 1024, 1536, 1_048_575, 1 << 20, 5 << 30].map(bytes);
        assert_eq!(sizes, ["0 B", "1023 B", "1.0 KiB", "1.5 KiB", "1.0 MiB", "1.0 MiB", "5.0 GiB"]);
    }
}

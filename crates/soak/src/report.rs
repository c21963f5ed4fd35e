//! The table of a run.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::driver::{Life, Run};
use crate::judge;
use crate::log::{Gap, Line};

/// What happened, a line each.
pub(crate) fn table(run: &Run) -> String {
    let mut rows: Vec<(String, String)> = Vec::new();
    let mut row = |name: &str, value: String| rows.push((name.to_owned(), value));
    let written = run.sink.iter().filter(|sum| **sum != 0).count() as u64;
    let seconds = run.took.as_secs_f64();
    row("events", format!("{written} of {}", run.events));
    row("written again", run.lives.iter().map(|life| life.unsaved).sum::<u64>().to_string());
    row("seconds", format!("{seconds:.1}, {:.0} events/s", written as f64 / seconds));
    row("kills", run.lives.iter().filter(|life| life.killed.is_some()).count().to_string());
    row("connections", format!("{}, and {} refused", run.relay.connections, run.relay.refused));
    row("sent", format!("{} frames, {} MB", run.relay.sent, run.relay.sent_bytes / 1_000_000));
    row(
        "memory",
        match judge::memory(run) {
            Some((tenth, end, peak)) => {
                format!(
                    "{tenth} KiB after a tenth of the last life, {end} KiB at its end; at most {peak} KiB"
                )
            }
            None => "not told by this system".to_owned(),
        },
    );
    row("ledger", join(&gaps(&run.lives)));
    row("faults", join(&count(run.fired.iter().map(|fired| fired.kind().name()))));
    for count in judge::counts(run) {
        row(count.name, format!("{} met, {} fired", count.met, count.fired));
    }
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    let mut out = String::new();
    for (name, value) in rows {
        // A String takes everything.
        let _written = writeln!(out, "{name:>width$}  {value}");
    }
    out
}

/// Ledger entries by cause.
fn gaps(lives: &[Life]) -> BTreeMap<&'static str, u64> {
    count(lives.iter().flat_map(|life| &life.lines).filter_map(|line| match line {
        Line::Gap { gap, .. } => Some(match gap {
            Gap::Reconnected { .. } => "reconnected",
            Gap::OutdatedCursor => "outdated cursor",
            Gap::Quarantined => "quarantined",
            Gap::Oversized => "oversized",
            Gap::Other => "other",
        }),
        _ => None,
    }))
}

fn count<'a>(names: impl Iterator<Item = &'a str>) -> BTreeMap<&'a str, u64> {
    let mut counts = BTreeMap::new();
    names.for_each(|name| *counts.entry(name).or_default() += 1);
    counts
}

fn join(counts: &BTreeMap<&str, u64>) -> String {
    counts.iter().map(|(name, count)| format!("{name} {count}")).collect::<Vec<_>>().join(", ")
}

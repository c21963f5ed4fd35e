//! What is wrong with a run: what is missing from the sink, and what no fault and no kill explains.
//!
//! A fault fires when the relay sends it; that the client has met it is only certain if nothing took the rest
//! of the connection away: a reset, or a kill. So the client may have met fewer than fired, but only of
//! those, and never more.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use skytide_sim::{ConnectFault, Fault, FaultKind, Fired, FrameFault};

use crate::driver::{Life, Run};
use crate::faults;
use crate::log::{Gap, How, Line};

/// KiB that the last life may grow by, from its first tenth to its end.
pub(crate) const GROWTH: u64 = 8 << 10;

/// So many things of a kind are told one by one.
const TOLD: usize = 5;

/// Everything that is wrong, a line or more each; nothing if the run was good.
pub(crate) fn judge(run: &Run) -> Vec<String> {
    let mut wrong: Vec<String> = run.cut_short.iter().cloned().collect();
    if run.fired.len() as u64 != run.faults {
        wrong.push(format!("{} faults fired, of which only {} are told", run.faults, run.fired.len()));
    }
    wrong.extend(missing(run));
    for (life, number) in run.lives.iter().zip(1..) {
        wrong.extend(
            one_life(life, run.events).into_iter().map(|why| format!("life {number} of the client: {why}")),
        );
    }
    wrong.extend(faults_that_never_fired(run));
    wrong.extend(explained(run));
    wrong.extend(connections(run));
    wrong.extend(grown(run));
    wrong
}

/// Every event is in the sink, byte for byte as it was made.
fn missing(run: &Run) -> Vec<String> {
    let mut wrong = Vec::new();
    if run.made.len() as u64 != run.events {
        wrong.push(format!("the relay made {} events of {}", run.made.len(), run.events));
    }
    let written = |at: usize| run.sink.get(at).copied().unwrap_or_default();
    let of_kind = |is: &dyn Fn(u64, u64) -> bool| {
        let seqs = run.made.iter().enumerate().filter(|(at, made)| is(**made, written(*at)));
        ranges(seqs.map(|(at, _)| at as u64 + 1))
    };
    for (what, ranges) in [
        ("missing", of_kind(&|_, written| written == 0)),
        ("other than they were made", of_kind(&|made, written| written != 0 && written != made)),
    ] {
        let count: u64 = ranges.iter().map(|range| range.end() - range.start() + 1).sum();
        if count == 0 {
            continue;
        }
        let mut text = format!("{count} events are {what}, in {} places", ranges.len());
        for range in ranges.iter().take(TOLD) {
            text += &format!("\n  {} to {}{}", range.start(), range.end(), near(run, range));
        }
        wrong.push(text);
    }
    if run.sink.len() > run.made.len() {
        wrong.push(format!("the sink has {} slots, {} events were made", run.sink.len(), run.made.len()));
    }
    wrong
}

/// Consecutive numbers as ranges.
fn ranges(seqs: impl Iterator<Item = u64>) -> Vec<RangeInclusive<u64>> {
    let mut ranges: Vec<RangeInclusive<u64>> = Vec::new();
    for seq in seqs {
        match ranges.last_mut() {
            Some(last) if *last.end() + 1 == seq => *last = *last.start()..=seq,
            _ => ranges.push(seq..=seq),
        }
    }
    ranges
}

/// The faults and the kills near some events.
fn near(run: &Run, range: &RangeInclusive<u64>) -> String {
    const NEAR: u64 = 64;
    let (from, to) = (range.start().saturating_sub(NEAR), range.end().saturating_add(NEAR));
    let touches = |first: u64, last: u64| first <= to && from <= last;
    let faults = run.fired.iter().filter(|fired| {
        let at = fired.frame.and_then(|frame| frame.seq).is_some_and(|seq| touches(seq, seq));
        at || fired.seqs.as_ref().is_some_and(|seqs| touches(*seqs.start(), *seqs.end()))
    });
    let mut text: String = faults.take(TOLD).map(|fired| format!("\n    near: {fired}")).collect();
    for (life, number) in run.lives.iter().zip(1..) {
        if life.began.is_some_and(|began| touches(began, began)) {
            text += &format!("\n    near: life {number} began after {}", life.began.unwrap_or_default());
        }
    }
    text
}

/// What one life says of itself.
fn one_life(life: &Life, events: u64) -> Vec<String> {
    let mut wrong = Vec::new();
    let (mut connected, mut reconnected) = (0_u64, 0_u64);
    for line in &life.lines {
        match line {
            Line::Connected { cursor } => {
                connected += 1;
                if cursor.is_none() {
                    wrong.push(
                        "a connection was asked to be live, which leaves out what came before".to_owned(),
                    );
                }
            }
            Line::Gap { gap: Gap::Reconnected { asked, first }, text } => {
                reconnected += 1;
                // Numbers have no holes here: what comes first is the one asked for, the one after it, or one before.
                let whole = asked.is_some_and(|asked| first.is_none_or(|first| first <= asked + 1));
                if !whole || asked.is_some_and(|asked| asked > events) {
                    wrong.push(format!("the ledger: {text}"));
                }
            }
            Line::Gap { gap: Gap::Other, text } => wrong.push(format!("the ledger: {text}")),
            Line::Jumped { expected, got } => {
                wrong.push(format!("was handed event {got} in place of {expected}"));
            }
            Line::Failed { how: How::Other, text } | Line::Lost { how: How::Other, text } => {
                wrong.push(format!("no fault is like this: {text}"));
            }
            Line::Gap { .. } | Line::Failed { .. } | Line::Lost { .. } | Line::Ended { .. } => {}
        }
    }
    // The last reconnect is entered when its first number comes: a kill may be earlier.
    let expected = connected.saturating_sub(1);
    let fewest = expected.saturating_sub(u64::from(life.killed.is_some()));
    if !(fewest..=expected).contains(&reconnected) {
        wrong.push(format!("{connected} connections, but {reconnected} reconnects in the ledger"));
    }
    wrong
}

/// Every fault has its place in the script: one that did not fire was not tried.
fn faults_that_never_fired(run: &Run) -> Option<String> {
    let fired: BTreeSet<FaultKind> = run.fired.iter().map(Fired::kind).collect();
    let kinds: BTreeSet<FaultKind> = faults::each().iter().map(Fault::kind).collect();
    let missing: Vec<_> = kinds.difference(&fired).map(|kind| kind.name()).collect();
    (!missing.is_empty()).then(|| format!("these faults never fired: {}", missing.join(", ")))
}

/// What clients tell of faults, and which faults each can be.
struct Kind {
    name: &'static str,
    fired: fn(&Fault) -> bool,
    met: fn(&Line) -> bool,
    /// The client's own clock may say so, too, if the relay is late.
    is_timeout: bool,
}

const KINDS: [Kind; 10] = [
    Kind {
        name: "frames that do not decode",
        fired: |fault| {
            matches!(fault.kind(), FaultKind::Garbage | FaultKind::Truncated | FaultKind::ThreeItems)
        },
        met: |line| matches!(line, Line::Gap { gap: Gap::Quarantined, .. }),
        is_timeout: false,
    },
    Kind {
        name: "messages that are too large",
        fired: |fault| fault.kind() == FaultKind::Oversized,
        met: |line| matches!(line, Line::Gap { gap: Gap::Oversized, .. }),
        is_timeout: false,
    },
    Kind {
        name: "cursors said to be outdated",
        fired: |fault| fault.kind() == FaultKind::Info,
        met: |line| matches!(line, Line::Gap { gap: Gap::OutdatedCursor, .. }),
        is_timeout: false,
    },
    Kind {
        name: "connections closed with a code",
        fired: |fault| fault.kind() == FaultKind::Close,
        met: |line| matches!(line, Line::Lost { how: How::Closed, .. }),
        is_timeout: false,
    },
    Kind {
        name: "connections broken off",
        fired: |fault| matches!(fault.kind(), FaultKind::Disconnect | FaultKind::Reset),
        met: |line| matches!(line, Line::Lost { how: How::Broken, .. }),
        is_timeout: false,
    },
    Kind {
        name: "connections ended as too slow",
        fired: |fault| fault.kind() == FaultKind::Error,
        met: |line| matches!(line, Line::Lost { how: How::TooSlow, .. }),
        is_timeout: false,
    },
    Kind {
        name: "connections given up as silent",
        fired: |fault| matches!(fault, Fault::Frame(FrameFault::Stall { lasting: None })),
        met: |line| matches!(line, Line::Lost { how: How::Silent, .. }),
        is_timeout: true,
    },
    Kind {
        name: "attempts answered with a status",
        fired: |fault| fault.kind() == FaultKind::Answer,
        met: |line| matches!(line, Line::Failed { how: How::Status, .. }),
        is_timeout: false,
    },
    Kind {
        name: "attempts without an answer",
        fired: |fault| matches!(fault, Fault::Connect(ConnectFault::Mute)),
        met: |line| matches!(line, Line::Failed { how: How::NoAnswer, .. }),
        is_timeout: true,
    },
    Kind {
        name: "attempts broken off",
        fired: |fault| matches!(fault, Fault::Connect(ConnectFault::Refuse)),
        met: |line| matches!(line, Line::Failed { how: How::Broken, .. }),
        is_timeout: false,
    },
];

/// How often something fired and was met.
pub(crate) struct Count {
    pub(crate) name: &'static str,
    pub(crate) fired: u64,
    /// Of those, how many on connections of which the client may not have met the rest.
    hidden: u64,
    pub(crate) met: u64,
    is_timeout: bool,
}

impl Count {
    /// How often the client's own clock said so.
    fn late(&self) -> u64 {
        if self.is_timeout { self.met.saturating_sub(self.fired) } else { 0 }
    }
}

/// What was met of what fired.
pub(crate) fn counts(run: &Run) -> Vec<Count> {
    let hidden = hidden(run);
    let count = |kind: &Kind| {
        let fired: Vec<_> = run.fired.iter().filter(|fired| (kind.fired)(&fired.fault)).collect();
        let hides = |fired: &&&Fired| {
            let connection = fired.connection.unwrap_or_default();
            hidden.killed.contains(&connection)
                // What ends a connection is met, however it does.
                || (hidden.reset.contains(&connection) && fired.kind() != FaultKind::Reset)
        };
        Count {
            name: kind.name,
            hidden: fired.iter().filter(hides).count() as u64,
            fired: fired.len() as u64,
            met: lines(run).filter(|line| (kind.met)(line)).count() as u64,
            is_timeout: kind.is_timeout,
        }
    };
    KINDS.iter().map(count).collect()
}

/// Connections of which the client may not have met all.
struct Hidden {
    killed: BTreeSet<u64>,
    reset: BTreeSet<u64>,
}

fn hidden(run: &Run) -> Hidden {
    // At a kill the last that was counted is open, or one is being made, or was taken from the system's queue
    // only then.
    let killed = run.lives.iter().filter_map(|life| life.killed).flat_map(|counted| counted..=counted + 2);
    let reset = run.fired.iter().filter(|fired| fired.kind() == FaultKind::Reset);
    Hidden { killed: killed.collect(), reset: reset.filter_map(|fired| fired.connection).collect() }
}

fn lines(run: &Run) -> impl Iterator<Item = &Line> {
    run.lives.iter().flat_map(|life| &life.lines)
}

/// Nothing is met that did not fire, and all that fired is met.
fn explained(run: &Run) -> Vec<String> {
    let counts = counts(run);
    // Of a connection that the client gave up by its own clock, it has not met the rest.
    let late: u64 = counts.iter().map(Count::late).sum();
    let mut wrong = Vec::new();
    for count in counts {
        let Count { name, fired, hidden, met, is_timeout } = count;
        if met > fired && !is_timeout {
            wrong.push(format!("{name}: {met}, but only {fired} faults explain them"));
        }
        if met < fired - hidden && late == 0 {
            wrong.push(format!("{name}: {met}, but {fired} fired, {hidden} of them near a kill or a reset"));
        }
    }
    if run.relay.too_slow > 0 {
        wrong.push(format!("{} times the client fell out of the relay's window", run.relay.too_slow));
    }
    wrong
}

/// The relay and the client count the same connections, but for those that a kill, or the client's clock, cut
/// off as they were made.
fn connections(run: &Run) -> Option<String> {
    let connected = lines(run).filter(|line| matches!(line, Line::Connected { .. })).count() as u64;
    let kills = run.lives.iter().filter(|life| life.killed.is_some()).count() as u64;
    let late: u64 = counts(run).iter().map(Count::late).sum();
    let counted = run.relay.connections;
    let most = connected + kills + late;
    (!(connected..=most).contains(&counted)).then(|| {
        format!("the relay counts {counted} connections, the client {connected} in {kills} killed lives")
    })
}

/// KiB of the last life's memory after its first tenth, at its end, and the most of any life.
pub(crate) fn memory(run: &Run) -> Option<(u64, u64, u64)> {
    let life = run.lives.last()?;
    let tenth = life.memory.iter().find(|(reached, _)| {
        let began = life.began.unwrap_or_default();
        *reached >= began + run.events.saturating_sub(began) / 10
    })?;
    let end = life.memory.last()?;
    let peak = run.lives.iter().flat_map(|life| &life.memory).map(|(_, memory)| memory.peak).max()?;
    Some((tenth.1.now, end.1.now, peak))
}

fn grown(run: &Run) -> Option<String> {
    let (tenth, end, _) = memory(run)?;
    (end > tenth + GROWTH).then(|| format!("the memory of the last life grew from {tenth} KiB to {end} KiB"))
}

#[cfg(test)]
mod tests;

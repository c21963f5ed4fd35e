//! Runs that went wrong in one way each: none of them is found good.

use std::time::Duration;

use skytide_sim::{FiredAt, RelayCounters};

use super::*;
use crate::memory::Memory;

const EVENTS: u64 = 1_000;

fn fired(fault: Fault, connection: u64, seq: u64) -> Fired {
    let frame = matches!(fault, Fault::Frame(_)).then_some(FiredAt {
        of_stream: seq,
        of_connection: Some(1),
        seq: Some(seq),
    });
    Fired { fault, connection: Some(connection), stream: None, frame, seqs: None }
}

fn gap(gap: Gap) -> Line {
    Line::Gap { gap, text: "a gap".to_owned() }
}

fn reconnected(asked: u64, first: u64) -> Line {
    gap(Gap::Reconnected { asked: Some(asked), first: Some(first) })
}

fn lost(how: How) -> Line {
    Line::Lost { how, text: "lost".to_owned() }
}

fn failed(how: How) -> Line {
    Line::Failed { how, text: "failed".to_owned() }
}

fn connected(cursor: u64) -> Line {
    Line::Connected { cursor: Some(cursor) }
}

/// A run that met each fault once, and then a kill on connection 100.
fn good() -> Run {
    let fired: Vec<_> =
        faults::each().into_iter().zip(1..).map(|(fault, at)| fired(fault, at, at * 10)).collect();
    let each = |how: &dyn Fn(&Fault) -> bool, line: Line| {
        let met = fired.iter().filter(|fired| how(&fired.fault)).count();
        std::iter::repeat_n(line, met)
    };
    let kind = |line: Line, is: fn(&Fault) -> bool| each(&is, line);
    let mut first = vec![connected(0)];
    first.extend(kind(gap(Gap::Quarantined), KINDS[0].fired));
    first.extend(kind(gap(Gap::Oversized), KINDS[1].fired));
    first.extend(kind(gap(Gap::OutdatedCursor), KINDS[2].fired));
    for (place, how) in [(3, How::Closed), (4, How::Broken), (5, How::TooSlow), (6, How::Silent)] {
        for line in kind(lost(how), KINDS[place].fired) {
            first.extend([line, connected(10), reconnected(10, 11)]);
        }
    }
    first.extend(kind(failed(How::Status), KINDS[7].fired));
    first.extend(kind(failed(How::NoAnswer), KINDS[8].fired));
    first.extend(kind(failed(How::Broken), KINDS[9].fired));
    let last = vec![connected(400), Line::Ended { repeated: 3 }];
    let counted = [&first, &last].into_iter().flatten();
    let connections = counted.filter(|line| matches!(line, Line::Connected { .. })).count() as u64;
    let memory = |now| Memory { now, peak: 9_000 };
    Run {
        events: EVENTS,
        lives: vec![
            Life { lines: first, killed: Some(100), ..Life::default() },
            Life {
                began: Some(400),
                lines: last,
                memory: vec![(400, memory(2_000)), (470, memory(7_000)), (EVENTS, memory(7_100))],
                ..Life::default()
            },
        ],
        made: (1..=EVENTS).collect(),
        sink: (1..=EVENTS).collect(),
        faults: fired.len() as u64,
        fired,
        relay: RelayCounters { connections, ..RelayCounters::default() },
        took: Duration::from_secs(1),
        cut_short: None,
    }
}

/// What is said of the good run with one thing changed.
fn said(change: impl FnOnce(&mut Run)) -> String {
    let mut run = good();
    change(&mut run);
    judge(&run).join("\n")
}

#[test]
fn a_good_run_is_good() {
    assert_eq!(said(|_| {}), "");
}

#[test]
fn what_is_missing_is_named_with_what_was_near() {
    let text = said(|run| {
        run.sink[99] = 0;
        run.sink[100] = 0;
        run.sink[410] = 7;
    });
    assert!(
        text.contains("2 events are missing, in 1 places\n  100 to 101\n    near: connection "),
        "{text}"
    );
    assert!(text.contains("1 events are other than they were made, in 1 places\n  411 to 411"), "{text}");
    assert!(text.contains("near: life 2 began after 400"), "{text}");
    assert!(said(|run| run.sink.truncate(998)).contains("999 to 1000"));
    assert!(said(|run| run.made.truncate(998)).contains("made 998 events of 1000"));
}

#[test]
fn what_no_fault_explains_is_found() {
    type Change = fn(&mut Run);
    let changes: [(&str, Change); 15] = [
        ("life 1 of the client: ended", |run| run.cut_short = Some("life 1 of the client: ended".to_owned())),
        ("only 4 are told", |run| run.fired.truncate(4)),
        ("the ledger: a gap", |run| run.lives[1].lines.extend([connected(500), reconnected(500, 502)])),
        ("the ledger: a gap", |run| run.lives[1].lines.push(gap(Gap::Other))),
        ("2 connections, but 0 reconnects", |run| run.lives[1].lines.push(connected(500))),
        ("event 9 in place of 8", |run| run.lives[1].lines.push(Line::Jumped { expected: 8, got: 9 })),
        ("asked to be live", |run| run.lives[1].lines.push(Line::Connected { cursor: None })),
        ("no fault is like this", |run| run.lives[1].lines.push(lost(How::Other))),
        ("only 3 faults explain them", |run| run.lives[1].lines.push(gap(Gap::Quarantined))),
        ("broken off: 3, but only 2 faults", |run| run.lives[1].lines.push(lost(How::Broken))),
        ("too large: 0, but 1 fired", |run| run.lives[0].lines.retain(|line| *line != gap(Gap::Oversized))),
        ("never fired: ping", |run| {
            run.fired.retain(|fired| fired.kind() != FaultKind::Ping);
            run.faults -= 1;
        }),
        ("out of the relay's window", |run| run.relay.too_slow = 1),
        ("the relay counts", |run| run.relay.connections += 2),
        ("grew from 7000 KiB", |run| run.lives[1].memory[2].1.now += GROWTH),
    ];
    for (expected, change) in changes {
        let text = said(change);
        assert!(text.contains(expected), "{expected}: {text}");
    }
}

#[test]
fn what_a_kill_or_a_reset_took_away_need_not_be_met() {
    let oversized = |connection| {
        move |run: &mut Run| {
            run.fired.push(fired(FaultKind::Oversized.fault(), connection, 500));
            run.faults += 1;
        }
    };
    let reset =
        good().fired.iter().find(|fired| fired.kind() == FaultKind::Reset).and_then(|fired| fired.connection);
    for connection in [100, 101, reset.unwrap()] {
        assert_eq!(said(oversized(connection)), "", "connection {connection}");
    }
    assert!(said(oversized(50)).contains("messages that are too large: 1, but 2 fired"));
}

#[test]
fn a_late_relay_is_no_fault_of_the_client() {
    let late = said(|run| {
        run.lives[1].lines.extend([lost(How::Silent), connected(500), reconnected(500, 500)]);
        run.relay.connections += 2;
    });
    assert_eq!(late, "");
}

//! What is due when: the faults of one connection, from the script and by chance.
//!
//! A connection has a stream of chance of its own, so that what it meets does not depend on what others do meanwhile.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::sync::Arc;

use super::{ConnectFault, Faults, FrameFault, Line, Log};
use crate::relay::CursorRule;
use crate::rng::Chance;

/// A rate is so many in this.
const MILLION: u64 = 1_000_000;

/// The codes that servers were seen to close with.
const CLOSE_CODES: [u16; 7] = [1000, 1001, 1008, 1011, 1012, 1013, 4000];

/// The faults of a relay, shared by its connections.
#[derive(Debug)]
pub(in crate::relay) struct Shared {
    faults: Faults,
    /// Faults at frames of the first stream that have not fired, by frame.
    at: RefCell<VecDeque<(u64, FrameFault)>>,
    connections: Cell<u64>,
    pub(in crate::relay) log: Arc<Log>,
}

impl Shared {
    pub(in crate::relay) fn new(faults: Faults, log: Arc<Log>) -> Self {
        let at = by_frame(faults.script.lines.iter().filter_map(|line| match line {
            Line::At { frame, fault } => Some((*frame, fault.clone())),
            Line::On { .. } | Line::Connect { .. } | Line::Renumber { .. } => None,
        }));
        Self { faults, at: RefCell::new(at), connections: Cell::new(0), log }
    }

    /// The faults of the next connection.
    pub(in crate::relay) fn connection(&self) -> Plan<'_> {
        let connection = self.connections.get() + 1;
        self.connections.set(connection);
        let on = by_frame(self.faults.script.lines.iter().filter_map(|line| match line {
            Line::On { connection: which, frame, fault } if which.holds(connection) => {
                Some((*frame, fault.clone()))
            }
            _ => None,
        }));
        let chance = Chance::new(self.faults.seed, connection);
        Plan { shared: self, connection, chance, on, frames: 0, drawn: None }
    }
}

/// In the order of frames, and of the script within a frame.
fn by_frame(faults: impl Iterator<Item = (u64, FrameFault)>) -> VecDeque<(u64, FrameFault)> {
    let mut faults: Vec<_> = faults.collect();
    faults.sort_by_key(|(frame, _)| *frame);
    faults.into()
}

/// Whether the frame of the first fault has come.
fn has_come(faults: &VecDeque<(u64, FrameFault)>, frame: u64) -> bool {
    faults.front().is_some_and(|(at, _)| *at <= frame)
}

/// Takes the first fault if its frame has come.
fn take(faults: &mut VecDeque<(u64, FrameFault)>, frame: u64) -> Option<FrameFault> {
    faults.pop_front_if(|(at, _)| *at <= frame).map(|(_, fault)| fault)
}

/// The faults of one connection.
#[derive(Debug)]
pub(in crate::relay) struct Plan<'a> {
    pub(in crate::relay) shared: &'a Shared,
    pub(in crate::relay) connection: u64,
    pub(in crate::relay) chance: Chance,
    /// What the script holds for frames of this connection.
    on: VecDeque<(u64, FrameFault)>,
    /// Frames of the connection, the one at hand included.
    pub(in crate::relay) frames: u64,
    /// What chance holds for the frame at hand.
    drawn: Option<FrameFault>,
}

/// What a connection meets.
#[derive(Debug, Default)]
pub(in crate::relay) struct Met {
    /// It is not served, in this way.
    pub(in crate::relay) refusal: Option<ConnectFault>,
    /// Frames before the cursor that are sent again.
    pub(in crate::relay) duplicates: Option<u64>,
    /// Frames after the cursor that are lost.
    pub(in crate::relay) gap: Option<u64>,
    /// The cursor is read by another rule: this, or the one that is not the relay's.
    pub(in crate::relay) rule: Option<Option<CursorRule>>,
    /// Events that come again where a Jetstream goes over to live.
    pub(in crate::relay) seam: Option<u64>,
}

impl Plan<'_> {
    /// What the connection meets. To be asked once, first.
    pub(in crate::relay) fn meets(&mut self) -> Met {
        let faults = &self.shared.faults;
        let drawn = self.draw(&faults.rates.connects);
        let scripted = faults.script.lines.iter().filter_map(|line| match line {
            Line::Connect { connection, fault } if connection.holds(self.connection) => Some(fault),
            _ => None,
        });
        let mut met = Met::default();
        let all: Vec<_> = scripted.cloned().chain(drawn).collect();
        for fault in all {
            let mut some = |frames: Option<u64>| frames.or_else(|| Some(1 + self.chance.below(32)));
            match fault {
                ConnectFault::Answer { .. } | ConnectFault::Mute | ConnectFault::Refuse => {
                    met.refusal.get_or_insert(fault);
                }
                ConnectFault::Duplicates { frames } => met.duplicates = some(frames),
                ConnectFault::Gap { frames } => met.gap = some(frames),
                ConnectFault::Cursor { rule } => met.rule = Some(rule),
                ConnectFault::Seam { events } => met.seam = some(events),
            }
        }
        met
    }

    /// Goes on to the connection's next frame.
    pub(in crate::relay) fn next_frame(&mut self) {
        self.frames += 1;
        self.drawn = self.draw(&self.shared.faults.rates.frames);
    }

    /// Whether [`Plan::due`] has one.
    pub(in crate::relay) fn is_due(&self, of_stream: Option<u64>) -> bool {
        of_stream.is_some_and(|frame| has_come(&self.shared.at.borrow(), frame))
            || has_come(&self.on, self.frames)
            || self.drawn.is_some()
    }

    /// The next fault at the frame at hand, until there are no more. `of_stream` is its number in the stream,
    /// if that is the one the script means.
    pub(in crate::relay) fn due(&mut self, of_stream: Option<u64>) -> Option<FrameFault> {
        let at = of_stream.and_then(|frame| take(&mut self.shared.at.borrow_mut(), frame));
        at.or_else(|| take(&mut self.on, self.frames)).or_else(|| self.drawn.take())
    }

    /// At most one of these, each by its rate.
    fn draw<T: Clone>(&mut self, rates: &[(T, u32)]) -> Option<T> {
        if rates.is_empty() {
            return None;
        }
        let mut left = self.chance.below(MILLION);
        for (fault, rate) in rates {
            match left.checked_sub(u64::from(*rate)) {
                None => return Some(fault.clone()),
                Some(rest) => left = rest,
            }
        }
        None
    }

    /// The same fault with everything drawn that it leaves open, and cut to what a message of this length
    /// allows, header included, and its payload.
    pub(in crate::relay) fn settle(
        &mut self,
        fault: FrameFault,
        message: usize,
        payload: usize,
    ) -> FrameFault {
        let chance = &mut self.chance;
        let mut within = |after: Option<u64>, most: usize| {
            let most = most as u64;
            Some(after.map_or_else(|| chance.below(most + 1), |after| after.min(most)))
        };
        match fault {
            FrameFault::Disconnect { after } => FrameFault::Disconnect { after: within(after, message) },
            FrameFault::Reset { after } => FrameFault::Reset { after: within(after, message) },
            FrameFault::Truncated { after } => {
                FrameFault::Truncated { after: within(after, payload.saturating_sub(1)) }
            }
            FrameFault::Close { code: None } => {
                FrameFault::Close { code: chance.pick(&CLOSE_CODES).copied() }
            }
            FrameFault::Garbage { bytes: None } => {
                FrameFault::Garbage { bytes: Some(1 + chance.index(256) as u16) }
            }
            FrameFault::Fragmented { parts } => FrameFault::Fragmented {
                parts: Some(parts.map_or_else(|| 2 + chance.index(4) as u16, |it| it.max(1))),
            },
            FrameFault::Slow { bytes_per_second, lasting } => {
                FrameFault::Slow { bytes_per_second: bytes_per_second.max(1), lasting }
            }
            other => other,
        }
    }
}

//! Faults of the transport that a relay is to show: by rates, so many in a million, and by a script, each at
//! its place.
//!
//! Faults never change what the stream is: messages that have no place in it are sent beside its frames, and
//! a connection that is broken may be taken up again from its cursor. The two that do are
//! [`ConnectFault::Gap`], which loses frames on purpose and says which, and [`FaultScript::renumber`], after
//! which old cursors mean nothing.
//!
//! A Jetstream meets them as the frames do: each event is a message and counts as a frame of its connection,
//! `at N` means the events of the stream's N-th frame, and numbers are times in microseconds. There,
//! [`FrameFault::Truncated`] cuts the event, [`FrameFault::Oversized`] begins as an event does, and
//! [`FrameFault::Error`] is a close with 1008 and the error's name as the reason. [`FrameFault::ThreeItems`],
//! [`FrameFault::UnknownOp`], [`FrameFault::UnknownType`] and [`FrameFault::Info`] are nothing there: where
//! one is due, it passes without a trace.
//!
//! All of it has a text form, for the flags and files of programs: [`FaultRates`] in one line,
//! [`FaultScript`] a line each.
//!
//! ```
//! use skytide_sim::{ConnectFault, Faults, FrameFault, FaultRates, FaultScript};
//!
//! let rates: FaultRates = "reset=20, garbage=100, close 1013=5".parse()?;
//! let script: FaultScript = "
//!     at 120 reset after 33 bytes            # the stream's 120th frame, whoever is sent it first
//!     on 2 at 5 slow 2000 bytes/s for 1s     # the second connection's fifth frame
//!     on every at 500 ping
//!     connect 3 answer 503 retry-after 1
//! ".parse()?;
//! assert_eq!(script, FaultScript::default()
//!     .at(120, FrameFault::Reset { after: Some(33) })
//!     .on(2, 5, FrameFault::Slow { bytes_per_second: 2000, lasting: std::time::Duration::from_secs(1) })
//!     .on_every(500, FrameFault::Ping)
//!     .connect(3, ConnectFault::Answer { status: 503, retry_after: Some(1), html: false }));
//! let faults = Faults::new(7).rates(rates).script(script);
//! # Ok::<(), skytide_sim::FaultSyntaxError>(())
//! ```

mod fired;
mod kind;
mod plan;
mod text;

use std::time::Duration;

pub(super) use fired::Log;
pub use fired::{Fired, FiredAt};
pub use kind::{FaultKind, FaultName, FaultNameError};
pub(super) use plan::{Met, Plan, Shared};
pub use text::FaultSyntaxError;

use crate::relay::CursorRule;

/// A fault at a frame. What is `None` is drawn when it fires, and told by [`Fired`].
///
/// A message that is not of the stream comes right before the frame; the frame itself follows whole, unless the
/// connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FrameFault {
    /// The connection ends after so many bytes of the frame's message, its header included; at the most after
    /// all of them.
    Disconnect {
        /// Bytes that are sent before.
        after: Option<u64>,
    },
    /// As [`FrameFault::Disconnect`], by a TCP reset: what the system has not delivered yet is lost on the
    /// way. A client finds it again by its cursor where the relay's window holds as many frames as the system
    /// buffers.
    Reset {
        /// Bytes that are sent before.
        after: Option<u64>,
    },
    /// A WebSocket close with this code. Drawn: one of 1000, 1001, 1008, 1011, 1012, 1013, 4000.
    Close {
        /// The code, sent as it is even where the standard does not allow it.
        code: Option<u16>,
    },
    /// From this frame on the socket takes so many bytes a second, for a while.
    Slow {
        /// Bytes a second; at least one.
        bytes_per_second: u64,
        /// For how long.
        lasting: Duration,
    },
    /// Nothing is sent, and nothing the client says is read.
    Stall {
        /// For how long; without it for ever: until the client gives up.
        lasting: Option<Duration>,
    },
    /// A binary message that is no CBOR. Drawn: up to 256 bytes.
    Garbage {
        /// Its length.
        bytes: Option<u16>,
    },
    /// The frame, cut off.
    Truncated {
        /// Bytes of it that are sent; at the most all but one.
        after: Option<u64>,
    },
    /// The frame with a third item of CBOR behind it.
    ThreeItems,
    /// A binary message of so many bytes, which begins as a commit's frame does. It is sent piece by piece.
    Oversized {
        /// Its length; see [`FrameFault::OVERSIZED`].
        bytes: u64,
    },
    /// The frame itself, sent as so many WebSocket fragments. Drawn: two to five.
    Fragmented {
        /// Fragments; at least one.
        parts: Option<u16>,
    },
    /// A text message.
    Text,
    /// A frame of this `op`.
    UnknownOp {
        /// Any but 1 and -1.
        op: i64,
    },
    /// A message whose `t` is `#` and this name.
    UnknownType {
        /// The name.
        t: FaultName,
    },
    /// An error frame of this name, then a close with 1008.
    Error {
        /// Such as `ConsumerTooSlow`, `FutureCursor`.
        name: FaultName,
    },
    /// An `#info` of this name.
    Info {
        /// Such as `OutdatedCursor`.
        name: FaultName,
    },
    /// A ping.
    Ping,
}

impl FrameFault {
    /// Size of an oversized message where nothing else is said: over the 5,000,000 bytes that the protocol allows.
    pub const OVERSIZED: u64 = 6_000_000;
}

/// A fault that meets a connection as it is made. The last four are for clients that come with a cursor;
/// others do not meet them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConnectFault {
    /// The request is answered with this status instead of a WebSocket.
    Answer {
        /// An HTTP status from 300 to 599.
        status: u16,
        /// The header `Retry-After`, in seconds.
        retry_after: Option<u64>,
        /// Whether the body is HTML, as proxies answer, or JSON, as servers of the protocol do.
        html: bool,
    },
    /// The connection is taken and nothing is said, until the client gives up.
    Mute,
    /// The connection is taken and reset.
    Refuse,
    /// The replay begins so many frames before the cursor. Drawn: up to 32.
    Duplicates {
        /// Frames that are sent again, as far as the window has them.
        frames: Option<u64>,
    },
    /// The replay leaves out so many frames after the cursor: they are lost. Drawn: up to 32. Duplicates do
    /// not come where a script asks for both.
    Gap {
        /// Frames that are lost.
        frames: Option<u64>,
    },
    /// The cursor is read by this rule; without one by the rule that the relay does not follow.
    Cursor {
        /// The rule.
        rule: Option<CursorRule>,
    },
    /// Where a Jetstream goes over from replay to live, the last events before come again, each two of them
    /// swapped, so that the times go back. Drawn: up to 32. Streams of frames do not meet it.
    Seam {
        /// Events that are sent again, as far as there are any.
        events: Option<u64>,
    },
}

/// A fault of any place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// At a frame.
    Frame(FrameFault),
    /// At a connect.
    Connect(ConnectFault),
    /// The numbering of the stream begun anew.
    Renumber,
}

/// How often faults fire by chance, in a million: those of frames for each frame sent, those of connects for each
/// connection. At most one of the rates fires at a frame, and at most one at a connect.
///
/// Text: `FAULT=N` with commas between, where `FAULT` is written as in a [`FaultScript`]: `reset=20, stall
/// for 50ms=5`. `all=N` stands for every fault of frames that loses nothing and ends in time, each with `N`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FaultRates {
    pub(super) frames: Vec<(FrameFault, u32)>,
    pub(super) connects: Vec<(ConnectFault, u32)>,
}

impl FaultRates {
    /// Adds a fault of frames, so many in a million frames sent. What goes beyond a million in all never fires.
    #[must_use]
    pub fn frame(mut self, fault: FrameFault, per_million: u32) -> Self {
        self.frames.push((fault, per_million));
        self
    }

    /// Adds a fault of connects, so many in a million connections. What goes beyond a million in all never fires.
    #[must_use]
    pub fn connect(mut self, fault: ConnectFault, per_million: u32) -> Self {
        self.connects.push((fault, per_million));
        self
    }

    /// Adds every fault of frames that loses nothing and ends in time, each with this rate and the values
    /// that a script takes where it gives none.
    #[must_use]
    pub fn all(self, per_million: u32) -> Self {
        FaultKind::ALL.into_iter().map(FaultKind::fault).fold(self, |rates, fault| match fault {
            Fault::Frame(fault) => rates.frame(fault, per_million),
            Fault::Connect(_) | Fault::Renumber => rates,
        })
    }
}

/// Faults at given places. Frames and connections are counted from one; connections are those of the address,
/// whatever they ask for.
///
/// Text: one fault a line, `#` and what follows it is a comment.
///
/// | line | where |
/// |---|---|
/// | `at N FAULT` | the stream's N-th frame, at the first connection that is sent it or one after it; of several streams the first |
/// | `on C at N FAULT` | the N-th frame sent on connection C |
/// | `on every at N FAULT` | the N-th frame sent on each connection |
/// | `connect C FAULT` | connection C as it is made |
/// | `connect every FAULT` | each connection as it is made |
///
/// | fault of a frame | default |
/// |---|---|
/// | `disconnect after N bytes`, `reset after N bytes`, `truncated after N bytes` | drawn |
/// | `close CODE` | drawn |
/// | `slow N bytes/s for TIME` | `20000 bytes/s`, `1s` |
/// | `stall for TIME`, `stall for ever` | `1s` |
/// | `garbage N bytes` | drawn |
/// | `oversized N bytes` | [`FrameFault::OVERSIZED`] |
/// | `fragmented into N parts` | drawn |
/// | `three-items`, `text`, `ping` | |
/// | `unknown-op N` | 42 |
/// | `unknown-type NAME` | `future` |
/// | `error NAME` | `ConsumerTooSlow` |
/// | `info NAME` | `OutdatedCursor` |
/// | `renumber`: from this frame of the stream on `seq` begins with 1 again; only after `at N` | |
///
/// | fault of a connect | default |
/// |---|---|
/// | `answer STATUS retry-after SECONDS html` | 503, no header, JSON |
/// | `mute`, `refuse` | |
/// | `duplicates N`, `gap N` | drawn |
/// | `cursor inclusive`, `cursor exclusive`, `cursor swapped` | `swapped` |
/// | `seam N` | drawn |
///
/// Everything after a fault's name may be left out. `TIME` is as `250ms` or `2s`, and is written to the millisecond.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FaultScript {
    pub(super) lines: Vec<Line>,
}

/// One line of a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Line {
    At { frame: u64, fault: FrameFault },
    On { connection: Which, frame: u64, fault: FrameFault },
    Connect { connection: Which, fault: ConnectFault },
    Renumber { frame: u64 },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    Nth(u64),
    Every,
}

impl Which {
    pub(super) fn holds(self, connection: u64) -> bool {
        match self {
            Self::Nth(number) => number == connection,
            Self::Every => true,
        }
    }
}

impl FaultScript {
    /// At the stream's frame of this number, on the first connection that is sent it or one after it, once.
    #[must_use]
    pub fn at(self, frame: u64, fault: FrameFault) -> Self {
        self.line(Line::At { frame, fault })
    }

    /// At the frame of this number on the connection of this number.
    #[must_use]
    pub fn on(self, connection: u64, frame: u64, fault: FrameFault) -> Self {
        self.line(Line::On { connection: Which::Nth(connection), frame, fault })
    }

    /// At the frame of this number on each connection.
    #[must_use]
    pub fn on_every(self, frame: u64, fault: FrameFault) -> Self {
        self.line(Line::On { connection: Which::Every, frame, fault })
    }

    /// As the connection of this number is made.
    #[must_use]
    pub fn connect(self, connection: u64, fault: ConnectFault) -> Self {
        self.line(Line::Connect { connection: Which::Nth(connection), fault })
    }

    /// As each connection is made.
    #[must_use]
    pub fn connect_every(self, fault: ConnectFault) -> Self {
        self.line(Line::Connect { connection: Which::Every, fault })
    }

    /// From the stream's frame of this number on `seq` begins with 1 again, as after a server lost its
    /// numbering. Frames before it are no longer found by a cursor.
    #[must_use]
    pub fn renumber(self, frame: u64) -> Self {
        self.line(Line::Renumber { frame })
    }

    fn line(mut self, line: Line) -> Self {
        self.lines.push(line);
        self
    }

    /// The frames from which on the numbering begins anew, in order.
    pub(super) fn renumbered(&self) -> Vec<u64> {
        let mut frames: Vec<_> = self
            .lines
            .iter()
            .filter_map(|line| match line {
                Line::Renumber { frame } => Some(*frame),
                _ => None,
            })
            .collect();
        frames.sort_unstable();
        frames
    }
}

/// The faults of a relay: rates, a script, or both.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Faults {
    pub(super) seed: u64,
    pub(super) rates: FaultRates,
    pub(super) script: FaultScript,
}

impl Faults {
    /// No faults yet. All that is drawn comes from the seed and the connection's number: the same for every run.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { seed, ..Self::default() }
    }

    /// Faults by chance.
    #[must_use]
    pub fn rates(mut self, rates: FaultRates) -> Self {
        self.rates = rates;
        self
    }

    /// Faults at their places.
    #[must_use]
    pub fn script(mut self, script: FaultScript) -> Self {
        self.script = script;
        self
    }
}

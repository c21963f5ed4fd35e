//! What crosses an edge: the rows that one sender has for one receiver in one epoch.

use std::cell::OnceCell;

use skytide_timestream::engine::Clock;
use skytide_timestream::rows::Rows;
use timely::Accountable;

/// The rows that one sender has for one receiver in one epoch; before it is split, for all of its receivers.
///
/// It is counted in parcels, not in rows: timely's account must not change where a parcel is split, and an
/// empty parcel must be seen to arrive.
#[derive(Debug, Clone)]
pub(crate) struct Parcel {
    /// Number of parcels that this one stands for: that of its receivers, one after the split.
    pub(crate) weight: i64,
    /// The sending worker. Pieces are merged in the order of their senders where nothing else tells them apart.
    pub(crate) sender: usize,
    /// How far time has come with the epoch; the same in all its parcels.
    pub(crate) clock: Clock,
    /// The rows, or why there are none to be had.
    pub(crate) contents: Contents,
    /// The bytes that go to another process, made once: their number is asked for before they are.
    pub(crate) encoded: OnceCell<Vec<u8>>,
}

/// What is in a parcel.
#[derive(Debug, Clone)]
pub(crate) enum Contents {
    /// The rows for each input of the receiver that has any.
    Pieces(Vec<Piece>),
    /// It did not survive the way between two processes.
    Broken(String),
}

/// Rows for one input of a region; never none.
#[derive(Debug, Clone)]
pub(crate) struct Piece {
    /// Place in the receiving region's inputs.
    pub(crate) input: usize,
    /// The rows.
    pub(crate) rows: Rows,
}

impl Parcel {
    /// A parcel that stands for `weight` parcels.
    pub(crate) fn new(weight: usize, sender: usize, clock: Clock, pieces: Vec<Piece>) -> Self {
        Self {
            weight: i64::try_from(weight).unwrap_or(i64::MAX),
            sender,
            clock,
            contents: Contents::Pieces(pieces),
            encoded: OnceCell::new(),
        }
    }
}

/// What timely leaves in the place of a parcel that is taken.
impl Default for Parcel {
    fn default() -> Self {
        Self::new(0, 0, Clock::START, Vec::new())
    }
}

impl Default for Contents {
    fn default() -> Self {
        Self::Pieces(Vec::new())
    }
}

impl Accountable for Parcel {
    fn record_count(&self) -> i64 {
        self.weight
    }
}

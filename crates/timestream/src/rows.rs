//! Points of a stream as columns: the batch that operators take and give.

use arrow_array::{Array, ArrayRef};
use arrow_buffer::ScalarBuffer;

/// Where each point stands in the order of SEMANTICS 1.2: by time, then lane, then ordinal. Rows are in this order.
#[derive(Debug, Clone)]
pub struct Places {
    /// UTC nanoseconds.
    pub time: ScalarBuffer<i64>,
    /// What kind of point it is and, for events, of which source.
    pub lane: Lane,
    /// The ordinal at the source (firehose: order of release, then the op's index in its commit).
    pub ordinal: ScalarBuffer<u64>,
}

/// Lane 0 holds moved points, `1 + source` the events of a source, `u16::MAX` ticks.
#[derive(Debug, Clone)]
pub enum Lane {
    /// All rows are of one lane.
    One(u16),
    /// A lane for each row.
    Each(ScalarBuffer<u16>),
}

impl Lane {
    /// The lane of a row.
    #[must_use]
    pub fn at(&self, row: usize) -> u16 {
        match self {
            Self::One(lane) => *lane,
            Self::Each(lanes) => lanes[row],
        }
    }
}

impl Places {
    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.time.len()
    }

    /// Whether there are no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.time.is_empty()
    }

    /// What a row is ordered by.
    #[must_use]
    pub fn at(&self, row: usize) -> (i64, u16, u64) {
        (self.time[row], self.lane.at(row), self.ordinal[row])
    }
}

/// A batch of points, in order.
#[derive(Debug, Clone)]
pub struct Rows {
    /// Where they stand in the order.
    pub places: Places,
    /// The key of each point; none where no operator downstream asks for it.
    pub key: Option<Keys>,
    /// The values, as the receiver named them: one array a column, each as long as `places`.
    pub columns: Vec<ArrayRef>,
}

/// The keys of points with their hashes, which decide shard and worker.
#[derive(Debug, Clone)]
pub struct Keys {
    /// The key of each row.
    pub values: ArrayRef,
    /// [`crate::engine::hash`] of each key: fixed for ever; 0 for null.
    pub hashes: ScalarBuffer<u64>,
}

impl Rows {
    /// Number of points.
    #[must_use]
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there are no points.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Bytes held by keys and columns, for limits and reports.
    #[must_use]
    pub fn memory(&self) -> usize {
        let key = self.key.as_ref().map_or(0, |key| key.values.get_array_memory_size());
        key + self.columns.iter().map(Array::get_array_memory_size).sum::<usize>() + self.len() * 16
    }
}

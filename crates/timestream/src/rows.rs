//! Points of a stream as columns: the batch that operators take and give.

use arrow_array::{Array, ArrayRef, UInt32Array};
use arrow_buffer::ScalarBuffer;
use arrow_schema::ArrowError;
use arrow_select::take::take;

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

    /// The rows from `start` on, `len` of them; nothing is copied.
    #[must_use]
    pub fn slice(&self, start: usize, len: usize) -> Self {
        let places = Places {
            time: self.places.time.slice(start, len),
            lane: match &self.places.lane {
                Lane::One(lane) => Lane::One(*lane),
                Lane::Each(lanes) => Lane::Each(lanes.slice(start, len)),
            },
            ordinal: self.places.ordinal.slice(start, len),
        };
        let key = self
            .key
            .as_ref()
            .map(|key| Keys { values: key.values.slice(start, len), hashes: key.hashes.slice(start, len) });
        Self { places, key, columns: self.columns.iter().map(|column| column.slice(start, len)).collect() }
    }

    /// These rows, in this order.
    ///
    /// # Errors
    /// A row that is not there.
    pub fn select(&self, rows: &UInt32Array) -> Result<Self, ArrowError> {
        let at = |row: &u32| *row as usize;
        let indices = rows.values();
        if let Some(row) = indices.iter().find(|row| at(row) >= self.len()) {
            return Err(ArrowError::InvalidArgumentError(format!("row {row} of {}", self.len())));
        }
        let places = Places {
            time: indices.iter().map(|row| self.places.time[at(row)]).collect(),
            lane: match &self.places.lane {
                Lane::One(lane) => Lane::One(*lane),
                Lane::Each(lanes) => Lane::Each(indices.iter().map(|row| lanes[at(row)]).collect()),
            },
            ordinal: indices.iter().map(|row| self.places.ordinal[at(row)]).collect(),
        };
        let key = match &self.key {
            None => None,
            Some(key) => Some(Keys {
                values: take(&key.values, rows, None)?,
                hashes: indices.iter().map(|row| key.hashes[at(row)]).collect(),
            }),
        };
        let columns = self.columns.iter().map(|column| take(column, rows, None)).collect::<Result<_, _>>()?;
        Ok(Self { places, key, columns })
    }

    /// Bytes held by keys and columns, for limits and reports.
    #[must_use]
    pub fn memory(&self) -> usize {
        let key = self.key.as_ref().map_or(0, |key| key.values.get_array_memory_size());
        key + self.columns.iter().map(Array::get_array_memory_size).sum::<usize>() + self.len() * 16
    }
}

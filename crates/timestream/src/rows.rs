//! Points of a stream as columns: the batch that operators take and give.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, UInt16Type, UInt32Type, UInt64Type};
use arrow_array::{Array, ArrayRef, ArrowPrimitiveType, BinaryArray, PrimitiveArray, UInt32Array};
use arrow_buffer::ScalarBuffer;
use arrow_schema::ArrowError;
use arrow_select::take::take;

use crate::engine::{EngineError, canonical, hash};

/// Where each point stands in the order of SEMANTICS 1.2: by time, then lane, then for moved points by their
/// origin, then ordinal, then for ticks under another key by the one that they were made for. Rows are in
/// this order; of rows at one place, the order is that of their keys, then of their turns.
///
/// It is also what a point is: points of one key and turn at one place are one point (1.5), whichever ways
/// they came. So events of several sources that pair are given one place where they enter, that of the first
/// of them, and say beside it where they stand apart.
#[derive(Debug, Clone)]
pub struct Places {
    /// UTC nanoseconds.
    pub time: ScalarBuffer<i64>,
    /// What kind of point it is and, for events, of which source.
    pub lane: Lane,
    /// The ordinal at the source (firehose: order of release, then the op's index in its commit); of a moved
    /// point that of its origin; of a tick the largest number, less one for each other key that it was given;
    /// of what it looks up the largest.
    pub ordinal: ScalarBuffer<u64>,
    /// Where points stand apart from those they pair with; none where that is their place.
    pub apart: Option<Arc<Apart>>,
    /// Of ticks under another key, also where they were moved: for which key they were made, as bytes in the
    /// order of keys; null for others. None where there are none.
    pub made_for: Option<Arc<BinaryArray>>,
    /// Which of the points it is that came to one place and key, where they were last moved or given a key:
    /// an event under two keys that are given one key again is two points. None where each is the first, 0. A
    /// question stands after all of them, at [`LAST`].
    pub turn: Option<ScalarBuffer<u32>>,
}

/// Where points stand that are of one event each, not of a pair: as under another key (SEMANTICS 1.5).
#[derive(Debug, Clone)]
pub struct Apart {
    /// The lane, of a moved point that of its origin.
    pub lane: ScalarBuffer<u16>,
    /// The ordinal.
    pub ordinal: ScalarBuffer<u64>,
}

impl Apart {
    /// The same done to both columns.
    fn map(&self, through: &Through<'_>) -> Result<Self, EngineError> {
        Ok(Self {
            lane: numbers::<UInt16Type>(&self.lane, through)?,
            ordinal: numbers::<UInt64Type>(&self.ordinal, through)?,
        })
    }

    /// The rows from `start` on, `len` of them.
    pub(crate) fn slice(&self, start: usize, len: usize) -> Self {
        Self { lane: self.lane.slice(start, len), ordinal: self.ordinal.slice(start, len) }
    }
}

/// The lane of moved points.
pub const MOVED: u16 = 0;
/// The lane of ticks.
pub(crate) const TICK: u16 = u16::MAX - 1;
/// The ordinal of a tick under the key that it was made for: after those that came under a key by `with_key`,
/// which have less.
pub(crate) const OWN_TICK: u64 = u64::MAX;
/// The lane of points that stand after all others of their time: those that look up another source's values.
pub(crate) const AFTER: u16 = u16::MAX;
/// The turn of what stands after all points of its place and key: of questions, and of what has moved there
/// and is not counted yet.
pub const LAST: u32 = u32::MAX;

/// Lane [`MOVED`] holds moved points, `1 + source` the events of a source, the last but one ticks.
#[derive(Debug, Clone)]
pub enum Lane {
    /// All rows are of one lane, and none is moved.
    One(u16),
    /// A lane for each row; none is moved.
    Each(ScalarBuffer<u16>),
    /// A lane for each row, and where those of lane [`MOVED`] stood before they were moved.
    Moved {
        /// The lanes.
        lanes: ScalarBuffer<u16>,
        /// The time of the origin; 0 where the row is not moved.
        origin_time: ScalarBuffer<i64>,
        /// The lane of the origin; 0 where the row is not moved.
        origin_lane: ScalarBuffer<u16>,
    },
}

/// What a point is ordered by, but for the keys that ticks were made for and [turns](field@Places::turn). Two
/// points of one key and turn at the same place are one point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// UTC nanoseconds.
    pub time: i64,
    /// See [`Lane`].
    pub lane: u16,
    /// Time and lane of where a moved point stood first; zeros for others.
    pub origin: (i64, u16),
    /// See [`Places::ordinal`].
    pub ordinal: u64,
}

impl Place {
    /// The place of the same point at a later time.
    #[must_use]
    pub fn moved_to(self, time: i64) -> Self {
        let origin = if self.lane == MOVED { self.origin } else { (self.time, self.lane) };
        Self { time, lane: MOVED, origin, ordinal: self.ordinal }
    }

    /// Lane and ordinal of the event or tick that it is, also where that was moved.
    #[must_use]
    pub fn standing(self) -> (u16, u64) {
        (if self.lane == MOVED { self.origin.1 } else { self.lane }, self.ordinal)
    }

    /// The place of another event or tick of the same time, moved as this one is.
    #[must_use]
    pub fn as_of(self, (lane, ordinal): (u16, u64)) -> Self {
        match self.lane {
            MOVED => Self { origin: (self.origin.0, lane), ordinal, ..self },
            _ => Self { lane, ordinal, ..self },
        }
    }
}

impl Lane {
    /// The lane of a row.
    #[must_use]
    #[inline]
    pub fn at(&self, row: usize) -> u16 {
        match self {
            Self::One(lane) => *lane,
            Self::Each(lanes) | Self::Moved { lanes, .. } => lanes[row],
        }
    }

    /// Time and lane of where a row stood before it was moved; zeros if it was not.
    #[must_use]
    #[inline]
    pub fn origin(&self, row: usize) -> (i64, u16) {
        match self {
            Self::One(_) | Self::Each(_) => (0, 0),
            Self::Moved { origin_time, origin_lane, .. } => (origin_time[row], origin_lane[row]),
        }
    }

    /// The lanes after the same has been done to each of their columns, as to others of the same rows.
    fn map(&self, through: &Through<'_>) -> Result<Self, EngineError> {
        Ok(match self {
            Self::One(lane) => Self::One(*lane),
            Self::Each(lanes) => Self::Each(numbers::<UInt16Type>(lanes, through)?),
            Self::Moved { lanes, origin_time, origin_lane } => Self::Moved {
                lanes: numbers::<UInt16Type>(lanes, through)?,
                origin_time: numbers::<Int64Type>(origin_time, through)?,
                origin_lane: numbers::<UInt16Type>(origin_lane, through)?,
            },
        })
    }
}

/// What is done to arrays of a batch.
pub(crate) type Through<'a> = dyn Fn(&ArrayRef) -> Result<ArrayRef, EngineError> + 'a;

/// Plain numbers through what is done to arrays.
pub(crate) fn numbers<T: ArrowPrimitiveType>(
    values: &ScalarBuffer<T::Native>,
    through: &Through<'_>,
) -> Result<ScalarBuffer<T::Native>, EngineError> {
    let array: ArrayRef = Arc::new(PrimitiveArray::<T>::new(values.clone(), None));
    let array = through(&array)?;
    let values = array.as_primitive_opt::<T>().map(|array| array.values().clone());
    values.ok_or_else(|| EngineError::mismatch("numbers", T::DATA_TYPE, array.data_type()))
}

impl Places {
    /// Places of points that pair with nothing, none of them a tick under another key: as sources give them.
    #[must_use]
    pub const fn new(time: ScalarBuffer<i64>, lane: Lane, ordinal: ScalarBuffer<u64>) -> Self {
        Self { time, lane, ordinal, apart: None, made_for: None, turn: None }
    }

    /// No places.
    #[must_use]
    pub fn none() -> Self {
        Self::new(vec![].into(), Lane::One(MOVED), vec![].into())
    }

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
    #[inline]
    pub fn at(&self, row: usize) -> Place {
        Place {
            time: self.time[row],
            lane: self.lane.at(row),
            origin: self.lane.origin(row),
            ordinal: self.ordinal[row],
        }
    }

    /// The rows from `start` on, `len` of them; nothing is copied.
    #[must_use]
    pub fn slice(&self, start: usize, len: usize) -> Self {
        Self {
            time: self.time.slice(start, len),
            lane: match &self.lane {
                Lane::One(lane) => Lane::One(*lane),
                Lane::Each(lanes) => Lane::Each(lanes.slice(start, len)),
                Lane::Moved { lanes, origin_time, origin_lane } => Lane::Moved {
                    lanes: lanes.slice(start, len),
                    origin_time: origin_time.slice(start, len),
                    origin_lane: origin_lane.slice(start, len),
                },
            },
            ordinal: self.ordinal.slice(start, len),
            apart: self.apart.as_ref().map(|apart| Arc::new(apart.slice(start, len))),
            made_for: self.made_for.as_ref().map(|keys| Arc::new(keys.slice(start, len))),
            turn: self.turn.as_ref().map(|turns| turns.slice(start, len)),
        }
    }

    /// For which key a tick under another key was made; empty for others.
    #[inline]
    pub(crate) fn made_for(&self, row: usize) -> &[u8] {
        match &self.made_for {
            Some(keys) if keys.is_valid(row) => keys.value(row),
            _ => &[],
        }
    }

    /// See [`Places::turn`].
    #[inline]
    pub(crate) fn turn(&self, row: usize) -> u32 {
        self.turn.as_ref().map_or(0, |turns| turns[row])
    }

    /// How a row stands to one of other places; of one place they go by key and turn.
    #[inline]
    pub(crate) fn order(&self, row: usize, other: &Self, at: usize) -> Ordering {
        self.at(row).cmp(&other.at(at)).then_with(|| self.made_for(row).cmp(other.made_for(at)))
    }

    /// Lane and ordinal at which a row stands apart from what it pairs with.
    pub(crate) fn apart(&self, row: usize) -> (u16, u64) {
        match &self.apart {
            Some(apart) => (apart.lane[row], apart.ordinal[row]),
            None => self.at(row).standing(),
        }
    }

    /// The same points at other places.
    pub(crate) fn standing_at(&self, places: &[Place]) -> Self {
        Self {
            apart: self.apart.clone(),
            made_for: self.made_for.clone(),
            turn: self.turn.clone(),
            ..Self::of(places)
        }
    }

    /// The same done to all columns of the places.
    pub(crate) fn map(&self, through: &Through<'_>) -> Result<Self, EngineError> {
        Ok(Self {
            time: numbers::<Int64Type>(&self.time, through)?,
            lane: self.lane.map(through)?,
            ordinal: numbers::<UInt64Type>(&self.ordinal, through)?,
            apart: self.apart.as_ref().map(|apart| apart.map(through).map(Arc::new)).transpose()?,
            made_for: match &self.made_for {
                Some(keys) => {
                    let keys: ArrayRef = Arc::<BinaryArray>::clone(keys);
                    through(&keys)?.as_binary_opt().cloned().map(Arc::new)
                }
                None => None,
            },
            turn: self.turn.as_ref().map(|turns| numbers::<UInt32Type>(turns, through)).transpose()?,
        })
    }

    /// Rows of several batches, each named by batch and row.
    pub(crate) fn pick(batches: &[&Self], picks: &(impl Iterator<Item = (usize, usize)> + Clone)) -> Self {
        let lanes = || picks.clone().map(|(batch, row)| batches[batch].lane.at(row)).collect();
        let first = batches.first().map_or(&Lane::One(MOVED), |places| &places.lane);
        let same = |places: &&Self| matches!((first, &places.lane), (Lane::One(a), Lane::One(b)) if a == b);
        let lane = if batches.iter().all(same) {
            first.clone()
        } else if batches.iter().any(|places| matches!(places.lane, Lane::Moved { .. })) {
            let origin = || picks.clone().map(|(batch, row)| batches[batch].lane.origin(row));
            Lane::Moved {
                lanes: lanes(),
                origin_time: origin().map(|(time, _)| time).collect(),
                origin_lane: origin().map(|(_, lane)| lane).collect(),
            }
        } else {
            Lane::Each(lanes())
        };
        let apart = batches.iter().any(|places| places.apart.is_some()).then(|| {
            let apart = || picks.clone().map(|(batch, row)| batches[batch].apart(row));
            let lane = apart().map(|(lane, _)| lane).collect();
            Arc::new(Apart { lane, ordinal: apart().map(|(_, ordinal)| ordinal).collect() })
        });
        let made_for = batches.iter().any(|places| places.made_for.is_some()).then(|| {
            let keys = picks.clone().map(|(batch, row)| batches[batch].made_for(row));
            Arc::new(keys.map(|key| (!key.is_empty()).then_some(key)).collect())
        });
        let has_turns = batches.iter().any(|places| places.turn.is_some());
        let turn = has_turns.then(|| picks.clone().map(|(batch, row)| batches[batch].turn(row)).collect());
        Self {
            time: picks.clone().map(|(batch, row)| batches[batch].time[row]).collect(),
            lane,
            ordinal: picks.clone().map(|(batch, row)| batches[batch].ordinal[row]).collect(),
            apart,
            made_for,
            turn,
        }
    }

    /// One place after another.
    #[must_use]
    pub fn of(places: &[Place]) -> Self {
        let lanes = || places.iter().map(|place| place.lane).collect();
        let lane = if places.iter().any(|place| place.lane == MOVED) {
            Lane::Moved {
                lanes: lanes(),
                origin_time: places.iter().map(|place| place.origin.0).collect(),
                origin_lane: places.iter().map(|place| place.origin.1).collect(),
            }
        } else {
            Lane::Each(lanes())
        };
        let time = places.iter().map(|place| place.time).collect();
        Self::new(time, lane, places.iter().map(|place| place.ordinal).collect())
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
    /// The key of each row, in its [one form](canonical).
    pub values: ArrayRef,
    /// [`crate::engine::hash`] of each key: fixed for ever; 0 for null.
    pub hashes: ScalarBuffer<u64>,
}

impl Keys {
    /// The keys that values are, with their hashes.
    ///
    /// # Errors
    /// Records or lists whose parts do not fit together.
    pub fn of(values: &ArrayRef) -> Result<Self, ArrowError> {
        let values = canonical(values)?;
        Ok(Self { hashes: hash(values.as_ref()), values })
    }
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
        let places = self.places.slice(start, len);
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
        let places = Places::pick(&[&self.places], &indices.iter().map(|row| (0, at(row))));
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

    /// Bytes held by places, keys and columns, for limits and reports; of a slice those of what it is a slice of.
    #[must_use]
    pub fn memory(&self) -> usize {
        let Places { time, lane, ordinal, apart, made_for, turn } = &self.places;
        let apart = apart
            .as_ref()
            .map_or(0, |apart| apart.lane.inner().capacity() + apart.ordinal.inner().capacity());
        let lanes = match lane {
            Lane::One(_) => 0,
            Lane::Each(lanes) => lanes.inner().capacity(),
            Lane::Moved { lanes, origin_time, origin_lane } => {
                lanes.inner().capacity() + origin_time.inner().capacity() + origin_lane.inner().capacity()
            }
        };
        let of = |key: &Keys| key.values.get_array_memory_size() + key.hashes.inner().capacity();
        time.inner().capacity()
            + ordinal.inner().capacity()
            + lanes
            + apart
            + made_for.as_ref().map_or(0, |keys| keys.get_array_memory_size())
            + turn.as_ref().map_or(0, |turns| turns.inner().capacity())
            + self.key.as_ref().map_or(0, of)
            + self.columns.iter().map(Array::get_array_memory_size).sum::<usize>()
    }
}

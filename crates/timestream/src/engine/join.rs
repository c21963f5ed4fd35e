//! The rows of a region's epoch: the union of its inputs' points, in order.
//!
//! Columns stay the inputs' own until a step asks for one: an input that has all rows, or none, is never copied.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, UInt32Array, new_empty_array, new_null_array};
use arrow_buffer::ScalarBuffer;
use arrow_schema::DataType;
use arrow_select::take::take;

use super::error::EngineError;
use super::mask::Mask;
use super::merge::{Heads, merge, pick_keys, pick_places};
use super::parts::widest;
use crate::plan::{Input, Plan, Reg};
use crate::rows::{Apart, Keys, Lane, Places, Rows};

/// Joins the inputs of a region.
pub(super) struct Join {
    /// What each input's batches hold.
    inputs: Vec<Shape>,
    /// Whether anything depends on the keys.
    keyed: bool,
}

/// What rows hold: the type of their keys, where asked for, and of their columns.
#[derive(Debug, Clone)]
struct Shape {
    key: Option<DataType>,
    columns: Vec<DataType>,
}

/// The rows of an epoch: the union of the inputs' points.
pub(super) struct Joined {
    pub(super) places: Places,
    pub(super) key: Option<Keys>,
    parts: Vec<Part>,
}

/// An input's share of the rows.
struct Part {
    columns: Vec<ArrayRef>,
    rows: Share,
    /// Where the input's points stand apart from those they pair with.
    apart: Option<Arc<Apart>>,
}

/// Which rows are an input's.
enum Share {
    /// All, in order.
    All,
    /// None.
    Nothing,
    /// Those that are not null here, each with its row in the input.
    Some(UInt32Array),
}

impl Join {
    pub(super) fn new(plan: &Plan, region: usize) -> Result<Self, EngineError> {
        let of = plan
            .regions
            .get(region)
            .ok_or_else(|| EngineError::mismatch("region", plan.regions.len(), region))?;
        let inputs = of.inputs.iter().map(|input| shape(plan, region, *input)).collect::<Result<_, _>>()?;
        Ok(Self { inputs, keyed: of.key_type.is_some() })
    }

    /// Whether there is such a column.
    pub(super) fn has(&self, input: usize, column: usize) -> bool {
        self.inputs.get(input).is_some_and(|shape| column < shape.columns.len())
    }

    /// The union of the inputs' points: the same point of two inputs (equal place, key and turn) is one row.
    pub(super) fn rows(&self, inputs: Vec<Vec<Rows>>) -> Result<Joined, EngineError> {
        if inputs.len() != self.inputs.len() {
            return Err(EngineError::mismatch("inputs", self.inputs.len(), inputs.len()));
        }
        let (mut batches, mut aparts) = (Vec::with_capacity(inputs.len()), Vec::with_capacity(inputs.len()));
        for (shape, input) in self.inputs.iter().zip(inputs) {
            let mut rows = if input.is_empty() { shape.empty() } else { merge(input)? };
            shape.expect(&rows)?;
            if !self.keyed {
                rows.key = None;
            }
            aparts.push(rows.places.apart.take());
            batches.push(rows);
        }
        let filled: Vec<usize> = (0..batches.len()).filter(|input| !batches[*input].is_empty()).collect();
        if let [] | [_] = filled[..] {
            let all = filled.first().copied().unwrap_or(0);
            let Some(rows) = batches.get(all) else {
                return Err(EngineError::mismatch("inputs", "at least one", 0));
            };
            let (places, key) = (rows.places.clone(), rows.key.clone());
            let share = |input| if input == all { Share::All } else { Share::Nothing };
            let parts = batches.into_iter().zip(aparts).enumerate();
            let parts =
                parts.map(|(input, (rows, apart))| Part { columns: rows.columns, rows: share(input), apart });
            return Ok(Joined { places, key, parts: parts.collect() });
        }
        // Streams made of one stream have the same points, as a value and what it looks up: nothing is to be merged.
        if let [first, others @ ..] = &filled[..]
            && others.iter().all(|other| is_same(&batches[*first], &batches[*other]))
        {
            let (places, key) = (batches[*first].places.clone(), batches[*first].key.clone());
            let share = |rows: &Rows| if rows.is_empty() { Share::Nothing } else { Share::All };
            let parts = batches.into_iter().zip(aparts);
            let parts = parts.map(|(rows, apart)| Part { rows: share(&rows), columns: rows.columns, apart });
            return Ok(Joined { places, key, parts: parts.collect() });
        }
        let mut heads = Heads::new(&batches)?;
        let mut picks: Vec<(usize, usize)> = Vec::new();
        let mut shares: Vec<Vec<Option<u32>>> = vec![Vec::new(); batches.len()];
        while let Some(first) = heads.least() {
            let same: Vec<bool> = (0..batches.len()).map(|input| heads.is_same(first, input)).collect();
            for (input, share) in shares.iter_mut().enumerate() {
                let row = same[input].then(|| heads.advance(input));
                if input == first {
                    picks.push((input, row.unwrap_or_default()));
                }
                share.push(row.and_then(|row| u32::try_from(row).ok()));
            }
        }
        let (places, key) = (pick_places(&batches, &picks), pick_keys(&batches, &picks)?);
        let mut parts = Vec::with_capacity(batches.len());
        for ((rows, share), apart) in batches.into_iter().zip(shares).zip(aparts) {
            let rows_of = match rows.len() {
                0 => Share::Nothing,
                len if len == picks.len() => Share::All,
                _ => Share::Some(share.into()),
            };
            parts.push(Part { columns: rows.columns, rows: rows_of, apart });
        }
        Ok(Joined { places, key, parts })
    }
}

/// Whether two batches hold the same points in the same order.
fn is_same(a: &Rows, b: &Rows) -> bool {
    let same_key = match (&a.key, &b.key) {
        (Some(a), Some(b)) => {
            a.hashes == b.hashes && (Arc::ptr_eq(&a.values, &b.values) || *a.values == *b.values)
        }
        (None, None) => true,
        _ => false,
    };
    let same_lanes = || match (&a.places.lane, &b.places.lane) {
        (Lane::One(a), Lane::One(b)) => a == b,
        (one, other) => {
            (0..a.len()).all(|row| (one.at(row), one.origin(row)) == (other.at(row), other.origin(row)))
        }
    };
    let same_made_for = || match (&a.places.made_for, &b.places.made_for) {
        (None, None) => true,
        _ => (0..a.len()).all(|row| a.places.made_for(row) == b.places.made_for(row)),
    };
    let same_turns = || match (&a.places.turn, &b.places.turn) {
        (None, None) => true,
        _ => (0..a.len()).all(|row| a.places.turn(row) == b.places.turn(row)),
    };
    a.places.time == b.places.time
        && a.places.ordinal == b.places.ordinal
        && same_lanes()
        && same_made_for()
        && same_turns()
        && same_key
}

impl Join {
    /// The rows of a boundary's ticks, some of which were fed to the region as well: `fed` names the row of
    /// `joined` that each is. As ticks of the region itself they have no columns.
    pub(super) fn ticks(&self, places: Places, key: Keys, joined: &Joined, fed: &[Option<usize>]) -> Joined {
        let part = |(shape, part): (&Shape, &Part)| {
            let rows: UInt32Array = fed.iter().map(|row| part.row((*row)?)).collect();
            let none = rows.null_count() == rows.len();
            let columns = part.columns.iter().zip(&shape.columns);
            let columns =
                columns.map(|(column, of)| if none { new_empty_array(of) } else { Arc::clone(column) });
            let rows = if none { Share::Nothing } else { Share::Some(rows) };
            Part { columns: columns.collect(), rows, apart: part.apart.clone() }
        };
        let parts = self.inputs.iter().zip(&joined.parts).map(part).collect();
        Joined { places, key: Some(key), parts }
    }
}

impl Part {
    /// The input's row that is a row of the region.
    fn row(&self, row: usize) -> Option<u32> {
        match &self.rows {
            Share::All => u32::try_from(row).ok(),
            Share::Nothing => None,
            Share::Some(rows) => rows.is_valid(row).then(|| rows.value(row)),
        }
    }
}

/// What the rows of an input hold.
fn shape(plan: &Plan, region: usize, input: Input) -> Result<Shape, EngineError> {
    let missing = || EngineError::mismatch("input", "a scan or feed of the plan", format!("{input:?}"));
    match input {
        Input::Scan(scan) => {
            let scan = plan.scans.get(scan).ok_or_else(missing)?;
            let columns = scan.columns.iter().map(|column| column.data_type.clone()).collect();
            let keyed = scan.keyed.then(|| plan.regions.iter().find(|region| region.inputs.contains(&input)));
            Ok(Shape { key: keyed.flatten().and_then(|region| region.key_type.clone()), columns })
        }
        Input::Ticks(_) => {
            let key = plan.regions.get(region).ok_or_else(missing)?.key_type.clone();
            Ok(Shape { key, columns: Vec::new() })
        }
        Input::Feed { region, feed } => {
            let region = plan.regions.get(region).ok_or_else(missing)?;
            let feed = region.feeds.get(feed).ok_or_else(missing)?;
            let type_of =
                |reg: &Reg| region.steps.get(*reg).map(|step| step.data_type.clone()).ok_or_else(missing);
            let columns = feed.columns.iter().map(type_of).collect::<Result<_, _>>()?;
            Ok(Shape { key: Some(type_of(&feed.key)?), columns })
        }
    }
}

impl Shape {
    /// No rows of this shape.
    fn empty(&self) -> Rows {
        let key = self.key.as_ref().map(|key| Keys { values: new_empty_array(key), hashes: vec![].into() });
        Rows { places: Places::none(), key, columns: self.columns.iter().map(new_empty_array).collect() }
    }

    /// Checks what would else be a panic in a kernel.
    fn expect(&self, rows: &Rows) -> Result<(), EngineError> {
        let len = rows.len();
        let found = rows.columns.iter().map(Array::data_type);
        if !found.clone().eq(&self.columns) {
            return Err(EngineError::mismatch(
                "columns",
                format!("{:?}", self.columns),
                format!("{:?}", found.collect::<Vec<_>>()),
            ));
        }
        let key = rows.key.as_ref().map(|key| key.values.data_type());
        if self.key.is_some() && key != self.key.as_ref() {
            return Err(EngineError::mismatch("keys", format!("{:?}", self.key), format!("{key:?}")));
        }
        let mut lengths = vec![rows.places.ordinal.len()];
        lengths.extend(rows.columns.iter().map(Array::len));
        lengths.extend(rows.key.iter().flat_map(|key| [key.values.len(), key.hashes.len()]));
        match &rows.places.lane {
            Lane::One(_) => {}
            Lane::Each(lanes) => lengths.push(lanes.len()),
            Lane::Moved { lanes, origin_time, origin_lane } => {
                lengths.extend([lanes.len(), origin_time.len(), origin_lane.len()]);
            }
        }
        lengths.extend(rows.places.apart.iter().flat_map(|apart| [apart.lane.len(), apart.ordinal.len()]));
        lengths.extend(rows.places.made_for.as_ref().map(|keys| keys.len()));
        lengths.extend(rows.places.turn.as_ref().map(ScalarBuffer::len));
        match lengths.iter().find(|length| **length != len) {
            Some(length) => Err(EngineError::mismatch("rows", len, length)),
            None => Ok(()),
        }
    }
}

impl Joined {
    /// Bytes of the longest values of all columns together.
    pub(super) fn widest(&self) -> usize {
        self.parts.iter().flat_map(|part| &part.columns).map(|column| widest(column.as_ref())).sum()
    }

    /// The rows from `start` on, `len` of them; nothing is copied.
    pub(super) fn slice(&self, start: usize, len: usize) -> Self {
        let part = |part: &Part| match &part.rows {
            Share::All => Part {
                columns: part.columns.iter().map(|column| column.slice(start, len)).collect(),
                rows: Share::All,
                apart: part.apart.as_ref().map(|apart| Arc::new(apart.slice(start, len))),
            },
            Share::Nothing => Part { columns: part.columns.clone(), rows: Share::Nothing, apart: None },
            // Rows that are named by their place in the input.
            Share::Some(rows) => {
                let rows = rows.slice(start, len);
                let rows = if rows.null_count() == len { Share::Nothing } else { Share::Some(rows) };
                Part { columns: part.columns.clone(), rows, apart: part.apart.clone() }
            }
        };
        Self {
            places: self.places.slice(start, len),
            key: self.key.as_ref().map(|key| Keys {
                values: key.values.slice(start, len),
                hashes: key.hashes.slice(start, len),
            }),
            parts: self.parts.iter().map(part).collect(),
        }
    }

    /// A column of an input at every row; null at rows that are not the input's.
    pub(super) fn column(
        &self,
        input: usize,
        column: usize,
        data_type: &DataType,
    ) -> Result<ArrayRef, EngineError> {
        let part = self.part(input)?;
        let values = part
            .columns
            .get(column)
            .ok_or_else(|| EngineError::mismatch("column", part.columns.len(), column))?;
        match &part.rows {
            Share::All => Ok(Arc::clone(values)),
            Share::Nothing => Ok(new_null_array(data_type, self.places.len())),
            Share::Some(rows) => take(values, rows, None).map_err(EngineError::kernel("join")),
        }
    }

    /// The rows that are an input's.
    pub(super) fn present(&self, input: usize) -> Result<Mask, EngineError> {
        Ok(match &self.part(input)?.rows {
            Share::All => Mask::All,
            Share::Nothing => Mask::Nothing,
            Share::Some(rows) => match rows.nulls() {
                Some(nulls) => Mask::Some(nulls.inner().clone()),
                None => Mask::All,
            },
        })
    }

    /// By row: lane and ordinal of where the first of these inputs' points stands that are at the row where
    /// their mask holds, each apart from what it pairs with; where there is none, of the row's place.
    pub(super) fn apart(&self, of: &[(usize, Mask)]) -> Result<Vec<(u16, u64)>, EngineError> {
        let mut parts = Vec::with_capacity(of.len());
        for (input, mask) in of {
            parts.push((self.part(*input)?, mask));
        }
        let of_row = |row: usize| {
            let standing = |part: &Part| {
                let at = part.row(row)? as usize;
                Some(match &part.apart {
                    Some(apart) => (apart.lane[at], apart.ordinal[at]),
                    None => self.places.at(row).standing(),
                })
            };
            let there = parts.iter().filter(|(_, mask)| mask.holds(row));
            let first = there.filter_map(|(part, _)| standing(part)).min();
            first.unwrap_or_else(|| self.places.at(row).standing())
        };
        Ok((0..self.places.len()).map(of_row).collect())
    }

    fn part(&self, input: usize) -> Result<&Part, EngineError> {
        self.parts.get(input).ok_or_else(|| EngineError::mismatch("input", self.parts.len(), input))
    }
}

//! Trailing windows whose values are taken away when they leave: the same as if each window were folded anew,
//! at a cost that is not that.

use std::time::{Duration, Instant};

use arrow_array::{BooleanArray, Float64Array, Int64Array, UInt64Array};
use arrow_buffer::BooleanBuffer;
use proptest::prelude::*;

use super::super::windows::{Sliding, Trailing};
use super::super::{Aggregate, Batch, EngineError, Halt, Watch, aggregates};
use super::*;
use crate::functions::{Column, Warnings};
use crate::scalar::Scalar;

/// So long are the windows.
const NANOS: i64 = 5;

/// A row: its key, how much later it is, whether it is a point, and which of the values it has.
type Cell = (u32, i64, bool, usize);

type Make = fn(&DataType, &[Scalar]) -> Result<Box<dyn Aggregate>, EngineError>;

/// Values of each type, null among them: those that equal others, those that order as no other, those that
/// are no floats.
fn values() -> Vec<ArrayRef> {
    let large = i64::MAX - 1;
    let ints = [Some(3), None, Some(-7), Some(3), Some(large), Some(1 << 53), Some(i64::MIN), Some(0)];
    let floats = [Some(0.0), None, Some(-0.0), Some(f64::NAN), Some(1e16), Some(0.1), Some(-2.5), Some(0.0)];
    let texts = [Some("b"), None, Some(""), Some("b"), Some("a longer one"), Some("ä"), Some("z"), Some("a")];
    let flags = [Some(true), None, Some(false), Some(true), Some(true), Some(false), None, Some(false)];
    vec![
        Arc::new(Int64Array::from(ints.to_vec())),
        Arc::new(ints.iter().map(|value| value.map(i64::cast_unsigned)).collect::<UInt64Array>()),
        Arc::new(Float64Array::from(floats.to_vec())),
        Arc::new(StringArray::from(texts.to_vec())),
        Arc::new(BooleanArray::from(flags.to_vec())),
    ]
}

/// The aggregations that are not folded anew over a type.
fn aggregations(data_type: &DataType) -> Vec<(Make, Vec<Scalar>)> {
    let collect = |max, min| (aggregates::collect as Make, vec![max, min]);
    let mut all: Vec<(Make, Vec<Scalar>)> = vec![
        (aggregates::first, vec![]),
        (aggregates::last, vec![]),
        (aggregates::min, vec![]),
        (aggregates::max, vec![]),
        (aggregates::lag, vec![Scalar::Int(0)]),
        (aggregates::lag, vec![Scalar::Int(2)]),
        collect(Scalar::Null, Scalar::Null),
        collect(Scalar::Int(2), Scalar::Int(1)),
        collect(Scalar::Int(0), Scalar::Null),
    ];
    if data_type.is_integer() {
        all.push((aggregates::mean, vec![]));
    }
    all
}

/// Folds rows from a time on, as one batch.
fn fold(state: &mut dyn Aggregate, cells: &[Cell], start: i64, of: &ArrayRef) -> ArrayRef {
    folded(state, cells, start, of, &Halt::default()).unwrap()
}

fn folded(
    state: &mut dyn Aggregate,
    cells: &[Cell],
    start: i64,
    of: &ArrayRef,
    halt: &Halt,
) -> Result<ArrayRef, EngineError> {
    let mut time = start;
    let times: Vec<i64> = cells
        .iter()
        .map(|(_, later, ..)| {
            time += later;
            time
        })
        .collect();
    let keys: Vec<u32> = cells.iter().map(|cell| cell.0).collect();
    let picks: UInt32Array = cells.iter().map(|cell| Some(cell.3 as u32)).collect();
    let present: BooleanBuffer = cells.iter().map(|cell| cell.2).collect();
    let batch = Batch {
        keys: &keys,
        known: 3,
        values: &Column::Array(arrow_select::take::take(of, &picks, None).unwrap()),
        present: cells.iter().any(|cell| !cell.2).then_some(&present),
        ends: None,
        times: &times,
        warnings: &Warnings::default(),
        halt,
    };
    state.fold(&batch)
}

fn cells() -> impl Strategy<Value = Vec<Cell>> {
    let cell = (0..3_u32, 0..3_i64, prop::bool::weighted(0.8), 0..8_usize);
    prop::collection::vec(cell, 1..60)
}

/// The values, -0.0 apart from 0.0, and NaN the same as NaN.
fn shown(values: &ArrayRef) -> Vec<String> {
    (0..values.len()).map(|row| format!("{:?}", values.slice(row, 1))).collect()
}

proptest! {
    #[test]
    fn values_that_leave_are_taken_away(cells in cells(), cut in 0..60_usize) {
        // Each key has a row before anything is saved.
        let cells: Vec<Cell> = (0..3).map(|key| (key, 0, false, 0)).chain(cells).collect();
        let cut = (cut + 3).min(cells.len());
        let (before, after) = cells.split_at(cut);
        let middle = before.iter().map(|cell| cell.1).sum();
        let keys = [2, 0, 1];
        for of in values() {
            for (make, constants) in aggregations(of.data_type()) {
                let made = || make(of.data_type(), &constants).unwrap();
                let own = || made().trailing(NANOS).unwrap().unwrap();
                let anew = || Trailing::new(made(), of.data_type(), NANOS).unwrap();
                let (mut state, mut other) = (own(), anew());
                prop_assert_eq!(
                    shown(&fold(&mut *state, before, 0, &of)),
                    shown(&fold(&mut other, before, 0, &of)),
                    "{} {:?}", of.data_type(), constants
                );
                // What was saved of either is taken up.
                let (mut restored, mut from_anew) = (own(), own());
                restored.load(&keys, 3, &state.save(&keys).unwrap()).unwrap();
                from_anew.load(&keys, 3, &other.save(&keys).unwrap()).unwrap();
                let expected = shown(&fold(&mut other, after, middle, &of));
                for state in [&mut state, &mut restored, &mut from_anew] {
                    let found = shown(&fold(&mut **state, after, middle, &of));
                    prop_assert_eq!(found, expected.clone(), "{} {:?}", of.data_type(), constants);
                }
                state.reset(&keys).unwrap();
                prop_assert_eq!(
                    shown(&fold(&mut *state, after, middle, &of)),
                    shown(&fold(&mut *own(), after, middle, &of))
                );
            }
        }
    }
}

#[test]
fn a_long_window_costs_no_more_than_a_short_one() {
    // 40,000 values in the window, one of which leaves at each of as many points: folded anew they are 1.6
    // thousand million.
    let start = Instant::now();
    let of: ArrayRef = Arc::new(Int64Array::from_iter_values((0..97).map(|value| value * 37 % 97)));
    let of_text: ArrayRef =
        Arc::new(StringArray::from_iter_values((0..97).map(|value| (value * 37 % 97).to_string())));
    for of in [of, of_text] {
        for (make, constants) in aggregations(of.data_type()) {
            if constants == [Scalar::Null, Scalar::Null] {
                // A list as long as the window is shown at each point.
                continue;
            }
            let mut state = make(of.data_type(), &constants).unwrap().trailing(40_000).unwrap().unwrap();
            for round in 0..8 {
                let cells: Vec<Cell> = (0..10_000).map(|row| (0, 1, true, row % 97)).collect();
                fold(&mut *state, &cells, round * 10_000, &of);
            }
            // 24 bytes a value that is held, and room.
            assert!(state.memory() < 4_000_000, "{} bytes", state.memory());
        }
    }
    assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
}

/// A watch that is due.
struct Due;

impl Watch for Due {
    fn is_due(&self) -> bool {
        true
    }

    fn time(&self) -> Duration {
        Duration::ZERO
    }
}

#[test]
fn a_window_is_left_where_it_is() {
    let of = &values()[0];
    let made = |make: Make| make(of.data_type(), &[]).unwrap();
    let states: Vec<Box<dyn Aggregate>> = vec![
        Box::new(Trailing::new(made(aggregates::stddev), of.data_type(), NANOS).unwrap()),
        Box::new(Sliding::new(|| aggregates::stddev(of.data_type(), &[]), 2).unwrap()),
        made(aggregates::mean).trailing(NANOS).unwrap().unwrap(),
        made(aggregates::max).trailing(NANOS).unwrap().unwrap(),
    ];
    for mut state in states {
        let left = folded(&mut *state, &[(0, 1, true, 0)], 0, of, &Halt::by(Arc::new(Due)));
        assert!(matches!(left, Err(EngineError::Halted)));
    }
}

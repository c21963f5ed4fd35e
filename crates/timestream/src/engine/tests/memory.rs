//! What state costs.

use arrow_array::cast::AsArray;
use arrow_array::{Float64Array, Int64Array};
use arrow_buffer::BooleanBuffer;
use arrow_schema::DataType::{Float64, Int64, Utf8};

use super::super::windows::{Since, Sliding};
use super::super::{Aggregate, Batch, EngineError, Halt, aggregates};
use super::*;
use crate::functions::{Column, Warnings};
use crate::scalar::Scalar;

/// A count over this many keys of this many bytes.
fn counted(keys: usize, length: usize) -> RegionOperator {
    let steps = vec![column(0, 0, Int64), aggregate("count", 0, None, Int64)];
    let regions = vec![region(&[Input::Scan(0)], steps, vec![])];
    let plan = plan(vec![scan(&[("x", Int64)])], regions, None, &[1], Results::history());
    let mut operator = RegionOperator::new(plan, 0).unwrap();
    for start in (0..keys).step_by(1024) {
        let names: Vec<String> =
            (start..(start + 1024).min(keys)).map(|key| format!("{key:0length$}")).collect();
        let names: Vec<Option<&str>> = names.iter().map(|name| Some(name.as_str())).collect();
        let values = Arc::new(Int64Array::from(vec![1; names.len()]));
        operator
            .process(vec![vec![rows(&vec![0; names.len()], &names, vec![values])]], &Clock::START)
            .unwrap();
    }
    operator
}

#[test]
fn a_count_holds_64_bytes_a_key_at_most() {
    // Tables have just grown at 115,000 and 230,000.
    for keys in [50_000, 100_000, 115_000, 120_000, 229_000, 230_000] {
        for length in [24, 32] {
            let operator = counted(keys, length);
            assert_eq!(operator.keys(), keys);
            let bytes = operator.state_bytes() as f64 / keys as f64;
            assert!((36.0..=64.0).contains(&bytes), "{bytes} bytes a key of {length} at {keys} keys");
        }
    }
}

#[test]
fn replaced_text_leaves_nothing_behind() {
    let steps = vec![column(0, 0, Utf8), aggregate("last", 0, None, Utf8)];
    let regions = vec![region(&[Input::Scan(0)], steps, vec![])];
    let plan = plan(vec![scan(&[("x", Utf8)])], regions, None, &[1], Results::history());
    let mut operator = RegionOperator::new(Arc::clone(&plan), 0).unwrap();
    let names: Vec<String> = (0..10).map(|key| key.to_string()).collect();
    let names: Vec<Option<&str>> = names.iter().map(|name| Some(name.as_str())).collect();
    let mut held: Vec<Option<String>> = vec![None; 10];
    for round in 0..5_000 {
        // One key's text is replaced; the others show what was held, which must not have moved.
        let key = round * 7 % 10;
        let text = format!("{key}:{}", "x".repeat(round * 31 % 97));
        let texts: StringArray = (0..10).map(|other| (other == key).then_some(text.as_str())).collect();
        held[key] = Some(text);
        let rows = rows(&[round as i64; 10], &names, vec![Arc::new(texts)]);
        let answer = operator.process(vec![vec![rows]], &Clock::START).unwrap().answer.remove(0);
        assert_eq!(
            answer.columns[0].as_ref(),
            &held.iter().collect::<StringArray>() as &dyn Array,
            "round {round}"
        );
    }
    let restored = RegionOperator::new(plan, 0).unwrap();
    let restored = operator.snapshot().unwrap().into_iter().fold(restored, |mut operator, (shard, bytes)| {
        operator.restore(shard, &bytes).unwrap();
        operator
    });
    assert_eq!(restored.snapshot().unwrap(), operator.snapshot().unwrap());
    assert!(operator.state_bytes() < 25_000, "{} bytes", operator.state_bytes());
}

/// Bytes a key of an aggregation whose window has had 20 points of each key, with an end after every fifth of those.
fn window_bytes(mut state: Box<dyn Aggregate>, values: ArrayRef) -> f64 {
    let keys: Vec<u32> = (0..values.len() as u32).collect();
    let (values, warnings) = (Column::Array(values), Warnings::default());
    let ends = BooleanBuffer::new_set(keys.len());
    for round in 0..20 {
        let batch = Batch {
            keys: &keys,
            known: keys.len(),
            values: &values,
            present: None,
            ends: (round % 5 == 4).then_some(&ends),
            times: &vec![round; keys.len()],
            warnings: &warnings,
            halt: &Halt::default(),
        };
        state.fold(&batch).unwrap();
    }
    state.memory() as f64 / keys.len() as f64
}

#[test]
fn windows_hold_little_for_a_key() {
    let sum = || aggregates::sum(&Int64, &[]);
    let numbers = || -> ArrayRef { Arc::new(Int64Array::from_iter_values(0..50_000)) };
    let texts = || -> ArrayRef { Arc::new(StringArray::from_iter_values(numbers_as_text())) };
    let five = [Scalar::Int(5), Scalar::Null];
    let held = |state: Result<Box<dyn Aggregate>, EngineError>, values| window_bytes(state.unwrap(), values);
    let sliding = |intervals| Ok(Box::new(Sliding::new(sum, intervals).unwrap()) as Box<dyn Aggregate>);
    let since = |inner: Box<dyn Aggregate>| Ok(Box::new(Since::new(inner)) as Box<dyn Aggregate>);
    let floats: ArrayRef = Arc::new(Float64Array::from_iter_values((0..50_000).map(f64::from)));
    let of_floats = Sliding::new(|| aggregates::sum(&Float64, &[]), 2).unwrap();
    let cases = [
        ("sum", held(sum(), numbers()), 9.0),
        ("sum since an end", held(since(sum().unwrap()), numbers()), 14.0),
        ("sum of an interval", held(sliding(1), numbers()), 16.0),
        ("sum of 2 intervals", held(sliding(2), numbers()), 24.0),
        ("sum of 60 intervals", held(sliding(60), numbers()), 488.0),
        ("sum of floats of 2 intervals", held(Ok(Box::new(of_floats)), floats), 32.0),
        ("the newest 5 numbers", held(aggregates::collect(&Int64, &five), numbers()), 105.0),
        ("the newest 5 texts of 24 bytes", held(aggregates::collect(&Utf8, &five), texts()), 320.0),
    ];
    for (what, bytes, most) in cases {
        println!("{what}: {bytes:.0} bytes a key");
        assert!(bytes <= most * 1.26, "{what}: {bytes} bytes a key");
    }
}

fn numbers_as_text() -> impl Iterator<Item = String> {
    (0..50_000).map(|number| format!("{number:024}"))
}

#[test]
fn collect_uses_the_memory_of_answers_that_are_gone() {
    let mut state = aggregates::collect(&Utf8, &[Scalar::Int(1), Scalar::Null]).unwrap();
    let keys: Vec<u32> = (0..2_000).collect();
    let mut fold = |round: u64| {
        let texts = keys.iter().map(|key| format!("{key}:{round}:{}", "x".repeat(900)));
        let values = Column::Array(Arc::new(StringArray::from_iter_values(texts)));
        let (times, warnings) = (vec![0; keys.len()], Warnings::default());
        let (known, values, times, warnings) = (keys.len(), &values, &times[..], &warnings);
        let halt = &Halt::default();
        let batch = Batch { keys: &keys, known, values, present: None, ends: None, times, warnings, halt };
        state.fold(&batch).unwrap()
    };
    let place = |lists: &ArrayRef| lists.as_list::<i32>().values().to_data().buffers()[1].as_ptr();
    let first = fold(0);
    let gone = place(&first);
    let copy = first.as_list::<i32>().values().as_string::<i32>().iter().map(|text| text.unwrap().to_owned());
    let copy: Vec<String> = copy.collect();
    let second = fold(1);
    assert_ne!(place(&second), gone, "the first answer is still there");
    assert!(first.as_list::<i32>().values().as_string::<i32>().iter().flatten().eq(copy.iter()));
    drop(first);
    let third = fold(2);
    assert_eq!(place(&third), gone);
    let newest = third.as_list::<i32>().value(7);
    let newest: Vec<&str> = newest.as_string::<i32>().iter().flatten().map(|text| &text[..4]).collect();
    assert_eq!(newest, ["7:2:"]);
}

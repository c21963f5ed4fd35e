//! Much at once: what would not fit one array, or memory, is computed and handed on in parts.

use arrow_array::cast::AsArray;
use arrow_array::{Int64Array, ListArray};
use arrow_schema::DataType::{Boolean, Int64, Utf8};
use proptest::prelude::*;

use super::super::parts::{PART, bytes, cut_by};
use super::*;
use crate::scalar::Scalar;
use crate::types;

/// A region of one input column, an aggregation of it, and what else there is.
fn aggregated(name: &str, column_type: &DataType, steps: Vec<Step>, shown: &[Reg]) -> Arc<Plan> {
    let result = if name == "collect" { types::list(column_type.clone()) } else { column_type.clone() };
    let mut aggregation = Aggregation::cumulative(functions::find(name).unwrap());
    if name == "collect" {
        aggregation.constants = vec![Scalar::Null; 2];
    }
    let state = step(StepOp::Aggregate { aggregation, value: 0, present: None, ends: None }, result);
    let mut all = vec![column(0, 0, column_type.clone()), state];
    all.extend(steps);
    let regions = vec![region(&[Input::Scan(0)], all, vec![])];
    plan(vec![scan(&[("x", column_type.clone())])], regions, None, shown, Results::history())
}

/// So many rows of one key, the first of which has a long text.
fn long_then_short(count: usize, length: usize) -> Rows {
    let long = "z".repeat(length);
    let texts: StringArray = (0..count).map(|row| Some(if row == 0 { long.as_str() } else { "a" })).collect();
    let times: Vec<i64> = (0..count as i64).collect();
    rows(&times, &vec![Some("k"); count], vec![Arc::new(texts)])
}

#[test]
fn one_long_text_among_many_rows_ends_nothing() {
    let plan = aggregated("max", &Utf8, vec![call("is_null", &[1], Boolean)], &[2]);
    let mut operator = RegionOperator::new(plan, 0).unwrap();
    // All that is shown would have 2.4 GB, more than an array can; in the second epoch of a text that is held.
    for length in [300_000, 1] {
        let input = long_then_short(8_000, length);
        let emitted = operator.process(vec![vec![input]], &Clock::START).unwrap();
        let [answer] = &emitted.answer[..] else { panic!("{}", emitted.answer.len()) };
        assert_eq!(answer.len(), 8_000);
    }
}

#[test]
fn what_is_much_goes_out_in_parts() {
    let plan = aggregated("collect", &Int64, Vec::new(), &[1]);
    let mut operator = RegionOperator::new(plan, 0).unwrap();
    let times: Vec<i64> = (0..8_000).collect();
    let values = Arc::new(Int64Array::from(times.clone()));
    let rows = rows(&times, &vec![Some("k"); 8_000], vec![values]);
    let emitted = operator.process(vec![vec![rows]], &Clock::START).unwrap();
    // 256 MB.
    assert!(emitted.answer.len() > 1);
    let mut row = 0;
    for answer in &emitted.answer {
        assert!(bytes(&answer.columns[0]) <= PART, "{}", bytes(&answer.columns[0]));
        let lists = answer.columns[0].as_any().downcast_ref::<ListArray>().unwrap();
        for list in (0..lists.len()).map(|list| lists.value_length(list)) {
            row += 1;
            assert_eq!(list, row);
        }
    }
    assert_eq!(row, 8_000);
}

#[test]
fn a_snapshot_of_many_long_keys_and_values_is_several_batches() {
    let regions = vec![region(&[Input::Scan(0)], vec![column(0, 0, Utf8)], vec![])];
    let snapshot = Results::Snapshot { changed_since: None, at: None };
    let plan = plan(vec![scan(&[("x", Utf8)])], regions, None, &[0], snapshot);
    let mut results = ResultOperator::new(&plan, Mode::Once).unwrap();
    let key = |key: i64| format!("{key:03}{}", "z".repeat(500_000));
    for at in (0..300).rev() {
        let text = Arc::new(StringArray::from(vec![key(at); 1]));
        let shown = results.process(rows(&[0], &[Some(&key(at))], vec![text])).unwrap();
        assert!(shown.is_empty());
    }
    // 300 MB.
    let batches = results.finish(0).unwrap();
    assert!(batches.len() > 1);
    let mut at = 0;
    for batch in &batches {
        let keys = batch.key.as_ref().unwrap().values.as_string::<i32>();
        let texts = batch.columns[0].as_string::<i32>();
        assert!(keys.value_data().len() + texts.value_data().len() <= PART);
        for (shown, text) in keys.iter().zip(texts) {
            assert!(shown == Some(key(at).as_str()) && text == shown, "{at}");
            at += 1;
        }
    }
    assert_eq!(at, 300);
}

proptest! {
    #[test]
    fn parts_follow_each_other_and_share_no_place(
        times in prop::collection::vec(prop::collection::vec(prop::collection::vec(0_i64..30, 0..20), 0..3), 1..3),
        most in 1_usize..600,
    ) {
        let batch = |mut times: Vec<i64>| {
            times.sort_unstable();
            let mut rows = rows(&times, &vec![Some("k"); times.len()], Vec::new());
            rows.places.ordinal = vec![0; times.len()].into();
            rows
        };
        let inputs: Vec<Vec<Rows>> =
            times.into_iter().map(|batches| batches.into_iter().map(batch).collect()).collect();
        let times_of = |batches: &[Rows]| merge(batches.to_vec()).unwrap().places.time.to_vec();
        let parts = cut_by(inputs.clone(), most);
        let mut last = i64::MIN;
        for part in &parts {
            let held: Vec<i64> = part.iter().flatten().flat_map(|rows| rows.places.time.to_vec()).collect();
            prop_assert!(held.iter().all(|time| *time > last));
            prop_assert!(held.len() * 29 <= most || held.iter().all(|time| *time == held[0]));
            last = held.into_iter().max().unwrap_or(last);
        }
        for (input, batches) in inputs.iter().enumerate() {
            let of: Vec<i64> = parts.iter().flat_map(|part| times_of(&part[input])).collect();
            prop_assert_eq!(of, times_of(batches));
        }
    }
}

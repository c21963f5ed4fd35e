//! What state costs.

use arrow_array::Int64Array;
use arrow_schema::DataType::{Int64, Utf8};

use super::*;

/// A count over this many keys of 24 bytes.
fn counted(keys: usize) -> RegionOperator {
    let steps = vec![column(0, 0, Int64), aggregate("count", 0, None, Int64)];
    let regions = vec![region(&[Input::Scan(0)], steps, vec![])];
    let plan = plan(vec![scan(&[("x", Int64)])], regions, None, &[1], Results::history());
    let mut operator = RegionOperator::new(plan, 0).unwrap();
    for start in (0..keys).step_by(1024) {
        let names: Vec<String> = (start..(start + 1024).min(keys)).map(|key| format!("{key:024}")).collect();
        let names: Vec<Option<&str>> = names.iter().map(|name| Some(name.as_str())).collect();
        let values = Arc::new(Int64Array::from(vec![1; names.len()]));
        operator.process(vec![vec![rows(&vec![0; names.len()], &names, vec![values])]], &Clock::START).unwrap();
    }
    operator
}

#[test]
fn a_count_holds_64_bytes_a_key_at_most() {
    for keys in [50_000, 100_000, 115_000, 120_000, 229_000, 230_000] {
        let operator = counted(keys);
        assert_eq!(operator.keys(), keys);
        let bytes = operator.state_bytes() as f64 / keys as f64;
        assert!((36.0..=64.0).contains(&bytes), "{bytes} bytes a key at {keys} keys");
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
        let answer = operator.process(vec![vec![rows]], &Clock::START).unwrap().answer.unwrap();
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

//! What is shown of an answer.

use arrow_array::{BooleanArray, Int64Array};
use arrow_schema::DataType::{Boolean, Int64};

use super::*;

/// The answer is the stream itself: at 1 a=1, at 2 b=2, at 2 null=3, at 3 a=4.
fn shown_as(results: Results, mode: Mode) -> Vec<String> {
    let regions = vec![region(&[Input::Scan(0)], vec![column(0, 0, Int64)], vec![])];
    let plan = plan(vec![scan(&[("x", Int64)])], regions, None, &[0], results);
    let mut run = Run::new(&plan, mode, 1);
    let values = Arc::new(Int64Array::from(vec![1, 2, 3, 4]));
    run.epoch(&[rows(&[1, 2, 2, 3], &[Some("a"), Some("b"), None, Some("a")], vec![values])]);
    run.finish(3)
}

#[test]
fn history_is_cut_at_both_ends_inclusive() {
    let history = |since, until| shown_as(Results::History { since, until }, Mode::Once);
    assert_eq!(history(None, None), ["1 a 1", "2 b 2", "2 null 3", "3 a 4"]);
    assert_eq!(history(Some(2), Some(2)), ["2 b 2", "2 null 3"]);
    assert_eq!(history(Some(4), None), Vec::<String>::new());
    assert_eq!(history(Some(3), Some(1)), Vec::<String>::new());
    assert_eq!(
        shown_as(Results::History { since: Some(2), until: None }, Mode::Live),
        ["2 b 2", "2 null 3", "3 a 4"]
    );
}

#[test]
fn a_snapshot_has_one_row_a_key_by_key_null_first() {
    let snapshot = |changed_since, at| shown_as(Results::Snapshot { changed_since, at }, Mode::Once);
    assert_eq!(snapshot(None, None), ["4 null 3", "4 a 4", "4 b 2"]);
    assert_eq!(snapshot(None, Some(2)), ["3 null 3", "3 a 1", "3 b 2"]);
    assert_eq!(snapshot(Some(3), None), ["4 a 4"]);
    assert_eq!(snapshot(Some(4), None), Vec::<String>::new());
}

#[test]
fn live_each_changed_key_is_upserted() {
    let live = |changed_since, at| shown_as(Results::Snapshot { changed_since, at }, Mode::Live);
    assert_eq!(live(None, None), ["3 b 2", "3 null 3", "4 a 4"]);
    assert_eq!(live(Some(2), Some(2)), ["3 b 2", "3 null 3"]);
}

/// A count a key over batches that each worker sees its keys of: the same numbers stand for other keys at
/// another worker.
#[test]
fn a_snapshot_is_the_same_however_keys_are_numbered_by_workers() {
    let steps = vec![column(0, 0, Int64), aggregate("count", 0, None, Int64)];
    let names: Vec<String> = (0..50).map(|key| format!("key {}", key * 13 % 50)).collect();
    let shown_by = |workers: usize, present: Option<Reg>| {
        let mut steps = steps.clone();
        steps.push(column(0, 1, Boolean));
        steps.push(step(StepOp::IsTrue(2), Boolean));
        let regions = vec![region(&[Input::Scan(0)], steps, vec![])];
        let scans = vec![scan(&[("x", Int64), ("is_shown", Boolean)])];
        let plan = plan(scans, regions, present, &[1], Results::Snapshot { changed_since: None, at: None });
        let mut run = Run::new(&plan, Mode::Once, workers);
        for epoch in 0..7_i64 {
            if epoch == 4 {
                run = run.restored(workers);
            }
            let of: Vec<usize> = (0..20).map(|row| (row * 3 + epoch as usize * 11) % 50).collect();
            let keys: Vec<Option<&str>> =
                of.iter().map(|key| Some(names[*key].as_str()).filter(|_| *key > 0)).collect();
            let values = Arc::new(Int64Array::from(vec![1; 20]));
            let is_shown = Arc::new(BooleanArray::from_iter(of.iter().map(|key| Some(key % 3 > 0))));
            run.epoch(&[rows(&[epoch; 20], &keys, vec![values, is_shown])]);
        }
        run.finish(7)
    };
    for present in [None, Some(3)] {
        let one = shown_by(1, present);
        assert_eq!(one.len(), if present.is_none() { 50 } else { 33 });
        for workers in [2, 3, 5] {
            assert_eq!(shown_by(workers, present), one, "{workers} workers");
        }
    }
    // By hand: key 0, which is null, is in epochs 0, 1, 4 and 5.
    assert_eq!(shown_by(1, None)[0], "8 null 4");
}

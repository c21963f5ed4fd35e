//! What is shown of an answer.

use arrow_array::Int64Array;
use arrow_schema::DataType::Int64;

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

//! One answer however the rows are cut into epochs, divided among workers, and carried over from bytes.

use std::sync::Arc;

use arrow_array::builder::{ListBuilder, StringBuilder};
use arrow_array::{ArrayRef, BooleanArray, Float64Array, Int64Array, StringArray, StructArray};
use proptest::prelude::*;

use super::*;

/// An event: key, number, float, text, flag.
type Event = (Option<&'static str>, Option<i64>, Option<f64>, Option<&'static str>, Option<bool>);

fn events() -> impl Strategy<Value = Vec<(bool, Event)>> {
    let key = prop_oneof![Just(None), Just(Some("a")), Just(Some("b")), Just(Some("")), Just(Some("clé"))];
    let number =
        prop_oneof![Just(None), Just(Some(i64::MAX)), Just(Some(i64::MIN)), (-9_i64..9).prop_map(Some)];
    let float = prop_oneof![
        Just(None),
        Just(Some(-0.0)),
        Just(Some(f64::NAN)),
        Just(Some(f64::INFINITY)),
        (-1e9_f64..1e9).prop_map(Some)
    ];
    let text = prop_oneof![
        Just(None),
        Just(Some("a")),
        Just(Some("z")),
        Just(Some("")),
        Just(Some("longer than before"))
    ];
    let flag = prop_oneof![Just(None), Just(Some(true)), Just(Some(false))];
    // Whether time goes on, and what happens then.
    prop::collection::vec((any::<bool>(), (key, number, float, text, flag)), 0..40)
}

fn struct_type() -> DataType {
    DataType::Struct(
        vec![Field::new("n", DataType::Int64, true), Field::new("t", DataType::Utf8, true)].into(),
    )
}

fn list_type() -> DataType {
    DataType::List(Arc::new(Field::new("item", DataType::Utf8, true)))
}

fn to_rows(events: &[(bool, Event)]) -> Rows {
    let mut time = 0;
    let times: Vec<i64> = events
        .iter()
        .map(|(later, _)| {
            time += i64::from(*later);
            time
        })
        .collect();
    let keys: Vec<Option<&str>> = events.iter().map(|event| event.1.0).collect();
    let numbers: ArrayRef = Arc::new(events.iter().map(|event| event.1.1).collect::<Int64Array>());
    let texts: ArrayRef = Arc::new(events.iter().map(|event| event.1.3).collect::<StringArray>());
    let DataType::Struct(fields) = struct_type() else { unreachable!() };
    let nulls = events.iter().map(|event| event.1.4.is_some()).collect::<Vec<bool>>().into();
    let structs = StructArray::new(fields, vec![Arc::clone(&numbers), Arc::clone(&texts)], Some(nulls));
    let mut lists = ListBuilder::new(StringBuilder::new());
    for (_, (_, number, _, text, flag)) in events {
        for _ in 0..number.unwrap_or(0).clamp(0, 2) {
            lists.values().append_option(*text);
        }
        lists.append(flag.is_some());
    }
    let columns: Vec<ArrayRef> = vec![
        numbers,
        Arc::new(events.iter().map(|event| event.1.2).collect::<Float64Array>()),
        texts,
        Arc::new(events.iter().map(|event| event.1.4).collect::<BooleanArray>()),
        Arc::new(structs),
        Arc::new(lists.finish()),
    ];
    rows(&times, &keys, columns)
}

/// Two re-keyings of one stream, one of them filtered, joined and aggregated in every way.
fn wide_plan(results: Results) -> Arc<Plan> {
    use DataType::{Boolean, Float64, Int64, Utf8};
    let source = scan(&[
        ("number", Int64),
        ("float", Float64),
        ("text", Utf8),
        ("flag", Boolean),
        ("struct", struct_type()),
        ("list", list_type()),
    ]);
    let by_key = region(
        &[Input::Scan(0)],
        vec![
            column(0, 0, Int64),
            column(0, 1, Float64),
            column(0, 2, Utf8),
            column(0, 3, Boolean),
            column(0, 4, struct_type()),
            column(0, 5, list_type()),
            step(StepOp::IsTrue(3), Boolean),
            aggregate("count", 2, Some(6), Int64),
            aggregate("last", 4, None, struct_type()),
            call("add", &[0, 7], Int64),
        ],
        vec![
            Feed { present: Some(6), key: 2, columns: vec![0, 1, 2, 5, 9], moves: Moves::Stay, apart: None },
            Feed { present: None, key: 2, columns: vec![7, 8, 3], moves: Moves::Stay, apart: None },
        ],
    );
    let mut steps = vec![
        column(0, 0, Int64),
        column(0, 1, Float64),
        column(0, 2, Utf8),
        column(0, 3, list_type()),
        column(0, 4, Int64),
        column(1, 0, Int64),
        column(1, 1, struct_type()),
        column(1, 2, Boolean),
        step(StepOp::Present(0), Boolean),
        step(StepOp::Present(1), Boolean),
    ];
    for (name, value, present, data_type) in [
        ("count", 0, Some(8), Int64),
        ("count", 5, None, Int64),
        ("count_if", 7, Some(9), Int64),
        ("sum", 0, Some(8), Int64),
        ("sum", 1, None, Float64),
        ("mean", 1, Some(8), Float64),
        ("min", 1, Some(8), Float64),
        ("max", 1, None, Float64),
        ("min", 2, Some(8), Utf8),
        ("max", 2, Some(9), Utf8),
        ("first", 3, Some(8), list_type()),
        ("last", 3, Some(8), list_type()),
        ("first", 6, Some(9), struct_type()),
        ("last", 6, None, struct_type()),
        ("last", 2, Some(8), Utf8),
        ("last", 7, None, Boolean),
        ("max", 4, Some(8), Int64),
    ] {
        steps.push(aggregate(name, value, present, data_type));
    }
    let by_text =
        region(&[Input::Feed { region: 0, feed: 0 }, Input::Feed { region: 0, feed: 1 }], steps, Vec::new());
    plan(vec![source], vec![by_key, by_text], None, &(0..27).collect::<Vec<_>>(), results)
}

/// A way to run.
#[derive(Debug, Clone)]
struct Way {
    /// Rows an epoch, over and over.
    cuts: Vec<usize>,
    workers: usize,
    /// Whether all is carried over by bytes before each epoch, to this many workers and one more each time.
    restored: bool,
}

fn run(plan: &Arc<Plan>, mode: Mode, rows: &Rows, way: &Way) -> (Vec<String>, u64) {
    let mut run = Run::new(plan, mode, way.workers);
    let mut start = 0;
    for (epoch, cut) in way.cuts.iter().cycle().enumerate() {
        let len = (*cut).min(rows.len() - start);
        if way.restored {
            run = run.restored(way.workers + epoch % 2);
        }
        run.epoch(&[slice(rows, start, len)]);
        start += len;
        if start == rows.len() {
            break;
        }
    }
    let overflows = run.overflows;
    let newest = rows.places.time.last().copied().unwrap_or(0);
    (run.finish(newest), overflows)
}

fn ways() -> impl Strategy<Value = Way> {
    let cuts = prop_oneof![Just(vec![1]), prop::collection::vec(1_usize..9, 1..6)];
    (cuts, 1_usize..5, any::<bool>()).prop_map(|(cuts, workers, restored)| Way { cuts, workers, restored })
}

fn all_at_once(rows: &Rows) -> Way {
    Way { cuts: vec![rows.len().max(1)], workers: 1, restored: false }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn every_way_gives_the_same_history(events in events(), way in ways()) {
        let (rows, plan) = (to_rows(&events), wide_plan(Results::history()));
        let (expected, overflows) = run(&plan, Mode::Once, &rows, &all_at_once(&rows));
        prop_assert_eq!(expected.len(), rows.len());
        prop_assert_eq!(run(&plan, Mode::Once, &rows, &way), (expected, overflows));
    }

    #[test]
    fn every_way_gives_the_same_snapshot(events in events(), way in ways(), since in 0_i64..9, at in 0_i64..20) {
        let (rows, results) = (to_rows(&events), Results::Snapshot { changed_since: Some(since), at: Some(at) });
        let plan = wide_plan(results);
        let expected = run(&plan, Mode::Once, &rows, &all_at_once(&rows)).0;
        prop_assert_eq!(&run(&plan, Mode::Once, &rows, &way).0, &expected);
        // Live: the last upsert of each key has the values of the snapshot.
        let values = |row: &String| row.split_once(' ').map(|(_, values)| values.to_owned()).unwrap();
        let key = |values: &String| values.split_once(' ').map(|(key, _)| key.to_owned()).unwrap();
        let upserts: std::collections::BTreeMap<String, String> =
            run(&plan, Mode::Live, &rows, &way).0.iter().map(values).map(|values| (key(&values), values)).collect();
        let last: std::collections::BTreeMap<String, String> =
            expected.iter().map(values).map(|values| (key(&values), values)).collect();
        prop_assert_eq!(upserts, last);
    }
}

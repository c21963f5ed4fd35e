//! What a region computes, by hand.

use arrow_array::{BooleanArray, Float64Array, Int64Array, StructArray, UInt64Array};
use arrow_buffer::OffsetBuffer;
use arrow_schema::DataType::{Boolean, Float64, Int64, UInt64, Utf8};

use super::*;
use crate::engine::rekey::rekeyed;
use crate::engine::{EngineError, SnapshotError, pair, queues};
use crate::functions::FunctionKind;
use crate::plan::Scan;
use crate::rows::{Place, TICK};
use crate::scalar::Scalar;

/// Runs a plan of one scan over rows in one epoch.
fn answer(plan: &Arc<Plan>, rows: Rows) -> Vec<String> {
    let mut run = Run::new(plan, Mode::Once, 1);
    run.epoch(&[rows]);
    run.finish(0)
}

/// The values of aggregations over one column, at every row.
fn aggregated(names: &[(&str, DataType)], keys: &[Option<&str>], values: ArrayRef) -> Vec<String> {
    let mut steps = vec![column(0, 0, values.data_type().clone())];
    steps.extend(names.iter().map(|(name, data_type)| aggregate(name, 0, None, data_type.clone())));
    let outputs: Vec<Reg> = (1..steps.len()).collect();
    let scans = vec![scan(&[("value", values.data_type().clone())])];
    let plan =
        plan(scans, vec![region(&[Input::Scan(0)], steps, vec![])], None, &outputs, Results::history());
    let times: Vec<i64> = (0..keys.len() as i64).collect();
    answer(&plan, rows(&times, keys, vec![values]))
}

#[test]
fn aggregations_skip_nulls_and_hold() {
    let names = ["count", "sum", "min", "max", "first", "last"].map(|name| (name, Int64));
    let values = Arc::new(Int64Array::from(vec![None, Some(3), Some(9), None, Some(-1), Some(2)]));
    let keys = [Some("a"), Some("a"), None, Some("a"), Some("a"), None];
    assert_eq!(
        aggregated(&names, &keys, values),
        [
            "0 a 0 null null null null null",
            "1 a 1 3 3 3 3 3",
            "2 null 1 9 9 9 9 9",
            "3 a 1 3 3 3 3 3",
            "4 a 2 2 -1 3 3 -1",
            "5 null 2 11 2 9 9 2",
        ]
    );
}

#[test]
fn float_aggregations_go_in_order_and_prefer_numbers_to_nan() {
    let names = ["sum", "mean", "min", "max"].map(|name| (name, Float64));
    let values = Arc::new(Float64Array::from(vec![-0.0, 0.0, 1e16, 1.0, -1e16]));
    let keys = [Some("a"); 5];
    assert_eq!(
        aggregated(&names, &keys, values),
        [
            "0 a -0.0 0.0 -0.0 -0.0",
            "1 a 0.0 0.0 -0.0 -0.0",
            "2 a 1e16 3333333333333333.5 -0.0 1e16",
            "3 a 1e16 2500000000000000.0 -0.0 1e16",
            "4 a 0.0 0.0 -1e16 1e16",
        ]
    );
    let values = Arc::new(Float64Array::from(vec![f64::NAN, 2.0, f64::NAN, 1.0]));
    let names = ["min", "max"].map(|name| (name, Float64));
    assert_eq!(
        aggregated(&names, &[Some("a"); 4], values),
        ["0 a NaN NaN", "1 a 2.0 2.0", "2 a 2.0 2.0", "3 a 1.0 2.0"]
    );
}

#[test]
fn a_sum_beyond_its_type_stays_null_and_is_counted_once_a_key() {
    let scans = vec![scan(&[("value", UInt64)])];
    let steps = vec![column(0, 0, UInt64), aggregate("sum", 0, None, UInt64)];
    let plan = plan(scans, vec![region(&[Input::Scan(0)], steps, vec![])], None, &[1], Results::history());
    let mut run = Run::new(&plan, Mode::Once, 1);
    let values = Arc::new(UInt64Array::from(vec![u64::MAX, 5, 1, 0, 7]));
    run.epoch(&[rows(&[1, 2, 3, 4, 5], &["a", "b", "a", "a", "b"].map(Some), vec![values])]);
    assert_eq!(run.overflows, 1);
    let mut run = run.restored(2);
    run.epoch(&[rows(&[6, 7], &[Some("a"), Some("b")], vec![Arc::new(UInt64Array::from(vec![1, 1]))])]);
    assert_eq!(run.overflows, 1);
    assert_eq!(
        run.finish(7),
        ["1 a 18446744073709551615", "2 b 5", "3 a null", "4 a null", "5 b 12", "6 a null", "7 b 13"]
    );
}

#[test]
fn a_count_is_null_before_the_first_point_of_its_key() {
    let scans = vec![scan(&[("value", Int64), ("flag", Boolean)])];
    let steps = vec![
        column(0, 0, Int64),
        column(0, 1, Boolean),
        step(StepOp::IsTrue(1), Boolean),
        aggregate("count", 0, Some(2), Int64),
        step(StepOp::Only { value: 0, present: 2 }, Int64),
        aggregate("sum", 0, Some(2), Int64),
    ];
    let plan =
        plan(scans, vec![region(&[Input::Scan(0)], steps, vec![])], None, &[3, 4, 5], Results::history());
    let values: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None, Some(2), Some(4)]));
    let flags: ArrayRef = Arc::new(BooleanArray::from(vec![None, Some(true), Some(true), Some(false)]));
    let rows = rows(&[0, 1, 2, 3], &[Some("a"); 4], vec![values, flags]);
    assert_eq!(answer(&plan, rows), ["0 a null null null", "1 a 0 null null", "2 a 1 2 2", "3 a 1 null 2"]);
}

#[test]
fn joined_inputs_share_rows_by_place_and_key() {
    // Two streams of one source: their points never pair, and their order is that of their places.
    let scans = vec![scan(&[("x", Int64)]), scan(&[("y", Int64)])];
    let steps = vec![
        column(0, 0, Int64),
        column(1, 0, Int64),
        step(StepOp::Present(0), Boolean),
        step(StepOp::Present(1), Boolean),
        aggregate("sum", 0, Some(2), Int64),
        call("add", &[4, 1], Int64),
        step(StepOp::Either(2, 3), Boolean),
        step(StepOp::Both(2, 3), Boolean),
    ];
    let regions = vec![region(&[Input::Scan(0), Input::Scan(1)], steps, vec![])];
    let plan = plan(scans, regions, Some(6), &[0, 1, 4, 5, 7], Results::history());
    let mut run = Run::new(&plan, Mode::Once, 1);
    let mut x = rows(&[1, 2], &[Some("a"), Some("b")], vec![Arc::new(Int64Array::from(vec![10, 20]))]);
    x.places.ordinal = vec![3, 5].into();
    let mut y = rows(&[1, 1, 2], &["a", "b", "b"].map(Some), vec![Arc::new(Int64Array::from(vec![1, 2, 3]))]);
    y.places.ordinal = vec![3, 4, 6].into();
    run.epoch(&[x, y]);
    assert_eq!(
        run.finish(0),
        [
            "1 a 10 1 10 11 true",
            "1 b null 2 null null false",
            "2 b 20 null 20 null false",
            "2 b null 3 20 23 false"
        ]
    );
}

#[test]
fn points_that_share_a_place_go_by_their_new_key() {
    // Each event stands under two keys, then each of the two points under the other's key: their order turns around.
    let swapped =
        |key, column| Feed { present: None, key, columns: vec![column], moves: Moves::Stay, apart: None };
    let columns = || vec![column(0, 0, Utf8), column(0, 1, Utf8)];
    let first = region(&[Input::Scan(0)], columns(), vec![swapped(0, 1), swapped(1, 0)]);
    let steps = vec![column(0, 0, Utf8), column(1, 0, Utf8), call("else_", &[0, 1], Utf8)];
    let feed = Feed { present: None, key: 2, columns: vec![2], moves: Moves::Stay, apart: None };
    let inputs = [Input::Feed { region: 0, feed: 0 }, Input::Feed { region: 0, feed: 1 }];
    let second = region(&inputs, steps, vec![feed]);
    let third = region(&[Input::Feed { region: 1, feed: 0 }], vec![column(0, 0, Utf8)], vec![]);
    let plan = plan(
        vec![scan(&[("a", Utf8), ("b", Utf8)])],
        vec![first, second, third],
        None,
        &[0],
        Results::history(),
    );
    let texts = |texts: [&str; 3]| Arc::new(StringArray::from(texts.to_vec())) as ArrayRef;
    let columns = vec![texts(["x", "z", "z"]), texts(["y", "y", "z"])];
    let rows = rows(&[0, 0, 1], &[None; 3], columns);
    assert_eq!(answer(&plan, rows), ["0 x x", "0 y y", "0 y y", "0 z z", "1 z z"]);
}

#[test]
fn events_of_two_sources_pair_by_time_key_and_turn() {
    let mut other = scan(&[("y", Int64)]);
    other.stream = Arc::new(StreamDef { source: 1, ..(*other.stream).clone() });
    other.pairs = Some(0);
    let one = Scan { pairs: Some(0), ..scan(&[("x", Int64)]) };
    let steps = vec![column(0, 0, Int64), column(1, 0, Int64), aggregate("sum", 0, None, Int64)];
    let regions = vec![region(&[Input::Scan(0), Input::Scan(1)], steps, vec![])];
    let plan = plan(vec![one, other], regions, None, &[0, 1, 2], Results::history());
    let x = rows(
        &[0, 0, 0, 1],
        &["a", "a", "b", "c"].map(Some),
        vec![Arc::new(Int64Array::from(vec![1, 2, 3, 4]))],
    );
    let y = rows(
        &[0, 0, 0, 2],
        &["b", "a", "b", "c"].map(Some),
        vec![Arc::new(Int64Array::from(vec![10, 20, 30, 40]))],
    );
    let y = Rows { places: Places { lane: Lane::One(2), ..y.places.clone() }, ..y };
    let mut run = Run::new(&plan, Mode::Once, 1);
    let mut paired = [Some(x), Some(y)];
    pair(&plan, &mut paired).unwrap();
    let [x, y] = paired.map(Option::unwrap);
    run.epoch(&[x.clone(), y.clone()]);
    let expected =
        ["0 a 1 20 1", "0 a 2 null 3", "0 b 3 10 3", "0 b null 30 3", "1 c 4 null 4", "2 c null 40 4"];
    assert_eq!(run.finish(0), expected);
    let mut run = Run::new(&plan, Mode::Once, 3);
    run.epoch(&[x, y]);
    assert_eq!(run.finish(0), expected);
}

#[test]
fn records_fields_keys_times_and_constants() {
    let record = DataType::Struct(
        vec![Field::new("t", crate::types::timestamp(), true), Field::new("n", Int64, true)].into(),
    );
    let steps = vec![
        step(StepOp::Time, crate::types::timestamp()),
        step(StepOp::Own(Own::Key), Utf8),
        step(StepOp::Literal(Scalar::Int(2)), Int64),
        call("add", &[2, 2], Int64),
        step(StepOp::Record(vec![0, 3]), record.clone()),
        step(StepOp::Field { value: 4, index: 1 }, Int64),
        column(0, 0, record.clone()),
        step(StepOp::Field { value: 6, index: 1 }, Int64),
        step(StepOp::Cast(1), Int64),
        aggregate("count", 2, None, Int64),
    ];
    let regions = vec![region(&[Input::Scan(0)], steps, vec![])];
    let plan =
        plan(vec![scan(&[("s", record.clone())])], regions, None, &[1, 2, 5, 7, 8, 9], Results::history());
    let DataType::Struct(fields) = record else { unreachable!() };
    // The fields under a null struct hold values that must not show.
    let times = arrow_array::TimestampNanosecondArray::from(vec![5, 5]).with_timezone("UTC");
    let columns: Vec<ArrayRef> = vec![Arc::new(times), Arc::new(Int64Array::from(vec![7, 8]))];
    let structs = StructArray::new(fields, columns, Some(vec![true, false].into()));
    let mut operator = RegionOperator::new(Arc::clone(&plan), 0).unwrap();
    let emitted = operator
        .process(vec![vec![rows(&[0, 1], &[Some("12"), Some("b")], vec![Arc::new(structs)])]], &Clock::START)
        .unwrap();
    assert_eq!((emitted.misfits, emitted.overflows), (1, 0));
    let batch = answer_batch(&plan, &emitted.answer[0]).unwrap();
    assert_eq!(shown(&batch), ["0 12 12 2 4 7 12 1", "1 b b 2 4 null null 1"]);
}

#[test]
fn a_feed_of_one_input_copies_nothing() {
    let feed = Feed { present: None, key: 0, columns: vec![0], moves: Moves::Stay, apart: None };
    let first = region(&[Input::Scan(0)], vec![column(0, 0, Utf8)], vec![feed]);
    let second = region(&[Input::Feed { region: 0, feed: 0 }], vec![column(0, 0, Utf8)], vec![]);
    let plan = plan(vec![scan(&[("lang", Utf8)])], vec![first, second], None, &[0], Results::history());
    let langs: ArrayRef = Arc::new(StringArray::from(vec!["en", "ja"]));
    let input = rows(&[0, 1], &[Some("a"), Some("b")], vec![Arc::clone(&langs)]);
    let times = input.places.time.clone();
    let emitted = RegionOperator::new(plan, 0).unwrap().process(vec![vec![input]], &Clock::START).unwrap();
    let fed = &emitted.feeds[0][0];
    assert!(fed.places.time.ptr_eq(&times) && Arc::ptr_eq(&fed.columns[0], &langs));
    assert!(Arc::ptr_eq(&fed.key.as_ref().unwrap().values, &langs));
}

#[test]
fn batches_that_are_not_the_plans_are_errors() {
    let steps = vec![column(0, 0, Int64), aggregate("count", 0, None, Int64)];
    let regions = vec![region(&[Input::Scan(0)], steps, vec![])];
    let plan = plan(vec![scan(&[("x", Int64)])], regions, None, &[1], Results::history());
    let good = rows(&[0], &[Some("a")], vec![Arc::new(Int64Array::from(vec![1]))]);
    let mut operator = RegionOperator::new(Arc::clone(&plan), 0).unwrap();
    let refused = |operator: &mut RegionOperator, inputs| {
        assert!(matches!(operator.process(inputs, &Clock::START), Err(EngineError::Mismatch { .. })));
    };
    refused(&mut operator, vec![]);
    refused(&mut operator, vec![vec![Rows { key: None, ..good.clone() }]]);
    refused(&mut operator, vec![vec![Rows { columns: vec![], ..good.clone() }]]);
    refused(
        &mut operator,
        vec![vec![Rows { columns: vec![Arc::new(Float64Array::from(vec![1.0]))], ..good.clone() }]],
    );
    refused(
        &mut operator,
        vec![vec![Rows { columns: vec![Arc::new(Int64Array::from(vec![1, 2]))], ..good.clone() }]],
    );
    assert!(operator.process(vec![vec![good]], &Clock::START).is_ok());
    assert!(RegionOperator::new(plan, 1).is_err());
}

#[test]
fn a_column_that_no_input_has_is_refused() {
    let made = |(input, of): (usize, usize)| {
        let regions = vec![region(&[Input::Scan(0)], vec![column(input, of, Int64)], vec![])];
        RegionOperator::new(plan(vec![scan(&[("x", Int64)])], regions, None, &[0], Results::history()), 0)
    };
    assert!(made((0, 0)).is_ok());
    for missing in [(1, 0), (0, 1)] {
        assert!(matches!(made(missing), Err(EngineError::Mismatch { .. })), "{missing:?}");
    }
}

#[test]
fn snapshots_that_are_damaged_or_of_another_operator_are_refused() {
    let make = |name: &str, data_type: DataType| {
        let steps = vec![column(0, 0, Int64), aggregate(name, 0, None, data_type)];
        let regions = vec![region(&[Input::Scan(0)], steps, vec![])];
        let plan = plan(vec![scan(&[("x", Int64)])], regions, None, &[1], Results::history());
        RegionOperator::new(plan, 0).unwrap()
    };
    let mut count = make("count", Int64);
    count
        .process(
            vec![vec![rows(&[0], &[Some("a")], vec![Arc::new(Int64Array::from(vec![1]))])]],
            &Clock::START,
        )
        .unwrap();
    let (shard, bytes) = count.snapshot().unwrap().pop().unwrap();
    assert_eq!(count.keys(), 1);
    for cut in 0..bytes.len() {
        assert!(make("count", Int64).restore(shard, &bytes[..cut]).is_err(), "cut at {cut}");
        let mut flipped = bytes.clone();
        flipped[cut] ^= 1;
        assert!(make("count", Int64).restore(shard, &flipped).is_err(), "flipped at {cut}");
    }
    let mut other = bytes.clone();
    other[0] = 9;
    assert!(matches!(
        make("count", Int64).restore(shard, &other),
        Err(SnapshotError::Version { found: 9, known: 4 })
    ));
    assert!(matches!(make("mean", Float64).restore(shard, &bytes), Err(SnapshotError::Foreign { .. })));
    assert!(matches!(make("sum", Int64).restore(shard, &bytes), Err(SnapshotError::Foreign { .. })));
    assert!(matches!(make("count", Int64).restore(shard ^ 1, &bytes), Err(SnapshotError::Foreign { .. })));
    assert!(matches!(count.restore(shard, &bytes), Err(SnapshotError::Foreign { .. })));
    make("count", Int64).restore(shard, &bytes).unwrap();
}

#[test]
fn saved_states_that_no_run_has_are_refused_or_cut() {
    let made = |name: &str, data_type: DataType, constants: &[Scalar]| {
        let FunctionKind::Aggregate(make) = functions::find(name).unwrap().kind else { panic!("{name}") };
        make(&data_type, constants).unwrap()
    };
    for count in [u64::MAX, 1 << 63, i64::MAX.unsigned_abs()] {
        let count: ArrayRef = Arc::new(UInt64Array::from(vec![count]));
        let number: ArrayRef = Arc::new(Float64Array::from(vec![1.0]));
        for (name, state) in [
            ("count", vec![Arc::clone(&count)]),
            ("mean", vec![Arc::clone(&number), Arc::clone(&count)]),
            ("variance", vec![Arc::clone(&count), Arc::clone(&number), Arc::clone(&number)]),
        ] {
            let loaded = made(name, Float64, &[]).load(&[0], 1, &state);
            assert!(matches!(loaded, Err(EngineError::Mismatch { .. })), "{name}");
        }
    }
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![0, 1, 2, 3]));
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["", "a", "bc", "d"]));
    for values in [numbers, texts] {
        let lists = |first, len| {
            let lengths = OffsetBuffer::from_lengths([len]);
            queues::list(values.data_type(), lengths, values.slice(first, len), None).unwrap()
        };
        let begun: ArrayRef = Arc::new(BooleanArray::from(vec![true]));
        let newest = [("collect", vec![Scalar::Int(2), Scalar::Null]), ("lag", vec![Scalar::Int(1)])];
        for (name, constants) in newest {
            let mut aggregate = made(name, values.data_type().clone(), &constants);
            aggregate.load(&[0], 1, &[lists(0, 4), Arc::clone(&begun)]).unwrap();
            assert_eq!(*aggregate.save(&[0]).unwrap()[0], *lists(2, 2), "{name}");
        }
    }
    let tick = Place { time: 0, lane: TICK, origin: (0, 0), ordinal: 0 };
    assert_eq!(rekeyed(Places::of(&[tick]), None, "key", false, false).at(0), tick);
}

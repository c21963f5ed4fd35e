//! Plans built by hand, events to run through them, and a job's whole answer as text.

#![allow(dead_code, reason = "each test uses what it needs")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says so where it cannot go on")]

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Fields};
use skytide_runtime::{Checkpoint, Epoch, Job, Options, Report};
use skytide_timestream::catalog::StreamDef;
use skytide_timestream::engine::{Mode, hash};
use skytide_timestream::functions::{Call, Column, EvalError, Family, Function, FunctionKind, find};
use skytide_timestream::plan::{
    Feed, Input, Moves, Output, PathStep, Plan, Region, Results, Scan, ScanColumn, Step, StepOp,
};
use skytide_timestream::query::{Aggregation, Query};
use skytide_timestream::rows::{Keys, Lane, Places, Rows};

/// An event: time, source (from 0), key, a text and a number.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Event {
    pub(crate) time: i64,
    pub(crate) source: u16,
    pub(crate) key: Option<String>,
    pub(crate) text: Option<String>,
    pub(crate) number: Option<i64>,
}

pub(crate) fn event(time: i64, source: u16, key: &str, text: Option<&str>, number: i64) -> Event {
    Event { time, source, key: Some(key.to_owned()), text: text.map(str::to_owned), number: Some(number) }
}

/// `count` events of both sources, with a few hundred keys, a few texts, nulls, and equal times.
pub(crate) fn events(count: usize) -> Vec<Event> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    };
    let mut time = 1_000;
    let mut events: Vec<Event> = (0..count)
        .map(|_| {
            time += i64::try_from(random(3)).unwrap();
            Event {
                time,
                source: u16::try_from(random(2)).unwrap(),
                key: (random(20) > 0).then(|| format!("did:{}", random(300))),
                text: (random(10) > 0).then(|| format!("t{}", random(17))),
                number: (random(10) > 0).then(|| i64::try_from(random(100)).unwrap() - 50),
            }
        })
        .collect();
    // The order of SEMANTICS 1.2: at equal times by source, then by ordinal.
    events.sort_by_key(|event| (event.time, event.source));
    events
}

/// A stream of [`Event`]s of a source.
pub(crate) fn stream(source: u16) -> Arc<StreamDef> {
    let fields = vec![
        Field::new("key", DataType::Utf8, true),
        Field::new("text", DataType::Utf8, true),
        Field::new("number", DataType::Int64, true),
    ];
    Arc::new(StreamDef {
        name: format!("s{source}"),
        source,
        fields: Fields::from(fields),
        key: "key".to_owned(),
        time: None,
    })
}

/// A scan of a source: its text and its number, under its key or not.
pub(crate) fn scan(source: u16, keyed: bool) -> Scan {
    let column =
        |name: &str, data_type| ScanColumn { path: vec![PathStep::Field(name.to_owned())], data_type };
    let columns = vec![column("text", DataType::Utf8), column("number", DataType::Int64)];
    Scan { stream: stream(source), keyed, pairs: None, columns, tests: Vec::new() }
}

pub(crate) const TEXT: DataType = DataType::Utf8;
pub(crate) const INT: DataType = DataType::Int64;

pub(crate) fn column(input: usize, column: usize, data_type: DataType) -> Step {
    Step::new(StepOp::Column { input, column }, data_type)
}

pub(crate) fn present(input: usize) -> Step {
    Step::new(StepOp::Present(input), DataType::Boolean)
}

pub(crate) fn aggregate(name: &str, value: usize, present: Option<usize>) -> Step {
    let function = find(name).unwrap();
    let aggregation = Aggregation::cumulative(function);
    Step::new(StepOp::Aggregate { aggregation, value, present, ends: None }, INT)
}

pub(crate) fn call(function: &'static Function, args: Vec<usize>, data_type: DataType) -> Step {
    Step::new(StepOp::Call { function, args }, data_type)
}

pub(crate) fn region(
    grouping: &str,
    key_type: Option<DataType>,
    inputs: Vec<Input>,
    steps: Vec<Step>,
    feeds: Vec<Feed>,
) -> Region {
    Region {
        grouping: grouping.into(),
        key_type,
        inputs,
        steps,
        feeds,
        ticks: Vec::new(),
        waits: false,
        doubles: false,
    }
}

pub(crate) fn feed(key: usize, columns: Vec<usize>) -> Feed {
    Feed { present: None, key, columns, moves: Moves::Stay, apart: None }
}

pub(crate) const fn from(region: usize) -> Input {
    Input::Feed { region, feed: 0 }
}

pub(crate) fn plan(
    scans: Vec<Scan>,
    regions: Vec<Region>,
    columns: &[(&str, usize)],
    results: Results,
) -> Arc<Plan> {
    let columns = columns.iter().map(|(name, reg)| ((*name).to_owned(), *reg)).collect();
    let query = Arc::new(Query { text: String::new(), nodes: Vec::new(), root: 0 });
    Arc::new(Plan { query, scans, regions, output: Output { present: None, columns, results } })
}

/// `s0.with_key(text).count()`
pub(crate) fn count_by_text(results: Results) -> Arc<Plan> {
    let first = region("key", None, vec![Input::Scan(0)], vec![column(0, 0, TEXT)], vec![feed(0, vec![0])]);
    let second = region(
        "text",
        Some(TEXT),
        vec![from(0)],
        vec![column(0, 0, TEXT), aggregate("count", 0, None)],
        vec![],
    );
    plan(vec![scan(0, false)], vec![first, second], &[("result", 1)], results)
}

/// `s0` as it is: no state, so nothing need move.
pub(crate) fn as_it_is() -> Arc<Plan> {
    let only =
        region("key", Some(TEXT), vec![Input::Scan(0)], vec![column(0, 0, TEXT), column(0, 1, INT)], vec![]);
    plan(vec![scan(0, true)], vec![only], &[("text", 0), ("number", 1)], Results::history())
}

/// Three re-keyings: the sum of numbers by key, how often each sum came by its text, and of each such count
/// how often: text and whole-number keys, each region with state and a value made of the one before.
pub(crate) fn chain() -> Arc<Plan> {
    let first = region(
        "key",
        Some(TEXT),
        vec![Input::Scan(0)],
        vec![column(0, 0, TEXT), column(0, 1, INT), aggregate("sum", 1, None)],
        vec![feed(0, vec![2])],
    );
    let second = region(
        "text",
        Some(TEXT),
        vec![from(0)],
        vec![column(0, 0, INT), aggregate("sum", 0, None), aggregate("max", 0, None)],
        vec![feed(2, vec![1])],
    );
    let third = region(
        "max",
        Some(INT),
        vec![from(1)],
        vec![column(0, 0, INT), aggregate("count", 0, None), aggregate("last", 0, None)],
        vec![],
    );
    plan(vec![scan(0, true)], vec![first, second, third], &[("count", 1), ("last", 2)], Results::history())
}

/// Two sources meet under one grouping: `s0` under its own key, and `s0` and `s1` re-keyed by their texts, so
/// that one region has a scan and the feeds of two regions for inputs.
pub(crate) fn meeting(results: Results) -> Arc<Plan> {
    let re_key = |scan: usize| {
        let steps = vec![column(0, 0, TEXT), column(0, 1, INT)];
        region("key", None, vec![Input::Scan(scan)], steps, vec![feed(0, vec![1])])
    };
    let joined = region(
        "key",
        Some(TEXT),
        vec![Input::Scan(0), from(0), from(1)],
        vec![
            column(0, 1, INT),
            present(0),
            aggregate("sum", 0, Some(1)),
            column(1, 0, INT),
            present(1),
            aggregate("count", 3, Some(4)),
            column(2, 0, INT),
            present(2),
            aggregate("last", 6, Some(7)),
        ],
        vec![],
    );
    plan(
        vec![scan(0, true), scan(1, false), scan(0, false)],
        vec![re_key(2), re_key(1), joined],
        &[("sum", 2), ("count", 5), ("last", 8)],
        results,
    )
}

/// A function of the test's own.
pub(crate) const fn function(
    name: &'static str,
    run: fn(&Call<'_>) -> Result<Column, EvalError>,
) -> Function {
    Function {
        name,
        aliases: &[],
        also: &[],
        operator: None,
        signature: "",
        summary: "",
        details: "",
        examples: &[],
        strict: false,
        overflows: false,
        family: Family::Numbers,
        kind: FunctionKind::Scalar(run),
    }
}

/// `s0.with_key(text)`, counted so that it moves to the workers, and a function of the number there.
pub(crate) fn with_function(function: &'static Function) -> Arc<Plan> {
    let first = region(
        "key",
        None,
        vec![Input::Scan(0)],
        vec![column(0, 0, TEXT), column(0, 1, INT)],
        vec![feed(0, vec![1])],
    );
    let steps = vec![column(0, 0, INT), aggregate("count", 0, None), call(function, vec![0], INT)];
    let second = region("text", Some(TEXT), vec![from(0)], steps, vec![]);
    plan(vec![scan(0, false)], vec![first, second], &[("count", 1), ("of", 2)], Results::history())
}

/// Events of one source as a batch for a scan; none if there are none.
pub(crate) fn rows(scan: &Scan, events: &[(u64, &Event)]) -> Option<Rows> {
    let mine: Vec<_> = events.iter().filter(|(_, event)| event.source == scan.stream.source).collect();
    if mine.is_empty() {
        return None;
    }
    let places = Places::new(
        mine.iter().map(|(_, event)| event.time).collect(),
        Lane::One(1 + scan.stream.source),
        mine.iter().map(|(ordinal, _)| *ordinal).collect(),
    );
    let key = scan.keyed.then(|| {
        let values: ArrayRef =
            Arc::new(mine.iter().map(|(_, event)| event.key.clone()).collect::<StringArray>());
        Keys { hashes: hash(&values), values }
    });
    let text: StringArray = mine.iter().map(|(_, event)| event.text.clone()).collect();
    let number: Int64Array = mine.iter().map(|(_, event)| event.number).collect();
    Some(Rows { places, key, columns: vec![Arc::new(text), Arc::new(number)] })
}

/// The events in epochs that end before these places.
pub(crate) fn epochs(plan: &Plan, events: &[Event], cuts: &[usize]) -> Vec<Epoch> {
    let numbered: Vec<(u64, &Event)> = (0..).zip(events).collect();
    let mut start = 0;
    let mut epochs = Vec::new();
    for end in cuts.iter().copied().chain([events.len()]) {
        let part = &numbered[start..end];
        start = end;
        let scans = plan.scans.iter().map(|scan| rows(scan, part)).collect();
        epochs.push(Epoch { scans, watermark: part.last().map_or(i64::MIN, |(_, event)| event.time) });
    }
    epochs
}

/// The places at which epochs of a size end.
pub(crate) fn every(size: usize, events: &[Event]) -> Vec<usize> {
    (size..events.len()).step_by(size).collect()
}

pub(crate) fn options(workers: usize) -> Options {
    Options { workers, mode: Mode::Once, epochs_in_flight: 4 }
}

/// The rows of an answer, each as text.
pub(crate) fn lines(batches: &[RecordBatch]) -> Vec<String> {
    let mut lines = Vec::new();
    for batch in batches {
        assert!(batch.num_rows() > 0, "an empty batch came out");
        for row in 0..batch.num_rows() {
            let values: Vec<String> = batch.columns().iter().map(|column| value(column, row)).collect();
            lines.push(values.join(","));
        }
    }
    lines
}

fn value(array: &ArrayRef, row: usize) -> String {
    use arrow_array::cast::AsArray;
    use arrow_array::types::{Int64Type, TimestampNanosecondType};
    if array.is_null(row) {
        return "null".to_owned();
    }
    match array.data_type() {
        DataType::Utf8 => array.as_string::<i32>().value(row).to_owned(),
        DataType::Int64 => array.as_primitive::<Int64Type>().value(row).to_string(),
        DataType::Timestamp(..) => array.as_primitive::<TimestampNanosecondType>().value(row).to_string(),
        other => panic!("no text for {other}"),
    }
}

/// The whole answer of a job and its report.
pub(crate) fn run(plan: &Arc<Plan>, options: Options, epochs: Vec<Epoch>) -> (Vec<String>, Report) {
    finish(Job::start(Arc::clone(plan), options, None).unwrap(), epochs)
}

/// The rest of a job's answer over the rest of its epochs.
pub(crate) fn finish(mut job: Job, epochs: Vec<Epoch>) -> (Vec<String>, Report) {
    let mut answer = Vec::new();
    for epoch in epochs {
        job.push(epoch).unwrap();
        answer.extend(lines(&job.ready().unwrap()));
    }
    let (rest, report) = job.finish().unwrap();
    answer.extend(lines(&rest));
    (answer, report)
}

/// The whole answer of a chain of jobs: before each epoch whose number has workers here, the job is ended and
/// another one with that many goes on from its checkpoint's bytes. Also says how often that was.
pub(crate) fn run_restored(
    plan: &Arc<Plan>,
    first: usize,
    epochs: Vec<Epoch>,
    workers: impl Fn(usize) -> Option<usize>,
) -> (Vec<String>, usize) {
    let mut job = Job::start(Arc::clone(plan), options(first), None).unwrap();
    let (mut answer, mut restores) = (Vec::new(), 0);
    for (number, epoch) in epochs.into_iter().enumerate() {
        if let Some(workers) = workers(number) {
            let bytes = job.checkpoint().unwrap().to_bytes();
            answer.extend(lines(&job.settle().unwrap()));
            let checkpoint = Checkpoint::from_bytes(&bytes).unwrap();
            job = Job::start(Arc::clone(plan), options(workers), Some(&checkpoint)).unwrap();
            restores += 1;
        }
        job.push(epoch).unwrap();
    }
    answer.extend(lines(&job.finish().unwrap().0));
    (answer, restores)
}

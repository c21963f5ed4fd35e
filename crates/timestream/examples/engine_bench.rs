//! Rows per CPU-second of the operators, on one thread, from memory:
//! `cargo run --release -p skytide-timestream --example engine_bench [MILLION ROWS]`.
//!
//! The first line is the main job, `posts.with_key(record.langs[0]).count()`: two regions, one row out per row in.

use std::error::Error;
use std::io::Write;
use std::sync::Arc;
use std::time::Instant;

use arrow_array::{ArrayRef, Float64Array, StringArray};
use arrow_schema::{DataType, Field};
use skytide_timestream::catalog::StreamDef;
use skytide_timestream::engine::{Clock, Mode, RegionOperator, ResultOperator, hash};
use skytide_timestream::functions;
use skytide_timestream::plan::{
    Feed, Input, Moves, Output, PathStep, Plan, Reg, Region, Results, Scan, ScanColumn, Step, StepOp,
};
use skytide_timestream::query::{Aggregation, Query};
use skytide_timestream::rows::{Keys, Lane, Places, Rows};

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let millions: usize = std::env::args().nth(1).map_or(Ok(10), |text| text.parse())?;
    let total = millions * 1_000_000;
    let mut out = std::io::stdout();
    writeln!(out, "{:<44} {:>10} {:>12} {:>10}", "query", "rows/batch", "M rows/CPU-s", "B/key")?;
    for batch in [1, 100, 1_000, 10_000] {
        let few = if batch == 1 { total / 20 } else { total };
        report(&mut out, "re-key to 50 languages, count", &counted(), Kind::Langs, batch, few)?;
    }
    for (name, function, data_type) in [
        ("count by key", "count", DataType::Int64),
        ("sum of f64 by key", "sum", DataType::Float64),
        ("max of f64 by key", "max", DataType::Float64),
    ] {
        for (keys, label) in [(1_000, "1,000 keys"), (100_000, "100,000 keys")] {
            let plan = aggregated(function, &data_type)?;
            report(&mut out, &format!("{name}, {label} of 24 B"), &plan, Kind::Keys(keys), 10_000, total)?;
        }
    }
    report(&mut out, "filter x > 0.5, then x * 2 + 1", &filtered()?, Kind::Keys(1_000), 10_000, total)?;
    report(&mut out, "snapshot of a count, 100,000 keys", &snapshot()?, Kind::Keys(100_000), 10_000, total)?;
    Ok(())
}

/// Nanoseconds this thread has run, as the kernel counts them; else of the wall clock.
fn cpu_nanos(start: Instant) -> u128 {
    let schedstat = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanos = schedstat.and_then(|text| text.split_whitespace().next()?.parse().ok());
    nanos.unwrap_or_else(|| start.elapsed().as_nanos())
}

/// What the rows are keyed by, and their first column holds.
#[derive(Clone, Copy)]
enum Kind {
    /// One of 50 language tags, very unevenly.
    Langs,
    /// One of so many keys of 24 bytes, evenly.
    Keys(u64),
}

/// A cheap generator: the same rows every time.
fn next(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

/// A batch of rows with columns `text` and `x`.
fn make_rows(kind: Kind, len: usize, first: u64, state: &mut u64) -> Rows {
    let text = |state: &mut u64| match kind {
        Kind::Langs => {
            let (a, b) = (next(state) % 50, next(state) % 50);
            format!("{}{}", char::from(b'a' + (a.min(b) / 7) as u8), char::from(b'a' + (a.min(b) % 7) as u8))
        }
        Kind::Keys(keys) => format!("did:plc:{:016}", next(state) % keys),
    };
    let texts: Vec<String> = (0..len).map(|_| text(state)).collect();
    let texts: ArrayRef = Arc::new(StringArray::from(texts));
    let numbers: Vec<f64> = (0..len).map(|_| (next(state) % 1_000_000) as f64 / 1e6).collect();
    Rows {
        places: Places::new(
            (first..first + len as u64).map(|time| time as i64).collect(),
            Lane::One(1),
            (first..first + len as u64).collect(),
        ),
        key: Some(Keys { hashes: hash(&texts), values: Arc::clone(&texts) }),
        columns: vec![texts, Arc::new(Float64Array::from(numbers))],
    }
}

fn report(
    out: &mut impl Write,
    name: &str,
    plan: &Arc<Plan>,
    kind: Kind,
    batch: usize,
    total: usize,
) -> Outcome<()> {
    let mut state = 0x9e37_79b9_7f4a_7c15;
    let distinct = (1_000_000 / batch).clamp(1, 20_000);
    let batches: Vec<Rows> =
        (0..distinct).map(|at| make_rows(kind, batch, (at * batch) as u64, &mut state)).collect();
    let mut operators: Vec<RegionOperator> = (0..plan.regions.len())
        .map(|region| RegionOperator::new(Arc::clone(plan), region))
        .collect::<Result<_, _>>()?;
    let mut results = ResultOperator::new(plan, Mode::Once)?;
    let mut shown = 0;
    let mut run = |rows: &Rows| -> Outcome<()> {
        let mut rows = rows.clone();
        for operator in &mut operators {
            let mut emitted = operator.process(vec![vec![rows]], &Clock::START)?;
            if let Some(answer) = emitted.answer {
                shown += results.process(answer)?.len();
                return Ok(());
            }
            rows = emitted.feeds.swap_remove(0);
        }
        Ok(())
    };
    // Keys are known before the clock starts.
    for rows in &batches {
        run(rows)?;
    }
    let clock = Instant::now();
    let start = cpu_nanos(clock);
    let epochs = (total / batch).max(1);
    for rows in batches.iter().cycle().take(epochs) {
        run(rows)?;
    }
    let nanos = cpu_nanos(clock) - start;
    let rate = (epochs * batch) as f64 * 1e3 / nanos as f64;
    let keys: usize = operators.iter().map(RegionOperator::keys).sum();
    let bytes: usize = operators.iter().map(RegionOperator::state_bytes).sum();
    let per_key = bytes as f64 / keys.max(1) as f64;
    writeln!(out, "{name:<44} {batch:>10} {rate:>12.1} {per_key:>10.1}")?;
    std::hint::black_box((shown, results.finish(0)?));
    Ok(())
}

fn make_plan(regions: Vec<Region>, present: Option<Reg>, output: Reg, results: Results) -> Arc<Plan> {
    let columns = [("text", DataType::Utf8), ("x", DataType::Float64)];
    let field = |(name, data_type): &(&str, DataType)| Field::new(*name, data_type.clone(), true);
    let column = |(name, data_type): &(&str, DataType)| ScanColumn {
        path: vec![PathStep::Field((*name).to_owned())],
        data_type: data_type.clone(),
    };
    let stream = StreamDef {
        name: "events".into(),
        source: 0,
        fields: columns.iter().map(field).collect(),
        key: "key".into(),
    };
    let columns = columns.iter().map(column).collect();
    Arc::new(Plan {
        query: Arc::new(Query { text: String::new(), nodes: Vec::new(), root: 0 }),
        scans: vec![Scan { stream: Arc::new(stream), keyed: true, pairs: None, columns, tests: Vec::new() }],
        regions,
        output: Output { present, columns: vec![("result".into(), output)], results },
    })
}

fn make_region(input: Input, steps: Vec<Step>, feeds: Vec<Feed>) -> Region {
    Region {
        grouping: "key".into(),
        key_type: Some(DataType::Utf8),
        inputs: vec![input],
        steps,
        feeds,
        ticks: Vec::new(),
        waits: false,
    }
}

fn column(column: usize, data_type: DataType) -> Step {
    Step::new(StepOp::Column { input: 0, column }, data_type)
}

fn function(name: &str) -> Outcome<&'static functions::Function> {
    functions::find(name).ok_or_else(|| format!("no function {name}").into())
}

fn aggregate(name: &str, value: Reg, data_type: DataType) -> Outcome<Step> {
    let aggregation = Aggregation::cumulative(function(name)?);
    Ok(Step::new(StepOp::Aggregate { aggregation, value, present: None, ends: None }, data_type))
}

fn counted() -> Arc<Plan> {
    let feed = Feed { present: None, key: 0, columns: vec![0], moves: Moves::Stay, apart: None };
    let first = make_region(Input::Scan(0), vec![column(0, DataType::Utf8)], vec![feed]);
    let mut steps = vec![column(0, DataType::Utf8)];
    steps.extend(aggregate("count", 0, DataType::Int64));
    let second = make_region(Input::Feed { region: 0, feed: 0 }, steps, Vec::new());
    make_plan(vec![first, second], None, 1, Results::history())
}

fn aggregated(name: &str, data_type: &DataType) -> Outcome<Arc<Plan>> {
    let steps = vec![column(1, DataType::Float64), aggregate(name, 0, data_type.clone())?];
    Ok(make_plan(vec![make_region(Input::Scan(0), steps, Vec::new())], None, 1, Results::history()))
}

fn snapshot() -> Outcome<Arc<Plan>> {
    let steps = vec![column(1, DataType::Float64), aggregate("count", 0, DataType::Int64)?];
    Ok(make_plan(vec![make_region(Input::Scan(0), steps, Vec::new())], None, 1, Results::snapshot()))
}

fn filtered() -> Outcome<Arc<Plan>> {
    let literal = |value| {
        Step::new(StepOp::Literal(skytide_timestream::scalar::Scalar::Float(value)), DataType::Float64)
    };
    let call = |name, args, data_type| {
        Ok::<_, Box<dyn Error>>(Step::new(StepOp::Call { function: function(name)?, args }, data_type))
    };
    let steps = vec![
        column(1, DataType::Float64),
        literal(0.5),
        call("gt", vec![0, 1], DataType::Boolean)?,
        Step::new(StepOp::IsTrue(2), DataType::Boolean),
        Step::new(StepOp::Only { value: 0, present: 3 }, DataType::Float64),
        literal(2.0),
        call("mul", vec![4, 5], DataType::Float64)?,
        literal(1.0),
        call("add", vec![6, 7], DataType::Float64)?,
    ];
    Ok(make_plan(vec![make_region(Input::Scan(0), steps, Vec::new())], Some(3), 8, Results::history()))
}

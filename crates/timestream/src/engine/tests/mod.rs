//! The operators on plans made by hand: what they give, and that they give it however the rows are cut, moved
//! and restored.

mod memory;
mod order;
mod parts;
mod region;
mod results;
mod trailing;
mod ways;

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, RecordBatch, StringArray, UInt32Array};
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use arrow_schema::{DataType, Field, Fields};

use super::{Clock, Emitted, Mode, RegionOperator, ResultOperator, answer_batch, hash, merge, shard};
use crate::catalog::StreamDef;
use crate::functions;
use crate::plan::{
    Feed, Input, Moves, Output, PathStep, Plan, Reg, Region, Results, Scan, ScanColumn, Step, StepOp,
};
use crate::query::{Aggregation, Own, Query};
use crate::rows::{Keys, Lane, Places, Rows};

/// A scan of these columns of a stream of source 0, keyed by text.
fn scan(columns: &[(&str, DataType)]) -> Scan {
    let fields: Fields =
        columns.iter().map(|(name, data_type)| Field::new(*name, data_type.clone(), true)).collect();
    let column = |(name, data_type): &(&str, DataType)| ScanColumn {
        path: vec![PathStep::Field((*name).to_owned())],
        data_type: data_type.clone(),
    };
    Scan {
        stream: Arc::new(StreamDef {
            name: "events".into(),
            source: 0,
            fields,
            key: "key".into(),
            time: None,
        }),
        keyed: true,
        pairs: None,
        columns: columns.iter().map(column).collect(),
        tests: Vec::new(),
    }
}

fn step(op: StepOp, data_type: DataType) -> Step {
    Step::new(op, data_type)
}

fn column(input: usize, column: usize, data_type: DataType) -> Step {
    step(StepOp::Column { input, column }, data_type)
}

fn aggregate(name: &str, value: Reg, present: Option<Reg>, data_type: DataType) -> Step {
    let aggregation = Aggregation::cumulative(functions::find(name).unwrap());
    step(StepOp::Aggregate { aggregation, value, present, ends: None }, data_type)
}

fn call(name: &str, args: &[Reg], data_type: DataType) -> Step {
    step(StepOp::Call { function: functions::find(name).unwrap(), args: args.to_vec() }, data_type)
}

fn region(inputs: &[Input], steps: Vec<Step>, feeds: Vec<Feed>) -> Region {
    Region {
        grouping: "key".into(),
        key_type: Some(DataType::Utf8),
        inputs: inputs.to_vec(),
        steps,
        feeds,
        ticks: Vec::new(),
        waits: false,
        doubles: false,
    }
}

fn plan(
    scans: Vec<Scan>,
    regions: Vec<Region>,
    present: Option<Reg>,
    columns: &[Reg],
    results: Results,
) -> Arc<Plan> {
    let columns = columns.iter().map(|reg| (format!("r{reg}"), *reg)).collect();
    let query = Arc::new(Query { text: String::new(), nodes: Vec::new(), root: 0 });
    Arc::new(Plan { query, scans, regions, output: Output { present, columns, results } })
}

/// Rows of source 0 at these times, numbered from 0, keyed by text.
fn rows(times: &[i64], keys: &[Option<&str>], columns: Vec<ArrayRef>) -> Rows {
    let values: ArrayRef = Arc::new(StringArray::from(keys.to_vec()));
    Rows {
        places: Places::new(times.to_vec().into(), Lane::One(1), (0..times.len() as u64).collect()),
        key: Some(Keys { hashes: hash(&values), values }),
        columns,
    }
}

fn slice(rows: &Rows, start: usize, len: usize) -> Rows {
    let at: UInt32Array = (start as u32..(start + len) as u32).collect::<Vec<_>>().into();
    pick(rows, &at)
}

fn pick(rows: &Rows, at: &UInt32Array) -> Rows {
    rows.select(at).unwrap()
}

/// The rows of each of `workers`, by shard.
fn divide(rows: &Rows, workers: usize) -> Vec<Rows> {
    let worker = |row: usize| usize::from(shard(rows.key.as_ref().unwrap().hashes[row])) % workers;
    let of = |wanted: usize| {
        (0..rows.len()).filter(|row| worker(*row) == wanted).map(|row| row as u32).collect::<Vec<_>>()
    };
    (0..workers).map(|wanted| pick(rows, &of(wanted).into())).collect()
}

/// Each row as text: `time key: values`.
fn shown(batch: &RecordBatch) -> Vec<String> {
    let options = FormatOptions::new().with_null("null");
    let time = batch.column(0).to_data();
    let times: &[i64] = &time.buffers()[0].typed_data::<i64>()[time.offset()..time.offset() + time.len()];
    let columns =
        batch.columns()[1..].iter().map(|column| ArrayFormatter::try_new(column, &options).unwrap());
    let columns: Vec<_> = columns.collect();
    let row = |row: usize| {
        let values: Vec<String> = columns.iter().map(|column| column.value(row).to_string()).collect();
        format!("{} {}", times[row], values.join(" "))
    };
    (0..batch.num_rows()).map(row).collect()
}

/// The operators of a plan, of some workers, run by hand as a runtime would.
struct Run {
    plan: Arc<Plan>,
    mode: Mode,
    regions: Vec<Vec<RegionOperator>>,
    results: ResultOperator,
    shown: Vec<String>,
    overflows: u64,
}

impl Run {
    fn new(plan: &Arc<Plan>, mode: Mode, workers: usize) -> Self {
        let operators = |region| {
            (0..workers).map(move |_| RegionOperator::new(Arc::clone(plan), region).unwrap()).collect()
        };
        Self {
            regions: (0..plan.regions.len()).map(operators).collect(),
            results: ResultOperator::new(plan, mode).unwrap(),
            plan: Arc::clone(plan),
            mode,
            shown: Vec::new(),
            overflows: 0,
        }
    }

    /// An epoch: the rows of each scan.
    fn epoch(&mut self, scans: &[Rows]) {
        let workers = self.regions[0].len();
        // By region, feed and sending worker.
        let mut sent: Vec<Vec<Vec<Rows>>> = Vec::new();
        let mut answers = Vec::new();
        for (region, operators) in self.regions.iter_mut().enumerate() {
            let inputs = &self.plan.regions[region].inputs;
            let mut feeds: Vec<Vec<Rows>> = vec![Vec::new(); self.plan.regions[region].feeds.len()];
            for (worker, operator) in operators.iter_mut().enumerate() {
                let share = |rows: &Rows| divide(rows, workers).swap_remove(worker);
                let input = |input: &Input| match *input {
                    Input::Scan(scan) => vec![share(&scans[scan])],
                    Input::Feed { region, feed } => sent[region][feed].iter().map(share).collect(),
                    Input::Ticks(_) => Vec::new(),
                };
                let Emitted { feeds: rows, answer, overflows, .. } =
                    operator.process(inputs.iter().map(input).collect(), &Clock::START).unwrap();
                for (feed, rows) in feeds.iter_mut().zip(rows) {
                    feed.extend(rows);
                }
                answers.extend(answer);
                self.overflows += overflows;
            }
            sent.push(feeds);
        }
        let answer = self.results.process(merge(answers).unwrap()).unwrap();
        self.show(&answer);
    }

    fn show(&mut self, answer: &Rows) {
        self.shown.extend(shown(&answer_batch(&self.plan, answer).unwrap()));
    }

    fn finish(mut self, newest: i64) -> Vec<String> {
        for rows in self.results.finish(newest).unwrap() {
            self.show(&rows);
        }
        self.shown
    }

    /// The same run taken up by other operators, from bytes.
    fn restored(self, workers: usize) -> Self {
        let mut other = Self::new(&self.plan, self.mode, workers);
        for (operators, others) in self.regions.iter().zip(&mut other.regions) {
            for (shard, bytes) in operators.iter().flat_map(|operator| operator.snapshot().unwrap()) {
                others[usize::from(shard) % workers].restore(shard, &bytes).unwrap();
            }
        }
        for (shard, bytes) in self.results.snapshot().unwrap() {
            other.results.restore(shard, &bytes).unwrap();
        }
        Self { shown: self.shown, overflows: self.overflows, ..other }
    }
}

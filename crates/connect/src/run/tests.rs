//! What only the loop itself can be seen to do.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::error::Error;
use std::thread::sleep;

use arrow_array::{ArrayRef, Int64Array};
use arrow_schema::{DataType, Field};
use skytide_runtime::Epoch;
use skytide_timestream::engine::hash;
use skytide_timestream::functions::user::{UserFunction, UserFunctions};
use skytide_timestream::plan::Results;
use skytide_timestream::rows::{Keys, Lane, Places, Rows};

use super::*;
use crate::sources::{Offer, Sources};
use crate::tables::{Definition, Table};

/// Takes longer for a row than what is being computed may when an end is asked for.
struct Crawl;

impl UserFunction for Crawl {
    fn signature(&self) -> &str {
        "crawl(x: i64) -> i64"
    }

    fn evaluate(&self, args: &[ArrayRef], _: &DataType) -> Result<ArrayRef, Box<dyn Error + Send + Sync>> {
        sleep(GRACE + Duration::from_millis(100));
        Ok(Arc::clone(&args[0]))
    }
}

/// A row an epoch.
struct Rising(i64);

impl Source for Rising {
    fn next(&mut self, _: Duration) -> Result<Next, SourceError> {
        self.0 += 1;
        let values: ArrayRef = Arc::new(Int64Array::from(vec![1]));
        let rows = Rows {
            places: Places::new(vec![self.0].into(), Lane::One(1), vec![0].into()),
            key: Some(Keys { hashes: hash(&values), values }),
            columns: vec![Arc::new(Int64Array::from(vec![self.0]))],
        };
        Ok(Next::Epoch(Epoch { scans: vec![Some(rows)], watermark: self.0 }))
    }

    fn status(&self) -> Status {
        Status::default()
    }
}

fn start(options: &RunOptions) -> Running<Rising> {
    let fields = ["time", "key", "x"].map(|name| Field::new(name, DataType::Int64, true));
    let definition = Definition::new("m", fields.to_vec(), "time", "key");
    let table = Table::new(definition).unwrap();
    let sources = Sources::new(vec![Offer::Table { table, idle: None }]);
    let mut functions = UserFunctions::default();
    functions.define(Crawl).unwrap();
    let query = skytide_timestream::compile("m.x.crawl()", &functions.over(&sources)).unwrap();
    let plan = Arc::new(skytide_timestream::plan(Arc::new(query), Results::history()));
    Running::start(plan, Rising(0), options, None, 0, Arc::default()).unwrap()
}

#[test]
fn a_stop_while_an_end_reads_on_is_no_error() {
    let options = RunOptions::live();
    let mut running = start(&options);
    options.stop.stop();
    while !running.is_cut {
        assert!(running.read_on().unwrap());
    }
    let (rows, outcome, failed) = running.finish().unwrap();
    assert!(failed.is_none() && outcome.end == End::Stopped);
    assert!(rows.iter().all(|batch| batch.num_rows() == 1));
}

/// Someone says stop while it writes its first row, and each takes longer than it may then.
struct Slow {
    stop: Stop,
    rows: usize,
}

impl Sink for Slow {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), SinkError> {
        self.rows += batch.num_rows();
        self.stop.stop();
        sleep(GRACE + Duration::from_millis(100));
        Ok(())
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        Ok(())
    }
}

#[test]
fn a_stop_waits_no_longer_for_what_is_written_than_for_what_is_computed() {
    let options = RunOptions::live();
    let mut running = start(&options);
    let values: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    let batch = RecordBatch::try_from_iter([("x", values)]).unwrap();
    let mut sink = Slow { stop: options.stop.clone(), rows: 0 };
    let batches = running.given.cut(vec![batch; 5]);
    assert!(running.put(&mut sink, batches).unwrap());
    // The one that was being written, and one that may be quick.
    assert_eq!(sink.rows, 2);
    let (rest, outcome, failed) = running.finish().unwrap();
    assert!(rest.is_empty() && failed.is_none());
    assert!(outcome.rows == 2 && outcome.job.is_cut && outcome.end == End::Stopped);
}

//! Files of rows to the engine's rows, beside what the parquet crate takes to decode the same columns.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::json;
use skytide_connect::files::Format;
use skytide_connect::source::{Next, Source};
use skytide_connect::sources::Offer;
use skytide_timestream::engine::Mode;
use skytide_timestream::plan::{PathStep, Plan, Results};
use skytide_timestream::rows::Rows;

use super::clock::{CpuClock, median};
use super::line;
use crate::cli::args::{QueryArgs, ReadInput, SocketArgs};
use crate::cli::failure::{DATA, Failure};
use crate::cli::query::Compiled;

/// Rows that the parquet crate decodes at once: as many as a source does.
const ROWS: usize = 16_384;

/// Reads what a query asks of files, again and again.
pub(super) fn read(input: &ReadInput) -> Result<(), Failure> {
    let query = QueryArgs { query: input.query.clone(), lexicons: Vec::new() };
    let compiled = Compiled::over(&query, &input.sources, &SocketArgs::default())?;
    let plan = Arc::new(compiled.plan(Results::history()));
    let sources = compiled.in_order(&compiled.offers)?;
    let columns = parquet_columns(&plan, &compiled.offers);
    let (mut ours, mut theirs, mut ratios, mut rows) = (Vec::new(), Vec::new(), Vec::new(), 0);
    // The first run warms up.
    for run in 0..=input.runs.max(1) {
        let clock = CpuClock::start();
        let mut source = sources.open(&plan, Mode::Once)?;
        rows = 0;
        loop {
            match source.next(Duration::ZERO)? {
                Next::Epoch(epoch) => {
                    rows += epoch.scans.iter().flatten().map(Rows::len).sum::<usize>();
                }
                Next::Idle => {}
                Next::End => break,
            }
        }
        let seconds = clock.seconds();
        let clock = CpuClock::start();
        for (path, columns) in &columns {
            decode(path, columns)
                .map_err(|error| Failure::new(DATA, format!("{}: {error}", path.display())))?;
        }
        let decoding = clock.seconds();
        if run > 0 {
            ours.push(rows as f64 / seconds);
            theirs.push(rows as f64 / decoding);
            ratios.push(seconds / decoding);
        }
    }
    let mut figures = json!({
        "bench": "read",
        "query": input.query,
        "rows": rows,
        "rows_per_cpu_s": median(&mut ours).round(),
    });
    if !columns.is_empty() {
        figures["parquet_rows_per_cpu_s"] = json!(median(&mut theirs).round());
        figures["time_of_parquet"] = json!((median(&mut ratios) * 100.0).round() / 100.0);
    }
    line(&figures)
}

/// The Parquet files, and what a plan reads of each; none where others are read too.
fn parquet_columns(plan: &Plan, offers: &[Offer]) -> Vec<(PathBuf, Vec<String>)> {
    let mut all = Vec::new();
    for offer in offers {
        let Offer::Files(files) = offer else { return Vec::new() };
        let definition = files.definition();
        let mut columns = vec![definition.time.clone()];
        for scan in plan.scans.iter().filter(|scan| scan.stream.name == definition.name) {
            columns.extend(scan.keyed.then(|| definition.key.clone()));
            columns.extend(scan.columns.iter().filter_map(|column| match column.path.first()? {
                PathStep::Field(name) => Some(name.clone()),
                PathStep::Index(_) | PathStep::Length => None,
            }));
        }
        for path in &definition.paths {
            if Format::of_name(path) != Some(Format::Parquet) {
                return Vec::new();
            }
            all.push((path.clone(), columns.clone()));
        }
    }
    all
}

/// Decodes columns and lets them go.
fn decode(path: &PathBuf, columns: &[String]) -> Result<(), Box<dyn std::error::Error>> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(File::open(path)?)?;
    let mask = ProjectionMask::columns(builder.parquet_schema(), columns.iter().map(String::as_str));
    for batch in builder.with_projection(mask).with_batch_size(ROWS).build()? {
        batch?;
    }
    Ok(())
}

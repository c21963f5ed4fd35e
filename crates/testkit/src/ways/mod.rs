//! The ways in which a query is run: whatever the batches, workers, restarts or sockets, the rows are the same.
//!
//! A way gives its answer together with what shows that it was really taken, and refuses to answer if it was
//! not: a run in batches of one that had fewer epochs than events would prove nothing.

mod batches;
mod live;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{ArrowError, DataType, SchemaRef};
use skytide_runtime::{JobError, Report};
use skytide_timestream::engine::{EngineError, answer_schema};
use skytide_timestream::plan::{Feed, Moves, Plan, Region, Results};

use crate::answer::{Answer, AnswerRow};
use crate::arrays::values;
use crate::events::Events;
use crate::reference::Warnings;
use crate::value::Val;

/// A way of running a query with the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// Everything in one batch, one worker.
    OneBatch,
    /// An epoch for every event, one worker; events that fail a scan's tests are dropped before they get to it.
    BatchesOfOne,
    /// Batches of these sizes, over and over, one worker.
    Batches(Vec<usize>),
    /// So many workers, in batches of three events.
    Workers(usize),
    /// Saved to bytes and started anew from them after every batch of so many events, with another number of
    /// workers each time.
    Restored(usize),
    /// As commits of a simulated network's repositories, served by its relay over a WebSocket with pauses,
    /// read by the firehose client, decoded, and run live.
    Live,
}

/// An answer and what shows how it came about.
#[derive(Debug)]
pub struct Run {
    /// The rows.
    pub answer: Answer,
    /// What shows that the way was taken.
    pub taken: Taken,
}

/// What shows that a way was taken.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Taken {
    /// Epochs answered.
    pub epochs: u64,
    /// Batches of rows that each worker's operators took.
    pub batches: Vec<u64>,
    /// Events dropped before the engine since they fail the scan's tests.
    pub dropped: u64,
    /// Times that a job was started from the bytes of another's checkpoint.
    pub restores: u64,
    /// Bytes of those checkpoints.
    pub restored_bytes: u64,
    /// Frames that came over a socket.
    pub frames: u64,
    /// Times that the socket was silent between two of them.
    pub pauses: u64,
}

impl Taken {
    /// Adds what another run showed.
    pub fn add(&mut self, other: &Self) {
        self.epochs += other.epochs;
        self.batches.resize(self.batches.len().max(other.batches.len()), 0);
        for (batches, more) in self.batches.iter_mut().zip(&other.batches) {
            *batches += more;
        }
        self.dropped += other.dropped;
        self.restores += other.restores;
        self.restored_bytes += other.restored_bytes;
        self.frames += other.frames;
        self.pauses += other.pauses;
    }
}

/// Why a way gives no answer.
#[derive(Debug, thiserror::Error)]
pub enum WayError {
    /// The engine failed.
    #[error(transparent)]
    Job(#[from] JobError),
    /// The answer's columns could not be told.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// Values could not be made into arrays or back.
    #[error(transparent)]
    Arrow(#[from] ArrowError),
    /// The way was not taken.
    #[error("the way was not taken: {0}")]
    NotTaken(String),
    /// The network, the client or the source failed.
    #[error("live: {0}")]
    Live(String),
    /// A batch has other columns than the plan says.
    #[error("a batch has the columns {found}, not {expected}")]
    Columns {
        /// As the plan says.
        expected: SchemaRef,
        /// As the batch has them.
        found: SchemaRef,
    },
}

impl Way {
    /// The ways that every language test is run in.
    #[must_use]
    pub fn all() -> Vec<Self> {
        vec![
            Self::OneBatch,
            Self::BatchesOfOne,
            Self::Batches(vec![2, 3]),
            Self::Workers(2),
            Self::Workers(3),
            Self::Restored(1),
            Self::Restored(2),
            Self::Live,
        ]
    }

    /// Runs a plan over events.
    ///
    /// None where the events cannot come this way: live, those of several sources, or none at all.
    ///
    /// # Errors
    /// The engine failed, or the way was not taken.
    pub fn run(&self, plan: &Arc<Plan>, events: &Events) -> Result<Option<Run>, WayError> {
        Ok(match self {
            Self::OneBatch => Some(batches::run(plan, events, &[usize::MAX], 1)?),
            Self::BatchesOfOne => Some(batches::one_by_one(plan, events)?),
            Self::Batches(sizes) => Some(batches::run(plan, events, sizes, 1)?),
            Self::Workers(workers) => Some(batches::run(plan, events, &[3], *workers)?),
            Self::Restored(size) => Some(batches::restored(plan, events, *size)?),
            Self::Live => live::run(plan, events)?,
        })
    }

    /// What differs between what a run of a plan over events in this way gave and what it should give; none
    /// where nothing does.
    #[must_use]
    pub fn difference(&self, plan: &Plan, events: &Events, got: &Answer, wanted: &Answer) -> Option<String> {
        match (self, plan.output.results) {
            // 7.5: live, an upsert per changed key, whose last equals the row of once; its time is that of
            // the change.
            (Self::Live, Results::Snapshot { at, .. }) => {
                let untimed = |row: &AnswerRow| AnswerRow { time: 0, ..row.clone() };
                let last: BTreeMap<&Val, &AnswerRow> = got.rows.iter().map(|row| (&row.key, row)).collect();
                let got = Answer { rows: last.into_values().map(untimed).collect(), ..got.clone() };
                let wanted = Answer { rows: wanted.rows.iter().map(untimed).collect(), ..wanted.clone() };
                // What events of the newest time may still let go of, and ticks there, are due at the end
                // alone; so is what moves beyond it.
                let sources: Vec<u16> = plan.scans.iter().map(|scan| scan.stream.source).collect();
                let is_beyond = at > events.newest(&sources);
                let is_due_then = |region: &Region| {
                    let is_due_then = |feed: &Feed| match feed.moves {
                        Moves::Until(_) => true,
                        Moves::By(_) | Moves::To(_) => is_beyond,
                        Moves::Stay | Moves::After { .. } | Moves::Back { .. } => false,
                    };
                    !region.ticks.is_empty() || region.feeds.iter().any(is_due_then)
                };
                if plan.regions.iter().any(is_due_then) { None } else { got.difference(&wanted) }
            }
            // 7.2: live, what is before the watermark is final; of what stands at or after it, ticks and
            // moved points are due at the end alone.
            (Self::Live, Results::History { .. }) if has_added_points(plan) => {
                let sources: Vec<u16> = plan.scans.iter().map(|scan| scan.stream.source).collect();
                let watermark = events.newest(&sources).unwrap_or(i64::MIN);
                // What is counted then is not counted yet.
                let before = |of: &Answer| {
                    let rows = of.rows.iter().filter(|row| row.time < watermark).cloned().collect();
                    Answer { rows, warnings: Warnings::default(), ..of.clone() }
                };
                let mut rest = wanted.rows.iter().filter(|row| row.time >= watermark);
                let known = got
                    .rows
                    .iter()
                    .filter(|row| row.time >= watermark)
                    .all(|row| rest.any(|wanted| wanted.same(row)));
                if known { before(got).difference(&before(wanted)) } else { got.difference(wanted) }
            }
            _ => got.difference(wanted),
        }
    }
}

/// Whether a plan's regions add points, which may be due at the end of a run.
fn has_added_points(plan: &Plan) -> bool {
    plan.regions.iter().any(|region| {
        let moves = |feed: &Feed| matches!(feed.moves, Moves::By(_) | Moves::To(_) | Moves::Until(_));
        !region.ticks.is_empty() || region.feeds.iter().any(moves)
    })
}

/// The answer that batches hold.
fn answer(plan: &Plan, batches: &[RecordBatch], report: &Report) -> Result<Answer, WayError> {
    let schema = answer_schema(plan)?;
    let mut rows = Vec::new();
    for batch in batches {
        if batch.schema() != schema {
            return Err(WayError::Columns { expected: schema, found: batch.schema() });
        }
        let columns: Vec<Vec<Val>> =
            batch.columns().iter().map(|column| values(column)).collect::<Result<_, _>>()?;
        for row in 0..batch.num_rows() {
            let mut cells = columns.iter().map(|column| column[row].clone());
            let time = match cells.next() {
                Some(Val::Time(time)) => time,
                other => return Err(WayError::NotTaken(format!("`_time` is {other:?}"))),
            };
            let key = cells.next().unwrap_or(Val::Null);
            rows.push(AnswerRow { time, key, values: cells.collect() });
        }
    }
    let column = |at: usize| (schema.field(at).name().clone(), schema.field(at).data_type().clone());
    Ok(Answer {
        key_type: schema.fields().get(1).map_or(DataType::Null, |field| field.data_type().clone()),
        columns: (2..schema.fields().len()).map(column).collect(),
        rows,
        warnings: Warnings {
            overflows: report.overflows(),
            misfits: report.misfits(),
            moved_back: report.moved_back(),
            held: report.held(),
        },
    })
}

//! Ways through the runtime alone: the harness is the source, which hands out epochs of any size.

use std::sync::Arc;

use skytide_runtime::{Checkpoint, Epoch, Job, Options, Report};
use skytide_timestream::engine::Mode;
use skytide_timestream::plan::{PathStep, Plan, Scan};
use skytide_timestream::rows::{Keys, Lane, Places, Rows};

use super::{Run, Taken, WayError, answer};
use crate::arrays::array;
use crate::events::{Event, Events, Stream};
use crate::reference::passes;
use crate::value::Val;

/// The workers of one job after another where jobs are restored.
const WORKERS: [usize; 4] = [1, 3, 2, 1];

/// Runs in batches of these sizes, over and over.
pub(super) fn run(
    plan: &Arc<Plan>,
    events: &Events,
    sizes: &[usize],
    workers: usize,
) -> Result<Run, WayError> {
    let options = Options { workers, mode: Mode::Once, ..Options::default() };
    let mut job = Job::start(Arc::clone(plan), options, None)?;
    let mut batches = Vec::new();
    for chunk in chunks(&units(&timeline(plan, events)), sizes) {
        job.push(epoch(plan, &chunk, false)?.0)?;
        batches.extend(job.ready()?);
    }
    let (rest, report) = job.finish()?;
    batches.extend(rest);
    let taken = taken(&report);
    if taken.batches.len() != workers {
        return Err(WayError::NotTaken(format!("{} workers, not {workers}", taken.batches.len())));
    }
    Ok(Run { answer: answer(plan, &batches, &report)?, taken })
}

/// Runs with an epoch for every event.
pub(super) fn one_by_one(plan: &Arc<Plan>, events: &Events) -> Result<Run, WayError> {
    let mut job = Job::start(Arc::clone(plan), Options::default(), None)?;
    let timeline = timeline(plan, events);
    let units = units(&timeline);
    let (mut batches, mut dropped) = (Vec::new(), 0);
    for chunk in chunks(&units, &[1]) {
        let (epoch, fail) = epoch(plan, &chunk, true)?;
        dropped += fail;
        job.push(epoch)?;
        batches.extend(job.settle()?);
    }
    let (rest, report) = job.finish()?;
    batches.extend(rest);
    let taken = Taken { dropped, ..taken(&report) };
    if taken.epochs != units.len() as u64 {
        return Err(WayError::NotTaken(format!("{} epochs for {} events", taken.epochs, units.len())));
    }
    Ok(Run { answer: answer(plan, &batches, &report)?, taken })
}

/// Runs with a new job, made from the bytes of the one before, after every batch.
pub(super) fn restored(plan: &Arc<Plan>, events: &Events, size: usize) -> Result<Run, WayError> {
    let options =
        |jobs: u64| Options { workers: WORKERS[jobs as usize % WORKERS.len()], ..Options::default() };
    let mut taken = Taken::default();
    let mut warnings = crate::reference::Warnings::default();
    let mut job = Job::start(Arc::clone(plan), options(0), None)?;
    let mut batches = Vec::new();
    for chunk in chunks(&units(&timeline(plan, events)), &[size]) {
        job.push(epoch(plan, &chunk, false)?.0)?;
        batches.extend(job.settle()?);
        let bytes = job.checkpoint()?.to_bytes();
        let report = job.report();
        warnings.overflows += report.overflows();
        warnings.misfits += report.misfits();
        warnings.moved_back += report.moved_back();
        taken.epochs += report.epochs;
        drop(job);
        taken.restores += 1;
        taken.restored_bytes += bytes.len() as u64;
        let checkpoint =
            Checkpoint::from_bytes(&bytes).map_err(|error| WayError::NotTaken(error.to_string()))?;
        job = Job::start(Arc::clone(plan), options(taken.restores), Some(&checkpoint))?;
    }
    if taken.epochs != taken.restores {
        return Err(WayError::NotTaken(format!("{} restores in {} epochs", taken.restores, taken.epochs)));
    }
    let (rest, report) = job.finish()?;
    batches.extend(rest);
    let mut answer = answer(plan, &batches, &report)?;
    answer.warnings.overflows += warnings.overflows;
    answer.warnings.misfits += warnings.misfits;
    answer.warnings.moved_back += warnings.moved_back;
    Ok(Run { answer, taken })
}

fn taken(report: &Report) -> Taken {
    let batches = report.workers.iter().map(|worker| worker.batches).collect();
    Taken { epochs: report.epochs, batches, ..Taken::default() }
}

/// All events of the sources that a plan reads, also those of streams that it does not, in order.
pub(super) fn timeline<'a>(plan: &Plan, events: &'a Events) -> Vec<Told<'a>> {
    let is_read = |stream: &&Stream| plan.scans.iter().any(|scan| scan.stream.source == stream.def.source);
    let streams = events.streams.iter().filter(is_read);
    let mut all: Vec<_> =
        streams.flat_map(|stream| stream.points.iter().map(move |event| (stream, event))).collect();
    all.sort_by_key(|(stream, event)| (event.time, stream.def.source, event.ordinal));
    all
}

/// An event with its stream.
type Told<'a> = (&'a Stream, &'a Event);

/// What cannot be split among epochs: an event; of several sources all events of a time, since some of them
/// are one point.
fn units<'a, 'b>(timeline: &'b [Told<'a>]) -> Vec<&'b [Told<'a>]> {
    let first = timeline.first().map(|(stream, _)| stream.def.source);
    if timeline.iter().all(|(stream, _)| Some(stream.def.source) == first) {
        return timeline.chunks(1).collect();
    }
    timeline.chunk_by(|(_, a), (_, b)| a.time == b.time).collect()
}

/// Puts together so many at a time, by these sizes, over and over.
fn chunks<'a>(mut units: &[&[Told<'a>]], sizes: &[usize]) -> Vec<Vec<Told<'a>>> {
    let mut chunks = Vec::new();
    for size in sizes.iter().cycle() {
        if units.is_empty() {
            break;
        }
        let (chunk, left) = units.split_at((*size).clamp(1, units.len()));
        chunks.push(chunk.concat());
        units = left;
    }
    chunks
}

/// The epoch of some events, and how many of them were dropped, if asked to, since they fail a scan's tests.
fn epoch(plan: &Plan, chunk: &[Told<'_>], drop: bool) -> Result<(Epoch, u64), WayError> {
    let mut dropped = 0;
    let mut scans = Vec::new();
    for scan in &plan.scans {
        let of =
            chunk.iter().filter(|(stream, _)| stream.def.name == scan.stream.name).map(|(_, event)| *event);
        let (kept, failed): (Vec<&Event>, Vec<&Event>) =
            of.partition(|event| !drop || is_wanted(scan, event));
        dropped += failed.len() as u64;
        scans.push(if kept.is_empty() { None } else { Some(rows(scan, &kept)?) });
    }
    let watermark = chunk.last().map_or(i64::MIN, |(_, event)| event.time);
    Ok((Epoch { scans, watermark }, dropped))
}

/// Whether an event passes a scan's tests.
fn is_wanted(scan: &Scan, event: &Event) -> bool {
    scan.tests.iter().all(|test| {
        let column = &scan.columns[test.column];
        passes(&at_path(&event.value, &column.path), test.comparison, &test.literal, &column.data_type)
    })
}

/// The value at the end of a way into another.
pub(super) fn at_path(value: &Val, path: &[PathStep]) -> Val {
    path.iter().fold(value.clone(), |value, step| match step {
        PathStep::Field(name) => value.field(name),
        PathStep::Index(index) => value.item(*index as i128),
        PathStep::Length => value.length(),
    })
}

/// Events as the rows of a scan.
fn rows(scan: &Scan, events: &[&Event]) -> Result<Rows, WayError> {
    let places = Places::new(
        events.iter().map(|event| event.time).collect(),
        Lane::One(1 + scan.stream.source),
        events.iter().map(|event| event.ordinal).collect(),
    );
    let columns = scan.columns.iter().map(|column| {
        let values: Vec<Val> = events.iter().map(|event| at_path(&event.value, &column.path)).collect();
        array(&values, &column.data_type)
    });
    let columns = columns.collect::<Result<_, _>>()?;
    let key = if scan.keyed {
        let keys: Vec<Val> = events.iter().map(|event| event.key.clone()).collect();
        let field = scan.stream.fields.iter().find(|field| *field.name() == scan.stream.key);
        let data_type = field.map_or(&arrow_schema::DataType::Null, |field| field.data_type());
        let values = array(&keys, data_type)?;
        Some(Keys::of(&values)?)
    } else {
        None
    };
    Ok(Rows { places, key, columns })
}

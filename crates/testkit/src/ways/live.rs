//! The live way: events become commits of repositories, a relay serves them over a WebSocket with pauses, and
//! the product's own client, decoder and run loop make an answer of them.
//!
//! A table is a collection whose lexicon has the table's columns as fields. Types that a record cannot hold
//! (floats, unsigned and small ints, times) go as text and are read back before the engine, as is the key,
//! for a record's key is its author.

use std::sync::Arc;
use std::time::Duration;

use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{ArrowError, DataType};
use bytes::Bytes;
use serde_json::json;
use skytide_atproto::car;
use skytide_atproto::cbor;
use skytide_atproto::cid::Cid;
use skytide_atproto::columns::Clock;
use skytide_atproto::message::{Action, Commit, Identity, Message, Op, Path};
use skytide_atproto::syntax::Tid;
use skytide_connect::catalog::FirehoseCatalog;
use skytide_connect::firehose::FirehoseSource;
use skytide_connect::frames::Frames;
use skytide_connect::run::{RunOptions, Stop, run as run_query};
use skytide_connect::sink::{Sink, SinkError};
use skytide_connect::source::{Next, Source, SourceError, Status};
use skytide_firehose::Subscription;
use skytide_runtime::Epoch;
use skytide_sim::{Pacing, Relay};
use skytide_timestream::catalog::Catalog;
use skytide_timestream::engine::Mode;
use skytide_timestream::plan::{PathStep, Plan, Scan, ScanColumn};
use skytide_timestream::rows::{Keys, Rows};

use super::batches::{at_path, timeline};
use super::{Run, Taken, WayError, answer};
use crate::arrays::{array, values};
use crate::events::{Event, Events, Stream};
use crate::text::{self, render};
use crate::value::Val;

/// Frames that are sent at once, and the silence after them.
const BURST: u64 = 3;
const SILENCE: Duration = Duration::from_millis(3);

/// A time further ahead than this, of the newest and of its arrival, is not believed until so many frames in a row say
/// so (SEMANTICS 7.3).
const BELIEVED_AHEAD: i64 = 300_000_000_000;
const BELIEVED_AFTER: usize = 16;

/// Runs live; none where the events are of several sources, or none.
pub(super) fn run(plan: &Arc<Plan>, events: &Events) -> Result<Option<Run>, WayError> {
    let timeline = timeline(plan, events);
    let mut sources = plan.scans.iter().map(|scan| scan.stream.source);
    let first = sources.next();
    if timeline.is_empty() || sources.any(|source| Some(source) != first) {
        return Ok(None);
    }
    let lexicons: Vec<String> =
        events.streams.iter().enumerate().map(|(at, stream)| lexicon(at, stream)).collect();
    let catalog = FirehoseCatalog::with_lexicons(&lexicons).map_err(|(_, error)| live(error))?;
    let frames = frames(events, &timeline);
    let total = frames.len() as u64;

    let pacing = Pacing::Bursts { frames: BURST, pause: SILENCE };
    let relay = Relay::from_frames(frames, pacing).start("127.0.0.1:0").map_err(live)?;
    let subscription = Subscription::repos(&relay.url()).blocking().map_err(live)?;
    let served = served(plan, events, &catalog)?;
    let frames = Frames::socket(subscription).until(Some(total));
    let inner = FirehoseSource::new(&served, &catalog, frames, Clock::FrameTime).map_err(live)?;
    let mut source = Adapted { inner, plan, events, pauses: 0, is_silent: true };
    let mut sink = Collected(Vec::new());
    let options = RunOptions {
        mode: Mode::Live,
        workers: 1,
        limit: None,
        duration: Some(Duration::from_secs(60)),
        stop: Stop::default(),
    };
    let outcome = run_query(Arc::clone(plan), &mut source, &mut sink, &options, |_, _| {}).map_err(live)?;
    let sent = relay.counters().sent;
    relay.stop();
    if outcome.source.read != total || sent < total {
        return Err(WayError::NotTaken(format!(
            "{} frames of {total} came, {sent} were sent",
            outcome.source.read
        )));
    }
    // Leaps of time look like gaps, and those that tell of one are not believed at once: every frame came, as
    // was just seen.
    let of_leaps = ["possible gaps", "with a time too far ahead"];
    if outcome.source.dropped.keys().any(|reason| !of_leaps.contains(reason)) {
        return Err(WayError::NotTaken(format!("frames or values were lost: {:?}", outcome.source.dropped)));
    }
    let taken = Taken {
        epochs: outcome.job.epochs,
        batches: outcome.job.workers.iter().map(|worker| worker.batches).collect(),
        frames: outcome.source.read,
        pauses: source.pauses,
        ..Taken::default()
    };
    Ok(Some(Run { answer: answer(plan, &sink.0, &outcome.job)?, taken }))
}

fn live(error: impl std::fmt::Display) -> WayError {
    WayError::Live(error.to_string())
}

/// The collection that a table is.
fn collection(at: usize) -> String {
    format!("dev.skytide.test.table{at}")
}

/// Whether records hold values of a type as they are.
fn is_native(data_type: &DataType) -> bool {
    match data_type {
        DataType::Boolean | DataType::Int64 | DataType::Utf8 | DataType::Binary => true,
        DataType::List(item) => is_native(item.data_type()),
        DataType::Struct(fields) => fields.iter().all(|field| is_native(field.data_type())),
        _ => false,
    }
}

/// The lexicon of a table's collection.
fn lexicon(at: usize, stream: &Stream) -> String {
    let fields = stream.def.fields.iter();
    let properties: serde_json::Map<String, serde_json::Value> =
        fields.map(|field| (field.name().clone(), property(field.data_type()))).collect();
    let record = json!({ "type": "object", "properties": properties });
    let main = json!({ "type": "record", "key": "any", "record": record });
    json!({ "lexicon": 1, "id": collection(at), "defs": { "main": main } }).to_string()
}

fn property(data_type: &DataType) -> serde_json::Value {
    match data_type {
        _ if !is_native(data_type) => json!({ "type": "string" }),
        DataType::Boolean => json!({ "type": "boolean" }),
        DataType::Int64 => json!({ "type": "integer" }),
        DataType::Binary => json!({ "type": "bytes" }),
        DataType::List(item) => json!({ "type": "array", "items": property(item.data_type()) }),
        DataType::Struct(fields) => {
            let properties: serde_json::Map<String, serde_json::Value> =
                fields.iter().map(|field| (field.name().clone(), property(field.data_type()))).collect();
            json!({ "type": "object", "properties": properties })
        }
        _ => json!({ "type": "string" }),
    }
}

/// A value in a record; a field that is null is left out.
fn carried(value: &Val, data_type: &DataType) -> cbor::Value {
    match (value, data_type) {
        (Val::Null, _) => cbor::Value::Null,
        (Val::Bool(value), DataType::Boolean) => cbor::Value::Bool(*value),
        (Val::Int(value), DataType::Int64) => cbor::Value::Integer(*value),
        (Val::Text(text), DataType::Utf8) => cbor::Value::Text(text.clone()),
        (Val::Bytes(bytes), DataType::Binary) => cbor::Value::Bytes(bytes.clone()),
        (Val::List(items), DataType::List(item)) if is_native(data_type) => {
            cbor::Value::List(items.iter().map(|value| carried(value, item.data_type())).collect())
        }
        (Val::Struct(values), DataType::Struct(fields)) if is_native(data_type) => {
            let present = values.iter().zip(fields).filter(|((_, value), _)| !value.is_null());
            let entries =
                present.map(|((name, value), field)| (name.clone(), carried(value, field.data_type())));
            cbor::Value::Map(entries.collect())
        }
        (value, _) => cbor::Value::Text(render(value)),
    }
}

/// The events as frames. Before a leap beyond what is now come as many frames of that time as it takes to be believed.
fn frames(events: &Events, timeline: &[(&Stream, &Event)]) -> Vec<Bytes> {
    let mut frames = Vec::new();
    let now = i64::try_from(jiff::Timestamp::now().as_nanosecond()).unwrap_or(i64::MAX);
    let mut newest: Option<i64> = None;
    for (stream, event) in timeline {
        let leaps = newest.is_some_and(|newest| event.time.saturating_sub(newest.max(now)) > BELIEVED_AHEAD);
        for _ in 0..if leaps { BELIEVED_AFTER } else { 0 } {
            frames.push(identity(frames.len() as u64 + 1, event.time));
        }
        newest = Some(event.time);
        let at =
            events.streams.iter().position(|other| other.def.name == stream.def.name).unwrap_or_default();
        frames.push(commit(frames.len() as u64 + 1, &collection(at), stream, event));
    }
    frames
}

/// The whole time, to the nanosecond.
fn datetime(nanos: i64) -> String {
    jiff::Timestamp::from_nanosecond(i128::from(nanos))
        .map_or_else(|_| String::new(), |time| format!("{time:.9}"))
}

const AUTHOR: &str = "did:plc:aaaaaaaaaaaaaaaaaaaaaaaa";

fn identity(seq: u64, time: i64) -> Bytes {
    let time = datetime(time);
    Message::Identity(Identity { did: AUTHOR, seq, time: &time, handle: None }).to_frame_bytes().into()
}

fn commit(seq: u64, collection: &str, stream: &Stream, event: &Event) -> Bytes {
    let fields = stream.def.fields.iter();
    let values = fields.map(|field| (field, event.value.field(field.name())));
    let mut record: cbor::Map = values
        .filter(|(_, value)| !value.is_null())
        .map(|(field, value)| (field.name().clone(), carried(&value, field.data_type())))
        .collect();
    record.insert("$type", cbor::Value::Text(collection.to_owned()));
    let record = cbor::Value::Map(record).to_bytes();
    let cid = Cid::for_dag_cbor(&record);
    let rev =
        Tid::from_micros(event.time.max(0) as u64 / 1_000, 0).map(|rev| rev.to_string()).unwrap_or_default();
    let rkey = seq.to_string();
    let path = Path { collection, rkey: &rkey };
    let blocks = car::write(&[cid], [(cid, record)]);
    Message::Commit(Commit {
        ops: vec![Op { cid: Some(cid), path, prev: None, action: Action::Create }],
        rev: &rev,
        seq,
        prev: None,
        repo: AUTHOR,
        time: &datetime(event.time),
        blobs: None,
        since: None,
        blocks: &blocks,
        commit: cid,
        rebase: None,
        too_big: None,
        prev_data: None,
    })
    .to_frame_bytes()
    .into()
}

/// The plan as the firehose is asked for it: for each scan its columns out of the record, and the key as one more.
fn served(plan: &Plan, events: &Events, catalog: &FirehoseCatalog) -> Result<Plan, WayError> {
    let mut served = plan.clone();
    for scan in &mut served.scans {
        let at =
            events.streams.iter().position(|stream| stream.def.name == scan.stream.name).unwrap_or_default();
        scan.stream = catalog.stream_function("records", &collection(at)).map_err(live)?;
        let stream = &events.streams[at];
        let column = |column: &ScanColumn| {
            let (mut path, mut data_type) =
                (vec![PathStep::Field("record".to_owned())], column.data_type.clone());
            match split(stream, column) {
                Some((name, _)) => {
                    path.push(PathStep::Field(name));
                    data_type = DataType::Utf8;
                }
                None => path.extend(column.path.iter().cloned()),
            }
            ScanColumn { path, data_type }
        };
        let key =
            ScanColumn { path: vec![PathStep::Field(stream.def.key.clone())], data_type: stream.key_type() };
        scan.columns = scan.columns.iter().map(column).chain([column(&key)]).collect();
        scan.tests.clear();
        scan.keyed = false;
    }
    Ok(served)
}

/// Of a column that goes as text: the field that it is in, and the way on from there.
fn split<'a>(stream: &Stream, column: &'a ScanColumn) -> Option<(String, &'a [PathStep])> {
    let (first, rest) = column.path.split_first()?;
    let PathStep::Field(name) = first else { return None };
    let field = stream.def.fields.iter().find(|field| field.name() == name)?;
    (!is_native(field.data_type())).then(|| (name.clone(), rest))
}

/// The firehose's points with the test's values and keys.
struct Adapted<'a> {
    inner: FirehoseSource,
    plan: &'a Plan,
    events: &'a Events,
    pauses: u64,
    /// Whether nothing has come since the last silence.
    is_silent: bool,
}

impl Source for Adapted<'_> {
    fn next(&mut self, wait: Duration) -> Result<Next, SourceError> {
        match self.inner.next(wait)? {
            Next::Epoch(epoch) => {
                self.is_silent = false;
                let scans = epoch.scans.into_iter().zip(&self.plan.scans);
                let scans = scans.map(|(rows, scan)| rows.map(|rows| self.rows(rows, scan)).transpose());
                Ok(Next::Epoch(Epoch { scans: scans.collect::<Result<_, _>>()?, ..epoch }))
            }
            Next::Idle => {
                self.pauses += u64::from(!self.is_silent);
                self.is_silent = true;
                Ok(Next::Idle)
            }
            Next::End => Ok(Next::End),
        }
    }

    fn status(&self) -> Status {
        self.inner.status()
    }
}

impl Adapted<'_> {
    fn rows(&self, mut rows: Rows, scan: &Scan) -> Result<Rows, ArrowError> {
        let missing =
            || ArrowError::InvalidArgumentError(format!("no stream or key of {}", scan.stream.name));
        let stream = self.events.stream_named(&scan.stream.name).ok_or_else(missing)?;
        let keys = rows.columns.pop().ok_or_else(missing)?;
        let key =
            ScanColumn { path: vec![PathStep::Field(stream.def.key.clone())], data_type: stream.key_type() };
        let values = restored(&keys, stream, &key)?;
        let columns = rows.columns.iter().zip(&scan.columns);
        Ok(Rows {
            places: rows.places,
            key: scan.keyed.then(|| Keys::of(&values)).transpose()?,
            columns: columns
                .map(|(array, column)| restored(array, stream, column))
                .collect::<Result<_, _>>()?,
        })
    }
}

/// A column as the plan wants it, of one that came out of records.
fn restored(came: &ArrayRef, stream: &Stream, column: &ScanColumn) -> Result<ArrayRef, ArrowError> {
    if *came.data_type() == column.data_type {
        return Ok(Arc::clone(came));
    }
    let read = |value: Val, data_type: &DataType| match value {
        Val::Text(text) if !is_native(data_type) => {
            text::parse(&text, data_type).map_err(|error| ArrowError::ParseError(error.to_string()))
        }
        other => Ok(other),
    };
    let field = |value: Val, name: &str| {
        let field = stream.def.fields.iter().find(|field| field.name() == name);
        field.map_or(Ok(Val::Null), |field| read(value, field.data_type()))
    };
    let restore = |value: Val| match split(stream, column) {
        Some((name, rest)) => Ok(at_path(&field(value, &name)?, rest)),
        None if column.path.is_empty() => {
            let fields = stream.def.fields.iter();
            let fields = fields.map(|of| Ok((of.name().clone(), field(value.field(of.name()), of.name())?)));
            Ok(Val::Struct(fields.collect::<Result<_, ArrowError>>()?))
        }
        None => Ok(value),
    };
    let values: Vec<Val> = values(came)?.into_iter().map(restore).collect::<Result<_, ArrowError>>()?;
    array(&values, &column.data_type)
}

/// Keeps the batches.
struct Collected(Vec<RecordBatch>);

impl Sink for Collected {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), SinkError> {
        self.0.push(batch.clone());
        Ok(())
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        Ok(())
    }
}

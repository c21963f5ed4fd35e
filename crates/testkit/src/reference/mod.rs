//! The reference evaluator: what a query means, computed slowly and obviously.
//!
//! It answers a checked [`Query`] over events in memory, point by point and value by value, straight from the
//! rules of the language, whose numbers stand beside the code. It knows no plan, no batch, no array and no
//! state of the engine, and implements each function of its own, by name: what the two agree on, they agree
//! on independently. Functions of the program that asks are called, with one row at a time.

mod aggregates;
mod calendar;
mod functions;
mod moves;
mod points;
mod windows;

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use arrow_schema::DataType;
use skytide_timestream::catalog::StreamDef;
use skytide_timestream::functions::user::UserDefined;
use skytide_timestream::plan::{Comparison, Results};
use skytide_timestream::query::{Continuity, Node, Op, Query};
use skytide_timestream::scalar::Scalar;

use crate::answer::{Answer, AnswerRow};
use crate::arrays::array;
use crate::events::{Event, Events};
use crate::value::Val;
use points::{Joined, Place, Point, Stream, anew, in_order, join};

/// Why the reference cannot answer.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ReferenceError {
    /// It implements no such function; whoever adds one to the language adds it here too.
    #[error("the reference has no {0}")]
    Unknown(String),
    /// The query names a stream that has no events table.
    #[error("the events hold no stream {0}")]
    NoStream(String),
    /// A function of the program's own failed.
    #[error("{0}")]
    User(String),
    /// The answer has no points: a query that checking should have refused.
    #[error("a constant has no points")]
    Constant,
}

/// What became null and was counted (SEMANTICS 2.3, 2.6), and what was left out and counted (6.1, 7.1).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Warnings {
    /// Whole numbers beyond their type.
    pub overflows: u64,
    /// Values that a cast could not convert.
    pub misfits: u64,
    /// Points that would have moved back, or to a time that is null or beyond 64 bits.
    pub moved_back: u64,
    /// Points held to the end for a condition that did not come true.
    pub held: u64,
}

/// Answers a query.
///
/// # Errors
/// See [`ReferenceError`].
pub fn answer(query: &Query, events: &Events, results: Results) -> Result<Answer, ReferenceError> {
    let mut warnings = Warnings::default();
    let named: Vec<&StreamDef> = query
        .nodes
        .iter()
        .filter_map(|node| match &node.op {
            Op::Stream(def) => Some(def.as_ref()),
            _ => None,
        })
        .collect();
    let sources: Vec<u16> = named.iter().map(|def| def.source).collect();
    let newest = events.newest(&sources);
    let last = match results {
        Results::History { until, .. } => until,
        Results::Snapshot { at, .. } => at,
    };
    let run = Run { query, events, pairs: all_pairs(query, events), last: last.or(newest) };
    let mut streams: Vec<Stream> = Vec::new();
    for node in &query.nodes {
        let stream = run.evaluate(node, &streams, &mut warnings)?;
        streams.push(stream);
    }
    let root = &query.nodes[query.root];
    let Stream::Points { points, .. } = streams.swap_remove(query.root) else {
        return Err(ReferenceError::Constant);
    };
    let rows = show(points, results, newest, &root.data_type);
    let key_type = root.key_type();
    Ok(Answer { key_type, columns: columns(&root.data_type), rows, warnings })
}

/// Names and types of an answer's columns beside `_time` and `_key` (SEMANTICS 7.6).
#[must_use]
pub fn columns(data_type: &DataType) -> Vec<(String, DataType)> {
    match data_type {
        DataType::Struct(fields) => {
            fields.iter().map(|field| (field.name().clone(), field.data_type().clone())).collect()
        }
        other => vec![("result".to_owned(), other.clone())],
    }
}

/// Of each event, by source and ordinal: where the first of the events stands that it is paired with.
type Pairs = BTreeMap<(u16, u64), Place>;

/// The pairs of all events: of streams that are joined under their own key, each with all that it is joined
/// with, by whatever joins.
fn all_pairs(query: &Query, events: &Events) -> Pairs {
    // By node the streams whose events its points are, under their own key.
    let mut streams: Vec<BTreeSet<usize>> = Vec::new();
    let mut groups: Vec<BTreeSet<usize>> = Vec::new();
    for (at, node) in query.nodes.iter().enumerate() {
        let of: BTreeSet<usize> = match &node.op {
            Op::Stream(_) => BTreeSet::from([at]),
            Op::Ticks { .. } => BTreeSet::new(),
            Op::Lookup => streams[node.args[1]].clone(),
            _ => node.args.iter().flat_map(|arg| streams[*arg].clone()).collect(),
        };
        if !of.is_empty() {
            let (joined, apart): (Vec<_>, Vec<_>) =
                groups.into_iter().partition(|group| !group.is_disjoint(&of));
            groups = apart;
            groups.push(joined.into_iter().flatten().chain(of.iter().copied()).collect());
        }
        // A value and its key are joined before they are under another key, and not paired after.
        streams.push(if matches!(node.op, Op::WithKey) { BTreeSet::new() } else { of });
    }
    let mut all = Pairs::new();
    for group in groups {
        let named = group.iter().filter_map(|node| match &query.nodes[*node].op {
            Op::Stream(def) => Some(def.as_ref()),
            _ => None,
        });
        all.extend(pairs(&named.collect::<Vec<_>>(), events));
    }
    all
}

/// Pairs the k-th events of one time and key, counted at each source over these streams (SEMANTICS 1.5).
fn pairs(named: &[&StreamDef], events: &Events) -> Pairs {
    let read = events.streams.iter().filter(|stream| named.iter().any(|def| def.name == stream.def.name));
    let mut all: Vec<(Place, u16, &Event)> = read
        .flat_map(|stream| {
            let source = stream.def.source;
            let place = move |event: &Event| Place::event(event.time, source, event.ordinal);
            stream.points.iter().map(move |event| (place(event), source, event))
        })
        .collect();
    all.sort_by(|(x, ..), (y, ..)| x.cmp(y));
    let mut counts: BTreeMap<(u16, i64, &Val), usize> = BTreeMap::new();
    let mut first: BTreeMap<(i64, &Val, usize), Place> = BTreeMap::new();
    let mut pairs = Pairs::new();
    for (place, source, event) in all {
        let count = counts.entry((source, event.time, &event.key)).or_default();
        let pair = first.entry((event.time, &event.key, *count)).or_insert(place);
        pairs.insert((source, event.ordinal), pair.clone());
        *count += 1;
    }
    pairs
}

/// The sources that the points of a node come from.
fn sources(query: &Query, node: usize) -> BTreeSet<u16> {
    let node = &query.nodes[node];
    match &node.op {
        Op::Stream(def) => BTreeSet::from([def.source]),
        Op::Lookup => sources(query, node.args[1]),
        _ => node.args.iter().flat_map(|arg| sources(query, *arg)).collect(),
    }
}

/// A query that is being answered.
struct Run<'a> {
    query: &'a Query,
    events: &'a Events,
    pairs: Pairs,
    /// The time up to which there are ticks (7.1); none where there is no event.
    last: Option<i64>,
}

impl Run<'_> {
    /// What a node gives, of what those before it gave.
    fn evaluate(
        &self,
        node: &Node,
        streams: &[Stream],
        warnings: &mut Warnings,
    ) -> Result<Stream, ReferenceError> {
        let args: Vec<&Stream> = node.args.iter().map(|&arg| &streams[arg]).collect();
        let types: Vec<&DataType> = node.args.iter().map(|&arg| &self.query.nodes[arg].data_type).collect();
        let holds = node.continuity == Continuity::Continuous;
        let out = &node.data_type;
        let points = match &node.op {
            Op::Stream(def) => self.events_of(def)?,
            Op::Literal(scalar) => return Ok(Stream::Constant(literal(scalar, out))),
            Op::Field(name) => return map(&args, holds, |values| Ok(values[0].field(name))),
            Op::Call(function) => {
                return map(&args, holds, |values| functions::call(function.name, &values, out, warnings));
            }
            Op::User(function) => return map(&args, holds, |values| user(function, &values, &types, out)),
            Op::Cast => {
                return map(&args, holds, |values| functions::cast(&values[0], types[0], out, warnings));
            }
            Op::Record(names) => {
                let record = |values| Ok(Val::Struct(names.iter().cloned().zip(values).collect()));
                return map(&args, holds, record);
            }
            Op::Time => {
                let timed = join(&args).into_iter().map(|Joined { point, .. }| point);
                timed.map(|point| Point { value: Val::Time(point.place.time), ..point }).collect()
            }
            Op::Filter => {
                let kept = join(&args).into_iter().filter(|at| at.values[1] == Val::Bool(true));
                kept.map(|at| Point { value: at.values[0].clone(), ..at.point }).collect()
            }
            Op::WithKey => {
                let moved = join(&args).into_iter().map(|Joined { point, values, .. }| {
                    Point { value: values[0].clone(), ..point }.under(values[1].clone())
                });
                anew(Vec::new(), moved.collect())
            }
            Op::Aggregate(aggregation) => {
                let calendar = node.args.get(1).and_then(|&ends| match &self.query.nodes[ends].op {
                    Op::Ticks { calendar, .. } => Some(*calendar),
                    _ => None,
                });
                windows::Fold { aggregation, out, calendar, last: self.last }.points(&args, warnings)?
            }
            Op::Ticks { calendar, intervals } => {
                let grouping = node.grouping.as_ref().map_or("", |grouping| &grouping.name);
                calendar::ticks(args[0].points(), grouping, *calendar, *intervals, self.last)
            }
            Op::ShiftBy => moves::shifted(&args, warnings, |time, by| match by {
                Val::Duration(by) => time.checked_add(*by),
                _ => None,
            }),
            Op::ShiftTo => moves::shifted(&args, warnings, |_, to| match to {
                Val::Time(to) => Some(*to),
                _ => None,
            }),
            Op::ShiftUntil => moves::shifted_until(&args, warnings),
            Op::Lookup => {
                let [of, by] = [node.args[0], node.args[1]].map(|arg| sources(self.query, arg));
                moves::looked_up(args[0], args[1], of.is_subset(&by))
            }
            Op::Own(_) | Op::Apart(_) | Op::Ask { .. } | Op::Reply => {
                return Err(ReferenceError::Unknown(format!("{:?}, which is of plans alone", node.op)));
            }
        };
        Ok(Stream::Points { points, holds })
    }

    /// The points of a source's stream.
    fn events_of(&self, def: &StreamDef) -> Result<Vec<Point>, ReferenceError> {
        let stream =
            self.events.stream_named(&def.name).ok_or_else(|| ReferenceError::NoStream(def.name.clone()))?;
        let point = |event: &Event| {
            let own = Place::event(event.time, def.source, event.ordinal);
            Point {
                place: self.pairs.get(&(def.source, event.ordinal)).unwrap_or(&own).clone(),
                own,
                is_of_source: true,
                copy: 0,
                key: event.key.clone().as_key(),
                value: event.value.clone(),
            }
        };
        Ok(in_order(stream.points.iter().map(point).collect()))
    }
}

/// A function of the program's own, for one point: the same code as the engine calls, but never with another row.
fn user(
    function: &UserDefined,
    values: &[Val],
    types: &[&DataType],
    out: &DataType,
) -> Result<Val, ReferenceError> {
    let failed = |error: &dyn std::error::Error| ReferenceError::User(error.to_string());
    let arguments = values.iter().zip(types).map(|(value, of)| array(std::slice::from_ref(value), of));
    let arguments = arguments.collect::<Result<Vec<_>, _>>().map_err(|error| failed(&error))?;
    let given = function.call(&arguments, 1, out).map_err(|error| failed(&error))?;
    let given = crate::arrays::values(&given).map_err(|error| failed(&error))?;
    Ok(given.into_iter().next().unwrap_or(Val::Null))
}

/// A function of values at each point of the joined arguments; of constants alone, a constant.
fn map(
    args: &[&Stream],
    holds: bool,
    mut function: impl FnMut(Vec<Val>) -> Result<Val, ReferenceError>,
) -> Result<Stream, ReferenceError> {
    let constants: Option<Vec<Val>> = args
        .iter()
        .map(|arg| match arg {
            Stream::Constant(value) => Some(value.clone()),
            Stream::Points { .. } => None,
        })
        .collect();
    if let Some(constants) = constants {
        return Ok(Stream::Constant(function(constants)?));
    }
    let mut points = Vec::new();
    for Joined { point, values, .. } in join(args) {
        points.push(Point { value: function(values)?, ..point });
    }
    Ok(Stream::Points { points, holds })
}

/// The rows that are shown (SEMANTICS 7.5).
fn show(points: Vec<Point>, results: Results, newest: Option<i64>, data_type: &DataType) -> Vec<AnswerRow> {
    let row = |time: i64, point: Point| {
        let values = match data_type {
            DataType::Struct(fields) => fields.iter().map(|field| point.value.field(field.name())).collect(),
            _ => vec![point.value],
        };
        AnswerRow { time, key: point.key, values }
    };
    match results {
        Results::History { since, until } => points
            .into_iter()
            .filter(|point| since.is_none_or(|since| point.place.time >= since))
            .filter(|point| until.is_none_or(|until| point.place.time <= until))
            .map(|point| row(point.place.time, point))
            .collect(),
        Results::Snapshot { changed_since, at } => {
            let at = at.or(newest).unwrap_or_default();
            let mut last = BTreeMap::new();
            for point in points.into_iter().filter(|point| point.place.time <= at) {
                last.insert(point.key.clone(), point);
            }
            let time = at + 1;
            last.into_values()
                .filter(|point| changed_since.is_none_or(|since| point.place.time >= since))
                .map(|point| row(time, point))
                .collect()
        }
    }
}

/// Whether a value passes a test that a source may drop events by; null never does.
#[must_use]
pub fn passes(value: &Val, comparison: Comparison, scalar: &Scalar, data_type: &DataType) -> bool {
    let holds = match comparison {
        Comparison::Eq => Ordering::is_eq,
        Comparison::Ne => Ordering::is_ne,
        Comparison::Lt => Ordering::is_lt,
        Comparison::Le => Ordering::is_le,
        Comparison::Gt => Ordering::is_gt,
        Comparison::Ge => Ordering::is_ge,
    };
    functions::compare(value, &literal(scalar, data_type), holds) == Val::Bool(true)
}

/// A literal in the type that checking gave it.
fn literal(scalar: &Scalar, data_type: &DataType) -> Val {
    let value = match scalar {
        Scalar::Null => Val::Null,
        Scalar::Bool(value) => Val::Bool(*value),
        Scalar::Int(value) => Val::Int(i128::from(*value)),
        Scalar::UInt(value) => Val::Int(i128::from(*value)),
        Scalar::Float(value) => Val::Float(*value),
        Scalar::Text(text) => Val::Text(text.clone()),
        Scalar::Duration(nanos) => Val::Duration(*nanos),
        Scalar::Timestamp(nanos) => Val::Time(*nanos),
    };
    match (value, data_type) {
        (Val::Int(value), DataType::Float64) => Val::Float(value as f64),
        (Val::Int(value), DataType::Float32) => Val::Float(f64::from(value as f32)),
        (Val::Float(value), DataType::Float32) => Val::Float(f64::from(value as f32)),
        (value, _) => value,
    }
}

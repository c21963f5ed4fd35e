//! The reference evaluator: what a query means, computed slowly and obviously.
//!
//! It answers a checked [`Query`] over events in memory, point by point and value by value, straight from the rules of the
//! language, whose numbers stand beside the code. It knows no plan, no batch, no array and no state of the engine, and
//! implements each function of its own, by name: what the two agree on, they agree on independently. Functions of the program
//! that asks are called, with one row at a time.

mod aggregates;
mod functions;

use std::cmp::Ordering;
use std::collections::BTreeMap;

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

/// Values that became null and were counted (SEMANTICS 2.3, 2.6).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Warnings {
    /// Whole numbers beyond their type.
    pub overflows: u64,
    /// Values that a cast could not convert.
    pub misfits: u64,
}

/// A point of a stream (SEMANTICS 1.1), with what tells it from others of the same time and key.
#[derive(Debug, Clone)]
struct Point {
    /// Where it stands: that of the first of the events it is paired with.
    place: Place,
    /// Where it stands under another key, where it is paired with nothing: that of its own event.
    own: Place,
    /// Whether its key is the source's: only then is it paired (SEMANTICS 1.5).
    is_of_source: bool,
    key: Val,
    value: Val,
}

/// Where a point stands (SEMANTICS 1.2): time, source, ordinal.
type Place = (i64, u16, u64);

/// What an expression gives.
#[derive(Debug, Clone)]
enum Stream {
    /// The same value everywhere.
    Constant(Val),
    /// Values at points, in order, and whether each holds until the next.
    Points { points: Vec<Point>, holds: bool },
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
    let pairs = pairs(&named, events);
    let mut streams: Vec<Stream> = Vec::new();
    for node in &query.nodes {
        let stream = evaluate(node, query, &streams, events, &pairs, &mut warnings)?;
        streams.push(stream);
    }
    let root = &query.nodes[query.root];
    let Stream::Points { points, .. } = streams.swap_remove(query.root) else {
        return Err(ReferenceError::Constant);
    };
    let sources: Vec<u16> = named.iter().map(|def| def.source).collect();
    let rows = show(points, results, events.newest(&sources), &root.data_type);
    let key_type = root.grouping.as_ref().map_or(DataType::Null, |grouping| grouping.key_type.clone());
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

/// Pairs the k-th events of one time and key, counted at each source over the streams that a query names (SEMANTICS 1.5).
fn pairs(named: &[&StreamDef], events: &Events) -> Pairs {
    let read = events.streams.iter().filter(|stream| named.iter().any(|def| def.name == stream.def.name));
    let mut all: Vec<(Place, &Event)> = read
        .flat_map(|stream| {
            stream.points.iter().map(|event| ((event.time, stream.def.source, event.ordinal), event))
        })
        .collect();
    all.sort_by_key(|(place, _)| *place);
    let mut counts: BTreeMap<(u16, i64, &Val), usize> = BTreeMap::new();
    let mut first: BTreeMap<(i64, &Val, usize), Place> = BTreeMap::new();
    let mut pairs = Pairs::new();
    for (place, event) in all {
        let count = counts.entry((place.1, event.time, &event.key)).or_default();
        let pair = first.entry((event.time, &event.key, *count)).or_insert(place);
        pairs.insert((place.1, event.ordinal), *pair);
        *count += 1;
    }
    pairs
}

fn evaluate(
    node: &Node,
    query: &Query,
    streams: &[Stream],
    events: &Events,
    pairs: &Pairs,
    warnings: &mut Warnings,
) -> Result<Stream, ReferenceError> {
    let args: Vec<&Stream> = node.args.iter().map(|&arg| &streams[arg]).collect();
    let types: Vec<&DataType> = node.args.iter().map(|&arg| &query.nodes[arg].data_type).collect();
    let holds = node.continuity == Continuity::Continuous;
    let out = &node.data_type;
    match &node.op {
        Op::Stream(def) => {
            let stream =
                events.stream_named(&def.name).ok_or_else(|| ReferenceError::NoStream(def.name.clone()))?;
            let point = |event: &Event| {
                let own = (event.time, def.source, event.ordinal);
                Point {
                    place: pairs.get(&(def.source, event.ordinal)).copied().unwrap_or(own),
                    own,
                    is_of_source: true,
                    key: event.key.clone(),
                    value: event.value.clone(),
                }
            };
            Ok(Stream::Points { points: in_order(stream.points.iter().map(point).collect()), holds })
        }
        Op::Literal(scalar) => Ok(Stream::Constant(literal(scalar, out))),
        Op::Field(name) => map(&args, holds, |values| Ok(values[0].field(name))),
        Op::Call(function) => {
            map(&args, holds, |values| functions::call(function.name, &values, out, warnings))
        }
        Op::User(function) => map(&args, holds, |values| user(function, &values, &types, out)),
        Op::Cast => map(&args, holds, |values| functions::cast(&values[0], types[0], out, warnings)),
        Op::Time => {
            let timed = join(&args).into_iter();
            let timed = timed.map(|(point, _)| Point { value: Val::Time(point.place.0), ..point });
            Ok(Stream::Points { points: timed.collect(), holds })
        }
        Op::Record(names) => {
            map(&args, holds, |values| Ok(Val::Struct(names.iter().cloned().zip(values).collect())))
        }
        Op::Filter => {
            let kept = join(&args).into_iter().filter(|(_, values)| values[1] == Val::Bool(true));
            let points = kept.map(|(point, values)| Point { value: values[0].clone(), ..point }).collect();
            Ok(Stream::Points { points, holds })
        }
        Op::WithKey => {
            let moved = join(&args).into_iter().map(|(point, values)| Point {
                key: values[1].clone(),
                value: values[0].clone(),
                place: point.own,
                is_of_source: false,
                ..point
            });
            Ok(Stream::Points { points: in_order(moved.collect()), holds })
        }
        Op::Aggregate(function) => {
            let mut states = BTreeMap::new();
            let mut points = Vec::new();
            for (point, values) in join(&args) {
                let state = match states.entry(point.key.clone()) {
                    std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
                    std::collections::btree_map::Entry::Vacant(entry) => {
                        entry.insert(aggregates::make(function.name, out)?)
                    }
                };
                let value = state(&values, warnings);
                points.push(Point { value, ..point });
            }
            Ok(Stream::Points { points, holds })
        }
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
    for (point, values) in join(args) {
        points.push(Point { value: function(values)?, ..point });
    }
    Ok(Stream::Points { points, holds })
}

/// The union of the arguments' points per key, in order, with each argument's value there: a discrete one's at its own point,
/// else null; a continuous one's as of there, null before its first (SEMANTICS 1.4).
fn join(args: &[&Stream]) -> Vec<(Point, Vec<Val>)> {
    struct Joined {
        point: Point,
        at: Vec<Option<Val>>,
    }
    let mut keys: BTreeMap<Val, Vec<Joined>> = BTreeMap::new();
    for (number, arg) in args.iter().enumerate() {
        let Stream::Points { points, .. } = arg else { continue };
        for point in points {
            let joined = keys.entry(point.key.clone()).or_default();
            let known = joined
                .iter_mut()
                .find(|known| known.at[number].is_none() && is_same_point(&known.point, point));
            match known {
                Some(known) => {
                    known.at[number] = Some(point.value.clone());
                    known.point.place = known.point.place.min(point.place);
                    known.point.own = known.point.own.min(point.own);
                }
                None => {
                    let mut at = vec![None; args.len()];
                    at[number] = Some(point.value.clone());
                    joined.push(Joined { point: point.clone(), at });
                }
            }
        }
    }
    let mut all = Vec::new();
    for mut joined in keys.into_values() {
        joined.sort_by_key(|joined| joined.point.place);
        let mut latest: Vec<Val> = vec![Val::Null; args.len()];
        for Joined { point, at } in joined {
            let mut values = Vec::new();
            for ((arg, here), latest) in args.iter().zip(at).zip(&mut latest) {
                values.push(match (arg, here) {
                    (Stream::Constant(value), _) => value.clone(),
                    (Stream::Points { .. }, Some(value)) => {
                        *latest = value.clone();
                        value
                    }
                    (Stream::Points { holds: true, .. }, None) => latest.clone(),
                    (Stream::Points { holds: false, .. }, None) => Val::Null,
                });
            }
            all.push((point, values));
        }
    }
    all.sort_by_key(|(point, _)| point.place);
    all
}

/// Whether two points of one key are one (SEMANTICS 1.5): of the same event, or of paired ones as they came from the sources.
fn is_same_point(x: &Point, y: &Point) -> bool {
    x.own == y.own || (x.is_of_source && y.is_of_source && x.place == y.place)
}

/// By place; where one place has several keys, as after a re-keying of joined streams, by key.
fn in_order(mut points: Vec<Point>) -> Vec<Point> {
    points.sort_by(|x, y| (x.place, &x.key).cmp(&(y.place, &y.key)));
    points
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
            .filter(|point| since.is_none_or(|since| point.place.0 >= since))
            .filter(|point| until.is_none_or(|until| point.place.0 <= until))
            .map(|point| row(point.place.0, point))
            .collect(),
        Results::Snapshot { changed_since, at } => {
            let mut last = BTreeMap::new();
            for point in points.into_iter().filter(|point| at.is_none_or(|at| point.place.0 <= at)) {
                last.insert(point.key.clone(), point);
            }
            let time = at.or(newest).unwrap_or_default() + 1;
            last.into_values()
                .filter(|point| changed_since.is_none_or(|since| point.place.0 >= since))
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

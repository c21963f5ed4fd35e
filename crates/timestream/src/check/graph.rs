//! The graph under construction: each distinct expression once, with its type, grouping and continuity.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_schema::{DataType, Field, Fields};

use super::{Value, literal, no_points};
use crate::catalog::StreamDef;
use crate::error::QueryError;
use crate::query::{Aggregation, Calendar, Continuity, Grouping, Node, Op, Query, Span, Window};
use crate::scalar::Scalar;
use crate::syntax::MAX_DEPTH;

/// Most expressions of a query.
const MAX_NODES: usize = 4096;
/// Deepest way from the answer to a source: planning calls itself along it.
const MAX_NODE_DEPTH: u32 = 2 * MAX_DEPTH;
/// Most values within the values of one expression: `let`s can double a record in a few letters.
const MAX_WIDTH: usize = 100_000;

#[derive(Default)]
pub(super) struct Graph {
    nodes: Vec<Node>,
    sizes: Vec<Size>,
    known: HashMap<Key, usize>,
}

/// What is bounded of a node.
#[derive(Clone, Copy)]
struct Size {
    depth: u32,
    /// Values within its value, at most.
    width: usize,
}

/// What makes two expressions the same.
#[derive(PartialEq, Eq, Hash)]
struct Key {
    op: OpKey,
    args: Vec<usize>,
}

#[derive(PartialEq, Eq, Hash)]
enum OpKey {
    Stream(u16, String),
    /// A scalar as its debug text, which tells apart what equality of floats does not.
    Literal(String, DataType),
    Field(String),
    Call(&'static str),
    User(String),
    Cast(DataType),
    Time,
    Record(Vec<String>),
    Filter,
    WithKey(Arc<str>),
    Aggregate(&'static str, String, Window),
    Ticks(Calendar, u32),
    ShiftBy,
    ShiftTo,
    ShiftUntil,
    Lookup,
    Planned(String),
}

impl Graph {
    pub(super) fn node(&self, node: usize) -> &Node {
        &self.nodes[node]
    }

    /// Place and type of a field of a node's struct.
    pub(super) fn field_of(&self, node: usize, name: &str) -> Option<(usize, DataType)> {
        let DataType::Struct(fields) = &self.nodes[node].data_type else { return None };
        fields.find(name).map(|(at, field)| (at, field.data_type().clone()))
    }

    /// Names of the fields of a node's struct; none if it is no struct.
    pub(super) fn fields_of(&self, node: usize) -> Vec<String> {
        match &self.nodes[node].data_type {
            DataType::Struct(fields) => fields.iter().map(|field| field.name().clone()).collect(),
            _ => Vec::new(),
        }
    }

    /// The stream that a node is, if it is one as it comes from its source.
    pub(super) fn stream_of(&self, node: usize) -> Option<&StreamDef> {
        match &self.nodes[node].op {
            Op::Stream(stream) => Some(stream),
            _ => None,
        }
    }

    /// A literal that is cast, and to what; none if a node is none.
    pub(super) fn cast_literal(&self, node: usize) -> Option<(&Scalar, &DataType)> {
        let Node { op: Op::Cast, args, data_type, .. } = &self.nodes[node] else { return None };
        match &self.nodes[*args.first()?].op {
            Op::Literal(literal) => Some((literal, data_type)),
            _ => None,
        }
    }

    pub(super) fn add_stream(
        &mut self,
        stream: Arc<StreamDef>,
        grouping: &str,
        span: &Span,
    ) -> Result<Value, QueryError> {
        let key_type = stream.fields.find(&stream.key).map(|(_, field)| field.data_type().clone());
        let key_type = key_type.ok_or_else(|| {
            QueryError::new(
                span.clone(),
                format!("`{}` has no column `{}`, its key", stream.name, stream.key),
            )
        })?;
        let node = Node {
            data_type: stream.data_type(),
            grouping: Some(Grouping { name: Arc::from(grouping), key_type }),
            continuity: Continuity::Discrete,
            op: Op::Stream(stream),
            args: Vec::new(),
            span: span.clone(),
        };
        self.add(node).map(Value::Node)
    }

    pub(super) fn add_literal(
        &mut self,
        scalar: Scalar,
        data_type: DataType,
        span: &Span,
    ) -> Result<usize, QueryError> {
        self.add(Node {
            op: Op::Literal(literal::typed(scalar, &data_type)),
            args: Vec::new(),
            data_type,
            grouping: None,
            continuity: Continuity::Constant,
            span: span.clone(),
        })
    }

    pub(super) fn add_field(
        &mut self,
        of: usize,
        name: &str,
        data_type: DataType,
        span: &Span,
    ) -> Result<Value, QueryError> {
        self.add_joined(Op::Field(name.to_owned()), vec![of], data_type, span, None)
    }

    /// A value in another type; the value itself if it is of it.
    pub(super) fn add_cast(&mut self, value: usize, to: DataType, span: &Span) -> Result<usize, QueryError> {
        if self.nodes[value].data_type == to {
            return Ok(value);
        }
        let node = self.joined(Op::Cast, vec![value], to, span)?;
        self.add(node)
    }

    pub(super) fn add_record(
        &mut self,
        names: Vec<String>,
        values: Vec<usize>,
        span: &Span,
    ) -> Result<Value, QueryError> {
        let fields = names.iter().zip(&values);
        let fields = fields.map(|(name, value)| Field::new(name, self.nodes[*value].data_type.clone(), true));
        let data_type = DataType::Struct(fields.collect::<Fields>());
        self.add_joined(Op::Record(names), values, data_type, span, None)
    }

    /// An operation on the union of its arguments' points. What `needs_points` names is none of constants alone.
    pub(super) fn add_joined(
        &mut self,
        op: Op,
        args: Vec<usize>,
        data_type: DataType,
        span: &Span,
        needs_points: Option<&str>,
    ) -> Result<Value, QueryError> {
        let node = self.joined(op, args, data_type, span)?;
        if let (Some(name), None) = (needs_points, &node.grouping) {
            return Err(no_points(span.clone(), &format!("`{name}`")));
        }
        self.add(node).map(Value::Node)
    }

    pub(super) fn add_with_key(
        &mut self,
        args: Vec<usize>,
        data_type: DataType,
        grouping: Grouping,
        span: &Span,
    ) -> Result<Value, QueryError> {
        let node = self.joined(Op::WithKey, args, data_type, span)?;
        if node.grouping.is_none() {
            return Err(no_points(span.clone(), "`with_key`"));
        }
        self.add(Node { grouping: Some(grouping), ..node }).map(Value::Node)
    }

    /// The ticks of a value's points.
    pub(super) fn add_ticks(
        &mut self,
        calendar: Calendar,
        intervals: u32,
        of: usize,
        span: &Span,
    ) -> Result<usize, QueryError> {
        let op = Op::Ticks { calendar, intervals };
        let node = self.joined(op, vec![of], DataType::Null, span)?;
        self.add(Node { continuity: Continuity::Discrete, ..node })
    }

    /// A value as of the points of a key's expression.
    pub(super) fn add_lookup(&mut self, value: usize, key: usize, span: &Span) -> Result<usize, QueryError> {
        self.add(Node {
            op: Op::Lookup,
            args: vec![value, key],
            data_type: self.nodes[value].data_type.clone(),
            grouping: self.nodes[key].grouping.clone(),
            continuity: Continuity::Discrete,
            span: span.clone(),
        })
    }

    /// A node with the grouping that its arguments share and the continuity that follows from theirs
    /// (SEMANTICS 1.3, 1.4).
    fn joined(&self, op: Op, args: Vec<usize>, data_type: DataType, span: &Span) -> Result<Node, QueryError> {
        let mut grouping: Option<&Grouping> = None;
        let mut points = Continuity::Constant;
        for arg in args.iter().map(|arg| &self.nodes[*arg]) {
            match (grouping, &arg.grouping) {
                (Some(one), Some(other)) if one != other => return Err(two_groupings(&arg.span, one, other)),
                (None, Some(_)) => grouping = arg.grouping.as_ref(),
                _ => {}
            }
            points = match (points, arg.continuity) {
                (Continuity::Discrete, _) | (_, Continuity::Discrete) => Continuity::Discrete,
                (Continuity::Continuous, _) | (_, Continuity::Continuous) => Continuity::Continuous,
                (Continuity::Constant, Continuity::Constant) => Continuity::Constant,
            };
        }
        let continuity = match op {
            Op::Filter | Op::WithKey | Op::ShiftBy | Op::ShiftTo | Op::ShiftUntil => Continuity::Discrete,
            Op::Aggregate(Aggregation { window: Window::Tumbling(_) | Window::Sliding(..), .. }) => {
                Continuity::Discrete
            }
            Op::Aggregate(_) => Continuity::Continuous,
            Op::Field(ref name) => match self.put_into(args[0], name).map(|put| self.nodes[put].continuity) {
                Some(Continuity::Continuous) => Continuity::Continuous,
                _ => points,
            },
            _ => points,
        };
        Ok(Node { op, args, data_type, grouping: grouping.cloned(), continuity, span: span.clone() })
    }

    /// What the query itself put into a record under this name; none if it is no record of the query's. A
    /// field is at the points of its record, and holds between them if what was put there holds.
    fn put_into(&self, mut record: usize, name: &str) -> Option<usize> {
        while let Op::Field(of) = &self.nodes[record].op {
            record = self.put_into(self.nodes[record].args[0], of)?;
        }
        let Op::Record(names) = &self.nodes[record].op else { return None };
        let at = names.iter().position(|known| known == name)?;
        self.nodes[record].args.get(at).copied()
    }

    fn add(&mut self, node: Node) -> Result<usize, QueryError> {
        let key = Key {
            op: match &node.op {
                Op::Stream(stream) => OpKey::Stream(stream.source, stream.name.clone()),
                Op::Literal(scalar) => OpKey::Literal(format!("{scalar:?}"), node.data_type.clone()),
                Op::Field(name) => OpKey::Field(name.clone()),
                Op::Call(function) => OpKey::Call(function.name),
                Op::User(function) => OpKey::User(function.name().to_owned()),
                Op::Cast => OpKey::Cast(node.data_type.clone()),
                Op::Record(names) => OpKey::Record(names.clone()),
                Op::Time => OpKey::Time,
                Op::Filter => OpKey::Filter,
                Op::WithKey => {
                    OpKey::WithKey(node.grouping.as_ref().map_or("".into(), |group| group.name.clone()))
                }
                Op::Aggregate(Aggregation { function, constants, window }) => {
                    OpKey::Aggregate(function.name, format!("{constants:?}"), *window)
                }
                Op::Ticks { calendar, intervals } => OpKey::Ticks(*calendar, *intervals),
                Op::ShiftBy => OpKey::ShiftBy,
                Op::ShiftTo => OpKey::ShiftTo,
                Op::ShiftUntil => OpKey::ShiftUntil,
                Op::Lookup => OpKey::Lookup,
                // The planner makes these; no text means them.
                Op::Own(_) | Op::Apart(_) | Op::Ask { .. } | Op::Reply => {
                    OpKey::Planned(format!("{:?}", node.op))
                }
            },
            args: node.args.clone(),
        };
        if let Some(known) = self.known.get(&key) {
            return Ok(*known);
        }
        let args = || node.args.iter().map(|arg| self.sizes[*arg]);
        let size = Size {
            depth: 1 + args().map(|size| size.depth).max().unwrap_or(0),
            width: match node.op {
                Op::Record(_) => 1 + args().map(|size| size.width).sum::<usize>(),
                // A field is not as wide as what it is of: records made of records' fields would seem to grow
                // without end.
                Op::Stream(_) | Op::Field(_) | Op::Time => width(&node.data_type),
                _ => args().map(|size| size.width).max().unwrap_or(1),
            },
        };
        let limit = if size.depth > MAX_NODE_DEPTH {
            format!("nested too deeply: more than {MAX_NODE_DEPTH} operations")
        } else if size.width > MAX_WIDTH {
            format!("too wide: more than {MAX_WIDTH} values within one")
        } else if self.nodes.len() >= MAX_NODES {
            format!("too many expressions: more than {MAX_NODES}")
        } else {
            self.nodes.push(node);
            self.sizes.push(size);
            self.known.insert(key, self.nodes.len() - 1);
            return Ok(self.nodes.len() - 1);
        };
        Err(QueryError::new(node.span, limit))
    }

    /// The query: what its answer depends on, and nothing else.
    pub(super) fn finish(self, text: String, root: usize) -> Query {
        let mut used = vec![false; self.nodes.len()];
        used[root] = true;
        for at in (0..self.nodes.len()).rev().filter(|at| *at <= root) {
            if used[at] {
                self.nodes[at].args.iter().for_each(|arg| used[*arg] = true);
            }
        }
        let mut places = vec![0; self.nodes.len()];
        let mut nodes = Vec::new();
        for (at, mut node) in self.nodes.into_iter().enumerate().filter(|(at, _)| used[*at]) {
            places[at] = nodes.len();
            node.args.iter_mut().for_each(|arg| *arg = places[*arg]);
            nodes.push(node);
        }
        Query { text, nodes, root: places[root] }
    }
}

/// Values within values of a type.
fn width(data_type: &DataType) -> usize {
    match data_type {
        DataType::Struct(fields) => 1 + fields.iter().map(|field| width(field.data_type())).sum::<usize>(),
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            1 + width(item.data_type())
        }
        _ => 1,
    }
}

fn two_groupings(span: &Span, one: &Grouping, other: &Grouping) -> QueryError {
    let types = crate::types::names(&[&one.key_type, &other.key_type]);
    let both = [one, other].into_iter().zip(types).map(|(of, key)| format!("`{}` ({key})", of.name));
    let both = both.collect::<Vec<_>>().join(" and ");
    let message = format!("different groupings: {both} cannot be used in one expression");
    let note = if one.name == other.name {
        "keys are one only where their types are: `with_key` of a `cast` of the key gives both one type"
    } else {
        "`with_key` groups a stream by another key; `grouping=\"…\"` names what its keys are"
    };
    QueryError::new(span.clone(), message).note(note)
}

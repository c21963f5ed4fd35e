//! A lookup as what a plan can do: questions under the key that is looked up, answered there, brought back to
//! where they were asked.
//!
//! Nothing else than re-keyings and joins: the question is a point in the grouping of the value, and meets
//! the value there as any two streams meet. Where the value is of another source than the question, the
//! question stands after all else of its time.

use std::collections::BTreeSet;

use arrow_schema::{DataType, Field, Fields};

use crate::functions::{self, aggregations};
use crate::query::{Aggregation, Continuity, Grouping, Node, NodeId, Op, Own, Part, Query};
use crate::types;

/// The parts of a question with their types, in the order of its fields.
fn parts(key_type: DataType) -> [(&'static str, Op, DataType); 9] {
    [
        ("key", Op::Own(Own::Key), key_type),
        ("lane", Op::Own(Own::Lane), DataType::UInt16),
        ("origin_time", Op::Own(Own::OriginTime), DataType::Int64),
        ("origin_lane", Op::Own(Own::OriginLane), DataType::UInt16),
        ("ordinal", Op::Own(Own::Ordinal), DataType::UInt64),
        ("made_for", Op::Own(Own::MadeFor), DataType::Binary),
        ("turn", Op::Own(Own::Turn), DataType::UInt32),
        ("apart_lane", Op::Apart(Part::Lane), Part::Lane.data_type()),
        ("apart_ordinal", Op::Apart(Part::Ordinal), Part::Ordinal.data_type()),
    ]
}

/// The query with questions and replies for lookups.
pub(super) fn expand(query: &Query) -> Query {
    let mut expanded = Expanded { nodes: Vec::new(), sources: Vec::new() };
    let mut places = Vec::with_capacity(query.nodes.len());
    for node in &query.nodes {
        let mut node = node.clone();
        node.args.iter_mut().for_each(|arg| *arg = places[*arg]);
        places.push(match node.op {
            Op::Lookup => expanded.lookup(&node),
            _ => expanded.add(node),
        });
    }
    Query { text: query.text.clone(), nodes: expanded.nodes, root: places[query.root] }
}

struct Expanded {
    nodes: Vec<Node>,
    /// By node: the sources of its points.
    sources: Vec<BTreeSet<u16>>,
}

impl Expanded {
    fn add(&mut self, node: Node) -> NodeId {
        let mut sources: BTreeSet<u16> =
            node.args.iter().flat_map(|arg| &self.sources[*arg]).copied().collect();
        if let Op::Stream(stream) = &node.op {
            sources.insert(stream.source);
        }
        self.sources.push(sources);
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    /// A node as discrete as `of`, with its span.
    fn made(
        &mut self,
        of: &Node,
        op: Op,
        args: Vec<NodeId>,
        data_type: DataType,
        grouping: Option<Grouping>,
    ) -> NodeId {
        let continuity = match op {
            Op::Aggregate(_) => Continuity::Continuous,
            _ => Continuity::Discrete,
        };
        self.add(Node { op, args, data_type, grouping, continuity, span: of.span.clone() })
    }

    fn lookup(&mut self, lookup: &Node) -> NodeId {
        let (value, key) = (lookup.args[0], lookup.args[1]);
        let asking = lookup.grouping.clone();
        let asked = self.nodes[value].grouping.clone();
        let after = self.sources[value].iter().any(|source| !self.sources[key].contains(source));

        let (mut names, mut fields, mut values) = (Vec::new(), Vec::new(), Vec::new());
        for (name, op, data_type) in parts(lookup.key_type()) {
            names.push(name.to_owned());
            fields.push(Field::new(name, data_type.clone(), true));
            values.push(self.made(lookup, op, vec![key], data_type, asking.clone()));
        }
        let question = DataType::Struct(fields.into());
        let record = self.made(lookup, Op::Record(names), values, question.clone(), asking.clone());
        let ask = self.made(lookup, Op::Ask { after }, vec![record, key], question, asked.clone());
        let value = match self.nodes[value].continuity {
            Continuity::Discrete => self.of_that_time(lookup, value, ask, asked),
            _ => value,
        };
        let reply = self.made(lookup, Op::Reply, vec![value, ask], lookup.data_type.clone(), asking);
        // Its points are those of the key's expression, whatever their values are made of.
        self.sources[reply] = self.sources[key].clone();
        reply
    }

    /// The value of the newest point, where that is of the question's time.
    fn of_that_time(&mut self, lookup: &Node, value: NodeId, ask: NodeId, asked: Option<Grouping>) -> NodeId {
        let (Some(eq), Some(if_)) = (functions::find("eq"), functions::find("if_")) else { return value };
        let (moment, of) = (types::timestamp(), lookup.data_type.clone());
        let point: Fields = [Field::new("value", of.clone(), true), Field::new("time", moment.clone(), true)]
            .into_iter()
            .collect();
        let point = DataType::Struct(point);
        let at = self.made(lookup, Op::Time, vec![value], moment.clone(), asked.clone());
        let names = vec!["value".to_owned(), "time".to_owned()];
        let record = self.made(lookup, Op::Record(names), vec![value, at], point.clone(), asked.clone());
        let aggregation = Aggregation::cumulative(&aggregations::LAST);
        let newest = self.made(lookup, Op::Aggregate(aggregation), vec![record], point, asked.clone());
        let mut held = |op: Op, args: Vec<NodeId>, data_type: DataType| {
            self.add(Node {
                op,
                args,
                data_type,
                grouping: asked.clone(),
                continuity: Continuity::Continuous,
                span: lookup.span.clone(),
            })
        };
        let newest_value = held(Op::Field("value".to_owned()), vec![newest], of.clone());
        let newest_time = held(Op::Field("time".to_owned()), vec![newest], moment.clone());
        let now = self.made(lookup, Op::Time, vec![ask], moment, asked.clone());
        let is_now =
            self.made(lookup, Op::Call(eq), vec![newest_time, now], DataType::Boolean, asked.clone());
        self.made(lookup, Op::Call(if_), vec![newest_value, is_now], of, asked)
    }
}

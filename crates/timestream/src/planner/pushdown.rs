//! The tests that every wanted point of a scan passes, for its source to drop other points unread.
//!
//! A point may be dropped if whatever is made of it goes through filters that drop it. So from the answer
//! back: what an expression's users all demand of it, a filter demanding what its condition says, and
//! everything else that its user demands. Only what is made of this one stream counts; a join, an aggregation
//! or a re-keying demands nothing.

use std::collections::{BTreeMap, BTreeSet};

use super::layout::is_fed;
use super::region::prepend;
use super::{Path, Planner};
use crate::plan::{Comparison, PathStep, Scan, Test};
use crate::query::{NodeId, Op};
use crate::scalar::Scalar;

/// Conditions, by node.
type Conditions = BTreeSet<NodeId>;

/// Adds the tests to a scan, which reads `stream` for `region`.
///
/// None where events of several sources pair, by their turn among all of one time and key (SEMANTICS 1.5).
pub(super) fn tests(planner: &Planner<'_>, stream: NodeId, region: usize, scan: &mut Scan) {
    if scan.pairs.is_some() {
        return;
    }
    for condition in demanded(planner, stream, region) {
        let Some((path, comparison, literal)) = simple(planner, stream, condition) else { continue };
        // The condition is computed of this very column.
        if let Some(column) = scan.columns.iter().position(|column| column.path == path) {
            scan.tests.push(Test { column, comparison, literal });
        }
    }
}

/// The conditions that all uses of a stream demand.
fn demanded(planner: &Planner<'_>, stream: NodeId, region: usize) -> Conditions {
    let layout = &planner.layout.regions[region];
    let nodes = &planner.query.nodes;
    // What is made of this stream and of no other, and goes point by point.
    let mut local = BTreeSet::from([stream]);
    for at in &layout.nodes {
        // What makes points of its own depends on all points, as an aggregation does.
        let own_points = !is_fed(&nodes[*at].op)
            && !matches!(nodes[*at].op, Op::Stream(_) | Op::Aggregate(_) | Op::Ticks { .. });
        let mut args = nodes[*at].args.iter().filter(|arg| nodes[**arg].grouping.is_some());
        if own_points && args.all(|arg| local.contains(arg)) {
            local.insert(*at);
        }
    }
    let mut demands = Demands::default();
    demands.ask(planner.query.root, &Conditions::new());
    for arg in layout.feeds.iter().flat_map(|feed| &nodes[*feed].args) {
        demands.ask(*arg, &Conditions::new());
    }
    // Users stand after what they use: each node's demands are complete when it is reached. An input's
    // arguments are not of this region.
    for at in layout.nodes.iter().rev().filter(|at| !is_fed(&nodes[**at].op)) {
        let mut asked = Conditions::new();
        if local.contains(at) {
            asked.extend(demands.0.get(at).into_iter().flatten());
            if let (Op::Filter, Some(condition)) = (&nodes[*at].op, nodes[*at].args.get(1)) {
                conjuncts(planner, *condition, &mut asked);
            }
        }
        nodes[*at].args.iter().for_each(|arg| demands.ask(*arg, &asked));
    }
    demands.0.remove(&stream).unwrap_or_default()
}

/// What is demanded of each node by all of its users so far.
#[derive(Default)]
struct Demands(BTreeMap<NodeId, Conditions>);

impl Demands {
    fn ask(&mut self, of: NodeId, asked: &Conditions) {
        let all = self.0.entry(of).or_insert_with(|| asked.clone());
        all.retain(|condition| asked.contains(condition));
    }
}

/// What must be true for a condition to be: itself, and both sides of an `and`.
fn conjuncts(planner: &Planner<'_>, condition: NodeId, found: &mut Conditions) {
    let mut open = vec![condition];
    while let Some(node) = open.pop() {
        // Shared parts are looked at once.
        if found.insert(node)
            && let Op::Call(function) = planner.query.nodes[node].op
            && function.name == "and"
        {
            open.extend(&planner.query.nodes[node].args);
        }
    }
}

/// A condition as a comparison of a value inside the stream's points with a constant.
fn simple(planner: &Planner<'_>, stream: NodeId, condition: NodeId) -> Option<(Path, Comparison, Scalar)> {
    let nodes = &planner.query.nodes;
    if let Some(path) = path_to(planner, stream, condition) {
        return Some((path, Comparison::Eq, Scalar::Bool(true)));
    }
    let (Op::Call(function), args) = (&nodes[condition].op, nodes[condition].args.as_slice()) else {
        return None;
    };
    let (comparison, flipped) = match function.name {
        "eq" => (Comparison::Eq, Comparison::Eq),
        "ne" => (Comparison::Ne, Comparison::Ne),
        "lt" => (Comparison::Lt, Comparison::Gt),
        "le" => (Comparison::Le, Comparison::Ge),
        "gt" => (Comparison::Gt, Comparison::Lt),
        "ge" => (Comparison::Ge, Comparison::Le),
        "not" => {
            return Some((path_to(planner, stream, *args.first()?)?, Comparison::Eq, Scalar::Bool(false)));
        }
        _ => return None,
    };
    let [left, right] = args else { return None };
    let (path, comparison, literal) = match (&nodes[*left].op, &nodes[*right].op) {
        (_, Op::Literal(literal)) => (path_to(planner, stream, *left)?, comparison, literal),
        (Op::Literal(literal), _) => (path_to(planner, stream, *right)?, flipped, literal),
        _ => return None,
    };
    // A literal of a finer unit than the column's has none there.
    let of_one_type = nodes[*left].data_type == nodes[*right].data_type;
    (of_one_type && *literal != Scalar::Null).then(|| (path, comparison, literal.clone()))
}

/// The path from the stream's points to a value that is read from them as it is.
fn path_to(planner: &Planner<'_>, stream: NodeId, node: NodeId) -> Option<Path> {
    let (mut node, mut path) = (node, Path::new());
    loop {
        let of = &planner.query.nodes[node];
        match &of.op {
            Op::Stream(_) => return (node == stream && !path.is_empty()).then_some(path),
            Op::Field(name) => path = prepend(PathStep::Field(name.clone()), &path),
            Op::Filter => {}
            Op::Call(_) => path = prepend(planner.step_of(node)?, &path),
            _ => return None,
        }
        node = *of.args.first()?;
    }
}

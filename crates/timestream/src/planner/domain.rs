//! At which points an expression has a value: the union of streams and filters that it is made of.

use std::collections::BTreeSet;

use crate::query::{Aggregation, Ends, NodeId, Op, Query, Window};

/// A union of points: those of streams, re-keyed and moved ones and ticks, and those that filters leave. Two
/// equal sets are the same points.
pub(super) type Domain = BTreeSet<NodeId>;

/// The domains of a query's nodes.
pub(super) struct Domains {
    /// By node. A stream, a filter and what makes or moves points stand for their own points.
    domains: Vec<Domain>,
    /// For a `filter`, the points it chooses from.
    within: Vec<Option<Domain>>,
}

impl Domains {
    pub(super) fn of(query: &Query) -> Self {
        let mut all = Self { domains: Vec::new(), within: Vec::new() };
        for (at, node) in query.nodes.iter().enumerate() {
            let arguments = || all.union(node.args.iter().map(|arg| &all.domains[*arg]));
            let (own, within) = match &node.op {
                Op::Filter => (Domain::from([at]), Some(arguments())),
                Op::Literal(_) => (Domain::new(), None),
                Op::Aggregate(Aggregation {
                    window: Window::Tumbling(ends) | Window::Sliding(_, ends),
                    ..
                }) => {
                    match ends {
                        // As a filter: the points at which the condition is true.
                        Ends::Predicate => (Domain::from([at]), Some(arguments())),
                        Ends::Ticks => (all.of_nodes(&node.args[1..]), None),
                    }
                }
                Op::Field(_)
                | Op::Call(_)
                | Op::User(_)
                | Op::Cast
                | Op::Time
                | Op::Record(_)
                | Op::Aggregate(_)
                | Op::Own(_)
                | Op::Apart(_) => (arguments(), None),
                Op::Stream(_)
                | Op::WithKey
                | Op::Ticks { .. }
                | Op::ShiftBy
                | Op::ShiftTo
                | Op::ShiftUntil
                | Op::Lookup
                | Op::Ask { .. }
                | Op::Reply => (Domain::from([at]), None),
            };
            all.domains.push(own);
            all.within.push(within);
        }
        all
    }

    /// At which points a node has its value.
    pub(super) fn of_node(&self, node: NodeId) -> &Domain {
        &self.domains[node]
    }

    /// The points that a filter chooses from: those of its value and its condition.
    pub(super) fn within(&self, filter: NodeId) -> Option<&Domain> {
        self.within[filter].as_ref()
    }

    /// The points of all nodes together.
    pub(super) fn of_nodes(&self, nodes: &[NodeId]) -> Domain {
        self.union(nodes.iter().map(|node| &self.domains[*node]))
    }

    fn union<'a>(&self, domains: impl Iterator<Item = &'a Domain>) -> Domain {
        let all: Domain = domains.flatten().copied().collect();
        all.iter().filter(|filter| !self.covered(**filter, &all)).copied().collect()
    }

    /// Whether all points that a filter leaves are in the union without it.
    fn covered(&self, filter: NodeId, all: &Domain) -> bool {
        let Some(within) = self.within(filter) else { return false };
        let mut open: Vec<NodeId> = within.iter().copied().collect();
        let mut seen = Domain::new();
        while let Some(part) = open.pop() {
            if all.contains(&part) || !seen.insert(part) {
                continue;
            }
            match self.within(part) {
                Some(within) => open.extend(within),
                None => return false,
            }
        }
        true
    }
}

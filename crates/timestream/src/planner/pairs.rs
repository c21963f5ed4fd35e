//! Whose events pair (SEMANTICS 1.5): those of streams of several sources that are joined before they get
//! another key.

use std::collections::BTreeSet;

use crate::query::{NodeId, Op, Query};

/// The streams of a query that pair.
pub(super) struct Pairs {
    /// By node: the streams whose events its points are, under their own key.
    streams: Vec<BTreeSet<NodeId>>,
    /// By node: of a stream that pairs, the first of all that it pairs with, by whatever joins.
    groups: Vec<Option<NodeId>>,
}

impl Pairs {
    pub(super) fn of(query: &Query) -> Self {
        let mut streams: Vec<BTreeSet<NodeId>> = Vec::new();
        // The streams that are joined with each: at first itself.
        let mut joined: Vec<NodeId> = (0..query.nodes.len()).collect();
        for (at, node) in query.nodes.iter().enumerate() {
            let of_args = || node.args.iter().flat_map(|arg| &streams[*arg]).copied().collect();
            // Whose points meet in it, and whose its own points are.
            let (met, own): (BTreeSet<NodeId>, BTreeSet<NodeId>) = match &node.op {
                Op::Stream(_) => (BTreeSet::from([at]), BTreeSet::from([at])),
                // A value and its key are joined before they are under another key.
                Op::WithKey => (of_args(), BTreeSet::new()),
                Op::Ask { .. } | Op::Ticks { .. } => (BTreeSet::new(), BTreeSet::new()),
                // Its points are those of the expression that asked.
                Op::Reply => (BTreeSet::new(), streams[query.nodes[node.args[1]].args[1]].clone()),
                _ => (of_args(), of_args()),
            };
            let groups: BTreeSet<NodeId> = met.iter().map(|stream| joined[*stream]).collect();
            if let Some(least) = groups.first().filter(|_| groups.len() > 1) {
                joined.iter_mut().filter(|group| groups.contains(group)).for_each(|group| *group = *least);
            }
            streams.push(own);
        }
        let source = |node: NodeId| match &query.nodes[node].op {
            Op::Stream(stream) => Some(stream.source),
            _ => None,
        };
        let group = |at: NodeId| {
            let own = source(at)?;
            let of_group = (0..joined.len()).filter(|other| joined[*other] == joined[at]);
            of_group.filter_map(source).any(|other| other != own).then_some(joined[at])
        };
        let groups = (0..query.nodes.len()).map(group).collect();
        Self { streams, groups }
    }

    /// The group that a stream's events pair in, if they do.
    pub(super) fn group(&self, stream: NodeId) -> Option<usize> {
        self.groups[stream]
    }

    /// Whether points of a node may be pairs.
    pub(super) fn may_pair(&self, node: NodeId) -> bool {
        self.streams[node].iter().any(|stream| self.groups[*stream].is_some())
    }
}

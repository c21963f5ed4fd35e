//! Which expressions may have an event more than once at one place and key: those points are told apart by
//! their turns (SEMANTICS 1.5).
//!
//! A point comes to where it is in some way: from a source, last given a key by one `with_key`, last moved by
//! one shift. An event that is in a stream under two keys comes to one where the stream is given another key;
//! one that is there at two times, where it is moved.

use std::collections::BTreeSet;

use crate::query::{NodeId, Op, Query};

/// What an event or a tick is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Origin {
    Source(u16),
    Ticks(NodeId),
}

/// How a point came: what gave it its key, and what moved it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Way {
    origin: Origin,
    key: Option<NodeId>,
    moved: Option<NodeId>,
}

/// By node of a query: whether it may have an event more than once at one place and key.
pub(super) fn doubles(query: &Query) -> Vec<bool> {
    let mut ways: Vec<BTreeSet<Way>> = Vec::with_capacity(query.nodes.len());
    let mut doubles = Vec::with_capacity(query.nodes.len());
    for (at, node) in query.nodes.iter().enumerate() {
        // A reply's points are those that asked.
        let args = if matches!(node.op, Op::Reply) { &node.args[1..] } else { &node.args[..] };
        let joined: BTreeSet<Way> = args.iter().flat_map(|arg| &ways[*arg]).copied().collect();
        let from = |origin| BTreeSet::from([Way { origin, key: None, moved: None }]);
        let (of, meet) = match &node.op {
            Op::Stream(stream) => (from(Origin::Source(stream.source)), false),
            Op::Ticks { .. } => (from(Origin::Ticks(at)), false),
            Op::WithKey => {
                let meet = differ(&joined, |way| (way.origin, way.moved), |way| way.key);
                (joined.into_iter().map(|way| Way { key: Some(at), ..way }).collect(), meet)
            }
            Op::ShiftBy | Op::ShiftTo | Op::ShiftUntil => {
                let meet = differ(&joined, |way| (way.origin, way.key), |way| way.moved);
                // By zero, what is moved stays where it is.
                let moved = joined.iter().map(|way| Way { moved: Some(at), ..*way });
                (moved.chain(joined.iter().copied()).collect(), meet)
            }
            _ => (joined, false),
        };
        let is_made = !matches!(node.op, Op::Ticks { .. });
        doubles.push(meet || (is_made && args.iter().any(|arg| doubles[*arg])));
        ways.push(of);
    }
    doubles
}

/// Whether two ways that are alike in one thing are not in the other.
fn differ<A: Ord, B: PartialEq>(ways: &BTreeSet<Way>, alike: fn(&Way) -> A, other: fn(&Way) -> B) -> bool {
    let mut ways: Vec<&Way> = ways.iter().collect();
    ways.sort_by_key(|way| alike(way));
    ways.windows(2).any(|two| alike(two[0]) == alike(two[1]) && other(two[0]) != other(two[1]))
}

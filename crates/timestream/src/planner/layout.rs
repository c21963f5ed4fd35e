//! Which expressions share a region, and what feeds what.
//!
//! An expression's **level** is the number of re-keyings and moves before it. What is joined shares a region
//! at the highest of their levels: a stream is then read for that region, a value without re-keying computed
//! there. So the same expression may stand at several levels, and regions are the connected parts of
//! (expression, level).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::doubles::doubles;
use crate::catalog::StreamDef;
use crate::plan::Input;
use crate::query::{Calendar, Grouping, NodeId, Op, Query};

/// The regions of a plan, in order, and what is read for them.
pub(super) struct Layout {
    pub(super) regions: Vec<RegionOf>,
    pub(super) scans: Vec<ScanOf>,
}

/// A stream and the region it is read for.
pub(super) struct ScanOf {
    pub(super) node: NodeId,
    pub(super) stream: Arc<StreamDef>,
    pub(super) region: usize,
}

/// A region before its steps.
pub(super) struct RegionOf {
    pub(super) grouping: Grouping,
    /// What is computed in it.
    pub(super) nodes: BTreeSet<NodeId>,
    pub(super) inputs: Vec<InputOf>,
    /// What is fed by each feed.
    pub(super) feeds: Vec<NodeId>,
    /// The ticks made in it.
    pub(super) ticks: Vec<TicksOf>,
    /// Whether ticks may be among its rows: made there, or fed to it.
    pub(super) holds_ticks: bool,
    /// Whether an event may be there more than once at one place and key.
    pub(super) has_doubles: bool,
    /// Whether it may where one of its feeds comes to.
    pub(super) makes_doubles: bool,
}

/// Ticks before it is known at which rows the points are that their windows hold.
pub(super) struct TicksOf {
    /// Whose points those are.
    pub(super) node: NodeId,
    pub(super) calendar: Calendar,
    pub(super) intervals: u32,
}

/// An input of a region.
#[derive(Clone, Copy)]
pub(super) struct InputOf {
    /// The stream, the ticks or what is fed: whose points these are.
    pub(super) node: NodeId,
    pub(super) from: Input,
}

/// An expression at a level.
type Place = (u32, NodeId);

impl Layout {
    pub(super) fn of(query: &Query) -> Self {
        let levels = levels(query);
        let parts = parts(query, &levels);

        let mut regions = Vec::new();
        let mut region_of: BTreeMap<Place, usize> = BTreeMap::new();
        for part in &parts {
            let grouping = part.iter().find_map(|(_, node)| query.nodes[*node].grouping.clone());
            let Some(grouping) = grouping else { continue };
            region_of.extend(part.iter().map(|place| (*place, regions.len())));
            let nodes = part.iter().map(|(_, node)| *node).collect();
            regions.push(RegionOf {
                grouping,
                nodes,
                inputs: Vec::new(),
                feeds: Vec::new(),
                ticks: Vec::new(),
                holds_ticks: false,
                has_doubles: false,
                makes_doubles: false,
            });
        }
        let mut scans = Vec::new();
        for ((_, node), region) in &region_of {
            let from = match &query.nodes[*node].op {
                Op::Stream(stream) => {
                    scans.push(ScanOf { node: *node, stream: stream.clone(), region: *region });
                    Input::Scan(scans.len() - 1)
                }
                Op::Ticks { calendar, intervals } => {
                    let (calendar, intervals) = (*calendar, *intervals);
                    let held = query.nodes[*node].args[0];
                    regions[*region].ticks.push(TicksOf { node: held, calendar, intervals });
                    Input::Ticks(regions[*region].ticks.len() - 1)
                }
                op if is_fed(op) => {
                    let Some(feeder) =
                        arguments(query, &levels, *node).find_map(|place| region_of.get(&place))
                    else {
                        continue;
                    };
                    regions[*feeder].feeds.push(*node);
                    Input::Feed { region: *feeder, feed: regions[*feeder].feeds.len() - 1 }
                }
                _ => continue,
            };
            regions[*region].inputs.push(InputOf { node: *node, from });
        }
        let mut layout = Self { regions, scans };
        layout.tell(query);
        layout
    }
}

impl Layout {
    /// Tells of each region what may be among its rows. Regions come after those that feed them.
    fn tell(&mut self, query: &Query) {
        let doubles = doubles(query);
        for at in 0..self.regions.len() {
            self.regions[at].holds_ticks = self.may_hold_ticks(at);
            let region = &mut self.regions[at];
            region.has_doubles = region.nodes.iter().any(|node| doubles[*node]);
            region.makes_doubles = region.feeds.iter().any(|node| doubles[*node]);
        }
    }

    /// Whether ticks are made in a region, or fed to it.
    fn may_hold_ticks(&self, region: usize) -> bool {
        let of = &self.regions[region];
        !of.ticks.is_empty() || self.feeders(region).any(|feeder| self.regions[feeder].holds_ticks)
    }

    /// The regions that feed one.
    fn feeders(&self, region: usize) -> impl Iterator<Item = usize> + '_ {
        self.regions[region].inputs.iter().filter_map(|input| match input.from {
            Input::Feed { region, .. } => Some(region),
            Input::Scan(_) | Input::Ticks(_) => None,
        })
    }

    /// The region that a question comes from, and the one that is asked.
    fn asking(&self, ask: NodeId) -> impl Iterator<Item = (usize, usize)> + '_ {
        let inputs = self.regions.iter().enumerate();
        let inputs = inputs.flat_map(|(at, region)| region.inputs.iter().map(move |input| (at, input)));
        inputs.filter(move |(_, input)| input.node == ask).filter_map(|(at, input)| match input.from {
            Input::Feed { region, .. } => Some((region, at)),
            Input::Scan(_) | Input::Ticks(_) => None,
        })
    }

    /// Whether an event may be more than once at one place and key of one of the regions that a lookup is between.
    pub(super) fn asks_among_doubles(&self, ask: NodeId) -> bool {
        let doubles = |region: usize| self.regions[region].has_doubles;
        self.asking(ask).any(|(asking, asked)| doubles(asking) || doubles(asked))
    }
}

/// Whether an expression's points come from another region: under another key, at another time or place.
pub(super) fn is_fed(op: &Op) -> bool {
    matches!(op, Op::WithKey | Op::ShiftBy | Op::ShiftTo | Op::ShiftUntil | Op::Ask { .. } | Op::Reply)
}

/// The level of each node.
fn levels(query: &Query) -> Vec<u32> {
    let mut levels: Vec<u32> = Vec::new();
    for node in &query.nodes {
        let joined = node.args.iter().map(|arg| levels[*arg]).max().unwrap_or(0);
        levels.push(if is_fed(&node.op) { joined + 1 } else { joined });
    }
    levels
}

/// Where the arguments of what is fed are computed. Constants are computed wherever they are used.
fn arguments<'a>(query: &'a Query, levels: &'a [u32], node: NodeId) -> impl Iterator<Item = Place> + 'a {
    let args = &query.nodes[node].args;
    let level = args.iter().map(|arg| levels[*arg]).max().unwrap_or(0);
    args.iter().filter(|arg| query.nodes[**arg].grouping.is_some()).map(move |arg| (level, *arg))
}

/// The connected parts, by level and then by first node; the answer's is the last.
fn parts(query: &Query, levels: &[u32]) -> Vec<BTreeSet<Place>> {
    let mut links: BTreeMap<Place, Vec<Place>> = BTreeMap::new();
    let mut open = vec![(levels[query.root], query.root)];
    links.insert(open[0], Vec::new());
    while let Some(place @ (level, node)) = open.pop() {
        let (used, joined_with): (Vec<Place>, Option<Place>) = match query.nodes[node].op {
            ref op if is_fed(op) => (arguments(query, levels, node).collect(), None),
            _ => {
                let args = query.nodes[node].args.iter().filter(|arg| query.nodes[**arg].grouping.is_some());
                (args.map(|arg| (level, *arg)).collect(), Some(place))
            }
        };
        for argument in &used {
            links.entry(*argument).or_insert_with(|| {
                open.push(*argument);
                Vec::new()
            });
        }
        // What is used together is joined; a re-keying joins its arguments with each other, not with itself.
        let Some(centre) = joined_with.or(used.first().copied()) else { continue };
        for other in used.into_iter().filter(|other| *other != centre) {
            links.entry(centre).or_default().push(other);
            links.entry(other).or_default().push(centre);
        }
    }
    let mut parts: Vec<BTreeSet<Place>> = Vec::new();
    let mut seen = BTreeSet::new();
    for start in links.keys() {
        let mut part = BTreeSet::new();
        let mut open = vec![*start];
        while let Some(place) = open.pop() {
            if seen.insert(place) {
                part.insert(place);
                open.extend(&links[&place]);
            }
        }
        if !part.is_empty() {
            parts.push(part);
        }
    }
    parts
}

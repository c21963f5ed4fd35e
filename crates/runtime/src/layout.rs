//! Which edges a plan has and how rows cross them, decided once a job from the plan and the number of workers.
//!
//! Rows move between workers only where they must: to the worker that holds their key's state, and where
//! points that may be one come from different places. All else stays where it is.
//!
//! Of a region that feeds another, the rows of one place are all on one worker, in the order of their keys.
//! Were they apart, nobody could put them back in that order once they have other keys.

use std::collections::BTreeMap;

use skytide_timestream::plan::{Input, Moves, Plan, Region, StepOp};

use crate::error::JobError;

/// The edges of a plan on a number of workers.
#[derive(Debug)]
pub(crate) struct Layout {
    /// Number of workers.
    pub(crate) workers: usize,
    /// What each region of the plan is given, and where.
    pub(crate) regions: Vec<Placed>,
    /// Number of parcels an epoch that the sink gets: one from each worker that has the last region.
    pub(crate) sink_senders: usize,
}

/// A region on its workers.
#[derive(Debug)]
pub(crate) struct Placed {
    /// Which workers get rows for it.
    pub(crate) place: Place,
    /// Where its rows come from: one edge an origin, that of the sources first.
    pub(crate) edges: Vec<Edge>,
}

/// The workers at which an operator gets parcels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// The first alone, where the sources are.
    First,
    /// All of them.
    Everywhere,
}

/// All that a region gets from one origin.
#[derive(Debug)]
pub(crate) struct Edge {
    /// Who fills its parcels.
    pub(crate) origin: Origin,
    /// How rows cross it.
    pub(crate) route: Route,
    /// What is sent: the scan or the origin's feed, and the receiving region's input.
    pub(crate) carries: Vec<(usize, usize)>,
    /// Number of parcels an epoch that each receiver gets.
    pub(crate) senders: usize,
}

/// Who fills the parcels of an edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Origin {
    /// The caller, at the first worker.
    Source,
    /// A region, wherever it is.
    Region(usize),
}

/// How rows cross an edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route {
    /// They stay with their worker.
    Stay,
    /// To the worker that has their key: `hash % 256 % workers`.
    ByKey,
    /// To the first worker.
    First,
}

impl Layout {
    /// The layout of a plan. A plan in which a region would wait for rows for ever is refused.
    pub(crate) fn new(plan: &Plan, workers: usize) -> Result<Self, JobError> {
        let mut regions: Vec<Placed> = Vec::with_capacity(plan.regions.len());
        let mut mixed: Vec<bool> = Vec::with_capacity(plan.regions.len());
        for (number, region) in plan.regions.iter().enumerate() {
            let refuse = |reason: &str| Err(JobError::Plan { region: number, reason: reason.to_owned() });
            if region.inputs.is_empty() {
                return refuse("it has no inputs");
            }
            let known = |input: &Input| match *input {
                Input::Scan(scan) => scan < plan.scans.len(),
                Input::Feed { region, .. } => region < number,
                Input::Ticks(ticks) => ticks < region.ticks.len(),
            };
            if region.inputs.iter().all(|input| matches!(input, Input::Ticks(_))) {
                return refuse("nothing but ticks enters it");
            }
            if !region.inputs.iter().all(known) {
                return refuse("an input is neither a scan nor a feed of a region before it");
            }
            mixed.push(is_mixed(region, &mixed));
            let placed = place(region, mixed[number], &regions, workers);
            regions.push(placed);
        }
        let sink_senders = regions.last().map_or(0, |last| last.place.count(workers));
        Ok(Self { workers, regions, sink_senders })
    }

    /// Number of receivers of each parcel of an edge.
    pub(crate) fn receivers(&self, route: Route) -> usize {
        match route {
            Route::Stay | Route::First => 1,
            Route::ByKey => self.workers,
        }
    }

    /// The worker that holds a shard of a region's state.
    pub(crate) fn holder(&self, region: usize, shard: u8) -> usize {
        match self.regions[region].place {
            Place::First => 0,
            Place::Everywhere => usize::from(shard) % self.workers,
        }
    }
}

impl Place {
    /// Number of workers.
    fn count(self, workers: usize) -> usize {
        match self {
            Self::First => 1,
            Self::Everywhere => workers,
        }
    }
}

/// Whether rows of one place can have several keys in a region: streams that were given keys one by one meet
/// in it, or it is fed from a region where they did. Before all re-keying a point has one key, its event's.
fn is_mixed(region: &Region, mixed: &[bool]) -> bool {
    let several = region.inputs.len() > 1;
    region.inputs.iter().any(|input| match *input {
        Input::Scan(_) => false,
        // All keys' ticks of a boundary are of one place.
        Input::Ticks(_) => true,
        Input::Feed { region, .. } => several || mixed[region],
    })
}

/// The region after those already placed.
fn place(region: &Region, is_mixed: bool, before: &[Placed], workers: usize) -> Placed {
    let mut origins: BTreeMap<Origin, Vec<(usize, usize)>> = BTreeMap::new();
    for (input, from) in region.inputs.iter().enumerate() {
        let (origin, what) = match *from {
            Input::Scan(scan) => (Origin::Source, scan),
            Input::Feed { region, feed } => (Origin::Region(region), feed),
            // Made where the region is.
            Input::Ticks(_) => continue,
        };
        origins.entry(origin).or_default().push((what, input));
    }
    let origin_place = |origin: &Origin| match *origin {
        Origin::Source => Place::First,
        Origin::Region(region) => before[region].place,
    };
    // Points from several origins may be one point, and must meet to be seen as one.
    let moves = workers > 1 && (holds_state(region) || origins.len() > 1);
    let (route, place) = if !moves {
        (Route::Stay, origins.keys().next().map_or(Place::First, origin_place))
    } else if region.key_type.is_none() || (is_mixed && !region.feeds.is_empty()) {
        (Route::First, Place::First)
    } else {
        (Route::ByKey, Place::Everywhere)
    };
    let edges = origins
        .into_iter()
        .map(|(origin, carries)| {
            let senders = if route == Route::Stay { 1 } else { origin_place(&origin).count(workers) };
            Edge { origin, route, carries, senders }
        })
        .collect();
    Placed { place, edges }
}

/// Whether what a region computes depends on rows before.
fn holds_state(region: &Region) -> bool {
    region.waits
        || !region.ticks.is_empty()
        || region.feeds.iter().any(|feed| matches!(feed.moves, Moves::Until(_)))
        || region.steps.iter().any(|step| matches!(step.op, StepOp::Aggregate { .. }))
}

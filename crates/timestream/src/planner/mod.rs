//! A checked query to a plan: which regions there are, what each computes, what is read for them.
//!
//! Steps: [`lookup`] makes questions and replies of lookups. [`domain`]: at which points each expression has
//! its value, as a set of streams and filters. [`layout`]: which expressions share a region. [`doubles`]:
//! which may have an event more than once at one place and key. [`region`]: the steps of each region, from
//! the answer back to the sources, so that what is computed, handed on and read is what something later asked
//! for, and nothing else; [`masks`]: at which rows that is; [`feeds`]: how it is handed on. [`pairs`]: whose
//! events pair. Then [`pushdown`] finds the tests that all uses of a scan make, for its source to make them
//! first.

mod domain;
mod doubles;
mod feeds;
mod layout;
mod lookup;
mod masks;
mod pairs;
mod pushdown;
mod region;

use std::sync::Arc;

use arrow_schema::DataType;

use crate::catalog::StreamDef;
use crate::functions;
use crate::plan::{
    Feed, Input, Moves, Output, PathStep, Plan, Region, Results, Scan, ScanColumn, Step, StepOp, Ticks,
};
use crate::query::{NodeId, Op, Own, Query};
use crate::scalar::Scalar;
use crate::types;
use domain::Domains;
use layout::{InputOf, Layout, RegionOf};
use pairs::Pairs;
use region::Steps;

/// Plans a query whose points are shown as `results` says.
///
/// Each scan and each feed is the input of one region, and regions stand in an order in which each comes
/// after those that feed it. `query` must be as [`compile`](crate::compile) makes it.
#[must_use]
pub fn plan(query: Arc<Query>, results: Results) -> Plan {
    let expanded = lookup::expand(&query);
    let planner = Planner {
        query: &expanded,
        domains: Domains::of(&expanded),
        layout: Layout::of(&expanded),
        pairs: Pairs::of(&expanded),
    };
    let (scans, regions, columns, present) = planner.build();
    let output = Output { present, columns, results };
    Plan { query, scans, regions, output }
}

/// Regions wait to which points come that were moved until a condition was true, and all that those feed.
fn wait(regions: &mut [Region]) {
    for at in 0..regions.len() {
        let fed_late = |input: &Input| match *input {
            Input::Feed { region, feed } => {
                regions[region].waits || matches!(regions[region].feeds[feed].moves, Moves::Until(_))
            }
            Input::Scan(_) | Input::Ticks(_) => false,
        };
        regions[at].waits = regions[at].inputs.iter().any(fed_late);
    }
}

/// The way from an expression's value to a value inside it.
type Path = Vec<PathStep>;

struct Planner<'a> {
    query: &'a Query,
    domains: Domains,
    layout: Layout,
    pairs: Pairs,
}

/// What a later region asks of a region.
struct Request {
    /// What is fed.
    node: NodeId,
    /// The values inside its value, in the order of the feed's columns.
    columns: Vec<Path>,
}

type Built = (Vec<Scan>, Vec<Region>, Vec<(String, usize)>, Option<usize>);

impl Planner<'_> {
    fn build(&self) -> Built {
        let scan = |stream: &Arc<StreamDef>| Scan {
            stream: stream.clone(),
            keyed: false,
            pairs: None,
            columns: Vec::new(),
            tests: Vec::new(),
        };
        let mut scans: Vec<Scan> = self.layout.scans.iter().map(|of| scan(&of.stream)).collect();
        let mut requests: Vec<Vec<Request>> = Vec::new();
        for region in &self.layout.regions {
            requests
                .push(region.feeds.iter().map(|node| Request { node: *node, columns: Vec::new() }).collect());
        }
        let answer = self.layout.regions.len() - 1;
        let (mut columns, mut present) = (Vec::new(), None);
        let mut regions = Vec::new();
        for at in (0..self.layout.regions.len()).rev() {
            let asked = std::mem::take(&mut requests[at]);
            let mut steps = Steps::new(self, at);
            // What the windows of ticks hold is told before the ticks are.
            let ticks = self.layout.regions[at].ticks.iter().map(|ticks| steps.ticks(ticks)).collect();
            let feeds = asked.iter().map(|request| steps.feed(request)).collect();
            if at == answer {
                columns = steps.answer(self.query.root);
                present = steps.mask(self.domains.of_node(self.query.root));
            }
            let (steps, wanted) = steps.finish();
            for (input, paths) in self.layout.regions[at].inputs.iter().zip(wanted) {
                match input.from {
                    Input::Scan(scan) => {
                        let column =
                            |path: Path| ScanColumn { data_type: self.type_inside(input.node, &path), path };
                        scans[scan].columns = paths.into_iter().map(column).collect();
                    }
                    Input::Feed { region, feed } => requests[region][feed].columns = paths,
                    Input::Ticks(_) => {}
                }
            }
            regions.push(self.region(at, steps, feeds, ticks, at == answer));
        }
        regions.reverse();
        wait(&mut regions);
        for (scan, of) in scans.iter_mut().zip(&self.layout.scans) {
            scan.pairs = self.pairs.group(of.node);
            scan.keyed = regions[of.region].key_type.is_some() || scan.pairs.is_some();
            pushdown::tests(self, of.node, of.region, scan);
        }
        (scans, regions, columns, present)
    }

    fn region(
        &self,
        at: usize,
        steps: Vec<Step>,
        feeds: Vec<Feed>,
        ticks: Vec<Ticks>,
        answers: bool,
    ) -> Region {
        let layout = &self.layout.regions[at];
        let stateful =
            steps.iter().any(|step| matches!(step.op, StepOp::Aggregate { .. } | StepOp::Own(Own::Key)));
        let grouping = &layout.grouping;
        // Under another key a tick is still known by its own, and so is what may be there more than once.
        let RegionOf { has_doubles, makes_doubles, .. } = *layout;
        let doubles = has_doubles || makes_doubles;
        let named = !feeds.is_empty() && (doubles || self.layout.regions[at].holds_ticks);
        let keyed = answers || stateful || named || self.merges_by_key(&layout.inputs);
        Region {
            grouping: grouping.name.clone(),
            key_type: keyed.then(|| grouping.key_type.clone()),
            inputs: layout.inputs.iter().map(|input| input.from).collect(),
            steps,
            feeds,
            ticks,
            waits: false,
            doubles,
        }
    }

    /// Whether two inputs may hold the same point, or points that pair: then the key decides which rows are one.
    fn merges_by_key(&self, inputs: &[InputOf]) -> bool {
        let made = |input: &&InputOf| !matches!(input.from, Input::Ticks(_));
        let inputs: Vec<&InputOf> = inputs.iter().filter(made).collect();
        let [first, others @ ..] = inputs.as_slice() else { return false };
        let source = |input: &InputOf| match &self.query.nodes[input.node].op {
            Op::Stream(stream) => Some(stream.source),
            _ => None,
        };
        // Streams of one source never share a point.
        !others.is_empty()
            && (source(first).is_none() || others.iter().any(|other| source(other) != source(first)))
    }

    /// Type of a value inside an expression's value.
    fn type_inside(&self, node: NodeId, path: &[PathStep]) -> DataType {
        let mut data_type = &self.query.nodes[node].data_type;
        for step in path {
            let inner = match (step, data_type) {
                (PathStep::Field(name), DataType::Struct(fields)) => {
                    fields.find(name).map(|(_, field)| field.data_type())
                }
                (PathStep::Index(_), list) => types::item(list),
                (PathStep::Length, _) => Some(&DataType::Int64),
                (PathStep::Field(_), _) => None,
            };
            data_type = inner.unwrap_or(&DataType::Null);
        }
        data_type.clone()
    }

    /// The step into its first argument that a call is: `list[3]`, where the place is a constant and not
    /// negative, and the length of a text.
    fn step_of(&self, node: NodeId) -> Option<PathStep> {
        let Op::Call(function) = self.query.nodes[node].op else { return None };
        match *self.query.nodes[node].args.as_slice() {
            [list, index] if function == &functions::lists::INDEX => {
                // A map's key is no place.
                types::item(&self.query.nodes[list].data_type)?;
                let Op::Literal(Scalar::Int(index)) = self.query.nodes[index].op else { return None };
                usize::try_from(index).ok().map(PathStep::Index)
            }
            [text] if [&functions::texts::LEN, &functions::lists::LENGTH].contains(&function) => {
                (self.query.nodes[text].data_type == DataType::Utf8).then_some(PathStep::Length)
            }
            _ => None,
        }
    }

    /// Whether an expression's value is a struct at each of its points, never null.
    fn never_null(&self, node: NodeId) -> bool {
        let mut node = node;
        loop {
            let (Op::Filter | Op::WithKey) = self.query.nodes[node].op else {
                return matches!(self.query.nodes[node].op, Op::Stream(_) | Op::Record(_));
            };
            // Points that only the condition or the key has are null.
            let args = &self.query.nodes[node].args;
            if self.domains.of_nodes(args) != *self.domains.of_node(args[0]) {
                return false;
            }
            node = args[0];
        }
    }
}

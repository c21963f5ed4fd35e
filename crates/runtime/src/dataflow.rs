//! A plan as timely operators at one worker: an input for each edge from the sources, an operator for each
//! region, the sink.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

use arrow_array::RecordBatch;
use skytide_timestream::engine::{Emitted, EngineError, ResultOperator, answer_batch, cut, merge};
use skytide_timestream::plan::Plan;
use skytide_timestream::rows::Rows;
use timely::container::NoopBuilder;
use timely::dataflow::channels::pact::DistributorPact;
use timely::dataflow::operators::InputCapability;
use timely::dataflow::operators::core::Input as _;
use timely::dataflow::operators::core::input::Handle;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::dataflow::{Scope, Stream};
use timely::progress::operate::FrontierInterest;
use timely::worker::Worker;

use crate::assembly::Assembly;
use crate::edge::Splitter;
use crate::error::JobError;
use crate::layout::{Layout, Origin, Route};
use crate::parcel::{Parcel, Piece};
use crate::station::{self, lock};
use crate::workers::Pulse;

/// The number of an epoch, from 0: timely's time.
type EpochNumber = u64;
/// Where the caller puts the parcels of an edge.
pub(crate) type Inlet = Handle<EpochNumber, NoopBuilder<Parcel>>;

/// What a worker needs to build its part of a job.
pub(crate) struct Site {
    /// The worker, from 0.
    pub(crate) worker: usize,
    /// The plan.
    pub(crate) plan: Arc<Plan>,
    /// Its edges.
    pub(crate) layout: Arc<Layout>,
    /// The worker's operator for each region.
    pub(crate) stations: Vec<station::Shared>,
    /// Whether the job goes on.
    pub(crate) pulse: Arc<Pulse>,
}

/// The first worker's ends of the dataflow.
pub(crate) struct Ends {
    /// Each edge from the sources: the region it leads to, and where to put its parcels.
    pub(crate) inlets: Vec<(usize, Inlet)>,
    /// What comes out.
    pub(crate) outlet: Rc<RefCell<Outlet>>,
}

/// Answers that are complete, in order.
pub(crate) struct Outlet {
    /// Whether its rows come from one worker, in order.
    pub(crate) is_ordered: bool,
    /// Which points are shown, and how.
    pub(crate) results: ResultOperator,
    /// Batches not taken yet; none is empty.
    pub(crate) batches: VecDeque<RecordBatch>,
    /// Number of epochs answered.
    pub(crate) epochs: u64,
    /// Number of rows given out.
    pub(crate) rows: u64,
}

impl Outlet {
    /// Takes the answer's rows of an epoch: of each worker in order, in one batch if they are not too many for that.
    fn answer(&mut self, plan: &Plan, rows: Vec<Rows>) -> Result<(), EngineError> {
        self.epochs += 1;
        if rows.is_empty() {
            return Ok(());
        }
        let parts: Vec<Vec<Rows>> = if self.is_ordered {
            rows.into_iter().map(|rows| vec![rows]).collect()
        } else {
            cut(vec![rows]).into_iter().map(|part| part.into_iter().flatten().collect()).collect()
        };
        for rows in parts {
            let shown = self.results.process(merge(rows)?)?;
            self.show(plan, &shown)?;
        }
        Ok(())
    }

    /// Gives rows out as they are.
    pub(crate) fn show(&mut self, plan: &Plan, rows: &Rows) -> Result<(), EngineError> {
        if !rows.is_empty() {
            self.rows += rows.len() as u64;
            self.batches.push_back(answer_batch(plan, rows)?);
        }
        Ok(())
    }
}

impl Site {
    /// Builds the dataflow at a worker other than the first, where nothing enters and nothing leaves.
    pub(crate) fn build(self, worker: &mut Worker) {
        worker.dataflow::<EpochNumber, _, _>(|scope| self.graph(scope, None));
    }

    /// Builds the dataflow at the first worker.
    pub(crate) fn build_first(self, worker: &mut Worker, results: ResultOperator) -> Ends {
        let is_ordered = self.layout.sink_senders == 1;
        let outlet = Outlet { is_ordered, results, batches: VecDeque::new(), epochs: 0, rows: 0 };
        let outlet = Rc::new(RefCell::new(outlet));
        let inlets =
            worker.dataflow::<EpochNumber, _, _>(|scope| self.graph(scope, Some(Rc::clone(&outlet))));
        Ends { inlets, outlet }
    }

    /// The operators in the order of the plan, each after those that feed it.
    fn graph(
        self,
        scope: Scope<'_, EpochNumber>,
        outlet: Option<Rc<RefCell<Outlet>>>,
    ) -> Vec<(usize, Inlet)> {
        let mut inlets = Vec::new();
        // The streams that regions have put out for regions to come: the sender, the receiver, the parcels.
        let mut under_way: Vec<(usize, Receiver, Stream<'_, EpochNumber, Parcel>)> = Vec::new();
        let last = self.plan.regions.len().saturating_sub(1);
        for (region, placed) in self.layout.regions.iter().enumerate() {
            let mut builder = OperatorBuilder::new(format!("region {region}"), scope);
            let mut inputs = Vec::with_capacity(placed.edges.len());
            for edge in &placed.edges {
                let stream = match edge.origin {
                    Origin::Source => {
                        let (inlet, stream) = scope.new_input_with_builder();
                        inlets.push((region, inlet));
                        stream
                    }
                    Origin::Region(origin) => {
                        let receiver = Receiver::Region(region);
                        let Some(place) =
                            under_way.iter().position(|(from, to, _)| (*from, *to) == (origin, receiver))
                        else {
                            // The layout has refused plans whose regions take rows of later ones.
                            continue;
                        };
                        under_way.swap_remove(place).2
                    }
                };
                inputs.push(builder.new_input(stream, self.pact(edge.route)));
                builder.set_notify_for(inputs.len() - 1, FrontierInterest::Never);
            }
            let mut outputs = Vec::new();
            for Outward { receiver, route, carries } in self.outward(region, last) {
                let (output, stream) = builder.new_output();
                under_way.push((region, receiver, stream));
                let receivers = self.layout.receivers(route);
                outputs.push(Output { port: OutputBuilder::from(output), receivers, receiver, carries });
            }
            let mut operator = Operator {
                worker: self.worker,
                region,
                station: Arc::clone(&self.stations[region]),
                pulse: Arc::clone(&self.pulse),
                assembly: Assembly::new(
                    placed.edges.iter().map(|edge| edge.senders).sum(),
                    self.plan.regions[region].inputs.len(),
                ),
                outputs,
            };
            builder.build(move |capabilities| {
                // What it sends goes with the parcel that completed the epoch.
                drop(capabilities);
                move |_frontiers| {
                    for input in &mut inputs {
                        input.for_each(|capability, parcel| {
                            operator.take(&capability, std::mem::take(parcel));
                        });
                    }
                }
            });
        }
        if let Some((_, _, stream)) = under_way.pop() {
            self.sink(scope, stream, outlet);
        }
        inlets
    }

    /// The ways out of a region: to the regions it feeds, then to the sink, if it holds the answer.
    fn outward(&self, region: usize, last: usize) -> Vec<Outward> {
        let mut ways = Vec::new();
        for (receiver, placed) in self.layout.regions.iter().enumerate() {
            let fed = placed.edges.iter().filter(|edge| edge.origin == Origin::Region(region));
            ways.extend(fed.map(|edge| Outward {
                receiver: Receiver::Region(receiver),
                route: edge.route,
                carries: edge.carries.clone(),
            }));
        }
        if region == last {
            ways.push(Outward { receiver: Receiver::Sink, route: Route::First, carries: Vec::new() });
        }
        ways
    }

    /// The sink: at the first worker it puts the answers of all workers in order; at others nothing comes.
    fn sink(
        &self,
        scope: Scope<'_, EpochNumber>,
        stream: Stream<'_, EpochNumber, Parcel>,
        outlet: Option<Rc<RefCell<Outlet>>>,
    ) {
        let mut builder = OperatorBuilder::new("sink".to_owned(), scope);
        let mut input = builder.new_input(stream, self.pact(Route::First));
        builder.set_notify_for(0, FrontierInterest::Never);
        let mut assembly = Assembly::new(self.layout.sink_senders, 1);
        let (plan, pulse, worker) = (Arc::clone(&self.plan), Arc::clone(&self.pulse), self.worker);
        builder.build(move |_capabilities| {
            move |_frontiers| {
                input.for_each(|capability, parcel| {
                    let Some(outlet) = outlet.as_ref().filter(|_| !pulse.stopped()) else { return };
                    let epoch = capability.least().copied().unwrap_or(EpochNumber::MAX);
                    match assembly.add(epoch, std::mem::take(parcel)) {
                        Ok(None) => {}
                        Ok(Some((inputs, _))) => {
                            let rows = inputs.into_iter().flatten().collect();
                            if let Err(source) = outlet.borrow_mut().answer(&plan, rows) {
                                pulse.fail(JobError::Answer(source));
                            }
                        }
                        Err(disorder) => pulse.fail(JobError::Exchange { worker, reason: disorder.0 }),
                    }
                });
            }
        });
    }

    /// The way of an edge's parcels.
    fn pact(&self, route: Route) -> DistributorPact<impl FnOnce(usize) -> Splitter + use<>> {
        let worker = self.worker;
        DistributorPact(move |_peers| Splitter::new(route, worker))
    }
}

/// Who a region's operator sends to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Receiver {
    Region(usize),
    Sink,
}

/// A way out of a region.
struct Outward {
    receiver: Receiver,
    route: Route,
    /// Feeds, and the receiver's inputs that they are for.
    carries: Vec<(usize, usize)>,
}

/// A region's operator at one worker.
struct Operator {
    worker: usize,
    region: usize,
    station: station::Shared,
    pulse: Arc<Pulse>,
    assembly: Assembly,
    outputs: Vec<Output>,
}

/// An edge that an operator fills.
struct Output {
    port: OutputBuilder<EpochNumber, NoopBuilder<Parcel>>,
    /// Number of parcels that one of its parcels becomes.
    receivers: usize,
    receiver: Receiver,
    /// Feeds, and the receiver's inputs that they are for.
    carries: Vec<(usize, usize)>,
}

impl Operator {
    /// Takes a parcel, and runs the epoch that is complete with it.
    fn take(&mut self, capability: &InputCapability<EpochNumber>, parcel: Parcel) {
        if self.pulse.stopped() {
            return;
        }
        let epoch = capability.least().copied().unwrap_or(EpochNumber::MAX);
        let (inputs, clock) = match self.assembly.add(epoch, parcel) {
            Ok(None) => return,
            Ok(Some(complete)) => complete,
            Err(disorder) => {
                return self.pulse.fail(JobError::Exchange { worker: self.worker, reason: disorder.0 });
            }
        };
        let emitted = match lock(&self.station).process(inputs, &clock) {
            Ok(emitted) => emitted,
            Err(EngineError::Halted) => return self.pulse.fail(JobError::Stopped),
            Err(EngineError::User(error)) => return self.pulse.fail(JobError::Function(error)),
            Err(source) => {
                let (region, worker) = (self.region, self.worker);
                return self.pulse.fail(JobError::Engine { region, worker, source });
            }
        };
        for output in &mut self.outputs {
            let pieces = emitted.as_ref().map(|emitted| output.pieces(emitted)).unwrap_or_default();
            let mut parcel = Parcel::new(output.receivers, self.worker, clock, pieces);
            output.port.activate().session_with_builder(capability).give_container(&mut parcel);
        }
    }
}

impl Output {
    /// What of an epoch goes along this edge.
    fn pieces(&self, emitted: &Emitted) -> Vec<Piece> {
        let pieces = |input: usize, batches: &[Rows]| {
            let batches = batches.iter().filter(|rows| !rows.is_empty());
            batches.map(|rows| Piece { input, rows: rows.clone() }).collect::<Vec<_>>()
        };
        match self.receiver {
            Receiver::Sink => pieces(0, &emitted.answer),
            Receiver::Region(_) => {
                let carried =
                    self.carries.iter().filter_map(|(feed, input)| Some((*input, emitted.feeds.get(*feed)?)));
                carried.flat_map(|(input, batches)| pieces(input, batches)).collect()
            }
        }
    }
}

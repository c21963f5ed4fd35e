//! A plan being run: epochs go in, batches of the answer come out in order.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use arrow_array::RecordBatch;
use skytide_timestream::engine::{Clock, End, Halt, Mode, ResultOperator, SHARDS, pair};
use skytide_timestream::plan::{Plan, Results};
use skytide_timestream::rows::{Place, Rows};
use timely::CommunicationConfig;
use timely::worker::Worker;

use crate::checkpoint::{Checkpoint, CheckpointError, Owner, StatePiece, plan_hash};
use crate::dataflow::{Ends, Inlet, Outlet, Site};
use crate::deadline::Deadline;
use crate::error::JobError;
use crate::layout::{Layout, Origin};
use crate::parcel::{Parcel, Piece};
use crate::report::{RegionReport, Report, WorkerReport};
use crate::station::{self, Station, lock};
use crate::workers::{Crew, Pulse};

/// How a job runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Number of workers, 1 to 256: the caller's thread and `workers - 1` more, which share the keys of
    /// regions that hold state. A region that holds none stays where its rows are; the sources are at the
    /// first worker. Moving a row to another worker costs more than most queries do with it: several workers
    /// are for big state and heavy aggregations.
    pub workers: usize,
    /// Whether an end is waited for (a snapshot comes at the end), or not (a snapshot is a row for each change).
    pub mode: Mode,
    /// Number of unfinished epochs at which [`Job::push`] waits; at least 1.
    pub epochs_in_flight: usize,
}

impl Default for Options {
    /// One worker, once, 16 epochs in flight.
    fn default() -> Self {
        Self { workers: 1, mode: Mode::Once, epochs_in_flight: 16 }
    }
}

/// The points between two moments, of all sources. They stand after those of all epochs before, in the order of
/// SEMANTICS 1.2; sources make it so.
#[derive(Debug, Clone)]
pub struct Epoch {
    /// The points of each of the plan's scans, in order; none: no points.
    pub scans: Vec<Option<Rows>>,
    /// All points before this time are here (SEMANTICS 7.3), in UTC nanoseconds: the time of the newest
    /// event, also one that no scan wanted, less the lateness. It tells the newest event's time where points
    /// were dropped before they got here. `i64::MIN`: nothing is known; `i64::MAX`: nothing follows.
    pub watermark: i64,
}

/// A plan being run.
///
/// It belongs to the thread that started it, which is its first worker: work is done in the calls. Dropping
/// it ends its threads, each after the epoch it is at, or where there is a [deadline](Self::heed) as soon as it
/// looks.
pub struct Job {
    // Dropped in this order: the other workers stop before the first one's ends of their channels go.
    _crew: Crew,
    inlets: Vec<Entrance>,
    worker: Worker,
    outlet: Rc<RefCell<Outlet>>,
    /// By worker, then by region.
    stations: Vec<Vec<station::Shared>>,
    pulse: Arc<Pulse>,
    layout: Arc<Layout>,
    plan: Arc<Plan>,
    options: Options,
    /// Number of epochs pushed.
    pushed: u64,
    /// Time of the newest event.
    newest: Option<i64>,
    /// The same at each epoch that is not answered yet, by its number, and at the last one that is.
    reached: VecDeque<(u64, Option<i64>)>,
    /// The place of the last point of the epochs pushed.
    last: Option<Place>,
    deadline: Option<Arc<Deadline>>,
}

/// Where the points of scans enter a region.
struct Entrance {
    inlet: Inlet,
    /// Scans, and the region's inputs that they are for.
    carries: Vec<(usize, usize)>,
    /// Number of parcels that one of its parcels becomes.
    receivers: usize,
}

impl Job {
    /// Starts a job, from the beginning or from where a checkpoint left it; the number of workers may be another one.
    ///
    /// # Errors
    /// The number of workers is out of bounds, a thread is not to be had, or the checkpoint is not one of
    /// this plan in this mode.
    pub fn start(plan: Arc<Plan>, options: Options, from: Option<&Checkpoint>) -> Result<Self, JobError> {
        let channels = match options.workers {
            1 => CommunicationConfig::Thread,
            workers => CommunicationConfig::Process(workers),
        };
        Self::start_on(channels, plan, options, from)
    }

    /// Starts a job whose workers are connected in this way.
    fn start_on(
        channels: CommunicationConfig,
        plan: Arc<Plan>,
        options: Options,
        from: Option<&Checkpoint>,
    ) -> Result<Self, JobError> {
        if !(1..=SHARDS).contains(&options.workers) {
            return Err(JobError::Workers(options.workers));
        }
        let layout = Arc::new(Layout::new(&plan, options.workers)?);
        let station = |worker: usize, region: usize| {
            Station::new(&plan, region).map_err(|source| JobError::Engine { region, worker, source })
        };
        let stations_of =
            |worker: usize| (0..plan.regions.len()).map(|region| station(worker, region)).collect();
        let stations = (0..options.workers).map(stations_of).collect::<Result<Vec<Vec<_>>, JobError>>()?;
        let mut results = ResultOperator::new(&plan, options.mode).map_err(JobError::Answer)?;
        match from {
            Some(checkpoint) => restore(checkpoint, &plan, options.mode, &layout, &stations, &mut results)?,
            None => stations[0].iter().for_each(|station| lock(station).count_constants()),
        }

        let pulse = Pulse::new();
        let site = |worker: usize| Site {
            worker,
            plan: Arc::clone(&plan),
            layout: Arc::clone(&layout),
            stations: stations[worker].clone(),
            pulse: Arc::clone(&pulse),
        };
        let (channels, _none_between_processes) = channels.try_build().map_err(JobError::Setup)?;
        let (mut worker, crew) = Crew::start(&pulse, channels, (1..options.workers).map(site).collect())?;
        let ends = pulse.guard(0, || site(0).build_first(&mut worker, results));
        let Ends { inlets, outlet } = ends.ok_or_else(|| pulse.failure())?;
        let inlets =
            inlets.into_iter().map(|(region, inlet)| Entrance::new(&layout, region, inlet)).collect();
        tracing::debug!(workers = options.workers, regions = plan.regions.len(), "a job starts");
        let newest = from.and_then(Checkpoint::newest);
        Ok(Self {
            _crew: crew,
            inlets,
            worker,
            outlet,
            stations,
            pulse,
            layout,
            plan,
            options,
            pushed: 0,
            newest,
            reached: VecDeque::from([(0, newest)]),
            last: None,
            deadline: None,
        })
    }

    /// Has the work cut short: past the deadline epochs are left, by each worker as soon as it looks, which
    /// it does between any two things that take long. The calls then fail with [`JobError::Stopped`], and
    /// [`Self::finish`] gives what was complete. Each call that waits for epochs has the whole time that the
    /// deadline gives.
    pub fn heed(&mut self, deadline: Deadline) {
        let deadline = Arc::new(deadline);
        for station in self.stations.iter().flatten() {
            lock(station).operator.heed(Halt::by(Arc::<Deadline>::clone(&deadline)));
        }
        self.deadline = Some(deadline);
    }

    /// Other work begins.
    fn begin(&self) {
        if let Some(deadline) = &self.deadline {
            deadline.begin();
        }
    }

    /// Takes an epoch. Waits while more than [`Options::epochs_in_flight`] are unfinished; what they give is
    /// kept until [`Self::ready`] or [`Self::settle`] takes it.
    ///
    /// # Errors
    /// The epoch does not fit the plan or stands before an earlier one: nothing of it is taken. Or the job
    /// has failed.
    pub fn push(&mut self, epoch: Epoch) -> Result<(), JobError> {
        self.pulse.check()?;
        self.check(&epoch)?;
        let Epoch { mut scans, watermark } = epoch;
        let filled = scans.iter().flatten().filter(|rows| !rows.is_empty());
        let last = filled.map(|rows| rows.places.at(rows.len() - 1));
        self.last = last.chain(self.last).max();
        let told = Some(watermark).filter(|watermark| !matches!(*watermark, i64::MIN | i64::MAX));
        self.newest = told.max(self.last.map(|last| last.time)).max(self.newest);
        pair(&self.plan, &mut scans).map_err(JobError::Pairs)?;
        self.begin();
        self.enter(&scans, Clock { watermark: self.watermark(), end: None });
        let limit = self.options.epochs_in_flight.max(1) as u64;
        while self.unfinished() > limit {
            self.step(true)?;
        }
        Ok(())
    }

    /// Up to which time all points are here: a point tells that all before it are, as a source's word does.
    fn watermark(&self) -> i64 {
        self.newest.unwrap_or(i64::MIN)
    }

    /// Puts an epoch in.
    fn enter(&mut self, scans: &[Option<Rows>], clock: Clock) {
        self.pushed += 1;
        self.reached.push_back((self.pushed, self.newest));
        self.drop_reached();
        let (inlets, next) = (&mut self.inlets, self.pushed);
        // Rows are split among the workers here.
        self.pulse.guard(0, || inlets.iter_mut().for_each(|entrance| entrance.enter(scans, clock, next)));
    }

    /// Forgets what had been reached before the last epoch that is answered.
    fn drop_reached(&mut self) {
        let answered = self.outlet.borrow().epochs;
        while self.reached.get(1).is_some_and(|(number, _)| *number <= answered) {
            self.reached.pop_front();
        }
    }

    /// The answers that are complete, in order, none of them empty. Takes a step of the work, and does not
    /// wait for other workers; a single worker answers all that was pushed.
    ///
    /// # Errors
    /// The job has failed.
    pub fn ready(&mut self) -> Result<Vec<RecordBatch>, JobError> {
        if self.options.workers == 1 {
            return self.settle();
        }
        self.step(false)?;
        Ok(self.take())
    }

    /// Waits until all that was pushed is answered, and gives the answers, in order, none of them empty.
    ///
    /// # Errors
    /// The job has failed.
    pub fn settle(&mut self) -> Result<Vec<RecordBatch>, JobError> {
        self.pulse.check()?;
        self.begin();
        while self.unfinished() > 0 {
            self.step(true)?;
        }
        Ok(self.take())
    }

    /// Waits until all that was pushed is answered, and gives the state there. The answers so far are not in
    /// it: they stay until [`Self::ready`] or [`Self::settle`] takes them.
    ///
    /// # Errors
    /// The job has failed.
    pub fn checkpoint(&mut self) -> Result<Checkpoint, JobError> {
        self.pulse.check()?;
        while self.unfinished() > 0 {
            self.step(true)?;
        }
        let mut pieces = Vec::new();
        for (worker, stations) in self.stations.iter().enumerate() {
            for ((region, station), number) in stations.iter().enumerate().zip(0u32..) {
                let state = lock(station).operator.snapshot();
                let state = state.map_err(|source| JobError::Engine { region, worker, source })?;
                let owner = Owner::Region(number);
                pieces.extend(state.into_iter().map(|(shard, bytes)| StatePiece { owner, shard, bytes }));
            }
        }
        let state = self.outlet.borrow().results.snapshot().map_err(JobError::Answer)?;
        pieces.extend(state.into_iter().map(|(shard, bytes)| StatePiece {
            owner: Owner::Results,
            shard,
            bytes,
        }));
        Ok(Checkpoint { plan: plan_hash(&self.plan), mode: self.options.mode, newest: self.newest, pieces })
    }

    /// Waits until all that was pushed is answered, and gives the rest of the answer, with what was held for
    /// the end, and what the job has done. Where an end was waited for, ticks and moved points that are due
    /// by then come too (SEMANTICS 7.1).
    ///
    /// A job that was [cut short](Self::heed) gives the answers of the epochs before, whole and in order; of
    /// a snapshot what it was after those, without what would have come at the end, and nothing where it is
    /// meant for a later time.
    ///
    /// # Errors
    /// The job has failed.
    pub fn finish(mut self) -> Result<(Vec<RecordBatch>, Report), JobError> {
        let mut batches = Vec::new();
        let reached = match self.run_out(&mut batches) {
            Ok(()) => self.newest,
            Err(JobError::Stopped) => {
                batches.extend(self.take());
                self.drop_reached();
                let reached = self.reached.front().and_then(|(_, reached)| *reached);
                match self.plan.output.results {
                    Results::Snapshot { at: Some(at), .. } => reached.filter(|reached| at <= *reached),
                    _ => reached,
                }
            }
            Err(error) => return Err(error),
        };
        if let Some(reached) = reached {
            let outlet = &mut *self.outlet.borrow_mut();
            for rows in outlet.results.finish(reached).map_err(JobError::Answer)? {
                outlet.show(&self.plan, &rows).map_err(JobError::Answer)?;
            }
            batches.extend(outlet.batches.drain(..));
        }
        Ok((batches, self.report()))
    }

    /// Answers all that was pushed, and what comes at the end.
    fn run_out(&mut self, batches: &mut Vec<RecordBatch>) -> Result<(), JobError> {
        batches.extend(self.settle()?);
        if let (Mode::Once, Some(newest)) = (self.options.mode, self.newest) {
            let end = match self.plan.output.results {
                Results::History { until, .. } => {
                    End { ticks: until.unwrap_or(newest), moved: until.unwrap_or(i64::MAX) }
                }
                // As of the newest event, unless it is told: what moves beyond that is of a later time.
                Results::Snapshot { at, .. } => {
                    let at = at.unwrap_or(newest);
                    End { ticks: at, moved: at }
                }
            };
            let none = vec![None; self.plan.scans.len()];
            self.enter(&none, Clock { watermark: self.watermark(), end: Some(end) });
            batches.extend(self.settle()?);
            // It is none of the caller's.
            self.outlet.borrow_mut().epochs -= 1;
        }
        Ok(())
    }

    /// What the job has done so far. While epochs are unfinished, each worker tells the last one it has done.
    #[must_use]
    pub fn report(&self) -> Report {
        let mut regions: Vec<RegionReport> =
            (0..self.plan.regions.len()).map(|region| RegionReport::new(&self.plan, region)).collect();
        let mut workers = vec![WorkerReport::default(); self.stations.len()];
        for (stations, worker) in self.stations.iter().zip(&mut workers) {
            for (station, region) in stations.iter().zip(&mut regions) {
                lock(station).report(region, worker);
            }
        }
        let outlet = self.outlet.borrow();
        Report {
            epochs: outlet.epochs,
            rows_out: outlet.rows,
            newest: self.newest,
            regions,
            workers,
            results: outlet.results.holds(),
            is_cut: self.pulse.is_halted(),
        }
    }

    /// Number of epochs pushed and not answered.
    fn unfinished(&self) -> u64 {
        self.pushed - self.outlet.borrow().epochs
    }

    /// The answers that are complete.
    fn take(&mut self) -> Vec<RecordBatch> {
        self.outlet.borrow_mut().batches.drain(..).collect()
    }

    /// A step of the first worker; before it, waits for something to do if asked to.
    fn step(&mut self, wait: bool) -> Result<(), JobError> {
        self.pulse.check()?;
        let patience = if wait { None } else { Some(Duration::ZERO) };
        let worker = &mut self.worker;
        self.pulse.guard(0, || worker.step_or_park(patience));
        self.pulse.check()
    }

    /// Whether an epoch fits the plan and stands after those before.
    fn check(&self, epoch: &Epoch) -> Result<(), JobError> {
        let scans = &self.plan.scans;
        if epoch.scans.len() != scans.len() {
            return Err(JobError::Scans { expected: scans.len(), found: epoch.scans.len() });
        }
        for (scan, (rows, wanted)) in epoch.scans.iter().zip(scans).enumerate() {
            let Some(rows) = rows else { continue };
            let len = rows.len();
            let misfit = if rows.columns.len() != wanted.columns.len() {
                Some(format!("{} columns, not {}", rows.columns.len(), wanted.columns.len()))
            } else if wanted.keyed && rows.key.is_none() {
                Some("no keys".to_owned())
            } else if rows.columns.iter().any(|column| column.len() != len)
                || rows.key.as_ref().is_some_and(|key| key.values.len() != len || key.hashes.len() != len)
            {
                Some(format!("columns of other lengths than {len}"))
            } else {
                None
            };
            if let Some(reason) = misfit {
                return Err(JobError::Shape { scan, reason });
            }
            if let Some(last) = self.last.filter(|last| len > 0 && rows.places.at(0) < *last) {
                return Err(JobError::Order { scan, found: rows.places.time[0], newest: last.time });
            }
        }
        Ok(())
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        if let Some(deadline) = &self.deadline {
            deadline.leave();
        }
    }
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job")
            .field("options", &self.options)
            .field("layout", &self.layout)
            .field("pushed", &self.pushed)
            .field("newest", &self.newest)
            .finish_non_exhaustive()
    }
}

impl Entrance {
    /// The way into a region.
    fn new(layout: &Layout, region: usize, inlet: Inlet) -> Self {
        let edge = layout.regions[region].edges.iter().find(|edge| edge.origin == Origin::Source);
        let (carries, receivers) =
            edge.map_or((Vec::new(), 1), |edge| (edge.carries.clone(), layout.receivers(edge.route)));
        Self { inlet, carries, receivers }
    }

    /// Puts in the points of an epoch, and tells that the next one has this number.
    fn enter(&mut self, scans: &[Option<Rows>], clock: Clock, next: u64) {
        let piece = |&(scan, input): &(usize, usize)| {
            let rows = scans.get(scan)?.as_ref().filter(|rows| !rows.is_empty())?;
            Some(Piece { input, rows: rows.clone() })
        };
        let pieces = self.carries.iter().filter_map(piece).collect();
        self.inlet.send_batch(&mut Parcel::new(self.receivers, 0, clock, pieces));
        self.inlet.advance_to(next);
    }
}

/// Hands the state of a checkpoint to the workers that hold its shards now.
fn restore(
    checkpoint: &Checkpoint,
    plan: &Plan,
    mode: Mode,
    layout: &Layout,
    stations: &[Vec<station::Shared>],
    results: &mut ResultOperator,
) -> Result<(), JobError> {
    checkpoint.fits(plan, mode)?;
    for StatePiece { owner, shard, bytes } in &checkpoint.pieces {
        match *owner {
            Owner::Region(number) => {
                let region = usize::try_from(number).ok().filter(|region| *region < plan.regions.len());
                let region = region.ok_or(CheckpointError::NoSuchRegion(number))?;
                let holder = &stations[layout.holder(region, *shard)][region];
                let restored = lock(holder).operator.restore(*shard, bytes);
                restored
                    .map_err(|source| JobError::Snapshot { operator: format!("region {region}"), source })?;
            }
            Owner::Results => {
                let restored = results.restore(*shard, bytes);
                restored
                    .map_err(|source| JobError::Snapshot { operator: "the results".to_owned(), source })?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use skytide_timestream::plan::Results;

    use super::*;
    use crate::testing::{chain, count_by_text, epochs, events, every, finish, meeting, options, run};

    /// Between processes parcels go as bytes; timely can do so within one.
    #[test]
    fn answers_the_same_where_parcels_go_as_bytes() {
        let events = events(300);
        for plan in [count_by_text(Results::history()), chain(), meeting(Results::snapshot())] {
            let cut = || epochs(&plan, &events, &every(40, &events));
            let (expected, _) = run(&plan, options(1), cut());
            for workers in 2..=3 {
                let channels = CommunicationConfig::ProcessBinary(workers);
                let job = Job::start_on(channels, Arc::clone(&plan), options(workers), None).unwrap();
                let (answer, report) = finish(job, cut());
                assert_eq!(answer, expected);
                assert!(report.workers.iter().all(|worker| worker.batches > 0));
            }
        }
    }
}

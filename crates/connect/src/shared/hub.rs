//! The one connection: a thread that reads frames, decodes them for all queries, and lays each query's points ready.
//!
//! It reads as fast as the fastest query takes them: it waits while each has half of what may be laid ready
//! for it. A query that has all of that while another wants more is left behind: what is laid ready stays,
//! nothing is added, and the query goes on from there by itself.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use skytide_atproto::columns::{Clock, Position};
use skytide_firehose::JetstreamPlace;
use skytide_runtime::Epoch;

use crate::firehose::{Filled, Intake, Mark, Wanting, newest};
use crate::frames::{Frames, UNREACHED};
use crate::network::{Connection, Wish};
use crate::run::WAIT;
use crate::shared::groups::{Groups, Taken};
use crate::shared::together::{Part, Scans};
use crate::source::{SourceError, Status};

/// What a batch costs beside its rows, in bytes: a place in a queue, the vectors of its columns.
const BATCH: usize = 512;

/// Points laid ready for a query.
struct Batch {
    epoch: Epoch,
    mark: Mark,
    /// Where a Jetstream stands after them, where the query has asked for it.
    place: Option<Arc<JetstreamPlace>>,
    bytes: usize,
}

/// What a query finds.
pub(super) enum Found {
    /// Points, and where they end; of a Jetstream its place there, if it was [asked for](Hub::ask_place).
    Epoch(Epoch, Box<Mark>, Option<Arc<JetstreamPlace>>),
    /// Nothing for now.
    Idle,
    /// Everything there was.
    End,
    /// What the connection failed with.
    Failed(Arc<SourceError>),
    /// It was too slow: it has had everything up to the last mark, of a Jetstream up to this place, and goes
    /// on by itself.
    Behind(Option<Arc<JetstreamPlace>>),
}

/// What a query joins for.
pub(super) struct Asked<'a> {
    pub(super) connection: &'a Connection,
    pub(super) clock: Clock,
    pub(super) wish: &'a Wish,
}

/// What is opened or read.
struct Of {
    connection: Connection,
    clock: Clock,
    /// What all queries together want of the server: of a Jetstream it is what that sends.
    wish: Wish,
}

/// A connection, and the queries that read it.
pub(super) struct Hub {
    state: Mutex<State>,
    /// The thread waits for room, or for other queries.
    room: Condvar,
    /// Queries wait for points.
    filled: Condvar,
    /// Bytes that may be laid ready for a query.
    bound: usize,
}

#[derive(Default)]
struct State {
    queries: BTreeMap<u64, Line>,
    next: u64,
    /// Opened and not yet read.
    ready: Option<Frames>,
    of: Option<Of>,
    is_reading: bool,
    /// A Jetstream is to be asked for more than it was.
    is_wider: bool,
    /// Queries have come or gone.
    has_changed: bool,
    status: Status,
}

/// A query's own.
struct Line {
    wanting: Arc<Wanting>,
    /// The collections that it asks a Jetstream for; none of another connection.
    collections: Vec<String>,
    batches: VecDeque<Batch>,
    bytes: usize,
    stage: Stage,
    /// What had been done when it came, and when nothing more was read for it.
    since: Status,
    until: Option<Status>,
    /// What was decoded for it and not handed on since it came, or not as it came.
    dropped: BTreeMap<&'static str, u64>,
    /// The next batch is to tell the place of a Jetstream.
    wants_place: bool,
    /// That after the last batch, where no more may lie ready.
    place: Option<Arc<JetstreamPlace>>,
}

enum Stage {
    /// It has points from the next frame on.
    Joining,
    Reading,
    /// It was too slow.
    Behind,
    Ended,
    Failed(Arc<SourceError>),
}

impl Hub {
    pub(super) fn new(bound: usize) -> Self {
        Self { state: Mutex::default(), room: Condvar::new(), filled: Condvar::new(), bound }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a query from the next frame on; none where that would be too late for it, or where others read
    /// something else. `open` opens the connection where nobody has.
    pub(super) fn join(
        &self,
        wanting: Arc<Wanting>,
        asked: &Asked<'_>,
        open: impl Fn(&Wish) -> Result<Frames, SourceError>,
    ) -> Result<Option<u64>, SourceError> {
        let Asked { connection, clock, wish } = *asked;
        let mut guard = self.lock();
        let state = &mut *guard;
        if let Some(of) = state.of.as_mut().filter(|_| state.is_reading || state.ready.is_some()) {
            let is_same = of.connection == *connection && of.clock == clock;
            if !is_same || (state.is_reading && !connection.begins_now()) {
                return Ok(None);
            }
            if connection.is_jetstream(wish)
                && let Some(both) = of.wish.widened(wish)
            {
                if state.is_reading {
                    state.is_wider = true;
                } else {
                    state.ready = Some(open(&both)?);
                }
                of.wish = both;
            }
        } else {
            state.ready = Some(open(wish)?);
            state.of = Some(Of { connection: connection.clone(), clock, wish: wish.clone() });
            (state.status, state.is_wider) = (Status::default(), false);
        }
        let id = state.next;
        state.next += 1;
        state.has_changed = true;
        let is_jetstream = connection.is_jetstream(wish);
        let line = Line {
            wanting,
            collections: if is_jetstream { wish.collections.clone() } else { Vec::new() },
            batches: VecDeque::new(),
            bytes: 0,
            stage: Stage::Joining,
            since: Status::default(),
            until: None,
            dropped: BTreeMap::new(),
            wants_place: false,
            place: None,
        };
        state.queries.insert(id, line);
        self.room.notify_one();
        Ok(Some(id))
    }

    /// Takes a query away; the connection is closed with the last one.
    pub(super) fn leave(&self, id: u64) {
        let mut state = self.lock();
        state.queries.remove(&id);
        state.has_changed = true;
        if !state.is_reading && !state.is_needed() {
            state.ready = None;
        }
        self.room.notify_one();
    }

    /// What is laid ready for a query; waits for it no longer than `wait`. The first one to ask has the
    /// reading begin.
    pub(super) fn next(self: &Arc<Self>, id: u64, wait: Duration) -> Found {
        let until = Instant::now() + wait;
        let mut state = self.lock();
        if let Some(frames) = state.ready.take() {
            let (clock, is_jetstream) = state
                .of
                .as_ref()
                .map_or_else(Default::default, |of| (of.clock, of.connection.is_jetstream(&of.wish)));
            match self.start(frames, clock, is_jetstream) {
                Ok(()) => state.is_reading = true,
                Err(error) => state.end(&Stage::Failed(Arc::new(error))),
            }
        }
        loop {
            let Some(line) = state.queries.get_mut(&id) else { return Found::End };
            if let Some(batch) = line.batches.pop_front() {
                let was_full = line.bytes >= self.bound / 2;
                line.bytes -= batch.bytes;
                if was_full && line.bytes < self.bound / 2 {
                    self.room.notify_one();
                }
                return Found::Epoch(batch.epoch, Box::new(batch.mark), batch.place);
            }
            match &line.stage {
                Stage::Joining | Stage::Reading => {}
                Stage::Behind => return Found::Behind(line.place.take()),
                Stage::Ended => return Found::End,
                Stage::Failed(error) => return Found::Failed(Arc::clone(error)),
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Found::Idle;
            }
            state = self.filled.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Has one of the next batches of a query tell where a Jetstream stands after it: one that lies ready, if
    /// it does, as each tells all events of half a minute.
    pub(super) fn ask_place(&self, id: u64) {
        if let Some(line) = self.lock().queries.get_mut(&id) {
            line.wants_place = line.batches.iter().all(|batch| batch.place.is_none());
        }
    }

    /// What the connection has done since a query came; its points, frames and bytes are its own to count.
    pub(super) fn status(&self, id: u64) -> Status {
        let state = self.lock();
        let Some(line) = state.queries.get(&id) else { return Status::default() };
        let done = match (&line.stage, &line.until) {
            (Stage::Joining, _) => return Status::default(),
            (_, Some(done)) => done,
            (_, None) => &state.status,
        };
        let (dropped, unreached) = (line.dropped.clone(), done.unreached.clone());
        let mut status = Status { progress: done.progress, dropped, unreached, ..Status::default() };
        for (reason, count) in &done.dropped {
            let before = line.since.dropped.get(reason).copied().unwrap_or_default();
            if *count > before {
                *status.dropped.entry(reason).or_default() += count - before;
            }
        }
        status.read = line.since.read;
        status.bytes = line.since.bytes;
        status
    }

    fn start(self: &Arc<Self>, frames: Frames, clock: Clock, is_jetstream: bool) -> Result<(), SourceError> {
        let (intake, groups) = (Intake::new(frames), Groups::new(clock));
        let hub = Arc::clone(self);
        let reading = Reading { intake, groups, clock, is_jetstream, earlier: Status::default() };
        std::thread::Builder::new()
            .name("shared source".to_owned())
            .spawn(move || {
                let _end = Ends(&hub);
                hub.read(reading);
            })
            .map(drop)
            .map_err(|error| SourceError::Unfit(format!("no thread to read the source on: {error}")))
    }

    /// Reads until the frames end or nobody wants any.
    fn read(&self, mut reading: Reading) {
        let end = loop {
            match self.wait_for_room(&mut reading) {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => break Stage::Failed(Arc::new(error)),
            }
            // A Jetstream tells its place, by which a query leaves, once all that was read is decoded.
            if reading.is_jetstream && !reading.intake.is_decoded() {
                reading.intake.decode_waiting(&mut reading.groups);
                self.deliver(&mut reading);
                continue;
            }
            match reading.intake.fill(&mut reading.groups, WAIT) {
                Ok(Filled::Points) => self.deliver(&mut reading),
                Ok(Filled::Idle) => {
                    let status = reading.status();
                    let mut state = self.lock();
                    state.status = status;
                    // Whoever asks where it stands is told, also where nothing comes.
                    let is_asked = state.queries.values().any(|line| line.is_reading() && line.wants_place);
                    drop(state);
                    if is_asked {
                        self.deliver(&mut reading);
                    }
                }
                Ok(Filled::End) => break Stage::Ended,
                Err(error) => break Stage::Failed(Arc::new(error)),
            }
        };
        // Who joins from here on is none of this thread's.
        let mut state = self.lock();
        state.status = reading.status();
        state.end(&end);
        drop(state);
        self.filled.notify_all();
    }

    /// Waits until a query has room; tells whether there is any that reads.
    fn wait_for_room(&self, reading: &mut Reading) -> Result<bool, SourceError> {
        let mut state = self.lock();
        loop {
            if !state.is_needed() {
                state.is_reading = false;
                return Ok(false);
            }
            if std::mem::take(&mut state.has_changed) {
                let status = reading.status();
                reading.groups.set(state.take_in(&status))?;
                state.status = status;
            }
            // What found no room is known to the connection before already.
            if state.is_wider && reading.intake.is_decoded() {
                state.is_wider = false;
                let Some(Of { connection, wish, .. }) = &state.of else { return Ok(false) };
                reading.ask_again(connection, wish)?;
            }
            let mut lines = state.queries.values().filter(|line| line.is_reading());
            let has_room = lines.any(|line| line.bytes < self.bound / 2);
            // Where frames have no numbers, nobody can go on by itself.
            let may_leave = reading.intake.has_numbers();
            let mut lines = state.queries.values().filter(|line| line.is_reading());
            if has_room && (may_leave || lines.all(|line| line.bytes < self.bound)) {
                return Ok(true);
            }
            state = self.room.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Lays what was decoded ready for each query.
    fn deliver(&self, reading: &mut Reading) {
        let (clock, status) = (reading.clock, reading.status());
        let of_each = reading.groups.take().into_iter().map(|Taken { id, scans, position, dropped }| {
            let watermark = newest(position, clock).unwrap_or(i64::MIN);
            (id, dropped, Batch::new(scans, watermark, reading.intake.mark(position)))
        });
        let of_each: Vec<(u64, _, Batch)> = of_each.collect();
        let mut place = None;
        let mut state = self.lock();
        let before = std::mem::replace(&mut state.status, status);
        for (id, dropped, mut batch) in of_each {
            // It may have left meanwhile.
            let Some(line) = state.queries.get_mut(&id).filter(|line| line.is_reading()) else { continue };
            // Nobody leaves a Jetstream without its place: what was read with the batch before lies ready,
            // too, until that is told.
            if line.bytes >= self.bound && (!reading.is_jetstream || line.place.is_some()) {
                line.stage = Stage::Behind;
                line.until = Some(before.clone());
                state.has_changed = true;
                continue;
            }
            if line.wants_place || line.bytes + batch.bytes >= self.bound {
                batch.place = place.get_or_insert_with(|| reading.place()).clone();
                batch.bytes += batch.place.as_ref().map_or(0, |place| place.memory());
                line.wants_place &= batch.place.is_none();
            }
            line.dropped = dropped;
            line.bytes += batch.bytes;
            line.place = batch.place.clone().filter(|_| line.bytes >= self.bound);
            line.batches.push_back(batch);
        }
        drop(state);
        self.filled.notify_all();
    }
}

/// Says when it is dropped that nothing more comes: no query must wait for a thread that has panicked.
struct Ends<'a>(&'a Hub);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let mut state = self.0.lock();
            let error = SourceError::Unfit("the thread that reads the source has failed".to_owned());
            state.end(&Stage::Failed(Arc::new(error)));
            drop(state);
            self.0.filled.notify_all();
        }
    }
}

impl State {
    /// Whether a query wants frames.
    fn is_needed(&self) -> bool {
        self.queries.values().any(|line| matches!(line.stage, Stage::Joining | Stage::Reading))
    }

    /// The queries that are read for, those that have come among them.
    fn take_in(&mut self, status: &Status) -> Vec<(Vec<String>, Part)> {
        let mut parts = Vec::new();
        for (id, line) in &mut self.queries {
            if matches!(line.stage, Stage::Joining) {
                line.stage = Stage::Reading;
                line.since = status.clone();
                // That is no count of what was before.
                line.since.dropped.remove(UNREACHED);
            }
            if line.is_reading() {
                parts.push((line.collections.clone(), (*id, Arc::clone(&line.wanting))));
            }
        }
        parts
    }

    /// Nothing more is read.
    fn end(&mut self, stage: &Stage) {
        self.is_reading = false;
        for line in self.queries.values_mut() {
            line.stage = match (&line.stage, stage) {
                (Stage::Joining | Stage::Reading, Stage::Failed(error)) => Stage::Failed(Arc::clone(error)),
                (Stage::Joining | Stage::Reading, _) => Stage::Ended,
                _ => continue,
            };
            line.until = Some(self.status.clone());
        }
    }
}

impl Line {
    fn is_reading(&self) -> bool {
        matches!(self.stage, Stage::Reading)
    }
}

impl Batch {
    fn new(scans: Scans, watermark: i64, mark: Mark) -> Self {
        let bytes = BATCH + scans.iter().flatten().map(skytide_timestream::rows::Rows::memory).sum::<usize>();
        Self { epoch: Epoch { scans, watermark }, mark, place: None, bytes }
    }
}

/// What the thread has.
struct Reading {
    intake: Intake,
    groups: Groups,
    clock: Clock,
    is_jetstream: bool,
    /// What was met by connections that asked for less.
    earlier: Status,
}

impl Reading {
    /// Asks a Jetstream for more than it was asked for, from where it stands.
    fn ask_again(&mut self, connection: &Connection, wish: &Wish) -> Result<(), SourceError> {
        let Some(place) = self.intake.frames.jetstream_place() else { return Ok(()) };
        let frames = connection.frames_again(wish, place)?;
        let before = self.intake.replace(frames).status();
        self.earlier.add_earlier(&Status { read: 0, bytes: 0, ..before });
        Ok(())
    }

    /// Where a Jetstream stands after all that was decoded; none where it has told more.
    fn place(&self) -> Option<Arc<JetstreamPlace>> {
        self.intake.frames.jetstream_place().filter(|_| self.intake.is_decoded()).map(Arc::new)
    }

    fn status(&self) -> Status {
        let mut status = self.intake.frames.status();
        status.add_earlier(&self.earlier);
        // The same wherever the decoding stands.
        let Mark { read, bytes, .. } = self.intake.mark(Position::default());
        (status.read, status.bytes) = (read, bytes);
        status
    }
}

#[cfg(test)]
mod tests;

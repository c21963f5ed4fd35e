//! A query's end of a connection that several share: a source like any other.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use skytide_firehose::JetstreamPlace;
use skytide_runtime::Epoch;
use skytide_timestream::engine::Mode;
use skytide_timestream::plan::Plan;

use crate::firehose::{FirehoseSource, Mark, Standing, newest};
use crate::network::{Network, Wish};
use crate::recovery::SaveError;
use crate::shared::hub::{Found, Hub};
use crate::source::{Next, Opened, Saved, Source, SourceError, Status};

/// What a query reads of a shared connection; by itself where it was too slow.
pub(super) struct SharedSource {
    hub: Arc<Hub>,
    id: u64,
    opened: Opened,
    plan: Plan,
    network: Network,
    wish: Wish,
    /// A connection of its own.
    own: Option<FirehoseSource>,
    /// Where what was given last ends, and what the query has finished.
    given: Option<Mark>,
    /// Where a Jetstream stands there, if that was told.
    place: Option<Arc<JetstreamPlace>>,
    finished: Option<u64>,
    points: u64,
    has_ended: bool,
}

impl SharedSource {
    pub(super) fn new(hub: Arc<Hub>, id: u64, plan: Plan, network: Network, wish: Wish) -> Self {
        Self {
            hub,
            id,
            opened: Opened::of(&plan.scans),
            plan,
            network,
            wish,
            own: None,
            given: None,
            place: None,
            finished: None,
            points: 0,
            has_ended: false,
        }
    }

    /// Opens a connection of its own that goes on where the shared one left it.
    fn go_alone(&mut self, place: Option<Arc<JetstreamPlace>>) -> Result<FirehoseSource, SourceError> {
        // Whoever was left behind has been given something.
        let mark = self.given.unwrap_or_default();
        let place = place.map(Arc::unwrap_or_clone);
        let frames = self.network.connection.frames_after(&self.wish, Mode::Live, &mark, place)?;
        let source = FirehoseSource::new(&self.plan, &self.network.catalog, frames, self.network.clock)?;
        Ok(source.going_on(mark))
    }
}

impl Source for SharedSource {
    fn next(&mut self, wait: Duration) -> Result<Next, SourceError> {
        if let Some(own) = &mut self.own {
            return own.next(wait);
        }
        if self.has_ended {
            return Ok(Next::End);
        }
        self.finished = self.given.and_then(|mark| mark.last.place.seq()).or(self.finished);
        match self.hub.next(self.id, wait) {
            Found::Epoch(epoch, mark, place) => {
                self.points += points(&epoch);
                self.given = Some(*mark);
                self.place = place;
                Ok(Next::Epoch(epoch))
            }
            Found::Idle => Ok(Next::Idle),
            Found::End => {
                self.has_ended = true;
                Ok(Next::End)
            }
            Found::Failed(error) => {
                self.has_ended = true;
                Err(SourceError::Shared(error))
            }
            Found::Behind(place) => {
                self.own = Some(self.go_alone(place)?);
                Ok(Next::Idle)
            }
        }
    }

    fn status(&self) -> Status {
        let mut status = self.hub.status(self.id);
        let Mark { read, bytes, position, .. } = self.given.unwrap_or_default();
        // Until it has been given something, nothing was read for it.
        status.read = read.saturating_sub(status.read);
        status.bytes = bytes.saturating_sub(status.bytes);
        status.points = self.points;
        status.newest = newest(position, self.network.clock);
        status.cursor = self.finished;
        let Some(own) = &self.own else { return status };
        let own = own.status();
        let mut dropped: BTreeMap<&'static str, u64> = own.dropped;
        for (reason, count) in status.dropped {
            *dropped.entry(reason).or_default() += count;
        }
        Status {
            read: status.read + own.read,
            bytes: status.bytes + own.bytes,
            points: status.points + own.points,
            dropped,
            newest: own.newest.or(status.newest),
            cursor: own.cursor.or(status.cursor),
            ..own
        }
    }

    fn begin(&mut self, plan: &Plan, _: Mode) -> Result<(), SourceError> {
        self.opened.begin(plan)
    }

    fn save(&self) -> Result<Saved, SaveError> {
        let identity = self.network.identity();
        if let Some(own) = &self.own {
            let place = own.jetstream_place()?;
            return Ok(Standing { mark: own.mark(), status: self.status(), place }.save(&identity));
        }
        let is_jetstream = self.network.connection.is_jetstream(&self.wish);
        if is_jetstream && self.place.is_none() {
            // It is as large as all events of half a minute: told where it is wanted.
            self.hub.ask_place(self.id);
            return Err(SaveError::NotNow);
        }
        let place = self.place.as_deref().filter(|_| is_jetstream).cloned();
        Ok(Standing { mark: self.given.unwrap_or_default(), status: self.status(), place }.save(&identity))
    }
}

impl Drop for SharedSource {
    fn drop(&mut self) {
        self.hub.leave(self.id);
    }
}

fn points(epoch: &Epoch) -> u64 {
    epoch.scans.iter().flatten().map(|rows| rows.len() as u64).sum()
}

//! A firehose by its address, or a recording of one, by its path or in memory: what is opened for each query that reads it.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use skytide_atproto::columns::Clock;
use skytide_firehose::recording::Recording;
use skytide_firehose::{Builder, Cursor, Service, Subscription};
use skytide_timestream::engine::Mode;
use skytide_timestream::plan::Plan;

use crate::catalog::{Feed, FirehoseCatalog};
use crate::firehose::FirehoseSource;
use crate::frames::Frames;
use crate::reorder::Reorder;
use crate::source::{Source, SourceError};

/// The collections that a Jetstream can be asked for at most.
const MOST_COLLECTIONS: usize = 100;
/// So often is an address tried that has never answered. One that has is sought for ever.
const FIRST_ATTEMPTS: u32 = 3;

/// Where a network's frames are.
#[derive(Debug)]
pub enum Location {
    /// `wss://HOST`, `ws://HOST:PORT`, or the path of a recording.
    Named(String),
    /// A recording in memory.
    Memory(Bytes),
}

/// A firehose, labeler or Jetstream by its address, or a recording.
#[derive(Debug)]
pub struct Network {
    /// Where its frames are.
    pub location: Location,
    /// Where to begin.
    pub cursor: Cursor,
    /// The collections to ask a server for that sends a choice; those that a query reads where there are none.
    pub collections: Vec<String>,
    /// What the time of a point is.
    pub clock: Clock,
    /// How far behind the newest a point may be before it is late, by clocks that do not run forward.
    pub lateness: Duration,
    /// The streams there are.
    pub catalog: FirehoseCatalog,
}

impl Network {
    /// Whether it is an address, which has no end, and not a recording.
    #[must_use]
    pub fn is_live(&self) -> bool {
        matches!(&self.location, Location::Named(name) if is_address(name))
    }

    /// Opens it for what a plan reads, all of which is its own.
    ///
    /// # Errors
    /// The file cannot be read, the address is none, or the plan reads what one connection does not carry.
    pub fn open(&self, plan: &Plan, mode: Mode) -> Result<Box<dyn Source + Send>, SourceError> {
        let frames = match &self.location {
            Location::Named(url) if is_address(url) => self.socket(url, plan)?,
            Location::Named(path) => self.recording(Recording::open(Path::new(path))?)?,
            Location::Memory(bytes) => self.recording(Recording::from_bytes(bytes.clone())?)?,
        };
        let source = FirehoseSource::new(plan, &self.catalog, frames, self.clock)?;
        Ok(match self.clock {
            // The one that the source makes rise, and the one that does.
            Clock::FrameTime | Clock::Arrival => Box::new(source),
            _ => Box::new(Reorder::new(source, mode, self.lateness)),
        })
    }

    fn recording(&self, mut recording: Recording) -> Result<Frames, SourceError> {
        if let Cursor::Seq(seq) = self.cursor {
            recording.seek_seq(seq)?;
        }
        Ok(Frames::recording(recording))
    }

    fn socket(&self, url: &str, plan: &Plan) -> Result<Frames, SourceError> {
        let collections = match self.collections.as_slice() {
            [] => self.catalog.wanted_collections(plan).unwrap_or_default(),
            chosen => chosen.to_vec(),
        };
        let service = match self.catalog.feed(plan)? {
            Feed::Repos => Service::Repos,
            Feed::Labels => Service::Labels,
        };
        let wish = Wish { service: Some(service), collections, dids: Vec::new() };
        Ok(Frames::socket(wish.subscribe(url).1.cursor(self.cursor).blocking()?))
    }
}

fn is_address(name: &str) -> bool {
    name.contains("://")
}

/// What is wanted of a server.
#[derive(Debug, Clone, Default)]
pub struct Wish {
    /// Which of its streams; unless given the one that its address names, or the repositories'.
    pub service: Option<Service>,
    /// The collections that matter, all if there are none: for servers that send a choice.
    pub collections: Vec<String>,
    /// The accounts that matter, all if there are none.
    pub dids: Vec<String>,
}

impl Wish {
    /// Describes the subscription that brings it, and says to which service it is. An address that never answered is given up
    /// after a few attempts.
    pub fn subscribe(&self, url: &str) -> (Service, Builder) {
        let service = match (self.service, Service::named_by(url)) {
            // Whoever wants the repositories is served by a Jetstream too.
            (None | Some(Service::Repos), Some(Service::Jetstream)) => Service::Jetstream,
            (Some(wanted), _) => wanted,
            (None, named) => named.unwrap_or_default(),
        };
        let builder = match service {
            Service::Labels => Subscription::labels(url),
            Service::Jetstream => {
                // With more than it takes, everything is asked for; what is not wanted is left out here anyway.
                let collections = Some(&self.collections).filter(|wished| wished.len() <= MOST_COLLECTIONS);
                Subscription::jetstream(url).dids(&self.dids).collections(collections.into_iter().flatten())
            }
            _ => Subscription::repos(url),
        };
        (service, builder.first_attempts(FIRST_ATTEMPTS))
    }
}

//! A firehose by its address, a recording of one or exported repositories by their paths or in memory, or
//! frames that the program holds: what is opened for each query that reads it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use skytide_atproto::columns::Clock;
use skytide_firehose::recording::{self, Recording};
use skytide_firehose::{Builder, Cursor, JetstreamPast, JetstreamPlace, Place, Service, Subscription};
use skytide_runtime::Reader;
use skytide_timestream::engine::Mode;
use skytide_timestream::plan::Plan;

use crate::catalog::{Feed, FirehoseCatalog};
use crate::firehose::{FirehoseSource, Mark, Standing};
use crate::frames::Frames;
use crate::late::{Judge, Late, Side};
use crate::recovery::state;
use crate::reorder::Reorder;
use crate::repo::{self, Export, RepoSource};
use crate::shared::Shared;
use crate::source::{Source, SourceError, SourceState};
use crate::supply::{FromSeq, Supplier, Supply};

/// The collections that a Jetstream can be asked for at most.
const MOST_COLLECTIONS: usize = 100;

/// Where a network's frames are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// `wss://HOST`, `ws://HOST:PORT`, or the path of a recording, or of exported repositories ([`repo::is_named`]).
    Named(String),
    /// Exported repositories: their files.
    Repos(Vec<PathBuf>),
    /// A recording, or an exported repository, in memory.
    Memory(Bytes),
    /// Frames that the program holds.
    Held(Supplier),
}

impl Default for Location {
    fn default() -> Self {
        Self::Named(String::new())
    }
}

impl<T: Into<String>> From<T> for Location {
    fn from(name: T) -> Self {
        Self::Named(name.into())
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(name) => f.write_str(name),
            Self::Repos(paths) => write!(f, "{} repositories", paths.len()),
            Self::Memory(bytes) => write!(f, "a recording of {} bytes", bytes.len()),
            Self::Held(_) => f.write_str("the program's frames"),
        }
    }
}

/// Where frames come from, and how they are asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Connection {
    /// Where they are.
    pub location: Location,
    /// Recordings that are read first, one after the other; it begins where they end, and what two of them
    /// have is read once.
    pub history: Vec<PathBuf>,
    /// Where to begin, if not where the recordings end.
    pub cursor: Cursor,
    /// Of a Jetstream: where to begin, in place of the cursor; the events that are known there do not come again.
    pub place: Option<JetstreamPlace>,
    /// Whether each repository's commits are to follow each other; a broken chain is a possible gap.
    pub chains: bool,
    /// The zstd dictionary that a Jetstream is to compress its events with.
    pub dictionary: Option<Vec<u8>>,
    /// It ends after so many frames.
    pub limit: Option<u64>,
}

impl Connection {
    /// Whether it is an address, which has no end, and not a file.
    #[must_use]
    pub fn is_live(&self) -> bool {
        matches!(&self.location, Location::Named(name) if is_address(name))
    }

    /// Whether it is to a Jetstream, which sends each client what it asks for.
    pub(crate) fn is_jetstream(&self, wish: &Wish) -> bool {
        matches!(&self.location, Location::Named(url) if is_address(url) && wish.service_at(url) == Service::Jetstream)
    }

    /// Opens the file, or makes ready to dial.
    ///
    /// # Errors
    /// The file cannot be read or has no frame from the cursor on, or the address is none.
    pub fn frames(&self, wish: &Wish) -> Result<Frames, SourceError> {
        if self.exports()?.is_some() {
            return Err(no_frames());
        }
        if !self.history.is_empty() {
            let after = Self { history: Vec::new(), ..self.clone() };
            let frames = Frames::history(self.history.iter().cloned(), after, wish.clone())?;
            return Ok(frames.until(self.limit));
        }
        match &self.location {
            Location::Named(url) if is_address(url) => self.dial(url, wish, |builder| builder),
            Location::Named(path) => self.recording(Recording::open(Path::new(path))?),
            Location::Memory(bytes) => self.recording(Recording::from_bytes(bytes.clone())?),
            Location::Repos(_) => Err(no_frames()),
            Location::Held(supplier) => Ok(self.held(supplier.open(Mode::Once)?)),
        }
    }

    /// Makes ready to dial, with further settings.
    fn dial(
        &self,
        url: &str,
        wish: &Wish,
        set: impl FnOnce(Builder) -> Builder,
    ) -> Result<Frames, SourceError> {
        let (service, mut builder) = wish.subscribe(url);
        if let Some(dictionary) = self.dictionary.as_ref().filter(|_| service == Service::Jetstream) {
            builder = builder.dictionary(dictionary.clone());
        }
        builder = match &self.place {
            Some(place) if service == Service::Jetstream => builder.jetstream_place(place.clone()),
            _ => builder.cursor(self.cursor),
        };
        let subscription = set(builder.check_chains(self.chains)).blocking()?;
        Ok(Frames::socket(subscription).until(self.limit))
    }

    /// The same where a subscription before has ended. An address that is known to have answered is sought for ever.
    fn dial_again(&self, url: &str, wish: &Wish) -> Result<Frames, SourceError> {
        self.dial(url, wish, |builder| builder.first_attempts(None))
    }

    /// The frames of a Jetstream after a place, by a connection that is asked for something else.
    pub(crate) fn frames_again(&self, wish: &Wish, place: JetstreamPlace) -> Result<Frames, SourceError> {
        Self { place: Some(place), ..self.clone() }.dial_again(&self.location.to_string(), wish)
    }

    /// This connection, to begin where a recording of it ends, whose [`Last`](recording::Last) that is.
    ///
    /// # Errors
    /// The recording cannot be read.
    pub fn after(self, path: &Path, last: recording::Last, wish: &Wish) -> Result<Self, SourceError> {
        let place = match last.seq.filter(|_| self.is_jetstream(wish)) {
            Some(last) => JetstreamPast::of_end(&mut Recording::open(path)?, last)?.place(),
            None => None,
        };
        let cursor = Place::new(last.seq, last.time).cursor().unwrap_or(self.cursor);
        Ok(Self { cursor, place, ..self })
    }

    /// As [`frames`](Self::frames), but only what is after a mark, for a query that is run so. Recordings,
    /// and frames that the program holds, are counted up to there: numbers may begin anew in them.
    pub(crate) fn frames_after(
        &self,
        wish: &Wish,
        mode: Mode,
        mark: &Mark,
        place: Option<JetstreamPlace>,
    ) -> Result<Frames, SourceError> {
        let limit = self.limit.map(|limit| limit.saturating_sub(mark.read));
        match &self.location {
            // Who stands at a place has a connection, if nothing of it yet.
            Location::Named(url) if (mark.is_live || place.is_some()) && is_address(url) => {
                let cursor = mark.last.place.cursor().unwrap_or(self.cursor);
                Self { history: Vec::new(), cursor, limit, place, ..self.clone() }.dial_again(url, wish)
            }
            _ => Ok(self.first_frames(wish, mode)?.after(mark, self.places()).until(limit)),
        }
    }

    /// As [`frames`](Self::frames), for a query that is run so.
    fn first_frames(&self, wish: &Wish, mode: Mode) -> Result<Frames, SourceError> {
        match &self.location {
            Location::Held(supplier) => Ok(self.held(supplier.open(mode)?)),
            _ => self.frames(wish),
        }
    }

    /// Whether whoever comes later is to have only what comes then.
    pub(crate) fn begins_now(&self) -> bool {
        let is_whole = self.history.is_empty() && self.place.is_none() && self.limit.is_none();
        self.is_live() && is_whole && self.cursor == Cursor::Live
    }

    /// The exported repositories that it is, if it is no stream of frames.
    fn exports(&self) -> Result<Option<Vec<Export>>, SourceError> {
        let files = |paths: Vec<PathBuf>| Some(paths.into_iter().map(Export::File).collect());
        let exports = match &self.location {
            Location::Named(name) if !is_address(name) && repo::is_named(Path::new(name)) => {
                files(repo::named(Path::new(name))?)
            }
            Location::Repos(paths) => files(paths.clone()),
            Location::Memory(bytes) if repo::is_begun(bytes) => Some(vec![Export::Memory(bytes.clone())]),
            Location::Named(_) | Location::Memory(_) | Location::Held(_) => None,
        };
        match (exports, self.history.as_slice()) {
            (Some(_), [recording, ..]) => Err(SourceError::Unfit(format!(
                "{}: repositories cannot go on where a recording ends ({}): both have the same streams",
                self.location,
                recording.display()
            ))),
            (exports, _) => Ok(exports),
        }
    }

    /// Where its frames are, in the order in which they are read.
    fn places(&self) -> String {
        let history = self.history.iter().map(|path| format!("{}, then ", path.display()));
        history.chain([self.location.to_string()]).collect()
    }

    fn held(&self, supply: Box<dyn Supply>) -> Frames {
        let supply = match self.cursor {
            Cursor::Seq(seq) => Box::new(FromSeq::new(supply, seq, Some(self.location.to_string()))),
            Cursor::After { seq, .. } => Box::new(FromSeq::new(supply, seq.saturating_add(1), None)),
            _ => supply,
        };
        Frames::held(supply).until(self.limit)
    }

    pub(crate) fn recording(&self, mut recording: Recording) -> Result<Frames, SourceError> {
        match self.cursor {
            Cursor::Seq(seq) if !recording.seek_seq(seq)? => {
                return Err(SourceError::NoFrame { location: self.location.to_string(), seq });
            }
            // Where it has none of its own, it is at its end.
            Cursor::After { seq, time } => {
                match self.place.as_ref().and_then(JetstreamPlace::rewound) {
                    Some(rewound) => recording.seek_seq(rewound)?,
                    None => recording.seek_after(seq, time)?,
                };
                return Ok(Frames::rest(recording).until(self.limit));
            }
            _ => {}
        }
        Ok(Frames::recording(recording).until(self.limit))
    }
}

/// A firehose, labeler or Jetstream, or a recording of one, as a source of queries. Unless told otherwise
/// each query has its own connection, times are the frames', and nothing waits for what is late.
#[derive(Debug, Clone, Default)]
pub struct Network {
    /// Where it is.
    pub connection: Connection,
    /// The collections to ask a server for that sends a choice; those that a query reads where there are none.
    pub collections: Vec<String>,
    /// What the time of a point is.
    pub clock: Clock,
    /// How far behind the newest a point may be before it is late, by clocks that do not run forward.
    pub lateness: Duration,
    /// What becomes of a live query's late points.
    pub late: Late,
    /// The streams there are.
    pub catalog: FirehoseCatalog,
    /// The one connection of all queries over this network and its clones; none where each has its own.
    pub shared: Option<Shared>,
}

impl Network {
    /// The network, or the recording, that is there.
    #[must_use]
    pub fn at(location: impl Into<Location>) -> Self {
        Self {
            connection: Connection { location: location.into(), ..Connection::default() },
            ..Self::default()
        }
    }

    /// Opens it for what a plan reads, all of which is its own: a connection for it alone, or a place at the
    /// one that is [shared](Self::shared). `mode` is that of the run
    /// ([`RunOptions::mode`](crate::run::RunOptions)); `side` takes late points, if they are kept. A run that
    /// is to be saved opens it by [`Sources`](crate::sources::Sources::reopen). What is opened is read by a
    /// thread that may wait: in async code by an [`AnswerStream`](crate::run::AnswerStream).
    ///
    /// # Errors
    /// The file cannot be read, the address is none, the plan reads what one connection does not carry, or
    /// late points are to be kept and there is no side.
    pub fn open(
        &self,
        plan: &Plan,
        mode: Mode,
        side: Option<&Side>,
    ) -> Result<Box<dyn Source + Send>, SourceError> {
        self.reopen(plan, mode, side, None)
    }

    /// As [`open`](Self::open), but where an earlier run left it, if one is given.
    ///
    /// # Errors
    /// As of `open`, or the state is of another source or of other settings, or damaged.
    pub(crate) fn reopen(
        &self,
        plan: &Plan,
        mode: Mode,
        side: Option<&Side>,
        from: Option<&SourceState>,
    ) -> Result<Box<dyn Source + Send>, SourceError> {
        if let Some(exports) = self.connection.exports()? {
            // They are all there: nothing is late.
            let judge = Judge::new(self.lateness);
            let plan = Plan { scans: judge.scans(&plan.scans), ..plan.clone() };
            let source = RepoSource::new(&plan, &self.catalog, exports, self.clock)?;
            return Ok(Box::new(Reorder::new(source, Mode::Once, judge)));
        }
        let mut state = from.map(|state| Reader::new(&state.0));
        // The one that the source makes rise, and the one that does.
        if self.is_in_order() {
            let source = self.source(plan, mode, state.as_mut())?;
            state::end(state)?;
            return Ok(source);
        }
        let mut judge = Judge::new(self.lateness).at(self.connection.location.to_string());
        if mode == Mode::Live {
            judge = judge.by(self.late, &plan.scans, side)?;
        }
        let wanted = &plan.scans;
        let plan = Plan { scans: judge.scans(wanted), ..plan.clone() };
        let source = self.source(&plan, mode, state.as_mut())?;
        let mut source = Reorder::new(source, mode, judge);
        if let Some(state) = &mut state {
            source.go_on(state, wanted)?;
        }
        state::end(state)?;
        Ok(Box::new(source))
    }

    /// Whether points come in the order of their times.
    fn is_in_order(&self) -> bool {
        matches!(self.clock, Clock::FrameTime | Clock::Arrival)
    }

    /// What tells it from other sources, as far as points depend on it.
    pub(crate) fn identity(&self) -> String {
        let mut identity = self.connection.places();
        match self.connection.cursor {
            // What was saved tells where it begins.
            _ if self.connection.is_live() => {}
            Cursor::Seq(seq) => identity.push_str(&format!(" from frame {seq}")),
            Cursor::After { seq, .. } => identity.push_str(&format!(" after frame {seq}")),
            _ => {}
        }
        match self.clock {
            Clock::FrameTime => {}
            Clock::Arrival => identity.push_str(" by time of arrival"),
            Clock::Rev => identity.push_str(" by revision"),
            Clock::CreatedAt => identity.push_str(" by createdAt"),
        }
        if !self.is_in_order() {
            identity.push_str(&format!(", lateness {:?}, late points: {:?}", self.lateness, self.late));
        }
        identity
    }

    /// The points of a plan's scans, as they come, from where an earlier run left them.
    fn source(
        &self,
        plan: &Plan,
        mode: Mode,
        from: Option<&mut Reader<'_>>,
    ) -> Result<Box<dyn Source + Send>, SourceError> {
        let feed = self.catalog.feed(plan)?;
        let service = match feed {
            Feed::Repos => Service::Repos,
            Feed::Labels => Service::Labels,
        };
        let collections = match self.collections.as_slice() {
            [] => self.catalog.wanted_collections(plan).unwrap_or_default(),
            chosen => chosen.to_vec(),
        };
        let wish = Wish { service: Some(service), collections, dids: Vec::new() };
        let identity = self.identity();
        let standing = match from {
            Some(state) => Standing::read(state, &identity)?,
            None => Standing::default(),
        };
        // A Jetstream that has sent nothing yet stands somewhere, once it is connected.
        let place = standing.place.filter(|place| place.cursor() != Cursor::Live);
        if standing.mark.read > 0 || place.is_some() {
            let Standing { mark, status, .. } = standing;
            let frames = self.connection.frames_after(&wish, mode, &mark, place)?;
            let source = FirehoseSource::new(plan, &self.catalog, frames, self.clock)?.known_as(identity);
            return Ok(Box::new(source.going_on(mark).counting_on(status)));
        }
        let is_held = matches!(self.connection.location, Location::Held(_));
        if let Some(shared) = self.shared.as_ref().filter(|_| !is_held)
            && let Some(source) = shared.join(self, plan, feed, &wish)?
        {
            return Ok(Box::new(source));
        }
        let frames = self.connection.first_frames(&wish, mode)?;
        let source = FirehoseSource::new(plan, &self.catalog, frames, self.clock)?;
        Ok(Box::new(source.known_as(identity).counting_on(standing.status)))
    }
}

fn no_frames() -> SourceError {
    SourceError::Unfit("repositories hold records, not frames".to_owned())
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
    /// This and another one; none where the other has nothing that this has not.
    pub(crate) fn widened(&self, other: &Self) -> Option<Self> {
        let mut both = self.clone();
        for (all, more) in [(&mut both.collections, &other.collections), (&mut both.dids, &other.dids)] {
            // None are all.
            if more.is_empty() {
                all.clear();
            } else if !all.is_empty() {
                let new: Vec<_> = more.iter().filter(|one| !all.contains(one)).cloned().collect();
                all.extend(new);
            }
        }
        (both.collections != self.collections || both.dids != self.dids).then_some(both)
    }

    /// To which service the connection is that brings it.
    pub(crate) fn service_at(&self, url: &str) -> Service {
        match (self.service, Service::named_by(url)) {
            // Whoever wants the repositories is served by a Jetstream too.
            (None | Some(Service::Repos), Some(Service::Jetstream)) => Service::Jetstream,
            (Some(wanted), _) => wanted,
            (None, named) => named.unwrap_or_default(),
        }
    }

    /// Describes the subscription that brings it, and says to which service it is. An address that never
    /// answered is given up after a few attempts.
    pub fn subscribe(&self, url: &str) -> (Service, Builder) {
        let service = self.service_at(url);
        let builder = match service {
            Service::Labels => Subscription::labels(url),
            Service::Jetstream => {
                // With more than it takes, everything is asked for; what is not wanted is left out here anyway.
                let collections = Some(&self.collections).filter(|wished| wished.len() <= MOST_COLLECTIONS);
                Subscription::jetstream(url).dids(&self.dids).collections(collections.into_iter().flatten())
            }
            _ => Subscription::repos(url),
        };
        (service, builder)
    }
}

//! Queries over a Jetstream see different events: each those that it would ask for if it were alone. Their times do not
//! rise as they come, and a query's are to rise over what it sees and nothing else: so only queries that see
//! the same are decoded [together](super::together). Whatever else is shared sends all of it to everyone:
//! there all queries are one group.

use std::collections::BTreeMap;

use skytide_atproto::columns::{Clock, Position, Pushed};
use skytide_atproto::frame::{self, FrameError};

use crate::firehose::Decode;
use crate::shared::together::{Part, Scans, Together};
use crate::source::SourceError;

type Counts = BTreeMap<&'static str, u64>;

/// The decoders of several queries.
pub(super) struct Groups {
    clock: Clock,
    groups: Vec<Group>,
    is_connected: bool,
    /// What became of the frame at hand by those that have had it, until it has found room with all.
    pushed: Option<Pushed>,
    refused: Option<FrameError>,
}

/// Queries that see the same.
struct Group {
    /// The collections whose commits it sees, as a Jetstream is asked for them; all where there are none.
    collections: Vec<String>,
    together: Together,
    /// What was counted before each of its queries came.
    before: BTreeMap<u64, Counts>,
    has_frame: bool,
}

/// What was decoded for a query.
pub(super) struct Taken {
    pub(super) id: u64,
    pub(super) scans: Scans,
    /// Where the decoding stands.
    pub(super) position: Position,
    /// What was not handed on since it came, or not as it came.
    pub(super) dropped: Counts,
}

impl Groups {
    /// Decodes for nobody yet.
    pub(super) fn new(clock: Clock) -> Self {
        Self { clock, groups: Vec::new(), is_connected: false, pushed: None, refused: None }
    }

    /// Decodes from the next frame on for these queries, each of which sees these collections. What was
    /// decoded is taken before.
    pub(super) fn set(&mut self, parts: Vec<(Vec<String>, Part)>) -> Result<(), SourceError> {
        let mut of_each: Vec<(Vec<String>, Vec<Part>)> = Vec::new();
        for (collections, part) in parts {
            match of_each.iter_mut().find(|(known, _)| *known == collections) {
                Some((_, parts)) => parts.push(part),
                None => of_each.push((collections, vec![part])),
            }
        }
        let mut before = std::mem::take(&mut self.groups);
        for (collections, parts) in of_each {
            let known = before.iter().position(|group| group.collections == collections);
            let mut group = match known {
                Some(at) => before.swap_remove(at),
                None => Group::new(collections, self.clock, self.is_connected)?,
            };
            group.set(parts)?;
            self.groups.push(group);
        }
        Ok(())
    }

    /// The points decoded so far, of each query.
    pub(super) fn take(&mut self) -> Vec<Taken> {
        self.groups.iter_mut().flat_map(Group::take).collect()
    }
}

impl Decode for Groups {
    /// An error says that one of the queries refuses the frame; the others have their points of it.
    fn push(&mut self, frame: &[u8], arrival: i64) -> Result<Pushed, FrameError> {
        let is_choosy = self.groups.iter().any(|group| !group.collections.is_empty());
        let collection = if is_choosy { frame::collection(frame) } else { None };
        let mut has_room = true;
        let sees = |group: &&mut Group| !group.has_frame && group.sees(collection);
        for group in self.groups.iter_mut().filter(sees) {
            match group.together.push(frame, arrival) {
                Ok(pushed) => self.pushed = Some(pushed),
                // The others that have had it do not have it again.
                Err(FrameError::Full) if group.together.rows() > 0 => return Err(FrameError::Full),
                Err(FrameError::Full) => has_room = false,
                Err(error) => self.refused = Some(error),
            }
            group.has_frame = true;
        }
        self.groups.iter_mut().for_each(|group| group.has_frame = false);
        match (self.refused.take(), self.pushed.take()) {
            (Some(error), _) => Err(error),
            (None, Some(pushed)) => Ok(pushed),
            (None, None) if !has_room => Err(FrameError::Full),
            // It was asked for by a query that has left.
            (None, None) => frame::peek(frame).map(|peek| Pushed {
                kind: peek.kind,
                seq: peek.seq,
                source_time: peek.time,
                rows: 0,
            }),
        }
    }

    fn rows(&self) -> usize {
        self.groups.iter().map(|group| group.together.rows()).sum()
    }

    fn connected(&mut self) {
        self.is_connected = true;
        self.groups.iter_mut().for_each(|group| group.together.connected());
    }
}

impl Group {
    fn new(collections: Vec<String>, clock: Clock, is_connected: bool) -> Result<Self, SourceError> {
        let mut together = Together::new(clock)?;
        if is_connected {
            together.connected();
        }
        Ok(Self { collections, together, before: BTreeMap::new(), has_frame: false })
    }

    fn set(&mut self, parts: Vec<Part>) -> Result<(), SourceError> {
        let counts = self.together.dropped();
        let mut before = std::mem::take(&mut self.before);
        let since = |(id, _): &Part| (*id, before.remove(id).unwrap_or_else(|| counts.clone()));
        self.before = parts.iter().map(since).collect();
        self.together.set(parts)
    }

    /// Whether an event of a collection is one of those that are asked for: what is of none always is.
    fn sees(&self, collection: Option<&str>) -> bool {
        let is = |collection: &str, wanted: &String| match wanted.strip_suffix('*') {
            Some(prefix) => collection.starts_with(prefix),
            None => collection == wanted,
        };
        let has = |collection| self.collections.iter().any(|wanted| is(collection, wanted));
        self.collections.is_empty() || collection.is_none_or(has)
    }

    fn take(&mut self) -> Vec<Taken> {
        let (position, counts) = (self.together.position(), self.together.dropped());
        let of_each = self.together.take().into_iter().map(|(id, scans)| {
            let before = self.before.get(&id);
            let since = |(reason, count): (&&'static str, &u64)| {
                let before = before.and_then(|before| before.get(reason)).copied().unwrap_or_default();
                (*count > before).then(|| (*reason, count - before))
            };
            Taken { id, scans, position, dropped: counts.iter().filter_map(since).collect() }
        });
        of_each.collect()
    }
}

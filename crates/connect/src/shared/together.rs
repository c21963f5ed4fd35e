//! What several queries want of a firehose, decoded once: streams that are wanted alike are one, with the
//! columns of all, of which each query is given its own by reference.
//!
//! A frame that is refused leaves no point of it. Where that is for the sake of what only some of the queries
//! read of it, as an operation's path or the blocks, the others would not have refused it: such a frame is
//! read once more for each query by itself.

use std::collections::BTreeMap;
use std::sync::Arc;

use skytide_atproto::columns::{
    Clock, Decoder, EqTest, Literal, PathStep, Position, Pushed, StreamColumns, StreamKind, WantedStream,
};
use skytide_atproto::frame::FrameError;
use skytide_timestream::rows::{Lane, Places, Rows};

use crate::firehose::{Decode, Wanting, count_reasons, decoder, rows};
use crate::source::SourceError;

/// A query among those that are decoded for: which one, and what it wants.
pub(super) type Part = (u64, Arc<Wanting>);

/// The points of each of a query's scans, where there are any.
pub(super) type Scans = Vec<Option<Rows>>;

/// A decoder for several queries.
pub(super) struct Together {
    decoder: Decoder,
    clock: Clock,
    queries: Vec<Query>,
    /// Points of a frame that was read for each query by itself: they go out before another frame is read.
    apart: Option<Vec<Option<Vec<StreamColumns>>>>,
    /// The next frame was refused for all together.
    is_refused: bool,
    /// Frames come over a connection.
    is_connected: bool,
    /// What the decoders before did not hand on.
    dropped: BTreeMap<&'static str, u64>,
}

/// One of the queries.
struct Query {
    id: u64,
    wanting: Arc<Wanting>,
    routes: Vec<Route>,
    /// Reads what it alone would.
    alone: Option<Decoder>,
}

/// Where a scan's points are among those of all.
struct Route {
    stream: usize,
    columns: Vec<usize>,
    is_keyed: bool,
    lane: u16,
}

/// A stream as several scans want it.
struct Union {
    of: StreamKind,
    is_keyed: bool,
    columns: Vec<Vec<PathStep>>,
    /// Each by the way to its value: the same of all that are one.
    tests: Vec<(Vec<PathStep>, Literal)>,
}

impl Together {
    /// Decodes for nobody yet.
    pub(super) fn new(clock: Clock) -> Result<Self, SourceError> {
        Ok(Self {
            decoder: decoder(Vec::new(), clock)?,
            clock,
            queries: Vec::new(),
            apart: None,
            is_refused: false,
            is_connected: false,
            dropped: BTreeMap::new(),
        })
    }

    /// Decodes for these queries from the next frame on. What was decoded is taken before.
    pub(super) fn set(&mut self, parts: Vec<Part>) -> Result<(), SourceError> {
        let mut unions: Vec<Union> = Vec::new();
        let mut route = |wanted: &WantedStream, lane: u16| {
            let tests: Vec<_> = wanted
                .tests
                .iter()
                .map(|test| (wanted.columns[test.column].clone(), test.literal.clone()))
                .collect();
            let known = unions.iter().position(|union| union.of == wanted.of && union.tests == tests);
            let stream = known.unwrap_or_else(|| {
                let union = Union { of: wanted.of.clone(), is_keyed: false, columns: Vec::new(), tests };
                unions.push(union);
                unions.len() - 1
            });
            let union = &mut unions[stream];
            union.is_keyed |= wanted.keyed;
            let columns = wanted.columns.iter().map(|path| place(&mut union.columns, path)).collect();
            Route { stream, columns, is_keyed: wanted.keyed, lane }
        };
        self.queries = parts
            .into_iter()
            .map(|(id, wanting)| {
                let scans = wanting.streams.iter().zip(&wanting.lanes);
                let routes = scans.map(|(wanted, lane)| route(wanted, *lane)).collect();
                Query { id, wanting, routes, alone: None }
            })
            .collect();
        let streams = unions.into_iter().map(Union::wanted).collect();
        let mut next = decoder(streams, self.clock)?;
        next.set_position(self.decoder.position());
        if self.is_connected {
            next.connected();
        }
        count_reasons(self.decoder.counters(), &mut self.dropped);
        self.decoder = next;
        Ok(())
    }

    /// Where the decoding stands.
    pub(super) fn position(&self) -> Position {
        self.decoder.position()
    }

    /// What was not handed on, or not as it came.
    pub(super) fn dropped(&self) -> BTreeMap<&'static str, u64> {
        let mut dropped = self.dropped.clone();
        count_reasons(self.decoder.counters(), &mut dropped);
        dropped
    }

    /// The points decoded so far, of each query.
    pub(super) fn take(&mut self) -> Vec<(u64, Scans)> {
        if let Some(apart) = self.apart.take() {
            let of_each = self.queries.iter().zip(apart).map(|(query, columns)| {
                let lanes = &query.wanting.lanes;
                let scans = match columns {
                    None => lanes.iter().map(|_| None).collect(),
                    Some(columns) => columns
                        .into_iter()
                        .zip(lanes)
                        .map(|(columns, lane)| (!columns.time.is_empty()).then(|| rows(columns, *lane)))
                        .collect(),
                };
                (query.id, scans)
            });
            return of_each.collect();
        }
        let streams = self.decoder.take().into_iter();
        let streams: Vec<Option<Rows>> =
            streams.map(|columns| (!columns.time.is_empty()).then(|| rows(columns, 0))).collect();
        let of_each = self.queries.iter().map(|query| {
            let scans = query.routes.iter().map(|route| Some(route.of(streams[route.stream].as_ref()?)));
            (query.id, scans.collect())
        });
        of_each.collect()
    }

    /// Reads a frame for each query by itself: its points are theirs who do not refuse it.
    #[cold]
    fn push_apart(&mut self, frame: &[u8], arrival: i64) -> Result<Pushed, FrameError> {
        let position = self.decoder.position();
        let (mut pushed, mut refused, mut apart) = (None, None, Vec::with_capacity(self.queries.len()));
        for query in &mut self.queries {
            if query.alone.is_none() {
                query.alone = decoder(query.wanting.streams.clone(), self.clock).ok();
            }
            let Some(alone) = &mut query.alone else {
                apart.push(None);
                continue;
            };
            alone.set_position(position);
            if self.is_connected {
                alone.connected();
            }
            match alone.push(frame, arrival) {
                Ok(read) => {
                    apart.push((read.rows > 0).then(|| alone.take()));
                    pushed = Some((read, alone.position()));
                }
                Err(error) => {
                    apart.push(None);
                    refused = Some(error);
                }
            }
        }
        if let Some((_, position)) = pushed {
            // It has its place in the order whoever has points of it.
            self.decoder.set_position(position);
            self.apart = apart.iter().any(Option::is_some).then_some(apart);
        }
        match (refused, pushed) {
            (Some(error), _) => Err(error),
            (None, Some((read, _))) => Ok(read),
            (None, None) => Err(FrameError::Full),
        }
    }
}

impl Decode for Together {
    /// An error says that one of the queries refuses the frame; the others have their points of it.
    #[inline]
    fn push(&mut self, frame: &[u8], arrival: i64) -> Result<Pushed, FrameError> {
        if self.apart.is_some() {
            return Err(FrameError::Full);
        }
        if !std::mem::take(&mut self.is_refused) {
            match self.decoder.push(frame, arrival) {
                Ok(pushed) => return Ok(pushed),
                Err(error) if error == FrameError::Full || self.queries.len() < 2 => return Err(error),
                Err(_) if self.decoder.rows() > 0 => {
                    // The points before it go out first.
                    self.is_refused = true;
                    return Err(FrameError::Full);
                }
                Err(_) => {}
            }
        }
        self.push_apart(frame, arrival)
    }

    fn rows(&self) -> usize {
        let apart = self.apart.iter().flatten().flatten().flatten();
        self.decoder.rows() + apart.map(|columns| columns.time.len()).sum::<usize>()
    }

    fn connected(&mut self) {
        self.is_connected = true;
        self.decoder.connected();
    }
}

impl Union {
    fn wanted(mut self) -> WantedStream {
        let tests = self
            .tests
            .into_iter()
            .map(|(path, literal)| EqTest { column: place(&mut self.columns, &path), literal });
        let tests = tests.collect();
        WantedStream { of: self.of, keyed: self.is_keyed, columns: self.columns, tests }
    }
}

impl Route {
    /// A scan's points; nothing is copied.
    fn of(&self, stream: &Rows) -> Rows {
        let places = &stream.places;
        Rows {
            places: Places::new(places.time.clone(), Lane::One(self.lane), places.ordinal.clone()),
            key: stream.key.clone().filter(|_| self.is_keyed),
            columns: self.columns.iter().map(|column| Arc::clone(&stream.columns[*column])).collect(),
        }
    }
}

/// The place of a column among those that are wanted, where it is put if it is not there.
fn place(columns: &mut Vec<Vec<PathStep>>, path: &[PathStep]) -> usize {
    columns.iter().position(|known| known == path).unwrap_or_else(|| {
        columns.push(path.to_vec());
        columns.len() - 1
    })
}

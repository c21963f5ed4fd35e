//! One connection for several queries: frames are read once, each is decoded once for all that the queries
//! want of it, and each query has its own cursor and its own pace.
//!
//! A thread reads and decodes, and lays the points of each query ready for it, by reference, up to a number
//! of bytes. It keeps pace with the query that takes them fastest. One that falls behind by more than may lie
//! ready for it stalls nobody and loses nothing: it takes what is there, then goes on by a connection of its
//! own, from its own cursor and with the clock as it stood there, so that its rows are those it would have
//! had. It stays there: it has shown to be slower than the stream.
//!
//! ```
//! use std::sync::Arc;
//! use skytide_connect::catalog::FirehoseCatalog;
//! use skytide_connect::network::{Connection, Network};
//! use skytide_connect::run::{Answers, RunOptions};
//! use skytide_connect::shared::Shared;
//! use skytide_sim as sim;
//! use skytide_timestream::{engine::Mode, plan::Results};
//!
//! let relay = sim::Relay::new(sim::Network::new(sim::Config::default())).total(500).start("127.0.0.1:0")?;
//! let connection = Connection { location: relay.url().into(), limit: Some(500), ..Connection::default() };
//! let network = Network { connection, shared: Some(Shared::new()), ..Network::default() };
//!
//! // All are there before one of them begins to read: so each has everything.
//! let mut queries = Vec::new();
//! for query in ["posts.count()", "likes.count()"] {
//!     let query = skytide_timestream::compile(query, &network.catalog)?;
//!     let plan = Arc::new(skytide_timestream::plan(Arc::new(query), Results::history()));
//!     queries.push((network.open(&plan, Mode::Live, None)?, plan));
//! }
//! let threads = queries.into_iter().map(|(source, plan)| {
//!     std::thread::spawn(move || Answers::start(plan, source, &RunOptions::live()).map(Iterator::count))
//! });
//! for thread in threads.collect::<Vec<_>>() {
//!     assert!(thread.join().expect("it does not panic")? > 0);
//! }
//! assert_eq!(relay.counters().connections, 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod groups;
mod hub;
mod query;
mod together;

use std::fmt;
use std::sync::Arc;

use skytide_timestream::plan::Plan;

use crate::catalog::Feed;
use crate::firehose::{Wanting, decoder};
use crate::network::{Network, Wish};
use crate::source::{Source, SourceError};
use hub::{Asked, Hub};
use query::SharedSource;

/// Bytes of points that may lie ready for a query, unless told otherwise: a minute of the whole network, and more.
pub const BACKLOG: usize = 64 << 20;

/// What the queries over one network, given as [`Network::shared`], share: a connection for repositories and
/// one for labels, each there while a query reads it. Clones are the same; a network with another connection
/// or clock has no part in it.
///
/// - Queries that are opened before one of them asks for its first points all begin with the first frame.
/// - One that is opened later begins with the next frame, where the connection is one to what comes now.
///   Where it has a cursor, recordings that come first, or a limit, the later query has a connection of its
///   own, and so has its points from there on.
/// - A query leaves when its source is dropped; the connection is closed within 100 ms of the last.
/// - A Jetstream sends what it is asked for: that is what all of the queries want together. One that comes
///   later and wants more has it asked again, by another connection from where the one before is; of what
///   nobody wanted before it has the last seconds, too. Queries over a Jetstream with recordings that come
///   first, or with a limit, each have a connection of their own. Each sees the events that it would ask for
///   by itself: its times rise over those.
///
/// Frames that only some of the queries refuse are counted as undecodable for all of them; the others have
/// their points of them.
#[derive(Clone)]
pub struct Shared(Arc<Hubs>);

struct Hubs {
    repos: Arc<Hub>,
    labels: Arc<Hub>,
}

impl Shared {
    /// No connection yet, and [`BACKLOG`] bytes for each query.
    #[must_use]
    pub fn new() -> Self {
        Self::with_backlog(BACKLOG)
    }

    /// As [`new`](Self::new), but so many bytes of points may lie ready for a query before it is left behind;
    /// each batch counts as half a KiB more, and one batch always may.
    #[must_use]
    pub fn with_backlog(bytes: usize) -> Self {
        let hub = || Arc::new(Hub::new(bytes.max(2)));
        Self(Arc::new(Hubs { repos: hub(), labels: hub() }))
    }

    /// A place at the connection; none where a query must have its own.
    pub(crate) fn join(
        &self,
        network: &Network,
        plan: &Plan,
        feed: Feed,
        wish: &Wish,
    ) -> Result<Option<impl Source + Send + use<>>, SourceError> {
        let connection = &network.connection;
        // Of what it sends each client counts its own frames; and what comes first is no Jetstream.
        let is_counted = connection.limit.is_some() || !connection.history.is_empty();
        if is_counted && connection.is_jetstream(wish) {
            return Ok(None);
        }
        let wanting = Wanting::of(plan, &network.catalog)?;
        // Whether it is there at all is told before it is brought together with others.
        decoder(wanting.streams.clone(), network.clock)?;
        let hub = match feed {
            Feed::Repos => &self.0.repos,
            Feed::Labels => &self.0.labels,
        };
        let asked = Asked { connection, clock: network.clock, wish };
        let joined = hub.join(Arc::new(wanting), &asked, |wish| connection.frames(wish))?;
        let source = joined
            .map(|id| SharedSource::new(Arc::clone(hub), id, plan.clone(), network.clone(), wish.clone()));
        Ok(source)
    }
}

impl Default for Shared {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

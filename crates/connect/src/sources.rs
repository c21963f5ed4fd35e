//! What a query over several sources can name, and those sources opened as one.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use skytide_runtime::Reader;
use skytide_timestream::catalog::{Catalog, StreamDef};
use skytide_timestream::engine::Mode;
use skytide_timestream::plan::{Plan, Scan};
use skytide_timestream::types;

use crate::files::Files;
use crate::late::{Passed, Side};
use crate::merge::{Feed, HELD, HELD_OF_A_CONNECTION, Left, Merge};
use crate::network::Network;
use crate::recovery::{StateError, state};
use crate::source::{SourceError, SourceState};
use crate::tables::{Bell, Table, TableSource};

/// Something that streams are read from.
#[derive(Debug, Clone)]
pub enum Offer {
    /// A table, by the name that its definition gives it.
    Table {
        /// The table.
        table: Table,
        /// After so long a silence it is not waited for.
        idle: Option<Duration>,
    },
    /// Files, by the name that their definition gives them.
    Files(Arc<Files>),
    /// A firehose or a recording of one: all its streams by their own names.
    Network(Arc<Network>),
}

/// The function by which a stream is named where a field of its name stands in the way: `source("posts")`.
pub const SOURCE: &str = "source";

/// The sources of a query, in the order in which it names them: events of one time stand in that order
/// (SEMANTICS 1.2).
#[derive(Debug, Clone, Default)]
pub struct Sources {
    offers: Vec<Offer>,
    side: Option<Side>,
    stalled: Arc<AtomicBool>,
}

impl Offer {
    /// Whether two are one.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Table { table, .. }, Self::Table { table: other, .. }) => table.is(other),
            (Self::Files(files), Self::Files(other)) => Arc::ptr_eq(files, other),
            (Self::Network(network), Self::Network(other)) => Arc::ptr_eq(network, other),
            _ => false,
        }
    }

    /// Bytes that are held of it while it is ahead of others, before it waits for them.
    fn most_held(&self, mode: Mode) -> usize {
        match self {
            // Live, pushing never waits for another source.
            Self::Table { table, .. } if mode == Mode::Live && !table.definition().waits => usize::MAX,
            Self::Network(network) if network.connection.is_live() => HELD_OF_A_CONNECTION,
            Self::Table { .. } | Self::Files(_) | Self::Network(_) => HELD,
        }
    }

    /// Whether it has a stream that is written so: by its name, or by a call of one text.
    fn has(&self, mention: &str) -> bool {
        match self {
            Self::Table { table, .. } => table.definition().name == mention,
            Self::Files(files) => files.definition().name == mention,
            Self::Network(network) => {
                let argument = mention.strip_prefix("records(\"").and_then(|rest| rest.strip_suffix("\")"));
                network.catalog.stream(mention).is_some() || argument.is_some()
            }
        }
    }
}

impl Sources {
    /// These sources, in the order of `mentions`, which are the names in a query as it names them.
    ///
    /// # Errors
    /// Two tables have one name, or two networks both have a stream that is mentioned.
    pub fn in_order(mut offers: Vec<Offer>, mentions: &[String]) -> Result<Vec<Offer>, String> {
        for (at, offer) in offers.iter().enumerate() {
            let others = &offers[..at];
            for name in mentions.iter().filter(|mention| offer.has(mention)) {
                let Some(other) = others.iter().find(|other| other.has(name)) else { continue };
                let help = match (offer, other) {
                    (Offer::Network(_), Offer::Network(_)) => {
                        "of networks and repositories a query reads one"
                    }
                    _ => "give that of the file or table another name (--as, in Python name=)",
                };
                return Err(format!("two sources of one query have a stream called `{name}`: {help}"));
            }
        }
        offers.sort_by_key(|offer| {
            mentions.iter().position(|mention| offer.has(mention)).unwrap_or(usize::MAX)
        });
        Ok(offers)
    }

    /// These sources. Of two streams of one name the first is the one that can be named.
    #[must_use]
    pub fn new(offers: Vec<Offer>) -> Self {
        Self { offers, ..Self::default() }
    }

    /// Gives late points of those sources that keep them ([`Late::Side`](crate::late::Late)) to a side.
    #[must_use]
    pub fn late_to(self, side: Side) -> Self {
        Self { side: Some(side), ..self }
    }

    /// Whoever pushes into a table waits for a query that reads it and is behind, but not while this says that
    /// nobody takes its answer.
    #[must_use]
    pub fn stalled_by(self, stalled: Arc<AtomicBool>) -> Self {
        Self { stalled, ..self }
    }

    /// The number of the source that an offer is: its place, but tables of one origin are one source.
    fn number(&self, at: usize) -> u16 {
        let first = match &self.offers[at] {
            Offer::Table { table, .. } => self.offers.iter().position(
                |offer| matches!(offer, Offer::Table { table: other, .. } if other.origin().is(table.origin())),
            ),
            Offer::Files(_) | Offer::Network(_) => None,
        };
        u16::try_from(first.unwrap_or(at)).unwrap_or(u16::MAX - 2)
    }

    /// The offer whose stream this is.
    fn offer_of(&self, stream: &StreamDef) -> Option<usize> {
        self.offers.iter().position(|offer| match offer {
            Offer::Table { table, .. } => table.definition().name == stream.name,
            Offer::Files(files) => files.definition().name == stream.name,
            Offer::Network(network) => network.catalog.kind(stream).is_some(),
        })
    }

    /// That the columns that a scan reads of this offer are of the types that the query was checked with.
    fn must_have(&self, at: usize, scan: &Scan) -> Result<(), SourceError> {
        let stream = match &self.offers[at] {
            Offer::Table { table, .. } => table.stream(self.number(at)),
            Offer::Files(files) => files.stream(self.number(at)),
            // What a lexicon does not say is null in a record, whichever type was meant.
            Offer::Network(_) => return Ok(()),
        };
        let read = scan.stream.fields.iter().filter(|field| {
            let is_key = scan.keyed && *field.name() == scan.stream.key;
            is_key || scan.columns.iter().any(|column| column.is_of(field.name()))
        });
        for field in read {
            let wanted = types::name(field.data_type());
            let found = stream.fields.find(field.name()).map(|(_, field)| field.data_type());
            if found != Some(field.data_type()) {
                let found = found
                    .map_or_else(|| "is not there".to_owned(), |found| format!("is {}", types::name(found)));
                return Err(SourceError::Unfit(format!(
                    "the query was compiled over another `{}`, whose column `{}` is {wanted}: here it {found}",
                    stream.name,
                    field.name()
                )));
            }
        }
        Ok(())
    }

    fn numbered(&self, at: usize, stream: &StreamDef) -> Arc<StreamDef> {
        Arc::new(StreamDef { source: self.number(at), ..stream.clone() })
    }

    /// Opens what a plan over this catalog reads, for one run of it in this mode
    /// ([`RunOptions::mode`](crate::run::RunOptions)): another run, or one of another plan or mode, is refused.
    ///
    /// # Errors
    /// A source cannot be opened, the plan reads what none of them has, or late points are to be kept and there is no
    /// [side](Self::late_to).
    pub fn open(&self, plan: &Plan, mode: Mode) -> Result<Merge, SourceError> {
        self.reopen(plan, mode, None)
    }

    /// As [`open`](Self::open), but where an earlier run left them, if one is given
    /// ([`Recovery::source`](crate::recovery::Recovery::source)).
    ///
    /// # Errors
    /// As of `open`, or the state is of other sources, or damaged.
    pub fn reopen(&self, plan: &Plan, mode: Mode, from: Option<&SourceState>) -> Result<Merge, SourceError> {
        let mut left_at = from.map(|state| Reader::new(&state.0));
        let (bell, passed, side) = (Bell::default(), Passed::default(), self.side.as_ref());
        let mut feeds = Vec::new();
        let mut is_strict = false;
        for (at, offer) in self.offers.iter().enumerate() {
            let scans: Vec<usize> = plan
                .scans
                .iter()
                .enumerate()
                .filter(|(_, scan)| self.offer_of(&scan.stream) == Some(at))
                .map(|(place, _)| place)
                .collect();
            if scans.is_empty() {
                continue;
            }
            let part: Vec<_> = scans.iter().map(|scan| plan.scans[*scan].clone()).collect();
            part.iter().try_for_each(|scan| self.must_have(at, scan))?;
            let left = left_at.as_mut().map(|from| Left::read(from, &scans, &part)).transpose()?;
            let feed = match offer {
                Offer::Table { table, idle, .. } => {
                    is_strict |= mode == Mode::Live && table.definition().subsort.is_some();
                    let source = TableSource::new(table, part, mode, &bell, &self.stalled, &passed, side)?;
                    // Over what is there everything is waited for: nothing is late.
                    let idle = idle.filter(|_| mode == Mode::Live);
                    let feed = Feed::new(Box::new(source), scans, idle, true);
                    if table.definition().subsort.is_some() { feed.counting() } else { feed }
                }
                Offer::Files(files) => {
                    let mut source = files.source(part);
                    if let Some(left) = &left {
                        let Left::Again { of, given } = left else { return Err(StateError::Kind.into()) };
                        source = source.after(of, *given)?;
                    }
                    let feed = Feed::new(Box::new(source), scans, None, false);
                    if files.definition().subsort.is_some() { feed.counting() } else { feed }
                }
                Offer::Network(network) => {
                    let part = Plan { scans: part, ..plan.clone() };
                    let state = match &left {
                        Some(Left::State { state, .. }) => Some(state),
                        Some(Left::Again { .. }) => return Err(StateError::Kind.into()),
                        None => None,
                    };
                    Feed::new(network.reopen(&part, mode, side, state)?, scans, None, false)
                }
            };
            let feed = feed.holding(offer.most_held(mode));
            feeds.push(match left {
                Some(left) => feed.going_on(left),
                None => feed,
            });
        }
        let read: BTreeSet<_> = feeds.iter().flat_map(Feed::scans).collect();
        if read.len() < plan.scans.len() {
            return Err(SourceError::Unfit("the query reads a stream that no source has".to_owned()));
        }
        let mut merge = Merge::new(feeds, &plan.scans, mode, is_strict, bell, passed);
        if let Some((state, rest)) = from.zip(left_at.as_mut()) {
            merge = merge.going_on(state, rest)?;
        }
        state::end(left_at)?;
        Ok(merge)
    }
}

impl Catalog for Sources {
    fn stream(&self, name: &str) -> Option<Arc<StreamDef>> {
        self.offers.iter().enumerate().find_map(|(at, offer)| match offer {
            Offer::Table { table, .. } => {
                (table.definition().name == name).then(|| Arc::new(table.stream(self.number(at))))
            }
            Offer::Files(files) => {
                (files.definition().name == name).then(|| Arc::new(files.stream(self.number(at))))
            }
            Offer::Network(network) => Some(self.numbered(at, &*network.catalog.stream(name)?)),
        })
    }

    fn stream_function(&self, function: &str, argument: &str) -> Result<Arc<StreamDef>, String> {
        if let (SOURCE, Some(stream)) = (function, self.stream(argument)) {
            return Ok(stream);
        }
        let name = format!("{function}({argument:?})");
        if function == SOURCE {
            return Err(format!("no source is called `{argument}`"));
        }
        let mut wrong = format!("there is no `{name}`");
        for (at, offer) in self.offers.iter().enumerate() {
            match offer {
                Offer::Table { table, .. } if table.definition().name == name => {
                    return Ok(Arc::new(table.stream(self.number(at))));
                }
                Offer::Table { .. } | Offer::Files(_) => {}
                Offer::Network(network) => match network.catalog.stream_function(function, argument) {
                    Ok(stream) => return Ok(self.numbered(at, &stream)),
                    Err(message) => wrong = message,
                },
            }
        }
        Err(wrong)
    }

    fn stream_method(&self, of: &StreamDef, method: &str) -> Option<Arc<StreamDef>> {
        let name = format!("{}.{method}()", of.name);
        self.offers.iter().enumerate().find_map(|(at, offer)| match offer {
            Offer::Table { table, .. } => {
                let known = &table.definition().name;
                (*known == name).then(|| Arc::new(table.stream(self.number(at))))
            }
            Offer::Files(_) => None,
            Offer::Network(network) => Some(self.numbered(at, &*network.catalog.stream_method(of, method)?)),
        })
    }

    fn apart(&self, one: &StreamDef, other: &StreamDef) -> Option<String> {
        match (self.offer_of(one), self.offer_of(other)) {
            (Some(at), Some(of)) if at == of => match &self.offers[at] {
                Offer::Network(network) => network.catalog.apart(one, other),
                Offer::Table { .. } | Offer::Files(_) => None,
            },
            _ => None,
        }
    }

    fn grouping(&self, stream: &StreamDef) -> String {
        let given = self.offers.iter().find_map(|offer| match offer {
            Offer::Table { table, .. } if table.definition().name == stream.name => {
                table.definition().grouping.clone()
            }
            Offer::Files(files) if files.definition().name == stream.name => {
                files.definition().grouping.clone()
            }
            _ => None,
        });
        given.unwrap_or_else(|| stream.key.clone())
    }

    fn stream_methods(&self, stream: &StreamDef) -> Vec<String> {
        let mut methods = Vec::new();
        for offer in &self.offers {
            match offer {
                Offer::Table { table, .. } => {
                    let name = &table.definition().name;
                    let method = name.strip_prefix(&stream.name).and_then(|rest| rest.strip_prefix('.'));
                    methods.extend(method.and_then(|rest| rest.strip_suffix("()")).map(str::to_owned));
                }
                Offer::Files(_) => {}
                Offer::Network(network) => methods.extend(network.catalog.stream_methods(stream)),
            }
        }
        methods
    }

    fn stream_functions(&self) -> Vec<(String, Vec<String>)> {
        let networks = self.offers.iter().filter_map(|offer| match offer {
            Offer::Network(network) => Some(network.catalog.stream_functions()),
            Offer::Table { .. } | Offer::Files(_) => None,
        });
        networks.flatten().chain(std::iter::once((SOURCE.to_owned(), self.names()))).collect()
    }

    fn names(&self) -> Vec<String> {
        let mut names = Vec::new();
        for offer in &self.offers {
            match offer {
                Offer::Table { table, .. } => {
                    names.extend(Some(&table.definition().name).filter(|name| !name.contains('(')).cloned());
                }
                Offer::Files(files) => names.push(files.definition().name.clone()),
                Offer::Network(network) => names.extend(network.catalog.names()),
            }
        }
        names
    }
}

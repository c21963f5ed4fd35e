//! Queries on the command line: compiled with their lexicons, checked, explained.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use skytide_connect::catalog::FirehoseCatalog;
use skytide_connect::files::may_wait;
use skytide_connect::shared::Shared;
use skytide_connect::sources::{Offer, Sources};
use skytide_timestream::QueryError;
use skytide_timestream::chain::Chain;
use skytide_timestream::engine::answer_schema;
use skytide_timestream::plan::{Plan, Results};
use skytide_timestream::query::{Continuity, Query};
use skytide_timestream::types;

use super::args::{CheckArgs, ExplainArgs, QueriesArgs, QueryArgs, SocketArgs};
use super::failure::{DATA, Failure, USAGE};
use super::input::offers;
use super::location::Location;
use super::pipe::Pipe;
use super::sources::SourcesArgs;

/// A query and what its names mean.
pub(crate) struct Compiled {
    pub(crate) catalog: FirehoseCatalog,
    /// The sources, in the order in which they are given.
    pub(crate) offers: Vec<Offer>,
    /// What the query names, in its order.
    mentions: Vec<String>,
    pub(crate) query: Arc<Query>,
}

impl Compiled {
    /// Reads the lexicons and checks the query over a network.
    pub(crate) fn new(args: &QueryArgs) -> Result<Self, Failure> {
        Self::over(args, &SourcesArgs::default(), &SocketArgs::default())
    }

    /// Reads the lexicons and what files say of themselves, and checks the query.
    pub(crate) fn over(
        args: &QueryArgs,
        sources: &SourcesArgs,
        socket: &SocketArgs,
    ) -> Result<Self, Failure> {
        let mentions = mentions(&args.query)?;
        let catalog = catalog(&args.lexicons)?;
        let (offers, _) = offers(sources, socket, &catalog, None, None)?;
        Self::of(&args.query, mentions, &catalog, &offers)
    }

    /// The same for queries that share their sources, in their order; and the pipe among those, which is to
    /// be begun, and for whose first rows it waits so long.
    pub(crate) fn all(
        args: &QueriesArgs,
        sources: &SourcesArgs,
        socket: &SocketArgs,
        within: Option<Duration>,
    ) -> Result<(Vec<Self>, Option<Pipe>), Failure> {
        // What does not read is said before a pipe is waited for.
        let read = args.queries.iter().map(|named| Ok((&named.query, mentions(&named.query)?)));
        let read: Vec<_> = read.collect::<Result<_, Failure>>()?;
        let catalog = catalog(&args.lexicons)?;
        let shared = (args.queries.len() > 1).then(Shared::new);
        let (offers, pipe) = offers(sources, socket, &catalog, shared.as_ref(), within)?;
        let all = read.into_iter().map(|(text, mentions)| Self::of(text, mentions, &catalog, &offers));
        Ok((all.collect::<Result<_, _>>()?, pipe))
    }

    fn of(
        text: &str,
        mentions: Vec<String>,
        catalog: &FirehoseCatalog,
        offers: &[Offer],
    ) -> Result<Self, Failure> {
        let ordered = in_order(offers, &mentions)?;
        let query = skytide_timestream::compile(text, &ordered).map_err(|error| wrong(text, &error))?;
        let query = Arc::new(query);
        // What no answer can be is said before anything is opened.
        let plan = skytide_timestream::plan(Arc::clone(&query), Results::history());
        answer_schema(&plan).map_err(|error| {
            let whole = query.nodes[query.root].span.clone();
            wrong(text, &QueryError::new(whole, error.to_string()))
        })?;
        let (catalog, offers) = (catalog.clone(), offers.to_vec());
        Ok(Self { catalog, offers, mentions, query })
    }

    /// Offers in the order in which the query names them.
    pub(crate) fn in_order(&self, offers: &[Offer]) -> Result<Sources, Failure> {
        in_order(offers, &self.mentions)
    }

    /// How it is computed.
    pub(crate) fn plan(&self, results: Results) -> Plan {
        skytide_timestream::plan(Arc::clone(&self.query), results)
    }
}

/// What a query names, in its order.
fn mentions(text: &str) -> Result<Vec<String>, Failure> {
    Ok(Chain::text(text).map_err(|error| wrong(text, &error))?.mentions())
}

fn wrong(text: &str, error: &QueryError) -> Failure {
    Failure::new(DATA, error.render(text).trim_start_matches("error: "))
}

/// The streams of networks, with those that lexicon files describe.
fn catalog(lexicons: &[PathBuf]) -> Result<FirehoseCatalog, Failure> {
    let read = |path: &PathBuf| {
        std::fs::read_to_string(path)
            .map_err(|error| Failure::new(DATA, format!("lexicon {}: {error}", path.display())))
    };
    let texts = lexicons.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    FirehoseCatalog::with_lexicons(&texts).map_err(|(place, error)| {
        Failure::new(DATA, format!("lexicon {}: {error}", lexicons[place].display()))
    })
}

fn in_order(offers: &[Offer], mentions: &[String]) -> Result<Sources, Failure> {
    let ordered =
        Sources::in_order(offers.to_vec(), mentions).map_err(|message| Failure::new(USAGE, message))?;
    Ok(Sources::new(ordered))
}

/// The sources that a query could name, for what is asked before there is one. What would come through a pipe
/// is left out: nothing is read from there, and nobody waits for it.
pub(crate) fn nameable(lexicons: &[PathBuf], sources: &SourcesArgs) -> Result<Sources, Failure> {
    let lexicons: Vec<_> = lexicons.iter().filter(|path| !may_wait(path)).cloned().collect();
    let catalog = catalog(&lexicons)?;
    let mut sources = sources.clone();
    sources
        .sources
        .retain(|source| source.location != Location::Piped && !source.location.path().is_some_and(may_wait));
    let (offers, _) = offers(&sources, &SocketArgs::default(), &catalog, None, None)?;
    Ok(Sources::new(offers))
}

/// Checks a query over what it is said to be over.
fn checked(args: &CheckArgs) -> Result<Compiled, Failure> {
    Compiled::over(&args.query, &args.sources, &SocketArgs::default())
}

/// `skytide check`.
pub(crate) fn check(args: &CheckArgs) -> Result<(), Failure> {
    let compiled = checked(args)?;
    let root = &compiled.query.nodes[compiled.query.root];
    let continuity = match root.continuity {
        Continuity::Constant => "constant",
        Continuity::Discrete => "discrete: a value at its points only",
        Continuity::Continuous => "continuous: a value that holds until it changes",
    };
    let grouping = root
        .grouping
        .as_ref()
        .map_or_else(|| "none".to_owned(), |of| format!("{} ({})", of.name, types::full_name(&of.key_type)));
    super::print(&format!(
        "type      {}\ngrouping  {grouping}\n          {continuity}\n",
        types::full_name(&root.data_type)
    ))
}

/// `skytide explain`.
pub(crate) fn explain(args: &ExplainArgs) -> Result<(), Failure> {
    let plan = checked(&args.check)?.plan(Results::history());
    match &args.svg {
        None => super::print(&plan.explain()),
        Some(None) => super::print(&plan.explain_svg()),
        Some(Some(path)) if path.as_os_str() == "-" => super::print(&plan.explain_svg()),
        Some(Some(path)) => std::fs::write(path, plan.explain_svg())
            .map_err(|error| Failure::new(DATA, format!("--svg {}: {error}", path.display()))),
    }
}

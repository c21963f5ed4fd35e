//! Queries on the command line: compiled with their lexicons, checked, explained.

use std::sync::Arc;

use skytide_connect::catalog::FirehoseCatalog;
use skytide_timestream::plan::{Plan, Results};
use skytide_timestream::query::{Continuity, Query};
use skytide_timestream::types;

use super::args::QueryArgs;
use super::failure::{DATA, Failure};

/// A query and what its names mean.
pub(crate) struct Compiled {
    pub(crate) catalog: FirehoseCatalog,
    pub(crate) query: Arc<Query>,
}

impl Compiled {
    /// Reads the lexicons and checks the query.
    pub(crate) fn new(args: &QueryArgs) -> Result<Self, Failure> {
        let read = |path: &std::path::PathBuf| {
            std::fs::read_to_string(path)
                .map_err(|error| Failure::new(DATA, format!("lexicon {}: {error}", path.display())))
        };
        let texts = args.lexicons.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        let catalog = FirehoseCatalog::with_lexicons(&texts).map_err(|(place, error)| {
            Failure::new(DATA, format!("lexicon {}: {error}", args.lexicons[place].display()))
        })?;
        let query = skytide_timestream::compile(&args.query, &catalog)
            .map_err(|error| Failure::new(DATA, error.render(&args.query).trim_start_matches("error: ")))?;
        Ok(Self { catalog, query: Arc::new(query) })
    }

    /// How it is computed.
    pub(crate) fn plan(&self, results: Results) -> Plan {
        skytide_timestream::plan(Arc::clone(&self.query), results)
    }
}

/// `skytide check`.
pub(crate) fn check(args: &QueryArgs) -> Result<(), Failure> {
    let compiled = Compiled::new(args)?;
    let root = &compiled.query.nodes[compiled.query.root];
    let continuity = match root.continuity {
        Continuity::Constant => "constant",
        Continuity::Discrete => "discrete: a value at its points only",
        Continuity::Continuous => "continuous: a value that holds until it changes",
    };
    let grouping = root
        .grouping
        .as_ref()
        .map_or_else(|| "none".to_owned(), |grouping| format!("{} ({})", grouping.name, grouping.key_type));
    super::print(&format!(
        "type      {}\ngrouping  {grouping}\n          {continuity}\n",
        types::name(&root.data_type)
    ))
}

/// `skytide explain`.
pub(crate) fn explain(args: &QueryArgs) -> Result<(), Failure> {
    let compiled = Compiled::new(args)?;
    super::print(&compiled.plan(Results::history()).explain())
}

//! A stream of a query, checked as it is built.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow_schema::DataType as ArrowType;
use pyo3::exceptions::{PyOverflowError, PyValueError};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedStr;
use skytide_connect::sources::{Offer, Sources};
use skytide_timestream::catalog::Catalog;
use skytide_timestream::chain::Chain;
use skytide_timestream::engine::EngineError;
use skytide_timestream::functions;
use skytide_timestream::functions::user::UserFunctions;
use skytide_timestream::plan::{ANSWERS_OWN, Results};
use skytide_timestream::query::{Continuity, Query};
use skytide_timestream::times::{self, parse_timestamp};

use super::run::{Execution, RunArgs};
use super::schema::DataType;
use super::udf::{Function, Udf};
use super::window::Window;
use super::{errors, literal};

/// A stream, or anything made of streams: an expression, what it reads, and what it means.
#[pyclass(frozen, module = "skytide._skytide")]
#[derive(Clone)]
pub(super) struct Stream {
    chain: Chain,
    /// What it reads, in the order in which it names it.
    offers: Vec<Offer>,
    /// Functions of Python's that it calls.
    functions: Functions,
    /// Names of the fields of all structs in it.
    taken: Arc<BTreeSet<String>>,
    query: Arc<Query>,
}

/// An argument: a stream, a constant, or a window.
pub(super) enum Argument<'py> {
    Stream(PyRef<'py, Stream>),
    Window(PyRef<'py, Window>),
    Literal(Chain),
}

impl<'a, 'py> FromPyObject<'a, 'py> for Argument<'py> {
    type Error = PyErr;

    fn extract(value: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        if let Ok(stream) = value.extract::<PyRef<'py, Stream>>() {
            return Ok(Self::Stream(stream));
        }
        if let Ok(window) = value.extract::<PyRef<'py, Window>>() {
            return Ok(Self::Window(window));
        }
        let literal = Chain::literal(literal::of(&value)?);
        literal.map(Self::Literal).ok_or_else(|| errors::value("a constant is nested too deeply"))
    }
}

impl Argument<'_> {
    pub(super) fn chain(&self) -> Chain {
        match self {
            Self::Stream(stream) => stream.chain.clone(),
            Self::Window(window) => window.chain.clone(),
            Self::Literal(chain) => chain.clone(),
        }
    }

    /// The streams that it is made of.
    pub(super) fn streams(&self) -> &[Stream] {
        match self {
            Self::Stream(stream) => std::slice::from_ref(stream),
            Self::Window(window) => &window.parts,
            Self::Literal(_) => &[],
        }
    }
}

/// A function: the engine's by its name, or one of Python's.
#[derive(FromPyObject)]
pub(super) enum Callee<'py> {
    Own(PyRef<'py, Udf>),
    Known(String),
}

/// Functions of Python's.
#[derive(Clone, Default)]
struct Functions {
    /// Those that texts call by their names.
    named: UserFunctions,
    /// Those that chains hold, which are given names when the chain is written.
    held: Vec<Arc<Function>>,
}

impl Functions {
    /// Adds those of a part.
    fn join(&mut self, part: &Self) -> PyResult<()> {
        for function in part.named.all() {
            self.named.add(Arc::clone(function)).map_err(errors::value)?;
        }
        for function in &part.held {
            if !self.held.iter().any(|known| known.id == function.id) {
                self.held.push(Arc::clone(function));
            }
        }
        Ok(())
    }

    /// All of them, each with a name of its own, and the names of those that chains hold.
    fn written(&self) -> PyResult<(UserFunctions, BTreeMap<String, String>)> {
        let (mut all, mut names) = (self.named.clone(), BTreeMap::new());
        for function in &self.held {
            let plain = function.named.name();
            let is_free = |name: &str| match all.find(name) {
                Some(known) => Arc::ptr_eq(known, &function.named),
                None => functions::find(name).is_none(),
            };
            let others = (2..).map(|number| format!("{plain}_{number}"));
            let name = std::iter::once(plain.to_owned()).chain(others).find(|name| is_free(name));
            let name = name.unwrap_or_default();
            all.add(function.called(&name)?).map_err(errors::value)?;
            names.insert(function.id.clone(), name);
        }
        Ok((all, names))
    }
}

impl Stream {
    /// What an expression over these sources means; `parts` are what it is made of.
    pub(super) fn build<'a>(
        chain: Chain,
        offers: Vec<Offer>,
        parts: impl IntoIterator<Item = &'a Self>,
    ) -> PyResult<Self> {
        Self::calling(Functions::default(), chain, offers, parts)
    }

    /// The same where these functions can be called.
    fn calling<'a>(
        mut functions: Functions,
        chain: Chain,
        offers: Vec<Offer>,
        parts: impl IntoIterator<Item = &'a Self>,
    ) -> PyResult<Self> {
        let parts: Vec<&Self> = parts.into_iter().collect();
        let mut taken = BTreeSet::new();
        for part in &parts {
            functions.join(&part.functions)?;
            taken.extend(part.taken.iter().cloned());
        }
        let all =
            distinct(offers.into_iter().chain(parts.iter().flat_map(|part| part.offers.iter().cloned())));
        chain.refuse_endless().map_err(|error| errors::query(&error, ""))?;
        let offers = Sources::in_order(all, &chain.mentions()).map_err(errors::value)?;
        let (callable, names) = functions.written()?;
        let text = chain.program(&taken, &names).to_string();
        let catalog = Sources::new(offers.clone());
        let query = skytide_timestream::compile(&text, &callable.over(&catalog))
            .map_err(|error| errors::query(&error, &text))?;
        for node in &query.nodes {
            if let ArrowType::Struct(fields) = &node.data_type {
                taken.extend(fields.iter().map(|field| field.name().clone()));
            }
        }
        Ok(Self { chain, offers, functions, taken: Arc::new(taken), query: Arc::new(query) })
    }

    fn root(&self) -> &skytide_timestream::query::Node {
        &self.query.nodes[self.query.root]
    }
}

/// The record of these fields.
fn record_of(fields: &[(String, Argument<'_>)]) -> PyResult<Chain> {
    if let Some((taken, _)) = fields.iter().find(|(name, _)| ANSWERS_OWN.contains(&name.as_str())) {
        return Err(errors::columns(&EngineError::Taken(taken.clone())));
    }
    Ok(Chain::record(fields.iter().map(|(name, arg)| (name.clone(), arg.chain())).collect()))
}

/// Each source once.
fn distinct(offers: impl IntoIterator<Item = Offer>) -> Vec<Offer> {
    let mut all: Vec<Offer> = Vec::new();
    for offer in offers {
        if !all.iter().any(|known| known.is(&offer)) {
            all.push(offer);
        }
    }
    all
}

#[pymethods]
impl Stream {
    /// A function of arguments, one of which is a stream. Names are of parameters; None is a place.
    #[staticmethod]
    #[expect(clippy::needless_pass_by_value, reason = "what Python gives is made anew")]
    fn call(function: Callee<'_>, args: Vec<(Option<String>, Argument<'_>)>) -> PyResult<Self> {
        let mut functions = Functions::default();
        let name = match &function {
            Callee::Own(udf) => {
                functions.held.push(Arc::clone(&udf.0));
                udf.0.id.as_str()
            }
            Callee::Known(name) => name.as_str(),
        };
        let chain = Chain::call(name, args.iter().map(|(name, arg)| (name.clone(), arg.chain())).collect());
        let parts = args.iter().flat_map(|(_, arg)| arg.streams());
        Self::calling(functions, chain, Vec::new(), parts)
    }

    /// A record of these fields, one of which is a stream.
    #[staticmethod]
    #[expect(clippy::needless_pass_by_value, reason = "what Python gives is made anew")]
    fn record(fields: Vec<(String, Argument<'_>)>) -> PyResult<Self> {
        Self::build(record_of(&fields)?, Vec::new(), fields.iter().flat_map(|(_, arg)| arg.streams()))
    }

    /// Its records with these fields too.
    #[expect(clippy::needless_pass_by_value, reason = "what Python gives is made anew")]
    fn extend(&self, fields: Vec<(String, Argument<'_>)>) -> PyResult<Self> {
        let args = vec![(None, self.chain.clone()), (None, record_of(&fields)?)];
        let parts = std::iter::once(self).chain(fields.iter().flat_map(|(_, arg)| arg.streams()));
        Self::build(Chain::call("extend", args), Vec::new(), parts)
    }

    /// A query written as text, in which these names are these streams; it can call these functions.
    #[staticmethod]
    #[expect(clippy::needless_pass_by_value, reason = "what Python gives is made anew")]
    #[pyo3(signature = (text, sources, udfs=Vec::new()))]
    fn text(
        text: &str,
        sources: Vec<(String, PyRef<'_, Self>)>,
        udfs: Vec<PyRef<'_, Udf>>,
    ) -> PyResult<Self> {
        let mut functions = Functions::default();
        for udf in &udfs {
            functions.named.add(Arc::clone(&udf.0.named)).map_err(errors::value)?;
        }
        let bound: Vec<_> =
            sources.iter().map(|(name, stream)| (name.clone(), stream.chain.clone())).collect();
        let chain = Chain::text_with(text, bound).map_err(|error| errors::query(&error, text))?;
        let streams = || sources.iter().map(|(_, stream)| &**stream);
        // An error has its place in the text as it was written, and its names are those of the text.
        let (mut all, mut taken) = (functions.clone(), BTreeSet::new());
        for stream in streams() {
            all.join(&stream.functions)?;
            taken.extend(stream.taken.iter().cloned());
        }
        let offers = streams().flat_map(|stream| stream.offers.iter().cloned());
        let mut offers = Sources::in_order(distinct(offers), &chain.mentions()).map_err(errors::value)?;
        let (callable, names) = all.written()?;
        let (catalog, program) = (Sources::new(offers.clone()), chain.program(&taken, &names));
        let checked = skytide_timestream::check(&program, text, &callable.over(&catalog));
        checked.map_err(|mut error| {
            let own = Chain::text(text).map(|own| own.program(&taken, &names).lets).unwrap_or_default();
            let is_told = |name: &str| {
                sources.iter().any(|(given, _)| given == name) || own.iter().any(|one| one.name.name == name)
            };
            // What a program pushes or reads has another name here; a connection's streams have theirs.
            offers.retain(|offer| !matches!(offer, Offer::Network(_)));
            let lets = program.lets.iter().map(|one| one.name.name.clone());
            let others = lets.chain(Sources::new(offers).names());
            let hidden: BTreeSet<_> = others.filter(|name| !is_told(name)).collect();
            error.expected.retain(|name| !hidden.contains(name));
            error.nearest = error.nearest.filter(|name| !hidden.contains(name));
            errors::query(&error, text)
        })?;
        Self::calling(functions, chain, Vec::new(), streams())
    }

    /// A field of its values.
    fn field(&self, name: &str) -> PyResult<Self> {
        Self::build(self.chain.field(name), Vec::new(), [self])
    }

    /// The type of its values.
    #[getter]
    fn data_type(&self) -> DataType {
        DataType(self.root().data_type.clone())
    }

    /// Whether a value holds until it changes.
    #[getter]
    fn is_continuous(&self) -> bool {
        self.root().continuity == Continuity::Continuous
    }

    /// What its keys are.
    #[getter]
    fn grouping(&self) -> Option<String> {
        self.root().grouping.as_ref().map(|grouping| grouping.name.to_string())
    }

    /// Whether it reads a connection, which has no end.
    #[getter]
    fn is_endless(&self) -> bool {
        self.offers
            .iter()
            .any(|offer| matches!(offer, Offer::Network(network) if network.connection.is_live()))
    }

    /// The text that means it.
    fn __str__(&self) -> &str {
        &self.query.text
    }

    /// How it is computed, a step a line: every point, or one row a key.
    #[pyo3(signature = (*, snapshot=false))]
    fn explain(&self, snapshot: bool) -> String {
        let results =
            if snapshot { Results::Snapshot { changed_since: None, at: None } } else { Results::history() };
        skytide_timestream::plan(Arc::clone(&self.query), results).explain()
    }

    /// Runs it, in threads of its own.
    #[pyo3(signature = (*, live=false, snapshot=false, since=None, until=None, row_limit=None, max_batch_size=None))]
    fn run(
        &self,
        live: bool,
        snapshot: bool,
        since: Option<&Bound<'_, PyAny>>,
        until: Option<&Bound<'_, PyAny>>,
        row_limit: Option<usize>,
        max_batch_size: Option<usize>,
    ) -> PyResult<Execution> {
        let bounds = if snapshot { ["changed_since", "at"] } else { ["since", "until"] };
        let since = since.map(|at| time_of(bounds[0], at)).transpose()?;
        let until = until.map(|at| time_of(bounds[1], at)).transpose()?;
        let results = if snapshot {
            Results::Snapshot { changed_since: since, at: until }
        } else {
            Results::History { since, until }
        };
        let args = RunArgs { results, live, row_limit, max_batch_size };
        Execution::start(&self.query, &Sources::new(self.offers.clone()), &args)
    }
}

/// Nanoseconds of what bounds an answer: a datetime, a text as in queries, or nanoseconds.
fn time_of(bound: &str, at: &Bound<'_, PyAny>) -> PyResult<i64> {
    let beyond = |at: &Bound<'_, PyAny>| {
        let message =
            format!("{bound}={at}: beyond the times that 64 bits of nanoseconds hold, 1677 to 2262");
        PyValueError::new_err(message)
    };
    match at.extract::<PyBackedStr>() {
        Ok(text) => parse_timestamp(&text).ok_or_else(|| {
            PyValueError::new_err(match times::why_unread(&text) {
                Some(why) => format!("{bound}={:?}: {why}", &*text),
                None => format!("{bound}: {:?} is no time, as \"2026-07-04T12:00:00Z\" is", &*text),
            })
        }),
        Err(_) => at.extract::<i64>().or_else(|_| {
            super::rows::nanos_of_moment(at).map_err(|error| {
                if error.is_instance_of::<PyOverflowError>(at.py()) { beyond(at) } else { error }
            })
        }),
    }
}

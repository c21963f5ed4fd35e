//! Functions of the program that asks: a trait over Arrow arrays, checked and planned like the language's own.
//!
//! One is named by its signature, and called in a query as any other. It is the program's code, so nothing it
//! does may break the engine: an error, a panic, a result of the wrong length or type ends the query that
//! called it, by the function's name.
//!
//! ```
//! use std::error::Error;
//! use std::sync::Arc;
//!
//! use arrow_array::cast::AsArray;
//! use arrow_array::types::Float64Type;
//! use arrow_array::{ArrayRef, Float64Array};
//! use arrow_schema::DataType;
//! use skytide_timestream::functions::user::{UserFunction, UserFunctions};
//!
//! struct Hypotenuse;
//!
//! impl UserFunction for Hypotenuse {
//!     fn signature(&self) -> &str {
//!         "hypotenuse(a: f64, b: f64) -> f64"
//!     }
//!
//!     fn evaluate(&self, arguments: &[ArrayRef], _: &DataType) -> Result<ArrayRef, Box<dyn Error + Send + Sync>> {
//!         let [a, b] = arguments else { return Err("two arguments".into()) };
//!         let pairs = a.as_primitive::<Float64Type>().iter().zip(b.as_primitive::<Float64Type>());
//!         Ok(Arc::new(pairs.map(|(a, b)| Some(a?.hypot(b?))).collect::<Float64Array>()))
//!     }
//! }
//!
//! let mut functions = UserFunctions::default();
//! functions.define(Hypotenuse)?;
//! // `compile("events.x.hypotenuse(events.y)", &functions.over(&catalog))`
//! # Ok::<(), skytide_timestream::functions::user::DefineError>(())
//! ```

use std::any::Any;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::error::Error;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use arrow_array::ArrayRef;
use arrow_cast::cast;
use arrow_schema::DataType;

use super::find;
use super::signature::{Signature, Type};
use crate::catalog::{Catalog, StreamDef};
use crate::syntax::{KEYWORDS, is_word};
use crate::types;

/// Longest signature, in bytes.
const MAX_SIGNATURE: usize = 1000;

/// A function of values, over a batch at a time.
///
/// It must be pure: equal arguments give equal results, row by row, whatever other rows are in the batch. For
/// the engine chooses the batches, computes what is used twice once, and computes a value that holds between
/// its points wherever it is looked at.
pub trait UserFunction: Send + Sync + 'static {
    /// Its name, what it takes and what it gives, in the language of [`signature`](super::signature):
    /// `add_one<N: number>(x: N) -> N`. It is read once, when the function is defined.
    fn signature(&self) -> &str;

    /// Computes a batch.
    ///
    /// `arguments` are arrays of one length, which is not 0, of the types that checking chose for this call;
    /// constants are repeated, and an argument that is left out is all null. Rows are those at which the call
    /// has a point, or holds a value. The result has the same length and the type `result`, but for what has
    /// no meaning in it: how the items of lists and the entries of maps are called, and whether they may be
    /// null. Several threads may call it at once.
    ///
    /// # Errors
    /// What ends the query, in words.
    fn evaluate(
        &self,
        arguments: &[ArrayRef],
        result: &DataType,
    ) -> Result<ArrayRef, Box<dyn Error + Send + Sync>>;
}

/// A user's function whose signature is understood.
pub struct UserDefined {
    text: String,
    signature: Signature,
    function: Box<dyn UserFunction>,
    /// How many rows it is given at once.
    at_once: AtomicUsize,
}

/// So many rows a function is given first.
const FIRST: usize = 16;
/// What takes less is given more rows the next time, what takes much more is given less.
const QUICK: Duration = Duration::from_millis(20);

/// Why a function cannot be defined.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DefineError {
    /// The signature does not read.
    #[error(
        "`{signature}` is no signature: {reason}; one is `f<N: number>(x: N, y: f64) -> N`, with the types {}, binary, list<…> and map<…>",
        types::CASTABLE.join(", ")
    )]
    Signature {
        /// The signature as it was given.
        signature: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The language has a function of this name.
    #[error("`{0}` is a function of the language: one's own needs another name")]
    Taken(String),
    /// Another function of this name is there already.
    #[error("two functions are called `{0}`")]
    Twice(String),
}

/// A user's function failed; the query that called it ends.
#[derive(Debug, thiserror::Error)]
#[error("the function `{function}` {failure}")]
pub struct CallError {
    /// The function's name.
    pub function: String,
    /// How it failed.
    #[source]
    pub failure: Failure,
}

/// How a user's function failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// It said so.
    #[error("failed: {0}")]
    Refused(#[source] Box<dyn Error + Send + Sync>),
    /// It panicked.
    #[error("panicked: {0}")]
    Panicked(String),
    /// Its result is not as long as its arguments.
    #[error("gave {found} values for {expected} rows")]
    Length {
        /// Length of the arguments.
        expected: usize,
        /// Length of the result.
        found: usize,
    },
    /// Its result is not of the type that it was asked for.
    #[error("gave values of the type {found}, not {expected}")]
    Type {
        /// The type that follows from its signature.
        expected: DataType,
        /// The type of the result.
        found: DataType,
    },
}

impl UserDefined {
    /// A function by its signature.
    ///
    /// # Errors
    /// The signature does not read, its result depends on more than types, or its name is one of the language's.
    pub fn new(function: impl UserFunction) -> Result<Self, DefineError> {
        let text = function.signature().to_owned();
        match understood(&text) {
            Ok(signature) if find(&signature.name).is_some() => Err(DefineError::Taken(signature.name)),
            Ok(signature) => {
                Ok(Self { text, signature, function: Box::new(function), at_once: AtomicUsize::new(FIRST) })
            }
            Err(reason) => Err(DefineError::Signature { signature: text, reason }),
        }
    }

    /// Its name in queries.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.signature.name
    }

    /// What it takes and gives, as it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What it takes and gives.
    #[must_use]
    pub const fn signature(&self) -> &Signature {
        &self.signature
    }

    /// How many rows to give it at once, so that what it does can be left: it may be slow.
    pub(crate) fn at_once(&self) -> usize {
        self.at_once.load(Ordering::Relaxed)
    }

    /// Notes how long it took for so many rows, as [`Self::at_once`] said.
    pub(crate) fn took(&self, rows: usize, time: Duration) {
        if time < QUICK {
            self.at_once.fetch_max(rows.saturating_mul(4), Ordering::Relaxed);
        } else if time > 4 * QUICK {
            self.at_once.store((rows / 4).max(1), Ordering::Relaxed);
        }
    }

    /// Computes a batch of `rows` rows, of which there is one at least. `arguments` are arrays of that
    /// length, `result` is the type that follows from theirs.
    ///
    /// # Errors
    /// It failed, panicked, or gave something else than `rows` values of the type.
    pub fn call(
        &self,
        arguments: &[ArrayRef],
        rows: usize,
        result: &DataType,
    ) -> Result<ArrayRef, CallError> {
        let failed = |failure| CallError { function: self.name().to_owned(), failure };
        // What a panic leaves half done is the function's own state, of which nothing is read here.
        let outcome = catch_unwind(AssertUnwindSafe(|| self.function.evaluate(arguments, result)));
        let values = outcome
            .map_err(|panic| failed(Failure::Panicked(message(panic))))?
            .map_err(|error| failed(Failure::Refused(error)))?;
        if values.len() != rows {
            return Err(failed(Failure::Length { expected: rows, found: values.len() }));
        }
        if values.data_type() == result {
            return Ok(values);
        }
        if !types::is_alike(values.data_type(), result) {
            let found = values.data_type().clone();
            return Err(failed(Failure::Type { expected: result.clone(), found }));
        }
        // It gives the inner fields their names, and looks whether there is null where the type has none.
        cast(&values, result).map_err(|error| failed(Failure::Refused(error.into())))
    }
}

/// What a panic said.
#[expect(clippy::mem_forget, reason = "dropping what a stranger's panic carries could panic again")]
fn message(panic: Box<dyn Any + Send>) -> String {
    match panic.downcast::<String>() {
        Ok(message) => *message,
        Err(panic) => match panic.downcast::<&str>() {
            Ok(message) => (*message).to_owned(),
            Err(panic) => {
                std::mem::forget(panic);
                "it did not say why".to_owned()
            }
        },
    }
}

/// Reads the signature of a user's function.
fn understood(text: &str) -> Result<Signature, &'static str> {
    if text.len() > MAX_SIGNATURE {
        return Err("it is too long");
    }
    let signature = Signature::parse(text)?;
    if !is_word(&signature.name) || KEYWORDS.contains(&signature.name.as_str()) {
        return Err("its name is no name");
    }
    let words = signature.params.iter().map(|param| &param.name);
    let words: Vec<_> = words.chain(signature.variables.iter().map(|(name, _)| name)).collect();
    if words.iter().any(|word| !is_word(word)) {
        return Err("the name of a parameter or of a type is no name");
    }
    if words.iter().enumerate().any(|(at, word)| words[..at].contains(word)) {
        return Err("a name is given twice");
    }
    if signature.variables.iter().any(|(name, _)| types::castable(name).is_some()) {
        return Err("a type variable has the name of a type");
    }
    if signature.params.iter().skip_while(|param| !param.optional).any(|param| !param.optional) {
        return Err("what may be left out comes last");
    }
    if signature.result == Type::Depends {
        return Err("`any` is no type; a type variable of that class is one: `f<T: any>(x: T) -> T`");
    }
    Ok(signature)
}

impl fmt::Debug for UserDefined {
    /// The signature: what a plan, and with it a checkpoint, knows of the function.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Functions of a program, by name.
#[derive(Debug, Clone, Default)]
pub struct UserFunctions(BTreeMap<String, Arc<UserDefined>>);

impl UserFunctions {
    /// Adds a function.
    ///
    /// # Errors
    /// See [`DefineError`].
    pub fn define(&mut self, function: impl UserFunction) -> Result<(), DefineError> {
        self.add(Arc::new(UserDefined::new(function)?))
    }

    /// Adds a function that may be in several sets; adding it again changes nothing.
    ///
    /// # Errors
    /// There is another of its name.
    pub fn add(&mut self, function: Arc<UserDefined>) -> Result<(), DefineError> {
        match self.0.entry(function.name().to_owned()) {
            Entry::Occupied(known) if Arc::ptr_eq(known.get(), &function) => Ok(()),
            Entry::Occupied(known) => Err(DefineError::Twice(known.key().clone())),
            Entry::Vacant(place) => {
                place.insert(function);
                Ok(())
            }
        }
    }

    /// The function of a name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Arc<UserDefined>> {
        self.0.get(name)
    }

    /// All of them, by name.
    pub fn all(&self) -> impl Iterator<Item = &Arc<UserDefined>> {
        self.0.values()
    }

    /// A catalog in which queries can call these functions, too.
    #[must_use]
    pub fn over<'a>(&'a self, catalog: &'a dyn Catalog) -> impl Catalog + 'a {
        Over { functions: self, catalog }
    }
}

/// A catalog with functions.
struct Over<'a> {
    functions: &'a UserFunctions,
    catalog: &'a dyn Catalog,
}

impl Catalog for Over<'_> {
    fn stream(&self, name: &str) -> Option<Arc<StreamDef>> {
        self.catalog.stream(name)
    }

    fn stream_function(&self, function: &str, argument: &str) -> Result<Arc<StreamDef>, String> {
        self.catalog.stream_function(function, argument)
    }

    fn stream_method(&self, stream: &StreamDef, method: &str) -> Option<Arc<StreamDef>> {
        self.catalog.stream_method(stream, method)
    }

    fn stream_methods(&self, stream: &StreamDef) -> Vec<String> {
        self.catalog.stream_methods(stream)
    }

    fn stream_functions(&self) -> Vec<(String, Vec<String>)> {
        self.catalog.stream_functions()
    }

    fn apart(&self, one: &StreamDef, other: &StreamDef) -> Option<String> {
        self.catalog.apart(one, other)
    }

    fn grouping(&self, stream: &StreamDef) -> String {
        self.catalog.grouping(stream)
    }

    fn names(&self) -> Vec<String> {
        self.catalog.names()
    }

    fn functions(&self) -> Option<&UserFunctions> {
        Some(self.functions)
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::types::Int64Type;
    use arrow_array::{ListArray, new_null_array};
    use arrow_schema::Field;

    use super::*;

    struct Named(&'static str);

    impl UserFunction for Named {
        fn signature(&self) -> &str {
            self.0
        }

        fn evaluate(
            &self,
            arguments: &[ArrayRef],
            _: &DataType,
        ) -> Result<ArrayRef, Box<dyn Error + Send + Sync>> {
            Ok(Arc::clone(&arguments[0]))
        }
    }

    #[test]
    fn signatures_must_say_all() {
        for (text, wrong) in [
            ("", "lacks the type"),
            ("f() -> i64", "one parameter at least"),
            ("f(x: i65) -> i64", "a type that there is not"),
            ("a b(x: i64) -> i64", "its name"),
            ("(x: i64) -> i64", "its name"),
            ("not(x: bool) -> bool", "its name"),
            ("f(: i64) -> i64", "no name"),
            ("f(x: i64, x: i64) -> i64", "given twice"),
            ("f<x: any>(x: x) -> x", "given twice"),
            ("f<i64: any>(x: i64) -> i64", "the name of a type"),
            ("f(x: i64?, y: i64) -> i64", "comes last"),
            ("f<T: any>(x: T) -> any", "no type"),
        ] {
            match UserDefined::new(Named(text)) {
                Err(DefineError::Signature { reason, .. }) => {
                    assert!(reason.contains(wrong), "{text}: {reason}");
                }
                other => panic!("{text}: {other:?}"),
            }
        }
        let deep = format!("f(x: {}i64{}) -> i64", "list<".repeat(100_000), ">".repeat(100_000));
        assert!(UserDefined::new(Named(Box::leak(deep.into_boxed_str()))).is_err());
    }

    #[test]
    fn names_of_entries_and_items_are_no_part_of_a_type() {
        let field = |name: &str, of: DataType, nullable| Arc::new(Field::new(name, of, nullable));
        let map = |key: &str, value: &str, is_sorted| {
            let entry = [field(key, DataType::Utf8, false), field(value, DataType::Int64, true)];
            DataType::Map(field("entries", DataType::Struct(entry.into_iter().collect()), false), is_sorted)
        };
        let list = |item: &str, of, nullable| DataType::List(field(item, of, nullable));
        let record = |of, nullable| DataType::Struct([field("x", of, nullable)].into_iter().collect());
        let same = UserDefined::new(Named("same<T: any>(x: T) -> T")).unwrap();
        let call = |given: &DataType, result: &DataType| {
            same.call(&[new_null_array(given, 2)], 2, result).map(|values| values.data_type().clone())
        };
        let (ours, others) = (map("keys", "values", false), map("key", "value", false));
        for (given, result) in [
            (others.clone(), ours.clone()),
            (list("element", others.clone(), false), list("item", ours.clone(), true)),
            (list("item", DataType::Int64, true), list("item", DataType::Int64, false)),
            (record(others.clone(), true), record(ours.clone(), true)),
        ] {
            assert_eq!(call(&given, &result).unwrap(), result);
        }
        for (given, result) in [
            (
                record(DataType::Int64, true),
                DataType::Struct([field("y", DataType::Int64, true)].into_iter().collect()),
            ),
            (list("item", DataType::Int32, true), list("item", DataType::Int64, true)),
            (map("keys", "values", true), ours.clone()),
            (map("keys", "values", false), types::map(DataType::Utf8, DataType::Int32)),
        ] {
            let error = call(&given, &result).unwrap_err();
            assert!(matches!(error.failure, Failure::Type { .. }), "{error}");
        }
        let nulls: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>([Some([None])]));
        let error = same.call(&[nulls], 1, &list("item", DataType::Int64, false)).unwrap_err();
        assert!(matches!(error.failure, Failure::Refused(_)), "{error}");
    }

    #[test]
    fn a_name_means_one_function() {
        let mut functions = UserFunctions::default();
        assert_eq!(functions.define(Named("add(x: i64) -> i64")), Err(DefineError::Taken("add".into())));
        assert_eq!(functions.define(Named("and_(x: i64) -> i64")), Err(DefineError::Taken("and_".into())));
        assert_eq!(functions.define(Named("f(x: i64) -> i64")), Ok(()));
        assert_eq!(functions.define(Named("f(x: i64) -> i64")), Err(DefineError::Twice("f".into())));
        let again = Arc::clone(functions.find("f").unwrap());
        assert_eq!(functions.add(again), Ok(()));
        assert_eq!(functions.all().count(), 1);
    }
}

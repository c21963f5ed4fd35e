//! The same chain in Rust: what is built here prints as the text that means it, and is compiled as that text.
//!
//! ```
//! use skytide_timestream::builder::{field, record, source};
//!
//! let by_language = source("posts").with_key(field("record").field("langs").index(0)).count();
//! assert_eq!(by_language.to_string(), "posts.with_key(record.langs[0]).count()");
//!
//! let long = source("posts").filter(field("record").field("text").len().gt(280));
//! let both = record([("long", long.count()), ("likes", source("likes").count())]);
//! assert_eq!(both.to_string(), "{long: posts.filter(record.text.len() > 280).count(), likes: likes.count()}");
//! ```
//!
//! The functions of the [registry](crate::functions) are methods here under the same names; arithmetic, `-x` and `!x` are Rust's
//! operators. Comparisons are methods, [`eq`](Timestream::eq), [`ne`](Timestream::ne), [`lt`](Timestream::lt) and so on: Rust's `==` gives a
//! `bool` there and then, which as a condition would be a constant, so that there is none:
//!
//! ```compile_fail,E0369
//! use skytide_timestream::builder::{field, lit, source};
//!
//! source("posts").filter(field("lang") == lit("en")); // field("lang").eq("en")
//! ```

use std::fmt::{self, Display, Formatter};
use std::ops;

use crate::catalog::Catalog;
use crate::error::QueryError;
use crate::query::{Calendar, Query};
use crate::scalar::Scalar;
use crate::syntax::{Arg, BinaryOp, Expr, ExprKind, Ident, MAX_DEPTH, UnaryOp};

/// A stream, or anything made of streams and constants, as it will be written. Two of them are told apart by their texts: `==` would be taken
/// for the query's own [`eq`](Self::eq).
#[derive(Debug, Clone)]
pub struct Timestream {
    expr: Result<Expr, Unwritable>,
}

/// Why something has no text.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Unwritable {
    /// It is nested deeper than a text could be.
    Deep,
    /// A window is put over what is no call.
    Window,
}

/// A stream by its name: `posts`.
#[must_use]
pub fn source(name: &str) -> Timestream {
    Timestream::new(ExprKind::Name(name.to_owned()))
}

/// A stream by a function of its source: `records("com.example.thing")`.
#[must_use]
pub fn source_of(function: &str, argument: &str) -> Timestream {
    let args = vec![Arg { name: None, value: constant(Scalar::Text(argument.to_owned())) }];
    Timestream::new(ExprKind::Call { receiver: None, function: ident(function), args })
}

/// A function of arguments by its name, as [`Timestream::apply`], where the first is a constant: `name(1, …)`.
#[must_use]
pub fn call(function: &str, args: impl IntoIterator<Item = Timestream>) -> Timestream {
    let args = args.into_iter().map(|arg| Ok(Arg { name: None, value: arg.expr? }));
    let args = args.collect::<Result<_, _>>();
    Timestream::of(args.map(|args| ExprKind::Call { receiver: None, function: ident(function), args }))
}

/// A field of the stream that the method around it is called on.
#[must_use]
pub fn field(name: &str) -> Timestream {
    source(name)
}

/// A constant.
#[must_use]
pub fn lit(value: impl Into<Timestream>) -> Timestream {
    value.into()
}

/// No value.
#[must_use]
pub fn null() -> Timestream {
    Timestream { expr: Ok(constant(Scalar::Null)) }
}

/// Over which of a key's points an aggregation goes: [`Timestream::over`] takes it.
#[derive(Debug, Clone)]
pub struct Window(Timestream);

impl Window {
    fn call(name: &str, args: impl IntoIterator<Item = Timestream>) -> Self {
        Self(call(name, args))
    }

    fn by(name: &str, calendar: Calendar, args: impl IntoIterator<Item = Timestream>) -> Self {
        Self(source(name).call(calendar.name(), args))
    }

    /// The points since a condition was last true.
    #[must_use]
    pub fn since(predicate: impl Into<Timestream>) -> Self {
        Self::call("since", [predicate.into()])
    }

    /// The points since the last boundary of a calendar.
    ///
    /// ```
    /// use skytide_timestream::builder::{Window, source};
    /// use skytide_timestream::query::Calendar;
    ///
    /// let count = source("posts").count().over(Window::since_each(Calendar::Hourly));
    /// assert_eq!(count.to_string(), "posts.count(window=since.hourly())");
    /// ```
    #[must_use]
    pub fn since_each(calendar: Calendar) -> Self {
        Self::by("since", calendar, [])
    }

    /// The points between two at which a condition is true; a value at each of those.
    #[must_use]
    pub fn tumbling(predicate: impl Into<Timestream>) -> Self {
        Self::call("tumbling", [predicate.into()])
    }

    /// The points between two boundaries of a calendar; a value at each boundary.
    ///
    /// ```
    /// use skytide_timestream::builder::{Window, source};
    /// use skytide_timestream::query::Calendar;
    ///
    /// let count = source("posts").count().over(Window::tumbling_each(Calendar::Daily));
    /// assert_eq!(count.to_string(), "posts.count(window=tumbling.daily())");
    /// ```
    #[must_use]
    pub fn tumbling_each(calendar: Calendar) -> Self {
        Self::by("tumbling", calendar, [])
    }

    /// The points of the last so many intervals between points at which a condition is true; a value at each of those.
    #[must_use]
    pub fn sliding(intervals: u32, predicate: impl Into<Timestream>) -> Self {
        Self::call("sliding", [i64::from(intervals).into(), predicate.into()])
    }

    /// The points of the last so many intervals of a calendar; a value at each boundary.
    ///
    /// ```
    /// use skytide_timestream::builder::{Window, source};
    /// use skytide_timestream::query::Calendar;
    ///
    /// let count = source("posts").count().over(Window::sliding_each(2, Calendar::Minutely));
    /// assert_eq!(count.to_string(), "posts.count(window=sliding.minutely(2))");
    /// ```
    #[must_use]
    pub fn sliding_each(intervals: u32, calendar: Calendar) -> Self {
        Self::by("sliding", calendar, [i64::from(intervals).into()])
    }

    /// The points of the last so long, as `1h30m`.
    #[must_use]
    pub fn trailing(duration: &str) -> Self {
        Self::call("trailing", [duration.into()])
    }
}

/// A record of these fields: `{name: value, …}`.
pub fn record<N: Into<String>>(fields: impl IntoIterator<Item = (N, Timestream)>) -> Timestream {
    let fields = fields.into_iter().map(|(name, value)| Ok((ident(name), value.expr?)));
    Timestream::of(fields.collect::<Result<_, _>>().map(ExprKind::Record))
}

impl Timestream {
    fn new(kind: ExprKind) -> Self {
        let expr = Expr::new(kind, 0..0);
        Self { expr: if expr.depth() <= MAX_DEPTH { Ok(expr) } else { Err(Unwritable::Deep) } }
    }

    fn of(kind: Result<ExprKind, Unwritable>) -> Self {
        kind.map_or_else(|why| Self { expr: Err(why) }, Self::new)
    }

    fn map(self, kind: impl FnOnce(Box<Expr>) -> ExprKind) -> Self {
        Self::of(self.expr.map(|expr| kind(Box::new(expr))))
    }

    fn unary(self, op: UnaryOp) -> Self {
        self.map(|value| ExprKind::Unary { op, value })
    }

    fn binary(self, op: BinaryOp, other: impl Into<Self>) -> Self {
        let other = other.into().expr;
        Self::of(
            self.expr
                .and_then(|left| Ok(ExprKind::Binary { op, left: Box::new(left), right: Box::new(other?) })),
        )
    }

    fn call(self, function: &str, args: impl IntoIterator<Item = Self>) -> Self {
        let args = args.into_iter().map(|arg| Ok(Arg { name: None, value: arg.expr? }));
        Self::of(args.collect::<Result<_, _>>().and_then(|args| {
            let receiver = Some(Box::new(self.expr?));
            Ok(ExprKind::Call { receiver, function: ident(function), args })
        }))
    }

    /// A method without arguments that the stream's source knows, as `posts.deletes()`.
    #[must_use]
    pub fn method(self, name: &str) -> Self {
        self.call(name, [])
    }

    /// A function by its name, as [one of the program's own](crate::functions::user), of this and further arguments.
    #[must_use]
    pub fn apply(self, function: &str, args: impl IntoIterator<Item = Self>) -> Self {
        self.call(function, args)
    }

    /// A field of a struct: `value.name`.
    #[must_use]
    pub fn field(self, name: &str) -> Self {
        self.map(|value| ExprKind::Field { value, name: ident(name) })
    }

    /// An item of a list, counted from 0: `list[0]`.
    #[must_use]
    pub fn index(self, index: impl Into<Self>) -> Self {
        let index = index.into().expr;
        Self::of(
            self.expr
                .and_then(|value| Ok(ExprKind::Index { value: Box::new(value), index: Box::new(index?) })),
        )
    }

    /// The same points under another key, with a name for what the keys are.
    #[must_use]
    pub fn with_key_named(self, key: impl Into<Self>, grouping: &str) -> Self {
        self.call("with_key", [key.into(), grouping.into()])
    }

    /// The aggregation that it is, over a window: `count(window=since.hourly())`.
    #[must_use]
    pub fn over(self, window: Window) -> Self {
        Self::of(self.expr.and_then(|expr| {
            let ExprKind::Call { receiver, function, mut args } = expr.kind else {
                return Err(Unwritable::Window);
            };
            args.push(Arg { name: Some(ident("window")), value: window.0.expr? });
            Ok(ExprKind::Call { receiver, function, args })
        }))
    }

    /// The tree behind it; none if it has no text, as [`Display`] says.
    #[must_use]
    pub fn into_expr(self) -> Option<Expr> {
        self.expr.ok()
    }

    /// Checks it as the text it prints as.
    ///
    /// # Errors
    /// As [`compile`](crate::compile); places are those in the text, which must not be nested too deeply to be read.
    pub fn compile(&self, catalog: &dyn Catalog) -> Result<Query, QueryError> {
        match &self.expr {
            Ok(expr) => crate::compile(&expr.to_string(), catalog),
            Err(Unwritable::Deep) => {
                Err(QueryError::new(0..0, format!("nested too deeply: more than {MAX_DEPTH} levels")))
            }
            Err(Unwritable::Window) => Err(QueryError::new(
                0..0,
                "`over` gives a window to an aggregation: it comes right behind it, as in `.sum().over(…)`",
            )),
        }
    }
}

/// The text that means it; `…` if it is nested deeper than a text can be, or has a [window](Timestream::over) over what is no call.
impl Display for Timestream {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.expr {
            Ok(expr) => expr.fmt(f),
            Err(_) => f.write_str("…"),
        }
    }
}

fn ident(name: impl Into<String>) -> Ident {
    Ident { name: name.into(), span: 0..0 }
}

fn constant(scalar: Scalar) -> Expr {
    Expr::new(ExprKind::Literal(scalar), 0..0)
}

/// Methods that are calls, named as the functions of the registry, whose summaries they carry.
macro_rules! calls {
    ($($summary:literal $name:ident($($arg:ident),*);)*) => {
        impl Timestream {
            $(
                #[doc = $summary]
                #[must_use]
                pub fn $name(self, $($arg: impl Into<Self>),*) -> Self {
                    self.call(stringify!($name), [$($arg.into()),*])
                }
            )*
        }

        #[cfg(test)]
        const CALLS: &[(&str, &str)] = &[$((stringify!($name), $summary)),*];
    };
}

calls! {
    "The points at which a condition is true." filter(condition);
    "The same points under another key." with_key(key);
    "A field of a struct, or a column of a stream." col(name);
    "The value in another type." cast(to);
    "A number made of the value, the same for equal values, for ever." hash();
    "How many values that are not null the key has had so far." count();
    "At how many points the condition was true so far." count_if();
    "The sum of the key's values so far." sum();
    "The least of the key's values so far." min();
    "The greatest of the key's values so far." max();
    "The mean of the key's values so far." mean();
    "The population variance of the key's values so far." variance();
    "The population standard deviation of the key's values so far." stddev();
    "The time of each point." time();
    "The whole seconds from one moment to another." seconds_since(since);
    "The year of a moment." year();
    "The month of a moment." month();
    "The day of a moment in its month." day();
    "The hour of a moment." hour();
    "The minute of a moment." minute();
    "The day of a moment in its week." weekday();
    "The key's first value that was not null." first();
    "The key's newest value that was not null." last();
    "The key's n-th value that was not null before its newest." lag(n);
    "The key's values that were not null, as a list." collect(max, min);
    "The points, later by a length of time." shift_by(duration);
    "The points at another, later time." shift_to(time);
    "The points at the time at which a condition is next true of their key." shift_until(predicate);
    "The whole seconds since the key's point before, or since the n-th before." seconds_since_previous(n);
    "Another stream's value, of the key that an expression gives." lookup(key);
    "Whether there is no value." is_null();
    "Whether there is a value." is_not_null();
    "The value where a condition is true, else null." if_(condition);
    "The value, or another where there is none." else_(default);
    "The value where a condition is false, else null." null_if(condition);
    "The least whole number that is not below a number." ceil();
    "The greatest whole number that is not above a number." floor();
    "The whole number nearest to a number." round();
    "Euler's number to a power." exp();
    "A number to the power of another." powf(power);
    "The square root of a number." sqrt();
    "The number, or the bound that it is beyond." clamp(min, max);
    "The greater of two values." greatest(other);
    "The lesser of two values." least(other);
    "The record of a stream's or struct's fields, and further ones." extend(fields);
    "The characters of a text from one place up to another." substring(start, end);
    "The number of items of a list, or of characters of a text." length();
    "The items of the lists in a list, one after the other." flatten();
    "The distinct items of two lists." union(other);
    "The number of characters of a text." len();
    "The text in lower case." lower();
    "The text in upper case." upper();
}

/// Methods that take any number of arguments, one at least.
macro_rules! lists {
    ($($summary:literal $name:ident($args:ident);)*) => {
        impl Timestream {
            $(
                #[doc = $summary]
                #[must_use]
                pub fn $name<T: Into<Self>>(self, $args: impl IntoIterator<Item = T>) -> Self {
                    self.call(stringify!($name), $args.into_iter().map(Into::into))
                }
            )*
        }

        #[cfg(test)]
        const LISTS: &[(&str, &str)] = &[$((stringify!($name), $summary)),*];
    };
}

lists! {
    "The first of several values that is not null." coalesce(others);
    "The record of some of a stream's or struct's fields." select(names);
    "The record of all but some of a stream's or struct's fields." remove(names);
}

/// Methods that are operators, named as the functions they mean.
macro_rules! operators {
    ($($summary:literal $name:ident $op:ident;)*) => {
        impl Timestream {
            $(
                #[doc = $summary]
                #[must_use]
                pub fn $name(self, other: impl Into<Self>) -> Self {
                    self.binary(BinaryOp::$op, other)
                }
            )*
        }

        #[cfg(test)]
        const OPERATORS: &[(&str, &str)] = &[$((stringify!($name), $summary)),*];
    };
}

operators! {
    "Whether two values are equal." eq Eq;
    "Whether two values differ." ne Ne;
    "Whether the first is less than the second." lt Lt;
    "Whether the first is at most the second." le Le;
    "Whether the first is greater than the second." gt Gt;
    "Whether the first is at least the second." ge Ge;
    "Whether both are true." and And;
    "Whether one is true." or Or;
}

macro_rules! arithmetic {
    ($($op:ident $name:ident;)*) => {
        $(
            impl<T: Into<Timestream>> ops::$op<T> for Timestream {
                type Output = Self;

                fn $name(self, other: T) -> Self {
                    self.binary(BinaryOp::$op, other)
                }
            }
        )*

        #[cfg(test)]
        const ARITHMETIC: &[&str] = &[$(stringify!($name)),*];
    };
}

arithmetic! {
    Add add;
    Sub sub;
    Mul mul;
    Div div;
    Rem rem;
}

impl ops::Neg for Timestream {
    type Output = Self;

    fn neg(self) -> Self {
        self.unary(UnaryOp::Neg)
    }
}

impl ops::Not for Timestream {
    type Output = Self;

    fn not(self) -> Self {
        self.unary(UnaryOp::Not)
    }
}

macro_rules! constants {
    ($($from:ty => $value:ident: $scalar:expr;)*) => {
        $(
            impl From<$from> for Timestream {
                fn from($value: $from) -> Self {
                    Self { expr: Ok(constant($scalar)) }
                }
            }
        )*
    };
}

constants! {
    bool => value: Scalar::Bool(value);
    u32 => value: Scalar::Int(value.into());
    u64 => value: i64::try_from(value).map_or(Scalar::UInt(value), Scalar::Int);
    &str => value: Scalar::Text(value.to_owned());
    String => value: Scalar::Text(value);
}

impl From<i32> for Timestream {
    fn from(value: i32) -> Self {
        i64::from(value).into()
    }
}

impl From<i64> for Timestream {
    fn from(value: i64) -> Self {
        let size = Self::from(value.unsigned_abs());
        if value < 0 { -size } else { size }
    }
}

/// What has no literal is written as the division that gives it.
impl From<f64> for Timestream {
    fn from(value: f64) -> Self {
        let finite = |value| Self { expr: Ok(constant(Scalar::Float(value))) };
        if value.is_nan() {
            finite(0.0) / finite(0.0)
        } else if value.is_sign_negative() {
            -Self::from(-value)
        } else if value.is_infinite() {
            finite(1.0) / finite(0.0)
        } else {
            finite(value)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::functions;
    use crate::syntax::parse;

    #[test]
    fn every_function_of_the_registry_is_a_method_with_its_summary() {
        let named: BTreeMap<_, _> = CALLS.iter().chain(LISTS).chain(OPERATORS).copied().collect();
        for function in functions::all() {
            match function.name {
                "neg" | "not" | "index" => {}
                name if ARITHMETIC.contains(&name) => {}
                name => assert_eq!(named.get(name), Some(&function.summary), "{name}"),
            }
        }
        assert_eq!(named.len() + ARITHMETIC.len() + 3, functions::all().count());
    }

    #[test]
    fn what_is_too_deep_is_an_error_not_a_crash() {
        let mut any = field("did").eq("x");
        for at in 0..100_000 {
            any = any.or(field("did").eq(at));
        }
        assert_eq!(any.to_string(), "…");
        struct Nothing;
        impl Catalog for Nothing {
            fn stream(&self, _: &str) -> Option<std::sync::Arc<crate::catalog::StreamDef>> {
                None
            }
            fn stream_function(
                &self,
                _: &str,
                _: &str,
            ) -> Result<std::sync::Arc<crate::catalog::StreamDef>, String> {
                Err(String::new())
            }
            fn stream_method(
                &self,
                _: &crate::catalog::StreamDef,
                _: &str,
            ) -> Option<std::sync::Arc<crate::catalog::StreamDef>> {
                None
            }
            fn names(&self) -> Vec<String> {
                Vec::new()
            }
        }
        let error = record([("a", any)]).compile(&Nothing).unwrap_err();
        assert_eq!(error.message, "nested too deeply: more than 200 levels");
        let window = field("x").over(Window::since_each(Calendar::Hourly)).gt(1);
        let error = source("posts").filter(window).compile(&Nothing).unwrap_err();
        assert!(error.message.contains("as in `.sum().over(…)`"), "{}", error.message);
    }

    fn name() -> impl Strategy<Value = String> {
        prop_oneof!["[a-z_$][a-z0-9_]{0,5}", "\\PC{1,4}", Just("not".to_owned()), Just("let".to_owned())]
    }

    fn leaf() -> impl Strategy<Value = Timestream> {
        prop_oneof![
            name().prop_map(|name| source(&name)),
            any::<i64>().prop_map(lit),
            any::<u64>().prop_map(lit),
            any::<f64>().prop_map(lit),
            any::<bool>().prop_map(lit),
            ".{0,8}".prop_map(lit),
            Just(null()),
            (name(), ".{0,4}").prop_map(|(name, text)| source_of(&name, &text)),
        ]
    }

    fn chain() -> impl Strategy<Value = Timestream> {
        leaf().prop_recursive(6, 40, 4, |inner| {
            let pair = || (inner.clone(), inner.clone());
            prop_oneof![
                (inner.clone(), name()).prop_map(|(value, name)| value.field(&name)),
                (inner.clone(), name()).prop_map(|(value, name)| value.method(&name)),
                (name(), prop::collection::vec(inner.clone(), 0..3))
                    .prop_map(|(name, args)| call(&name, args)),
                (inner.clone(), name(), prop::collection::vec(inner.clone(), 0..3))
                    .prop_map(|(value, name, args)| value.apply(&name, args)),
                pair().prop_map(|(value, index)| value.index(index)),
                pair().prop_map(|(value, other)| value.filter(other)),
                pair().prop_map(|(value, other)| value.with_key_named(other, "g")),
                pair().prop_map(|(value, other)| value.or(other)),
                pair().prop_map(|(value, other)| value.and(other)),
                pair().prop_map(|(value, other)| value.lt(other)),
                pair().prop_map(|(value, other)| value.eq(other)),
                pair().prop_map(|(value, other)| value - other),
                pair().prop_map(|(value, other)| value / other),
                inner.clone().prop_map(|value| !value),
                inner.clone().prop_map(|value| -value),
                prop::collection::vec((name(), inner.clone()), 0..3).prop_map(record),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_built_reads_back_as_itself(built in chain()) {
            let text = built.to_string();
            let read = parse(&text).map_err(|error| TestCaseError::fail(error.render(&text)))?;
            prop_assert!(read.lets.is_empty());
            prop_assert_eq!(Ok(read.body), built.expr);
        }
    }
}

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
//! The functions of the [registry](crate::functions) are methods here under the same names; arithmetic, `-x`
//! and `!x` are Rust's operators. Comparisons are methods, [`eq`](Timestream::eq), [`ne`](Timestream::ne),
//! [`lt`](Timestream::lt) and so on: Rust's `==` gives a `bool` there and then, which as a condition would be
//! a constant, so that there is none:
//!
//! ```compile_fail,E0369
//! use skytide_timestream::builder::{field, lit, source};
//!
//! source("posts").filter(field("lang") == lit("en")); // field("lang").eq("en")
//! ```

mod methods;
#[cfg(test)]
mod tests;
mod window;

use std::fmt::{self, Display, Formatter};

use crate::catalog::Catalog;
use crate::error::QueryError;
use crate::query::{Query, Span};
use crate::scalar::Scalar;
use crate::syntax::{Arg, BinaryOp, Expr, ExprKind, Ident, MAX_DEPTH, UnaryOp, joined};
pub use window::Window;

/// A stream, or anything made of streams and constants, as it will be written. Two of them are told apart by
/// their texts: `==` would be taken for the query's own [`eq`](Self::eq).
#[derive(Debug, Clone)]
pub struct Timestream {
    built: Result<Built, Unwritable>,
}

/// What is built so far.
#[derive(Debug, Clone)]
enum Built {
    Whole(Expr),
    /// Conditions joined by `and` or by `or`, to which more may come: as a text does, they may be more than a
    /// tree is deep that has them one after the other.
    Row(BinaryOp, Vec<Expr>),
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
    let args = args.into_iter().map(|arg| Ok(Arg { name: None, value: arg.whole()? }));
    let args = args.collect::<Result<_, _>>();
    Timestream::of(args.map(|args| ExprKind::Call { receiver: None, function: ident(function), args }))
}

/// A field of the stream that the method around it is called on: a bare name, as that of a [`source`] is.
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
    Timestream::constant(Scalar::Null)
}

/// A record of these fields: `{name: value, …}`.
pub fn record<N: Into<String>>(fields: impl IntoIterator<Item = (N, Timestream)>) -> Timestream {
    let fields = fields.into_iter().map(|(name, value)| Ok((ident(name), value.whole()?)));
    Timestream::of(fields.collect::<Result<_, _>>().map(ExprKind::Record))
}

impl Timestream {
    fn new(kind: ExprKind) -> Self {
        Self { built: node(kind, 0..0).map(Built::Whole) }
    }

    fn constant(scalar: Scalar) -> Self {
        Self { built: Ok(Built::Whole(constant(scalar))) }
    }

    /// The tree of it: nothing more comes to its row.
    fn whole(self) -> Result<Expr, Unwritable> {
        match self.built? {
            Built::Whole(expr) => Ok(expr),
            Built::Row(op, all) => joined(op, all, &node),
        }
    }

    fn of(kind: Result<ExprKind, Unwritable>) -> Self {
        kind.map_or_else(|why| Self { built: Err(why) }, Self::new)
    }

    fn map(self, kind: impl FnOnce(Box<Expr>) -> ExprKind) -> Self {
        Self::of(self.whole().map(|expr| kind(Box::new(expr))))
    }

    fn unary(self, op: UnaryOp) -> Self {
        self.map(|value| ExprKind::Unary { op, value })
    }

    fn binary(self, op: BinaryOp, other: impl Into<Self>) -> Self {
        let (left, right) = (self, other.into().whole());
        Self { built: right.and_then(|right| left.joined_to(op, right)) }
    }

    fn joined_to(self, op: BinaryOp, right: Expr) -> Result<Built, Unwritable> {
        match self.built? {
            Built::Row(of, mut all) if of == op => {
                all.push(right);
                Ok(Built::Row(op, all))
            }
            left => {
                let left = Self { built: Ok(left) }.whole()?;
                if matches!(op, BinaryOp::And | BinaryOp::Or) {
                    return Ok(Built::Row(op, vec![left, right]));
                }
                let (left, right) = (Box::new(left), Box::new(right));
                node(ExprKind::Binary { op, left, right }, 0..0).map(Built::Whole)
            }
        }
    }

    /// A method without arguments that the stream's source knows, as `posts.deletes()`:
    /// [`apply`](Self::apply) without arguments.
    #[must_use]
    pub fn method(self, name: &str) -> Self {
        self.apply(name, [])
    }

    /// A function by its name, as [one of the program's own](crate::functions::user), of this and further arguments.
    #[must_use]
    pub fn apply(self, function: &str, args: impl IntoIterator<Item = Self>) -> Self {
        let args = args.into_iter().map(|arg| Ok(Arg { name: None, value: arg.whole()? }));
        Self::of(args.collect::<Result<_, _>>().and_then(|args| {
            let receiver = Some(Box::new(self.whole()?));
            Ok(ExprKind::Call { receiver, function: ident(function), args })
        }))
    }

    /// A field of a struct: `value.name`.
    #[must_use]
    pub fn field(self, name: &str) -> Self {
        self.map(|value| ExprKind::Field { value, name: ident(name) })
    }

    /// An item of a list, counted from 0: `list[0]`.
    #[must_use]
    pub fn index(self, index: impl Into<Self>) -> Self {
        let index = index.into().whole();
        Self::of(
            self.whole()
                .and_then(|value| Ok(ExprKind::Index { value: Box::new(value), index: Box::new(index?) })),
        )
    }

    /// The same points under another key, with a name for what the keys are.
    #[must_use]
    pub fn with_key_named(self, key: impl Into<Self>, grouping: &str) -> Self {
        self.apply("with_key", [key.into(), grouping.into()])
    }

    /// The aggregation that it is, over a window: `count(window=since.hourly())`.
    #[must_use]
    pub fn over(self, window: Window) -> Self {
        Self::of(self.whole().and_then(|expr| {
            let ExprKind::Call { receiver, function, mut args } = expr.kind else {
                return Err(Unwritable::Window);
            };
            args.push(Arg { name: Some(ident("window")), value: window.0.whole()? });
            Ok(ExprKind::Call { receiver, function, args })
        }))
    }

    /// The tree behind it; none if it has no text, as [`Display`] says.
    #[must_use]
    pub fn into_expr(self) -> Option<Expr> {
        self.whole().ok()
    }

    /// Checks it as the text it prints as.
    ///
    /// # Errors
    /// As [`compile`](crate::compile); places are those in the text, which must not be nested too deeply to be read.
    pub fn compile(&self, catalog: &dyn Catalog) -> Result<Query, QueryError> {
        match self.clone().whole() {
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

/// The text that means it; `…` if it is nested deeper than a text can be, or has a [window](Timestream::over)
/// over what is no call.
impl Display for Timestream {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.clone().whole() {
            Ok(expr) => expr.fmt(f),
            Err(_) => f.write_str("…"),
        }
    }
}

fn ident(name: impl Into<String>) -> Ident {
    Ident { name: name.into(), span: 0..0 }
}

/// A node of the tree, unless that is too deep with it.
fn node(kind: ExprKind, span: Span) -> Result<Expr, Unwritable> {
    let expr = Expr::new(kind, span);
    if expr.depth() <= MAX_DEPTH { Ok(expr) } else { Err(Unwritable::Deep) }
}

fn constant(scalar: Scalar) -> Expr {
    Expr::new(ExprKind::Literal(scalar), 0..0)
}

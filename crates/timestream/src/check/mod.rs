//! Text to a checked query: names are looked up, types chosen, groupings compared, and each distinct
//! expression kept once.
//!
//! A literal has no type until it meets something that has one (SEMANTICS 2.1), so checking an expression
//! gives a [`Value`]: a literal yet to be typed, or a node of the graph. What a name means is in [`names`], a
//! call in [`calls`], what its function makes of its arguments in [`forms`].

mod arguments;
mod calls;
mod forms;
mod graph;
mod literal;
mod names;
pub(crate) mod probe;
mod records;
pub(crate) mod windows;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::catalog::{Catalog, StreamDef};
use crate::error::QueryError;
use crate::functions;
use crate::query::{Op, Query, Span};
use crate::scalar::Scalar;
use crate::syntax::{self, BinaryOp, Expr, ExprKind, Ident, Program};
use arguments::{Callee, Given};
use graph::Graph;

/// Reads and checks a query.
///
/// # Errors
/// The first thing that is wrong with it, with its place in the text. Nothing has run.
pub fn compile(text: &str, catalog: &dyn Catalog) -> Result<Query, QueryError> {
    check(&syntax::parse(text)?, text, catalog)
}

/// Checks a query that was read, or made of what was read: places are those of its expressions, in `text`.
///
/// # Errors
/// As of [`compile`].
pub fn check(program: &Program, text: &str, catalog: &dyn Catalog) -> Result<Query, QueryError> {
    let mut checker = Checker::new(catalog);
    let root = checker.program(program)?;
    let query = checker.graph.finish(text.to_owned(), root);
    apart(&query, catalog)?;
    Ok(query)
}

/// Refuses streams that one query cannot read, at the second. What the answer does not depend on is not read.
fn apart(query: &Query, catalog: &dyn Catalog) -> Result<(), QueryError> {
    let mut streams: Vec<&StreamDef> = Vec::new();
    for node in &query.nodes {
        let Op::Stream(stream) = &node.op else { continue };
        if let Some(why) = streams.iter().find_map(|other| catalog.apart(other, stream)) {
            return Err(QueryError::new(node.span.clone(), why));
        }
        streams.push(stream);
    }
    Ok(())
}

/// What an expression was found to be.
#[derive(Debug, Clone)]
enum Value {
    /// A constant that takes the type of what it meets.
    Literal(Scalar),
    /// A node of the graph.
    Node(usize),
}

struct Checker<'a> {
    catalog: &'a dyn Catalog,
    graph: Graph,
    lets: BTreeMap<&'a str, Value>,
    /// The `let`s that are windows, which have no value.
    windows: BTreeMap<&'a str, &'a Expr>,
    /// What stands before the dots of the calls around: bare names are their fields, the innermost's first.
    receivers: Vec<usize>,
}

impl<'a> Checker<'a> {
    fn new(catalog: &'a dyn Catalog) -> Self {
        Self {
            catalog,
            graph: Graph::default(),
            lets: BTreeMap::new(),
            windows: BTreeMap::new(),
            receivers: Vec::new(),
        }
    }

    fn program(&mut self, program: &'a Program) -> Result<usize, QueryError> {
        for binding in &program.lets {
            let Ident { name, span } = &binding.name;
            let twice = if let Some(window) = self.window_of(&binding.value) {
                self.lets.contains_key(name.as_str()) || self.windows.insert(name, window).is_some()
            } else {
                let value = self.expr(&binding.value)?;
                self.windows.contains_key(name.as_str()) || self.lets.insert(name, value).is_some()
            };
            if twice {
                return Err(QueryError::new(span.clone(), format!("`{name}` is defined twice")));
            }
        }
        let body = &program.body;
        let root = self.expr(body)?;
        match root {
            Value::Node(root) if self.graph.node(root).grouping.is_some() => Ok(root),
            _ => Err(no_points(body.span.clone(), "an answer").expecting(&["an expression of a stream"])),
        }
    }

    /// The window that an expression is, if it is written as one or is the name of one.
    fn window_of(&self, expr: &'a Expr) -> Option<&'a Expr> {
        match &expr.kind {
            ExprKind::Name(name) => self.windows.get(name.as_str()).copied(),
            _ => windows::window_name(expr).map(|_| expr),
        }
    }

    fn expr(&mut self, expr: &'a Expr) -> Result<Value, QueryError> {
        let span = &expr.span;
        if let Some(name) = windows::window_name(expr)
            && self.catalog.stream(name).is_none()
        {
            let message = format!("`{name}` is a window, not a value");
            return Err(QueryError::new(span.clone(), message)
                .note("an aggregation takes it by name, as `count(window=since.hourly())`"));
        }
        match &expr.kind {
            ExprKind::Literal(literal) => Ok(Value::Literal(literal.clone())),
            ExprKind::Name(name) => self.name(name, span),
            ExprKind::Field { value, name } => {
                let of = self.expr(value)?;
                self.field(&of, &name.name, &name.span, span)
            }
            ExprKind::Index { value, index } => self.operation("index", &[value, index], span),
            ExprKind::Unary { op, value } => self.operation(op.function(), &[value], span),
            ExprKind::Binary { op, left, right } => self.binary(*op, left, right, span),
            ExprKind::Call { receiver, function, args } => {
                self.call(receiver.as_deref(), function, args, span)
            }
            ExprKind::Record(fields) => self.record(fields, span),
        }
    }

    fn binary(
        &mut self,
        op: BinaryOp,
        left: &'a Expr,
        right: &'a Expr,
        span: &Span,
    ) -> Result<Value, QueryError> {
        self.operation(op.function(), &[left, right], span)
    }

    /// What an operator means.
    fn operation(&mut self, name: &str, operands: &[&'a Expr], span: &Span) -> Result<Value, QueryError> {
        let function = functions::find(name);
        let function = function
            .ok_or_else(|| QueryError::new(span.clone(), format!("no function is called `{name}`")))?;
        let mut given = Vec::new();
        for operand in operands {
            given.push(Given { name: None, value: self.expr(operand)?, expr: operand });
        }
        self.apply(function, given, None, span)
    }

    /// The points of a stream.
    fn stream(&mut self, stream: Arc<StreamDef>, span: &Span) -> Result<Value, QueryError> {
        let grouping = self.catalog.grouping(&stream);
        self.graph.add_stream(stream, &grouping, span)
    }

    fn record(&mut self, fields: &'a [(Ident, Expr)], span: &Span) -> Result<Value, QueryError> {
        if fields.is_empty() {
            return Err(QueryError::new(span.clone(), "a record needs at least one field")
                .expecting(&["name: value"]));
        }
        let (mut names, mut nodes) = (Vec::new(), Vec::new());
        for (Ident { name, span }, value) in fields {
            if names.contains(name) {
                return Err(QueryError::new(span.clone(), format!("the field `{name}` is given twice")));
            }
            names.push(name.clone());
            let checked = self.expr(value)?;
            nodes.push(self.natural(checked, &value.span)?);
        }
        self.graph.add_record(names, nodes, span)
    }

    /// A node for a value that meets nothing with a type.
    fn natural(&mut self, value: Value, span: &Span) -> Result<usize, QueryError> {
        match value {
            Value::Node(node) => Ok(node),
            Value::Literal(literal) => {
                let data_type = literal::natural_type(&literal);
                self.graph.add_literal(literal, data_type, span)
            }
        }
    }
}

/// An error about a constant where there must be points.
fn no_points(span: Span, what: &str) -> QueryError {
    QueryError::new(span, format!("a constant has no points: {what} needs a stream"))
}

/// The registry contradicts the checker; its tests keep this from happening.
fn defect(function: &dyn Callee, span: &Span) -> QueryError {
    QueryError::new(span.clone(), format!("`{}` is not defined as it is used", function.name()))
}

//! Parts of a text that is being written, each checked in its place: what completion asks of the checker.
//!
//! A text with a hole is no query, but its parts are expressions: what stands before a dot, the `let`s before
//! it, what the calls around it are called on. They are checked as those of a query are, by the same code,
//! and what is wrong with one is passed over.

use std::sync::Arc;

use arrow_schema::{DataType, Fields};

use super::arguments::{self, Callee, Given};
use super::{Checker, Value, literal};
use crate::catalog::{Catalog, StreamDef};
use crate::functions::user::{UserDefined, UserFunctions};
use crate::functions::{self, Form, Function, FunctionKind};
use crate::syntax::{Expr, Let};
use crate::types;

/// A checker of parts.
pub(crate) struct Probe<'a> {
    checker: Checker<'a>,
}

/// A part that is an expression.
#[derive(Clone)]
pub(crate) struct Part<'a> {
    value: Value,
    expr: &'a Expr,
}

impl<'a> Probe<'a> {
    /// One over what can be named.
    pub(crate) fn new(catalog: &'a dyn Catalog) -> Self {
        Self { checker: Checker::new(catalog) }
    }

    /// Takes in a `let`.
    pub(crate) fn define(&mut self, binding: &'a Let) {
        let name = binding.name.name.as_str();
        if let Some(window) = self.checker.window_of(&binding.value) {
            self.checker.windows.insert(name, window);
        } else if let Ok(value) = self.checker.expr(&binding.value) {
            self.checker.lets.insert(name, value);
        }
    }

    /// Goes into the arguments of a call of this: bare names are its fields.
    pub(crate) fn enter(&mut self, receiver: &Part<'a>) {
        if let Value::Node(node) = receiver.value {
            self.checker.receivers.push(node);
        }
    }

    /// What a part is; none if something is wrong with it.
    pub(crate) fn part(&mut self, expr: &'a Expr) -> Option<Part<'a>> {
        let value = self.checker.expr(expr).ok()?;
        Some(Part { value, expr })
    }

    /// Type of a part's values.
    pub(crate) fn data_type(&self, part: &Part<'a>) -> DataType {
        match &part.value {
            Value::Node(node) => self.checker.graph.node(*node).data_type.clone(),
            Value::Literal(literal) => literal::natural_type(literal),
        }
    }

    /// What a dot and a name gives of a part: the fields of a struct, or of the structs of a list.
    pub(crate) fn fields(&self, part: &Part<'a>) -> Option<Fields> {
        types::fields(&self.data_type(part)).cloned()
    }

    /// The fields that bare names are here, of the innermost call first.
    pub(crate) fn in_reach(&self) -> Vec<Fields> {
        let receivers = self.checker.receivers.iter().rev();
        let fields = receivers.filter_map(|node| match &self.checker.graph.node(*node).data_type {
            DataType::Struct(fields) => Some(fields.clone()),
            _ => None,
        });
        fields.collect()
    }

    /// The `let`s that are values, with their types.
    pub(crate) fn lets(&self) -> impl Iterator<Item = (&'a str, DataType)> {
        self.checker.lets.iter().map(|(name, value)| {
            let data_type = match value {
                Value::Node(node) => self.checker.graph.node(*node).data_type.clone(),
                Value::Literal(literal) => literal::natural_type(literal),
            };
            (*name, data_type)
        })
    }

    /// The `let`s that are windows, as they are written.
    pub(crate) fn windows(&self) -> impl Iterator<Item = (&'a str, &'a Expr)> {
        self.checker.windows.iter().map(|(name, expr)| (*name, *expr))
    }

    /// The functions of the language that can be called on a part.
    pub(crate) fn functions(&mut self, part: &Part<'a>) -> Vec<&'static Function> {
        functions::all().filter(|function| self.takes(function, part)).collect()
    }

    /// The program's own functions that can be called on a part.
    pub(crate) fn own_functions(&mut self, part: &Part<'a>) -> Vec<Arc<UserDefined>> {
        let own = self.checker.catalog.functions().into_iter().flat_map(UserFunctions::all);
        let own: Vec<_> = own.map(Arc::clone).collect();
        own.into_iter()
            .filter(|function| {
                self.fits(&**function, part) && (needs_more(&**function) || self.coerces(function, part))
            })
            .collect()
    }

    /// The methods that the catalog knows of a part, with the streams that they give.
    pub(crate) fn stream_methods(&self, part: &Part<'a>) -> Vec<(String, Arc<StreamDef>)> {
        let Value::Node(node) = part.value else { return Vec::new() };
        let Some(stream) = self.checker.graph.stream_of(node) else { return Vec::new() };
        let catalog = self.checker.catalog;
        let known = catalog.stream_methods(stream).into_iter();
        known.filter_map(|name| catalog.stream_method(stream, &name).map(|gives| (name, gives))).collect()
    }

    fn takes(&mut self, function: &'static Function, part: &Part<'a>) -> bool {
        let node = match part.value {
            Value::Node(node) => Some(self.checker.graph.node(node)),
            Value::Literal(_) => None,
        };
        let has_points = node.is_some_and(|node| node.grouping.is_some());
        let is_struct = |data_type: &DataType| matches!(data_type, DataType::Struct(_));
        let is_possible = match &function.kind {
            FunctionKind::Scalar(_) => true,
            FunctionKind::Form(Form::Select | Form::Remove | Form::Extend) => {
                node.is_some_and(|node| is_struct(&node.data_type))
            }
            FunctionKind::Form(Form::Col) => node.is_some_and(|node| {
                is_struct(&node.data_type) || types::item(&node.data_type).is_some_and(is_struct)
            }),
            FunctionKind::Form(Form::Cast) => {
                let from = self.data_type(part);
                let mut types = types::CASTABLE.iter().filter_map(|name| types::castable(name));
                types.any(|to| arrow_cast::can_cast_types(&from, &to))
            }
            FunctionKind::Form(_) | FunctionKind::Aggregate(_) => has_points,
        };
        if !is_possible || !self.fits(function, part) {
            return false;
        }
        // What needs no more is called: checking it says whether it can be.
        needs_more(function) || {
            let span = part.expr.span.clone();
            self.checker.apply(function, vec![given(part)], None, &span).is_ok()
        }
    }

    /// Whether the first parameter takes a part.
    fn fits(&self, function: &dyn Callee, part: &Part<'a>) -> bool {
        let given = [given(part)];
        function.signatures().iter().any(|signature| self.checker.fits(signature, &given, false))
    }

    /// Whether a function of the program can be called with nothing but a part.
    fn coerces(&mut self, function: &UserDefined, part: &Part<'a>) -> bool {
        let span = &part.expr.span;
        let matched = arguments::arrange(function, vec![given(part)], span);
        matched.is_ok_and(|matched| self.checker.coerce(function, &matched, span).is_ok())
    }
}

fn given<'a>(part: &Part<'a>) -> Given<'a> {
    Given { name: None, value: part.value.clone(), expr: part.expr }
}

/// Whether a function cannot be called with one argument alone.
fn needs_more(function: &dyn Callee) -> bool {
    let params = function.signatures().first().map(|signature| signature.params.as_slice());
    params.unwrap_or_default().iter().skip(1).any(|param| !param.optional)
}

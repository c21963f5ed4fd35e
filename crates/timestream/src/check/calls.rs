//! What a call means: of a function of the language or of the program's own, or of a stream that the catalog knows.

use std::sync::Arc;

use super::arguments::{self, Given};
use super::{Checker, Value, windows};
use crate::error::{QueryError, nearest};
use crate::functions::user::{UserDefined, UserFunctions};
use crate::functions::{self, Function, FunctionKind};
use crate::query::{Op, Span};
use crate::scalar::Scalar;
use crate::syntax::{Arg, Expr, ExprKind, Ident};

/// A function that a name was found to be.
pub(super) enum Found {
    /// Of the registry.
    Known(&'static Function),
    /// The program's own.
    User(Arc<UserDefined>),
}

impl<'a> Checker<'a> {
    /// `x.f(y)`, or `f(x, y)`, which means the same.
    pub(super) fn call(
        &mut self,
        receiver: Option<&'a Expr>,
        function: &'a Ident,
        args: &'a [Arg],
        span: &Span,
    ) -> Result<Value, QueryError> {
        let Ident { name, span: at } = function;
        let found = self.function(name);
        if let (None, None, [Arg { name: None, value }]) = (receiver, &found, args)
            && let ExprKind::Literal(Scalar::Text(text)) = &value.kind
        {
            let stream = self.catalog.stream_function(name, text);
            return match stream {
                Ok(stream) => self.stream(stream, span),
                Err(message) => {
                    let mut error = QueryError::new(span.clone(), message);
                    let texts = self.catalog.stream_functions().into_iter().find(|(known, _)| known == name);
                    error.nearest = match texts {
                        Some((_, texts)) => nearest(text, texts.iter().map(String::as_str)),
                        None => nearest(name, self.functions().iter().map(String::as_str)),
                    };
                    Err(error)
                }
            };
        }
        let (first, rest) = match (receiver, args) {
            (Some(receiver), args) => (Some(receiver), args),
            (None, [Arg { name: None, value }, rest @ ..]) => (Some(value), rest),
            (None, args) => (None, args),
        };
        let mut given = Vec::new();
        let mut scope = None;
        if let Some(first) = first {
            let value = self.expr(first)?;
            if let Value::Node(node) = value {
                scope = Some(node);
            }
            given.push(Given { name: None, value, expr: first });
        }
        let Some(function) = found else {
            return self.stream_method(scope, name, rest, at, span);
        };
        self.receivers.extend(scope);
        let applied = self.apply_in_scope(function, given, rest, span);
        if scope.is_some() {
            self.receivers.pop();
        }
        applied
    }

    /// A function of arguments of which the first are known; the names in the others are fields of what it is
    /// called on.
    fn apply_in_scope(
        &mut self,
        function: Found,
        mut given: Vec<Given<'a>>,
        args: &'a [Arg],
        span: &Span,
    ) -> Result<Value, QueryError> {
        let mut window = None;
        for arg in args {
            let is_window = arg.name.as_ref().is_some_and(|name| name.name == "window");
            if is_window
                && let Found::Known(Function { kind: FunctionKind::Aggregate(_), name, .. }) = &function
            {
                if window.replace(&arg.value).is_some() {
                    let message = format!("`window` of `{name}` is given twice");
                    return Err(QueryError::new(arg.value.span.clone(), message));
                }
            } else {
                if let (Some(Ident { name, span }), Found::Known(function), Some(_)) =
                    (&arg.name, &function, windows::window_name(&arg.value))
                    && matches!(function.kind, FunctionKind::Aggregate(_))
                {
                    let message = format!("`{}` has no parameter `{name}`", function.name);
                    return Err(QueryError::unknown(span.clone(), message, name, vec!["window".to_owned()]));
                }
                let value = self.expr(&arg.value)?;
                given.push(Given { name: arg.name.as_ref(), value, expr: &arg.value });
            }
        }
        match function {
            Found::Known(function) => self.apply(function, given, window, span),
            Found::User(function) => {
                let matched = arguments::arrange(&*function, given, span)?;
                let (nodes, data_type) = self.coerce(&*function, &matched, span)?;
                self.graph.add_joined(Op::User(function), nodes, data_type, span, None)
            }
        }
    }

    /// The function of a name.
    pub(super) fn function(&self, name: &str) -> Option<Found> {
        let own = || self.catalog.functions()?.find(name).map(|function| Found::User(Arc::clone(function)));
        functions::find(name).map(Found::Known).or_else(own)
    }

    /// The names of all functions.
    fn functions(&self) -> Vec<String> {
        let own = self.catalog.functions().into_iter().flat_map(UserFunctions::all);
        let known = functions::all().map(|function| function.name.to_owned());
        known.chain(own.map(|function| function.name().to_owned())).collect()
    }

    /// A method that the catalog knows, as `posts.deletes()`.
    fn stream_method(
        &mut self,
        receiver: Option<usize>,
        name: &str,
        args: &[Arg],
        at: &Span,
        span: &Span,
    ) -> Result<Value, QueryError> {
        let stream = receiver.and_then(|node| self.graph.stream_of(node));
        if let Some(stream) = stream
            && let Some(other) = self.catalog.stream_method(stream, name)
        {
            return match args {
                [] => self.stream(other, span),
                [first, ..] => {
                    let place = first.value.span.clone();
                    Err(QueryError::new(place, format!("`{name}` takes no arguments")))
                }
            };
        }
        if self.catalog.stream_functions().iter().any(|(known, _)| known == name) {
            let message = format!("`{name}` takes one text in quotes, as `{name}(\"…\")`");
            return Err(QueryError::new(span.clone(), message));
        }
        if let Some(of) = self.has_method(name) {
            let message = format!("this has no `{name}()`: streams such as `{of}` have it");
            return Err(QueryError::new(at.clone(), message));
        }
        let message = format!("no function is called `{name}`");
        let methods = stream.map(|stream| self.catalog.stream_methods(stream)).unwrap_or_default();
        let known = self.functions().into_iter().chain(methods).collect();
        let mut error = QueryError::unknown(at.clone(), message, name, known);
        // All names of the registry are too many to list: the nearest helps.
        error.expected.clear();
        if receiver.is_some_and(|node| self.graph.field_of(node, name).is_some()) {
            return Err(error.note(format!("`{name}` is a field: it is written without brackets")));
        }
        Err(error)
    }

    /// A stream that has a method, by its name.
    fn has_method(&self, method: &str) -> Option<String> {
        self.catalog.names().into_iter().find(|name| {
            let stream = self.catalog.stream(name);
            stream.is_some_and(|stream| self.catalog.stream_method(&stream, method).is_some())
        })
    }
}

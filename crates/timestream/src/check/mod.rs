//! Text to a checked query: names are looked up, types chosen, groupings compared, and each distinct expression kept once.
//!
//! A literal has no type until it meets something that has one (SEMANTICS 2.1), so checking an expression gives a [`Value`]:
//! a literal yet to be typed, or a node of the graph.

mod arguments;
mod graph;
mod literal;
pub(crate) mod probe;
mod records;
pub(crate) mod windows;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_schema::DataType;

use crate::catalog::{Catalog, StreamDef};
use crate::error::{QueryError, nearest};
use crate::functions::user::{UserDefined, UserFunctions};
use crate::functions::{self, Family, Form, Function, FunctionKind, eval};
use crate::query::{Grouping, Op, Query, Span};
use crate::scalar::Scalar;
use crate::syntax::{self, Arg, BinaryOp, Expr, ExprKind, Ident, Program, UnaryOp};
use crate::types;
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

/// A function that a name was found to be.
enum Found {
    /// Of the registry.
    Known(&'static Function),
    /// The program's own.
    User(Arc<UserDefined>),
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
            ExprKind::Unary { op, value } => self.unary(*op, value, span),
            ExprKind::Binary { op, left, right } => self.binary(*op, left, right, span),
            ExprKind::Call { receiver, function, args } => {
                self.call(receiver.as_deref(), function, args, span)
            }
            ExprKind::Record(fields) => self.record(fields, span),
        }
    }

    fn unary(&mut self, op: UnaryOp, value: &'a Expr, span: &Span) -> Result<Value, QueryError> {
        // A negative number is a literal like any other: it takes the type of what it meets.
        if let (UnaryOp::Neg, ExprKind::Literal(literal)) = (op, &value.kind)
            && let Some(negated) = literal::negate(literal)
        {
            return Ok(Value::Literal(negated));
        }
        self.operation(op.function(), &[value], span)
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

    /// A bare name: a field of what the method is called on, else a `let`, else a source (SEMANTICS 8.1).
    fn name(&mut self, name: &'a str, span: &Span) -> Result<Value, QueryError> {
        for receiver in self.receivers.clone().into_iter().rev() {
            if let Some((_, data_type)) = self.graph.field_of(receiver, name) {
                return self.graph.add_field(receiver, name, data_type, span);
            }
        }
        if let Some(value) = self.lets.get(name) {
            return Ok(value.clone());
        }
        if let Some(stream) = self.catalog.stream(name) {
            return self.stream(stream, span);
        }
        let mut known: Vec<String> =
            self.receivers.iter().rev().flat_map(|at| self.graph.fields_of(*at)).collect();
        known.extend(self.lets.keys().map(|&name| name.to_owned()));
        let fields = if known.is_empty() { "" } else { "field, `let` or " };
        known.extend(self.catalog.names());
        let message = format!("no {fields}source is called `{name}`");
        let error = QueryError::unknown(span.clone(), message, name, known);
        if self.windows.contains_key(name) {
            return Err(
                error.note(format!("`{name}` is a window: an aggregation takes it as `window={name}`"))
            );
        }
        Err(if self.function(name).is_some() {
            error.note(format!("`{name}` is a function: it is called with brackets, on what it is of"))
        } else {
            error
        })
    }

    fn field(&mut self, of: &Value, name: &str, at: &Span, span: &Span) -> Result<Value, QueryError> {
        let (node, data_type) = match of {
            Value::Node(node) => (*node, self.graph.node(*node).data_type.clone()),
            Value::Literal(literal) => {
                let found = literal::describe(literal);
                let message = format!("Cannot access column `{name}`: this is {found}, not a struct");
                return Err(QueryError::new(at.clone(), message));
            }
        };
        if let DataType::List(item) = &data_type
            && let DataType::Struct(fields) = item.data_type()
        {
            let known = || fields.iter().map(|field| field.name().clone()).collect();
            let (_, field) = fields.find(name).ok_or_else(|| {
                let message =
                    format!("Illegal field reference: the structs of this list have no field `{name}`");
                QueryError::unknown(at.clone(), message, name, known())
            })?;
            let result = types::list(field.data_type().clone());
            let name = self.graph.add_literal(Scalar::Text(name.to_owned()), DataType::Utf8, at)?;
            let op = Op::Call(&functions::lists::FIELDS);
            return self.graph.add_joined(op, vec![node, name], result, span, None);
        }
        if !matches!(data_type, DataType::Struct(_)) {
            let found = types::name(&data_type);
            let error = QueryError::new(
                at.clone(),
                format!("Cannot access column `{name}`: this is {found}, not a struct"),
            );
            return Err(self.hint_call(error, node, name));
        }
        if let Some((_, field)) = self.graph.field_of(node, name) {
            return self.graph.add_field(node, name, field, span);
        }
        let known = self.graph.fields_of(node);
        let message = format!("Illegal field reference: there is no field `{name}` here");
        Err(self.hint_call(QueryError::unknown(at.clone(), message, name, known), node, name))
    }

    /// Says so where a call has lost its brackets.
    fn hint_call(&self, error: QueryError, node: usize, name: &str) -> QueryError {
        let method = self.graph.stream_of(node).and_then(|stream| self.catalog.stream_method(stream, name));
        if self.function(name).is_some() || method.is_some() {
            return error.note(format!("`{name}` is a function: it is called with brackets, `{name}(…)`"));
        }
        error
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

    /// `x.f(y)`, or `f(x, y)`, which means the same.
    fn call(
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

    /// A function of arguments of which the first are known; the names in the others are fields of what it is called on.
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
    fn function(&self, name: &str) -> Option<Found> {
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

    /// A function of arguments, and an aggregation's window.
    fn apply(
        &mut self,
        function: &'static Function,
        given: Vec<Given<'a>>,
        window: Option<&'a Expr>,
        span: &Span,
    ) -> Result<Value, QueryError> {
        let mut matched = arguments::arrange(function, given, span)?;
        if function.family == Family::Comparisons {
            self.as_seconds(&mut matched);
        }
        match &function.kind {
            FunctionKind::Form(Form::Col) => {
                let [value, name, ..] = matched.as_slice() else { return Err(defect(function, span)) };
                let (of, expr) = (value.value.clone(), name.expr);
                let name = arguments::text(function, "name", name)?.to_owned();
                self.field(&of, &name, &expr.span, span)
            }
            FunctionKind::Form(Form::Cast) => {
                let [value, to, ..] = matched.as_slice() else { return Err(defect(function, span)) };
                let name = arguments::text(function, "type", to)?;
                let to = types::castable(name).ok_or_else(|| {
                    let known = types::CASTABLE.map(str::to_owned).to_vec();
                    QueryError::unknown(
                        to.expr.span.clone(),
                        format!("no type is called `{name}`"),
                        name,
                        known,
                    )
                })?;
                self.cast(value, to, span)
            }
            FunctionKind::Form(Form::Select) => self.select(function, &matched, span),
            FunctionKind::Form(Form::Remove) => self.remove(function, &matched, span),
            FunctionKind::Form(Form::Extend) => self.extend(function, &matched, span),
            FunctionKind::Form(Form::Time) => {
                let (nodes, data_type) = self.coerce(function, &matched, span)?;
                self.graph.add_joined(Op::Time, nodes, data_type, span, Some(function.name))
            }
            FunctionKind::Form(Form::Filter) => {
                let (nodes, data_type) = self.coerce(function, &matched, span)?;
                self.graph.add_joined(Op::Filter, nodes, data_type, span, Some(function.name))
            }
            FunctionKind::Form(Form::WithKey) => self.with_key(function, &matched, span),
            FunctionKind::Scalar(_) => {
                let (nodes, data_type) = self.coerce(function, &matched, span)?;
                self.graph.add_joined(Op::Call(function), nodes, data_type, span, None)
            }
            FunctionKind::Form(Form::ShiftBy) => self.shift(Op::ShiftBy, function, &matched, span),
            FunctionKind::Form(Form::ShiftTo) => self.shift(Op::ShiftTo, function, &matched, span),
            FunctionKind::Form(Form::ShiftUntil) => self.shift(Op::ShiftUntil, function, &matched, span),
            FunctionKind::Form(Form::Lookup) => self.lookup(function, &matched, span),
            FunctionKind::Form(Form::SecondsSincePrevious) => {
                self.seconds_since_previous(function, &matched, span)
            }
            FunctionKind::Aggregate(_) => self.aggregation(function, &matched, window, span),
        }
    }

    /// A length of time beside a count of seconds is as many seconds: `time().seconds_since_previous() > "5m"`.
    fn as_seconds(&self, given: &mut [Given<'a>]) {
        let counts = |given: &Given<'_>| match given.value {
            Value::Node(node) => {
                matches!(self.graph.node(node).op, Op::Call(Function { name: "seconds_since", .. }))
            }
            Value::Literal(_) => false,
        };
        if !given.iter().any(counts) {
            return;
        }
        for argument in given {
            let literal = match &argument.value {
                Value::Literal(literal) => literal,
                // `"5m".cast("duration")`
                Value::Node(node) => match self.graph.cast_literal(*node) {
                    Some((literal, DataType::Duration(_))) => literal,
                    _ => continue,
                },
            };
            if let Some(seconds) = literal::seconds(literal) {
                argument.value = Value::Literal(seconds);
            }
        }
    }

    fn cast(&mut self, value: &Given<'a>, to: DataType, span: &Span) -> Result<Value, QueryError> {
        let place = &value.expr.span;
        if let Value::Literal(Scalar::Null) = value.value {
            return self.graph.add_literal(Scalar::Null, to, span).map(Value::Node);
        }
        let node = self.natural(value.value.clone(), place)?;
        let from = &self.graph.node(node).data_type;
        if !eval::can_cast(from, &to) {
            let message = format!(
                "Incompatible argument types: no {} can be cast to {}",
                types::name(from),
                types::name(&to)
            );
            return Err(QueryError::new(place.clone(), message));
        }
        self.graph.add_cast(node, to, span).map(Value::Node)
    }

    fn with_key(
        &mut self,
        function: &'static Function,
        matched: &[Given<'a>],
        span: &Span,
    ) -> Result<Value, QueryError> {
        let [_, key, grouping] = matched else { return Err(defect(function, span)) };
        let name = match &grouping.value {
            Value::Literal(Scalar::Null) => key.expr.to_string(),
            _ => arguments::text(function, "grouping", grouping)?.to_owned(),
        };
        let (nodes, data_type) = self.coerce(function, &matched[..2], span)?;
        let key_type = self.graph.node(nodes[1]).data_type.clone();
        let grouping = Grouping { name: Arc::from(name), key_type };
        self.graph.add_with_key(nodes, data_type, grouping, span)
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

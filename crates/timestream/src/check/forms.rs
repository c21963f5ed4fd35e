//! What a function makes of its arguments: a call, or an operation of its own.

use std::sync::Arc;

use arrow_schema::DataType;

use super::arguments::{self, Given};
use super::{Checker, Value, defect, literal};
use crate::error::QueryError;
use crate::functions::{Family, Form, Function, FunctionKind, eval};
use crate::query::{Grouping, Op, Span};
use crate::scalar::Scalar;
use crate::syntax::Expr;
use crate::types;

impl<'a> Checker<'a> {
    /// A function of arguments, and an aggregation's window.
    pub(super) fn apply(
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
        // A negative number is a literal like any other: it takes the type of what it meets.
        if let (Function { name: "neg", .. }, [Given { value: Value::Literal(literal), .. }]) =
            (function, matched.as_slice())
            && let Some(negated) = literal::negate(literal)
        {
            return Ok(Value::Literal(negated));
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
            FunctionKind::Form(Form::Time) => self.joined(Op::Time, function, &matched, span),
            FunctionKind::Form(Form::Filter) => self.joined(Op::Filter, function, &matched, span),
            FunctionKind::Form(Form::WithKey) => self.with_key(function, &matched, span),
            FunctionKind::Scalar(_) => self.joined(Op::Call(function), function, &matched, span),
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

    /// An operation on the union of the arguments' points; only a call of a function may be one on constants alone.
    fn joined(
        &mut self,
        op: Op,
        function: &'static Function,
        matched: &[Given<'a>],
        span: &Span,
    ) -> Result<Value, QueryError> {
        let (nodes, data_type) = self.coerce(function, matched, span)?;
        let needs_points = if matches!(op, Op::Call(_)) { None } else { Some(function.name) };
        self.graph.add_joined(op, nodes, data_type, span, needs_points)
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

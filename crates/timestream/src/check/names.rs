//! What a name means: bare, or behind a dot.

use arrow_schema::DataType;

use super::{Checker, Value, literal};
use crate::error::QueryError;
use crate::functions;
use crate::query::{Op, Span};
use crate::scalar::Scalar;
use crate::types;

impl<'a> Checker<'a> {
    /// A bare name: a field of what the method is called on, else a `let`, else a source (SEMANTICS 8.1).
    pub(super) fn name(&mut self, name: &'a str, span: &Span) -> Result<Value, QueryError> {
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

    pub(super) fn field(
        &mut self,
        of: &Value,
        name: &str,
        at: &Span,
        span: &Span,
    ) -> Result<Value, QueryError> {
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
}

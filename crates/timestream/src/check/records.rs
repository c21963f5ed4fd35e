//! `select`, `remove` and `extend`: records made of a struct's fields, which is what they are to the planner.

use super::arguments::{self, Given};
use super::{Checker, Value, defect, literal};
use crate::error::QueryError;
use crate::functions::Function;
use crate::query::Span;
use crate::types;

/// Fields of a record under construction: names and nodes.
#[derive(Default)]
struct Fields {
    names: Vec<String>,
    nodes: Vec<usize>,
}

impl<'a> Checker<'a> {
    /// The named fields, in the order of the names.
    pub(super) fn select(
        &mut self,
        function: &'static Function,
        matched: &[Given<'a>],
        span: &Span,
    ) -> Result<Value, QueryError> {
        let [value, names @ ..] = matched else { return Err(defect(function, span)) };
        let of = self.structure(function, value)?;
        let names = self.named(function, of, names)?;
        self.record_of(of, names, span)
    }

    /// All fields but the named ones.
    pub(super) fn remove(
        &mut self,
        function: &'static Function,
        matched: &[Given<'a>],
        span: &Span,
    ) -> Result<Value, QueryError> {
        let [value, names @ ..] = matched else { return Err(defect(function, span)) };
        let of = self.structure(function, value)?;
        let removed = self.named(function, of, names)?;
        let mut left = self.graph.fields_of(of);
        left.retain(|name| !removed.contains(name));
        if left.is_empty() {
            return Err(QueryError::new(span.clone(), "a record needs at least one field: all are removed"));
        }
        self.record_of(of, left, span)
    }

    /// The fields of another struct, then all those that it has none of the name of.
    pub(super) fn extend(
        &mut self,
        function: &'static Function,
        matched: &[Given<'a>],
        span: &Span,
    ) -> Result<Value, QueryError> {
        let [value, further] = matched else { return Err(defect(function, span)) };
        let of = self.structure(function, value)?;
        let with = self.structure(function, further)?;
        let mut fields = self.fields(with, self.graph.fields_of(with), span)?;
        let mut left = self.graph.fields_of(of);
        left.retain(|name| !fields.names.contains(name));
        let left = self.fields(of, left, span)?;
        fields.names.extend(left.names);
        fields.nodes.extend(left.nodes);
        self.graph.add_record(fields.names, fields.nodes, span)
    }

    fn record_of(&mut self, of: usize, names: Vec<String>, span: &Span) -> Result<Value, QueryError> {
        let Fields { names, nodes } = self.fields(of, names, span)?;
        self.graph.add_record(names, nodes, span)
    }

    fn fields(&mut self, of: usize, names: Vec<String>, span: &Span) -> Result<Fields, QueryError> {
        let mut fields = Fields::default();
        for name in names {
            let value = self.field(&Value::Node(of), &name, span, span)?;
            fields.nodes.push(self.natural(value, span)?);
            fields.names.push(name);
        }
        Ok(fields)
    }

    /// An argument that must be a struct with fields.
    fn structure(&self, function: &Function, given: &Given<'_>) -> Result<usize, QueryError> {
        let found = match &given.value {
            Value::Node(node) if !self.graph.fields_of(*node).is_empty() => return Ok(*node),
            Value::Node(node) => types::name(&self.graph.node(*node).data_type),
            Value::Literal(literal) => literal::describe(literal),
        };
        let message =
            format!("Incompatible argument types: `{}` needs a struct, found {found}", function.name);
        Err(QueryError::new(given.expr.span.clone(), message).note(function.signature))
    }

    /// Names of fields, as texts in quotes; each once.
    fn named(
        &mut self,
        function: &Function,
        of: usize,
        given: &[Given<'_>],
    ) -> Result<Vec<String>, QueryError> {
        let mut names: Vec<String> = Vec::new();
        for given in given {
            let name = arguments::text(function, "names", given)?;
            let place = &given.expr.span;
            if names.iter().any(|known| known == name) {
                return Err(QueryError::new(place.clone(), format!("the field `{name}` is given twice")));
            }
            // For its error.
            self.field(&Value::Node(of), name, place, place)?;
            names.push(name.to_owned());
        }
        Ok(names)
    }
}

//! Expressions as the syntax that means them: operators where there are some, names where a `let` has made
//! one, fields of a method's receiver by their names alone.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::{Chain, Kind, LONG, Node, SOURCE, condition, expr, ident};
use crate::scalar::Scalar;
use crate::syntax::{Arg, BinaryOp, Expr, ExprKind, MANY, UnaryOp};

/// What an expression is printed by: streams that fields hide, functions of other names, expressions that
/// have a `let`.
pub(super) struct Printer<'a> {
    pub(super) taken: &'a BTreeSet<String>,
    pub(super) renamed: &'a BTreeMap<String, String>,
    pub(super) lets: HashMap<*const Node, String>,
}

impl Printer<'_> {
    /// An expression, among the arguments of a method that is called on `receiver`.
    pub(super) fn print(&self, chain: &Chain, receiver: Option<&Chain>) -> Expr {
        if let Some(name) = self.lets.get(&Arc::as_ptr(&chain.0)) {
            return expr(ExprKind::Name(name.clone()));
        }
        match &chain.0.kind {
            Kind::Stream(name) if self.taken.contains(name) => self.source(SOURCE, name),
            Kind::Stream(name) => expr(ExprKind::Name(name.clone())),
            Kind::StreamOf { function, argument } => self.source(function, argument),
            Kind::Literal(literal) => literal.clone(),
            // The innermost receiver's fields come before all other names.
            Kind::Field(of, name) if receiver.is_some_and(|receiver| receiver.is_path(of)) => {
                expr(ExprKind::Name(name.clone()))
            }
            Kind::Field(of, name) => {
                let value = Box::new(self.print(of, receiver));
                expr(ExprKind::Field { value, name: ident(name) })
            }
            Kind::Call { function, args } => match chain.0.row {
                Some((len, _)) if len > MANY => self.row(chain, receiver),
                _ => self.call(function, args, receiver),
            },
            Kind::Record(fields) => expr(ExprKind::Record(
                fields.iter().map(|(name, value)| (ident(name), self.print(value, receiver))).collect(),
            )),
            Kind::Window { name, calendar, args } => {
                let (receiver_name, function) = match calendar {
                    None => (None, name.as_str()),
                    Some(calendar) => (Some(Box::new(expr(ExprKind::Name(name.clone())))), calendar.name()),
                };
                let args = args.iter().map(|arg| Arg { name: None, value: self.print(arg, receiver) });
                let args = args.collect();
                expr(ExprKind::Call { receiver: receiver_name, function: ident(function), args })
            }
            Kind::Text { program, .. } => program.body.clone(),
        }
    }

    /// Conditions in a row, as far as none of them has a name.
    fn row(&self, chain: &Chain, receiver: Option<&Chain>) -> Expr {
        let (mut row, mut first, mut joins) = (Vec::new(), chain, None);
        while let Some((op, left, right)) = condition(&first.0.kind)
            && joins.is_none_or(|joins| joins == op)
            && (joins.is_none() || !self.lets.contains_key(&Arc::as_ptr(&first.0)))
        {
            joins = Some(op);
            row.push(self.print(right, receiver));
            first = left;
        }
        row.push(self.print(first, receiver));
        row.reverse();
        halves(joins.unwrap_or(BinaryOp::And), row)
    }

    fn source(&self, function: &str, argument: &str) -> Expr {
        let value = expr(ExprKind::Literal(Scalar::Text(argument.to_owned())));
        let args = vec![Arg { name: None, value }];
        expr(ExprKind::Call { receiver: None, function: ident(function), args })
    }

    fn call(&self, function: &str, args: &[(Option<String>, Chain)], receiver: Option<&Chain>) -> Expr {
        let function = self.renamed.get(function).map_or(function, String::as_str);
        let print = |chain: &Chain| Box::new(self.print(chain, receiver));
        match args {
            [(None, value)] => {
                if let Some(op) =
                    [UnaryOp::Neg, UnaryOp::Not].into_iter().find(|op| op.function() == function)
                {
                    return expr(ExprKind::Unary { op, value: print(value) });
                }
            }
            [(None, value), (None, index)] if function == "index" => {
                return expr(ExprKind::Index { value: print(value), index: print(index) });
            }
            [(None, left), (None, right)] => {
                if let Some(op) = BinaryOp::ALL.into_iter().find(|op| op.function() == function) {
                    return expr(ExprKind::Binary { op, left: print(left), right: print(right) });
                }
            }
            _ => {}
        }
        let (first, rest) = match args {
            [(None, first), rest @ ..] if !matches!(first.0.kind, Kind::Literal(_)) => (Some(first), rest),
            args => (None, args),
        };
        let within = first.or(receiver);
        let mut printed: Vec<Arg> = rest
            .iter()
            .map(|(name, arg)| Arg { name: name.as_deref().map(ident), value: self.print(arg, within) })
            .collect();
        if let ("with_key", false, [_, (_, key)]) = (function, self.lets.is_empty(), args) {
            // Unless it is given, a grouping is called as its key is written, which a `let` must not change.
            let plain = Printer { lets: HashMap::new(), ..*self };
            let name = if key.0.weight > LONG {
                "a long key".to_owned()
            } else {
                plain.print(key, within).to_string()
            };
            printed.push(Arg { name: None, value: expr(ExprKind::Literal(Scalar::Text(name))) });
        }
        expr(ExprKind::Call { receiver: first.map(print), function: ident(function), args: printed })
    }
}

/// Conditions joined, as they are read where there are many.
fn halves(op: BinaryOp, mut row: Vec<Expr>) -> Expr {
    let second = row.split_off(row.len().div_ceil(2));
    match row.pop_if(|_| second.is_empty()) {
        Some(one) => one,
        None => {
            let (left, right) = (Box::new(halves(op, row)), Box::new(halves(op, second)));
            expr(ExprKind::Binary { op, left, right })
        }
    }
}

//! Tree to text: the text that reads back as the same tree, with no brackets and blanks but those it needs.

use std::fmt::{self, Display, Formatter, Write as _};

use super::ast::{COMPARISON, POSTFIX};
use super::lexer::is_word;
use super::{Arg, Expr, ExprKind, Ident, KEYWORDS, Program};
use crate::error::is_unseen;
use crate::scalar::Scalar;

impl Display for Program {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for binding in &self.lets {
            f.write_str("let ")?;
            bare_name(&binding.name.name, f)?;
            writeln!(f, " = {};", binding.value)?;
        }
        self.body.fmt(f)
    }
}

/// The text that reads as this expression.
impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        expr(self, 0, f)
    }
}

/// Writes an expression where only what binds at least as tightly as `power` stands without brackets.
fn expr(value: &Expr, power: u8, f: &mut Formatter<'_>) -> fmt::Result {
    let own = match &value.kind {
        ExprKind::Binary { op, .. } => op.power(),
        ExprKind::Unary { op, .. } => op.power(),
        _ => POSTFIX,
    };
    if own < power {
        f.write_char('(')?;
        expr(value, 0, f)?;
        return f.write_char(')');
    }
    match &value.kind {
        ExprKind::Literal(literal) => scalar(literal, f),
        ExprKind::Name(name) => bare_name(name, f),
        ExprKind::Field { value, name } => {
            expr(value, POSTFIX, f)?;
            f.write_char('.')?;
            any_name(&name.name, f)
        }
        ExprKind::Index { value, index } => {
            expr(value, POSTFIX, f)?;
            write!(f, "[{index}]")
        }
        ExprKind::Unary { op, value } => {
            f.write_str(op.symbol())?;
            if op.symbol() == "not" {
                f.write_char(' ')?;
            }
            // `-(-x)` needs no brackets to be read, but a reader does.
            expr(value, if op.symbol() == "-" { POSTFIX } else { own }, f)
        }
        ExprKind::Binary { op, left, right } => {
            expr(left, if own == COMPARISON { own + 1 } else { own }, f)?;
            write!(f, " {} ", op.symbol())?;
            expr(right, own + 1, f)
        }
        ExprKind::Call { receiver, function, args } => {
            if let Some(receiver) = receiver {
                expr(receiver, POSTFIX, f)?;
                f.write_char('.')?;
                any_name(&function.name, f)?;
            } else {
                bare_name(&function.name, f)?;
            }
            f.write_char('(')?;
            separated(args, f, |Arg { name, value }, f| {
                if let Some(name) = name {
                    bare_name(&name.name, f)?;
                    f.write_char('=')?;
                }
                value.fmt(f)
            })?;
            f.write_char(')')
        }
        ExprKind::Record(fields) => {
            f.write_char('{')?;
            separated(fields, f, |(Ident { name, .. }, value), f| {
                any_name(name, f)?;
                write!(f, ": {value}")
            })?;
            f.write_char('}')
        }
    }
}

fn separated<T>(
    items: &[T],
    f: &mut Formatter<'_>,
    mut write: impl FnMut(&T, &mut Formatter<'_>) -> fmt::Result,
) -> fmt::Result {
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            f.write_str(", ")?;
        }
        write(item, f)?;
    }
    Ok(())
}

/// A name where keywords are not names.
fn bare_name(name: &str, f: &mut Formatter<'_>) -> fmt::Result {
    if KEYWORDS.contains(&name) { write!(f, "`{name}`") } else { any_name(name, f) }
}

/// A name where every word is one.
fn any_name(name: &str, f: &mut Formatter<'_>) -> fmt::Result {
    if is_word(name) { f.write_str(name) } else { write!(f, "`{}`", name.replace('`', "``")) }
}

/// A name as it is written where keywords are not names; `after_dot` where they are.
pub(crate) fn written(name: &str, after_dot: bool) -> String {
    struct Name<'a>(&'a str, bool);
    impl Display for Name<'_> {
        fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
            if self.1 { any_name(self.0, f) } else { bare_name(self.0, f) }
        }
    }
    Name(name, after_dot).to_string()
}

fn scalar(literal: &Scalar, f: &mut Formatter<'_>) -> fmt::Result {
    match literal {
        Scalar::Null => f.write_str("null"),
        Scalar::Bool(value) => value.fmt(f),
        Scalar::Int(value) => value.fmt(f),
        Scalar::UInt(value) => value.fmt(f),
        // Debug keeps the point or exponent that makes it a float again.
        Scalar::Float(value) => fmt::Debug::fmt(value, f),
        Scalar::Text(value) => text(value, f),
        Scalar::Duration(nanos) => text(&crate::times::duration_text(*nanos), f),
        Scalar::Timestamp(nanos) => text(&crate::times::timestamp_text(*nanos), f),
    }
}

/// A text in quotes, with the escapes that the lexer reads.
fn text(value: &str, f: &mut Formatter<'_>) -> fmt::Result {
    f.write_char('"')?;
    for c in value.chars() {
        match c {
            '"' | '\\' => write!(f, "\\{c}")?,
            '\n' => f.write_str("\\n")?,
            '\r' => f.write_str("\\r")?,
            '\t' => f.write_str("\\t")?,
            c if is_unseen(c) => write!(f, "\\u{{{:x}}}", u32::from(c))?,
            c => f.write_char(c)?,
        }
    }
    f.write_char('"')
}

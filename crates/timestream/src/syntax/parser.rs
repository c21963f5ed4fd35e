//! Tokens to tree, by operator precedence.

use super::ast::COMPARISON;
use super::lexer::{Piece, Token, TokenKind, tokens};
use super::{
    Arg, BinaryOp, Expr, ExprKind, Ident, KEYWORDS, Let, MAX_DEPTH, MAX_NESTING, MAX_TEXT, Program, UnaryOp,
};
use crate::error::QueryError;
use crate::query::Span;
use crate::scalar::Scalar;

/// So many conditions in a row are read one after the other; more are read by halves, so that they are no deep tree.
pub(crate) const MANY: usize = 64;

/// Reads the text of a query.
///
/// # Errors
/// The first place at which it is none.
pub fn parse(text: &str) -> Result<Program, QueryError> {
    if text.len() > MAX_TEXT {
        let message = format!("the query is {} bytes long; at most {MAX_TEXT} are read", text.len());
        return Err(QueryError::new(0..0, message));
    }
    Parser { tokens: tokens(text)?, at: 0, nesting: 0 }.program()
}

/// Reads a part of a text that is being written as an expression; none if it is none.
pub(crate) fn part(pieces: &[Piece<'_>]) -> Option<Expr> {
    let tokens =
        pieces.iter().map(|piece| Some(Token { kind: piece.kind.clone()?, span: piece.span.clone() }));
    let mut tokens = tokens.collect::<Option<Vec<_>>>()?;
    let end = pieces.last()?.span.end;
    tokens.push(Token { kind: TokenKind::End, span: end..end });
    let mut parser = Parser { tokens, at: 0, nesting: 0 };
    let expr = parser.expr(0).ok()?;
    (parser.peek().kind == TokenKind::End).then_some(expr)
}

/// One operation of several values, in their order: of the first two, then of that and the next; of many of both
/// halves, which is as good for conditions, of which alone there are so many. `node` makes each.
pub(crate) fn joined<E>(
    op: BinaryOp,
    all: Vec<Expr>,
    node: &impl Fn(ExprKind, Span) -> Result<Expr, E>,
) -> Result<Expr, E> {
    let in_halves = all.len() > MANY;
    join(op, all, in_halves, node)
}

fn join<E>(
    op: BinaryOp,
    mut all: Vec<Expr>,
    in_halves: bool,
    node: &impl Fn(ExprKind, Span) -> Result<Expr, E>,
) -> Result<Expr, E> {
    let second = match in_halves {
        true => all.split_off(all.len().div_ceil(2)),
        false => all.split_off(all.len().saturating_sub(1).max(1)),
    };
    let Some(first) = all.pop_if(|_| second.is_empty()) else {
        let (left, right) = (join(op, all, in_halves, node)?, join(op, second, in_halves, node)?);
        let span = left.span.start..right.span.end;
        return node(ExprKind::Binary { op, left: Box::new(left), right: Box::new(right) }, span);
    };
    Ok(first)
}

struct Parser<'a> {
    tokens: Vec<Token<'a>>,
    /// Never beyond the last token, which is the end.
    at: usize,
    nesting: u32,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> &Token<'a> {
        &self.tokens[self.at]
    }

    fn advance(&mut self) -> Span {
        let span = self.peek().span.clone();
        self.at = (self.at + 1).min(self.tokens.len() - 1);
        span
    }

    fn is_symbol(&self, symbol: &str) -> bool {
        matches!(self.peek().kind, TokenKind::Symbol(found) if found == symbol)
    }

    fn is_word(&self, word: &str) -> bool {
        matches!(self.peek().kind, TokenKind::Word(found) if found == word)
    }

    /// Takes a symbol if it is next.
    fn takes(&mut self, symbol: &str) -> Option<Span> {
        self.is_symbol(symbol).then(|| self.advance())
    }

    fn expect(&mut self, symbol: &str, also: &[&str]) -> Result<Span, QueryError> {
        self.takes(symbol).ok_or_else(|| {
            let quoted = format!("`{symbol}`");
            self.unexpected(&[&[quoted.as_str()], also].concat())
        })
    }

    /// An error about the next token.
    fn unexpected(&self, expected: &[&str]) -> QueryError {
        let token = self.peek();
        let found = match &token.kind {
            TokenKind::Word(word) => format!("`{word}`"),
            TokenKind::Quoted(name) => format!("the name `{name}`"),
            TokenKind::Int(_) | TokenKind::Float(_) => "a number".to_owned(),
            TokenKind::Text(_) => "a text".to_owned(),
            TokenKind::Symbol(symbol) => format!("`{symbol}`"),
            TokenKind::End => "the end of the query".to_owned(),
        };
        let wanted = expected.first().copied().unwrap_or("something else");
        let error = QueryError::new(token.span.clone(), format!("expected {wanted}, found {found}"));
        let error = if expected.len() > 1 { error.expecting(expected) } else { error };
        if self.is_symbol("=") { error.note("two values are compared with `==`") } else { error }
    }

    fn program(&mut self) -> Result<Program, QueryError> {
        let mut lets = Vec::new();
        while self.is_word("let") {
            self.advance();
            if self.is_symbol(".") {
                return Err(Self::in_backticks(self.unexpected(&["a name"]), "let"));
            }
            let name = self.name(false)?;
            self.expect("=", &[])?;
            let value = self.expr(0)?;
            self.expect(";", &["an operator", "`.`"])?;
            lets.push(Let { name, value });
        }
        let body = self.expr(0)?;
        if self.peek().kind != TokenKind::End {
            return Err(self.unexpected(&["the end of the query", "an operator", "`.`"]));
        }
        Ok(Program { lets, body })
    }

    /// A name; `any_word` where a keyword can be one.
    fn name(&mut self, any_word: bool) -> Result<Ident, QueryError> {
        let name = match &self.peek().kind {
            TokenKind::Word(word) if any_word || !KEYWORDS.contains(word) => (*word).to_owned(),
            TokenKind::Quoted(name) => name.clone(),
            TokenKind::Word(word) => return Err(Self::in_backticks(self.unexpected(&["a name"]), word)),
            _ => return Err(self.unexpected(&["a name"])),
        };
        Ok(Ident { name, span: self.advance() })
    }

    /// An error where a word of the language may have been meant as a name.
    fn in_backticks(error: QueryError, word: &str) -> QueryError {
        error.note(format!("`{word}` is a word of the language; as a name, put it in backticks"))
    }

    fn too_deep(span: Span, most: u32) -> QueryError {
        QueryError::new(span, format!("nested too deeply: more than {most} levels"))
    }

    fn node(kind: ExprKind, span: Span) -> Result<Expr, QueryError> {
        let expr = Expr::new(kind, span);
        if expr.depth() > MAX_DEPTH { Err(Self::too_deep(expr.span, MAX_DEPTH)) } else { Ok(expr) }
    }

    /// An expression whose operators bind at least as tightly as `power`.
    fn expr(&mut self, power: u8) -> Result<Expr, QueryError> {
        self.nesting += 1;
        if self.nesting > MAX_NESTING {
            return Err(Self::too_deep(self.peek().span.clone(), MAX_NESTING));
        }
        let expr = self.operations(power);
        self.nesting -= 1;
        expr
    }

    fn operations(&mut self, power: u8) -> Result<Expr, QueryError> {
        let mut left = self.prefix()?;
        while let Some(op) = self.binary_op().filter(|op| op.power() >= power) {
            // Conditions may be many, as a list of accounts is.
            let takes_more = matches!(op, BinaryOp::And | BinaryOp::Or);
            let mut row = vec![left];
            while row.len() == 1 || takes_more && self.binary_op() == Some(op) {
                self.advance();
                row.push(self.expr(op.power() + 1)?);
            }
            left = joined(op, row, &Self::node)?;
            let chained = self.binary_op().is_some_and(|next| next.power() == COMPARISON);
            if op.power() == COMPARISON && chained {
                let error = QueryError::new(self.peek().span.clone(), "comparisons do not chain");
                return Err(error.note("write `a < b and b < c`"));
            }
        }
        Ok(left)
    }

    fn binary_op(&self) -> Option<BinaryOp> {
        let symbol = match self.peek().kind {
            TokenKind::Symbol(symbol) => symbol,
            TokenKind::Word(word) => word,
            _ => return None,
        };
        BinaryOp::ALL.into_iter().find(|op| op.symbol() == symbol)
    }

    fn prefix(&mut self) -> Result<Expr, QueryError> {
        let op = if self.is_symbol("-") {
            UnaryOp::Neg
        } else if self.is_word("not") {
            UnaryOp::Not
        } else {
            let primary = self.primary()?;
            return self.postfix(primary);
        };
        let start = self.advance().start;
        let value = self.expr(op.power())?;
        let span = start..value.span.end;
        Self::node(ExprKind::Unary { op, value: Box::new(value) }, span)
    }

    fn primary(&mut self) -> Result<Expr, QueryError> {
        const EXPECTED: [&str; 4] = ["an expression", "a name", "a literal", "`{`"];
        let literal = match &self.peek().kind {
            TokenKind::Int(value) => i64::try_from(*value).map_or(Scalar::UInt(*value), Scalar::Int),
            TokenKind::Float(value) => Scalar::Float(*value),
            TokenKind::Text(text) => Scalar::Text(text.clone()),
            TokenKind::Word("true") => Scalar::Bool(true),
            TokenKind::Word("false") => Scalar::Bool(false),
            TokenKind::Word("null") => Scalar::Null,
            TokenKind::Word(word) if KEYWORDS.contains(word) => {
                return Err(Self::in_backticks(self.unexpected(&EXPECTED), word));
            }
            TokenKind::Word(_) | TokenKind::Quoted(_) => return self.name_or_call(),
            TokenKind::Symbol("(") => {
                let start = self.advance().start;
                let mut inner = self.expr(0)?;
                inner.span = start..self.expect(")", &["an operator", "`.`"])?.end;
                return Ok(inner);
            }
            TokenKind::Symbol("{") => return self.record(),
            _ => return Err(self.unexpected(&EXPECTED)),
        };
        Self::node(ExprKind::Literal(literal), self.advance())
    }

    fn name_or_call(&mut self) -> Result<Expr, QueryError> {
        let name = self.name(false)?;
        if !self.is_symbol("(") {
            return Self::node(ExprKind::Name(name.name), name.span);
        }
        let (args, end) = self.args()?;
        let span = name.span.start..end;
        Self::node(ExprKind::Call { receiver: None, function: name, args }, span)
    }

    /// What may follow a value: fields, calls, indexes.
    fn postfix(&mut self, mut value: Expr) -> Result<Expr, QueryError> {
        loop {
            let start = value.span.start;
            value = if self.takes(".").is_some() {
                let name = self.name(true)?;
                if self.is_symbol("(") {
                    let (args, end) = self.args()?;
                    let receiver = Some(Box::new(value));
                    Self::node(ExprKind::Call { receiver, function: name, args }, start..end)?
                } else {
                    let span = start..name.span.end;
                    Self::node(ExprKind::Field { value: Box::new(value), name }, span)?
                }
            } else if self.takes("[").is_some() {
                let index = self.expr(0)?;
                let span = start..self.expect("]", &["an operator", "`.`"])?.end;
                Self::node(ExprKind::Index { value: Box::new(value), index: Box::new(index) }, span)?
            } else {
                return Ok(value);
            };
        }
    }

    /// `(…)` of a call, and where it ends.
    fn args(&mut self) -> Result<(Vec<Arg>, usize), QueryError> {
        self.expect("(", &[])?;
        let mut args = Vec::new();
        loop {
            if let Some(end) = self.takes(")") {
                return Ok((args, end.end));
            }
            let named = matches!(self.peek().kind, TokenKind::Word(word) if !KEYWORDS.contains(&word))
                && matches!(self.tokens.get(self.at + 1), Some(Token { kind: TokenKind::Symbol("="), .. }));
            let name = if named { Some(self.name(false)?) } else { None };
            if named {
                self.advance();
            }
            args.push(Arg { name, value: self.expr(0)? });
            if self.takes(",").is_none() && !self.is_symbol(")") {
                return Err(self.unexpected(&["`)`", "`,`", "an operator", "`.`"]));
            }
        }
    }

    fn record(&mut self) -> Result<Expr, QueryError> {
        let start = self.expect("{", &[])?.start;
        let mut fields: Vec<(Ident, Expr)> = Vec::new();
        loop {
            if let Some(end) = self.takes("}") {
                return Self::node(ExprKind::Record(fields), start..end.end);
            }
            let name = self.name(true)?;
            self.expect(":", &[])?;
            let value = self.expr(0)?;
            fields.push((name, value));
            if self.takes(",").is_none() && !self.is_symbol("}") {
                return Err(self.unexpected(&["`}`", "`,`", "an operator", "`.`"]));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(text: &str) -> String {
        format!("{}", parse(text).unwrap())
    }

    fn error(text: &str) -> String {
        parse(text).unwrap_err().message
    }

    #[test]
    fn operators_bind_as_usual() {
        for (text, means) in [
            ("a or b and c", "a or (b and c)"),
            ("not a and b", "(not a) and b"),
            ("not a == b", "not (a == b)"),
            ("a == b and c < d", "(a == b) and (c < d)"),
            ("a + b * c - d", "(a + (b * c)) - d"),
            ("a < b + c", "a < (b + c)"),
            ("-a * b", "(-a) * b"),
            ("-a.b", "-(a.b)"),
            ("-a[0].len()", "-((a[0]).len())"),
            ("not(a).b", "not ((a).b)"),
            ("a - b - c", "(a - b) - c"),
            ("a % b / c", "(a % b) / c"),
        ] {
            assert_eq!(parse(text).unwrap(), parse(means).unwrap(), "{text}");
        }
        assert_ne!(parse("a - (b - c)").unwrap(), parse("a - b - c").unwrap());
    }

    #[test]
    fn every_form_reads_and_writes() {
        for text in [
            "posts.with_key(record.langs[0]).count()",
            "{posts: posts.count(), likes: likes.count()}",
            "accounts.filter(not active).count()",
            "let p = posts.filter(did == \"x\");\np.count()",
            "a.f(x, window=g(1, \"1h\"))",
            "f(a, b)",
            "`odd name`.`and``or`",
            "a.and(b).`not it`",
            "{`a b`: 1, let: 2}",
            "\"a\\\"b\\\\\\n\\u{1f600}\"",
            "-(-a)",
            "-(1)",
            "a.b[c + 1]",
            "1.5 + 1e300 + 18446744073709551615",
            "(a == b) == c",
            "not not a",
            "(not a) == b",
            "{}",
        ] {
            let once = shape(text);
            assert_eq!(parse(&once).unwrap(), parse(text).unwrap(), "{text} as {once}");
            assert_eq!(shape(&once), once);
        }
        assert_eq!(
            shape("posts . with_key( record.langs [0] ) # why\n.count( )"),
            "posts.with_key(record.langs[0]).count()"
        );
        assert_eq!(shape("1_000 // gap"), "1000");
        assert_eq!(shape("'it\\'s'"), "\"it's\"");
        assert_eq!(shape("f(a, b,)"), "f(a, b)");
    }

    #[test]
    fn what_is_no_query_is_refused_with_its_place() {
        for (text, message, span) in [
            ("", "expected an expression, found the end of the query", 0..0),
            ("posts.", "expected a name, found the end of the query", 6..6),
            ("posts count", "expected the end of the query, found `count`", 6..11),
            ("f(a b)", "expected `)`, found `b`", 4..5),
            ("{a 1}", "expected `:`, found a number", 3..4),
            ("let and = 1; 2", "expected a name, found `and`", 4..7),
            ("a < b < c", "comparisons do not chain", 6..7),
            ("a = b", "expected the end of the query, found `=`", 2..3),
            ("a[1", "expected `]`, found the end of the query", 3..3),
            ("!a", "`!` means nothing here", 0..1),
            ("a && b", "`&` means nothing here", 2..3),
            ("\"abc", "this text has no closing quote", 0..4),
            ("'a\\x'", "no such escape: `\\x`", 2..4),
            ("'\\u{d800}'", "no such escape: `\\u`", 1..3),
            ("`a", "this name has no closing backtick", 0..2),
            ("``", "a name cannot be empty", 0..2),
            ("12ab", "`12ab` is neither a number nor a name", 0..4),
            ("18446744073709551616", "the number `18446744073709551616` is too large", 0..20),
            ("1e999", "the number `1e999` is too large", 0..5),
        ] {
            let error = parse(text).unwrap_err();
            assert_eq!((error.message.as_str(), error.span), (message, span), "{text}");
        }
    }

    #[test]
    fn many_conditions_are_no_deep_ones() {
        for count in [2, 64, 65, 1000, 1300] {
            let all: Vec<_> = (0..count).map(|at| format!("a == {at} and b")).collect();
            let read = parse(&all.join(" or ")).unwrap().body;
            assert!(read.depth() < 80, "{count}: {}", read.depth());
            let printed = read.to_string();
            assert_eq!(printed.matches(" or ").count(), count - 1);
            assert_eq!(parse(&printed).unwrap().body.to_string(), printed);
            assert_eq!(count > MANY, printed.contains('('));
        }
    }

    #[test]
    fn depth_and_length_are_bounded() {
        let too_deep = "nested too deeply: more than 200 levels";
        let too_nested = "nested too deeply: more than 100 levels";
        let many = 100_000;
        for text in ["(", "-", "f(", "a[", "1+(", "not "] {
            assert_eq!(error(&text.repeat(many / 8)), too_nested);
        }
        assert_eq!(error(&format!("a{}", ".b".repeat(300))), too_deep);
        assert_eq!(error(&format!("a{}", "+1".repeat(300))), too_deep);
        assert_eq!(error(&"{a:".repeat(many / 8)), too_nested);
        assert_eq!(error(&" ".repeat(MAX_TEXT + 1)), "the query is 65537 bytes long; at most 65536 are read");
        assert!(parse(&format!("{}a{}", "(".repeat(99), ")".repeat(99))).is_ok());
    }
}

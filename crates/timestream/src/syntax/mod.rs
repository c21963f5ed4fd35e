//! The text of a query as a tree, and back: lexer, parser, printer.
//!
//! ```text
//! program = { "let" name "=" expr ";" } expr
//! expr    = expr "or" expr | expr "and" expr | "not" expr
//!         | expr ("==" | "!=" | "<" | "<=" | ">" | ">=") expr          do not chain
//!         | expr ("+" | "-") expr | expr ("*" | "/" | "%") expr | "-" expr
//!         | expr "." name | expr "." name "(" args ")" | expr "[" expr "]"
//!         | name | name "(" args ")" | "{" name ":" expr, … "}" | "(" expr ")" | literal
//! args    = [ name "=" ] expr, …
//! literal = 1 | 1.5 | 1e3 | "text" | 'text' | true | false | null
//! ```
//!
//! Loosest first. Names are letters, digits, `_` and `$`, or anything between backticks; `#` and `//` begin a
//! comment. A text is hostile until read: its length and its depth are bounded, and nothing else limits what
//! may be refused.

mod ast;
mod lexer;
mod parser;
mod print;

pub(crate) use lexer::{Piece, TokenKind, is_word, pieces};
pub(crate) use parser::{joined, part};
pub(crate) use print::written;

pub use ast::{Arg, BinaryOp, Expr, ExprKind, Ident, Let, Program, UnaryOp};
pub(crate) use parser::MANY;
pub use parser::parse;

/// Bytes of the longest text that is read.
pub const MAX_TEXT: usize = 64 * 1024;

/// Deepest tree of a query: operations within operations, as a chain of as many calls is one.
pub const MAX_DEPTH: u32 = 200;

/// Deepest nesting of brackets and right sides, for which reading calls itself.
pub const MAX_NESTING: u32 = 100;

/// Words that are no bare names; between backticks, and after a dot, they are.
pub const KEYWORDS: [&str; 7] = ["and", "false", "let", "not", "null", "or", "true"];

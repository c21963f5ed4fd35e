//! Text to tokens.

use crate::error::{QueryError, is_unseen};
use crate::query::Span;

/// A token and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Token<'a> {
    pub(super) kind: TokenKind<'a>,
    pub(super) span: Span,
}

/// A part of a text that is being written.
#[derive(Debug, Clone)]
pub(crate) struct Piece<'a> {
    /// The token that it is; none if it is none yet, as a text without its closing quote.
    pub(crate) kind: Option<TokenKind<'a>>,
    /// Where it stands.
    pub(crate) span: Span,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum TokenKind<'a> {
    /// A word: a name or a keyword, as its place decides.
    Word(&'a str),
    /// A name between backticks.
    Quoted(String),
    /// A whole number.
    Int(u64),
    /// A number with a point or an exponent; finite.
    Float(f64),
    /// Text between quotes, escapes resolved.
    Text(String),
    /// An operator or bracket.
    Symbol(&'static str),
    /// After the last token.
    End,
}

/// Longer ones first.
const SYMBOLS: [&str; 22] = [
    "==", "!=", "<=", ">=", "<", ">", "=", "(", ")", "{", "}", "[", "]", ",", ":", ";", ".", "+", "-", "*",
    "/", "%",
];

/// All tokens of a text, [`TokenKind::End`] last.
pub(super) fn tokens(text: &str) -> Result<Vec<Token<'_>>, QueryError> {
    let mut lexer = Lexer { text, at: 0 };
    let mut tokens = Vec::new();
    loop {
        let token = lexer.next()?;
        let end = token.kind == TokenKind::End;
        tokens.push(token);
        if end {
            return Ok(tokens);
        }
    }
}

/// All tokens of a text that is being written, without an end, and between them what is no token.
pub(crate) fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut lexer = Lexer { text, at: 0 };
    let mut pieces = Vec::new();
    loop {
        lexer.skip_blank();
        let start = lexer.at;
        let kind = match lexer.next() {
            Ok(Token { kind: TokenKind::End, .. }) => return pieces,
            Ok(token) => Some(token.kind),
            Err(_) => {
                lexer.pass_wrong(start);
                None
            }
        };
        pieces.push(Piece { kind, span: start..lexer.at });
    }
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    /// Takes characters while they pass.
    fn take_while(&mut self, pass: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let taken = &rest[..rest.find(|c| !pass(c)).unwrap_or(rest.len())];
        self.at += taken.len();
        taken
    }

    fn skip_blank(&mut self) {
        loop {
            self.take_while(char::is_whitespace);
            if !self.rest().starts_with('#') && !self.rest().starts_with("//") {
                return;
            }
            self.take_while(|c| c != '\n');
        }
    }

    fn next(&mut self) -> Result<Token<'a>, QueryError> {
        self.skip_blank();
        let start = self.at;
        let kind = match self.rest().chars().next() {
            None => TokenKind::End,
            Some(c) if starts_word(c) => TokenKind::Word(self.take_while(continues_word)),
            Some('0'..='9') => self.number()?,
            Some(quote @ ('"' | '\'')) => TokenKind::Text(self.quoted_text(quote)?),
            Some('`') => TokenKind::Quoted(self.quoted_name()?),
            Some(c) => self.symbol(c)?,
        };
        Ok(Token { kind, span: start..self.at })
    }

    /// Goes to the end of what is no token and begins here: of a text to its closing quote, whatever is wrong within.
    fn pass_wrong(&mut self, start: usize) {
        let Some(first) = self.text[start..].chars().next() else { return };
        self.at = self.at.max(start + first.len_utf8());
        if matches!(first, '"' | '\'') {
            self.at = start + first.len_utf8();
            let mut escaped = false;
            let rest = self.rest();
            let closing = rest.char_indices().find(|&(_, c)| {
                let closes = c == first && !escaped;
                escaped = c == '\\' && !escaped;
                closes
            });
            self.at += closing.map_or(rest.len(), |(at, quote)| at + quote.len_utf8());
        }
    }

    fn symbol(&mut self, c: char) -> Result<TokenKind<'a>, QueryError> {
        if let Some(symbol) = SYMBOLS.iter().find(|symbol| self.rest().starts_with(**symbol)) {
            self.at += symbol.len();
            return Ok(TokenKind::Symbol(symbol));
        }
        let shown =
            if is_unseen(c) { format!("the character U+{:04X}", u32::from(c)) } else { format!("`{c}`") };
        let error = QueryError::new(self.at..self.at + c.len_utf8(), format!("{shown} means nothing here"));
        Err(match c {
            '!' => error.expecting(&["`not`", "`!=`"]),
            '&' => error.expecting(&["`and`"]),
            '|' => error.expecting(&["`or`"]),
            _ => error,
        })
    }

    fn number(&mut self) -> Result<TokenKind<'a>, QueryError> {
        let start = self.at;
        self.take_while(digit_or_gap);
        let mut whole = true;
        // `1.len()` is a call: a point belongs to the number only before a digit.
        if self.rest().strip_prefix('.').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit())) {
            whole = false;
            self.at += 1;
            self.take_while(digit_or_gap);
        }
        if let Some(exponent) = self.rest().strip_prefix(['e', 'E']) {
            let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
            if digits.starts_with(|c: char| c.is_ascii_digit()) {
                whole = false;
                self.at = self.text.len() - digits.len();
                self.take_while(|c| c.is_ascii_digit());
            }
        }
        let end = self.at;
        if !self.take_while(continues_word).is_empty() {
            let message = format!("`{}` is neither a number nor a name", &self.text[start..self.at]);
            return Err(QueryError::new(start..self.at, message));
        }
        let digits = self.text[start..end].replace('_', "");
        let too_large = || QueryError::new(start..end, format!("the number `{digits}` is too large"));
        if whole {
            return digits.parse().map(TokenKind::Int).map_err(|_| too_large());
        }
        match digits.parse::<f64>() {
            Ok(value) if value.is_finite() => Ok(TokenKind::Float(value)),
            _ => Err(too_large()),
        }
    }

    fn quoted_text(&mut self, quote: char) -> Result<String, QueryError> {
        let start = self.at;
        self.at += quote.len_utf8();
        let mut out = String::new();
        loop {
            out.push_str(self.take_while(|c| c != quote && c != '\\'));
            let at = self.at;
            match self.rest().chars().next() {
                None => {
                    return Err(QueryError::new(start..self.text.len(), "this text has no closing quote"));
                }
                Some('\\') => {
                    self.at += 1;
                    let escaped = self.escape();
                    out.push(escaped.ok_or_else(|| {
                        // The escape as far as it was read, and the character it failed at.
                        let end = self.at + self.rest().chars().next().map_or(0, char::len_utf8);
                        QueryError::new(at..end, format!("no such escape: `{}`", &self.text[at..end]))
                            .expecting(&["\\\\", "\\\"", "\\'", "\\n", "\\r", "\\t", "\\0", "\\u{…}"])
                    })?);
                }
                Some(_) => {
                    self.at += quote.len_utf8();
                    return Ok(out);
                }
            }
        }
    }

    /// What stands after a backslash; none if it is no escape, which is then not taken.
    fn escape(&mut self) -> Option<char> {
        let c = self.rest().chars().next()?;
        let plain = match c {
            '\\' | '"' | '\'' => c,
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            '0' => '\0',
            'u' => {
                let digits = self.rest().strip_prefix("u{")?.split_once('}')?.0;
                if digits.is_empty() || digits.len() > 6 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
                    return None;
                }
                let decoded = char::from_u32(u32::from_str_radix(digits, 16).ok()?)?;
                self.at += digits.len() + "u{}".len();
                return Some(decoded);
            }
            _ => return None,
        };
        self.at += c.len_utf8();
        Some(plain)
    }

    /// A name between backticks; two backticks are one of the name.
    fn quoted_name(&mut self) -> Result<String, QueryError> {
        let start = self.at;
        let mut name = String::new();
        loop {
            self.at += 1;
            name.push_str(self.take_while(|c| c != '`'));
            if self.rest().starts_with("``") {
                name.push('`');
                self.at += 1;
            } else if self.rest().starts_with('`') {
                self.at += 1;
                break;
            } else {
                return Err(QueryError::new(start..self.at, "this name has no closing backtick"));
            }
        }
        if name.is_empty() {
            return Err(QueryError::new(start..self.at, "a name cannot be empty"));
        }
        Ok(name)
    }
}

fn digit_or_gap(c: char) -> bool {
    c.is_ascii_digit() || c == '_'
}

fn starts_word(c: char) -> bool {
    c.is_alphabetic() || c == '_' || c == '$'
}

fn continues_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '$'
}

/// Whether a name can stand without backticks wherever a name can.
pub(crate) fn is_word(name: &str) -> bool {
    name.starts_with(starts_word) && name.chars().all(continues_word)
}

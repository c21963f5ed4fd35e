//! Where a cursor stands in a text that may be no query yet: what is being written there, and which parts
//! around it are whole.
//!
//! It goes by tokens. The brackets that are open tell the calls that the cursor is in; from a dot the way
//! back over names and closed brackets ends where the expression before it begins. Each part is read by
//! itself, so that what is wrong elsewhere is no matter.

use crate::check::windows::is_window;
use crate::functions::signature::Type;
use crate::functions::{find, signature_of};
use crate::query::Span;
use crate::syntax::{Expr, Ident, KEYWORDS, Let, MAX_NESTING, MAX_TEXT, Piece, TokenKind, part, pieces};

/// How many calls at the end of a chain may be left out to find what can be read before them.
const MAX_LEFT_OUT: usize = 8;

/// A cursor's place.
pub(super) struct Place {
    /// What a candidate replaces.
    pub(super) range: Span,
    /// What of it stands before the cursor, without quotes.
    pub(super) typed: String,
    /// The `let`s before it that can be read.
    pub(super) lets: Vec<Let>,
    /// The calls that it is in, outermost first.
    pub(super) calls: Vec<Call>,
    /// What may stand there.
    pub(super) wanted: Wanted,
}

/// A call whose brackets are open at the cursor.
pub(super) struct Call {
    /// What is called.
    pub(super) name: String,
    /// Whether it is the window `name` by a calendar, as `since.hourly(`.
    pub(super) is_calendar: bool,
    /// What it is called on: the longest part first that reads, then what has its fields if that cannot be checked.
    pub(super) receiver: Vec<Expr>,
    /// Whether the receiver stands before a dot, else it is the first of the arguments.
    pub(super) has_dot: bool,
    /// Number of arguments before the cursor's, without the receiver where it stands before a dot.
    pub(super) before: usize,
    /// How many of those have no name.
    pub(super) unnamed: usize,
    /// The parameters that are given by name.
    pub(super) named: Vec<String>,
}

/// What may stand at a place.
pub(super) enum Wanted {
    /// What comes after a dot: the longest part before it first.
    Member(Vec<Expr>),
    /// A calendar of the window of this name, after its dot.
    Calendar(String),
    /// An expression.
    Expression(Start),
    /// The name of a record's field.
    Label,
    /// `and`, `or`: a value stands before.
    Operator,
    /// A text in such quotes, of which the first stands there.
    Text {
        /// The quotes.
        quote: char,
        /// Whether it is an argument of the innermost call.
        is_argument: bool,
    },
}

/// Where an expression begins.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    /// At the text's begin, or after a `;`.
    Statement,
    /// After the `=` of a `let`.
    Let,
    /// At the begin of an argument.
    Argument,
    /// After `window=`.
    Window,
    /// Anywhere else.
    Other,
}

/// A bracket that is open.
struct Open {
    /// Place of the bracket among the pieces.
    at: usize,
    /// Places of the commas within it.
    commas: Vec<usize>,
}

/// Finds a place; none where nothing can be offered: in a comment, a number, a new name.
pub(super) fn place(text: &str, at: usize) -> Option<Place> {
    if text.len() > MAX_TEXT {
        return None;
    }
    let at = (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at))?;
    let all = pieces(text);
    let Written { range, typed, before, quote } = written_at(text, at, &all)?;
    let before = &all[..before];
    let gap = &text[before.last().map_or(0, |piece| piece.span.end)..range.start];
    // Between tokens there is nothing but blanks and comments.
    if gap.rsplit('\n').next().is_some_and(|line| !line.trim().is_empty()) {
        return None;
    }
    let scope = Scope::read(before);
    if scope.open.len() > MAX_NESTING as usize {
        return None;
    }
    let is_called = |open: &Open| scope.callee(open.at).is_some();
    let wanted = match quote {
        Some(quote) => {
            let is_argument =
                scope.open.last().is_some_and(|open| is_called(open) && scope.begins(before.len()));
            Wanted::Text { quote, is_argument }
        }
        None => scope.wanted()?,
    };
    let mut calls: Vec<Call> = (0..scope.open.len()).filter_map(|nth| scope.call(nth)).collect();
    if let Some(call) = calls.last_mut().filter(|_| scope.open.last().is_some_and(is_called)) {
        // Behind the cursor arguments may be named, too.
        let after = all.partition_point(|piece| piece.span.start < range.end.max(at));
        call.named.extend(named_behind(&all[after..]));
    }
    Some(Place { range, typed, lets: scope.lets(), calls, wanted })
}

/// What is being written at a cursor.
struct Written {
    range: Span,
    typed: String,
    /// Number of pieces before it.
    before: usize,
    /// The quotes of a text that the cursor is in.
    quote: Option<char>,
}

/// The word, or the name or text in quotes, that a cursor is in, touches, or follows without a blank; none in
/// a number or a symbol.
fn written_at(text: &str, at: usize, all: &[Piece<'_>]) -> Option<Written> {
    let first = all.partition_point(|piece| piece.span.end < at);
    let nothing = |before| Some(Written { range: at..at, typed: String::new(), before, quote: None });
    // Two touch where one ends and the next begins; a word goes before what is none.
    let mut touching = all[first..].iter().take(2).take_while(|piece| piece.span.start <= at);
    let word = touching.position(|piece| matches!(piece.kind, Some(TokenKind::Word(_))));
    let place = first + word.unwrap_or(0);
    let Some(piece) = all.get(place).filter(|piece| piece.span.start <= at) else { return nothing(first) };
    let Span { start, end } = piece.span;
    if word.is_some() {
        let typed = text[start..at].to_owned();
        return Some(Written { range: start..end, typed, before: place, quote: None });
    }
    if start == at {
        return nothing(place);
    }
    let mark = text[start..].chars().next()?;
    let is_inside = at < end;
    match (mark, &piece.kind) {
        // What has no closing quote is open up to the cursor.
        ('`' | '"' | '\'', kind) if is_inside || kind.is_none() => {
            let typed = &text[start + mark.len_utf8()..at];
            let (typed, quote) =
                if mark == '`' { (typed.replace("``", "`"), None) } else { (typed.to_owned(), Some(mark)) };
            let range = start..if kind.is_some() { end } else { at };
            Some(Written { range, typed, before: place, quote })
        }
        (_, Some(TokenKind::Int(_) | TokenKind::Float(_))) => None,
        (c, None) if c.is_alphanumeric() => None,
        _ if is_inside => None,
        _ => nothing(place + 1),
    }
}

fn is_symbol(piece: Option<&Piece<'_>>, symbol: &str) -> bool {
    matches!(piece, Some(Piece { kind: Some(TokenKind::Symbol(found)), .. }) if *found == symbol)
}

/// The name that a piece is; keywords are names after a dot only.
fn name<'p>(piece: &'p Piece<'_>, after_dot: bool) -> Option<&'p str> {
    match piece.kind.as_ref()? {
        TokenKind::Word(word) if after_dot || !KEYWORDS.contains(word) => Some(word),
        TokenKind::Quoted(name) => Some(name),
        _ => None,
    }
}

/// The parameters that are named from here to the end of a call.
fn named_behind(pieces: &[Piece<'_>]) -> Vec<String> {
    let mut depth = 0_usize;
    let mut named = Vec::new();
    for (at, piece) in pieces.iter().enumerate() {
        match piece.kind {
            Some(TokenKind::Symbol("(" | "[" | "{")) => depth += 1,
            Some(TokenKind::Symbol(")" | "]" | "}")) if depth == 0 => break,
            Some(TokenKind::Symbol(")" | "]" | "}")) => depth -= 1,
            Some(TokenKind::Symbol(";")) => break,
            Some(TokenKind::Symbol("=")) if depth == 0 && at > 0 => {
                named.extend(name(&pieces[at - 1], false).map(str::to_owned));
            }
            _ => {}
        }
    }
    named
}

/// What stands before a cursor.
struct Scope<'p> {
    pieces: &'p [Piece<'p>],
    /// Where statements begin; the last one is the cursor's.
    statements: Vec<usize>,
    /// The brackets that are open.
    open: Vec<Open>,
    /// Of each closing bracket its opening one.
    opening: Vec<usize>,
}

impl<'p> Scope<'p> {
    fn read(pieces: &'p [Piece<'p>]) -> Self {
        let mut scope =
            Self { pieces, statements: vec![0], open: Vec::new(), opening: vec![usize::MAX; pieces.len()] };
        for (at, piece) in pieces.iter().enumerate() {
            match piece.kind {
                Some(TokenKind::Symbol("(" | "[" | "{")) => scope.open.push(Open { at, commas: Vec::new() }),
                Some(TokenKind::Symbol(closing @ (")" | "]" | "}"))) => {
                    let opens = match closing {
                        ")" => "(",
                        "]" => "[",
                        _ => "{",
                    };
                    if let Some(open) = scope.open.pop_if(|open| is_symbol(pieces.get(open.at), opens)) {
                        scope.opening[at] = open.at;
                    }
                }
                Some(TokenKind::Symbol(",")) => {
                    if let Some(open) = scope.open.last_mut() {
                        open.commas.push(at);
                    }
                }
                // No statement ends within brackets: one that is open has been forgotten.
                Some(TokenKind::Symbol(";")) => {
                    scope.open.clear();
                    scope.statements.push(at + 1);
                }
                _ => {}
            }
        }
        scope
    }

    /// Begin of the cursor's statement.
    fn statement(&self) -> usize {
        self.statements.last().copied().unwrap_or(0)
    }

    fn is_let(&self, start: usize) -> bool {
        matches!(self.pieces.get(start), Some(Piece { kind: Some(TokenKind::Word("let")), .. }))
    }

    fn lets(&self) -> Vec<Let> {
        let ends = self.statements.iter().skip(1);
        let whole = self.statements.iter().zip(ends).filter(|(start, _)| self.is_let(**start));
        let read = whole.filter_map(|(start, end)| {
            let [_, of, equals, value @ ..] = self.pieces.get(*start..end - 1)? else { return None };
            let name = Ident { name: name(of, false)?.to_owned(), span: of.span.clone() };
            Some(Let { name, value: is_symbol(Some(equals), "=").then(|| part(value))?? })
        });
        read.collect()
    }

    /// What may stand at the cursor.
    fn wanted(&self) -> Option<Wanted> {
        let (statement, inner) = (self.statement(), self.open.last());
        let low = inner.map_or(statement, |open| open.at + 1);
        let Some(last) = self.pieces.len().checked_sub(1).filter(|last| *last >= statement) else {
            return Some(Wanted::Expression(Start::Statement));
        };
        let head = self.is_let(statement).then(|| self.pieces.len() - statement);
        match head {
            Some(1 | 2) => return None,
            Some(3) => {
                return is_symbol(self.pieces.last(), "=").then_some(Wanted::Expression(Start::Let));
            }
            _ => {}
        }
        let is_in = |symbol| inner.is_some_and(|open| is_symbol(self.pieces.get(open.at), symbol));
        let begins = |at: usize| self.begins(at + 1);
        if is_symbol(self.pieces.last(), ".") {
            if let Some(window) = self.window_before(last) {
                return Some(Wanted::Calendar(window));
            }
            return Some(Wanted::Member(self.parts_before(last, low)));
        }
        if is_in("{") && begins(last) {
            return Some(Wanted::Label);
        }
        if is_in("{") && last > low && begins(last - 1) || is_in("{") && last == low {
            // The name of a field waits for its colon.
            return None;
        }
        if self.ends_value(last) {
            return Some(Wanted::Operator);
        }
        let is_call = inner.is_some_and(|open| self.callee(open.at).is_some());
        Some(Wanted::Expression(if is_call && begins(last) {
            Start::Argument
        } else if is_call && last >= 2 && is_symbol(self.pieces.last(), "=") && begins(last - 2) {
            let is_window = name(&self.pieces[last - 1], false) == Some("window");
            if is_window { Start::Window } else { Start::Other }
        } else {
            Start::Other
        }))
    }

    /// Whether something begins at this place of the innermost bracket: an argument, a field.
    fn begins(&self, at: usize) -> bool {
        let before = at.checked_sub(1);
        self.open.last().is_some_and(|open| {
            Some(open.at) == before || open.commas.last().is_some_and(|comma| Some(*comma) == before)
        })
    }

    /// Whether a value ends with this piece.
    fn ends_value(&self, at: usize) -> bool {
        match &self.pieces[at].kind {
            Some(TokenKind::Word(word)) => {
                matches!(*word, "true" | "false" | "null")
                    || !KEYWORDS.contains(word)
                    || at > 0 && is_symbol(self.pieces.get(at - 1), ".")
            }
            Some(TokenKind::Symbol(symbol)) => matches!(*symbol, ")" | "]" | "}"),
            Some(_) => true,
            None => false,
        }
    }

    /// The window whose dot this is, as in `window=since.`.
    fn window_before(&self, dot: usize) -> Option<String> {
        let window = name(self.pieces.get(dot.checked_sub(1)?)?, false).filter(|name| is_window(name))?;
        // Where no value is meant.
        let is_named = dot >= 2 && is_symbol(self.pieces.get(dot - 2), "=");
        is_named.then(|| window.to_owned())
    }

    /// Place of the name that is called by the bracket at this place, and whether a dot stands before it.
    fn callee(&self, bracket: usize) -> Option<(usize, bool)> {
        let at = bracket.checked_sub(1).filter(|_| is_symbol(self.pieces.get(bracket), "("))?;
        let has_dot = at > 0 && is_symbol(self.pieces.get(at - 1), ".");
        name(&self.pieces[at], has_dot).map(|_| (at, has_dot))
    }

    /// The call of the n-th open bracket; none if that is no call's.
    fn call(&self, nth: usize) -> Option<Call> {
        let open = &self.open[nth];
        let low = match nth.checked_sub(1) {
            Some(around) => self.open[around].at + 1,
            None => self.statement(),
        };
        let (at, has_dot) = self.callee(open.at)?;
        let mut call = Call {
            name: name(&self.pieces[at], has_dot)?.to_owned(),
            is_calendar: false,
            receiver: Vec::new(),
            before: open.commas.len(),
            has_dot,
            unnamed: 0,
            named: Vec::new(),
        };
        if let Some(window) = has_dot.then(|| self.window_before(at - 1)).flatten() {
            (call.name, call.is_calendar) = (window, true);
            return Some(call);
        }
        let starts = std::iter::once(open.at).chain(open.commas.iter().copied());
        let starts: Vec<usize> = starts.map(|before| before + 1).collect();
        let named = |start: &usize| {
            let name = name(self.pieces.get(*start)?, false)?;
            is_symbol(self.pieces.get(start + 1), "=").then(|| name.to_owned())
        };
        call.named = starts.iter().filter_map(named).collect();
        call.unnamed = starts.iter().take(call.before).filter(|start| named(start).is_none()).count();
        if has_dot {
            call.receiver = self.parts_before(at - 1, low);
        } else if let ([first, ..], [end, ..]) = (starts.as_slice(), open.commas.as_slice())
            && !is_symbol(self.pieces.get(first + 1), "=")
        {
            call.receiver = part(&self.pieces[*first..*end]).into_iter().collect();
        }
        Some(call)
    }

    /// The expression before a dot, not further back than `low`: the longest part that reads, then shorter
    /// ones whose fields it has.
    fn parts_before(&self, dot: usize, low: usize) -> Vec<Expr> {
        let mut parts = Vec::new();
        let mut end = dot;
        for _ in 0..MAX_LEFT_OUT {
            let Some((start, link)) = self.begin(end, low) else { break };
            parts.extend(part(&self.pieces[start..end]));
            // Without its last call, if that gives what it is called on.
            let Some((dot, callee)) = link else { break };
            let keeps = name(&self.pieces[callee], true).and_then(find).and_then(signature_of);
            let keeps = keeps.is_some_and(|signature| {
                matches!(signature.result, Type::Variable(_)) && signature.params[0].takes == signature.result
            });
            if !keeps {
                break;
            }
            end = dot;
        }
        parts
    }

    /// Where the expression that ends before a place begins; and if it ends in a method's call, the places of
    /// its dot and name.
    fn begin(&self, end: usize, low: usize) -> Option<(usize, Option<(usize, usize)>)> {
        let mut at = end.checked_sub(1).filter(|at| *at >= low)?;
        let mut last = None;
        let mut is_first = true;
        loop {
            let piece = &self.pieces[at];
            let has_dot = |at: usize| at > low && is_symbol(self.pieces.get(at - 1), ".");
            let start = match &piece.kind {
                Some(TokenKind::Symbol(closing @ (")" | "]" | "}"))) => {
                    let opening = Some(self.opening[at]).filter(|opening| (low..at).contains(opening))?;
                    match *closing {
                        "]" => {
                            is_first = false;
                            at = opening.checked_sub(1).filter(|at| *at >= low)?;
                            continue;
                        }
                        ")" => match self.callee(opening).filter(|(callee, _)| *callee >= low) {
                            Some((callee, true)) if has_dot(callee) => {
                                if is_first {
                                    last = Some((callee - 1, callee));
                                }
                                callee
                            }
                            Some((callee, _)) => callee,
                            None => opening,
                        },
                        _ => opening,
                    }
                }
                Some(TokenKind::Symbol(_)) | None => return None,
                Some(_) => at,
            };
            is_first = false;
            if !has_dot(start) || name(&self.pieces[start], true).is_none() {
                return Some((start, last));
            }
            at = (start - 1).checked_sub(1).filter(|at| *at >= low)?;
        }
    }
}

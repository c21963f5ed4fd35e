//! Completion: what may stand at a place of a query that is being written, from the same registry, catalog
//! and checker that the query has when it is whole.
//!
//! `place` finds by tokens what the cursor is in; the checker says of the parts around it what they are
//! (`check::probe`), and this puts together what fits. Any text is answered, as well as can be: what is wrong
//! elsewhere in it is passed over.

mod place;

use std::collections::BTreeSet;
use std::fmt;

use arrow_schema::Fields;

use crate::catalog::Catalog;
use crate::check::probe::{Part, Probe};
use crate::check::windows::{WINDOWS, is_window, params};
use crate::functions::signature::Signature;
use crate::functions::user::{UserDefined, UserFunctions};
use crate::functions::{self, Form, Function, FunctionKind};
use crate::query::{Calendar, Span};
use crate::syntax::{KEYWORDS, written};
use crate::types;
use place::{Call, Place, Start, Wanted, place};

/// What may stand at a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completion {
    /// What each candidate replaces: bytes of the text, the word or the text in quotes at the cursor; empty
    /// where there is none.
    pub range: Span,
    /// What may stand there: named arguments, fields in their order, methods by name; where an expression
    /// begins also `let`s, streams, functions, words.
    pub candidates: Vec<Candidate>,
}

/// One of what may stand at a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// What is put into the text, as far as it is known: `count(`, `year()`, `window=`, `` `odd name` ``.
    pub text: String,
    /// What it is.
    pub kind: Kind,
    /// What it takes and gives: the signature of a function, the type of a field.
    pub signature: String,
    /// What it does, in a line; empty where its type says all.
    pub summary: String,
}

/// What a candidate is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A parameter's name, with `=`.
    Argument,
    /// A field of what stands before the dot, or of what the call around is called on.
    Field,
    /// What a `let` names.
    Let,
    /// A stream, or what gives one.
    Stream,
    /// A window of an aggregation.
    Window,
    /// A function of values, or one that is an operation of its own.
    Function,
    /// A function over a key's points.
    Aggregation,
    /// A type's name, in quotes.
    Type,
    /// A word of the language: `true`, `null`, `and`.
    Word,
}

impl Kind {
    /// Its name in answers to programs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Argument => "argument",
            Self::Field => "field",
            Self::Let => "let",
            Self::Stream => "stream",
            Self::Window => "window",
            Self::Function => "function",
            Self::Aggregation => "aggregation",
            Self::Type => "type",
            Self::Word => "word",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Says what may stand at byte `at` of a text, which may be no query yet, over what can be named.
///
/// Candidates begin as what is typed there does, capitals or not; where it begins nothing, there are none. A
/// place within a character, or beyond the end, is the one before.
#[must_use]
pub fn complete(text: &str, at: usize, catalog: &dyn Catalog) -> Completion {
    let Some(place) = place(text, at) else {
        let at = (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        return Completion { range: at..at, candidates: Vec::new() };
    };
    let mut candidates = Candidates {
        probe: Probe::new(catalog),
        catalog,
        place: &place,
        is_called: text[place.range.end..].starts_with('('),
        found: Vec::new(),
    };
    candidates.gather();
    let Candidates { mut found, .. } = candidates;
    let typed = place.typed.to_lowercase();
    found.retain(|candidate| bare(&candidate.text).to_lowercase().starts_with(&typed));
    let mut known = BTreeSet::new();
    found.retain(|candidate| known.insert(candidate.text.clone()));
    Completion { range: place.range, candidates: found }
}

/// Candidates under collection.
struct Candidates<'a> {
    probe: Probe<'a>,
    catalog: &'a dyn Catalog,
    place: &'a Place,
    /// Whether brackets stand there already.
    is_called: bool,
    found: Vec<Candidate>,
}

impl<'a> Candidates<'a> {
    fn gather(&mut self) {
        let place = self.place;
        for binding in &place.lets {
            self.probe.define(binding);
        }
        // The innermost call's receiver is what its names are of.
        let mut receiver = None;
        for call in &place.calls {
            receiver = call.receiver.iter().find_map(|part| self.probe.part(part));
            if let Some(part) = &receiver {
                self.probe.enter(part);
            }
        }
        match &place.wanted {
            Wanted::Member(parts) => match parts.iter().find_map(|part| self.probe.part(part)) {
                Some(part) => self.members(&part),
                // It cannot be told what it is: it may have any method.
                None => {
                    functions::all().for_each(|function| self.function(function, true));
                    self.found.sort_by(|a, b| a.text.cmp(&b.text));
                }
            },
            Wanted::Calendar(window) => {
                for (calendar, _) in Calendar::ALL {
                    self.calendar(window, calendar, &self.brackets(calendar, window == "sliding"));
                }
            }
            Wanted::Expression(start) => self.expression(*start, receiver.as_ref()),
            Wanted::Label => self.labels(),
            Wanted::Operator => {
                self.word("and", "Both conditions.");
                self.word("or", "One of two conditions, or both.");
            }
            Wanted::Text { quote, is_argument } => {
                if let Some(call) = place.calls.last().filter(|_| *is_argument) {
                    self.texts(call, receiver.as_ref(), *quote);
                }
            }
        }
    }

    /// What may come after the dot of a part.
    fn members(&mut self, part: &Part<'a>) {
        for fields in self.probe.fields(part).into_iter() {
            let is_list = types::item(&self.probe.data_type(part)).is_some();
            self.fields(&fields, is_list, |name| written(name, true));
        }
        let from = self.found.len();
        for (name, gives) in self.probe.stream_methods(part) {
            let (text, signature) =
                (self.brackets(&written(&name, true), false), types::name(&gives.data_type()));
            self.add(text, Kind::Stream, signature, &format!("The stream `{}`.", gives.name));
        }
        for function in self.probe.own_functions(part) {
            self.own_function(&function, true);
        }
        for function in self.probe.functions(part) {
            self.function(function, true);
        }
        self.found[from..].sort_by(|a, b| a.text.cmp(&b.text));
    }

    /// What an expression may begin with.
    fn expression(&mut self, start: Start, receiver: Option<&Part<'a>>) {
        let call = self.place.calls.last();
        if let (Start::Argument, Some(call)) = (start, call) {
            if is_window(&call.name) && !self.takes_condition(call) {
                return;
            }
            if self.stream_texts(call, '"') {
                return;
            }
            self.arguments(call);
            if !self.takes_value(call) {
                return;
            }
            if self.takes_text(call) {
                self.texts(call, receiver, '"');
                return;
            }
        }
        if matches!(start, Start::Window | Start::Let) {
            self.windows();
            if start == Start::Window {
                return;
            }
        }
        for fields in self.probe.in_reach() {
            self.fields(&fields, false, |name| written(name, false));
        }
        self.named();
        let from = self.found.len();
        for (name, _) in self.catalog.stream_functions() {
            let text = self.brackets(&written(&name, false), true);
            self.add(
                text,
                Kind::Stream,
                format!("{name}(name: utf8)"),
                "The stream of a name, which is a text in quotes.",
            );
        }
        let own = self.catalog.functions().into_iter().flat_map(UserFunctions::all);
        for function in own {
            self.own_function(function, false);
        }
        for function in functions::all().filter(|function| !KEYWORDS.contains(&function.name)) {
            self.function(function, false);
        }
        self.found[from..].sort_by(|a, b| a.text.cmp(&b.text));
        if start == Start::Statement {
            self.word("let", "Gives a name to an expression: `let x = …;`.");
        }
        self.word("not", "The opposite of a condition.");
        self.word("true", "");
        self.word("false", "");
        self.word("null", "No value.");
    }

    /// `let`s and streams.
    fn named(&mut self) {
        let lets: Vec<_> =
            self.probe.lets().map(|(name, of)| (written(name, false), types::name(&of))).collect();
        for (text, signature) in lets {
            self.add(text, Kind::Let, signature, "");
        }
        for name in self.catalog.names().into_iter().filter(|name| !name.is_empty()) {
            let Some(stream) = self.catalog.stream(&name) else { continue };
            let summary = format!("A stream, by `{}`.", stream.key);
            self.add(written(&name, false), Kind::Stream, types::name(&stream.data_type()), &summary);
        }
    }

    /// Names of a record's fields: those of what is in reach, since a field is mostly called as what it holds.
    fn labels(&mut self) {
        for fields in self.probe.in_reach() {
            self.fields(&fields, false, |name| written(name, true));
        }
        self.named();
        for candidate in &mut self.found {
            candidate.text.push_str(": ");
        }
    }

    fn fields(&mut self, fields: &Fields, is_list: bool, text: impl Fn(&str) -> String) {
        for field in fields.iter().filter(|field| !field.name().is_empty()) {
            let of = field.data_type();
            let signature = if is_list { types::name(&types::list(of.clone())) } else { types::name(of) };
            self.add(text(field.name()), Kind::Field, signature, "");
        }
    }

    /// Parameters that are not given yet.
    fn arguments(&mut self, call: &Call) {
        let known = functions::find(&call.name);
        let own = self.catalog.functions().and_then(|own| own.find(&call.name));
        let signature = known.and_then(functions::signature_of).or_else(|| own.map(|own| own.signature()));
        let Some(signature) = signature else { return };
        let text = known.map_or_else(|| own.map_or("", |own| own.text()), |function| function.signature);
        let given = call.unnamed + usize::from(call.has_dot);
        for param in signature.params.iter().skip(given.max(1)) {
            if param.repeated || call.named.contains(&param.name) {
                continue;
            }
            let optional = if param.optional { ", which may be left out" } else { "" };
            let summary = format!("An argument of `{}`{optional}.", call.name);
            self.add(format!("{}=", written(&param.name, false)), Kind::Argument, text.to_owned(), &summary);
        }
        let is_aggregation = known.is_some_and(Function::is_aggregation);
        if is_aggregation
            && (call.has_dot || call.before > 0)
            && !call.named.iter().any(|name| name == "window")
        {
            let summary = "Over which of the key's points: all so far where it is left out.";
            self.add("window=".to_owned(), Kind::Argument, text.to_owned(), summary);
        }
    }

    /// The windows, and the `let`s that are some.
    fn windows(&mut self) {
        let lets: Vec<_> =
            self.probe.windows().map(|(name, expr)| (written(name, false), expr.to_string())).collect();
        for (text, signature) in lets {
            self.add(text, Kind::Let, signature, "");
        }
        for (name, signature, summary) in WINDOWS {
            self.add(self.brackets(name, true), Kind::Window, signature.to_owned(), summary);
            if name == "trailing" {
                continue;
            }
            for (calendar, _) in Calendar::ALL {
                let text = self.brackets(&format!("{name}.{calendar}"), name == "sliding");
                self.calendar(name, calendar, &text);
            }
        }
    }

    fn calendar(&mut self, window: &str, calendar: &str, text: &str) {
        let takes = params(window, true).join(", ");
        let summary = WINDOWS.iter().find(|(name, ..)| *name == window).map_or("", |(.., summary)| *summary);
        self.add(text.to_owned(), Kind::Window, format!("{window}.{calendar}({takes})"), summary);
    }

    /// Whether the next argument of a window is its condition.
    fn takes_condition(&self, call: &Call) -> bool {
        !call.is_calendar
            && match call.name.as_str() {
                "since" | "tumbling" => call.before == 0,
                "sliding" => call.before == 1,
                _ => false,
            }
    }

    /// Whether a call has a parameter for the next argument, and one that takes more than a constant number.
    fn takes_value(&self, call: &Call) -> bool {
        let at = call.unnamed + usize::from(call.has_dot);
        match functions::find(&call.name) {
            Some(function) if function.is_aggregation() => at == 0,
            Some(function) => functions::signature_of(function).is_none_or(|of| of.param(at).is_some()),
            None => true,
        }
    }

    /// Whether the next argument of a call is a text that says a field or a type.
    fn takes_text(&self, call: &Call) -> bool {
        match functions::find(&call.name).map(|function| &function.kind) {
            Some(FunctionKind::Form(Form::Col | Form::Cast)) => call.before + usize::from(call.has_dot) == 1,
            Some(FunctionKind::Form(Form::Select | Form::Remove)) => {
                call.before + usize::from(call.has_dot) > 0
            }
            _ => false,
        }
    }

    /// Texts that an argument of a call may be.
    fn texts(&mut self, call: &Call, receiver: Option<&Part<'a>>, quote: char) {
        if self.stream_texts(call, quote) || !self.takes_text(call) {
            return;
        }
        if let Some(Function { kind: FunctionKind::Form(Form::Cast), .. }) = functions::find(&call.name) {
            for name in types::CASTABLE {
                self.add(format!("{quote}{name}{quote}"), Kind::Type, String::new(), "");
            }
        } else if let Some(fields) = receiver.and_then(|part| self.probe.fields(part)) {
            for field in &fields {
                if let Some(text) = quoted(field.name(), quote) {
                    self.add(text, Kind::Field, types::name(field.data_type()), "");
                }
            }
        }
    }

    /// Texts that name streams, where a call takes such a text.
    fn stream_texts(&mut self, call: &Call, quote: char) -> bool {
        let known = self.catalog.stream_functions().into_iter().find(|(name, _)| *name == call.name);
        let Some((function, arguments)) = known.filter(|_| !call.has_dot) else { return false };
        for argument in arguments.iter().filter(|_| call.before == 0) {
            let stream = self.catalog.stream_function(&function, argument);
            if let (Ok(stream), Some(text)) = (stream, quoted(argument, quote)) {
                let summary = format!("A stream, by `{}`.", stream.key);
                self.add(text, Kind::Stream, types::name(&stream.data_type()), &summary);
            }
        }
        true
    }

    fn function(&mut self, function: &'static Function, is_method: bool) {
        let kind = if function.is_aggregation() { Kind::Aggregation } else { Kind::Function };
        let takes_more =
            function.is_aggregation() || takes_more(functions::signature_of(function), is_method);
        let text = self.brackets(&written(function.name, is_method), takes_more);
        self.add(text, kind, function.signature.to_owned(), function.summary);
    }

    fn own_function(&mut self, function: &UserDefined, is_method: bool) {
        let takes_more = takes_more(Some(function.signature()), is_method);
        let text = self.brackets(&written(function.name(), is_method), takes_more);
        self.add(text, Kind::Function, function.text().to_owned(), "A function of this program.");
    }

    /// A name with the brackets of its call: closed if there is nothing to be put into them, none if they
    /// stand there.
    fn brackets(&self, name: &str, takes_more: bool) -> String {
        let brackets = match (self.is_called, takes_more) {
            (true, _) => "",
            (false, true) => "(",
            (false, false) => "()",
        };
        format!("{name}{brackets}")
    }

    fn word(&mut self, word: &str, summary: &str) {
        self.add(word.to_owned(), Kind::Word, String::new(), summary);
    }

    fn add(&mut self, text: String, kind: Kind, signature: String, summary: &str) {
        self.found.push(Candidate { text, kind, signature, summary: summary.to_owned() });
    }
}

/// A candidate's text as what is typed is compared with it: a name without its quotes, a text without the first.
fn bare(text: &str) -> String {
    let Some(quoted) = text.strip_prefix('`') else {
        return text.strip_prefix(['"', '\'']).unwrap_or(text).to_owned();
    };
    let mut name = String::with_capacity(quoted.len());
    let mut chars = quoted.chars().peekable();
    while let Some(c) = chars.next() {
        // Two of them are one of the name; one alone ends it.
        if c == '`' && chars.next_if_eq(&'`').is_none() {
            break;
        }
        name.push(c);
    }
    name
}

/// A text in quotes; none for one that would need escapes.
fn quoted(text: &str, quote: char) -> Option<String> {
    let is_plain = !text.contains(|c: char| c == quote || c == '\\' || c.is_control());
    is_plain.then(|| format!("{quote}{text}{quote}"))
}

/// Whether a call takes anything but what it is called on.
fn takes_more(signature: Option<&Signature>, is_method: bool) -> bool {
    signature.is_none_or(|signature| signature.params.len() > usize::from(is_method))
}

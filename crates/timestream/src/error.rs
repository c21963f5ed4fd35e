//! What is wrong with a query: one clear error, with its place in the text, what was expected and the nearest name.

use std::fmt::Write as _;

use unicode_width::UnicodeWidthStr as _;

use crate::query::Span;

/// Characters of the query that are shown before and after the place of an error.
const CONTEXT: usize = 60;
/// How many of the expected names a rendering lists.
const LISTED: usize = 16;

/// Why a text is no query. The first thing that is wrong; nothing has run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct QueryError {
    /// What is wrong, in a sentence without a full stop.
    pub message: String,
    /// Where: bytes of the query's text.
    pub span: Span,
    /// What could have stood there.
    pub expected: Vec<String>,
    /// The one of the known names that is most like what stands there.
    pub nearest: Option<String>,
    /// What else helps, each a sentence.
    pub notes: Vec<String>,
}

impl QueryError {
    /// An error with nothing but its message and place.
    #[must_use]
    pub fn new(span: Span, message: impl Into<String>) -> Self {
        Self { message: message.into(), span, expected: Vec::new(), nearest: None, notes: Vec::new() }
    }

    /// An error about a name that is not among the known ones.
    pub(crate) fn unknown(span: Span, message: String, name: &str, known: Vec<String>) -> Self {
        let nearest = nearest(name, known.iter().map(String::as_str));
        Self { message, span, expected: known, nearest, notes: Vec::new() }
    }

    pub(crate) fn expecting(mut self, expected: &[&str]) -> Self {
        self.expected = expected.iter().map(|&what| what.to_owned()).collect();
        self
    }

    pub(crate) fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// The error as lines of text: the message, the line of the query with carets under the place, and what helps.
    /// `text` is the query's; control characters in it are shown as `�`.
    #[must_use]
    pub fn render(&self, text: &str) -> String {
        let mut out = format!("error: {}\n", printable(&self.message));
        let start = floor_boundary(text, self.span.start);
        let end = floor_boundary(text, self.span.end).max(start);
        let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let line_end = text[start..].find('\n').map_or(text.len(), |at| start + at);
        let number = text[..start].matches('\n').count() + 1;
        let (head, marked) = (&text[line_start..start], &text[start..end.min(line_end)]);
        let tail = &text[end.min(line_end)..line_end];

        let cut_head = head.char_indices().rev().nth(CONTEXT - 1).map_or(0, |(at, _)| at);
        let cut_marked = cut(marked);
        let cut_tail = if cut_marked < marked.len() { 0 } else { cut(tail) };
        let before = if cut_head > 0 { "… " } else { "" };
        let after = if cut_marked < marked.len() || cut_tail < tail.len() { " …" } else { "" };
        let head = format!("{before}{}", printable(&head[cut_head..]));
        let shown = printable(&marked[..cut_marked]);
        let number = number.to_string();
        let gutter = " ".repeat(number.len());
        let _ = writeln!(out, " {number} | {head}{shown}{}{after}", printable(&tail[..cut_tail]));
        let _ = writeln!(out, " {gutter} | {}{}", " ".repeat(head.width()), "^".repeat(shown.width().max(1)));
        if let Some(nearest) = &self.nearest {
            let _ = writeln!(out, "help: did you mean `{}`?", printable(nearest));
        }
        if !self.expected.is_empty() {
            let listed: Vec<_> = self.expected.iter().take(LISTED).map(|what| printable(what)).collect();
            let more = if self.expected.len() > LISTED { ", …" } else { "" };
            let _ = writeln!(out, "expected: {}{more}", listed.join(", "));
        }
        for note in &self.notes {
            let _ = writeln!(out, "note: {}", printable(note));
        }
        out
    }
}

/// The known name most like another, if one is like it at all: a slip of case, or a few letters wrong.
pub(crate) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    let wanted = name.to_lowercase();
    // Damerau-Levenshtein is quadratic: a name longer than any real one is compared with nothing.
    if wanted.len() > 64 {
        return None;
    }
    let allowed = (wanted.chars().count() / 3).max(1);
    known
        .filter(|known| known.len() <= 64)
        .map(|known| (strsim::damerau_levenshtein(&wanted, &known.to_lowercase()), known))
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, known)| known.to_owned())
}

/// The greatest place up to `at` that is not inside a character.
fn floor_boundary(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0)
}

/// Bytes of the first [`CONTEXT`] characters.
fn cut(text: &str) -> usize {
    text.char_indices().nth(CONTEXT).map_or(text.len(), |(at, _)| at)
}

/// Text that cannot move a terminal's cursor and has the columns that its letters have, so that carets stay
/// where they belong.
pub(crate) fn printable(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\t' => ' ',
            c if is_unseen(c) => '\u{fffd}',
            c => c,
        })
        .collect()
}

/// Whether a character shows nothing of itself: one that steers a terminal, turns the text around it, has no
/// width (but for what is set onto a letter), or is none.
#[must_use]
pub fn is_unseen(c: char) -> bool {
    let turns =
        matches!(c, '\u{200e}' | '\u{200f}' | '\u{61c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let has_no_width = matches!(c, '\u{ad}' | '\u{200b}' | '\u{2060}'..='\u{2064}' | '\u{feff}');
    c.is_control() || turns || has_no_width || matches!(c, '\u{2028}' | '\u{2029}' | '\u{fffe}' | '\u{ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn carets_stand_under_what_is_wrong_however_wide_its_letters() {
        for (text, before, marked) in [
            ("日本語 == x", 0, 6),
            ("\"日本語\" == x", 12, 1),
            ("\"e\u{301}a\" == x", 8, 1),
            ("\"\u{7f}\" == x", 7, 1),
        ] {
            let start = if before == 0 { 0 } else { text.len() - 1 };
            let end = if before == 0 { "日本語".len() } else { text.len() };
            let rendered = QueryError::new(Span { start, end }, "wrong").render(text);
            let carets = rendered.lines().last().unwrap();
            assert_eq!(carets, format!("   | {}{}", " ".repeat(before), "^".repeat(marked)), "{text}");
        }
    }
}

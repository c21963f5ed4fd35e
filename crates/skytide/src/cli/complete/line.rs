//! A command line as a shell has it while it is typed: words in quotes that may not be closed yet.

/// By whose rules words are quoted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rules {
    /// bash, zsh: nothing is special between single quotes.
    Posix,
    /// fish: a backslash between single quotes stands before a quote or another.
    Fish,
}

/// Words of a line.
#[derive(Debug)]
pub(super) struct Line {
    /// Those up to the cursor; the last one is the cursor's, empty if it is after a blank.
    pub(super) before: Vec<Word>,
    /// Those after the cursor's.
    pub(super) after: Vec<Word>,
}

/// A word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word {
    /// What the shell makes of it.
    pub(super) text: String,
    /// The quote that is open at its end.
    open: Option<char>,
}

impl Line {
    /// Reads what stands before the cursor, and after it.
    pub(super) fn read(before: &str, after: &str, rules: Rules) -> Self {
        let (all, _) = words(&format!("{before}{after}"), rules);
        let (before, has_begun) = words(before, rules);
        // Before a blank a word that has not begun is none.
        let is_none = !has_begun && after.starts_with(char::is_whitespace);
        let after = all.get(before.len() - usize::from(is_none)..).unwrap_or_default().to_vec();
        Self { before, after }
    }
}

impl Word {
    /// Whether a text can continue this word: bash and zsh take a `!` between double quotes for a line of
    /// their history, and leave what is put before it in the text.
    pub(super) fn takes(&self, text: &str, rules: Rules) -> bool {
        let is_history = rules == Rules::Posix && self.open == Some('"') && text.contains('!');
        !is_history && !text.contains(char::is_control)
    }

    /// A text as it continues this word.
    pub(super) fn quoted(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        for c in text.chars() {
            match self.open {
                Some('\'') if c == '\'' => out.push_str("'\\'"),
                Some('\'') => {}
                Some(_) if matches!(c, '"' | '\\' | '$' | '`') => out.push('\\'),
                Some(_) => {}
                None if c.is_alphanumeric() || matches!(c, '_' | '.' | '-' | '/' | ':' | ',' | '+') => {}
                None => out.push('\\'),
            }
            out.push(c);
        }
        out
    }
}

/// The words of a line, of which the last one is not over; and whether that has begun.
fn words(line: &str, rules: Rules) -> (Vec<Word>, bool) {
    let mut words = Vec::new();
    let mut word = Word { text: String::new(), open: None };
    let mut has_begun = false;
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match (word.open, c) {
            (None, c) if c.is_whitespace() => {
                if std::mem::take(&mut has_begun) {
                    words.push(std::mem::replace(&mut word, Word { text: String::new(), open: None }));
                }
                continue;
            }
            (None, '\'' | '"') => word.open = Some(c),
            (None, '\\') => word.text.extend(chars.next()),
            (Some(quote), c) if c == quote => word.open = None,
            (Some(quote), '\\') => {
                let is_escape = |next: &char| match (quote, rules) {
                    ('\'', Rules::Posix) => false,
                    ('\'', Rules::Fish) => matches!(next, '\'' | '\\'),
                    (_, Rules::Posix) => matches!(next, '"' | '\\' | '$' | '`'),
                    (_, Rules::Fish) => matches!(next, '"' | '\\' | '$'),
                };
                word.text.push(chars.next_if(is_escape).unwrap_or('\\'));
            }
            (_, c) => word.text.push(c),
        }
        has_begun = true;
    }
    words.push(word);
    (words, has_begun)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(line: &str, rules: Rules) -> Vec<String> {
        words(line, rules).0.into_iter().map(|word| word.text).collect()
    }

    #[test]
    fn words_are_what_the_shell_makes_of_them() {
        use Rules::{Fish, Posix};
        for (rules, line, means) in [
            (Posix, "skytide run 'posts.wi", vec!["skytide", "run", "posts.wi"]),
            (Posix, "skytide  run ", vec!["skytide", "run", ""]),
            (Posix, r#"a "x == \"y\" \z $" b"#, vec!["a", r#"x == "y" \z $"#, "b"]),
            (Posix, r"'a'\''b' '\n'", vec!["a'b", r"\n"]),
            (Posix, r"posts.count\(w", vec!["posts.count(w"]),
            (Posix, "'' x", vec!["", "x"]),
            (Posix, "a\\", vec!["a"]),
            (Fish, r"'a\'b\\c\n'", vec![r"a'b\c\n"]),
            (Fish, r#""a\"b\`""#, vec!["a\"b\\`"]),
        ] {
            assert_eq!(texts(line, rules), means, "{line}");
        }
    }

    #[test]
    fn what_is_offered_is_quoted_as_its_word() {
        for (line, quoted) in [
            ("'posts.", r#"`it'\''s`("$\"#),
            ("\"posts.", r#"\`it's\`(\"\$\\"#),
            ("posts.", r#"\`it\'s\`\(\"\$\\"#),
        ] {
            let line = Line::read(line, "", Rules::Posix);
            let text = "`it's`(\"$\\";
            let found = line.before[0].quoted(text);
            assert_eq!(found, quoted);
            // It reads as what it is.
            let whole = format!("{}{found}", line.before[0].open.map(String::from).unwrap_or_default());
            assert_eq!(texts(&whole, Rules::Posix), [text]);
        }
    }

    #[test]
    fn what_follows_the_cursor_is_known() {
        for (before, after) in [
            ("skytide run 'posts.wi", "th_key(did)' --from x.csv"),
            ("skytide run 'posts.wi", "' --from x.csv"),
            ("skytide run posts.wi", " --from x.csv"),
            ("skytide run ", " --from x.csv"),
            ("skytide run ", "posts --from x.csv"),
            ("skytide run ''", " --from x.csv"),
        ] {
            let line = Line::read(before, after, Rules::Posix);
            assert_eq!(line.before.len(), 3);
            let found: Vec<_> = line.after.iter().map(|word| word.text.as_str()).collect();
            assert_eq!(found, ["--from", "x.csv"], "{before}|{after}");
        }
        assert!(Line::read("skytide run ", "", Rules::Posix).after.is_empty());
    }
}

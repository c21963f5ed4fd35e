//! The registry as pages: one function for the terminal, all of them for the book.

use std::fmt::Write as _;

use super::{Family, Function, all};

impl Function {
    /// What a user needs to know of it: signature, meaning, details, examples. Markdown that reads well as
    /// plain text.
    #[must_use]
    pub fn page(&self) -> String {
        let mut page = format!("{}\n\n{}\n", self.signature, self.summary);
        let also: Vec<_> = self.also.iter().map(|signature| format!("`{signature}`")).collect();
        if !also.is_empty() {
            let _ = write!(page, "\nAlso {}.\n", also.join(", "));
        }
        if let Some(operator) = self.operator {
            let _ = write!(page, "\nWritten `{operator}`.\n");
        }
        if !self.aliases.is_empty() {
            let _ = write!(page, "\nAlso called {}.\n", self.aliases.join(", "));
        }
        let _ = write!(page, "\n{}\n", self.details);
        for example in self.examples {
            let block = |title: &str, text: &str| {
                let lines = text.trim().lines().map(|line| format!("    {}\n", line.trim_end()));
                format!("\n{title}\n\n{}", lines.collect::<String>())
            };
            page.push_str(&block("Events:", example.events));
            page.push_str(&block("Query:", example.query));
            page.push_str(&block("Rows:", example.rows));
        }
        page
    }
}

/// What the book's page says before the functions.
const INTRODUCTION: &str = "\
# Functions

Made from the registry in `crates/timestream/src/functions`, to which a test holds it.

Each example gives the events of a stream called `events`, whose key is the column `key`, a query, and the rows that it
answers. In events an empty cell is null, and `\"\"` is the empty text.
";

/// The reference of all functions, by family, as Markdown: the book's page.
#[must_use]
pub fn reference() -> String {
    let mut text = INTRODUCTION.to_owned();
    let mut family: Option<Family> = None;
    for function in all() {
        if family != Some(function.family) {
            family = Some(function.family);
            let _ = write!(text, "\n## {:?}\n", function.family);
        }
        let page = function.page();
        let (signature, rest) = page.split_once('\n').unwrap_or((&page, ""));
        let _ = write!(text, "\n### {}\n\n    {signature}\n{rest}", function.name);
    }
    text
}

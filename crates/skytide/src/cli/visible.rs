//! Text of others as a terminal is to have it: what would steer it is shown, not obeyed.

use skytide_timestream::error::is_unseen;

/// A text on its line, in which what moves the cursor, turns the text around it or is not seen stands as it is
/// written.
pub(crate) fn visible(text: &str) -> String {
    text.chars().flat_map(|c| if is_unseen(c) { c.escape_default().collect() } else { vec![c] }).collect()
}

/// The same of each line of a text.
pub(crate) fn visible_lines(text: &str) -> String {
    text.lines().map(visible).collect::<Vec<_>>().join("\n")
}

//! Acts at set places in the stream, and the text that sets them: one line each.

use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;

use super::act::{Act, ActError};

/// Acts with the frames they come at, the first frame of a stream being number 1: for [`Network::script`].
///
/// Its text form has a line for each, as `at 120 sync`. From `#` to the end of a line is a remark; empty lines do not
/// matter.
///
/// ```
/// use skytide_sim::{Act, Life, Script};
///
/// let script: Script = "
///     at 120 sync
///     at 500 account deleted  # it comes back
///     at 700 account reborn
/// ".parse()?;
/// assert_eq!(script.acts()[1], (500, Act::Account(Life::Deleted)));
/// # Ok::<(), skytide_sim::ScriptError>(())
/// ```
///
/// [`Network::script`]: crate::Network::script
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Script {
    acts: Vec<(u64, Act)>,
}

impl Script {
    /// The acts in the order they were given.
    pub fn acts(&self) -> &[(u64, Act)] {
        &self.acts
    }
}

impl FromIterator<(u64, Act)> for Script {
    /// Frame 0 is frame 1, in the text form too.
    fn from_iter<I: IntoIterator<Item = (u64, Act)>>(acts: I) -> Self {
        Self { acts: acts.into_iter().map(|(frame, act)| (frame.max(1), act)).collect() }
    }
}

impl IntoIterator for Script {
    type Item = (u64, Act);
    type IntoIter = std::vec::IntoIter<(u64, Act)>;

    fn into_iter(self) -> Self::IntoIter {
        self.acts.into_iter()
    }
}

impl fmt::Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.acts.iter().try_for_each(|(frame, act)| writeln!(f, "at {frame} {act}"))
    }
}

/// A text is no script.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScriptError {
    /// A line is not `at`, a frame and an act.
    #[error("line {line}: `{found}`: write `at FRAME ACT`, as `at 120 sync`")]
    Line {
        /// Which line, from 1.
        line: usize,
        /// What it says, without its remark.
        found: String,
    },
    /// The frame is no number.
    #[error("line {line}: `{found}` is no frame; it is a whole number, and the first frame is 1")]
    Frame {
        /// Which line, from 1.
        line: usize,
        /// What stands in the frame's place.
        found: String,
    },
    /// The act is none.
    #[error("line {line}: {error}")]
    Act {
        /// Which line, from 1.
        line: usize,
        /// What is wrong with it.
        error: ActError,
    },
}

impl FromStr for Script {
    type Err = ScriptError;

    fn from_str(text: &str) -> Result<Script, ScriptError> {
        let mut acts = Vec::new();
        for (line, whole) in (1..).zip(text.lines()) {
            let told = whole.split('#').next().unwrap_or_default().trim();
            if told.is_empty() {
                continue;
            }
            let wrong = || ScriptError::Line { line, found: told.to_owned() };
            let (at, rest) = told.split_once(char::is_whitespace).ok_or_else(wrong)?;
            let (frame, act) = rest.trim_start().split_once(char::is_whitespace).ok_or_else(wrong)?;
            if at != "at" {
                return Err(wrong());
            }
            let number: NonZeroU64 =
                frame.parse().map_err(|_| ScriptError::Frame { line, found: frame.to_owned() })?;
            acts.push((number.get(), act.parse().map_err(|error| ScriptError::Act { line, error })?));
        }
        Ok(Script { acts })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::act::Life;

    #[test]
    fn lines_remarks_and_blanks_are_read() {
        let script: Script =
            "# a life\n\nat 5 account   created\r\n  at\t7  lost unnumbered # not numbered\nat 7 info"
                .parse()
                .unwrap();
        let expected = [(5, Act::Account(Life::Created)), (7, Act::LostUnnumbered), (7, Act::Info)];
        assert_eq!(script.acts(), expected);
        assert_eq!(script.to_string(), "at 5 account created\nat 7 lost unnumbered\nat 7 info\n");
        assert_eq!("".parse(), Ok(Script::default()));
    }

    #[test]
    fn errors_name_the_line_and_what_is_wrong() {
        let told = |text: &str| text.parse::<Script>().unwrap_err().to_string();
        let form = "write `at FRAME ACT`, as `at 120 sync`";
        assert_eq!(told("# good\nsync at 120"), format!("line 2: `sync at 120`: {form}"));
        assert_eq!(told("at 120 # nothing"), format!("line 1: `at 120`: {form}"));
        assert_eq!(told("at"), format!("line 1: `at`: {form}"));
        for frame in ["0", "-1", "first", "1.5"] {
            let rest = "is no frame; it is a whole number, and the first frame is 1";
            assert_eq!(told(&format!("at 1 info\n\nat {frame} sync")), format!("line 3: `{frame}` {rest}"));
        }
        let no_act = told("at 1 snyc");
        assert!(no_act.starts_with("line 1: `snyc` is no act; there are `sync`, "), "{no_act}");
    }
}

//! What names an account: a DID or a handle.

use std::fmt;
use std::str::FromStr;

use super::{Did, DidError, Handle, HandleError};

/// A DID or a handle. (AT Protocol lexicon type `at-identifier`.)
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AtIdentifier {
    /// A DID.
    Did(Did),
    /// A handle.
    Handle(Handle),
}

/// Why a text is neither a DID nor a handle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum AtIdentifierError {
    /// It starts with `did:` and is no DID.
    #[error(transparent)]
    Did(#[from] DidError),
    /// It does not start with `did:` and is no handle.
    #[error(transparent)]
    Handle(#[from] HandleError),
}

impl AtIdentifier {
    /// Checks `text` and holds it.
    ///
    /// # Errors
    /// The first rule that the text breaks.
    pub fn parse(text: &str) -> Result<AtIdentifier, AtIdentifierError> {
        text.parse()
    }

    /// The text as it was read.
    pub fn as_str(&self) -> &str {
        match self {
            AtIdentifier::Did(did) => did.as_str(),
            AtIdentifier::Handle(handle) => handle.as_str(),
        }
    }
}

pub(super) fn check(text: &str) -> Result<(), AtIdentifierError> {
    // A handle has no colon, so a text is held against one of the two only.
    if text.starts_with("did:") {
        super::did::check(text)?;
    } else {
        super::handle::check(text)?;
    }
    Ok(())
}

impl FromStr for AtIdentifier {
    type Err = AtIdentifierError;

    fn from_str(text: &str) -> Result<AtIdentifier, AtIdentifierError> {
        Ok(if text.starts_with("did:") {
            AtIdentifier::Did(text.parse()?)
        } else {
            AtIdentifier::Handle(text.parse()?)
        })
    }
}

impl fmt::Display for AtIdentifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl AsRef<str> for AtIdentifier {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

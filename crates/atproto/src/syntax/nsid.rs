//! Namespaced identifiers: the names of collections, methods and types.

use super::checked_text;
use super::handle::{is_label, starts_with_letter};

checked_text! {
    /// An NSID: a domain name turned round and a name, three parts at least, 317 bytes at most. The parts of the
    /// domain are 1 to 63 letters, digits and inner hyphens, the first of them starting with a letter; the name is
    /// 1 to 63 letters and digits and starts with a letter. (AT Protocol specification, "NSID".)
    Nsid, NsidError, check
}

/// Why a text is not an NSID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum NsidError {
    /// More than 317 bytes.
    #[error("an NSID has at most 317 bytes")]
    TooLong,
    /// Fewer than three parts.
    #[error("an NSID has three parts at least, parted by `.`")]
    Parts,
    /// A part of the domain is empty or longer than 63, has other characters, or starts or ends with a hyphen.
    #[error("the parts of an NSID's domain are 1 to 63 letters, digits and inner hyphens")]
    Domain,
    /// The first part does not start with a letter.
    #[error("an NSID starts with a letter")]
    FirstCharacter,
    /// The last part is empty or longer than 63, has other characters than letters and digits, or starts with a
    /// digit.
    #[error("an NSID's name is 1 to 63 letters and digits and starts with a letter")]
    Name,
}

impl Nsid {
    /// The last part: `post` of `app.bsky.feed.post`.
    pub fn name(&self) -> &str {
        self.as_str().rsplit('.').next().unwrap_or_default()
    }
}

pub(super) fn check(text: &str) -> Result<(), NsidError> {
    if text.len() > 317 {
        return Err(NsidError::TooLong);
    }
    let (domain, name) = text.rsplit_once('.').ok_or(NsidError::Parts)?;
    if !domain.contains('.') {
        return Err(NsidError::Parts);
    }
    if !domain.split('.').all(is_label) {
        return Err(NsidError::Domain);
    }
    if !starts_with_letter(domain) {
        return Err(NsidError::FirstCharacter);
    }
    if !is_label(name) || name.contains('-') || !starts_with_letter(name) {
        return Err(NsidError::Name);
    }
    Ok(())
}

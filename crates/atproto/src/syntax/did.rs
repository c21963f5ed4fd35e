//! Decentralized identifiers: the lasting name of an account, `did:plc:…` or `did:web:…`.

use super::checked_text;

checked_text! {
    /// A DID: `did:`, a method of lower-case letters, `:`, and an identifier of `[a-zA-Z0-9._:%-]` that does not
    /// end in `:` or `%`; at most 2048 bytes. (AT Protocol specification, "DID".)
    Did, DidError, check
}

/// Why a text is not a DID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum DidError {
    /// More than 2048 bytes.
    #[error("a DID has at most 2048 bytes")]
    TooLong,
    /// It does not start with `did:`.
    #[error("a DID starts with `did:`")]
    Prefix,
    /// The method is empty, has other characters than lower-case letters, or no `:` follows it.
    #[error("a DID's method is lower-case letters, then `:`")]
    Method,
    /// The identifier is empty or has a character outside `[a-zA-Z0-9._:%-]`.
    #[error("a DID's identifier is letters, digits and `._:%-`, at least one")]
    Identifier,
    /// The identifier ends in `:` or `%`.
    #[error("a DID does not end in `:` or `%`")]
    LastCharacter,
}

impl Did {
    /// The method: `plc` or `web`, for accounts of the network today.
    pub fn method(&self) -> &str {
        self.as_str().split(':').nth(1).unwrap_or_default()
    }
}

pub(super) fn check(text: &str) -> Result<(), DidError> {
    if text.len() > 2048 {
        return Err(DidError::TooLong);
    }
    let rest = text.strip_prefix("did:").ok_or(DidError::Prefix)?;
    let (method, identifier) = rest.split_once(':').ok_or(DidError::Method)?;
    if method.is_empty() || !method.bytes().all(|byte| byte.is_ascii_lowercase()) {
        return Err(DidError::Method);
    }
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._:%-".contains(&byte);
    if identifier.is_empty() || !identifier.bytes().all(allowed) {
        return Err(DidError::Identifier);
    }
    if identifier.ends_with([':', '%']) {
        return Err(DidError::LastCharacter);
    }
    Ok(())
}

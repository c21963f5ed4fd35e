//! URIs of records: `at://account/collection/rkey`.

use super::{AtIdentifierError, NsidError, RecordKeyError, at_identifier, checked_text, nsid, record_key};

checked_text! {
    /// An AT-URI in the restricted form of records: `at://`, a DID or handle, then maybe `/` and a collection,
    /// then maybe `/` and a record key; no trailing slash, query or fragment; 8192 bytes at most. (AT Protocol
    /// specification, "AT-URI".)
    AtUri, AtUriError, check
}

/// Why a text is not an AT-URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum AtUriError {
    /// More than 8192 bytes.
    #[error("an AT-URI has at most 8192 bytes")]
    TooLong,
    /// It does not start with `at://`.
    #[error("an AT-URI starts with `at://`")]
    Scheme,
    /// What comes first is neither a DID nor a handle.
    #[error("an AT-URI's account: {0}")]
    Authority(#[from] AtIdentifierError),
    /// What comes second is no NSID.
    #[error("an AT-URI's collection: {0}")]
    Collection(#[from] NsidError),
    /// What comes third is no record key.
    #[error("an AT-URI's record key: {0}")]
    RecordKey(#[from] RecordKeyError),
}

const SCHEME: &str = "at://";

/// The account, collection and record key of what follows the scheme.
fn parts(rest: &str) -> (&str, Option<&str>, Option<&str>) {
    let mut parts = rest.splitn(3, '/');
    (parts.next().unwrap_or_default(), parts.next(), parts.next())
}

impl AtUri {
    fn parts(&self) -> (&str, Option<&str>, Option<&str>) {
        parts(self.as_str().get(SCHEME.len()..).unwrap_or_default())
    }

    /// The account: a DID or a handle.
    pub fn authority(&self) -> &str {
        self.parts().0
    }

    /// The collection, an NSID.
    pub fn collection(&self) -> Option<&str> {
        self.parts().1
    }

    /// The record key.
    pub fn rkey(&self) -> Option<&str> {
        self.parts().2
    }
}

fn check(text: &str) -> Result<(), AtUriError> {
    if text.len() > 8192 {
        return Err(AtUriError::TooLong);
    }
    let rest = text.strip_prefix(SCHEME).ok_or(AtUriError::Scheme)?;
    let (authority, collection, rkey) = parts(rest);
    at_identifier::check(authority)?;
    if let Some(collection) = collection {
        nsid::check(collection)?;
    }
    if let Some(rkey) = rkey {
        record_key::check(rkey)?;
    }
    Ok(())
}

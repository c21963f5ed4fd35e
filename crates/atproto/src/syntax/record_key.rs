//! Record keys: the name of a record within its collection.

use super::checked_text;

checked_text! {
    /// A record key: 1 to 512 characters of `[a-zA-Z0-9._:~-]`, not `.` and not `..`. (AT Protocol specification,
    /// "Record Key".)
    RecordKey, RecordKeyError, check
}

/// Why a text is not a record key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum RecordKeyError {
    /// Empty, or more than 512 bytes.
    #[error("a record key has 1 to 512 characters")]
    Length,
    /// A character outside `[a-zA-Z0-9._:~-]`.
    #[error("a record key is letters, digits and `._:~-`")]
    Character,
    /// `.` or `..`.
    #[error("a record key is not `.` or `..`")]
    Dots,
}

pub(super) fn check(text: &str) -> Result<(), RecordKeyError> {
    if !matches!(text.len(), 1..=512) {
        return Err(RecordKeyError::Length);
    }
    if !text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._:~-".contains(&byte)) {
        return Err(RecordKeyError::Character);
    }
    if text == "." || text == ".." {
        return Err(RecordKeyError::Dots);
    }
    Ok(())
}

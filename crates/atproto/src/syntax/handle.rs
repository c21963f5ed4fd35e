//! Handles: the name of an account that people read, a domain name.

use super::checked_text;

checked_text! {
    /// A handle: a domain name of two labels at least, each of letters, digits and inner hyphens, 63 at most; the
    /// last starts with a letter; 253 bytes at most. (AT Protocol specification, "Handle".)
    ///
    /// Two handles are the same account's name if their lower-case forms are equal.
    Handle, HandleError, check
}

/// Why a text is not a handle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum HandleError {
    /// More than 253 bytes.
    #[error("a handle has at most 253 bytes")]
    TooLong,
    /// Only one label.
    #[error("a handle has two labels at least, parted by `.`")]
    OneLabel,
    /// A label is empty or longer than 63, has other characters, or starts or ends with a hyphen.
    #[error("a handle's labels are 1 to 63 letters, digits and inner hyphens")]
    Label,
    /// The last label does not start with a letter.
    #[error("a handle's last label starts with a letter")]
    LastLabel,
}

/// Whether `label` is 1 to 63 ASCII letters, digits and inner hyphens.
pub(super) fn is_label(label: &str) -> bool {
    matches!(label.len(), 1..=63)
        && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        && !label.starts_with('-')
        && !label.ends_with('-')
}

pub(super) fn starts_with_letter(label: &str) -> bool {
    label.starts_with(|character: char| character.is_ascii_alphabetic())
}

pub(super) fn check(text: &str) -> Result<(), HandleError> {
    if text.len() > 253 {
        return Err(HandleError::TooLong);
    }
    let (_, last) = text.rsplit_once('.').ok_or(HandleError::OneLabel)?;
    if !text.split('.').all(is_label) {
        return Err(HandleError::Label);
    }
    if !starts_with_letter(last) {
        return Err(HandleError::LastLabel);
    }
    Ok(())
}

//! Language tags, as posts have them in `langs`.

use super::checked_text;

checked_text! {
    /// A language tag: well-formed BCP 47 (RFC 5646) whose primary language is two or three lower-case letters, or
    /// a private-use or grandfathered tag; no variant and no extension twice. (AT Protocol lexicon format
    /// `language`.)
    Language, LanguageError, check
}

/// Why a text is not a language tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum LanguageError {
    /// The first part is not two or three lower-case letters.
    #[error("a language tag starts with two or three lower-case letters")]
    Primary,
    /// A part is empty, longer than eight, not letters and digits, or not where BCP 47 lets it be.
    #[error("not a well-formed language tag")]
    Form,
    /// A variant is there twice.
    #[error("a language tag's variant is there twice")]
    VariantTwice,
    /// An extension is there twice.
    #[error("a language tag's extension is there twice")]
    ExtensionTwice,
}

/// Registered before RFC 4646 and not formed by its grammar.
const IRREGULAR: [&str; 17] = [
    "en-GB-oed",
    "i-ami",
    "i-bnn",
    "i-default",
    "i-enochian",
    "i-hak",
    "i-klingon",
    "i-lux",
    "i-mingo",
    "i-navajo",
    "i-pwn",
    "i-tao",
    "i-tay",
    "i-tsu",
    "sgn-BE-FR",
    "sgn-BE-NL",
    "sgn-CH-DE",
];

fn check(text: &str) -> Result<(), LanguageError> {
    if IRREGULAR.iter().any(|tag| tag.eq_ignore_ascii_case(text)) {
        return Ok(());
    }
    let letters = |part: &str| part.bytes().all(|byte| byte.is_ascii_alphabetic());
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let starts_with_digit = |part: &str| part.starts_with(|first: char| first.is_ascii_digit());

    let parts: Vec<&str> = text.split('-').collect();
    let (first, mut rest) = parts.split_first().ok_or(LanguageError::Primary)?;
    let private = first.eq_ignore_ascii_case("x");
    let primary = matches!(first.len(), 2..=3) && first.bytes().all(|byte| byte.is_ascii_lowercase());
    if !private && !primary {
        return Err(LanguageError::Primary);
    }
    if rest
        .iter()
        .any(|part| !matches!(part.len(), 1..=8) || !part.bytes().all(|b| b.is_ascii_alphanumeric()))
    {
        return Err(LanguageError::Form);
    }
    if private {
        return if rest.is_empty() { Err(LanguageError::Form) } else { Ok(()) };
    }
    /// Takes the next part, if it is the kind that may stand there.
    fn take<'t>(rest: &mut &[&'t str], is: impl Fn(&str) -> bool) -> Option<&'t str> {
        let (next, after) = rest.split_first()?;
        is(next).then(|| {
            *rest = after;
            *next
        })
    }
    // Extended language (three at most), script, region.
    for _ in 0..3 {
        if take(&mut rest, |part| part.len() == 3 && letters(part)).is_none() {
            break;
        }
    }
    take(&mut rest, |part| part.len() == 4 && letters(part));
    take(&mut rest, |part| (part.len() == 2 && letters(part)) || (part.len() == 3 && digits(part)));

    let mut variants: Vec<&str> = Vec::new();
    while let Some(variant) =
        take(&mut rest, |part| part.len() >= 5 || (part.len() == 4 && starts_with_digit(part)))
    {
        if variants.iter().any(|before| before.eq_ignore_ascii_case(variant)) {
            return Err(LanguageError::VariantTwice);
        }
        variants.push(variant);
    }
    let mut extensions: Vec<&str> = Vec::new();
    while let Some(extension) = take(&mut rest, |part| part.len() == 1) {
        if extension.eq_ignore_ascii_case("x") {
            // Private use: whatever follows, up to the end.
            return if rest.is_empty() { Err(LanguageError::Form) } else { Ok(()) };
        }
        if extensions.iter().any(|before| before.eq_ignore_ascii_case(extension)) {
            return Err(LanguageError::ExtensionTwice);
        }
        extensions.push(extension);
        take(&mut rest, |part| part.len() > 1).ok_or(LanguageError::Form)?;
        while take(&mut rest, |part| part.len() > 1).is_some() {}
    }
    if rest.is_empty() { Ok(()) } else { Err(LanguageError::Form) }
}

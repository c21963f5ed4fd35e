//! The identifiers of the AT Protocol as validated types: what is held in one of them has been checked.
//!
//! Each type has its own file with its rules, and its own error that says which rule a text breaks. All are made
//! by `parse` (or `FromStr`), shown by `Display` exactly as they were read, and give their text by `as_str`.
//!
//! ```
//! use skytide_atproto::syntax::{AtUri, Did, Tid};
//!
//! let did: Did = "did:plc:ewvi7nxzyoun6zhxrhs64oiz".parse().unwrap();
//! let uri: AtUri = format!("at://{did}/app.bsky.feed.post/3jzfcijpj2z2a").parse().unwrap();
//! assert_eq!(uri.collection(), Some("app.bsky.feed.post"));
//! let tid: Tid = uri.rkey().unwrap().parse().unwrap();
//! assert_eq!(tid.micros(), 1_688_137_381_887_007);
//! ```

mod at_identifier;
mod at_uri;
mod datetime;
mod did;
mod handle;
mod language;
mod nsid;
mod record_key;
mod tid;

pub use at_identifier::{AtIdentifier, AtIdentifierError};
pub use at_uri::{AtUri, AtUriError};
pub use datetime::{Datetime, DatetimeError, Times, parse_time};
pub use did::{Did, DidError};
pub use handle::{Handle, HandleError};
pub use language::{Language, LanguageError};
pub use nsid::{Nsid, NsidError};
pub use record_key::{RecordKey, RecordKeyError};
pub use tid::{Tid, TidError};

/// Defines a type that holds text which a `check` function has accepted.
macro_rules! checked_text {
    ($(#[$documentation:meta])* $name:ident, $error:ident, $check:path) => {
        $(#[$documentation])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Box<str>);

        impl $name {
            /// Checks `text` and holds it.
            ///
            /// # Errors
            /// The first rule that the text breaks.
            pub fn parse(text: impl Into<Box<str>>) -> Result<Self, $error> {
                let text = text.into();
                $check(&text)?;
                Ok(Self(text))
            }

            /// The text as it was read.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(&self.0)
            }
        }

        impl std::str::FromStr for $name {
            type Err = $error;

            fn from_str(text: &str) -> Result<Self, $error> {
                $check(text)?;
                Ok(Self(text.into()))
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
    };
}
use checked_text;

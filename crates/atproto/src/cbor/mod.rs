//! DAG-CBOR, read by a borrowed [`Cursor`] and written by an [`Encoder`]; [`Value`] is for whoever wants it all.
//!
//! The cursor decodes nothing ahead: a caller reads the few items it needs and hops over the rest, which in a
//! real commit is nearly everything. What is read is held to every rule of DAG-CBOR; what is hopped over is
//! held to heads and lengths only, since its contents reach nobody. Each refusal names its [`Rule`].
//!
//! ```
//! use skytide_atproto::cbor::{Cursor, MapKeys};
//!
//! // {"a": [1, 2, 3], "text": "hi"}
//! let bytes = b"\xa2\x61a\x83\x01\x02\x03\x64text\x62hi";
//! let mut cursor = Cursor::new(bytes);
//! let mut keys = MapKeys::new(cursor.read_map()?);
//! let mut text = "";
//! while let Some(key) = keys.next(&mut cursor)? {
//!     match key {
//!         "text" => text = cursor.read_text()?,
//!         _ => cursor.skip()?,
//!     }
//! }
//! assert_eq!(text, "hi");
//! # Ok::<(), skytide_atproto::cbor::Error>(())
//! ```

mod cursor;
mod encoder;
mod keys;
mod value;

pub use cursor::Cursor;
pub use encoder::Encoder;
pub use keys::MapKeys;
pub use value::{Map, Value};

use crate::cid::CidError;

/// Lists and maps may be open within each other to this depth; deeper items are refused.
///
/// [`Cursor::skip`], [`Cursor::check`] and [`Cursor::read_value`] count from the item they are called on.
pub const MAX_DEPTH: usize = 64;

/// The result of reading DAG-CBOR.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The kinds of DAG-CBOR items.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// An integer from 0 to 2^64 - 1.
    Unsigned,
    /// An integer from -2^64 to -1.
    Negative,
    /// A byte string.
    Bytes,
    /// A text string, UTF-8.
    Text,
    /// A list of items.
    List,
    /// A map from text to items.
    Map,
    /// A CID (tag 42).
    Link,
    /// `true` or `false`.
    Bool,
    /// `null`.
    Null,
    /// A 64-bit float, finite and not negative zero.
    Float,
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Kind::Unsigned => "an unsigned integer",
            Kind::Negative => "a negative integer",
            Kind::Bytes => "bytes",
            Kind::Text => "text",
            Kind::List => "a list",
            Kind::Map => "a map",
            Kind::Link => "a link",
            Kind::Bool => "a bool",
            Kind::Null => "null",
            Kind::Float => "a float",
        })
    }
}

/// Bytes that are refused: which rule they break, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[error("{rule} (at byte {at})")]
pub struct Error {
    /// Offset, in the bytes the cursor was made of, of the item (or its argument) that breaks the rule.
    pub at: usize,
    /// The rule that is broken.
    pub rule: Rule,
}

/// The rules of DAG-CBOR, as each can be broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Rule {
    /// The bytes end inside an item, or a length or count asks for more bytes than remain.
    #[error("the bytes end before the item does")]
    End,
    /// Bytes follow the one item that was to be read.
    #[error("bytes follow the item")]
    Trailing,
    /// The item is well formed but not of the kind that was asked for.
    #[error("expected {0}")]
    Expected(Kind),
    /// The integer is well formed but does not fit the type that was asked for.
    #[error("the integer does not fit the type asked for")]
    IntegerRange,
    /// An integer, length or tag is written in more bytes than it needs.
    #[error("an integer or length is not in its shortest form")]
    NotMinimal,
    /// Additional information 28 to 30, which CBOR reserves.
    #[error("a reserved head")]
    Reserved,
    /// Strings, lists and maps of indefinite length, and the `break` that ends them.
    #[error("an indefinite length")]
    Indefinite,
    /// A tag other than 42.
    #[error("a tag other than 42")]
    Tag,
    /// Tag 42 on something other than a byte string that starts with 0x00.
    #[error("a link is not a byte string that starts with zero")]
    Link,
    /// A link whose CID is not one the AT Protocol uses.
    #[error("a link's CID: {0}")]
    Cid(CidError),
    /// `undefined` or another simple value: only `false`, `true` and `null` exist.
    #[error("a simple value other than false, true and null")]
    Simple,
    /// A float of 16 or 32 bits.
    #[error("a float of other than 64 bits")]
    FloatWidth,
    /// NaN or an infinity.
    #[error("a float that is not finite")]
    FloatNotFinite,
    /// Negative zero, which has no place in the one form that each value has.
    #[error("a float that is negative zero")]
    FloatNegativeZero,
    /// Text that is not UTF-8.
    #[error("text is not UTF-8")]
    Utf8,
    /// A map key that is not text.
    #[error("a map key is not text")]
    KeyNotText,
    /// A map key that is not after the one before it (shorter keys first, then bytewise).
    #[error("map keys are not in canonical order")]
    KeyOrder,
    /// A map key that is there twice.
    #[error("a map key is there twice")]
    KeyDuplicate,
    /// More than [`MAX_DEPTH`] lists and maps within each other.
    #[error("nested deeper than {MAX_DEPTH}")]
    Depth,
}

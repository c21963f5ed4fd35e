//! Records as typed data: which record types exist, which fields they have and of what type.
//!
//! A record is an open map; what can be relied on is said by its lexicon. [`Shape`] is what a query needs of
//! that: the types of fields, without the constraints. The types people query are described in [`types`],
//! checked by a test against the published lexicons; [`Lexicons`] derives the same from lexicon files that a
//! user gives; any other record is one value of [`Shape::Json`].

mod blob;
mod lexicon;
mod shape;
pub mod types;

pub use blob::{Blob, blobs};
pub use lexicon::{LexiconError, Lexicons};
pub use shape::Shape;

use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

/// A record type: a collection's NSID and the shape of its records.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordType {
    /// The collection, which is also the records' `$type`.
    pub nsid: Cow<'static, str>,
    /// The name of its stream in a query, where it has one of its own (SEMANTICS 8.2); else it is read by its NSID.
    pub stream: Option<&'static str>,
    /// The fields of a record.
    pub shape: Arc<Shape>,
}

impl RecordType {
    /// All record types that are built in.
    #[must_use]
    pub fn all() -> &'static [RecordType] {
        static ALL: LazyLock<Vec<RecordType>> = LazyLock::new(|| {
            let built_in = |&(nsid, stream, shape): &types::BuiltIn| RecordType {
                nsid: Cow::Borrowed(nsid),
                stream,
                shape: Arc::new(shape()),
            };
            types::BUILT_IN.iter().map(built_in).collect()
        });
        &ALL
    }

    /// The built-in type whose stream has this name, as `posts`.
    #[must_use]
    pub fn by_stream(name: &str) -> Option<&'static RecordType> {
        Self::all().iter().find(|record| record.stream == Some(name))
    }

    /// The built-in type of a collection, as `app.bsky.feed.post`.
    #[must_use]
    pub fn by_nsid(nsid: &str) -> Option<&'static RecordType> {
        Self::all().iter().find(|record| record.nsid == nsid)
    }

    /// The type of a collection of which nothing is known: its records are one JSON text each.
    #[must_use]
    pub fn unknown(nsid: &str) -> RecordType {
        RecordType { nsid: Cow::Owned(nsid.to_owned()), stream: None, shape: Arc::new(Shape::Json) }
    }
}

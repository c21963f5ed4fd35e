//! What a query can name: streams, their columns and their keys, and the functions of the program that asks.

use std::sync::Arc;

use arrow_schema::{DataType, Fields};

use crate::functions::user::UserFunctions;

/// A stream of points that a source offers.
#[derive(Debug, Clone, PartialEq)]
pub struct StreamDef {
    /// The name in the text: `posts`, `posts.deletes()`, `records("com.example.thing")`.
    pub name: String,
    /// Number of the source it is read from. Points of two streams of one source never pair; events of equal time
    /// are ordered by this number, then by ordinal (SEMANTICS 1.2).
    pub source: u16,
    /// The columns of a point, in order.
    pub fields: Fields,
    /// Name of the key column, which is also what the stream is grouped by.
    pub key: String,
    /// Name of the column that is the time of each point; none where none of the columns is.
    pub time: Option<String>,
}

impl StreamDef {
    /// The struct of all columns: the type of a point's value.
    #[must_use]
    pub fn data_type(&self) -> DataType {
        DataType::Struct(self.fields.clone())
    }
}

/// What can be named where a query is compiled.
pub trait Catalog {
    /// The stream behind a bare name.
    fn stream(&self, name: &str) -> Option<Arc<StreamDef>>;

    /// The stream behind a function of one text argument, as `records("app.bsky.feed.post")`.
    ///
    /// # Errors
    /// What is wrong with the argument, or that there is no such function, as a sentence for the user.
    fn stream_function(&self, function: &str, argument: &str) -> Result<Arc<StreamDef>, String>;

    /// The stream that a method without arguments makes of another, as `posts.deletes()`; none if there is no
    /// such method.
    fn stream_method(&self, stream: &StreamDef, method: &str) -> Option<Arc<StreamDef>>;

    /// The methods that [`Catalog::stream_method`] knows of a stream, for completion.
    fn stream_methods(&self, _stream: &StreamDef) -> Vec<String> {
        Vec::new()
    }

    /// The functions that [`Catalog::stream_function`] knows, each with the arguments that are known; others
    /// may do, too. For completion, and for errors that say what a function takes.
    fn stream_functions(&self) -> Vec<(String, Vec<String>)> {
        Vec::new()
    }

    /// Why one query cannot read both of two streams; none if it can.
    fn apart(&self, _one: &StreamDef, _other: &StreamDef) -> Option<String> {
        None
    }

    /// What the keys of a stream are; the name of its key column unless the catalog knows better.
    fn grouping(&self, stream: &StreamDef) -> String {
        stream.key.clone()
    }

    /// Every bare name, for the nearest one in an error and for completion.
    fn names(&self) -> Vec<String>;

    /// The program's own functions, which [`UserFunctions::over`] adds to any catalog. They come before a
    /// source's functions and methods of the same name.
    fn functions(&self) -> Option<&UserFunctions> {
        None
    }
}

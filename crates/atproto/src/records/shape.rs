//! The type of a value inside a record, as far as a query needs it: the data model's kinds, lists and structs.
//!
//! String formats (datetime, DID, language…) are all [`Shape::Text`], so that reading a record loses nothing.

#[cfg(feature = "arrow")]
use arrow_schema::{DataType, Field, Fields};

/// Nesting of a shape at most; what lies deeper in a lexicon is [`Shape::Json`]. Decoding recurses by shape, so this
/// bounds it.
pub(super) const MAX_SHAPE_DEPTH: usize = 16;

/// The type of a value inside a record.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Shape {
    /// `boolean`
    Bool,
    /// `integer`, 64 bits
    Int,
    /// A finite float. Lexicons have none; a record may.
    Float,
    /// `string` of any format
    Text,
    /// `bytes`
    Bytes,
    /// `cid-link`, as the text of its CID
    Link,
    /// `array`
    List(Box<Shape>),
    /// `object` or `union`: fields by name. Fields of the data that are not named here are not shown.
    Struct(Vec<(String, Shape)>),
    /// Anything else, as JSON text.
    Json,
}

impl Shape {
    /// A list of such items.
    #[must_use]
    pub fn list(item: Shape) -> Shape {
        Shape::List(Box::new(item))
    }

    /// A struct of these fields.
    #[must_use]
    pub fn object<const N: usize>(fields: [(&str, Shape); N]) -> Shape {
        Shape::Struct(fields.map(|(name, shape)| (name.to_owned(), shape)).into())
    }

    /// The shape of a blob: `ref` (its CID), `mimeType`, `size` in bytes.
    #[must_use]
    pub fn blob() -> Shape {
        Shape::object([("ref", Shape::Link), ("mimeType", Shape::Text), ("size", Shape::Int)])
    }

    /// The field of a struct.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&Shape> {
        match self {
            Shape::Struct(fields) => fields.iter().find(|(field, _)| field == name).map(|(_, shape)| shape),
            _ => None,
        }
    }

    /// A shape that holds what either holds: structs field by field, lists by their items; two kinds that differ are
    /// [`Shape::Json`].
    #[must_use]
    pub fn merge(self, other: Shape) -> Shape {
        match (self, other) {
            (Shape::Struct(mut fields), Shape::Struct(others)) => {
                for (name, shape) in others {
                    match fields.iter_mut().find(|(field, _)| *field == name) {
                        Some((_, known)) => {
                            let both = std::mem::replace(known, Shape::Json).merge(shape);
                            *known = both;
                        }
                        None => fields.push((name, shape)),
                    }
                }
                Shape::Struct(fields)
            }
            (Shape::List(item), Shape::List(other)) => Shape::list(item.merge(*other)),
            (one, other) if one == other => one,
            _ => Shape::Json,
        }
    }

    /// The shape with everything deeper than `depth` levels, and every struct without fields, as [`Shape::Json`].
    #[must_use]
    pub fn capped(self, depth: usize) -> Shape {
        match self {
            Shape::List(_) | Shape::Struct(_) if depth == 0 => Shape::Json,
            Shape::Struct(fields) if fields.is_empty() => Shape::Json,
            Shape::List(item) => Shape::list(item.capped(depth - 1)),
            Shape::Struct(fields) => Shape::Struct(
                fields.into_iter().map(|(name, shape)| (name, shape.capped(depth - 1))).collect(),
            ),
            leaf => leaf,
        }
    }

    /// The Arrow type of its column: Boolean, Int64, Float64, Utf8, Binary, List (of `item`) or Struct; all nullable.
    #[cfg(feature = "arrow")]
    #[must_use]
    pub fn data_type(&self) -> DataType {
        match self {
            Shape::Bool => DataType::Boolean,
            Shape::Int => DataType::Int64,
            Shape::Float => DataType::Float64,
            Shape::Text | Shape::Link | Shape::Json => DataType::Utf8,
            Shape::Bytes => DataType::Binary,
            Shape::List(item) => DataType::new_list(item.data_type(), true),
            Shape::Struct(fields) => DataType::Struct(
                fields
                    .iter()
                    .map(|(name, shape)| Field::new(name, shape.data_type(), true))
                    .collect::<Fields>(),
            ),
        }
    }
}

//! Lexicon files to shapes.
//!
//! A lexicon is JSON: `{lexicon: 1, id, defs: {main, …}}`. Only what decides the type of a value is read here; a
//! file that is odd elsewhere is still of use. A reference that cannot be followed (unknown, circular, too deep) is
//! [`Shape::Json`], so that one unknown schema does not cost the user the rest of a record.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;

use super::shape::MAX_SHAPE_DEPTH;
use super::{RecordType, Shape, types};

/// Why a lexicon is of no use.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LexiconError {
    /// The text is not JSON.
    #[error("not JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// It is JSON, but not an object with `lexicon`, `id` and `defs`.
    #[error("not a lexicon: {0} is missing or of the wrong type")]
    Missing(&'static str),
    /// No lexicon of this id has been added.
    #[error("no lexicon {0}")]
    Unknown(String),
    /// The lexicon's main definition is not a record.
    #[error("{nsid} defines a {found}, not a record")]
    NotARecord {
        /// The lexicon.
        nsid: String,
        /// What it defines.
        found: String,
    },
}

/// Definitions that one record type is made of at most: references branch, so depth alone bounds nothing.
const MAX_DEFINITIONS: usize = 10_000;

/// Lexicons by id, so that one can refer to another.
#[derive(Debug, Default)]
pub struct Lexicons {
    defs: HashMap<String, Value>,
}

impl Lexicons {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a lexicon file; gives its id. One of the same id is replaced.
    ///
    /// # Errors
    /// If the text is not a lexicon.
    pub fn add(&mut self, json: &str) -> Result<String, LexiconError> {
        let mut lexicon: Value = serde_json::from_str(json)?;
        if lexicon.get("lexicon").and_then(Value::as_u64).is_none() {
            return Err(LexiconError::Missing("lexicon"));
        }
        let id = lexicon.get("id").and_then(Value::as_str).ok_or(LexiconError::Missing("id"))?.to_owned();
        let defs = lexicon.get_mut("defs").map(Value::take).filter(Value::is_object);
        self.defs.insert(id.clone(), defs.ok_or(LexiconError::Missing("defs"))?);
        Ok(id)
    }

    /// The record type that the lexicon `nsid` defines.
    ///
    /// # Errors
    /// If there is no such lexicon, or it defines no record.
    pub fn record_type(&self, nsid: &str) -> Result<RecordType, LexiconError> {
        let defs = self.defs.get(nsid).ok_or_else(|| LexiconError::Unknown(nsid.to_owned()))?;
        let main = defs.get("main").ok_or(LexiconError::Missing("defs.main"))?;
        let kind = main.get("type").and_then(Value::as_str).unwrap_or("definition without a type");
        if kind != "record" {
            return Err(LexiconError::NotARecord { nsid: nsid.to_owned(), found: kind.to_owned() });
        }
        let record = main.get("record").ok_or(LexiconError::Missing("defs.main.record"))?;
        let mut way = Way { path: vec![format!("{nsid}#main")], definitions: 0 };
        let shape = self.shape(nsid, record, &mut way).capped(MAX_SHAPE_DEPTH);
        let stream = RecordType::by_nsid(nsid).and_then(|known| known.stream);
        Ok(RecordType { nsid: Cow::Owned(nsid.to_owned()), stream, shape: Arc::new(shape) })
    }

    /// The shape of a definition of lexicon `nsid`.
    fn shape(&self, nsid: &str, def: &Value, way: &mut Way) -> Shape {
        match def.get("type").and_then(Value::as_str) {
            Some("boolean") => Shape::Bool,
            Some("integer") => Shape::Int,
            Some("string" | "token") => Shape::Text,
            Some("bytes") => Shape::Bytes,
            Some("cid-link") => Shape::Link,
            Some("blob") => Shape::blob(),
            Some("array") => match def.get("items") {
                Some(items) => Shape::list(self.shape(nsid, items, way)),
                None => Shape::Json,
            },
            Some("object") => match def.get("properties").and_then(Value::as_object) {
                Some(fields) => Shape::Struct(
                    fields.iter().map(|(name, def)| (name.clone(), self.shape(nsid, def, way))).collect(),
                ),
                None => Shape::Json,
            },
            Some("ref") => match def.get("ref").and_then(Value::as_str) {
                Some(target) => self.follow(nsid, target, way),
                None => Shape::Json,
            },
            Some("union") => self.union(nsid, def, way),
            _ => Shape::Json,
        }
    }

    /// A union is one struct with the fields of all its variants, and `$type`, which says which it is.
    fn union(&self, nsid: &str, def: &Value, way: &mut Way) -> Shape {
        let refs = def.get("refs").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let mut merged = Shape::object([("$type", Shape::Text)]);
        for target in refs.iter().filter_map(Value::as_str) {
            match self.follow(nsid, target, way) {
                variant @ Shape::Struct(_) => merged = merged.merge(variant),
                _ => return Shape::Json,
            }
        }
        if refs.is_empty() { Shape::Json } else { merged }
    }

    /// The shape behind `nsid#name`, `nsid` or `#name`.
    fn follow(&self, nsid: &str, target: &str, way: &mut Way) -> Shape {
        let (lexicon, name) = target.split_once('#').unwrap_or((target, "main"));
        let lexicon = if lexicon.is_empty() { nsid } else { lexicon };
        let full = format!("{lexicon}#{name}");
        way.definitions += 1;
        if way.definitions > MAX_DEFINITIONS || way.path.len() >= MAX_SHAPE_DEPTH || way.path.contains(&full)
        {
            return Shape::Json;
        }
        let Some(def) = self.defs.get(lexicon).and_then(|defs| defs.get(name)) else {
            return types::well_known(&full).unwrap_or(Shape::Json);
        };
        way.path.push(full);
        let shape = self.shape(lexicon, def, way);
        way.path.pop();
        shape
    }
}

/// Where following references has led.
struct Way {
    /// The references that led here.
    path: Vec<String>,
    /// How many were followed in all.
    definitions: usize,
}

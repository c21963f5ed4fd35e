//! The keys of a map, held to DAG-CBOR's order while a caller reads the entries.
//!
//! Apart from the cursor, because only a map that is being read has a key before.

use super::{Cursor, Error, Kind, Result, Rule};

/// Reads the keys of one map in turn: shorter keys first, then bytewise, none twice.
///
/// Between two calls of [`next`](MapKeys::next) or [`next_bytes`](MapKeys::next_bytes) the caller moves the
/// cursor over exactly one value.
#[derive(Clone, Debug)]
pub struct MapKeys<'a> {
    left: usize,
    before: Option<&'a [u8]>,
}

impl<'a> MapKeys<'a> {
    /// The keys of a map of `entries` entries, as [`Cursor::read_map`] gave them.
    #[inline]
    pub fn new(entries: usize) -> MapKeys<'a> {
        MapKeys { left: entries, before: None }
    }

    /// The next key, after which the cursor stands at its value; `None` after the last entry.
    ///
    /// # Errors
    /// [`Rule::KeyOrder`], [`Rule::KeyDuplicate`], [`Rule::KeyNotText`], or the rule that the key's text breaks.
    #[inline]
    pub fn next(&mut self, cursor: &mut Cursor<'a>) -> Result<Option<&'a str>> {
        self.read(cursor, Cursor::read_text)
    }

    /// As [`next`](MapKeys::next), for those who only compare the key: [`Cursor::read_text_bytes`] says why.
    ///
    /// # Errors
    /// As [`next`](MapKeys::next).
    #[inline]
    pub fn next_bytes(&mut self, cursor: &mut Cursor<'a>) -> Result<Option<&'a [u8]>> {
        self.read(cursor, Cursor::read_text_bytes)
    }

    #[inline]
    fn read<T: ?Sized + AsRef<[u8]>>(
        &mut self,
        cursor: &mut Cursor<'a>,
        text: impl FnOnce(&mut Cursor<'a>) -> Result<&'a T>,
    ) -> Result<Option<&'a T>> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        let start = cursor.position();
        let text = text(cursor).map_err(key_error)?;
        let key = text.as_ref();
        if let Some(before) = self.before {
            let ascends = key.len() > before.len() || (key.len() == before.len() && key > before);
            if !ascends {
                return Err(order_error(start, key == before));
            }
        }
        self.before = Some(key);
        Ok(Some(text))
    }
}

#[cold]
fn order_error(at: usize, twice: bool) -> Error {
    Error { at, rule: if twice { Rule::KeyDuplicate } else { Rule::KeyOrder } }
}

#[cold]
fn key_error(error: Error) -> Error {
    match error.rule {
        Rule::Expected(Kind::Text) => Error { rule: Rule::KeyNotText, ..error },
        _ => error,
    }
}

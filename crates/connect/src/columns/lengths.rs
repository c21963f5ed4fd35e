//! Texts of which nothing but the length is asked for: others as long in their place, so that theirs need not be copied.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, StringArray, StringViewArray};
use arrow_buffer::{Buffer, OffsetBuffer};
use arrow_schema::ArrowError;

/// Texts of spaces, made of one buffer that is kept.
#[derive(Debug, Clone)]
pub(crate) struct Blanks {
    spaces: Buffer,
}

impl Blanks {
    pub(crate) fn new() -> Self {
        Self { spaces: Buffer::from_vec(Vec::<u8>::new()) }
    }

    /// For each text another of as many characters, null where it is.
    pub(crate) fn of(&mut self, texts: &StringViewArray) -> Result<ArrayRef, ArrowError> {
        let mut ends: Vec<i32> = Vec::with_capacity(texts.len() + 1);
        let mut bytes = 0_usize;
        ends.push(0);
        for row in 0..texts.len() {
            bytes += if texts.is_valid(row) { chars(texts.value(row)) } else { 0 };
            ends.push(i32::try_from(bytes).map_err(|_| ArrowError::OffsetOverflowError(bytes))?);
        }
        let offsets = OffsetBuffer::new(ends.into());
        if self.spaces.len() < bytes {
            self.spaces = Buffer::from_vec(vec![b' '; bytes]);
        }
        let spaces = self.spaces.slice_with_length(0, bytes);
        Ok(Arc::new(StringArray::try_new(offsets, spaces, texts.nulls().cloned())?))
    }
}

/// The number of characters of a text.
#[inline]
fn chars(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { text.chars().count() }
}

//! Texts of which nothing but the length is asked for: others as long in their place, so that theirs need not be copied.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, StringArray, StringViewArray};
use arrow_buffer::{Buffer, OffsetBuffer};
use arrow_schema::ArrowError;

/// Bytes of a text up to which it stands in its view.
const INLINE: u32 = 12;
/// The bits of those bytes that no character of ASCII has.
const BEYOND: u128 = 0x8080_8080_8080_8080_8080_8080 << 32;

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
        let ends = if is_ascii(texts) {
            ends(texts, |row| texts.views()[row] as u32 as usize)
        } else {
            ends(texts, |row| chars(texts.value(row)))
        };
        let offsets = OffsetBuffer::new(ends?.into());
        let bytes = offsets.last().map_or(0, |end| *end as usize);
        if self.spaces.len() < bytes {
            self.spaces = Buffer::from_vec(vec![b' '; bytes]);
        }
        let spaces = self.spaces.slice_with_length(0, bytes);
        Ok(Arc::new(StringArray::try_new(offsets, spaces, texts.nulls().cloned())?))
    }
}

/// Where texts of these lengths end that stand one after another, from 0 on.
fn ends(texts: &StringViewArray, length: impl Fn(usize) -> usize) -> Result<Vec<i32>, ArrowError> {
    let mut ends = Vec::with_capacity(texts.len() + 1);
    let mut end = 0_usize;
    ends.push(0);
    for row in 0..texts.len() {
        end += if texts.is_valid(row) { length(row) } else { 0 };
        ends.push(i32::try_from(end).map_err(|_| ArrowError::OffsetOverflowError(end))?);
    }
    Ok(ends)
}

/// Whether all texts are of ASCII, if that is told sooner by looking at all that lies between them than by looking at each.
fn is_ascii(texts: &StringViewArray) -> bool {
    // Of each buffer the part that they are views of.
    let mut parts: Vec<(usize, usize)> = vec![(usize::MAX, 0); texts.data_buffers().len()];
    let (mut lengths, mut beyond) = (0, 0);
    for view in texts.views() {
        let length = *view as u32;
        lengths += length as usize;
        if length <= INLINE {
            beyond |= view & BEYOND;
        } else if let Some((start, end)) = parts.get_mut((view >> 64) as u32 as usize) {
            let from = (view >> 96) as usize;
            *start = from.min(*start);
            *end = (from + length as usize).max(*end);
        }
    }
    let parts = || parts.iter().zip(texts.data_buffers()).filter(|((start, end), _)| start < end);
    let looked_at: usize = parts().map(|((start, end), _)| end - start).sum();
    let is_ascii = |buffer: &Buffer, part| buffer.get(part).is_some_and(<[u8]>::is_ascii);
    beyond == 0
        && looked_at / 2 <= lengths
        && parts().all(|((start, end), buffer)| is_ascii(buffer, *start..*end))
}

/// The number of characters of a text.
fn chars(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { text.chars().count() }
}

#[cfg(test)]
mod tests {
    use arrow_array::cast::AsArray;

    use super::*;

    #[test]
    fn blanks_are_as_long_in_characters() {
        let long = "a text that is longer than a view".to_owned();
        let of = |texts: Vec<Option<String>>| {
            let blanks = Blanks::new().of(&texts.iter().cloned().collect()).unwrap();
            let lengths = |texts: &[Option<String>]| -> Vec<_> {
                texts.iter().map(|text| text.as_ref().map(|text| text.chars().count())).collect()
            };
            let blank: Vec<_> =
                blanks.as_string::<i32>().iter().map(|text| text.map(str::to_owned)).collect();
            assert!(blank.iter().flatten().all(|text| text.bytes().all(|byte| byte == b' ')));
            assert_eq!(lengths(&blank), lengths(&texts));
        };
        of(vec![]);
        of(vec![None, Some(String::new()), Some(long.clone()), Some("short".into())]);
        of(vec![Some(long.clone()), Some("ü".into()), None]);
        of(vec![Some("short".into()), Some(format!("{long}ß")), Some(long)]);
        of(vec![Some("äöü".repeat(100)); 3]);
    }
}

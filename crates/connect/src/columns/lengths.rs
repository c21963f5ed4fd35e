//! Lengths of texts, of which a source need not make more where nothing else is asked for.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, Int64Array, StringViewArray};
use arrow_buffer::Buffer;
use arrow_schema::{ArrowError, DataType};
use skytide_timestream::functions::eval;

/// Bytes of a text up to which it stands in its view.
const INLINE: u32 = 12;
/// The bits of those bytes that no character of ASCII has.
const BEYOND: u128 = 0x8080_8080_8080_8080_8080_8080 << 32;

/// The number of characters of each text, null where it is; numbers are lengths already.
pub(crate) fn lengths(texts: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    match texts.data_type() {
        DataType::Int64 => Ok(Arc::clone(texts)),
        DataType::Utf8 => Ok(Arc::new(eval::lengths(texts.as_string())?)),
        DataType::Utf8View => Ok(Arc::new(of_views(texts.as_string_view())?)),
        other => Err(ArrowError::SchemaError(format!("{other} is no text"))),
    }
}

fn of_views(texts: &StringViewArray) -> Result<Int64Array, ArrowError> {
    let lengths: Vec<i64> = if is_ascii(texts) {
        texts.views().iter().map(|view| i64::from(*view as u32)).collect()
    } else {
        texts.iter().map(|text| text.map_or(0, |text| text.chars().count() as i64)).collect()
    };
    Int64Array::try_new(lengths.into(), texts.nulls().cloned())
}

/// Whether all texts are of ASCII; what stands under a null may say no.
fn is_ascii(texts: &StringViewArray) -> bool {
    let (mut inline, mut seen) = (0, Seen::default());
    for view in texts.views() {
        let (length, buffer, start) = (*view as u32, (view >> 64) as u32, (view >> 96) as usize);
        if length <= INLINE {
            inline |= view & BEYOND;
        } else {
            let buffer = texts.data_buffers().get(buffer as usize).map(Buffer::as_slice);
            let bytes = buffer.and_then(|bytes| bytes.get(start..start + length as usize));
            seen.see(bytes.unwrap_or_default());
        }
    }
    inline == 0 && seen.is_ascii()
}

/// All bytes of many texts laid over each other: told at the end, so that no text waits for the one before.
#[derive(Default)]
struct Seen {
    wide: [u64; 4],
    narrow: u64,
}

impl Seen {
    #[inline]
    fn see(&mut self, bytes: &[u8]) {
        let words = |chunk: &[u8; 32]| {
            let (words, _) = chunk.as_chunks::<8>();
            [words[0], words[1], words[2], words[3]].map(u64::from_ne_bytes)
        };
        // The last chunk lies over the one before it.
        if let Some(last) = bytes.last_chunk::<32>() {
            for chunk in bytes.as_chunks().0.iter().chain([last]) {
                self.wide.iter_mut().zip(words(chunk)).for_each(|(seen, word)| *seen |= word);
            }
        } else if let Some(last) = bytes.last_chunk::<8>() {
            for word in bytes.as_chunks().0.iter().chain([last]) {
                self.narrow |= u64::from_ne_bytes(*word);
            }
        } else {
            bytes.iter().for_each(|byte| self.narrow |= u64::from(*byte));
        }
    }

    fn is_ascii(&self) -> bool {
        let all = self.wide.iter().fold(self.narrow, |all, word| all | word);
        all & 0x8080_8080_8080_8080 == 0
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::StringArray;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_first_character_beyond_ascii_is_seen_wherever_it_stands() {
        for length in 1..140 {
            for at in 0..length {
                let text = format!("{}ß{}", "a".repeat(at), "b".repeat(length - at - 1));
                let made = of_views(&[Some("short"), Some(&*text)].into_iter().collect()).unwrap();
                assert_eq!(made.values()[1], length as i64, "{at}");
            }
        }
    }

    proptest! {
        #[test]
        fn texts_in_any_form_are_as_long(texts in prop::collection::vec(prop::option::of("[a-z]{0,40}|[a-zäß€]{0,40}"), 0..40)) {
            let expected: Int64Array =
                texts.iter().map(|text| text.as_ref().map(|text| text.chars().count() as i64)).collect();
            let views: ArrayRef = Arc::new(texts.iter().cloned().collect::<StringViewArray>());
            let plain: ArrayRef = Arc::new(texts.iter().cloned().collect::<StringArray>());
            for texts in [views, plain] {
                let made = lengths(&texts).unwrap();
                prop_assert_eq!(made.as_primitive(), &expected);
                prop_assert_eq!(&lengths(&made).unwrap(), &made);
            }
        }
    }
}

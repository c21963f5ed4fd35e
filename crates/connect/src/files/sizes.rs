//! How large the rows of a row group are when they are decoded. What its file says of a column is the size of
//! its pages, in which a text that repeats stands once, in a dictionary; decoded, it stands in each row.

use std::fs::File;
use std::sync::Arc;

use parquet::basic::Type;
use parquet::column::page::{Page, PageReader as _};
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::serialized_reader::SerializedPageReader;

use super::caught::caught;

/// So many bytes of texts are held by any array.
const HARMLESS_BYTES: u64 = 1 << 30;

/// What values of a column take when they are decoded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Size {
    /// All of them, about.
    pub(super) bytes: u64,
    /// How many rows at once an array holds also where all of them are of the longest.
    pub(super) most: Option<u64>,
}

impl Size {
    /// Of a column of a row group. `file` is asked for where its end does not tell: the dictionary is read then.
    pub(super) fn of(column: &ColumnChunkMetaData, file: impl FnOnce() -> Option<File>) -> Self {
        let known = |bytes: i64| u64::try_from(bytes).unwrap_or(0);
        let pages = known(column.uncompressed_size());
        if column.column_type() != Type::BYTE_ARRAY || column.dictionary_page_offset().is_none() {
            return Self { bytes: pages, most: None };
        }
        match column.unencoded_byte_array_data_bytes().map(known) {
            Some(texts) if texts <= HARMLESS_BYTES => Self { bytes: pages.max(texts), most: None },
            told => {
                let page = file().and_then(|file| caught(|| dictionary(file, column)).flatten());
                let Some((lengths, longest)) = page.as_deref().and_then(lengths) else {
                    return Self { bytes: pages.max(told.unwrap_or(0)), most: None };
                };
                let texts = told.unwrap_or_else(|| lengths.saturating_mul(known(column.num_values())));
                Self { bytes: pages.max(texts), most: Some(HARMLESS_BYTES / longest.max(1)) }
            }
        }
    }
}

/// The dictionary of a column.
fn dictionary(file: File, column: &ColumnChunkMetaData) -> Option<Vec<u8>> {
    let rows = usize::try_from(column.num_values()).ok()?;
    let mut pages = SerializedPageReader::new(Arc::new(file), column, rows, None).ok()?;
    match pages.get_next_page().ok()? {
        Some(Page::DictionaryPage { buf, .. }) => Some(buf.to_vec()),
        _ => None,
    }
}

/// How long the texts of a dictionary are on average, and the longest of them: each stands behind its length.
fn lengths(mut page: &[u8]) -> Option<(u64, u64)> {
    let (mut all, mut count, mut longest) = (0_u64, 0_u64, 0_u64);
    while let Some((length, rest)) = page.split_first_chunk::<4>() {
        let length = u32::from_le_bytes(*length);
        all += u64::from(length);
        count += 1;
        longest = longest.max(length.into());
        page = rest.get(usize::try_from(length).ok()?..)?;
    }
    Some((all.checked_div(count)?, longest))
}

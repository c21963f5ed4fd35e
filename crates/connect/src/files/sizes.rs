//! How large the rows of a row group are when they are decoded. What its file says of a column is the size of
//! its pages, in which a text that repeats stands once, in a dictionary; decoded, it stands in each row.

use std::fs::File;
use std::sync::Arc;

use parquet::basic::Type;
use parquet::column::page::{Page, PageReader as _};
use parquet::column::reader::{ColumnReader, get_column_reader};
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::serialized_reader::SerializedPageReader;

use super::caught::caught;

/// So many bytes of texts are held by any array.
const HARMLESS_BYTES: u64 = 1 << 30;
/// Rows whose items are counted at once.
const ROWS: usize = 1024;

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
    pub(super) fn of(column: &ColumnChunkMetaData, file: impl Fn() -> Option<File>) -> Self {
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
                let held = HARMLESS_BYTES / longest.max(1);
                let is_within_lists = column.column_descr().max_rep_level() > 0;
                let items = match file().filter(|_| is_within_lists && known(column.num_values()) > held) {
                    Some(file) => caught(|| most_items(file, column)).flatten().unwrap_or(held),
                    None => 1,
                };
                Self { bytes: pages.max(texts), most: Some(held / items.max(1)) }
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

/// How many values of a column a row has at most.
fn most_items(file: File, column: &ColumnChunkMetaData) -> Option<u64> {
    let values = usize::try_from(column.num_values()).ok()?;
    let pages = SerializedPageReader::new(Arc::new(file), column, values, None).ok()?;
    let reader = get_column_reader(column.column_descr_ptr(), Box::new(pages));
    let ColumnReader::ByteArrayColumnReader(mut reader) = reader else { return None };
    let (mut items, mut most) = (0, 0);
    loop {
        let (mut present, mut begins, mut values) = (Vec::new(), Vec::new(), Vec::new());
        reader.read_records(ROWS, Some(&mut present), Some(&mut begins), &mut values).ok()?;
        if begins.is_empty() {
            return Some(most);
        }
        for level in begins {
            items = if level == 0 { 1 } else { items + 1 };
            most = most.max(items);
        }
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

#[cfg(test)]
mod tests {
    use arrow_array::{
        Array as _, ArrayRef, DictionaryArray, Int32Array, ListArray, RecordBatch, StringArray,
    };
    use arrow_buffer::OffsetBuffer;
    use arrow_schema::Field;
    use parquet::arrow::ArrowWriter;
    use parquet::file::properties::WriterProperties;
    use parquet::file::reader::FileReader as _;
    use parquet::file::serialized_reader::SerializedFileReader;

    use super::*;

    /// The size of a column of lists, of which each row has so many items of a long text, or one of a short.
    fn size(long: &str, items: &[usize]) -> Size {
        let texts = Arc::new(StringArray::from(vec![long, "s"]));
        let keys = items.iter().flat_map(|count| std::iter::repeat_n(i32::from(*count == 1), *count));
        let texts = DictionaryArray::new(Int32Array::from_iter_values(keys), texts);
        let item = Arc::new(Field::new("item", texts.data_type().clone(), true));
        let offsets = OffsetBuffer::from_lengths(items.iter().copied());
        let lists: ArrayRef = Arc::new(ListArray::new(item, offsets, Arc::new(texts), None));
        let batch = RecordBatch::try_from_iter([("l", lists)]).unwrap();
        let file = tempfile::tempfile().unwrap();
        let properties = WriterProperties::builder().set_dictionary_page_size_limit(64 << 20).build();
        let writing = file.try_clone().unwrap();
        let mut writer = ArrowWriter::try_new(writing, batch.schema(), Some(properties)).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        let reader = SerializedFileReader::new(file.try_clone().unwrap()).unwrap();
        Size::of(reader.metadata().row_group(0).column(0), || file.try_clone().ok())
    }

    #[test]
    fn rows_are_as_few_as_their_items_ask_for() {
        let long = "x".repeat(1 << 20);
        // Few of many rows have most of what there is.
        let items: Vec<usize> = [vec![1; 4000], vec![60; 30], vec![7], vec![1; 2000]].concat();
        let found = size(&long, &items);
        assert_eq!(found.most, Some(1024 / 60));
        assert!(found.bytes > 1 << 30, "{}", found.bytes);
        assert_eq!(size("short", &items).most, None);
    }
}

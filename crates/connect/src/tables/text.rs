//! Rows as text: CSV, and JSON a line.

use std::io::Read;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, RecordBatch, StringArray};
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use arrow_csv::ReaderBuilder;
use arrow_csv::reader::Format;
use arrow_schema::{ArrowError, DataType, Field, Fields, Schema};
use skytide_timestream::types;

use super::cell::Fraction;
use super::error::TableError;
use super::json::{For, read_row};
use super::place::{UNCLOSED, line_of, unclosed};
use super::seen::Seen;
use super::table::Table;
use super::value::{Value, infer, infer_json, seen_type};
use crate::columns::known;

/// Rows that are read of CSV at a time, at most.
const CSV_ROWS: usize = 8192;
/// Cells that are read at a time: the library that reads CSV has a place for each before it reads one.
const CELLS: usize = 1 << 20;

/// By which rules text is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rules {
    /// Those of files, which pipes have, too: what is written as text is text.
    Files,
    /// Those of rows that a program pushes, as Kaskada and pandas take them: [`NULLS`] are no values, and
    /// texts of JSON that are all moments are moments.
    Pushed,
}

/// Words that are no value in pushed CSV, as an empty cell is none: those of pandas.
const NULLS: [&str; 18] = [
    "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A",
    "NA", "NULL", "NaN", "None", "n/a", "nan", "null",
];

/// The format of CSV (RFC 4180): a header, then a row a line; a quote within quotes is doubled, a backslash
/// is a letter as any other; an empty cell is null.
pub(crate) fn csv_format() -> Format {
    Format::default().with_header(true)
}

/// How many rows of so many columns are read at a time, of so many at most.
pub(crate) fn rows_at_once(columns: usize, most: usize) -> usize {
    (CELLS / columns.max(1)).clamp(1, most)
}

/// Types of columns as the library has them, but for those that it takes for texts and whose first rows, `most`
/// of them at most, hold numbers: it has no whole ones beyond `i64`.
pub(crate) fn csv_numbers(
    fields: &Fields,
    format: Format,
    most: Option<usize>,
    text: impl Read,
) -> Result<Fields, ArrowError> {
    let is_text = |at: &usize| *fields[*at].data_type() == DataType::Utf8;
    let texts: Vec<usize> = (0..fields.len()).filter(is_text).collect();
    if texts.is_empty() {
        return Ok(fields.clone());
    }
    let of_cells = fields.iter().map(|field| Field::new(field.name(), DataType::Utf8, true));
    let mut rows = ReaderBuilder::new(Arc::new(Schema::new(of_cells.collect::<Fields>())))
        .with_format(format)
        .with_projection(texts.clone())
        .with_batch_size(rows_at_once(fields.len(), CSV_ROWS));
    if let Some(most) = most {
        rows = rows.with_bounds(0, most);
    }
    let mut numbers: Vec<Option<Seen>> = texts.iter().map(|_| Some(Seen::default())).collect();
    for cells in rows.build(text)? {
        for (column, seen) in cells?.columns().iter().zip(&mut numbers) {
            let mut cells = column.as_string::<i32>().iter().flatten();
            *seen = seen.take().and_then(|seen| cells.try_fold(seen, with_number));
        }
        if numbers.iter().all(Option::is_none) {
            break;
        }
    }
    let mut fields: Vec<_> = fields.iter().cloned().collect();
    for (at, seen) in texts.into_iter().zip(numbers) {
        if let Some(seen) = seen {
            fields[at] = Arc::new(Field::new(fields[at].name(), seen_type(&seen), true));
        }
    }
    Ok(fields.into())
}

/// What was seen of numbers, and one more of 64 bits; none if the cell has another text.
fn with_number(mut seen: Seen, cell: &str) -> Option<Seen> {
    let is_written = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E');
    if cell.starts_with('+') || !cell.bytes().all(is_written) {
        return None;
    }
    let is_whole = !cell.contains(['.', 'e', 'E']);
    let number = match (cell.parse(), cell.parse()) {
        (Ok(signed), _) => Value::Int(signed),
        (_, Ok(unsigned)) => Value::UInt(unsigned),
        _ if is_whole => return None,
        _ => Value::Float(cell.parse().ok()?),
    };
    seen.see(&number);
    Some(seen)
}

/// What cells that look so are read as: moments to the nanosecond, whatever the first ones have of it, and in UTC.
/// Columns without values have no type.
pub(crate) fn csv_types(fields: &Fields) -> Fields {
    let data_type = |field: &Field| match field.data_type() {
        DataType::Timestamp(..) | DataType::Date32 | DataType::Date64 => types::timestamp(),
        other => other.clone(),
    };
    fields.iter().map(|field| Field::new(field.name(), data_type(field), true)).collect()
}

impl Rules {
    /// The columns of CSV.
    pub(super) fn csv_fields(self, text: &str) -> Result<Fields, TableError> {
        let text = unmarked(text);
        let batches = self.csv_cells(text)?;
        let mut cells = Vec::new();
        if self == Self::Pushed && !batches.is_empty() {
            let mut writer = arrow_csv::Writer::new(&mut cells);
            batches.iter().try_for_each(|batch| writer.write(batch))?;
        }
        let text = if cells.is_empty() { text.as_bytes() } else { &cells };
        let fields = csv_types(&csv_format().infer_schema(text, None)?.0.fields);
        let fields = csv_numbers(&fields, csv_format(), None, text)?;
        Ok(fields.iter().map(|field| known(field)).collect())
    }

    /// The columns of JSON, a row a line.
    pub(super) fn json_fields(self, text: &str) -> Result<Fields, TableError> {
        let rows = json_rows(text, For::Types)?;
        let rows: Vec<_> = rows.iter().map(Value::of_json).collect();
        Ok(match self {
            Self::Files => infer(&rows),
            Self::Pushed => infer_json(&rows),
        })
    }

    /// Adds the rows of CSV to a table.
    pub(super) fn push_csv(self, text: &str, table: &Table) -> Result<(), TableError> {
        self.csv_cells(unmarked(text))?.iter().try_for_each(|cells| table.push_cells(cells))
    }

    /// The cells of CSV as text, null where there is no value.
    fn csv_cells(self, text: &str) -> Result<Vec<RecordBatch>, TableError> {
        if let Some(line) = unclosed(text.as_bytes()) {
            return Err(TableError::Line { line, reason: UNCLOSED.to_owned() });
        }
        let names = csv_format().infer_schema(text.as_bytes(), Some(0))?.0;
        let texts: Fields =
            names.fields.iter().map(|field| Field::new(field.name(), DataType::Utf8, true)).collect();
        let reader = ReaderBuilder::new(Arc::new(Schema::new(texts)))
            .with_format(csv_format())
            .with_batch_size(rows_at_once(names.fields.len(), CSV_ROWS))
            .build(text.as_bytes())?;
        let valued = |column: &ArrayRef| -> ArrayRef {
            let cells = column.as_string::<i32>().iter();
            Arc::new(cells.map(|cell| cell.filter(|cell| !NULLS.contains(cell))).collect::<StringArray>())
        };
        let batches = reader.map(|batch| {
            let batch = batch.map_err(|error| at_line(text, error))?;
            if self == Self::Files {
                return Ok(batch);
            }
            let columns = batch.columns().iter().map(valued).collect();
            Ok(RecordBatch::try_new(batch.schema(), columns)?)
        });
        batches.collect()
    }
}

/// Text without the mark that some programs begin it with.
fn unmarked(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

/// An error of a row with the line at which that begins: the library counts rows, and no lines that are empty
/// or within quotes.
fn at_line(text: &str, error: ArrowError) -> TableError {
    let ArrowError::CsvError(said) = &error else { return error.into() };
    let counted = said.split_once(" for line ").and_then(|(what, rest)| {
        let (row, how) = rest.split_at(rest.find(|letter: char| !letter.is_ascii_digit())?);
        Some((line_of(text, row.parse().ok()?)?, format!("{what}{how}")))
    });
    match counted {
        Some((line, reason)) => TableError::Line { line, reason },
        None => error.into(),
    }
}

/// The columns of CSV that a program pushes: names by its header, types as its cells look.
///
/// # Errors
/// It is no CSV.
pub fn csv_fields(text: &str) -> Result<Fields, TableError> {
    Rules::Pushed.csv_fields(text)
}

/// The columns of JSON that a program pushes, a row a line: of the types that hold all its values.
///
/// # Errors
/// The first line that is no JSON object.
pub fn json_fields(text: &str) -> Result<Fields, TableError> {
    Rules::Pushed.json_fields(text)
}

/// The values of JSON, one a line; empty lines are left out.
///
/// # Errors
/// The first line that is no JSON object.
fn json_rows(text: &str, of: For) -> Result<Vec<serde_json::Value>, TableError> {
    let mut rows = Vec::new();
    for (at, line) in unmarked(text).lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let wrong = |reason| TableError::Line { line: at + 1, reason };
        rows.push(read_row(line.as_bytes(), of).map_err(wrong)?);
    }
    Ok(rows)
}

/// Each value as text, whatever it is; null where it is null.
///
/// # Errors
/// A type that has no text.
pub fn texts(values: &ArrayRef) -> Result<ArrayRef, TableError> {
    let options = FormatOptions::default();
    let text = ArrayFormatter::try_new(values, &options)?;
    let texts = (0..values.len()).map(|row| values.is_valid(row).then(|| text.value(row).to_string()));
    Ok(Arc::new(texts.collect::<StringArray>()))
}

impl Table {
    /// Adds the rows of CSV with a header, columns by name. A cell that is no value of its column is null and
    /// counted; one of `null` is no value.
    ///
    /// # Errors
    /// It is no CSV, as where a quote is never closed: nothing of it is taken.
    pub fn push_csv(&self, text: &str) -> Result<(), TableError> {
        Rules::Pushed.push_csv(text, self)
    }

    /// Adds the rows of JSON, one a line. A value that is not of its column, as a number beyond an `f64` or
    /// one with a fraction among whole ones, is null and counted.
    ///
    /// # Errors
    /// The first line that is no JSON object: nothing of it is taken.
    pub fn push_json(&self, text: &str) -> Result<(), TableError> {
        let rows = json_rows(text, For::Values)?;
        self.push(&rows.iter().map(Value::of_json).collect::<Vec<_>>(), Fraction::IsNone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_columns_few_rows_are_read_at_once() {
        let rows = |columns: usize| {
            let names: Vec<_> = (0..columns).map(|at| format!("c{at}")).collect();
            let text =
                format!("{}\n{}", names.join(","), format!("{}1\n", "1,".repeat(columns - 1)).repeat(100));
            let batches = Rules::Files.csv_cells(&text).unwrap();
            batches.iter().map(RecordBatch::num_rows).collect::<Vec<_>>()
        };
        assert_eq!(rows(64), [100]);
        assert_eq!(rows(1 << 15), [32, 32, 32, 4]);
        assert_eq!(rows_at_once(usize::MAX, CSV_ROWS), 1);
    }
}

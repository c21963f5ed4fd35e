//! Rows as text: CSV, and JSON a line.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, RecordBatch, StringArray};
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use arrow_csv::ReaderBuilder;
use arrow_csv::reader::Format;
use arrow_schema::{ArrowError, DataType, Field, Fields, Schema};
use skytide_timestream::types;

use super::json::{For, read_line, wrong_at};
use super::place::line_of;
use super::table::{Table, TableError};
use super::value::{Value, infer_json, known};

/// Rows that are read of CSV at a time.
const CSV_ROWS: usize = 8192;

/// Words that are no value in CSV, as an empty cell is none.
const NULLS: [&str; 2] = ["null", "NULL"];

/// The format of CSV (RFC 4180): a header, then a row a line; a quote within quotes is doubled, a backslash is a letter as any
/// other; an empty cell is null.
pub(crate) fn csv_format() -> Format {
    Format::default().with_header(true)
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

/// The cells of CSV as text, null where there is no value.
fn csv_cells(text: &str) -> Result<Vec<RecordBatch>, TableError> {
    let names = csv_format().infer_schema(text.as_bytes(), Some(0))?.0;
    let texts: Fields =
        names.fields.iter().map(|field| Field::new(field.name(), DataType::Utf8, true)).collect();
    let reader = ReaderBuilder::new(Arc::new(Schema::new(texts)))
        .with_format(csv_format())
        .with_batch_size(CSV_ROWS)
        .build(text.as_bytes())?;
    let valued = |column: &ArrayRef| -> ArrayRef {
        let cells = column.as_string::<i32>().iter();
        Arc::new(cells.map(|cell| cell.filter(|cell| !NULLS.contains(cell))).collect::<StringArray>())
    };
    let batches = reader.map(|batch| {
        let batch = batch.map_err(|error| at_line(text, error))?;
        let columns = batch.columns().iter().map(valued).collect();
        Ok(RecordBatch::try_new(batch.schema(), columns)?)
    });
    batches.collect()
}

/// An error of a row with the line at which that begins: the library counts rows, and no lines that are empty or within quotes.
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

/// The columns of CSV: names by its header, types as its cells look.
///
/// # Errors
/// It is no CSV.
pub fn csv_fields(text: &str) -> Result<Fields, TableError> {
    let mut cells = Vec::new();
    let mut writer = arrow_csv::Writer::new(&mut cells);
    let batches = csv_cells(text)?;
    batches.iter().try_for_each(|batch| writer.write(batch))?;
    drop(writer);
    let names = if batches.is_empty() { text.as_bytes() } else { &cells };
    Ok(csv_types(&csv_format().infer_schema(names, None)?.0.fields)
        .iter()
        .map(|field| known(field))
        .collect())
}

/// The columns of JSON, a row a line: of the types that hold all its values.
///
/// # Errors
/// The first line that is no JSON object.
pub fn json_fields(text: &str) -> Result<Fields, TableError> {
    let rows = json_rows(text, For::Types)?;
    Ok(infer_json(&rows.iter().map(Value::of_json).collect::<Vec<_>>()))
}

/// The values of JSON, one a line; empty lines are left out.
///
/// # Errors
/// The first line that is no JSON object.
fn json_rows(text: &str, of: For) -> Result<Vec<serde_json::Value>, TableError> {
    let mut rows = Vec::new();
    for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let wrong = |reason: String| TableError::Line { line: at + 1, reason };
        let row = read_line(line.as_bytes(), of).map_err(|error| wrong(wrong_at(&error)))?;
        if !row.is_object() {
            return Err(wrong("a row is a JSON object".to_owned()));
        }
        rows.push(row);
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
    /// Adds the rows of CSV with a header, columns by name. A cell that is no value of its column is null and counted.
    ///
    /// # Errors
    /// It is no CSV: nothing of it is taken.
    pub fn push_csv(&self, text: &str) -> Result<(), TableError> {
        csv_cells(text)?.iter().try_for_each(|batch| self.push_batch(batch))
    }

    /// Adds the rows of JSON, one a line. A value that is not of its column, as a number beyond an `f64`, is null and counted.
    ///
    /// # Errors
    /// The first line that is no JSON object: nothing of it is taken.
    pub fn push_json(&self, text: &str) -> Result<(), TableError> {
        let rows = json_rows(text, For::Values)?;
        self.push_rows(&rows.iter().map(Value::of_json).collect::<Vec<_>>())
    }
}

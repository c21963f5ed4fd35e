//! Answers as a table for a person: on a terminal one that grows, in a file or a pipe one at the end.

use std::collections::HashMap;
use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use arrow_array::{Array, RecordBatch};
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use arrow_schema::DataType;
use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{CellAlignment, Table};
use console::Term;
use skytide_connect::sink::{Sink, SinkError, printable};
use skytide_timestream::engine::hash;

use super::status::{StatusLine, lock};
use super::visible::visible;

/// How often a table on a terminal is drawn anew.
const EVERY: Duration = Duration::from_millis(200);
/// Lines of a table that are not rows: its borders, its header, "and N more", the status below it.
const FRAME_LINES: usize = 7;

/// One row a key, the newest answer of each.
pub(crate) struct SnapshotTable<W: Write> {
    target: W,
    /// By the hash of the key, as the engine tells keys apart: some are of the same text.
    rows: HashMap<Option<u64>, Row>,
    header: Vec<String>,
    right: Vec<bool>,
    live: Option<Live>,
    misfits: u64,
}

/// Where a growing table stands.
pub(crate) struct Live {
    pub(crate) term: Term,
    pub(crate) status: Arc<Mutex<StatusLine>>,
    drawn: Option<Instant>,
    lines: usize,
}

impl Live {
    pub(crate) fn new(term: Term, status: Arc<Mutex<StatusLine>>) -> Self {
        Self { term, status, drawn: None, lines: 0 }
    }
}

struct Row {
    cells: Vec<String>,
    /// What a growing table is ordered by: its last number, largest first; where there is none, 0.
    size: f64,
}

impl<W: Write> SnapshotTable<W> {
    /// Prints to `target` at the end; to a terminal all along.
    pub(crate) fn new(target: W, live: Option<Live>) -> Self {
        Self { target, rows: HashMap::new(), header: Vec::new(), right: Vec::new(), live, misfits: 0 }
    }

    /// At most so many rows; in lines that are at most so wide, the time, which is that of all rows, is left
    /// out if it must be.
    fn layout(&self, most: usize, width: usize) -> String {
        let mut rows: Vec<&Row> = self.rows.values().collect();
        rows.sort_by(|a, b| b.size.total_cmp(&a.size).then_with(|| a.cells.cmp(&b.cells)));
        let of = |first: usize| {
            let cells = rows.iter().take(most).map(|row| row.cells.get(first..).unwrap_or_default());
            let of_column = self.header.get(first..).zip(self.right.get(first..));
            let (header, right) = of_column.unwrap_or_default();
            table(header, right, cells)
        };
        let mut text = of(0);
        if text.lines().next().is_some_and(|line| console::measure_text_width(line) > width) {
            text = of(1);
        }
        if rows.len() > most {
            text.push_str(&format!("\n… and {} more", rows.len() - most));
        }
        text
    }

    fn draw(&mut self) -> Result<(), SinkError> {
        let (height, width) = self.live.as_ref().map_or((0, 0), |live| live.term.size());
        let width = usize::from(width);
        let text = self.layout(usize::from(height).saturating_sub(FRAME_LINES).max(1), width);
        // A line that the terminal breaks would be two, and what is drawn anew in the wrong place.
        let cut = |line| console::truncate_str(line, width, "…");
        let text: Vec<_> = text.lines().map(cut).collect();
        let text = text.join("\n");
        let Some(live) = &mut self.live else { return Ok(()) };
        let mut done = Ok(());
        lock(&live.status).aside(|| {
            done = live.term.clear_last_lines(live.lines).and_then(|()| live.term.write_line(&text));
        });
        live.lines = text.lines().count();
        live.drawn = Some(Instant::now());
        Ok(done?)
    }
}

impl<W: Write> Sink for SnapshotTable<W> {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), SinkError> {
        if self.header.is_empty() {
            (self.header, self.right) = header(batch);
        }
        let keys = batch.columns().get(1).map(|keys| hash(keys.as_ref()));
        let sizes = last_numbers(batch);
        let (rows, lost) = cells(batch)?;
        self.misfits += lost;
        for (row, cells) in rows.into_iter().enumerate() {
            let key = keys.as_ref().and_then(|keys| keys.get(row).copied());
            let size = sizes.as_ref().and_then(|sizes| sizes.get(row).copied()).unwrap_or(0.0);
            self.rows.insert(key, Row { cells, size });
        }
        match &self.live {
            Some(live) if live.drawn.is_none_or(|at| at.elapsed() >= EVERY) => self.draw(),
            _ => Ok(()),
        }
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        if self.rows.is_empty() {
            return Ok(());
        }
        if self.live.is_some() {
            return self.draw();
        }
        let text = self.layout(usize::MAX, usize::MAX);
        writeln!(self.target, "{text}")?;
        Ok(self.target.flush()?)
    }

    fn misfits(&self) -> u64 {
        self.misfits
    }
}

/// Every point as it comes: a table a batch would repeat its header, so columns are as wide as what has been seen.
pub(crate) struct HistoryTable<W: Write> {
    target: W,
    widths: Vec<usize>,
    misfits: u64,
}

impl<W: Write> HistoryTable<W> {
    pub(crate) fn new(target: W) -> Self {
        Self { target, widths: Vec::new(), misfits: 0 }
    }

    fn line(&mut self, cells: &[String], right: &[bool]) -> std::io::Result<()> {
        let mut line = String::new();
        for (place, cell) in cells.iter().enumerate() {
            let wide = console::measure_text_width(cell);
            if self.widths.len() <= place {
                self.widths.push(0);
            }
            self.widths[place] = self.widths[place].max(wide);
            let gap = " ".repeat(self.widths[place] - wide);
            let (before, after) = if right[place] { (gap.as_str(), "") } else { ("", gap.as_str()) };
            line.push_str(&format!("{before}{cell}{after}  "));
        }
        writeln!(self.target, "{}", line.trim_end())
    }
}

impl<W: Write> Sink for HistoryTable<W> {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), SinkError> {
        let (names, right) = header(batch);
        let (rows, lost) = cells(batch)?;
        self.misfits += lost;
        if self.widths.is_empty() {
            // The first rows tell how wide the header must be.
            let wide = |place: usize| {
                rows.iter()
                    .map(|row: &Vec<String>| console::measure_text_width(&row[place]))
                    .max()
                    .unwrap_or(0)
            };
            self.widths = (0..names.len()).map(wide).collect();
            self.line(&names, &right)?;
        }
        for row in rows {
            self.line(&row, &right)?;
        }
        Ok(self.target.flush()?)
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        Ok(self.target.flush()?)
    }

    fn misfits(&self) -> u64 {
        self.misfits
    }
}

fn table<'a>(header: &[String], right: &[bool], rows: impl Iterator<Item = &'a [String]>) -> String {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header(header);
    table.add_rows(rows);
    for (place, right) in right.iter().enumerate() {
        if let Some(column) = table.column_mut(place).filter(|_| *right) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.to_string()
}

/// Column names, and which hold numbers.
fn header(batch: &RecordBatch) -> (Vec<String>, Vec<bool>) {
    let schema = batch.schema();
    let fields = schema.fields().iter();
    fields.map(|field| (visible(field.name()), field.data_type().is_numeric())).unzip()
}

/// The rows as text a person reads, and how many of their values have none.
fn cells(batch: &RecordBatch) -> Result<(Vec<Vec<String>>, u64), SinkError> {
    let (batch, lost) = printable(batch)?;
    let options = FormatOptions::new().with_null("null");
    let columns = batch
        .columns()
        .iter()
        .map(|column| ArrayFormatter::try_new(column.as_ref(), &options))
        .collect::<Result<Vec<_>, _>>()?;
    let row = |row: usize| columns.iter().map(|column| visible(&column.value(row).to_string())).collect();
    Ok(((0..batch.num_rows()).map(row).collect(), lost))
}

/// The last column that holds numbers.
fn last_numbers(batch: &RecordBatch) -> Option<Vec<f64>> {
    let column = batch.columns().iter().rev().find(|column| column.data_type().is_numeric())?;
    let floats = arrow_cast::cast(column, &DataType::Float64).ok()?;
    let floats = floats.as_any().downcast_ref::<arrow_array::Float64Array>()?;
    let size = |row: usize| Some(floats.value(row)).filter(|size| floats.is_valid(row) && !size.is_nan());
    Some((0..floats.len()).map(|row| size(row).unwrap_or(0.0)).collect())
}

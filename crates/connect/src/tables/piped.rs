//! Rows from a pipe, pushed to a table as they come: CSV, JSON lines, an Arrow stream, told apart by their
//! first bytes.
//!
//! A pipe is read once, and may pause for hours. So the types of text are found by the rows that come before
//! its first pause, and each further piece of whole rows is pushed as it is read; whoever reads the table is
//! waited for.

use std::io::{self, BufReader, Cursor, Read};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use arrow_schema::{ArrowError, Fields};

use super::error::TableError;
use super::place::{COMMA, Place, UNCLOSED, unclosed};
use super::table::Table;
use super::text::Rules;
use crate::files::{BYTE_ORDER_MARK, Messages};

/// Bytes that are read at once.
const PIECE: usize = 64 << 10;
/// A row that is longer is none.
const LONGEST_ROW: usize = 64 << 20;
/// Pieces that are read before anyone takes them.
const AHEAD: usize = 4;
/// The types of text are found by so many bytes, or by those before a pause, or by those of so long from the
/// first row on.
const FIRST: usize = 1 << 20;
const PAUSE: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(1);
/// A table that has no room is looked at again so much later.
const FULL: Duration = Duration::from_millis(2);

/// Why a pipe gives no rows, or no more of them. What was read before has been pushed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PipeError {
    /// It cannot be read.
    #[error("standard input: {0}")]
    Io(#[from] io::Error),
    /// Nothing came.
    #[error("standard input is empty: there is no row to tell the columns by")]
    Empty,
    /// It is something that is not read from a pipe.
    #[error("standard input is {0}, which is not read from a pipe; CSV, JSON lines and Arrow streams are")]
    Form(&'static str),
    /// A row is no row.
    #[error("standard input, line {line}: {reason}")]
    Line {
        /// From 1; of a row of some lines the first, or that of a quote which is not closed.
        line: usize,
        /// What is wrong.
        reason: String,
    },
    /// The Arrow stream is damaged.
    #[error("standard input: {0}")]
    Arrow(#[from] ArrowError),
}

/// A pipe whose columns are known, and the rows that told them.
pub struct Piped {
    fields: Fields,
    rows: Rows,
}

shown!(Piped { fields });

enum Rows {
    Text { text: Text, pieces: Box<dyn Iterator<Item = Result<Piece, PipeError>> + Send> },
    Arrow(Box<Messages<Input>>),
}

type Input = BufReader<Box<dyn Read + Send>>;

impl Piped {
    /// Reads the first rows of a pipe, as they come, and finds their columns. What is wrong behind good rows
    /// is said when those have been pushed.
    ///
    /// # Errors
    /// It cannot be read, is of another form, or its first row is none.
    pub fn open(input: impl Read + Send + 'static) -> Result<Self, PipeError> {
        let mut input: Box<dyn Read + Send> = Box::new(input);
        let mut head = Vec::new();
        (&mut input).take(8).read_to_end(&mut head)?;
        if head.starts_with(BYTE_ORDER_MARK) {
            head.drain(..BYTE_ORDER_MARK.len());
        }
        let form = Form::of(&head)?;
        let input: Box<dyn Read + Send> = Box::new(Cursor::new(head).chain(input));
        if form != Form::Arrow {
            return Self::text(input, form == Form::Csv);
        }
        let reader = Messages::open(BufReader::with_capacity(PIECE, input))?;
        Ok(Self { fields: reader.schema().fields().clone(), rows: Rows::Arrow(Box::new(reader)) })
    }

    fn text(input: Box<dyn Read + Send>, is_csv: bool) -> Result<Self, PipeError> {
        let (sender, rest) = sync_channel(AHEAD);
        let pieces = Pieces::new(input, is_csv);
        std::thread::Builder::new().name("skytide-pipe".to_owned()).spawn(move || pieces.send_to(&sender))?;
        let mut first: Piece = rest.recv().map_err(|_| PipeError::Empty)??;
        let mut text = Text { is_csv, header: String::new() };
        if is_csv {
            // Empty lines are none: the header is behind them.
            while first.text.trim_start_matches(LINE_ENDS).is_empty() {
                first = rest.recv().map_err(|_| PipeError::Empty)??;
            }
            text.header = first.take_header();
        }
        let (mut failed, mut begun) = (None, None);
        while first.text.len() < FIRST && failed.is_none() {
            // A header alone tells no types.
            let more = if first.is_blank() {
                rest.recv().map_err(|_| RecvTimeoutError::Disconnected)
            } else {
                let begun: &Instant = begun.get_or_insert_with(Instant::now);
                let left = LONGEST.saturating_sub(begun.elapsed());
                if left.is_zero() {
                    break;
                }
                rest.recv_timeout(PAUSE.min(left))
            };
            match more {
                Ok(Ok(more)) => first.text.push_str(&more.text),
                Ok(Err(error)) => failed = Some(error),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
            }
        }
        let mut fields = text.fields(&first.text);
        if let Err(error) = fields {
            failed = Some(first.end_before(error));
            fields = text.fields(&first.text);
        }
        if let Some(error) = failed.take_if(|_| first.is_blank()) {
            return Err(error);
        }
        let fields = fields.map_err(|error| told(error, first.line))?;
        let pieces = Box::new(std::iter::once(Ok(first)).chain(failed.map(Err)).chain(rest));
        Ok(Self { fields, rows: Rows::Text { text, pieces } })
    }

    /// Its columns.
    #[must_use]
    pub fn fields(&self) -> &Fields {
        &self.fields
    }

    /// Pushes all its rows to a table, on a thread of its own, and ends the table with the pipe. It goes on
    /// no longer than anyone reads the table: queries are to be started before.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn feed(self, table: Table) -> io::Result<()> {
        let push = move || {
            let pushed = self.push_to(&table);
            table.end_with(pushed.err().map(Arc::new));
        };
        std::thread::Builder::new().name("skytide-feed".to_owned()).spawn(push).map(drop)
    }

    fn push_to(self, table: &Table) -> Result<(), PipeError> {
        match self.rows {
            Rows::Text { text, pieces } => {
                for piece in pieces {
                    let mut piece = piece?;
                    if let Err(error) = text.push(&piece.text, table) {
                        let failed = piece.end_before(error);
                        text.push(&piece.text, table).map_err(|error| told(error, piece.line))?;
                        return Err(failed);
                    }
                    if !waited_for(table) {
                        break;
                    }
                }
            }
            Rows::Arrow(batches) => {
                for batch in *batches {
                    table.push_batch(&batch?).map_err(|error| told(error, 1))?;
                    if !waited_for(table) {
                        break;
                    }
                }
            }
        }
        Ok(())
    }
}

/// Waits until the readers of a table are near; tells whether there are any.
fn waited_for(table: &Table) -> bool {
    while !table.has_room() {
        std::thread::sleep(FULL);
    }
    table.has_readers()
}

/// What is wrong with rows that begin at a line.
fn told(error: TableError, first: usize) -> PipeError {
    match error {
        TableError::Line { line, reason } => PipeError::Line { line: first + line - 1, reason },
        other => PipeError::Line { line: first, reason: other.to_string() },
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Csv,
    Json,
    Arrow,
}

impl Form {
    /// What begins so.
    fn of(head: &[u8]) -> Result<Self, PipeError> {
        let text = head.trim_ascii_start();
        match (head, text) {
            ([], _) => Err(PipeError::Empty),
            ([0xff, 0xff, 0xff, 0xff, ..], _) => Ok(Self::Arrow),
            ([b'P', b'A', b'R', b'1', ..], _) => Err(PipeError::Form("Parquet")),
            ([b'A', b'R', b'R', b'O', b'W', b'1', ..], _) => Err(PipeError::Form("an Arrow file")),
            // An array is no row of JSON either: that is said where rows are read.
            (_, [b'{', ..] | [b'[', b'{' | b'\r' | b'\n', ..]) => Ok(Self::Json),
            // Text has no such bytes; recordings, and whatever is compressed, begin with them.
            _ if text
                .iter()
                .any(|byte| byte.is_ascii_control() && !byte.is_ascii_whitespace() || *byte >= 0xf8) =>
            {
                Err(PipeError::Form("no text: a recording, or compressed"))
            }
            _ => Ok(Self::Csv),
        }
    }
}

const LINE_ENDS: [char; 2] = ['\r', '\n'];

/// How rows of text are read.
struct Text {
    is_csv: bool,
    /// The first row of CSV, which names the columns.
    header: String,
}

impl Text {
    fn fields(&self, rows: &str) -> Result<Fields, TableError> {
        if self.is_csv {
            self.below_header(rows, |text| Rules::Files.csv_fields(text))
        } else {
            Rules::Files.json_fields(rows)
        }
    }

    fn push(&self, rows: &str, table: &Table) -> Result<(), TableError> {
        if self.is_csv {
            self.below_header(rows, |text| Rules::Files.push_csv(text, table))
        } else {
            table.push_json(rows)
        }
    }

    /// Reads rows of CSV with their header; lines of errors are counted from the first of the rows.
    fn below_header<T>(
        &self,
        rows: &str,
        read: impl FnOnce(&str) -> Result<T, TableError>,
    ) -> Result<T, TableError> {
        read(&format!("{}{rows}", self.header)).map_err(|error| match error {
            TableError::Line { line, reason } => {
                TableError::Line { line: line.saturating_sub(lines(self.header.as_bytes())).max(1), reason }
            }
            other => other,
        })
    }
}

/// Whole rows of text.
struct Piece {
    text: String,
    /// The number of its first line, from 1.
    line: usize,
}

impl Piece {
    /// Whether there is no row in it.
    fn is_blank(&self) -> bool {
        self.text.trim_start().is_empty()
    }

    /// Takes the first row of CSV out of it, with the empty lines before.
    fn take_header(&mut self) -> String {
        let blank = self.text.len() - self.text.trim_start_matches(LINE_ENDS).len();
        let row = &self.text.as_bytes()[blank..];
        let end = Ends::new(true).find(row).next().map_or(self.text.len(), |end| blank + end);
        let rows = self.text.split_off(end);
        let header = std::mem::replace(&mut self.text, rows);
        self.line += lines(header.as_bytes());
        header[blank..].to_owned()
    }

    /// Leaves the rows before what is wrong in it, and tells that.
    fn end_before(&mut self, error: TableError) -> PipeError {
        let good = if let TableError::Line { line, .. } = &error { line - 1 } else { 0 };
        let end = self.text.split_inclusive('\n').take(good).map(str::len).sum();
        self.text.truncate(end);
        told(error, self.line)
    }
}

/// Where rows of text end.
struct Ends {
    is_csv: bool,
    place: Place,
}

impl Ends {
    fn new(is_csv: bool) -> Self {
        Self { is_csv, place: Place::Row }
    }

    /// Looks on at text; gives the places behind the ends of its rows.
    fn find(&mut self, text: &[u8]) -> impl Iterator<Item = usize> {
        text.iter().enumerate().filter_map(|(at, byte)| {
            if self.is_csv {
                self.place = self.place.after(*byte, COMMA);
            }
            (*byte == b'\n' && self.place == Place::Row).then_some(at + 1)
        })
    }
}

/// How many lines end in text.
fn lines(text: &[u8]) -> usize {
    text.iter().filter(|byte| **byte == b'\n').count()
}

/// Text as it comes, cut where a row ends.
struct Pieces {
    input: Box<dyn Read + Send>,
    /// What is read and not given yet; how much of it was looked at, and where its last whole row ends.
    rows: Vec<u8>,
    seen: usize,
    whole: usize,
    ends: Ends,
    line: usize,
    /// What is wrong behind the rows that were given.
    failed: Option<PipeError>,
}

impl Pieces {
    fn new(input: Box<dyn Read + Send>, is_csv: bool) -> Self {
        Self { input, rows: Vec::new(), seen: 0, whole: 0, ends: Ends::new(is_csv), line: 1, failed: None }
    }

    /// Sends all of it to whoever takes it.
    fn send_to(mut self, to: &SyncSender<Result<Piece, PipeError>>) {
        while let Some(piece) = self.next().transpose() {
            let is_last = piece.is_err();
            if to.send(piece).is_err() || is_last {
                break;
            }
        }
    }

    fn next(&mut self) -> Result<Option<Piece>, PipeError> {
        if let Some(failed) = self.failed.take() {
            return Err(failed);
        }
        loop {
            if self.whole > 0 {
                return self.cut(self.whole).map(Some);
            }
            let wrong = |reason: String| PipeError::Line { line: self.line, reason };
            if self.rows.len() > LONGEST_ROW {
                return Err(wrong(format!("a row is longer than {} MiB", LONGEST_ROW >> 20)));
            }
            let len = self.rows.len();
            self.rows.resize(len + PIECE, 0);
            let read = self.input.read(&mut self.rows[len..]);
            self.rows.truncate(len + *read.as_ref().unwrap_or(&0));
            match read {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
                Ok(0) if self.rows.is_empty() => return Ok(None),
                // What is left begins a row.
                Ok(0) => match unclosed(&self.rows).filter(|_| self.ends.is_csv) {
                    Some(line) => {
                        let line = self.line + line - 1;
                        return Err(PipeError::Line { line, reason: UNCLOSED.to_owned() });
                    }
                    None => return self.cut(self.rows.len()).map(Some),
                },
                Ok(_) => self.look(),
            }
        }
    }

    /// Finds the last end of a row.
    fn look(&mut self) {
        let end = self.ends.find(&self.rows[self.seen..]).last();
        self.whole = end.map_or(self.whole, |end| self.seen + end);
        self.seen = self.rows.len();
    }

    /// Gives the rows before a place; where they are no text, those before that.
    fn cut(&mut self, at: usize) -> Result<Piece, PipeError> {
        let rest = self.rows.split_off(at);
        let mut rows = std::mem::replace(&mut self.rows, rest);
        (self.seen, self.whole) = (self.rows.len(), 0);
        let line = self.line;
        self.line += lines(&rows);
        if let Err(error) = str::from_utf8(&rows) {
            let before = &rows[..error.valid_up_to()];
            let failed = PipeError::Line { line: line + lines(before), reason: "it is no UTF-8".to_owned() };
            let Some(end) = Ends::new(self.ends.is_csv).find(before).last() else { return Err(failed) };
            rows.truncate(end);
            self.failed = Some(failed);
        }
        let text = String::from_utf8(rows).map_err(io::Error::other)?;
        Ok(Piece { text, line })
    }
}

//! Rows from a pipe, pushed to a table as they come: CSV, JSON lines, an Arrow stream, told apart by their first bytes.
//!
//! A pipe is read once, and may pause for hours. So the types of text are found by the rows that come before its first pause, and each
//! further piece of whole rows is pushed as it is read; whoever reads the table is waited for.

use std::io::{self, BufReader, Cursor, Read};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use arrow_schema::{ArrowError, Fields};

use super::table::{Table, TableError};
use super::text::{csv_fields, json_fields};
use crate::files::Messages;

/// Bytes that are read at once.
const PIECE: usize = 64 << 10;
/// A row that is longer is none.
const LONGEST_ROW: usize = 64 << 20;
/// Pieces that are read before anyone takes them.
const AHEAD: usize = 4;
/// The types of text are found by so many bytes, or by those before a pause of this length.
const FIRST: usize = 1 << 20;
const PAUSE: Duration = Duration::from_millis(100);
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
        /// From 1; of CSV the first of some lines.
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

enum Rows {
    Csv { header: String, first: Piece, rest: Receiver<Result<Piece, PipeError>> },
    Json { first: Piece, rest: Receiver<Result<Piece, PipeError>> },
    Arrow(Box<Messages<Input>>),
}

type Input = BufReader<Box<dyn Read + Send>>;

/// Whole rows of text.
struct Piece {
    text: String,
    /// The number of its first line, from 1.
    line: usize,
}

impl Piped {
    /// Reads the first rows of a pipe, as they come, and finds their columns.
    ///
    /// # Errors
    /// It cannot be read, is of another form, or its first rows are none.
    pub fn open(input: impl Read + Send + 'static) -> Result<Self, PipeError> {
        let mut input: Box<dyn Read + Send> = Box::new(input);
        let mut head = Vec::new();
        (&mut input).take(8).read_to_end(&mut head)?;
        let form = Form::of(&head)?;
        let input: Box<dyn Read + Send> = Box::new(Cursor::new(head).chain(input));
        if form == Form::Arrow {
            let reader = Messages::open(BufReader::with_capacity(PIECE, input))?;
            return Ok(Self {
                fields: reader.schema().fields().clone(),
                rows: Rows::Arrow(Box::new(reader)),
            });
        }
        let (sender, rest) = sync_channel(AHEAD);
        let pieces = Pieces {
            input,
            rows: Vec::new(),
            seen: 0,
            whole: 0,
            is_csv: form == Form::Csv,
            is_quoted: false,
            line: 1,
        };
        std::thread::Builder::new().name("skytide-pipe".to_owned()).spawn(move || pieces.send_to(&sender))?;
        let mut first = rest.recv().map_err(|_| PipeError::Empty)??;
        let mut header = String::new();
        if form == Form::Csv {
            let end = row_end(first.text.as_bytes()).unwrap_or(first.text.len());
            let rows = first.text.split_off(end);
            header = std::mem::replace(&mut first.text, rows);
            first.line += header.lines().count();
        }
        // A header alone tells no types.
        let mut is_waited_for = first.text.is_empty();
        while first.text.len() < FIRST {
            let more = if is_waited_for {
                rest.recv().map_err(|_| RecvTimeoutError::Disconnected)
            } else {
                rest.recv_timeout(PAUSE)
            };
            match more {
                Ok(more) => first.text.push_str(&more?.text),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
            }
            is_waited_for = false;
        }
        let wrong = |error| told(error, if header.is_empty() { first.line } else { 1 });
        if form == Form::Csv {
            let fields = csv_fields(&format!("{header}{}", first.text)).map_err(wrong)?;
            return Ok(Self { fields, rows: Rows::Csv { header, first, rest } });
        }
        let fields = json_fields(&first.text).map_err(wrong)?;
        Ok(Self { fields, rows: Rows::Json { first, rest } })
    }

    /// Its columns.
    #[must_use]
    pub fn fields(&self) -> &Fields {
        &self.fields
    }

    /// Pushes all its rows to a table, on a thread of its own, and ends the table with the pipe. It goes on no longer than anyone reads
    /// the table: queries are to be started before.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn feed(self, table: Table) -> io::Result<()> {
        let push = move || {
            let pushed = self.push_to(&table);
            table.end(pushed.err().map(Arc::new));
        };
        std::thread::Builder::new().name("skytide-feed".to_owned()).spawn(push).map(drop)
    }

    fn push_to(self, table: &Table) -> Result<(), PipeError> {
        match self.rows {
            Rows::Csv { header, first, rest } => {
                for piece in std::iter::once(Ok(first)).chain(rest) {
                    let Piece { text, line } = piece?;
                    table.push_csv(&format!("{header}{text}")).map_err(|error| told(error, line))?;
                    if !waited_for(table) {
                        break;
                    }
                }
            }
            Rows::Json { first, rest } => {
                for piece in std::iter::once(Ok(first)).chain(rest) {
                    let Piece { text, line } = piece?;
                    if let Err(error) = table.push_json(&text) {
                        if let TableError::Line { line, .. } = &error {
                            let before: String = text.split_inclusive('\n').take(line - 1).collect();
                            table.push_json(&before).map_err(|error| told(error, 1))?;
                        }
                        return Err(told(error, line));
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
        let text = head.strip_prefix(BYTE_ORDER_MARK).unwrap_or(head).trim_ascii_start();
        match (head, text) {
            ([], _) => Err(PipeError::Empty),
            ([0xff, 0xff, 0xff, 0xff, ..], _) => Ok(Self::Arrow),
            ([b'P', b'A', b'R', b'1', ..], _) => Err(PipeError::Form("Parquet")),
            ([b'A', b'R', b'R', b'O', b'W', b'1', ..], _) => Err(PipeError::Form("an Arrow file")),
            (_, [b'{', ..]) => Ok(Self::Json),
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

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Text as it comes, cut where a row ends.
struct Pieces {
    input: Box<dyn Read + Send>,
    /// What is read and not given yet; how much of it was looked at, and where its last whole row ends.
    rows: Vec<u8>,
    seen: usize,
    whole: usize,
    is_csv: bool,
    is_quoted: bool,
    line: usize,
}

impl Pieces {
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
                Ok(0) => return self.cut(self.rows.len()).map(Some),
                Ok(_) => self.look(),
            }
        }
    }

    /// Finds the last end of a row.
    fn look(&mut self) {
        for (at, byte) in self.rows.iter().enumerate().skip(self.seen) {
            match byte {
                b'"' if self.is_csv => self.is_quoted = !self.is_quoted,
                b'\n' if !self.is_quoted => self.whole = at + 1,
                _ => {}
            }
        }
        self.seen = self.rows.len();
    }

    fn cut(&mut self, at: usize) -> Result<Piece, PipeError> {
        let rest = self.rows.split_off(at);
        let rows = std::mem::replace(&mut self.rows, rest);
        (self.seen, self.whole) = (self.rows.len(), 0);
        let rows = if self.line == 1 { rows.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&rows) } else { &rows };
        let line = self.line;
        self.line += rows.iter().filter(|byte| **byte == b'\n').count();
        let text = str::from_utf8(rows).map_err(|error| {
            let before = &rows[..error.valid_up_to()];
            let line = line + before.iter().filter(|byte| **byte == b'\n').count();
            PipeError::Line { line, reason: "it is no UTF-8".to_owned() }
        })?;
        Ok(Piece { text: text.to_owned(), line })
    }
}

/// Where the first row of CSV ends.
fn row_end(text: &[u8]) -> Option<usize> {
    let mut is_quoted = false;
    let is_end = |byte: &u8| {
        is_quoted ^= *byte == b'"';
        *byte == b'\n' && !is_quoted
    };
    text.iter().position(is_end).map(|at| at + 1)
}

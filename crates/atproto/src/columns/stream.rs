//! One wanted stream: where its values come from, and the columns they go to.

use std::sync::Arc;

use arrow_array::{ArrayRef, StructArray};
use arrow_schema::Fields;

use super::column::{Column, Full, Refusal};
use super::pick::Node;
use super::{Clock, ColumnsError, Counters, Literal, PathStep, StreamColumns, StreamKind, WantedStream};
use crate::cid::Cid;
use crate::message::{Action, Label, Path};
use crate::records::Shape;

/// A wanted stream and the points read of it so far.
#[derive(Debug)]
pub(super) struct Stream {
    /// The part of a record that is read; empty if none is.
    pub(super) record: Node,
    /// What makes an operation one of this stream's points.
    pub(super) ops: Option<Ops>,
    /// The columns that show what is not the record's.
    own: Vec<(Own, usize)>,
    columns: Vec<Column>,
    key: Option<Column>,
    created: Option<usize>,
    /// What each wanted column is made of.
    outputs: Vec<Output>,
    tests: Vec<(usize, Literal)>,
    time: Vec<i64>,
    ordinal: Vec<u64>,
    /// Rows of frames that are wholly read.
    pub(super) committed: usize,
}

/// The operations of a stream of records.
#[derive(Debug)]
pub(super) struct Ops {
    /// How their paths start, before the slash.
    pub(super) collection: Vec<u8>,
    /// What they do.
    pub(super) action: Action,
}

impl Ops {
    /// Whether a path is of this collection. One that ends with it is, too, and names no record of it.
    #[inline]
    pub(super) fn holds(&self, path: &[u8]) -> bool {
        // The last letters tell most collections apart, without a call.
        let end = self.collection.len();
        let tells = end.saturating_sub(3);
        path.get(tells..end) == self.collection.get(tells..)
            && matches!(path.get(end), Some(b'/') | None)
            && path.starts_with(&self.collection)
    }
}

#[derive(Debug)]
enum Output {
    Column(usize),
    Struct(Fields, Vec<usize>),
}

/// A field of a point that is not the record's: what is known of it by its message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Own {
    Uri,
    Cid,
    Did,
    Rkey,
    Action,
    Rev,
    Seq,
    Time,
    SourceTime,
    Handle,
    Active,
    Status,
    Src,
    Val,
    Neg,
    Cts,
    Exp,
    Ver,
}

impl Own {
    fn named(name: &str) -> Option<Own> {
        Some(match name {
            "uri" => Own::Uri,
            "cid" => Own::Cid,
            "did" => Own::Did,
            "rkey" => Own::Rkey,
            "action" => Own::Action,
            "rev" => Own::Rev,
            "seq" => Own::Seq,
            "time" => Own::Time,
            "source_time" => Own::SourceTime,
            "handle" => Own::Handle,
            "active" => Own::Active,
            "status" => Own::Status,
            "src" => Own::Src,
            "val" => Own::Val,
            "neg" => Own::Neg,
            "cts" => Own::Cts,
            "exp" => Own::Exp,
            "ver" => Own::Ver,
            _ => return None,
        })
    }

    fn column(self) -> Column {
        match self {
            Own::Active | Own::Neg => Column::new(&Shape::Bool),
            Own::Seq | Own::Ver => Column::new(&Shape::Int),
            Own::Time | Own::SourceTime => Column::times(),
            _ => Column::new(&Shape::Text),
        }
    }
}

/// A point, apart from its record. What its message does not have is none.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Point<'a> {
    pub(super) time: i64,
    pub(super) ordinal: u64,
    pub(super) seq: Option<i64>,
    pub(super) source_time: Option<i64>,
    pub(super) did: Option<&'a str>,
    pub(super) rev: Option<&'a str>,
    pub(super) handle: Option<&'a str>,
    pub(super) status: Option<&'a str>,
    pub(super) active: Option<bool>,
    pub(super) op: Option<PointOp<'a>>,
    pub(super) label: Option<&'a Label<'a>>,
}

/// The operation that a point is.
#[derive(Debug, Clone, Copy)]
pub(super) struct PointOp<'a> {
    pub(super) path: Path<'a>,
    pub(super) action: Action,
    pub(super) cid: Option<Cid>,
}

impl Stream {
    /// A stream, which is number `stream` of those wanted.
    pub(super) fn new(wanted: &WantedStream, clock: Clock, stream: usize) -> Result<Stream, ColumnsError> {
        let mut new = Stream {
            record: Node::default(),
            ops: match &wanted.of {
                StreamKind::Records { collection, action, .. } => {
                    Some(Ops { collection: collection.clone().into_bytes(), action: *action })
                }
                _ => None,
            },
            own: Vec::new(),
            columns: Vec::new(),
            key: wanted.keyed.then(|| Column::new(&Shape::Text)),
            created: None,
            outputs: Vec::new(),
            tests: Vec::new(),
            time: Vec::new(),
            ordinal: Vec::new(),
            committed: 0,
        };
        for (at, path) in wanted.columns.iter().enumerate() {
            let output = match wanted.columns[..at].iter().position(|before| before == path) {
                Some(same) => new.outputs[same].again(),
                None => new.output(&wanted.of, path).ok_or_else(|| {
                    let path = if path.is_empty() { "the whole point".to_owned() } else { written(path) };
                    ColumnsError::Path { stream, path }
                })?,
            };
            new.outputs.push(output);
        }
        for test in &wanted.tests {
            match new.outputs.get(test.column) {
                Some(Output::Column(column)) => new.tests.push((*column, test.literal.clone())),
                _ => return Err(ColumnsError::Test { stream, column: test.column }),
            }
        }
        if clock == Clock::CreatedAt && new.ops.as_ref().is_some_and(|ops| ops.action != Action::Delete) {
            let column = new.column(Column::new(&Shape::Text));
            new.record.want(&[PathStep::Field("createdAt".to_owned())], column);
            new.created = Some(column);
        }
        Ok(new)
    }

    fn column(&mut self, column: Column) -> usize {
        self.columns.push(column);
        self.columns.len() - 1
    }

    /// What shows the value at `path`; none if there is no such value.
    fn output(&mut self, of: &StreamKind, path: &[PathStep]) -> Option<Output> {
        let fields = of.fields();
        let [PathStep::Field(name), rest @ ..] = path else {
            if !path.is_empty() {
                return None;
            }
            let mut parts = Vec::with_capacity(fields.len());
            for field in &fields {
                match self.output(of, &[PathStep::Field(field.name().clone())])? {
                    Output::Column(column) => parts.push(column),
                    Output::Struct(..) => return None,
                }
            }
            return Some(Output::Struct(fields, parts));
        };
        if let StreamKind::Records { shape, action, .. } = of
            && name == "record"
        {
            let column = self.column(at(shape, rest)?);
            if *action != Action::Delete {
                self.record.want(rest, column);
            }
            return Some(Output::Column(column));
        }
        let own = Own::named(name).filter(|_| fields.find(name).is_some())?;
        let column = match rest {
            [] => own.column(),
            [PathStep::Length] => own.column().lengths()?,
            _ => return None,
        };
        let column = self.column(column);
        self.own.push((own, column));
        Some(Output::Column(column))
    }

    /// Number of points.
    pub(super) fn rows(&self) -> usize {
        self.time.len()
    }

    /// Reads the values that come from the record of the next point, and counts what is wrong with it. Of one
    /// that breaks a rule of DAG-CBOR there is no value: what an author writes takes nobody else's points
    /// away.
    #[inline]
    pub(super) fn read_record(&mut self, record: &[u8], counters: &mut Counters) -> Result<(), Full> {
        let misfits = counters.misfits;
        match self.record.read(record, &mut self.columns, &mut counters.misfits) {
            Ok(()) => Ok(()),
            Err(Refusal::Full) => Err(Full),
            Err(Refusal::Cbor(_)) => {
                self.truncate(self.rows());
                counters.misfits = misfits;
                counters.bad_record += 1;
                Ok(())
            }
        }
    }

    /// `createdAt` of the record that was read, where it is the clock.
    pub(super) fn created_at(&self) -> Option<&str> {
        self.columns.get(self.created?).filter(|column| column.len() > self.rows())?.last_text()
    }

    /// Whether the account's DID is read.
    pub(super) fn needs_did(&self) -> bool {
        self.key.is_some() || self.shows(Own::Did) || self.shows(Own::Uri)
    }

    /// Whether a column shows this field.
    pub(super) fn shows(&self, own: Own) -> bool {
        self.own.iter().any(|(shown, _)| *shown == own)
    }

    /// Ends the next point, after its record is read. Says whether it passed the tests; if not, it is left out.
    #[inline]
    pub(super) fn end_row(&mut self, point: &Point<'_>) -> Result<bool, Full> {
        for &(own, column) in &self.own {
            show(own, point, &mut self.columns[column])?;
        }
        let row = self.time.len();
        for column in &mut self.columns {
            if column.len() == row {
                column.push_null();
            }
        }
        if let Some(key) = &mut self.key {
            match point.did {
                Some(did) => key.push_text(&[did])?,
                None => key.push_null(),
            }
        }
        if self.tests.iter().any(|(column, literal)| !self.columns[*column].last_is(literal)) {
            self.truncate(row);
            return Ok(false);
        }
        self.time.push(point.time);
        self.ordinal.push(point.ordinal);
        Ok(true)
    }

    /// Drops all points but the first `rows`, and what is there of a next one.
    pub(super) fn truncate(&mut self, rows: usize) {
        self.columns.iter_mut().chain(&mut self.key).for_each(|column| column.truncate(rows));
        self.time.truncate(rows);
        self.ordinal.truncate(rows);
    }

    /// The points; there are none after.
    pub(super) fn take(&mut self) -> StreamColumns {
        let rows = self.rows();
        self.committed = 0;
        let arrays: Vec<ArrayRef> = self.columns.iter_mut().map(Column::finish).collect();
        let output = |output: &Output| match output {
            Output::Column(column) => Arc::clone(&arrays[*column]),
            Output::Struct(fields, parts) => {
                let parts = parts.iter().map(|column| Arc::clone(&arrays[*column])).collect();
                Arc::new(StructArray::new(fields.clone(), parts, None)) as ArrayRef
            }
        };
        StreamColumns {
            columns: self.outputs.iter().map(output).collect(),
            key: self.key.as_mut().map(Column::finish),
            time: std::mem::replace(&mut self.time, Vec::with_capacity(rows)),
            ordinal: std::mem::replace(&mut self.ordinal, Vec::with_capacity(rows)),
        }
    }
}

impl Output {
    fn again(&self) -> Output {
        match self {
            Output::Column(column) => Output::Column(*column),
            Output::Struct(fields, parts) => Output::Struct(fields.clone(), parts.clone()),
        }
    }
}

/// Appends what a point has in this field.
#[inline]
fn show(own: Own, point: &Point<'_>, column: &mut Column) -> Result<(), Full> {
    let text = match own {
        Own::Did => point.did,
        Own::Rev => point.rev,
        Own::Handle => point.handle,
        Own::Status => point.status,
        Own::Rkey => point.op.map(|op| op.path.rkey),
        Own::Action => point.op.map(|op| op.action.as_str()),
        Own::Uri => match (point.op, point.did) {
            (Some(PointOp { path: Path { collection, rkey }, .. }), Some(did)) => {
                return column.push_text(&["at://", did, "/", collection, "/", rkey]);
            }
            _ => point.label.map(|label| label.uri),
        },
        Own::Cid => match point.op.and_then(|op| op.cid) {
            Some(cid) => return column.push_text(&[cid.write_text(&mut [0; Cid::TEXT_LENGTH])]),
            None => point.label.and_then(|label| label.cid),
        },
        Own::Src => point.label.map(|label| label.src),
        Own::Val => point.label.map(|label| label.val),
        Own::Cts => point.label.map(|label| label.cts),
        Own::Exp => point.label.and_then(|label| label.exp),
        Own::Active => return show_bool(point.active, column),
        Own::Neg => return show_bool(point.label.and_then(|label| label.neg), column),
        Own::Seq => return show_int(point.seq, column),
        Own::Time => return show_int(Some(point.time), column),
        Own::SourceTime => return show_int(point.source_time, column),
        Own::Ver => return show_int(point.label.and_then(|label| label.ver), column),
    };
    match text {
        Some(text) => column.push_text(&[text]),
        None => {
            column.push_null();
            Ok(())
        }
    }
}

fn show_bool(value: Option<bool>, column: &mut Column) -> Result<(), Full> {
    match value {
        Some(value) => column.push_bool(value),
        None => column.push_null(),
    }
    Ok(())
}

#[inline]
fn show_int(value: Option<i64>, column: &mut Column) -> Result<(), Full> {
    match value {
        Some(value) => column.push_int(value),
        None => column.push_null(),
    }
    Ok(())
}

/// A column of the values at a path.
fn at(shape: &Shape, path: &[PathStep]) -> Option<Column> {
    match (path, shape) {
        ([], _) => Some(Column::new(shape)),
        ([PathStep::Length], _) => Column::new(shape).lengths(),
        ([PathStep::Field(name), rest @ ..], Shape::Struct(_)) => at(shape.field(name)?, rest),
        ([PathStep::Index(_), rest @ ..], Shape::List(item)) => at(item, rest),
        _ => None,
    }
}

/// A path as a query writes it.
fn written(path: &[PathStep]) -> String {
    let mut text = String::new();
    for step in path {
        match step {
            PathStep::Field(name) if text.is_empty() => text.push_str(name),
            PathStep::Field(name) => text.extend([".", name]),
            PathStep::Index(index) => text.push_str(&format!("[{index}]")),
            PathStep::Length => text.push_str(".len()"),
        }
    }
    text
}

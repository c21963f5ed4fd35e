//! The wanted values of a record as a tree of fields, walked along with the record.
//!
//! Keys of a record and fields of a node are both in canonical order, so a map is matched in one pass. Everything on
//! the way is held to all rules of DAG-CBOR, wanted or not: the record is read whole.

use super::PathStep;
use super::column::{Column, Refusal, check_depth, check_within, find};
use crate::cbor::{self, Cursor, Kind, MapKeys, Rule};

/// A tree of wanted values.
#[derive(Debug, Default)]
pub(super) struct Node {
    /// Columns that take the value itself.
    columns: Vec<usize>,
    /// Fields that are wanted of it, in canonical order of their names.
    fields: Vec<(String, Node)>,
    /// Items that are wanted of it, in order.
    items: Vec<(usize, Node)>,
}

impl Node {
    /// Whether nothing is wanted.
    pub(super) fn is_empty(&self) -> bool {
        self.columns.is_empty() && self.is_leaf()
    }

    fn is_leaf(&self) -> bool {
        self.fields.is_empty() && self.items.is_empty()
    }

    /// Wants the value at `path` for a column.
    pub(super) fn want(&mut self, path: &[PathStep], column: usize) {
        match path {
            // A column of lengths reads the text itself.
            [] | [PathStep::Length, ..] => self.columns.push(column),
            [PathStep::Field(name), rest @ ..] => {
                let place =
                    self.fields.binary_search_by_key(&(name.len(), name), |(field, _)| (field.len(), field));
                let at = place.unwrap_or_else(|at| {
                    self.fields.insert(at, (name.clone(), Node::default()));
                    at
                });
                self.fields[at].1.want(rest, column);
            }
            [PathStep::Index(index), rest @ ..] => {
                let place = self.items.binary_search_by_key(index, |(item, _)| *item);
                let at = place.unwrap_or_else(|at| {
                    self.items.insert(at, (*index, Node::default()));
                    at
                });
                self.items[at].1.want(rest, column);
            }
        }
    }

    /// Reads a whole record. Columns whose value is not there are left as they are.
    pub(super) fn read(
        &self,
        record: &[u8],
        columns: &mut [Column],
        misfits: &mut u64,
    ) -> Result<(), Refusal> {
        let mut cursor = Cursor::new(record);
        self.visit(&mut cursor, 0, columns, misfits)?;
        if cursor.is_at_end() {
            return Ok(());
        }
        Err(Refusal::Cbor(cbor::Error { at: cursor.position(), rule: Rule::Trailing }))
    }

    /// Moves over the next item, which is inside `depth` lists and maps.
    fn visit(
        &self,
        cursor: &mut Cursor<'_>,
        depth: usize,
        columns: &mut [Column],
        misfits: &mut u64,
    ) -> Result<(), Refusal> {
        let start = *cursor;
        let (mut counted, mut again) = (misfits, 0);
        for &column in &self.columns {
            *cursor = start;
            columns[column].push(cursor, depth, counted)?;
            // What does not fit has been counted, here and inside.
            counted = &mut again;
        }
        if self.is_leaf() {
            return Ok(());
        }
        *cursor = start;
        let misfits = counted;
        match cursor.kind()? {
            Kind::Map if !self.fields.is_empty() => {
                check_depth(cursor, depth)?;
                let mut keys = MapKeys::new(cursor.read_map()?);
                let mut next = 0;
                while let Some(key) = keys.next_bytes(cursor)? {
                    match find(&self.fields, &mut next, key) {
                        Some(field) => self.fields[field].1.visit(cursor, depth + 1, columns, misfits)?,
                        None => check_within(cursor, depth + 1)?,
                    }
                }
                Ok(())
            }
            Kind::List if !self.items.is_empty() => {
                check_depth(cursor, depth)?;
                let mut wanted = self.items.iter().peekable();
                for index in 0..cursor.read_list()? {
                    match wanted.next_if(|(item, _)| *item == index) {
                        Some((_, node)) => node.visit(cursor, depth + 1, columns, misfits)?,
                        None => check_within(cursor, depth + 1)?,
                    }
                }
                Ok(())
            }
            kind => {
                *misfits += u64::from(kind != Kind::Null);
                Ok(check_within(cursor, depth)?)
            }
        }
    }
}

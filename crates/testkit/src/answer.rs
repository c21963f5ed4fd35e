//! What a query gives, in whatever way it was run: rows of plain values, which can be compared and written down.

use arrow_schema::DataType;

use crate::reference::Warnings;
use crate::text::render;
use crate::value::Val;

/// The rows of a query.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Type of `_key`.
    pub key_type: DataType,
    /// Names and types of the columns after `_time` and `_key`.
    pub columns: Vec<(String, DataType)>,
    /// The rows, in order.
    pub rows: Vec<AnswerRow>,
    /// What became null on the way.
    pub warnings: Warnings,
}

/// A row of an answer.
#[derive(Debug, Clone)]
pub struct AnswerRow {
    /// `_time`, UTC nanoseconds.
    pub time: i64,
    /// `_key`.
    pub key: Val,
    /// The other columns.
    pub values: Vec<Val>,
}

impl AnswerRow {
    /// Whether two rows are the same to the last bit.
    #[must_use]
    pub fn same(&self, other: &Self) -> bool {
        self.time == other.time
            && self.key.same(&other.key)
            && self.values.len() == other.values.len()
            && self.values.iter().zip(&other.values).all(|(x, y)| x.same(y))
    }

    /// The row as a line of a language test.
    #[must_use]
    pub fn render(&self) -> String {
        let cells = [Val::Time(self.time), self.key.clone()].into_iter().chain(self.values.iter().cloned());
        cells.map(|value| render(&value)).collect::<Vec<_>>().join(", ")
    }
}

impl Answer {
    /// The header and the rows as lines of a language test.
    #[must_use]
    pub fn render(&self) -> Vec<String> {
        let names = ["_time", "_key"].into_iter().chain(self.columns.iter().map(|(name, _)| name.as_str()));
        let header = names.collect::<Vec<_>>().join(", ");
        std::iter::once(header).chain(self.rows.iter().map(AnswerRow::render)).collect()
    }

    /// What differs from another answer, in a text for the one who must find out why; none where nothing does.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Option<String> {
        if self.columns != other.columns || self.key_type != other.key_type {
            return Some(format!(
                "columns: {} {:?}, against {} {:?}",
                self.key_type, self.columns, other.key_type, other.columns
            ));
        }
        let at = (0..self.rows.len().max(other.rows.len())).find(|&at| {
            match (self.rows.get(at), other.rows.get(at)) {
                (Some(x), Some(y)) => !x.same(y),
                _ => true,
            }
        });
        if let Some(at) = at {
            let show =
                |answer: &Self| answer.rows.get(at).map_or_else(|| "no row".to_owned(), AnswerRow::render);
            return Some(format!("row {}: {}, against {}", at + 1, show(self), show(other)));
        }
        (self.warnings != other.warnings)
            .then(|| format!("warnings: {:?}, against {:?}", self.warnings, other.warnings))
    }
}

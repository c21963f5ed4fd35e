//! What a table is made of.

use std::time::Duration;

use arrow_schema::{Fields, TimeUnit};

use crate::late::Late;

/// What a table is made of.
#[derive(Debug, Clone)]
pub struct Definition {
    /// What a query calls it.
    pub name: String,
    /// Its columns. One of which no type is known (Arrow's `Null`, as of a frame without values) is text, as
    /// [`super::infer`] has it.
    pub fields: Fields,
    /// The column of the rows' times.
    pub time: String,
    /// Whether that column is no field of the points.
    pub hides_time: bool,
    /// The column of the rows' keys.
    pub key: String,
    /// The column that orders rows of one time, each with its own number; else they stand as they came.
    pub subsort: Option<String>,
    /// What its keys are, to be joined with other streams; the key column's name unless given.
    pub grouping: Option<String>,
    /// The unit of a time column of numbers.
    pub unit: TimeUnit,
    /// Whether rows are kept for queries that start later. Else only those that run get them.
    pub keeps: bool,
    /// Whether who pushes waits for [room](super::Table::has_room), and may do so for other sources, too: as
    /// a pipe can.
    pub waits: bool,
    /// How far behind the newest a row may be before it is late.
    pub lateness: Duration,
    /// What becomes of a live query's late rows.
    pub late: Late,
}

impl Definition {
    /// A table by its name, of these columns, with those of the rows' times and keys. Numbers in the time
    /// column are nanoseconds, rows are kept for queries that start later, pushing waits for no other source,
    /// and none waits for rows that are late, which are dropped and counted.
    #[must_use]
    pub fn new(
        name: impl Into<String>,
        fields: impl Into<Fields>,
        time: impl Into<String>,
        key: impl Into<String>,
    ) -> Self {
        Self {
            name: name.into(),
            fields: fields.into(),
            time: time.into(),
            hides_time: false,
            key: key.into(),
            subsort: None,
            grouping: None,
            unit: TimeUnit::Nanosecond,
            keeps: true,
            waits: false,
            lateness: Duration::ZERO,
            late: Late::default(),
        }
    }
}

//! How a query is computed: scans that feed regions of rows with one grouping, regions that feed each other.
//!
//! A **region** holds all streams of one grouping between two re-keyings. Its rows are the union of those
//! streams' points, in order; a stream is a column with a mask that says at which rows it has a point. So
//! joining is a union of masks, `filter` an `and` of masks, and a continuous value is simply computed at
//! every row: no operator moves rows inside a region, and the whole region runs fused over one batch. Only a
//! re-keying moves rows, from a region to a later one.
//!
//! Points that operators add are further inputs. A tick depends only on rows before it, so its region makes
//! it itself: rows up to a boundary are computed first, then the ticks there. Points that are moved to a
//! later time leave their region by a feed that holds them until then, and enter a later region of the same
//! grouping.

use std::sync::Arc;

use arrow_schema::DataType;

use crate::catalog::StreamDef;
use crate::functions::Function;
use crate::functions::user::UserDefined;
use crate::query::{Aggregation, Calendar, Own, Part, Query};
use crate::scalar::Scalar;

/// A register of a region: the place of a step, which computes one value a row.
pub type Reg = usize;

/// How a query is computed.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The query it computes.
    pub query: Arc<Query>,
    /// What is read from the sources.
    pub scans: Vec<Scan>,
    /// The regions. One's inputs are scans and feeds of regions before it; the last one holds the answer.
    pub regions: Vec<Region>,
    /// The answer, taken from the last region.
    pub output: Output,
}

/// What is read from a stream: nothing that no answer depends on.
#[derive(Debug, Clone, PartialEq)]
pub struct Scan {
    /// The stream.
    pub stream: Arc<StreamDef>,
    /// Whether the key of its points is asked for.
    pub keyed: bool,
    /// The group of scans whose events pair, of several sources (SEMANTICS 1.5); none where they pair with nothing.
    pub pairs: Option<usize>,
    /// The wanted columns.
    pub columns: Vec<ScanColumn>,
    /// Tests that every wanted point passes. A source may drop points that fail one; the plan does not rely on it.
    pub tests: Vec<Test>,
}

/// A value inside a point, to be read as a column of its own.
#[derive(Debug, Clone, PartialEq)]
pub struct ScanColumn {
    /// The way from the point's struct to the value. The planner asks for a whole point column by column,
    /// never by an empty path.
    pub path: Vec<PathStep>,
    /// Type of the value.
    pub data_type: DataType,
}

impl ScanColumn {
    /// Whether it is a column of the stream, or inside it.
    #[must_use]
    pub fn is_of(&self, column: &str) -> bool {
        matches!(self.path.first(), Some(PathStep::Field(name)) if name == column)
    }
}

/// A step into a value.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PathStep {
    /// Field of a struct; null where the struct is null.
    Field(String),
    /// Item of a list, from 0; null where there is none.
    Index(usize),
    /// Number of characters of a text, as i64; null where it is. So its source need not copy the text. Always
    /// the last step.
    Length,
}

/// A comparison of a scan's column with a constant. Null never passes.
#[derive(Debug, Clone, PartialEq)]
pub struct Test {
    /// Place in [`Scan::columns`].
    pub column: usize,
    /// How they are compared.
    pub comparison: Comparison,
    /// The constant, of the column's type.
    pub literal: Scalar,
}

/// How a [`Test`] compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// `==`
    Eq,
    /// `!=`
    Ne,
    /// `<`
    Lt,
    /// `<=`
    Le,
    /// `>`
    Gt,
    /// `>=`
    Ge,
}

/// All streams of one grouping between two re-keyings.
#[derive(Debug, Clone)]
pub struct Region {
    /// Name of the grouping.
    pub grouping: Arc<str>,
    /// Type of the keys; none where nothing in the region depends on them.
    pub key_type: Option<DataType>,
    /// Where its rows come from; no scan or feed is the input of two regions. The same point from two inputs
    /// (equal place, key and turn) is one row.
    pub inputs: Vec<Input>,
    /// What is computed at each row; register `i` is the value of step `i`. Steps only use earlier ones.
    pub steps: Vec<Step>,
    /// What it hands to later regions.
    pub feeds: Vec<Feed>,
    /// The ticks that it makes, each an input.
    pub ticks: Vec<Ticks>,
    /// Whether rows wait until all of their time are here: where points come that were moved until a
    /// condition was true, which stand before the events of the time at which it was.
    pub waits: bool,
    /// Whether an event may be among its rows more than once, under several keys or moved in several ways:
    /// what then comes to one place and key is told apart by turns (SEMANTICS 1.5).
    pub doubles: bool,
}

/// The ticks of some rows of a region (SEMANTICS 5.6).
#[derive(Debug, Clone)]
pub struct Ticks {
    /// Whose boundaries.
    pub calendar: Calendar,
    /// Number of intervals of a window.
    pub intervals: u32,
    /// Which rows are the points that windows hold; none: all. Its steps stand before the one that tells the
    /// points of these ticks.
    pub present: Option<Reg>,
}

/// Where rows of a region come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// Place in [`Plan::scans`].
    Scan(usize),
    /// A feed of an earlier region.
    Feed {
        /// Place in [`Plan::regions`].
        region: usize,
        /// Place in [`Region::feeds`].
        feed: usize,
    },
    /// Place in [`Region::ticks`] of the region itself. It has no columns.
    Ticks(usize),
}

/// Rows under another key.
#[derive(Debug, Clone)]
pub struct Feed {
    /// Which rows are handed on; none: all.
    pub present: Option<Reg>,
    /// Their key in the receiving region.
    pub key: Reg,
    /// The columns of the receiving input.
    pub columns: Vec<Reg>,
    /// Where they stand there.
    pub moves: Moves,
    /// Where each stands apart from what it pairs with; none where nothing pairs.
    pub apart: Option<Standing>,
}

/// Where the rows of a feed stand in the receiving region.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moves {
    /// Where they stood, apart from what they paired with: they are under another key.
    Stay,
    /// Later by the duration in this register. Those that would move back, or by null, are dropped and counted.
    By(Reg),
    /// At the time in this register, a timestamp. Those that would move back, or to null, are dropped and counted.
    To(Reg),
    /// At the time of the key's next row, among these, at which this mask holds.
    Until(Reg),
    /// Under another key, and after all other points of their time: ticks, or all of them.
    After {
        /// Whether all of them do; else ticks alone.
        all: bool,
        /// Whether others are at least after all points of their place and key.
        last: bool,
    },
    /// Where these registers say.
    Back {
        /// Lane and ordinal.
        standing: Standing,
        /// The origin's time, i64.
        origin_time: Reg,
        /// The origin's lane, u16.
        origin_lane: Reg,
        /// The key that a tick was made for, bytes.
        made_for: Reg,
        /// The turn at the place and key, u32; none: the first.
        turn: Option<Reg>,
    },
}

/// The registers of where a point stands among those of its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// The lane, u16.
    pub lane: Reg,
    /// The ordinal, u64.
    pub ordinal: Reg,
}

/// A value computed at every row.
#[derive(Debug, Clone)]
pub struct Step {
    /// What is computed.
    pub op: StepOp,
    /// Its type.
    pub data_type: DataType,
    /// Of a call or a cast: at which rows results that do not fit are counted, as those are its points; none: at all.
    pub counted: Option<Reg>,
}

impl Step {
    /// A step whose results are counted at every row, where they do not fit.
    #[must_use]
    pub const fn new(op: StepOp, data_type: DataType) -> Self {
        Self { op, data_type, counted: None }
    }
}

/// What a step computes. Masks are booleans without nulls.
#[derive(Debug, Clone)]
pub enum StepOp {
    /// A column of an input; null at rows that are not the input's.
    Column {
        /// Place in [`Region::inputs`].
        input: usize,
        /// Place among the input's columns.
        column: usize,
    },
    /// Mask: the row is a point of this input.
    Present(usize),
    /// The row's key, or a part of its place.
    Own(Own),
    /// Lane or ordinal of where the first of these points stands that are at the row, each apart from what it
    /// pairs with.
    Apart {
        /// Which of the two.
        part: Part,
        /// Inputs, and at which of their points (none: all).
        of: Vec<(usize, Option<Reg>)>,
    },
    /// The row's time.
    Time,
    /// A constant.
    Literal(Scalar),
    /// A scalar function.
    Call {
        /// The function.
        function: &'static Function,
        /// Its arguments.
        args: Vec<Reg>,
    },
    /// A function of the program that asks, at the rows at which the mask holds (none: all), since it may
    /// fail; else null.
    User {
        /// The function.
        function: Arc<UserDefined>,
        /// Its arguments.
        args: Vec<Reg>,
        /// At which rows there is a value.
        present: Option<Reg>,
    },
    /// A value in the step's type; what does not fit is null and counted.
    Cast(Reg),
    /// A field of a struct.
    Field {
        /// The struct.
        value: Reg,
        /// Its field's place.
        index: usize,
    },
    /// A struct of these fields, never null; names are in the step's type.
    Record(Vec<Reg>),
    /// The value where the mask holds, else null.
    Only {
        /// The value.
        value: Reg,
        /// The mask.
        present: Reg,
    },
    /// Mask: a boolean value is true (not false, not null).
    IsTrue(Reg),
    /// Mask: both masks hold.
    Both(Reg, Reg),
    /// Mask: one of the masks holds.
    Either(Reg, Reg),
    /// An aggregation per key over the rows at which the mask holds (none: all); its value at every row. That
    /// of a tumbling or sliding window means something at the ends alone.
    Aggregate {
        /// The function, its constants and its window.
        aggregation: Aggregation,
        /// What is aggregated; null at points that only end windows.
        value: Reg,
        /// At which rows there is a point.
        present: Option<Reg>,
        /// At which rows a window ends; none where the window has no ends.
        ends: Option<Reg>,
    },
}

/// The columns that each answer has of its own: the time of a point and its key. A source's columns of these
/// names are left out where they are that very time and key; no other field of an answer can have these
/// names.
pub const ANSWERS_OWN: [&str; 2] = ["_time", "_key"];

/// The answer.
#[derive(Debug, Clone)]
pub struct Output {
    /// At which rows of the last region it has a point; none: all.
    pub present: Option<Reg>,
    /// Names and registers of its fields: those of the record, or one named `result` (SEMANTICS 7.6).
    pub columns: Vec<(String, Reg)>,
    /// Which of its points are shown.
    pub results: Results,
}

/// Which points of the answer are shown (SEMANTICS 7.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Results {
    /// Every point.
    History {
        /// From this time on, inclusive; UTC nanoseconds.
        since: Option<i64>,
        /// Up to and including this time.
        until: Option<i64>,
    },
    /// One row a key.
    Snapshot {
        /// Only keys whose answer had a point at or after this time.
        changed_since: Option<i64>,
        /// As of this time; else of the newest event.
        at: Option<i64>,
    },
}

impl Results {
    /// Every point.
    #[must_use]
    pub const fn history() -> Self {
        Self::History { since: None, until: None }
    }

    /// One row a key, as of the newest event.
    #[must_use]
    pub const fn snapshot() -> Self {
        Self::Snapshot { changed_since: None, at: None }
    }
}

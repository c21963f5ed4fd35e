//! A plan shown to a person: as [text](Plan::explain) with every step, and as a [picture](Plan::explain_svg)
//! of what is read, where keys change and what is held.
//!
//! Here is what both say in the same words.

mod diagram;
mod svg;
mod text;
mod words;

pub use text::Line;
pub(crate) use words::part as part_words;

use std::fmt::{self, Display, Formatter, Write as _};

use crate::error::printable;
use crate::plan::{Comparison, PathStep, Plan, Region, Results, Scan, ScanColumn, Test, Ticks};
use crate::query::Window;
use crate::scalar::Scalar;
use crate::syntax::{Expr, ExprKind};
use crate::{times, types};

/// A path as it is written in a query.
fn path(column: &ScanColumn) -> String {
    let mut out = String::new();
    for step in &column.path {
        let _ = match step {
            PathStep::Field(name) if out.is_empty() => write!(out, "{}", printable(name)),
            PathStep::Field(name) => write!(out, ".{}", printable(name)),
            PathStep::Index(index) => write!(out, "[{index}]"),
            PathStep::Length => write!(out, ".len()"),
        };
    }
    out
}

/// What is read of a column, and as what.
fn read(column: &ScanColumn) -> String {
    format!("{}: {}", path(column), types::name(&column.data_type))
}

/// A constant as it is written in a query.
fn literal(scalar: &Scalar) -> String {
    Expr::new(ExprKind::Literal(scalar.clone()), 0..0).to_string()
}

/// What of the keys a scan reads.
fn scan_keys(scan: &Scan) -> String {
    if scan.keyed {
        format!("with its key `{}`", printable(&scan.stream.key))
    } else {
        "without keys".to_owned()
    }
}

/// The keys of a region.
fn region_keys(region: &Region) -> String {
    match &region.key_type {
        Some(key_type) => format!("{} keys", types::name(key_type)),
        None => "keys not read".to_owned(),
    }
}

/// A test that the source may make.
fn test(scan: &Scan, test: &Test) -> String {
    let column = scan.columns.get(test.column).map_or_else(|| "?".to_owned(), path);
    format!("only where {column} {} {}", test.comparison, literal(&test.literal))
}

/// Ticks of a calendar.
fn ticks(ticks: &Ticks) -> String {
    let windows = match ticks.intervals {
        1 => String::new(),
        many => format!(" for windows of {many}"),
    };
    format!("{} ticks{windows}", ticks.calendar.name())
}

/// The constants of an aggregation, in parentheses; nothing where there are none.
fn constants(constants: &[Scalar]) -> String {
    let constants: Vec<_> = constants.iter().map(literal).collect();
    if constants.is_empty() { String::new() } else { format!("({})", constants.join(", ")) }
}

/// Over which points an aggregation goes, with a blank before it; nothing for all.
fn window(window: &Window) -> String {
    match window {
        Window::All => String::new(),
        Window::Since(_) | Window::Tumbling(_) => " since the last end".to_owned(),
        Window::Sliding(intervals, _) => format!(" over {intervals} intervals"),
        Window::Trailing(nanos) => format!(" over the last {}", times::duration_text(*nanos)),
    }
}

/// Which points of the answer are shown.
fn results(plan: &Plan) -> String {
    let time = |name: &str, nanos: Option<i64>| {
        nanos.map_or_else(String::new, |nanos| format!(" {name} {}", times::timestamp_text(nanos)))
    };
    match plan.output.results {
        Results::History { since, until } => {
            format!("history{}{}", time("since", since), time("until", until))
        }
        Results::Snapshot { changed_since, at } => {
            format!("snapshot{}{}", time("changed since", changed_since), time("at", at))
        }
    }
}

impl Display for Comparison {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Eq => "==",
            Self::Ne => "!=",
            Self::Lt => "<",
            Self::Le => "<=",
            Self::Gt => ">",
            Self::Ge => ">=",
        })
    }
}

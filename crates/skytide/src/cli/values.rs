//! What flags take: names of one of several, lengths of time, moments, sizes.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ValueEnum;
use skytide_connect::late::Late;
use skytide_timestream::times;

/// A query, and the name that its rows go by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NamedQuery {
    pub(crate) name: Option<String>,
    pub(crate) query: String,
}

impl std::str::FromStr for NamedQuery {
    type Err = std::convert::Infallible;

    /// No query begins with a word and one equals sign.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_name = |name: &str| {
            !name.is_empty()
                && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-'))
                && !name.starts_with(|c: char| c.is_numeric())
        };
        Ok(match text.split_once('=') {
            Some((name, query)) if is_name(name.trim()) && !query.starts_with('=') => {
                Self { name: Some(name.trim().to_owned()), query: query.to_owned() }
            }
            _ => Self { name: None, query: text.to_owned() },
        })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ModeArg {
    Once,
    Live,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ResultsArg {
    History,
    Snapshot,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum FormatArg {
    Table,
    Ndjson,
    Csv,
    Arrow,
    Parquet,
}

/// How candidates are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum CandidatesArg {
    Lines,
    Ndjson,
}

/// The shells whose lines are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LineShellArg {
    Bash,
    Zsh,
    Fish,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum KindArg {
    Commit,
    Identity,
    Account,
    Sync,
    Info,
    Label,
    Handle,
    Migrate,
    Tombstone,
    Error,
    /// What may have been missed
    Gap,
}

/// What becomes of late points.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LateArg {
    Drop,
    Side(PathBuf),
    Error,
}

impl LateArg {
    /// What it is to a source.
    pub(crate) fn policy(&self) -> Late {
        match self {
            Self::Drop => Late::Drop,
            Self::Side(_) => Late::Side,
            Self::Error => Late::Error,
        }
    }

    /// The file of the side.
    pub(crate) fn side(&self) -> Option<&Path> {
        if let Self::Side(path) = self { Some(path) } else { None }
    }
}

impl std::str::FromStr for LateArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match (text, text.strip_prefix("side=")) {
            ("drop", _) => Ok(Self::Drop),
            ("error", _) => Ok(Self::Error),
            (_, Some(path)) if !path.is_empty() => Ok(Self::Side(path.into())),
            _ => Err(format!("{text:?} is nothing that becomes of points: drop, side=FILE or error")),
        }
    }
}

/// A length of time as in queries, as `30s`, `5m`, `1h30m`, `250ms`, `1d`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let nanos = times::parse_duration(text)
        .ok_or_else(|| format!("{text:?} is no length of time, as 30s, 5m, 1h30m or 1d"))?;
    u64::try_from(nanos).map(Duration::from_nanos).map_err(|_| format!("{text:?} is below zero"))
}

/// A moment as in queries, in UTC nanoseconds.
pub(crate) fn moment(text: &str) -> Result<i64, String> {
    times::parse_timestamp(text).ok_or_else(|| {
        let why = times::why_unread(text).unwrap_or("no time, as 2026-07-04T12:00:00Z or 2026-07-04");
        format!("{text:?} is {why}")
    })
}

/// A number of bytes as `100000`, `64KiB`, `128MiB`, `1.5GiB`; `MB` is a million.
pub(crate) fn size(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" | "b" => 1.0,
        "kib" | "k" => 1024.0,
        "mib" | "m" => 1024.0 * 1024.0,
        "gib" | "g" => 1024.0 * 1024.0 * 1024.0,
        "kb" => 1e3,
        "mb" => 1e6,
        "gb" => 1e9,
        _ => f64::NAN,
    };
    match digits.trim().parse::<f64>() {
        Ok(number) if number * unit >= 1.0 && number * unit < 1e18 => Ok((number * unit) as u64),
        _ => Err(format!("{text:?} is no size, as 100000, 64KiB or 128MiB")),
    }
}

/// A number of workers: at least one, at most what timely's shards can use.
pub(crate) fn workers(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number @ 1..=256) => Ok(number),
        _ => Err(format!("{text:?} is no number of workers from 1 to 256")),
    }
}

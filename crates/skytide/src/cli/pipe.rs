//! `--from -`: rows that come through standard input, in a table that queries read.

use std::io::{self, IsTerminal, Stdin};
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use skytide_connect::source::SourceError;
use skytide_connect::tables::{Definition, PipeError, Piped, Table};

use super::failure::{Failure, SOURCE, USAGE};
use super::sources::Settings;
use super::values::LateArg;

/// Rows of standard input, the first of which have been read.
pub(crate) struct Pipe {
    rows: Piped,
    /// Where they come to.
    pub(crate) table: Table,
}

impl Pipe {
    /// Reads the first rows, which are waited for so long, and finds the columns that are named.
    pub(crate) fn open(settings: &Settings, within: Option<Duration>) -> Result<Self, Failure> {
        let stdin = io::stdin();
        if stdin.is_terminal() {
            return Err(Failure::new(
                USAGE,
                "--from -: standard input is a terminal, from which no rows come",
            )
            .hint("as in cat events.jsonl | skytide run … --from - --time ts --key did"));
        }
        let rows = first_rows(stdin, within)?;
        let fields = rows.fields().clone();
        let (time, key) = settings.roles("-", || Ok(fields.clone()))?;
        let name = settings.name.as_deref().unwrap_or("stdin");
        let table = Table::new(Definition {
            subsort: settings.subsort.clone(),
            grouping: settings.grouping.clone(),
            unit: settings.unit(),
            keeps: false,
            waits: true,
            lateness: settings.lateness.unwrap_or_default(),
            late: settings.late.as_ref().map_or_else(Default::default, LateArg::policy),
            ..Definition::new(name, fields, time, key)
        })
        .map_err(|error| Failure::new(SOURCE, format!("--from -: {error}")))?;
        Ok(Self { rows, table })
    }

    /// Gives the rows to the queries that read the table by now.
    pub(crate) fn begin(self) -> Result<(), Failure> {
        let Self { rows, table } = self;
        Ok(rows.feed(table).map_err(PipeError::from).map_err(failed)?)
    }
}

/// Reads the first rows. A read that waits cannot be ended: it is left to a thread if it may take too long.
fn first_rows(stdin: Stdin, within: Option<Duration>) -> Result<Piped, Failure> {
    let Some(within) = within else { return Ok(Piped::open(stdin).map_err(failed)?) };
    let (sender, opened) = sync_channel(1);
    std::thread::Builder::new()
        .name("skytide-open".to_owned())
        .spawn(move || drop(sender.send(Piped::open(stdin))))
        .map_err(|error| failed(error.into()))?;
    let opened = opened.recv_timeout(within).map_err(|_| {
        Failure::new(SOURCE, format!("standard input: what came in {within:?} does not tell the columns"))
            .hint("give more time with --for")
    })?;
    Ok(opened.map_err(failed)?)
}

fn failed(error: PipeError) -> SourceError {
    SourceError::Pipe(Arc::new(error))
}

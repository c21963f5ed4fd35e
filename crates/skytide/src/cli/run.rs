//! `skytide run`: a query from a source to rows.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use skytide_connect::late::Side;
use skytide_connect::network::Location;
use skytide_connect::run::{Outcome, RunOptions};
use skytide_connect::sink::{Ndjson, Sink, SinkError};
use skytide_connect::sources::Offer;
use skytide_timestream::engine::Mode;
use skytide_timestream::plan::Results;

use super::args::{ModeArg, ResultsArg, RunArgs};
use super::failure::{DATA, Failure, USAGE};
use super::input;
use super::interrupt::Interrupt;
use super::query::Compiled;
use super::status::StatusLine;
use super::target::Target;

pub(crate) fn run(args: &RunArgs) -> Result<(), Failure> {
    // The query first: its errors come before anything runs.
    let compiled = Compiled::over(&args.query, &args.sources, &args.socket, &args.lateness)?;
    let is_terminal = args.output.is_none() && io::stdout().is_terminal();
    let target = Target::of(args, is_terminal)?;
    let results = args.results.unwrap_or(if is_terminal && target.is_table() {
        ResultsArg::Snapshot
    } else {
        ResultsArg::History
    });
    let mode = match args.mode {
        Some(ModeArg::Once) => Mode::Once,
        Some(ModeArg::Live) => Mode::Live,
        None if args.sources.are_bounded() => Mode::Once,
        None => Mode::Live,
    };
    let plan = Arc::new(compiled.plan(match results {
        ResultsArg::History => Results::history(),
        ResultsArg::Snapshot => Results::snapshot(),
    }));

    refuse_own_files(args, &compiled.offers)?;

    let interrupt = Interrupt::listen()?;
    // The simulated networks live as long as the run.
    let (offers, _relays) = input::started(&args.sources, &compiled.offers, &plan)?;
    let mut sources = compiled.in_order(&offers)?;
    if let Some(path) = args.lateness.late.side() {
        sources = sources.late_to(side(path)?);
    }
    let mut source = sources.open(&plan, mode, &Arc::default())?;
    let is_real_time = args.sources.sources.iter().any(|source| input::is_real_time(&source.location));
    let status = Rc::new(RefCell::new(StatusLine::new(args.status.quiet, is_real_time)));
    let mut sink = target.open(results, is_terminal, &plan, &status)?;
    let options = RunOptions {
        mode,
        workers: args.workers,
        limit: args.limit,
        duration: args.duration,
        stop: interrupt.stop(),
    };
    let watch = |read: &_, rows| status.borrow_mut().update(read, rows);
    let outcome = skytide_connect::run::run(Arc::clone(&plan), &mut source, sink.as_mut(), &options, watch)?;
    finish(&status.borrow(), &outcome);
    if args.stats {
        super::status::say(&outcome.job.explain(&plan));
    }
    interrupt.end()
}

/// The file of late points. Like other text it grows as it is written.
fn side(path: &Path) -> Result<Side, Failure> {
    let failed = |error| Failure::new(DATA, format!("{}: {error}", path.display()));
    let file = File::create(path).map_err(failed)?;
    let (mut lines, path) = (Ndjson::new(file), path.to_owned());
    Ok(Side::new(move |late| {
        lines.write(late).map_err(|error| match error {
            SinkError::Io(error) => format!("{}: {error}", path.display()).into(),
            other => other.into(),
        })
    }))
}

/// Text grows under its name from the start: written over a file that is read, or the other one that is written, it would be all
/// that is left of it.
fn refuse_own_files(args: &RunArgs, offers: &[Offer]) -> Result<(), Failure> {
    let (output, side) = (args.output.as_deref(), args.lateness.late.side());
    let is_read = |file: &Path| {
        let file = file.canonicalize().ok();
        let is_it = |path: &PathBuf| file.is_some() && path.canonicalize().ok() == file;
        offers.iter().any(|offer| match offer {
            Offer::Files(files) => files.definition().paths.iter().any(is_it),
            Offer::Network(network) => match &network.connection.location {
                Location::Named(name) => {
                    is_it(&PathBuf::from(name)) || network.connection.history.iter().any(is_it)
                }
                Location::Memory(_) => false,
            },
            Offer::Table { .. } => false,
        })
    };
    for (file, what, flag) in [(output, "the answer", "-o"), (side, "late points", "--late side=FILE")] {
        if let Some(file) = file.filter(|file| is_read(file)) {
            let message = format!("{}: {what} would be written over what is read", file.display());
            return Err(Failure::new(USAGE, message).hint(format!("give another file with {flag}")));
        }
    }
    if let (Some(output), Some(side)) = (output, side)
        && (output == side
            || output.canonicalize().is_ok_and(|output| side.canonicalize().is_ok_and(|side| side == output)))
    {
        let message =
            format!("{}: the answer and late points would be written over each other", side.display());
        return Err(Failure::new(USAGE, message).hint("give another file with --late side=FILE"));
    }
    Ok(())
}

/// The last line, with what the operators could not compute or place.
fn finish(status: &StatusLine, outcome: &Outcome) {
    let mut source = outcome.source.clone();
    let job = &outcome.job;
    let unfit = [
        ("overflows", job.overflows()),
        ("failed casts", job.misfits()),
        ("moved back in time", job.moved_back()),
        ("held for a condition", job.held()),
    ];
    source.dropped.extend(unfit.into_iter().filter(|(_, count)| *count > 0));
    status.finish(&source, outcome.rows);
}

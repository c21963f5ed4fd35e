//! `skytide run`: a query from a source to rows.

use std::cell::RefCell;
use std::io::{self, IsTerminal};
use std::rc::Rc;
use std::sync::Arc;

use skytide_connect::run::{Outcome, RunOptions};
use skytide_connect::sources::Offer;
use skytide_timestream::engine::Mode;
use skytide_timestream::plan::Results;

use super::args::{ModeArg, ResultsArg, RunArgs};
use super::failure::{Failure, USAGE};
use super::input;
use super::interrupt::Interrupt;
use super::query::Compiled;
use super::status::StatusLine;
use super::target::Target;

pub(crate) fn run(args: &RunArgs) -> Result<(), Failure> {
    // The query first: its errors come before anything runs.
    let compiled = Compiled::over(&args.query, &args.sources, &args.socket, args.lateness)?;
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

    refuse_own_input(args, &compiled.offers)?;

    let interrupt = Interrupt::listen()?;
    // The simulated networks live as long as the run.
    let (offers, _relays) = input::started(&args.sources, &compiled.offers, &plan)?;
    let mut source = compiled.in_order(&offers)?.open(&plan, mode, &Arc::default())?;
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
    let outcome = skytide_connect::run::run(plan, &mut source, sink.as_mut(), &options, watch)?;
    finish(&status.borrow(), &outcome);
    interrupt.end()
}

/// Text grows under its name from the start: written over a file that is read, it would be all that is left of it.
fn refuse_own_input(args: &RunArgs, offers: &[Offer]) -> Result<(), Failure> {
    let Some(output) = args.output.as_deref().and_then(|output| output.canonicalize().ok()) else {
        return Ok(());
    };
    let reads = |offer: &Offer| match offer {
        Offer::Files(files) => {
            files.definition().paths.iter().any(|path| path.canonicalize().is_ok_and(|path| path == output))
        }
        Offer::Table { .. } | Offer::Network(_) => false,
    };
    if offers.iter().any(reads) {
        let message = format!("{}: the answer would be written over what is read", output.display());
        return Err(Failure::new(USAGE, message).hint("give another file with -o"));
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

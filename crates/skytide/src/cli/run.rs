//! `skytide run`: a query from a source to rows.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::rc::Rc;
use std::sync::Arc;

use console::Term;
use skytide_atproto::columns::Clock;
use skytide_connect::catalog::Feed;
use skytide_connect::firehose::FirehoseSource;
use skytide_connect::network::Wish;
use skytide_connect::reorder::Reorder;
use skytide_connect::run::{Outcome, RunOptions};
use skytide_connect::sink::{Arrow, Csv, Ndjson, Sink};
use skytide_connect::source::Source;
use skytide_firehose::Service;
use skytide_timestream::engine::{Mode, answer_schema};
use skytide_timestream::plan::{Plan, Results};

use super::args::{FormatArg, ModeArg, ResultsArg, RunArgs, TimeArg};
use super::failure::{DATA, Failure};
use super::input::Input;
use super::interrupt::Interrupt;
use super::query::Compiled;
use super::status::StatusLine;
use super::table::{HistoryTable, Live, SnapshotTable};

pub(crate) fn run(args: &RunArgs) -> Result<(), Failure> {
    // The query first: its errors come before anything runs.
    let compiled = Compiled::new(&args.query)?;
    let is_terminal = args.output.is_none() && io::stdout().is_terminal();
    let format = args.format.unwrap_or(if is_terminal { FormatArg::Table } else { FormatArg::Ndjson });
    let results = args.results.unwrap_or(if is_terminal && format == FormatArg::Table {
        ResultsArg::Snapshot
    } else {
        ResultsArg::History
    });
    let mode = match args.mode {
        Some(ModeArg::Once) => Mode::Once,
        Some(ModeArg::Live) => Mode::Live,
        None if args.from.location.is_bounded() => Mode::Once,
        None => Mode::Live,
    };
    let plan = Arc::new(compiled.plan(match results {
        ResultsArg::History => Results::history(),
        ResultsArg::Snapshot => Results::snapshot(),
    }));

    let interrupt = Interrupt::listen()?;
    let wish = Wish {
        service: Some(match compiled.catalog.feed(&plan)? {
            Feed::Repos => Service::Repos,
            Feed::Labels => Service::Labels,
        }),
        collections: compiled.catalog.wanted_collections(&plan).unwrap_or_default(),
        dids: Vec::new(),
    };
    let input = Input::open(&args.from, &wish)?;
    let status = Rc::new(RefCell::new(StatusLine::new(args.status.quiet, input.is_real_time)));
    let mut sink = sink(args, format, results, is_terminal, &plan, &status)?;
    let source = FirehoseSource::new(&plan, &compiled.catalog, input.frames, clock(args.time))?;
    let mut source: Box<dyn Source> = match args.time {
        TimeArg::Time | TimeArg::Arrival => Box::new(source),
        TimeArg::Rev | TimeArg::CreatedAt => Box::new(Reorder::new(source, mode, args.lateness)),
    };
    let options = RunOptions {
        mode,
        workers: args.workers,
        limit: args.limit,
        duration: args.duration,
        stop: interrupt.stop(),
    };
    let watch = |read: &_, rows| status.borrow_mut().update(read, rows);
    let outcome = skytide_connect::run::run(plan, source.as_mut(), sink.as_mut(), &options, watch)?;
    finish(&status.borrow(), &outcome);
    interrupt.end()
}

/// The last line, with what the operators could not compute.
fn finish(status: &StatusLine, outcome: &Outcome) {
    let mut source = outcome.source.clone();
    let unfit = [("overflows", outcome.job.overflows()), ("failed casts", outcome.job.misfits())];
    source.dropped.extend(unfit.into_iter().filter(|(_, count)| *count > 0));
    status.finish(&source, outcome.rows);
}

fn clock(time: TimeArg) -> Clock {
    match time {
        TimeArg::Time => Clock::FrameTime,
        TimeArg::Rev => Clock::Rev,
        TimeArg::CreatedAt => Clock::CreatedAt,
        TimeArg::Arrival => Clock::Arrival,
    }
}

/// Where the rows go.
fn sink(
    args: &RunArgs,
    format: FormatArg,
    results: ResultsArg,
    is_terminal: bool,
    plan: &Plan,
    status: &Rc<RefCell<StatusLine>>,
) -> Result<Box<dyn Sink>, Failure> {
    let target: Box<dyn Write> = match &args.output {
        None => Box::new(BufWriter::new(io::stdout())),
        Some(path) => Box::new(BufWriter::new(
            File::create(path).map_err(|error| Failure::new(DATA, format!("{}: {error}", path.display())))?,
        )),
    };
    let schema = answer_schema(plan).map_err(|error| Failure::new(DATA, error.to_string()))?;
    Ok(match format {
        FormatArg::Ndjson => Box::new(Ndjson::new(target)),
        FormatArg::Csv => Box::new(Csv::new(target, schema)),
        FormatArg::Arrow => {
            if is_terminal {
                return Err(Failure::new(super::failure::USAGE, "Arrow is not for a terminal's eyes")
                    .hint("send it to a file with -o FILE or into a pipe"));
            }
            Box::new(Arrow::new(target, &schema).map_err(skytide_connect::run::RunError::from)?)
        }
        FormatArg::Table => match results {
            ResultsArg::Snapshot => {
                let live = is_terminal.then(|| Live::new(Term::stdout(), Rc::clone(status)));
                Box::new(SnapshotTable::new(target, live))
            }
            ResultsArg::History => Box::new(HistoryTable::new(target)),
        },
    })
}

//! `skytide run`: queries from sources to rows. One is answered by the thread that began; several each by a
//! thread of its own.

use std::collections::BTreeSet;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use skytide_connect::late::Side;
use skytide_connect::merge::Merge;
use skytide_connect::recovery::Recovery;
use skytide_connect::run::{End, Outcome, RunError, RunOptions};
use skytide_connect::sink::{Ndjson, Sink};
use skytide_connect::source::{Source, Status};
use skytide_connect::sources::Offer;
use skytide_timestream::engine::Mode;
use skytide_timestream::plan::{Plan, Results};

use super::args::RunArgs;
use super::failure::{DATA, Failure, USAGE, reached};
use super::input;
use super::interrupt::Interrupt;
use super::query::Compiled;
use super::resume;
use super::same::{is_one, is_read};
use super::status::{StatusLine, lock, say};
use super::target::{Target, growing};
use super::values::{ModeArg, ResultsArg};

/// A query that is ready to be answered.
struct Query {
    name: String,
    plan: Arc<Plan>,
    source: Merge,
    sink: Box<dyn Sink + Send>,
    /// Where it is saved.
    recovery: Option<Recovery>,
    /// Rows given out.
    rows: Arc<AtomicUsize>,
}

pub(crate) fn run(args: &RunArgs) -> Result<(), Failure> {
    let count = args.queries.queries.len();
    let (names, outputs) = (names(args)?, outputs(args)?);
    // A table in place cannot be gone on with.
    let is_terminal =
        count == 1 && args.output.is_empty() && args.resume.resume.is_none() && io::stdout().is_terminal();
    let mut targets = Vec::with_capacity(names.len());
    for (name, output) in names.iter().zip(outputs) {
        let tag = (count > 1).then(|| name.clone());
        targets.push(Target::of(args, output, tag, is_terminal)?);
    }
    let is_table = targets.iter().all(Target::is_table);
    if let (Some(given), Some(meant)) = (args.results, args.shown.meant())
        && given != meant
    {
        let message = match given {
            ResultsArg::History => "--changed-since and --at are of --results snapshot",
            ResultsArg::Snapshot => "--since and --until are of --results history",
        };
        return Err(Failure::new(USAGE, message)
            .hint("a history has --since and --until, a snapshot --changed-since and --at"));
    }
    if let (Some(since), Some(until)) = (args.shown.since, args.shown.until)
        && since > until
    {
        return Err(Failure::new(USAGE, "--since is after --until: no row is of such a time"));
    }
    if let (Some(since), Some(at)) = (args.shown.changed_since, args.shown.at)
        && since > at
    {
        return Err(Failure::new(USAGE, "--changed-since is after --at: no key has changed by then"));
    }
    let results = args.results.or(args.shown.meant()).unwrap_or(if is_terminal && is_table {
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
    if mode == Mode::Once && args.sources.has_pipe() {
        let message = "--mode once: rows of standard input are answered as they come";
        return Err(Failure::new(USAGE, message).hint("those of a file are sorted first: write them to one"));
    }
    let late = args.sources.side().map_err(|message| Failure::new(USAGE, message))?;
    resume::refuse(args, &targets)?;

    // The errors of queries, too, come before anything runs. A pipe that has nothing yet is waited for here.
    let begun = Instant::now();
    let (compiled, pipe) = Compiled::all(&args.queries, &args.sources, &args.socket, args.duration)?;
    let duration = match pipe {
        Some(_) => args.duration.map(|duration| duration.saturating_sub(begun.elapsed())),
        None => args.duration,
    };
    let planned = |compiled: &Compiled| {
        Arc::new(compiled.plan(match results {
            ResultsArg::History => Results::History { since: args.shown.since, until: args.shown.until },
            ResultsArg::Snapshot => {
                Results::Snapshot { changed_since: args.shown.changed_since, at: args.shown.at }
            }
        }))
    };
    let plans: Vec<Arc<Plan>> = compiled.iter().map(planned).collect();
    // Queries have the same sources.
    let offers = compiled.first().map_or(&[][..], |compiled| &compiled.offers);
    refuse_own_files(args, late, offers)?;

    let interrupt = Interrupt::listen()?;
    // Whoever opens a named pipe waits for its reader.
    interrupt.ends_after(duration);
    // The simulated networks live as long as the run.
    let (offers, _relays) = input::started(&args.sources, offers, &plans)?;
    let is_real_time = args.sources.sources.iter().any(|source| input::is_real_time(&source.location));
    let status = Arc::new(Mutex::new(StatusLine::new(args.status.quiet, is_real_time)));
    let (mut queries, mut kept) = (Vec::with_capacity(plans.len()), None);
    for (((compiled, plan), target), name) in
        compiled.iter().zip(plans.iter().cloned()).zip(targets).zip(names)
    {
        let mut sources = compiled.in_order(&offers)?;
        let recovery = resume::opened(&args.resume, &name, &plan, mode)?;
        let standing = recovery.as_ref().and_then(Recovery::standing);
        if let Some(path) = late {
            let side = match &recovery {
                Some(_) => resume::side(path, standing.is_some())?,
                None => side(path)?,
            };
            kept = Some(side.clone());
            sources = sources.late_to(side);
        }
        let source = sources.reopen(&plan, mode, recovery.as_ref().and_then(Recovery::source))?;
        if let Some(standing) = standing {
            lock(&status).resumed(source.status().read);
            if args.stats || !args.status.quiet {
                say(&resume::said(&name, standing, source.is_at_end()));
            }
        }
        let sink = target.open(results, is_terminal, recovery.as_ref(), &plan, &status)?;
        queries.push(Query { name, plan, source, sink, recovery, rows: Arc::default() });
    }
    let options =
        RunOptions { mode, workers: args.workers, limit: args.limit, duration, stop: interrupt.stop() };
    // What comes through it is for those who are there.
    if let Some(pipe) = pipe {
        pipe.begin()?;
    }
    let outcomes = if queries.len() > 1 {
        several(queries, &options, &status)?
    } else {
        one(queries, &options, &status).inspect_err(|_| lock(&status).broke_off())?
    };
    let is_reached = outcomes.iter().any(|outcome| outcome.source.is_reached());
    let mut late_misfits = 0;
    if let Some(side) = kept.filter(|_| is_reached) {
        side.finish().map_err(RunError::from)?;
        late_misfits = side.misfits();
    }
    finish(&lock(&status), &outcomes, late_misfits);
    let newest = outcomes.iter().filter_map(|outcome| outcome.source.newest).max();
    if let ([source], [offer], Some(newest)) = (args.sources.sources.as_slice(), offers.as_slice(), newest)
        && !args.status.quiet
        && let Some(doubt) = input::doubt(source, offer, newest)
    {
        say(&doubt);
    }
    if outcomes.iter().any(|outcome| outcome.job.is_cut) {
        say("the run was stopped at work: the last of what was read is not answered\n");
    }
    if args.stats {
        for (plan, outcome) in plans.iter().zip(&outcomes) {
            say(&outcome.job.explain(plan));
        }
    }
    interrupt.end()?;
    let timed = outcomes.iter().filter(|outcome| outcome.end == End::Duration);
    timed.map(|outcome| &outcome.source).try_for_each(reached)
}

/// The names of the queries: those that are given, else their numbers.
fn names(args: &RunArgs) -> Result<Vec<String>, Failure> {
    let mut known = BTreeSet::new();
    let mut names = Vec::new();
    for (number, named) in (1..).zip(&args.queries.queries) {
        let name = named.name.clone().unwrap_or_else(|| number.to_string());
        if !known.insert(name.clone()) {
            return Err(Failure::new(USAGE, format!("two queries are called `{name}`")));
        }
        names.push(name);
    }
    Ok(names)
}

/// The file of each query, if they have any.
fn outputs(args: &RunArgs) -> Result<Vec<Option<&Path>>, Failure> {
    let queries = args.queries.queries.len();
    if args.output.is_empty() {
        return Ok(vec![None; queries]);
    }
    if args.output.len() != queries {
        let queries = if queries == 1 { "one query".to_owned() } else { format!("{queries} queries") };
        let message = format!("{queries} and {} files to write to", args.output.len());
        return Err(
            Failure::new(USAGE, message).hint("give -o once for each query, in their order, or not at all")
        );
    }
    let is_before =
        |(at, output): &(usize, &PathBuf)| args.output[..*at].iter().any(|before| is_one(before, output));
    if let Some((_, twice)) = args.output.iter().enumerate().find(is_before) {
        let message = format!("{}: two answers would be written over each other", twice.display());
        return Err(Failure::new(USAGE, message).hint("give each query an -o of its own"));
    }
    // A dash is stdout, as elsewhere.
    let files = args.output.iter().map(|output| Some(output.as_path()));
    Ok(files.map(|file| file.filter(|path| *path != Path::new("-"))).collect())
}

/// Answers the only query.
fn one(
    queries: Vec<Query>,
    options: &RunOptions,
    status: &Mutex<StatusLine>,
) -> Result<Vec<Outcome>, Failure> {
    let watch = |read: &Status, rows| lock(status).update(read, rows);
    queries.into_iter().map(|query| query.answer(options, watch)).collect()
}

/// Answers queries side by side. One that fails says so at once and leaves the others alone.
fn several(
    queries: Vec<Query>,
    options: &RunOptions,
    status: &Mutex<StatusLine>,
) -> Result<Vec<Outcome>, Failure> {
    let all = queries.len();
    let counts: Vec<Arc<AtomicUsize>> = queries.iter().map(|query| Arc::clone(&query.rows)).collect();
    let failures: Mutex<Vec<Failure>> = Mutex::default();
    let outcomes: Vec<Outcome> = std::thread::scope(|scope| {
        let threads = queries.into_iter().map(|query| {
            let (name, rows) = (query.name.clone(), Arc::clone(&query.rows));
            let (counts, failures) = (&counts, &failures);
            scope.spawn(move || {
                let watch = |read: &Status, of_it| {
                    rows.store(of_it, Ordering::Relaxed);
                    lock(status).update(read, counts.iter().map(|rows| rows.load(Ordering::Relaxed)).sum());
                };
                query.answer(options, watch).map_err(|failure| tell(&name, failure, failures, status)).ok()
            })
        });
        let threads: Vec<_> = threads.collect();
        threads.into_iter().filter_map(|thread| thread.join().ok().flatten()).collect()
    });
    let failed = all - outcomes.len();
    if failed > 0 {
        let failures = failures.into_inner().unwrap_or_else(PoisonError::into_inner);
        let code = failures.first().map_or(DATA, |failure| failure.code);
        let status = lock(status);
        if outcomes.is_empty() {
            status.broke_off();
        } else {
            finish(&status, &outcomes, 0);
        }
        return Err(Failure::new(code, format!("{failed} of {all} queries failed")));
    }
    Ok(outcomes)
}

/// Says why a query failed, unless another one has said just that.
fn tell(name: &str, failure: Failure, failures: &Mutex<Vec<Failure>>, status: &Mutex<StatusLine>) {
    let mut failures = failures.lock().unwrap_or_else(PoisonError::into_inner);
    if !failures.iter().any(|told| told.message == failure.message) {
        let hint = failure.hint.as_ref().map_or_else(String::new, |hint| format!("  hint: {hint}\n"));
        let text = format!("skytide: query {name}: {}\n{hint}", failure.message.trim_end());
        lock(status).aside(|| say(&text));
    }
    failures.push(failure);
}

impl Query {
    fn answer(mut self, options: &RunOptions, watch: impl FnMut(&Status, usize)) -> Result<Outcome, Failure> {
        let (source, sink) = (&mut self.source, self.sink.as_mut());
        Ok(match self.recovery {
            Some(recovery) => recovery.run(self.plan, source, sink, options, watch)?,
            None => skytide_connect::run::run(self.plan, source, sink, options, watch)?,
        })
    }
}

/// The file of late points. Like other text it grows as it is written.
fn side(path: &Path) -> Result<Side, Failure> {
    Ok(Side::sink(growing(path, |target| Ok(Ndjson::new(target))).map_err(RunError::from)?))
}

/// Text grows under its name: written over a file that is read, or another one that is written, it would be all
/// that is left of it.
fn refuse_own_files(args: &RunArgs, side: Option<&Path>, offers: &[Offer]) -> Result<(), Failure> {
    if side.is_some() && args.queries.queries.len() > 1 {
        let message = "--late side=FILE: each of several queries would write the same late points there";
        return Err(Failure::new(USAGE, message).hint("run the query that is to keep them by itself"));
    }
    let outputs = args.output.iter().map(|output| (output.as_path(), "the answer", "-o"));
    for (file, what, flag) in outputs.chain(side.map(|side| (side, "late points", "--late side=FILE"))) {
        if offers.iter().any(|offer| is_read(offer, file)) {
            let message = format!("{}: {what} would be written over what is read", file.display());
            return Err(Failure::new(USAGE, message).hint(format!("give another file with {flag}")));
        }
    }
    if let Some(side) = side.filter(|side| args.output.iter().any(|output| is_one(output, side))) {
        let message =
            format!("{}: the answer and late points would be written over each other", side.display());
        return Err(Failure::new(USAGE, message).hint("give another file with --late side=FILE"));
    }
    Ok(())
}

/// The last line, with what the operators could not compute or place, and what could not be written, of late
/// points, too. What queries share was read once.
fn finish(status: &StatusLine, outcomes: &[Outcome], late_misfits: u64) {
    let mut source = Status::default();
    for outcome in outcomes {
        source.read = source.read.max(outcome.source.read);
        source.spilled += outcome.source.spilled;
        source.unread = source.unread.or_else(|| outcome.source.unread.clone());
        for (reason, count) in &outcome.source.dropped {
            let most = source.dropped.entry(reason).or_default();
            *most = (*most).max(*count);
        }
    }
    for outcome in outcomes {
        let job = &outcome.job;
        let unfit = [
            ("overflows", job.overflows()),
            ("failed casts", job.misfits()),
            ("moved back in time or nowhere", job.moved_back()),
            ("held for a condition", job.held()),
            ("not due yet", job.not_due()),
        ];
        for (reason, count) in unfit.into_iter().filter(|(_, count)| *count > 0) {
            *source.dropped.entry(reason).or_default() += count;
        }
    }
    let unwritten = outcomes.iter().map(|outcome| outcome.misfits).sum::<u64>() + late_misfits;
    if unwritten > 0 {
        *source.dropped.entry("misfitting values").or_default() += unwritten;
    }
    status.finish(&source, outcomes.iter().map(|outcome| outcome.rows).sum());
}

//! `--resume`: where a run is saved, and what can be.

use std::path::Path;

use indicatif::HumanCount;
use jiff::Timestamp;
use skytide_connect::late::Side;
use skytide_connect::recovery::{Recovery, Standing};
use skytide_connect::run::RunError;
use skytide_connect::sink::{Sink, TextFile};
use skytide_timestream::engine::Mode;
use skytide_timestream::plan::Plan;

use super::args::{ResumeArgs, RunArgs};
use super::failure::{Failure, USAGE};
use super::location::Location;
use super::target::Target;

/// What is saved of a query, by its name; none without `--resume`.
pub(crate) fn opened(
    args: &ResumeArgs,
    name: &str,
    plan: &Plan,
    mode: Mode,
) -> Result<Option<Recovery>, Failure> {
    let Some(folder) = &args.resume else { return Ok(None) };
    Ok(Some(Recovery::open(folder, name, plan, mode)?.every(args.resume_every)))
}

/// What only the program knows not to be there the next time.
pub(crate) fn refuse(args: &RunArgs, targets: &[Target<'_>]) -> Result<(), Failure> {
    if args.resume.resume.is_none() {
        return Ok(());
    }
    if args.sources.sources.iter().any(|source| matches!(source.location, Location::Sim(_))) {
        let message = "--resume: the simulated network of a run ends with it";
        return Err(
            Failure::new(USAGE, message).hint("serve one with `skytide sim`, and read it with --from ws://…")
        );
    }
    if args.sources.has_pipe() {
        let message = "--resume: what came through standard input is not there a second time";
        return Err(Failure::new(USAGE, message).hint("write it to a file, and read that"));
    }
    if !targets.iter().all(Target::can_resume) {
        let message = "--resume: this form has no place at which it can be gone on with";
        return Err(Failure::new(USAGE, message)
            .hint("as in -o FILE.ndjson, -o FILE.csv or -o FOLDER/ --roll-every 1h"));
    }
    Ok(())
}

/// The file of late points, which a run that goes on cuts back to where it was.
pub(crate) fn side(path: &Path, is_resumed: bool) -> Result<Side, Failure> {
    let mut file = TextFile::ndjson(path).map_err(RunError::from)?;
    if !is_resumed {
        file.go_back(None).map_err(RunError::from)?;
    }
    Ok(Side::sink(file))
}

/// From where a query goes on, or where it came to its end.
pub(crate) fn said(name: &str, standing: &Standing, is_at_end: bool) -> String {
    let moment = |time: i64| {
        Timestamp::from_nanosecond(time.into()).map_or_else(|_| time.to_string(), |time| time.to_string())
    };
    let newest = standing.newest().map_or_else(|| "the beginning".to_owned(), moment);
    // A recording may have grown since.
    let (place, rest) =
        if is_at_end { ("came to its end at", "; nothing more is read") } else { ("goes on from", "") };
    format!(
        "query {name} {place} {newest}, saved at {}, after {} rows{rest}\n",
        moment(standing.saved()),
        HumanCount(standing.rows() as u64),
    )
}

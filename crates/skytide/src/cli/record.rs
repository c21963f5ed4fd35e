//! `skytide record`: a source's frames into a file, as they came.
//!
//! What a file holds may be all that is left of a day: it is not touched unless it is asked for, and then not
//! before there is a frame to write.

use std::path::Path;
use std::time::Instant;

use indicatif::HumanCount;
use skytide_connect::network::Wish;
use skytide_connect::run::WAIT;
use skytide_firehose::Batch;
use skytide_firehose::recording::{Compression, Last, Recorder, Recording, RecordingError};

use super::args::RecordArgs;
use super::failure::{DATA, Failure, USAGE, reached};
use super::input::Input;
use super::interrupt::Interrupt;
use super::location::Location;
use super::same::is_one;
use super::status::{StatusLine, say};
use super::waiting::waits;

/// Frames taken at once.
const BATCH: usize = 4096;

pub(crate) fn record(args: &RecordArgs) -> Result<(), Failure> {
    let failed = |error: RecordingError| {
        let failure = Failure::new(DATA, error.to_string());
        match error {
            RecordingError::Busy { .. } => {
                Failure { code: USAGE, ..failure }.hint("end that one first, or give another file with -o")
            }
            _ => failure,
        }
    };
    refuse(args)?;
    let interrupt = Interrupt::listen()?;
    // A pipe waits for its reader, who is waited for when it is opened, too.
    let is_file = args.output.metadata().map_or(true, |found| found.is_file());
    interrupt.ends_after(args.duration);
    let open = || {
        let compression = Compression::of_path(&args.output);
        if args.append {
            Recorder::append(&args.output, compression)
        } else {
            Recorder::create(&args.output, compression).map(|recorder| (recorder, Last::default()))
        }
    };
    let (mut recorder, last) = if is_file { open() } else { waits(open) }.map_err(failed)?;
    if last.frames > 0 && !args.status.quiet {
        let frames = HumanCount(last.frames);
        say(&format!("{} goes on after its {frames} frames\n", args.output.display()));
    }
    let mut input = Input::open_after(&args.from, &Wish::default(), &args.output, last)?;
    let mut status = StatusLine::new(args.status.quiet, input.is_real_time);
    let ends = args.duration.and_then(|duration| Instant::now().checked_add(duration));
    let mut written = 0_u64;
    while !interrupt.seen() && ends.is_none_or(|end| Instant::now() < end) {
        let left = args.limit.map_or(BATCH as u64, |limit| (limit - written).min(BATCH as u64));
        if left == 0 {
            break;
        }
        let mut pushed = Ok(());
        let read = input.frames.visit(left as usize, WAIT, |frame, _| {
            if pushed.is_ok() {
                pushed = if is_file { recorder.push(frame) } else { waits(|| recorder.push(frame)) };
                written += u64::from(pushed.is_ok());
            }
        });
        status.update(&input.frames.status(), written as usize);
        let read = match read {
            Ok(read) => read,
            Err(error) => {
                if written > 0 {
                    recorder.finish().map_err(failed)?;
                }
                status.broke_off();
                return Err(error.into());
            }
        };
        pushed.and_then(|()| recorder.flush_due(Instant::now())).map_err(failed)?;
        if read == Batch::Ended {
            break;
        }
    }
    // Where no frame came, what was there stays: it is not what was asked for, but nothing else is.
    if written > 0 {
        recorder.finish().map_err(failed)?;
    }
    let met = input.frames.status();
    status.finish(&met, written as usize);
    interrupt.end()?;
    if ends.is_some_and(|end| end <= Instant::now()) { reached(&met) } else { Ok(()) }
}

/// Refuses to write over what is read, or over frames that nobody has said what becomes of.
fn refuse(args: &RecordArgs) -> Result<(), Failure> {
    let output = args.output.as_path();
    let usage = |message: String, hint: &str| Err(Failure::new(USAGE, message).hint(hint));
    if output == Path::new("-") {
        return usage("-o -: a recording goes to a file".to_owned(), "one that is called so is ./-");
    }
    let is_source = match &args.from.location {
        Location::File(path) => is_one(path, output),
        Location::Sim(_) | Location::Socket(_) | Location::Repos(_) | Location::Rows(_) | Location::Piped => {
            false
        }
    };
    if is_source {
        let message = format!("{}: the recording would be written over what is read", output.display());
        return usage(message, "give another file with -o");
    }
    if !args.append && !args.overwrite && has_something(output) {
        let message = format!("{} has frames already", output.display());
        return usage(message, "--append goes on after them, --overwrite puts the new ones in their place");
    }
    if args.append && matches!(args.from.location, Location::Sim(_)) && has_something(output) {
        let message =
            format!("{}: a simulated network of this process goes on from no recording", output.display());
        return usage(message, "its numbers begin anew each time; `skytide sim` serves one that stays");
    }
    Ok(())
}

/// Whether a file has a frame, or what is none.
fn has_something(path: &Path) -> bool {
    let is_file = path.metadata().is_ok_and(|found| found.is_file() && found.len() > 0);
    is_file && !matches!(Recording::open(path).map(|mut there| there.next_frame()), Ok(Ok(None)))
}

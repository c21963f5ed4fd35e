//! `skytide record`: a source's frames into a file, as they came.

use std::time::Instant;

use skytide_connect::network::Wish;
use skytide_connect::run::WAIT;
use skytide_firehose::Batch;
use skytide_firehose::recording::{Compression, Recorder};

use super::args::RecordArgs;
use super::failure::{DATA, Failure};
use super::input::Input;
use super::interrupt::Interrupt;
use super::status::StatusLine;

/// Frames taken at once.
const BATCH: usize = 4096;

pub(crate) fn record(args: &RecordArgs) -> Result<(), Failure> {
    let failed =
        |error: &dyn std::fmt::Display| Failure::new(DATA, format!("{}: {error}", args.output.display()));
    let interrupt = Interrupt::listen()?;
    let mut input = Input::open(&args.from, &Wish::default())?;
    let mut recorder =
        Recorder::create(&args.output, Compression::of_path(&args.output)).map_err(|error| failed(&error))?;
    let mut status = StatusLine::new(args.status.quiet, input.is_real_time);
    let ends = args.duration.map(|duration| Instant::now() + duration);
    let mut written = 0_u64;
    while !interrupt.seen() && ends.is_none_or(|end| Instant::now() < end) {
        let left = args.limit.map_or(BATCH as u64, |limit| (limit - written).min(BATCH as u64));
        if left == 0 {
            break;
        }
        let mut pushed = Ok(());
        let read = input.frames.visit(left as usize, WAIT, |frame, _| {
            if pushed.is_ok() {
                pushed = recorder.push(frame);
                written += u64::from(pushed.is_ok());
            }
        })?;
        pushed.map_err(|error| failed(&error))?;
        if read == Batch::Ended {
            break;
        }
        status.update(&input.frames.status(), written as usize);
    }
    recorder.finish().map_err(|error| failed(&error))?;
    status.finish(&input.frames.status(), written as usize);
    interrupt.end()
}

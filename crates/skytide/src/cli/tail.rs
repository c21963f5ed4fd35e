//! `skytide tail`: events as JSON lines, in the shape of Jetstream v1.
//!
//! `time_us` is the frame's own time, not when it was printed: the same frames give the same lines.

use std::io::{self, BufWriter, Write};
use std::time::Instant;

use skytide_atproto::frame::{self, Frame, FrameError, Kind};
use skytide_atproto::jetstream::{self, Subject};
use skytide_connect::run::WAIT;
use skytide_connect::source::Status;
use skytide_firehose::Batch;

use super::args::{KindArg, TailArgs};
use super::failure::{DATA, Failure};
use super::input::Input;
use super::interrupt::Interrupt;
use super::status::StatusLine;

/// Frames taken at once; lines are flushed after each such batch.
const BATCH: usize = 1024;

pub(crate) fn tail(args: &TailArgs) -> Result<(), Failure> {
    let wanted = Wanted::new(args)?;
    let interrupt = Interrupt::listen()?;
    let mut input = Input::open(&args.from)?;
    let mut status = StatusLine::new(args.status.quiet, input.is_real_time);
    let ends = args.duration.map(|duration| Instant::now() + duration);
    let mut stdout = BufWriter::new(io::stdout().lock());
    let mut json = String::new();
    let (mut lines, mut undecodable) = (0, 0);
    let full = |lines| args.limit.is_some_and(|limit| lines >= limit);
    while !full(lines) && !interrupt.seen() && ends.is_none_or(|end| Instant::now() < end) {
        json.clear();
        let read = input.frames.visit(BATCH, WAIT, |frame, _| {
            if full(lines) {
                return;
            }
            let before = json.len();
            match write(frame, &wanted, &mut json) {
                Ok(events) => lines += events,
                Err(_) => undecodable += 1,
            }
            if let Some(over) = args.limit.and_then(|limit| lines.checked_sub(limit)) {
                cut(&mut json, before, over);
                lines -= over;
            }
        })?;
        if read == Batch::Ended {
            break;
        }
        if closed(stdout.write_all(json.as_bytes()).and_then(|()| stdout.flush()))? {
            return Ok(());
        }
        status.update(&counted(&input, undecodable), lines);
    }
    status.finish(&counted(&input, undecodable), lines);
    interrupt.end()
}

fn counted(input: &Input, undecodable: u64) -> Status {
    let mut status = input.frames.status();
    if undecodable > 0 {
        *status.dropped.entry("undecodable").or_default() += undecodable;
    }
    status
}

/// Takes the last `over` lines after `before` away.
fn cut(json: &mut String, before: usize, over: usize) {
    for _ in 0..over {
        let body = json[before..].strip_suffix('\n').unwrap_or_default();
        json.truncate(before + body.rfind('\n').map_or(0, |line| line + 1));
    }
}

/// Whether the reader went away.
fn closed(written: io::Result<()>) -> Result<bool, Failure> {
    match written {
        Ok(()) => Ok(false),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(true),
        Err(error) => Err(Failure::new(DATA, format!("cannot write to stdout: {error}"))),
    }
}

/// Appends the wanted events of a frame, in order.
fn write(bytes: &[u8], wanted: &Wanted<'_>, json: &mut String) -> Result<usize, FrameError> {
    let time = frame::peek(bytes)?.time.unwrap_or_default();
    jetstream::write_events(&Frame::parse(bytes)?, time / 1000, |subject| wanted.takes(subject), json)
}

/// What the user asked for.
struct Wanted<'a> {
    kinds: &'a [KindArg],
    collections: &'a [String],
    dids: &'a [String],
}

impl<'a> Wanted<'a> {
    fn new(args: &'a TailArgs) -> Result<Self, Failure> {
        for did in &args.dids {
            did.parse::<skytide_atproto::syntax::Did>()
                .map_err(|error| Failure::new(super::failure::USAGE, format!("--dids {did:?}: {error}")))?;
        }
        Ok(Self { kinds: &args.kinds, collections: &args.collections, dids: &args.dids })
    }

    fn takes(&self, subject: &Subject<'_>) -> bool {
        let kind = match subject.kind {
            Kind::Commit => Some(KindArg::Commit),
            Kind::Identity => Some(KindArg::Identity),
            Kind::Account => Some(KindArg::Account),
            _ => None,
        };
        let matches = |collection: &str| {
            self.collections.iter().any(|wanted| match wanted.strip_suffix('*') {
                Some(prefix) => collection.starts_with(prefix),
                None => wanted == collection,
            })
        };
        (self.kinds.is_empty() || kind.is_some_and(|kind| self.kinds.contains(&kind)))
            && (self.dids.is_empty() || self.dids.iter().any(|did| Some(did.as_str()) == subject.did))
            && (self.collections.is_empty() || subject.collection.is_some_and(matches))
    }
}

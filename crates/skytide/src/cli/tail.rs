//! `skytide tail` and `skytide labels`: events as JSON lines, in the shape of Jetstream v1, and what may have
//! been missed between them.
//!
//! `time_us` is the frame's own time, not when it was printed: the same frames give the same lines.

use std::io::{self, BufWriter, Write};
use std::time::Instant;

use serde_json::json;
use skytide_atproto::frame::{self, Frame, Kind};
use skytide_atproto::jetstream::{self, Subject};
use skytide_connect::frames::UNKNOWN;
use skytide_connect::network::Wish;
use skytide_connect::run::WAIT;
use skytide_connect::source::Status;
use skytide_firehose::{Batch, Cause, Gap, Ledger, Service};

use super::args::{FromArgs, LabelsArgs, LinesArgs, TailArgs};
use super::failure::{DATA, Failure, USAGE, reached};
use super::input::Input;
use super::interrupt::Interrupt;
use super::status::StatusLine;
use super::values::KindArg;
use super::waiting::Waits;

/// Frames taken at once; lines are flushed after each such batch.
const BATCH: usize = 1024;

pub(crate) fn tail(args: &TailArgs) -> Result<(), Failure> {
    let wanted = Wanted {
        kinds: &args.kinds,
        collections: collections(&args.collections)?,
        dids: dids(&args.lines.dids)?,
        values: &[],
        gaps: args.lines.gaps || args.kinds.contains(&KindArg::Gap),
    };
    let dids = args.lines.dids.clone();
    let wish = Wish { service: None, collections: args.collections.clone(), dids };
    print(&args.from, &wish, &wanted, &args.lines)
}

pub(crate) fn labels(args: &LabelsArgs) -> Result<(), Failure> {
    let wanted = Wanted {
        // All that a labeler sends; a recording may be of something else.
        kinds: &[KindArg::Label, KindArg::Info, KindArg::Error],
        collections: &[],
        dids: dids(&args.lines.dids)?,
        values: &args.values,
        gaps: args.lines.gaps,
    };
    let wish = Wish { service: Some(Service::Labels), ..Wish::default() };
    print(&args.from, &wish, &wanted, &args.lines)
}

fn print(from: &FromArgs, wish: &Wish, wanted: &Wanted<'_>, args: &LinesArgs) -> Result<(), Failure> {
    let mut from = from.clone();
    from.socket.chains |= wanted.gaps;
    let interrupt = Interrupt::listen()?;
    let mut input = Input::open(&from, wish)?;
    let mut status = StatusLine::new(args.status.quiet, input.is_real_time);
    interrupt.ends_after(args.duration);
    let until = args.duration.and_then(|duration| Instant::now().checked_add(duration));
    let mut stdout = BufWriter::new(Waits(io::stdout().lock()));
    let mut lines = Lines { json: String::new(), count: 0, limit: args.limit, undecodable: 0, unknown: 0 };
    let ledger = input.frames.ledger();
    let mut gaps = Gaps { ledger: ledger.clone().filter(|_| wanted.gaps), next: 0 };
    while !lines.is_full() && !interrupt.seen() && until.is_none_or(|until| Instant::now() < until) {
        lines.json.clear();
        let read = input.frames.visit(BATCH, WAIT, |frame, arrival| {
            // What was missed before this frame stands before it.
            gaps.write(&mut lines);
            lines.frame(frame, wanted, |seq, reason| {
                if let Some(ledger) = &ledger {
                    ledger.enter(arrival, Cause::Quarantined { seq, reason });
                }
            });
        });
        gaps.write(&mut lines);
        if closed(stdout.write_all(lines.json.as_bytes()).and_then(|()| stdout.flush()))? {
            return Ok(());
        }
        status.update(&lines.counted(&input), lines.count);
        if read.inspect_err(|_| status.broke_off())? == Batch::Ended {
            break;
        }
    }
    let met = lines.counted(&input);
    status.finish(&met, lines.count);
    interrupt.end()?;
    if until.is_some_and(|until| until <= Instant::now()) { reached(&met) } else { Ok(()) }
}

/// Whether the reader went away.
fn closed(written: io::Result<()>) -> Result<bool, Failure> {
    match written {
        Ok(()) => Ok(false),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(true),
        Err(error) => Err(Failure::new(DATA, format!("cannot write to stdout: {error}"))),
    }
}

/// The lines of a batch, and how many there have been.
struct Lines {
    json: String,
    count: usize,
    limit: Option<usize>,
    undecodable: u64,
    unknown: u64,
}

impl Lines {
    fn is_full(&self) -> bool {
        self.limit.is_some_and(|limit| self.count >= limit)
    }

    /// What was read, with what has no line, whatever is wanted.
    fn counted(&self, input: &Input) -> Status {
        let mut status = input.frames.status();
        // A connection counts unknown kinds itself.
        let unknown = if input.frames.is_live() { 0 } else { self.unknown };
        for (reason, count) in [("undecodable", self.undecodable), (UNKNOWN, unknown)] {
            if count > 0 {
                *status.dropped.entry(reason).or_default() += count;
            }
        }
        status
    }

    /// Adds the wanted events of a frame, in order.
    fn frame(&mut self, bytes: &[u8], wanted: &Wanted<'_>, refused: impl FnOnce(Option<u64>, String)) {
        if self.is_full() {
            return;
        }
        let before = self.json.len();
        let peek = frame::peek(bytes);
        self.unknown += u64::from(peek.as_ref().is_ok_and(|peek| peek.kind == Kind::Unknown));
        let time_us = peek.as_ref().ok().and_then(|peek| peek.time).unwrap_or_default() / 1000;
        let written = Frame::parse(bytes).and_then(|frame| {
            jetstream::write_events(&frame, time_us, |subject| wanted.takes(subject), &mut self.json)
        });
        match written {
            Ok(events) => self.count += events,
            Err(error) => {
                self.undecodable += 1;
                refused(peek.ok().and_then(|peek| peek.seq), error.to_string());
            }
        }
        if let Some(over) = self.limit.and_then(|limit| self.count.checked_sub(limit)) {
            self.cut(before, over);
        }
    }

    fn line(&mut self, line: &serde_json::Value) {
        if !self.is_full() {
            self.json.push_str(&line.to_string());
            self.json.push('\n');
            self.count += 1;
        }
    }

    /// Takes the last `over` lines after `before` away.
    fn cut(&mut self, before: usize, over: usize) {
        for _ in 0..over {
            let body = self.json[before..].strip_suffix('\n').unwrap_or_default();
            self.json.truncate(before + body.rfind('\n').map_or(0, |line| line + 1));
        }
        self.count -= over;
    }
}

/// The entries of the ledger that are printed, as they come.
struct Gaps {
    ledger: Option<Ledger>,
    next: u64,
}

impl Gaps {
    fn write(&mut self, lines: &mut Lines) {
        let Some(ledger) = self.ledger.as_ref().filter(|ledger| ledger.len() > self.next) else { return };
        for gap in ledger.since(self.next) {
            self.next = gap.number + 1;
            lines.line(&line(&gap));
        }
    }
}

/// A gap as a line: when it was found, what happened in a word, its particulars, and all of it in a sentence.
fn line(gap: &Gap) -> serde_json::Value {
    let mut what = serde_json::Map::new();
    what.insert("cause".to_owned(), gap.cause.name().into());
    let particulars = match &gap.cause {
        Cause::Reconnected { asked, first, why } => json!({ "asked": asked, "first": first, "why": why }),
        Cause::OutdatedCursor { asked, message } => json!({ "asked": asked, "message": message }),
        Cause::Restarted { last, first } => json!({ "last": last, "first": first }),
        Cause::TimeJump { seq, from, to } => {
            json!({ "seq": seq, "from_us": from / 1000, "to_us": to / 1000 })
        }
        Cause::Quarantined { seq, reason } => json!({ "seq": seq, "reason": reason }),
        Cause::Oversized { seq, size } => json!({ "seq": seq, "size": size }),
        Cause::ChainBreak { seq, did, since, last } => {
            json!({ "seq": seq, "did": did, "since": since, "last": last })
        }
        Cause::Overflowed { frames, first, last } => {
            json!({ "frames": frames, "first": first, "last": last })
        }
        _ => json!({}),
    };
    if let serde_json::Value::Object(particulars) = particulars {
        what.extend(particulars);
    }
    what.insert("text".to_owned(), gap.cause.to_string().into());
    json!({ "time_us": gap.at / 1000, "kind": "gap", "gap": what })
}

/// What the user asked for.
struct Wanted<'a> {
    kinds: &'a [KindArg],
    collections: &'a [String],
    dids: &'a [String],
    values: &'a [String],
    gaps: bool,
}

/// The accounts, if each is one.
fn dids(dids: &[String]) -> Result<&[String], Failure> {
    for did in dids {
        did.parse::<skytide_atproto::syntax::Did>()
            .map_err(|error| Failure::new(USAGE, format!("--dids {did:?}: {error}")))?;
    }
    Ok(dids)
}

/// The collections, if each is one, or what some begin with.
fn collections(collections: &[String]) -> Result<&[String], Failure> {
    for collection in collections {
        let refused = |reason: String| {
            let message = format!("--collections {collection:?}: {reason}");
            Err(Failure::new(USAGE, message).hint("as in app.bsky.feed.post or app.bsky.feed.*"))
        };
        match collection.strip_suffix('*') {
            Some(begins)
                if begins.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte)) => {}
            Some(_) => return refused("no collection begins so".to_owned()),
            None => {
                if let Err(error) = collection.parse::<skytide_atproto::syntax::Nsid>() {
                    return refused(error.to_string());
                }
            }
        }
    }
    Ok(collections)
}

impl Wanted<'_> {
    fn takes(&self, subject: &Subject<'_>) -> bool {
        let kind = match subject.kind {
            Kind::Commit => Some(KindArg::Commit),
            Kind::Identity => Some(KindArg::Identity),
            Kind::Account => Some(KindArg::Account),
            Kind::Sync => Some(KindArg::Sync),
            Kind::Info => Some(KindArg::Info),
            Kind::Labels => Some(KindArg::Label),
            Kind::Handle => Some(KindArg::Handle),
            Kind::Migrate => Some(KindArg::Migrate),
            Kind::Tombstone => Some(KindArg::Tombstone),
            Kind::Error => Some(KindArg::Error),
            Kind::Unknown => None,
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
            && (self.values.is_empty()
                || self.values.iter().any(|value| Some(value.as_str()) == subject.value))
    }
}

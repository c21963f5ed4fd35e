//! The client: one life of it, from its saved cursor until it is told to end, or killed.

use std::io::Read as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use skytide_firehose::{Backoff, Batch, Cursor, Finish, Frame, Handle, Subscription};

use crate::log::{Line, Log};
use crate::sink::{Sink, load_cursor, save_cursor};
use crate::source::sum;

/// So many frames are written together, at most.
const TOGETHER: usize = 512;

/// How long the sink takes over some events, so that kills find it at work.
const PAUSE: Duration = Duration::from_millis(20);

/// What a life is told.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    /// The relay.
    pub(crate) url: String,
    /// Where its files are.
    pub(crate) folder: PathBuf,
    /// Which life it is, from 1.
    pub(crate) life: u64,
    /// Whether chains are checked.
    pub(crate) chains: bool,
    /// The sink pauses before each event whose number this divides; at least 1.
    pub(crate) pause_every: u64,
}

/// Lives until its input ends.
pub(crate) fn run(order: &str) -> Result<(), String> {
    let order: Order = serde_json::from_str(order).map_err(|error| format!("the order: {error}"))?;
    let folder = &*order.folder;
    let saved = load_cursor(folder)?;
    let log = Arc::new(Log::create(folder, order.life)?);
    let observer = Arc::clone(&log);
    // Connections are soon lost here, and the time is better spent on events.
    let backoff = Backoff::default()
        .first(Duration::from_millis(2))
        .cap(Duration::from_millis(100))
        .healthy_after(Duration::from_millis(20));
    let mut subscription = Subscription::repos(&order.url)
        .cursor(saved.map_or(Cursor::Oldest, Cursor::Seq))
        .finish(Finish::Told)
        .check_chains(order.chains)
        .dial_timeout(Duration::from_secs(1))
        // A server that says nothing more is found out by a ping in one life, by the silence in the next.
        .ping(order.life.is_multiple_of(2).then_some(Duration::from_millis(600)))
        .receive_timeout(Duration::from_millis(1500))
        .backoff(backoff)
        .observe(move |event| observer.event(event))
        .blocking()
        .map_err(|error| error.to_string())?;
    let handle = subscription.handle();
    log.follow(handle.ledger());
    let stopper = handle.clone();
    thread::spawn(move || {
        // The input is empty: what comes is its end, with the one that holds its other side or by it.
        let _read = std::io::stdin().read_to_end(&mut Vec::new());
        stopper.stop();
    });
    let mut keeper = Keeper { sink: Sink::open(folder)?, last: saved.unwrap_or_default(), saved };
    let mut batch = Vec::new();
    loop {
        batch.clear();
        let received = subscription.next_batch_within(&mut batch, TOGETHER, Duration::from_millis(100));
        keeper.keep(&batch, &order, &handle, &log)?;
        log.gaps()?;
        if received.map_err(|error| error.to_string())? == Batch::Ended {
            log.line(&Line::Ended { repeated: handle.counters().repeated });
            return log.gaps();
        }
    }
}

/// Writes events, and only then moves the cursor.
struct Keeper {
    sink: Sink,
    /// Number of the last event.
    last: u64,
    saved: Option<u64>,
}

impl Keeper {
    fn keep(&mut self, batch: &[Frame], order: &Order, handle: &Handle, log: &Log) -> Result<(), String> {
        let mut run = Run::default();
        for frame in batch {
            let Some(seq) = frame.seq else { continue };
            let expected = self.last + 1;
            let pauses = seq.is_multiple_of(order.pause_every.max(1));
            if seq != expected || pauses {
                self.write(&mut run)?;
            }
            if seq != expected {
                log.line(&Line::Jumped { expected, got: seq });
            }
            if pauses {
                thread::sleep(PAUSE);
            }
            run.add(seq, sum(&frame.bytes));
            self.last = seq;
        }
        self.write(&mut run)?;
        batch.iter().filter_map(|frame| frame.seq).for_each(|seq| handle.finish(seq));
        let mark = handle.cursor();
        if mark != self.saved {
            mark.map_or(Ok(()), |mark| save_cursor(&order.folder, mark))?;
            self.saved = mark;
        }
        Ok(())
    }

    fn write(&mut self, run: &mut Run) -> Result<(), String> {
        if !run.sums.is_empty() {
            self.sink.write(run.first, &run.sums)?;
            run.sums.clear();
        }
        Ok(())
    }
}

/// Sums of consecutive events.
#[derive(Default)]
struct Run {
    first: u64,
    sums: Vec<u64>,
}

impl Run {
    fn add(&mut self, seq: u64, sum: u64) {
        if self.sums.is_empty() {
            self.first = seq;
        }
        self.sums.push(sum);
    }
}

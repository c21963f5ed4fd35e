//! The run: a relay, and one life of the client after another, killed at moments drawn from the seed.

use std::collections::VecDeque;
use std::env;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::PoisonError;
use std::thread;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use skytide_sim::{FaultRates, Fired, Relay, RelayCounters, RelayHandle};

use crate::client::Order;
use crate::log::{self, Line};
use crate::memory::{self, Memory};
use crate::sink::{self, load_cursor};
use crate::{faults, source};

/// With fewer events not every fault finds its place.
pub(crate) const FEWEST: u64 = 2_000;

/// One kill for so many events, and at least [`KILLS`].
const EVENTS_A_KILL: u64 = 30_000;
const KILLS: u64 = 10;

/// A blind kill comes so long after its event at the most.
const LATEST: Duration = Duration::from_millis(150);

/// A client that is not found at work for so long is killed all the same.
const LOST: Duration = Duration::from_secs(2);

/// Frames that the relay keeps: more than all buffers between it and the client hold.
const WINDOW: u64 = 20_000;

/// How often the client is looked at.
const LOOK: Duration = Duration::from_millis(5);

/// If the cursor has not moved for so long, it never will.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is to be run.
#[derive(Debug)]
pub(crate) struct Plan {
    /// Events of the stream, numbered from 1.
    pub(crate) events: u64,
    /// Where chance comes from: what the network does, which faults fire, when the client is killed.
    pub(crate) seed: u64,
    /// Faults beyond those of every soak.
    pub(crate) more: FaultRates,
}

/// What was seen of a run.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) events: u64,
    pub(crate) lives: Vec<Life>,
    /// Sums of the frames as they were made, that of number 1 first.
    pub(crate) made: Vec<u64>,
    /// Sums in the sink; 0 where none was written.
    pub(crate) sink: Vec<u64>,
    /// Every fault, in order; the oldest are missing if there were too many.
    pub(crate) fired: Vec<Fired>,
    /// How many faults there were.
    pub(crate) faults: u64,
    pub(crate) relay: RelayCounters,
    pub(crate) took: Duration,
    /// Why it ended before its end.
    pub(crate) cut_short: Option<String>,
}

/// One life of the client.
#[derive(Debug, Default)]
pub(crate) struct Life {
    /// Where it began; none is the beginning of the stream.
    pub(crate) began: Option<u64>,
    pub(crate) lines: Vec<Line>,
    /// Events that it had written and not saved when it ended: the next life writes them again.
    pub(crate) unsaved: u64,
    /// Its memory when the cursor was there, as it was looked at.
    pub(crate) memory: Vec<(u64, Memory)>,
    /// If it was killed: how many connections the relay had counted by then.
    pub(crate) killed: Option<u64>,
}

/// Runs until the cursor has reached the end, or will not.
pub(crate) fn run(plan: &Plan, folder: &Path) -> Result<Run, String> {
    let begun = Instant::now();
    let (source, sums) = source::Summed::of_network(plan.seed, plan.events);
    let relay = Relay::from_source(source)
        .total(plan.events)
        .window(WINDOW)
        .faults(faults::all(plan.seed, plan.events, &plan.more))
        .start("127.0.0.1:0")
        .map_err(|error| format!("the relay: {error}"))?;
    let mut chance = StdRng::seed_from_u64(plan.seed);
    let mut kills = kills(plan.events, &mut chance);
    let mut lives = Vec::new();
    let mut cut_short = None;
    loop {
        let order = Order {
            url: relay.url(),
            folder: folder.to_owned(),
            life: lives.len() as u64 + 1,
            chains: !source::repeats(plan.events),
            pause_every: (plan.events / 1_000).max(250),
        };
        let (life, ended) = live(&order, kills.pop_front(), plan.events, &relay)?;
        lives.push(life);
        match ended {
            Ended::Killed => {}
            Ended::Whole => break,
            Ended::Short(why) => {
                cut_short = Some(format!("life {} of the client: {why}", lives.len()));
                break;
            }
        }
    }
    let made = sums.lock().unwrap_or_else(PoisonError::into_inner).clone();
    Ok(Run {
        events: plan.events,
        lives,
        made,
        sink: sink::read_sink(folder)?,
        fired: relay.fired(),
        faults: relay.fault_counts().values().sum(),
        relay: relay.counters(),
        took: begun.elapsed(),
        cut_short,
    })
}

/// When to kill: not before the cursor has come so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Kill {
    after: u64,
    aim: Aim,
}

/// When exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Aim {
    /// So long after, whatever the client is doing then.
    Blind(Duration),
    /// When the sink and the cursor differ: between the writing of the one and of the other.
    AtWork,
}

/// Kills in the first three quarters of the stream, in order; the last life lasts for the rest.
fn kills(events: u64, chance: &mut StdRng) -> VecDeque<Kill> {
    let kills = (events / EVENTS_A_KILL).max(KILLS);
    let mut kills: Vec<Kill> = (0..kills)
        .map(|number| Kill {
            after: chance.random_range(0..events * 3 / 4),
            aim: if number % 2 == 0 { Aim::AtWork } else { Aim::Blind(LATEST.mul_f64(chance.random())) },
        })
        .collect();
    kills.sort_unstable();
    kills.into()
}

impl Aim {
    /// Waits for the moment.
    fn wait(self, folder: &Path) -> Result<(), String> {
        match self {
            Self::Blind(wait) => thread::sleep(wait),
            Self::AtWork => {
                let begun = Instant::now();
                while load_cursor(folder)?.unwrap_or_default() == sink::slots(folder)?
                    && begun.elapsed() < LOST
                {
                    thread::sleep(Duration::from_millis(1));
                }
            }
        }
        Ok(())
    }
}

enum Ended {
    Killed,
    Whole,
    Short(String),
}

/// One life, until it is to be killed or the cursor has reached the end.
fn live(
    order: &Order,
    kill: Option<Kill>,
    events: u64,
    relay: &RelayHandle,
) -> Result<(Life, Ended), String> {
    let folder = &*order.folder;
    let mut life = Life { began: load_cursor(folder)?, ..Life::default() };
    let mut process = Process::start(order)?;
    let (mut at, mut moved) = (life.began, Instant::now());
    let ended = loop {
        let now = load_cursor(folder)?;
        if now != at {
            (at, moved) = (now, Instant::now());
        }
        let reached = at.unwrap_or_default();
        if let Some(memory) = memory::of_process(process.0.id()) {
            match life.memory.last_mut() {
                Some((last, kept)) if *last == reached => *kept = memory,
                _ => life.memory.push((reached, memory)),
            }
        }
        if let Some(status) = process.0.try_wait().map_err(|error| format!("the client: {error}"))? {
            break Ended::Short(format!("ended by itself, {status}"));
        }
        if let Some(kill) = kill.filter(|kill| reached >= kill.after) {
            kill.aim.wait(folder)?;
            process.kill();
            let counted = relay.counters();
            life.killed = Some(counted.connections + counted.refused);
            break Ended::Killed;
        }
        if reached >= events {
            break process.end().map_or_else(Ended::Short, |()| Ended::Whole);
        }
        if moved.elapsed() > PATIENCE {
            break Ended::Short(format!("nothing new after {reached} for {PATIENCE:?}"));
        }
        thread::sleep(LOOK);
    };
    drop(process);
    life.lines = log::read(folder, order.life)?;
    life.unsaved = sink::slots(folder)?.saturating_sub(load_cursor(folder)?.unwrap_or_default());
    Ok((life, ended))
}

/// The client's process. It does not outlive this.
struct Process(Child);

impl Process {
    fn start(order: &Order) -> Result<Self, String> {
        let program = env::current_exe().map_err(|error| format!("this program: {error}"))?;
        let order = serde_json::to_string(order).map_err(|error| format!("the order: {error}"))?;
        let child = Command::new(program).args(["client", &order]).stdin(Stdio::piped()).spawn();
        Ok(Self(child.map_err(|error| format!("the client: {error}"))?))
    }

    /// Kills it: on Unix by SIGKILL.
    fn kill(&mut self) {
        // The one error is that it has ended before.
        let _killed = self.0.kill();
        let _waited = self.0.wait();
    }

    /// Tells it to end, and waits until it has.
    fn end(&mut self) -> Result<(), String> {
        drop(self.0.stdin.take());
        let told = Instant::now();
        while told.elapsed() < PATIENCE {
            match self.0.try_wait() {
                Ok(Some(status)) if status.success() => return Ok(()),
                Ok(Some(status)) => return Err(format!("ended, told to, with {status}")),
                Ok(None) => thread::sleep(LOOK),
                Err(error) => return Err(error.to_string()),
            }
        }
        Err("does not end when it is told to".to_owned())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

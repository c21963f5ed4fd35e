//! The soak: proves that the client of event streams loses nothing. `soak [EVENTS]` serves so many events
//! from a relay that shows every fault, to a client process that is killed again and again and begins each
//! time at its saved cursor.
//!
//! Relay and judge live in one process, the client in another, the same program called as `soak client`: only
//! a process can be killed as programs are killed. What the client leaves behind are files (a sink, a cursor,
//! a log of each life), and from these and from what the relay recorded the judge says what is missing or
//! unexplained.
//!
//! `--faults RATES` adds faults by their text form. `--faults "gap=500000"` loses frames on purpose, to see
//! it noticed.

mod client;
mod driver;
mod faults;
mod judge;
mod log;
mod memory;
mod report;
mod sink;
mod source;

use std::env;
use std::process::ExitCode;

use skytide_sim::FaultRates;

/// Events where no number is given.
const EVENTS: u64 = 2_000_000;

const USAGE: &str = "usage: soak [EVENTS] [--seed N] [--faults RATES]";

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    let done = match args.split_first() {
        Some((first, [order])) if first == "client" => client::run(order),
        _ => soak(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            complain(&why);
            ExitCode::FAILURE
        }
    }
}

/// Runs and judges; the error is everything that is wrong.
fn soak(args: &[String]) -> Result<(), String> {
    let mut plan = driver::Plan { events: EVENTS, seed: 1, more: FaultRates::default() };
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or_else(|| format!("{arg} what? {USAGE}"));
        match arg.as_str() {
            "--seed" => plan.seed = number(value()?)?,
            "--faults" => plan.more = value()?.parse().map_err(|error| format!("--faults: {error}"))?,
            events => plan.events = number(events)?,
        }
    }
    if plan.events < driver::FEWEST {
        return Err(format!("at least {} events", driver::FEWEST));
    }
    let folder = tempfile::Builder::new()
        .prefix("skytide-soak-")
        .tempdir()
        .map_err(|error| format!("cannot make a folder: {error}"))?;
    let run = driver::run(&plan, folder.path())?;
    say(&report::table(&run));
    let complaints = judge::judge(&run);
    if complaints.is_empty() {
        return Ok(());
    }
    let kept = folder.keep();
    Err(format!("{}\nthe client's files are in {}", complaints.join("\n"), kept.display()))
}

fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("{text:?} is not a number; {USAGE}"))
}

#[allow(clippy::print_stdout, reason = "a program that prints what it found")]
fn say(text: &str) {
    print!("{text}");
}

#[allow(clippy::print_stderr, reason = "a program that says why it failed")]
fn complain(text: &str) {
    eprintln!("soak: {text}");
}

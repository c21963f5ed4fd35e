//! `skytide sim`: a simulated network, or a recording, served to any client.

use std::fmt::Display;

use bytes::Bytes;
use skytide_connect::run::WAIT;
use skytide_firehose::recording::Recording;
use skytide_sim::{
    Beginning, Config, CursorRule, FaultSyntaxError, Faults, Network, OddError, Relay, SUBSCRIBE_LABELS,
    Script, ScriptError,
};

use super::args::SimArgs;
use super::failure::{Failure, SOURCE, USAGE};
use super::input::{dictionary, labeler, pacing};
use super::interrupt::Interrupt;
use super::status::say;

pub(crate) fn sim(args: &SimArgs) -> Result<(), Failure> {
    let faults = faults(args)?;
    let network = network(args)?;
    let interrupt = Interrupt::listen()?;
    let relay = match &args.replay {
        None => {
            let labeler = labeler(Config { seed: args.seed, accounts: args.accounts, ..Config::default() });
            let relay =
                Relay::new(network).also(SUBSCRIBE_LABELS, labeler).jetstream().pacing(pacing(args.rate));
            match &args.dictionary {
                None => relay,
                Some(path) => relay.dictionary(dictionary(path)?),
            }
        }
        Some(path) => Relay::repeating(frames(path)?, pacing(args.rate)),
    };
    let mut relay = relay.faults(faults);
    if let Some(events) = args.events {
        relay = relay.total(events);
    }
    if args.exclusive {
        relay = relay.cursor_rule(CursorRule::Exclusive);
    }
    // A network of its own: events happen whoever listens.
    let relay = relay
        .beginning(Beginning::AtOnce)
        .start(args.listen.as_str())
        .map_err(|error| Failure::new(SOURCE, format!("--listen {}: {error}", args.listen)))?;
    if !args.status.quiet {
        say(&format!("serving {} until interrupted\n", relay.url()));
    }
    while !interrupt.seen() {
        std::thread::sleep(WAIT);
    }
    if !args.status.quiet {
        for (fault, times) in relay.fault_counts() {
            say(&format!("{fault}: {times}\n"));
        }
    }
    relay.stop();
    Ok(())
}

/// The network, with what happens rarely.
fn network(args: &SimArgs) -> Result<Network, Failure> {
    let mut config = Config { seed: args.seed, accounts: args.accounts, ..Config::default() };
    let mut script = Script::default();
    for text in &args.acts {
        let failed = |error: &dyn Display| Failure::new(USAGE, format!("--acts {text}: {error}"));
        match text.strip_prefix('@') {
            Some(file) => {
                script = read(file, "--acts")?.parse().map_err(|error: ScriptError| failed(&error))?;
            }
            None => config.odd = text.parse().map_err(|error: OddError| failed(&error))?,
        }
    }
    Ok(Network::new(config).script(script))
}

/// What goes wrong on the wire.
fn faults(args: &SimArgs) -> Result<Faults, Failure> {
    let mut faults = Faults::new(args.seed);
    for text in &args.faults {
        let failed = |error: FaultSyntaxError| Failure::new(USAGE, format!("--faults {text}: {error}"));
        faults = match text.strip_prefix('@') {
            Some(file) => faults.script(read(file, "--faults")?.parse().map_err(failed)?),
            None => faults.rates(text.parse().map_err(failed)?),
        };
    }
    Ok(faults)
}

fn read(file: &str, flag: &str) -> Result<String, Failure> {
    std::fs::read_to_string(file).map_err(|error| Failure::new(USAGE, format!("{flag} @{file}: {error}")))
}

/// All frames of a recording.
pub(crate) fn frames(path: &std::path::Path) -> Result<Vec<Bytes>, Failure> {
    let failed = |error: skytide_firehose::recording::RecordingError| Failure::new(SOURCE, error.to_string());
    let mut recording = Recording::open(path).map_err(failed)?;
    let mut frames = Vec::new();
    while recording.next_batch(&mut frames, 4096).map_err(failed)? > 0 {}
    Ok(frames)
}

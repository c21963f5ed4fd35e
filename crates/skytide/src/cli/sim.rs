//! `skytide sim`: a simulated network, or a recording, served to any client.

use bytes::Bytes;
use skytide_connect::run::WAIT;
use skytide_firehose::recording::Recording;
use skytide_sim::{Beginning, Config, CursorRule, Network, Relay};

use super::args::SimArgs;
use super::failure::{Failure, SOURCE, USAGE};
use super::input::pacing;
use super::interrupt::Interrupt;
use super::status::say;

pub(crate) fn sim(args: &SimArgs) -> Result<(), Failure> {
    if !args.rate.is_finite() || args.rate < 0.0 {
        return Err(Failure::new(USAGE, format!("--rate {}: a number of events a second, or 0", args.rate)));
    }
    let interrupt = Interrupt::listen()?;
    let mut relay = match &args.replay {
        None => {
            let network = Config { seed: args.seed, accounts: args.accounts, ..Config::default() };
            Relay::new(Network::new(network)).pacing(pacing(args.rate))
        }
        Some(path) => Relay::repeating(frames(path)?, pacing(args.rate)),
    };
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
    relay.stop();
    Ok(())
}

/// All frames of a recording.
pub(crate) fn frames(path: &std::path::Path) -> Result<Vec<Bytes>, Failure> {
    let failed = |error: skytide_firehose::recording::RecordingError| Failure::new(SOURCE, error.to_string());
    let mut recording = Recording::open(path).map_err(failed)?;
    let mut frames = Vec::new();
    while recording.next_batch(&mut frames, 4096).map_err(failed)? > 0 {}
    Ok(frames)
}

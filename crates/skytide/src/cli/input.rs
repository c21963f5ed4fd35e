//! Opens what `--from` names.

use skytide_connect::frames::Frames;
use skytide_firehose::recording::Recording;
use skytide_firehose::{Cursor, Subscription};
use skytide_sim::{Config, Network, Pacing, Relay, RelayHandle};

use super::args::{CursorArg, FromArgs};
use super::failure::{Failure, SOURCE, USAGE};
use super::location::{Location, SimLocation};

/// So often is an address tried that has never answered. One that has is sought for ever: a watch outlives a relay's restart.
const FIRST_ATTEMPTS: u32 = 3;

/// An opened source. The simulated network lives as long as this does.
pub(crate) struct Input {
    pub(crate) frames: Frames,
    /// Whether it is a network whose clock is the world's.
    pub(crate) is_real_time: bool,
    _relay: Option<RelayHandle>,
}

impl Input {
    /// Opens it: starts the simulated network, or makes ready to dial, or opens the file.
    pub(crate) fn open(from: &FromArgs) -> Result<Self, Failure> {
        match &from.location {
            Location::Sim(sim) => {
                let relay = start(sim)?;
                // It begins with its first client: nothing is missed without a cursor.
                let frames = socket(&relay.url(), cursor(from.cursor))?.until(sim.events);
                Ok(Self { frames, is_real_time: false, _relay: Some(relay) })
            }
            Location::Socket(url) => {
                let frames = socket(url, cursor(from.cursor))?;
                Ok(Self { frames, is_real_time: true, _relay: None })
            }
            Location::File(path) => {
                let mut recording =
                    Recording::open(path).map_err(|error| not_readable(&error.to_string()))?;
                if let CursorArg::Seq(seq) = from.cursor
                    && !recording.seek_seq(seq).map_err(|error| not_readable(&error.to_string()))?
                {
                    let path = path.display();
                    return Err(Failure::new(SOURCE, format!("{path}: no frame is numbered {seq} or above")));
                }
                Ok(Self { frames: Frames::recording(recording), is_real_time: false, _relay: None })
            }
        }
    }
}

fn not_readable(why: &str) -> Failure {
    Failure::new(SOURCE, why).hint("a source is sim, wss://HOST, ws://HOST:PORT or a recording's file")
}

fn cursor(cursor: CursorArg) -> Cursor {
    match cursor {
        CursorArg::Live => Cursor::Live,
        CursorArg::Oldest => Cursor::Oldest,
        CursorArg::Seq(seq) => Cursor::Seq(seq),
    }
}

fn socket(url: &str, cursor: Cursor) -> Result<Frames, Failure> {
    let subscription = Subscription::repos(url)
        .cursor(cursor)
        .first_attempts(FIRST_ATTEMPTS)
        .blocking()
        .map_err(|error| Failure::new(USAGE, format!("--from {url}: {error}")))?;
    Ok(Frames::socket(subscription))
}

/// A simulated network on a port of its own.
fn start(sim: &SimLocation) -> Result<RelayHandle, Failure> {
    let network = Network::new(Config { seed: sim.seed, accounts: sim.accounts, ..Config::default() });
    let mut relay = Relay::new(network).pacing(pacing(sim.rate));
    if let Some(events) = sim.events {
        relay = relay.total(events);
    }
    relay
        .start("127.0.0.1:0")
        .map_err(|error| Failure::new(SOURCE, format!("the simulated network does not start: {error}")))
}

/// So many events a second; 0: as fast as they are read.
pub(crate) fn pacing(rate: f64) -> Pacing {
    if rate > 0.0 { Pacing::Rate(rate) } else { Pacing::AsRead }
}

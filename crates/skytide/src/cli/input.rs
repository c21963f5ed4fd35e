//! Opens what `--from` names.

use std::path::Path;

use skytide_connect::frames::Frames;
use skytide_connect::network::Wish;
use skytide_firehose::recording::Recording;
use skytide_firehose::{Cursor, Service};
use skytide_sim::{Config, Labeler, LabelerConfig, Network, Pacing, Relay, RelayHandle, SUBSCRIBE_LABELS};

use super::args::{CursorArg, FromArgs};
use super::failure::{Failure, SOURCE, USAGE};
use super::location::{Location, SimLocation};

/// An opened source. The simulated network lives as long as this does.
pub(crate) struct Input {
    pub(crate) frames: Frames,
    /// Whether it is a network whose clock is the world's.
    pub(crate) is_real_time: bool,
    _relay: Option<RelayHandle>,
}

impl Input {
    /// Opens it: starts the simulated network, or makes ready to dial, or opens the file.
    pub(crate) fn open(from: &FromArgs, wish: &Wish) -> Result<Self, Failure> {
        match &from.location {
            Location::Sim(sim) => {
                let relay = start(sim, wish.service)?;
                // It begins with its first client: nothing is missed without a cursor.
                let frames = socket(&relay.url(), from, wish)?.until(sim.events);
                Ok(Self { frames, is_real_time: false, _relay: Some(relay) })
            }
            Location::Socket(url) => {
                Ok(Self { frames: socket(url, from, wish)?, is_real_time: true, _relay: None })
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

fn socket(url: &str, from: &FromArgs, wish: &Wish) -> Result<Frames, Failure> {
    let (service, mut builder) = wish.subscribe(url);
    if let Some(path) = &from.dictionary {
        if service != Service::Jetstream {
            return Err(Failure::new(USAGE, format!("--dictionary: {url} is no Jetstream"))
                .hint("a Jetstream's address ends in /subscribe"));
        }
        builder = builder.dictionary(dictionary(path)?);
    }
    let subscription = builder
        .cursor(cursor(from.cursor))
        .check_chains(from.chains)
        .blocking()
        .map_err(|error| Failure::new(USAGE, format!("--from {url}: {error}")))?;
    Ok(Frames::socket(subscription))
}

/// A zstd dictionary for a Jetstream's events.
pub(crate) fn dictionary(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path)
        .map_err(|error| Failure::new(USAGE, format!("--dictionary {}: {error}", path.display())))
}

/// A simulated network, or its labeler, on a port of its own.
fn start(sim: &SimLocation, service: Option<Service>) -> Result<RelayHandle, Failure> {
    let network = Config { seed: sim.seed, accounts: sim.accounts, ..Config::default() };
    let relay = match service {
        Some(Service::Labels) => Relay::serving(SUBSCRIBE_LABELS, labeler(network)),
        _ => Relay::new(Network::new(network)),
    };
    let mut relay = relay.pacing(pacing(sim.rate));
    if let Some(events) = sim.events {
        relay = relay.total(events);
    }
    relay
        .start("127.0.0.1:0")
        .map_err(|error| Failure::new(SOURCE, format!("the simulated network does not start: {error}")))
}

/// The labeler of a simulated network.
pub(crate) fn labeler(network: Config) -> Labeler {
    Labeler::new(LabelerConfig { network, ..LabelerConfig::default() })
}

/// So many events a second; 0: as fast as they are read.
pub(crate) fn pacing(rate: f64) -> Pacing {
    if rate > 0.0 { Pacing::Rate(rate) } else { Pacing::AsRead }
}

//! A simulated AT Protocol network: from a seed, real signed bytes, the same every time, served by a relay.
//!
//! [`Network`] holds accounts with signing keys and repositories that act on a logical clock and gives the
//! frames a relay sends of it: every commit is signed, its blocks hash to their CIDs, and its tree proves
//! what it says. [`Relay`] serves a network, or frames from elsewhere, over WebSocket. Programs try
//! themselves out on it without the real network; nothing in the library needs it.
//!
//! What real streams hold but rarely, an [`Act`] each, comes by rates ([`Odd`]) or by a [`Script`], and an
//! [`ActLog`] tells what was done. A [`Labeler`] labels what a network writes.
//!
//! ```
//! use skytide_sim::{Config, Network};
//!
//! let mut network = Network::new(Config::default());
//! let frame = network.next_frame();
//! assert_eq!(frame, Network::new(Config::default()).next_frame());
//! ```

mod account;
mod content;
mod frames;
mod keys;
mod labeler;
mod network;
mod past;
mod relay;
mod repo;
mod rng;
mod time;

pub use account::Account;
pub use content::Mix;
pub use frames::{FrameSource, Replay, SimFrame};
pub use keys::Curve;
pub use labeler::{Labeler, LabelerConfig};
pub use network::{
    Absurd, Act, ActEntry, ActError, ActKind, ActLog, Config, Life, Network, Odd, OddError, Script,
    ScriptError,
};
pub use relay::{
    Beginning, ConnectFault, CursorRule, Ending, Fault, FaultKind, FaultName, FaultNameError, FaultRates,
    FaultScript, FaultSyntaxError, Faults, Fired, FiredAt, FrameFault, Pacing, Relay, RelayCounters,
    RelayError, RelayHandle, SUBSCRIBE_JETSTREAM, SUBSCRIBE_LABELS, SUBSCRIBE_REPOS,
};

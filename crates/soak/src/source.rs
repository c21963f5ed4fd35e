//! The stream that is served, and the sum of each frame as it is made: what the sink is held against.

use std::sync::{Arc, Mutex, PoisonError};

use skytide_sim::{Config, FrameSource, Network, Replay};

/// Frames that are really made; a longer stream repeats them, with rising numbers and times.
pub(crate) const LAP: u64 = 50_000;

/// Sums of frames, that of number 1 first.
pub(crate) type Sums = Arc<Mutex<Vec<u64>>>;

/// A source that keeps the sum of everything it gives.
pub(crate) struct Summed {
    source: Box<dyn FrameSource>,
    sums: Sums,
}

impl Summed {
    /// The stream of a soak of so many events, numbered from 1, and where its sums will be.
    pub(crate) fn of_network(seed: u64, events: u64) -> (Self, Sums) {
        let network = Network::new(Config { seed, ..Config::default() });
        let source: Box<dyn FrameSource> = if repeats(events) {
            let lap = usize::try_from(LAP).unwrap_or(usize::MAX);
            Box::new(Replay::repeating(network.take(lap).map(|frame| frame.bytes)))
        } else {
            Box::new(network)
        };
        let sums = Sums::default();
        (Self { source, sums: Arc::clone(&sums) }, sums)
    }
}

/// Whether a stream of so many events repeats frames. Then the chains of its repositories go back with each lap.
pub(crate) fn repeats(events: u64) -> bool {
    events > 2 * LAP
}

impl FrameSource for Summed {
    fn next_into(&mut self, out: &mut Vec<u8>) -> Option<Option<u64>> {
        let start = out.len();
        let seq = self.source.next_into(out)?;
        if seq.is_some() {
            let sum = sum(out.get(start..).unwrap_or_default());
            self.sums.lock().unwrap_or_else(PoisonError::into_inner).push(sum);
        }
        Some(seq)
    }
}

/// The sum of a frame, never 0.
pub(crate) fn sum(frame: &[u8]) -> u64 {
    twox_hash::XxHash3_64::oneshot(frame).max(1)
}

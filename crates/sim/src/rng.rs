//! Chance, the same on every machine: ChaCha8 and integer arithmetic only.
//!
//! Distributions of a library may change with its version and differ between word sizes; these few lines may
//! not, since the bytes of a whole network depend on them.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng};

/// A stream of chance, one for each seed and each use of it.
#[derive(Debug, Clone)]
pub(crate) struct Chance(ChaCha8Rng);

impl Chance {
    /// The stream number `stream` of `seed`: streams of one seed are independent of one another.
    pub(crate) fn new(seed: u64, stream: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(stream);
        Self(rng)
    }

    /// A number below `limit`, and 0 for 0. The bias is below one in 2^32 for the small limits used here.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        ((u128::from(self.0.next_u64()) * u128::from(limit)) >> 64) as u64
    }

    /// An index into something `len` long; 0 for an empty one.
    pub(crate) fn index(&mut self, len: usize) -> usize {
        self.below(len as u64) as usize
    }

    /// A number of nanoseconds from `least` to `most`, both included.
    pub(crate) fn between(&mut self, least: i64, most: i64) -> i64 {
        least + self.below((most - least).unsigned_abs() + 1).cast_signed()
    }

    /// True `per_mille` times in a thousand.
    pub(crate) fn one_in_a_thousand(&mut self, per_mille: u64) -> bool {
        self.below(1000) < per_mille
    }

    /// One of a list that is not empty.
    pub(crate) fn pick<'a, T>(&mut self, list: &'a [T]) -> Option<&'a T> {
        list.get(self.index(list.len()))
    }

    /// The place of a weight, by weight; the last for weights that are all zero.
    pub(crate) fn weighted(&mut self, weights: impl Iterator<Item = u64> + Clone) -> usize {
        let mut left = self.below(weights.clone().sum());
        let mut last = 0;
        for (place, weight) in weights.enumerate() {
            if left < weight {
                return place;
            }
            left -= weight;
            last = place;
        }
        last
    }

    /// `N` bytes.
    pub(crate) fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.0.fill_bytes(&mut bytes);
        bytes
    }

    /// Text of `len` characters of an alphabet.
    pub(crate) fn text(&mut self, alphabet: &[u8; 32], len: usize) -> String {
        (0..len).map(|_| char::from(alphabet[self.index(alphabet.len())])).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_repeat_and_differ() {
        let draw = |seed, stream| {
            let mut chance = Chance::new(seed, stream);
            [chance.below(1 << 40), chance.below(1 << 40)]
        };
        assert_eq!(draw(1, 0), draw(1, 0));
        assert_ne!(draw(1, 0), draw(1, 1));
        assert_ne!(draw(1, 0), draw(2, 0));
    }

    #[test]
    fn weights_are_kept_to() {
        let mut chance = Chance::new(7, 0);
        let mut seen = [0u32; 3];
        for _ in 0..10_000 {
            seen[chance.weighted([70u64, 0, 30].into_iter())] += 1;
        }
        assert_eq!(seen[1], 0);
        assert!((6_800..7_200).contains(&seen[0]), "{seen:?}");
    }

    #[test]
    fn nothing_to_choose_from_is_no_panic() {
        let mut chance = Chance::new(7, 0);
        assert_eq!(chance.below(0), 0);
        assert_eq!(chance.pick::<u8>(&[]), None);
        assert_eq!(chance.weighted([0u64, 0].into_iter()), 1);
    }
}

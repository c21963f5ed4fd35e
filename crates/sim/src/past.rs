//! What repositories held before the stream: a few trees, shared by all accounts.
//!
//! A frame's size comes from the depth of its repository. To give each of thousands of accounts records of
//! its own would cost seconds and gigabytes; a tree does not say whose it is, so accounts start from one of a
//! few, each made when first needed, and differ from their first commit on. The old records themselves exist
//! by their CIDs only.

use std::sync::Arc;

use skytide_atproto::cid::Cid;
use skytide_atproto::mst::Tree;
use skytide_atproto::syntax::Tid;

use crate::content::RecordType;
use crate::rng::Chance;

/// The records of a repository when the stream begins.
#[derive(Debug)]
pub(crate) struct Past {
    tree: Tree,
    entries: Vec<(Arc<str>, Cid)>,
    last: u64,
}

/// Records of each past, and how many accounts in a hundred have it.
const SIZES: [(usize, u64); 5] = [(120, 5), (2_000, 15), (8_000, 25), (24_000, 30), (60_000, 25)];

/// How long before the stream a past begins, in microseconds.
const TWO_YEARS: u64 = 2 * 365 * 86_400 * 1_000_000;

/// All pasts, each made when it is first asked for.
#[derive(Debug)]
pub(crate) struct Pasts {
    seed: u64,
    /// When the stream begins, microseconds.
    end: u64,
    made: [Option<Arc<Past>>; SIZES.len()],
}

impl Pasts {
    pub(crate) fn new(seed: u64, end: u64) -> Self {
        Self { seed, end, made: [const { None }; SIZES.len()] }
    }

    /// One of them, by how common its size is.
    pub(crate) fn some(&mut self, chance: &mut Chance) -> Arc<Past> {
        let which = chance.weighted(SIZES.iter().map(|(_, share)| *share));
        let made = &mut self.made[which];
        let (seed, end) = (self.seed, self.end);
        Arc::clone(made.get_or_insert_with(|| {
            // Streams of chance of their own, far from those of accounts.
            let chance = Chance::new(seed, u64::MAX - which as u64);
            Arc::new(Past::new(SIZES[which].0, end, chance))
        }))
    }
}

impl Past {
    fn new(size: usize, end: u64, mut chance: Chance) -> Self {
        const KINDS: [(RecordType, u64); 6] = [
            (RecordType::Like, 68),
            (RecordType::Post, 14),
            (RecordType::Repost, 9),
            (RecordType::Follow, 7),
            (RecordType::Block, 1),
            (RecordType::ListItem, 1),
        ];
        let some_cid = |chance: &mut Chance| Cid::for_dag_cbor(&chance.bytes::<16>());
        // Each record at some time in a stretch of its own: their keys rise, and none lies after the stream's
        // beginning.
        let begin = end.saturating_sub(TWO_YEARS);
        let step = ((end - begin) / size as u64).max(1);
        let mut last = begin;
        let clock_id = chance.below(1 << 10) as u16;
        let mut entries = Vec::with_capacity(size);
        for single in [RecordType::Profile, RecordType::Status] {
            entries.push((format!("{}/self", single.nsid()).into(), some_cid(&mut chance)));
        }
        for stretch in entries.len()..size {
            last = begin + stretch as u64 * step + chance.below(step);
            let kind = KINDS[chance.weighted(KINDS.iter().map(|(_, weight)| *weight))].0;
            if let Ok(tid) = Tid::from_micros(last, clock_id) {
                entries.push((format!("{}/{tid}", kind.nsid()).into(), some_cid(&mut chance)));
            }
        }
        // Every key is made of an NSID and a TID that rises: the tree takes them all.
        let tree = Tree::from_entries(entries.iter().cloned()).unwrap_or_default();
        Self { tree, entries, last }
    }

    pub(crate) fn tree(&self) -> &Tree {
        &self.tree
    }

    /// Microseconds of its newest TID.
    pub(crate) fn last(&self) -> u64 {
        self.last
    }

    pub(crate) fn root(&self) -> Cid {
        self.tree.root()
    }

    /// The path of some record, which the repository may have deleted since.
    pub(crate) fn some_path(&self, chance: &mut Chance) -> Option<&str> {
        chance.pick(&self.entries).map(|(path, _)| &**path)
    }

    /// Path and CID of its newest posts.
    pub(crate) fn newest_posts(&self) -> impl Iterator<Item = (&str, Cid)> {
        let posts = self.entries.iter().rev().filter(|(path, _)| path.starts_with(RecordType::Post.nsid()));
        posts.map(|(path, cid)| (&**path, *cid)).take(8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_past_is_over_when_the_stream_begins() {
        let end = 1_767_225_600_000_000;
        for (which, (size, _)) in SIZES.into_iter().take(3).enumerate() {
            for seed in 0..20 {
                let past = Past::new(size, end, Chance::new(seed, which as u64));
                assert_eq!(past.entries.len(), size);
                assert!(
                    past.last < end && past.last > end - 2 * (TWO_YEARS / size as u64),
                    "{size}, {seed}: {}",
                    past.last
                );
            }
        }
    }
}

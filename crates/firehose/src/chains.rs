//! The chain of each repository: whether a commit follows the last one that was seen of it.
//!
//! A relay that lost frames does not say so, and its numbers may have holes by rights: a commit that names
//! another revision before it than the last one seen is the only proof. Of each account 16 bytes are known, a
//! keyed hash of its DID and its last revision, which with the table's own room is never more than 40 bytes.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
};

use skytide_atproto::{message::Message, syntax::Tid};

use crate::Cause;

/// The last revision of each repository seen.
#[derive(Debug, Default)]
pub(crate) struct Chains {
    /// By hash of the DID. Hostile DIDs cannot be made to meet: the hash is keyed.
    last: HashMap<u64, Tid>,
    hasher: RandomState,
}

impl Chains {
    /// Takes in a message; gives the break, if it does not follow what was seen before. A first sight is
    /// accepted, and so is whatever comes after a break.
    pub(crate) fn see(&mut self, message: &Message<'_>) -> Option<Cause> {
        let (seq, did, rev, since, is_commit) = match message {
            Message::Commit(commit) => (commit.seq, commit.repo, commit.rev, commit.since, true),
            Message::Sync(sync) => (sync.seq, sync.did, sync.rev, None, false),
            _ => return None,
        };
        let rev: Tid = rev.parse().ok()?;
        let last = self.last.insert(self.hasher.hash_one(did), rev)?;
        // A `#sync` that says what is known anyway has changed nothing.
        let follows =
            if is_commit { since.and_then(|since| since.parse().ok()) == Some(last) } else { rev == last };
        (!follows).then(|| Cause::ChainBreak {
            seq: Some(seq),
            did: did.to_owned(),
            since: since.map(str::to_owned),
            last: last.to_string(),
        })
    }

    /// Forgets everything: what comes next may have been seen before.
    pub(crate) fn clear(&mut self) {
        self.last.clear();
    }

    /// Room taken, in bytes: 16 of each entry, one of the table beside it.
    #[cfg(test)]
    fn bytes(&self) -> usize {
        // The table is filled to 7/8 before it grows.
        self.last.capacity() * 8 / 7 * 17
    }
}

#[cfg(test)]
mod tests {
    use skytide_atproto::{
        cid::Cid,
        message::{Commit, Sync},
    };

    use super::*;

    fn rev(number: u64) -> String {
        Tid::from_micros(1_783_000_000_000_000 + number, 7).unwrap().to_string()
    }

    fn commit(chains: &mut Chains, did: &str, number: u64, since: Option<u64>) -> Option<Cause> {
        let (rev, since) = (rev(number), since.map(rev));
        chains.see(&Message::Commit(Commit {
            ops: Vec::new(),
            rev: &rev,
            seq: number,
            prev: None,
            repo: did,
            time: "2026-07-04T00:00:00Z",
            blobs: None,
            since: since.as_deref(),
            blocks: b"",
            commit: Cid::for_dag_cbor(b""),
            rebase: None,
            too_big: None,
            prev_data: None,
        }))
    }

    fn sync(chains: &mut Chains, did: &str, number: u64) -> Option<Cause> {
        let rev = rev(number);
        chains.see(&Message::Sync(Sync {
            seq: number,
            did,
            rev: &rev,
            blocks: b"",
            time: "2026-07-04T00:00:00Z",
        }))
    }

    #[test]
    fn each_repository_has_a_chain_of_its_own() {
        let mut chains = Chains::default();
        assert_eq!(commit(&mut chains, "did:plc:a", 1, Some(0)), None);
        assert_eq!(commit(&mut chains, "did:plc:b", 2, None), None);
        assert_eq!(commit(&mut chains, "did:plc:a", 3, Some(1)), None);
        let broken = commit(&mut chains, "did:plc:b", 5, Some(4));
        let expected =
            Cause::ChainBreak { seq: Some(5), did: "did:plc:b".into(), since: Some(rev(4)), last: rev(2) };
        assert_eq!(broken, Some(expected));
        // It goes on from there.
        assert_eq!(commit(&mut chains, "did:plc:b", 6, Some(5)), None);
        assert!(commit(&mut chains, "did:plc:a", 7, None).is_some());
    }

    #[test]
    fn a_sync_breaks_the_chain_unless_it_says_what_is_known() {
        let mut chains = Chains::default();
        commit(&mut chains, "did:plc:a", 1, None);
        assert_eq!(sync(&mut chains, "did:plc:a", 1), None);
        assert!(sync(&mut chains, "did:plc:a", 4).is_some());
        assert_eq!(commit(&mut chains, "did:plc:a", 5, Some(4)), None);
    }

    #[test]
    fn an_account_takes_at_most_100_bytes() {
        let mut chains = Chains::default();
        let mut most = 0.0_f64;
        for account in 0..300_000_u64 {
            commit(&mut chains, &format!("did:plc:{account}"), 1, None);
            if account > 1000 {
                most = most.max(chains.bytes() as f64 / (account + 1) as f64);
            }
        }
        assert!(most <= 100.0, "{most:.0} bytes an account");
    }
}

//! An account of the simulated network: who it is, what it signs with, and its repository.

use skytide_atproto::syntax::Tid;

use crate::content::Language;
use crate::keys::{Curve, Key};
use crate::repo::{Envelope, Repo, Write};
use crate::rng::Chance;

/// An account.
#[derive(Debug)]
pub struct Account {
    did: String,
    handle: String,
    key: Key,
    pub(crate) language: &'static Language,
    pub(crate) standing: Standing,
    /// Whether it has written before the stream.
    pub(crate) has_past: bool,
    pub(crate) repo: Repo,
}

/// Whether an account takes part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It will be created with its first act.
    Unborn,
    Active,
    /// It says and is shown nothing until it is active again.
    Inactive,
    /// It says and is shown nothing, unless it is born again with a new repository.
    Gone,
}

impl Account {
    /// The account at a place of the network of a seed.
    pub(crate) fn numbered(place: usize, seed: u64, p256_per_mille: u32, newcomer: bool) -> Self {
        Self::new(Chance::new(seed, 1 + place as u64), p256_per_mille, newcomer)
    }

    /// An account drawn from a stream of chance of its own. Newcomers are created in the course of the stream, others
    /// have written before it.
    pub(crate) fn new(mut chance: Chance, p256_per_mille: u32, newcomer: bool) -> Self {
        let did = format!("did:plc:{}", chance.text(b"abcdefghijklmnopqrstuvwxyz234567", 24));
        let curve = if chance.one_in_a_thousand(p256_per_mille.into()) { Curve::P256 } else { Curve::K256 };
        let key = Key::new(curve, &mut chance);
        let handle = new_handle(&mut chance);
        let language = Language::common(&mut chance);
        let repo = Repo::new(chance.below(1 << 10) as u16);
        let standing = if newcomer { Standing::Unborn } else { Standing::Active };
        Self { did, handle, key, language, standing, has_past: !newcomer, repo }
    }

    /// Its DID, of the form `did:plc:` and 24 characters.
    pub fn did(&self) -> &str {
        &self.did
    }

    /// Its handle, below the reserved domain `.test`.
    pub fn handle(&self) -> &str {
        &self.handle
    }

    /// The curve of its signing key.
    pub fn curve(&self) -> Curve {
        self.key.curve()
    }

    /// Its public key, as the DID document's `#atproto` verification method gives it, in the form `did:key:z…`.
    pub fn did_key(&self) -> String {
        self.key.did_key()
    }

    /// Signs bytes that are no commit.
    pub(crate) fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.key.sign(message)
    }

    /// Gives it another handle.
    pub(crate) fn rename(&mut self, chance: &mut Chance) {
        self.handle = new_handle(chance);
    }

    /// Begins its repository anew, and nothing of what it wrote is left.
    pub(crate) fn begin_anew(&mut self) {
        self.has_past = false;
        self.repo.begin_anew();
    }

    /// The `#sync` of its repository; `None` where that has no commit.
    pub(crate) fn sync(&mut self, envelope: Envelope<'_>) -> Option<Vec<u8>> {
        self.repo.sync(&self.key, envelope)
    }

    /// The frame that [`Account::commit`] would give, without a commit.
    pub(crate) fn frame_without_consequence(
        &self,
        writes: &[Write],
        rev: Tid,
        envelope: Envelope<'_>,
    ) -> Option<Vec<u8>> {
        self.repo.clone().commit(writes, rev, &self.key, envelope)
    }

    /// Commits to its repository, signed: see [`Repo::commit`].
    pub(crate) fn commit(&mut self, writes: &[Write], rev: Tid, envelope: Envelope<'_>) -> Option<Vec<u8>> {
        self.repo.commit(writes, rev, &self.key, envelope)
    }
}

fn new_handle(chance: &mut Chance) -> String {
    const NAMES: [&str; 16] = [
        "aiko", "ana", "bram", "chloe", "deniz", "emma", "felix", "haruto", "ines", "joao", "lukas", "mina",
        "noor", "olga", "pedro", "sam",
    ];
    let name = NAMES[chance.index(NAMES.len())];
    format!("{name}{}.pds{}.test", chance.below(1_000_000), chance.below(40))
}

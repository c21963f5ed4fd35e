//! The writes of one commit while they are put together.

use skytide_atproto::cid::Cid;
use skytide_atproto::message::MAX_OPS;
use skytide_atproto::syntax::Tid;

use super::Network;
use crate::content::{self, Belongs, Deed, RecordType, Scene, Target};
use crate::repo::{Envelope, Write};

/// Records that the commit of a [`Deed`] writes at most.
pub(super) const MOST_WRITES: usize = 3;

/// A commit that is being made.
pub(super) struct Draft<'a> {
    pub(super) network: &'a mut Network,
    pub(super) who: usize,
    /// Keys for new records.
    pub(super) keys: Vec<String>,
    pub(super) rev: Tid,
    pub(super) writes: Vec<Write>,
    /// What the message names as blobs.
    pub(super) blobs: Vec<Cid>,
}

impl Draft<'_> {
    /// What an account does in the ordinary course of things.
    pub(super) fn write(&mut self, deed: Deed) -> Option<()> {
        match deed {
            Deed::Create(gate @ (RecordType::Threadgate | RecordType::Postgate)) => {
                let post = self.put(RecordType::Post, 0, Belongs::Alone)?;
                // A gate has the key of its post.
                self.put(gate, 0, Belongs::Thread { first: &post, last: &post })?;
            }
            Deed::Create(RecordType::Post) if self.network.chance.one_in_a_thousand(12) => {
                let first = self.put(RecordType::Post, 0, Belongs::Alone)?;
                let second =
                    self.put(RecordType::Post, 1, Belongs::Thread { first: &first, last: &first })?;
                self.put(RecordType::Post, 2, Belongs::Thread { first: &first, last: &second })?;
            }
            Deed::Create(record_type) | Deed::Update(record_type) => {
                self.put(record_type, 0, Belongs::Alone)?;
            }
            Deed::Delete => {
                let path = self.some_path()?;
                self.writes.push(Write::Delete { path });
            }
        }
        Some(())
    }

    /// Writes as often as a commit may: where there are records enough, half of it on them, a sixth updates
    /// and a third deletes; the rest creates.
    pub(super) fn write_many(&mut self) -> Option<()> {
        const COMMON: [RecordType; 5] =
            [RecordType::Like, RecordType::Post, RecordType::Repost, RecordType::Follow, RecordType::Block];
        let mut old = self.some_paths(MAX_OPS / 2).into_iter();
        for path in old.by_ref().take(MAX_OPS / 6) {
            match RecordType::of(&path) {
                Some(record_type) => drop(self.put_at(record_type, path, Belongs::Alone)),
                None => self.writes.push(Write::Delete { path }),
            }
        }
        self.writes.extend(old.map(|path| Write::Delete { path }));
        for key in 0..MAX_OPS - self.writes.len() {
            let record_type = self.network.chance.pick(&COMMON).copied().unwrap_or(RecordType::Post);
            // Likes and reposts may find nothing to like.
            if self.put(record_type, key, Belongs::Alone).is_none() {
                self.put(RecordType::Post, key, Belongs::Alone)?;
            }
        }
        Some(())
    }

    /// Writes two records that make the commit's blocks nearly as large as they may be.
    pub(super) fn write_large(&mut self) -> Option<()> {
        /// Bytes of `blocks` (the lexicon's `maxLength`).
        const MOST: usize = 2_000_000;
        /// Bytes of text in a record of not quite 1 MiB.
        const LARGE: usize = (1 << 20) - 576;
        self.put_page(0, LARGE);
        self.put_page(1, 0);
        // The tree's nodes hold CIDs, so they are as large whatever the second page says: a trial tells what
        // is left. A frame is a little more than its blocks.
        let account = &self.network.population.accounts[self.who];
        let envelope = Envelope { seq: u64::MAX, time: "", did: account.did(), blobs: &[] };
        let trial = account.frame_without_consequence(&self.writes, self.rev, envelope)?;
        self.writes.pop();
        self.put_page(1, MOST.saturating_sub(trial.len()).min(LARGE));
        Some(())
    }

    /// Writes a post with pictures, and names them.
    pub(super) fn write_blobs(&mut self) -> Option<()> {
        let path = format!("{}/{}", RecordType::Post.nsid(), self.keys.first()?);
        let post = content::picture_post(&mut self.scene(Belongs::Alone));
        content::blobs(&post, &mut self.blobs);
        self.put_record(path, post.to_bytes());
        Some(())
    }

    /// Writes a record at key number `key`, or at its type's only one.
    fn put(&mut self, record_type: RecordType, key: usize, belongs: Belongs<'_>) -> Option<Target> {
        let rkey = if record_type.is_single() { "self" } else { self.keys.get(key)? };
        let path = format!("{}/{rkey}", record_type.nsid());
        self.put_at(record_type, path, belongs)
    }

    fn put_at(&mut self, record_type: RecordType, path: String, belongs: Belongs<'_>) -> Option<Target> {
        let record = content::write(record_type, &mut self.scene(belongs))?.to_bytes();
        Some(self.put_record(path, record))
    }

    fn put_page(&mut self, key: usize, size: usize) {
        if let Some(rkey) = self.keys.get(key) {
            let path = format!("{}/{rkey}", RecordType::Page.nsid());
            let page = content::page(&mut self.scene(Belongs::Alone), size).to_bytes();
            self.put_record(path, page);
        }
    }

    fn put_record(&mut self, path: String, record: Vec<u8>) -> Target {
        let did = self.network.population.accounts[self.who].did();
        let cid = Cid::for_dag_cbor(&record);
        let target = Target { uri: format!("at://{did}/{path}"), cid };
        self.writes.push(Write::Put { path, record, cid });
        target
    }

    fn scene<'b>(&'b mut self, belongs: Belongs<'b>) -> Scene<'b> {
        let Network { population, chance, posts, reposts, now, .. } = &mut *self.network;
        let account = &population.accounts[self.who];
        Scene {
            chance,
            did: account.did(),
            language: account.language,
            now: *now,
            posts,
            reposts,
            people: population,
            belongs,
        }
    }

    /// The path of a record that is there.
    fn some_path(&mut self) -> Option<String> {
        let Network { population, chance, .. } = &mut *self.network;
        population.accounts[self.who].repo.some_path(chance)
    }

    /// Paths of records that are there, each once, since a commit names none twice: so many, if they are found soon.
    fn some_paths(&mut self, count: usize) -> Vec<String> {
        const TRIES: usize = 8;
        let mut paths = Vec::with_capacity(count);
        for _ in 0..TRIES * count {
            let Some(path) = self.some_path().filter(|path| !paths.contains(path)) else { continue };
            paths.push(path);
            if paths.len() == count {
                break;
            }
        }
        paths
    }
}

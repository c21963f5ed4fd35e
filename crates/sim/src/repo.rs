//! An account's repository: its tree, its head, and the commits it makes, with what a relay sends of them.

use std::collections::VecDeque;
use std::sync::Arc;

use skytide_atproto::car;
use skytide_atproto::cid::Cid;
use skytide_atproto::message::{Action, Commit, Message, Op, Path, Sync};
use skytide_atproto::mst::Tree;
use skytide_atproto::repo::Commit as CommitObject;
use skytide_atproto::syntax::Tid;

use crate::keys::Key;
use crate::past::Past;
use crate::rng::Chance;

/// A repository. A clone shares the tree's nodes.
#[derive(Debug, Clone)]
pub(crate) struct Repo {
    tree: Tree,
    head: Option<Head>,
    past: Option<Arc<Past>>,
    /// Identifier of the clock its TIDs are made by.
    clock_id: u16,
    /// Microseconds of the last TID given out.
    last: u64,
    /// Paths of records written in this stream, the newest last.
    recent: VecDeque<String>,
    /// Whether the stream has shown its head.
    is_shown: bool,
}

#[derive(Debug, Clone, Copy)]
struct Head {
    rev: Tid,
    data: Cid,
}

/// A change of one record.
#[derive(Debug)]
pub(crate) enum Write {
    /// Create or update.
    Put { path: String, record: Vec<u8>, cid: Cid },
    /// Delete.
    Delete { path: String },
}

/// What a relay adds to a commit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Envelope<'a> {
    pub(crate) seq: u64,
    pub(crate) time: &'a str,
    pub(crate) did: &'a str,
    /// What the deprecated list of blobs names.
    pub(crate) blobs: &'a [Cid],
}

impl Repo {
    /// Recent paths that are remembered, for deletes.
    const RECENT: usize = 64;

    /// An empty repository, whose TIDs bear `clock_id` (below 1024).
    pub(crate) fn new(clock_id: u16) -> Self {
        Self {
            tree: Tree::new(),
            head: None,
            past: None,
            clock_id,
            last: 0,
            recent: VecDeque::new(),
            is_shown: false,
        }
    }

    /// Empties it. Its revisions go on rising.
    pub(crate) fn begin_anew(&mut self) {
        *self = Self { last: self.last, ..Self::new(self.clock_id) };
    }

    /// Whether it has a commit.
    pub(crate) fn is_begun(&self) -> bool {
        self.head.is_some()
    }

    /// Whether the stream has shown a state of it: who reads it can tell that the next commit does not fit.
    pub(crate) fn is_shown(&self) -> bool {
        self.is_shown
    }

    /// The revision it is at.
    pub(crate) fn rev(&self) -> Option<Tid> {
        self.head.map(|head| head.rev)
    }

    /// Gives it records from before the stream, and the commit that holds them.
    pub(crate) fn remember(&mut self, past: Arc<Past>) {
        self.tree = past.tree().clone();
        self.last = past.last();
        self.head = self.tid(0).map(|rev| Head { rev, data: past.root() });
        self.past = Some(past);
    }

    /// Keys for `count` records and, last, the revision to commit them at: rising, all after those before,
    /// and as near to `micros` as that allows.
    pub(crate) fn tids(&mut self, micros: u64, count: u64) -> Option<Vec<Tid>> {
        self.last = micros.max(self.last + 1);
        let tids = (0..=count).map(|after| self.tid(after)).collect();
        self.last += count;
        tids
    }

    fn tid(&self, after: u64) -> Option<Tid> {
        Tid::from_micros(self.last + after, self.clock_id).ok()
    }

    /// The path of a record that is there, mostly a recent one.
    pub(crate) fn some_path(&self, chance: &mut Chance) -> Option<String> {
        const TRIES: usize = 8;
        (0..TRIES).find_map(|_| {
            let old = self.past.as_ref().filter(|_| chance.one_in_a_thousand(300) || self.recent.is_empty());
            let path = match old {
                Some(past) => past.some_path(chance)?,
                None => self.recent.get(chance.index(self.recent.len()))?,
            };
            self.tree.get(path).ok()??;
            Some(path.to_owned())
        })
    }

    /// Commits and gives the frame. `None` where a delete finds nothing.
    ///
    /// The tree is held whole and its keys are made here, so changing it does not fail for another reason.
    pub(crate) fn commit(
        &mut self,
        writes: &[Write],
        rev: Tid,
        key: &Key,
        envelope: Envelope<'_>,
    ) -> Option<Vec<u8>> {
        let mut tree = self.tree.clone();
        let mut ops = Vec::with_capacity(writes.len());
        for write in writes {
            let path = Path::parse(write.path())?;
            ops.push(match write {
                Write::Put { path: place, cid, .. } => {
                    let prev = tree.insert(place, *cid).ok()?;
                    let action = if prev.is_some() { Action::Update } else { Action::Create };
                    Op { action, path, cid: Some(*cid), prev }
                }
                Write::Delete { path: place } => {
                    let prev = tree.remove(place).ok()??;
                    Op { action: Action::Delete, path, cid: None, prev: Some(prev) }
                }
            });
        }
        let data = tree.root();
        let (commit, object) = Head { rev, data }.commit_block(key, envelope.did)?;

        // As relays send them: the tree from its root, the records, the commit.
        let nodes = tree.proof_blocks(writes.iter().map(Write::path)).ok()?;
        let nodes = nodes.iter().map(|(cid, block)| (*cid, block.as_slice()));
        let records = writes.iter().filter_map(Write::block);
        let blocks = car::write(&[commit], nodes.chain(records).chain([(commit, object.as_slice())]));
        let (rev_text, since) = (rev.to_string(), self.head.as_ref().map(|head| head.rev.to_string()));
        let message = Message::Commit(Commit {
            ops,
            rev: &rev_text,
            seq: envelope.seq,
            prev: None,
            repo: envelope.did,
            time: envelope.time,
            blobs: Some(envelope.blobs.to_vec()),
            since: since.as_deref(),
            blocks: &blocks,
            commit,
            rebase: Some(false),
            too_big: Some(false),
            prev_data: self.head.as_ref().map(|head| head.data),
        });
        let frame = message.to_frame_bytes();

        self.tree = tree;
        self.head = Some(Head { rev, data });
        self.is_shown = true;
        for write in writes {
            if let Write::Put { path, .. } = write {
                self.recent.push_back(path.clone());
            }
        }
        while self.recent.len() > Self::RECENT {
            self.recent.pop_front();
        }
        Some(frame)
    }

    /// Gives the `#sync` of its state. `None` where it has no commit.
    pub(crate) fn sync(&mut self, key: &Key, envelope: Envelope<'_>) -> Option<Vec<u8>> {
        let head = self.head?;
        let (commit, object) = head.commit_block(key, envelope.did)?;
        let blocks = car::write(&[commit], [(commit, object)]);
        self.is_shown = true;
        let message = Message::Sync(Sync {
            did: envelope.did,
            rev: &head.rev.to_string(),
            seq: envelope.seq,
            time: envelope.time,
            blocks: &blocks,
        });
        Some(message.to_frame_bytes())
    }
}

impl Head {
    /// The signed commit object and its CID: the same bytes each time, since signatures are deterministic.
    /// `None` where the DID is none.
    fn commit_block(self, key: &Key, did: &str) -> Option<(Cid, Vec<u8>)> {
        let mut object =
            CommitObject { did: did.parse().ok()?, data: self.data, rev: self.rev, prev: None, sig: [0; 64] };
        object.sig = key.sign(&object.unsigned_bytes());
        let object = object.to_bytes();
        Some((Cid::for_dag_cbor(&object), object))
    }
}

impl Write {
    pub(crate) fn path(&self) -> &str {
        match self {
            Write::Put { path, .. } | Write::Delete { path } => path,
        }
    }

    fn block(&self) -> Option<(Cid, &[u8])> {
        match self {
            Write::Put { record, cid, .. } => Some((*cid, record)),
            Write::Delete { .. } => None,
        }
    }
}

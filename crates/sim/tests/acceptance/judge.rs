//! A consumer that believes nothing: what it is sent is held against everything it was sent before.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use ipld_core::cid::Cid;
use ipld_core::ipld::Ipld;
use skytide_atproto::car::Blocks;
use skytide_atproto::mst::Tree;
use skytide_sim::{Account, Config, Network, SimFrame};

use crate::decoder::{Frame, Map, bytes, car, check_signature, find, frame, link, list, map, root_of, text};

/// Bytes of a whole frame.
const MOST_OF_FRAME: usize = 5_000_000;
/// Bytes of a commit's `blocks`.
pub(crate) const MOST_OF_BLOCKS: usize = 2_000_000;
/// Bytes of a `#sync`'s `blocks`.
const MOST_OF_SYNC: usize = 10_000;
/// Bytes of a record.
const MOST_OF_RECORD: usize = 1 << 20;
/// Operations of a commit.
const MOST_OPS: usize = 200;

/// What a consumer knows of a repository.
struct Head {
    rev: String,
    data: Cid,
    /// All records, of a repository whose first commit was seen.
    records: Option<BTreeMap<String, Cid>>,
}

/// A consumer that believes nothing.
#[derive(Default)]
pub(crate) struct Judge {
    heads: HashMap<String, Head>,
    keys: HashMap<String, String>,
    identities: HashSet<String>,
    /// Accounts that are not active.
    inactive: HashSet<String>,
    /// Accounts that were gone, and may begin anew.
    gone: HashSet<String>,
    /// Commits that do not follow what was sent before: sequence number and account.
    pub(crate) breaks: Vec<(u64, String)>,
    pub(crate) seen: BTreeMap<String, usize>,
}

impl Judge {
    /// A judge that knows the keys of these accounts.
    pub(crate) fn new(accounts: &[Account]) -> Self {
        let keys = accounts.iter().map(|account| (account.did().to_owned(), account.did_key()));
        Self { keys: keys.collect(), ..Self::default() }
    }

    fn see(&mut self, kind: impl Into<String>) {
        *self.seen.entry(kind.into()).or_default() += 1;
    }

    pub(crate) fn count(&self, kind: &str) -> usize {
        self.seen.get(kind).copied().unwrap_or_default()
    }

    pub(crate) fn judge(&mut self, sent: &SimFrame) {
        assert!(sent.bytes.len() <= MOST_OF_FRAME);
        let Frame { kind, payload } = frame(&sent.bytes);
        self.see(kind.as_str());
        if kind == "#info" {
            assert!(!payload.contains_key("seq") && !text(&payload, "name").is_empty());
            return;
        }
        assert_eq!(payload.get("seq"), Some(&Ipld::Integer(sent.seq.into())));
        assert_eq!(text(&payload, "time").len(), "2026-01-01T00:00:00.000Z".len());
        match kind.as_str() {
            "#commit" => self.commit(sent.seq, &payload),
            "#sync" => self.sync(&payload),
            "#identity" => {
                self.identities.insert(text(&payload, "did"));
            }
            "#account" => {
                let Some(Ipld::Bool(active)) = payload.get("active") else { panic!("no active") };
                self.see(if *active { "active" } else { "inactive" });
                let did = text(&payload, "did");
                if *active {
                    self.inactive.remove(&did);
                    return;
                }
                if text(&payload, "status") == "deleted" {
                    self.gone.insert(did.clone());
                }
                self.inactive.insert(did);
            }
            "#handle" => assert!(text(&payload, "handle").ends_with(".test")),
            "#migrate" | "#tombstone" => {
                let did = text(&payload, "did");
                self.gone.insert(did.clone());
                self.inactive.insert(did);
            }
            other => panic!("an unexpected {other}"),
        }
    }

    /// The repository's state is believed, wherever it has come from.
    fn sync(&mut self, payload: &Map) {
        let (did, rev) = (text(payload, "did"), text(payload, "rev"));
        assert!(!self.inactive.contains(&did), "{did} is not active");
        assert!(bytes(payload, "blocks").len() <= MOST_OF_SYNC);
        let (root, blocks) = car(bytes(payload, "blocks"));
        assert_eq!(blocks.len(), 1, "the commit block only");
        let commit = self.signed(&blocks[&root], &did, &rev);
        let data = link(&commit, "data").expect("a tree");
        let head = self.heads.remove(&did);
        match &head {
            None => self.see("sync first"),
            Some(head) if head.rev == rev => {
                assert_eq!(head.data, data);
                self.see("sync same");
            }
            Some(head) => {
                assert!(head.rev < rev, "revisions rise");
                self.see("sync ahead");
            }
        }
        let records = head.filter(|head| head.rev == rev).and_then(|head| head.records);
        self.heads.insert(did, Head { rev, data, records });
    }

    /// A commit object, its signature checked.
    fn signed(&self, block: &[u8], did: &str, rev: &str) -> Map {
        let commit = map(serde_ipld_dagcbor::from_slice(block).expect("a commit"));
        assert_eq!((text(&commit, "did").as_str(), text(&commit, "rev").as_str()), (did, rev));
        assert_eq!((commit.get("version"), commit.get("prev")), (Some(&Ipld::Integer(3)), Some(&Ipld::Null)));
        check_signature(&commit, &self.keys[did]);
        commit
    }

    fn commit(&mut self, seq: u64, payload: &Map) {
        let (did, rev) = (text(payload, "repo"), text(payload, "rev"));
        assert!(!self.inactive.contains(&did), "{did} is not active");
        assert!(bytes(payload, "blocks").len() <= MOST_OF_BLOCKS);
        let (root, blocks) = car(bytes(payload, "blocks"));
        assert_eq!(Some(root), link(payload, "commit"));
        let commit = self.signed(&blocks[&root], &did, &rev);
        let data = link(&commit, "data").expect("a tree");

        let since = match payload.get("since") {
            Some(Ipld::String(since)) => Some(since.clone()),
            Some(Ipld::Null) => None,
            other => panic!("since is {other:?}"),
        };
        let prev_data = link(payload, "prevData");
        assert_eq!(since.is_some(), prev_data.is_some());
        assert!(since.as_ref().is_none_or(|since| *since < rev), "revisions rise");
        let head = self.heads.remove(&did);
        assert!(head.as_ref().is_none_or(|head| head.rev < rev), "revisions rise");
        let mut records = match head.filter(|_| since.is_some() || !self.gone.contains(&did)) {
            Some(head) if (Some(&head.rev), Some(head.data)) == (since.as_ref(), prev_data) => {
                self.see("chained");
                head.records
            }
            Some(_) => {
                self.breaks.push((seq, did.clone()));
                None
            }
            None => prev_data.is_none().then(|| {
                self.see("first");
                assert!(
                    self.identities.contains(&did),
                    "an account's identity comes before its first commit"
                );
                BTreeMap::new()
            }),
        };

        let mut used = 1;
        let ops = list(payload, "ops");
        assert!(ops.len() <= MOST_OPS);
        self.see(format!("ops: {}", ops.len()));
        let (mut paths, mut blobs) = (BTreeSet::new(), Vec::new());
        for op in ops {
            let Ipld::Map(op) = op else { panic!("an op is no map") };
            let (path, action, cid, prev) =
                (text(op, "path"), text(op, "action"), link(op, "cid"), link(op, "prev"));
            self.see(format!("{action} {}", path.split('/').next().unwrap_or_default()));
            self.see(action.as_str());
            assert!(paths.insert(path.clone()), "each path is there once");
            assert_eq!(find(&blocks, data, &path), cid, "the tree says what the op says");
            match action.as_str() {
                "create" => assert_eq!(prev, None),
                "update" | "delete" => assert!(prev.is_some() && prev != cid),
                other => panic!("an action {other}"),
            }
            if let Some(cid) = cid {
                assert!(blocks[&cid].len() <= MOST_OF_RECORD);
                let record: Ipld = serde_ipld_dagcbor::from_slice(&blocks[&cid]).expect("a record");
                blobs_of(&record, &mut blobs);
                self.record(&path, &map(record));
                used += 1;
            }
            if let Some(records) = &mut records {
                let before = match cid {
                    Some(cid) => records.insert(path, cid),
                    None => records.remove(&path),
                };
                assert_eq!(before, prev);
            }
        }
        if let Some(records) = &records {
            assert_eq!(root_of(records), data, "the tree holds the records of all commits, and no others");
            self.see("rebuilt");
        }
        let before = invert(payload, data);
        assert_eq!(
            before.root(),
            prev_data.map_or(Tree::new().root(), ours),
            "the ops, undone, lead to the tree before"
        );
        assert!(
            blocks.len().saturating_sub(used) < 40 * ops.len().max(1),
            "no more of the tree than proves the ops"
        );
        if let named @ [_, ..] = list(payload, "blobs") {
            assert_eq!(named, blobs, "the records' blobs");
            self.see("blobs");
        }
        self.heads.insert(did, Head { rev, data, records });
    }

    fn record(&mut self, path: &str, record: &Map) {
        assert_eq!(Some(text(record, "$type").as_str()), path.split('/').next());
        assert!(text(record, "createdAt").ends_with('Z'));
        if !path.starts_with("app.bsky.feed.post/") {
            return;
        }
        self.see(match record.get("langs") {
            None => "langs: none".to_owned(),
            Some(Ipld::List(langs)) => match langs.as_slice() {
                [Ipld::String(lang), ..] => format!("langs: {lang}"),
                _ => "langs: empty".to_owned(),
            },
            other => panic!("langs are {other:?}"),
        });
        for key in ["reply", "embed", "facets", "tags"] {
            if record.contains_key(key) {
                self.see(format!("with {key}"));
            }
        }
        let text = text(record, "text");
        assert!(text.chars().count() <= 600);
        if record.contains_key("facets") {
            for facet in list(record, "facets") {
                let Ipld::Map(facet) = facet else { panic!("a facet is no map") };
                let Some(Ipld::Map(index)) = facet.get("index") else { panic!("no index") };
                let (Some(Ipld::Integer(start)), Some(Ipld::Integer(end))) =
                    (index.get("byteStart"), index.get("byteEnd"))
                else {
                    panic!("no bytes")
                };
                // Slicing panics within a character.
                assert!(!text[*start as usize..*end as usize].contains(' '), "a facet is one word");
            }
        }
    }
}

/// The blobs that a record refers to.
fn blobs_of(value: &Ipld, found: &mut Vec<Ipld>) {
    match value {
        Ipld::Map(map) if map.get("$type") == Some(&Ipld::String("blob".to_owned())) => {
            found.push(map["ref"].clone());
        }
        Ipld::Map(map) => map.values().for_each(|value| blobs_of(value, found)),
        Ipld::List(items) => items.iter().for_each(|value| blobs_of(value, found)),
        _ => {}
    }
}

/// The tree from before the commit, by undoing its ops on nothing but the commit's own nodes.
fn invert(payload: &Map, data: Cid) -> Tree {
    let blocks = Blocks::read(bytes(payload, "blocks")).expect("a CAR");
    let mut tree = Tree::load(ours(data), |cid| blocks.get(cid)).expect("a tree");
    for op in list(payload, "ops").iter().rev() {
        let Ipld::Map(op) = op else { panic!("an op is no map") };
        let path = text(op, "path");
        let undone = match link(op, "prev") {
            Some(prev) => tree.insert(&path, ours(prev)),
            None => tree.remove(&path),
        };
        assert_eq!(undone.expect("the nodes are there"), link(op, "cid").map(ours));
    }
    tree
}

fn ours(cid: Cid) -> skytide_atproto::cid::Cid {
    skytide_atproto::cid::Cid::from_bytes(&cid.to_bytes()).expect("a CID")
}

/// The first frames of a network, judged.
pub(crate) fn judged(config: Config, frames: usize) -> (Judge, Vec<SimFrame>) {
    judged_network(&mut Network::new(config), frames)
}

/// The next frames of a network, judged.
pub(crate) fn judged_network(network: &mut Network, frames: usize) -> (Judge, Vec<SimFrame>) {
    let mut judge = Judge::new(network.accounts());
    let frames: Vec<_> = network.take(frames).collect();
    for frame in &frames {
        judge.judge(frame);
    }
    (judge, frames)
}

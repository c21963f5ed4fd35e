//! One node: its entries, its children, and its block.

use std::sync::{Arc, OnceLock};

use super::{NodeRule, common_prefix, is_key};
use crate::cbor::{self, Cursor, Encoder, MapKeys, Rule};
use crate::cid::Cid;

/// A node of the tree. Between any two entries, before the first and after the last there is a slot for a
/// child one layer below: slot 0 is `left`, slot `i` the `right` of entry `i - 1`.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) layer: u8,
    pub(super) left: Option<Subtree>,
    pub(super) entries: Vec<Entry>,
    /// The CID, once it has been asked for; a change empties it.
    cid: OnceLock<Cid>,
}

/// A record: its key, its value, and the child with the keys up to the next entry.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) key: Arc<str>,
    pub(super) value: Cid,
    pub(super) right: Option<Subtree>,
}

/// A child: a node that is here, or the CID of one that was not given.
#[derive(Clone, Debug)]
pub(super) enum Subtree {
    Node(Arc<Node>),
    Missing(Box<Cid>),
}

impl Subtree {
    pub(super) fn new(node: Node) -> Subtree {
        Subtree::Node(Arc::new(node))
    }

    pub(super) fn node(&self) -> Result<&Node, super::Error> {
        match self {
            Subtree::Node(node) => Ok(node),
            Subtree::Missing(cid) => Err(super::Error::Missing(**cid)),
        }
    }

    /// The node, free to be changed: its own copy, if other trees share it.
    pub(super) fn node_mut(&mut self) -> Result<&mut Node, super::Error> {
        match self {
            Subtree::Node(node) => {
                let node = Arc::make_mut(node);
                node.cid = OnceLock::new();
                Ok(node)
            }
            Subtree::Missing(cid) => Err(super::Error::Missing(**cid)),
        }
    }

    /// The CID, found by hashing all nodes below that changed.
    pub(super) fn cid(&self) -> Cid {
        match self {
            Subtree::Node(node) => node.cid(),
            Subtree::Missing(cid) => **cid,
        }
    }
}

impl Node {
    pub(super) fn new(layer: u8, left: Option<Subtree>, entries: Vec<Entry>) -> Node {
        Node { layer, left, entries, cid: OnceLock::new() }
    }

    /// The node as read from the block that `cid` names.
    pub(super) fn known(self, cid: Cid) -> Node {
        Node { cid: OnceLock::from(cid), ..self }
    }

    pub(super) fn cid(&self) -> Cid {
        *self.cid.get_or_init(|| Cid::for_dag_cbor(&self.to_block()))
    }

    /// The number of entries before `key`, and whether the next one is `key` itself. The slot of that number is
    /// where `key` would be, if it were on a lower layer.
    pub(super) fn position(&self, key: &str) -> (usize, bool) {
        match self.entries.binary_search_by(|entry| (*entry.key).cmp(key)) {
            Ok(index) => (index, true),
            Err(index) => (index, false),
        }
    }

    /// Whether the node has a place in a tree: one without entries and children has none.
    pub(super) fn holds_any(&self) -> bool {
        self.left.is_some() || !self.entries.is_empty()
    }

    /// The child in slot `index`.
    pub(super) fn slot(&self, index: usize) -> Option<&Subtree> {
        match index.checked_sub(1) {
            None => self.left.as_ref(),
            Some(before) => self.entries.get(before)?.right.as_ref(),
        }
    }

    /// The children, in the order of their keys.
    pub(super) fn children(&self) -> impl Iterator<Item = &Subtree> {
        self.left.iter().chain(self.entries.iter().filter_map(|entry| entry.right.as_ref()))
    }

    /// The place of the child in slot `index`, which is at most the number of entries.
    pub(super) fn slot_mut(&mut self, index: usize) -> &mut Option<Subtree> {
        match index {
            0 => &mut self.left,
            _ => &mut self.entries[index - 1].right,
        }
    }

    /// The block: canonical, keys compressed against the entry before.
    pub(super) fn to_block(&self) -> Vec<u8> {
        let mut encoder = Encoder::with_capacity(64 + 128 * self.entries.len());
        let child = |encoder: &mut Encoder, child: &Option<Subtree>| {
            match child {
                Some(child) => encoder.link(&child.cid()),
                None => encoder.null(),
            };
        };
        encoder.map(2).text("e").list(self.entries.len());
        let mut before = "";
        for entry in &self.entries {
            let prefix = common_prefix(before, &entry.key);
            encoder.map(4).text("k").bytes(&entry.key.as_bytes()[prefix..]);
            encoder.text("p").unsigned(prefix as u64).text("t");
            child(&mut encoder, &entry.right);
            encoder.text("v").link(&entry.value);
            before = &entry.key;
        }
        child(encoder.text("l"), &self.left);
        encoder.into_bytes()
    }
}

/// A node's block as read: children by their CIDs, keys whole.
pub(super) struct Parsed {
    pub(super) left: Option<Cid>,
    pub(super) entries: Vec<ParsedEntry>,
}

pub(super) struct ParsedEntry {
    pub(super) key: Arc<str>,
    pub(super) value: Cid,
    pub(super) right: Option<Cid>,
}

/// Reads a node's block strictly, so that writing it again gives the same bytes.
pub(super) fn parse(block: &[u8]) -> Result<Parsed, NodeRule> {
    let mut cursor = Cursor::new(block);
    let mut keys = fields(&mut cursor, 2)?;
    field(&mut keys, &mut cursor, "e")?;
    let count = cursor.read_list()?;
    // Not by the count: an entry takes 45 bytes of the block at least.
    let mut entries: Vec<ParsedEntry> = Vec::with_capacity(count.min(block.len() / 45));
    for _ in 0..count {
        let before = entries.last().map_or("", |entry| &*entry.key);
        let entry = parse_entry(&mut cursor, before)?;
        entries.push(entry);
    }
    field(&mut keys, &mut cursor, "l")?;
    let left = child(&mut cursor)?;
    if !cursor.is_at_end() {
        return Err(cbor::Error { at: cursor.position(), rule: Rule::Trailing }.into());
    }
    Ok(Parsed { left, entries })
}

fn parse_entry(cursor: &mut Cursor<'_>, before: &str) -> Result<ParsedEntry, NodeRule> {
    let mut keys = fields(cursor, 4)?;
    field(&mut keys, cursor, "k")?;
    let suffix = std::str::from_utf8(cursor.read_bytes()?).map_err(|_| NodeRule::Key)?;
    field(&mut keys, cursor, "p")?;
    let prefix = usize::try_from(cursor.read_u64()?).map_err(|_| NodeRule::Prefix)?;
    let mut key = before.get(..prefix).ok_or(NodeRule::Prefix)?.to_owned();
    key.push_str(suffix);
    if common_prefix(before, &key) != prefix {
        return Err(NodeRule::Prefix);
    }
    if !is_key(&key) {
        return Err(NodeRule::Key);
    }
    field(&mut keys, cursor, "t")?;
    let right = child(cursor)?;
    field(&mut keys, cursor, "v")?;
    let value = cursor.read_link()?;
    Ok(ParsedEntry { key: key.into(), value, right })
}

fn fields<'a>(cursor: &mut Cursor<'a>, count: usize) -> Result<MapKeys<'a>, NodeRule> {
    let entries = cursor.read_map()?;
    if entries != count { Err(NodeRule::Fields) } else { Ok(MapKeys::new(entries)) }
}

fn field<'a>(keys: &mut MapKeys<'a>, cursor: &mut Cursor<'a>, name: &str) -> Result<(), NodeRule> {
    if keys.next(cursor)? != Some(name) { Err(NodeRule::Fields) } else { Ok(()) }
}

fn child(cursor: &mut Cursor<'_>) -> Result<Option<Cid>, NodeRule> {
    Ok(if cursor.take_null() { None } else { Some(cursor.read_link()?) })
}

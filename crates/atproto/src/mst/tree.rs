//! The tree: built whole, or changed one record at a time in the nodes of one path.
//!
//! All recursion here goes down by layers, of which there are at most 129.

use std::mem;
use std::sync::Arc;

use super::node::{Entry, Node, Parsed, ParsedEntry, Subtree, parse};
use super::{Block, Error, NodeRule, height, is_key};
use crate::cid::Cid;

/// A Merkle search tree, or the part of one whose nodes are given. A clone shares all nodes.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    /// `None` is the empty tree, whose block is one node with nothing in it.
    pub(super) top: Option<Subtree>,
}

impl Tree {
    /// The empty tree.
    pub fn new() -> Tree {
        Tree::default()
    }

    /// Builds the tree of `entries`, given in any order.
    ///
    /// # Errors
    /// [`Error::Key`] for a path that is no key, [`Error::DuplicateKey`] for a key that is there twice.
    pub fn from_entries<K: Into<Arc<str>>>(
        entries: impl IntoIterator<Item = (K, Cid)>,
    ) -> Result<Tree, Error> {
        let mut leaves = Vec::new();
        for (key, value) in entries {
            let key = key.into();
            if !is_key(&key) {
                return Err(Error::Key(key.as_ref().to_owned()));
            }
            leaves.push((height(&key), Entry { key, value, right: None }));
        }
        leaves.sort_unstable_by(|(_, a), (_, b)| a.key.cmp(&b.key));
        if let Some([(_, twice), _]) = leaves.array_windows().find(|[(_, a), (_, b)]| a.key == b.key) {
            return Err(Error::DuplicateKey(twice.key.as_ref().to_owned()));
        }
        let top = leaves.iter().map(|(height, _)| *height).max();
        let mut leaves = leaves.into_iter().peekable();
        Ok(Tree { top: top.and_then(|layer| build(&mut leaves, layer)) })
    }

    /// The tree under `root`, of the nodes that `block` gives; those it does not give are missing. It is
    /// asked for blocks whose hashes have been checked, as [`car::Blocks`](crate::car::Blocks) holds them.
    ///
    /// # Errors
    /// [`Error::Node`] for a node that breaks a rule: canonical form, order of keys, layers.
    pub fn load<'b>(root: Cid, mut block: impl FnMut(&Cid) -> Option<&'b [u8]>) -> Result<Tree, Error> {
        let Some(bytes) = block(&root) else {
            return Ok(Tree { top: Some(Subtree::Missing(Box::new(root))) });
        };
        let refused = |rule| Error::Node { cid: root, rule };
        let parsed = parse(bytes).map_err(refused)?;
        let Some(first) = parsed.entries.first() else {
            return if parsed.left.is_some() { Err(refused(NodeRule::Empty)) } else { Ok(Tree::new()) };
        };
        let layer = height(&first.key);
        let mut loader = Loader { block, before: None };
        Ok(Tree { top: Some(loader.node(root, parsed, layer)?) })
    }

    /// Whether the tree has no entries.
    pub fn is_empty(&self) -> bool {
        self.top.is_none()
    }

    /// The root: the CID that a commit's `data` holds. Hashes the nodes that changed since it was last asked for.
    pub fn root(&self) -> Cid {
        self.top.as_ref().map_or_else(|| Node::new(0, None, Vec::new()).cid(), Subtree::cid)
    }

    /// The value of `key`.
    ///
    /// # Errors
    /// [`Error::Missing`] if a node on the way is not here.
    pub fn get(&self, key: &str) -> Result<Option<Cid>, Error> {
        let mut next = self.top.as_ref();
        while let Some(subtree) = next {
            let node = subtree.node()?;
            match node.position(key) {
                (index, true) => return Ok(node.entries.get(index).map(|entry| entry.value)),
                (index, false) => next = node.slot(index),
            }
        }
        Ok(None)
    }

    /// Sets the value of `key` and gives the one it had.
    ///
    /// # Errors
    /// [`Error::Key`] for a path that is no key, [`Error::Missing`] if a node that has to change is not here;
    /// the tree is then as it was.
    pub fn insert(&mut self, key: &str, value: Cid) -> Result<Option<Cid>, Error> {
        if !is_key(key) {
            return Err(Error::Key(key.to_owned()));
        }
        let layer = height(key);
        let mut changed = self.top.clone();
        let before = insert(&mut changed, layer, Entry { key: key.into(), value, right: None }, None)?;
        self.top = changed;
        Ok(before)
    }

    /// Takes `key` out and gives the value it had.
    ///
    /// # Errors
    /// [`Error::Missing`] if a node that has to change is not here; the tree is then as it was.
    pub fn remove(&mut self, key: &str) -> Result<Option<Cid>, Error> {
        if self.get(key)?.is_none() {
            return Ok(None);
        }
        let mut changed = self.top.clone();
        let before = remove(&mut changed, key)?;
        // What holds no entries at the top is no part of the tree.
        while let Some(Subtree::Node(node)) = &changed
            && node.entries.is_empty()
        {
            changed = node.left.clone();
        }
        self.top = changed;
        Ok(before)
    }

    /// All nodes that are here, the root first, parents before children.
    pub fn blocks(&self) -> Vec<Block> {
        let mut blocks = Vec::new();
        match &self.top {
            None => {
                let empty = Node::new(0, None, Vec::new());
                blocks.push((empty.cid(), empty.to_block()));
            }
            Some(top) => collect(top, &mut blocks),
        }
        blocks
    }
}

fn collect(subtree: &Subtree, blocks: &mut Vec<Block>) {
    if let Subtree::Node(node) = subtree {
        blocks.push((node.cid(), node.to_block()));
        for child in node.children() {
            collect(child, blocks);
        }
    }
}

/// Takes the entries up to the next one above `layer` into a node on `layer`.
fn build(leaves: &mut std::iter::Peekable<impl Iterator<Item = (u8, Entry)>>, layer: u8) -> Option<Subtree> {
    let mut node = Node::new(layer, None, Vec::new());
    while let Some((height, _)) = leaves.peek() {
        if *height > layer {
            break;
        }
        if *height < layer {
            let child = build(leaves, layer - 1);
            *node.slot_mut(node.entries.len()) = child;
        } else if let Some((_, entry)) = leaves.next() {
            node.entries.push(entry);
        }
    }
    node.holds_any().then(|| Subtree::new(node))
}

/// Puts nodes without entries over `child`, which is on the layer `from`, until it is on the layer `to`.
fn raise(mut child: Option<Subtree>, from: u8, to: u8) -> Option<Subtree> {
    for layer in from..to {
        child = child.map(|child| Subtree::new(Node::new(layer + 1, Some(child), Vec::new())));
    }
    child
}

/// Inserts `entry`, of the height `layer`, at `place`. A child's place is one layer under its parent's, `above`;
/// the place of the top is on any layer.
fn insert(
    place: &mut Option<Subtree>,
    layer: u8,
    mut entry: Entry,
    above: Option<u8>,
) -> Result<Option<Cid>, Error> {
    let Some(subtree) = place else {
        let node = Subtree::new(Node::new(layer, None, vec![entry]));
        *place = raise(Some(node), layer, above.map_or(layer, |above| above - 1));
        return Ok(None);
    };
    let on = subtree.node()?.layer;
    if layer > on {
        let (left, right) = split(Some(subtree.clone()), &entry.key)?;
        entry.right = raise(right, on, layer - 1);
        *place = Some(Subtree::new(Node::new(layer, raise(left, on, layer - 1), vec![entry])));
        return Ok(None);
    }
    let node = subtree.node_mut()?;
    let (index, found) = node.position(&entry.key);
    if layer < on {
        return insert(node.slot_mut(index), layer, entry, Some(on));
    }
    if found {
        return Ok(Some(mem::replace(&mut node.entries[index].value, entry.value)));
    }
    let (left, right) = split(node.slot_mut(index).take(), &entry.key)?;
    *node.slot_mut(index) = left;
    entry.right = right;
    node.entries.insert(index, entry);
    Ok(None)
}

/// Parts a subtree into what is before `key`, which it does not hold, and what is after.
fn split(subtree: Option<Subtree>, key: &str) -> Result<(Option<Subtree>, Option<Subtree>), Error> {
    let Some(mut subtree) = subtree else {
        return Ok((None, None));
    };
    let (index, _) = subtree.node()?.position(key);
    if subtree.node()?.slot(index).is_none() {
        // Nothing to part below: a node that lies on one side stays as it is.
        if index == 0 {
            return Ok((None, Some(subtree)));
        }
        if index == subtree.node()?.entries.len() {
            return Ok((Some(subtree), None));
        }
    }
    let node = subtree.node_mut()?;
    let (left, right) = split(node.slot_mut(index).take(), key)?;
    let after = Node::new(node.layer, right, node.entries.split_off(index));
    *node.slot_mut(index) = left;
    let before = node.holds_any().then_some(subtree);
    Ok((before, after.holds_any().then(|| Subtree::new(after))))
}

/// Removes `key`, which the subtree at `place` holds.
fn remove(place: &mut Option<Subtree>, key: &str) -> Result<Option<Cid>, Error> {
    let Some(subtree) = place else {
        return Ok(None);
    };
    let node = subtree.node_mut()?;
    let (index, found) = node.position(key);
    let before = if found {
        let entry = node.entries.remove(index);
        let left = node.slot_mut(index).take();
        *node.slot_mut(index) = join(left, entry.right)?;
        Some(entry.value)
    } else {
        remove(node.slot_mut(index), key)?
    };
    if !node.holds_any() {
        *place = None;
    }
    Ok(before)
}

/// Makes one subtree of two on the same layer, all of `left` before all of `right`.
fn join(left: Option<Subtree>, right: Option<Subtree>) -> Result<Option<Subtree>, Error> {
    let (mut left, mut right) = match (left, right) {
        (Some(left), Some(right)) => (left, right),
        (one, None) | (None, one) => return Ok(one),
    };
    let after = right.node_mut()?;
    let node = left.node_mut()?;
    let last = node.entries.len();
    let inner = join(node.slot_mut(last).take(), after.left.take())?;
    *node.slot_mut(last) = inner;
    node.entries.append(&mut after.entries);
    Ok(Some(left))
}

/// Reads nodes from the left to the right, so that each key is held against the one before it in the tree. That
/// also ends a tree that holds a node in two places, where it would hold the same key twice.
struct Loader<F> {
    block: F,
    before: Option<Arc<str>>,
}

impl<'b, F: FnMut(&Cid) -> Option<&'b [u8]>> Loader<F> {
    fn child(&mut self, cid: Option<Cid>, above: u8, parent: Cid) -> Result<Option<Subtree>, Error> {
        let Some(cid) = cid else {
            return Ok(None);
        };
        let layer = above.checked_sub(1).ok_or(Error::Node { cid: parent, rule: NodeRule::Layer })?;
        let Some(bytes) = (self.block)(&cid) else {
            return Ok(Some(Subtree::Missing(Box::new(cid))));
        };
        let parsed = parse(bytes).map_err(|rule| Error::Node { cid, rule })?;
        if parsed.entries.is_empty() && parsed.left.is_none() {
            return Err(Error::Node { cid, rule: NodeRule::Empty });
        }
        self.node(cid, parsed, layer).map(Some)
    }

    fn node(&mut self, cid: Cid, parsed: Parsed, layer: u8) -> Result<Subtree, Error> {
        let refused = |rule| Error::Node { cid, rule };
        let left = self.child(parsed.left, layer, cid)?;
        let mut entries = Vec::with_capacity(parsed.entries.len());
        for ParsedEntry { key, value, right } in parsed.entries {
            if self.before.as_ref().is_some_and(|before| *before >= key) {
                return Err(refused(NodeRule::Order));
            }
            if height(&key) != layer {
                return Err(refused(NodeRule::Layer));
            }
            self.before = Some(Arc::clone(&key));
            entries.push(Entry { key, value, right: self.child(right, layer, cid)? });
        }
        Ok(Subtree::new(Node::new(layer, left, entries).known(cid)))
    }
}

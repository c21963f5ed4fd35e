//! Which nodes a commit carries: those that changed, and those that prove what stands at each changed path.

use super::node::{Node, Subtree};
use super::{Block, Error, Tree};

impl Tree {
    /// The covering proof of `keys`: the nodes on the way to each key and, for a key that is there, the nodes
    /// down to its two neighbours. The root is first, parents come before children, none is there twice.
    ///
    /// They show what each key's value is, or that it is not there. After a change they hold every node that is
    /// new, if `keys` are the keys that changed, and are enough to undo the change and arrive at the root from
    /// before: they are what a relay's `#commit` carries of the tree.
    ///
    /// # Errors
    /// [`Error::Missing`] if a node of the proof is not here.
    pub fn proof_blocks<K: AsRef<str>>(
        &self,
        keys: impl IntoIterator<Item = K>,
    ) -> Result<Vec<Block>, Error> {
        let keys: Vec<K> = keys.into_iter().collect();
        let mut sorted: Vec<&str> = keys.iter().map(AsRef::as_ref).collect();
        sorted.sort_unstable();
        let Some(top) = &self.top else {
            return Ok(self.blocks());
        };
        let mut blocks = Vec::new();
        cover(top, &sorted, &mut blocks)?;
        Ok(blocks)
    }

    /// The nodes that are in this tree and not in `before`, the root first, parents before children.
    ///
    /// Only nodes that are here are compared; subtrees that both trees share are not entered.
    pub fn diff_blocks(&self, before: &Tree) -> Vec<Block> {
        match &self.top {
            None if before.is_empty() => Vec::new(),
            None => self.blocks(),
            Some(top) => {
                let mut blocks = Vec::new();
                differ(top, before, &mut blocks);
                blocks
            }
        }
    }

    /// Whether the tree holds the node. Nodes of one content are on one layer and hold the same keys, so there is
    /// only one place to look.
    fn holds(&self, node: &Node) -> bool {
        let Some(key) = any_key(node) else {
            return false;
        };
        let mut next = self.top.as_ref();
        while let Some(subtree) = next {
            match subtree {
                Subtree::Node(here) if here.layer > node.layer => {
                    let (slot, found) = here.position(key);
                    next = if found { None } else { here.slot(slot) };
                }
                _ => return subtree.cid() == node.cid(),
            }
        }
        false
    }
}

/// A key in or below the node; `None` if all of them are in nodes that are missing.
fn any_key(node: &Node) -> Option<&str> {
    match (node.entries.first(), &node.left) {
        (Some(entry), _) => Some(&entry.key),
        (None, Some(Subtree::Node(child))) => any_key(child),
        _ => None,
    }
}

fn differ(subtree: &Subtree, before: &Tree, blocks: &mut Vec<Block>) {
    let Subtree::Node(node) = subtree else {
        return;
    };
    if before.holds(node) {
        return;
    }
    blocks.push((node.cid(), node.to_block()));
    for child in node.children() {
        differ(child, before, blocks);
    }
}

fn cover(subtree: &Subtree, keys: &[&str], blocks: &mut Vec<Block>) -> Result<(), Error> {
    let node = subtree.node()?;
    blocks.push((node.cid(), node.to_block()));
    for slot in 0..=node.entries.len() {
        let Some(child) = node.slot(slot) else {
            continue;
        };
        // A key leads into the slot it would be in, and one that stands here into those on both of its sides.
        let from = match slot.checked_sub(1).and_then(|before| node.entries.get(before)) {
            Some(entry) => keys.partition_point(|key| *key < &*entry.key),
            None => 0,
        };
        let to = match node.entries.get(slot) {
            Some(entry) => keys.partition_point(|key| *key <= &*entry.key),
            None => keys.len(),
        };
        if from < to {
            cover(child, &keys[from..to], blocks)?;
        }
    }
    Ok(())
}

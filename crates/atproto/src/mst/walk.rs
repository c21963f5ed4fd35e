//! The records of a tree in the order of their keys.

use super::node::{Node, Subtree};
use super::{Error, Tree};
use crate::cid::Cid;

impl Tree {
    /// The records in the order of their keys. Where a node is missing there is an error in place of its
    /// records, and the walk goes on after them.
    pub fn walk(&self) -> Walk<'_> {
        let mut walk = Walk { path: Vec::new(), missing: None };
        walk.enter(self.top.as_ref());
        walk
    }
}

/// Iterates over the records of a [`Tree`].
#[derive(Clone, Debug)]
pub struct Walk<'a> {
    /// The nodes from the root down to where the walk is, with the number of entries of each that are done.
    path: Vec<(&'a Node, usize)>,
    /// A node that could not be entered.
    missing: Option<Cid>,
}

impl<'a> Walk<'a> {
    /// Goes down to the first entry below `subtree`.
    fn enter(&mut self, mut subtree: Option<&'a Subtree>) {
        while let Some(next) = subtree {
            match next {
                Subtree::Node(node) => {
                    self.path.push((node, 0));
                    subtree = node.left.as_ref();
                }
                Subtree::Missing(cid) => {
                    self.missing = Some(**cid);
                    return;
                }
            }
        }
    }
}

impl<'a> Iterator for Walk<'a> {
    /// A key and its value, or the node that is missing.
    type Item = Result<(&'a str, Cid), Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(cid) = self.missing.take() {
            return Some(Err(Error::Missing(cid)));
        }
        loop {
            let (node, done) = self.path.last_mut()?;
            let Some(entry) = node.entries.get(*done) else {
                self.path.pop();
                continue;
            };
            *done += 1;
            self.enter(entry.right.as_ref());
            return Some(Ok((&entry.key, entry.value)));
        }
    }
}

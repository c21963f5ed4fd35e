//! Merkle search trees: a repository's records by path, as a tree whose shape and root follow from its entries.
//!
//! A [`Tree`] shares its nodes with the trees it was made from, so that a copy is free and a change copies only
//! the nodes on one path and hashes only those. Nodes that were never given (of a commit's partial tree) are
//! known by their CID, and missing only when an operation needs them.
//!
//! ```
//! use skytide_atproto::cid::Cid;
//! use skytide_atproto::mst::Tree;
//!
//! let record = Cid::for_dag_cbor(&[0xa0]);
//! let mut tree = Tree::new();
//! tree.insert("app.bsky.feed.post/3jzfcijpj2z2a", record)?;
//! let before = tree.clone();
//! tree.insert("app.bsky.feed.like/3jzfcijpj2z2b", record)?;
//! // What a commit of this change carries of the tree: its root, here, holds both.
//! let proof = tree.proof_blocks(["app.bsky.feed.like/3jzfcijpj2z2b"])?;
//! assert_eq!(proof.len(), tree.diff_blocks(&before).len());
//! tree.remove("app.bsky.feed.like/3jzfcijpj2z2b")?;
//! assert_eq!(tree.root(), before.root());
//! # Ok::<(), skytide_atproto::mst::Error>(())
//! ```

mod node;
mod proof;
mod tree;
mod walk;

pub use tree::Tree;
pub use walk::Walk;

use sha2::{Digest, Sha256};

use crate::cbor;
use crate::cid::Cid;

/// A block of the tree: its CID and its bytes.
pub type Block = (Cid, Vec<u8>);

/// Why a tree cannot be read or changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operation needs a node that was not given.
    #[error("the tree's node {0} is missing")]
    Missing(Cid),
    /// A path is not a key of a repository.
    #[error("`{0}` is not `collection/rkey`")]
    Key(String),
    /// Two entries have the same key.
    #[error("`{0}` is there twice")]
    DuplicateKey(String),
    /// A node breaks a rule.
    #[error("the tree's node {cid}: {rule}")]
    Node {
        /// The node.
        cid: Cid,
        /// The rule that it breaks.
        rule: NodeRule,
    },
}

/// The rules of a tree's node, as each can be broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum NodeRule {
    /// The node is not strict DAG-CBOR, or a field is of another kind.
    #[error("{0}")]
    Cbor(#[from] cbor::Error),
    /// A node has the fields `e` and `l`, an entry `k`, `p`, `t` and `v`, and no others.
    #[error("a node has the fields `e` and `l`, an entry `k`, `p`, `t` and `v`")]
    Fields,
    /// The prefix that an entry shares with the one before it is not given in full, or is longer than that is.
    #[error("an entry's prefix is not the one it shares with the entry before it")]
    Prefix,
    /// A key is not `collection/rkey` of the characters that paths are made of.
    #[error("a key is not `collection/rkey`")]
    Key,
    /// A key is not after all keys before it.
    #[error("keys are not in order")]
    Order,
    /// A key's height is not the layer of its node, or a child is not one layer below its parent.
    #[error("a key is not on its layer")]
    Layer,
    /// A node other than an empty tree's root holds nothing, or the root holds nothing but a child.
    #[error("a node that holds no entries should not be there")]
    Empty,
}

/// The layer a key lives on: the leading zero bits of its SHA-256, in pairs, rounded down.
pub fn height(key: &str) -> u8 {
    let mut bits = 0;
    for byte in Sha256::digest(key.as_bytes()) {
        bits += byte.leading_zeros();
        if byte != 0 {
            break;
        }
    }
    // At most 256 bits: 128 pairs.
    (bits / 2) as u8
}

/// The number of bytes that two keys start with in common.
pub fn common_prefix(left: &str, right: &str) -> usize {
    left.bytes().zip(right.bytes()).take_while(|(left, right)| left == right).count()
}

/// Whether a path may be a key: `collection/rkey`, neither empty, of `[a-zA-Z0-9_~.:-]`, 1024 bytes at most.
///
/// This is the rule of the tree, laxer than those of collections ([`Nsid`](crate::syntax::Nsid)) and record keys
/// ([`RecordKey`](crate::syntax::RecordKey)).
pub fn is_key(path: &str) -> bool {
    let part = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"_~.:-".contains(&b))
    };
    path.len() <= 1024
        && path.split_once('/').is_some_and(|(collection, rkey)| part(collection) && part(rkey))
}

//! Any bytes as the blocks of a tree, and any changes of one: a tree that is read is written as it was, and a
//! changed one is the one that is built anew.

#![no_main]

use std::collections::BTreeMap;

use skytide_atproto::cid::Cid;
use skytide_atproto::mst::Tree;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    // Blocks, each of a length of two bytes and what it speaks of; the last is the root.
    let mut blocks: Vec<(Cid, &[u8])> = Vec::new();
    let mut rest = bytes;
    while let Some((length, after)) = rest.split_first_chunk::<2>() {
        let Some((block, after)) = after.split_at_checked(usize::from(u16::from_le_bytes(*length))) else {
            break;
        };
        blocks.push((Cid::for_dag_cbor(block), block));
        rest = after;
    }
    let given = |wanted: &Cid| blocks.iter().find(|(cid, _)| cid == wanted).map(|(_, block)| *block);
    if let Some((root, _)) = blocks.last()
        && let Ok(tree) = Tree::load(*root, given)
    {
        assert_eq!(tree.root(), *root);
        assert!(tree.blocks().iter().all(|(cid, block)| given(cid) == Some(block)));
        tree.walk().for_each(drop);
    }

    // Changes, each of a key of 256 and whether it is set or removed.
    let mut records = BTreeMap::new();
    let mut tree = Tree::new();
    for change in bytes.chunks_exact(2).take(64) {
        let key = format!("a/{}", change[0]);
        let value = Cid::for_raw(change);
        let (before, had) = if change[1] % 3 == 0 {
            (records.remove(&key), tree.remove(&key))
        } else {
            (records.insert(key.clone(), value), tree.insert(&key, value))
        };
        assert_eq!(had, Ok(before));
    }
    assert_eq!(tree.root(), Tree::from_entries(records).unwrap().root());
});

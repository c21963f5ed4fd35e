//! Merkle search trees against published vectors, and changed trees against trees built anew.

#![allow(clippy::unwrap_used, reason = "a test fails by them")]

mod vectors;

use std::collections::{BTreeMap, HashMap};

use proptest::prelude::*;
use serde::Deserialize;
use skytide_atproto::cid::Cid;
use skytide_atproto::mst::{self, Block, Error, NodeRule, Tree, common_prefix, height};

#[test]
#[ignore = "needs SKYTIDE_VECTORS"]
fn heights_and_prefixes_are_the_published_ones() {
    #[derive(Deserialize)]
    struct Height {
        key: String,
        height: u8,
    }
    let heights: Vec<Height> =
        serde_json::from_slice(&vectors::bytes("interop/mst/key_heights.json")).unwrap();
    for case in &heights {
        assert_eq!(height(&case.key), case.height, "{}", case.key);
    }
    #[derive(Deserialize)]
    struct Prefix {
        left: String,
        right: String,
        len: usize,
    }
    let prefixes: Vec<Prefix> =
        serde_json::from_slice(&vectors::bytes("interop/mst/common_prefix.json")).unwrap();
    for case in &prefixes {
        assert_eq!(common_prefix(&case.left, &case.right), case.len, "{} {}", case.left, case.right);
    }
    assert_eq!((heights.len(), prefixes.len()), (9, 13));

    // The names of the example keys say their heights: `A0/…` is on layer 0.
    let keys = vectors::text("interop/mst/example_keys.txt");
    for key in keys.lines() {
        assert_eq!(height(key).to_string(), key[1..2], "{key}");
    }
    assert_eq!(keys.lines().count(), 156);
}

#[test]
#[ignore = "needs SKYTIDE_VECTORS"]
fn published_commits_give_their_roots_and_proofs() {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Case {
        comment: String,
        leaf_value: String,
        keys: Vec<String>,
        adds: Vec<String>,
        dels: Vec<String>,
        root_before_commit: String,
        root_after_commit: String,
        blocks_in_proof: Vec<String>,
    }
    let cases: Vec<Case> =
        serde_json::from_slice(&vectors::bytes("interop/firehose/commit-proof-fixtures.json")).unwrap();
    assert_eq!(cases.len(), 6);
    for case in cases {
        let value: Cid = case.leaf_value.parse().unwrap();
        let mut tree = Tree::from_entries(case.keys.iter().map(|key| (key.as_str(), value))).unwrap();
        assert_eq!(tree.root().to_string(), case.root_before_commit, "{}", case.comment);
        let before = tree.clone();
        for key in &case.adds {
            assert_eq!(tree.insert(key, value), Ok(None));
        }
        for key in &case.dels {
            assert_eq!(tree.remove(key), Ok(Some(value)));
        }
        assert_eq!(tree.root().to_string(), case.root_after_commit, "{}", case.comment);

        let changed: Vec<&String> = case.adds.iter().chain(&case.dels).collect();
        let proof = tree.proof_blocks(&changed).unwrap();
        let mut cids: Vec<String> = proof.iter().map(|(cid, _)| cid.to_string()).collect();
        cids.sort();
        let mut expected = case.blocks_in_proof.clone();
        expected.sort();
        assert_eq!(cids, expected, "{}", case.comment);

        undo(&before, &tree, &proof, &changed);
    }
}

/// Of the proof alone, takes the changes back and arrives at the tree from before.
fn undo<K: AsRef<str>>(before: &Tree, after: &Tree, proof: &[Block], changed: &[K]) {
    let blocks: HashMap<Cid, &[u8]> = proof.iter().map(|(cid, block)| (*cid, &block[..])).collect();
    let mut partial = Tree::load(after.root(), |cid| blocks.get(cid).copied()).unwrap();
    for key in changed.iter().map(AsRef::as_ref) {
        assert_eq!(partial.get(key), after.get(key), "{key}");
    }
    // Deletions are undone last, as creations are undone by removing.
    let (kept, gone): (Vec<&str>, Vec<&str>) =
        changed.iter().map(AsRef::as_ref).partition(|key| before.get(key).unwrap().is_none());
    for key in kept {
        partial.remove(key).unwrap();
    }
    for key in gone {
        partial.insert(key, before.get(key).unwrap().unwrap()).unwrap();
    }
    assert_eq!(partial.root(), before.root());
}

#[test]
fn the_empty_tree_has_its_known_root() {
    let empty = "bafyreie5737gdxlw5i64vzichcalba3z2v5n6icifvx5xytvske7mr3hpm";
    assert_eq!(Tree::new().root().to_string(), empty);
    let (cid, block) = Tree::new().blocks().remove(0);
    let read = Tree::load(cid, |_| Some(&block)).unwrap();
    assert!(read.is_empty());
    assert_eq!(read.walk().count(), 0);
}

#[test]
fn keys_are_paths() {
    let value = Cid::for_raw(b"");
    for path in ["", "a", "/", "a/", "/a", "a/b/c", "a/b c", "a/ü", "a/b@"] {
        assert_eq!(Tree::new().insert(path, value), Err(Error::Key(path.to_owned())));
        assert!(Tree::from_entries([(path, value)]).is_err());
    }
    let long = format!("a/{}", "b".repeat(1022));
    assert!(mst::is_key(&long) && !mst::is_key(&format!("{long}b")));
    let twice = Tree::from_entries([("a/b", value), ("a/a", value), ("a/b", value)]);
    assert_eq!(twice.unwrap_err(), Error::DuplicateKey("a/b".to_owned()));
}

/// Encodes a node from its parts, right or wrong.
fn node(left: Option<Cid>, entries: &[(&str, usize, Option<Cid>)]) -> Vec<u8> {
    let mut encoder = skytide_atproto::cbor::Encoder::new();
    encoder.map(2).text("e").list(entries.len());
    let value = Cid::for_raw(b"");
    for (key, prefix, right) in entries {
        encoder.map(4).text("k").bytes(key.as_bytes()).text("p").unsigned(*prefix as u64).text("t");
        match right {
            Some(cid) => encoder.link(cid),
            None => encoder.null(),
        };
        encoder.text("v").link(&value);
    }
    match &left {
        Some(cid) => encoder.text("l").link(cid),
        None => encoder.text("l").null(),
    };
    encoder.into_bytes()
}

#[test]
fn nodes_that_break_a_rule_are_refused_by_it() {
    let load = |blocks: &[Vec<u8>]| {
        let root = Cid::for_dag_cbor(&blocks[0]);
        let blocks: HashMap<Cid, &[u8]> =
            blocks.iter().map(|block| (Cid::for_dag_cbor(block), &block[..])).collect();
        Tree::load(root, |cid| blocks.get(cid).copied()).map(|tree| tree.walk().count())
    };
    let refusal = |blocks: &[Vec<u8>]| match load(blocks) {
        Err(Error::Node { rule, .. }) => rule,
        other => panic!("{other:?}"),
    };
    // Keys on layer 0 and 1, as the vectors name them.
    assert_eq!(load(&[node(None, &[("A0/374913", 0, None), ("E0/670489", 0, None)])]), Ok(2));
    assert_eq!(refusal(&[node(None, &[("E0/670489", 0, None), ("A0/374913", 0, None)])]), NodeRule::Order);
    assert_eq!(refusal(&[node(None, &[("A0/374913", 0, None), ("A0/374913", 0, None)])]), NodeRule::Prefix);
    assert_eq!(refusal(&[node(None, &[("A0/374913", 1, None)])]), NodeRule::Prefix);
    assert_eq!(refusal(&[node(None, &[("A0/374913", 0, None), ("B1/986427", 0, None)])]), NodeRule::Layer);
    assert_eq!(refusal(&[node(None, &[("A0", 0, None)])]), NodeRule::Key);
    assert_eq!(refusal(&[vec![0xa0]]), NodeRule::Fields);
    assert!(matches!(refusal(&[vec![0x80]]), NodeRule::Cbor(_)));

    let leaf = node(None, &[("A0/374913", 0, None)]);
    let leaf_cid = Some(Cid::for_dag_cbor(&leaf));
    assert_eq!(load(&[node(leaf_cid, &[("B1/986427", 0, None)]), leaf.clone()]), Ok(2));
    // The child belongs before the entry, not after it, and not in both places.
    assert_eq!(refusal(&[node(None, &[("B1/986427", 0, leaf_cid)]), leaf.clone()]), NodeRule::Order);
    assert_eq!(refusal(&[node(leaf_cid, &[("B1/986427", 0, leaf_cid)]), leaf.clone()]), NodeRule::Order);
    // A child below layer 0, a root that holds nothing but a child, an empty child.
    assert_eq!(refusal(&[node(leaf_cid, &[("E0/670489", 0, None)]), leaf.clone()]), NodeRule::Layer);
    assert_eq!(refusal(&[node(leaf_cid, &[]), leaf]), NodeRule::Empty);
    let empty = node(None, &[]);
    let empty_cid = Some(Cid::for_dag_cbor(&empty));
    assert_eq!(refusal(&[node(empty_cid, &[("B1/986427", 0, None)]), empty]), NodeRule::Empty);
}

/// Keys of one repository, few enough that changes meet, and spread over the layers.
fn key() -> impl Strategy<Value = String> {
    (0_u16..600).prop_map(|number| format!("app.bsky.feed.like/{number:04}"))
}

fn value(of: u8) -> Cid {
    Cid::for_raw(&[of])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_changed_tree_is_the_tree_built_anew(
        start in prop::collection::btree_map(key(), any::<u8>().prop_map(value), 0..300),
        commits in prop::collection::vec(
            prop::collection::btree_map(key(), prop::option::of(any::<u8>().prop_map(value)), 1..6), 1..8),
    ) {
        let mut records: BTreeMap<String, Cid> = start;
        let entries = |records: &BTreeMap<String, Cid>| -> Vec<(String, Cid)> {
            records.iter().map(|(key, value)| (key.clone(), *value)).collect()
        };
        let mut tree = Tree::from_entries(entries(&records)).unwrap();
        for commit in commits {
            let before = tree.clone();
            let root = before.root();
            for (key, value) in &commit {
                let expected = records.get(key).copied();
                let had = match value {
                    Some(value) => {
                        records.insert(key.clone(), *value);
                        tree.insert(key, *value).unwrap()
                    }
                    None => {
                        records.remove(key);
                        tree.remove(key).unwrap()
                    }
                };
                prop_assert_eq!(had, expected);
            }
            let anew = Tree::from_entries(entries(&records)).unwrap();
            prop_assert_eq!(tree.root(), anew.root());
            prop_assert_eq!(before.root(), root, "a tree changes with its copy");
            let walked: Vec<(String, Cid)> =
                tree.walk().map(|entry| entry.map(|(key, value)| (key.to_owned(), value))).collect::<Result<_, _>>().unwrap();
            prop_assert_eq!(walked, entries(&records));

            // Blocks: all of them read back; the new ones are those that were not there; a proof holds them all.
            let all: BTreeMap<Cid, Vec<u8>> = tree.blocks().into_iter().collect();
            let old: BTreeMap<Cid, Vec<u8>> = before.blocks().into_iter().collect();
            let read = Tree::load(tree.root(), |cid| all.get(cid).map(|block| &block[..])).unwrap();
            prop_assert_eq!(read.blocks().len(), all.len());
            prop_assert_eq!(read.walk().count(), records.len());
            prop_assert!(all.iter().all(|(cid, block)| cid.matches(block)));
            let new: BTreeMap<Cid, Vec<u8>> = tree.diff_blocks(&before).into_iter().collect();
            let expected: BTreeMap<Cid, Vec<u8>> =
                all.iter().filter(|(cid, _)| !old.contains_key(cid)).map(|(cid, block)| (*cid, block.clone())).collect();
            prop_assert_eq!(&new, &expected);
            let keys: Vec<&String> = commit.keys().collect();
            let proof = tree.proof_blocks(&keys).unwrap();
            let proved: BTreeMap<Cid, Vec<u8>> = proof.iter().cloned().collect();
            prop_assert_eq!(proved.len(), proof.len(), "no block twice");
            prop_assert_eq!(proof[0].0, tree.root());
            prop_assert!(new.keys().all(|cid| proved.contains_key(cid)));
            undo(&before, &tree, &proof, &keys);
        }
    }

    #[test]
    fn a_partial_tree_misses_only_what_it_needs(
        keys in prop::collection::btree_set(key(), 2..300), index: prop::sample::Index,
    ) {
        let keys: Vec<String> = keys.into_iter().collect();
        let tree = Tree::from_entries(keys.iter().map(|key| (key.as_str(), value(0)))).unwrap();
        let target = index.get(&keys);
        let proof: HashMap<Cid, Vec<u8>> = tree.proof_blocks([target]).unwrap().into_iter().collect();
        let mut partial = Tree::load(tree.root(), |cid| proof.get(cid).map(|block| &block[..])).unwrap();
        prop_assert_eq!(partial.root(), tree.root());
        prop_assert_eq!(partial.get(target), Ok(Some(value(0))));
        let missing = partial.walk().filter(|entry| matches!(entry, Err(Error::Missing(_)))).count();
        let here = partial.walk().filter(Result::is_ok).count();
        prop_assert_eq!(missing > 0, here < keys.len());
        for key in &keys {
            let found = partial.get(key);
            prop_assert!(matches!(found, Ok(Some(_)) | Err(Error::Missing(_))));
            if found.is_err() {
                // A change that cannot be made leaves the tree as it was.
                prop_assert!(partial.remove(key).is_err() && partial.insert(key, value(1)).is_err());
                prop_assert_eq!(partial.root(), tree.root());
            }
        }
    }
}

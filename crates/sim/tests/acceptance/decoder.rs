//! A decoder of frames that shares no code with what it judges: `serde_ipld_dagcbor` for the data model, its own few
//! lines for CAR files, trees and keys.

use std::collections::BTreeMap;

use ipld_core::cid::Cid;
use ipld_core::ipld::Ipld;
use serde::Deserialize as _;
use serde_ipld_dagcbor::de::Deserializer;
use sha2::{Digest as _, Sha256};

pub(crate) type Map = BTreeMap<String, Ipld>;

/// A frame as its header and payload.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) kind: String,
    pub(crate) payload: Map,
}

pub(crate) fn frame(bytes: &[u8]) -> Frame {
    let mut decoder = Deserializer::from_slice(bytes);
    let header = Ipld::deserialize(&mut decoder).expect("a header");
    let payload = Ipld::deserialize(&mut decoder).expect("a payload");
    decoder.end().expect("two items, no more");
    let again = [&header, &payload].map(|item| serde_ipld_dagcbor::to_vec(item).expect("encodes")).concat();
    assert_eq!(again, bytes, "the frame is in canonical form");
    let header = map(header);
    assert_eq!(header.get("op"), Some(&Ipld::Integer(1)));
    Frame { kind: text(&header, "t"), payload: map(payload) }
}

pub(crate) fn map(value: Ipld) -> Map {
    match value {
        Ipld::Map(map) => map,
        other => panic!("not a map: {other:?}"),
    }
}

pub(crate) fn text(map: &Map, key: &str) -> String {
    match map.get(key) {
        Some(Ipld::String(text)) => text.clone(),
        other => panic!("{key} is no text: {other:?}"),
    }
}

pub(crate) fn link(map: &Map, key: &str) -> Option<Cid> {
    match map.get(key) {
        Some(Ipld::Link(cid)) => Some(*cid),
        None | Some(Ipld::Null) => None,
        other => panic!("{key} is no link: {other:?}"),
    }
}

pub(crate) fn bytes<'a>(map: &'a Map, key: &str) -> &'a [u8] {
    match map.get(key) {
        Some(Ipld::Bytes(bytes)) => bytes,
        other => panic!("{key} is no bytes: {other:?}"),
    }
}

pub(crate) fn list<'a>(map: &'a Map, key: &str) -> &'a [Ipld] {
    match map.get(key) {
        Some(Ipld::List(list)) => list,
        other => panic!("{key} is no list: {other:?}"),
    }
}

/// The blocks of a CAR, each hash checked; and its root.
pub(crate) fn car(mut bytes: &[u8]) -> (Cid, BTreeMap<Cid, Vec<u8>>) {
    let header_length = varint(&mut bytes);
    let (header, mut rest) = bytes.split_at(header_length);
    let header = map(serde_ipld_dagcbor::from_slice(header).expect("a header"));
    assert_eq!(header.get("version"), Some(&Ipld::Integer(1)));
    let [Ipld::Link(root)] = list(&header, "roots") else { panic!("not one root") };
    let mut blocks = BTreeMap::new();
    while !rest.is_empty() {
        let length = varint(&mut rest);
        let (section, after) = rest.split_at(length);
        rest = after;
        let (cid, block) = section.split_at(36);
        let hash: [u8; 32] = Sha256::digest(block).into();
        assert_eq!(
            cid,
            [&[0x01, 0x71, 0x12, 0x20], hash.as_slice()].concat(),
            "a block is what its CID says"
        );
        blocks.insert(Cid::try_from(cid).expect("a CID"), block.to_vec());
    }
    (*root, blocks)
}

fn varint(bytes: &mut &[u8]) -> usize {
    let (mut value, mut shift) = (0, 0);
    loop {
        let (first, rest) = bytes.split_first().expect("a varint");
        *bytes = rest;
        value |= usize::from(first & 0x7f) << shift;
        shift += 7;
        if first & 0x80 == 0 {
            return value;
        }
    }
}

/// Checks a commit object's signature by a `did:key`: over its canonical encoding without `sig`, compact and low-S.
pub(crate) fn check_signature(commit: &Map, did_key: &str) {
    let mut unsigned = commit.clone();
    let Some(Ipld::Bytes(signature)) = unsigned.remove("sig") else { panic!("no signature") };
    let message = serde_ipld_dagcbor::to_vec(&Ipld::Map(unsigned)).expect("encodes");
    match unbase58(did_key.strip_prefix("did:key:z").expect("a did:key")).as_slice() {
        [0xe7, 0x01, point @ ..] => {
            let key = secp256k1::PublicKey::from_slice(point).expect("a point");
            let signature = secp256k1::ecdsa::Signature::from_compact(&signature).expect("a signature");
            let hash: [u8; 32] = Sha256::digest(&message).into();
            // It refuses a signature whose s is high.
            signature.verify(secp256k1::Message::from_digest(hash), &key).expect("signed with K-256");
        }
        [0x80, 0x24, point @ ..] => {
            use p256::ecdsa::signature::Verifier as _;
            let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(point).expect("a point");
            let signature = p256::ecdsa::Signature::from_slice(&signature).expect("a signature");
            assert_eq!(signature.normalize_s(), signature, "s is low");
            key.verify(&message, &signature).expect("signed with P-256");
        }
        other => panic!("a key of an unknown curve: {other:?}"),
    }
}

fn unbase58(text: &str) -> Vec<u8> {
    const ALPHABET: &str = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
    let mut bytes: Vec<u8> = Vec::new();
    for digit in text.chars() {
        let mut carry = ALPHABET.find(digit).expect("base58");
        for byte in bytes.iter_mut().rev() {
            carry += usize::from(*byte) * 58;
            *byte = (carry & 0xff) as u8;
            carry >>= 8;
        }
        while carry > 0 {
            bytes.insert(0, (carry & 0xff) as u8);
            carry >>= 8;
        }
    }
    bytes
}

/// A tree's node: the child before its entries, and its entries as key, value, child after.
pub(crate) struct Node {
    pub(crate) left: Option<Cid>,
    pub(crate) entries: Vec<(String, Cid, Option<Cid>)>,
}

pub(crate) fn node(block: &[u8]) -> Node {
    let node = map(serde_ipld_dagcbor::from_slice(block).expect("a node"));
    assert_eq!(node.len(), 2, "a node has an l and an e");
    let mut entries: Vec<(String, Cid, Option<Cid>)> = Vec::new();
    for entry in list(&node, "e") {
        let Ipld::Map(entry) = entry else { panic!("an entry is no map") };
        let Some(Ipld::Integer(shared)) = entry.get("p") else { panic!("no prefix") };
        let before = entries.last().map_or("", |(key, _, _)| key);
        let suffix = std::str::from_utf8(bytes(entry, "k")).expect("a key");
        let key = format!("{}{suffix}", &before[..*shared as usize]);
        let common = key.bytes().zip(before.bytes()).take_while(|(a, b)| a == b).count();
        assert_eq!(common as i128, *shared, "the whole common prefix is shared");
        assert!(key.as_str() > before, "keys rise");
        entries.push((key, link(entry, "v").expect("a value"), link(entry, "t")));
    }
    Node { left: link(&node, "l"), entries }
}

/// The value at a path: `None` where the tree shows that there is none. Panics where a node on the way is missing.
pub(crate) fn find(blocks: &BTreeMap<Cid, Vec<u8>>, root: Cid, path: &str) -> Option<Cid> {
    let node =
        node(blocks.get(&root).unwrap_or_else(|| panic!("the node {root} on the way to {path} is missing")));
    let mut child = node.left;
    for (key, value, right) in node.entries {
        if key == path {
            return Some(value);
        }
        if key.as_str() > path {
            break;
        }
        child = right;
    }
    child.and_then(|child| find(blocks, child, path))
}

/// The root of the tree of some records, built from nothing.
pub(crate) fn root_of(records: &BTreeMap<String, Cid>) -> Cid {
    let entries: Vec<_> = records.iter().map(|(key, value)| (layer(key), key.as_str(), *value)).collect();
    let top = entries.iter().map(|(layer, _, _)| *layer).max().unwrap_or_default();
    build(&entries, top)
}

/// Layer of a key: leading zero bits of its hash, in pairs.
fn layer(key: &str) -> usize {
    let bits = Sha256::digest(key)
        .iter()
        .flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1))
        .collect::<Vec<_>>();
    bits.iter().take_while(|bit| **bit == 0).count() / 2
}

fn build(entries: &[(usize, &str, Cid)], top: usize) -> Cid {
    let mut groups = entries.split(|(layer, _, _)| *layer == top);
    let child = |group: Option<&[(usize, &str, Cid)]>| match group {
        Some(group) if !group.is_empty() => Ipld::Link(build(group, top - 1)),
        _ => Ipld::Null,
    };
    let left = child(groups.next());
    let mut before = "";
    let mut list = Vec::new();
    for (_, key, value) in entries.iter().filter(|(layer, _, _)| *layer == top) {
        let shared = key.bytes().zip(before.bytes()).take_while(|(a, b)| a == b).count();
        list.push(Ipld::Map(Map::from([
            ("k".to_owned(), Ipld::Bytes(key.as_bytes()[shared..].to_vec())),
            ("p".to_owned(), Ipld::Integer(shared as i128)),
            ("t".to_owned(), child(groups.next())),
            ("v".to_owned(), Ipld::Link(*value)),
        ])));
        before = key;
    }
    let node = Ipld::Map(Map::from([("e".to_owned(), Ipld::List(list)), ("l".to_owned(), left)]));
    let block = serde_ipld_dagcbor::to_vec(&node).expect("encodes");
    let hash: [u8; 32] = Sha256::digest(&block).into();
    Cid::try_from([&[0x01, 0x71, 0x12, 0x20], hash.as_slice()].concat()).expect("a CID")
}

//! A decoder that shares no code with the client: `serde_ipld_dagcbor` for the data model, its own few lines
//! for frames and CAR files. The simulated network's own tests hold its frames to the protocol; here they are
//! only read.

use std::collections::BTreeMap;

use ipld_core::cid::Cid;
use ipld_core::ipld::Ipld;
use serde::Deserialize as _;
use serde_ipld_dagcbor::de::Deserializer;
use skytide_sim::SimFrame;

pub(crate) type Map = BTreeMap<String, Ipld>;

/// A frame's type and payload.
pub(crate) struct Message {
    pub(crate) t: String,
    pub(crate) payload: Map,
}

impl Message {
    pub(crate) fn read(frame: &SimFrame) -> Self {
        let mut decoder = Deserializer::from_slice(&frame.bytes);
        let header = map(Ipld::deserialize(&mut decoder).unwrap());
        let payload = map(Ipld::deserialize(&mut decoder).unwrap());
        decoder.end().unwrap();
        Self { t: text(&header, "t").to_owned(), payload }
    }

    /// Whose doing it is.
    pub(crate) fn did(&self) -> &str {
        text(&self.payload, if self.t == "#commit" { "repo" } else { "did" })
    }

    /// The operations of a commit, in order; none of any other message.
    pub(crate) fn ops(&self) -> Vec<Op> {
        if self.t != "#commit" {
            return Vec::new();
        }
        let blocks = car(bytes(&self.payload, "blocks"));
        let op = |op: &Ipld| {
            let Ipld::Map(op) = op else { panic!("no operation: {op:?}") };
            let record = match op.get("cid") {
                Some(Ipld::Link(cid)) => Some(serde_ipld_dagcbor::from_slice(blocks[cid]).unwrap()),
                _ => None,
            };
            Op { action: text(op, "action").to_owned(), path: text(op, "path").to_owned(), record }
        };
        list(&self.payload, "ops").iter().map(op).collect()
    }
}

/// An operation with the record that it leaves.
pub(crate) struct Op {
    pub(crate) action: String,
    pub(crate) path: String,
    pub(crate) record: Option<Ipld>,
}

impl Op {
    pub(crate) fn collection(&self) -> &str {
        self.path.split_once('/').unwrap().0
    }

    pub(crate) fn is_new_post(&self) -> bool {
        self.action == "create" && self.collection() == "app.bsky.feed.post"
    }
}

/// The blocks of a CAR.
pub(crate) fn car(mut bytes: &[u8]) -> BTreeMap<Cid, &[u8]> {
    let mut sections = std::iter::from_fn(|| {
        let length = (!bytes.is_empty()).then(|| varint(&mut bytes))?;
        let (section, rest) = bytes.split_at(length);
        bytes = rest;
        Some(section)
    });
    sections.next().expect("a header");
    sections
        .map(|section| section.split_at(36))
        .map(|(cid, block)| (cid.try_into().unwrap(), block))
        .collect()
}

fn varint(bytes: &mut &[u8]) -> usize {
    let end = bytes.iter().position(|byte| byte & 0x80 == 0).unwrap() + 1;
    let (varint, rest) = bytes.split_at(end);
    *bytes = rest;
    varint.iter().rev().fold(0, |value, byte| value << 7 | usize::from(byte & 0x7f))
}

/// The blobs in a value, in the order of its canonical encoding: CID, media type, size.
pub(crate) fn blobs(value: &Ipld, found: &mut Vec<(Cid, String, i128)>) {
    match value {
        Ipld::Map(map) => match (map.get("$type"), map.get("ref"), map.get("size")) {
            (Some(Ipld::String(name)), Some(Ipld::Link(cid)), Some(Ipld::Integer(size)))
                if name == "blob" =>
            {
                found.push((*cid, text(map, "mimeType").to_owned(), *size));
            }
            _ => {
                let mut fields: Vec<_> = map.iter().collect();
                fields.sort_by_key(|(name, _)| (name.len(), *name));
                fields.into_iter().for_each(|(_, value)| blobs(value, found));
            }
        },
        Ipld::List(items) => items.iter().for_each(|item| blobs(item, found)),
        _ => {}
    }
}

pub(crate) fn map(value: Ipld) -> Map {
    match value {
        Ipld::Map(map) => map,
        other => panic!("not a map: {other:?}"),
    }
}

pub(crate) fn text<'a>(map: &'a Map, key: &str) -> &'a str {
    match map.get(key) {
        Some(Ipld::String(text)) => text,
        other => panic!("{key} is no text: {other:?}"),
    }
}

pub(crate) fn link(map: &Map, key: &str) -> Cid {
    match map.get(key) {
        Some(Ipld::Link(cid)) => *cid,
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

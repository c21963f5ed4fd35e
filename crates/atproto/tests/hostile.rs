//! Damaged frames through every decoder: none panics, none allocates by what a length field says, and what is read is
//! what the oracle reads.
//!
//! The damage is drawn from a fixed seed, so a failure comes again. `SKYTIDE_HOSTILE` sets how many frames are
//! damaged (20,000 where it is not set); with `SKYTIDE_VECTORS` real frames are among them.

#![allow(clippy::unwrap_used, reason = "a test fails by them")]
#![allow(unsafe_code, reason = "an allocator that counts is an `unsafe impl`")]

mod oracle;
mod vectors;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use oracle::{Verdict, judge};
use skytide_atproto::car::{self, Blocks, Car};
use skytide_atproto::cbor::{Cursor, Value};
use skytide_atproto::cid::Cid;
use skytide_atproto::frame::{self, Frame};
use skytide_atproto::message::{
    Account, Action, Commit, ErrorMessage, Identity, Info, Label, Labels, Message, Op, Path, Sync,
};
use skytide_atproto::mst::Tree;
use skytide_atproto::{jetstream, json, repo};

/// Counts the bytes that are allocated now, and the most that were.
struct Counting;

static NOW: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

// SAFETY: everything is handed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        MOST.fetch_max(NOW.fetch_add(layout.size(), Relaxed) + layout.size(), Relaxed);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the pointer came from `alloc` above, with this layout.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The most bytes that were allocated at once during `work`, beyond those that were before.
fn allocated(work: impl FnOnce()) -> usize {
    let before = NOW.load(Relaxed);
    MOST.store(before, Relaxed);
    work();
    MOST.load(Relaxed).saturating_sub(before)
}

/// Splitmix64: the same numbers from the same seed everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }
}

/// Heads that promise more than there is, or that DAG-CBOR has no place for, and varints of the same kind.
const HEADS: [&[u8]; 18] = [
    b"\x5b\x7f\xff\xff\xff\xff\xff\xff\xff",
    b"\x7b\x00\x00\x00\xff\xff\xff\xff\xff",
    b"\x9b\xff\xff\xff\xff\xff\xff\xff\xff",
    b"\xbb\x00\x00\x7f\xff\xff\xff\xff\xff",
    b"\x9a\x00\x98\x96\x80",
    b"\xba\x00\x98\x96\x80",
    b"\x5a\x00\x4c\x4b\x40",
    b"\x99\x10\x00",
    b"\xb9\x08\x00",
    b"\x9f",
    b"\xbf",
    b"\xff",
    b"\xd8\x2a",
    b"\xf7",
    b"\xf9\x00\x00",
    b"\xa0",
    b"\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
    b"\x80\x80\x80\x80\x10",
];

fn damage(bytes: &mut Vec<u8>, others: &[Vec<u8>], random: &mut Random) {
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len());
        let rest = bytes.len() - at;
        match random.below(10) {
            _ if bytes.is_empty() => bytes.push(random.next() as u8),
            0..=2 => bytes[at] ^= 1 << random.below(8),
            3 => bytes[at] = random.next() as u8,
            4 => bytes.truncate(at),
            5 => {
                let head = random.pick(&HEADS);
                bytes.splice(at..at + head.len().min(rest), head.iter().copied());
            }
            6 => {
                let head = *random.pick(&HEADS);
                bytes.splice(at..at, head.iter().copied());
            }
            7 => drop(bytes.drain(at..at + random.below(16).min(rest))),
            8 => {
                let other = random.pick(others);
                let from = random.below(other.len());
                let part = &other[from..(from + random.below(200)).min(other.len())];
                bytes.splice(at..at + random.below(part.len() + 1).min(rest), part.iter().copied());
            }
            _ => {
                let level = *random.pick::<&[u8]>(&[b"\x81", b"\x82\x80", b"\xa1\x60", b"\xa1\x61a"]);
                bytes.splice(at..at, level.repeat(random.below(200)));
            }
        }
    }
}

/// Frames of every kind, the commits with trees and records like real ones.
fn frames() -> Vec<Vec<u8>> {
    let time = "2026-07-04T14:38:08.999Z";
    let did = "did:plc:ewvi7nxzyoun6zhxrhs64oiz";
    let text = |text: &str| Value::Text(text.to_owned());
    let post = Value::Map(
        [
            ("$type", text("app.bsky.feed.post")),
            ("text", text("héllo, wörld")),
            ("langs", Value::List(vec![text("en"), text("pt-BR")])),
            ("createdAt", text(time)),
            (
                "numbers",
                Value::List(vec![Value::Integer(-3), Value::Float(1.5), Value::Null, Value::Bool(true)]),
            ),
            ("blob", Value::Map([("ref", Value::Link(Cid::for_raw(b"blob")))].into_iter().collect())),
            ("bytes", Value::Bytes(vec![1, 2, 3])),
        ]
        .into_iter()
        .collect(),
    )
    .to_bytes();
    let record = Cid::for_dag_cbor(&post);

    let mut frames = Vec::new();
    for size in [0, 1, 5, 40, 400] {
        let mut tree =
            Tree::from_entries((0..size).map(|number| (format!("app.bsky.feed.like/{number:04}"), record)))
                .unwrap();
        let before = tree.root();
        let key = "app.bsky.feed.post/3jzfcijpj2z2a";
        tree.insert(key, record).unwrap();
        let commit = repo::Commit {
            did: did.parse().unwrap(),
            data: tree.root(),
            rev: "3jzfcijpj2z2a".parse().unwrap(),
            prev: None,
            sig: [7; 64],
        };
        let block = commit.to_bytes();
        let cid = Cid::for_dag_cbor(&block);
        let mut blocks = vec![(cid, block)];
        blocks.extend(tree.proof_blocks([key]).unwrap());
        blocks.push((record, post.clone()));
        let path = Path { collection: "app.bsky.feed.post", rkey: "3jzfcijpj2z2a" };
        let message = Message::Commit(Commit {
            ops: vec![Op { cid: Some(record), path, prev: None, action: Action::Create }],
            rev: "3jzfcijpj2z2a",
            seq: 31_527_015_322,
            prev: None,
            repo: did,
            time,
            blobs: Some(Vec::new()),
            since: Some("3jzfcijpj2z22"),
            blocks: &car::write(&[cid], blocks),
            commit: cid,
            rebase: Some(false),
            too_big: Some(false),
            prev_data: Some(before),
        });
        frames.push(message.to_frame_bytes());
    }
    let blocks = car::write(&[record], [(record, &post)]);
    let label = Label {
        cid: None,
        cts: time,
        exp: Some(time),
        neg: Some(true),
        sig: Some(&[7; 64]),
        src: did,
        uri: "at://did:plc:ewvi7nxzyoun6zhxrhs64oiz/app.bsky.feed.post/3jzfcijpj2z2a",
        val: "spam",
        ver: Some(1),
    };
    frames.extend(
        [
            Message::Sync(Sync { did, rev: "3jzfcijpj2z2a", seq: 1, time, blocks: &blocks }),
            Message::Identity(Identity { did, seq: 2, time, handle: Some("example.com") }),
            Message::Account(Account { did, seq: 3, time, active: false, status: Some("suspended") }),
            Message::Labels(Labels { seq: 4, labels: vec![label.clone(), label] }),
            Message::Info(Info { name: "OutdatedCursor", message: None }),
            Message::Error(ErrorMessage { error: "FutureCursor", message: Some("ahead") }),
        ]
        .map(|message| message.to_frame_bytes()),
    );
    frames
}

/// Real frames, where the folder is given.
fn real_frames() -> Vec<Vec<u8>> {
    if std::env::var_os("SKYTIDE_VECTORS").is_some() { vectors::frames() } else { Vec::new() }
}

/// Runs `decode` on `bytes`, which may allocate `times` as many bytes as it is given, and a page.
fn bounded<'b>(name: &str, bytes: &'b [u8], times: usize, decode: impl FnOnce(&'b [u8])) {
    let most = allocated(|| decode(bytes));
    let limit = if times == 0 { 0 } else { times * bytes.len() + 16_384 };
    assert!(most <= limit, "{name} allocated {most} bytes for {}: {bytes:02x?}", bytes.len());
}

/// Counts of what the decoders made of the frames, so that a run shows that it reached them.
#[derive(Debug, Default)]
struct Outcomes {
    messages: usize,
    refused: usize,
    records: usize,
    trees: usize,
    events: usize,
    values: usize,
    other_cids: usize,
    deeper: usize,
}

/// The query-driven decode, where it is built.
#[cfg(feature = "arrow")]
mod columns {
    use skytide_atproto::columns::{Clock, Decoder, PathStep, StreamKind, Wanted, WantedStream};
    use skytide_atproto::message::Action;
    use skytide_atproto::records::RecordType;

    pub(crate) struct Columns(Decoder);

    impl Columns {
        /// Wants whole points, and one leaf of a record.
        pub(crate) fn new() -> Columns {
            let stream = |of, columns| WantedStream { of, keyed: true, columns, tests: vec![] };
            let records = |nsid: &str| {
                let shape = std::sync::Arc::clone(&RecordType::by_nsid(nsid).unwrap().shape);
                StreamKind::Records { collection: nsid.to_owned(), action: Action::Create, shape }
            };
            let language = ["record", "langs"].map(|name| PathStep::Field(name.to_owned())).into_iter();
            let language = language.chain([PathStep::Index(0)]).collect();
            let streams = vec![
                stream(records("app.bsky.feed.post"), vec![vec![], language]),
                stream(records("app.bsky.feed.like"), vec![vec![]]),
                stream(StreamKind::Identities, vec![vec![]]),
                stream(StreamKind::Accounts, vec![vec![]]),
                stream(StreamKind::Syncs, vec![vec![]]),
                stream(StreamKind::Labels, vec![vec![]]),
            ];
            Columns(Decoder::new(&Wanted { streams, clock: Clock::FrameTime }).unwrap())
        }

        pub(crate) fn decode(&mut self, bytes: &[u8]) {
            super::bounded("columns", bytes, 64, |bytes| drop(self.0.push(bytes, 0)));
            // What was kept of frames before is none of the next one's.
            drop(self.0.take());
        }
    }
}

#[cfg(not(feature = "arrow"))]
mod columns {
    pub(crate) struct Columns;

    impl Columns {
        pub(crate) fn new() -> Columns {
            Columns
        }

        pub(crate) fn decode(&mut self, _: &[u8]) {}
    }
}

fn decode_frame(bytes: &[u8], columns: &mut columns::Columns, outcomes: &mut Outcomes) {
    columns.decode(bytes);
    bounded("skip", bytes, 0, |bytes| {
        let mut cursor = Cursor::new(bytes);
        while !cursor.is_at_end() && cursor.skip().is_ok() {}
    });
    bounded("check", bytes, 0, |bytes| {
        let mut cursor = Cursor::new(bytes);
        while !cursor.is_at_end() && cursor.check().is_ok() {}
    });
    // What is refused may be quoted.
    bounded("peek", bytes, 2, |bytes| drop(frame::peek(bytes)));
    // An item of one byte is a `Value` of 48, in a list that grows by doubling.
    bounded("value", bytes, 160, |bytes| drop(Cursor::new(bytes).read_value()));
    bounded("message", bytes, 64, |bytes| {
        let message = Frame::parse(bytes).and_then(|frame| Message::parse(&frame));
        match message {
            Ok(Message::Commit(commit)) => {
                outcomes.messages += 1;
                outcomes.records +=
                    commit.ops().map_or(0, |ops| ops.iter().filter(|op| op.record.is_some()).count());
            }
            Ok(_) => outcomes.messages += 1,
            Err(_) => outcomes.refused += 1,
        }
    });
    bounded("jetstream", bytes, 64, |bytes| {
        if let Ok(frame) = Frame::parse(bytes) {
            drop(jetstream::write_events(&frame, 0, |_| true, &mut String::new()));
        }
    });
    decode_events(bytes, outcomes);
    if let Ok(Message::Commit(Commit { blocks, .. }) | Message::Sync(Sync { blocks, .. })) =
        Frame::parse(bytes).and_then(|frame| Message::parse(&frame))
    {
        decode_car(blocks, outcomes);
    }
    // Whole items as the oracle reads them: the header, and the payload after it.
    let mut cursor = Cursor::new(bytes);
    if cursor.skip().is_ok() {
        for item in [&bytes[..cursor.position()], cursor.remaining()] {
            match judge(item) {
                Verdict::Read(_) => outcomes.values += 1,
                Verdict::OtherCid => outcomes.other_cids += 1,
                Verdict::Deeper => outcomes.deeper += 1,
                Verdict::IndefiniteKey | Verdict::Refused(_) => {}
            }
        }
    }
}

/// The events of a frame, each made a frame again; and the frame's own bytes as if they were an event.
fn decode_events(bytes: &[u8], outcomes: &mut Outcomes) {
    let mut lines = String::new();
    if let Ok(frame) = Frame::parse(bytes) {
        jetstream::write_events(&frame, 0, |_| true, &mut lines).unwrap_or_default();
    }
    for event in lines.lines().map(str::as_bytes).chain([bytes]) {
        bounded("event", event, 160, |event| {
            outcomes.events += usize::from(jetstream::frame_of(event).is_ok());
        });
    }
}

fn decode_car(bytes: &[u8], outcomes: &mut Outcomes) {
    let mut sections = Vec::new();
    bounded("car", bytes, 0, |bytes| {
        if let Ok(car) = Car::parse(bytes) {
            car.roots().for_each(drop);
            car.blocks().for_each(drop);
        }
    });
    if let Ok(car) = Car::parse(bytes) {
        sections.extend(car.blocks().map_while(Result::ok));
    }
    // A block takes 37 bytes at least, and its place in the map about 60.
    bounded("blocks", bytes, 8, |bytes| drop(Blocks::read(bytes)));
    for (cid, block) in &sections {
        bounded("commit", block, 4, |block| drop(repo::Commit::parse(block)));
        bounded("json", block, 64, |block| {
            json::write(&mut Cursor::new(block), &mut String::new()).unwrap_or(());
        });
        // As if the hashes had been checked: a tree that is refused by them is one that the loader never sees.
        let given = |wanted: &Cid| sections.iter().find(|(cid, _)| cid == wanted).map(|(_, block)| *block);
        bounded("tree", bytes, 64, |_| {
            if let Ok(tree) = Tree::load(*cid, given) {
                outcomes.trees += 1;
                tree.walk().for_each(drop);
            }
        });
    }
}

/// Items that promise, on each level, as many items as there are bytes left.
fn promises(length: usize) -> Vec<Vec<u8>> {
    let nested = |head: u8, key: &[u8], size: usize| {
        let mut bytes = Vec::new();
        while bytes.len() + 5 + key.len() <= length {
            let left = (length - bytes.len() - 5) / size;
            bytes.push(head);
            bytes.extend_from_slice(&u32::try_from(left).unwrap().to_be_bytes());
            bytes.extend_from_slice(key);
        }
        bytes
    };
    // The most that can be kept, and promises that are not.
    let flat = |head: u8, item: &[u8]| [&[head, 0x00, 0x01, 0x00, 0x00][..], &item.repeat(1 << 16)].concat();
    vec![
        nested(0x9a, b"", 1),
        nested(0xba, b"\x60", 2),
        nested(0x9a, b"\x80", 1),
        flat(0x9a, b"\x00"),
        flat(0x9a, b"\x80"),
        flat(0x9a, b"\xa1\x60\x80"),
    ]
}

/// A node whose keys all share a prefix of nearly all that a key may have.
fn long_keys() -> Vec<u8> {
    let keys: Vec<String> = (0..4000)
        .map(|number| format!("a/{}{number:04}", "b".repeat(1018)))
        .filter(|key| skytide_atproto::mst::height(key) == 0)
        .collect();
    let value = Cid::for_raw(b"");
    let tree = Tree::from_entries(keys.iter().map(|key| (key.as_str(), value))).unwrap();
    let mut blocks = tree.blocks();
    assert_eq!(blocks.len(), 1);
    car::write(&[blocks[0].0], [blocks.remove(0)])
}

#[test]
fn damaged_frames_are_refused_or_read_as_the_oracle_reads_them() {
    let count: usize = std::env::var("SKYTIDE_HOSTILE").map_or(20_000, |count| count.parse().unwrap());
    let mut frames = frames();
    let made = frames.len();
    let mut columns = columns::Columns::new();
    frames.extend(real_frames());
    let mut outcomes = Outcomes::default();
    for bytes in &frames {
        decode_frame(bytes, &mut columns, &mut outcomes);
    }
    assert_eq!((outcomes.refused, outcomes.messages), (0, frames.len()), "undamaged, all are read");
    assert!(outcomes.records >= 5 && outcomes.trees >= 5 && outcomes.values == 2 * frames.len());

    let mut crafted = Outcomes::default();
    for bytes in promises(100_000) {
        decode_frame(&bytes, &mut columns, &mut crafted);
    }
    decode_car(&long_keys(), &mut crafted);
    assert_eq!((crafted.trees, crafted.messages), (1, 0));

    let mut random = Random(1);
    let mut outcomes = Outcomes::default();
    for _ in 0..count {
        // Our own frames are few and small; real ones, where there are any, are drawn as often.
        let frame = if random.below(2) == 0 { random.below(made) } else { random.below(frames.len()) };
        let mut bytes = frames[frame].clone();
        damage(&mut bytes, &frames, &mut random);
        decode_frame(&bytes, &mut columns, &mut outcomes);
    }
    // Each way was taken, in a fair share of the frames.
    let Outcomes { messages, refused, records, trees, events, values, other_cids, deeper } = outcomes;
    assert_eq!(messages + refused, count);
    for taken in [messages, refused, records, trees, events, values] {
        assert!(taken > count / 50, "{outcomes:?}");
    }
    assert!(count < 20_000 || (other_cids > 0 && deeper > 0), "{outcomes:?}");
}

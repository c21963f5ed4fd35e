//! What a labeler says is signed, is about what is there, and takes back only what was said.

use std::collections::{BTreeMap, HashMap, HashSet};

use ipld_core::ipld::Ipld;
use skytide_atproto::frame::Frame as Parsed;
use skytide_atproto::message::Message;
use skytide_atproto::syntax::parse_time;
use skytide_sim::{Config, FrameSource as _, Labeler, LabelerConfig, Network, SimFrame};

use crate::decoder::{Map, check_signature, frame, link, list, text};

fn config() -> LabelerConfig {
    let network = Config { seed: 4, accounts: 80, rate: 100, ..Config::default() };
    LabelerConfig { network, rate: 50, first_seq: 100, negations: 100, expiring: 60 }
}

/// The labels of a frame.
fn labels(sent: &SimFrame) -> Vec<Map> {
    let frame = frame(&sent.bytes);
    assert_eq!(frame.kind, "#labels");
    assert_eq!(frame.payload.get("seq"), Some(&Ipld::Integer(sent.seq.into())));
    let label = |label: &Ipld| match label {
        Ipld::Map(label) => label.clone(),
        other => panic!("a label is no map: {other:?}"),
    };
    list(&frame.payload, "labels").iter().map(label).collect()
}

fn time(label: &Map, key: &str) -> i64 {
    parse_time(&text(label, key)).expect("a time")
}

#[test]
fn labels_are_signed_and_in_order() {
    let mut labeler = Labeler::new(config());
    let (did, key) = (labeler.did().to_owned(), labeler.did_key());
    assert!(key.starts_with("did:key:zQ3s"), "a K-256 key");
    let dids: HashSet<_> =
        Network::new(config().network).accounts().iter().map(|account| account.did().to_owned()).collect();
    assert!(!dids.contains(&did));

    // The identity of a label, and the `cts` of the newest that stands.
    let mut standing: HashMap<(String, String), i64> = HashMap::new();
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    let mut values = HashSet::new();
    let mut newest = 0;
    for (sent, seq) in labeler.by_ref().take(2_000).zip(100..) {
        assert_eq!(sent.seq, seq);
        let labels = labels(&sent);
        assert!((1..=5).contains(&labels.len()));
        assert_eq!(labels.iter().map(|label| time(label, "cts")).max(), Some(sent.time));
        for label in labels {
            check_signature(&label, &key);
            assert_eq!((text(&label, "src"), label.get("ver")), (did.clone(), Some(&Ipld::Integer(1))));
            let (uri, val, cts) = (text(&label, "uri"), text(&label, "val"), time(&label, "cts"));
            let mut see = |what| *seen.entry(what).or_default() += 1;
            match uri.strip_prefix("at://") {
                Some(path) => {
                    let (account, record) = path.split_once('/').expect("a record");
                    assert!(dids.contains(account) && record.starts_with("app.bsky.feed.post/"));
                    see(if label.contains_key("cid") { "of a version" } else { "of a record" });
                }
                None => {
                    assert!(dids.contains(&uri) && !label.contains_key("cid"));
                    see("of an account");
                }
            }
            if label.contains_key("exp") {
                assert!(time(&label, "exp") > cts);
                see("ends");
            }
            let identity = (uri, val.clone());
            match label.get("neg") {
                Some(Ipld::Bool(true)) => {
                    let given = standing.remove(&identity).expect("given before, and not taken back yet");
                    assert!(given < cts, "what takes back is later");
                    see("taken back");
                }
                neg => {
                    see(if neg.is_some() { "neg: false" } else { "given" });
                    standing.insert(identity, cts);
                    values.insert(val);
                }
            }
            assert!(cts > newest - 1_000_000_000, "near the clock");
            newest = newest.max(cts);
        }
    }
    for (what, least) in [
        ("of an account", 400),
        ("of a record", 500),
        ("of a version", 500),
        ("ends", 60),
        ("taken back", 100),
        ("neg: false", 30),
        ("given", 1_500),
    ] {
        assert!(seen.get(what).is_some_and(|count| *count >= least), "{what}: {seen:?}");
    }
    for val in ["porn", "sexual", "spam", "!hide", "!warn", "!takedown"] {
        assert!(values.contains(val), "{val}: {values:?}");
    }
    // 2,000 frames at 50 a second.
    let passed = newest - config().network.start;
    assert!((35_000_000_000..45_000_000_000).contains(&passed), "{passed}");
}

#[test]
fn labelled_records_are_those_of_the_network() {
    let versions: HashMap<String, String> = Network::new(config().network)
        .take(3_000)
        .map(|sent| frame(&sent.bytes))
        .filter(|sent| sent.kind == "#commit")
        .flat_map(|sent| {
            let repo = text(&sent.payload, "repo");
            let ops = list(&sent.payload, "ops").to_vec();
            ops.into_iter().filter_map(move |op| match op {
                Ipld::Map(op) => {
                    let cid = link(&op, "cid")?.to_string();
                    Some((format!("at://{repo}/{}", text(&op, "path")), cid))
                }
                _ => None,
            })
        })
        .collect();
    let mut found = 0;
    for label in Labeler::new(config()).take(1_500).flat_map(|sent| labels(&sent)) {
        if label.contains_key("cid")
            && let Some(cid) = versions.get(&text(&label, "uri"))
        {
            assert_eq!(*cid, text(&label, "cid"));
            found += 1;
        }
    }
    assert!(found > 20, "{found}");
}

#[test]
fn any_labeler_is_read_and_repeats() {
    for config in [
        LabelerConfig::default(),
        config(),
        LabelerConfig { network: Config { accounts: 0, ..Config::default() }, negations: 1_000, ..config() },
        LabelerConfig { network: Config { start: i64::MIN, ..config().network }, rate: 0, ..config() },
        LabelerConfig {
            network: Config { start: i64::MAX, ..config().network },
            expiring: 1_000,
            ..config()
        },
        LabelerConfig { negations: 0, expiring: 0, rate: u32::MAX, ..config() },
    ] {
        let (mut labeler, mut out) = (Labeler::new(config), Vec::new());
        for sent in Labeler::new(config).take(60) {
            out.clear();
            assert_eq!(labeler.next_into(&mut out), Some(Some(sent.seq)));
            assert_eq!(out, sent.bytes);
            let parsed = Parsed::parse(&out).unwrap();
            let Message::Labels(message) = Message::parse(&parsed).unwrap() else { panic!("no labels") };
            assert_eq!(message.seq, sent.seq);
        }
    }
    let first = |seed| {
        Labeler::new(LabelerConfig { network: Config { seed, ..Config::default() }, ..config() }).next_frame()
    };
    assert_ne!(first(1), first(2));
}

//! CAR files: a whole repository as published, and headers and blocks that break a rule.

mod vectors;

use proptest::prelude::*;
use skytide_atproto::car::{self, Blocks, Car, Error, Rule};
use skytide_atproto::cbor;
use skytide_atproto::cid::{Cid, CidError};
use skytide_atproto::mst::Tree;
use skytide_atproto::repo::{Commit, CommitError};

#[test]
#[ignore = "needs SKYTIDE_VECTORS"]
fn a_published_repository_is_read_whole() {
    let bytes = vectors::bytes("repo-car/repo.car");
    let blocks = Blocks::read(&bytes).unwrap();
    let [root] = blocks.roots() else { panic!("one root") };
    let commit = Commit::parse(blocks.get(root).unwrap()).unwrap();
    assert_eq!(Cid::for_dag_cbor(&commit.to_bytes()), *root);

    let described = vectors::text("repo-car/car_expected_commit.txt");
    let said = |name: &str| {
        described.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("{name}")).trim()
    };
    assert_eq!(commit.did.as_str(), said("DID:"));
    assert_eq!(commit.data.to_string(), said("Data CID:"));
    assert_eq!(commit.rev.to_string(), said("Revision:"));
    assert_eq!((commit.prev, said("Prev CID:")), (None, "<nil>"));

    let tree = Tree::load(commit.data, |cid| blocks.get(cid)).unwrap();
    let records: Vec<(&str, Cid)> = tree.walk().collect::<Result<_, _>>().unwrap();
    let expected = vectors::text("repo-car/car_expected_records.tsv");
    let expected: Vec<(&str, Cid)> = expected
        .lines()
        .map(|line| line.split_once('\t').unwrap())
        .map(|(key, cid)| (key, cid.parse().unwrap()))
        .collect();
    assert_eq!(records, expected);
    assert_eq!(records.len(), 23);
    for (_, cid) in &records {
        cbor::Value::from_bytes(blocks.get(cid).unwrap()).unwrap();
    }

    let built = Tree::from_entries(expected).unwrap();
    assert_eq!(built.root(), commit.data);
    // Each block is the commit, a node or a record, and there are no others.
    let nodes = built.blocks();
    assert!(nodes.iter().all(|(cid, block)| blocks.get(cid) == Some(block)));
    let mut used: Vec<Cid> =
        nodes.iter().map(|(cid, _)| *cid).chain(records.iter().map(|(_, cid)| *cid)).collect();
    used.push(*root);
    used.sort();
    used.dedup();
    assert_eq!(used.len(), blocks.len());

    let mut broken = bytes;
    *broken.last_mut().unwrap() ^= 1;
    assert_eq!(Blocks::read(&broken).unwrap_err().rule, Rule::Hash);
}

fn sample() -> (Cid, Vec<u8>) {
    let block = b"\xa0".to_vec();
    let cid = Cid::for_dag_cbor(&block);
    (cid, car::write(&[cid], [(cid, &block), (cid, &block)]))
}

#[test]
fn what_is_written_is_read() {
    let (cid, bytes) = sample();
    let car = Car::parse(&bytes).unwrap();
    assert_eq!(car.root(), Some(cid));
    assert_eq!(car.roots().collect::<Vec<_>>(), [cid]);
    assert_eq!(car.blocks().collect::<Vec<_>>(), [Ok((cid, &b"\xa0"[..])), Ok((cid, &b"\xa0"[..]))]);
    let blocks = Blocks::read(&bytes).unwrap();
    assert_eq!((blocks.len(), blocks.get(&cid)), (1, Some(&b"\xa0"[..])));
    assert_eq!(Car::parse(&car::write(&[], Vec::<(Cid, Vec<u8>)>::new())).unwrap().root(), None);
}

#[test]
fn headers_that_break_a_rule_are_refused_by_it() {
    let header = |header: &[u8]| {
        let bytes = [&[header.len() as u8], header].concat();
        Car::parse(&bytes).map(|car| car.roots().count()).map_err(|error| error.rule)
    };
    assert_eq!(header(b"\xa2\x65roots\x80\x67version\x01"), Ok(0));
    assert_eq!(header(b"\xa2\x65roots\x80\x67version\x02"), Err(Rule::Version));
    assert_eq!(header(b"\xa1\x67version\x02"), Err(Rule::Version));
    assert_eq!(header(b"\xa1\x67version\x01"), Err(Rule::HeaderFields));
    assert_eq!(header(b"\xa1\x65roots\x80"), Err(Rule::HeaderFields));
    assert_eq!(header(b"\xa3\x61a\x00\x65roots\x80\x67version\x01"), Err(Rule::HeaderFields));
    assert_eq!(header(b"\xa2\x65roots\x80\x67version\x01\x00"), Err(Rule::Header(cbor::Rule::Trailing)));
    assert_eq!(header(b"\xa2\x67version\x01\x65roots\x80"), Err(Rule::Header(cbor::Rule::KeyOrder)));
    assert_eq!(
        header(b"\xa2\x65roots\x9b\xff\xff\xff\xff\xff\xff\xff\xff"),
        Err(Rule::Header(cbor::Rule::End))
    );
    // One root, as nearly all have it, and what is nearly that.
    let one = |cid: &[u8], version: &[u8]| {
        header(&[b"\xa2\x65roots\x81\xd8\x2a\x58\x25\x00", cid, version].concat())
    };
    let cid = Cid::for_raw(b"");
    assert_eq!(one(cid.as_bytes(), b"\x67version\x01"), Ok(1));
    assert_eq!(one(cid.as_bytes(), b"\x67version\x02"), Err(Rule::Version));
    assert_eq!(one(cid.as_bytes(), b"\x67versioN\x01"), Err(Rule::HeaderFields));
    let other = Err(Rule::Header(cbor::Rule::Cid(CidError::Version)));
    assert_eq!(one(&[0; Cid::LENGTH], b"\x67version\x01"), other);
    assert_eq!(header(b""), Err(Rule::Header(cbor::Rule::End)));
    assert_eq!(Car::parse(b"").unwrap_err(), Error { at: 0, rule: Rule::End });
    assert_eq!(Car::parse(b"\x80").unwrap_err().rule, Rule::End);
    assert_eq!(Car::parse(b"\x81\x00\xa0").unwrap_err().rule, Rule::Varint);
    assert_eq!(Car::parse(&[0xff; 20]).unwrap_err().rule, Rule::Varint);
    assert_eq!(Car::parse(b"\xff\xff\xff\xff\xff\xff\xff\xff\x7f\xa0").unwrap_err().rule, Rule::End);
}

#[test]
fn blocks_that_break_a_rule_are_refused_by_it_and_end_the_file() {
    let (_, bytes) = sample();
    let header = usize::from(bytes[0]) + 1;
    let broken = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = bytes.clone();
        change(&mut bytes);
        let mut blocks = Car::parse(&bytes).unwrap().blocks();
        let error = blocks.find_map(Result::err).unwrap();
        assert!(blocks.next().is_none());
        (error.at - header, error.rule)
    };
    assert_eq!(broken(&|bytes| bytes[header] = 35), (1, Rule::ShortBlock));
    assert_eq!(broken(&|bytes| bytes[header] = 0), (1, Rule::ShortBlock));
    assert_eq!(broken(&|bytes| bytes[header] = 0x7f), (0, Rule::End));
    assert_eq!(broken(&|bytes| bytes.truncate(header + 37)), (0, Rule::End));
    assert_eq!(broken(&|bytes| bytes[header + 2] = 0x70), (1, Rule::Cid(CidError::Codec)));
    assert_eq!(broken(&|bytes| bytes[header + 39] = 0x12), (39, Rule::Cid(CidError::Version)));
    assert_eq!(broken(&|bytes| bytes.push(0x80)), (76, Rule::End));
}

#[test]
fn commit_objects_that_break_a_rule_are_refused_by_it() {
    let commit = Commit {
        did: "did:plc:ewvi7nxzyoun6zhxrhs64oiz".parse().unwrap(),
        data: Cid::for_dag_cbor(&[0xa0]),
        rev: "3jzfcijpj2z2a".parse().unwrap(),
        prev: None,
        sig: [7; 64],
    };
    assert_eq!(Commit::parse(&commit.to_bytes()), Ok(commit.clone()));
    let with_prev = Commit { prev: Some(commit.data), ..commit.clone() };
    assert_eq!(Commit::parse(&with_prev.to_bytes()), Ok(with_prev));
    assert_eq!(Commit::parse(&commit.unsigned_bytes()), Err(CommitError::Missing("sig")));

    let value = cbor::Value::from_bytes(&commit.to_bytes()).unwrap();
    let changed = |key: &str, to: Option<cbor::Value>| {
        let cbor::Value::Map(mut map) = value.clone() else { panic!("a map") };
        match to {
            Some(to) => map.insert(key, to),
            None => map.remove(key),
        };
        Commit::parse(&cbor::Value::Map(map).to_bytes())
    };
    for key in ["did", "rev", "sig", "data", "prev", "version"] {
        assert!(matches!(changed(key, None), Err(CommitError::Missing(missing)) if missing == key));
        let wrong = changed(key, Some(cbor::Value::Bool(true)));
        assert!(matches!(wrong, Err(CommitError::Cbor(cbor::Error { rule: cbor::Rule::Expected(_), .. }))));
    }
    let text = |text: &str| Some(cbor::Value::Text(text.to_owned()));
    assert_eq!(changed("version", Some(cbor::Value::Integer(2))), Err(CommitError::Version(2)));
    assert!(matches!(changed("did", text("did:plc")), Err(CommitError::Did(_))));
    assert!(matches!(changed("rev", text("3")), Err(CommitError::Rev(_))));
    assert_eq!(changed("sig", Some(cbor::Value::Bytes(vec![0; 63]))), Err(CommitError::Signature(63)));
    // What version 3 does not know is ignored.
    assert_eq!(changed("more", text("")), Ok(commit));
}

proptest! {
    #[test]
    fn any_blocks_are_written_and_read(blocks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..8)) {
        let blocks: Vec<(Cid, Vec<u8>)> = blocks.into_iter().map(|block| (Cid::for_raw(&block), block)).collect();
        let roots: Vec<Cid> = blocks.iter().map(|(cid, _)| *cid).collect();
        let bytes = car::write(&roots, blocks.iter().cloned());
        let car = Car::parse(&bytes).unwrap();
        prop_assert_eq!(car.roots().collect::<Vec<_>>(), roots);
        let read: Vec<(Cid, Vec<u8>)> = car.blocks().map(|block| block.map(|(cid, block)| (cid, block.to_vec())).unwrap()).collect();
        prop_assert_eq!(read, blocks);
        for end in 0..bytes.len() {
            // Cut off anywhere, the file is refused or lacks whole blocks at its end.
            if let Ok(cut) = Blocks::read(&bytes[..end]) {
                prop_assert!(cut.iter().all(|(cid, block)| cid.matches(block)));
            }
        }
    }
}

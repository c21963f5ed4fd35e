//! DAG-CBOR: each rule, and generated and damaged items against the oracle.

mod oracle;

use oracle::{Verdict, judge};
use proptest::prelude::*;
use skytide_atproto::cbor::{Cursor, Encoder, Error, Kind, MAX_DEPTH, Map, MapKeys, Rule, Value};
use skytide_atproto::cid::{Cid, CidError};

#[test]
fn each_rule_is_broken_by_what_breaks_it() {
    let link = |prefix: &[u8]| [b"\xd8\x2a\x58\x25\x00", prefix, &[0; 32]].concat();
    let cases: &[(&[u8], usize, Rule)] = &[
        (b"", 0, Rule::End),
        (b"\x62a", 1, Rule::End),
        (b"\x19\x01", 1, Rule::End),
        (b"\xfb\x00", 1, Rule::End),
        (b"\x5b\xff\xff\xff\xff\xff\xff\xff\xff", 9, Rule::End),
        (b"\x83\x01\x02", 0, Rule::End),
        (b"\xa1\x61a", 3, Rule::End),
        (b"\xbb\x7f\xff\xff\xff\xff\xff\xff\xff", 0, Rule::End),
        (b"\x00\x00", 1, Rule::Trailing),
        (b"\x18\x17", 0, Rule::NotMinimal),
        (b"\x19\x00\xff", 0, Rule::NotMinimal),
        (b"\x1a\x00\x00\xff\xff", 0, Rule::NotMinimal),
        (b"\x1b\x00\x00\x00\x00\xff\xff\xff\xff", 0, Rule::NotMinimal),
        (b"\x78\x01a", 0, Rule::NotMinimal),
        (b"\xd9\x00\x2a\x41\x00", 0, Rule::NotMinimal),
        (b"\x1c", 0, Rule::Reserved),
        (b"\xfc", 0, Rule::Reserved),
        (b"\x5f\x41a\xff", 0, Rule::Indefinite),
        (b"\x9f\xff", 0, Rule::Indefinite),
        (b"\xff", 0, Rule::Indefinite),
        (b"\xc1\x00", 0, Rule::Tag),
        (b"\xd8\x2b\x40", 0, Rule::Tag),
        (b"\xd8\x2a\x60", 0, Rule::Link),
        (b"\xd8\x2a\x40", 0, Rule::Link),
        (b"\xd8\x2a\x41\x01", 0, Rule::Link),
        (b"\xd8\x2a\x41\x00", 0, Rule::Cid(CidError::Length)),
        (&link(b"\x12\x20\x00\x00"), 0, Rule::Cid(CidError::Version)),
        (&link(b"\x01\x70\x12\x20"), 0, Rule::Cid(CidError::Codec)),
        (&link(b"\x01\x71\x1e\x20"), 0, Rule::Cid(CidError::Hash)),
        (b"\xf7", 0, Rule::Simple),
        (b"\xe0", 0, Rule::Simple),
        (b"\xf8\x20", 0, Rule::Simple),
        (b"\xf9\x3c\x00", 0, Rule::FloatWidth),
        (b"\xfa\x3f\x80\x00\x00", 0, Rule::FloatWidth),
        (b"\xfb\x7f\xf8\x00\x00\x00\x00\x00\x00", 0, Rule::FloatNotFinite),
        (b"\xfb\xff\xf0\x00\x00\x00\x00\x00\x00", 0, Rule::FloatNotFinite),
        (b"\xfb\x80\x00\x00\x00\x00\x00\x00\x00", 0, Rule::FloatNegativeZero),
        (b"\x82\x00\x61\xff", 2, Rule::Utf8),
        (b"\xa1\x61\xff\x00", 1, Rule::Utf8),
        (b"\xa1\x00\x00", 1, Rule::KeyNotText),
        (b"\xa1\x41a\x00", 1, Rule::KeyNotText),
        (b"\xa2\x61b\x00\x61a\x00", 4, Rule::KeyOrder),
        (b"\xa2\x62aa\x00\x61b\x00", 5, Rule::KeyOrder),
        (b"\xa2\x61a\x00\x61a\x00", 4, Rule::KeyDuplicate),
        (&[0x81; MAX_DEPTH + 1], MAX_DEPTH, Rule::Depth),
    ];
    for (bytes, at, rule) in cases {
        assert_eq!(Value::from_bytes(bytes), Err(Error { at: *at, rule: *rule }), "{bytes:02x?}");
        match judge(bytes) {
            Verdict::Refused(refused) => assert_eq!(refused, *rule),
            Verdict::OtherCid => assert!(matches!(rule, Rule::Cid(_))),
            other => panic!("{bytes:02x?}: {other:?}"),
        }
    }
}

#[test]
fn the_differences_from_the_oracle_are_these() {
    let link = [b"\xd8\x2a\x58\x25\x00\x01\x70\x12\x20", &[0; 32][..]].concat();
    assert_eq!(judge(&link), Verdict::OtherCid);
    let deep = |depth: usize| [vec![0x81; depth], vec![0x00]].concat();
    assert!(matches!(judge(&deep(MAX_DEPTH)), Verdict::Read(_)));
    assert_eq!(judge(&deep(MAX_DEPTH + 1)), Verdict::Deeper);
    assert_eq!(judge(b"\xa1\x7f\x60\xff\x01"), Verdict::IndefiniteKey);
}

#[test]
fn typed_reads_say_what_they_expected() {
    let expected = |kind| Error { at: 0, rule: Rule::Expected(kind) };
    let text = Cursor::new(b"\x61a");
    assert_eq!({ text }.read_u64(), Err(expected(Kind::Unsigned)));
    assert_eq!({ text }.read_i64(), Err(expected(Kind::Unsigned)));
    assert_eq!({ text }.read_integer(), Err(expected(Kind::Unsigned)));
    assert_eq!({ text }.read_bool(), Err(expected(Kind::Bool)));
    assert_eq!({ text }.read_null(), Err(expected(Kind::Null)));
    assert_eq!({ text }.read_f64(), Err(expected(Kind::Float)));
    assert_eq!({ text }.read_bytes(), Err(expected(Kind::Bytes)));
    assert_eq!({ text }.read_link(), Err(expected(Kind::Link)));
    assert_eq!({ text }.read_list(), Err(expected(Kind::List)));
    assert_eq!({ text }.read_map(), Err(expected(Kind::Map)));
    assert_eq!(Cursor::new(b"\x00").read_text(), Err(expected(Kind::Text)));
    // A head that no item has is refused as itself, whatever was asked for.
    assert_eq!(Cursor::new(b"\xf7").read_text(), Err(Error { at: 0, rule: Rule::Simple }));

    assert_eq!(Cursor::new(b"\x3b\x7f\xff\xff\xff\xff\xff\xff\xff").read_i64(), Ok(i64::MIN));
    assert_eq!(Cursor::new(b"\x1b\x7f\xff\xff\xff\xff\xff\xff\xff").read_i64(), Ok(i64::MAX));
    for beyond in [b"\x1b\x80\x00\x00\x00\x00\x00\x00\x00", b"\x3b\x80\x00\x00\x00\x00\x00\x00\x00"] {
        assert_eq!(Cursor::new(beyond).read_i64(), Err(Error { at: 0, rule: Rule::IntegerRange }));
    }
}

#[test]
fn a_hop_checks_heads_and_depth_and_nothing_else() {
    let skip = |bytes: &[u8]| {
        let mut cursor = Cursor::new(bytes);
        cursor.skip().map(|()| cursor.position()).map_err(|error| error.rule)
    };
    // Order, duplicates, UTF-8 and CIDs reach nobody who hops.
    assert_eq!(skip(b"\xa2\x61b\x00\x61a\x00\x00"), Ok(7));
    assert_eq!(skip(b"\x61\xff"), Ok(2));
    assert_eq!(skip(b"\xd8\x2a\x41\x00"), Ok(4));
    assert_eq!(skip(b"\x82\x80\x80"), Ok(3));
    assert_eq!(skip(b"\x82\x80"), Err(Rule::End));
    assert_eq!(skip(b"\x81\x18\x00"), Err(Rule::NotMinimal));
    assert_eq!(skip(b"\x81\xc1\x00"), Err(Rule::Tag));
    assert_eq!(skip(b"\xd8\x2a\x80"), Err(Rule::Link));
    assert_eq!(skip(b"\x9f\xff"), Err(Rule::Indefinite));
    let deep = |depth: usize| [vec![0x81; depth], vec![0x00]].concat();
    assert_eq!(skip(&deep(MAX_DEPTH)), Ok(MAX_DEPTH + 1));
    assert_eq!(skip(&deep(MAX_DEPTH + 1)), Err(Rule::Depth));
    // However many levels are open at the end, each closes.
    assert_eq!(skip(b"\x82\x82\x82\x00\x00\x00\x00\x00"), Ok(7));
    // A list of lists is as deep as one of its lists.
    assert_eq!(skip(&[&[0x98, 200][..], &[0x81, 0x00].repeat(200)].concat()), Ok(402));
}

#[test]
fn a_prefix_is_taken_or_left() {
    let mut cursor = Cursor::new(b"\x61a\x01\xf6");
    assert!(!cursor.take_prefix(b"\x61b"));
    assert!(cursor.take_prefix(b"\x61a") && !cursor.take_null());
    assert_eq!(cursor.remaining(), b"\x01\xf6");
    assert_eq!(cursor.read_u64(), Ok(1));
    assert!(cursor.take_null() && cursor.is_at_end() && !cursor.take_null());
}

#[test]
fn values_without_a_form_are_written_as_the_nearest_that_has_one() {
    let written = |value: Value| value.to_bytes();
    for none in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert_eq!(written(Value::Float(none)), b"\xf6");
    }
    assert_eq!(written(Value::Float(-0.0)), written(Value::Float(0.0)));
    assert_eq!(written(Value::Integer(1 << 64)), b"\xf6");
    assert_eq!(written(Value::Integer(-(1 << 64) - 1)), b"\xf6");
    assert_eq!(written(Value::Integer(-(1 << 64))), b"\x3b\xff\xff\xff\xff\xff\xff\xff\xff");
}

#[test]
fn maps_keep_canonical_order_and_the_last_of_equal_keys() {
    let integer = |value: i128| Value::Integer(value);
    let mut map: Map =
        [("b", integer(1)), ("aa", integer(2)), ("b", integer(3)), ("a", integer(4))].into_iter().collect();
    let keys = |map: &Map| map.iter().map(|(key, _)| key.to_owned()).collect::<Vec<_>>();
    assert_eq!(keys(&map), ["a", "b", "aa"]);
    assert_eq!((map.get("b"), map.get("c"), map.len()), (Some(&integer(3)), None, 3));
    assert_eq!(map.insert("c", integer(5)), None);
    assert_eq!(map.insert("a", integer(6)), Some(integer(4)));
    assert_eq!(map.remove("b"), Some(integer(3)));
    assert_eq!(map.remove("b"), None);
    assert_eq!(keys(&map), ["a", "c", "aa"]);
    assert!(!map.is_empty() && Map::new().is_empty());
    assert_eq!(map.into_iter().count(), 3);
}

fn value() -> impl Strategy<Value = Value> {
    let float =
        any::<f64>().prop_filter("has a form", |value| value.is_finite() && value.to_bits() != 1 << 63);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        (-(1_i128 << 64)..1 << 64).prop_map(Value::Integer),
        (-300_i128..300).prop_map(Value::Integer),
        float.prop_map(Value::Float),
        "\\PC{0,30}".prop_map(Value::Text),
        "[a-z]{250,260}".prop_map(Value::Text),
        prop::collection::vec(any::<u8>(), 0..30).prop_map(Value::Bytes),
        any::<(u64, bool)>().prop_map(|(seed, raw)| {
            let bytes = seed.to_be_bytes();
            Value::Link(if raw { Cid::for_raw(&bytes) } else { Cid::for_dag_cbor(&bytes) })
        }),
    ];
    leaf.prop_recursive(5, 60, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..30).prop_map(Value::List),
            prop::collection::vec(("[a-c$é]{0,3}", inner), 0..8)
                .prop_map(|entries| Value::Map(entries.into_iter().collect())),
        ]
    })
}

/// One damage to bytes.
#[derive(Clone, Debug)]
enum Damage {
    Set(prop::sample::Index, u8),
    Flip(prop::sample::Index, u8),
    Insert(prop::sample::Index, Vec<u8>),
    Remove(prop::sample::Index, u8),
    CutOff(prop::sample::Index),
}

fn damage() -> impl Strategy<Value = Damage> {
    let index = any::<prop::sample::Index>;
    // Heads of every kind, legal and not: where they replace another they change what follows.
    let head = prop_oneof![any::<u8>(), prop::sample::select(&b"\x00\x17\x18\x19\x1b\x20\x38\x40\x58\x5f\x60\x78\x80\x98\x9f\xa0\xa1\xb8\xc2\xd8\xd9\xf4\xf6\xf7\xf8\xf9\xfa\xfb\xff"[..])];
    prop_oneof![
        (index(), head).prop_map(|(at, byte)| Damage::Set(at, byte)),
        (index(), 0_u8..8).prop_map(|(at, bit)| Damage::Flip(at, 1 << bit)),
        (index(), prop::collection::vec(any::<u8>(), 1..10))
            .prop_map(|(at, bytes)| Damage::Insert(at, bytes)),
        (index(), 1_u8..10).prop_map(|(at, length)| Damage::Remove(at, length)),
        index().prop_map(Damage::CutOff),
    ]
}

fn damaged(mut bytes: Vec<u8>, damages: &[Damage]) -> Vec<u8> {
    for damage in damages {
        if bytes.is_empty() {
            break;
        }
        let length = bytes.len();
        match damage {
            Damage::Set(at, byte) => bytes[at.index(length)] = *byte,
            Damage::Flip(at, bits) => bytes[at.index(length)] ^= bits,
            Damage::Insert(at, inserted) => {
                let at = at.index(length);
                bytes.splice(at..at, inserted.iter().copied());
            }
            Damage::Remove(at, count) => {
                let at = at.index(length);
                bytes.drain(at..(at + usize::from(*count)).min(length));
            }
            Damage::CutOff(at) => bytes.truncate(at.index(length)),
        }
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_value_is_read_as_it_was_written(value in value()) {
        prop_assert_eq!(judge(&value.to_bytes()), Verdict::Read(value));
    }

    #[test]
    fn damaged_items_are_judged_as_the_oracle_judges_them(
        value in value(), damages in prop::collection::vec(damage(), 1..4),
    ) {
        judge(&damaged(value.to_bytes(), &damages));
    }

    #[test]
    fn any_bytes_are_judged_as_the_oracle_judges_them(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
        judge(&bytes);
    }

    #[test]
    fn fields_are_read_one_by_one(entries in prop::collection::btree_map("[a-c]{0,3}", any::<i64>(), 0..8)) {
        let map: Map = entries.iter().map(|(key, value)| (key.as_str(), Value::Integer(i128::from(*value)))).collect();
        let mut encoder = Encoder::new();
        encoder.map(map.len());
        for (key, _) in map.iter() {
            encoder.text(key).integer(i128::from(entries[key]));
        }
        let bytes = encoder.into_bytes();
        prop_assert_eq!(&bytes, &Value::Map(map.clone()).to_bytes());
        let mut cursor = Cursor::new(&bytes);
        let mut keys = MapKeys::new(cursor.read_map().unwrap());
        let mut read = Vec::new();
        while let Some(key) = keys.next(&mut cursor).unwrap() {
            read.push((key.to_owned(), cursor.read_i64().unwrap()));
        }
        prop_assert!(cursor.is_at_end());
        read.sort();
        prop_assert_eq!(read, entries.into_iter().collect::<Vec<_>>());
    }
}

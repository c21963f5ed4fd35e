//! `serde_ipld_dagcbor` as the judge of our reading: both give the same value or both refuse.
//!
//! Where the rules differ by intent, the difference has a name; anything else is a failure.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test fails by them")]

use ipld_core::ipld::Ipld;
use skytide_atproto::cbor::{Cursor, Error, Rule, Value};
use skytide_atproto::cid::Cid;

/// What the two made of the same bytes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Verdict {
    /// Both read this value.
    Read(Value),
    /// Both refuse, ours by this rule.
    Refused(Rule),
    /// Only the oracle reads it: it knows CIDs that the AT Protocol does not use.
    OtherCid,
    /// Only the oracle reads it: its depth is bounded higher.
    Deeper,
    /// Only the oracle reads it: it takes text of no definite length for a key.
    IndefiniteKey,
}

/// Holds our reading of `bytes` against the oracle's.
///
/// # Panics
/// If they differ in any way that has no name.
pub(crate) fn judge(bytes: &[u8]) -> Verdict {
    let ours = Value::from_bytes(bytes);
    hold_cursor(bytes, &ours);
    let theirs: Result<Ipld, _> = serde_ipld_dagcbor::from_slice(bytes);
    match (ours, theirs) {
        (Ok(ours), Ok(theirs)) => {
            assert_same(&ours, &theirs, bytes);
            // Canonical: there is only one way to write a value, so what was read is what is written.
            assert_eq!(ours.to_bytes(), bytes);
            assert_eq!(serde_ipld_dagcbor::to_vec(&theirs).unwrap(), bytes);
            Verdict::Read(ours)
        }
        (Err(ours), Err(_)) => Verdict::Refused(ours.rule),
        (Err(Error { rule: Rule::Cid(_), .. }), Ok(_)) => Verdict::OtherCid,
        (Err(Error { rule: Rule::Depth, .. }), Ok(_)) => Verdict::Deeper,
        (Err(Error { rule: Rule::Indefinite, at }), Ok(_)) if bytes[at] == 0x7f => Verdict::IndefiniteKey,
        (Err(ours), Ok(theirs)) => panic!("only the oracle reads {bytes:02x?}: {ours:?}, {theirs:?}"),
        (Ok(ours), Err(theirs)) => panic!("only we read {bytes:02x?}: {ours:?}, {theirs:?}"),
    }
}

/// Checks that all ways of going over an item agree.
fn hold_cursor(bytes: &[u8], read: &Result<Value, Error>) {
    let (skipped, checked) = (over(bytes, Cursor::skip), over(bytes, Cursor::check));
    let valued = over(bytes, |cursor| cursor.read_value().map(|_| ()));
    assert_eq!(checked, valued, "{bytes:02x?}");
    if let Ok(end) = checked {
        assert_eq!(skipped, Ok(end), "{bytes:02x?}");
        assert_eq!(Cursor::new(bytes).raw(), Ok(&bytes[..end]));
        assert_eq!(end == bytes.len(), read.is_ok());
    }
    if let Ok(end) = skipped {
        assert!(end <= bytes.len());
    }
}

/// Where `step` ends.
fn over<'b>(
    bytes: &'b [u8],
    step: impl FnOnce(&mut Cursor<'b>) -> Result<(), Error>,
) -> Result<usize, Error> {
    let mut cursor = Cursor::new(bytes);
    step(&mut cursor).map(|()| cursor.position())
}

fn assert_same(ours: &Value, theirs: &Ipld, bytes: &[u8]) {
    match (ours, theirs) {
        (Value::Null, Ipld::Null) => {}
        (Value::Bool(ours), Ipld::Bool(theirs)) => assert_eq!(ours, theirs),
        (Value::Integer(ours), Ipld::Integer(theirs)) => assert_eq!(ours, theirs),
        (Value::Float(ours), Ipld::Float(theirs)) => assert_eq!(ours.to_bits(), theirs.to_bits()),
        (Value::Text(ours), Ipld::String(theirs)) => assert_eq!(ours, theirs),
        (Value::Bytes(ours), Ipld::Bytes(theirs)) => assert_eq!(ours, theirs),
        (Value::Link(ours), Ipld::Link(theirs)) => {
            assert_eq!(Cid::from_bytes(&theirs.to_bytes()), Ok(*ours));
            assert_eq!(ours.to_string(), theirs.to_string());
        }
        (Value::List(ours), Ipld::List(theirs)) => {
            assert_eq!(ours.len(), theirs.len());
            ours.iter().zip(theirs).for_each(|(ours, theirs)| assert_same(ours, theirs, bytes));
        }
        (Value::Map(ours), Ipld::Map(theirs)) => {
            assert_eq!(ours.len(), theirs.len());
            ours.iter().for_each(|(key, ours)| assert_same(ours, &theirs[key], bytes));
        }
        _ => panic!("{bytes:02x?}: {ours:?} is not {theirs:?}"),
    }
}

//! The published data model: JSON, DAG-CBOR and CIDs of the same records, and JSON that is no record.

#![allow(clippy::unwrap_used, reason = "a test fails by them")]

mod oracle;
mod vectors;

use oracle::{Verdict, judge};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use skytide_atproto::cbor::Value;
use skytide_atproto::cid::Cid;
use skytide_atproto::json;

fn cases<T: DeserializeOwned>(name: &str) -> Vec<T> {
    serde_json::from_slice(&vectors::bytes(&format!("interop/data-model/data-model-{name}.json"))).unwrap()
}

#[derive(Deserialize)]
struct Noted {
    note: String,
    json: serde_json::Value,
}

#[test]
#[ignore = "needs SKYTIDE_VECTORS"]
fn records_have_one_encoding_and_one_cid() {
    #[derive(Deserialize)]
    struct Fixture {
        json: serde_json::Value,
        cbor_base64: String,
        cid: String,
    }
    let fixtures: Vec<Fixture> = cases("fixtures");
    for fixture in &fixtures {
        let bytes =
            data_encoding::BASE64_NOPAD.decode(fixture.cbor_base64.trim_end_matches('=').as_bytes()).unwrap();
        assert_eq!(Cid::for_dag_cbor(&bytes).to_string(), fixture.cid);
        let value = json::from_json(&fixture.json).unwrap();
        assert_eq!(value.to_bytes(), bytes);
        assert_eq!(judge(&bytes), Verdict::Read(value));
    }
    assert_eq!(fixtures.len(), 3);
}

#[test]
#[ignore = "needs SKYTIDE_VECTORS"]
fn what_is_valid_is_read_and_what_is_not_is_refused() {
    let valid: Vec<Noted> = cases("valid");
    for case in &valid {
        let value = json::from_json(&case.json).unwrap_or_else(|error| panic!("{}: {error}", case.note));
        assert!(matches!(value, Value::Map(_)));
        let record =
            json::record_from_json(&case.json).unwrap_or_else(|error| panic!("{}: {error}", case.note));
        // A float that is a whole number is taken for one.
        assert_eq!(record == value, case.note != "float, but integer-like", "{}", case.note);
        assert_eq!(judge(&value.to_bytes()), Verdict::Read(value), "{}", case.note);
    }
    let invalid: Vec<Noted> = cases("invalid");
    let mut of_records = Vec::new();
    for case in &invalid {
        let refused = json::record_from_json(&case.json).expect_err(&case.note);
        if let Ok(value) = json::from_json(&case.json) {
            // A rule of records and not of the values that JSON and DAG-CBOR hold: a reader of other people's records
            // meets it broken, and keeps the value.
            assert_eq!(judge(&value.to_bytes()), Verdict::Read(value));
            of_records.push((case.note.as_str(), refused.to_string()));
        }
    }
    assert_eq!(
        of_records,
        [
            ("top-level not an object", "a record is an object".to_owned()),
            ("float", "a record has no floats, and 123.456 is one".to_owned()),
        ]
    );
    assert_eq!((valid.len(), invalid.len()), (5, 12));
}

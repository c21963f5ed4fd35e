//! The published cases of DAG-CBOR strictness, those that are about DAG-CBOR and our CIDs.

mod oracle;
mod vectors;

use std::collections::BTreeMap;

use oracle::{Verdict, judge};
use serde::Deserialize;
use skytide_atproto::cbor::{Rule, Value};
use skytide_atproto::cid::CidError;

#[derive(Deserialize)]
struct Case {
    r#type: String,
    data: String,
    name: String,
    tags: Vec<String>,
}

#[test]
#[ignore = "needs SKYTIDE_VECTORS"]
fn published_cases_are_judged_as_published() {
    let mut counts = BTreeMap::new();
    for file in ["short_form", "floats", "cid", "integer_range", "map_keys"] {
        let cases = vectors::bytes(&format!("dasl-cbor/{file}.json"));
        let cases: Vec<Case> = serde_json::from_slice(&cases).unwrap();
        let ours = |tag: &String| ["basic", "dag-cbor", "dasl-cid"].contains(&tag.as_str());
        for case in cases.iter().filter(|case| case.tags.iter().any(ours)) {
            *counts.entry(case.r#type.clone()).or_insert(0) += 1;
            let bytes = data_encoding::HEXLOWER.decode(case.data.as_bytes()).unwrap();
            let verdict = judge(&bytes);
            match (case.r#type.as_str(), case.name.as_str()) {
                // BLAKE3 is for large files, elsewhere: no block of the AT Protocol is named by it.
                ("roundtrip", "Big DASL CID") => {
                    assert_eq!(Value::from_bytes(&bytes).unwrap_err().rule, Rule::Cid(CidError::Hash));
                    assert_eq!(verdict, Verdict::OtherCid);
                }
                ("roundtrip", name) => assert!(matches!(verdict, Verdict::Read(_)), "{name}: {verdict:?}"),
                // Legal CIDs of no use to us: the oracle reads them.
                (
                    "invalid_in",
                    "CIDv0"
                    | "empty CID"
                    | "short hash digest"
                    | "long hash digest"
                    | "CIDv1 that isn't raw or cbor"
                    | "disallowed hash type (SHA-1)",
                ) => {
                    assert_eq!(verdict, Verdict::OtherCid, "{}", case.name);
                }
                ("invalid_in" | "invalid_out", name) => {
                    assert!(matches!(verdict, Verdict::Refused(_)), "{name}: {verdict:?}");
                }
                (other, name) => panic!("{name}: {other}"),
            }
        }
    }
    let counts: Vec<(&str, i32)> = counts.iter().map(|(name, count)| (name.as_str(), *count)).collect();
    assert_eq!(counts, [("invalid_in", 50), ("invalid_out", 6), ("roundtrip", 19)]);
}

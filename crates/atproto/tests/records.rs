//! Record types against the published lexicons.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};

use skytide_atproto::cbor::Value;
use skytide_atproto::json;
use skytide_atproto::records::{Blob, LexiconError, Lexicons, RecordType, Shape, blobs};

fn add_all(folder: &Path, lexicons: &mut Lexicons) -> usize {
    let mut added = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            added += add_all(&path, lexicons);
        } else if path.extension().is_some_and(|extension| extension == "json") {
            lexicons.add(&std::fs::read_to_string(&path).unwrap()).unwrap();
            added += 1;
        }
    }
    added
}

#[test]
#[ignore = "needs SKYTIDE_VECTORS"]
fn built_in_types_are_those_of_the_lexicons() {
    let folder = std::env::var_os("SKYTIDE_VECTORS").expect("SKYTIDE_VECTORS names the folder of test data");
    let mut lexicons = Lexicons::new();
    let added = add_all(&PathBuf::from(folder).join("lexicons"), &mut lexicons);
    assert!(added > 200, "{added} lexicons");
    for built_in in RecordType::all() {
        assert_eq!(*built_in, lexicons.record_type(&built_in.nsid).unwrap());
    }
    assert_eq!(RecordType::all().len(), 13);
    let Err(LexiconError::NotARecord { found, .. }) = lexicons.record_type("app.bsky.feed.getTimeline")
    else {
        panic!("a query is not a record");
    };
    assert_eq!(found, "query");
}

fn shape_of(record: &str) -> Shape {
    let mut lexicons = Lexicons::new();
    let json = format!(
        r#"{{"lexicon": 1, "id": "test.thing", "defs": {{
            "main": {{"type": "record", "record": {{"type": "object", "properties": {{"it": {record}}}}}}},
            "loop": {{"type": "object", "properties": {{"again": {{"type": "ref", "ref": "\#loop"}}}}}},
            "one": {{"type": "object", "properties": {{"a": {{"type": "integer"}}, "b": {{"type": "string"}}}}}},
            "two": {{"type": "object", "properties": {{"a": {{"type": "string"}}, "c": {{"type": "bytes"}}}}}},
            "none": {{"type": "object", "properties": {{}}}}
        }}}}"#
    );
    let id = lexicons.add(&json.replace("\\#", "#")).unwrap();
    lexicons.record_type(&id).unwrap().shape.field("it").unwrap().clone()
}

#[test]
fn each_type_has_its_shape() {
    for (of, shape) in [
        (r#"{"type": "boolean"}"#, Shape::Bool),
        (r#"{"type": "integer"}"#, Shape::Int),
        (r#"{"type": "string", "format": "datetime"}"#, Shape::Text),
        (r#"{"type": "bytes"}"#, Shape::Bytes),
        (r#"{"type": "cid-link"}"#, Shape::Link),
        (r#"{"type": "blob"}"#, Shape::blob()),
        (r#"{"type": "array", "items": {"type": "integer"}}"#, Shape::list(Shape::Int)),
        (r#"{"type": "unknown"}"#, Shape::Json),
        (r#"{"type": "to come"}"#, Shape::Json),
        (r##"{"type": "ref", "ref": "#nowhere"}"##, Shape::Json),
        (r##"{"type": "ref", "ref": "#none"}"##, Shape::Json),
        // What leads back to itself is JSON from there on.
        (r##"{"type": "ref", "ref": "#loop"}"##, Shape::object([("again", Shape::Json)])),
        // Known though its lexicon is not there.
        (
            r#"{"type": "ref", "ref": "com.atproto.repo.strongRef"}"#,
            Shape::object([("uri", Shape::Text), ("cid", Shape::Text)]),
        ),
        // Variants are merged; what they differ in is JSON.
        (
            r##"{"type": "union", "refs": ["#one", "#two"]}"##,
            Shape::object([
                ("$type", Shape::Text),
                ("a", Shape::Json),
                ("b", Shape::Text),
                ("c", Shape::Bytes),
            ]),
        ),
        (r#"{"type": "union", "refs": []}"#, Shape::Json),
        (r##"{"type": "union", "refs": ["#one", "elsewhere.to.befound"]}"##, Shape::Json),
    ] {
        assert_eq!(shape_of(of), shape, "{of}");
    }
}

#[test]
fn depth_and_breadth_are_bounded() {
    let deep = (0..40).fold(r#"{"type": "integer"}"#.to_owned(), |inner, _| {
        format!(r#"{{"type": "array", "items": {inner}}}"#)
    });
    let mut shape = shape_of(&deep);
    let mut depth = 0;
    while let Shape::List(item) = shape {
        shape = *item;
        depth += 1;
    }
    assert_eq!((shape, depth), (Shape::Json, 15));
    // Definitions that all refer to all others: more ways through them than could ever be followed.
    let names: Vec<String> = (0..14).map(|at| format!("d{at}")).collect();
    let property = |name: &String| format!(r##""{name}": {{"type": "ref", "ref": "#{name}"}}"##);
    let properties = names.iter().map(property).collect::<Vec<_>>().join(",");
    let object = format!(r#"{{"type": "object", "properties": {{{properties}}}}}"#);
    let defs = names.iter().map(|name| format!(r#","{name}": {object}"#)).collect::<String>();
    let json = format!(
        r#"{{"lexicon": 1, "id": "test.all", "defs": {{"main": {{"type": "record", "record": {object}}}{defs}}}}}"#
    );
    let mut lexicons = Lexicons::new();
    lexicons.add(&json).unwrap();
    assert!(matches!(*lexicons.record_type("test.all").unwrap().shape, Shape::Struct(_)));
}

#[test]
fn what_is_not_a_lexicon_is_refused_with_its_reason() {
    let mut lexicons = Lexicons::new();
    let mut refusal = |json: &str| lexicons.add(json).unwrap_err().to_string();
    assert!(refusal("{").starts_with("not JSON"));
    assert_eq!(refusal("[]"), "not a lexicon: lexicon is missing or of the wrong type");
    assert_eq!(refusal(r#"{"lexicon": 1}"#), "not a lexicon: id is missing or of the wrong type");
    assert_eq!(
        refusal(r#"{"lexicon": 1, "id": "a.b.c"}"#),
        "not a lexicon: defs is missing or of the wrong type"
    );
    assert!(matches!(lexicons.record_type("a.b.c"), Err(LexiconError::Unknown(_))));
}

#[test]
fn streams_have_the_names_of_the_language() {
    let names = RecordType::all().iter().filter_map(|record| record.stream);
    assert_eq!(names.collect::<Vec<_>>(), ["posts", "likes", "reposts", "follows", "blocks", "profiles"]);
    assert_eq!(RecordType::by_stream("posts"), RecordType::by_nsid("app.bsky.feed.post"));
    assert_eq!(*RecordType::unknown("a.b.c").shape, Shape::Json);
}

#[test]
fn the_blobs_of_a_record_are_found_wherever_they_are() {
    let cid = |seed: u8| skytide_atproto::cid::Cid::for_raw(&[seed]);
    let blob = |seed, size: i64| {
        serde_json::json!({
            "$type": "blob", "ref": {"$link": cid(seed).to_string()}, "mimeType": "image/jpeg", "size": size,
        })
    };
    let older = |seed| serde_json::json!({"cid": cid(seed).to_string(), "mimeType": "image/png"});
    let of = |json: &serde_json::Value| {
        let value = json::from_json(json).unwrap();
        blobs(&value).iter().map(|blob| (blob.cid, blob.mime_type.to_owned(), blob.size)).collect::<Vec<_>>()
    };
    let new = |seed, size| (cid(seed), "image/jpeg".to_owned(), Some(size));
    // Keys in the order of DAG-CBOR: shorter ones first.
    let record = serde_json::json!({
        "images": [{"image": blob(1, 10)}, {"image": blob(2, 20)}, {"image": blob(1, 10)}],
        "avatar": older(3),
        "deep": [[{"a": {"b": [blob(4, 0)]}}]],
        "a": blob(5, i64::MAX),
    });
    let largest = i64::MAX as u64;
    let expected = [
        new(5, largest),
        new(4, 0),
        (cid(3), "image/png".to_owned(), None),
        new(1, 10),
        new(2, 20),
        new(1, 10),
    ];
    assert_eq!(of(&record), expected);
    assert_eq!(of(&blob(1, 2)), [new(1, 2)]);

    // None of these is quite one, and what is in them is looked through.
    let with = |changes: &[(&str, Value)]| {
        let Value::Map(mut map) = json::from_json(&blob(1, 2)).unwrap() else { panic!("a blob is a map") };
        for (field, value) in changes {
            map.insert(*field, value.clone());
        }
        Value::Map(map)
    };
    let inside = ("inside", json::from_json(&older(6)).unwrap());
    let text = |text: &str| Value::Text(text.to_owned());
    for other in [
        ("$type", text("other")),
        ("ref", text("text")),
        ("mimeType", Value::Null),
        ("size", text("1")),
        ("size", Value::Integer(-1)),
    ] {
        let field = other.0;
        let value = with(&[other, inside.clone()]);
        assert_eq!(blobs(&value), [Blob { cid: cid(6), mime_type: "image/png", size: None }], "{field}");
    }
    assert_eq!(blobs(&with(&[inside])), [Blob { cid: cid(1), mime_type: "image/jpeg", size: Some(2) }]);
    let mut more = older(1);
    more["more"] = 1.into();
    assert_eq!(of(&more), []);
    let no_cid = serde_json::json!({"cid": "bafy", "mimeType": "image/png"});
    assert_eq!(of(&no_cid), []);
    for json in ["null", "1", "[]", "{}", "\"blob\""] {
        assert_eq!(blobs(&json::parse(json).unwrap()), []);
    }
}

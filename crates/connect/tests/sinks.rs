//! Rows as text and Arrow.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use arrow_array::builder::{ListBuilder, StringBuilder};
use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampNanosecondArray};
use skytide_connect::sink::{Arrow, Csv, Ndjson, Sink};

fn batch() -> RecordBatch {
    let time = TimestampNanosecondArray::from(vec![0, 1_783_175_887_517_000_000]).with_timezone("UTC");
    let key = StringArray::from(vec![Some("a,\"b\""), None]);
    let count = Int64Array::from(vec![Some(1), None]);
    let mut langs = ListBuilder::new(StringBuilder::new());
    langs.append_value([Some("en"), None]);
    langs.append_null();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("_time", Arc::new(time)),
        ("_key", Arc::new(key)),
        ("result", Arc::new(count)),
        ("langs", Arc::new(langs.finish())),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut bytes = Vec::new();
    write(&mut bytes);
    String::from_utf8(bytes).unwrap()
}

#[test]
fn json_lines_write_nulls_out() {
    let text = text(|bytes| {
        let mut sink = Ndjson::new(bytes);
        sink.write(&batch()).unwrap();
        sink.finish().unwrap();
    });
    assert_eq!(
        text,
        "{\"_time\":\"1970-01-01T00:00:00Z\",\"_key\":\"a,\\\"b\\\"\",\"result\":1,\"langs\":[\"en\",null]}\n\
         {\"_time\":\"2026-07-04T14:38:07.517Z\",\"_key\":null,\"result\":null,\"langs\":null}\n"
    );
}

#[test]
fn csv_has_one_header_and_lists_as_json() {
    let text = text(|bytes| {
        let mut sink = Csv::new(bytes, batch().schema());
        sink.write(&batch().slice(0, 1)).unwrap();
        sink.write(&batch().slice(1, 1)).unwrap();
        sink.finish().unwrap();
    });
    assert_eq!(
        text,
        "_time,_key,result,langs\n\
         1970-01-01T00:00:00Z,\"a,\"\"b\"\"\",1,\"[\"\"en\"\",null]\"\n\
         2026-07-04T14:38:07.517Z,,,\n"
    );
    let empty = self::text(|bytes| Csv::new(bytes, batch().schema()).finish().unwrap());
    assert_eq!(empty, "_time,_key,result,langs\n");
}

#[test]
fn arrow_streams_read_back() {
    let mut bytes = Vec::new();
    let mut sink = Arrow::new(&mut bytes, &batch().schema()).unwrap();
    sink.write(&batch()).unwrap();
    sink.finish().unwrap();
    drop(sink);
    let read: Vec<_> = arrow_ipc::reader::StreamReader::try_new(bytes.as_slice(), None)
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    assert_eq!(read, [batch()]);
}

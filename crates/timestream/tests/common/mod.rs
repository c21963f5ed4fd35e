//! A catalog like the firehose's, and one other source.

use std::sync::Arc;

use arrow_schema::{DataType, Field, Fields, TimeUnit};
use skytide_timestream::catalog::{Catalog, StreamDef};
use skytide_timestream::types;

pub(crate) struct Network;

fn fields(fields: &[(&str, DataType)]) -> Fields {
    fields.iter().map(|(name, data_type)| Field::new(*name, data_type.clone(), true)).collect()
}

fn records(name: &str, record: &[(&str, DataType)]) -> StreamDef {
    let record = DataType::Struct(fields(record));
    let columns = fields(&[
        ("record", record),
        ("uri", DataType::Utf8),
        ("did", DataType::Utf8),
        ("action", DataType::Utf8),
        ("seq", DataType::Int64),
        ("time", types::timestamp()),
    ]);
    StreamDef { name: name.to_owned(), source: 0, fields: columns, key: "did".to_owned(), time: None }
}

fn reference() -> DataType {
    DataType::Struct(fields(&[("uri", DataType::Utf8), ("cid", DataType::Utf8)]))
}

impl Catalog for Network {
    fn stream(&self, name: &str) -> Option<Arc<StreamDef>> {
        let image = DataType::Struct(fields(&[("alt", DataType::Utf8), ("size", DataType::UInt32)]));
        let stream = match name {
            "posts" => records(
                name,
                &[
                    ("text", DataType::Utf8),
                    ("langs", types::list(DataType::Utf8)),
                    ("images", types::list(image)),
                    ("createdAt", DataType::Utf8),
                    ("odd name", DataType::Utf8),
                ],
            ),
            "likes" | "reposts" => records(name, &[("subject", reference()), ("createdAt", DataType::Utf8)]),
            "accounts" => StreamDef {
                name: name.to_owned(),
                source: 0,
                fields: fields(&[
                    ("did", DataType::Utf8),
                    ("active", DataType::Boolean),
                    ("status", DataType::Utf8),
                ]),
                key: "did".to_owned(),
                time: None,
            },
            "meters" => StreamDef {
                name: name.to_owned(),
                source: 1,
                fields: fields(&[
                    ("did", DataType::Utf8),
                    ("small", DataType::Int8),
                    ("byte", DataType::UInt8),
                    ("whole", DataType::UInt64),
                    ("level", DataType::Float32),
                    ("took", DataType::Duration(TimeUnit::Millisecond)),
                    ("data", DataType::Binary),
                ]),
                key: "did".to_owned(),
                time: None,
            },
            _ => return None,
        };
        Some(Arc::new(stream))
    }

    fn stream_function(&self, function: &str, argument: &str) -> Result<Arc<StreamDef>, String> {
        match function {
            "records" if argument.matches('.').count() >= 2 => {
                let name = format!("records(\"{argument}\")");
                Ok(Arc::new(records(&name, &[("json", DataType::Utf8)])))
            }
            "records" => Err(format!("`{argument}` is no NSID")),
            _ => Err(format!("there is no source function `{function}`")),
        }
    }

    fn stream_method(&self, stream: &StreamDef, method: &str) -> Option<Arc<StreamDef>> {
        let has = stream.fields.find("record").is_some() && matches!(method, "deletes" | "updates");
        has.then(|| Arc::new(StreamDef { name: format!("{}.{method}()", stream.name), ..stream.clone() }))
    }

    fn stream_methods(&self, _: &StreamDef) -> Vec<String> {
        ["deletes", "updates"].map(str::to_owned).to_vec()
    }

    fn stream_functions(&self) -> Vec<(String, Vec<String>)> {
        vec![("records".to_owned(), vec!["com.example.thing".to_owned(), "com.example.other".to_owned()])]
    }

    fn names(&self) -> Vec<String> {
        ["posts", "likes", "reposts", "accounts", "meters"].map(str::to_owned).to_vec()
    }
}

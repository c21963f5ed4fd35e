//! The slow and obvious decode: the whole frame and every wanted record as `Ipld` by `serde_ipld_dagcbor`,
//! then a walk.
//!
//! It shares no code with the library but the types that say what is wanted.

use std::collections::BTreeMap;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, TimestampNanosecondType};
use arrow_array::{Array, ArrayRef};
use arrow_schema::DataType;
use ipld_core::ipld::Ipld;
use serde::Deserialize;
use serde_ipld_dagcbor::de::Deserializer;
use skytide_atproto::columns::{Literal, PathStep, StreamKind, Wanted, WantedStream};
use skytide_atproto::records::Shape;

/// A value of a column.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Val {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    Bytes(Vec<u8>),
    List(Vec<Val>),
    Struct(Vec<(String, Val)>),
}

/// A point.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row {
    pub(crate) time: i64,
    pub(crate) ordinal: u64,
    pub(crate) key: Option<Val>,
    pub(crate) columns: Vec<Val>,
}

/// The value of an array's row. Timestamps are integers.
pub(crate) fn value(array: &ArrayRef, row: usize) -> Val {
    if array.is_null(row) {
        return Val::Null;
    }
    match array.data_type() {
        DataType::Boolean => Val::Bool(array.as_boolean().value(row)),
        DataType::Int64 => Val::Int(array.as_primitive::<Int64Type>().value(row)),
        DataType::Timestamp(_, zone) => {
            assert_eq!(zone.as_deref(), Some("UTC"));
            Val::Int(array.as_primitive::<TimestampNanosecondType>().value(row))
        }
        DataType::Float64 => Val::Float(array.as_primitive::<Float64Type>().value(row)),
        DataType::Utf8 => Val::Text(array.as_string::<i32>().value(row).to_owned()),
        DataType::Binary => Val::Bytes(array.as_binary::<i32>().value(row).to_vec()),
        DataType::List(_) => {
            let items = array.as_list::<i32>().value(row);
            Val::List((0..items.len()).map(|at| value(&items, at)).collect())
        }
        DataType::Struct(fields) => {
            let columns = array.as_struct().columns();
            let field = |(field, column): (&std::sync::Arc<arrow_schema::Field>, &ArrayRef)| {
                (field.name().clone(), value(column, row))
            };
            Val::Struct(fields.iter().zip(columns).map(field).collect())
        }
        other => panic!("no column has type {other}"),
    }
}

/// The state between frames.
#[derive(Debug, Default)]
pub(crate) struct Oracle {
    frames: u64,
    newest: Option<i64>,
}

type Fields = BTreeMap<String, Ipld>;

impl Oracle {
    /// The points of a frame, for each wanted stream; none if it is refused.
    pub(crate) fn push(&mut self, frame: &[u8], wanted: &Wanted) -> Option<Vec<Vec<Row>>> {
        let mut reader = Deserializer::from_slice(frame);
        let header = map(Ipld::deserialize(&mut reader).ok()?)?;
        let payload = map(Ipld::deserialize(&mut reader).ok()?)?;
        reader.end().ok()?;
        let Some(Ipld::Integer(op)) = header.get("op") else { return None };
        i64::try_from(*op).ok()?;
        let t = match header.get("t") {
            None | Some(Ipld::Null) => None,
            Some(Ipld::String(t)) => Some(t.as_str()),
            Some(_) => return None,
        };
        let nothing = vec![vec![]; wanted.streams.len()];
        match (op, t) {
            (1, Some("#commit")) => self.commit(&payload, wanted),
            (1, Some("#identity")) => {
                let own = [
                    ("did", required_text(&payload, "did")?),
                    ("handle", optional_text(&payload, "handle")?),
                ];
                self.message(&payload, wanted, &StreamKind::Identities, own.into())
            }
            (1, Some("#account")) => {
                let Some(Ipld::Bool(active)) = payload.get("active") else { return None };
                let did = required_text(&payload, "did")?;
                let own = [
                    ("did", did),
                    ("active", Val::Bool(*active)),
                    ("status", optional_text(&payload, "status")?),
                ];
                self.message(&payload, wanted, &StreamKind::Accounts, own.into())
            }
            (1, Some("#sync")) => {
                let Some(Ipld::Bytes(_)) = payload.get("blocks") else { return None };
                let own =
                    [("did", required_text(&payload, "did")?), ("rev", required_text(&payload, "rev")?)];
                self.message(&payload, wanted, &StreamKind::Syncs, own.into())
            }
            (1, Some("#info")) => {
                required_text(&payload, "name")?;
                optional_text(&payload, "message").map(|_| nothing)
            }
            (-1, _) => {
                required_text(&payload, "error")?;
                optional_text(&payload, "message").map(|_| nothing)
            }
            (1, Some("#handle" | "#migrate" | "#tombstone" | "#labels")) => panic!("not made by these tests"),
            _ => Some(nothing),
        }
    }

    fn place(&mut self, payload: &Fields) -> Option<(i64, Val, i64, u64)> {
        let Some(Ipld::Integer(seq)) = payload.get("seq") else { return None };
        let seq = i64::try_from(*seq).ok().filter(|seq| *seq >= 0)?;
        let Val::Text(time) = required_text(payload, "time")? else { return None };
        let source_time = skytide_atproto::syntax::parse_time(&time);
        let newest = match (self.newest, source_time) {
            (Some(newest), Some(time)) if time > newest.saturating_add(300_000_000_000) => newest,
            (newest, time) => newest.max(time)?,
        };
        self.newest = Some(newest);
        self.frames += 1;
        Some((seq, source_time.map_or(Val::Null, Val::Int), newest, (self.frames - 1) * 256))
    }

    fn message(
        &mut self,
        payload: &Fields,
        wanted: &Wanted,
        of: &StreamKind,
        mut own: BTreeMap<&'static str, Val>,
    ) -> Option<Vec<Vec<Row>>> {
        let (seq, source_time, time, ordinal) = self.place(payload)?;
        own.extend([("seq", Val::Int(seq)), ("time", Val::Int(time)), ("source_time", source_time)]);
        let row =
            |stream: &WantedStream| (stream.of == *of).then(|| point(stream, &own, None, time, ordinal));
        Some(wanted.streams.iter().map(|stream| row(stream).flatten().into_iter().collect()).collect())
    }

    fn commit(&mut self, payload: &Fields, wanted: &Wanted) -> Option<Vec<Vec<Row>>> {
        let Some(Ipld::List(ops)) = payload.get("ops") else { return None };
        let Some(Ipld::Bytes(blocks)) = payload.get("blocks") else { return None };
        payload.get("commit")?;
        let (rev, repo) = (payload.get("rev")?, payload.get("repo")?);
        if ops.len() > 200 {
            return None;
        }
        let mut hits = Vec::new();
        for (index, op) in ops.iter().enumerate() {
            let Ipld::Map(op) = op else { return None };
            let (cid, action) = (op.get("cid")?, op.get("action")?);
            let Ipld::String(path) = op.get("path")? else { return None };
            for (at, stream) in wanted.streams.iter().enumerate() {
                let StreamKind::Records { collection, action: of, .. } = &stream.of else { continue };
                let Some(rkey) =
                    path.strip_prefix(collection.as_str()).and_then(|rest| rest.strip_prefix('/'))
                else {
                    continue;
                };
                let Ipld::String(action) = action else { return None };
                if !["create", "update", "delete"].contains(&action.as_str()) {
                    return None;
                }
                if action != of.as_str() {
                    continue;
                }
                if rkey.is_empty() || rkey.contains('/') {
                    return None;
                }
                let cid = match cid {
                    Ipld::Null => None,
                    Ipld::Link(cid) => Some(ours(*cid)?),
                    _ => return None,
                };
                hits.push((at, index, rkey, action, cid));
            }
        }
        let (seq, source_time, time, ordinal) = self.place(payload)?;
        let reads = |at: usize| {
            let stream = &wanted.streams[at];
            let first = PathStep::Field("record".to_owned());
            let record = stream.columns.iter().any(|path| path.is_empty() || path[0] == first);
            let delete =
                matches!(&stream.of, StreamKind::Records { action, .. } if action.as_str() == "delete");
            record && !delete
        };
        let blocks = if hits.iter().any(|(at, ..)| reads(*at)) { car(blocks)? } else { vec![] };
        let shown = |name: &str| {
            let shows = |path: &Vec<PathStep>| path.is_empty() || path[0] == PathStep::Field(name.to_owned());
            wanted.streams.iter().any(|stream| stream.columns.iter().any(shows))
        };
        let keyed = wanted.streams.iter().any(|stream| stream.keyed);
        let needed = |value: &Ipld, needed: bool| match value {
            Ipld::String(text) => Some(text.clone()),
            _ if needed => None,
            _ => Some(String::new()),
        };
        let mut rows = vec![vec![]; wanted.streams.len()];
        if hits.is_empty() {
            return Some(rows);
        }
        let repo = needed(repo, keyed || shown("did") || shown("uri"))?;
        let rev = needed(rev, shown("rev"))?;
        for (at, index, rkey, action, cid) in hits {
            let stream = &wanted.streams[at];
            let StreamKind::Records { collection, .. } = &stream.of else { continue };
            let block = blocks.iter().find(|(block, _)| Some(*block) == cid).filter(|_| reads(at));
            let record = match block {
                Some((_, block)) => {
                    serde_ipld_dagcbor::from_slice::<Ipld>(block).ok().filter(|of| is_ours(of, 64))
                }
                None => None,
            };
            let text = |text: &str| Val::Text(text.to_owned());
            let own = BTreeMap::from([
                ("uri", Val::Text(format!("at://{repo}/{collection}/{rkey}"))),
                ("cid", cid.map_or(Val::Null, |cid| Val::Text(cid.to_string()))),
                ("did", text(&repo)),
                ("rkey", text(rkey)),
                ("action", text(action)),
                ("rev", text(&rev)),
                ("seq", Val::Int(seq)),
                ("time", Val::Int(time)),
                ("source_time", source_time.clone()),
            ]);
            rows[at].extend(point(stream, &own, record.as_ref(), time, ordinal + index as u64));
        }
        Some(rows)
    }
}

type Cid = ipld_core::cid::Cid;

/// A CID that the AT Protocol uses.
fn ours(cid: Cid) -> Option<Cid> {
    let fits = cid.version() == ipld_core::cid::Version::V1
        && [0x71, 0x55].contains(&cid.codec())
        && cid.hash().code() == 0x12
        && cid.hash().size() == 32;
    fits.then_some(cid)
}

/// Whether a record is nested no deeper than this, and has only links that the AT Protocol uses.
fn is_ours(value: &Ipld, depth: usize) -> bool {
    match value {
        Ipld::Link(cid) => ours(*cid).is_some(),
        Ipld::List(items) => depth > 0 && items.iter().all(|item| is_ours(item, depth - 1)),
        Ipld::Map(fields) => depth > 0 && fields.values().all(|value| is_ours(value, depth - 1)),
        _ => true,
    }
}

/// The blocks of a CAR; none if it is refused.
fn car(bytes: &[u8]) -> Option<Vec<(Cid, &[u8])>> {
    let (header, mut rest) = section(bytes)?;
    let header = map(serde_ipld_dagcbor::from_slice(header).ok()?)?;
    if header.len() != 2 || header.get("version") != Some(&Ipld::Integer(1)) {
        return None;
    }
    let Some(Ipld::List(roots)) = header.get("roots") else { return None };
    for root in roots {
        let Ipld::Link(cid) = root else { return None };
        ours(*cid)?;
    }
    let mut blocks = Vec::new();
    while !rest.is_empty() {
        let (block, after) = section(rest)?;
        let (cid, block) = block.split_at_checked(36)?;
        blocks.push((ours(Cid::try_from(cid).ok()?)?, block));
        rest = after;
    }
    Some(blocks)
}

fn section(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut length = 0_u64;
    for (at, byte) in bytes.iter().take(9).enumerate() {
        length |= u64::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            if *byte == 0 && at > 0 {
                return None;
            }
            return bytes[at + 1..].split_at_checked(usize::try_from(length).ok()?);
        }
    }
    None
}

fn map(value: Ipld) -> Option<Fields> {
    match value {
        Ipld::Map(map) => Some(map),
        _ => None,
    }
}

fn required_text(fields: &Fields, name: &str) -> Option<Val> {
    match fields.get(name)? {
        Ipld::String(text) => Some(Val::Text(text.clone())),
        _ => None,
    }
}

fn optional_text(fields: &Fields, name: &str) -> Option<Val> {
    match fields.get(name) {
        None | Some(Ipld::Null) => Some(Val::Null),
        Some(Ipld::String(text)) => Some(Val::Text(text.clone())),
        Some(_) => None,
    }
}

/// A point of a stream, if it passes the tests.
fn point(
    stream: &WantedStream,
    own: &BTreeMap<&'static str, Val>,
    record: Option<&Ipld>,
    time: i64,
    ordinal: u64,
) -> Option<Row> {
    let shape = match &stream.of {
        StreamKind::Records { shape, .. } => Some(&**shape),
        _ => None,
    };
    let field = |name: &str| match (name, shape) {
        ("record", Some(shape)) => record.map_or(Val::Null, |record| shaped(record, shape)),
        _ => own[name].clone(),
    };
    let whole = |path: &[PathStep]| match path.split_first() {
        None => {
            let fields = stream.of.fields();
            Val::Struct(fields.iter().map(|of| (of.name().clone(), field(of.name()))).collect())
        }
        Some((PathStep::Field(name), rest)) if name == "record" => {
            walk(record, shape.expect("a stream of records"), rest)
        }
        Some((PathStep::Field(name), _)) => field(name),
        Some((PathStep::Index(_) | PathStep::Length, _)) => panic!("a point is no list and no text"),
    };
    let column = |path: &Vec<PathStep>| match path.split_last() {
        Some((PathStep::Length, path)) => match whole(path) {
            Val::Text(text) => Val::Int(text.chars().count() as i64),
            _ => Val::Null,
        },
        _ => whole(path),
    };
    let columns: Vec<Val> = stream.columns.iter().map(column).collect();
    let passes = stream.tests.iter().all(|test| match (&columns[test.column], &test.literal) {
        (Val::Text(value), Literal::Text(literal)) => value == literal,
        (Val::Int(value), Literal::Int(literal)) => value == literal,
        (Val::Bool(value), Literal::Bool(literal)) => value == literal,
        _ => false,
    });
    let key = stream.keyed.then(|| own["did"].clone());
    passes.then_some(Row { time, ordinal, key, columns })
}

/// The value at a path.
fn walk(value: Option<&Ipld>, shape: &Shape, path: &[PathStep]) -> Val {
    let Some(value) = value else { return Val::Null };
    match (path, value, shape) {
        ([], ..) => shaped(value, shape),
        ([PathStep::Field(name), rest @ ..], Ipld::Map(map), Shape::Struct(_)) => {
            walk(map.get(name), shape.field(name).expect("the shape has the field"), rest)
        }
        ([PathStep::Index(index), rest @ ..], Ipld::List(list), Shape::List(item)) => {
            walk(list.get(*index), item, rest)
        }
        _ => Val::Null,
    }
}

/// A value as its shape shows it; what does not fit is null.
fn shaped(value: &Ipld, shape: &Shape) -> Val {
    match (value, shape) {
        (Ipld::Null, _) => Val::Null,
        (_, Shape::Json) => Val::Text(json(value)),
        (Ipld::Bool(value), Shape::Bool) => Val::Bool(*value),
        (Ipld::Integer(value), Shape::Int) => i64::try_from(*value).map_or(Val::Null, Val::Int),
        (Ipld::Float(value), Shape::Float) => Val::Float(*value),
        (Ipld::String(text), Shape::Text) => Val::Text(text.clone()),
        (Ipld::Link(cid), Shape::Link) => Val::Text(cid.to_string()),
        (Ipld::Bytes(bytes), Shape::Bytes) => Val::Bytes(bytes.clone()),
        (Ipld::List(list), Shape::List(item)) => {
            Val::List(list.iter().map(|value| shaped(value, item)).collect())
        }
        (Ipld::Map(map), Shape::Struct(fields)) => {
            let field = |(name, shape): &(String, Shape)| {
                (name.clone(), map.get(name).map_or(Val::Null, |value| shaped(value, shape)))
            };
            Val::Struct(fields.iter().map(field).collect())
        }
        _ => Val::Null,
    }
}

/// JSON put together from strings; names are sorted, as `Ipld` holds them.
fn json(value: &Ipld) -> String {
    match value {
        Ipld::Null => "null".to_owned(),
        Ipld::Bool(value) => value.to_string(),
        Ipld::Integer(value) => value.to_string(),
        Ipld::Float(value) => format!("{value:?}"),
        Ipld::String(text) => quoted(text),
        Ipld::Bytes(bytes) => format!("{{\"$bytes\":\"{}\"}}", data_encoding::BASE64_NOPAD.encode(bytes)),
        Ipld::Link(cid) => format!("{{\"$link\":\"{cid}\"}}"),
        Ipld::List(list) => format!("[{}]", list.iter().map(json).collect::<Vec<_>>().join(",")),
        Ipld::Map(map) => {
            let field = |(name, value): (&String, &Ipld)| format!("{}:{}", quoted(name), json(value));
            format!("{{{}}}", map.iter().map(field).collect::<Vec<_>>().join(","))
        }
    }
}

/// Text by another writer, then the escapes that only this protocol's servers make.
fn quoted(text: &str) -> String {
    let escapes = [("<", "\\u003c"), (">", "\\u003e"), ("&", "\\u0026")];
    let json = serde_json::to_string(text).unwrap();
    let text = escapes.iter().fold(json, |text, (plain, escaped)| text.replace(plain, escaped));
    text.replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029")
}

//! The bytes that state is kept in: per virtual shard, so that any number of workers can take it up again.
//!
//! One byte for the format, eight (little-endian) for the XXH3 of what follows, then tables, each a name and
//! an Arrow IPC stream of one batch, with their lengths before them. `keys` has a row per key: its columns
//! are `key`, then the parts of each aggregation's state, named by its place in the region, then how many
//! ticks are left. Others hold rows that wait or are on their way.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, UInt16Type, UInt32Type, UInt64Type};
use arrow_array::{
    Array, ArrayRef, ArrowPrimitiveType, BinaryArray, Int64Array, RecordBatch, UInt16Array, UInt32Array,
    UInt64Array,
};
use arrow_buffer::ScalarBuffer;
use arrow_ipc::MetadataVersion;
use arrow_ipc::reader::StreamReader;
use arrow_ipc::writer::{IpcWriteOptions, StreamWriter};
use arrow_schema::{ArrowError, Field, Schema};

use super::error::{EngineError, SnapshotError};
use super::hash::hash_bytes;
use super::{SHARDS, shard};
use crate::rows::{Apart, Keys, Lane, Places, Rows};

/// The format that is written and read.
const VERSION: u8 = 4;

/// A part of a shard's state: its name, and columns of one length with theirs.
pub(super) type Table = (String, Vec<(String, ArrayRef)>);

/// Tables as bytes.
pub(super) fn to_bytes(tables: &[Table]) -> Result<Vec<u8>, ArrowError> {
    let mut bytes = vec![VERSION, 0, 0, 0, 0, 0, 0, 0, 0];
    for (name, columns) in tables {
        let fields = columns.iter().map(|(name, column)| Field::new(name, column.data_type().clone(), true));
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let batch = RecordBatch::try_new(
            Arc::clone(&schema),
            columns.iter().map(|(_, column)| Arc::clone(column)).collect(),
        )?;
        let options = IpcWriteOptions::try_new(8, false, MetadataVersion::V5)?;
        let mut writer = StreamWriter::try_new_with_options(Vec::new(), &schema, options)?;
        writer.write(&batch)?;
        for part in [name.as_bytes(), &writer.into_inner()?] {
            bytes.extend((part.len() as u64).to_le_bytes());
            bytes.extend(part);
        }
    }
    let sum = hash_bytes(&bytes[9..]);
    bytes[1..9].copy_from_slice(&sum.to_le_bytes());
    Ok(bytes)
}

/// The tables that [`to_bytes`] was given.
pub(super) fn from_bytes(bytes: &[u8]) -> Result<Vec<Table>, SnapshotError> {
    let (version, rest) = bytes.split_first().ok_or(SnapshotError::Damaged)?;
    if *version != VERSION {
        return Err(SnapshotError::Version { found: *version, known: VERSION });
    }
    let (sum, mut rest) = rest.split_first_chunk::<8>().ok_or(SnapshotError::Damaged)?;
    if u64::from_le_bytes(*sum) != hash_bytes(rest) {
        return Err(SnapshotError::Damaged);
    }
    let mut part = || {
        let (length, after) = rest.split_first_chunk::<8>()?;
        let (part, after) = after.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)?;
        rest = after;
        Some(part)
    };
    let mut tables = Vec::new();
    while let Some(name) = part() {
        let name = str::from_utf8(name).map_err(|_| SnapshotError::Damaged)?;
        let stream = part().ok_or(SnapshotError::Damaged)?;
        let batch = StreamReader::try_new(stream, None)?.next().ok_or(SnapshotError::Damaged)??;
        let schema = batch.schema();
        let columns = schema.fields().iter().zip(batch.columns());
        let columns = columns.map(|(field, column)| (field.name().clone(), Arc::clone(column)));
        tables.push((name.to_owned(), columns.collect()));
    }
    if rest.is_empty() { Ok(tables) } else { Err(SnapshotError::Damaged) }
}

/// Columns in which a place is kept, before those of the rows.
const PLACE: [&str; 10] = [
    "key",
    "time",
    "lane",
    "origin_time",
    "origin_lane",
    "ordinal",
    "apart_lane",
    "apart_ordinal",
    "made_for",
    "turn",
];

/// Rows as columns.
pub(super) fn of_rows(rows: &Rows) -> Result<Vec<(String, ArrayRef)>, EngineError> {
    let places = &rows.places;
    let key = rows.key.as_ref().ok_or_else(|| EngineError::mismatch("snapshot", "keys", "none"))?;
    let all = 0..rows.len();
    let made_for = all.clone().map(|row| Some(places.made_for(row)).filter(|key| !key.is_empty()));
    let parts: [ArrayRef; 10] = [
        Arc::clone(&key.values),
        Arc::new(Int64Array::new(places.time.clone(), None)),
        Arc::new(UInt16Array::from_iter_values(all.clone().map(|row| places.lane.at(row)))),
        Arc::new(Int64Array::from_iter_values(all.clone().map(|row| places.lane.origin(row).0))),
        Arc::new(UInt16Array::from_iter_values(all.clone().map(|row| places.lane.origin(row).1))),
        Arc::new(UInt64Array::new(places.ordinal.clone(), None)),
        Arc::new(UInt16Array::from_iter_values(all.clone().map(|row| places.apart(row).0))),
        Arc::new(UInt64Array::from_iter_values(all.clone().map(|row| places.apart(row).1))),
        Arc::new(made_for.collect::<BinaryArray>()),
        Arc::new(UInt32Array::from_iter_values(all.map(|row| places.turn(row)))),
    ];
    let named = PLACE.iter().map(|name| (*name).to_owned()).zip(parts);
    let columns = rows.columns.iter().enumerate();
    Ok(named.chain(columns.map(|(at, column)| (at.to_string(), Arc::clone(column)))).collect())
}

/// The rows that [`of_rows`] was given.
pub(super) fn to_rows(columns: Vec<(String, ArrayRef)>) -> Result<Rows, SnapshotError> {
    if !columns.iter().map(|(name, _)| name.as_str()).take(PLACE.len()).eq(PLACE) {
        return Err(SnapshotError::Damaged);
    }
    let mut columns = columns.into_iter().map(|(_, column)| column);
    let mut next = || columns.next().ok_or(SnapshotError::Damaged);
    let values = next()?;
    let time = plain::<Int64Type>(&next()?)?;
    let lanes = plain::<UInt16Type>(&next()?)?;
    let lane = Lane::Moved {
        lanes,
        origin_time: plain::<Int64Type>(&next()?)?,
        origin_lane: plain::<UInt16Type>(&next()?)?,
    };
    let ordinal = plain::<UInt64Type>(&next()?)?;
    let apart = Apart { lane: plain::<UInt16Type>(&next()?)?, ordinal: plain::<UInt64Type>(&next()?)? };
    let made_for = next()?.as_binary_opt().ok_or(SnapshotError::Damaged)?.clone();
    let turn = plain::<UInt32Type>(&next()?)?;
    Ok(Rows {
        places: Places {
            time,
            lane,
            ordinal,
            apart: Some(Arc::new(apart)),
            made_for: Some(Arc::new(made_for)).filter(|keys| keys.null_count() < keys.len()),
            turn: Some(turn).filter(|turns| turns.iter().any(|turn| *turn > 0)),
        },
        key: Some(Keys { hashes: super::hash(&values), values }),
        columns: columns.collect(),
    })
}

/// A column of plain numbers.
fn plain<T: ArrowPrimitiveType>(column: &ArrayRef) -> Result<ScalarBuffer<T::Native>, SnapshotError> {
    let column = column.as_primitive_opt::<T>().ok_or(SnapshotError::Damaged)?;
    Ok(column.values().clone())
}

/// The numbers of the keys of each virtual shard that has any.
pub(super) fn by_shard(hashes: &[u64]) -> Vec<(u8, Vec<u32>)> {
    let mut shards = vec![Vec::new(); SHARDS];
    for (number, hash) in (0..).zip(hashes) {
        shards[usize::from(shard(*hash))].push(number);
    }
    (0..=u8::MAX).zip(shards).filter(|(_, numbers)| !numbers.is_empty()).collect()
}

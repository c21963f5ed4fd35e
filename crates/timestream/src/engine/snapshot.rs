//! The bytes that state is kept in: per virtual shard, so that any number of workers can take it up again.
//!
//! One byte for the format, eight (little-endian) for the XXH3 of what follows, then an Arrow IPC stream of one batch with a
//! row per key: its columns are `key`, then the parts of each aggregation's state, named by its place in the region.

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch};
use arrow_ipc::MetadataVersion;
use arrow_ipc::reader::StreamReader;
use arrow_ipc::writer::{IpcWriteOptions, StreamWriter};
use arrow_schema::{ArrowError, Field, Schema};

use super::error::SnapshotError;
use super::hash::hash_bytes;
use super::{SHARDS, shard};

/// The format that is written and read.
const VERSION: u8 = 1;

/// Columns as bytes. All are of one length.
pub(super) fn to_bytes(columns: &[(String, ArrayRef)]) -> Result<Vec<u8>, ArrowError> {
    let fields = columns.iter().map(|(name, column)| Field::new(name, column.data_type().clone(), true));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let batch = RecordBatch::try_new(
        Arc::clone(&schema),
        columns.iter().map(|(_, column)| Arc::clone(column)).collect(),
    )?;
    let options = IpcWriteOptions::try_new(8, false, MetadataVersion::V5)?;
    let mut writer =
        StreamWriter::try_new_with_options(vec![VERSION, 0, 0, 0, 0, 0, 0, 0, 0], &schema, options)?;
    writer.write(&batch)?;
    let mut bytes = writer.into_inner()?;
    let sum = hash_bytes(&bytes[9..]);
    bytes[1..9].copy_from_slice(&sum.to_le_bytes());
    Ok(bytes)
}

/// The columns that [`to_bytes`] was given.
pub(super) fn from_bytes(bytes: &[u8]) -> Result<Vec<(String, ArrayRef)>, SnapshotError> {
    let (version, rest) = bytes.split_first().ok_or(SnapshotError::Damaged)?;
    if *version != VERSION {
        return Err(SnapshotError::Version { found: *version, known: VERSION });
    }
    let (sum, stream) = rest.split_first_chunk::<8>().ok_or(SnapshotError::Damaged)?;
    if u64::from_le_bytes(*sum) != hash_bytes(stream) {
        return Err(SnapshotError::Damaged);
    }
    let batch = StreamReader::try_new(stream, None)?.next().ok_or(SnapshotError::Damaged)??;
    let schema = batch.schema();
    Ok(schema
        .fields()
        .iter()
        .zip(batch.columns())
        .map(|(field, column)| (field.name().clone(), Arc::clone(column)))
        .collect())
}

/// The numbers of the keys of each virtual shard that has any.
pub(super) fn by_shard(hashes: &[u64]) -> Vec<(u8, Vec<u32>)> {
    let mut shards = vec![Vec::new(); SHARDS];
    for (number, hash) in (0..).zip(hashes) {
        shards[usize::from(shard(*hash))].push(number);
    }
    (0..=u8::MAX).zip(shards).filter(|(_, numbers)| !numbers.is_empty()).collect()
}

//! Numbers, parts and rows as bytes: what parcels between processes and the saved places of sources are written in.
//!
//! All numbers are 64-bit little-endian, and every part has its length before it and is padded to 8 bytes, as
//! timely's channels want it. Nothing is allocated by a length that the bytes do not bear out.

use std::panic::catch_unwind;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, UInt16Type, UInt32Type, UInt64Type};
use arrow_array::{
    Array, ArrayRef, BinaryArray, Int64Array, RecordBatch, UInt16Array, UInt32Array, UInt64Array,
};
use arrow_buffer::Buffer;
use arrow_ipc::reader::StreamDecoder;
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{ArrowError, Field, Schema};
use skytide_timestream::rows::{Apart, Keys, Lane, Places, Rows};

/// Marks rows with a lane each; others have the lane in its place.
const LANES: u64 = u64::MAX;
/// Marks rows with a lane and an origin each.
const ORIGINS: u64 = u64::MAX - 1;

/// What each message of an Arrow stream begins with.
const CONTINUES: [u8; 4] = [0xff; 4];

/// Why bytes cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BytesError {
    /// They end too early.
    #[error("it is cut")]
    Cut,
    /// A number is none of those that may stand there.
    #[error("a number is out of bounds")]
    Number,
    /// They hold no rows.
    #[error("{0}")]
    Rows(#[from] ArrowError),
}

/// Bytes being written.
#[derive(Debug, Default)]
pub struct Writer(Vec<u8>);

impl From<Vec<u8>> for Writer {
    /// Writes on after what another one wrote.
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl Writer {
    /// Writes a number.
    pub fn number(&mut self, number: u64) {
        self.0.extend(number.to_le_bytes());
    }

    /// Writes a length, then that many bytes, then zeros up to a multiple of 8.
    pub fn part(&mut self, part: &[u8]) {
        self.number(part.len() as u64);
        self.0.extend(part);
        self.0.resize(self.0.len().next_multiple_of(8), 0);
    }

    /// Writes rows: which lane they are of, what they have, then an Arrow IPC stream.
    ///
    /// # Errors
    /// A column has a type that Arrow's format does not have.
    pub fn rows(&mut self, rows: &Rows) -> Result<(), ArrowError> {
        let stream = encode_rows(rows)?;
        let Places { apart, made_for, turn, .. } = &rows.places;
        let has = [rows.key.is_some(), apart.is_some(), made_for.is_some(), turn.is_some()];
        self.number(match rows.places.lane {
            Lane::One(lane) => u64::from(lane),
            Lane::Each(_) => LANES,
            Lane::Moved { .. } => ORIGINS,
        });
        self.number(has.iter().rev().fold(0, |bits, has| bits << 1 | u64::from(*has)));
        self.part(&stream);
        Ok(())
    }

    /// What was written.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

/// What is left of bytes that a [`Writer`] wrote.
#[derive(Debug)]
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Reads from the beginning.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Reads a number.
    ///
    /// # Errors
    /// The bytes are at their end.
    pub fn number(&mut self) -> Result<u64, BytesError> {
        let (head, rest) = self.0.split_first_chunk::<8>().ok_or(BytesError::Cut)?;
        self.0 = rest;
        Ok(u64::from_le_bytes(*head))
    }

    /// Reads a number that is a place or a length.
    ///
    /// # Errors
    /// The bytes are at their end, or it is too large for this machine.
    pub fn index(&mut self) -> Result<usize, BytesError> {
        usize::try_from(self.number()?).map_err(|_| BytesError::Number)
    }

    /// Reads a part.
    ///
    /// # Errors
    /// The bytes end before the part does.
    pub fn part(&mut self) -> Result<&'a [u8], BytesError> {
        let len = self.index()?;
        let (part, rest) = self.0.split_at_checked(len).ok_or(BytesError::Cut)?;
        self.0 = rest.get(len.next_multiple_of(8) - len..).ok_or(BytesError::Cut)?;
        Ok(part)
    }

    /// Reads rows.
    ///
    /// # Errors
    /// The bytes are at their end, or are no rows.
    pub fn rows(&mut self) -> Result<Rows, BytesError> {
        let lane = self.number()?;
        let has = self.number()?;
        let has = [0, 1, 2, 3].map(|bit| has >> bit & 1 != 0);
        Ok(decode_rows(self.part()?, lane, has)?)
    }

    /// Whether nothing is left.
    #[must_use]
    pub fn is_at_end(&self) -> bool {
        self.0.is_empty()
    }
}

/// Times, ordinals, lanes and origins if each row has one, where rows stand apart, for which keys ticks were
/// made and turns if any do, were and have them, key and its hashes if there is one, then the columns.
fn encode_rows(rows: &Rows) -> Result<Vec<u8>, ArrowError> {
    let Places { time, lane, ordinal, apart, made_for, turn } = &rows.places;
    let mut columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::new(time.clone(), None)),
        Arc::new(UInt64Array::new(ordinal.clone(), None)),
    ];
    match lane {
        Lane::One(_) => {}
        Lane::Each(lanes) => columns.push(Arc::new(UInt16Array::new(lanes.clone(), None))),
        Lane::Moved { lanes, origin_time, origin_lane } => {
            columns.push(Arc::new(UInt16Array::new(lanes.clone(), None)));
            columns.push(Arc::new(Int64Array::new(origin_time.clone(), None)));
            columns.push(Arc::new(UInt16Array::new(origin_lane.clone(), None)));
        }
    }
    if let Some(apart) = apart {
        let Apart { lane, ordinal } = apart.as_ref();
        columns.push(Arc::new(UInt16Array::new(lane.clone(), None)));
        columns.push(Arc::new(UInt64Array::new(ordinal.clone(), None)));
    }
    columns.extend(made_for.iter().map(|keys| Arc::<BinaryArray>::clone(keys) as ArrayRef));
    columns.extend(turn.iter().map(|turns| Arc::new(UInt32Array::new(turns.clone(), None)) as ArrayRef));
    if let Some(Keys { values, hashes }) = &rows.key {
        columns.push(Arc::new(UInt64Array::new(hashes.clone(), None)));
        columns.push(Arc::clone(values));
    }
    columns.extend(rows.columns.iter().cloned());
    let fields: Vec<Field> = columns
        .iter()
        .enumerate()
        .map(|(i, column)| Field::new(i.to_string(), column.data_type().clone(), true))
        .collect();
    let schema = Arc::new(Schema::new(fields));
    let mut writer = StreamWriter::try_new(Vec::new(), &schema)?;
    writer.write(&RecordBatch::try_new(schema, columns)?)?;
    writer.into_inner()
}

/// Whether no batch of an Arrow stream is compressed; none where it is no whole stream.
fn is_plain(mut stream: &[u8]) -> Option<bool> {
    while let Some((head, rest)) = stream.split_first_chunk::<8>() {
        let (mark, len) = head.split_first_chunk::<4>()?;
        if *mark != CONTINUES {
            return Some(false);
        }
        let len = u32::from_le_bytes(len.try_into().ok()?) as usize;
        if len == 0 {
            break;
        }
        let message = arrow_ipc::root_as_message(rest.get(..len)?).ok()?;
        let batch = message.header_as_record_batch();
        let batch = batch.or_else(|| message.header_as_dictionary_batch().and_then(|batch| batch.data()));
        if batch.is_some_and(|batch| batch.compression().is_some()) {
            return Some(false);
        }
        stream = rest.get(len..)?.get(usize::try_from(message.bodyLength()).ok()?..)?;
    }
    Some(true)
}

/// `has` says whether there are keys, places apart, keys that ticks were made for, turns.
fn decode_rows(
    stream: &[u8],
    lane: u64,
    [keyed, has_apart, has_made_for, has_turn]: [bool; 4],
) -> Result<Rows, ArrowError> {
    let short = || ArrowError::IpcError("a column is missing or damaged".to_owned());
    // Rows that we wrote are never compressed; what is sets apart what its own numbers say.
    if !is_plain(stream).unwrap_or(false) {
        return Err(short());
    }
    // The decoder is shown what there is, and sets nothing apart for what a length in it promises.
    // It panics where bytes that somebody made point beyond their end.
    let decoded = catch_unwind(|| StreamDecoder::new().decode(&mut Buffer::from(stream)));
    let batch = decoded.unwrap_or_else(|_| Err(short()))?.ok_or_else(short)?;
    let mut columns = batch.columns().iter().cloned();
    let mut next = || columns.next().ok_or_else(short);
    let time = next()?.as_primitive_opt::<Int64Type>().ok_or_else(short)?.values().clone();
    let ordinal = next()?.as_primitive_opt::<UInt64Type>().ok_or_else(short)?.values().clone();
    let mut lanes =
        || Ok::<_, ArrowError>(next()?.as_primitive_opt::<UInt16Type>().ok_or_else(short)?.values().clone());
    let lane = match lane {
        LANES => Lane::Each(lanes()?),
        ORIGINS => {
            let lanes = lanes()?;
            let origin_time = next()?.as_primitive_opt::<Int64Type>().ok_or_else(short)?.values().clone();
            let origin_lane = next()?.as_primitive_opt::<UInt16Type>().ok_or_else(short)?.values().clone();
            Lane::Moved { lanes, origin_time, origin_lane }
        }
        one => Lane::One(u16::try_from(one).map_err(|_| short())?),
    };
    let apart = if has_apart {
        let lane = next()?.as_primitive_opt::<UInt16Type>().ok_or_else(short)?.values().clone();
        let ordinal = next()?.as_primitive_opt::<UInt64Type>().ok_or_else(short)?.values().clone();
        Some(Arc::new(Apart { lane, ordinal }))
    } else {
        None
    };
    let made_for =
        if has_made_for { Some(Arc::new(next()?.as_binary_opt().ok_or_else(short)?.clone())) } else { None };
    let turn = match has_turn {
        true => Some(next()?.as_primitive_opt::<UInt32Type>().ok_or_else(short)?.values().clone()),
        false => None,
    };
    let key = if keyed {
        let hashes = next()?.as_primitive_opt::<UInt64Type>().ok_or_else(short)?.values().clone();
        Some(Keys { values: next()?, hashes })
    } else {
        None
    };
    let places = Places { time, lane, ordinal, apart, made_for, turn };
    Ok(Rows { places, key, columns: columns.collect() })
}

//! Parcels as bytes, for workers in different processes: a small head, then each piece as an Arrow IPC stream.
//!
//! All numbers are 64-bit little-endian and every part is padded to 8 bytes, as timely's channels want it. A parcel that
//! cannot be written or read arrives as a broken one and ends the job by name; timely's own signatures leave no room for
//! an error.

use std::io::Write;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, UInt16Type, UInt64Type};
use arrow_array::{Array, ArrayRef, BinaryArray, Int64Array, RecordBatch, UInt16Array, UInt64Array};
use arrow_ipc::reader::StreamReader;
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{ArrowError, Field, Schema};
use skytide_timestream::engine::{Clock, End};
use skytide_timestream::rows::{Apart, Keys, Lane, Places, Rows};
use timely::bytes::arc::Bytes;
use timely::dataflow::channels::ContainerBytes;

use crate::parcel::{Contents, Parcel, Piece};

/// Marks a parcel whose contents are the reason why it is broken.
const BROKEN: u64 = u64::MAX;
/// Marks rows with a lane each; others have the lane in its place.
const LANES: u64 = u64::MAX;
/// Marks rows with a lane and an origin each.
const ORIGINS: u64 = u64::MAX - 1;

impl ContainerBytes for Parcel {
    fn from_bytes(bytes: Bytes) -> Self {
        decode(&bytes).unwrap_or_else(|reason| {
            let mut parcel = Self::new(1, 0, Clock::START, Vec::new());
            parcel.contents = Contents::Broken(format!("a parcel between processes: {reason}"));
            parcel
        })
    }

    fn length_in_bytes(&self) -> usize {
        self.bytes().len()
    }

    fn into_bytes<W: Write>(&self, writer: &mut W) {
        // The writer is timely's buffer, which has room for `length_in_bytes`; were it short, the receiver would see it.
        if let Err(error) = writer.write_all(self.bytes()) {
            tracing::error!(%error, "a parcel was cut");
        }
    }
}

impl Parcel {
    /// Its bytes, made at the first call.
    fn bytes(&self) -> &[u8] {
        self.encoded.get_or_init(|| match &self.contents {
            Contents::Pieces(pieces) => {
                encode(self, pieces).unwrap_or_else(|error| encode_broken(self, &error.to_string()))
            }
            Contents::Broken(reason) => encode_broken(self, reason),
        })
    }
}

fn encode(parcel: &Parcel, pieces: &[Piece]) -> Result<Vec<u8>, ArrowError> {
    let mut bytes = head(parcel, pieces.len() as u64);
    for Piece { input, rows } in pieces {
        let lane = match rows.places.lane {
            Lane::One(lane) => u64::from(lane),
            Lane::Each(_) => LANES,
            Lane::Moved { .. } => ORIGINS,
        };
        let stream = encode_rows(rows)?;
        let has = [rows.key.is_some(), rows.places.apart.is_some(), rows.places.made_for.is_some()];
        let has = has.iter().rev().fold(0, |bits, has| bits << 1 | u64::from(*has));
        for number in [*input as u64, lane, has] {
            bytes.extend(number.to_le_bytes());
        }
        part(&mut bytes, &stream);
    }
    Ok(bytes)
}

fn encode_broken(parcel: &Parcel, reason: &str) -> Vec<u8> {
    let mut bytes = head(parcel, BROKEN);
    part(&mut bytes, reason.as_bytes());
    bytes
}

fn head(parcel: &Parcel, pieces: u64) -> Vec<u8> {
    let Clock { watermark, end } = parcel.clock;
    let (ticks, moved) = end.map_or((0, 0), |end| (end.ticks, end.moved));
    [
        parcel.weight.cast_unsigned(),
        parcel.sender as u64,
        watermark.cast_unsigned(),
        u64::from(end.is_some()),
        ticks.cast_unsigned(),
        moved.cast_unsigned(),
        pieces,
    ]
    .iter()
    .flat_map(|number| number.to_le_bytes())
    .collect()
}

/// A length, then that many bytes, then zeros up to a multiple of 8.
fn part(bytes: &mut Vec<u8>, part: &[u8]) {
    bytes.extend((part.len() as u64).to_le_bytes());
    bytes.extend(part);
    bytes.resize(bytes.len().next_multiple_of(8), 0);
}

/// Times, ordinals, lanes and origins if each row has one, where rows stand apart and for which keys ticks were made if any do and
/// were, key and its hashes if there is one, then the columns.
fn encode_rows(rows: &Rows) -> Result<Vec<u8>, ArrowError> {
    let Places { time, lane, ordinal, apart, made_for } = &rows.places;
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

fn decode(bytes: &[u8]) -> Result<Parcel, String> {
    let mut reader = Reader(bytes);
    let weight = reader.number()?.cast_signed();
    let sender = reader.index()?;
    let watermark = reader.number()?.cast_signed();
    let has_end = reader.number()? != 0;
    let end = End { ticks: reader.number()?.cast_signed(), moved: reader.number()?.cast_signed() };
    let clock = Clock { watermark, end: has_end.then_some(end) };
    let count = reader.number()?;
    let contents = if count == BROKEN {
        Contents::Broken(String::from_utf8_lossy(reader.part()?).into_owned())
    } else {
        let mut pieces = Vec::new();
        for _ in 0..count {
            let input = reader.index()?;
            let lane = reader.number()?;
            let has = reader.number()?;
            let has = [0, 1, 2].map(|bit| has >> bit & 1 != 0);
            let rows = decode_rows(reader.part()?, lane, has).map_err(|error| error.to_string())?;
            pieces.push(Piece { input, rows });
        }
        Contents::Pieces(pieces)
    };
    Ok(Parcel { weight, sender, clock, contents, ..Parcel::default() })
}

/// `has` says whether there are keys, places apart, keys that ticks were made for.
fn decode_rows(
    stream: &[u8],
    lane: u64,
    [keyed, has_apart, has_made_for]: [bool; 3],
) -> Result<Rows, ArrowError> {
    let short = || ArrowError::IpcError("a column is missing".to_owned());
    let batch = StreamReader::try_new(stream, None)?.next().ok_or_else(short)??;
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
    let key = if keyed {
        let hashes = next()?.as_primitive_opt::<UInt64Type>().ok_or_else(short)?.values().clone();
        Some(Keys { values: next()?, hashes })
    } else {
        None
    };
    let places = Places { time, lane, ordinal, apart, made_for };
    Ok(Rows { places, key, columns: columns.collect() })
}

/// What is left of a parcel's bytes.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn number(&mut self) -> Result<u64, String> {
        let (head, rest) = self.0.split_first_chunk::<8>().ok_or("it is cut")?;
        self.0 = rest;
        Ok(u64::from_le_bytes(*head))
    }

    fn index(&mut self) -> Result<usize, String> {
        usize::try_from(self.number()?).map_err(|error| error.to_string())
    }

    fn part(&mut self) -> Result<&'a [u8], String> {
        let len = self.index()?;
        let (part, rest) = self.0.split_at_checked(len).ok_or("it is cut")?;
        self.0 = rest.get(len.next_multiple_of(8) - len..).ok_or("it is cut")?;
        Ok(part)
    }
}

#[cfg(test)]
mod tests {
    use timely::Accountable;

    use super::*;
    use crate::testing::{events, rows, scan};

    fn parcel() -> Parcel {
        let events = events(50);
        let numbered: Vec<_> = (0..).zip(&events).collect();
        let mut keyed = rows(&scan(0, true), &numbered).unwrap();
        keyed.places.lane = Lane::Each((0..).take(keyed.len()).collect());
        let mut bare = rows(&scan(1, false), &numbered).unwrap().slice(3, 5);
        bare.columns.clear();
        bare.places.apart = Some(Arc::new(Apart { lane: vec![1; 5].into(), ordinal: (5..10).collect() }));
        let made_for = [Some("A"), None, None, Some("ä"), Some("")].into_iter().collect::<BinaryArray>();
        bare.places.made_for = Some(Arc::new(made_for));
        Parcel::new(
            7,
            2,
            Clock { watermark: -5, end: Some(End { ticks: 6, moved: i64::MAX }) },
            vec![Piece { input: 1, rows: keyed }, Piece { input: 0, rows: bare }],
        )
    }

    fn bytes(parcel: &Parcel) -> Vec<u8> {
        let mut bytes = Vec::new();
        parcel.into_bytes(&mut bytes);
        assert_eq!(bytes.len(), parcel.length_in_bytes());
        assert_eq!(bytes.len() % 8, 0);
        bytes
    }

    fn read(bytes: &[u8]) -> Parcel {
        Parcel::from_bytes(timely::bytes::arc::BytesMut::from(bytes.to_vec()).freeze())
    }

    #[test]
    fn a_parcel_comes_through() {
        let sent = parcel();
        let got = read(&bytes(&sent));
        assert_eq!((got.record_count(), got.sender), (7, 2));
        assert_eq!(format!("{:?}", got.contents), format!("{:?}", sent.contents));
        let empty = Parcel::new(1, 0, Clock::START, Vec::new());
        assert!(matches!(read(&bytes(&empty)).contents, Contents::Pieces(pieces) if pieces.is_empty()));
        let broken = Parcel { weight: 1, contents: Contents::Broken("why".to_owned()), ..Parcel::default() };
        assert!(matches!(read(&bytes(&broken)).contents, Contents::Broken(reason) if reason == "why"));
    }

    #[test]
    fn a_cut_parcel_is_a_broken_one() {
        let bytes = bytes(&parcel());
        for len in 0..bytes.len() {
            let got = read(&bytes[..len]);
            assert!(matches!(got.contents, Contents::Broken(_)), "cut to {len} of {}", bytes.len());
            assert_eq!(got.record_count(), 1);
        }
    }
}

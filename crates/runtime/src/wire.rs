//! Parcels as bytes, for workers in different processes: a small head, then each piece as an Arrow IPC stream.
//!
//! A parcel that cannot be written or read arrives as a broken one and ends the job by name; timely's own
//! signatures leave no room for an error.

use std::io::Write;

use arrow_schema::ArrowError;
use skytide_timestream::engine::{Clock, End};
use timely::bytes::arc::Bytes;
use timely::dataflow::channels::ContainerBytes;

use crate::bytes::{BytesError, Reader, Writer};
use crate::parcel::{Contents, Parcel, Piece};

/// Marks a parcel whose contents are the reason why it is broken.
const BROKEN: u64 = u64::MAX;
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
        // The writer is timely's buffer, which has room for `length_in_bytes`; were it short, the receiver
        // would see it.
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
        bytes.number(*input as u64);
        bytes.rows(rows)?;
    }
    Ok(bytes.into_bytes())
}

fn encode_broken(parcel: &Parcel, reason: &str) -> Vec<u8> {
    let mut bytes = head(parcel, BROKEN);
    bytes.part(reason.as_bytes());
    bytes.into_bytes()
}

fn head(parcel: &Parcel, pieces: u64) -> Writer {
    let Clock { watermark, end } = parcel.clock;
    let (ticks, moved) = end.map_or((0, 0), |end| (end.ticks, end.moved));
    let mut bytes = Writer::default();
    for number in [
        parcel.weight.cast_unsigned(),
        parcel.sender as u64,
        watermark.cast_unsigned(),
        u64::from(end.is_some()),
        ticks.cast_unsigned(),
        moved.cast_unsigned(),
        pieces,
    ] {
        bytes.number(number);
    }
    bytes
}

fn decode(bytes: &[u8]) -> Result<Parcel, BytesError> {
    let mut reader = Reader::new(bytes);
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
            let rows = reader.rows()?;
            pieces.push(Piece { input, rows });
        }
        Contents::Pieces(pieces)
    };
    Ok(Parcel { weight, sender, clock, contents, ..Parcel::default() })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::BinaryArray;
    use skytide_timestream::rows::{Apart, LAST, Lane};
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
        bare.places.turn = Some(vec![0, 1, 2, LAST, 0].into());
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

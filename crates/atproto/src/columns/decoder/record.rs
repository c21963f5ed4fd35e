//! Records of a repository, which are there without the commits that made them.

use super::{Clock, Decoder, Hit, Point, PointOp};
use crate::cbor::{Cursor, MapKeys};
use crate::cid::Cid;
use crate::clock::BELIEVED;
use crate::frame::FrameError;
use crate::message::{Action, Path};
use crate::syntax::{Tid, parse_time};

/// A record as it stands in a repository.
#[derive(Debug, Clone, Copy)]
pub struct StandingRecord<'a> {
    /// DID of the repository's account.
    pub did: &'a str,
    /// Its place in the repository.
    pub path: Path<'a>,
    /// Its CID.
    pub cid: Cid,
    /// The record; none where the repository's export does not hold it.
    pub record: Option<&'a [u8]>,
    /// When the repository was written last, UTC nanoseconds: nothing in it is much newer.
    pub written: i64,
}

impl StandingRecord<'_> {
    /// When it was made: by its key where that is a TID, else by its `createdAt`; with [`Clock::CreatedAt`]
    /// the other way round.
    fn time(&self, clock: Clock) -> Option<i64> {
        let of_key = || {
            let micros = self.path.rkey.parse::<Tid>().ok()?.micros();
            i64::try_from(micros).ok()?.checked_mul(1000)
        };
        let claimed = || self.record.and_then(created_at);
        match clock {
            Clock::CreatedAt => claimed().or_else(of_key),
            Clock::FrameTime | Clock::Rev | Clock::Arrival => of_key().or_else(claimed),
        }
    }
}

impl Decoder {
    /// Reads a record that stands in a repository, as if it were created now; gives the number of points.
    /// They have no number, no revision and no time of a frame: these are null. What tells no time, or one
    /// over five minutes after the repository was written, is counted and has the time of that.
    ///
    /// # Errors
    /// [`FrameError::Full`], which is not the record's fault: all is as before, and it can be pushed again after
    /// [`take`](Decoder::take).
    pub fn push_record(&mut self, record: &StandingRecord<'_>) -> Result<u32, FrameError> {
        let before = (self.position, self.counters);
        let read = self.read_standing(record);
        self.settle(before, read.as_ref().map(|rows| *rows));
        read
    }

    fn read_standing(&mut self, standing: &StandingRecord<'_>) -> Result<u32, FrameError> {
        let path = standing.path.to_string();
        self.hits.clear();
        let wanted = self.note(
            0,
            (path.as_bytes(), 0),
            || Ok::<_, FrameError>(Action::Create),
            || Ok(Some(standing.cid)),
        )?;
        self.counters.ops += 1;
        self.counters.unwanted += u64::from(!wanted);
        let ordinal = self.take_ordinals(1);
        if !wanted {
            return Ok(0);
        }
        let told = standing.time(self.clock);
        let believed = told.filter(|time| *time <= standing.written.saturating_add(BELIEVED));
        self.counters.untimed += u64::from(told.is_none());
        self.counters.ahead += u64::from(told.is_some() && believed.is_none());
        let point = Point {
            time: believed.unwrap_or(standing.written),
            ordinal,
            did: Some(standing.did),
            op: Some(PointOp { path: standing.path, action: Action::Create, cid: Some(standing.cid) }),
            ..Point::default()
        };
        let mut rows = 0;
        for Hit { stream, wanted, .. } in &self.hits {
            let stream = &mut self.streams[*stream];
            match standing.record.filter(|_| wanted.is_some()) {
                Some(record) => stream.read_record(record, &mut self.counters)?,
                None => self.counters.no_record += u64::from(wanted.is_some()),
            }
            let kept = stream.end_row(&point)?;
            rows += u32::from(kept);
            self.counters.filtered += u64::from(!kept);
        }
        self.counters.rows += u64::from(rows);
        Ok(rows)
    }
}

/// What a record says of when it was made, UTC nanoseconds.
fn created_at(record: &[u8]) -> Option<i64> {
    let mut cursor = Cursor::new(record);
    let mut keys = MapKeys::new(cursor.read_map().ok()?);
    while let Some(key) = keys.next(&mut cursor).ok()? {
        if key == "createdAt" {
            return parse_time(cursor.read_text().ok()?);
        }
        cursor.skip().ok()?;
    }
    None
}

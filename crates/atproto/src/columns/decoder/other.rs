//! Frames other than commits: a message is a point, or none.

use super::{Clock, Decoder, Kind, Point, Pushed, rev_time};
use crate::frame::{Frame, FrameError};
use crate::message::{Account, Identity, Message, Sync};

impl Decoder {
    /// Reads such a frame.
    #[cold]
    pub(super) fn read_other(
        &mut self,
        kind: Kind,
        frame: &[u8],
        arrival: i64,
    ) -> Result<Pushed, FrameError> {
        let frame = Frame::parse(frame)?;
        let message = Message::parse(&frame)?;
        let (time, point) = match &message {
            Message::Identity(Identity { did, time, handle, .. }) => {
                (*time, Point { did: Some(did), handle: *handle, ..Point::default() })
            }
            Message::Account(Account { did, time, active, status, .. }) => {
                let point =
                    Point { did: Some(did), active: Some(*active), status: *status, ..Point::default() };
                (*time, point)
            }
            Message::Sync(Sync { did, time, rev, .. }) => {
                (*time, Point { did: Some(did), rev: Some(rev), ..Point::default() })
            }
            Message::Handle(message) => (message.time, Point::default()),
            Message::Migrate(message) => (message.time, Point::default()),
            Message::Tombstone(message) => (message.time, Point::default()),
            Message::Labels(labels) if self.messages.contains(&Some(Kind::Labels)) => {
                return self.read_labels(labels, arrival);
            }
            _ => {
                self.counters.ignored += 1;
                return Ok(Pushed { kind, seq: message.seq(), source_time: None, rows: 0 });
            }
        };
        let release =
            self.release(message.seq().ok_or(FrameError::Missing("seq"))?, time.as_bytes(), arrival)?;
        let own_time = match self.clock {
            Clock::FrameTime => release.source_time.map(|_| release.time),
            Clock::Arrival => Some(release.time),
            Clock::Rev => point.rev.and_then(rev_time).filter(|time| *time <= release.most),
            Clock::CreatedAt => None,
        };
        let point = Point {
            time: own_time.unwrap_or(release.time),
            ordinal: release.ordinal,
            seq: Some(release.seq),
            source_time: release.source_time,
            ..point
        };
        let rows = self.end_rows(kind, &point, own_time.is_some())?;
        Ok(Pushed { kind, seq: message.seq(), source_time: release.source_time, rows })
    }

    /// Gives a point to each stream that is made of such messages; gives the number of those that took it.
    /// `timed` says whether it has a time by the chosen clock.
    pub(super) fn end_rows(&mut self, kind: Kind, point: &Point<'_>, timed: bool) -> Result<u32, FrameError> {
        let mut rows = 0;
        for (stream, _) in self.streams.iter_mut().zip(&self.messages).filter(|(_, of)| **of == Some(kind)) {
            let kept = stream.end_row(point)?;
            rows += u32::from(kept);
            self.counters.filtered += u64::from(!kept);
            self.counters.untimed += u64::from(!timed);
        }
        self.counters.rows += u64::from(rows);
        Ok(rows)
    }
}

//! Labels: many points in one frame, each with a time of its own.

use super::{Clock, Decoder, FrameError, Kind, ORDINALS, Point, Pushed, most};
use crate::message::Labels;
use crate::syntax::parse_time;

impl Decoder {
    /// Reads the labels of a message, each as a point.
    ///
    /// The event clock is told each label's `cts` in turn, as it is a frame's `time`. One that is no datetime
    /// has the clock's time; if there is none yet, that of the next label that has one, and where none has
    /// the message is refused.
    pub(super) fn read_labels(&mut self, labels: &Labels<'_>, arrival: i64) -> Result<Pushed, FrameError> {
        let seq = i64::try_from(labels.seq).map_err(|_| FrameError::Seq)?;
        let newest_arrival = self.arrive(arrival);
        let count = labels.labels.len() as u64;
        let first = self.take_ordinals(count.div_ceil(ORDINALS).max(1));
        let mut rows = 0;
        for (ordinal, label) in (first..).zip(&labels.labels) {
            let source_time = self.times.parse(label.cts.as_bytes());
            let event_time = match source_time {
                Some(time) => self.tell(time, arrival),
                None => self
                    .position
                    .clock
                    .newest
                    .or_else(|| self.first_time(labels, arrival))
                    .ok_or(FrameError::Time)?,
            };
            let own_time = match self.clock {
                Clock::FrameTime => source_time.map(|_| event_time),
                Clock::Arrival => Some(newest_arrival),
                Clock::Rev => None,
                // The clock has been told of it: what it did not believe is counted.
                Clock::CreatedAt => source_time.map(|time| {
                    if time > most(event_time, source_time, arrival) { event_time } else { time }
                }),
            };
            let did = label.subject();
            self.counters.no_subject += u64::from(did.is_none());
            let point = Point {
                time: own_time.unwrap_or(event_time),
                ordinal,
                seq: Some(seq),
                source_time,
                did,
                label: Some(label),
                ..Point::default()
            };
            rows += self.end_rows(Kind::Labels, &point, own_time.is_some())?;
        }
        Ok(Pushed { kind: Kind::Labels, seq: Some(labels.seq), source_time: None, rows })
    }

    /// The time that an event clock which has none yet is to have by a message.
    fn first_time(&self, labels: &Labels<'_>, arrival: i64) -> Option<i64> {
        let time = labels.labels.iter().find_map(|label| parse_time(label.cts))?;
        let mut clock = self.position.clock;
        Some(clock.tell(time, self.known(arrival)).0)
    }
}

//! Where a source of frames stands, as it is handed on to another decoder or saved for another run.

use skytide_atproto::clock::EventClock;
use skytide_atproto::columns::Position;
use skytide_firehose::{JetstreamPlace, Place};
use skytide_runtime::{BytesError, Reader, Writer};

use crate::frames::Last;
use crate::recovery::{StateError, state};
use crate::source::{Saved, SourceState, Status};

/// Where frames stand after the points that were made of them last: all that it takes to go on after those.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Mark {
    pub(crate) last: Last,
    pub(crate) position: Position,
    /// Frames and bytes decoded since the source was opened first.
    pub(crate) read: u64,
    pub(crate) bytes: u64,
    /// Whether recordings that come first are behind.
    pub(crate) is_live: bool,
}

impl Mark {
    fn write(&self, bytes: &mut Writer) {
        let Position { clock, frames, arrival } = self.position;
        let Last { number, place } = self.last;
        state::write_time(bytes, number.map(u64::cast_signed));
        state::write_time(bytes, place.seq().map(u64::cast_signed));
        state::write_time(bytes, place.newest());
        state::write_time(bytes, clock.newest);
        bytes.number(clock.ahead.into());
        bytes.number(clock.lowest_ahead.cast_unsigned());
        bytes.number(frames);
        state::write_time(bytes, arrival);
        bytes.number(self.read);
        bytes.number(self.bytes);
        bytes.number(self.is_live.into());
    }

    fn read(bytes: &mut Reader<'_>) -> Result<Self, StateError> {
        let mut number = || state::read_time(bytes).map(|number| number.map(i64::cast_unsigned));
        let (number, seq) = (number()?, number()?);
        let last = Last { number, place: Place::new(seq, state::read_time(bytes)?) };
        let newest = state::read_time(bytes)?;
        let ahead = u8::try_from(bytes.number()?).ok().filter(|ahead| *ahead < EventClock::CONVINCING);
        let ahead = ahead.ok_or(BytesError::Number)?;
        let lowest_ahead = bytes.number()?.cast_signed();
        let frames = state::read_count(bytes)?;
        let arrival = state::read_time(bytes)?;
        let clock = EventClock { newest, ahead, lowest_ahead };
        let position = Position { clock, frames, arrival };
        let (read, size) = (state::read_count(bytes)?, state::read_count(bytes)?);
        let is_live = state::read_flag(bytes)?;
        Ok(Self { last, position, read, bytes: size, is_live })
    }
}

/// Where a source of frames left off, and what it had done.
#[derive(Debug, Default)]
pub(crate) struct Standing {
    pub(crate) mark: Mark,
    pub(crate) status: Status,
    /// Of a Jetstream.
    pub(crate) place: Option<JetstreamPlace>,
}

impl Standing {
    /// The state of a source that is told from others so.
    pub(crate) fn save(&self, identity: &str) -> Saved {
        let mut bytes = Writer::default();
        bytes.part(identity.as_bytes());
        self.mark.write(&mut bytes);
        state::write_status(&mut bytes, &self.status);
        bytes.part(&self.place.as_ref().map_or_else(Vec::new, JetstreamPlace::to_bytes));
        Saved::State(SourceState(bytes.into_bytes()))
    }

    /// Reads what [`Self::save`] wrote of the same source.
    pub(crate) fn read(bytes: &mut Reader<'_>, identity: &str) -> Result<Self, StateError> {
        state::expect(bytes, identity)?;
        let (mark, status) = (Mark::read(bytes)?, state::read_status(bytes)?);
        let place = match bytes.part()? {
            [] => None,
            place => Some(JetstreamPlace::from_bytes(place).ok_or(BytesError::Cut)?),
        };
        Ok(Self { mark, status, place })
    }
}

//! Judging what comes over a connection: handed on, dropped as seen, quarantined, or the end; and what of it
//! may be a gap.

use std::time::Duration;

use bytes::Bytes;
use skytide_atproto::{
    cbor::Cursor,
    frame::{self, Header, Kind, Peek},
    message::Message,
    syntax::parse_time,
};

use super::{
    Frame, State, Subscription,
    low_water::Mark,
    taker::{Taker, Taking},
};
use crate::{Cause, ConnectionError, Event, Quarantine, StreamError, error::one_line, place::Sight};

/// After this many frames that do not decode, one directly after the other, the connection is given up.
const UNDECODABLE_IN_A_ROW: u32 = 32;

/// So many bytes of an oversized message go into quarantine.
const HEAD: usize = 4096;

impl Subscription {
    /// Judges a message that is not too large.
    pub(super) fn message<T: Taker>(
        &mut self,
        bytes: Bytes,
        is_text: bool,
        arrival: i64,
        out: &mut Taking<'_, T>,
    ) {
        if let Some(jetstream) = &mut self.jetstream {
            match jetstream.read(&bytes, is_text) {
                Ok(None) => {
                    self.undecodable = 0;
                    self.counters.unknown += 1;
                }
                Ok(Some(event)) => {
                    self.undecodable = 0;
                    let seq = u64::try_from(event.time_us).unwrap_or_default();
                    let is_new = jetstream.see(seq, &event, self.place.seq());
                    let time = Some(event.time_us.saturating_mul(1000));
                    let frame =
                        Frame { bytes: event.bytes.into(), kind: event.kind, seq: Some(seq), time, arrival };
                    self.reconnected(Some(seq));
                    if is_new {
                        let newest = self.place.newest();
                        self.place.pass(Some(seq), time, arrival);
                        self.note_jump(newest, &frame);
                        self.hand_out(frame, out);
                    } else {
                        self.counters.repeated += 1;
                    }
                }
                Err(reason) => self.quarantine(&bytes, reason, arrival),
            }
        } else if is_text {
            self.counters.texts += 1;
        } else {
            match frame::peek_next(&bytes, &mut self.times) {
                Ok(peek) => self.accept(bytes, peek, arrival, out),
                Err(error) => {
                    self.quarantine(&bytes, error.to_string(), arrival);
                    self.hand_out_refused(bytes, arrival, out);
                }
            }
        }
    }

    /// Judges a frame that decodes.
    fn accept<T: Taker>(&mut self, bytes: Bytes, peek: Peek, arrival: i64, out: &mut Taking<'_, T>) {
        self.undecodable = 0;
        let Peek { kind, seq, mut time } = peek;
        match kind {
            Kind::Error => {
                self.error_frame(&bytes, arrival);
                return self.hand_out_refused(bytes, arrival, out);
            }
            Kind::Info => self.info(&bytes, arrival),
            Kind::Labels => time = newest_label(&bytes),
            Kind::Unknown => self.counters.unknown += 1,
            _ => {}
        }
        if seq.is_some() {
            self.reconnected(seq);
        }
        let newest = self.place.newest();
        match self.place.see(seq, time, arrival) {
            Sight::New => {}
            Sight::Repeated => {
                self.counters.repeated += 1;
                return;
            }
            Sight::Restarted { last } => self.restarted(last, seq, arrival),
        }
        let frame = Frame { bytes, kind, seq, time, arrival };
        self.note_jump(newest, &frame);
        self.note_chain(&frame);
        self.hand_out(frame, out);
    }

    /// Enters that the numbering began anew.
    fn restarted(&mut self, last: u64, first: Option<u64>, arrival: i64) {
        self.counters.restarts += 1;
        let first = first.unwrap_or_default();
        tracing::warn!(endpoint = %self.endpoint, last, first, "the numbering began anew");
        self.settings.report(&Event::Restarted { last, first });
        self.shared.ledger.enter(arrival, Cause::Restarted { last, first });
    }

    fn hand_out<T: Taker>(&mut self, frame: Frame, out: &mut Taking<'_, T>) {
        self.barren = 0;
        if frame.seq.is_some() {
            self.failures = 0;
        }
        self.poison = None;
        self.first = self.first.or(self.place.seq());
        self.counters.frames += 1;
        self.counters.bytes += frame.bytes.len() as u64;
        if frame.time.is_some() {
            self.last_arrival = Some(frame.arrival);
        }
        self.take(frame, out);
    }

    /// Gives a frame to whoever takes it, with the place after it.
    fn take<T: Taker>(&mut self, frame: Frame, out: &mut Taking<'_, T>) {
        let mark = frame.seq.map(|seq| Mark::new(seq, &self.place));
        self.fresh.extend(mark);
        out.taken += 1;
        out.taker.take(&mut self.shelf, frame, mark);
    }

    /// Hands on an error frame, or one that is in quarantine, to whoever wants them, if it has a header at all.
    fn hand_out_refused<T: Taker>(&mut self, bytes: Bytes, arrival: i64, out: &mut Taking<'_, T>) {
        if !self.settings.hands_on_refused {
            return;
        }
        let Ok(kind) = Header::read(&mut Cursor::new(&bytes)).map(|header| header.kind()) else { return };
        let (seq, time) = frame::peek_head(&bytes);
        match self.place.see(seq, time, arrival) {
            Sight::New => {}
            Sight::Repeated => return,
            Sight::Restarted { last } => self.restarted(last, seq, arrival),
        }
        self.take(Frame { bytes, kind, seq, time, arrival }, out);
    }

    /// Enters a jump of the events' time from the newest before this frame. A time that is not believed is no
    /// jump. From a saved place no time has passed: the server is to go on from there.
    fn note_jump(&mut self, newest: Option<i64>, frame: &Frame) {
        let (Some(limit), Some(from), Some(to)) = (self.settings.time_jump, newest, frame.time) else {
            return;
        };
        let passed = self.last_arrival.map_or(0, |last| frame.arrival.saturating_sub(last).max(0));
        let jump = to.saturating_sub(from).saturating_sub(passed);
        let is_believed = self.place.believes(to, frame.arrival);
        if is_believed && u128::try_from(jump).is_ok_and(|jump| jump > limit.as_nanos()) {
            tracing::warn!(endpoint = %self.endpoint, from, to, seq = frame.seq, "the time of the events jumped");
            self.shared.ledger.enter(frame.arrival, Cause::TimeJump { seq: frame.seq, from, to });
        }
    }

    /// Enters a commit that does not follow the last one of its repository.
    fn note_chain(&mut self, frame: &Frame) {
        let Some(chains) = self.chains.as_mut().filter(|_| matches!(frame.kind, Kind::Commit | Kind::Sync))
        else {
            return;
        };
        // A message that cannot be read is its reader's to refuse.
        if let Ok(message) = frame.message()
            && let Some(broken) = chains.see(&message)
        {
            self.shared.ledger.enter(frame.arrival, broken);
        }
    }

    fn info(&mut self, bytes: &[u8], arrival: i64) {
        let parsed = Message::from_bytes(bytes);
        if let Ok(Message::Info(info)) = parsed
            && info.name == "OutdatedCursor"
        {
            self.counters.outdated_cursors += 1;
            tracing::warn!(endpoint = %self.endpoint, "the cursor is older than what the server has");
            self.settings.report(&Event::OutdatedCursor { message: info.message });
            let asked = match &self.state {
                State::Open(connection) => connection.asked().cursor,
                _ => None,
            };
            let message = info.message.map(one_line);
            self.shared.ledger.enter(arrival, Cause::OutdatedCursor { asked, message });
        }
    }

    fn error_frame(&mut self, bytes: &Bytes, arrival: i64) {
        let parsed = Message::from_bytes(bytes);
        let error = match parsed {
            Ok(Message::Error(error)) => {
                StreamError { code: one_line(error.error), message: error.message.map(one_line) }
            }
            Ok(_) => return,
            Err(error) => return self.quarantine(bytes, error.to_string(), arrival),
        };
        tracing::warn!(endpoint = %self.endpoint, %error, "error frame");
        self.settings.report(&Event::ErrorFrame(&error));
        if error.code == "ConsumerTooSlow" {
            let message = error.message.unwrap_or_default();
            self.disconnected(self.lasted(), ConnectionError::TooSlow { message });
        } else {
            self.counters.disconnects += 1;
            self.reconnected(None);
            self.state = State::Failed(error.into());
        }
    }

    /// For how long the connection has been open.
    fn lasted(&self) -> Duration {
        match &self.state {
            State::Open(connection) => connection.lasted(),
            _ => Duration::ZERO,
        }
    }

    fn quarantine(&mut self, bytes: &Bytes, reason: String, arrival: i64) {
        self.counters.undecodable += 1;
        self.undecodable = self.undecodable.saturating_add(1);
        tracing::warn!(endpoint = %self.endpoint, length = bytes.len(), reason, "quarantined a frame");
        let (seq, time) = frame::peek_head(bytes);
        self.shared.ledger.enter(arrival, Cause::Quarantined { seq, reason: reason.clone() });
        let why = Quarantine::Undecodable { reason };
        self.settings.report(&Event::Quarantined { why, bytes, seq });
        if self.undecodable == UNDECODABLE_IN_A_ROW {
            let met = Some((self.place.seq(), seq));
            if std::mem::replace(&mut self.poison, met) == met {
                // It was not the connection's fault. Those without a number would be met by each: they are
                // passed over.
                if seq.is_none() {
                    return;
                }
                // The next one is not to meet them again.
                self.poison = None;
                if let Sight::Restarted { last } = self.place.see(seq, time, arrival) {
                    self.restarted(last, seq, arrival);
                }
            }
            let in_a_row = std::mem::take(&mut self.undecodable);
            self.disconnected(self.lasted(), ConnectionError::Undecodable { in_a_row });
        }
    }

    /// Skips a message over the limit, but moves the place past it where its number can still be read: a
    /// reconnect is not to meet it again.
    pub(super) fn oversized(&mut self, bytes: &Bytes, size: u64, arrival: i64) {
        self.counters.oversized += 1;
        let (seq, time) = frame::peek_head(bytes);
        let head = Bytes::copy_from_slice(bytes.get(..HEAD).unwrap_or(bytes));
        if seq.is_some() {
            self.reconnected(seq);
        }
        if let Sight::Restarted { last } = self.place.see(seq, time, arrival) {
            self.restarted(last, seq, arrival);
        }
        tracing::warn!(endpoint = %self.endpoint, size, seq, "quarantined the head of an oversized message");
        self.shared.ledger.enter(arrival, Cause::Oversized { seq, size });
        self.settings.report(&Event::Quarantined { why: Quarantine::Oversized { size }, bytes: &head, seq });
    }
}

/// The newest `cts` of a `#labels` message, UTC nanoseconds: it has no other time.
fn newest_label(bytes: &[u8]) -> Option<i64> {
    let Ok(Message::Labels(labels)) = Message::from_bytes(bytes) else {
        return None;
    };
    labels.labels.iter().filter_map(|label| parse_time(label.cts)).max()
}

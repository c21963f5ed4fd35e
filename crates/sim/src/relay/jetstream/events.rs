//! One client's view of the frames: the events that it wants, as messages.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::ops::RangeInclusive;

use skytide_atproto::frame::Frame;
use skytide_atproto::jetstream::{Subject, write_events};
use zstd::bulk::Compressor;

use super::options::{Options, OptionsError, Wants};
use super::{Jetstream, Stamp};
use crate::relay::faulty::Spot;
use crate::relay::hub::Run;
use crate::relay::wire::{self, FINAL, Form};

pub(in crate::relay) struct Events {
    wants: Wants,
    pub(in crate::relay) cursor: Option<u64>,
    /// No event before this time is sent.
    pub(in crate::relay) from: u64,
    /// Nothing is sent before the client has said what it wants.
    pub(in crate::relay) awaits_hello: bool,
    compressor: Option<Compressor<'static>>,
    seam: Option<Seam>,
    /// The lines of the frame at hand.
    lines: String,
}

/// What comes again where replay goes over to live.
struct Seam {
    events: usize,
    /// Place of the first live frame.
    live: u64,
    /// The last events sent.
    recent: VecDeque<(Spot, Vec<u8>)>,
}

/// Events as whole WebSocket messages.
#[derive(Default)]
pub(in crate::relay) struct Messages {
    pub(in crate::relay) bytes: Vec<u8>,
    pub(in crate::relay) spots: Vec<Spot>,
    /// How many came again at a seam, and their times from the first to the last.
    pub(in crate::relay) again: Option<(u64, RangeInclusive<u64>)>,
}

impl Messages {
    fn push(&mut self, spot: Spot, message: &[u8]) {
        self.bytes.extend_from_slice(message);
        self.spots.push(spot);
    }
}

impl Events {
    pub(in crate::relay) fn new(options: Options, jetstream: &Jetstream) -> io::Result<Self> {
        let dictionary = jetstream.dictionary.as_deref().filter(|_| options.compress);
        Ok(Self {
            wants: options.wants,
            cursor: options.cursor,
            from: 0,
            awaits_hello: options.require_hello,
            compressor: dictionary.map(compressor).transpose()?,
            seam: None,
            lines: String::new(),
        })
    }

    pub(in crate::relay) fn form(&self) -> Form {
        if self.compressor.is_some() { Form::Compressed } else { Form::Events }
    }

    /// Has so many events come again before the frame at a place.
    pub(in crate::relay) fn expect_seam(&mut self, events: u64, live: u64) {
        let events = usize::try_from(events).unwrap_or(usize::MAX);
        self.seam = Some(Seam { events, live, recent: VecDeque::new() });
    }

    /// Takes in what the client says.
    pub(in crate::relay) fn hear(&mut self, text: &str) -> Result<(), OptionsError> {
        if let Some(wants) = Wants::of_message(text)? {
            self.wants = wants;
            self.awaits_hello = false;
        }
        Ok(())
    }

    /// The wanted events of a run of frames.
    pub(in crate::relay) fn of(&mut self, run: &Run) -> io::Result<Messages> {
        let mut messages = Messages::default();
        let frames = wire::messages(&run.bytes).zip(run.spots()).zip(&run.stamps);
        for (((message, header), spot), stamp) in frames {
            if stamp.events > 0 && stamp.end() > self.from {
                self.write(message.get(header..).unwrap_or_default(), spot, *stamp, &mut messages)?;
            }
        }
        if let Some(seam) = self.seam.take_if(|seam| run.first + run.frames >= seam.live) {
            seam.write(&mut messages);
        }
        Ok(messages)
    }

    fn write(&mut self, frame: &[u8], spot: Spot, stamp: Stamp, messages: &mut Messages) -> io::Result<()> {
        self.lines.clear();
        let (next, times) = (Cell::new(stamp.first), RefCell::new(Vec::new()));
        let wanted = |subject: &Subject<'_>| {
            let time_us = next.replace(next.get() + 1);
            let wanted = time_us >= self.from && self.wants.want(subject);
            times.borrow_mut().extend(wanted.then_some(time_us));
            wanted
        };
        let first = i64::try_from(stamp.first).unwrap_or(i64::MAX);
        let written =
            Frame::parse(frame).and_then(|frame| write_events(&frame, first, wanted, &mut self.lines));
        if let Err(error) = written {
            tracing::debug!(%error, place = spot.place, "a frame has no events");
            return Ok(());
        }
        let form = self.form();
        for (line, time_us) in self.lines.lines().zip(times.take()) {
            let line = with_time(line, stamp.first, time_us);
            let payload = match &mut self.compressor {
                Some(compressor) => Cow::Owned(compressor.compress(line.as_bytes())?),
                None => Cow::Borrowed(line.as_bytes()),
            };
            let message = wire::message(FINAL | form.kind(), &payload);
            let spot = Spot { time_us: Some(time_us), ..spot };
            messages.push(spot, &message);
            if let Some(seam) = &mut self.seam {
                seam.keep(spot, message);
            }
        }
        Ok(())
    }
}

impl Seam {
    fn keep(&mut self, spot: Spot, message: Vec<u8>) {
        self.recent.push_back((spot, message));
        if self.recent.len() > self.events {
            self.recent.pop_front();
        }
    }

    /// The last events again, each two of them swapped.
    fn write(mut self, messages: &mut Messages) {
        let times = self.recent.iter().filter_map(|(spot, _)| spot.time_us);
        let (first, last) = (times.clone().min(), times.max());
        messages.again = first.zip(last).map(|(first, last)| (self.recent.len() as u64, first..=last));
        for pair in self.recent.make_contiguous().chunks(2) {
            for (spot, message) in pair.iter().rev() {
                messages.push(*spot, message);
            }
        }
    }
}

/// The same level as anywhere: what counts is that it reads back.
pub(in crate::relay) fn compressor(dictionary: &[u8]) -> io::Result<Compressor<'static>> {
    Compressor::with_dictionary(zstd::DEFAULT_COMPRESSION_LEVEL, dictionary)
}

/// The line with another time than it was written with: all lines of a frame are written with that of its
/// first event.
fn with_time(line: &str, written: u64, time_us: u64) -> Cow<'_, str> {
    if time_us == written {
        return Cow::Borrowed(line);
    }
    // The first that reads so is the field: in a text before it, the quotes would be escaped.
    Cow::Owned(line.replacen(&format!("\"time_us\":{written},"), &format!("\"time_us\":{time_us},"), 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_given_another_time_and_nothing_else() {
        let line =
            r#"{"did":"\"time_us\":7,","time_us":7,"kind":"commit","commit":{"record":{"time_us":7,"x":1}}}"#;
        assert_eq!(with_time(line, 7, 7), line);
        assert_eq!(with_time(line, 7, 12), line.replace(r#","time_us":7,"kind"#, r#","time_us":12,"kind"#));
    }
}

//! A source whose numbering begins anew at given frames: the frames of another, with other numbers.

use std::collections::VecDeque;
use std::sync::Arc;

use skytide_atproto::cbor::Encoder;

use super::fault::{Fault, Fired, FiredAt, Log};
use crate::frames::{Envelope, FrameSource};

pub(super) struct Renumbered {
    source: Box<dyn FrameSource>,
    /// Frames from which on numbers begin with 1, counted from one, in order.
    at: VecDeque<u64>,
    /// Frames so far.
    made: u64,
    /// What is taken off every number, once it has begun anew.
    less: Option<u64>,
    /// The next frame with a number is to be number 1.
    due: bool,
    stream: &'static str,
    log: Arc<Log>,
}

impl Renumbered {
    pub(super) fn new(
        source: Box<dyn FrameSource>,
        at: Vec<u64>,
        stream: &'static str,
        log: Arc<Log>,
    ) -> Self {
        Self { source, at: at.into(), made: 0, less: None, due: false, stream, log }
    }
}

impl FrameSource for Renumbered {
    fn next_into(&mut self, out: &mut Vec<u8>) -> Option<Option<u64>> {
        let start = out.len();
        let seq = self.source.next_into(out)?;
        self.made += 1;
        while self.at.pop_front_if(|at| *at <= self.made).is_some() {
            self.due = true;
        }
        let Some(old) = seq else { return Some(None) };
        let anew = std::mem::take(&mut self.due);
        if anew {
            self.less = Some(old.saturating_sub(1));
        }
        let Some(less) = self.less else { return Some(seq) };
        // A frame whose number does not stand where it should keeps it.
        let envelope = Envelope::read(out.get(start..).unwrap_or_default()).unwrap_or_default();
        let Some(item) = envelope.seq else { return Some(seq) };
        let new = item.value.saturating_sub(less);
        let mut encoder = Encoder::new();
        encoder.unsigned(new);
        out.splice(start + item.place.start..start + item.place.end, encoder.as_bytes().iter().copied());
        if anew {
            let frame = FiredAt { of_stream: self.made, of_connection: None, seq: Some(new) };
            self.log.enter(Fired {
                fault: Fault::Renumber,
                connection: None,
                stream: Some(self.stream),
                frame: Some(frame),
                seqs: None,
            });
        }
        Some(Some(new))
    }
}

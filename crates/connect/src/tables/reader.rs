//! Who reads a table, each at a place of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use arrow_schema::ArrowError;

use super::bell::Bell;
use super::piped::PipeError;
use super::table::Shared;
use crate::columns::Chunk;

/// Where a reader is.
pub(super) struct Mark {
    /// The number of the next row it takes.
    pub(super) at: AtomicU64,
    /// Whether it cannot go on, since nobody takes its answer: no use in waiting for it.
    pub(super) stalled: Arc<AtomicBool>,
    pub(super) bell: Bell,
}

/// Someone who takes the rows of a table.
pub(super) struct Reader {
    pub(super) shared: Arc<Shared>,
    pub(super) mark: Arc<Mark>,
    /// Number of the row after the last that was there at the start.
    pub(super) end: u64,
    /// Whether those do not stand in order.
    pub(super) is_unordered: bool,
}

impl Reader {
    /// Whether the rows that were there at the start are all taken.
    pub(super) fn is_past_start(&self) -> bool {
        self.mark.at.load(Ordering::Relaxed) >= self.end
    }

    /// Whether no more is pushed, and why.
    pub(super) fn ended(&self) -> Option<Option<Arc<PipeError>>> {
        self.shared.state.lock().ended.clone()
    }

    /// Number of the row after the last that is there now.
    pub(super) fn last(&self) -> u64 {
        self.shared.state.lock().last()
    }

    /// The next rows below the number `until`, chunk by chunk: `most` at most, and no more than about so many
    /// bytes, but for a row that has more.
    pub(super) fn take(&self, most: usize, bytes: usize, until: u64) -> Result<Vec<Chunk>, ArrowError> {
        let mut state = self.shared.state.lock();
        self.shared.close(&mut state)?;
        let mut at = self.mark.at.load(Ordering::Relaxed).max(state.start);
        let (mut taken, mut rows, mut held) = (Vec::new(), 0, 0);
        // A reader is near the end mostly: what is left is looked for from there.
        let (mut first, mut number) = (state.chunks.len(), state.end);
        while number > at {
            first -= 1;
            number -= state.chunks[first].len() as u64;
        }
        for chunk in state.chunks.range(first..) {
            let end = number + chunk.len() as u64;
            if rows >= most || held >= bytes || number >= until {
                break;
            }
            if end > at {
                let skipped = usize::try_from(at - number).unwrap_or(usize::MAX).min(chunk.len());
                let left = usize::try_from(until - number).unwrap_or(usize::MAX).min(chunk.len());
                let mut piece = chunk.slice(skipped, (left - skipped).min(most - rows));
                let mut memory = piece.memory();
                while memory > bytes && piece.len() > 1 {
                    piece = piece.slice(0, piece.len() / 2);
                    memory = piece.memory();
                }
                let is_cut = piece.len() < left - skipped;
                rows += piece.len();
                held += memory;
                at += piece.len() as u64;
                taken.push(piece);
                if is_cut {
                    break;
                }
            }
            number = end;
        }
        self.mark.at.store(at, Ordering::Relaxed);
        Ok(taken)
    }
}

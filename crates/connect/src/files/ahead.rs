//! A segment that is read by a thread of its own, ahead of the query that takes its rows.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use super::FileError;
use super::segment::{Counts, Given, SegmentReader};
use super::set::Definition;

/// Batches that are ready before the query asks for them: about a row group, so that the next one is decoded
/// while this one is answered.
const READY: usize = 8;

/// A reading thread. It ends with its segment, or soon after this is dropped.
pub(super) struct Ahead {
    /// What a query calls the files.
    name: String,
    found: Receiver<Result<Found, FileError>>,
    stop: Arc<AtomicBool>,
}

/// What a reading thread has.
pub(super) enum Found {
    /// Nothing for now.
    Nothing,
    /// Rows, and what was met on the way to them.
    Rows(Given, Counts),
    /// Everything is read.
    End(Counts),
}

impl Ahead {
    /// Reads a segment on a thread.
    ///
    /// # Errors
    /// The system gives no thread.
    pub(super) fn start(reader: SegmentReader, files: &Definition) -> Result<Self, FileError> {
        let (give, found) = sync_channel(READY);
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        thread::Builder::new()
            .name("skytide-files".to_owned())
            .spawn(move || read(reader, &give, &stopped))
            .map_err(|source| FileError::Thread { name: files.name.clone(), source })?;
        Ok(Self { name: files.name.clone(), found, stop })
    }

    /// What is there next; waits for it at most so long.
    pub(super) fn next(&self, wait: Duration) -> Result<Found, FileError> {
        match self.found.recv_timeout(wait) {
            Ok(found) => found,
            Err(RecvTimeoutError::Timeout) => Ok(Found::Nothing),
            // It tells its end, or its error, before it goes.
            Err(RecvTimeoutError::Disconnected) => Err(FileError::Lost { name: self.name.clone() }),
        }
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn read(mut reader: SegmentReader, give: &SyncSender<Result<Found, FileError>>, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        let found = match reader.step() {
            Ok(None) => Ok(Found::End(reader.counts())),
            Ok(Some(None)) => continue,
            Ok(Some(Some(given))) => Ok(Found::Rows(given, reader.counts())),
            Err(error) => Err(error),
        };
        let is_last = !matches!(found, Ok(Found::Rows(..)));
        // Whoever asked may have gone.
        if give.send(found).is_err() || is_last {
            return;
        }
    }
}

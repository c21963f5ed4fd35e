//! What the client leaves behind for its next life: the sink, and the cursor that never runs ahead of it.
//!
//! The sink has a slot for each number, so that writing an event twice is writing it once: that makes "at
//! least once" enough. What a killed process had written is the system's to keep, so nothing is flushed to
//! the disk.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Seek as _, SeekFrom, Write as _};
use std::path::Path;

const SINK: &str = "sink";
const CURSOR: &str = "cursor";
/// Bytes of a slot: the sum of the frame, 0 where none was written.
const SLOT: u64 = 8;

/// A slot for each number from 1.
pub(crate) struct Sink(File);

impl Sink {
    pub(crate) fn open(folder: &Path) -> Result<Self, String> {
        let path = folder.join(SINK);
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        Ok(Self(file.map_err(|error| format!("{}: {error}", path.display()))?))
    }

    /// Writes the sums of consecutive frames, the first of this number.
    pub(crate) fn write(&mut self, first: u64, sums: &[u64]) -> Result<(), String> {
        let bytes: Vec<u8> = sums.iter().flat_map(|sum| sum.to_le_bytes()).collect();
        let at = SeekFrom::Start(first.saturating_sub(1) * SLOT);
        let written = self.0.seek(at).and_then(|_| self.0.write_all(&bytes));
        written.map_err(|error| format!("{SINK}: {error}"))
    }
}

/// All slots up to the last that was written.
pub(crate) fn read_sink(folder: &Path) -> Result<Vec<u64>, String> {
    let bytes = match fs::read(folder.join(SINK)) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(format!("{SINK}: {error}")),
    };
    let (slots, _torn) = bytes.as_chunks();
    Ok(slots.iter().map(|slot| u64::from_le_bytes(*slot)).collect())
}

/// How many slots there are up to the last that was written.
pub(crate) fn slots(folder: &Path) -> Result<u64, String> {
    match fs::metadata(folder.join(SINK)) {
        Ok(file) => Ok(file.len() / SLOT),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(0),
        Err(error) => Err(format!("{SINK}: {error}")),
    }
}

/// Puts a cursor in the place of the one before, as a whole: everything up to it is in the sink.
pub(crate) fn save_cursor(folder: &Path, cursor: u64) -> Result<(), String> {
    let new = folder.join("cursor.new");
    fs::write(&new, cursor.to_string())
        .and_then(|()| fs::rename(&new, folder.join(CURSOR)))
        .map_err(|error| format!("{CURSOR}: {error}"))
}

/// The cursor that was saved last; none if none was.
pub(crate) fn load_cursor(folder: &Path) -> Result<Option<u64>, String> {
    match fs::read_to_string(folder.join(CURSOR)) {
        Ok(text) => text.parse().map(Some).map_err(|_| format!("{CURSOR}: {text:?} is no cursor")),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("{CURSOR}: {error}")),
    }
}

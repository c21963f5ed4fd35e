//! Text in a file that grows, and that can be cut back to where it was when a run was saved.
//!
//! What is there stays, and rows come after it. Only a run that is [saved](crate::recovery) knows which of them
//! are its own: where nothing of it was saved, the file is its own as a whole, and what it holds goes with the
//! first row, or where the run ends without any. A [`GrowingFile`](super::GrowingFile) is so in any run.
//!
//! Rows that are in it after that place were written by a run that was killed: whoever goes on from there
//! writes them again, so that each row is there once. In between it is the run's own: one that is taken away
//! or cut ends the run.

use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

use super::named::Named;
use super::whole::settled;
use super::{Csv, Ndjson, Place, Sink, SinkError};

/// Writes rows to a file as they come, each batch at once: after those that are there, but for what a
/// [`Recovery`](crate::recovery::Recovery) takes back. A [`GrowingFile`](super::GrowingFile) has those of one run.
pub struct TextFile {
    path: PathBuf,
    file: Named,
    lines: Lines,
    /// Whether there was no such file before, nor any row of a run that goes on.
    is_made: bool,
    /// What it holds is of an earlier run, and goes when this one has a row, or ends.
    is_old: bool,
}

shown!(TextFile { path });

enum Lines {
    Ndjson(Ndjson<Named>),
    Csv(Csv<Named>),
}

impl TextFile {
    /// JSON lines at the end of a file, which is made if it is not there.
    ///
    /// # Errors
    /// It cannot be made or written to, or is no file, as a device or a named pipe.
    pub fn ndjson(path: &Path) -> Result<Self, SinkError> {
        Self::open(path, |file| Lines::Ndjson(Ndjson::new(file)))
    }

    /// CSV of `schema` ([`answer_schema`](skytide_timestream::engine::answer_schema)) at the end of a file, which
    /// is made if it is not there; one that is empty gets a header.
    ///
    /// # Errors
    /// As of [`ndjson`](Self::ndjson).
    pub fn csv(path: &Path, schema: &SchemaRef) -> Result<Self, SinkError> {
        let mut this = Self::open(path, |file| Lines::Csv(Csv::new(file, schema.clone())))?;
        let place = this.at()?;
        this.head(place);
        Ok(this)
    }

    fn open(path: &Path, lines: impl FnOnce(Named) -> Lines) -> Result<Self, SinkError> {
        let failed = |error: io::Error| SinkError::file(path, &error);
        if path.metadata().is_ok_and(|found| !found.is_file()) {
            return Err(failed(io::Error::other("it is no file, whose rows could be cut back")));
        }
        let is_made = !path.exists();
        let mut file =
            File::options().create(true).truncate(false).read(true).write(true).open(path).map_err(failed)?;
        let length = file.seek(SeekFrom::End(0)).map_err(failed)?;
        let path = path.canonicalize().map_err(failed)?;
        if length == 0 {
            // It may have been made now: its rows are to be found after a crash.
            settled(&path).map_err(failed)?;
        }
        let file = Named::new(file, path.clone()).map_err(failed)?;
        let lines = lines(file.try_clone().map_err(failed)?);
        Ok(Self { path, file, lines, is_made, is_old: false })
    }

    fn at(&mut self) -> Result<u64, SinkError> {
        self.file.file().stream_position().map_err(|error| SinkError::file(&self.path, &error))
    }

    fn head(&mut self, place: u64) {
        if let Lines::Csv(csv) = &mut self.lines {
            csv.set_headed(place > 0);
        }
    }

    /// Takes away what is of an earlier run.
    fn begin(&mut self) -> Result<(), SinkError> {
        if self.is_old {
            self.cut(0).map_err(|error| SinkError::file(&self.path, &error))?;
            self.is_old = false;
        }
        Ok(())
    }

    /// Writes with what writes its rows.
    fn with(&mut self, write: impl FnOnce(&mut dyn Sink) -> Result<(), SinkError>) -> Result<(), SinkError> {
        let written = match &mut self.lines {
            Lines::Ndjson(lines) => write(lines),
            Lines::Csv(lines) => write(lines),
        };
        written.map_err(|error| match error {
            SinkError::Io(error) => SinkError::file(&self.path, &error),
            other => other,
        })
    }

    fn cut(&mut self, bytes: u64) -> io::Result<()> {
        let file = self.file.file();
        let length = file.metadata()?.len();
        if length < bytes {
            let here =
                if self.is_made { "it is not there".to_owned() } else { format!("it has {length} bytes") };
            return Err(io::Error::other(format!("{here}, and had {bytes} bytes when the run was saved")));
        }
        file.set_len(bytes)?;
        file.seek(SeekFrom::Start(bytes)).map(drop)
    }
}

impl Sink for TextFile {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), SinkError> {
        self.begin()?;
        self.with(|lines| lines.write(batch))
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        self.begin()?;
        self.with(|lines| lines.finish())
    }

    fn misfits(&self) -> u64 {
        match &self.lines {
            Lines::Ndjson(lines) => lines.misfits(),
            Lines::Csv(lines) => lines.misfits(),
        }
    }

    fn place(&mut self) -> Result<Option<Place>, SinkError> {
        let kept = self.file.check().and_then(|()| self.file.file().sync_all());
        kept.map_err(|error| SinkError::file(&self.path, &error))?;
        let bytes = if self.is_old { 0 } else { self.at()? };
        Ok(Some(Place { file: self.path.clone(), bytes, parts: None }))
    }

    fn go_back(&mut self, place: Option<&Place>) -> Result<(), SinkError> {
        let bytes = place.map_or(0, |place| place.bytes);
        let gone = match place.filter(|place| place.file != self.path || place.parts.is_some()) {
            Some(elsewhere) => Err(SinkError::elsewhere(self.path.clone(), elsewhere)),
            None if bytes == 0 => {
                self.is_old = true;
                Ok(())
            }
            None => self.cut(bytes).map_err(|error| SinkError::file(&self.path, &error)),
        };
        if gone.is_err() && self.is_made {
            // Nothing goes on in it.
            let _ = std::fs::remove_file(&self.path);
        }
        self.is_made = false;
        self.head(bytes);
        gone
    }
}

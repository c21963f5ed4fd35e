//! A file that has its name only when it is whole.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use tempfile::{Builder, NamedTempFile};

/// A file being written beside the one that it will be: `.NAME.RANDOM.part` in the same folder. Dropped, it is removed.
pub(super) struct Whole {
    file: BufWriter<NamedTempFile>,
    path: PathBuf,
    bytes: u64,
}

impl Whole {
    /// Begins a file that will be at `path`.
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        let Some(name) = path.file_name() else {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no name of a file"));
        };
        // What cannot have the name in the end is told now.
        if path.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        let prefix = format!(".{}.", name.to_string_lossy());
        let mut builder = Builder::new();
        builder.prefix(&prefix).suffix(".part");
        // As any other file that is made: who may read it is the user's to say.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let file = BufWriter::new(builder.tempfile_in(folder(path))?);
        Ok(Self { file, path: path.to_owned(), bytes: 0 })
    }

    /// Bytes written.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Everything is written: it is brought to the disk, then given its name. What had the name is gone.
    pub(super) fn finish(self) -> io::Result<()> {
        let file = self.file.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.as_file().sync_all()?;
        file.persist(&self.path).map_err(|error| error.error)?;
        // The name, too, is to be there after a crash. Only some systems open folders.
        #[cfg(unix)]
        std::fs::File::open(folder(&self.path))?.sync_all()?;
        Ok(())
    }
}

impl Write for Whole {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// The folder of a file.
fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

//! A file that has its name only when it is whole.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use tempfile::{Builder, NamedTempFile};
use twox_hash::XxHash3_64;

/// A file being written beside the one that it will be: `.NAME.RANDOM.part` in the same folder. Dropped, it
/// is removed.
///
/// What is there already and is no file, as a device or a named pipe, is written to as it is.
pub(crate) struct Whole {
    to: To,
    bytes: u64,
}

enum To {
    Beside { file: BufWriter<NamedTempFile>, path: PathBuf },
    Itself(BufWriter<Box<dyn Write + Send>>),
}

impl Whole {
    /// Begins a file that will be at `path`.
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        Self::create_through(path, |file| Box::new(file))
    }

    /// As [`Self::create`]; what is written to as it is, is through what is made of it.
    pub(super) fn create_through(
        path: &Path,
        through: impl FnOnce(File) -> Box<dyn Write + Send>,
    ) -> io::Result<Self> {
        if path.file_name().is_none() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no name of a file"));
        }
        // What cannot have the name in the end is told now.
        if path.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        let path = followed(path);
        if path.is_symlink() {
            // It leads round in a circle, which the system says.
            path.metadata()?;
        }
        if path.metadata().is_ok_and(|found| !found.is_file()) {
            let file = File::options().write(true).open(&path)?;
            return Ok(Self { to: To::Itself(BufWriter::new(through(file))), bytes: 0 });
        }
        let prefix = prefix(&path);
        let mut builder = Builder::new();
        builder.prefix(&prefix).suffix(SUFFIX);
        // As any other file that is made: who may read it is the user's to say, and what the system refuses
        // it says itself.
        let made = |path: &Path| File::options().read(true).write(true).create_new(true).open(path);
        let file = builder.make_in(folder(&path), made)?;
        if let Ok(found) = path.metadata() {
            // What takes the place of a file can be read by whom that could.
            file.as_file().set_permissions(found.permissions())?;
        }
        let file = BufWriter::new(file);
        Ok(Self { to: To::Beside { file, path }, bytes: 0 })
    }

    /// Bytes written.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Everything is written: it is brought to the disk, then given its name. What had the name is gone.
    pub(crate) fn finish(self) -> io::Result<()> {
        match self.to {
            To::Itself(mut file) => file.flush(),
            To::Beside { file, path } => {
                let file = synced(file)?;
                file.persist(&path).map_err(|error| error.error)?;
                settled(&path)
            }
        }
    }

    /// As [`Self::finish`], but where something has the name by then, it gets the first of `names` that
    /// nothing has. Gives the name that it has; none where it is written to what was there.
    pub(crate) fn finish_new(self, mut names: impl FnMut() -> PathBuf) -> io::Result<Option<PathBuf>> {
        let (file, mut path) = match self.to {
            To::Itself(_) => return self.finish().map(|()| None),
            To::Beside { file, path } => (file, path),
        };
        let mut file = synced(file)?;
        loop {
            match file.persist_noclobber(&path) {
                Ok(_) => return settled(&path).map(|()| Some(path)),
                Err(taken) if taken.error.kind() == io::ErrorKind::AlreadyExists => {
                    (file, path) = (taken.file, names());
                }
                Err(error) => return Err(error.error),
            }
        }
    }
}

/// As many links in a row are followed as the system follows.
const LINKS: usize = 40;

/// Where a file is, however its path is written, also one that is not there yet: then it is in a folder that
/// is. A link stays one, and what it leads to is written.
#[must_use]
pub fn followed(path: &Path) -> PathBuf {
    let mut path = path.to_owned();
    for _ in 0..LINKS {
        if let Ok(whole) = path.canonicalize() {
            return whole;
        }
        let folder = folder(&path);
        match path.read_link() {
            // It leads to what is not there yet, from the folder that it is in.
            Ok(next) => path = folder.join(next),
            Err(_) => {
                let whole = folder.canonicalize().ok().zip(path.file_name());
                return whole.map_or(path.clone(), |(folder, name)| folder.join(name));
            }
        }
    }
    path
}

/// So many characters of a name are in that of the unfinished file.
const MOST: usize = 50;
/// What the names of unfinished files end in.
pub(super) const SUFFIX: &str = ".part";

/// What the name of an unfinished file begins with. Names have an end: of a long one it is the beginning, and
/// what tells it from others.
fn prefix(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if name.chars().nth(MOST).is_none() {
        return format!(".{name}.");
    }
    let begins: String = name.chars().take(MOST).collect();
    format!(".{begins}-{:016x}.", XxHash3_64::oneshot(name.as_bytes()))
}

/// Removes what is left of files of this path that were never finished; nobody may be writing one.
pub(crate) fn sweep(path: &Path) -> io::Result<()> {
    let path = followed(path);
    let prefix = prefix(&path);
    for entry in folder(&path).read_dir()? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let random = name.strip_prefix(&prefix).and_then(|rest| rest.strip_suffix(SUFFIX));
        if random.is_some_and(|random| !random.is_empty() && !random.contains('.')) {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Brings what was written to the disk.
fn synced(file: BufWriter<NamedTempFile>) -> io::Result<NamedTempFile> {
    let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.as_file().sync_all()?;
    Ok(file)
}

/// Brings the name of a file to the disk: it, too, is to be there after a crash. Only some systems open
/// folders. Of one that may be written to and not read, the system does so in its own time.
pub(super) fn settled(path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    match File::open(folder(path)) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
        folder => folder?.sync_all()?,
    }
    Ok(())
}

impl Write for Whole {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = match &mut self.to {
            To::Beside { file, .. } => file.write(bytes)?,
            To::Itself(file) => file.write(bytes)?,
        };
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.to {
            To::Beside { file, .. } => file.flush(),
            To::Itself(file) => file.flush(),
        }
    }
}

/// The folder of a file.
pub(super) fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    /// Leaves what a process leaves that is killed while it writes a file.
    fn leave(path: &Path) {
        let whole = Whole::create(path).unwrap();
        let To::Beside { file, .. } = &whole.to else { unreachable!() };
        let part = file.get_ref().path().to_owned();
        drop(whole);
        std::fs::write(part, b"half").unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn what_is_left_of_what_a_link_leads_to_is_swept_away() {
        let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (file, link) = (other.path().join("q.arrow"), folder.path().join("linked"));
        std::fs::write(&file, b"rows").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        let left = || other.path().read_dir().unwrap().count();
        leave(&link);
        assert_eq!(left(), 2);
        sweep(&link).unwrap();
        assert_eq!(left(), 1);
        assert!(link.is_symlink() && file.is_file());
    }

    #[test]
    fn what_is_left_is_swept_away_and_nobody_elses() {
        let folder = tempfile::tempdir().unwrap();
        let long = "q".repeat(80);
        for (name, other) in [("q.saved".to_owned(), "q.saved.saved".to_owned()), (long.clone(), long + "r")]
        {
            let left = || folder.path().read_dir().unwrap().count();
            leave(&folder.path().join(&name));
            leave(&folder.path().join(&other));
            assert_eq!(left(), 2);
            sweep(&folder.path().join(&name)).unwrap();
            assert_eq!(left(), 1, "{name}");
            sweep(&folder.path().join(&other)).unwrap();
            assert_eq!(left(), 0, "{other}");
        }
    }
}

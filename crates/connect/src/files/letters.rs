//! Files of text from their first letter on.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;

use super::FileError;

/// Some programs begin text with it.
pub(crate) const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The file, behind the mark if there is one.
pub(super) fn opened(path: &Path) -> Result<File, FileError> {
    let mut file = File::open(path).map_err(FileError::io(path))?;
    let mut head = Vec::with_capacity(BYTE_ORDER_MARK.len());
    (&mut file).take(BYTE_ORDER_MARK.len() as u64).read_to_end(&mut head).map_err(FileError::io(path))?;
    if head != BYTE_ORDER_MARK {
        file.seek(SeekFrom::Start(0)).map_err(FileError::io(path))?;
    }
    Ok(file)
}

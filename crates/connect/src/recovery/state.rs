//! What sources write of themselves, beyond numbers and parts: times that may not be there, counts, rows that
//! are held.

use std::path::PathBuf;

use skytide_runtime::{BytesError, Reader, Writer};
use skytide_timestream::engine::Backlog;
use skytide_timestream::plan::Scan;

use super::{SaveError, StateError};
use crate::sink::{Parts, Place};
use crate::source::{Status, reason};

pub(crate) fn write_time(bytes: &mut Writer, time: Option<i64>) {
    bytes.number(time.is_some().into());
    bytes.number(time.unwrap_or_default().cast_unsigned());
}

pub(crate) fn read_time(bytes: &mut Reader<'_>) -> Result<Option<i64>, StateError> {
    let is_there = read_flag(bytes)?;
    let time = bytes.number()?.cast_signed();
    Ok(is_there.then_some(time))
}

pub(crate) fn read_flag(bytes: &mut Reader<'_>) -> Result<bool, StateError> {
    match bytes.number()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(BytesError::Number.into()),
    }
}

/// More than anything is ever counted to: what is more is no count, and adding to it must not overflow.
const MOST: u64 = 1 << 48;

pub(crate) fn read_count(bytes: &mut Reader<'_>) -> Result<u64, StateError> {
    Some(bytes.number()?).filter(|count| *count < MOST).ok_or(BytesError::Number.into())
}

pub(crate) fn read_text(bytes: &mut Reader<'_>) -> Result<String, StateError> {
    Ok(String::from_utf8_lossy(bytes.part()?).into_owned())
}

/// Reads what tells a source from others, which is to be this.
pub(crate) fn expect(bytes: &mut Reader<'_>, expected: &str) -> Result<(), StateError> {
    let found = read_text(bytes)?;
    if found == expected {
        return Ok(());
    }
    Err(StateError::Other { found, expected: expected.to_owned() })
}

pub(crate) fn write_places(bytes: &mut Writer, places: &[usize]) {
    bytes.number(places.len() as u64);
    places.iter().for_each(|place| bytes.number(*place as u64));
}

/// Reads which scans of a plan a source has, which are to be these.
pub(crate) fn expect_places(bytes: &mut Reader<'_>, places: &[usize]) -> Result<(), StateError> {
    if bytes.index()? != places.len() {
        return Err(StateError::Kind);
    }
    for place in places {
        if bytes.index()? != *place {
            return Err(StateError::Kind);
        }
    }
    Ok(())
}

pub(crate) fn write_status(bytes: &mut Writer, status: &Status) {
    let counts: Vec<_> =
        status.dropped.iter().filter(|(name, _)| reason(name.as_bytes()).is_some()).collect();
    for number in [status.read, status.bytes, status.points, counts.len() as u64] {
        bytes.number(number);
    }
    for (reason, count) in counts {
        bytes.part(reason.as_bytes());
        bytes.number(*count);
    }
}

/// Reads what was done. A reason that is counted no more is left out.
pub(crate) fn read_status(bytes: &mut Reader<'_>) -> Result<Status, StateError> {
    let mut status = Status {
        read: read_count(bytes)?,
        bytes: read_count(bytes)?,
        points: read_count(bytes)?,
        ..Status::default()
    };
    for _ in 0..bytes.number()? {
        let name = bytes.part()?;
        let count = read_count(bytes)?;
        if let Some(reason) = reason(name) {
            status.dropped.insert(reason, count);
        }
    }
    Ok(status)
}

/// How rows are written, as the number before their place.
const NO_PLACE: u64 = 0;
const IN_A_FILE: u64 = 1;
const IN_FILES: u64 = 2;

pub(crate) fn write_place(bytes: &mut Writer, place: Option<&Place>) {
    let Some(Place { file, bytes: end, parts }) = place else { return bytes.number(NO_PLACE) };
    bytes.number(if parts.is_some() { IN_FILES } else { IN_A_FILE });
    bytes.part(file.as_os_str().as_encoded_bytes());
    bytes.number(*end);
    if let Some(Parts { run, next, last, sum }) = parts {
        bytes.number(*run);
        bytes.number(*next);
        let (name, size) = last.as_ref().map_or(("", 0), |(name, size)| (name, *size));
        bytes.part(name.as_bytes());
        bytes.number(size);
        bytes.number(*sum);
    }
}

pub(crate) fn read_place(bytes: &mut Reader<'_>) -> Result<Option<Place>, StateError> {
    let is_of_files = match bytes.number()? {
        NO_PLACE => return Ok(None),
        IN_A_FILE => false,
        IN_FILES => true,
        _ => return Err(BytesError::Number.into()),
    };
    let (file, end) = (path(bytes.part()?), bytes.number()?);
    let parts = if is_of_files { Some(read_parts(bytes)?) } else { None };
    Ok(Some(Place { file, bytes: end, parts }))
}

fn read_parts(bytes: &mut Reader<'_>) -> Result<Parts, StateError> {
    let (run, next) = (bytes.number()?, read_count(bytes)?);
    let (name, size) = (read_text(bytes)?, bytes.number()?);
    let last = (!name.is_empty()).then_some((name, size));
    Ok(Parts { run, next, last, sum: bytes.number()? })
}

#[cfg(unix)]
fn path(bytes: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStrExt;
    std::ffi::OsStr::from_bytes(bytes).into()
}

#[cfg(not(unix))]
fn path(bytes: &[u8]) -> PathBuf {
    String::from_utf8_lossy(bytes).into_owned().into()
}

/// Writes the batches that a source holds, by scan.
pub(crate) fn write_held(bytes: &mut Writer, held: &[Backlog]) -> Result<(), SaveError> {
    bytes.number(held.len() as u64);
    for batches in held.iter().map(Backlog::batches) {
        bytes.number(batches.len() as u64);
        for rows in batches {
            bytes.rows(rows)?;
        }
    }
    Ok(())
}

/// Reads what a source held of these scans: none where it had read nothing yet.
pub(crate) fn read_held(bytes: &mut Reader<'_>, scans: &[Scan]) -> Result<Vec<Backlog>, StateError> {
    let count = bytes.index()?;
    if count != scans.len() && count != 0 {
        return Err(BytesError::Number.into());
    }
    let mut held = Vec::with_capacity(scans.len());
    for scan in &scans[..count] {
        let mut batches = Backlog::of_source();
        for _ in 0..bytes.number()? {
            let rows = bytes.rows()?;
            let wanted = scan.columns.iter().map(|column| &column.data_type);
            let is_keyed = rows.key.is_some() == scan.keyed;
            let rises = rows.places.time.is_sorted();
            if !is_keyed || !rises || !rows.columns.iter().map(|column| column.data_type()).eq(wanted) {
                return Err(StateError::Kind);
            }
            batches.put(rows);
        }
        held.push(batches);
    }
    held.resize_with(scans.len(), Backlog::of_source);
    Ok(held)
}

/// That nothing is left of a state, where there is one.
pub(crate) fn end(bytes: Option<Reader<'_>>) -> Result<(), StateError> {
    match bytes {
        Some(bytes) if !bytes.is_at_end() => Err(StateError::Kind),
        _ => Ok(()),
    }
}

//! The frame of an Arrow file or stream, looked at before its library reads it: the library takes memory by
//! the lengths that stand in it, and what takes more than there is ends the process.

use std::fs::File;
use std::io::{self, BufReader, Cursor, Read, Seek, SeekFrom};

use arrow_ipc::{Block, Message, MessageHeader, root_as_footer, root_as_message};

/// What may precede the length of a message.
pub(super) const CONTINUATION: [u8; 4] = [0xff; 4];
/// The last bytes of a file: the length of its footer, and what it begins with.
const TAIL: u64 = 10;
/// The length that a compressed buffer begins with, where it is not compressed.
const PLAIN: i64 = -1;
/// A compressed buffer of any length may be of so many bytes.
const SMALL: u64 = 64 << 20;
/// A larger one is so many times smaller as it is kept, at most.
const RATIO: u64 = 1024;

/// How far a stream can be read: the byte at which it ends, and what is wrong there, if something is.
pub(super) struct Readable {
    pub(super) end: u64,
    pub(super) wrong: Option<String>,
}

/// Looks at the messages of a stream.
pub(super) fn of_stream(file: &mut BufReader<File>) -> io::Result<Readable> {
    let size = file.seek(SeekFrom::End(0))?;
    let mut at = 0;
    loop {
        match message(file, at, size)? {
            Ok(Some(found)) => at = found.end,
            Ok(None) => return Ok(Readable { end: size, wrong: None }),
            Err(reason) => {
                return Ok(Readable { end: at, wrong: Some(format!("the message at byte {at} {reason}")) });
            }
        }
    }
}

/// Looks at the batches that the footer of a file names; what is wrong with them, if something is.
pub(super) fn of_file(file: &mut BufReader<File>) -> io::Result<Option<String>> {
    let size = file.seek(SeekFrom::End(0))?;
    let Some(tail) = size.checked_sub(TAIL) else { return Ok(None) };
    file.seek(SeekFrom::Start(tail))?;
    let mut length = [0; 4];
    file.read_exact(&mut length)?;
    // What is wrong with the footer itself is for the library to say.
    let Some(begin) =
        u64::try_from(i32::from_le_bytes(length)).ok().and_then(|length| tail.checked_sub(length))
    else {
        return Ok(Some("its footer is longer than the file".to_owned()));
    };
    let footer = bytes(file, begin, tail - begin)?;
    let Ok(footer) = root_as_footer(&footer) else { return Ok(None) };
    let blocks = footer.dictionaries().into_iter().chain(footer.recordBatches()).flatten();
    for block in blocks {
        if let Err(reason) = self::block(file, block, size)? {
            return Ok(Some(format!("the batch at byte {} {reason}", block.offset())));
        }
    }
    Ok(None)
}

/// Looks at a message by itself; the error says what is wrong with it.
pub(super) fn of_message(bytes: &[u8]) -> Result<(), String> {
    let looked = message(&mut Cursor::new(bytes), 0, bytes.len() as u64);
    looked.map_err(|error| error.to_string())?.map(drop)
}

fn block(file: &mut BufReader<File>, block: &Block, size: u64) -> io::Result<Result<(), String>> {
    let part = |number: i64| u64::try_from(number).ok();
    let lengths = part(block.offset()).zip(part(block.metaDataLength().into())).zip(part(block.bodyLength()));
    let Some(((at, metadata), body)) = lengths else { return Ok(Err("has a length below zero".to_owned())) };
    let body_at = at.checked_add(metadata);
    let end = body_at.and_then(|at| at.checked_add(body)).filter(|end| *end <= size);
    let (Some(body_at), Some(end)) = (body_at, end) else {
        return Ok(Err("is longer than the file".to_owned()));
    };
    // The library reads by what the footer says, and the message says it again.
    Ok(match message(file, at, size)? {
        Ok(Some(found)) if (found.body, found.end) == (body_at, end) => Ok(()),
        Ok(_) => Err("is not where the footer says".to_owned()),
        Err(reason) => Err(reason),
    })
}

/// Where a message has its body, and where that ends.
struct Found {
    body: u64,
    end: u64,
}

/// Looks at the message at a byte of a file of this size, if there is one. The inner error says what is wrong
/// with it.
fn message(file: &mut (impl Read + Seek), at: u64, size: u64) -> io::Result<Result<Option<Found>, String>> {
    let cut_off = || Ok(Err("is cut off".to_owned()));
    let mut word = |at: u64| -> io::Result<Option<[u8; 4]>> {
        if size.saturating_sub(at) < 4 {
            return Ok(None);
        }
        file.seek(SeekFrom::Start(at))?;
        let mut word = [0; 4];
        file.read_exact(&mut word)?;
        Ok(Some(word))
    };
    let Some(mut length) = word(at)? else { return Ok(Ok(None)) };
    let mut begin = at + 4;
    if length == CONTINUATION {
        let Some(after) = word(begin)? else { return cut_off() };
        (length, begin) = (after, begin + 4);
    }
    let length = match u64::try_from(i32::from_le_bytes(length)) {
        Ok(0) => return Ok(Ok(None)),
        Ok(length) if length <= size - begin => length,
        _ => return cut_off(),
    };
    let metadata = bytes(file, begin, length)?;
    let message = match root_as_message(&metadata) {
        Ok(message) => message,
        Err(error) => return Ok(Err(format!("is none: {error:?}"))),
    };
    let body = begin + length;
    match u64::try_from(message.bodyLength()) {
        Ok(length) if length <= size - body => {
            Ok(buffers(file, &message, body, length)?.map(|()| Some(Found { body, end: body + length })))
        }
        _ => Ok(Err(format!("has a body of {} bytes, more than the file has", message.bodyLength()))),
    }
}

/// Looks at where the buffers of a batch are, and at the lengths that compressed ones say they have.
fn buffers(
    file: &mut (impl Read + Seek),
    message: &Message<'_>,
    body: u64,
    length: u64,
) -> io::Result<Result<(), String>> {
    let batch = match message.header_type() {
        MessageHeader::RecordBatch => message.header_as_record_batch(),
        MessageHeader::DictionaryBatch => message.header_as_dictionary_batch().and_then(|batch| batch.data()),
        _ => None,
    };
    let Some((batch, buffers)) = batch.and_then(|batch| Some((batch, batch.buffers()?))) else {
        return Ok(Ok(()));
    };
    for buffer in buffers {
        let (Ok(at), Ok(kept)) = (u64::try_from(buffer.offset()), u64::try_from(buffer.length())) else {
            return Ok(Err("has a length below zero".to_owned()));
        };
        if at.checked_add(kept).is_none_or(|end| end > length) {
            return Ok(Err("has a buffer beyond its body".to_owned()));
        }
        if kept < 8 || batch.compression().is_none() {
            continue;
        }
        file.seek(SeekFrom::Start(body + at))?;
        let mut said = [0; 8];
        file.read_exact(&mut said)?;
        let said = i64::from_le_bytes(said);
        let most = kept.saturating_mul(RATIO).max(SMALL);
        if said != PLAIN && u64::try_from(said).map_or(true, |said| said > most) {
            return Ok(Err(format!("has {kept} bytes that are said to be {said}")));
        }
    }
    Ok(Ok(()))
}

/// These bytes, which the file has.
fn bytes(file: &mut (impl Read + Seek), at: u64, length: u64) -> io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(at))?;
    let mut bytes = Vec::new();
    file.by_ref().take(length).read_to_end(&mut bytes)?;
    Ok(bytes)
}

//! An Arrow stream that is read once, message by message, as through a pipe.
//!
//! A message is read as far as there are bytes, whatever its lengths say, and looked at before the library
//! decodes it. As a pipe may have no end, one that says it is too long is not read at all.

use std::io::{self, Read};

use arrow_array::RecordBatch;
use arrow_buffer::Buffer;
use arrow_ipc::reader::StreamDecoder;
use arrow_ipc::root_as_message;
use arrow_schema::{ArrowError, SchemaRef};

use super::caught::caught;
use super::framing::{self, CONTINUATION};

/// A message that is longer is none.
const LONGEST: u64 = 1 << 30;

/// The batches of a stream, in order.
pub(crate) struct Messages<R> {
    input: R,
    decoder: StreamDecoder,
    schema: SchemaRef,
}

impl<R: Read> Messages<R> {
    /// Reads the schema.
    pub(crate) fn open(mut input: R) -> Result<Self, ArrowError> {
        let mut decoder = StreamDecoder::new();
        loop {
            let Some(message) = message(&mut input)? else {
                return Err(wrong("an Arrow stream ends before its schema"));
            };
            decode(&mut decoder, message)?;
            if let Some(schema) = decoder.schema() {
                return Ok(Self { input, decoder, schema });
            }
        }
    }

    /// The columns.
    pub(crate) fn schema(&self) -> &SchemaRef {
        &self.schema
    }
}

impl<R: Read> Iterator for Messages<R> {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let message = match message(&mut self.input) {
                Ok(message) => message?,
                Err(error) => return Some(Err(error)),
            };
            if let Some(batch) = decode(&mut self.decoder, message).transpose() {
                return Some(batch);
            }
        }
    }
}

/// Decodes a whole message.
fn decode(decoder: &mut StreamDecoder, mut message: Vec<u8>) -> Result<Option<RecordBatch>, ArrowError> {
    framing::of_message(&message).map_err(|reason| wrong(&format!("a message {reason}")))?;
    // The library looks at a message without a body, as a schema is, when something follows: what may begin
    // any message.
    message.extend(CONTINUATION);
    let mut buffer = Buffer::from(message);
    // It may be given anything here.
    let decoded = caught(|| {
        let mut batch = None;
        while !buffer.is_empty() {
            batch = decoder.decode(&mut buffer)?.or(batch);
        }
        Ok(batch)
    });
    decoded.unwrap_or_else(|| Err(wrong("a message cannot be decoded")))
}

/// The next message, from its length on; none at the end.
fn message(input: &mut impl Read) -> Result<Option<Vec<u8>>, ArrowError> {
    let mut bytes = Vec::new();
    if !more(input, 4, &mut bytes)? {
        return if bytes.is_empty() { Ok(None) } else { Err(wrong("a message is cut off")) };
    }
    if bytes == CONTINUATION {
        bytes.clear();
        whole(input, 4, &mut bytes)?;
    }
    let length = bytes.iter().rev().fold(0, |length, byte| length << 8 | u64::from(*byte));
    if length == 0 {
        return Ok(None);
    }
    whole(input, length, &mut bytes)?;
    let body = root_as_message(&bytes[4..]).map_err(|_| wrong("a message is none"))?.bodyLength();
    let body = u64::try_from(body).map_err(|_| wrong("a message has a length below zero"))?;
    whole(input, body, &mut bytes)?;
    Ok(Some(bytes))
}

fn whole(input: &mut impl Read, length: u64, bytes: &mut Vec<u8>) -> Result<(), ArrowError> {
    if length.saturating_add(bytes.len() as u64) > LONGEST {
        return Err(wrong(&format!("a message is longer than {} MiB", LONGEST >> 20)));
    }
    if more(input, length, bytes)? { Ok(()) } else { Err(wrong("a message is cut off")) }
}

/// Reads so many bytes; tells whether there were as many.
fn more(input: &mut impl Read, length: u64, bytes: &mut Vec<u8>) -> io::Result<bool> {
    Ok(input.take(length).read_to_end(bytes)? as u64 == length)
}

fn wrong(reason: &str) -> ArrowError {
    ArrowError::IpcError(reason.to_owned())
}

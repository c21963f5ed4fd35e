//! What a subscription hands out: a frame as it came, the message in it, the operations of a commit with
//! their records.

use bytes::Bytes;
use skytide_atproto::{
    cbor::{self, Value},
    cid::Cid,
    frame::{self, Kind},
    json,
    message::{Action, Message},
};

use crate::MessageError;

/// A frame as it came, with what is needed to keep one's place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The whole frame. It shares a buffer with its neighbours: to keep a frame for long, copy it.
    pub bytes: Bytes,
    /// What it carries.
    pub kind: Kind,
    /// Its number in the stream of this host and service, where it has one. Of a Jetstream, its time in microseconds.
    pub seq: Option<u64>,
    /// Its own time in UTC nanoseconds, where it has one; of labels the newest `cts`.
    pub time: Option<i64>,
    /// When it was received, in UTC nanoseconds; good to the few frames that are received at once.
    pub arrival: i64,
}

impl Frame {
    /// Reads the message in it, borrowed from its bytes.
    ///
    /// # Errors
    /// If it is not the message that its header names. A frame of an unknown kind is [`Message::Unknown`], no error.
    pub fn message(&self) -> Result<Message<'_>, MessageError> {
        Message::from_bytes(&self.bytes).map_err(|source| self.refused(source))
    }

    /// The operations of a `#commit`, each with its record; none of any other message. Records share the
    /// frame's bytes.
    ///
    /// # Errors
    /// As [`message`](Self::message), and if the commit's blocks are no CAR.
    pub fn operations(&self) -> Result<Vec<Operation>, MessageError> {
        let Message::Commit(commit) = self.message()? else { return Ok(Vec::new()) };
        let ops = commit.ops().map_err(|source| self.refused(source))?;
        let operations = ops.into_iter().map(|op| Operation {
            seq: commit.seq,
            time: self.time,
            did: commit.repo.to_owned(),
            rev: commit.rev.to_owned(),
            action: op.action,
            collection: op.collection.to_owned(),
            rkey: op.rkey.to_owned(),
            cid: op.cid,
            prev: op.prev,
            record: op.record.map(|record| self.bytes.slice_ref(record)),
        });
        Ok(operations.collect())
    }

    fn refused(&self, source: frame::FrameError) -> MessageError {
        MessageError { seq: self.seq, bytes: self.bytes.clone(), source }
    }
}

/// One change of one record, by one commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Number of the commit's frame in the stream.
    pub seq: u64,
    /// Time of the frame in UTC nanoseconds.
    pub time: Option<i64>,
    /// The account.
    pub did: String,
    /// Revision of its repository after the commit.
    pub rev: String,
    /// What was done.
    pub action: Action,
    /// NSID of the record's collection.
    pub collection: String,
    /// Key of the record in the collection.
    pub rkey: String,
    /// The record's CID after it, as the commit tells it ([`is_of_its_cid`](Self::is_of_its_cid) tells
    /// whether it is so); none for a delete.
    pub cid: Option<Cid>,
    /// The record's CID before an update or delete, where the commit says it.
    pub prev: Option<Cid>,
    /// The record in DAG-CBOR; none for a delete, and where the commit does not hold it.
    pub record: Option<Bytes>,
}

impl Operation {
    /// Whether the record is the one that its CID names; none where there are not both. What a server sends
    /// is handed on as it is: whoever relies on it asks this, which computes a SHA-256 over the record.
    #[must_use]
    pub fn is_of_its_cid(&self) -> Option<bool> {
        let record = self.record.as_deref()?;
        self.cid.map(|cid| cid.matches(record))
    }

    /// The record's address: `at://did/collection/rkey`.
    #[must_use]
    pub fn uri(&self) -> String {
        format!("at://{}/{}/{}", self.did, self.collection, self.rkey)
    }

    /// The record as a value; none where there is no record.
    ///
    /// # Errors
    /// If it is not strict DAG-CBOR.
    pub fn value(&self) -> cbor::Result<Option<Value>> {
        self.record.as_deref().map(Value::from_bytes).transpose()
    }

    /// The record as JSON, links and bytes as the AT Protocol writes them; none where there is no record.
    ///
    /// # Errors
    /// If it is not strict DAG-CBOR.
    pub fn json(&self) -> cbor::Result<Option<String>> {
        let Some(record) = &self.record else { return Ok(None) };
        let mut text = String::new();
        json::write_whole(record, &mut text)?;
        Ok(Some(text))
    }
}

//! The commit object: the signed root of a repository.

use crate::cbor::{self, Cursor, Encoder, MapKeys, Rule};
use crate::cid::Cid;
use crate::syntax::{Did, DidError, Tid, TidError};

/// The version of the repository format that is read and written.
pub const VERSION: u64 = 3;

/// A commit object, version 3. (AT Protocol specification, "Repository".)
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// The account whose repository this is.
    pub did: Did,
    /// The root of the MST of its records.
    pub data: Cid,
    /// The revision, which rises with each commit.
    pub rev: Tid,
    /// The commit before. In version 3 it is there but `null`.
    pub prev: Option<Cid>,
    /// ECDSA signature over [`unsigned_bytes`](Commit::unsigned_bytes): r and s, 32 bytes each.
    pub sig: [u8; 64],
}

/// Why a block is not a commit object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum CommitError {
    /// The block is not strict DAG-CBOR, or a field is of another kind.
    #[error("commit: {0}")]
    Cbor(#[from] cbor::Error),
    /// A field is missing.
    #[error("commit: the field `{0}` is missing")]
    Missing(&'static str),
    /// Another version of the repository format.
    #[error("commit: version {0}; only version {VERSION} is read")]
    Version(u64),
    /// `did` is not a DID.
    #[error("commit: did: {0}")]
    Did(#[from] DidError),
    /// `rev` is not a TID.
    #[error("commit: rev: {0}")]
    Rev(#[from] TidError),
    /// `sig` is not 64 bytes.
    #[error("commit: sig has {0} bytes, not 64")]
    Signature(usize),
}

impl Commit {
    /// Reads a commit block. Fields that version 3 does not know are ignored, and left out of what the
    /// signature is held against.
    ///
    /// # Errors
    /// The first rule that the block breaks.
    pub fn parse(block: &[u8]) -> Result<Commit, CommitError> {
        let mut cursor = Cursor::new(block);
        let mut keys = MapKeys::new(cursor.read_map()?);
        let (mut did, mut rev, mut sig, mut data, mut prev, mut version) =
            (None, None, None, None, None, None);
        while let Some(key) = keys.next(&mut cursor)? {
            match key {
                "did" => did = Some(cursor.read_text()?.parse()?),
                "rev" => rev = Some(Tid::parse(cursor.read_text()?)?),
                "sig" => {
                    let bytes = cursor.read_bytes()?;
                    sig = Some(bytes.try_into().map_err(|_| CommitError::Signature(bytes.len()))?);
                }
                "data" => data = Some(cursor.read_link()?),
                "prev" => prev = Some(if cursor.take_null() { None } else { Some(cursor.read_link()?) }),
                "version" => version = Some(cursor.read_u64()?),
                _ => cursor.check()?,
            }
        }
        if !cursor.is_at_end() {
            return Err(cbor::Error { at: cursor.position(), rule: Rule::Trailing }.into());
        }
        match version {
            Some(VERSION) => {}
            Some(version) => return Err(CommitError::Version(version)),
            None => return Err(CommitError::Missing("version")),
        }
        Ok(Commit {
            did: did.ok_or(CommitError::Missing("did"))?,
            data: data.ok_or(CommitError::Missing("data"))?,
            rev: rev.ok_or(CommitError::Missing("rev"))?,
            prev: prev.ok_or(CommitError::Missing("prev"))?,
            sig: sig.ok_or(CommitError::Missing("sig"))?,
        })
    }

    /// What the signature covers: the canonical encoding without `sig`.
    pub fn unsigned_bytes(&self) -> Vec<u8> {
        self.write(None)
    }

    /// The commit block.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.write(Some(&self.sig))
    }

    fn write(&self, sig: Option<&[u8; 64]>) -> Vec<u8> {
        let mut encoder = Encoder::with_capacity(256);
        encoder.map(5 + usize::from(sig.is_some()));
        encoder.text("did").text(self.did.as_str());
        encoder.text("rev").text(self.rev.write_text(&mut [0; Tid::TEXT_LENGTH]));
        if let Some(sig) = sig {
            encoder.text("sig").bytes(sig);
        }
        encoder.text("data").link(&self.data).text("prev");
        match &self.prev {
            Some(prev) => encoder.link(prev),
            None => encoder.null(),
        };
        encoder.text("version").unsigned(VERSION);
        encoder.into_bytes()
    }
}

//! The messages of the repository and label streams: their fields as they are on the wire, borrowed from the frame.
//!
//! Identifiers and times stay text: what is done with a malformed one differs by use, and
//! [`syntax`](crate::syntax) says what is well formed. Unknown fields are checked and ignored. All messages can be
//! written too, canonically, for simulators and tests.

mod account;
mod commit;
pub(crate) mod envelope;
mod label;
mod notice;
pub(crate) mod usual;
mod wire;

pub use account::{Account, Handle, Identity, Migrate, Sync, Tombstone};
pub use commit::{Action, Commit, MAX_OPS, Op, OpWithRecord, Path};
pub use label::{Label, Labels};
pub use notice::{ErrorMessage, Info};

use self::wire::Field;
use crate::cbor::{Cursor, Encoder};
use crate::frame::{COMMIT_HEADER, Frame, FrameError, Header, Kind};

/// A message of an event stream.
#[derive(Debug, Clone, PartialEq)]
pub enum Message<'a> {
    /// `#commit`
    Commit(Commit<'a>),
    /// `#sync`
    Sync(Sync<'a>),
    /// `#identity`
    Identity(Identity<'a>),
    /// `#account`
    Account(Account<'a>),
    /// `#info`
    Info(Info<'a>),
    /// `#handle`
    Handle(Handle<'a>),
    /// `#migrate`
    Migrate(Migrate<'a>),
    /// `#tombstone`
    Tombstone(Tombstone<'a>),
    /// `#labels`
    Labels(Labels<'a>),
    /// An error frame
    Error(ErrorMessage<'a>),
    /// Any other frame, to be ignored
    Unknown(Header<'a>),
}

impl<'a> Message<'a> {
    /// Reads a whole frame. A commit in the form that servers write today is read in one pass.
    ///
    /// # Errors
    /// As [`Frame::parse`] and [`parse`](Message::parse).
    pub fn from_bytes(frame: &'a [u8]) -> Result<Message<'a>, FrameError> {
        let usual = frame.starts_with(COMMIT_HEADER).then(|| Commit::usual(frame, COMMIT_HEADER.len()));
        match usual.flatten() {
            Some(commit) => Ok(Message::Commit(commit)),
            None => Message::parse(&Frame::parse(frame)?),
        }
    }

    /// Reads the payload of a frame that is split already.
    ///
    /// # Errors
    /// If the payload is not the message that the header names. That of an unknown frame is not looked at.
    pub fn parse(frame: &Frame<'a>) -> Result<Message<'a>, FrameError> {
        Self::read(frame.kind(), frame).map_err(|error| error.after(frame.payload_at))
    }

    fn read(kind: Kind, frame: &Frame<'a>) -> Result<Message<'a>, FrameError> {
        let cursor = &mut Cursor::new(frame.payload);
        Ok(match kind {
            Kind::Commit => {
                let commit = Commit::read(cursor)?;
                if commit.ops.len() > MAX_OPS {
                    return Err(FrameError::TooManyOps(commit.ops.len()));
                }
                Message::Commit(commit)
            }
            Kind::Sync => Message::Sync(Sync::read(cursor)?),
            Kind::Identity => Message::Identity(Identity::read(cursor)?),
            Kind::Account => Message::Account(Account::read(cursor)?),
            Kind::Info => Message::Info(Info::read(cursor)?),
            Kind::Handle => Message::Handle(Handle::read(cursor)?),
            Kind::Migrate => Message::Migrate(Migrate::read(cursor)?),
            Kind::Tombstone => Message::Tombstone(Tombstone::read(cursor)?),
            Kind::Labels => Message::Labels(Labels::read(cursor)?),
            Kind::Error => Message::Error(ErrorMessage::read(cursor)?),
            Kind::Unknown => Message::Unknown(frame.header),
        })
    }

    /// What it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Message::Commit(_) => Kind::Commit,
            Message::Sync(_) => Kind::Sync,
            Message::Identity(_) => Kind::Identity,
            Message::Account(_) => Kind::Account,
            Message::Info(_) => Kind::Info,
            Message::Handle(_) => Kind::Handle,
            Message::Migrate(_) => Kind::Migrate,
            Message::Tombstone(_) => Kind::Tombstone,
            Message::Labels(_) => Kind::Labels,
            Message::Error(_) => Kind::Error,
            Message::Unknown(_) => Kind::Unknown,
        }
    }

    /// Its number in the stream, where it has one.
    #[must_use]
    pub fn seq(&self) -> Option<u64> {
        match self {
            Message::Commit(message) => Some(message.seq),
            Message::Sync(message) => Some(message.seq),
            Message::Identity(message) => Some(message.seq),
            Message::Account(message) => Some(message.seq),
            Message::Handle(message) => Some(message.seq),
            Message::Migrate(message) => Some(message.seq),
            Message::Tombstone(message) => Some(message.seq),
            Message::Labels(message) => Some(message.seq),
            Message::Info(_) | Message::Error(_) | Message::Unknown(_) => None,
        }
    }

    /// The DID of the account that it is about; none of labels, which may be about many, and of remarks,
    /// errors and unknown messages.
    #[must_use]
    pub fn did(&self) -> Option<&'a str> {
        match self {
            Message::Commit(message) => Some(message.repo),
            Message::Sync(message) => Some(message.did),
            Message::Identity(message) => Some(message.did),
            Message::Account(message) => Some(message.did),
            Message::Handle(message) => Some(message.did),
            Message::Migrate(message) => Some(message.did),
            Message::Tombstone(message) => Some(message.did),
            Message::Labels(_) | Message::Info(_) | Message::Error(_) | Message::Unknown(_) => None,
        }
    }

    /// The whole frame, canonically encoded. An unknown message has an empty payload.
    #[must_use]
    pub fn to_frame_bytes(&self) -> Vec<u8> {
        let header = match self {
            Message::Unknown(header) => *header,
            _ => self.kind().t().map_or_else(Header::error, Header::message),
        };
        let mut encoder = Encoder::with_capacity(256);
        header.encode(&mut encoder);
        match self {
            Message::Commit(message) => message.write(&mut encoder),
            Message::Sync(message) => message.write(&mut encoder),
            Message::Identity(message) => message.write(&mut encoder),
            Message::Account(message) => message.write(&mut encoder),
            Message::Info(message) => message.write(&mut encoder),
            Message::Handle(message) => message.write(&mut encoder),
            Message::Migrate(message) => message.write(&mut encoder),
            Message::Tombstone(message) => message.write(&mut encoder),
            Message::Labels(message) => message.write(&mut encoder),
            Message::Error(message) => message.write(&mut encoder),
            Message::Unknown(_) => {
                encoder.map(0);
            }
        }
        encoder.into_bytes()
    }
}

//! The kinds of faults: what scripts, counts and records call them, and what each is where nothing more is said.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::{ConnectFault, Fault, FrameFault};

/// What kind of fault it is. Its `Display` is its name in scripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum FaultKind {
    /// [`FrameFault::Disconnect`]
    Disconnect,
    /// [`FrameFault::Reset`]
    Reset,
    /// [`FrameFault::Close`]
    Close,
    /// [`FrameFault::Slow`]
    Slow,
    /// [`FrameFault::Stall`]
    Stall,
    /// [`FrameFault::Garbage`]
    Garbage,
    /// [`FrameFault::Truncated`]
    Truncated,
    /// [`FrameFault::ThreeItems`]
    ThreeItems,
    /// [`FrameFault::Oversized`]
    Oversized,
    /// [`FrameFault::Fragmented`]
    Fragmented,
    /// [`FrameFault::Text`]
    Text,
    /// [`FrameFault::UnknownOp`]
    UnknownOp,
    /// [`FrameFault::UnknownType`]
    UnknownType,
    /// [`FrameFault::Error`]
    Error,
    /// [`FrameFault::Info`]
    Info,
    /// [`FrameFault::Ping`]
    Ping,
    /// [`ConnectFault::Answer`]
    Answer,
    /// [`ConnectFault::Mute`]
    Mute,
    /// [`ConnectFault::Refuse`]
    Refuse,
    /// [`ConnectFault::Duplicates`]
    Duplicates,
    /// [`ConnectFault::Gap`]
    Gap,
    /// [`ConnectFault::Cursor`]
    Cursor,
    /// [`ConnectFault::Seam`]
    Seam,
    /// [`Fault::Renumber`]
    Renumber,
}

impl FaultKind {
    /// Every kind.
    pub const ALL: [Self; 24] = [
        Self::Disconnect,
        Self::Reset,
        Self::Close,
        Self::Slow,
        Self::Stall,
        Self::Garbage,
        Self::Truncated,
        Self::ThreeItems,
        Self::Oversized,
        Self::Fragmented,
        Self::Text,
        Self::UnknownOp,
        Self::UnknownType,
        Self::Error,
        Self::Info,
        Self::Ping,
        Self::Answer,
        Self::Mute,
        Self::Refuse,
        Self::Duplicates,
        Self::Gap,
        Self::Cursor,
        Self::Seam,
        Self::Renumber,
    ];

    /// Its name in scripts.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Disconnect => "disconnect",
            Self::Reset => "reset",
            Self::Close => "close",
            Self::Slow => "slow",
            Self::Stall => "stall",
            Self::Garbage => "garbage",
            Self::Truncated => "truncated",
            Self::ThreeItems => "three-items",
            Self::Oversized => "oversized",
            Self::Fragmented => "fragmented",
            Self::Text => "text",
            Self::UnknownOp => "unknown-op",
            Self::UnknownType => "unknown-type",
            Self::Error => "error",
            Self::Info => "info",
            Self::Ping => "ping",
            Self::Answer => "answer",
            Self::Mute => "mute",
            Self::Refuse => "refuse",
            Self::Duplicates => "duplicates",
            Self::Gap => "gap",
            Self::Cursor => "cursor",
            Self::Seam => "seam",
            Self::Renumber => "renumber",
        }
    }

    /// The kind of this name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// What a script means that says no more than the name.
    #[must_use]
    pub fn fault(self) -> Fault {
        const WHILE: Duration = Duration::from_secs(1);
        let frame = match self {
            Self::Disconnect => FrameFault::Disconnect { after: None },
            Self::Reset => FrameFault::Reset { after: None },
            Self::Close => FrameFault::Close { code: None },
            Self::Slow => FrameFault::Slow { bytes_per_second: 20_000, lasting: WHILE },
            Self::Stall => FrameFault::Stall { lasting: Some(WHILE) },
            Self::Garbage => FrameFault::Garbage { bytes: None },
            Self::Truncated => FrameFault::Truncated { after: None },
            Self::ThreeItems => FrameFault::ThreeItems,
            Self::Oversized => FrameFault::Oversized { bytes: FrameFault::OVERSIZED },
            Self::Fragmented => FrameFault::Fragmented { parts: None },
            Self::Text => FrameFault::Text,
            Self::UnknownOp => FrameFault::UnknownOp { op: 42 },
            Self::UnknownType => FrameFault::UnknownType { t: FaultName::known("future") },
            Self::Error => FrameFault::Error { name: FaultName::known("ConsumerTooSlow") },
            Self::Info => FrameFault::Info { name: FaultName::known("OutdatedCursor") },
            Self::Ping => FrameFault::Ping,
            Self::Answer => {
                return Fault::Connect(ConnectFault::Answer { status: 503, retry_after: None, html: false });
            }
            Self::Mute => return Fault::Connect(ConnectFault::Mute),
            Self::Refuse => return Fault::Connect(ConnectFault::Refuse),
            Self::Duplicates => return Fault::Connect(ConnectFault::Duplicates { frames: None }),
            Self::Gap => return Fault::Connect(ConnectFault::Gap { frames: None }),
            Self::Cursor => return Fault::Connect(ConnectFault::Cursor { rule: None }),
            Self::Seam => return Fault::Connect(ConnectFault::Seam { events: None }),
            Self::Renumber => return Fault::Renumber,
        };
        Fault::Frame(frame)
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FrameFault {
    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> FaultKind {
        match self {
            Self::Disconnect { .. } => FaultKind::Disconnect,
            Self::Reset { .. } => FaultKind::Reset,
            Self::Close { .. } => FaultKind::Close,
            Self::Slow { .. } => FaultKind::Slow,
            Self::Stall { .. } => FaultKind::Stall,
            Self::Garbage { .. } => FaultKind::Garbage,
            Self::Truncated { .. } => FaultKind::Truncated,
            Self::ThreeItems => FaultKind::ThreeItems,
            Self::Oversized { .. } => FaultKind::Oversized,
            Self::Fragmented { .. } => FaultKind::Fragmented,
            Self::Text => FaultKind::Text,
            Self::UnknownOp { .. } => FaultKind::UnknownOp,
            Self::UnknownType { .. } => FaultKind::UnknownType,
            Self::Error { .. } => FaultKind::Error,
            Self::Info { .. } => FaultKind::Info,
            Self::Ping => FaultKind::Ping,
        }
    }
}

impl ConnectFault {
    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> FaultKind {
        match self {
            Self::Answer { .. } => FaultKind::Answer,
            Self::Mute => FaultKind::Mute,
            Self::Refuse => FaultKind::Refuse,
            Self::Duplicates { .. } => FaultKind::Duplicates,
            Self::Gap { .. } => FaultKind::Gap,
            Self::Cursor { .. } => FaultKind::Cursor,
            Self::Seam { .. } => FaultKind::Seam,
        }
    }
}

impl Fault {
    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> FaultKind {
        match self {
            Self::Frame(fault) => fault.kind(),
            Self::Connect(fault) => fault.kind(),
            Self::Renumber => FaultKind::Renumber,
        }
    }
}

/// The name of an error, of an `#info`, of a type: 1 to 64 ASCII letters, digits, `-`, `_` and `.`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FaultName(std::borrow::Cow<'static, str>);

impl FaultName {
    /// For names in this code.
    const fn known(name: &'static str) -> Self {
        Self(std::borrow::Cow::Borrowed(name))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A name has another length or other characters than are allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a name has 1 to 64 ASCII letters, digits, `-`, `_` and `.`")]
pub struct FaultNameError;

impl FromStr for FaultName {
    type Err = FaultNameError;

    fn from_str(text: &str) -> Result<Self, FaultNameError> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if (1..=64).contains(&text.len()) && text.bytes().all(allowed) {
            Ok(Self(text.to_owned().into()))
        } else {
            Err(FaultNameError)
        }
    }
}

impl fmt::Display for FaultName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

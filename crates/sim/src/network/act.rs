//! What a network can be told to do beside its ordinary life: each act, and the words for it.

use std::fmt;
use std::str::FromStr;

use super::odd::ActKind;

/// Something that real streams hold now and then. It has a text form, as `account deleted`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Act {
    /// `sync`: an account commits, which the relay does not send, and then a `#sync` shows its repository's
    /// new state.
    Sync,
    /// `sync unchanged`: a `#sync` shows the state that the stream has led to already.
    SyncUnchanged,
    /// `lost`: an account commits twice, and the first commit's frame is never sent though its sequence
    /// number is used up. The second, which is sent, does not fit the last that was: its `since` and
    /// `prevData` are the lost one's.
    Lost,
    /// `lost unnumbered`: the same, but the lost commit took no sequence number, so that none is left out.
    LostUnnumbered,
    /// `handle`: the older message of a new handle.
    Handle,
    /// `migrate`: the older message of a move to another DID. The account is gone then.
    Migrate,
    /// `tombstone`: the older message of a deletion. The account is gone then.
    Tombstone,
    /// `many`: a commit with 200 operations, the most there may be: creates, updates and deletes.
    Many,
    /// `large`: a commit whose `blocks` are as near to 2,000,000 bytes, the most there may be, as makes no
    /// difference: two records, one of them as near to 1 MiB.
    Large,
    /// `empty`: a commit without operations.
    Empty,
    /// `blobs`: a commit with blobs in its record, which the deprecated `blobs` of the message names too.
    Blobs,
    /// `account …`: a step of an account's life.
    Account(Life),
    /// `info`: an `#info`, which has no sequence number. It is not the one about an outdated cursor.
    Info,
    /// `time …`: an ordinary message whose envelope bears an absurd time.
    Time(Absurd),
}

/// A step of an account's life, as the stream tells it. Commits are made by active accounts only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Life {
    /// `created`: a new account's `#identity`; its `#account` and the first commit of its repository follow.
    Created,
    /// `deactivated`: by its owner, for a while.
    Deactivated,
    /// `reactivated`: one that was deactivated, suspended or taken down is active again, its repository as it was.
    Reactivated,
    /// `suspended`: by its host, for a while.
    Suspended,
    /// `takendown`: by its host.
    TakenDown,
    /// `deleted`: for good, if it is not born again.
    Deleted,
    /// `reborn`: an account that is gone begins anew under its DID, with an `#identity`; its `#account` and the first
    /// commit of a new repository follow.
    Reborn,
}

/// A time that cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Absurd {
    /// `past`: the first moment of 1970.
    Past,
    /// `future`: the year 2255.
    Future,
}

impl Life {
    /// All steps, in the order of a life.
    pub const ALL: [Life; 7] = [
        Life::Created,
        Life::Deactivated,
        Life::Reactivated,
        Life::Suspended,
        Life::TakenDown,
        Life::Deleted,
        Life::Reborn,
    ];
}

impl Absurd {
    /// The time in nanoseconds since 1970.
    pub fn nanos(self) -> i64 {
        match self {
            Absurd::Past => 0,
            Absurd::Future => 9_000_000_000 * crate::time::SECOND,
        }
    }
}

impl Act {
    /// All acts.
    pub const ALL: [Act; 21] = [
        Act::Sync,
        Act::SyncUnchanged,
        Act::Lost,
        Act::LostUnnumbered,
        Act::Handle,
        Act::Migrate,
        Act::Tombstone,
        Act::Many,
        Act::Large,
        Act::Empty,
        Act::Blobs,
        Act::Account(Life::Created),
        Act::Account(Life::Deactivated),
        Act::Account(Life::Reactivated),
        Act::Account(Life::Suspended),
        Act::Account(Life::TakenDown),
        Act::Account(Life::Deleted),
        Act::Account(Life::Reborn),
        Act::Info,
        Act::Time(Absurd::Past),
        Act::Time(Absurd::Future),
    ];

    /// Its text form: the kind's word, and a second one where the kind has more than one act.
    pub fn as_str(self) -> &'static str {
        match self {
            Act::Sync => "sync",
            Act::SyncUnchanged => "sync unchanged",
            Act::Lost => "lost",
            Act::LostUnnumbered => "lost unnumbered",
            Act::Handle => "handle",
            Act::Migrate => "migrate",
            Act::Tombstone => "tombstone",
            Act::Many => "many",
            Act::Large => "large",
            Act::Empty => "empty",
            Act::Blobs => "blobs",
            Act::Account(Life::Created) => "account created",
            Act::Account(Life::Deactivated) => "account deactivated",
            Act::Account(Life::Reactivated) => "account reactivated",
            Act::Account(Life::Suspended) => "account suspended",
            Act::Account(Life::TakenDown) => "account takendown",
            Act::Account(Life::Deleted) => "account deleted",
            Act::Account(Life::Reborn) => "account reborn",
            Act::Info => "info",
            Act::Time(Absurd::Past) => "time past",
            Act::Time(Absurd::Future) => "time future",
        }
    }

    /// Which kind it is of: the first word of its text.
    pub fn kind(self) -> ActKind {
        match self {
            Act::Sync | Act::SyncUnchanged => ActKind::Sync,
            Act::Lost | Act::LostUnnumbered => ActKind::Lost,
            Act::Handle => ActKind::Handle,
            Act::Migrate => ActKind::Migrate,
            Act::Tombstone => ActKind::Tombstone,
            Act::Many => ActKind::Many,
            Act::Large => ActKind::Large,
            Act::Empty => ActKind::Empty,
            Act::Blobs => ActKind::Blobs,
            Act::Account(_) => ActKind::Account,
            Act::Info => ActKind::Info,
            Act::Time(_) => ActKind::Time,
        }
    }
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A text is no act.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{found}` is no act; there are {}", all_acts())]
pub struct ActError {
    /// The text.
    pub found: String,
}

fn all_acts() -> String {
    Act::ALL.map(|act| format!("`{act}`")).join(", ")
}

impl FromStr for Act {
    type Err = ActError;

    /// Reads an act's words, with any white space between and around them.
    fn from_str(text: &str) -> Result<Act, ActError> {
        let same = |act: &Act| act.as_str().split_whitespace().eq(text.split_whitespace());
        Act::ALL.into_iter().find(same).ok_or_else(|| ActError { found: text.trim().to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acts_are_told_apart_by_their_words_and_begin_with_their_kind() {
        for (place, act) in Act::ALL.into_iter().enumerate() {
            assert_eq!(act.as_str().parse(), Ok(act));
            assert_eq!(act.as_str().split(' ').next(), Some(act.kind().as_str()));
            assert!(Act::ALL.iter().skip(place + 1).all(|other| *other != act), "{act} is there twice");
        }
        let lives = Act::ALL.into_iter().filter_map(|act| match act {
            Act::Account(life) => Some(life),
            _ => None,
        });
        assert!(lives.eq(Life::ALL));
    }

    #[test]
    fn what_is_no_act_is_told_with_all_that_are() {
        let error = " account  asleep ".parse::<Act>().unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with("`account  asleep` is no act; there are `sync`, "), "{text}");
        assert!(text.contains("`account deactivated`") && text.ends_with("`time future`"), "{text}");
    }
}

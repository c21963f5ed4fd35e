//! Messages about accounts and identities, the older ones among them. Only [`Sync`] is about a repository too.

use super::wire::message;

message! {
    /// `#sync`: the current state of a repository. It may be discontinuous with what came before.
    pub struct Sync<'a> {
        /// The account.
        pub did: &'a str = "did",
        /// Revision of the repository, a TID.
        pub rev: &'a str = "rev",
        /// Number in the stream.
        pub seq: u64 = "seq",
        /// When the relay sent it, a datetime.
        pub time: &'a str = "time",
        /// A CAR that holds the commit block only.
        pub blocks: &'a [u8] = "blocks",
    }
}

message! {
    /// `#identity`: the account's DID document or handle may have changed and is to be resolved again.
    pub struct Identity<'a> {
        /// The account.
        pub did: &'a str = "did",
        /// Number in the stream.
        pub seq: u64 = "seq",
        /// When the relay sent it, a datetime.
        pub time: &'a str = "time",
        /// The handle as the relay knows it.
        pub handle: Option<&'a str> = "handle",
    }
}

message! {
    /// `#account`: whether an account's content is to be shown.
    pub struct Account<'a> {
        /// The account.
        pub did: &'a str = "did",
        /// Number in the stream.
        pub seq: u64 = "seq",
        /// When the relay sent it, a datetime.
        pub time: &'a str = "time",
        /// Whether the account is active: this alone decides visibility.
        pub active: bool = "active",
        /// Why it is not, as `takendown`: an open set. `desynchronized` and `throttled` may come with `active`.
        pub status: Option<&'a str> = "status",
    }
}

message! {
    /// `#handle`, before `#identity`: the account has a new handle.
    pub struct Handle<'a> {
        /// The account.
        pub did: &'a str = "did",
        /// Number in the stream.
        pub seq: u64 = "seq",
        /// When the relay sent it, a datetime.
        pub time: &'a str = "time",
        /// The new handle.
        pub handle: &'a str = "handle",
    }
}

message! {
    /// `#migrate`, before accounts could move: the account moved to another DID, or was closed.
    pub struct Migrate<'a> {
        /// The account.
        pub did: &'a str = "did",
        /// Number in the stream.
        pub seq: u64 = "seq",
        /// When the relay sent it, a datetime.
        pub time: &'a str = "time",
        /// The DID it moved to.
        pub migrate_to: Option<&'a str> = "migrateTo" [nullable],
    }
}

message! {
    /// `#tombstone`, before `#account`: the account was deleted.
    pub struct Tombstone<'a> {
        /// The account.
        pub did: &'a str = "did",
        /// Number in the stream.
        pub seq: u64 = "seq",
        /// When the relay sent it, a datetime.
        pub time: &'a str = "time",
    }
}

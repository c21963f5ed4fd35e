//! What a server says about the stream itself.

use super::wire::message;

message! {
    /// `#info`: a remark of the server, as `OutdatedCursor`. It has no `seq`.
    pub struct Info<'a> {
        /// Which remark.
        pub name: &'a str = "name",
        /// A text for people.
        pub message: Option<&'a str> = "message",
    }
}

message! {
    /// The payload of an error frame, as `ConsumerTooSlow` or `FutureCursor`; then the server closes the connection.
    pub struct ErrorMessage<'a> {
        /// Which error.
        pub error: &'a str = "error",
        /// A text for people.
        pub message: Option<&'a str> = "message",
    }
}

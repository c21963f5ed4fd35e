//! Labels, as `subscribeLabels` sends them.

use super::wire::{Field, message};
use crate::cbor::Encoder;
use crate::syntax::Did;

message! {
    /// `#labels`: labels that a labeler made or took back.
    pub struct Labels<'a> {
        /// Number in the stream.
        pub seq: u64 = "seq",
        /// The labels.
        pub labels: Vec<Label<'a>> = "labels",
    }
}

message! {
    /// A label: a labeler's word about an account or a record. Its identity is (`src`, `uri`, `val`); the latest
    /// `cts` wins.
    pub struct Label<'a> {
        /// CID of the record's version that it is about; else it is about all versions.
        pub cid: Option<&'a str> = "cid",
        /// When it was made, a datetime.
        pub cts: &'a str = "cts",
        /// When it ends, a datetime, with no message then.
        pub exp: Option<&'a str> = "exp",
        /// Whether it takes an earlier label back.
        pub neg: Option<bool> = "neg",
        /// Signature of [`Label::unsigned_bytes`] by the labeler's key `#atproto_label`.
        pub sig: Option<&'a [u8]> = "sig",
        /// DID of the labeler.
        pub src: &'a str = "src",
        /// AT-URI of the record, or DID of the account.
        pub uri: &'a str = "uri",
        /// What it says, as `porn` or `!hide`.
        pub val: &'a str = "val",
        /// Version of the label format.
        pub ver: Option<i64> = "ver",
    }
}

impl<'a> Label<'a> {
    /// The DID of the account that it is about, or whose record it is about; none if `uri` says no DID.
    #[must_use]
    pub fn subject(&self) -> Option<&'a str> {
        let account = match self.uri.strip_prefix("at://") {
            Some(rest) => rest.split('/').next().unwrap_or_default(),
            None => self.uri,
        };
        account.parse::<Did>().is_ok().then_some(account)
    }

    /// The bytes that are signed: the canonical DAG-CBOR of the fields as they were received, without `sig`.
    #[must_use]
    pub fn unsigned_bytes(&self) -> Vec<u8> {
        let mut encoder = Encoder::new();
        Label { sig: None, ..self.clone() }.write(&mut encoder);
        encoder.into_bytes()
    }
}

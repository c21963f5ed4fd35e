//! Writes DAG-CBOR item by item, each in its one canonical form.
//!
//! The caller keeps the order of keys and the counts it promised: whoever writes a struct knows its keys, and
//! whoever does not uses [`Map`](super::Map), which sorts.

use crate::cid::Cid;

/// Builds bytes of DAG-CBOR.
///
/// ```
/// use skytide_atproto::cbor::Encoder;
///
/// let mut encoder = Encoder::new();
/// encoder.map(1).text("op").integer(-1);
/// assert_eq!(encoder.into_bytes(), b"\xa1\x62op\x20");
/// ```
#[derive(Clone, Debug, Default)]
pub struct Encoder {
    bytes: Vec<u8>,
}

impl Encoder {
    /// An encoder that has written nothing.
    pub fn new() -> Encoder {
        Encoder::default()
    }

    /// An encoder with room for `capacity` bytes.
    pub fn with_capacity(capacity: usize) -> Encoder {
        Encoder { bytes: Vec::with_capacity(capacity) }
    }

    /// What has been written.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// What has been written so far.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The head of a map of `entries` entries: the caller writes a [`text`](Encoder::text) key and a value for
    /// each, shorter keys first, then bytewise.
    pub fn map(&mut self, entries: usize) -> &mut Encoder {
        self.head(5, entries as u64)
    }

    /// The head of a list of `items` items, which the caller writes next.
    pub fn list(&mut self, items: usize) -> &mut Encoder {
        self.head(4, items as u64)
    }

    /// Text: a value, or the key of a map.
    pub fn text(&mut self, text: &str) -> &mut Encoder {
        self.head(3, text.len() as u64).raw(text.as_bytes())
    }

    /// A byte string.
    pub fn bytes(&mut self, bytes: &[u8]) -> &mut Encoder {
        self.head(2, bytes.len() as u64).raw(bytes)
    }

    /// An integer that is not negative.
    pub fn unsigned(&mut self, value: u64) -> &mut Encoder {
        self.head(0, value)
    }

    /// An integer from -2^64 to 2^64 - 1. DAG-CBOR has no other integers: beyond, `null` is written.
    pub fn integer(&mut self, value: i128) -> &mut Encoder {
        match (u64::try_from(value), u64::try_from(!value)) {
            (Ok(argument), _) => self.head(0, argument),
            (_, Ok(argument)) => self.head(1, argument),
            _ => self.null(),
        }
    }

    /// A finite float, in 64 bits. DAG-CBOR has no NaN and no infinities: for them `null` is written. Nor has it
    /// a negative zero: zero is written.
    pub fn float(&mut self, value: f64) -> &mut Encoder {
        if !value.is_finite() {
            return self.null();
        }
        self.bytes.push(0xfb);
        // Adding zero takes the sign off a zero and leaves all else as it is.
        self.raw(&(value + 0.0).to_be_bytes())
    }

    /// `true` or `false`.
    pub fn bool(&mut self, value: bool) -> &mut Encoder {
        self.raw(&[if value { 0xf5 } else { 0xf4 }])
    }

    /// `null`.
    pub fn null(&mut self) -> &mut Encoder {
        self.raw(&[0xf6])
    }

    /// A link: tag 42 on the CID's bytes after a zero.
    pub fn link(&mut self, cid: &Cid) -> &mut Encoder {
        self.raw(&[0xd8, 0x2a, 0x58, 0x25, 0x00]).raw(cid.as_bytes())
    }

    /// Bytes as they are: items that are encoded already.
    pub fn raw(&mut self, bytes: &[u8]) -> &mut Encoder {
        self.bytes.extend_from_slice(bytes);
        self
    }

    /// A head in its shortest form.
    fn head(&mut self, major: u8, argument: u64) -> &mut Encoder {
        let major = major << 5;
        let bytes = argument.to_be_bytes();
        match argument {
            0..=23 => self.raw(&[major | bytes[7]]),
            24..=0xff => self.raw(&[major | 24, bytes[7]]),
            0x100..=0xffff => self.raw(&[major | 25]).raw(&bytes[6..]),
            0x1_0000..=0xffff_ffff => self.raw(&[major | 26]).raw(&bytes[4..]),
            _ => self.raw(&[major | 27]).raw(&bytes),
        }
    }
}

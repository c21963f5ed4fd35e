//! Content identifiers: the hash links of the AT Protocol, in the one form the protocol uses.
//!
//! A [`Cid`] is CIDv1 with codec dag-cbor or raw and a SHA-256 digest, always 36 bytes, so it is a plain
//! `Copy` value and needs no allocation. Every other CID is legal elsewhere but names nothing here: it is
//! refused by a rule of its own ([`CidError`]).
//!
//! ```
//! use skytide_atproto::cid::{Cid, Codec};
//!
//! let cid = Cid::for_raw(b"hello");
//! assert_eq!(cid.codec(), Codec::Raw);
//! assert_eq!(cid.to_string().parse(), Ok(cid));
//! ```

use std::fmt;
use std::str::FromStr;

use data_encoding::BASE32_NOPAD_NOCASE;
use sha2::{Digest, Sha256};

const VERSION: u8 = 0x01;
const DAG_CBOR: u8 = 0x71;
const RAW: u8 = 0x55;
const SHA_256: u8 = 0x12;
const DIGEST_LENGTH: u8 = 0x20;

/// The content identifier of a block: CIDv1, dag-cbor or raw, SHA-256.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cid([u8; Cid::LENGTH]);

/// How the bytes that a [`Cid`] names are to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    /// DAG-CBOR (0x71): records, commits, MST nodes.
    DagCbor,
    /// Plain bytes (0x55): blobs.
    Raw,
}

/// Why bytes or text are not a [`Cid`] of the AT Protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum CidError {
    /// The binary form is always 36 bytes: four of prefix and 32 of digest.
    #[error("a CID has 36 bytes")]
    Length,
    /// CIDv0, or a version that does not exist.
    #[error("only CIDv1 is used")]
    Version,
    /// A codec other than dag-cbor and raw.
    #[error("only the codecs dag-cbor and raw are used")]
    Codec,
    /// A hash function other than SHA-256, or a digest that is not 32 bytes.
    #[error("only SHA-256 with 32 bytes of digest is used")]
    Hash,
    /// The text form starts with `b` (base32, lower case).
    #[error("a CID's text starts with `b`, for base32")]
    Multibase,
    /// The text after the `b` is not canonical lower-case base32 without padding.
    #[error("not canonical lower-case base32")]
    Base32,
}

impl Cid {
    /// Bytes of the binary form.
    pub const LENGTH: usize = 36;
    /// Bytes of the text form: `b` and 58 digits of base32.
    pub const TEXT_LENGTH: usize = 59;

    /// The CID of a block of DAG-CBOR.
    pub fn for_dag_cbor(bytes: &[u8]) -> Cid {
        Cid::hashed(DAG_CBOR, bytes)
    }

    /// The CID of plain bytes, as of a blob.
    pub fn for_raw(bytes: &[u8]) -> Cid {
        Cid::hashed(RAW, bytes)
    }

    fn hashed(codec: u8, bytes: &[u8]) -> Cid {
        let mut cid = [0; Cid::LENGTH];
        let (prefix, digest) = cid.split_at_mut(4);
        prefix.copy_from_slice(&[VERSION, codec, SHA_256, DIGEST_LENGTH]);
        digest.copy_from_slice(&Sha256::digest(bytes));
        Cid(cid)
    }

    /// Reads the binary form: exactly 36 bytes.
    ///
    /// # Errors
    /// The first rule of [`CidError`] that the bytes break.
    #[inline]
    pub fn from_bytes(bytes: &[u8]) -> Result<Cid, CidError> {
        match bytes.first_chunk::<4>() {
            Some(&[VERSION, DAG_CBOR | RAW, SHA_256, DIGEST_LENGTH]) => {
                bytes.try_into().map(Cid).map_err(|_| CidError::Length)
            }
            Some(&[VERSION, DAG_CBOR | RAW, ..]) => Err(CidError::Hash),
            Some(&[VERSION, ..]) => Err(CidError::Codec),
            Some(_) => Err(CidError::Version),
            None => Err(CidError::Length),
        }
    }

    /// The binary form.
    #[inline]
    pub fn as_bytes(&self) -> &[u8; Cid::LENGTH] {
        &self.0
    }

    /// What kind of block this names.
    pub fn codec(&self) -> Codec {
        if self.0[1] == RAW { Codec::Raw } else { Codec::DagCbor }
    }

    /// The SHA-256 digest, 32 bytes.
    pub fn digest(&self) -> &[u8] {
        &self.0[4..]
    }

    /// Whether `bytes` are the block this names (their SHA-256 is the digest).
    pub fn matches(&self, bytes: &[u8]) -> bool {
        Sha256::digest(bytes).as_slice() == self.digest()
    }

    /// Writes the text form into `buffer` and gives it as text: what [`Display`](fmt::Display) shows,
    /// without an allocation.
    pub fn write_text<'b>(&self, buffer: &'b mut [u8; Cid::TEXT_LENGTH]) -> &'b str {
        buffer[0] = b'b';
        BASE32_NOPAD_NOCASE.encode_mut(&self.0, &mut buffer[1..]);
        buffer.make_ascii_lowercase();
        // Base32 is ASCII: the fallback cannot be reached.
        std::str::from_utf8(buffer).unwrap_or_default()
    }
}

impl fmt::Display for Cid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.write_text(&mut [0; Cid::TEXT_LENGTH]))
    }
}

impl fmt::Debug for Cid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cid({self})")
    }
}

impl FromStr for Cid {
    type Err = CidError;

    fn from_str(text: &str) -> Result<Cid, CidError> {
        let digits = text.strip_prefix('b').ok_or(CidError::Multibase)?.as_bytes();
        if digits.iter().any(u8::is_ascii_uppercase) {
            return Err(CidError::Base32);
        }
        // Length first: nothing is allocated or decoded for text that cannot be ours.
        if digits.len() != Cid::TEXT_LENGTH - 1 {
            return Err(CidError::Length);
        }
        let mut bytes = [0; Cid::LENGTH];
        BASE32_NOPAD_NOCASE.decode_mut(digits, &mut bytes).map_err(|_| CidError::Base32)?;
        Cid::from_bytes(&bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_block_has_its_known_cid() {
        // The empty DAG-CBOR map, as every implementation names it.
        let cid = Cid::for_dag_cbor(&[0xa0]);
        assert_eq!(cid.to_string(), "bafyreigbtj4x7ip5legnfznufuopl4sg4knzc2cof6duas4b3q2fy6swua");
        assert!(cid.matches(&[0xa0]));
        assert!(!cid.matches(&[0xa1]));
        assert_eq!(Cid::from_bytes(cid.as_bytes()), Ok(cid));
        assert_eq!(cid.codec(), Codec::DagCbor);
    }

    #[test]
    fn each_part_of_the_prefix_has_its_rule() {
        let good = *Cid::for_raw(b"").as_bytes();
        let with = |index: usize, byte: u8| {
            let mut bytes = good;
            bytes[index] = byte;
            Cid::from_bytes(&bytes)
        };
        assert_eq!(with(0, 0x12), Err(CidError::Version));
        assert_eq!(with(1, 0x70), Err(CidError::Codec));
        assert_eq!(with(2, 0x1e), Err(CidError::Hash));
        assert_eq!(with(3, 0x10), Err(CidError::Hash));
        assert_eq!(Cid::from_bytes(&good[..35]), Err(CidError::Length));
        assert_eq!(Cid::from_bytes(&good[..3]), Err(CidError::Length));
        assert_eq!(Cid::from_bytes(&[&good[..], &[0]].concat()), Err(CidError::Length));
    }

    #[test]
    fn only_canonical_text_is_read() {
        let text = Cid::for_dag_cbor(&[0xa0]).to_string();
        let parse = |text: &str| text.parse::<Cid>();
        assert_eq!(parse(&text.to_uppercase()), Err(CidError::Multibase));
        assert_eq!(parse(&text.replacen("bafy", "bAfy", 1)), Err(CidError::Base32));
        assert_eq!(parse(&text.replacen("bafy", "b1fy", 1)), Err(CidError::Base32));
        assert_eq!(parse(&text[..58]), Err(CidError::Length));
        assert_eq!(parse("zdpuAyvkgEDQm9TenwGkd5eNaosSxjgEYd8QatfPetgB1CdEZ"), Err(CidError::Multibase));
        // The last digit holds two bits that no byte uses: they are zero.
        let trailing = format!("{}b", &text[..58]);
        assert_eq!(parse(&trailing), Err(CidError::Base32));
    }
}

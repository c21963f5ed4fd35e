//! CAR version 1: a header with roots, then blocks one after the other, each with its CID.
//!
//! [`Car::parse`] reads the header only and [`Car::blocks`] hops from block to block by their lengths, so that
//! one record is found in a commit without looking at the rest and without an allocation. [`Blocks::read`] is
//! for a whole repository: every block's hash is checked and any of them can be asked for.

use std::collections::HashMap;

use crate::cbor::{self, Cursor, Encoder, MapKeys};
use crate::cid::{Cid, CidError};

/// The result of reading a CAR.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Bytes that are refused: which rule they break, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[error("{rule} (at byte {at})")]
pub struct Error {
    /// Offset of the part that breaks the rule, from the start of the CAR.
    pub at: usize,
    /// The rule that is broken.
    pub rule: Rule,
}

/// The rules of CAR, as each can be broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Rule {
    /// The bytes end inside a length, or a length asks for more bytes than remain.
    #[error("the bytes end inside the header or a block")]
    End,
    /// A length is not a varint in its shortest form of nine bytes at most.
    #[error("a length is not a varint in its shortest form")]
    Varint,
    /// The header is not strict DAG-CBOR, or not of the kinds a header has.
    #[error("the header: {0}")]
    Header(cbor::Rule),
    /// The header has other fields than `roots` and `version`, each once.
    #[error("the header's fields are not `roots` and `version`")]
    HeaderFields,
    /// The version is not 1.
    #[error("only version 1 is read")]
    Version,
    /// A block is too short to hold its CID.
    #[error("a block is shorter than a CID")]
    ShortBlock,
    /// A block's CID is not one the AT Protocol uses.
    #[error("a block's CID: {0}")]
    Cid(CidError),
    /// A block is not what its CID says.
    #[error("a block's hash is not the one in its CID")]
    Hash,
}

/// What nearly every header is: one root, in the one way to write it.
const ONE_ROOT: (&[u8], &[u8]) = (b"\x3a\xa2\x65roots\x81\xd8\x2a\x58\x25\x00", b"\x67version\x01");
/// Where the link in it stands, and where it ends.
const ONE_ROOT_LINK: usize = 9;
const ONE_ROOT_END: usize = 59;

/// A CAR whose header is read and whose blocks are not.
#[derive(Clone, Copy, Debug)]
pub struct Car<'a> {
    bytes: &'a [u8],
    roots: Cursor<'a>,
    root_count: usize,
    blocks_at: usize,
}

impl<'a> Car<'a> {
    /// Reads the header.
    ///
    /// # Errors
    /// The rule that the header breaks.
    #[inline]
    pub fn parse(bytes: &'a [u8]) -> Result<Car<'a>> {
        match Car::with_one_root(bytes) {
            Some(car) => Ok(car),
            None => Car::parse_any(bytes),
        }
    }

    /// Reads the usual header by comparing it.
    #[inline]
    fn with_one_root(bytes: &'a [u8]) -> Option<Car<'a>> {
        let header = bytes.get(..ONE_ROOT_END)?;
        let (cid, version) = header.strip_prefix(ONE_ROOT.0)?.split_at_checked(Cid::LENGTH)?;
        if version != ONE_ROOT.1 || Cid::from_bytes(cid).is_err() {
            return None;
        }
        let roots = Cursor::new(header.get(ONE_ROOT_LINK..)?);
        Some(Car { bytes, roots, root_count: 1, blocks_at: ONE_ROOT_END })
    }

    fn parse_any(bytes: &'a [u8]) -> Result<Car<'a>> {
        let mut at = 0;
        let header = section(bytes, &mut at)?;
        let header_at = at - header.len();
        let error = |at: usize, rule: Rule| Error { at: header_at + at, rule };
        let refused = |error: cbor::Error| Error { at: header_at + error.at, rule: Rule::Header(error.rule) };

        let mut cursor = Cursor::new(header);
        let mut roots = None;
        let mut version = None;
        let mut keys = MapKeys::new(cursor.read_map().map_err(refused)?);
        while let Some(key) = keys.next(&mut cursor).map_err(refused)? {
            let value_at = cursor.position();
            match key {
                "roots" => {
                    let count = cursor.read_list().map_err(refused)?;
                    roots = Some((cursor, count));
                    for _ in 0..count {
                        cursor.read_link().map_err(refused)?;
                    }
                }
                "version" => {
                    version = Some(cursor.read_u64().map_err(refused)?);
                    if version != Some(1) {
                        return Err(error(value_at, Rule::Version));
                    }
                }
                _ => return Err(error(value_at, Rule::HeaderFields)),
            }
        }
        if !cursor.is_at_end() {
            return Err(error(cursor.position(), Rule::Header(cbor::Rule::Trailing)));
        }
        match (roots, version) {
            (Some((roots, root_count)), Some(_)) => Ok(Car { bytes, roots, root_count, blocks_at: at }),
            _ => Err(error(0, Rule::HeaderFields)),
        }
    }

    /// The first root: of a repository or a commit, the CID of the commit object.
    pub fn root(&self) -> Option<Cid> {
        self.roots().next()
    }

    /// The roots in the order of the header.
    pub fn roots(&self) -> impl Iterator<Item = Cid> + use<'a> {
        let mut cursor = self.roots;
        // They were read once already, by `parse`.
        (0..self.root_count).map_while(move |_| cursor.read_link().ok())
    }

    /// The blocks in the order of the file, hashes not checked. After an error the iterator ends.
    #[inline]
    pub fn blocks(&self) -> Sections<'a> {
        Sections { bytes: self.bytes, at: self.blocks_at }
    }
}

/// Hops over the blocks of a CAR.
#[derive(Clone, Debug)]
pub struct Sections<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Sections<'a> {
    #[inline]
    fn read(&mut self) -> Result<(Cid, &'a [u8])> {
        let section = section(self.bytes, &mut self.at)?;
        let error = |rule: Rule| Error { at: self.at - section.len(), rule };
        let (cid, block) = section.split_at_checked(Cid::LENGTH).ok_or_else(|| error(Rule::ShortBlock))?;
        let cid = Cid::from_bytes(cid).map_err(|refusal| error(Rule::Cid(refusal)))?;
        Ok((cid, block))
    }
}

impl<'a> Iterator for Sections<'a> {
    /// A block's CID and its bytes.
    type Item = Result<(Cid, &'a [u8])>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.bytes.len() {
            return None;
        }
        let block = self.read();
        if block.is_err() {
            self.at = self.bytes.len();
        }
        Some(block)
    }
}

impl std::iter::FusedIterator for Sections<'_> {}

/// Takes the length at `at` and the bytes it speaks of.
#[inline]
fn section<'a>(bytes: &'a [u8], at: &mut usize) -> Result<&'a [u8]> {
    let start = *at;
    let length = varint(bytes, at)?;
    let end = usize::try_from(length).ok().and_then(|length| at.checked_add(length));
    let Some(section) = end.and_then(|end| bytes.get(*at..end)) else {
        return Err(Error { at: start, rule: Rule::End });
    };
    *at += section.len();
    Ok(section)
}

/// An unsigned varint: seven bits a byte, least first, nine bytes at most, none needlessly.
#[inline]
fn varint(bytes: &[u8], at: &mut usize) -> Result<u64> {
    // Blocks of 128 to 16,383 bytes, which nearly all are.
    if let Some(&[low @ 0x80..=0xff, high @ 1..0x80]) = bytes.get(*at..).and_then(<[u8]>::first_chunk::<2>) {
        *at += 2;
        return Ok(u64::from(low & 0x7f) | u64::from(high) << 7);
    }
    any_varint(bytes, at)
}

fn any_varint(bytes: &[u8], at: &mut usize) -> Result<u64> {
    let start = *at;
    let mut value = 0;
    for (index, &byte) in bytes.get(start..).unwrap_or_default().iter().take(9).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte < 0x80 {
            if byte == 0 && index > 0 {
                return Err(Error { at: start, rule: Rule::Varint });
            }
            *at += index + 1;
            return Ok(value);
        }
    }
    let cut_off = bytes.len().saturating_sub(start) < 9;
    Err(Error { at: start, rule: if cut_off { Rule::End } else { Rule::Varint } })
}

fn write_varint(mut value: usize, bytes: &mut Vec<u8>) {
    while value >= 0x80 {
        bytes.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

/// Writes a CAR of `blocks`, in their order, under `roots`.
pub fn write<B: AsRef<[u8]>>(roots: &[Cid], blocks: impl IntoIterator<Item = (Cid, B)>) -> Vec<u8> {
    let mut header = Encoder::new();
    header.map(2).text("roots").list(roots.len());
    for root in roots {
        header.link(root);
    }
    header.text("version").unsigned(1);

    let mut bytes = Vec::new();
    write_varint(header.as_bytes().len(), &mut bytes);
    bytes.extend_from_slice(header.as_bytes());
    for (cid, block) in blocks {
        let block = block.as_ref();
        write_varint(Cid::LENGTH + block.len(), &mut bytes);
        bytes.extend_from_slice(cid.as_bytes());
        bytes.extend_from_slice(block);
    }
    bytes
}

/// All blocks of a CAR by their CIDs, each with its hash checked.
#[derive(Clone, Debug)]
pub struct Blocks<'a> {
    roots: Vec<Cid>,
    blocks: HashMap<Cid, &'a [u8]>,
}

impl<'a> Blocks<'a> {
    /// Reads a whole CAR. A block that is there twice is kept once.
    ///
    /// # Errors
    /// The first rule that the bytes break; [`Rule::Hash`] for a block that is not what its CID says.
    pub fn read(bytes: &'a [u8]) -> Result<Blocks<'a>> {
        let car = Car::parse(bytes)?;
        let mut sections = car.blocks();
        let mut blocks = HashMap::new();
        while let Some(section) = sections.next() {
            let (cid, block) = section?;
            if !cid.matches(block) {
                return Err(Error { at: sections.at - block.len() - Cid::LENGTH, rule: Rule::Hash });
            }
            blocks.insert(cid, block);
        }
        Ok(Blocks { roots: car.roots().collect(), blocks })
    }

    /// The roots in the order of the header.
    pub fn roots(&self) -> &[Cid] {
        &self.roots
    }

    /// The block that `cid` names.
    pub fn get(&self, cid: &Cid) -> Option<&'a [u8]> {
        self.blocks.get(cid).copied()
    }

    /// The number of blocks.
    pub fn len(&self) -> usize {
        self.blocks.len()
    }

    /// Whether there are no blocks.
    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// The blocks in no particular order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&Cid, &'a [u8])> {
        self.blocks.iter().map(|(cid, block)| (cid, *block))
    }
}

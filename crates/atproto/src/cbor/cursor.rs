//! The cursor: strict where it reads, a bounded hop where it does not.
//!
//! It is a slice and a position, `Copy`, so looking ahead is a copy and going back is dropping it. The head of
//! an item is one byte in nearly all real data, so that case is inlined everywhere and all others are calls.

use super::{Error, Kind, MAX_DEPTH, Map, MapKeys, Result, Rule, Value};
use crate::cid::Cid;

const UNSIGNED: u8 = 0;
const NEGATIVE: u8 = 1;
const BYTES: u8 = 2;
const TEXT: u8 = 3;
const LIST: u8 = 4;
const MAP: u8 = 5;
const TAG: u8 = 6;

const FALSE: u8 = 0xf4;
const TRUE: u8 = 0xf5;
const NULL: u8 = 0xf6;
const FLOAT: u8 = 0xfb;
/// Tag 42 in its only minimal form.
const LINK: [u8; 2] = [0xd8, 0x2a];
/// What every link of ours starts with: tag 42, a byte string of 37 bytes, the zero of the identity multibase.
const LINK_PREFIX: [u8; 5] = [0xd8, 0x2a, 0x58, 0x25, 0x00];

/// The most a list or map is trusted to hold before its items have been seen.
const PREALLOCATED: usize = 16;

/// A place in bytes of DAG-CBOR. Reading moves it on; a failed read leaves it at an unspecified place.
#[derive(Clone, Copy, Debug)]
pub struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    /// A cursor at the first of `bytes`.
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Cursor<'a> {
        Cursor { bytes, at: 0 }
    }

    /// A cursor at the byte `at` of `bytes`, which is an item's first.
    #[inline]
    #[cfg(any(feature = "arrow", test))]
    pub(crate) fn at(bytes: &'a [u8], at: usize) -> Cursor<'a> {
        Cursor { bytes, at: at.min(bytes.len()) }
    }

    /// Offset of the next item from the start of the bytes.
    #[inline]
    pub fn position(&self) -> usize {
        self.at
    }

    /// The bytes not yet read.
    #[inline]
    pub fn remaining(&self) -> &'a [u8] {
        // `at` never passes the end: the fallback is unreachable, and cheaper to the eye than an index.
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// Whether all bytes are read.
    #[inline]
    pub fn is_at_end(&self) -> bool {
        self.at >= self.bytes.len()
    }

    /// Moves past `prefix` if the bytes go on with exactly it; says whether they did.
    ///
    /// For the canonical heads and keys that nearly all data starts with: one comparison instead of a walk.
    #[inline]
    pub fn take_prefix(&mut self, prefix: &[u8]) -> bool {
        let found = self.remaining().starts_with(prefix);
        if found {
            self.at += prefix.len();
        }
        found
    }

    /// The kind of the next item, without reading it.
    ///
    /// # Errors
    /// The rule that forbids its head; [`Rule::End`] at the end.
    #[inline]
    pub fn kind(&self) -> Result<Kind> {
        let Some(&first) = self.bytes.get(self.at) else {
            return Err(self.error(Rule::End));
        };
        Ok(match (first >> 5, first) {
            (UNSIGNED, _) => Kind::Unsigned,
            (NEGATIVE, _) => Kind::Negative,
            (BYTES, _) => Kind::Bytes,
            (TEXT, _) => Kind::Text,
            (LIST, _) => Kind::List,
            (MAP, _) => Kind::Map,
            (_, FALSE | TRUE) => Kind::Bool,
            (_, NULL) => Kind::Null,
            (_, FLOAT) => Kind::Float,
            (TAG, _) if self.remaining().starts_with(&LINK) => Kind::Link,
            _ => return Err(self.refused_head()),
        })
    }

    /// Reads an integer that is not negative.
    ///
    /// # Errors
    /// [`Rule::Expected`] if the item is another, or the rule that it breaks.
    #[inline]
    pub fn read_u64(&mut self) -> Result<u64> {
        self.head(UNSIGNED, Kind::Unsigned)
    }

    /// Reads an integer from -2^63 to 2^63 - 1.
    ///
    /// # Errors
    /// [`Rule::IntegerRange`] beyond; [`Rule::Expected`] if the item is another, or the rule that it breaks.
    #[inline]
    pub fn read_i64(&mut self) -> Result<i64> {
        let start = *self;
        let negative = self.bytes.get(self.at).is_some_and(|first| first >> 5 == NEGATIVE);
        let argument = if negative { self.head(NEGATIVE, Kind::Negative)? } else { self.read_u64()? };
        let value = i64::try_from(argument).map_err(|_| start.error(Rule::IntegerRange))?;
        // CBOR's -1 - n is the complement of n.
        Ok(if negative { !value } else { value })
    }

    /// Reads any integer: -2^64 to 2^64 - 1.
    ///
    /// # Errors
    /// [`Rule::Expected`] if the item is another, or the rule that it breaks.
    pub fn read_integer(&mut self) -> Result<i128> {
        Ok(match self.kind()? {
            Kind::Negative => !i128::from(self.head(NEGATIVE, Kind::Negative)?),
            _ => i128::from(self.read_u64()?),
        })
    }

    /// Reads `true` or `false`.
    ///
    /// # Errors
    /// [`Rule::Expected`] if the item is another, or the rule that it breaks.
    #[inline]
    pub fn read_bool(&mut self) -> Result<bool> {
        let value = match self.bytes.get(self.at) {
            Some(&FALSE) => false,
            Some(&TRUE) => true,
            _ => return Err(self.unexpected(Kind::Bool)),
        };
        self.at += 1;
        Ok(value)
    }

    /// Reads `null`.
    ///
    /// # Errors
    /// [`Rule::Expected`] if the item is another, or the rule that it breaks.
    #[inline]
    pub fn read_null(&mut self) -> Result<()> {
        if !self.take_null() {
            return Err(self.unexpected(Kind::Null));
        }
        Ok(())
    }

    /// Moves past a `null` if one is next; says whether it was. For fields that may be null.
    #[inline]
    pub fn take_null(&mut self) -> bool {
        let null = self.bytes.get(self.at) == Some(&NULL);
        self.at += usize::from(null);
        null
    }

    /// Reads a float. An integer is not taken for one.
    ///
    /// # Errors
    /// [`Rule::Expected`] if the item is another, or the rule that it breaks.
    #[inline]
    pub fn read_f64(&mut self) -> Result<f64> {
        let start = *self;
        if self.bytes.get(self.at) != Some(&FLOAT) {
            return Err(self.unexpected(Kind::Float));
        }
        self.at += 1;
        let value = f64::from_be_bytes(self.array()?);
        if !value.is_finite() {
            return Err(start.error(Rule::FloatNotFinite));
        }
        if value == 0.0 && value.is_sign_negative() {
            return Err(start.error(Rule::FloatNegativeZero));
        }
        Ok(value)
    }

    /// Reads text.
    ///
    /// # Errors
    /// [`Rule::Expected`] if the item is another, or the rule that it breaks.
    #[inline]
    pub fn read_text(&mut self) -> Result<&'a str> {
        let start = *self;
        let length = self.head(TEXT, Kind::Text)?;
        let bytes = self.take(length)?;
        std::str::from_utf8(bytes).map_err(|_| start.error(Rule::Utf8))
    }

    /// Reads text as its bytes, which are UTF-8: for those who compare or copy text, and need no `str` of it.
    ///
    /// Most text is ASCII, which is seen without a call.
    ///
    /// # Errors
    /// [`Rule::Expected`] if the item is another, or the rule that it breaks.
    #[inline]
    pub fn read_text_bytes(&mut self) -> Result<&'a [u8]> {
        let start = *self;
        let length = self.head(TEXT, Kind::Text)?;
        let bytes = self.take(length)?;
        if bytes.is_ascii() || std::str::from_utf8(bytes).is_ok() {
            Ok(bytes)
        } else {
            Err(start.error(Rule::Utf8))
        }
    }

    /// Reads a byte string.
    ///
    /// # Errors
    /// [`Rule::Expected`] if the item is another, or the rule that it breaks.
    #[inline]
    pub fn read_bytes(&mut self) -> Result<&'a [u8]> {
        let length = self.head(BYTES, Kind::Bytes)?;
        self.take(length)
    }

    /// Reads a link.
    ///
    /// # Errors
    /// [`Rule::Expected`] if the item is another, [`Rule::Cid`] for a CID that the AT Protocol does not use,
    /// or the rule that it breaks.
    #[inline]
    pub fn read_link(&mut self) -> Result<Cid> {
        if let Some(cid) = self
            .remaining()
            .strip_prefix(&LINK_PREFIX)
            .and_then(|rest| Cid::from_bytes(rest.first_chunk::<{ Cid::LENGTH }>()?).ok())
        {
            self.at += LINK_PREFIX.len() + Cid::LENGTH;
            return Ok(cid);
        }
        self.read_unusual_link()
    }

    /// A link that is not the usual 41 bytes: finds out which rule it breaks.
    #[cold]
    #[inline(never)]
    fn read_unusual_link(&mut self) -> Result<Cid> {
        let start = *self;
        if self.kind()? != Kind::Link {
            return Err(self.unexpected(Kind::Link));
        }
        self.at += LINK.len();
        let bytes = match self.kind()? {
            Kind::Bytes => self.read_bytes()?,
            _ => return Err(start.error(Rule::Link)),
        };
        let cid = bytes.strip_prefix(&[0]).ok_or_else(|| start.error(Rule::Link))?;
        Cid::from_bytes(cid).map_err(|refusal| start.error(Rule::Cid(refusal)))
    }

    /// Reads the head of a list and gives the number of its items, which follow.
    ///
    /// Each item takes a byte at least, so the number is never more than the bytes that remain.
    ///
    /// # Errors
    /// [`Rule::Expected`] if the item is another, or the rule that it breaks.
    #[inline]
    pub fn read_list(&mut self) -> Result<usize> {
        let start = *self;
        let items = self.head(LIST, Kind::List)?;
        self.count(start, items, 1)
    }

    /// Reads the head of a map and gives the number of its entries, which follow: read them by [`MapKeys`].
    ///
    /// Each entry takes two bytes at least, so the number is never more than half of the bytes that remain.
    ///
    /// # Errors
    /// [`Rule::Expected`] if the item is another, or the rule that it breaks.
    #[inline]
    pub fn read_map(&mut self) -> Result<usize> {
        let start = *self;
        let entries = self.head(MAP, Kind::Map)?;
        self.count(start, entries, 2)
    }

    /// Hops over the next item. Heads, lengths and depth are checked; contents (order of keys, UTF-8, CIDs) are
    /// not. Takes no heap and does not recurse.
    ///
    /// # Errors
    /// The rule that a head breaks, [`Rule::End`] or [`Rule::Depth`].
    #[inline]
    pub fn skip(&mut self) -> Result<()> {
        match self.hop()? {
            0 => Ok(()),
            items => self.skip_items(items),
        }
    }

    /// Hops over the `items` of a list or map whose head is read.
    fn skip_items(&mut self, items: usize) -> Result<()> {
        // Items left in each of the lists and maps around the innermost one; 32 bits each, since all of it is
        // written whenever a list or map is hopped over.
        let mut outer = [0_u32; MAX_DEPTH - 1];
        let mut depth = 0;
        let mut left = items;
        loop {
            while left > 0 {
                left -= 1;
                let start = *self;
                let inner = self.hop()?;
                if inner > 0 {
                    let place = outer.get_mut(depth).ok_or_else(|| start.error(Rule::Depth))?;
                    *place = u32::try_from(left).map_err(|_| start.error(Rule::End))?;
                    depth += 1;
                    left = inner;
                }
            }
            let Some(around) = depth.checked_sub(1) else {
                return Ok(());
            };
            depth = around;
            left = outer[depth] as usize;
        }
    }

    /// Hops over one head, and the string after it; gives the number of items that a list or map goes on with.
    #[inline]
    fn hop(&mut self) -> Result<usize> {
        let start = *self;
        let Some(&first) = self.bytes.get(self.at) else {
            return Err(self.error(Rule::End));
        };
        match first >> 5 {
            UNSIGNED | NEGATIVE => self.argument(first).map(|_| 0),
            BYTES | TEXT => {
                let length = self.argument(first)?;
                self.take(length).map(|_| 0)
            }
            LIST => {
                let items = self.argument(first)?;
                self.count(start, items, 1)
            }
            MAP => {
                let entries = self.argument(first)?;
                self.count(start, entries, 2).map(|entries| entries * 2)
            }
            TAG => self.hop_link().map(|()| 0),
            _ => match first {
                FALSE | TRUE | NULL => {
                    self.at += 1;
                    Ok(0)
                }
                FLOAT => {
                    self.at += 1;
                    self.take(8).map(|_| 0)
                }
                _ => Err(self.refused_head()),
            },
        }
    }

    fn hop_link(&mut self) -> Result<()> {
        let start = *self;
        if !self.take_prefix(&LINK) {
            return Err(self.refused_head());
        }
        match self.kind()? {
            Kind::Bytes => self.read_bytes().map(|_| ()),
            _ => Err(start.error(Rule::Link)),
        }
    }

    /// Hops over the next item and refuses whatever [`read_value`](Cursor::read_value) would refuse.
    ///
    /// # Errors
    /// The rule that the item breaks.
    pub fn check(&mut self) -> Result<()> {
        self.check_within(0)
    }

    fn check_within(&mut self, depth: usize) -> Result<()> {
        let Some(&first) = self.bytes.get(self.at) else {
            return Err(self.error(Rule::End));
        };
        match first >> 5 {
            UNSIGNED | NEGATIVE => self.argument(first).map(|_| ()),
            BYTES => self.read_bytes().map(|_| ()),
            TEXT => self.read_text_bytes().map(|_| ()),
            LIST => {
                let items = self.deeper(depth)?.read_list()?;
                for _ in 0..items {
                    self.check_within(depth + 1)?;
                }
                Ok(())
            }
            MAP => {
                let mut keys = MapKeys::new(self.deeper(depth)?.read_map()?);
                while keys.next_bytes(self)?.is_some() {
                    self.check_within(depth + 1)?;
                }
                Ok(())
            }
            TAG => self.read_link().map(|_| ()),
            _ => match first {
                FALSE | TRUE | NULL => {
                    self.at += 1;
                    Ok(())
                }
                FLOAT => self.read_f64().map(|_| ()),
                _ => Err(self.refused_head()),
            },
        }
    }

    /// The bytes of the next item, hopped over as by [`skip`](Cursor::skip).
    ///
    /// # Errors
    /// As [`skip`](Cursor::skip).
    #[inline]
    pub fn raw(&mut self) -> Result<&'a [u8]> {
        let start = self.at;
        self.skip()?;
        Ok(self.bytes.get(start..self.at).unwrap_or_default())
    }

    /// Reads the next item whole.
    ///
    /// # Errors
    /// The rule that the item breaks.
    pub fn read_value(&mut self) -> Result<Value> {
        self.value_within(0)
    }

    fn value_within(&mut self, depth: usize) -> Result<Value> {
        Ok(match self.kind()? {
            Kind::Unsigned | Kind::Negative => Value::Integer(self.read_integer()?),
            Kind::Bytes => Value::Bytes(self.read_bytes()?.to_vec()),
            Kind::Text => Value::Text(self.read_text()?.to_owned()),
            Kind::Link => Value::Link(self.read_link()?),
            Kind::Bool => Value::Bool(self.read_bool()?),
            Kind::Null => {
                self.read_null()?;
                Value::Null
            }
            Kind::Float => Value::Float(self.read_f64()?),
            Kind::List => {
                let items = self.deeper(depth)?.read_list()?;
                let mut list = Vec::with_capacity(items.min(PREALLOCATED));
                for _ in 0..items {
                    list.push(self.value_within(depth + 1)?);
                }
                Value::List(list)
            }
            Kind::Map => {
                let entries = self.deeper(depth)?.read_map()?;
                let mut keys = MapKeys::new(entries);
                let mut map = Vec::with_capacity(entries.min(PREALLOCATED));
                while let Some(key) = keys.next(self)? {
                    map.push((key.to_owned(), self.value_within(depth + 1)?));
                }
                Value::Map(Map::from_canonical(map))
            }
        })
    }

    /// Lets a list or map open inside `depth` others.
    fn deeper(&mut self, depth: usize) -> Result<&mut Cursor<'a>> {
        if depth >= MAX_DEPTH { Err(self.error(Rule::Depth)) } else { Ok(self) }
    }

    /// Reads the head of an item of the `major` type and gives its argument.
    #[inline]
    fn head(&mut self, major: u8, kind: Kind) -> Result<u64> {
        match self.bytes.get(self.at) {
            Some(&first) if first >> 5 == major => self.argument(first),
            _ => Err(self.unexpected(kind)),
        }
    }

    /// Reads the argument of the head that starts with the byte `first`, where the cursor stands.
    #[inline]
    fn argument(&mut self, first: u8) -> Result<u64> {
        let information = first & 0x1f;
        if information < 24 {
            self.at += 1;
            return Ok(u64::from(information));
        }
        self.long_argument(information)
    }

    fn long_argument(&mut self, information: u8) -> Result<u64> {
        let start = *self;
        self.at += 1;
        let (argument, least) = match information {
            24 => (u64::from(u8::from_be_bytes(self.array()?)), 24),
            25 => (u64::from(u16::from_be_bytes(self.array()?)), 1 << 8),
            26 => (u64::from(u32::from_be_bytes(self.array()?)), 1 << 16),
            27 => (u64::from_be_bytes(self.array()?), 1 << 32),
            31 => return Err(start.error(Rule::Indefinite)),
            _ => return Err(start.error(Rule::Reserved)),
        };
        if argument < least {
            return Err(start.error(Rule::NotMinimal));
        }
        Ok(argument)
    }

    /// Takes the next `length` bytes.
    #[inline]
    fn take(&mut self, length: u64) -> Result<&'a [u8]> {
        let taken = usize::try_from(length).ok().and_then(|length| self.remaining().get(..length));
        match taken {
            Some(bytes) => {
                self.at += bytes.len();
                Ok(bytes)
            }
            None => Err(self.error(Rule::End)),
        }
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        match self.remaining().first_chunk::<N>() {
            Some(bytes) => {
                self.at += N;
                Ok(*bytes)
            }
            None => Err(self.error(Rule::End)),
        }
    }

    /// A count of things that take `size` bytes each at least, held against the bytes that remain.
    #[inline]
    fn count(&self, start: Cursor<'_>, count: u64, size: usize) -> Result<usize> {
        let most = (self.bytes.len() - self.at) / size;
        match usize::try_from(count) {
            Ok(count) if count <= most => Ok(count),
            _ => Err(start.error(Rule::End)),
        }
    }

    #[cold]
    fn error(&self, rule: Rule) -> Error {
        Error { at: self.at, rule }
    }

    /// Why the next item is not the `kind` that was asked for: the rule its head breaks, if it does.
    #[cold]
    #[inline(never)]
    pub(super) fn unexpected(&self, kind: Kind) -> Error {
        self.kind().err().unwrap_or_else(|| self.error(Rule::Expected(kind)))
    }

    /// The rule that the head of the next item breaks: a tag or a simple value.
    #[cold]
    #[inline(never)]
    fn refused_head(&self) -> Error {
        let mut ahead = *self;
        let Some(&first) = self.bytes.get(self.at) else {
            return self.error(Rule::End);
        };
        if first >> 5 == TAG {
            return match ahead.argument(first) {
                Ok(_) => self.error(Rule::Tag),
                Err(error) => error,
            };
        }
        self.error(match first & 0x1f {
            25 | 26 => Rule::FloatWidth,
            28..=30 => Rule::Reserved,
            31 => Rule::Indefinite,
            _ => Rule::Simple,
        })
    }
}

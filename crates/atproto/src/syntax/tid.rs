//! Timestamp identifiers: 13 characters that sort as the moments they were made in.
//!
//! Held as the number, since a revision is compared and read as a time far more often than it is shown.

use std::fmt;
use std::str::FromStr;

/// Digits of base32-sortable, each five bits.
const DIGITS: &[u8; 32] = b"234567abcdefghijklmnopqrstuvwxyz";

/// The five bits of each ASCII digit; 0xff for what is none.
const BITS: [u8; 256] = {
    let mut bits = [0xff; 256];
    let mut index = 0;
    while index < DIGITS.len() {
        bits[DIGITS[index] as usize] = index as u8;
        index += 1;
    }
    bits
};

/// Microseconds that fit a TID: 53 bits, until the year 2255.
const MICROS: u64 = 1 << 53;
/// Clock identifiers that fit a TID: ten bits.
const CLOCKS: u16 = 1 << 10;

/// A TID: a zero bit, 53 bits of microseconds since 1970 and ten of a clock's identifier; as text 13 characters of
/// base32-sortable. (AT Protocol specification, "TID".)
///
/// Its order is the order of its text, and of time. The syntax lets the top bit be set too (a first character of
/// `c` to `j`): such a TID is read and shown as it is, as a time after the year 2255.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tid(u64);

/// Why a text or a time is not a TID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum TidError {
    /// Other than 13 characters.
    #[error("a TID has 13 characters")]
    Length,
    /// A character outside `[2-7a-z]`.
    #[error("a TID is of the characters `2` to `7` and `a` to `z`")]
    Character,
    /// The first character is after `j`: 13 characters are 65 bits, the number is 64.
    #[error("a TID starts with a character up to `j`")]
    FirstCharacter,
    /// The microseconds need more than 53 bits or the clock identifier more than ten.
    #[error("a TID holds 53 bits of microseconds and ten of a clock identifier")]
    Range,
}

impl Tid {
    /// Bytes of the text form.
    pub const TEXT_LENGTH: usize = 13;

    /// The TID of a moment, in microseconds since 1970, on the clock `clock_id`.
    ///
    /// # Errors
    /// [`TidError::Range`] for 2^53 microseconds and more, or a clock identifier of 1024 and more.
    pub fn from_micros(micros: u64, clock_id: u16) -> Result<Tid, TidError> {
        if micros >= MICROS || clock_id >= CLOCKS {
            return Err(TidError::Range);
        }
        Ok(Tid(micros << 10 | u64::from(clock_id)))
    }

    /// Reads the text form.
    ///
    /// # Errors
    /// The first rule that the text breaks.
    #[inline]
    pub fn parse(text: &str) -> Result<Tid, TidError> {
        let digits: &[u8; Tid::TEXT_LENGTH] = text.as_bytes().try_into().map_err(|_| TidError::Length)?;
        let mut value = 0_u64;
        let mut all = 0;
        for digit in digits {
            let bits = BITS[usize::from(*digit)];
            all |= bits;
            value = value << 5 | u64::from(bits & 0x1f);
        }
        if all > 0x1f {
            return Err(TidError::Character);
        }
        if BITS[usize::from(digits[0])] > 0x0f {
            return Err(TidError::FirstCharacter);
        }
        Ok(Tid(value))
    }

    /// Microseconds since 1970.
    #[inline]
    pub fn micros(self) -> u64 {
        self.0 >> 10
    }

    /// The identifier of the clock that made it: ten bits.
    pub fn clock_id(self) -> u16 {
        (self.0 & u64::from(CLOCKS - 1)) as u16
    }

    /// Writes the text form into `buffer` and gives it as text: what [`Display`](fmt::Display) shows, without
    /// an allocation.
    pub fn write_text(self, buffer: &mut [u8; Tid::TEXT_LENGTH]) -> &str {
        for (index, digit) in buffer.iter_mut().rev().enumerate() {
            *digit = DIGITS[(self.0 >> (5 * index)) as usize & 0x1f];
        }
        // The digits are ASCII: the fallback cannot be reached.
        std::str::from_utf8(buffer).unwrap_or_default()
    }
}

impl FromStr for Tid {
    type Err = TidError;

    fn from_str(text: &str) -> Result<Tid, TidError> {
        Tid::parse(text)
    }
}

impl fmt::Display for Tid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.write_text(&mut [0; Tid::TEXT_LENGTH]))
    }
}

impl fmt::Debug for Tid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tid({self})")
    }
}

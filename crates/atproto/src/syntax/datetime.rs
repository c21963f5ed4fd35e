//! Moments as text, read to nanoseconds.
//!
//! One hand-written reader serves the validated type, [`parse_time`] and [`Times`]: a frame's `time` is read
//! for every frame, so it has to be both strict and quick.

use super::checked_text;

checked_text! {
    /// A moment: `YYYY-MM-DDTHH:MM:SS`, maybe `.` and digits, then `Z` or an offset `+HH:MM` or `-HH:MM` (not
    /// `-00:00`), of a day and a time that exist, in the year 0 or later. (AT Protocol lexicon format `datetime`.)
    ///
    /// It is equal to another if the texts are equal; to compare moments, compare their [`nanos`](Datetime::nanos).
    Datetime, DatetimeError, check
}

/// Why a text is not a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum DatetimeError {
    /// The text is not of the form.
    #[error(
        "a datetime is `YYYY-MM-DDTHH:MM:SS`, maybe `.` and digits, then `Z` or an offset such as `+01:00`"
    )]
    Form,
    /// The offset `-00:00`, which says that the offset is unknown.
    #[error("a datetime's offset is not `-00:00`")]
    UnknownOffset,
    /// A month, day, hour, minute, second or offset that does not exist.
    #[error("a datetime's day or time does not exist")]
    Range,
    /// Before the year 0, once the offset is taken off.
    #[error("a datetime is in the year 0 or later")]
    BeforeYearZero,
}

impl Datetime {
    /// Nanoseconds since 1970; `None` outside of the years 1677 to 2262, which is what 64 bits hold. Digits after
    /// the ninth of a second are cut off, a leap second is the second before it.
    pub fn nanos(&self) -> Option<i64> {
        parse_time(self.as_str())
    }
}

/// Reads a [`Datetime`] straight to nanoseconds since 1970: `None` for what is not one, and outside of the years
/// 1677 to 2262.
#[inline]
pub fn parse_time(text: &str) -> Option<i64> {
    let moment = read(text.as_bytes()).ok()?;
    // The first moment that 64 bits hold lies in a whole second that they do not.
    i64::try_from(i128::from(moment.seconds) * 1_000_000_000 + i128::from(moment.nanos)).ok()
}

/// Reads moments one after the other, each as [`parse_time`] does: of one that lies in the same second as the
/// one before, as most of a stream do, only the fraction is read.
#[derive(Clone, Debug, Default)]
pub struct Times {
    /// The text of that second with its point, as `2026-07-04T14:38:08.`.
    text: [u8; 20],
    /// Its start; none before the first.
    start: Option<i64>,
}

impl Times {
    /// What [`parse_time`] gives; of bytes that are no text, nothing.
    #[inline]
    pub fn parse(&mut self, text: &[u8]) -> Option<i64> {
        let Some((second, &[hundreds @ b'0'..=b'9', tens @ b'0'..=b'9', ones @ b'0'..=b'9', b'Z'])) =
            text.split_first_chunk::<20>()
        else {
            return parse_time(std::str::from_utf8(text).ok()?);
        };
        let digit = |digit: u8| i64::from(digit - b'0');
        let fraction = (digit(hundreds) * 100 + digit(tens) * 10 + digit(ones)) * 1_000_000;
        match self.start {
            Some(start) if *second == self.text => start.checked_add(fraction),
            _ => {
                let time = parse_time(std::str::from_utf8(text).ok()?)?;
                self.start = time.checked_sub(fraction);
                self.text = *second;
                Some(time)
            }
        }
    }
}

fn check(text: &str) -> Result<(), DatetimeError> {
    read(text.as_bytes()).map(|_| ())
}

struct Moment {
    /// Whole seconds since 1970, rounded down.
    seconds: i64,
    /// Below one second.
    nanos: u32,
}

/// Midnight of 0000-01-01, in seconds since 1970.
const YEAR_ZERO: i64 = -62_167_219_200;

fn read(text: &[u8]) -> Result<Moment, DatetimeError> {
    let (fixed, mut rest) = text.split_first_chunk::<19>().ok_or(DatetimeError::Form)?;
    let &[y1, y2, y3, y4, b'-', o1, o2, b'-', d1, d2, b'T', h1, h2, b':', m1, m2, b':', s1, s2] = fixed
    else {
        return Err(DatetimeError::Form);
    };
    let [century, year, month, day, hour, minute, second] =
        numbers([[y1, y2], [y3, y4], [o1, o2], [d1, d2], [h1, h2], [m1, m2], [s1, s2]])?;
    let year = i64::from(century * 100 + year);

    let mut nanos = 0;
    if let Some(fraction) = rest.strip_prefix(b".") {
        let digits = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if digits == 0 {
            return Err(DatetimeError::Form);
        }
        for digit in fraction[..digits].iter().chain([&b'0'; 9]).take(9) {
            nanos = nanos * 10 + u32::from(digit - b'0');
        }
        rest = &fraction[digits..];
    }
    let offset = match rest {
        b"Z" => 0,
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let [hours, minutes] = numbers([[*h1, *h2], [*m1, *m2]])?;
            if hours > 23 || minutes > 59 {
                return Err(DatetimeError::Range);
            }
            let seconds = i64::from(hours) * 3600 + i64::from(minutes) * 60;
            match (sign, seconds) {
                (b'-', 0) => return Err(DatetimeError::UnknownOffset),
                (b'-', _) => -seconds,
                _ => seconds,
            }
        }
        _ => return Err(DatetimeError::Form),
    };
    let exists = hour < 24 && minute < 60 && second <= 60 && day >= 1 && day <= days_of(year, month);
    if !exists {
        return Err(DatetimeError::Range);
    }
    let time = i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second.min(59));
    let seconds = days_since_1970(year, month, day) * 86_400 + time - offset;
    if seconds < YEAR_ZERO {
        return Err(DatetimeError::BeforeYearZero);
    }
    Ok(Moment { seconds, nanos })
}

/// Numbers of two digits each. All are read before any is judged: one branch instead of one a digit.
#[inline]
fn numbers<const N: usize>(digits: [[u8; 2]; N]) -> Result<[u32; N], DatetimeError> {
    let mut all_digits = true;
    let numbers = digits.map(|pair| {
        let [tens, ones] = pair.map(|digit| digit.wrapping_sub(b'0'));
        all_digits &= (tens <= 9) & (ones <= 9);
        u32::from(tens) * 10 + u32::from(ones)
    });
    if all_digits { Ok(numbers) } else { Err(DatetimeError::Form) }
}

/// The days of a month; none, if there is no such month.
#[inline]
fn days_of(year: i64, month: u32) -> u32 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 => 28 + u32::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => 0,
    }
}

/// Days from 1970-01-01, in the Gregorian calendar taken back to the year 0.
#[inline]
fn days_since_1970(year: i64, month: u32, day: u32) -> i64 {
    // Years that start in March, so that the leap day is the last of its year.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    let day_of_year = i64::from((153 * month + 2) / 5 + day) - 1;
    // 719,468 days lie between 0000-03-01 and 1970-01-01.
    year * 365 + leap_days + day_of_year - 719_468
}

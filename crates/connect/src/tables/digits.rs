//! Digits as the whole number that a column of decimals holds.

use arrow_array::ArrowNativeTypeOp as _;
use arrow_array::types::DecimalType;
use arrow_buffer::ArrowNativeType as _;

/// The number of so many digits at most, `scale` of them after its point, that a text like `-1.50` or `12e-3`
/// tells; places that there is no room for are cut off. None where it tells none, or a larger one: however
/// long the text is, no more than these digits are counted.
pub(super) fn unscaled<T: DecimalType>(text: &str, precision: u8, scale: i8) -> Option<T::Native> {
    let (is_negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()?),
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let is_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if (whole.is_empty() && fraction.is_empty()) || !is_digits(whole) || !is_digits(fraction) {
        return None;
    }
    let digits = || whole.bytes().chain(fraction.bytes()).skip_while(|digit| *digit == b'0');
    let length = i64::try_from(digits().count()).ok()?;
    // How many places the number is to be moved up.
    let up = exponent.checked_sub(i64::try_from(fraction.len()).ok()?)?.checked_add(scale.into())?;
    let kept = length.checked_add(up)?;
    if length == 0 || kept <= 0 {
        return Some(T::Native::ZERO);
    }
    if kept > precision.into() {
        return None;
    }
    let ten = T::Native::usize_as(10);
    let mut kept = digits().chain(std::iter::repeat(b'0')).take(usize::try_from(kept).ok()?);
    let number = kept.try_fold(T::Native::ZERO, |number, digit| {
        number.mul_checked(ten)?.add_checked(T::Native::usize_as(usize::from(digit - b'0')))
    });
    let number = number.ok()?;
    if is_negative { number.neg_checked().ok() } else { Some(number) }
}

#[cfg(test)]
mod tests {
    use arrow_array::types::{Decimal128Type, Decimal256Type};

    use super::*;

    #[test]
    fn digits_are_the_number_that_they_tell() {
        let of = |text: &str, scale| unscaled::<Decimal128Type>(text, 5, scale);
        for (text, scale, expected) in [
            ("-1.10", 2, Some(-110)),
            ("+1.", 2, Some(100)),
            (".999", 2, Some(99)),
            ("12e-1", 2, Some(120)),
            ("1.5E+2", 2, Some(15_000)),
            ("-0.00", 2, Some(0)),
            ("0e99999", 2, Some(0)),
            ("1e-99999", 2, Some(0)),
            ("0.000000000000000000000000000000001", 2, Some(0)),
            ("00000000000000123", 0, Some(123)),
            ("99999", 0, Some(99_999)),
            ("100000", 0, None),
            ("1234567", -2, Some(12_345)),
            ("1e99999", 2, None),
            ("1e99999999999999999999", 2, None),
            ("", 2, None),
            (".", 2, None),
            ("-", 2, None),
            ("1e", 2, None),
            ("--1", 2, None),
            ("1.2.3", 2, None),
            ("1_000", 2, None),
            ("NaN", 2, None),
        ] {
            assert_eq!(of(text, scale), expected, "{text}");
        }
        let most = "9".repeat(76);
        assert_eq!(unscaled::<Decimal256Type>(&most, 76, 0).unwrap().to_string(), most);
    }

    #[test]
    fn numbers_of_however_many_digits_are_none() {
        for length in [39, 77, 128, 255, 256, 257, 300, 65_536, 70_000] {
            for zeros in [0, 1, 300] {
                let text = format!("{}1{}", "0".repeat(zeros), "0".repeat(length - 1));
                assert_eq!(unscaled::<Decimal128Type>(&text, 38, 0), None, "{length}");
                assert_eq!(unscaled::<Decimal128Type>(&format!("-{text}.5"), 38, 10), None, "{length}");
                let small = format!("{text}e-{}", length - 1);
                assert_eq!(unscaled::<Decimal128Type>(&small, 38, 0), Some(1), "{length}");
            }
        }
    }
}

//! Logical time: nanoseconds since 1970, UTC, and its text as the network writes it, to the millisecond.

use jiff::Timestamp;

/// Nanoseconds in a millisecond.
pub(crate) const MILLISECOND: i64 = 1_000_000;
/// Nanoseconds in a second.
pub(crate) const SECOND: i64 = 1_000 * MILLISECOND;

/// `2026-07-04T14:38:08.999Z`. Cut to the millisecond, not rounded, so that the text never lies after the time.
pub(crate) fn text(nanos: i64) -> String {
    let time = Timestamp::from_nanosecond(i128::from(whole_millis(nanos))).unwrap_or(Timestamp::UNIX_EPOCH);
    format!("{time:.3}")
}

/// The time cut to whole milliseconds.
pub(crate) fn whole_millis(nanos: i64) -> i64 {
    nanos - nanos.rem_euclid(MILLISECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_has_three_decimals_and_never_lies_after_the_time() {
        assert_eq!(text(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(text(1_783_175_888_999_999_999), "2026-07-04T14:38:08.999Z");
        assert_eq!(text(-1), "1969-12-31T23:59:59.999Z");
    }
}

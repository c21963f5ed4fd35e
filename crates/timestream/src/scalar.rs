//! A value known when the query is compiled.

/// A literal. Types that the text cannot tell apart take the type of what they meet (SEMANTICS 2.1).
#[derive(Debug, Clone, PartialEq)]
pub enum Scalar {
    /// `null`
    Null,
    /// `true`, `false`
    Bool(bool),
    /// A whole number that fits 64 signed bits.
    Int(i64),
    /// A whole number that only fits 64 unsigned bits.
    UInt(u64),
    /// A number with a point or an exponent.
    Float(f64),
    /// Text.
    Text(String),
    /// A length of time in nanoseconds, as `"1h30m"` where a duration is needed.
    Duration(i64),
    /// A moment, in nanoseconds of UTC since 1970.
    Timestamp(i64),
}

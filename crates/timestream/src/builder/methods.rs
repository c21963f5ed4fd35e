//! What a [`Timestream`] can be asked: the functions of the registry as its methods, Rust's operators, and
//! constants that it is made of.

use std::ops;

use super::Timestream;
use crate::scalar::Scalar;
use crate::syntax::{BinaryOp, UnaryOp};

/// Methods that are calls, named as the functions of the registry, whose summaries they carry.
macro_rules! calls {
    ($($summary:literal $name:ident($($arg:ident),*);)*) => {
        impl Timestream {
            $(
                #[doc = $summary]
                #[must_use]
                pub fn $name(self, $($arg: impl Into<Self>),*) -> Self {
                    self.apply(stringify!($name), [$($arg.into()),*])
                }
            )*
        }

        #[cfg(test)]
        pub(super) const CALLS: &[(&str, &str)] = &[$((stringify!($name), $summary)),*];
    };
}

calls! {
    "The points at which a condition is true." filter(condition);
    "The same points under another key." with_key(key);
    "A field of a struct, or a column of a stream." col(name);
    "The value in another type." cast(to);
    "A number made of the value, the same for equal values, for ever." hash();
    "How many values that are not null the key has had so far." count();
    "At how many points the condition was true so far." count_if();
    "The sum of the key's values so far." sum();
    "The least of the key's values so far." min();
    "The greatest of the key's values so far." max();
    "The mean of the key's values so far." mean();
    "The population variance of the key's values so far." variance();
    "The population standard deviation of the key's values so far." stddev();
    "The time of each point." time();
    "The whole seconds from one moment to another." seconds_since(since);
    "The year of a moment." year();
    "The month of a moment." month();
    "The day of a moment in its month." day();
    "The hour of a moment." hour();
    "The minute of a moment." minute();
    "The day of a moment in its week." weekday();
    "The key's first value that was not null." first();
    "The key's newest value that was not null." last();
    "The key's n-th value that was not null before its newest." lag(n);
    "The key's values that were not null, as a list." collect(max, min);
    "The points, later by a length of time." shift_by(duration);
    "The points at another, later time." shift_to(time);
    "The points at the time at which a condition is next true of their key." shift_until(predicate);
    "The whole seconds since the key's point before, or since the n-th before." seconds_since_previous(n);
    "Another stream's value, of the key that an expression gives." lookup(key);
    "Whether there is no value." is_null();
    "Whether there is a value." is_not_null();
    "The value where a condition is true, else null." if_(condition);
    "The value, or another where there is none." else_(default);
    "The value where a condition is false, else null." null_if(condition);
    "The least whole number that is not below a number." ceil();
    "The greatest whole number that is not above a number." floor();
    "The whole number nearest to a number." round();
    "Euler's number to a power." exp();
    "A number to the power of another." powf(power);
    "The square root of a number." sqrt();
    "The number, or the bound that it is beyond." clamp(min, max);
    "The greater of two values." greatest(other);
    "The lesser of two values." least(other);
    "The record of a stream's or struct's fields, and further ones." extend(fields);
    "The characters of a text from one place up to another." substring(start, end);
    "The number of items of a list, or of characters of a text." length();
    "The items of the lists in a list, one after the other." flatten();
    "The distinct items of two lists." union(other);
    "The number of characters of a text." len();
    "The text in lower case." lower();
    "The text in upper case." upper();
    "Whether a text begins with another." starts_with(start);
    "Whether a text ends with another." ends_with(end);
    "Whether a text has another in it, or a list an item." contains(part);
}

/// Methods that take any number of arguments, one at least.
macro_rules! lists {
    ($($summary:literal $name:ident($args:ident);)*) => {
        impl Timestream {
            $(
                #[doc = $summary]
                #[must_use]
                pub fn $name<T: Into<Self>>(self, $args: impl IntoIterator<Item = T>) -> Self {
                    self.apply(stringify!($name), $args.into_iter().map(Into::into))
                }
            )*
        }

        #[cfg(test)]
        pub(super) const LISTS: &[(&str, &str)] = &[$((stringify!($name), $summary)),*];
    };
}

lists! {
    "The first of several values that is not null." coalesce(others);
    "The record of some of a stream's or struct's fields." select(names);
    "The record of all but some of a stream's or struct's fields." remove(names);
}

/// Methods that are operators, named as the functions they mean.
macro_rules! operators {
    ($($summary:literal $name:ident $op:ident;)*) => {
        impl Timestream {
            $(
                #[doc = $summary]
                #[must_use]
                pub fn $name(self, other: impl Into<Self>) -> Self {
                    self.binary(BinaryOp::$op, other)
                }
            )*
        }

        #[cfg(test)]
        pub(super) const OPERATORS: &[(&str, &str)] = &[$((stringify!($name), $summary)),*];
    };
}

operators! {
    "Whether two values are equal." eq Eq;
    "Whether two values differ." ne Ne;
    "Whether the first is less than the second." lt Lt;
    "Whether the first is at most the second." le Le;
    "Whether the first is greater than the second." gt Gt;
    "Whether the first is at least the second." ge Ge;
    "Whether both are true." and And;
    "Whether one is true." or Or;
}

macro_rules! arithmetic {
    ($($op:ident $name:ident;)*) => {
        $(
            impl<T: Into<Timestream>> ops::$op<T> for Timestream {
                type Output = Self;

                fn $name(self, other: T) -> Self {
                    self.binary(BinaryOp::$op, other)
                }
            }
        )*

        #[cfg(test)]
        pub(super) const ARITHMETIC: &[&str] = &[$(stringify!($name)),*];
    };
}

arithmetic! {
    Add add;
    Sub sub;
    Mul mul;
    Div div;
    Rem rem;
}

impl ops::Neg for Timestream {
    type Output = Self;

    fn neg(self) -> Self {
        self.unary(UnaryOp::Neg)
    }
}

impl ops::Not for Timestream {
    type Output = Self;

    fn not(self) -> Self {
        self.unary(UnaryOp::Not)
    }
}

macro_rules! constants {
    ($($from:ty => $value:ident: $scalar:expr;)*) => {
        $(
            impl From<$from> for Timestream {
                fn from($value: $from) -> Self {
                    Self::constant($scalar)
                }
            }
        )*
    };
}

constants! {
    bool => value: Scalar::Bool(value);
    u32 => value: Scalar::Int(value.into());
    u64 => value: i64::try_from(value).map_or(Scalar::UInt(value), Scalar::Int);
    &str => value: Scalar::Text(value.to_owned());
    String => value: Scalar::Text(value);
}

impl From<i32> for Timestream {
    fn from(value: i32) -> Self {
        i64::from(value).into()
    }
}

impl From<i64> for Timestream {
    fn from(value: i64) -> Self {
        let size = Self::from(value.unsigned_abs());
        if value < 0 { -size } else { size }
    }
}

/// What has no literal is written as the division that gives it.
impl From<f64> for Timestream {
    fn from(value: f64) -> Self {
        let finite = |value| Self::constant(Scalar::Float(value));
        if value.is_nan() {
            finite(0.0) / finite(0.0)
        } else if value.is_sign_negative() {
            -Self::from(-value)
        } else if value.is_infinite() {
            finite(1.0) / finite(0.0)
        } else {
            finite(value)
        }
    }
}

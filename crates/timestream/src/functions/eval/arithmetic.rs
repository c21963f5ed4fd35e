//! `+ - * / %` and `neg`.
//!
//! Whole numbers run through a loop without branches that also tells whether any result left its type; only
//! then the rows are gone over again, the bad ones made null and counted.

use std::cell::Cell;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, UInt64Type};
use arrow_array::{Array, ArrayRef, ArrowPrimitiveType, PrimitiveArray};
use arrow_buffer::NullBuffer;
use arrow_schema::{ArrowError, DataType};

use super::super::{Call, Column, EvalError};
use super::{named, refused};
use crate::engine::array::{carried, retyped, with_carrier};

/// What a number can do; for each native type.
pub(super) trait Number: Copy + Default {
    /// The result, wrapped, and whether it left the type.
    fn add(self, other: Self) -> (Self, bool);
    fn sub(self, other: Self) -> (Self, bool);
    fn mul(self, other: Self) -> (Self, bool);
    fn neg(self) -> (Self, bool);
    /// None where there is no result: a whole number divided by zero.
    fn div(self, other: Self) -> Option<(Self, bool)>;
    fn rem(self, other: Self) -> Option<(Self, bool)>;
}

macro_rules! whole {
    ($($native:ty),*) => { $(impl Number for $native {
        #[inline]
        fn add(self, other: Self) -> (Self, bool) { self.overflowing_add(other) }
        #[inline]
        fn sub(self, other: Self) -> (Self, bool) { self.overflowing_sub(other) }
        #[inline]
        fn mul(self, other: Self) -> (Self, bool) { self.overflowing_mul(other) }
        #[inline]
        fn neg(self) -> (Self, bool) { self.overflowing_neg() }
        #[inline]
        fn div(self, other: Self) -> Option<(Self, bool)> { (other != 0).then(|| self.overflowing_div(other)) }
        // The least number modulo -1 is 0, though its quotient overflows.
        #[inline]
        fn rem(self, other: Self) -> Option<(Self, bool)> { (other != 0).then(|| (self.wrapping_rem(other), false)) }
    })* };
}
whole!(i8, i16, i32, i64, u8, u16, u32, u64);

macro_rules! float {
    ($($native:ty),*) => { $(impl Number for $native {
        #[inline]
        fn add(self, other: Self) -> (Self, bool) { (self + other, false) }
        #[inline]
        fn sub(self, other: Self) -> (Self, bool) { (self - other, false) }
        #[inline]
        fn mul(self, other: Self) -> (Self, bool) { (self * other, false) }
        #[inline]
        fn neg(self) -> (Self, bool) { (-self, false) }
        #[inline]
        fn div(self, other: Self) -> Option<(Self, bool)> { Some((self / other, false)) }
        #[inline]
        fn rem(self, other: Self) -> Option<(Self, bool)> { Some((self % other, false)) }
    })* };
}
float!(f32, f64);

/// `+`
///
/// # Errors
/// The arguments are not two numbers, timestamps or durations.
pub fn add(call: &Call<'_>) -> Result<Column, EvalError> {
    let run = || with_carrier!(call.data_type, T => overflowing::<T>(call, Number::add), else Err(refused(call.data_type)));
    named("add", run())
}

/// `-`
///
/// # Errors
/// The arguments are not two numbers, timestamps or durations.
pub fn sub(call: &Call<'_>) -> Result<Column, EvalError> {
    let run = || with_carrier!(call.data_type, T => overflowing::<T>(call, Number::sub), else Err(refused(call.data_type)));
    named("sub", run())
}

/// `*`
///
/// # Errors
/// The arguments are not two numbers.
pub fn mul(call: &Call<'_>) -> Result<Column, EvalError> {
    let run = || with_carrier!(call.data_type, T => overflowing::<T>(call, Number::mul), else Err(refused(call.data_type)));
    named("mul", run())
}

/// `/`: whole numbers truncate; divided by zero they are null.
///
/// # Errors
/// The arguments are not two numbers.
pub fn div(call: &Call<'_>) -> Result<Column, EvalError> {
    let run = || with_carrier!(call.data_type, T => partial::<T>(call, Number::div), else Err(refused(call.data_type)));
    named("div", run())
}

/// `%`: with the sign of the dividend; whole numbers modulo zero are null.
///
/// # Errors
/// The arguments are not two numbers.
pub fn rem(call: &Call<'_>) -> Result<Column, EvalError> {
    let run = || with_carrier!(call.data_type, T => partial::<T>(call, Number::rem), else Err(refused(call.data_type)));
    named("rem", run())
}

/// Unary `-`; of an unsigned number the result is signed (SEMANTICS 2.2).
///
/// # Errors
/// The argument is not a number or duration.
pub fn neg(call: &Call<'_>) -> Result<Column, EvalError> {
    named("neg", negated(call))
}

fn negated(call: &Call<'_>) -> Result<ArrayRef, ArrowError> {
    let values = call.array(0)?;
    if values.data_type().is_unsigned_integer() && call.data_type.is_signed_integer() {
        let wide = arrow_cast::cast(&values, &DataType::UInt64)?;
        // 2^63 has no i64, but its negative has.
        let negative = |value: u64| 0_i64.checked_sub_unsigned(value);
        let result: PrimitiveArray<Int64Type> = wide.as_primitive::<UInt64Type>().unary_opt(negative);
        count(call, result.null_count() - values.null_count());
        return arrow_cast::cast(&result, call.data_type);
    }
    with_carrier!(call.data_type, T => {
        let values = carried::<T>(&values)?;
        let pairs = values.values().iter().map(|value| Number::neg(*value));
        let (numbers, any) = collected(pairs, values.len());
        finish::<T>(call, numbers, values.nulls().cloned(), any, |row| Number::neg(values.value(row)).1)
    }, else Err(refused(call.data_type)))
}

/// Two arguments by native values: arrays of the call's length, or at most one of them constant.
enum Operands<T: ArrowPrimitiveType> {
    Both(PrimitiveArray<T>, PrimitiveArray<T>),
    Left(PrimitiveArray<T>, T::Native),
    Right(T::Native, PrimitiveArray<T>),
    /// One is a constant null.
    Null,
}

fn operands<T: ArrowPrimitiveType>(call: &Call<'_>) -> Result<Operands<T>, ArrowError> {
    let operand = |at: usize| match call.arg(at)? {
        Column::Array(values) => Ok::<_, ArrowError>((carried::<T>(values)?, false)),
        Column::Constant(value) => Ok((carried::<T>(value)?, true)),
    };
    Ok(match (operand(0)?, operand(1)?) {
        ((a, false), (b, false)) if a.len() == b.len() => Operands::Both(a, b),
        ((a, false), (b, true)) if b.len() == 1 => {
            if b.is_null(0) {
                Operands::Null
            } else {
                Operands::Left(a, b.value(0))
            }
        }
        ((a, true), (b, false)) if a.len() == 1 => {
            if a.is_null(0) {
                Operands::Null
            } else {
                Operands::Right(a.value(0), b)
            }
        }
        _ => return Err(ArrowError::InvalidArgumentError("arguments of different lengths".into())),
    })
}

/// Row by row; results that left their type are null and counted.
fn overflowing<T: ArrowPrimitiveType>(
    call: &Call<'_>,
    compute: impl Fn(T::Native, T::Native) -> (T::Native, bool),
) -> Result<ArrayRef, ArrowError> {
    match operands::<T>(call)? {
        Operands::Both(a, b) => {
            let pairs = a.values().iter().zip(b.values()).map(|(a, b)| compute(*a, *b));
            let (numbers, any) = collected(pairs, a.len());
            finish::<T>(call, numbers, NullBuffer::union(a.nulls(), b.nulls()), any, |row| {
                compute(a.value(row), b.value(row)).1
            })
        }
        Operands::Left(a, b) => {
            let (numbers, any) = collected(a.values().iter().map(|a| compute(*a, b)), a.len());
            finish::<T>(call, numbers, a.nulls().cloned(), any, |row| compute(a.value(row), b).1)
        }
        Operands::Right(a, b) => {
            let (numbers, any) = collected(b.values().iter().map(|b| compute(a, *b)), b.len());
            finish::<T>(call, numbers, b.nulls().cloned(), any, |row| compute(a, b.value(row)).1)
        }
        Operands::Null => Ok(arrow_array::new_null_array(call.data_type, call.len)),
    }
}

/// The results, wrapped, and whether any left its type, under nulls or not.
#[inline]
fn collected<N>(pairs: impl Iterator<Item = (N, bool)>, len: usize) -> (Vec<N>, bool) {
    let mut any = false;
    let mut numbers = Vec::with_capacity(len);
    numbers.extend(pairs.map(|(number, left)| {
        any |= left;
        number
    }));
    (numbers, any)
}

fn finish<T: ArrowPrimitiveType>(
    call: &Call<'_>,
    numbers: Vec<T::Native>,
    nulls: Option<NullBuffer>,
    any_left: bool,
    left: impl Fn(usize) -> bool,
) -> Result<ArrayRef, ArrowError> {
    if !any_left {
        return retyped(PrimitiveArray::<T>::try_new(numbers.into(), nulls)?, call.data_type);
    }
    let is_null = |row: usize| nulls.as_ref().is_some_and(|nulls| nulls.is_null(row));
    let valid: NullBuffer =
        (0..numbers.len()).map(|row| !is_null(row) && !left(row)).collect::<Vec<bool>>().into();
    count(call, valid.null_count() - nulls.as_ref().map_or(0, NullBuffer::null_count));
    retyped(PrimitiveArray::<T>::try_new(numbers.into(), Some(valid))?, call.data_type)
}

/// Row by row, for what has no result for some numbers.
fn partial<T: ArrowPrimitiveType>(
    call: &Call<'_>,
    compute: impl Fn(T::Native, T::Native) -> Option<(T::Native, bool)>,
) -> Result<ArrayRef, ArrowError> {
    let left = Cell::new(0);
    let within = |a: T::Native, b: T::Native| match compute(a, b) {
        Some((_, true)) => {
            left.set(left.get() + 1);
            None
        }
        other => other.map(|(number, _)| number),
    };
    let result: PrimitiveArray<T> = match operands::<T>(call)? {
        Operands::Both(a, b) => {
            let nulls = NullBuffer::union(a.nulls(), b.nulls());
            let is_valid = |row: usize| nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row));
            (0..a.len())
                .map(|row| if is_valid(row) { within(a.value(row), b.value(row)) } else { None })
                .collect()
        }
        Operands::Left(a, b) => a.unary_opt(|a| within(a, b)),
        Operands::Right(a, b) => b.unary_opt(|b| within(a, b)),
        Operands::Null => return Ok(arrow_array::new_null_array(call.data_type, call.len)),
    };
    count(call, left.get());
    retyped(result, call.data_type)
}

fn count(call: &Call<'_>, overflows: usize) {
    call.warnings.overflows.set(call.warnings.overflows.get() + overflows as u64);
}

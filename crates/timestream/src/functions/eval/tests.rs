//! The scalar functions against what the rules say of each value.

use std::sync::Arc;

use arrow_array::builder::{
    Float64Builder, Int64Builder, ListBuilder, MapBuilder, TimestampMicrosecondBuilder,
};
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, UInt64Type};
use arrow_array::{
    Array, ArrayRef, BooleanArray, Date32Array, Date64Array, Float64Array, Int8Array, Int64Array, ListArray,
    PrimitiveArray, StringArray, StructArray, Time32MillisecondArray, Time32SecondArray,
    Time64MicrosecondArray, Time64NanosecondArray, TimestampMicrosecondArray, TimestampNanosecondArray,
    UInt8Array, UInt64Array,
};
use arrow_schema::{DataType, Field};
use proptest::prelude::*;

use super::*;
use crate::functions::Warnings;

type Scalar = fn(&Call<'_>) -> Result<Column, EvalError>;

/// Calls a function; gives its values and how many overflowed and misfitted.
fn run(function: Scalar, args: &[Column], data_type: &DataType) -> (ArrayRef, u64, u64) {
    let warnings = Warnings::default();
    let len = args.iter().find_map(|arg| match arg {
        Column::Array(values) => Some(values.len()),
        Column::Constant(_) => None,
    });
    let call = Call { args, data_type, len: len.unwrap(), warnings: &warnings };
    let Column::Array(values) = function(&call).unwrap() else { panic!("an array was due") };
    assert_eq!((values.len(), values.data_type()), (call.len, data_type));
    (values, warnings.overflows.get(), warnings.casts.get())
}

fn ints(values: &[Option<i64>]) -> Column {
    Column::Array(Arc::new(Int64Array::from(values.to_vec())))
}

fn one(value: Option<i64>) -> Column {
    Column::Constant(Arc::new(Int64Array::from(vec![value])))
}

fn floats(values: &[Option<f64>]) -> Column {
    Column::Array(Arc::new(Float64Array::from(values.to_vec())))
}

fn texts(values: &[Option<&str>]) -> Column {
    Column::Array(Arc::new(StringArray::from(values.to_vec())))
}

fn bools(values: &[Option<bool>]) -> Column {
    Column::Array(Arc::new(BooleanArray::from(values.to_vec())))
}

fn as_ints(values: &ArrayRef) -> Vec<Option<i64>> {
    values.as_primitive::<Int64Type>().iter().collect()
}

fn as_bools(values: &ArrayRef) -> Vec<Option<bool>> {
    values.as_boolean().iter().collect()
}

fn as_texts(values: &ArrayRef) -> Vec<Option<&str>> {
    values.as_string::<i32>().iter().collect()
}

/// A whole-number result by the rules, in 128 bits: none is null, an error beyond 64.
fn exact(name: &str, a: i128, b: i128) -> Result<Option<i64>, ()> {
    let result = match name {
        "add" => a + b,
        "sub" => a - b,
        "mul" => a * b,
        "div" | "rem" if b == 0 => return Ok(None),
        "div" => a / b,
        _ => a % b,
    };
    i64::try_from(result).map(Some).map_err(|_| ())
}

fn number() -> impl Strategy<Value = Option<i64>> {
    prop_oneof![
        2 => Just(None),
        2 => prop::sample::select(vec![i64::MIN, i64::MIN + 1, -1, 0, 1, i64::MAX]).prop_map(Some),
        4 => any::<i32>().prop_map(|value| Some(i64::from(value))),
        2 => any::<i64>().prop_map(Some),
    ]
}

proptest! {
    #[test]
    fn whole_numbers_are_exact_or_null(pairs in prop::collection::vec((number(), number()), 0..20), constant in number()) {
        let (a, b): (Vec<_>, Vec<_>) = pairs.iter().copied().unzip();
        let functions: [(&str, Scalar); 5] = [("add", add), ("sub", sub), ("mul", mul), ("div", div), ("rem", rem)];
        for (name, function) in functions {
            let ways: [(Vec<Column>, Vec<_>, Vec<_>); 3] = [
                (vec![ints(&a), ints(&b)], a.clone(), b.clone()),
                (vec![ints(&a), one(constant)], a.clone(), vec![constant; a.len()]),
                (vec![one(constant), ints(&b)], vec![constant; b.len()], b.clone()),
            ];
            for (args, a, b) in ways {
                let mut overflows = 0;
                let expected: Vec<Option<i64>> = a.iter().zip(&b).map(|(a, b)| {
                    let result = exact(name, i128::from((*a)?), i128::from((*b)?));
                    overflows += u64::from(result.is_err());
                    result.ok().flatten()
                }).collect();
                let (values, counted, _) = run(function, &args, &DataType::Int64);
                prop_assert_eq!((name, as_ints(&values), counted), (name, expected, overflows));
            }
        }
    }

    #[test]
    fn text_is_counted_and_cased_by_character(values in prop::collection::vec(prop::option::of("[a-zA-Z ßÄé日😀]{0,6}"), 0..12), cut in 0_usize..12) {
        let array: ArrayRef = Arc::new(StringArray::from(values.clone()));
        let cut = cut.min(values.len());
        let (values, array) = (&values[cut..], array.slice(cut, values.len() - cut));
        let args = [Column::Array(array)];
        let expected: Vec<Option<i64>> = values.iter().map(|value| value.as_ref().map(|text| text.chars().count() as i64)).collect();
        prop_assert_eq!(as_ints(&run(len, &args, &DataType::Int64).0), expected);
        let cased = |to: fn(&str) -> String| values.iter().map(|value| value.as_deref().map(to)).collect::<StringArray>();
        let (small, large) = (run(lower, &args, &DataType::Utf8).0, run(upper, &args, &DataType::Utf8).0);
        prop_assert_eq!(small.as_string::<i32>(), &cased(str::to_lowercase));
        prop_assert_eq!(large.as_string::<i32>(), &cased(str::to_uppercase));
    }
}

#[test]
fn narrow_and_unsigned_numbers_keep_their_type() {
    let small = |values: Vec<i8>| Column::Array(Arc::new(Int8Array::from(values)));
    let (values, overflows, _) = run(add, &[small(vec![100, 1]), small(vec![100, 2])], &DataType::Int8);
    assert_eq!((values.as_ref(), overflows), (&Int8Array::from(vec![None, Some(3)]) as &dyn Array, 1));
    let (values, overflows, _) = run(div, &[small(vec![-128, -128]), small(vec![-1, 2])], &DataType::Int8);
    assert_eq!((values.as_ref(), overflows), (&Int8Array::from(vec![None, Some(-64)]) as &dyn Array, 1));
    let unsigned = Column::Array(Arc::new(UInt64Array::from(vec![0, u64::MAX])));
    let (values, overflows, _) = run(sub, &[unsigned.clone(), unsigned], &DataType::UInt64);
    assert_eq!((values.as_primitive::<UInt64Type>().values().to_vec(), overflows), (vec![0, 0], 0));
}

#[test]
fn neg_of_an_unsigned_is_signed() {
    let big = 1_u64 << 63;
    let values = Column::Array(Arc::new(UInt64Array::from(vec![Some(1), None, Some(big), Some(big + 1)])));
    let (values, overflows, _) = run(neg, &[values], &DataType::Int64);
    assert_eq!((as_ints(&values), overflows), (vec![Some(-1), None, Some(i64::MIN), None], 1));
    let bytes = Column::Array(Arc::new(UInt8Array::from(vec![255])));
    assert_eq!(
        run(neg, &[bytes], &DataType::Int16).0.as_ref(),
        &arrow_array::Int16Array::from(vec![-255]) as &dyn Array
    );
    let (values, overflows, _) = run(neg, &[ints(&[Some(5), Some(i64::MIN), None])], &DataType::Int64);
    assert_eq!((as_ints(&values), overflows), (vec![Some(-5), None, None], 1));
}

#[test]
fn floats_follow_ieee() {
    let (values, _, _) =
        run(div, &[floats(&[Some(1.0), Some(-1.0), None]), floats(&[Some(0.0); 3])], &DataType::Float64);
    assert_eq!(
        values.as_primitive::<Float64Type>().iter().collect::<Vec<_>>(),
        [Some(f64::INFINITY), Some(f64::NEG_INFINITY), None]
    );
    let nan = f64::NAN;
    let args = [
        floats(&[Some(-0.0), Some(nan), Some(1.0), Some(-nan), None]),
        floats(&[Some(0.0), Some(nan), Some(nan), Some(1.0), Some(nan)]),
    ];
    let compared = |function: Scalar| as_bools(&run(function, &args, &DataType::Boolean).0);
    let (yes, no) = (Some(true), Some(false));
    assert_eq!(compared(eq), [yes, no, no, no, None]);
    assert_eq!(compared(ne), [no, yes, yes, yes, None]);
    assert_eq!(compared(lt), [no, no, no, no, None]);
    assert_eq!(compared(le), [yes, no, no, no, None]);
    assert_eq!(compared(gt), [no, no, no, no, None]);
    assert_eq!(compared(ge), [yes, no, no, no, None]);
}

#[test]
fn comparisons_take_constants_text_and_structs() {
    let args = [ints(&[Some(1), Some(2), None]), one(Some(2))];
    assert_eq!(as_bools(&run(lt, &args, &DataType::Boolean).0), [Some(true), Some(false), None]);
    assert_eq!(as_bools(&run(ge, &args, &DataType::Boolean).0), [Some(false), Some(true), None]);
    assert_eq!(as_bools(&run(eq, &[one(None), ints(&[Some(1)])], &DataType::Boolean).0), [None]);
    let constant = Column::Constant(Arc::new(Float64Array::from(vec![0.5])));
    assert_eq!(
        as_bools(&run(gt, &[constant, floats(&[Some(0.25), Some(0.5)])], &DataType::Boolean).0),
        [Some(true), Some(false)]
    );
    let args = [texts(&[Some("b"), Some("a"), None]), texts(&[Some("a"), Some("ab"), Some("")])];
    assert_eq!(as_bools(&run(gt, &args, &DataType::Boolean).0), [Some(true), Some(false), None]);
    let structs = |values: Vec<Option<i64>>, valid: Vec<bool>| {
        let fields = vec![Field::new("n", DataType::Int64, true)];
        let columns: Vec<ArrayRef> = vec![Arc::new(Int64Array::from(values))];
        Column::Array(Arc::new(StructArray::new(fields.into(), columns, Some(valid.into()))))
    };
    let args = [
        structs(vec![Some(1), Some(1), Some(1)], vec![true, true, false]),
        structs(vec![Some(1), None, Some(1)], vec![true; 3]),
    ];
    assert_eq!(as_bools(&run(eq, &args, &DataType::Boolean).0), [Some(true), Some(false), None]);
    assert_eq!(as_bools(&run(ne, &args, &DataType::Boolean).0), [Some(false), Some(true), None]);
}

#[test]
fn logic_has_three_values() {
    let (yes, no) = (Some(true), Some(false));
    let args = [bools(&[yes, yes, yes, no, no, None]), bools(&[yes, no, None, no, None, None])];
    assert_eq!(as_bools(&run(and, &args, &DataType::Boolean).0), [yes, no, None, no, no, None]);
    assert_eq!(as_bools(&run(or, &args, &DataType::Boolean).0), [yes, yes, yes, no, None, None]);
    assert_eq!(as_bools(&run(not, &[bools(&[yes, no, None])], &DataType::Boolean).0), [no, yes, None]);
    assert_eq!(as_bools(&run(is_null, &[ints(&[Some(1), None])], &DataType::Boolean).0), [no, yes]);
    assert_eq!(as_bools(&run(is_not_null, &[ints(&[Some(1), None])], &DataType::Boolean).0), [yes, no]);
    let values = ints(&[Some(1), Some(2), Some(3), None]);
    assert_eq!(
        as_ints(&run(if_, &[values.clone(), bools(&[yes, no, None, yes])], &DataType::Int64).0),
        [Some(1), None, None, None]
    );
    assert_eq!(as_ints(&run(if_, &[one(Some(7)), bools(&[yes, no])], &DataType::Int64).0), [Some(7), None]);
    assert_eq!(
        as_ints(&run(else_, &[values.clone(), one(Some(9))], &DataType::Int64).0),
        [Some(1), Some(2), Some(3), Some(9)]
    );
    assert_eq!(
        as_ints(&run(else_, &[values, ints(&[None; 4])], &DataType::Int64).0),
        [Some(1), Some(2), Some(3), None]
    );
    assert_eq!(
        as_ints(&run(else_, &[one(None), ints(&[Some(1), None])], &DataType::Int64).0),
        [Some(1), None]
    );
}

#[test]
fn items_are_null_where_there_are_none() {
    let mut lists = ListBuilder::new(Int64Builder::new());
    lists.append_value([Some(9)]);
    lists.append_value([Some(1), None, Some(3)]);
    lists.append_null();
    lists.append_value([]);
    let lists: ArrayRef = Arc::new(lists.finish());
    let at = |list: ArrayRef, place: Column| {
        as_ints(&run(index, &[Column::Array(list), place], &DataType::Int64).0)
    };
    assert_eq!(at(Arc::clone(&lists), one(Some(0))), [Some(9), Some(1), None, None]);
    assert_eq!(at(lists.slice(1, 3), one(Some(2))), [Some(3), None, None]);
    assert_eq!(at(Arc::clone(&lists), one(Some(-1))), [None; 4]);
    assert_eq!(at(Arc::clone(&lists), one(None)), [None; 4]);
    assert_eq!(at(Arc::clone(&lists), ints(&[Some(i64::MAX), Some(1), Some(0), Some(0)])), [None; 4]);
    assert_eq!(at(lists, ints(&[Some(0), Some(2), Some(0), Some(0)])), [Some(9), Some(3), None, None]);
}

#[test]
fn hash_of_null_is_0() {
    let (values, _, _) = run(hash, &[texts(&[Some("en"), None])], &DataType::UInt64);
    let expected = crate::engine::hash(&StringArray::from(vec!["en"]))[0];
    assert_eq!(values.as_primitive::<UInt64Type>().iter().collect::<Vec<_>>(), [Some(expected), Some(0)]);
    assert_eq!(as_ints(&run(hash, &[texts(&[Some("en")])], &DataType::Int64).0), [Some(expected as i64)]);
}

#[test]
fn casts_count_what_does_not_fit() {
    let (values, overflows, misfits) = run(cast, &[texts(&[Some("12"), Some("x"), None])], &DataType::Int64);
    assert_eq!((as_ints(&values), overflows, misfits), (vec![Some(12), None, None], 0, 1));
    let (values, _, misfits) =
        run(cast, &[floats(&[Some(-1.9), Some(1e300), Some(f64::NAN)])], &DataType::Int64);
    assert_eq!((as_ints(&values), misfits), (vec![Some(-1), None, None], 2));
    let (values, _, misfits) = run(cast, &[ints(&[Some(300), Some(255), Some(-1)])], &DataType::UInt8);
    assert_eq!((values.as_ref(), misfits), (&UInt8Array::from(vec![None, Some(255), None]) as &dyn Array, 2));
    assert_eq!(as_texts(&run(cast, &[bools(&[Some(true), None])], &DataType::Utf8).0), [Some("true"), None]);
    let (values, _, misfits) =
        run(cast, &[texts(&[Some("2026-07-04T14:38:08.999Z"), Some("soon")])], &crate::types::timestamp());
    let time = values.as_primitive::<arrow_array::types::TimestampNanosecondType>();
    assert_eq!((time.value(0), time.is_null(1), misfits), (1_783_175_888_999_000_000, true, 1));
    let time = Column::Array(values.slice(0, 1));
    assert_eq!(
        as_texts(&run(cast, std::slice::from_ref(&time), &DataType::Utf8).0),
        [Some("2026-07-04T14:38:08.999Z")]
    );
    assert_eq!(
        as_ints(&run(cast, std::slice::from_ref(&time), &DataType::Int64).0),
        [Some(1_783_175_888_999_000_000)]
    );
    let seconds = DataType::Timestamp(arrow_schema::TimeUnit::Second, Some("Asia/Tokyo".into()));
    let seconds = Column::Array(run(cast, &[time], &seconds).0);
    let whole = run(cast, &[seconds], &crate::types::timestamp()).0;
    assert_eq!(
        whole.as_primitive::<arrow_array::types::TimestampNanosecondType>().value(0),
        1_783_175_888_000_000_000
    );
    let (values, _, misfits) =
        run(cast, &[texts(&[Some("1h30m"), Some("1 month")])], &crate::types::duration());
    assert_eq!(misfits, 1);
    assert_eq!(as_texts(&run(cast, &[Column::Array(values)], &DataType::Utf8).0), [Some("1h 30m"), None]);
}

#[test]
fn items_of_lists_are_cast_as_values_are_and_counted() {
    use arrow_schema::TimeUnit::{Microsecond, Nanosecond, Second};
    // Of a moment of 1970 and one beyond nanoseconds, a list that is null over items that no one sees.
    let items = TimestampMicrosecondArray::from(vec![1, 253_402_300_799_000_000, 253_402_300_799_000_000]);
    let items: ArrayRef = Arc::new(items);
    let list = |items: &ArrayRef| {
        let item = Arc::new(Field::new("item", items.data_type().clone(), true));
        let offsets = arrow_buffer::OffsetBuffer::from_lengths([2, 1]);
        let nulls = Some(vec![true, false].into());
        Column::Array(Arc::new(ListArray::new(item, offsets, Arc::clone(items), nulls)))
    };
    for zone in [None, Some("UTC".into()), Some("Asia/Tokyo".into())] {
        let to = DataType::Timestamp(Nanosecond, zone);
        let (values, _, misfits) = run(cast, &[list(&items)], &crate::types::list(to));
        let first = carried::<Int64Type>(&values.as_list::<i32>().value(0)).unwrap();
        assert_eq!((first.iter().collect::<Vec<_>>(), misfits), (vec![Some(1_000), None], 1));
    }
    // A zone is no other moment, whichever is left or taken.
    let zones = [None, Some("Europe/Berlin".into()), Some("UTC".into()), Some("-08:00".into())];
    for (from, to) in zones.iter().flat_map(|from| zones.iter().map(move |to| (from.clone(), to.clone()))) {
        let seconds = Int64Array::from(vec![1, 253_402_300_799, 0]);
        let seconds =
            crate::engine::array::retyped(seconds, &DataType::Timestamp(Second, from.clone())).unwrap();
        let to = crate::types::list(DataType::Timestamp(Microsecond, to));
        let (values, _, misfits) = run(cast, &[list(&seconds)], &to);
        let first = carried::<Int64Type>(&values.as_list::<i32>().value(0)).unwrap();
        assert_eq!(
            (first.values().as_ref(), misfits),
            (&[1_000_000, 253_402_300_799_000_000][..], 0),
            "{to}"
        );
    }
}

#[test]
fn decimals_are_the_nearest_floats() {
    use arrow_array::types::{Decimal64Type, Decimal128Type, Decimal256Type, DecimalType, Float32Type};
    fn check<T: DecimalType>(make: impl Fn(i128) -> T::Native) {
        let numbers = [
            1,
            -3,
            7,
            123_456_789_012_345_678,
            999_999_999_999_999_999,
            16_777_217,
            2_f64.powi(53) as i128 + 1,
        ];
        for scale in [0, 1, 2, 7, 17, 18] {
            let values = numbers.iter().map(|number| make(*number));
            let values = PrimitiveArray::<T>::from_iter_values(values);
            let values = values.with_precision_and_scale(T::MAX_PRECISION, scale).unwrap();
            let values = [Column::Array(Arc::new(values) as ArrayRef)];
            let text = |number: &i128| format!("{number}e-{scale}");
            let wide: Vec<f64> = numbers.iter().map(|number| text(number).parse().unwrap()).collect();
            let (found, _, misfits) = run(cast, &values, &DataType::Float64);
            assert_eq!(
                (found.as_primitive::<Float64Type>().values().as_ref(), misfits),
                (wide.as_slice(), 0)
            );
            let narrow: Vec<f32> = numbers.iter().map(|number| text(number).parse().unwrap()).collect();
            let (found, _, misfits) = run(cast, &values, &DataType::Float32);
            assert_eq!(
                (found.as_primitive::<Float32Type>().values().as_ref(), misfits),
                (narrow.as_slice(), 0)
            );
        }
    }
    check::<Decimal64Type>(|number| number as i64);
    check::<Decimal128Type>(|number| number);
    check::<Decimal256Type>(arrow_buffer::i256::from_i128);
    let thousands = arrow_array::Decimal128Array::from(vec![12_345_678_901_234_567]);
    let thousands = thousands.with_precision_and_scale(38, -3).unwrap();
    let (found, ..) = run(cast, &[Column::Array(Arc::new(thousands))], &DataType::Float64);
    assert_eq!(found.as_primitive::<Float64Type>().value(0), 12_345_678_901_234_567e3);
}

#[test]
fn times_beyond_nanoseconds_have_a_text() {
    use arrow_schema::TimeUnit::Second;
    let seconds = [Some(253_402_300_799), Some(-62_135_596_800), None, Some(i64::MAX)];
    let of = |to: &DataType| {
        let seconds = Int64Array::from(seconds.to_vec());
        [Column::Array(crate::engine::array::retyped(seconds, to).unwrap())]
    };
    for zone in [None, Some("Europe/Berlin".into())] {
        let (texts, _, misfits) = run(cast, &of(&DataType::Timestamp(Second, zone)), &DataType::Utf8);
        let shown = [Some("9999-12-31T23:59:59Z"), Some("0001-01-01T00:00:00Z"), None, None];
        assert_eq!((as_texts(&texts).as_slice(), misfits), (&shown[..], 1));
    }
    let (texts, _, misfits) = run(cast, &of(&DataType::Duration(Second)), &DataType::Utf8);
    assert_eq!((as_texts(&texts)[0], misfits), (Some("70389527h 59m 59s"), 0));
}

#[test]
fn numbers_of_times_are_nanoseconds_in_any_unit() {
    use arrow_schema::TimeUnit::{Microsecond, Millisecond, Nanosecond, Second};
    let nanos = ints(&[Some(2_000_000_000), None, Some(-3_000_000_000)]);
    let zone = || Some("UTC".into());
    for unit in [Second, Millisecond, Microsecond, Nanosecond] {
        for of in
            [DataType::Timestamp(unit, None), DataType::Timestamp(unit, zone()), DataType::Duration(unit)]
        {
            let whole = match of {
                DataType::Duration(_) => DataType::Duration(Nanosecond),
                _ => DataType::Timestamp(Nanosecond, None),
            };
            let (times, ..) = run(cast, std::slice::from_ref(&nanos), &whole);
            let (times, ..) = run(cast, &[Column::Array(times)], &of);
            let (back, _, lost) = run(cast, &[Column::Array(times)], &DataType::Int64);
            assert_eq!(as_ints(&back), [Some(2_000_000_000), None, Some(-3_000_000_000)], "{of}");
            assert_eq!(lost, 0);
        }
    }
}

#[test]
fn dates_are_one_type_in_either_unit() {
    let days = [Some(0), Some(-1), Some(19_782), Some(-719_162), Some(2_932_896), None];
    let texts = ["1970-01-01", "1969-12-31", "2024-02-29", "0001-01-01", "9999-12-31"];
    let narrow = Date32Array::from(days.map(|day| day.map(|day| day as i32)).to_vec());
    let wide = Date64Array::from(days.map(|day| day.map(|day: i64| day * 86_400_000)).to_vec());
    for dates in [Arc::new(narrow) as ArrayRef, Arc::new(wide)].map(Column::Array) {
        let dates = std::slice::from_ref(&dates);
        assert_eq!(as_ints(&run(cast, dates, &DataType::Int64).0), days);
        let as_floats = run(cast, dates, &DataType::Float64).0;
        assert_eq!(as_floats.as_primitive::<Float64Type>().value(3), -719_162.0);
        let shown = run(cast, dates, &DataType::Utf8).0;
        assert_eq!(as_texts(&shown)[..5], texts.map(Some));
        // What is beyond nanoseconds is none.
        let (moments, _, misfits) = run(cast, dates, &crate::types::timestamp());
        assert_eq!((moments.null_count(), misfits), (3, 2), "{moments:?}");
    }
}

#[test]
fn numbers_of_times_of_day_are_nanoseconds_in_any_unit() {
    let of_seconds: [ArrayRef; 4] = [
        Arc::new(Time32SecondArray::from(vec![3])),
        Arc::new(Time32MillisecondArray::from(vec![3_000])),
        Arc::new(Time64MicrosecondArray::from(vec![3_000_000])),
        Arc::new(Time64NanosecondArray::from(vec![3_000_000_000])),
    ];
    for time in of_seconds.map(Column::Array) {
        assert_eq!(as_ints(&run(cast, &[time], &DataType::Int64).0), [Some(3_000_000_000)]);
    }
    let beyond = Column::Array(Arc::new(Time64MicrosecondArray::from(vec![i64::MAX])));
    assert_eq!(run(cast, &[beyond], &DataType::Int64).2, 1);
}

#[test]
fn what_is_too_large_for_a_small_float_is_none_of_any_type() {
    let large = arrow_buffer::i256::from_i128(10_i128.pow(38)).checked_mul(10.into()).unwrap();
    let large = arrow_array::Decimal256Array::from(vec![large, 5.into()]);
    let large = Column::Array(Arc::new(large.with_precision_and_scale(76, 0).unwrap()));
    let (small, _, misfits) = run(cast, &[large], &DataType::Float32);
    let small = small.as_primitive::<arrow_array::types::Float32Type>();
    assert_eq!((small.is_null(0), small.value(1), misfits), (true, 5.0, 1));
}

#[test]
fn times_of_two_units_are_compared_without_loss() {
    // The last second of 9999, and one that has more digits.
    let micros = [Some(253_402_300_799_000_000), Some(1_000_000), Some(-1), None];
    let micros = TimestampMicrosecondArray::from(micros.to_vec()).with_timezone("Europe/Berlin");
    let nanos = [Some(0), Some(1_000_000_001), Some(-1), Some(0)];
    let nanos = TimestampNanosecondArray::from(nanos.to_vec());
    let args = [Column::Array(Arc::new(micros) as ArrayRef), Column::Array(Arc::new(nanos))];
    for (function, holds) in [
        (gt as Scalar, [true, false, false]),
        (ge, [true, false, false]),
        (lt, [false, true, true]),
        (le, [false, true, true]),
        (eq, [false, false, false]),
        (ne, [true, true, true]),
    ] {
        let found = run(function, &args, &DataType::Boolean).0;
        assert_eq!(as_bools(&found)[..3], holds.map(Some));
        assert!(found.is_null(3));
    }
    let seconds = run(seconds_since, &args, &DataType::Int64).0;
    assert_eq!(as_ints(&seconds), [Some(253_402_300_799), Some(0), Some(0), None]);
    let years = run(year, &args[..1], &DataType::Int64).0;
    assert_eq!(as_ints(&years), [Some(9999), Some(1970), Some(1969), None]);
}

/// Maps of one entry each.
fn maps(keys: &[f64]) -> ArrayRef {
    let mut maps = MapBuilder::new(None, Int64Builder::new(), Float64Builder::new());
    for key in keys {
        maps.keys().append_value(1);
        maps.values().append_value(*key);
        maps.append(true).unwrap();
    }
    Arc::new(maps.finish())
}

#[test]
fn maps_with_keys_in_order_are_maps() {
    let maps = maps(&[1.0, 2.0]);
    let DataType::Map(entries, _) = maps.data_type().clone() else { panic!("no map") };
    let sorted = DataType::Map(entries, true);
    let args = [Column::Array(Arc::clone(&maps))];
    let (found, ..) = run(cast, &args, &sorted);
    let args = [Column::Array(found)];
    assert_eq!(&run(cast, &args, maps.data_type()).0, &maps);
}

#[test]
fn keys_of_maps_are_found_as_they_are_compared() {
    let mut of_floats = MapBuilder::new(None, Float64Builder::new(), Int64Builder::new());
    let mut of_moments = MapBuilder::new(None, TimestampMicrosecondBuilder::new(), Int64Builder::new());
    for _ in 0..3 {
        of_floats.keys().append_slice(&[-0.0, f64::NAN, 0.5]);
        of_floats.values().append_slice(&[1, 2, 3]);
        of_floats.append(true).unwrap();
        of_moments.keys().append_slice(&[0, 1_500]);
        of_moments.values().append_slice(&[1, 2]);
        of_moments.append(true).unwrap();
    }
    let of_floats = Column::Array(Arc::new(of_floats.finish()));
    let wanted = floats(&[Some(0.0), Some(f64::NAN), Some(0.5)]);
    assert_eq!(as_ints(&run(index, &[of_floats, wanted], &DataType::Int64).0), [Some(1), None, Some(3)]);
    // A moment without a zone is one of UTC.
    let wanted = texts(&[Some("1970-01-01T00:00:00.0015Z"), Some("1970-01-01"), Some("1970-01-02")]);
    let wanted = Column::Array(run(cast, &[wanted], &crate::types::timestamp()).0);
    let of_moments = Column::Array(Arc::new(of_moments.finish()));
    assert_eq!(as_ints(&run(index, &[of_moments, wanted], &DataType::Int64).0), [Some(2), Some(1), None]);
}

#[test]
fn floats_in_maps_are_equal_and_one_key_as_they_are_alone() {
    let (one, other) = (maps(&[0.0, f64::NAN, 1.0, 1.0]), maps(&[-0.0, f64::NAN, 1.0, 2.0]));
    let equal =
        run(eq, &[Column::Array(Arc::clone(&one)), Column::Array(Arc::clone(&other))], &DataType::Boolean);
    assert_eq!(as_bools(&equal.0), [true, false, true, false].map(Some));
    let bits = |maps: &ArrayRef| {
        let keys = crate::engine::canonical(maps).unwrap();
        let values = Arc::clone(keys.as_map().values());
        values.as_primitive::<Float64Type>().values().iter().map(|value| value.to_bits()).collect::<Vec<_>>()
    };
    assert_eq!(bits(&maps(&[0.0, f64::NAN])), bits(&maps(&[-0.0, -f64::NAN])));
}

#[test]
fn literals_are_of_their_type() {
    use crate::scalar::Scalar as S;
    for (scalar, data_type, shown) in [
        (S::Null, DataType::Utf8, ""),
        (S::Null, DataType::Null, ""),
        (S::Bool(true), DataType::Boolean, "true"),
        (S::Int(-3), DataType::Float64, "-3.0"),
        (S::Int(3), DataType::UInt8, "3"),
        (S::UInt(u64::MAX), DataType::UInt64, "18446744073709551615"),
        (S::Float(0.5), DataType::Float32, "0.5"),
        (S::Text("a".into()), DataType::Utf8, "a"),
        (S::Duration(1_000_000_000), crate::types::duration(), "1s"),
        (S::Timestamp(0), crate::types::timestamp(), "1970-01-01T00:00:00Z"),
    ] {
        let value = literal(&scalar, &data_type).unwrap();
        assert_eq!((value.data_type(), value.len()), (&data_type, 1));
        let text = run(cast, &[Column::Array(value)], &DataType::Utf8).0;
        assert_eq!(as_texts(&text)[0].unwrap_or_default(), shown);
    }
    assert!(literal(&S::Int(300), &DataType::UInt8).is_err());
    assert!(literal(&S::Text("x".into()), &DataType::Int64).is_err());
}

//! Hashes, key numbers and merging.

use std::collections::HashMap;

use arrow_array::builder::{ListBuilder, StringBuilder};
use arrow_array::cast::AsArray;
use arrow_array::{
    BinaryArray, BooleanArray, Float32Array, Float64Array, Int8Array, Int32Array, Int64Array, StructArray,
    TimestampNanosecondArray, UInt16Array, UInt64Array,
};
use proptest::prelude::*;

use super::*;
use crate::engine::arena::Arena;
use crate::engine::keys::KeyIndex;
use crate::engine::merge::settle;
use crate::rows::Place;

/// The numbers are those of the reference XXH3 over bytes written out by hand from the module's table.
#[test]
fn hashes_are_fixed_for_ever() {
    let text: ArrayRef = Arc::new(StringArray::from(vec![
        Some("en"),
        None,
        Some(""),
        Some("did:plc:ewvi7nxzyoun6zhxrhs64oiz"),
    ]));
    assert_eq!(
        hash(&text).to_vec(),
        [0xce51_57ba_97e2_c43e, 0, 0x2d06_8005_38d3_94c2, 0xbcfd_7646_ee07_3589]
    );
    assert_eq!(hash(&Int64Array::from(vec![1, -1])).to_vec(), [0x2fbc_5935_64db_792e, 0x5111_c7e4_7d78_4413]);
    assert_eq!(
        hash(&BooleanArray::from(vec![false, true])).to_vec(),
        [0xc44b_dff4_074e_ecdb, 0xe12e_f9d2_eb86_ceeb]
    );
    assert_eq!(hash(&Float64Array::from(vec![1.5])).to_vec(), [0x2561_a488_9ff6_3458]);
    let fields = vec![Field::new("n", DataType::Int64, true), Field::new("t", DataType::Utf8, true)];
    let values: Vec<ArrayRef> =
        vec![Arc::new(Int64Array::from(vec![None])), Arc::new(StringArray::from(vec!["x"]))];
    let mut list = ListBuilder::new(StringBuilder::new());
    list.append_value([Some("a"), None]);
    assert_eq!(hash(&StructArray::new(fields.into(), values, None)).to_vec(), [0xaa37_761a_9128_cc0c]);
    assert_eq!(hash(&list.finish()).to_vec(), [0x354d_4cfa_daa6_d8df]);
}

#[test]
fn equal_values_have_equal_hashes_whatever_their_width() {
    let one = hash(&Int64Array::from(vec![-5])).to_vec();
    assert_eq!(hash(&Int8Array::from(vec![-5])).to_vec(), one);
    assert_eq!(hash(&Int32Array::from(vec![-5])).to_vec(), one);
    assert_eq!(hash(&TimestampNanosecondArray::from(vec![-5])).to_vec(), one);
    assert_eq!(hash(&UInt16Array::from(vec![7])), hash(&UInt64Array::from(vec![7])));
    assert_eq!(hash(&Float32Array::from(vec![-0.0])), hash(&Float64Array::from(vec![0.0])));
    assert_eq!(hash(&Float64Array::from(vec![f64::NAN])), hash(&Float64Array::from(vec![-f64::NAN])));
    assert_eq!(hash(&StringArray::from(vec!["a"])), hash(&BinaryArray::from(vec![b"a".as_slice()])));
    assert_eq!(hash(&StringArray::from(vec!["x", "a"]).slice(1, 1)), hash(&StringArray::from(vec!["a"])));
}

/// Arrays of keys of every layout, each with the same pattern of equal and null keys.
fn patterns() -> Vec<ArrayRef> {
    let numbers = vec![Some(1), None, Some(2), Some(1), None, Some(0), Some(2)];
    let text = |number: Option<i64>| number.map(|number| "key".repeat(number as usize));
    let ints: ArrayRef = Arc::new(Int64Array::from(numbers.clone()));
    let texts: ArrayRef = Arc::new(numbers.iter().map(|number| text(*number)).collect::<StringArray>());
    let mut lists = ListBuilder::new(StringBuilder::new());
    for number in &numbers {
        lists.values().append_option(text(*number));
        lists.append(number.is_some());
    }
    let fields = vec![Field::new("n", DataType::Int64, true), Field::new("t", DataType::Utf8, true)];
    let nulls = numbers.iter().map(Option::is_some).collect::<Vec<bool>>().into();
    let structs = StructArray::new(fields.into(), vec![Arc::clone(&ints), Arc::clone(&texts)], Some(nulls));
    let cast = |to| arrow_cast::cast(&ints, &to).unwrap();
    vec![
        cast(DataType::Int8),
        cast(DataType::UInt32),
        cast(DataType::Float32),
        cast(DataType::Float64),
        cast(crate::types::timestamp()),
        cast(DataType::Date32),
        arrow_cast::cast(&texts, &DataType::Binary).unwrap(),
        arrow_cast::cast(&texts, &DataType::LargeUtf8).unwrap(),
        Arc::new(lists.finish()),
        Arc::new(structs),
        ints,
        texts,
    ]
}

#[test]
fn keys_of_every_type_are_numbered_and_given_back() {
    for values in patterns() {
        let mut index = KeyIndex::new(values.data_type()).unwrap();
        let keys = Keys { hashes: hash(&values), values: Arc::clone(&values) };
        let mut numbers = Vec::new();
        index.number(&keys, &mut numbers).unwrap();
        assert_eq!(numbers, [0, 1, 2, 0, 1, 3, 2], "{}", values.data_type());
        // A second batch finds them all.
        index.number(&keys, &mut numbers).unwrap();
        assert_eq!(numbers[7..], [0, 1, 2, 0, 1, 3, 2]);
        assert_eq!(index.keys(&numbers[..7]).unwrap().to_data(), values.to_data(), "{}", values.data_type());
        let in_order = hash(&index.keys(&[0, 1, 2, 3]).unwrap());
        assert_eq!(index.hashes(), in_order.to_vec(), "{}", values.data_type());
    }
}

#[test]
fn keys_of_text_go_by_their_bytes_null_first() {
    let texts = ["same begin b", "b", "", "a\0", "a", "same begin a", "same beg", "é"];
    let mut keys: Vec<Option<&str>> = texts.iter().copied().map(Some).collect();
    keys.insert(3, None);
    let mut index = KeyIndex::new(&DataType::Utf8).unwrap();
    let number = |index: &mut KeyIndex, keys: &[Option<&str>]| {
        let values: ArrayRef = Arc::new(StringArray::from(keys.to_vec()));
        let mut numbers = Vec::new();
        index.number(&Keys { hashes: hash(&values), values }, &mut numbers).unwrap();
        numbers
    };
    let shown = |index: &KeyIndex, numbers: &[u32]| {
        let keys = index.keys(numbers).unwrap();
        keys.as_string::<i32>().iter().map(|key| key.map(str::to_owned)).collect::<Vec<_>>()
    };
    // Those of the first half are in order when the others come.
    let first = number(&mut index, &keys[..4]);
    index.in_order(first).unwrap();
    let numbers = number(&mut index, &keys);
    let mut expected: Vec<Option<String>> = keys.iter().map(|key| key.map(str::to_owned)).collect();
    expected.sort();
    let sorted = index.sorted(&numbers).unwrap();
    assert_eq!(shown(&index, &sorted), expected);
    let in_order = index.in_order(numbers).unwrap();
    assert_eq!(shown(&index, &in_order), expected);
}

#[test]
fn hashes_of_keys_are_those_of_their_values() {
    let flags: ArrayRef = Arc::new(BooleanArray::from(vec![Some(true), None, Some(false)]));
    let mut index = KeyIndex::new(flags.data_type()).unwrap();
    index.number(&Keys { hashes: hash(&flags), values: Arc::clone(&flags) }, &mut Vec::new()).unwrap();
    assert_eq!(index.hashes(), hash(&flags).to_vec());
}

#[test]
fn what_is_beyond_an_array_is_an_error() {
    let most = i32::MAX as usize;
    assert_eq!(super::super::array::ends([1, most - 1].into_iter()).unwrap().last(), Some(&i32::MAX));
    assert!(super::super::array::ends([1, most].into_iter()).is_err());
}

#[test]
fn floats_are_one_key_where_they_are_equal() {
    let values: ArrayRef = Arc::new(Float64Array::from(vec![0.0, -0.0, f64::NAN, -f64::NAN, 1.0]));
    let mut index = KeyIndex::new(&DataType::Float64).unwrap();
    let mut numbers = Vec::new();
    index.number(&Keys { hashes: hash(&values), values }, &mut numbers).unwrap();
    assert_eq!(numbers, [0, 0, 1, 1, 2]);
}

#[test]
fn keys_with_equal_hashes_stay_apart() {
    let values: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), Some("b"), None, Some("a")]));
    let mut index = KeyIndex::new(&DataType::Utf8).unwrap();
    let mut numbers = Vec::new();
    index.number(&Keys { hashes: vec![0; 4].into(), values }, &mut numbers).unwrap();
    assert_eq!(numbers, [0, 1, 2, 0]);
    // Also where they are known before a batch, and differ in any one place.
    for len in 1..=70 {
        for place in 0..len {
            let mut other = vec![b'a'; len];
            other[place] = b'b';
            let (one, other) = ("a".repeat(len), String::from_utf8(other).unwrap());
            let texts = [one.as_str(), other.as_str(), &one[1..]].repeat(20);
            let keys =
                Keys { hashes: vec![0; 60].into(), values: Arc::new(StringArray::from_iter_values(texts)) };
            let (mut index, mut numbers) = (KeyIndex::new(&DataType::Utf8).unwrap(), Vec::new());
            index.number(&keys, &mut numbers).unwrap();
            index.number(&keys, &mut numbers).unwrap();
            assert_eq!(numbers, [0, 1, 2].repeat(40), "{other}");
        }
    }
}

/// Keys with their hashes.
type Hashed = Vec<(Option<String>, u64)>;

/// Keys of which many are equal, of these lengths.
fn keyed(lengths: &'static [usize]) -> impl Strategy<Value = Hashed> {
    let text = (prop::sample::select(lengths), 0_usize..40).prop_map(|(len, number)| {
        let mut text = format!("{number:02}").repeat(len);
        text.truncate(len);
        text
    });
    let key = prop_oneof![1 => Just(None), 20 => text.prop_map(Some)];
    prop::collection::vec(key, 0..300).prop_map(|keys| {
        let hash = |key: &Option<String>| hash(&StringArray::from(vec![key.as_deref()]))[0];
        keys.into_iter().map(|key| (key.clone(), hash(&key))).collect()
    })
}

/// Three keys whose hashes are equal: as many as there are before a table grows, which is when keys are hashed anew.
fn crowded() -> impl Strategy<Value = Hashed> {
    let alike = ["a".repeat(32), format!("{}b", "a".repeat(31)), format!("b{}", "a".repeat(31))];
    let others = ["a".repeat(32), "a".repeat(33), String::new()];
    let of = |keys: [String; 3]| prop::collection::vec(prop::sample::select(keys.map(Some).to_vec()), 0..300);
    let hashed = |keys: Vec<Option<String>>| keys.into_iter().map(|key| (key, 7)).collect();
    prop_oneof![of(alike).prop_map(hashed), of(others).prop_map(hashed)]
}

/// Keys of one length, of two, of many, and of one to which others come at last.
fn keyed_alike_or_not() -> impl Strategy<Value = Hashed> {
    let late = (keyed(&[32]), keyed(&[31, 32])).prop_map(|(first, last)| [first, last].concat());
    let many = keyed(&[0, 1, 8, 31, 32, 33, 64, 65, 200]);
    prop_oneof![keyed(&[32]), keyed(&[0, 5]), keyed(&[33]), many, late, crowded()]
}

proptest! {
    #[test]
    fn keys_have_the_numbers_in_which_they_came(
        keys in keyed_alike_or_not(),
        batch in 1_usize..80,
        is_binary in any::<bool>(),
    ) {
        let data_type = if is_binary { DataType::Binary } else { DataType::Utf8 };
        let mut index = KeyIndex::new(&data_type).unwrap();
        let mut known: HashMap<Option<String>, u32> = HashMap::new();
        let mut first: Vec<Option<String>> = Vec::new();
        for batch in keys.chunks(batch) {
            let texts: ArrayRef = Arc::new(batch.iter().map(|(key, _)| key.as_deref()).collect::<StringArray>());
            let values = arrow_cast::cast(&texts, &data_type).unwrap();
            let mut numbers = Vec::new();
            index.number(&Keys { hashes: batch.iter().map(|(_, hash)| *hash).collect(), values }, &mut numbers).unwrap();
            for ((key, _), number) in batch.iter().zip(numbers) {
                let expected = *known.entry(key.clone()).or_insert_with(|| {
                    first.push(key.clone());
                    first.len() as u32 - 1
                });
                prop_assert_eq!(number, expected, "{:?}", key);
            }
        }
        prop_assert_eq!(index.len(), first.len());
        let numbers: Vec<u32> = (0..first.len() as u32).rev().collect();
        let expected: ArrayRef = Arc::new(first.into_iter().rev().collect::<StringArray>());
        let expected = arrow_cast::cast(&expected, &data_type).unwrap();
        prop_assert_eq!(&index.keys(&numbers).unwrap(), &expected);
    }
}

#[test]
fn strings_of_one_length_need_no_ends_also_after_a_blank() {
    let text = |number: u32| format!("{number:032}");
    for blank in [None, Some(0), Some(500)] {
        let mut arena = Arena::default();
        for number in 0..1_000 {
            if blank == Some(number) {
                arena.push_blank();
            } else {
                arena.push(text(number).as_bytes());
            }
        }
        assert!((32_000..=40_000).contains(&arena.memory()), "{} bytes, {blank:?}", arena.memory());
        assert_eq!(arena.len(), 1_000);
        // One of another length: all are where they were.
        arena.push(b"short");
        assert_eq!(arena.get(1_000), b"short");
        for number in (0..1_000).filter(|number| blank != Some(*number)) {
            assert_eq!(arena.get(number), text(number).as_bytes());
        }
    }
}

#[test]
fn the_null_key_leaves_no_trace_in_bytes() {
    // It came first, or between keys of one length, or of several.
    for keys in [
        vec![None, Some("aa"), Some("bb")],
        vec![Some("aa"), None, Some("bb")],
        vec![Some("aa"), Some("b"), None],
    ] {
        let values: ArrayRef = Arc::new(StringArray::from(keys.clone()));
        let (mut index, mut numbers) = (KeyIndex::new(&DataType::Utf8).unwrap(), Vec::new());
        index.number(&Keys { hashes: hash(&values), values }, &mut numbers).unwrap();
        assert_eq!(numbers, [0, 1, 2]);
        let keys_back = index.keys(&numbers).unwrap();
        assert_eq!(
            keys_back.as_string::<i32>().values().len(),
            keys.iter().flatten().map(|key| key.len()).sum::<usize>()
        );
    }
}

/// Rows at places, each keyed and with one column.
fn placed(places: &[(i64, u16, u64, Option<&'static str>)]) -> Rows {
    let keys: Vec<Option<&str>> = places.iter().map(|place| place.3).collect();
    let times: Vec<i64> = places.iter().map(|place| place.0).collect();
    let column = places.iter().map(|place| place.2 as i64).collect::<Int64Array>();
    let mut rows = rows(&times, &keys, vec![Arc::new(column)]);
    rows.places.lane = Lane::Each(places.iter().map(|place| place.1).collect());
    rows.places.ordinal = places.iter().map(|place| place.2).collect();
    rows
}

fn described(rows: &Rows) -> Vec<String> {
    let key = rows.key.as_ref().unwrap();
    assert_eq!(key.hashes, hash(&key.values));
    let options = FormatOptions::new().with_null("null");
    let keys = ArrayFormatter::try_new(&key.values, &options).unwrap();
    let column = ArrayFormatter::try_new(&rows.columns[0], &options).unwrap();
    (0..rows.len())
        .map(|row| {
            let Place { time, lane, ordinal, .. } = rows.places.at(row);
            format!("{:?} {} {}", (time, lane, ordinal), keys.value(row), column.value(row))
        })
        .collect()
}

proptest! {
    #[test]
    fn merging_is_sorting(
        places in prop::collection::vec((0_i64..4, 0_u16..3, 0_u64..4, prop::sample::select(vec![None, Some("a"), Some("b")])), 0..40),
        workers in 1_usize..5,
    ) {
        let mut sorted = places;
        sorted.sort();
        sorted.dedup();
        let whole = placed(&sorted);
        let merged = merge(divide(&whole, workers)).unwrap();
        prop_assert_eq!(described(&merged), described(&whole));
        // Batches one after another, given in the wrong order.
        let halves = vec![slice(&whole, sorted.len() / 2, sorted.len() - sorted.len() / 2), slice(&whole, 0, sorted.len() / 2)];
        prop_assert_eq!(described(&merge(halves).unwrap()), described(&whole));
    }
}

#[test]
fn merging_one_batch_is_free_and_none_is_empty() {
    let batch = placed(&[(1, 1, 1, Some("a")), (2, 1, 2, None)]);
    let empty = slice(&batch, 0, 0);
    let merged = merge(vec![empty.clone(), batch.clone(), empty.clone()]).unwrap();
    assert!(merged.places.time.ptr_eq(&batch.places.time));
    assert_eq!(merge(vec![empty.clone(), empty]).unwrap().columns.len(), 1);
    assert!(merge(vec![]).unwrap().is_empty());
    let keyless = Rows { key: None, ..batch.clone() };
    assert!(merge(vec![batch, keyless]).is_err());
}

#[test]
fn new_keys_at_one_place_are_put_in_order() {
    // Two points at one place, as a join of two re-keyings makes them; the second re-keying turns their keys around.
    let rows = placed(&[(1, 1, 1, Some("b")), (1, 1, 1, None), (1, 1, 1, Some("a")), (2, 1, 2, Some("z"))]);
    let settled = settle(rows).unwrap();
    assert_eq!(described(&settled), ["(1, 1, 1) null 1", "(1, 1, 1) a 1", "(1, 1, 1) b 1", "(2, 1, 2) z 2"]);
}

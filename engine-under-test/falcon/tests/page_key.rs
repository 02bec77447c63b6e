//! Keys sort as the values do and are read back.
//!
//! # Method
//!
//! Values are compared by a definition of their order that is written here, apart from the encoding.
//!
//! # Invariant
//!
//! The order of two keys is the order of their columns, and a key and its columns map one to one.

use std::borrow::Cow;
use std::cmp::Ordering;

use falcon::page::key::{KeyError, KeyValue, decode, encode};
use proptest::prelude::*;

fn rank(value: &KeyValue<'_>) -> u8 {
    match value {
        KeyValue::Null => 0,
        KeyValue::I64(_) => 1,
        KeyValue::U64(_) => 2,
        KeyValue::F64(_) => 3,
        KeyValue::Text(_) => 4,
        KeyValue::Bytes(_) => 5,
    }
}

/// The order that keys should have.
fn compare(one: &KeyValue<'_>, other: &KeyValue<'_>) -> Ordering {
    match (one, other) {
        (KeyValue::I64(one), KeyValue::I64(other)) => one.cmp(other),
        (KeyValue::U64(one), KeyValue::U64(other)) => one.cmp(other),
        (KeyValue::F64(one), KeyValue::F64(other)) => {
            one.partial_cmp(other).unwrap_or_else(|| one.is_nan().cmp(&other.is_nan()))
        }
        (KeyValue::Text(one), KeyValue::Text(other)) => one.as_bytes().cmp(other.as_bytes()),
        (KeyValue::Bytes(one), KeyValue::Bytes(other)) => one.cmp(other),
        _ => rank(one).cmp(&rank(other)),
    }
}

fn compare_all(one: &[KeyValue<'_>], other: &[KeyValue<'_>]) -> Ordering {
    let columns = one.iter().zip(other).map(|(one, other)| compare(one, other));
    columns.fold(Ordering::Equal, Ordering::then).then(one.len().cmp(&other.len()))
}

fn value() -> impl Strategy<Value = KeyValue<'static>> {
    let few_bytes = prop::collection::vec(prop::sample::select(vec![0u8, 1, 97, 254, 255]), 0..5);
    prop_oneof![
        Just(KeyValue::Null),
        prop_oneof![any::<i64>(), -2i64..3, Just(i64::MIN), Just(i64::MAX)].prop_map(KeyValue::I64),
        prop_oneof![any::<u64>(), 0u64..3, Just(u64::MAX)].prop_map(KeyValue::U64),
        prop_oneof![
            any::<f64>(),
            any::<u64>().prop_map(f64::from_bits),
            prop::sample::select(vec![
                0.0,
                -0.0,
                1.0,
                -1.0,
                f64::NAN,
                -f64::NAN,
                f64::INFINITY,
                f64::NEG_INFINITY,
                f64::MIN_POSITIVE,
                -f64::MIN_POSITIVE,
                5e-324,
                -5e-324,
            ]),
        ]
        .prop_map(KeyValue::F64),
        prop_oneof!["[\\x00-\\x02a-c\u{10FFFF}é]{0,6}", any::<String>()]
            .prop_map(|text| KeyValue::Text(Cow::Owned(text))),
        prop_oneof![few_bytes, prop::collection::vec(any::<u8>(), 0..20)]
            .prop_map(|bytes| KeyValue::Bytes(Cow::Owned(bytes))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 5000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn keys_sort_as_their_columns_do(
        start in prop::collection::vec(value(), 0..3),
        one in prop::collection::vec(value(), 0..3),
        other in prop::collection::vec(value(), 0..3),
    ) {
        let (one, other) = ([start.clone(), one].concat(), [start, other].concat());
        prop_assert_eq!(encode(&one).cmp(&encode(&other)), compare_all(&one, &other));
    }

    #[test]
    fn columns_are_read_back(columns in prop::collection::vec(value(), 0..5)) {
        let read = decode(&encode(&columns)).unwrap();
        prop_assert_eq!(read.len(), columns.len());
        prop_assert_eq!(compare_all(&read, &columns), Ordering::Equal);
        for (read, column) in read.iter().zip(&columns) {
            prop_assert_eq!(rank(read), rank(column));
        }
    }

    #[test]
    fn what_reads_as_a_key_is_written_back_byte_for_byte(
        tags in prop::collection::vec(prop::sample::select(vec![1u8, 0x10, 0x11, 0x12, 0x13, 0x14]), 1..3),
        noise in prop::collection::vec(prop_oneof![any::<u8>(), Just(0), Just(255), Just(0x12)], 0..30),
    ) {
        let key = [&tags[..1], &noise, &tags[1..], &noise].concat();
        if let Ok(columns) = decode(&key) {
            prop_assert_eq!(encode(&columns), key);
        }
    }
}

#[test]
fn zeros_are_one_value_and_so_are_nans() {
    let key = |value| encode(&[KeyValue::F64(value)]);
    assert_eq!(key(0.0), key(-0.0));
    assert_eq!(key(f64::NAN), key(-f64::NAN));
    assert_eq!(key(f64::NAN), key(f64::from_bits(f64::NAN.to_bits() | 77)));
}

#[test]
fn each_way_of_being_no_key_is_told() {
    for (key, error) in [
        (&[0x01, 0x77][..], KeyError::Tag { at: 1, found: 0x77 }),
        (&[0x10, 0, 0], KeyError::Ends { at: 0 }),
        (&[0x01, 0x13, b'a'], KeyError::Ends { at: 1 }),
        (&[0x14, b'a', 0], KeyError::Ends { at: 0 }),
        (&[0x14, b'a', 0, 7], KeyError::Escape { at: 3, found: 7 }),
        (&[0x13, 0xC3, 0, 0], KeyError::Text { at: 0 }),
        // -0.0, which is written as 0.0.
        (&[0x12, 0x7F, 255, 255, 255, 255, 255, 255, 255], KeyError::Number { at: 0 }),
        (&[0x12, 255, 255, 255, 255, 255, 255, 255, 255], KeyError::Number { at: 0 }),
    ] {
        assert_eq!(decode(key), Err(error), "{key:?}");
        assert!(
            error.to_string().contains("key at byte")
                || error.to_string().contains("of the key")
                || error.to_string().contains("the key ends")
        );
    }
}

#[test]
fn the_form_of_a_key_does_not_change() {
    let columns = [
        KeyValue::Null,
        KeyValue::I64(-1),
        KeyValue::U64(258),
        KeyValue::F64(1.0),
        KeyValue::Text("a\0b".into()),
        KeyValue::Bytes(Cow::Borrowed(&[0xFF])),
    ];
    let mut expected = vec![0x01, 0x10, 0x7F];
    expected.extend([0xFF; 7]);
    expected.extend([0x11, 0, 0, 0, 0, 0, 0, 1, 2]);
    expected.extend([0x12, 0xBF, 0xF0, 0, 0, 0, 0, 0, 0]);
    expected.extend([0x13, b'a', 0, 0xFF, b'b', 0, 0, 0x14, 0xFF, 0, 0]);
    assert_eq!(encode(&columns), expected);
}

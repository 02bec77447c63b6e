//! Rows are read back as they were written, and nothing else is a row.
//!
//! # Method
//!
//! Random columns are written and read; rows are then cut off and changed at every byte.
//!
//! # Invariant
//!
//! Rows and lists of columns map one to one: whatever reads as a row is written back byte for byte.

use std::borrow::Cow;

use falcon::page::key::KeyValue;
use falcon::row::{RowError, decode, encode};
use proptest::prelude::*;

fn value() -> impl Strategy<Value = KeyValue<'static>> {
    let long = prop::collection::vec(any::<u8>(), 120..300);
    prop_oneof![
        Just(KeyValue::Null),
        prop_oneof![any::<i64>(), -70i64..70, Just(i64::MIN), Just(i64::MAX)]
            .prop_map(KeyValue::I64),
        prop_oneof![any::<u64>(), 0u64..300, Just(u64::MAX)].prop_map(KeyValue::U64),
        any::<u64>().prop_map(|bits| KeyValue::F64(f64::from_bits(bits))),
        any::<String>().prop_map(|text| KeyValue::Text(Cow::Owned(text))),
        prop_oneof![prop::collection::vec(any::<u8>(), 0..20), long]
            .prop_map(|bytes| KeyValue::Bytes(Cow::Owned(bytes))),
    ]
}

/// Whether two columns are the same, bit for bit.
fn is_same(one: &KeyValue<'_>, other: &KeyValue<'_>) -> bool {
    match (one, other) {
        (KeyValue::F64(one), KeyValue::F64(other)) => one.to_bits() == other.to_bits(),
        _ => one == other,
    }
}

/// What reads as a row is that row; says whether it does.
fn check(bytes: &[u8]) -> bool {
    let columns = decode(bytes);
    if let Ok(columns) = &columns {
        assert_eq!(encode(columns), bytes, "{columns:?}");
    }
    columns.is_ok()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn columns_are_read_back(columns in prop::collection::vec(value(), 0..6)) {
        let read = decode(&encode(&columns)).expect("it was written so");
        prop_assert_eq!(read.len(), columns.len());
        for (read, column) in read.iter().zip(&columns) {
            prop_assert!(is_same(read, column), "{:?} is read as {:?}", column, read);
        }
    }

    #[test]
    fn what_reads_as_a_row_is_written_back_byte_for_byte(
        count in 0u8..5,
        noise in prop::collection::vec(prop_oneof![any::<u8>(), 0u8..6, Just(0x80)], 0..20),
    ) {
        check(&[&[count], &noise[..]].concat());
    }

    #[test]
    fn a_row_that_is_cut_off_is_none(columns in prop::collection::vec(value(), 0..4)) {
        let row = encode(&columns);
        for bytes in 0..row.len() {
            prop_assert!(decode(&row[..bytes]).is_err(), "{bytes} of {row:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_row_with_one_byte_changed_is_another_row_or_none(
        columns in prop::collection::vec(value(), 1..4),
    ) {
        let row = encode(&columns);
        for at in 0..row.len() {
            for byte in (0..=u8::MAX).filter(|byte| *byte != row[at]) {
                let mut changed = row.clone();
                changed[at] = byte;
                check(&changed);
            }
        }
    }
}

#[test]
fn each_way_of_being_no_row_is_told() {
    let (columns, signed) = ("a count of columns", "a signed number");
    let float = "the 8 bytes of a floating-point number";
    let (text, bytes) = ("a length of text", "a length of bytes");
    for (row, error) in [
        (&[][..], RowError::Ends { at: 0, expected: columns }),
        (&[1], RowError::Beyond { at: 0, expected: columns, left: 0, found: 1 }),
        (&[2, 0], RowError::Beyond { at: 0, expected: columns, left: 1, found: 2 }),
        (&[2, 1, 0], RowError::Ends { at: 3, expected: "the tag of a column" }),
        (&[1, 1], RowError::Ends { at: 2, expected: signed }),
        (&[1, 1, 0x80], RowError::Ends { at: 3, expected: signed }),
        (&[1, 1, 0x80, 0], RowError::Number { at: 2, expected: signed }),
        (&[1, 6], RowError::Tag { at: 1, found: 6 }),
        (&[1, 3, 1, 2, 3, 4, 5, 6, 7], RowError::Ends { at: 9, expected: float }),
        (&[1, 4, 2, b'a'], RowError::Beyond { at: 2, expected: text, left: 1, found: 2 }),
        (&[1, 4, 3, b'a', 0xC3, b'a'], RowError::Text { at: 4 }),
        (&[1, 5, 1], RowError::Beyond { at: 2, expected: bytes, left: 0, found: 1 }),
        (&[1, 0, 0], RowError::GoesOn { at: 2, bytes: 1 }),
    ] {
        assert_eq!(decode(row), Err(error), "{row:?}");
    }
}

#[test]
fn numbers_beyond_64_bits_are_none() {
    let mut row = vec![1, 2];
    row.extend([0xFF; 9]);
    row.push(0x01);
    let largest = decode(&row).expect("it has 64 bits");
    assert_eq!(largest, [KeyValue::U64(u64::MAX)]);
    let error = RowError::Number { at: 2, expected: "an unsigned number" };
    row[11] = 0x02;
    assert_eq!(decode(&row), Err(error), "the 65th bit");
    row[11] = 0x81;
    row.push(0x00);
    assert_eq!(decode(&row), Err(error), "an eleventh byte");
    // A length of that kind is more than there can be bytes.
    row = vec![1, 5];
    row.extend([0xFF; 9]);
    row.push(0x01);
    let expected = "a length of bytes";
    let error = RowError::Beyond { at: 2, expected, left: 0, found: u64::MAX };
    assert_eq!(decode(&row), Err(error));
}

#[test]
fn errors_name_the_place_and_what_was_expected() {
    let told = |row: &[u8]| decode(row).expect_err("it is no row").to_string();
    assert_eq!(
        told(&[1, 3]),
        "the row ends at byte 2, expected the 8 bytes of a floating-point number"
    );
    let beyond = "byte 2 of the row: expected a length of text of at most 0, found 9";
    assert_eq!(told(&[1, 4, 9]), beyond);
    let tag = "byte 1 of the row: expected the tag of a column, found 0x77";
    assert_eq!(told(&[1, 0x77]), tag);
    let number =
        "byte 2 of the row: expected an unsigned number of 64 bits, in as few bytes as it needs";
    assert_eq!(told(&[1, 2, 0x80, 0]), number);
    assert_eq!(told(&[1, 4, 1, 0xFF]), "byte 3 of the row: expected text in UTF-8");
    assert_eq!(told(&[0, 0]), "byte 1 of the row: expected its end, found 1 bytes more");
}

#[test]
fn the_form_of_a_row_does_not_change() {
    let columns = [
        KeyValue::Null,
        KeyValue::I64(-1),
        KeyValue::I64(64),
        KeyValue::U64(300),
        KeyValue::F64(-0.0),
        KeyValue::Text("a\0é".into()),
        KeyValue::Bytes(Cow::Borrowed(&[0xFF, 0])),
    ];
    let mut expected = vec![7, 0, 1, 1, 1, 0x80, 1, 2, 0xAC, 2];
    expected.extend([3, 0, 0, 0, 0, 0, 0, 0, 0x80]);
    expected.extend([4, 4, b'a', 0, 0xC3, 0xA9, 5, 2, 0xFF, 0]);
    assert_eq!(encode(&columns), expected);
    assert_eq!(encode(&[]), [0]);
    assert!(check(&[0]), "a row without columns");
}

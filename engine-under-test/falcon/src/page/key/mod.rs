//! Keys: column values in a byte form that sorts as the values do.
//!
//! # Method
//!
//! A key is its columns one after the other, each a tag and a value:
//!
//! ```text
//! null    0x01
//! i64     0x10  8 bytes, high byte first, sign bit flipped
//! u64     0x11  8 bytes, high byte first
//! f64     0x12  8 bytes, high byte first: sign bit flipped, or all bits if it was set
//! text    0x13  the UTF-8 bytes, 0x00 as 0x00 0xFF, then 0x00 0x00
//! bytes   0x14  the bytes, in the same way
//! ```
//!
//! Within a column null comes first, then the order is that of the values: numbers by value, NaN behind
//! all of them, text and bytes byte by byte, a prefix before what it begins. Columns of different
//! types sort by tag. A key that has fewer columns sorts before all that begin with it.
//!
//! # Invariant
//!
//! Every key has one form: -0.0 is written as 0.0, every NaN as the same one, and whatever reads as a key
//! is written back byte for byte.

mod decode;

pub use decode::{KeyError, decode};

use std::borrow::Cow;

const NULL: u8 = 0x01;
const I64: u8 = 0x10;
const U64: u8 = 0x11;
const F64: u8 = 0x12;
const TEXT: u8 = 0x13;
const BYTES: u8 = 0x14;

const SIGN: u64 = 1 << 63;
/// Behind a zero byte: the zero is part of the value.
const ESCAPED: u8 = 0xFF;
/// Behind a zero byte: the value ends here.
const ENDED: u8 = 0x00;

/// The value of one column of a key.
#[derive(Clone, Debug, PartialEq)]
pub enum KeyValue<'a> {
    /// No value: before all values.
    Null,
    /// A signed number.
    I64(i64),
    /// An unsigned number.
    U64(u64),
    /// A floating-point number.
    F64(f64),
    /// Text, sorted by its UTF-8 bytes.
    Text(Cow<'a, str>),
    /// Bytes.
    Bytes(Cow<'a, [u8]>),
}

/// The key of these columns.
pub fn encode(columns: &[KeyValue<'_>]) -> Vec<u8> {
    // A number takes nine bytes.
    let mut key = Vec::with_capacity(16 * columns.len());
    for column in columns {
        append(&mut key, column);
    }
    key
}

/// Appends one more column to a key.
pub fn append(key: &mut Vec<u8>, column: &KeyValue<'_>) {
    match column {
        KeyValue::Null => key.push(NULL),
        KeyValue::I64(value) => append_number(key, I64, value.cast_unsigned() ^ SIGN),
        KeyValue::U64(value) => append_number(key, U64, *value),
        KeyValue::F64(value) => append_number(key, F64, sortable_bits(*value)),
        KeyValue::Text(value) => append_escaped(key, TEXT, value.as_bytes()),
        KeyValue::Bytes(value) => append_escaped(key, BYTES, value),
    }
}

fn append_number(key: &mut Vec<u8>, tag: u8, sortable: u64) {
    key.push(tag);
    key.extend(sortable.to_be_bytes());
}

fn append_escaped(key: &mut Vec<u8>, tag: u8, value: &[u8]) {
    key.reserve(value.len() + 3);
    key.push(tag);
    // Pieces end behind a zero, or with the value.
    for piece in value.split_inclusive(|byte| *byte == 0) {
        key.extend_from_slice(piece);
        if piece.ends_with(&[0]) {
            key.push(ESCAPED);
        }
    }
    key.extend([0, ENDED]);
}

/// Bits that sort as unsigned numbers the way the values sort.
fn sortable_bits(value: f64) -> u64 {
    let bits = if value.is_nan() {
        f64::NAN.to_bits() & !SIGN
    } else if value == 0.0 {
        0
    } else {
        value.to_bits()
    };
    if bits & SIGN == 0 { bits | SIGN } else { !bits }
}

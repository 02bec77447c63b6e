//! Rows: column values in the bytes that a record holds.
//!
//! # Method
//!
//! A row is how many columns it has, and then its columns, each a tag and a value:
//!
//! ```text
//! row     column count: varint, columns
//!
//! null    0x00
//! i64     0x01  varint of the value with its sign as the lowest bit: 0, -1, 1, -2 are 0, 1, 2, 3
//! u64     0x02  varint
//! f64     0x03  8 bytes, low byte first, as they are: -0.0 and every NaN stay themselves
//! text    0x04  length in bytes: varint, the UTF-8 bytes
//! bytes   0x05  length: varint, the bytes
//!
//! varint  seven bits a byte, low ones first, the top bit set in all bytes but the last
//! ```
//!
//! A row does not sort as its values do, and is shorter for it; a key does
//! ([`page::key`](crate::page::key)).
//!
//! # Invariant
//!
//! Every row has one form, bit for bit, and whatever reads as a row is written back byte for byte.

use std::borrow::Cow;

use crate::page::key::KeyValue;
use crate::varint;

const NULL: u8 = 0x00;
const I64: u8 = 0x01;
const U64: u8 = 0x02;
const F64: u8 = 0x03;
const TEXT: u8 = 0x04;
const BYTES: u8 = 0x05;

/// The most bytes that a number takes.
const NUMBER_BYTES_MAX: usize = 10;

/// Why bytes are no row. The place is an offset in the row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RowError {
    /// The row ends too early.
    #[error("the row ends at byte {at}, expected {expected}")]
    Ends {
        /// Where.
        at: usize,
        /// What is missing.
        expected: &'static str,
    },
    /// A count or a length goes beyond the end of the row.
    #[error("byte {at} of the row: expected {expected} of at most {left}, found {found}")]
    Beyond {
        /// Where the number begins.
        at: usize,
        /// What it tells.
        expected: &'static str,
        /// How many bytes there are behind it.
        left: usize,
        /// What it is.
        found: u64,
    },
    /// A column begins with a byte that is no tag.
    #[error("byte {at} of the row: expected the tag of a column, found {found:#04x}")]
    Tag {
        /// Where.
        at: usize,
        /// The byte.
        found: u8,
    },
    /// A number is written in a form that is never written.
    #[error("byte {at} of the row: expected {expected} of 64 bits, in as few bytes as it needs")]
    Number {
        /// Where it begins.
        at: usize,
        /// What it tells.
        expected: &'static str,
    },
    /// A text is not UTF-8.
    #[error("byte {at} of the row: expected text in UTF-8")]
    Text {
        /// Where it ceases to be.
        at: usize,
    },
    /// The row goes on behind its last column.
    #[error("byte {at} of the row: expected its end, found {bytes} bytes more")]
    GoesOn {
        /// Where its columns end.
        at: usize,
        /// How many bytes follow.
        bytes: usize,
    },
}

/// The row of these columns.
pub fn encode(columns: &[KeyValue<'_>]) -> Vec<u8> {
    let mut row = Vec::with_capacity(NUMBER_BYTES_MAX + columns.iter().map(room).sum::<usize>());
    varint::append(&mut row, columns.len() as u64);
    for column in columns {
        append(&mut row, column);
    }
    row
}

/// The columns of `row`.
///
/// # Errors
///
/// If `row` is none that [`encode`] writes, with the first place that tells so.
pub fn decode(row: &[u8]) -> Result<Vec<KeyValue<'static>>, RowError> {
    let mut reader = Reader { row, at: 0 };
    // Each column has a byte at least, so a damaged count cannot ask for more memory than the row has.
    let count = reader.length("a count of columns")?;
    let mut columns = Vec::with_capacity(count);
    for _ in 0..count {
        columns.push(reader.column()?);
    }
    match row.len() - reader.at {
        0 => Ok(columns),
        bytes => Err(RowError::GoesOn { at: reader.at, bytes }),
    }
}

/// What a column takes at most.
fn room(column: &KeyValue<'_>) -> usize {
    let value = match column {
        KeyValue::Text(value) => value.len(),
        KeyValue::Bytes(value) => value.len(),
        _ => 0,
    };
    1 + NUMBER_BYTES_MAX + value
}

fn append(row: &mut Vec<u8>, column: &KeyValue<'_>) {
    match column {
        KeyValue::Null => row.push(NULL),
        KeyValue::I64(value) => {
            row.push(I64);
            varint::append(row, (value << 1 ^ value >> 63).cast_unsigned());
        }
        KeyValue::U64(value) => {
            row.push(U64);
            varint::append(row, *value);
        }
        KeyValue::F64(value) => {
            row.push(F64);
            row.extend(value.to_bits().to_le_bytes());
        }
        KeyValue::Text(value) => append_bytes(row, TEXT, value.as_bytes()),
        KeyValue::Bytes(value) => append_bytes(row, BYTES, value),
    }
}

fn append_bytes(row: &mut Vec<u8>, tag: u8, value: &[u8]) {
    row.push(tag);
    varint::append(row, value.len() as u64);
    row.extend_from_slice(value);
}

struct Reader<'a> {
    row: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn column(&mut self) -> Result<KeyValue<'static>, RowError> {
        let at = self.at;
        match self.array("the tag of a column")? {
            [NULL] => Ok(KeyValue::Null),
            [I64] => {
                let bits = self.varint("a signed number")?;
                let sign = (bits & 1).cast_signed();
                Ok(KeyValue::I64((bits >> 1).cast_signed() ^ -sign))
            }
            [U64] => Ok(KeyValue::U64(self.varint("an unsigned number")?)),
            [F64] => {
                let bytes = self.array("the 8 bytes of a floating-point number")?;
                Ok(KeyValue::F64(f64::from_bits(u64::from_le_bytes(bytes))))
            }
            [TEXT] => self.text(),
            [BYTES] => Ok(KeyValue::Bytes(Cow::Owned(self.bytes("a length of bytes")?.to_vec()))),
            [found] => Err(RowError::Tag { at, found }),
        }
    }

    fn text(&mut self) -> Result<KeyValue<'static>, RowError> {
        let bytes = self.bytes("a length of text")?;
        let from = self.at - bytes.len();
        let text = std::str::from_utf8(bytes)
            .map_err(|error| RowError::Text { at: from + error.valid_up_to() })?;
        Ok(KeyValue::Text(Cow::Owned(text.to_string())))
    }

    fn bytes(&mut self, expected: &'static str) -> Result<&'a [u8], RowError> {
        let length = self.length(expected)?;
        let value = &self.row[self.at..self.at + length];
        self.at += length;
        Ok(value)
    }

    /// A number that is at most the number of bytes behind it.
    fn length(&mut self, expected: &'static str) -> Result<usize, RowError> {
        let at = self.at;
        let found = self.varint(expected)?;
        let left = self.row.len() - self.at;
        match usize::try_from(found) {
            Ok(length) if length <= left => Ok(length),
            _ => Err(RowError::Beyond { at, expected, left, found }),
        }
    }

    fn varint(&mut self, expected: &'static str) -> Result<u64, RowError> {
        let at = self.at;
        varint::read(self.row, &mut self.at).ok_or_else(|| {
            let rest = &self.row[at..];
            let goes_on = rest.len() < NUMBER_BYTES_MAX && rest.iter().all(|byte| byte & 0x80 != 0);
            match goes_on {
                true => RowError::Ends { at: self.row.len(), expected },
                false => RowError::Number { at, expected },
            }
        })
    }

    fn array<const N: usize>(&mut self, expected: &'static str) -> Result<[u8; N], RowError> {
        let bytes = self.row[self.at..].first_chunk();
        let bytes = bytes.ok_or(RowError::Ends { at: self.row.len(), expected })?;
        self.at += N;
        Ok(*bytes)
    }
}

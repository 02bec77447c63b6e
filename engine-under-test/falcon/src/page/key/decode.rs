//! Reads the columns of a key back.
//!
//! # Method
//!
//! A key is read from its start, column by column. It may come from a damaged page, so every byte is
//! checked.
//!
//! # Invariant
//!
//! What is read as a key is one that [`encode`](super::encode) writes.

use std::borrow::Cow;

use super::{BYTES, ENDED, ESCAPED, F64, I64, KeyValue, NULL, SIGN, TEXT, U64, sortable_bits};

/// Why bytes are no key. The place is an offset in the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// A column begins with a byte that is no tag.
    #[error("a column of the key at byte {at} has tag {found:#04x}, which no type has")]
    Tag {
        /// Where.
        at: usize,
        /// The byte.
        found: u8,
    },
    /// The key ends within a column.
    #[error("the key ends within the column at byte {at}")]
    Ends {
        /// Where the column begins.
        at: usize,
    },
    /// A zero byte is followed by one that neither escapes it nor ends the value.
    #[error("byte {at} of the key is {found:#04x} behind a zero, must be 0x00 or 0xff")]
    Escape {
        /// Where.
        at: usize,
        /// The byte.
        found: u8,
    },
    /// A text is not UTF-8.
    #[error("the text of the key at byte {at} is not UTF-8")]
    Text {
        /// Where the column begins.
        at: usize,
    },
    /// A number is written in a form that is never written.
    #[error("the number of the key at byte {at} is not in its one form")]
    Number {
        /// Where the column begins.
        at: usize,
    },
}

/// The columns of `key`.
pub fn decode(key: &[u8]) -> Result<Vec<KeyValue<'static>>, KeyError> {
    let mut reader = Reader { key, at: 0 };
    let mut columns = Vec::new();
    while reader.at < key.len() {
        columns.push(reader.column()?);
    }
    Ok(columns)
}

struct Reader<'a> {
    key: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn column(&mut self) -> Result<KeyValue<'static>, KeyError> {
        let at = self.at;
        let tag = self.key[at];
        self.at += 1;
        match tag {
            NULL => Ok(KeyValue::Null),
            I64 => Ok(KeyValue::I64((self.number(at)? ^ SIGN).cast_signed())),
            U64 => Ok(KeyValue::U64(self.number(at)?)),
            F64 => self.float(at),
            TEXT => {
                let text = String::from_utf8(self.escaped(at)?);
                Ok(KeyValue::Text(Cow::Owned(text.map_err(|_| KeyError::Text { at })?)))
            }
            BYTES => Ok(KeyValue::Bytes(Cow::Owned(self.escaped(at)?))),
            found => Err(KeyError::Tag { at, found }),
        }
    }

    fn number(&mut self, column_at: usize) -> Result<u64, KeyError> {
        let bytes = self.key[self.at..].first_chunk().ok_or(KeyError::Ends { at: column_at })?;
        self.at += bytes.len();
        Ok(u64::from_be_bytes(*bytes))
    }

    fn float(&mut self, column_at: usize) -> Result<KeyValue<'static>, KeyError> {
        let sortable = self.number(column_at)?;
        let bits = if sortable & SIGN == 0 { !sortable } else { sortable & !SIGN };
        let value = f64::from_bits(bits);
        if sortable_bits(value) != sortable {
            return Err(KeyError::Number { at: column_at });
        }
        Ok(KeyValue::F64(value))
    }

    fn escaped(&mut self, column_at: usize) -> Result<Vec<u8>, KeyError> {
        let mut value = Vec::new();
        loop {
            let byte = self.byte(column_at)?;
            if byte != 0 {
                value.push(byte);
                continue;
            }
            match self.byte(column_at)? {
                ENDED => return Ok(value),
                ESCAPED => value.push(0),
                found => return Err(KeyError::Escape { at: self.at - 1, found }),
            }
        }
    }

    fn byte(&mut self, column_at: usize) -> Result<u8, KeyError> {
        let byte = *self.key.get(self.at).ok_or(KeyError::Ends { at: column_at })?;
        self.at += 1;
        Ok(byte)
    }
}

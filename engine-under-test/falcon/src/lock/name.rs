//! What can be locked.
//!
//! # Method
//!
//! A name is a table, a record of it, or a key of one of its unique indexes. The key may have no entry in
//! the index: whoever is about to insert it locks it first.
//!
//! # Invariant
//!
//! Names are independent: a lock on a table says nothing of its records but by its mode.

use std::fmt;

use super::LockMode;
use crate::TableId;
use crate::page::RecordNumber;
use crate::page::index::IndexId;

/// Bytes of a key that are shown.
const KEY_BYTES_SHOWN: usize = 16;

/// What a lock is on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LockName {
    /// A table.
    Table(TableId),
    /// A record of a table.
    Record(TableId, RecordNumber),
    /// A key of a unique index of a table, in the form that sorts.
    Key(TableId, IndexId, Box<[u8]>),
}

impl LockName {
    /// Whether this may be locked in `mode`: the intent modes tell of records, and only a table has some.
    pub fn takes(&self, mode: LockMode) -> bool {
        matches!(self, LockName::Table(_)) || matches!(mode, LockMode::Shared | LockMode::Exclusive)
    }
}

impl fmt::Display for LockName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LockName::Table(table) => table.fmt(f),
            LockName::Record(table, record) => write!(f, "record {} of {table}", record.0),
            LockName::Key(table, index, key) => {
                f.write_str("key 0x")?;
                key.iter().take(KEY_BYTES_SHOWN).try_for_each(|byte| write!(f, "{byte:02x}"))?;
                let more = if key.len() > KEY_BYTES_SHOWN { "…" } else { "" };
                write!(f, "{more} of index {} of {table}", index.0)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_in_words() {
        let table = TableId(3);
        let key = |bytes: &[u8]| LockName::Key(table, IndexId(2), bytes.into());
        assert_eq!(LockName::Table(table).to_string(), "table 3");
        assert_eq!(LockName::Record(table, RecordNumber(7)).to_string(), "record 7 of table 3");
        assert_eq!(key(&[1, 0xAB]).to_string(), "key 0x01ab of index 2 of table 3");
        let long = key(&[0; 17]).to_string();
        assert_eq!(long, format!("key 0x{}… of index 2 of table 3", "00".repeat(16)));
    }
}

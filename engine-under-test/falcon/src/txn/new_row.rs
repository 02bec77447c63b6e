//! A row that is to be written: checked, encoded, and with its keys.
//!
//! # Method
//!
//! Everything about a row that needs no lock and no page is looked at first.
//!
//! # Invariant
//!
//! A row that passes fits into the log, its section and its indexes.

use crate::db::{Engine, TableInfo};
use crate::page::index::IndexPage;
use crate::page::key::KeyValue;
use crate::{Error, Result, row};

use super::writes::{Keys, Now};

/// A row to be.
pub(super) struct NewRow {
    pub(super) now: Now,
    /// Of which of its keys there must be no other.
    pub(super) is_unique: Vec<bool>,
}

impl NewRow {
    /// Takes a row for a table.
    ///
    /// # Errors
    ///
    /// [`Error::ColumnCount`], [`Error::RowTooLong`], [`Error::KeyTooLong`].
    pub(super) fn of(engine: &Engine, table: &TableInfo, row: &[KeyValue<'_>]) -> Result<NewRow> {
        check_count(&table.spec.name, row.len(), table.spec.columns.into())?;
        let encoded = row::encode(row);
        let (bytes, bytes_max) = (encoded.len(), engine.row_bytes_max);
        if bytes > bytes_max {
            return Err(Error::RowTooLong { table: table.spec.name.clone(), bytes, bytes_max });
        }
        let (keys, is_unique) = keys_of(table, row);
        let bytes_max = IndexPage::key_bytes_max(engine.store.page_size());
        match keys.iter().map(Vec::len).find(|bytes| *bytes > bytes_max) {
            Some(bytes) => Err(Error::KeyTooLong { bytes, bytes_max }),
            None => Ok(NewRow { now: Now { row: encoded, keys }, is_unique }),
        }
    }
}

/// The keys of a row, and of which of them there must be no other.
pub(super) fn keys_of(table: &TableInfo, row: &[KeyValue<'_>]) -> (Keys, Vec<bool>) {
    table.indexes.iter().map(|index| index.key_of(row)).unzip()
}

/// Whether there are as many values as columns.
pub(super) fn check_count(name: &str, found: usize, expected: usize) -> Result<()> {
    if found == expected {
        return Ok(());
    }
    Err(Error::ColumnCount { name: name.to_string(), found, expected })
}

//! Committed rows, from pages.
//!
//! # Method
//!
//! A record's bytes are decoded, and compared with what is known of it: it has the table's columns, and an
//! entry of an index leads to a row that has the entry's key.
//!
//! # Invariant
//!
//! The caller holds a lock on what it asks for, and has not changed it: pages tell the truth about it then.

use super::Row;
use super::new_row::check_count;
use crate::db::{RecordPlace, TableInfo};
use crate::page::RecordNumber;
use crate::page::index::IndexKey;
use crate::store::Store;
use crate::{Error, Result, row, section};

/// The row of a record, if it has one.
pub(super) fn row(store: &Store, table: &TableInfo, record: RecordNumber) -> Result<Option<Row>> {
    let TableInfo { tablespace, section, .. } = *table;
    let place = RecordPlace { tablespace, section, record };
    let Some(row) = section::look(store, &table.locators, place, row::decode)? else {
        return Ok(None);
    };
    let row = row.map_err(|error| damaged(store, table, record, error.to_string()))?;
    check_count(&table.spec.name, row.len(), table.spec.columns.into())
        .map_err(|error| damaged(store, table, record, error.to_string()))?;
    Ok(Some(row))
}

/// Says that a record is asked for soon.
pub(super) fn prefetch(store: &Store, table: &TableInfo, record: RecordNumber) {
    let TableInfo { tablespace, section, .. } = *table;
    section::prefetch(store, &table.locators, RecordPlace { tablespace, section, record });
}

/// The row that an entry of an index leads to.
pub(super) fn row_at(
    store: &Store,
    table: &TableInfo,
    place: usize,
    entry: IndexKey<'_>,
) -> Result<Row> {
    let index = &table.indexes[place];
    let record = entry.record;
    if let Some(row) = row_with_key(store, table, place, entry)? {
        return Ok(row);
    }
    let what = format!("index {} leads to it by a key that it does not have", index.spec.name);
    Err(damaged(store, table, record, what))
}

/// The row of a record, if it has one and that has this key of an index.
pub(super) fn row_with_key(
    store: &Store,
    table: &TableInfo,
    place: usize,
    entry: IndexKey<'_>,
) -> Result<Option<Row>> {
    let row = row(store, table, entry.record)?;
    Ok(row.filter(|row| table.indexes[place].key_of(row).0 == entry.key))
}

/// A row that the transaction itself has written.
pub(super) fn own(encoded: &[u8]) -> Row {
    row::decode(encoded).unwrap_or_else(|error| panic!("a row of our own: {error}"))
}

fn damaged(store: &Store, table: &TableInfo, record: RecordNumber, what: String) -> Error {
    let file = store.cache().files().path(table.tablespace);
    let place = format!("record {} of table {}", record.0, table.spec.name);
    Error::Damaged { file, place, what }
}

//! Reading single rows.
//!
//! # Method
//!
//! By its number, a row is read under a lock on the record. By a key that no other row can have, the key is
//! locked first, and so is known to stay or to stay absent; then the record. By another key the table is locked,
//! and the first row of the key's range is taken.
//!
//! # Invariant
//!
//! The index is looked at when the key is locked, and not before: what was seen before may be gone.

use std::ops::Bound;

use super::fetch;
use super::table::{Index, Row, Table};
use super::transaction::{Transaction, whole_key};
use crate::Result;
use crate::lock::LockMode::{
    self, Exclusive, IntentExclusive, IntentShared, Shared, SharedIntentExclusive,
};
use crate::page::RecordNumber;
use crate::page::index::IndexKey;
use crate::page::key::KeyValue;
use crate::tree::Direction;

impl Transaction<'_> {
    /// The row of a record, if it has one. The record is locked shared.
    ///
    /// # Errors
    ///
    /// [`Error::Deadlock`](crate::Error::Deadlock), [`Error::LockTimeout`](crate::Error::LockTimeout),
    /// [`Error::Dropped`](crate::Error::Dropped), [`Error::OtherDatabase`](crate::Error::OtherDatabase),
    /// [`Error::Damaged`](crate::Error::Damaged),
    /// [`Error::Io`](crate::Error::Io) and [`Error::Stopped`](crate::Error::Stopped).
    pub fn read(&self, table: &Table, record: RecordNumber) -> Result<Option<Row>> {
        self.locks.check()?;
        self.locks.table(table.info(), IntentShared)?;
        self.locks.record(table.info(), record, Shared)?;
        self.row_now(table.info(), record)
    }

    /// The first row that has this key, which has a value for each of the index's columns, and its record's
    /// number. It is locked shared; so is the key, or the table where others may have it too.
    ///
    /// # Errors
    ///
    /// As [`Transaction::read`], and [`Error::ColumnCount`](crate::Error::ColumnCount).
    pub fn get(&self, index: &Index, key: &[KeyValue<'_>]) -> Result<Option<(RecordNumber, Row)>> {
        let (key, is_unique) = whole_key(index, key)?;
        self.look_up(index, &key, is_unique, Shared)
    }

    /// As [`Transaction::get`], and locks row and key exclusively, to change the row or to insert one with
    /// this key.
    ///
    /// # Errors
    ///
    /// As [`Transaction::get`].
    pub fn get_for_update(
        &self,
        index: &Index,
        key: &[KeyValue<'_>],
    ) -> Result<Option<(RecordNumber, Row)>> {
        let (key, is_unique) = whole_key(index, key)?;
        self.look_up(index, &key, is_unique, Exclusive)
    }

    /// As [`Transaction::get`] for each of the keys, in their order. They are looked up in the order of the
    /// index, each of them once.
    ///
    /// # Errors
    ///
    /// As [`Transaction::get`].
    pub fn get_many(
        &self,
        index: &Index,
        keys: &[Vec<KeyValue<'_>>],
    ) -> Result<Vec<Option<(RecordNumber, Row)>>> {
        let probes = keys.iter().map(|key| whole_key(index, key));
        let probes = probes.collect::<Result<Vec<_>>>()?;
        let mut order: Vec<usize> = (0..probes.len()).collect();
        order.sort_by(|one, other| probes[*one].cmp(&probes[*other]));
        let mut found = vec![None; probes.len()];
        let mut before: Option<usize> = None;
        for at in order {
            let (key, is_unique) = &probes[at];
            found[at] = match before {
                Some(before) if probes[before].0 == *key => found[before].clone(),
                _ => self.look_up(index, key, *is_unique, Shared)?,
            };
            before = Some(at);
        }
        Ok(found)
    }

    fn look_up(
        &self,
        index: &Index,
        key: &[u8],
        is_unique: bool,
        mode: LockMode,
    ) -> Result<Option<(RecordNumber, Row)>> {
        self.locks.check()?;
        let table = index.table_info();
        if is_unique {
            let intent = if mode == Shared { IntentShared } else { IntentExclusive };
            self.locks.table(table, intent)?;
            self.locks.key(table, index.info(), key, mode)?;
        } else {
            let all = if mode == Shared { Shared } else { SharedIntentExclusive };
            self.locks.table(table, all)?;
        }
        let Some(record) = self.holder(index, key)? else { return Ok(None) };
        self.locks.record(table, record, mode)?;
        let own = self.writes.table(table.id).and_then(|writes| writes.row(record)).flatten();
        let row = match own {
            Some(row) => fetch::own(row),
            None => {
                let entry = IndexKey { key, record };
                fetch::row_at(&self.engine.store, table, index.place(), entry)?
            }
        };
        Ok(Some((record, row)))
    }

    /// The first record that has this key, which is locked.
    fn holder(&self, index: &Index, key: &[u8]) -> Result<Option<RecordNumber>> {
        let writes = self.writes.table(index.table_info().id);
        let is_ours = |record| writes.is_some_and(|writes| writes.has(record));
        let mut on_pages = index.info().tree.find(key)?;
        if on_pages.is_some_and(is_ours) {
            let only = Bound::Included(key);
            let mut scan = index.info().tree.scan(only, only, Direction::Forward);
            while on_pages.is_some_and(is_ours) {
                on_pages = scan.next()?.map(|entry| entry.record);
            }
        }
        let own = writes.and_then(|writes| writes.holder(index.place(), key));
        Ok(own.into_iter().chain(on_pages).min())
    }
}

//! Reading single rows.
//!
//! # Method
//!
//! By its number, a row is read under a lock on the record. By a key that no other row can have, a shortcut or
//! the index says which record may have it. Once that is locked its row has the key or has not, and if it has,
//! the lock is as good as one on the key: nobody can take the row away or give the key to another one. Only if
//! that led nowhere is the key itself locked, so that it stays absent, and the index looked at again. By another
//! key the table is locked, and the first row of the key's range is taken.
//!
//! # Invariant
//!
//! What the index tells without a lock on the key is believed only as far as the row bears it out, whose
//! record is locked: what was seen before may be gone.

use std::ops::Bound;

use falconry_seam::{buggify, reachable};

use super::fetch;
use super::shortcuts::KeyHash;
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
    /// number. It is locked shared; so is the key if there is no such row, or the table where others may have
    /// the key too.
    ///
    /// # Errors
    ///
    /// As [`Transaction::read`], and [`Error::ColumnCount`](crate::Error::ColumnCount).
    pub fn get(&self, index: &Index, key: &[KeyValue<'_>]) -> Result<Option<(RecordNumber, Row)>> {
        let (key, is_unique) = whole_key(index, key)?;
        self.look_up(index, &key, is_unique, Shared)
    }

    /// As [`Transaction::get`], and locks the row exclusively, to change it, or else the key, to insert a row
    /// with it.
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
            let hash = KeyHash::of(table.tablespace, index.info().id, key);
            self.engine.shortcuts.prefetch(hash);
            let intent = if mode == Shared { IntentShared } else { IntentExclusive };
            self.locks.table(table, intent)?;
            if let Some(found) = self.look_at_record(index, key, hash, mode)? {
                return Ok(Some(found));
            }
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

    /// The row that has this unique key, by way of its record alone; none when that cannot be told so.
    fn look_at_record(
        &self,
        index: &Index,
        key: &[u8],
        hash: KeyHash,
        mode: LockMode,
    ) -> Result<Option<(RecordNumber, Row)>> {
        let table = index.table_info();
        let shortcuts = &self.engine.shortcuts;
        // Among own writes the index and its keys tell more than a shortcut.
        let goes_by_index =
            self.writes.table(table.id).is_some() || buggify!("txn/no shortcut is taken", 300_000);
        let shortcut = shortcuts.get(hash).filter(|_| !goes_by_index);
        if let Some(record) = shortcut {
            fetch::prefetch(&self.engine.store, table, record);
            self.locks.record(table, record, mode)?;
            let entry = IndexKey { key, record };
            let row = fetch::row_with_key(&self.engine.store, table, index.place(), entry)?;
            if let Some(row) = row {
                return Ok(Some((record, row)));
            }
            reachable!("txn/a shortcut leads nowhere");
        }
        let Some(record) = self.holder(index, key)? else { return Ok(None) };
        self.locks.record(table, record, mode)?;
        let own = self.writes.table(table.id).and_then(|writes| writes.row(record)).flatten();
        let row = match own {
            Some(row) => Some(fetch::own(row)),
            None => {
                let entry = IndexKey { key, record };
                fetch::row_with_key(&self.engine.store, table, index.place(), entry)?
            }
        };
        match row {
            Some(_) if own.is_none() => shortcuts.put(hash, record),
            Some(_) => {}
            None => reachable!("txn/a key went before its record was locked"),
        }
        Ok(row.map(|row| (record, row)))
    }

    /// The first record that has this key, which is locked or will be borne out.
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

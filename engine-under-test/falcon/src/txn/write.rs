//! Inserting, updating and deleting rows.
//!
//! # Method
//!
//! A statement looks at its row, locks the table, the record and the keys that come or go, and looks for
//! other rows with the new keys, among its own writes and on pages. What it changes is in memory only, and
//! comes last: a statement that fails has changed nothing.
//!
//! A new row gets a number that is free. Which ones are is found out before the first lock for a write to a
//! table: so long as nobody has looked, nobody can be about to delete a row there.
//!
//! # Invariant
//!
//! A row is changed under an exclusive lock on its record, a unique key comes or goes under one on the key.

use std::sync::Arc;

use falconry_seam::sync::{MutexGuard, PoisonError};
use falconry_seam::{buggify, reachable};

use super::new_row::{NewRow, keys_of};
use super::table::{Row, Table};
use super::transaction::Transaction;
use super::writes::{Keys, Now};
use super::{commit, fetch};
use crate::db::{Engine, Numbers, TableInfo};
use crate::lock::LockMode::{Exclusive, IntentExclusive};
use crate::page::RecordNumber;
use crate::page::key::KeyValue;
use crate::{Error, Result, TableId, section};

impl Transaction<'_> {
    /// Inserts a row, and returns the number of its record.
    ///
    /// # Errors
    ///
    /// [`Error::ColumnCount`], [`Error::RowTooLong`], [`Error::KeyTooLong`], [`Error::TooLong`] and
    /// [`Error::Duplicate`]; [`Error::Deadlock`], [`Error::LockTimeout`], [`Error::Dropped`],
    /// [`Error::OtherDatabase`];
    /// [`Error::Damaged`], [`Error::Io`] and [`Error::Stopped`]. The row is not there.
    pub fn insert(&mut self, table: &Table, row: &[KeyValue<'_>]) -> Result<RecordNumber> {
        self.locks.check()?;
        let info = table.info();
        let NewRow { now, is_unique } = NewRow::of(self.engine, info, row)?;
        commit::check_change(self.engine, now.row.len(), &[])?;
        self.lock_for_write(info)?;
        for (place, _) in is_unique.iter().enumerate().filter(|(_, is_unique)| **is_unique) {
            self.claim(info, place, &now.keys[place], None)?;
        }
        let spare = self.writes.take_spare(info.id);
        let record = spare.map_or_else(|| new_number(self.engine, info), Ok)?;
        if let Err(error) = self.locks.record(info, record, Exclusive) {
            numbers(info).give_back(record);
            return Err(error);
        }
        self.writes.change(info, record, None, Some(now));
        Ok(record)
    }

    /// Replaces the row of a record; returns whether it had one.
    ///
    /// # Errors
    ///
    /// As [`Transaction::insert`]. The row is as it was.
    pub fn update(
        &mut self,
        table: &Table,
        record: RecordNumber,
        row: &[KeyValue<'_>],
    ) -> Result<bool> {
        self.locks.check()?;
        let info = table.info();
        let NewRow { now, is_unique } = NewRow::of(self.engine, info, row)?;
        let Some((old_keys, was_unique)) = self.lock_row(info, record)? else { return Ok(false) };
        commit::check_change(self.engine, now.row.len(), &old_keys)?;
        for (place, (old, new)) in old_keys.iter().zip(&now.keys).enumerate() {
            if old == new {
                continue;
            }
            if was_unique[place] {
                self.locks.key(info, &info.indexes[place], old, Exclusive)?;
            }
            if is_unique[place] {
                self.claim(info, place, new, Some(record))?;
            }
        }
        self.writes.change(info, record, Some(old_keys), Some(now));
        Ok(true)
    }

    /// Deletes the row of a record; returns whether it had one.
    ///
    /// # Errors
    ///
    /// [`Error::TooLong`], [`Error::Deadlock`], [`Error::LockTimeout`], [`Error::Dropped`],
    /// [`Error::OtherDatabase`],
    /// [`Error::Damaged`], [`Error::Io`] and [`Error::Stopped`]. The row is there as before.
    pub fn delete(&mut self, table: &Table, record: RecordNumber) -> Result<bool> {
        self.locks.check()?;
        let info = table.info();
        let Some((old_keys, was_unique)) = self.lock_row(info, record)? else { return Ok(false) };
        commit::check_change(self.engine, 0, &old_keys)?;
        for (place, key) in old_keys.iter().enumerate().filter(|(place, _)| was_unique[*place]) {
            self.locks.key(info, &info.indexes[place], key, Exclusive)?;
        }
        self.writes.change(info, record, Some(old_keys), None::<Now>);
        Ok(true)
    }

    /// Locks a record to change it: the keys of its row, and which of them are unique, if it has a row.
    fn lock_row(
        &self,
        table: &Arc<TableInfo>,
        record: RecordNumber,
    ) -> Result<Option<(Keys, Vec<bool>)>> {
        self.lock_for_write(table)?;
        self.locks.record(table, record, Exclusive)?;
        let row = self.row_now(table, record)?;
        Ok(row.map(|row| keys_of(table, &row)))
    }

    fn lock_for_write(&self, table: &Arc<TableInfo>) -> Result<()> {
        // Numbers of a table of another database are to be found there.
        self.locks.held(table)?;
        drop(known_numbers(self.engine, table)?);
        self.locks.table(table, IntentExclusive)
    }

    /// Locks a key that a row is to get, and looks whether another one has it; `own` is to lose the key
    /// that it has.
    fn claim(
        &self,
        table: &Arc<TableInfo>,
        place: usize,
        key: &[u8],
        own: Option<RecordNumber>,
    ) -> Result<()> {
        let index = &table.indexes[place];
        self.locks.key(table, index, key, Exclusive)?;
        let duplicate =
            || Error::Duplicate { table: table.spec.name.clone(), index: index.spec.name.clone() };
        let writes = self.writes.table(table.id);
        let holder = writes.and_then(|writes| writes.holder(place, key));
        if holder.is_some_and(|holder| own != Some(holder)) {
            reachable!("txn/a duplicate among own writes");
            return Err(duplicate());
        }
        let on_pages = index.tree.find(key)?;
        let is_ours = |record| writes.is_some_and(|writes| writes.has(record));
        if on_pages.is_some_and(|holder| own != Some(holder) && !is_ours(holder)) {
            reachable!("txn/a duplicate on pages");
            return Err(duplicate());
        }
        Ok(())
    }

    /// The row of a record, which is locked, as the transaction sees it.
    pub(super) fn row_now(
        &self,
        table: &Arc<TableInfo>,
        record: RecordNumber,
    ) -> Result<Option<Row>> {
        let own = self.writes.table(table.id).and_then(|writes| writes.row(record));
        match own {
            Some(row) => Ok(row.map(fetch::own)),
            None => fetch::row(&self.engine.store, table, record),
        }
    }
}

/// Numbers that are left out at a time, where rare paths are wanted: more than a section of the smallest pages has
/// in its first level.
const LEFT_OUT: u64 = 60_000;

/// A number for a new row of a table.
///
/// # Errors
///
/// [`Error::Damaged`] and [`Error::Io`], when the table's pages are looked at for the first time.
pub(crate) fn new_number(engine: &Engine, table: &TableInfo) -> Result<RecordNumber> {
    Ok(known_numbers(engine, table)?.take())
}

/// Looks which numbers of a table are free, unless that is known: before a row of it is deleted.
///
/// # Errors
///
/// As [`new_number`].
pub(crate) fn look_for_numbers(engine: &Engine, table: &TableInfo) -> Result<()> {
    known_numbers(engine, table).map(drop)
}

fn known_numbers<'t>(engine: &Engine, table: &'t TableInfo) -> Result<MutexGuard<'t, Numbers>> {
    let mut numbers = numbers(table);
    table.check_there()?;
    if !numbers.is_known() {
        let TableInfo { tablespace, section, .. } = *table;
        let (mut next, free) = section::numbers(&engine.store, tablespace, section)?;
        // Numbers that are left out make a section as deep as one with so many rows; the next look finds them.
        if table.id != TableId::CATALOGUE && buggify!("txn/numbers are left out", 50_000) {
            next.0 += LEFT_OUT;
        }
        numbers.know(next, free);
    }
    Ok(numbers)
}

fn numbers(table: &TableInfo) -> MutexGuard<'_, Numbers> {
    table.numbers.lock().unwrap_or_else(PoisonError::into_inner)
}

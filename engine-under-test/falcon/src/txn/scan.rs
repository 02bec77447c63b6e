//! All rows of a table, by their records' numbers.
//!
//! # Method
//!
//! As a [`Range`](super::Range) does with keys, this merges the records on pages, without those that the
//! transaction has changed, and the rows that it has written.
//!
//! # Invariant
//!
//! The transaction writes nothing while the scan is there: the scan borrows it.

use std::fmt;
use std::sync::Arc;

use falconry_seam::reachable;

use super::fetch;
use super::locks::Locks;
use super::table::{Row, Table};
use super::transaction::Transaction;
use super::writes::TableWrites;
use crate::db::{RecordPlace, TableInfo};
use crate::lock::LockMode::Shared;
use crate::page::RecordNumber;
use crate::store::Store;
use crate::{Result, section};

/// The rows of a table. After an error there are no more.
pub struct Scan<'t> {
    store: &'t Store,
    locks: &'t Locks<'t>,
    table: Arc<TableInfo>,
    writes: Option<&'t TableWrites>,
    /// Where the search for the next row begins; none when all numbers were seen.
    from: Option<RecordNumber>,
    /// The next record on pages, if it is known.
    on_pages: Option<RecordNumber>,
}

impl Transaction<'_> {
    /// All rows of a table, by their records' numbers, from the lowest. The table is locked shared.
    ///
    /// # Errors
    ///
    /// As [`Transaction::read`], and so are the items of the scan.
    pub fn scan(&self, table: &Table) -> Result<Scan<'_>> {
        self.locks.check()?;
        self.locks.table(table.info(), Shared)?;
        Ok(Scan {
            store: &self.engine.store,
            locks: &self.locks,
            table: Arc::clone(table.info()),
            writes: self.writes.table(table.info().id),
            from: Some(RecordNumber(0)),
            on_pages: None,
        })
    }
}

impl Scan<'_> {
    fn step(&mut self) -> Result<Option<(RecordNumber, Row)>> {
        self.locks.check()?;
        let Some(from) = self.from.take() else { return Ok(None) };
        let own = self.writes.and_then(|writes| writes.next_row(from));
        let on_pages = self.look(from)?;
        let Some(record) = own.into_iter().chain(on_pages).min() else { return Ok(None) };
        self.from = record.0.checked_add(1).map(RecordNumber);
        if own == Some(record) {
            reachable!("txn/an own row in a scan");
            let row = self.writes.and_then(|writes| writes.row(record)).flatten();
            return Ok(row.map(|row| (record, fetch::own(row))));
        }
        self.on_pages = None;
        match fetch::row(self.store, &self.table, record)? {
            Some(row) => Ok(Some((record, row))),
            None => panic!("record {} of {} went under a lock", record.0, self.table.id),
        }
    }

    /// The next record on pages that the transaction has not changed.
    fn look(&mut self, from: RecordNumber) -> Result<Option<RecordNumber>> {
        let is_ours = |record| self.writes.is_some_and(|writes| writes.has(record));
        let mut next = Some(from);
        while self.on_pages.is_none()
            && let Some(from) = next
        {
            let TableInfo { tablespace, section, .. } = *self.table;
            let from = RecordPlace { tablespace, section, record: from };
            let found = section::next_record(self.store, &self.table.locators, from)?;
            let Some(found) = found else { return Ok(None) };
            next = found.0.checked_add(1).map(RecordNumber);
            self.on_pages = Some(found).filter(|found| !is_ours(*found));
        }
        Ok(self.on_pages)
    }
}

impl Iterator for Scan<'_> {
    type Item = Result<(RecordNumber, Row)>;

    fn next(&mut self) -> Option<Self::Item> {
        // A step that fails or finds nothing leaves nowhere to go on from.
        self.step().transpose()
    }
}

impl fmt::Debug for Scan<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scan").field("table", &self.table.spec.name).finish_non_exhaustive()
    }
}

//! Rows in the order of an index, from one key to another.
//!
//! # Method
//!
//! The table is locked, so that the index stays as it is but for what the transaction itself does. Two
//! sequences are merged: the entries on pages, without those of records that the transaction has changed, and
//! the keys of the rows that it has written. Rows are read one by one, as they are asked for.
//!
//! # Invariant
//!
//! The transaction writes nothing while the range is there: the range borrows it.

use std::collections::btree_set;
use std::fmt;
use std::ops::Bound;

use falconry_seam::reachable;

use super::fetch;
use super::locks::Locks;
use super::span::Span;
use super::table::{Index, Row};
use super::transaction::Transaction;
use super::writes::TableWrites;
use crate::lock::LockMode::Shared;
use crate::page::RecordNumber;
use crate::page::index::IndexKeyBuf;
use crate::page::key::KeyValue;
use crate::store::Store;
use crate::tree::{self, Direction};
use crate::{Error, Result};

/// Rows in the order of an index. After an error there are no more.
pub struct Range<'t> {
    store: &'t Store,
    locks: &'t Locks<'t>,
    index: &'t Index,
    direction: Direction,
    on_pages: OnPages<'t>,
    own: Own<'t>,
    is_over: bool,
}

/// The entries on pages, without those of changed records.
struct OnPages<'t> {
    scan: tree::Scan,
    writes: Option<&'t TableWrites>,
    next: Option<IndexKeyBuf>,
}

/// The keys of the rows that the transaction has written.
struct Own<'t> {
    keys: Option<btree_set::Range<'t, IndexKeyBuf>>,
    next: Option<&'t IndexKeyBuf>,
}

impl Transaction<'_> {
    /// The rows with keys from `from` to `to`, in their order or against it. A bound has values for the first
    /// columns of the index, or for all: it stands for all keys that begin with them, so that it includes or
    /// excludes them all. Rows with the same key come by their record numbers. The table is locked shared.
    ///
    /// # Errors
    ///
    /// [`Error::ColumnCount`] for a bound with more values than the index has columns; as
    /// [`Transaction::read`], and so are the items of the range.
    pub fn range<'t>(
        &'t self,
        index: &'t Index,
        from: Bound<&[KeyValue<'_>]>,
        to: Bound<&[KeyValue<'_>]>,
        direction: Direction,
    ) -> Result<Range<'t>> {
        self.locks.check()?;
        let columns = index.columns().len();
        for bound in [from, to] {
            let (Bound::Included(bound) | Bound::Excluded(bound)) = bound else { continue };
            if bound.len() > columns {
                let (name, found) = (index.name().to_string(), bound.len());
                return Err(Error::ColumnCount { name, found, expected: columns });
            }
        }
        self.locks.table(index.table_info(), Shared)?;
        let span = Span::new(from, to);
        let (first, last) = span.bounds();
        let scan = index.info().tree.scan(first, last, direction);
        let writes = self.writes.table(index.table_info().id);
        let keys = writes.map(|writes| span.of(writes.keys(index.place())));
        Ok(Range {
            store: &self.engine.store,
            locks: &self.locks,
            index,
            direction,
            on_pages: OnPages { scan, writes, next: None },
            own: Own { keys, next: None },
            is_over: false,
        })
    }
}

impl Range<'_> {
    fn step(&mut self) -> Result<Option<(RecordNumber, Row)>> {
        self.locks.check()?;
        self.on_pages.look()?;
        self.own.look(self.direction);
        let own_is_first = match (&self.on_pages.next, self.own.next) {
            (None, None) => return Ok(None),
            (Some(on_pages), Some(own)) => {
                (own < on_pages) == (self.direction == Direction::Forward)
            }
            (on_pages, _) => on_pages.is_none(),
        };
        if own_is_first {
            reachable!("txn/an own row in a range");
            let record = self.own.next.take().expect("it is first").record;
            let row = self.on_pages.writes.and_then(|writes| writes.row(record)).flatten();
            let row = row.unwrap_or_else(|| panic!("record {} has keys and no row", record.0));
            return Ok(Some((record, fetch::own(row))));
        }
        let entry = self.on_pages.next.take().expect("it is first");
        let (table, place) = (self.index.table_info(), self.index.place());
        let row = fetch::row_at(self.store, table, place, entry.borrow())?;
        Ok(Some((entry.record, row)))
    }
}

impl OnPages<'_> {
    /// Sees to it that the next entry is known, if there is one.
    fn look(&mut self) -> Result<()> {
        let is_ours = |record| self.writes.is_some_and(|writes| writes.has(record));
        while self.next.is_none() {
            match self.scan.next()? {
                None => return Ok(()),
                Some(entry) if is_ours(entry.record) => {
                    reachable!("txn/a range passes by what a changed row had");
                }
                Some(entry) => self.next = Some(entry),
            }
        }
        Ok(())
    }
}

impl Own<'_> {
    /// Sees to it that the next key is known, if there is one.
    fn look(&mut self, direction: Direction) {
        let Some(keys) = &mut self.keys else { return };
        if self.next.is_none() {
            self.next = match direction {
                Direction::Forward => keys.next(),
                Direction::Backward => keys.next_back(),
            };
        }
    }
}

impl Iterator for Range<'_> {
    type Item = Result<(RecordNumber, Row)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let item = self.step().transpose();
        self.is_over = !matches!(item, Some(Ok(_)));
        item
    }
}

impl fmt::Debug for Range<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Range").field("index", &self.index).finish_non_exhaustive()
    }
}

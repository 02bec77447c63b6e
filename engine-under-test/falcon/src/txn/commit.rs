//! The commit of a transaction: its rows go to the log.
//!
//! # Method
//!
//! The transaction reserves what its rows will need in the log, and what pages will need when a gopher brings
//! them there. Then its changes are appended, in as many records as they need: all but the last are
//! `rows`, the last is the `commit`. When that is durable so is the transaction, and gophers may have it.
//!
//! # Invariant
//!
//! Before the reservation is made nothing is written. Once the commit is appended, nothing but the disk decides
//! how the transaction ends.

use std::ops::Range;

use falconry_seam::{reachable, sometimes};

use super::transaction::{Stage, Transaction};
use super::writes::Volume;
use crate::admission::Ticket;
use crate::db::rows;
use crate::db::{Committed, Engine, LoggedChange, RowChange};
use crate::log::RECORD_HEADER_BYTES;
use crate::store::record;
use crate::{Error, Lsn, Result, TxnId};

/// What a row costs in the log beside its bytes: the operations on its page, locator and inventory.
const ROW_BYTES: u64 = 160;
/// What a key costs beside its bytes: the operation on its leaf.
const KEY_BYTES: u64 = 64;
/// How often rows and keys are counted again for pages. A split writes two pages for about half a page of
/// entries that came before it.
const PAGES_FACTOR: u64 = 4;
/// Pages that are reserved for any transaction: a split, and the parent's.
const PAGES: u64 = 4;

impl Transaction<'_> {
    /// Ends the transaction: when this returns, all that it has done is durable.
    ///
    /// # Errors
    ///
    /// [`Error::OutcomeUnknown`] when the log fails while it has the rows: whether they are durable is told
    /// by the next opening. After all others the transaction is rolled back, nothing of it was written:
    /// [`Error::TransactionTooLarge`], [`Error::Stopped`], and the error of a call that was refused a lock.
    pub fn commit(mut self) -> Result<()> {
        self.locks.check()?;
        let volume = self.writes.volume();
        if volume.changes == 0 {
            self.engine.counters.committed.add(1);
            self.end();
            return Ok(());
        }
        let ticket = admit(self.engine, log_bytes(self.engine, volume))?;
        self.stage = Stage::InLog;
        let changes = self.writes.take_changes();
        log_changes(self.engine, self.txn, changes, ticket)?;
        self.stage = Stage::Over;
        self.engine.counters.committed.add(1);
        self.writes.give_numbers_back();
        Ok(())
    }
}

/// Commits changes whose locks the transaction holds: they are durable when this returns, and the locks
/// are given back by a gopher.
///
/// # Errors
///
/// As [`Transaction::commit`]; the locks stay.
pub(crate) fn commit_changes(engine: &Engine, txn: TxnId, changes: Vec<RowChange>) -> Result<()> {
    engine.check_running()?;
    let mut volume = Volume::default();
    for change in &changes {
        volume.changes += 1;
        volume.change_bytes += change.encoded_bytes() as u64;
    }
    let ticket = admit(engine, log_bytes(engine, volume))?;
    log_changes(engine, txn, changes, ticket)
}

/// Whether the change of a row fits into a record of the log.
///
/// # Errors
///
/// [`Error::TooLong`].
pub(super) fn check_change(engine: &Engine, row_bytes: usize, old_keys: &[Vec<u8>]) -> Result<()> {
    let change = RowChange::bytes(row_bytes, old_keys.iter().map(Vec::len));
    let bytes = rows::BEGIN_BYTES + change;
    let bytes_max = engine.store.log().record_bytes_max();
    if bytes > bytes_max { Err(Error::TooLong { bytes, bytes_max }) } else { Ok(()) }
}

/// What a transaction needs in the log, about: its records, and those of the pages that it changes.
fn log_bytes(engine: &Engine, volume: Volume) -> u64 {
    let Volume { changes, change_bytes, keys, new_key_bytes } = volume;
    let page_bytes = engine.store.page_size().bytes() as u64;
    let content = change_bytes + new_key_bytes;
    let rest = changes * ROW_BYTES + keys * KEY_BYTES + PAGES * page_bytes;
    change_bytes.saturating_add(content.saturating_mul(PAGES_FACTOR)).saturating_add(rest)
}

fn admit(engine: &Engine, bytes: u64) -> Result<Ticket> {
    let log = engine.store.log();
    // After a checkpoint half of the capacity is free, whatever came before; to wait for more than that
    // could be to wait for ever.
    let bytes_max = log.capacity_bytes() / 2;
    if bytes > bytes_max {
        return Err(Error::TransactionTooLarge { bytes, bytes_max });
    }
    engine.admission.admit(bytes, || log.used_bytes())
}

/// Writes changes to the log, waits until they are durable, and hands them to the gophers.
fn log_changes(engine: &Engine, txn: TxnId, changes: Vec<RowChange>, ticket: Ticket) -> Result<()> {
    let log = engine.store.log();
    engine.pending.enter(txn, || log.end());
    let logged = append(engine, txn, changes);
    let durable = logged.and_then(|(changes, end)| {
        let told = |error: Error| Error::OutcomeUnknown { txn, why: (&error).into() };
        log.flush(end).map_err(told)?;
        Ok(changes)
    });
    match durable {
        Ok(changes) => {
            engine.locks.ends(txn);
            engine.pending.ripen(Committed { txn, changes, ticket: Some(ticket) });
            Ok(())
        }
        Err(error) => {
            reachable!("txn/the log fails a commit");
            engine.stop(&error);
            Err(error)
        }
    }
}

/// Appends all records of a transaction: its changes, and the end of the last record.
fn append(
    engine: &Engine,
    txn: TxnId,
    changes: Vec<RowChange>,
) -> Result<(Vec<LoggedChange>, Lsn)> {
    let log = engine.store.log();
    let lengths: Vec<usize> = changes.iter().map(RowChange::encoded_bytes).collect();
    let records = split(&lengths, log.record_bytes_max() - rows::BEGIN_BYTES);
    sometimes!(records.len() > 1, "txn/a commit of several records");
    let mut changes = changes.into_iter();
    let (mut logged, mut end) = (Vec::with_capacity(lengths.len()), Lsn(0));
    for (number, part) in records.iter().enumerate() {
        let mut bytes = rows::begin_record(txn, lengths[part.clone()].iter().sum());
        let first = logged.len();
        for change in changes.by_ref().take(part.len()) {
            let row_at = change.put(&mut bytes);
            logged.push(LoggedChange { change, lsn: Lsn(0), row_at });
        }
        let kind = if number + 1 == records.len() { record::COMMIT } else { record::ROWS };
        end = log.append(kind, &[&bytes])?;
        let lsn = Lsn(end.0 - (RECORD_HEADER_BYTES + bytes.len()) as u64);
        logged[first..].iter_mut().for_each(|logged| logged.lsn = lsn);
    }
    Ok((logged, end))
}

/// Which changes of these lengths go into each record: as many as fit, in their order, and at least one.
fn split(lengths: &[usize], bytes_max: usize) -> Vec<Range<usize>> {
    let mut records: Vec<Range<usize>> = Vec::new();
    let mut bytes = 0;
    for (place, length) in lengths.iter().enumerate() {
        match records.last_mut() {
            Some(record) if bytes + length <= bytes_max => {
                record.end = place + 1;
                bytes += length;
            }
            _ => {
                records.push(place..place + 1);
                bytes = *length;
            }
        }
    }
    records
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_fill_records_in_their_order() {
        type Row<'a> = (&'a [usize], &'a [(usize, usize)]);
        let rows: [Row<'_>; 6] = [
            (&[], &[]),
            (&[10], &[(0, 1)]),
            (&[11], &[(0, 1)]),
            (&[4, 6], &[(0, 2)]),
            (&[4, 7, 3, 1], &[(0, 1), (1, 3), (3, 4)]),
            (&[10, 10, 1, 9, 10], &[(0, 1), (1, 2), (2, 4), (4, 5)]),
        ];
        for (lengths, expected) in rows {
            let found: Vec<(usize, usize)> =
                split(lengths, 10).iter().map(|range| (range.start, range.end)).collect();
            assert_eq!(found, expected, "{lengths:?}");
        }
    }
}

//! The rows of a transaction as the log has them.
//!
//! # Method
//!
//! ```text
//! a record   transaction u64, then changes of rows
//! a change   table u32, record u64, what u8, row length u32, row, count of old keys u8,
//!            for each: its index's place in the table u8, length u16, key
//! what       0 insert, 1 update, 2 delete (without a row), 3 raise
//! ```
//!
//! A raise is of a sequence, whose number stands in place of a table's, with record 0: its row is the value,
//! of which the sequence has given out no higher one.
//!
//! All that is not first or last of a transaction has kind `rows`; the last record has kind `commit` and may
//! have changes as well. Old keys are those that the row had and has no more. New keys are not in the log:
//! the row tells them, all when it is inserted, and those of the indexes with an old key when it is updated.
//!
//! # Invariant
//!
//! Where a row lies in its record is where the pages' records refer to.

use crate::admission::Ticket;
use crate::page::RecordNumber;
use crate::store::code::{CodeError, Reader};
use crate::{Lsn, TableId, TxnId};

/// What happens to a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// It is new.
    Insert,
    /// It was there.
    Update,
    /// It goes.
    Delete,
    /// It is the value of a sequence.
    Raise,
}

/// A change of one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RowChange {
    pub(crate) table: TableId,
    pub(crate) record: RecordNumber,
    pub(crate) what: What,
    /// The row, encoded; empty when it goes.
    pub(crate) row: Vec<u8>,
    /// Keys that it had and has no more, by the place of their index in the table.
    pub(crate) old_keys: Vec<(u8, Vec<u8>)>,
}

/// A change, and where the log has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LoggedChange {
    pub(crate) change: RowChange,
    /// Where its record begins.
    pub(crate) lsn: Lsn,
    /// Where in the record the row is.
    pub(crate) row_at: u32,
}

/// A transaction whose commit is durable.
pub(crate) struct Committed {
    pub(crate) txn: TxnId,
    pub(crate) changes: Vec<LoggedChange>,
    /// Its room in the log, given back when it is applied; none in recovery.
    #[expect(dead_code, reason = "it is there to be dropped")]
    pub(crate) ticket: Option<Ticket>,
}

/// Bytes of a record before its changes.
pub(crate) const BEGIN_BYTES: usize = 8;
/// Bytes of a change in the log but for its row and keys.
const CHANGE_BYTES: usize = 4 + 8 + 1 + 4 + 1;

impl RowChange {
    /// How many bytes it takes in a record.
    pub(crate) fn encoded_bytes(&self) -> usize {
        RowChange::bytes(self.row.len(), self.old_keys.iter().map(|(_, key)| key.len()))
    }

    /// How many bytes a change takes in a record, with a row and old keys of these lengths.
    pub(crate) fn bytes(row_bytes: usize, key_bytes: impl Iterator<Item = usize>) -> usize {
        CHANGE_BYTES + row_bytes + key_bytes.map(|bytes| 3 + bytes).sum::<usize>()
    }

    /// Appends it to a record, and says where its row is.
    pub(crate) fn put(&self, to: &mut Vec<u8>) -> u32 {
        to.extend_from_slice(&self.table.0.to_le_bytes());
        to.extend_from_slice(&self.record.0.to_le_bytes());
        to.push(self.what as u8);
        to.extend_from_slice(&(self.row.len() as u32).to_le_bytes());
        let row_at = to.len() as u32;
        to.extend_from_slice(&self.row);
        to.push(u8::try_from(self.old_keys.len()).expect("a table has at most 64 indexes"));
        for (index, key) in &self.old_keys {
            to.push(*index);
            to.extend_from_slice(&(key.len() as u16).to_le_bytes());
            to.extend_from_slice(key);
        }
        row_at
    }
}

/// Begins a record of rows, whose changes will have so many bytes.
pub(crate) fn begin_record(txn: TxnId, change_bytes: usize) -> Vec<u8> {
    let mut record = Vec::with_capacity(BEGIN_BYTES + change_bytes);
    record.extend(txn.0.to_le_bytes());
    record
}

/// The transaction that a record of rows, a commit, or the news that one is applied is of.
pub(crate) fn txn_of(record: &[u8]) -> Result<TxnId, CodeError> {
    Reader::new(record).u64().map(TxnId)
}

/// The changes of a record that begins at `lsn`.
pub(crate) fn changes_of(lsn: Lsn, record: &[u8]) -> Result<Vec<LoggedChange>, CodeError> {
    let mut reader = Reader::new(record);
    reader.u64()?;
    let mut changes = Vec::new();
    while !reader.is_over() {
        changes.push(change(lsn, &mut reader)?);
    }
    Ok(changes)
}

fn change(lsn: Lsn, reader: &mut Reader<'_>) -> Result<LoggedChange, CodeError> {
    let (table, record) = (TableId(reader.u32()?), RecordNumber(reader.u64()?));
    let at = reader.at();
    let what = match reader.u8()? {
        0 => What::Insert,
        1 => What::Update,
        2 => What::Delete,
        3 => What::Raise,
        other => return Err(CodeError { at, what: format!("{other} happens to no row") }),
    };
    let length = reader.u32()? as usize;
    let row_at = reader.at() as u32;
    let row = reader.take(length)?.to_vec();
    let count = reader.u8()?;
    let old_keys = (0..count).map(|_| old_key(reader)).collect::<Result<_, _>>()?;
    let change = RowChange { table, record, what, row, old_keys };
    Ok(LoggedChange { change, lsn, row_at })
}

fn old_key(reader: &mut Reader<'_>) -> Result<(u8, Vec<u8>), CodeError> {
    let (index, length) = (reader.u8()?, reader.u16()?);
    Ok((index, reader.take(length.into())?.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(what: What) -> RowChange {
        let row = if what == What::Delete { Vec::new() } else { b"a row".to_vec() };
        let old_keys = vec![(0, b"k".to_vec()), (3, Vec::new())];
        RowChange { table: TableId(7), record: RecordNumber(9), what, row, old_keys }
    }

    #[test]
    fn what_is_written_is_read_and_rows_are_where_they_say() {
        let mut record = begin_record(TxnId(5), 0);
        let all = [What::Insert, What::Update, What::Delete, What::Raise].map(change);
        for change in &all {
            let before = record.len();
            change.put(&mut record);
            assert_eq!(record.len() - before, change.encoded_bytes());
        }
        assert_eq!(txn_of(&record), Ok(TxnId(5)));
        let read = changes_of(Lsn(1), &record).expect("it is whole");
        for (read, written) in read.iter().zip(&all) {
            assert_eq!(read.change, *written);
            assert_eq!(record[read.row_at as usize..][..written.row.len()], written.row);
        }
        assert_eq!(read.len(), 4);
    }

    #[test]
    fn a_record_that_is_cut_is_none() {
        let mut record = begin_record(TxnId(5), 0);
        change(What::Update).put(&mut record);
        for length in 0..record.len() {
            let read = changes_of(Lsn(1), &record[..length]);
            assert!(read.is_err() || length == 8, "{length}: {read:?}");
        }
        record[20] = 4;
        assert_eq!(changes_of(Lsn(1), &record).expect_err("no such change").at, 20);
    }
}

//! Phase 1: what the log holds.

use std::collections::BTreeMap;

use super::incarnation::Incarnations;
use crate::cache::Seal;
use crate::db::{in_log, rows};
use crate::log::{Log, Record};
use crate::page::PageSize;
use crate::store::code::{self, PageChange};
use crate::store::record;
use crate::{Lsn, Result, TxnId};

/// What the log tells of a transaction.
#[derive(Clone, Debug, Default)]
pub(crate) struct Found {
    /// Where its records of rows are; the commit is the last of them.
    pub(crate) records: Vec<Lsn>,
    pub(crate) is_committed: bool,
    pub(crate) is_applied: bool,
}

/// What the first pass found.
#[derive(Debug, Default)]
pub(crate) struct Inventory {
    pub(crate) transactions: BTreeMap<TxnId, Found>,
    pub(crate) pages: Incarnations,
    pub(crate) records: u64,
    /// The number that the next transaction may have.
    pub(crate) next_txn: u64,
    /// All changes of pages before this place are durable on these.
    pub(crate) durable_until: Lsn,
    /// What the last checkpoint says of the file of versions; nothing, if there was none or an earlier Falcon's.
    pub(crate) seal: Option<Seal>,
}

impl Inventory {
    /// Reads the log from `from` to its end, of a database with pages of that size.
    ///
    /// # Errors
    ///
    /// Those of the log, and [`Error::Damaged`](crate::Error::Damaged) for a record that is none of ours.
    pub(crate) fn take(log: &Log, page_size: PageSize, from: Lsn) -> Result<Inventory> {
        let mut inventory = Inventory { next_txn: 1, ..Inventory::default() };
        for record in log.records(from) {
            inventory.meet(page_size, &record?)?;
        }
        inventory.pages.begin_second_pass();
        Ok(inventory)
    }

    fn meet(&mut self, page_size: PageSize, record: &Record) -> Result<()> {
        self.records += 1;
        match record.kind() {
            record::PAGE_CHANGE => {
                self.pages.meet(&changes(page_size, record)?);
            }
            record::CHECKPOINT | record::UNSEALED_CHECKPOINT => {
                let (next, begun_at, seal) = checkpoint(record)?;
                self.seal = seal;
                self.next_txn = self.next_txn.max(next);
                self.durable_until = self.durable_until.max(begun_at);
            }
            record::ROWS | record::COMMIT | record::APPLIED => {
                let txn = rows::txn_of(record.bytes()).map_err(|error| broken(record, error))?;
                self.next_txn = self.next_txn.max(txn.0 + 1);
                let found = self.transactions.entry(txn).or_default();
                if record.kind() == record::APPLIED {
                    found.is_applied = true;
                } else {
                    found.records.push(record.lsn());
                    found.is_committed |= record.kind() == record::COMMIT;
                }
            }
            kind => return Err(broken(record, format!("its kind is {}", kind.0))),
        }
        Ok(())
    }
}

/// What a checkpoint says: the number of the next transaction, where the checkpoint began, and the seal.
fn checkpoint(record: &Record) -> Result<(u64, Lsn, Option<Seal>)> {
    let bytes = record.bytes();
    let has_seal = record.kind() == record::CHECKPOINT;
    let expected = if has_seal { 32 } else { 16 };
    if bytes.len() != expected {
        let what = format!("a checkpoint has {expected} bytes, and this one {}", bytes.len());
        return Err(broken(record, what));
    }
    let word = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
    let seal = has_seal.then(|| Seal { save: word(16), sum: word(24) });
    Ok((word(0), Lsn(word(8)), seal))
}

/// The changes of pages of that size in a record.
pub(super) fn changes(page_size: PageSize, record: &Record) -> Result<Vec<PageChange<'_>>> {
    code::decode(record.bytes(), page_size.bytes()).map_err(|error| broken(record, error))
}

pub(super) fn broken(record: &Record, what: impl ToString) -> crate::Error {
    in_log(format!("at {}: {}", record.lsn(), what.to_string()))
}

//! Phase 1: what the log holds.

use std::collections::BTreeMap;

use super::incarnation::Incarnations;
use crate::db::{in_log, rows};
use crate::log::Record;
use crate::store::code::{self, PageChange};
use crate::store::{Store, record};
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
}

impl Inventory {
    /// Reads the log from `from` to its end.
    pub(crate) fn take(store: &Store, from: Lsn) -> Result<Inventory> {
        let mut inventory = Inventory { next_txn: 1, ..Inventory::default() };
        for record in store.log().records(from) {
            inventory.meet(store, &record?)?;
        }
        inventory.pages.begin_second_pass();
        Ok(inventory)
    }

    fn meet(&mut self, store: &Store, record: &Record) -> Result<()> {
        self.records += 1;
        match record.kind() {
            record::PAGE_CHANGE => {
                self.pages.meet(&changes(store, record)?);
            }
            record::CHECKPOINT => {
                let (next, begun_at) = checkpoint(record)?;
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

/// What a checkpoint says: the number of the next transaction, and where the checkpoint began.
fn checkpoint(record: &Record) -> Result<(u64, Lsn)> {
    let bytes = record.bytes();
    let wrong =
        || broken(record, format!("a checkpoint has 16 bytes, and this one {}", bytes.len()));
    let bytes: &[u8; 16] = bytes.try_into().map_err(|_| wrong())?;
    let both = u128::from_le_bytes(*bytes);
    Ok((both as u64, Lsn((both >> 64) as u64)))
}

/// The changes of pages in a record.
pub(super) fn changes<'a>(store: &Store, record: &'a Record) -> Result<Vec<PageChange<'a>>> {
    code::decode(record.bytes(), store.page_size().bytes()).map_err(|error| broken(record, error))
}

pub(super) fn broken(record: &Record, what: impl ToString) -> crate::Error {
    in_log(format!("at {}: {}", record.lsn(), what.to_string()))
}

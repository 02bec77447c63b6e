//! A transaction: its number, its locks and its writes.
//!
//! # Method
//!
//! A transaction is open until it is committed or rolled back; dropping it rolls it back. Between the first
//! byte in the log and the news that all are durable nobody knows how it ends: whatever cuts it off then
//! stops the engine, and the next opening finds out.
//!
//! # Invariant
//!
//! A transaction that is over holds no locks, unless a gopher is to give them back.

use std::fmt;

use super::locks::Locks;
use super::new_row::check_count;
use super::table::{Index, Table};
use super::writes::Writes;
use crate::db::Engine;
use crate::lock::LockMode;
use crate::page::key::{self, KeyValue};
use crate::{Error, Result, TxnId};

/// How far a transaction is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// It may do more.
    Open,
    /// Its rows go to the log.
    InLog,
    /// It is durable: the rest is for a gopher.
    Over,
}

/// A transaction. One thread at a time uses it; dropped, it is rolled back.
///
/// A call that is refused a lock, by [`Error::Deadlock`] or [`Error::LockTimeout`], has done nothing, and
/// neither has any call after it: they give the same error, until the transaction is rolled back. After any
/// other error the transaction is as it was before the call, but for locks, and goes on; unless the engine
/// has stopped.
pub struct Transaction<'d> {
    pub(super) engine: &'d Engine,
    pub(super) txn: TxnId,
    pub(super) locks: Locks<'d>,
    pub(super) writes: Writes,
    pub(super) stage: Stage,
}

impl<'d> Transaction<'d> {
    /// Begins a transaction.
    pub(crate) fn begin(engine: &'d Engine) -> Transaction<'d> {
        let txn = engine.new_txn();
        engine.counters.begun.add(1);
        let locks = Locks::new(engine, txn);
        Transaction { engine, txn, locks, writes: Writes::default(), stage: Stage::Open }
    }

    /// Its number.
    pub fn id(&self) -> TxnId {
        self.txn
    }

    /// Locks a whole table until the transaction is over: shared, so that nobody else changes it, or
    /// exclusively, so that nobody else reads it either.
    ///
    /// # Errors
    ///
    /// [`Error::Deadlock`], [`Error::LockTimeout`], [`Error::Stopped`], [`Error::Dropped`],
    /// [`Error::OtherDatabase`].
    pub fn lock_table(&self, table: &Table, exclusive: bool) -> Result<()> {
        self.locks.check()?;
        let mode = if exclusive { LockMode::Exclusive } else { LockMode::Shared };
        self.locks.table(table.info(), mode)
    }

    /// Ends it, and undoes all that it has done.
    pub fn rollback(self) {
        drop(self);
    }

    pub(super) fn end(&mut self) {
        self.stage = Stage::Over;
        self.locks.release_all();
        // Whoever gets a number that is free again finds no lock on it.
        self.writes.give_numbers_back();
    }
}

/// A key for all columns of an index, encoded, and whether no more than one row can have it.
pub(super) fn whole_key(index: &Index, key: &[KeyValue<'_>]) -> Result<(Vec<u8>, bool)> {
    check_count(index.name(), key.len(), index.columns().len())?;
    let is_unique = index.is_unique() && !key.contains(&KeyValue::Null);
    Ok((key::encode(key), is_unique))
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        match self.stage {
            Stage::Open => {
                self.engine.counters.rolled_back.add(1);
                self.end();
            }
            Stage::InLog => {
                let why = format!("the commit of {} was cut off", self.txn);
                self.engine.stop(&Error::Stopped(why.as_str().into()));
                // Nobody gets a lock any more: what the transaction had read or changed stays unseen.
                self.locks.release_all();
            }
            Stage::Over => {}
        }
    }
}

impl fmt::Debug for Transaction<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Transaction { txn, stage, .. } = self;
        f.debug_struct("Transaction")
            .field("txn", txn)
            .field("stage", stage)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use falconry_seam::disk::Disk;
    use falconry_sim::choice::Choices;
    use falconry_sim::{Machine, MachineConfig};

    use super::*;
    use crate::db::{Database, Options, TableSpec};

    #[test]
    fn a_commit_that_is_cut_off_stops_the_engine() {
        let mut machine = Machine::new(MachineConfig::default(), Choices::from_seed(0));
        machine.run(|ctx| {
            let disk: Arc<dyn Disk> = ctx.disk();
            let database = Database::create(&disk, &Options::default()).expect("no fault");
            let table = database.create_table(&TableSpec::new("t", 1)).expect("no fault");
            let mut txn = database.begin();
            txn.insert(&table, &[KeyValue::Null]).expect("no fault");
            let number = txn.id();
            assert!(format!("{txn:?}").contains("stage: Open"), "{txn:?}");
            txn.stage = Stage::InLog;
            drop(txn);
            let told = database.begin().lock_table(&table, false).expect_err("it has stopped");
            let expected = format!("the engine has stopped: the commit of {number} was cut off");
            assert_eq!(told.to_string(), expected);
        });
    }
}

//! The locks of one transaction.
//!
//! # Method
//!
//! What the transaction holds of tables is remembered: a table is asked for once, and where it is held so
//! that its records and keys are covered these are not asked for at all. A refusal, because of a deadlock or
//! after too long a wait, is remembered too, and is the answer to all calls from then on.
//!
//! # Invariant
//!
//! After a refusal nothing more is locked.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use falconry_seam::{planted, reachable};

use crate::db::{Engine, IndexInfo, TableInfo};
use crate::lock::{LockMode, LockName};
use crate::page::RecordNumber;
use crate::{Error, Result, TxnId};

/// What a transaction has locked, and whether it may lock more.
pub(super) struct Locks<'d> {
    engine: &'d Engine,
    txn: TxnId,
    /// In the order in which they were locked first: most transactions have few.
    tables: RefCell<Vec<(Arc<TableInfo>, LockMode)>>,
    refusal: RefCell<Option<Error>>,
    /// Whether the lock manager knows of the transaction.
    has_any: Cell<bool>,
}

impl<'d> Locks<'d> {
    pub(super) fn new(engine: &'d Engine, txn: TxnId) -> Locks<'d> {
        let (tables, refusal) = (RefCell::default(), RefCell::default());
        Locks { engine, txn, tables, refusal, has_any: Cell::new(false) }
    }

    /// Whether the transaction can go on.
    ///
    /// # Errors
    ///
    /// The refusal that it has met, or why the engine has stopped.
    pub(super) fn check(&self) -> Result<()> {
        match &*self.refusal.borrow() {
            Some(refusal) => Err(refusal.clone()),
            None => self.engine.check_running(),
        }
    }

    /// Locks a table, in this mode and those before.
    pub(super) fn table(&self, table: &Arc<TableInfo>, mode: LockMode) -> Result<()> {
        let held = self.held(table)?;
        let wanted = held.map_or(mode, |held| held.supremum(mode));
        if held == Some(wanted) {
            return Ok(());
        }
        self.lock(&LockName::Table(table.id), wanted)?;
        // Who waited may have waited for the end of the table.
        if held.is_none() && !planted!("lock_granted_without_look") {
            table.check_there()?;
        }
        let mut tables = self.tables.borrow_mut();
        match tables.iter_mut().find(|(known, _)| known.id == table.id) {
            Some((_, mode)) => *mode = wanted,
            None => tables.push((Arc::clone(table), wanted)),
        }
        Ok(())
    }

    /// Locks a record of a table that is locked already.
    pub(super) fn record(
        &self,
        table: &Arc<TableInfo>,
        record: RecordNumber,
        mode: LockMode,
    ) -> Result<()> {
        if self.is_covered(table, mode)? {
            return Ok(());
        }
        self.lock(&LockName::Record(table.id, record), mode)
    }

    /// Locks a key of a unique index, whether it has an entry or not. The table is locked already.
    pub(super) fn key(
        &self,
        table: &Arc<TableInfo>,
        index: &IndexInfo,
        key: &[u8],
        mode: LockMode,
    ) -> Result<()> {
        if self.is_covered(table, mode)? || planted!("unique_key_not_locked") {
            return Ok(());
        }
        self.lock(&LockName::Key(table.id, index.id, key.into()), mode)
    }

    /// Gives back all that is locked.
    pub(super) fn release_all(&self) {
        if self.has_any.replace(false) {
            self.engine.locks.release_all(self.txn);
        }
    }

    /// How the table is locked, if it is one that can be.
    ///
    /// # Errors
    ///
    /// [`Error::Dropped`], [`Error::OtherDatabase`].
    pub(super) fn held(&self, table: &Arc<TableInfo>) -> Result<Option<LockMode>> {
        // Numbers of tables are the same in all databases: a lock would be on another table.
        let tables = self.tables.borrow();
        let (is_known, held) = match tables.iter().find(|(known, _)| known.id == table.id) {
            Some((known, mode)) => (Arc::ptr_eq(known, table), Some(*mode)),
            None => {
                let known = self.engine.table(table.id);
                (known.is_some_and(|known| Arc::ptr_eq(&known, table)), None)
            }
        };
        if !is_known {
            table.check_there()?;
            return Err(Error::OtherDatabase { table: table.spec.name.clone() });
        }
        Ok(held)
    }

    fn is_covered(&self, table: &Arc<TableInfo>, mode: LockMode) -> Result<bool> {
        if mode == LockMode::Shared && planted!("read_without_its_lock") {
            return Ok(true);
        }
        let held = self.held(table)?;
        let held =
            held.unwrap_or_else(|| panic!("{} locks a part of {} first", self.txn, table.id));
        Ok(covers(held, mode))
    }

    fn lock(&self, name: &LockName, mode: LockMode) -> Result<()> {
        self.has_any.set(true);
        let locked = self.engine.locks.lock(self.txn, name, mode);
        if let Err(error @ (Error::Deadlock { .. } | Error::LockTimeout { .. })) = &locked {
            reachable!("txn/refused a lock");
            *self.refusal.borrow_mut() = Some(error.clone());
        }
        locked
    }
}

/// Whether who holds a table so needs no lock on a record or key of it to hold that in `mode`.
fn covers(table: LockMode, mode: LockMode) -> bool {
    match table {
        LockMode::Exclusive => true,
        LockMode::Shared | LockMode::SharedIntentExclusive => mode == LockMode::Shared,
        LockMode::IntentShared | LockMode::IntentExclusive => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_covers_what_nobody_else_could_lock_otherwise() {
        // Others may hold a part of it in `theirs`, with the table in the mode that this needs.
        let others = [
            (LockMode::IntentShared, LockMode::Shared),
            (LockMode::IntentExclusive, LockMode::Exclusive),
        ];
        for table in LockMode::ALL {
            for mode in [LockMode::Shared, LockMode::Exclusive] {
                let is_safe = others.iter().all(|(intent, theirs)| {
                    !table.is_compatible(*intent) || mode.is_compatible(*theirs)
                });
                assert_eq!(covers(table, mode), is_safe, "{table} over {mode}");
            }
        }
    }
}

//! What all threads of an open database share.

use std::collections::BTreeMap;
use std::sync::Arc;

use falconry_seam::planted;
use falconry_seam::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use falconry_seam::sync::{Mutex, PoisonError, RwLock};

use super::pending::Pending;
use super::reclaim::Reclaims;
use super::schema::TableInfo;
use super::statistics::Counters;
use crate::admission::Admission;
use crate::cache::{Seal, Versions};
use crate::lock::LockManager;
use crate::sequence::SequenceInfo;
use crate::store::{Store, record};
use crate::txn::Shortcuts;
use crate::{Error, Lsn, Result, SequenceId, StopReason, TableId, TxnId};

/// The parts of an open database.
pub(crate) struct Engine {
    pub(crate) store: Arc<Store>,
    pub(crate) locks: LockManager,
    pub(crate) admission: Arc<Admission>,
    pub(crate) pending: Pending,
    pub(crate) tables: RwLock<BTreeMap<TableId, Arc<TableInfo>>>,
    pub(crate) sequences: RwLock<BTreeMap<SequenceId, Arc<SequenceInfo>>>,
    /// What dropped tables have left.
    pub(crate) reclaims: Reclaims,
    pub(crate) next_txn: AtomicU64,
    /// The next number of a table or a sequence, as the catalogue has it; 0 if it has none yet.
    pub(crate) next_number: AtomicU32,
    /// Held by whoever makes a table or a sequence.
    pub(crate) making: Mutex<()>,
    /// Held by a checkpoint, up to when its record is durable: what that says of the file of versions must be so
    /// when the next one writes there.
    pub(crate) one_checkpoint: Mutex<()>,
    /// The longest row, encoded.
    pub(crate) row_bytes_max: usize,
    /// Numbers of a sequence that are made durable at once.
    pub(crate) sequence_batch: u32,
    pub(crate) counters: Counters,
    pub(crate) shortcuts: Shortcuts,
}

impl Engine {
    /// The number of a new transaction.
    pub(crate) fn new_txn(&self) -> TxnId {
        TxnId(self.next_txn.fetch_add(1, Ordering::Relaxed))
    }

    /// A table by its number.
    pub(crate) fn table(&self, id: TableId) -> Option<Arc<TableInfo>> {
        self.tables.read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }

    /// All open tables, by their numbers.
    pub(crate) fn open_tables(&self) -> Vec<Arc<TableInfo>> {
        self.tables.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// The first error that stopped the engine, if one has.
    pub(crate) fn check_running(&self) -> Result<()> {
        self.store.log().is_stopped().map_or(Ok(()), Err)
    }

    /// Makes all pages durable that were changed so far, and says from where on the log is needed.
    ///
    /// # Errors
    ///
    /// Those of cache and log; the engine has stopped then.
    pub(crate) fn checkpoint(&self) -> Result<()> {
        let _alone = self.one_checkpoint.lock().unwrap_or_else(PoisonError::into_inner);
        self.check_running()?;
        self.try_checkpoint().inspect_err(|error| self.stop(error))
    }

    fn try_checkpoint(&self) -> Result<()> {
        let log = self.store.log();
        let mut begun_at = Lsn(0);
        let bound = self.pending.bound(|| {
            begun_at = log.end();
            begun_at
        });
        let cache = self.store.cache();
        cache.checkpoint()?;
        let bound = match planted!("checkpoint_bound_taken_late") {
            true => self.pending.bound(|| log.end()),
            false => bound,
        };
        // The record stands behind the bound, so that a log which begins there still has it.
        let next = self.next_txn.load(Ordering::Relaxed);
        let seal = cache.versions().map_or_else(Seal::default, Versions::seal);
        let parts = [next, begun_at.0, seal.save, seal.sum].map(u64::to_le_bytes);
        let end = log.append_urgent(record::CHECKPOINT, &parts.each_ref().map(|part| &part[..]))?;
        let moves = log.set_recovery_start(bound);
        log.flush(end)?;
        cache.versions().inspect(|versions| versions.sealed());
        self.counters.checkpoints.add(1);
        // Where a transaction that is not on pages yet holds the start, whoever waits for room would ask for
        // another checkpoint at once, and keep the processor from the gopher that has to apply it.
        if moves {
            self.admission.poke();
        }
        Ok(())
    }

    /// What is held although nobody works with the database any more, in words; nothing, if all was given back.
    pub(crate) fn held_at_rest(&self) -> String {
        let mut held = Vec::new();
        let pinned = self.store.cache().pinned_count();
        if pinned > 0 {
            held.push(format!("pins of {pinned} frames"));
        }
        if !self.locks.is_idle() {
            held.push("locks".into());
        }
        let reserved = self.admission.reserved_bytes();
        if reserved > 0 {
            held.push(format!("{reserved} bytes of the log"));
        }
        held.join(", ")
    }

    /// Stops the engine: whoever waits, and whoever comes later, is told why.
    pub(crate) fn stop(&self, why: &Error) {
        let why = StopReason::from(why);
        self.store.log().stop(why.clone());
        // The first reason stands, and is what everybody is told.
        let why = match self.store.log().is_stopped() {
            Some(Error::Stopped(first)) => first,
            _ => why,
        };
        self.locks.stop(why.clone());
        self.admission.stop(why);
        self.pending.stop();
        self.reclaims.end();
    }
}

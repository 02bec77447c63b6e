//! Recovery: what a crash left becomes what was committed.
//!
//! # Method
//!
//! Three passes over the log, from where the last checkpoint allows:
//!
//! 1. *Inventory.* Which transactions committed, and which of them the log calls applied. How many
//!    incarnations each page has: a page begins a new one when it is made anew and when it is freed.
//! 2. *Physical.* The changes of pages, in their order, but only those of a page's last incarnation, and of
//!    these only what the page does not have by its place in the log. A page that is made anew is not read.
//! 3. *Logical.* Transactions that committed and were not applied are applied, as a gopher would have.
//!
//! Between the first and the second the file of versions is bound to what the last checkpoint says of it, and torn
//! pages are repaired. Nothing but pages is written until all three are through. What phase 3 changes goes to the
//! log as always. The log is kept until a checkpoint has made the pages durable.
//!
//! The start of recovery may lie before the place where that checkpoint began, for the sake of a transaction
//! that was not applied then. Changes of pages in between are durable, and are not made again: they may be of
//! transactions that were applied, whose rows lie before the start of recovery and are gone.
//!
//! # Why it can be cut anywhere, and begin again
//!
//! The first two phases write no log, and a page in any state between its oldest and its newest is brought
//! to the same bytes: what it has is skipped by its place in the log. The third appends behind what the first
//! two have read; the next recovery reads that too, as part of the same log.
//!
//! # Invariant
//!
//! The start of recovery does not move before all pages are durable.

mod incarnation;
mod inventory;
mod logical;
mod physical;

use std::sync::Arc;

pub(crate) use inventory::Inventory;

use crate::cache::Repaired;
use crate::db::Engine;
use crate::log::LogTail;
use crate::store::Store;
use crate::{Lsn, Result};

/// What a recovery found and did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecoveryReport {
    /// Where in the log it began to read.
    pub from: Lsn,
    /// Where the log ended.
    pub to: Lsn,
    /// Whether the log's last block was torn; nobody was told that it was durable.
    pub log_was_torn: bool,
    /// Torn pages that were repaired from their second copies.
    pub repaired: Vec<Repaired>,
    /// Phase 1: records read.
    pub records: u64,
    /// Phase 1: transactions with any record.
    pub transactions: u64,
    /// Phase 1: of these, the committed ones.
    pub committed: u64,
    /// Phase 1: of these, the ones that were on pages already.
    pub applied: u64,
    /// Phase 1: pages that the log changes.
    pub pages: u64,
    /// Phase 2: changes of a page that were made again.
    pub redone: u64,
    /// Phase 2: changes that the page had already.
    pub skipped_newer: u64,
    /// Phase 2: changes that a checkpoint had made durable.
    pub skipped_durable: u64,
    /// Phase 2: changes of an earlier incarnation of their page.
    pub skipped_dead: u64,
    /// Phase 3: transactions that were applied.
    pub reapplied: u64,
    /// Phase 3: rows of them.
    pub rows: u64,
}

/// Phase 2, when an inventory was taken: afterwards the pages are as the log's end has them.
///
/// # Errors
///
/// Those of log and cache, and [`Error::Damaged`](crate::Error::Damaged) where they do not fit to each
/// other. Pages may have been written; the next recovery begins where this one did.
pub(crate) fn redo(
    store: &Store,
    tail: LogTail,
    inventory: &mut Inventory,
) -> Result<RecoveryReport> {
    let mut report = RecoveryReport {
        from: tail.recovery_start,
        to: tail.end,
        log_was_torn: tail.is_torn,
        ..RecoveryReport::default()
    };
    report.records = inventory.records;
    report.transactions = inventory.transactions.len() as u64;
    report.committed =
        inventory.transactions.values().filter(|txn| txn.is_committed).count() as u64;
    report.applied = inventory.transactions.values().filter(|txn| txn.is_applied).count() as u64;
    report.pages = inventory.pages.len() as u64;
    physical::redo(store, inventory, tail, &mut report)?;
    Ok(report)
}

/// Phase 3: afterwards the pages have every committed transaction.
///
/// # Errors
///
/// As [`redo`].
pub(crate) fn apply(
    engine: &Arc<Engine>,
    inventory: &Inventory,
    report: &mut RecoveryReport,
) -> Result<()> {
    logical::apply(engine, inventory, report)
}

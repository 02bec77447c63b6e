//! Phase 3: committed transactions come to pages.
//!
//! # Method
//!
//! Those that the log does not call applied are applied again, in the order of their commits. A table or a
//! sequence is known by its number in all of them, and no number is used twice: what comes next to a section
//! or an index that had another owner finds none of its rows here. There are none behind a drop in any case,
//! for that had the table's lock, and the locks of a transaction are free when it is applied.
//!
//! # Invariant
//!
//! What a transaction names is there when it is applied: the catalogue is read again whenever one changed it.

use std::sync::Arc;

use falconry_seam::planted;

use super::RecoveryReport;
use super::inventory::{Found, Inventory, broken};
use crate::db::{Committed, Engine, LoggedChange, What, catalogue, gopher, rows};
use crate::{Result, TableId, TxnId};

pub(super) fn apply(
    engine: &Arc<Engine>,
    inventory: &Inventory,
    report: &mut RecoveryReport,
) -> Result<()> {
    let is_missing = |found: &Found| {
        found.is_committed && (!found.is_applied || planted!("drop_redone_on_newer"))
    };
    let missing = inventory.transactions.iter().filter(|(_, found)| is_missing(found));
    // The commit's place is the order.
    let mut missing: Vec<(&TxnId, &Found)> = missing.collect();
    missing.sort_by_key(|(_, found)| found.records.last().copied());
    for (txn, found) in missing {
        let mut changes = Vec::new();
        for lsn in &found.records {
            let record = engine.store.log().read(*lsn)?;
            let of_record = rows::changes_of(*lsn, record.bytes());
            changes.extend(of_record.map_err(|error| broken(&record, error))?);
        }
        if found.is_applied && !is_drop(&changes) {
            continue;
        }
        report.reapplied += 1;
        report.rows += changes.len() as u64;
        let is_of_catalogue =
            changes.iter().any(|logged| logged.change.table == TableId::CATALOGUE);
        let first = found.records[0];
        engine.pending.enter(*txn, || first);
        gopher::finish(engine, Committed { txn: *txn, changes, ticket: None })?;
        // It may have made what a later one has rows or raises of.
        if is_of_catalogue && !planted!("catalogue_not_read_again") {
            catalogue::load(engine)?;
        }
    }
    Ok(())
}

/// Whether a transaction is the drop of a table.
fn is_drop(changes: &[LoggedChange]) -> bool {
    let [LoggedChange { change, .. }] = changes else { return false };
    (change.table, change.what) == (TableId::CATALOGUE, What::Update)
}

//! Phase 3: committed transactions come to pages.

use std::sync::Arc;

use falconry_seam::planted;

use super::RecoveryReport;
use super::inventory::{Found, Inventory, broken};
use crate::db::{Committed, Engine, catalogue, gopher, rows};
use crate::{Result, TxnId};

pub(super) fn apply(
    engine: &Arc<Engine>,
    inventory: &Inventory,
    report: &mut RecoveryReport,
) -> Result<()> {
    let is_missing = |found: &Found| found.is_committed && !found.is_applied;
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
        report.reapplied += 1;
        report.rows += changes.len() as u64;
        let first = found.records[0];
        engine.pending.enter(*txn, || first);
        gopher::finish(engine, Committed { txn: *txn, changes, ticket: None })?;
        // It may have made a table that a later one has rows of.
        if !planted!("catalogue_not_read_again") {
            catalogue::load(engine)?;
        }
    }
    Ok(())
}

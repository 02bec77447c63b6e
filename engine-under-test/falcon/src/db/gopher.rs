//! Gophers: threads that copy committed transactions from the log to pages.
//!
//! # Method
//!
//! A gopher takes a transaction that is durable, puts its rows and keys to their places, says in the log
//! that it is applied, and gives its locks back. A row of the catalogue is applied by making what it tells
//! of first; one that calls a table dropped hands its pages to the thread that frees them. Applying twice comes to the same: recovery does it again for a transaction that the log does
//! not call applied.
//!
//! # Invariant
//!
//! Rows of two transactions that are applied at the same time are never the same: until a transaction is
//! applied it has its locks, and who makes a table or a sequence is alone in that. Raises of a sequence may
//! be, and the highest stands.

use std::sync::Arc;

use falconry_seam::planted;
use falconry_seam::sync::PoisonError;

use super::catalogue;
use super::engine::Engine;
use super::rows::{Committed, LoggedChange, RowChange, What};
use super::schema::{RecordPlace, TableInfo};
use crate::page::key::KeyValue;
use crate::store::op::Source;
use crate::store::record;
use crate::{Error, Result, SequenceId, TableId, TxnId, row, section, sequence};

/// What a gopher does until it is told to end, or the engine stops.
pub(crate) fn run(engine: &Arc<Engine>) {
    let mut comes_back = false;
    while let Some(committed) = engine.pending.next(comes_back) {
        comes_back = true;
        let stop = Stop(engine);
        let finished = finish(engine, committed);
        std::mem::forget(stop);
        if let Err(error) = finished {
            engine.stop(&error);
            return;
        }
    }
}

/// Stops the engine unless it is forgotten: whoever waits for what a gopher has in hand, without a bound in
/// time, is told when it panics.
struct Stop<'a>(&'a Arc<Engine>);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.stop(&Error::Stopped("a gopher panicked".into()));
    }
}

/// Applies a transaction, and lets go of all that it holds.
pub(crate) fn finish(engine: &Arc<Engine>, committed: Committed) -> Result<()> {
    let txn = committed.txn;
    if planted!("locks_released_before_apply") {
        engine.locks.release_all(txn);
    }
    if planted!("applied_before_pages") {
        say_applied(engine, txn)?;
        apply(engine, &committed)?;
    } else {
        apply(engine, &committed)?;
        say_applied(engine, txn)?;
    }
    // What is reused from here on was given up by a transaction that recovery does not apply again.
    for LoggedChange { change, .. } in &committed.changes {
        if change.table == TableId::CATALOGUE {
            catalogue::follow(engine, change)?;
        }
        if change.what == What::Delete
            && let Some(table) = engine.table(change.table)
        {
            let mut numbers = table.numbers.lock().unwrap_or_else(PoisonError::into_inner);
            numbers.give_back(change.record);
        }
    }
    engine.counters.applied.add(1);
    engine.counters.rows_applied.add(committed.changes.len() as u64);
    engine.pending.is_applied(txn);
    engine.locks.release_all(txn);
    // With its ticket goes what it has reserved: who waits for room looks again.
    drop(committed);
    Ok(())
}

fn say_applied(engine: &Engine, txn: TxnId) -> Result<()> {
    engine.store.log().append_urgent(record::APPLIED, &[&txn.0.to_le_bytes()])?;
    Ok(())
}

/// Puts the rows and keys of a transaction to pages.
///
/// # Errors
///
/// Those of the store; the engine has to stop then.
fn apply(engine: &Arc<Engine>, committed: &Committed) -> Result<()> {
    for logged in &committed.changes {
        let change = &logged.change;
        if change.what == What::Raise {
            raise(engine, change)?;
            continue;
        }
        let Some(table) = engine.table(change.table) else {
            let what = format!("{} changes table {}", committed.txn, change.table.0);
            return Err(catalogue::unknown(engine, what));
        };
        if table.id == TableId::CATALOGUE && change.what == What::Insert {
            catalogue::make(engine, &change.row)?;
        }
        apply_row(engine, &table, logged)?;
    }
    Ok(())
}

/// Brings the value of a sequence to its page.
fn raise(engine: &Engine, change: &RowChange) -> Result<()> {
    let id = SequenceId(change.table.0);
    let place = {
        let sequences = engine.sequences.read().unwrap_or_else(PoisonError::into_inner);
        sequences.get(&id).map(|sequence| sequence.place)
    };
    let place = place.ok_or_else(|| catalogue::unknown(engine, format!("a raise of {id}")))?;
    let row = row::decode(&change.row).map_err(|error| in_log(error.to_string()))?;
    let [KeyValue::I64(value)] = row[..] else {
        return Err(in_log(format!("{row:?} is no value of {id}")));
    };
    sequence::raise(&engine.store, place, value)
}

fn apply_row(engine: &Engine, table: &TableInfo, logged: &LoggedChange) -> Result<()> {
    let LoggedChange { change, lsn, row_at } = logged;
    let place =
        RecordPlace { tablespace: table.tablespace, section: table.section, record: change.record };
    {
        let _alone = table.pages.lock().unwrap_or_else(PoisonError::into_inner);
        let source = Source { lsn: *lsn, from: *row_at, bytes: change.row.len() as u32 };
        match change.what {
            What::Insert | What::Update => {
                section::put(&engine.store, &table.locators, place, &change.row, source)?;
            }
            What::Delete => section::delete(&engine.store, &table.locators, place)?,
            What::Raise => panic!("a raise of a sequence came to {}", table.id),
        }
    }
    let broken = |what: String| catalogue::unknown(engine, what);
    let keeps_keys = change.what == What::Delete && planted!("old_key_left_in_index");
    for (index, key) in change.old_keys.iter().filter(|_| !keeps_keys) {
        let index = table.indexes.get(usize::from(*index));
        let index = index.ok_or_else(|| broken(format!("an index of table {}", table.id.0)))?;
        index.tree.delete(key, change.record)?;
    }
    if change.what == What::Delete {
        return Ok(());
    }
    let row = row::decode(&change.row).map_err(|error| broken(error.to_string()))?;
    if row.len() != usize::from(table.spec.columns) && table.id != TableId::CATALOGUE {
        return Err(broken(format!("a row of {} columns of table {}", row.len(), table.id.0)));
    }
    add_keys(table, logged, &row)
}

fn add_keys(table: &TableInfo, logged: &LoggedChange, row: &[KeyValue<'_>]) -> Result<()> {
    let change = &logged.change;
    for (place, index) in table.indexes.iter().enumerate() {
        let is_changed = change.old_keys.iter().any(|(old, _)| usize::from(*old) == place);
        if change.what == What::Insert || is_changed {
            index.tree.insert(&index.key_of(row).0, change.record)?;
        }
    }
    Ok(())
}

/// The error of a log that tells of what is not there.
pub(crate) fn in_log(what: impl Into<String>) -> Error {
    Error::Damaged { file: "log".into(), place: "a record".into(), what: what.into() }
}

#[cfg(test)]
mod tests {
    use falconry_seam::disk::Disk;
    use falconry_sim::choice::Choices;
    use falconry_sim::{Machine, MachineConfig};

    use super::*;
    use crate::{Database, Options};

    #[test]
    fn a_gopher_that_panics_stops_the_engine() {
        let mut machine = Machine::new(MachineConfig::default(), Choices::from_seed(0));
        machine.run(|ctx| {
            let disk: Arc<dyn Disk> = ctx.disk();
            let database = Database::create(&disk, &Options::default()).expect("no fault");
            drop(Stop(&database.engine));
            let told = database.close().expect_err("it has stopped").to_string();
            assert_eq!(told, "the engine has stopped: a gopher panicked");
        });
    }
}

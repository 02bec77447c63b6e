//! What dropped tables leave behind is freed, page by page.
//!
//! # Method
//!
//! A thread of its own takes the tables that were dropped, one after the other, and frees their pages in
//! steps: each is one change of pages, frees a bounded number, and has reserved its room in the log before, as
//! commits do. What is left can be reached from the root after each step as after none, so that the next
//! opening goes on where a crash or the end of the last one has cut it off. At last the row of the catalogue
//! goes, in a transaction.
//!
//! # Invariant
//!
//! The section and the indexes of a dropped table are nobody else's before the end of its row is in the log.

use std::collections::BTreeMap;
use std::sync::Arc;

use falconry_seam::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use falconry_seam::{planted, sometimes};

use super::catalogue::USER;
use super::ddl;
use super::engine::Engine;
use super::object::TableObject;
use crate::page::index::IndexId;
use crate::page::{RecordNumber, SectionId};
use crate::{Result, section, tree};

/// What a dropped table has left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Remains {
    /// Its row in the catalogue.
    pub(crate) record: RecordNumber,
    pub(crate) section: SectionId,
    pub(crate) indexes: Vec<IndexId>,
}

impl Remains {
    /// Those of a dropped table by its row, which has this number.
    pub(crate) fn of(record: RecordNumber, table: &TableObject) -> Remains {
        Remains { record, section: table.section, indexes: table.indexes.clone() }
    }
}

/// The dropped tables whose pages are not all free yet.
#[derive(Default)]
pub(crate) struct Reclaims {
    state: Mutex<State>,
    /// There is more to free, or nothing any more, or the thread is to end.
    changed: Condvar,
}

#[derive(Default)]
struct State {
    remains: BTreeMap<RecordNumber, Remains>,
    ends: bool,
}

impl Reclaims {
    /// A table was dropped, or found so at an opening.
    pub(crate) fn add(&self, remains: Remains) {
        self.lock().remains.entry(remains.record).or_insert(remains);
        self.changed.notify_all();
    }

    /// The row is gone, and if it was one of a dropped table all its pages are free.
    pub(crate) fn forget(&self, record: RecordNumber) {
        self.lock().remains.remove(&record);
        self.changed.notify_all();
    }

    /// All that is not free yet.
    pub(crate) fn all(&self) -> Vec<Remains> {
        self.lock().remains.values().cloned().collect()
    }

    /// Waits until all is free, or the thread is to end.
    pub(crate) fn wait_for_all(&self) {
        let mut state = self.lock();
        while !state.remains.is_empty() && !state.ends {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Ends the thread after the step that it is at.
    pub(crate) fn end(&self) {
        self.lock().ends = true;
        self.changed.notify_all();
    }

    /// What is to be freed next; none when the thread is to end.
    fn next(&self) -> Option<Remains> {
        let mut state = self.lock();
        loop {
            if state.ends {
                return None;
            }
            if let Some((_, remains)) = state.remains.first_key_value() {
                return Some(remains.clone());
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn has_ended(&self) -> bool {
        self.lock().ends
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the thread does until it is told to end, or the engine stops.
pub(crate) fn run(engine: &Arc<Engine>) {
    while let Some(remains) = engine.reclaims.next() {
        if let Err(error) = reclaim(engine, &remains) {
            engine.stop(&error);
            return;
        }
    }
}

/// Frees all pages of a dropped table, unless the thread is told to end before.
///
/// # Errors
///
/// Those of the store and of a commit; the engine has to stop then.
fn reclaim(engine: &Engine, remains: &Remains) -> Result<()> {
    let is_late = planted!("row_goes_before_pages");
    if is_late {
        end_row(engine, remains)?;
    }
    for index in &remains.indexes {
        while step(engine, || tree::reclaim(&engine.store, USER, *index))? {}
    }
    while step(engine, || section::reclaim(&engine.store, USER, remains.section))? {}
    let has_ended = engine.reclaims.has_ended();
    sometimes!(has_ended, "reclaim/a dropped table is left to the next opening");
    if !has_ended && !is_late {
        end_row(engine, remains)?;
    }
    Ok(())
}

fn end_row(engine: &Engine, remains: &Remains) -> Result<()> {
    let txn = engine.new_txn();
    ddl::delete(engine, txn, remains.record)?;
    ddl::wait_applied(engine, txn)
}

/// Takes one step with its room in the log reserved. Returns whether there is another one.
fn step(engine: &Engine, step: impl FnOnce() -> Result<u64>) -> Result<bool> {
    if engine.reclaims.has_ended() {
        return Ok(false);
    }
    let log = engine.store.log();
    let _ticket = engine.admission.admit(step_bytes(engine), || log.used_bytes())?;
    let freed = step()?;
    engine.counters.pages_reclaimed.add(freed);
    engine.counters.reclaim_steps.add(u64::from(freed > 0));
    Ok(freed > 0)
}

/// More than a step writes to the log: entries of branches that go, or some records with all their pages.
fn step_bytes(engine: &Engine) -> u64 {
    let store = &engine.store;
    (8 * store.page_size().bytes() + store.log().record_bytes_max()) as u64
}

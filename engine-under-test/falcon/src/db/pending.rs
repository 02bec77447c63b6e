//! Transactions that are committed and not on pages yet.
//!
//! # Method
//!
//! A transaction is entered before its first record goes to the log, and is ripe when its commit is
//! durable. Gophers take ripe ones in the order in which they ripened, and say when each is applied. One is
//! woken only when more is ripe than those who are at work, or woken and on their way, will soon take. One that
//! finds nothing lets others run once and looks again before it sleeps. The oldest record of all that are
//! entered bounds where recovery may start.
//!
//! # Invariant
//!
//! From before its first record until it is applied, a transaction is entered.

use std::collections::{BTreeMap, VecDeque};

use falconry_seam::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use falconry_seam::{buggify, planted, thread};

use super::rows::Committed;
use crate::{Lsn, TxnId};

/// Ripe transactions for each gopher that is at work or on its way; another is woken for more. To wake one
/// costs much beside what a small transaction does.
const RIPE_EACH: usize = 4;

/// The queue between commits and gophers.
#[derive(Default)]
pub(crate) struct Pending {
    state: Mutex<State>,
    /// Something ripened, or the gophers are to end.
    ripened: Condvar,
    /// Something was applied, or the gophers have given up.
    applied: Condvar,
}

#[derive(Default)]
struct State {
    /// Where the records of each begin at the earliest.
    entered: BTreeMap<TxnId, Lsn>,
    ripe: VecDeque<Committed>,
    /// Gophers that have taken a transaction and will come for the next one.
    busy: usize,
    /// Gophers that sleep, or have not come back from it yet.
    asleep: usize,
    /// Those of them that are known to be on their way.
    coming: usize,
    /// Threads that wait until something is applied.
    waiting: usize,
    ends: bool,
    stopped: bool,
}

impl State {
    /// Whether a gopher is to be woken for what is ripe.
    fn wakes(&self) -> bool {
        let each = if buggify!("pending/a gopher for each", 400_000) { 1 } else { RIPE_EACH };
        self.ripe.len() > each * (self.busy + self.coming) && self.coming < self.asleep
    }
}

impl Pending {
    /// Enters a transaction whose records will not begin before `end`, the log's end as it is called.
    pub(crate) fn enter(&self, txn: TxnId, end: impl FnOnce() -> Lsn) {
        let mut state = self.lock();
        let first = end();
        state.entered.insert(txn, first);
    }

    /// The transaction is durable: a gopher may apply it.
    pub(crate) fn ripen(&self, committed: Committed) {
        let wakes = {
            let mut state = self.lock();
            state.ripe.push_back(committed);
            let wakes = state.wakes();
            state.coming += usize::from(wakes);
            wakes
        };
        if wakes {
            self.ripened.notify_one();
        }
    }

    /// The next transaction to apply; none when the gophers are to end and nothing is left, or when the
    /// engine has stopped. `comes_back` says whether the gopher has had one before.
    pub(crate) fn next(&self, comes_back: bool) -> Option<Committed> {
        let mut state = self.lock();
        state.busy -= usize::from(comes_back);
        let mut has_yielded = false;
        loop {
            if state.stopped {
                return None;
            }
            if let Some(committed) = state.ripe.pop_front() {
                state.busy += 1;
                return Some(committed);
            }
            if state.ends {
                return None;
            }
            if !has_yielded {
                has_yielded = true;
                drop(state);
                thread::yield_now();
                state = self.lock();
                continue;
            }
            state.asleep += 1;
            state = self.ripened.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.asleep -= 1;
            // It may come for no reason, while another is on its way: then one too many will be woken.
            state.coming = state.coming.saturating_sub(1);
        }
    }

    /// The transaction is on pages, and the log says so.
    pub(crate) fn is_applied(&self, txn: TxnId) {
        if planted!("waiter_woken_before_change") {
            self.applied.notify_all();
            self.lock().entered.remove(&txn);
            return;
        }
        let (first, has_waiting) = {
            let mut state = self.lock();
            (state.entered.remove(&txn), state.waiting > 0)
        };
        assert!(first.is_some(), "{txn} was applied twice");
        if has_waiting {
            self.applied.notify_all();
        }
    }

    /// Waits until the transaction is applied, or the engine has stopped.
    pub(crate) fn wait_for(&self, txn: TxnId) {
        self.wait_while(|state| state.entered.contains_key(&txn));
    }

    /// Waits until nothing is entered, or the engine has stopped.
    pub(crate) fn wait_for_all(&self) {
        self.wait_while(|state| !state.entered.is_empty());
    }

    /// Waits for applied transactions until that does not hold any more, or the engine has stopped.
    fn wait_while(&self, holds: impl Fn(&State) -> bool) {
        let mut state = self.lock();
        while holds(&state) && !state.stopped {
            state.waiting += 1;
            state = self.applied.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.waiting -= 1;
        }
    }

    /// Where recovery would have to start, pages aside: at the first record of the oldest transaction that
    /// is entered, or else at the log's end.
    pub(crate) fn bound(&self, end: impl FnOnce() -> Lsn) -> Lsn {
        // A transaction that is entered later begins behind this end. Changes of pages behind the bound may
        // be of one that was applied earlier and began before it: redo skips those, for the checkpoint has
        // made them durable.
        let state = self.lock();
        let end = end();
        if planted!("unapplied_forgotten") {
            return end;
        }
        state.entered.values().min().map_or(end, |first| (*first).min(end))
    }

    /// Lets the gophers end when nothing is left to apply.
    pub(crate) fn end(&self) {
        self.lock().ends = true;
        if planted!("shutdown_wakes_one_gopher") {
            return self.ripened.notify_one();
        }
        self.ripened.notify_all();
    }

    /// Ends the gophers at once.
    pub(crate) fn stop(&self) {
        self.lock().stopped = true;
        self.ripened.notify_all();
        self.applied.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

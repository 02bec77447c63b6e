//! All locks: who holds which, and who waits for whom.
//!
//! # Method
//!
//! A transaction that is about to wait looks for itself among those that it would wait for, those that they
//! wait for, and so on. Each of them goes on only when all that it waits for have, so that a cycle never
//! ends by itself, and without one somebody can always go on. Only a request that waits adds to what is waited
//! for by one that waits, so that every cycle goes through the request that is new, and is found by it.
//!
//! # Invariant
//!
//! Nobody waits in a cycle. A transaction waits for one lock at a time. A name that nobody holds or
//! waits for is not kept, nor is a transaction without locks.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;

use falconry_seam::sync::{Arc, Condvar};

use super::queue::{Queue, Request};
use super::{LockCounters, LockMode, LockName};
use crate::TxnId;

/// Locks by name, and transactions.
#[derive(Default)]
#[cfg_attr(test, derive(Clone))]
pub(super) struct State {
    locks: BTreeMap<LockName, Queue>,
    owners: BTreeMap<TxnId, Owner>,
    /// Why nobody gets a lock any more.
    pub(super) stopped: Option<Arc<str>>,
    pub(super) counters: LockCounters,
}

/// A transaction that holds locks or waits for one.
#[derive(Default)]
#[cfg_attr(test, derive(Clone))]
struct Owner {
    holds: Vec<LockName>,
    waits_for: Option<LockName>,
}

/// What a transaction gets at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// It holds the lock.
    Held,
    /// It would have to wait to hold the lock in `mode`, for `behind` at least.
    Busy { mode: LockMode, behind: TxnId },
}

impl State {
    /// Locks `name` for `txn`, if it does not have to wait for that. Panics if the name does not take the
    /// mode, or if the transaction waits already.
    pub(super) fn request(&mut self, txn: TxnId, name: &LockName, mode: LockMode) -> Answer {
        assert!(name.takes(mode), "{txn} asks for an {mode} lock on {name}, which takes none");
        let awaited = self.owners.get(&txn).and_then(|owner| owner.waits_for.as_ref());
        assert!(awaited.is_none(), "{txn} asks for {name} while it waits for {awaited:?}");
        let mut wanted = mode;
        if let Some(lock) = self.locks.get(name) {
            let held = lock.held(txn);
            wanted = held.map_or(mode, |held| held.supremum(mode));
            if held == Some(wanted) {
                return Answer::Held;
            }
            if let Some(behind) = lock.before_new(txn, wanted).next() {
                return Answer::Busy { mode: wanted, behind };
            }
        }
        self.hold(txn, name, wanted);
        Answer::Held
    }

    fn hold(&mut self, txn: TxnId, name: &LockName, mode: LockMode) {
        let is_new = match self.locks.get_mut(name) {
            Some(lock) => lock.hold(txn, mode),
            None => self.locks.entry(name.clone()).or_default().hold(txn, mode),
        };
        self.counters.granted += 1;
        if is_new {
            self.owners.entry(txn).or_default().holds.push(name.clone());
        }
    }

    /// `txn` waits for `name` from now on, which it was told is busy. Its thread sleeps at what is
    /// returned.
    pub(super) fn wait(&mut self, txn: TxnId, name: &LockName, mode: LockMode) -> Arc<Condvar> {
        self.owners.entry(txn).or_default().waits_for = Some(name.clone());
        self.locks.get_mut(name).expect("somebody holds it").wait(txn, mode)
    }

    /// Those that `txn` waits for, if it waits.
    pub(super) fn waits_for(&self, txn: TxnId) -> Option<impl Iterator<Item = TxnId>> {
        let name = self.owners.get(&txn)?.waits_for.as_ref()?;
        Some(self.locks[name].before_waiting(txn))
    }

    /// The shortest way from `txn`, which waits, over those that it waits for back to itself.
    pub(super) fn cycle(&self, txn: TxnId) -> Option<Vec<TxnId>> {
        let mut reached_from = BTreeMap::new();
        let mut next = VecDeque::from([txn]);
        while let Some(waiter) = next.pop_front() {
            for before in self.waits_for(waiter).into_iter().flatten() {
                if before == txn {
                    let back =
                        std::iter::successors(Some(waiter), |at| reached_from.get(at).copied());
                    let mut cycle: Vec<TxnId> = back.collect();
                    cycle.reverse();
                    return Some(cycle);
                }
                reached_from.entry(before).or_insert_with(|| {
                    next.push_back(before);
                    waiter
                });
            }
        }
        None
    }

    /// `txn` waits no longer. Those behind it that can go on are returned, to be woken.
    pub(super) fn leave(&mut self, txn: TxnId) -> Vec<Request> {
        let owner = self.owners.get_mut(&txn).expect("it waits");
        let name = owner.waits_for.take().expect("it waits");
        if owner.holds.is_empty() {
            self.owners.remove(&txn);
        }
        self.grant(name, |lock| {
            lock.leave(txn);
        })
    }

    /// Gives back all locks of `txn`. Those that can go on are returned, to be woken.
    pub(super) fn release_all(&mut self, txn: TxnId) -> Vec<Request> {
        let Some(owner) = self.owners.get(&txn) else { return Vec::new() };
        assert_eq!(owner.waits_for, None, "{txn} gives its locks back while it waits");
        let owner = self.owners.remove(&txn).expect("it was there");
        let mut granted = Vec::new();
        for name in owner.holds {
            granted.extend(self.grant(name, |lock| lock.release(txn)));
        }
        granted
    }

    /// Somebody gives `name` up, as `give_up` says: lets those have it who wait for nobody any more, and forgets
    /// the name if nobody is left.
    fn grant(&mut self, name: LockName, give_up: impl FnOnce(&mut Queue)) -> Vec<Request> {
        let Entry::Occupied(mut lock) = self.locks.entry(name) else {
            panic!("it was held or waited for");
        };
        give_up(lock.get_mut());
        // Who waits when all has stopped is told so, and gets nothing.
        let granted = if self.stopped.is_none() { lock.get_mut().grant() } else { Vec::new() };
        if lock.get().is_idle() {
            lock.remove();
        }
        self.counters.granted += granted.len() as u64;
        let mut woken = Vec::new();
        for (request, is_new) in granted {
            let owner = self.owners.get_mut(&request.txn).expect("it waited");
            let name = owner.waits_for.take().expect("it waited");
            if is_new {
                owner.holds.push(name);
            }
            woken.push(request);
        }
        woken
    }

    /// All that wait, to be woken.
    pub(super) fn waiting(&self) -> Vec<Request> {
        self.locks.values().flat_map(Queue::waiting).cloned().collect()
    }

    /// Whether nobody holds a lock or waits for one.
    pub(super) fn is_idle(&self) -> bool {
        assert_eq!(self.locks.is_empty(), self.owners.is_empty(), "locks and their owners");
        self.locks.is_empty()
    }
}

/// A cycle in words.
pub(super) fn told(cycle: &[TxnId]) -> String {
    let mut text = cycle.first().expect("a cycle has a member").to_string();
    for (number, txn) in cycle.iter().skip(1).chain(cycle.first()).enumerate() {
        let which = if number == 0 { "" } else { ", which" };
        write!(text, "{which} waits for {txn}").expect("a string takes all");
    }
    text
}

#[cfg(test)]
mod tests;

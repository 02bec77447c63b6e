//! One lock: who holds it, and who waits for it.
//!
//! # Method
//!
//! A request of a transaction that does not hold the lock waits for the holders that it is not compatible
//! with, and for all requests before it, also for those that it is compatible with: nobody comes to a lock
//! past one who waits, or a writer might wait for ever behind readers that come and go. An upgrade waits for
//! the other holders only. It goes before the rest, for they would wait for its present mode anyway; there
//! are no more upgrades than holders, so that the rest gets its turn.
//!
//! # Invariant
//!
//! Holders are compatible with each other, upgrades stand before all other requests, and every request
//! that waits has somebody to wait for.

use std::collections::{BTreeMap, VecDeque};

use falconry_seam::sync::{Arc, Condvar};

use super::LockMode;
use crate::TxnId;

/// Holders and waiters of one name.
#[derive(Default)]
#[cfg_attr(test, derive(Clone))]
pub(super) struct Queue {
    holders: Holders,
    waiting: VecDeque<Request>,
}

/// Those that hold a lock, by their numbers. Most locks have one, who needs no memory of its own.
#[derive(Default)]
#[cfg_attr(test, derive(Clone))]
struct Holders {
    /// The lowest.
    first: Option<(TxnId, LockMode)>,
    others: BTreeMap<TxnId, LockMode>,
    /// How many there are of each mode, in the order of [`LockMode::ALL`]: a table has as many holders as there are
    /// transactions that are not on pages yet, and each new one asks whether any of them is in its way.
    counts: [u32; LockMode::ALL.len()],
}

impl Holders {
    fn get(&self, txn: TxnId) -> Option<LockMode> {
        let first = self.first.filter(|(holder, _)| *holder == txn);
        first.map(|(_, mode)| mode).or_else(|| self.others.get(&txn).copied())
    }

    fn iter(&self) -> impl Iterator<Item = (TxnId, LockMode)> {
        let others = self.others.iter().map(|(holder, mode)| (*holder, *mode));
        self.first.into_iter().chain(others)
    }

    /// Whether any of them but `txn` holds the lock in a way that does not go with `mode`.
    fn has_conflict(&self, txn: TxnId, mode: LockMode) -> bool {
        let counts = LockMode::ALL.into_iter().zip(self.counts);
        let against = counts.filter(|(held, _)| !held.is_compatible(mode));
        let count: u32 = against.map(|(_, count)| count).sum();
        count > 0 && count > u32::from(self.get(txn).is_some_and(|own| !own.is_compatible(mode)))
    }

    /// Returns the mode that the transaction had before.
    fn insert(&mut self, txn: TxnId, mode: LockMode) -> Option<LockMode> {
        let before = self.put(txn, mode);
        self.counts[mode as usize] += 1;
        if let Some(before) = before {
            self.counts[before as usize] -= 1;
        }
        before
    }

    fn put(&mut self, txn: TxnId, mode: LockMode) -> Option<LockMode> {
        match self.first {
            Some((holder, before)) if holder == txn => {
                self.first = Some((txn, mode));
                Some(before)
            }
            Some((holder, _)) if holder < txn => self.others.insert(txn, mode),
            first => {
                self.others.extend(first);
                self.first = Some((txn, mode));
                None
            }
        }
    }

    /// Returns the mode that the transaction had.
    fn remove(&mut self, txn: TxnId) -> Option<LockMode> {
        let held = self.take(txn);
        if let Some(held) = held {
            self.counts[held as usize] -= 1;
        }
        held
    }

    fn take(&mut self, txn: TxnId) -> Option<LockMode> {
        match self.first {
            Some((holder, mode)) if holder == txn => {
                self.first = self.others.pop_first();
                Some(mode)
            }
            _ => self.others.remove(&txn),
        }
    }
}

/// A transaction that waits.
#[derive(Clone)]
pub(super) struct Request {
    pub(super) txn: TxnId,
    /// What it will hold, together with what it holds.
    pub(super) mode: LockMode,
    /// It holds the lock already, in a lower mode.
    upgrades: bool,
    /// Where its thread sleeps.
    pub(super) wake: Arc<Condvar>,
}

impl Queue {
    /// How `txn` holds the lock.
    pub(super) fn held(&self, txn: TxnId) -> Option<LockMode> {
        self.holders.get(txn)
    }

    /// Those that `txn` would wait for if it asked now, for a mode that includes what it holds.
    pub(super) fn before_new(&self, txn: TxnId, mode: LockMode) -> impl Iterator<Item = TxnId> {
        let is_holder = self.holders.get(txn).is_some();
        let requests_before = if is_holder { 0 } else { self.waiting.len() };
        self.before(txn, mode, requests_before)
    }

    /// Those that the waiting `txn` waits for.
    pub(super) fn before_waiting(&self, txn: TxnId) -> impl Iterator<Item = TxnId> {
        let (at, request) = self.find(txn);
        self.before(txn, request.mode, if request.upgrades { 0 } else { at })
    }

    fn before(&self, txn: TxnId, mode: LockMode, requests: usize) -> impl Iterator<Item = TxnId> {
        let conflicting = self.conflicting(txn, mode);
        conflicting.chain(self.waiting.iter().take(requests).map(|request| request.txn))
    }

    /// The other holders that `txn` in `mode` is not compatible with.
    fn conflicting(&self, txn: TxnId, mode: LockMode) -> impl Iterator<Item = TxnId> {
        // Most have no conflict, and need not be looked at one by one.
        let holders = self.holders.has_conflict(txn, mode).then(|| self.holders.iter());
        let others = holders.into_iter().flatten().filter(move |(holder, _)| *holder != txn);
        others.filter(move |(_, held)| !held.is_compatible(mode)).map(|(holder, _)| holder)
    }

    fn find(&self, txn: TxnId) -> (usize, &Request) {
        let mut requests = self.waiting.iter().enumerate();
        requests
            .find(|(_, request)| request.txn == txn)
            .unwrap_or_else(|| panic!("{txn} does not wait for this lock"))
    }

    /// The request of `txn`, which waits.
    pub(super) fn request_of(&self, txn: TxnId) -> &Request {
        self.find(txn).1
    }

    /// `txn` holds the lock in `mode` from now on. Says whether it did not hold it before.
    pub(super) fn hold(&mut self, txn: TxnId, mode: LockMode) -> bool {
        let conflict = self.conflicting(txn, mode).next();
        assert_eq!(conflict, None, "{txn} gets an {mode} lock that another holds");
        self.holders.insert(txn, mode).is_none()
    }

    /// `txn` waits from now on. Its thread sleeps at what is returned.
    pub(super) fn wait(&mut self, txn: TxnId, mode: LockMode) -> Arc<Condvar> {
        let wake = Arc::new(Condvar::new());
        let upgrades = self.holders.get(txn).is_some();
        let place = match upgrades {
            true => self.waiting.iter().take_while(|request| request.upgrades).count(),
            false => self.waiting.len(),
        };
        self.waiting.insert(place, Request { txn, mode, upgrades, wake: Arc::clone(&wake) });
        wake
    }

    /// `txn` waits no longer.
    pub(super) fn leave(&mut self, txn: TxnId) -> Request {
        let (at, _) = self.find(txn);
        self.waiting.remove(at).expect("it was found there")
    }

    /// `txn` holds the lock no longer.
    pub(super) fn release(&mut self, txn: TxnId) {
        let held = self.holders.remove(txn);
        assert!(held.is_some(), "{txn} gives back a lock that it does not hold");
    }

    /// Lets those hold the lock that have nobody to wait for any more, and returns them in the order in
    /// which they waited. Those of them that did not hold it before are marked so.
    pub(super) fn grant(&mut self) -> Vec<(Request, bool)> {
        let mut granted = Vec::new();
        let mut at = 0;
        while let Some(request) = self.waiting.get(at) {
            let (txn, mode, upgrades) = (request.txn, request.mode, request.upgrades);
            let requests_before = if upgrades { 0 } else { at };
            if self.before(txn, mode, requests_before).next().is_none() {
                let request = self.waiting.remove(at).expect("it was found there");
                let is_new = self.hold(txn, mode);
                granted.push((request, is_new));
            } else if upgrades {
                at += 1;
            } else {
                break;
            }
        }
        granted
    }

    /// Whether nobody holds the lock or waits for it.
    pub(super) fn is_idle(&self) -> bool {
        self.holders.first.is_none() && self.waiting.is_empty()
    }

    /// Those that wait, in order.
    pub(super) fn waiting(&self) -> impl Iterator<Item = &Request> {
        self.waiting.iter()
    }

    /// Those that hold the lock.
    #[cfg(test)]
    pub(super) fn holders(&self) -> impl Iterator<Item = (TxnId, LockMode)> {
        let count_of = |mode| self.holders.iter().filter(|(_, held)| *held == mode).count() as u32;
        assert_eq!(self.holders.counts, LockMode::ALL.map(count_of));
        self.holders.iter()
    }
}

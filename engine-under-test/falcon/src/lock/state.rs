//! All locks: who holds which, and who waits for whom.
//!
//! # Method
//!
//! A transaction that is about to wait looks for itself among those that it would wait for, those that they
//! wait for, and so on. Each of them goes on only when all that it waits for have, so that a cycle never
//! ends by itself, and without one somebody can always go on. Only a request that waits adds to what is waited
//! for by one that waits, so that every cycle goes through the request that is new, and is found by it.
//!
//! A transaction that is durable keeps its locks until it is on pages. It asks for nothing more, so that
//! who waits for none but such ones will go on, and soon. Whoever has used up its time waits on there, as one
//! of the *patient*, for as long as that is so.
//!
//! # Invariant
//!
//! Nobody waits in a cycle. A transaction waits for one lock at a time. A name that nobody holds or
//! waits for is not kept, nor is a transaction without locks.

#![expect(
    clippy::disallowed_types,
    reason = "a table whose hash is fixed, and whose order nobody sees: what is listed is sorted"
)]

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::fmt::Write as _;

use falconry_seam::sync::{Arc, Condvar};
use falconry_seam::thread;
use rustc_hash::FxBuildHasher;

use super::queue::{Queue, Request};
use super::{LockCounters, LockMode, LockName};
use crate::{StopReason, TxnId};

/// Most locks that a list which is kept has room for.
const SPARE_MAX: usize = 1024;

/// Locks by name, and transactions.
#[derive(Default)]
#[cfg_attr(test, derive(Clone))]
pub(super) struct State {
    locks: HashMap<LockName, Queue, FxBuildHasher>,
    owners: HashMap<TxnId, Owner, FxBuildHasher>,
    /// Those whose wait was ended for them, each with the cycle that it was in, until they are told.
    refused: BTreeMap<TxnId, Vec<TxnId>>,
    /// Those that have waited for as long as they may, and wait for none but such as are about to end.
    patient: BTreeSet<TxnId>,
    /// A list of a transaction that is over, empty, for one that comes.
    spare: Vec<LockName>,
    /// Why nobody gets a lock any more.
    pub(super) stopped: Option<StopReason>,
    pub(super) counters: LockCounters,
}

/// A transaction that holds locks or waits for one.
#[derive(Default)]
#[cfg_attr(test, derive(Clone))]
struct Owner {
    holds: Vec<LockName>,
    waits_for: Option<LockName>,
    /// It asks for nothing more, and gives its locks back without anybody's help.
    is_ending: bool,
}

/// What a transaction gets at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// It holds the lock.
    Held,
    /// It would have to wait to hold the lock in `mode`.
    Busy { mode: LockMode },
}

impl State {
    /// Locks `name` for `txn`, if it does not have to wait for that. Panics if the name does not take the
    /// mode, or if the transaction waits already.
    pub(super) fn request(&mut self, txn: TxnId, name: &LockName, mode: LockMode) -> Answer {
        assert!(name.takes(mode), "{txn} asks for an {mode} lock on {name}, which takes none");
        let awaited = self.owners.get(&txn).and_then(|owner| owner.waits_for.as_ref());
        assert!(awaited.is_none(), "{txn} asks for {name} while it waits for {awaited:?}");
        let is_ending = self.owners.get(&txn).is_some_and(|owner| owner.is_ending);
        assert!(!is_ending, "{txn} asks for {name} after its end");
        let mut wanted = mode;
        if let Some(lock) = self.locks.get(name) {
            let held = lock.held(txn);
            wanted = held.map_or(mode, |held| held.supremum(mode));
            if held == Some(wanted) {
                return Answer::Held;
            }
            if lock.before_new(txn, wanted).next().is_some() {
                return Answer::Busy { mode: wanted };
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
            let spare = &mut self.spare;
            let new = || Owner { holds: std::mem::take(spare), ..Owner::default() };
            self.owners.entry(txn).or_insert_with(new).holds.push(name.clone());
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
        self.search(txn, |before| before == txn)
    }

    /// The nearest of those that `txn` waits for, directly or through others, which does not wait itself and
    /// is not about to end.
    pub(super) fn held_up_by(&self, txn: TxnId) -> Option<TxnId> {
        let mut found = None;
        self.search(txn, |before| {
            let owner = &self.owners[&before];
            let holds_up = owner.waits_for.is_none() && !owner.is_ending;
            found = holds_up.then_some(before);
            holds_up
        });
        found
    }

    /// Looks through all that `txn` waits for, directly or through others, until `is_wanted`: the shortest way
    /// there, from `txn` to who waits for the one that is wanted.
    fn search(&self, txn: TxnId, mut is_wanted: impl FnMut(TxnId) -> bool) -> Option<Vec<TxnId>> {
        let mut reached_from = BTreeMap::new();
        let mut next = VecDeque::from([txn]);
        while let Some(waiter) = next.pop_front() {
            for before in self.waits_for(waiter).into_iter().flatten() {
                if is_wanted(before) {
                    let back =
                        std::iter::successors(Some(waiter), |at| reached_from.get(at).copied());
                    let mut way: Vec<TxnId> = back.collect();
                    way.reverse();
                    return Some(way);
                }
                reached_from.entry(before).or_insert_with(|| {
                    next.push_back(before);
                    waiter
                });
            }
        }
        None
    }

    /// `txn` asks for nothing more, and gives its locks back soon.
    pub(super) fn ends(&mut self, txn: TxnId) {
        if let Some(owner) = self.owners.get_mut(&txn) {
            assert_eq!(owner.waits_for, None, "{txn} is to end while it waits");
            owner.is_ending = true;
        }
    }

    /// Ends the wait of the youngest in a cycle, but for `keeps_wait` takes it out of its queue, and says who
    /// that is. The youngest has done the least, and it gets its turn: who tries again is younger still.
    /// Those that can go on are returned, to be woken, with the one that is to be told.
    pub(super) fn refuse_youngest(
        &mut self,
        cycle: &[TxnId],
        keeps_wait: bool,
    ) -> (TxnId, Vec<Request>) {
        let youngest = cycle.iter().copied().max().expect("a cycle has a member");
        let at = cycle.iter().position(|txn| *txn == youngest).expect("it is the maximum");
        let mut woken = vec![self.request_of(youngest)];
        if !keeps_wait {
            woken.extend(self.leave(youngest));
        }
        let told = cycle[at..].iter().chain(&cycle[..at]).copied().collect();
        self.refused.insert(youngest, told);
        self.counters.deadlocks += 1;
        (youngest, woken)
    }

    /// The cycle for which the wait of `txn` was ended, if it was. It begins with `txn`.
    pub(super) fn take_refusal(&mut self, txn: TxnId) -> Option<Vec<TxnId>> {
        self.refused.remove(&txn)
    }

    /// Whether `txn` is one of the patient from now on.
    pub(super) fn set_patient(&mut self, txn: TxnId, is_patient: bool) {
        if is_patient {
            self.patient.insert(txn)
        } else {
            self.patient.remove(&txn)
        };
    }

    /// The patient, to be woken: they look again at what they wait for.
    pub(super) fn patient(&self) -> Vec<Request> {
        let waiting = self.patient.iter().filter(|txn| self.waits_for(**txn).is_some());
        waiting.map(|txn| self.request_of(*txn)).collect()
    }

    /// The request of `txn`, which waits.
    fn request_of(&self, txn: TxnId) -> Request {
        let name = self.owners[&txn].waits_for.as_ref().expect("it waits");
        self.locks[name].request_of(txn).clone()
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
        // A transaction that is dropped while its thread unwinds says nothing: that would end the process.
        if !thread::panicking() {
            assert_eq!(owner.waits_for, None, "{txn} gives its locks back while it waits");
        }
        let mut owner = self.owners.remove(&txn).expect("it was there");
        let mut granted = Vec::new();
        for name in owner.holds.drain(..) {
            granted.extend(self.grant(name, |lock| lock.release(txn)));
        }
        if owner.holds.capacity() <= SPARE_MAX {
            self.spare = owner.holds;
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

    /// All that wait, to be woken, by their numbers.
    pub(super) fn waiting(&self) -> Vec<Request> {
        let mut waiting: Vec<Request> =
            self.locks.values().flat_map(Queue::waiting).cloned().collect();
        waiting.sort_unstable_by_key(|request| request.txn);
        waiting
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

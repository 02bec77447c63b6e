//! What was seen of a run: kept outside of the machine, so that no power loss takes it.
//!
//! # Invariant
//!
//! Its lock is never held over a call of the seam, so no task ever waits for it. What is reported
//! once the power has gone counts for nothing.

use std::sync::{Mutex, MutexGuard, PoisonError};

use falconry_sim::fault::{Fault, FaultSet, When};
use falconry_sim::io::with_env;

use crate::engine::{Contract, EngineError, Promise};
use crate::oracle::errors::{self, Circumstances};
use crate::oracle::history::{History, VersionId, Write};
use crate::oracle::invariant::Tally;
use crate::oracle::recovered::After;
use crate::oracle::{Breach, liveness};

/// More breaches of one run tell nothing new.
const BREACHES_MAX: usize = 8;

/// What was seen of a run.
#[derive(Debug)]
pub struct Witness {
    claims: FaultSet,
    seen: Mutex<Seen>,
}

#[derive(Debug)]
struct Seen {
    history: History,
    breaches: Vec<(Breach, u32, u64)>,
    count: Count,
    boot: u32,
    /// Errors of the disk that were delivered before this boot.
    errors_before: u64,
    gave_up: u64,
}

/// Write transactions since a state was last seen, counted without looking at versions.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    base: u64,
    attempted: u64,
    acked: u64,
    kept: u64,
    durable: u64,
}

impl Witness {
    /// Of a run of an engine that claims to survive `claims` and is judged by `contract`.
    pub fn new(contract: Contract, claims: FaultSet) -> Self {
        let seen = Seen {
            history: History::new(contract),
            breaches: Vec::new(),
            count: Count::default(),
            boot: 0,
            errors_before: 0,
            gave_up: 0,
        };
        Witness { claims, seen: Mutex::new(seen) }
    }

    /// The engine does not keep transactions away that were never acknowledged and found lost.
    pub fn let_in_flight_return(&self) {
        self.seen().history.let_in_flight_return();
    }

    /// See [`History::let_seen_be_lost`].
    pub fn let_seen_be_lost(&self) {
        self.seen().history.let_seen_be_lost();
    }

    /// A boot begins; called in it.
    pub fn boot(&self, number: u32) {
        let mut seen = self.seen();
        seen.boot = number;
        seen.errors_before = errors_delivered();
    }

    /// Looks at the history.
    pub fn history<R>(&self, look: impl FnOnce(&History) -> R) -> R {
        look(&self.seen().history)
    }

    /// Whether a promise was broken, so that the run need not go on.
    pub fn is_over(&self) -> bool {
        !self.seen().breaches.is_empty()
    }

    /// Transactions that were given up after too many attempts.
    pub fn gave_up(&self) -> u64 {
        self.seen().gave_up
    }

    /// A transaction was given up.
    pub fn give_up(&self) {
        self.seen().gave_up += 1;
    }

    /// What was broken, with boot and step.
    pub fn take_breaches(&self) -> Vec<(Breach, u32, u64)> {
        std::mem::take(&mut self.seen().breaches)
    }

    /// A promise was broken.
    pub fn breach(&self, breach: Breach) {
        if falconry_sim::is_off() {
            return;
        }
        let step = step();
        let mut seen = self.seen();
        if seen.breaches.len() < BREACHES_MAX {
            let boot = seen.boot;
            seen.breaches.push((breach, boot, step));
        }
    }

    /// The engine returned an error from `call`.
    pub fn error(&self, call: &str, error: &EngineError) {
        if falconry_sim::is_off() {
            return;
        }
        let then = {
            let seen = self.seen();
            Circumstances {
                disk_failed: errors_delivered() > seen.errors_before || errors_stay(),
                beyond: self.is_beyond(),
            }
        };
        if let Err(breach) = errors::judge(call, error, then) {
            self.breach(breach);
        }
    }

    /// The last boot came to this.
    pub fn last_boot(&self, last: &liveness::LastBoot) {
        if let Err(breach) = liveness::judge(last) {
            self.breach(breach);
        }
    }

    /// Whether a fault was delivered that the engine does not claim to survive.
    pub fn is_beyond(&self) -> bool {
        let unclaimed = FaultSet::ALL.minus(self.claims);
        with_env(|env| unclaimed.iter().any(|fault| env.faults.delivered(fault) > 0))
            .unwrap_or(false)
    }

    /// A transaction is about to commit; returns its version. The head is added to its writes.
    pub(super) fn enter(
        &self,
        parent: VersionId,
        client: u32,
        mut writes: std::collections::BTreeMap<Vec<u8>, Write>,
    ) -> VersionId {
        let step = step();
        let mut seen = self.seen();
        let head = History::head_value(seen.history.next_id());
        writes.insert(crate::oracle::history::HEAD_KEY.to_vec(), Some(head.to_vec().into()));
        let boot = seen.boot;
        seen.count.attempted += u64::from(parent != VersionId::ROOT);
        seen.history.enter(parent, client, boot, step, writes)
    }

    /// The engine acknowledged it.
    pub(super) fn acknowledge(&self, id: VersionId, promise: Promise) -> Result<(), Breach> {
        let step = step();
        let mut seen = self.seen();
        let counts = seen.history.get(id).is_some_and(|v| v.parent != VersionId::ROOT);
        let contract = seen.history.contract();
        if counts {
            seen.count.acknowledge(contract, promise);
        }
        seen.history.acknowledge(id, promise, step)
    }

    /// The engine answered with an error.
    pub(super) fn fail(&self, id: VersionId, may_have_happened: bool) {
        let mut seen = self.seen();
        if !may_have_happened {
            let counted = seen.history.get(id).is_some_and(|v| v.parent != VersionId::ROOT);
            seen.count.attempted -= u64::from(counted);
        }
        seen.history.fail(id, may_have_happened);
    }

    /// How many write transactions a state may hold that is found now; `None` when that is not known.
    pub fn tally(&self, after: After, id: VersionId) -> Option<Tally> {
        let seen = self.seen();
        if seen.history.came_back(id).is_some() || self.is_beyond() {
            return None;
        }
        let count = seen.count;
        let certain = match after {
            After::ProcessCrash => count.kept,
            After::CleanShutdown => count.acked,
            After::PowerLoss => count.durable,
        };
        Some(Tally { base: count.base, certain, possible: count.attempted - certain })
    }

    /// The state of `id` was found, which holds `count` write transactions.
    pub fn observe(&self, id: VersionId, after_power_loss: bool, count: u64) {
        let mut seen = self.seen();
        seen.history.observe(id, after_power_loss);
        if after_power_loss {
            seen.count = Count { base: count, ..Count::default() };
        } else {
            // What the process had written may still go with the power: only the upper bound is new.
            let before = seen.count;
            let certain = count.saturating_sub(before.base);
            seen.count = Count {
                attempted: certain,
                acked: certain,
                kept: certain,
                durable: before.durable.min(certain),
                ..before
            };
        }
    }

    /// The database was thrown away.
    pub fn forget(&self) {
        let mut seen = self.seen();
        seen.history.forget();
        seen.count = Count::default();
    }

    /// A clean shutdown is worth this.
    pub fn shut_down(&self, promise: Promise) {
        if falconry_sim::is_off() {
            return;
        }
        let mut seen = self.seen();
        seen.history.shut_down(promise);
        let count = &mut seen.count;
        if promise != Promise::Memory {
            count.kept = count.acked;
        }
        if promise == Promise::Durable {
            count.durable = count.acked;
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Count {
    fn acknowledge(&mut self, contract: Contract, promise: Promise) {
        self.acked += 1;
        if promise != Promise::Memory {
            self.kept = self.acked;
        }
        match (contract, promise) {
            (Contract::Durable | Contract::Prefix, Promise::Durable) => self.durable = self.acked,
            (Contract::AllButLast, _) => self.durable = self.acked - 1,
            (Contract::Weak, _) | (_, Promise::Later | Promise::Memory) => {}
        }
    }
}

fn step() -> u64 {
    with_env(|env| env.trace.step()).unwrap_or(0)
}

/// Whether an error of an earlier boot may come again in this one: a sector that cannot be read until
/// it is written, a sync that the next one reports.
fn errors_stay() -> bool {
    let stays = [Fault::EioReadSticky, Fault::SyncFailLate];
    with_env(|env| stays.iter().any(|fault| env.faults.delivered(*fault) > 0)).unwrap_or(false)
}

/// How many calls of the disk failed so far. One that fell short, or was interrupted, did not fail: the
/// engine has to make it again.
fn errors_delivered() -> u64 {
    let short = FaultSet::of(&[Fault::ShortRead, Fault::ShortWrite, Fault::Eintr]);
    let is_error = |fault: &&Fault| fault.when() == When::Error && !short.contains(**fault);
    with_env(|env| Fault::ALL.iter().filter(is_error).map(|f| env.faults.delivered(*f)).sum())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests;

//! Random transactions in several threads, against a model of who holds what.
//!
//! # Method
//!
//! The model is told of a lock after it was had, and that it goes before it is given back: what it knows is
//! held, so that it never sees a conflict which is none. Some transactions are ended by another thread, as
//! those that have committed are. Where nobody's patience ends, a wait that was for ever would stop the
//! machine.
//!
//! # Invariant
//!
//! No two transactions hold a lock in modes that do not go together, and everybody ends.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the model stands outside of the run"
)]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use falcon::lock::{LockManager, LockMode, LockName};
use falcon::{Error, TxnId};
use falconry_seam::sync::mpsc;
use falconry_seam::thread;
use falconry_sim::check::Sim;
use falconry_sim::choose;
use falconry_sim::fault::Fault;

use super::{FOR_EVER, key, record, table};

const CLIENTS: u64 = 4;
const TXNS: u64 = 6;
const LOCKS_MAX: u64 = 5;

#[derive(Default)]
struct Model {
    held: Mutex<BTreeMap<LockName, BTreeMap<TxnId, LockMode>>>,
    upgraded: AtomicU64,
}

impl Model {
    fn locked(&self, txn: TxnId, name: &LockName, mode: LockMode) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let holders = held.entry(name.clone()).or_default();
        let before = holders.get(&txn).copied();
        let mode = before.map_or(mode, |before| before.supremum(mode));
        self.upgraded.fetch_add(u64::from(before.is_some_and(|before| before != mode)), Relaxed);
        holders.insert(txn, mode);
        for (other, other_mode) in holders.iter().filter(|(other, _)| **other != txn) {
            let go_together = mode.is_compatible(*other_mode);
            assert!(go_together, "{name}: {txn} holds {mode}, {other} holds {other_mode}");
        }
    }

    fn ends(&self, txn: TxnId) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        for holders in held.values_mut() {
            holders.remove(&txn);
        }
    }
}

fn some_name() -> LockName {
    match choose("test/name", 6) {
        0 | 1 => table(),
        number @ 2..=4 => record(number),
        number => key(number as u8),
    }
}

fn some_mode(name: &LockName) -> LockMode {
    let modes: Vec<LockMode> = LockMode::ALL.into_iter().filter(|mode| name.takes(*mode)).collect();
    modes[choose("test/mode", modes.len() as u64) as usize]
}

/// Locks a few names; the error of the one that was refused.
fn work(locks: &LockManager, model: &Model, txn: TxnId) -> Result<(), Error> {
    for _ in 0..1 + choose("test/locks", LOCKS_MAX) {
        let name = some_name();
        let mode = some_mode(&name);
        locks.lock(txn, &name, mode)?;
        model.locked(txn, &name, mode);
        match choose("test/pause", 3) {
            0 => thread::sleep(Duration::from_micros(choose("test/sleep", 2_000))),
            _ => thread::yield_now(),
        }
    }
    Ok(())
}

/// What the runs met.
#[derive(Default)]
struct Met {
    deadlocks: AtomicU64,
    time_outs: AtomicU64,
    stopped: AtomicU64,
    waited: AtomicU64,
    upgraded: AtomicU64,
}

fn client(
    locks: &LockManager,
    model: &Model,
    number: u64,
    committed: &mpsc::Sender<TxnId>,
) -> [u64; 3] {
    let [mut deadlocks, mut time_outs, mut stopped] = [0; 3];
    for turn in 0..TXNS {
        let txn = TxnId(1 + turn * CLIENTS + number);
        match work(locks, model, txn) {
            Ok(()) => {
                locks.ends(txn);
                committed.send(txn).expect("somebody receives");
                continue;
            }
            Err(Error::Deadlock { .. }) => deadlocks += 1,
            Err(Error::LockTimeout { .. }) => time_outs += 1,
            Err(Error::Stopped(_)) => stopped += 1,
            Err(other) => panic!("{other}"),
        }
        model.ends(txn);
        locks.release_all(txn);
    }
    [deadlocks, time_outs, stopped]
}

fn live(lock_wait_timeout: Duration, stops: bool, met: &Met) {
    let (locks, model) = (LockManager::new(lock_wait_timeout), Model::default());
    let (committed, receiver) = mpsc::channel();
    let ends = thread::scope(|scope| {
        let (locks, model) = (&locks, &model);
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| {
                let committed = committed.clone();
                scope.spawn(move || client(locks, model, number, &committed))
            })
            .collect();
        drop(committed);
        scope.spawn(move || {
            for txn in receiver {
                thread::yield_now();
                model.ends(txn);
                locks.release_all(txn);
            }
        });
        if stops {
            thread::sleep(Duration::from_millis(choose("test/stop", 10)));
            locks.stop("a test");
        }
        let ends: Vec<[u64; 3]> =
            clients.into_iter().map(|client| client.join().expect("it does not panic")).collect();
        ends
    });
    assert!(locks.is_idle(), "all have ended");
    let sum = |which: usize| ends.iter().map(|end| end[which]).sum::<u64>();
    let counters = locks.counters();
    assert_eq!((counters.deadlocks, counters.time_outs), (sum(0), sum(1)));
    assert!(stops || sum(2) == 0, "{} were told that all has stopped", sum(2));
    met.deadlocks.fetch_add(sum(0), Relaxed);
    met.time_outs.fetch_add(sum(1), Relaxed);
    met.stopped.fetch_add(sum(2), Relaxed);
    met.waited.fetch_add(counters.waited, Relaxed);
    met.upgraded.fetch_add(model.upgraded.load(Relaxed), Relaxed);
}

#[test]
fn no_two_hold_what_does_not_go_together_and_everybody_ends() {
    let met = Met::default();
    let mut sim = Sim::new("no_two_hold_what_does_not_go_together").seeds(0..600);
    for fault in [Fault::SpuriousWake, Fault::WallForward, Fault::WallBack, Fault::Suspend] {
        sim = sim.fault(fault, 20_000);
    }
    sim.run(|machine| {
        machine.run(|_| {
            let lock_wait_timeout = match choose("test/timeout", 4) {
                0 | 1 => FOR_EVER,
                2 => Duration::from_millis(1 + choose("test/timeout_ms", 5)),
                _ => Duration::ZERO,
            };
            live(lock_wait_timeout, choose("test/stops", 8) == 0, &met);
        });
    });
    let counts = [
        ("deadlocks", &met.deadlocks, 500),
        ("time-outs", &met.time_outs, 500),
        ("stopped", &met.stopped, 100),
        ("waited", &met.waited, 2_000),
        ("upgraded", &met.upgraded, 500),
    ];
    for (what, count, least) in counts {
        let count = count.load(Relaxed);
        println!("{what}: {count}");
        assert!(count >= least, "{what}: {count}, at least {least} expected");
    }
}

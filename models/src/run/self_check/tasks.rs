//! Tasks on the seam: sums and counts that no schedule may change, and clocks that tell one time.

use std::time::Duration;

use falconry_seam::sync::atomic::{AtomicU64, Ordering};
use falconry_seam::sync::{Condvar, Mutex, mpsc};
use falconry_seam::thread;
use falconry_seam::time::{Instant, SystemTime};
use falconry_sim::fault::{Fault, FaultSet, When};

use super::{delivered, harness};
use crate::oracle::Breach;

const PAUSE: Duration = Duration::from_millis(1);

/// What all tasks share.
struct Shared {
    locked: Mutex<u64>,
    atomic: AtomicU64,
    /// Weak exchanges that failed although the value was the one expected.
    weak_failures: AtomicU64,
}

/// Runs the tasks, and compares what they did with what they must have done.
pub(super) fn check(tasks: u32, rounds: u64, admitted: FaultSet) -> Result<(), Breach> {
    clocks(admitted)?;
    waits(rounds)?;
    sums(tasks, rounds)
}

fn sums(tasks: u32, rounds: u64) -> Result<(), Breach> {
    let shared = Shared {
        locked: Mutex::new(0),
        atomic: AtomicU64::new(0),
        weak_failures: AtomicU64::new(0),
    };
    let (refused_before, weak_before) =
        (delivered(Fault::SpawnFail), delivered(Fault::WeakCasFail));
    let (sender, receiver) = mpsc::channel();
    let mut spawned = 0;
    let received = thread::scope(|scope| {
        for number in 0..tasks {
            let (sender, shared) = (sender.clone(), &shared);
            let builder = thread::Builder::new().name(format!("adder {number}"));
            let task = builder.spawn_scoped(scope, move || {
                for round in 0..rounds {
                    add(shared);
                    let _ = sender.send(round);
                }
            });
            spawned += u64::from(task.is_ok());
        }
        drop(sender);
        let mut received = 0;
        while let Ok(round) = receiver.recv() {
            received += round + 1;
        }
        received
    });
    if falconry_sim::is_off() {
        return Ok(());
    }
    let locked = shared.locked.lock().map(|sum| *sum).unwrap_or(0);
    let rows = [
        ("sum under a lock", locked, spawned * rounds),
        ("sum of an atomic", shared.atomic.load(Ordering::SeqCst), spawned * rounds),
        ("sum of messages", received, spawned * rounds * (rounds + 1) / 2),
        ("tasks refused", delivered(Fault::SpawnFail) - refused_before, u64::from(tasks) - spawned),
    ];
    for (what, found, expected) in rows {
        if found != expected {
            return Err(harness("a concurrent program has the wrong outcome", what)
                .row("expected", expected.to_string())
                .row("found", found.to_string()));
        }
    }
    // One that would have failed anyway may be counted as well.
    let weak = delivered(Fault::WeakCasFail) - weak_before;
    let seen = shared.weak_failures.load(Ordering::SeqCst);
    if weak < seen {
        return Err(harness("the counter of weak_cas_fail is wrong", "tasks")
            .row("expected", format!("at least {seen}"))
            .row("found", weak.to_string()));
    }
    Ok(())
}

fn add(shared: &Shared) {
    if let Ok(mut sum) = shared.locked.lock() {
        *sum += 1;
    }
    let mut seen = shared.atomic.load(Ordering::SeqCst);
    loop {
        let result =
            shared.atomic.compare_exchange_weak(seen, seen + 1, Ordering::SeqCst, Ordering::SeqCst);
        match result {
            Ok(_) => return,
            Err(now) => {
                if now == seen {
                    shared.weak_failures.fetch_add(1, Ordering::SeqCst);
                }
                seen = now;
            }
        }
    }
}

/// Waits that nobody ends: each is over in time, unless it was woken for no reason.
fn waits(rounds: u64) -> Result<(), Breach> {
    let before = delivered(Fault::SpuriousWake);
    let (lock, condvar) = (Mutex::new(()), Condvar::new());
    let mut early = 0;
    for _ in 0..rounds {
        let started = Instant::now();
        let Ok(guard) = lock.lock() else { continue };
        let timed_out = match condvar.wait_timeout(guard, PAUSE) {
            Ok((_guard, result)) => result.timed_out(),
            Err(_) => true,
        };
        let parked = Instant::now();
        thread::park_timeout(PAUSE);
        if falconry_sim::is_off() {
            return Ok(());
        }
        early += u64::from(!timed_out) + u64::from(parked.elapsed() < PAUSE);
        if timed_out && parked.duration_since(started) < PAUSE {
            return Err(harness("a wait timed out before its time", "condvar"));
        }
    }
    let woken = delivered(Fault::SpuriousWake) - before;
    if early == woken {
        return Ok(());
    }
    Err(harness("the counter of spurious_wake is wrong", "waits")
        .row("expected", format!("{early} waits that ended early"))
        .row("found", woken.to_string()))
}

/// Both clocks over one sleep: the wall clock goes with the monotonic one unless a fault of a clock
/// was delivered.
fn clocks(admitted: FaultSet) -> Result<(), Breach> {
    let faults = || -> u64 {
        Fault::ALL.iter().filter(|fault| fault.when() == When::Clock).map(|f| delivered(*f)).sum()
    };
    let clean = admitted.iter().all(|fault| fault.when() != When::Clock);
    for _ in 0..4 {
        let before = faults();
        let (started, wall) = (Instant::now(), SystemTime::now());
        thread::sleep(PAUSE);
        let wall_passed = SystemTime::now().duration_since(wall);
        let passed = started.elapsed();
        if falconry_sim::is_off() {
            return Ok(());
        }
        let came = faults() - before;
        if clean && came > 0 {
            return Err(harness("a fault came that was switched off", "clocks"));
        }
        let agree = wall_passed.as_ref().is_ok_and(|wall| *wall == passed);
        if passed < PAUSE || (clean && !agree) {
            return Err(harness("a clock is wrong without a fault", "clocks")
                .row("expected", format!("{passed:?}"))
                .row("found", format!("{wall_passed:?}")));
        }
    }
    Ok(())
}

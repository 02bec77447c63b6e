//! Waits that last too long.

use std::sync::Arc;
use std::time::Duration;

use falcon::lock::LockManager;
use falcon::lock::LockMode::{Exclusive, Shared};
use falcon::{Error, TxnId};
use falconry_seam::sync::atomic::{AtomicBool, Ordering};
use falconry_seam::thread;
use falconry_seam::time::{Instant, SystemTime};
use falconry_sim::check::Sim;
use falconry_sim::fault::Fault;

use super::{Scene, record};

const TIMEOUT: Duration = Duration::from_secs(10);
/// What a thread may lose beyond its sleep.
const SLACK: Duration = Duration::from_millis(500);

/// Runs `scene` while the wall clock jumps to and fro.
fn with_jumps(name: &str, scene: impl Fn() + Sync) {
    let mut sim = Sim::new(name).seeds(0..60).fault(Fault::SpuriousWake, 200_000);
    for fault in [Fault::WallForward, Fault::WallBack, Fault::WallCoarse, Fault::WallDrift] {
        sim = sim.fault(fault, 200_000);
    }
    sim.run(|machine| {
        machine.run(|_| {
            let is_over = Arc::new(AtomicBool::new(false));
            let told = Arc::clone(&is_over);
            let jumps = thread::spawn(move || {
                while !told.load(Ordering::SeqCst) {
                    let _ = SystemTime::now();
                    thread::sleep(Duration::from_millis(100));
                }
            });
            scene();
            is_over.store(true, Ordering::SeqCst);
            jumps.join().expect("it does not panic");
        });
        let jumps = machine.faults().delivered(Fault::WallForward);
        assert!(jumps > 0, "the wall clock never jumped");
    });
}

#[test]
fn a_wait_lasts_as_long_as_it_may_whatever_the_wall_clock_says() {
    with_jumps("a_wait_lasts_as_long_as_it_may", || {
        let locks = LockManager::new(TIMEOUT);
        locks.lock(TxnId(1), &record(7), Exclusive).expect("it is free");
        locks.lock(TxnId(2), &record(8), Exclusive).expect("it is free");
        let start = Instant::now();
        let error = locks.lock(TxnId(2), &record(7), Shared).expect_err("it is held");
        let elapsed = start.elapsed();
        assert!((TIMEOUT..TIMEOUT + SLACK).contains(&elapsed), "{elapsed:?}");
        let text = "transaction 2 did not get the shared lock on record 7 of table 1 within 10s: \
                    transaction 1 was before it";
        assert_eq!(error.to_string(), text);
        assert_eq!((locks.counters().waited, locks.counters().time_outs), (1, 1));
        // It has kept what it held.
        assert!(locks.lock(TxnId(1), &record(8), Shared).is_err());
        locks.release_all(TxnId(1));
        locks.lock(TxnId(2), &record(7), Shared).expect("it is free");
        locks.release_all(TxnId(2));
        assert!(locks.is_idle());
    });
}

#[test]
fn what_comes_in_time_is_had() {
    with_jumps("what_comes_in_time_is_had", || {
        let scene = Scene::new(TIMEOUT);
        scene.holds(1, &record(7), Exclusive);
        let waits = scene.waits(2, &record(7), Exclusive);
        thread::sleep(TIMEOUT - SLACK);
        scene.ends(1, 1);
        waits.join().expect("it does not panic").expect("it came in time");
    });
}

#[test]
fn those_behind_one_that_gives_up_go_on() {
    with_jumps("those_behind_one_that_gives_up_go_on", || {
        let scene = Scene::new(TIMEOUT);
        scene.holds(1, &record(7), Shared);
        let start = Instant::now();
        let writer = scene.waits(2, &record(7), Exclusive);
        thread::sleep(Duration::from_secs(3));
        let reader = scene.waits(3, &record(7), Shared);
        let error =
            writer.join().expect("it does not panic").expect_err("it was held all the time");
        assert!(matches!(error, Error::LockTimeout { behind: TxnId(1), .. }), "{error}");
        reader.join().expect("it does not panic").expect("nobody is before it any more");
        let elapsed = start.elapsed();
        assert!((TIMEOUT..TIMEOUT + 2 * SLACK).contains(&elapsed), "{elapsed:?}");
        scene.ends(1, 1);
        scene.ends(3, 1);
        assert!(scene.locks.is_idle());
    });
}

#[test]
fn without_patience_nobody_waits() {
    Sim::new("without_patience_nobody_waits").seeds(0..4).run(|machine| {
        machine.run(|_| {
            let locks = LockManager::new(Duration::ZERO);
            locks.lock(TxnId(1), &record(7), Shared).expect("it is free");
            locks.lock(TxnId(2), &record(7), Shared).expect("the two go together");
            let start = Instant::now();
            for txn in [1, 2] {
                let error = locks.lock(TxnId(txn), &record(7), Exclusive).expect_err("it is held");
                let Error::LockTimeout { timeout, behind, .. } = error else { panic!("{error}") };
                assert_eq!((timeout, behind), (Duration::ZERO, TxnId(3 - txn)));
            }
            assert!(start.elapsed() < SLACK);
            let counters = locks.counters();
            assert_eq!((counters.waited, counters.time_outs, counters.deadlocks), (0, 2, 0));
            locks.release_all(TxnId(1));
            locks.lock(TxnId(2), &record(7), Exclusive).expect("nobody else holds it");
            locks.release_all(TxnId(2));
            assert!(locks.is_idle());
        });
    });
}

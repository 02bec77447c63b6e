//! Waits that last too long.

use std::sync::Arc;
use std::time::Duration;

use falcon::lock::LockManager;
use falcon::lock::LockMode::{Exclusive, IntentExclusive, IntentShared, Shared};
use falcon::{Error, TxnId};
use falconry_seam::sync::atomic::{AtomicBool, Ordering};
use falconry_seam::thread;
use falconry_seam::time::{Instant, SystemTime};
use falconry_sim::check::Sim;
use falconry_sim::fault::Fault;

use super::{Scene, record, table};

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

/// A client's last transaction, durable already and not on pages yet, once refused the client's next one.
#[test]
fn who_waits_only_for_those_that_are_about_to_end_is_not_refused() {
    Sim::new("who_waits_only_for_those_that_are_about_to_end").seeds(0..40).run(|machine| {
        machine.run(|_| {
            for timeout in [Duration::ZERO, Duration::from_millis(100)] {
                let scene = Scene::new(timeout);
                scene.holds(1, &record(7), Exclusive);
                scene.locks.ends(TxnId(1));
                // The second waits for the first in the queue, which does not count either.
                let first = scene.waits(2, &record(7), Shared);
                let second = scene.waits(3, &record(7), Shared);
                scene.stays(&[]);
                let mut got = scene.ends(1, 2);
                got.sort_unstable();
                assert_eq!(got, [2, 3]);
                for thread in [first, second] {
                    thread.join().expect("it does not panic").expect("it was worth the wait");
                }
                assert_eq!(scene.locks.counters().time_outs, 0);
                scene.ends(2, 2);
                scene.ends(3, 2);
                assert!(scene.locks.is_idle());
            }
        });
    });
}

#[test]
fn an_end_that_comes_in_time_is_waited_for() {
    with_jumps("an_end_that_comes_in_time_is_waited_for", || {
        let scene = Scene::new(TIMEOUT);
        scene.holds(1, &record(7), Exclusive);
        let waits = scene.waits(2, &record(7), Exclusive);
        thread::sleep(TIMEOUT - SLACK);
        scene.locks.ends(TxnId(1));
        thread::sleep(2 * TIMEOUT);
        assert!(!waits.is_finished(), "it waits on");
        scene.ends(1, 1);
        waits.join().expect("it does not panic").expect("it was worth the wait");
    });
}

/// What is waited for beyond the time goes to another, which may take as long as it likes.
#[test]
fn who_waits_beyond_its_time_is_refused_when_another_comes_before_it() {
    Sim::new("who_waits_beyond_its_time").seeds(0..60).run(|machine| {
        machine.run(|_| {
            let scene = Scene::new(Duration::ZERO);
            scene.holds(1, &record(7), Exclusive);
            scene.locks.ends(TxnId(1));
            scene.holds(2, &record(8), Exclusive);
            scene.waits(2, &record(7), Exclusive);
            let in_queue = scene.waits(3, &record(7), Exclusive);
            let behind = scene.waits(4, &record(8), Shared);
            scene.stays(&[]);
            assert_eq!(scene.ends(1, 1), [2]);
            for (txn, thread) in [(3, in_queue), (4, behind)] {
                let error = thread.join().expect("it does not panic").expect_err("2 goes on");
                let Error::LockTimeout { behind, .. } = error else { panic!("{error}") };
                assert_eq!(behind, TxnId(2), "transaction {txn}");
                scene.ends(txn, 1);
            }
            scene.ends(2, 1);
            assert!(scene.locks.is_idle());
        });
    });
}

/// The same, but it is an upgrade that comes before it.
#[test]
fn who_waits_beyond_its_time_is_refused_when_a_reader_becomes_a_writer() {
    Sim::new("who_waits_beyond_its_time_upgrade").seeds(0..60).run(|machine| {
        machine.run(|_| {
            let scene = Scene::new(Duration::ZERO);
            scene.holds(1, &table(), IntentExclusive);
            scene.holds(2, &table(), IntentShared);
            scene.locks.ends(TxnId(1));
            let waits = scene.waits(3, &table(), Shared);
            // It goes with what the first holds, and not with what the third wants.
            scene.holds(2, &table(), IntentExclusive);
            let error = waits.join().expect("it does not panic").expect_err("2 goes on");
            assert!(matches!(error, Error::LockTimeout { behind: TxnId(2), .. }), "{error}");
        });
    });
}

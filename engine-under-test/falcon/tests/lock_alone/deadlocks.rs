//! Transactions that wait for each other: the youngest of them is told, the others go on.

use falcon::lock::LockManager;
use falcon::lock::LockMode::{Exclusive, IntentExclusive, IntentShared, Shared};
use falcon::{Error, TxnId};
use falconry_seam::sync::Barrier;
use falconry_seam::sync::atomic::{AtomicU64, Ordering};
use falconry_seam::thread;
use falconry_sim::check::Sim;
use falconry_sim::fault::Fault;

use super::{FOR_EVER, Scene, key, record, table};

/// So many transactions, each of which holds a lock that the one before it wants. Returns how many of
/// them were told of a deadlock.
fn ring(count: u64) -> usize {
    let locks = LockManager::new(FOR_EVER);
    let all_hold = Barrier::new(count as usize);
    let around = |number: u64| {
        let txn = TxnId(1 + number);
        locks.lock(txn, &record(number), Exclusive).expect("it is free");
        all_hold.wait();
        let result = locks.lock(txn, &record((number + 1) % count), Shared);
        locks.release_all(txn);
        result
    };
    let around = &around;
    let results: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> =
            (0..count).map(|number| scope.spawn(move || around(number))).collect();
        threads.into_iter().map(|thread| thread.join().expect("it does not panic")).collect()
    });
    assert!(locks.is_idle());
    let errors: Vec<_> = results.into_iter().filter_map(Result::err).collect();
    for error in &errors {
        let Error::Deadlock { txn, mode, cycle, .. } = error else { panic!("{error}") };
        assert_eq!((*txn, *mode), (TxnId(count), Shared), "the youngest is told");
        assert!(cycle.starts_with(&format!("{txn} waits for ")), "{cycle}");
        assert!(cycle.ends_with(&format!(" waits for {txn}")), "{cycle}");
        assert_eq!(cycle.matches(" waits for ").count() as u64, count, "{cycle}");
    }
    assert_eq!(locks.counters().deadlocks, errors.len() as u64);
    errors.len()
}

#[test]
fn exactly_one_of_those_that_wait_in_a_ring_is_told() {
    let sim = Sim::new("exactly_one_of_those_that_wait_in_a_ring_is_told");
    sim.seeds(0..200).fault(Fault::SpuriousWake, 100_000).run(|machine| {
        for count in 2..=4 {
            assert_eq!(machine.run(|_| ring(count)), 1, "{count} in a ring");
        }
    });
}

#[test]
fn two_upgrades_of_one_lock_are_a_deadlock() {
    Sim::new("two_upgrades_of_one_lock_are_a_deadlock").seeds(0..20).run(|machine| {
        machine.run(|_| {
            let scene = Scene::new(FOR_EVER);
            scene.holds(1, &key(7), Shared);
            scene.holds(2, &key(7), Shared);
            let first = scene.waits(1, &key(7), Exclusive);
            let error = scene.locks.lock(TxnId(2), &key(7), Exclusive).expect_err("a deadlock");
            let text = "transaction 2 cannot have the exclusive lock on key 0x07 of index 1 of \
                        table 1: transaction 2 waits for transaction 1, which waits for \
                        transaction 2";
            assert_eq!(error.to_string(), text);
            scene.stays(&[]);
            assert_eq!(scene.ends(2, 1), [1]);
            first.join().expect("it does not panic").expect("it is the only one");
            scene.ends(1, 1);
            assert!(scene.locks.is_idle());
        });
    });
}

/// A request behind another waits for that one, also where the two go together. A search that passed
/// over such waits would miss this cycle, and all three would wait until the time is over.
#[test]
fn a_cycle_may_go_through_a_place_in_the_queue() {
    Sim::new("a_cycle_may_go_through_a_place_in_the_queue").seeds(0..20).run(|machine| {
        machine.run(|_| {
            let scene = Scene::new(FOR_EVER);
            scene.holds(1, &table(), IntentExclusive);
            scene.holds(3, &record(7), Exclusive);
            scene.waits(2, &table(), Shared);
            let youngest = scene.waits(3, &table(), IntentShared);
            scene.waits(1, &record(7), Shared);
            let error = youngest.join().expect("it does not panic").expect_err("a deadlock");
            let Error::Deadlock { txn, name, mode, cycle } = error else { panic!("{error}") };
            assert_eq!((txn, name, mode), (TxnId(3), table(), IntentShared));
            let expected = "transaction 3 waits for transaction 2, which waits for transaction 1, \
                            which waits for transaction 3";
            assert_eq!(cycle, expected);
            // It has kept what it held, until it is rolled back.
            scene.stays(&[]);
            assert_eq!(scene.ends(3, 1), [1]);
            assert_eq!(scene.ends(1, 2), [1, 2]);
            scene.ends(2, 2);
            assert!(scene.locks.is_idle());
        });
    });
}

/// Once whoever closed the cycle was told. A long transaction could be refused again and again by short ones
/// that only waited for it.
#[test]
fn the_youngest_is_told_although_it_waited_first() {
    Sim::new("the_youngest_is_told_although_it_waited_first").seeds(0..40).run(|machine| {
        machine.run(|_| {
            let scene = Scene::new(FOR_EVER);
            scene.holds(1, &record(7), Exclusive);
            scene.holds(2, &record(8), Exclusive);
            let youngest = scene.waits(2, &record(7), Shared);
            let oldest = scene.waits(1, &record(8), Shared);
            let error = youngest.join().expect("it does not panic").expect_err("a deadlock");
            let text = "transaction 2 cannot have the shared lock on record 7 of table 1: \
                        transaction 2 waits for transaction 1, which waits for transaction 2";
            assert_eq!(error.to_string(), text);
            assert!(!oldest.is_finished(), "the other has not given its locks back yet");
            assert_eq!(scene.ends(2, 1), [1]);
            oldest.join().expect("it does not panic").expect("it gets it");
            scene.ends(1, 1);
            assert_eq!(scene.locks.counters().deadlocks, 1);
            assert!(scene.locks.is_idle());
        });
    });
}

/// One request may close two cycles. The youngest of each is told, and the request goes on.
#[test]
fn a_request_that_closes_two_cycles_ends_two_waits() {
    Sim::new("a_request_that_closes_two_cycles").seeds(0..40).run(|machine| {
        machine.run(|_| {
            let scene = Scene::new(FOR_EVER);
            scene.holds(1, &record(1), Exclusive);
            scene.holds(2, &record(7), Shared);
            scene.holds(3, &record(7), Shared);
            let waits = [2, 3].map(|txn| scene.waits(txn, &record(1), Shared));
            scene.waits(1, &record(7), Exclusive);
            for thread in waits {
                let error = thread.join().expect("it does not panic").expect_err("a deadlock");
                assert!(matches!(error, Error::Deadlock { .. }), "{error}");
            }
            scene.ends(2, 0);
            assert_eq!(scene.ends(3, 1), [1]);
            assert_eq!(scene.locks.counters().deadlocks, 2);
        });
    });
}

/// Two clients that lock the same two records the other way round, and try again at once.
#[test]
fn whoever_tries_again_gets_through() {
    const COMMITS: u64 = 12;
    Sim::new("whoever_tries_again_gets_through").seeds(0..200).run(|machine| {
        machine.run(|_| {
            let (locks, next) = (LockManager::new(FOR_EVER), AtomicU64::new(1));
            let client = |records: [u64; 2]| {
                for _ in 0..COMMITS {
                    loop {
                        let txn = TxnId(next.fetch_add(1, Ordering::Relaxed));
                        let locked = records
                            .iter()
                            .try_for_each(|number| locks.lock(txn, &record(*number), Exclusive));
                        locks.release_all(txn);
                        if locked.is_ok() {
                            break;
                        }
                    }
                }
            };
            let client = &client;
            thread::scope(|scope| {
                scope.spawn(move || client([1, 2]));
                scope.spawn(move || client([2, 1]));
            });
            // Each refusal lets an older one through, which is refused no more.
            let deadlocks = locks.counters().deadlocks;
            assert!(deadlocks <= 2 * COMMITS, "{deadlocks} refusals");
            assert!(locks.is_idle());
        });
    });
}

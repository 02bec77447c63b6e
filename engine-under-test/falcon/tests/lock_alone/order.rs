//! Who gets a lock first.

use falcon::lock::LockMode::{Exclusive, IntentExclusive, IntentShared, Shared};
use falconry_sim::check::Sim;

use super::{FOR_EVER, Scene, record, table};

#[test]
fn locks_are_had_in_the_order_of_the_requests_and_together_where_they_go_together() {
    Sim::new("locks_are_had_in_the_order_of_the_requests").seeds(0..40).run(|machine| {
        machine.run(|_| {
            let scene = Scene::new(FOR_EVER);
            scene.holds(1, &record(7), Exclusive);
            scene.holds(1, &record(8), Exclusive);
            for (txn, mode) in [(2, Shared), (3, Shared), (4, Exclusive), (5, Shared)] {
                scene.waits(txn, &record(7), mode);
            }
            let mut got = scene.ends(1, 2);
            got.sort_unstable();
            assert_eq!(got, [2, 3], "the two that go together");
            let got = scene.got();
            scene.stays(&got);
            assert_eq!(scene.ends(2, 2), got, "a reader is left");
            scene.stays(&got);
            assert_eq!(scene.ends(3, 3)[2..], [4]);
            scene.stays(&[&got[..], &[4]].concat());
            assert_eq!(scene.ends(4, 4)[3..], [5]);
            assert!(!scene.locks.is_idle());
            scene.locks.release_all(falcon::TxnId(5));
            assert!(scene.locks.is_idle());
            let counters = scene.locks.counters();
            assert_eq!((counters.granted, counters.waited), (6, 4));
            assert_eq!((counters.deadlocks, counters.time_outs), (0, 0));
        });
    });
}

#[test]
fn a_reader_does_not_pass_a_writer_that_waits() {
    Sim::new("a_reader_does_not_pass_a_writer_that_waits").seeds(0..40).run(|machine| {
        machine.run(|_| {
            let scene = Scene::new(FOR_EVER);
            scene.holds(1, &table(), IntentExclusive);
            scene.waits(2, &table(), Shared);
            scene.waits(3, &table(), IntentShared);
            scene.stays(&[]);
            let mut got = scene.ends(1, 2);
            got.sort_unstable();
            assert_eq!(got, [2, 3]);
        });
    });
}

#[test]
fn what_is_held_is_had_again_whoever_waits() {
    Sim::new("what_is_held_is_had_again_whoever_waits").seeds(0..10).run(|machine| {
        machine.run(|_| {
            let scene = Scene::new(FOR_EVER);
            scene.holds(1, &table(), Shared);
            scene.waits(2, &table(), Exclusive);
            scene.holds(1, &table(), Shared);
            scene.holds(1, &table(), IntentShared);
            assert_eq!(scene.locks.counters().granted, 1, "nothing was new");
            // The supremum of both is more, and nobody else holds the lock.
            scene.holds(1, &table(), IntentExclusive);
            assert_eq!(scene.locks.counters().granted, 2);
            scene.stays(&[]);
            assert_eq!(scene.ends(1, 1), [2]);
        });
    });
}

#[test]
fn an_upgrade_goes_before_the_others() {
    Sim::new("an_upgrade_goes_before_the_others").seeds(0..40).run(|machine| {
        machine.run(|_| {
            let scene = Scene::new(FOR_EVER);
            scene.holds(1, &record(7), Shared);
            scene.holds(2, &record(7), Shared);
            scene.waits(3, &record(7), Exclusive);
            scene.waits(1, &record(7), Exclusive);
            scene.stays(&[]);
            assert_eq!(scene.ends(2, 1), [1]);
            scene.stays(&[1]);
            assert_eq!(scene.ends(1, 2), [1, 3]);
        });
    });
}

#[test]
fn an_upgrade_that_fits_the_holders_passes_one_that_does_not() {
    Sim::new("an_upgrade_that_fits_the_holders").seeds(0..10).run(|machine| {
        machine.run(|_| {
            let scene = Scene::new(FOR_EVER);
            scene.holds(1, &table(), IntentExclusive);
            scene.holds(2, &table(), IntentShared);
            scene.waits(1, &table(), Exclusive);
            scene.holds(2, &table(), IntentExclusive);
            scene.stays(&[]);
            assert_eq!(scene.ends(2, 1), [1]);
        });
    });
}

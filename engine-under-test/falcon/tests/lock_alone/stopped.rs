//! Locks of an engine that has stopped.

use std::time::Duration;

use falcon::lock::LockMode::{Exclusive, Shared};
use falcon::{Error, TxnId};
use falconry_sim::check::Sim;

use super::{FOR_EVER, Scene, record};

#[test]
fn all_who_wait_and_all_who_come_later_are_told() {
    Sim::new("all_who_wait_and_all_who_come_later_are_told").seeds(0..60).run(|machine| {
        machine.run(|_| {
            let scene = Scene::new(FOR_EVER);
            scene.holds(1, &record(7), Exclusive);
            let reader = scene.waits(2, &record(7), Shared);
            let writer = scene.waits(3, &record(7), Exclusive);
            scene.locks.stop("the disk is gone");
            scene.locks.stop("another reason");
            // Whether this comes before or after the waiters wake, they do not get the lock.
            scene.locks.release_all(TxnId(1));
            let later = scene.locks.lock(TxnId(1), &record(8), Shared);
            let waited = [reader, writer].map(|thread| thread.join().expect("it does not panic"));
            for result in waited.into_iter().chain([later]) {
                let error = result.expect_err("nobody gets a lock any more");
                assert!(matches!(error, Error::Stopped(_)), "{error}");
                assert_eq!(error.to_string(), "the engine has stopped: the disk is gone");
            }
            assert!(scene.locks.is_idle());
            assert!(scene.got().is_empty(), "nobody got the lock");
        });
    });
}

#[test]
fn who_waits_beyond_its_time_is_told_too() {
    Sim::new("who_waits_beyond_its_time_is_told_too").seeds(0..20).run(|machine| {
        machine.run(|_| {
            let scene = Scene::new(Duration::ZERO);
            scene.holds(1, &record(7), Exclusive);
            scene.locks.ends(TxnId(1));
            let waits = scene.waits(2, &record(7), Shared);
            scene.locks.stop("the disk is gone");
            let error = waits.join().expect("it does not panic").expect_err("it is not to have it");
            assert!(matches!(error, Error::Stopped(_)), "{error}");
            scene.ends(1, 0);
            assert!(scene.locks.is_idle());
        });
    });
}

//! Atomics, cells, clocks, assertions, foreign frames.

use std::panic::{AssertUnwindSafe, resume_unwind};
use std::time::Duration;

use falconry_seam::cell::UnsafeCell;
use falconry_seam::hook::{self, ObjectId};
use falconry_seam::sync::atomic::{AtomicBool, AtomicU32, Ordering, fence};
use falconry_seam::time::{Instant, SystemTime, UNIX_EPOCH};
use falconry_seam::{PowerOff, catch_unwind, foreign, hint, work};
use falconry_seam::{always, buggify, planted, reachable, sometimes};

use crate::fake::on_fake;

#[test]
fn each_access_is_a_point_and_exclusive_ones_are_none() {
    on_fake(|fake| {
        let mut number = AtomicU32::new(1);
        number.store(number.load(Ordering::SeqCst) + 1, Ordering::SeqCst);
        number.fetch_add(1, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        assert_eq!(fake.calls(), ["point Atomic"; 4]);
        *number.get_mut() += 1;
        assert_eq!(format!("{number:?}"), "4");
        assert_eq!(number.into_inner(), 4);
        assert!(fake.calls().is_empty());

        let cell = UnsafeCell::new(1);
        // SAFETY: this thread alone has the cell.
        cell.with_mut(|value| unsafe { *value = 2 });
        // SAFETY: this thread alone has the cell.
        assert_eq!(cell.with(|value| unsafe { *value }), 2);
        hint::spin_loop();
        assert_eq!(fake.calls(), ["point Cell", "point Cell", "point Spin"]);
    });
}

#[test]
fn a_weak_exchange_may_fail_for_no_reason_and_a_strong_one_may_not() {
    on_fake(|fake| {
        let flag = AtomicBool::new(false);
        fake.weak_fails.set(true);
        let exchange = AtomicBool::compare_exchange_weak;
        assert_eq!(exchange(&flag, false, true, Ordering::SeqCst, Ordering::SeqCst), Err(false));
        assert!(!flag.load(Ordering::SeqCst));
        let exchange = AtomicBool::compare_exchange;
        assert_eq!(exchange(&flag, false, true, Ordering::SeqCst, Ordering::SeqCst), Ok(false));
    });
}

#[test]
fn clocks_are_virtual() {
    let real = (Instant::now(), SystemTime::now());
    on_fake(|fake| {
        let start = Instant::now();
        fake.now_ns.set(1_500);
        assert_eq!(start.elapsed(), Duration::from_nanos(1_500));
        assert!(start < Instant::now());
        // A program may look back beyond the beginning of virtual time.
        let long_ago = start - Duration::from_secs(3_600);
        assert_eq!(start - long_ago, Duration::from_secs(3_600));
        assert_eq!(start.checked_add(Duration::MAX), None);

        let wall = SystemTime::now();
        let stored = UNIX_EPOCH + Duration::new(1, 1_500);
        assert_eq!(wall, stored);
        assert_eq!(wall.duration_since(UNIX_EPOCH).unwrap(), Duration::new(1, 1_500));

        assert!(catch_unwind(|| start < real.0).is_err());
        assert!(catch_unwind(|| real.0.elapsed()).is_err());
        assert!(catch_unwind(|| wall == real.1).is_err());
        assert!(catch_unwind(|| real.1.elapsed()).is_err());
    });
}

#[test]
fn assertions_are_told_to_the_machine() {
    const BUG: &str = "planted";
    on_fake(|fake| {
        always!(true, "holds", "{} is formatted", 1);
        sometimes!(false, "rare");
        reachable!("place");
        assert!(catch_unwind(|| always!(1 > 2, "broken", "a {}", "detail")).is_err());
        let unreachable: Result<(), _> =
            catch_unwind(|| falconry_seam::unreachable!("never", "but {}", 3));
        assert!(unreachable.is_err());
        assert!(buggify!("often", 1_000) && !buggify!("seldom", 1));
        assert!(planted!(BUG) && !planted!("mended"));
        work(12);
        let calls = [
            "Always holds true [1 is formatted]",
            "Sometimes rare false []",
            "Reachable place true []",
            "Always broken false [a detail]",
            "Unreachable never false [but 3]",
            "buggify often 1000",
            "buggify seldom 1",
            "work 12",
        ];
        assert_eq!(fake.calls(), calls);
    });
}

#[test]
fn power_off_passes_through_what_catches_panics() {
    let caught = catch_unwind(|| resume_unwind(Box::new("a panic")));
    assert_eq!(caught.unwrap_err().downcast_ref(), Some(&"a panic"));
    let passed = std::panic::catch_unwind(|| catch_unwind(|| resume_unwind(Box::new(PowerOff))));
    assert!(passed.unwrap_err().is::<PowerOff>());
}

#[test]
fn a_foreign_frame_is_left_even_by_a_panic() {
    on_fake(|fake| {
        assert_eq!(foreign(|| foreign(|| 3)), 3);
        let panicked = catch_unwind(AssertUnwindSafe(|| foreign(|| resume_unwind(Box::new(())))));
        assert!(panicked.is_err());
        let (enter, leave) = ("enter_foreign", "leave_foreign");
        assert_eq!(fake.calls(), [enter, enter, leave, leave, enter, leave]);
    });
}

#[test]
fn nothing_is_told_to_a_machine_from_outside_it() {
    on_fake(|fake| {
        hook::outside(|| {
            work(1);
            AtomicU32::new(1).load(Ordering::SeqCst);
            assert!(!hook::is_simulated());
        });
        assert!(hook::is_simulated());
        assert!(fake.calls().is_empty());
    });
}

#[test]
fn an_identity_keeps_what_the_machine_gave_it() {
    let id = ObjectId::new();
    assert_eq!(id.get(), 0);
    let largest = u64::from(u32::MAX >> 1) << 32 | u64::from(u32::MAX);
    id.set(largest);
    assert_eq!(id.get(), largest);
    assert!(std::panic::catch_unwind(AssertUnwindSafe(|| id.set(u64::MAX))).is_err());
}

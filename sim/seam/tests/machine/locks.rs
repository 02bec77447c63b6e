//! Locks, condition variables, channels, what runs once.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use falconry_seam::hook::Wake;
use falconry_seam::sync::mpsc::{TrySendError, channel, sync_channel};
use falconry_seam::sync::{Barrier, Condvar, LazyLock, Mutex, Once, OnceLock, RwLock};

use crate::fake::on_fake;

/// Runs `f` in a destructor while this OS thread unwinds.
fn while_unwinding(f: impl FnOnce()) {
    struct OnDrop<F: FnOnce()>(Option<F>);
    impl<F: FnOnce()> Drop for OnDrop<F> {
        fn drop(&mut self) {
            (self.0.take().unwrap())();
        }
    }
    let result = catch_unwind(AssertUnwindSafe(|| {
        let _on_drop = OnDrop(Some(f));
        std::panic::resume_unwind(Box::new(()));
    }));
    assert!(result.is_err());
}

fn message(f: impl FnOnce()) -> String {
    let payload = catch_unwind(AssertUnwindSafe(f)).unwrap_err();
    match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => (*payload.downcast_ref::<&str>().unwrap()).to_owned(),
    }
}

#[test]
fn a_mutex_asks_for_every_lock_and_gives_it_back() {
    on_fake(|fake| {
        let lock = Mutex::new(1);
        *lock.lock().unwrap() += 1;
        let held = lock.try_lock().unwrap();
        assert!(lock.try_lock().is_err());
        assert_eq!(*held, 2);
        drop(held);
        drop(lock);
        let calls = [
            "lock 1 Exclusive",
            "unlock 1 Exclusive",
            "try_lock 1 Exclusive",
            "try_lock 1 Exclusive",
            "unlock 1 Exclusive",
            "forget 1",
        ];
        assert_eq!(fake.calls(), calls);
    });
}

#[test]
fn a_lock_is_placed_where_the_engine_takes_it() {
    on_fake(|fake| {
        let here = |line: u32| {
            let place = fake.place.take().unwrap();
            assert!(place.file().ends_with("tests/machine/locks.rs"), "{place}");
            assert_eq!(place.line(), line);
        };
        drop(Mutex::new(1).lock());
        here(line!() - 1);
        drop(RwLock::new(1).write());
        here(line!() - 1);
        Once::new().call_once(|| {});
        here(line!() - 1);
        let (sender, receiver) = channel();
        sender.send(1).unwrap();
        here(line!() - 1);
        assert_eq!(receiver.recv(), Ok(1));
        here(line!() - 1);
        Barrier::new(1).wait();
        here(line!() - 1);
    });
}

#[test]
fn a_lock_without_a_machine_is_known_to_none() {
    let lock = Mutex::new(1);
    *lock.lock().unwrap() += 1;
    on_fake(|fake| {
        let readers = RwLock::new(1);
        drop((readers.read().unwrap(), readers.try_read().unwrap()));
        *readers.write().unwrap() += 1;
        drop(lock);
        let calls = [
            "lock 1 Shared",
            "try_lock 1 Shared",
            "unlock 1 Shared",
            "unlock 1 Shared",
            "lock 1 Exclusive",
            "unlock 1 Exclusive",
        ];
        assert_eq!(fake.calls(), calls);
    });
}

#[test]
fn a_guard_dropped_while_another_task_unwinds_does_not_poison() {
    on_fake(|fake| {
        let (lock, readers) = (Mutex::new(1), RwLock::new(1));
        let (held, written) = (lock.lock().unwrap(), readers.write().unwrap());
        while_unwinding(move || drop((held, written)));
        assert!(!lock.is_poisoned() && !readers.is_poisoned());
        assert!(lock.lock().is_ok() && readers.read().is_ok());

        fake.panicking.set(true);
        let (held, written) = (lock.lock().unwrap(), readers.write().unwrap());
        while_unwinding(move || drop((held, written)));
        fake.panicking.set(false);
        assert!(lock.is_poisoned() && readers.is_poisoned());
        assert!(lock.lock().is_err() && readers.try_write().is_err());
        lock.clear_poison();
        assert!(lock.lock().is_ok());
    });
}

#[test]
fn a_lock_taken_while_another_task_unwinds_is_poisoned_by_its_own_holder() {
    on_fake(|fake| {
        let lock = Mutex::new(1);
        while_unwinding(|| {
            let held = lock.lock().unwrap();
            fake.panicking.set(true);
            drop(held);
            fake.panicking.set(false);
        });
        assert!(lock.is_poisoned());
        assert!(lock.into_inner().is_err());
    });
}

#[test]
fn a_lock_taken_by_a_destructor_does_not_poison() {
    on_fake(|fake| {
        let lock = Mutex::new(1);
        fake.panicking.set(true);
        while_unwinding(|| *lock.lock().unwrap() += 1);
        fake.panicking.set(false);
        assert_eq!(lock.into_inner().unwrap(), 2);
    });
}

#[test]
fn while_the_power_is_off_nothing_is_poisoned() {
    on_fake(|fake| {
        let (lock, other) = (Mutex::new(1), Mutex::new(1));
        fake.panicking.set(true);
        let held = lock.lock().unwrap();
        while_unwinding(move || drop(held));
        fake.off.set(true);
        assert!(!lock.is_poisoned());
        assert!(lock.lock().is_ok() && lock.try_lock().is_ok());
        let held = other.lock().unwrap();
        while_unwinding(move || drop(held));
        fake.off.set(false);
        assert!(lock.is_poisoned() && !other.is_poisoned());
    });
}

#[test]
fn a_lock_that_is_held_outside_the_machine_is_named_as_the_reason() {
    let lock = Mutex::new(1);
    let outside = lock.lock().unwrap();
    on_fake(|fake| {
        let text = message(|| drop(lock.lock()));
        assert!(text.contains("held outside it"), "{text}");
        assert_eq!(fake.calls(), ["lock 1 Exclusive", "unlock 1 Exclusive"]);
    });
    drop(outside);
    assert!(lock.lock().is_ok());
}

#[test]
fn a_wait_gives_the_lock_back_meanwhile() {
    on_fake(|fake| {
        let pair = Arc::new((Mutex::new(false), Condvar::new()));
        let theirs = Arc::clone(&pair);
        *fake.during_wait.borrow_mut() = Some(Box::new(move || {
            *theirs.0.lock().unwrap() = true;
            theirs.1.notify_one();
            theirs.1.notify_all();
        }));
        let guard = pair.0.lock().unwrap();
        let guard = pair.1.wait_while(guard, |ready| !*ready).unwrap();
        assert!(*guard);
        drop(guard);
        let calls = [
            "lock 1 Exclusive",
            "wait 2 with 1 until None",
            "lock 1 Exclusive",
            "unlock 1 Exclusive",
            "notify 2 one",
            "notify 2 all",
            "unlock 1 Exclusive",
        ];
        assert_eq!(fake.calls(), calls);
    });
}

#[test]
fn a_time_out_is_a_deadline_of_the_virtual_clock() {
    on_fake(|fake| {
        let (lock, condition) = (Mutex::new(1), Condvar::new());
        fake.now_ns.set(5);
        fake.wake.set(Some(Wake::TimedOut));
        let wait = Duration::from_nanos(70);
        let (guard, result) = condition.wait_timeout(lock.lock().unwrap(), wait).unwrap();
        assert!(result.timed_out());
        // A deadline beyond the end of the clock is none.
        let (guard, _) = condition.wait_timeout(guard, Duration::MAX).unwrap();
        let (guard, result) = condition.wait_timeout_while(guard, wait, |_| true).unwrap();
        assert!(result.timed_out());
        fake.wake.set(Some(Wake::Spurious));
        let (_, result) = condition.wait_timeout(guard, wait).unwrap();
        assert!(!result.timed_out());
        let calls = [
            "lock 1 Exclusive",
            "wait 2 with 1 until Some(75)",
            "wait 2 with 1 until None",
            "wait 2 with 1 until Some(75)",
            "wait 2 with 1 until Some(75)",
            "unlock 1 Exclusive",
        ];
        assert_eq!(fake.calls(), calls);
    });
}

#[test]
fn guards_do_not_cross_between_worlds() {
    let (lock, condition) = (Mutex::new(1), Condvar::new());
    let real = lock.lock().unwrap();
    let inside = on_fake(|_| message(|| drop(condition.wait(real))));
    assert!(inside.contains("taken outside the simulated machine"), "{inside}");

    let (lock, condition) = (Mutex::new(1), Condvar::new());
    let simulated = on_fake(|_| lock.lock().unwrap());
    let outside = message(|| drop(condition.wait(simulated)));
    assert!(outside.contains("taken on a simulated machine"), "{outside}");
}

#[test]
fn what_runs_once_holds_a_lock_meanwhile() {
    on_fake(|fake| {
        let once = Once::new();
        once.call_once(|| {});
        once.call_once(|| unreachable!());
        let cell = OnceLock::new();
        assert_eq!(*cell.get_or_init(|| 4), 4);
        assert_eq!((cell.get(), cell.set(5)), (Some(&4), Err(5)));
        let lazy = LazyLock::new(|| 6);
        assert_eq!((*lazy, *lazy), (6, 6));
        let locks = fake.calls().iter().filter(|call| call.starts_with("lock")).count();
        assert_eq!(locks, 4, "one for each first use and one for `set`");
    });
}

#[test]
fn a_once_cut_short_by_power_off_does_not_panic_while_off() {
    on_fake(|fake| {
        let once = Once::new();
        assert!(catch_unwind(AssertUnwindSafe(|| once.call_once(|| panic!("cut")))).is_err());
        fake.off.set(true);
        once.call_once(|| {});
        assert!(once.is_completed());
        assert_eq!(fake.calls().last().unwrap(), "unlock 1 Exclusive");
    });
}

#[test]
fn channels_and_barriers_are_made_of_locks_and_conditions() {
    on_fake(|fake| {
        let (sender, receiver) = channel();
        sender.send(1).unwrap();
        assert_eq!(receiver.recv(), Ok(1));
        let calls = [
            "lock 1 Exclusive",
            "notify 2 one",
            "unlock 1 Exclusive",
            "lock 1 Exclusive",
            "unlock 1 Exclusive",
        ];
        assert_eq!(fake.calls(), calls);
        assert!(Barrier::new(1).wait().is_leader());
    });
}

#[test]
fn a_place_at_capacity_0_is_there_only_while_the_receiver_waits() {
    on_fake(|fake| {
        let (sender, receiver) = sync_channel(0);
        assert_eq!(sender.try_send(1), Err(TrySendError::Full(1)));
        let theirs = sender.clone();
        *fake.during_wait.borrow_mut() = Some(Box::new(move || {
            theirs.try_send(2).unwrap();
            assert_eq!(theirs.try_send(3), Err(TrySendError::Full(3)));
        }));
        assert_eq!(receiver.recv(), Ok(2));
    });
}

//! The standard library's own calls reach the machine: randomness, clocks, locks.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test stands outside of the run"
)]
#![cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]

mod support;

use std::cell::RefCell;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::rc::Rc;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, RwLock, RwLockReadGuard};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use falconry_seam::hook::Wake;
use support::{no_wait, on_machine};

/// The hash that a fresh OS thread gives a word, on a machine of `seed` or on none.
fn hash_of_fresh_thread(seed: Option<u64>) -> u64 {
    falconry_ambient::install();
    let hash = || RandomState::new().hash_one("falcon");
    let fresh = thread::spawn(move || match seed {
        Some(seed) => on_machine(seed, no_wait, |_| hash()),
        None => hash(),
    });
    fresh.join().expect("hashing does not panic")
}

#[test]
fn every_symbol_is_ours() {
    falconry_ambient::install();
    assert!(falconry_ambient::is_interposed());
}

#[test]
fn hash_keys_come_from_the_machine() {
    assert_eq!(hash_of_fresh_thread(Some(7)), hash_of_fresh_thread(Some(7)));
    assert_ne!(hash_of_fresh_thread(Some(7)), hash_of_fresh_thread(Some(8)));
    assert_ne!(hash_of_fresh_thread(None), hash_of_fresh_thread(None));
}

#[test]
fn prime_draws_the_keys_once() {
    let fresh = thread::spawn(|| {
        on_machine(7, no_wait, |machine| {
            falconry_ambient::prime();
            assert_eq!(machine.random_bytes.get(), 16, "two keys of 64 bits");
            falconry_ambient::prime();
            assert_eq!(machine.random_bytes.get(), 16, "drawn once an OS thread");
        });
    });
    fresh.join().expect("the assertions hold");
}

#[test]
fn clocks_are_virtual() {
    falconry_ambient::install();
    on_machine(1, no_wait, |machine| {
        let begin = Instant::now();
        machine.monotonic_ns.set(machine.monotonic_ns.get() + 3_600_000_000_001);
        assert_eq!(begin.elapsed(), Duration::from_nanos(3_600_000_000_001));
        let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        assert_eq!(wall.expect("after 1970").as_nanos(), 1_700_000_000_123_456_789);
    });
}

#[test]
fn a_mutex_that_is_held_waits_on_the_machine() {
    falconry_ambient::install();
    let lock: &'static Mutex<u32> = Box::leak(Box::new(Mutex::new(0)));
    let held: Rc<RefCell<Option<MutexGuard<'static, u32>>>> = Rc::default();
    let holder = held.clone();
    // The holder is another task, which runs while this one waits.
    let release = move |_| {
        *holder.borrow_mut().take().expect("held until the first wait") += 1;
        Wake::Notified
    };
    on_machine(1, release, |machine| {
        *held.borrow_mut() = Some(lock.lock().expect("not poisoned"));
        assert_eq!(*lock.lock().expect("not poisoned"), 1, "the holder ran before");
        assert_eq!(machine.waits.borrow().len(), 1);
        assert_eq!(machine.waits.borrow()[0].deadline_ns, None);
        let word = machine.waits.borrow()[0].address;
        assert_eq!(machine.wakes.borrow()[0], (word, 1), "the holder woke the waiter");
    });
}

#[test]
fn a_reader_keeps_a_writer_waiting_on_the_machine() {
    falconry_ambient::install();
    let lock: &'static RwLock<u32> = Box::leak(Box::new(RwLock::new(0)));
    let held: Rc<RefCell<Option<RwLockReadGuard<'static, u32>>>> = Rc::default();
    let reader = held.clone();
    let release = move |_| {
        reader.borrow_mut().take();
        Wake::Notified
    };
    on_machine(1, release, |machine| {
        *held.borrow_mut() = Some(lock.read().expect("not poisoned"));
        *lock.write().expect("not poisoned") += 1;
        assert_eq!(machine.waits.borrow().len(), 1);
    });
}

#[test]
fn a_condition_variable_times_out_in_virtual_time() {
    falconry_ambient::install();
    on_machine(
        1,
        |_| Wake::TimedOut,
        |machine| {
            let (lock, condition) = (Mutex::new(()), Condvar::new());
            let begin = Instant::now();
            let guard = lock.lock().expect("not poisoned");
            let hour = Duration::from_secs(3600);
            let (_guard, timeout) = condition.wait_timeout(guard, hour).expect("not poisoned");
            assert!(timeout.timed_out());
            assert_eq!(begin.elapsed(), hour, "an hour passed, and only on the machine");
            assert_eq!(machine.waits.borrow().len(), 1);
        },
    );
}

#[test]
fn without_a_machine_locks_and_clocks_are_real() {
    falconry_ambient::install();
    let (lock, condition) = (Mutex::new(()), Condvar::new());
    let begin = Instant::now();
    let guard = lock.lock().expect("not poisoned");
    let wait = Duration::from_millis(2);
    // A wait may end early for no reason, so it is repeated until the time-out is reported.
    let end = condition.wait_timeout_while(guard, wait, |()| true).expect("not poisoned");
    assert!(end.1.timed_out());
    assert!(begin.elapsed() >= wait);
    assert!(SystemTime::now() > SystemTime::UNIX_EPOCH);

    let counter = Arc::new(Mutex::new(0));
    let threads = (0..4).map(|_| {
        let counter = counter.clone();
        thread::spawn(move || (0..10_000).for_each(|_| *counter.lock().expect("not poisoned") += 1))
    });
    threads.collect::<Vec<_>>().into_iter().for_each(|thread| thread.join().expect("no panic"));
    assert_eq!(*counter.lock().expect("not poisoned"), 40_000);
}

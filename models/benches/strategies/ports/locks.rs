//! Ports of the specimens whose tasks share what locks protect.

use super::lock;
use shuttle::sync::atomic::{AtomicU64, Ordering};
use shuttle::sync::{Mutex, RwLock};
use shuttle::thread;
use std::sync::PoisonError;
use std::time::Duration;

pub fn check_then_act() {
    let (kept, opened) = (Mutex::new(None), AtomicU64::new(0));
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                if let Some(handle) = *lock(&kept) {
                    return handle;
                }
                let handle = opened.fetch_add(1, Ordering::SeqCst);
                *lock(&kept) = Some(handle);
                handle
            });
        }
    });
    assert!(opened.load(Ordering::SeqCst) == 1, "a handle is opened once");
}

pub fn child_before_parent() {
    let writers: Mutex<Vec<&str>> = Mutex::default();
    thread::scope(|scope| {
        scope.spawn(|| {
            let is_known = lock(&writers).contains(&"flusher");
            assert!(is_known, "a writer that runs is registered");
        });
        lock(&writers).push("flusher");
    });
}

pub fn deadlock_by_order() {
    fn transfer(accounts: &[Mutex<u64>; 2], from: usize, to: usize, amount: u64) {
        let mut source = lock(&accounts[from]);
        *lock(&accounts[to]) += amount;
        *source -= amount;
    }
    let accounts = [Mutex::new(100), Mutex::new(100)];
    thread::scope(|scope| {
        scope.spawn(|| transfer(&accounts, 0, 1, 30));
        scope.spawn(|| transfer(&accounts, 1, 0, 50));
    });
    let sum = *lock(&accounts[0]) + *lock(&accounts[1]);
    assert!(sum == 200, "transfers keep the sum");
}

pub fn empty_spin_loop() {
    let done = Mutex::new(false);
    thread::scope(|scope| {
        scope.spawn(|| while !*lock(&done) {});
        scope.spawn(|| *lock(&done) = true);
    });
}

/// A point on shuttle; its length means nothing there.
const PAUSE: Duration = Duration::from_millis(1);

type Wants = [Mutex<bool>; 2];

pub fn livelock_of_polite_retries() {
    fn announce(wants: &Wants, me: usize) {
        *lock(&wants[me]) = true;
        thread::sleep(PAUSE);
    }
    fn leave(wants: &Wants, me: usize) {
        *lock(&wants[me]) = false;
    }
    fn enter(wants: &Wants, me: usize) {
        announce(wants, me);
        while *lock(&wants[1 - me]) {
            thread::sleep(PAUSE);
            leave(wants, me);
            thread::sleep(PAUSE);
            announce(wants, me);
        }
    }
    let wants = Wants::default();
    thread::scope(|scope| {
        for me in 0..2 {
            let wants = &wants;
            scope.spawn(move || {
                enter(wants, me);
                leave(wants, me);
            });
        }
    });
}

pub fn lock_of_one_process() {
    let records: Mutex<Vec<usize>> = Mutex::default();
    let writers = [Mutex::new(()), Mutex::new(())];
    thread::scope(|scope| {
        for writer in &writers {
            let records = &records;
            for task in 0..2 {
                scope.spawn(move || {
                    let _alone = lock(writer);
                    let mut copy = lock(records).clone();
                    copy.push(task);
                    *lock(records) = copy;
                });
            }
        }
    });
    assert!(lock(&records).len() == 4, "all records are in the file");
}

type Table = RwLock<Vec<u64>>;

pub fn read_within_read() {
    fn row(table: &Table, index: usize) -> u64 {
        let rows = table.read().unwrap_or_else(PoisonError::into_inner);
        rows.get(index).copied().unwrap_or_default()
    }
    fn sum(table: &Table) -> u64 {
        let rows = table.read().unwrap_or_else(PoisonError::into_inner);
        (0..rows.len()).map(|index| row(table, index)).sum()
    }
    let table = RwLock::new(vec![1, 2]);
    thread::scope(|scope| {
        scope.spawn(|| {
            let sum = sum(&table);
            assert!(sum == 3 || sum == 6, "a sum is of one state");
        });
        scope.spawn(|| table.write().unwrap_or_else(PoisonError::into_inner).push(3));
    });
}

pub fn sleep_as_synchronisation() {
    const LONG_ENOUGH: Duration = Duration::from_micros(5);
    let (written, other) = (Mutex::new(0), Mutex::new(0));
    thread::scope(|scope| {
        scope.spawn(|| (0..6).for_each(|_| *lock(&written) += 1));
        scope.spawn(|| (0..120).for_each(|_| *lock(&other) += 1));
        thread::sleep(LONG_ENOUGH);
        let pages = *lock(&written);
        assert!(pages == 6, "all pages are written: {pages} of 6");
    });
}

pub fn split_critical_section() {
    /// Pages that are dirty, and pages that are clean.
    type Lists = Mutex<(u64, u64)>;
    fn clean_one(lists: &Lists) {
        let mut guard = lock(lists);
        guard.0 -= 1;
        drop(guard);
        guard = lock(lists);
        guard.1 += 1;
    }
    fn check(lists: &Lists) {
        let lists = lock(lists);
        assert!(lists.0 + lists.1 == 4, "each page is in one list");
    }
    let lists = Mutex::new((4, 0));
    thread::scope(|scope| {
        scope.spawn(|| (0..4).for_each(|_| clean_one(&lists)));
        scope.spawn(|| (0..2).for_each(|_| check(&lists)));
    });
}

//! Ports of the specimens whose tasks wait on condition variables.

use super::{lock, wait};
use shuttle::sync::{Condvar, Mutex};
use shuttle::thread;
use std::collections::VecDeque;

const PHASES: u64 = 3;

/// Who waits asks whether the barrier is open, not whether its own generation is over.
#[derive(Default)]
struct Barrier {
    arrived: Mutex<(u64, u64)>,
    opened: Condvar,
}

impl Barrier {
    fn pass(&self) {
        let mut state = lock(&self.arrived);
        let generation = state.1;
        state.0 += 1;
        if state.0 == 2 {
            *state = (0, generation + 1);
            self.opened.notify_all();
        }
        while state.0 > 0 {
            state = wait(&self.opened, state);
        }
    }
}

pub fn barrier_without_generation() {
    let barrier = Barrier::default();
    let reached = Mutex::new([0; 2]);
    thread::scope(|scope| {
        for me in 0..2 {
            let (barrier, reached) = (&barrier, &reached);
            scope.spawn(move || {
                for phase in 1..=PHASES {
                    lock(reached)[me] = phase;
                    barrier.pass();
                    let least = lock(reached).iter().copied().min();
                    assert!(least >= Some(phase), "nobody is a phase behind");
                }
            });
        }
    });
}

#[derive(Default)]
struct Queue {
    items: Mutex<VecDeque<u64>>,
    added: Condvar,
}

impl Queue {
    fn add(&self, item: u64) {
        lock(&self.items).push_back(item);
        self.added.notify_one();
    }

    /// A wake-up is taken for the condition.
    fn take(&self) -> Option<u64> {
        let mut items = lock(&self.items);
        if items.is_empty() {
            items = wait(&self.added, items);
        }
        items.pop_front()
    }
}

pub fn if_not_while() {
    let queue = Queue::default();
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| assert!(queue.take().is_some(), "whoever waited has an item"));
        }
        (0..2).for_each(|item| queue.add(item));
    });
}

pub fn lost_wakeup() {
    let (open, opened) = (Mutex::new(false), Condvar::new());
    thread::scope(|scope| {
        scope.spawn(|| {
            while !*lock(&open) {
                drop(wait(&opened, lock(&open)));
            }
        });
        scope.spawn(|| {
            *lock(&open) = true;
            opened.notify_all();
        });
    });
}

struct TooLarge;

#[derive(Default)]
struct Slot {
    busy: Mutex<bool>,
    left: Condvar,
}

impl Slot {
    /// An early return of an error passes over the notification.
    fn submit(&self, bytes: u32) -> Result<(), TooLarge> {
        let mut busy = lock(&self.busy);
        while *busy {
            busy = wait(&self.left, busy);
        }
        *busy = true;
        drop(busy);
        let done = if bytes > 4096 { Err(TooLarge) } else { Ok(()) };
        *lock(&self.busy) = false;
        done?;
        self.left.notify_one();
        Ok(())
    }
}

pub fn missed_signal_on_error() {
    let slot = Slot::default();
    thread::scope(|scope| {
        for bytes in [512, 8192] {
            let slot = &slot;
            scope.spawn(move || slot.submit(bytes).is_ok());
        }
    });
}

#[derive(Default)]
struct Place {
    item: Mutex<Option<u64>>,
    changed: Condvar,
}

impl Place {
    fn put(&self, value: u64) {
        let mut item = lock(&self.item);
        while item.is_some() {
            item = wait(&self.changed, item);
        }
        *item = Some(value);
        self.changed.notify_one();
    }

    fn take(&self) -> u64 {
        let mut item = lock(&self.item);
        loop {
            if let Some(value) = item.take() {
                self.changed.notify_one();
                return value;
            }
            item = wait(&self.changed, item);
        }
    }
}

pub fn notify_one_of_two_kinds() {
    let place = Place::default();
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| (0..2).for_each(|item| place.put(item)));
            scope.spawn(|| (0..2).map(|_| place.take()).sum::<u64>());
        }
    });
}

struct Semaphore {
    free: Mutex<u32>,
    released: Condvar,
}

struct Permit<'a>(&'a Semaphore);

impl Semaphore {
    fn acquire(&self) -> Permit<'_> {
        let mut free = lock(&self.free);
        while *free == 0 {
            free = wait(&self.released, free);
        }
        *free -= 1;
        Permit(self)
    }

    fn release(&self) {
        *lock(&self.free) += 1;
        self.released.notify_one();
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        // Shuttle goes on while a task unwinds: another could fail meanwhile, which it cannot tell.
        if !thread::panicking() {
            self.0.release();
        }
    }
}

pub fn permit_released_twice() {
    let semaphore = Semaphore { free: Mutex::new(1), released: Condvar::new() };
    let inside = Mutex::new(0);
    thread::scope(|scope| {
        for bytes in [512, 8192, 1024] {
            let (semaphore, inside) = (&semaphore, &inside);
            scope.spawn(move || {
                let permit = semaphore.acquire();
                if bytes > 4096 {
                    semaphore.release();
                }
                *lock(inside) += 1;
                let count = *lock(inside);
                assert!(count == 1, "one task at a time has the permit: {count} have it");
                *lock(inside) -= 1;
                drop(permit);
            });
        }
    });
}

#[derive(Default)]
struct Sharing {
    readers: u32,
    upgrading: bool,
    value: u64,
}

#[derive(Default)]
struct Record {
    sharing: Mutex<Sharing>,
    left: Condvar,
}

impl Record {
    fn read(&self) -> u64 {
        let mut sharing = lock(&self.sharing);
        while sharing.upgrading {
            sharing = wait(&self.left, sharing);
        }
        sharing.readers += 1;
        sharing.value
    }

    /// It keeps its share though another waits for the same.
    fn upgrade_and_write(&self, value: u64) {
        let mut sharing = lock(&self.sharing);
        sharing.upgrading = true;
        while sharing.readers > 1 {
            sharing = wait(&self.left, sharing);
        }
        sharing.value = value;
        sharing.upgrading = false;
        sharing.readers -= 1;
        self.left.notify_all();
    }
}

pub fn upgrade_deadlock() {
    let record = Record::default();
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| record.upgrade_and_write(record.read() + 1));
        }
    });
    assert!(lock(&record.sharing).value == 2, "both have counted");
}

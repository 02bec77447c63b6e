//! Ports of the specimens whose tasks share atomics.

use shuttle::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use shuttle::{hint, thread};

const SLOTS: usize = 3;

/// A linked stack of free slots; its top carries no tag.
struct FreeSlots {
    top: AtomicU64,
    below: [AtomicU32; SLOTS],
    taken: [AtomicBool; SLOTS],
}

impl FreeSlots {
    fn pop(&self) -> Option<u32> {
        loop {
            let top = self.top.load(Ordering::SeqCst);
            let slot = top as u32;
            if slot == SLOTS as u32 {
                return None;
            }
            let below = self.below[slot as usize].load(Ordering::SeqCst);
            if self.replace_top(top, below) {
                let was_taken = self.taken[slot as usize].swap(true, Ordering::SeqCst);
                assert!(!was_taken, "a slot has one owner");
                return Some(slot);
            }
            hint::spin_loop();
        }
    }

    fn push(&self, slot: u32) {
        self.taken[slot as usize].store(false, Ordering::SeqCst);
        loop {
            let top = self.top.load(Ordering::SeqCst);
            self.below[slot as usize].store(top as u32, Ordering::SeqCst);
            if self.replace_top(top, slot) {
                return;
            }
            hint::spin_loop();
        }
    }

    fn replace_top(&self, top: u64, slot: u32) -> bool {
        self.top.compare_exchange(top, slot.into(), Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }
}

pub fn aba() {
    let free = FreeSlots {
        top: AtomicU64::new(0),
        below: std::array::from_fn(|slot| AtomicU32::new(slot as u32 + 1)),
        taken: Default::default(),
    };
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..2 {
                    let (first, second) = (free.pop(), free.pop());
                    first.into_iter().chain(second).for_each(|slot| free.push(slot));
                }
            });
        }
    });
}

pub fn double_free_by_losers() {
    let (owners, freed) = (AtomicU64::new(3), AtomicU64::new(0));
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                owners.fetch_sub(1, Ordering::SeqCst);
                if owners.load(Ordering::SeqCst) == 0 {
                    freed.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
    });
    assert!(freed.load(Ordering::SeqCst) == 1, "a page is freed once");
}

pub fn half_published_value() {
    let (page, checksum) = (AtomicU64::new(0), AtomicU64::new(0));
    let is_set = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            page.store(7, Ordering::SeqCst);
            is_set.store(true, Ordering::SeqCst);
            checksum.store(!7, Ordering::SeqCst);
        });
        scope.spawn(|| {
            for _ in 0..4 {
                if is_set.load(Ordering::SeqCst) {
                    let page = page.load(Ordering::SeqCst);
                    let checksum = checksum.load(Ordering::SeqCst);
                    assert!(checksum == !page, "a published root is whole");
                }
            }
        });
    });
}

pub fn lost_cancel() {
    const QUEUED: u8 = 0;
    const RUNNING: u8 = 1;
    const CANCELLED: u8 = 2;
    let state = AtomicU8::new(QUEUED);
    let (ran, cancelled) = thread::scope(|scope| {
        let worker = scope.spawn(|| {
            let is_queued = state.load(Ordering::SeqCst) == QUEUED;
            if is_queued {
                state.store(RUNNING, Ordering::SeqCst);
            }
            is_queued
        });
        let cancel = state.compare_exchange(QUEUED, CANCELLED, Ordering::SeqCst, Ordering::SeqCst);
        (worker.join().unwrap_or(false), cancel.is_ok())
    });
    assert!(ran != cancelled, "a job runs or is cancelled");
}

pub fn lost_update() {
    let counter = AtomicU64::new(0);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..2 {
                    let seen = counter.load(Ordering::SeqCst);
                    counter.store(seen + 1, Ordering::SeqCst);
                }
            });
        }
    });
    assert!(counter.load(Ordering::SeqCst) == 4, "all increments are in the counter");
}

const PLACES: u64 = 2;
const ITEMS: u64 = 5;

#[derive(Default)]
struct Ring {
    put: AtomicU64,
    taken: AtomicU64,
    places: [AtomicU64; PLACES as usize],
}

impl Ring {
    /// One item too late.
    fn is_full(&self, put: u64) -> bool {
        put - self.taken.load(Ordering::SeqCst) > PLACES
    }

    fn put(&self, item: u64) {
        let put = self.put.load(Ordering::SeqCst);
        while self.is_full(put) {
            hint::spin_loop();
        }
        self.places[(put % PLACES) as usize].store(item, Ordering::SeqCst);
        self.put.store(put + 1, Ordering::SeqCst);
    }

    fn take(&self) -> u64 {
        let taken = self.taken.load(Ordering::SeqCst);
        while self.put.load(Ordering::SeqCst) == taken {
            hint::spin_loop();
        }
        let item = self.places[(taken % PLACES) as usize].load(Ordering::SeqCst);
        self.taken.store(taken + 1, Ordering::SeqCst);
        item
    }
}

pub fn queue_drops_one() {
    let ring = Ring::default();
    thread::scope(|scope| {
        scope.spawn(|| (0..ITEMS).for_each(|item| ring.put(item)));
        scope.spawn(|| {
            for expected in 0..ITEMS {
                let item = ring.take();
                assert!(item == expected, "items come in order: {item}, not {expected}");
            }
        });
    });
}

#[derive(Default)]
struct Record {
    version: AtomicU64,
    words: [AtomicU64; 2],
}

impl Record {
    fn write(&self, value: u64) {
        self.version.fetch_add(1, Ordering::SeqCst);
        self.words.iter().for_each(|word| word.store(value, Ordering::SeqCst));
        self.version.fetch_add(1, Ordering::SeqCst);
    }

    /// The version is not compared after the words were read.
    fn read(&self) -> Option<[u64; 2]> {
        let before = self.version.load(Ordering::SeqCst);
        let words = [0, 1].map(|index: usize| self.words[index].load(Ordering::SeqCst));
        before.is_multiple_of(2).then_some(words)
    }
}

pub fn torn_optimistic_read() {
    let record = Record::default();
    thread::scope(|scope| {
        scope.spawn(|| (1..=2).for_each(|value| record.write(value)));
        scope.spawn(|| {
            for [first, second] in (0..3).filter_map(|_| record.read()) {
                assert!(first == second, "both words are of one version");
            }
        });
    });
}

const TASKS: u64 = 2;
const ROUNDS: u64 = 4;

#[derive(Default)]
struct FairLock {
    is_held: AtomicBool,
    next: AtomicU64,
    serving: AtomicU64,
    entries: AtomicU64,
}

impl FairLock {
    fn with(&self, work: impl FnOnce()) {
        let ticket = self.next.fetch_add(1, Ordering::SeqCst);
        let entries = self.entries.load(Ordering::SeqCst);
        while self.is_held.swap(true, Ordering::SeqCst) {
            hint::spin_loop();
        }
        let passed = self.entries.fetch_add(1, Ordering::SeqCst) - entries;
        assert!(passed < TASKS, "nobody is passed over twice");
        work();
        self.serving.store(ticket + 1, Ordering::SeqCst);
        self.is_held.store(false, Ordering::SeqCst);
    }
}

pub fn unfair_lock_starves() {
    let lock = FairLock::default();
    thread::scope(|scope| {
        for _ in 0..TASKS {
            scope.spawn(|| (0..ROUNDS).for_each(|_| lock.with(thread::yield_now)));
        }
    });
}

//! A lock that promises to pass nobody over twice is a flag: whoever comes by when it is free has it,
//! however long another waits.

use falconry_seam::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use falconry_seam::{always, hint, planted, thread};

use crate::specimen::{Body, Family, Specimen};

pub(super) static SPECIMEN: Specimen = Specimen {
    name: "unfair_lock_starves",
    family: Family::Concurrency,
    source: "starvation by a test-and-set lock (Mellor-Crummey and Scott, ACM TOCS 1991)",
    bug: "the lock goes to whoever comes by and not to the one that waits longest",
    faults: &[],
    body: Body::Program(program),
};

const TASKS: u64 = 2;
const ROUNDS: u64 = 4;

#[derive(Default)]
struct FairLock {
    is_held: AtomicBool,
    /// The next ticket to give out.
    next: AtomicU64,
    /// The ticket whose turn it is.
    serving: AtomicU64,
    entries: AtomicU64,
}

impl FairLock {
    fn with(&self, work: impl FnOnce()) {
        let ticket = self.next.fetch_add(1, Ordering::SeqCst);
        let entries = self.entries.load(Ordering::SeqCst);
        while !self.is_my_turn(ticket) {
            hint::spin_loop();
        }
        let passed = self.entries.fetch_add(1, Ordering::SeqCst) - entries;
        always!(passed < TASKS, "nobody is passed over twice", "{passed} times");
        work();
        self.serving.store(ticket + 1, Ordering::SeqCst);
        self.is_held.store(false, Ordering::SeqCst);
    }

    fn is_my_turn(&self, ticket: u64) -> bool {
        if planted!("unfair_lock_starves") {
            !self.is_held.swap(true, Ordering::SeqCst)
        } else {
            self.serving.load(Ordering::SeqCst) == ticket
        }
    }
}

fn program() {
    let lock = FairLock::default();
    thread::scope(|scope| {
        for _ in 0..TASKS {
            scope.spawn(|| (0..ROUNDS).for_each(|_| lock.with(thread::yield_now)));
        }
    });
}

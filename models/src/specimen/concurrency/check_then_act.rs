//! A handle is opened once and kept; whether it is there is asked under a lock that is given back
//! before the answer is acted on.

use falconry_seam::sync::Mutex;
use falconry_seam::sync::atomic::{AtomicU64, Ordering};
use falconry_seam::{always, planted, thread};

use super::lock;
use crate::specimen::{Body, Family, Specimen};

pub(super) static SPECIMEN: Specimen = Specimen {
    name: "check_then_act",
    family: Family::Concurrency,
    source: "check-then-act (Lin and Dig, ICST 2013)",
    bug: "the lock is given back between the test and the act that rests on it",
    faults: &[],
    body: Body::Program(program),
};

#[derive(Default)]
struct Handles {
    kept: Mutex<Option<u64>>,
    opened: AtomicU64,
}

impl Handles {
    fn open(&self) -> u64 {
        self.opened.fetch_add(1, Ordering::SeqCst)
    }

    fn get(&self) -> u64 {
        if planted!("check_then_act") {
            if let Some(handle) = *lock(&self.kept) {
                return handle;
            }
            let handle = self.open();
            *lock(&self.kept) = Some(handle);
            handle
        } else {
            *lock(&self.kept).get_or_insert_with(|| self.open())
        }
    }
}

fn program() {
    let handles = Handles::default();
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| handles.get());
        }
    });
    let opened = handles.opened.load(Ordering::SeqCst);
    always!(opened == 1, "a handle is opened once", "{opened} times");
}

//! Two tasks read a counter and write it back, with nothing that makes the two steps one.

use falconry_seam::sync::atomic::{AtomicU64, Ordering};
use falconry_seam::{always, planted, thread};

use crate::specimen::{Body, Family, Specimen};

pub(super) static SPECIMEN: Specimen = Specimen {
    name: "lost_update",
    family: Family::Concurrency,
    source: "atomicity violation of one variable (Lu et al., ASPLOS 2008)",
    bug: "an increment is a load and a store",
    faults: &[],
    body: Body::Program(program),
};

const TASKS: u64 = 2;
const ROUNDS: u64 = 2;

fn increment(counter: &AtomicU64) {
    if planted!("lost_update") {
        let seen = counter.load(Ordering::SeqCst);
        counter.store(seen + 1, Ordering::SeqCst);
    } else {
        counter.fetch_add(1, Ordering::SeqCst);
    }
}

fn program() {
    let counter = AtomicU64::new(0);
    thread::scope(|scope| {
        for _ in 0..TASKS {
            scope.spawn(|| (0..ROUNDS).for_each(|_| increment(&counter)));
        }
    });
    let sum = counter.load(Ordering::SeqCst);
    always!(sum == TASKS * ROUNDS, "all increments are in the counter", "{sum}");
}

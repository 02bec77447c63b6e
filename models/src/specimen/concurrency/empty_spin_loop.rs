//! A task asks again and again whether another is done and never gives up its turn, so that on one
//! processor the other does not come to run.

use falconry_seam::sync::Mutex;
use falconry_seam::{planted, thread};

use super::lock;
use crate::specimen::{Body, Family, Specimen};

pub(super) static SPECIMEN: Specimen = Specimen {
    name: "empty_spin_loop",
    family: Family::Concurrency,
    source: "busy waiting above the task that is waited for, as in priority inversion; a class",
    bug: "a loop that waits for another task does not yield to it",
    faults: &[],
    body: Body::Program(program),
};

fn wait_for(done: &Mutex<bool>) {
    while !*lock(done) {
        if !planted!("empty_spin_loop") {
            thread::yield_now();
        }
    }
}

fn program() {
    let done = Mutex::new(false);
    thread::scope(|scope| {
        scope.spawn(|| wait_for(&done));
        scope.spawn(|| *lock(&done) = true);
    });
}

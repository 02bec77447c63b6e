//! A task tests a condition, gives the lock back, and takes it again to wait: what is notified in
//! between wakes nobody.

use falconry_seam::sync::{Condvar, Mutex};
use falconry_seam::{planted, thread};

use super::{lock, wait};
use crate::specimen::{Body, Family, Specimen};

pub(super) static SPECIMEN: Specimen = Specimen {
    name: "lost_wakeup",
    family: Family::Concurrency,
    source: "losing a notify (Farchi, Nir and Ur, IPDPS 2003)",
    bug: "the condition is not tested under the lock that is waited with",
    faults: &[],
    body: Body::Program(program),
};

#[derive(Default)]
struct Gate {
    open: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    fn open(&self) {
        *lock(&self.open) = true;
        self.opened.notify_all();
    }

    fn pass(&self) {
        if planted!("lost_wakeup") {
            while !*lock(&self.open) {
                drop(wait(&self.opened, lock(&self.open)));
            }
        } else {
            let mut open = lock(&self.open);
            while !*open {
                open = wait(&self.opened, open);
            }
        }
    }
}

fn program() {
    let gate = Gate::default();
    thread::scope(|scope| {
        scope.spawn(|| gate.pass());
        scope.spawn(|| gate.open());
    });
}

//! A permit is given back by the clean-up of a failed call, and again when the permit is dropped:
//! from then on one task too many is let in.

use falconry_seam::sync::{Condvar, Mutex};
use falconry_seam::{always, planted, thread};

use super::{lock, wait};
use crate::specimen::{Body, Family, Specimen};

pub(super) static SPECIMEN: Specimen = Specimen {
    name: "permit_released_twice",
    family: Family::Concurrency,
    source: "a semaphore that is raised more often than it was lowered; a class",
    bug: "the way out of an error gives back what the guard gives back as well",
    faults: &[],
    body: Body::Program(program),
};

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
        self.0.release();
    }
}

fn program() {
    let semaphore = Semaphore { free: Mutex::new(1), released: Condvar::new() };
    let inside = Mutex::new(0);
    thread::scope(|scope| {
        for bytes in [512, 8192, 1024] {
            let (semaphore, inside) = (&semaphore, &inside);
            scope.spawn(move || {
                let permit = semaphore.acquire();
                let is_failed = bytes > 4096;
                if is_failed && planted!("permit_released_twice") {
                    semaphore.release();
                }
                *lock(inside) += 1;
                let count = *lock(inside);
                always!(count == 1, "one task at a time has the permit", "{count} have it");
                *lock(inside) -= 1;
                drop(permit);
            });
        }
    });
}

//! Producers and consumers of a place for one item wait on the same condition variable, and one of
//! them is woken, who may be of the wrong kind.

use falconry_seam::sync::{Condvar, Mutex};
use falconry_seam::{planted, thread};

use super::{lock, wait};
use crate::specimen::{Body, Family, Specimen};

pub(super) static SPECIMEN: Specimen = Specimen {
    name: "notify_one_of_two_kinds",
    family: Family::Concurrency,
    source: "notify in place of notifyAll; a class of the concurrency benchmarks",
    bug: "one waiter is woken where waiters wait for different things",
    faults: &[],
    body: Body::Program(program),
};

const PAIRS: u64 = 2;
const ITEMS: u64 = 2;

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
        self.notify();
    }

    fn take(&self) -> u64 {
        let mut item = lock(&self.item);
        loop {
            if let Some(value) = item.take() {
                self.notify();
                return value;
            }
            item = wait(&self.changed, item);
        }
    }

    fn notify(&self) {
        if planted!("notify_one_of_two_kinds") {
            self.changed.notify_one();
        } else {
            self.changed.notify_all();
        }
    }
}

fn program() {
    let place = Place::default();
    thread::scope(|scope| {
        for _ in 0..PAIRS {
            scope.spawn(|| (0..ITEMS).for_each(|item| place.put(item)));
            scope.spawn(|| (0..ITEMS).map(|_| place.take()).sum::<u64>());
        }
    });
}

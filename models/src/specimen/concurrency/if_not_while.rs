//! A consumer waits once for an item and takes what is there, though another consumer may have been
//! faster, or nobody may have notified it.

use std::collections::VecDeque;

use falconry_seam::sync::{Condvar, Mutex};
use falconry_seam::{always, planted, thread};

use super::{lock, wait};
use crate::specimen::{Body, Family, Specimen};

pub(super) static SPECIMEN: Specimen = Specimen {
    name: "if_not_while",
    family: Family::Concurrency,
    source: "a condition that is not tested again after the wait (Lampson and Redell, CACM 1980)",
    bug: "a wake-up is taken for the condition",
    faults: &[],
    body: Body::Program(program),
};

const CONSUMERS: u64 = 2;

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

    fn take(&self) -> Option<u64> {
        let mut items = lock(&self.items);
        if planted!("if_not_while") {
            if items.is_empty() {
                items = wait(&self.added, items);
            }
        } else {
            while items.is_empty() {
                items = wait(&self.added, items);
            }
        }
        items.pop_front()
    }
}

fn program() {
    let queue = Queue::default();
    thread::scope(|scope| {
        for _ in 0..CONSUMERS {
            scope.spawn(|| {
                let item = queue.take();
                always!(item.is_some(), "whoever waited has an item");
            });
        }
        (0..CONSUMERS).for_each(|item| queue.add(item));
    });
}

//! A page moves from one list to the other in two sections under the lock; between them it is in
//! neither.

use falconry_seam::sync::Mutex;
use falconry_seam::{always, planted, thread};

use super::lock;
use crate::specimen::{Body, Family, Specimen};

pub(super) static SPECIMEN: Specimen = Specimen {
    name: "split_critical_section",
    family: Family::Concurrency,
    source: "atomicity violation of several variables (Lu et al., ASPLOS 2008)",
    bug: "a change that must be seen whole is made in two sections under the lock",
    faults: &[],
    body: Body::Program(program),
};

const PAGES: u64 = 4;

struct Lists {
    dirty: u64,
    clean: u64,
}

fn clean_one(lists: &Mutex<Lists>) {
    let mut guard = lock(lists);
    guard.dirty -= 1;
    if planted!("split_critical_section") {
        drop(guard);
        guard = lock(lists);
    }
    guard.clean += 1;
}

fn check(lists: &Mutex<Lists>) {
    let lists = lock(lists);
    let pages = lists.dirty + lists.clean;
    always!(pages == PAGES, "each page is in one list", "{pages} of {PAGES}");
}

fn program() {
    let lists = Mutex::new(Lists { dirty: PAGES, clean: 0 });
    thread::scope(|scope| {
        scope.spawn(|| (0..PAGES).for_each(|_| clean_one(&lists)));
        scope.spawn(|| (0..2).for_each(|_| check(&lists)));
    });
}

//! A reader sleeps until the writer is surely done, and reads.

use std::time::Duration;

use falconry_seam::sync::Mutex;
use falconry_seam::{always, planted, thread};

use super::lock;
use crate::specimen::{Body, Family, Specimen};

pub(super) static SPECIMEN: Specimen = Specimen {
    name: "sleep_as_synchronisation",
    family: Family::Concurrency,
    source: "the sleep() pattern (Farchi, Nir and Ur, IPDPS 2003)",
    bug: "a pause that is usually long enough stands where the writer should be waited for",
    faults: &[],
    body: Body::Program(program),
};

const LONG_ENOUGH: Duration = Duration::from_micros(5);
const PAGES: u64 = 6;
const OTHER_WORK: u64 = 120;

fn program() {
    let (written, other) = (Mutex::new(0), Mutex::new(0));
    thread::scope(|scope| {
        let writer = scope.spawn(|| (0..PAGES).for_each(|_| *lock(&written) += 1));
        scope.spawn(|| (0..OTHER_WORK).for_each(|_| *lock(&other) += 1));
        let is_done = if planted!("sleep_as_synchronisation") {
            thread::sleep(LONG_ENOUGH);
            true
        } else {
            writer.join().is_ok()
        };
        let pages = *lock(&written);
        always!(!is_done || pages == PAGES, "all pages are written", "{pages} of {PAGES}");
    });
}

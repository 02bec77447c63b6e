//! Whoever leaves the only slot wakes the next, but not when its own work failed.

use falconry_seam::sync::{Condvar, Mutex};
use falconry_seam::{planted, thread};

use super::{lock, wait};
use crate::specimen::{Body, Family, Specimen};

pub(super) static SPECIMEN: Specimen = Specimen {
    name: "missed_signal_on_error",
    family: Family::Concurrency,
    source: "a signal that is not sent on every way out (Tu et al., ASPLOS 2019, blocking bugs)",
    bug: "an early return of an error passes over the notification",
    faults: &[],
    body: Body::Program(program),
};

struct TooLarge;

#[derive(Default)]
struct Slot {
    busy: Mutex<bool>,
    left: Condvar,
}

impl Slot {
    fn submit(&self, bytes: u32) -> Result<(), TooLarge> {
        let mut busy = lock(&self.busy);
        while *busy {
            busy = wait(&self.left, busy);
        }
        *busy = true;
        drop(busy);
        let done = work(bytes);
        *lock(&self.busy) = false;
        if planted!("missed_signal_on_error") {
            done?;
            self.left.notify_one();
            Ok(())
        } else {
            self.left.notify_one();
            done
        }
    }
}

fn work(bytes: u32) -> Result<(), TooLarge> {
    if bytes > 4096 { Err(TooLarge) } else { Ok(()) }
}

fn program() {
    let slot = Slot::default();
    thread::scope(|scope| {
        for bytes in [512, 8192] {
            let slot = &slot;
            scope.spawn(move || slot.submit(bytes).is_ok());
        }
    });
}

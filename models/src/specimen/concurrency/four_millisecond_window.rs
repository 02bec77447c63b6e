//! Records are stamped with a cycle of 128 ms and one of its 32 windows. In the last window, 4 ms
//! long, the cycle is that of the next window already.

use std::time::Duration;

use falconry_seam::sync::Mutex;
use falconry_seam::time::Instant;
use falconry_seam::{always, planted, thread};

use super::lock;
use crate::specimen::{Body, Family, Specimen};

pub(super) static SPECIMEN: Specimen = Specimen {
    name: "four_millisecond_window",
    family: Family::Concurrency,
    source: "a wrong arm for one phase of a periodic duty; a class",
    bug: "stamps of the last window of a cycle belong to the next cycle",
    faults: &[],
    body: Body::Program(program),
};

const WINDOW_MS: u128 = 4;
const WINDOWS: u128 = 32;
const STAMPS: u32 = 6;

/// A cycle, and the window in it.
type Stamp = (u128, u128);

struct Clock {
    start: Instant,
    last: Mutex<Stamp>,
}

impl Clock {
    fn stamp(&self) {
        let mut last = lock(&self.last);
        let windows = self.start.elapsed().as_millis() / WINDOW_MS;
        let (cycle, window) = (windows / WINDOWS, windows % WINDOWS);
        let stamp = match window {
            31 if planted!("four_millisecond_window") => (cycle + 1, window),
            _ => (cycle, window),
        };
        always!(stamp >= *last, "stamps do not go back", "{stamp:?} after {last:?}");
        *last = stamp;
    }

    /// A pause below 64 ms that depends on what ran before.
    fn pause(&self) {
        let ns = self.start.elapsed().as_nanos() as u64;
        let mixed = (ns + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 58;
        thread::sleep(Duration::from_millis(mixed));
    }
}

fn program() {
    let clock = Clock { start: Instant::now(), last: Mutex::default() };
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..STAMPS {
                    clock.pause();
                    clock.stamp();
                }
            });
        }
    });
}

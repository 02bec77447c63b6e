//! A ring of two places between one producer and one consumer; the producer takes it for full one
//! item too late and writes over the oldest.

use falconry_seam::sync::atomic::{AtomicU64, Ordering};
use falconry_seam::{always, hint, planted, thread};

use crate::specimen::{Body, Family, Specimen};

pub(super) static SPECIMEN: Specimen = Specimen {
    name: "queue_drops_one",
    family: Family::Concurrency,
    source: "a ring buffer's test for full that is off by one; a class",
    bug: "an item goes to a place whose item was not taken yet",
    faults: &[],
    body: Body::Program(program),
};

const PLACES: u64 = 2;
const ITEMS: u64 = 5;

#[derive(Default)]
struct Ring {
    put: AtomicU64,
    taken: AtomicU64,
    places: [AtomicU64; PLACES as usize],
}

impl Ring {
    fn is_full(&self, put: u64) -> bool {
        let waiting = put - self.taken.load(Ordering::SeqCst);
        if planted!("queue_drops_one") { waiting > PLACES } else { waiting >= PLACES }
    }

    fn put(&self, item: u64) {
        let put = self.put.load(Ordering::SeqCst);
        while self.is_full(put) {
            hint::spin_loop();
        }
        self.places[(put % PLACES) as usize].store(item, Ordering::SeqCst);
        self.put.store(put + 1, Ordering::SeqCst);
    }

    fn take(&self) -> u64 {
        let taken = self.taken.load(Ordering::SeqCst);
        while self.put.load(Ordering::SeqCst) == taken {
            hint::spin_loop();
        }
        let item = self.places[(taken % PLACES) as usize].load(Ordering::SeqCst);
        self.taken.store(taken + 1, Ordering::SeqCst);
        item
    }
}

fn program() {
    let ring = Ring::default();
    thread::scope(|scope| {
        scope.spawn(|| (0..ITEMS).for_each(|item| ring.put(item)));
        scope.spawn(|| {
            for expected in 0..ITEMS {
                let item = ring.take();
                always!(item == expected, "items come in order", "{item}, not {expected}");
            }
        });
    });
}

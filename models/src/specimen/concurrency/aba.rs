//! Free slots are a linked stack. A pop that was held up finds the same slot on top again, although
//! the one below it was taken meanwhile.

use falconry_seam::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use falconry_seam::{always, hint, planted, thread};

use crate::specimen::{Body, Family, Specimen};

pub(super) static SPECIMEN: Specimen = Specimen {
    name: "aba",
    family: Family::Concurrency,
    source: "the ABA problem of a linked stack (Treiber, IBM RJ 5118, 1986)",
    bug: "the top of the stack carries no tag that tells two visits of a slot apart",
    faults: &[],
    body: Body::Program(program),
};

const SLOTS: u32 = 3;
/// The link of the lowest slot.
const NONE: u32 = SLOTS;

struct FreeSlots {
    /// The slot on top, and above its 32 bits a tag.
    top: AtomicU64,
    below: [AtomicU32; SLOTS as usize],
    taken: [AtomicBool; SLOTS as usize],
}

fn slot_of(top: u64) -> u32 {
    top as u32
}

fn moved(top: u64, slot: u32) -> u64 {
    let tag = if planted!("aba") { 0 } else { (top >> 32) + 1 };
    tag << 32 | u64::from(slot)
}

impl FreeSlots {
    fn new() -> Self {
        FreeSlots {
            top: AtomicU64::new(0),
            below: std::array::from_fn(|slot| AtomicU32::new(slot as u32 + 1)),
            taken: Default::default(),
        }
    }

    fn pop(&self) -> Option<u32> {
        loop {
            let top = self.top.load(Ordering::SeqCst);
            let slot = slot_of(top);
            if slot == NONE {
                return None;
            }
            let below = self.below[slot as usize].load(Ordering::SeqCst);
            if self.replace_top(top, below) {
                let was_taken = self.taken[slot as usize].swap(true, Ordering::SeqCst);
                always!(!was_taken, "a slot has one owner", "slot {slot}");
                return Some(slot);
            }
            hint::spin_loop();
        }
    }

    fn push(&self, slot: u32) {
        self.taken[slot as usize].store(false, Ordering::SeqCst);
        loop {
            let top = self.top.load(Ordering::SeqCst);
            self.below[slot as usize].store(slot_of(top), Ordering::SeqCst);
            if self.replace_top(top, slot) {
                return;
            }
            hint::spin_loop();
        }
    }

    fn replace_top(&self, top: u64, slot: u32) -> bool {
        let moved = moved(top, slot);
        self.top.compare_exchange(top, moved, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }
}

fn program() {
    let free = FreeSlots::new();
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..2 {
                    let (first, second) = (free.pop(), free.pop());
                    first.into_iter().chain(second).for_each(|slot| free.push(slot));
                }
            });
        }
    });
}

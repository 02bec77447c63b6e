//! A reader without a lock looks at the version of a record before it reads the words, and not again
//! afterwards.

use falconry_seam::sync::atomic::{AtomicU64, Ordering};
use falconry_seam::{always, planted, thread};

use crate::specimen::{Body, Family, Specimen};

pub(super) static SPECIMEN: Specimen = Specimen {
    name: "torn_optimistic_read",
    family: Family::Concurrency,
    source: "a sequence lock (Lameter, Gelato 2005) whose reader checks once; a class",
    bug: "the version is not compared after the words were read",
    faults: &[],
    body: Body::Program(program),
};

const LOOKS: u32 = 3;

#[derive(Default)]
struct Record {
    /// Odd while it is written.
    version: AtomicU64,
    words: [AtomicU64; 2],
}

impl Record {
    fn write(&self, value: u64) {
        self.version.fetch_add(1, Ordering::SeqCst);
        self.words.iter().for_each(|word| word.store(value, Ordering::SeqCst));
        self.version.fetch_add(1, Ordering::SeqCst);
    }

    /// Both words of one version; `None` when a writer was in the way.
    fn read(&self) -> Option<[u64; 2]> {
        let before = self.version.load(Ordering::SeqCst);
        let words = [0, 1].map(|index: usize| self.words[index].load(Ordering::SeqCst));
        let is_same =
            planted!("torn_optimistic_read") || self.version.load(Ordering::SeqCst) == before;
        (before.is_multiple_of(2) && is_same).then_some(words)
    }
}

fn program() {
    let record = Record::default();
    thread::scope(|scope| {
        scope.spawn(|| (1..=2).for_each(|value| record.write(value)));
        scope.spawn(|| {
            for [first, second] in (0..LOOKS).filter_map(|_| record.read()) {
                always!(first == second, "both words are of one version", "{first}, {second}");
            }
        });
    });
}

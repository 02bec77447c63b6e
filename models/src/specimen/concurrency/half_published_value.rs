//! A root is two words and a flag that says they are there; the flag is raised between the words.

use falconry_seam::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use falconry_seam::{always, planted, thread};

use crate::specimen::{Body, Family, Specimen};

pub(super) static SPECIMEN: Specimen = Specimen {
    name: "half_published_value",
    family: Family::Concurrency,
    source: "order violation: published before it is complete (Lu et al., ASPLOS 2008)",
    bug: "the flag is raised before the second word is written",
    faults: &[],
    body: Body::Program(program),
};

#[derive(Default)]
struct Root {
    page: AtomicU64,
    checksum: AtomicU64,
    is_set: AtomicBool,
}

impl Root {
    fn publish(&self, page: u64) {
        self.page.store(page, Ordering::SeqCst);
        if planted!("half_published_value") {
            self.is_set.store(true, Ordering::SeqCst);
            self.checksum.store(!page, Ordering::SeqCst);
        } else {
            self.checksum.store(!page, Ordering::SeqCst);
            self.is_set.store(true, Ordering::SeqCst);
        }
    }

    fn look(&self) {
        if self.is_set.load(Ordering::SeqCst) {
            let page = self.page.load(Ordering::SeqCst);
            let checksum = self.checksum.load(Ordering::SeqCst);
            always!(checksum == !page, "a published root is whole", "{page}, {checksum:#x}");
        }
    }
}

fn program() {
    let root = Root::default();
    thread::scope(|scope| {
        scope.spawn(|| root.publish(7));
        scope.spawn(|| (0..4).for_each(|_| root.look()));
    });
}

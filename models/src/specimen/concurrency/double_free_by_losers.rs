//! Two owners let go of a page. The count goes down by one step each, but whether it is 0 is read
//! again afterwards, and both may read 0.

use falconry_seam::sync::atomic::{AtomicU64, Ordering};
use falconry_seam::{always, planted, thread};

use crate::specimen::{Body, Family, Specimen};

pub(super) static SPECIMEN: Specimen = Specimen {
    name: "double_free_by_losers",
    family: Family::Concurrency,
    source: "a reference count that is read again after it was lowered; a class",
    bug: "who frees is decided by another look at the count and not by the decrement's own result",
    faults: &[],
    body: Body::Program(program),
};

const OWNERS: u64 = 3;

struct Page {
    owners: AtomicU64,
    freed: AtomicU64,
}

impl Page {
    fn release(&self) {
        let before = self.owners.fetch_sub(1, Ordering::SeqCst);
        let is_last = if planted!("double_free_by_losers") {
            self.owners.load(Ordering::SeqCst) == 0
        } else {
            before == 1
        };
        if is_last {
            self.freed.fetch_add(1, Ordering::SeqCst);
        }
    }
}

fn program() {
    let page = Page { owners: AtomicU64::new(OWNERS), freed: AtomicU64::new(0) };
    thread::scope(|scope| {
        for _ in 0..OWNERS {
            scope.spawn(|| page.release());
        }
    });
    let freed = page.freed.load(Ordering::SeqCst);
    always!(freed == 1, "a page is freed once", "{freed} times");
}

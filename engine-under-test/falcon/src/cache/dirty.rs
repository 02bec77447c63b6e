//! Which pages wait to be written, and which are being written.
//!
//! # Method
//!
//! A page's frame says whether it is dirty; the list is there to find such pages. Who changes a clean page
//! marks it in its frame and then puts it on the list. Who writes a page takes it off the list and marks
//! it as being written under the list's lock, so that it cannot take off what a later change put on.
//!
//! # Invariant
//!
//! A page that is dirty is on the list, or is about to be put there by whoever marked it.

use std::collections::BTreeSet;

use falconry_seam::planted;
use falconry_seam::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::PageId;
use crate::lockfree::frame::FrameState;

#[derive(Default)]
pub(super) struct DirtyList {
    pages: Mutex<Pages>,
    /// A write has ended.
    ended: Condvar,
}

/// Whether a write was begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Begun {
    /// By the caller.
    Now,
    /// By another, who may have copied the page before its last change.
    ByAnother,
    /// The page is clean.
    Clean,
}

#[derive(Default)]
struct Pages {
    dirty: BTreeSet<PageId>,
    writing: BTreeSet<PageId>,
}

impl DirtyList {
    pub(super) fn add(&self, page: PageId) {
        self.lock().dirty.insert(page);
    }

    /// The pages that may differ from the disk, in order: those that are dirty, and those that are being
    /// written, for a write may fail, or may have copied the page before its last change.
    pub(super) fn snapshot(&self) -> Vec<PageId> {
        let pages = self.lock();
        let mut differing: Vec<PageId> = pages.dirty.union(&pages.writing).copied().collect();
        if planted!("dirty_list_without_tablespace") {
            let mut numbers = BTreeSet::new();
            differing.retain(|page| numbers.insert(page.number));
        }
        differing
    }

    /// Begins the write of a page whose frame the caller has pinned, if there is something to write.
    pub(super) fn begin(&self, page: PageId, state: &FrameState) -> Begun {
        let mut pages = self.lock();
        if state.begin_write() {
            pages.dirty.remove(&page);
            let is_new = pages.writing.insert(page);
            assert!(is_new, "{page} is written twice at a time");
            return Begun::Now;
        }
        if pages.writing.contains(&page) {
            return Begun::ByAnother;
        }
        // Whoever changes it from here on puts it on the list again.
        pages.dirty.remove(&page);
        Begun::Clean
    }

    /// Waits until nobody writes the page.
    pub(super) fn wait_for(&self, page: PageId) {
        let mut pages = self.lock();
        while pages.writing.contains(&page) {
            pages = self.ended.wait(pages).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// A write that was begun is over.
    pub(super) fn end(&self, page: PageId, state: &FrameState, is_written: bool) {
        let mut pages = self.lock();
        let was_begun = pages.writing.remove(&page);
        assert!(was_begun, "a write of {page} ends that did not begin");
        if !is_written {
            pages.dirty.insert(page);
        }
        state.end_write(is_written);
        drop(pages);
        self.ended.notify_all();
    }

    pub(super) fn count(&self) -> usize {
        self.lock().dirty.len()
    }

    fn lock(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

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

use std::collections::{BTreeMap, BTreeSet};

use falconry_seam::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::lockfree::frame::FrameState;
use crate::{Error, PageId, Result};

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
    /// Writes that failed: how many since the cache was made, and the last one of each page.
    failures: u64,
    failed: BTreeMap<PageId, Error>,
}

impl DirtyList {
    pub(super) fn add(&self, page: PageId) {
        self.lock().dirty.insert(page);
    }

    /// The dirty pages, in order, and how many writes had failed until now.
    pub(super) fn snapshot(&self) -> (Vec<PageId>, u64) {
        let pages = self.lock();
        // What is being written may have been copied before its last change came: it is dirty again then.
        let all: BTreeSet<PageId> = pages.dirty.union(&pages.writing).copied().collect();
        (all.into_iter().collect(), pages.failures)
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
    pub(super) fn end(&self, page: PageId, state: &FrameState, result: &Result<()>) {
        let mut pages = self.lock();
        let was_begun = pages.writing.remove(&page);
        assert!(was_begun, "a write of {page} ends that did not begin");
        match result {
            Ok(()) => drop(pages.failed.remove(&page)),
            Err(error) => {
                pages.dirty.insert(page);
                pages.failures += 1;
                pages.failed.insert(page, error.clone());
            }
        }
        state.end_write(result.is_ok());
        drop(pages);
        self.ended.notify_all();
    }

    /// Waits until none of `pages` is being written any more.
    ///
    /// # Errors
    ///
    /// That of a write of one of them which failed after `failures` others had.
    pub(super) fn settle(&self, pages: &[PageId], failures: u64) -> Result<()> {
        let mut now = self.lock();
        while pages.iter().any(|page| now.writing.contains(page)) {
            now = self.ended.wait(now).unwrap_or_else(PoisonError::into_inner);
        }
        let failed = pages.iter().find_map(|page| now.failed.get(page));
        match failed {
            Some(error) if now.failures > failures => Err(error.clone()),
            _ => Ok(()),
        }
    }

    pub(super) fn count(&self) -> usize {
        self.lock().dirty.len()
    }

    fn lock(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

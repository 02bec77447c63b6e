//! One frame: room for a page, with its latch.

use falconry_seam::sync::atomic::{AtomicU8, Ordering};
use falconry_seam::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, TryLockError};

use crate::lockfree::frame::FrameState;
use crate::memory::PageBytes;
use crate::{Error, Lsn, PageId};

/// Uses that a page can have to its credit: how many times the clock passes it by.
const CREDIT_MAX: u8 = 3;

/// The fields stand in this order so that who looks at a page has all that it needs of its frame in one line of the
/// processor's cache.
#[repr(C, align(64))]
pub(super) struct Frame {
    credit: AtomicU8,
    /// The page's latch is this lock.
    content: RwLock<Content>,
    pub(super) state: FrameState,
}

/// What a frame holds.
#[repr(C)]
pub(super) struct Content {
    /// Which page; none in a frame that is free, or whose page could not be read.
    pub(super) page: Option<PageId>,
    /// None until the frame gets its first page, unless they are of a slab.
    pub(super) bytes: PageBytes,
    /// The page's last change: the log must be durable up to here before the page is written.
    pub(super) lsn: Lsn,
    /// The page that could not be read last, for those who waited for it, and why.
    pub(super) failed: Option<Box<(PageId, Error)>>,
}

impl Content {
    /// Room for a page of that size, with whatever the last one has left there.
    pub(super) fn room(&mut self, page_bytes: usize) -> &mut [u8] {
        if self.bytes.is_empty() {
            self.bytes = PageBytes::boxed(page_bytes);
        }
        assert_eq!(self.bytes.len(), page_bytes, "pages of one cache have one size");
        &mut self.bytes
    }
}

impl Frame {
    /// A frame without a page, taken, with room for one or none yet.
    pub(super) fn new(bytes: PageBytes) -> Frame {
        let content = Content { page: None, bytes, lsn: Lsn::default(), failed: None };
        let (state, credit) = (FrameState::taken(), AtomicU8::new(0));
        Frame { credit, content: RwLock::new(content), state }
    }

    /// The latch, shared. Whoever panicked with it had changed whole bytes: the page's sum and the log
    /// judge them, not the lock.
    pub(super) fn read(&self) -> RwLockReadGuard<'_, Content> {
        self.content.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The latch, shared, if it can be had at once.
    pub(super) fn try_read(&self) -> Option<RwLockReadGuard<'_, Content>> {
        match self.content.try_read() {
            Ok(content) => Some(content),
            Err(TryLockError::Poisoned(content)) => Some(content.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// The latch, exclusive, if it can be had at once.
    pub(super) fn try_write(&self) -> Option<RwLockWriteGuard<'_, Content>> {
        match self.content.try_write() {
            Ok(content) => Some(content),
            Err(TryLockError::Poisoned(content)) => Some(content.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// The latch, exclusive.
    pub(super) fn write(&self) -> RwLockWriteGuard<'_, Content> {
        self.content.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The page was used again. A lost count does not matter.
    pub(super) fn earn_credit(&self) {
        let credit = self.credit.load(Ordering::Relaxed);
        if credit < CREDIT_MAX {
            self.credit.store(credit + 1, Ordering::Relaxed);
        }
    }

    /// The page is new here.
    pub(super) fn lose_credit(&self) {
        self.credit.store(0, Ordering::Relaxed);
    }

    /// The clock comes by: whether the page has used up its credit.
    pub(super) fn spend_credit(&self) -> bool {
        let credit = self.credit.load(Ordering::Relaxed);
        if credit > 0 {
            self.credit.store(credit - 1, Ordering::Relaxed);
        }
        credit == 0
    }
}

//! What a frame of the page cache is in: one word, so that no two changes of it can undo each other.
//!
//! # Method
//!
//! The word counts pins and holds three flags. A frame that is *taken* belongs to one thread, which gives
//! it another page; only one without pins that is neither dirty nor being written can be taken. A write
//! turns *dirty* into *writing* before it copies the page, and takes *writing* away once the disk has it:
//! whoever changes the page in between makes it dirty again, and a write that failed does so too.
//!
//! # Invariant
//!
//! A page that differs from the disk is dirty or being written, and its frame holds it.

use super::sync::{AtomicU64, Ordering};

const PINS: u64 = (1 << 32) - 1;
const DIRTY: u64 = 1 << 32;
const WRITING: u64 = 1 << 33;
const TAKEN: u64 = 1 << 34;

/// State of one frame.
#[derive(Debug)]
pub(crate) struct FrameState {
    word: AtomicU64,
}

impl FrameState {
    /// Taken, by whoever makes it: it holds no page.
    pub(crate) fn taken() -> Self {
        FrameState { word: AtomicU64::new(TAKEN) }
    }

    /// Keeps the page where it is until [`FrameState::unpin`]. `false` when the frame is taken: it is
    /// getting another page.
    #[must_use]
    pub(crate) fn pin(&self) -> bool {
        // Acquire: what the taker wrote before it gave the frame is seen.
        self.change(|word| (word & TAKEN == 0).then_some(word + 1)).is_some()
    }

    /// Ends a pin.
    pub(crate) fn unpin(&self) {
        // Release: what was done under the pin comes before whatever a taker does.
        let before = self.word.fetch_sub(1, Ordering::AcqRel);
        assert!(before & PINS > 0, "a frame is unpinned more often than pinned");
    }

    /// Takes the frame, so that it can get another page. `false` while it is pinned, dirty or written.
    #[must_use]
    pub(crate) fn take(&self) -> bool {
        self.change(|word| (word == 0).then_some(TAKEN)).is_some()
    }

    /// Gives a frame that the caller has taken back to the page that it holds.
    pub(crate) fn put_back(&self) {
        let before = self.word.swap(0, Ordering::AcqRel);
        assert_eq!(before, TAKEN, "a frame is put back by whoever has taken it");
    }

    /// Gives a frame that the caller has taken to its page, and pins it once.
    pub(crate) fn give(&self) {
        let before = self.word.swap(1, Ordering::AcqRel);
        assert_eq!(before, TAKEN, "a frame is given by whoever has taken it");
    }

    /// The page has changed. Says whether it was clean; then it belongs on the list of dirty pages. The
    /// caller has a pin and the page's latch.
    #[must_use]
    pub(crate) fn mark_dirty(&self) -> bool {
        let before = self.word.fetch_or(DIRTY, Ordering::AcqRel);
        assert!(before & PINS > 0, "a page is changed without a pin");
        before & DIRTY == 0
    }

    /// Begins to write the page: from here on a change makes it dirty again. `false` when it is clean, or
    /// somebody else writes it. The caller has a pin, and copies the page only after this.
    #[must_use]
    pub(crate) fn begin_write(&self) -> bool {
        let begin = |word| match word & (DIRTY | WRITING) {
            DIRTY => Some((word & !DIRTY) | WRITING),
            _ => None,
        };
        self.change(begin).is_some()
    }

    /// The disk has what was copied, or has not.
    pub(crate) fn end_write(&self, is_written: bool) {
        let again = if is_written { 0 } else { DIRTY };
        let before = self.change(|word| Some((word & !WRITING) | again));
        let was_writing = before.is_some_and(|word| word & WRITING != 0);
        assert!(was_writing, "a write ends that did not begin");
    }

    /// Whether the page may differ from the disk: it is dirty, or a write of it is not over.
    pub(crate) fn is_unwritten(&self) -> bool {
        self.word.load(Ordering::Acquire) & (DIRTY | WRITING) != 0
    }

    /// Whether somebody has pinned the frame.
    pub(crate) fn is_pinned(&self) -> bool {
        self.word.load(Ordering::Acquire) & PINS != 0
    }

    /// Changes the word as `f` says, at once; `None` when `f` does not want to. Returns the word before.
    fn change(&self, f: impl Fn(u64) -> Option<u64>) -> Option<u64> {
        let mut word = self.word.load(Ordering::Acquire);
        loop {
            let next = f(word)?;
            match self.word.compare_exchange(word, next, Ordering::AcqRel, Ordering::Acquire) {
                Ok(before) => return Some(before),
                Err(other) => word = other,
            }
        }
    }
}

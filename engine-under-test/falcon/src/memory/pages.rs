//! Room for pages: a piece of memory each, or all of them in one slab.
//!
//! # Method
//!
//! A slab is memory for so many pages, zero where nothing was written, which costs what is used of it. It is
//! cut into pieces when it is made, and is freed with the last of them. Where a page lies follows from its place in
//! the slab, so that a line of it can be asked for by somebody who may not look at it yet.
//!
//! # Invariant
//!
//! A piece of memory is in one [`PageBytes`], and who has that has the memory for itself.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::mem::MaybeUninit;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

use falconry_seam::sync::Arc;

use super::advice::{self, HUGE_BYTES};

/// Memory for pages.
pub(crate) struct Slab {
    /// What was allocated.
    memory: NonNull<u8>,
    layout: Layout,
    /// Where the first page begins, as a huge page does.
    first: NonNull<u8>,
    page_bytes: usize,
    page_count: usize,
}

/// The bytes of one page.
pub(crate) struct PageBytes {
    first: NonNull<u8>,
    count: usize,
    /// None where the bytes are a box of their own.
    slab: Option<Arc<Slab>>,
}

// SAFETY: all that is shared of a slab is where it lies, and that does not change.
unsafe impl Send for Slab {}
// SAFETY: as above.
unsafe impl Sync for Slab {}
// SAFETY: it has its bytes for itself, as a box has.
unsafe impl Send for PageBytes {}
// SAFETY: as above; they change by way of `&mut` alone.
unsafe impl Sync for PageBytes {}

impl Slab {
    /// Room for so many pages, one after the other, and the slab; none where the system has not as much.
    pub(crate) fn cut(page_count: usize, page_bytes: usize) -> Option<(Arc<Slab>, Vec<PageBytes>)> {
        assert!(page_bytes > 0, "a page has bytes");
        let bytes = page_count.checked_mul(page_bytes)?;
        // A large alignment would have all of it written at once, to be zero.
        let layout = Layout::array::<u8>(bytes.checked_add(HUGE_BYTES)?).ok()?;
        // SAFETY: the layout has a size that is not zero.
        let memory = NonNull::new(unsafe { alloc_zeroed(layout) })?;
        let before = memory.as_ptr().align_offset(HUGE_BYTES);
        assert!(before < HUGE_BYTES, "{before} bytes before the first that is aligned");
        // SAFETY: there are `HUGE_BYTES` more than `bytes`, so that these lie behind `before`.
        let first = unsafe { memory.add(before) };
        // SAFETY: nobody else knows of the bytes yet, and what may be uninitialised may be zero.
        let whole = unsafe {
            std::slice::from_raw_parts_mut(first.as_ptr().cast::<MaybeUninit<u8>>(), bytes)
        };
        advice::ask_for_huge_pages(whole);
        let slab = Arc::new(Slab { memory, layout, first, page_bytes, page_count });
        let piece = |page: usize| {
            // SAFETY: the page is one of `page_count`, which lie in `bytes`, and each is taken once.
            let first = unsafe { slab.first.add(page * page_bytes) };
            PageBytes { first, count: page_bytes, slab: Some(Arc::clone(&slab)) }
        };
        let pieces = (0..page_count).map(piece).collect();
        Some((slab, pieces))
    }

    /// Says that the line of a page with the byte `at` is read soon.
    #[inline]
    pub(crate) fn prefetch(&self, page: usize, at: usize) {
        assert!(page < self.page_count, "page {page} of {}", self.page_count);
        advice::prefetch(self.first.as_ptr().wrapping_add(page * self.page_bytes + at));
    }
}

impl Drop for Slab {
    fn drop(&mut self) {
        // SAFETY: it was allocated so, and every piece of it had a share in the slab and is gone.
        unsafe { dealloc(self.memory.as_ptr(), self.layout) };
    }
}

impl PageBytes {
    /// No bytes yet.
    pub(crate) fn none() -> PageBytes {
        PageBytes::boxed(0)
    }

    /// So many, all zero, by themselves.
    pub(crate) fn boxed(count: usize) -> PageBytes {
        let bytes: Box<[u8]> = vec![0; count].into_boxed_slice();
        let first = NonNull::new(Box::into_raw(bytes).cast()).expect("a box lies somewhere");
        PageBytes { first, count, slab: None }
    }
}

impl Drop for PageBytes {
    fn drop(&mut self) {
        if self.slab.is_none() {
            let bytes = std::ptr::slice_from_raw_parts_mut(self.first.as_ptr(), self.count);
            // SAFETY: they come from a box of this length, and are given back to it once.
            drop(unsafe { Box::from_raw(bytes) });
        }
    }
}

impl Deref for PageBytes {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        // SAFETY: the bytes are initialised, live as long as this, and are its own.
        unsafe { std::slice::from_raw_parts(self.first.as_ptr(), self.count) }
    }
}

impl DerefMut for PageBytes {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `deref`, and nobody else looks at them while this is borrowed.
        unsafe { std::slice::from_raw_parts_mut(self.first.as_ptr(), self.count) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_of_a_slab_are_zero_and_apart_and_outlive_it() {
        let (slab, mut pieces) = Slab::cut(3, 1_024).expect("there is as much");
        slab.prefetch(2, 1_023);
        drop(slab);
        for (number, piece) in pieces.iter_mut().enumerate() {
            assert_eq!(**piece, [0; 1_024]);
            piece.fill(number as u8 + 1);
        }
        let last = pieces.pop().expect("there are three");
        assert_eq!(*pieces[0], [1; 1_024]);
        drop(pieces);
        assert_eq!(*last, [3; 1_024]);
    }

    #[test]
    fn a_page_by_itself_is_zero_and_can_be_none() {
        assert!(PageBytes::none().is_empty());
        let mut bytes = PageBytes::boxed(512);
        assert_eq!(*bytes, [0; 512]);
        bytes[511] = 7;
        assert_eq!(bytes[511], 7);
    }

    #[test]
    fn what_nobody_has_is_refused() {
        assert!(Slab::cut(usize::MAX, 2).is_none());
        assert!(Slab::cut(1 << 50, 1 << 10).is_none());
    }
}

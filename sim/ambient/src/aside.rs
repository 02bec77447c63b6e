//! A global allocator whose own questions to the OS are its own affair.

use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;

thread_local! {
    /// How deep this OS thread is in an allocator.
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

/// Whether this OS thread is in an [`Aside`] allocator.
#[inline]
pub(crate) fn is_inside() -> bool {
    DEPTH.get() > 0
}

/// Wraps a global allocator that asks the OS for the time or for randomness, as mimalloc does: what it
/// asks goes to the kernel even on a machine.
///
/// When and how often an allocator asks depends on what ran before it in this process. From a machine
/// its questions would shift the choices of the run; and answering them allocates.
///
/// ```
/// # use std::alloc::System;
/// #[global_allocator]
/// static ALLOCATOR: falconry_ambient::Aside<System> = falconry_ambient::Aside(System);
/// # fn main() { assert_eq!(vec![1; 3].len(), 3); }
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Aside<A>(pub A);

/// Within an allocator as long as it lives.
struct Inside;

impl Inside {
    #[inline]
    fn enter() -> Inside {
        DEPTH.set(DEPTH.get() + 1);
        Inside
    }
}

impl Drop for Inside {
    #[inline]
    fn drop(&mut self) {
        DEPTH.set(DEPTH.get() - 1);
    }
}

// SAFETY: every call is the wrapped allocator's. The counter is neither allocated nor dropped: it is a
// plain cell of the thread, there from its first instruction to its last.
unsafe impl<A: GlobalAlloc> GlobalAlloc for Aside<A> {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _inside = Inside::enter();
        // SAFETY: our caller's promise.
        unsafe { self.0.alloc(layout) }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let _inside = Inside::enter();
        // SAFETY: our caller's promise.
        unsafe { self.0.alloc_zeroed(layout) }
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        let _inside = Inside::enter();
        // SAFETY: our caller's promise.
        unsafe { self.0.realloc(block, layout, bytes) }
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let _inside = Inside::enter();
        // SAFETY: our caller's promise.
        unsafe { self.0.dealloc(block, layout) }
    }
}

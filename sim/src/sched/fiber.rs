//! A run of code on a stack of its own, suspended somewhere.

use std::mem::ManuallyDrop;

use super::stack::PooledStack;
use super::switch::{Context, fresh};

/// A stack with a suspended run on it. Dropping it leaks both: frames on the stack may be referred to.
pub(super) struct Fiber {
    /// Where the run goes on, while it is suspended.
    pub(super) context: Context,
    stack: ManuallyDrop<PooledStack>,
}

impl Fiber {
    /// A run that will begin with `main`, which must not return.
    ///
    /// # Safety
    ///
    /// Whatever `main` borrows outlives the run, which is over when it is never gone on with again.
    pub(super) unsafe fn new<F: FnOnce() -> Never>(stack: PooledStack, main: F) -> Fiber {
        const { assert!(size_of::<F>() <= 4096 && align_of::<F>() <= 16) };
        let place = (stack.top() - size_of::<F>()) & !15;
        let pointer = place as *mut F;
        // SAFETY: the stack is ours alone, mapped, and longer than a page.
        let context = unsafe {
            pointer.write(main);
            fresh(place, begin::<F>, pointer.cast())
        };
        Fiber { context, stack: ManuallyDrop::new(stack) }
    }

    /// The low end of its stack's guard.
    #[inline]
    pub(super) fn guard_low(&self) -> usize {
        self.stack.guard_low()
    }

    /// The high end of its stack.
    pub(super) fn top(&self) -> usize {
        self.stack.top()
    }

    /// The stack of a run that is over.
    pub(super) fn into_stack(self) -> PooledStack {
        ManuallyDrop::into_inner(self.stack)
    }
}

/// What a run that does not return would return.
pub(super) enum Never {}

/// # Safety
///
/// `main` points to an `F` that nobody takes but this.
unsafe extern "C" fn begin<F: FnOnce() -> Never>(main: *mut ()) -> ! {
    // SAFETY: the caller vouches for it.
    let main = unsafe { main.cast::<F>().read() };
    match main() {}
}

//! Stacks of tasks: mapped once, with a guard, and used again.
//!
//! # Method
//!
//! A stack is mapped with a guard of [`GUARD_BYTES`] below it and goes back to a pool when its task
//! has ended. The pool of this OS thread comes first; when the thread ends, what it pooled
//! goes to the pool of the process, so that a run on a fresh OS thread maps nothing either.

#![expect(
    clippy::disallowed_types,
    reason = "the process has one of it, for all machines: taken outside of any machine"
)]

use std::cell::RefCell;
use std::io;
use std::mem::ManuallyDrop;
use std::sync::Mutex;

use falconry_seam::hook;

/// Bytes below a stack that cannot be touched. A frame of C may jump over one page.
pub(super) const GUARD_BYTES: usize = 64 * 1024;

const PAGE_BYTES: usize = 4096;
const PAINT: u64 = 0xA5A5_5A5A_A5A5_5A5A;
const POOL_MAX: usize = 64;

/// A mapped stack with its guard.
#[derive(Debug)]
pub(super) struct PooledStack {
    top: usize,
    bytes: usize,
}

impl PooledStack {
    /// A stack of at least `bytes`, from a pool or mapped anew.
    ///
    /// # Errors
    ///
    /// That of `mmap`.
    pub(super) fn take(bytes: usize) -> io::Result<Self> {
        let bytes = bytes.next_multiple_of(PAGE_BYTES).max(4 * PAGE_BYTES);
        let pooled = LOCAL.try_with(|pool| pool.borrow_mut().take(bytes)).ok().flatten();
        if let Some(stack) = pooled {
            return Ok(stack);
        }
        hook::outside(|| {
            let pooled = match SHARED.lock() {
                Ok(mut pool) => take_from(&mut pool, bytes),
                Err(_) => None,
            };
            pooled.map_or_else(|| Self::map(bytes), Ok)
        })
    }

    /// Gives the stack to the pool of this OS thread. It stays mapped in any case, so that its task may
    /// do this last.
    pub(super) fn give_back(self) {
        let stack = ManuallyDrop::new(self);
        let PooledStack { top, bytes } = *stack;
        let _ = LOCAL.try_with(|pool| pool.borrow_mut().0.push(PooledStack { top, bytes }));
    }

    fn map(bytes: usize) -> io::Result<Self> {
        let all = bytes + GUARD_BYTES;
        let flags = libc::MAP_ANONYMOUS | libc::MAP_PRIVATE | libc::MAP_NORESERVE;
        // SAFETY: a new anonymous mapping at an address of the kernel's choice touches nothing.
        let low = unsafe { libc::mmap(std::ptr::null_mut(), all, libc::PROT_NONE, flags, -1, 0) };
        if low == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let usable = low as usize + GUARD_BYTES;
        // SAFETY: the range lies within the mapping that was just made and that nobody else knows.
        let result = unsafe {
            libc::mprotect(usable as *mut libc::c_void, bytes, libc::PROT_READ | libc::PROT_WRITE)
        };
        let stack = PooledStack { top: usable + bytes, bytes };
        if result == 0 { Ok(stack) } else { Err(io::Error::last_os_error()) }
    }

    /// Fills the unused stack with a pattern, so that [`PooledStack::used`] can tell how deep a
    /// task went. Only before the task is made.
    pub(super) fn paint(&mut self) {
        // SAFETY: the stack is mapped, exclusively ours, and no task lives on it yet.
        let words = unsafe {
            std::slice::from_raw_parts_mut(self.low() as *mut u64, self.bytes / size_of::<u64>())
        };
        words.fill(PAINT);
    }

    /// Bytes from the top of the stack down to the deepest word that no longer has the pattern.
    pub(super) fn used(&self) -> usize {
        // SAFETY: the stack is mapped and its task has ended, so nobody writes to it.
        let words = unsafe {
            std::slice::from_raw_parts(self.low() as *const u64, self.bytes / size_of::<u64>())
        };
        let untouched = words.iter().take_while(|word| **word == PAINT).count();
        self.bytes - untouched * size_of::<u64>()
    }

    /// The high end, where the first frame goes; a multiple of the size of a page.
    #[inline]
    pub(super) fn top(&self) -> usize {
        self.top
    }

    /// The low end of the guard.
    #[inline]
    pub(super) fn guard_low(&self) -> usize {
        self.low() - GUARD_BYTES
    }

    #[inline]
    fn low(&self) -> usize {
        self.top - self.bytes
    }
}

impl Drop for PooledStack {
    fn drop(&mut self) {
        let low = self.guard_low() as *mut libc::c_void;
        // SAFETY: this is the whole mapping made in `map`, and no task lives on it any more.
        unsafe { libc::munmap(low, self.bytes + GUARD_BYTES) };
    }
}

struct LocalPool(Vec<PooledStack>);

impl LocalPool {
    fn take(&mut self, bytes: usize) -> Option<PooledStack> {
        take_from(&mut self.0, bytes)
    }
}

impl Drop for LocalPool {
    fn drop(&mut self) {
        hook::outside(|| {
            if let Ok(mut shared) = SHARED.lock() {
                let room = POOL_MAX.saturating_sub(shared.len());
                self.0.truncate(room);
                shared.append(&mut self.0);
            }
        });
    }
}

fn take_from(pool: &mut Vec<PooledStack>, bytes: usize) -> Option<PooledStack> {
    let index = pool.iter().rposition(|stack| stack.bytes == bytes)?;
    Some(pool.swap_remove(index))
}

thread_local! {
    static LOCAL: RefCell<LocalPool> = const { RefCell::new(LocalPool(Vec::new())) };
}

static SHARED: Mutex<Vec<PooledStack>> = Mutex::new(Vec::new());

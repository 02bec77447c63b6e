//! The condition variable of production: std's, that does not call the system when nobody waits.
//!
//! # Method
//!
//! std's `notify_one` makes a system call even when nobody waits. Here the waiters are counted. A waiter
//! is counted while it still holds the lock, so whoever notifies after having taken that lock sees it;
//! a notification that is not ordered by the lock may be missed, by std's condition variable as well.

use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{self, LockResult, MutexGuard, WaitTimeoutResult};
use std::time::Duration;

/// A condition variable, in the shape of [`std::sync::Condvar`].
#[derive(Default)]
pub struct Condvar {
    waiters: AtomicU32,
    inner: sync::Condvar,
}

/// One waiter, as long as it waits; an unwinding wait is over, too.
struct Waiting<'a>(&'a AtomicU32);

impl Condvar {
    /// A condition that nobody waits for.
    #[inline]
    pub const fn new() -> Self {
        Condvar { waiters: AtomicU32::new(0), inner: sync::Condvar::new() }
    }

    /// Gives the lock back, waits, and takes it again. Wakes spuriously, too.
    pub fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> LockResult<MutexGuard<'a, T>> {
        let _waiting = Waiting::count(&self.waiters);
        self.inner.wait(guard)
    }

    /// Waits until `condition` no longer holds.
    pub fn wait_while<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        condition: impl FnMut(&mut T) -> bool,
    ) -> LockResult<MutexGuard<'a, T>> {
        let _waiting = Waiting::count(&self.waiters);
        self.inner.wait_while(guard, condition)
    }

    /// Waits as [`Condvar::wait`] does, for `timeout` at most.
    pub fn wait_timeout<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        timeout: Duration,
    ) -> LockResult<(MutexGuard<'a, T>, WaitTimeoutResult)> {
        let _waiting = Waiting::count(&self.waiters);
        self.inner.wait_timeout(guard, timeout)
    }

    /// Waits until `condition` no longer holds, for `timeout` at most.
    pub fn wait_timeout_while<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        timeout: Duration,
        condition: impl FnMut(&mut T) -> bool,
    ) -> LockResult<(MutexGuard<'a, T>, WaitTimeoutResult)> {
        let _waiting = Waiting::count(&self.waiters);
        self.inner.wait_timeout_while(guard, timeout, condition)
    }

    /// Wakes one waiter.
    #[inline]
    pub fn notify_one(&self) {
        if self.waiters.load(Ordering::Relaxed) > 0 {
            self.inner.notify_one();
        }
    }

    /// Wakes all waiters.
    #[inline]
    pub fn notify_all(&self) {
        if self.waiters.load(Ordering::Relaxed) > 0 {
            self.inner.notify_all();
        }
    }
}

impl<'a> Waiting<'a> {
    /// Relaxed is enough: the lock, which the caller holds, orders this before whoever takes it next.
    fn count(waiters: &'a AtomicU32) -> Self {
        waiters.fetch_add(1, Ordering::Relaxed);
        Waiting(waiters)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl fmt::Debug for Condvar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Condvar").finish_non_exhaustive()
    }
}

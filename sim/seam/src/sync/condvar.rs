//! Condition variables, whose time-outs fire in virtual time on a machine.

use std::fmt;
use std::panic::Location;
use std::sync::{self, LockResult, PoisonError};
use std::time::Duration;

use super::mutex::{Mutex, MutexGuard};
use crate::hook::{self, Machine, ObjectId, Wake};
use crate::time;

/// A condition variable, in the shape of [`std::sync::Condvar`].
#[derive(Default)]
pub struct Condvar {
    id: ObjectId,
    inner: sync::Condvar,
}

/// Whether a wait with a time-out ended because the time was over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitTimeoutResult(bool);

impl WaitTimeoutResult {
    /// Whether the time was over.
    #[must_use]
    pub fn timed_out(&self) -> bool {
        self.0
    }
}

impl Condvar {
    /// A condition that nobody waits for.
    #[inline]
    pub const fn new() -> Self {
        Condvar { id: ObjectId::new(), inner: sync::Condvar::new() }
    }

    /// Gives the lock back, waits, and takes it again. Wakes spuriously, too.
    #[track_caller]
    pub fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> LockResult<MutexGuard<'a, T>> {
        match hook::current() {
            Some(machine) => self.wait_simulated(machine, guard, None).0,
            None => {
                let (lock, inner) = real_parts(guard);
                rewrap(lock, self.inner.wait(inner))
            }
        }
    }

    /// Waits until `condition` no longer holds.
    #[track_caller]
    pub fn wait_while<'a, T>(
        &self,
        mut guard: MutexGuard<'a, T>,
        mut condition: impl FnMut(&mut T) -> bool,
    ) -> LockResult<MutexGuard<'a, T>> {
        while condition(&mut *guard) {
            guard = self.wait(guard)?;
        }
        Ok(guard)
    }

    /// Waits as [`Condvar::wait`] does, for `timeout` at most.
    #[track_caller]
    pub fn wait_timeout<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        timeout: Duration,
    ) -> LockResult<(MutexGuard<'a, T>, WaitTimeoutResult)> {
        match hook::current() {
            Some(machine) => {
                let deadline_ns = time::deadline_ns(machine, timeout);
                let (result, wake) = self.wait_simulated(machine, guard, deadline_ns);
                with_extra(result, WaitTimeoutResult(wake == Wake::TimedOut))
            }
            None => {
                let (lock, inner) = real_parts(guard);
                let (result, timed_out) = match self.inner.wait_timeout(inner, timeout) {
                    Ok((inner, result)) => (Ok(inner), result.timed_out()),
                    Err(poison) => {
                        let (inner, result) = poison.into_inner();
                        (Err(PoisonError::new(inner)), result.timed_out())
                    }
                };
                with_extra(rewrap(lock, result), WaitTimeoutResult(timed_out))
            }
        }
    }

    /// Waits until `condition` no longer holds, for `timeout` at most.
    #[track_caller]
    pub fn wait_timeout_while<'a, T>(
        &self,
        mut guard: MutexGuard<'a, T>,
        timeout: Duration,
        mut condition: impl FnMut(&mut T) -> bool,
    ) -> LockResult<(MutexGuard<'a, T>, WaitTimeoutResult)> {
        let start = time::Instant::now();
        while condition(&mut *guard) {
            let left = timeout.saturating_sub(start.elapsed());
            let result;
            (guard, result) = self.wait_timeout(guard, left)?;
            if result.timed_out() {
                let still_holds = condition(&mut *guard);
                return Ok((guard, WaitTimeoutResult(still_holds)));
            }
        }
        Ok((guard, WaitTimeoutResult(false)))
    }

    /// Wakes one waiter.
    #[inline]
    pub fn notify_one(&self) {
        match hook::current() {
            Some(machine) => machine.notify(&self.id, 1),
            None => self.inner.notify_one(),
        }
    }

    /// Wakes all waiters.
    #[inline]
    pub fn notify_all(&self) {
        match hook::current() {
            Some(machine) => machine.notify(&self.id, usize::MAX),
            None => self.inner.notify_all(),
        }
    }

    #[track_caller]
    fn wait_simulated<'a, T>(
        &self,
        machine: &dyn Machine,
        guard: MutexGuard<'a, T>,
        deadline_ns: Option<u64>,
    ) -> (LockResult<MutexGuard<'a, T>>, Wake) {
        let Some(lock) = guard.into_simulated() else {
            panic!("a guard that was taken outside the simulated machine is waited with on it")
        };
        let wake = machine.wait(&self.id, &lock.id, deadline_ns, Location::caller());
        (lock.granted(machine), wake)
    }
}

impl fmt::Debug for Condvar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Condvar").finish_non_exhaustive()
    }
}

#[track_caller]
fn real_parts<T>(guard: MutexGuard<'_, T>) -> (&Mutex<T>, sync::MutexGuard<'_, T>) {
    match guard.into_real() {
        (lock, Some(inner)) => (lock, inner),
        (_, None) => panic!("a guard that was taken on a simulated machine is waited with off it"),
    }
}

fn rewrap<'a, T>(
    lock: &'a Mutex<T>,
    result: LockResult<sync::MutexGuard<'a, T>>,
) -> LockResult<MutexGuard<'a, T>> {
    match result {
        Ok(inner) => Ok(MutexGuard::real(lock, inner)),
        Err(poison) => Err(PoisonError::new(MutexGuard::real(lock, poison.into_inner()))),
    }
}

fn with_extra<G, E>(result: LockResult<G>, extra: E) -> LockResult<(G, E)> {
    match result {
        Ok(guard) => Ok((guard, extra)),
        Err(poison) => Err(PoisonError::new((poison.into_inner(), extra))),
    }
}

//! The lock with one holder.

use std::fmt;
use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};
use std::panic::Location;
use std::sync::{self, LockResult, PoisonError, TryLockError, TryLockResult};

use super::hold::{Hold, held_outside, judge};
use crate::hook::{self, LockMode, Machine, ObjectId};

/// A lock with one holder, in the shape of [`std::sync::Mutex`].
#[derive(Default)]
pub struct Mutex<T: ?Sized> {
    pub(super) id: ObjectId,
    inner: sync::Mutex<T>,
}

/// Access to what a [`Mutex`] protects; gives the lock back when dropped.
#[must_use = "if unused the Mutex will immediately unlock"]
pub struct MutexGuard<'a, T: ?Sized> {
    lock: &'a Mutex<T>,
    inner: ManuallyDrop<sync::MutexGuard<'a, T>>,
    hold: Hold,
}

impl<T> Mutex<T> {
    /// A free lock.
    #[inline]
    pub const fn new(value: T) -> Self {
        Mutex { id: ObjectId::new(), inner: sync::Mutex::new(value) }
    }

    /// Takes the value out.
    pub fn into_inner(self) -> LockResult<T> {
        let poisoned = self.is_poisoned();
        let value = self.inner.into_inner().unwrap_or_else(PoisonError::into_inner);
        if poisoned { Err(PoisonError::new(value)) } else { Ok(value) }
    }
}

impl<T: ?Sized> Mutex<T> {
    /// Takes the lock, waiting for it.
    #[inline]
    #[track_caller]
    pub fn lock(&self) -> LockResult<MutexGuard<'_, T>> {
        let Some(machine) = hook::current() else {
            return match self.inner.lock() {
                Ok(inner) => Ok(self.guard(inner, Hold::Real)),
                Err(poison) => Err(PoisonError::new(self.guard(poison.into_inner(), Hold::Real))),
            };
        };
        machine.lock(&self.id, LockMode::Exclusive, Location::caller());
        self.granted(machine)
    }

    /// Takes the lock if it is free.
    #[inline]
    #[track_caller]
    pub fn try_lock(&self) -> TryLockResult<MutexGuard<'_, T>> {
        let Some(machine) = hook::current() else {
            return match self.inner.try_lock() {
                Ok(inner) => Ok(self.guard(inner, Hold::Real)),
                Err(TryLockError::WouldBlock) => Err(TryLockError::WouldBlock),
                Err(TryLockError::Poisoned(poison)) => {
                    let guard = self.guard(poison.into_inner(), Hold::Real);
                    Err(TryLockError::Poisoned(PoisonError::new(guard)))
                }
            };
        };
        if !machine.try_lock(&self.id, LockMode::Exclusive, Location::caller()) {
            return Err(TryLockError::WouldBlock);
        }
        self.granted(machine).map_err(TryLockError::Poisoned)
    }

    /// Whether a holder panicked. Not reported while a machine's power is off.
    pub fn is_poisoned(&self) -> bool {
        (self.inner.is_poisoned() || self.id.is_poisoned())
            && !hook::current().is_some_and(|machine| machine.is_off())
    }

    /// Forgets that a holder panicked.
    pub fn clear_poison(&self) {
        self.inner.clear_poison();
        self.id.set_poisoned(false);
    }

    /// The value; nobody can hold the lock.
    pub fn get_mut(&mut self) -> LockResult<&mut T> {
        let poisoned = self.is_poisoned();
        let value = self.inner.get_mut().unwrap_or_else(PoisonError::into_inner);
        if poisoned { Err(PoisonError::new(value)) } else { Ok(value) }
    }

    #[inline]
    fn guard<'a>(&'a self, inner: sync::MutexGuard<'a, T>, hold: Hold) -> MutexGuard<'a, T> {
        MutexGuard { lock: self, inner: ManuallyDrop::new(inner), hold }
    }

    /// The guard of a lock that the machine has granted: std's lock must be free.
    #[track_caller]
    pub(super) fn granted(&self, machine: &dyn Machine) -> LockResult<MutexGuard<'_, T>> {
        let (inner, poisoned) = match self.inner.try_lock() {
            Ok(inner) => (inner, false),
            Err(TryLockError::Poisoned(poison)) => (poison.into_inner(), true),
            Err(TryLockError::WouldBlock) => {
                machine.unlock(&self.id, LockMode::Exclusive);
                held_outside()
            }
        };
        judge(machine, &self.id, poisoned, self.guard(inner, Hold::granted(machine)))
    }
}

impl<'a, T: ?Sized> MutexGuard<'a, T> {
    /// Takes the guard apart for a real wait: std's guard, or `None` for one taken on a machine, which
    /// is given back.
    pub(super) fn into_real(self) -> (&'a Mutex<T>, Option<sync::MutexGuard<'a, T>>) {
        let lock = self.lock;
        if self.hold != Hold::Real {
            return (lock, None);
        }
        let mut this = ManuallyDrop::new(self);
        // SAFETY: `this` is never dropped, so std's guard is moved out once.
        (lock, Some(unsafe { ManuallyDrop::take(&mut this.inner) }))
    }

    /// Takes the guard apart for a simulated wait: std's lock is given back, the machine's is not, for
    /// its `wait` does that. `None` for a guard that was taken for real, which is given back.
    pub(super) fn into_simulated(self) -> Option<&'a Mutex<T>> {
        if self.hold == Hold::Real {
            return None;
        }
        let mut this = ManuallyDrop::new(self);
        this.release_inner();
        Some(this.lock)
    }

    /// Puts a guard together again after a real wait.
    pub(super) fn real(lock: &'a Mutex<T>, inner: sync::MutexGuard<'a, T>) -> Self {
        lock.guard(inner, Hold::Real)
    }

    fn release_inner(&mut self) {
        let lock = self.lock;
        self.hold.release(&lock.id, &lock.inner, || {
            // SAFETY: called once, by `drop` or by `into_simulated`, which prevents `drop`.
            unsafe { ManuallyDrop::drop(&mut self.inner) }
        });
    }
}

impl<T: ?Sized> Drop for MutexGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.release_inner();
        if self.hold != Hold::Real
            && let Some(machine) = hook::current()
        {
            machine.unlock(&self.lock.id, LockMode::Exclusive);
        }
    }
}

impl<T: ?Sized> Deref for MutexGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.inner
    }
}

impl<T: ?Sized> DerefMut for MutexGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        &mut self.inner
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Display> fmt::Display for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Mutex");
        // On a machine this is a scheduling point: the value's own `Debug` may take further locks.
        match self.try_lock() {
            Ok(guard) => out.field("data", &&*guard),
            Err(TryLockError::Poisoned(poison)) => out.field("data", &&**poison.get_ref()),
            Err(TryLockError::WouldBlock) => out.field("data", &format_args!("<locked>")),
        };
        out.field("poisoned", &self.is_poisoned()).finish_non_exhaustive()
    }
}

impl<T> From<T> for Mutex<T> {
    fn from(value: T) -> Self {
        Mutex::new(value)
    }
}

//! The lock with many readers or one writer.

use std::fmt;
use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};
use std::panic::Location;
use std::sync::{self, LockResult, PoisonError, TryLockError, TryLockResult};

use super::hold::{Hold, held_outside, judge};
use crate::hook::{self, LockMode, Machine, ObjectId};

/// A lock with many readers or one writer, in the shape of [`std::sync::RwLock`].
#[derive(Default)]
pub struct RwLock<T: ?Sized> {
    id: ObjectId,
    inner: sync::RwLock<T>,
}

/// Shared access to what a [`RwLock`] protects; gives the lock back when dropped.
#[must_use = "if unused the RwLock will immediately unlock"]
pub struct RwLockReadGuard<'a, T: ?Sized> {
    lock: &'a RwLock<T>,
    inner: ManuallyDrop<sync::RwLockReadGuard<'a, T>>,
    hold: Hold,
}

/// Exclusive access to what a [`RwLock`] protects; gives the lock back when dropped.
#[must_use = "if unused the RwLock will immediately unlock"]
pub struct RwLockWriteGuard<'a, T: ?Sized> {
    lock: &'a RwLock<T>,
    inner: ManuallyDrop<sync::RwLockWriteGuard<'a, T>>,
    hold: Hold,
}

impl<T> RwLock<T> {
    /// A free lock.
    #[inline]
    pub const fn new(value: T) -> Self {
        RwLock { id: ObjectId::new(), inner: sync::RwLock::new(value) }
    }

    /// Takes the value out.
    pub fn into_inner(self) -> LockResult<T> {
        let poisoned = self.is_poisoned();
        let value = self.inner.into_inner().unwrap_or_else(PoisonError::into_inner);
        if poisoned { Err(PoisonError::new(value)) } else { Ok(value) }
    }
}

impl<T: ?Sized> RwLock<T> {
    /// Takes the lock together with other readers, waiting for it.
    #[inline]
    #[track_caller]
    pub fn read(&self) -> LockResult<RwLockReadGuard<'_, T>> {
        let Some(machine) = hook::current() else {
            return wrap(self.inner.read(), |inner| self.reader(inner, Hold::Real));
        };
        machine.lock(&self.id, LockMode::Shared, Location::caller());
        self.granted_shared(machine)
    }

    /// Takes the lock alone, waiting for it.
    #[inline]
    #[track_caller]
    pub fn write(&self) -> LockResult<RwLockWriteGuard<'_, T>> {
        let Some(machine) = hook::current() else {
            return wrap(self.inner.write(), |inner| self.writer(inner, Hold::Real));
        };
        machine.lock(&self.id, LockMode::Exclusive, Location::caller());
        self.granted_exclusive(machine)
    }

    /// Takes the lock together with other readers, if no writer has it.
    #[inline]
    #[track_caller]
    pub fn try_read(&self) -> TryLockResult<RwLockReadGuard<'_, T>> {
        let Some(machine) = hook::current() else {
            return try_wrap(self.inner.try_read(), |inner| self.reader(inner, Hold::Real));
        };
        if !machine.try_lock(&self.id, LockMode::Shared, Location::caller()) {
            return Err(TryLockError::WouldBlock);
        }
        self.granted_shared(machine).map_err(TryLockError::Poisoned)
    }

    /// Takes the lock alone, if it is free.
    #[inline]
    #[track_caller]
    pub fn try_write(&self) -> TryLockResult<RwLockWriteGuard<'_, T>> {
        let Some(machine) = hook::current() else {
            return try_wrap(self.inner.try_write(), |inner| self.writer(inner, Hold::Real));
        };
        if !machine.try_lock(&self.id, LockMode::Exclusive, Location::caller()) {
            return Err(TryLockError::WouldBlock);
        }
        self.granted_exclusive(machine).map_err(TryLockError::Poisoned)
    }

    /// Whether a writer panicked. Not reported while a machine's power is off.
    pub fn is_poisoned(&self) -> bool {
        (self.inner.is_poisoned() || self.id.is_poisoned())
            && !hook::current().is_some_and(|machine| machine.is_off())
    }

    /// Forgets that a writer panicked.
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
    fn reader<'a>(
        &'a self,
        inner: sync::RwLockReadGuard<'a, T>,
        hold: Hold,
    ) -> RwLockReadGuard<'a, T> {
        RwLockReadGuard { lock: self, inner: ManuallyDrop::new(inner), hold }
    }

    #[inline]
    fn writer<'a>(
        &'a self,
        inner: sync::RwLockWriteGuard<'a, T>,
        hold: Hold,
    ) -> RwLockWriteGuard<'a, T> {
        RwLockWriteGuard { lock: self, inner: ManuallyDrop::new(inner), hold }
    }

    #[track_caller]
    fn granted_shared(&self, machine: &dyn Machine) -> LockResult<RwLockReadGuard<'_, T>> {
        let (inner, poisoned) = match self.inner.try_read() {
            Ok(inner) => (inner, false),
            Err(TryLockError::Poisoned(poison)) => (poison.into_inner(), true),
            Err(TryLockError::WouldBlock) => {
                machine.unlock(&self.id, LockMode::Shared);
                held_outside()
            }
        };
        judge(machine, &self.id, poisoned, self.reader(inner, Hold::granted(machine)))
    }

    #[track_caller]
    fn granted_exclusive(&self, machine: &dyn Machine) -> LockResult<RwLockWriteGuard<'_, T>> {
        let (inner, poisoned) = match self.inner.try_write() {
            Ok(inner) => (inner, false),
            Err(TryLockError::Poisoned(poison)) => (poison.into_inner(), true),
            Err(TryLockError::WouldBlock) => {
                machine.unlock(&self.id, LockMode::Exclusive);
                held_outside()
            }
        };
        judge(machine, &self.id, poisoned, self.writer(inner, Hold::granted(machine)))
    }
}

impl<T: ?Sized> Drop for RwLockReadGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: std's guard is dropped here and nowhere else. Readers never poison.
        unsafe { ManuallyDrop::drop(&mut self.inner) }
        if self.hold != Hold::Real
            && let Some(machine) = hook::current()
        {
            machine.unlock(&self.lock.id, LockMode::Shared);
        }
    }
}

impl<T: ?Sized> Drop for RwLockWriteGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        let lock = self.lock;
        self.hold.release(&lock.id, &lock.inner, || {
            // SAFETY: std's guard is dropped here and nowhere else.
            unsafe { ManuallyDrop::drop(&mut self.inner) }
        });
        if self.hold != Hold::Real
            && let Some(machine) = hook::current()
        {
            machine.unlock(&lock.id, LockMode::Exclusive);
        }
    }
}

impl<T: ?Sized> Deref for RwLockReadGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.inner
    }
}

impl<T: ?Sized> Deref for RwLockWriteGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.inner
    }
}

impl<T: ?Sized> DerefMut for RwLockWriteGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        &mut self.inner
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLockReadGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLockWriteGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Display> fmt::Display for RwLockReadGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Display> fmt::Display for RwLockWriteGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("RwLock");
        // On a machine this is a scheduling point: the value's own `Debug` may take further locks.
        match self.try_read() {
            Ok(guard) => out.field("data", &&*guard),
            Err(TryLockError::Poisoned(poison)) => out.field("data", &&**poison.get_ref()),
            Err(TryLockError::WouldBlock) => out.field("data", &format_args!("<locked>")),
        };
        out.field("poisoned", &self.is_poisoned()).finish_non_exhaustive()
    }
}

impl<T> From<T> for RwLock<T> {
    fn from(value: T) -> Self {
        RwLock::new(value)
    }
}

#[inline]
fn wrap<I, G>(result: LockResult<I>, guard: impl FnOnce(I) -> G) -> LockResult<G> {
    match result {
        Ok(inner) => Ok(guard(inner)),
        Err(poison) => Err(PoisonError::new(guard(poison.into_inner()))),
    }
}

#[inline]
fn try_wrap<I, G>(result: TryLockResult<I>, guard: impl FnOnce(I) -> G) -> TryLockResult<G> {
    match result {
        Ok(inner) => Ok(guard(inner)),
        Err(TryLockError::WouldBlock) => Err(TryLockError::WouldBlock),
        Err(TryLockError::Poisoned(poison)) => {
            Err(TryLockError::Poisoned(PoisonError::new(guard(poison.into_inner()))))
        }
    }
}

//! A cell whose accesses can be seen: `UnsafeCell` in loom's shape.
//!
//! # Method
//!
//! There is no `get`: an access is a closure that is handed the pointer, so that it has a beginning
//! and an end. On a simulated machine each access is a scheduling point; a use of memory after another
//! task has freed it is visible only because of that.

use std::cell;
use std::fmt;

/// Memory that may be changed through a shared reference, at the caller's responsibility.
#[repr(transparent)]
pub struct UnsafeCell<T: ?Sized> {
    inner: cell::UnsafeCell<T>,
}

impl<T> UnsafeCell<T> {
    /// A cell holding `value`.
    #[inline(always)]
    pub const fn new(value: T) -> Self {
        UnsafeCell { inner: cell::UnsafeCell::new(value) }
    }

    /// Takes the value out.
    #[inline(always)]
    pub fn into_inner(self) -> T {
        self.inner.into_inner()
    }
}

impl<T: ?Sized> UnsafeCell<T> {
    /// Reads through the pointer that `f` is handed. It is valid while the cell is; reading through it
    /// is sound only while nobody writes.
    #[inline(always)]
    #[track_caller]
    pub fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
        point();
        f(self.inner.get())
    }

    /// Writes through the pointer that `f` is handed. It is valid while the cell is; writing through it
    /// is sound only while nobody else reads or writes.
    #[inline(always)]
    #[track_caller]
    pub fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
        point();
        f(self.inner.get())
    }
}

impl<T: Default> Default for UnsafeCell<T> {
    fn default() -> Self {
        UnsafeCell::new(T::default())
    }
}

impl<T: ?Sized> fmt::Debug for UnsafeCell<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnsafeCell").finish_non_exhaustive()
    }
}

#[cfg(feature = "simulate")]
#[inline(always)]
#[track_caller]
fn point() {
    if let Some(machine) = crate::hook::current() {
        machine.point(crate::hook::Point::Cell, std::panic::Location::caller());
    }
}

#[cfg(not(feature = "simulate"))]
#[inline(always)]
fn point() {}

//! A cell for the state that all tasks of a machine share on one OS thread.

use std::cell::{Cell, UnsafeCell};
use std::ops::{Deref, DerefMut};

/// Lends its value to one borrower at a time, as `RefCell::borrow_mut` does, and can be taken back
/// from a task that will never run again.
#[derive(Debug)]
pub(crate) struct StateCell<T> {
    lent: Cell<bool>,
    value: UnsafeCell<T>,
}

impl<T> StateCell<T> {
    pub(super) fn new(value: T) -> Self {
        StateCell { lent: Cell::new(false), value: UnsafeCell::new(value) }
    }

    /// Borrows the value. Panics while it is lent.
    #[inline]
    #[track_caller]
    pub(super) fn borrow(&self) -> Lent<'_, T> {
        assert!(!self.lent.replace(true), "the machine's state is in use");
        Lent { cell: self }
    }

    /// Borrows the value unless it is lent.
    pub(super) fn try_borrow(&self) -> Option<Lent<'_, T>> {
        // Not `then_some`: a `Lent` that is made gives the value back when it is dropped.
        if self.lent.replace(true) { None } else { Some(Lent { cell: self }) }
    }

    pub(super) fn get_mut(&mut self) -> &mut T {
        self.value.get_mut()
    }

    /// Takes the value back from a borrower whose stack overflowed.
    ///
    /// # Safety
    ///
    /// The borrower never runs again.
    pub(super) unsafe fn take_back(&self) {
        self.lent.set(false);
    }
}

/// The borrowed value.
pub(crate) struct Lent<'a, T> {
    cell: &'a StateCell<T>,
}

impl<T> Deref for Lent<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: `lent` keeps every other borrower away until this one is dropped.
        unsafe { &*self.cell.value.get() }
    }
}

impl<T> DerefMut for Lent<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as in `deref`.
        unsafe { &mut *self.cell.value.get() }
    }
}

impl<T> Drop for Lent<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.cell.lent.set(false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_is_lent_is_lent_to_nobody_else() {
        let cell = StateCell::new(1);
        let first = cell.try_borrow();
        assert!(first.is_some());
        assert!(cell.try_borrow().is_none());
        assert!(cell.try_borrow().is_none(), "the refusal above gave it back");
        drop(first);
        *cell.borrow() += 1;
        assert_eq!(*cell.borrow(), 2);
    }
}

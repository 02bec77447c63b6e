//! Memory that two own.
//!
//! # Method
//!
//! Each of two [`Half`]s owns the same value. Whoever lets go first says so in a flag; whoever finds it
//! said is alone and frees the value. A flag that only ever goes up needs one exchange, made by the first
//! to leave, where a count of owners (`Arc`) needs four, and those were nearly a tenth of a machine's start.
//!
//! # Invariant
//!
//! The value is freed once, after the last access of the half that left first.

use std::ops::Deref;
use std::ptr::NonNull;

use super::sync::{AtomicBool, Ordering};

/// One of the two owners of a `W`.
pub(crate) struct Half<W: ?Sized>(NonNull<Both<W>>);

pub(crate) struct Both<W: ?Sized> {
    /// Whether one half has gone.
    one_left: AtomicBool,
    value: W,
}

// SAFETY: a half gives shared access to the value on the thread where it is, and drops it there if it is
// the last: both is allowed by `Send` and `Sync` of the value.
unsafe impl<W: ?Sized + Send + Sync> Send for Half<W> {}

// SAFETY: as above; a shared half gives nothing but shared access.
unsafe impl<W: ?Sized + Send + Sync> Sync for Half<W> {}

impl<W> Half<W> {
    /// The two owners of `value`.
    pub(crate) fn pair(value: W) -> (Half<W>, Half<W>) {
        let both = Box::new(Both { one_left: AtomicBool::new(false), value });
        let both = NonNull::from(Box::leak(both));
        (Half(both), Half(both))
    }
}

impl<W: ?Sized> Half<W> {
    /// The same half of a value whose type is known less well: `widen` returns what it gets.
    pub(crate) fn widen<V: ?Sized>(
        self,
        widen: impl FnOnce(NonNull<Both<W>>) -> NonNull<Both<V>>,
    ) -> Half<V> {
        let both = std::mem::ManuallyDrop::new(self).0;
        Half(widen(both))
    }

    /// Whether the other half has gone: what it did to the value is seen from here on.
    pub(crate) fn is_alone(&self) -> bool {
        self.both().one_left.load(Ordering::Acquire)
    }

    fn both(&self) -> &Both<W> {
        // SAFETY: the value lives as long as one half does, and this one does.
        unsafe { self.0.as_ref() }
    }
}

impl<W: ?Sized> Deref for Half<W> {
    type Target = W;

    fn deref(&self) -> &W {
        &self.both().value
    }
}

impl<W: ?Sized> Drop for Half<W> {
    fn drop(&mut self) {
        // The exchange gives away what this half did (release), and takes what the other one did
        // (acquire): one of the two is the second in the flag's order, and sees all of the first.
        if self.is_alone() || self.both().one_left.swap(true, Ordering::AcqRel) {
            // SAFETY: the other half has gone, so this is the only pointer to what `pair` leaked; it is
            // not used after this.
            drop(unsafe { Box::from_raw(self.0.as_ptr()) });
        }
    }
}

//! How a guard holds its lock, and when giving it back poisons.
//!
//! # Method
//!
//! std poisons a lock when its guard is dropped while `std::thread::panicking()`, which on a machine
//! is true for every task as soon as one of them unwinds. So here the task's own state decides: a
//! mark that std's guard has just set is cleared again, and the seam's own mark, in the
//! [`ObjectId`], is set if the holder began to unwind while it held the lock.
//!
//! # Invariant
//!
//! While the power is off no lock is reported as poisoned: destructors run then, and must get through.

use std::sync::{self, PoisonError};

use crate::hook::{self, Machine, ObjectId};

/// Whether a guard was taken on a machine or for real.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hold {
    /// std's lock is held, and nothing else.
    Real,
    /// The machine has granted the lock, to a task that was unwinding already or was not.
    Simulated { was_unwinding: bool },
}

impl Hold {
    #[inline]
    pub(super) fn granted(machine: &dyn Machine) -> Hold {
        Hold::Simulated { was_unwinding: is_unwinding(machine) }
    }

    /// Gives back std's guard of `inner` by `release_inner`, and settles whether that poisons the lock.
    #[inline]
    pub(super) fn release(
        self,
        id: &ObjectId,
        inner: &(impl Mark + ?Sized),
        release_inner: impl FnOnce(),
    ) {
        let Hold::Simulated { was_unwinding } = self else {
            return release_inner();
        };
        let was_marked = inner.is_marked();
        release_inner();
        if !was_marked && inner.is_marked() {
            inner.clear();
        }
        if !was_unwinding
            && let Some(machine) = hook::current()
            && is_unwinding(machine)
            && !machine.is_off()
        {
            id.set_poisoned(true);
        }
    }
}

/// The poison mark of a lock of std's.
pub(super) trait Mark {
    fn is_marked(&self) -> bool;
    fn clear(&self);
}

impl<T: ?Sized> Mark for sync::Mutex<T> {
    #[inline]
    fn is_marked(&self) -> bool {
        self.is_poisoned()
    }

    fn clear(&self) {
        self.clear_poison();
    }
}

impl<T: ?Sized> Mark for sync::RwLock<T> {
    #[inline]
    fn is_marked(&self) -> bool {
        self.is_poisoned()
    }

    fn clear(&self) {
        self.clear_poison();
    }
}

/// Whether the running task unwinds. std's count is asked first because it is cheap and nearly always 0.
#[inline]
fn is_unwinding(machine: &dyn Machine) -> bool {
    std::thread::panicking() && machine.panicking()
}

/// Wraps `guard` as std would, given whether std's lock or the seam's mark says it is poisoned.
#[inline]
pub(super) fn judge<G>(
    machine: &dyn Machine,
    id: &ObjectId,
    inner_poisoned: bool,
    guard: G,
) -> Result<G, PoisonError<G>> {
    if (inner_poisoned || id.is_poisoned()) && !machine.is_off() {
        Err(PoisonError::new(guard))
    } else {
        Ok(guard)
    }
}

/// Ends the run when std's lock is taken although the machine has granted it.
#[cold]
#[track_caller]
pub(super) fn held_outside() -> ! {
    panic!(
        "a lock that the simulated machine holds free is held outside it: by another OS thread, by a \
         guard that was taken before the machine ran, or by an abandoned task; give each machine its \
         own objects"
    )
}

//! What runs once: `Once`, `OnceLock`, `LazyLock`.
//!
//! # Method
//!
//! On a machine a lock of the machine's is held around std's initialisation, so that std never blocks
//! the OS thread: whoever comes second waits for the lock and then finds the work done.

use std::cell::Cell;
use std::fmt;
use std::ops::Deref;
use std::panic::{Location, RefUnwindSafe, UnwindSafe};
use std::sync;

pub use std::sync::OnceState;

use crate::hook::{self, LockMode, ObjectId, Place};

/// Runs a closure once, in the shape of [`std::sync::Once`].
pub struct Once {
    id: ObjectId,
    inner: sync::Once,
}

/// A value that is written once, in the shape of [`std::sync::OnceLock`].
pub struct OnceLock<T> {
    id: ObjectId,
    inner: sync::OnceLock<T>,
}

/// A value that is made at its first use, in the shape of [`std::sync::LazyLock`].
pub struct LazyLock<T, F = fn() -> T> {
    value: OnceLock<T>,
    make: Cell<Option<F>>,
}

impl Once {
    /// Nothing has run yet.
    #[expect(clippy::new_without_default, reason = "std's Once has no Default either")]
    pub const fn new() -> Self {
        Once { id: ObjectId::new(), inner: sync::Once::new() }
    }

    /// Runs `f` if nothing has run yet, and returns when something has.
    ///
    /// # Panics
    ///
    /// When an earlier closure panicked.
    #[track_caller]
    pub fn call_once(&self, f: impl FnOnce()) {
        if self.inner.is_completed() {
            return;
        }
        let _held = Held::take(&self.id, Location::caller());
        if hook::current().is_some_and(|machine| machine.is_off()) {
            // An initialisation that the power cut short must not make destructors panic.
            self.inner.call_once_force(|_| f());
        } else {
            self.inner.call_once(f);
        }
    }

    /// As [`Once::call_once`], and also when an earlier closure panicked.
    #[track_caller]
    pub fn call_once_force(&self, f: impl FnOnce(&OnceState)) {
        if self.inner.is_completed() {
            return;
        }
        let _held = Held::take(&self.id, Location::caller());
        self.inner.call_once_force(f);
    }

    /// Whether a closure has run to its end.
    #[inline]
    pub fn is_completed(&self) -> bool {
        self.inner.is_completed()
    }
}

impl<T> OnceLock<T> {
    /// A value that is not there yet.
    pub const fn new() -> Self {
        OnceLock { id: ObjectId::new(), inner: sync::OnceLock::new() }
    }

    /// The value, if it is there.
    #[inline]
    pub fn get(&self) -> Option<&T> {
        self.inner.get()
    }

    /// The value, if it is there; nobody else can see it.
    #[inline]
    pub fn get_mut(&mut self) -> Option<&mut T> {
        self.inner.get_mut()
    }

    /// Writes the value.
    ///
    /// # Errors
    ///
    /// Gives `value` back when there is one already.
    #[track_caller]
    pub fn set(&self, value: T) -> Result<(), T> {
        let _held = Held::take(&self.id, Location::caller());
        self.inner.set(value)
    }

    /// The value, made by `make` if it is not there yet.
    #[track_caller]
    pub fn get_or_init(&self, make: impl FnOnce() -> T) -> &T {
        if let Some(value) = self.inner.get() {
            return value;
        }
        let _held = Held::take(&self.id, Location::caller());
        self.inner.get_or_init(make)
    }

    /// Takes the value out.
    pub fn into_inner(self) -> Option<T> {
        self.inner.into_inner()
    }

    /// Takes the value out and leaves the lock empty.
    pub fn take(&mut self) -> Option<T> {
        self.inner.take()
    }
}

impl<T, F: FnOnce() -> T> LazyLock<T, F> {
    /// A value that `make` will make.
    pub const fn new(make: F) -> Self {
        LazyLock { value: OnceLock::new(), make: Cell::new(Some(make)) }
    }

    /// Makes the value if it is not there yet. Dereferencing does the same.
    ///
    /// # Panics
    ///
    /// When making it has panicked earlier.
    #[track_caller]
    pub fn force(this: &Self) -> &T {
        this.value.get_or_init(|| match this.make.take() {
            Some(make) => make(),
            None => panic!("the LazyLock's value was being made when that panicked"),
        })
    }
}

// SAFETY: `make` is touched under the lock of `value` alone, which hands it to one thread; the value
// itself is shared as a `OnceLock` shares it.
unsafe impl<T: Sync + Send, F: Send> Sync for LazyLock<T, F> {}
impl<T: RefUnwindSafe + UnwindSafe, F: UnwindSafe> RefUnwindSafe for LazyLock<T, F> {}

impl<T, F: FnOnce() -> T> Deref for LazyLock<T, F> {
    type Target = T;

    fn deref(&self) -> &T {
        LazyLock::force(self)
    }
}

impl<T: Default> Default for LazyLock<T> {
    fn default() -> Self {
        LazyLock::new(T::default)
    }
}

impl<T> Default for OnceLock<T> {
    fn default() -> Self {
        OnceLock::new()
    }
}

impl<T> From<T> for OnceLock<T> {
    fn from(value: T) -> Self {
        OnceLock { id: ObjectId::new(), inner: sync::OnceLock::from(value) }
    }
}

impl<T: Clone> Clone for OnceLock<T> {
    fn clone(&self) -> Self {
        OnceLock { id: ObjectId::new(), inner: self.inner.clone() }
    }
}

impl<T: PartialEq> PartialEq for OnceLock<T> {
    fn eq(&self, other: &Self) -> bool {
        self.inner == other.inner
    }
}

impl<T: Eq> Eq for OnceLock<T> {}

impl<T: fmt::Debug> fmt::Debug for OnceLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl<T: fmt::Debug, F> fmt::Debug for LazyLock<T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.value.get() {
            Some(value) => f.debug_tuple("LazyLock").field(value).finish(),
            None => f.write_str("LazyLock(<uninit>)"),
        }
    }
}

impl fmt::Debug for Once {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

/// The machine's lock on an initialisation; nothing when no machine is current.
struct Held<'a>(Option<&'a ObjectId>);

impl<'a> Held<'a> {
    fn take(id: &'a ObjectId, place: Place) -> Self {
        Held(hook::current().map(|machine| {
            machine.lock(id, LockMode::Exclusive, place);
            id
        }))
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        if let (Some(id), Some(machine)) = (self.0, hook::current()) {
            machine.unlock(id, LockMode::Exclusive);
        }
    }
}

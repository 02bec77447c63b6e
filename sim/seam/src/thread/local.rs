//! Thread-locals: one value for each OS thread, and on a simulated machine one for each task.
//!
//! # Method
//!
//! The macro declares a real thread-local and, beside it, a key under which a machine keeps the values
//! of its tasks. A `const` initialiser is run at the first use there, like any other.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::error::Error;
use std::fmt;
use std::thread;

use crate::hook::{self, LocalKeyId, Machine};

/// Declares thread-locals, in the syntax of [`std::thread_local!`].
#[macro_export]
macro_rules! thread_local {
    () => {};
    ($(#[$attr:meta])* $vis:vis static $name:ident: $t:ty = const $init:block; $($rest:tt)*) => {
        $crate::thread_local!($(#[$attr])* $vis static $name: $t = $init);
        $crate::thread_local!($($rest)*);
    };
    ($(#[$attr:meta])* $vis:vis static $name:ident: $t:ty = const $init:block) => {
        $crate::thread_local!($(#[$attr])* $vis static $name: $t = $init);
    };
    ($(#[$attr:meta])* $vis:vis static $name:ident: $t:ty = $init:expr; $($rest:tt)*) => {
        $crate::thread_local!($(#[$attr])* $vis static $name: $t = $init);
        $crate::thread_local!($($rest)*);
    };
    ($(#[$attr:meta])* $vis:vis static $name:ident: $t:ty = $init:expr) => {
        $(#[$attr])*
        $vis static $name: $crate::thread::LocalKey<$t> = {
            fn init() -> $t {
                $init
            }
            static ID: $crate::hook::LocalKeyId = $crate::hook::LocalKeyId::new();
            $crate::__private::thread_local! {
                static REAL: $t = init();
            }
            $crate::thread::LocalKey::new(&REAL, &ID, init)
        };
    };
}

/// A thread-local, in the shape of [`std::thread::LocalKey`].
pub struct LocalKey<T: 'static> {
    real: &'static thread::LocalKey<T>,
    id: &'static LocalKeyId,
    init: fn() -> T,
}

/// The thread's thread-locals are being destroyed, or have been.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccessError;

impl<T: 'static> LocalKey<T> {
    /// What the macro makes.
    #[doc(hidden)]
    pub const fn new(
        real: &'static thread::LocalKey<T>,
        id: &'static LocalKeyId,
        init: fn() -> T,
    ) -> Self {
        LocalKey { real, id, init }
    }

    /// Uses the thread's value, made at its first use.
    ///
    /// # Panics
    ///
    /// When the thread's values are being destroyed.
    #[track_caller]
    pub fn with<R>(&'static self, f: impl FnOnce(&T) -> R) -> R {
        match self.try_with(f) {
            Ok(result) => result,
            Err(error) => panic!("{error}"),
        }
    }

    /// Uses the thread's value, made at its first use.
    ///
    /// # Errors
    ///
    /// When the thread's values are being destroyed.
    pub fn try_with<R>(&'static self, f: impl FnOnce(&T) -> R) -> Result<R, AccessError> {
        match hook::current() {
            None => self.real.try_with(f).map_err(|_| AccessError),
            Some(machine) => Ok(f(self.of_task(machine, self.init)?)),
        }
    }

    /// The running task's value, made by `init` if it is not there yet.
    fn of_task<'a>(
        &'static self,
        machine: &'a dyn Machine,
        init: impl FnOnce() -> T,
    ) -> Result<&'a T, AccessError> {
        let mut init = Some(init);
        let mut make = || match init.take() {
            Some(init) => Box::new(init()) as Box<dyn Any>,
            None => unreachable!("a machine made the value of a thread-local twice"),
        };
        let value = machine.local(self.id, &mut make).ok_or(AccessError)?;
        // SAFETY: the value lives, unmoved, until the task ends, and the reference ends before that:
        // its lifetime never leaves `with` and its like, which run on the task.
        let value = unsafe { &*value };
        Ok(value.downcast_ref().expect("a key is declared with one type"))
    }

    /// Writes the value; one that is not there yet is `value`, and not made first.
    #[track_caller]
    fn initialize_or(&'static self, value: T, write: impl FnOnce(&T, T)) {
        let Some(machine) = hook::current() else {
            return self.real.with(|place| write(place, value));
        };
        let mut value = Some(value);
        let place = self.of_task(machine, || value.take().expect("made once"));
        let Ok(place) = place else { panic!("{AccessError}") };
        if let Some(value) = value.take() {
            write(place, value);
        }
    }
}

impl<T: 'static> LocalKey<Cell<T>> {
    /// Writes the value.
    #[track_caller]
    pub fn set(&'static self, value: T) {
        self.initialize_or(Cell::new(value), |place, value| place.set(value.into_inner()));
    }

    /// A copy of the value.
    #[track_caller]
    pub fn get(&'static self) -> T
    where
        T: Copy,
    {
        self.with(Cell::get)
    }

    /// Takes the value and leaves the default.
    #[track_caller]
    pub fn take(&'static self) -> T
    where
        T: Default,
    {
        self.with(Cell::take)
    }

    /// Writes the value and returns the previous one.
    #[track_caller]
    pub fn replace(&'static self, value: T) -> T {
        self.with(|place| place.replace(value))
    }
}

impl<T: 'static> LocalKey<RefCell<T>> {
    /// Reads the value.
    #[track_caller]
    pub fn with_borrow<R>(&'static self, f: impl FnOnce(&T) -> R) -> R {
        self.with(|place| f(&place.borrow()))
    }

    /// Changes the value.
    #[track_caller]
    pub fn with_borrow_mut<R>(&'static self, f: impl FnOnce(&mut T) -> R) -> R {
        self.with(|place| f(&mut place.borrow_mut()))
    }

    /// Writes the value.
    #[track_caller]
    pub fn set(&'static self, value: T) {
        self.initialize_or(RefCell::new(value), |place, value| {
            place.replace(value.into_inner());
        });
    }

    /// Takes the value and leaves the default.
    #[track_caller]
    pub fn take(&'static self) -> T
    where
        T: Default,
    {
        self.with(RefCell::take)
    }

    /// Writes the value and returns the previous one.
    #[track_caller]
    pub fn replace(&'static self, value: T) -> T {
        self.with(|place| place.replace(value))
    }
}

impl<T: 'static> fmt::Debug for LocalKey<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalKey").finish_non_exhaustive()
    }
}

impl fmt::Display for AccessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cannot access a thread-local during or after its destruction")
    }
}

impl Error for AccessError {}

//! Atomics in the shapes of [`std::sync::atomic`].
//!
//! On a simulated machine each access is a scheduling point that comes *before* the access, so that
//! what another task does in between is seen by it. Exclusive access (`get_mut`, `into_inner`) is none.
//! Tasks run one at a time: every execution is sequentially consistent, and weak orderings are for loom.

pub use std::sync::atomic::{Ordering, compiler_fence};

#[cfg(not(feature = "simulate"))]
pub use std::sync::atomic::{
    AtomicBool, AtomicI8, AtomicI16, AtomicI32, AtomicI64, AtomicIsize, AtomicPtr, AtomicU8,
    AtomicU16, AtomicU32, AtomicU64, AtomicUsize, fence,
};

#[cfg(feature = "simulate")]
pub use simulated::*;

#[cfg(feature = "simulate")]
mod simulated {
    use std::fmt;
    use std::panic::Location;
    use std::sync::atomic::{self, Ordering};

    use crate::hook::{self, Machine, Point};

    #[inline]
    #[track_caller]
    fn point() -> Option<&'static dyn Machine> {
        let machine = hook::current();
        if let Some(machine) = machine {
            machine.point(Point::Atomic, Location::caller());
        }
        machine
    }

    /// Orders the memory accesses around it, as [`std::sync::atomic::fence`] does.
    #[inline]
    #[track_caller]
    pub fn fence(order: Ordering) {
        point();
        atomic::fence(order);
    }

    /// Methods that replace the value by a function of it: `fetch_add` and its like.
    macro_rules! fetch {
        ($type:ty: $($method:ident $doc:literal),+ $(,)?) => { $(
            #[doc = concat!($doc, " Returns the previous value.")]
            #[inline]
            #[track_caller]
            pub fn $method(&self, value: $type, order: Ordering) -> $type {
                point();
                self.inner.$method(value, order)
            }
        )+ };
    }

    /// The methods that every atomic has, with `$type` for the value.
    macro_rules! common {
        ($std:ty, $type:ty) => {
            /// An atomic holding `value`.
            #[inline]
            pub const fn new(value: $type) -> Self {
                Self { inner: <$std>::new(value) }
            }

            /// The value; nobody else can access it.
            #[inline]
            pub fn get_mut(&mut self) -> &mut $type {
                self.inner.get_mut()
            }

            /// Takes the value out.
            #[inline]
            pub const fn into_inner(self) -> $type {
                self.inner.into_inner()
            }

            /// A pointer to the value, for accesses that the machine does not see.
            #[inline]
            pub const fn as_ptr(&self) -> *mut $type {
                self.inner.as_ptr()
            }

            /// Reads the value.
            #[inline]
            #[track_caller]
            pub fn load(&self, order: Ordering) -> $type {
                point();
                self.inner.load(order)
            }

            /// Writes the value.
            #[inline]
            #[track_caller]
            pub fn store(&self, value: $type, order: Ordering) {
                point();
                self.inner.store(value, order)
            }

            /// Writes the value and returns the previous one.
            #[inline]
            #[track_caller]
            pub fn swap(&self, value: $type, order: Ordering) -> $type {
                point();
                self.inner.swap(value, order)
            }

            /// Writes `new` if the value is `current`. Returns the previous value either way.
            #[inline]
            #[track_caller]
            pub fn compare_exchange(
                &self,
                current: $type,
                new: $type,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$type, $type> {
                point();
                self.inner.compare_exchange(current, new, success, failure)
            }

            /// As `compare_exchange`, but may fail although the value is `current`.
            #[inline]
            #[track_caller]
            pub fn compare_exchange_weak(
                &self,
                current: $type,
                new: $type,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$type, $type> {
                if point().is_some_and(|machine| machine.weak_exchange_fails()) {
                    return Err(self.inner.load(failure));
                }
                self.inner.compare_exchange_weak(current, new, success, failure)
            }

            /// Replaces the value by what `update` makes of it, until that succeeds or `update`
            /// returns `None`. Returns the previous value.
            #[inline]
            pub fn fetch_update(
                &self,
                set_order: Ordering,
                fetch_order: Ordering,
                mut update: impl FnMut($type) -> Option<$type>,
            ) -> Result<$type, $type> {
                let mut previous = self.load(fetch_order);
                while let Some(next) = update(previous) {
                    match self.compare_exchange_weak(previous, next, set_order, fetch_order) {
                        Ok(previous) => return Ok(previous),
                        Err(actual) => previous = actual,
                    }
                }
                Err(previous)
            }
        };
    }

    macro_rules! integers {
        ($($name:ident $type:ty),+ $(,)?) => { $(
            #[doc = concat!("An atomic `", stringify!($type), "`, in the shape of std's.")]
            #[derive(Default)]
            #[repr(transparent)]
            pub struct $name {
                inner: atomic::$name,
            }

            impl $name {
                common!(atomic::$name, $type);
                fetch!($type:
                    fetch_add "Adds, wrapping around.",
                    fetch_sub "Subtracts, wrapping around.",
                    fetch_and "Bitwise and.",
                    fetch_nand "Bitwise not-and.",
                    fetch_or "Bitwise or.",
                    fetch_xor "Bitwise exclusive or.",
                    fetch_max "The greater of both.",
                    fetch_min "The lesser of both.",
                );
            }

            impl fmt::Debug for $name {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    self.inner.fmt(f)
                }
            }

            impl From<$type> for $name {
                fn from(value: $type) -> Self {
                    $name::new(value)
                }
            }
        )+ };
    }

    integers! {
        AtomicI8 i8, AtomicI16 i16, AtomicI32 i32, AtomicI64 i64, AtomicIsize isize,
        AtomicU8 u8, AtomicU16 u16, AtomicU32 u32, AtomicU64 u64, AtomicUsize usize,
    }

    /// An atomic `bool`, in the shape of std's.
    #[derive(Default)]
    #[repr(transparent)]
    pub struct AtomicBool {
        inner: atomic::AtomicBool,
    }

    impl AtomicBool {
        common!(atomic::AtomicBool, bool);
        fetch!(bool:
            fetch_and "Logical and.",
            fetch_nand "Logical not-and.",
            fetch_or "Logical or.",
            fetch_xor "Logical exclusive or.",
        );

        /// Inverts the value. Returns the previous one.
        #[inline]
        #[track_caller]
        pub fn fetch_not(&self, order: Ordering) -> bool {
            point();
            self.inner.fetch_not(order)
        }
    }

    impl fmt::Debug for AtomicBool {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            self.inner.fmt(f)
        }
    }

    impl From<bool> for AtomicBool {
        fn from(value: bool) -> Self {
            AtomicBool::new(value)
        }
    }

    /// An atomic pointer, in the shape of std's.
    #[repr(transparent)]
    pub struct AtomicPtr<T> {
        inner: atomic::AtomicPtr<T>,
    }

    impl<T> AtomicPtr<T> {
        common!(atomic::AtomicPtr<T>, *mut T);
    }

    impl<T> Default for AtomicPtr<T> {
        fn default() -> Self {
            AtomicPtr::new(std::ptr::null_mut())
        }
    }

    impl<T> fmt::Debug for AtomicPtr<T> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            self.inner.fmt(f)
        }
    }

    impl<T> fmt::Pointer for AtomicPtr<T> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            fmt::Pointer::fmt(&self.inner, f)
        }
    }

    impl<T> From<*mut T> for AtomicPtr<T> {
        fn from(value: *mut T) -> Self {
            AtomicPtr::new(value)
        }
    }
}

//! Locks, condition variables, channels and atomics in the shapes of [`std::sync`].
//!
//! Without the feature `simulate` they are std's own (but for [`Condvar`], which spares a system call
//! when nobody waits). With it, a lock is std's lock and the number
//! under which a machine knows it: the machine decides who holds it and who waits, and std's lock,
//! which is then always free, guards the data. Channels, barriers and lazy values are built on those.

pub mod atomic;
pub use atomic::fence;
pub use std::sync::{Arc, LockResult, PoisonError, TryLockError, TryLockResult, Weak};

#[cfg(not(feature = "simulate"))]
pub use std::sync::{
    Barrier, BarrierWaitResult, LazyLock, Mutex, MutexGuard, Once, OnceLock, OnceState, RwLock,
    RwLockReadGuard, RwLockWriteGuard, WaitTimeoutResult, mpsc,
};

#[cfg(not(feature = "simulate"))]
mod counted;
#[cfg(not(feature = "simulate"))]
pub use counted::Condvar;

#[cfg(feature = "simulate")]
mod barrier;
#[cfg(feature = "simulate")]
mod condvar;
#[cfg(feature = "simulate")]
mod hold;
#[cfg(feature = "simulate")]
pub mod mpsc;
#[cfg(feature = "simulate")]
mod mutex;
#[cfg(feature = "simulate")]
mod once;
#[cfg(feature = "simulate")]
mod rwlock;

#[cfg(feature = "simulate")]
pub use {
    barrier::{Barrier, BarrierWaitResult},
    condvar::{Condvar, WaitTimeoutResult},
    mutex::{Mutex, MutexGuard},
    once::{LazyLock, Once, OnceLock, OnceState},
    rwlock::{RwLock, RwLockReadGuard, RwLockWriteGuard},
};

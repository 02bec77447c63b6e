//! Threads in the shapes of [`std::thread`]; on a simulated machine they are its tasks.
//!
//! What std keeps for each OS thread is kept for each task there: the current thread, its name, whether
//! it panics, its thread-locals.

pub use std::thread::Result;
#[cfg(not(feature = "simulate"))]
pub use std::thread::{
    AccessError, Builder, JoinHandle, LocalKey, Scope, ScopedJoinHandle, Thread, ThreadId,
    available_parallelism, current, panicking, park, park_timeout, scope, sleep, spawn, yield_now,
};

#[cfg(feature = "simulate")]
mod half;
#[cfg(feature = "simulate")]
mod handle;
#[cfg(feature = "simulate")]
pub(crate) mod job;
#[cfg(feature = "simulate")]
mod local;
#[cfg(feature = "simulate")]
mod scoped;
#[cfg(feature = "simulate")]
mod spawn;

#[cfg(feature = "simulate")]
pub use {
    handle::{
        Thread, ThreadId, available_parallelism, current, panicking, park, park_timeout, sleep,
        yield_now,
    },
    local::{AccessError, LocalKey},
    scoped::{Scope, ScopedJoinHandle, scope},
    spawn::{Builder, JoinHandle, spawn},
};

/// What `half` is made of; its loom model has another one.
#[cfg(feature = "simulate")]
mod sync {
    pub(super) use std::sync::atomic::{AtomicBool, Ordering};
}

//! What a storage engine links so that one code base runs on a real machine and on a simulated one.
//!
//! An engine under test is ordinary, blocking, threaded Rust. It names [`sync`], [`cell`], [`thread`],
//! [`time`] and [`hint`] in place of the standard library's, which have the same shapes (cells have
//! loom's). The disk is a value that is handed in when the engine is opened: see [`disk`].
//!
//! # Method
//!
//! Without the feature `simulate` nearly everything here is the standard library's own, re-exported. With
//! it, each call asks whether a simulated machine is current on this OS thread. If none is, it does the
//! real thing; if one is, the call becomes one of its scheduling points.
//!
//! # Invariant
//!
//! What compiles with `simulate` compiles without it, and means the same: no type or macro of this crate
//! changes its shape with the feature. The other way round a few rare calls of std are missing on a
//! machine, and the compiler says so: `RwLockWriteGuard::downgrade`, `Once::wait` and `OnceLock::wait`,
//! atomics' `from_ptr`, arithmetic on `AtomicPtr`.

#![deny(missing_docs)]

pub mod assert;
pub mod cell;
pub mod disk;
pub mod hint;
#[cfg(feature = "simulate")]
pub mod hook;
#[allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "the real side, for a call without a machine"
)]
pub mod sync;
#[allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "the real side, for a call without a machine"
)]
pub mod thread;
#[allow(clippy::disallowed_methods, reason = "the real side, for a call without a machine")]
pub mod time;
mod unwind;

#[cfg(feature = "simulate")]
pub use hook::PowerOff;
#[cfg(not(feature = "simulate"))]
pub use std::thread_local;
pub use unwind::{catch_unwind, foreign, work};

/// What the macros of this crate expand to. No part of its interface.
#[doc(hidden)]
pub mod __private {
    #[cfg(feature = "simulate")]
    pub use linkme;
    #[cfg(feature = "simulate")]
    pub use std::thread_local;
}

//! What a storage engine links so that one code base runs on a real machine and on a simulated one.
//!
//! An engine under test is ordinary, blocking, threaded Rust. It names [`disk`], and later `sync`,
//! `cell`, `thread` and `time`, in place of the standard library's. The disk is a value that is handed
//! in when the engine is opened.
//!
//! Without the feature `simulate` everything here is the real thing. With it, each call asks whether
//! a simulated machine is current on this OS thread and, if so, becomes one of its scheduling points.

#![deny(missing_docs)]

pub mod assert;
pub mod disk;
#[cfg(feature = "simulate")]
pub mod hook;

//! How a simulated device takes part in the running machine: three calls, for `disk` alone.
//!
//! A device call is `enter`, then any number of [`with_env`] (decide, change state, trace) and
//! [`wait`] (let virtual time pass). It holds no borrow over `enter` or `wait`.

use std::io;

use crate::env::Env;
use crate::trace::DiskOp;

/// A call of the disk begins: a scheduling point, counted by the power's plan.
///
/// # Errors
///
/// `EIO` once the power has gone or the process was killed, and when no machine runs.
pub fn enter(_op: DiskOp) -> io::Result<()> {
    Err(io::Error::from_raw_os_error(libc::EIO))
}

/// Decides and traces on the running machine; `None` when no machine runs on this OS thread.
pub fn with_env<R>(_f: impl FnOnce(&mut Env<'_>) -> R) -> Option<R> {
    None
}

/// Lets `ns` of virtual time pass for the calling task.
///
/// # Errors
///
/// `EIO` if the power went, or the process was killed, before it was over.
pub fn wait(_ns: u64) -> io::Result<()> {
    Err(io::Error::from_raw_os_error(libc::EIO))
}

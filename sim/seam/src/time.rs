//! Clocks in the shapes of [`std::time`].
//!
//! # Method
//!
//! A time read on a simulated machine is virtual, and one read elsewhere is real. Both are of one type,
//! so that a value knows where it came from.
//!
//! # Invariant
//!
//! A real time and a virtual one are never compared: that panics, for whatever came of it would differ
//! from run to run.

pub use std::time::{Duration, TryFromFloatSecsError};
#[cfg(not(feature = "simulate"))]
pub use std::time::{Instant, SystemTime, SystemTimeError, UNIX_EPOCH};

#[cfg(feature = "simulate")]
mod instant;
#[cfg(feature = "simulate")]
mod wall;

#[cfg(feature = "simulate")]
pub use instant::Instant;
#[cfg(feature = "simulate")]
pub use wall::{SystemTime, SystemTimeError, UNIX_EPOCH};

/// When a wait of `timeout` ends on the machine's monotonic clock; `None` when the clock ends first.
#[cfg(feature = "simulate")]
pub(crate) fn deadline_ns(machine: &dyn crate::hook::Machine, timeout: Duration) -> Option<u64> {
    let timeout_ns = u64::try_from(timeout.as_nanos()).ok()?;
    machine.clock_ns(crate::hook::Clock::Monotonic).checked_add(timeout_ns)
}

//! Hints to the processor, which on a simulated machine are hints to its scheduler.

pub use std::hint::black_box;
#[cfg(not(feature = "simulate"))]
pub use std::hint::spin_loop;

/// Says that the caller waits actively. On a machine another task runs, if one can.
#[cfg(feature = "simulate")]
#[inline]
#[track_caller]
pub fn spin_loop() {
    match crate::hook::current() {
        Some(machine) => {
            machine.point(crate::hook::Point::Spin, std::panic::Location::caller());
        }
        None => std::hint::spin_loop(),
    }
}

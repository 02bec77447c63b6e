//! Interposed libc symbols that bring third-party code's clock, randomness and futexes onto a simulated machine.
//!
//! A published engine names `std::sync` and `std::time`, and the standard library asks libc. A program
//! that links this crate answers those calls itself: `getrandom`, `getentropy`, `clock_gettime`,
//! `gettimeofday`, and `syscall` for futexes and randomness.
//!
//! # Method
//!
//! The symbols are defined in the program, so the linker binds them before libc's. Each asks first
//! whether a machine is current on this OS thread. Without one it issues the system call and does
//! nothing else. With one, randomness comes from the machine's choices, every clock is virtual, and a
//! wait in a standard lock becomes a wait of the machine's task: it can be scheduled, and preempted.
//!
//! What asks by other ways stays outside: `rdtsc`, the locks of glibc and of C code, `nanosleep`, and
//! any crate that issues the instruction itself. `parking_lot`, `thread::park` and the channels of
//! `std::sync::mpsc` keep state for each OS thread, which all tasks of a machine share: code that
//! blocks in them is not to be run this way.
//!
//! # Invariant
//!
//! No call unwinds: the callers are C as far as the compiler knows.
//!
//! Linux on x86-64 and AArch64. Elsewhere nothing is interposed, and [`is_interposed`] says so. Never
//! link it into a program with another library that exports these symbols.

#![deny(missing_docs)]

mod aside;
#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod linux;

pub use aside::Aside;

use std::hint::black_box;

/// Makes sure that a program which calls it is linked with the symbols of this crate.
///
/// It does nothing when it runs. A crate that is never named is not linked at all, and then libc's
/// own symbols would answer in silence; [`is_interposed`] notices that.
pub fn install() {
    #[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
    linux::keep();
}

/// Draws the keys of the standard library's hash maps for this OS thread.
///
/// They are drawn once an OS thread, at the first map. Called on a fresh OS thread with a machine
/// current, it takes them from the machine's choices, at the same place of every run.
#[expect(clippy::disallowed_types, reason = "its keys are what is drawn here, from the machine")]
pub fn prime() {
    black_box(std::hash::RandomState::new());
}

/// Leaves the futex calls of this OS thread to the kernel even on a machine, or takes them back.
///
/// For showing what happens without this crate: a task that waits in a standard lock blocks the OS
/// thread, and with it the task that would give the lock back.
pub fn leave_futexes_to_kernel(leave: bool) {
    #[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
    linux::leave_to_kernel(leave);
    #[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
    let _ = leave;
}

/// Whether the standard library and C code of this program really reach the symbols of this crate.
///
/// # Method
///
/// A fresh OS thread without a machine makes each call by the way that an engine would: a hash map for
/// `getrandom`, an `Instant` for `clock_gettime`, a park that times out at once for `syscall`. The
/// symbols note that they were reached.
pub fn is_interposed() -> bool {
    #[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
    {
        linux::probe::all_reached()
    }
    #[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
    {
        false
    }
}

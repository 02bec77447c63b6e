//! What a futex call of a task becomes: a wait or a wake of the machine's scheduler.
//!
//! # Method
//!
//! The word is compared here. Tasks of a machine share one OS thread, so nothing can change it between
//! the comparison and the wait, and the kernel's promise of atomicity holds by itself. Time-outs become
//! deadlines of the monotonic clock.
//!
//! # Invariant
//!
//! No wake is lost: where a bit set would choose among waiters, all are woken, which every user of a
//! futex must bear.

use std::cell::Cell;
use std::sync::atomic::{AtomicU32, Ordering};

use falconry_seam::hook::{Clock, Machine, Wake};
use libc::{c_int, c_long, timespec};

use super::clock;
use super::kernel::{Arguments, fail};

/// Which waiters a wake is for, and which wakes a waiter listens to.
const MATCH_ANY: u32 = libc::FUTEX_BITSET_MATCH_ANY as u32;

thread_local! {
    static LEFT_TO_KERNEL: Cell<bool> = const { Cell::new(false) };
}

/// Leaves the futex calls of this OS thread to the kernel, or takes them back.
pub(crate) fn leave_to_kernel(leave: bool) {
    LEFT_TO_KERNEL.set(leave);
}

/// Serves a futex call on `machine`, or declines it: all of them while they are left to the kernel, and
/// operations that only the kernel knows (requeueing, priority inheritance).
///
/// # Safety
///
/// As the system call, but for one thing: an address that is not mapped is a fault of the program, not
/// `EFAULT`.
pub(crate) unsafe fn serve(machine: &dyn Machine, arguments: Arguments) -> Option<c_long> {
    if LEFT_TO_KERNEL.get() {
        return None;
    }
    let [address, operation, value, timeout, _, bits] = arguments;
    let operation = operation as c_int;
    let on_wall_clock = operation & libc::FUTEX_CLOCK_REALTIME != 0;
    let command = operation & !(libc::FUTEX_PRIVATE_FLAG | libc::FUTEX_CLOCK_REALTIME);
    let bits = match command {
        libc::FUTEX_WAIT | libc::FUTEX_WAKE => MATCH_ANY,
        libc::FUTEX_WAIT_BITSET | libc::FUTEX_WAKE_BITSET => bits as u32,
        _ => return None,
    };
    if bits == 0 || !address.is_multiple_of(align_of::<AtomicU32>()) {
        return Some(fail(libc::EINVAL));
    }
    if address == 0 {
        return Some(fail(libc::EFAULT));
    }
    if matches!(command, libc::FUTEX_WAKE | libc::FUTEX_WAKE_BITSET) {
        return Some(wake(machine, address, value as c_int, bits));
    }
    let timeout = timeout as *const timespec;
    // SAFETY: the caller's promise for the pointer to the time-out, which may be null.
    let timeout = unsafe { timeout.as_ref() }.copied();
    let relative = command == libc::FUTEX_WAIT;
    let deadline_ns = match timeout.map(|time| deadline(machine, time, relative, on_wall_clock)) {
        None => None,
        Some(Some(deadline_ns)) => Some(deadline_ns),
        Some(None) => return Some(fail(libc::EINVAL)),
    };
    // SAFETY: the caller's promise for the word; it is aligned and not null.
    let word = unsafe { AtomicU32::from_ptr(address as *mut u32) };
    if word.load(Ordering::SeqCst) != value as u32 {
        return Some(fail(libc::EAGAIN));
    }
    Some(match machine.futex_wait(address, deadline_ns) {
        // A futex may wake for no reason, and the kernel then says 0 as well.
        Wake::Notified | Wake::Spurious => 0,
        Wake::TimedOut => fail(libc::ETIMEDOUT),
    })
}

/// Wakes waiters and says how many.
fn wake(machine: &dyn Machine, address: usize, count: c_int, bits: u32) -> c_long {
    // The kernel wakes one waiter even for a count of 0 or less.
    let count = if bits == MATCH_ANY { count.max(1) as usize } else { usize::MAX };
    machine.futex_wake(address, count) as c_long
}

/// The monotonic deadline of a time-out, or nothing when it is invalid. `FUTEX_WAIT` counts from now,
/// `FUTEX_WAIT_BITSET` names a point of its clock.
fn deadline(
    machine: &dyn Machine,
    timeout: timespec,
    relative: bool,
    on_wall_clock: bool,
) -> Option<u64> {
    let ns = clock::from_timespec(timeout)?;
    Some(match (relative, on_wall_clock) {
        (true, _) => machine.clock_ns(Clock::Monotonic).saturating_add(ns),
        (false, true) => clock::to_monotonic(machine, Clock::Wall, ns),
        (false, false) => ns,
    })
}

//! The symbols themselves, in the shapes of libc.

use std::ffi::c_void;
use std::hint::black_box;

use falconry_seam::hook::{self, Clock, Machine};
use libc::{c_int, c_long, c_uint, clockid_t, size_t, ssize_t, timespec, timeval};

use super::clock;
use super::futex;
use super::kernel::{self, fail};
use super::probe::{self, Symbol};
use crate::aside;

/// Bytes that `getentropy` gives at most.
const ENTROPY_BYTES_MAX: usize = 256;

/// Refers to every symbol, so that the linker cannot do without this object.
pub(crate) fn keep() {
    black_box(getrandom as *const c_void);
    black_box(getentropy as *const c_void);
    black_box(clock_gettime as *const c_void);
    black_box(gettimeofday as *const c_void);
    black_box(syscall as *const c_void);
}

/// Whether the caller is a task of a machine, and no allocator beneath one.
fn is_on_machine() -> bool {
    hook::is_simulated() && !aside::is_inside()
}

/// As [`hook::with_current`], for callers that are a task of a machine and no allocator beneath one.
fn on_machine<R>(f: impl FnOnce(&dyn Machine) -> R) -> Option<R> {
    if aside::is_inside() { None } else { hook::with_current(f) }
}

/// Fills `len` bytes from the machine's choices.
///
/// # Safety
///
/// `buffer` may be written for `len` bytes.
unsafe fn fill(machine: &dyn Machine, buffer: *mut c_void, len: usize) {
    if len > 0 {
        // SAFETY: our caller's promise; zeroing first makes the bytes initialised.
        let bytes = unsafe {
            buffer.write_bytes(0, len);
            std::slice::from_raw_parts_mut(buffer.cast::<u8>(), len)
        };
        machine.fill_random(bytes);
    }
}

/// `getrandom(2)`.
///
/// # Safety
///
/// As libc's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn getrandom(buffer: *mut c_void, len: size_t, flags: c_uint) -> ssize_t {
    // SAFETY: passed on from our caller.
    if on_machine(|machine| unsafe { fill(machine, buffer, len) }).is_some() {
        return len as ssize_t;
    }
    probe::note(Symbol::GetRandom);
    let arguments = [buffer as usize, len, flags as usize, 0, 0, 0];
    // SAFETY: passed on from our caller.
    unsafe { kernel::call(libc::SYS_getrandom, arguments) as ssize_t }
}

/// `getentropy(3)`.
///
/// # Safety
///
/// As libc's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn getentropy(buffer: *mut c_void, len: size_t) -> c_int {
    if !is_on_machine() {
        probe::note(Symbol::GetEntropy);
    }
    if len > ENTROPY_BYTES_MAX {
        return fail(libc::EIO) as c_int;
    }
    let mut done = 0;
    while done < len {
        // SAFETY: the rest of our caller's buffer.
        let count = unsafe { getrandom(buffer.byte_add(done), len - done, 0) };
        match usize::try_from(count) {
            Ok(count) => done += count,
            // SAFETY: libc gives the address of this thread's errno.
            Err(_) if unsafe { *libc::__errno_location() } == libc::EINTR => {}
            Err(_) => return -1,
        }
    }
    0
}

/// `clock_gettime(2)`.
///
/// # Safety
///
/// As libc's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clock_gettime(clock: clockid_t, time: *mut timespec) -> c_int {
    if let Some(now_ns) = on_machine(|m| m.clock_ns(clock::stands_for(clock))) {
        // SAFETY: our caller's promise for the pointer.
        unsafe { time.write(clock::to_timespec(now_ns)) };
        return 0;
    }
    probe::note(Symbol::ClockGetTime);
    // SAFETY: passed on from our caller.
    unsafe {
        kernel::call(libc::SYS_clock_gettime, [clock as usize, time as usize, 0, 0, 0, 0]) as c_int
    }
}

/// `gettimeofday(2)`; the zone is left alone on a machine, as glibc does.
///
/// # Safety
///
/// As libc's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gettimeofday(time: *mut timeval, zone: *mut c_void) -> c_int {
    if let Some(now_ns) = on_machine(|machine| machine.clock_ns(Clock::Wall)) {
        if !time.is_null() {
            // SAFETY: our caller's promise for the pointer, which is not null.
            unsafe { time.write(clock::to_timeval(now_ns)) };
        }
        return 0;
    }
    probe::note(Symbol::GetTimeOfDay);
    // SAFETY: passed on from our caller.
    unsafe {
        kernel::call(libc::SYS_gettimeofday, [time as usize, zone as usize, 0, 0, 0, 0]) as c_int
    }
}

/// `syscall(2)`: futexes and randomness of a machine's task are the machine's, all else the kernel's.
///
/// libc declares it variadic. On both architectures such arguments travel as these do, and reading one
/// that the caller did not pass yields a stale register or stack slot, which the kernel ignores.
///
/// # Safety
///
/// As libc's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn syscall(
    number: c_long,
    a: usize,
    b: usize,
    c: usize,
    d: usize,
    e: usize,
    f: usize,
) -> c_long {
    let arguments = [a, b, c, d, e, f];
    let served = on_machine(|machine| match number {
        // SAFETY: passed on from our caller.
        libc::SYS_futex => unsafe { futex::serve(machine, arguments) },
        libc::SYS_getrandom => {
            // SAFETY: passed on from our caller.
            unsafe { fill(machine, a as *mut c_void, b) };
            Some(b as c_long)
        }
        _ => None,
    });
    match served {
        Some(Some(result)) => return result,
        Some(None) => {}
        None => probe::note(Symbol::Syscall),
    }
    // SAFETY: passed on from our caller.
    unsafe { kernel::call(number, arguments) }
}

//! The system call instruction: the way past our own symbols to the real kernel.

use std::arch::asm;

use libc::{c_int, c_long};

/// Arguments of a system call, as registers hold them.
pub(crate) type Arguments = [usize; 6];

/// Issues system call `number` and returns what the kernel does: a value, or a negated errno.
///
/// # Safety
///
/// As the system call itself: its pointers are good for what it does with them.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn issue(number: c_long, arguments: Arguments) -> c_long {
    let [a, b, c, d, e, f] = arguments;
    let result: c_long;
    // SAFETY: the registers are those of the kernel's convention, and the two that the instruction
    // overwrites are declared; the arguments are the caller's promise.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number => result,
            in("rdi") a, in("rsi") b, in("rdx") c, in("r10") d, in("r8") e, in("r9") f,
            lateout("rcx") _, lateout("r11") _,
            options(nostack),
        );
    }
    result
}

/// Issues system call `number` and returns what the kernel does: a value, or a negated errno.
///
/// # Safety
///
/// As the system call itself: its pointers are good for what it does with them.
#[cfg(target_arch = "aarch64")]
#[inline(always)]
unsafe fn issue(number: c_long, arguments: Arguments) -> c_long {
    let [a, b, c, d, e, f] = arguments;
    let result: c_long;
    // SAFETY: the registers are those of the kernel's convention, which keeps all others; the
    // arguments are the caller's promise.
    unsafe {
        asm!(
            "svc 0",
            in("x8") number,
            inlateout("x0") a => result,
            in("x1") b, in("x2") c, in("x3") d, in("x4") e, in("x5") f,
            options(nostack),
        );
    }
    result
}

/// Issues a system call as libc's `syscall` does: -1 and errno on failure.
///
/// # Safety
///
/// As the system call itself: its pointers are good for what it does with them.
pub(crate) unsafe fn call(number: c_long, arguments: Arguments) -> c_long {
    // The kernel's own bound: values above it are results, not errors.
    const ERRNO_MAX: c_long = 4095;
    // SAFETY: passed on from our caller.
    let result = unsafe { issue(number, arguments) };
    if (-ERRNO_MAX..0).contains(&result) { fail(-result as c_int) } else { result }
}

/// Sets errno and returns -1.
pub(crate) fn fail(errno: c_int) -> c_long {
    // SAFETY: libc gives the address of this thread's errno, which lives as long as the thread.
    unsafe { *libc::__errno_location() = errno };
    -1
}

//! The switch from one stack to another.
//!
//! # Method
//!
//! A context is a stack pointer, below which the registers lie that a function must keep for its
//! caller. A switch pushes them, takes the other stack pointer, pops them there and returns. To both
//! sides it is a call that comes back later. Since calls and returns stay in balance, the processor
//! goes on predicting returns as long as the tasks of a machine are in similar calls: this, and that
//! no third stack lies between two tasks, is why it is not left to a coroutine library, which switches
//! to its parent first (a yield took 68 against 40 ns on one machine, below eight
//! calls 109 against 64).
//!
//! The control words of the floating-point units are not kept: no task may change them.

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
compile_error!("tasks are switched on x86_64 and aarch64 alone");

use std::arch::naked_asm;

/// Where a suspended run goes on: its stack pointer, with the registers that it needs below it.
pub(super) type Context = usize;

/// What a new run does first, with the pointer that was given to [`fresh`]; it never returns.
pub(super) type Start = unsafe extern "C" fn(*mut ()) -> !;

/// Suspends the caller, whose context goes to `save`, and goes on with `to`.
///
/// # Safety
///
/// `to` comes from [`fresh`] or was saved by this function, has not been gone on with since, and its
/// stack is still mapped. `save` can be written.
#[cfg(target_arch = "x86_64")]
#[unsafe(naked)]
pub(super) unsafe extern "C" fn switch(save: *mut Context, to: Context) {
    naked_asm!(
        "push rbp",
        "push rbx",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "mov [rdi], rsp",
        "mov rsp, rsi",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbx",
        "pop rbp",
        "ret",
    )
}

/// As on x86_64; the registers are those of the Arm procedure call standard.
///
/// # Safety
///
/// As on x86_64.
#[cfg(target_arch = "aarch64")]
#[unsafe(naked)]
pub(super) unsafe extern "C" fn switch(save: *mut Context, to: Context) {
    naked_asm!(
        "sub sp, sp, #160",
        "stp x19, x20, [sp, #0]",
        "stp x21, x22, [sp, #16]",
        "stp x23, x24, [sp, #32]",
        "stp x25, x26, [sp, #48]",
        "stp x27, x28, [sp, #64]",
        "stp x29, x30, [sp, #80]",
        "stp d8, d9, [sp, #96]",
        "stp d10, d11, [sp, #112]",
        "stp d12, d13, [sp, #128]",
        "stp d14, d15, [sp, #144]",
        "mov x9, sp",
        "str x9, [x0]",
        "mov sp, x1",
        "ldp x19, x20, [sp, #0]",
        "ldp x21, x22, [sp, #16]",
        "ldp x23, x24, [sp, #32]",
        "ldp x25, x26, [sp, #48]",
        "ldp x27, x28, [sp, #64]",
        "ldp x29, x30, [sp, #80]",
        "ldp d8, d9, [sp, #96]",
        "ldp d10, d11, [sp, #112]",
        "ldp d12, d13, [sp, #128]",
        "ldp d14, d15, [sp, #144]",
        "add sp, sp, #160",
        "ret",
    )
}

/// The first thing on a new stack: calls the start function, which never returns.
#[cfg(target_arch = "x86_64")]
#[unsafe(naked)]
unsafe extern "C" fn enter() {
    naked_asm!("mov rdi, rbx", "call r12", "ud2")
}

#[cfg(target_arch = "aarch64")]
#[unsafe(naked)]
unsafe extern "C" fn enter() {
    naked_asm!("mov x0, x19", "blr x20", "brk #1")
}

#[cfg(target_arch = "x86_64")]
mod frame {
    /// From low to high as `switch` pops them: r15, r14, r13, r12, rbx, rbp, the return address.
    pub(super) const WORDS: usize = 7;
    pub(super) const POINTER: usize = 4;
    pub(super) const START: usize = 3;
    pub(super) const RETURN: usize = 6;
}

#[cfg(target_arch = "aarch64")]
mod frame {
    /// From low to high as `switch` loads them: x19 to x30, d8 to d15.
    pub(super) const WORDS: usize = 20;
    pub(super) const POINTER: usize = 0;
    pub(super) const START: usize = 1;
    pub(super) const RETURN: usize = 11;
}

/// The context of a run that begins with `start(pointer)` on a stack that ends at `top`.
///
/// # Safety
///
/// The 256 bytes below `top`, which is a multiple of 16, can be written and are nobody else's.
pub(super) unsafe fn fresh(top: usize, start: Start, pointer: *mut ()) -> Context {
    let context = top - frame::WORDS * size_of::<usize>();
    let mut words = [0; frame::WORDS];
    words[frame::POINTER] = pointer as usize;
    words[frame::START] = start as *const () as usize;
    words[frame::RETURN] = enter as *const () as usize;
    // SAFETY: the frame lies within the bytes that the caller vouches for.
    unsafe { (context as *mut [usize; frame::WORDS]).write(words) };
    context
}

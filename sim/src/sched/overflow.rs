//! An overflow of a task's stack as a verdict in place of the end of the process.
//!
//! # Method
//!
//! A handler for SIGSEGV and SIGBUS, installed once, runs on the OS thread's alternate stack (std
//! gives one to every thread that it starts). If the address lies in the guard of the running
//! coroutine, the coroutine is made to return `Ended::Overflow`; its frames are left as they are. Any
//! other address goes to the handler that was there before.

#![expect(
    clippy::disallowed_types,
    reason = "the process has one of it, for all machines: taken outside of any machine"
)]

use std::cell::Cell;
use std::ptr;
use std::sync::Once;

use corosensei::trap::TrapHandlerRegs;

use super::kernel::{Ended, Slot};
use super::stack::GUARD_BYTES;

thread_local! {
    static RUNNING: Cell<*const Slot> = const { Cell::new(ptr::null()) };
}

/// Says which coroutine runs now; its overflow makes it return `Ended::Overflow`.
#[inline]
pub(super) fn watch(slot: *const Slot) {
    RUNNING.set(slot);
}

/// No coroutine runs any more.
pub(super) fn unwatch() {
    RUNNING.set(ptr::null());
}

/// The registers with which the running coroutine returns, if `address` lies in its guard.
fn overflowed(address: usize) -> Option<TrapHandlerRegs> {
    // SAFETY: the slot stays where it is while its coroutine runs, and the fields that are read here
    // do not change meanwhile.
    let slot = unsafe { RUNNING.get().as_ref() }?;
    let guard = slot.guard_low..slot.guard_low + GUARD_BYTES;
    if !guard.contains(&address) {
        return None;
    }
    // SAFETY: the coroutine runs on this OS thread and has trapped; its frames are not entered again.
    Some(unsafe { slot.fiber.trap_handler().setup_trap_handler(|| Ended::Overflow) })
}

/// Installs the handler; later calls do nothing.
pub(super) fn install() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        for (signal, previous) in [(libc::SIGSEGV, &PREVIOUS_SEGV), (libc::SIGBUS, &PREVIOUS_BUS)] {
            // SAFETY: both structures are plain data that the kernel fills or reads; the handler only
            // reads thread-locals that need no initialisation.
            unsafe {
                let mut old: libc::sigaction = std::mem::zeroed();
                libc::sigaction(signal, ptr::null(), &mut old);
                let _ = previous.set(Previous(old));
                let mut new: libc::sigaction = std::mem::zeroed();
                new.sa_sigaction = on_fault as *const () as usize;
                new.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
                libc::sigaction(signal, &new, ptr::null_mut());
            }
        }
    });
}

struct Previous(libc::sigaction);

static PREVIOUS_SEGV: std::sync::OnceLock<Previous> = std::sync::OnceLock::new();
static PREVIOUS_BUS: std::sync::OnceLock<Previous> = std::sync::OnceLock::new();

extern "C" fn on_fault(signal: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the kernel passes a valid siginfo to a handler with SA_SIGINFO.
    let address = unsafe { (*info).si_addr() } as usize;
    if let Some(regs) = overflowed(address) {
        // SAFETY: the kernel passes a valid context, which it restores when the handler returns.
        unsafe { set_regs(&mut *context.cast::<libc::ucontext_t>(), &regs) };
        return;
    }
    hand_on(signal, info, context);
}

/// Calls the handler that was installed before ours, or restores the default and lets the
/// instruction fault again.
fn hand_on(signal: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let previous = if signal == libc::SIGSEGV { &PREVIOUS_SEGV } else { &PREVIOUS_BUS };
    let action = previous.get().map(|previous| previous.0);
    match action {
        Some(action)
            if action.sa_flags & libc::SA_SIGINFO != 0 && action.sa_sigaction > libc::SIG_IGN =>
        {
            type Action = extern "C" fn(i32, *mut libc::siginfo_t, *mut libc::c_void);
            // SAFETY: with SA_SIGINFO the field holds a function of this type.
            let action = unsafe { std::mem::transmute::<usize, Action>(action.sa_sigaction) };
            action(signal, info, context);
        }
        _ => {
            // SAFETY: restoring the default action is allowed in a handler.
            unsafe { libc::signal(signal, libc::SIG_DFL) };
        }
    }
}

#[cfg(target_arch = "x86_64")]
fn set_regs(context: &mut libc::ucontext_t, regs: &TrapHandlerRegs) {
    let registers = &mut context.uc_mcontext.gregs;
    registers[libc::REG_RIP as usize] = regs.rip as i64;
    registers[libc::REG_RSP as usize] = regs.rsp as i64;
    registers[libc::REG_RBP as usize] = regs.rbp as i64;
    registers[libc::REG_RDI as usize] = regs.rdi as i64;
    registers[libc::REG_RSI as usize] = regs.rsi as i64;
}

#[cfg(target_arch = "aarch64")]
fn set_regs(context: &mut libc::ucontext_t, regs: &TrapHandlerRegs) {
    let registers = &mut context.uc_mcontext;
    registers.pc = regs.pc;
    registers.sp = regs.sp;
    registers.regs[0] = regs.x0;
    registers.regs[1] = regs.x1;
    registers.regs[29] = regs.x29;
    registers.regs[30] = regs.lr;
}

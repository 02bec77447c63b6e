//! An overflow of a task's stack as a verdict in place of the end of the process.
//!
//! # Method
//!
//! A handler for SIGSEGV and SIGBUS, installed once, runs on the OS thread's alternate stack (std
//! gives one to every thread that it starts). If the address lies in the guard of the running task,
//! the task is made to switch to the OS thread's own stack, as if it had called [`switch`] itself; its
//! frames are lost. Any other address goes to the handler that was there before.

#![expect(
    clippy::disallowed_types,
    reason = "the process has one of it, for all machines: taken outside of any machine"
)]

use std::ptr;
use std::sync::Once;

use super::kernel::Rescue;
use super::panics;
use super::switch::switch;

/// How the running task leaves its stack, if `address` lies in its guard.
fn overflowed(address: usize) -> Option<Rescue> {
    // SAFETY: the kernel takes the pointer back before it goes; only cells are read, of which nobody
    // is in the middle of a change: the task that runs on this OS thread has trapped elsewhere.
    let kernel = unsafe { panics::watched().as_ref() }?;
    kernel.rescue(address)
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
    if let Some(rescue) = overflowed(address) {
        // SAFETY: the kernel passes a valid context, which it restores when the handler returns.
        unsafe { call_switch(&mut *context.cast::<libc::ucontext_t>(), &rescue) };
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
fn call_switch(context: &mut libc::ucontext_t, rescue: &Rescue) {
    let registers = &mut context.uc_mcontext.gregs;
    registers[libc::REG_RIP as usize] = switch as *const () as i64;
    // As after a call, which would have pushed a return address.
    registers[libc::REG_RSP as usize] = (rescue.top - size_of::<usize>()) as i64;
    registers[libc::REG_RDI as usize] = rescue.save as i64;
    registers[libc::REG_RSI as usize] = rescue.to as i64;
}

#[cfg(target_arch = "aarch64")]
fn call_switch(context: &mut libc::ucontext_t, rescue: &Rescue) {
    let registers = &mut context.uc_mcontext;
    registers.pc = switch as *const () as u64;
    registers.sp = rescue.top as u64;
    registers.regs[0] = rescue.save as u64;
    registers.regs[1] = rescue.to as u64;
}

//! How a simulated device takes part in the running machine: three calls, for `disk` alone.
//!
//! # Method
//!
//! A device call is [`enter`], then any number of [`with_env`] (decide, change state, trace) and
//! [`wait`] (let virtual time pass). It holds no borrow over `enter` or `wait`.
//!
//! Where the power goes at a call, a choice says whether the call still takes effect: then it is a
//! call in flight, whose result nobody learns.

use std::io;

use falconry_seam::hook::Point;

use crate::env::Env;
use crate::power::Death;
use crate::sched::kernel::current;
use crate::sched::state::Phase;
use crate::trace::DiskOp;

/// A call of the disk begins: a scheduling point, counted by the power's plan.
///
/// # Errors
///
/// `EIO` once the power has gone or the process was killed, and when no machine runs.
pub fn enter(op: DiskOp) -> io::Result<()> {
    let kernel = current().ok_or_else(gone)?;
    kernel.borrow().choices.set_call(op);
    kernel.point_at(Point::Disk, None);
    let mut state = kernel.borrow();
    // Others may have called meanwhile.
    state.choices.set_call(op);
    if state.phase != Phase::On {
        return Err(gone());
    }
    let mut plan = kernel.plan.get();
    let ends = plan.op_begins(&state.power);
    kernel.plan.set(plan);
    if ends {
        let death = plan.death.unwrap_or(Death::PowerLoss);
        let in_flight = state.choices.choose("power/in_flight", 2) == 1;
        kernel.die(&mut state, death);
        if !in_flight {
            return Err(gone());
        }
    }
    Ok(())
}

/// Decides and traces on the running machine; `None` when no machine runs on this OS thread.
pub fn with_env<R>(f: impl FnOnce(&mut Env<'_>) -> R) -> Option<R> {
    let kernel = current()?;
    let mut state = kernel.borrow();
    let result = f(&mut state.env());
    if std::mem::take(&mut state.power.cut) {
        let death = kernel.plan.get().death.unwrap_or(Death::PowerLoss);
        kernel.die(&mut state, death);
    }
    Some(result)
}

/// Lets `ns` of virtual time pass for the calling task.
///
/// # Errors
///
/// `EIO` if the power went, or the process was killed, before it was over.
pub fn wait(ns: u64) -> io::Result<()> {
    let kernel = current().ok_or_else(gone)?;
    if ns > 0 && kernel.borrow().phase == Phase::On {
        kernel.sleep_at(ns, None);
    }
    if kernel.borrow().phase == Phase::On { Ok(()) } else { Err(gone()) }
}

/// Whether the calling task unwinds after the power has gone: an error would be of no use to its
/// destructors.
pub fn is_unwinding() -> bool {
    current().is_some_and(|kernel| kernel.borrow().phase != Phase::On && kernel.is_unwinding())
}

fn gone() -> io::Error {
    io::Error::from_raw_os_error(libc::EIO)
}

//! Linux: the interposed symbols, what they become on a machine, and the kernel behind them.

mod clock;
mod futex;
mod kernel;
pub(crate) mod probe;
mod symbols;

pub(crate) use futex::leave_to_kernel;
pub(crate) use symbols::keep;

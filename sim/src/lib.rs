//! A simulated machine for storage engines: its disk, clock, scheduler and power obey one seed.
//!
//! It knows bytes, steps and tasks, and no engine. Start with `Machine` or, in tests, with `Sim`.

#![deny(missing_docs)]

pub mod check;
pub mod choice;
mod clock;
pub mod disk;
pub mod env;
pub mod fault;
pub mod io;
pub mod machine;
mod power;
mod progress;
mod sched;
pub mod shrink;
pub mod trace;

pub use machine::{
    At, Boot, Ctx, End, Ending, Machine, MachineConfig, MachineCounters, PowerDraw, Span,
    StrategyKind, Verdict, VerdictKind, choose, exit, is_off, note, now_ns, opened, span,
    with_choices,
};
pub use progress::{enter_call, last_call, progress};

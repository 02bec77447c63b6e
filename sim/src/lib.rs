//! A simulated machine for storage engines: its disk, clock, scheduler and power obey one seed.
//!
//! It knows bytes, steps and tasks, and no engine. Start with `Machine` or, in tests, with `Sim`.

#![deny(missing_docs)]

pub mod choice;
pub mod disk;
pub mod env;
pub mod fault;
pub mod io;
pub mod trace;

//! Locks of transactions: on tables, on records, and on keys of unique indexes.
//!
//! # Method
//!
//! Locking is strict and in two phases: a transaction locks what it is about to read or change, and all
//! its locks are given back at once when it is over. Locks are first come, first served; what a
//! transaction holds already it may hold in a stronger way, and then goes before the others. Where some would
//! wait for each other for ever the youngest of them is refused; one that waits for too long is refused then.
//!
//! A lock is no latch: it is named by what it protects, belongs to a transaction, and may be held for long.
//!
//! # Invariant
//!
//! No two transactions hold a lock in modes that are not compatible.

mod manager;
mod mode;
mod name;
mod queue;
mod state;

pub use manager::{LockCounters, LockManager};
pub use mode::LockMode;
pub use name::LockName;

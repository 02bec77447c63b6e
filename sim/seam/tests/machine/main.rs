//! What each call of the seam tells the machine, told to one that only writes it down.
//!
//! Whether tasks really run side by side is tested where the scheduler is, in `falconry-sim`.

#![cfg(feature = "simulate")]

mod fake;
mod locks;
mod others;
mod threads;

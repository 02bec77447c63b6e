//! The same work on falconry-sim and on its peers: what is measured, and how a run is asked for.
//!
//! # Method
//!
//! Each system is a process of its own that waits for questions ([`server`]), so that madsim's
//! interposed clock and random numbers touch nobody else, and one system's heap does not warm
//! another's. The benchmark asks all systems for a round of every [`work::Work`] before it goes on to the
//! next round, and all of them run on the same processor meanwhile ([`processor`]), so that a noisy minute
//! and a noisy neighbour fall on all of them alike.

#![deny(missing_docs)]

pub mod clock;
pub mod frames;
pub mod processor;
pub mod report;
pub mod server;
pub mod work;

//! A deterministic simulation testbed for storage engines: engines, workloads, judges, swarms.

#![deny(missing_docs)]

pub mod cli;
pub mod engine;
pub mod fuzz;
pub mod oracle;
pub mod report;
pub mod run;
pub mod scenario;
pub mod score;
pub mod shrink;
pub mod specimen;
pub mod store;
pub mod swarm;
pub mod workload;

//! A deterministic simulation testbed for storage engines: engines, workloads, judges, swarms.

#![deny(missing_docs)]

pub mod engine;
pub mod oracle;
pub mod run;
pub mod scenario;

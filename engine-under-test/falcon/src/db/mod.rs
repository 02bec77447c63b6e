//! A database: tables in tablespaces, transactions, and the threads behind them.
//!
//! # Method
//!
//! [`Database`] opens and closes; what its threads share is the `Engine`. A transaction's rows wait in
//! memory, then in the log, and gophers bring them to pages. The ticker makes checkpoints.
//!
//! # Invariant
//!
//! Pages hold committed rows only.

pub(crate) mod catalogue;
mod database;
mod ddl;
mod engine;
mod files;
pub(crate) mod gopher;
mod numbers;
mod object;
mod options;
mod pending;
mod reclaim;
pub(crate) mod rows;
mod schema;
mod statistics;
mod ticker;
mod verify;
mod versions;

pub use database::Database;
pub use options::Options;
pub use schema::{COLUMNS_MAX, INDEXES_MAX, IndexSpec, NAME_BYTES_MAX, TableSpec};
pub use statistics::Statistics;
pub use verify::VerifyReport;

pub(crate) use engine::Engine;
pub(crate) use gopher::in_log;
pub(crate) use numbers::Numbers;
pub(crate) use rows::{Committed, LoggedChange, RowChange, What};
pub(crate) use schema::{IndexInfo, RecordPlace, TableInfo};

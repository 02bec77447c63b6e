//! Falcon: an embedded transactional storage engine in the design of the historic one.
//!
//! # Method
//!
//! Two levels: rows that transactions work on live in memory, pages hold committed rows only. Between
//! them lies the serial log: a commit writes its rows to the log, and what is in the log is copied to
//! pages later. Pages reach the disk by checkpoints and evictions, never before the log that describes
//! them.
//!
//! [`Database`] is where to begin: it has tables ([`TableSpec`], [`Table`]) with indexes, and transactions
//! ([`Transaction`]). Below are the formats of pages ([`page`]), the cache that keeps them in memory and writes
//! them ([`cache`]), the log ([`log`]), changes of pages that are one record of it ([`store`]), the trees of
//! indexes ([`tree`]), and what transactions share: locks ([`lock`]), room in the log ([`admission`]) and the
//! form of rows ([`row`]). One version of a row is kept so far; there is no record cache yet.
//!
//! # Invariant
//!
//! The disk is a value that is handed in; nothing here reaches the outside in another way.

#![deny(missing_docs)]

pub mod admission;
mod bug;
pub mod cache;
mod db;
mod error;
mod ids;
pub mod lock;
mod lockfree;
pub mod log;
mod memory;
pub mod page;
mod read_ahead;
mod recovery;
pub mod row;
mod section;
mod sequence;
mod stop_reason;
pub mod store;
pub mod tree;
pub mod txn;
mod varint;

pub use bug::Bug;
pub use db::{
    COLUMNS_MAX, Database, INDEXES_MAX, IndexSpec, NAME_BYTES_MAX, Options, Statistics, TableSpec,
    VerifyReport,
};
pub use error::{Error, Result};
pub use ids::{Lsn, PageId, PageNumber, SequenceId, TableId, TablespaceId, TxnId};
pub use recovery::RecoveryReport;
pub use sequence::Sequence;
pub use stop_reason::StopReason;
pub use tree::Direction;
pub use txn::{Index, Range, Row, Scan, Table, Transaction};

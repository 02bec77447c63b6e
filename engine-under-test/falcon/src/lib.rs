//! Falcon: an embedded transactional storage engine in the design of the historic one.
//!
//! # Method
//!
//! Two levels: rows that transactions work on live in memory, pages hold committed rows only. Between
//! them lies the serial log: a commit writes its rows to the log, and what is in the log is copied to
//! pages later. Pages reach the disk by checkpoints and evictions, never before the log that describes
//! them.
//!
//! What is here so far is the ground: the formats of pages ([`page`]), the cache that keeps them in memory
//! and writes them ([`cache`]), and the log ([`log`]). Nothing opens a database yet.
//!
//! # Invariant
//!
//! The disk is a value that is handed in; nothing here reaches the outside in another way.

#![deny(missing_docs)]

pub mod cache;
mod error;
mod ids;
mod lockfree;
pub mod log;
pub mod page;

pub use error::{Error, Result};
pub use ids::{Lsn, PageId, PageNumber, TablespaceId, TxnId};

//! Sequences: numbers that are given out once.
//!
//! # Method
//!
//! The page of a sequence has a value, and no number above it was ever given out. When the numbers up to there
//! are used up the value is raised by a batch: a transaction of its own, which is durable before the first of
//! these numbers is given out, and which a gopher brings to the page. A crash loses the rest of a batch.
//!
//! Numbers belong to no transaction: one that is rolled back does not bring them back.
//!
//! # Invariant
//!
//! A number was given out only if a value as high is durable.

mod handle;
mod pages;

pub use handle::Sequence;
pub(crate) use handle::{SequenceInfo, end};
pub(crate) use pages::{SECTION, limit, pages, raise, start};

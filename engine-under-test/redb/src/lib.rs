//! redb on the seam's disk.
//!
//! # Method
//!
//! redb reaches its file by one trait, `StorageBackend`; [`Backend`] is that trait over one file of a
//! [`falconry_seam::disk::Disk`]. redb knows no names, so what makes a name durable is done here, in
//! [`open`]. The database that comes back is redb's own type, unchanged. [`promise`] states what redb
//! documents: which faults it survives, what a commit is worth, how its clients may be interleaved.
//!
//! # Invariant
//!
//! Nothing of redb's file is touched but through the seam's disk.

#![deny(missing_docs)]

mod backend;
mod failure;
mod open;
pub mod promise;

pub use backend::Backend;
pub use failure::Failure;
pub use open::{Settings, begin_write, open};

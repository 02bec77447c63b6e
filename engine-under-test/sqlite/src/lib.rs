//! SQLite on the seam's disk.
//!
//! # Method
//!
//! SQLite reaches the outside through a VFS, and this crate's is made of a [`falconry_seam::disk::Disk`]
//! that is handed in when an [`Environment`] is made. Several environments live side by side in one
//! process. [`Connection`] and [`Statement`] are the little of SQLite's interface that a client needs;
//! [`Settings`] are those that bear on what survives, [`contract`] and [`CLAIMS`] what SQLite promises
//! under them.
//!
//! # Invariant
//!
//! - No callback waits for another connection, and none unwinds: each returns SQLite's own code, an
//!   I/O error for whatever the disk does after the power has gone.
//! - Temporary files live in memory. Nothing but databases, journals and logs reaches the disk.
//! - SQLite's random generator is one for the whole process: whoever needs two runs to be the same
//!   calls [`reset_randomness`] before each, and runs one at a time.

#![deny(missing_docs)]

mod ambient;
mod code;
mod connection;
mod contract;
mod environment;
mod error;
mod file;
mod lock;
mod name;
mod open_file;
mod settings;
mod shm;
mod statement;
mod vfs;
mod world;

pub use ambient::reset_randomness;
pub use connection::Connection;
pub use contract::{CLAIMS, Contract, LEFT_OUT, claims, contract};
pub use environment::{Device, Environment};
pub use error::{Error, ErrorKind};
pub use settings::{
    AutoVacuum, BadSetting, JournalMode, LockingMode, Settings, Synchronous, Words,
};
pub use statement::Statement;

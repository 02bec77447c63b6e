//! Falcon beside redb, SQLite and fjall: the same work, on a real directory.
//!
//! # Method
//!
//! [`engine`] is what a work needs of any of them; [`work`] lists the works, the figures that each gives, and
//! what Falcon wants to reach. [`measure`] does one work in a process of its own. [`report`] makes tables and
//! JSON Lines of the figures, [`goal`] compares them.
//!
//! # Invariant
//!
//! Every engine is asked for the same rows, and what it gives back is compared with what it was given.

#![deny(missing_docs)]

pub mod device;
pub mod engine;
pub mod goal;
pub mod measure;
pub mod report;
pub mod rows;
pub mod work;

/// Whatever went wrong, for a message.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// A result of a benchmark's step.
pub type Result<T> = std::result::Result<T, Error>;

/// An empty folder of this process's own, for a test that removes it.
#[cfg(test)]
fn test_folder(name: &str) -> std::path::PathBuf {
    let name = format!("falcon-peers-{}-{name}", std::process::id());
    let dir = std::env::temp_dir().join(name);
    std::fs::create_dir_all(&dir).expect("there is room for temporary files");
    dir
}

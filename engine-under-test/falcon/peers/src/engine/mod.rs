//! What a work needs of an engine, and the engines.
//!
//! # Method
//!
//! Each keeps rows by a number and promises that a commit which has returned outlives a loss of power: Falcon as
//! it comes, redb with `Durability::Immediate`, SQLite in WAL mode with `synchronous=FULL`, fjall with
//! `PersistMode::SyncAll` for each batch. They get the same bytes of cache; all else is as they come, but for
//! what [`Setup`] says.
//!
//! # Invariant
//!
//! Every row that is read is compared with its key.

mod falcon;
mod fjall;
mod redb;
mod sqlite;

use std::fmt;
use std::path::Path;

use crate::Result;

/// Which engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Ours.
    Falcon,
    /// A copy-on-write B-tree in one file.
    Redb,
    /// Pages with a write-ahead log.
    Sqlite,
    /// A log-structured merge tree.
    Fjall,
}

/// All of them, ours first.
pub const ALL: [Kind; 4] = [Kind::Falcon, Kind::Redb, Kind::Sqlite, Kind::Fjall];

/// How a database is opened.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    /// Bytes of the engine's own cache.
    pub cache_bytes: usize,
    /// The log is kept as it grows, so that a later opening has it all to recover.
    pub keeps_log: bool,
}

/// A row to be written.
#[derive(Clone, Debug)]
pub struct Put {
    /// Its key.
    pub key: u64,
    /// What it becomes.
    pub value: Vec<u8>,
    /// Whether the key is known to be new; else it is known to be there.
    pub is_new: bool,
}

/// What an engine's log has taken since the database was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogCounts {
    /// Bytes written, with headers and padding.
    pub bytes: u64,
    /// Blocks, each written and synced at once.
    pub blocks: u64,
}

/// An open database.
pub trait Engine: Send + Sync {
    /// One transaction: all these rows are durable when it returns. Threads may call it at once.
    ///
    /// # Errors
    ///
    /// The engine's.
    fn commit(&self, rows: &[Put]) -> Result<()>;

    /// One transaction that reads these keys, all of which are there.
    ///
    /// # Errors
    ///
    /// The engine's, or a row that is missing or another's.
    fn read(&self, keys: &[u64]) -> Result<()>;

    /// One transaction that reads up to `count` rows in the order of their keys, and tells how many.
    ///
    /// # Errors
    ///
    /// As [`Engine::read`].
    fn scan(&self, from: u64, count: u64) -> Result<u64>;

    /// Bytes of log that an opening would have to recover if the process ended now; none where that is not
    /// told, because there is no log or its file is longer than what is in it.
    ///
    /// # Errors
    ///
    /// The system's for a file that cannot be measured.
    fn log_bytes(&self) -> Result<Option<u64>>;

    /// What the log has taken, where the engine counts it.
    fn log_counts(&self) -> Option<LogCounts> {
        None
    }

    /// All counts that the engine keeps, for people.
    fn told(&self) -> String {
        String::new()
    }

    /// Closes the database as a program that ends well does.
    ///
    /// # Errors
    ///
    /// The engine's.
    fn close(self: Box<Self>) -> Result<()>;
}

impl Kind {
    /// The engine of this name.
    pub fn named(name: &str) -> Option<Kind> {
        ALL.into_iter().find(|kind| kind.to_string() == name)
    }

    /// Opens the database in a folder, or creates it.
    ///
    /// # Errors
    ///
    /// The engine's.
    pub fn open(self, dir: &Path, setup: Setup) -> Result<Box<dyn Engine>> {
        Ok(match self {
            Kind::Falcon => Box::new(falcon::Falcon::open(dir, setup)?),
            Kind::Redb => Box::new(redb::Redb::open(dir, setup)?),
            Kind::Sqlite => Box::new(sqlite::Sqlite::open(dir, setup)?),
            Kind::Fjall => Box::new(fjall::Fjall::open(dir, setup)?),
        })
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Falcon => "falcon",
            Kind::Redb => "redb",
            Kind::Sqlite => "sqlite",
            Kind::Fjall => "fjall",
        })
    }
}

fn missing(key: u64) -> crate::Error {
    format!("key {key} is missing").into()
}

#[cfg(test)]
mod tests;

//! What can go wrong, as outcomes that a caller can act on.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use crate::{Lsn, TablespaceId};

/// What a call of Falcon returns.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a call did not do what it was asked.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The disk refused a call. What the call says of its state holds.
    #[error("{op} of {}: {source}", file.display())]
    Io {
        /// What was tried: `write`, `sync`, `open` ….
        op: &'static str,
        /// On which file, relative to the database's folder.
        file: PathBuf,
        /// The disk's answer.
        source: Arc<io::Error>,
    },
    /// A file of ours does not hold what was written to it. Nothing was changed.
    #[error("{} is damaged at {place}: {what}", file.display())]
    Damaged {
        /// The file.
        file: PathBuf,
        /// Where in it: `page 17`, `block 12 at byte 8192`.
        place: String,
        /// What is wrong there, with what was expected and what was found.
        what: String,
    },
    /// The file is none of this database. Nothing was changed.
    #[error("{} is not a file of this database: {what}", file.display())]
    Foreign {
        /// The file.
        file: PathBuf,
        /// How that was noticed.
        what: String,
    },
    /// The file was written by a newer Falcon. Nothing was changed.
    #[error("{} has format {found}, newer than {known}, the newest that is known here", file.display())]
    Newer {
        /// The file.
        file: PathBuf,
        /// Its format.
        found: u16,
        /// The newest format that this Falcon reads.
        known: u16,
    },
    /// A file that belongs to the database is not there. Nothing was changed.
    #[error("{} is missing", file.display())]
    Missing {
        /// The file.
        file: PathBuf,
    },
    /// The log has no record there, or no more. Nothing was done.
    #[error("the log has no record at {lsn}: it goes from {from} to {end}")]
    NotInLog {
        /// The place that was asked for.
        lsn: Lsn,
        /// Where the log begins now.
        from: Lsn,
        /// Where it ends.
        end: Lsn,
    },
    /// A record is longer than a block of the log holds. Nothing was appended.
    #[error("a record has {bytes} bytes, and the log takes at most {bytes_max}")]
    TooLong {
        /// Its length.
        bytes: usize,
        /// The longest that there may be.
        bytes_max: usize,
    },
    /// A setting is out of its range. Nothing was done.
    #[error("{name} is {value}, and must be {range}")]
    Setting {
        /// The setting.
        name: &'static str,
        /// Its value.
        value: u64,
        /// What it may be.
        range: &'static str,
    },
    /// Every frame of the page cache is in use, and stays so. The call did nothing: give pages back, or open
    /// the database with a larger cache.
    #[error("all {frame_count} frames of the page cache are in use; it needs to be larger")]
    CacheFull {
        /// The cache's frames.
        frame_count: usize,
    },
    /// No file was opened for the tablespace. Nothing was done.
    #[error("{tablespace} is not open")]
    NoTablespace {
        /// The tablespace.
        tablespace: TablespaceId,
    },
    /// The system refuses a thread.
    #[error("the thread {name} cannot be started: {source}")]
    Thread {
        /// Its name.
        name: String,
        /// The system's answer.
        source: Arc<io::Error>,
    },
    /// The engine has stopped after an error from which it cannot go on: open the database again. What
    /// was acknowledged before is safe; whether a call that gets this took effect is told by the next
    /// open.
    #[error("the engine has stopped: {0}")]
    Stopped(Arc<str>),
}

impl Error {
    /// The disk's answer to `op` on `file`.
    pub(crate) fn io(op: &'static str, file: impl Into<PathBuf>, source: io::Error) -> Error {
        Error::Io { op, file: file.into(), source: Arc::new(source) }
    }
}

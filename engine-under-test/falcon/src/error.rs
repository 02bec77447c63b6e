//! What can go wrong, as outcomes that a caller can act on.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::lock::{LockMode, LockName};
use crate::{Lsn, StopReason, TablespaceId, TxnId};

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
        /// On which file, relative to the database's folder, which is `.` itself.
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
    /// A key is longer than the pages of an index take. Nothing was changed.
    #[error("a key has {bytes} bytes, and at most {bytes_max} can be indexed")]
    KeyTooLong {
        /// Its length.
        bytes: usize,
        /// The longest that there may be, with pages of this size.
        bytes_max: usize,
    },
    /// The tablespace has no place for an index of that number. Nothing was changed.
    #[error(
        "{tablespace} has places for the indexes below {index_max}, and was asked for index {index}"
    )]
    TooManyIndexes {
        /// The tablespace.
        tablespace: TablespaceId,
        /// The index.
        index: u32,
        /// How many places there are.
        index_max: u32,
    },
    /// The index was never created. Nothing was done.
    #[error("{tablespace} has no index {index}")]
    NoIndex {
        /// The tablespace.
        tablespace: TablespaceId,
        /// The index.
        index: u32,
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
    /// Every page number of the tablespace is in use. The engine stops when this comes from its own threads.
    #[error("{tablespace} has no page left: all numbers are in use")]
    NoPages {
        /// The tablespace.
        tablespace: TablespaceId,
    },
    /// The folder has a database already. Nothing was done.
    #[error("there is a database already")]
    Exists,
    /// Somebody else has the database open. Nothing was done.
    #[error("the database is in use: {} is locked", file.display())]
    InUse {
        /// The file that is locked.
        file: PathBuf,
    },
    /// There is a bound, and it is reached. Nothing was done.
    #[error("there can be no more than {limit} {what}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many there may be.
        limit: u64,
    },
    /// There can be no such table or sequence. Nothing was done.
    #[error("{name} cannot be made: {what}")]
    Schema {
        /// The table or sequence.
        name: String,
        /// What is wrong with it.
        what: String,
    },
    /// There is none of this name. Nothing was done.
    #[error("there is no {what} {name}")]
    Unknown {
        /// Of what kind: `table` or `sequence`.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// What a handle was of is gone: somebody dropped it, now or while the call waited. Nothing was done. A
    /// table or sequence that was made anew under the name has handles of its own, to be had by name.
    #[error("the {what} {name} was dropped")]
    Dropped {
        /// Of what kind: `table` or `sequence`.
        what: &'static str,
        /// The name that it had.
        name: String,
    },
    /// A row or a key has another number of values than it must have; a bound of a range, more than the
    /// index has columns. Nothing was done.
    #[error("{found} values were given for {name}, which has {expected} columns")]
    ColumnCount {
        /// The table or index.
        name: String,
        /// How many values were given.
        found: usize,
        /// How many columns it has.
        expected: usize,
    },
    /// A row is longer than this database takes: see [`Options`](crate::Options). Nothing was done.
    #[error("a row for table {table} has {bytes} bytes, and at most {bytes_max} can be kept")]
    RowTooLong {
        /// The table.
        table: String,
        /// Its length, encoded.
        bytes: usize,
        /// The longest that there may be.
        bytes_max: usize,
    },
    /// Another row has the same key of a unique index. The statement changed nothing.
    #[error("table {table} has a row with this key of index {index} already")]
    Duplicate {
        /// The table.
        table: String,
        /// The first of its indexes that is so.
        index: String,
    },
    /// A handle of a table or an index was given to another database than the one that it is of. Nothing was
    /// done.
    #[error("table {table} is of another database")]
    OtherDatabase {
        /// The table.
        table: String,
    },
    /// The log failed while it had the rows of a transaction: these are durable, all of them, or none is,
    /// and the next opening finds out. The engine has stopped.
    #[error(
        "whether {txn} is committed is not known until the next opening: the engine has stopped: {why}"
    )]
    OutcomeUnknown {
        /// The transaction.
        txn: TxnId,
        /// What failed.
        why: StopReason,
    },
    /// The system refuses a thread.
    #[error("the thread {name} cannot be started: {source}")]
    Thread {
        /// Its name.
        name: String,
        /// The system's answer.
        source: Arc<io::Error>,
    },
    /// The transaction would wait for one that waits for it, directly or through others, and is the youngest of
    /// them. The call locked nothing, and the transaction keeps the locks that it has: roll it back, so that
    /// the others go on, and try it again.
    #[error("{txn} cannot have the {mode} lock on {name}: {cycle}")]
    Deadlock {
        /// The transaction.
        txn: TxnId,
        /// What it wanted to lock.
        name: LockName,
        /// The lock that it would have had then.
        mode: LockMode,
        /// Who waits for whom, in words.
        cycle: String,
    },
    /// The transaction did not get a lock in time. The call locked nothing, and the transaction keeps the
    /// locks that it has: roll it back, so that the others go on, and try it again.
    #[error(
        "{txn} did not get the {mode} lock on {name} within {timeout:?}: {behind} was before it"
    )]
    LockTimeout {
        /// The transaction.
        txn: TxnId,
        /// What it wanted to lock.
        name: LockName,
        /// The lock that it would have had then.
        mode: LockMode,
        /// How long a transaction waits.
        timeout: Duration,
        /// One of those that it waited for at last.
        behind: TxnId,
    },
    /// The transaction is larger than the log takes at once. Nothing was written: roll it back, and do its
    /// work in smaller ones or open the database with a larger log.
    #[error("a transaction needs {bytes} bytes of the log, which has room for {bytes_max} at most")]
    TransactionTooLarge {
        /// What it needs.
        bytes: u64,
        /// The most that there may be.
        bytes_max: u64,
    },
    /// The engine has stopped after an error from which it cannot go on: open the database again. What
    /// was acknowledged before is safe; whether a call that gets this took effect is told by the next
    /// open.
    #[error("the engine has stopped: {0}")]
    Stopped(StopReason),
}

impl Error {
    /// The disk's answer to `op` on `file`; the database's own folder is the empty path, and told as `.`.
    pub(crate) fn io(op: &'static str, file: impl Into<PathBuf>, source: io::Error) -> Error {
        let file: PathBuf = file.into();
        let file = if file.as_os_str().is_empty() { ".".into() } else { file };
        Error::Io { op, file, source: Arc::new(source) }
    }
}

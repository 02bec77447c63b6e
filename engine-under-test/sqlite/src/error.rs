//! What can go wrong, as SQLite tells it.

use std::error;
use std::ffi::{CStr, c_int};
use std::fmt;

use libsqlite3_sys as ffi;

/// A failed call of SQLite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// The extended result code.
    code: c_int,
    /// The errno of the disk's last failure, 0 when there was none.
    errno: c_int,
    /// SQLite's words for it.
    message: String,
}

/// What a caller can do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Another connection is in the way. Roll back if a transaction is open, and try again.
    Busy,
    /// The device is full. The statement had no effect; the transaction may have been rolled back.
    Full,
    /// The disk failed. The transaction may have been rolled back; a commit that failed may come to
    /// light after the next restart.
    Io,
    /// The file cannot be opened.
    CannotOpen,
    /// The database may not be written.
    ReadOnly,
    /// The database is damaged, or the file is no database.
    Corrupt,
    /// A constraint of the schema forbids it. The statement had no effect.
    Constraint,
    /// There is no memory left.
    Memory,
    /// The statement or the call is wrong.
    Usage,
}

impl Error {
    /// The primary result code, `SQLITE_BUSY` and the like.
    pub fn primary_code(&self) -> i32 {
        self.code & 0xff
    }

    /// The extended result code, `SQLITE_IOERR_FSYNC` and the like.
    pub fn extended_code(&self) -> i32 {
        self.code
    }

    /// The errno of the disk's last failure, `None` when there was none.
    pub fn errno(&self) -> Option<i32> {
        (self.errno != 0).then_some(self.errno)
    }

    /// SQLite's words.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What a caller can do about it.
    pub fn kind(&self) -> ErrorKind {
        match self.primary_code() {
            // The last one: a race for the log's index that went on for too long.
            ffi::SQLITE_BUSY | ffi::SQLITE_LOCKED | ffi::SQLITE_PROTOCOL => ErrorKind::Busy,
            ffi::SQLITE_FULL => ErrorKind::Full,
            ffi::SQLITE_IOERR => ErrorKind::Io,
            ffi::SQLITE_CANTOPEN => ErrorKind::CannotOpen,
            ffi::SQLITE_READONLY | ffi::SQLITE_PERM => ErrorKind::ReadOnly,
            ffi::SQLITE_CORRUPT | ffi::SQLITE_NOTADB => ErrorKind::Corrupt,
            ffi::SQLITE_CONSTRAINT => ErrorKind::Constraint,
            ffi::SQLITE_NOMEM => ErrorKind::Memory,
            _ => ErrorKind::Usage,
        }
    }

    /// Whether another connection was in the way.
    pub fn is_busy(&self) -> bool {
        self.kind() == ErrorKind::Busy
    }

    /// An error of this crate's own, in SQLite's terms.
    pub(crate) fn new(code: c_int, message: impl Into<String>) -> Error {
        Error { code, errno: 0, message: message.into() }
    }

    /// The error of a call that returned `code` and left nothing behind to ask.
    pub(crate) fn of_code(code: c_int) -> Error {
        // SAFETY: SQLite returns a string of its own that lives for ever, for any code.
        let words = unsafe { CStr::from_ptr(ffi::sqlite3_errstr(code)) };
        Error::new(code, words.to_string_lossy())
    }

    /// The error of the call that failed last on a connection.
    ///
    /// # Safety
    ///
    /// `db` is a connection that is not closed, and not in use elsewhere.
    pub(crate) unsafe fn of_connection(db: *mut ffi::sqlite3, errno: c_int) -> Error {
        // SAFETY: as the caller promises; the message is copied before the next call.
        let (code, words) =
            unsafe { (ffi::sqlite3_extended_errcode(db), CStr::from_ptr(ffi::sqlite3_errmsg(db))) };
        // Other failures do not come from the disk, whose last error may be an old one.
        let of_disk =
            matches!(code & 0xff, ffi::SQLITE_IOERR | ffi::SQLITE_FULL | ffi::SQLITE_CANTOPEN);
        let errno = if of_disk { errno } else { 0 };
        Error { code, errno, message: words.to_string_lossy().into_owned() }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (SQLite's code {})", self.message, self.code)?;
        match self.errno() {
            Some(errno) => write!(f, ", errno {errno}"),
            None => Ok(()),
        }
    }
}

impl error::Error for Error {}

//! SQLite's result codes for what a disk reports.

use std::ffi::c_int;
use std::io;

use libsqlite3_sys as ffi;

/// What a callback gives back to SQLite when a call of the disk failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// SQLite's code: a kind of `SQLITE_IOERR`, `SQLITE_FULL`, `SQLITE_BUSY` and so on.
    pub code: c_int,
    /// The errno behind it, 0 when there is none.
    pub errno: c_int,
}

/// The result of what a callback does.
pub(crate) type Outcome<T = ()> = Result<T, Failure>;

impl Failure {
    /// A failure without an errno: the adapter itself says no.
    pub(crate) fn of(code: c_int) -> Self {
        Failure { code, errno: 0 }
    }

    /// The disk failed while SQLite asked for what `code` stands for. A full device has a code of
    /// its own, whatever was asked for, because SQLite's callers can act on it.
    pub(crate) fn disk(code: c_int, error: &io::Error) -> Self {
        let full = matches!(
            error.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::WriteZero | io::ErrorKind::QuotaExceeded
        );
        Failure {
            code: if full { ffi::SQLITE_FULL } else { code },
            errno: error.raw_os_error().unwrap_or(0),
        }
    }
}

/// Whether the file system refuses writes, so that opening for reading alone may still work.
pub(crate) fn is_read_only(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_device_has_its_own_code() {
        let error = io::Error::from_raw_os_error(libc::ENOSPC);
        let failure = Failure::disk(ffi::SQLITE_IOERR_WRITE, &error);
        assert_eq!(failure, Failure { code: ffi::SQLITE_FULL, errno: libc::ENOSPC });
    }

    #[test]
    fn other_errors_keep_the_code_of_the_call() {
        let error = io::Error::from_raw_os_error(libc::EIO);
        let failure = Failure::disk(ffi::SQLITE_IOERR_FSYNC, &error);
        assert_eq!(failure, Failure { code: ffi::SQLITE_IOERR_FSYNC, errno: libc::EIO });
    }
}

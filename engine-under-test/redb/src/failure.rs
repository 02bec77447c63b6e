//! redb's many errors as what a caller can do about them.

use std::io;

/// Why redb refused or could not finish a call.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// A call of the disk failed. What reached it is unknown; redb takes nothing more until it is
    /// opened again.
    #[error("the disk failed: {0}")]
    Disk(#[source] io::Error),
    /// What is in the file is not what redb wrote.
    #[error("corrupt: {0}")]
    Corrupt(String),
    /// redb stopped after an earlier failure. Open it again.
    #[error("stopped: {0}")]
    Stopped(String),
    /// redb does not do this: a limit, a lock that somebody holds, a transaction that is still alive.
    #[error("refused: {0}")]
    Refused(String),
}

impl<E: Into<redb::Error>> From<E> for Failure {
    fn from(error: E) -> Failure {
        use redb::Error;
        match error.into() {
            Error::Io(error) => from_io(error),
            Error::Corrupted(what) => Failure::Corrupt(what),
            error @ (Error::PreviousIo | Error::DatabaseClosed | Error::LockPoisoned(_)) => {
                Failure::Stopped(error.to_string())
            }
            error => Failure::Refused(error.to_string()),
        }
    }
}

/// redb tells of a file that is none of its own by an I/O error of these kinds.
fn from_io(error: io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
            Failure::Corrupt(error.to_string())
        }
        _ => Failure::Disk(error),
    }
}

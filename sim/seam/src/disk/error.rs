//! Errors of a real disk: the errno that an engine decides by, and the operation and path that a person
//! needs.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// What a call of a [`StdDisk`](super::StdDisk) failed of.
///
/// It travels inside an `io::Error` of the errno's kind. Such an error has no `raw_os_error`, for std
/// keeps either a number or a payload: ask [`errno`], which knows both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskError {
    errno: i32,
    operation: &'static str,
    path: PathBuf,
    target: Option<PathBuf>,
}

/// The errno of an error of any disk, real or simulated.
#[must_use]
pub fn errno(error: &io::Error) -> Option<i32> {
    error.raw_os_error().or_else(|| {
        let inner = error.get_ref()?.downcast_ref::<DiskError>()?;
        Some(inner.errno)
    })
}

impl DiskError {
    /// The number that the system returned.
    #[must_use]
    pub fn errno(&self) -> i32 {
        self.errno
    }

    /// The call that failed, in the words of [`Disk`](super::Disk) and [`File`](super::File).
    #[must_use]
    pub fn operation(&self) -> &'static str {
        self.operation
    }

    /// The file or directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The new name, for a rename.
    #[must_use]
    pub fn target(&self) -> Option<&Path> {
        self.target.as_deref()
    }

    /// Puts operation and path to an error of the system.
    pub(super) fn wrap(error: &io::Error, operation: &'static str, path: &Path) -> io::Error {
        DiskError::wrap_two(error, operation, path, None)
    }

    /// Puts operation and both paths to an error of the system.
    pub(super) fn wrap_two(
        error: &io::Error,
        operation: &'static str,
        path: &Path,
        target: Option<&Path>,
    ) -> io::Error {
        // What std refuses by itself (a NUL in a path) never reached the system: it is EINVAL as well.
        let errno = error.raw_os_error().unwrap_or(libc::EINVAL);
        let kind = io::Error::from_raw_os_error(errno).kind();
        let (path, target) = (path.to_owned(), target.map(Path::to_owned));
        io::Error::new(kind, DiskError { errno, operation, path, target })
    }
}

impl fmt::Display for DiskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.operation, self.path.display())?;
        if let Some(target) = &self.target {
            write!(f, " to {}", target.display())?;
        }
        write!(f, ": {}", io::Error::from_raw_os_error(self.errno))
    }
}

impl Error for DiskError {}

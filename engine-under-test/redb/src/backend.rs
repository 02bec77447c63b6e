//! redb's `StorageBackend` over one file of the seam's disk.

use std::fmt;
use std::io;
use std::ops::Bound;
use std::sync::Arc;

use falconry_seam::disk::{File, LockKind};
use redb::{BackendError, StorageBackend};

/// One file, as redb sees it: no short reads, no short writes, no interrupted calls.
pub struct Backend {
    file: Arc<dyn File>,
    name: String,
}

impl Backend {
    /// Puts redb on `file`; `name` is for messages alone.
    pub fn new(file: Arc<dyn File>, name: impl Into<String>) -> Backend {
        Backend { file, name: name.into() }
    }

    /// Takes the file's advisory lock. It covers the whole file, which is one of the levels of support
    /// that redb knows; the modes that share a file between processes want more.
    fn try_lock(
        &self,
        start: Bound<u64>,
        end: Bound<u64>,
        kind: LockKind,
    ) -> Result<bool, BackendError> {
        if !is_whole(start, end) {
            return Err(BackendError::Unsupported);
        }
        Ok(self.file.try_lock(kind)?)
    }
}

impl fmt::Debug for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backend").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Whether a range of bytes is the whole file, in the two forms in which redb writes it.
fn is_whole(start: Bound<u64>, end: Bound<u64>) -> bool {
    matches!(start, Bound::Unbounded | Bound::Included(0)) && end == Bound::Unbounded
}

impl StorageBackend for Backend {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(out, offset)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.file.write_all_at(data, offset)
    }

    fn close(&self) -> io::Result<()> {
        self.file.unlock()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.try_lock(start, end, LockKind::Exclusive)
    }

    fn try_lock_shared_range(
        &self,
        start: Bound<u64>,
        end: Bound<u64>,
    ) -> Result<bool, BackendError> {
        self.try_lock(start, end, LockKind::Shared)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        if !is_whole(start, end) {
            return Err(BackendError::Unsupported);
        }
        Ok(self.file.unlock()?)
    }
}

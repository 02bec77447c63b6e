//! The door to the disk: two traits that an engine is handed, and their real implementation.
//!
//! A [`Disk`] is one directory tree. Paths are relative to its root, use `/` and name no parent. The
//! calls and their guarantees are those of a POSIX file system, no more: a write is durable after a
//! sync of its file, a name is durable after a sync of its directory.

#[cfg(target_os = "linux")]
mod device;
mod error;
#[cfg(target_os = "linux")]
mod std_disk;

pub use error::{DiskError, errno};
#[cfg(target_os = "linux")]
pub use std_disk::StdDisk;

use std::io;
use std::path::Path;
use std::sync::Arc;

/// How a file is opened.
///
/// The default opens an existing file for reading.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpenOptions {
    /// Reads are allowed.
    pub read: bool,
    /// Writes, truncation and allocation are allowed.
    pub write: bool,
    /// Creates the file when it is absent.
    pub create: bool,
    /// Creates the file, and fails with `AlreadyExists` when the name is taken.
    pub create_new: bool,
    /// Cuts an existing file to length zero.
    pub truncate: bool,
    /// Goes past the page cache (`O_DIRECT`): offsets and lengths are whole sectors.
    pub direct: bool,
    /// A write returns after its own bytes are durable (`O_DSYNC`); it promotes no other write.
    pub dsync: bool,
}

impl OpenOptions {
    /// Reading an existing file.
    pub const READ: OpenOptions = OpenOptions {
        read: true,
        write: false,
        create: false,
        create_new: false,
        truncate: false,
        direct: false,
        dsync: false,
    };
    /// Reading and writing an existing file.
    pub const READ_WRITE: OpenOptions = OpenOptions { write: true, ..OpenOptions::READ };
    /// Reading and writing, creating the file when it is absent.
    pub const CREATE: OpenOptions = OpenOptions { create: true, ..OpenOptions::READ_WRITE };
    /// Reading and writing a file that must not exist yet.
    pub const CREATE_NEW: OpenOptions = OpenOptions { create_new: true, ..OpenOptions::READ_WRITE };
}

/// What [`Disk::metadata`] tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// Length in bytes; 0 for a directory.
    pub len: u64,
    /// Whether the name is a directory.
    pub is_dir: bool,
    /// Creation time as the wall clock had it, in nanoseconds since 1970; 0 where unknown.
    pub created_ns: u64,
}

/// How strong an advisory lock is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockKind {
    /// Many holders, none of them exclusive.
    Shared,
    /// One holder.
    Exclusive,
}

/// One directory tree on one device.
///
/// Errors are `std::io::Error` with a real errno, which [`errno`] reads; the name of the file is the
/// caller's to add unless the implementation says that it does ([`StdDisk`] does).
pub trait Disk: Send + Sync {
    /// Opens a file. A new name is durable only after [`Disk::sync_dir`] of its directory.
    fn open(&self, path: &Path, options: &OpenOptions) -> io::Result<Arc<dyn File>>;

    /// Gives `from` the name `to`, replacing what had it, at once for every reader.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file's name; open handles keep working.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Length and kind of a name; `NotFound` when there is none.
    fn metadata(&self, path: &Path) -> io::Result<Metadata>;

    /// The names in a directory, sorted by their bytes, without `.` and `..`.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;

    /// Creates a directory whose parent exists.
    fn create_dir(&self, path: &Path) -> io::Result<()>;

    /// Removes an empty directory.
    fn remove_dir(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in a directory durable. The root is the empty path.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;

    /// Bytes of one sector, as the device tells it: the unit of alignment for direct writes.
    fn sector_size(&self) -> u32;

    /// Bytes of an aligned write that the device promises not to tear at power loss.
    fn atomic_unit(&self) -> u32;

    /// Whether a name exists.
    fn exists(&self, path: &Path) -> io::Result<bool> {
        match self.metadata(path) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// An open file. Positional calls only: a handle has no cursor and may be shared by threads.
pub trait File: Send + Sync {
    /// Reads at `offset` and returns how many bytes came: fewer than asked at the end of the file, or
    /// for no reason at all.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes at `offset` and returns how many bytes went, which may be fewer than asked.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize>;

    /// Makes all completed writes, and the length needed to read them, durable.
    fn sync_data(&self) -> io::Result<()>;

    /// As [`File::sync_data`], with all metadata of the file.
    fn sync_all(&self) -> io::Result<()>;

    /// Length in bytes.
    fn len(&self) -> io::Result<u64>;

    /// Cuts or extends the file; new bytes read as zero.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// Reserves space, so that later writes in the range do not fail for want of it; extends the file
    /// with zeros where the range passes its end.
    fn allocate(&self, offset: u64, len: u64) -> io::Result<()>;

    /// Tries to take the file's advisory lock; `false` when another handle holds it. A lock that is
    /// held is changed to `kind`. It goes with the handle, and with the process.
    fn try_lock(&self, kind: LockKind) -> io::Result<bool>;

    /// Gives the advisory lock back.
    fn unlock(&self) -> io::Result<()>;

    /// Reads exactly `buffer.len()` bytes, calling again after short reads and `EINTR`.
    ///
    /// # Errors
    ///
    /// `UnexpectedEof` when the file ends first; what of the buffer was filled is unspecified.
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let mut done = 0;
        while done < buffer.len() {
            match self.read_at(&mut buffer[done..], offset + done as u64) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => done += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Writes all of `bytes`, calling again after short writes and `EINTR`.
    ///
    /// # Errors
    ///
    /// `WriteZero` when the disk takes nothing more. A prefix may have been written.
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut done = 0;
        while done < bytes.len() {
            match self.write_at(&bytes[done..], offset + done as u64) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => done += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Whether the file is empty.
    fn is_empty(&self) -> io::Result<bool> {
        self.len().map(|len| len == 0)
    }
}

//! A directory of the real file system as a [`Disk`].
//!
//! # Method
//!
//! One system call a call: `pread`, `pwrite`, `fdatasync`, `fsync`, `ftruncate`, `posix_fallocate`,
//! `rename`, `unlink`. A sync of a directory is an `fsync` of it. A call that fails is not repeated, a
//! sync above all, for its pages may be clean afterwards. (std repeats one that a signal interrupted;
//! reads, writes and allocations pass `EINTR` on.)
//!
//! Advisory locks are those of the open file description (`F_OFD_SETLK`): they belong to the handle and
//! not to the process, a change between shared and exclusive keeps the old lock if it fails, and they
//! also exclude programs that use the older process-wide kind. A shared lock needs a handle open for
//! reading, an exclusive one a handle open for writing.
//!
//! # Invariant
//!
//! Each error carries its errno, the operation and the path; [`errno`](super::errno) reads the first.

use std::fmt;
use std::fs;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use super::error::DiskError;
use super::{Disk, File, LockKind, Metadata, OpenOptions, device};

/// A directory of the real file system.
pub struct StdDisk {
    root: PathBuf,
    geometry: device::Geometry,
}

/// An open file of a [`StdDisk`].
struct StdFile {
    file: fs::File,
    path: PathBuf,
}

impl StdDisk {
    /// The directory `root`, which must exist.
    ///
    /// # Errors
    ///
    /// When `root` is no directory, or cannot be read.
    pub fn open(root: impl AsRef<Path>) -> io::Result<StdDisk> {
        let root = root.as_ref();
        let fail = |error: &io::Error| DiskError::wrap(error, "open", root);
        // The engine may change its working directory later.
        let root = root.canonicalize().map_err(|error| fail(&error))?;
        let directory = open_directory(&root).map_err(|error| fail(&error))?;
        let geometry = device::Geometry::of(&root, &directory);
        Ok(StdDisk { root, geometry })
    }

    /// The directory.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The real path of a name on this disk, which must stay below the root.
    fn real(&self, path: &Path, operation: &'static str) -> io::Result<PathBuf> {
        let inside = path.components().all(|part| matches!(part, Component::Normal(_)));
        if inside {
            return Ok(self.root.join(path));
        }
        Err(DiskError::wrap(&io::Error::from_raw_os_error(libc::EINVAL), operation, path))
    }

    /// Runs one call on the real path of `path` and names both in its error.
    fn call<R>(
        &self,
        operation: &'static str,
        path: &Path,
        f: impl FnOnce(&Path) -> io::Result<R>,
    ) -> io::Result<R> {
        let real = self.real(path, operation)?;
        f(&real).map_err(|error| DiskError::wrap(&error, operation, &real))
    }
}

impl fmt::Debug for StdDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StdDisk").field("root", &self.root).finish_non_exhaustive()
    }
}

impl Disk for StdDisk {
    fn open(&self, path: &Path, options: &OpenOptions) -> io::Result<Arc<dyn File>> {
        let mut flags = 0;
        if options.direct {
            flags |= libc::O_DIRECT;
        }
        if options.dsync {
            flags |= libc::O_DSYNC;
        }
        self.call("open", path, |real| {
            let file = fs::OpenOptions::new()
                .read(options.read)
                .write(options.write)
                .create(options.create)
                .create_new(options.create_new)
                .truncate(options.truncate)
                .custom_flags(flags)
                .open(real)?;
            // The system opens a directory for reading, and would fail only later.
            if file.metadata()?.is_dir() {
                return Err(io::Error::from_raw_os_error(libc::EISDIR));
            }
            Ok(Arc::new(StdFile { file, path: real.to_owned() }) as Arc<dyn File>)
        })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let (from, to) = (self.real(from, "rename")?, self.real(to, "rename")?);
        fs::rename(&from, &to)
            .map_err(|error| DiskError::wrap_two(&error, "rename", &from, Some(&to)))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.call("remove", path, |real| fs::remove_file(real))
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        self.call("metadata", path, |real| {
            let metadata = fs::metadata(real)?;
            let created = metadata.created().ok();
            let age = created.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
            Ok(Metadata {
                len: if metadata.is_dir() { 0 } else { metadata.len() },
                is_dir: metadata.is_dir(),
                created_ns: age.and_then(|age| u64::try_from(age.as_nanos()).ok()).unwrap_or(0),
            })
        })
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.call("list", dir, |real| {
            let mut names = Vec::new();
            for entry in fs::read_dir(real)? {
                let name = entry?.file_name();
                // A name that cannot be given back could not be opened either.
                let name = std::str::from_utf8(name.as_bytes())
                    .map_err(|_| io::Error::from_raw_os_error(libc::EILSEQ))?;
                names.push(name.to_owned());
            }
            names.sort_unstable();
            Ok(names)
        })
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.call("create_dir", path, |real| fs::create_dir(real))
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.call("remove_dir", path, |real| fs::remove_dir(real))
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.call("sync_dir", dir, |real| open_directory(real)?.sync_all())
    }

    fn sector_size(&self) -> u32 {
        self.geometry.sector_size
    }

    fn atomic_unit(&self) -> u32 {
        self.geometry.atomic_unit
    }
}

impl StdFile {
    fn fail(&self, operation: &'static str) -> impl Fn(io::Error) -> io::Error {
        move |error| DiskError::wrap(&error, operation, &self.path)
    }

    /// Sets or clears the lock of this open file description on the whole file.
    fn set_lock(&self, kind: libc::c_int) -> io::Result<()> {
        // SAFETY: `flock` is plain numbers, for which zeros are a value.
        let mut lock: libc::flock = unsafe { std::mem::zeroed() };
        lock.l_type = kind as libc::c_short;
        lock.l_whence = libc::SEEK_SET as libc::c_short;
        // Start 0 and length 0: from the beginning to wherever the end will be.
        // SAFETY: the descriptor is open as long as `self.file`, and `lock` outlives the call.
        let result =
            unsafe { libc::fcntl(self.file.as_raw_fd(), libc::F_OFD_SETLK, &raw mut lock) };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
}

impl File for StdFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buffer, offset).map_err(self.fail("read_at"))
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.file.write_at(bytes, offset).map_err(self.fail("write_at"))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data().map_err(self.fail("sync_data"))
    }

    fn sync_all(&self) -> io::Result<()> {
        self.file.sync_all().map_err(self.fail("sync_all"))
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata().map_err(self.fail("len"))?.len())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len).map_err(self.fail("set_len"))
    }

    fn allocate(&self, offset: u64, len: u64) -> io::Result<()> {
        let fail = |errno| self.fail("allocate")(io::Error::from_raw_os_error(errno));
        let (Ok(offset), Ok(len)) = (i64::try_from(offset), i64::try_from(len)) else {
            return Err(fail(libc::EFBIG));
        };
        // SAFETY: the descriptor is open as long as `self.file`; no memory is passed.
        match unsafe { libc::posix_fallocate(self.file.as_raw_fd(), offset, len) } {
            0 => Ok(()),
            errno => Err(fail(errno)),
        }
    }

    fn try_lock(&self, kind: LockKind) -> io::Result<bool> {
        let kind = match kind {
            LockKind::Shared => libc::F_RDLCK,
            LockKind::Exclusive => libc::F_WRLCK,
        };
        match self.set_lock(kind) {
            Ok(()) => Ok(true),
            Err(error) if matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EACCES)) => {
                Ok(false)
            }
            Err(error) => Err(self.fail("try_lock")(error)),
        }
    }

    fn unlock(&self) -> io::Result<()> {
        self.set_lock(libc::F_UNLCK).map_err(self.fail("unlock"))
    }
}

fn open_directory(path: &Path) -> io::Result<fs::File> {
    fs::OpenOptions::new().read(true).custom_flags(libc::O_DIRECTORY).open(path)
}

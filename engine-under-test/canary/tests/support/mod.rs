//! A disk of one directory in memory, on which a power cut loses what was not synced.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test stands outside of the run"
)]
#![allow(dead_code, reason = "each test file that includes this one uses another part of it")]

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use falconry_seam::disk::{Disk, File, LockKind, Metadata, OpenOptions};

/// What a file holds in the cache and on the platter, and whether its lock is taken.
#[derive(Default)]
struct Bytes {
    cached: Vec<u8>,
    durable: Vec<u8>,
    locked: bool,
}

type Inode = Arc<Mutex<Bytes>>;

#[derive(Default)]
struct Directory {
    names: BTreeMap<PathBuf, Inode>,
    durable_names: BTreeMap<PathBuf, Inode>,
    /// Every file there ever was, for those that lost their names.
    inodes: Vec<Inode>,
    calls: u64,
    /// Calls after which each call fails.
    calls_max: Option<u64>,
}

/// The disk. Clones are the same disk.
#[derive(Clone, Default)]
pub struct MemoryDisk {
    directory: Arc<Mutex<Directory>>,
}

struct MemoryFile {
    disk: MemoryDisk,
    bytes: Inode,
    holds_lock: Mutex<bool>,
}

impl MemoryDisk {
    /// The power goes: names and files are as their last sync left them. The disk works again.
    pub fn cut_power(&self) {
        let mut directory = lock(&self.directory);
        directory.names = directory.durable_names.clone();
        directory.calls_max = None;
        for inode in &directory.inodes {
            let mut file = lock(inode);
            file.cached = file.durable.clone();
            file.locked = false;
        }
    }

    /// The process is killed: only its locks are gone. The disk works again.
    pub fn crash_process(&self) {
        let mut directory = lock(&self.directory);
        directory.calls_max = None;
        directory.inodes.iter().for_each(|inode| lock(inode).locked = false);
    }

    /// From now on `count` calls succeed, and then every call fails.
    pub fn fail_after(&self, count: u64) {
        let mut directory = lock(&self.directory);
        directory.calls_max = Some(directory.calls + count);
    }

    /// Calls so far.
    pub fn calls(&self) -> u64 {
        lock(&self.directory).calls
    }

    /// Changes a file's bytes behind the engine's back.
    pub fn edit(&self, path: &str, edit: impl FnOnce(&mut Vec<u8>)) {
        let file = lock(&self.directory).names[Path::new(path)].clone();
        let mut file = lock(&file);
        edit(&mut file.cached);
        file.durable = file.cached.clone();
    }

    fn call(&self) -> io::Result<MutexGuard<'_, Directory>> {
        let mut directory = lock(&self.directory);
        directory.calls += 1;
        match directory.calls_max {
            // 5 is EIO wherever there is an errno.
            Some(calls_max) if directory.calls > calls_max => Err(io::Error::from_raw_os_error(5)),
            _ => Ok(directory),
        }
    }
}

/// The lock of a test that failed is not poisoned for the destructors that still run.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Disk for MemoryDisk {
    fn open(&self, path: &Path, options: &OpenOptions) -> io::Result<Arc<dyn File>> {
        let mut directory = self.call()?;
        if !directory.names.contains_key(path) {
            if !options.create && !options.create_new {
                return Err(io::ErrorKind::NotFound.into());
            }
            let inode = Inode::default();
            directory.names.insert(path.into(), inode.clone());
            directory.inodes.push(inode);
        } else if options.create_new {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let bytes = directory.names[path].clone();
        if options.truncate {
            lock(&bytes).cached.clear();
        }
        Ok(Arc::new(MemoryFile { disk: self.clone(), bytes, holds_lock: Mutex::new(false) }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut directory = self.call()?;
        let inode = directory.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        directory.names.insert(to.into(), inode);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let removed = self.call()?.names.remove(path);
        removed.map(drop).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        let directory = self.call()?;
        let file = directory.names.get(path).ok_or(io::ErrorKind::NotFound)?;
        let len = lock(file).cached.len() as u64;
        Ok(Metadata { len, is_dir: false, created_ns: 0 })
    }

    fn list(&self, _: &Path) -> io::Result<Vec<String>> {
        Ok(self.call()?.names.keys().map(|path| path.display().to_string()).collect())
    }

    fn create_dir(&self, _: &Path) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn remove_dir(&self, _: &Path) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        let mut directory = self.call()?;
        directory.durable_names = directory.names.clone();
        Ok(())
    }

    fn sector_size(&self) -> u32 {
        512
    }

    fn atomic_unit(&self) -> u32 {
        512
    }
}

impl MemoryFile {
    fn bytes(&self) -> io::Result<MutexGuard<'_, Bytes>> {
        self.disk.call().map(drop)?;
        Ok(lock(&self.bytes))
    }
}

impl File for MemoryFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let file = self.bytes()?;
        let from = file.cached.len().min(offset as usize);
        // Half of what is asked for, so that a caller which trusts one call is found out.
        let count = buffer.len().div_ceil(2).min(file.cached.len() - from);
        buffer[..count].copy_from_slice(&file.cached[from..from + count]);
        Ok(count)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let mut file = self.bytes()?;
        let bytes = &bytes[..bytes.len().div_ceil(2)];
        let (from, to) = (offset as usize, offset as usize + bytes.len());
        let len = file.cached.len().max(to);
        file.cached.resize(len, 0);
        file.cached[from..to].copy_from_slice(bytes);
        Ok(bytes.len())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut file = self.bytes()?;
        file.durable = file.cached.clone();
        Ok(())
    }

    fn sync_all(&self) -> io::Result<()> {
        self.sync_data()
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.bytes()?.cached.len() as u64)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.bytes()?.cached.resize(len as usize, 0);
        Ok(())
    }

    fn allocate(&self, offset: u64, len: u64) -> io::Result<()> {
        self.set_len(self.len()?.max(offset + len))
    }

    fn try_lock(&self, _: LockKind) -> io::Result<bool> {
        let mut file = self.bytes()?;
        let mut holds_lock = lock(&self.holds_lock);
        let free = *holds_lock || !file.locked;
        if free {
            (*holds_lock, file.locked) = (true, true);
        }
        Ok(free)
    }

    fn unlock(&self) -> io::Result<()> {
        if std::mem::take(&mut *lock(&self.holds_lock)) {
            lock(&self.bytes).locked = false;
        }
        Ok(())
    }
}

impl Drop for MemoryFile {
    fn drop(&mut self) {
        self.unlock().expect("unlocking does not fail");
    }
}

//! A disk of one directory in memory, on which a power cut loses what was not synced.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test stands outside of the run"
)]

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use falconry_seam::disk::{Disk, File, LockKind, Metadata, OpenOptions};

/// What a file holds in the cache and on the platter, and whether its lock is taken.
#[derive(Default)]
struct Bytes {
    cached: Vec<u8>,
    durable: Vec<u8>,
    locked: bool,
}

/// The disk. Clones are the same disk.
#[derive(Clone, Default)]
pub struct MemoryDisk {
    files: Arc<Mutex<BTreeMap<PathBuf, Arc<Mutex<Bytes>>>>>,
}

struct MemoryFile {
    bytes: Arc<Mutex<Bytes>>,
    holds_lock: Mutex<bool>,
}

impl MemoryDisk {
    /// The power goes: every file is as its last sync left it.
    pub fn cut_power(&self) {
        for file in self.files.lock().expect("not poisoned").values() {
            let mut file = file.lock().expect("not poisoned");
            file.cached = file.durable.clone();
            file.locked = false;
        }
    }

    /// Changes a file's bytes behind the engine's back.
    pub fn edit(&self, path: &str, edit: impl FnOnce(&mut Vec<u8>)) {
        let files = self.files.lock().expect("not poisoned");
        let mut file = files[Path::new(path)].lock().expect("not poisoned");
        edit(&mut file.cached);
        file.durable = file.cached.clone();
    }
}

impl Disk for MemoryDisk {
    fn open(&self, path: &Path, options: &OpenOptions) -> io::Result<Arc<dyn File>> {
        let mut files = self.files.lock().expect("not poisoned");
        if !files.contains_key(path) && !options.create && !options.create_new {
            return Err(io::ErrorKind::NotFound.into());
        }
        let bytes = files.entry(path.into()).or_default().clone();
        Ok(Arc::new(MemoryFile { bytes, holds_lock: Mutex::new(false) }))
    }

    fn rename(&self, _: &Path, _: &Path) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let removed = self.files.lock().expect("not poisoned").remove(path);
        removed.map(drop).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        let files = self.files.lock().expect("not poisoned");
        let file = files.get(path).ok_or(io::ErrorKind::NotFound)?;
        let len = file.lock().expect("not poisoned").cached.len() as u64;
        Ok(Metadata { len, is_dir: false, created_ns: 0 })
    }

    fn list(&self, _: &Path) -> io::Result<Vec<String>> {
        let files = self.files.lock().expect("not poisoned");
        Ok(files.keys().map(|path| path.display().to_string()).collect())
    }

    fn create_dir(&self, _: &Path) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn remove_dir(&self, _: &Path) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn sync_dir(&self, _: &Path) -> io::Result<()> {
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
    fn bytes(&self) -> MutexGuard<'_, Bytes> {
        self.bytes.lock().expect("not poisoned")
    }
}

impl File for MemoryFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let file = self.bytes();
        let from = file.cached.len().min(offset as usize);
        let count = buffer.len().min(file.cached.len() - from);
        buffer[..count].copy_from_slice(&file.cached[from..from + count]);
        Ok(count)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let mut file = self.bytes();
        let (from, to) = (offset as usize, offset as usize + bytes.len());
        let len = file.cached.len().max(to);
        file.cached.resize(len, 0);
        file.cached[from..to].copy_from_slice(bytes);
        Ok(bytes.len())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut file = self.bytes();
        file.durable = file.cached.clone();
        Ok(())
    }

    fn sync_all(&self) -> io::Result<()> {
        self.sync_data()
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.bytes().cached.len() as u64)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.bytes().cached.resize(len as usize, 0);
        Ok(())
    }

    fn allocate(&self, offset: u64, len: u64) -> io::Result<()> {
        self.set_len(self.len()?.max(offset + len))
    }

    fn try_lock(&self, _: LockKind) -> io::Result<bool> {
        let mut holds_lock = self.holds_lock.lock().expect("not poisoned");
        let mut file = self.bytes();
        let free = *holds_lock || !file.locked;
        if free {
            (*holds_lock, file.locked) = (true, true);
        }
        Ok(free)
    }

    fn unlock(&self) -> io::Result<()> {
        let mut holds_lock = self.holds_lock.lock().expect("not poisoned");
        if std::mem::take(&mut *holds_lock) {
            self.bytes().locked = false;
        }
        Ok(())
    }
}

impl Drop for MemoryFile {
    fn drop(&mut self) {
        self.unlock().expect("unlocking does not fail");
    }
}

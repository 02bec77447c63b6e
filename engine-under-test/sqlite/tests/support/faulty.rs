//! A disk that fails at its N-th call, once or from then on.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use falconry_seam::disk::{Disk, File, LockKind, Metadata, OpenOptions};

/// What happens at the chosen call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It alone fails, with this errno.
    Once(i32),
    /// It and all later ones fail, with this errno.
    FromThen(i32),
    /// It transfers one byte, if it is a read or write.
    Short,
}

/// The decorator.
#[derive(Clone)]
pub struct FaultyDisk {
    under: Arc<dyn Disk>,
    plan: Arc<Plan>,
}

struct Plan {
    failure: Failure,
    at: u64,
    calls: AtomicU64,
}

struct FaultyFile {
    under: Arc<dyn File>,
    plan: Arc<Plan>,
}

impl FaultyDisk {
    /// Fails at call `at`, counted from 0.
    pub fn new(under: Arc<dyn Disk>, failure: Failure, at: u64) -> FaultyDisk {
        FaultyDisk { under, plan: Arc::new(Plan { failure, at, calls: AtomicU64::new(0) }) }
    }

    /// Whether the chosen call was reached.
    pub fn failed(&self) -> bool {
        self.plan.calls.load(Ordering::Relaxed) > self.plan.at
    }
}

impl Plan {
    /// Counts a call, which may fail.
    fn call(&self) -> io::Result<()> {
        self.transfer(usize::MAX).map(drop)
    }

    /// Counts a transfer, and says how many of `bytes` it may move.
    fn transfer(&self, bytes: usize) -> io::Result<usize> {
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        match self.failure {
            Failure::Once(errno) if call == self.at => Err(io::Error::from_raw_os_error(errno)),
            Failure::FromThen(errno) if call >= self.at => Err(io::Error::from_raw_os_error(errno)),
            Failure::Short if call == self.at => Ok(bytes.min(1)),
            _ => Ok(bytes),
        }
    }
}

impl Disk for FaultyDisk {
    fn open(&self, path: &Path, options: &OpenOptions) -> io::Result<Arc<dyn File>> {
        self.plan.call()?;
        let under = self.under.open(path, options)?;
        Ok(Arc::new(FaultyFile { under, plan: Arc::clone(&self.plan) }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.plan.call()?;
        self.under.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.plan.call()?;
        self.under.remove(path)
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        self.plan.call()?;
        self.under.metadata(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.plan.call()?;
        self.under.list(dir)
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.plan.call()?;
        self.under.create_dir(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.plan.call()?;
        self.under.remove_dir(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.plan.call()?;
        self.under.sync_dir(dir)
    }

    fn sector_size(&self) -> u32 {
        self.under.sector_size()
    }

    fn atomic_unit(&self) -> u32 {
        self.under.atomic_unit()
    }
}

impl File for FaultyFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let count = self.plan.transfer(buffer.len())?;
        self.under.read_at(&mut buffer[..count], offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let count = self.plan.transfer(bytes.len())?;
        self.under.write_at(&bytes[..count], offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.plan.call()?;
        self.under.sync_data()
    }

    fn sync_all(&self) -> io::Result<()> {
        self.plan.call()?;
        self.under.sync_all()
    }

    fn len(&self) -> io::Result<u64> {
        self.plan.call()?;
        self.under.len()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.plan.call()?;
        self.under.set_len(len)
    }

    fn allocate(&self, offset: u64, len: u64) -> io::Result<()> {
        self.plan.call()?;
        self.under.allocate(offset, len)
    }

    fn try_lock(&self, kind: LockKind) -> io::Result<bool> {
        self.plan.call()?;
        self.under.try_lock(kind)
    }

    fn unlock(&self) -> io::Result<()> {
        self.plan.call()?;
        self.under.unlock()
    }
}

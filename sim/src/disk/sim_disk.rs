//! The disk as an engine sees it: the model behind the seam's two traits.
//!
//! # Method
//!
//! A call is a scheduling point, a decision of the model, its time, and its end. The model is behind
//! a mutex that is never held while another task may run.
//!
//! # Invariant
//!
//! Once the power has gone every call fails with `EIO` and changes nothing. Dropping a file is no
//! scheduling point and cannot fail.

use std::io;
use std::path::Path;
use std::sync::Arc;

use falconry_seam::disk::{Disk, File, LockKind, Metadata, OpenOptions};
use falconry_seam::hook::{self, Clock};
use parking_lot::Mutex;

use super::calls::Begun;
use super::errors::errno;
use super::model::{DiskModel, Handle, Pending};
use super::platter::Platter;
use super::preset::DiskConfig;
use super::settle::Loss;
use crate::env::Env;
use crate::trace::DiskOp;

/// A simulated disk, shared by the tasks of one machine.
#[derive(Debug)]
pub struct SimDisk {
    model: Mutex<DiskModel>,
    myself: std::sync::Weak<SimDisk>,
}

impl SimDisk {
    /// An empty disk.
    pub fn new(config: DiskConfig) -> Arc<SimDisk> {
        Self::from_model(DiskModel::new(config))
    }

    /// A disk in the state of a model.
    pub fn from_model(model: DiskModel) -> Arc<SimDisk> {
        Arc::new_cyclic(|myself| SimDisk { model: Mutex::new(model), myself: myself.clone() })
    }

    /// Looks at the model, or changes it by hand; nothing else may be done with the disk meanwhile.
    pub fn with_model<R>(&self, f: impl FnOnce(&mut DiskModel) -> R) -> R {
        f(&mut self.model.lock())
    }

    /// The machine starts.
    pub fn boot(&self, env: &mut Env<'_>) {
        self.model.lock().boot(env);
    }

    /// The power goes: decides what is left of what was not synced.
    pub fn power_loss(&self, env: &mut Env<'_>) -> Loss {
        self.model.lock().power_loss(env)
    }

    /// The process is killed; the page cache stays.
    pub fn process_crash(&self, env: &mut Env<'_>) {
        self.model.lock().process_crash(env);
    }

    /// The durable state, sharing its pages.
    pub fn fork(&self) -> Platter {
        self.model.lock().fork()
    }

    /// Writes what the platter holds as real files below `host_dir`.
    ///
    /// # Errors
    ///
    /// Those of the host, with the path at which they came.
    pub fn export(&self, host_dir: &Path) -> io::Result<()> {
        self.fork().export(host_dir)
    }

    /// How many operations are not durable.
    pub fn pending(&self) -> Pending {
        self.model.lock().pending()
    }

    /// The durable bytes of a file; `None` if no durable name leads to it.
    pub fn durable(&self, path: &str) -> Option<Vec<u8>> {
        self.model.lock().durable(path)
    }

    /// The bytes that calls see in a file.
    pub fn cached(&self, path: &str) -> Option<Vec<u8>> {
        self.model.lock().cached(path)
    }

    /// One decision of the model on the running machine.
    fn decide<R>(
        &self,
        f: impl FnOnce(&mut DiskModel, &mut Env<'_>) -> io::Result<R>,
    ) -> io::Result<R> {
        crate::io::with_env(|env| f(&mut self.model.lock(), env))
            .unwrap_or_else(|| Err(errno(libc::EIO)))
    }

    /// A call that has no end of its own.
    fn call<R>(
        &self,
        op: DiskOp,
        f: impl FnOnce(&mut DiskModel, &mut Env<'_>) -> io::Result<Begun<R>>,
    ) -> io::Result<R> {
        crate::io::enter(op)?;
        let begun = self.decide(f)?;
        pass(begun.latency_ns)?;
        Ok(begun.value)
    }

    fn sync(&self, handle: Handle, op: DiskOp) -> io::Result<()> {
        let ticket = self.call(op, |model, env| model.sync(env, handle, op))?;
        self.decide(|model, env| model.sync_end(env, ticket))
    }
}

/// Lets a call's time pass. Even one that takes none fails when the power went at it.
fn pass(latency_ns: u64) -> io::Result<()> {
    crate::io::wait(latency_ns)
}

/// What a call that only moves bytes towards the platter returns. To a task that is being unwound a
/// failure is of no use: a destructor that panics on it would abort the process. It is told that all
/// is well, and nothing is done.
fn told<R>(result: io::Result<R>, well: R) -> io::Result<R> {
    if result.is_err() && crate::io::is_unwinding() { Ok(well) } else { result }
}

impl Disk for SimDisk {
    fn open(&self, path: &Path, options: &OpenOptions) -> io::Result<Arc<dyn File>> {
        crate::io::enter(DiskOp::Open)?;
        let wall_ns = hook::with_current(|machine| machine.clock_ns(Clock::Wall)).unwrap_or(0);
        let begun = self.decide(|model, env| model.open(env, path, options, wall_ns))?;
        let disk = self.myself.upgrade().expect("a disk that is called is alive");
        // From here on the handle closes itself, whatever comes.
        let file = Arc::new(SimFile { disk, handle: begun.value });
        pass(begun.latency_ns)?;
        Ok(file)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.call(DiskOp::Rename, |model, env| model.rename(env, from, to))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.call(DiskOp::Remove, |model, env| model.remove(env, path))
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        self.call(DiskOp::Metadata, |model, env| model.metadata(env, path))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.call(DiskOp::List, |model, env| model.list(env, dir))
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.call(DiskOp::CreateDir, |model, env| model.create_dir(env, path))
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.call(DiskOp::RemoveDir, |model, env| model.remove_dir(env, path))
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let ticket = self.call(DiskOp::SyncDir, |model, env| model.sync_dir(env, dir))?;
        self.decide(|model, env| model.sync_dir_end(env, ticket))
    }

    fn sector_size(&self) -> u32 {
        self.model.lock().sector_size()
    }

    fn atomic_unit(&self) -> u32 {
        self.model.lock().atomic_unit()
    }
}

/// An open file of a [`SimDisk`].
struct SimFile {
    disk: Arc<SimDisk>,
    handle: Handle,
}

impl File for SimFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.disk.call(DiskOp::Read, |model, env| model.read(env, self.handle, buffer, offset))
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let write = |model: &mut DiskModel, env: &mut Env<'_>| {
            let begun = model.write(env, self.handle, bytes, offset)?;
            // Most writes take no time: they end in the same decision.
            let ended = match begun.latency_ns {
                0 => Some(model.write_end(env, begun.value)?),
                _ => None,
            };
            Ok(Begun { value: (begun.value, ended), latency_ns: begun.latency_ns })
        };
        let written = self.disk.call(DiskOp::Write, write).and_then(|begun| match begun {
            (_, Some(count)) => Ok(count),
            (ticket, None) => self.disk.decide(|model, env| model.write_end(env, ticket)),
        });
        told(written, bytes.len())
    }

    fn sync_data(&self) -> io::Result<()> {
        told(self.disk.sync(self.handle, DiskOp::SyncData), ())
    }

    fn sync_all(&self) -> io::Result<()> {
        told(self.disk.sync(self.handle, DiskOp::SyncAll), ())
    }

    fn len(&self) -> io::Result<u64> {
        self.disk.call(DiskOp::Len, |model, env| model.len(env, self.handle))
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        told(self.disk.call(DiskOp::SetLen, |model, env| model.set_len(env, self.handle, len)), ())
    }

    fn allocate(&self, offset: u64, len: u64) -> io::Result<()> {
        self.disk.call(DiskOp::Allocate, |model, env| model.allocate(env, self.handle, offset, len))
    }

    fn try_lock(&self, kind: LockKind) -> io::Result<bool> {
        self.disk.call(DiskOp::Lock, |model, env| model.try_lock(env, self.handle, kind))
    }

    fn unlock(&self) -> io::Result<()> {
        self.disk.call(DiskOp::Unlock, |model, env| model.unlock(env, self.handle))
    }
}

impl Drop for SimFile {
    fn drop(&mut self) {
        self.disk.model.lock().close(self.handle);
    }
}

//! The state of a simulated disk, and what happens to it between calls.
//!
//! # Method
//!
//! The model knows no scheduler: a call that takes time is a beginning, which decides everything and
//! says how long it takes, and an end. Each operation takes what it needs of the machine as an
//! [`Env`], so that a test can drive it by hand.
//!
//! # Invariant
//!
//! An operation that is pending is in exactly one log; `pending_ops` counts them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;

use falconry_seam::disk::OpenOptions;

use super::errors::errno;
use super::file::{Flaw, Micro, Node, Op};
use super::names::{PendingNames, Tree};
use super::pages::{PAGE_BYTES, PagePool};
use super::platter::{FileId, Platter};
use super::preset::{DeviceRules, DiskConfig, FsRules};
use super::silent::Flushed;
use super::writeback::Ages;
use crate::choice::Label;
use crate::env::Env;
use crate::fault::Fault;
use crate::trace::{DiskOp, What};

/// An open file of a [`DiskModel`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Handle {
    pub(super) index: u32,
    pub(super) generation: u32,
}

impl Handle {
    /// As a key: no other handle of the disk has it, ever.
    pub(super) fn key(self) -> u64 {
        u64::from(self.generation) << 32 | u64::from(self.index)
    }
}

#[derive(Clone, Debug)]
pub(super) struct OpenFile {
    pub(super) generation: u32,
    pub(super) file: FileId,
    pub(super) options: OpenOptions,
    pub(super) open: bool,
}

/// How many operations are not durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pending {
    /// Page writes and changes of length.
    pub ops: u64,
    /// Changes of names.
    pub names: u64,
    /// Files that have any.
    pub files: u64,
}

/// What holds until the next boot.
#[derive(Clone, Debug, Default)]
pub(super) struct BootState {
    pub(super) read_only: bool,
    pub(super) gone: bool,
    pub(super) slow: bool,
    /// The controller's battery charges: nothing is cached on the way to the medium.
    pub(super) write_through: bool,
    /// Calls of the device begin no earlier.
    pub(super) busy_until_ns: u64,
}

/// A simulated disk.
#[derive(Clone, Debug)]
pub struct DiskModel {
    pub(super) config: DiskConfig,
    pub(super) fs: FsRules,
    pub(super) device: DeviceRules,
    pub(super) platter: Platter,
    pub(super) tree: Tree,
    pub(super) pending_names: PendingNames,
    pub(super) nodes: BTreeMap<FileId, Node>,
    pub(super) handles: Vec<OpenFile>,
    pub(super) free_handles: Vec<u32>,
    pub(super) pool: PagePool,
    pub(super) next_seq: u64,
    pub(super) next_call: u64,
    pub(super) next_file: FileId,
    /// Operations that are not durable, of all files.
    pub(super) pending_ops: u64,
    /// Files with such operations.
    pub(super) dirty: BTreeSet<FileId>,
    /// Files with operations in the device's cache.
    pub(super) in_device: BTreeSet<FileId>,
    pub(super) boot: BootState,
    /// What comes to the platter by time.
    pub(super) ages: Ages,
    /// Writes that were flushed not long ago, for the faults that undo such.
    pub(super) flushed: VecDeque<Flushed>,
    /// Earlier states of the platter, for the fault that brings one back.
    pub(super) images: VecDeque<Platter>,
    pub(super) syncs: u64,
    /// The page cache is empty: nothing has been read since the power came.
    pub(super) cold: bool,
    /// Whole writes of a sync that reached the platter before the power went in it, in this life.
    pub(super) cut_survivors: u64,
}

impl Drop for DiskModel {
    // What a run has written the next one writes over.
    fn drop(&mut self) {
        self.give_pages();
        self.pool.leave();
    }
}

impl DiskModel {
    /// An empty disk.
    pub fn new(config: DiskConfig) -> Self {
        Self::from_platter(config, Platter::new())
    }

    /// A disk that holds `platter`, and nothing in its caches.
    pub fn from_platter(config: DiskConfig, platter: Platter) -> Self {
        let nodes: BTreeMap<FileId, Node> =
            platter.files.iter().map(|(id, file)| (*id, Node::from_platter(file))).collect();
        let next_file = platter.tree.nodes().chain(nodes.keys().copied()).max().unwrap_or(0) + 1;
        DiskModel {
            fs: config.fs.rules(),
            device: config.device.rules(),
            config,
            tree: platter.tree.clone(),
            platter,
            pending_names: PendingNames::new(),
            nodes,
            handles: Vec::new(),
            free_handles: Vec::new(),
            pool: PagePool::take_spare(),
            next_seq: 0,
            next_call: 0,
            next_file,
            pending_ops: 0,
            dirty: BTreeSet::new(),
            in_device: BTreeSet::new(),
            boot: BootState::default(),
            ages: Ages::default(),
            flushed: VecDeque::new(),
            images: VecDeque::new(),
            syncs: 0,
            cold: true,
            cut_survivors: 0,
        }
    }

    /// Gives back all pages that nobody else holds.
    fn give_pages(&mut self) {
        let pool = &mut self.pool;
        for flushed in std::mem::take(&mut self.flushed) {
            flushed.data.give_to(pool);
        }
        for node in std::mem::take(&mut self.nodes).into_values() {
            node.give_to(pool);
        }
        for image in std::mem::take(&mut self.images) {
            image.give_to(pool);
        }
        std::mem::replace(&mut self.platter, Platter::new()).give_to(pool);
    }

    /// What the disk is.
    pub fn config(&self) -> &DiskConfig {
        &self.config
    }

    /// The durable state, sharing its pages: cheap, and unmoved by what follows.
    pub fn fork(&self) -> Platter {
        self.platter.clone()
    }

    /// How many operations are not durable.
    pub fn pending(&self) -> Pending {
        Pending {
            ops: self.pending_ops,
            names: self.pending_names.len() as u64,
            files: self.dirty.len() as u64,
        }
    }

    /// The durable bytes of a file; `None` if no durable name leads to it.
    pub fn durable(&self, path: &str) -> Option<Vec<u8>> {
        self.platter.read(path)
    }

    /// The bytes that calls see in a file.
    pub fn cached(&self, path: &str) -> Option<Vec<u8>> {
        let node = self.nodes.get(&self.tree.lookup(path)?)?;
        let mut bytes = vec![0; node.len as usize];
        node.read(0, &mut bytes);
        Some(bytes)
    }

    /// Bytes of one sector, as the device tells it.
    pub fn sector_size(&self) -> u32 {
        self.device.sector_bytes
    }

    /// Bytes of an aligned write that the device says it does not tear.
    pub fn atomic_unit(&self) -> u32 {
        self.device.atomic_bytes
    }

    /// The process is killed: handles, locks and files without a name go; the page cache stays.
    pub fn process_crash(&mut self, _env: &mut Env<'_>) {
        self.forget_survivors();
        self.close_all();
    }

    /// Unsynced writes that are on the platter already are those of one life.
    pub(super) fn forget_survivors(&mut self) {
        self.cut_survivors = 0;
        self.nodes.values_mut().for_each(|node| node.written_back = 0);
    }

    pub(super) fn close_all(&mut self) {
        self.free_handles.clear();
        for (index, handle) in self.handles.iter_mut().enumerate() {
            if std::mem::take(&mut handle.open) {
                handle.generation += 1;
            }
            self.free_handles.push(index as u32);
        }
        for node in self.nodes.values_mut() {
            node.handles = 0;
            node.locks.clear();
            node.in_flight.clear();
        }
        self.sweep();
    }

    /// Forgets files that nothing can lead to any more.
    pub(super) fn sweep(&mut self) {
        if self.nodes.is_empty() {
            return;
        }
        let mut reached: BTreeSet<FileId> = self.tree.nodes().collect();
        reached.extend(self.platter.tree.nodes());
        reached.extend(self.pending_names.iter().map(|pending| pending.change.node()));
        let mut gone_ops = 0;
        self.nodes.retain(|id, node| {
            let keep = node.handles > 0 || reached.contains(id);
            gone_ops += if keep { 0 } else { node.live };
            keep
        });
        self.pending_ops -= gone_ops;
        let nodes = &self.nodes;
        self.platter.files.retain(|id, _| nodes.contains_key(id));
        self.dirty.retain(|id| nodes.contains_key(id));
        self.in_device.retain(|id| nodes.contains_key(id));
    }

    /// The open file behind a handle.
    #[inline]
    pub(super) fn opened(&self, handle: Handle) -> io::Result<&OpenFile> {
        match self.handles.get(handle.index as usize) {
            Some(open) if open.open && open.generation == handle.generation => Ok(open),
            _ => Err(errno(libc::EBADF)),
        }
    }

    /// One draw for what goes wrong with a call. A device that is gone fails it.
    #[inline]
    pub(super) fn draw_fault(
        &mut self,
        env: &mut Env<'_>,
        among: &[Fault],
        file: FileId,
    ) -> io::Result<Option<Fault>> {
        self.age(env);
        let fault = env.faults.pick(env.choices, Label::DISK_OP, among);
        if self.boot.gone {
            return Err(errno(libc::EIO));
        }
        if fault == Some(Fault::DeviceGone) {
            self.boot.gone = true;
            delivered(env, Fault::DeviceGone, 0, 0, 0);
            return Err(errno(libc::EIO));
        }
        if fault == Some(Fault::ReadOnly) && !self.boot.read_only {
            self.boot.read_only = true;
            delivered(env, Fault::ReadOnly, file, 0, 0);
        }
        Ok(fault)
    }

    /// A call that changes something; `EROFS` on a read-only file system.
    #[inline]
    pub(super) fn writable(&self) -> io::Result<()> {
        if self.boot.read_only { Err(errno(libc::EROFS)) } else { Ok(()) }
    }

    #[inline]
    pub(super) fn new_call(&mut self) -> u64 {
        self.next_call += 1;
        self.next_call
    }

    /// Brings one operation to the platter. It has been taken out of its log.
    pub(super) fn commit(&mut self, env: &mut Env<'_>, file: FileId, op: Op) {
        self.pending_ops -= 1;
        let data = match op.micro {
            Micro::Done => unreachable!("operation {} is done", op.seq),
            Micro::Size { to, .. } => {
                self.platter.file(file).set_len(to, &mut self.pool);
                return;
            }
            Micro::Data(data) => data,
        };
        match op.flaw {
            Flaw::None => {
                if self.keeps_flushed(env) {
                    self.keep_flushed(file, &data);
                }
                self.platter.file(file).apply(data, &mut self.pool);
            }
            Flaw::Phantom => {
                delivered(env, Fault::PhantomWrite, file, data.offset(), data.len());
            }
            Flaw::Misdirected(other, page) => {
                delivered(env, Fault::MisdirectedWrite, file, data.offset(), data.len());
                // The victim may be gone by now; then only the intended place suffers.
                if let Some(victim) = self.platter.files.get_mut(&other) {
                    victim.put(page, data.mask, Some(&data.after), &mut self.pool);
                }
            }
        }
    }

    /// After operations of a file are done: the log is trimmed, the sets of files are right again.
    #[inline]
    pub(super) fn tidy(&mut self, file: FileId) {
        if let Some(node) = self.nodes.get_mut(&file) {
            node.trim();
            if node.live == 0 {
                self.dirty.remove(&file);
                self.in_device.remove(&file);
            }
        }
    }

    /// The capacity, while `enospc` may come at all.
    pub(super) fn capacity(&self, env: &Env<'_>) -> Option<u64> {
        self.config.capacity_bytes.filter(|_| env.faults.rate_ppm(Fault::Enospc) > 0)
    }

    /// Whether more was taken into the cache than there is space for.
    pub(super) fn is_overfull(&self, env: &Env<'_>) -> bool {
        self.capacity(env).is_some_and(|capacity| self.used_bytes() > capacity)
    }

    /// Bytes that files take, as far as the capacity counts them.
    pub(super) fn used_bytes(&self) -> u64 {
        self.nodes.values().map(|node| node.pages_used * PAGE_BYTES as u64).sum()
    }
}

/// Counts a fault that took effect, and says so in the trace.
pub(super) fn delivered(env: &mut Env<'_>, fault: Fault, file: FileId, offset: u64, len: u64) {
    env.faults.deliver(fault);
    env.trace.event(None, What::Fault { fault, file, offset, len });
}

/// A call in the trace.
#[inline]
pub(super) fn traced<T>(
    env: &mut Env<'_>,
    op: DiskOp,
    file: FileId,
    offset: u64,
    len: u64,
    result: io::Result<T>,
) -> io::Result<T> {
    let errno = match &result {
        Ok(_) => 0,
        Err(error) => error.raw_os_error().unwrap_or(libc::EIO),
    };
    env.trace.event(None, What::Disk { op, file, offset, len, errno });
    result
}

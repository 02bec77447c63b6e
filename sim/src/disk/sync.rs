//! Syncs: how pending operations reach the platter.
//!
//! # Method
//!
//! A sync covers what had completed when it was submitted. At its end it brings those operations to
//! the platter one by one, in the order of the calls; the power may go between any two of them. Then
//! the device is flushed, and with it what other files have in the device's cache.
//!
//! # Invariant
//!
//! A sync that says success has brought everything it covers to the platter, unless a fault that is
//! named in the contract took it.

use std::collections::BTreeSet;
use std::io;

use super::calls::{Begun, WriteTicket};
use super::errors::{SYNC, SYNC_DIR, errno};
use super::file::{Micro, Op, Stage};
use super::latency::Kind;
use super::model::{DiskModel, Handle, delivered, traced};
use super::names::PendingNames;
use super::platter::FileId;
use crate::env::Env;
use crate::fault::Fault;
use crate::trace::DiskOp;

/// A sync that was submitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncTicket {
    op: DiskOp,
    pub(super) file: FileId,
    /// Operations from this one on are not covered.
    pub(super) upto: u64,
    /// Calls that had not returned.
    in_flight: Vec<u64>,
    /// Its number within the boot.
    sync: u64,
    fault: Option<Fault>,
}

impl DiskModel {
    /// Submits a sync of a file; [`DiskModel::sync_end`] follows when its time has passed.
    pub fn sync(
        &mut self,
        env: &mut Env<'_>,
        handle: Handle,
        op: DiskOp,
    ) -> io::Result<Begun<SyncTicket>> {
        let file = self.opened(handle)?.file;
        match self.sync_inner(env, file, op) {
            Ok(begun) => Ok(begun),
            Err(error) => traced(env, op, file, 0, 0, Err(error)),
        }
    }

    fn sync_inner(
        &mut self,
        env: &mut Env<'_>,
        file: FileId,
        op: DiskOp,
    ) -> io::Result<Begun<SyncTicket>> {
        let sync = env.power.sync_begins();
        let fault = self.draw_fault(env, SYNC, file)?;
        let node = &self.nodes[&file];
        if self.boot.read_only && node.live > 0 {
            return Err(errno(libc::EROFS));
        }
        let (pages, in_flight) = (node.live, node.in_flight.clone());
        let latency_ns = self.latency(env, fault, file, Kind::Flush(pages));
        let ticket = SyncTicket { op, file, upto: self.next_seq, in_flight, sync, fault };
        Ok(Begun { value: ticket, latency_ns })
    }

    /// The time of a sync has passed: what it covers reaches the platter.
    pub fn sync_end(&mut self, env: &mut Env<'_>, ticket: SyncTicket) -> io::Result<()> {
        let file = ticket.file;
        let result = self.sync_end_inner(env, &ticket);
        self.tidy(file);
        self.syncs += 1;
        self.keep_image(env);
        traced(env, ticket.op, file, 0, 0, result)
    }

    fn sync_end_inner(&mut self, env: &mut Env<'_>, ticket: &SyncTicket) -> io::Result<()> {
        if self.boot.gone {
            return Err(errno(libc::EIO));
        }
        let Some(node) = self.nodes.get_mut(&ticket.file) else { return Ok(()) };
        let late = std::mem::take(&mut node.late_error);
        node.trim();
        let covered = node.covered(ticket.upto, &ticket.in_flight);
        let fault = match self.has_no_place(env, ticket.file, &covered) {
            true => Some(Fault::Enospc),
            false => ticket.fault,
        };
        let fate = self.sync_fault(env, fault, ticket, &covered);
        let (covered, result) = match fate {
            SyncFate::Fails(written, error) => (&covered[..written], Err(errno(error))),
            SyncFate::Keeps(written) => (&covered[..written], Ok(())),
        };
        self.commit_all(env, ticket.file, covered, Some(ticket.sync))?;
        if result.is_ok() {
            if fault != Some(Fault::LyingSync) {
                self.flush_device(env, ticket.upto);
            }
            self.keep_name(ticket.file);
            if let Some(node) = self.nodes.get_mut(&ticket.file) {
                node.written_back = 0;
            }
            if env.power.cuts_after(ticket.sync, covered.len() as u64 + 1) {
                return Err(errno(libc::EIO));
            }
        }
        self.sync_aftermath(fault, ticket.file, ticket.upto, &ticket.in_flight);
        if late {
            return Err(errno(libc::EIO));
        }
        result
    }

    /// Whether a sync must fail for want of space that no write had asked for yet.
    fn has_no_place(&self, env: &Env<'_>, file: FileId, covered: &[usize]) -> bool {
        if !self.is_overfull(env) {
            return false;
        }
        let there = self.platter.files.get(&file);
        let log = &self.nodes[&file].log;
        covered.iter().any(|index| match &log[*index].micro {
            Micro::Data(data) => there.is_none_or(|file| file.pages.get(data.page).is_none()),
            _ => false,
        })
    }

    /// Brings operations to the platter in their order, unless the power goes between two of them.
    fn commit_all(
        &mut self,
        env: &mut Env<'_>,
        file: FileId,
        ops: &[usize],
        sync: Option<u64>,
    ) -> io::Result<()> {
        let overtakes = self.overtakes(file, ops);
        if let Some(sync) = sync {
            let whole = self.first_whole(file, ops);
            env.power.reaches_platter(sync, ops.len() as u64, whole as u64);
        }
        let is_cut = sync.is_some() && env.power.in_sync == sync;
        let writes = if is_cut { self.writes_of(file, ops) } else { Vec::new() };
        for written in 0..=ops.len() {
            if sync.is_some_and(|sync| env.power.cuts_after(sync, written as u64)) {
                self.cut_survivors += self.whole_writes(file, &writes[..written]);
                return Err(errno(libc::EIO));
            }
            if let Some(index) = ops.get(written) {
                self.commit_at(env, file, *index, overtakes);
            }
        }
        Ok(())
    }

    /// After how many of these operations the first call with data is whole; 0 if none has data.
    fn first_whole(&self, file: FileId, ops: &[usize]) -> usize {
        let log = &self.nodes[&file].log;
        let first = ops.iter().find(|index| matches!(log[**index].micro, Micro::Data(_)));
        let call = first.map(|index| log[*index].call);
        ops.iter().rposition(|index| Some(log[*index].call) == call).map_or(0, |last| last + 1)
    }

    /// For each of these operations the write that it is a part of; a length is no write.
    fn writes_of(&self, file: FileId, ops: &[usize]) -> Vec<Option<u64>> {
        let log = &self.nodes[&file].log;
        let of = |index: &usize| match log[*index].micro {
            Micro::Data(_) => Some(log[*index].call),
            _ => None,
        };
        ops.iter().map(of).collect()
    }

    /// How many of these writes of a file have no part, nor their length, still pending.
    fn whole_writes(&self, file: FileId, writes: &[Option<u64>]) -> u64 {
        let log = self.nodes[&file].log.iter();
        let pending = log.filter(|op| !matches!(op.micro, Micro::Done)).map(|op| op.call);
        let pending: BTreeSet<u64> = pending.collect();
        let writes: BTreeSet<u64> = writes.iter().flatten().copied().collect();
        writes.difference(&pending).count() as u64
    }

    /// Whether older operations stay pending when these become durable.
    fn overtakes(&self, file: FileId, ops: &[usize]) -> bool {
        let Some(last) = ops.last() else { return false };
        let until = self.nodes[&file].log.iter().take(last + 1);
        until.filter(|op| !matches!(op.micro, Micro::Done)).count() != ops.len()
    }

    /// Brings the operation at `index` of a file's log to the platter.
    fn commit_at(&mut self, env: &mut Env<'_>, file: FileId, index: usize, overtakes: bool) {
        if overtakes {
            self.commit_older_sizes(env, file, index);
        }
        let node = self.nodes.get_mut(&file).expect("a file with operations has a node");
        // A length goes with the first operation that needs it.
        if matches!(node.log[index].micro, Micro::Done) {
            return;
        }
        let op = node.take(index);
        if overtakes {
            self.supersede(file, &op);
        }
        self.commit(env, file, op);
    }

    /// Lengths of a file never overtake each other, and data never overtakes a cut: those before it go
    /// first.
    fn commit_older_sizes(&mut self, env: &mut Env<'_>, file: FileId, index: usize) {
        let node = &self.nodes[&file];
        if node.cuts == 0 && !matches!(node.log[index].micro, Micro::Size { .. }) {
            return;
        }
        for older in 0..index {
            let node = self.nodes.get_mut(&file).expect("a file with operations has a node");
            if matches!(node.log[older].micro, Micro::Size { .. }) {
                let op = node.take(older);
                self.supersede(file, &op);
                self.commit(env, file, op);
            }
        }
    }

    /// An operation overtakes older ones that stay pending: they must not come back over it.
    fn supersede(&mut self, file: FileId, op: &Op) {
        let node = self.nodes.get_mut(&file).expect("a file with operations has a node");
        self.pending_ops -= match &op.micro {
            Micro::Data(data) => node.supersede(data.page, data.mask, op.seq),
            Micro::Size { to, cuts: true } => node.cut_older(*to, op.seq, &mut self.pool),
            _ => 0,
        };
    }

    /// The data of a direct write reaches the platter with the write itself.
    pub(super) fn commit_direct(&mut self, env: &mut Env<'_>, ticket: &WriteTicket) {
        let (file, call) = ticket.place();
        let own = |op: &Op| op.call == call && matches!(op.micro, Micro::Data(_));
        let own = self.find_ops(file, own);
        // Without a sync the power cannot go in between.
        let _ = self.commit_all(env, file, &own, None);
        self.tidy(file);
    }

    /// A write that is durable when it returns: its own bytes, and the length that shows them.
    pub(super) fn write_through(
        &mut self,
        env: &mut Env<'_>,
        ticket: &WriteTicket,
        sync: u64,
    ) -> io::Result<()> {
        let (file, call) = ticket.place();
        let own = self.find_ops(file, |op| op.call == call);
        let result = self.commit_all(env, file, &own, Some(sync));
        self.tidy(file);
        result
    }

    fn find_ops(&self, file: FileId, wanted: impl Fn(&Op) -> bool) -> Vec<usize> {
        let Some(node) = self.nodes.get(&file) else { return Vec::new() };
        let ops = node.log.iter().enumerate();
        ops.filter(|(_, op)| !matches!(op.micro, Micro::Done) && wanted(op))
            .map(|(index, _)| index)
            .collect()
    }

    /// Empties the device's cache of what completed before `upto`.
    pub(super) fn flush_device(&mut self, env: &mut Env<'_>, upto: u64) {
        let files: Vec<FileId> = self.in_device.iter().copied().collect();
        for file in files {
            let busy = self.nodes[&file].in_flight.clone();
            let cached = self.find_ops(file, |op| {
                op.stage == Stage::Device && op.seq < upto && !busy.contains(&op.call)
            });
            let _ = self.commit_all(env, file, &cached, None);
            self.tidy(file);
            if self.find_ops(file, |op| op.stage == Stage::Device).is_empty() {
                self.in_device.remove(&file);
            }
        }
    }

    /// Makes the name of a file durable with the file, where the file system does that. With names in
    /// order the older changes go first: they are one journal.
    fn keep_name(&mut self, file: FileId) {
        if !self.fs.sync_keeps_name {
            return;
        }
        let newest = self.pending_names.iter().rposition(|name| name.change.node() == file);
        if let Some(newest) = newest {
            self.commit_names(|index, _| index <= newest);
        }
    }

    /// Makes the wanted changes of names durable, in their order.
    pub(super) fn commit_names(&mut self, wanted: impl Fn(usize, &super::names::Change) -> bool) {
        let pending = std::mem::take(&mut self.pending_names);
        let mut stays = PendingNames::new();
        for (index, name) in pending.into_iter().enumerate() {
            if wanted(index, &name.change) {
                self.platter.apply_name(&name.change);
            } else {
                stays.push_back(name);
            }
        }
        self.pending_names = stays;
        self.sweep();
    }

    /// Submits a sync of a directory.
    pub fn sync_dir(
        &mut self,
        env: &mut Env<'_>,
        dir: &std::path::Path,
    ) -> io::Result<Begun<SyncTicket>> {
        let found = self.tree.find(dir);
        let dir = match found {
            Ok(dir) if self.tree.is_dir(dir) => dir,
            Ok(file) => return traced(env, DiskOp::SyncDir, file, 0, 0, Err(errno(libc::ENOTDIR))),
            Err(error) => return traced(env, DiskOp::SyncDir, 0, 0, 0, Err(error)),
        };
        let sync = env.power.sync_begins();
        let begun = self.draw_fault(env, SYNC_DIR, dir).and_then(|fault| {
            if !self.names_of(dir, self.next_seq).is_empty() {
                self.writable()?;
            }
            let latency_ns = self.latency(env, fault, dir, Kind::Flush(1));
            let (op, upto, in_flight) = (DiskOp::SyncDir, self.next_seq, Vec::new());
            let ticket = SyncTicket { op, file: dir, upto, in_flight, sync, fault };
            Ok(Begun { value: ticket, latency_ns })
        });
        match begun {
            Ok(begun) => Ok(begun),
            Err(error) => traced(env, DiskOp::SyncDir, dir, 0, 0, Err(error)),
        }
    }

    /// The time of a sync of a directory has passed: its names are durable.
    pub fn sync_dir_end(&mut self, env: &mut Env<'_>, ticket: SyncTicket) -> io::Result<()> {
        let result = self.sync_dir_end_inner(env, &ticket);
        traced(env, DiskOp::SyncDir, ticket.file, 0, 0, result)
    }

    fn sync_dir_end_inner(&mut self, env: &mut Env<'_>, ticket: &SyncTicket) -> io::Result<()> {
        if self.boot.gone {
            return Err(errno(libc::EIO));
        }
        let covered = self.names_of(ticket.file, ticket.upto);
        if ticket.fault == Some(Fault::SyncFailDirty) && !covered.is_empty() {
            delivered(env, Fault::SyncFailDirty, ticket.file, 0, covered.len() as u64);
            return Err(errno(libc::EIO));
        }
        // The journal commits them together; the power may go before that or after.
        env.power.reaches_platter(ticket.sync, 0, 0);
        if env.power.cuts_after(ticket.sync, 0) {
            return Err(errno(libc::EIO));
        }
        self.commit_names(|index, _| covered.binary_search(&index).is_ok());
        self.flush_device(env, ticket.upto);
        if env.power.cuts_after(ticket.sync, 1) {
            return Err(errno(libc::EIO));
        }
        Ok(())
    }

    /// Indexes of the pending changes that a sync of `dir` covers: those of its entries, and older
    /// ones that they must not overtake.
    fn names_of(&self, dir: FileId, upto: u64) -> Vec<usize> {
        let mut covered: Vec<usize> = Vec::new();
        for (index, name) in self.pending_names.iter().enumerate().rev() {
            let overtaken = || {
                covered
                    .iter()
                    .any(|newer| self.pending_names[*newer].change.conflicts(&name.change))
            };
            let in_order = self.fs.names_in_order && !covered.is_empty();
            if name.seq < upto && (name.change.touches(dir) || in_order || overtaken()) {
                covered.push(index);
            }
        }
        covered.reverse();
        covered
    }
}

/// What becomes of a sync.
pub(super) enum SyncFate {
    /// The first so many operations are written, then it fails with this errno.
    Fails(usize, i32),
    /// The first so many operations are written, and it says success.
    Keeps(usize),
}

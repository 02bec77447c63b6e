//! What a fault does to a sync.
//!
//! # Method
//!
//! A failing sync has written a chosen number of its operations, none in the boring case. What
//! becomes of the rest is the fault's name: it stays dirty; it is clean and lost, with the new bytes
//! in the cache or the old ones; it is clean, lost, and the next sync says so; or it stays in the
//! device's cache for a while and nobody says so. Lengths are metadata: they stay pending whatever happens.

use super::file::{Micro, Stage};
use super::model::{DiskModel, delivered};
use super::platter::FileId;
use super::sync::{SyncFate, SyncTicket};
use crate::env::Env;
use crate::fault::Fault;

/// How long a device that lies holds back what it was told to flush, unless an honest flush comes.
const HELD_NS: [u64; 2] = [50_000_000, 700_000_000];

impl DiskModel {
    /// Decides what a fault does to a sync that covers these operations.
    pub(super) fn sync_fault(
        &mut self,
        env: &mut Env<'_>,
        fault: Option<Fault>,
        ticket: &SyncTicket,
        covered: &[usize],
    ) -> SyncFate {
        let file = ticket.file;
        let all = covered.len();
        let Some(fault) = fault.filter(|fault| self.may_fail(*fault)) else {
            return SyncFate::Keeps(all);
        };
        // What is in the device's cache already cannot fail to be written back, only to be flushed.
        let log = &self.nodes[&file].log;
        let data = |index: &usize| {
            matches!(log[*index].micro, Micro::Data(_))
                && (fault == Fault::LyingSync || log[*index].stage == Stage::Cache)
        };
        if !covered.iter().any(data) {
            return SyncFate::Keeps(all);
        }
        // At least one operation on data is not written.
        let last = covered.iter().rposition(data).expect("one of them is data");
        let (label, errno) = match fault {
            Fault::Enospc => ("disk_sync_fail/written", libc::ENOSPC),
            Fault::LyingSync => ("disk_lying_sync/written", 0),
            Fault::SyncFailLate => ("disk_sync_fail/written", 0),
            _ => ("disk_sync_fail/written", libc::EIO),
        };
        let written = match env.choices.weighted("disk_sync_fail/some", &[3, 1]) {
            0 => 0,
            _ => env.choices.choose(label, last as u64 + 1) as usize,
        };
        delivered(env, fault, file, written as u64, (all - written) as u64);
        if fault == Fault::LyingSync {
            let window = env.choices.log_uniform("disk_lying_sync/window", HELD_NS[0], HELD_NS[1]);
            self.ages.hold(env.trace.time_ns() + window, ticket.upto);
        }
        if errno == 0 { SyncFate::Keeps(written) } else { SyncFate::Fails(written, errno) }
    }

    /// Whether this fault is a way in which a sync can fail, on this file system.
    fn may_fail(&self, fault: Fault) -> bool {
        match fault {
            Fault::SyncFailDirty
            | Fault::SyncFailClean
            | Fault::SyncFailDropped
            | Fault::SyncFailLate => {
                let own = self.fs.sync_failure;
                !self.config.own_sync_failure || own.is_none_or(|own| own == fault)
            }
            Fault::LyingSync | Fault::Enospc => true,
            _ => false,
        }
    }

    /// What becomes of the operations that a sync covered and did not write.
    pub(super) fn sync_aftermath(
        &mut self,
        fault: Option<Fault>,
        file: FileId,
        upto: u64,
        in_flight: &[u64],
    ) {
        let Some(fault) = fault.filter(|fault| self.may_fail(*fault)) else { return };
        let Some(node) = self.nodes.get_mut(&file) else { return };
        let left = node.covered(upto, in_flight);
        let data = |index: &&usize| {
            let op = &node.log[**index];
            matches!(op.micro, Micro::Data(_))
                && (fault == Fault::LyingSync || op.stage == Stage::Cache)
        };
        let left: Vec<usize> = left.iter().filter(data).copied().collect();
        if left.is_empty() {
            return;
        }
        match fault {
            Fault::SyncFailClean => self.lose(file, &left),
            Fault::SyncFailDropped => {
                self.lose(file, &left);
                self.revert_lost(file);
            }
            Fault::SyncFailLate => {
                self.lose(file, &left);
                if let Some(node) = self.nodes.get_mut(&file) {
                    node.late_error = true;
                }
            }
            Fault::LyingSync => {
                for index in left {
                    node.log[index].stage = Stage::Device;
                }
                self.in_device.insert(file);
            }
            _ => {}
        }
    }

    /// Marks operations clean although the platter has not got them.
    fn lose(&mut self, file: FileId, ops: &[usize]) {
        for index in ops.iter().rev() {
            let node = self.nodes.get_mut(&file).expect("a file with operations has a node");
            // A newer one of them may have taken all its sectors.
            if matches!(node.log[*index].micro, Micro::Done) {
                continue;
            }
            let op = node.take(*index);
            self.pending_ops -= 1;
            let Micro::Data(data) = op.micro else { continue };
            // What is older on the same sectors was written back with it, and is as lost.
            self.pending_ops -= node.supersede(data.page, data.mask, op.seq);
            if !node.is_cut_after(op.seq, data.page) {
                *node.lost.entry(data.page).or_default() |= data.mask;
            }
        }
        // Sectors that were written again since then are dirty, not lost.
        let node = self.nodes.get_mut(&file).expect("a file with operations has a node");
        let pages: Vec<u64> = node.lost.keys().copied().collect();
        for page in pages {
            let dirty = node.dirty_mask(page);
            node.found(page, dirty);
        }
    }

    /// The cache shows again what the platter has of the sectors that were lost.
    fn revert_lost(&mut self, file: FileId) {
        let node = self.nodes.get_mut(&file).expect("a file with operations has a node");
        let platter = self.platter.file(file);
        for (page, mask) in std::mem::take(&mut node.lost) {
            let old = platter.pages.get(page);
            let slot = node.pages.slot(page);
            let fresh = slot.get_or_insert_with(|| self.pool.overlay(None, 0, &[]));
            super::pages::copy_sectors(fresh, old, mask);
        }
        // The platter's page may hold bytes behind an end that moved since then.
        node.pages.truncate(node.len, &mut self.pool);
    }
}

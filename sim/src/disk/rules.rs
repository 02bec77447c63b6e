//! Repairs the picture of a power loss: what the file system keeps in order, and what is excluded.
//!
//! # Method
//!
//! Choices are made first and freely. Then, in this order: names that must survive; data that a
//! surviving rename wrote before it; where the file system has an order, everything after the first
//! loss is lost; data behind a cut that did not survive is lost; whole writes, where tearing is
//! excluded; lengths and data that must go together; nothing after a lost write, where reordering is
//! excluded.
//!
//! # Invariant
//!
//! Nothing here makes a choice, so admitting or excluding a fault moves none.

use std::collections::BTreeMap;

use super::names::Change;
use super::pages::PAGE_BYTES;
use super::platter::FileId;
use super::policy::Fate;
use super::preset::{DataOrder, FsRules, SizeRule, TearUnit};
use super::settle::Settlement;
use crate::fault::{Fault, Faults};

impl Settlement {
    pub(super) fn repair(&mut self, fs: &FsRules, faults: &Faults) {
        let admitted = |fault| faults.rate_ppm(fault) > 0;
        self.keep_names(fs, admitted(Fault::DirentLost), admitted(Fault::RenameUndone));
        let garbage = admitted(Fault::GarbageSector) && fs.tear == TearUnit::Device;
        self.replace_fates(garbage, admitted(Fault::SubSectorTear));
        let written = self.written_before_rename(fs);
        self.keep_written(&written);

        match fs.data {
            DataOrder::Prefix => self.cut_everything(),
            DataOrder::FilePrefix => self.cut_files(&written),
            DataOrder::Any => {}
        }
        if fs.cut_orders_data {
            self.lose_behind_cuts();
        }
        if !admitted(Fault::TornWrite) {
            self.make_whole();
        }
        if !admitted(Fault::LostWrite) {
            self.bring_back();
        }
        let whole = !admitted(Fault::DataWithoutSize) || !admitted(Fault::LostWrite);
        if whole || !admitted(Fault::TornWrite) {
            self.extend_sizes(whole);
        }
        if fs.size == SizeRule::DataFirst || !admitted(Fault::SizeWithoutData) {
            self.keep_below_sizes();
        } else if fs.size == SizeRule::Zeros {
            self.no_garbage_below_sizes();
        }
        if !admitted(Fault::ReorderedWrites) {
            self.cut_writes(&written);
        }
        self.sizes.values_mut().for_each(super::settle::Sizes::settled);
    }

    /// Names whose loss is excluded survive; where names are in order, so do those before them.
    fn keep_names(&mut self, fs: &FsRules, lost: bool, undone: bool) {
        let must = |change: &Change| match change {
            Change::Rename { .. } => !undone,
            _ => !lost,
        };
        if fs.names_in_order {
            let last = self.names.iter().rposition(|(name, _)| must(&name.change));
            for (_, survives) in self.names.iter_mut().take(last.map_or(0, |last| last + 1)) {
                *survives = true;
            }
        } else {
            for (name, survives) in &mut self.names {
                *survives |= must(&name.change);
            }
        }
    }

    /// Garbage where it may be; a torn sector only where a sector is what the device keeps whole.
    fn replace_fates(&mut self, garbage: bool, tear: bool) {
        for unit in &mut self.units {
            let one_sector = unit.ops.len() == 1 && unit.mask.count_ones() == 1;
            unit.fate = match unit.fate {
                Fate::Zeros | Fate::Garbage if !garbage => Fate::Old,
                Fate::Prefix if !tear || !one_sector => Fate::Old,
                fate => fate,
            };
        }
    }

    /// For each file, up to where a surviving rename over another file wrote its data.
    fn written_before_rename(&self, fs: &FsRules) -> BTreeMap<FileId, u64> {
        let mut written = BTreeMap::new();
        for (name, survives) in &self.names {
            if let Change::Rename { node, over: true, .. } = name.change
                && *survives
                && fs.rename_writes_data
            {
                written.insert(node, name.seq);
            }
        }
        written
    }

    fn keep_written(&mut self, written: &BTreeMap<FileId, u64>) {
        for (file, upto) in written {
            if let Some(sizes) = self.sizes.get_mut(file) {
                let before = sizes.all.iter().filter(|size| size.seq < *upto).count();
                sizes.kept = sizes.kept.max(before);
            }
            for call in self.calls.iter().filter(|call| call.file == *file) {
                if call.first_seq < *upto {
                    self.units[call.units.clone()].iter_mut().for_each(|u| u.fate = Fate::New);
                }
            }
        }
    }

    /// Order of the first write or length that is lost, of `file` or of all files.
    fn first_loss(&self, file: Option<FileId>) -> u64 {
        let mine = |other: FileId| file.is_none_or(|file| file == other);
        let writes = self.calls.iter().filter(|call| mine(call.file)).filter(|call| {
            self.units[call.units.clone()].iter().any(|unit| unit.fate != Fate::New)
        });
        let sizes = self.sizes.iter().filter(|(id, _)| mine(**id));
        let sizes = sizes.filter_map(|(_, sizes)| sizes.all.get(sizes.kept));
        let first_write = writes.map(|call| call.first_seq).next().unwrap_or(u64::MAX);
        first_write.min(sizes.map(|size| size.seq).min().unwrap_or(u64::MAX))
    }

    /// Everything after `cut` is lost, of `file` or of all files; what is before it survives.
    fn lose_after(&mut self, file: Option<FileId>, cut: u64) {
        let mine = |other: FileId| file.is_none_or(|file| file == other);
        for (index, call) in self.calls.iter().enumerate().filter(|(_, call)| mine(call.file)) {
            let next = self.calls.get(index + 1).map_or(u64::MAX, |next| next.first_seq);
            let units = &mut self.units[call.units.clone()];
            let mut survives = call.first_seq <= cut;
            // In the call in which the cut lies what is lost begins at the first unit that is.
            let torn = survives && next > cut;
            for unit in units {
                survives &= !torn || unit.fate == Fate::New;
                unit.fate = if survives { Fate::New } else { Fate::Old };
            }
        }
        for (_, sizes) in self.sizes.iter_mut().filter(|(id, _)| mine(**id)) {
            sizes.kept = sizes.all.iter().filter(|size| size.seq < cut).count();
        }
    }

    /// Data, lengths and names in one order: all is lost after the first loss.
    fn cut_everything(&mut self) {
        let lost_name = self.names.iter().find(|(_, survives)| !survives);
        let cut = self.first_loss(None).min(lost_name.map_or(u64::MAX, |(name, _)| name.seq));
        self.lose_after(None, cut);
        for (name, survives) in &mut self.names {
            *survives = name.seq < cut;
        }
    }

    fn cut_files(&mut self, written: &BTreeMap<FileId, u64>) {
        let files: Vec<FileId> = self.sizes.keys().copied().collect();
        for file in files {
            let upto = written.get(&file).copied().unwrap_or(0);
            let cut = self.first_loss(Some(file)).max(upto);
            self.lose_after(Some(file), cut);
        }
    }

    /// No write survives one before it of which nothing is left.
    fn cut_writes(&mut self, written: &BTreeMap<FileId, u64>) {
        let upto = written.values().copied().max().unwrap_or(0);
        let lost = self.calls.iter().find(|call| {
            let len = self.sizes[&call.file].len();
            self.units[call.units.clone()]
                .iter()
                .all(|unit| unit.fate == Fate::Old || self.ops[unit.ops.start].data.offset() >= len)
        });
        let Some(cut) = lost.map(|call| call.first_seq.max(upto)) else { return };
        for call in self.calls.iter().filter(|call| call.first_seq > cut) {
            self.units[call.units.clone()].iter_mut().for_each(|unit| unit.fate = Fate::Old);
        }
        for sizes in self.sizes.values_mut() {
            let before = sizes.all.iter().filter(|size| size.seq < cut).count();
            sizes.kept = sizes.kept.min(before);
        }
    }

    /// Blocks behind the end of a file that was cut hang on the cut: without it they are lost.
    fn lose_behind_cuts(&mut self) {
        for call in &self.calls {
            let sizes = &self.sizes[&call.file];
            let mut before = sizes.len();
            for size in &sizes.all[sizes.kept..] {
                let cuts = size.to < before;
                before = size.to;
                if !cuts || size.seq > call.first_seq {
                    continue;
                }
                for unit in &mut self.units[call.units.clone()] {
                    let page = self.ops[unit.ops.start].data.page;
                    if (page + 1) * PAGE_BYTES as u64 > size.to {
                        unit.fate = Fate::Old;
                    }
                }
            }
        }
    }

    /// Tearing is excluded: a write has the fate of its first unit.
    fn make_whole(&mut self) {
        for call in &self.calls {
            let units = &mut self.units[call.units.clone()];
            let fate = if units[0].fate == Fate::New { Fate::New } else { Fate::Old };
            units.iter_mut().for_each(|unit| unit.fate = fate);
        }
    }

    /// Losing is excluded: a write of which nothing survives survives.
    fn bring_back(&mut self) {
        for call in &self.calls {
            let units = &mut self.units[call.units.clone()];
            if units.iter().all(|unit| unit.fate == Fate::Old) {
                units.iter_mut().for_each(|unit| unit.fate = Fate::New);
            }
        }
    }

    /// Data without its length is excluded: the lengths of writes that survive do too. Where only
    /// tearing is, this holds for writes that begin below the end of the file.
    fn extend_sizes(&mut self, all: bool) {
        for call in &self.calls {
            let units = &self.units[call.units.clone()];
            if units.iter().all(|unit| unit.fate == Fate::Old) {
                continue;
            }
            let first = &self.ops[units[0].ops.start];
            let (id, at) = (first.call, first.data.offset());
            let sizes = self.sizes.get_mut(&call.file).expect("a file with writes has lengths");
            if !all && at >= sizes.len() {
                continue;
            }
            // A write that did not grow the file stands on the lengths before it.
            let needed = match sizes.all.binary_search_by_key(&id, |size| size.call) {
                Ok(own) => own + 1,
                Err(before) => before,
            };
            let last = &self.ops[units[units.len() - 1].ops.end - 1].data;
            if last.offset() + last.len() > sizes.len() {
                sizes.kept = sizes.kept.max(needed);
            }
        }
    }

    /// What stands below a surviving length survives with it.
    fn keep_below_sizes(&mut self) {
        for call in &self.calls {
            let sizes = &self.sizes[&call.file];
            let (Some(seq), base) = (sizes.kept_seq(), sizes.base()) else { continue };
            for unit in &mut self.units[call.units.clone()] {
                let op = &self.ops[unit.ops.end - 1];
                let end = (op.data.page + 1) * PAGE_BYTES as u64;
                if op.seq < seq && end > base {
                    unit.fate = Fate::New;
                }
            }
        }
    }

    /// Below a surviving length there are new bytes or zeros.
    fn no_garbage_below_sizes(&mut self) {
        for call in &self.calls {
            let base = self.sizes[&call.file].base();
            for unit in &mut self.units[call.units.clone()] {
                let op = &self.ops[unit.ops.end - 1];
                let beyond = (op.data.page + 1) * PAGE_BYTES as u64 > base;
                if beyond && matches!(unit.fate, Fate::Garbage | Fate::Prefix) {
                    unit.fate = Fate::Old;
                }
            }
        }
    }
}

//! Power loss: what the platter holds afterwards of what was not synced.
//!
//! # Method
//!
//! Everything pending is gathered in the order of the calls and cut into units that nothing tears.
//! Each unit, each file's list of lengths and the list of names makes its choices; then the rules of
//! the file system and the faults that are admitted repair the picture (`rules.rs`), survivors are
//! applied in order, and what came out is counted by its name (`tally.rs`). A rate of 0 excludes an
//! outcome, any other admits it; the choices are the same in both cases.
//!
//! # Invariant
//!
//! A sector that a sync covered is not touched here, but by the three faults that undo a flush.

use std::collections::BTreeMap;

use super::file::{Data, Flaw, Micro, Node};
use super::model::{DiskModel, delivered};
use super::names::PendingName;
use super::pages::{PAGE_BYTES, SECTOR_BYTES, WHOLE, sector, sectors_of};
use super::platter::FileId;
use super::policy::{Fate, Proposer, SurvivalPolicy, UnitPlace};
use super::preset::{DataOrder, TearUnit};
use super::writeback::Ages;
use crate::choice::mix;
use crate::env::Env;
use crate::fault::Fault;

/// What a power loss left of the unsynced writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Loss {
    /// Writes that show all their bytes.
    pub survived_writes: u64,
    /// Writes of which some bytes, or all, do not show.
    pub lost_writes: u64,
    /// Those among them of which some bytes show.
    pub torn_writes: u64,
    /// Changes of names that were undone.
    pub lost_names: u64,
    /// The style of this loss.
    pub policy: Option<SurvivalPolicy>,
}

impl Loss {
    /// Whether at least one unsynced write survived and one did not.
    pub fn is_partial(&self) -> bool {
        self.survived_writes > 0 && self.lost_writes > 0
    }
}

/// A pending data operation.
#[derive(Debug)]
pub(super) struct PendingData {
    pub(super) file: FileId,
    pub(super) seq: u64,
    pub(super) call: u64,
    pub(super) flaw: Flaw,
    pub(super) data: Data,
}

/// Sectors that share one fate: some of one operation, or all of several.
#[derive(Debug)]
pub(super) struct Unit {
    pub(super) ops: std::ops::Range<usize>,
    pub(super) mask: u8,
    pub(super) fate: Fate,
}

/// The units of one call.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) file: FileId,
    pub(super) first_seq: u64,
    pub(super) units: std::ops::Range<usize>,
}

/// A pending change of length.
#[derive(Clone, Copy, Debug)]
pub(super) struct PendingSize {
    pub(super) seq: u64,
    pub(super) call: u64,
    pub(super) to: u64,
}

/// The lengths of one file: the first `kept` of them survive.
#[derive(Debug, Default)]
pub(super) struct Sizes {
    pub(super) all: Vec<PendingSize>,
    pub(super) kept: usize,
    /// The length on the platter before all this.
    pub(super) durable: u64,
    /// For each surviving length the least of it and those after it.
    least_from: Vec<u64>,
}

impl Sizes {
    /// The length that the file will have.
    pub(super) fn len(&self) -> u64 {
        self.all[..self.kept].last().map_or(self.durable, |size| size.to)
    }

    /// Bytes from here on are shown by a surviving change of length alone.
    pub(super) fn base(&self) -> u64 {
        let lens = self.all[..self.kept].iter().map(|size| size.to);
        lens.fold(self.durable, u64::min)
    }

    /// Says once and for all which lengths survive.
    pub(super) fn settled(&mut self) {
        self.least_from = self.all[..self.kept].iter().map(|size| size.to).collect();
        for index in (1..self.kept).rev() {
            self.least_from[index - 1] = self.least_from[index - 1].min(self.least_from[index]);
        }
    }

    /// The least surviving length after the operation `seq`: a byte from there on was cut.
    pub(super) fn least_after(&self, seq: u64) -> u64 {
        let later = self.all[..self.kept].partition_point(|size| size.seq <= seq);
        self.least_from.get(later).copied().unwrap_or(u64::MAX)
    }

    /// Order of the last surviving change.
    pub(super) fn kept_seq(&self) -> Option<u64> {
        self.all[..self.kept].last().map(|size| size.seq)
    }
}

/// Everything that was pending, with its fate.
pub(super) struct Settlement {
    pub(super) ops: Vec<PendingData>,
    pub(super) units: Vec<Unit>,
    pub(super) calls: Vec<Call>,
    pub(super) sizes: BTreeMap<FileId, Sizes>,
    pub(super) names: Vec<(PendingName, bool)>,
    pub(super) policy: SurvivalPolicy,
}

impl DiskModel {
    /// The power goes: page cache, device cache, handles and locks are lost.
    pub fn power_loss(&mut self, env: &mut Env<'_>) -> Loss {
        self.age(env);
        let mut settlement = self.gather();
        self.choose_fates(env, &mut settlement);
        settlement.repair(&self.fs, env.faults);
        let mut loss = settlement.tally(env);
        loss.survived_writes += std::mem::take(&mut self.cut_survivors);
        loss.survived_writes += self.nodes.values().map(|node| node.written_back).sum::<u64>();
        self.apply(env, settlement);
        self.undo_flushed(env);
        self.reload();
        self.cold = true;
        loss
    }

    /// Takes everything pending out of the logs and cuts it into units.
    fn gather(&mut self) -> Settlement {
        let mut ops = Vec::new();
        let mut sizes: BTreeMap<FileId, Sizes> = BTreeMap::new();
        for file in std::mem::take(&mut self.dirty) {
            let node = self.nodes.get_mut(&file).expect("a dirty file has a node");
            let durable = self.platter.files.get(&file).map_or(0, |platter| platter.len);
            let mut of_file = Sizes { durable, ..Sizes::default() };
            for op in node.log.drain(..) {
                match op.micro {
                    Micro::Data(data) => {
                        let (seq, call, flaw) = (op.seq, op.call, op.flaw);
                        ops.push(PendingData { file, seq, call, flaw, data });
                    }
                    Micro::Size { to, .. } => {
                        of_file.all.push(PendingSize { seq: op.seq, call: op.call, to });
                    }
                    Micro::Done => {}
                }
            }
            sizes.insert(file, of_file);
        }
        ops.sort_by_key(|op| op.seq);
        let (units, calls) = self.cut_into_units(&ops);
        let names = self.pending_names.drain(..).map(|name| (name, true)).collect();
        Settlement { ops, units, calls, sizes, names, policy: SurvivalPolicy::All }
    }

    fn cut_into_units(&self, ops: &[PendingData]) -> (Vec<Unit>, Vec<Call>) {
        let mut units: Vec<Unit> = Vec::new();
        let mut calls: Vec<Call> = Vec::new();
        let untorn = self.device.untorn_bytes as usize;
        let pages_a_unit = (untorn / PAGE_BYTES).max(1) as u64;
        for (index, op) in ops.iter().enumerate() {
            let new_call = index == 0 || ops[index - 1].call != op.call;
            if new_call {
                let units = units.len()..units.len();
                calls.push(Call { file: op.file, first_seq: op.seq, units });
            }
            let whole = |mask| Unit { ops: index..index + 1, mask, fate: Fate::New };
            let joins = !new_call
                && match self.fs.tear {
                    TearUnit::Call => true,
                    _ => op.data.page / pages_a_unit == ops[index - 1].data.page / pages_a_unit,
                };
            if joins {
                let unit = units.last_mut().expect("a call that goes on has a unit");
                unit.ops.end = index + 1;
            } else if self.fs.tear == TearUnit::Device && untorn < PAGE_BYTES {
                let group = WHOLE >> (8 - untorn / SECTOR_BYTES);
                let groups = (0..8).step_by(untorn / SECTOR_BYTES);
                let masks = groups.map(|first| op.data.mask & (group << first));
                units.extend(masks.filter(|mask| *mask != 0).map(whole));
            } else {
                units.push(whole(WHOLE));
            }
            calls.last_mut().expect("there is a call").units.end = units.len();
        }
        (units, calls)
    }

    fn choose_fates(&mut self, env: &mut Env<'_>, settlement: &mut Settlement) {
        let calls = settlement.calls.len() as u64;
        let order = self.fs.data;
        let admitted = |fault| env.faults.rate_ppm(fault) > 0;
        let all_but_one = admitted(Fault::AllButOne);
        let extremes = admitted(Fault::FileExtremes);
        let one_file = settlement.sizes.len() < 2;
        let no_sizes = settlement.sizes.values().all(|sizes| sizes.all.is_empty());
        let admit = |policy| match (policy, order) {
            (SurvivalPolicy::All | SurvivalPolicy::None, _) => policy,
            // A policy that would have nothing to tell apart becomes another.
            (SurvivalPolicy::FileExtremes, DataOrder::Any) if one_file => SurvivalPolicy::Calls,
            (SurvivalPolicy::DataWithoutSize | SurvivalPolicy::SizeWithoutData, DataOrder::Any)
                if no_sizes =>
            {
                SurvivalPolicy::Sectors
            }
            (SurvivalPolicy::FileExtremes, DataOrder::FilePrefix) if extremes => policy,
            (_, DataOrder::Prefix | DataOrder::FilePrefix) => SurvivalPolicy::Prefix,
            (SurvivalPolicy::AllButOne, _) if !all_but_one => SurvivalPolicy::Calls,
            (SurvivalPolicy::FileExtremes, _) if !extremes => SurvivalPolicy::Calls,
            _ => policy,
        };
        let proposer = Proposer::draw(env.choices, self.config.policy, calls, admit);
        settlement.policy = proposer.policy;

        let names = settlement.names.len() as u64;
        if self.fs.names_in_order {
            let lost = proposer.lost_of(env.choices, "disk_fate/names", names, 0);
            let kept = (names - lost) as usize;
            for (_, survives) in &mut settlement.names[kept..] {
                *survives = false;
            }
        } else {
            for (_, survives) in &mut settlement.names {
                *survives = proposer.name_survives(env.choices);
            }
        }
        for (file, sizes) in &mut settlement.sizes {
            let count = sizes.all.len() as u64;
            let lost = proposer.lost_of(env.choices, "disk_fate/size", count, *file);
            sizes.kept = (count - lost) as usize;
        }
        for (rank, call) in settlement.calls.iter().enumerate() {
            for unit in &mut settlement.units[call.units.clone()] {
                let first = &settlement.ops[unit.ops.start];
                let place = UnitPlace {
                    rank: rank as u64,
                    call: first.call,
                    file: first.file,
                    page: first.data.page,
                };
                unit.fate = proposer.unit(env.choices, &place);
            }
        }
    }

    /// Brings the survivors to the platter, in the order of the calls.
    fn apply(&mut self, env: &mut Env<'_>, settlement: Settlement) {
        let Settlement { ops, units, sizes, names, .. } = settlement;
        let mut lens: Vec<(u64, FileId, u64)> = Vec::new();
        for (file, sizes) in &sizes {
            let kept = sizes.all[..sizes.kept].iter();
            lens.extend(kept.map(|size| (size.seq, *file, size.to)));
        }
        lens.sort_unstable();
        let mut lens = lens.into_iter().peekable();
        // The units of one operation go together.
        let groups: Vec<&[Unit]> = units.chunk_by(|a, b| a.ops == b.ops).collect();
        let covered = covered_later(&ops, &groups);
        for units in groups {
            let first = units[0].ops.start;
            let ops = &ops[units[0].ops.clone()];
            while let Some((_, file, to)) = lens.next_if(|(seq, ..)| *seq < ops[0].seq) {
                self.platter.file(file).set_len(to, &mut self.pool);
            }
            for (op, covered) in ops.iter().zip(&covered[first..]) {
                if op.flaw != Flaw::None && units.iter().any(|unit| unit.fate != Fate::Old) {
                    tell_flaw(env, op);
                }
                self.apply_op(op, units, *covered);
            }
        }
        for (_, file, to) in lens {
            self.platter.file(file).set_len(to, &mut self.pool);
        }
        for (name, survives) in &names {
            if *survives {
                self.platter.apply_name(&name.change);
            }
        }
        // What reached the device behind the end of its file is in no file.
        for (file, sizes) in &sizes {
            debug_assert_eq!(self.platter.file(*file).len, sizes.len(), "length of file {file}");
            self.platter.file(*file).pages.truncate(sizes.len(), &mut self.pool);
        }
    }

    /// Brings to the platter what the fates of its units left of an operation, but for sectors that are
    /// covered by later ones.
    fn apply_op(&mut self, op: &PendingData, units: &[Unit], covered: u8) {
        let with = |fate| with_fate(op, units, fate);
        let old = with(Fate::Old);
        let (page, pool) = (op.data.page, &mut self.pool);
        match op.flaw {
            _ if old == op.data.mask => return,
            Flaw::Phantom => return,
            Flaw::Misdirected(other, at) => {
                if let Some(victim) = self.platter.files.get_mut(&other) {
                    victim.put(at, op.data.mask & !old, Some(&op.data.after), pool);
                }
                return;
            }
            Flaw::None => {}
        }
        let file = self.platter.file(op.file);
        let new = with(Fate::New);
        if new == op.data.mask {
            file.apply(op.data.clone(), pool);
            return;
        }
        let with = |fate| with(fate) & !covered;
        let new = with(Fate::New);
        if new != 0 {
            file.apply_sectors(&op.data, new, pool);
        }
        let zeros = with(Fate::Zeros);
        if zeros != 0 {
            file.put(page, zeros, None, pool);
        }
        for index in sectors_of(with(Fate::Garbage)) {
            let bytes = garbage(op.seq << 3 | index as u64);
            file.overwrite(page, index * SECTOR_BYTES, &bytes, pool);
        }
        for index in sectors_of(with(Fate::Prefix)) {
            let count = 1 + mix(op.seq << 3 | index as u64) as usize % (SECTOR_BYTES - 1);
            let bytes = &sector(Some(&op.data.after), index)[..count];
            file.overwrite(page, index * SECTOR_BYTES, bytes, pool);
        }
    }

    /// The caches show what the platter holds, and nothing is open.
    pub(super) fn reload(&mut self) {
        self.platter.drop_unreachable();
        self.tree = self.platter.tree.clone();
        self.nodes =
            self.platter.files.iter().map(|(id, file)| (*id, Node::from_platter(file))).collect();
        self.pending_names.clear();
        self.pending_ops = 0;
        self.dirty.clear();
        self.in_device.clear();
        self.ages = Ages::default();
        // Last: it forgets what no node stands for, and an image that came back has other files.
        self.close_all();
    }
}

/// The sectors of an operation that have this fate.
fn with_fate(op: &PendingData, units: &[Unit], fate: Fate) -> u8 {
    let units = units.iter().filter(|unit| unit.fate == fate);
    units.fold(0, |all, unit| all | unit.mask) & op.data.mask
}

/// For each operation its sectors that a later one overwrites as a whole: they need not be applied.
fn covered_later(ops: &[PendingData], groups: &[&[Unit]]) -> Vec<u8> {
    let mut covered = vec![0; ops.len()];
    let mut later: BTreeMap<(FileId, u64), u8> = BTreeMap::new();
    for units in groups.iter().rev() {
        for index in units[0].ops.clone().rev() {
            let op = &ops[index];
            let of_page = later.entry((op.file, op.data.page)).or_default();
            covered[index] = *of_page;
            if op.flaw == Flaw::None {
                let fates = [Fate::New, Fate::Zeros, Fate::Garbage];
                *of_page |= fates.iter().fold(0, |all, fate| all | with_fate(op, units, *fate));
            }
        }
    }
    covered
}

/// A flawed write survived: that is when its flaw takes effect.
fn tell_flaw(env: &mut Env<'_>, op: &PendingData) {
    let fault = match op.flaw {
        Flaw::None => return,
        Flaw::Phantom => Fault::PhantomWrite,
        Flaw::Misdirected(..) => Fault::MisdirectedWrite,
    };
    delivered(env, fault, op.file, op.data.offset(), op.data.len());
}

/// Bytes that are neither old nor new.
pub(super) fn garbage(salt: u64) -> [u8; SECTOR_BYTES] {
    let mut bytes = [0; SECTOR_BYTES];
    for (word, chunk) in (salt << 8..).zip(bytes.chunks_mut(8)) {
        chunk.copy_from_slice(&mix(word ^ 0xA5A5_5A5A_0F0F_F0F0).to_le_bytes());
    }
    bytes
}

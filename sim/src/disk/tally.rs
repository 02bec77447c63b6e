//! Names what a power loss did, and counts it where it really happened.
//!
//! # Method
//!
//! A sector of a write is missed if it differs from what was there before, and neither the write, nor
//! a later one, nor a cut of the file explains what is there now. A write is lost if it left no trace
//! and a sector of it is missed, torn if it left one, and survived otherwise. `all_but_one` and
//! `file_extremes` are counted when their policy was drawn and its picture came out.

use std::collections::BTreeMap;

use super::model::delivered;
use super::names::Change;
use super::pages::{PAGE_BYTES, PAGE_SECTORS, SECTOR_BYTES, sector, sectors_of};
use super::platter::FileId;
use super::policy::{Fate, SurvivalPolicy};
use super::settle::{Call, Loss, Settlement};
use crate::env::Env;
use crate::fault::Fault;
use crate::trace::What;

/// What became of one write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Survived,
    Torn,
    Lost,
}

/// For each page the unit, from 1, that was the last to leave something in each sector; 0 for none.
type Owners = BTreeMap<(FileId, u64), [usize; PAGE_SECTORS]>;

struct Tally<'a> {
    all: &'a Settlement,
    owners: Owners,
}

impl Settlement {
    /// Counts, and tells the trace.
    pub(super) fn tally(&self, env: &mut Env<'_>) -> Loss {
        let tally = Tally { all: self, owners: self.owners() };
        let outcomes: Vec<Outcome> = self.calls.iter().map(|call| tally.outcome(call)).collect();
        let mut loss = Loss { policy: Some(self.policy), ..Loss::default() };
        for (call, outcome) in self.calls.iter().zip(&outcomes) {
            let fault = match outcome {
                Outcome::Survived => {
                    loss.survived_writes += 1;
                    continue;
                }
                Outcome::Torn => Fault::TornWrite,
                Outcome::Lost => Fault::LostWrite,
            };
            loss.lost_writes += 1;
            loss.torn_writes += u64::from(fault == Fault::TornWrite);
            self.tell(env, fault, call);
        }
        self.tally_order(env, &outcomes);
        if self.policy == SurvivalPolicy::FileExtremes {
            self.tally_extremes(env, &outcomes);
        }
        self.tally_sectors(env);
        tally.tally_files(env);
        loss.lost_names = self.tally_names(env);
        loss
    }

    fn owners(&self) -> Owners {
        let mut owners = Owners::new();
        for (index, unit) in self.units.iter().enumerate() {
            if unit.fate == Fate::Old {
                continue;
            }
            for op in &self.ops[unit.ops.clone()] {
                let of_page = owners.entry((op.file, op.data.page)).or_default();
                for sector in sectors_of(op.data.mask & unit.mask) {
                    of_page[sector] = index + 1;
                }
            }
        }
        owners
    }

    fn tell(&self, env: &mut Env<'_>, fault: Fault, call: &Call) {
        let ops = self.units[call.units.start].ops.start..self.units[call.units.end - 1].ops.end;
        let ops = &self.ops[ops];
        let len = ops.iter().map(|op| op.data.len()).sum();
        delivered(env, fault, call.file, ops[0].data.offset(), len);
    }

    fn tally_order(&self, env: &mut Env<'_>, outcomes: &[Outcome]) {
        let Some(first) = outcomes.iter().position(|outcome| *outcome == Outcome::Lost) else {
            return;
        };
        let later = outcomes[first..].iter().position(|outcome| *outcome != Outcome::Lost);
        if let Some(later) = later {
            self.tell(env, Fault::ReorderedWrites, &self.calls[first + later]);
        }
        let survived = outcomes.iter().filter(|outcome| **outcome == Outcome::Survived).count();
        let but_one = survived > 0 && survived + 1 == outcomes.len();
        if but_one && self.policy == SurvivalPolicy::AllButOne {
            self.tell(env, Fault::AllButOne, &self.calls[first]);
        }
    }

    fn tally_extremes(&self, env: &mut Env<'_>, outcomes: &[Outcome]) {
        let mut whole: BTreeMap<FileId, [bool; 2]> = BTreeMap::new();
        for (call, outcome) in self.calls.iter().zip(outcomes) {
            let [all, none] = whole.entry(call.file).or_insert([true, true]);
            *all &= *outcome == Outcome::Survived;
            *none &= *outcome == Outcome::Lost;
        }
        let all = whole.values().any(|[all, _]| *all);
        let loser = whole.iter().find(|(_, [_, none])| *none);
        if let (true, Some((file, _))) = (all, loser) {
            delivered(env, Fault::FileExtremes, *file, 0, 0);
        }
    }

    fn tally_sectors(&self, env: &mut Env<'_>) {
        for unit in &self.units {
            let fault = match unit.fate {
                Fate::Zeros | Fate::Garbage => Fault::GarbageSector,
                Fate::Prefix => Fault::SubSectorTear,
                Fate::New | Fate::Old => continue,
            };
            let ops = &self.ops[unit.ops.clone()];
            let sectors = ops.iter().map(|op| (op.data.mask & unit.mask).count_ones()).sum::<u32>();
            let first = (ops[0].data.mask & unit.mask).trailing_zeros();
            let at = ops[0].data.page * PAGE_BYTES as u64 + u64::from(first) * SECTOR_BYTES as u64;
            let len = u64::from(sectors) * SECTOR_BYTES as u64;
            delivered(env, fault, ops[0].file, at, len);
        }
    }

    fn tally_names(&self, env: &mut Env<'_>) -> u64 {
        let mut lost = 0;
        for (name, _) in self.names.iter().filter(|(_, survives)| !survives) {
            let fault = match name.change {
                Change::Rename { .. } => Fault::RenameUndone,
                Change::Add { .. } | Change::Remove { .. } => Fault::DirentLost,
            };
            delivered(env, fault, name.change.node(), 0, 0);
            lost += 1;
        }
        lost
    }
}

/// What became of one sector of a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    /// It shows the write's bytes, or something that the write left.
    Trace,
    /// It reached the device and lies behind the end of the file.
    Hidden,
    /// It is missed.
    Missed,
    /// It was overwritten or cut, or looks as before: nobody can tell.
    Neutral,
}

impl Tally<'_> {
    fn outcome(&self, call: &Call) -> Outcome {
        let (mut traces, mut missed) = (false, false);
        for index in call.units.clone() {
            let fate = self.all.units[index].fate;
            let whole = fate == Fate::New;
            self.each_sector(index, |_, seen| {
                // What a later write overwrote was there all the same.
                traces |= fate != Fate::Old && seen != Seen::Hidden;
                missed |=
                    matches!(seen, Seen::Missed | Seen::Hidden) || seen == Seen::Trace && !whole;
            });
        }
        match (traces, missed) {
            (_, false) => Outcome::Survived,
            (true, true) => Outcome::Torn,
            (false, true) => Outcome::Lost,
        }
    }

    /// Tells for each sector of a unit where it begins in the file, and what became of it.
    fn each_sector(&self, index: usize, mut tell: impl FnMut(u64, Seen)) {
        let unit = &self.all.units[index];
        for op in &self.all.ops[unit.ops.clone()] {
            let sizes = &self.all.sizes[&op.file];
            let owners = self.owners.get(&(op.file, op.data.page));
            for number in sectors_of(op.data.mask & unit.mask) {
                let at = op.data.page * PAGE_BYTES as u64 + (number * SECTOR_BYTES) as u64;
                let owner = owners.map_or(0, |owners| owners[number]);
                let differs = || {
                    let before = sector(op.data.before.as_ref(), number);
                    before != sector(Some(&op.data.after), number)
                };
                let behind = at >= sizes.len();
                let seen = if sizes.is_cut(op.seq, at) || owner > index + 1 && !behind {
                    Seen::Neutral
                } else if unit.fate != Fate::Old {
                    if behind { Seen::Hidden } else { Seen::Trace }
                } else if differs() {
                    Seen::Missed
                } else {
                    Seen::Neutral
                };
                tell(at, seen);
            }
        }
    }

    fn tally_files(&self, env: &mut Env<'_>) {
        for (file, sizes) in &self.all.sizes {
            let (mut kept, mut lost, mut bare, mut beyond) = (0, 0, None, None);
            for call in self.all.calls.iter().filter(|call| call.file == *file) {
                for index in call.units.clone() {
                    let unit = &self.all.units[index];
                    let new = unit.fate == Fate::New;
                    let older = Some(self.all.ops[unit.ops.start].seq) < sizes.kept_seq();
                    self.each_sector(index, |at, seen| {
                        kept += u64::from(new);
                        lost += u64::from(!new);
                        let grown = sizes.base() <= at && at < sizes.len();
                        if seen == Seen::Missed && grown && older && self.owner(*file, at) == 0 {
                            bare = bare.or(Some(at));
                        }
                        if seen == Seen::Hidden {
                            beyond = beyond.or(Some(at));
                        }
                    });
                }
            }
            if let Some(at) = bare {
                delivered(env, Fault::SizeWithoutData, *file, at, sizes.len());
            }
            if let Some(at) = beyond {
                delivered(env, Fault::DataWithoutSize, *file, at, sizes.len());
            }
            if kept + lost > 0 {
                env.trace.event(None, What::Settled { file: *file, kept, lost });
            }
        }
    }

    fn owner(&self, file: FileId, at: u64) -> usize {
        let (page, byte) = (at / PAGE_BYTES as u64, at as usize % PAGE_BYTES);
        self.owners.get(&(file, page)).map_or(0, |owners| owners[byte / SECTOR_BYTES])
    }
}

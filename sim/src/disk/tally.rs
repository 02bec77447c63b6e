//! Names what a power loss did, and counts it where it really happened.
//!
//! # Method
//!
//! A write survives if all its sectors show its bytes (or a later write's), is lost if none does, and
//! is torn otherwise; sectors behind the end of the file show nothing. A sector that would look the
//! same without the write is not counted as lost. `all_but_one` and `file_extremes` are counted when
//! their policy was drawn and its picture came out.

use std::collections::BTreeMap;

use super::model::delivered;
use super::names::Change;
use super::pages::{SECTOR_BYTES, sector, sectors_of};
use super::platter::FileId;
use super::policy::{Fate, SurvivalPolicy};
use super::settle::{Call, Loss, Settlement, Unit};
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

impl Settlement {
    /// Counts, and tells the trace. `lens` are the lengths of the files afterwards.
    pub(super) fn tally(&self, env: &mut Env<'_>, lens: &BTreeMap<FileId, u64>) -> Loss {
        let outcomes: Vec<Outcome> =
            self.calls.iter().map(|call| self.outcome(call, lens[&call.file])).collect();
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
            let (offset, len) = self.extent(call);
            delivered(env, fault, call.file, offset, len);
        }
        self.tally_order(env, &outcomes);
        self.tally_sectors(env);
        self.tally_files(env, lens);
        loss.lost_names = self.tally_names(env);
        loss
    }

    fn outcome(&self, call: &Call, len: u64) -> Outcome {
        let units = &self.units[call.units.clone()];
        let traces = units.iter().filter(|unit| unit.fate != Fate::Old && self.visible(unit, len));
        if traces.clone().count() == 0 && units.iter().any(|unit| self.changes(unit)) {
            return Outcome::Lost;
        }
        let whole = units
            .iter()
            .all(|unit| (unit.fate == Fate::New && self.visible(unit, len)) || !self.changes(unit));
        if whole { Outcome::Survived } else { Outcome::Torn }
    }

    /// Whether a unit begins below the end of its file.
    fn visible(&self, unit: &Unit, len: u64) -> bool {
        self.first_byte(unit) < len
    }

    fn first_byte(&self, unit: &Unit) -> u64 {
        let data = &self.ops[unit.ops.start].data;
        let mask = data.mask & unit.mask;
        data.offset()
            + u64::from(mask.trailing_zeros() - data.mask.trailing_zeros()) * SECTOR_BYTES as u64
    }

    /// Whether a sector of a unit would look different without it.
    fn changes(&self, unit: &Unit) -> bool {
        self.ops[unit.ops.clone()].iter().any(|op| {
            sectors_of(op.data.mask & unit.mask).any(|index| {
                sector(op.data.before.as_ref(), index) != sector(Some(&op.data.after), index)
            })
        })
    }

    fn extent(&self, call: &Call) -> (u64, u64) {
        let ops = self.units[call.units.start].ops.start..self.units[call.units.end - 1].ops.end;
        let ops = &self.ops[ops];
        (ops[0].data.offset(), ops.iter().map(|op| op.data.len()).sum())
    }

    fn tally_order(&self, env: &mut Env<'_>, outcomes: &[Outcome]) {
        let lost = outcomes.iter().filter(|outcome| **outcome == Outcome::Lost).count();
        let survived = outcomes.iter().filter(|outcome| **outcome == Outcome::Survived).count();
        if let Some(first) = outcomes.iter().position(|outcome| *outcome == Outcome::Lost) {
            let later = outcomes[first..].iter().position(|outcome| *outcome != Outcome::Lost);
            if let Some(later) = later {
                let call = &self.calls[first + later];
                let (offset, len) = self.extent(call);
                delivered(env, Fault::ReorderedWrites, call.file, offset, len);
            }
            if lost == 1
                && survived > 0
                && survived + 1 == outcomes.len()
                && self.policy == SurvivalPolicy::AllButOne
            {
                let call = &self.calls[first];
                let (offset, len) = self.extent(call);
                delivered(env, Fault::AllButOne, call.file, offset, len);
            }
        }
        if self.policy == SurvivalPolicy::FileExtremes {
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
    }

    fn tally_sectors(&self, env: &mut Env<'_>) {
        for unit in &self.units {
            let fault = match unit.fate {
                Fate::Zeros | Fate::Garbage => Fault::GarbageSector,
                Fate::Prefix => Fault::SubSectorTear,
                Fate::New | Fate::Old => continue,
            };
            let file = self.ops[unit.ops.start].file;
            let sectors: u32 = self.ops[unit.ops.clone()]
                .iter()
                .map(|op| (op.data.mask & unit.mask).count_ones())
                .sum();
            let len = u64::from(sectors) * SECTOR_BYTES as u64;
            delivered(env, fault, file, self.first_byte(unit), len);
        }
    }

    fn tally_files(&self, env: &mut Env<'_>, lens: &BTreeMap<FileId, u64>) {
        for (file, sizes) in &self.sizes {
            let (mut kept, mut lost, mut bare, mut beyond) = (0, 0, None, None);
            for call in self.calls.iter().filter(|call| call.file == *file) {
                for unit in &self.units[call.units.clone()] {
                    let new = unit.fate == Fate::New;
                    kept += u64::from(new);
                    lost += u64::from(!new);
                    let at = self.first_byte(unit);
                    if new && at >= lens[file] {
                        beyond = beyond.or(Some(at));
                    }
                    let shown = sizes.base() <= at && at < lens[file];
                    if !new && shown && self.changes(unit) {
                        bare = bare.or(Some(at));
                    }
                }
            }
            if let Some(at) = bare {
                delivered(env, Fault::SizeWithoutData, *file, at, lens[file]);
            }
            if let Some(at) = beyond {
                delivered(env, Fault::DataWithoutSize, *file, at, lens[file]);
            }
            if kept + lost > 0 {
                env.trace.event(None, What::Settled { file: *file, kept, lost });
            }
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

//! Names what a power loss did, and counts it where it really happened.
//!
//! # Method
//!
//! A sector of a write is missed if it differs from what was there before, and neither the write, nor
//! a later one, nor a cut of the file explains what is there now. A write is lost if it left no trace
//! and a sector of it is missed, torn if it left one, and survived otherwise. Each sector is looked at
//! once, for all that is asked of it. `all_but_one` and
//! `file_extremes` are counted when their policy was drawn and its picture came out.

use std::collections::BTreeMap;

use super::model::delivered;
use super::names::Change;
use super::pages::{PAGE_BYTES, PAGE_SECTORS, SECTOR_BYTES, sector, sectors_of};
use super::platter::FileId;
use super::policy::{Fate, SurvivalPolicy};
use super::settle::{Call, Loss, PendingData, Settlement, Unit};
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

/// What a power loss left of the sectors of one operation that belong to one unit. A sector that is in
/// none of these was overwritten or cut, or looks as before: nobody can tell.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    /// All of them.
    all: u8,
    /// They show the write's bytes, or something that the write left.
    trace: u8,
    /// They reached the device and lie behind the end of the file.
    hidden: u8,
    /// They are missed.
    missed: u8,
    /// Nothing pending left anything there.
    bare: u8,
}

/// All that was pending, looked at sector by sector, once.
struct Tally<'a> {
    all: &'a Settlement,
    /// What was seen of each operation of each unit, in their order.
    seen: Vec<Seen>,
    /// Where in that list a unit begins.
    first_seen: Vec<usize>,
}

impl Settlement {
    /// Counts, and tells the trace.
    pub(super) fn tally(&self, env: &mut Env<'_>) -> Loss {
        let tally = Tally::look(self);
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

/// For each page the unit, from 1, that was the last to leave something in each sector; 0 for none.
struct Owners {
    /// The page of each operation, as a place in the other list.
    page_of: Vec<usize>,
    units: Vec<[usize; PAGE_SECTORS]>,
}

impl Owners {
    fn of(all: &Settlement) -> Self {
        let mut pages: BTreeMap<(FileId, u64), usize> = BTreeMap::new();
        let page_of = all.ops.iter().map(|op| {
            let next = pages.len();
            *pages.entry((op.file, op.data.page)).or_insert(next)
        });
        let page_of: Vec<usize> = page_of.collect();
        let mut units = vec![[0; PAGE_SECTORS]; pages.len()];
        for (index, unit) in all.units.iter().enumerate().filter(|(_, u)| u.fate != Fate::Old) {
            for op in unit.ops.clone() {
                for sector in sectors_of(all.ops[op].data.mask & unit.mask) {
                    units[page_of[op]][sector] = index + 1;
                }
            }
        }
        Owners { page_of, units }
    }
}

impl<'a> Tally<'a> {
    fn look(all: &'a Settlement) -> Self {
        let owners = Owners::of(all);
        // What of a file's lengths matters to an operation: its end, and the least that came later.
        let ends = all.ops.iter().map(|op| {
            let sizes = &all.sizes[&op.file];
            (sizes.len(), sizes.least_after(op.seq))
        });
        let ends: Vec<(u64, u64)> = ends.collect();
        let mut seen = Vec::with_capacity(all.units.len());
        let mut first_seen = Vec::with_capacity(all.units.len());
        for (index, unit) in all.units.iter().enumerate() {
            first_seen.push(seen.len());
            for op in unit.ops.clone() {
                let owners = &owners.units[owners.page_of[op]];
                seen.push(see(&all.ops[op], unit, index, owners, ends[op]));
            }
        }
        Tally { all, seen, first_seen }
    }

    /// What was seen of a unit, with the operation that it was seen of.
    fn of_unit(&self, index: usize) -> impl Iterator<Item = (&PendingData, &Seen)> {
        let ops = &self.all.ops[self.all.units[index].ops.clone()];
        ops.iter().zip(&self.seen[self.first_seen[index]..])
    }

    fn outcome(&self, call: &Call) -> Outcome {
        let (mut traces, mut missed) = (false, false);
        for index in call.units.clone() {
            let fate = self.all.units[index].fate;
            for (_, seen) in self.of_unit(index) {
                // What a later write overwrote was there all the same.
                traces |= fate != Fate::Old && seen.all & !seen.hidden != 0;
                missed |= seen.missed | seen.hidden != 0 || seen.trace != 0 && fate != Fate::New;
            }
        }
        match (traces, missed) {
            (_, false) => Outcome::Survived,
            (true, true) => Outcome::Torn,
            (false, true) => Outcome::Lost,
        }
    }

    fn tally_files(&self, env: &mut Env<'_>) {
        let mut files: BTreeMap<FileId, FileTally> = BTreeMap::new();
        for call in &self.all.calls {
            let of_file = files.entry(call.file).or_insert_with(|| {
                let sizes = &self.all.sizes[&call.file];
                let shown = (sizes.base(), sizes.len());
                FileTally { shown, kept_seq: sizes.kept_seq(), ..FileTally::default() }
            });
            let (base, len) = of_file.shown;
            for index in call.units.clone() {
                let unit = &self.all.units[index];
                let older = Some(self.all.ops[unit.ops.start].seq) < of_file.kept_seq;
                for (op, seen) in self.of_unit(index) {
                    let sectors = u64::from(seen.all.count_ones());
                    *(if unit.fate == Fate::New {
                        &mut of_file.kept
                    } else {
                        &mut of_file.lost
                    }) += sectors;
                    let at =
                        |number| op.data.page * PAGE_BYTES as u64 + number * SECTOR_BYTES as u64;
                    if older && of_file.bare.is_none() && seen.bare != 0 {
                        let mut bare = sectors_of(seen.bare).map(|number| at(number as u64));
                        of_file.bare = bare.find(|at| base <= *at && *at < len);
                    }
                    if of_file.beyond.is_none() && seen.hidden != 0 {
                        of_file.beyond = Some(at(u64::from(seen.hidden.trailing_zeros())));
                    }
                }
            }
        }
        for (file, FileTally { kept, lost, bare, beyond, shown: (_, len), .. }) in files {
            if let Some(at) = bare {
                delivered(env, Fault::SizeWithoutData, file, at, len);
            }
            if let Some(at) = beyond {
                delivered(env, Fault::DataWithoutSize, file, at, len);
            }
            if kept + lost > 0 {
                env.trace.event(None, What::Settled { file, kept, lost });
            }
        }
    }
}

/// What became of one file.
#[derive(Debug, Default)]
struct FileTally {
    /// What its surviving lengths alone show: from the least of them to the last.
    shown: (u64, u64),
    /// Order of the last surviving length.
    kept_seq: Option<u64>,
    /// Sectors that are new.
    kept: u64,
    /// Sectors that are not.
    lost: u64,
    /// A place that a surviving length shows, and whose bytes are missed.
    bare: Option<u64>,
    /// A place behind the end that reached the device.
    beyond: Option<u64>,
}

/// Looks at the sectors of an operation that belong to the unit at `index`.
fn see(
    op: &PendingData,
    unit: &Unit,
    index: usize,
    owners: &[usize; PAGE_SECTORS],
    (len, least_after): (u64, u64),
) -> Seen {
    let all = op.data.mask & unit.mask;
    let mut seen = Seen { all, ..Seen::default() };
    for number in sectors_of(all) {
        let at = op.data.page * PAGE_BYTES as u64 + (number * SECTOR_BYTES) as u64;
        let bit = 1 << number;
        let (owner, behind) = (owners[number], at >= len);
        if least_after <= at || owner > index + 1 && !behind {
            continue;
        }
        if unit.fate != Fate::Old {
            *(if behind { &mut seen.hidden } else { &mut seen.trace }) |= bit;
        } else if sector(op.data.before.as_ref(), number) != sector(Some(&op.data.after), number) {
            seen.missed |= bit;
            seen.bare |= if owner == 0 { bit } else { 0 };
        }
    }
    seen
}

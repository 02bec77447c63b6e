//! Survival policies: which unsynced operations a power loss leaves, as a style of losing.
//!
//! # Method
//!
//! A crash draws one policy. Then each unit that the device or the file system does not tear makes
//! one choice of its own; from a seed the policy proposes it, every other source gives it. So a
//! recording holds the fates themselves, and lowering one of them brings one unit back.

use serde::{Deserialize, Serialize};

use crate::choice::{BOUND_MAX, Choices, Kind, Label, mix};

/// A style of losing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SurvivalPolicy {
    /// Everything survives, and nothing is chosen.
    All,
    /// Nothing survives.
    None,
    /// Everything up to one call, of which a part survives.
    Prefix,
    /// A random subset of calls.
    Calls,
    /// Every call but one.
    AllButOne,
    /// A random subset of units (sectors, on most devices), some of them garbage.
    Sectors,
    /// A random subset of pages.
    Pages,
    /// The last calls, without the older ones.
    Newest,
    /// Lengths survive, bytes do not.
    SizeWithoutData,
    /// Bytes survive, lengths do not.
    DataWithoutSize,
    /// One file keeps everything, another nothing.
    FileExtremes,
}

/// Those that keep some and lose some find the most.
const KINDS: [(SurvivalPolicy, u32); 11] = [
    (SurvivalPolicy::All, 1),
    (SurvivalPolicy::None, 1),
    (SurvivalPolicy::Prefix, 3),
    (SurvivalPolicy::Calls, 3),
    (SurvivalPolicy::AllButOne, 2),
    (SurvivalPolicy::Sectors, 5),
    (SurvivalPolicy::Pages, 2),
    (SurvivalPolicy::Newest, 1),
    (SurvivalPolicy::SizeWithoutData, 1),
    (SurvivalPolicy::DataWithoutSize, 1),
    (SurvivalPolicy::FileExtremes, 2),
];

/// What the platter holds of one unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    New,
    Old,
    Zeros,
    Garbage,
    /// The first bytes are new.
    Prefix,
}

const FATES: [Fate; 5] = [Fate::New, Fate::Old, Fate::Zeros, Fate::Garbage, Fate::Prefix];

/// Where a unit stands among all that is pending.
#[derive(Clone, Copy, Debug)]
pub(super) struct UnitPlace {
    /// Rank of its call among the calls with data, from 0.
    pub(super) rank: u64,
    pub(super) call: u64,
    pub(super) file: u32,
    pub(super) page: u64,
}

/// One crash's policy with its numbers.
#[derive(Clone, Debug)]
pub(super) struct Proposer {
    pub(super) policy: SurvivalPolicy,
    nonce: u64,
    keep_ppm: u64,
    /// Rank of the call at which a prefix ends, after which the newest begin, or that is lost.
    odd: u64,
    garbage: bool,
    tear: bool,
}

impl Proposer {
    /// Draws a policy for `calls` pending calls. `admit` says which policies may be drawn; one that
    /// may not becomes another, so that no other choice moves.
    pub(super) fn draw(
        choices: &mut Choices,
        pinned: Option<SurvivalPolicy>,
        calls: u64,
        admit: impl Fn(SurvivalPolicy) -> SurvivalPolicy,
    ) -> Self {
        let weights = KINDS.map(|(_, weight)| weight);
        let policy = pinned
            .unwrap_or_else(|| admit(KINDS[choices.weighted("disk_fate/policy", &weights)].0));
        // The numbers of a policy are raw draws: what they lead to is recorded unit by unit.
        let mut nonce = 0;
        choices.decide("disk_fate/numbers", 1, |draws| {
            nonce = draws.below(BOUND_MAX);
            0
        });
        Proposer {
            policy,
            nonce,
            keep_ppm: 100_000 + mix(nonce ^ 1) % 800_001,
            odd: mix(nonce ^ 2) % calls.max(1),
            garbage: mix(nonce ^ 3).is_multiple_of(2),
            tear: mix(nonce ^ 4).is_multiple_of(2),
        }
    }

    /// Chooses the fate of one unit.
    pub(super) fn unit(&self, choices: &mut Choices, unit: &UnitPlace) -> Fate {
        if self.policy == SurvivalPolicy::All {
            return Fate::New;
        }
        choices.set_kind(Kind::Page(unit.file, unit.page));
        let value = choices.decide(Label::DISK_FATE, FATES.len() as u64, |draws| {
            self.propose(unit, u64::from(draws.bits()))
        });
        FATES[value as usize]
    }

    fn propose(&self, unit: &UnitPlace, draw: u64) -> u64 {
        let kept = |hash: u64| u64::from(hash % 1_000_000 >= self.keep_ppm);
        let one_of_two = mix(draw) % 2;
        match self.policy {
            SurvivalPolicy::All | SurvivalPolicy::DataWithoutSize => 0,
            SurvivalPolicy::None | SurvivalPolicy::SizeWithoutData => 1,
            SurvivalPolicy::Prefix => match unit.rank.cmp(&self.odd) {
                std::cmp::Ordering::Less => 0,
                std::cmp::Ordering::Equal => one_of_two,
                std::cmp::Ordering::Greater => 1,
            },
            SurvivalPolicy::Calls => kept(mix(self.nonce ^ mix(unit.call))),
            SurvivalPolicy::AllButOne => u64::from(unit.rank == self.odd),
            SurvivalPolicy::Sectors => self.sector(draw),
            SurvivalPolicy::Pages => kept(mix(self.nonce ^ mix(unit.call ^ mix(unit.page)))),
            SurvivalPolicy::Newest => u64::from(unit.rank <= self.odd),
            SurvivalPolicy::FileExtremes => mix(self.nonce ^ mix(u64::from(unit.file))) % 2,
        }
    }

    /// A unit of its own: kept, or old, or now and then something else.
    fn sector(&self, draw: u64) -> u64 {
        if mix(draw) % 1_000_000 < self.keep_ppm {
            return 0;
        }
        match mix(draw ^ 1) % 8 {
            0 if self.garbage => 2,
            1 if self.garbage => 3,
            2 if self.tear => 4,
            _ => 1,
        }
    }

    /// Chooses how many of the last `count` ordered changes (lengths of a file, names) are lost.
    pub(super) fn lost_of(
        &self,
        choices: &mut Choices,
        label: &'static str,
        count: u64,
        file: u32,
    ) -> u64 {
        if self.policy == SurvivalPolicy::All || count == 0 {
            return 0;
        }
        choices.decide(label, count + 1, |draws| {
            let draw = u64::from(draws.bits());
            match self.policy {
                SurvivalPolicy::All
                | SurvivalPolicy::SizeWithoutData
                | SurvivalPolicy::AllButOne => 0,
                SurvivalPolicy::None | SurvivalPolicy::DataWithoutSize => count,
                SurvivalPolicy::FileExtremes => {
                    count * (mix(self.nonce ^ mix(u64::from(file))) % 2)
                }
                // Ends of the range are as likely as all between: most bugs want one of them.
                _ => match mix(draw) % 4 {
                    0 => 0,
                    1 => count,
                    _ => mix(draw ^ 5) % (count + 1),
                },
            }
        })
    }

    /// Chooses whether one change of names, free of any order, survives.
    pub(super) fn name_survives(&self, choices: &mut Choices) -> bool {
        if self.policy == SurvivalPolicy::All {
            return true;
        }
        let value = choices.decide("disk_fate/name", 2, |draws| {
            let draw = u64::from(draws.bits());
            match self.policy {
                SurvivalPolicy::All | SurvivalPolicy::AllButOne => 0,
                SurvivalPolicy::None => 1,
                _ => u64::from(mix(draw) % 1_000_000 >= self.keep_ppm),
            }
        });
        value == 0
    }
}

//! What the runs of one part of a plan came to.
//!
//! # Method
//!
//! Counters are summed and findings kept once a signature, so a million seeds need no more memory than
//! a thousand. The digest folds the digests of all runs in the order of their seeds: answers that come
//! early wait in a buffer until those before them have come.
//!
//! # Invariant
//!
//! A finished tally is the same for any number of workers.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use falconry_sim::trace::Digest;
use serde::{Deserialize, Serialize};

use super::protocol::{Done, Found};
use super::spread::Spread;
use crate::run::{Counters, Finding};

/// What a run whose worker was lost adds to the digest.
const LOST_DIGEST: u128 = 0x4C6F_7374;

/// Most signatures that are kept; the rest is only counted.
const SIGNATURES_MAX: usize = 1_000;

/// The tally of one part.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Tally {
    /// Seeds that were run.
    pub run: u64,
    /// Seeds that were run twice.
    pub twice: u64,
    /// The sums.
    pub counters: Counters,
    /// How the acknowledged commits of runs spread.
    pub commits: Spread,
    /// How their power losses spread.
    pub power_losses: Spread,
    /// What was found, by signature.
    pub found: BTreeMap<String, Found>,
    /// Findings whose signatures were not kept.
    pub more_findings: u64,
    /// Assertion sites that were reached.
    pub reached: BTreeSet<String>,
    /// Workers that were lost.
    pub workers_lost: u64,
    /// Workers' time.
    pub busy: Duration,
    digest: OrderedDigest,
}

impl Tally {
    /// Takes in the answer to a job that began at number `first`.
    pub fn done(&mut self, first: u64, done: Done, took: Duration) {
        self.run += done.digests.len() as u64;
        self.twice += done.twice;
        self.counters.add(&done.counters);
        self.commits.add(&done.commits);
        self.power_losses.add(&done.power_losses);
        self.reached.extend(done.reached);
        self.busy += took;
        self.digest.add(first, done.digests);
        for found in done.found {
            self.found(found);
        }
    }

    /// Takes in number `index`, at which a worker was lost.
    pub fn lost(&mut self, index: u64, seed: u64, finding: Finding, took: Duration) {
        self.run += 1;
        self.workers_lost += 1;
        self.busy += took;
        self.digest.add(index, vec![LOST_DIGEST]);
        self.found(Found { seed, count: 1, finding });
    }

    fn found(&mut self, new: Found) {
        let signature = new.finding.signature();
        let is_full = self.found.len() >= SIGNATURES_MAX;
        match self.found.get_mut(&signature) {
            Some(known) => {
                known.count += new.count;
                if new.seed < known.seed {
                    (known.seed, known.finding) = (new.seed, new.finding);
                }
            }
            None if is_full => self.more_findings += new.count,
            None => {
                self.found.insert(signature, new);
            }
        }
    }

    /// The numbers `0..this` were all run.
    pub fn contiguous(&self) -> u64 {
        self.digest.next
    }

    /// The digest of all runs from the first on, as far as they are contiguous.
    pub fn digest(&self) -> Digest {
        Digest::from_value(self.digest.folded)
    }

    /// Findings that count, and those that are expected.
    pub fn findings(&self, expected: bool) -> u64 {
        let of_kind = |found: &&Found| found.finding.expected_finding == expected;
        let more = if expected { 0 } else { self.more_findings };
        self.found.values().filter(of_kind).map(|found| found.count).sum::<u64>() + more
    }
}

impl Tally {
    /// The findings that count by the faults beyond the claims that were delivered; those within the
    /// budget are not among them.
    pub fn beyond(&self) -> BTreeMap<String, u64> {
        let mut counts = BTreeMap::new();
        for Found { finding, count, .. } in self.found.values() {
            if !finding.expected_finding && !finding.beyond.is_empty() {
                *counts.entry(finding.beyond()).or_default() += count;
            }
        }
        counts
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct OrderedDigest {
    /// The next number to fold.
    next: u64,
    folded: u128,
    #[serde(skip)]
    early: BTreeMap<u64, Vec<u128>>,
}

impl Default for OrderedDigest {
    fn default() -> Self {
        OrderedDigest { next: 0, folded: Digest::new().value(), early: BTreeMap::new() }
    }
}

impl OrderedDigest {
    fn add(&mut self, first: u64, digests: Vec<u128>) {
        self.early.insert(first, digests);
        let mut digest = Digest::from_value(self.folded);
        while let Some(digests) = self.early.remove(&self.next) {
            for run in &digests {
                digest.fold(*run as u64, (*run >> 64) as u64);
            }
            self.next += digests.len() as u64;
        }
        self.folded = digest.value();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::Property;

    fn finding(sentence: &str) -> Finding {
        Finding {
            property: Property::Durability,
            sentence: sentence.into(),
            place: String::new(),
            what: Vec::new(),
            expected: None,
            found: None,
            path_of: Vec::new(),
            boot: 1,
            step: 1,
            beyond: Vec::new(),
            expected_finding: false,
        }
    }

    fn done(digests: &[u128], found: Option<Found>) -> Done {
        Done {
            digests: digests.to_vec(),
            counters: Counters::default(),
            commits: Spread::default(),
            power_losses: Spread::default(),
            found: found.into_iter().collect(),
            reached: Vec::new(),
            twice: 0,
            retires: false,
        }
    }

    #[test]
    fn the_order_of_answers_changes_nothing() {
        let at = |seed| Some(Found { seed, count: 2, finding: finding("commit lost") });
        let batches =
            [(0, done(&[1, 2], at(1))), (2, done(&[3], at(2))), (4, done(&[5, 6], at(5)))];
        let sum = |order: [usize; 3]| {
            let mut tally = Tally::default();
            tally.lost(3, 3, finding("worker lost"), Duration::ZERO);
            for index in order {
                let (first, done) = batches[index].clone();
                tally.done(first, done, Duration::ZERO);
            }
            tally
        };
        let tally = sum([0, 1, 2]);
        assert_eq!((tally.run, tally.contiguous(), tally.findings(false)), (6, 6, 7));
        assert_eq!(tally.found.len(), 2);
        for order in [[0, 2, 1], [1, 0, 2], [2, 1, 0]] {
            let other = sum(order);
            assert_eq!(other.digest(), tally.digest(), "{order:?}");
            assert_eq!(other.found, tally.found, "{order:?}");
        }
    }

    #[test]
    fn one_bug_within_the_budget_and_beyond_it_is_two_findings() {
        use falconry_sim::fault::Fault;
        let beyond = |faults: &[Fault]| Finding { beyond: faults.to_vec(), ..finding("lost") };
        let sums = [(beyond(&[]), 1), (beyond(&[Fault::BitRot]), 2), (beyond(&[Fault::Shorn]), 4)];
        let mut tally = Tally::default();
        for (seed, (finding, count)) in (0..).zip(sums) {
            tally.done(seed, done(&[7], Some(Found { seed, count, finding })), Duration::ZERO);
        }
        assert_eq!((tally.found.len(), tally.findings(false)), (3, 7));
        let expected = [("bit_rot".to_string(), 2), ("shorn".to_string(), 4)];
        assert_eq!(tally.beyond(), BTreeMap::from(expected));
    }

    #[test]
    fn what_came_early_is_not_folded_before_its_turn() {
        let mut tally = Tally::default();
        tally.done(1, done(&[9], None), Duration::ZERO);
        assert_eq!((tally.contiguous(), tally.digest()), (0, Digest::new()));
    }
}

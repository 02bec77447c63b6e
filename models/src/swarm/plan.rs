//! Which seeds of which engine and scenario come next.
//!
//! # Method
//!
//! A plan has parts, one for each engine and scenario. The seeds of a part are numbered from 0; an
//! idle worker gets a batch of the part that has had the least time, so that time is shared evenly. A
//! batch is as long as takes about [`BATCH_TIME`], so that talking about it costs nothing.
//!
//! # Invariant
//!
//! Each number of a part is handed out until it was answered or lost, and in ascending order but for
//! those whose worker was lost.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::protocol::{Batch, Mode};
use crate::cli::values::{Partition, SeedRange};
use crate::run::Case;

/// How long a batch should take.
const BATCH_TIME: Duration = Duration::from_millis(100);

/// Seeds of the first batch of a part, when nothing is known about it.
const FIRST_COUNT: u64 = 4;

/// Most seeds of a batch.
const COUNT_MAX: u64 = 4096;

/// The seeds of each part: number `i` is `from + (slice - 1) + i * slices`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seeds {
    /// The first seed of slice 1.
    pub from: u64,
    /// The first seed that no longer belongs to the plan.
    pub until: u64,
    /// Which slice, from 1.
    pub slice: u64,
    /// How many there are.
    pub slices: u64,
}

impl Seeds {
    /// One slice of a range.
    pub fn new(range: SeedRange, partition: Partition) -> Seeds {
        let Partition { slice, slices } = partition;
        Seeds { from: range.from, until: range.until, slice, slices }
    }

    /// How many seeds the slice has.
    pub fn count(&self) -> u64 {
        let first = self.from.saturating_add(self.slice - 1);
        self.until.saturating_sub(first).div_ceil(self.slices)
    }

    /// The seed of number `index`.
    pub fn seed(&self, index: u64) -> u64 {
        assert!(index < self.count(), "seed {index} of {}", self.count());
        self.from + (self.slice - 1) + index * self.slices
    }

    /// The number of `seed`, which belongs to the slice.
    pub fn index(&self, seed: u64) -> u64 {
        (seed - self.from - (self.slice - 1)) / self.slices
    }
}

/// Numbers `first..first + count` of one part, under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Job {
    /// Index of the part.
    pub part: usize,
    /// The first number.
    pub first: u64,
    /// How many.
    pub count: u64,
}

/// What is still to be done.
pub struct Plan {
    seeds: Seeds,
    mode: Mode,
    parts: Vec<Part>,
}

#[derive(Default)]
struct Part {
    /// The first number that was never handed out.
    next: u64,
    /// Numbers to hand out again, because their worker was lost.
    again: Vec<(u64, u64)>,
    /// Workers' time so far.
    used: Duration,
    /// Numbers that took this time.
    timed: u64,
}

impl Plan {
    /// All numbers of `parts` parts; those below `done` of each are done already.
    pub fn new(seeds: Seeds, mode: Mode, done: &[u64]) -> Plan {
        let parts = done.iter().map(|next| Part { next: *next, ..Part::default() }).collect();
        Plan { seeds, mode, parts }
    }

    /// The next job, or none when all were handed out.
    pub fn next(&mut self) -> Option<Job> {
        let planned = self.seeds.count();
        let waiting = |part: &Part| part.next < planned || !part.again.is_empty();
        let least = self.parts.iter_mut().enumerate().filter(|(_, part)| waiting(part));
        let (index, part) = least.min_by_key(|(_, part)| part.used)?;
        // Until the first answer it counts as used, so that another worker takes another part.
        let expected = part.expected_time();
        part.used += expected;
        if let Some((first, count)) = part.again.pop() {
            return Some(Job { part: index, first, count });
        }
        let count = part.batch_count().min(planned - part.next);
        let job = Job { part: index, first: part.next, count };
        part.next += count;
        Some(job)
    }

    /// The order for a job.
    pub fn batch(&self, job: Job) -> Batch {
        Batch {
            part: job.part,
            from: self.seeds.seed(job.first),
            stride: self.seeds.slices,
            count: job.count,
            mode: self.mode,
        }
    }

    /// A job was answered after `took`.
    pub fn done(&mut self, job: Job, took: Duration) {
        let part = &mut self.parts[job.part];
        part.used = part.used.saturating_sub(part.expected_time()) + took;
        part.timed += job.count;
    }

    /// The worker of a job was lost at number `at`, which is not tried again.
    pub fn lost(&mut self, job: Job, at: Option<u64>, took: Duration) {
        let part = &mut self.parts[job.part];
        part.used = part.used.saturating_sub(part.expected_time()) + took;
        let end = job.first + job.count;
        let ranges = match at {
            Some(at) => vec![(at + 1, end - at - 1), (job.first, at - job.first)],
            None => vec![(job.first, job.count)],
        };
        part.again.extend(ranges.into_iter().filter(|(_, count)| *count > 0));
    }
}

impl Part {
    fn batch_count(&self) -> u64 {
        if self.timed == 0 {
            return FIRST_COUNT;
        }
        let each_ns = (self.used.as_nanos() as u64 / self.timed).max(1);
        (BATCH_TIME.as_nanos() as u64 / each_ns).clamp(1, COUNT_MAX)
    }

    fn expected_time(&self) -> Duration {
        BATCH_TIME
    }
}

/// What identifies a plan, so that another swarm can go on with it.
pub fn identity(parts: &[Case], seeds: Option<Seeds>) -> String {
    serde_json::to_string(&(parts, seeds)).expect("cases are plain data")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seeds(from: u64, until: u64, slice: u64, slices: u64) -> Seeds {
        Seeds { from, until, slice, slices }
    }

    #[test]
    fn the_slices_of_a_plan_are_the_plan() {
        let mut all: Vec<u64> = Vec::new();
        for slice in 1..=3 {
            let seeds = seeds(5, 15, slice, 3);
            all.extend((0..seeds.count()).map(|index| seeds.seed(index)));
            assert!((0..seeds.count()).all(|index| seeds.index(seeds.seed(index)) == index));
        }
        all.sort_unstable();
        assert_eq!(all, (5..15).collect::<Vec<_>>());
        assert_eq!(seeds(0, 2, 3, 3).count(), 0);
        assert_eq!(seeds(0, u64::MAX, 1, 1).count(), u64::MAX);
    }

    #[test]
    fn every_number_is_handed_out_and_a_lost_one_is_not_tried_again() {
        let mut plan = Plan::new(seeds(0, 50, 1, 1), Mode::Swarm, &[0, 40]);
        let mut answered = [vec![false; 50], vec![false; 50]];
        let mut lost_once = false;
        while let Some(job) = plan.next() {
            if job.part == 0 && job.first <= 7 && 7 < job.first + job.count && !lost_once {
                lost_once = true;
                plan.lost(job, Some(7), Duration::from_millis(1));
                continue;
            }
            for number in job.first..job.first + job.count {
                let seen = std::mem::replace(&mut answered[job.part][number as usize], true);
                assert!(!seen, "{number} came twice");
            }
            plan.done(job, Duration::from_millis(10));
        }
        assert!(lost_once);
        assert!((0..50).all(|number| answered[0][number] == (number != 7)));
        assert!((0..50).all(|number| answered[1][number] == (number >= 40)));
    }

    #[test]
    fn time_is_shared_evenly_by_unequal_parts() {
        let mut plan = Plan::new(seeds(0, 1 << 40, 1, 1), Mode::Swarm, &[0, 0]);
        let each = [Duration::from_micros(100), Duration::from_millis(5)];
        let mut used = [Duration::ZERO; 2];
        for _ in 0..200 {
            let job = plan.next().expect("a long plan");
            let took = each[job.part] * job.count as u32;
            used[job.part] += took;
            plan.done(job, took);
        }
        let ratio = used[0].as_secs_f64() / used[1].as_secs_f64();
        assert!((0.9..1.1).contains(&ratio), "{used:?}");
    }
}

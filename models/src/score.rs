//! How soon the testbed finds the bugs that it is known by: seeds, steps and time to the first find.
//!
//! # Method
//!
//! Each specimen is run from several starting seeds, far apart, one seed after the other as a swarm
//! does, on one core until its bug is found or the time is over. The clock is looked at between runs
//! alone.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::run::{Case, CaseError, Outcome, Wishes, properties, run_case};
use crate::specimen::{self, Specimen};

/// Starting seeds are so far apart.
pub const APART: u64 = 1 << 32;

/// What a first find took.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Effort {
    /// Seeds, that with the find included.
    pub seeds: u64,
    /// Scheduling decisions.
    pub steps: u64,
    /// Seconds of one core.
    pub seconds: f64,
    /// Whether the bug was found; if not, this is what was spent.
    pub found: bool,
}

/// The case of a specimen, with its bug or mended.
pub fn case_of(specimen: &Specimen, seed: u64, planted: bool) -> Case {
    let bug = planted.then(|| specimen.name.to_string());
    Case {
        planted: bug.into_iter().collect(),
        ..properties::plain(specimen::ENGINE, &specimen.scenario_name(), seed)
    }
}

fn run(specimen: &Specimen, seed: u64, planted: bool) -> Result<Outcome, CaseError> {
    run_case(&case_of(specimen, seed, planted), &Wishes::default())
}

/// Runs seeds from `first` on until the bug is found; `None` when `stop` said so first.
///
/// # Errors
///
/// When the specimen cannot be run.
pub fn first_find(
    specimen: &Specimen,
    first: u64,
    limit: Duration,
    stop: &dyn Fn() -> bool,
) -> Result<Option<Effort>, CaseError> {
    let begun = Instant::now();
    let mut effort = Effort { seeds: 0, steps: 0, seconds: 0.0, found: false };
    while !effort.found && begun.elapsed() < limit {
        if stop() {
            return Ok(None);
        }
        let outcome = run(specimen, first + effort.seeds, true)?;
        effort.seeds += 1;
        effort.steps += outcome.counters.steps;
        effort.found = !outcome.findings.is_empty();
    }
    effort.seconds = begun.elapsed().as_secs_f64();
    Ok(Some(effort))
}

/// The first seed of `seeds` in which the mended twin is convicted, and how many were run.
///
/// # Errors
///
/// When the specimen cannot be run.
pub fn false_alarm(
    specimen: &Specimen,
    seeds: u64,
    stop: &dyn Fn() -> bool,
) -> Result<(Option<u64>, u64), CaseError> {
    for seed in 0..seeds {
        if stop() {
            return Ok((None, seed));
        }
        if !run(specimen, seed, false)?.findings.is_empty() {
            return Ok((Some(seed), seed + 1));
        }
    }
    Ok((None, seeds))
}

/// Does `count` pieces of work on `jobs` threads and returns their results in order.
///
/// # Errors
///
/// The first error of a piece, in order.
pub fn in_parallel<T: Send, E: Send>(
    jobs: usize,
    count: usize,
    work: impl Fn(usize) -> Result<T, E> + Sync,
) -> Result<Vec<T>, E> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::with_capacity(count));
    std::thread::scope(|scope| {
        for _ in 0..jobs.clamp(1, count.max(1)) {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if index >= count {
                        return;
                    }
                    let result = work(index);
                    done.lock().unwrap_or_else(PoisonError::into_inner).push((index, result));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
}

/// The value below which a share of `values` lies: 0.5 for the median. `None` without values.
pub fn quantile(values: impl Iterator<Item = f64>, share: f64) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let rank = (share * values.len() as f64).ceil() as usize;
    values.get(rank.saturating_sub(1)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_one_of_the_values() {
        let values = || (1..=20).rev().map(f64::from);
        assert_eq!(quantile(values(), 0.5), Some(10.0));
        assert_eq!(quantile(values(), 0.95), Some(19.0));
        assert_eq!(quantile([7.0].into_iter(), 0.95), Some(7.0));
        assert_eq!(quantile(std::iter::empty(), 0.5), None);
    }

    #[test]
    fn work_in_parallel_keeps_its_order_and_its_first_error() {
        let doubled = in_parallel(2, 9, |index| Ok::<usize, ()>(index * 2)).unwrap();
        assert_eq!(doubled, [0, 2, 4, 6, 8, 10, 12, 14, 16]);
        let failed = in_parallel(2, 9, |index| if index % 4 == 3 { Err(index) } else { Ok(()) });
        assert_eq!(failed, Err(3));
    }

    #[test]
    fn a_find_tells_what_it_took_and_a_limit_ends_it() {
        let lost = specimen::of_scenario("specimen/lost_update").unwrap();
        let long = Duration::from_secs(60);
        let found = first_find(lost, 1, long, &|| false).unwrap().unwrap();
        assert!(found.found && found.seeds > 0 && found.steps > 0);
        let none = first_find(lost, 1, Duration::ZERO, &|| false).unwrap().unwrap();
        assert!(!none.found && none.seeds == 0);
        assert_eq!(first_find(lost, 1, long, &|| true).unwrap(), None);
        assert_eq!(false_alarm(lost, 20, &|| false).unwrap(), (None, 20));
    }
}

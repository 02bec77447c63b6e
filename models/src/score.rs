//! How soon the testbed finds the bugs that it is known by: seeds, steps and time to the first find.
//!
//! # Method
//!
//! Each bug is looked for from several starting seeds, far apart, one seed after the other as a swarm
//! does, on one core until it is found or the time is over. A bug of an engine is looked for in all scenarios
//! that take the engine: the next run is of the one that has used the least time. A finding that the same run
//! has without the bug is none of it. Time is that of the core, and is looked at between runs alone; a run beside
//! other engines has a thread of its own, and counts by the wall's clock.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::run::{Case, CaseError, Outcome, Wishes, properties, run_case};
use crate::scenario;
use crate::specimen::{self, Specimen};

/// Starting seeds are so far apart.
pub const APART: u64 = 1 << 32;

/// A first find, or the search for it.
#[derive(Clone, Debug, PartialEq)]
pub struct Find {
    /// What it took.
    pub effort: Effort,
    /// The case that has the finding, if there is one.
    pub case: Option<Case>,
}

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
    let find = first_find_in(&[case_of(specimen, first, true)], limit, stop)?;
    Ok(find.map(|find| find.effort))
}

/// The cases in which a swarm of an engine alone looks for its bug, from a seed on: one in each built-in
/// scenario that takes the engine.
///
/// # Errors
///
/// For a scenario that cannot be read.
pub fn cases_of(engine: &str, bug: &str, seed: u64) -> Result<Vec<Case>, CaseError> {
    let mut cases = Vec::new();
    for built_in in scenario::list() {
        if scenario::find(built_in.name)?.admits(engine) {
            let planted = vec![bug.to_string()];
            cases.push(Case { planted, ..properties::plain(engine, built_in.name, seed) });
        }
    }
    Ok(cases)
}

impl Effort {
    /// The time that counts: what was not found counts as the limit.
    pub fn seconds_within(&self, limit: Duration) -> f64 {
        if self.found { self.seconds } else { limit.as_secs_f64().max(self.seconds) }
    }
}

/// Runs each of the cases from its seed on, always that which has used the least time, until one has a
/// finding that it does not have without its bugs; `None` when `stop` said so first.
///
/// # Errors
///
/// When a case cannot be run.
pub fn first_find_in(
    cases: &[Case],
    limit: Duration,
    stop: &dyn Fn() -> bool,
) -> Result<Option<Find>, CaseError> {
    assert!(!cases.is_empty(), "nothing is run that a bug could be found in");
    let mut spent = Duration::ZERO;
    let mut parts: Vec<(Duration, Case)> =
        cases.iter().map(|case| (Duration::ZERO, case.clone())).collect();
    let effort = Effort { seeds: 0, steps: 0, seconds: 0.0, found: false };
    let mut find = Find { effort, case: None };
    while !find.effort.found && spent < limit {
        if stop() {
            return Ok(None);
        }
        let clock = Clock::start();
        let (used, case) = parts.iter_mut().min_by_key(|(used, _)| *used).expect("cases");
        let outcome = run_case(case, &Wishes::default())?;
        find.effort.seeds += 1;
        find.effort.steps += outcome.counters.steps;
        if !outcome.findings.is_empty() && is_clean_without_bug(case)? {
            find.effort.found = true;
            find.case = Some(case.clone());
        }
        case.seed = case.seed.wrapping_add(1);
        let time = clock.time(scenario::find(&case.scenario)?.beside.is_empty());
        (*used, spent) = (*used + time, spent + time);
    }
    find.effort.seconds = spent.as_secs_f64();
    Ok(Some(find))
}

fn is_clean_without_bug(case: &Case) -> Result<bool, CaseError> {
    let control = Case { planted: Vec::new(), ..case.clone() };
    Ok(run_case(&control, &Wishes::default())?.findings.is_empty())
}

/// When something began, by two clocks.
struct Clock {
    core: Duration,
    wall: Instant,
}

impl Clock {
    fn start() -> Clock {
        Clock { core: core_time(), wall: Instant::now() }
    }

    /// What it took: of this thread's core, or, for a run that has a thread of its own, by the wall's clock.
    fn time(&self, is_on_this_thread: bool) -> Duration {
        match is_on_this_thread {
            true => core_time().saturating_sub(self.core),
            false => self.wall.elapsed(),
        }
    }
}

/// Processor time of this thread.
fn core_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a local that lives through the call.
    let result = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    assert_eq!(result, 0, "the clock of the thread cannot be read");
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
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
    fn what_a_case_has_without_its_bugs_is_no_find() {
        let canary = properties::plain("canary", "kv/ledger", 0);
        let convicted = (0..20).any(|seed| {
            let case = Case { seed, ..canary.clone() };
            !run_case(&case, &Wishes::default()).unwrap().findings.is_empty()
        });
        assert!(convicted, "the canary has its bug without that it is planted");
        let limit = Duration::from_millis(200);
        let find = first_find_in(&[canary], limit, &|| false).unwrap().unwrap();
        assert!(!find.effort.found && find.case.is_none(), "{find:?}");
    }

    #[test]
    fn a_bug_is_looked_for_in_all_scenarios_of_its_engine() {
        let cases = cases_of("falcon", "page_before_log", 7).unwrap();
        assert!(cases.len() > 4, "{cases:?}");
        assert!(cases.iter().all(|case| case.seed == 7 && case.planted == ["page_before_log"]));
        let limit = Duration::from_secs(100);
        let find = first_find_in(&cases, limit, &|| false).unwrap().unwrap();
        let case = find.case.expect("a page before its log is found soon");
        assert!(cases.iter().any(|of| of.scenario == case.scenario) && find.effort.found);
    }

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

//! How small the failures of a specimen become.

use std::time::{Duration, Instant};

use falconry_sim::choice::Exception;

use super::{Budget, Shrunk, Size, run_by, shrink, signature_of};
use crate::run::{Case, CaseError};
use crate::score::{APART, case_of, first_find};
use crate::specimen::Specimen;

/// Failures of each specimen that are made small, from as many starting seeds.
pub const SHRINK_STARTS: u64 = 5;

/// What became of one failure.
#[derive(Clone, Debug)]
pub struct Shrinkage {
    /// Its size in the run of its seed.
    pub before: Size,
    /// Its size when it was small.
    pub after: Size,
    /// Seconds of one core.
    pub core_seconds: f64,
    /// Whether the reducer said that nothing more can be left out.
    pub is_minimal: bool,
    /// Whether that is so, if it was looked at.
    pub is_proven: Option<bool>,
}

/// Makes the first failure small that comes from starting seed `start` on, on one core. `None` when
/// `stop` said so first, when the bug was not found within `limit`, or when it could not be made small.
///
/// # Errors
///
/// When the specimen cannot be run.
pub fn shrinkage(
    specimen: &Specimen,
    start: u64,
    limit: Duration,
    prove: bool,
    stop: &dyn Fn() -> bool,
) -> Result<Option<Shrinkage>, CaseError> {
    let from = start * APART;
    let found = first_find(specimen, from, limit, stop)?.filter(|effort| effort.found);
    let Some(effort) = found else { return Ok(None) };
    let case = case_of(specimen, from + effort.seeds - 1, true);
    let begun = Instant::now();
    let budget = Budget { until: begun + limit, jobs: 1 };
    let Some(shrunk) = shrink(&case, "", None, budget)? else { return Ok(None) };
    let core_seconds = begun.elapsed().as_secs_f64();
    let is_proven = if prove { Some(is_minimal(&case, &shrunk)?) } else { None };
    Ok(Some(Shrinkage {
        before: shrunk.before,
        after: shrunk.after,
        core_seconds,
        is_minimal: shrunk.is_minimal,
        is_proven,
    }))
}

/// Whether a small case fails, and fails no more without any single one of its choices.
fn is_minimal(case: &Case, shrunk: &Shrunk) -> Result<bool, CaseError> {
    let all = shrunk.exceptions();
    let Some(signature) = signature_of(&run_by(case, &all)?) else { return Ok(false) };
    let fails = |exceptions: &[Exception]| {
        run_by(case, exceptions).map(|outcome| signature_of(&outcome).as_ref() == Some(&signature))
    };
    for index in 0..all.len() {
        if fails(&[&all[..index], &all[index + 1..]].concat())? {
            return Ok(false);
        }
    }
    Ok(true)
}

//! How small the failures of a specimen become.

use std::time::{Duration, Instant};

use falconry_sim::choice::{Capsule, Exception};

use super::{Budget, Size, run_by, shrink, signature_of};
use crate::run::{Case, CaseError, Wishes, run_case};
use crate::score::{APART, case_of};
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
    let begun = Instant::now();
    let mut case = case_of(specimen, start * APART, true);
    while run_case(&case, &Wishes::default())?.findings.is_empty() {
        if stop() || begun.elapsed() > limit {
            return Ok(None);
        }
        case.seed += 1;
    }
    let begun = Instant::now();
    let budget = Budget { until: begun + limit, jobs: 1 };
    let Some(shrunk) = shrink(&case, "", None, budget)? else { return Ok(None) };
    let core_seconds = begun.elapsed().as_secs_f64();
    let is_proven = if prove { Some(is_minimal(&case, &shrunk.capsule)?) } else { None };
    Ok(Some(Shrinkage {
        before: shrunk.before,
        after: shrunk.after,
        core_seconds,
        is_minimal: shrunk.is_minimal,
        is_proven,
    }))
}

/// Whether a capsule fails, and fails no more without any single one of its choices.
fn is_minimal(case: &Case, capsule: &str) -> Result<bool, CaseError> {
    let capsule = Capsule::from_text(capsule).expect("what was written just now");
    let signature = capsule.property("signature").map(String::from);
    let fails = |exceptions: &[Exception]| {
        run_by(case, exceptions).map(|outcome| signature_of(&outcome) == signature)
    };
    let all = &capsule.exceptions;
    if !fails(all)? {
        return Ok(false);
    }
    for index in 0..all.len() {
        if fails(&[&all[..index], &all[index + 1..]].concat())? {
            return Ok(false);
        }
    }
    Ok(true)
}

//! Makes a failing case small, and puts it into a capsule.
//!
//! # Method
//!
//! The case is run from its seed with the anchors of all choices that are not 0; the reducer of
//! `falconry-sim` takes away what it can. A candidate counts only when its first finding has the same
//! signature. What runs know more of than single choices is tried besides: to leave out a boot and to
//! count the later ones anew.

mod capsule;
mod score;
mod size;

use std::time::{Duration, Instant};

use falconry_sim::choice::{Capsule, Exception};
use falconry_sim::shrink::{Subject, reduce};
use serde::{Deserialize, Serialize};

pub use capsule::{Alignment, Fit, case_of, fit, write};
pub use score::{SHRINK_STARTS, Shrinkage, shrinkage};
pub use size::Size;

use crate::run::{Case, CaseError, Control, Outcome, Wishes, control, run_case};

/// The label of how many boots a run has.
const BOOTS: &str = "size/boots";

/// The label by which an operation is made.
const OPERATION: &str = "workload/op";

/// A budget of shrinking.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// When to stop.
    pub until: Instant,
    /// How many candidates are run at a time.
    pub jobs: usize,
}

impl Budget {
    /// So much time from now on.
    pub fn for_time(time: Duration, jobs: usize) -> Budget {
        Budget { until: Instant::now() + time, jobs }
    }
}

/// What shrinking came to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Shrunk {
    /// The text of the capsule.
    pub capsule: String,
    /// What the run was made of.
    pub before: Size,
    /// What is left of it.
    pub after: Size,
    /// Whether nothing more can be left out; else the budget was used up.
    pub is_minimal: bool,
    /// Runs that were made.
    pub runs: u64,
    /// Milliseconds that it took.
    pub took_ms: u64,
    /// What the control of the small case came to.
    pub control: Control,
}

impl Shrunk {
    /// As a report says it.
    pub fn sentence(&self) -> String {
        let seconds = self.took_ms as f64 / 1_000.0;
        format!("{}, in {seconds:.1} s: {}", self.before.to(&self.after), self.end())
    }

    /// What is left of the run.
    pub fn exceptions(&self) -> Vec<Exception> {
        Capsule::from_text(&self.capsule).expect("it was written by this program").exceptions
    }

    /// What ended it.
    fn end(&self) -> &'static str {
        if self.is_minimal { "nothing more can be left out" } else { "time was up" }
    }
}

/// Runs a case, as [`run_case`] and [`crate::run::run_with`] do.
pub type Run<'a> = dyn Fn(&Case, &Wishes) -> Result<Outcome, CaseError> + Sync + 'a;

/// A case that is being made small.
struct Small<'a> {
    case: &'a Case,
    run: &'a Run<'a>,
    signature: &'a str,
    budget: Budget,
}

impl Subject for Small<'_> {
    fn run(&self, exceptions: &[Exception]) -> Option<Vec<Exception>> {
        let outcome = by(self.run, self.case, exceptions).ok()?;
        let fails = signature_of(&outcome)? == self.signature;
        fails.then_some(outcome.anchored?.exceptions)
    }

    fn others(&self, exceptions: &[Exception]) -> Vec<Vec<Exception>> {
        without_a_boot(exceptions)
    }

    fn is_over(&self) -> bool {
        Instant::now() >= self.budget.until
    }
}

/// Runs a case by exceptions.
fn by(run: &Run<'_>, case: &Case, exceptions: &[Exception]) -> Result<Outcome, CaseError> {
    run(case, &Wishes { exceptions: Some(exceptions.to_vec()), ..Wishes::default() })
}

/// Runs a case of a built-in engine by exceptions.
///
/// # Errors
///
/// Where the case cannot be run at all.
pub fn run_by(case: &Case, exceptions: &[Exception]) -> Result<Outcome, CaseError> {
    by(&run_case, case, exceptions)
}

/// For each boot the exceptions without it, those after it counted anew.
fn without_a_boot(exceptions: &[Exception]) -> Vec<Vec<Exception>> {
    let last = exceptions.iter().map(|exception| exception.anchor.boot).max().unwrap_or(0);
    let without = |boot: u32| {
        let mut left: Vec<Exception> =
            exceptions.iter().filter(|e| e.anchor.boot != boot).cloned().collect();
        for exception in &mut left {
            if exception.anchor.boot > boot {
                exception.anchor.boot -= 1;
            }
            if exception.anchor.site == BOOTS {
                exception.value -= 1;
            }
        }
        left.retain(|exception| exception.value > 0);
        left
    };
    (1..=last).map(without).collect()
}

/// Shrinks the failure of a case of a built-in engine, as [`shrink_with`] does.
///
/// # Errors
///
/// Where the case cannot be run at all.
pub fn shrink(
    case: &Case,
    revision: &str,
    from: Option<&[Exception]>,
    budget: Budget,
) -> Result<Option<Shrunk>, CaseError> {
    shrink_with(&run_case, case, revision, from, budget)
}

/// Shrinks the failure of a case that `run` runs, which is the one of its seed, or of the exceptions
/// `from`. `None` when it does not fail, or not when it is driven by its own exceptions.
///
/// # Errors
///
/// Where the case cannot be run at all.
pub fn shrink_with(
    run: &Run<'_>,
    case: &Case,
    revision: &str,
    from: Option<&[Exception]>,
    budget: Budget,
) -> Result<Option<Shrunk>, CaseError> {
    let began = Instant::now();
    let wishes =
        Wishes { anchors: true, exceptions: from.map(<[Exception]>::to_vec), ..Wishes::default() };
    let first = run(case, &wishes)?;
    let Some(signature) = signature_of(&first) else { return Ok(None) };
    let exceptions = first.anchored.clone().unwrap_or_default().exceptions;
    let small = Small { case, run, signature: &signature, budget };
    let Some(reduced) = reduce(&small, &exceptions, budget.jobs) else { return Ok(None) };
    let last = by(run, case, &reduced.exceptions)?;
    let (controlled, without) = control::of(case);
    let control = Control::new(without, &by(run, &controlled, &reduced.exceptions)?);
    let mut shrunk = Shrunk {
        capsule: String::new(),
        before: Size::of(&exceptions, &first),
        after: Size::of(&reduced.exceptions, &last),
        is_minimal: reduced.is_minimal,
        runs: reduced.runs,
        took_ms: began.elapsed().as_millis() as u64,
        control,
    };
    shrunk.capsule = write(case, revision, &reduced.exceptions, &last, &shrunk);
    Ok(Some(shrunk))
}

/// The signature of an outcome's verdict.
pub(crate) fn signature_of(outcome: &Outcome) -> Option<String> {
    outcome.findings.first().map(crate::run::Finding::signature)
}

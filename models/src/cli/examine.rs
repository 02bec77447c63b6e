//! One case run with everything kept, in a worker, so that a case which ends its process ends only that.

use std::time::Duration;

use falconry_sim::choice::{Capsule, Recording};
use serde::Serialize;

use super::exit::{Exit, Stop};
use super::session::{SNAPSHOT_REVISION, Session};
use crate::report::{Report, Trust};
use crate::run::{
    Case, CaseError, Control, Counters, Finding, Outcome, Property, Wishes, control, run_case,
};
use crate::shrink::{self, Alignment, Shrunk};
use crate::swarm::{
    Examine, Examined, FromWorker, Happening, Pool, SILENCE_MAX, ToWorker, is_interrupted, loss,
};

const TICK: Duration = Duration::from_millis(100);

/// Runs cases one after the other in a worker.
pub struct Examiner {
    pool: Pool,
}

/// What a case came to.
pub struct Verdict {
    /// The case.
    pub case: Case,
    /// The first finding; none when every promise was kept.
    pub finding: Option<Finding>,
    /// All that was kept; none when the worker was lost.
    pub kept: Option<Box<Examined>>,
}

impl Examiner {
    /// Starts the worker.
    ///
    /// # Errors
    ///
    /// As the system refuses.
    pub fn start() -> Result<Examiner, Stop> {
        Ok(Examiner { pool: Pool::start(1, Vec::new(), SILENCE_MAX).map_err(no_worker)? })
    }

    /// Runs `case`, with what else `examine` asks for.
    ///
    /// # Errors
    ///
    /// [`Stop::Usage`] when the case cannot be run, [`Stop::OurBug`] when the testbed broke.
    pub fn examine(&mut self, case: &Case, examine: Examine) -> Result<Verdict, Stop> {
        let order = Examine { case: Some(case.clone()), ..examine };
        self.pool.give(0, &ToWorker::Examine(Box::new(order)));
        let happening = loop {
            if let Some((_, happening)) = self.pool.next(TICK).map_err(no_worker)? {
                break happening;
            }
            if is_interrupted() {
                return Err(Stop::Interrupted);
            }
        };
        let case = case.clone();
        match happening {
            Happening::Answer(FromWorker::Examined(kept)) => {
                let differs = kept.difference.clone();
                let finding = differs.or_else(|| kept.outcome.findings.first().cloned());
                Ok(Verdict { case, finding, kept: Some(kept) })
            }
            Happening::Answer(FromWorker::Refused(what)) => Err(Stop::Usage(what)),
            Happening::Answer(FromWorker::Broken(broken)) => Err(Stop::OurBug(format!(
                "a panic inside the testbed, at seed {}: {}",
                broken.seed, broken.message
            ))),
            Happening::Answer(other) => {
                Err(Stop::OurBug(format!("a worker answered an examination by {other:?}")))
            }
            Happening::Lost(lost) => {
                let finding = Some(loss(&case.engine, case.seed, &lost));
                Ok(Verdict { case, finding, kept: None })
            }
        }
    }
}

fn no_worker(error: std::io::Error) -> Stop {
    Stop::OurBug(format!("a worker cannot be started: {error}"))
}

/// What `--json` says of one run.
#[derive(Serialize)]
struct RunLine<'a> {
    engine: &'a str,
    scenario: &'a str,
    seed: u64,
    verdict: &'static str,
    digest: Option<String>,
    counters: Option<&'a Counters>,
    drawn: Option<&'a [(String, String)]>,
}

/// What `--json` says of one finding.
#[derive(Serialize)]
pub struct FindingLine<'a> {
    /// The case.
    pub case: &'a Case,
    /// Its signature.
    pub signature: String,
    /// What it is.
    pub finding: &'a Finding,
    /// In how many seeds it was seen.
    pub count: u64,
    /// What the control run came to.
    pub control: Option<&'a Control>,
    /// The command that runs it again.
    pub reproduce: String,
    /// What making it small came to.
    pub shrunk: Option<&'a Shrunk>,
    /// The file of its capsule.
    pub capsule: Option<&'a str>,
    /// The file that replays it.
    pub recording: Option<&'a str>,
}

/// The files that were written of a finding.
#[derive(Clone, Debug, Default)]
pub struct Files {
    /// Its recording.
    pub recording: Option<String>,
    /// Its capsule.
    pub capsule: Option<String>,
}

impl Verdict {
    /// What making it small came to.
    pub fn shrunk(&self) -> Option<&Shrunk> {
        self.kept.as_ref()?.shrunk.as_ref()
    }

    /// Shows times as if there were none.
    pub fn hold_still(&mut self) {
        if let Some(shrunk) = self.kept.as_mut().and_then(|kept| kept.shrunk.as_mut()) {
            shrunk.took_ms = 0;
        }
    }

    /// Whether it was driven by a capsule that does not fit any more.
    pub fn is_lost(&self) -> bool {
        let fit = self.kept.as_ref().and_then(|kept| kept.fit.as_ref());
        fit.is_some_and(|fit| matches!(fit.alignment, Alignment::Lost { .. }))
    }

    /// How the program ends after it.
    pub fn exit(&self) -> Exit {
        match &self.finding {
            None => Exit::Nothing,
            Some(finding) if finding.property == Property::Nondeterminism => Exit::Nondeterminism,
            Some(_) => Exit::Found,
        }
    }

    /// How far to trust it.
    pub fn trust(&self) -> Trust {
        match self.kept.as_deref() {
            Some(Examined { outcome, second_digest: Some(second), .. }) => {
                if outcome.digest == *second {
                    Trust::Repeated(*second)
                } else {
                    Trust::Differing(outcome.digest, *second)
                }
            }
            Some(_) => Trust::NotRepeated("run once, to the step that was asked for".into()),
            None => Trust::NotRepeated("the worker was lost, so there is no digest".into()),
        }
    }

    /// The text of its recording, which knows its case.
    pub fn recording(&self, revision: &str) -> Option<String> {
        let text = self.kept.as_ref()?.recording.as_deref()?;
        let mut recording = Recording::from_text(text).ok()?;
        recording.properties.push(("revision".into(), revision.into()));
        Some(recording.to_text())
    }

    /// The text of its report, if it failed.
    pub fn report(&self, session: &Session, seen: Option<String>, files: &Files) -> Option<String> {
        let kept = self.kept.as_deref();
        let report = Report {
            case: &self.case,
            finding: self.finding.as_ref()?,
            drawn: kept.map_or(&[], |kept| &kept.outcome.drawn),
            events: kept.map_or(&[], |kept| &kept.events),
            seen,
            trust: self.trust(),
            control: kept.and_then(|kept| kept.control.as_ref()),
            revision: &session.revision,
            shrunk: self.shrunk(),
            capsule: files.capsule.as_deref(),
            recording: files.recording.as_deref(),
            caller: session.caller,
        };
        Some(report.text())
    }

    /// Says it as JSON: the run, and its finding.
    ///
    /// # Errors
    ///
    /// As the output refuses.
    pub fn say_objects(&self, session: &Session) -> Result<(), Stop> {
        let outcome = self.kept.as_ref().map(|kept| &kept.outcome);
        session.output.object(
            "run",
            &RunLine {
                engine: &self.case.engine,
                scenario: &self.case.scenario,
                seed: self.case.seed,
                verdict: if self.finding.is_some() { "fail" } else { "pass" },
                digest: outcome.map(|outcome| format!("{:032x}", outcome.digest)),
                counters: outcome.map(|outcome| &outcome.counters),
                drawn: outcome.map(|outcome| &outcome.drawn[..]),
            },
        )?;
        match &self.finding {
            Some(finding) => {
                let files = Files::default();
                session.output.object("finding", &self.finding_line(session, finding, 1, &files))
            }
            None => Ok(()),
        }
    }

    /// The finding as JSON says it.
    pub fn finding_line<'a>(
        &'a self,
        session: &Session,
        finding: &'a Finding,
        count: u64,
        files: &'a Files,
    ) -> FindingLine<'a> {
        FindingLine {
            case: &self.case,
            signature: finding.signature(),
            finding,
            count,
            control: self.kept.as_deref().and_then(|kept| kept.control.as_ref()),
            reproduce: session.caller.of_case("replay", &self.case),
            shrunk: self.shrunk(),
            capsule: files.capsule.as_deref(),
            recording: files.recording.as_deref(),
        }
    }
}

/// Runs a case in this process, twice, and returns the text of its report if it failed: for tests.
///
/// # Errors
///
/// Says why the case cannot be run.
pub fn report_of(case: &Case) -> Result<Option<String>, String> {
    told(case, None, &super::revision::revision()).map_err(|error| error.to_string())
}

/// As [`report_of`], of the run that a failure was shrunk to, with all that differs from call to call
/// held still.
///
/// # Errors
///
/// Says why the case cannot be run.
pub fn small_report_of(case: &Case, shrunk: &Shrunk) -> Result<Option<String>, String> {
    let shrunk = Shrunk { took_ms: 0, ..shrunk.clone() };
    told(case, Some(&shrunk), SNAPSHOT_REVISION).map_err(|error| error.to_string())
}

/// The report of the run that a capsule stands for, as it is and not fitted, with all that differs from call
/// to call held still. None when it passes.
///
/// # Errors
///
/// Says why the capsule cannot be used.
pub fn report_of_capsule(text: &str) -> Result<Option<String>, String> {
    let capsule = Capsule::from_text(text).map_err(|error| error.to_string())?;
    let case = shrink::case_of(&capsule)?;
    let plain = Wishes { exceptions: Some(capsule.exceptions), ..Wishes::default() };
    told_by(&case, plain, None, SNAPSHOT_REVISION).map_err(|error| error.to_string())
}

fn told(case: &Case, shrunk: Option<&Shrunk>, revision: &str) -> Result<Option<String>, CaseError> {
    let plain = Wishes { exceptions: shrunk.map(Shrunk::exceptions), ..Wishes::default() };
    told_by(case, plain, shrunk, revision)
}

fn told_by(
    case: &Case,
    plain: Wishes,
    shrunk: Option<&Shrunk>,
    revision: &str,
) -> Result<Option<String>, CaseError> {
    let wishes = Wishes { trace: true, ..plain.clone() };
    let first: Outcome = run_case(case, &wishes)?;
    let second = run_case(case, &wishes)?;
    let trust = if first.digest == second.digest {
        Trust::Repeated(first.digest)
    } else {
        Trust::Differing(first.digest, second.digest)
    };
    let Some(finding) = first.findings.first() else {
        return Ok(match trust {
            Trust::Differing(..) => Some(format!("seed {} gave two traces: {trust:?}", case.seed)),
            _ => None,
        });
    };
    let (control, without) = control::of(case);
    let control = Control::new(without, &run_case(&control, &plain)?);
    let report = Report {
        case,
        finding,
        drawn: &first.drawn,
        events: &first.trace,
        seen: None,
        trust,
        control: Some(&control),
        revision,
        shrunk,
        capsule: None,
        recording: None,
        caller: super::command::Caller {
            form: super::command::Form::Cargo,
            says_faults: std::env::var_os("FALCONRY_FAULTS").is_some(),
        },
    };
    Ok(Some(anstream::adapter::strip_str(&report.text()).to_string()))
}

//! One run: a case goes in, an outcome comes out. What every verb of the program is made of.

use falconry_sim::choice::{Anchored, Choices, Exception, Recording};
use falconry_sim::fault::{FAULT_COUNT, Fault};
use falconry_sim::trace::{Digest, Event};
use serde::{Deserialize, Serialize};

use crate::engine::{self, Beside, Engine};
use crate::scenario::{self, Scenario};

mod aside;
mod break_sync;
pub mod control;
mod knobs;
mod life;
mod outcome;
pub mod properties;
mod rates;
mod self_check;
mod session;
mod specimen;
mod verdict;
mod wished;

pub use control::Control;
pub use wished::check_folder;

use knobs::Knobs;

/// Runs a case to its verdict.
///
/// # Errors
///
/// Where the case cannot be run at all, as [`check_case`] says.
pub fn run_case(case: &Case, wishes: &Wishes) -> Result<Outcome, CaseError> {
    let scenario = admitted(case)?;
    if case.engine == engine::MACHINE {
        return self_check::run(&Knobs::of(case, scenario)?, case, wishes);
    }
    if case.engine == crate::specimen::ENGINE {
        return specimen::run(scenario, case, wishes);
    }
    run_with(engine::find(&case.engine)?, &scenario, case, wishes)
}

/// Runs a case with an engine and a scenario that need not be built in; the names in `case` are only
/// told.
///
/// # Errors
///
/// Where a setting of the case does not fit.
pub fn run_with(
    engine: &dyn Engine,
    scenario: &Scenario,
    case: &Case,
    wishes: &Wishes,
) -> Result<Outcome, CaseError> {
    check_bugs(engine.name(), engine.bugs(), case)?;
    if scenario.beside.is_empty() {
        return life::run(engine, scenario, case, wishes);
    }
    life::run(&Beside::new(engine, &scenario.beside)?, scenario, case, wishes)
}

/// Says whether a case can be run, without running it.
///
/// # Errors
///
/// Names the engine, scenario or setting that does not exist, and what there is.
pub fn check_case(case: &Case) -> Result<(), CaseError> {
    let scenario = admitted(case)?;
    if case.engine == crate::specimen::ENGINE {
        return specimen::check(scenario, case).map(|_| ());
    }
    let knobs = Knobs::of(case, scenario)?;
    if case.engine == engine::MACHINE {
        return self_check::check(&knobs, case);
    }
    let engine = engine::find(&case.engine)?;
    check_bugs(engine.name(), engine.bugs(), case)?;
    life::settings(engine, &knobs, &mut Choices::zeros()).map(|_| ())
}

fn admitted(case: &Case) -> Result<Scenario, CaseError> {
    let scenario = scenario::find(&case.scenario)?;
    engine::check_name(&case.engine)?;
    if !scenario.admits(&case.engine) {
        let what = format!("it is not meant for engine '{}'", case.engine);
        return Err(CaseError::BadScenario { file: case.scenario.clone(), what });
    }
    Ok(scenario)
}

/// Refuses bugs that the engine does not have.
fn check_bugs(engine: &str, bugs: &[&str], case: &Case) -> Result<(), CaseError> {
    let Some(bug) = case.planted.iter().find(|bug| !bugs.contains(&bug.as_str())) else {
        return Ok(());
    };
    let known = match bugs {
        [] => "it has none that can be planted; `planted list` shows those of the others".into(),
        bugs => format!("there are {}", bugs.join(", ")),
    };
    Err(CaseError::UnknownBug { engine: engine.into(), bug: bug.clone(), known })
}

/// Which column of the knob table the rates of faults are drawn from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Profile {
    /// No fault but those that a scenario asks for by name; the power still goes.
    None,
    /// Rates as they are in the field.
    Realistic,
    /// Rates at which a run meets a few faults.
    #[default]
    Accelerated,
    /// Rates at which a run meets many.
    Hostile,
}

/// Everything that decides what a run does, apart from its choices.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Case {
    /// Name of the engine.
    pub engine: String,
    /// `GROUP/NAME` of a built-in scenario, or the path of a file.
    pub scenario: String,
    /// The seed.
    pub seed: u64,
    /// Where rates come from.
    pub faults: Profile,
    /// Rates set by hand, in millionths.
    pub fault_ppm: Vec<(Fault, u32)>,
    /// Admits faults that the engine does not claim to survive.
    pub beyond_budget: bool,
    /// The adapter swallows every sync.
    pub break_sync: bool,
    /// Historical bugs that are switched on.
    pub planted: Vec<String>,
    /// Settings of the engine fixed by hand, as `name`, `value` (for instance `journal_mode`,
    /// `delete`); the rest is drawn.
    pub settings: Vec<(String, String)>,
}

/// What is asked of a run besides its verdict.
#[derive(Clone, Debug, Default)]
pub struct Wishes {
    /// Keeps the trace.
    pub trace: bool,
    /// Keeps the recording.
    pub recording: bool,
    /// Stops at this step.
    pub stop_at_step: Option<u64>,
    /// Writes what the disk holds at the end into this folder, as real files; it must be empty, or not
    /// be there yet.
    pub export: Option<std::path::PathBuf>,
    /// Drives the run by these choices instead of the seed's.
    pub replay: Option<Recording>,
    /// Keeps the exceptions of the run with their anchors.
    pub anchors: bool,
    /// Drives the run by these exceptions from the boring run instead of the seed's choices.
    pub exceptions: Option<Vec<Exception>>,
    /// Drives the run by these raw bytes, as a fuzzer makes them, instead of the seed's choices.
    pub bytes: Option<Vec<u8>>,
    /// Steps that the run may take beyond those of its scenario.
    pub steps_more: u64,
    /// Writes the choices down as bytes: those that drive the same run.
    pub write_bytes: bool,
}

impl Wishes {
    /// Steps that the run may take, where its scenario says `bound`.
    pub(crate) fn steps_max(&self, bound: u64) -> u64 {
        self.stop_at_step.unwrap_or(bound + self.steps_more)
    }
}

/// Which promise was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Property {
    /// An acknowledged commit was lost.
    Durability,
    /// A part of a transaction is there without the rest, or a transaction that never was.
    Atomicity,
    /// A read returned what the sequential model does not allow.
    Model,
    /// A sum, cycle or count that must not change did.
    Invariant,
    /// The engine's own check of its structure fails.
    Integrity,
    /// A recovery that was cut off ends in another state than an undisturbed one.
    Recovery,
    /// A clean shutdown did not make everything durable.
    CleanShutdown,
    /// After a failed call the state is none of those allowed, or the error is the wrong one.
    ErrorPath,
    /// The engine does not become live after faults stopped, or a wait never ends.
    Liveness,
    /// Every task waits for another.
    Deadlock,
    /// A panic of the engine.
    Panic,
    /// A task ran out of stack.
    StackOverflow,
    /// An assertion of the engine failed.
    Assertion,
    /// Same seed, two traces.
    Nondeterminism,
    /// The worker process was lost, or blocked in a real lock.
    Worker,
    /// The engine or its adapter breaks a rule of the testbed.
    Harness,
}

/// A promise that was broken in a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Which promise.
    pub property: Property,
    /// What happened, in a few words without numbers of this run: it heads the report and, with
    /// `place`, makes the signature.
    pub sentence: String,
    /// Where, normalised (a call, a source file without its line), or of damage what it is, in the words
    /// of the engine that have no number.
    pub place: String,
    /// What was promised and what came, with this run's numbers: rows of `label`, `text`.
    pub what: Vec<(String, String)>,
    /// Bytes that were expected, where bytes are at stake.
    pub expected: Option<Vec<u8>>,
    /// Bytes that were found.
    pub found: Option<Vec<u8>>,
    /// Words (a key, a file) whose events make the path in the report.
    pub path_of: Vec<String>,
    /// The boot in which it was noticed, from 1.
    pub boot: u32,
    /// The step at which it was noticed.
    pub step: u64,
    /// Faults that were delivered in the run although the engine does not claim to survive them. It may
    /// refuse to answer then; what it must not do all the same is listed apart.
    #[serde(default)]
    pub beyond: Vec<Fault>,
    /// Whether the engine is known to do this (the canary): counted apart.
    pub expected_finding: bool,
}

impl Finding {
    /// `property/hash` of the property, the sentence and the place, and of what was beyond the claims:
    /// the same for the same bug.
    pub fn signature(&self) -> String {
        let mut digest = Digest::new();
        digest.fold_bytes(self.sentence.as_bytes());
        digest.fold_bytes(self.place.as_bytes());
        if !self.beyond.is_empty() {
            digest.fold_bytes(self.beyond().as_bytes());
        }
        format!("{}/{:08x}", self.property.name(), digest.value() as u32)
    }
}

impl Finding {
    /// The names of the faults beyond the claims, joined; empty for a finding within the budget.
    pub fn beyond(&self) -> String {
        self.beyond.iter().map(|fault| fault.name()).collect::<Vec<_>>().join("+")
    }
}

impl Property {
    /// The word in reports and signatures.
    pub fn name(self) -> &'static str {
        match self {
            Property::Durability => "durability",
            Property::Atomicity => "atomicity",
            Property::Model => "model",
            Property::Invariant => "invariant",
            Property::Integrity => "integrity",
            Property::Recovery => "recovery",
            Property::CleanShutdown => "clean_shutdown",
            Property::ErrorPath => "error_path",
            Property::Liveness => "liveness",
            Property::Deadlock => "deadlock",
            Property::Panic => "panic",
            Property::StackOverflow => "stack_overflow",
            Property::Assertion => "assertion",
            Property::Nondeterminism => "nondeterminism",
            Property::Worker => "worker",
            Property::Harness => "harness",
        }
    }
}

/// Counters of a run; those of a swarm are their sums.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Boots.
    pub boots: u64,
    /// Boots that ended by power loss.
    pub power_losses: u64,
    /// Those of them in which at least one unsynced write survived and one did not.
    pub partial_power_losses: u64,
    /// Boots that ended by process crash.
    pub process_crashes: u64,
    /// Commits that the engine acknowledged.
    pub commits_acked: u64,
    /// Scheduling decisions.
    pub steps: u64,
    /// Virtual nanoseconds.
    pub time_ns: u64,
    /// Tasks that could not be ended when the power went.
    pub abandoned: u64,
    /// Commits that were lost and came back, in a mode that does not promise durability.
    pub resurrected: u64,
    /// How often each fault was delivered, in the order of `Fault::ALL`.
    pub faults: Vec<u64>,
}

impl Default for Counters {
    fn default() -> Self {
        Counters {
            boots: 0,
            power_losses: 0,
            partial_power_losses: 0,
            process_crashes: 0,
            commits_acked: 0,
            steps: 0,
            time_ns: 0,
            abandoned: 0,
            resurrected: 0,
            faults: vec![0; FAULT_COUNT],
        }
    }
}

impl Counters {
    /// Adds another run's counters.
    pub fn add(&mut self, other: &Counters) {
        self.boots += other.boots;
        self.power_losses += other.power_losses;
        self.partial_power_losses += other.partial_power_losses;
        self.process_crashes += other.process_crashes;
        self.commits_acked += other.commits_acked;
        self.steps += other.steps;
        self.time_ns += other.time_ns;
        self.abandoned += other.abandoned;
        self.resurrected += other.resurrected;
        self.faults.iter_mut().zip(&other.faults).for_each(|(sum, count)| *sum += count);
    }
}

/// What a run came to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// Digest of all its choices and events, as `Digest::value`.
    pub digest: u128,
    /// Promises that were broken; the first is the verdict.
    pub findings: Vec<Finding>,
    /// What it counted.
    pub counters: Counters,
    /// Names of the assertion sites that were reached.
    pub reached: Vec<String>,
    /// What the seed drew for the engine, the disk and the workload, as `name`, `value`.
    pub drawn: Vec<(String, String)>,
    /// The trace, if wished.
    #[serde(skip)]
    pub trace: Vec<Event>,
    /// The recording, if wished, with the case in its properties.
    #[serde(skip)]
    pub recording: Option<Recording>,
    /// Where a replayed recording stopped fitting, if it did.
    #[serde(skip)]
    pub divergence: Option<String>,
    /// The exceptions of the run, if they were wished or drove it.
    #[serde(skip)]
    pub anchored: Option<Anchored>,
    /// The choices of the run as raw bytes, if wished.
    #[serde(skip)]
    pub bytes: Option<Vec<u8>>,
    /// Why the disk was not exported, if that was wished and failed.
    #[serde(skip)]
    pub not_exported: Option<String>,
}

/// Why a case cannot be run at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CaseError {
    /// No engine of that name. `known` lists those there are.
    #[error("there is no engine '{name}'; there are {known}")]
    UnknownEngine {
        /// The word.
        name: String,
        /// The names there are, with commas.
        known: String,
    },
    /// No scenario of that name.
    #[error("there is no scenario '{name}'; `scenario list` shows all")]
    UnknownScenario {
        /// The word.
        name: String,
    },
    /// A scenario file that cannot be used.
    #[error("scenario {file}: {what}")]
    BadScenario {
        /// The file.
        file: String,
        /// What is wrong, with the place in the file.
        what: String,
    },
    /// A setting that the engine does not have, or a value that it does not take.
    #[error("engine '{engine}' cannot be set to {name}={value}: {what}")]
    BadSetting {
        /// The engine.
        engine: String,
        /// The setting.
        name: String,
        /// The value.
        value: String,
        /// What it takes.
        what: String,
    },
    /// A bug that the engine does not have. `known` lists those it has.
    #[error("engine '{engine}' has no bug '{bug}' to plant; {known}")]
    UnknownBug {
        /// The engine.
        engine: String,
        /// The word.
        bug: String,
        /// What there is.
        known: String,
    },
    /// A rate for what ends a boot, which has none.
    #[error(
        "{fault}={ppm} cannot be: how a boot ends is drawn once a boot and has no rate; write {fault}=0 \
         to switch it off, or leave it out"
    )]
    RateOfAnEnd {
        /// The end.
        fault: Fault,
        /// The rate that was asked for.
        ppm: u32,
    },
}

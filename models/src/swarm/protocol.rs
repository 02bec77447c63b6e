//! What a swarm and its workers say to each other: one JSON object a line, over pipes.
//!
//! # Method
//!
//! The parent sends the parts of its plan, then batches of seeds of one part. A worker announces each
//! seed before it runs it, and answers a batch as a whole. A batch whose worker was lost gave no
//! answer: the announced seed is the culprit, all others are run again.

use falconry_sim::trace::Event;
use serde::{Deserialize, Serialize};

use super::spread::Spread;
use crate::run::{Case, Control, Counters, Finding, Outcome};
use crate::shrink::{Fit, Shrunk};

/// From the parent.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum ToWorker {
    /// The parts of the plan; their seeds say nothing.
    Parts(Vec<Case>),
    /// Seeds to run.
    Batch(Batch),
    /// One case to run with everything kept.
    Examine(Box<Examine>),
}

/// How each seed of a batch is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mode {
    /// Once; one in twenty, chosen by seed, twice.
    Swarm,
    /// Twice with traces, compared event by event.
    Check,
}

/// Seeds of one part: `from`, `from + stride` …
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Batch {
    /// Index of the part.
    pub part: usize,
    /// The first seed.
    pub from: u64,
    /// The distance between two.
    pub stride: u64,
    /// How many.
    pub count: u64,
    /// How each is run.
    pub mode: Mode,
}

/// One case to run with everything kept.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Examine {
    /// The case.
    pub case: Option<Case>,
    /// Stop at this step.
    pub stop_at_step: Option<u64>,
    /// Write the disk into this folder.
    pub export: Option<std::path::PathBuf>,
    /// The text of a recording that drives the run instead of the seed.
    pub recording: Option<String>,
    /// The text of a capsule that does.
    pub capsule: Option<String>,
    /// Raw bytes that do.
    pub bytes: Option<Vec<u8>>,
    /// Make the failure small first; what is kept is then of the small run.
    pub shrink: Option<Shrinking>,
}

/// How a failure is made small.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Shrinking {
    /// For how long, in milliseconds.
    pub for_ms: u64,
    /// How many candidates are run at a time.
    pub jobs: usize,
    /// The revision, which the capsule tells.
    pub revision: String,
}

/// From a worker.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum FromWorker {
    /// This seed comes next.
    At(u64),
    /// The worker lives; said once a second while it works.
    Alive,
    /// A batch is done.
    Done(Box<Done>),
    /// A case was examined.
    Examined(Box<Examined>),
    /// The machine stands still; the worker ends itself now.
    Blocked(Blocked),
    /// The testbed itself panicked.
    Broken(Broken),
    /// A case cannot be run.
    Refused(String),
}

/// The answer to a batch.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Done {
    /// The digest of each seed, in order.
    pub digests: Vec<u128>,
    /// The sums of their counters.
    pub counters: Counters,
    /// How their acknowledged commits spread.
    pub commits: Spread,
    /// How their power losses spread.
    pub power_losses: Spread,
    /// What was found, each signature once.
    pub found: Vec<Found>,
    /// Names of the assertion sites that were reached.
    pub reached: Vec<String>,
    /// How many seeds were run twice.
    pub twice: u64,
    /// Whether the worker has abandoned so many tasks that it ends itself now.
    pub retires: bool,
}

/// A signature and how often it came.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Found {
    /// The lowest seed.
    pub seed: u64,
    /// How many seeds.
    pub count: u64,
    /// What it was at the lowest seed.
    pub finding: Finding,
}

/// The answer to an examination.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Examined {
    /// The outcome of the first run.
    pub outcome: Outcome,
    /// Its trace.
    pub events: Vec<Event>,
    /// The text of its recording.
    pub recording: Option<String>,
    /// How well the capsule that drove it fits.
    pub fit: Option<Fit>,
    /// What making it small came to, if that was asked for and done.
    pub shrunk: Option<Shrunk>,
    /// Where a recording that drove it stopped fitting.
    pub divergence: Option<String>,
    /// Why the disk was not exported, if that failed.
    pub not_exported: Option<String>,
    /// The digest of a second run, if there was one.
    pub second_digest: Option<u128>,
    /// What the control run came to; none when nothing was found, or a recording was replayed.
    pub control: Option<Control>,
    /// How the second run differs.
    pub difference: Option<Finding>,
}

/// A machine that stands still.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Blocked {
    /// What it is: a lock, or a loop.
    pub verdict: String,
    /// The task and the engine's call.
    pub call: String,
}

/// A panic inside the testbed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Broken {
    /// At which seed.
    pub seed: u64,
    /// Its message and place.
    pub message: String,
}

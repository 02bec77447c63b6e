//! The schema of a scenario file.

use std::collections::BTreeMap;

use falconry_sim::choice::{Choices, PPM};
use falconry_sim::disk::DevicePreset;
use falconry_sim::fault::Fault;
use serde::Deserialize;

use crate::engine;
use crate::run::{CaseError, Property};

/// A scenario as its file tells it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// One sentence: what is put to the test.
    pub about: String,
    /// The engines it is meant for; all but the machine itself when absent.
    pub engines: Option<Vec<String>>,
    /// Engines that make each call as well, and must answer the same.
    #[serde(default)]
    pub beside: Vec<String>,
    /// The device of the disk, by the name in reports; drawn when absent.
    pub device: Option<String>,
    /// The promises that are judged; all when absent.
    pub holds: Option<Vec<Property>>,
    /// What the clients do.
    pub workload: Workload,
    /// How long a run may be.
    #[serde(default)]
    pub bounds: Bounds,
    /// Rates of single faults in millionths, in place of those that the profile draws.
    #[serde(default)]
    pub faults: BTreeMap<Fault, u32>,
    /// How boots end.
    #[serde(default)]
    pub ends: Ends,
    /// Settings of the engine that are not drawn; for a scenario of one engine.
    #[serde(default)]
    pub settings: BTreeMap<String, String>,
}

/// What the clients of a scenario do.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Workload {
    /// Which workload.
    pub kind: WorkloadKind,
    /// Tasks at once.
    #[serde(default = "default_clients")]
    pub clients: Span,
    /// Transactions of each client in each boot.
    #[serde(default = "default_transactions")]
    pub transactions: Span,
    /// Accounts, entries, nodes, counters.
    #[serde(default = "default_keys")]
    pub keys: Span,
    /// Bytes of one value.
    #[serde(default = "default_value_bytes")]
    pub value_bytes: Span,
    /// Whether each client has keys, and a history, of its own: they meet in the engine alone, and commit
    /// at once. Else each transaction stands on the one before.
    #[serde(default)]
    pub lanes: bool,
    /// Whether clients also ask the engine for what changes nothing that a transaction sees.
    #[serde(default)]
    pub upkeep: bool,
}

/// The workloads there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WorkloadKind {
    /// Money moves between accounts; the sum is constant.
    Bank,
    /// Each client appends numbered entries, some large.
    Ledger,
    /// A ring of keys is changed and stays one ring.
    Cycle,
    /// Counters are incremented.
    Counter,
    /// Random puts, deletes and scans against a sequential model.
    Range,
    /// The machine itself: a small concurrent program with a known outcome, without an engine.
    SelfCheck,
    /// A specimen, which brings its own; no file can ask for it.
    #[serde(skip)]
    Specimen,
}

impl WorkloadKind {
    /// The word in files and reports.
    pub fn name(self) -> &'static str {
        match self {
            WorkloadKind::Bank => "bank",
            WorkloadKind::Ledger => "ledger",
            WorkloadKind::Cycle => "cycle",
            WorkloadKind::Counter => "counter",
            WorkloadKind::Range => "range",
            WorkloadKind::SelfCheck => "self-check",
            WorkloadKind::Specimen => "specimen",
        }
    }
}

/// How long a run may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Bounds {
    /// Boots with power loss or process crash, before the last one.
    pub boots: Span,
    /// Scheduling decisions of one run.
    pub steps: u64,
    /// Virtual milliseconds in which the last boot must open and commit.
    pub live_within_ms: u64,
}

impl Default for Bounds {
    fn default() -> Self {
        Bounds { boots: Span(2, 6), steps: 4_000_000, live_within_ms: 600_000 }
    }
}

/// How boots end, before the last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Ends {
    /// Whether a boot ends only when its clients are done: half of them by the process, half by the power.
    pub at_rest: bool,
    /// How many of a million boots end before the engine has opened.
    pub recovery_ppm: u32,
    /// How many such boots may follow each other.
    pub recovery_depth: u32,
    /// How many of a million boots end by the process.
    pub process_crash_ppm: u32,
    /// Whether each recovery from a power loss is made beside an undisturbed one, and must come to the same.
    pub repeat_recovery: bool,
}

impl Default for Ends {
    fn default() -> Self {
        Ends {
            at_rest: false,
            recovery_ppm: 100_000,
            recovery_depth: 3,
            process_crash_ppm: 150_000,
            repeat_recovery: false,
        }
    }
}

/// From a low to a high number, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Span(pub u64, pub u64);

impl Span {
    /// Draws one of its numbers, small ones as likely as large ones.
    pub fn draw(self, choices: &mut Choices, label: &'static str) -> u64 {
        choices.log_uniform(label, self.0, self.1)
    }

    /// Draws one of its numbers, most of them small: first how large it may be, then itself.
    pub fn draw_small(self, choices: &mut Choices, label: &'static str) -> u64 {
        let most = choices.log_uniform(label, self.0, self.1);
        choices.log_uniform(label, self.0, most)
    }
}

fn default_clients() -> Span {
    Span(1, 6)
}

fn default_transactions() -> Span {
    Span(2, 20)
}

fn default_keys() -> Span {
    Span(2, 400)
}

fn default_value_bytes() -> Span {
    Span(1, 4096)
}

/// Bounds of what a file may ask for: name, span, lowest, highest.
type Limit = (&'static str, Span, u64, u64);

impl Scenario {
    /// Reads a scenario; `file` is named in errors.
    ///
    /// # Errors
    ///
    /// [`CaseError::BadScenario`] with the place in the file and what is allowed there.
    pub fn parse(file: &str, text: &str) -> Result<Scenario, CaseError> {
        let bad = |what: String| CaseError::BadScenario { file: file.into(), what };
        let scenario: Scenario =
            toml::from_str(text).map_err(|error| bad(place_of(text, &error)))?;
        scenario.check().map_err(bad)?;
        Ok(scenario)
    }

    /// Whether it is meant for `engine`.
    pub fn admits(&self, engine: &str) -> bool {
        match &self.engines {
            Some(engines) => engines.iter().any(|name| name == engine),
            None => engine != engine::MACHINE,
        }
    }

    /// The device that it asks for.
    pub fn device(&self) -> Option<DevicePreset> {
        let name = self.device.as_deref()?;
        DevicePreset::ALL.into_iter().find(|device| device.name() == name)
    }

    /// Whether a broken promise of this kind counts.
    pub fn judges(&self, property: Property) -> bool {
        self.holds.as_ref().is_none_or(|holds| holds.contains(&property))
    }

    pub(crate) fn check(&self) -> Result<(), String> {
        for (name, span, low, high) in self.limits() {
            if span.0 > span.1 || span.0 < low || span.1 > high {
                return Err(format!(
                    "{name} = [{}, {}]: it takes [LOW, HIGH] from {low} to {high}",
                    span.0, span.1
                ));
            }
        }
        if let Some((fault, ppm)) = self.faults.iter().find(|(_, ppm)| **ppm > PPM) {
            return Err(format!("faults.{fault} = {ppm}: it takes millionths, 0 to {PPM}"));
        }
        for (name, ppm) in [
            ("recovery_ppm", self.ends.recovery_ppm),
            ("process_crash_ppm", self.ends.process_crash_ppm),
        ] {
            if ppm > PPM {
                return Err(format!("ends.{name} = {ppm}: it takes millionths, 0 to {PPM}"));
            }
        }
        if let (Some(name), None) = (&self.device, self.device()) {
            let known: Vec<&str> = DevicePreset::ALL.iter().map(|device| device.name()).collect();
            return Err(format!("device = \"{name}\": it takes {}", known.join(", ")));
        }
        if self.bounds.steps == 0 || self.bounds.live_within_ms == 0 {
            return Err("bounds.steps and bounds.live_within_ms are at least 1".into());
        }
        let machine = self.workload.kind == WorkloadKind::SelfCheck;
        if machine && self.engines != Some(vec![engine::MACHINE.into()]) {
            return Err("workload.kind = \"self-check\" needs engines = [\"machine\"]".into());
        }
        Ok(())
    }

    fn limits(&self) -> [Limit; 5] {
        [
            ("workload.clients", self.workload.clients, 1, 64),
            ("workload.transactions", self.workload.transactions, 1, 100_000),
            ("workload.keys", self.workload.keys, 2, 1_000_000),
            ("workload.value_bytes", self.workload.value_bytes, 1, 1 << 20),
            ("bounds.boots", self.bounds.boots, 1, 1_000),
        ]
    }
}

/// What the reader of TOML says, behind the line of the file.
fn place_of(text: &str, error: &toml::de::Error) -> String {
    let message = error.message().trim_end().replace('\n', ", ");
    match error.span() {
        Some(span) => {
            let line = text[..span.start.min(text.len())].matches('\n').count() + 1;
            format!("line {line}: {message}")
        }
        None => message,
    }
}

//! A named experiment: engines, a workload with its sizes, faults, bounds, and what must hold.
//!
//! # Method
//!
//! Each is a TOML file. Those of `models/scenarios/GROUP/NAME.toml` are built in; a stranger's is
//! given by its path. A word that the schema does not have is an error that names file and line.

use std::sync::LazyLock;

mod schema;

pub use schema::{Bounds, Ends, Scenario, Span, Workload, WorkloadKind};

use crate::run::CaseError;

/// A scenario that is built in.
#[derive(Clone, Copy, Debug)]
pub struct BuiltIn {
    /// `GROUP/NAME`.
    pub name: &'static str,
    /// Its file.
    pub text: &'static str,
}

macro_rules! built_in {
    ($($name:literal),* $(,)?) => {
        &[$(BuiltIn {
            name: $name,
            text: include_str!(concat!("../../scenarios/", $name, ".toml")),
        }),*]
    };
}

static BUILT_IN: &[BuiltIn] = built_in![
    "kv/bank",
    "kv/ledger",
    "kv/cycle",
    "kv/counter",
    "kv/range",
    "recovery/kill-restart",
    "recovery/kill-at-end",
    "recovery/double",
    "recovery/incarnations",
    "cache/shadowed-tablespace",
    "cache/bucket-latches",
    "cache/alone",
    "log/group-commit",
    "log/rotation",
    "log/alone",
    "io/errors",
    "qa/random-queries",
    "qa/compare",
    "upgrade/formats",
    "clock/jump",
    "instrument/self-check"
];

/// All built-in scenarios, in the order in which a swarm runs them.
pub fn list() -> &'static [BuiltIn] {
    BUILT_IN
}

/// The scenario of that name, or in that file. `kv/bank` is a name; a path ends in `.toml`.
///
/// # Errors
///
/// [`CaseError::UnknownScenario`], or [`CaseError::BadScenario`] with the place in the file.
pub fn find(name: &str) -> Result<Scenario, CaseError> {
    /// Each run looks its scenario up, so they are read once.
    static PARSED: LazyLock<Vec<Result<Scenario, CaseError>>> = LazyLock::new(|| {
        BUILT_IN.iter().map(|scenario| Scenario::parse(scenario.name, scenario.text)).collect()
    });
    if let Some(index) = BUILT_IN.iter().position(|scenario| scenario.name == name) {
        return PARSED[index].clone();
    }
    if let Some(specimen) = crate::specimen::of_scenario(name) {
        return Ok(specimen.scenario());
    }
    if !name.ends_with(".toml") {
        return Err(CaseError::UnknownScenario { name: name.into() });
    }
    let text = std::fs::read_to_string(name)
        .map_err(|error| CaseError::BadScenario { file: name.into(), what: error.to_string() })?;
    Scenario::parse(name, &text)
}

/// A scenario file with a comment on every line, to start from.
pub fn template() -> &'static str {
    include_str!("template.toml")
}

#[cfg(test)]
mod tests;

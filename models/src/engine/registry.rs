//! The engines that are built in, by name.

use super::Engine;
use super::canary::CanaryEngine;
use super::falcon::FalconEngine;
use super::redb::Redb;
use super::sqlite::Sqlite;
use crate::run::CaseError;

/// The name under which the simulated machine itself is put to the test, without an engine.
pub const MACHINE: &str = "machine";

static BUILT_IN: &[&dyn Engine] = &[&FalconEngine, &Redb, &Sqlite, &CanaryEngine];

/// All built-in engines. One line each; their adapters stand in `models/src/engine/`.
pub fn built_in() -> &'static [&'static dyn Engine] {
    BUILT_IN
}

/// Everything that may be put to the test: the engines, and the machine itself.
pub fn names() -> Vec<&'static str> {
    let engines: &'static [&'static dyn Engine] = built_in();
    engines.iter().map(|engine| engine.name()).chain([MACHINE]).collect()
}

/// Refuses a name under which nothing can be run.
///
/// # Errors
///
/// [`CaseError::UnknownEngine`] names those there are.
pub fn check_name(name: &str) -> Result<(), CaseError> {
    let is_none = name == MACHINE || name == crate::specimen::ENGINE;
    if is_none { Ok(()) } else { find(name).map(|_| ()) }
}

/// The built-in engine of that name.
///
/// # Errors
///
/// [`CaseError::UnknownEngine`] names those there are.
pub fn find(name: &str) -> Result<&'static dyn Engine, CaseError> {
    let found = built_in().iter().copied().find(|engine| engine.name() == name);
    let found = found.or_else(|| crate::swarm::ill_engine(name));
    found.ok_or_else(|| CaseError::UnknownEngine { name: name.into(), known: names().join(", ") })
}

//! First finds of our strategies.
//!
//! # Method
//!
//! A schedule is a run with a seed of its own, as in a swarm; starting seeds are as far apart as those
//! of `specimen score`. The swarm's own mixture is run as the program runs it, faults included. A
//! strategy alone is run on a bare machine without faults; how often atomics are points is drawn there
//! as well.

use super::effort::{Effort, LIMIT};
use falconry::run::{Wishes, run_case};
use falconry::score::{APART, case_of};
use falconry::specimen::{Body, Specimen};
use falconry_sim::choice::Choices;
use falconry_sim::{End, Ending, Machine, MachineConfig, StrategyKind};

/// Who gives the turns.
#[derive(Clone, Copy, Debug)]
pub enum Ours {
    /// Whatever a swarm draws for a seed.
    Swarm,
    /// One strategy.
    Alone(StrategyKind),
}

/// Runs until the specimen's bug is found, from one starting seed.
///
/// # Errors
///
/// When the specimen cannot be run.
pub fn first_find(
    ours: Ours,
    specimen: &Specimen,
    start: u64,
    steps_max: u64,
) -> Result<Effort, String> {
    for number in 0..LIMIT {
        let seed = start * APART + number;
        let is_found = match ours {
            Ours::Swarm => swarm(specimen, seed)?,
            Ours::Alone(kind) => alone(kind, specimen, seed, steps_max)?,
        };
        if is_found {
            return Ok(Effort { schedules: number + 1, found: true });
        }
    }
    Ok(Effort { schedules: LIMIT, found: false })
}

fn swarm(specimen: &Specimen, seed: u64) -> Result<bool, String> {
    let outcome = run_case(&case_of(specimen, seed, true), &Wishes::default());
    outcome.map(|outcome| !outcome.findings.is_empty()).map_err(|error| error.to_string())
}

fn alone(
    kind: StrategyKind,
    specimen: &Specimen,
    seed: u64,
    steps_max: u64,
) -> Result<bool, String> {
    let Body::Program(program) = specimen.body else {
        return Err("the specimen is no program".into());
    };
    let config = MachineConfig {
        strategy: Some(kind),
        steps_max,
        planted: vec![specimen.name.into()],
        ..MachineConfig::default()
    };
    let mut machine = Machine::new(config, Choices::from_seed(seed));
    let boot = machine.boot(Ending::Never, |_| program());
    Ok(matches!(boot.end, End::Verdict(_)))
}

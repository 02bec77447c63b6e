//! Schedules to the first find of each concurrency specimen, beside shuttle's schedulers.
//!
//! Each specimen that shuttle can express is looked for from twenty starting seeds, by the mixture of
//! strategies that a swarm draws, by single strategies, and on shuttle by its random, PCT (depth 2 and
//! 3) and URW schedulers. Schedules are counted and no clock is read: the figures are the same on every
//! computer. The goal stands beside the figures and fails nothing; a figure that is missing does, with
//! its name.
//!
//! `-- --json` prints JSON Lines; a word picks the specimens whose names hold it.

mod effort;
mod ours;
mod peer;
mod ports;
mod report;
mod silence;

use effort::{Effort, STARTS, Tally};
use falconry::score::in_parallel;
use falconry_sim::StrategyKind;
use ours::Ours;
use peer::Peer;
use ports::Port;
use report::Row;
use std::process::ExitCode;
use std::thread::available_parallelism;

/// Whose schedules.
#[derive(Clone, Copy, Debug)]
enum System {
    Ours(Ours),
    Peer(Peer),
}

/// Our mixture first: the others are compared with it.
const SYSTEMS: &[(&str, System)] = &[
    (report::FALCONRY, System::Ours(Ours::Swarm)),
    ("falconry-random", System::Ours(Ours::Alone(StrategyKind::Random { stretch: 1 }))),
    ("falconry-pct", System::Ours(Ours::Alone(StrategyKind::Pct { changes: 2, steps: 64 }))),
    ("falconry-pos", System::Ours(Ours::Alone(StrategyKind::Pos))),
    ("falconry-starve", System::Ours(Ours::Alone(StrategyKind::Starve { steps: 64 }))),
    ("shuttle-random", System::Peer(Peer::Random)),
    ("shuttle-pct-2", System::Peer(Peer::Pct { depth: 2 })),
    ("shuttle-pct-3", System::Peer(Peer::Pct { depth: 3 })),
    ("shuttle-urw", System::Peer(Peer::Urw)),
];

/// It would replace every seed of shuttle's.
const SEED_OF_SHUTTLE: &str = "SHUTTLE_RANDOM_SEED";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let json = words.iter().any(|word| word == "--json");
    let word = words.iter().find(|word| !word.starts_with("--"));
    let ports: Vec<&Port> =
        ports::ALL.iter().filter(|port| word.is_none_or(|word| port.name.contains(word))).collect();
    if let Err(complaint) = check(&ports) {
        eprintln!("{complaint}");
        return ExitCode::FAILURE;
    }
    let rows = match measure(&ports) {
        Ok(rows) => rows,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    let systems: Vec<&'static str> = SYSTEMS.iter().map(|(name, _)| *name).collect();
    match json {
        true => print!("{}", report::json_lines(&rows, &systems)),
        false => print!("{}", report::table(&rows, &systems)),
    }
    let mut code = ExitCode::SUCCESS;
    for row in &rows {
        if let Err(reason) = &row.result {
            eprintln!("{} on {} has no result: {reason}", row.work, row.system);
            code = ExitCode::FAILURE;
        }
    }
    code
}

fn check(ports: &[&Port]) -> Result<(), String> {
    let gaps = ports::gaps();
    if !gaps.is_empty() {
        return Err(format!("neither ported nor excused, or unknown: {}", gaps.join(", ")));
    }
    if ports.is_empty() {
        return Err("no specimen has such a name".into());
    }
    match std::env::var_os(SEED_OF_SHUTTLE) {
        Some(_) => {
            Err(format!("{SEED_OF_SHUTTLE} is set: unset it, or all starting seeds are one"))
        }
        None => Ok(()),
    }
}

/// Each port on each system.
fn measure(ports: &[&Port]) -> Result<Vec<Row>, String> {
    let jobs = available_parallelism().map_or(1, usize::from);
    let _silence = silence::Silence::begin().map_err(|error| error.to_string())?;
    in_parallel(jobs, ports.len() * SYSTEMS.len(), |piece| {
        let port = ports[piece / SYSTEMS.len()];
        let (name, system) = SYSTEMS[piece % SYSTEMS.len()];
        Ok(Row { work: port.name, system: name, result: finds(port, system) })
    })
}

/// From all starting seeds.
fn finds(port: &Port, system: System) -> Result<Tally, String> {
    let specimen = ports::specimen_of(port).ok_or("there is no such specimen")?;
    let steps_max = specimen.scenario().bounds.steps;
    let efforts: Result<Vec<Effort>, String> = (0..STARTS)
        .map(|start| match system {
            System::Ours(ours) => ours::first_find(ours, specimen, start, steps_max),
            System::Peer(peer) => peer::first_find(peer, port, start, steps_max),
        })
        .collect();
    Tally::of(&efforts?).ok_or_else(|| "there is no starting seed".into())
}

//! `planted`: the testbed measured by bugs that an engine once had.
//!
//! # Method
//!
//! A bug is switched on in its engine, and the scenarios that take the engine are run as a swarm of it alone
//! would, on one core, from several starting seeds that are far apart. A bug counts as found if its median over
//! these is below the limit.
//!
//! # Invariant
//!
//! No finding counts that the same run has without the bug.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use falcon::Bug;
use serde::Serialize;

use super::choice::unusable;
use super::exit::{Exit, Stop};
use super::output::grouped;
use super::replay::write_capsule;
use super::session::Session;
use super::show::plain_table;
use super::typed::PlantedVerb;
use super::values::did_you_mean;
use crate::score::{APART, Effort, Find, cases_of, first_find_in, in_parallel, quantile};
use crate::shrink::{self, Budget};
use crate::swarm;

/// The engine that has them.
const ENGINE: &str = "falcon";

/// Runs the verb.
pub fn planted(session: &Session, verb: &PlantedVerb) -> Result<Exit, Stop> {
    match verb {
        PlantedVerb::List => list(session),
        PlantedVerb::Score { starts, limit, names, jobs } => {
            score(session, usize::from(*starts), limit.0, &chosen(names)?, *jobs)
        }
        PlantedVerb::Shrink { limit, shrink_for, into, names, jobs } => {
            let times = Times { limit: limit.0, shrink: shrink_for.0 };
            small(session, times, into, &chosen(names)?, session.jobs(*jobs))
        }
    }
}

/// How long a bug may take.
#[derive(Clone, Copy)]
struct Times {
    /// To be found.
    limit: Duration,
    /// To be made small.
    shrink: Duration,
}

#[derive(Serialize)]
struct SmallLine {
    name: &'static str,
    capsule: Option<String>,
    shrunk: Option<String>,
}

/// Writes the capsule of each bug's first find, made small.
fn small(
    session: &Session,
    times: Times,
    into: &Path,
    bugs: &[Bug],
    jobs: usize,
) -> Result<Exit, Stop> {
    swarm::install_interrupts();
    let smalls = in_parallel(jobs, bugs.len(), |index| {
        let cases = cases_of(ENGINE, bugs[index].name(), 0)?;
        let find = first_find_in(&cases, times.limit, &swarm::is_interrupted)?;
        let Some(case) = find.and_then(|find| find.case) else { return Ok(Some(None)) };
        let budget = Budget::for_time(times.shrink, 1);
        Ok(Some(shrink::shrink(&case, &session.revision, None, budget)?))
    })
    .map_err(unusable)?;
    let mut missing = 0;
    for (bug, shrunk) in bugs.iter().zip(smalls) {
        let name = bug.name();
        let path = into.join(format!("planted-{name}.capsule"));
        let line = match shrunk.flatten() {
            None => {
                missing += 1;
                session.output.text(&format!("{name}: not found\n"))?;
                SmallLine { name, capsule: None, shrunk: None }
            }
            Some(shrunk) => {
                write_capsule(&path, &shrunk.capsule)?;
                session.output.text(&format!("{name}: {}\n", shrunk.sentence()))?;
                let capsule = path.display().to_string();
                SmallLine { name, capsule: Some(capsule), shrunk: Some(shrunk.sentence()) }
            }
        };
        session.output.object("planted_shrink", &line)?;
    }
    Ok(Exit::Nothing
        .and_if(swarm::is_interrupted(), Exit::Interrupted)
        .and_if(missing > 0, Exit::Inconclusive))
}

#[derive(Serialize)]
struct BugLine {
    name: &'static str,
    engine: &'static str,
    number: u8,
    bug: &'static str,
    source: &'static str,
}

fn list(session: &Session) -> Result<Exit, Stop> {
    let mut table = plain_table(["bug", "no", "what is wrong", "source"]);
    for bug in Bug::ALL {
        let (name, source) = (bug.name(), bug.source());
        let line = BugLine { name, engine: ENGINE, number: bug.number(), bug: bug.story(), source };
        table.add_row([name, &line.number.to_string(), line.bug, source]);
        session.output.object("planted", &line)?;
    }
    session.output.text(&format!("{}\n", table.trim_fmt()))?;
    Ok(Exit::Nothing)
}

/// Those that were named, or all.
fn chosen(names: &[String]) -> Result<Vec<Bug>, Stop> {
    if names.is_empty() {
        return Ok(Bug::ALL.to_vec());
    }
    let find = |name: &String| {
        Bug::ALL.iter().copied().find(|bug| bug.name() == name).ok_or_else(|| {
            let guess = did_you_mean(name, Bug::NAMES.iter().copied());
            Stop::Usage(format!("there is no bug '{name}'; `planted list` shows all{guess}"))
        })
    };
    names.iter().map(find).collect()
}

/// What the finds of one bug came to.
#[derive(Serialize)]
struct Line {
    name: &'static str,
    starts: usize,
    found: usize,
    /// The scenario of most finds.
    scenario: Option<String>,
    /// The first seed there that has it.
    seed: Option<u64>,
    seeds_median: f64,
    steps_median: f64,
    core_seconds_median: f64,
    core_seconds_max: f64,
}

/// All of them.
#[derive(Serialize)]
struct Sum {
    planted: usize,
    found: usize,
    median_core_s: f64,
    p95_core_s: f64,
    scored: usize,
    not_found: Vec<&'static str>,
    limit_s: f64,
}

fn score(
    session: &Session,
    starts: usize,
    limit: Duration,
    bugs: &[Bug],
    jobs: Option<u16>,
) -> Result<Exit, Stop> {
    swarm::install_interrupts();
    let finds = in_parallel(session.jobs(jobs), bugs.len() * starts, |piece| {
        let first = (piece % starts) as u64 * APART;
        let cases = cases_of(ENGINE, bugs[piece / starts].name(), first)?;
        first_find_in(&cases, limit, &swarm::is_interrupted)
    })
    .map_err(unusable)?;
    let mut lines = Vec::new();
    for (bug, finds) in bugs.iter().zip(finds.chunks(starts)) {
        let finds: Option<Vec<&Find>> = finds.iter().map(Option::as_ref).collect();
        lines.extend(finds.map(|finds| line_of(*bug, &finds, limit)));
    }
    let limit_s = limit.as_secs_f64();
    let medians = || lines.iter().map(|line| line.core_seconds_median);
    let is_found = |line: &&Line| line.core_seconds_median < limit_s;
    let sum = Sum {
        planted: bugs.len(),
        found: lines.iter().filter(is_found).count(),
        median_core_s: quantile(medians(), 0.5).unwrap_or_default(),
        p95_core_s: quantile(medians(), 0.95).unwrap_or_default(),
        scored: lines.len(),
        not_found: lines.iter().filter(|line| !is_found(line)).map(|line| line.name).collect(),
        limit_s,
    };
    say(session, &lines, &sum)?;
    Ok(Exit::Nothing
        .and_if(swarm::is_interrupted(), Exit::Interrupted)
        .and_if(lines.len() < bugs.len(), Exit::Inconclusive))
}

fn line_of(bug: Bug, finds: &[&Find], limit: Duration) -> Line {
    let efforts = || finds.iter().map(|find| find.effort);
    let of = |value: &dyn Fn(&Effort) -> f64, share| {
        quantile(efforts().map(|effort| value(&effort)), share).unwrap_or_default()
    };
    let seconds = |effort: &Effort| effort.seconds_within(limit);
    let mut scenarios: BTreeMap<&str, usize> = BTreeMap::new();
    for case in finds.iter().filter_map(|find| find.case.as_ref()) {
        *scenarios.entry(&case.scenario).or_default() += 1;
    }
    let scenario = scenarios.iter().max_by_key(|(_, count)| **count).map(|(name, _)| *name);
    let cases = finds.iter().filter_map(|find| find.case.as_ref());
    let seed = cases.filter(|case| Some(&*case.scenario) == scenario).map(|case| case.seed).min();
    Line {
        name: bug.name(),
        starts: finds.len(),
        found: efforts().filter(|effort| effort.found).count(),
        scenario: scenario.map(String::from),
        seed,
        seeds_median: of(&|effort| effort.seeds as f64, 0.5),
        steps_median: of(&|effort| effort.steps as f64, 0.5),
        core_seconds_median: of(&seconds, 0.5),
        core_seconds_max: of(&seconds, 1.0),
    }
}

fn say(session: &Session, lines: &[Line], sum: &Sum) -> Result<(), Stop> {
    let header = ["bug", "scenario", "seed", "found", "seeds", "core s", "max"];
    let mut table = plain_table(header);
    for line in lines {
        session.output.object("planted_score", line)?;
        table.add_row([
            line.name.to_string(),
            line.scenario.clone().unwrap_or_default(),
            line.seed.map(|seed| seed.to_string()).unwrap_or_default(),
            format!("{}/{}", line.found, line.starts),
            grouped(line.seeds_median as u64),
            format!("{:.2}", line.core_seconds_median),
            format!("{:.2}", line.core_seconds_max),
        ]);
    }
    // Names and seeds are looked for: they are not broken.
    for column in table.column_iter_mut() {
        column.set_constraint(comfy_table::ColumnConstraint::ContentWidth);
    }
    for column in table.column_iter_mut().skip(2) {
        column.set_cell_alignment(comfy_table::CellAlignment::Right);
    }
    let not_found = match &sum.not_found[..] {
        [] => String::new(),
        names => format!("; not found: {}", names.join(", ")),
    };
    session.output.text(&format!(
        "{}\n{} of {} planted bugs found within {:.0} s of one core at the median; {:.2} s at the median \
         of all, {:.2} s at the 95th percentile{not_found}\n",
        table.trim_fmt(),
        sum.found,
        sum.planted,
        sum.limit_s,
        sum.median_core_s,
        sum.p95_core_s,
    ))?;
    session.output.object("summary", sum)
}

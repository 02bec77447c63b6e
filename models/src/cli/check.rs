//! `check`: each seed twice, compared event by event.

use super::choice::Choice;
use super::exit::{Exit, Stop};
use super::output::grouped;
use super::session::Session;
use super::swarm::describe;
use super::typed;
use super::values::Partition;
use crate::report::{Report, Trust};
use crate::run::{Case, Property};
use crate::swarm::{self, Ending, Goal, Mode, Progress, Results, Seeds, Tally};

/// Runs the verb.
pub fn check(session: &Session, typed: &typed::Check) -> Result<Exit, Stop> {
    let choice = Choice::new(&typed.case, &session.config);
    let parts = choice.cases()?;
    let partition = typed.partition.or(session.config.partition).unwrap_or(Partition::WHOLE);
    let seeds = Seeds::new(typed.seeds, partition);
    let planned = seeds.count().saturating_mul(parts.len() as u64);
    if planned == 0 {
        session.output.complain(&format!("no seed of {} is in slice {partition}", typed.seeds));
        return Ok(Exit::NoSeed);
    }
    let jobs = session.jobs(typed.jobs);
    session.output.status("Checking", &describe(&parts, &session.revision, "each seed twice"));
    swarm::install_interrupts();
    let goal = Goal {
        parts,
        seeds,
        mode: Mode::Check,
        jobs,
        duration: None,
        silence: crate::swarm::SILENCE_MAX,
        // One difference is enough: nothing else can be trusted any more.
        fail_fast: Some(1),
        until_each_found: false,
        canary: None,
        resumed: Vec::new(),
    };
    let mut progress = Progress::new(session.output, planned, None);
    let results = swarm::run(&goal, &mut progress)?;
    conclude(session, &goal, planned, &results)
}

fn conclude(session: &Session, goal: &Goal, planned: u64, results: &Results) -> Result<Exit, Stop> {
    let mut exit = Exit::Nothing;
    for (case, tally) in goal.parts.iter().zip(&results.tallies) {
        exit = exit.and(say_findings(session, case, tally)?);
    }
    if let Some(broken) = &results.broken {
        session.output.complain(broken);
    }
    let run: u64 = results.tallies.iter().map(|tally| tally.run).sum();
    if exit == Exit::Nothing && run == planned {
        let text = format!("{} seeds gave the same trace twice\n", grouped(run));
        session.output.text(&text)?;
    }
    let body = serde_json::json!({ "planned": planned, "run": run, "same": exit == Exit::Nothing });
    session.output.object("check", &body)?;
    Ok(exit
        .and_if(results.broken.is_some(), Exit::OurBug)
        .and_if(results.ending == Ending::Interrupted, Exit::Interrupted)
        .and_if(run < planned, Exit::Inconclusive))
}

fn say_findings(session: &Session, case: &Case, tally: &Tally) -> Result<Exit, Stop> {
    let mut exit = Exit::Nothing;
    for found in tally.found.values() {
        let case = Case { seed: found.seed, ..case.clone() };
        session.output.object("finding", found)?;
        let differs = found.finding.property == Property::Nondeterminism;
        let trust = if differs {
            "none: two runs of this seed differ"
        } else {
            "the worker was lost, so there is no digest"
        };
        let report = Report {
            case: &case,
            finding: &found.finding,
            drawn: &[],
            events: &[],
            seen: None,
            control: None,
            trust: Trust::NotRepeated(trust.into()),
            revision: &session.revision,
            shrunk: None,
            capsule: None,
            recording: None,
            caller: session.caller,
        };
        session.output.text(&report.text())?;
        exit = exit.and(if differs { Exit::Nondeterminism } else { Exit::Found });
    }
    Ok(exit)
}

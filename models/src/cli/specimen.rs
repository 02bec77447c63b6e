//! `specimen`: the testbed measured by tiny programs with one bug each.

use serde::Serialize;

use super::examine::report_of;
use super::exit::{Exit, Stop};
use super::output::grouped;
use super::session::Session;
use super::show::plain_table;
use super::shrink_score::shrink_score;
use super::typed::{SpecimenFlags, SpecimenVerb};
use super::values::did_you_mean;
use crate::cli::choice::unusable;
use crate::score::{APART, Effort, case_of, false_alarm, first_find, in_parallel, quantile};
use crate::specimen::{self, Specimen};
use crate::swarm;

/// Runs the verb.
pub fn specimen(session: &Session, verb: &SpecimenVerb) -> Result<Exit, Stop> {
    match verb {
        SpecimenVerb::List => list(session),
        SpecimenVerb::Score { starts, limit, which } => {
            score(session, u64::from(*starts), limit.0, which)
        }
        SpecimenVerb::ShrinkScore { prove_minimal, limit, which } => {
            shrink_score(session, *prove_minimal, limit.0, &chosen(which)?, which.jobs)
        }
        SpecimenVerb::Twins { runs, which } => twins(session, runs.0, which),
    }
}

#[derive(Serialize)]
struct SpecimenLine {
    name: &'static str,
    family: &'static str,
    bug: &'static str,
    source: &'static str,
}

fn list(session: &Session) -> Result<Exit, Stop> {
    let mut table = plain_table(["specimen", "family", "bug", "source"]);
    for Specimen { name, family, bug, source, .. } in specimen::all() {
        let line = SpecimenLine { name, family: family.name(), bug, source };
        table.add_row([line.name, line.family, line.bug, line.source]);
        session.output.object("specimen", &line)?;
    }
    session.output.text(&format!("{}\n", table.trim_fmt()))?;
    Ok(Exit::Nothing)
}

/// Those that were named, or all.
fn chosen(which: &SpecimenFlags) -> Result<Vec<&'static Specimen>, Stop> {
    let all = specimen::all();
    if which.names.is_empty() {
        return Ok(all);
    }
    let find = |name: &String| {
        all.iter().copied().find(|specimen| specimen.name == name).ok_or_else(|| {
            let guess = did_you_mean(name, all.iter().map(|specimen| specimen.name));
            Stop::Usage(format!("there is no specimen '{name}'; `specimen list` shows all{guess}"))
        })
    };
    which.names.iter().map(find).collect()
}

/// What the finds of one specimen came to.
#[derive(Serialize)]
struct ScoreLine {
    name: &'static str,
    family: &'static str,
    starts: u64,
    found: u64,
    seeds_median: f64,
    seeds_p95: f64,
    steps_median: f64,
    steps_p95: f64,
    core_seconds_median: f64,
    core_seconds_p95: f64,
}

/// All specimens together.
#[derive(Serialize)]
struct ScoreSum {
    specimens: u64,
    scored: u64,
    never_found: Vec<&'static str>,
    within_limit_at_median: u64,
    limit_s: f64,
    wall_s: f64,
}

fn score(
    session: &Session,
    starts: u64,
    limit: std::time::Duration,
    which: &SpecimenFlags,
) -> Result<Exit, Stop> {
    let specimens = chosen(which)?;
    swarm::install_interrupts();
    let begun = std::time::Instant::now();
    let pieces = specimens.len() * starts as usize;
    let finds = in_parallel(session.jobs(which.jobs), pieces, |piece| {
        let first = piece as u64 % starts * APART;
        first_find(specimens[piece / starts as usize], first, limit, &swarm::is_interrupted)
    })
    .map_err(unusable)?;
    let mut lines = Vec::new();
    for (specimen, finds) in specimens.iter().zip(finds.chunks(starts as usize)) {
        let finds: Option<Vec<Effort>> = finds.iter().copied().collect();
        lines.extend(finds.map(|finds| line_of(specimen, &finds, limit)));
    }
    let never = lines.iter().filter(|line| line.found == 0).map(|line| line.name).collect();
    let limit_s = limit.as_secs_f64();
    let sum = ScoreSum {
        specimens: specimens.len() as u64,
        scored: lines.len() as u64,
        never_found: never,
        within_limit_at_median: lines
            .iter()
            .filter(|line| line.core_seconds_median < limit_s)
            .count() as u64,
        limit_s,
        wall_s: begun.elapsed().as_secs_f64(),
    };
    say_score(session, &lines, &sum)?;
    Ok(Exit::Nothing
        .and_if(swarm::is_interrupted(), Exit::Interrupted)
        .and_if(lines.len() < specimens.len(), Exit::Inconclusive))
}

fn line_of(specimen: &Specimen, finds: &[Effort], limit: std::time::Duration) -> ScoreLine {
    let of = |value: fn(&Effort) -> f64, share| {
        quantile(finds.iter().map(value), share).unwrap_or_default()
    };
    let seconds = |share| {
        quantile(finds.iter().map(|effort| effort.seconds_within(limit)), share).unwrap_or_default()
    };
    ScoreLine {
        name: specimen.name,
        family: specimen.family.name(),
        starts: finds.len() as u64,
        found: finds.iter().filter(|effort| effort.found).count() as u64,
        seeds_median: of(|effort| effort.seeds as f64, 0.5),
        seeds_p95: of(|effort| effort.seeds as f64, 0.95),
        steps_median: of(|effort| effort.steps as f64, 0.5),
        steps_p95: of(|effort| effort.steps as f64, 0.95),
        core_seconds_median: seconds(0.5),
        core_seconds_p95: seconds(0.95),
    }
}

fn say_score(session: &Session, lines: &[ScoreLine], sum: &ScoreSum) -> Result<(), Stop> {
    let header = ["specimen", "found", "seeds", "p95", "steps", "p95", "core s", "p95"];
    let mut table = plain_table(header);
    for line in lines {
        session.output.object("specimen_score", line)?;
        table.add_row([
            line.name.to_string(),
            format!("{}/{}", line.found, line.starts),
            grouped(line.seeds_median as u64),
            grouped(line.seeds_p95 as u64),
            grouped(line.steps_median as u64),
            grouped(line.steps_p95 as u64),
            format!("{:.3}", line.core_seconds_median),
            format!("{:.3}", line.core_seconds_p95),
        ]);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(comfy_table::CellAlignment::Right);
    }
    session.output.object("score", sum)?;
    let never = match &sum.never_found[..] {
        [] => String::new(),
        names => format!("; never found: {}", names.join(", ")),
    };
    session.output.text(&format!(
        "{}\n{} of {} specimens found within {:.0} s of one core at the median, in {:.0} s{never}\n",
        table.trim_fmt(),
        sum.within_limit_at_median,
        sum.specimens,
        sum.limit_s,
        sum.wall_s,
    ))
}

/// What became of one mended twin.
#[derive(Serialize)]
struct TwinLine {
    name: &'static str,
    runs: u64,
    convicted: Option<u64>,
}

fn twins(session: &Session, runs: u64, which: &SpecimenFlags) -> Result<Exit, Stop> {
    let specimens = chosen(which)?;
    swarm::install_interrupts();
    let each = runs.div_ceil(specimens.len() as u64);
    let results = in_parallel(session.jobs(which.jobs), specimens.len(), |index| {
        false_alarm(specimens[index], each, &swarm::is_interrupted)
    })
    .map_err(unusable)?;
    let (mut run, mut convicted) = (0, 0);
    for (specimen, (alarm, twin_runs)) in specimens.iter().zip(results) {
        run += twin_runs;
        let line = TwinLine { name: specimen.name, runs: twin_runs, convicted: alarm };
        session.output.object("twin", &line)?;
        let Some(seed) = alarm else { continue };
        convicted += 1;
        session.output.complain(&format!(
            "the mended twin of {} is convicted: a false alarm, our bug",
            specimen.name
        ));
        if let Some(report) = report_of(&case_of(specimen, seed, false)).map_err(Stop::OurBug)? {
            session.output.text(&format!("{report}\n"))?;
        }
    }
    let text = format!(
        "{convicted} of {} mended twins convicted in {} runs\n",
        specimens.len(),
        grouped(run)
    );
    session.output.text(&text)?;
    session.output.object(
        "twins",
        &serde_json::json!({ "specimens": specimens.len(), "runs": run, "convicted": convicted }),
    )?;
    Ok(Exit::Nothing
        .and_if(swarm::is_interrupted(), Exit::Interrupted)
        .and_if(run < each * specimens.len() as u64 && convicted == 0, Exit::Inconclusive)
        .and_if(run == 0, Exit::NoSeed)
        .and_if(convicted > 0, Exit::OurBug))
}

//! `specimen shrink-score`: how small each known bug becomes, and how long that takes.

use std::time::Duration;

use serde::Serialize;

use super::choice::unusable;
use super::exit::{Exit, Stop};
use super::output::grouped;
use super::session::Session;
use super::show::plain_table;
use crate::score::{in_parallel, quantile};
use crate::shrink::{SHRINK_STARTS, Shrinkage, Size, shrinkage};
use crate::specimen::Specimen;
use crate::swarm;

/// What became of the failures of one specimen.
#[derive(Serialize)]
struct Line {
    name: &'static str,
    shrunk: usize,
    starts: u64,
    before: Size,
    after: Size,
    core_seconds_median: f64,
    core_seconds_p95: f64,
    minimal: usize,
    /// Of those that said they were minimal, how many were proven; none when that was not asked for.
    proven: Option<usize>,
}

/// All of them. The medians are of the failures that had any such thing before.
#[derive(Serialize)]
struct Sum {
    specimens: usize,
    failures: usize,
    operations_median: f64,
    faults_median: f64,
    preemptions_median: f64,
    within_limit_percent: f64,
    minimal_percent: f64,
    limit_s: f64,
}

/// Runs the verb.
pub fn shrink_score(
    session: &Session,
    prove: bool,
    limit: Duration,
    specimens: &[&'static Specimen],
    jobs: Option<u16>,
) -> Result<Exit, Stop> {
    swarm::install_interrupts();
    let starts = SHRINK_STARTS as usize;
    let results = in_parallel(session.jobs(jobs), specimens.len() * starts, |index| {
        let specimen = specimens[index / starts];
        shrinkage(specimen, (index % starts) as u64, limit, prove, &swarm::is_interrupted)
    })
    .map_err(unusable)?;
    let lines: Vec<Line> = specimens
        .iter()
        .zip(results.chunks(starts))
        .map(|(specimen, results)| line_of(specimen, results, prove))
        .collect();
    let all: Vec<&Shrinkage> = results.iter().flatten().collect();
    let sum = sum_of(&all, specimens.len(), limit, prove);
    say(session, &lines, &sum, prove)?;
    let missing = lines.iter().any(|line| (line.shrunk as u64) < line.starts);
    Ok(Exit::Nothing
        .and_if(swarm::is_interrupted(), Exit::Interrupted)
        .and_if(missing, Exit::Inconclusive))
}

/// The value of a size that half of the results do not exceed.
fn median(results: &[&Shrinkage], of: impl Fn(&Shrinkage) -> u64) -> u64 {
    quantile(results.iter().map(|one| of(one) as f64), 0.5).unwrap_or(0.0) as u64
}

fn sizes(results: &[&Shrinkage], of: impl Fn(&Shrinkage) -> Size) -> Size {
    Size {
        operations: median(results, |one| of(one).operations),
        faults: median(results, |one| of(one).faults),
        preemptions: median(results, |one| of(one).preemptions),
        boots: median(results, |one| of(one).boots),
        choices: median(results, |one| of(one).choices),
    }
}

fn is_minimal(one: &Shrinkage, prove: bool) -> bool {
    one.is_minimal && (!prove || one.is_proven == Some(true))
}

fn line_of(specimen: &Specimen, results: &[Option<Shrinkage>], prove: bool) -> Line {
    let results: Vec<&Shrinkage> = results.iter().flatten().collect();
    let seconds =
        |share| quantile(results.iter().map(|one| one.core_seconds), share).unwrap_or(0.0);
    let proven = results.iter().filter(|one| one.is_proven == Some(true)).count();
    Line {
        name: specimen.name,
        shrunk: results.len(),
        starts: SHRINK_STARTS,
        before: sizes(&results, |one| one.before),
        after: sizes(&results, |one| one.after),
        core_seconds_median: seconds(0.5),
        core_seconds_p95: seconds(0.95),
        minimal: results.iter().filter(|one| one.is_minimal).count(),
        proven: prove.then_some(proven),
    }
}

fn sum_of(all: &[&Shrinkage], specimens: usize, limit: Duration, prove: bool) -> Sum {
    let percent = |count: usize| 100.0 * count as f64 / all.len().max(1) as f64;
    // Programs have no operations, and most stores need no preemption: they would hide the others.
    let of = |value: fn(&Size) -> u64| {
        let had = all.iter().filter(|one| value(&one.before) > 0);
        median(&had.copied().collect::<Vec<_>>(), |one| value(&one.after)) as f64
    };
    Sum {
        specimens,
        failures: all.len(),
        operations_median: of(|size| size.operations),
        faults_median: of(|size| size.faults),
        preemptions_median: of(|size| size.preemptions),
        within_limit_percent: percent(
            all.iter().filter(|one| one.core_seconds <= limit.as_secs_f64()).count(),
        ),
        minimal_percent: percent(all.iter().filter(|one| is_minimal(one, prove)).count()),
        limit_s: limit.as_secs_f64(),
    }
}

fn say(session: &Session, lines: &[Line], sum: &Sum, prove: bool) -> Result<(), Stop> {
    let header =
        ["specimen", "operations", "faults", "preemptions", "choices", "core s", "minimal"];
    let mut table = plain_table(header);
    for line in lines {
        session.output.object("shrink_score", line)?;
        let pair = |of: fn(&Size) -> u64| {
            format!("{} to {}", grouped(of(&line.before)), grouped(of(&line.after)))
        };
        table.add_row([
            line.name.to_string(),
            pair(|size| size.operations),
            pair(|size| size.faults),
            pair(|size| size.preemptions),
            pair(|size| size.choices),
            format!("{:.3}", line.core_seconds_median),
            format!("{}/{}", line.proven.unwrap_or(line.minimal), line.starts),
        ]);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(comfy_table::CellAlignment::Right);
    }
    session.output.object("shrink_score_sum", sum)?;
    let proven = if prove { ", proven by leaving each choice out" } else { "" };
    session.output.text(&format!(
        "{}\n{} failures of {} specimens, each value the median of {SHRINK_STARTS} starting seeds: {} \
         operations, {} faults, {} preemptions at the median of those that had any; {:.1} % within {:.0} s of one core; {:.1} % \
         minimal{proven}\n",
        table.trim_fmt(),
        sum.failures,
        sum.specimens,
        sum.operations_median,
        sum.faults_median,
        sum.preemptions_median,
        sum.within_limit_percent,
        sum.limit_s,
        sum.minimal_percent,
    ))
}

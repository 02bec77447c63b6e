//! The last lines of a swarm: a summary for each engine and scenario, one for all, and a table.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use comfy_table::presets::ASCII_MARKDOWN;
use comfy_table::{CellAlignment, ContentArrangement, Table};
use falconry_sim::fault::{Fault, FaultSet};
use falconry_sim::trace::Digest;
use serde::Serialize;

use super::marks::never_reached;
use super::runner::Canary;
use super::silence::missed_below_percent;
use super::tally::Tally;
use crate::cli::output::grouped;
use crate::engine;
use crate::run::Case;

/// The engine's name in the summary of all.
const ALL: &str = "all";

/// One line of `--json`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// The engine, or `all`.
    pub engine: String,
    /// The scenario, or `all`.
    pub scenario: String,
    /// Seeds that were asked for.
    pub planned: u64,
    /// Seeds that were run.
    pub run: u64,
    /// Seeds with a finding, expected ones left out.
    pub findings: u64,
    /// Of those, how many came after faults that the engine does not claim to survive, by fault.
    pub beyond: BTreeMap<String, u64>,
    /// Seeds with an expected finding.
    pub expected: u64,
    /// What became of the canary.
    pub canary: &'static str,
    /// Boots.
    pub boots: u64,
    /// Boots that ended by power loss.
    pub power_losses: u64,
    /// Those in which at least one unsynced write survived and one did not.
    pub partial_power_losses: u64,
    /// Boots that ended by process crash.
    pub process_crashes: u64,
    /// Acknowledged commits.
    pub commits_acked: u64,
    /// Acknowledged commits of a run, at the median.
    pub commits_median: u64,
    /// Power losses of a run, at the median.
    pub power_losses_median: u64,
    /// Commits that were lost and came back, where durability was not promised.
    pub resurrected: u64,
    /// Scheduling decisions.
    pub steps: u64,
    /// Real time; for a part its share of the workers' time.
    pub wall_s: f64,
    /// Seeds in a second of it.
    pub seeds_per_s: f64,
    /// How often each fault was delivered.
    pub faults: BTreeMap<&'static str, u64>,
    /// By engine, the faults that it claims to survive and that were never delivered to it.
    pub never_delivered: BTreeMap<String, BTreeSet<&'static str>>,
    /// Marks that were never reached.
    pub never_reached: Vec<String>,
    /// In how many percent of runs a bug may show at most to have been missed, at 95 %; absent when
    /// there was a finding.
    pub missed_below_percent: Option<f64>,
    /// Tasks that could not be ended when the power went.
    pub abandoned: u64,
    /// Workers that were lost.
    pub workers_lost: u64,
    /// Seeds that were run twice.
    pub twice: u64,
    /// All runs' digests, folded in the order of their seeds.
    pub digest: String,
}

/// A part of the plan and what it came to.
pub struct Row<'a> {
    /// The part.
    pub case: &'a Case,
    /// Seeds that were asked for.
    pub planned: u64,
    /// What came of them.
    pub tally: &'a Tally,
}

/// The summary of each row, and that of all.
pub fn summaries(rows: &[Row<'_>], canary: Canary, jobs: usize, wall: Duration) -> Vec<Summary> {
    let mut all: Vec<Summary> = rows
        .iter()
        .map(|row| {
            let wall = row.tally.busy / jobs as u32;
            summary(row.case.engine.clone(), row.case.scenario.clone(), row, canary, wall)
        })
        .collect();
    let (sum, digest) = sum(rows);
    let planned = rows.iter().fold(0u64, |sum, row| sum.saturating_add(row.planned));
    if let Some(first) = rows.first() {
        let row = Row { case: first.case, planned, tally: &sum };
        let mut total = summary(ALL.into(), ALL.into(), &row, canary, wall);
        total.findings = rows.iter().map(|row| row.tally.findings(false)).sum();
        for (faults, count) in rows.iter().flat_map(|row| row.tally.beyond()) {
            *total.beyond.entry(faults).or_default() += count;
        }
        total.expected = rows.iter().map(|row| row.tally.findings(true)).sum();
        total.missed_below_percent = missed_below(total.run, total.findings + total.expected);
        total.never_delivered = never_delivered_at_all(&all);
        total.digest = digest.to_string();
        all.push(total);
    }
    all
}

fn summary(
    engine: String,
    scenario: String,
    row: &Row<'_>,
    canary: Canary,
    wall: Duration,
) -> Summary {
    let Row { planned, tally, .. } = row;
    let counters = &tally.counters;
    let wall_s = wall.as_secs_f64();
    let faults = Fault::ALL.iter().zip(&counters.faults);
    Summary {
        engine,
        scenario,
        planned: *planned,
        run: tally.run,
        findings: tally.findings(false),
        beyond: tally.beyond(),
        expected: tally.findings(true),
        canary: match canary {
            Canary::Convicted(_) => "convicted",
            Canary::NotConvicted => "not convicted",
        },
        boots: counters.boots,
        power_losses: counters.power_losses,
        partial_power_losses: counters.partial_power_losses,
        process_crashes: counters.process_crashes,
        commits_acked: counters.commits_acked,
        commits_median: tally.commits.median(),
        power_losses_median: tally.power_losses.median(),
        resurrected: counters.resurrected,
        steps: counters.steps,
        wall_s: (wall_s * 1e3).round() / 1e3,
        seeds_per_s: (tally.run as f64 / wall_s.max(1e-3) * 10.0).round() / 10.0,
        faults: faults.map(|(fault, count)| (fault.name(), *count)).collect(),
        never_delivered: never_delivered(row),
        never_reached: never_reached(tally.reached.iter()),
        missed_below_percent: missed_below(tally.run, tally.findings(false) + tally.findings(true)),
        abandoned: counters.abandoned,
        workers_lost: tally.workers_lost,
        twice: tally.twice,
        digest: tally.digest().to_string(),
    }
}

/// What a plan without any finding tells.
fn missed_below(runs: u64, findings: u64) -> Option<f64> {
    (findings == 0).then(|| missed_below_percent(runs))
}

/// What its engine claims to survive and never met. The machine's self-check claims nothing.
fn never_delivered(row: &Row<'_>) -> BTreeMap<String, BTreeSet<&'static str>> {
    let claims = engine::find(&row.case.engine).map_or(FaultSet::NONE, |engine| engine.claims());
    let counts = &row.tally.counters.faults;
    let missed = claims.iter().filter(|fault| counts[*fault as usize] == 0).map(Fault::name);
    let missed: BTreeSet<&'static str> = missed.collect();
    let row = (row.case.engine.clone(), missed);
    [row].into_iter().filter(|(_, missed)| !missed.is_empty()).collect()
}

/// What an engine met in none of its scenarios, although it claims it.
fn never_delivered_at_all(parts: &[Summary]) -> BTreeMap<String, BTreeSet<&'static str>> {
    let mut missed: BTreeMap<String, BTreeSet<&'static str>> = BTreeMap::new();
    for part in parts {
        for (engine, faults) in &part.never_delivered {
            missed.entry(engine.clone()).or_default().extend(faults);
        }
    }
    for part in parts {
        if let Some(faults) = missed.get_mut(&part.engine) {
            faults.retain(|fault| part.faults.get(fault).is_none_or(|count| *count == 0));
        }
    }
    missed.retain(|_, faults| !faults.is_empty());
    missed
}

/// The tallies together, and their digests folded in the order of the rows.
fn sum(rows: &[Row<'_>]) -> (Tally, Digest) {
    let mut sum = Tally::default();
    let mut digest = Digest::new();
    for Row { tally, .. } in rows {
        sum.run += tally.run;
        sum.twice += tally.twice;
        sum.counters.add(&tally.counters);
        sum.commits.add(&tally.commits);
        sum.power_losses.add(&tally.power_losses);
        sum.reached.extend(tally.reached.iter().cloned());
        sum.workers_lost += tally.workers_lost;
        let part = tally.digest().value();
        digest.fold(part as u64, (part >> 64) as u64);
    }
    (sum, digest)
}

/// The table at the end, in ASCII, at most `width` wide if that is known.
pub fn table(summaries: &[Summary], width: Option<u16>) -> String {
    let mut table = Table::new();
    table.load_style(ASCII_MARKDOWN);
    table.force_no_tty();
    if let Some(width) = width {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    }
    table.set_header([
        "engine",
        "scenario",
        "seeds",
        "boots",
        "power losses",
        "faults delivered",
        "findings",
    ]);
    for summary in summaries {
        table.add_row([
            summary.engine.clone(),
            summary.scenario.clone(),
            grouped(summary.run),
            grouped(summary.boots),
            grouped(summary.power_losses),
            grouped(summary.faults.values().sum()),
            findings(summary),
        ]);
    }
    // Names are looked for: they are not broken.
    for column in table.column_iter_mut().take(2) {
        column.set_constraint(comfy_table::ColumnConstraint::ContentWidth);
    }
    for column in table.column_iter_mut().skip(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.trim_fmt()
}

/// Findings within the budget, beyond it, and expected ones.
fn findings(summary: &Summary) -> String {
    let beyond = summary.beyond.values().sum::<u64>();
    let within = summary.findings.saturating_sub(beyond);
    let apart = [(beyond, "beyond budget"), (summary.expected, "expected")];
    let apart = apart.into_iter().filter(|(count, _)| *count > 0);
    let mut parts: Vec<String> =
        apart.map(|(count, what)| format!("{} {what}", grouped(count))).collect();
    if within > 0 || parts.is_empty() {
        parts.insert(0, grouped(within));
    }
    parts.join(" + ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::properties::plain;

    /// What one scenario delivers is not missed in another of the same engine, but in another engine's.
    #[test]
    fn what_was_never_delivered_is_told_by_engine() {
        let tally = |delivered: &[Fault]| {
            let mut tally = Tally::default();
            delivered.iter().for_each(|fault| tally.counters.faults[*fault as usize] = 1);
            tally
        };
        let cases = [("redb", "kv/bank"), ("redb", "kv/range"), ("sqlite", "kv/bank")];
        let cases = cases.map(|(engine, scenario)| plain(engine, scenario, 0));
        let tallies = [tally(&[Fault::TornWrite]), tally(&[Fault::LostWrite]), tally(&[])];
        let rows: Vec<Row<'_>> = (cases.iter().zip(&tallies))
            .map(|(case, tally)| Row { case, planned: 1, tally })
            .collect();
        let all = summaries(&rows, Canary::NotConvicted, 1, Duration::ZERO).pop().unwrap();
        let misses = |engine: &str, fault: &str| all.never_delivered[engine].contains(fault);
        assert!(!misses("redb", "torn_write") && !misses("redb", "lost_write"));
        assert!(misses("sqlite", "torn_write") && misses("redb", "all_but_one"));
        assert!(!all.never_delivered.contains_key("machine"));
    }

    #[test]
    fn what_was_found_is_told_apart() {
        let (case, tally) = (plain("redb", "kv/bank", 0), Tally::default());
        let row = Row { case: &case, planned: 9, tally: &tally };
        let mut summary = summaries(&[row], Canary::NotConvicted, 1, Duration::ZERO).swap_remove(0);
        let mut told = |within: u64, beyond: u64, expected| {
            summary.beyond.insert("bit_rot".into(), beyond);
            (summary.findings, summary.expected) = (within + beyond, expected);
            findings(&summary)
        };
        assert_eq!(told(0, 0, 0), "0");
        assert_eq!(told(2, 0, 0), "2");
        assert_eq!(told(0, 3, 0), "3 beyond budget");
        assert_eq!(told(0, 0, 1_000), "1 000 expected");
        assert_eq!(told(2, 3, 1), "2 + 3 beyond budget + 1 expected");
    }
}

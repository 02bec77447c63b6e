//! From rows to the table, the JSON Lines and the verdict on the goal.
//!
//! # Method
//!
//! A specimen's figure is the mean over its starting seeds. A system's is the geometric mean over
//! specimens, for a bug that is rare must not outweigh all others. Every system stands beside the
//! mixture that a swarm draws.

use super::effort::{LIMIT, STARTS, Tally};
use super::ports;
use serde_json::json;
use std::fmt::Write;

/// The system that the others are compared with.
pub const FALCONRY: &str = "falconry";

/// How the names of shuttle's systems begin.
const PEER: &str = "shuttle-";

/// The work that stands for all.
const ALL: &str = "geometric_mean";

/// One specimen on one system.
#[derive(Clone, Debug)]
pub struct Row {
    /// The specimen.
    pub work: &'static str,
    /// On which system.
    pub system: &'static str,
    /// What it took; without a result, why.
    pub result: Result<Tally, String>,
}

fn tally<'a>(rows: &'a [Row], work: &str, system: &str) -> Option<&'a Tally> {
    let row = rows.iter().find(|row| row.work == work && row.system == system)?;
    row.result.as_ref().ok()
}

/// The geometric mean of a system over all its specimens; `None` when one has no result.
fn geometric_mean(rows: &[Row], system: &str) -> Option<f64> {
    let rows = rows.iter().filter(|row| row.system == system);
    let logs: Option<Vec<f64>> =
        rows.map(|row| row.result.as_ref().ok().map(|tally| tally.mean.ln())).collect();
    let logs = logs?;
    Some((logs.iter().sum::<f64>() / logs.len() as f64).exp())
}

/// The best of shuttle's systems, and its geometric mean.
fn best_peer(rows: &[Row], systems: &[&'static str]) -> Option<(&'static str, f64)> {
    let peers = systems.iter().filter(|system| system.starts_with(PEER));
    let means = peers.filter_map(|system| Some((*system, geometric_mean(rows, system)?)));
    means.min_by(|one, other| one.1.total_cmp(&other.1))
}

/// JSON Lines: a line for each row, one for each system over all specimens, and the sum.
pub fn json_lines(rows: &[Row], systems: &[&'static str]) -> String {
    let mut text = String::new();
    for row in rows {
        let Ok(tally) = &row.result else { continue };
        let ours = self::tally(rows, row.work, FALCONRY);
        let line = json!({
            "work": row.work,
            "system": row.system,
            "schedules": rounded(tally.mean),
            "schedules_median": rounded(tally.median),
            "found": tally.found,
            "starts": STARTS,
            "ratio_to_falconry": ours.map(|ours| rounded(tally.mean / ours.mean)),
        });
        let _ = writeln!(text, "{line}");
    }
    let ours = geometric_mean(rows, FALCONRY);
    for system in systems {
        let mean = geometric_mean(rows, system);
        let ratio = mean.zip(ours).map(|(mean, ours)| rounded(mean / ours));
        let line = json!({
            "work": ALL,
            "system": system,
            "schedules": mean.map(rounded),
            "ratio_to_falconry": ratio,
        });
        let _ = writeln!(text, "{line}");
    }
    let best = best_peer(rows, systems);
    let sum = json!({
        "sum": "strategies",
        "specimens": rows.iter().filter(|row| row.system == FALCONRY).count(),
        "not_ported": ports::NOT_PORTED.iter().map(|(name, _)| name).collect::<Vec<_>>(),
        "limit": LIMIT,
        "best_peer": best.map(|(name, _)| name),
        "best_peer_ratio_to_falconry":
            best.zip(ours).map(|((_, mean), ours)| rounded(mean / ours)),
        "goal": verdict(best.map(|(_, mean)| mean), ours),
    });
    let _ = writeln!(text, "{sum}");
    text
}

/// The table for people: a line a specimen, a column a system, and the goal with its verdict.
pub fn table(rows: &[Row], systems: &[&'static str]) -> String {
    let mut text = format!("{:<28}", "schedules to first find");
    let _ = writeln!(text, "{}", line_of(systems.iter().map(|system| system.to_string())));
    let mut works: Vec<&str> = rows.iter().map(|row| row.work).collect();
    works.dedup();
    for work in works {
        let cells = systems.iter().map(|system| cell(tally(rows, work, system)));
        let _ = writeln!(text, "{work:<28}{}", line_of(cells));
    }
    let means: Vec<Option<f64>> =
        systems.iter().map(|system| geometric_mean(rows, system)).collect();
    let cells = means.iter().map(|mean| shown(*mean));
    let _ = writeln!(text, "{:<28}{}", "geometric mean of means", line_of(cells));
    let best = best_peer(rows, systems);
    let ratios = means.iter().map(|mean| shown(mean.zip(best).map(|(mean, best)| mean / best.1)));
    let _ = writeln!(text, "{:<28}{}", "to shuttle's best", line_of(ratios));
    let _ = writeln!(
        text,
        "\nmedian (mean) of {STARTS} starting seeds; -N: N seeds without a find in {LIMIT} schedules"
    );
    for (name, reason) in ports::NOT_PORTED {
        let _ = writeln!(text, "not ported: {name}: {reason}");
    }
    let verdict = verdict(best.map(|(_, mean)| mean), geometric_mean(rows, FALCONRY));
    let _ = writeln!(text, "goal: {FALCONRY} no worse than shuttle's best: {verdict}");
    text
}

fn line_of(cells: impl Iterator<Item = String>) -> String {
    cells.fold(String::new(), |line, cell| line + &format!("{cell:>20}"))
}

fn cell(tally: Option<&Tally>) -> String {
    let Some(tally) = tally else { return "-".into() };
    let missed = STARTS - tally.found;
    let missed = if missed > 0 { format!(" -{missed}") } else { String::new() };
    format!("{:.0} ({:.1}){missed}", tally.median, tally.mean)
}

fn shown(value: Option<f64>) -> String {
    value.map_or_else(|| "-".into(), |value| format!("{value:.2}"))
}

fn verdict(best: Option<f64>, ours: Option<f64>) -> &'static str {
    match best.zip(ours) {
        None => "not measured",
        Some((best, ours)) if ours <= best => "met",
        Some(_) => "NOT MET",
    }
}

fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

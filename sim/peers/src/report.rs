//! From answers to the table, the JSON Lines and the verdicts on the goals.
//!
//! # Method
//!
//! Time is processor time; that of a work is the least of its rounds, for noise only ever adds. The
//! spread beside it is the median over the least, so that a reader sees how noisy the minute was. A
//! goal that is not met is printed as such and fails nothing: a clock judges no build.

use crate::server::Answer;
use crate::work::{ALL, GOALS, Goal, Work};
use serde_json::json;
use std::fmt::Write;

/// The system that the others are compared with.
pub const FALCONRY: &str = "falconry";

/// All rounds of one work on one system.
#[derive(Clone, Debug)]
pub struct Row {
    /// What was done.
    pub work: Work,
    /// On which system.
    pub system: &'static str,
    /// One answer a round; never empty.
    pub answers: Vec<Answer>,
}

impl Row {
    /// Nanoseconds an operation in the best round.
    pub fn ns(&self) -> f64 {
        self.sorted_ns()[0]
    }

    /// The median round divided by the best one.
    pub fn spread(&self) -> f64 {
        let sorted = self.sorted_ns();
        sorted[sorted.len() / 2] / sorted[0]
    }

    /// Resident memory at the end of the hungriest round.
    pub fn resident_bytes(&self) -> u64 {
        self.answers.iter().map(|answer| answer.resident_bytes).max().unwrap_or(0)
    }

    fn sorted_ns(&self) -> Vec<f64> {
        assert!(!self.answers.is_empty(), "{} on {} was never asked", self.work, self.system);
        let mut ns: Vec<f64> = self
            .answers
            .iter()
            .map(|answer| answer.round.elapsed.as_nanos() as f64 / answer.round.operations as f64)
            .collect();
        ns.sort_by(f64::total_cmp);
        ns
    }
}

fn find<'a>(rows: &'a [Row], work: Work, system: &str) -> Option<&'a Row> {
    rows.iter().find(|row| row.work == work && row.system == system)
}

/// JSON Lines: a line for each row.
pub fn json_lines(rows: &[Row]) -> String {
    let mut text = String::new();
    for row in rows {
        let ours = find(rows, row.work, FALCONRY).map(Row::ns);
        let mut line = json!({
            "work": row.work.to_string(),
            "system": row.system,
            "ns": rounded(row.ns()),
            "ratio_to_falconry": ours.map(|ours| rounded(row.ns() / ours)),
            "spread": rounded(row.spread()),
        });
        if row.work.pending().is_some() {
            line["resident_bytes"] = json!(row.resident_bytes());
        }
        let _ = writeln!(text, "{line}");
    }
    text
}

/// The table for people: a line a work, a column a system, and the goals with their verdicts.
pub fn table(rows: &[Row], systems: &[&'static str]) -> String {
    let mut text = String::new();
    let _ = write!(text, "{:<22}", "ns an operation");
    for system in systems {
        let _ = write!(text, "{system:>26}");
    }
    text.push('\n');
    for work in ALL {
        let ours = find(rows, *work, FALCONRY).map(Row::ns);
        let _ = write!(text, "{:<22}", work.to_string());
        for system in systems {
            let cell = match (find(rows, *work, system), ours) {
                (None, _) => "-".to_string(),
                (Some(row), Some(ours)) if *system != FALCONRY => {
                    format!("{:.1} ({:.1}x)", row.ns(), row.ns() / ours)
                }
                (Some(row), _) => format!("{:.1}", row.ns()),
            };
            let _ = write!(text, "{cell:>26}");
        }
        text.push('\n');
    }
    let worst = rows.iter().map(Row::spread).fold(1.0, f64::max);
    let _ = writeln!(text, "\nnoise: the median round took up to {worst:.2}x the best one");
    text.push_str(&memory(rows));
    text.push_str(&goals(rows));
    text
}

fn memory(rows: &[Row]) -> String {
    const MIB: f64 = 1024.0 * 1024.0;
    let mut text = String::new();
    for work in ALL.iter().filter(|work| work.pending().is_some()) {
        if let Some(row) = find(rows, *work, FALCONRY) {
            let mib = row.resident_bytes() as f64 / MIB;
            let _ = writeln!(text, "resident memory of falconry after {work}: {mib:.1} MiB");
        }
    }
    text
}

fn goals(rows: &[Row]) -> String {
    let mut text = format!("\n{:<50}{:>10}{:>12}  verdict\n", "goal", "at least", "measured");
    for goal in GOALS {
        match *goal {
            Goal::Faster { work, system, times } => {
                let ratio = faster_ratio(rows, work, system);
                let name = format!("{work}: faster than {system}");
                let verdict = verdict(ratio, |ratio| ratio >= times);
                let _ = writeln!(text, "{name:<50}{:>10}{:>12}  {verdict}", x(times), shown(ratio));
            }
            Goal::Flat { works, times } => {
                let ratio = flat_ratio(rows, works);
                let name = format!("{} to {}: flat", works[0], works[works.len() - 1]);
                let verdict = verdict(ratio, |ratio| ratio <= times);
                let most = format!("<= {}", x(times));
                let _ = writeln!(text, "{name:<50}{most:>10}{:>12}  {verdict}", shown(ratio));
            }
        }
    }
    text
}

fn faster_ratio(rows: &[Row], work: Work, system: &str) -> Option<f64> {
    Some(find(rows, work, system)?.ns() / find(rows, work, FALCONRY)?.ns())
}

fn flat_ratio(rows: &[Row], works: &[Work]) -> Option<f64> {
    let times: Option<Vec<f64>> =
        works.iter().map(|work| find(rows, *work, FALCONRY).map(Row::ns)).collect();
    let times = times?;
    let most = times.iter().copied().fold(f64::MIN, f64::max);
    let least = times.iter().copied().fold(f64::MAX, f64::min);
    Some(most / least)
}

fn verdict(ratio: Option<f64>, met: impl Fn(f64) -> bool) -> &'static str {
    match ratio {
        None => "not measured",
        Some(ratio) if met(ratio) => "met",
        Some(_) => "NOT MET",
    }
}

fn shown(ratio: Option<f64>) -> String {
    ratio.map_or_else(|| "-".to_string(), x)
}

fn x(times: f64) -> String {
    format!("{times:.1}x")
}

fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::Round;
    use std::time::Duration;

    fn row(work: Work, system: &'static str, round_ns: &[u64]) -> Row {
        let answer = |ns: &u64| Answer {
            round: Round { operations: 10, elapsed: Duration::from_nanos(*ns) },
            resident_bytes: 4096,
        };
        Row { work, system, answers: round_ns.iter().map(answer).collect() }
    }

    #[test]
    fn the_best_round_counts_and_the_median_tells_the_noise() {
        let row = row(Work::Yield, FALCONRY, &[300, 100, 200]);
        assert_eq!(row.ns(), 10.0);
        assert_eq!(row.spread(), 2.0);
    }

    #[test]
    fn a_goal_is_met_missed_or_not_measured() {
        let rows = [
            row(Work::Yield, FALCONRY, &[100]),
            row(Work::Yield, "madsim", &[500]),
            row(Work::Yield, "shuttle", &[499]),
        ];
        let text = goals(&rows);
        let line = |start: &str| text.lines().find(|line| line.starts_with(start)).expect(start);
        assert!(line("yield: faster than madsim").ends_with("  met"), "{text}");
        assert!(line("yield: faster than shuttle").ends_with("NOT MET"), "{text}");
        assert!(line("mutex: faster than shuttle").ends_with("not measured"), "{text}");
        assert!(line("disk@16 to disk@1000000: flat").ends_with("not measured"), "{text}");
    }

    #[test]
    fn json_has_the_agreed_members() {
        let rows = [row(Work::Yield, FALCONRY, &[100]), row(Work::Yield, "madsim", &[500])];
        let text = json_lines(&rows);
        let lines: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
        assert_eq!(lines[1]["work"], "yield");
        assert_eq!(lines[1]["system"], "madsim");
        assert_eq!(lines[1]["ns"], 50.0);
        assert_eq!(lines[1]["ratio_to_falconry"], 5.0);
    }
}

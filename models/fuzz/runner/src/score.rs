//! Each specimen with its bug, from bytes alone: no input to start from, until it is convicted.
//!
//! # Method
//!
//! The input that convicts is given to the mended twin as well, which must pass it.

use falconry::fuzz;
use falconry::specimen::{self, Specimen};
use serde::Serialize;

use crate::fuzzer::{Call, Found, build, folder};
use crate::{Run, Stop, object, table};

const TARGET: &str = "specimen";

#[derive(Serialize)]
struct Line {
    name: &'static str,
    family: &'static str,
    found: bool,
    runs: u64,
    seconds: f64,
    signature: Option<String>,
    /// Whether the mended twin passes the input that convicts.
    twin_passes: Option<bool>,
}

#[derive(Serialize)]
struct Sum {
    specimens: usize,
    found: usize,
    limit_s: f64,
    false_alarms: usize,
    never_found: Vec<&'static str>,
}

/// Runs the verb.
pub fn run(run: &Run) -> Result<u8, Stop> {
    let specimens = chosen(&run.names)?;
    build(&[TARGET])?;
    let mut lines = Vec::new();
    for specimen in specimens {
        eprintln!("{:>11}  {}", "Fuzzing", specimen.name);
        let line = one(specimen, run)?;
        if run.json {
            object("fuzz_score", &line);
        }
        lines.push(line);
    }
    let never = lines.iter().filter(|line| !line.found).map(|line| line.name).collect();
    let sum = Sum {
        specimens: lines.len(),
        found: lines.iter().filter(|line| line.found).count(),
        limit_s: run.time.0.as_secs_f64(),
        false_alarms: lines.iter().filter(|line| line.twin_passes == Some(false)).count(),
        never_found: never,
    };
    if run.json {
        object("fuzz_scores", &sum);
    } else {
        println!("{}", text(&lines, &sum));
    }
    Ok(if sum.false_alarms > 0 { 70 } else { 0 })
}

fn chosen(names: &[String]) -> Result<Vec<&'static Specimen>, Stop> {
    let all = specimen::all();
    if names.is_empty() {
        return Ok(all);
    }
    let find = |name: &String| {
        let found = all.iter().copied().find(|specimen| specimen.name == name);
        found.ok_or_else(|| Stop(2, format!("there is no specimen '{name}'")))
    };
    names.iter().map(find).collect()
}

fn one(specimen: &'static Specimen, run: &Run) -> Result<Line, Stop> {
    let call = Call {
        target: TARGET,
        environment: vec![(fuzz::SPECIMEN, specimen.name)],
        time: run.time.0,
        seed: run.seed,
        corpus: None,
        artifacts: folder().join("artifacts").join("score").join(specimen.name),
    };
    let outcome = call.run()?;
    // An end without a judge is no conviction.
    let judged = outcome.found.filter(|found| found.signature.is_some());
    let twin_passes = match &judged {
        Some(Found { input: Some(input), .. }) => {
            let environment = vec![(fuzz::SPECIMEN, specimen.name), (fuzz::MENDED, "1")];
            Some(Call { environment, ..call }.passes(input)?)
        }
        _ => None,
    };
    Ok(Line {
        name: specimen.name,
        family: specimen.family.name(),
        found: judged.is_some(),
        runs: outcome.runs,
        seconds: outcome.seconds,
        signature: judged.and_then(|found| found.signature),
        twin_passes,
    })
}

fn text(lines: &[Line], sum: &Sum) -> String {
    let mut table = table(["specimen", "found", "runs", "s", "mended twin"]);
    for line in lines {
        let found = if line.found { "yes" } else { "no" };
        let twin = match line.twin_passes {
            Some(true) => "passes",
            Some(false) => "CONVICTED",
            None => "",
        };
        let (runs, seconds) = (line.runs.to_string(), format!("{:.1}", line.seconds));
        table.add_row([line.name, found, &runs, &seconds, twin]);
    }
    for column in table.column_iter_mut().skip(2).take(2) {
        column.set_cell_alignment(comfy_table::CellAlignment::Right);
    }
    let never = match &sum.never_found[..] {
        [] => String::new(),
        names => format!("; never: {}", names.join(", ")),
    };
    let twins = match sum.false_alarms {
        0 => "every mended twin passes the same input".to_string(),
        count => format!("{count} mended twins are convicted by the same input: false alarms"),
    };
    format!(
        "{}\n{} of {} specimens convicted from bytes alone within {:.0} s each; {twins}{never}",
        table.trim_fmt(),
        sum.found,
        sum.specimens,
        sum.limit_s
    )
}

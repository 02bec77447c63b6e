//! Every target for a while: none may find anything.

use falconry::fuzz::{self, Target};
use serde::Serialize;

use crate::fuzzer::{Call, build, folder};
use crate::{Run, Stop, corpus, object, table};

/// Inputs to start from, of each specimen or scenario.
const INPUTS: usize = 2;

#[derive(Serialize)]
struct Line {
    target: &'static str,
    about: &'static str,
    runs: u64,
    seconds: f64,
    found: Option<String>,
    input: Option<String>,
}

/// Runs the verb.
pub fn run(run: &Run) -> Result<u8, Stop> {
    let targets = corpus::targets(&run.names)?;
    build(&targets.iter().map(|target| target.name).collect::<Vec<_>>())?;
    let mut lines = Vec::new();
    for target in targets {
        eprintln!("{:>11}  {} for {:?}", "Fuzzing", target.name, run.time.0);
        let line = one(target, run)?;
        if run.json {
            object("fuzz", &line);
        }
        lines.push(line);
    }
    if !run.json {
        println!("{}", text(&lines));
    }
    for line in lines.iter().filter(|line| line.found.is_some()) {
        let input = line.input.as_deref().unwrap_or("none was written");
        let found = line.found.as_deref().unwrap_or_default();
        eprintln!("{}: {found}\n  input  {input}", line.target);
    }
    Ok(u8::from(lines.iter().any(|line| line.found.is_some())))
}

fn one(target: &Target, run: &Run) -> Result<Line, Stop> {
    let corpus = corpus::folder(target);
    if !corpus.is_dir() {
        corpus::write(target, INPUTS)?;
    }
    let outcome = Call {
        target: target.name,
        environment: vec![(fuzz::MENDED, "1")],
        time: run.time.0,
        seed: run.seed,
        corpus: Some(corpus),
        artifacts: folder().join("artifacts").join(target.name),
    }
    .run()?;
    let input = outcome.found.as_ref().and_then(|found| found.input.clone());
    Ok(Line {
        target: target.name,
        about: target.about,
        runs: outcome.runs,
        seconds: outcome.seconds,
        found: outcome.found.map(|found| found.what),
        input: input.map(|input| input.display().to_string()),
    })
}

fn text(lines: &[Line]) -> String {
    let mut table = table(["target", "runs", "s", "found"]);
    for line in lines {
        let found = if line.found.is_some() { "FOUND" } else { "nothing" };
        let (runs, seconds) = (line.runs.to_string(), format!("{:.0}", line.seconds));
        table.add_row([line.target, &runs, &seconds, found]);
    }
    for column in table.column_iter_mut().skip(1).take(2) {
        column.set_cell_alignment(comfy_table::CellAlignment::Right);
    }
    table.trim_fmt()
}

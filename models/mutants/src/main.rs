//! `cargo judge-mutants`: weakens the project's judges and its simulated disk by one line at a time, and
//! asks the project's own tests and specimens whether they notice.
//!
//! # Method
//!
//! The mutants are a list, `models/mutants/mutants.toml`. Each is applied to a copy of the tracked files,
//! built, and climbs a ladder of detectors from cheap to dear until one notices. Before that the copy
//! climbs the ladder without any mutant: a ladder that fails by itself tells nothing.

mod ladder;
mod list;
mod report;
mod room;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use ladder::{Climber, Said};
use list::Mutant;
use report::Row;
use room::Room;

const HELP: &str = "\
Usage: cargo judge-mutants [OPTIONS]

  --list             the mutants, none is run
  --only NAME        only the mutant of that name; may be repeated
  --json             JSON Lines in place of the table
  --jobs N           processes of a build at once, as cargo's
  --without-control  does not run the unchanged project first

Exit code 1: fewer than 95 % were noticed, one gave no result, or the control failed.
";

#[derive(Default)]
struct Options {
    list: bool,
    json: bool,
    without_control: bool,
    jobs: Option<String>,
    only: Vec<String>,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|word| word == "--help" || word == "-h") {
        print!("{HELP}");
        return ExitCode::SUCCESS;
    }
    let options = match options(&arguments) {
        Ok(options) => options,
        Err(problem) => {
            eprint!("{problem}\n\n{HELP}");
            return ExitCode::from(2);
        }
    };
    match judge(&options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(problem) => {
            eprintln!("judge-mutants: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn options(arguments: &[String]) -> Result<Options, String> {
    let mut options = Options::default();
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--list" => options.list = true,
            "--json" => options.json = true,
            "--without-control" => options.without_control = true,
            "--jobs" => {
                let jobs = words.next().filter(|jobs| jobs.parse::<u16>().is_ok_and(|n| n > 0));
                options.jobs = Some(jobs.ok_or("--jobs needs a number from 1")?.clone());
            }
            "--only" => options.only.push(words.next().ok_or("--only needs a name")?.clone()),
            unknown => return Err(format!("unknown option '{unknown}'")),
        }
    }
    Ok(options)
}

fn judge(options: &Options) -> Result<bool, String> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let project = here.ancestors().nth(2).ok_or("this crate lies in no project")?;
    let text = std::fs::read_to_string(here.join("mutants.toml"))
        .map_err(|error| format!("mutants.toml: {error}"))?;
    let all = list::read(&text)?;
    if let Some(name) = options.only.iter().find(|name| all.iter().all(|m| m.name != **name)) {
        return Err(format!("no mutant is called '{name}'; --list shows all"));
    }
    let chosen = |mutant: &&Mutant| options.only.is_empty() || options.only.contains(&mutant.name);
    let mutants: Vec<&Mutant> = all.iter().filter(chosen).collect();
    if options.list {
        show(&mutants, options.json);
        return Ok(true);
    }
    let target = here.join("target");
    let logs = target.join("logs");
    let told = |error: std::io::Error| error.to_string();
    std::fs::create_dir_all(&logs).map_err(told)?;
    let room = Room::new(project, target.join("room")).map_err(told)?;
    let mut climber = Climber {
        room: room.folder.clone(),
        target: target.join("build"),
        logs,
        jobs: options.jobs.clone(),
        usual: BTreeMap::new(),
    };
    if !options.without_control {
        let (said, rung) = climber.climb("control", None);
        if said != Said::Quiet {
            return Err(format!("the unchanged project fails: {rung}: {said:?}"));
        }
    }
    let rows: Vec<Row<'_>> =
        mutants.iter().map(|mutant| row(&mut climber, &room, mutant, options.json)).collect();
    match options.json {
        true => println!("{}", report::json_sum(&rows)),
        false => print!("{}", report::table(&rows)),
    }
    Ok(report::holds(&rows))
}

/// Applies a mutant, climbs, and takes it back.
fn row<'a>(climber: &mut Climber, room: &Room, mutant: &'a Mutant, json: bool) -> Row<'a> {
    let began = Instant::now();
    let (said, rung) = match room.change(mutant) {
        Ok(_changed) => climber.climb(&mutant.name, Some(&mutant.file)),
        Err(what) => (Said::NoResult(what), "apply"),
    };
    let row = Row { mutant, said, rung, seconds: began.elapsed().as_secs() };
    eprintln!("{}: {:?}", mutant.name, row.said);
    if json {
        println!("{}", row.json());
    }
    row
}

fn show(mutants: &[&Mutant], json: bool) {
    for Mutant { name, file, effect, weakens, .. } in mutants {
        let effect = effect.name();
        match json {
            true => println!(
                "{}",
                serde_json::json!({
                    "mutant": name, "file": file, "effect": effect, "weakens": weakens,
                })
            ),
            false => println!("{name:<40} {file:<34} {effect:<7} {weakens}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &[&str]) -> Result<Options, String> {
        options(&words.iter().map(|word| word.to_string()).collect::<Vec<_>>())
    }

    #[test]
    fn options_are_read_and_others_refused() {
        let read_all = read(&["--json", "--only", "a", "--only", "b", "--jobs", "2"]).unwrap();
        assert!(read_all.json && !read_all.list && read_all.only == ["a", "b"]);
        for bad in [&["--only"][..], &["--jobs", "0"], &["--jobs"], &["all"]] {
            assert!(read(bad).is_err(), "{bad:?}");
        }
    }
}

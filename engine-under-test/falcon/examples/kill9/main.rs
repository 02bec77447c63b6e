//! Kills a process under load, again and again, and looks whether the database has all that was acknowledged.
//!
//! ```text
//! cargo run --release -p falcon --example kill9 [-- --rounds 100 --threads 8 --dir DIR]
//! ```
//!
//! # Method
//!
//! Each round this program starts itself as a process that changes rows with several threads, and writes a
//! line before and after each commit; kills it (`SIGKILL`) after a time that nobody foresees, sometimes while
//! it still opens or creates the database; sometimes does the same to a process that recovers; and then opens
//! the database itself. Every commit that was acknowledged must be there with the right content, one that
//! was under way as a whole or not at all, and the structure check must find nothing.
//!
//! A kill spares what the system has taken, so this tells of the order in which the engine works, not of
//! what a loss of power leaves: the simulated machine does that.
//!
//! # Invariant
//!
//! The exit code is 0 only if nothing was lost; otherwise it is 1, what is wrong is told, and the folder stays.
//! No process is left behind, however this one ends.

#![allow(clippy::disallowed_methods, reason = "a program for a real machine, which no run is in")]

mod history;
mod load;
mod victim;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant, SystemTime};

use falcon::Database;
use falconry_seam::disk::StdDisk;
use history::History;
use load::{Random, Result};
use victim::{Job, Look};

const HELP: &str = "usage: kill9 [--rounds COUNT] [--threads COUNT] [--dir DIR]

Kills a process under load COUNT times (100), each time after it has worked with that many threads (8), and
looks each time whether the database in DIR has all that was acknowledged. Without --dir it is a folder of
its own among the temporary files, which goes when all went well.";

/// What was asked for.
struct Arguments {
    rounds: u64,
    threads: u64,
    dir: Option<PathBuf>,
}

fn main() -> ExitCode {
    if let Some(job) = Job::of_this_process() {
        let ended = job.run();
        eprintln!("kill9: the process under load: {ended:?}");
        return ExitCode::FAILURE;
    }
    let arguments = match Arguments::parse(std::env::args().skip(1)) {
        Ok(Some(arguments)) => arguments,
        Ok(None) => {
            println!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Err(what) => {
            eprintln!("kill9: {what}\n{HELP}");
            return ExitCode::from(2);
        }
    };
    let own = std::env::temp_dir().join(format!("falcon-kill9-{}", std::process::id()));
    let dir = arguments.dir.clone().unwrap_or(own);
    let done =
        std::fs::create_dir_all(&dir).map_err(Into::into).and_then(|()| run(&arguments, &dir));
    let done = done.and_then(|()| match arguments.dir {
        None => Ok(std::fs::remove_dir_all(&dir)?),
        Some(_) => Ok(()),
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(what) => {
            eprintln!("kill9: {what}\nthe database is in {}", dir.display());
            ExitCode::FAILURE
        }
    }
}

impl Arguments {
    /// What the command line says; nothing, if it asks for help.
    fn parse(
        mut words: impl Iterator<Item = String>,
    ) -> std::result::Result<Option<Arguments>, String> {
        let mut arguments = Arguments { rounds: 100, threads: 8, dir: None };
        while let Some(word) = words.next() {
            if matches!(word.as_str(), "--help" | "-h") {
                return Ok(None);
            }
            let value = words.next().ok_or_else(|| format!("nothing follows {word}"))?;
            let count = || match value.parse() {
                Ok(count) if (1..=1_000_000).contains(&count) => Ok(count),
                _ => Err(format!("{word} is {value}, and must be from 1 to 1,000,000")),
            };
            match word.as_str() {
                "--rounds" => arguments.rounds = count()?,
                "--threads" => arguments.threads = count()?,
                "--dir" => arguments.dir = Some(value.into()),
                _ => return Err(format!("there is no {word}")),
            }
        }
        Ok(Some(arguments))
    }
}

/// All rounds.
fn run(arguments: &Arguments, dir: &Path) -> Result<()> {
    let begin = Instant::now();
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let mut random = Random(since.map_or(0, |since| since.as_nanos() as u64));
    let mut history = match Database::exists(&StdDisk::open(dir)?)? {
        true => {
            let database = load::open(dir)?;
            let rows = load::rows(&database)?;
            database.close()?;
            History::of(rows)
        }
        false => History::default(),
    };
    let mut cut_openings = 0;
    for round in 1..=arguments.rounds {
        let time = match random.below(4) {
            0 => Duration::from_millis(random.below(40)),
            _ => Duration::from_millis(40 + random.below(360)),
        };
        let mut job =
            Job { dir: dir.into(), threads: arguments.threads, first_id: history.next_id };
        job.kill_after(this_program()?, time, &mut history)?;
        cut_openings += u64::from(!history.has_opened);
        // Some of those that recover are killed as well.
        job.threads = 0;
        while random.below(3) == 0 {
            let time = Duration::from_millis(random.below(30));
            job.kill_after(this_program()?, time, &mut history)?;
            cut_openings += u64::from(!history.has_opened);
        }
        let look = Look::at(dir, &mut history)?;
        print_round(round, time, &look, &history);
        if !look.complaints.is_empty() {
            return Err(format!("round {round}: {}", look.complaints.join("\n")).into());
        }
        // Every other time the next process finds what a process leaves that does not close.
        if random.below(2) == 0 {
            look.close()?;
        }
    }
    println!(
        "{} rounds in {} s: {} commits acknowledged, none lost; {} more were there as a whole, {} not at all; \
         {cut_openings} kills hit an opening",
        arguments.rounds,
        begin.elapsed().as_secs(),
        history.acknowledged,
        history.kept_unasked,
        history.gone,
    );
    Ok(())
}

fn this_program() -> Result<Command> {
    Ok(Command::new(std::env::current_exe()?))
}

fn print_round(round: u64, time: Duration, look: &Look, history: &History) {
    let Look { recovery, verify, .. } = look;
    println!(
        "round {round}: killed after {} ms, {} acknowledged so far; recovery read {} records, redid {} changes of \
         pages, applied {} commits again; {} rows on {} pages",
        time.as_millis(),
        history.acknowledged,
        recovery.records,
        recovery.redone,
        recovery.reapplied,
        verify.rows,
        verify.pages,
    );
}

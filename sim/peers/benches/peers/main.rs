//! `cargo peers`: the same work on falconry-sim, madsim, turmoil, shuttle and tokio, side by side.
//!
//! # Method
//!
//! This program starts itself once for each system with `--serve NAME`; madsim, whose simulator
//! exists only under a cfg and whose symbols stand in for libc's, is built as a program of its own and
//! started likewise. Then it asks them in turn, round by round, and prints what they took.

mod systems;

use falconry_peers::processor;
use falconry_peers::report::{self, Row};
use falconry_peers::server::{self, Answer, Client};
use falconry_peers::work::{self, Work};
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};
use std::{env, io};

const ROUNDS: usize = 9;

/// How long a system is asked for one work in each round, with what it prepares.
const LOOK: Duration = Duration::from_millis(30);

const HELP: &str = "\
Usage: cargo peers [-- OPTIONS]

  --json        JSON Lines in place of the table
  --rounds N    rounds of each work on each system, from 1 (default 9)
  --only TEXT   only works whose name contains TEXT
";

struct Options {
    json: bool,
    rounds: usize,
    only: String,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).filter(|word| word != "--bench").collect();
    let result = match arguments.first().map(String::as_str) {
        Some("--serve") => serve(arguments.get(1).map_or("", String::as_str)),
        Some("--help" | "-h") => {
            print!("{HELP}");
            Ok(())
        }
        _ => match options(&arguments) {
            Ok(options) => compare(&options),
            Err(problem) => {
                eprint!("{problem}\n\n{HELP}");
                return ExitCode::from(2);
            }
        },
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("peers: {error}");
            ExitCode::FAILURE
        }
    }
}

fn options(arguments: &[String]) -> Result<Options, String> {
    let mut options = Options { json: false, rounds: ROUNDS, only: String::new() };
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--json" => options.json = true,
            "--rounds" => {
                let count = words.next().map(String::as_str).unwrap_or("");
                options.rounds = match count.parse() {
                    Ok(rounds) if rounds > 0 => rounds,
                    _ => return Err(format!("--rounds needs a number from 1, not '{count}'")),
                };
            }
            "--only" => {
                options.only = words.next().ok_or("--only needs a part of a work's name")?.clone();
            }
            unknown => return Err(format!("unknown option '{unknown}'")),
        }
    }
    Ok(options)
}

fn serve(name: &str) -> io::Result<()> {
    match systems::LINKED.iter().find(|(system, _)| *system == name) {
        Some((_, measure)) => server::serve(measure),
        None => Err(io::Error::other(format!("no system is called '{name}'"))),
    }
}

fn compare(options: &Options) -> io::Result<()> {
    let mut clients = Vec::new();
    for (system, _) in systems::LINKED {
        let mut command = Command::new(env::current_exe()?);
        command.args(["--serve", system]);
        clients.push(Client::start(system, command)?);
    }
    clients.push(Client::start("madsim", Command::new(madsim_program()?))?);

    let rows = measure(&mut clients, options)?;
    if rows.is_empty() {
        return Err(io::Error::other(format!("no work has '{}' in its name", options.only)));
    }
    let systems: Vec<&'static str> = clients.iter().map(|client| client.system).collect();
    if options.json {
        print!("{}", report::json_lines(&rows));
    } else {
        print!("{}", report::table(&rows, &systems));
    }
    Ok(())
}

fn measure(clients: &mut [Client], options: &Options) -> io::Result<Vec<Row>> {
    let mut rows: Vec<Row> = Vec::new();
    let processors = processor::allowed()?;
    // Every system does every work once before anything counts: pools, caches and heaps are warm.
    for &work in work::ALL.iter().filter(|work| work.to_string().contains(&options.only)) {
        for client in clients.iter_mut() {
            if client.ask(work)?.is_some() {
                rows.push(Row { work, system: client.system, answers: Vec::new() });
            }
        }
    }
    // The rounds of one work lie far apart, so that no minute of the host decides over it.
    for round in 1..=options.rounds {
        eprintln!("round {round} of {}", options.rounds);
        let processor = processors[round % processors.len()];
        clients.iter().try_for_each(|client| client.stay_on(processor))?;
        for row in &mut rows {
            let client = clients.iter_mut().find(|client| client.system == row.system);
            if let Some(client) = client {
                row.answers.extend(ask_for_a_while(client, row.work)?);
            }
        }
    }
    Ok(rows)
}

/// Asks until [`LOOK`] has passed, so that the least of a work that is done in a moment is taken over as
/// much time as that of any other.
fn ask_for_a_while(client: &mut Client, work: Work) -> io::Result<Vec<Answer>> {
    let mut answers: Vec<Answer> = Vec::new();
    let begin = Instant::now();
    // Works on a disk are compared with each other, and each has to find the caches as cold: one look.
    let goes_on = |begin: Instant| work.pending().is_none() && begin.elapsed() < LOOK;
    while answers.is_empty() || goes_on(begin) {
        let Some(answer) = client.ask(work)? else { break };
        answers.push(answer);
    }
    Ok(answers)
}

/// Builds madsim's program and returns its path.
///
/// The flags go to this one build, by the variable that comes before all other ways to give flags,
/// with a target folder of its own.
fn madsim_program() -> io::Result<std::path::PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let target = folder.join("target/madsim");
    let status = Command::new(env!("CARGO"))
        .args(["build", "--release", "--locked", "--package", "falconry-peers-madsim"])
        .arg("--manifest-path")
        .arg(folder.join("Cargo.toml"))
        .arg("--target-dir")
        .arg(&target)
        .env("CARGO_ENCODED_RUSTFLAGS", "--cfg\u{1f}madsim")
        .status()?;
    if !status.success() {
        return Err(io::Error::other("madsim's program does not build; see above"));
    }
    Ok(target.join("release/falconry-peers-madsim"))
}

//! The program: from what was typed to an exit code.
//!
//! # Method
//!
//! Two steps. `typed` is what was typed, one table for arguments, environment and help. What it means
//! comes from there, the config file and the defaults, in this order, and is decided by each verb.
//!
//! # Invariant
//!
//! Bad input ends with a sentence that names it and the way out, and never with a panic.

mod check;
mod choice;
pub mod command;
mod config;
mod environment;
mod examine;
pub mod exit;
mod fuzz_import;
pub mod output;
mod planted;
mod replay;
mod revision;
mod session;
mod show;
mod shrink_score;
mod specimen;
mod swarm;
mod typed;
pub mod values;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;

use exit::{Exit, Stop};
use session::Session;
use typed::{Typed, Verb};

pub use environment::case_of_environment;
pub use examine::{report_of, report_of_capsule, small_report_of};

/// Runs the program on the arguments of this process.
pub fn main() -> ExitCode {
    let exit = catch_unwind(AssertUnwindSafe(run)).unwrap_or(Exit::OurBug);
    ExitCode::from(exit.code())
}

fn run() -> Exit {
    // Not a verb: how a swarm calls its children is nobody else's business.
    if crate::swarm::is_worker() {
        crate::swarm::worker_main();
        return Exit::Nothing;
    }
    let typed = match Typed::try_parse() {
        Ok(typed) => typed,
        Err(error) => return refused(&error),
    };
    let session = match Session::new(&typed.output) {
        Ok(session) => session,
        Err(stop) => return stopped(&output::Output::default(), &stop),
    };
    let result = match typed.verb {
        Verb::Run(run) => replay::run(&session, &run),
        Verb::Swarm(swarm) => swarm::swarm(&session, &swarm),
        Verb::Replay(replay) => replay::replay(&session, &replay),
        Verb::Shrink(shrink) => replay::shrink(&session, &shrink),
        Verb::Check(check) => check::check(&session, &check),
        Verb::Scenario(verb) => show::scenario(&session, &verb),
        Verb::Fault(verb) => show::fault(&session, &verb),
        Verb::Specimen(verb) => specimen::specimen(&session, &verb),
        Verb::Planted(verb) => planted::planted(&session, &verb),
        Verb::Findings(verb) => show::findings(&session, &verb),
        Verb::Report(report) => replay::report(&session, &report),
        Verb::FuzzImport(import) => fuzz_import::fuzz_import(&session, &import),
        Verb::Completions { shell } => show::completions(&session, shell),
        Verb::Man { dir } => show::man(&session, &dir),
    };
    result.unwrap_or_else(|stop| stopped(&session.output, &stop))
}

fn stopped(output: &output::Output, stop: &Stop) -> Exit {
    if !matches!(stop, Stop::ClosedPipe | Stop::Interrupted) {
        output.complain(&stop.to_string());
    }
    stop.exit()
}

/// What clap has to say: help and version to stdout, complaints to stderr.
fn refused(error: &clap::Error) -> Exit {
    let printed = error.print();
    let is_help = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    match printed {
        Err(error) if is_help => Stop::from(error).exit(),
        _ if is_help => Exit::Nothing,
        _ => Exit::Usage,
    }
}

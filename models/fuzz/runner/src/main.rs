//! Builds the fuzz targets and runs them: `cargo fuzz-all`, from the root of a clone.
//!
//! # Method
//!
//! The targets are built once by `cargo +nightly fuzz build`, without a sanitizer, and then called as
//! the libFuzzer programs that they are, one at a time, so that what one needs is taken from no other.
//!
//! Exit codes are those of `falconry`: 0, 1 when something was found, 2 for arguments, 3 when a row has no
//! result, 70 when the targets cannot be built, 75 when files cannot be written.

mod all;
mod corpus;
mod fuzzer;
mod score;

use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use falconry::cli::values::Span;

/// Runs the fuzz targets of Falconry, one after the other
#[derive(Parser)]
#[command(name = "cargo fuzz-all", args_conflicts_with_subcommands = true)]
struct Typed {
    #[command(subcommand)]
    verb: Option<Verb>,
    #[command(flatten)]
    all: Run,
}

#[derive(Subcommand)]
enum Verb {
    /// Every target for a while, from inputs that pass; specimens mended, so that a conviction is a false alarm
    Run(Run),
    /// Each specimen with its bug, from no input at all, until it is convicted
    Score(Run),
    /// Only make the inputs that a target starts from: recordings of runs that pass, as bytes
    Corpus {
        /// Of each specimen or scenario so many
        #[arg(long, value_name = "N", default_value = "2")]
        count: usize,
        /// The targets; none given: all
        names: Vec<String>,
    },
}

/// What and for how long.
#[derive(Args)]
struct Run {
    /// How long each is run at most
    #[arg(long = "for", value_name = "TIME", default_value = "60s")]
    time: Span,
    /// The seed of libFuzzer's mutations
    #[arg(long, value_name = "N", default_value = "1")]
    seed: u32,
    /// JSON Lines on stdout, each with "type" and "v"
    #[arg(long)]
    json: bool,
    /// The targets, or for `score` the specimens; none given: all
    names: Vec<String>,
}

/// Why it ends early, with its exit code.
struct Stop(u8, String);

fn main() -> ExitCode {
    let typed = Typed::parse();
    let done = match typed.verb {
        None => all::run(&typed.all),
        Some(Verb::Run(run)) => all::run(&run),
        Some(Verb::Score(run)) => score::run(&run),
        Some(Verb::Corpus { count, names }) => corpus::run(&names, count),
    };
    ExitCode::from(done.unwrap_or_else(|Stop(code, what)| {
        eprintln!("error: {what}");
        code
    }))
}

/// Writes one object of type `kind`, as `falconry --json` does.
fn object(kind: &str, body: &impl serde::Serialize) {
    #[derive(serde::Serialize)]
    struct Line<'a, T> {
        r#type: &'a str,
        v: u32,
        #[serde(flatten)]
        body: &'a T,
    }
    let line = Line { r#type: kind, v: 1, body };
    println!("{}", serde_json::to_string(&line).expect("plain data"));
}

/// A table as Markdown shows it, its numbers to the right.
fn table<const N: usize>(header: [&str; N]) -> comfy_table::Table {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::ASCII_MARKDOWN).force_no_tty().set_header(header);
    table
}
